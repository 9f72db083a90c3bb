"""A loop of matrix products: BLAS's own threads against workers, by the size of the matrices.

    python bench/blas.py [runs] [size ...]

NumPy's BLAS uses all cores for a product by itself. The ratio is allcores' time by the plain loop's of
the same run; what is promised is that it is never above 1, and for small matrices, where threads get
in each other's way, it is below. Each measurement is a process of its own, cold, as in run.py.
"""

from __future__ import annotations

import subprocess
import sys
from statistics import median

ITERATIONS = {200: 1500, 500: 150, 1000: 30, 2000: 12}
"""How many products of each size: about two seconds' worth."""
LOOP = """
import os
import sys
from time import perf_counter
import numpy as np
from allcores import parallel
from allcores.loop import listeners
size, number, ours = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "allcores"
rng = np.random.default_rng(1)
matrices = [rng.normal(size=(size, size)) for _ in range(3)]
told = []
listeners.append(told.append)
traces = []
began = perf_counter()
if ours:
    for k in parallel(range(number)):
        product = matrices[k % 3] @ matrices[(k + 1) % 3]
        traces.append(product.trace())
else:
    for k in range(number):
        product = matrices[k % 3] @ matrices[(k + 1) % 3]
        traces.append(product.trace())
print(perf_counter() - began, told[0].in_workers if told else 0, len(traces))
"""


def once(size: int, number: int, variant: str) -> tuple[float, int]:
    """Seconds of the loop, and how many of its iterations workers did."""
    command = [sys.executable, "-c", LOOP, str(size), str(number), variant]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(said[0]), int(said[1])


def main() -> int:
    """The command."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    sizes = [int(text) for text in sys.argv[2:]] or list(ITERATIONS)
    print("| size | products | plain | allcores | ratio | least, most | by workers |")
    print("|---|---|---|---|---|---|---|")
    for size in sizes:
        number = ITERATIONS[size]
        pairs, by_workers = [], []
        for run in range(runs):
            order = ("plain", "allcores") if run % 2 else ("allcores", "plain")
            told = {variant: once(size, number, variant) for variant in order}
            pairs.append((told["plain"][0], told["allcores"][0]))
            by_workers.append(told["allcores"][1])
        plain, ours = (median(seconds) for seconds in zip(*pairs))
        ratios = sorted(b / a for a, b in pairs)
        print(
            f"| {size} | {number} | {plain:.3f} s | {ours:.3f} s | {median(ratios):.2f} "
            f"| {ratios[0]:.2f}, {ratios[-1]:.2f} | {by_workers} |",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
