"""The loops of a program, ranked, for a terminal or a pipe: bars, figures, changes."""

from __future__ import annotations

import io
import os
import sys
import textwrap
from collections.abc import Callable
from typing import TextIO

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from allcores.find.findings import Finding, Findings
from allcores.show.summary import spoken

Shown = Callable[[str], str]

_BAR = 30
_VERDICTS = {"parallel": "bold green", "serial": "bold yellow", "nothing to gain": "bold blue"}


def write_ranking(found: Findings, stream: TextIO, shown: Shown) -> None:
    """Write the report to the stream: in colour on a terminal, else in 80 plain columns."""
    on_terminal = stream.isatty()
    if isinstance(stream, type(sys.__stdout__)):
        stream.reconfigure(errors="backslashreplace")
    ascii_only = not (stream.encoding or "ascii").lower().startswith("utf")
    target = stream if on_terminal else io.StringIO()
    width = None if on_terminal else 80
    console = Console(file=target, width=width, highlight=False, emoji=False, markup=False)
    # The program may have ended in the middle of a line.
    console.print()
    console.print(Rule("allcores find", characters="-" if ascii_only else "─", style="dim"))
    for part in _parts(found, shown, ascii_only, on_terminal):
        # Lines that people copy or search for are not broken.
        console.print(part, soft_wrap=isinstance(part, Text) and part.no_wrap is True)
    if isinstance(target, io.StringIO):
        # rich fills lines up with spaces.
        stream.writelines(f"{line.rstrip()}\n" for line in target.getvalue().splitlines())


def _parts(found: Findings, shown: Shown, ascii_only: bool, coloured: bool) -> list[RenderableType]:
    parts: list[RenderableType] = [Text(_opening(found))]
    if not found.loops:
        return [*parts, Text("There is no `for` loop that took any time worth a word.")]
    parts += ["", *(_bar(each, shown, ascii_only) for each in _by_share(found)), ""]
    parts += [Text("The whole program, with that loop alone parallel, on so many cores:", "dim")]
    parts += ["", _table(found, shown)]
    parts += [part for each in found.loops for part in _about(each, shown)]
    for number, finding in enumerate(found.recommended, start=1):
        parts += ["", *_change(finding, number, found, shown, coloured)]
    parts += ["", Text(_closing(found))]
    return parts


def _by_share(found: Findings) -> list[Finding]:
    return sorted(found.loops, key=lambda each: -each.seconds)


def _opening(found: Findings) -> str:
    took = f"The program took {spoken(found.total)}"
    if found.stopped:
        took += f"; {found.stopped}, and this is what was measured until then"
    return f"{took}. Of that, the loops took:"


def _bar(finding: Finding, shown: Shown, ascii_only: bool) -> Text:
    filled = finding.share * _BAR
    if ascii_only:
        bar = "#" * round(filled)
    else:
        eighths = round(filled * 8)
        bar = "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
    style = _VERDICTS[finding.verdict].partition(" ")[2]
    return Text.assemble(
        f"{finding.share:6.1%}  ", (bar.ljust(_BAR), style), f"  {_place(finding, shown)}",
        no_wrap=True,
    )  # fmt: skip


def _table(found: Findings, shown: Shown) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("loop", overflow="fold")
    for heading in ("iterations", "each", "uneven"):
        table.add_column(heading, justify="right", no_wrap=True)
    for number in found.all_cores:
        here = " here" if number == found.cores else ""
        table.add_column(f"{number}{here}", justify="right", no_wrap=True)
    for finding in found.loops:
        meter = finding.meter
        speeds = [f"{factor(finding.run_speed_up(n))}x" for n in found.all_cores]
        if finding.verdict != "parallel":
            speeds = ["-"] * len(speeds)
        iterations = meter.all_iterations
        table.add_row(
            _place(finding, os.path.basename),
            ("~" if meter.skipped else "") + _number(iterations),
            time_of(finding.seconds / iterations if iterations else 0.0),
            f"{meter.unevenness:.1f}",
            *speeds,
        )
    return table


def _place(finding: Finding, shown: Shown) -> str:
    file, line = finding.place
    return f"{shown(file)}:{line}"


def _about(finding: Finding, shown: Shown) -> list[RenderableType]:
    """The loop's first line, the verdict, and why."""
    source = textwrap.shorten(finding.source, 60, placeholder=" ...")
    style = _VERDICTS[finding.verdict]
    parts: list[RenderableType] = [
        "",
        Text.assemble((_place(finding, shown), "bold"), "  ", (source, "cyan"), no_wrap=True),
    ]
    said = [f"line {at}: {text}" for at, text in finding.reasons if finding.verdict == "serial"][:2]
    said += [finding.advice] if finding.advice else []
    sentence = Text.assemble((finding.verdict, style), *(f"; {each}" for each in said))
    return [*parts, Padding(sentence, (0, 0, 0, 4), expand=False)]


def _change(
    finding: Finding, number: int, found: Findings, shown: Shown, coloured: bool
) -> list[RenderableType]:
    speeds = ", ".join(f"{factor(finding.speed_up(n))} on {n}" for n in found.all_cores)
    parts: list[RenderableType] = [
        Text(f"{number}. Change {_place(finding, shown)}, to run that loop in parallel."),
        Text(f"   The loop itself, times as fast: {speeds}."),
    ]
    if not finding.diff:
        return [*parts, Text("   It is marked already: run the program without `find`.")]
    if coloured:
        syntax = Syntax(finding.diff.rstrip(), "diff", background_color="default", word_wrap=True)
        return [*parts, syntax]
    return [*parts, Text(finding.diff.rstrip(), no_wrap=True)]


def _closing(found: Findings) -> str:
    lines = []
    if found.recommended:
        changes = "that change" if len(found.recommended) == 1 else "those changes"
        speeds = ", ".join(f"{factor(found.run_speed_up(n))} on {n}" for n in found.all_cores)
        lines.append(f"With {changes} the program is so many times as fast: {speeds}.")
    else:
        lines.append("No loop is worth running in parallel.")
    if any(each.meter.skipped for each in found.loops):
        lines.append("~ is an estimate: of very short loops, only some runs are measured.")
    if not found.costs.measured:
        lines.append("What workers cost could not be measured here; typical figures were used.")
    for file in found.unread:
        lines.append(f"The loops of {file} could not be read, and were not measured.")
    if found.hidden:
        loops = "1 loop that takes" if found.hidden == 1 else f"{found.hidden} loops that take"
        lines.append(f"Not listed: {loops} next to no time (`--all` lists them).")
    return "\n".join(lines)


def factor(value: float) -> str:
    """A speed-up in three figures."""
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _number(value: int) -> str:
    if value < 1_000_000:
        return f"{value:,}"
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return str(value)


def time_of(seconds: float) -> str:
    """A time in three figures: "38.1 us", "4.03 ms", "1.20 s"."""
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.0f} ns"
