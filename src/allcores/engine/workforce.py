"""Workers that stay: forked once, told the functions they are to call, let go in the end.

What they do is not known here; `staff` sees to that.
"""

from __future__ import annotations

import itertools
import mmap
import os
import pickle
import select
import signal
import socket
import struct
import sys
import threading
import time
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from allcores.engine import crew, per_worker, service, wire
from allcores.engine.crew import Worker
from allcores.engine.descendants import descendants, kill_all, kill_tree
from allcores.engine.failures import ParallelWarning, WorkerDied
from allcores.engine.forkable import ready_to_fork, why_not_forkable
from allcores.engine.functions import Snapshot, dumps, functions_in
from allcores.engine.interrupts import Interrupts, from_handler
from allcores.engine.memory import machine
from allcores.engine.orders import Function, Order
from allcores.engine.service import FUNCTION, STARTING, TOKEN
from allcores.engine.thread_limits import thread_limits
from allcores.engine.ways import choose

KNOWN = 16
"""Functions that workers remember."""
GRACE = 0.5
"""Seconds that a worker has to end on SIGTERM."""

_serial = itertools.count(1)


class Member(Worker):
    """One of the staff."""

    def __init__(
        self,
        pid: int,
        sock: socket.socket,
        line: int,
        number: int,
        life: tuple[int, Any, int, tuple[int, int]],
    ) -> None:
        super().__init__(pid, sock, line, number)
        self.generation, self.memory, self.place, self.tokens = life
        self.slots = memoryview(self.memory).cast("q")
        self.known: set[int] = set()
        self.orders: deque[Order] = deque()
        self.queued: list[wire.Frame] = []
        self.given = 0

    def waiting_bytes(self) -> int:
        return sum(o.size for o in self.orders)

    def queue(self, body: bytes, big: Sequence[pickle.PickleBuffer] = ()) -> None:
        """Have a message sent with the next ones."""
        frame = wire.frame(body, big, together=True)
        frame.own()
        self.queued.append(frame)

    def send_queued(self) -> None:
        self.outbox.extend(wire.joined(self.queued))
        self.queued.clear()
        self.flush()

    def take_back(self) -> Order | None:
        """The next order it has not begun, if there is one."""
        try:
            (seq,) = TOKEN.unpack(os.read(self.tokens[0], TOKEN.size))
        except BlockingIOError:
            return None
        order = next(o for o in self.orders if o.seq == seq)
        self.orders.remove(order)
        self.given -= 1
        return order

    def at_work(self) -> bool:
        """Whether it has begun an order and not finished it."""
        return self.slots[0] >= 0

    def reap(self) -> None:
        super().reap()
        self.last = (self.slots[0], self.slots[1])
        self.slots.release()
        self.memory.close()
        for fd in self.tokens:
            os.close(fd)


class _NothingToHear:
    """In place of what listens to workers, on systems where none are forked."""

    closed = True


class Workforce:
    """The workers of a pool, and the functions they know.

    size: how many; initializer, initargs: called in each worker first; maps: whether who has it can
    `map` in another way. `inline` is the reason why
    everything runs in this process instead, or None.
    """

    def __init__(
        self,
        size: int,
        initializer: Callable[..., object] | None,
        initargs: Iterable[Any],
        maps: bool = False,
    ) -> None:
        self.size, self.maps = size, maps
        self.initializer, self.initargs = initializer, tuple(initargs)
        self.owner = os.getpid()
        self.inline: str | None = None
        self.told_inline = True
        self.has_interpreters = False
        """Whether calls that wait for all their results can have clean interpreters, where there are
        no other workers."""
        self.broken: BaseException | None = None
        self.lost: str | None = None
        """How a worker died that nobody had told to end, if one did."""
        self.generation = 0
        self.snapshot = Snapshot()
        self.inherited: dict[int, Any] = {}
        self.functions: dict[Any, Function] = {}
        self.members: list[Member] = []
        self.killed_before = machine().killed()
        self.leaving: list[Member] = []
        self.by_fd: dict[int, Member] = {}
        self.changed = threading.Condition(threading.RLock())
        self.interrupts = Interrupts(self.wake_main)
        self.waiting: set[threading.Thread] = set()
        """Threads that wait for workers."""
        self.epoll: Any = _NothingToHear
        self.alarm = -1
        if hasattr(select, "epoll"):
            self.epoll = select.epoll()
            try:
                self.alarm = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            except OSError:
                self.epoll.close()
                raise
            self.epoll.register(self.alarm, select.EPOLLIN)

    def ring(self) -> None:
        """Wake the thread that listens to the workers."""
        if not self.epoll.closed:
            os.eventfd_write(self.alarm, 1)

    def wake_main(self) -> None:
        """End what the main thread waits for: an interrupt has come."""
        self.ring()
        with self.changed:
            self.changed.notify_all()

    # -- hiring and leaving

    def hire_all(self) -> None:
        """Make all workers; where that cannot be done, work in this process."""
        why = None if not crew.in_worker else "this is a worker already"
        why = why or why_not_forkable()
        if why is not None:
            alike = self.maps and self.initializer is None
            self.has_interpreters = alike and choose("processes").way == "fresh"
            self.go_inline(why)
            return
        with self.changed, thread_limits.held(self.size):
            while len(self.members) < self.size and self.hire() is not None:
                pass

    def hire(self) -> Member | None:
        """One more worker, forked now; None where the system does not let us."""
        for stream in (sys.stdout, sys.stderr):
            try:
                with self.interrupts.let_through():
                    stream.flush()
            except (AttributeError, OSError, ValueError) as error:
                if from_handler(error):
                    raise
        initializer = partial(self.initializer, *self.initargs) if self.initializer else None
        memory = mmap.mmap(-1, mmap.PAGESIZE)
        # One token for each order: who takes it, worker or coordinator, has the order.
        tokens: tuple[int, int] = (-1, -1)
        struct.pack_into("<qq", memory, 0, STARTING, 0)
        number = next(_serial)
        taken = {m.place for m in [*self.members, *self.leaving]}
        place = next(n for n in itertools.count(1) if n not in taken)
        try:
            tokens = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            with thread_limits.held(self.size):
                ready_to_fork(beside_main=True, apart_from=self.waiting)
                made = crew.fork_worker(
                    lambda sock: service.live(
                        sock, memory, tokens, number, place, initializer, self.inherited
                    )
                )
        except OSError as error:
            memory.close()
            for fd in tokens:
                if fd >= 0:
                    os.close(fd)
            if not self.members:
                self.no_workers(error.strerror or str(error))
            return None
        member = Member(*made, number, (self.generation, memory, place, tokens))
        self.members.append(member)
        for fd in member.descriptors():
            self.by_fd[fd] = member
            self.epoll.register(fd, select.EPOLLIN)
        return member

    def why_no_more(self) -> str | None:
        """Why no worker can be forked now. With the lock held, which those who wait need to go on."""
        return why_not_forkable(beside_main=True, apart_from=self.waiting)

    def no_workers(self, why: str) -> None:
        """None is left, and none can be made."""
        if self.lost is None:
            self.go_inline(why)
            return
        # What killed them would end this process.
        text = f"all workers are gone, the last one {self.lost}, and no others can be made: {why}"
        self.broken = WorkerDied(text)

    def go_inline(self, why: str) -> None:
        """From now on all work is done by this process, in turn."""
        self.inline = why
        self.told_inline = False
        if not self.has_interpreters:
            self.tell_inline()
        if self.initializer is not None:
            with self.interrupts.let_through():
                self.initializer(*self.initargs)

    def tell_inline(self) -> None:
        """Say once that work is done by this process."""
        if not self.told_inline and not crew.in_worker:
            text = f"this pool's tasks run serially, in this process: workers cannot be made here: {self.inline}"
            if self.has_interpreters:
                text += "; `map` and `starmap` have clean interpreters, the other methods do not"
            warnings.warn(text, ParallelWarning, stacklevel=_outside())
        self.told_inline = True

    def let_go(self, member: Member) -> None:
        """A worker may end once it has done what it was given."""
        self.members.remove(member)
        self.leaving.append(member)
        try:
            member.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def forget(self, member: Member) -> None:
        """A worker is gone, or is to be: free all that belongs to it."""
        for fd in member.descriptors():
            if self.by_fd.pop(fd, None) is not None:
                self.epoll.unregister(fd)
        for group in (self.members, self.leaving):
            if member in group:
                group.remove(member)
        if member.at_work() and not member.ended():
            kill_tree(member.pid)
        member.kill()
        member.reap()
        killed = machine().killed() > self.killed_before
        member.how = member.how._replace(out_of_memory=killed)

    def send_all(self) -> None:
        """Send what was queued: one send for each worker, for each may wake it."""
        for member in self.members:
            if member.queued:
                member.send_queued()
                if member.outbox:
                    fd = member.sock.fileno()
                    self.epoll.modify(fd, select.EPOLLIN | select.EPOLLOUT)

    # -- functions

    def introduce(self, function: Any, arguments: Any = None) -> Function:
        """A function in the form in which workers get it. With the lock held.

        arguments: in which functions may be that have to be those of now as well.
        Raises what pickling raised when neither pickling nor forking can bring it there.
        """
        cost_key = getattr(function, "__qualname__", None) or type(function)
        if self.inline is not None:
            return Function(0, b"", 0, cost_key)
        try:
            payload = dumps(function)
        except Exception as error:
            return self.introduce_by_fork(function, cost_key, error)
        if self.snapshot.outdated(function, *functions_in(arguments)):
            self.renew()
        known = self.functions.pop(payload, None)
        if known is None:
            known = Function(next(_serial), payload, self.generation, cost_key)
        self.functions[payload] = known
        if len(self.functions) > KNOWN:
            self.dismiss(self.functions.pop(next(iter(self.functions))))
        return known

    def introduce_by_fork(self, function: Any, cost_key: Any, error: Exception) -> Function:
        """Workers forked now have it already. Done at every call, for it may have changed."""
        why = self.why_no_more()
        if why is not None:
            error.add_note(f"and no workers that hold it already can be forked now: {why}")
            raise error
        self.renew()
        known = Function(next(_serial), b"", self.generation, cost_key)
        known.stuck = error
        # Workers forked later have to have it too, as long as a job needs it.
        self.inherited[known.number] = function
        weakref.finalize(known, self.inherited.pop, known.number, None).atexit = False
        return known

    def renew(self) -> None:
        """What is forked from now on knows more than those before."""
        self.generation += 1
        self.snapshot = Snapshot()
        # Those that were introduced before may read what is another one by now, too.
        for function in self.functions.values():
            self.dismiss(function)
        self.functions.clear()

    def dismiss(self, function: Function) -> None:
        for member in self.members:
            if function.number in member.known:
                member.known.discard(function.number)
                member.queue(FUNCTION.pack(b"x", function.number))

    # -- ending

    def end_all(self, hurried: bool = False) -> list[Member]:
        """End all workers now, and give them. With the lock held."""
        everyone = self.members + self.leaving
        started = [each for m in everyone if m.at_work() for each in descendants(m.pid)]
        for member in everyone:
            _signal(member.pid, signal.SIGTERM)
        wait_a_little(everyone, lambda: hurried or self.interrupts.came)
        for member in everyone:
            self.forget(member)
        kill_all(started)
        return everyone

    def __del__(self) -> None:
        if not hasattr(self, "alarm"):
            return
        if self.owner == os.getpid():
            # An interrupt came between any two lines, and nobody holds the pool that had them.
            for member in [*self.members, *self.leaving]:
                self.forget(member)
        if not self.epoll.closed:
            self.epoll.close()
            os.close(self.alarm)

    def disown(self) -> None:
        """In a forked child: these workers belong to the parent."""
        for member in [*self.members, *self.leaving]:
            for fd in (member.lifeline, member.pidfd, *member.tokens):
                try:
                    os.close(fd)
                except OSError:
                    pass
            member.sock.close()
        self.members, self.leaving, self.by_fd = [], [], {}
        if not self.epoll.closed:
            self.epoll.close()
            os.close(self.alarm)

    def check_owner(self) -> None:
        if self.owner != os.getpid():
            raise RuntimeError(
                "this pool was made by another process, whose fork this one is; make a pool here"
            )


def _outside() -> int:
    """How far up the stack the user's code is, for a warning."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals["__name__"].startswith("allcores."):
        level, frame = level + 1, frame.f_back
    return level


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def wait_a_little(members: list[Member], hurried: Callable[[], object] = bool) -> None:
    """Until all have ended, or the time is over."""
    closing = per_worker.any_exist()
    most = crew.CLOSING_BUSY if closing else GRACE
    began = time.monotonic()
    pause = 0.0002
    while time.monotonic() - began < (min(most, crew.CLOSING_HURRIED) if hurried() else most):
        try:
            ended = [
                os.waitid(os.P_PID, m.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) for m in members
            ]
        except ChildProcessError:
            return
        if all(e is not None for e in ended):
            return
        time.sleep(pause)
        pause = min(pause * 2, 0.02)
        for m in members if closing else ():
            # A signal that comes just before a system call ends no wait.
            _signal(m.pid, signal.SIGTERM)
