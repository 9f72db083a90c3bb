"""Where code may see in which order a set has its items.

Texts have other hashes in every interpreter, unless PYTHONHASHSEED is set, and objects of the program
have other addresses: a set of these is in another order. That does no harm where it is only asked
what is in it. Read from the source: an expression that makes a set must be compared, searched, sorted
or counted, or bound to a local variable of which the same holds.
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterable, Iterator
from itertools import pairwise
from types import CodeType
from typing import Any

from allcores.build.made_of import mentioned_in

MAKERS = frozenset({"set", "frozenset"})
METHODS = frozenset({"union", "intersection", "difference", "symmetric_difference", "copy"})
"""Methods of sets that give others."""
HARMLESS = frozenset(
    """add discard remove clear update difference_update intersection_update isdisjoint issubset
    symmetric_difference_update issuperset __contains__ __len__""".split()
)
"""Those that tell nothing of the order."""
ASKING = frozenset({"len", "any", "all", "bool", "isinstance", "type", *MAKERS})
UNLESS_BY_KEY = frozenset({"sorted", "min", "max"})
OPERATORS = (ast.BitAnd, ast.BitOr, ast.Sub, ast.BitXor)
_flagged: dict[Any, tuple[Any, dict[int, None]]] = {}


def seen_at(code: CodeType, names: frozenset[str], made: bool) -> int | None:
    """The line of a function's code where the order of a set may be seen, or None.

    names: variables and attributes that hold sets. made: whether sets that it makes count as well.
    """
    mentioned = mentioned_in(code)
    if not names & mentioned and not (made and _makes_sets(code, mentioned)):
        return None
    source = linecache.getlines(code.co_filename)
    lines = {line for each in _codes(code) for _, _, line in each.co_lines() if line}
    if not source:
        return min(lines, default=1)
    key = code.co_filename, names if names & mentioned else frozenset(), made
    if key not in _flagged or _flagged[key][0] is not source:
        if len(_flagged) > 200:
            _flagged.clear()
        _flagged[key] = source, dict.fromkeys(_lines_in("".join(source), *key[1:]))
    return next((line for line in _flagged[key][1] if line in lines), None)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _codes(const)


def _makes_sets(code: CodeType, mentioned: Iterable[str]) -> bool:
    """Whether code may make a set, going by its instructions."""
    if not (MAKERS | METHODS | {"keys"}).isdisjoint(mentioned):
        return True
    from opcode import opmap

    making = {opmap[name] for name in ("BUILD_SET", "SET_ADD", "SET_UPDATE") if name in opmap}
    for each in _codes(code):
        if making.intersection(each.co_code[::2]):
            return True
        if any(isinstance(const, frozenset) for const in each.co_consts) and _gives_constant(each):
            return True
    return False


def _gives_constant(code: CodeType) -> bool:
    """Whether a set that is a constant is used for more than asking what is in it, as frozen
    dataclasses do: the functions that are generated for these have no source to look at."""
    from dis import get_instructions

    steps = [i for i in get_instructions(code) if i.opname not in ("CACHE", "EXTENDED_ARG")]
    return any(
        isinstance(step.argval, frozenset) and following.opname != "CONTAINS_OP"
        for step, following in pairwise(steps)
    )


def _lines_in(source: str, names: frozenset[str], made: bool) -> list[int]:
    """The lines of a file where the order of a set may be seen."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return list(range(1, source.count("\n") + 2))
    return sorted(_Reader(tree, names, made).lines)


class _Reader:
    def __init__(self, tree: ast.AST, names: frozenset[str], made: bool) -> None:
        self.names, self.made = names, made
        self.parents: dict[ast.AST, ast.AST] = {}
        self.lines: set[int] = set()
        nodes = list(ast.walk(tree))
        for node in nodes:
            for child in ast.iter_child_nodes(node):
                self.parents[child] = node
        self.local: dict[ast.AST, set[str]] = {}
        """Of each function, the variables that hold sets."""
        for _ in range(3):  # a set made of one that a variable holds
            self.lines = set()
            for node in nodes:
                if self.is_set(node) and not self.harmless(node):
                    self.lines.add(node.lineno)  # type: ignore[attr-defined]

    def scope(self, node: ast.AST) -> ast.AST:
        while node in self.parents:
            node = self.parents[node]
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                break
        return node

    def is_local(self, node: ast.AST, name: str) -> bool:
        """Whether a variable of the functions around a node holds a set."""
        if not self.local:
            return False
        while node in self.parents:
            node = self.scope(node)
            if name in self.local.get(node, ()):
                return True
        return False

    def is_set(self, node: ast.AST) -> bool:
        """Whether an expression makes a set, or is one that is known."""
        if isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load):
                return False
            return node.id in self.names or self.is_local(node, node.id)
        if isinstance(node, ast.Attribute):
            return isinstance(node.ctx, ast.Load) and node.attr in self.names
        if not self.made:
            return False
        if isinstance(node, (ast.Set, ast.SetComp)):
            return True
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                return node.func.id in MAKERS
            return (
                isinstance(node.func, ast.Attribute)
                and node.func.attr in METHODS
                and (node.func.attr != "copy" or self.is_set(node.func.value))
            )
        if isinstance(node, ast.BinOp) and isinstance(node.op, OPERATORS):
            return any(self.is_set(n) or _is_view(n) for n in (node.left, node.right))
        return False

    def harmless(self, node: ast.AST) -> bool:
        """Whether what is done with a set tells nothing of its order."""
        parent = self.parents[node]
        if isinstance(parent, (ast.Compare, ast.Expr, ast.Assert)):
            return True
        if isinstance(parent, ast.BinOp):
            return self.is_set(parent)
        if isinstance(parent, (ast.UnaryOp, ast.If, ast.While)):
            return True
        if isinstance(parent, ast.IfExp):
            return node is parent.test
        if isinstance(parent, ast.Call) and node in parent.args:
            if isinstance(parent.func, ast.Attribute):
                return parent.func.attr in METHODS | HARMLESS and parent.func.attr != "copy"
            name = parent.func.id if isinstance(parent.func, ast.Name) else ""
            return name in ASKING or (name in UNLESS_BY_KEY and not parent.keywords)
        if isinstance(parent, ast.Attribute):
            return parent.attr in METHODS | HARMLESS
        if isinstance(parent, ast.comprehension):
            return isinstance(self.parents[parent], ast.SetComp)
        if isinstance(parent, ast.AugAssign):
            return isinstance(parent.target, ast.Name)
        return self.bound(parent)

    def bound(self, parent: ast.AST) -> bool:
        """Whether a set is bound to a variable of the function, of which all uses are looked at."""
        targets: list[Any] = []
        if isinstance(parent, ast.Assign):
            targets = parent.targets
        elif isinstance(parent, (ast.AnnAssign, ast.NamedExpr)):
            targets = [parent.target]
        if not targets or not all(isinstance(target, ast.Name) for target in targets):
            return False
        self.local.setdefault(self.scope(parent), set()).update(target.id for target in targets)
        return not isinstance(parent, ast.NamedExpr) or self.harmless(parent)


def _is_view(node: ast.AST) -> bool:
    """Whether this is `d.keys()` or `d.items()`, of which operators make sets."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("keys", "items")
    )
