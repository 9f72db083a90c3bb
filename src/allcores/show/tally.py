"""What `allcores run --summary FILE` writes: what became of each loop that was read, as data."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from allcores import sites
from allcores.show.summary import Total

if TYPE_CHECKING:
    from allcores.loop import LoopReport
    from allcores.plan import Plan

Place = tuple[str, int]


class Tally:
    """Collects the loops that were read and the reports of those that ran, for one JSON file."""

    def __init__(self, path: str) -> None:
        self._path = os.path.abspath(path)
        self._process = os.getpid()
        self._read: dict[Place, dict[str, Any]] = {}
        self._ran: dict[Place, Total] = {}

    def see(self, plan: Plan) -> None:
        """Take a loop that was read, whatever its verdict."""
        self._read[plan.file, plan.line] = _verdict(plan)

    def add(self, report: LoopReport) -> None:
        """Take one report; to be put in `loop.listeners`."""
        place = report.file, report.line
        if place not in self._ran:
            self._ran[place] = Total(*place)
            # Loops that say `parallel` are read only when they are entered.
            self._read.setdefault(place, _verdict_of(report.verdict, []))
        self._ran[place].add(report)

    def data(self) -> list[dict[str, Any]]:
        """An entry for each loop, in the order in which they were read."""
        for site in sites.given_sites():
            # What the live objects told when the loop was entered is the better knowledge.
            if site.running is not None and site.plan is not None:
                self._read[site.filename, site.line] = _verdict(site.plan)
            if site.problem:
                verdict = _verdict_of("serial", [(site.line, site.problem)])
                self._read[site.filename, site.line] = verdict
        return [
            {"file": file, "line": line, **verdict, **self._counts((file, line))}
            for (file, line), verdict in self._read.items()
        ]

    def write(self) -> None:
        """Write the file. Raises OSError where that cannot be done."""
        # A child that the program forked has its own end, which is not the run's.
        if os.getpid() != self._process:
            return
        with open(self._path, "w", encoding="utf-8") as file:
            json.dump({"loops": self.data()}, file, indent=1)
            file.write("\n")

    def _counts(self, place: Place) -> dict[str, Any]:
        total = self._ran.get(place) or Total(*place)
        return {
            "runs": total.runs,
            "iterations": total.iterations,
            "in_workers": total.in_workers,
            "workers": total.workers,
            "threads": total.threads,
            "fresh_because": total.fresh_because,
            "processes_because": total.processes_because,
            "waiting": round(total.idle, 3),
            "seconds": round(total.seconds, 6),
            "alone_seconds": round(total.alone_seconds, 6),
            "here_because": total.reason,
        }


def _verdict(plan: Plan) -> dict[str, Any]:
    return _verdict_of(plan.verdict, plan.reasons)


def _verdict_of(verdict: str, reasons: Iterable[tuple[int, str]]) -> dict[str, Any]:
    return {
        "verdict": verdict,
        "reasons": [{"line": line, "text": text} for line, text in reasons],
    }
