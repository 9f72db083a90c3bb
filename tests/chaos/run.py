"""Chaos: `python -m tests.chaos.run RUNS [SEED]`; real loops, each under one fault or more.

Prints every run that came out wrong, with its seed, and a table of faults and outcomes at the end.
`python -m tests.chaos.run 1 SEED` does one again. CHAOS_KEEP=1 keeps what wrong runs left.
CHAOS_MOUNTS=0: as where nothing can be mounted. CHAOS_SHOW=1 prints every run. CHAOS_ONLY=text: those with this in what CHAOS_SHOW prints of them.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.chaos import outer, sandbox
from tests.chaos.judge import Left, verdict
from tests.chaos.scenario import MEMORY, OUTER, SCARCE, Scenario, scenario
from tests.chaos.shapes import SHAPES, program

ROOT = Path(__file__).parents[2]
HANG = 20.0
ORPHANS_END = 3.0
"""Seconds that processes have to be gone after the program's end, on a machine that may be busy."""
MARK = "CHAOS_RUN"


class Runner:
    """Does runs in a folder of its own."""

    def __init__(self, folder: Path, mounts: bool) -> None:
        self.folder, self.mounts = folder, mounts
        self.few = sandbox.FewProcesses()
        self.plains: dict[str, Left] = {}
        self.number = 0
        self.in_workers = self.replayed = 0
        """Iterations of loops: by workers, and of those from a journal."""

    def close(self) -> None:
        self.few.remove()

    def check(self, s: Scenario) -> tuple[str, list[str]]:
        """Do a run, and again from its journal where it has one; what came of it, what is wrong."""
        plain = self.plain(s)
        home = self.home()
        disk = home / "disk"
        disk.mkdir()
        with self.full_disk(s, disk):
            ours = self.start(s, home)
        outcome, wrong = verdict(s, plain, ours)
        # It may well have run here: for want of workers, as not worth them, or as only one was asked for.
        here = s.outer in SCARCE or not s.forced or s.options.get("workers") == 1
        if wrong and here:
            outcome, wrong = verdict(s, self.plain(s, native=True), ours)
        if s.resume and not wrong:
            if s.outer == "damaged journal":
                outer.damage(disk, s.seed)
            again = s._replace(outer="nothing")
            then = self.start(again, home)
            how, found = verdict(again, self.plain(again), then)
            wrong += [f"resumed: {f}" for f in found]
            outcome += f"; resumed {how}"
        if not wrong or os.environ.get("CHAOS_KEEP") != "1":
            shutil.rmtree(home)
        else:
            wrong.append(f"kept in {home}")
        return outcome, wrong

    def home(self) -> Path:
        self.number += 1
        home = self.folder / str(self.number)
        home.mkdir()
        return home

    @contextlib.contextmanager
    def full_disk(self, s: Scenario, disk: Path) -> Iterator[None]:
        if s.outer == "full disk" and self.mounts:
            with sandbox.small_disk(disk, outer.DISK[s.amount]):
                yield
        else:
            yield

    def plain(self, s: Scenario, native: bool = False) -> Left:
        """What the plain loop leaves. native: when no item is done by a worker, and so none dies."""
        plan = self.plan(s, True, self.folder, native)
        key = json.dumps([s.shape, s.in_function, plan])
        if key not in self.plains:
            home = self.home()
            calm = s._replace(outer="nothing")
            self.plains[key] = self.start(calm, home, plain=True, native=native)
            assert self.plains[key].report, self.plains[key].err
            shutil.rmtree(home)
        return self.plains[key]

    def plan(self, s: Scenario, plain: bool, home: Path, native: bool = False) -> dict[str, Any]:
        """What the program is told."""
        shape = SHAPES[s.shape]
        options = dict(s.options)
        if s.resume and not plain:
            options["resume"] = str(home / "disk" / "journal")
        skips = options.get("on_error") and ("raises", "dies", "hangs", "eats")
        return {
            "plain": plain,
            "native": native,
            "face": s.shape.partition(".")[0],
            "cost": 0 if plain else s.cost,
            "faults": s.faults,
            "memory": MEMORY,
            "skips": skips and (skips[: s.face == "map"] if native else skips) or (),
            "count": s.count,
            "options": {} if plain else options,
            "stop": s.stop,
            "carried": shape.carried,
            "left": () if skips and not native else shape.left,
            "notes": "" if plain else str(home / "notes"),
            "limits": {} if plain else outer.limits(s, self.mounts, self.few.folder),
            "journal": bool(options.get("resume")),
        }

    def start(self, s: Scenario, home: Path, plain: bool = False, native: bool = False) -> Left:
        """Run the program, do to it what is planned, and see what is left."""
        for name in ("tmp", "notes"):
            (home / name).mkdir(exist_ok=True)
        for name in ("ready", "report", "log.txt"):
            (home / name).unlink(missing_ok=True)
        script = home / "script.py"
        script.write_text(program(s.shape, s.in_function))
        mark = uuid.uuid4().hex
        shared = set(os.listdir("/dev/shm"))
        with open(home / "out", "w") as out, open(home / "err", "w") as err:
            process = subprocess.Popen(
                [sys.executable, script.name],
                cwd=home,
                stdout=out,
                stderr=err,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env=environment(s, self.plan(s, plain, home, native), home, mark, plain),
            )
        acted, since = outer.act(s, process, home, HANG)
        code = outer.ended(process, since + HANG)
        seconds = time.monotonic() - since
        if code is None:
            outer.ask_where(process, mark)
        orphans = outer.gone(mark, ORPHANS_END)
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid.split()[0]), signal.SIGKILL)
        process.wait()
        report = report_of(home)
        self.in_workers += report.get("in_workers", 0)
        self.replayed += report.get("replayed", 0)
        return Left(
            code,
            report,
            (home / "out").read_text(),
            (home / "err").read_text(),
            (home / "log.txt").read_text() if (home / "log.txt").exists() else "",
            seconds,
            orphans if code is not None else [],
            sorted(set(os.listdir("/dev/shm")) - shared) if self.mounts else [],
            [str(p.relative_to(home)) for p in unexpected(home)],
            acted,
        )


def report_of(home: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((home / "report").read_text())
    except FileNotFoundError:
        return {}
    return found


EXPECTED = {
    "script.py",
    "out",
    "err",
    "ready",
    "report",
    "report.new",
    "tmp",
    "notes",
    "disk",
    "log.txt",
}


def unexpected(home: Path) -> Iterator[Path]:
    """Files that nobody asked for."""
    yield from (p for p in home.iterdir() if p.name not in EXPECTED)
    yield from (home / "tmp").rglob("*")


def environment(
    s: Scenario, plan: dict[str, Any], home: Path, mark: str, plain: bool
) -> dict[str, str]:
    others = {k: v for k, v in os.environ.items() if not k.startswith(("ALLCORES_", "CHAOS"))}
    kept = others | {k: os.environ[k] for k in ("ALLCORES_ON",) if k in os.environ}
    kept.update(
        CHAOS=json.dumps(plan),
        TMPDIR=str(home / "tmp"),
        HOME=str(home / "tmp"),
        PYTHONPATH=os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
        ALLCORES_FORCE="1" if s.forced and not plain else "0",
        ALLCORES_WORKERS="2",
    )
    kept[MARK] = mark
    return kept


# -- many runs


def main(runs: int, seed: int) -> int:
    """Do so many runs; 1 if any came out wrong."""
    mounts = sandbox.own_mounts()
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    bad, began = [], time.monotonic()
    with folder() as top:
        runner = Runner(top, mounts)
        told = "private mounts" if mounts else "no mounts (the full disk is a limit on file size)"
        few = "a control group" if runner.few.folder else "a limit for this user"
        if not runner.few.folder and os.geteuid() == 0:
            few = "not to be had, so that those runs have no limit"
        print(f"{runs} runs from seed {seed}; {told}; few processes: {few}", flush=True)
        try:
            for n in range(seed, seed + runs):
                s = scenario(n)
                if os.environ.get("CHAOS_ONLY", "") not in s.said():
                    continue
                outcome, wrong = runner.check(s)
                counts[s.outer, outcome] += 1
                if os.environ.get("CHAOS_SHOW"):
                    print(f"{n}: {s.said()} -> {outcome}", flush=True)
                if wrong:
                    bad.append(n)
                    print(
                        f"=== seed {n}: {s.said()} -> {outcome}\n  " + "\n  ".join(wrong),
                        flush=True,
                    )
                    if len(bad) >= int(os.environ.get("CHAOS_STOP", "50")):
                        break
        finally:
            runner.close()
    print(table(counts))
    print(
        f"{runner.in_workers:,} iterations of loops in workers, {runner.replayed:,} from journals"
    )
    print(f"{len(bad)} wrong{f': {bad}' if bad else ''}, {time.monotonic() - began:.0f} s")
    return 1 if bad else 0


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder for the runs, kept when it is not empty."""
    top = Path(tempfile.mkdtemp(prefix="chaos-"))
    try:
        yield top
    finally:
        if os.environ.get("CHAOS_KEEP") != "1":
            shutil.rmtree(top, ignore_errors=True)


def table(counts: collections.Counter[tuple[str, str]]) -> str:
    """Faults and outcomes in Markdown."""
    rows: dict[str, collections.Counter[str]] = {}
    for (what, outcome), n in counts.items():
        row = rows.setdefault(what, collections.Counter())
        first, _, then = outcome.partition("; resumed ")
        row["runs"] += n
        row[kind_of(first)] += n
        if then:
            row["started again: as plain" if kind_of(then) in GOOD else f"resumed {then}"] += n
    found = {kind for row in rows.values() for kind in row}
    kinds = [k for k in COLUMNS if k in found] + sorted(found - set(COLUMNS))
    lines = [f"| done to the program | {' | '.join(kinds)} |", "|---" * (len(kinds) + 1) + "|"]
    for what in [w for w in OUTER if w in rows]:
        cells = " | ".join(str(rows[what][kind] or "") for kind in kinds)
        lines.append(f"| {what} | {cells} |")
    return "\n".join(lines)


GOOD = ("as the plain loop", "the item's exception")
COLUMNS = (
    "runs",
    *GOOD,
    "WorkerDied, a prefix",
    "KeyboardInterrupt, a prefix",
    "ended, nothing left",
    "started again: as plain",
)


def kind_of(outcome: str) -> str:
    """What came of a run, as a column of the table."""
    if outcome == "same as plain":
        return "as the plain loop"
    if outcome.endswith(" as planned"):
        return "the item's exception"
    return {"ended, nothing left over": "ended, nothing left"}.get(outcome, outcome)


if __name__ == "__main__":
    numbers = [int(x) for x in sys.argv[1:]]
    sys.exit(main(*(numbers + [500, 0][len(numbers) :])))
