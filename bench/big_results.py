"""200 results of 8 MB each, which must all come home."""

from typing import Any

import numpy as np

from allcores import parallel
from work import PEERS, Figures, Task, Work, measure


def against_peers(figures: Figures) -> float | None:
    """The larger of the two parts of the target, each as a share of what is allowed."""
    ratios = {peer: figures.ratio("allcores", to=peer) for peer in PEERS}
    known = [ratio for ratio in ratios.values() if ratio is not None]
    if ratios["pool"] is None or len(known) < len(PEERS):
        return None
    return max(ratios["pool"] * 8, max(known) * 2.5)


WORK = Work(
    "big_results", "200 results of 8 MB", "Pool / 8, fastest peer / 2.5", against_peers, 1.0
)
COUNT = 200
LENGTH = 1_000_000


def plain(length: int) -> list[Any]:
    """The plain loop."""
    results = []
    for i in range(COUNT):
        results.append(np.full(length, float(i)))
    return results


def allcores(length: int) -> list[Any]:
    """The same loop with `parallel`."""
    results = []
    for i in parallel(range(COUNT)):
        results.append(np.full(length, float(i)))
    return results


def step(i: int, length: int) -> Any:
    """The body of the loop, for the other libraries."""
    return np.full(length, float(i))


def task(length: int) -> Task:
    """The same for the other libraries."""
    return Task(step, lambda: range(COUNT), COUNT, {"length": length})


if __name__ == "__main__":
    measure(plain, allcores, task, (LENGTH,))
