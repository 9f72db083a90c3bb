"""The processes that a worker has started, found in /proc, and ended with it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from typing import NamedTuple


class Found(NamedTuple):
    """A process; its id alone may be another's later."""

    pid: int
    born: str


def descendants(pid: int) -> list[Found]:
    """The living descendants of a process, children before their own children."""
    waiting = _children(pid)
    found: list[Found] = []
    while waiting:
        each = waiting.pop()
        born = _born(each)
        if born and all(each != other.pid for other in found):
            found.append(Found(each, born))
            waiting += _children(each)
    return found


def kill_all(found: Iterable[Found]) -> None:
    """End these processes, but none that has only taken over the id of one of them."""
    for each in found:
        if _born(each.pid) == each.born:
            _signal(each.pid, signal.SIGKILL)


def kill_tree(pid: int) -> None:
    """End a process of ours that was not reaped yet, with all its descendants.

    They are stopped first, for a process that ends leaves its children to others, and one that
    runs on may start more. What has left the tree, as daemons do, is not found.
    """
    _signal(pid, signal.SIGSTOP)
    stopped: list[Found] = []
    while more := [each for each in descendants(pid) if each not in stopped]:
        for each in more:
            _signal(each.pid, signal.SIGSTOP)
        stopped += more
    kill_all(stopped)
    _signal(pid, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
    except FileNotFoundError:
        # It has ended, or this kernel does not list children.
        return found or _children_by_parent(pid)
    except OSError:
        pass
    return found


def _children_by_parent(pid: int) -> list[int]:
    if os.path.exists(f"/proc/self/task/{os.getpid()}/children") or not os.path.isdir("/proc"):
        return []
    return [
        int(each) for each in os.listdir("/proc") if each.isdigit() and _stat(each, 1) == str(pid)
    ]


def _born(pid: int) -> str:
    """When a process began, in the kernel's count; "" where it has ended."""
    return "" if _stat(pid, 0) in ("Z", "X", "") else _stat(pid, 19)


def _stat(pid: int | str, field: int) -> str:
    """A field of /proc/PID/stat, counted from the one after the name."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[field].decode()
    except (OSError, IndexError):
        return ""


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError:
        pass
