"""Exceptions as the program's user is to see them: without our own frames."""

from __future__ import annotations

import codecs
import contextlib
import functools
import os
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from allcores.engine.failures import WorkerDied
from allcores.engine.interrupts import from_handler

P = ParamSpec("P")
R = TypeVar("R")

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_FUTURES = os.path.join(os.path.dirname(os.__file__), "concurrent", "futures", "_base.py")
_HELPING = frozenset({contextlib.__file__, threading.__file__, _FUTURES})
"""Files of the standard library whose frames say nothing where our own code has called them."""


def without_own_frames(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback without the entries that come from this package."""
    kept: list[TracebackType] = []
    after_ours = False
    each = traceback
    while each is not None:
        file = each.tb_frame.f_code.co_filename
        after_ours = file.startswith(_PACKAGE) or (after_ours and file in _HELPING)
        if not after_ours:
            kept.append(each)
        each = each.tb_next
    for this, following in zip(kept, [*kept[1:], None]):
        this.tb_next = following
    return kept[0] if kept else None


def shows_users_code(error: BaseException) -> bool:
    """Whether this was raised in the program's own code, or a library's, that ours has called."""
    each = error.__traceback__
    while each is not None and each.tb_next is not None:
        each = each.tb_next
    return each is not None and not each.tb_frame.f_code.co_filename.startswith(_PACKAGE)


def trimmed(error: BaseException) -> BaseException:
    """The exception, with a traceback that has no frame of this package, nor a context of ours."""
    context = error.__context__
    while context is not None and _is_ours(context.__traceback__):
        context = context.__context__
    error.__context__ = context
    return error.with_traceback(without_own_frames(error.__traceback__))


def _is_ours(traceback: TracebackType | None) -> bool:
    """Whether an exception with this traceback has been caught by our own code."""
    return traceback is not None and traceback.tb_frame.f_code.co_filename.startswith(_PACKAGE)


def trim(error: BaseException) -> None:
    """Leave our frames out of the traceback, unless it is our own code that went wrong."""
    told = isinstance(error, (WorkerDied, TimeoutError, MemoryError))
    if told or from_handler(error) or shows_users_code(error):
        trimmed(error)


def not_in_tracebacks(function: Callable[P, R]) -> Callable[P, R]:
    """A function of ours that is in no traceback of what the program's own code has raised."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            trim(error)
            raise

    return call


def raises(error: BaseException) -> Iterable[Any]:
    """An iterable that raises this as soon as C code, such as a `chain`, asks for its first item.

    No frame is added to the traceback: given to a user's `for` statement, the exception is raised
    at that line. A StopIteration cannot be raised so; it would be the end of the items.
    """
    # This is the one C function of the standard library that raises what it is given.
    return map(codecs.strict_errors, (error,))  # type: ignore[arg-type]
