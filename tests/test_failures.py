"""What the user sees when something goes wrong in, around or beneath a parallel loop."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.lines import read_line


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


def wait_for(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """Look again and again; on a deadline, fail."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.002)
    return found


def group(pgid: int) -> set[int]:
    """The living processes of a process group."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, IndexError):
            fields = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) == pgid and fields[0] not in "ZX":
                found.add(int(pid))
    return found


class Script:
    """Starts scripts in sessions of their own; afterwards nothing of them may be left."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.started: list[subprocess.Popen[str]] = []

    def start(self, source: str, **variables: str) -> subprocess.Popen[str]:
        path = self.directory / "script.py"
        path.write_text(textwrap.dedent(source))
        process = subprocess.Popen(
            [sys.executable, "-u", path.name],
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "ALLCORES_FORCE": "1", "ALLCORES_WORKERS": "2", **variables},
        )
        self.started.append(process)
        return process

    def end(self, process: subprocess.Popen[str], seconds: float = 30) -> Outcome:
        out, err = process.communicate(timeout=seconds)
        return Outcome(process.returncode, out, err)

    def __call__(self, source: str, **variables: str) -> Outcome:
        return self.end(self.start(source, **variables))

    def gone(self, process: subprocess.Popen[str]) -> bool:
        """Whether all of its processes end soon. Ends what is left."""
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: not group(process.pid), 3)
        left = group(process.pid)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return not left

    def touched(self, name: str) -> bool:
        return (self.directory / name).exists()


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Script]:
    runner = Script(tmp_path)
    yield runner
    assert [p.pid for p in runner.started if not runner.gone(p)] == []


# -- exceptions


RAISES = """
    from allcores import parallel

    class Bad(ValueError):
        pass

    def check(x):
        if x >= 113:
            raise Bad("no", x)
        return x * 2

    results = []
    try:
        for i, x in {marked}:
            y = check(x)
            results.append(y)
            print("done", i)
    except Bad as error:
        print(error.args, i, x, y, results)
        {more}
    """


def raising(marked: str, more: str = "") -> str:
    return RAISES.format(marked=marked, more=more)


@pytest.mark.parametrize("chunk", [1, 5, 100])
def test_an_exception_is_caught_as_in_the_plain_loop(script: Script, chunk: int) -> None:
    items = "enumerate(range(100, 140))"
    plain = script(raising(items))
    ours = script(raising(f"parallel({items}, chunk={chunk})"))
    assert ours == plain
    assert "('no', 113) 13 113 224" in ours.out


def test_notes_name_the_iteration_and_its_values(script: Script) -> None:
    more = "print('NOTES', *error.__notes__)"
    ours = script(raising("parallel(enumerate(range(100, 140)))", more))
    notes = ours.out.partition("NOTES")[2].strip()
    assert notes == "in iteration 13 of the parallel loop, with i = 13, x = 113"


def test_an_uncaught_exception_shows_the_users_lines(script: Script) -> None:
    ours = script("""
        from allcores import parallel
        out = []
        for x in parallel([3, 2, 1, 0, 1]):
            out.append(6 // x)
        """)
    assert ours.code == 1
    assert ours.err.count("ZeroDivisionError") >= 1
    assert "out.append(6 // x)" in ours.err
    assert "iteration 3 of" in ours.err
    assert "x = 0" in ours.err


@pytest.mark.parametrize("leave", ["break", "raise SystemExit(5)", "1 / 0", "sys.exit('over')"])
def test_ways_out_at_module_level_are_those_of_the_plain_loop(script: Script, leave: str) -> None:
    source = """
        import atexit, sys
        from allcores import parallel
        out = []
        atexit.register(lambda: print("at exit", out, x))
        for x in {}:
            if x == 11:
                {}
            print(x)
            out.append(x)
        else:
            print("not left")
        """
    plain = script(source.format("range(30)", leave))
    ours = script(source.format("parallel(range(30), chunk=4)", leave))
    assert ours.code == plain.code
    assert ours.out == plain.out
    assert ours.err.splitlines()[:2] == plain.err.splitlines()[:2]


def test_an_exception_that_only_workers_meet_is_not_believed(script: Script) -> None:
    ours = script("""
        import os
        from allcores import parallel
        home, out = os.getpid(), []
        def fine(x):
            if os.getpid() != home:
                raise OSError("not in here")
            return x
        for x in parallel(range(12)):
            out.append(fine(x))
        print(out == list(range(12)))
        """)
    assert ours == (0, "True\n", "")


def test_an_exception_from_the_generator_comes_after_all_results(script: Script) -> None:
    ours = script("""
        from allcores import parallel
        def numbers():
            yield from range(17)
            raise OSError("torn")
        out = []
        try:
            for x in parallel(numbers()):
                out.append(x)
        except OSError as error:
            print(error, out == list(range(17)), x)
        """)
    assert ours == (0, "torn True 16\n", "")


# -- Ctrl-C


def interrupted(script: Script, marked: str, seconds: float = 0.01) -> Outcome:
    process = script.start(f"""
        import time
        from allcores import parallel
        def work(x):
            until = time.monotonic() + {seconds}
            while time.monotonic() < until:
                pass
            return x
        for x in {marked}:
            y = work(x)
            print("done", x)
        """)
    assert process.stdout is not None
    first = read_line(process)
    assert first == "done 0\n"
    os.killpg(process.pid, signal.SIGINT)
    ended = script.end(process, 15)
    return ended._replace(out=first + ended.out)


@pytest.mark.parametrize(
    "marked",
    [
        "parallel(range(100_000))",
        "parallel(range(100_000), chunk=3)",
        "parallel(iter(range(9999)))",
    ],
)
def test_ctrl_c(script: Script, marked: str) -> None:
    ended = interrupted(script, marked)
    assert ended.code == -signal.SIGINT
    lines = ended.out.splitlines()
    assert lines == [f"done {i}" for i in range(len(lines))]
    assert ended.err.count("Traceback (most recent call last)") == 1
    assert ended.err.splitlines()[-1].startswith("KeyboardInterrupt")
    assert "Exception ignored" not in ended.err
    wait_for(lambda: not group(script.started[0].pid))


CAUGHT = """
    import os, signal, threading, time
    from allcores import parallel
    def work(x):
        until = time.monotonic() + 0.003
        while time.monotonic() < until:
            pass
        if x == 60:
            open("sixty", "w").close()
        return x
    results = []
    try:
        for x in parallel(range(100_000), chunk=2):
            y = work(x)
            results.append(y)
            if y == 20:
                print("go", flush=True)
    except KeyboardInterrupt:
        kids = open(f"/proc/self/task/{os.getpid()}/children").read().split()
        print("caught", results == list(range(len(results))), len(results) > 20, kids)
    for x in parallel(range(40)):
        results.append(work(x))
    print("again", results[-40:] == list(range(40)))
    """


def test_a_caught_ctrl_c_leaves_a_prefix_and_a_working_program(script: Script) -> None:
    process = script.start(CAUGHT)
    assert process.stdout is not None
    assert read_line(process) == "go\n"
    os.killpg(process.pid, signal.SIGINT)
    ended = script.end(process, 15)
    assert ended == (0, "caught True True []\nagain True\n", "")


def test_ctrl_c_for_the_program_alone(script: Script) -> None:
    process = script.start(CAUGHT)
    assert process.stdout is not None
    assert read_line(process) == "go\n"
    process.send_signal(signal.SIGINT)
    assert script.end(process, 15) == (0, "caught True True []\nagain True\n", "")


def test_a_caught_ctrl_c_leaves_the_later_items_alone(script: Script) -> None:
    process = script.start("""
        import time
        from allcores import parallel
        class Star:
            def __init__(self, n):
                self.n, self.log = n, []
            def fit(self):
                until = time.monotonic() + 0.003
                while time.monotonic() < until:
                    pass
                self.log.append(self.n)
        stars = [Star(i) for i in range(3000)]
        total = 0
        try:
            for star in parallel(stars):
                star.fit()
                total += star.n
                if star.n == 20:
                    print("go", flush=True)
        except KeyboardInterrupt:
            done = sum(len(s.log) for s in stars)
            print([s.log for s in stars] == [[i] for i in range(done)] + [[]] * (3000 - done))
            print(total in (sum(range(done)), sum(range(done - 1))), done < 3000)
        """)
    assert process.stdout is not None
    assert read_line(process) == "go\n"
    os.killpg(process.pid, signal.SIGINT)
    assert script.end(process, 15) == (0, "True\nTrue True\n", "")


def test_ctrl_c_while_workers_are_stuck(script: Script) -> None:
    process = script.start("""
        import time
        from allcores import parallel
        def work(x):
            open(f"{x}.at", "w").close()
            time.sleep(100)
            return x
        for x in parallel(range(8)):
            y = work(x)
        """)
    wait_for(lambda: script.touched("0.at") and script.touched("1.at"))
    os.killpg(process.pid, signal.SIGINT)
    ended = script.end(process, 10)
    assert ended.code == -signal.SIGINT
    assert ended.err.count("Traceback") == 1


def test_sigterm_takes_the_workers_along(script: Script) -> None:
    process = script.start("""
        import time
        from allcores import parallel
        def work(x):
            open(f"{x}.at", "w").close()
            time.sleep(100)
            return x
        for x in parallel(range(8)):
            y = work(x)
        """)
    wait_for(lambda: script.touched("0.at") and script.touched("1.at"))
    process.terminate()
    assert process.wait(10) == -signal.SIGTERM
    assert script.gone(process)


# -- deaths


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "how, words",
    [
        ("os._exit(7)", "exited with code 7"),
        ("os._exit(0)", "exited with code 0"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "was killed by SIGSEGV"),
        ("os.abort()", "was killed by SIGABRT"),
    ],
)
def test_a_worker_that_dies_is_an_error_with_the_iteration(
    script: Script, how: str, words: str, stream: bool
) -> None:
    items = "(x for x in range(40))" if stream else "range(40)"
    ours = script(f"""
        import os, signal
        from allcores import parallel
        home = os.getpid()
        def work(x):
            if x == 21 and os.getpid() != home:
                {how}
            return x
        results = []
        try:
            for x in parallel({items}, chunk=4):
                y = work(x)
                results.append(y)
        except RuntimeError as error:
            print(type(error).__name__, error)
            print(results == list(range(21)), x, y)
        """)
    assert ours.code == 0, ours.err
    assert words in ours.out
    assert "WorkerDied" in ours.out
    assert "iteration 21 (item 21)" in ours.out
    assert ours.out.endswith("True 21 20\n")


def test_a_worker_that_dies_once_is_made_good(script: Script) -> None:
    ours = script("""
        import os
        from allcores import parallel
        def work(x):
            if x == 21 and not os.path.exists("dead"):
                open("dead", "w").close()
                os._exit(1)
            return x
        results = []
        for x in parallel(range(40)):
            y = work(x)
            results.append(y)
        print(results == list(range(40)), os.path.exists("dead"))
        """)
    assert ours == (0, "True True\n", "")


def test_a_worker_that_dies_packing_a_result(script: Script, tmp_path: Path) -> None:
    """What a library says of how its objects are pickled is done; what the program says is not."""
    library = tmp_path / "site-packages"
    library.mkdir()
    (library / "fatal.py").write_text(
        "import os\n"
        "class Fatal:\n"
        "    def __init__(self, x):\n"
        "        self.x = x\n"
        "    def __reduce__(self):\n"
        "        os._exit(9)\n"
    )
    process = script.start("""
        import os, sys
        sys.path.append(os.path.join(os.getcwd(), "site-packages"))
        from allcores import parallel
        from fatal import Fatal
        results = []
        for x in parallel(range(10)):
            results.append(Fatal(x) if x == 5 else x)
        """)
    ended = script.end(process, 10)
    assert ended.code == 1
    assert "WorkerDied" in ended.err
    assert "iteration 5 " in ended.err


@pytest.mark.parametrize("body", ["while True: pass", "time.sleep(1000)", "sum(range(10**12))"])
def test_no_orphan_is_left_when_the_program_is_killed(script: Script, body: str) -> None:
    process = script.start(f"""
        import time
        from allcores import parallel
        def work(x):
            open(f"{{x}}.at", "w").close()
            {body}
        for x in parallel(range(8)):
            y = work(x)
        """)
    # Threads are all in one process, and `sum` lets no other one run.
    in_threads = os.environ.get("ALLCORES_ON") == "threads"
    wait_for(lambda: script.touched("0.at") and (in_threads or script.touched("1.at")))
    assert len(group(process.pid)) >= (2 if in_threads else 3)
    process.kill()
    process.wait()
    assert script.gone(process)


# -- what cannot travel


@pytest.mark.parametrize(
    "result",
    [
        "lambda: x",
        "open('/dev/null')",
        "(i for i in [x])",
        "threading.Lock()",
        "Odd(x)",
        "Local(x)",
    ],
)
def test_results_that_cannot_travel_come_out_the_same(script: Script, result: str) -> None:
    source = f"""
        import threading
        from allcores import parallel
        class Odd:
            def __init__(self, x):
                self.x = x
            def __reduce__(self):
                raise TypeError("stays here")
        def make():
            class Local:
                def __init__(self, x):
                    self.x = x
            return Local
        Local = make()
        results = []
        for x in {{}}:
            r = {result}
            print("made", x)
            results.append(r)
        print(len(results), [type(r).__name__ for r in results], x)
        print([r() for r in results if hasattr(r, "__call__")], [r.x for r in results if hasattr(r, "x")])
        """
    plain = script(source.format("range(12)"))
    ours = script(source.format("parallel(range(12))"))
    assert ours.out == plain.out
    assert ours.code == plain.code == 0
    assert "Traceback" not in ours.err


def test_some_results_that_cannot_travel(script: Script) -> None:
    source = """
        from allcores import parallel
        results = {{}}
        for x in {}:
            r = (lambda: 7) if x % 5 == 3 else x
            results[x] = r
        print([r if isinstance(r, int) else r() for r in results.values()], r, x)
        """
    source = source.replace("{{}}", "{}").replace("in {}:", "in ITEMS:")
    plain = script(source.replace("ITEMS", "range(33)"))
    for chunk in (1, 4, 50):
        assert script(source.replace("ITEMS", f"parallel(range(33), chunk={chunk})")) == plain


def test_items_that_cannot_travel(script: Script) -> None:
    ours = script("""
        from allcores import parallel
        def functions():
            for i in range(20):
                yield (lambda i=i: i * i) if i % 3 == 0 else int
        results = []
        for f in parallel(functions()):
            r = f()
            results.append(r)
        print(results == [0 if i % 3 else i * i for i in range(20)])
        """)
    assert ours.code == 0
    assert ours.out == "True\n"


# -- loops in loops, threads


def test_a_parallel_loop_in_a_parallel_loop(script: Script) -> None:
    ours = script("""
        from allcores import parallel
        def row(y):
            cells = []
            for x in parallel(range(10)):
                cells.append(x * y)
            return cells
        table = []
        for y in parallel(range(10)):
            table.append(row(y))
        print(table == [[x * y for x in range(10)] for y in range(10)])
        """)
    assert ours == (0, "True\n", "")


def test_parallel_loops_in_one_function(script: Script) -> None:
    ours = script("""
        from allcores import parallel
        def table(n):
            rows = []
            for y in parallel(range(n)):
                row = []
                for x in parallel(range(n)):
                    row.append(x * y)
                rows.append(row)
            return rows, x, y
        print(table(9) == ([[x * y for x in range(9)] for y in range(9)], 8, 8))
        """)
    assert ours.out == "True\n"
    assert ours.code == 0


IN_A_THREAD = """
        import threading
        from allcores import parallel
        results = []
        def go():
            for x in parallel(range(20){}):
                results.append(x * x)
        thread = threading.Thread(target=go)
        thread.start()
        thread.join()
        print(results == [x * x for x in range(20)])
        """


def test_a_loop_in_a_thread_gets_clean_interpreters(script: Script) -> None:
    assert script(IN_A_THREAD.format(", strict=True")) == (0, "True\n", "")


def test_a_loop_in_a_thread_cannot_fork_and_says_so(script: Script) -> None:
    ours = script(IN_A_THREAD.format(", on='fork'"))
    assert (ours.code, ours.out) == (0, "True\n")
    assert ours.err.count("ParallelWarning") == 1
    assert "script.py:6: ParallelWarning" in ours.err
    assert "in a thread beside the main one" in ours.err


BESIDE = """
    import threading
    from allcores import parallel
    over = threading.Event()
    threading.Thread(target=over.wait, name="beside", daemon=True).start()
    results = []
    for _ in range(3):
        results.clear()
        for x in parallel(range(20){}):
            results.append(x * x)
    over.set()
    print(results == [x * x for x in range(20)])
    """


def test_beside_a_thread_of_unknown_kind_loops_get_clean_interpreters(script: Script) -> None:
    assert script(BESIDE.format(", strict=True")) == (0, "True\n", "")


def test_a_thread_of_unknown_kind_makes_forked_loops_serial(script: Script) -> None:
    ours = script(BESIDE.format(", on='fork'"))
    assert (ours.code, ours.out) == (0, "True\n")
    assert ours.err.count("ParallelWarning") == 1
    assert "thread 'beside'" in ours.err


def test_a_thread_of_unknown_kind_under_strict(script: Script) -> None:
    ours = script(BESIDE.format(", strict=True, on='fork'"))
    assert ours.code == 1
    assert re.search(r"NotParallel: .*script.py:\d+: .*thread 'beside'", ours.err)


def test_a_thread_that_has_ended_is_no_obstacle(script: Script) -> None:
    ours = script("""
        import os, threading
        from allcores import parallel
        def go():
            thread = threading.Thread(target=int)
            thread.start()
            thread.join()
            pids = []
            for x in parallel(range(4)):
                pids.append(os.getpid())
            return os.getpid() not in pids
        print([go() for _ in range(40)].count(True))
        """)
    # On a busy machine the kernel may now and then take longer than a loop waits for it.
    code, count, _ = ours
    assert code == 0
    assert int(count) > 35


# -- the system


def test_no_process_to_be_had(script: Script) -> None:
    ours = script("""
        import os
        from allcores import parallel
        def refuse():
            raise BlockingIOError(11, "Resource temporarily unavailable")
        os.fork = refuse
        results = []
        for x in parallel(range(20)):
            results.append(x * x)
        print(results == [x * x for x in range(20)])
        """)
    assert (ours.code, ours.out) == (0, "True\n")
    assert ours.err.count("ParallelWarning") <= 1
    assert "Traceback" not in ours.err


def test_the_second_worker_is_refused(script: Script) -> None:
    ours = script("""
        import os
        from allcores import parallel
        fork, times = os.fork, []
        def grudging():
            times.append(1)
            if len(times) > 1:
                raise BlockingIOError(11, "Resource temporarily unavailable")
            return fork()
        os.fork = grudging
        results = []
        for x in parallel(range(20)):
            results.append(x * x)
        print(results == [x * x for x in range(20)])
        """)
    assert (ours.code, ours.out) == (0, "True\n")
    assert "Traceback" not in ours.err
