"""How functions reach workers that were forked before: by name where the worker has the same
function, by value otherwise, and always with the worker's own module variables.
"""

from __future__ import annotations

import io
import marshal
import pickle
import sys
import weakref
from collections.abc import Iterator
from functools import cache, partial
from opcode import opmap
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from allcores.engine.packing import encode


@cache
def _sender() -> Any:
    """cloudpickle's pickler, but a function keeps to its module. Made when first needed.

    cloudpickle would send the module variables that a function reads as they are here. A worker
    of a pool has its own, which an initializer may have set.
    """
    import cloudpickle

    class Sender(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, obj: Any) -> Any:
            if type(obj) is FunctionType and _module_of(obj) and not _importable(obj):
                return _by_value(obj)
            return super().reducer_override(obj)

    return Sender


def dumps_apart(value: Any) -> tuple[bytes, list[pickle.PickleBuffer]]:
    """Pickle arguments, big buffers apart. Raises what pickling raises."""
    try:
        return encode(value, items=True)
    except Exception:
        return dumps(value), []


def dumps(value: Any) -> bytes:
    """Pickle a function, or the arguments of one. Raises what pickling raises."""
    try:
        return pickle.dumps(value, protocol=5)
    except Exception as first:
        stream = io.BytesIO()
        try:
            _sender()(stream, protocol=5).dump(value)
        except (pickle.PicklingError, TypeError, AttributeError):
            raise first from None
        return stream.getvalue()


def try_dumps(value: Any) -> bytes | None:
    """As `dumps`; None where it cannot be pickled, for handing it out will say why."""
    try:
        return dumps(value)
    except Exception:
        return None


def _module_of(function: FunctionType) -> str | None:
    """The name of the module that holds the function's variables."""
    name = function.__globals__.get("__name__")
    module = sys.modules.get(name) if isinstance(name, str) else None
    return name if module is not None and vars(module) is function.__globals__ else None


def _importable(function: FunctionType) -> bool:
    found: Any = sys.modules.get(function.__module__ or "")
    for part in function.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is function


def _by_value(f: FunctionType) -> tuple[Any, ...]:
    cells: list[Any] = []
    for cell in f.__closure__ or ():
        try:
            cells.append((cell.cell_contents,))
        except ValueError:
            cells.append(None)
    state = {
        "cells": cells,
        "__defaults__": f.__defaults__,
        "__kwdefaults__": f.__kwdefaults__,
        "__dict__": f.__dict__,
        "__name__": f.__name__,
        "__qualname__": f.__qualname__,
        "__module__": f.__module__,
    }
    made = (marshal.dumps(f.__code__), _module_of(f), len(cells))
    # The cells are filled afterwards, for a function may hold itself in one of them.
    return _make, made, state, None, None, _fill


def _make(code: bytes, module: str, cells: int) -> FunctionType:
    closure = tuple(CellType() for _ in range(cells))
    return FunctionType(marshal.loads(code), vars(sys.modules[module]), closure=closure or None)


def _fill(f: FunctionType, state: dict[str, Any]) -> None:
    for cell, contents in zip(f.__closure__ or (), state.pop("cells"), strict=True):
        if contents is not None:
            cell.cell_contents = contents[0]
    f.__dict__.update(state.pop("__dict__"))
    for name, value in state.items():
        setattr(f, name, value)


def functions_in(value: Any) -> list[Any]:
    """The functions and classes that come up when a value is pickled."""
    finder = _Finder(io.BytesIO(), protocol=5, buffer_callback=lambda _: None)
    try:
        finder.dump(value)
    except Exception:
        pass  # whoever sends it will say why
    return finder.found


class _Finder(pickle.Pickler):
    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self.found: list[Any] = []

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is not FunctionType:
            if isinstance(obj, type):
                self.found.append(obj)
            return NotImplemented
        self.found.append(obj)
        # Only looked at: one that pickle cannot send must not end the search.
        return str, ()


# -- what has changed since the workers were forked


class Snapshot:
    """The variables of `__main__`, to tell whether workers forked now still have the same.

    Scripts and notebooks go on defining and changing functions after a pool is made.
    """

    def __init__(self) -> None:
        # Held, for the address of an object that is gone is soon that of another one.
        self.then = {name: _hold(value) for name, value in _main().items()}

    def outdated(self, *functions: Any) -> bool:
        """Whether one of them, or a variable of `__main__` it reads, is another one by now."""
        now = _main()
        seen: set[int] = set()
        stack = list(functions)
        while stack:
            value = stack.pop()
            if id(value) in seen:
                continue
            seen.add(id(value))
            names, inner = _leads(value, now)
            for name in names:
                if name in now:
                    if self.changed(name, now[name]):
                        return True
                    inner.append(now[name])
            stack += inner
        return False

    def changed(self, name: str, value: Any) -> bool:
        if name not in self.then:
            return True
        held = self.then[name]
        return not (held is value or (type(held) is weakref.ref and held() is value))


def _hold(value: Any) -> Any:
    try:
        return weakref.ref(value)
    except TypeError:
        return value


def _leads(value: Any, main: dict[str, Any]) -> tuple[frozenset[str], list[Any]]:
    """What calling a value may use, as far as one sees from outside: names and values."""
    if type(value) is FunctionType:
        if value.__globals__ is not main:
            return frozenset(), []
        top = value.__qualname__.partition(".")[0]
        cells = [c.cell_contents for c in value.__closure__ or () if _full(c)]
        return global_names(value.__code__) | {top}, [c for c in cells if callable(c)]
    if type(value) is MethodType:
        return frozenset(), [value.__func__, type(value.__self__)]
    if isinstance(value, type):
        if value.__module__ != "__main__":
            return frozenset(), []
        inner = [f for f in vars(value).values() if type(f) is FunctionType]
        top = value.__qualname__.partition(".")[0]
        return frozenset((top,)), inner + list(value.__bases__)
    if type(value) is partial:
        return frozenset(), [value.func, *(a for a in value.args if callable(a))]
    return frozenset(), [type(value)] if type(value).__module__ == "__main__" else []


def _full(cell: CellType) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _main() -> dict[str, Any]:
    module = sys.modules.get("__main__")
    return vars(module) if isinstance(module, ModuleType) else {}


_names_of: dict[tuple[CodeType, bool], frozenset[str]] = {}


def global_names(code: CodeType, written: bool = False) -> frozenset[str]:
    """The global names that a function's code reads, or with `written` those it binds as well."""
    known = _names_of.get((code, written))
    if known is None:
        names = {code.co_names[k] for k in _loads(code.co_code, written)}
        for const in code.co_consts:
            if isinstance(const, CodeType):
                names |= global_names(const, written)
        if len(_names_of) > 10_000:
            _names_of.clear()
        known = _names_of[code, written] = frozenset(names)
    return known


def _loads(code: bytes, written: bool) -> Iterator[int]:
    """Indices of the names that instructions load from the globals. `dis` takes long to import."""
    load_global, load_name, extended = (
        opmap[name] for name in ("LOAD_GLOBAL", "LOAD_NAME", "EXTENDED_ARG")
    )
    plain = {load_name, *((opmap["STORE_GLOBAL"], opmap["DELETE_GLOBAL"]) if written else ())}
    high = 0
    for op, low in zip(code[::2], code[1::2]):
        arg = high << 8 | low
        high = arg if op == extended else 0
        if op == load_global:
            yield arg >> 1
        elif op in plain:
            yield arg
