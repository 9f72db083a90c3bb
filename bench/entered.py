"""A loop of 20 tiny iterations in a function that is called 10,000 times; times are for one call.

The first call is made before the clock starts: it pays for reading the loop, once a site. The other
libraries keep one pool through all calls (making one for each call would cost them 20 ms to 800 ms
more), and make 100 calls.
"""

from allcores import parallel
from tiny import step
from work import Clock, Figures, Task, Work

ENTRIES = 10_000
PEER_ENTRIES = 100


def extra(figures: Figures) -> float | None:
    """Seconds an entry more than the plain loop."""
    return figures.extra("allcores")


WORK = Work(
    "entered", "20 tiny iterations, entered 10,000 times", "20 µs an entry more", extra, 20e-6
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


if __name__ == "__main__":
    clock = Clock()
    inputs = (list(range(20)), list(range(20, 0, -1)), 3)
    if clock.peer:
        avalues, bvalues, const = inputs
        fixed = {"const": const}
        clock.run_peer(Task(step, lambda: zip(avalues, bvalues), 20, fixed, entries=PEER_ENTRIES))
    else:
        loop = plain if clock.variant == "plain" else allcores
        loop(*inputs)
        clock.start()
        for _ in range(ENTRIES):
            results = loop(*inputs)
        clock.stop(results, ENTRIES)
