"""64 windows of one fixed array of 800 MB are summed: what partial pickles again and again."""

from typing import Any

import numpy as np

from allcores import parallel
from work import Figures, Task, Work, measure


def seconds(figures: Figures) -> float | None:
    """allcores' time."""
    return figures.typical("allcores")


WORK = Work("windows", "64 windows of a fixed 800 MB array", "0.15 s", seconds, 0.15)
COUNT = 64
WIDTH = 100_000_000 // COUNT


def plain(data: Any, width: int) -> list[Any]:
    """The plain loop."""
    sums = []
    for i in range(COUNT):
        sums.append(data[i * width : (i + 1) * width].sum())
    return sums


def allcores(data: Any, width: int) -> list[Any]:
    """The same loop with `parallel`."""
    sums = []
    for i in parallel(range(COUNT)):
        sums.append(data[i * width : (i + 1) * width].sum())
    return sums


def window_sum(i: int, data: Any, width: int) -> Any:
    """The body of the loop, for the other libraries."""
    return data[i * width : (i + 1) * width].sum()


def task(data: Any, width: int) -> Task:
    """The same for the other libraries."""
    return Task(window_sum, lambda: range(COUNT), COUNT, {"data": data, "width": width})


if __name__ == "__main__":
    measure(plain, allcores, task, (np.arange(COUNT * WIDTH, dtype=float), WIDTH))
