"""What `allcores run` says at its end: one line for each loop that workers took part in."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from allcores.engine.waits import WAITS

if TYPE_CHECKING:
    from allcores.loop import LoopReport

# A loop that stayed in the program and took less than this is not worth a user's attention.
_NOTEWORTHY_SECONDS = 0.5


@dataclass(slots=True)
class Total:
    """Runs of one loop taken together."""

    file: str
    line: int
    runs: int = 0
    iterations: int = 0
    in_workers: int = 0
    replayed: int = 0
    workers: int = 0
    threads: bool = False
    fresh_because: str = ""
    processes_because: str = ""
    idle: float = 0.0
    seconds: float = 0.0
    alone_seconds: float = 0.0
    reason: str = ""

    def add(self, report: LoopReport) -> None:
        """Count one run of the loop in."""
        self.runs += 1
        self.iterations += report.iterations
        self.in_workers += report.in_workers
        self.replayed += report.replayed
        self.workers = max(self.workers, report.workers)
        self.threads |= report.threads
        self.fresh_because = report.fresh_because or self.fresh_because
        self.processes_because = report.processes_because or self.processes_because
        self.idle = max(self.idle, report.idle)
        self.seconds += report.seconds
        self.alone_seconds += report.native_seconds + report.worker_seconds
        self.reason = report.reason or self.reason

    @property
    def speed_up(self) -> float:
        """How many times as fast as one worker, by the workers' own clocks."""
        return self.alone_seconds / self.seconds if self.seconds > 0 else 1.0


class Summary:
    """Collects the reports of loops, and puts them in lines."""

    def __init__(self) -> None:
        self.ended_well = False
        """Whether the program did; if not, only loops that were parallel are worth a line."""
        self._parallel: dict[tuple[str, int], Total] = {}
        self._others: dict[tuple[str, int], Total] = {}
        self._directory = os.getcwd()
        self._process = os.getpid()

    def add(self, report: LoopReport) -> None:
        """Take one report; to be put in `loop.listeners`."""
        # The runs of a loop that stayed here say nothing about those that had workers.
        totals = self._parallel if report.in_workers else self._others
        key = (report.file, report.line)
        if key not in totals:
            totals[key] = Total(*key)
        totals[key].add(report)

    def lines(self) -> list[str]:
        """The lines, in the order in which the loops first ended."""
        rows = [self._parallel_row(total) for total in self._parallel.values()]
        rows += [
            (*self._start_of_row(total), f"here, not in workers: {total.reason}")
            for total in self._others.values()
            if total.reason and total.seconds >= _NOTEWORTHY_SECONDS
        ]
        if not rows and self.ended_well:
            return [self._nothing_parallel(len(self._others))]
        return _aligned(rows)

    def print(self) -> None:
        """Write the lines to the standard error stream that the program started with."""
        # A child that the program forked has its own end, which is not the run's.
        stderr = sys.__stderr__
        if os.getpid() != self._process or stderr is None:
            return
        try:
            if sys.__stdout__ is not None and sys.stdout is sys.__stdout__:
                sys.__stdout__.flush()
            for line in self.lines():
                print(f"allcores: {line}", file=stderr)
            stderr.flush()
        except (OSError, ValueError):
            # Nobody reads it, or the program closed it.
            pass

    def _parallel_row(self, total: Total) -> tuple[str, ...]:
        kind = "thread" if total.threads else "worker"
        workers = f"{total.workers} {kind}" + ("s" if total.workers != 1 else "")
        times = f"{total.speed_up:.2f}" if total.speed_up >= 0.1 else f"{total.speed_up:.1g}"
        speed = f"{times} times as fast on {workers} as on one"
        if total.idle >= WAITS:
            speed += f", for its iterations wait {total.idle:.0%} of their time".replace("%", " %")
        if total.fresh_because:
            speed += f", in clean interpreters: {total.fresh_because}"
        if total.processes_because:
            speed += f", in processes and not threads: {total.processes_because}"
        if total.replayed:
            kept = f"{total.replayed:,} of them from the journal"
            return *self._start_of_row(total), kept
        if total.speed_up < 1:
            speed += ": too little work to gain anything"
        return *self._start_of_row(total), speed

    def _start_of_row(self, total: Total) -> tuple[str, ...]:
        iterations = f"{total.iterations:,} iteration" + ("s" if total.iterations != 1 else "")
        if total.runs > 1:
            iterations += f" in {total.runs:,} runs"
        return f"{self._shown(total.file)}:{total.line}", iterations, spoken(total.seconds)

    def _shown(self, file: str) -> str:
        inside = file.startswith(self._directory.rstrip(os.sep) + os.sep)
        return os.path.relpath(file, self._directory) if inside else file

    @staticmethod
    def _nothing_parallel(quick_loops: int) -> str:
        if quick_loops:
            return "no loop ran long enough for workers to gain anything"
        return "no loop that can be parallel ran; `allcores explain` tells why of each loop"


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Join cells with two spaces, each but the last as wide as the widest of its column."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows
    ]


def spoken(seconds: float) -> str:
    """A time with its unit: "3.1 ms", "2.04 s" or "3 min 20 s"."""
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds} s"
