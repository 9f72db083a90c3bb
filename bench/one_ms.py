"""2,000 iterations of about 1 ms, in loops at module level: an integral by the midpoint rule."""

from math import exp, sin

from allcores import parallel
from work import Clock, Task, Work, ratio

WORK = Work(
    "one_ms",
    "2,000 iterations of about 1 ms, module level",
    "ratio 0.56 (1.8x as fast)",
    ratio,
    1 / 1.8,
)
COUNT = 2_000
STEPS = 8_000


def integral(frequency: float, steps: int) -> float:
    """The integral of exp(-x) sin(frequency x) from 0 to 1."""
    width = 1.0 / steps
    total = 0.0
    for i in range(steps):
        x = (i + 0.5) * width
        total += exp(-x) * sin(frequency * x)
    return total * width


def frequencies() -> list[float]:
    """The varying input."""
    return [0.01 * i for i in range(COUNT)]


if __name__ == "__main__":
    clock = Clock()
    inputs = frequencies()
    results = []
    if clock.variant == "plain":
        clock.start()
        for frequency in inputs:
            results.append(integral(frequency, STEPS))
        clock.stop(results)
    elif clock.variant == "allcores":
        clock.start()
        for frequency in parallel(inputs):
            results.append(integral(frequency, STEPS))
        clock.stop(results)
    else:
        clock.run_peer(Task(integral, lambda: inputs, COUNT, {"steps": STEPS}))
