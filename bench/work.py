"""What the benchmarks share: how a work is described, timed and judged.

Each work is a script beside this one. `python bench/tiny.py allcores` runs one variant of it, once,
and prints one line of JSON; `bench/run.py` does that for every work and variant, each time in a
fresh process.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np

CORES = len(os.sched_getaffinity(0))
PEERS = ("pool", "futures", "joblib", "mpire")
VARIANTS = ("plain", "allcores", *PEERS)


@dataclass
class Figures:
    """The measurements of one work: for each variant, one value a run (None: a run is missing)."""

    seconds: dict[str, list[float | None]]
    megabytes: dict[str, list[float | None]]

    def typical(self, variant: str) -> float | None:
        """Median seconds of `variant`."""
        return typical(self.seconds.get(variant, []))

    def memory(self, variant: str) -> float | None:
        """Median peak of `variant` in MB above the start."""
        return typical(self.megabytes.get(variant, []))

    def ratio(self, variant: str, to: str = "plain") -> float | None:
        """Median of (time of `variant` / time of `to`), each taken within the same run."""
        return typical([a / b for a, b in self._pairs(variant, to)])

    def extra(self, variant: str) -> float | None:
        """Median of the seconds that `variant` takes more than the plain loop of the same run."""
        return typical([a - b for a, b in self._pairs(variant, "plain")])

    def _pairs(self, one: str, other: str) -> list[tuple[float, float]]:
        pairs = zip(self.seconds.get(one, []), self.seconds.get(other, []), strict=False)
        return [(a, b) for a, b in pairs if a is not None and b is not None]


def typical(values: Iterable[float | None]) -> float | None:
    """The median of the values that are there, or None if there are none."""
    there = [value for value in values if value is not None]
    return median(there) if there else None


@dataclass(frozen=True)
class Work:
    """One row of the table. `value` gives what is to be at most `limit` (None: not measured)."""

    name: str
    says: str
    target: str
    value: Callable[[Figures], float | None]
    limit: float
    variants: tuple[str, ...] = VARIANTS
    watch_memory: bool = False

    def reached(self, figures: Figures) -> bool | None:
        """Whether allcores reached the target; None if that was not measured."""
        value = self.value(figures)
        return None if value is None else value <= self.limit


def ratio(figures: Figures) -> float | None:
    """allcores' time over the plain loop's: the value that most targets are about."""
    return figures.ratio("allcores")


@dataclass
class Task:
    """A loop as other libraries want it: a function of one item, and the fixed arguments apart."""

    function: Callable[..., Any]
    items: Callable[[], Iterable[Any]]
    count: int
    fixed: dict[str, Any] = field(default_factory=dict)
    chunk: int | None = (
        None  # items a chunk; None: the library's own choice, or Pool's where it has none
    )
    lazy: bool = False  # the items must not all be in memory at once
    entries: int = 1  # how often the loop is run, with the same workers

    def pool_chunk(self) -> int:
        """The chunk size that Pool.map would choose, for libraries that leave it to the user."""
        return self.chunk or max(1, -(-self.count // (4 * CORES)))


class Clock:
    """Times the variant named on the command line.

    Imports the variant's library first, for imports are not in the time.
    """

    def __init__(self) -> None:
        if len(sys.argv) < 2 or sys.argv[1] not in VARIANTS:
            sys.exit(f"usage: python {sys.argv[0]} {'|'.join(VARIANTS)}")
        self.variant = sys.argv[1]
        self.peer = (
            importlib.import_module(f"peers.{self.variant}") if self.variant in PEERS else None
        )
        self._watched = "--watched" in sys.argv
        self._started = 0.0

    def start(self) -> None:
        """Everything from here to `stop` is in the time."""
        if self._watched:  # the watcher notes the memory before the work starts
            print("ready", flush=True)
            sys.stdin.readline()
        self._started = time.perf_counter()

    def stop(self, results: Any, entries: int = 1) -> None:
        """Print the seconds (an entry) and a digest of the results."""
        seconds = time.perf_counter() - self._started
        self.report(seconds / entries, results)

    def report(self, seconds: float, results: Any) -> None:
        """Print a time measured in another way."""
        print(json.dumps({"seconds": seconds, "digest": digest(results)}), flush=True)

    def run_peer(self, task: Task) -> None:
        """Time the task with the variant's library."""
        assert self.peer is not None
        self.start()
        self.stop(self.peer.run(task), task.entries)


def measure(
    plain: Callable[..., Any],
    allcores: Callable[..., Any],
    task: Callable[..., Task],
    inputs: tuple[Any, ...] = (),
) -> None:
    """Time the variant named on the command line of a work whose loops are in functions."""
    clock = Clock()
    if clock.peer:
        return clock.run_peer(task(*inputs))
    loop = plain if clock.variant == "plain" else allcores
    clock.start()
    clock.stop(loop(*inputs))


def digest(value: Any) -> int:
    """A number that is the same for equal results of equal types."""
    if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
        return zlib.crc32(repr([digest(array) for array in value]).encode())
    if isinstance(value, np.ndarray):
        return zlib.crc32(
            np.ascontiguousarray(value), zlib.crc32(f"{value.dtype}{value.shape}".encode())
        )
    return zlib.crc32(repr(value).encode())
