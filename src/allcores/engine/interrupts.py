"""Ctrl-C, held back while what is known of the workers is not in order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

try:
    # Those of `signal` look each handler up among names, which takes ten times as long.
    from _signal import getsignal  # type: ignore[import-not-found]
    from _signal import signal as set_signal
except ImportError:
    from signal import getsignal
    from signal import signal as set_signal


class Interrupts:
    """Holds SIGINT back from the main thread; elsewhere it does nothing, for none comes there.

    wake: called when one has come, to end what the main thread waits for. A second one that comes
    before the first was let through is not held back.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake = wake
        self.depth = 0
        self.came = False
        self.before: Any = None
        self.ours: Any = self.handle

    def handle(self, number: int, frame: FrameType | None) -> None:
        again, self.came = self.came, True
        if again and self.before is not None:
            self.came = False
            self.before(number, frame)
        self.wake()

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Interrupts that come inside are raised at its end, or where they are let through."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # In this order: until the handler is ours an interrupt may come between any two lines.
        if not self.depth:
            self.take_over()
        self.depth += 1
        try:
            yield
        finally:
            self.depth = max(self.depth - 1, 0)
            if not self.depth:
                self.hand_back()

    @contextmanager
    def let_through(self) -> Iterator[None]:
        """Where others' code runs, though inside of `held_back`, for it may take any time."""
        if not self.depth or threading.current_thread() is not threading.main_thread():
            yield
            return
        depth, self.depth = self.depth, 0
        try:
            self.hand_back()
            yield
        finally:
            self.take_over()
            self.depth = depth

    def raise_now(self) -> None:
        """Let through what has come: all is in order here."""
        if self.came and threading.current_thread() is threading.main_thread():
            self.came = False
            self.before(signal.SIGINT, None)

    def take_over(self) -> None:
        if callable(getsignal(signal.SIGINT)):
            self.before = set_signal(signal.SIGINT, self.ours)

    def hand_back(self) -> None:
        if self.before is None:
            return
        if getsignal(signal.SIGINT) == self.ours:
            set_signal(signal.SIGINT, self.before)
        before, self.before = self.before, None
        if self.came:
            self.came = False
            before(signal.SIGINT, None)
