"""1,000,000 tiny items through `allcores.map`, against the list comprehension."""

from multiprocessing import Pool as TheirPool

import allcores
from work import CORES, Clock, Work, ratio

WORK = Work(
    "map_tiny",
    "1,000,000 tiny items through allcores.map",
    "ratio 1.15",
    ratio,
    1.15,
    variants=("plain", "allcores", "pool"),
)


def square(x: int) -> int:
    """A tiny task."""
    return x * x


if __name__ == "__main__":
    clock = Clock()
    items = list(range(1_000_000))
    clock.start()
    if clock.variant == "plain":
        results = [square(x) for x in items]
    elif clock.variant == "allcores":
        results = allcores.map(square, items)
    else:
        with TheirPool(CORES) as pool:
            results = pool.map(square, items)
    clock.stop(results)
