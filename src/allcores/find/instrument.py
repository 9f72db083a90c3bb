"""Compiling a file so that each of its `for` loops goes through something that measures it.

`for x in xs: body` becomes

    for x in <meter>.through(xs):
        if <meter>.probing: body, with the commits timed
        else: body

where the meter is a constant of the code object, and so a name in no namespace. A `yield` in a loop
tells when the generator is left and entered again, so that its consumer's time is not the loop's.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Callable
from types import CodeType
from typing import Any

from allcores.loop import register_site
from allcores.plan import Plan, plans_of
from allcores.plan.names import FUNCTIONS, walk
from allcores.plan.quiet import quiet_compile
from allcores.rewrite import _call_through, _outside_compiled_functions, _with_constants

MakeMeter = Callable[[int, Plan], Any]

_SUSPENSION = "\0allcores suspension"
_UNWRAPPED = (ast.Starred, ast.Slice, ast.FormattedValue, ast.GeneratorExp)


def measured_code(
    source: bytes, filename: str, make: MakeMeter, suspension: Any, unread: Callable[[str], None]
) -> CodeType:
    """Compile a file with its loops measured.

    make: gives the meter of a loop, from the key of its site and its Plan. suspension: what `yield`
    in a loop tells. unread: called with the names of files whose loops cannot be measured. Raises
    SyntaxError or ValueError where compile() would.
    """
    try:
        tree = ast.parse(source, filename)
        plans = plans_of(tree, importlib.util.decode_source(source), filename)
        loops = [plan for plan in plans if isinstance(plan.node, ast.For)]
        meters: dict[str, Any] = {_SUSPENSION: suspension}
        markers: dict[ast.AST, tuple[str, Plan]] = {}
        for plan in _outside_compiled_functions(tree, loops):
            marker = f"\0allcores meter {len(markers)}"
            meters[marker] = make(register_site(plan, tree), plan)
            markers[plan.node] = marker, plan
        # The plain code once, for what the compiler has to say about it; bodies are written twice.
        plain = compile(tree, filename, "exec", dont_inherit=True)
        code = quiet_compile(_Writer(markers).copy(tree), filename, "exec", 0)
        return _with_constants(code, meters) if markers else plain
    except (RecursionError, MemoryError):
        # An expression with thousands of terms, or a hundred loops within loops.
        unread(filename)
        return compile(source, filename, "exec", dont_inherit=True)


class _Writer:
    """Copies a tree with the loops' meters written in; the tree itself is read on by Plans."""

    def __init__(self, markers: dict[ast.AST, tuple[str, Plan]]) -> None:
        self.markers = markers
        self.loops: list[ast.For] = []
        """The loops that the statement being copied is in, within its own function."""
        self.probed: str = ""
        """The marker of the loop whose timed body is being written."""
        self.plan: Plan | None = None
        self.lifts: set[int] = set()

    def copy(self, node: Any) -> Any:
        """A copy of a node, or of a list of them."""
        if isinstance(node, list):
            copied = [self.copy(each) for each in node]
            return [one for each in copied for one in (each if isinstance(each, list) else [each])]
        if not isinstance(node, ast.AST):
            return node
        if isinstance(node, ast.For) and node in self.markers:
            return self.timed(node, self.loop(node))
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            return self.timed(node, self.apart(node))
        if isinstance(node, (ast.Yield, ast.YieldFrom)) and self.loops:
            return self.told(node)
        return self.timed(node, self.same(node))

    def same(self, node: ast.AST) -> Any:
        fields = {name: self.copy(value) for name, value in ast.iter_fields(node)}
        return ast.copy_location(type(node)(**fields), node)

    def apart(self, node: ast.AST) -> Any:
        """A nested function: its own yields are not the loop's."""
        outer, self.loops = self.loops, []
        made = self.same(node)
        self.loops = outer
        return made

    def loop(self, node: ast.For) -> ast.For:
        marker, plan = self.markers[node]
        # The iterable is evaluated before the loop, its `else` after it.
        fields = {name: self.copy(getattr(node, name)) for name in ("target", "iter", "orelse")}
        self.loops.append(node)
        body = self.copy(node.body)
        if plan.steps and not self.probed and plan.verdict != "serial":
            body = [self.choice(marker, node, self.timed_body(marker, plan), body)]
        self.loops.pop()
        made = ast.copy_location(ast.For(**fields, body=body), node)
        made.iter = _call_through(marker, made, made.iter)
        return made

    def choice(
        self, marker: str, node: ast.For, timed: list[ast.stmt], plain: list[ast.stmt]
    ) -> ast.stmt:
        """`if <meter>.probing: timed else: plain`, on the line of the body's first statement."""
        test = ast.Attribute(ast.Constant(marker), "probing", ast.Load())
        made = ast.If(test, timed, plain)
        for part in (made, test, test.value):
            _put_at(part, node.body[0])
        return made

    def timed_body(self, marker: str, plan: Plan) -> list[ast.stmt]:
        self.probed, self.plan = marker, plan
        self.lifts = {id(e) for step in plan.steps.values() for e in step.lifts}
        body: list[ast.stmt] = self.copy(plan.node.body)
        self.probed, self.plan, self.lifts = "", None, set()
        return body

    def timed(self, node: ast.AST, made: Any) -> Any:
        """In a timed body: commits with the clock running, what workers evaluate with it stopped."""
        if self.plan is None:
            return made
        if isinstance(node, ast.stmt) and node in self.plan.steps:
            return [self.call("begin", node), made, self.call("end", node)]
        if id(node) in self.lifts and not isinstance(node, _UNWRAPPED):
            return self.method(
                self.probed, "resume", node, self.method(self.probed, "pause", node), made
            )
        return made

    def told(self, node: ast.Yield | ast.YieldFrom) -> ast.expr:
        value = self.copy(node.value) if node.value else ast.copy_location(ast.Constant(None), node)
        out = self.method(_SUSPENSION, "out", node, value)
        made = ast.copy_location(type(node)(out), node)
        return self.method(_SUSPENSION, "back", node, made)

    def call(self, name: str, at: ast.stmt) -> ast.stmt:
        made: ast.stmt = _put_at(ast.Expr(self.method(self.probed, name, at)), at)
        return made

    def method(self, marker: str, name: str, at: ast.AST, *args: ast.expr) -> ast.expr:
        constant = _put_at(ast.Constant(marker), at)
        attribute = _put_at(ast.Attribute(constant, name, ast.Load()), at)
        made: ast.expr = ast.copy_location(ast.Call(attribute, list(args), []), at)
        return made


def _put_at(node: Any, at: Any) -> Any:
    """Place a node where another begins: on one line, or the compiler would move calls of it."""
    ast.copy_location(node, at)
    node.end_lineno, node.end_col_offset = node.lineno, node.col_offset
    return node


def has_yield(plan: Plan) -> bool:
    """Whether a `yield` may be in the loop."""
    return any(isinstance(n, (ast.Yield, ast.YieldFrom)) for n in walk(plan.node))
