"""docs/recipe.md shows what the commands really say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^    \$ (allcores .*)\n((?:    .*\n|\n(?=    (?!\$)))*)", re.M)
SHOWN = BLOCK.findall((ROOT / "docs" / "recipe.md").read_text())

HIDDEN = """\
import os
where = []


for x in range(20):
    where.append(0 if x < 7 else os.getpid())
"""
NEW = """\
from functools import partial
from multiprocessing import Pool


def work(pair, const):
    a, b = pair
    return (a + b) * const


if __name__ == "__main__":
    size = 10
    avalues = list(range(size))
    bvalues = [10 * a for a in avalues]
    const = 3
    with Pool() as pool:
        results = pool.map(partial(work, const=const), zip(avalues, bvalues))
    print(results)
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "examples").mkdir()
    shutil.copy(ROOT / "examples" / "cheatsheet.py", tmp_path / "examples")
    (tmp_path / "hidden.py").write_text(HIDDEN)
    (tmp_path / "new.py").write_text(NEW)
    (tmp_path / "wrong.py").write_text(NEW.replace("const=const", "const=const + 1"))
    return tmp_path


def plainly(text: str) -> list[str]:
    """The lines, without what differs from run to run."""
    return [
        re.sub(r"is \d+ after|, \d+ after", "N after", line.rstrip()) for line in text.splitlines()
    ]


@pytest.mark.parametrize("command", [command for command, _ in SHOWN])
def test_what_the_page_shows_is_what_is_said(checkout: Path, command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command.split()],
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "NO_COLOR": "1"},
    )
    if "No such command" in done.stderr:
        pytest.skip("this command is not here yet")
    shown = "".join(text.removeprefix("    ") for text in dict(SHOWN)[command].splitlines(True))
    assert plainly(done.stdout + done.stderr) == plainly(shown.rstrip())


def test_all_commands_of_the_page_are_found() -> None:
    assert len(SHOWN) == 6
