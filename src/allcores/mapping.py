"""`map`, `imap` and `starmap`: for a function one already has.

Workers are forked at the call, so the function, and whatever it holds, is inherited: nothing of it
is pickled. What costs too little for workers runs here, as the plain loop.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import chain, islice
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from allcores.ahead import first_read
from allcores.build.travel import reorders_a_set
from allcores.engine import per_worker
from allcores.engine.failures import CannotFork
from allcores.engine.forkable import why_not_forkable
from allcores.engine.interrupts import Interrupts, closed_undisturbed, from_handler, undisturbed
from allcores.engine.memory import passed
from allcores.engine.own_streams import enter_iteration, inside_iteration, leave_iteration
from allcores.engine.randomness import Streams, new_clock_sequence
from allcores.engine.relay import STDOUT, Piece, Relay, put_out
from allcores.engine.schedule import Batch, Halt, Run
from allcores.engine.source import Indexed, Streamed
from allcores.inputs import as_is, as_sequence, items_left, plain_source
from allcores.loop import ParallelWarning, in_worker
from allcores.plan.handles import used_by_function
from allcores.settings import Settings, settings_of
from allcores.tracebacks import trimmed
from allcores.worth import FEW, WORTH_ITERATION, WORTH_SECONDS, Stay, Taste, worth_workers

if TYPE_CHECKING:
    from allcores.engine.job import Cut

T = TypeVar("T")


def map(
    fn: Callable[..., T],
    *iterables: Iterable[Any],
    workers: int | None = None,
    on: str | None = None,
    chunk: int | None = None,
) -> list[T]:
    """`[fn(x) for x in xs]` on every core; with several iterables `[fn(x, y) for x, y in zip(...)]`.

    fn: any callable: a lambda, a closure, a bound method, a partial; it is not pickled. What it
    changes outside of itself is lost, for a worker calls it. workers: how many processes (default:
    the cores this process may use, or $ALLCORES_WORKERS). on: "processes" or "serial". chunk: items
    a worker gets at a time (default: by time).

    Gives the results in order. Raises what `fn` raises first in order, WorkerDied when workers die
    twice on one item, TypeError or ValueError for arguments that make no sense.

    >>> import allcores
    >>> allcores.map(lambda x: x * x, range(5))
    [0, 1, 4, 9, 16]
    >>> allcores.map(pow, [2, 3], [5, 2])
    [32, 9]
    """
    call = _call("map", fn, iterables, False, settings_of(workers, on, False, chunk))
    try:
        return call.all()
    except BaseException as error:
        if from_handler(error):
            trimmed(error)
        raise


def imap(
    fn: Callable[..., T],
    *iterables: Iterable[Any],
    workers: int | None = None,
    on: str | None = None,
    chunk: int | None = None,
) -> Iterator[T]:
    """As `map`, but an iterator: each result in order, as soon as it is there.

    The input is read as results are taken, so that it may be of any length. Closing the iterator,
    or dropping it, stops the workers.

    >>> import allcores, itertools
    >>> squares = allcores.imap(lambda x: x * x, itertools.count())
    >>> next(squares), next(squares), next(squares)
    (0, 1, 4)
    >>> squares.close()
    """
    call = _call("imap", fn, iterables, False, settings_of(workers, on, False, chunk))
    return _one_by_one(call)


def starmap(
    fn: Callable[..., T],
    iterable: Iterable[Iterable[Any]],
    *,
    workers: int | None = None,
    on: str | None = None,
    chunk: int | None = None,
) -> list[T]:
    """`[fn(*args) for args in iterable]` on every core; else as `map`.

    >>> import allcores
    >>> allcores.starmap(pow, [(2, 5), (3, 2)])
    [32, 9]
    """
    call = _call("starmap", fn, (iterable,), True, settings_of(workers, on, False, chunk))
    try:
        return call.all()
    except BaseException as error:
        if from_handler(error):
            trimmed(error)
        raise


def _one_by_one(call: _Call) -> Iterator[Any]:
    """A generator, whose `close` ends the call."""
    try:
        for piece in closed_undisturbed(call.interrupts, call.pieces(whole=False)):
            yield from piece
    except BaseException as error:
        if from_handler(error):
            trimmed(error)
        raise


def _left_generator(error: RuntimeError) -> bool:
    """Whether this stands for a StopIteration of the function, which cannot leave our generators."""
    tb = error.__traceback__
    while tb is not None and tb.tb_next is not None:
        tb = tb.tb_next
    ours = tb is not None and tb.tb_frame.f_globals.get("__name__", "").startswith("allcores.")
    return ours and isinstance(error.__cause__, StopIteration)


def _call(name: str, fn: Any, iterables: tuple[Any, ...], star: bool, settings: Settings) -> _Call:
    if not callable(fn):
        raise TypeError(f"{name}() needs a function first, not {type(fn).__name__}")
    if not iterables:
        raise TypeError(f"{name}() needs at least one iterable after the function")
    for each in iterables:
        kind = type(each)
        if not hasattr(kind, "__iter__") and not hasattr(kind, "__getitem__"):
            hint = "; perhaps range(...) is missing" if isinstance(each, int) else ""
            raise TypeError(f"{name}() needs something to loop over, not {kind.__name__}{hint}")
    several = len(iterables) > 1
    iterable = zip(*iterables) if several else iterables[0]
    return _Call(name, fn, iterable, star or several, settings)


SURE = 1000
"""A function that drew no random number in so many calls is taken for one that draws none."""
_costs: dict[Any, tuple[float, float]] = {}
"""Seconds that an item took lately, and what those took by which that is known; by code."""


class _Call:
    """One call of `map`, `imap` or `starmap`."""

    def __init__(
        self, name: str, fn: Callable[..., Any], iterable: Any, star: bool, settings: Settings
    ) -> None:
        self.name, self.fn, self.star, self.settings = name, fn, star, settings
        self.iterable = iterable
        self.iterator: Any = as_is(iter(iterable))
        self.plain = plain_source(iterable)
        self.key = getattr(getattr(fn, "__func__", fn), "__code__", None)
        self.done = 0
        self.interrupts = Interrupts()
        self.first_own = per_worker.newest()
        self.streams = Streams.of(fn)
        self.came_home = False
        """Whether workers were given up, for the items cost less than sending them."""
        self.seeded = False
        """Whether each item has random streams of its own: from the first draw on."""
        self.nested = inside_iteration()
        """Whether all of it draws from the streams of an iteration, or of another call's item."""

    def all(self) -> list[Any]:
        """The results in order."""
        results: list[Any] = []
        try:
            for piece in closed_undisturbed(self.interrupts, self.pieces(whole=True)):
                if type(piece) is list and len(piece) > len(results):
                    # The longer one grows, for that copies less.
                    piece[:0] = results
                    results = piece
                else:
                    results += piece
        except RuntimeError as error:
            if _left_generator(error):
                raise error.__cause__ from None  # type: ignore[misc]
            raise
        return results

    def pieces(self, whole: bool) -> Generator[Iterable[Any], None, None]:
        """The results in order, in pieces. whole: all of them are wanted, and none before."""
        settings = self.settings
        serial = settings.on == "serial" or settings.workers < 2 or in_worker() or self.nested
        try:
            at_once = not serial and self.at_once()
            while True:
                if not at_once:
                    taste = self.taste_pieces if whole and self.plain else self.taste_items
                    yield from taste(for_ever=serial)
                if serial or (self.plain and not self.left()):
                    # It may raise, for what was done to its source meanwhile.
                    yield [self.one(item) for item in self.iterator]
                    return
                why = why_not_forkable()
                if why is not None:
                    why = f"workers cannot be made here: {why}"
                else:
                    name = getattr(self.fn, "__name__", "the function")
                    handle = used_by_function(name, self.fn, self.iterable)
                    why = None if handle is None else handle.text()
                if why is None and not self.plain:
                    self.iterator, why = first_read(self.iterator)
                if why is not None:
                    self.say(why)
                    yield from self.taste_items(for_ever=True)
                    return
                yield from undisturbed(self.interrupts, self.in_workers())
                if not self.came_home:
                    return
                at_once = self.came_home = False
        finally:
            if self.seeded:
                self.streams.finish()

    def left(self) -> int | None:
        return items_left(self.iterator) if self.plain else None

    # -- here

    def at_once(self) -> bool:
        """Whether to bring in workers before anything has been run here."""
        if self.settings.force:
            return True
        left = self.left()
        if left is None or left < 2:
            return False
        few = left <= FEW * self.settings.workers
        known = _costs.get(self.key)
        if known is None:
            return few
        # A few tiny items in a new worker seem to cost far more than many do.
        cost, seconds = known
        return (few or seconds > WORTH_SECONDS) and worth_workers(cost, left, WORTH_SECONDS)

    def taste_pieces(self, for_ever: bool) -> Iterator[Iterable[Any]]:
        """Call the function here until workers are worth it."""
        pieces = self.timed_pieces(for_ever)
        for piece in pieces:
            yield self.watched(list(piece))
            if self.done >= SURE and not self.seeded:
                # In one comprehension, for no other way of calling a function is as fast.
                results = self.results(chain.from_iterable(pieces))
                self.done += len(results)
                yield results

    def timed_pieces(self, for_ever: bool) -> Iterator[Iterator[Any]]:
        """Pieces of the input, each timed while it is used up, until workers are worth it."""
        taste = Taste()
        while left := self.left():
            size = min(taste.size, left)
            start = perf_counter()
            yield islice(self.iterator, size)
            seconds = perf_counter() - start
            calls = taste.calls_for_workers(size, seconds, self.left() or 0)
            self.remember(taste.cost(), taste.spent)
            if calls and not for_ever:
                return

    def results(self, items: Iterable[Any]) -> list[Any]:
        fn = self.fn
        return [fn(*item) for item in items] if self.star else [fn(item) for item in items]

    def watched(self, items: list[Any]) -> list[Any]:
        """Results of items; from the first draw on each item has random streams of its own."""
        if not self.seeded:
            results = self.results(items)
            if self.nested or not self.streams.drawn():
                self.done += len(results)
                return results
            self.seeded = True
        return [self.one(item) for item in items]

    def one(self, item: Any) -> Any:
        """The result of one item, here."""
        if self.seeded:
            self.streams.start(self.done)
            enter_iteration()
        try:
            result = self.fn(*item) if self.star else self.fn(item)
        finally:
            if self.seeded:
                leave_iteration()
        self.done += 1
        return result

    def taste_items(self, for_ever: bool) -> Iterator[Iterable[Any]]:
        """As `taste_pieces`, with each result given away before the next item is read."""
        spent = 0.0
        for item in self.iterator:
            start = perf_counter()
            results = self.watched([item])
            spent += perf_counter() - start
            yield results
            if for_ever:
                continue
            cost = spent / self.done
            if self.done & (self.done - 1) == 0:
                self.remember(cost, spent)
            if worth_workers(cost, self.left(), spent):
                return

    def remember(self, cost: float, seconds: float) -> None:
        """Note what an item costs, and how long all took by which that is known."""
        if self.key is not None:
            if len(_costs) > 10_000:
                _costs.clear()
            _costs[self.key] = cost, seconds

    # -- with workers

    def say(self, why: str) -> None:
        level, frame = 1, sys._getframe()
        while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(
            "allcores."
        ):
            level, frame = level + 1, frame.f_back
        text = f"{self.name}() runs serially: {why}"
        warnings.warn(text, ParallelWarning, stacklevel=level)

    def source(self) -> tuple[Any, Any]:
        """What workers get, and the sequence it is made of, if it is one."""
        rest: Any = as_sequence(self.iterator) if self.plain else None
        if rest is None:
            numbered = (_Item(k, item) for k, item in enumerate(self.iterator, self.done))
            return Streamed(numbered), None
        return Indexed(_Numbered(rest, self.done)), rest

    def in_workers(self) -> Generator[Iterable[Any], None, None]:
        """The rest of the results, from workers; items that no worker can do are done here."""
        per_worker.close_since(self.first_own)
        job = _FunctionJob(self.fn, self.star, self.streams, self.seeded)
        settings = self.settings
        estimate, _ = _costs.get(self.key, (None, 0.0))
        first = self.done
        source, held = self.source()
        run = Run(
            job,
            source,
            workers=settings.workers,
            chunk=settings.chunk,
            estimate=estimate,
            limits=settings.limits,
            first=first,
            interrupts=self.interrupts,
        )
        stuck = 0
        stay = Stay(WORTH_ITERATION)  # of which the worker itself takes 1 or 2 µs
        try:
            while True:
                try:
                    event, *waited = run.next_timed()
                except StopIteration:
                    return
                except CannotFork as error:
                    self.say(str(error))
                    break
                if isinstance(event, Batch):
                    stuck = 0
                    yield from self.delivered(event)
                    stay.add(event)
                    self.remember(stay.seconds / max(stay.iterations, 1), stay.seconds)
                    stay.wait(*waited)
                    if stay.too_slow() and not settings.force:
                        break
                    if held is not None and stay.too_cheap() and not settings.force:
                        self.came_home = True
                        self.iterator = iter(held)
                        self.iterator.__setstate__(self.done - first)
                        return
                    continue
                if event.error is not None:
                    raise event.error
                stuck += 1
                with self.interrupts.let_through():
                    result = self.one_here(event)
                yield [result]
                if stuck > 8 and not settings.force:
                    self.say(f"{event.text}, so results cannot be sent from workers")
                    break
            yield from self.rest_here(run.rest())
        except KeyboardInterrupt:
            run.interrupted = True
            raise
        finally:
            run.close()

    def rest_here(self, items: Iterator[Any]) -> Iterator[Iterable[Any]]:
        """The results of items that workers have left."""
        while True:
            with self.interrupts.let_through():
                item = next(items, None)
                if item is None:
                    return
                result = self.one(item.value)
            yield [result]

    def one_here(self, event: Halt) -> Any:
        states = self.streams.states()
        result = self.one(event.item.value)
        if not self.seeded and self.streams.states() != states:
            self.seeded = True
            self.done -= 1
            result = self.one(event.item.value)
        return result

    def delivered(self, batch: Batch) -> Iterator[Iterable[Any]]:
        """A batch's results, with what was printed on the way; raises what the function raised."""
        special, drawn = batch.extra or (True, False)
        self.seeded |= drawn
        if not special:
            self.done += len(batch.results)
            yield batch.results
            return
        from allcores.engine.errors import Raised

        ready: list[Any] = []
        for item, result in zip(batch.items, batch.results):
            if type(result) is _Said:
                yield ready
                ready = []
                with self.interrupts.let_through():
                    for piece in result.said:
                        put_out(*piece)
                result = result.result
            if type(result) is Raised:
                yield ready
                raise self.error(result, item)
            ready.append(result)
            self.done += 1
        yield ready

    def error(self, raised: Any, item: _Item) -> BaseException:
        import reprlib

        from allcores.engine.errors import unpack

        error = unpack(raised)
        try:
            shown = reprlib.repr(item.value)
        except Exception:
            shown = f"a {type(item.value).__name__}"
        text = "".join(f"  {line}\n" for line in raised.text.splitlines()).rstrip()
        error.add_note(f"in item {item.place} of {self.name}(), {shown}; a worker saw:\n{text}")
        return error


class _Said(NamedTuple):
    """A result, and what was printed, warned and logged while it was made."""

    result: Any
    said: list[Piece]


# -- items


class _Item(NamedTuple):
    """An item and its place, which its random streams are made from."""

    place: int
    value: Any

    def __repr__(self) -> str:
        return repr(self.value)


class _Numbered(Sequence[_Item]):
    """A sequence of items as numbered ones, made as they are asked for."""

    def __init__(self, items: Sequence[Any], first: int) -> None:
        self.items, self.first = items, first

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Any:
        return _Item(self.first + index, self.items[index])


# -- in a worker


def _same_again(last: Any, result: Any) -> bool:
    """Whether a result is, or holds, what the last one did and may have been filled anew."""
    if type(result) is tuple and type(last) is tuple:
        return any(_same_again(a, b) for a, b in zip(last, result))
    if result is not last or isinstance(result, (int, float, str)):
        return False
    return isinstance(result, (list, dict, set, bytearray)) or type(result).__name__ == "ndarray"


class _FunctionJob:
    """Implements `engine.Job` for a function: exceptions and output travel with the results."""

    def __init__(self, fn: Callable[..., Any], star: bool, streams: Streams, seeded: bool) -> None:
        self.fn, self.star, self.streams, self.seeded = fn, star, streams, seeded
        self.work: Callable[[Any], Any] = self.call
        self.relay = Relay()
        self.items: list[_Item] = []
        self.odd: tuple[int, str] | None = None
        """The first item in the chunk that must be done here, and why."""
        self.special = self.raised = self.again = False
        self.last: Any = None

    def enter_worker(self) -> None:
        self.relay.install()
        new_clock_sequence()
        self.streams.seen = self.streams.states()

    def before_chunk(self) -> None:
        self.relay.before_chunk()
        self.items, self.odd = [], None
        self.special = self.raised = self.again = False
        self.last = None

    def call(self, item: _Item) -> Any:
        if self.raised:
            return None  # nobody will ask for what comes after an exception
        self.items.append(item)
        if self.seeded:
            self.streams.start(item.place)
            enter_iteration()
        try:
            result = self.fn(*item.value) if self.star else self.fn(item.value)
        except BaseException as error:
            from allcores.engine.errors import pack

            if passed(error):
                raise
            self.special = self.raised = True
            result = pack(error)
        self.again = self.again or _same_again(self.last, result)
        self.last = result
        odd = self.relay.oddity()
        if not self.raised and reorders_a_set(result):
            odd = odd or "a set in a result would come home in another order"
        if odd and self.odd is None:
            self.odd = len(self.items) - 1, odd
        if self.relay.pieces:
            self.special = True
            return _Said(result, self.relay.take())
        return result

    def after_chunk(
        self, results: list[Any], last: bool, cut: Cut | None
    ) -> tuple[Any, Cut | None]:
        if not self.seeded and self.streams.drawn():
            # The first draw: from here on each item has streams of its own, this chunk's too.
            self.seeded = True
            items = self.items
            self.before_chunk()
            self.spilled()
            results[:] = [self.call(item) for item in items]
        elif self.seeded:
            self.streams.seen = []
        if self.again:
            from allcores.engine.job import Cut

            # The earlier results of the chunk are gone; done one by one, each is seen in time.
            return None, Cut(0, "unshippable", "the function gives the same object each time")
        spilled = self.spilled()
        if spilled and results:
            self.special = True
            before = results[-1] if type(results[-1]) is _Said else _Said(results[-1], [])
            results[-1] = _Said(before.result, [*before.said, (STDOUT, spilled)])
        if self.odd is not None:
            from allcores.engine.job import Cut

            return (self.special, self.seeded), Cut(self.odd[0], "unshippable", self.odd[1])
        return (self.special, self.seeded), None

    def lighten(self, extra: Any, empty: bool) -> Any:
        return extra

    def spilled(self) -> str:
        """What was written past Python's own streams, as by a program that was called."""
        file = self.relay.file
        size = os.fstat(file).st_size
        if not size:
            return ""
        data = os.pread(file, size, 0)
        os.ftruncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)
        return data.decode(errors="replace")
