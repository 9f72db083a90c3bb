"""`Executor`: the interface of concurrent.futures."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import signal
import threading
import time
import traceback
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import Any

import pytest

from allcores import Executor, ParallelWarning, WorkerDied
from sessions import run, wait_for

PATIENCE = 20.0


def square(x: int, wait: float = 0.0) -> int:
    time.sleep(wait)
    return x * x


def fails(x: int) -> int:
    raise KeyError(x)  # the line that says so


def until(path: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not os.path.exists(path) and time.monotonic() < deadline:
        time.sleep(0.002)


def test_submit() -> None:
    with Executor(2) as executor:
        assert isinstance(executor, concurrent.futures.Executor)
        assert executor.submit(square, 3).result(PATIENCE) == 9
        assert executor.submit(lambda *, fn, self: fn + self, fn=1, self=2).result(PATIENCE) == 3
        futures = [executor.submit(square, k) for k in range(500)]
        done, pending = concurrent.futures.wait(futures, PATIENCE)
        assert not pending
        assert [f.result() for f in futures] == [k * k for k in range(500)]
        assert {f.result() for f in concurrent.futures.as_completed(futures, PATIENCE)} == {
            k * k for k in range(500)
        }


@pytest.mark.parametrize("chunksize", [1, 3, 1000])
def test_map(chunksize: int) -> None:
    with Executor(2) as executor:
        assert list(executor.map(square, range(50), chunksize=chunksize)) == [
            x * x for x in range(50)
        ]
        assert list(executor.map(pow, [2, 3, 4], [3, 2, 1], chunksize=chunksize)) == [8, 9, 4]
        assert list(executor.map(square, [], chunksize=chunksize)) == []
        assert list(executor.map(square, range(9), buffersize=2)) == [x * x for x in range(9)]
        with pytest.raises(KeyError):
            list(executor.map(fails, range(5), chunksize=chunksize))
        with pytest.raises(ValueError, match="chunksize"):
            executor.map(square, [1], chunksize=0)


class Held:
    def __init__(self) -> None:
        self.pickled = 0

    def __getstate__(self) -> dict[str, Any]:
        self.pickled += 1
        return {}

    def look(self, x: int) -> int:
        return x


class Locked:
    def __init__(self) -> None:
        self.lock = threading.Lock()

    def look(self, x: int) -> int:
        with self.lock:
            return x


def test_what_a_mapped_function_holds_travels_once_or_is_inherited() -> None:
    held, locked = Held(), Locked()
    with Executor(2) as executor:
        assert list(executor.map(held.look, range(100))) == list(range(100))
        assert held.pickled == 1
        for _ in range(2):
            assert list(executor.map(locked.look, range(10), chunksize=3)) == list(range(10))
            assert executor.submit(locked.look, 3).result(PATIENCE) == 3


def test_scripts_go_on_defining_things_after_the_executor_is_made(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        """
        from allcores import Executor

        factor = 2

        def f(x):
            return x * factor

        with Executor(2) as executor:
            print(list(executor.map(f, range(3))), executor.submit(f, 3).result())
            factor = 5
            print(list(executor.map(f, range(3))), executor.submit(f, 3).result())

            def f(x):
                return -x

            print(list(executor.map(f, range(3))), executor.submit(f, 3).result())
        """,
    )
    assert outcome == (0, "[0, 2, 4] 6\n[0, 5, 10] 15\n[0, -1, -2] -3\n", "")


def test_map_gives_up_in_time() -> None:
    with Executor(1) as executor:
        with pytest.raises(TimeoutError):
            list(executor.map(time.sleep, [0.5], timeout=0.05))


def test_exceptions_carry_the_worker_s_traceback() -> None:
    with Executor(2) as executor:
        error = executor.submit(fails, 3).exception(PATIENCE)
        assert isinstance(error, KeyError)
        assert error.args == (3,)
        assert "# the line that says so" in str(traceback.extract_tb(error.__traceback__)[-1].line)
        with pytest.raises(SystemExit):
            executor.submit(exit, 3).result(PATIENCE)
        assert isinstance(executor.submit(threading.Lock).exception(PATIENCE), Exception)
        with pytest.raises(TypeError, match="cannot pickle"):
            executor.submit(square, threading.Lock()).result(PATIENCE)
        assert executor.submit(square, 3).result(PATIENCE) == 9


def test_a_death_fails_its_own_task_only() -> None:
    with Executor(2) as executor:
        futures = [executor.submit(square, k, 0.01) for k in range(10)]
        dead = executor.submit(os.kill, 0, 0)
        died = executor.submit(lambda: os.kill(os.getpid(), signal.SIGKILL))
        after = [executor.submit(square, k) for k in range(10)]
        with pytest.raises(WorkerDied, match="SIGKILL"):
            died.result(PATIENCE)
        assert dead.result(PATIENCE) is None
        assert [f.result(PATIENCE) for f in futures + after] == [k * k for k in range(10)] * 2


def test_callbacks_and_cancelling(tmp_path: Path) -> None:
    gate = str(tmp_path / "gate")
    with Executor(1) as executor:
        running = executor.submit(until, gate)
        wait_for(running.running)
        waiting = [executor.submit(square, k) for k in range(8)]
        heard: list[Future[int]] = []
        for future in waiting:
            future.add_done_callback(heard.append)
        assert not running.cancel()
        assert waiting[-1].cancel()
        assert heard == [waiting[-1]]
        Path(gate).touch()
        assert [f.result(PATIENCE) for f in waiting[:-1]] == [k * k for k in range(7)]
        wait_for(lambda: len(heard) == 8)
        with pytest.raises(CancelledError):
            waiting[-1].result()


def test_what_no_worker_has_begun_can_be_cancelled(tmp_path: Path) -> None:
    """But for one behind each, as in the standard library: the first answer may be all one needs."""
    gate = str(tmp_path / "gate")
    with Executor(2) as executor:
        assert list(executor.map(square, range(8))) == [k * k for k in range(8)]
        futures = [executor.submit(until, gate) for _ in range(9)]
        wait_for(futures[1].running)
        cancelled = sum([f.cancel() for f in futures])
        Path(gate).touch()
    assert cancelled >= 5


def test_an_event_set_by_a_callback_is_enough() -> None:
    with Executor(2) as executor:
        event = threading.Event()
        executor.submit(square, 3, 0.05).add_done_callback(lambda _: event.set())
        assert event.wait(PATIENCE)


def test_shutdown(tmp_path: Path) -> None:
    gate = str(tmp_path / "gate")
    executor = Executor(1)
    running = executor.submit(until, gate)
    wait_for(running.running)
    others = [executor.submit(square, k) for k in range(20)]
    executor.shutdown(wait=False, cancel_futures=True)
    with pytest.raises(RuntimeError, match="shut down"):
        executor.submit(square, 1)
    assert sum(f.cancelled() for f in others) >= 14
    Path(gate).touch()
    executor.shutdown()
    assert running.result() is None
    assert all(f.done() for f in others)
    wait_for(lambda: not [t for t in threading.enumerate() if t.name == "allcores-helper"])
    assert "script" not in Path(f"/proc/self/task/{os.getpid()}/children").read_text()


def test_shutdown_without_waiting_finishes_all() -> None:
    executor = Executor(2)
    futures = [executor.submit(square, k, 0.01) for k in range(20)]
    executor.shutdown(wait=False)
    assert [f.result(PATIENCE) for f in futures] == [k * k for k in range(20)]
    wait_for(lambda: not executor._staff.members)


def test_dropped_without_shutdown() -> None:
    futures = [Executor(2).submit(square, k) for k in range(3)]
    assert [f.result(PATIENCE) for f in futures] == [0, 1, 4]


def test_asyncio() -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        with Executor(2) as executor:
            calls = [loop.run_in_executor(executor, square, k) for k in range(50)]
            return await asyncio.wait_for(asyncio.gather(*calls), PATIENCE)

    assert asyncio.run(main()) == [k * k for k in range(50)]


def test_initializer_and_bad_arguments() -> None:
    with Executor(2, initializer=os.chdir, initargs=("/",)) as executor:
        assert executor.submit(os.getcwd).result(PATIENCE) == "/"
    with Executor(1, initializer=fails, initargs=(3,)) as executor:
        with pytest.raises(KeyError):
            executor.submit(square, 1).result(PATIENCE)
    for bad in (0, -1):
        with pytest.raises(ValueError, match="max_workers"):
            Executor(bad)
    with pytest.raises(TypeError):
        Executor(1, initializer=3)  # type: ignore[arg-type]
    with Executor(1) as executor, pytest.raises(NotImplementedError, match="cannot be pickled"):
        import pickle

        pickle.dumps(executor)


def test_what_was_submitted_is_finished_at_the_program_s_end(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        """
        import time
        from allcores import Executor

        def nap(x):
            time.sleep(0.05)
            return x

        executor = Executor(2)
        futures = [executor.submit(nap, k) for k in range(6)]
        futures[-1].add_done_callback(lambda f: print("last", f.result()))
        print("end")
        """,
    )
    assert outcome == (0, "end\nlast 5\n", "")


@pytest.mark.parametrize("how", ["os.kill(os.getpid(), 9)", "os._exit(5)"])
def test_nobody_is_left(tmp_path: Path, how: str) -> None:
    run(
        tmp_path,
        f"""
        import os, time
        from allcores import Executor
        executor = Executor(2)
        futures = [executor.submit(time.sleep, 60) for k in range(6)]
        {how}
        """,
    )


def test_submitting_from_many_threads() -> None:
    wrong: list[Any] = []
    with Executor(2) as executor:

        def use(k: int) -> None:
            for n in range(60):
                if executor.submit(square, k + n).result(PATIENCE) != (k + n) ** 2:
                    wrong.append((k, n))

        threads = [threading.Thread(target=use, args=(k,)) for k in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60)
        assert not any(t.is_alive() for t in threads)
    assert wrong == []


def test_with_threads_of_unknown_kind_the_tasks_run_here() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="theirs")
    thread.start()
    try:
        with pytest.warns(ParallelWarning, match="'theirs'"), Executor(2) as executor:
            assert executor.submit(os.getpid).result(PATIENCE) == os.getpid()
            assert list(executor.map(square, range(5))) == [0, 1, 4, 9, 16]
    finally:
        stop.set()
        thread.join()


def mark_and_wait(x: int, folder: str) -> int:
    Path(folder, f"{os.getpid()}-{x}").touch()
    until(f"{folder}/go")
    return x


def test_calls_of_a_map_that_took_too_long_are_given_up(tmp_path: Path) -> None:
    with Executor(2) as executor:
        other = executor.submit(mark_and_wait, 0, str(tmp_path))
        wait_for(lambda: list(tmp_path.iterdir()))
        with pytest.raises(TimeoutError) as late:
            list(executor.map(square, range(6), [100] * 6, timeout=0.2))
        assert late.value.__notes__ == ["waiting for item 0 of this map"]
        assert executor.submit(square, 3).result(PATIENCE) == 9
        (tmp_path / "go").touch()
        assert other.result(PATIENCE) == 0
    assert len(list(tmp_path.iterdir())) == 2, "the other task was begun again"


@pytest.mark.parametrize("size, words", [(1, "item 5 of"), (3, "items 3 to 5 of")])
def test_notes_say_which_item_of_a_map_it_was(size: int, words: str) -> None:
    with Executor(2) as executor:
        for function in (lambda x: x // (5 - x), lambda x: x if x < 5 else threading.Lock()):
            with pytest.raises(Exception) as caught:
                list(executor.map(function, range(9), chunksize=size))
            assert words in " ".join(caught.value.__notes__)
        items = [*range(5), threading.Lock()]
        with pytest.raises(TypeError) as refused:
            list(executor.map(id, items, chunksize=size))
        assert words in " ".join(refused.value.__notes__)
