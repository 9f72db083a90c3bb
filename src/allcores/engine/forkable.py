"""Whether this process can be forked safely now."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Container

from allcores.engine.thread_limits import thread_pools

ENDING_SECONDS = 0.02
"""How long a thread that Python has seen end may take to be gone."""
SAFE_OWNERS = frozenset({"tqdm", "IPython", "ipykernel", "zmq", "jupyter_client", "allcores"})
"""Packages whose threads hold no lock that a worker needs: progress bars, notebook kernels, pools."""


def why_not_forkable(
    beside_main: bool = False, apart_from: Container[threading.Thread] = ()
) -> str | None:
    """None when forking is safe, else a plain phrase that says what is in the way.

    beside_main: the main thread may go on with something else meanwhile. apart_from: threads that
    are known to hold no lock that a worker needs.
    """
    if not sys.platform.startswith("linux") or not hasattr(os, "fork"):
        return "forked workers need Linux for now"
    me = threading.current_thread()
    others = [t for t in threading.enumerate() if t is not me]
    for t in others:
        if t is threading.main_thread():
            if beside_main:
                continue
            return "the loop runs in a thread beside the main one"
        if t not in apart_from and not _known(t):
            return f"thread {t.name!r} is running, and a forked worker could wait for it for ever"
    return _native_threads(len(others) + 1)


def _known(thread: threading.Thread) -> bool:
    """Whether the thread belongs to a package known to be safe: by its class or what it runs."""
    target = getattr(thread, "_target", None)
    owners = {type(thread).__module__, getattr(target, "__module__", None) or ""}
    return any(owner.partition(".")[0] in SAFE_OWNERS for owner in owners)


def _native_threads(python_threads: int) -> str | None:
    """Threads that Python does not know of must belong to a pool that survives a fork."""
    deadline = time.monotonic() + ENDING_SECONDS
    while (why := _unknown_threads(python_threads)) is not None and time.monotonic() < deadline:
        # A thread that has been joined may still be on its way out of the kernel.
        os.sched_yield()
    return why


def _unknown_threads(python_threads: int) -> str | None:
    try:
        every = len(os.listdir("/proc/self/task"))
    except OSError:
        return None
    unknown = every - python_threads
    if "zmq" in sys.modules:
        unknown -= 4
    if unknown <= 0:
        return None
    pools = thread_pools().info()
    unsafe = [p for p in pools if p.get("user_api") == "openmp"]
    safe = sum(p["num_threads"] - 1 for p in pools if p.get("internal_api") == "openblas")
    if unknown <= safe:
        return None
    if unsafe:
        return f"the thread pool of {unsafe[0].get('prefix', 'OpenMP')} is running, which does not survive a fork"
    return f"{unknown - safe} threads of unknown kind are running"
