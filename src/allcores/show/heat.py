"""What `allcores find` prints: a table with bars, and the change that each loop needs."""

from __future__ import annotations

import os
import textwrap
from typing import Any

from allcores.find.rank import Ranked
from allcores.find.report import Report
from allcores.show.summary import spoken

BAR = 16
SHOWN = 12
"""Loops that are listed; the rest took even less."""


def write(report: Report, stream: Any) -> None:
    """Write the report: in colour on a terminal, plain and 80 columns wide elsewhere."""
    from rich.console import Console
    from rich.rule import Rule

    terminal = bool(getattr(stream, "isatty", lambda: False)())
    console = Console(file=stream, width=None if terminal else 80, highlight=False, soft_wrap=False)
    console.print(Rule("allcores find", characters="-" if not terminal else "─"))
    if not report.loops:
        console.print(f"No `for` loop ran in {spoken(report.total)}.", markup=False)
        return
    console.print(_head(report), markup=False)
    console.print()
    for r in report.loops[:SHOWN]:
        _write_loop(console, r, report)
    if len(report.loops) > SHOWN:
        console.print(f"... and {len(report.loops) - SHOWN} loops that took less.", markup=False)
    for r in report.recommended:
        diff = report.change(r)
        if diff:
            console.print()
            for line in diff.splitlines():
                style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
                console.print(line, style=style, markup=False, soft_wrap=True)


def _head(report: Report) -> str:
    best = report.recommended
    ran = f"{spoken(report.total)} in all, measured serially on {report.costs.cores} cores."
    if not best:
        return f"{ran} No loop here would gain from workers."
    names = ", ".join(where(r) for r in best)
    return f"{ran} Worth making parallel: {names}."


def where(r: Ranked) -> str:
    """file:line, as short as it can be said from here."""
    file = r.loop.plan.file
    inside = os.path.relpath(file)
    return f"{inside if not inside.startswith('..') else file}:{r.loop.plan.line}"


def _write_loop(console: Any, r: Ranked, report: Report) -> None:
    filled = round(min(r.share, 1.0) * BAR)
    blocks = "█" if (console.encoding or "").lower().startswith("utf") else "#"
    bar = blocks * filled + " " * (BAR - filled)
    colour = "red" if r.share > 0.5 else "yellow" if r.share > 0.1 else "blue"
    console.print(f"{bar} {r.share:6.1%}  ", style=colour, end="", markup=False)
    console.print(where(r), style="bold", markup=False)
    console.print(f"    {textwrap.shorten(r.loop.text, 74, placeholder=' ...')}", markup=False)
    console.print(f"    {numbers(r)}", markup=False)
    for line in textwrap.wrap(verdict(r, report), 75):
        console.print(f"    {line}", style="green" if r.recommended else "dim", markup=False)


def numbers(r: Ranked) -> str:
    """Iterations and their times, in a line."""
    loop = r.loop
    said = f"{loop.iterations:,} iterations"
    if loop.count > 1:
        said += f" in {loop.count:,} runs"
    if loop.iterations:
        said += f", {brief(loop.seconds / loop.iterations)} each"
        if r.unevenness >= 2:
            said += f", the longest {r.unevenness:,.0f} times that"
    return said


def brief(seconds: float) -> str:
    """A short time with its unit: "3.1 us", "2 ms"."""
    if seconds < 1e-6:
        return f"{seconds * 1e9:.0f} ns"
    if seconds < 1e-3:
        return f"{seconds * 1e6:.3g} us"
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def verdict(r: Ranked, report: Report) -> str:
    """What to expect of the loop in workers, or why it is not recommended."""
    if not r.recommended:
        return r.advice
    cores = report.costs.cores
    own = f"parallel: {r.alone:.1f} times as fast on {cores} cores; the whole run "
    times = [f"{gain:.1f} on {count}" for count, gain in r.gain.items()]
    return f"{own}{', '.join(times)}"
