"""Workers that stay: forked once, given orders over sockets until they are told to go.

Nothing runs here by itself. Whoever waits for something drives: waits on the workers' sockets,
takes results in and hands out orders. Only where work has to go on while nobody waits does a
helper thread drive, for as long as anything is left to do.
"""

from __future__ import annotations

import atexit
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
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from allcores.engine import crew, service, wire
from allcores.engine.crew import Worker
from allcores.engine.errors import Raised, unpack
from allcores.engine.failures import CannotFork, WorkerDied, how_it_ended
from allcores.engine.forkable import why_not_forkable
from allcores.engine.functions import Snapshot, dumps, functions_in
from allcores.engine.service import FUNCTION, ORDER, STARTING, TOKEN, do
from allcores.engine.thread_limits import thread_limits

AHEAD, AHEAD_TINY, AHEAD_BYTES = 4, 8, 1 << 20
"""Orders that a worker has at most, the one it is at included; those not begun can be taken back.
Of those with more bytes than this, one waits at a time.
"""
TINY_SECONDS = 0.0001
FALSE_STARTS = 3
"""Workers that die before their first order, one after the other, before the pool gives up."""
KNOWN = 16
"""Functions that workers remember."""
NAP = 0.005
GRACE = 0.5
"""Seconds that a worker has to end on SIGTERM."""

_serial = itertools.count(1)
_all: weakref.WeakSet[Staff] = weakref.WeakSet()
_busy: set[Staff] = set()


class Function:
    """A function as workers know it."""

    def __init__(self, number: int, payload: bytes, needs: int, cost_key: Any) -> None:
        self.number = number
        self.payload = payload
        self.needs = needs
        """The oldest generation of workers that has it (or all it names)."""
        self.cost_key = cost_key
        self.stuck: BaseException | None = None
        """Why it cannot be pickled, if so."""


class Order:
    """A chunk of a job: what a worker is given at a time."""

    __slots__ = ("deaths", "items", "job", "payload", "seq", "size", "start", "style")

    def __init__(
        self, job: Job, start: int, items: Sequence[Any], style: int, payload: bytes | None = None
    ) -> None:
        self.job, self.start, self.items, self.style = job, start, items, style
        self.payload = payload
        self.seq = self.size = self.deaths = 0


class Job:
    """Something asked of the workers; kinds of it say how it is cut up and what becomes of it.

    All methods but `report` are called with the staff's lock held.
    """

    each = False
    """Whether a chunk goes on after an item raised."""
    done = False

    def __init__(self, staff: Staff, call: Any, function: Function | None = None) -> None:
        self.staff, self.call = staff, call
        self.function = function or staff.introduce(call)

    def take(self) -> Order | None:
        """The next order, None when there is none at the moment."""
        raise NotImplementedError

    def exhausted(self) -> bool:
        """Whether `take` will never give another order."""
        raise NotImplementedError

    def settle(self, order: Order, outcomes: list[Any]) -> bool:
        """Keep an order's outcomes; True when the whole job is finished by it."""
        raise NotImplementedError

    def fail(self, order: Order, at: int, error: BaseException) -> bool:
        """As `settle`, when item `at` of the order (and so all the order) has failed."""
        raise NotImplementedError

    def give_up(self, error: BaseException) -> bool:
        """As `settle`, for all that has not been ordered yet."""
        raise NotImplementedError

    def report(self) -> None:
        """Tell those who want to know that it is finished. Called without the lock."""


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
        self.queued: list[bytes] = []
        self.given = 0

    def waiting_bytes(self) -> int:
        return sum(o.size for o in self.orders)

    def queue(self, body: bytes) -> None:
        """Have a message sent with the next ones."""
        self.queued.append(wire.small_frame(body))

    def send_queued(self) -> None:
        self.outbox.append(memoryview(b"".join(self.queued)))
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

    def reap(self) -> None:
        super().reap()
        self.last = (self.slots[0], self.slots[1])
        self.slots.release()
        self.memory.close()
        for fd in self.tokens:
            os.close(fd)


class Staff:
    """The workers of a pool, and what they are to do.

    size: how many; initializer, initargs: called in each worker first; tasks: orders after which a
    worker makes room for a new one (None: it stays). `inline` is the reason why everything runs in
    this process instead, or None.
    """

    def __init__(
        self,
        size: int,
        initializer: Callable[..., object] | None,
        initargs: Iterable[Any],
        tasks: int | None,
    ) -> None:
        self.size, self.tasks = size, tasks
        self.initializer, self.initargs = initializer, tuple(initargs)
        self.owner = os.getpid()
        self.inline: str | None = None
        self.broken: BaseException | None = None
        self.ended: str | None = None
        self.false_starts = 0
        self.lost: str | None = None
        """How a worker died that nobody had told to end, if one did."""
        self.generation = 0
        self.snapshot = Snapshot()
        self.inherited: dict[int, Any] = {}
        self.functions: dict[Any, Function] = {}
        self.costs: dict[Any, float] = {}
        self.members: list[Member] = []
        self.leaving: list[Member] = []
        self.by_fd: dict[int, Member] = {}
        self.jobs: deque[Job] = deque()
        self.again: deque[Order] = deque()
        self.unfinished = 0
        self.seq = itertools.count(1)
        self.changed = threading.Condition(threading.RLock())
        self.driver: threading.Thread | None = None
        self.waiting: set[threading.Thread] = set()
        self.reporting: list[threading.Thread] = []
        """Threads that are in a callback."""
        self.parked = False
        self.helper: threading.Thread | None = None
        self.linger = 0.0
        self.exiting = False
        self.last = False
        self.sent_back = False
        self.completed: list[Job] = []
        self.epoll = select.epoll()
        self.alarm = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.epoll.register(self.alarm, select.EPOLLIN)
        _all.add(self)
        _prepare_for_exit()
        self.hire_all()

    # -- hiring and leaving

    def hire_all(self) -> None:
        """Make all workers; where that cannot be done, work in this process."""
        why = None if not crew.in_worker else "this is a worker already"
        why = why or why_not_forkable()
        if why is not None:
            self.go_inline(why)
            return
        with self.changed, thread_limits.held(self.size):
            while len(self.members) < self.size and self.hire() is not None:
                pass

    def hire(self) -> Member | None:
        """One more worker, forked now; None where the system does not let us."""
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (AttributeError, OSError, ValueError):
                pass
        initializer = partial(self.initializer, *self.initargs) if self.initializer else None
        memory = mmap.mmap(-1, mmap.PAGESIZE)
        # One token for each order: who takes it, worker or coordinator, has the order.
        tokens = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        struct.pack_into("<qq", memory, 0, STARTING, 0)
        number = next(_serial)
        taken = {m.place for m in [*self.members, *self.leaving]}
        place = next(n for n in itertools.count(1) if n not in taken)
        try:
            with thread_limits.held(self.size):
                made = crew.fork_worker(
                    lambda sock: service.live(
                        sock, memory, tokens, number, place, initializer, self.inherited
                    )
                )
        except CannotFork as error:
            memory.close()
            for fd in tokens:
                os.close(fd)
            if not self.members:
                self.no_workers(str(error))
            return None
        member = Member(*made, number, (self.generation, memory, place, tokens))
        self.members.append(member)
        fd = member.sock.fileno()
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
        if not crew.in_worker:
            from allcores.loop import ParallelWarning

            text = f"this pool's tasks run serially, in this process: workers cannot be made here: {why}"
            warnings.warn(text, ParallelWarning, stacklevel=_outside())
        if self.initializer is not None:
            self.initializer(*self.initargs)

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
        fd = member.sock.fileno()
        if self.by_fd.pop(fd, None) is not None:
            self.epoll.unregister(fd)
        for group in (self.members, self.leaving):
            if member in group:
                group.remove(member)
        member.kill()
        member.reap()

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

    # -- handing out

    def add(self, job: Job) -> None:
        """Start a job. With the lock held."""
        self.unfinished += 1
        _busy.add(self)
        self.jobs.append(job)
        self.dispatch()

    def dispatch(self) -> None:
        """Give everyone who is idle something to do."""
        if self.inline is not None:
            return
        while not self.hopeless() and self.hand_out():
            pass
        if self.hopeless():
            self.give_up()
        self.send_all()

    def hopeless(self) -> bool:
        """Whether nothing will be done any more."""
        return self.broken is not None or self.ended is not None

    def hand_out(self) -> bool:
        """One round of handing out; True when it left something behind to hand out at once."""
        self.sent_back = False
        while self.again:
            order = self.again[0]
            member = self.free(order.job)
            if member is None:
                break
            self.again.popleft()
            self.assign(member, order)
        waiting: list[Job] = []
        while self.jobs:
            job = self.jobs.popleft()
            full = self.serve(job)
            if not job.exhausted():
                waiting.append(job)
            if full:
                break
        self.jobs.extendleft(reversed(waiting))
        self.level()
        return self.sent_back

    def serve(self, job: Job) -> bool:
        """Hand out a job's orders; True when nobody has room for more of anything."""
        while not job.exhausted():
            member = self.free(job)
            if member is None:
                return all(m.generation >= job.function.needs for m in self.members)
            order = job.take()
            if order is None:
                return False
            self.assign(member, order)
        return False

    def free(self, job: Job) -> Member | None:
        """A worker for the job's next order: an idle one, a new one, or one with little to do."""
        older = None
        most = AHEAD_TINY if self.costs.get(job.function.cost_key, 1.0) < TINY_SECONDS else AHEAD
        best = None
        for member in self.members:
            load = len(member.orders)
            if self.tasks is not None and member.given >= self.tasks:
                continue
            if member.generation < job.function.needs:
                older = older if load else member
            elif not load:
                return member
            elif load < most and (load < 2 or member.waiting_bytes() < AHEAD_BYTES):
                best, most = member, load
        if older is None and len(self.members) >= self.size:
            return best
        why = self.why_no_more()
        if why is not None and self.members:
            return older or best
        if older is not None:
            self.let_go(older)
        if why is not None:
            self.no_workers(why)
            return None
        return self.hire() or best

    def level(self) -> None:
        """Who is idle takes over what waits behind another worker's order.

        So nothing waits longer than it must, and tasks may wait for one another.
        """
        for member in self.members:
            if member.orders or (self.tasks is not None and member.given >= self.tasks):
                continue
            busiest = max(self.members, key=lambda m: len(m.orders))
            if len(busiest.orders) < 2:
                return
            order = busiest.take_back()
            if order is not None and order.job.function.needs <= member.generation:
                self.assign(member, order)
            elif order is not None:
                self.again.append(order)

    def assign(self, member: Member, order: Order) -> None:
        function = order.job.function
        payload = order.payload
        if payload is None:
            try:
                payload = dumps(order.items)
            except Exception as error:
                at = _unpicklable(order, error)
                self.sent_back = True
                self.finished(order.job, order.job.fail(order, at, error))
                return
        order.seq = next(self.seq)
        order.size = len(payload)
        member.orders.append(order)
        member.given += 1
        if function.number not in member.known:
            member.known.add(function.number)
            member.queue(FUNCTION.pack(b"f", function.number) + function.payload)
        head = ORDER.pack(b"o", order.seq, function.number, order.style, order.job.each)
        os.write(member.tokens[1], TOKEN.pack(order.seq))
        member.queue(head + payload)

    def send_all(self) -> None:
        """Send what was queued: one send for each worker, for each may wake it."""
        for member in self.members:
            if member.queued:
                member.send_queued()
                if member.outbox:
                    fd = member.sock.fileno()
                    self.epoll.modify(fd, select.EPOLLIN | select.EPOLLOUT)

    # -- waiting

    def wait_for(self, done: Callable[[], bool], timeout: float | None = None) -> bool:
        """Drive, or let drive, until `done()`; False when the time is over before."""
        self.check_owner()
        end = None if timeout is None else time.monotonic() + timeout
        looked = False
        while True:
            with self.changed, self.counted():
                while not self.completed:
                    if done():
                        return True
                    left = None if end is None else max(0.0, end - time.monotonic())
                    if left == 0 and looked:
                        return False
                    self.drive(left)
                    looked = True
                completed, self.completed = self.completed, []
            self.report(completed)

    def drive(self, timeout: float | None) -> None:
        """Be the one who listens, or wait for whoever is. With the lock held once."""
        if self.inline is not None:
            # No one driver here: a task may wait for another one.
            self.work_inline(timeout)
            return
        if self.driver is not None:
            if self.driver is self.helper:
                self.ring()
            self.changed.wait(timeout)
            return
        self.driver = threading.current_thread()
        try:
            self.listen(timeout)
        finally:
            self.driver = None
            self.changed.notify_all()

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Be among those who wait. With the lock held."""
        me = threading.current_thread()
        self.waiting.add(me)
        try:
            yield
        finally:
            self.waiting.discard(me)
            if self.parked:
                self.changed.notify_all()

    def listen(self, timeout: float | None) -> None:
        self.changed.release()
        try:
            events = self.epoll.poll(timeout)
        finally:
            self.changed.acquire()
        for fd, event in events:
            member = self.by_fd.get(fd)
            if member is None:
                if fd == self.alarm:
                    self.quiet()
                continue
            if event & select.EPOLLOUT:
                member.flush()
                if not member.outbox:
                    self.epoll.modify(fd, select.EPOLLIN)
            if event & ~select.EPOLLOUT:
                self.hear(member)
        self.dispatch()

    def tell(self) -> None:
        """Have everyone who waits look again, the one who listens to the workers too."""
        if self.driver is not None and self.driver is not threading.current_thread():
            self.ring()
        self.changed.notify_all()

    def ring(self) -> None:
        os.eventfd_write(self.alarm, 1)

    def quiet(self) -> None:
        try:
            os.eventfd_read(self.alarm)
        except BlockingIOError:
            pass

    def report(self, completed: list[Job]) -> None:
        """Tell of finished jobs. Without the lock, for callbacks may do anything."""
        me = threading.current_thread()
        for job in completed:
            self.reporting.append(me)
            try:
                job.report()
            except Exception:
                sys.excepthook(*sys.exc_info())
            finally:
                self.reporting.remove(me)
            with self.changed:
                job.done = True
                self.unfinished -= 1
                if not self.unfinished:
                    _busy.discard(self)
                self.tell()

    # -- hearing from workers

    def hear(self, member: Member) -> None:
        try:
            while (frame := member.reader.read()) is not None:
                self.accept(member, *frame)
        except (EOFError, ConnectionError):
            self.bury(member)

    def accept(self, member: Member, body: memoryview, buffers: list[memoryview]) -> None:
        order = member.orders.popleft() if member.orders else None
        if order is not None:
            order.size = len(body) + sum(b.nbytes for b in buffers)
        try:
            kind, outcomes, seconds = pickle.loads(body, buffers=buffers)
        except Exception as error:
            error.add_note("while a worker's result was unpickled")
            if order is not None:
                self.finished(order.job, order.job.fail(order, 0, error))
            return
        if kind == "initializer":
            self.broken = unpack(outcomes)
            self.broken.add_note(f"in the pool's initializer; a worker saw:\n{outcomes.text}")
            if order is not None:
                self.finished(order.job, order.job.fail(order, 0, self.broken))
            return
        assert order is not None
        self.false_starts = 0
        if kind == "unknown":
            self.not_understood(order, outcomes)
        else:
            self.learn(order, outcomes, seconds)
            self.finished(order.job, order.job.settle(order, outcomes))
        worn = self.tasks is not None and member.given >= self.tasks
        if worn and not member.orders and member in self.members:
            self.let_go(member)

    def learn(self, order: Order, outcomes: list[Any], seconds: float) -> None:
        """What an item costs, for sizes of chunks."""
        if not outcomes:
            return
        cost = max(seconds / len(outcomes), 1e-8)
        key = order.job.function.cost_key
        if len(self.costs) > 1000:
            self.costs.clear()
        old = self.costs.get(key)
        self.costs[key] = cost if old is None else 0.5 * (old + cost)

    def not_understood(self, order: Order, raised: Raised) -> None:
        """The worker lacks something that was defined after it was forked."""
        function = order.job.function
        why = self.why_no_more()
        if not order.deaths and why is None:
            order.deaths += 1
            if function.needs <= self.generation:
                self.renew()
            function.needs = self.generation
            self.again.append(order)
            return
        error = function.stuck
        if error is not None:
            error.add_note(f"and no workers that hold it already can be forked now: {why}")
        else:
            error = unpack(raised)
            error.add_note(f"a worker could not unpickle what it was given:\n{raised.text}")
        self.finished(order.job, order.job.fail(order, 0, error))

    def bury(self, member: Member) -> None:
        """A worker is gone."""
        left = member in self.leaving
        orders, member.orders = member.orders, deque()
        self.forget(member)
        seq, at = member.last
        if not left:
            self.lost = how_it_ended(member.status)
        if seq == STARTING and not left:
            self.false_starts += 1
            if self.false_starts >= FALSE_STARTS:
                what = "in the pool's initializer" if self.initializer else "as it started"
                text = f"workers died {what}, {self.false_starts} times in a row: the last one"
                self.broken = WorkerDied(f"{text} {how_it_ended(member.status)}.")
        for k, order in enumerate(orders):
            order.deaths += k == 0
            if seq != order.seq and order.deaths < FALSE_STARTS:
                # It had not begun, so nothing is done twice.
                self.again.append(order)
                continue
            error = self.broken or _died(order, at, member.status)
            self.finished(order.job, order.job.fail(order, at, error))

    def finished(self, job: Job, whole: bool) -> None:
        if whole:
            self.completed.append(job)
            self.tell()

    def give_up(self) -> None:
        """Nothing can be done any more: all that is waiting fails."""
        error = self.broken or RuntimeError(self.ended)
        for order in self.again:
            self.finished(order.job, order.job.fail(order, 0, error))
        self.again.clear()
        for job in self.jobs:
            self.finished(job, job.give_up(error))
        self.jobs.clear()

    def abandon(self, job: Job) -> None:
        """Nobody waits for a job any more: those who are at it stop at once."""
        with self.changed:
            if job in self.jobs:
                self.jobs.remove(job)
            self.again = deque(o for o in self.again if o.job is not job)
            for member in list(self.members):
                if any(o.job is job for o in member.orders):
                    self.again.extend(o for o in member.orders if o.job is not job)
                    self.forget(member)
            if not job.done and job not in self.completed:
                job.done = True
                self.unfinished -= 1
                if not self.unfinished:
                    _busy.discard(self)
            self.tell()

    # -- in this process

    def work_inline(self, timeout: float | None) -> None:
        """Do the next order here. With the lock held, which is let go for the user's function."""
        order = self.again.popleft() if self.again else None
        for job in list(self.jobs):
            order = order or job.take()
            if job.exhausted():
                self.jobs.remove(job)
            if order is not None:
                break
        if order is None:
            self.changed.wait(timeout)
            return
        self.changed.release()
        try:
            outcomes, _ = do(order.job.call, order.items, order.style, order.job.each, None)
        finally:
            self.changed.acquire()
        self.finished(order.job, order.job.settle(order, outcomes))
        self.changed.notify_all()

    # -- the helper thread

    def need_helper(self) -> None:
        """Have everything go on though nobody may wait for it. With the lock held."""
        if self.helper is None:
            self.helper = threading.Thread(target=_help, args=(self,), name="allcores-helper")
            self.helper.start()

    def help(self) -> None:
        """The life of the helper: drives while there is work and nobody else waits for it."""
        idle_since: float | None = None
        napping = False
        while True:
            if napping:
                # Who waited a moment ago will do so again, as when results are taken one by one.
                time.sleep(NAP)
                napping = False
            with self.changed:
                completed, self.completed = self.completed, []
                if not completed:
                    idle_since = None if self.unfinished else idle_since or time.monotonic()
                    if self.may_leave(idle_since):
                        self.helper = None
                        if self.last:
                            self.release()
                        self.changed.notify_all()
                        return
                    napping = self.help_once()
            self.report(completed)

    def may_leave(self, idle_since: float | None) -> bool:
        """Whether the helper is of no more use."""
        if self.ended is not None:
            return True
        if idle_since is None:
            return self.exiting and self.linger == 0 and not _others_alive()
        return self.exiting or self.last or time.monotonic() - idle_since >= self.linger

    def help_once(self) -> bool:
        """Drive, or stand back for those who wait; True when it was the latter."""
        pause = NAP if self.exiting else (None if self.unfinished else self.linger)
        if not self.waiting:
            self.drive(pause)
            return False
        self.parked = True
        try:
            self.changed.wait(pause)
        finally:
            self.parked = False
        return True

    # -- ending

    def release(self) -> None:
        """All is done and nobody waits: the workers end, and nothing is heard of them."""
        for member in list(self.members):
            self.let_go(member)
        for member in list(self.leaving):
            self.forget(member)
        self.ended = "this has been shut down"

    def dismiss_all(self) -> None:
        """All workers end in their own time; wait for them."""
        with self.changed:
            for member in list(self.members):
                self.let_go(member)
        self.wait_for(lambda: not self.leaving)

    def terminate(self, why: str) -> None:
        """End all workers now. Outstanding jobs fail."""
        if self.owner != os.getpid() or self.ended is not None:
            return
        with self.changed:
            self.ended = why
            everyone = self.members + self.leaving
            for member in everyone:
                _signal(member.pid, signal.SIGTERM)
            _wait_a_little(everyone)
            error = RuntimeError(why)
            for member in everyone:
                orders, member.orders = member.orders, deque()
                self.forget(member)
                for order in orders:
                    self.finished(order.job, order.job.fail(order, 0, error))
            self.give_up()
            completed, self.completed = self.completed, []
            self.tell()
        self.report(completed)

    def free_all(self) -> None:
        """After the end: no descriptor is left, no thread either."""
        with self.changed:
            helper = self.helper
            if helper is not None:
                self.ring()
        if helper is not None and helper is not threading.current_thread():
            helper.join()
        with self.changed:
            if self.epoll.closed or self.members or self.leaving or self.driver is not None:
                return
            self.epoll.close()
            os.close(self.alarm)

    def __del__(self) -> None:
        if not self.epoll.closed:
            self.epoll.close()
            os.close(self.alarm)

    def disown(self) -> None:
        """In a forked child: these workers belong to the parent."""
        for member in [*self.members, *self.leaving]:
            member.sock.close()
            for fd in (member.lifeline, *member.tokens):
                try:
                    os.close(fd)
                except OSError:
                    pass
        self.members, self.leaving, self.by_fd = [], [], {}
        self.changed = threading.Condition(threading.RLock())
        self.helper = self.driver = None
        if not self.epoll.closed:
            self.epoll.close()
            os.close(self.alarm)

    def check_owner(self) -> None:
        if self.owner != os.getpid():
            raise RuntimeError(
                "this pool was made by another process, whose fork this one is; make a pool here"
            )


# -- words


def _died(order: Order, at: int, status: int | None) -> WorkerDied:
    import reprlib

    items = order.items
    try:
        shown = reprlib.repr(items[at]) if at < len(items) else "?"
    except Exception:
        shown = f"<{type(items[at]).__name__}>"
    return WorkerDied(
        f"a worker {how_it_ended(status)} in task {order.start + at} (item {shown}). "
        "The pool goes on with a new worker; run that item alone to see why."
    )


def _unpicklable(order: Order, error: Exception) -> int:
    """Which item of an order cannot be pickled; the error gets a note that names it."""
    for at, item in enumerate(order.items):
        try:
            dumps(item)
        except Exception:
            error.add_note(
                f"task {order.start + at} cannot be sent to a worker: its"
                f" {type(item).__name__} cannot be pickled"
            )
            return at
    return 0


def _outside() -> int:
    """How far up the stack the user's code is, for a warning."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals["__name__"].startswith("allcores."):
        level, frame = level + 1, frame.f_back
    return level


# -- this process, its forks and its end


def _help(staff: Staff) -> None:
    staff.help()


def _others_alive() -> bool:
    """Whether the program goes on in threads of its own after its main thread has ended."""
    return any(
        t.is_alive() and not t.daemon and getattr(t, "_target", None) is not _help
        for t in threading.enumerate()
        if t is not threading.main_thread()
    )


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _wait_a_little(members: list[Member]) -> None:
    """Until all have ended, or the time is over."""
    end = time.monotonic() + GRACE
    pause = 0.0002
    while time.monotonic() < end:
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


_prepared = False


def _prepare_for_exit() -> None:
    global _prepared
    if _prepared:
        return
    _prepared = True
    os.register_at_fork(after_in_child=_disown_all)
    atexit.register(_terminate_all)
    # As concurrent.futures does: threads are joined before atexit functions are called.
    register: Any = getattr(threading, "_register_atexit", None)
    if register is not None:
        try:
            register(_stop_helpers)
        except RuntimeError:
            pass


def _disown_all() -> None:
    _busy.clear()
    for staff in list(_all):
        staff.disown()


def _stop_helpers() -> None:
    for staff in list(_all):
        if staff.owner == os.getpid():
            with staff.changed:
                staff.exiting = True
                if staff.helper is not None:
                    staff.ring()
                staff.changed.notify_all()


def _terminate_all() -> None:
    for staff in list(_all):
        staff.terminate("the program has ended")
