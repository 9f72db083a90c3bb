"""A worker ends when the program has been killed, and what the worker has started ends with it.

The kernel tells: a pipe that nobody writes to is closed when the program is gone, however it ended.
A worker is then killed at once. One that has started processes of its own ends them first, which
takes a signal handler: it runs as soon as the worker is in Python code, or waits for a process.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from allcores.engine.descendants import descendants, kill_all

fcntl: Any
try:
    import fcntl
except ImportError:  # on Windows, where there are no workers
    fcntl = None
F_SETSIG = getattr(fcntl, "F_SETSIG", 10)

_life = -1
_starts_processes = False
_in_place: list[tuple[Any, Any]] = []
"""Functions of ours, and those in the place of which they were put."""


def die_with(life: int) -> bool:
    """Have this process, a worker, end when the other end of a pipe is closed; False: it is."""
    global _life, _starts_processes
    _life, _starts_processes = life, False
    if not hasattr(fcntl, "F_SETSIG") and not sys.platform.startswith("linux"):
        threading.Thread(target=_wait_for_end, name="allcores-lifeline", daemon=True).start()
        return True
    signal.signal(signal.SIGIO, _orphaned)
    fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
    # Not a signal that can be blocked or ignored.
    fcntl.fcntl(life, F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(life, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    if _closed():
        return False
    _notice_what_is_started()
    return True


def _wait_for_end() -> None:
    """Where the kernel does not tell: wait in a thread. Work in C that keeps Python may delay it."""
    while os.read(_life, 1):
        pass
    os.kill(os.getpid(), signal.SIGKILL)


def _closed() -> bool:
    """Whether the program is gone."""
    try:
        return not os.read(_life, 1)
    except BlockingIOError:
        return False


def _notice_what_is_started() -> None:
    os.register_at_fork(before=_something_starts)
    import _posixsubprocess

    places: list[tuple[Any, str]] = [
        (os, name) for name in ("posix_spawn", "posix_spawnp", "system")
    ]
    places.append((_posixsubprocess, "fork_exec"))
    if "subprocess" in sys.modules:
        places.append((sys.modules["subprocess"], "_fork_exec"))
    for module, name in places:
        if hasattr(module, name):
            before = getattr(module, name)
            after = _system if name == "system" else _noticing(before)
            _in_place.append((after, before))
            setattr(module, name, after)


def original(function: Any) -> Any:
    """What the program knows a function as, which may be one of ours here."""
    return next((before for after, before in _in_place if after is function), function)


def _noticing(start: Callable[..., Any]) -> Callable[..., Any]:
    def noticed(*args: Any, **kwargs: Any) -> Any:
        _something_starts()
        return start(*args, **kwargs)

    return noticed


def _system(command: Any) -> int:
    """As os.system, whose wait in C no signal's handler can end."""
    arguments: list[str | bytes] = ["sh", "-c", os.fsencode(command)]
    pid = os.posix_spawn("/bin/sh", arguments, os.environ)
    return os.waitpid(pid, 0)[1]


def starts_processes() -> bool:
    """Whether this worker has started any process."""
    return _starts_processes


def _something_starts() -> None:
    """From now on this worker has to end more than itself."""
    global _starts_processes
    if not _starts_processes and _life >= 0:
        _starts_processes = True
        fcntl.fcntl(_life, F_SETSIG, 0)  # SIGIO


def _orphaned(number: int, frame: object) -> None:
    if not _closed():
        return
    while found := descendants(os.getpid()):
        kill_all(found)
        for each in found:
            _reap(each.pid)
    os.kill(os.getpid(), signal.SIGKILL)


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except OSError:
        pass
