"""From a `for` statement to a Job: the worker function, and what is left to do in order."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from allcores.build.recipes.aliases import Aliases, shared
from allcores.build.recipes.definite import at_returns
from allcores.build.recipes.if_slicer import IfSlicer
from allcores.build.recipes.job import HOLE, Job
from allcores.build.recipes.later import read_after, read_on_failure
from allcores.build.recipes.place import Place
from allcores.build.recipes.reach import reached
from allcores.build.recipes.slicing import GIVES, LEAVES, CannotSliceError, Sliced, blocks
from allcores.build.recipes.step_slicer import StepSlicer
from allcores.build.recipes.text import HELD, indented, moved, one_line
from allcores.build.recipes.visible import may_be_caught, seen_commits, work_follows
from allcores.plan import Plan
from allcores.plan.names import FUNCTIONS, bound_names, path_of, read_names

IN_TURN = frozenset({"joblib", "ray"})
"""Targets that raise at once, or raise another type: exceptions are given back as values."""


@dataclass
class Taken:
    """A loop taken apart: its job, and its worker function without the `def` line."""

    job: Job
    parameters: list[str]
    body: list[str]
    doc: str
    work: list[ast.AST]
    """What of the user's the worker runs."""
    replaces: ast.stmt | None = None
    """The empty list above the loop that the results take the place of."""


def take(place: Place, plan: Plan, indent: int) -> Taken:
    """Take a loop apart. Raises CannotSliceError where that cannot be done."""
    return _Taker(place, plan, indent).taken()


class _Taker:
    def __init__(self, place: Place, plan: Plan, indent: int) -> None:
        assert isinstance(plan.node, ast.For)
        self.place, self.plan, self.node, self.indent = place, plan, plan.node, indent
        self.source = place.source
        self.worker = place.names.new("worker")
        self.over = _looped_over(self.node)
        bound = set(plan.varying) | plan.parent_names | bound_names(*self.node.body)
        self.live = read_after(self.node, place.scope, bound)
        self.live_on_failure = read_on_failure(self.node, place.scope, bound)
        caught = may_be_caught(plan, self.source.tree)
        self.seen = seen_commits(plan, place.scope, caught)
        # Nor may an iteration behind the one that leaves the loop stop it by an exception.
        self.exact = caught or bool(self.seen) or plan.can_leave or plan.leaves_by_commit

    def taken(self) -> Taken:
        self.refuse_early()
        self.sliced, self.caught = self.slice()
        self.error = self.place.names.new("error") if self.caught else ""
        self.send_temporaries()
        body = self.worker_body()
        item, unpack = self.item()
        body = [*unpack, *body]
        fixed, imports = self.place.worker(body, item, self.node.lineno)
        for name in sorted(set(fixed) & self.plan.parent_names):
            raise CannotSliceError(
                self.plan.line,
                f"`{name}` is read by the work and changed from one iteration to the next",
            )
        work = self.work_nodes()
        self.place.refuse_reached(work, self.node.lineno)
        self.place.refuse_raised(self.node.body)
        for name in sorted(read_names(self.over)):
            for value in self.place.values_seen(name):
                self.place.refuse_local_class(name, value, self.plan.line)
        job = self.job(item, fixed)
        listed = job.target is not None and not job.again
        if self.exact and (listed or self.place.target != "multiprocessing"):
            self.place.refuse_lazy_raises(self.over, self.plan.line)
        replaces = self.collect(job)
        doc = self.doc(job)
        return Taken(
            job, [item, *fixed], [*imports, *([""] if imports else []), *body], doc, work, replaces
        )

    # -- refusals

    def refuse_early(self) -> None:
        plan = self.plan
        for name in sorted((plan.kept | plan.deleted | plan.handler_names) & self.live):
            raise CannotSliceError(
                plan.line,
                f"`{name}` is read after the loop, and some iterations leave it unbound; set it to"
                " None at the top of the body",
            )
        for name in sorted(self.live_on_failure & set(plan.temporaries)):
            raise CannotSliceError(
                plan.line,
                f"`{name}` is read where an exception of the loop has been caught, and what it then"
                " holds only the worker knows; catch the exception inside the loop",
            )
        if plan.mirrors and self.live & {n for names in plan.mirrors.values() for n in names}:
            raise CannotSliceError(
                plan.line,
                "what is read after the loop is bound behind a jump that a commit decides",
            )
        if plan.can_leave or plan.leaves_by_commit:
            endless = self.place.endless(self.over)
            if endless:
                raise CannotSliceError(
                    plan.line,
                    f"the loop may be left early, and {endless} would be read to its end; make a"
                    " list of what is needed first",
                )
        for stmt, guards in plan.guards.items():
            for kind, name in guards:
                self.refuse_in_place(stmt.lineno, kind, name)
        self.place.refuse_lazy_prints(self.over, plan.line)
        self.refuse_shared()
        self.place.notes[:] = list(dict.fromkeys(self.place.notes))

    def refuse_shared(self) -> None:
        """What the loop changes in order must not be what workers have copies of."""
        aliases = Aliases(self.place.module, self.node)
        for scope in [self.source.tree, *self.place.chain]:
            if isinstance(scope, (ast.Module, *FUNCTIONS)) and isinstance(scope.body, list):
                aliases.note(scope.body)
        work = self.work_nodes()
        work += reached(work, self.place.module)
        found = shared(self.plan, self.over, work, aliases)
        if found is not None:
            changed, seen = found
            raise CannotSliceError(
                self.plan.line,
                f"the loop changes `{changed}`, and what it runs over shows it"
                if changed == seen
                else f"the loop changes `{changed}`, which its workers may have a copy of, as"
                f" `{seen}`",
            )

    def refuse_in_place(self, line: int, kind: str, name: str) -> None:
        """`row += 1` on a list or an array changes what the parent holds; on a number it does not."""
        if kind == "own":
            self.place.notes.append(
                f"`{name}` (line {line}) is taken to hold a new object, which nothing else holds."
            )
        elif not (name in self.plan.varying and self.place.gives_numbers(self.over, name)):
            raise CannotSliceError(
                line,
                f"`{name}` may be changed in place here, and with it what it was taken from; write"
                f" `{name} = {name} + ...` instead",
            )

    # -- both halves

    def slice(self) -> tuple[Sliced, bool]:
        """The halves, and whether the worker gives back its exceptions."""
        place, plan = self.place, self.plan
        simple = IfSlicer(self.source, plan, place.names)
        early = work_follows(plan, self.seen, self.node.body)
        caught = early or (place.target in IN_TURN and self.exact) or self.may_stop_iteration()
        # Raised by the library's own iterator, it would leave the target at the item before.
        caught = caught or bool(self.live_on_failure & set(plan.varying))
        if simple.fits(self.node.body) and not early:
            return simple.sliced(), caught
        steps = StepSlicer(self.source, plan, place.names)
        if not steps.acts() and not steps.jumps(self.node.body, True):
            return simple.sliced(), caught
        return steps.sliced(), caught

    def may_stop_iteration(self) -> bool:
        """Whether work may raise StopIteration, which the library's own iterator would end by."""
        work = self.work_nodes()
        for node in [*work, *reached(work, self.place.module)]:
            for n in ast.walk(node):
                if isinstance(n, ast.Name) and n.id == "StopIteration":
                    return True
                if isinstance(n, ast.Call) and path_of(n.func) == "next" and len(n.args) == 1:
                    return True
        return False

    def send_temporaries(self) -> None:
        needed = [n for n in self.plan.temporaries if n in self.live and n not in self.sliced.sent]
        self.temporaries = [n for n in self.plan.temporaries if n in self.live]
        self.sliced.sent += needed

    def worker_body(self) -> list[str]:
        """The worker's lines, with what it gives filled in."""
        sliced = self.sliced
        lines = list(sliced.work)
        first = lines[:1] if self.caught and self.is_steps else []
        lines = lines[len(first) :]
        returns = self.returns(lines)
        early = sorted({name for names in returns for name in names[1]})
        out: list[str] = []
        count = 0
        for line in lines:
            for mark in (GIVES, LEAVES):
                if f"return {mark}" in line:
                    values = self.values(returns[count][0], set(early), mark == LEAVES)
                    line = line.replace(f"return {mark}", f"return {self.given(values)}")
                    count += 1
            out.append(line)
        if early:
            out.insert(0, f"{' = '.join(early)} = None")
        unit = self.source.unit
        while len(out) > 2 and out[-3].startswith("if ") and out[-2] == unit + out[-1]:
            # The test was for the parent, which makes it as well.
            if self.tested(out[-3]):
                break
            out[-3:-1] = []
        out = self.inlined(self.joined(out))
        if out[-1] == "return None" and sum("return" in line for line in out) == 1:
            out.pop()
        if self.caught:
            out = [*first, *self.attempt(out, bool(first))]
        return out or ["return None"]

    def tested(self, line: str) -> bool:
        """Whether a test's line may do more than compare."""
        return any(mark in line for mark in "([.")

    def returns(self, lines: list[str]) -> list[tuple[set[str], set[str]]]:
        """At each `return`, in order: the names surely bound, and those needed but only perhaps."""
        text = "\n".join(["def f():", *indented(lines, " ")]).replace(HELD, "\n")
        [function] = ast.parse(text).body
        assert isinstance(function, ast.FunctionDef)
        found: list[tuple[int, set[str], set[str]]] = []
        sent = {n for n in self.sliced.sent if n != self.sliced.leave}
        targets = set(self.plan.varying)

        def report(node: ast.Return, sure: set[str], maybe: set[str]) -> None:
            if isinstance(node.value, ast.Name) and node.value.id in (GIVES, LEAVES):
                sure = sure | targets
                for name in sorted(sent & set(self.temporaries) - sure):
                    raise CannotSliceError(
                        self.plan.line,
                        f"`{name}` is read after the loop, and some iterations leave it unbound;"
                        " set it to None at the top of the body",
                    )
                found.append((node.lineno, set(sure), (sent & maybe) - sure))

        at_returns(function.body, report)
        for n in ast.walk(function):
            # One that is never reached.
            if isinstance(n, ast.Return) and isinstance(n.value, ast.Name):
                if n.value.id in (GIVES, LEAVES) and n.lineno not in {f[0] for f in found}:
                    found.append((n.lineno, set(sent), set()))
        by_line = {line: (sure, early) for line, sure, early in found}
        return [by_line[line] for line in sorted(by_line)]

    def values(self, sure: set[str], early: set[str], leaves: bool) -> list[str]:
        out = []
        listed = self.sliced.sent[0] if self.sliced.leave or self.is_steps else ""
        for name in self.sliced.sent:
            if name == self.sliced.leave:
                out.append(str(leaves))
            else:
                out.append(name if name in sure | early or name == listed else "None")
        return out

    @property
    def is_steps(self) -> bool:
        """Whether the worker gives a list of steps."""
        work, sent = self.sliced.work, self.sliced.sent
        return bool(work and sent) and work[0] == f"{sent[0]} = []"

    def given(self, values: list[str]) -> str:
        if not values:
            return "None, None" if self.caught else "None"
        if not self.caught:
            return ", ".join(values)
        return f"{values[0]}, None" if len(values) == 1 else f"({', '.join(values)}), None"

    def attempt(self, lines: list[str], steps: bool) -> list[str]:
        """The lines with exceptions given back."""
        unit = self.source.unit
        partial = (
            [
                n if k == 0 else "False" if n == self.sliced.leave else "None"
                for k, n in enumerate(self.sliced.sent)
            ]
            if steps
            else []
        )
        shown = f"({', '.join(partial)})" if len(partial) > 1 else "".join(partial) or "None"
        return [
            "try:",
            *indented(lines, unit),
            f"except Exception as {self.error}:",
            f"{unit}return {shown}, {self.error}",
        ]

    def joined(self, lines: list[str]) -> list[str]:
        """`value = f(` over several lines and then `return value` as one `return f(`."""
        names = self.sliced.sent
        if (
            len(names) != 1
            or lines[-1] != f"return {names[0]}"
            or names[0] in self.plan.temporaries
        ):
            return lines
        head = f"{names[0]} = "
        at = next((k for k in range(len(lines) - 2, -1, -1) if lines[k].startswith(head)), None)
        if at is None or at == len(lines) - 2:
            return lines
        inner = lines[at + 1 : -1]
        if all(not line or line[0] in " \t)]}" for line in inner) and not any(
            names[0] in line for line in lines[:at]
        ):
            return [*lines[:at], "return " + lines[at].removeprefix(head), *inner]
        return lines

    def inlined(self, lines: list[str]) -> list[str]:
        """`value = f(x)` and then `return value` as one line."""
        names = self.sliced.sent
        while len(lines) > 1 and lines[-1].startswith("return "):
            name, equals, value = lines[-2].partition(" = ")
            given = lines[-1].removeprefix("return ")
            parts = given.split(", ")
            if not equals or name not in names or parts.count(name) != 1 or HELD in value:
                break
            if any(name in line for line in lines[:-2]) or name in self.plan.temporaries:
                break
            later = parts[parts.index(name) + 1 :]
            if not all(part.isidentifier() or part.isdigit() for part in later) or (
                not all(p.isidentifier() for p in parts)
            ):
                break
            if len(parts) > 1 and "," in _bare(value):
                break
            new = ", ".join(value if part == name else part for part in parts)
            if len(parts) > 1 and len(new) > 60:
                break
            lines = [*lines[:-2], f"return {new}"]
        return lines

    # -- the pieces of the job

    def item(self) -> tuple[str, list[str]]:
        """The worker's first parameter, and the line that takes it apart."""
        target = self.node.target
        if isinstance(target, ast.Name):
            return target.id, []
        pair = isinstance(target, ast.Tuple) and len(target.elts) == 2
        plain = pair and all(isinstance(e, ast.Name) for e in getattr(target, "elts", []))
        item = self.place.names.new("pair" if plain else "item")
        return item, [f"{self.target_text()} = {item}"]

    def target_text(self) -> str:
        text = one_line(self.source.of(self.node.target))
        if isinstance(self.node.target, ast.Tuple) and text.startswith("("):
            inner = ast.unparse(self.node.target)
            text = inner[1:-1] if inner.startswith("(") and len(self.node.target.elts) > 1 else text
        return text

    def work_nodes(self) -> list[ast.AST]:
        """What of the body the worker runs."""
        found: list[ast.AST] = []
        steps = self.plan.steps

        def look(node: ast.stmt) -> None:
            if node in steps:
                found.extend(steps[node].lifts)
            elif any(n in steps for n in ast.walk(node)):
                for name in ("test", "iter", "subject"):
                    if getattr(node, name, None) is not None:
                        found.append(getattr(node, name))
                found.extend(item.context_expr for item in getattr(node, "items", []))
                for _, block in blocks(node):
                    for below in block:
                        look(below)
            else:
                found.append(node)

        for node in self.node.body:
            look(node)
        return found

    def job(self, item: str, fixed: list[str]) -> Job:
        sliced, place = self.sliced, self.place
        reads = read_names(*sliced.used)
        # What the worker gives under a target's name takes its place.
        needed = {n for n in self.plan.varying if n in reads | self.live} - set(sliced.sent)
        return Job(
            worker=self.worker,
            fixed=fixed,
            item=item,
            iterable=one_line(self.source.of(self.over)),
            again=place.again(self.over),
            length=place.length(self.over),
            target=self.target_text() if needed else None,
            gives=", ".join(sliced.sent) or "_",
            ordered=sliced.parent or ["pass"],
            orelse=self.orelse(),
            whole=[],
            error=self.error,
            partly=self.is_steps,
            exact=self.exact,
            unit=self.source.unit,
            indent=self.indent,
            names=place.names,
            imports=place.imports,
            notebook=place.cell is not None,
            width=place.width,
        )

    def orelse(self) -> list[str]:
        if not self.node.orelse:
            return []
        first, last = self.node.orelse[0], self.node.orelse[-1]
        start, end = self.source.span(first)[0], self.source.span(last)[1]
        return moved(self.source.text[start:end], self.source.indent(first), "")

    def collect(self, job: Job) -> ast.stmt | None:
        """Where all there is to do is to collect: the results are taken all at once."""
        sliced = self.sliced
        if job.target or job.orelse or self.caught or self.temporaries or self.plan.can_leave:
            return None
        if not sliced.sent and not sliced.parent and not self.exact:
            job.whole = [HOLE]
            return None
        call = sliced.collects
        if call is None or self.exact or len(sliced.sent) != 1:
            return None
        assert isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name)
        name = call.func.value.id
        values = self.place.values(name)
        if not values or not all(isinstance(v, (ast.List, ast.ListComp)) for v in values):
            return None
        above = self.above()
        if above is not None and _is_empty_list(above, name):
            job.whole = [f"{name} = {HOLE}"]
            return above
        job.whole = [f"{name}.extend({HOLE})"]
        return None

    def above(self) -> ast.stmt | None:
        """The statement right before the loop, in the same block."""
        for node in ast.walk(self.source.tree):
            for _, block in blocks(node):
                if self.node in block and block.index(self.node):
                    return block[block.index(self.node) - 1]
        return None

    def doc(self, job: Job) -> str:
        text = self.target_text()
        call = self.sliced.collects
        if call is not None and job.whole:
            assert isinstance(call.func, ast.Attribute)
            return f'"""Compute the item of `{path_of(call.func.value)}` for one `{text}`."""'
        return f'"""Do the work of the loop for one `{text}`."""'


def _bare(text: str) -> str:
    """A line of code without what stands in brackets."""
    out, depth = "", 0
    for char in text:
        depth += (char in "([{") - (char in ")]}")
        out += char if not depth else ""
    return out


def _is_empty_list(node: ast.stmt, name: str) -> bool:
    match node:
        case ast.Assign(targets=[ast.Name(id=found)], value=ast.List(elts=[])):
            return found == name
    return False


def _looped_over(node: ast.For) -> ast.expr:
    """What is looped over: the first argument where the source says `parallel(·)`."""
    it = node.iter
    if isinstance(it, ast.Call) and it.args:
        if (path_of(it.func) or "").rpartition(".")[2] == "parallel":
            return it.args[0]
    return it
