"""Threads of numeric libraries while there are workers: workers times threads is the cores.

For forked workers the limit is set in the parent before it forks, and they inherit it. Set in such a
worker it would cost a core for a while: OpenBLAS, whose threads a fork ends, then starts them all
again, and they wait for work by spinning. A clean interpreter sets its own (`limit_this_worker`).
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from allcores.engine.cores import usable_cores

_found: list[Any] = [0, None]
"""How many modules there were at the last look, and what was found."""
SET_BY_IT = "KMP_DUPLICATE_LIB_OK"
"""A variable of the environment that threadpoolctl sets when it is imported."""


def thread_pools() -> Any:
    """threadpoolctl's view of the libraries with thread pools of their own.

    Looking takes some ms, so that it is done again only when modules were imported since.
    """
    modules = len(sys.modules)
    if _found[0] != modules:
        try:
            _found[:] = modules, _controller()()
        except OSError:
            return Unseen()  # looking takes a descriptor, and there may be none left
    return _found[1]


def _controller() -> Any:
    """threadpoolctl's class, without the variable of the environment that importing it sets."""
    first = "threadpoolctl" not in sys.modules and SET_BY_IT not in os.environ
    from threadpoolctl import ThreadpoolController

    if first:
        os.environ.pop(SET_BY_IT, None)
    return ThreadpoolController


class Unseen:
    """In place of what thread pools there are."""

    lib_controllers: tuple[Any, ...] = ()

    def info(self) -> list[dict[str, Any]]:
        return []


def threads_each(workers: int) -> int:
    """How many threads each of so many workers may have in its pools."""
    return max(1, usable_cores() // max(workers, 1))


def may_have_pools() -> bool:
    """Whether a library is loaded that comes with thread pools: nearly all of them load NumPy."""
    return "numpy" in sys.modules or "torch" in sys.modules


def widest_pool() -> int:
    """The most threads that any of the pools that are loaded may use; 1 where there is none."""
    if not may_have_pools():
        return 1
    return max((library.num_threads or 1 for library in thread_pools().lib_controllers), default=1)


class ThreadLimits:
    """The limit of this process. It is lifted when all that asked for it have let go.

    Loops in several threads may hold it at once: then what the first of them asked for counts.
    """

    def __init__(self) -> None:
        self.holders = 0
        self.lift: list[Callable[[], object]] = []
        """What gives pools back the threads that they had."""
        self.lock = threading.RLock()

    def hold(self, workers: int) -> bool:
        """Leave each of so many workers its part of the cores. True: to be let go once."""
        if not may_have_pools():
            return False
        with self.lock:
            if self.holders == 0:
                self.lift = _limit(threads_each(workers))
                if not self.lift:
                    return False
            self.holders += 1
            return True

    def let_go(self) -> None:
        """What `hold` gave True for is over."""
        with self.lock:
            self.holders -= 1
            if self.holders == 0:
                while self.lift:
                    self.lift.pop()()

    @contextmanager
    def held(self, workers: int) -> Iterator[None]:
        """As `hold`, for as long as it takes to fork workers that stay."""
        holds = self.hold(workers)
        try:
            yield
        finally:
            if holds:
                self.let_go()

    def is_forked(self) -> None:
        """In a process just forked: another thread may have held the lock."""
        self.lock = threading.RLock()


def _limit(each: int) -> list[Callable[[], object]]:
    """Have no pool use more threads; gives what takes this back: nothing where none did."""
    lift: list[Callable[[], object]] = []
    for library in thread_pools().lib_controllers:
        number = library.num_threads
        if number is not None and number > each:
            # threadpoolctl lets one Python thread only set those of OpenBLAS, for as long as that
            # thread lives, but a loop may run in any.
            set_number = getattr(library, "_real_set_num_threads", library.set_num_threads)
            lift.append(partial(set_number, number))
            set_number(each)
    numexpr = sys.modules.get("numexpr")
    if numexpr is not None and getattr(numexpr, "get_num_threads", int)() > each:
        lift.append(partial(numexpr.set_num_threads, numexpr.set_num_threads(each)))
    return lift


def of_this_thread() -> list[Callable[[], object]]:
    """What gives another thread the limits that this one has: OpenMP keeps them for each by itself."""
    if not may_have_pools():
        return []
    libraries = [each for each in thread_pools().lib_controllers if each.user_api == "openmp"]
    return [partial(each.set_num_threads, each.num_threads) for each in libraries]


thread_limits = ThreadLimits()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=thread_limits.is_forked)

_limited: list[int] = [0, 0]
"""How many modules this worker had when its pools were last limited, and to how many threads."""


def limit_this_worker(each: int) -> None:
    """Have the pools of this process, which is a worker for good, use no more threads than that.

    To be called before each chunk: work may load a library, whose pool has all cores at first.
    Where no module was loaded since, this takes less than a microsecond.
    """
    if _limited == [len(sys.modules), each]:
        return
    if may_have_pools():
        _limit(each)
    _limited[:] = len(sys.modules), each
