"""Everything that can be reached from an object, without running user code."""

from __future__ import annotations

import collections
import contextvars
import gc
import io
import sys
import threading
import types
import weakref
from collections.abc import Callable, Container, Iterable, Iterator
from enum import Enum
from typing import Any

from allcores.plan.kinds import instance_dict, is_a, is_array, is_record
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
    return surrounds(type(o)) or (type(o) is dict and "__builtins__" in o)


def surrounds(kind: type) -> bool:
    """As `surrounding`, where the type tells."""
    if issubclass(kind, (io.IOBase, threading.Thread)):
        return True
    return kind.__module__.partition(".")[0] in SHELLS


def memory_behind(o: Any) -> list[Any]:
    """The objects whose memory this one looks at."""
    if type(o) is memoryview:
        try:
            return [o.obj]
        except ValueError:  # it was released
            return []
    if is_array(type(o)) or is_record(type(o)):
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


STORING = (
    *(collections.ChainMap, collections.UserDict, collections.UserList),
    *(weakref.WeakKeyDictionary, weakref.WeakValueDictionary, weakref.WeakSet),
)
"""Containers that keep their items in others, which the program may know as well."""


def stores_of(o: Any) -> list[Any]:
    """The containers in which one keeps its items."""
    found = [o]
    for each in found:
        if is_a(each, STORING) and len(found) < 50:
            inside = instance_dict(each) or {}
            found += [part for part in inside.values() if is_a(part, (list, dict, set))]
            if is_a(each, collections.ChainMap):
                found += _items(inside.get("maps", ()))
    return found[1:]


INDIRECT = (weakref.ref, contextvars.ContextVar, types.BuiltinFunctionType)
"""Types whose objects lead to others that they do not hold, as far as the collector is told."""


def behind(o: Any) -> Iterator[Any]:
    """What an object of one of these types leads to."""
    if is_a(o, weakref.ref):
        yield weakref.ref.__call__(o)
        if type(o) is not weakref.ref:
            yield from gc.get_referents(o)
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
    obj: Any,
    budget: int,
    functions: list[types.FunctionType] | None = None,
    homes: Container[int] = (),
) -> Iterator[Any]:
    """Objects reachable from `obj`, itself first, at most `budget`; no atoms, code or modules, but
    what functions of the program hold by themselves. functions: is given these functions. homes:
    ids of modules, and of their variables, that are given themselves all the same."""
    seen: set[int] = set()
    keep: list[Any] = []
    todo = [obj]
    ways: dict[type, Callable[[Any], Iterable[Any]] | None] = {}
    while todo and len(seen) < budget:
        o = todo.pop()
        kind = type(o)
        if kind in ATOMS or id(o) in seen:
            continue
        if kind is not list and kind is not tuple:
            if kind not in ways:
                ways[kind] = parts_of(kind)
            way = ways[kind]
            if way is None or (kind is dict and "__builtins__" in o):
                if id(o) in homes:
                    yield o
                continue
            if kind is types.FunctionType and not is_own(o):
                continue
            todo.extend(way(o))
        elif not ATOMS.issuperset(map(type, o)):
            todo.extend(o)
        seen.add(id(o))
        keep.append(o)
        if kind is types.FunctionType:
            if functions is not None:
                functions.append(o)
        elif kind is not types.BuiltinFunctionType:
            yield o


def parts_of(kind: Any) -> Callable[[Any], Iterable[Any]] | None:
    """What gives the objects that one of this type leads to; None: they are none of the program's
    data."""
    if kind is types.FunctionType:
        return held_by
    if issubclass(kind, INDIRECT):
        return behind
    if issubclass(kind, CODE) or surrounds(kind):
        return None
    if issubclass(kind, (list, tuple, set, frozenset)):
        return _items
    if issubclass(kind, dict):
        return _keys_and_values
    if issubclass(kind, types.GeneratorType):
        return _variables
    if is_array(kind):
        return of_array
    if kind is memoryview or is_record(kind):
        return memory_behind
    if kind.__module__ == "numpy" and kind.__name__ in ("flatiter", "nditer"):
        return lambda o: [o.base] if kind.__name__ == "flatiter" else o.operands
    return gc.get_referents


def _items(o: Any) -> Iterable[Any]:
    return () if ATOMS.issuperset(map(type, o)) else o


def _keys_and_values(o: Any) -> Iterable[Any]:
    yield from o.values()
    if not ATOMS.issuperset(map(type, o)):
        yield from o


def _variables(o: Any) -> Iterable[Any]:
    return () if o.gi_frame is None else o.gi_frame.f_locals.values()


def of_array(o: Any) -> Iterable[Any]:
    """What an array holds, and what it looks at; nothing that a subclass has overridden is called."""
    found = [part for part in (o.base, getattr(o, "__dict__", None)) if part is not None]
    plain = o.view(sys.modules["numpy"].ndarray)
    return [*found, *objects_in(plain)] if plain.dtype.hasobject else found


def objects_in(array: Any) -> list[Any]:
    """What an array of objects holds, unless that is nothing but atoms: texts, mostly, such as the
    names of a table's columns. The garbage collector does not see it."""
    if array.dtype.names:
        return [o for name in array.dtype.names for o in objects_in(array[name])]
    held: list[Any] = array.ravel("K").tolist() if array.dtype.hasobject else []
    return [] if ATOMS.issuperset(map(type, held)) else held
