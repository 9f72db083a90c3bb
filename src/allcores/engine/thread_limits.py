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


class ThreadLimits:
    """The limit of this process. It is lifted when all that asked for it have let go."""

    def __init__(self) -> None:
        self.holders = 0
        self.before: Any = None

    def hold(self, workers: int) -> bool:
        """Leave each of so many workers its part of the cores. True: to be let go once."""
        if "numpy" not in sys.modules:
            return False
        from threadpoolctl import ThreadpoolController

        if self.holders == 0:
            each = max(1, usable_cores() // max(workers, 1))
            found = ThreadpoolController()
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
