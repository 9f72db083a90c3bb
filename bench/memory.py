"""The memory of a process and all its descendants, watched from outside (Linux)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

PERIOD = 0.02


class Watcher(threading.Thread):
    """Samples until stopped; `peak` is then the most MB above the start.

    A sample is the family's PSS (shared pages counted once) plus shared memory that it has not
    mapped just then, such as memory files on their way between processes. The latter is known for
    the whole machine only.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._stop_asked = threading.Event()
        self._start_pss, self._start_unmapped = sample(pid)
        self.peak = 0.0

    def run(self) -> None:
        """Sample until asked to stop."""
        while not self._stop_asked.wait(PERIOD):
            pss, unmapped = sample(self._pid)
            above = pss - self._start_pss + max(0.0, unmapped - self._start_unmapped)
            self.peak = max(self.peak, above)

    def stop(self) -> float:
        """Stop, and give the peak in MB."""
        self._stop_asked.set()
        self.join()
        return self.peak


def sample(pid: int) -> tuple[float, float]:
    """The family's PSS, and the machine's shared memory that the family has not mapped, in MB."""
    family = [fields(f"/proc/{member}/smaps_rollup") for member in descent(pid)]
    mapped = sum(member.get("Pss_Shmem", 0) for member in family)
    shared = fields("/proc/meminfo")["Shmem"]
    return sum(member.get("Pss", 0) for member in family) / 1e3, (shared - mapped) / 1e3


def fields(path: str) -> dict[str, int]:
    """The "Name: number kB" lines of a file, empty when its process is gone."""
    try:
        lines = [line.split() for line in Path(path).read_text().splitlines()]
    except OSError:
        return {}
    return {words[0].rstrip(":"): int(words[1]) for words in lines if words[-1] == "kB"}


def descent(pid: int) -> Iterator[int]:
    """The process and all its descendants."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue
        for child in children:
            yield from descent(int(child))
