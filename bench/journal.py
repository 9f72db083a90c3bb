"""What a journal costs: 1 ms iterations with `resume=` and without, in pairs; and reading it again."""

from __future__ import annotations

import os
import statistics
import tempfile
from math import exp, sin
from time import perf_counter, process_time

from allcores import parallel
from allcores.engine import journal

ITERATIONS = 2000
PAIRS = 9
STEPS = 8_000


def work(frequency: int) -> float:
    """About 1 ms."""
    total = 0.0
    for i in range(STEPS):
        total += exp(-i / STEPS) * sin(frequency * i)
    return total


def plain() -> tuple[float, float]:
    """Seconds that the loop takes without a journal, and those of this process' own work."""
    results = []
    began, own = perf_counter(), process_time()
    for x in parallel(range(ITERATIONS), on_error="skip"):
        y = work(x)
        results.append(y)
    return perf_counter() - began, process_time() - own


def kept(path: str) -> tuple[float, float]:
    """The same with one."""
    results = []
    began, own = perf_counter(), process_time()
    for x in parallel(range(ITERATIONS), on_error="skip", resume=path):
        y = work(x)
        results.append(y)
    return perf_counter() - began, process_time() - own


def main() -> None:
    """Print the least and the median of what a journal adds, and what reading one takes."""
    with tempfile.TemporaryDirectory() as folder:
        plain(), kept(os.path.join(folder, "first"))
        pairs = []
        for k in range(PAIRS):
            without = plain()
            pairs.append((without, kept(os.path.join(folder, f"journal{k}"))))
        added = [with_one[0] / without[0] - 1 for without, with_one in pairs]
        least = min(w[0] for _, w in pairs) / min(p[0] for p, _ in pairs) - 1
        own = [(with_one[1] - without[1]) / ITERATIONS for without, with_one in pairs]
        print(f"a journal adds {100 * statistics.median(added):.1f} % (median of {PAIRS} pairs), ")
        print(f"{100 * least:.1f} % (least of each); of the coordinator's own time")
        print(
            f"{1e6 * statistics.median(own):.1f} us an iteration (median), {1e6 * min(own):.1f} (least)"
        )
        journal.close_all()
        again = kept(os.path.join(folder, "journal0"))
        print(f"reading it again: {1e6 * again[1] / ITERATIONS:.1f} us an iteration")
        size = os.path.getsize(os.path.join(folder, "journal0")) / ITERATIONS
        print(f"a row takes {size:.0f} bytes")
        journal.close_all()


if __name__ == "__main__":
    main()
