"""Scripts run in sessions of their own, of which nothing may be left afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.lines import read_line


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


def wait_for(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """Look again and again; on a deadline, fail."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.002)
    return found


def group(pgid: int) -> set[int]:
    """The living processes of a process group."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, IndexError):
            fields = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) == pgid and fields[0] not in "ZX":
                found.add(int(pid))
    return found


class Session:
    """One script, running."""

    def __init__(self, directory: Path, source: str, **variables: str) -> None:
        self.path = directory / "script.py"
        self.path.write_text(textwrap.dedent(source))
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-X", "faulthandler", self.path.name],
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "ALLCORES_WORKERS": "2", **variables},
        )

    def line(self) -> str:
        """The next line it prints."""
        assert self.process.stdout
        return read_line(self.process).strip()

    def end(self, seconds: float = 30) -> Outcome:
        """Wait for it; fails when it hangs, or when a process of it is left."""
        try:
            out, err = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        left = self.left()
        self.kill()
        assert not left, f"processes left: {left}; {err}"
        return Outcome(self.process.returncode, out, err)

    def left(self) -> set[int]:
        """Processes that do not end by themselves within 3 s."""
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: not group(self.process.pid), 3)
        return group(self.process.pid)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def run(directory: Path, source: str, **variables: str) -> Outcome:
    """Run a script to its end."""
    return Session(directory, source, **variables).end()
