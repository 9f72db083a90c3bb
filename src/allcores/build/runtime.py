"""From a Plan to functions of this process: one that does an iteration's work, one that commits.

Everything is compiled with the user's file name and line numbers, so that tracebacks point at
the user's own lines.

    def make(fixed...):
        def work(item):             # in a worker: the body, each commit replaced by its record
        def commit(items, results, state):   # in the user's process: the commits, in order
        def take():                 # the temporaries that are bound, which it unbinds
"""

from __future__ import annotations

import ast
import types
from collections.abc import Callable
from typing import Any, NamedTuple

from allcores.plan.model import Plan, Step
from allcores.plan.names import FUNCTIONS, target_names, walk
from allcores.plan.quiet import quiet_compile

HELPERS = ("__LEFT", "__own", "__immutable", "__output", "__said")


class Code(NamedTuple):
    """A Plan compiled; `bind` gives the functions for one entry of the loop."""

    make: types.CodeType
    fixed: list[str]
    traced: bool
    temporaries: list[str]
    parent_names: list[str]
    module_level: bool
    lift_count: int
    late: frozenset[int] = frozenset()

    def bind(
        self, namespace: dict[str, Any], fixed: dict[str, Any], helpers: dict[str, Any]
    ) -> Functions:
        """The functions over the user's globals and the values of `fixed` names."""
        make = types.FunctionType(self.make, namespace)
        given = [helpers[h] for h in HELPERS] + [fixed[n] for n in self.fixed]
        work, commit, take, targets = make(*given)
        return Functions(work, commit, take, targets, self.lift_count, self.late)


class Functions(NamedTuple):
    """What an entry of a loop runs."""

    work: Callable[[Any], Any]
    commit: Callable[[Any, Any, dict[str, Any]], None]
    take: Callable[[], dict[str, Any]]
    targets: Callable[[Any], dict[str, Any]]
    lift_count: int
    """How many values a straight result holds."""
    late: frozenset[int]
    """The numbers of those records in which each value is followed by what was said on the way."""


def compile_plan(
    plan: Plan,
    fixed: list[str],
    flags: int = 0,
    traced: bool = False,
    qualname: str | None = None,
    own_cells: bool = False,
) -> Code:
    """Compile a Plan.

    `fixed` are the outer names whose values are handed over (a function's variables; at module
    level none). `traced` asks for records that name their commits even where the Plan does not
    need it, so that output made by called functions can be put in its place. `qualname` is that of
    the function the loop stands in, as tracebacks show it. `own_cells` keeps a module's temporaries
    apart from its variables, for threads that each have their own.
    """
    writer = _Writer(plan, fixed, traced, own_cells)
    tree = writer.module()
    code = quiet_compile(tree, plan.file, "exec", flags)
    make = next(c for c in code.co_consts if isinstance(c, types.CodeType))
    qualname = qualname or plan.function or "<module>"
    return Code(
        _renamed(make, qualname.rpartition(".")[2], qualname),
        fixed,
        writer.traced,
        plan.temporaries,
        writer.parent_names,
        plan.module_level,
        writer.lift_count,
        frozenset(writer.late),
    )


def _renamed(make: types.CodeType, name: str, qualname: str) -> types.CodeType:
    """Work and commit appear in tracebacks under the name of the function the loop stands in."""
    inside = ("__make.<locals>.__work.<locals>.", "__make.<locals>.__commit.<locals>.")
    prefix = "" if qualname == "<module>" else f"{qualname}.<locals>."

    def rename(code: types.CodeType) -> types.CodeType:
        consts = tuple(rename(c) if isinstance(c, types.CodeType) else c for c in code.co_consts)
        if code.co_name in ("__work", "__commit"):
            return code.replace(co_consts=consts, co_name=name, co_qualname=qualname)
        for start in inside:
            if code.co_qualname.startswith(start):
                own = code.co_qualname.removeprefix(start)
                return code.replace(co_consts=consts, co_qualname=prefix + own)
        return code.replace(co_consts=consts)

    return rename(make)


def _parse(text: str) -> list[ast.stmt]:
    return ast.parse(text).body


def _load(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _guarded(text: str) -> str:
    """The arguments of a guard: a name, or the owner of a part and the part."""
    node = ast.parse(text, mode="eval").body
    if isinstance(node, ast.Attribute):
        return f"{ast.unparse(node.value)}, {node.attr!r}, None"
    if isinstance(node, ast.Subscript):
        return f"{ast.unparse(node.value)}, None, ({ast.unparse(node.slice)})"
    return text


class _Writer:
    def __init__(self, plan: Plan, fixed: list[str], traced: bool, own_cells: bool) -> None:
        self.plan = plan
        self.in_globals = plan.module_level and not own_cells
        """Whether temporaries are variables of the module."""
        self.fixed = fixed
        self.node = plan.node
        self.ids = {stmt: k for k, stmt in enumerate(plan.steps)}
        self.parent_names = sorted(plan.parent_names)
        jumps = plan.steps and any(_main_continues(s) for s in plan.node.body)
        self.traced = bool(traced or not plan.straight or jumps or plan.mirrors)
        self.offsets: dict[ast.stmt, int] = {}
        count = 0
        for stmt, step in plan.steps.items():
            self.offsets[stmt] = count
            count += len(step.lifts)
        self.lift_count = count
        self.late = set[int]()

    # -- the factory

    def module(self) -> ast.Module:
        plan = self.plan
        args = ", ".join([*HELPERS, *self.fixed])
        lines = [f"def __make({args}):"]
        cells = (
            []
            if self.in_globals
            else [n for n in plan.temporaries if n not in plan.declared_global]
        )
        for n in cells:
            lines.append(f"    {n} = None")
        lines += ["    def __work(__item): pass", "    def __commit(__items, __results, __s): pass"]
        lines += self.take_lines(cells) + self.target_lines()
        lines.append("    return __work, __commit, __take, __targets")
        [make] = _parse("\n".join(lines))
        assert isinstance(make, ast.FunctionDef)
        for stmt in make.body:
            if isinstance(stmt, ast.FunctionDef) and stmt.name == "__work":
                stmt.body = self.work_body(cells)
            elif isinstance(stmt, ast.FunctionDef) and stmt.name == "__commit":
                stmt.body = self.commit_body()
        tree = ast.Module([make], [])
        _locate(tree, self.node)
        if plan.class_name:
            _Mangler(plan.class_name).visit(tree)
        return tree

    def take_lines(self, cells: list[str]) -> list[str]:
        lines = ["    def __take():"]
        if cells:
            lines.append(f"        nonlocal {', '.join(cells)}")
        lines.append("        __d = {}")
        for n in cells:
            lines += [
                "        try:",
                f"            __d[{n!r}] = {n}",
                f"            del {n}",
                "        except NameError: pass",
            ]
        return [*lines, "        return __d"]

    def target_lines(self) -> list[str]:
        names = dict.fromkeys(target_names(self.node.target))
        shown = ast.unparse(self.node.target)
        pairs = ", ".join(f"{n!r}: {n}" for n in names)
        return [
            "    def __targets(__item):",
            f"        {shown} = __item",
            f"        return {{{pairs}}}",
        ]

    # -- work

    def work_body(self, cells: list[str]) -> list[ast.stmt]:
        plan = self.plan
        out: list[ast.stmt] = []
        if self.in_globals:
            own = (set(plan.temporaries) | set(plan.varying) | plan.deleted) - plan.parent_names
            out += _global(own | (plan.declared_global - plan.parent_names))
        else:
            out += _global(plan.declared_global - plan.parent_names)
            if cells:
                out.append(ast.Nonlocal(cells))
        out.append(ast.Assign([_copy(self.node.target)], _load("__item")))
        if self.traced:
            out += _parse("__rec = []")
        out += self.statements(plan.node.body, True)
        out += self.leave()
        return out

    def leave(self) -> list[ast.stmt]:
        if self.traced:
            put = ast.Expr(ast.Call(_load("__output"), [_load("__rec")], []))
            return [put, ast.Return(_load("__rec"))]
        names: list[ast.expr] = [_load(f"__v{j}") for j in range(self.lift_count)]
        if not names:
            return [ast.Return(ast.Constant(None))]
        return [ast.Return(names[0] if len(names) == 1 else ast.Tuple(names, ast.Load()))]

    def statements(self, body: list[ast.stmt], main: bool) -> list[ast.stmt]:
        """`main`: a jump here belongs to the loop itself, not to one nested in its body."""
        out: list[ast.stmt] = []
        for stmt in body:
            out += self.statement(stmt, main)
        return out

    def statement(self, stmt: ast.stmt, main: bool) -> list[ast.stmt]:
        step = self.plan.steps.get(stmt)
        if stmt in self.plan.look_at_exception:
            return [ast.copy_location(ast.Return(_load("__LEFT")), stmt)]
        if step is not None:
            return [*self.guards(stmt), *self.record(self.ids[stmt], step)]
        if isinstance(stmt, ast.Return) or (main and isinstance(stmt, ast.Break)):
            return [ast.copy_location(ast.Return(_load("__LEFT")), stmt)]
        if main and isinstance(stmt, ast.Continue):
            return [ast.copy_location(s, stmt) for s in self.leave()]
        if isinstance(stmt, ast.Global):
            return []
        guards = self.guards(stmt)
        new = self.compound(stmt, main)
        if stmt in self.plan.mirrors:
            index = len(self.plan.steps) + list(self.plan.mirrors).index(stmt)
            lifts: list[ast.expr] = [_load(n) for n in self.plan.mirrors[stmt]]
            return [*guards, new, *self.append_record(index, lifts)]
        return [*guards, new]

    def guards(self, stmt: ast.stmt) -> list[ast.stmt]:
        """What looks at values before the statement's work may change them."""
        out: list[ast.stmt] = []
        for kind, name in self.plan.guards.get(stmt, []):
            helper = "__own" if kind == "own" else "__immutable"
            [guard] = _parse(f"{helper}({_guarded(name)})")
            for n in ast.walk(guard):
                if "lineno" in n._attributes:
                    ast.copy_location(n, stmt)
            out.append(guard)
        return out

    def compound(self, stmt: ast.stmt, main: bool) -> ast.stmt:
        """A copy of the statement with the statements in it replaced."""
        if isinstance(stmt, (*FUNCTIONS, ast.ClassDef)):
            same: ast.stmt = _copy(stmt)
            return same
        if isinstance(stmt, ast.AnnAssign):
            # A function does not evaluate the annotations of its variables.
            plain = ast.Assign([stmt.target], stmt.value) if stmt.value else ast.Pass()
            return ast.copy_location(plain, stmt)
        fields: dict[str, Any] = {}
        for name, value in ast.iter_fields(stmt):
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                inner = main and not (isinstance(stmt, (ast.For, ast.While)) and name == "body")
                fields[name] = self.statements(value, inner) or [ast.Pass()]
            elif (
                isinstance(value, list)
                and value
                and isinstance(value[0], (ast.ExceptHandler, ast.match_case))
            ):
                fields[name] = [self.part(v, main) for v in value]
            else:
                fields[name] = value
        made: ast.stmt = ast.copy_location(type(stmt)(**fields), stmt)
        return made

    def part(self, node: Any, main: bool) -> Any:
        fields = dict(ast.iter_fields(node))
        fields["body"] = self.statements(node.body, main) or [ast.Pass()]
        new = type(node)(**fields)
        return ast.copy_location(new, node) if hasattr(node, "lineno") else new

    def record(self, index: int, step: Step) -> list[ast.stmt]:
        lifts = [_sendable(e) for e in step.lifts]
        if self.traced:
            made = self.append_record(index, lifts, speaks_late(step))
            return [ast.copy_location(s, step.node) for s in made]
        first = self.offsets[step.node]
        return [
            ast.copy_location(ast.Assign([ast.Name(f"__v{first + j}", ast.Store())], e), e)
            for j, e in enumerate(lifts)
        ]

    def append_record(
        self, index: int, lifts: list[ast.expr], late: bool = False
    ) -> list[ast.stmt]:
        """late: each value is followed by what was printed while it was worked out."""
        values = lifts
        if late:
            self.late.add(index)
            values = [v for e in lifts for v in (e, ast.Call(_load("__said"), [], []))]
        entry = ast.Tuple([ast.Constant(index), *values], ast.Load())
        put = ast.Call(_load("__output"), [_load("__rec")], [])
        to_come = ast.Call(_load("__output"), [_load("__rec"), ast.Constant(...)], [])
        append = ast.Attribute(_load("__rec"), "append", ast.Load())
        if not lifts:
            return [ast.Expr(put), ast.Expr(ast.Call(append, [entry], []))]
        # What is printed while the values are worked out comes before the commit's own effects.
        first = ast.Assign([ast.Name("__e", ast.Store())], entry)
        after = ast.Call(append, [_load("__e")], [])
        gone = ast.Delete([ast.Name("__e", ast.Del())])
        put.args.append(_load("__e"))
        made = [first, ast.Expr(put), ast.Expr(after), gone]
        return [ast.Expr(to_come), *made] if late else made

    # -- commits

    def commit_body(self) -> list[ast.stmt]:
        plan = self.plan
        out: list[ast.stmt] = []
        local = set(plan.parent_names)
        if plan.module_level:
            out += _global(plan.parent_names | set(plan.varying))
            local = set()
        else:
            out += _global(plan.declared_global)
            local -= plan.declared_global
        for n in sorted(local):
            out += _parse(f"if {n!r} in __s:\n    {n} = __s[{n!r}]")
        out += _parse("__n = __k = __p = 0")
        # Nothing is called at the end: where a call returns, a signal's handler may raise.
        [attempt] = _parse("try: pass\nfinally: __s['__at'] = __n, __k, __p")
        assert isinstance(attempt, ast.Try)
        attempt.body = [self.replay_loop()]
        for n in sorted(local):
            attempt.finalbody += _parse(
                f"try: __s[{n!r}] = {n}\nexcept NameError:\n"
                f"    try: del __s[{n!r}]\n    except KeyError: pass"
            )
        return [*out, attempt]

    def replay_loop(self) -> ast.stmt:
        [loop] = _parse(
            "for __n, (__item, __r) in enumerate(zip(__items, __results)):\n    __k = __p = 0"
        )
        assert isinstance(loop, ast.For)
        loop.body.append(ast.Assign([_copy(self.node.target)], _load("__item")))
        if self.traced:
            [entries] = _parse("for __e in __r: pass")
            assert isinstance(entries, ast.For)
            entries.body = self.dispatch()
            loop.body.append(entries)
            if self.plan.leaves_by_commit:
                loop.body += _parse("while False: pass\nif '__left' in __s: pass")[1:]
                leave = loop.body[-1]
                assert isinstance(leave, ast.If)
                leave.body = [ast.Break()]
            return loop
        for stmt, step in self.plan.steps.items():
            loop.body += self.commit_statement(
                stmt, step, "__r", self.offsets[stmt], self.lift_count == 1
            )
        return loop

    def dispatch(self) -> list[ast.stmt]:
        cases: list[tuple[int, list[ast.stmt]]] = []
        for stmt, step in self.plan.steps.items():
            cases.append((self.ids[stmt], self.commit_statement(stmt, step, "__e", 1, False)))
        for j, (_, names) in enumerate(self.plan.mirrors.items()):
            body: list[ast.stmt] = []
            for i, n in enumerate(names):
                body += _parse(f"__s[{n!r}] = __e[{i + 1}]\n__k += {int(i == 0)}")
            cases.append((len(self.plan.steps) + j, body or [ast.Pass()]))
        # What has been printed must not be printed again: the iteration has begun.
        cases.append((-1, _parse("__p = 1; __output(__e)")))
        chain: list[ast.stmt] = []
        for k, body in reversed(cases):
            test = ast.Compare(
                ast.Subscript(_load("__e"), ast.Constant(0), ast.Load()),
                [ast.Eq()],
                [ast.Constant(k)],
            )
            chain = [ast.If(test, body, chain)]
        return chain

    def commit_statement(
        self, stmt: ast.stmt, step: Step, source: str, first: int, single: bool
    ) -> list[ast.stmt]:
        late = self.traced and speaks_late(step)
        put = _Replacer(step.lifts, source, first, single, late)
        new = put.visit(stmt)
        new = _Jumps(self.traced).visit(new)
        count = "__k += 1" if self.traced else f"__k = {self.ids[stmt] + 1}"
        before = _parse("__p = 1") if step.several else []
        after = _parse(f"{count}\n__p = 0" if step.several else count)
        body = new if isinstance(new, list) else [new]
        return [*before, *body, *after]


MAY_RAISE = (ast.Subscript, ast.Call, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Attribute)


def speaks_late(step: Step) -> bool:
    """Whether a value that calls are made for comes after something done here that may raise.

    If that raises, what such a call prints is not to be printed.
    """
    calls = [e for e in step.lifts if any(isinstance(n, ast.Call) for n in walk(e))]
    if not calls:
        return False
    sent = {n for e in step.lifts for n in walk(e)}
    targets: list[ast.expr] = []
    if isinstance(step.node, ast.Assign):
        targets = step.node.targets
    elif isinstance(step.node, ast.AnnAssign):
        targets = [step.node.target]
    # They stand before the value, and come after it.
    behind = {n for t in targets for n in walk(t)}
    last = max((e in behind, e.lineno, e.col_offset) for e in calls)
    return any(
        isinstance(n, MAY_RAISE)
        and n not in sent
        and (n in behind, n.end_lineno, n.end_col_offset) <= last
        for n in walk(step.node)
        if not (isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name))
    )


def _sendable(e: ast.expr) -> ast.expr:
    if isinstance(e, ast.GeneratorExp):
        return ast.copy_location(ast.ListComp(e.elt, e.generators), e)
    return e


def _global(names: set[str]) -> list[ast.stmt]:
    return [ast.Global(sorted(names))] if names else []


def _copy(node: Any) -> Any:
    """A copy of a tree, without what reading has kept on its nodes."""
    if isinstance(node, list):
        return [_copy(n) for n in node]
    if not isinstance(node, ast.AST):
        return node
    made = type(node)(**{name: _copy(value) for name, value in ast.iter_fields(node)})
    return ast.copy_location(made, node)


def _main_continues(stmt: ast.stmt) -> bool:
    if isinstance(stmt, ast.Continue):
        return True
    if isinstance(stmt, (*FUNCTIONS, ast.ClassDef)):
        return False
    for name, value in ast.iter_fields(stmt):
        if isinstance(stmt, (ast.For, ast.While)) and name == "body":
            continue
        for child in value if isinstance(value, list) else []:
            inner = (
                child.body if isinstance(child, (ast.ExceptHandler, ast.match_case)) else [child]
            )
            if any(isinstance(s, ast.stmt) and _main_continues(s) for s in inner):
                return True
    return False


def _locate(tree: ast.AST, at: ast.AST) -> None:
    """Give every node made here the loop's own place."""
    ours = {"__make", "__work", "__commit", "__take", "__targets"}
    for node in walk(tree):
        if "lineno" in node._attributes and getattr(node, "lineno", None) is None:
            ast.copy_location(node, at)
        if isinstance(node, ast.FunctionDef) and node.name in ours:
            ast.copy_location(node, at)
            for arg in node.args.args:
                ast.copy_location(arg, at)


class _Replacer(ast.NodeTransformer):
    """Copies a commit with its lifts replaced by what the worker sent."""

    def __init__(
        self, lifts: list[ast.expr], source: str, first: int, single: bool, late: bool
    ) -> None:
        self.index = {id(e): j for j, e in enumerate(lifts)}
        self.same = {ast.dump(e): j for j, e in enumerate(lifts)}
        self.names = {e.id: j for j, e in enumerate(lifts) if isinstance(e, ast.Name)}
        self.source, self.first, self.single, self.late = source, first, single, late

    def sent(self, j: int, at: ast.AST) -> ast.AST:
        if self.single:
            return ast.copy_location(_load(self.source), at)
        item: ast.expr = self.part(2 * j if self.late else j)
        if self.late:
            # What was printed on the way to a value is printed when the plain loop would have it.
            given = [_load("__s"), _load("__n"), item, self.part(2 * j + 1)]
            item = ast.Call(_load("__said"), given, [])
        for n in ast.walk(item):
            ast.copy_location(n, at)
        return item

    def part(self, k: int) -> ast.Subscript:
        return ast.Subscript(_load(self.source), ast.Constant(self.first + k), ast.Load())

    def visit(self, node: ast.AST) -> Any:
        if id(node) in self.index:
            return self.sent(self.index[id(node)], node)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in self.names:
            return self.sent(self.names[node.id], node)
        fields: dict[str, Any] = {}
        for name, value in ast.iter_fields(node):
            if isinstance(value, list):
                fields[name] = [self.visit(v) if isinstance(v, ast.AST) else v for v in value]
            else:
                fields[name] = self.visit(value) if isinstance(value, ast.AST) else value
        return ast.copy_location(type(node)(**fields), node)


class _Jumps(ast.NodeTransformer):
    """The loop's own jumps in a commit: `break` says so in the state; both end the iteration."""

    def __init__(self, traced: bool) -> None:
        self.jump = ast.Break if traced else ast.Continue

    def visit_For(self, node: Any) -> Any:
        node.orelse = [s for o in node.orelse for s in _many(self.visit(o))]
        return node

    visit_While = visit_For

    def visit_FunctionDef(self, node: Any) -> Any:
        return node

    visit_Lambda = visit_AsyncFunctionDef = visit_ClassDef = visit_FunctionDef

    def visit_Continue(self, node: ast.Continue) -> Any:
        return ast.copy_location(self.jump(), node)

    def visit_Break(self, node: ast.Break) -> Any:
        [flag] = _parse("__s['__left'] = True")
        for n in ast.walk(flag):
            if "lineno" in n._attributes:
                ast.copy_location(n, node)
        return [flag, ast.copy_location(ast.Break(), node)]


def _many(found: Any) -> list[Any]:
    return found if isinstance(found, list) else [found]


class _Mangler(ast.NodeTransformer):
    """Private names of a class (`__x`) as the compiler spells them inside it."""

    def __init__(self, class_name: str) -> None:
        self.prefix = "_" + class_name.lstrip("_")
        self.ours = (
            "__make",
            "__work",
            "__commit",
            "__take",
            "__targets",
            "__item",
            "__items",
            "__results",
            "__s",
            "__n",
            "__k",
            "__p",
            "__r",
            "__e",
            "__rec",
            "__d",
            *HELPERS,
        )

    def mangle(self, name: str) -> str:
        private = name.startswith("__") and not name.endswith("__") and name not in self.ours
        if private and not name.startswith("__v") and self.prefix != "_":
            return self.prefix + name
        return name

    def visit_Name(self, node: ast.Name) -> Any:
        node.id = self.mangle(node.id)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        self.generic_visit(node)
        return ast.copy_location(ast.Attribute(node.value, self.mangle(node.attr), node.ctx), node)
