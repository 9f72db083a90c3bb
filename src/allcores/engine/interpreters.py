"""Clean interpreters as workers: started by this process, alike to it, and kept for later loops.

They stand by between loops. Nothing here runs by itself: they are looked at when a loop needs some,
and end by themselves when they have been idle for long.
"""

from __future__ import annotations

import atexit
import errno
import os
import pickle
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from allcores.engine import relay, wire
from allcores.engine.crew import Worker
from allcores.engine.failures import CannotFork
from allcores.engine.kept import keeper
from allcores.engine.memory import machine
from allcores.engine.thread_limits import SET_BY_IT

IDLE_SECONDS = 60.0
"""After so long without work a clean interpreter ends."""
START_SECONDS = 60.0
"""What is not ready after so long is taken for hanging."""
FAILED_STARTS, TRIED_AGAIN = 3, 60.0
"""So many that do not start, one after the other, and no more are tried for so many seconds."""
MOST_AT_ONCE = 2
"""So many are started in one go."""
SET_BY_LIBRARIES = (SET_BY_IT.encode(), SET_BY_IT)
"""What importing threadpoolctl or scikit-learn sets: no reason for other interpreters."""
_BOOT = (
    "sys.path[:] = {path!a}; "
    "from allcores.engine.fresh_worker import boot; boot({sock}, {life}, {idle}, {prefix!a}, {modules!a})"
)
_LAZY = (
    "import sys, types; sys.dont_write_bytecode = {no_bytecode}; "
    "m = types.ModuleType('allcores'); m.__path__ = {where!a}; "
    "sys.modules['allcores'] = m; "
)


class Surroundings(NamedTuple):
    """What a worker was started in. One that was started in others may come to other results."""

    path: list[str]
    environment: dict[Any, Any]
    executable: str

    @classmethod
    def now(cls) -> Surroundings:
        """Those of this process."""
        variables = getattr(os.environ, "_data", None)
        kept = dict(variables) if type(variables) is dict else dict(os.environ)
        for name in SET_BY_LIBRARIES:
            kept.pop(name, None)
        return cls([p for p in sys.path if isinstance(p, str)], kept, sys.executable)


class _HelloReader(wire.Reader):
    """As `Reader`, but passes over the empty messages that say that a worker is ready."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.hellos = 1
        """How many are to come before anything else."""
        self.greeted = False
        """Whether any has come."""

    def read(self) -> Any:
        while (frame := super().read()) is not None:
            if not self.hellos:
                return frame
            self.hellos -= 1
            self.greeted = True
        return None


class FreshWorker(Worker):
    """The coordinator's end of one clean interpreter."""

    reader: _HelloReader

    def __init__(self, pid: int, sock: socket.socket, lifeline: int, around: Surroundings) -> None:
        super().__init__(pid, sock, lifeline, 0)
        self.reader = _HelloReader(sock)
        self.around = around
        self.born = time.monotonic()
        self.holds: set[int] = set()
        """The numbers of the big values that it has mapped."""

    def begin(self, number: int, order: bytes, files: list[int]) -> None:
        """Give it a loop's work. files: descriptors that go along. Raises OSError: it was not sent."""
        self.number = number
        frame = wire.Frame([memoryview(wire.small_frame(order))])
        for file in files:
            frame.fds = [*frame.fds, os.dup(file)]  # which the frame closes, whatever happens
        self.outbox.append(frame)
        try:
            self.flush()
        except IndexError:
            self.kill()  # the system takes no more files that are on their way

    def keep_only(self, numbers: list[int]) -> None:
        """Have it drop all other big values."""
        if self.started and not self.outbox and not self.holds <= set(numbers):
            self.holds &= set(numbers)
            self.send(pickled(numbers))

    def end_job(self) -> None:
        """Have it put all back, and be ready for another loop."""
        self.reader.hellos += 1
        self.send(b"")

    def is_ready(self) -> bool:
        """Whether it has started. One that puts things back takes but a moment."""
        self.hear()
        return self.started

    def is_clean(self) -> bool:
        """Whether it has put all back."""
        self.hear()
        return not self.reader.hellos

    def hear(self) -> None:
        try:
            self.reader.read()
        except (EOFError, ConnectionError):
            pass

    @property
    def started(self) -> bool:
        """Whether it has come to be ready."""
        return self.reader.greeted

    def gone(self) -> bool:
        """Whether it has ended, or is about to."""
        return self.ended() or self.sock.fileno() < 0

    def is_stuck(self) -> bool:
        """Whether it has taken so long to start that it hardly ever will."""
        return not self.started and time.monotonic() - self.born > START_SECONDS

    def disown(self) -> None:
        """In a forked child: it belongs to the parent."""
        try:
            self.close_descriptors()
        except OSError:
            pass


class Standby:
    """The clean interpreters of this process that have nothing to do, ready or not."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.idle: list[FreshWorker] = []
        self.all: set[FreshWorker] = set()
        """Those at work in loops as well."""
        self.failed = 0
        """How many ended before they were ready, since the last one that was."""
        self.failed_at = 0.0
        self.over = False
        """Whether the program ends."""
        self.prepared = False
        self.modules: list[str] = []
        """What new ones import."""

    def why_not(self) -> str | None:
        """Why none can be started here, as far as is known."""
        if self.gives_up():
            return "clean interpreters do not start"
        return why_no_interpreters()

    def gives_up(self) -> bool:
        """Whether so many did not start lately that no more are tried for a while."""
        return self.failed >= FAILED_STARTS and time.monotonic() - self.failed_at < TRIED_AGAIN

    def note_failure(self) -> None:
        """One did not start."""
        self.failed, self.failed_at = min(self.failed + 1, FAILED_STARTS), time.monotonic()

    def prepare(self, count: int, imports: Callable[[], list[str]] = list) -> bool:
        """Have so many stand by, and give whether one can begin at once; those that are missing are started, and ready some time later.

        Not all of many at once, for each takes a millisecond or two of this process: it is to be
        called again and again. imports: called where one is started; the modules that they are to
        import before they are ready.
        """
        with self.lock:
            self.look()
            if len(self.idle) < count:
                self.modules = imports() or self.modules
            for _ in range(min(count - len(self.idle), MOST_AT_ONCE)):
                if self.gives_up() or (self.idle and machine().nearly_full()):
                    break
                try:
                    self.idle.append(self.start())
                except CannotFork:
                    # Who needs one at once is told; here the loop can go on without.
                    self.note_failure()
                    break
            return any(worker.is_ready() for worker in self.idle)

    def take(self) -> FreshWorker:
        """One for a loop: the first that is ready, or else one that will be.

        Raises CannotFork where none can be started.
        """
        with self.lock:
            self.look()
            found = next((w for w in self.idle if w.is_ready()), None)
            if found is None and self.idle:
                found = self.idle[0]
            if found is not None:
                self.idle.remove(found)
                return found
            if self.gives_up():
                raise CannotFork(errno.EAGAIN, self.why_not())
            return self.start()

    def give_back(self, worker: FreshWorker) -> None:
        """It has done its part of a loop, and been told so."""
        with self.lock:
            self.idle.append(worker)
            worker.keep_only(keeper.numbers())

    def look(self) -> None:
        """Part with those that have ended, or were started in other surroundings. With the lock."""
        if not self.idle:
            return
        now = Surroundings.now()
        for worker in list(self.idle):
            if worker.gone() or worker.is_stuck():
                self.note_end(worker)
            elif worker.around == now:
                continue
            self.idle.remove(worker)
            self.part_with(worker)

    def keep_only(self, numbers: list[int]) -> None:
        """Have those that stand by drop all other big values: they are no more, or have changed."""
        if not self.lock.acquire(blocking=False):
            return  # they are told with the next loop
        try:
            for worker in self.idle:
                worker.keep_only(numbers)
        finally:
            self.lock.release()

    def note_end(self, worker: FreshWorker) -> None:
        """One has ended by itself: it was idle for long, or could not start."""
        worker.hear()
        if worker.started:
            self.failed = 0
        else:
            self.note_failure()

    def part_with(self, worker: FreshWorker) -> None:
        self.all.discard(worker)
        worker.kill()
        worker.reap()
        if not self.all:
            keeper.clear()

    def start(self) -> FreshWorker:
        """Start one more. With the lock held. Raises CannotFork."""
        if not self.prepared:
            self.prepared = True
            os.register_at_fork(after_in_child=self.disown)
            atexit.register(self.end_program)
        around = Surroundings.now()
        worker = FreshWorker(*start_interpreter(around, self.modules), around)
        self.all.add(worker)
        return worker

    def end_program(self) -> None:
        """The program ends: only daemon threads may still be in loops."""
        self.over = True
        with self.lock:
            for worker in self.all.difference(self.idle):
                # The loop that has it may be reading from it just now.
                worker.kill()
            idle, self.idle = self.idle, []
            for worker in idle:
                self.part_with(worker)

    def wait_if_over(self) -> None:
        """A daemon thread has lost a worker because the program ends; it ends with that as well."""
        while self.over and threading.current_thread() is not threading.main_thread():
            time.sleep(1)

    def end_all(self) -> None:
        """End all of them."""
        with self.lock:
            workers, self.idle = list(self.all), []
            for worker in workers:
                worker.kill()
            for worker in workers:
                self.part_with(worker)

    def disown(self) -> None:
        """In a forked child: all of them belong to the parent."""
        self.lock = threading.RLock()
        for worker in self.all:
            worker.disown()
        self.idle, self.all = [], set()


standby = Standby()
keeper.dropped = standby.keep_only


def why_no_interpreters() -> str | None:
    """Why no clean interpreter can be started here; None: it may well be possible."""
    if not hasattr(os, "fork") or not hasattr(socket, "AF_UNIX") or not hasattr(select, "poll"):
        return "clean interpreters need a Unix system for now"
    if getattr(sys, "frozen", False):
        return "this program is one file, in which there is no interpreter to start"
    if not sys.executable or not os.access(sys.executable, os.X_OK):
        return "there is no Python to start: sys.executable does not name one"
    if "python" not in os.path.basename(sys.executable).lower():
        # A program that embeds Python, which would not take our arguments as Python does.
        return f"sys.executable is {sys.executable!r}, which may not be Python"
    return None


def start_interpreter(around: Surroundings, modules: list[str]) -> tuple[int, socket.socket, int]:
    """Start a clean interpreter; gives its id, our end of a socket, and its lifeline.

    It runs nothing of the program's script. modules: what it imports first. Raises CannotFork.
    """
    try:
        ours, theirs = socket.socketpair()
    except OSError as error:
        raise _refused(error) from None
    try:
        life, line = os.pipe()
    except OSError as error:
        ours.close()
        theirs.close()
        raise _refused(error) from None
    # Until it has handlers of its own, what a terminal sends to all must wait.
    held = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
    try:
        pid = _spawn(around, theirs.fileno(), life, modules)
    except OSError as error:
        ours.close()
        os.close(line)
        raise _refused(error) from None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        theirs.close()
        os.close(life)
    ours.setblocking(False)
    return pid, ours, line


def _spawn(around: Surroundings, sock: int, life: int, modules: list[str]) -> int:
    import subprocess

    where = list(sys.modules["allcores"].__path__)
    no_bytecode, prefix = _bytecode()
    boot = _LAZY.format(where=where, no_bytecode=no_bytecode) + _BOOT.format(
        path=around.path, sock=sock, life=life, idle=IDLE_SECONDS, prefix=prefix, modules=modules
    )
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    # What is said while modules are imported was said here already.
    process = subprocess.Popen(
        [around.executable, *flags, "-c", boot],
        pass_fds=(sock, life),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    process.returncode = 0  # it is ours to wait for
    return process.pid


def _bytecode() -> tuple[bool, str | None]:
    """Whether importing writes none, and where it goes.

    Where the program writes none, workers must not either: a program that imports a file anew after
    it was changed would be given what it was before, where size and time do not tell.
    """
    return bool(sys.dont_write_bytecode), sys.pycache_prefix


def _refused(error: OSError) -> CannotFork:
    text = f"the system refused to start a clean interpreter: {error.strerror}"
    return CannotFork(error.errno, text)


def told() -> dict[str, Any]:
    """What may change while a worker stands by, and what it is told of then."""
    handled = [
        number
        for number in (
            signal.SIGTERM,
            signal.SIGHUP,
            signal.SIGQUIT,
            signal.SIGUSR1,
            signal.SIGUSR2,
        )
        if callable(signal.getsignal(number))
    ]
    digits: Any = getattr(sys, "get_int_max_str_digits", None)
    return {
        "argv": list(sys.argv),
        "bytecode": _bytecode(),
        "handled": [int(number) for number in handled],
        "ignores_interrupt": signal.getsignal(signal.SIGINT) == signal.SIG_IGN,
        "recursion": sys.getrecursionlimit(),
        "digits": None if digits is None else digits(),
        "switch": sys.getswitchinterval(),
        "cores": os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None,
        "ipython": relay.ipython() is not None,
    }


def same_hashes() -> bool:
    """Whether clean interpreters hash texts as this one does, so that sets are in the same order.

    They do not where Python draws a number for that at each start, which is the default; setting
    PYTHONHASHSEED to a number before the program starts makes them. A program that sets it for itself
    comes too late, but not for what it starts.
    """
    now = os.environ.get("PYTHONHASHSEED", "")
    if sys.flags.ignore_environment or not now.isdigit():
        return False
    if not sys.flags.hash_randomization:
        return int(now) == 0
    try:
        with open("/proc/self/environ", "rb") as file:
            began_with = file.read().split(b"\0")
    except OSError:
        return False
    return f"PYTHONHASHSEED={now}".encode() in began_with


def this_folder() -> int:
    """A descriptor of the current folder, or -1."""
    try:
        return os.open(".", getattr(os, "O_PATH", os.O_RDONLY))
    except OSError:
        return -1


def pickled(order: Any) -> bytes:
    return pickle.dumps(order, protocol=5)
