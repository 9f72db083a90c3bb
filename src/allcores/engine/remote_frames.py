"""Tracebacks on their way from a worker: as the places they name, and made of these again.

What is made has real frames: `traceback`, `pdb.post_mortem` and debuggers take it for a traceback of
this process.
"""

from __future__ import annotations

import ast
import contextlib
import os
import sys
from itertools import islice
from types import CodeType, TracebackType
from typing import Any, NamedTuple

_PACKAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")
_SHOWN = frozenset({int, float, complex, bool, str, bytes, type(None)})
"""Variables of these types go along, for a debugger to show."""
MOST_SHOWN = 1000
"""Texts and numbers longer than this stay behind."""
STOP = "__stop"


class Place(NamedTuple):
    """Where a frame was when an exception passed."""

    file: str
    name: str
    qualname: str
    module: str
    line: int
    span: tuple[int, int, int, int] | None
    """First and last line and column of what was being evaluated, where that is known."""
    variables: dict[str, Any]


def places(tb: TracebackType | None) -> list[Place]:
    """The places in a traceback, without those of this package."""
    found: list[Place] = []
    after_ours = False
    while tb is not None:
        file = tb.tb_frame.f_code.co_filename
        after_ours = file.startswith(_PACKAGE) or (after_ours and file == contextlib.__file__)
        if not after_ours:
            found.append(_place(tb))
        tb = tb.tb_next
    return found


def _place(tb: TracebackType) -> Place:
    frame = tb.tb_frame
    code = frame.f_code
    span = next(islice(code.co_positions(), tb.tb_lasti // 2, None), (None,) * 4)
    known: Any = span if None not in span else None
    module = frame.f_globals.get("__name__")
    variables = {}
    if frame.f_locals is not frame.f_globals:
        for name, value in frame.f_locals.items():
            if type(value) in _SHOWN and sys.getsizeof(value) < MOST_SHOWN:
                variables[name] = value
    return Place(
        code.co_filename,
        code.co_name,
        code.co_qualname,
        module if isinstance(module, str) else "",
        tb.tb_lineno or code.co_firstlineno,
        known,
        variables,
    )


def traceback_of(found: list[Place], then: TracebackType | None = None) -> TracebackType | None:
    """A traceback that names these places, and goes on with `then`."""
    codes: dict[Any, CodeType] = {}
    tb = then
    # A debugger would take the code that is run here for the user's own.
    tracing = sys.gettrace()
    sys.settrace(None)
    try:
        for place in reversed(found):
            key = place[:6]
            if key not in codes:
                codes[key] = _code(place)
            made = _stopped(codes[key], place)
            tb = TracebackType(tb, made.tb_frame, made.tb_lasti, place.line)
    finally:
        sys.settrace(tracing)
    return tb


def _code(place: Place) -> CodeType:
    """Code that raises there, under the name of what stood there."""
    line, end, column, end_column = place.span or (place.line, place.line, 0, 0)
    at = {
        "lineno": line,
        "end_lineno": end,
        "col_offset": column,
        "end_col_offset": end_column,
    }
    stop = ast.Raise(ast.Name(STOP, ast.Load(), **at), None, **at)
    code = compile(ast.Module([stop], []), place.file, "exec", dont_inherit=True)
    return code.replace(co_name=place.name, co_qualname=place.qualname)


class _Stop(Exception):
    pass


def _stopped(code: CodeType, place: Place) -> TracebackType:
    """The traceback of a frame of this code, with the variables that are known."""
    module = sys.modules.get(place.module)
    namespace = vars(module) if module is not None else {"__name__": place.module}
    variables: dict[str, Any] = {STOP: _Stop}
    try:
        exec(code, namespace, variables)
    except _Stop as stop:
        variables.clear()
        variables.update(place.variables)
        tb = stop.__traceback__
        assert tb is not None and tb.tb_next is not None
        return tb.tb_next
    raise AssertionError
