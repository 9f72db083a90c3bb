"""Reading and writing the variables of a running frame."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any


def read(frame: FrameType, module_level: bool) -> dict[str, Any]:
    """A snapshot of the frame's variables (at module level: the globals themselves)."""
    return frame.f_globals if module_level else dict(frame.f_locals)


def write(frame: FrameType, module_level: bool, values: dict[str, Any], gone: set[str]) -> None:
    """Bind `values` and unbind the names in `gone`."""
    if module_level:
        frame.f_globals.update(values)
        for name in gone:
            frame.f_globals.pop(name, None)
        return
    if not values and not gone:
        return
    variables = frame.f_locals
    if sys.version_info >= (3, 13):
        for name, value in values.items():
            variables[name] = value
        if gone:
            _unbind(frame, gone)
        return
    # Each read of f_locals refreshes the dict and would lose the changes: it is read once.
    variables.update(values)
    for name in gone:
        variables.pop(name, None)
    _to_fast(frame, bool(gone))


def drop_snapshot(frame: FrameType) -> None:
    """Have a function's variables be held by nothing but the function.

    Before Python 3.13 the dict that `f_locals` makes stays, and holds what they held when it was read.
    """
    if sys.version_info >= (3, 13) or not frame.f_code.co_flags & 1:  # CO_OPTIMIZED: a function
        return
    variables = frame.f_locals
    # The frame, the variable and the argument: the program itself does not hold it.
    if sys.getrefcount(variables) <= 3:
        # What `exec` has put beside them is nowhere else.
        code = frame.f_code
        for name in (*code.co_varnames, *code.co_cellvars, *code.co_freevars):
            variables.pop(name, None)


def _to_fast(frame: FrameType, clear: bool) -> None:
    import ctypes

    ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(clear))


def _unbind(frame: FrameType, gone: set[str]) -> None:
    """From 3.13 on a variable can be bound through f_locals, but not unbound: None is the next best."""
    variables = frame.f_locals
    for name in gone:
        if name in variables:
            variables[name] = None
