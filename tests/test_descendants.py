"""Processes that processes have started are found, and ended with them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from allcores.engine.descendants import Found, descendants, kill_all, kill_tree


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def test_a_whole_tree_is_ended() -> None:
    inner = "import subprocess; subprocess.run(['sleep', '1000'])"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-Sc', {inner!r}])"
    process = subprocess.Popen([sys.executable, "-Sc", outer])
    wait_for(lambda: len(descendants(process.pid)) == 2)
    found = descendants(process.pid)
    assert process.pid in [each.pid for each in descendants(os.getpid())]
    kill_tree(process.pid)
    assert process.wait(20) == -9
    wait_for(lambda: not any(alive(each.pid) for each in found))


def test_who_only_has_the_id_of_another_is_left_alone() -> None:
    with subprocess.Popen(["sleep", "1000"]) as process:
        kill_all([Found(process.pid, "1"), Found(2**22 + 1, "1")])
        assert process.poll() is None
        kill_tree(process.pid)
    assert descendants(process.pid) == []
    kill_tree(2**22 + 1)
