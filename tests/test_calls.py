"""Calls are followed: what called code changes is found by reading it, and nothing else is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from allcores.build.watch import Watch
from tests.hidden_writes import BEYOND, CLEAN, FOUND
from tests.same import assert_same, difference, forced, run


@pytest.mark.parametrize("name", FOUND)
def test_reading_finds_what_is_changed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = FOUND[name].lstrip()
    monkeypatch.setattr(Watch, "change", lambda _: None)
    outcome = run(source, False)
    assert difference(run(source, True), outcome) is None, (outcome.warned, outcome.reports)
    assert not any("a bug of allcores" in text for text in outcome.warned), outcome.warned


@pytest.mark.parametrize("name", BEYOND)
def test_the_watch_finds_what_reading_does_not(name: str) -> None:
    assert_same(BEYOND[name].lstrip(), places=("module",))


@pytest.mark.parametrize("name", CLEAN)
def test_nothing_is_taken_for_a_change(name: str) -> None:
    assert_same(CLEAN[name].lstrip(), "parallel", places=("module",))


IN_A_FUNCTION = """\
import atexit, csv, gc, importlib, logging, socket, string, sys, warnings
seen = []
def f(x):
    {change}
    return x * x
{reset}
out = []
for x in parallel(range(9)):
    out.append(f(x))
left = {look}
{reset}
"""
SETTINGS = {
    "csv.field_size_limit(1000 + x)": ("csv.field_size_limit(9)", "csv.field_size_limit()"),
    "gc.set_threshold(700 + x)": ("gc.set_threshold(700)", "gc.get_threshold()"),
    "socket.setdefaulttimeout(10 + x)": (
        "socket.setdefaulttimeout(None)",
        "socket.getdefaulttimeout()",
    ),
    "warnings.filterwarnings('ignore', str(x))": (
        "warnings.filters[:] = warnings.filters[-3:]",
        "len(warnings.filters)",
    ),
    "sys.setswitchinterval(0.005 + x / 1e5)": (
        "sys.setswitchinterval(0.005)",
        "round(sys.getswitchinterval(), 6)",
    ),
    "logging.disable(x)": ("logging.disable(0)", "logging.root.manager.disable"),
    "importlib.import_module('string').n = x": ("string.n = 0", "string.n"),
    "eval('seen.append(x)')": ("seen.clear()", "list(seen)"),
    "atexit.register(seen.append, x)": ("atexit.unregister(seen.append)", "0"),
    "gc.disable() if x > 4 else gc.enable()": ("gc.enable()", "gc.isenabled()"),
}


@pytest.mark.parametrize("change", SETTINGS)
def test_what_is_set_for_the_whole_process_in_a_function_is_set_here(change: str) -> None:
    reset, look = SETTINGS[change]
    source = IN_A_FUNCTION.format(change=change, reset=reset, look=look)
    assert_same(source, places=("module",))
    assert run(source, False).warned


def test_the_warning_names_the_way_to_the_change(tmp_path: Path) -> None:
    """Through a function, a method and another module, to the file and line of the write."""
    (tmp_path / "kept.py").write_text("KEPT = {}\n\ndef keep(x):\n    KEPT[x] = x\n    return x\n")
    (tmp_path / "prog.py").write_text(
        "from allcores import parallel\n"
        "import kept\n"
        "class Model:\n"
        "    def step(self, x): return kept.keep(x) * 2\n"
        "def f(m, x): return m.step(x) + 1\n"
        "m, out = Model(), []\n"
        "for x in parallel(range(9)):\n"
        "    out.append(f(m, x))\n"
    )
    with forced():
        done = subprocess.run(
            [sys.executable, "prog.py"], cwd=tmp_path, capture_output=True, text=True, check=True
        )
    assert "prog.py:7: ParallelWarning" in done.stderr
    way = "`f` (line 5) changes `kept.KEPT`: f → Model.step → keep → kept.py:4"
    assert way in done.stderr, done.stderr
