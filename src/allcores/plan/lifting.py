"""Which parts of a commit the workers can evaluate: the lifts."""

from __future__ import annotations

import ast
from collections.abc import Callable, Container, Iterator

from allcores.plan import effects as fx
from allcores.plan.effects import is_outer
from allcores.plan.names import COMPREHENSIONS, children, walk
from allcores.plan.values import Info

CHEAP = (ast.Constant, ast.Name, ast.Attribute, ast.Subscript, ast.Slice, ast.Starred)
WRITES = frozenset({"write", "writelines"})
EAGER_TAKERS = frozenset({"extend", "update", "join", "writelines", "sum", "extendleft"})


def pick(
    node: ast.expr,
    info: dict[ast.AST, Info],
    in_worker: Callable[[str], bool],
    spoken: list[ast.Call],
) -> Iterator[ast.expr]:
    """The largest sub-expressions of `node` that are always evaluated and that workers can send.

    `in_worker(name)` tells whether a name's value is in the worker alone (a temporary). `spoken`
    are calls of the same statement, done in the user's process and before, that may print: what
    may print as well stays behind them. Those in `node` are added.
    """
    known = info.get(node)
    if known is None or isinstance(node, ast.Lambda):
        return
    stays = known.tainted or bool(spoken and may_print(node))
    if not stays and not at_hand(node, in_worker) and can_travel(node, known):
        yield node
        return
    if not stays and part_of_made(node):
        yield node
        return
    yield from within(node, info, in_worker, spoken)


def within(
    node: ast.expr,
    info: dict[ast.AST, Info],
    in_worker: Callable[[str], bool],
    spoken: list[ast.Call],
) -> Iterator[ast.expr]:
    """As `pick`, of the parts of `node`, which itself is evaluated in the user's process."""
    found: list[ast.expr] = []
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        # What a method is called on is no copy, but parts of it may be worked out beforehand.
        found += within(node.func.value, info, in_worker, spoken)
    for child in always_evaluated(node):
        if child in taken_whole(node) and as_list(child, info, spoken):
            found.append(child)
        else:
            found += pick(child, info, in_worker, spoken)
    yield from found
    taken = {n for lift in found for n in walk(lift)}
    if isinstance(node, ast.Call) and may_print(node, taken):
        spoken.append(node)


def as_list(node: ast.expr, info: dict[ast.AST, Info], spoken: list[ast.Call]) -> bool:
    """Whether a generator expression can be sent as the list of what it gives."""
    known = info.get(node)
    return (
        known is not None
        and not known.tainted
        and not any(is_outer(r) for r in known.val.inner)
        and not (spoken and may_print(node))
    )


def may_print(node: ast.expr, but: Container[ast.AST] = ()) -> bool:
    """Whether evaluating this may write something: calls may, but for those of containers.

    but: parts of it that are worked out elsewhere.
    """
    return any(
        isinstance(n, ast.Call)
        and n not in but
        and not (isinstance(n.func, ast.Attribute) and n.func.attr in fx.CONTAINER_CHANGES - WRITES)
        for n in walk(node)
    )


def part_of_made(node: ast.expr) -> bool:
    """A part of what a call gave: better sent by itself than with the rest of it."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
        if isinstance(node, ast.Call):
            return True
    return False


def at_hand(node: ast.expr, in_worker: Callable[[str], bool]) -> bool:
    """Whether the user's process has the value at no cost: constants and paths of outer names."""
    for part in walk(node):
        if isinstance(part, (ast.List, ast.Dict)) and not children(part):
            continue
        if isinstance(part, ast.expr) and not isinstance(part, CHEAP):
            return False
        if isinstance(part, ast.Name) and in_worker(part.id):
            return False
    return True


def can_travel(node: ast.expr, known: Info) -> bool:
    """Whether a copy is as good as the value: nothing in it surely outlives the iteration."""
    if isinstance(node, (ast.Starred, ast.Slice, ast.NamedExpr, ast.FormattedValue)):
        return False
    if isinstance(node, ast.GeneratorExp):
        return False
    return not any(is_outer(r) for r in known.val.roots)


def always_evaluated(node: ast.expr) -> list[ast.expr]:
    """The sub-expressions evaluated whenever `node` is, in order, and in the same scope."""
    if isinstance(node, ast.BoolOp):
        return node.values[:1]
    if isinstance(node, ast.IfExp):
        return [node.test]
    if isinstance(node, ast.Compare):
        return [node.left, node.comparators[0]]
    if isinstance(node, COMPREHENSIONS):
        return [node.generators[0].iter]
    if isinstance(node, ast.Lambda):
        return []
    if isinstance(node, ast.FormattedValue):
        return [node.value]
    if isinstance(node, ast.Call):
        given = [*node.args, *(k.value for k in node.keywords)]
        return given if isinstance(node.func, ast.Attribute) else [node.func, *given]
    return [n for n in children(node) if isinstance(n, ast.expr)]


def taken_whole(node: ast.expr) -> list[ast.expr]:
    """The generator expression that a call uses up at once, if there is one."""
    if isinstance(node, ast.Call) and eager(node) and isinstance(node.args[0], ast.GeneratorExp):
        return node.args[:1]
    return []


def eager(call: ast.Call) -> bool:
    """Whether the call takes a generator expression whole, so that a list does as well."""
    func = call.func
    name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
    return name in EAGER_TAKERS and len(call.args) == 1
