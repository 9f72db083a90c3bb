"""Everything that can be reached from an object, without running user code."""

from __future__ import annotations

import contextvars
import gc
import io
import sys
import threading
import types
import weakref
from collections.abc import Iterator
from enum import Enum
from typing import Any

from allcores.plan.kinds import is_a
from allcores.plan.ownership import is_own

ATOMS = frozenset({int, float, complex, bool, str, bytes, range, type(None)})
SHELLS = frozenset({"IPython", "ipykernel", "zmq", "traitlets", "logging", "_thread", "asyncio"})
CODE = (
    type,
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.CodeType,
    types.FrameType,
    Enum,
)
"""What is no data of the program's: everybody shares it."""


def surrounding(o: Any) -> bool:
    """Streams, threads, namespaces and interactive shells: they lead to everything there is."""
    if is_a(o, (io.IOBase, threading.Thread)):
        return True
    if type(o) is dict and "__builtins__" in o:
        return True
    return type(o).__module__.partition(".")[0] in SHELLS


def is_array(o: Any) -> bool:
    """Whether this is an array of NumPy's, of whatever class."""
    np = sys.modules.get("numpy")
    return np is not None and is_a(o, getattr(np, "ndarray", ()))


def memory_behind(o: Any) -> list[Any]:
    """The objects whose memory this one looks at."""
    if type(o) is memoryview:
        try:
            return [o.obj]
        except ValueError:  # it was released
            return []
    if is_array(o):
        return [] if o.base is None else [o.base]
    if type(type(o)).__module__ != "_ctypes":
        return []
    # The last is what NumPy has pointers hold.
    held: list[Any] = [o._b_base_, o._objects, getattr(o, "_arr", None)]
    inside = o._objects.values() if type(o._objects) is dict else ()
    return [each for each in (*held, *inside) if each is not None and type(each) is not dict]


def memory_of(o: Any) -> list[Any]:
    """An object, and all those that share its memory, as far as it holds them."""
    found = [o]
    for each in found:
        if len(found) < 50:
            found += (b for b in memory_behind(each) if not any(b is f for f in found))
    return found


INDIRECT = frozenset({weakref.ref, contextvars.ContextVar, types.BuiltinFunctionType})
"""Types whose objects lead to others that they do not hold, as far as the collector is told."""


def behind(o: Any) -> Iterator[Any]:
    """What an object of one of these types leads to."""
    if type(o) is weakref.ref:
        yield o()
    elif type(o) is contextvars.ContextVar:
        yield o.get(None)
    elif not is_a(o.__self__, (types.ModuleType, type)):
        yield o.__self__


def held_by(function: types.FunctionType) -> Iterator[Any]:
    """The values of the variables around a function that it uses, and its parameters' defaults."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:
            continue  # nothing is bound
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()


def reachable(
    obj: Any, budget: int, functions: list[types.FunctionType] | None = None
) -> Iterator[Any]:
    """Objects reachable from `obj`, itself first, at most `budget`; no atoms, code or modules, but
    what functions of the program hold by themselves. functions: is given these functions."""
    seen: set[int] = set()
    keep: list[Any] = []
    todo = [obj]
    while todo and len(seen) < budget:
        o = todo.pop()
        if type(o) is types.FunctionType:
            if id(o) not in seen and is_own(o):
                seen.add(id(o))
                keep.append(o)
                todo.extend(held_by(o))
                if functions is not None:
                    functions.append(o)
            continue
        if type(o) in INDIRECT:
            todo.extend(behind(o))
            if type(o) is types.BuiltinFunctionType:
                continue
        if type(o) in ATOMS or is_a(o, CODE) or id(o) in seen or surrounding(o):
            continue
        seen.add(id(o))
        keep.append(o)
        yield o
        if is_a(o, (list, tuple, set, frozenset)):
            if not set(map(type, o)) <= ATOMS:
                todo.extend(o)
        elif is_a(o, dict):
            todo.extend(o.values())
            if not set(map(type, o)) <= ATOMS:
                todo.extend(o)
        elif is_a(o, types.GeneratorType):
            if o.gi_frame is not None:
                todo.extend(o.gi_frame.f_locals.values())
        elif is_array(o):
            todo.extend(part for part in (o.base, getattr(o, "__dict__", None)) if part is not None)
        elif type(o) is memoryview:
            todo.extend(memory_behind(o))
        elif type(o).__module__ == "numpy" and type(o).__name__ in ("flatiter", "nditer"):
            todo.extend([o.base] if type(o).__name__ == "flatiter" else o.operands)
        else:
            todo.extend(gc.get_referents(o))
