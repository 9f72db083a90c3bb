"""A body whose ordered part stands anywhere: the worker gives a list of the steps to do."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from allcores.build.recipes.slicing import (
    GIVES,
    LEAVES,
    CannotSliceError,
    Jump,
    Sliced,
    Slicer,
    blocks,
    ends,
    left_over,
    trimmed,
)
from allcores.build.recipes.text import indented, moved, one_line
from allcores.plan.names import FUNCTIONS, path_of, target_names


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
        if not ends(work):
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
        return trimmed([*lead, *moved(cut, self.source.indent(body[0]), "")])

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
        self.used += left_over(node, {e for e, _ in swaps})
        return self.text(node, swaps)


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
