"""One run of `allcores find`: the program is run with its loops measured, then it is reported on."""

from __future__ import annotations

import importlib.util
import os
from time import perf_counter
from types import CodeType, FrameType
from typing import Any

from allcores.entry import outlook
from allcores.find.clock import clock
from allcores.find.costs import Costs, try_out
from allcores.find.edit import one_word_change
from allcores.find.findings import SHOWN_SHARE, Findings, findings
from allcores.find.instrument import has_yield, measured_code
from allcores.find.meter import Meter
from allcores.find.overheads import find_overheads
from allcores.find.suspension import suspension
from allcores.plan import Plan
from allcores.settings import Settings
from allcores.sites import given_site

MOST_SAMPLED_LOOPS = 20
FEW_LOOPS = 3
"""So many are listed, however little time they take."""


class Session:
    """Measures a program's loops from `start()` to `stop()`."""

    def __init__(self, cores: int, everything: bool = False) -> None:
        """cores: of this machine. everything: keep loops that take next to no time, too."""
        self.cores, self.everything = cores, everything
        self.meters: list[Meter] = []
        self.unread: list[str] = []
        self.texts: dict[str, str] = {}
        self.began = self.total = 0.0
        self.costs = Costs()
        self.process = os.getpid()
        self.directory = os.getcwd()
        self.stopped = self.refused = self.interrupted = False
        self.ending = ""

    def code_of(self, source: bytes, filename: str) -> CodeType:
        """Compile a file with its loops measured."""
        start = perf_counter()
        try:
            self.texts[filename] = importlib.util.decode_source(source)
        except (SyntaxError, ValueError):
            # Compiling says what is wrong.
            pass
        try:
            return measured_code(source, filename, self.meter, suspension, self.unread.append)
        finally:
            clock.lost += perf_counter() - start

    def meter(self, key: int, plan: Plan) -> Meter:
        meter = Meter(plan, key, has_yield(plan), self.look)
        self.meters.append(meter)
        return meter

    def look(self, meter: Meter, frame: FrameType, iterable: Any) -> None:
        """Read the loop with the live objects at hand, as `run` would at its first run."""
        site = given_site(meter.key)
        settings = Settings(self.cores, "processes", False, None, False)
        if self.cores < 2:
            settings = settings._replace(workers=2)
        try:
            plan, why = outlook(site, frame, iterable, settings)
        except Exception:
            # The reading made beforehand stands.
            return
        if plan is not None:
            meter.plan = plan
            meter.obstacle = why if plan.verdict == "parallel" else ""

    def start(self) -> None:
        """Measuring begins."""
        find_overheads()
        self.began = clock.now()

    def stop(self, ending: str) -> None:
        """The program is over, or nearly so: its own `atexit` functions are still to come.

        ending: how it ended, where it did not end well.
        """
        if self.stopped or os.getpid() != self.process:
            return
        self.stopped, self.ending = True, ending
        self.total = max(clock.now() - self.began, 1e-9)
        heavy = sorted(self.meters, key=lambda m: -m.seconds)[:MOST_SAMPLED_LOOPS]
        self.meters = [m for m in self.meters if m.entries]
        samples = [
            (m.samples, m.sampled_iterations) if m in heavy else ([], 0.0) for m in self.meters
        ]
        self.costs = try_out(samples, self.cores)

    def findings(self) -> Findings:
        """What the run has shown."""
        sources = {file: text.splitlines() for file, text in self.texts.items()}
        found = findings(self.meters, self.total, self.cores, self.costs, sources)
        found.stopped = self.ending
        found.unread = [self.shown(file) for file in self.unread]
        if not self.everything:
            listed = found.loops[:FEW_LOOPS]
            listed += [e for e in found.loops[FEW_LOOPS:] if e.share >= SHOWN_SHARE]
            found.hidden = len(found.loops) - len(listed)
            found.loops = listed
        for each in found.recommended:
            plan = each.meter.plan
            text = self.texts.get(plan.file, "")
            each.diff = one_word_change(text, plan, self.shown(plan.file)) if text else ""
        return found

    def shown(self, file: str) -> str:
        """The file's name as seen from where the program was started, if it is below it."""
        inside = file.startswith(self.directory.rstrip(os.sep) + os.sep)
        return os.path.relpath(file, self.directory) if inside else file
