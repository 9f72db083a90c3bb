"""Elements that are an iteration's own: `a[i] = f(a[i])`, where no two iterations have the same `i`.

What work reads of such an element is what the element held when the loop began, as long as it is
read before the iteration writes it; so it can be read in a worker, while the writes are commits.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from allcores.plan.names import COMPREHENSIONS, EAGER_BUILTINS, FUNCTIONS, children, path_of, walk

MARK = "@own"
"""Put behind a path, it stands for the element that is the iteration's own."""

LOOPS = (ast.For, ast.While, ast.AsyncFor)


class Distinct(NamedTuple):
    """What is known of a loop's input: a target that has another value in every iteration."""

    target: str
    keys_of: str
    """The dict whose keys they are, or "" for whole numbers from 0 or above."""
    element: ast.expr | None
    """The target that holds the input's own element, if any."""
    container: str
    """The path of what it is an element of."""


def distinct_target(
    node: ast.For, iterated: ast.expr, builtin: Callable[[str], bool]
) -> Distinct | None:
    """The target that tells iterations apart, None where there is none to be seen.

    iterated: what the loop runs over. builtin: whether a name is the builtin of that name.
    """
    it, target = iterated, node.target
    name = it.func.id if isinstance(it, ast.Call) and isinstance(it.func, ast.Name) else ""
    if name and not builtin(name):
        return None
    if name == "reversed" and isinstance(it, ast.Call) and len(it.args) == 1:
        inner = it.args[0]
        return _numbers(target, inner, builtin)
    if name == "enumerate" and isinstance(it, ast.Call) and len(it.args) == 1 and not it.keywords:
        if not isinstance(target, (ast.Tuple, ast.List)) or len(target.elts) != 2:
            return None
        number, element = target.elts
        if not isinstance(number, ast.Name):
            return None
        return Distinct(number.id, "", element, path_of(it.args[0]) or "")
    if name == "zip" and isinstance(it, ast.Call) and isinstance(target, (ast.Tuple, ast.List)):
        for part, each in zip(it.args, target.elts):
            found = _numbers(each, part, builtin)
            if found is not None:
                return found
        return None
    return _numbers(target, it, builtin) or _keys(target, it, name)


def _numbers(target: ast.expr, it: ast.expr, builtin: Callable[[str], bool]) -> Distinct | None:
    """`for i in range(...)`, none of them negative."""
    if not isinstance(target, ast.Name) or not isinstance(it, ast.Call) or it.keywords:
        return None
    if not isinstance(it.func, ast.Name) or it.func.id != "range" or not builtin("range"):
        return None
    if any(isinstance(a, ast.Starred) for a in it.args):
        return None
    low = it.args[0] if len(it.args) > 1 else ast.Constant(0)
    step = it.args[2] if len(it.args) > 2 else ast.Constant(1)
    if not _at_least(low, 0) or not _at_least(step, 1):
        return None
    return Distinct(target.id, "", None, "")


def _at_least(node: ast.expr, least: int) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int and node.value >= least


def _keys(target: ast.expr, it: ast.expr, name: str) -> Distinct | None:
    """`for k in d`, `for k, v in d.items()`, and the like over a list of them."""
    if name in ("list", "sorted", "tuple") and isinstance(it, ast.Call) and len(it.args) == 1:
        it = it.args[0]
    if isinstance(it, ast.Call) and isinstance(it.func, ast.Attribute) and not it.args:
        if it.func.attr not in ("items", "keys"):
            return None
        both, it = it.func.attr == "items", it.func.value
        if not both:
            pass
        elif isinstance(target, (ast.Tuple, ast.List)) and len(target.elts) == 2:
            path = path_of(it)
            if isinstance(target.elts[0], ast.Name) and path:
                return Distinct(target.elts[0].id, path, target.elts[1], path)
            return None
        else:
            return None
    path = path_of(it)
    if path is None or not isinstance(target, ast.Name):
        return None
    return Distinct(target.id, path, None, path)


def own_elements(
    body: list[ast.stmt], distinct: Distinct, bound: set[str], builtin: Callable[[str], bool]
) -> set[str]:
    """The paths of which the body reads and writes nothing but the element at the target.

    bound: names that the body binds. builtin: whether a name is the builtin of that name.
    """
    if distinct.target in bound:
        return set()
    written: dict[str, str] = {}
    read: set[str] = {distinct.container}
    for subscript in _subscripts(body):
        path = path_of(subscript.value)
        if path is None or path.partition(".")[0] in bound | {distinct.target}:
            continue
        if isinstance(subscript.ctx, ast.Load):
            read.add(path)
        elif _is_own(subscript.slice, distinct.target, bound):
            written[path] = ast.dump(subscript.slice)
    return {path for path in written.keys() & read if _only_so(body, path, written[path], builtin)}


def _subscripts(body: list[ast.stmt]) -> Iterator[ast.Subscript]:
    for stmt in body:
        yield from (n for n in walk(stmt) if isinstance(n, ast.Subscript))


def _is_own(index: ast.expr, target: str, bound: set[str]) -> bool:
    """Whether two iterations with this index can never touch the same element."""
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    mine = [p for p in parts if isinstance(p, ast.Name) and p.id == target]
    others = [p for p in parts if p not in mine]
    return bool(mine) and all(_is_fixed(p, bound | {target}) for p in others)


def _is_fixed(part: ast.expr, bound: set[str]) -> bool:
    if isinstance(part, ast.Slice):
        return all(p is None or _is_fixed(p, bound) for p in (part.lower, part.upper, part.step))
    if isinstance(part, ast.UnaryOp):
        return isinstance(part.operand, ast.Constant)
    return isinstance(part, ast.Constant) or (isinstance(part, ast.Name) and part.id not in bound)


def _used_up_at_once(node: ast.AST, builtin: Callable[[str], bool]) -> ast.AST | None:
    """The generator expression that a call takes all items of before it returns, if any."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or not node.args:
        return None
    return node.args[0] if node.func.id in EAGER_BUILTINS and builtin(node.func.id) else None


def _only_so(body: list[ast.stmt], path: str, index: str, builtin: Callable[[str], bool]) -> bool:
    """Whether the body touches the path only at the index, and writes outside of inner loops."""
    todo: list[tuple[ast.AST, bool, bool]] = [(stmt, False, False) for stmt in body]
    while todo:
        node, looped, later = todo.pop()
        if isinstance(node, ast.Subscript) and path_of(node.value) == path:
            if ast.dump(node.slice) != index or later:
                return False
            if not isinstance(node.ctx, ast.Load) and looped:
                return False
            if isinstance(node.ctx, ast.Del):
                return False
            todo.append((node.slice, looped, later))
            continue
        if isinstance(node, (ast.Name, ast.Attribute)) and path_of(node) == path:
            return False
        inner = looped or isinstance(node, (*LOOPS, *COMPREHENSIONS))
        at_once = _used_up_at_once(node, builtin)
        for child in children(node):
            kept = isinstance(child, (*FUNCTIONS, ast.GeneratorExp)) and child is not at_once
            todo.append((child, inner, later or kept))
    return True


# -- at run time, with the objects at hand

INDEXED = ("list", "dict", "bytearray", "array.array", "numpy.ndarray")
"""Containers in which different whole numbers from 0 on are different elements."""


def shared_elements(own: dict[str, str], lookup: Callable[[str], Any]) -> str | None:
    """Why elements that the source shows to be one iteration's own may be another's as well.

    own: `Plan.own_elements`. lookup: gives the object at a path, or raises LookupError.
    """
    for path, keys_of in own.items():
        try:
            obj, keys = lookup(path), lookup(keys_of or path)
        except LookupError:
            return f"`{path}` cannot be looked at beforehand"
        kinds = ("dict",) if keys_of else INDEXED
        wanted = "a plain dict" if keys_of else "a list, a dict or an array"
        for each in (obj, keys):
            kind = type(each)
            full = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
            if full not in kinds:
                return f"`{path}` is read and written by the loop, and is not {wanted} but {full}"
        if type(obj).__name__ == "ndarray" and _overlaps_itself(obj):
            return f"`{path}` is an array in which several elements are the same memory"
    return None


def _overlaps_itself(array: Any) -> bool:
    """Whether two indices of an array may mean the same memory."""
    reach = array.itemsize
    for stride, size in sorted(zip(map(abs, array.strides), array.shape)):
        if size > 1 and stride < reach:
            return True
        reach += stride * (size - 1)
    return False
