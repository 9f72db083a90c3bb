"""A warm `pool.map` of 20 tiny items, called 500 times; times are for one call."""

import time
from multiprocessing import Pool as TheirPool
from statistics import median

import allcores
from work import CORES, Clock, Figures, Work

ENTRIES = 500


def seconds(figures: Figures) -> float | None:
    """Seconds a call."""
    return figures.typical("allcores")


WORK = Work(
    "pool_warm_map",
    "warm pool.map of 20 tiny items, the median of 500 calls",
    "0.3 ms",
    seconds,
    0.3e-3,
    variants=("plain", "allcores", "pool"),
)


def square(x: int) -> int:
    """A tiny task."""
    return x * x


if __name__ == "__main__":
    clock = Clock()
    times = []
    results: list[int] = []
    if clock.variant == "plain":
        for _ in range(ENTRIES):
            start = time.perf_counter()
            results = [square(x) for x in range(20)]
            times.append(time.perf_counter() - start)
    else:
        make = allcores.Pool if clock.variant == "allcores" else TheirPool
        with make(CORES) as pool:
            pool.map(square, range(20))
            for _ in range(ENTRIES):
                start = time.perf_counter()
                results = pool.map(square, range(20))
                times.append(time.perf_counter() - start)
    clock.report(median(times), results)
