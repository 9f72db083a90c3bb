"""Functions of which there is no source: what is known of the objects behind their names."""

from __future__ import annotations

import ast
import sys
from types import FunctionType, ModuleType
from typing import Any

from allcores.plan.bytecode import read_bytecode
from allcores.plan.callables import Callables
from allcores.plan.effects import module_root
from allcores.plan.kinds import is_a
from allcores.plan.live import Names, lookup
from allcores.plan.source import MAX_DEPTH, Module
from allcores.plan.summaries import Known, Reading, Summary


def summary_without_source(
    function: FunctionType, cells: dict[str, Any], depth: int, reading: Reading
) -> Summary:
    """What calling a function does, as far as its bytecode shows. cells: its closure by names."""
    module = reading.without_source
    if module is None:
        module = reading.without_source = Module(ast.Module([], []), "")
    key = (function.__code__, id(function.__globals__), *map(id, cells.values()))
    known = reading.known(module, key, depth)
    if known is not None:
        return known
    nothing = Summary(function.__code__.co_firstlineno)
    if depth >= MAX_DEPTH:
        reading.cut = True
        return nothing
    follow = _Followed(Names(cells, function.__globals__), depth + 1, reading)
    pinned = (function, *cells.values())
    return reading.summarise(
        module, key, Known(depth, nothing, pinned), lambda: read_bytecode(function, follow)
    )


class _Followed:
    """What the names of a function lead to: `bytecode.Follow`."""

    def __init__(self, live: Names, depth: int, reading: Reading) -> None:
        self.live, self.depth, self.reading = live, depth, reading

    def summary(self, path: str) -> Summary | None:
        return self.live.summary(path, self.depth, self.reading)

    def canonical(self, path: str) -> str:
        head, *rest = path.split(".")
        module = sys.modules.get(head[1:].replace("/", ".")) if head[0] == "@" else None
        if module is None:
            return self.live.canonical(path)
        while rest and is_a(inner := module.__dict__.get(rest[0]), ModuleType):
            module = inner
            del rest[0]
        own = module.__dict__ is self.live.namespace and rest
        return ".".join(rest if own else [module_root(module.__name__), *rest])

    def value(self, path: str) -> Any:
        return lookup(path, self.live.names, self.live.namespace)

    def methods_named(self, name: str) -> list[Summary]:
        namespace = self.live.namespace
        classes = {id(c): c for c in list(namespace.values()) if is_a(c, type)}
        methods = [c.__dict__.get(name) for c in classes.values()]
        reader = Callables(namespace, self.depth, self.reading)
        found = [reader.summary_of(m) for m in methods if is_a(m, FunctionType)]
        return [summary for summary in found if summary is not None]
