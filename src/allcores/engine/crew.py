"""Workers made by forking at the loop: they hold the function and the fixed values already."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import socket
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from allcores.engine import errors, orphans, per_worker, wire
from allcores.engine.descendants import descendants, kill_all, kill_tree
from allcores.engine.failures import CannotFork, Ending
from allcores.engine.forkable import locks_held, ready_to_fork
from allcores.engine.interrupts import HELD
from allcores.engine.job import Job
from allcores.engine.limits import NO_LIMITS, Limits
from allcores.engine.memory import go_first
from allcores.engine.serve import Server
from allcores.engine.slots import Slots
from allcores.engine.thread_limits import thread_limits
from allcores.plan.quiet import no_warnings

in_worker = False
"""True in a worker process: a loop in a loop runs natively there."""


CLOSING, CLOSING_BUSY = 30.0, 2.0
"""Seconds that workers have to close what is their own; those in the midst of work have less."""
CLOSING_HURRIED = 0.3
"""And all of them, where somebody has pressed Ctrl-C."""
CLOSING_TEXT = 100_000
UNKILLABLE = 20.0
"""Seconds after which a worker that was killed and does not end is left to the kernel."""


class Worker:
    """The coordinator's end of one forked worker."""

    closes_by_itself = False
    """Whether it closes what is its own when it is told that there is no more to do."""

    def __init__(self, pid: int, sock: socket.socket, lifeline: int, number: int) -> None:
        self.pid = pid
        self.lifeline = lifeline
        self.sock = sock
        self.number = number
        self.reader = wire.Reader(sock)
        self.outbox: deque[wire.Frame] = deque()
        self.assigned: deque[Any] = deque()
        self.how = Ending(None)
        """How it came to its end, when it has been reaped."""
        self.overdue: tuple[int, float] | None = None
        """What it was at for too long, and since when, if it was killed for that."""
        self.spoiled = False
        """Whether it is of no use for another loop, for it has changed what outlives iterations."""
        # Its socket may be held open by what it has forked, but this tells of its end in any case.
        self.pidfd = _pidfd(pid)

    def send(self, body: bytes, big: Sequence[pickle.PickleBuffer] = ()) -> None:
        """Queue a message, its big buffers apart, and send what the socket takes now."""
        frame = wire.frame(body, big, together=True)
        frame.own()
        self.outbox.append(frame)
        self.flush()

    def flush(self) -> None:
        """Send what the socket takes; a worker that is gone is noticed when reading."""
        while self.outbox:
            try:
                self.outbox[0].send(self.sock)
            except BlockingIOError:
                return
            except OSError:
                self.outbox.clear()
                return
            self.outbox.popleft()

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    def signal(self, number: int) -> None:
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            pass

    def ended(self) -> bool:
        """Whether the process has come to its end; it is still to be reaped."""
        if not hasattr(os, "waitid"):
            return self.waited_for()  # some systems can only do both at once
        try:
            return bool(os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT))
        except ChildProcessError:
            return True

    def reap(self) -> None:
        """Wait for the (killed) process and close what belongs to it."""
        self.wait_for_end()
        self.waited_for()
        self.close_descriptors()

    def wait_for_end(self) -> None:
        """Wait until the (killed) process has come to its end."""
        pause, end = 0.0001, time.monotonic() + UNKILLABLE
        while not self.ended() and time.monotonic() < end:
            time.sleep(pause)
            pause = min(pause * 2, 0.01)

    def waited_for(self) -> bool:
        """Whether the process has come to its end and is reaped, as of now."""
        if self.how.status is None:
            try:
                pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            except ChildProcessError:
                return True
            if not pid:
                return False
            self.how = Ending(status, usage.ru_maxrss * 1024)
        return True

    def descriptors(self) -> list[int]:
        """What there is to wait on."""
        return [fd for fd in (self.sock.fileno(), self.pidfd) if fd >= 0]

    def close_descriptors(self) -> None:
        self.reader.close()
        self.outbox.clear()
        self.sock.close()
        # Once each: at the end of the program a daemon thread may be at it as well.
        (lifeline, self.lifeline), (pidfd, self.pidfd) = (self.lifeline, -1), (self.pidfd, -1)
        for descriptor in (lifeline, pidfd):
            if descriptor >= 0:
                os.close(descriptor)


def _pidfd(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return -1


class Crew:
    """The workers of one loop, and the means to make more of them."""

    apart = False
    """Whether workers share nothing with this process, so that items have to be sent."""

    def __init__(self, job: Job, items: Any, slots: Slots, limits: Limits = NO_LIMITS) -> None:
        self.job, self.items, self.slots, self.limits = job, items, slots, limits
        self.owner = os.getpid()
        self.workers: list[Worker] = []
        self.wanted = 0
        """How many more there are to be, as far as was said last."""
        self.closing = -1
        """A file for what goes wrong while workers close what they have of their own."""
        if per_worker.any_exist():
            self.closing = wire.memory_file("allcores-closing")
        self.holds_threads = self.hold_threads()

    def hold_threads(self) -> bool:
        """Whether the pools of threads in this process are limited, to be let go at the end."""
        return thread_limits.hold(self.slots.count)

    def may_add(self, wanted: int) -> bool:
        """Whether one more worker can be made now. wanted: how many more there are to be."""
        return True

    def are_coming(self) -> bool:
        """Whether more can be added soon, of which nothing is heard before that."""
        return False

    def add(self, number: int) -> Worker:
        """Fork one more worker."""

        def live(sock: socket.socket) -> None:
            for other in self.workers:
                other.close_descriptors()
            per_worker.errors = self.closing
            settled = on_own_core(number)
            if self.limits.memory is None:
                keep_freed_memory()
            self.job.enter_worker()
            Server(self.job, self.items, sock, self.slots, number, self.limits).live(settled)

        ready_to_fork()
        self.slots.is_new(number)
        worker = Worker(*fork_worker(live), number)
        self.workers.append(worker)
        return worker

    def close(self, hurried: Callable[[], object] = bool) -> None:
        """Kill and reap every worker, and what those in an iteration have started; close every
        descriptor.

        hurried: whether to give them little time to close what is their own.
        """
        busy = {w.pid: w for w in self.workers if self.slots.at[w.number] >= 0}
        started = [each for pid in busy for each in descendants(pid)]
        try:
            if self.closing >= 0:
                self.let_close(hurried)
        finally:
            for w in busy.values():
                if not w.ended():
                    kill_tree(w.pid)
            for w in self.workers:
                w.kill()
            kill_all(started)
            for w in self.workers:
                w.reap()
            self.workers = []
        if self.holds_threads:
            self.holds_threads = False
            thread_limits.let_go()
        closing, self.closing = self.closing, -1
        if closing >= 0:
            said = os.pread(closing, CLOSING_TEXT, 0).decode(errors="replace")
            os.close(closing)
            if said:
                text = f"a worker could not close what `per_worker` had made there:\n{said}"
                warnings.warn(text, RuntimeWarning, stacklevel=2)

    def __del__(self) -> None:
        # Not of the Run, which is dropped where a signal's handler may raise: that would be lost.
        if getattr(self, "workers", None) and self.owner == os.getpid():
            self.close()

    def let_close(self, hurried: Callable[[], object]) -> None:
        """Have workers close what they have of their own, as long as that may take."""
        began = time.monotonic()
        pause = 0.0005
        left = list(self.workers)
        while left:
            spent = time.monotonic() - began
            # Again and again, for a signal that comes just before a system call ends no wait.
            for w in left:
                if not w.closes_by_itself:
                    w.signal(signal.SIGTERM)
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
            most = CLOSING_HURRIED if hurried() else CLOSING
            left = [
                w
                for w in left
                if not w.ended() and spent < (min(CLOSING_BUSY, most) if w.assigned else most)
            ]

    def gone_with(self, worker: Worker) -> list[Worker]:
        """The workers that are gone when this one is."""
        return [worker]

    def remove(self, worker: Worker) -> None:
        """Forget a worker that died."""
        worker.kill()
        worker.reap()
        self.workers.remove(worker)


def fork_worker(live: Callable[[socket.socket], None]) -> tuple[int, socket.socket, int]:
    """Fork a process that does `live(its end of a socket)` and ends.

    Gives its id, our end of the socket and its lifeline: the worker dies when that is closed.
    Raises CannotFork when the system makes no more processes.
    """
    try:
        ours, theirs = socket.socketpair()
    except OSError as error:
        raise refused(error) from None
    # Workers die with this process even in the middle of an iteration: the kernel sends
    # SIGKILL to the holder of the other end when this end is closed. A pipe for each worker,
    # for a pipe remembers one process to tell.
    try:
        life, line = os.pipe()
    except OSError as error:
        ours.close()
        theirs.close()
        raise refused(error) from None
    held = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
    try:
        # From 3.12 on, a warning is given where threads are running; they have been looked at.
        with locks_held(), no_warnings():
            pid = os.fork()
    except OSError as error:
        ours.close()
        theirs.close()
        os.close(life)
        os.close(line)
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        raise refused(error) from None
    if pid == 0:
        try:
            os.close(line)
            _be_worker(live, ours, theirs, held, life)
        finally:
            # Whatever happens, a worker never runs on as a second copy of the program.
            os._exit(1)
    signal.pthread_sigmask(signal.SIG_SETMASK, held)
    theirs.close()
    os.close(life)
    ours.setblocking(False)
    return pid, ours, line


def refused(error: OSError) -> CannotFork:
    if isinstance(error, CannotFork):
        return error
    return CannotFork(error.errno, f"the system refused to make a worker: {error.strerror}")


def _be_worker(
    live: Callable[[socket.socket], None],
    ours: socket.socket,
    theirs: socket.socket,
    mask: Any,
    life: int,
) -> None:
    """The life of a worker: never returns."""
    global in_worker
    try:
        gc.freeze()
        in_worker = True
        errors.outer = sys.exception()
        signal.set_wakeup_fd(-1)
        _leave_signals_to_the_parent()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        ours.close()
        if not orphans.die_with(life):
            return
        go_first()
        sys.settrace(None)
        sys.setprofile(None)
        live(theirs)
    except BaseException:
        pass
    finally:
        os._exit(0)


def _leave_signals_to_the_parent() -> None:
    """What a terminal sends to all of its processes is for the program, not for its workers.

    What the program handles they pass over, and Ctrl-C. They do so by a handler: what is ignored
    would be ignored by programs that they start as well.
    """
    for number in map(signal.Signals, HELD):
        handled = callable(signal.getsignal(number))
        if handled or (number == signal.SIGINT and signal.getsignal(number) != signal.SIG_IGN):
            signal.signal(number, _pass_over)
            signal.siginterrupt(number, False)
    for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)


def _pass_over(number: int, frame: object) -> None:
    pass


def on_own_core(number: int) -> Callable[[], None]:
    """Keep this new worker on one core, another for each worker, until the result is called.

    Left alone, Linux may wake all new workers on one core and leave them there for a tenth of a
    second. To be called when the first work has come: then this process is where it should be.
    """
    try:
        allowed = os.sched_getaffinity(0)
        cores = sorted(allowed)
        os.sched_setaffinity(0, {cores[(os.getppid() + number) % len(cores)]})
    except (AttributeError, OSError):
        return lambda: None
    return lambda: os.sched_setaffinity(0, allowed)


def keep_freed_memory() -> None:
    """Have big arrays reuse freed memory: fresh pages for each cost more than filling them."""
    if "numpy" in sys.modules:
        _set_thresholds(32 << 20, 512 << 20)


def give_freed_memory_back() -> None:
    """As before `keep_freed_memory`."""
    _set_thresholds(128 << 10, 128 << 10)


def _set_thresholds(least_mapped: int, least_trimmed: int) -> None:
    if "ctypes" not in sys.modules:
        return
    mallopt = getattr(sys.modules["ctypes"].CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-3, least_mapped)  # M_MMAP_THRESHOLD
        mallopt(-1, least_trimmed)  # M_TRIM_THRESHOLD
