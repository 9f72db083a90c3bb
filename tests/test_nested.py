"""Loops within loops, and in threads that the program has made: real workers, threads and servers."""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import allcores
from allcores import ParallelWarning, parallel
from allcores.loop import LoopReport
from allcores.plan.quiet import no_warnings
from tests.same import forced


def slow_root(x: int) -> float:
    return math.sqrt(sum(k % 7 for k in range(x % 50)))


# -- in a worker


def roots(n: int) -> list[float]:
    found = []
    for x in parallel(range(n)):
        found.append(slow_root(x))
    return found


def square(x: int) -> int:
    return x * x


def pooled(x: int) -> list[int]:
    with allcores.Pool(2) as pool:
        return pool.map(square, range(x))


def executed(x: int) -> list[int]:
    with allcores.Executor(2) as executor:
        return list(executor.map(square, range(x)))


def std_pooled(x: int) -> list[int]:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(square, range(x))


def threaded(x: int) -> list[int]:
    with ThreadPoolExecutor(2) as executor:
        return list(executor.map(square, range(x)))


def commanded(x: int) -> str:
    return subprocess.run(
        [sys.executable, "-S", "-c", f"print({x})"], capture_output=True, text=True, check=True
    ).stdout


def mapped(x: int) -> list[int]:
    return allcores.map(square, range(x))


@pytest.mark.parametrize(
    "work",
    [roots, mapped, pooled, executed, std_pooled, threaded, commanded],
    ids=lambda f: f.__name__,
)
def test_what_work_may_itself_do(work: Callable[[int], Any]) -> None:
    plain = [work(x) for x in range(4)]
    found = []
    with forced():
        for x in parallel(range(4), workers=2, strict=True):
            found.append((x * 1, work(x), os.getpid()))
    assert [made for _, made, _ in found] == plain
    assert os.getpid() not in {process for _, _, process in found}


def test_workers_of_pools_run_loops_natively() -> None:
    with allcores.Pool(2) as pool:
        assert pool.map(roots, [5, 6]) == [roots(5), roots(6)]


# -- in threads of the program's


@pytest.fixture(autouse=True)
def may_be_serial() -> Iterator[None]:
    """Where no workers can be made beside the main thread, loops run serially, and say so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ParallelWarning)
        yield
    assert not multiprocessing.active_children()


def in_threads(number: int, work: Callable[[int], Any]) -> list[Any]:
    """What the function gives in so many threads that all start together."""
    begin = threading.Barrier(number)
    found: list[Any] = [None] * number

    def run(k: int) -> None:
        begin.wait(20)
        try:
            found[k] = work(k)
        except BaseException as error:
            found[k] = error

    threads = [threading.Thread(target=run, args=(k,)) for k in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return found


def sums(n: int) -> tuple[list[float], float, int]:
    found: list[float] = []
    total, last = 0.0, -1
    for x in parallel(range(n), workers=2):
        root = slow_root(x)
        found.append(root)
        total += root
        last = x
    return found, total, last


def test_a_loop_in_a_thread() -> None:
    with forced():
        assert in_threads(1, lambda _: sums(50)) == [sums(50)]


def test_the_same_loop_in_several_threads_at_once(reports: list[LoopReport]) -> None:
    expected = [sums(n) for n in (30, 41, 52, 63)]
    with forced():
        assert in_threads(4, lambda k: sums(30 + 11 * k)) == expected


def test_loops_in_the_main_thread_and_beside_it() -> None:
    expected = sums(40)
    stop = threading.Event()
    found: list[Any] = []

    def often() -> None:
        while not stop.is_set():
            found.append(sums(40))

    with forced():
        thread = threading.Thread(target=often)
        thread.start()
        try:
            for _ in range(5):
                assert sums(40) == expected
            assert allcores.map(slow_root, range(40)) == expected[0]
        finally:
            stop.set()
            thread.join(60)
    assert not thread.is_alive()
    assert found and all(each == expected for each in found)


class Meter:
    def __init__(self, scale: int) -> None:
        self.scale = scale

    def read(self, x: int) -> int:
        return self.scale * x


class Thermometer(Meter):
    def read(self, x: int) -> int:
        return self.scale + x


class Counter(Meter):
    """Changes something, so that a loop that calls it cannot run in parallel."""

    def read(self, x: int) -> int:
        self.scale += x
        return self.scale


def readings(meter: Meter, n: int) -> list[int]:
    found = []
    for x in parallel(range(n), workers=2):
        found.append(meter.read(x))
    return found


def test_one_loop_over_other_types_in_each_thread() -> None:
    """Each has a Plan of its own, and what is compiled for it."""
    kinds: list[type[Meter]] = [Meter, Thermometer, Counter]

    def work(k: int) -> list[list[int]]:
        return [readings(kinds[(k + turn) % 3](turn), 20) for turn in range(12)]

    expected = [work(k) for k in range(3)]
    with forced():
        assert in_threads(3, work) == expected


def failing(n: int) -> int:
    done = 0
    for x in parallel(range(n), workers=2):
        if x == 7:
            raise LookupError(x)
        done += square(x)
    return done


def test_exceptions_in_threads() -> None:
    with forced():
        errors = in_threads(2, lambda _: failing(20))
    assert [(type(error), error.args) for error in errors] == [(LookupError, (7,))] * 2


def test_a_thread_that_reads_loops_leaves_the_programs_warnings_as_they_are() -> None:
    stop = threading.Event()

    def compile_often() -> None:
        while not stop.is_set():
            with no_warnings():
                pass

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        threads = [threading.Thread(target=compile_often) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(300):
            warnings.warn("still here", UserWarning, stacklevel=1)
        stop.set()
        for thread in threads:
            thread.join()
        assert list(warnings.filters) == before
    assert len(caught) == 300


def test_tasks_of_a_thread_pool() -> None:
    with forced(), ThreadPoolExecutor(3) as executor:
        assert list(executor.map(sums, [20, 30, 40, 20])) == [sums(n) for n in (20, 30, 40, 20)]


def test_asyncio_to_thread() -> None:
    async def main() -> list[Any]:
        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                beats += 1
                await asyncio.sleep(0)

        beating = asyncio.create_task(beat())
        both = await asyncio.gather(asyncio.to_thread(sums, 30), asyncio.to_thread(sums, 40))
        beating.cancel()
        assert beats > 0
        return both

    with forced():
        assert asyncio.run(main()) == [sums(30), sums(40)]


async def in_a_coroutine(n: int) -> list[float]:
    found = []
    for x in parallel(range(n), workers=2):
        found.append(slow_root(x))
    await asyncio.sleep(0)
    return found


def test_a_loop_in_a_coroutine() -> None:
    with forced():
        assert asyncio.run(in_a_coroutine(20)) == roots(20)


def test_requests_of_a_threading_server() -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = repr(sums(int(self.path[1:]))).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    def ask(n: int) -> str:
        address = f"http://127.0.0.1:{server.server_port}/{n}"
        with urllib.request.urlopen(address, timeout=30) as answer:
            return str(answer.read().decode())

    with forced(), ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            assert in_threads(3, lambda k: ask(20 + k)) == [repr(sums(20 + k)) for k in range(3)]
        finally:
            server.shutdown()
            serving.join()


# -- whole programs


def program(folder: Path, text: str, **environment: str) -> subprocess.Popen[str]:
    script = folder / "program.py"
    script.write_text(textwrap.dedent(text))
    return subprocess.Popen(
        [sys.executable, str(script)],
        env={**os.environ, "ALLCORES_FORCE": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def left_of(session: int) -> list[int]:
    """The processes of a session that are still there."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.getsid(int(name)) == session:
                state = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[0]
                found += [int(name)] if state != "Z" else []
        except (OSError, ProcessLookupError):
            pass
    return found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_ctrl_c_while_a_thread_is_in_a_loop(tmp_path: Path) -> None:
    running = program(
        tmp_path,
        """
        import threading, time, warnings
        from allcores import parallel
        warnings.simplefilter("ignore")
        def nap(x):
            time.sleep(0.02)
            return x
        out = []
        def work():
            for x in parallel(range(40), workers=2):
                out.append(nap(x))
        thread = threading.Thread(target=work)
        thread.start()
        print("begun", flush=True)
        try:
            # A signal that comes just before a sleep begins does not end that sleep.
            for _ in range(600):
                time.sleep(0.05)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        thread.join()
        print(out == list(range(40)))
        """,
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "begun\n"
    time.sleep(0.1)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to workers as well
    out, err = running.communicate(timeout=30)
    assert (out, err, running.returncode) == ("interrupted\nTrue\n", "", 0)
    assert left_of(running.pid) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_the_program_ends_while_a_daemon_thread_is_in_a_loop(tmp_path: Path) -> None:
    running = program(
        tmp_path,
        """
        import threading, time, warnings
        from allcores import parallel
        warnings.simplefilter("ignore")
        begun = threading.Event()
        def nap(x):
            time.sleep(0.02)
            return x
        def work():
            begun.set()
            for x in parallel(range(4000), workers=2):
                y = nap(x)
        threading.Thread(target=work, daemon=True).start()
        begun.wait()
        time.sleep(0.2)
        print("over")
        """,
    )
    out, err = running.communicate(timeout=30)
    assert (out, err, running.returncode) == ("over\n", "", 0)
    deadline = time.monotonic() + 5
    while left_of(running.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert left_of(running.pid) == []


def test_under_pytest_xdist(tmp_path: Path) -> None:
    pytest.importorskip("xdist")
    (tmp_path / "test_them.py").write_text(
        textwrap.dedent(
            """
            import pytest
            from allcores import parallel

            @pytest.mark.filterwarnings("ignore::allcores.ParallelWarning")
            @pytest.mark.parametrize("n", range(6))
            def test_squares(n):
                out = []
                for x in parallel(range(20 + n), workers=2):
                    out.append(x * x)
                assert out == [x * x for x in range(20 + n)]
            """
        )
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "."],
        cwd=tmp_path,
        env={**os.environ, "ALLCORES_FORCE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout
