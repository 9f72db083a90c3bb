"""`Pool`: what multiprocessing.Pool promises, and what it does not."""

from __future__ import annotations

import faulthandler
import gc
import itertools
import multiprocessing
import multiprocessing.pool
import os
import queue
import signal
import threading
import time
import traceback
import warnings
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from allcores import Executor, ParallelWarning, Pool, WorkerDied
from allcores.engine.interpreters import standby
from allcores.engine.staff import Staff
from sessions import Session, group, run, wait_for

PATIENCE = 20.0


class InputError(Exception):
    """Raised by inputs."""


def square(x: int, wait: float = 0.0) -> int:
    time.sleep(wait)
    return x * x


def times(x: int, y: int) -> int:
    return x * y


def raises(x: int) -> int:
    if x == 7:
        raise KeyError("seven")  # the line that says so
    return x


def identity(x: Any) -> Any:
    return x


def pid(_: Any = None) -> int:
    return os.getpid()


def inputs(total: int, when: int) -> Iterator[int]:
    """Numbers up to `total`; number `when` raises instead."""
    if when < 0:
        raise InputError("at once")
    for i in range(total):
        if i == when:
            raise InputError(f"at {when}")
        yield i


def state(process: int) -> str:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "gone"


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool(2)
    yield made
    made.terminate()
    made.join()


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """After each test: no thread, no child process, no descriptor more than before."""
    standby.end_all()  # those of other files' loops
    gc.collect()
    descriptors = len(os.listdir("/proc/self/fd"))
    yield
    gc.collect()
    wait_for(lambda: not [t for t in threading.enumerate() if t.name.startswith("allcores-h")], 3)
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert [c for c in children if "resource_tracker" not in cmdline(c)] == []
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 3


def cmdline(process: str) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return ""


# -- results


def test_apply(pool: Pool) -> None:
    assert pool.apply(square, (5,)) == 25
    assert pool.apply(square, (), {"x": 3}) == 9
    assert pool.apply(pid) != os.getpid()


@pytest.mark.parametrize("chunksize", [None, 1, 7, 20, 1000])
def test_map_gives_what_the_list_would_be(pool: Pool, chunksize: int | None) -> None:
    for n in (0, 1, 2, 10, 100, 1000):
        assert pool.map(square, range(n), chunksize) == [square(x) for x in range(n)]
        assert pool.map(square, list(range(n)), chunksize=chunksize) == [i * i for i in range(n)]
        pairs = list(zip(range(n), range(n, 0, -1)))
        assert pool.starmap(times, pairs, chunksize) == list(itertools.starmap(times, pairs))
        assert pool.map_async(square, range(n), chunksize).get(PATIENCE) == [
            i * i for i in range(n)
        ]
        assert pool.starmap_async(times, pairs, chunksize).get(PATIENCE) == [
            a * b for a, b in pairs
        ]


@pytest.mark.parametrize("chunksize", [1, 3, 100])
@pytest.mark.parametrize("source", [list, iter, lambda r: (i for i in r)])
def test_imap_gives_them_one_by_one(
    pool: Pool, chunksize: int, source: Callable[[range], Any]
) -> None:
    for n in (0, 1, 10, 1000):
        expected = [i * i for i in range(n)]
        assert list(pool.imap(square, source(range(n)), chunksize)) == expected
        assert sorted(pool.imap_unordered(square, source(range(n)), chunksize)) == expected
    iterator = pool.imap(square, source(range(3)))
    assert [next(iterator), next(iterator), iterator.next(PATIENCE)] == [0, 1, 4]
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(iterator)


def test_any_iterable_is_input(pool: Pool) -> None:
    assert pool.map(square, (i for i in range(4))) == [0, 1, 4, 9]
    assert pool.map(square, {3: "x", 2: "y"}) == [9, 4]
    assert pool.map(str.upper, "abc") == ["A", "B", "C"]
    assert pool.map(square, np.arange(3)) == [0, 1, 4]
    with pytest.raises(TypeError):
        pool.map(square, 3)  # type: ignore[arg-type]


def test_big_arrays_go_and_come(pool: Pool) -> None:
    arrays = [np.full(300_000, k, dtype=float) for k in range(6)]
    for got, sent in zip(pool.map(np.negative, arrays), arrays):
        assert np.array_equal(got, -sent)
    assert sum(a.sum() for a in pool.imap(np.negative, iter(arrays))) == -300_000 * 15


def test_more_is_outstanding_than_pipes_hold(pool: Pool) -> None:
    results = [pool.apply_async(bytes, (200_000,)) for _ in range(200)]
    others = [pool.map_async(bytes, [100_000] * 20) for _ in range(20)]
    assert all(len(r.get(PATIENCE)) == 200_000 for r in results)
    assert all(len(r.get(PATIENCE)) == 20 for r in others)


# -- asynchronous results


def test_get_gives_up_in_time(pool: Pool) -> None:
    result = pool.apply_async(time.sleep, (30,))
    began = time.monotonic()
    with pytest.raises(multiprocessing.TimeoutError):
        result.get(timeout=0.1)
    assert 0.09 < time.monotonic() - began < 5
    assert not result.ready()
    with pytest.raises(ValueError, match="not ready"):
        result.successful()
    result.wait(0.01)
    iterator = pool.imap(time.sleep, [30])
    with pytest.raises(multiprocessing.TimeoutError):
        iterator.next(timeout=0.05)


def test_ready_alone_gets_everything_done(pool: Pool) -> None:
    result = pool.map_async(square, range(500), chunksize=5)
    wait_for(result.ready)
    assert result.successful()
    assert result.get() == [i * i for i in range(500)]
    failed = pool.map_async(raises, range(10))
    wait_for(failed.ready)
    assert not failed.successful()


def test_no_thread_runs_where_the_program_waits(pool: Pool) -> None:
    before = threading.enumerate()
    during: list[Any] = []

    def look(items: Any) -> Iterator[Any]:
        for item in items:
            during.extend(threading.enumerate())
            yield item

    assert pool.map(square, look(range(5))) == [k * k for k in range(5)]
    assert list(pool.imap(square, range(5))) == [k * k for k in range(5)]
    assert pool.apply(square, (3,)) == 9
    assert pool.map_async(square, range(2)).get(PATIENCE) == [0, 1]
    assert set(during) == set(before)


def test_everything_is_done_though_nobody_asks(pool: Pool, tmp_path: Path) -> None:
    def touch(k: int) -> None:
        (tmp_path / str(k)).touch()

    pool.map_async(touch, range(30), chunksize=1)
    for k in range(30, 60):
        pool.apply_async(touch, (k,))
    pool.imap_unordered(touch, range(60, 90))
    pool.imap(touch, iter(range(90, 120)))
    wait_for(lambda: len(os.listdir(tmp_path)) == 120)


def test_callbacks_come_before_the_result_is_ready(pool: Pool) -> None:
    heard: list[Any] = []
    pool.map_async(int, ["1"], callback=heard.append, error_callback=heard.append).wait(PATIENCE)
    assert heard == [[1]]
    pool.map_async(int, ["a"], callback=heard.append, error_callback=heard.append).wait(PATIENCE)
    assert isinstance(heard[1], ValueError)
    assert pool.apply_async(square, (3,), callback=heard.append).get(PATIENCE) == 9
    assert heard[2] == 9
    pool.starmap_async(times, [(2, 3)], callback=heard.append).get(PATIENCE)
    assert heard[3] == [6]
    pool.map_async(int, [], callback=heard.append).get(PATIENCE)
    assert heard[4] == []


def test_an_event_set_by_a_callback_is_enough(pool: Pool) -> None:
    done = threading.Event()
    pool.apply_async(square, (2, 0.05), callback=lambda _: done.set())
    assert done.wait(PATIENCE)
    failed = threading.Event()
    pool.map_async(raises, range(50), error_callback=lambda _: failed.set())
    assert failed.wait(PATIENCE)


def test_callbacks_may_ask_for_more(pool: Pool) -> None:
    heard: queue.Queue[int] = queue.Queue()

    def again(value: int) -> None:
        heard.put(value)
        if value < 1000:
            pool.apply_async(square, (value,), callback=again)
            heard.put(pool.apply(square, (value + 1,)))

    pool.apply_async(square, (2,), callback=again)
    assert sorted(heard.get(timeout=PATIENCE) for _ in range(7)) == sorted(
        [4, 25, 16, 16 * 16, 17 * 17, 65536, 65536][:5] + [257 * 257, 65536]
    )


def test_a_callback_that_raises_hurts_nobody(
    pool: Pool, capsys: pytest.CaptureFixture[str]
) -> None:
    def bad(_: Any) -> None:
        raise RuntimeError("from the callback")

    assert pool.apply_async(square, (3,), callback=bad).get(PATIENCE) == 9
    assert "from the callback" in capsys.readouterr().err
    assert pool.map(square, range(3)) == [0, 1, 4]


def test_a_callback_may_end_the_pool() -> None:
    for waits in (True, False):
        pool = Pool(2)
        ended = threading.Event()

        def end(_: Any, pool: Pool = pool, ended: threading.Event = ended) -> None:
            pool.terminate()
            pool.join()
            ended.set()

        result = pool.apply_async(square, (3,), callback=end)
        assert result.get(PATIENCE) == 9 if waits else ended.wait(PATIENCE)
        assert ended.wait(PATIENCE)
        pool.join()


def test_a_callback_cannot_wait_for_its_own_end(capsys: pytest.CaptureFixture[str]) -> None:
    pool = Pool(2)
    result = pool.apply_async(square, (3,), callback=lambda _: (pool.close(), pool.join()))
    assert result.get(PATIENCE) == 9
    pool.join()
    assert "RuntimeError: join() was called by a callback" in capsys.readouterr().err


def test_arguments_are_taken_as_they_are_at_the_call(pool: Pool) -> None:
    buffer = [0]
    results = []
    for k in range(50):
        buffer[0] = k
        results.append(pool.apply_async(sum, (buffer,)))
    assert [r.get(PATIENCE) for r in results] == list(range(50))
    items = [[k] for k in range(50)]
    result = pool.map_async(sum, items, chunksize=1)
    for item in items:
        item[0] = -1
    assert result.get(PATIENCE) == list(range(50))


# -- functions


def test_functions_of_every_kind(pool: Pool) -> None:
    constant = 10
    assert pool.map(lambda x: x + constant, range(3)) == [10, 11, 12]
    assert pool.map(partial(times, 3), range(3)) == [0, 3, 6]
    assert pool.map(partial(lambda a, b: a - b, 1), range(3)) == [1, 0, -1]

    def factorial(n: int) -> int:
        return n * factorial(n - 1) if n else 1

    assert pool.map(factorial, range(5)) == [1, 1, 2, 6, 24]
    assert pool.map(Counter(5).add, range(3)) == [5, 6, 7]
    assert pool.apply(lambda *, k=2: k) == 2


class Counter:
    def __init__(self, start: int) -> None:
        self.start = start

    def add(self, x: int) -> int:
        return self.start + x


class Locked(Counter):
    def __init__(self, start: int) -> None:
        super().__init__(start)
        self.lock = threading.Lock()
        self.file = open(os.devnull)


def test_what_cannot_be_pickled_is_inherited(pool: Pool) -> None:
    locked = Locked(5)
    assert pool.map(locked.add, range(3)) == [5, 6, 7]
    locked.start = 50
    assert pool.map(locked.add, range(3)) == [50, 51, 52]
    lock = threading.Lock()
    assert pool.map(lambda x: (x, lock.locked()), range(2)) == [(0, False), (1, False)]
    assert list(pool.imap(locked.add, iter(range(3)))) == [50, 51, 52]
    assert pool.map(square, range(3)) == [0, 1, 4]
    locked.file.close()


def test_several_that_cannot_be_pickled_at_a_time(pool: Pool) -> None:
    one, other = Locked(5), Locked(7)
    gate = multiprocessing.get_context("fork").Event()
    waits = pool.map_async(lambda k: gate.wait(PATIENCE) and k, range(4), chunksize=1)
    ones = pool.imap(one.add, range(20))
    others = pool.map_async(other.add, range(20), chunksize=1)
    gate.set()
    assert pool.map(Locked(1).add, range(20), chunksize=1) == list(range(1, 21))
    assert list(ones) == list(range(5, 25))
    assert others.get(PATIENCE) == list(range(7, 27))
    assert waits.get(PATIENCE) == list(range(4))
    one.file.close()
    other.file.close()


def test_a_function_s_state_is_that_of_the_call(pool: Pool) -> None:
    counter, table = Counter(1), {"k": 1}
    look = partial(table.get, "k")
    for k in range(5):
        counter.start = table["k"] = k
        assert pool.map(counter.add, [0, 1]) == [k, k + 1]
        assert pool.apply(look) == k
        assert pool.apply(lambda: k) == k


def test_what_a_function_holds_travels_once(pool: Pool) -> None:
    held = Held()
    assert pool.map(held.look, range(100), chunksize=1) == list(range(100))
    assert held.pickled == 1


class Counted:
    """Says in a folder how often it was unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        (self.folder / f"{os.getpid()}-{time.monotonic_ns()}").touch()

    def look(self, x: int) -> int:
        return x


def test_nor_is_it_sent_again_while_it_stays_the_same(pool: Pool, tmp_path: Path) -> None:
    counted = Counted(tmp_path)
    for _ in range(3):
        assert pool.map(partial(Counted.look, counted), range(20), chunksize=1) == list(range(20))
        assert pool.map(counted.look, range(20), chunksize=1) == list(range(20))
    assert len(os.listdir(tmp_path)) <= 4  # two functions, two workers


class Held:
    pickled = 0

    def __getstate__(self) -> dict[str, Any]:
        self.pickled += 1
        return {}

    def look(self, x: int) -> int:
        return x


def test_scripts_go_on_defining_things_after_the_pool_is_made(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        """
        from allcores import Pool

        factor = 2

        def f(x):
            return x * factor

        with Pool(2) as pool:
            print(pool.map(f, range(3)))

            def g(x):
                return helper(x) + 1

            def helper(x):
                return x * 100

            print(pool.map(g, range(3)), pool.map(lambda x: helper(x), [2]))

            def f(x):
                return x - factor

            print(pool.map(f, range(3)))
            factor = 5
            print(pool.map(f, range(3)), pool.map(lambda x: factor, [0]))

            class Point:
                def __init__(self, x):
                    self.x = x

            print([p.x for p in pool.map(Point, range(3))], pool.map(lambda p: p.x, [Point(7)]))
        """,
    )
    assert outcome.err == ""
    assert outcome.out.splitlines() == [
        "[0, 2, 4]",
        "[1, 101, 201] [200]",
        "[-2, -1, 0]",
        "[-5, -4, -3] [5]",
        "[0, 1, 2] [7]",
    ]


# -- exceptions


def test_the_function_s_exception_with_its_traceback(pool: Pool) -> None:
    for call in (
        lambda: pool.map(raises, range(20)),
        lambda: pool.apply(raises, (7,)),
        lambda: pool.map_async(raises, range(20)).get(PATIENCE),
        lambda: list(pool.imap(raises, range(20))),
        lambda: pool.starmap(raises, [(7,)]),
    ):
        with pytest.raises(KeyError) as caught:
            call()
        assert caught.value.args == ("seven",)
        assert caught.value.__cause__ is None
        *_, last = places = traceback.extract_tb(caught.value.__traceback__)
        assert not [place for place in places if "allcores/pool" in place.filename]
        assert (last.name, "# the line that says so" in str(last.line)) == ("raises", True)


def fails_late(x: int) -> int:
    time.sleep(0.1 if x == 2 else 0)
    raise ValueError(x)


def test_the_first_exception_in_order_counts(pool: Pool) -> None:
    with pytest.raises(ValueError, match="2"):
        pool.map(fails_late, [2, 3, 4, 5], chunksize=1)


def test_imap_goes_on_after_an_exception(pool: Pool) -> None:
    for chunksize in (1, 4, 100):
        iterator = pool.imap(raises, range(10), chunksize)
        assert [next(iterator) for _ in range(7)] == list(range(7))
        with pytest.raises(KeyError):
            next(iterator)
        assert list(iterator) == [8, 9]


class Awkward(Exception):
    def __init__(self, code: int, *, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code, self.reason = code, reason


def awkward(_: Any) -> None:
    raise Awkward(3, reason="why not")


def test_exceptions_that_pickle_cannot_bring_back(pool: Pool) -> None:
    with pytest.raises(Awkward, match="3: why not") as caught:
        pool.map(awkward, range(4))
    assert (caught.value.code, caught.value.reason) == (3, "why not")

    def local(_: Any) -> None:
        class Hidden(ValueError):
            pass

        raise Hidden("inside")

    with pytest.raises(ValueError, match="inside") as caught_local:
        pool.map(local, range(2))
    assert type(caught_local.value).__name__ == "Hidden"

    def holding(_: Any) -> None:
        raise KeyError(threading.Lock())

    with pytest.raises(KeyError, match="lock"):
        pool.apply(holding, (1,))


class Together(ExceptionGroup[Exception]):
    pass


@pytest.mark.parametrize("kind", [ExceptionGroup, Together])
def test_groups_of_exceptions_that_pickle_cannot_bring_back(pool: Pool, kind: Any) -> None:
    def fails(_: Any) -> None:
        inner = kind("inner", [Awkward(3, reason="why not"), KeyError(threading.Lock())])
        raise kind("outer", [ValueError(1), inner])

    caught: list[BaseException] = []
    try:
        pool.apply(fails, (1,))
    except* Awkward as group:
        caught += group.exceptions
    except* (KeyError, ValueError) as group:
        caught += group.exceptions
    (first,) = caught[0].exceptions  # type: ignore[attr-defined]
    assert (type(first), first.code, first.reason) == (Awkward, 3, "why not")
    assert caught[1].args == (1,)
    with pytest.raises(kind, match="outer"):
        pool.apply(fails, (1,))


@pytest.mark.parametrize("chunksize", [1, 2, 4])
def test_exceptions_of_the_input(pool: Pool, chunksize: int) -> None:
    for _ in range(2):
        for total, when in ((1, -1), (10, 3), (20, 7)):
            for method in (pool.map, pool.map_async, pool.starmap):
                with pytest.raises(InputError) as caught:
                    method(square, inputs(total, when), chunksize)
                assert caught.value.__cause__ is None
            got = []
            iterator = pool.imap(square, inputs(total, when), chunksize)
            with pytest.raises(InputError):
                for value in iterator:
                    got.append(value)
            # All that was read before is there, whatever the chunks.
            assert got == [i * i for i in range(max(when, 0))]
            with pytest.raises(StopIteration):
                next(iterator)
            unordered = pool.imap_unordered(square, inputs(total, when), chunksize)
            got = []
            with pytest.raises(InputError):
                for value in unordered:
                    got.append(value)
            assert sorted(got) == [i * i for i in range(max(when, 0))]


class SaysItHasALength:
    def __iter__(self) -> Any:
        return self

    def __next__(self) -> int:
        raise InputError

    def __len__(self) -> int:
        return 1


def test_input_with_a_length_that_raises(pool: Pool) -> None:
    for _ in range(2):
        with pytest.raises(InputError):
            pool.map(square, SaysItHasALength(), 1)


class Stubborn:
    def __reduce__(self) -> Any:
        raise RuntimeError("cannot be pickled")


def test_arguments_that_cannot_be_pickled(pool: Pool) -> None:
    with pytest.raises(RuntimeError, match="cannot be pickled") as caught:
        pool.map(identity, [1, Stubborn()] * 5)
    assert "task 1 " in caught.value.__notes__[0] and "Stubborn" in caught.value.__notes__[0]
    with pytest.raises(RuntimeError):
        pool.apply(identity, (Stubborn(),))
    with pytest.raises(RuntimeError):
        pool.apply_async(identity, (Stubborn(),)).get(PATIENCE)
    iterator = pool.imap(identity, [1, 2, Stubborn(), 3], chunksize=4)
    assert [next(iterator), next(iterator)] == [1, 2]
    with pytest.raises(RuntimeError):
        next(iterator)
    assert list(iterator) == [3]
    assert pool.map(square, range(3)) == [0, 1, 4]


def test_results_that_cannot_be_pickled(pool: Pool) -> None:
    for _ in range(5):
        heard: list[Any] = []
        result = pool.apply_async(threading.Lock, error_callback=heard.append)
        with pytest.raises(multiprocessing.pool.MaybeEncodingError) as caught:
            result.get(PATIENCE)
        assert heard == [caught.value]
        assert "lock" in caught.value.exc and "lock" in caught.value.value
    with pytest.raises(multiprocessing.pool.MaybeEncodingError):
        pool.map(lambda x: x if x < 5 else threading.Lock(), range(10))
    for size in (1, 4, 10):
        with pytest.raises(multiprocessing.pool.MaybeEncodingError):
            pool.map(lambda x: threading.Lock() if x == 5 else x, range(10), chunksize=size)
        given = pool.imap(lambda x: threading.Lock() if x == 5 else x, range(10), chunksize=size)
        assert [next(given) for _ in range(5)] == list(range(5))
        with pytest.raises(multiprocessing.pool.MaybeEncodingError):
            next(given)
        assert list(given) == [6, 7, 8, 9]
    for nameless in (Nameless, nested):
        with pytest.raises(multiprocessing.pool.MaybeEncodingError):
            pool.apply(nameless)
    assert pool.map(square, range(3)) == [0, 1, 4]


class Nameless(Stubborn):
    def __repr__(self) -> str:
        raise RuntimeError("has no repr either")


def nested() -> list[Any]:
    inner: list[Any] = []
    for _ in range(100_000):
        inner = [inner]
    return inner


class Unreadable:
    def __reduce__(self) -> Any:
        return int, ("x",)


def test_results_that_cannot_be_unpickled(pool: Pool) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        pool.map(lambda _: Unreadable(), range(4))
    with pytest.raises(ValueError, match="invalid literal"):
        pool.apply(identity, (Unreadable(),))
    assert pool.map(square, range(3)) == [0, 1, 4]


# -- deaths


def kill_me(x: int) -> int:
    if x == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def crash(number: int, x: int) -> int:
    if x == 5:
        faulthandler.disable()  # pytest would have it tell the terminal
        os.kill(os.getpid(), number)
    return x


@pytest.mark.parametrize(
    "how, says",
    [
        (kill_me, "SIGKILL"),
        (lambda x: os._exit(3) if x == 5 else x, "code 3"),
        (partial(crash, signal.SIGABRT), "SIGABRT"),
        (partial(crash, signal.SIGSEGV), "SIGSEGV"),
    ],
)
def test_a_worker_that_dies_is_an_error_and_no_hang(pool: Pool, how: Any, says: str) -> None:
    for _ in range(2):
        with pytest.raises(WorkerDied, match=says) as caught:
            pool.map(how, range(10))
        assert "5" in str(caught.value)
        with pytest.raises(WorkerDied, match=says):
            pool.apply(how, (5,))
        got: list[Any] = []
        for k, _item in enumerate(iterator := pool.imap(how, range(10), chunksize=1)):
            got.append(_item)
            if k == 4:
                break
        with pytest.raises(WorkerDied, match=says):
            next(iterator)
        assert [*got, *iterator] == [0, 1, 2, 3, 4, 6, 7, 8, 9]
        heard = threading.Event()
        pool.apply_async(how, (5,), error_callback=lambda _: heard.set())
        assert heard.wait(PATIENCE)
    assert pool.map(square, range(10)) == [i * i for i in range(10)]


def test_a_task_whose_worker_dies_is_not_tried_again(pool: Pool, tmp_path: Path) -> None:
    def dies(k: int) -> None:
        with open(tmp_path / str(k), "a") as file:
            file.write("x")
        if k == 2:
            os._exit(1)

    with pytest.raises(WorkerDied):
        pool.map(dies, range(6), chunksize=1)
    pool.map(abs, range(3))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        str(k): "x" for k in range(6)
    }


def test_a_worker_stays_after_sys_exit() -> None:
    with Pool(1) as pool:
        before = pool.apply(pid)
        with pytest.raises(SystemExit, match="3"):
            pool.apply(exit, (3,))
        assert pool.apply(pid) == before


def test_workers_that_die_while_idle_are_replaced_unnoticed(pool: Pool) -> None:
    before = set(pool.map(pid, range(20), chunksize=1))
    assert os.getpid() not in before
    for process in before:
        os.kill(process, signal.SIGKILL)
        wait_for(lambda: state(process) in ("Z", "gone"))
    assert pool.map(square, range(20)) == [i * i for i in range(20)]
    assert not before & set(pool.map(pid, range(20), chunksize=1))


def test_a_death_is_noticed_though_others_hold_the_workers_socket(tmp_path: Path) -> None:
    def leaves_a_child(x: int) -> int:
        if x == 1:
            child = os.fork()
            if not child:
                signal.pause()
            (tmp_path / "child").write_text(str(child))
            os.kill(os.getpid(), signal.SIGKILL)
        return x

    try:
        with Pool(2) as pool:
            with pytest.raises(
                WorkerDied, match=r"SIGKILL.*task 1 \(item 1\); its memory had peaked"
            ):
                pool.map(leaves_a_child, range(3), chunksize=1)
            assert pool.map(abs, range(3)) == [0, 1, 2]
    finally:
        os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)


def test_an_initializer_that_raises(tmp_path: Path) -> None:
    def bad() -> None:
        raise LookupError("no data")

    with Pool(2, bad) as pool:
        for _ in range(2):
            with pytest.raises(LookupError, match="no data"):
                pool.map(square, range(3))
        with pytest.raises(LookupError):
            pool.apply_async(square, (1,)).get(PATIENCE)
        with pytest.raises(LookupError):
            list(pool.imap(square, range(3)))


def test_an_initializer_that_dies() -> None:
    with Pool(2, os._exit, (9,)) as pool:
        with pytest.raises(WorkerDied, match="initializer.*code 9"):
            pool.map(square, range(3))


# -- workers


def remember(*values: int) -> None:
    global remembered
    remembered = values


remembered: tuple[int, ...] = ()


def test_the_initializer_s_variables_are_there_for_every_kind_of_function() -> None:
    with Pool(2, remember, (1, 2)) as pool:
        assert pool.map(recalls, range(3)) == [(1, 2)] * 3
        assert pool.map(lambda _: remembered, range(3)) == [(1, 2)] * 3
        lock = threading.Lock()
        assert pool.map(lambda _: (lock, remembered)[1], range(3)) == [(1, 2)] * 3
    assert remembered == ()


def recalls(_: Any) -> tuple[int, ...]:
    return remembered


@pytest.mark.parametrize("possible", [0, 1, 3])
def test_where_the_system_makes_fewer_workers(
    monkeypatch: pytest.MonkeyPatch, possible: int
) -> None:
    fork, made = os.fork, itertools.count()

    def limited() -> int:
        if next(made) >= possible:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return fork()

    monkeypatch.setattr(os, "fork", limited)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with Pool(5) as pool:
            assert len(pool._pool) == possible
            assert pool.map(square, range(20)) == [k * k for k in range(20)]
            assert sorted(pool.imap_unordered(square, range(9))) == [k * k for k in range(9)]
    assert [w.category for w in caught] == [ParallelWarning] * (not possible)


@pytest.mark.parametrize("value", [0, -1])
def test_numbers_of_workers_that_make_no_sense(value: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Pool(value)


def test_arguments_that_make_no_sense() -> None:
    for bad in (0, -1, 0.5, "12"):
        with pytest.raises(ValueError, match="maxtasksperchild"):
            Pool(1, maxtasksperchild=bad)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Pool("2")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Pool(1, initializer=5)  # type: ignore[arg-type]
    with Pool(1, None, (), None, multiprocessing.get_context("fork")) as pool:
        for bad_size in (0, -1):
            with pytest.raises(ValueError):
                pool.map(square, [1], chunksize=bad_size)
            with pytest.raises(ValueError):
                pool.imap(square, [1], chunksize=bad_size)


def test_workers_make_room_after_so_many_tasks() -> None:
    with Pool(2, maxtasksperchild=3) as pool:
        results = [pool.apply_async(pid) for _ in range(30)]
        processes = [r.get(PATIENCE) for r in results]
        assert len(set(processes)) >= 10
        assert max(processes.count(p) for p in processes) <= 3
        assert pool.map(square, range(50), chunksize=1) == [i * i for i in range(50)]
    pool.join()


def test_short_lived_workers_and_an_early_close() -> None:
    pool = Pool(3, maxtasksperchild=1)
    results = [pool.apply_async(square, (i, 0.02)) for i in range(8)]
    pool.close()
    pool.join()
    assert [r.get() for r in results] == [i * i for i in range(8)]


def test_tasks_may_wait_for_one_another(pool: Pool) -> None:
    barrier = multiprocessing.get_context("fork").Barrier(2)
    with Pool(2, remember_barrier, (barrier,)) as own:
        assert own.map(meet, range(4), chunksize=1) == list(range(4))
        results = [own.apply_async(meet, (k,)) for k in range(4)]
        assert [r.get(PATIENCE) for r in results] == list(range(4))
        assert list(own.imap(meet, range(4))) == list(range(4))


def remember_barrier(barrier: Any) -> None:
    global meeting
    meeting = barrier


meeting: Any = None


def meet(k: int) -> int:
    meeting.wait(PATIENCE)
    return k


def test_workers_are_known_to_multiprocessing(pool: Pool) -> None:
    names = pool.map(lambda _: (time.sleep(0.01), worker_name())[1], range(8), chunksize=1)
    assert {n for n, _ in names} == {"ForkPoolWorker-1", "ForkPoolWorker-2"}
    assert {i for _, i in names} == {(1,), (2,)}


def worker_name() -> Any:
    process = multiprocessing.current_process()
    return process.name, process._identity  # type: ignore[attr-defined]


def test_workers_draw_different_numbers() -> None:
    np.random.seed(3)
    with Pool(2) as pool, Pool(2) as other:
        draws = [
            *pool.map(lambda _: (time.sleep(0.005), np.random.rand())[1], range(10), chunksize=1),
            *other.map(lambda _: (time.sleep(0.005), np.random.rand())[1], range(10), chunksize=1),
        ]
    assert len(set(draws)) == 20


def test_a_pool_in_a_worker(pool: Pool) -> None:
    def inner(n: int) -> list[int]:
        with Pool(2) as nested:
            assert sorted(nested.imap_unordered(square, iter(range(n)))) == [
                i * i for i in range(n)
            ]
            assert nested.apply_async(square, (3,)).get() == 9
            return nested.map(square, range(n))

    assert pool.map(inner, range(4)) == [[i * i for i in range(n)] for n in range(4)]


# -- the end


def test_a_closed_pool_finishes_and_takes_no_more() -> None:
    pool = Pool(2)
    with pytest.raises(ValueError, match="close"):
        pool.join()
    heard: list[int] = []
    for k in range(20):
        pool.apply_async(square, (k, 0.001), callback=heard.append)
    untouched = pool.imap(square, iter(range(5000)))
    pool.close()
    for ask in (
        lambda: pool.map(square, [1]),
        lambda: pool.map_async(square, [1]),
        lambda: pool.apply(square, (1,)),
        lambda: pool.imap(square, [1]),
        pool.__enter__,
    ):
        with pytest.raises(ValueError, match="closed"):
            ask()
    pool.join()
    pool.join()
    assert sorted(heard) == [i * i for i in range(20)]
    assert list(untouched) == [i * i for i in range(5000)]


def test_a_terminated_pool_does_not_wait() -> None:
    pool = Pool(2)
    result = pool.map_async(time.sleep, [60] * 10_000, chunksize=1)
    iterator = pool.imap(time.sleep, [60] * 10)
    began = time.monotonic()
    pool.terminate()
    pool.join()
    assert time.monotonic() - began < 5
    with pytest.raises(RuntimeError, match="terminated"):
        result.get(PATIENCE)
    with pytest.raises(RuntimeError, match="terminated"):
        iterator.next(PATIENCE)


def test_terminate_does_not_wait_for_those_who_do_not_listen(tmp_path: Path) -> None:
    def deaf() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        (tmp_path / "deaf").touch()
        time.sleep(60)

    pool = Pool(1)
    (worker,) = pool._pool
    pool.apply_async(deaf)
    wait_for((tmp_path / "deaf").exists)
    pool.terminate()
    pool.join()
    assert state(worker.pid) == "gone"


def test_the_context_manager_terminates() -> None:
    with Pool(2) as pool:
        result = pool.map_async(square, range(10))
        assert result.get(PATIENCE) == [i * i for i in range(10)]
        processes = [m.pid for m in pool._pool]
    assert [state(p) for p in processes] == ["gone"] * 2
    pool.join()
    with pytest.raises(ValueError):
        pool.map_async(square, range(10))
    with pytest.raises(ValueError), pool:
        pass


def test_all_of_a_failed_map_is_waited_for() -> None:
    def large_error(wait: float) -> None:
        time.sleep(wait)
        raise ValueError("x" * 1024**2)

    began = time.monotonic()
    pool = Pool(2)
    with pytest.raises(ValueError):
        pool.map(large_error, [0, 0.3])
    pool.close()
    pool.join()
    assert time.monotonic() - began > 0.25


def test_arguments_and_results_are_let_go(pool: Pool) -> None:
    class Thing:
        pass

    things = [np.zeros(10) for _ in range(10)]
    references = [weakref.ref(thing) for thing in things]
    results = pool.map(identity, things)
    references += [weakref.ref(r) for r in results]
    lazily = pool.imap(identity, things)
    references += [weakref.ref(r) for r in lazily]
    del things, results, lazily
    gc.collect()
    assert [r() for r in references] == [None] * 30


def test_a_pool_that_is_dropped_is_cleaned_up() -> None:
    pool = Pool(2)
    assert pool.map(square, range(3)) == [0, 1, 4]
    processes = [m.pid for m in pool._pool]
    with pytest.warns(ResourceWarning, match="unclosed running pool"):
        del pool
        gc.collect()
    assert [state(p) for p in processes] == ["gone"] * 2


def test_a_result_keeps_its_pool() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        result = Pool(2).map_async(square, range(100), chunksize=1)
        gc.collect()
        assert result.get(PATIENCE) == [i * i for i in range(100)]
        del result
        gc.collect()


def test_a_pool_stays_where_it_is(pool: Pool) -> None:
    import pickle

    with pytest.raises(NotImplementedError, match="cannot be pickled"):
        pickle.dumps(pool)


def test_many_threads_use_one_pool(pool: Pool) -> None:
    wrong: list[Any] = []

    def use(k: int) -> None:
        for n in range(15):
            if pool.map(square, range(k, k + n)) != [i * i for i in range(k, k + n)]:
                wrong.append(("map", k, n))
            if pool.apply_async(square, (k,)).get(PATIENCE) != k * k:
                wrong.append(("apply", k, n))
            if list(pool.imap(square, range(n))) != [i * i for i in range(n)]:
                wrong.append(("imap", k, n))

    threads = [threading.Thread(target=use, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert not any(t.is_alive() for t in threads)
    assert wrong == []


def test_a_program_s_own_threads_may_wait_for_results(pool: Pool) -> None:
    gate, lock = multiprocessing.get_context("fork").Event(), threading.Lock()
    waits = pool.apply_async(lambda: gate.wait(PATIENCE))
    thread = threading.Thread(target=waits.wait)
    thread.start()
    wait_for(lambda: thread in pool._staff.waiting)
    # New workers have to be forked for it, for it cannot be pickled.
    assert pool.map(lambda x: (lock, x)[1], range(20)) == list(range(20))
    gate.set()
    thread.join()
    assert waits.get(PATIENCE) is True


def test_a_program_s_own_thread_replaces_the_dead(pool: Pool) -> None:
    def dies(k: int) -> int:
        if k % 2:
            os._exit(1)
        return os.getpid()

    results = [pool.apply_async(dies, (k,)) for k in range(8)]
    caught: list[Any] = []

    def collect() -> None:
        for result in results:
            try:
                caught.append(result.get(PATIENCE))
            except WorkerDied:
                caught.append(None)

    thread = threading.Thread(target=collect)
    thread.start()
    thread.join()
    assert caught.count(None) == 4
    assert os.getpid() not in caught


def test_where_no_other_worker_can_be_made_the_tasks_do_not_kill_the_program() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="theirs")
    with Pool(2) as pool:
        thread.start()
        try:
            results = [pool.apply_async(os._exit, (3,)) for _ in range(9)]
            for result in results:
                with pytest.raises(WorkerDied, match="code 3"):
                    result.get(PATIENCE)
            with pytest.raises(WorkerDied, match="no others can be made: thread 'theirs'"):
                pool.map(square, range(3))
            lock = threading.Lock()
            with pytest.raises(Exception, match="pickle|local object") as caught:
                pool.map(lambda x: (lock, x), range(3))
            assert "'theirs'" in caught.value.__notes__[0]
        finally:
            stop.set()
            thread.join()


def test_input_that_waits_for_results(pool: Pool) -> None:
    answers: queue.Queue[int] = queue.Queue()

    def asks() -> Iterator[int]:
        value = 2
        while value < 1000:
            yield value
            value = answers.get(timeout=PATIENCE)

    got = []
    for result in pool.imap(square, asks()):
        got.append(result)
        answers.put(result)
    assert got == [4, 16, 256, 65536]


def test_imap_of_endless_input_reads_ahead_a_little_only() -> None:
    read = 0

    def endless() -> Iterator[int]:
        nonlocal read
        for read in itertools.count():
            yield read

    with Pool(2) as pool:
        iterator = pool.imap(square, endless())
        assert [next(iterator) for _ in range(100)] == [i * i for i in range(100)]
        wait_for(lambda: read > 2000)
        assert read < 10_000


@pytest.mark.parametrize("chunksize", [1, 10])
@pytest.mark.parametrize("source", [list, lambda r: (i for i in r)])
def test_taking_the_results_that_piled_up_makes_room(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, chunksize: int, source: Callable[[range], Any]
) -> None:
    monkeypatch.setattr("allcores.pool.AHEAD", 5)
    iterator = pool.imap(square, source(range(1000)), chunksize)
    assert [iterator.next(PATIENCE) for _ in range(1000)] == [i * i for i in range(1000)]
    iterator = pool.imap(square, source(range(100)), chunksize)
    wait_for(lambda: not iterator._room() and not iterator._pending)
    assert [iterator.next(PATIENCE) for _ in range(100)] == [i * i for i in range(100)]


def refilled(total: int, size: int = 1) -> Iterator[list[int]]:
    buffer = [0] * size
    for k in range(total):
        buffer[0] = k
        yield buffer


def first(values: list[int]) -> int:
    return values[0]


def test_imap_takes_items_as_they_are_when_they_are_read(pool: Pool) -> None:
    assert list(pool.imap(first, refilled(300))) == list(range(300))
    assert sorted(pool.imap_unordered(first, refilled(300))) == list(range(300))


@pytest.mark.parametrize("chunksize", [1, 3])
def test_imap_reads_only_so_much_of_large_input(pool: Pool, chunksize: int) -> None:
    read = 0

    def large() -> Iterator[bytes]:
        nonlocal read
        for read in range(1, 60):
            yield bytes(4 << 20)

    gate = multiprocessing.get_context("fork").Event()
    iterator = pool.imap(lambda data: gate.wait(PATIENCE) and len(data), large(), chunksize)
    wait_for(lambda: not iterator._hungry())
    assert 16 <= read < 40
    gate.set()
    assert list(iterator) == [4 << 20] * 59


# -- whole programs


def test_an_interrupt_ends_a_map_and_the_pool_goes_on(tmp_path: Path) -> None:
    session = Session(
        tmp_path,
        """
        import os, time
        from allcores import Pool

        def nap(t):
            if t:
                os.write(1, b"napping\\n")
                time.sleep(60)
            return t

        with Pool(2) as pool:
            try:
                pool.map(nap, [1, 1, 1, 1], chunksize=1)
            except KeyboardInterrupt:
                print("interrupted", flush=True)
            print(pool.map(nap, [0, 0]))
        """,
    )
    assert [session.line(), session.line()] == ["napping"] * 2
    os.killpg(session.process.pid, signal.SIGINT)
    outcome = session.end()
    assert (outcome.code, outcome.out, outcome.err) == (0, "interrupted\n[0, 0]\n", "")


def test_interrupts_in_the_midst_of_handing_out_and_hearing(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        """
        import signal
        from allcores import Pool
        from allcores.engine import crew, staff, workforce

        places = [
            (crew.Worker, "flush"), (staff.Staff, "assign"), (staff.Staff, "hear"),
            (staff.Staff, "learn"), (staff.Staff, "finished"), (staff.Staff, "dispatch"),
            (workforce.Workforce, "send_all"), (workforce.Workforce, "introduce"),
        ]

        def interrupted(cls, name, at):
            plain, calls = getattr(cls, name), []

            def method(self, *args):
                calls.append(name)
                if len(calls) == at:
                    signal.raise_signal(signal.SIGINT)
                result = plain(self, *args)
                if len(calls) == at + 1:
                    signal.raise_signal(signal.SIGINT)
                return result

            setattr(cls, name, method)
            return plain

        def square(x):
            return x * x

        with Pool(2) as pool:
            other = pool.map_async(square, range(1000), chunksize=1)
            for cls, name in places:
                for at in range(1, 6):
                    plain = interrupted(cls, name, at)
                    results = None
                    try:
                        results = pool.map(square, range(40), chunksize=3)
                    except KeyboardInterrupt:
                        pass
                    setattr(cls, name, plain)
                    assert results in (None, [x * x for x in range(40)])
                    assert pool.map(square, range(10)) == [x * x for x in range(10)]
            assert other.get() == [x * x for x in range(1000)]
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        print("fine")
        """,
    )
    assert (outcome.out, outcome.err) == ("fine\n", "")


@pytest.mark.parametrize("how", ["os.kill(os.getpid(), 9)", "os._exit(5)", "sys.exit(5)", "1 / 0"])
def test_nobody_is_left_however_the_program_ends(tmp_path: Path, how: str) -> None:
    outcome = run(
        tmp_path,
        f"""
        import os, sys, time
        from allcores import Pool

        pool = Pool(2)
        pool.map(abs, range(3))
        pool.map_async(time.sleep, [60] * 20, callback=print)
        pool.imap(time.sleep, iter([60] * 20))
        {how}
        """,
    )
    assert outcome.code == {"os.kill": -9, "os._exi": 5, "sys.exi": 5, "1 / 0": 1}[how[:7]]


def test_a_pool_left_open_in_an_object_at_exit(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        """
        from allcores import Pool

        class Holder:
            def __init__(self):
                self.pool = Pool(1)

        def test():
            global holder
            holder = Holder()
            print(holder.pool.map(float, tuple(range(3))))

        test()
        """,
    )
    assert outcome == (0, "[0.0, 1.0, 2.0]\n", "")


def test_input_that_blocks_for_ever_does_not_keep_the_program(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        """
        import queue
        from allcores import Pool

        pool = Pool(1)
        it = pool.imap(abs, iter(queue.Queue().get, None))
        print("end")
        """,
    )
    assert outcome == (0, "end\n", "")


def test_a_fork_of_a_process_with_a_pool(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        """
        import os
        from allcores import Pool

        pool = Pool(2)
        print(pool.map(abs, range(3)), flush=True)
        child = os.fork()
        if not child:
            try:
                pool.map(abs, range(3))
            except RuntimeError as error:
                print(error, flush=True)
            with Pool(2) as own:
                print(own.map(abs, range(3)), flush=True)
            del pool
            os._exit(0)
        os.waitpid(child, 0)
        print(pool.map(abs, range(3)), flush=True)
        pool.close()
        pool.join()
        """,
    )
    lines = outcome.out.splitlines()
    assert lines[1] == (
        "this pool was made by another process, whose fork this one is; make a pool here"
    )
    assert lines[0] == lines[2] == lines[3] == "[0, 1, 2]"
    assert outcome.err == ""


def test_a_pool_in_a_process_of_multiprocessing(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        """
        import multiprocessing
        from allcores import Pool

        def work(queue):
            pool = Pool(4)
            queue.put(pool.map(abs, range(7)))
            pool.close()
            pool.join()

        queue = multiprocessing.get_context("fork").SimpleQueue()
        process = multiprocessing.get_context("fork").Process(target=work, args=(queue,))
        process.start()
        print(queue.get())
        process.join()
        print(process.exitcode)
        """,
    )
    assert outcome == (0, "[0, 1, 2, 3, 4, 5, 6]\n0\n", "")


def test_a_child_that_outlives_the_program_keeps_no_worker(tmp_path: Path) -> None:
    session = Session(
        tmp_path,
        """
        import os, time
        from allcores import Pool

        pool = Pool(2)
        pool.map_async(time.sleep, [60] * 2, chunksize=1)
        if not os.fork():
            time.sleep(60)
            os._exit(0)
        print(*[m.pid for m in pool._pool], flush=True)
        time.sleep(60)
        """,
    )
    workers = [int(p) for p in session.line().split()]
    os.kill(session.process.pid, signal.SIGKILL)
    try:
        wait_for(lambda: not set(workers) & group(session.process.pid), 5)
    finally:
        session.kill()


def test_prints_of_workers_are_not_lost_in_a_pipe(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        """
        import sys
        sys.stdout = open(1, "w", buffering=100_000)
        from allcores import Pool
        print("before")
        with Pool(2) as pool:
            pool.map(print, range(50), chunksize=1)
        """,
    )
    assert sorted(outcome.out.split()) == sorted(["before", *map(str, range(50))])


def test_with_threads_of_unknown_kind_the_tasks_run_here() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="theirs")
    thread.start()
    try:
        with pytest.warns(ParallelWarning, match="thread 'theirs' .*is running"), Pool(2) as pool:
            assert pool.apply(pid, (0,)) == os.getpid()
            assert list(pool.imap(square, iter(range(5)))) == [0, 1, 4, 9, 16]
            assert list(pool.imap(square, range(5))) == [0, 1, 4, 9, 16]
            assert list(pool.imap(first, refilled(30))) == list(range(30))
            done = threading.Event()
            pool.apply_async(square, (3,), callback=lambda _: done.set())
            assert done.wait(PATIENCE)
            with pytest.raises(KeyError):
                pool.map(raises, range(10))
            assert pool.map_async(lambda x: x, range(3)).get(PATIENCE) == [0, 1, 2]
            pool.close()
            pool.join()
    finally:
        stop.set()
        thread.join()
        standby.end_all()  # which `map` may have had begin


CLEAN = """
import os, threading, time, warnings
warnings.simplefilter("error")
from allcores import Pool

def work(x):
    time.sleep(0.005)
    return os.getpid(), x * x

def both(x, y):
    time.sleep(0.005)
    return os.getpid(), x + y

def fails(x):
    time.sleep(0.005)
    return 1 // (x - 70)

threading.Thread(target=threading.Event().wait, daemon=True, name="theirs").start()
with Pool(2) as pool:
    done = pool.map(work, range(400))
    assert [y for _, y in done] == [x * x for x in range(400)]
    print(len({p for p, _ in done} - {os.getpid()}))
    done = pool.starmap(both, zip(range(100), range(100)), chunksize=7)
    assert [y for _, y in done] == [2 * x for x in range(100)]
    print(len({p for p, _ in done} - {os.getpid()}))
    try:
        pool.map(fails, range(100))
    except ZeroDivisionError as error:
        print(error)
    try:
        pool.apply(work, (1,))
    except Warning as error:
        print(error)
try:
    pool.map(work, range(3))
except ValueError as error:
    print(error)
"""


def test_a_pool_maps_in_clean_interpreters_where_there_are_threads(tmp_path: Path) -> None:
    said = run(tmp_path, CLEAN).out.splitlines()
    assert said[0] in "12" and said[1] in "12"
    assert said[2] == "integer division or modulo by zero"
    assert said[3].startswith("this pool's tasks run serially, in this process: workers cannot be")
    assert "theirs" in said[3] and "`map` and `starmap` have clean interpreters" in said[3]
    assert said[4] == "the pool has been closed: it takes no more tasks"


def test_an_interrupt_as_the_workers_are_made_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    hire = Staff.hire

    def interrupted(staff: Staff) -> Any:
        if staff.members:
            raise KeyboardInterrupt
        return hire(staff)

    monkeypatch.setattr(Staff, "hire", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Pool(2)


def test_workers_that_nobody_holds_end() -> None:
    Staff(2, None, (), None)


def test_big_arguments_go_beside_the_pickle() -> None:
    """They come as ordinary arrays, each worker's own."""
    arrays = [np.full(100_000, float(k)) for k in range(6)]
    with Pool(2) as pool:
        found = pool.map(changed, arrays, chunksize=2)
        assert [a[0] for a in found] == [2.0 * k + 1 for k in range(6)]
        assert pool.starmap(total_of, [(a, b"x" * 500_000) for a in arrays]) == [
            k * 100_000 + 500_000 for k in range(6)
        ]
    assert [a.max() for a in arrays] == list(range(6))


def changed(a: np.ndarray) -> np.ndarray:
    a *= 2
    a += 1
    return a


def total_of(a: np.ndarray, more: bytes) -> float:
    return float(a.sum()) + len(more)


def test_a_helper_that_is_just_leaving_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from allcores.engine import staff

    left = threading.Event()

    def leave_slowly(of: staff.Staff) -> None:
        of.help()
        left.wait(0.2)  # nobody sets it: for so long the thread is on its way out

    monkeypatch.setattr(staff, "_help", leave_slowly)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ParallelWarning)
        executor = Executor(1)
        assert executor.submit(abs, -3).result(PATIENCE) == 3
        executor.shutdown(wait=False)
        with Pool(1) as pool:
            assert pool.apply_async(os.getpid).get(PATIENCE) != os.getpid()
