"""Functions with a memo: what they give, they give again, so that a change to it is kept."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from allcores.plan.effects import ATOM_METHODS
from allcores.plan.names import parameter_names, walk_scope

MEMOS = frozenset({"cache", "lru_cache"})
_GIVE_VALUES = frozenset(
    "abs bool bytes complex float format frozenset hash hex int len oct ord repr round str sum".split()
)
"""Builtin functions whose results nothing can change (`sum` of what can be hashed)."""
_PLAIN_MODULES = frozenset({"math", "cmath"})


def has_memo(node: ast.FunctionDef) -> bool:
    """Whether a function is written with `functools.cache` or `lru_cache`."""
    return any(_name(d) in MEMOS for d in node.decorator_list)


def gives_kept_objects(node: ast.FunctionDef) -> bool:
    """Whether what a function with a memo gives may be something that can be changed.

    Its arguments cannot be, for they are hashed; nor can what is worked out from such.
    """
    returned = [n.value for n in walk_scope(*node.body) if isinstance(n, ast.Return)]
    values = set(parameter_names(node.args)) | {node.name}
    bound = dict(_bindings(node))
    values |= bound.keys()
    while changed := {n for n in values & bound.keys() if not _all_values(bound[n], values)}:
        values -= changed
    return not _all_values([r for r in returned if r is not None], values)


def _bindings(node: ast.FunctionDef) -> Iterator[tuple[str, list[ast.expr | None]]]:
    """The function's own variables, and what each is bound to; None: something else."""
    found: dict[str, list[ast.expr | None]] = {}
    plain: set[ast.AST] = set()
    for n in walk_scope(*node.body):
        if isinstance(n, ast.Assign):
            for target in n.targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(n.value)
                    plain.add(target)
        elif isinstance(n, (ast.AugAssign, ast.AnnAssign)) and isinstance(n.target, ast.Name):
            found.setdefault(n.target.id, []).append(n.value)
            plain.add(n.target)
        elif isinstance(n, ast.For) and isinstance(n.target, ast.Name):
            numbers = isinstance(n.iter, ast.Call) and _name(n.iter) == "range"
            found.setdefault(n.target.id, []).append(ast.Constant(0) if numbers else None)
            plain.add(n.target)
    for n in walk_scope(*node.body):
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store) and n not in plain:
            found.setdefault(n.id, []).append(None)
    yield from found.items()


def _all_values(found: list[ast.expr | None], values: set[str]) -> bool:
    return all(each is not None and _is_value(each, values) for each in found)


def _is_value(node: ast.expr, values: set[str]) -> bool:
    """Whether an expression gives something that cannot be changed, where these names do."""
    if isinstance(node, (ast.Constant, ast.JoinedStr, ast.Compare)):
        return True
    if isinstance(node, ast.Name):
        return node.id in values
    if isinstance(node, (ast.BinOp, ast.BoolOp, ast.UnaryOp, ast.IfExp, ast.Tuple)):
        parts = [n for n in ast.iter_child_nodes(node) if isinstance(n, ast.expr)]
        return all(_is_value(part, values) for part in parts)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in _GIVE_VALUES or node.func.id in values
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        return _is_value(node.value, values)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        owner = node.func.value
        if isinstance(owner, ast.Name) and owner.id in _PLAIN_MODULES:
            return True
        return node.func.attr in ATOM_METHODS and _is_value(owner, values)
    return False


def _name(node: ast.expr) -> str:
    """What a decorator or a function that is called is named, without what it lies in."""
    node = node.func if isinstance(node, ast.Call) else node
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
