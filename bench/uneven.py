"""2,041 iterations, 2,000 of them of a few µs and 41 of 10 ms to 70 ms, shuffled."""

from random import Random

from allcores import parallel
from fifteen_us import population
from work import Task, Work, measure, ratio

WORK = Work(
    "uneven",
    "2,041 iterations, 98 % tiny, a few long, shuffled",
    "ratio 0.59 (1.7x as fast)",
    ratio,
    1 / 1.7,
)
RATE = 3.7


def lengths() -> list[int]:
    """Steps for each iteration."""
    random = Random(2041)
    steps = [50] * 2_000 + [random.randrange(200_000, 1_400_000) for _ in range(41)]
    random.shuffle(steps)
    return steps


def plain(steps: list[int], rate: float) -> list[float]:
    """The plain loop."""
    results = []
    for n in steps:
        results.append(population(rate, n))
    return results


def allcores(steps: list[int], rate: float) -> list[float]:
    """The same loop with `parallel`."""
    results = []
    for n in parallel(steps):
        results.append(population(rate, n))
    return results


def step(n: int, rate: float) -> float:
    """The body of the loop, for the other libraries."""
    return population(rate, n)


def task(steps: list[int], rate: float) -> Task:
    """The same for the other libraries, item by item, which serves uneven work best."""
    return Task(step, lambda: steps, len(steps), {"rate": rate}, chunk=1)


if __name__ == "__main__":
    measure(plain, allcores, task, (lengths(), RATE))
