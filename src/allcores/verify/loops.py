"""`allcores verify script.py`: each parallel loop is run both ways, and what it leaves compared."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from allcores import loop as loops
from allcores.loop import LoopReport
from allcores.plan import Plan
from allcores.settings import settings_of
from allcores.show.summary import _aligned
from allcores.verify import twin
from allcores.verify.verdicts import Verdict, short, total
from allcores.verify.watch import Watch
from allcores.verify.watched import watched_code


class Session:
    """One run of a program with its loops watched."""

    def __init__(self, workers: int | None, timeout: float | None, directory: str) -> None:
        self.settings = settings_of(workers, "processes", False)._replace(
            force=True, asked=False, strict=False
        )
        self.settings = self.settings._replace(workers=max(2, self.settings.workers))
        self.timeout = timeout
        self.directory = os.path.realpath(directory)
        self.home = os.getcwd()
        self.verdicts: list[Verdict] = []
        self.watching: Watch | None = None
        self.report: LoopReport | None = None
        self.within: set[int] = set()
        """The loops entered while another one is being watched, by their numbers."""
        self.process = os.getpid()
        self.known: dict[str, bool] = {}
        loops.listeners.append(self.note)

    def note(self, report: LoopReport) -> None:
        """Take the report of the loop that is being watched."""
        self.report = report

    def code_of(self, source: bytes, filename: str) -> Any:
        """Compile a file with its loops watched."""
        return watched_code(source, filename, self.watch, self.leave_out)

    def watch(self, key: int, plan: Plan) -> Watch:
        self.verdicts.append(Verdict(plan))
        return Watch(self, key, len(self.verdicts) - 1)

    def leave_out(self, plan: Plan) -> None:
        reasons = "; ".join(f"line {each.line}: {each.text}" for each in plan.reasons[:2])
        self.verdicts.append(
            Verdict(plan, serial=reasons or "a compiler other than Python's has it")
        )

    def own(self, module: str) -> bool:
        """Whether a module is the program's own, by where its file is."""
        known = self.known.get(module)
        if known is None:
            file = getattr(sys.modules.get(module), "__file__", None) or ""
            real = os.path.realpath(file)
            known = module == "__main__" or (
                real.startswith(self.directory + os.sep)
                and "site-packages" not in real
                and not module.startswith("allcores")
            )
            self.known[module] = known
        return known

    def lines(self) -> list[str]:
        """A line for each loop, and one for all."""
        verdicts = sorted(self.verdicts, key=lambda each: (each.plan.file, each.plan.line))
        rows: list[tuple[str, ...]] = [
            (f"{short(each.plan.file, self.home)}:{each.plan.line}", *each.told())
            for each in verdicts
        ]
        different = sum(bool(each.difference) for each in verdicts)
        same = sum(
            bool(each.compared) and not (each.difference or each.missed) for each in verdicts
        )
        missed = sum(bool(each.missed) for each in verdicts)
        return [*_aligned(rows), total(same, different, missed)]

    @property
    def fine(self) -> bool:
        """Whether all loops that ran in parallel were compared, and are the same."""
        return not any(each.difference or each.missed for each in self.verdicts)


def verify_loops(
    script: str,
    args: Sequence[str] = (),
    *,
    workers: int | None = None,
    timeout: float | None = None,
) -> int:
    """Run a script with each of its parallel loops run both ways, and say where they differ.

    Writes a line for each loop to stderr. Returns 0 when no loop differs; 1 when one does, or
    could not be compared. Raises
    CannotRunError when the script cannot be started.
    """
    from allcores import script as runner

    session = Session(workers, timeout, os.path.dirname(os.path.abspath(script)))
    code: Any = 0
    try:
        code = runner.run_script(script, args, session.code_of)
    except SystemExit as stop:
        code = stop.code
        if code is not None and not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    twin.flush()
    lines = session.lines()
    if code:
        lines.append(f"The program itself ended with exit code {code}.")
    sys.stderr.write("".join(f"allcores: {line}\n" for line in lines))
    return 0 if session.fine else 1
