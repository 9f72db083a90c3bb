"""Iterations that use thread pools: whether they run here or in workers is found by trying both."""

from __future__ import annotations

import functools
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import allcores
from allcores import contest as module
from allcores import parallel
from allcores.contest import Contest
from allcores.loop import LoopReport, listeners
from allcores.sharers import may_share
from allcores.worth import Taste


@pytest.fixture(autouse=True)
def wide_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "widest_pool", lambda: 8)


class Simulated:
    """A loop of even iterations, run as entries run them, on a clock of its own.

    here, there: seconds an iteration takes natively, and in workers, all together; busy: cores that
    it uses here; at_best: what it would take in workers that do not get in each other's way.
    """

    def __init__(
        self,
        number: int,
        here: float,
        there: float,
        busy: float,
        workers: int,
        at_best: float | None = None,
    ) -> None:
        self.left, self.here, self.there, self.busy = number, here, there, busy
        self.at_best = there if at_best is None else at_best
        self.contest = Contest(workers)
        self.workers = workers
        self.seconds = 0.0
        self.moves: list[str] = []

    def run(self) -> Simulated:
        while self.left:
            self.run_here()
            if self.left:
                self.run_there()
        return self

    def run_here(self) -> None:
        self.moves.append("here")
        setattr(self.contest, "look", lambda: setattr(self.contest, "cores", self.busy))
        taste = Taste()
        while self.left:
            size = min(taste.size, self.left)
            alone = self.contest.alone
            seconds = size * (self.at_best * self.workers if alone else self.here)
            self.seconds += seconds
            self.left -= size
            self.contest.ran_here(size, seconds)
            calls = taste.calls_for_workers(size, seconds, self.left)
            if calls and self.left and not self.contest.stays_here(self.left):
                return

    def run_there(self) -> None:
        self.moves.append("workers")
        self.contest.goes_there()
        chunk = max(1, int(0.01 / (self.there * self.workers)))
        while self.left:
            # One chunk of each worker at about the same time.
            for k in range(self.workers):
                size = min(chunk, self.left)
                seconds = 0.0 if k else chunk * self.there * self.workers
                self.seconds += seconds
                self.left -= size
                if size and self.contest.lost_there(size, seconds, 0.0):
                    return


def test_products_that_workers_make_no_faster_are_made_here() -> None:
    loop = Simulated(100, here=0.03, there=0.035, busy=2.0, workers=2).run()
    assert loop.moves == ["here"]
    assert loop.seconds < 100 * 0.03 * 1.03
    assert loop.contest.winner == "here"


def test_workers_that_get_in_each_others_way_are_tried_and_given_up() -> None:
    loop = Simulated(100, here=0.03, there=0.035, busy=2.0, workers=2, at_best=0.018).run()
    assert loop.moves == ["here", "workers", "here"]
    assert loop.seconds < 100 * 0.03 * 1.03
    assert loop.contest.winner == "here"


def test_a_few_large_products_are_made_here_with_nothing_tried() -> None:
    loop = Simulated(20, here=0.3, there=0.25, busy=2.0, workers=2).run()
    assert loop.moves == ["here"]
    assert loop.seconds == pytest.approx(20 * 0.3)


def test_the_first_product_starts_the_pool_and_tells_nothing() -> None:
    contest = Contest(2)
    contest.ran_here(1, 0.002)
    assert contest.stays_here(1000, may_share=True)
    assert not contest.stays_here(1000, may_share=False)


def test_where_threads_only_wait_for_one_another_workers_are_faster() -> None:
    loop = Simulated(2000, here=0.002, there=0.0005, busy=2.0, workers=2).run()
    assert loop.moves == ["here", "workers"]
    assert loop.seconds < 2000 * 0.002 * 0.3
    assert loop.contest.winner == ""


def test_workers_that_were_faster_for_long_are_not_doubted() -> None:
    loop = Simulated(200, here=0.05, there=0.025, busy=2.0, workers=2).run()
    assert loop.moves == ["here", "workers"]
    assert loop.contest.winner == "workers"


def test_iterations_that_keep_one_core_busy_are_no_matter_for_this() -> None:
    loop = Simulated(200, here=0.01, there=0.02, busy=1.0, workers=2).run()
    assert loop.moves == ["here", "workers"]


def test_fewer_than_there_are_cores_are_left() -> None:
    loop = Simulated(5, here=0.2, there=0.4, busy=7.5, workers=8).run()
    assert loop.moves == ["here"]


def test_in_the_next_entry_it_is_known() -> None:
    assert Contest(2, "here").winner == "here"
    loop = Simulated(20, here=0.3, there=0.35, busy=2.0, workers=2)
    loop.contest = Contest(2, "here")
    assert loop.run().moves == ["here"]
    loop = Simulated(20, here=0.3, there=0.35, busy=2.0, workers=2)
    loop.contest = Contest(2, "workers")
    assert loop.run().moves == ["here", "workers"]


@pytest.mark.parametrize("number", [2, 3, 20, 100, 1000])
@pytest.mark.parametrize("here", [0.0005, 0.005, 0.05, 0.5])
@pytest.mark.parametrize("slowness", [0.3, 0.9, 1.0, 1.3, 2.0])
@pytest.mark.parametrize("workers", [2, 16])
@pytest.mark.parametrize("in_the_way", [1.0, 1.4])
def test_what_is_lost_by_trying(
    number: int, here: float, slowness: float, workers: int, in_the_way: float
) -> None:
    there = here * slowness
    loop = Simulated(number, here, there, 0.9 * workers, workers, there / in_the_way).run()
    a_round = max(here * slowness, 0.01 / workers) * workers
    lost = loop.seconds - number * here * min(slowness, 1.0)
    tried = max(module.ALONE_COSTS, module.SMALL_PART * number * here) + 0.04
    if slowness >= 1.0:
        again = (slowness - 1) * (module.TRIAL_SECONDS + a_round) + a_round / workers
        assert lost <= tried + again * ("workers" in loop.moves)
    elif loop.moves == ["here"]:
        # It was not worth finding out, or what could be saved is little.
        few = number < 20 * workers or lost < module.SAVED_SECONDS + tried
        assert few or slowness > module.PROMISING
        assert loop.seconds <= number * here + tried
    else:
        assert lost <= 4 * (tried + here) + a_round
    assert loop.moves.count("workers") <= 1


def named(text: str, **names: Any) -> bool:
    import ast

    return may_share(ast.parse(text), None, names)


class Model:
    def fit(self, x: Any) -> Any:
        return x @ x

    def length(self, x: Any) -> int:
        return len(x)


def product(x: Any) -> Any:
    return np.dot(x, x)


def indirectly(x: Any) -> Any:
    return [product(y) for y in x]


def plainly(x: Any) -> Any:
    return x + 1


def test_what_may_use_a_pool_by_its_names() -> None:
    with threadpool_limits(2):
        assert named("c = a @ b")
        assert named("c = np.linalg.svd(a)[0]", np=np)
        assert named("c = indirectly(a)", indirectly=indirectly)
        assert named("c = model.fit(a)", model=Model())
        assert named("c = f(a)", f=functools.partial(indirectly))
        assert may_share(None, Model().fit, {})
        assert not named("c = plainly(a) + np.sqrt(a)", plainly=plainly, np=np)
        assert not named("c = model.length(a)", model=Model())
        assert may_share(None, np.linalg.svd, {})
        assert not may_share(None, len, {})
        assert not may_share(None, SimpleNamespace(), {})
    with threadpool_limits(1):
        assert not named("c = a @ b")


def products(ours: bool, matrices: list[Any]) -> tuple[list[float], float]:
    traces = []
    began = time.perf_counter()
    for k in parallel(range(12)) if ours else range(12):
        product = matrices[k % 2] @ matrices[(k + 1) % 2]
        traces.append(product.trace())
    return traces, time.perf_counter() - began


def test_a_loop_of_matrix_products_is_not_slower() -> None:
    """With wide bounds, for other programs are running; bench/blas.py measures it."""
    rng = np.random.default_rng(1)
    matrices = [rng.normal(size=(600, 600)) for _ in range(2)]
    reports: list[LoopReport] = []
    listeners.append(reports.append)
    try:
        pairs = [(products(True, matrices), products(False, matrices)) for _ in range(4)]
    finally:
        listeners.remove(reports.append)
    for (ours, _), (plain, _) in pairs:
        assert np.allclose(ours, plain)
    assert min(a / b for (_, a), (_, b) in pairs) < 1.3


def trace_of_product(matrix: Any) -> float:
    return float((matrix @ matrix).trace())


@pytest.mark.parametrize("entry", range(2))
def test_a_map_of_matrix_products(entry: int) -> None:
    """A first call is made here, for it may use all cores by itself; all give the same results."""
    rng = np.random.default_rng(entry)
    matrices = [rng.normal(size=(300, 300)) for _ in range(20)]
    found = allcores.map(trace_of_product, matrices)
    assert np.allclose(found, [trace_of_product(matrix) for matrix in matrices])


class BackAndForth(Contest):
    """Sends a loop to workers, home again, and back, whatever is faster."""

    left_workers = 0

    def stays_here(self, left: int | None, may_share: bool = False) -> bool:
        return False

    def lost_there(self, count: int, seconds: float, reading: float) -> bool:
        self.left_workers += 1
        return self.left_workers == 3


def nap(x: int) -> int:
    time.sleep(0.002)
    return x * 3


def test_a_loop_that_comes_home_and_goes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("allcores.entry.looks.Contest", BackAndForth)
    reports: list[LoopReport] = []
    listeners.append(reports.append)
    out, total, seen = [], 0.0, {}
    try:
        for x in parallel(range(300), workers=2, on="fork"):
            y = nap(x)
            out.append(y)
            total += y / 7
            seen[x] = y
    finally:
        listeners.remove(reports.append)
    expected = 0.0
    for k in range(300):
        expected += 3 * k / 7
    assert out == [3 * k for k in range(300)]
    assert (x, y, total) == (299, 897, expected)
    assert seen == {k: 3 * k for k in range(300)}
    assert 0 < reports[0].in_workers < 300
    assert reports[0].iterations == 300


def test_a_map_that_comes_home_and_goes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("allcores.map_call.Contest", BackAndForth)
    assert allcores.map(nap, range(300), workers=2, on="fork") == [3 * k for k in range(300)]
