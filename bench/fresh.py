"""Workers that are clean interpreters, warm: 100 iterations of about 1 ms, against the plain loop.

    python bench/fresh.py [runs]

Plain loop, loop and `map` with fresh workers, and loop with forked ones in turn, all in
this process: what other programs on the machine take, they take from all of them. Then what a loop
with hardly any work takes, which is what it costs to have workers, and how long workers take to be
ready, which a loop spends running natively.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median

import allcores
from allcores import parallel
from allcores.engine.interpreters import standby
from one_ms import STEPS, integral

COUNT, TARGET = 100, 1.7
INPUTS = [0.01 * i for i in range(COUNT)]


def plain() -> list[float]:
    """The loop as it is."""
    results = []
    for frequency in INPUTS:
        results.append(integral(frequency, STEPS))
    return results


def fresh() -> list[float]:
    """With clean interpreters."""
    results = []
    for frequency in parallel(INPUTS, on="fresh"):
        results.append(integral(frequency, STEPS))
    return results


def forked() -> list[float]:
    """With forks of this process."""
    results = []
    for frequency in parallel(INPUTS, on="fork"):
        results.append(integral(frequency, STEPS))
    return results


def mapped() -> list[float]:
    """With clean interpreters, as a `map`."""
    return allcores.map(work, INPUTS, on="fresh")


def work(frequency: float) -> float:
    """What `mapped` calls."""
    return integral(frequency, STEPS)


def hardly_any() -> list[int]:
    """What having workers costs."""
    return allcores.map(work_little, range(4), on="fresh", timeout=60)


def work_little(x: int) -> int:
    """Nearly nothing."""
    return x


def seconds(run: Callable[[], object]) -> float:
    """What one run takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def main() -> int:
    """The command."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    began = time.perf_counter()
    standby.prepare(2)
    while not all([worker.is_ready() for worker in standby.idle]):
        time.sleep(0.0005)
    print(f"ready after {1e3 * (time.perf_counter() - began):.0f} ms")
    ways = plain, fresh, mapped, forked
    expected = plain()
    for way in ways:
        if way() != expected or way() != expected:
            print(f"{way.__name__} gave other results")
            return 1
    times = [{way: seconds(way) for way in ways} for _ in range(runs)]
    for way in ways:
        gain = median(run[plain] / run[way] for run in times)
        took = 1e3 * median(run[way] for run in times)
        print(f"{way.__name__:>8}: {took:6.1f} ms, {gain:.2f} times as fast as plain")
    hardly_any()
    print(f"hardly any work: {1e3 * median(seconds(hardly_any) for _ in range(50)):.2f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
