"""Commits that look at the exception which is being handled: `log.exception(·)`.

They run in the user's process, where none is handled. An iteration that comes to one is left to the
loop's own body.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import TYPE_CHECKING

from allcores.plan.names import path_of, walk

if TYPE_CHECKING:
    from allcores.plan.model import Step
    from allcores.plan.source import Surroundings

LOOK = frozenset("exception exc_info format_exc print_exc".split())
"""Names of functions and methods that look at it."""


def looking_at_the_exception(
    body: list[ast.stmt], steps: dict[ast.stmt, Step], around: Surroundings
) -> set[ast.stmt]:
    """The commits within handlers that look at the exception."""
    handlers = [n for stmt in body for n in walk(stmt) if isinstance(n, ast.ExceptHandler)]
    if not handlers:
        return set()
    inside = {n for handler in handlers for n in walk(handler) if isinstance(n, ast.stmt)}
    within = {stmt: step for stmt, step in steps.items() if stmt in inside}
    # What the program's own functions do is not known so exactly.
    anywhere = bool(within) and _mentions(walk(around.module.tree))
    return {stmt for stmt, step in within.items() if _looks(step, around, anywhere)}


def _looks(step: Step, around: Surroundings, anywhere: bool) -> bool:
    """anywhere: whether any code of the module mentions what looks at it."""
    in_workers = {n for lift in step.lifts for n in walk(lift)}
    calls = [n for n in walk(step.node) if isinstance(n, ast.Call) and n not in in_workers]
    for call in calls:
        if _named(call.func) in LOOK or any(map(_asks, call.keywords)):
            return True
        path = path_of(call.func) if anywhere else None
        if path is not None and not around.is_builtin(path) and around.summary(path) is not None:
            return True
    return False


def _named(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _asks(keyword: ast.keyword) -> bool:
    """Whether this is `exc_info=True`."""
    value = keyword.value
    return keyword.arg == "exc_info" and isinstance(value, ast.Constant) and bool(value.value)


def _mentions(nodes: Iterable[ast.AST]) -> bool:
    return any(
        (n.id if isinstance(n, ast.Name) else n.attr) in LOOK
        for n in nodes
        if isinstance(n, (ast.Name, ast.Attribute))
    )
