"""How many cores this process may really use."""

from __future__ import annotations

import math
import os


def usable_cores() -> int:
    """Cores by affinity and cgroup quota, rounded up, at least 1."""
    try:
        cores = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        cores = os.cpu_count() or 1
    quota = _quota()
    return max(1, min(cores, math.ceil(quota))) if quota else max(1, cores)


def _quota(root: str = "/sys/fs/cgroup", own: str = "/proc/self/cgroup") -> float | None:
    """The smallest CPU quota of the process's cgroups, in cores."""
    found: list[float] = []
    try:
        with open(own) as stream:
            lines = stream.read().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        base = os.path.join(root, controllers)
        if controllers and "cpu" not in controllers.split(","):
            continue
        parts = [p for p in path.split("/") if p and p != ".."]
        for depth in range(len(parts), -1, -1):
            folder = os.path.join(base, *parts[:depth])
            found += _quota_of(folder)
    return min(found) if found else None


def _read(*parts: str) -> list[str]:
    with open(os.path.join(*parts)) as stream:
        return stream.read().split()


def _quota_of(folder: str) -> list[float]:
    try:
        limit, period = _read(folder, "cpu.max")
        return [] if limit == "max" else [int(limit) / int(period)]
    except (OSError, ValueError):
        pass
    try:
        v1 = int(_read(folder, "cpu.cfs_quota_us")[0])
        return [v1 / int(_read(folder, "cpu.cfs_period_us")[0])] if v1 > 0 else []
    except (OSError, ValueError):
        return []
