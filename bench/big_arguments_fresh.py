"""100 arguments of 8 MB each, from a list, to clean interpreters, which are sent each of them."""

from typing import Any

import numpy as np

from allcores import parallel
from big_arguments import plain
from fixed_first import stand_by
from windows import seconds
from work import Clock, Work

WORK = Work(
    "big_arguments_fresh",
    "100 arguments of 8 MB, to clean interpreters",
    "1 s",
    seconds,
    1.0,
    variants=("plain", "allcores"),
)


def allcores(arrays: list[Any]) -> list[Any]:
    """The loop with clean interpreters."""
    sums = []
    for array in parallel(arrays, on="fresh", chunk=2):
        sums.append(array.sum())
    return sums


if __name__ == "__main__":
    clock = Clock()
    arrays = [np.full(1_000_000, float(i)) for i in range(100)]
    if clock.variant == "plain":
        clock.start()
        clock.stop(plain(arrays))
    else:
        stand_by()
        clock.start()
        clock.stop(allcores(arrays))
