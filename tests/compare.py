"""Compares two graphs of objects: same types and values, and the same objects in the same places."""

from __future__ import annotations

import re
import struct
import types
import warnings
from collections.abc import Iterable
from typing import Any

ATOMS = (int, complex, str, bytes, type(None), range, type(...), type(NotImplemented))
"""Immutable, with no promise of identity, and compared with `==`."""
IGNORED = {"__module__", "__dict__", "__weakref__", "__doc__", "__firstlineno__", "__slotnames__"}
WRAPPERS = (staticmethod, classmethod)

Pairs = Iterable[tuple[Any, Any, str]]


def without_addresses(text: str) -> str:
    """A text without the addresses of objects."""
    return re.sub(r"0x[0-9a-f]+", "0x", text)


class Comparer:
    """Walks both graphs in lock step, and remembers which object stands for which.

    module: classes and functions of a module of this name are compared by what is in them.
    """

    def __init__(self, module: str = "") -> None:
        self.module = module
        self.left: dict[int, Any] = {}
        self.right: dict[int, Any] = {}
        self.keep: list[Any] = []
        self.arrays: list[tuple[Any, Any, str]] = []

    def compare(self, a: dict[str, Any], b: dict[str, Any]) -> str | None:
        """The first difference between two mappings of names, in words; None: they are the same."""
        if set(a) != set(b):
            return f"names: {sorted(set(a) ^ set(b))} on one side only"
        with warnings.catch_warnings():
            # Iterators of itertools lose their `__reduce__` in Python 3.14.
            warnings.simplefilter("ignore", DeprecationWarning)
            return self.first((a[n], b[n], n) for n in sorted(a)) or self.memory()

    # -- one pair

    def same(self, a: Any, b: Any, where: str) -> str | None:
        found = self.kinds(type(a), type(b), where)
        if found:
            return f"{found} ({_short(a)}, {_short(b)})"
        if type(a) is float:
            return None if struct.pack("d", a) == struct.pack("d", b) else _differ(a, b, where)
        if type(a) in ATOMS or type(a) is bool:
            return None if a == b else _differ(a, b, where)
        if isinstance(a, (types.ModuleType, types.CodeType)) or a is b:
            return None if a is b or isinstance(a, types.CodeType) else _differ(a, b, where)
        if not isinstance(a, (tuple, frozenset)):
            if id(a) in self.left or id(b) in self.right:
                if self.left.get(id(a)) is b and self.right.get(id(b)) is a:
                    return None
                return f"{where}: the same object as another on one side only ({_short(a)}, {_short(b)})"
            self.left[id(a)], self.right[id(b)] = b, a
            self.keep += [a, b]
        return self.inside(a, b, where)

    def kinds(self, a: type, b: type, where: str) -> str | None:
        """Two classes are the same one, or were made by the same statement in either program."""
        if a is b:
            return None
        if a.__module__ != self.module or (a.__module__, a.__qualname__) != (
            b.__module__,
            b.__qualname__,
        ):
            return f"{where}: {a.__qualname__} != {b.__qualname__}"
        return self.same(a, b, f"class of {where}")

    def inside(self, a: Any, b: Any, where: str) -> str | None:
        if isinstance(a, type):
            return self.classes(a, b, where)
        if isinstance(a, types.FunctionType):
            return self.functions(a, b, where)
        for kinds, parts in PARTS:
            if isinstance(a, kinds):
                found = parts(self, a, b, where)
                return found or self.attributes(a, b, where)
        name = type(a).__name__
        if name == "ndarray":
            return self.ndarrays(a, b, where)
        if name == "generator":
            return self.generators(a, b, where)
        if hasattr(a, "getvalue") or hasattr(a, "fileno"):
            return self.files(a, b, where)
        return self.others(a, b, where)

    # -- by kind

    def sequences(self, a: Any, b: Any, where: str) -> str | None:
        if len(a) != len(b):
            return _differ(a, b, where)
        return self.first((x, y, f"{where}[{i}]") for i, (x, y) in enumerate(zip(a, b)))

    def mappings(self, a: Any, b: Any, where: str) -> str | None:
        if len(a) != len(b):
            return _differ(a, b, where)
        if type(a).__name__ == "defaultdict":
            found = self.same(a.default_factory, b.default_factory, f"{where}.default_factory")
            if found:
                return found
        keys = ((x, y, f"key {x!r} of {where}") for x, y in zip(a, b))
        values = ((x, y, f"{where}[{k!r}]") for (k, x), y in zip(a.items(), b.values()))
        return self.first(keys) or self.first(values)

    def sets(self, a: Any, b: Any, where: str) -> str | None:
        x, y = sorted(a, key=_plainly), sorted(b, key=_plainly)
        return self.sequences(x, y, where)

    def cells(self, a: Any, b: Any, where: str) -> str | None:
        contents: list[tuple[Any, ...]] = []
        for cell in (a, b):
            try:
                contents.append((cell.cell_contents,))
            except ValueError:
                contents.append(())
        return self.sequences(*contents, where)

    def methods(self, a: Any, b: Any, where: str) -> str | None:
        return self.same(a.__self__, b.__self__, f"{where}.__self__") or self.same(
            a.__func__, b.__func__, f"{where}.__func__"
        )

    def builtins(self, a: Any, b: Any, where: str) -> str | None:
        if a.__name__ != b.__name__:
            return _differ(a, b, where)
        return self.same(a.__self__, b.__self__, f"{where}.__self__")

    def wrappers(self, a: Any, b: Any, where: str) -> str | None:
        return self.same(a.__func__, b.__func__, where)

    def properties(self, a: Any, b: Any, where: str) -> str | None:
        return self.same(a.fget, b.fget, where)

    def exceptions(self, a: Any, b: Any, where: str) -> str | None:
        return (
            (
                None
                if without_addresses(str(a)) == without_addresses(str(b))
                else _differ(a, b, where)
            )
            or self.same(a.args, b.args, f"{where}.args")
            or self.same(a.__cause__, b.__cause__, f"{where}.__cause__")
            or self.same(a.__context__, b.__context__, f"{where}.__context__")
        )

    def functions(self, a: Any, b: Any, where: str) -> str | None:
        x, y = a.__code__, b.__code__
        for part in ("co_names", "co_varnames", "co_firstlineno", "co_qualname"):
            if getattr(x, part) != getattr(y, part):
                return f"{where}: {part} of {a!r} differs"
        if _constants(x) != _constants(y):
            return f"{where}: constants of {a!r} differ"
        return self.first(
            (getattr(a, n), getattr(b, n), f"{where}.{n}")
            for n in ("__defaults__", "__kwdefaults__", "__closure__", "__dict__")
        )

    def classes(self, a: Any, b: Any, where: str) -> str | None:
        if a.__module__ != self.module or a.__qualname__ != b.__qualname__:
            return _differ(a, b, where)
        x = {k: v for k, v in vars(a).items() if k not in IGNORED and not _slot(v)}
        y = {k: v for k, v in vars(b).items() if k not in IGNORED and not _slot(v)}
        if list(x) != list(y):
            return f"{where}: attributes {list(x)} != {list(y)}"
        return self.same(a.__bases__, b.__bases__, f"bases of {where}") or self.first(
            (x[n], y[n], f"{where}.{n}") for n in x
        )

    def generators(self, a: Any, b: Any, where: str) -> str | None:
        if (a.gi_frame is None) != (b.gi_frame is None):
            return f"{where}: a generator that has ended on one side only"
        if a.gi_frame is None:
            return None
        if (a.gi_code.co_name, a.gi_frame.f_lineno) != (b.gi_code.co_name, b.gi_frame.f_lineno):
            return (
                f"{where}: generators stand at lines {a.gi_frame.f_lineno}, {b.gi_frame.f_lineno}"
            )
        return self.mappings(dict(a.gi_frame.f_locals), dict(b.gi_frame.f_locals), where)

    def files(self, a: Any, b: Any, where: str) -> str | None:
        if a.closed != b.closed:
            return f"{where}: closed on one side only"
        if a.closed:
            return None
        if hasattr(a, "getvalue") and a.getvalue() != b.getvalue():
            return _differ(a.getvalue(), b.getvalue(), where)
        if a.seekable() and a.tell() != b.tell():
            return f"{where}: at {a.tell()} != {b.tell()}"
        return None

    def ndarrays(self, a: Any, b: Any, where: str) -> str | None:
        if (a.dtype, a.shape) != (b.dtype, b.shape):
            return f"{where}: {a.dtype}{a.shape} != {b.dtype}{b.shape}"
        if a.size and a.strides != b.strides:
            return f"{where}: strides {a.strides} != {b.strides}"
        for flag in ("WRITEABLE", "ALIGNED", "C_CONTIGUOUS", "F_CONTIGUOUS"):
            if a.flags[flag] != b.flags[flag]:
                return f"{where}: {flag} {a.flags[flag]} != {b.flags[flag]}"
        self.arrays.append((a, b, where))
        if a.dtype.hasobject:
            return self.sequences(a.ravel().tolist(), b.ravel().tolist(), where)
        return None if a.tobytes() == b.tobytes() else _differ(a, b, where)

    def others(self, a: Any, b: Any, where: str) -> str | None:
        """By attributes and slots, or by the parts that pickle would take, or by `repr`."""
        if type(a).__module__ == self.module:
            names = [n for c in type(a).__mro__ for n in _as_tuple(getattr(c, "__slots__", ()))]
            missing = object()
            slots = [n for n in names if getattr(a, n, missing) is not missing]
            if slots != [n for n in names if getattr(b, n, missing) is not missing]:
                return f"{where}: slots {slots} on one side only"
            return self.attributes(a, b, where) or self.first(
                (getattr(a, n), getattr(b, n), f"{where}.{n}") for n in slots
            )
        try:
            x, y = a.__reduce_ex__(4), b.__reduce_ex__(4)
        except Exception:
            x, y = _plainly(a), _plainly(b)
            return self.attributes(a, b, where) or (None if x == y else _differ(a, b, where))
        if isinstance(x, str) or isinstance(y, str):
            return None if x == y else _differ(a, b, where)
        parts = _parts(x), _parts(y)
        self.keep += [x, y, *parts]
        if len(parts[0]) != len(parts[1]):
            return _differ(a, b, where)
        return self.first((p, q, where) for p, q in zip(*parts))

    def attributes(self, a: Any, b: Any, where: str) -> str | None:
        x = {k: v for k, v in getattr(a, "__dict__", {}).items() if k != "__notes__"}
        y = {k: v for k, v in getattr(b, "__dict__", {}).items() if k != "__notes__"}
        if list(x) != list(y):
            return f"{where}: attributes {list(x)} != {list(y)}"
        return self.first((x[k], y[k], f"{where}.{k}") for k in x)

    # -- everything

    def first(self, pairs: Pairs) -> str | None:
        return next((found for x, y, w in pairs if (found := self.same(x, y, w))), None)

    def memory(self) -> str | None:
        """Arrays that overlap do so on both sides."""
        if len(self.arrays) < 2:
            return None
        from numpy import may_share_memory as overlap

        for i, (a, b, where) in enumerate(self.arrays):
            for c, d, other in self.arrays[:i]:
                if overlap(a, c) != overlap(b, d):
                    return f"{where} and {other} share memory on one side only"
        return None


PARTS: tuple[tuple[Any, Any], ...] = (
    ((list, tuple), Comparer.sequences),
    ((dict, types.MappingProxyType), Comparer.mappings),
    ((set, frozenset), Comparer.sets),
    (BaseException, Comparer.exceptions),
    (types.CellType, Comparer.cells),
    (types.MethodType, Comparer.methods),
    (types.BuiltinFunctionType, Comparer.builtins),
    (WRAPPERS, Comparer.wrappers),
    (property, Comparer.properties),
)


def _parts(reduced: tuple[Any, ...]) -> list[Any]:
    """What a value reduces to, without the containers made only for this purpose."""
    flat = list(reduced[:2])
    states = reduced[2] if len(reduced) > 2 and type(reduced[2]) is tuple else reduced[2:3]
    for state in states:
        flat += [*state.keys(), *state.values()] if type(state) is dict else [state]
    for items in reduced[3:5]:
        flat += list(items or ())
    return flat


def _constants(code: types.CodeType) -> list[Any]:
    """Its constants, with the insides of nested functions in place of their code."""
    return [
        (c.co_names, _constants(c)) if isinstance(c, types.CodeType) else (type(c), c)
        for c in code.co_consts
    ]


def _as_tuple(slots: Any) -> tuple[str, ...]:
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _slot(value: Any) -> bool:
    return isinstance(value, (types.GetSetDescriptorType, types.MemberDescriptorType))


def _plainly(value: Any) -> str:
    return re.sub("0x[0-9a-f]+", "", f"{type(value).__name__} {value!r}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 200 else text[:200] + "..."


def _differ(a: Any, b: Any, where: str) -> str:
    return f"{where}: {_short(a)} != {_short(b)}"
