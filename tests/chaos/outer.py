"""What is done to a run from outside, and looking for what it leaves in the system."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.chaos.scenario import INTERRUPTS, Scenario

DISK = (4, 16, 40, 80)
"""Kilobytes of a full disk."""
FIRST_WORKER = 2.0
"""Seconds to wait for one; a light loop may have none."""
DISK_LIMIT = (1, 5_000, 20_000, 60_000)
"""Bytes of a file where no disk can be had."""


def limits(s: Scenario, mounts: bool, group: Path | None) -> dict[str, Any]:
    """What the program is to limit by itself."""
    if s.outer == "few processes" and group is not None:
        return {"processes": s.amount, "group": str(group)}
    if s.outer == "few processes" and os.geteuid() != 0:
        return {"processes": s.amount}
    if s.outer == "few descriptors":
        return {"descriptors": 1 + s.amount}
    if s.outer == "full disk" and not mounts:
        return {"file size": DISK_LIMIT[s.amount]}
    return {}


def act(
    s: Scenario, process: subprocess.Popen[bytes], home: Path, patience: float
) -> tuple[bool, float]:
    """Do what is planned when the loop has begun; whether it was in time, and when that was."""
    began = time.monotonic()
    while not (home / "ready").exists():
        if process.poll() is not None or time.monotonic() > began + patience:
            return False, time.monotonic()
        time.sleep(0.001)
    if s.outer in ("nothing", "few descriptors", "few processes", "full disk"):
        return True, time.monotonic()
    while not s.at_start and process.poll() is None and not children(process.pid):
        if time.monotonic() > began + FIRST_WORKER:
            break
        time.sleep(0.001)
    time.sleep(s.moment * (1.3 * s.seconds + 0.1))
    now = time.monotonic()
    if process.poll() is not None:
        return False, now
    if s.outer == "worker killed":
        kill_workers(process, 1, s)
    elif s.outer == "workers killed":
        kill_workers(process, 1 + s.amount, s)
    elif s.outer == "Ctrl-C in a terminal":
        os.killpg(process.pid, signal.SIGINT)
    elif s.outer in INTERRUPTS:
        process.send_signal(signal.SIGINT)
        if s.outer == "Ctrl-C twice":
            time.sleep(0.02 * s.amount)
            process.send_signal(signal.SIGINT)
    elif s.outer == "SIGTERM":
        process.terminate()
    else:
        process.kill()
    return True, now


def kill_workers(process: subprocess.Popen[bytes], count: int, s: Scenario) -> None:
    """SIGKILL so many workers, each at some moment."""
    draw = random.Random(s.seed)
    for _ in range(count):
        pids = children(process.pid)
        if pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(draw.choice(pids), signal.SIGKILL)
        time.sleep(draw.uniform(0, 0.3) * s.seconds)


def children(pid: int) -> list[int]:
    found = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            found += Path(f"/proc/{pid}/task/{task}/children").read_text().split()
    return [int(f) for f in found]


def ended(process: subprocess.Popen[bytes], deadline: float) -> int | None:
    """The exit code; None when the time is over before."""
    try:
        return process.wait(max(deadline - time.monotonic(), 0.01))
    except subprocess.TimeoutExpired:
        return None


def ask_where(process: subprocess.Popen[bytes], mark: str) -> None:
    """Have all that hang write down where they are."""
    for pid in [process.pid, *marked(mark)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGUSR1)
    time.sleep(0.3)


def gone(mark: str, seconds: float) -> list[str]:
    """The processes of a run that are not gone after so long."""
    until = time.monotonic() + seconds
    while (left := marked(mark)) and time.monotonic() < until:
        time.sleep(0.005)
    return [f"{pid} {said(pid)}" for pid in left]


def marked(mark: str) -> list[int]:
    """The living processes that have this in their environment."""
    found = []
    wanted = mark.encode()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if wanted in Path(f"/proc/{pid}/environ").read_bytes():
                found.append(int(pid))
    return found


def said(pid: int) -> str:
    with contextlib.suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return f"({state}, {Path(f'/proc/{pid}/wchan').read_text()})"
    return ""


def damage(disk: Path, seed: int) -> None:
    """Cut off the end of a journal's files, or write nonsense there."""
    draw = random.Random(seed)
    for path in sorted(p for p in disk.rglob("*") if p.is_file() and p.stat().st_size):
        data = bytearray(path.read_bytes())
        tail = draw.randint(1, min(len(data), draw.choice([1, 40, 700, 9000])))
        how = draw.choice(["cut", "zeros", "noise", "as it is"])
        if how == "cut":
            del data[-tail:]
        elif how != "as it is":
            data[-tail:] = bytes(tail) if how == "zeros" else draw.randbytes(tail)
        path.write_bytes(data)
