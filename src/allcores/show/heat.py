"""The report of `allcores find` as one web page: the ranking, and the source with its heat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexers.python import PythonLexer

from allcores.find.findings import Finding, Findings
from allcores.show.ranking import factor, time_of
from allcores.show.summary import spoken

_HOTTEST = 0.35
"""How opaque the heat of a line is that takes all of the time."""


@dataclass(slots=True)
class Line:
    """A line of source as the page shows it."""

    code: Markup
    share: str = ""
    heat: float = 0.0
    anchor: str = ""


@dataclass(slots=True)
class File:
    """A file that has measured loops."""

    name: str
    lines: list[Line]


def page_of(found: Findings, texts: dict[str, str], shown: Callable[[str], str]) -> str:
    """The page as HTML that needs nothing from elsewhere."""
    files = [each for each in texts if any(loop.place[0] == each for loop in found.loops)]
    numbers = {file: number for number, file in enumerate(files)}

    def place(finding: Finding) -> str:
        file, line = finding.place
        return f"{shown(file)}:{line}"

    def anchor(finding: Finding) -> str:
        file, line = finding.place
        return f"file{numbers.get(file, 0)}-line{line}"

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True
    )
    return environment.get_template("heat.html").render(
        title=shown(files[0]) if files else "no loops",
        found=found,
        files=[File(shown(file), _lines(file, texts[file], found, anchor)) for file in files],
        place=place,
        anchor=anchor,
        spoken=spoken,
        factor=factor,
        time=time_of,
        light=_style("default"),
        dark=_style("github-dark"),
    )


def _style(name: str) -> Markup:
    rules = HtmlFormatter(style=name, nobackground=True).get_style_defs(".highlight")
    return Markup(rules)


def _lines(file: str, text: str, found: Findings, anchor: Callable[[Finding], str]) -> list[Line]:
    lexer = PythonLexer(stripnl=False, ensurenl=True)
    # The formatter escapes the text, and ends each line's markup on the line.
    coloured = highlight(text, lexer, HtmlFormatter(nowrap=True)).split("\n")
    lines = [Line(Markup(each)) for each in coloured[: len(text.splitlines())]]
    loops = [each for each in found.loops if each.place[0] == file]
    # Outer loops first: a line has the heat of the innermost loop that it is in.
    for finding in sorted(loops, key=lambda each: each.place[1]):
        node = finding.meter.plan.node
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1):
            if number <= len(lines):
                lines[number - 1].heat = _HOTTEST * min(finding.share, 1.0)
        if finding.place[1] <= len(lines):
            first = lines[finding.place[1] - 1]
            first.share, first.anchor = f"{100 * finding.share:.1f} %", anchor(finding)
    return lines
