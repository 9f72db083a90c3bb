"""Whether this process can be forked safely now, and what speaks for and against it.

A fork has one thread, that which forked. Locks that other threads held stay locked in it, and a
library that has started threads may wait there for threads that are none. So every thread has to be
accounted for: by the library that started it (`engine/native_threads.py`,
`engine/thread_owners.py`), or, where Python started it, by the package whose it is.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from allcores.engine import native_threads, openmp
from allcores.engine.failures import CannotFork
from allcores.engine.native_threads import Native
from allcores.engine.thread_limits import thread_pools
from allcores.engine.thread_owners import OWNERS, WAITS, Owner, owner_of

ENDING_SECONDS = 0.02
"""How long a thread that Python has seen end may take to be gone, and one at work to be idle."""
SAVING_SECONDS = 0.5
"""How long a notebook may take to save its history."""
LOCK_SECONDS = 1.0
SAFE_PACKAGES = frozenset({"tqdm", "IPython", "ipykernel", "zmq", "jupyter_client", "allcores"})
"""Packages whose threads hold no lock that a worker needs: progress bars, notebook kernels, pools."""
ARROW_SINCE = 12
"""The first version of pyarrow that sees to all forks (ARROW-17975)."""
PLATFORM = "forked workers need Linux for now"


class Finding(NamedTuple):
    """Something that speaks for or against forking this process."""

    what: str
    """For people: "2 threads of OpenBLAS", "thread 'beside'"."""
    why: str
    """What follows for forked workers: "ends its threads before a fork, ..."."""
    safe: bool
    detail: str = ""
    """Where it was found: a library's file and the folder it is in."""


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
    if others or not native_threads.alone():
        why = _until_settled(len(others) + 1)
        if why is not None:
            return why
    for finding in _states():
        return _phrase(finding)
    return None


def ready_to_fork(beside_main: bool = False, apart_from: Container[threading.Thread] = ()) -> None:
    """To be called just before a worker is forked; with the arguments of `why_not_forkable`.

    Threads may have been started since it was decided to fork: the loop's own first iterations do.
    Ends the threads that libraries end when asked to. Raises CannotFork where forking is not safe.
    """
    why = why_not_forkable(beside_main, apart_from)
    if why is None and not native_threads.alone():
        why = _end_threads(threading.active_count())
    if why is not None:
        raise CannotFork(0, f"a fork would not be safe by now: {why}")


def findings() -> list[Finding]:
    """All that speaks for or against forking, what speaks against it first; for people.

    >>> from allcores.engine.forkable import findings, why_not_forkable
    >>> any(not each.safe for each in findings()) == (why_not_forkable() is not None)
    True
    """
    if not sys.platform.startswith("linux") or not hasattr(os, "fork"):
        return [Finding(f"this platform ({sys.platform})", PLATFORM, False)]
    me = threading.current_thread()
    others = [t for t in threading.enumerate() if t is not me]
    _until_settled(len(others) + 1)
    found = [_of_python(t) for t in others]
    found += _of_libraries(native_threads.ids(), len(others) + 1)
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
                return _phrase(finding)
    return None


def _of_python(thread: threading.Thread) -> Finding:
    """What a thread other than this one means for a fork."""
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


# -- threads of libraries

_known: dict[int, Native] = {}
"""What threads were found to be, by the kernel's number."""
_judged: tuple[tuple[int, ...], int, str | None] | None = None
"""The threads of the last decision, how many of them Python knows, and what is in the way."""
_WAIT_FOR = (
    "a forked worker could wait for it for ever",
    "a forked worker could wait for them for ever",
)


def _until_settled(python_threads: int) -> str | None:
    """Why threads that Python does not know of are in the way.

    A thread that has been joined may still be on its way out of the kernel, and one that has just
    been at work spins for a while, and cannot be looked at before it waits.
    """
    global _judged
    threads = native_threads.ids()
    if _judged is not None and _judged[:2] == (threads, python_threads):
        return _judged[2]
    deadline = time.monotonic() + ENDING_SECONDS
    while True:
        threads = native_threads.ids()
        unsafe = [f for f in _of_libraries(threads, python_threads) if not f.safe]
        told = all(t in _known for t in threads if t != os.getpid())
        if (not unsafe and told) or time.monotonic() >= deadline:
            why = _phrase(unsafe[0]) if unsafe else None
            # What could not be told is looked at the next time.
            _judged = (threads, python_threads, why) if told else None
            return why
        os.sched_yield()


def _end_threads(python_threads: int) -> str | None:
    """End the threads of libraries that end them when asked to; why some are left, or None."""
    files, untold = _ended_first()
    if untold:
        files |= {p["filepath"] for p in thread_pools().info() if _is_libgomp(p)}
    if not files:
        return None
    openmp.pause(files)
    deadline = time.monotonic() + ENDING_SECONDS
    while True:
        left, untold = _ended_first()
        if not left and not untold:
            return None
        if time.monotonic() >= deadline:
            break
        os.sched_yield()
    if left:
        return f"threads of OpenMP are running, and {openmp.why_not_pausable(min(left)) or WAITS}"
    found = _of_libraries(native_threads.ids(), python_threads, openmp_at_work=False)
    return next((_phrase(f) for f in found if not f.safe), None)


def _ended_first() -> tuple[set[str], bool]:
    """The libraries with threads that are ended before a fork; whether any thread was not told."""
    found, untold = set(), False
    for thread in _looked_at(native_threads.ids()):
        untold = untold or thread.file is None
        owner = owner_of(thread.name, thread.file)
        if owner is not None and owner.ended_first and thread.file is not None:
            found.add(thread.file)
    return found, untold


def _is_libgomp(pool: dict[str, Any]) -> bool:
    return pool.get("internal_api") == "openmp" and pool.get("prefix") == "libgomp"


def _looked_at(threads: tuple[int, ...]) -> list[Native]:
    """The threads other than the process's first; those that were not told before are looked at."""
    wanted = tuple(t for t in threads if t not in _known and t != os.getpid())
    for gone in _known.keys() - set(threads):
        del _known[gone]
    found = {thread.id: thread for thread in native_threads.look(wanted)} if wanted else {}
    _known.update({t: native for t, native in found.items() if native.file is not None})
    return [*_known.values(), *(n for n in found.values() if n.file is None)]


def _of_libraries(
    threads: tuple[int, ...], python_threads: int, openmp_at_work: bool = True
) -> list[Finding]:
    """What the threads that Python does not know of mean for a fork, by library.

    openmp_at_work: libgomp's threads may be at work, and so cannot be told.
    """
    counts: Counter[tuple[Owner, str | None]] = Counter()
    files: Counter[str] = Counter()
    untold = 0
    pythons = python_threads - 1
    for thread in _looked_at(threads):
        if thread.file is not None and native_threads.is_python(thread.file):
            pythons -= 1
            continue
        owner = owner_of(thread.name, thread.file)
        if owner is not None:
            counts[owner, thread.file] += 1
        elif thread.file is None:
            untold += 1
        else:
            files[os.path.basename(thread.file)] += 1
    found = [_of_owner(owner, file, count) for (owner, file), count in counts.items()]
    for name, count in files.items():
        found.append(Finding(f"{_threads(count)} of {name}", _WAIT_FOR[count > 1], False))
    if pythons < 0:
        what = f"{_threads(-pythons)} that Python code started without `threading`"
        found.append(Finding(what, _WAIT_FOR[pythons < -1], False))
    untold -= max(pythons, 0)
    seen: Counter[str] = Counter()
    for (owner, _), count in counts.items():
        seen[owner.name] += count
    return [*found, *_untold(untold, seen, openmp_at_work)] if untold > 0 else found


def _of_owner(owner: Owner, file: str | None, count: int) -> Finding:
    what, where = f"{_threads(count)} of {owner.name}", "/".join((file or "").split("/")[-2:])
    if owner.ended_first:
        why = openmp.why_not_pausable(file or "")
        if why is not None:
            return Finding(what, why, False, where)
    if owner.name == "Arrow" and not _arrow_sees_to_forks():
        return Finding(what, WAITS, False, where)
    return Finding(what, owner.why, owner.safe, where)


def _arrow_sees_to_forks() -> bool:
    version = getattr(sys.modules.get("pyarrow"), "__version__", "0")
    major = version.partition(".")[0]
    told_not_to = os.environ.get("ARROW_REGISTER_ATFORK") == "0"
    return major.isdigit() and int(major) >= ARROW_SINCE and not told_not_to


def _untold(count: int, seen: Counter[str], openmp_at_work: bool) -> list[Finding]:
    """Threads that could not be told: those of OpenBLAS and OpenMP wait for work by spinning.

    seen: how many threads of each library could be told.
    """
    pools, found = thread_pools().info(), []
    for owner in OWNERS:
        theirs = [p for p in pools if p.get("internal_api") == owner.api]
        if owner.ended_first:
            theirs = [p for p in theirs if _is_libgomp(p) and openmp_at_work]
        # Their limit may be lower by now than when they were started.
        most = len(theirs) * ((os.cpu_count() or 1) - 1) - seen[owner.name]
        if theirs and most > 0 and count > 0:
            found.append(_of_owner(owner, theirs[0]["filepath"], min(count, most)))
            count -= min(count, most)
    if count > 0:
        found.append(Finding(f"{_threads(count)} of unknown kind", _WAIT_FOR[count > 1], False))
    return found


def _threads(count: int) -> str:
    return "a thread" if count == 1 else f"{count} threads"


def _phrase(finding: Finding) -> str:
    """What is in the way, as a part of a sentence."""
    if not finding.what:
        return finding.why
    verb = "are" if finding.what[0].isdigit() else "is"
    running = "running" if "thread" in finding.what else "in use"
    return f"{finding.what} {verb} {running}, and {finding.why}"


# -- libraries that no thread shows


def _states() -> Iterator[Finding]:
    """Libraries in a state that does not survive a fork, whatever threads there are."""
    if "numba.np.ufunc.omppool" in sys.modules:
        # It is imported when the first parallel function is called.
        yield Finding("Numba's OpenMP", "Numba ends forked processes that use it", False)
    torch = sys.modules.get("torch")
    if torch is not None:
        for device, name in (("cuda", "CUDA"), ("xpu", "Intel's XPU")):
            in_use: Any = getattr(getattr(torch, device, None), "is_initialized", None)
            if in_use is not None and in_use():
                why = "it cannot be used in a fork of a process that has used it"
                yield Finding(name, why, False)


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
