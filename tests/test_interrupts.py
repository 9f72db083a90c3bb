"""Ctrl-C and other ends: quick, quiet, with nobody left and a prefix of the loop done."""

from __future__ import annotations

import contextlib
import os
import pty
import random
import signal
import subprocess
import sys
import termios
import textwrap
import time
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from allcores.engine.interrupts import Interrupts
from tests.lines import read_line
from tests.sessions import wait_for

SOON = 3.0
"""Seconds that an end may take on a busy machine; half a second on any other."""
MARK = "ALLCORES_TEST_MARK"


class Outcome(NamedTuple):
    code: int
    out: str
    err: str
    seconds: float


class Program:
    """A program in a terminal of its own, and all processes that come of it."""

    def __init__(self, folder: Path, source: str, *arguments: str, **variables: str) -> None:
        (folder / "program.py").write_text(textwrap.dedent(source))
        self.folder, self.mark = folder, uuid.uuid4().hex
        self.keyboard, self.terminal = pty.openpty()
        self.settings = termios.tcgetattr(self.terminal)
        self.began = 0.0
        forced = {"ALLCORES_FORCE": "1", "ALLCORES_WORKERS": "2", MARK: self.mark}
        self.process = subprocess.Popen(
            [sys.executable, "-u", *(arguments or ["program.py"])],
            cwd=folder,
            stdin=self.terminal,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **forced, **variables},
            preexec_fn=_own_terminal,
        )

    def line(self) -> str:
        return read_line(self.process).strip()

    def files(self, name: str) -> list[Path]:
        return list(self.folder.glob(f"{name}.*"))

    def wait_for_files(self, name: str, number: int = 2) -> None:
        wait_for(lambda: len(self.files(name)) >= number or self.process.poll() is not None)

    def press_ctrl_c(self) -> None:
        """As the terminal does: to all processes in the foreground."""
        self.began = time.monotonic()
        os.write(self.keyboard, b"\x03")

    def send(self, number: int) -> None:
        """To the program alone."""
        self.began = time.monotonic()
        self.process.send_signal(number)

    def processes(self) -> dict[int, str]:
        """All that live and have the mark in their environment."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError, IndexError):
                if self.mark.encode() not in Path("/proc", pid, "environ").read_bytes():
                    continue
                if Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                    continue
                found[int(pid)] = Path("/proc", pid, "cmdline").read_text().replace("\0", " ")
        return found

    def end(self, seconds: float = 20) -> Outcome:
        """Wait for it and for all that came of it; fails when something is left."""
        try:
            out, err = self.process.communicate(timeout=seconds)
            took = time.monotonic() - self.began
            wait_for(lambda: not self.processes(), 1 + SOON)
        finally:
            left = self.processes()
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.kill()
            self.process.wait()
            settings = termios.tcgetattr(self.terminal)
            os.close(self.keyboard)
            os.close(self.terminal)
        assert settings == self.settings
        assert not left
        return Outcome(self.process.returncode, out, err, took)


def _own_terminal() -> None:
    """Become the leader of a session whose terminal is standard input."""
    import fcntl

    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


FACES = {
    "parallel": "for x in parallel(range(8), chunk=1):\n    y = work(x)\n",
    "map": "allcores.map(work, range(8))\n",
    "imap": "for y in allcores.imap(work, range(8)):\n    pass\n",
    "Pool": "with allcores.Pool(2) as pool:\n    pool.map(work, range(8), 1)\n",
    "Executor": "with allcores.Executor(2) as executor:\n    executor.submit(work, 0)\n    executor.submit(work, 1).result()\n",
}
STUCK = {
    "sleeps": "time.sleep(1000)",
    "computes": "while True: pass",
    "holds the interpreter": "ctypes.PyDLL(None).sleep(1000)",
    "blocks all signals": "block(signal); time.sleep(1000)",
    "has started a program": "subprocess.run(['sleep', '1000'])",
    "waits for a shell": "os.system('sleep 1000; true')",
}
PROGRAM = """
import allcores, ctypes, operator, os, signal, subprocess, sys, time
from allcores import parallel
# As a library's own code would: a loop that is seen to do it runs here.
block = operator.methodcaller("pthread_sigmask", signal.SIG_BLOCK, signal.valid_signals())
def work(x):
    open(f"at.{{x}}", "w").close()
    {stuck}
    return x
{before}
{face}
"""


def stuck(folder: Path, face: str, how: str, before: str = "") -> Program:
    """A program whose two workers are stuck in one way or another."""
    source = PROGRAM.format(face=FACES[face], stuck=STUCK[how], before=before)
    program = Program(folder, source)
    # A thread that holds the interpreter keeps the others from running.
    held = how == "holds the interpreter" and os.environ.get("ALLCORES_ON") == "threads"
    program.wait_for_files("at", 1 if held else 2)
    if how in ("has started a program", "waits for a shell"):
        wait_for(lambda: sum("sleep" in command for command in program.processes().values()) >= 2)
    return program


# -- one program after another, each ended in its own way

WAYS = [
    ("parallel", "sleeps", "keyboard"),
    ("parallel", "has started a program", "keyboard"),
    ("parallel", "holds the interpreter", "alone"),
    ("parallel", "blocks all signals", "alone"),
    ("map", "computes", "keyboard"),
    ("map", "waits for a shell", "alone"),
    ("imap", "blocks all signals", "keyboard"),
    ("Pool", "has started a program", "alone"),
    ("Pool", "holds the interpreter", "keyboard"),
    ("Executor", "sleeps", "keyboard"),
    ("Executor", "blocks all signals", "alone"),
]


@pytest.mark.parametrize("face, how, whom", WAYS)
def test_ctrl_c(tmp_path: Path, face: str, how: str, whom: str) -> None:
    program = stuck(tmp_path, face, how)
    if whom == "keyboard":
        program.press_ctrl_c()
    else:
        program.send(signal.SIGINT)
    code, out, err, seconds = program.end()
    assert (code, out) == (-signal.SIGINT, "")
    assert seconds < SOON
    lines = err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "KeyboardInterrupt"
    assert "program.py" in lines[1]
    assert err.count("Traceback") == 1
    assert "allcores/" not in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize(
    "face, how",
    [("parallel", "has started a program"), ("Pool", "blocks all signals"), ("map", "computes")],
)
def test_a_program_that_is_ended_takes_all_along(
    tmp_path: Path, face: str, how: str, number: signal.Signals
) -> None:
    program = stuck(tmp_path, face, how)
    program.send(number)
    code, out, err, seconds = program.end()
    assert (code, out, err) == (-number, "", "")
    assert seconds < SOON


@pytest.mark.parametrize("face", ["parallel", "Pool"])
def test_a_handler_that_exits(tmp_path: Path, face: str) -> None:
    before = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))"
    program = stuck(tmp_path, face, "has started a program", before)
    program.send(signal.SIGTERM)
    code, out, err, seconds = program.end()
    assert (code, out, err) == (7, "", "")
    assert seconds < SOON


def test_what_an_iteration_left_running_goes_on(tmp_path: Path) -> None:
    program = Program(
        tmp_path,
        """
        import subprocess
        import allcores
        def start(x):
            own = dict(stdout=-3, stderr=-3, start_new_session=True)
            return subprocess.Popen(["sleep", "1000"], **own).pid
        print(*allcores.map(start, range(4)), sep="\\n")
        """,
    )
    pids = [int(program.line()) for _ in range(4)]
    program.process.wait(20)
    assert set(program.processes()) == set(pids)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert program.end().code == 0


# -- handlers of the program's own


def test_a_handler_that_returns(tmp_path: Path) -> None:
    program = Program(
        tmp_path,
        """
        import os, signal, time
        import allcores
        from allcores import parallel
        came = []
        def handler(number, frame):
            came.append(os.getpid())
            print("handled", flush=True)
        signal.signal(signal.SIGINT, handler)
        def work(x):
            open(f"{face}.{x}", "w").close()
            while x < 2 and not os.path.exists("go"):
                time.sleep(0.001)
            assert not came
            return x
        def loop():
            out = []
            for x in parallel(range(40)):
                y = work(x)
                out.append(y)
            return out
        def pool():
            with allcores.Pool(2) as workers:
                return workers.map(work, range(40), 1)
        def executor():
            with allcores.Executor(2) as workers:
                return list(workers.map(work, range(40)))
        def mapped():
            return allcores.map(work, range(40))
        for run in (loop, mapped, pool, executor):
            face = run.__name__
            assert run() == list(range(40)) and came == [os.getpid()], came
            assert signal.getsignal(signal.SIGINT) is handler
            came.clear()
            os.remove("go")
        """,
    )
    for face in ("loop", "mapped", "pool", "executor"):
        program.wait_for_files(face)
        program.press_ctrl_c()
        assert program.line() == "handled"
        (tmp_path / "go").touch()
        wait_for(lambda: not (tmp_path / "go").exists() or program.process.poll() is not None)
    assert program.end()[:3] == (0, "", "")


ASYNCIO = """
    import asyncio, time
    from allcores import parallel
    def work(x):
        open(f"at.{x}", "w").close()
        time.sleep(0.01)
        return x
    async def main():
        out = []
        try:
            for x in ITEMS:
                y = work(x)
                out.append(y)
            print("all", out == list(range(40)), flush=True)
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            print("cancelled")
            raise
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print("interrupted")
    """


@pytest.mark.parametrize("items", ["range(40)", "parallel(range(40))"])
def test_asyncio(tmp_path: Path, items: str) -> None:
    program = Program(tmp_path, ASYNCIO.replace("ITEMS", items))
    program.wait_for_files("at", 1)
    program.press_ctrl_c()
    assert program.end()[:3] == (0, "all True\ncancelled\ninterrupted\n", "")


# -- in the midst of things


def test_while_a_commit_waits(tmp_path: Path) -> None:
    program = Program(
        tmp_path,
        """
        import os
        from allcores import parallel
        inlet, outlet = os.pipe()
        pipe = open(outlet, "w")
        out = []
        try:
            for x in parallel(range(1000)):
                text = str(x) * 1000
                out.append(x)
                pipe.write(text)
        except KeyboardInterrupt:
            print(out == list(range(len(out))), x - out[-1] in (0, 1), x < 900)
            os.set_blocking(outlet, False)
        more = []
        for x in parallel(range(100)):
            more.append(x)
        print(more == list(range(100)), flush=True)
        os._exit(0)
        """,
    )
    stat = Path(f"/proc/{program.process.pid}/wchan")
    wait_for(lambda: "pipe" in stat.read_text() or program.process.poll() is not None)
    program.press_ctrl_c()
    assert program.end()[:3] == (0, "True True True\nTrue\n", "")


def test_while_input_is_read(tmp_path: Path) -> None:
    program = Program(
        tmp_path,
        """
        import allcores, sys, time
        from allcores import parallel
        def numbers():
            yield from range(20)
            open(f"at.{time.monotonic()}", "w").close()
            for _ in range(100_000):
                time.sleep(0.01)  # Python misses a signal that comes just before a sleep begins
        def loop():
            for x in parallel(numbers()):
                out.append(x)
        def imap():
            for x in allcores.imap(abs, numbers()):
                out.append(x)
        for run in (loop, imap):
            out = []
            try:
                run()
            except KeyboardInterrupt:
                print(out == list(range(len(out))), sys.stdout is sys.__stdout__, flush=True)
        """,
    )
    for number in (1, 2):
        program.wait_for_files("at", number)
        program.press_ctrl_c()
    assert program.end()[:3] == (0, "True True\nTrue True\n", "")


def test_while_a_consumer_of_imap_is_at_work(tmp_path: Path) -> None:
    program = Program(
        tmp_path,
        """
        import allcores, time
        for y in allcores.imap(abs, range(1000)):
            if y == 5:
                open("at.1", "w").close()
                # Not one long sleep: Python itself sleeps on where a signal comes just before that.
                while True:
                    time.sleep(0.01)
        """,
    )
    program.wait_for_files("at", 1)
    program.press_ctrl_c()
    code, out, err, seconds = program.end()
    assert (code, out, err.count("Traceback")) == (-signal.SIGINT, "", 1)
    assert err.splitlines()[-1] == "KeyboardInterrupt"
    assert seconds < SOON


def test_while_workers_close_what_is_their_own(tmp_path: Path) -> None:
    program = Program(
        tmp_path,
        """
        import os, time
        from allcores import parallel, per_worker
        class Slow:
            def close(self):
                open(f"at.{os.getpid()}", "w").close()
                time.sleep(1000)
        slow = per_worker(Slow)
        home, out = os.getpid(), []
        def work(x):
            if os.getpid() != home:
                slow()
            return x
        for x in parallel(range(40)):
            y = work(x)
            out.append(y)
        """,
    )
    program.wait_for_files("at", 1)
    program.press_ctrl_c()
    code, out, err, seconds = program.end()
    assert (code, out, err.count("Traceback")) == (-signal.SIGINT, "", 1)
    assert seconds < SOON


# -- under others


def test_pytest(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import time\nfrom allcores import parallel\n"
        "def work(x):\n    open(f'at.{x}', 'w').close()\n    time.sleep(1000)\n"
        "def test_it():\n    for x in parallel(range(8)):\n        y = work(x)\n"
    )
    program = Program(tmp_path, "", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py")
    program.wait_for_files("at")
    program.press_ctrl_c()
    code, out, err, seconds = program.end()
    assert (code, err) == (2, "")
    assert "test_it.py:7: KeyboardInterrupt" in out
    assert seconds < SOON + 2  # pytest's own end takes a while


def answer(client: Any, asked: str) -> Any:
    """What the kernel says to a request; it may still answer earlier ones."""
    while True:
        message = client.get_shell_msg(timeout=20)
        if message["parent_header"].get("msg_id") == asked:
            return message["content"]


def test_a_notebook(tmp_path: Path) -> None:
    manager_of = pytest.importorskip("jupyter_client.manager")
    pytest.importorskip("ipykernel")

    class Here(manager_of.KernelManager):  # type: ignore[name-defined,misc]
        def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
            return [sys.executable, "-m", "ipykernel_launcher", "-f", self.connection_file]

    manager = Here()
    forced = {"ALLCORES_FORCE": "1", "ALLCORES_WORKERS": "2", "IPYTHONDIR": str(tmp_path)}
    manager.start_kernel(env={**os.environ, **forced}, cwd=str(tmp_path))
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=30)
        asked = client.execute(
            "import time\nfrom allcores import parallel\nout = []\n"
            "def work(x):\n    open(f'at.{x}', 'w').close()\n    time.sleep(1000 * (x > 5))\n"
            "    return x\n"
            "for x in parallel(range(20), chunk=1):\n    out.append(work(x))\n"
        )
        wait_for(lambda: len(list(tmp_path.glob("at.*"))) >= 8)
        began = time.monotonic()
        manager.interrupt_kernel()
        reply = answer(client, asked)
        assert time.monotonic() - began < SOON
        assert (reply["status"], reply["ename"]) == ("error", "KeyboardInterrupt")
        assert "allcores/" not in "".join(reply["traceback"])
        # Some of the six may be on their way when the interrupt comes.
        check = "assert len(out) <= 6 and out == list(range(len(out))), out"
        # For a moment a kernel gives up all cells that were sent before an error was told.
        wait_for(lambda: answer(client, client.execute(check))["status"] != "aborted")
        assert answer(client, client.execute(check))["status"] == "ok"
        children = f"/proc/{manager.provisioner.process.pid}/task/*/children"
        assert not "".join(p.read_text() for p in Path("/").glob(children[1:]))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


# -- anywhere


def places(face: str, how: str, first: int, step: int, again: int = 0, name: str = "") -> str:
    """What went wrong with interrupts at many places in our own code, or in a function named."""
    script = Path(__file__).with_name("interrupt_places.py")
    if os.environ.get("ALLCORES_ON") == "fresh":
        step *= 3 if name else 7  # each time clean interpreters have to start anew
    done = subprocess.run(
        [sys.executable, str(script), face, how, str(first), str(step), str(again), name],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "ALLCORES_FORCE": "1", "ALLCORES_WORKERS": "2"},
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1].startswith("tried ")
    return "\n".join(lines[:-1])


@pytest.mark.parametrize(
    "face, how, first, step, again",
    [
        ("loop", "default", 1003, 397, 0),
        ("items", "default", 4001, 997, 0),
        ("mapped", "raise", 1001, 307, 0),
        ("pool", "default", 617, 173, 0),
        ("executor", "default", 617, 211, 0),
        ("loop", "default", 1200, 701, 40),
    ],
)
def test_anywhere_in_our_own_code(face: str, how: str, first: int, step: int, again: int) -> None:
    assert places(face, how, first, step, again) == ""


LOOPS = ["loop", "stream", "items", "own", "mapped", "one_by_one", "pool", "executor"]


@pytest.mark.parametrize("how", ["default", "raise"])
@pytest.mark.parametrize("face", LOOPS)
def test_just_before_signals_are_held_back(face: str, how: str) -> None:
    assert places(face, how, 1, 1, name="held_back") == ""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["default", "raise", "flag"])
@pytest.mark.parametrize("face", LOOPS)
def test_everywhere_in_our_own_code(face: str, how: str) -> None:
    assert places(face, how, 600, 97) == ""


TWICE = """
    import os, signal, sys, time
    import allcores
    from allcores import parallel
    from allcores.engine.interpreters import standby
    def work(x):
        until = time.monotonic() + 0.002
        while time.monotonic() < until:
            pass
        return x
    def loop():
        for x in parallel(range(100_000), chunk=2):
            y = work(x)
            out.append(y)
    def imap():
        for y in allcores.imap(work, range(100_000), chunk=2):
            out.append(y)
    def children():
        return open(f"/proc/self/task/{os.getpid()}/children").read()
    def all_stand_by():
        # Clean interpreters stay for the next loop, on purpose; none may still be at work.
        with standby.lock:
            waiting = standby.all == set(standby.idle)
            standby.end_all()
        return waiting
    def wait_for(name):
        # Not a line of input, which would be lost where an interrupt comes as it is read.
        while True:
            try:
                while not os.path.exists(name):
                    time.sleep(0.001)
                time.sleep(0.02)
                return
            except KeyboardInterrupt:
                pass
    for k in range(int(os.environ["ROUNDS"])):
        for run in (loop, imap):
            out = []
            before = sorted(os.listdir("/proc/self/fd"))
            try:
                print("go", flush=True)
                try:
                    run()
                except KeyboardInterrupt:
                    wait_for(f"on.{k}.{run.__name__}")
            except KeyboardInterrupt:
                wait_for(f"on.{k}.{run.__name__}")
            fine = (
                out == list(range(len(out))),
                all_stand_by() and children() == "",
                sorted(os.listdir("/proc/self/fd")) == before,
                signal.getsignal(signal.SIGINT) is signal.default_int_handler,
            )
            print(fine, flush=True)
    """


def twice(folder: Path, rounds: int, seed: int) -> None:
    """Ctrl-C twice in a row, at many distances."""
    rng = random.Random(seed)
    for old in folder.glob("on.*"):
        old.unlink()
    program = Program(folder, TWICE, ROUNDS=str(rounds))
    try:
        for k in range(2 * rounds):
            assert program.line() == "go"
            time.sleep(rng.choice([0.002, 0.02, 0.1]) * rng.random())
            program.press_ctrl_c()
            time.sleep(rng.choice([0.0002, 0.003, 0.02]) * rng.random())
            program.press_ctrl_c()
            (folder / f"on.{k // 2}.{('loop', 'imap')[k % 2]}").touch()
            assert program.line() == "(True, True, True, True)"
    finally:
        outcome = program.end()
    assert (outcome.code, outcome.err) == (0, "")


def test_twice_in_a_row(tmp_path: Path) -> None:
    twice(tmp_path, 6, seed=1)


@pytest.mark.slow
def test_twice_in_a_row_many_times(tmp_path: Path) -> None:
    for seed in range(2, 12):
        twice(tmp_path, 30, seed)


AS_IT_IS_CLOSED = """
    import signal
    from allcores import imap, parallel
    from allcores.engine.interrupts import Interrupts

    close, left = Interrupts.while_closing, []
    def interrupted(self, pieces):
        if left:
            signal.raise_signal(signal.SIGINT) if left.pop() else None
            result = close(self, pieces)
            signal.raise_signal(signal.SIGINT) if left and left.pop() else None
            return result
        return close(self, pieces)
    Interrupts.while_closing = interrupted

    def square(x):
        return x * x

    def loop():
        for x in parallel(range(30)):
            y = square(x)
            if x == 5:
                break

    def calls():
        for y in imap(square, iter(range(30))):
            if y == 25:
                break

    for what in (loop, calls):
        for when in ([True], [True, False]):
            left[:] = when
            try:
                what()
                for _ in range(1000):
                    pass
                print("went on")
            except KeyboardInterrupt:
                print("caught")
    """


def test_as_a_loop_is_left(tmp_path: Path) -> None:
    """What is raised as a generator is closed is lost, so that it has to come again after that."""
    outcome = Program(tmp_path, AS_IT_IS_CLOSED).end()
    assert (outcome.code, outcome.out, outcome.err) == (0, "caught\n" * 4, "")


def test_an_interrupt_as_signals_are_let_through() -> None:
    """What was entered, and not left, does nothing more when it is dropped."""
    before = signal.getsignal(signal.SIGINT)
    interrupts = Interrupts()
    with interrupts.held_back():
        assert signal.getsignal(signal.SIGINT) != before
        entered = interrupts.let_through()
        entered.__enter__()
        assert signal.getsignal(signal.SIGINT) == before
    del entered
    assert signal.getsignal(signal.SIGINT) == before
