"""What a generator does when it is closed before its end, as far as reading tells.

One that is read ahead has come to its end when the loop leaves early, and was never closed.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from types import GeneratorType
from typing import Any

from allcores.plan.callables import find_function, module_of
from allcores.plan.live import lookup
from allcores.plan.names import path_of, walk, walk_scope
from allcores.plan.ownership import is_own_module

YIELDS = (ast.Yield, ast.YieldFrom)
LETS_GO = frozenset({"close", "release", "cleanup", "shutdown", "unlink", "remove"})
"""Methods that say nothing, and leave nothing but an end behind."""
CLOSES = frozenset({"GeneratorExit", "BaseException"})


def done_when_closed(generator: GeneratorType[Any, Any, Any]) -> int | None:
    """The line of what it does when it is closed at one of its `yield`s, or None."""
    frame = generator.gi_frame
    if frame is None:
        return None
    code, namespace = generator.gi_code, frame.f_globals
    module = module_of(code.co_filename, namespace)
    node = find_function(module, code.co_name, code.co_firstlineno)[0] if module else None
    if node is None:
        return None
    names = dict(frame.f_locals)
    for stmt in walk_scope(*node.body):
        if isinstance(stmt, ast.Try) and _yields(stmt.body):
            for done in _done_by(stmt):
                if any(_is_told(n) for n in walk(done)):
                    return done.lineno
        elif isinstance(stmt, ast.With) and _yields(stmt.body):
            for item in stmt.items:
                if _is_own(item.context_expr, names, namespace):
                    return stmt.lineno
    return None


def _yields(body: list[ast.stmt]) -> bool:
    return any(isinstance(n, YIELDS) for n in walk_scope(*body))


def _done_by(stmt: ast.Try) -> Iterator[ast.stmt]:
    """What of a `try` runs when a generator is closed within it."""
    yield from stmt.finalbody
    for handler in stmt.handlers:
        kinds = () if handler.type is None else walk(handler.type)
        if handler.type is None or any(isinstance(n, ast.Name) and n.id in CLOSES for n in kinds):
            yield from handler.body


def _is_told(node: ast.AST) -> bool:
    """Whether this is a call that may say something."""
    if not isinstance(node, ast.Call):
        return False
    return not (isinstance(node.func, ast.Attribute) and node.func.attr in LETS_GO)


def _is_own(node: ast.expr, names: dict[str, Any], namespace: dict[str, Any]) -> bool:
    """Whether a context manager may be one that the program has written."""
    path = path_of(node.func if isinstance(node, ast.Call) else node)
    if path is None:
        used = (n for n in walk(node) if isinstance(n, ast.Name))
        return any(_is_own(n, names, namespace) for n in used)
    try:
        found = lookup(path, names, namespace)
    except LookupError:
        return not hasattr(builtins, path)
    home = getattr(found, "__module__", None) or type(found).__module__
    return is_own_module(home)
