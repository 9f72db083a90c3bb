"""How a program names an object that it holds."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from types import FunctionType, MethodType, SimpleNamespace
from typing import Any

from allcores.build.digest import is_own
from allcores.build.reached import globals_of
from allcores.plan.callables import cells_of

MOST = 20_000
"""So many objects are looked at."""


def path_to(roots: Iterable[tuple[str, Any]], wanted: Any) -> str | None:
    """The shortest way to an object, such as `model.lock`; None where none is found."""
    todo = deque(roots)
    seen: set[int] = set()
    while todo and len(seen) < MOST:
        name, obj = todo.popleft()
        if obj is wanted:
            return name
        if id(obj) not in seen:
            seen.add(id(obj))
            todo.extend(_steps(name, obj))
    return None


def names_of(roots: Iterable[tuple[str, Any]], values: list[Any]) -> tuple[set[str], Any]:
    """The variables and attributes that hold these values; and one that is held otherwise."""
    left = {id(value): value for value in values}
    wanted = set(left)
    found: set[str] = set()
    todo = deque(roots)
    seen: set[int] = set()
    while todo and len(seen) < MOST:
        name, obj = todo.popleft()
        if id(obj) in wanted:
            if name.endswith("]"):
                return set(), obj
            found.add(name.rpartition(".")[2])
            left.pop(id(obj), None)
        if id(obj) not in seen:
            seen.add(id(obj))
            todo.extend(_steps(name, obj))
    return found, next(iter(left.values()), None)


def _steps(name: str, obj: Any) -> Iterator[tuple[str, Any]]:
    kind = type(obj)
    if issubclass(kind, dict):
        yield from ((f"{name}[{key!r}]", value) for key, value in list(dict.items(obj)))
    elif issubclass(kind, (list, tuple)):
        yield from ((f"{name}[{k}]", value) for k, value in enumerate(list(obj)))
    elif kind in (set, frozenset):
        yield from ((f"{name}[...]", value) for value in list(obj))
    elif kind is FunctionType:
        yield from _variables(obj)
    elif kind is MethodType:
        yield from ((name.rpartition(".")[0] or name, obj.__self__), (name, obj.__func__))
    elif kind is partial:
        made = ((f"{name}.args[{k}]", value) for k, value in enumerate(obj.args))
        yield from ((f"{name}.func", obj.func), *made)
        yield from ((f"{name}.keywords[{key!r}]", v) for key, v in obj.keywords.items())
    if issubclass(kind, type):
        if is_own(obj):
            yield from ((f"{name}.{key}", value) for key, value in list(vars(obj).items()))
            yield from ((base.__name__, base) for base in obj.__bases__)
        return
    if kind in (staticmethod, classmethod):
        yield name, obj.__func__
    elif kind is property:
        yield from ((name, f) for f in (obj.fget, obj.fset) if f is not None)
    elif is_own(kind):
        yield kind.__name__, kind
    if not is_own(kind) and kind is not SimpleNamespace:
        return  # some would be given a dict by being asked for it
    try:
        held = object.__getattribute__(obj, "__dict__")
    except AttributeError:
        held = {}
    yield from ((f"{name}.{key}", value) for key, value in list(held.items()))


def _variables(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """What a function reads beside its arguments, by the names it has there."""
    yield from cells_of(function).items()
    code, defaults = function.__code__, function.__defaults__ or ()
    names = code.co_varnames[: code.co_argcount]
    yield from zip(names[len(names) - len(defaults) :], defaults, strict=True)
    yield from (function.__kwdefaults__ or {}).items()
    yield from globals_of(function).items()
