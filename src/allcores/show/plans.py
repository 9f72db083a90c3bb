"""Plans laid out: in colour for a terminal, plain for a pipe, as data for tools."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TextIO

from allcores.plan import Plan
from allcores.plan.effects import in_words
from allcores.plan.words import OWN_ITEM, random_lines

# A line is pieces of text, each with the name of a style.
Piece = tuple[str, str]
Line = list[Piece]

_STYLES = {
    "place": "bold",
    "code": "cyan",
    "label": "dim",
    "parallel": "bold green",
    "serial": "bold yellow",
    "nothing to gain": "bold blue",
}
_INDENT = "    "


def as_data(plan: Plan) -> dict[str, Any]:
    """The Plan as `allcores explain --json` gives it."""
    return {
        "file": plan.file,
        "line": plan.line,
        "verdict": plan.verdict,
        "reasons": [{"line": reason.line, "text": reason.text} for reason in plan.reasons],
        "varying": list(plan.varying),
        "fixed": list(plan.fixed),
        "work": list(plan.work),
        "in_place": list(plan.in_place),
        "commits": [{"line": commit.line, "source": commit.source} for commit in plan.commits],
        "random": [{"line": line, "stream": in_words(r)} for r, (line, _) in plan.draws.items()],
    }


def lines_of(plan: Plan, source: Sequence[str]) -> list[Line]:
    """The Plan in words; `source` is the file's text in lines."""
    lines: list[Line] = [
        [(f"{plan.file}:{plan.line}", "place"), ("  ", ""), (_header(plan, source), "code")],
        [(_INDENT, ""), (plan.verdict, plan.verdict)],
    ]
    for reason in plan.reasons:
        lines.append([(f"{_INDENT}line {reason.line}: ", "label"), *_with_code(reason.text)])
    if plan.verdict != "serial":
        lines += _part("varies", [", ".join(plan.varying)] if plan.varying else [])
        lines += _part("fixed", [", ".join(plan.fixed)] if plan.fixed else [])
        lines += _part("in workers", plan.work)
        if plan.in_place:
            [line] = _part("changes in place", [", ".join(plan.in_place)])
            lines.append([*line, (f" ({OWN_ITEM})", "")])
        lines += _part("in order, here", [commit.source for commit in plan.commits])
    for said in random_lines(plan):
        lines.append([(f"{_INDENT}random ", "label"), *_with_code(said)])
    return lines


def _header(plan: Plan, source: Sequence[str]) -> str:
    """The loop's `for ... in ...:` as it stands in the file, on one line."""
    node = plan.node
    last = node.iter.end_lineno or node.lineno
    text = " ".join(line.strip() for line in source[node.lineno - 1 : last])
    if node.lineno == last == node.body[0].lineno:
        text = text[: node.body[0].col_offset].rstrip() or text
    return textwrap.shorten(text, 100, placeholder=" ...")


def _part(label: str, code: Sequence[str]) -> list[Line]:
    """One part of the Plan: on its label's line when it is short, else below it."""
    start: Piece = (f"{_INDENT}{label} ", "label")
    if not code:
        return [[start, ("nothing", "")]]
    if len(code) == 1 and "\n" not in code[0]:
        return [[start, *_with_code(f"`{code[0]}`")]]
    below = [line for each in code for line in each.splitlines()]
    return [[start], *([(_INDENT * 2, ""), (line, "code")] for line in below)]


def _with_code(text: str) -> Line:
    """Text in which what stands in backquotes is code."""
    pieces: Line = []
    for index, piece in enumerate(text.split("`")):
        if index % 2 == 0:
            pieces.append((piece, ""))
        else:
            pieces += [("`", "label"), (piece, "code"), ("`", "label")]
    return [piece for piece in pieces if piece[0]]


def write(lines: Iterable[Line], stream: TextIO) -> None:
    """Write lines to the stream, in colour when it is a terminal that has colours."""
    if not stream.isatty():
        for line in lines:
            stream.write("".join(text for text, _style in line) + "\n")
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream, highlight=False)
    for line in lines:
        text = Text.assemble(*((text, _STYLES.get(style, "")) for text, style in line))
        console.print(text, soft_wrap=True)


def told(say: Callable[[], None]) -> int:
    """Write something to standard output; the exit status: 1 where nobody reads it any more."""
    try:
        say()
        sys.stdout.flush()
    except BrokenPipeError:
        # As when `head` has seen enough. Nothing is left to be flushed at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def prepare(stream: TextIO) -> None:
    """Let the stream write any character, if need be as an escape."""
    if isinstance(stream, type(sys.__stdout__)):
        stream.reconfigure(errors="backslashreplace")
