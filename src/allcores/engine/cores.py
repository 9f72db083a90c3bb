"""How many cores this process may really use."""

from __future__ import annotations

import math
import os
from pathlib import Path


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
        lines = Path(own).read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        base = Path(root) if not controllers else Path(root, controllers)
        if controllers and "cpu" not in controllers.split(","):
            continue
        parts = [p for p in path.split("/") if p and p != ".."]
        for depth in range(len(parts), -1, -1):
            folder = base.joinpath(*parts[:depth])
            found += _quota_of(folder)
    return min(found) if found else None


def _quota_of(folder: Path) -> list[float]:
    try:
        limit, period = (folder / "cpu.max").read_text().split()
        return [] if limit == "max" else [int(limit) / int(period)]
    except (OSError, ValueError):
        pass
    try:
        v1 = int((folder / "cpu.cfs_quota_us").read_text())
        return [v1 / int((folder / "cpu.cfs_period_us").read_text())] if v1 > 0 else []
    except (OSError, ValueError):
        return []
