"""`allcores explain --json` over every file of the standard library; plain: in one process."""

import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from work import Clock, Figures, Work


def seconds(figures: Figures) -> float | None:
    """Seconds for all of it."""
    return figures.typical("allcores")


WORK = Work(
    "explain_stdlib",
    "allcores explain over the whole standard library",
    "60 s",
    seconds,
    60.0,
    variants=("plain", "allcores"),
)


def library(folder: str) -> str:
    """A folder that shows the standard library without the packages installed in it."""
    source = Path(sysconfig.get_path("stdlib"))
    for each in source.iterdir():
        if each.name not in ("site-packages", "__pycache__"):
            (Path(folder) / each.name).symlink_to(each)
    return folder


def explained(folder: str, on: str) -> bytes:
    """What is said of it."""
    command = [sys.executable, "-m", "allcores", "explain", "--json"]
    there = sorted(Path(folder).iterdir())
    done = subprocess.run(
        command + [each.name for each in there if each.is_dir() or each.suffix == ".py"],
        cwd=folder,
        env={**os.environ, "ALLCORES_ON": on},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return done.stdout


if __name__ == "__main__":
    clock = Clock()
    with tempfile.TemporaryDirectory() as name:
        folder = library(name)
        started = time.perf_counter()
        found = explained(folder, "serial" if clock.variant == "plain" else "processes")
        clock.report(time.perf_counter() - started, found)
