"""The `if __name__ == "__main__":` that workers need which import the main module anew.

What defines things stays above it, so that workers have it; what does things goes under it.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field

from allcores.build.recipes.reach import is_definition, reached
from allcores.build.recipes.slicing import CannotSliceError
from allcores.build.recipes.text import Source
from allcores.plan.names import (
    BUILTINS,
    FUNCTIONS,
    bound_names,
    parameter_names,
    path_of,
    read_names,
    walk_scope,
)
from allcores.plan.source import Module

GUARD = 'if __name__ == "__main__":'
IMPURE = frozenset({"print", "input", "open", "exit", "quit", "breakpoint", "next"})
CLOCKS = frozenset({"random", "time", "uuid", "secrets", "datetime", "tempfile", "subprocess"})
SETTERS = ("set", "use", "filterwarnings", "simplefilter", "basicConfig")


@dataclass
class Guarded:
    """Which rows go under a guard: (first, last), in order."""

    runs: list[tuple[int, int]] = field(default_factory=list)


def guarded(source: Source, module: Module, loop: ast.stmt, work: Sequence[ast.AST]) -> Guarded:
    """What has to go under a guard so that workers do not run it; `work` is what they do run.

    Raises CannotSliceError where workers need something that only the program's own run makes.
    """
    body = source.tree.body
    if not _is_script(body, module, loop):
        return Guarded()
    stay = _Staying(body, module, loop, work)
    stay.settle()
    out = Guarded()
    run: list[ast.stmt] = []
    for node in [*body, None]:
        if node is not None and node not in stay.nodes:
            run.append(node)
            continue
        if run:
            last = run[-1]
            out.runs.append((first_row(source, run[0]), last.end_lineno or last.lineno))
        run = []
    return out


def is_guard(node: ast.stmt) -> bool:
    """Whether it is an `if __name__ == "__main__":`."""
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Compare)
        and any(isinstance(n, ast.Name) and n.id == "__name__" for n in ast.walk(node.test))
    )


def first_row(source: Source, node: ast.stmt) -> int:
    """The row that a statement begins on, with decorators and the comments right above it."""
    rows: list[int] = [d.lineno for d in getattr(node, "decorator_list", [])]
    row = min([node.lineno, *rows])
    while row > 1 and source.rows[row - 2].startswith("#") and not _opening(source, row - 1):
        row -= 1
    return row


def _opening(source: Source, row: int) -> bool:
    """Whether the row belongs to the comments that open the file (`#!`, coding)."""
    return row <= 2 and source.rows[row - 1].startswith(("#!", "# -*-", "# coding", "#coding"))


def _is_script(body: Sequence[ast.stmt], module: Module, loop: ast.stmt) -> bool:
    """Whether importing the module would run the loop."""
    for node in body:
        if is_guard(node) or isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            continue
        if any(n is loop for n in ast.walk(node)):
            return True
        if any(any(n is loop for n in ast.walk(d)) for d in reached([node], module)):
            return True
    return any(is_guard(node) and any(n is loop for n in ast.walk(node)) for node in body) and any(
        _impure(node, module) for node in body if not _defines(node) and not is_guard(node)
    )


def _defines(node: ast.stmt) -> bool:
    """Whether a statement only defines things, so that running it in a worker is right."""
    if isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Pass)):
        return True
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.Assign):
        named = all(isinstance(t, ast.Name) for t in node.targets)
        return named and (
            is_definition(node)
            or all(t.id.startswith("__") for t in node.targets if isinstance(t, ast.Name))
        )
    if isinstance(node, (ast.If, ast.Try)):
        parts = [*node.body, *node.orelse, *getattr(node, "finalbody", [])]
        parts += [s for h in getattr(node, "handlers", []) for s in h.body]
        simple = (ast.Assign, ast.AnnAssign)
        return all(_defines(s) or (isinstance(s, simple) and _literal(s.value)) for s in parts)
    return False


def _literal(node: ast.expr | None) -> bool:
    calls = (ast.Call, ast.Await, ast.Yield)
    return node is None or not any(isinstance(n, calls) for n in ast.walk(node))


class _Staying:
    """Which top-level statements stay outside the guard."""

    def __init__(
        self, body: list[ast.stmt], module: Module, loop: ast.stmt, work: Sequence[ast.AST]
    ) -> None:
        self.body, self.module = body, module
        self.nodes = {n for n in body if _defines(n) or is_guard(n)}
        self.at = _first_run(body, module, loop)
        self.work = reached(work, module)
        self.because: dict[str, str] = {}
        self.constants()

    def constants(self) -> None:
        """Constants in capitals above everything that does something."""
        for node in self.body:
            capital = isinstance(node, (ast.Assign, ast.AnnAssign)) and all(
                name.isupper() for name in bound_names(node)
            )
            if node in self.nodes or (isinstance(node, ast.AnnAssign) and node.value is None):
                continue
            value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
            reads = read_names(value) if value is not None else set()
            if not capital or not _literal(value) or not all(n.isupper() for n in reads):
                return
            self.nodes.add(node)

    def settle(self) -> None:
        """Keep outside whatever the definitions and the workers need, until nothing is missing."""
        for node in self.body[: self.at]:
            if node not in self.nodes and self.is_setting(node) and not _impure(node, self.module):
                self.nodes.add(node)
        while True:
            before = len(self.nodes)
            needed = self.needed()
            for node in self.body[: self.at]:
                name = next((n for n in sorted(needed) if self.may_change(node, n)), None)
                if node not in self.nodes and name is not None:
                    self.keep(node, name)
            if len(self.nodes) == before:
                return

    def needed(self) -> set[str]:
        names: dict[str, str] = {}
        for definition in self.work:
            for name in read_names(definition):
                names.setdefault(name, getattr(definition, "name", "a lambda"))
        for node in self.nodes:
            if not is_guard(node):
                for name in read_names(*_run_at_import(node)):
                    names.setdefault(name, getattr(node, "name", ""))
        self.because = names
        return set(names) - BUILTINS

    def keep(self, node: ast.stmt, name: str) -> None:
        if _impure(node, self.module):
            who = self.because.get(name)
            by = f"`{who}`" if who else "what stands outside functions"
            raise CannotSliceError(
                node.lineno,
                f"`{name}` is read by {by} in the workers, which would run this line again, with"
                " another outcome or its output twice; pass it as an argument",
            )
        self.nodes.add(node)

    def may_change(self, node: ast.stmt, name: str) -> bool:
        """Whether a top-level statement, or a function that it runs, binds or changes the name."""
        if _may_change(node, name):
            return True
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            return False
        return any(
            _changes_global(each, name)
            for each in reached([node], self.module)
            if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))
        )

    def is_setting(self, node: ast.stmt) -> bool:
        """Whether it sets something in an imported module, that workers must have set as well."""
        return is_setting(node, self.module)


def is_setting(node: ast.stmt, module: Module) -> bool:
    """Whether it sets something in an imported module, for the whole process."""
    targets: list[ast.expr] = []
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        name = (path_of(node.value.func) or "").rpartition(".")[2]
        if not name.startswith(SETTERS) and name != "update":
            return False
        targets = [node.value.func]
    elif isinstance(node, ast.Assign):
        targets = [t for t in node.targets if isinstance(t, (ast.Attribute, ast.Subscript))]
        if len(targets) != len(node.targets):
            return False
    for target in targets:
        base: ast.expr = target
        while isinstance(base, (ast.Attribute, ast.Subscript, ast.Call)):
            base = base.func if isinstance(base, ast.Call) else base.value
        if not isinstance(base, ast.Name) or base.id not in module.imports:
            return False
    return bool(targets)


def _run_at_import(node: ast.stmt) -> list[ast.AST]:
    """The parts of a definition that run when its module is imported."""
    if isinstance(node, ast.ClassDef):
        inner = [part for stmt in node.body for part in _run_at_import(stmt)]
        return [*node.decorator_list, *node.bases, *(k.value for k in node.keywords), *inner]
    if isinstance(node, FUNCTIONS):
        return [n for n in walk_scope(node) if n is not node]
    if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Lambda):
        return []
    return [node]


def _may_change(node: ast.stmt, name: str) -> bool:
    """Whether a top-level statement binds the name or may change what it holds."""
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        return node.name == name
    if name in bound_names(node):
        return True
    for n in ast.walk(node):
        if isinstance(n, (ast.Attribute, ast.Subscript)):
            if not isinstance(n.ctx, ast.Load) and _base(n) == name:
                return True
        elif isinstance(n, ast.Call):
            if isinstance(n.func, ast.Attribute) and _base(n.func) == name:
                return True
            builtin = isinstance(n.func, ast.Name) and n.func.id in BUILTINS
            if not builtin and any(isinstance(a, ast.Name) and a.id == name for a in n.args):
                return True
    return False


def _changes_global(function: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> bool:
    """Whether a function binds or changes what the module's name holds."""
    declared = any(isinstance(n, ast.Global) and name in n.names for n in ast.walk(function))
    if name in bound_names(*function.body) | set(parameter_names(function.args)) and not declared:
        return False
    return any(_may_change(statement, name) for statement in function.body)


def _first_run(body: Sequence[ast.stmt], module: Module, loop: ast.stmt) -> int:
    """Which of the top-level statements is the first to run the loop."""
    at = next(i for i, n in enumerate(body) if any(m is loop for m in ast.walk(n)))
    if not isinstance(body[at], (*FUNCTIONS, ast.ClassDef)):
        return at
    for index, node in enumerate(body[at:], at):
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            continue
        if any(any(n is loop for n in ast.walk(d)) for d in reached([node], module)):
            return index
    return at


def _base(node: ast.expr) -> str:
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _impure(node: ast.stmt, module: Module) -> bool:
    """Whether running it a second time may have another outcome, or be seen."""
    for each in [node, *reached([node], module)]:
        for n in ast.walk(each):
            if isinstance(n, ast.Call):
                path = path_of(n.func) or ""
                head, _, rest = path.partition(".")
                whole = (
                    f"{module.imports.get(head, head)}.{rest}"
                    if rest
                    else (module.imports.get(head, head))
                )
                parts = whole.split(".")
                seeded = parts[-1] in {"default_rng", "RandomState", "Random"} and n.args
                if parts[0] in IMPURE or (
                    len(parts) > 1 and CLOCKS & set(parts[:-1]) and not seeded
                ):
                    return True
    return False
