"""Where iterations run: in workers while that pays, and here when it does not, whatever came before."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import pytest

import allcores
from allcores import ParallelWarning, loop, parallel
from tests.same import forced

TINY, HEAVY = 0, 300e-6


@pytest.fixture(autouse=True)
def two_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLCORES_WORKERS", "2")


def spend(seconds: float) -> float:
    """Compute for so long."""
    end = time.perf_counter() + seconds
    while seconds and time.perf_counter() < end:
        pass
    return seconds


def spend_all(items: list[float]) -> list[float]:
    results = []
    for x in parallel(items):
        results.append(spend(x))
    return results


def spend_mapped(items: list[float]) -> list[float]:
    return allcores.map(spend, items)


@pytest.fixture(params=[spend_all, spend_mapped])
def run(request: pytest.FixtureRequest) -> Callable[[list[float]], list[float]]:
    made: Callable[[list[float]], list[float]] = request.param
    return made


class Here:
    """Counts the calls of `spend` in this process."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, seconds: float) -> float:
        self.count += 1
        return spend(seconds)


def calls_here(items: list[float]) -> int:
    here = Here()
    assert allcores.map(here, items) == items
    return here.count


def in_workers(
    reports: list[loop.LoopReport], items: list[float], low: int, high: int, tries: int = 5
) -> bool:
    """Whether so many iterations run in workers, in one of some tries: others use the machine too."""
    for _ in range(tries):
        assert spend_all(items) == items
        assert reports[-1].iterations == len(items)
        if low < reports[-1].in_workers < high:
            return True
    return False


@pytest.mark.slow  # a matter of times, which other programs on the machine change
def test_a_few_tiny_iterations_say_nothing_of_many(reports: list[loop.LoopReport]) -> None:
    for count in (10, 10):
        assert spend_all([TINY] * count) == [TINY] * count
    assert in_workers(reports, [TINY] * 200_000, -1, 20_000)


@pytest.mark.slow  # a matter of times, which other programs on the machine change
def test_workers_are_left_when_iterations_turn_out_tiny(reports: list[loop.LoopReport]) -> None:
    assert in_workers(reports, [HEAVY] * 300 + [TINY] * 400_000, 100, 200_000)


@pytest.mark.slow  # a matter of times, which other programs on the machine change
def test_iterations_that_grow_heavy_late_get_workers(reports: list[loop.LoopReport]) -> None:
    assert in_workers(reports, [TINY] * 300_000 + [HEAVY / 4] * 12_000, 2_000, 400_000)


@pytest.mark.slow  # a matter of times, which other programs on the machine change
def test_from_workers_home_and_back(reports: list[loop.LoopReport]) -> None:
    items = [HEAVY] * 400 + [TINY] * 400_000 + [HEAVY / 4] * 12_000
    assert in_workers(reports, items, 2_000, 300_000)


@pytest.mark.slow  # a matter of times, which other programs on the machine change
@pytest.mark.parametrize("kind", [list, tuple, iter])
def test_map_leaves_workers_when_items_turn_out_tiny(kind: Callable[[list[float]], object]) -> None:
    items = [HEAVY] * 300 + [TINY] * 200_000 + [HEAVY] * 300
    here = Here()
    assert allcores.map(here, kind(items)) == items  # type: ignore[arg-type]
    assert 100_000 < here.count < len(items) - 200


def test_map_over_a_few_tiny_items_says_nothing_of_many() -> None:
    for count in (10, 10, 100_000):
        here = calls_here([TINY] * count)
    assert here > 80_000


def test_every_result_is_there_wherever_it_was_made(
    run: Callable[[list[float]], list[float]],
) -> None:
    items = [float(k) * 1e-12 + (HEAVY if k % 5_000 < 200 else TINY) for k in range(20_000)]
    assert run(items) == items


def test_a_dict_that_changes_while_it_is_run_over() -> None:
    table = {k: k for k in range(5)}
    changed = pytest.raises(RuntimeError, match="changed size")
    with pytest.warns(ParallelWarning, match="`table`"), changed:
        for k in parallel(table.keys()):
            table.pop(k)
            spend(TINY)
    assert table == {1: 1, 2: 2, 3: 3, 4: 4}


def test_a_list_that_grows_while_it_is_run_over() -> None:
    items = [0.0]
    for x in parallel(items):
        if len(items) < 5:
            items.append(x + 1)
    assert items == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_a_dict_that_the_mapped_function_changes() -> None:
    table = {k: k for k in range(5)}
    with pytest.raises(RuntimeError, match="changed size"):
        allcores.map(table.pop, table.keys(), on="serial")
    assert table == {1: 1, 2: 2, 3: 3, 4: 4}


def test_workers_are_left_where_sending_takes_longer_than_working(
    reports: list[loop.LoopReport],
) -> None:
    results = []
    for item in parallel(bytes(200_000) for _ in range(20_000)):
        results.append(item[:10].count(0) + spend(20e-6))
    assert len(results) == 20_000
    assert reports[-1].in_workers < 15_000


def test_one_long_wait_does_not_send_workers_away(reports: list[loop.LoopReport]) -> None:
    items = [HEAVY / 3] * 500 + [0.3] + [HEAVY / 3] * 3_000
    results = []
    for x in parallel(items):
        results.append(spend(x))
    assert results == items
    assert reports[-1].in_workers > 2_500


def test_a_first_loop_waits_for_no_import() -> None:
    code = """
import sys, allcores
before = set(sys.modules)
out = []
for x in allcores.parallel(range(1000)):
    out.append(x * x)
print([name for name in set(sys.modules) - before if name.startswith("allcores")])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n", done.stderr


def test_iterations_that_are_left_to_the_plain_loop_are_counted(
    reports: list[loop.LoopReport],
) -> None:
    grid = [[j, j + 1] for j in range(8)]
    seen = []
    with forced(), pytest.warns(ParallelWarning):
        for i, (a, b) in parallel(enumerate(grid)):
            seen.append(a + b + i)
            r = grid
            r += []
    assert reports[-1].iterations == len(seen)


def test_tiny_items_of_a_generator_stay_here(reports: list[loop.LoopReport]) -> None:
    out: list[int] = []
    for x in parallel(k for k in range(20_000)):
        out.append(x * x + 1)
    for x in parallel(k for k in range(20_000)):
        out.append(x * x + 2)
    for x in parallel(k for k in range(20_000)):
        out.append(x * x + 3)
    assert out == [k * k + n for n in (1, 2, 3) for k in range(20_000)]
    # Three loops that nothing is known of: what one look sees may be other programs' work.
    assert any(report.in_workers == 0 for report in reports), reports
