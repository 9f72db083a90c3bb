"""A few of the chaos runs; `make chaos` does hundreds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.chaos.scenario import scenario

FIRST, RUNS = 12884, 10
"""Seeds that have most of the faults, in short programs."""


def test_some_runs_leave_what_the_plain_loop_leaves() -> None:
    assert len({scenario(seed).outer for seed in range(FIRST, FIRST + RUNS)}) >= 10
    ended = subprocess.run(
        [sys.executable, "-m", "tests.chaos.run", str(RUNS), str(FIRST)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
