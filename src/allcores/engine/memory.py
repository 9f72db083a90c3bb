"""Memory: how much the machine has left, and how much a worker may take.

The machine is what the kernel's files say, with the limits of the control groups that this process
is in (those of containers and of batch systems), version 1 and 2.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from time import monotonic

root = "/"
"""Where the kernel's files are."""
LOOK_SECONDS = 0.05
"""How long an answer holds."""
LIMITS_SECONDS = 1.0
"""How long limits of control groups are taken to stay as they are."""
SPARE, SPARE_BYTES = 1 / 20, 1 << 30
"""With less than this part of all memory left, and less than so many bytes, it is nearly full."""
GO_FIRST = 100
"""Workers seem to the kernel to use so many thousandths of all memory more than they do."""
NO_LIMIT = 1 << 60
"""What control groups without a limit have is more than this."""


class Group:
    """A control group that may have a limit of memory."""

    def __init__(self, folder: str, version: int) -> None:
        self.folder, self.version = folder, version

    def limit(self) -> int | None:
        """In bytes, if there is one."""
        names = ("memory.max", "memory.high") if self.version == 2 else ("memory.limit_in_bytes",)
        found = [value for name in names if (value := _number(f"{self.folder}/{name}")) is not None]
        least = min(found, default=NO_LIMIT)
        return least if least < NO_LIMIT else None

    def used(self) -> int:
        """In bytes, without files that need not be kept in memory."""
        if self.version == 2:
            names = "memory.current", "inactive_file"
        else:
            names = "memory.usage_in_bytes", "total_inactive_file"
        used = _number(f"{self.folder}/{names[0]}") or 0
        return max(used - _field(f"{self.folder}/memory.stat", names[1]), 0)

    def killed(self) -> int | None:
        """How many processes the kernel has killed for want of memory, where that is told."""
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        file = f"{self.folder}/{name}"
        return _field(file, "oom_kill") if os.path.exists(file) else None


class Machine:
    """What is left of the machine's memory, looked at now and then."""

    def __init__(self) -> None:
        self.root = root
        self.groups = list(groups())
        self.limited: list[tuple[Group, int]] = []
        self.limits_at = self.looked_at = float("-inf")
        self.full = False

    def nearly_full(self) -> bool:
        """Whether so little is left that no more should be begun."""
        now = monotonic()
        if now - self.looked_at >= LOOK_SECONDS:
            if now - self.limits_at >= LIMITS_SECONDS:
                self.limits_at = now
                known = [(group, group.limit()) for group in self.groups]
                self.limited = [(group, limit) for group, limit in known if limit is not None]
            self.full = any(left < min(most * SPARE, SPARE_BYTES) for left, most in self.left())
            self.looked_at = monotonic()
        return self.full

    def left(self) -> Iterator[tuple[int, int]]:
        """The bytes that are left, and all there are: of the machine, and of each group's limit."""
        meminfo = os.path.join(self.root, "proc/meminfo")
        most = _field(meminfo, "MemTotal:") * 1024
        if most:
            yield _field(meminfo, "MemAvailable:") * 1024, most
        for group, limit in self.limited:
            yield limit - group.used(), limit

    def killed(self) -> int:
        """How many processes the kernel has killed for want of memory so far."""
        told = (group.killed() for group in self.groups)
        of_group = next((count for count in told if count is not None), None)
        return _field(f"{self.root}/proc/vmstat", "oom_kill") if of_group is None else of_group


def groups() -> Iterator[Group]:
    """The control groups that this process is in: its own first, then those around it."""
    for line in _text(os.path.join(root, "proc/self/cgroup")).splitlines():
        number, _, rest = line.partition(":")
        kinds, _, path = rest.partition(":")
        if kinds == "" and number == "0":
            tops = [
                os.path.join(root, "sys/fs/cgroup"),
                os.path.join(root, "sys/fs/cgroup/unified"),
            ]
            top = next((t for t in tops if os.path.exists(f"{t}/cgroup.controllers")), "")
            version = 2
        elif "memory" in kinds.split(","):
            top, version = os.path.join(root, "sys/fs/cgroup/memory"), 1
        else:
            continue
        if not top:
            continue
        # A container may see its own group as the top, and name it as the machine does.
        names = [name for name in path.split("/") if name and name != ".."]
        if not os.path.isdir("/".join([top, *names])):
            names = []
        for k in range(len(names), -1, -1):
            yield Group("/".join([top, *names[:k]]), version)


_machine: list[Machine] = []


def machine() -> Machine:
    """The machine that this process runs on."""
    if not _machine or _machine[0].root != root:
        _machine[:] = [Machine()]
    return _machine[0]


# -- in a worker


def go_first() -> None:
    """Have the kernel, when memory runs out, rather end this worker than the program."""
    path = os.path.join(root, "proc/self/oom_score_adj")
    try:
        with open(path, "r+b", buffering=0) as file:
            file.write(b"%d" % min(int(file.read()) + GO_FIRST, 1000))
    except (OSError, ValueError):
        pass


_limited = False
"""Whether this process is a worker with a limit."""


def no_limit() -> None:
    """This process is not a worker with a limit any more."""
    global _limited
    _limited = False


def passed(error: BaseException) -> bool:
    """Whether an exception in an iteration is to be seen by the engine, whoever else handles it."""
    return _limited and isinstance(error, MemoryError)


class OwnLimit:
    """A limit on what this process takes from now on. It holds between `set` and `lift`."""

    def __init__(self, allowed: int) -> None:
        import resource

        global _limited
        _limited = True
        self.allowed, self.born_with = allowed, own_data()
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        most = self.born_with + allowed
        if soft != resource.RLIM_INFINITY:
            most = min(most, soft)
        self.outside, self.inside = (soft, hard), (most, hard)
        self.set_limit, self.what = resource.setrlimit, resource.RLIMIT_DATA

    def set(self) -> None:
        self.set_limit(self.what, self.inside)

    def lift(self) -> None:
        self.set_limit(self.what, self.outside)

    def worn(self) -> bool:
        """Free what can be freed; whether so much is left that this process should end."""
        give_back()
        return own_data() - self.born_with > self.allowed // 4


def give_back() -> None:
    """Free what can be freed, and give it back to the system where that can be done."""
    gc.collect()
    try:
        import ctypes  # for which there may be no descriptor left

        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    except (ImportError, OSError):
        return
    if trim is not None:
        trim(0)


def own_data() -> int:
    """The bytes of this process that such a limit is about."""
    return _field("/proc/self/status", "VmData:") * 1024


# -- reading


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _number(path: str) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _field(path: str, name: str) -> int:
    """The number behind a name at the beginning of a line; 0 where there is none."""
    for line in _text(path).splitlines():
        if line.startswith(name):
            words = line.split()
            if words[0] == name and len(words) > 1 and words[1].isdigit():
                return int(words[1])
    return 0
