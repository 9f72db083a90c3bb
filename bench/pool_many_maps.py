"""200 maps in a row, by one pool, of 50 items of about 1 ms."""

from multiprocessing import Pool as TheirPool

import allcores
from one_ms import STEPS, integral
from work import CORES, Clock, Work, ratio

WORK = Work(
    "pool_many_maps",
    "200 pool.maps in a row of 50 items of about 1 ms",
    "ratio 0.56 (1.8x as fast)",
    ratio,
    1 / 1.8,
    variants=("plain", "allcores", "pool"),
)
ENTRIES = 200


def task(frequency: float) -> float:
    """About 1 ms."""
    return integral(frequency, STEPS)


if __name__ == "__main__":
    clock = Clock()
    inputs = [0.01 * i for i in range(50)]
    results: list[float] = []
    if clock.variant == "plain":
        clock.start()
        for _ in range(ENTRIES):
            results = [task(x) for x in inputs]
        clock.stop(results)
    else:
        make = allcores.Pool if clock.variant == "allcores" else TheirPool
        with make(CORES) as pool:
            clock.start()
            for _ in range(ENTRIES):
                results = pool.map(task, inputs)
            clock.stop(results)
