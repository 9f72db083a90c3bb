"""A body whose ordered part stands under `if`s only: the worker gives a value for each thing needed.

The user's own `if`s stay, in the parent.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from allcores.build.recipes.names import Names
from allcores.build.recipes.slicing import GIVES, Sliced, Slicer, ends, left_over, trimmed
from allcores.build.recipes.text import Source, enclosed, indented
from allcores.plan import Plan
from allcores.plan.names import bound_names, path_of, read_names


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
        work = trimmed(self.work(body, self.source.span(self.node.iter)[1]))
        if not ends(work):
            work.append(f"return {GIVES}")
        parent = trimmed(self.ordered(body, self.source.span(self.node.iter)[1]))
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
        then = trimmed(self.work(node.body, self.source.span(node.test)[1]))
        otherwise = trimmed(self.work(node.orelse, self.end(node.body[-1])))
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
            if otherwise and not ends(then):
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
            self.used += left_over(node, {e for e, _ in swaps})
            return self.text(node, swaps)
        then = trimmed(self.ordered(node.body, self.source.span(node.test)[1]))
        otherwise = trimmed(self.ordered(node.orelse, self.end(node.body[-1])))
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


# -- small questions


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
