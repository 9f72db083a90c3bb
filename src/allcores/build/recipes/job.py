"""What every recipe is given: a worker function, what it runs over, and what is done in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from allcores.build.recipes.imports import Imports
from allcores.build.recipes.names import Names
from allcores.build.recipes.text import indented

HOLE = "allcores_hole"
"""Stands in a statement's text for the list of all that the workers give."""
WIDTH = 88
"""Columns that a line may have where the project says nothing."""


@dataclass
class Job:
    """A loop taken apart, with nothing of any target library in it yet."""

    worker: str
    """The worker function's name; its parameters are the item and then `fixed`."""
    fixed: list[str]
    item: str
    """The name of the worker's first parameter."""
    iterable: str
    """The text of what is looped over."""
    again: bool
    """Whether that text may be evaluated twice."""
    length: str | None
    """The text of its length, where that is known."""
    target: str | None
    """The loop's target, where what is done in order needs it."""
    gives: str
    """What the worker gives, as a target: `y, z`."""
    ordered: list[str]
    orelse: list[str]
    whole: list[str]
    """The lines of a statement with `HOLE` in it, where the results are used all at once."""
    error: str
    """The variable for an exception that the worker gives back, to be raised in its turn; or ""."""
    partly: bool
    """Whether what was done before the exception is given back as well."""
    exact: bool
    """Whether somebody may see how far the loop had come when an exception stops it."""
    unit: str
    indent: int
    """How many columns the code will be indented."""
    names: Names
    imports: Imports
    notebook: bool = False
    width: int = WIDTH

    # -- pieces of code

    def bound(self) -> tuple[list[str], str]:
        """The worker with its fixed arguments baked in: lines, and the name of the function."""
        if not self.fixed:
            return [], self.worker
        partial = self.imports.attribute("functools", "partial")
        fn = self.names.new("fn")
        given = ", ".join(f"{name}={name}" for name in self.fixed)
        return self.fold(f"{fn} = {partial}({self.worker}, {given})", 0), fn

    def items(self) -> tuple[list[str], str]:
        """What is looped over, fit for being gone through twice where that is needed."""
        if not self.target or self.again:
            return [], self.iterable
        items = self.names.new("items")
        return self.fold(f"{items} = list({self.iterable})", 0), items

    def chunked(self) -> str:
        """The argument that makes chunks of short iterations, for a library that makes none."""
        if self.length is None or (self.exact and not self.whole):
            return ""
        if self.length.isdecimal():
            chunk = int(self.length) // 100
            return f", chunksize={chunk}" if chunk > 1 else ""
        return f", chunksize=1 + {self.length} // 100"

    def filled(self, results: str, depth: int) -> list[str]:
        """The statement that uses all results at once."""
        text = "\n".join(self.whole).replace(HOLE, results)
        lines = text.split("\n")
        return self.fold(lines[0], depth) if len(lines) == 1 else lines

    def loop(
        self, stream: str, items: str, depth: int, handle: str = "", fetch: str = ""
    ) -> list[str]:
        """What is done in order, for each of the results that `stream` is the text of.

        With a `handle`, the stream gives something to ask for the result, as `fetch` does.
        """
        result = self.gives
        first: list[str] = []
        last: list[str] = []
        if self.error:
            check = [f"if {self.error} is not None:", f"{self.unit}raise {self.error}"]
            result, apart = self._outcome()
            first, last = (apart, check) if self.partly else ([*check, *apart], [])
        if fetch:
            first = [f"{result} = {fetch}" if result != "_" else fetch, *first]
            result = handle
        if self.target:
            inner = f"({result})" if "," in result else result
            target = f"({self.target})" if "," in self.target else self.target
            head = f"for {target}, {inner} in zip({items}, {stream}):"
        else:
            head = f"for {result} in {stream}:"
        out = [*self.fold(head, depth), *indented([*first, *self.ordered, *last], self.unit)]
        if self.orelse:
            out += ["else:", *indented(self.orelse, self.unit)]
        return out

    def _outcome(self) -> tuple[str, list[str]]:
        if "," not in self.gives:
            return f"{self.gives}, {self.error}", []
        result = self.names.new("result")
        return f"{result}, {self.error}", [f"{self.gives} = {result}"]

    def fold(self, line: str, depth: int) -> list[str]:
        """A line, broken at its last bracket where it would be too long."""
        room = self.width - self.indent - depth * len(self.unit)
        if len(line) <= room or "\n" in line:
            return line.split("\n")
        opened = _last_bracket(line)
        if opened is None:
            return [line]
        start, end = opened
        inner = line[start + 1 : end]
        if len(inner) + len(self.unit) > room:
            parts = _arguments(inner)
            clauses = _clauses(inner)
            if len(clauses) > 1:
                return [line[: start + 1], *indented(clauses, self.unit), line[end:]]
            if len(parts) > 1:
                body = [f"{part}," for part in parts]
                return [line[: start + 1], *indented(body, self.unit), line[end:]]
        return [line[: start + 1], self.unit + inner, line[end:]]


def _last_bracket(line: str) -> tuple[int, int] | None:
    """Where the last outermost pair of brackets opens and closes."""
    depth, quote, start = 0, "", 0
    found: tuple[int, int] | None = None
    for at, char in enumerate(line):
        if quote:
            quote = "" if char == quote and line[at - 1] != "\\" else quote
        elif char in "\"'":
            quote = char
        elif char in "([{":
            start = at if not depth else start
            depth += 1
        elif char in ")]}":
            depth -= 1
            found = (start, at) if not depth else found
    return found


def _clauses(text: str) -> list[str]:
    """A comprehension's element and its `for` and `if` clauses."""
    parts: list[str] = []
    depth, last = 0, 0
    for at, char in enumerate(text):
        depth += (char in "([{") - (char in ")]}")
        if not depth and text.startswith((" for ", " if "), at) and (parts or text[at + 1] == "f"):
            parts.append(text[last:at])
            last = at + 1
    return [*parts, text[last:]]


def _arguments(text: str) -> Sequence[str]:
    parts, depth, quote, at = [""], 0, "", ""
    for at in text:
        if quote:
            quote = "" if at == quote else quote
        elif at in "\"'":
            quote = at
        elif at in "([{":
            depth += 1
        elif at in ")]}":
            depth -= 1
        if at == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += at
    return [part.strip() for part in parts if part.strip()]
