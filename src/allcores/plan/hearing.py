"""What hears what a loop says: lists of warnings, handlers of logging, streams of the program's own.

Iterations in workers say things later, in the user's process, so that work which reads what hears
them would not find there what the plain loop finds.
"""

from __future__ import annotations

import io
import sys
import warnings
from collections import deque
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from allcores.plan.kinds import instance_dict
from allcores.plan.ownership import is_own_module
from allcores.plan.reach import held_by, reachable

BUDGET = 10_000
"""So many objects are looked at behind each."""
HEARS = "hears what is {}"
COUNTS_WARNINGS = HEARS.format("warned of")
"""How the reason of a loop ends of which no warning is given, for the body would count that."""
TEXTS = (io.StringIO, list)
CHANGING = (list, dict, set, deque, bytearray, io.StringIO, io.BytesIO)


def heard_and_read(read: list[tuple[str, Any]]) -> str | None:
    """Why work must not read one of these, in words, or None. read: paths and their objects."""
    heard = [
        (text, part)
        for text, listener in _listeners()
        for part in (listener, *reachable(listener, BUDGET))
        if _may_change(part)
    ]
    if not heard:
        return None
    ids = {id(part): text for text, part in heard}
    for path, obj in read:
        for part in (obj, *reachable(obj, BUDGET)):
            if id(part) in ids:
                return f"`{path}` is read here, and {HEARS.format(ids[id(part)])}"
    return None


def _may_change(part: Any) -> bool:
    """Whether what is told may be put there: texts and paths that a record holds hear nothing."""
    kind = type(part)
    return issubclass(kind, CHANGING) or is_own_module(kind.__module__) or issubclass(kind, type)


def _listeners() -> Iterator[tuple[str, Any]]:
    for stream in (sys.stdout, sys.stderr):
        if type(stream) in TEXTS:
            yield "printed", stream
    yield from (("warned of", part) for part in _told_of_warnings())
    logging = sys.modules.get("logging")
    if logging is not None:
        yield from (("logged", part) for part in _told_by_loggers(logging))


def _told_of_warnings() -> Iterator[Any]:
    """The list of `catch_warnings(record=True)`; what a `showwarning` of the program's sees."""
    for show in (getattr(warnings, "_showwarnmsg_impl", None), warnings.showwarning):
        owner = getattr(show, "__self__", None)
        if type(owner) is list:
            yield owner
        elif type(show) is FunctionType and is_own_module(show.__module__):
            yield from _seen_by(show)


def _seen_by(function: FunctionType) -> Iterator[Any]:
    yield from held_by(function)
    variables = function.__globals__
    yield from (variables[n] for n in function.__code__.co_names if n in variables)


def _told_by_loggers(logging: Any) -> Iterator[Any]:
    """Handlers and filters, and the attributes of such as the program has classes for."""
    handlers = [found for found in (ref() for ref in list(logging._handlerList)) if found]
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    holders = [*handlers, *(each for each in loggers if isinstance(each, logging.Logger))]
    for each in (*handlers, *(f for holder in holders for f in holder.filters)):
        held = instance_dict(each) or {}
        if is_own_module(type(each).__module__):
            yield each
            yield type(each)
            yield from held.values()
        else:
            yield from (held[n] for n in ("stream", "buffer") if type(held.get(n)) in TEXTS)
