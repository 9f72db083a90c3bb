"""The work of one_ms.py with its loops in functions."""

from allcores import parallel
from one_ms import STEPS, frequencies, integral
from work import Task, Work, measure, ratio

WORK = Work(
    "one_ms_in_function",
    "the same in a function",
    "ratio 0.56 (1.8x as fast)",
    ratio,
    1 / 1.8,
    variants=("plain", "allcores"),
)


def plain(inputs: list[float]) -> list[float]:
    """The plain loop."""
    results = []
    for frequency in inputs:
        results.append(integral(frequency, STEPS))
    return results


def allcores(inputs: list[float]) -> list[float]:
    """The same loop with `parallel`."""
    results = []
    for frequency in parallel(inputs):
        results.append(integral(frequency, STEPS))
    return results


def task(inputs: list[float]) -> Task:
    """The same for the other libraries."""
    return Task(integral, lambda: inputs, len(inputs), {"steps": STEPS})


if __name__ == "__main__":
    measure(plain, allcores, task, (frequencies(),))
