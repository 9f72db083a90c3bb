"""Every loop of `convert_cases`, rewritten for every target and run: it prints what it printed."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import pytest

from allcores.convert import convert
from convert_cases import CASES, line_of

TESTS = Path(__file__).parent
KINDS = {
    "fork": ["multiprocessing", "concurrent.futures"],
    "spawn": ["multiprocessing"],
    "forkserver": ["multiprocessing"],
    "joblib": ["joblib"],
    "dask": ["dask"],
    "ray": ["ray"],
}
NEEDS = {"joblib": "joblib", "dask": "distributed", "ray": "ray"}


@cache
def plain(name: str) -> str:
    """What the program prints as it is."""
    run = subprocess.run(
        [sys.executable, "-c", CASES[name]], capture_output=True, text=True, encoding="utf-8"
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def written(target: str, folder: Path, names: Iterable[str]) -> list[str]:
    """The cases converted for a target, each in a file."""
    paths = []
    for name in names:
        text = CASES[name]
        path = folder / f"{name}--{target.replace('.', '_')}.py"
        path.write_text(convert(text, line_of(text), target, name).text, encoding="utf-8")
        paths.append(str(path))
    return paths


def all_printed(kind: str, folder: Path) -> dict[str, str]:
    """What each case prints when it is converted, by the program's name."""
    paths = [path for target in KINDS[kind] for path in written(target, folder, CASES)]
    out = folder / "printed.json"
    run = subprocess.run(
        [sys.executable, str(TESTS / "convert_driver.py"), kind, str(out), *paths],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=100,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    found: dict[str, str] = json.loads(out.read_text(encoding="utf-8"))
    return found


def mpiexec() -> list[str]:
    path = shutil.which("mpiexec")
    if path is None:
        pytest.skip("there is no mpiexec here: install openmpi-bin or mpich (see .ci/mpi)")
    version = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
    if "Open MPI" in version or "OpenRTE" in version:
        return [path, "--allow-run-as-root", "--oversubscribe"]
    return [path]


def check(kind: str, folder: Path) -> None:
    needed = NEEDS.get(kind)
    if needed and importlib.util.find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed")
    found = all_printed(kind, folder)
    assert len(found) == len(CASES) * len(KINDS[kind]) >= 40
    wrong = {
        name: (plain(name.partition("--")[0]), text)
        for name, text in found.items()
        if text != plain(name.partition("--")[0])
    }
    assert not wrong


@pytest.mark.parametrize("kind", ["fork", "forkserver", "joblib"])
def test_every_loop_prints_the_same(kind: str, tmp_path: Path) -> None:
    check(kind, tmp_path)


@pytest.mark.parametrize("kind", ["spawn", "dask", "ray"])
def test_every_loop_prints_the_same_where_starting_takes_long(kind: str, tmp_path: Path) -> None:
    check(kind, tmp_path)


def check_mpi(names: Sequence[str], folder: Path) -> None:
    """Each program by an mpiexec of its own: the workers of one know one main module."""
    if importlib.util.find_spec("mpi4py") is None:
        pytest.skip("mpi4py is not installed")
    start = [*mpiexec(), "-n", "3", sys.executable, "-m", "mpi4py.futures"]
    for name, path in zip(names, written("mpi4py.futures", folder, names)):
        run = subprocess.run(
            [*start, path], capture_output=True, text=True, encoding="utf-8", timeout=60
        )
        assert (run.stdout, run.returncode) == (plain(name), 0), (name, run.stderr[-2000:])


SOME = ["recipe", "break", "best", "method", "print_first", "inner_loop", "dict_comprehension"]


def test_some_loops_print_the_same_under_mpi(tmp_path: Path) -> None:
    check_mpi(SOME, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_loop_prints_the_same_under_mpi(tmp_path: Path) -> None:
    check_mpi([name for name in CASES if name not in SOME], tmp_path)
