"""Runs random loops both ways and compares: `python -m tests.fuzz.run COUNT [SEED] [PROCESSES]`."""

from __future__ import annotations

import collections
import os
import random
import signal
import sys
import time

from tests.fuzz.grammar import Program, build
from tests.same import Outcome, difference, run


def verdict_of(outcome: Outcome) -> str:
    """What became of the program's loop."""
    if outcome.in_workers:
        return "parallel"
    if outcome.warned:
        return "serial"
    if outcome.reports:
        return "parallel" if outcome.reports[0].iterations == 0 else "native"
    return "nothing to gain"


def check(program: Program, in_function: bool) -> tuple[str | None, str, list[str]]:
    """The difference found (None: none), the verdict, and the reasons given."""
    plain = run(program.source, True, in_function)
    ours = run(program.source, False, in_function)
    return difference(plain, ours), verdict_of(ours), ours.warned


def from_seed(seed: int) -> Program:
    """The program of a seed."""
    return build(random.Random(seed).randrange)


def report(counts: collections.Counter[tuple[str, bool]]) -> str:
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


def part(count: int, seed: int, first: int, step: int) -> int:
    """One process's share of the loops."""
    counts: collections.Counter[tuple[str, bool]] = collections.Counter()
    why: collections.Counter[str] = collections.Counter()
    bad, began = 0, time.monotonic()
    for n in range(seed + first, seed + count, step):
        program = from_seed(n)
        signal.alarm(30)  # a hang ends the process, and the exit code tells
        found, verdict, warned = check(program, bool(n // step % 2))
        counts[verdict, program.easy] += 1
        if program.easy and verdict == "serial":
            why.update(w.partition(": ")[2].partition(": ")[2][:70] for w in warned)
        if found:
            bad += 1
            print(
                f"=== seed {n} in_function={bool(n // step % 2)}: {found}\n{_loop(program)}",
                flush=True,
            )
            if bad >= int(os.environ.get("FUZZ_STOP", "20")):
                break
    print(f"{report(counts)}\n{bad} differences, {time.monotonic() - began:.0f} s", flush=True)
    if why and os.environ.get("FUZZ_WHY"):
        print(why.most_common(25))
    return bad


def _loop(program: Program) -> str:
    return program.source[program.source.index("res = np.zeros") :]


if __name__ == "__main__":
    numbers = [int(x) for x in sys.argv[1:]]
    sys.exit(main(*(numbers + [2000, 0, 1][len(numbers) :])))
