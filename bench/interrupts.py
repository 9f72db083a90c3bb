"""How long a program takes to end on Ctrl-C, under allcores and other libraries.

`python bench/interrupts.py [ROUNDS]` prints a table and writes it into docs/failures.md. In each
round every library is interrupted once, as from a terminal (SIGINT to all of the program's
processes), at a random moment while its two workers are at items of 0.2 s.
"""

from __future__ import annotations

import contextlib
import os
import platform
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from faults import FAULTS, LIBRARIES, PAGE, Library, marked, program, remaining

BEGIN, END = "<!-- made by: python bench/interrupts.py -->", "<!-- end of what it made -->"
ROUNDS = 5
LIMIT = 20.0
AT_WORK = 1.5
"""Seconds after which all libraries have their workers."""
[CTRL_C] = [fault for fault in FAULTS if fault.interrupt]
MAP = Library(
    "`allcores.map`",
    """
    from allcores import map
    results += map(function, items, workers=2)
    """,
    "",
)


class Ended(NamedTuple):
    """How a program ended on Ctrl-C."""

    seconds: float
    lines: int
    """On stderr; the plain loop writes five or so."""
    left: int
    """Processes that were there a second later."""


def measure(library: Library, after: float = AT_WORK) -> Ended:
    """Interrupt a program that uses a library, so many seconds after it began."""
    mark = uuid.uuid4().hex
    with tempfile.TemporaryDirectory(prefix="interrupts-") as folder:
        Path(folder, "program.py").write_text(program(CTRL_C, library))
        process = subprocess.Popen(
            [sys.executable, "program.py"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "INTERRUPTS": mark},
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(after)
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(LIMIT)
        seconds = time.monotonic() - began
        left = remaining(mark, 1.0)
        for pid in marked(mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _, err = process.communicate()
    return Ended(seconds, len(err.splitlines()), len(left))


def table(rounds: int) -> str:
    """The figures of all libraries, each interrupted so many times."""
    libraries = [*LIBRARIES, MAP]
    ends: dict[str, list[Ended]] = {library.name: [] for library in libraries}
    rng = random.Random(1)
    for _ in range(rounds):
        for library in libraries:
            ends[library.name].append(measure(library, AT_WORK + 0.3 * rng.random()))
            print(library.name, ends[library.name][-1], file=sys.stderr, flush=True)
    lines = [
        "| | seconds, median | most | lines on stderr | processes left |",
        "|---|---|---|---|---|",
    ]
    for name, each in ends.items():
        seconds = [e.seconds for e in each]
        cells = (
            f"{statistics.median(seconds):.2f}",
            f"{max(seconds):.2f}" if max(seconds) < LIMIT else "**hangs**",
            str(max(e.lines for e in each)),
            str(max(e.left for e in each)),
        )
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    peers = ", ".join(f"{name} {version(name)}" for name in ("joblib", "mpire"))
    where = f"Python {platform.python_version()}, {peers}, {len(os.sched_getaffinity(0))} cores"
    return "\n".join([*lines, "", f"{rounds} times each; {where}."])


def main() -> None:
    """The command."""
    text = table(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
    page = PAGE.read_text()
    before, found, rest = page.partition(BEGIN)
    if found:
        _, _, after = rest.partition(END)
        PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
    print(text)


if __name__ == "__main__":
    main()
