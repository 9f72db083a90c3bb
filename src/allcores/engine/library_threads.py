"""What the threads that libraries have started mean for a fork: by whose they are, and their state.

It is imported only where a process has threads that Python does not know of.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from typing import Any

from allcores.engine import native_threads, openmp
from allcores.engine.finding import Finding
from allcores.engine.native_threads import Native
from allcores.engine.thread_limits import thread_pools
from allcores.engine.thread_owners import OWNERS, WAITS, Owner, owner_of

ENDING_SECONDS = 0.02
"""How long a thread that Python has seen end may take to be gone, and one at work to be idle."""
LEAVING_SECONDS = 0.25
"""How long one that Python has started may take to be gone: a busy machine lets it wait for its turn."""
OF_PYTHON = "that Python code started without `threading`"
ARROW_SINCE = 12
"""The first version of pyarrow that sees to all forks (ARROW-17975)."""

_known: dict[int, Native] = {}
"""What threads were found to be, by the kernel's number."""
_judged: tuple[tuple[int, ...], int, str | None] | None = None
"""The threads of the last decision, how many of them Python knows, and what is in the way."""
_WAIT_FOR = (
    "a forked worker could wait for it for ever",
    "a forked worker could wait for them for ever",
)


def until_settled(python_threads: int) -> str | None:
    """Why threads that Python does not know of are in the way.

    A thread that has been joined may still be on its way out of the kernel, and one that has just
    been at work spins for a while, and cannot be looked at before it waits.
    """
    global _judged
    threads = native_threads.ids()
    if _judged is not None and _judged[:2] == (threads, python_threads):
        return _judged[2]
    began = time.monotonic()
    while True:
        threads = native_threads.ids()
        unsafe = [f for f in of_libraries(threads, python_threads) if not f.safe]
        told = all(t in _known for t in threads if t != os.getpid())
        waited = time.monotonic() - began
        leaving = bool(unsafe) and all(f.what.endswith(OF_PYTHON) for f in unsafe)
        if leaving and ENDING_SECONDS <= waited < LEAVING_SECONDS:
            time.sleep(0.001)
            continue
        if (not unsafe and told) or waited >= ENDING_SECONDS:
            why = unsafe[0].phrase() if unsafe else None
            # What could not be told is looked at the next time.
            _judged = (threads, python_threads, why) if told else None
            return why
        os.sched_yield()


def end_threads(python_threads: int) -> str | None:
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
    found = of_libraries(native_threads.ids(), python_threads, openmp_at_work=False)
    return next((f.phrase() for f in found if not f.safe), None)


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


def of_libraries(
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
        what = f"{_threads(-pythons)} {OF_PYTHON}"
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
