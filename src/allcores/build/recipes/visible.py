"""Whether somebody may see how far a loop had come when an exception stopped it."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from allcores.build.recipes.later import may_swallow
from allcores.plan import Plan
from allcores.plan.names import FUNCTIONS, path_of

IN_MEMORY = frozenset(
    """append appendleft extend insert add update setdefault discard remove pop popleft clear sort
    reverse push""".split()
)


def may_be_caught(plan: Plan, tree: ast.AST, loop: ast.stmt | None = None) -> bool:
    """Whether an exception of the loop may be caught by something in its file.

    `loop`: the statement of the file that the Plan is of, where it is not the Plan's own.
    """
    loop = loop or plan.node
    below = {id(n) for n in ast.walk(loop)}
    for node in ast.walk(tree):
        if id(node) in below or not isinstance(node, (ast.Try, ast.TryStar, ast.With)):
            continue
        holds = any(n is loop for n in ast.walk(node))
        if isinstance(node, ast.With):
            if any(may_swallow(item.context_expr) for item in node.items) and (
                holds or not plan.module_level
            ):
                return True
        elif holds or (node.handlers and not plan.module_level and not _imports_only(node)):
            return True
    return False


def _imports_only(node: ast.Try | ast.TryStar) -> bool:
    return all(isinstance(n, (ast.Import, ast.ImportFrom)) for n in node.body)


def seen_commits(plan: Plan, scope: ast.AST, caught: bool) -> list[ast.stmt]:
    """The commits whose effect stays visible when the loop ends by an exception."""
    if caught:
        return list(plan.steps)
    fresh = None if plan.module_level else _fresh_names(scope)
    sent = {id(n) for step in plan.steps.values() for lift in step.lifts for n in ast.walk(lift)}
    return [node for node in plan.steps if not _dies(node, fresh, sent)]


def _fresh_names(scope: ast.AST) -> set[str]:
    """Local names that only ever hold objects made in the function."""
    made: set[str] = set()
    other: set[str] = set()
    displays = (ast.List, ast.Dict, ast.Set, ast.Constant, ast.ListComp, ast.BinOp, ast.UnaryOp)
    for node in ast.walk(scope):
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            other.update(node.names)
        elif isinstance(node, ast.arg):
            other.add(node.arg)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            new = isinstance(node.value, displays) or (
                isinstance(node.value, ast.Call)
                and path_of(node.value.func) in {"list", "dict", "set", "Counter", "defaultdict"}
            )
            for target in targets:
                if isinstance(target, ast.Name):
                    (made if new else other).add(target.id)
    return made - other


def _dies(node: ast.stmt, fresh: set[str] | None, sent: set[int]) -> bool:
    """Whether all that the commit changes is lost with the exception."""
    return all(_part_dies(n, fresh) for n in ast.walk(node) if id(n) not in sent)


def _part_dies(node: ast.AST, fresh: set[str] | None) -> bool:
    if isinstance(node, FUNCTIONS):
        return False
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in IN_MEMORY:
            return _own(node.func.value, fresh)
        name = path_of(node.func) or ""
        return name in {"len", "max", "min", "abs", "int", "float", "str", "sum", "round", "sorted"}
    if isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
        return _own(node.value, fresh)
    return True


def _own(node: ast.expr, fresh: set[str] | None) -> bool:
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return isinstance(node, ast.Name) and (fresh is None or node.id in fresh)


def work_follows(plan: Plan, commits: Sequence[ast.stmt], body: Sequence[ast.stmt]) -> bool:
    """Whether, in an iteration, something that may raise comes after one of the commits."""
    if not commits:
        return False
    first = min((node.lineno, node.col_offset) for node in commits)
    in_loop = any(
        any(n in set(commits) for n in ast.walk(inner))
        for node in body
        for inner in ast.walk(node)
        if isinstance(inner, (ast.For, ast.While)) and inner not in plan.steps
    )
    if in_loop:
        return True
    return any(_raises_behind(node, first, plan) for node in body)


def _raises_behind(node: ast.stmt, first: tuple[int, int], plan: Plan) -> bool:
    at = (node.end_lineno or 0, node.end_col_offset or 0)
    if at <= first:
        return False
    if node in plan.steps:
        return (node.lineno, node.col_offset) > first and any(
            not isinstance(lift, ast.Name) for lift in plan.steps[node].lifts
        )
    if isinstance(node, (ast.Pass, ast.Break, ast.Continue, ast.Global)):
        return False
    below = [n for n in ast.iter_child_nodes(node) if isinstance(n, ast.stmt)]
    below += [s for h in getattr(node, "handlers", []) for s in h.body]
    if not below:
        return True
    header = (node.lineno, node.col_offset) > first
    test = getattr(node, "test", None)
    if header and test is not None and any(isinstance(n, ast.Call) for n in ast.walk(test)):
        return True
    return any(_raises_behind(n, first, plan) for n in below)
