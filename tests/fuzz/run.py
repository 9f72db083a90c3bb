"""Runs random loops both ways and compares: `python -m tests.fuzz.run COUNT [SEED] [PROCESSES]`.

FUZZ_STOP=n: stop after n differences (20). FUZZ_WHY=1: count why loops stayed serial.
FUZZ_ONLY=1: print the program of SEED, and run nothing. FUZZ_KIND=items: loops that change their
items.
"""

from __future__ import annotations

import collections
import contextlib
import os
import random
import re
import signal
import sys
import time
from collections.abc import Iterator

from allcores import worth
from allcores.entry import course, plans, tasting
from tests.fuzz import in_place
from tests.fuzz.grammar import Program, build
from tests.fuzz.shrink import shrink
from tests.same import Hang, Outcome, difference, run

PLAIN_SECONDS, SECONDS = 3, 20
"""So long a program may take, which takes some ms."""

Counts = collections.Counter[tuple[str, bool]]

SCRIPT = """\
# Run from the repository's root: prints where the outcomes differ.
from tests.fuzz.run import check_source
SOURCE = '''\\
{}'''
print(check_source(SOURCE, {})[0])
"""


def verdict_of(outcome: Outcome) -> str:
    """What became of the program's loop."""
    if outcome.in_workers:
        return "parallel"
    if outcome.warned:
        return "serial"
    if outcome.reports:
        return "parallel" if outcome.reports[0].iterations == 0 else "native"
    return "nothing to gain"


@contextlib.contextmanager
def quick_taste() -> Iterator[None]:
    """A loop gets workers as soon as its first iteration has run, whatever that cost."""
    names = ("TASTE_SECONDS", "WORTH_SECONDS", "WORTH_ITERATION", "FEW")
    before = {
        (where, name): getattr(where, name)
        for where in (course, plans, tasting, worth)
        for name in names
        if hasattr(where, name)
    }
    for where, name in before:
        setattr(where, name, 0)
    try:
        yield
    finally:
        for (where, name), value in before.items():
            setattr(where, name, value)


def check_source(source: str, tasted: bool = False) -> tuple[str | None, str, list[str]]:
    """The difference found (None: none), the verdict, and the reasons given."""
    try:
        compile(source, "<random>", "exec")
    except SyntaxError:
        return None, "no program", []
    try:
        with in_time(PLAIN_SECONDS):
            plain = run(source, True, WORKERS="2")
    except Hang:
        return None, "no program", []  # it never ends: its loop makes what it runs over longer
    try:
        with in_time(SECONDS), quick_taste() if tasted else contextlib.nullcontext():
            ours = run(source, False, force=not tasted, WORKERS="2")
    except Hang:
        return "hangs", "hang", []
    bug = next((text for text in ours.warned if "a bug of allcores" in text), None)
    return difference(plain, ours) or bug, verdict_of(ours), ours.warned


def check(program: Program) -> tuple[str | None, str, list[str]]:
    """As `check_source`, of a program of the grammar."""
    return check_source(program.source, program.tasted)


def from_seed(seed: int) -> Program:
    """The program of a seed; FUZZ_KIND=items: one that changes its items."""
    if os.environ.get("FUZZ_KIND") == "items":
        return in_place.build(random.Random(seed).randrange)
    return build(random.Random(seed).randrange)


def as_script(program: Program) -> str:
    """The program as a script of its own that shows the difference."""
    text = program.source.replace("\\", "\\\\").replace("'''", "\\'\\'\\'")
    return SCRIPT.format(text, program.tasted)


def kind_of(found: str | None) -> str:
    """The kind of a difference: what stays while its program is made smaller."""
    if not found:
        return ""
    if found.startswith("error"):
        return re.sub(r"\(.*", "", found)
    return "aliases" if "on one side only" in found else found.split()[0]


def report(counts: Counts) -> str:
    """The share of each verdict, for all loops and for those a reader would call parallel."""
    every = sum(counts.values())
    easy = sum(n for (_, e), n in counts.items() if e)
    shares = collections.Counter[str]()
    for (verdict, _), n in counts.items():
        shares[verdict] += n
    lines = [
        f"{every} loops: " + ", ".join(f"{v} {n / every:.0%}" for v, n in shares.most_common())
    ]
    if easy:
        good = counts["parallel", True]
        lines.append(
            f"{easy} of them a reader would call parallel: {good / easy:.1%} ran in parallel"
        )
    return "\n".join(lines)


def main(count: int, seed: int, processes: int) -> int:
    """Check `count` loops, split among processes; prints failures as programs to rerun."""
    if os.environ.get("FUZZ_ONLY"):
        print(as_script(from_seed(seed)))
        return 0
    children = []
    for p in range(1, processes):
        pid = os.fork()
        if pid == 0:
            os._exit(min(part(count, seed, p, processes), 255))
        children.append(pid)
    bad = part(count, seed, 0, processes)
    for pid in children:
        bad += os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return 1 if bad else 0


def _on_alarm(*_: object) -> None:
    raise Hang


@contextlib.contextmanager
def in_time(seconds: int) -> Iterator[None]:
    """Raises Hang where what is done inside takes longer."""
    before = signal.signal(signal.SIGALRM, _on_alarm)
    # Again and again: a `finally` that leaves by `continue` drops what is raised.
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def part(count: int, seed: int, first: int, step: int) -> int:
    """One process's share of the loops; gives the number of differences."""
    counts: Counts = collections.Counter()
    why: collections.Counter[str] = collections.Counter()
    bad, began = 0, time.monotonic()
    for n in range(seed + first, seed + count, step):
        program = from_seed(n)
        found, verdict, warned = check(program)
        counts[verdict, program.easy] += 1
        if program.easy and verdict == "serial":
            why.update(w.partition(": ")[2].partition(": ")[2][:70] for w in warned)
        if found:
            bad += 1
            kind = kind_of(found)
            small = shrink(program, lambda p, k=kind: kind_of(check(p)[0]) == k)
            print(f"=== seed {n}: {found}\n{as_script(small)}", flush=True)
            if bad >= int(os.environ.get("FUZZ_STOP", "20")):
                break
    print(f"{report(counts)}\n{bad} differences, {time.monotonic() - began:.0f} s", flush=True)
    if why and os.environ.get("FUZZ_WHY"):
        print(why.most_common(25))
    return bad


if __name__ == "__main__":
    numbers = [int(x) for x in sys.argv[1:]]
    sys.exit(main(*(numbers + [2000, 0, 1][len(numbers) :])))
