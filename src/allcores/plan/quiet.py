"""Compiling source once more without its warnings: they were shown when it was first compiled."""

from __future__ import annotations

import ast
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any

DROPPED = (SyntaxWarning, DeprecationWarning)
"""All that compiling and forking warn of. Other threads may give other warnings meanwhile."""

_ignoring: list[Any] = [("ignore", None, category, None, 0) for category in DROPPED]
"""Put before the program's filters; this very list is there as long as any thread is inside."""


class _Quiet:
    """Which threads are inside of `no_warnings`: what the program's own filters are then."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.inside = 0
        self.before: Any = None
        self.ours: Any = None

    def enter(self) -> None:
        with self.lock:
            self.inside += 1
            if self.inside == 1:
                self.heal()
                # Only the list is swapped: `catch_warnings` would make warnings already shown
                # appear again.
                self.before = warnings.filters
                self.ours = warnings.filters = [*_ignoring, *self.before]

    def leave(self) -> None:
        with self.lock:
            self.inside = max(self.inside - 1, 0)
            if not self.inside:
                self.heal()

    def heal(self) -> None:
        """Put the program's filters back, also where a `catch_warnings` of another thread has kept
        ours, to put them back later."""
        if self.ours is not None and warnings.filters is self.ours:
            new = [f for f in self.ours[: len(self.ours) - len(self.before)] if f not in _ignoring]
            if new:
                self.before[:0] = new  # another thread's `warnings.simplefilter`
            warnings.filters = self.before

    def of_program(self) -> list[Any]:
        """The program's own filters, also while a thread is inside."""
        with self.lock:
            inside = self.ours is not None and warnings.filters is self.ours
            return list(self.before if inside else warnings.filters)

    def is_forked(self) -> None:
        """In a process just forked: other threads, that may have been inside, are gone."""
        self.lock = threading.RLock()
        self.inside = 0
        self.heal()


_quiet = _Quiet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_quiet.is_forked)


def own_filters() -> list[Any]:
    """`warnings.filters` as the program has it."""
    return _quiet.of_program()


@contextmanager
def no_warnings() -> Iterator[None]:
    """Warnings that compiling and forking give are dropped inside."""
    _quiet.enter()
    try:
        yield
    finally:
        _quiet.leave()


def quiet_compile(tree: Any, filename: str, mode: str, flags: int) -> CodeType:
    """`compile` without warnings and without this module's own future flags."""
    with no_warnings():
        code: CodeType = compile(tree, filename, mode, flags=flags, dont_inherit=True)
        return code


def quiet_parse(text: str, filename: str = "<source>") -> ast.Module:
    """`ast.parse` without warnings."""
    with no_warnings():
        return ast.parse(text, filename)
