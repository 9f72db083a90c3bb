"""Which values may travel from a worker: those that nobody else in the worker holds.

A copy of an object is as good as the object only if the object is reachable through nothing but
what is sent. Reference counts tell: every reference must come from within what is sent.
"""

from __future__ import annotations

import gc
import re
import sys
import types
from enum import Enum
from typing import Any

ATOMS = frozenset(
    {int, float, complex, bool, str, bytes, range, type(None), type(...), type(NotImplemented), slice, re.Pattern}
)
IMMUTABLE = frozenset(
    """datetime.date datetime.datetime datetime.time datetime.timedelta datetime.timezone decimal.Decimal
    fractions.Fraction uuid.UUID pathlib.PurePosixPath pathlib.PosixPath pathlib._local.PosixPath
    pathlib._local.PurePosixPath""".split()
)
"""Types whose objects never change, by name: most programs do not import them."""
BY_NAME = (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType, types.MethodDescriptorType,
           types.WrapperDescriptorType, Enum)
UNCOUNTED = (tuple, frozenset)


def first_stuck(results: list[Any]) -> int | None:
    """The index of the first result that cannot travel, or None when all can.

    The caller must hold the results in this list alone.
    """
    if set(map(type, results)) <= ATOMS:
        return None
    walk = _Walk()
    for i, r in enumerate(results):
        walk.enter(r, i)
    r = None
    return walk.verdict()


class _Walk:
    def __init__(self) -> None:
        self.edges: dict[int, int] = {}
        self.owner: dict[int, int] = {}
        self.held: list[Any] = []
        self.worst: int | None = None
        np = sys.modules.get("numpy")
        self.ndarray = getattr(np, "ndarray", ()) if np is not None else ()
        self.generic = getattr(np, "generic", ()) if np is not None else ()

    def enter(self, root: Any, index: int) -> None:
        todo = [root]
        del root
        edges = self.edges
        while todo:
            obj = todo.pop()
            kind = type(obj)
            if kind in ATOMS:
                continue
            key = id(obj)
            if key in edges:
                edges[key] += 1
                continue
            if isinstance(obj, BY_NAME) or isinstance(obj, self.generic):
                continue
            if f"{kind.__module__}.{kind.__qualname__}" in IMMUTABLE:
                continue
            edges[key] = 1
            self.owner[key] = index
            self.held.append(obj)
            if kind is list or kind is tuple or kind is set or kind is frozenset:
                if not set(map(type, obj)) <= ATOMS:
                    todo.extend(obj)
            elif self.ndarray and isinstance(obj, self.ndarray):
                if obj.base is not None:
                    todo.append(obj.base)
                if obj.dtype.hasobject:
                    self.bad(index)
            else:
                todo.extend(gc.get_referents(obj))
            obj = None

    def bad(self, index: int) -> None:
        if self.worst is None or index < self.worst:
            self.worst = index

    def verdict(self) -> int | None:
        held = self.held
        for k in range(len(held)):
            obj = held[k]
            if isinstance(obj, UNCOUNTED):
                continue
            # Beside what is sent: the list `held`, the variable, the argument.
            if sys.getrefcount(obj) > self.edges[id(obj)] + 3:
                self.bad(self.owner[id(obj)])
            obj = None
        return self.worst
