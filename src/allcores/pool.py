"""`Pool`: the interface of multiprocessing.Pool over workers that stay.

What differs from multiprocessing.Pool, and why, is in docs/pool.md.
"""

from __future__ import annotations

import itertools
import os
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Generic, NamedTuple, TypeVar

from allcores import mapping
from allcores.engine.errors import Raised, unpack
from allcores.engine.failures import WorkerDied
from allcores.engine.functions import try_dumps
from allcores.engine.orders import Job, Order
from allcores.engine.service import CALL, MAP, STAR
from allcores.engine.staff import TINY_SECONDS, Staff, started
from allcores.inputs import as_is, plain_source
from allcores.settings import count, worker_count
from allcores.tracebacks import not_in_tracebacks

T = TypeVar("T")

CHUNK_SECONDS = 0.010
AHEAD = 1000
"""Results of an imap that may wait to be taken, for each worker, before its input is left alone."""
AHEAD_BYTES = 64 << 20


class Pool:
    """Workers that stay, with the interface of multiprocessing.Pool.

    processes: how many (default: the cores this process may use, or $ALLCORES_WORKERS).
    initializer, initargs: called in each worker before its first task. maxtasksperchild: after
    so many chunks a worker makes room for a new one. context: taken, and of no account.

    Raises ValueError or TypeError for arguments that make no sense.

    >>> with Pool(2) as pool:
    ...     pool.map(abs, [-1, -2, 3])
    [1, 2, 3]
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: Any = None,
    ) -> None:
        self._state = "TERMINATE"
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        if maxtasksperchild is not None and (
            not isinstance(maxtasksperchild, int) or maxtasksperchild < 1
        ):
            raise ValueError(
                f"maxtasksperchild must be a whole number of at least 1, or None, not {maxtasksperchild!r}"
            )
        size = worker_count(None) if processes is None else count(processes, "processes")
        self._staff = Staff(size, initializer, initargs, maxtasksperchild, maps=True)
        self._state = "RUN"

    # -- one call

    @not_in_tracebacks
    def apply(
        self,
        func: Callable[..., T],
        args: Iterable[Any] = (),
        kwds: Mapping[str, Any] | None = None,
    ) -> T:
        """`func(*args, **kwds)` in a worker; gives its result or raises what it raised."""
        with self._staff.interrupts.held_back():
            result: T = self._submit(func, args, kwds, None, None)._waited()
        return result

    def apply_async(
        self,
        func: Callable[..., T],
        args: Iterable[Any] = (),
        kwds: Mapping[str, Any] | None = None,
        callback: Callable[[T], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> ApplyResult[T]:
        """As `apply`, without waiting: gives an AsyncResult."""
        with self._staff.interrupts.held_back(), self._staff.changed:
            result: ApplyResult[T] = self._submit(func, args, kwds, callback, error_callback)
            result._goes_on()
        return result

    def _submit(
        self, func: Any, args: Any, kwds: Any, callback: Any, error_callback: Any
    ) -> ApplyResult[Any]:
        item = (tuple(args), dict(kwds or {}))
        with self._staff.changed:
            self._check_running()
            result: ApplyResult[Any] = ApplyResult(self, func, callback, error_callback)
            result._orders([item], 1, CALL, at_once=True)
            self._staff.add(result)
        return result

    # -- many calls

    @not_in_tracebacks
    def map(
        self, func: Callable[[Any], T], iterable: Iterable[Any], chunksize: int | None = None
    ) -> list[T]:
        """`[func(x) for x in iterable]`, the calls made in the workers.

        chunksize: items a worker is given at a time (default: by time).
        """
        if self._staff.has_interpreters:
            return self._mapped(mapping.map, func, iterable, chunksize)
        with self._staff.interrupts.held_back():
            results: list[T] = self._map(func, iterable, chunksize, MAP)._waited()
        return results

    @not_in_tracebacks
    def starmap(
        self,
        func: Callable[..., T],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
    ) -> list[T]:
        """`[func(*x) for x in iterable]`, the calls made in the workers."""
        if self._staff.has_interpreters:
            return self._mapped(mapping.starmap, func, iterable, chunksize)
        with self._staff.interrupts.held_back():
            results: list[T] = self._map(func, iterable, chunksize, STAR)._waited()
        return results

    def map_async(
        self,
        func: Callable[[Any], T],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: Callable[[list[T]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> MapResult[T]:
        """As `map`, without waiting: gives an AsyncResult."""
        return self._map(func, iterable, chunksize, MAP, True, callback, error_callback)

    def starmap_async(
        self,
        func: Callable[..., T],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: Callable[[list[T]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> MapResult[T]:
        """As `starmap`, without waiting: gives an AsyncResult."""
        return self._map(func, iterable, chunksize, STAR, True, callback, error_callback)

    def _mapped(self, how: Any, func: Any, iterable: Any, chunksize: Any) -> list[Any]:
        """As `map`, where this process cannot be forked: by clean interpreters, or else here."""
        self._check_running()
        size = None if chunksize is None else count(chunksize, "chunksize")
        results: list[Any] = how(func, list(iterable), workers=self._staff.size, chunk=size)
        return results

    def _map(
        self,
        func: Any,
        iterable: Any,
        chunksize: Any,
        style: int,
        later: bool = False,
        callback: Any = None,
        error_callback: Any = None,
    ) -> MapResult[Any]:
        self._check_running()
        if chunksize is not None:
            chunksize = count(chunksize, "chunksize")
        items = iterable
        if type(iterable) not in (list, tuple, range) or later:
            with self._staff.interrupts.let_through():
                items = list(iterable)
        with self._staff.interrupts.held_back(), self._staff.changed:
            self._check_running()
            result: MapResult[Any] = MapResult(self, func, callback, error_callback)
            result._orders(items, chunksize, style, at_once=later)
            self._staff.add(result)
            if not len(items):
                self._staff.finished(result, True)
            if later:
                result._goes_on()
        return result

    # -- one by one

    def imap(
        self, func: Callable[[Any], T], iterable: Iterable[Any], chunksize: int = 1
    ) -> IMapIterator[T]:
        """An iterator of `func(x) for x in iterable`, in order, each as soon as it is there.

        chunksize: items a worker is given at a time.
        """
        return self._imap(func, iterable, chunksize, True)

    def imap_unordered(
        self, func: Callable[[Any], T], iterable: Iterable[Any], chunksize: int = 1
    ) -> IMapIterator[T]:
        """As `imap`, in whatever order the results come."""
        return self._imap(func, iterable, chunksize, False)

    def _imap(self, func: Any, iterable: Any, chunksize: Any, ordered: bool) -> IMapIterator[Any]:
        self._check_running()
        size = count(chunksize, "chunksize")
        iterator = as_is(iter(iterable))
        plain = plain_source(iterable)
        with self._staff.interrupts.held_back(), self._staff.changed:
            self._check_running()
            result: IMapIterator[Any] = IMapIterator(self, func, iterator, size, ordered, plain)
            self._staff.add(result)
            if not result.exhausted() or self._staff.inline is not None:
                self._staff.need_helper()
        if not plain:
            feeder = threading.Thread(
                target=_feed, args=(result, iterator), name="allcores-feeder", daemon=True
            )
            if not started(feeder):
                # Whoever waits for results reads the input as well.
                with self._staff.interrupts.held_back(), self._staff.changed:
                    result._iterator = iterator
                    self._staff.dispatch()
        return result

    # -- the end

    def close(self) -> None:
        """Take no more tasks; the workers end when all that was asked for is done."""
        with self._staff.interrupts.held_back(), self._staff.changed:
            if self._state == "RUN":
                self._state = "CLOSE"
                for job in self._staff.jobs:
                    if isinstance(job, IMapIterator):
                        job._bounded = False
                self._staff.dispatch()
                if self._staff.unfinished:
                    self._staff.need_helper()

    def terminate(self) -> None:
        """End the workers now. What they had not finished raises RuntimeError when asked for."""
        self._terminate()

    def _terminate(self, hurried: bool = False) -> None:
        if self._state != "TERMINATE":
            with self._staff.interrupts.held_back():
                self._state = "TERMINATE"
                self._staff.terminate("the pool was terminated before this was done", hurried)

    def join(self) -> None:
        """Wait until all tasks are done and the workers have ended.

        Raises ValueError when neither `close` nor `terminate` was called before, RuntimeError in a
        callback.
        """
        if self._state == "RUN":
            raise ValueError(
                "the pool still takes tasks: call close() or terminate() before join()"
            )
        staff = self._staff
        if self._state == "CLOSE":
            if threading.current_thread() in staff.reporting:
                raise RuntimeError(
                    "join() was called by a callback, whose end it would wait for; join elsewhere"
                )
            staff.wait_for(lambda: not staff.unfinished or staff.ended is not None)
            staff.dismiss_all()
        staff.free_all()

    def __enter__(self) -> Pool:
        self._check_running()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._terminate(hurried=kind is KeyboardInterrupt)

    def __del__(self, _warn: Any = warnings.warn, _pid: Any = os.getpid) -> None:
        if self._state == "RUN" and self._staff.owner == _pid():
            _warn(f"unclosed running pool {self!r}", ResourceWarning, source=self)
            self.terminate()
        elif self._state == "CLOSE" and self._staff.owner == _pid():
            self.terminate()

    def __reduce__(self) -> Any:
        raise NotImplementedError(
            "a Pool cannot be pickled, nor passed to other processes: it belongs to this one"
        )

    def __repr__(self) -> str:
        size = self._staff.size if "_staff" in vars(self) else "?"
        return f"<allcores.Pool state={self._state} workers={size}>"

    def _check_running(self) -> None:
        self._staff.check_owner()
        if self._state != "RUN":
            raise ValueError("the pool has been closed: it takes no more tasks")

    @property
    def _processes(self) -> int:
        # Read by emcee, schwimmbad and others to learn the pool's size.
        return self._staff.size

    @property
    def _pool(self) -> list[Any]:
        # Read by programs that want the workers' process ids.
        return list(self._staff.members)


# -- results


class ApplyResult(Job, Generic[T]):
    """What the async methods give: a result that will be there."""

    def __init__(self, pool: Pool, func: Any, callback: Any, error_callback: Any) -> None:
        super().__init__(pool._staff, func)
        self._pool: Pool | None = pool
        self._callback, self._error_callback = callback, error_callback
        self._value: Any = None
        self._error: BaseException | None = None
        self._error_at = -1
        self._pending = 0
        self._cut: deque[Order] = deque()

    # -- for the user

    @not_in_tracebacks
    def get(self, timeout: float | None = None) -> T:
        """The result, when it is there; raises what the function raised.

        Raises multiprocessing.TimeoutError when it is not there after `timeout` seconds.
        """
        self.wait(timeout)
        if not self.done:
            from multiprocessing import TimeoutError

            raise TimeoutError(f"no result after {timeout} s")
        if self._error is not None:
            raise self._error
        value: T = self._value
        return value

    @not_in_tracebacks
    def wait(self, timeout: float | None = None) -> None:
        """Return when the result is there, or after `timeout` seconds."""
        self.staff.wait_for(lambda: self.done, timeout)

    def ready(self) -> bool:
        """Whether the result is there."""
        return self.done or self.staff.wait_for(lambda: self.done, 0)

    def successful(self) -> bool:
        """Whether the function returned. Raises ValueError when the result is not there yet."""
        if not self.ready():
            raise ValueError(f"{self!r} is not ready")
        return self._error is None

    # -- for the pool

    def _waited(self) -> Any:
        """The result of a call that waits: when interrupted, the workers stop."""
        try:
            return self.get()
        except BaseException:
            if not self.done:
                self.staff.abandon(self)
            raise
        finally:
            # An exception's traceback holds this frame.
            del self

    def _goes_on(self) -> None:
        """See to it that all is done though nobody may wait. With the lock held."""
        if (
            self._cut
            or any(len(m.orders) > 1 for m in self.staff.members)
            or self.staff.again
            or self._callback is not None
            or self._error_callback is not None
            or self.staff.inline is not None
        ):
            self.staff.need_helper()

    def _orders(self, items: Sequence[Any], size: int | None, style: int, at_once: bool) -> None:
        """Cut the items up. At once: as they are now, whatever becomes of them."""
        self._items, self._size, self._style, self._at = items, size, style, 0
        if not at_once:
            return
        while (order := self._next()) is not None:
            if self.staff.inline is None:
                order.payload = try_dumps(order.items)
            self._cut.append(order)

    def _next(self) -> Order | None:
        at, items = self._at, self._items
        left = len(items) - at
        if not left:
            return None
        count = min(left, self._size or self._by_time(left))
        self._at += count
        self._pending += 1
        return Order(self, at, items[at : at + count], self._style)

    def _by_time(self, left: int) -> int:
        """Items for the next chunk: fewer towards the end, and where they take long.

        Never more than multiprocessing would take: tasks may wait for one another.
        """
        most = -(-len(self._items) // (4 * self.staff.size))
        size = -(-left // (2 * self.staff.size))
        cost = self.staff.costs.get(self.function.cost_key)
        if cost is None:
            return min(most, size, 32)
        if cost * most < TINY_SECONDS:
            return most
        return max(1, min(most, size, int(CHUNK_SECONDS / cost)))

    def take(self) -> Order | None:
        return self._cut.popleft() if self._cut else self._next()

    def exhausted(self) -> bool:
        return not self._cut and self._at >= len(self._items)

    def settle(self, order: Order, outcomes: list[Any]) -> bool:
        last = outcomes[-1]
        if type(last) is Raised:
            at = len(outcomes) - 1
            error = raised_in_worker(last, order.start + at)
            return self._failed(order.start + at, error)
        self._keep(order.start, outcomes)
        return self._one_less()

    def fail(self, order: Order, at: int, error: BaseException) -> bool:
        return self._failed(order.start + at, error)

    def give_up(self, error: BaseException) -> bool:
        at = self._cut[0].start if self._cut else self._at
        self._pending -= len(self._cut) - 1
        self._cut.clear()
        self._at = len(self._items)
        return self._failed(at, error)

    def _failed(self, index: int, error: BaseException) -> bool:
        """Of several errors, the one that the plain loop would have met."""
        if self._error is None or index < self._error_at:
            self._error, self._error_at = error, index
        return self._one_less()

    def _one_less(self) -> bool:
        self._pending -= 1
        return not self._pending and self.exhausted()

    def _keep(self, start: int, outcomes: list[Any]) -> None:
        self._value = outcomes[0]

    def report(self) -> None:
        self._items, self.call = (), None
        callback, value = (
            (self._callback, self._value)
            if self._error is None
            else (self._error_callback, self._error)
        )
        self._callback = self._error_callback = None
        if callback is not None:
            with self.staff.interrupts.let_through():
                callback(value)


AsyncResult = ApplyResult


class MapResult(ApplyResult[list[T]]):
    """What `map_async` and `starmap_async` give."""

    def _orders(self, items: Sequence[Any], size: int | None, style: int, at_once: bool) -> None:
        self._value = [None] * len(items)
        super()._orders(items, size, style, at_once)

    def _keep(self, start: int, outcomes: list[Any]) -> None:
        self._value[start : start + len(outcomes)] = outcomes


class IMapIterator(Job, Iterator[T]):
    """What `imap` and `imap_unordered` give: an iterator over results as they come."""

    each = True

    def __init__(
        self,
        pool: Pool,
        func: Any,
        iterator: Iterator[Any],
        size: int,
        ordered: bool,
        plain: bool,
    ) -> None:
        super().__init__(pool._staff, func)
        self._pool: Pool | None = pool
        self._iterator: Iterator[Any] | None = iterator if plain else None
        self._size, self._ordered = size, ordered
        self._bounded = True
        self._fed: deque[_Fed] = deque()
        self._fed_bytes = 0
        self._fed_all = False
        self._input_error: BaseException | None = None
        self._at = self._taken = self._pending = self._bytes = 0
        self._there: dict[int, tuple[Any, int]] = {}
        self._over = False

    # -- for the user

    def __iter__(self) -> IMapIterator[T]:
        return self

    @not_in_tracebacks
    def __next__(self) -> T:
        return self.next()

    @not_in_tracebacks
    def next(self, timeout: float | None = None) -> T:
        """The next result; raises what the function raised for it, and StopIteration at the end.

        Raises multiprocessing.TimeoutError when it is not there after `timeout` seconds.
        """
        if not self._available() and not self.staff.wait_for(self._available, timeout):
            from multiprocessing import TimeoutError

            which = f" of task {self._taken}" if self._ordered else ""
            raise TimeoutError(f"no result{which} after {timeout} s")
        with self.staff.changed:
            if not self._there:
                self._end()
            key = self._taken if self._ordered else next(iter(self._there))
            outcome, size = self._there.pop(key)
            full = not self._room()
            self._taken += 1
            self._bytes -= size
            if full and self._room():
                with self.staff.interrupts.held_back():
                    self.staff.dispatch()
                    self.staff.tell()
        if type(outcome) is Raised:
            error = raised_in_worker(outcome, key)
            if isinstance(error, StopIteration):
                # It would be the end of the results; a generator makes the same of it.
                raise RuntimeError("the function raised StopIteration") from error
            raise error
        if isinstance(outcome, _Failed):
            raise outcome.error
        result: T = outcome
        return result

    def _available(self) -> bool:
        if self._ordered:
            return self._taken in self._there or self._over
        return bool(self._there) or self._over

    def _end(self) -> None:
        error, self._input_error = self._input_error, None
        self._pool = None
        raise error if error is not None else StopIteration

    # -- for the pool

    def _room(self) -> bool:
        """Whether more may be begun: results that nobody takes must not fill the memory."""
        if not self._bounded:
            return True
        return self._at - self._taken < AHEAD * self.staff.size and self._bytes < AHEAD_BYTES

    def take(self) -> Order | None:
        if self._over or (not self._room()):
            return None
        items, payload = self._input(self._size)
        if not items:
            if self._nothing_left():
                self.staff.finished(self, True)
            return None
        order = Order(self, self._at, items, MAP, payload)
        self._at += len(items)
        self._pending += 1
        return order

    def _input(self, count: int) -> tuple[list[Any], bytes | None]:
        """The next items, and their pickle where that was made as they were read."""
        if self._iterator is None:
            fed = [self._fed.popleft() for _ in range(min(count, len(self._fed)))]
            self._fed_bytes -= sum(f.size for f in fed)
            return [f.item for f in fed], fed[0].payload if count == len(fed) == 1 else None
        items: list[Any] = []
        try:
            items.extend(islice(self._iterator, count))
        except Exception as error:
            self._input_error = error
        if len(items) < count:
            self._fed_all = True
        return items, None

    def _hungry(self) -> bool:
        """Whether more input should be read."""
        if self.staff.inline is not None:
            return not self._fed and not self._pending
        few = len(self._fed) < AHEAD * self.staff.size and self._fed_bytes < AHEAD_BYTES
        return few and self._room()

    def _feed(self, item: Any, payload: bytes | None, size: int) -> None:
        """An item has been read."""
        self._fed.append(_Fed(item, payload, size))
        self._fed_bytes += size
        if len(self._fed) == 1:
            self.staff.dispatch()
            if self.staff.inline is not None:
                self.staff.tell()

    def exhausted(self) -> bool:
        return self._over or (self._fed_all and not self._fed)

    def _nothing_left(self) -> bool:
        """Whether this was the last of it; true once only."""
        if self._over or self._pending or not self.exhausted():
            return False
        self._over = True
        return True

    def settle(self, order: Order, outcomes: list[Any]) -> bool:
        self._pending -= 1
        each = order.size // len(outcomes)
        self._put(order.start, outcomes, each)
        return self._nothing_left()

    def _put(self, start: int, outcomes: Sequence[Any], size: int) -> None:
        self._bytes += size * len(outcomes)
        for k, outcome in enumerate(outcomes):
            self._there[start + k] = (outcome, size)

    def fail(self, order: Order, at: int, error: BaseException) -> bool:
        self._pending -= 1
        if self.staff.broken is not None or self.staff.ended is not None:
            self._put(order.start, [_Failed(error)] * len(order.items), 0)
            return self._nothing_left()
        before, after = order.items[:at], order.items[at + 1 :]
        if isinstance(error, WorkerDied):
            # They have been done, and must not be done twice; their results died with the worker.
            self._put(order.start, [_Failed(error)] * len(before), 0)
            before = ()
        self._put(order.start + at, [_Failed(error)], 0)
        for start, items in ((order.start, before), (order.start + at + 1, after)):
            if items:
                self._pending += 1
                self.staff.again.append(Order(self, start, items, MAP))
        return self._nothing_left()

    def give_up(self, error: BaseException) -> bool:
        self._fed.clear()
        self._fed_bytes = 0
        self._fed_all = True
        self._input_error = error
        return self._nothing_left()

    def report(self) -> None:
        self._iterator = self.call = None


class _Failed:
    """Stands where a result would have been that no worker gave."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class _Fed(NamedTuple):
    """An item that was read ahead, and what it takes."""

    item: Any
    payload: bytes | None
    size: int


def _feed(result: IMapIterator[Any], iterator: Iterator[Any]) -> None:
    """Read the input of an imap in a thread of its own: it may wait for what the results do."""
    staff = result.staff
    error: BaseException | None = None
    size = 0
    for number in itertools.count():
        with staff.changed:
            staff.changed.wait_for(lambda: result._over or result._fed_all or result._hungry())
            if result._over or result._fed_all:
                return
        try:
            item = next(iterator)
        except StopIteration:
            break
        except BaseException as e:
            error = e
            break
        payload = None
        if staff.inline is None and number % result._size == 0:
            # At once, for reading on may change it, as where one buffer is filled again and again.
            payload = try_dumps([item])
            size = len(payload or b"")
        with staff.changed:
            if result.exhausted():
                return
            result._feed(item, payload, size)
        del item, payload
    with staff.changed:
        if not result._fed_all:
            result._fed_all = True
            result._input_error = error
            staff.dispatch()
            staff.finished(result, result._nothing_left())
            staff.tell()


def raised_in_worker(raised: Raised, index: int) -> BaseException:
    """The exception as its caller gets it."""
    error = unpack(raised)
    error.add_note(f"in task {index} of the pool")
    return error
