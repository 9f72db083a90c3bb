"""What workers that stay are to do: jobs handed out over sockets, results heard and given on.

Nothing runs here by itself. Whoever waits for something drives: waits on the workers' sockets,
takes results in and hands out orders. Only where work has to go on while nobody waits does a
helper thread drive, for as long as anything is left to do.
"""

from __future__ import annotations

import itertools
import os
import pickle
import select
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from allcores.engine import exits, per_worker
from allcores.engine.errors import Raised, unpack
from allcores.engine.failures import WorkerDied
from allcores.engine.functions import dumps_apart
from allcores.engine.interrupts import Interrupts
from allcores.engine.orders import Job, Order, died_at, unpicklable_item
from allcores.engine.packing import size_of
from allcores.engine.service import FUNCTION, ORDER, STARTING, TOKEN, do
from allcores.engine.wire import Lost
from allcores.engine.workforce import Member, Workforce, wait_a_little

AHEAD, AHEAD_TINY, AHEAD_BYTES = 4, 8, 1 << 20
"""Orders that a worker has at most, the one it is at included; those not begun can be taken back.
Of those with more bytes than this, one waits at a time.
"""
TINY_SECONDS = 0.0001
AHEAD_TO_CANCEL, LONG_SECONDS = 2, 0.01
"""As many where each can be cancelled until a worker has it, unless they are known to be shorter."""
FALSE_STARTS = 3
"""Workers that die before their first order, one after the other, before the pool gives up."""
NAP = 0.005
HELPER_LEAVES = 1.0
"""Seconds in which a helper of others that have ended has to be gone."""


class Staff(Workforce):
    """The workers of a pool, and what they are to do.

    size: how many; initializer, initargs: called in each worker first; tasks: orders after which a
    worker makes room for a new one (None: it stays).
    """

    def __init__(
        self,
        size: int,
        initializer: Callable[..., object] | None,
        initargs: Iterable[Any],
        tasks: int | None,
        maps: bool = False,
    ) -> None:
        super().__init__(size, initializer, initargs, maps)
        self.tasks = tasks
        self.ended: str | None = None
        self.false_starts = 0
        self.costs: dict[Any, float] = {}
        self.jobs: deque[Job] = deque()
        self.again: deque[Order] = deque()
        self.unfinished = 0
        self.seq = itertools.count(1)
        self.driver: threading.Thread | None = None
        self.reporting: list[threading.Thread] = []
        """Threads that are in a callback."""
        self.parked = False
        self.helper: threading.Thread | None = None
        self.last_helper: threading.Thread | None = None
        """Which may be on its way out."""
        self.linger = 0.0
        self.exiting = False
        self.last = False
        self.sent_back = False
        self.completed: list[Job] = []
        exits.see_to(self)
        try:
            with self.interrupts.held_back():
                self.hire_all()
        except BaseException:
            self.terminate("it could not be made")
            raise

    # -- handing out

    def add(self, job: Job) -> None:
        """Start a job. With the lock held."""
        self.tell_inline()
        self.unfinished += 1
        exits.busy.add(self)
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
        cost = self.costs.get(job.function.cost_key, 1.0)
        most = AHEAD_TINY if cost < TINY_SECONDS else AHEAD
        if job.cancellable and cost >= LONG_SECONDS:
            most = AHEAD_TO_CANCEL
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
        payload, big = order.payload, list[pickle.PickleBuffer]()
        if payload is None:
            try:
                payload, big = dumps_apart(order.items)
            except Exception as error:
                at = unpicklable_item(order, error)
                self.sent_back = True
                self.finished(order.job, order.job.fail(order, at, error))
                return
        order.seq = next(self.seq)
        order.size = len(payload) + sum(map(size_of, big))
        member.orders.append(order)
        member.given += 1
        if function.number not in member.known:
            member.known.add(function.number)
            member.queue(FUNCTION.pack(b"f", function.number) + function.payload)
        head = ORDER.pack(b"o", order.seq, function.number, order.style, order.job.each)
        os.write(member.tokens[1], TOKEN.pack(order.seq))
        member.queue(head + payload, big)

    # -- waiting

    def wait_for(self, done: Callable[[], bool], timeout: float | None = None) -> bool:
        """Drive, or let drive, until `done()`; False when the time is over before."""
        self.check_owner()
        end = None if timeout is None else time.monotonic() + timeout
        looked = False
        with self.interrupts.held_back():
            while True:
                with self.changed, self.counted():
                    while not self.completed:
                        if done():
                            return True
                        self.interrupts.raise_now()
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
            if fd == member.pidfd:
                # Its number may be another one's by now, whose worker was made a moment ago.
                if member.ended():
                    self.hear(member, gone=True)
                continue
            if event & ~select.EPOLLOUT:
                self.hear(member)
        self.dispatch()

    def tell(self) -> None:
        """Have everyone who waits look again, the one who listens to the workers too."""
        if self.driver is not None and self.driver is not threading.current_thread():
            self.ring()
        self.changed.notify_all()

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
                    self.over(job)

    def over(self, job: Job) -> None:
        """Nothing more comes of a job. With the lock held."""
        job.done = True
        self.unfinished -= 1
        if not self.unfinished:
            exits.busy.discard(self)
        self.tell()

    # -- hearing from workers

    def hear(self, member: Member, gone: bool = False) -> None:
        """Take in what a worker says. gone: it is not there any more, and this was its last."""
        try:
            while (frame := member.reader.read()) is not None:
                self.accept(member, *frame)
        except (EOFError, ConnectionError):
            gone = True
        if gone:
            self.bury(member)

    def accept(self, member: Member, body: memoryview, buffers: list[memoryview] | Lost) -> None:
        order = member.orders.popleft() if member.orders else None
        try:
            if isinstance(buffers, Lost):
                raise buffers
            if order is not None:
                order.size = len(body) + sum(b.nbytes for b in buffers)
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
            self.lost = member.how.in_words()
        if seq == STARTING and not left:
            self.false_starts += 1
            if self.false_starts >= FALSE_STARTS:
                what = "in the pool's initializer" if self.initializer else "as it started"
                text = f"workers died {what}, {self.false_starts} times in a row: the last one"
                self.broken = WorkerDied(f"{text} {member.how.in_words()}.")
        for k, order in enumerate(orders):
            order.deaths += k == 0
            if seq != order.seq and order.deaths < FALSE_STARTS:
                # It had not begun, so nothing is done twice.
                self.again.append(order)
                continue
            error = self.broken or died_at(order, at, member.how)
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

    def abandon(self, *jobs: Job) -> None:
        """Nobody waits for these jobs any more: those who are at them stop at once."""
        with self.interrupts.held_back(), self.changed:
            self.jobs = deque(job for job in self.jobs if job not in jobs)
            self.again = deque(o for o in self.again if o.job not in jobs)
            for member in list(self.members):
                self.take_from(member, jobs)
            for job in jobs:
                if not job.done and job not in self.completed:
                    self.over(job)
            self.dispatch()
            self.tell()

    def take_from(self, member: Member, jobs: tuple[Job, ...]) -> None:
        """Have a worker do no more for these jobs; it ends if it is at one of them."""
        if not any(o.job in jobs for o in member.orders):
            return
        if member.orders[0].job not in jobs:
            while (order := member.take_back()) is not None:
                if order.job not in jobs:
                    self.again.append(order)
            if not any(o.job in jobs for o in member.orders):
                return
        self.again.extend(o for o in member.orders if o.job not in jobs)
        self.forget(member)

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
            if not self.completed:
                self.changed.wait(timeout)
            return
        self.changed.release()
        try:
            with self.interrupts.let_through():
                outcomes, _ = do(order.job.call, order.items, order.style, order.job.each, None)
        finally:
            self.changed.acquire()
        self.finished(order.job, order.job.settle(order, outcomes))
        self.changed.notify_all()

    # -- the helper thread

    def need_helper(self) -> bool:
        """Have everything go on though nobody may wait for it. With the lock held.

        False where the system makes no more threads: then it goes on only while somebody waits.
        """
        if self.helper is None:
            self.helper = threading.Thread(target=_help, args=(self,), name="allcores-helper")
            if not started(self.helper):
                self.helper = None
            else:
                self.last_helper = self.helper
                _helped.add(self)
        return self.helper is not None

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
                        if self.ended is not None:
                            self.close_files()
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
        if per_worker.any_exist():
            wait_a_little(self.leaving)
        for member in list(self.leaving):
            self.forget(member)
        self.ended = "this has been shut down"

    def dismiss_all(self) -> None:
        """All workers end in their own time; wait for them."""
        with self.changed:
            for member in list(self.members):
                self.let_go(member)
        self.wait_for(lambda: not self.leaving)

    def terminate(self, why: str, hurried: bool = False) -> None:
        """End all workers now. Outstanding jobs fail. hurried: after Ctrl-C, with less time."""
        if self.owner != os.getpid() or self.ended is not None:
            return
        with self.interrupts.held_back():
            with self.changed:
                self.ended = why
                error = RuntimeError(why)
                for member in self.end_all(hurried):
                    orders, member.orders = member.orders, deque()
                    for order in orders:
                        self.finished(order.job, order.job.fail(order, 0, error))
                self.give_up()
                completed, self.completed = self.completed, []
                self.tell()
            self.report(completed)
            with self.changed:
                if self.helper is None:
                    self.close_files()

    def hire_all(self) -> None:
        """As for any: a helper of others that have ended is no thread to be wary of once it is gone."""
        for other in list(_helped):
            thread = other.last_helper
            if other.ended is not None and thread is not None and thread.is_alive():
                other.ring()
                thread.join(HELPER_LEAVES)
        super().hire_all()

    def free_all(self) -> None:
        """After the end: no descriptor is left, no thread either."""
        with self.changed:
            helper = self.helper
            if helper is not None:
                self.ring()
        if helper is not None and helper is not threading.current_thread():
            helper.join()
        with self.changed:
            self.close_files()

    def close_files(self) -> None:
        """Close what is there to wait on, if nobody waits. With the lock held."""
        if self.epoll.closed or self.members or self.leaving or self.driver is not None:
            return
        self.epoll.close()
        os.close(self.alarm)

    def disown(self) -> None:
        """In a forked child: these workers belong to the parent."""
        super().disown()
        self.changed = threading.Condition(threading.RLock())
        self.interrupts = Interrupts(self.wake_main)
        self.helper = self.driver = None


_helped: weakref.WeakSet[Staff] = weakref.WeakSet()
"""Those that have, or had, a helper."""


def started(thread: threading.Thread) -> bool:
    """Start a thread; False where the system makes no more of them."""
    try:
        thread.start()
    except RuntimeError:
        return False
    return True


def _help(staff: Staff) -> None:
    staff.help()


def _others_alive() -> bool:
    """Whether the program goes on in threads of its own after its main thread has ended."""
    return any(
        t.is_alive() and not t.daemon and getattr(t, "_target", None) is not _help
        for t in threading.enumerate()
        if t is not threading.main_thread()
    )
