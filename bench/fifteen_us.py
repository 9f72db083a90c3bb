"""50,000 iterations of about 15 µs: 400 steps of the logistic map, for as many growth rates."""

from allcores import parallel
from work import Task, Work, measure, ratio

WORK = Work(
    "fifteen_us",
    "50,000 iterations of about 15 µs",
    "ratio 0.59 (1.7x as fast)",
    ratio,
    1 / 1.7,
)
COUNT = 50_000
STEPS = 400


def population(rate: float, steps: int) -> float:
    """The population after `steps` generations."""
    x = 0.5
    for _ in range(steps):
        x = rate * x * (1.0 - x)
    return x


def plain(rates: list[float], steps: int) -> list[float]:
    """The plain loop."""
    results = []
    for rate in rates:
        results.append(population(rate, steps))
    return results


def allcores(rates: list[float], steps: int) -> list[float]:
    """The same loop with `parallel`."""
    results = []
    for rate in parallel(rates):
        results.append(population(rate, steps))
    return results


def task(rates: list[float], steps: int) -> Task:
    """The same for the other libraries."""
    return Task(population, lambda: rates, len(rates), {"steps": steps})


if __name__ == "__main__":
    measure(plain, allcores, task, ([2.5 + 1.5 * i / COUNT for i in range(COUNT)], STEPS))
