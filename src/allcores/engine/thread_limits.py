"""Threads of numeric libraries while there are workers: workers times threads is the cores.

The limit is set in the parent before it forks, and workers inherit it. Set in a worker it would
cost a core for a while: OpenBLAS, whose threads a fork ends, then starts them all again, and they
wait for work by spinning.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from allcores.engine.cores import usable_cores

_found: list[Any] = [0, None]
"""How many modules there were at the last look, and what was found."""


def thread_pools() -> Any:
    """threadpoolctl's view of the libraries with thread pools of their own.

    Looking takes some ms, so that it is done again only when modules were imported since.
    """
    from threadpoolctl import ThreadpoolController

    modules = len(sys.modules)
    if _found[0] != modules:
        try:
            _found[:] = modules, ThreadpoolController()
        except OSError:
            return Unseen()  # looking takes a descriptor, and there may be none left
    return _found[1]


class Unseen:
    """In place of what thread pools there are."""

    def info(self) -> list[dict[str, Any]]:
        return []


class ThreadLimits:
    """The limit of this process. It is lifted when all that asked for it have let go."""

    def __init__(self) -> None:
        self.holders = 0
        self.before: Any = None

    def hold(self, workers: int) -> bool:
        """Leave each of so many workers its part of the cores. True: to be let go once."""
        if "numpy" not in sys.modules:
            return False
        if self.holders == 0:
            each = max(1, usable_cores() // max(workers, 1))
            found = thread_pools()
            if all(library["num_threads"] <= each for library in found.info()):
                return False
            self.before = found.limit(limits=each)
        self.holders += 1
        return True

    def let_go(self) -> None:
        """What `hold` gave True for is over."""
        self.holders -= 1
        if self.holders == 0:
            before, self.before = self.before, None
            before.restore_original_limits()

    @contextmanager
    def held(self, workers: int) -> Iterator[None]:
        """As `hold`, for as long as it takes to fork workers that stay."""
        holds = self.hold(workers)
        try:
            yield
        finally:
            if holds:
                self.let_go()


thread_limits = ThreadLimits()
