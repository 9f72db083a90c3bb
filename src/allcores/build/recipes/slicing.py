"""A loop's body in two: what a worker does, and what is done in order with what it gives.

Two ways. Where what is done in order stands under `if`s only, the worker gives a value for each
thing it needs, and the user's own `if`s stay (`IfSlicer`). Else the worker gives a list of the
steps to do, each with its values (`StepSlicer`).
"""

from __future__ import annotations

import ast
import copy
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from allcores.build.recipes.names import Names
from allcores.build.recipes.text import Source, enclosed, moved, one_line
from allcores.plan import Plan
from allcores.plan.names import FUNCTIONS, bound_names

GIVES = "allcores_gives"
"""Stands in a worker's text for what it gives, until that is known."""
LEAVES = "allcores_leaves"
"""The same, where the loop is left."""

Jump = ast.Break | ast.Continue | ast.Return


class CannotSliceError(Exception):
    """The body cannot be taken apart in this way: `line` of the file and why."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line, self.text = line, text


@dataclass
class Sliced:
    """Both halves. Lines have no indentation of their own."""

    work: list[str]
    """The worker's body, with `return allcores_gives` wherever it ends."""
    parent: list[str]
    """What is done in order, once for each iteration."""
    sent: list[str]
    """The variables that the worker gives, in order."""
    collects: ast.Call | None = None
    """The `xs.append(·)` that is all there is to do, at each iteration."""
    leave: str | None = None
    """The variable that says whether the loop is left after the steps."""
    used: list[ast.AST] = field(default_factory=list)
    """What of the user's the parent's half holds."""


class Slicer:
    """What both ways share."""

    def __init__(self, source: Source, plan: Plan, names: Names) -> None:
        assert isinstance(plan.node, ast.For)
        self.source, self.plan, self.names, self.node = source, plan, names, plan.node
        self.steps = plan.steps
        self.sent: dict[str, None] = {}
        self.in_worker = bound_names(*self.node.body) - plan.parent_names
        self.used: list[ast.AST] = []

    def matters(self, node: ast.stmt, main: bool = True) -> bool:
        """Whether something in the statement is done by the parent: a commit, or a jump."""
        if node in self.steps:
            return True
        if isinstance(node, ast.Return) or (main and isinstance(node, (ast.Break, ast.Continue))):
            return True
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            return False
        inner = main and not isinstance(node, (ast.For, ast.While))
        return any(
            self.matters(below, inner or (main and name == "orelse"))
            for name, block in blocks(node)
            for below in block
        )

    def parts(self, node: ast.Return) -> list[ast.expr]:
        """The parts of what a `return` gives that the worker has to evaluate."""
        if node.value is None:
            return []
        names = {n.id: n for n in ast.walk(node.value) if isinstance(n, ast.Name)}
        own = [n for name, n in names.items() if name in self.in_worker]
        carried = self.plan.parent_names | {path.partition(".")[0] for path in self.plan.changed}
        if names.keys() & carried:
            return [*own]
        calls = any(isinstance(n, ast.Call) for n in ast.walk(node.value))
        return [node.value] if own or calls else []

    def lifts(self, node: ast.stmt) -> list[ast.expr]:
        """What the worker evaluates for a commit; of an index such as `:, i` its parts."""
        found: list[ast.expr] = []
        for lift in self.steps[node].lifts:
            if isinstance(lift, ast.Tuple) and any(isinstance(e, ast.Slice) for e in lift.elts):
                parts = [
                    part
                    for e in lift.elts
                    for part in ((e.lower, e.upper, e.step) if isinstance(e, ast.Slice) else (e,))
                ]
                found += [part for part in parts if part and not isinstance(part, ast.Constant)]
            else:
                found.append(lift)
        return found

    # -- text of statements

    def start(self, node: ast.stmt) -> int:
        decorators = getattr(node, "decorator_list", [])
        if decorators:
            return self.source.span(decorators[0])[0] - 1
        return self.source.span(node)[0]

    def end(self, node: ast.stmt) -> int:
        """Where the statement ends, with the comment on its last line."""
        text, end = self.source.text, self.source.span(node)[1]
        stop = next((k for k in range(end, len(text)) if text[k] in "\n\0"), len(text))
        rest = text[end:stop].strip()
        return stop if rest.startswith("#") else end

    def lead(self, node: ast.stmt, previous: int) -> list[str]:
        """The comments and blank lines above a statement, from the index `previous` on."""
        above = self.source.text[previous : self.start(node)].split("\n")
        lines = [line.strip() for line in above[1:-1]]
        return [line for line in lines if not line or line.startswith("#")]

    def text(self, node: ast.stmt, swaps: Sequence[tuple[ast.AST, str]] = ()) -> list[str]:
        """A statement's lines, with parts of it swapped for names."""
        if swaps and sys.version_info < (3, 12) and _in_format(node, [s[0] for s in swaps]):
            # Up to 3.11 places inside f-strings are not known.
            whole = "\n".join(self.text(node))
            parts = [(ast.unparse(part), name) for part, name in swaps]
            if all(whole.count(part) == 1 for part, _ in parts):
                for part, name in parts:
                    whole = whole.replace(part, name)
                return whole.split("\n")
            return ast.unparse(_Swap(dict(swaps)).visit(copy.deepcopy(_marked(node)))).split("\n")
        cut = self.source.cut(self.start(node), self.end(node), swaps)
        if isinstance(node, ast.If) and cut.startswith("elif"):
            cut = cut[2:]
        lines = moved(cut, self.source.indent(node), "")
        if swaps and len(lines) > 1 and isinstance(node, (ast.Expr, ast.Assign, ast.AugAssign)):
            joined = one_line(cut)
            if "\n" not in joined:
                return [joined]
        return lines

    def lifted(self, node: ast.expr) -> str:
        """The text of a part that workers evaluate, fit for any place."""
        if isinstance(node, ast.GeneratorExp):
            return f"[{self.source.of(node)[1:-1]}]"
        if sys.version_info < (3, 12) and self.is_in_format(node):
            return ast.unparse(node)
        return self.dedented(enclosed(self.source.of(node), node), node)

    def is_in_format(self, node: ast.expr) -> bool:
        return any(_in_format(stmt, [node]) for stmt in self.node.body)

    def dedented(self, text: str, node: ast.expr) -> str:
        """The text of a part over several lines, as if its first line were not indented."""
        row = self.source.rows[node.lineno - 1]
        return "\n".join(moved(text, row[: len(row) - len(row.lstrip())], ""))

    def swap(self, node: ast.expr, name: str) -> tuple[ast.AST, str]:
        return node, f"({name})" if isinstance(node, ast.GeneratorExp) else name


def blocks(node: ast.AST) -> list[tuple[str, list[ast.stmt]]]:
    """The blocks of a compound statement, each with the field it stands in."""
    found = [(name, getattr(node, name, [])) for name in ("body", "orelse", "finalbody")]
    found += [("body", handler.body) for handler in getattr(node, "handlers", [])]
    found += [("body", case.body) for case in getattr(node, "cases", [])]
    return [(name, block) for name, block in found if isinstance(block, list) and block]


# -- small questions


def left_over(node: ast.AST, without: set[ast.AST]) -> list[ast.AST]:
    """The names of a statement that are not in parts swapped for others."""
    if node in without:
        return []
    found: list[ast.AST] = [node] if isinstance(node, ast.Name) else []
    return found + [n for c in ast.iter_child_nodes(node) for n in left_over(c, without)]


def ends(lines: Sequence[str]) -> bool:
    """Whether the last line leaves the function whatever came before."""
    return bool(lines) and lines[-1].startswith(("return ", "raise "))


def trimmed(lines: list[str]) -> list[str]:
    while lines and not lines[0]:
        lines = lines[1:]
    while lines and not lines[-1]:
        lines = lines[:-1]
    return lines


def _in_format(top: ast.AST, nodes: Sequence[ast.AST]) -> bool:
    wanted = {id(n) for n in nodes}
    return any(
        id(below) in wanted
        for n in ast.walk(top)
        if isinstance(n, ast.JoinedStr)
        for below in ast.walk(n)
        if below is not n
    )


def _marked(node: ast.stmt) -> ast.stmt:
    for n in ast.walk(node):
        n._allcores_id = id(n)  # type: ignore[attr-defined]
    return node


class _Swap(ast.NodeTransformer):
    def __init__(self, swaps: dict[ast.AST, str]) -> None:
        self.swaps = {id(node): name for node, name in swaps.items()}

    def visit(self, node: ast.AST) -> ast.AST:
        name = self.swaps.get(getattr(node, "_allcores_id", 0))
        if name is not None:
            return ast.parse(name, mode="eval").body
        made: ast.AST = self.generic_visit(node)
        return made
