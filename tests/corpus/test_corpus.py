"""The corpus runner itself, and the smallest package of the corpus."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tests.corpus import suite
from tests.corpus.cache import Missing
from tests.corpus.packages import PACKAGES, Package
from tests.corpus.run import check, compare

TESTS = """\
    import os, signal, sys, time

    def test_knows_where_it_runs():
        print("traced" if "allcores" in sys.modules else "plain")

    def test_fails():
        assert 1 + 1 == 3

    def test_ends_the_process():
        os.kill(os.getpid(), signal.SIGKILL)

    def test_hangs():
        time.sleep(60)

    def test_loops():
        squares = []
        for x in range(20):
            squares.append(x * x)
        assert squares == [x * x for x in range(20)]
    """


@pytest.mark.slow
def test_a_run_names_the_tests_that_hang_or_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite, "PATIENCE", 4.0)
    source = tmp_path / "package" / "source"
    source.mkdir(parents=True)
    (source / "test_it.py").write_text(textwrap.dedent(TESTS))
    package = Package("it", "1", ("test_it.py",), (".",))
    forced = suite.run_suite(package, tmp_path / "package", tmp_path / "work", True, 1)
    came_to = {test.partition("::")[2]: each["outcome"] for test, each in forced.outcomes.items()}
    assert came_to == {
        "test_knows_where_it_runs": "passed",
        "test_fails": "{'passed': 2, 'failed': 1}",
        "test_ends_the_process": "dies",
        "test_hangs": "hangs",
        "test_loops": "passed",
    }
    assert [(loop["line"], loop["in_workers"]) for loop in forced.loops] == [(17, 20)]


def test_a_difference_is_named_and_a_test_that_is_never_the_same_is_left_out() -> None:
    def outcomes(**came_to: str) -> suite.Outcomes:
        return {test: {"outcome": each, "output": "x"} for test, each in came_to.items()}

    plain = outcomes(a="passed", b="passed", c="failed", d="passed")
    again = outcomes(a="passed", b="passed", c="passed", d="passed")
    forced = outcomes(a="passed", b="failed", c="passed")
    found = compare(plain, again, forced)
    assert found.compared == 2
    assert found.left_out == ["c"]
    assert found.differences == [
        "b: outcome 'passed', in workers 'failed'\n        missing",
        "1 tests were not reached, the first is d",
    ]
    forced["a"]["output"] = "y"
    assert compare(plain, again, forced).differences[0] == "a: output 'x', in workers 'y'"


@pytest.mark.slow
def test_toolz(tmp_path: Path) -> None:
    try:
        row, found = check(next(p for p in PACKAGES if p.name == "toolz"), tmp_path)
    except Missing as error:
        pytest.skip(f"toolz cannot be had: {error}")
    assert found.differences == []
    assert found.compared > 200
    assert int(row[6]) > 10  # loops that ran in workers
