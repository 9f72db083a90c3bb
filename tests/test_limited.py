"""The engine when workers are lost, take too long, or take too much memory: what is done again, what
the caller is told, and that nothing else is lost."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from allcores.engine import memory, serve
from allcores.engine.failures import WorkerDied
from allcores.engine.limits import Limits
from allcores.engine.schedule import Batch, Halt
from allcores.engine.source import Indexed, Streamed
from tests.test_engine import (  # noqa: F401
    Fatal,
    Work,
    _leaves_nothing,
    children,
    die_once,
    going,
    killed,
    source,
    square,
    story,
    wait_for,
)


def spin(seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


def note(folder: Path, x: int) -> None:
    """Note that an item is worked on, and by whom."""
    with open(folder / str(x), "a") as file:
        file.write(f"{os.getpid()}\n")


def times(folder: Path, x: int) -> int:
    """How often an item was worked on."""
    path = folder / str(x)
    return len(path.read_text().split()) if path.exists() else 0


# -- deaths


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_an_iteration_is_tried_again_as_often_as_was_asked_for(
    source: Any, tmp_path: Path, retries: int
) -> None:
    def work(x: int) -> int:
        note(tmp_path, x)
        if x == 7 and times(tmp_path, 7) <= retries:
            killed()
        if x == 12:
            os._exit(3)
        return x

    with going(work, source(range(30)), chunk=5, limits=Limits(retries=retries)) as run:
        results, halts = story(run)
    assert halts == [(12, "died")]
    assert [r for r in results if not isinstance(r, Halt)] == [x for x in range(30) if x != 12]
    assert times(tmp_path, 7) == times(tmp_path, 12) == retries + 1
    words = {0: "(item 12); its", 1: "(item 12), twice; its", 3: "(item 12), 4 times; its"}
    assert words[retries] in str(results[12].error)


def test_the_error_tells_how_much_memory_the_worker_had() -> None:
    def work(x: int) -> int:
        if x == 1:
            held = bytearray(300 << 20)
            held[::4096] = b"1" * len(held[::4096])
            killed()
        return x

    with going(work, Indexed(range(2)), limits=Limits(retries=0)) as run:
        results, _ = story(run)
    text = str(results[1].error)
    assert isinstance(results[1].error, WorkerDied)
    peak = float(text.partition("its memory had peaked at ")[2].split()[0])
    assert 300 < peak < 900, text


@pytest.mark.parametrize("chunk", [1, 5, 60])
def test_workers_that_die_at_any_time_cost_no_result(source: Any, chunk: int) -> None:
    def work(x: int) -> int:
        spin(0.001)
        return x

    with going(work, source(range(60)), chunk=chunk, limits=Limits(retries=99)) as run:
        got: list[Any] = []
        for step in run:
            assert isinstance(step, Batch)
            got += step.results
            for kid in list(children())[:1]:
                os.kill(kid, signal.SIGKILL)
    assert got == list(range(60))


def test_a_death_is_noticed_though_others_hold_the_workers_socket(tmp_path: Path) -> None:
    def work(x: int) -> int:
        if x == 3 and not (tmp_path / "pid").exists():
            pid = os.fork()
            if not pid:
                signal.pause()
            (tmp_path / "pid").write_text(str(pid))
            killed()
        return x

    try:
        with going(work, Indexed(range(6)), chunk=1) as run:
            began = time.monotonic()
            assert story(run) == (list(range(6)), [])
            assert time.monotonic() - began < 5
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_deaths_are_noticed_at_once() -> None:
    took = []
    for _ in range(5):

        def work(x: int) -> float:
            if x == 1:
                died.write(time.monotonic())
                killed()
            return x

        died = Shared()
        with going(work, Indexed(range(2)), chunk=1, limits=Limits(retries=0)) as run:
            for step in run:
                if isinstance(step, Halt):
                    took.append(time.monotonic() - died.read())
    assert statistics.median(took) < 0.2


class Shared:
    """A number that workers and this process see."""

    def __init__(self) -> None:
        import mmap

        self.memory = memoryview(mmap.mmap(-1, 8)).cast("d")

    def write(self, value: float) -> None:
        self.memory[0] = value

    def read(self) -> float:
        return self.memory[0]


def overflow_the_stack() -> None:
    """Call C code that calls itself, with hardly any stack to do it on."""
    import resource

    resource.setrlimit(
        resource.RLIMIT_STACK, (1 << 16, resource.getrlimit(resource.RLIMIT_STACK)[1])
    )
    libc = ctypes.CDLL(None)
    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)

    def compare(a: Any, b: Any) -> int:
        again = (ctypes.c_int * 2)(2, 1)
        libc.qsort(again, 2, 4, pointer)
        return 0

    pointer = callback(compare)
    compare(0, 0)


@pytest.mark.parametrize(
    "how, words",
    [
        (lambda: ctypes.string_at(0), "SIGSEGV"),
        (overflow_the_stack, "SIGSEGV"),
        (os.abort, "SIGABRT"),
        (lambda: os._exit(0), "code 0"),
    ],
    ids=["segfault", "stack", "abort", "exit"],
)
def test_crashes_are_deaths(how: Callable[[], Any], words: str, tmp_path: Path) -> None:
    def work(x: int) -> int:
        if x == 2:
            # Python's own fault handler would print the crash.
            import faulthandler

            faulthandler.disable()
            how()
        return x

    with going(work, Indexed(range(5)), limits=Limits(retries=0)) as run:
        results, halts = story(run)
    assert halts == [(2, "died")]
    assert words in str(results[2].error)


# -- what is finished is kept


def test_what_is_finished_of_a_long_chunk_is_kept(source: Any, tmp_path: Path) -> None:
    def work(x: int) -> int:
        note(tmp_path, x)
        spin(0.03)
        if x == 17 and times(tmp_path, 17) == 1:
            killed()
        return x

    with going(work, source(range(20)), chunk=20, workers=1) as run:
        assert story(run) == (list(range(20)), [])
    twice = [x for x in range(20) if times(tmp_path, x) > 1]
    assert max(times(tmp_path, x) for x in range(20)) == 2
    assert 17 in twice and set(twice) <= set(range(13, 18))


def test_a_chunk_that_takes_long_is_shared_out(source: Any) -> None:
    def work(x: int) -> int:
        spin(0.02 if x > 200 else 0.00002)
        return os.getpid()

    with going(work, source(range(240)), workers=2, estimate=0.00002) as run:
        pids = story(run)[0][201:]
    assert len(set(pids)) == 2
    assert min(pids.count(pid) for pid in set(pids)) > 5


def test_the_last_chunk_may_come_in_parts(source: Any) -> None:
    with going(lambda x: (spin(0.06), x)[1], source(range(5)), chunk=5, workers=1) as run:
        batches = list(run)
    assert [x for b in batches for x in b.results] == list(range(5))
    assert [b.last for b in batches] == [False] * (len(batches) - 1) + [True]
    assert [b.extra for b in batches] == [None] * (len(batches) - 1) + ["last"]
    assert len(batches) == 3


# -- too long


def naps(x: int) -> int:
    if x % 15 == 3:
        time.sleep(100)
    return x


@pytest.mark.parametrize("chunk", [None, 4, 30])
def test_iterations_that_take_too_long_and_no_others(source: Any, chunk: int | None) -> None:
    with going(naps, source(range(30)), chunk=chunk, limits=Limits(timeout=0.2)) as run:
        results, halts = story(run)
    assert halts == [(3, "timeout"), (18, "timeout")]
    assert [r for r in results if not isinstance(r, Halt)] == [x for x in range(30) if x % 15 != 3]
    assert type(results[3].error) is TimeoutError
    assert "iteration 3 (item 3) took longer than timeout=0.2 seconds" in str(results[3].error)


def test_many_iterations_a_little_below_the_limit_are_let_be(source: Any) -> None:
    def work(x: int) -> int:
        time.sleep(0.06)
        return x

    with going(work, source(range(20)), chunk=10, limits=Limits(timeout=0.4)) as run:
        assert story(run) == (list(range(20)), [])


def test_the_time_limit_is_kept_where_python_does_not_run() -> None:
    def work(x: int) -> int:
        return sum(range(10**12)) if x == 2 else x

    with going(work, Indexed(range(5)), limits=Limits(timeout=0.2)) as run:
        began = time.monotonic()
        assert story(run)[1] == [(2, "timeout")]
        assert time.monotonic() - began < 5


def test_programs_that_an_iteration_has_started_end_with_it(tmp_path: Path) -> None:
    script = f"sleep 1000 & echo $! > {tmp_path}/pid; wait"

    def work(x: int) -> int:
        if x == 1:
            subprocess.run(["sh", "-c", script])
        return x

    with going(work, Indexed(range(3)), limits=Limits(timeout=0.3)) as run:
        assert story(run)[1] == [(1, "timeout")]
    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: state_of(pid) in "ZX", 5)


def state_of(pid: int) -> str:
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def test_results_that_take_too_long_to_pickle_are_too_late(tmp_path: Path) -> None:
    class Slow:
        def __reduce__(self) -> Any:
            time.sleep(100)

    with going(lambda x: Slow() if x == 5 else x, Indexed(range(8)), limits=Limits(0.2)) as run:
        assert story(run)[1] == [(5, "timeout")]


def test_time_that_the_caller_takes_is_not_the_workers(source: Any) -> None:
    big = b"x" * 4_000_000  # more than a socket holds
    with going(lambda x: big + b"%d" % x, source(range(6)), chunk=1, limits=Limits(0.3)) as run:
        for count, step in enumerate(run):
            assert isinstance(step, Batch)
            if count < 1:
                time.sleep(0.7)


def test_a_program_that_was_stopped_gives_its_iterations_more_time(tmp_path: Path) -> None:
    """As after Ctrl-Z and fg."""

    def work(x: int) -> int:
        if x == 1:
            note(tmp_path, 1)
            wait_for((tmp_path / "go").exists)
        return x

    with going(work, Indexed(range(2)), workers=1, chunk=1, limits=Limits(timeout=0.6)) as run:
        assert isinstance(next(run), Batch)
        wait_for((tmp_path / "1").exists)
        poll, run.poll = run.poll, StopsOnce(tmp_path / "go")  # type: ignore[assignment]
        run.poll.poll_as_usual = poll.poll  # type: ignore[attr-defined]
        run.poll.unregister = poll.unregister  # type: ignore[method-assign]
        assert isinstance(next(run), Batch)


class StopsOnce:
    """Waits as `select.poll` does, but for far longer than it was told to, once."""

    def __init__(self, then: Path) -> None:
        self.then = then
        self.poll_as_usual: Any = None
        self.unregister: Any = None

    def poll(self, milliseconds: int) -> Any:
        if not self.then.exists():
            time.sleep(milliseconds / 1000 + 0.7)
            self.then.touch()
            return []
        return self.poll_as_usual(milliseconds)


# -- too much memory

MB = 1 << 20


# What this process has freed workers may take as well: it is far less than that.


def test_iterations_that_take_too_much_memory_and_no_others(source: Any) -> None:
    np = pytest.importorskip("numpy")

    def work(x: int) -> Any:
        if x == 4:
            return len(np.ones(400 * MB // 8))
        if x == 7:
            return len(bytes(400 * MB))
        if x == 11:
            return len([None] * (400 * MB // 8))
        if x == 15:
            return len([bytes(1000) for _ in range(400_000)])
        return x, os.getpid()

    with going(work, source(range(40)), chunk=8, workers=2, limits=Limits(memory=150 * MB)) as run:
        results, halts = story(run)
    assert halts == [(x, "raised") for x in (4, 7, 11, 15)]
    good = [r for r in results if not isinstance(r, Halt)]
    assert [x for x, _ in good] == [x for x in range(40) if x not in (4, 7, 11, 15)]
    # The same workers go on.
    assert len({pid for _, pid in good}) <= 2
    for x in (4, 7, 11, 15):
        error = results[x].error
        assert isinstance(error, MemoryError)
        assert (
            f"iteration {x} (item {x}), which took more than memory=157286400" in error.__notes__[0]
        )
        assert "in work" in results[x].text
    assert type(results[7].error) is MemoryError


def test_without_the_limit_the_same_iterations_are_fine() -> None:
    with going(lambda x: len(bytes(400 * MB)), Indexed(range(3))) as run:
        assert story(run) == ([400 * MB] * 3, [])


def test_results_that_wait_to_be_sent_do_not_count_against_an_iteration(source: Any) -> None:
    def work(x: int) -> bytes:
        return bytes([x]) * (4 * MB)

    with going(work, source(range(24)), chunk=12, limits=Limits(memory=25 * MB)) as run:
        results, halts = story(run)
    assert halts == []
    assert [r[0] for r in results] == list(range(24))


def test_what_earlier_iterations_have_left_does_not_count_against_a_later_one(source: Any) -> None:
    kept: list[bytes] = []

    def work(x: int) -> int:
        kept.append(bytes(20 * MB))
        return x

    with going(work, source(range(40)), workers=1, limits=Limits(memory=150 * MB)) as run:
        assert story(run) == (list(range(40)), [])


def test_an_iteration_may_see_to_its_memory_itself() -> None:
    def work(x: int) -> int:
        try:
            return len(bytes(400 * MB))
        except MemoryError:
            return x

    with going(work, Indexed(range(9)), limits=Limits(memory=150 * MB)) as run:
        assert story(run) == (list(range(9)), [])


# -- a machine that has hardly any memory left

MEMINFO = "MemTotal: 16000000 kB\nMemFree: 1 kB\nMemAvailable: {} kB\n"


class Kernel:
    """The kernel's files, as some machine has them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("proc/meminfo", MEMINFO.format(8_000_000))
        self.write("proc/self/cgroup", "")
        self.write("proc/vmstat", "pgfault 3\noom_kill 0\n")

    def write(self, path: str, text: Any) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        (file.parent / "new").write_text(f"{text}\n")
        (file.parent / "new").replace(file)

    def version_2(self, group: str, limit: Any, current: int, inactive: int = 0) -> None:
        self.write("sys/fs/cgroup/cgroup.controllers", "memory")
        self.write(f"sys/fs/cgroup/{group}/memory.max", limit)
        self.write(f"sys/fs/cgroup/{group}/memory.high", "max")
        self.write(f"sys/fs/cgroup/{group}/memory.current", current)
        self.write(f"sys/fs/cgroup/{group}/memory.stat", f"anon 1\ninactive_file {inactive}")
        self.write(f"sys/fs/cgroup/{group}/memory.events", "oom 1\noom_kill 0\noom_group_kill 0")

    def version_1(self, group: str, limit: int, usage: int, inactive: int = 0) -> None:
        self.write(f"sys/fs/cgroup/memory/{group}/memory.limit_in_bytes", limit)
        self.write(f"sys/fs/cgroup/memory/{group}/memory.usage_in_bytes", usage)
        self.write(f"sys/fs/cgroup/memory/{group}/memory.stat", f"total_inactive_file {inactive}")
        self.write(f"sys/fs/cgroup/memory/{group}/memory.oom_control", "under_oom 0\noom_kill 0")

    def is_nearly_full(self) -> bool:
        return memory.Machine().nearly_full()


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    monkeypatch.setattr(memory, "root", str(tmp_path / "root"))
    return Kernel(tmp_path / "root")


def test_the_machine_is_nearly_full(kernel: Kernel) -> None:
    assert not kernel.is_nearly_full()
    kernel.write("proc/meminfo", MEMINFO.format(700_000))
    assert kernel.is_nearly_full()


@pytest.mark.parametrize("version", [1, 2])
def test_the_control_group_is_nearly_full(kernel: Kernel, version: int) -> None:
    none = 9223372036854771712 if version == 1 else "max"
    group: Any = kernel.version_1 if version == 1 else kernel.version_2
    line = "4:cpu,memory:/job/step\n" if version == 1 else "0::/job/step\n"
    kernel.write("proc/self/cgroup", "7:pids:/else\n" + line)
    group("job/step", none, 50 * MB)
    group("job", 100 * MB, 50 * MB)
    assert not kernel.is_nearly_full()
    group("job", 100 * MB, 98 * MB)
    assert kernel.is_nearly_full()
    group("job", 100 * MB, 98 * MB, inactive=50 * MB)
    assert not kernel.is_nearly_full()
    group("job", none, 98 * MB)
    group("job/step", 99 * MB, 98 * MB)
    assert kernel.is_nearly_full()


def test_a_container_may_see_its_group_as_the_top(kernel: Kernel) -> None:
    kernel.write("proc/self/cgroup", "0::/../../docker/1234\n")
    kernel.version_2(".", 100 * MB, 98 * MB)
    assert kernel.is_nearly_full()


def test_what_the_kernel_does_not_tell_is_no_reason_to_wait(kernel: Kernel) -> None:
    for path in ("proc/meminfo", "proc/self/cgroup", "proc/vmstat"):
        (kernel.folder / path).unlink()
    assert not kernel.is_nearly_full()
    assert memory.Machine().killed() == 0


def busy_at_once(folder: Path) -> Callable[[int], int]:
    def work(x: int) -> int:
        (folder / f"at {x}").touch()
        spin(0.004)
        count = len(list(folder.glob("at *")))
        (folder / f"at {x}").unlink()
        return count

    return work


def test_one_worker_works_at_a_time_while_memory_is_short(
    source: Any, tmp_path: Path, kernel: Kernel
) -> None:
    kernel.write("proc/meminfo", MEMINFO.format(700_000))
    with going(busy_at_once(tmp_path), source(range(30)), chunk=1, workers=3) as run:
        counts = story(run)[0]
    assert counts == [1] * 30


def test_the_others_go_on_when_there_is_memory_again(tmp_path: Path, kernel: Kernel) -> None:
    def work(x: int) -> int:
        (tmp_path / str(x)).touch()
        if x == 0:
            kernel.write("proc/meminfo", MEMINFO.format(8_000_000))
            wait_for((tmp_path / "3").exists)
        return x

    kernel.write("proc/meminfo", MEMINFO.format(700_000))
    with going(work, Indexed(range(8)), chunk=1, workers=2) as run:
        assert story(run) == (list(range(8)), [])


OVERFLOW = """
import os, sys
import allcores
with open(sys.argv[1] + "/cgroup.procs", "w") as file:
    file.write(str(os.getpid()))
def work(x):
    if x == 3:
        held = bytearray(600 << 20)
        held[::4096] = b"1" * len(held[::4096])
    return x
shared = bytearray(100 << 20)
shared[::4096] = b"1" * len(shared[::4096])
try:
    allcores.map(work, range(6), workers=2)
except allcores.WorkerDied as error:
    print(error)
print(allcores.map(abs, range(6)))
"""


def test_the_kernel_ends_a_worker_and_not_the_program() -> None:
    limit = {1: "memory.limit_in_bytes", 2: "memory.max"}
    group = next(memory.groups(), None)
    if group is None:
        pytest.skip("this process is in no control group of memory")
    folder = Path(group.folder, f"allcores-{os.getpid()}")
    try:
        folder.mkdir()
        (folder / limit[group.version]).write_text(str(300 * MB))
    except OSError as error:
        with contextlib.suppress(OSError):
            folder.rmdir()
        pytest.skip(f"this process may make no control group: {error}")
    try:
        done = subprocess.run(
            [sys.executable, "-c", OVERFLOW, str(folder)],
            capture_output=True,
            text=True,
            timeout=30,
            env={**os.environ, "ALLCORES_FORCE": "1"},
        )
    finally:
        folder.rmdir()
    assert (done.returncode, done.stderr) == (0, "")
    assert "by the kernel's out-of-memory killer, in iteration 3 (item 3)" in done.stdout
    assert "[0, 1, 2, 3, 4, 5]" in done.stdout


@pytest.mark.parametrize("told", ["memory.events", "memory.oom_control", "vmstat"])
def test_the_kernel_says_that_memory_ran_out(kernel: Kernel, told: str) -> None:
    if told == "memory.events":
        kernel.write("proc/self/cgroup", "0::/job\n")
        kernel.version_2("job", "max", 1)
        path = "sys/fs/cgroup/job/memory.events"
    elif told == "memory.oom_control":
        kernel.write("proc/self/cgroup", "3:memory:/job\n")
        kernel.version_1("job", 1 << 62, 1)
        path = "sys/fs/cgroup/memory/job/memory.oom_control"
    else:
        path = "proc/vmstat"

    def work(x: int) -> int:
        if x == 2:
            kernel.write(path, "oom_kill 1")
            killed()
        if x == 4:
            os._exit(1)
        return x

    for count in (1, 0):
        with going(work, Indexed(range(6)), chunk=1, limits=Limits(retries=0)) as run:
            results, halts = story(run)
        assert halts == [(2, "died"), (4, "died")]
        assert str(results[2].error).count("the kernel's out-of-memory killer") == count
        assert "the kernel's out-of-memory killer" not in str(results[4].error)


# -- all of it at once

COMES_TO = {
    "die": "died",
    "die packing": "died",
    "hang": "timeout",
    "memory": "raised",
    "raise": "raised",
    "exit": "raised",
}
GOES_WELL = ("die once", "slow", "big")


class Faulty:
    """Work in which some items go wrong."""

    def __init__(self, rng: random.Random, count: int, folder: Path) -> None:
        self.folder = folder
        self.faults = {
            k: rng.choice([*COMES_TO, *GOES_WELL]) for k in range(count) if rng.random() < 0.12
        }

    def __call__(self, x: int) -> Any:
        fault = self.faults.get(x)
        if fault == "die once":
            die_once(self.folder / str(x), killed)
        elif fault == "die":
            killed()
        elif fault == "die packing":
            return Fatal()
        elif fault == "hang":
            time.sleep(100)
        elif fault == "memory":
            return len(bytes(2000 * MB))
        elif fault == "raise":
            raise ValueError(x)
        elif fault == "exit":
            raise SystemExit(x)
        elif fault == "slow":
            time.sleep(0.12)
        elif fault == "big":
            return bytes([x]) * 1_000_000
        return x

    def check(self, step: Batch | Halt) -> None:
        if isinstance(step, Halt):
            assert step.kind == COMES_TO[self.faults[step.item]]
            return
        for x, result in zip(step.items, step.results, strict=True):
            fault = self.faults.get(x)
            assert fault is None or fault in GOES_WELL
            assert result == (bytes([x]) * 1_000_000 if fault == "big" else x)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_everything_goes_wrong_at_once(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    count = rng.choice([5, 40, 150])
    work = Faulty(rng, count, tmp_path)
    monkeypatch.setattr(serve, "ANSWER_SECONDS", rng.choice([-1, 0.001, 0.1]))
    items: Any = range(count) if rng.random() < 0.5 else iter(range(count))
    how: dict[str, Any] = {
        "workers": rng.choice([1, 2, 4]),
        "chunk": rng.choice([None, 1, 3, 20, 200]),
        "limits": Limits(timeout=1.0, memory=500 * MB, retries=rng.choice([1, 2])),
    }
    done = 0
    with going(work, Indexed(items) if type(items) is range else Streamed(items), **how) as run:
        for step in run:
            work.check(step)
            places = [step.item] if isinstance(step, Halt) else list(step.items)
            assert places == list(range(done, done + len(places)))
            done += len(places)
    assert done == count
