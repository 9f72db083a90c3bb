"""How many cores this process may really use: of all that limits them, the smallest.

What counts: where the process is allowed to run (affinity), the quotas of its cgroup and of every
one around it, what a batch system has given the job, what Python was told, and how many processes
the user may have. `OMP_NUM_THREADS` and its like do not: many set it to 1 just because they use
several processes, and it says how many threads *each* has.
"""

from __future__ import annotations

import math
import os
import sys
import time
from typing import NamedTuple

AGAIN_SECONDS = 1.0
"""Quotas, the environment and other limits are looked up again when this has passed."""
BATCH_VARIABLES = {
    "SLURM_CPUS_PER_TASK": "SLURM_JOB_ID",
    "SLURM_CPUS_ON_NODE": "SLURM_JOB_ID",
    "LSB_DJOB_NUMPROC": "LSB_JOBID",
    "NSLOTS": "JOB_ID",
    "NCPUS": "PBS_JOBID",
    "PBS_NUM_PPN": "PBS_JOBID",
}
"""What Slurm, LSF, Grid Engine, PBS and Torque say of a job's cores, and what shows that it is theirs.

Not all clusters keep jobs to their cores; where they do, affinity or a quota says the same.
Slurm's first counts without the second as well: people set it by hand.
"""

_known: list[float] = [0.0, math.inf]
"""When limits other than affinity were last looked up, and the smallest of them."""


def usable_cores() -> int:
    """The smallest of all limits, a part of a core taken for a whole one; at least 1.

    Half a core more is worth a worker: with a quota of 1.5 cores two workers do the work of 1.5,
    one does that of 1. Takes about a microsecond, so that each loop asks anew.
    """
    now = time.monotonic()
    if not 0 <= now - _known[0] < AGAIN_SECONDS:
        _known[:] = now, min((limit.cores for limit in _others()), default=math.inf)
    return max(1, math.ceil(min(_allowed(), _known[1])))


class Limit(NamedTuple):
    """Something that says how many cores this process may use."""

    name: str
    """What says so, for people."""
    cores: float
    """How many, in cores; a quota may be 1.5, or 0.5."""


def reasons() -> list[Limit]:
    """All limits that there are, the one that decides first; for `allcores doctor`.

    >>> from allcores.engine.cores import reasons, usable_cores
    >>> limits = reasons()
    >>> usable_cores() == max(1, math.ceil(limits[0].cores))
    True
    """
    found = [Limit("cores of this machine", _machine()), *_others()]
    if hasattr(os, "sched_getaffinity"):
        found.insert(1, Limit("cores this process may run on (its affinity)", _allowed()))
    return sorted(found, key=lambda limit: limit.cores)


def _machine() -> int:
    # From 3.13 on, Python's own count is what it was told.
    try:
        return max(1, os.sysconf("SC_NPROCESSORS_ONLN"))
    except (AttributeError, OSError, ValueError):
        return os.cpu_count() or 1


def _allowed() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return _machine()


def _others() -> list[Limit]:
    """All limits but affinity, in no order."""
    return [*_told(), *_given_by_batch_system(), *_quotas(), *_processes()]


def _told() -> list[Limit]:
    """What Python was told; before 3.13 it does not look itself."""
    option = sys._xoptions.get("cpu_count")
    if option is not None:
        # It is there to take the variable back: `-X cpu_count=default`.
        return _numbers([("python -X cpu_count", str(option))])
    if sys.flags.ignore_environment:
        return []
    return _numbers([("$PYTHON_CPU_COUNT", os.environ.get("PYTHON_CPU_COUNT", ""))])


def _given_by_batch_system() -> list[Limit]:
    told = [
        (f"${name}", os.environ[name])
        for name, shown_by in BATCH_VARIABLES.items()
        if name in os.environ and (shown_by in os.environ or name == "SLURM_CPUS_PER_TASK")
    ]
    return _numbers(told)


def _numbers(told: list[tuple[str, str]]) -> list[Limit]:
    """Those of the texts that are numbers of cores."""
    return [Limit(name, int(text)) for name, text in told if text.isdecimal() and int(text) > 0]


def _processes() -> list[Limit]:
    """How many processes the user may have, of which this is one; root may have any number."""
    try:
        import resource

        most, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    except (ImportError, AttributeError, OSError, ValueError):
        return []
    if most == resource.RLIM_INFINITY or os.geteuid() == 0:
        return []
    return [Limit("processes this user may have (ulimit -u), but for this one", max(most - 1, 1))]


def _quotas(proc: str = "/proc/self") -> list[Limit]:
    """The CPU quotas of this process's cgroups and of those around them that can be seen."""
    try:
        return [
            Limit(f"CPU quota of {folder}", quota)
            for folder in _cgroups(proc)
            if (quota := _quota_of(folder)) is not None
        ]
    except (OSError, ValueError):
        return []


def _cgroups(proc: str) -> list[str]:
    """The folders of this process's cgroups that may hold a quota, and of all around them."""
    mounts = _mounts(f"{proc}/mountinfo")
    folders = []
    for line in _text(f"{proc}/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        kind = "cpu" if "cpu" in controllers.split(",") else "" if not controllers else None
        for root, folder in mounts.get(kind, ()):
            # In a container the path may be the one outside, of which nothing can be seen here
            # but the container's own group: the mount itself.
            inside = path.strip("/") if root == "/" else path.removeprefix(root).strip("/")
            seen = path == root or path.startswith(root.rstrip("/") + "/")
            parts = inside.split("/") if seen and inside and ".." not in inside.split("/") else []
            folders += ["/".join([folder, *parts[:n]]) for n in range(len(parts), -1, -1)]
    return list(dict.fromkeys(folders))


def _mounts(path: str) -> dict[str | None, list[tuple[str, str]]]:
    """Where groups with CPU quotas are mounted, by controller ("" for version 2): root and folder."""
    found: dict[str | None, list[tuple[str, str]]] = {}
    for line in _text(path).splitlines():
        if " - cgroup" not in line:
            continue
        place, _, kind = line.partition(" - ")
        root, folder = (_unescaped(field) for field in place.split()[3:5])
        if kind.startswith("cgroup2 "):
            found.setdefault("", []).append((root, folder))
        elif "cpu" in kind.split()[-1].split(","):
            found.setdefault("cpu", []).append((root, folder))
    return found


def _unescaped(field: str) -> str:
    """As it was before the kernel wrote spaces as `\\040`."""
    return (
        field.encode().decode("unicode_escape").encode("latin-1").decode()
        if "\\" in field
        else field
    )


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as stream:
        return stream.read()


def _quota_of(folder: str) -> float | None:
    """A cgroup's quota in cores, if it has one: as version 2 writes it, or as version 1."""
    try:
        limit, period = _text(f"{folder}/cpu.max").split()
    except (OSError, ValueError):
        try:
            limit = _text(f"{folder}/cpu.cfs_quota_us").strip()
            period = _text(f"{folder}/cpu.cfs_period_us").strip()
        except OSError:
            return None
    if not limit.isdecimal() or not period.isdecimal() or not int(period):
        return None  # "max", or -1
    return int(limit) / int(period)
