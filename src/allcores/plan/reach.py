"""Everything that can be reached from an object, without running user code."""

from __future__ import annotations

import gc
import io
import threading
import types
from collections.abc import Iterator
from enum import Enum
from typing import Any

from allcores.plan.kinds import is_a

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


def reachable(obj: Any, budget: int) -> Iterator[Any]:
    """Objects reachable from `obj`, itself first, at most `budget`; no atoms, code or modules."""
    seen: set[int] = set()
    keep: list[Any] = []
    todo = [obj]
    while todo and len(seen) < budget:
        o = todo.pop()
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
        elif type(o).__name__ == "ndarray":
            base = getattr(o, "base", None)
            if base is not None:
                todo.append(base)
        else:
            todo.extend(gc.get_referents(o))
