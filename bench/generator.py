"""A generator of 20,000 arguments of 80 kB, 1.6 GB in all, which must never be in memory together.

Each iteration costs about 0.1 ms, so that it is worth taking to workers. What counts is memory: the
peak of all processes together above the start, as `memory.py` sees it from outside.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from allcores import parallel
from work import Figures, Task, Work, measure


def peak(figures: Figures) -> float | None:
    """allcores' peak in MB above the start."""
    return figures.memory("allcores")


WORK = Work(
    "generator",
    "a generator of 20,000 arguments of 80 kB",
    "300 MB above the start",
    peak,
    300,
    watch_memory=True,
)
COUNT = 20_000


def arguments() -> Iterator[Any]:
    """The arguments, made one by one."""
    for i in range(COUNT):
        yield np.full(10_000, float(i))


def energy(signal: Any) -> Any:
    """Something to compute with an argument."""
    return (np.sin(signal) ** 2).sum()


def plain() -> list[Any]:
    """The plain loop."""
    results = []
    for signal in arguments():
        results.append(energy(signal))
    return results


def allcores() -> list[Any]:
    """The same loop with `parallel`."""
    results = []
    for signal in parallel(arguments()):
        results.append(energy(signal))
    return results


def task() -> Task:
    """The same for the other libraries, through their lazy maps where they have one."""
    return Task(energy, arguments, COUNT, chunk=10, lazy=True)


if __name__ == "__main__":
    measure(plain, allcores, task)
