"""Threads of BLAS and OpenMP pools: workers times threads is the cores, and afterwards all is as before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from allcores import parallel
from allcores.engine import thread_limits as module
from allcores.engine.thread_limits import ThreadLimits, threads_each, widest_pool
from tests.same import forced


def threads() -> list[int]:
    """How many threads each pool of this process may use now."""
    return [pool["num_threads"] for pool in threadpool_info()]


@pytest.fixture(autouse=True)
def two_threads_each() -> Iterator[None]:
    """Pools with two threads, also where there is one core."""
    with threadpool_limits(2):
        assert set(threads()) == {2}
        yield
        assert set(threads()) == {2}, "the limit of the loop stayed"


def test_workers_times_threads_is_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "usable_cores", lambda: 8)
    assert [threads_each(n) for n in (1, 2, 3, 4, 5, 8, 9, 100)] == [8, 4, 2, 2, 1, 1, 1, 1]


def test_a_loop_of_fewer_items_than_cores_leaves_each_worker_more_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "usable_cores", lambda: 8)
    inside = []
    with forced():
        for number in (4, 8):
            for i in parallel(range(number), workers=8, on="fork"):
                inside.append((i * 1, max(threads())))
    assert [most for _, most in inside] == [2] * 4 + [1] * 8


def limited_loop(end: str) -> None:
    inside = []
    with forced():
        for i in parallel(range(40), workers=2, chunk=1, on="fork"):
            inside.append((i * np.ones(3).sum(), set(threads())))
            if i == 20 and end == "break":
                break
            if i == 20 and end == "raise":
                raise ValueError(end)
            if i == 20 and end == "interrupt":
                signal.raise_signal(signal.SIGINT)
    limited = [counts for _, counts in inside[:20]]
    assert limited == [{max(1, module.usable_cores() // 2)}] * 20


@pytest.mark.parametrize(
    ("end", "raised"),
    [("", None), ("break", None), ("raise", ValueError), ("interrupt", KeyboardInterrupt)],
)
def test_the_limit_ends_with_the_loop_however_that_ends(
    end: str, raised: type[BaseException] | None
) -> None:
    if raised is None:
        limited_loop(end)
    else:
        with pytest.raises(raised):
            limited_loop(end)
    assert module.thread_limits.holders == 0


def test_clean_interpreters_have_their_part_of_the_cores_from_the_first_item_on() -> None:
    counts: list[int] = []
    with forced():
        for i in parallel(range(8), workers=2, on="fresh", strict=True):
            counts.append(max(threads()) + 0 * int(np.ones(i).sum()))
    assert counts == [min(2, max(1, module.usable_cores() // 2))] * 8


def test_two_loops_at_once_hold_one_limit() -> None:
    limits = ThreadLimits()
    assert limits.hold(100)
    assert limits.hold(100)
    limits.let_go()
    assert set(threads()) == {1}
    limits.let_go()
    assert set(threads()) == {2}


def test_many_threads_that_hold_and_let_go() -> None:
    # The fixture's limit was set by the main thread, and threadpoolctl would leave others none.
    limits = ThreadLimits()
    wrong: list[Any] = []

    def hold_often() -> None:
        for _ in range(30):
            held = limits.hold(100)
            if not held or set(threads()) != {1}:
                wrong.append((held, threads()))
            limits.let_go()

    several = [threading.Thread(target=hold_often) for _ in range(4)]
    for thread in several:
        thread.start()
    for thread in several:
        thread.join()
    assert not wrong
    assert limits.holders == 0
    assert set(threads()) == {2}


def test_a_limit_of_the_programs_own_that_is_narrower_is_left_alone() -> None:
    with threadpool_limits(1):
        assert widest_pool() == 1
        assert not ThreadLimits().hold(100)


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_fork_while_another_thread_holds_the_lock() -> None:
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with module.thread_limits.lock:
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    pid = os.fork()
    if pid == 0:
        with module.thread_limits.held(100):
            os._exit(7)
    _, status = os.waitpid(pid, 0)
    done.set()
    thread.join()
    assert os.waitstatus_to_exitcode(status) == 7


def test_a_clean_interpreter_limits_what_it_loads_later() -> None:
    script = """
import sys
from allcores.engine.thread_limits import limit_this_worker
limit_this_worker(1)
assert "threadpoolctl" not in sys.modules, "nothing is loaded that has a pool"
import numpy
from threadpoolctl import threadpool_info
limit_this_worker(1)
print([pool["num_threads"] for pool in threadpool_info()])
"""
    given = {**os.environ, "OPENBLAS_NUM_THREADS": "2"}
    told = subprocess.run(
        [sys.executable, "-c", script], env=given, capture_output=True, text=True, check=True
    )
    assert told.stdout == "[1]\n"


def test_looking_for_pools_leaves_the_environment_alone() -> None:
    script = """
import os
before = dict(os.environ)
import numpy
from allcores.engine.thread_limits import widest_pool
assert widest_pool() == 2
print(before == dict(os.environ))
"""
    given = {n: v for n, v in os.environ.items() if n != "KMP_DUPLICATE_LIB_OK"}
    told = subprocess.run(
        [sys.executable, "-c", script],
        env={**given, "OPENBLAS_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "True\n"


def test_numexpr_has_a_pool_that_threadpoolctl_does_not_know() -> None:
    numexpr = pytest.importorskip("numexpr")
    before = numexpr.set_num_threads(2)
    limits = ThreadLimits()
    try:
        assert limits.hold(100)
        assert numexpr.get_num_threads() == 1
        limits.let_go()
        assert numexpr.get_num_threads() == 2
    finally:
        numexpr.set_num_threads(before)
