"""The work of tiny.py with its loops in functions, where names are local variables."""

from allcores import parallel
from tiny import COUNT, step
from work import Task, Work, measure, ratio

WORK = Work(
    "tiny_in_function",
    "the same in a function",
    "ratio 1.10",
    ratio,
    1.10,
    variants=("plain", "allcores"),
)


def plain(avalues: list[int], bvalues: list[int], const: int) -> list[int]:
    """The plain loop."""
    results = []
    for a, b in zip(avalues, bvalues):
        results.append((a + b) * const)
    return results


def allcores(avalues: list[int], bvalues: list[int], const: int) -> list[int]:
    """The same loop with `parallel`."""
    results = []
    for a, b in parallel(zip(avalues, bvalues)):
        results.append((a + b) * const)
    return results


def task(avalues: list[int], bvalues: list[int], const: int) -> Task:
    """The same for the other libraries."""
    return Task(step, lambda: zip(avalues, bvalues), COUNT, {"const": const})


if __name__ == "__main__":
    measure(plain, allcores, task, (list(range(COUNT)), list(range(COUNT, 0, -1)), 3))
