"""Reading what a running process writes, line by line."""

from __future__ import annotations

import os
import subprocess


def read_line(process: subprocess.Popen[str]) -> str:
    """The next line of its stdout; what follows is left for `communicate` to read."""
    assert process.stdout is not None
    data = b""
    while not data.endswith(b"\n"):
        one = os.read(process.stdout.fileno(), 1)
        if not one:
            break
        data += one
    return data.decode()
