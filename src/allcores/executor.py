"""`Executor`: the interface of concurrent.futures over workers that stay."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor as _Base
from concurrent.futures import Future
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Any, TypeVar

from allcores.engine.errors import Raised, note_call, unpack
from allcores.engine.functions import try_dumps
from allcores.engine.interrupts import from_handler
from allcores.engine.orders import Function, Job, Order
from allcores.engine.service import CALL
from allcores.engine.staff import Staff
from allcores.settings import count, worker_count
from allcores.tracebacks import not_in_tracebacks, trimmed

T = TypeVar("T")

LINGER = 0.1
"""Seconds that the helper thread waits for the next task before it ends."""


class Executor(_Base):
    """Workers that stay, with the interface of concurrent.futures.

    max_workers: how many (default: the cores this process may use, or $ALLCORES_WORKERS).
    initializer, initargs: called in each worker before its first task.

    As with the standard library's, what was submitted is finished before the program ends; Ctrl-C
    ends it at once, in a `with` block or uncaught. A worker that dies fails only the task it was
    on, with WorkerDied. Raises ValueError or TypeError for arguments that make no sense.

    >>> with Executor(2) as executor:
    ...     executor.submit(pow, 2, 5).result()
    32
    """

    def __init__(
        self,
        max_workers: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
    ) -> None:
        self._shut = True
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        size = worker_count(None) if max_workers is None else count(max_workers, "max_workers")
        self._max_workers = size
        self._staff = Staff(size, initializer, initargs, None)
        self._staff.linger = LINGER
        self._shut = False

    @not_in_tracebacks
    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Have `fn(*args, **kwargs)` called in a worker; gives a Future of its result.

        Raises RuntimeError after `shutdown`.
        """
        with self._staff.interrupts.held_back(), self._staff.changed:
            self._check_running()
            return self._start(fn, self._staff.introduce(fn), args, kwargs).future

    def _check_running(self) -> None:
        self._staff.check_owner()
        if self._shut:
            raise RuntimeError("the executor has been shut down: it takes no more tasks")
        if self._staff.exiting:
            raise RuntimeError("the program is ending: it takes no more tasks")

    def _start(self, fn: Any, function: Function, args: Any, kwargs: Any) -> _Task:
        with self._staff.interrupts.held_back(), self._staff.changed:
            self._check_running()
            task = _Task(self._staff, fn, function, args, kwargs)
            self._staff.add(task)
            helped = self._staff.need_helper()
        if not helped:
            # Nobody would see to it while the program does something else.
            self._staff.wait_for(task.future.done)
        return task

    @not_in_tracebacks
    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[T]:
        """An iterator of `fn(x, ...) for x, ... in zip(*iterables)`, all of them submitted now.

        timeout: seconds from now after which TimeoutError is raised, and workers that are at calls
        of this map are ended. chunksize: calls a worker is
        given at a time. buffersize: submit so many ahead of the results taken, no more.
        """
        size = count(chunksize, "chunksize")
        ahead = None if buffersize is None else count(buffersize, "buffersize")
        end = None if timeout is None else time.monotonic() + timeout
        items = zip(*iterables)
        chunks = iter(lambda: list(islice(items, size)), [])
        each = partial(_each, fn)
        with self._staff.interrupts.held_back(), self._staff.changed:
            self._check_running()
            function = self._staff.introduce(each)
        calls = (self._start(each, function, (c,), {}) for c in chunks)
        return _results(calls, deque(islice(calls, ahead)), end, size)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks. wait: return when all are done and the workers have ended.

        cancel_futures: tasks that no worker has begun are cancelled.
        """
        staff = self._staff
        if staff.owner != os.getpid():
            self._shut = True
            return
        with staff.interrupts.held_back(), staff.changed:
            self._shut = True
            if cancel_futures:
                self._cancel_waiting()
            if staff.ended is None:
                staff.dispatch()
                staff.last = True
                if not staff.unfinished:
                    staff.release()
                elif staff.helper is None:
                    staff.need_helper()
                else:
                    staff.ring()
        if wait and staff.helper is not threading.current_thread():
            staff.wait_for(lambda: not staff.unfinished)
            staff.terminate("the executor has been shut down")
            staff.free_all()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """As `shutdown`, but Ctrl-C ends what the workers are at."""
        try:
            if isinstance(error, KeyboardInterrupt):
                self._stop()
            else:
                self.shutdown()
        except BaseException as raised:
            if from_handler(raised):
                trimmed(raised)
                self._stop()
            raise

    def _stop(self) -> None:
        """End the workers now; what they had not begun is cancelled."""
        staff = self._staff
        if staff.owner == os.getpid():
            with staff.interrupts.held_back(), staff.changed:
                self._shut = True
                self._cancel_waiting()
            staff.terminate("the executor was interrupted before this was done", hurried=True)
            staff.free_all()

    def _cancel_waiting(self) -> None:
        for job in list(self._staff.jobs):
            if isinstance(job, _Task):
                job.future.cancel()

    def __del__(self) -> None:
        if not self._shut and self._staff.owner == os.getpid():
            # Its futures may well be waited for still.
            self.shutdown(wait=False)

    def __reduce__(self) -> Any:
        raise NotImplementedError(
            "an Executor cannot be pickled, nor passed to other processes: it belongs to this one"
        )


def _each(fn: Callable[..., Any], items: list[tuple[Any, ...]]) -> list[Any]:
    results = []
    for item in items:
        try:
            results.append(fn(*item))
        except BaseException as error:
            note_call(error, item)
            raise
    return results


def _results(
    calls: Iterator[_Task], tasks: deque[_Task], end: float | None, size: int
) -> Iterator[Any]:
    """What calls give, one by one. calls: makes the further ones; tasks: those made, of `size`."""
    given = 0
    try:
        while tasks:
            left = None if end is None else end - time.monotonic()
            try:
                results = tasks[0].future.result(left)
            except Exception as error:
                part = f"item {given}" if size == 1 else f"items {given} to {given + size - 1}"
                done = tasks[0].future.done()
                error.add_note(f"{'in' if done else 'waiting for'} {part} of this map")
                if not done:
                    # Nobody can ask for them any more, and they may take for ever.
                    tasks[0].staff.abandon(*tasks)
                raise
            tasks.popleft()
            tasks.extend(islice(calls, 1))
            given += len(results)
            results.reverse()
            while results:
                yield results.pop()
    except KeyboardInterrupt as interrupt:
        trimmed(interrupt)
        raise
    finally:
        for task in tasks:
            task.future.cancel()


class _Task(Job):
    """One submitted call."""

    cancellable = True

    def __init__(self, staff: Staff, fn: Any, function: Function, args: Any, kwargs: Any) -> None:
        self.future: Future[Any] = Future()
        self.outcome: Any = None
        super().__init__(staff, fn, function)
        self.order: Order | None = Order(self, 0, [(args, kwargs)], CALL)
        if staff.inline is None:
            self.order.payload = try_dumps(self.order.items)

    def take(self) -> Order | None:
        order, self.order = self.order, None
        if self.future.set_running_or_notify_cancel():
            return order
        self.staff.finished(self, True)
        return None

    def exhausted(self) -> bool:
        return self.order is None

    def settle(self, order: Order, outcomes: list[Any]) -> bool:
        self.outcome = outcomes[0]
        return True

    def fail(self, order: Order, at: int, error: BaseException) -> bool:
        self.outcome = _Failure(error)
        return True

    def give_up(self, error: BaseException) -> bool:
        if self.order is not None:
            self.order = None
            if self.future.set_running_or_notify_cancel():
                self.outcome = _Failure(error)
            return True
        return False

    def report(self) -> None:
        outcome, self.outcome, self.call = self.outcome, None, None
        if self.future.cancelled():
            return
        # Who waits for the future may have it call something.
        with self.staff.interrupts.let_through():
            if type(outcome) is Raised:
                self.future.set_exception(unpack(outcome))
            elif type(outcome) is _Failure:
                self.future.set_exception(outcome.error)
            else:
                self.future.set_result(outcome)


class _Failure:
    """Stands where a result would have been that no worker gave."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
