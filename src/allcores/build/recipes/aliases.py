"""Two names for one object, as far as a file shows it: `row = grid[2]`, `view = a[1:]`, `[out]`.

Workers have copies of what they read. Where the loop changes, in order, what they read under
another name, the copies grow old.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from allcores.build.recipes.slicing import blocks
from allcores.plan import Plan
from allcores.plan.effects import (
    ATOM_BUILTINS,
    ATOM_METHODS,
    BORROWING_FUNCTIONS,
    CONTAINER_CHANGES,
    ELEMENT_BUILTINS,
    ELEMENT_METHODS,
    SHALLOW_BUILTINS,
    SHALLOW_METHODS,
    VIEW_METHODS,
    overlaps,
)
from allcores.plan.names import (
    FUNCTIONS,
    bound_names,
    parameter_names,
    path_of,
    read_names,
    walk_scope,
)
from allcores.plan.source import Module

Paths = frozenset[str]
NOTHING: Paths = frozenset()
Kind = Literal["is", "part of", "in"]
FUNCTIONS_THAT_HOLD = SHALLOW_BUILTINS | {"partial", "deque", "OrderedDict"}
LOOKS_ON = frozenset(
    "enumerate zip reversed map filter iter items keys values chain islice".split()
)
"""What they give shows what becomes of what they are given."""


class Value(NamedTuple):
    """What the value of an expression may be."""

    same: Paths = NOTHING
    """It may be the object at one of these paths, or share its memory."""
    part: Paths = NOTHING
    """It may be found inside one of these."""
    holds: Paths = NOTHING
    """It has these inside."""

    def __or__(self, other: Value) -> Value:
        return Value(self.same | other.same, self.part | other.part, self.holds | other.holds)

    @property
    def all(self) -> Paths:
        return self.same | self.part | self.holds


def joined(values: Iterable[Value]) -> Value:
    """What any of the values may be."""
    out = Value()
    for value in values:
        out |= value
    return out


class State(NamedTuple):
    """A path on the way from what is changed."""

    path: str
    inside: bool
    """Whether the change may be to something inside the object there."""
    holder: bool = False
    """Whether the object there is only known to hold what is changed, among other things."""


@dataclass
class Aliases:
    """What the assignments of some scopes say of their names."""

    module: Module
    loop: ast.stmt
    links: list[tuple[int, str, Kind, str]] = field(default_factory=list)
    """The line that says so, and what it says: one path is the other, part of it, or in it."""
    given: dict[str, list[ast.expr]] = field(default_factory=dict)
    """All that is assigned to a name."""
    since: dict[str, tuple[int, int]] = field(default_factory=dict)
    """For names surely bound above the loop: the lines that may say what they hold at it."""
    line: int = 0

    def note(self, scope: Sequence[ast.stmt]) -> None:
        """Read a scope's own statements, save the loop."""
        self.note_bindings(scope, None)
        within = {id(n) for n in ast.walk(self.loop)}
        for node in walk_scope(*scope):
            if id(node) in within:
                continue
            self.line = getattr(node, "lineno", self.line)
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    self.assigned(target, node.value)
            elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
                self.assigned(node.target, node.value)
            elif isinstance(node, (ast.For, ast.AsyncFor)):
                self.bound(node.target, Value(part=self.value(node.iter).all))
            elif isinstance(node, ast.withitem) and node.optional_vars is not None:
                self.assigned(node.optional_vars, node.context_expr)
            elif isinstance(node, ast.Call):
                self.called(node)

    def note_bindings(self, body: Sequence[ast.stmt], around: ast.stmt | None) -> None:
        """What is bound on the way to the loop; `around`: the innermost loop about the block."""
        for node in body:
            if node is self.loop:
                return
            if any(n is self.loop for n in ast.walk(node)):
                again = node if isinstance(node, (ast.For, ast.AsyncFor, ast.While)) else around
                if not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
                    for _, block in blocks(node):
                        self.note_bindings(block, again)
                return
            if isinstance(node, (ast.Assign, ast.AnnAssign)):
                last = (around or self.loop).end_lineno if around else self.loop.lineno
                for name in bound_names(node):
                    self.since[name] = node.lineno, last or self.loop.lineno

    def assigned(self, target: ast.expr, value: ast.expr) -> None:
        pairs = (ast.Tuple, ast.List)
        if isinstance(target, pairs) and isinstance(value, pairs):
            if len(target.elts) == len(value.elts):
                for one, other in zip(target.elts, value.elts):
                    self.assigned(one, other)
                return
        if isinstance(target, ast.Name):
            self.given.setdefault(target.id, []).append(value)
        self.bound(target, self.value(value))

    def bound(self, target: ast.expr, value: Value) -> None:
        if isinstance(target, (ast.Tuple, ast.List)):
            for element in target.elts:
                self.bound(element, Value(part=value.all))
        elif isinstance(target, ast.Starred):
            self.bound(target.value, Value(holds=value.all))
        elif isinstance(target, ast.Subscript):
            self.bound(target.value, Value(holds=value.all))
        elif (path := path_of(target)) is not None:
            self.links += [(self.line, path, "is", other) for other in value.same]
            self.links += [(self.line, path, "part of", other) for other in value.part]
            self.links += [(self.line, other, "in", path) for other in value.holds]

    def called(self, node: ast.Call) -> None:
        """`rows.append(row)`: what is given is in the object from now on."""
        if isinstance(node.func, ast.Attribute) and node.func.attr in CONTAINER_CHANGES:
            given = joined(map(self.value, node.args)).all
            self.bound(node.func.value, Value(holds=given))

    # -- values

    def value(self, node: ast.expr) -> Value:
        """What the value of an expression may be."""
        path = path_of(node)
        if path is not None:
            return Value(same=frozenset({path}))
        match node:
            case ast.Subscript(value=base, slice=index):
                found = self.value(base)
                # A slice of an array shares its memory; of a list it has the same items.
                whole = found.same if isinstance(index, (ast.Slice, ast.Tuple)) else NOTHING
                return Value(same=whole, part=found.all)
            case ast.Attribute(value=base):
                return Value(part=self.value(base).all)
            case ast.IfExp(body=one, orelse=other):
                return self.value(one) | self.value(other)
            case ast.BoolOp(values=values):
                return joined(map(self.value, values))
            case ast.NamedExpr(value=inner) | ast.Starred(value=inner) | ast.Await(value=inner):
                return self.value(inner)
            case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
                return Value(holds=joined(map(self.value, elements)).all)
            case ast.Dict(values=values):
                return Value(holds=joined(map(self.value, values)).all)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                return self.collected(node.elt, node.generators)
            case ast.DictComp():
                return self.collected(node.value, node.generators)
            case ast.Call():
                return self.result(node)
        return Value()

    def collected(self, element: ast.expr, generators: list[ast.comprehension]) -> Value:
        sources = joined(self.value(g.iter) for g in generators).all
        own = {n.id for g in generators for n in ast.walk(g.target) if isinstance(n, ast.Name)}
        found = self.value(element).all
        outer = frozenset(p for p in found if p.partition(".")[0] not in own)
        return Value(holds=outer | (sources if outer != found else NOTHING))

    def result(self, call: ast.Call) -> Value:
        """What a call gives."""
        path = path_of(call.func) or ""
        head, _, rest = path.partition(".")
        full = f"{self.module.imports.get(head, head)}.{rest}" if rest else path
        last = path.rpartition(".")[2] or getattr(call.func, "attr", "")
        given = joined(map(self.value, [*call.args, *(k.value for k in call.keywords)])).all
        if full in BORROWING_FUNCTIONS:
            return Value(same=given)
        if isinstance(call.func, ast.Attribute):
            owner = self.value(call.func.value).all
            if last in VIEW_METHODS | LOOKS_ON:
                return Value(same=owner | given, part=given)
            if last in ELEMENT_METHODS:
                return Value(part=owner | given)
            if last in SHALLOW_METHODS:
                return Value(holds=owner)
            for _, method in self.module.methods.get(last, []):
                if _gives_a_parameter(method):
                    return Value(same=given, part=owner)
        if path in ELEMENT_BUILTINS | {"next", "iter"}:
            return Value(part=given)
        definition = self.module.defs.get(path)
        if last in LOOKS_ON:
            return Value(same=given)
        if last in FUNCTIONS_THAT_HOLD or isinstance(definition, ast.ClassDef):
            return Value(holds=given)
        if isinstance(definition, FUNCTIONS) and _gives_a_parameter(definition):
            return Value(same=given, part=given)
        return Value()

    def is_past(self, line: int, path: str) -> bool:
        """Whether the name has been bound anew since this line, on every way to the loop."""
        first, last = self.since.get(path.partition(".")[0], (line, line))
        return not first <= line <= last

    def is_atom_at(self, path: str) -> bool:
        return "." not in path and self.is_atom(ast.Name(path, ast.Load()))

    def is_atom(self, node: ast.expr) -> bool:
        """Whether it surely is a number or text, which nothing can change."""
        match node:
            case ast.Constant() | ast.JoinedStr() | ast.Compare():
                return True
            case ast.UnaryOp(operand=inner):
                return self.is_atom(inner)
            case ast.BinOp(left=left, right=right):
                return self.is_atom(left) and self.is_atom(right)
            case ast.Call(func=ast.Name(id=name)):
                return name in ATOM_BUILTINS
            case ast.Call(func=ast.Attribute(attr=name)):
                return name in ATOM_METHODS
            case ast.Name(id=name):
                values = self.given.get(name, [])
                return bool(values) and all(
                    not isinstance(v, ast.Name) and self.is_atom(v) for v in values
                )
        return False

    # -- following them

    def states(self, path: str, deep: bool) -> set[State]:
        """All places where what is changed may be found; `deep`: or things inside it."""
        seen: set[State] = set()
        todo = [State(path, deep)]
        while todo:
            state = todo.pop()
            if state in seen:
                continue
            seen.add(state)
            for line, one, kind, other in self.links:
                if self.is_past(line, one) or self.is_past(line, other) or self.is_atom_at(other):
                    continue
                if overlaps(state.path, one):
                    todo.append(State(other, state.inside or kind != "is", kind == "in"))
                if overlaps(state.path, other):
                    if kind == "is":
                        todo.append(State(one, state.inside, state.holder))
                    elif state.inside and not (kind == "in" and state.holder):
                        todo.append(State(one, True))
        return seen


def _gives_a_parameter(function: ast.AST) -> bool:
    """Whether what a function gives may be, or be a part of, what it is given."""
    assert isinstance(function, FUNCTIONS)
    if isinstance(function, ast.Lambda):
        return True
    parameters = set(parameter_names(function.args))
    for node in walk_scope(*function.body):
        if isinstance(node, ast.Return) and node.value is not None:
            value: ast.expr = node.value
            while isinstance(value, (ast.Attribute, ast.Subscript)):
                value = value.value
            if isinstance(value, ast.Name) and value.id in parameters:
                return True
    return False


# -- the loop


def shared(
    plan: Plan, over: ast.expr, work: Sequence[ast.AST], aliases: Aliases
) -> tuple[str, str] | None:
    """What the loop changes in order, and the name by which its work, or what it runs over, sees it.

    `work` is the code that workers run.
    """
    run_over = aliases.value(over)
    names = read_names(*work)
    reads = sorted(read for read in plan.work_reads if read.partition(".")[0] in names)
    reads += sorted(_of_imports(work, aliases.module))
    for path, deep in plan.changed.items():
        if path.startswith("$"):
            continue
        inside = deep or _stores_into(plan, path)
        states = aliases.states(path, inside)
        for read in reads:
            if any(overlaps(read, s.path) for s in states if s.path != path):
                return path, read
            if path.partition(".")[0] in aliases.module.imports and overlaps(read, path):
                return path, read
        own = _only_at_its_own_place(plan, over, path)
        for state in sorted(states):
            if own and state.path == path:
                continue
            watched = (
                run_over.all if state.inside and (deep or state.path != path) else run_over.same
            )
            found = sorted(seen for seen in watched if overlaps(seen, state.path))
            if found:
                return path, found[0]
    return None


def _of_imports(work: Sequence[ast.AST], module: Module) -> set[str]:
    """The paths into imported modules that workers read: `os.environ.get`."""
    paths = {
        path_of(n)
        for node in work
        for n in ast.walk(node)
        if isinstance(n, (ast.Name, ast.Attribute)) and isinstance(n.ctx, ast.Load)
    }
    return {path for path in paths if path and path.partition(".")[0] in module.imports}


def _stores_into(plan: Plan, path: str) -> bool:
    """Whether some commit is `path[·] = ·`, which for an array changes its views."""
    return any(
        isinstance(n, ast.Subscript) and isinstance(n.ctx, ast.Store) and path_of(n.value) == path
        for step in plan.steps
        for n in ast.walk(step)
    )


def _only_at_its_own_place(plan: Plan, over: ast.expr, path: str) -> bool:
    """Whether each iteration touches the item alone that it has been given: `xs[i] = f(x)`."""
    key = _key(plan.node.target, over, path)
    if key is None:
        return False
    mentions = [n for step in plan.steps for n in ast.walk(step) if _is_path(n, path)]
    at_key = {
        id(n.value)
        for step in plan.steps
        for n in ast.walk(step)
        if isinstance(n, ast.Subscript) and isinstance(n.slice, ast.Name) and n.slice.id == key
    }
    rebound = any(
        isinstance(n, ast.Name) and n.id == key and not isinstance(n.ctx, ast.Load)
        for stmt in plan.node.body
        for n in ast.walk(stmt)
    )
    return not rebound and all(id(n) in at_key for n in mentions)


def _is_path(node: ast.AST, path: str) -> bool:
    return isinstance(node, (ast.Name, ast.Attribute)) and path_of(node) == path


def _key(target: ast.expr, over: ast.expr, path: str) -> str | None:
    """The loop's variable that is the place of its item in what it runs over."""
    first = target.elts[0] if isinstance(target, ast.Tuple) and target.elts else target
    name = first.id if isinstance(first, ast.Name) else None
    match over:
        case ast.Call(func=ast.Name(id="enumerate"), args=[inner]) if _is_path(inner, path):
            return name if first is not target else None
        case ast.Call(func=ast.Attribute(value=inner, attr="items" | "keys")):
            return name if _is_path(inner, path) else None
    return name if _is_path(over, path) else None
