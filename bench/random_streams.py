"""What a stream of its own costs an iteration: `python -m bench.random_streams`.

For each kind of generator, the seconds that a loop takes more than the plain one, an iteration.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from time import perf_counter

import numpy as np

from allcores import parallel

ITERATIONS = 20_000
ROUNDS = 5
GENERATORS: dict[str, Callable[[], float]] = {
    "random": random.random,
    "numpy.random": np.random.random,
    "default_rng": np.random.default_rng(1).random,
    "random.Random": random.Random(1).random,
}


def plain(draw: Callable[[], float]) -> float:
    total, began = 0.0, perf_counter()
    for _ in range(ITERATIONS):
        total += draw()
    return perf_counter() - began


def with_streams(draw: Callable[[], float]) -> float:
    total, began = 0.0, perf_counter()
    for _ in parallel(range(ITERATIONS), on="serial", random="streams"):
        total += draw()
    return perf_counter() - began


def main() -> None:
    for name, draw in GENERATORS.items():
        one = min(plain(draw) for _ in range(ROUNDS))
        own = min(with_streams(draw) for _ in range(ROUNDS))
        print(f"{name:14} {(own - one) / ITERATIONS * 1e6:6.1f} µs more an iteration")


if __name__ == "__main__":
    main()
