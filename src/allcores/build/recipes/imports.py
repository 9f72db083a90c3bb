"""Import lines for what a recipe uses, put where a person would put them."""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass, field

from allcores.build.recipes.names import Names
from allcores.build.recipes.text import Source
from allcores.plan.names import binds


@dataclass
class Imports:
    """What is imported already is used under the name it has; the rest is noted in `wanted`."""

    source: Source
    names: Names
    cell: tuple[int, int] | None = None
    """In a notebook, the rows that imports are put in."""
    wanted: list[tuple[bool, str, str, str]] = field(default_factory=list)
    """(is a `from`, module, attribute or "", the name it gets)"""

    def attribute(self, module: str, name: str) -> str:
        """How to write `module.name` here."""
        found = self.known(module, name) or self.noted(module, name)
        if found:
            return found
        whole = self.known(module, "")
        if whole:
            return f"{whole}.{name}"
        given = name if name not in self.bound() else self.names.new(name)
        self.names.taken.add(given)
        self.wanted.append((True, module, name, given))
        return given

    def module(self, module: str) -> str:
        """How to write `module` here."""
        found = self.known(module, "") or self.noted(module, "")
        if found:
            return found
        given = module if module not in self.bound() else self.names.new(module)
        self.names.taken.add(given)
        self.wanted.append((False, module, "", given))
        return given

    def noted(self, module: str, name: str) -> str | None:
        return next((w[3] for w in self.wanted if w[1] == module and w[2] == name), None)

    def bound(self) -> dict[str, int]:
        """How often each name is bound, in whatever scope."""
        counts: dict[str, int] = {}
        for node in ast.walk(self.source.tree):
            given = [node.arg] if isinstance(node, ast.arg) else binds(node)
            for name in given:
                counts[name] = counts.get(name, 0) + 1
        return counts

    def known(self, module: str, name: str) -> str | None:
        """The name that a module-level import has given it, and nothing else."""
        for node in self.source.tree.body:
            if isinstance(node, ast.Import) and not name:
                for alias in node.names:
                    if alias.name == module and (alias.asname or "." not in module):
                        return self.only(alias.asname or alias.name)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and name:
                for alias in node.names:
                    if node.module == module and alias.name == name:
                        return self.only(alias.asname or name)
        return None

    def only(self, name: str) -> str | None:
        return name if self.bound().get(name) == 1 else None

    def placed(self) -> dict[int, list[str]]:
        """The lines to put in, each list before the row (from 1) that it is under."""
        out: dict[int, list[str]] = {}
        grouped: dict[tuple[int, bool, str], list[str]] = {}
        for is_from, module, name, given in sorted(self.wanted):
            shown = given if given == (name or module) else f"{name or module} as {given}"
            grouped.setdefault((_section(module), is_from, module), []).append(shown)
        for (_, is_from, module), shown_names in sorted(grouped.items()):
            shown = ", ".join(shown_names)
            line = f"from {module} import {shown}" if is_from else f"import {shown}"
            row, lines = self.place(is_from, module, line, out)
            out.setdefault(row, []).extend(lines)
        return out

    def place(
        self, is_from: bool, module: str, line: str, others: dict[int, list[str]]
    ) -> tuple[int, list[str]]:
        block = self.first_block()
        if not block:
            row = self.cell[0] if self.cell else _after_opening(self.source)
            apart = [w for w in self.wanted if _section(w[1]) < _section(module)]
            return row, ["", line] if others.get(row) and apart else [line]
        key = (is_from, module.lower())
        same = [n for n in block if _section(_module(n)) == _section(module)]
        before = [n for n in same if (isinstance(n, ast.ImportFrom), _module(n).lower()) <= key]
        if before:
            return (before[-1].end_lineno or before[-1].lineno) + 1, [line]
        if same:
            return same[0].lineno, [line]
        earlier = [n for n in block if _section(_module(n)) < _section(module)]
        if earlier:
            row = (earlier[-1].end_lineno or earlier[-1].lineno) + 1
            return row, [line] if others.get(row, [""])[0] == "" and others.get(row) else ["", line]
        return block[0].lineno, [line, ""]

    def first_block(self) -> list[ast.Import | ast.ImportFrom]:
        """The imports at the file's top."""
        found: list[ast.Import | ast.ImportFrom] = []
        for node in self.source.tree.body:
            if self.cell and not self.cell[0] <= node.lineno <= self.cell[1]:
                continue
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                found.append(node)
            elif found or not _is_docstring(node):
                break
        return found


def _module(node: ast.Import | ast.ImportFrom) -> str:
    if isinstance(node, ast.Import):
        return node.names[0].name
    return "." * node.level + (node.module or "")


def _section(module: str) -> int:
    """The order of the sections of imports: future, standard library, others, one's own."""
    head = module.partition(".")[0]
    if head == "__future__":
        return 0
    if head in sys.stdlib_module_names:
        return 1
    return 3 if module.startswith(".") else 2


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _after_opening(source: Source) -> int:
    """The row before which a first import goes: behind the docstring or the comments at the top."""
    body = source.tree.body
    if body and _is_docstring(body[0]):
        return (body[0].end_lineno or 1) + 1
    row = 1
    while row <= len(source.rows) and source.rows[row - 1].startswith("#"):
        row += 1
    if row > len(source.rows) or not source.rows[row - 1].strip():
        return row
    # The comment is about the code right below it, save for what opens a file.
    row = 1
    while row <= 2 and re.match(r"#!|#.*coding[:=]", source.rows[row - 1]):
        row += 1
    return row
