"""Which variables a loop binds are read when it is over, or when an exception has ended it."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Literal

from allcores.plan.names import (
    FUNCTIONS,
    LOOKS_AT_NAMES,
    bound_names,
    captured_names,
    path_of,
    read_names,
    walk_scope,
)

Answer = Literal["read", "bound", "open"]


def read_after(loop: ast.stmt, scope: ast.Module | ast.AST, names: set[str]) -> set[str]:
    """Those of `names` that may be read after the loop before they are bound anew.

    `scope` is the function or module that the loop stands in.
    """
    body: list[ast.stmt] = getattr(scope, "body", [])
    below = {id(node) for node in ast.walk(loop)}
    if any(isinstance(n, ast.Name) and n.id in LOOKS_AT_NAMES for n in ast.walk(scope)):
        return set(names)
    found: set[str] = set()
    outside = [n for n in walk_scope(*body) if id(n) not in below]
    captured = captured_names(*outside)
    declared = {
        name for n in outside if isinstance(n, (ast.Global, ast.Nonlocal)) for name in n.names
    }
    for name in names:
        if name in captured or name in declared or _after(body, loop, name) == "read":
            found.add(name)
    return found


def read_on_failure(loop: ast.stmt, scope: ast.Module | ast.AST, names: set[str]) -> set[str]:
    """Those of `names` that may be read once an exception of the loop has been caught."""
    found: set[str] = set()
    for node in walk_scope(*getattr(scope, "body", [])):
        if isinstance(node, (ast.Try, ast.TryStar)) and _holds(node.body, loop):
            found |= names & read_names(*node.handlers, *node.finalbody)
            if any(_goes_on(handler.body) for handler in node.handlers):
                found |= read_after(node, scope, names)
        elif isinstance(node, (ast.Try, ast.TryStar)) and _holds([node], loop):
            found |= names & read_names(*node.finalbody)
        elif isinstance(node, ast.With) and _holds(node.body, loop):
            if any(may_swallow(item.context_expr) for item in node.items):
                found |= read_after(node, scope, names)
    return found


def _holds(body: Sequence[ast.stmt], loop: ast.stmt) -> bool:
    return any(n is loop for node in body for n in ast.walk(node))


def _goes_on(body: Sequence[ast.stmt]) -> bool:
    """Whether what follows a block may be reached from it."""
    return not isinstance(body[-1], (ast.Raise, ast.Return))


def may_swallow(manager: ast.expr) -> bool:
    """Whether the manager may be one that ends exceptions: anything but `open` and its like."""
    name = path_of(manager.func) if isinstance(manager, ast.Call) else path_of(manager)
    return (name or "").rpartition(".")[2] not in {"open", "Path", "Pool"}


def _after(body: Sequence[ast.stmt], loop: ast.stmt, name: str) -> Answer:
    """What happens to the name behind the loop, within this block."""
    for index, node in enumerate(body):
        if node is not loop and not any(n is loop for n in ast.walk(node)):
            continue
        if node is loop:
            answer = _block(loop.orelse, name) if isinstance(loop, ast.For) else "open"
            if answer == "bound" and _may_break(loop):
                # What `else` binds is bound there only when the loop has come to its end.
                answer = "open"
        else:
            answer = _inside(node, loop, name)
        return answer if answer != "open" else _block(body[index + 1 :], name)
    return "open"


def _may_break(loop: ast.AST) -> bool:
    """Whether a `break` within leaves this loop."""
    for node in ast.iter_child_nodes(loop):
        if isinstance(node, ast.Break):
            return True
        if isinstance(node, (ast.For, ast.While, ast.AsyncFor)):
            if any(_may_break(n) or isinstance(n, ast.Break) for n in node.orelse):
                return True
        elif not isinstance(node, (*FUNCTIONS, ast.ClassDef)) and _may_break(node):
            return True
    return False


def _inside(node: ast.stmt, loop: ast.stmt, name: str) -> Answer:
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        return "open"
    for block in _blocks(node):
        if not any(n is loop for each in block for n in ast.walk(each)):
            continue
        answer = _after(block, loop, name)
        if answer == "open" and isinstance(node, (ast.For, ast.While, ast.AsyncFor)):
            # Once more round the loop about this one.
            again = [ast.Expr(node.test)] if isinstance(node, ast.While) else []
            answer = "read" if _block([*again, *node.body], name) == "read" else "open"
        if answer == "open" and isinstance(node, (ast.For, ast.While, ast.AsyncFor, ast.Try)):
            rest = [*node.orelse, *getattr(node, "finalbody", [])]
            answer = "read" if name in read_names(*rest) else "open"
        if isinstance(node, ast.Try) and name in read_names(*node.handlers, *node.finalbody):
            answer = "read"
        return answer
    return "open"


def _blocks(node: ast.AST) -> list[list[ast.stmt]]:
    blocks = [getattr(node, field, []) for field in ("body", "orelse", "finalbody")]
    blocks += [handler.body for handler in getattr(node, "handlers", [])]
    blocks += [case.body for case in getattr(node, "cases", [])]
    return [block for block in blocks if block]


def _block(body: Sequence[ast.stmt], name: str) -> Answer:
    for node in body:
        answer = _statement(node, name)
        if answer != "open":
            return answer
    return "open"


def _statement(node: ast.stmt, name: str) -> Answer:
    if isinstance(node, ast.Delete) and name in bound_names(node):
        return "read"
    if name not in read_names(node):
        sure = isinstance(node, (ast.Assign, ast.AnnAssign, ast.Import, ast.ImportFrom, ast.With))
        if sure and name in bound_names(node):
            return "bound" if not (isinstance(node, ast.AnnAssign) and not node.value) else "open"
        return "open"
    if isinstance(node, (ast.For, ast.While, ast.With, ast.Try)):
        return _compound(node, name)
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        return "read" if name in captured_names(node) or name in _header_reads(node) else "open"
    if isinstance(node, ast.If):
        if name in read_names(node.test):
            return "read"
        both = {_block(node.body, name), _block(node.orelse, name)}
        return "read" if "read" in both else "bound" if both == {"bound"} else "open"
    if _own_comprehension(node, name):
        return "bound" if name in bound_names(node) and isinstance(node, ast.Assign) else "open"
    return "read"


def _compound(node: ast.For | ast.While | ast.With | ast.Try, name: str) -> Answer:
    header: list[ast.AST] = []
    bound = False
    if isinstance(node, ast.For):
        header, bound = [node.iter], name in bound_names(node.target)
    elif isinstance(node, ast.While):
        header = [node.test]
    elif isinstance(node, ast.With):
        header = [item.context_expr for item in node.items]
        bound = name in bound_names(*(i.optional_vars for i in node.items if i.optional_vars))
    if name in read_names(*header):
        return "read"
    if bound and isinstance(node, ast.With):
        return "bound"
    blocks = _blocks(node)
    first = "bound" if bound else _block(blocks[0], name)
    rest = [_block(block, name) for block in blocks[1:]]
    if "read" in [first, *rest]:
        return "read"
    return first if isinstance(node, ast.With) else "open"


def _header_reads(node: ast.AST) -> set[str]:
    return read_names(*(n for n in walk_scope(node) if n is not node))


def _own_comprehension(node: ast.stmt, name: str) -> bool:
    """Whether all that is read under this name are comprehensions' own variables."""
    inner: set[int] = set()
    for n in ast.walk(node):
        if isinstance(n, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            targets = {t for g in n.generators for t in bound_names(g.target)}
            if name in targets:
                first = {id(m) for m in ast.walk(n.generators[0].iter)}
                inner |= {id(m) for m in ast.walk(n) if id(m) not in first}
    return not any(
        isinstance(n, ast.Name)
        and n.id == name
        and isinstance(n.ctx, ast.Load)
        and id(n) not in inner
        for n in ast.walk(node)
    ) and not isinstance(node, ast.AugAssign)
