"""1,000,000 iterations that cost nearly nothing, in loops at module level.

Workers cannot help here, and must not hurt.
"""

from typing import Any

from allcores import parallel
from work import Clock, Task, Work, ratio

WORK = Work("tiny", "1,000,000 of (a + b) * const, module level", "ratio 1.10", ratio, 1.10)
COUNT = 1_000_000


def step(pair: tuple[int, int], const: int) -> Any:
    """The body of the loop, for the other libraries."""
    a, b = pair
    return (a + b) * const


if __name__ == "__main__":
    clock = Clock()
    avalues = list(range(COUNT))
    bvalues = list(range(COUNT, 0, -1))
    const = 3
    results = []
    if clock.variant == "plain":
        clock.start()
        for a, b in zip(avalues, bvalues):
            results.append((a + b) * const)
        clock.stop(results)
    elif clock.variant == "allcores":
        clock.start()
        for a, b in parallel(zip(avalues, bvalues)):
            results.append((a + b) * const)
        clock.stop(results)
    else:
        clock.run_peer(Task(step, lambda: zip(avalues, bvalues), COUNT, {"const": const}))
