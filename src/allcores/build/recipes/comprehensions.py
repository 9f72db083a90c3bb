"""From a comprehension or a call of `map` to a Job."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from allcores.build.recipes.job import HOLE, Job
from allcores.build.recipes.loops import Taken
from allcores.build.recipes.place import Place
from allcores.build.recipes.slicing import CannotSliceError
from allcores.build.recipes.text import enclosed, moved, one_line
from allcores.build.recipes.visible import may_be_caught
from allcores.plan import Plan
from allcores.plan.names import COMPREHENSIONS, FUNCTIONS
from allcores.plan.source import Module
from allcores.plan.split import split

Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
SIMPLE = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr, ast.Return)
TAKE_ALL = frozenset(
    """sum min max any all sorted list tuple set frozenset dict join fsum prod mean median stdev
    Counter extend update writelines""".split()
)


@dataclass
class Found:
    """A comprehension or `map` call, the statement it is in, and what is around it."""

    node: Comprehension | ast.Call
    stmt: ast.stmt
    chain: list[ast.AST]
    parents: list[ast.expr]
    """From the statement's own expression inwards."""


def on_line(tree: ast.Module, line: int) -> list[Found]:
    """The outermost comprehensions and `map` calls that stand on a line, in order."""
    found = list(_look(tree, [], line))
    return [f for f in found if not any(f.node in ast.walk(g.node) for g in found if g is not f)]


def _look(top: ast.AST, chain: list[ast.AST], line: int) -> Iterator[Found]:
    for child in ast.iter_child_nodes(top):
        if isinstance(child, ast.stmt):
            if child.lineno <= line <= (child.end_lineno or 0):
                inner = isinstance(child, (*FUNCTIONS, ast.ClassDef))
                yield from _look(child, [*chain, child] if inner else chain, line)
                for part in ast.iter_child_nodes(child):
                    if isinstance(part, ast.expr):
                        yield from _inside(part, child, chain, [], line)
        elif isinstance(child, (ast.ExceptHandler, ast.match_case)):
            yield from _look(child, chain, line)


def _inside(
    node: ast.expr, stmt: ast.stmt, chain: list[ast.AST], parents: list[ast.expr], line: int
) -> Iterator[Found]:
    is_map = (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "map"
    )
    if isinstance(node, COMPREHENSIONS) or (is_map and isinstance(node, ast.Call)):
        if node.lineno <= line <= (node.end_lineno or 0):
            yield Found(node, stmt, chain, parents)
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.expr, ast.keyword, ast.comprehension)):
            inner = child if isinstance(child, ast.expr) else None
            for part in [inner] if inner else list(ast.iter_child_nodes(child)):
                if isinstance(part, ast.expr):
                    yield from _inside(part, stmt, chain, [*parents, node], line)


def plan_of(found: Found, module: Module) -> Plan:
    """The Plan of the `for` statement that does the same, appending to a list."""
    node = found.node
    if isinstance(node, ast.Call):
        names = [f"allcores_item_{k}" for k in range(len(node.args) - 1)]
        stored: list[ast.expr] = [ast.Name(n, ast.Store()) for n in names]
        loaded: list[ast.expr] = [ast.Name(n, ast.Load()) for n in names]
        target = stored[0] if len(stored) == 1 else ast.Tuple(stored, ast.Store())
        zipped = ast.Call(ast.Name("zip", ast.Load()), node.args[1:], [])
        over = node.args[1] if len(stored) == 1 else zipped
        element: ast.expr = ast.Call(node.args[0], loaded, [])
        body = _appended(element)
    else:
        first, *rest = node.generators
        target, over = first.target, first.iter
        element = (
            ast.Tuple([node.key, node.value], ast.Load())
            if isinstance(node, ast.DictComp)
            else node.elt
        )
        body = _appended(element)
        for inner in reversed(rest):
            for test in reversed(inner.ifs):
                body = ast.If(test, [body], [])
            body = ast.For(inner.target, inner.iter, [body], [])
        for test in reversed(first.ifs):
            body = ast.If(test, [body], [])
    loop = ast.For(target, over, [body], [])
    for part in ast.walk(loop):
        if not hasattr(part, "lineno"):
            ast.copy_location(part, node)
    return split(loop, found.chain, module)


def _appended(element: ast.expr) -> ast.stmt:
    name = ast.Name("allcores_list", ast.Load())
    return ast.Expr(ast.Call(ast.Attribute(name, "append", ast.Load()), [element], []))


def take_comprehension(place: Place, found: Found, plan: Plan, indent: int) -> Taken:
    """Take it apart. Raises CannotSliceError where that cannot be done."""
    taker = _MapTaker if isinstance(found.node, ast.Call) else _ComprehensionTaker
    return taker(place, found, plan, indent).taken()


class _Taker:
    def __init__(self, place: Place, found: Found, plan: Plan, indent: int) -> None:
        self.place, self.found, self.plan, self.indent = place, found, plan, indent
        self.source, self.node = place.source, found.node
        self.flat = False

    def parts(self) -> tuple[str, str, bool, str | None, list[str], list[ast.AST]]:
        """Item, iterable, may it be evaluated again, length, the worker's lines, what it runs."""
        raise NotImplementedError

    def taken(self) -> Taken:
        self.refuse()
        item, iterable, again, length, body, work = self.parts()
        line = self.node.lineno
        worker = self.place.names.new("worker")
        fixed, imports = self.place.worker(body, item, line)
        self.place.refuse_reached(work, line)
        self.place.refuse_raised(work)
        job = Job(
            worker=worker,
            fixed=fixed,
            item=item,
            iterable=iterable,
            again=again,
            length=length,
            target=None,
            gives="_",
            ordered=[],
            orelse=[],
            whole=self.statement(),
            error="",
            partly=False,
            exact=may_be_caught(self.plan, self.source.tree, self.found.stmt),
            unit=self.source.unit,
            indent=self.indent,
            names=self.place.names,
            imports=self.place.imports,
            notebook=self.place.cell is not None,
            width=self.place.width,
        )
        doc = f'"""Compute one item of the {self.kind()}."""'
        imports = [*imports, ""] if imports else []
        return Taken(job, [item, *fixed], [*imports, *body], doc, work)

    def kind(self) -> str:
        """What is made, in a word."""
        return {"SetComp": "set", "DictComp": "dict", "GeneratorExp": "results"}.get(
            type(self.node).__name__, "list"
        )

    def refuse(self) -> None:
        found = self.found
        if not isinstance(found.stmt, SIMPLE):
            raise CannotSliceError(
                self.node.lineno, "assign it to a variable on a line of its own first"
            )
        sometimes = (ast.IfExp, ast.BoolOp, ast.Lambda, ast.Compare, *COMPREHENSIONS)
        for parent in found.parents:
            if isinstance(parent, sometimes):
                raise CannotSliceError(
                    self.node.lineno,
                    "it is evaluated under a condition, or again and again; assign it to a variable"
                    " on a line of its own first",
                )
        if any(isinstance(n, (ast.NamedExpr, ast.Await)) for n in ast.walk(self.node)):
            raise CannotSliceError(self.node.lineno, "it binds a variable with `:=`, or awaits")

    def taken_whole(self) -> bool:
        """Whether what is around uses up all results at once."""
        parent = self.found.parents[-1] if self.found.parents else None
        if not isinstance(parent, ast.Call) or len(parent.args) != 1:
            return False
        func = parent.func
        name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
        return name in TAKE_ALL and name not in self.place.module.bound

    def refuse_partly(self, parent: ast.Call) -> None:
        """An exception on the way leaves those before it done, which all at once does not."""
        name = getattr(parent.func, "attr", "")
        seen = name == "writelines" or may_be_caught(self.plan, self.source.tree, self.found.stmt)
        if name in {"extend", "update", "writelines"} and seen:
            raise CannotSliceError(
                self.node.lineno,
                f"an exception in it leaves `{name}` half done, which may be seen; make it a list"
                " first",
            )

    def statement(self) -> list[str]:
        """The statement's lines with a hole for the results."""
        stmt, node = self.found.stmt, self.node
        results = HOLE
        if self.flat:
            inner = self.place.names.new("values")
            each = self.place.names.new("value")
            results = f"[{each} for {inner} in {HOLE} for {each} in {inner}]"
        swapped: ast.expr = node
        if isinstance(node, (ast.SetComp, ast.DictComp)):
            kind = "set" if isinstance(node, ast.SetComp) else "dict"
            results = f"{kind}({results})"
        elif isinstance(node, (ast.GeneratorExp, ast.Call)):
            if not self.taken_whole():
                raise CannotSliceError(
                    node.lineno, "its results are taken one by one, later; make it a list"
                )
            parent = self.found.parents[-1]
            assert isinstance(parent, ast.Call)
            self.refuse_partly(parent)
            if isinstance(parent.func, ast.Name) and parent.func.id == "list":
                swapped = parent
            elif isinstance(node, ast.GeneratorExp):
                # The brackets of the call count as the generator's.
                bare = self.source.span(node)[1] == self.source.span(parent)[1]
                results = f"({results})" if bare else results
        start, end = self.source.span(stmt)
        row = self.source.rows[(stmt.end_lineno or 1) - 1]
        rest = row[len(row.encode()[: stmt.end_col_offset or 0].decode()) :]
        comment = rest if rest.strip().startswith("#") else ""
        cut = self.source.cut(start, end, [(swapped, results)]) + comment
        return moved(cut, self.source.indent(stmt), "")

    def item_of(self, target: ast.expr) -> tuple[str, list[str]]:
        if isinstance(target, ast.Name):
            return target.id, []
        text = one_line(self.source.of(target)).removeprefix("(").removesuffix(")")
        pair = isinstance(target, ast.Tuple) and all(isinstance(e, ast.Name) for e in target.elts)
        item = self.place.names.new("pair" if pair and text.count(",") == 1 else "item")
        return item, [f"{text} = {item}"]

    def text(self, node: ast.expr) -> str:
        row = self.source.rows[node.lineno - 1]
        text = enclosed(self.source.of(node), node)
        return "\n".join(moved(text, row[: len(row) - len(row.lstrip())], ""))


class _ComprehensionTaker(_Taker):
    def parts(self) -> tuple[str, str, bool, str | None, list[str], list[ast.AST]]:
        node = self.node
        assert not isinstance(node, ast.Call)
        first, *rest = node.generators
        item, body = self.item_of(first.target)
        iterable = self.text(first.iter)
        again, length = self.place.again(first.iter), self.place.length(first.iter)
        if isinstance(node, ast.DictComp):
            element, work = (
                f"{self.text(node.key)}, {self.text(node.value)}",
                [node.key, node.value],
            )
        else:
            element, work = self.text(node.elt), [node.elt]
        tests = first.ifs
        if (
            tests
            and not rest
            and not any(isinstance(n, ast.Call) for t in tests for n in ast.walk(t))
        ):
            shown = one_line(self.source.of(first.target))
            bare = isinstance(first.target, ast.Tuple) and not shown.startswith("(")
            given = f"({shown})" if bare else shown
            test = " if ".join(self.text(t) for t in tests)
            return (
                item,
                f"[{given} for {shown} in {iterable} if {test}]",
                False,
                None,
                [
                    *body,
                    *f"return {element}".split("\n"),
                ],
                [*work],
            )
        if tests or rest:
            self.flat = True
            for condition in tests:
                simple = isinstance(condition, (ast.Name, ast.Call, ast.Attribute, ast.Subscript))
                shown = self.text(condition) if simple else f"({self.text(condition)})"
                body += [*f"if not {shown}:".split("\n"), f"{self.source.unit}return []"]
            element = f"({element})" if isinstance(node, ast.DictComp) else element
            body += f"return [{element}{self.rest(first, rest)}]".split("\n")
            work += [n for g in rest for n in [g.iter, *g.ifs]] + tests
        else:
            body += f"return {element}".split("\n")
        return item, iterable, again, length, body, [*work]

    def rest(self, first: ast.comprehension, rest: list[ast.comprehension]) -> str:
        """The text of the clauses but the first."""
        if not rest:
            return ""
        start = self.source.span(first.ifs[-1] if first.ifs else first.iter)[1]
        end = self.source.span(self.node)[1] - 1
        return " " + one_line(self.source.text[start:end].strip())


class _MapTaker(_Taker):
    def parts(self) -> tuple[str, str, bool, str | None, list[str], list[ast.AST]]:
        node = self.node
        assert isinstance(node, ast.Call)
        if (
            node.keywords
            or len(node.args) < 2
            or any(isinstance(a, ast.Starred) for a in node.args)
        ):
            raise CannotSliceError(node.lineno, "its arguments cannot be told apart")
        function, *over = node.args
        texts = [self.text(each) for each in over]
        single = len(over) == 1
        iterable = texts[0] if single else f"zip({', '.join(texts)})"
        again = single and self.place.again(over[0])
        length = self.place.length(over[0])
        if isinstance(function, ast.Lambda):
            names = [a.arg for a in function.args.args]
            odd = function.args.kwonlyargs or function.args.defaults or function.args.vararg
            if odd or len(names) != len(over):
                raise CannotSliceError(
                    node.lineno, "the lambda takes other arguments than it is given"
                )
            item = (
                names[0] if single else self.place.names.new("pair" if len(names) == 2 else "item")
            )
            body = [] if single else [f"{', '.join(names)} = {item}"]
            body += f"return {self.text(function.body)}".split("\n")
            return item, iterable, again, length, body, [function.body]
        item = self.place.names.new("item")
        star = "" if single else "*"
        body = f"return {self.text(function)}({star}{item})".split("\n")
        return item, iterable, again, length, body, [function]
