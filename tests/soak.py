"""Soak: `python -m tests.soak [ITERATIONS] [LOOPS]`, ten million and ten thousand by default.

One process enters loop after loop, `map` after `map` and call after call of a pool, all with real
workers, and in the end its memory and its descriptors must be what they were after the first tenth.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import allcores
from allcores import parallel
from allcores.loop import LoopReport, listeners

GROWTH = 6 << 20
"""Bytes that the process may grow by after the first tenth."""


def memory() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def children() -> int:
    return len(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def work(x: int) -> int:
    return x * x % 1009


def appended(count: int) -> int:
    results: list[int] = []
    for x in parallel(range(count)):
        results.append(work(x))
    return sum(results)


def added(count: int) -> int:
    total = 0
    for x in parallel(range(count)):
        y = work(x)
        total += y
    return total


def streamed(count: int) -> int:
    total = 0
    for x in parallel(i for i in range(count)):
        y = work(x)
        total += y
    return total


def mapped(count: int) -> int:
    return sum(allcores.map(work, range(count)))


def left_early(count: int) -> int:
    total = 0
    for x in parallel(range(2 * count)):
        y = work(x)
        if x == count:
            break
        total += y
    return total


def raised(count: int) -> int:
    total = 0
    try:
        for x in parallel(range(2 * count)):
            y = work(x) // (x != count)
            total += y
    except ZeroDivisionError:
        return total
    raise AssertionError("it did not raise")


def imapped(count: int) -> int:
    return sum(allcores.imap(work, iter(range(count))))


def pooled(count: int) -> int:
    with allcores.Pool(2) as pool:
        return sum(pool.map(work, range(count)))


def executed(count: int) -> int:
    with allcores.Executor(2) as executor:
        return sum(executor.map(work, range(count), chunksize=count // 4 + 1))


def big(count: int) -> int:
    """As the others, with a result for each thousand that goes through a memory file."""
    images: list[np.ndarray] = []
    for x in parallel(range(count // 1000 + 1)):
        image = np.full(40_000, work(x))
        images.append(image)
    assert all(int(image[-1]) == work(x) for x, image in enumerate(images))
    return sum(map(work, range(count)))


KINDS: tuple[Callable[[int], int], ...] = (
    appended,
    mapped,
    added,
    pooled,
    streamed,
    left_early,
    raised,
    executed,
    imapped,
    big,
)


class Stay:
    """A pool that stays through it all, and is called now and then."""

    def __init__(self) -> None:
        self.pool = allcores.Pool(2)

    def called(self, count: int) -> int:
        return sum(self.pool.map(work, range(count)))


def main(iterations: int = 10_000_000, loops: int = 10_000) -> None:
    """Do it; AssertionError where something grows or comes out wrong."""
    os.environ.update(ALLCORES_FORCE="1", ALLCORES_WORKERS="2")
    in_workers = 0

    def note(report: LoopReport) -> None:
        nonlocal in_workers
        in_workers += report.in_workers

    listeners.append(note)
    stay = Stay()
    kinds = (*KINDS, stay.called)
    count = max(iterations // loops, 1)
    right = sum(work(x) for x in range(count))
    began = time.monotonic()
    at_first: tuple[int, int, int] | None = None
    for n in range(1, loops + 1):
        kind = kinds[n % len(kinds)]
        got = kind(count)
        assert got == right, f"{kind.__name__}: {got} != {right}"
        if n % max(loops // 50, 1) and n != loops:
            continue
        gc.collect()
        now = memory(), descriptors(), children()
        seconds = time.monotonic() - began
        print(
            f"{n:6} loops, {n * count:9,} iterations, {seconds:4.0f} s: {now[0] / 2**20:.1f} MB, "
            f"{now[1]} descriptors, {now[2]} children",
            flush=True,
        )
        if n < loops // 10:
            continue
        at_first = at_first or now
        assert now[0] - at_first[0] < GROWTH, f"memory grew from {at_first[0]:,} to {now[0]:,}"
        assert now[1:] == at_first[1:], f"descriptors, children: {at_first[1:]} -> {now[1:]}"
    stay.pool.terminate()
    assert in_workers > 0.2 * iterations, f"only {in_workers:,} iterations of loops in workers"
    print(f"flat; {in_workers:,} iterations of loops were done by workers")


if __name__ == "__main__":
    main(*(int(x) for x in sys.argv[1:]))
