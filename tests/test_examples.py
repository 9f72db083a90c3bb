"""Each example prints the same as the plain loop and with its loops forced into workers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"

# Small enough for every run of the tests; and how large they are as users run them.
SMALL = {
    "cheatsheet": ["20"],
    "mandelbrot": ["60", "image.pgm"],
    "option_price": ["8"],
    "period_search": ["300"],
    "bootstrap": ["200"],
    "text_stats": ["30"],
}


def printed(*args: str, cwd: Path, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, *args],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    # A loop that had to stay serial would have said so here.
    assert "Warning" not in done.stderr
    return done.stdout


def check(example: str, args: list[str], directory: Path) -> None:
    script = str(EXAMPLES / f"{example}.py")
    outcomes = []
    for how in "plain", "forced":
        cwd = directory / how
        cwd.mkdir()
        if how == "plain":
            text = printed(script, *args, cwd=cwd, ALLCORES_ON="serial")
        else:
            text = printed(*"-m allcores run --force".split(), script, *args, cwd=cwd)
        outcomes.append((text, {path.name: path.read_bytes() for path in cwd.iterdir()}))
    assert outcomes[0][0]
    assert outcomes[0] == outcomes[1]


def test_all_are_here() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(SMALL)


@pytest.mark.parametrize("example", SMALL)
def test_the_same_with_and_without_workers(example: str, tmp_path: Path) -> None:
    check(example, SMALL[example], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("example", SMALL)
def test_the_same_at_full_size(example: str, tmp_path: Path) -> None:
    check(example, ["600", "image.pgm"] if example == "mandelbrot" else [], tmp_path)


@pytest.mark.parametrize(
    ("example", "header"),
    [
        ("cheatsheet", "for a, b in zip("),
        ("mandelbrot", "for j in range("),
        ("option_price", "for batch in parallel("),
        ("period_search", "for k, period in enumerate("),
        ("bootstrap", "for i in parallel("),
        ("text_stats", "for path in paths:"),
    ],
)
def test_the_main_loop_is_parallel(example: str, header: str, tmp_path: Path) -> None:
    """Otherwise an example would show nothing."""
    script = EXAMPLES / f"{example}.py"
    done = subprocess.run(
        [sys.executable, "-m", "allcores", "run", "--force", str(script), *SMALL[example]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    lines = script.read_text().splitlines()
    (number,) = (n for n, line in enumerate(lines, start=1) if line.strip().startswith(header))
    assert re.search(rf"{example}\.py:{number} .* times as fast on", done.stderr), done.stderr
