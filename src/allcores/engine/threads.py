"""Workers that are threads of a process beside the program, for loops that wait.

The threads are not in the program's own process: what they change unseen could not be thrown away
there, and a thread that waits for an answer cannot be ended, which Ctrl-C and `timeout=` have to. So
a process is forked, the host (or a few), and to the coordinator each of its threads looks like one
more worker: with a socket of its own, a slot of its own, a job of its own. Only when one of them dies
do all of them, for a process dies as a whole.
"""

from __future__ import annotations

import array
import contextvars
import os
import resource
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from allcores.engine import per_worker
from allcores.engine.crew import (
    Crew,
    Worker,
    fork_worker,
    keep_freed_memory,
    refused,
)
from allcores.engine.failures import Ending
from allcores.engine.job import Job
from allcores.engine.limits import Limits
from allcores.engine.serve import Server
from allcores.engine.slots import REFUSED, STARTING, Slots
from allcores.engine.thread_limits import of_this_thread

MOST_STACK = 64 << 20
"""Bytes of a thread's stack, where the system sets no limit."""
LOOKS_UP = 0.05
"""Seconds after which a host without a descriptor to be woken by sees whether a signal has come."""
PATIENCE = 2.0
"""Seconds in which a host has to say that it could not start a thread."""
END = 0xFFFF
"""In place of a thread's number: there are to be no more."""


class SharedJob(Protocol):
    """A job of which each thread of a process has a part of its own."""

    def enter_worker(self) -> None:
        """Called once, in the new process, before there are threads."""

    def in_thread(self) -> Job:
        """Called in each new thread: the job as this thread does it."""


class Host:
    """The process that the threads are in, as the coordinator sees it."""

    def __init__(self, pid: int, control: socket.socket, lifeline: int) -> None:
        self.pid, self.control, self.lifeline = pid, control, lifeline
        self.owner = os.getpid()
        self.reaped = self.closed = False
        self.how = Ending(None)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.control.close()
            os.close(self.lifeline)


class Thread(Worker):
    """The coordinator's end of one thread of the host."""

    closes_by_itself = True

    def __init__(self, host: Host, sock: socket.socket, number: int) -> None:
        super().__init__(host.pid, sock, -1, number)
        self.host = host

    def signal(self, number: int) -> None:
        # Its number may be another process's by now.
        if not self.host.reaped:
            super().signal(number)

    def ended(self) -> bool:
        return self.host.reaped or super().ended()

    def reap(self) -> None:
        if not self.host.reaped:
            self.wait_for_end()
            self.waited_for()
            self.host.reaped, self.host.how = True, self.how
            self.host.close()
        self.how = self.host.how
        self.close_descriptors()

    def close_descriptors(self) -> None:
        super().close_descriptors()
        if os.getpid() != self.host.owner:
            self.host.close()


class ThreadCrew(Crew):
    """Makes workers that are threads of a process, which is forked for the first of them."""

    def __init__(
        self,
        job: Job,
        items: Any,
        slots: Slots,
        limits: Limits,
        shared: SharedJob,
        before: Crew | None = None,
        processes: int = 1,
    ) -> None:
        """shared: the job as threads do it. before: a crew of processes that go on working.
        processes: how many the threads are shared out among.
        """
        if before is None:
            super().__init__(job, items, slots, limits)
        else:
            vars(self).update(vars(before))
            before.workers, before.closing, before.holds_threads = [], -1, False
        self.shared = shared
        self.hosts: list[Host | None] = [None] * processes

    def add(self, number: int) -> Worker:
        """Start one more thread."""
        place = number % len(self.hosts)
        host = self.hosts[place]
        if host is None or host.reaped:
            host = self.hosts[place] = self.make_host()
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise refused(error) from None
        self.slots.is_new(number)
        try:
            told = number.to_bytes(2, "little")
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno()]))]
            host.control.sendmsg([told], rights)
        except (BrokenPipeError, ConnectionError):
            pass  # it has just died: this one is found dead with the others
        except OSError as error:
            ours.close()
            raise refused(error) from None
        finally:
            theirs.close()
        ours.setblocking(False)
        worker = Thread(host, ours, number)
        self.workers.append(worker)
        return worker

    def make_host(self) -> Host:
        def live(control: socket.socket) -> None:
            for other in self.workers:
                other.close_descriptors()
            per_worker.errors = self.closing
            keep_freed_memory()
            self.shared.enter_worker()
            Inside(self.shared, self.items, self.slots, self.limits).live(control)

        return Host(*fork_worker(live))

    def gone_with(self, worker: Worker) -> list[Worker]:
        """All threads of its process, which is ended if it has not."""
        if not isinstance(worker, Thread) or self.was_refused(worker):
            return [worker]
        worker.kill()
        worker.wait_for_end()
        return [w for w in self.workers if isinstance(w, Thread) and w.host is worker.host]

    def was_refused(self, worker: Thread) -> bool:
        """Whether a thread is gone because it could not be started."""
        end = time.monotonic() + PATIENCE
        # Its socket is closed a moment before its host can say so.
        while self.slots.at[worker.number] == STARTING and not worker.ended():
            if time.monotonic() > end:
                break
            time.sleep(0.0002)
        return self.slots.at[worker.number] == REFUSED

    def let_close(self, hurried: Callable[[], object]) -> None:
        """Have each thread close what it has of its own, in that thread."""
        for host in self.hosts:
            if host is not None and not host.reaped:
                with suppress(OSError):
                    host.control.send(END.to_bytes(2, "little"))
        for w in self.workers:
            if isinstance(w, Thread) and not w.host.reaped:
                with suppress(OSError):
                    w.sock.shutdown(socket.SHUT_WR)
        super().let_close(hurried)


# -- in the host


class Inside:
    """The host's own side: starts threads as it is told, and ends when all have ended."""

    def __init__(self, job: SharedJob, items: Any, slots: Slots, limits: Limits) -> None:
        self.job, self.items, self.slots, self.limits = job, items, slots, limits
        self.depth = _depth()
        self.name = threading.current_thread().name
        self.threads: list[threading.Thread] = []
        self.numpy_errors = _numpy_errors()
        self.set_limits = of_this_thread()

    def live(self, control: socket.socket) -> None:
        """Start threads until there are to be no more, and wait for them."""
        _room_for_calls()
        # A signal may come to any thread; its handler runs in this one, which has to wake up.
        patience: float | None = None
        try:
            awake, waker = socket.socketpair()
        except OSError:  # no descriptor is left: it looks up now and then
            heard, patience = [control], LOOKS_UP
        else:
            awake.setblocking(False)
            waker.setblocking(False)
            signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
            heard = [control, awake]
        while True:
            ready, _, _ = select.select(heard, [], [], patience)
            if control in ready and not self.hear(control):
                break
            if ready and ready[-1] is not control:
                ready[-1].recv(4096)
        for thread in self.threads:
            thread.join()

    def hear(self, control: socket.socket) -> bool:
        """Start the thread that is asked for; False: there are to be no more."""
        told, fds, _, _ = socket.recv_fds(control, 2, 1, socket.MSG_CMSG_CLOEXEC)
        number = int.from_bytes(told, "little")
        if not told or number == END:
            return False
        if not fds:
            self.slots.at[number] = REFUSED  # this process has no descriptor left for it
            return True
        sock = socket.socket(fileno=fds[0])
        # The name is what the loop's own iterations would see.
        thread = threading.Thread(
            target=self.be,
            args=(number, sock, contextvars.copy_context()),
            name=self.name,
            daemon=True,
        )
        try:
            thread.start()
        except RuntimeError:
            self.slots.at[number] = REFUSED
            sock.close()
        else:
            self.threads.append(thread)
        return True

    def be(self, number: int, sock: socket.socket, context: contextvars.Context) -> None:
        """The life of a thread. context: the variables that the loop's own iterations would see."""
        try:
            context.run(_at_depth, self.depth, self.work, number, sock)
            per_worker.close_of_thread()
        except BaseException:
            os._exit(1)  # as a worker whose own machinery fails
        sock.close()

    def work(self, number: int, sock: socket.socket) -> None:
        decimal: Any = sys.modules.get("decimal")
        if decimal is not None and hasattr(decimal, "getcontext"):
            # Arithmetic raises flags in it, and one thread's are not the others'.
            decimal.setcontext(decimal.getcontext().copy())
        if self.numpy_errors is not None:
            sys.modules["numpy"].seterr(**self.numpy_errors)
        for set_limit in self.set_limits:
            set_limit()
        job = self.job.in_thread()
        Server(job, self.items, sock, self.slots, number, self.limits).live(_nothing)


def _nothing() -> None:
    pass


def _numpy_errors() -> Any:
    """What NumPy does about errors, where a thread does not have that from a context variable."""
    np = sys.modules.get("numpy")
    if np is None or "numpy._core" in sys.modules or not hasattr(np, "geterr"):
        return None
    return np.geterr()


def _room_for_calls() -> None:
    """Give threads as much stack as the program has: some systems give them far less."""
    soft, _ = resource.getrlimit(resource.RLIMIT_STACK)
    with suppress(ValueError, RuntimeError):
        threading.stack_size(
            MOST_STACK if soft == resource.RLIM_INFINITY else min(soft, MOST_STACK)
        )


def _depth() -> int:
    """How many frames the program has below this one."""
    frame, depth = sys._getframe(), 0
    while frame.f_back is not None:
        frame, depth = frame.f_back, depth + 1
    return depth


def _at_depth(depth: int, call: Callable[..., None], *given: Any) -> None:
    """Call this below so many frames: what calls itself too often does so as in the program."""
    if depth > 0:
        _at_depth(depth - 1, call, *given)
    else:
        call(*given)
