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
from allcores.build.recipes.text import Source, enclosed, indented, moved, one_line
from allcores.plan import Plan
from allcores.plan.names import FUNCTIONS, bound_names, path_of, read_names, target_names

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


class IfSlicer(Slicer):
    """What is done in order stands under `if`s only."""

    def __init__(self, source: Source, plan: Plan, names: Names) -> None:
        super().__init__(source, plan, names)
        self.swaps: dict[ast.AST, str] = {}
        self.tests: dict[ast.If, str | None] = {}

    def fits(self, body: Sequence[ast.stmt]) -> bool:
        """Whether the body is of this kind."""
        for node in body:
            if not self.matters(node) or node in self.steps:
                continue
            if isinstance(node, ast.If):
                if not (self.fits(node.body) and self.fits(node.orelse)):
                    return False
            elif not isinstance(node, (ast.Break, ast.Continue, ast.Return)):
                return False
        return True

    def sliced(self) -> Sliced:
        body = self.node.body
        self.decide(body)
        work = _trimmed(self.work(body, self.source.span(self.node.iter)[1]))
        if not _ends(work):
            work.append(f"return {GIVES}")
        parent = _trimmed(self.ordered(body, self.source.span(self.node.iter)[1]))
        return Sliced(work, parent, list(self.sent), self.collected(body), used=self.used)

    def collected(self, body: Sequence[ast.stmt]) -> ast.Call | None:
        mattering = [node for node in body if self.matters(node)]
        if len(mattering) != 1 or mattering[0] not in self.steps or len(self.sent) != 1:
            return None
        match mattering[0]:
            case ast.Expr(
                value=ast.Call(
                    func=ast.Attribute(value=ast.Name(), attr="append"), args=[only], keywords=[]
                ) as call
            ) if self.swaps.get(only, getattr(only, "id", "")) in self.sent:
                return call
        return None

    # -- what is sent

    def decide(self, body: Sequence[ast.stmt]) -> None:
        for node in body:
            step = self.steps.get(node)
            if step is not None:
                for lift in self.lifts(node):
                    self.send(lift, node, "value")
            elif isinstance(node, ast.If) and self.matters(node):
                self.tests[node] = self.flag(node)
                self.decide(node.body)
                self.decide(node.orelse)
            elif isinstance(node, ast.Return):
                for part in self.parts(node):
                    if isinstance(part, ast.Name):
                        self.sent[part.id] = None
                    else:
                        self.send(part, node, "value")

    def send(self, node: ast.expr, stmt: ast.stmt, wish: str) -> None:
        if isinstance(node, ast.Name) and self.stays(node.id, stmt):
            self.sent[node.id] = None
            return
        name = self.names.new(wish)
        self.sent[name] = None
        self.swaps[node] = name

    def stays(self, name: str, stmt: ast.stmt) -> bool:
        """Whether the name means the same at the end of the body as behind this statement."""
        if name in self.plan.varying:
            return False
        return not any(
            name in bound_names(later)
            for later in ast.walk(self.node)
            if isinstance(later, ast.stmt)
            and later is not self.node
            and later.lineno > stmt.lineno
            and name in bound_names(later)
        )

    def at_hand(self, node: ast.expr) -> bool:
        """Whether the parent can evaluate it as well, at no cost."""
        allowed = (
            *(ast.Constant, ast.Name, ast.Compare, ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.Tuple),
            *(ast.operator, ast.cmpop, ast.boolop, ast.unaryop, ast.expr_context),
        )
        names = read_names(node)
        return all(isinstance(n, allowed) for n in ast.walk(node)) and not (names & self.in_worker)

    def flag(self, node: ast.If) -> str | None:
        """The variable that tells the parent how the test came out; None: it tests itself."""
        if self.at_hand(node.test):
            return None
        names = self.numbers(node.test)
        if names and all(self.stays(name, node) for name in names & self.in_worker):
            for name in sorted(names & self.in_worker):
                self.sent[name] = None
            return None
        flag = self.names.new(_flag_name(node.test))
        self.sent[flag] = None
        return flag

    def numbers(self, test: ast.expr) -> set[str]:
        """The names in comparisons such as `y > 3`; empty where the test is anything else."""
        match test:
            case ast.Compare(ops=ops) if all(
                isinstance(op, (ast.Lt, ast.LtE, ast.Gt, ast.GtE)) for op in ops
            ):
                parts = (ast.Name, ast.Constant, ast.UnaryOp, ast.USub, ast.Load, ast.Compare)
                if all(isinstance(n, (*parts, ast.cmpop)) for n in ast.walk(test)):
                    return read_names(test)
        return set()

    # -- the worker's half

    def work(self, body: Sequence[ast.stmt], previous: int) -> list[str]:
        out: list[str] = []
        for node in body:
            out += self.work_of(node, self.lead(node, previous))
            previous = self.end(node)
        return out

    def work_of(self, node: ast.stmt, lead: list[str]) -> list[str]:
        step = self.steps.get(node)
        if step is not None:
            return [line for lift in self.lifts(node) for line in self.assigned(lift)]
        if not self.matters(node):
            if isinstance(node, (ast.Pass, ast.Global)):
                return []
            return [*lead, *self.text(node)]
        if isinstance(node, ast.Return):
            lines = [line for part in self.parts(node) for line in self.assigned(part)]
            return [*lines, f"return {GIVES}"]
        if not isinstance(node, ast.If):
            return [f"return {GIVES}"]
        return self.work_of_if(node, lead)

    def assigned(self, lift: ast.expr) -> list[str]:
        name = self.swaps.get(lift)
        return f"{name} = {self.lifted(lift)}".split("\n") if name else []

    def work_of_if(self, node: ast.If, lead: list[str]) -> list[str]:
        then = _trimmed(self.work(node.body, self.source.span(node.test)[1]))
        otherwise = _trimmed(self.work(node.orelse, self.end(node.body[-1])))
        flag, test = (
            self.tests[node],
            self.dedented(enclosed(self.source.of(node.test), node.test), node.test),
        )
        out = list(lead)
        if flag:
            whole = test if _is_bool(node.test) else f"bool({test})"
            out += f"{flag} = {whole}".split("\n")
            test = flag
        if not then and not otherwise:
            return out if flag else []
        unit = self.source.unit
        if then:
            out += [*f"if {test}:".split("\n"), *indented(then, unit)]
            if otherwise and not _ends(then):
                out += ["else:", *indented(otherwise, unit)]
            else:
                out += otherwise
        else:
            out += [f"if not {_operand(test, node.test)}:", *indented(otherwise, unit)]
        return out

    # -- the parent's half

    def ordered(self, body: Sequence[ast.stmt], previous: int) -> list[str]:
        out: list[str] = []
        for node in body:
            if self.matters(node):
                lead = self.lead(node, previous)
                new = self.ordered_of(node)
                out += [*(lead if new else []), *new]
            previous = self.end(node)
        return out

    def ordered_of(self, node: ast.stmt) -> list[str]:
        if not isinstance(node, ast.If) or node in self.steps:
            lifts = self.lifts(node) if node in self.steps else []
            if isinstance(node, ast.Return):
                lifts = self.parts(node)
            swaps = [self.swap(e, self.swaps[e]) for e in lifts if e in self.swaps]
            self.used += _left_over(node, {e for e, _ in swaps})
            return self.text(node, swaps)
        then = _trimmed(self.ordered(node.body, self.source.span(node.test)[1]))
        otherwise = _trimmed(self.ordered(node.orelse, self.end(node.body[-1])))
        flag = self.tests[node]
        if flag is None:
            self.used.append(node.test)
        test = flag or self.dedented(enclosed(self.source.of(node.test), node.test), node.test)
        unit = self.source.unit
        if not then:
            operand = flag or _operand(test, node.test)
            return [f"if not {operand}:", *indented(otherwise, unit)] if otherwise else []
        out = [*f"if {test}:".split("\n"), *indented(then, unit)]
        if otherwise:
            first = otherwise[0].startswith("if ") and _is_elif(self.source, node)
            out += (
                ["el" + otherwise[0], *otherwise[1:]]
                if first and _one_statement(otherwise)
                else ["else:", *indented(otherwise, unit)]
            )
        return out


class StepSlicer(Slicer):
    """What is done in order stands anywhere: the worker lists the steps."""

    def sliced(self) -> Sliced:
        self.refuse_jumps()
        self.list_name = self.names.new("steps")
        self.labels: dict[ast.stmt, str] = {}
        self.values: dict[ast.stmt, list[tuple[str, ast.expr]]] = {}
        for node in self.acts():
            self.labels[node] = self.label(node)
            self.values[node] = self.valued(node)
        leaves = any(isinstance(jump, ast.Break) for jump in self.jumps(self.node.body, True))
        self.leave = self.names.new("leave") if leaves else None
        work = [f"{self.list_name} = []", *self.work()]
        if not _ends(work):
            work.append(f"return {GIVES}")
        self.sent = dict.fromkeys([self.list_name, *([self.leave] if self.leave else [])])
        return Sliced(work, self.ordered(), list(self.sent), leave=self.leave, used=self.used)

    def acts(self) -> list[ast.stmt]:
        """Commits and `return`s, in the order of the file."""
        returns = [j for j in self.jumps(self.node.body, True) if isinstance(j, ast.Return)]
        return sorted([*self.steps, *returns], key=lambda n: (n.lineno, n.col_offset))

    def jumps(self, body: Sequence[ast.stmt], main: bool) -> list[Jump]:
        found: list[Jump] = []
        for node in body:
            if isinstance(node, ast.Return):
                found.append(node)
            elif isinstance(node, (ast.Break, ast.Continue)):
                found += [node] if main else []
            elif not isinstance(node, (*FUNCTIONS, ast.ClassDef)) and node not in self.steps:
                for name, block in blocks(node):
                    inner = main and not (isinstance(node, (ast.For, ast.While)) and name == "body")
                    found += self.jumps(block, inner)
        return found

    def refuse_jumps(self) -> None:
        for step in self.steps:
            held = self.steps
            self.steps = {}
            jumps = self.jumps([step], True)
            self.steps = held
            if jumps:
                raise CannotSliceError(
                    jumps[0].lineno,
                    f"`{ast.unparse(jumps[0]).split()[0]}` depends on earlier iterations, in a body"
                    " that is too entangled to be taken apart; simplify the loop",
                )

    def label(self, node: ast.stmt) -> str:
        wish = "return" if isinstance(node, ast.Return) else _label(node)
        count = 1
        name = wish
        while name in self.labels.values():
            count += 1
            name = f"{wish} {count}"
        return name

    def valued(self, node: ast.stmt) -> list[tuple[str, ast.expr]]:
        found: dict[str, ast.expr] = {}
        parts = self.parts(node) if isinstance(node, ast.Return) else self.lifts(node)
        for lift in parts:
            if isinstance(lift, ast.Name):
                found.setdefault(lift.id, lift)
            else:
                found[self.names.new("value")] = lift
        return list(found.items())

    @property
    def plain(self) -> bool:
        """One kind of step only, which needs no label."""
        return len(self.labels) == 1 and not isinstance(next(iter(self.labels)), ast.Return)

    def work(self) -> list[str]:
        swaps: list[tuple[ast.AST, str]] = []
        for node in self.labels:
            values = [one_line(self.lifted(e)) for _, e in self.values[node]]
            if not self.plain:
                values.insert(0, f'"{self.labels[node]}"')
            entry = f"({', '.join(values)}{',' * (len(values) == 1)})"
            if self.plain and len(values) < 2:
                entry = values[0] if values else "None"
            new = f"{self.list_name}.append({entry})"
            if isinstance(node, ast.Return):
                new += f"\n{self.source.indent(node)}return {GIVES}"
            if self.source.of(node).startswith("elif"):
                # What is swapped for the rest of a chain of tests is done where none before holds.
                new = f"else:\n{self.source.indent(node)}{self.source.unit}{new}"
            swaps.append((node, new))
        for jump in self.jumps(self.node.body, True):
            if not isinstance(jump, ast.Return):
                left = isinstance(jump, ast.Break)
                swaps.append((jump, f"return {LEAVES if left else GIVES}"))
        body = self.node.body
        lead = self.lead(body[0], self.source.span(self.node.iter)[1])
        cut = self.source.cut(self.start(body[0]), self.end(body[-1]), swaps)
        return _trimmed([*lead, *moved(cut, self.source.indent(body[0]), "")])

    def ordered(self) -> list[str]:
        unit = self.source.unit
        if self.plain:
            [node] = self.labels
            names = [name for name, _ in self.values[node]]
            shown = ", ".join(names) if names else "_"
            return [f"for {shown} in {self.list_name}:", *indented(self.done(node), unit)]
        out: list[str] = []
        for node, label in self.labels.items():
            names = [name for name, _ in self.values[node]]
            pattern = ", ".join([f'"{label}"', *names]) if names else f'("{label}",)'
            out += [f"case {pattern}:", *indented(self.done(node), unit)]
        if not out:
            return [f"if {self.leave}:", f"{unit}break"] if self.leave else []
        step = self.names.new("step")
        body = [f"match {step}:", *indented(out, unit)]
        out = [f"for {step} in {self.list_name}:", *indented(body, unit)]
        if self.leave:
            out += [f"if {self.leave}:", f"{unit}break"]
        return out

    def done(self, node: ast.stmt) -> list[str]:
        swaps = [
            self.swap(e, name)
            for name, e in self.values[node]
            if not (isinstance(e, ast.Name) and e.id == name)
        ]
        self.used += _left_over(node, {e for e, _ in swaps})
        return self.text(node, swaps)


# -- small questions


def _left_over(node: ast.AST, without: set[ast.AST]) -> list[ast.AST]:
    """The names of a statement that are not in parts swapped for others."""
    if node in without:
        return []
    found: list[ast.AST] = [node] if isinstance(node, ast.Name) else []
    return found + [n for c in ast.iter_child_nodes(node) for n in _left_over(c, without)]


def _ends(lines: Sequence[str]) -> bool:
    """Whether the last line leaves the function whatever came before."""
    return bool(lines) and lines[-1].startswith(("return ", "raise "))


def _trimmed(lines: list[str]) -> list[str]:
    while lines and not lines[0]:
        lines = lines[1:]
    while lines and not lines[-1]:
        lines = lines[:-1]
    return lines


def _one_statement(lines: Sequence[str]) -> bool:
    heads = [line for line in lines if line and not line[0].isspace()]
    return not any(line for line in heads[1:] if not line.startswith(("else:", "elif ")))


def _is_elif(source: Source, node: ast.If) -> bool:
    return len(node.orelse) == 1 and source.of(node.orelse[0]).startswith("elif")


def _is_bool(test: ast.expr) -> bool:
    if isinstance(test, ast.Compare):
        return True
    return isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)


def _operand(text: str, node: ast.expr) -> str:
    simple = isinstance(node, (ast.Name, ast.Call, ast.Attribute, ast.Subscript))
    return text if simple else f"({text})"


def _flag_name(test: ast.expr) -> str:
    """A readable name for how a test came out."""
    negated = False
    while isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        negated, test = not negated, test.operand
    if isinstance(test, ast.Call):
        path = path_of(test.func) or (
            test.func.attr if isinstance(test.func, ast.Attribute) else ""
        )
        word = path.rpartition(".")[2]
        for start in ("is_", "has_"):
            word = word.removeprefix(start)
        if word.isidentifier():
            return f"not_{word}" if negated else word
    return "holds"


def _label(node: ast.stmt) -> str:
    """What a commit changes, in a word."""
    match node:
        case ast.Expr(value=ast.Call(func=ast.Name(id=name))):
            return name
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=base))):
            return (path_of(base) or "call").rpartition(".")[2]
        case ast.AugAssign(target=target) | ast.Assign(targets=[target]):
            base = target
            while isinstance(base, (ast.Subscript, ast.Starred)):
                base = base.value
            names = target_names(base)
            return (path_of(base) or (names[0] if names else "set")).rpartition(".")[2]
    return type(node).__name__.lower()


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
