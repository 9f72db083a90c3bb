"""Loops and `map` when workers are lost, take too long or too much memory: as the plain loop, or
with exactly the error that was asked for."""

from __future__ import annotations

import contextlib
import io
import linecache
import os
import random
import sys
import time
import types
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import allcores
from allcores import WorkerDied, parallel
from allcores.engine import serve
from tests.same import forced

MB = 1 << 20
_numbers = count()

PROGRAMS = {
    "lists and temporaries": """
        rows, by, total = [], {}, 0.5
        for x in each(range(24)):
            harm(x)
            y = x * 0.1
            if x % 3:
                z = [y]
                rows.append((x, z))
            by[x % 5] = y
            total += y
        outcome = rows, by, total, x, y, z, rows[-1][1] is z
    """,
    "items that are changed": """
        class Star:
            def __init__(self, n):
                self.n, self.log = n, [n]
            def fit(self):
                self.log.append(self.n * 2)
                harm(self.n)
                self.n += 100
        stars, total = [Star(k) for k in range(24)], 0
        for star in each(stars):
            star.fit()
            total += star.n
        outcome = [(star.n, star.log) for star in stars], total
    """,
    "own elements": """
        a = [k * 0.3 for k in range(24)]
        for k in each(range(24)):
            harm(k)
            a[k] = a[k] ** 2 + k
        outcome = a, k
    """,
    "random numbers": """
        import random
        random.seed(5)
        drawn = []
        for k in each(range(24)):
            harm(k)
            drawn.append(random.random() + k)
        outcome = drawn, random.random()
    """,
    "a generator and prints": """
        def numbers():
            for k in range(24):
                yield k
        def speak(k):
            print("at", k)
            harm(k)
            print("done", k)
            return k
        for k in each(numbers()):
            s = speak(k)
            print(s)
        outcome = k, s
    """,
    "a way out": """
        found = []
        for k in each(range(400)):
            harm(k)
            if k == 17:
                break
            found.append(k)
        else:
            found.append("none")
        outcome = found, k
    """,
}


def run(program: str, each: Callable[[Any], Any], harm: Callable[[int], None]) -> Any:
    """What a program comes to, and what it prints."""
    source = "\n".join(line[8:] for line in PROGRAMS[program].splitlines())
    name = f"<limited-{next(_numbers)}>"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    module = types.ModuleType(name)
    module.__dict__.update(each=each, harm=harm)
    sys.modules[name] = module
    with contextlib.redirect_stdout(io.StringIO()) as printed, forced(WORKERS="2"):
        exec(compile(source, name, "exec"), module.__dict__)
    del sys.modules[name]
    return module.outcome, printed.getvalue()


def sure(each: Callable[..., Any], **how: Any) -> Callable[[Any], Any]:
    """`each` with these arguments."""
    return lambda items: each(items, random="streams", strict=True, **how)


@pytest.mark.parametrize("program", PROGRAMS)
def test_loops_that_lose_workers_come_out_as_the_plain_loop(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = os.getpid()
    if program == "random numbers":
        expected = run(program, sure(parallel, on="serial"), lambda k: None)
    else:
        expected = run(program, iter, lambda k: None)
    rng = random.Random(program)
    for chunk in (1, 7, 50, None):
        folder = tmp_path / str(chunk)
        folder.mkdir()
        deadly = set(rng.sample(range(24), 4))

        def harm(k: int, deadly: set[int] = deadly, folder: Path = folder) -> None:
            if k in deadly and os.getpid() != home and not (folder / str(k)).exists():
                (folder / str(k)).touch()
                os._exit(3)

        monkeypatch.setattr(serve, "ANSWER_SECONDS", rng.choice([-1, 0.0005, 0.1]))
        assert run(program, sure(parallel, chunk=chunk), harm) == expected
        assert list(folder.iterdir())


@pytest.mark.parametrize("program", ["lists and temporaries", "items that are changed"])
def test_a_loop_that_takes_too_long_has_done_what_comes_before(program: str) -> None:
    left: dict[str, Any] = {}

    def harm(k: int) -> None:
        if k == 13:
            time.sleep(100)

    def stops(items: Any) -> Iterator[Any]:
        for item in items:
            if getattr(item, "n", item) == 13:
                raise TimeoutError
            yield item

    def seen(each: Callable[[Any], Any], harm: Callable[[int], None]) -> Any:
        modules: list[Any] = []
        with pytest.raises(TimeoutError) as caught:
            run(program, lambda items: modules.append(sys._getframe(1)) or each(items), harm)
        names = modules[0].f_globals
        left["error"] = caught.value
        if "stars" in names:
            return [(star.n, star.log) for star in names["stars"]], names["total"]
        return [names[n] for n in ("rows", "by", "total", "y", "z")]

    expected = seen(stops, lambda k: None)
    assert seen(sure(parallel, timeout=0.2, chunk=5), harm) == expected
    assert "iteration 13 (item " in str(left["error"])
    assert "took longer than timeout=0.2 seconds" in str(left["error"])


def test_the_error_of_a_death_counts_from_the_loops_beginning() -> None:
    home = os.getpid()

    def work(x: int) -> int:
        end = time.perf_counter() + 0.001
        while time.perf_counter() < end:
            pass
        if x == 60 and os.getpid() != home:
            os._exit(1)
        return x

    # On a busy machine a loop may do without workers.
    for _ in range(20):
        out: list[int] = []
        try:
            with forced(False, WORKERS="2"):
                for x in parallel(range(300), retries=0):
                    out.append(work(x))
        except WorkerDied as error:
            assert "iteration 60 (item 60)" in str(error)
            assert (out, x) == (list(range(60)), 60)
            return
        assert out == list(range(300))
    raise AssertionError("no worker was ever made")


@pytest.mark.parametrize("mapped", [False, True])
def test_what_killed_the_last_worker_that_can_be_had_is_not_done_here(
    mapped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, fork, made = os.getpid(), os.fork, []

    def grudging() -> int:
        made.append(1)
        if len(made) > 1:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return fork()

    def work(x: int) -> int:
        if x == 6:
            assert os.getpid() != home
            os._exit(3)
        return x

    monkeypatch.setattr(os, "fork", grudging)
    done = []
    with (
        forced(WORKERS="2", ON="fork"),
        pytest.raises(WorkerDied, match=r"code 3 in iteration 6 \(item 6\);"),
    ):
        with pytest.warns(allcores.ParallelWarning, match="refused to make a worker"):
            if mapped:
                allcores.map(work, range(9), chunk=4)
            for x in parallel(range(9), chunk=4):
                done.append(work(x))
    assert done == list(range(0 if mapped else 6))


def test_memory_errors_are_those_of_the_iteration_and_the_loop_can_go_on() -> None:
    def work(x: int) -> int:
        return len(bytes(400 * MB)) if x == 5 else x

    out = []
    with forced(WORKERS="2"), pytest.raises(MemoryError) as caught:
        for x in parallel(range(12), memory=150 * MB):
            out.append(work(x))
    assert (out, x) == (list(range(5)), 5)
    assert any("iteration 5 (item 5)" in note for note in caught.value.__notes__)
    out.clear()
    with forced(WORKERS="2"):
        for x in parallel(range(12), memory=150 * MB, on_error="skip"):
            out.append(work(x))
    assert out == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]


def test_variables_are_not_those_of_an_iteration_that_had_no_memory() -> None:
    def loop(each: Callable[[Any], Any], big: int) -> Any:
        kept = []
        for x in each(range(12)):
            if x == 8:
                z = [x]
                held = bytes(big)
                z.append(len(held))
            else:
                y = [x]
                z = [y]
                kept.append(y)
        return kept, z, z[0] is kept[-1], z[0] is y

    def without(items: Any) -> Any:
        return (x for x in items if x != 8)

    with forced(WORKERS="2"):
        for stop in (9, 12):
            for chunk in (1, 4, 9, 12):
                limited = sure(parallel, memory=150 * MB, on_error="skip", chunk=chunk)
                ours = loop(lambda items: limited(items[:stop]), 400 * MB)
                assert ours == loop(lambda items: without(items[:stop]), 1), (stop, chunk)


def test_what_is_left_out_for_time_and_memory_is_collected() -> None:
    def work(x: int) -> int:
        if x == 3:
            time.sleep(100)
        if x == 6:
            return len(bytes(400 * MB))
        if x == 9:
            os._exit(1)
        return x

    loop = parallel(range(12), on_error="collect", timeout=0.3, memory=150 * MB, retries=0)
    out = []
    with forced(WORKERS="2"), pytest.warns(allcores.SkippedWarning, match="3 iterations"):
        for x in loop:
            out.append(work(x))
    assert out == [x for x in range(12) if x not in (3, 6, 9)]
    assert [(f.index, type(f.exception)) for f in loop.errors] == [
        (3, TimeoutError),
        (6, MemoryError),
        (9, WorkerDied),
    ]


# -- map

LIMITS: dict[str, Any] = {"timeout": 0.3, "memory": 150 * MB, "retries": 0}


def faulty(x: int) -> int:
    if x == 3:
        time.sleep(100)
    if x == 6:
        return len(bytes(400 * MB))
    if x == 9:
        os._exit(1)
    return x * x


@pytest.mark.parametrize("chunk", [1, 5, None])
def test_map_with_limits_leaves_out_what_passes_them(chunk: int | None) -> None:
    with pytest.warns(allcores.SkippedWarning, match="3 items"):
        found: Any = allcores.map(faulty, range(12), chunk=chunk, on_error="collect", **LIMITS)
    assert found == [x * x for x in range(12) if x not in (3, 6, 9)]
    kinds = [(f.index, f.item, type(f.exception)) for f in found.errors]
    assert kinds == [(3, 3, TimeoutError), (6, 6, MemoryError), (9, 9, WorkerDied)]


@pytest.mark.parametrize(
    "first, kind, says",
    [
        (3, TimeoutError, r"iteration 3 \(item 3\) took longer than timeout=0.3 seconds"),
        (6, MemoryError, None),
        (9, WorkerDied, r"code 1 in iteration 9 \(item 9\);"),
    ],
)
def test_map_with_limits_raises_in_the_items_turn(
    first: int, kind: type[Exception], says: str | None
) -> None:
    def work(x: int) -> int:
        return faulty(x) if x >= first else x * x

    got = []
    with pytest.raises(kind, match=says) as caught:
        for result in allcores.imap(work, range(12), chunk=4, **LIMITS):
            got.append(result)
    assert got == [x * x for x in range(first)]
    assert any(f"{first}" in note for note in getattr(caught.value, "__notes__", ()))
