"""How much of the machine other programs used while something ran (Linux)."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


class Neighbours:
    """Made before a child process starts; `cores()` after it has been waited for."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._all, self._ours = all_seconds(), our_seconds()

    def cores(self) -> float:
        """How many cores others kept busy (too many where descendants were never waited for)."""
        seconds = time.perf_counter() - self._began
        theirs = (all_seconds() - self._all) - (our_seconds() - self._ours)
        return max(0.0, theirs / seconds)


def all_seconds() -> float:
    """CPU seconds of every program on the machine, and what its host took away ("steal")."""
    user, nice, system, _idle, _wait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / TICK


def our_seconds() -> float:
    """CPU seconds of this process and of its children that have been waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
