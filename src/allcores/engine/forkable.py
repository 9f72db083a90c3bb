"""Whether this process can be forked safely now, and what speaks for and against it.

A fork has one thread, that which forked. Locks that other threads held stay locked in it, and a
library that has started threads may wait there for threads that are none. So every thread has to be
accounted for: by the library that started it (`engine/library_threads.py`), or, where Python started it, by the package whose it is.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from allcores.engine.failures import CannotFork

if TYPE_CHECKING:
    from allcores.engine.finding import Finding

SAVING_SECONDS = 0.5
"""How long a notebook may take to save its history."""
LOCK_SECONDS = 1.0
SAFE_PACKAGES = frozenset({"tqdm", "IPython", "ipykernel", "zmq", "jupyter_client", "allcores"})
"""Packages whose threads hold no lock that a worker needs: progress bars, notebook kernels, pools."""
PLATFORM = "forked workers need Linux for now"


def why_not_forkable(
    beside_main: bool = False, apart_from: Container[threading.Thread] = ()
) -> str | None:
    """None when forking is safe, else a plain phrase that says what is in the way.

    beside_main: the main thread may go on with something else meanwhile. apart_from: threads that
    are known to hold no lock that a worker needs.

    A process of one thread takes 5 µs, one whose threads were looked at before 15 µs, and others
    some milliseconds.
    """
    if not sys.platform.startswith("linux") or not hasattr(os, "fork"):
        return PLATFORM
    me = threading.current_thread()
    others = [t for t in threading.enumerate() if t is not me]
    if others:
        why = _why_not_beside(others, beside_main, apart_from)
        if why is not None:
            return why
    if others or not alone():
        try:
            from allcores.engine.library_threads import until_settled

            why = until_settled(len(others) + 1)
        except OSError as error:  # it takes descriptors, and there may be none left
            why = f"its threads cannot be looked at: {error.strerror}"
        if why is not None:
            return why
    for finding in _states():
        return finding.phrase()
    return None


def ready_to_fork(beside_main: bool = False, apart_from: Container[threading.Thread] = ()) -> None:
    """To be called just before a worker is forked; with the arguments of `why_not_forkable`.

    Threads may have been started since it was decided to fork: the loop's own first iterations do.
    Ends the threads that libraries end when asked to. Raises CannotFork where forking is not safe.
    """
    why = why_not_forkable(beside_main, apart_from)
    if why is None and not alone():
        from allcores.engine.library_threads import end_threads

        why = end_threads(threading.active_count())
    if why is not None:
        raise CannotFork(0, f"a fork would not be safe by now: {why}")


def alone() -> bool:
    """Whether this process has one thread, or such things cannot be told here."""
    try:
        return os.stat("/proc/self/task").st_nlink == 3
    except OSError:
        return True


def findings() -> list[Finding]:
    """All that speaks for or against forking, what speaks against it first; for people.

    >>> from allcores.engine.forkable import findings, why_not_forkable
    >>> any(not each.safe for each in findings()) == (why_not_forkable() is not None)
    True
    """
    from allcores.engine.finding import Finding

    if not sys.platform.startswith("linux") or not hasattr(os, "fork"):
        return [Finding(f"this platform ({sys.platform})", PLATFORM, False)]
    me = threading.current_thread()
    others = [t for t in threading.enumerate() if t is not me]
    from allcores.engine import library_threads, native_threads

    library_threads.until_settled(len(others) + 1)
    found = [_of_python(t) for t in others]
    found += library_threads.of_libraries(native_threads.ids(), len(others) + 1)
    return sorted([*found, *_states()], key=lambda finding: finding.safe)


# -- Python's threads


def _why_not_beside(
    others: list[threading.Thread], beside_main: bool, apart_from: Container[threading.Thread]
) -> str | None:
    for t in others:
        if t is threading.main_thread() and beside_main:
            continue
        if t not in apart_from:
            finding = _of_python(t)
            if not finding.safe:
                return finding.phrase()
    return None


def _of_python(thread: threading.Thread) -> Finding:
    """What a thread other than this one means for a fork."""
    from allcores.engine.finding import Finding

    if thread is threading.main_thread():
        return Finding("", "the loop runs in a thread beside the main one", False)
    target = getattr(thread, "_target", None)
    name = f"thread {thread.name!r}"
    owners = {type(thread).__module__, getattr(target, "__module__", None) or ""}
    for owner in owners:
        package = owner.partition(".")[0]
        if package in SAFE_PACKAGES:
            if package == "IPython" and not _idle(thread):
                return Finding(name, "it is at work, and a fork would have half of that", False)
            return Finding(name, f"it is {package}'s, and holds no lock that a worker needs", True)
    does = getattr(target, "__qualname__", None) or type(thread).__qualname__
    where = getattr(target, "__module__", None) or type(thread).__module__
    said = f"{name} ({where}.{does})" if (where, does) != ("threading", "Thread") else name
    return Finding(said, "a forked worker could wait for it for ever", False)


def _idle(thread: threading.Thread) -> bool:
    """Whether a thread waits, in Python's own `threading`, for others to call."""
    deadline = time.monotonic() + SAVING_SECONDS
    while True:
        frame = sys._current_frames().get(thread.ident or 0)
        code = None if frame is None else frame.f_code
        if code is None or (code.co_filename, code.co_name) == (threading.__file__, "wait"):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)


# -- libraries that no thread shows


def _states() -> list[Finding]:
    """Libraries in a state that does not survive a fork, whatever threads there are."""
    found = []
    # It is imported when the first parallel function is called.
    if "numba.np.ufunc.omppool" in sys.modules:
        found.append(("Numba's OpenMP", "Numba ends forked processes that use it"))
    torch = sys.modules.get("torch")
    if torch is not None:
        for device, name in (("cuda", "CUDA"), ("xpu", "Intel's XPU")):
            in_use: Any = getattr(getattr(torch, device, None), "is_initialized", None)
            if in_use is not None and in_use():
                why = "it cannot be used in a fork of a process that has used it"
                found.append((name, why))
    if not found:
        return []
    from allcores.engine.finding import Finding

    return [Finding(what, why, False) for what, why in found]


# -- the fork itself


@contextmanager
def locks_held() -> Iterator[None]:
    """While a process is forked: locks that threads of SAFE_PACKAGES may hold for a moment.

    Raises CannotFork if one cannot be had.
    """
    tqdm = sys.modules.get("tqdm.std")
    lock = getattr(getattr(tqdm, "TqdmDefaultWriteLock", None), "th_lock", None)
    if lock is None or threading.active_count() == 1:
        yield
        return
    if not lock.acquire(timeout=LOCK_SECONDS):
        raise CannotFork(0, "a fork would not be safe: another thread holds tqdm's lock")
    try:
        yield
    finally:
        lock.release()
