"""Commits that call what cannot be read: they may change what workers have been given already."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

from allcores.plan import effects as fx
from allcores.plan.kinds import is_a
from allcores.plan.live import Names, lookup
from allcores.plan.model import Plan
from allcores.plan.names import BUILTINS, children, path_of
from allcores.plan.ownership import is_own
from allcores.plan.reach import reachable
from allcores.plan.summaries import Reading
from allcores.plan.table import changes_its_object

MOST = 2_000
"""So many objects are looked at for what two variables hold both."""


class Blind(NamedTuple):
    """A call in a commit that may change something, for all that is known."""

    step: ast.stmt
    call: ast.Call
    touched: set[str]
    """What work reads of what the call is given."""


def blind_calls(plan: Plan, names: dict[str, Any], namespace: dict[str, Any]) -> list[Blind]:
    """The calls in commits that may change what work reads.

    names: the variables around the loop; namespace: its globals.
    """
    live, found = Names(names, namespace), []
    read = {path.partition(".")[0].removesuffix("()") for path in plan.work_reads}
    for step in plan.steps.values():
        for call in _calls(step.node, set(map(id, step.lifts))):
            if _is_known(call, True, live):
                continue
            given = [*call.args, *(keyword.value for keyword in call.keywords)]
            used = {n.id for arg in given for n in _walk(arg, set()) if isinstance(n, ast.Name)}
            touched = (used & read) | _sharing(read, used, live)
            if not _is_known(call, bool(touched), live):
                found.append(Blind(step.node, call, touched))
    return found


def before_work(plan: Plan, calls: list[Blind]) -> ast.Call | None:
    """One of these that work comes after, in the same iteration, which reads what the call is given:
    nobody can tell what work should see then."""
    reads = [n for n in plan.work_nodes() if isinstance(n, ast.Name)]
    inner = [n for s in plan.node.body for n in ast.walk(s) if isinstance(n, (ast.For, ast.While))]
    for step, call, touched in calls:
        around = [loop for loop in inner if _contains(loop, step)]
        for n in reads:
            later = (n.lineno, n.col_offset) > (call.end_lineno or 0, call.end_col_offset or 0)
            if n.id in touched and (later or any(_contains(loop, n) for loop in around)):
                return call
    return None


def _contains(outer: ast.AST, inner: ast.AST) -> bool:
    return any(n is inner for n in ast.walk(outer))


def _sharing(read: set[str], given: set[str], live: Names) -> set[str]:
    """Those of the variables read that hold something which these others hold as well."""
    held = {name: live.names.get(name, live.namespace.get(name)) for name in read | given}
    other = {id(o) for name in given for o in reachable(held[name], MOST)}
    return {
        name for name in read if other and any(id(o) in other for o in reachable(held[name], MOST))
    }


def _walk(node: ast.AST, sent: set[int]) -> Iterator[ast.AST]:
    """All nodes but those that workers evaluate."""
    if id(node) in sent:
        return
    yield node
    for child in children(node):
        yield from _walk(child, sent)


def _calls(node: ast.AST, sent: set[int]) -> Iterator[ast.Call]:
    return (n for n in _walk(node, sent) if isinstance(n, ast.Call))


def _is_known(call: ast.Call, touches: bool, live: Names) -> bool:
    """Whether what the call changes is known, or can be nothing of what work reads.

    touches: whether it is given something that work reads.
    """
    path = path_of(call.func)
    if path is None:
        owner = call.func.value if isinstance(call.func, ast.Attribute) else None
        return isinstance(owner, (ast.Constant, ast.JoinedStr)) or not touches
    if path in BUILTINS and path not in live.names and path not in live.namespace:
        return True
    if live.summary(path, 0, Reading()) is not None:
        return True
    try:
        obj = lookup(path, live.names, live.namespace)
    except LookupError:
        return _is_known_method(path, live) or not touches
    if is_a(obj, type):
        return not touches
    if is_a(obj, BuiltinFunctionType) and is_a(obj.__self__, ModuleType):
        full = f"{(obj.__module__ or '').removeprefix('_')}.{obj.__name__}"
        tabled = full in fx.ARGUMENT_CHANGES or full.startswith(fx.FRESH_MODULES)
        return tabled or not touches
    if is_a(obj, (FunctionType, MethodType)):
        function = obj.__func__ if is_a(obj, MethodType) else obj
        return not touches and not (is_a(function, FunctionType) and is_own(function))
    return _is_known_method(path, live)


def _is_known_method(path: str, live: Names) -> bool:
    """Whether the table tells of the object's type, or the method's name says enough."""
    owner, _, name = path.rpartition(".")
    if not owner:
        return False
    try:
        obj = lookup(owner, live.names, live.namespace)
    except LookupError:
        return name in fx.MUTATORS
    return changes_its_object(type(obj), name) is not None
