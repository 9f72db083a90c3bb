"""Comparing what two programs printed, and what they wrote to files."""

from __future__ import annotations

import re
from collections.abc import Sequence

_TRACEBACK = re.compile(r"^([ |+]*)Traceback \(most recent call last\):\n(?:\1[ \t]+.*\n)*", re.M)
_FROM_WORKER = re.compile(
    r'^[\w.]*RemoteTraceback: ?\n"""\n.*?^"""\n\n'
    r"The above exception was the direct cause of the following exception:\n\n",
    re.M | re.S,
)
_OUR_NOTE = re.compile(r"^in iteration \d+ of the parallel loop, with .*\n(?:  .*\n)*", re.M)
_OUR_WARNING = re.compile(r"^.*: (?:Parallel|RandomStream)Warning: (.*)\n(?:  .*\n)?", re.M)
_CONTEXT = 2


def without_places(text: str, script: str) -> str:
    """What was written to stderr, without the lines of tracebacks that say where in the file.

    script: the program's path. An equal exception is equal wherever in its file it was raised, and
    whether or not it came from a worker process.
    """
    text = _FROM_WORKER.sub("", text)
    text = _OUR_WARNING.sub("", _OUR_NOTE.sub("", text))
    text = _TRACEBACK.sub(r"\1Traceback (most recent call last):\n", text)
    warning = re.compile(rf"^.*{re.escape(script)}:\d+: (\w+: .*\n)(?:  .*\n)?", re.M)
    return warning.sub(r"\1", text)


def serial_warnings(text: str) -> list[str]:
    """What ParallelWarnings among the text say."""
    return _OUR_WARNING.findall(text)


def lines_of(text: str) -> list[str]:
    """Lines, also those that a progress bar writes over."""
    return re.split(r"\r?\n|\r", text)


def varying(first: Sequence[str], again: Sequence[str]) -> set[int] | None:
    """Which lines differ from run to run of one program; None: even their number does."""
    if len(first) != len(again):
        return None
    return {i for i, (a, b) in enumerate(zip(first, again)) if a != b}


def first_differing(a: Sequence[str], b: Sequence[str], but: set[int]) -> int | None:
    """The index of the first line that differs, but for lines known to vary."""
    for i, (x, y) in enumerate(zip(a, b)):
        if x != y and (i not in but or len(a) != len(b)):
            return i
    return min(len(a), len(b)) if len(a) != len(b) else None


def short_diff(a: Sequence[str], b: Sequence[str], at: int) -> list[str]:
    """The first differing line of each, with its number and what comes before it.

    >>> for line in short_diff(["x", "1"], ["x", "2", "3"], 1):
    ...     print(line)
      1  x
    - 2  1
    + 2  2
    """
    found = [f"  {i + 1}  {_shortened(a[i])}" for i in range(max(0, at - _CONTEXT), at)]
    for mark, lines in (("-", a), ("+", b)):
        text = _shortened(lines[at]) if at < len(lines) else "(nothing: it ends here)"
        found.append(f"{mark} {at + 1}  {text}")
    return found


def _shortened(line: str) -> str:
    return line if len(line) <= 160 else line[:157] + "..."
