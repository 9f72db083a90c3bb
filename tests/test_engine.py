"""The engine on its own: order, what stops an iteration, deaths, and what is left behind."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from allcores.engine.failures import WorkerDied
from allcores.engine.job import LEFT, Cut
from allcores.engine.schedule import WINDOW, Batch, Halt, Run
from allcores.engine.source import Indexed, Streamed


class Work:
    """The simplest job."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self.work = work

    def enter_worker(self) -> None: ...

    def before_chunk(self) -> None: ...

    def after_chunk(
        self, results: list[Any], last: bool, cut: Cut | None
    ) -> tuple[Any, Cut | None]:
        return ("last" if last else None), None

    def lighten(self, extra: Any, empty: bool) -> Any:
        return None


SOURCES = {"indexed": Indexed, "streamed": lambda items: Streamed(iter(items))}


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest) -> Any:
    return SOURCES[request.param]


@contextlib.contextmanager
def going(work: Callable[[Any], Any], source: Any, **settings: Any) -> Iterator[Run]:
    run = Run(Work(work), source, **{"workers": 2, **settings})
    try:
        yield run
    finally:
        run.close()


def parent_of(pid: str) -> int:
    try:
        return int(Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return -1


def children() -> set[int]:
    pids = [p for p in os.listdir("/proc") if p.isdigit()]
    return {int(p) for p in pids if parent_of(p) == os.getpid()}


def descriptors() -> set[tuple[str, str]]:
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.add((fd, os.readlink(f"/proc/self/fd/{fd}")))
    return found


@pytest.fixture(autouse=True)
def _leaves_nothing() -> Iterator[None]:
    before, kids = descriptors(), children()
    yield
    assert children() <= kids
    assert descriptors() - before == set()


def story(run: Iterator[Batch | Halt]) -> tuple[list[Any], list[tuple[int, str]]]:
    """All results by index order, and the halts; checks that nothing is left out or given twice."""
    results: list[Any] = []
    halts: list[tuple[int, str]] = []
    for step in run:
        if isinstance(step, Halt):
            assert step.place == len(results)
            halts.append((step.place, step.kind))
            results.append(step)
        else:
            assert step.start == len(results)
            assert len(step.items) == len(step.results) > 0
            results += step.results
    return results, halts


def square(x: int) -> int:
    return x * x


# -- order


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("chunk", [None, 1, 7, 1000])
def test_results_come_in_order(source: Any, workers: int, chunk: int | None) -> None:
    with going(square, source(range(300)), workers=workers, chunk=chunk) as run:
        assert story(run) == ([x * x for x in range(300)], [])


def test_a_slow_first_iteration_holds_back_the_others(source: Any, tmp_path: Path) -> None:
    def work(x: int) -> int:
        if x == 0:
            wait_for(lambda: (tmp_path / "9").exists())
        (tmp_path / str(x)).touch()
        return x

    with going(work, source(range(20)), chunk=1) as run:
        assert story(run) == (list(range(20)), [])


def test_batches_hold_the_items_and_the_last_one_says_so(source: Any) -> None:
    with going(square, source([3, 1, 2, 5, 4]), chunk=2) as run:
        batches = list(run)
    assert [list(b.items) for b in batches] == [[3, 1], [2, 5], [4]]
    assert [(b.last, b.extra) for b in batches] == [(False, None), (False, None), (True, "last")]


def test_chunk_sets_how_many_iterations_go_together(source: Any) -> None:
    with going(square, source(range(10)), chunk=4) as run:
        assert [len(b.items) for b in run] == [4, 4, 2]


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_work_is_done_elsewhere_by_no_more_than_the_workers_asked_for(
    source: Any, workers: int
) -> None:
    with going(lambda x: os.getpid(), source(range(50)), workers=workers, chunk=1) as run:
        pids = set(story(run)[0])
    assert os.getpid() not in pids
    assert 1 <= len(pids) <= workers


def test_nothing_to_do(source: Any) -> None:
    with going(square, source([])) as run:
        assert list(run) == []
        assert list(run) == []


def test_a_single_item(source: Any) -> None:
    with going(square, source([7])) as run:
        assert story(run) == ([49], [])


def test_more_workers_than_items(source: Any) -> None:
    with going(square, source([1, 2, 3]), workers=9) as run:
        assert story(run) == ([1, 4, 9], [])


def test_an_indexed_run_makes_no_more_workers_than_there_are_items() -> None:
    with going(square, Indexed([1, 2, 3]), workers=9) as run:
        next(run)
        assert len(children()) <= 3


def test_a_short_run_does_not_make_all_the_workers_it_may(source: Any) -> None:
    with going(square, source(range(2000)), workers=200) as run:
        assert max(len(children()) for _ in run) < 50


def test_a_long_run_makes_all_the_workers_it_may(tmp_path: Path) -> None:
    def work(x: int) -> int:
        (tmp_path / str(x)).touch()
        wait_for(lambda: len(list(tmp_path.iterdir())) == 20)
        return x

    with going(work, Indexed(range(20)), workers=20) as run:
        assert story(run) == (list(range(20)), [])


def test_a_run_that_nobody_starts_makes_no_worker(source: Any) -> None:
    with going(square, source([1])):
        assert children() == set()


# -- what workers cannot finish


def stops(x: int) -> Any:
    if x == 3:
        raise ValueError("three")
    if x == 5:
        return LEFT
    if x == 8:
        return lambda: None
    return x


@pytest.mark.parametrize("chunk", [None, 1, 2, 4, 50])
def test_halts_name_what_stopped_and_the_rest_goes_on(source: Any, chunk: int | None) -> None:
    with going(stops, source(range(40)), chunk=chunk) as run:
        results, halts = story(run)
    # One result that cannot travel may cost its whole chunk, whose iterations halt one by one.
    assert [h for h in halts if h[1] != "unshippable"] == [(3, "raised"), (5, "left")]
    stuck = [i for i, kind in halts if kind == "unshippable"]
    assert stuck == list(range(stuck[0], 9))
    assert [r.item if isinstance(r, Halt) else r for r in results] == list(range(40))


def test_a_raised_halt_tells_of_the_exception(source: Any) -> None:
    with going(stops, source(range(5)), chunk=1) as run:
        [halt] = [step for step in run if isinstance(step, Halt)]
    assert (halt.place, halt.item, halt.detail) == (3, 3, "builtins.ValueError")
    assert "ValueError: three" in halt.text
    assert "in stops" in halt.text
    assert "crew.py" not in halt.text


def test_an_unshippable_halt_says_what_it_was(source: Any) -> None:
    with going(lambda x: lambda: x, source([1]), chunk=1) as run:
        [halt] = list(run)
    assert halt.kind == "unshippable"
    assert "function" in halt.text


def test_every_iteration_halts(source: Any) -> None:
    with going(lambda x: 1 / 0, source(range(25)), chunk=6) as run:
        assert story(run)[1] == [(i, "raised") for i in range(25)]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration])
def test_every_kind_of_exception_is_a_halt(source: Any, error: type[BaseException]) -> None:
    def work(x: int) -> int:
        if x == 2:
            raise error
        return x

    with going(work, source(range(5)), chunk=1) as run:
        assert story(run)[1] == [(2, "raised")]


class Explodes:
    """Can be pickled, but not unpickled."""

    def __reduce__(self) -> Any:
        return int, ("no number",)


def test_a_result_that_cannot_be_unpickled_is_a_halt(source: Any) -> None:
    with going(lambda x: Explodes() if x == 2 else x, source(range(6)), chunk=2) as run:
        assert (2, "unshippable") in story(run)[1]


def test_an_item_that_cannot_be_pickled_is_a_halt_of_its_own() -> None:
    items = [0, 1, lambda: 2, 3, 4, lambda: 5, 6]
    with going(lambda x: x, Streamed(iter(items)), chunk=4) as run:
        results, halts = story(run)
    assert halts == [(2, "unshippable"), (5, "unshippable")]
    assert [r.item if isinstance(r, Halt) else r for r in results] == items


def test_workers_hold_an_indexed_source_whatever_is_in_it() -> None:
    items = [lambda: 1, lambda: 2]
    with going(lambda f: f(), Indexed(items), chunk=1) as run:
        assert story(run) == ([1, 2], [])


# -- the rest


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_rest_gives_all_that_was_not_given(source: Any, steps: int) -> None:
    with going(square, source(range(100)), chunk=3) as run:
        given = [x for _ in range(steps) for x in next(run).items]
        assert [*given, *run.rest()] == list(range(100))
        assert children() == set()


def test_rest_after_a_halt_begins_behind_it(source: Any) -> None:
    with going(stops, source(range(30)), chunk=4) as run:
        while not isinstance(next(run), Halt):
            pass
        assert list(run.rest()) == list(range(4, 30))


def test_rest_reads_a_stream_lazily() -> None:
    read: list[int] = []

    def numbers() -> Iterator[int]:
        for i in range(10_000):
            read.append(i)
            yield i

    with going(square, Streamed(numbers()), chunk=1) as run:
        next(run)
        rest = run.rest()
        before = len(read)
        assert [next(rest) for _ in range(5)] == [1, 2, 3, 4, 5]
        assert len(read) <= before + 5


# -- streams


def test_a_generator_that_raises_gives_all_before_it_first() -> None:
    def numbers() -> Iterator[int]:
        yield from range(23)
        raise OSError("torn")

    results: list[int] = []
    with going(square, Streamed(numbers()), chunk=4) as run:
        with pytest.raises(OSError, match="torn"):
            for batch in run:
                results += batch.results
    assert results == [x * x for x in range(23)]


def test_a_generator_that_raises_at_once() -> None:
    def numbers() -> Iterator[int]:
        raise OSError("torn")
        yield

    with going(square, Streamed(numbers())) as run, pytest.raises(OSError, match="torn"):
        next(run)


def test_what_a_generator_raises_also_ends_the_rest() -> None:
    def numbers() -> Iterator[int]:
        yield from range(5)
        raise OSError("torn")

    got: list[int] = []
    with going(square, Streamed(numbers()), chunk=1) as run:
        got += next(run).items
        with pytest.raises(OSError, match="torn"):
            for x in run.rest():
                got.append(x)
    assert got == list(range(5))


@pytest.mark.parametrize("chunk", [1, 5])
def test_a_stream_is_read_no_more_than_a_window_ahead(chunk: int) -> None:
    read = 0

    def endless() -> Iterator[int]:
        nonlocal read
        while True:
            yield read
            read += 1

    done, furthest = 0, 0
    with going(square, Streamed(endless()), chunk=chunk) as run:
        for batch in run:
            done += len(batch.results)
            furthest = max(furthest, read + 1 - done)
            if done >= 1000:
                break
    assert furthest <= (WINDOW * 2 + 1) * chunk + 1


def test_items_that_take_long_to_make_are_given_before_many_more_are_read() -> None:
    made = 0

    def slowly() -> Iterator[int]:
        nonlocal made
        while True:
            time.sleep(0.02)
            made += 1
            yield made

    with going(square, Streamed(slowly())) as run:
        given: list[Any] = []
        while len(given) < 20:
            batch = next(run)
            assert isinstance(batch, Batch)
            given += batch.results
            # Chunks are of one item, and there are no more of them than the window has.
            assert made <= len(given) + 2 * WINDOW + 2


def test_a_stuck_iteration_stops_the_reading_of_a_stream(tmp_path: Path) -> None:
    read: list[int] = []

    def work(x: int) -> int:
        if x == 0:
            wait_for((tmp_path / "go").exists)
        return x

    def numbers() -> Iterator[int]:
        for i in range(500):
            read.append(i)
            if i == 20:
                (tmp_path / "go").touch()
            yield i

    with going(work, Streamed(numbers()), chunk=1) as run:
        next(run)
        assert len(read) <= WINDOW * 2 + 2
        assert len(story_from(run, 1)) == 499


def story_from(run: Run, start: int) -> list[Any]:
    results: list[Any] = []
    for step in run:
        assert isinstance(step, Batch)
        assert step.start == start + len(results)
        results += step.results
    return results


# -- the end


def test_close_leaves_no_worker_in_the_middle_of_an_iteration(tmp_path: Path) -> None:
    def work(x: int) -> int:
        if x > 0:
            (tmp_path / "stuck").touch()
            wait_for(lambda: False)
        return x

    with going(work, Indexed(range(8)), chunk=1) as run:
        next(run)
        wait_for((tmp_path / "stuck").exists)
        kids = children()
        assert kids
        run.close()
        assert children() & kids == set()
        run.close()
        assert list(run) == []


def test_a_dropped_run_takes_its_workers_along() -> None:
    run = Run(Work(square), Indexed(range(1000)), workers=2, chunk=1)
    next(run)
    assert children()
    del run
    assert children() == set()


def test_workers_go_when_all_is_done(source: Any) -> None:
    with going(square, source(range(10))) as run:
        list(run)
        assert children() == set()


def test_many_runs_one_after_another_leave_nothing(source: Any) -> None:
    for n in range(12):
        with going(square, source(range(n)), chunk=2) as run:
            assert story(run)[0] == [x * x for x in range(n)]


# -- deaths


def die_once(mark: Path, how: Callable[[], Any]) -> None:
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return
    how()


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


DEATHS = {"killed": killed, "left": lambda: os._exit(3)}


@pytest.mark.parametrize("how", DEATHS)
@pytest.mark.parametrize("chunk", [1, 4, 40])
def test_one_death_is_made_good(source: Any, tmp_path: Path, chunk: int, how: str) -> None:
    def work(x: int) -> int:
        if x == 7:
            die_once(tmp_path / "dead", DEATHS[how])
        return x

    with going(work, source(range(40)), chunk=chunk) as run:
        assert story(run) == (list(range(40)), [])
    assert (tmp_path / "dead").exists()


def test_every_iteration_may_lose_a_worker_once(source: Any, tmp_path: Path) -> None:
    def work(x: int) -> int:
        die_once(tmp_path / str(x), killed)
        return x

    with going(work, source(range(12)), chunk=3) as run:
        assert story(run) == (list(range(12)), [])


@pytest.mark.parametrize("how, words", [("killed", "SIGKILL"), ("left", "code 3")])
@pytest.mark.parametrize("chunk", [1, 4, 40])
@pytest.mark.parametrize("at", [0, 7, 39])
def test_two_deaths_are_an_error_that_names_the_iteration(
    source: Any, chunk: int, how: str, words: str, at: int
) -> None:
    def work(x: int) -> int:
        if x == 100 + at:
            DEATHS[how]()
        return x

    with going(work, source(range(100, 140)), chunk=chunk) as run:
        results, halts = story(run)
    assert halts == [(at, "died")]
    error = results.pop(at).error
    assert results == [100 + x for x in range(40) if x != at]
    assert type(error) is WorkerDied
    assert f"iteration {at} (item {100 + at}), twice" in str(error)
    assert words in str(error)
    assert f"The {at} iterations before it are over" in str(error)


def test_a_worker_killed_while_it_waits_is_replaced(source: Any) -> None:
    with going(square, source(range(60)), chunk=1) as run:
        got = list(next(run).results)
        for kid in children():
            os.kill(kid, signal.SIGKILL)
        assert [*got, *story_from(run, len(got))] == [x * x for x in range(60)]


class Fatal:
    """Ends the process that pickles it, as running out of memory there does."""

    def __reduce__(self) -> Any:
        os._exit(9)


def test_a_worker_that_dies_packing_its_results_does_not_hang_the_loop(tmp_path: Path) -> None:
    check = """
        run = Run(Work(lambda x: Fatal() if x == 5 else x), Indexed(range(10)), workers=2, chunk=2)
        try:
            raise [e.error for e in run if isinstance(e, Halt)][0]
        except WorkerDied as e:
            print("died", e)
        """
    assert "died" in alone(check, tmp_path)


def test_a_worker_that_dies_on_entering_does_not_hang_the_loop(tmp_path: Path) -> None:
    check = """
        job = Work(square)
        job.enter_worker = lambda: os._exit(4)
        run = Run(job, Indexed(range(10)), workers=2, chunk=2)
        try:
            raise [e.error for e in run if isinstance(e, Halt)][0]
        except (WorkerDied, OSError) as e:
            print("died", e)
        """
    assert "died" in alone(check, tmp_path)


def alone(check: str, directory: Path) -> str:
    """Run a check in a process of its own, so that a hang ends after some seconds."""
    import subprocess
    import sys
    import textwrap

    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    code += "from test_engine import *\n" + textwrap.dedent(check)
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
    ) as process:
        try:
            return process.communicate(timeout=3)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return "hangs"


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Look again and again; on a deadline, fail."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.001)


# -- big results


@pytest.mark.parametrize("kilobytes", [8, 256, 3000])
def test_arrays_come_back_equal_and_writable(source: Any, kilobytes: int) -> None:
    np = pytest.importorskip("numpy")

    def work(x: int) -> Any:
        return np.arange(kilobytes * 128, dtype=np.float64) + x

    with going(work, source(range(6)), chunk=2) as run:
        arrays, halts = story(run)
    assert halts == []
    for x, array in enumerate(arrays):
        assert array.flags.writeable
        assert np.array_equal(array, work(x))
        array += 1
    assert [a[0] for a in arrays] == [1, 2, 3, 4, 5, 6]


def test_big_results_outlive_the_run() -> None:
    np = pytest.importorskip("numpy")
    with going(lambda x: np.full(100_000, x), Indexed(range(4)), chunk=1) as run:
        arrays = story(run)[0]
    assert [int(a.sum()) for a in arrays] == [0, 100_000, 200_000, 300_000]


def test_big_bytes_and_items_travel(source: Any) -> None:
    items = [bytes([i]) * 1_500_000 for i in range(8)]
    with going(lambda b: b + b"!", source(items), chunk=1) as run:
        assert story(run)[0] == [b + b"!" for b in items]


def test_results_share_objects_within_a_chunk_as_pickle_does() -> None:
    shared = [1]
    with going(lambda x: shared, Indexed(range(2)), chunk=2) as run:
        a, b = story(run)[0]
    assert a == [1] and a is b
    assert pickle.loads(pickle.dumps(a)) == b
