"""100 arguments of 8 MB each, from a list."""

from typing import Any

import numpy as np

from allcores import parallel
from windows import seconds
from work import Task, Work, measure

WORK = Work("big_arguments", "100 arguments of 8 MB, from a list", "0.2 s", seconds, 0.2)


def plain(arrays: list[Any]) -> list[Any]:
    """The plain loop."""
    sums = []
    for array in arrays:
        sums.append(array.sum())
    return sums


def allcores(arrays: list[Any]) -> list[Any]:
    """The same loop with `parallel`."""
    sums = []
    for array in parallel(arrays):
        sums.append(array.sum())
    return sums


def step(array: Any) -> Any:
    """The body of the loop, for the other libraries."""
    return array.sum()


def task(arrays: list[Any]) -> Task:
    """The same for the other libraries."""
    return Task(step, lambda: arrays, len(arrays))


if __name__ == "__main__":
    measure(plain, allcores, task, ([np.full(1_000_000, float(i)) for i in range(100)],))
