"""A file's text, with the places that the parser gives: cutting pieces out and indenting them."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable

HELD = "\0"
"""Stands for a line end inside a string, where indenting would change the string."""


class Source:
    """A parsed file. `text` is as in the file, save that line ends in strings are `HELD`."""

    def __init__(self, text: str, filename: str) -> None:
        """Raises SyntaxError when the text is not Python."""
        self.filename = filename
        parts = re.split(r"(\r\n|\r|\n)", text)
        self.rows, self.ends = parts[0::2], [*parts[1::2], ""]
        plain = "\n".join(self.rows)
        self.tree = ast.parse(plain, filename)
        held = _rows_inside_strings(plain)
        self.starts: list[int] = []
        pieces: list[str] = []
        at = 0
        for number, row in enumerate(self.rows, 1):
            self.starts.append(at)
            pieces += [row, HELD if number + 1 in held else "\n"]
            at += len(row) + 1
        self.text = "".join(pieces)[:-1]
        self.unit = _indent_unit(self)

    def offset(self, row: int, column: int) -> int:
        """The index in `text` of a place as the parser gives it: row from 1, column in bytes."""
        line = self.rows[row - 1]
        if not line.isascii():
            column = len(line.encode()[:column].decode())
        return self.starts[row - 1] + column

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Where a node begins and ends in `text`."""
        assert isinstance(node, (ast.expr, ast.stmt, ast.excepthandler, ast.pattern))
        assert node.end_lineno is not None and node.end_col_offset is not None
        return (
            self.offset(node.lineno, node.col_offset),
            self.offset(node.end_lineno, node.end_col_offset),
        )

    def of(self, node: ast.AST) -> str:
        """A node's own text."""
        start, end = self.span(node)
        return self.text[start:end]

    def cut(self, start: int, end: int, swaps: Iterable[tuple[ast.AST, str]] = ()) -> str:
        """The text from `start` to `end`, with some nodes in it swapped for other text."""
        out, at = [], start
        for node, new in sorted(swaps, key=lambda swap: self.span(swap[0])[0]):
            first, last = self.span(node)
            if first < at or last > end:
                continue
            out += [self.text[at:first], new]
            at = last
        return "".join([*out, self.text[at:end]])

    def indent(self, node: ast.stmt) -> str:
        """The white space that a statement's line begins with."""
        row = self.rows[node.lineno - 1]
        return row[: len(row) - len(row.lstrip(" \t\f"))]

    def newline(self, row: int) -> str:
        """The line end of a row, or where it has none that of the rows before it."""
        return next((end for end in reversed(self.ends[:row]) if end), "\n")


def _rows_inside_strings(text: str) -> set[int]:
    """The rows that begin inside a string."""
    rows: set[int] = set()
    opened: list[int] = []
    names = tokenize.tok_name
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kind = names[token.type]
        if kind == "STRING":
            rows.update(range(token.start[0] + 1, token.end[0] + 1))
        elif kind.endswith("STRING_START"):
            opened.append(token.start[0])
        elif kind.endswith("STRING_END"):
            rows.update(range(opened.pop() + 1, token.end[0] + 1))
    return rows


def _indent_unit(source: Source) -> str:
    """What the file indents by: that of its first block."""
    for node in ast.walk(source.tree):
        body = getattr(node, "body", None)
        if isinstance(node, ast.stmt) and isinstance(body, list) and body:
            outer, inner = source.indent(node), source.indent(body[0])
            if inner.startswith(outer) and len(inner) > len(outer):
                return inner[len(outer) :]
    return "    "


def moved(text: str, old: str, new: str) -> list[str]:
    """The lines of a piece of a file, with the indentation `old` made `new`.

    The first line is taken to have none of its own; lines shallower than `old` get as near to it
    as they can.
    """
    first, *rest = text.split("\n")
    out = [new + first.lstrip(" \t") if first.strip() else ""]
    for line in rest:
        if not line.strip():
            out.append("")
        elif line.startswith(old):
            out.append(new + line[len(old) :])
        else:
            out.append(new + line.lstrip(" \t") if old else new + line)
    return out


def indented(lines: Iterable[str], by: str) -> list[str]:
    """The lines, with those that hold anything indented."""
    return [by + line if line else "" for line in lines]


def one_line(text: str) -> str:
    """An expression's text on one line where that is safe and short, else as it is."""
    if "\n" not in text or HELD in text or "#" in text:
        return text
    joined = re.sub(r"\\?\s*\n\s*", " ", text)
    joined = re.sub(r"([(\[{]) ", r"\1", re.sub(r",? ([)\]}])", r"\1", joined))
    try:
        same = ast.dump(ast.parse(f"({joined})")) == ast.dump(ast.parse(f"({text})"))
    except SyntaxError:
        return text
    return joined if same and len(joined) < 72 else text


def enclosed(text: str, node: ast.expr) -> str:
    """An expression's text so that it can stand anywhere: in brackets where it needs them."""
    text = one_line(text)
    alone = isinstance(node, (ast.GeneratorExp, ast.Yield, ast.NamedExpr, ast.Tuple))
    if not (alone or "\n" in text) or _is_bracketed(text):
        return text
    return f"({text})" if alone or not isinstance(node, ast.Call) else text


def _is_bracketed(text: str) -> bool:
    """Whether one pair of brackets holds all of it (strings with brackets in them may say no)."""
    depth = 0
    for at, char in enumerate(text):
        depth += (char in "([{") - (char in ")]}")
        if depth <= 0:
            return at == len(text) - 1 and at > 0
    return False
