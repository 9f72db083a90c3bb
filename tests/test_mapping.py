"""`map`, `imap` and `starmap`: the list comprehension's outcome, for any function."""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import allcores
from allcores import ParallelWarning, WorkerDied
from sessions import Session, run, wait_for


@pytest.fixture(params=["tasted", "forced"])
def forced(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test twice: with workers where they are worth it, and with workers in any case."""
    monkeypatch.setenv("ALLCORES_WORKERS", "2")
    if request.param == "forced":
        monkeypatch.setenv("ALLCORES_FORCE", "1")


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """With workers in any case."""
    monkeypatch.setenv("ALLCORES_WORKERS", "2")
    monkeypatch.setenv("ALLCORES_FORCE", "1")


@pytest.fixture(autouse=True)
def nobody_is_left() -> Iterator[None]:
    yield
    # Clean interpreters that have ended, idle for long, are noticed when somebody looks.
    if "allcores.engine.interpreters" in sys.modules:
        standby = sys.modules["allcores.engine.interpreters"].standby
        with standby.lock:
            standby.look()
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    said = [Path(f"/proc/{child}/cmdline").read_text() for child in children]
    # Clean interpreters stay for the next loop.
    assert [s for s in said if "resource_tracker" not in s and "fresh_worker" not in s] == []


def square(x: int) -> int:
    return x * x


def slow_square(x: int) -> int:
    end = time.perf_counter() + 0.0001
    while time.perf_counter() < end:
        pass
    return x * x


# -- results


@pytest.mark.usefixtures("forced")
@pytest.mark.parametrize("fn", [square, slow_square])
@pytest.mark.parametrize("n", [0, 1, 2, 7, 300, 2000])
def test_results_are_those_of_the_comprehension(fn: Any, n: int) -> None:
    expected = [x * x for x in range(n)]
    assert allcores.map(fn, range(n)) == expected
    assert allcores.map(fn, list(range(n))) == expected
    assert allcores.map(fn, (x for x in range(n))) == expected
    assert list(allcores.imap(fn, range(n))) == expected
    assert list(allcores.imap(fn, iter(list(range(n))))) == expected
    assert list(allcores.imap(fn, (x for x in range(n)))) == expected


@pytest.mark.usefixtures("forced")
def test_several_iterables_and_starmap() -> None:
    assert allcores.map(pow, range(500), itertools.repeat(2)) == [x * x for x in range(500)]
    assert allcores.map(lambda a, b, c: (a, b, c), "abc", [1, 2, 3, 4], range(9)) == [
        ("a", 1, 0),
        ("b", 2, 1),
        ("c", 3, 2),
    ]
    pairs = [(x, x + 1) for x in range(500)]
    expected = [a * b for a, b in pairs]
    assert allcores.starmap(lambda a, b: a * b, pairs) == expected
    assert allcores.starmap(lambda a, b: a * b, iter(pairs), chunk=3) == expected
    assert list(allcores.imap(pow, [2, 3], [3, 2])) == [8, 9]


@pytest.mark.usefixtures("workers")
@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_chunks_change_nothing(chunk: int) -> None:
    assert allcores.map(square, range(100), chunk=chunk) == [x * x for x in range(100)]
    assert list(allcores.imap(square, iter(range(100)), chunk=chunk)) == [x * x for x in range(100)]


@pytest.mark.usefixtures("workers")
def test_functions_that_cannot_be_pickled() -> None:
    class Instrument:
        def __init__(self, factor: int) -> None:
            self.factor, self.lock, self.file = factor, threading.Lock(), open(os.devnull)

        def read(self, x: int) -> int:
            with self.lock:
                return x * self.factor

    instrument = Instrument(3)
    for _ in range(2):
        expected = [x * instrument.factor for x in range(20)]
        assert allcores.map(instrument.read, range(20)) == expected
        assert allcores.map(partial(instrument.read), range(20)) == expected
        assert allcores.map(lambda x: instrument.read(x), range(20)) == expected
        instrument.factor = 5
    instrument.file.close()


class Pickled:
    count = 0

    def __getstate__(self) -> dict[str, Any]:
        Pickled.count += 1
        return {}


@pytest.mark.usefixtures("workers")
def test_what_a_partial_holds_is_not_pickled() -> None:
    def use(held: Pickled, x: int) -> tuple[int, int]:
        return held.count, x

    assert allcores.map(partial(use, Pickled()), range(50), chunk=1) == [(0, x) for x in range(50)]
    assert Pickled.count == 0


@pytest.mark.usefixtures("workers")
def test_work_is_done_by_several_processes() -> None:
    def who(_: Any) -> int:
        time.sleep(0.005)
        return os.getpid()

    found = set(allcores.map(who, range(20), chunk=1, on="fork"))
    assert len(found) == 2
    assert os.getpid() not in found
    assert set(allcores.map(who, range(3), on="serial")) == {os.getpid()}
    assert set(allcores.map(who, range(3), workers=3, on="fork")) - found


def test_tiny_work_stays_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLCORES_WORKERS", "2")
    # Other programs on the machine make no work bigger than it is.
    monkeypatch.setattr("allcores.map_call.perf_counter", time.thread_time)
    seen = []
    results = allcores.map(lambda x: seen.append(x) or os.getpid(), range(100_000))
    assert set(results) == {os.getpid()}
    assert seen == list(range(100_000))


def test_what_was_printed_before_a_result_that_cannot_be_pickled(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        """
        import allcores, threading

        def work(x):
            print("at", x)
            return threading.Lock() if x % 7 == 3 else x

        print(len(allcores.map(work, range(20), chunk=10)))
        """,
        ALLCORES_FORCE="1",
    )
    assert outcome == (0, "".join(f"at {x}\n" for x in range(20)) + "20\n", "")


@pytest.mark.usefixtures("workers")
def test_results_and_items_that_cannot_be_pickled() -> None:
    assert [f(2) for f in allcores.map(lambda k: lambda x: x + k, range(5))] == [2, 3, 4, 5, 6]
    assert allcores.map(lambda f: f(2), [lambda x, k=k: x + k for k in range(5)]) == [2, 3, 4, 5, 6]
    functions = (lambda x, k=k: x + k for k in range(5))
    assert list(allcores.imap(lambda f: f(2), functions)) == [2, 3, 4, 5, 6]


def test_many_results_that_cannot_be_pickled_are_made_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALLCORES_WORKERS", "2")
    with pytest.warns(ParallelWarning, match="cannot pickle '_thread.lock'") as caught:
        results = allcores.map(lambda x: (slow_square(x), threading.Lock()), range(40))
    assert [r[0] for r in results] == [x * x for x in range(40)]
    assert caught[0].filename == __file__


@pytest.mark.usefixtures("workers")
def test_a_function_that_fills_one_object_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    array, inner = np.zeros(2), [0]

    def fill(x: int) -> Any:
        array[:] = x * x
        return array

    def fill_inner(x: int) -> Any:
        inner[0] = x * x
        return x, inner

    for source in (range(24), iter(list(range(24))), (x for x in range(24))):
        results = allcores.imap(fill, source, chunk=8)
        assert [r[1] for r in results] == [x * x for x in range(24)]
    pairs = allcores.imap(fill_inner, range(24), chunk=8)
    assert [held[0] for _, held in pairs] == [x * x for x in range(24)]
    monkeypatch.delenv("ALLCORES_FORCE")
    with pytest.warns(ParallelWarning, match="gives the same object each time"):
        assert allcores.map(lambda x: fill(x), range(24), chunk=12)[0][0] == 23 * 23


# -- imap


@pytest.mark.usefixtures("workers")
def test_imap_reads_its_input_as_results_are_taken() -> None:
    read = 0

    def numbers() -> Iterator[int]:
        nonlocal read
        for read in itertools.count():
            yield read

    results = allcores.imap(square, numbers())
    assert read == 0
    assert [next(results) for _ in range(1000)] == [x * x for x in range(1000)]
    before = read
    time.sleep(0.05)
    assert read == before  # nothing is read while nobody asks
    results.close()  # type: ignore[attr-defined]
    with pytest.raises(StopIteration):
        next(results)


@pytest.mark.usefixtures("workers")
def test_imap_of_a_range_without_end_takes_no_memory() -> None:
    results = allcores.imap(square, range(10**12))
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    del results


@pytest.mark.usefixtures("workers")
def test_closing_imap_stops_the_workers(tmp_path: Path) -> None:
    def work(x: int) -> int:
        (tmp_path / str(os.getpid())).touch()
        if x:
            time.sleep(60)
        return x

    results = allcores.imap(work, range(10), chunk=1)
    assert next(results) == 0
    # A clean interpreter that is ready later begins when the next result is asked for.
    begun = 1 if os.environ.get("ALLCORES_ON") == "fresh" else 2
    wait_for(lambda: len(os.listdir(tmp_path)) >= begun)
    results.close()  # type: ignore[attr-defined]
    for name in os.listdir(tmp_path):
        assert not Path(f"/proc/{name}").exists()


# -- exceptions


class Odd(Exception):
    def __init__(self, number: int, *, why: str) -> None:
        super().__init__(f"{number} is odd")
        self.number, self.why = number, why


def even(x: int) -> int:
    if x == 113:
        raise Odd(x, why="it is so")  # here
    return x


@pytest.mark.usefixtures("workers")
def test_an_exception_is_itself_and_says_where() -> None:
    with pytest.raises(Odd, match="113 is odd") as caught:
        allcores.map(even, range(300))
    assert (caught.value.number, caught.value.why) == (113, "it is so")
    assert caught.value.__notes__ == ["in item 113 of map(), 113"]
    here, there = traceback.extract_tb(caught.value.__traceback__)
    assert here.line == "allcores.map(even, range(300))"
    assert (there.name, "# here" in str(there.line)) == ("even", True)


@pytest.mark.usefixtures("forced")
def test_imap_gives_what_came_before_the_exception() -> None:
    for source in (range(300), iter(range(300)), (x for x in range(300))):
        results = allcores.imap(even, source)
        assert list(itertools.islice(results, 113)) == list(range(113))
        with pytest.raises(Odd):
            next(results)
        with pytest.raises(StopIteration):
            next(results)


@pytest.mark.usefixtures("forced")
@pytest.mark.parametrize("how", [{}, {"on": "serial"}])
def test_a_function_that_raises_stopiteration(how: dict[str, Any]) -> None:
    def inner(x: int) -> Iterator[int]:
        yield next(iter(()))

    for source in (range(9), iter(range(9)), (x for x in range(9))):
        with pytest.raises(StopIteration) as caught:
            allcores.map(lambda x: next(iter(())), source, **how)
        assert caught.value.__cause__ is None
    with pytest.raises(RuntimeError, match="generator raised StopIteration"):
        allcores.map(lambda x: list(inner(x)), range(9), **how)
    with pytest.raises(RuntimeError, match="generator raised StopIteration"):
        list(allcores.imap(lambda x: next(iter(())), range(9), **how))


@pytest.mark.usefixtures("forced")
def test_an_iterator_that_is_passed_in_is_used_up() -> None:
    for source in (iter(range(30)), iter(list(range(30))), iter(range(2**70, 2**70 + 30))):
        first = next(source)
        assert allcores.map(slow_square, source) == [(first + k) ** 2 for k in range(1, 30)]
        assert list(source) == []


@pytest.mark.usefixtures("forced")
def test_of_two_exceptions_the_first_in_order() -> None:
    def bad(x: int) -> int:
        if x >= 3:
            time.sleep(0.05 if x == 3 else 0)
            raise ValueError(x)
        return x

    with pytest.raises(ValueError, match="3"):
        allcores.map(bad, range(20), chunk=1)


@pytest.mark.usefixtures("forced")
def test_exceptions_of_the_input_come_after_all_results() -> None:
    def numbers() -> Iterator[int]:
        yield from range(50)
        raise LookupError("no more")

    got = []
    with pytest.raises(LookupError):
        for result in allcores.imap(square, numbers()):
            got.append(result)
    assert got == [x * x for x in range(50)]
    with pytest.raises(LookupError):
        allcores.map(square, numbers())


@pytest.mark.usefixtures("workers")
def test_exit_in_the_function_is_exit_here() -> None:
    with pytest.raises(SystemExit) as caught:
        allcores.map(lambda x: exit(x) if x == 4 else x, range(9))
    assert caught.value.code == 4


@pytest.mark.usefixtures("workers")
def test_a_worker_that_dies(tmp_path: Path) -> None:
    with pytest.raises(WorkerDied, match=r"iteration 5 \(item 5\), twice"):
        allcores.map(lambda x: os._exit(3) if x == 5 else x, range(9))

    def once(x: int) -> int:
        if x == 5 and not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return x

    assert allcores.map(once, range(9)) == list(range(9))


def test_bad_arguments() -> None:
    for call in (allcores.map, allcores.imap, allcores.starmap):
        with pytest.raises(TypeError, match="needs a function first, not int"):
            call(3, [1])  # type: ignore[operator]
        with pytest.raises(TypeError, match="perhaps range"):
            call(square, 3)  # type: ignore[operator]
        with pytest.raises(ValueError, match="workers"):
            call(square, [1], workers=0)
        with pytest.raises(ValueError, match="on must be"):
            call(square, [1], on="cloud")
        with pytest.raises(ValueError, match="chunk"):
            call(square, [1], chunk=-1)
    for call in (allcores.map, allcores.imap):
        with pytest.raises(TypeError, match="at least one iterable"):
            call(square)


# -- output


def test_prints_come_in_order(tmp_path: Path) -> None:
    source = """
        import logging, os, sys, warnings
        import allcores

        logging.basicConfig(format="%(message)s")

        def say(x):
            print("out", x)
            print("err", x, file=sys.stderr)
            logging.warning("log %s", x)
            if x % 5 == 0:
                warnings.warn("five")
            if x == 12:
                raise ValueError("twelve")
            return x

        got = []
        try:
            for value in allcores.imap(say, range(30)):
                got.append(value)
                print("got", value)
        except ValueError as error:
            print(repr(error), got)
        """
    plain = run(tmp_path, source, ALLCORES_ON="serial")
    for chunk in ("", ", chunk=1"):
        forced = run(tmp_path, source.replace("range(30)", f"range(30){chunk}"), ALLCORES_FORCE="1")
        assert [x for x in forced.out.split("\n") if "got" not in x] == [
            x for x in plain.out.split("\n") if "got" not in x
        ]
        assert forced.err == plain.err


def test_output_of_programs_is_not_lost(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        """
        import os, allcores
        allcores.map(lambda x: os.system(f"echo {x}"), range(6), chunk=2)
        """,
        ALLCORES_FORCE="1",
    )
    assert outcome.out.split() == ["0", "1", "2", "3", "4", "5"]


# -- random numbers


def draws(x: int) -> tuple[float, float]:
    time.sleep(0.0002)
    return random.random(), float(np.random.rand())


def seeded(count: int = 200, **how: Any) -> list[Any]:
    random.seed(7)
    np.random.seed(7)
    return [allcores.map(draws, range(count), **how), allcores.map(draws, range(count), **how)]


def test_random_numbers_are_the_same_for_any_number_of_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = seeded(on="serial")
    assert len({v for results in expected for pair in results for v in pair}) == 800
    for how in ({"workers": 2}, {"workers": 3, "chunk": 7}, {"workers": 1}, {"chunk": 1}):
        assert seeded(**how) == expected
    monkeypatch.setenv("ALLCORES_FORCE", "1")
    assert seeded(workers=2) == expected
    random.seed(7)
    np.random.seed(7)
    assert list(allcores.imap(draws, (x for x in range(200)), workers=2)) == expected[0]


@pytest.mark.usefixtures("workers")
@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState, random.Random])
def test_generators_that_a_function_holds(make: Any) -> None:
    def results(how: dict[str, Any]) -> list[float]:
        rng = make(3)
        holder = {"rng": rng}
        return [
            *allcores.map(lambda _: float(rng.random()), range(40), **how),
            *allcores.map(partial(lambda h, _: float(h["rng"].random()), holder), range(40), **how),
        ]

    expected = results({"on": "serial"})
    assert len(set(expected)) == 80
    assert results({}) == results({"workers": 3}) == expected


@pytest.mark.usefixtures("workers")
def test_an_item_that_draws_late() -> None:
    def sometimes(x: int) -> float:
        return random.random() if x > 150 else 0.0

    random.seed(1)
    expected = allcores.map(sometimes, range(200), on="serial")
    random.seed(1)
    assert allcores.map(sometimes, range(200)) == expected


@pytest.mark.usefixtures("workers")
def test_a_function_that_draws_nothing_leaves_the_streams_alone() -> None:
    random.seed(5)
    np.random.seed(5)
    before = random.getstate(), np.random.get_state()[1].tolist()
    allcores.map(square, range(100))
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


# -- where it cannot be parallel


def test_threads_of_unknown_kind() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="theirs")
    thread.start()
    try:
        with pytest.warns(ParallelWarning, match=r"map\(\) runs serially.*'theirs'") as caught:
            found = allcores.map(slow_square, range(500), workers=2, on="fork")
        assert found == [x * x for x in range(500)]
        assert caught[0].filename == __file__
    finally:
        stop.set()
        thread.join()


@pytest.mark.usefixtures("workers")
def test_a_map_in_a_map_runs_natively() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nested = allcores.map(
            lambda n: allcores.map(lambda x: (x, os.getpid()), range(n)), range(4)
        )
    assert [[x for x, _ in inner] for inner in nested] == [list(range(n)) for n in range(4)]


def test_an_interrupt(tmp_path: Path) -> None:
    session = Session(
        tmp_path,
        """
        import os, time, allcores

        def nap(x):
            if x > 1:
                open(f"napping{x}", "w").close()
                time.sleep(60)
            return x

        got = []
        try:
            for value in allcores.imap(nap, range(8), chunk=1):
                got.append(value)
                print(value, flush=True)
        except KeyboardInterrupt:
            print(got)
        """,
        ALLCORES_FORCE="1",
    )
    assert [session.line(), session.line()] == ["0", "1"]
    wait_for(lambda: (tmp_path / "napping2").exists() and (tmp_path / "napping3").exists())
    os.killpg(session.process.pid, signal.SIGINT)
    outcome = session.end()
    assert (outcome.code, outcome.out, outcome.err) == (0, "[0, 1]\n", "")


@pytest.mark.usefixtures("forced")
def test_threads_take_nothing_from_the_input() -> None:
    numbers, letters = iter(range(5)), iter("abc")
    given = allcores.map(lambda x, y: (x, y), numbers, letters, on="threads", workers=2)
    assert given == [(0, "a"), (1, "b"), (2, "c")]
    assert list(numbers) == [4]
    # Too many to be held, so that they are read as they are needed.
    many = allcores.imap(
        lambda x, _: x, range(3_000_000), range(3_000_000), on="threads", workers=2
    )
    assert list(itertools.islice(many, 50)) == list(range(50))
    many.close()
