"""Ctrl-C and other signals that the program handles, held back while our books are not in order."""

from __future__ import annotations

import signal
import sys
import threading
import time
from _thread import interrupt_main
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, TypeVar

try:
    # Those of `signal` look each handler up among names, which takes ten times as long.
    from _signal import getsignal  # type: ignore[import-not-found]
    from _signal import signal as set_signal
except ImportError:
    from signal import getsignal
    from signal import signal as set_signal

P = TypeVar("P")
R = TypeVar("R")

HELD = tuple(
    int(getattr(signal, name))
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGALRM", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
)
"""Signals whose handlers may well raise something; only handlers written in Python are held back."""
PATIENCE = 1.0
"""Seconds after a first signal from which on another one is let through wherever we are."""


class Interrupts:
    """Holds signals back from the main thread; elsewhere it does nothing, for none comes there.

    wake: called when one has come, to end what the main thread waits for.
    """

    def __init__(self, wake: Callable[[], None] | None = None) -> None:
        self.wake = wake
        self.depth = 0
        self.came: list[int] = []
        """Those that came, in order, and when the first did."""
        self.since = 0.0
        self.before: dict[int, Any] = {}
        """The program's own handlers, while ours stand in their places."""
        self.ours: Any = self.handle

    def handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self.came:
            self.since = now
        elif now - self.since > PATIENCE and number in self.before:
            self.came.clear()
            self.before[number](number, frame)
            return
        self.came.append(number)
        if self.wake is not None:
            self.wake()

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Signals that come inside are handled at its end, or where they are let through."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # In this order: until the handlers are ours a signal may come between any two lines.
        if not self.depth:
            try:
                self.take_over()
            except BaseException:
                self.hand_back()
                raise
        self.depth += 1
        try:
            yield
        except KeyboardInterrupt:
            self.is_one_with_the_first()
            raise
        finally:
            self.depth = max(self.depth - 1, 0)
            if not self.depth:
                self.hand_back()

    def let_through(self) -> LetThrough:
        """Where others' code runs, though inside of `held_back`, for it may take any time."""
        return LetThrough(self)

    def raise_now(self) -> None:
        """Let through what has come: all is in order here."""
        if self.came and threading.current_thread() is threading.main_thread():
            with self.let_through():
                pass

    def while_closing(self, close: Callable[[], object]) -> object:
        """Call this, as a generator is closed, with signals held back.

        What the program's handlers raised here would be lost, as in a destructor. Signals that
        come meanwhile are handled when the object that this gives is dropped: when the frame that
        holds it is gone.
        """
        late = []
        with self.held_back():
            close()
            late = [_when_dropped(number) for number in self.came]
            self.came.clear()
        return late

    def take_over(self) -> None:
        """Put our handlers in the places of the program's."""
        try:
            for number in HELD:
                handler = getsignal(number)
                if callable(handler) and handler is not self.ours:
                    self.before[number] = handler
                    set_signal(number, self.ours)
        except BaseException as error:
            # It came before its handler was ours.
            self.take_over()
            first = self.before.get(signal.SIGINT) is signal.default_int_handler
            if first and isinstance(error, KeyboardInterrupt):
                self.came.append(signal.SIGINT)  # held back as if it had come a moment later
                return
            # It goes its way with the others held back.
            raise

    def hand_back(self) -> None:
        """Put the program's handlers back, and have them see to what has come."""
        try:
            for number in list(self.before):
                if getsignal(number) is self.ours:
                    set_signal(number, self.before[number])
                self.before.pop(number, None)
        except BaseException as error:
            # It came as soon as its handler was back.
            if isinstance(error, KeyboardInterrupt):
                self.is_one_with_the_first()
            self.hand_back()
            raise
        self.deliver()

    def deliver(self) -> None:
        while self.came:
            number = self.came.pop(0)
            handler = getsignal(number)
            try:
                if callable(handler):
                    handler(number, sys._getframe())
            except KeyboardInterrupt:
                self.is_one_with_the_first()
                raise
            finally:
                if self.came:
                    self.deliver()

    def is_one_with_the_first(self) -> None:
        """A KeyboardInterrupt is on its way: Ctrl-C again, out of impatience, says the same."""
        if signal.SIGINT in self.came:
            handler = self.before.get(signal.SIGINT, getsignal(signal.SIGINT))
            if handler is signal.default_int_handler:
                self.came = [number for number in self.came if number != signal.SIGINT]


class LetThrough:
    """Signals are handled as they come inside of this, though they are held back around it.

    No generator, for one that is interrupted as it is entered goes on when it is dropped, which may
    be long after the signals were handed back, and would take them over for good.
    """

    def __init__(self, interrupts: Interrupts) -> None:
        self.interrupts = interrupts
        self.depth = 0

    def __enter__(self) -> None:
        interrupts = self.interrupts
        if not interrupts.depth or threading.current_thread() is not threading.main_thread():
            return
        self.depth, interrupts.depth = interrupts.depth, 0
        try:
            interrupts.hand_back()
        except BaseException:
            self.hold_again()
            raise

    def __exit__(self, *_: object) -> None:
        if self.depth:
            self.hold_again()

    def hold_again(self) -> None:
        self.interrupts.depth = self.depth
        self.interrupts.take_over()


def from_handler(error: BaseException) -> bool:
    """Whether a signal's handler has raised this, and not what ran when the signal came."""
    if type(error) is KeyboardInterrupt:
        return True
    codes = {_code_of(_handler(number)) for number in HELD} - {None}
    traceback = error.__traceback__
    while traceback is not None and codes:
        if traceback.tb_frame.f_code in codes:
            return True
        traceback = traceback.tb_next
    return False


def _handler(number: int) -> Any:
    """The program's own handler, whether ours stands in its place or not."""
    handler = getsignal(number)
    while isinstance(getattr(handler, "__self__", None), Interrupts):
        handler = handler.__self__.before.get(number)
    return handler


def _code_of(handler: Any) -> Any:
    handler = handler.func if isinstance(handler, partial) else handler
    handler = getattr(handler, "__func__", handler)
    if not hasattr(handler, "__code__"):
        handler = getattr(type(handler), "__call__", None)  # noqa: B004
    return getattr(handler, "__code__", None)


def undisturbed(interrupts: Interrupts, steps: Generator[P, None, R]) -> Generator[P, None, R]:
    """What a generator gives: signals are held back while it runs, not while its user does."""
    try:
        while True:
            with interrupts.held_back():
                try:
                    piece = next(steps)
                except StopIteration as end:
                    result: R = end.value
                    return result
            yield piece
    finally:
        with interrupts.held_back():
            steps.close()


def closed_undisturbed(
    interrupts: Interrupts, pieces: Generator[P, None, None]
) -> Generator[P, None, None]:
    """What a generator gives; when this one is closed early, signals wait until that is over."""
    try:
        for piece in pieces:  # noqa: UP028  (`yield from` would close it before we hear of that)
            yield piece
    except GeneratorExit:
        late = []  # kept as long as this frame
        closed = False
        while not closed:
            try:
                late.append(interrupts.while_closing(pieces.close))
                closed = True
            except KeyboardInterrupt:
                # It came just before signals were held back, or just after.
                late.append(_when_dropped(signal.SIGINT))
        raise
    except BaseException:
        with interrupts.held_back():
            pieces.close()
        raise


def _when_dropped(number: int) -> object:
    """An object that sends this process a signal when it is dropped.

    It does so from C: Python code would be where the handler runs, and would raise what it raises.
    """
    send = staticmethod(partial(interrupt_main, signal.Signals(number)))
    return type("Late", (), {"__del__": send})()
