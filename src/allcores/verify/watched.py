"""Compiling a file so that each of its loops that may run in parallel is watched.

`for x in xs: ...` becomes `try: for x in <watch>.through(xs): ...; finally: <watch>.ended()`, where
the watch is a constant of the code object, as a detour of `allcores run` is.
"""

from __future__ import annotations

import ast
import copy
import importlib.util
from collections.abc import Callable
from types import CodeType
from typing import Any

from allcores.loop import register_site
from allcores.plan import Plan, plans_of
from allcores.rewrite import (
    _call_through,
    _outside_compiled_functions,
    _says_parallel,
    _with_constants,
)

_LEAVES_AND_RETURNS = (ast.Yield, ast.YieldFrom, ast.Await)
MakeWatch = Callable[[int, Plan], Any]


def watched_code(
    source: bytes, filename: str, make: MakeWatch, note: Callable[[Plan], None]
) -> CodeType:
    """Compile a file with its loops watched.

    make: gives the watch of a loop, from the key of its site and its Plan. note: called with the
    Plan of each loop that is not watched. Raises SyntaxError or ValueError where compile() would.
    """
    tree = ast.parse(source, filename)
    try:
        plans = plans_of(tree, importlib.util.decode_source(source), filename)
        taken = _outside_compiled_functions(tree, [each for each in plans if _wanted(each)])
        for plan in plans:
            if not any(plan is each for each in taken):
                note(plan)
        return _compiled(tree, filename, taken, make)
    except RecursionError:
        return compile(source, filename, "exec", dont_inherit=True)


def _wanted(plan: Plan) -> bool:
    if not isinstance(plan.node, ast.For):
        return False
    if any(isinstance(node, _LEAVES_AND_RETURNS) for node in ast.walk(plan.node)):
        return False
    # A marked loop is read again when it runs, with the live objects at hand.
    return plan.verdict != "serial" or _says_parallel(plan.node.iter)


def _compiled(tree: ast.Module, filename: str, plans: list[Plan], make: MakeWatch) -> CodeType:
    watches: dict[str, Any] = {}
    for plan in plans:
        marker = f"\0allcores watch {len(watches)}"
        watches[marker] = make(register_site(plan, tree), plan)
        plan.node._watch = marker  # type: ignore[union-attr]
    # Plans go on reading the tree as the user wrote it: a copy is changed.
    changed = ast.fix_missing_locations(_Wrap().visit(copy.deepcopy(tree)))
    code = compile(changed, filename, "exec", dont_inherit=True)
    return _with_constants(code, watches)


class _Wrap(ast.NodeTransformer):
    def visit_For(self, node: ast.For) -> ast.stmt:
        self.generic_visit(node)
        marker = getattr(node, "_watch", None)
        if marker is None:
            return node
        node.iter = _call_through(marker, node, node.iter)
        ended = ast.Call(ast.Attribute(ast.Constant(marker), "ended", ast.Load()), [], [])
        final = ast.copy_location(ast.Expr(ended), node)
        return ast.copy_location(ast.Try([node], [], [], [final]), node)
