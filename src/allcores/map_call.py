"""One call of `map`, `imap` or `starmap`: here while that is the best thing to do, then in workers."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from itertools import chain, islice
from time import perf_counter
from typing import TYPE_CHECKING, Any, NoReturn, cast

from allcores.ahead import first_read
from allcores.contest import Contest
from allcores.engine import per_worker
from allcores.engine.failures import CannotFork, shown
from allcores.engine.interrupts import Interrupts, closed_undisturbed, undisturbed
from allcores.engine.job import Skipped
from allcores.engine.own_streams import enter_iteration, inside_iteration, leave_iteration
from allcores.engine.randomness import Streams
from allcores.engine.relay import put_out
from allcores.engine.schedule import ENOUGH_SECONDS, Batch, Halt, Run, Waiting, waiting_in
from allcores.engine.shipment import CannotShip, bring_too, send_along
from allcores.engine.source import Indexed, Streamed
from allcores.engine.thread_limits import may_have_pools
from allcores.engine.waits import FIRST, WaitClock, use_of_more
from allcores.engine.ways import choose, ready, why_serial
from allcores.inputs import as_is, as_sequence, items_left, plain_source
from allcores.libraries import libraries_of
from allcores.loop import ParallelWarning, in_worker
from allcores.map_job import FunctionJob, Item, Numbered, Said
from allcores.plan.bounded import Bounded
from allcores.plan.handles import used_by_function
from allcores.settings import Settings
from allcores.skipping import Failure, Results, collected
from allcores.tracebacks import trimmed
from allcores.worth import FEW, WORTH_ITERATION, WORTH_SECONDS, Stay, Taste, worth_workers

if TYPE_CHECKING:
    from allcores.map_resume import MapResume
    from allcores.map_threads import SharedFunctionJob

SURE = 1000
"""A function that drew no random number in so many calls is taken for one that draws none."""
costs: dict[Any, tuple[float, float]] = {}
"""Seconds that an item took lately, and what those took by which that is known; by code."""

idle: Bounded[Any, float] = Bounded(10_000)
"""The part of their time that calls wait, as far as is known; by code."""
shares: Bounded[Any, bool] = Bounded(10_000)
"""Whether calls may use a pool of threads, such as BLAS's, as far as names tell; by code."""
faster: Bounded[Any, str] = Bounded(10_000)
"""What was faster where they do: "here" or "workers"; by code."""
not_in_threads: set[Any] = set()
"""Code of functions that threads of one process cannot call, as trying has shown."""


def left_generator(error: RuntimeError) -> bool:
    """Whether this stands for a StopIteration of the function, which cannot leave our generators."""
    tb = error.__traceback__
    while tb is not None and tb.tb_next is not None:
        tb = tb.tb_next
    ours = tb is not None and tb.tb_frame.f_globals.get("__name__", "").startswith("allcores.")
    return ours and isinstance(error.__cause__, StopIteration)


def raise_as_it_is(error: BaseException) -> NoReturn:
    """Raise this, and leave what it was raised from or while handling as it is."""
    links = error.__cause__, error.__context__, error.__suppress_context__
    try:
        raise error
    finally:
        error.__cause__, error.__context__, error.__suppress_context__ = links


class Call:
    """One call of `map`, `imap` or `starmap`."""

    def __init__(
        self, name: str, fn: Callable[..., Any], iterable: Any, star: bool, settings: Settings
    ) -> None:
        self.name, self.fn, self.star, self.settings = name, fn, star, settings
        self.iterable = iterable
        self.iterator: Any = as_is(iter(iterable))
        self.plain = plain_source(iterable)
        self.key = getattr(getattr(fn, "__func__", fn), "__code__", None)
        self.contest = Contest(settings.workers, faster.get(self.key, "") if self.key else "")
        self.done = 0
        self.interrupts = Interrupts()
        self.first_own = per_worker.newest()
        self.streams = Streams.of(fn)
        self.came_home = False
        """Whether workers were given up, for the items cost less than sending them."""
        self.entangled = False
        """Whether threads were given up just now, for they were in each other's way."""
        self.tried_threads = False
        self.waited = self.clocked = 0.0
        """Of what was run here: the seconds in which it waited, and all of those looked at."""
        self.seeded = False
        """Whether each item has random streams of its own: from the first draw on."""
        self.nested = inside_iteration()
        """Whether all of it draws from the streams of an iteration, or of another call's item."""
        self.failures: list[Failure] = []
        """What was left out because it raised, where that is collected."""
        self.skips = settings.on_error != "raise"
        self.stays = settings.limits.only_in_workers or bool(settings.asked and settings.resume)
        """Whether only workers can do what is asked for."""
        self.resume: MapResume | None = None
        """What it has of a journal."""
        self.also: list[Any] = []
        """What clean interpreters are to be given beside the function, for items hold it."""

    def all(self) -> list[Any]:
        """The results in order."""
        results = self.all_results()
        if not self.skips:
            return results
        found: Results[Any] = Results(results)
        found.errors = self.failures
        return found

    def all_results(self) -> list[Any]:
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
            if left_generator(error):
                raise_as_it_is(cast(StopIteration, error.__cause__))
            raise
        return results

    def pieces(self, whole: bool) -> Generator[Iterable[Any], None, None]:
        """The results in order, in pieces. whole: all of them are wanted, and none before."""
        settings = self.settings
        limited = self.stays
        serial = settings.on == "serial" or in_worker() or self.nested
        serial = serial or (settings.workers < 2 and settings.most <= FIRST and not limited)
        if serial and limited:
            self.say("there are no workers in workers, nor with on='serial'")
        early = True
        try:
            at_once = not serial and self.at_once()
            while True:
                if not at_once:
                    taste = self.taste_pieces if whole and self.plain else self.taste_items
                    yield from taste(for_ever=serial)
                if serial or (self.plain and not self.left()):
                    # It may raise, for what was done to its source meanwhile.
                    yield [result for item in self.iterator for result in self.some(item)]
                    early = False
                    return
                self.choice = choose(settings.on)
                why = self.choice.why_not
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
                if not self.came_home and not self.entangled:
                    early = False
                    return
                at_once, self.came_home, self.entangled = self.entangled, False, False
        finally:
            if self.seeded:
                self.streams.finish()
            if self.resume is not None:
                self.resume.end(early)
            if self.failures:
                self.warn(collected(self.failures, "item"))

    def left(self) -> int | None:
        return items_left(self.iterator) if self.plain else None

    # -- here

    def at_once(self) -> bool:
        """Whether to bring in workers before anything has been run here."""
        if self.settings.force or self.stays:
            return True
        left = self.left()
        if left is None or left < 2 or not self.has_use_for_workers():
            return False
        few = left <= FEW * self.settings.workers
        known = costs.get(self.key)
        if known is None:
            return few and not self.may_share()
        unsure = not self.contest.winner and self.key is not None and shares.get(self.key)
        if unsure or self.contest.winner == "here":
            return False
        # A few tiny items in a new worker seem to cost far more than many do.
        cost, seconds = known
        sure = few or seconds > WORTH_SECONDS
        return sure and worth_workers(cost, left, WORTH_SECONDS) and self.workers_ready()

    def may_share(self) -> bool:
        """Whether calls may use all cores by themselves, as matrix products do."""
        if not may_have_pools():
            return False
        known = shares.get(self.key) if self.key is not None else None
        if known is None:
            from allcores.sharers import may_share

            known = may_share(None, self.fn, {})
            if self.key is not None:
                shares[self.key] = known
        return known

    def stays_here(self) -> bool:
        """Whether calls use all cores here, and are not known to be faster in workers."""
        stays = self.contest.stays_here(self.left() or 0, self.may_share())
        self.note_faster()
        if not stays and not self.contest.uses_pools() and self.key is not None:
            shares[self.key] = False
        return stays

    def note_faster(self) -> None:
        if self.contest.winner and self.key is not None:
            faster[self.key] = self.contest.winner

    def taste_pieces(self, for_ever: bool) -> Iterator[Iterable[Any]]:
        """Call the function here until workers are worth it."""
        pieces = self.timed_pieces(for_ever)
        for piece in pieces:
            yield self.watched(list(piece))
            if self.done >= SURE and not self.seeded:
                # In one comprehension, for no other way of calling a function is as fast.
                yield self.results(chain.from_iterable(pieces))

    def timed_pieces(self, for_ever: bool) -> Iterator[Iterator[Any]]:
        """Pieces of the input, each timed while it is used up, until workers are worth it."""
        taste, clock = Taste(), WaitClock(exact=False)
        self.contest.begins_here()
        while left := self.left():
            size = min(taste.size, left)
            then = clock.look()
            with self.contest.threads():
                start = perf_counter()
                yield islice(self.iterator, size)
                seconds = perf_counter() - start
            self.contest.ran_here(size, seconds)
            self.note_waiting(*clock.waited(then))
            calls = taste.calls_for_workers(size, seconds, self.left() or 0)
            self.remember(taste.cost(), taste.spent)
            if not calls or for_ever or not self.has_use_for_workers():
                continue
            if not self.stays_here() and self.workers_ready():
                return

    def note_waiting(self, waited: float, seconds: float) -> None:
        """Note how much of a piece's time went by in waiting."""
        self.waited += waited
        self.clocked += seconds
        if self.clocked > ENOUGH_SECONDS and self.key is not None:
            idle[self.key] = self.waited / self.clocked

    def has_use_for_workers(self) -> bool:
        """Whether workers may be faster at all: there are several cores, or items wait."""
        return self.settings.workers > 1 or use_of_more(idle.get(self.key), self.settings.most)

    def results(self, items: Iterable[Any]) -> list[Any]:
        """The results of these items, here."""
        if self.skips:
            return [result for item in items for result in self.some(item)]
        fn = self.fn
        results = [fn(*item) for item in items] if self.star else [fn(item) for item in items]
        self.done += len(results)
        return results

    def some(self, item: Any) -> list[Any]:
        """The result of one item, here, unless it is left out."""
        try:
            return [self.one(item)]
        except Exception as error:
            if not self.skips:
                raise
            self.leave_out(self.done, item, error)
            self.done += 1
            return []

    def leave_out(self, place: int, item: Any, raised: Any) -> None:
        """Leave out an item that has raised. raised: that, or as `errors.pack` makes it."""
        if self.settings.on_error == "collect":
            error = raised if isinstance(raised, BaseException) else self.unpacked(raised)
            self.failures.append(Failure(place, item, trimmed(self.note_on(error, place, item))))

    def watched(self, items: list[Any]) -> list[Any]:
        """Results of items; from the first draw on each item has random streams of its own."""
        if not self.seeded:
            done, failed = self.done, len(self.failures)
            results = self.results(items)
            if self.nested or not self.streams.drawn():
                return results
            self.seeded = True
            self.done = done
            del self.failures[failed:]
        return [result for item in items for result in self.some(item)]

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
            if not self.has_use_for_workers():
                continue
            if worth_workers(cost, self.left(), spent) and self.workers_ready():
                return

    def workers_ready(self) -> bool:
        """Whether workers could begin at once; if not, they are being made from now on."""
        self.choice = choose(self.settings.on)
        if self.choice.why_not is not None:
            return True  # which is to be said
        with self.interrupts.held_back():
            names = getattr(getattr(self.fn, "__func__", self.fn), "__globals__", {})
            return ready(self.choice.way, self.settings.workers, partial(libraries_of, names))

    def remember(self, cost: float, seconds: float) -> None:
        """Note what an item costs, and how long all took by which that is known."""
        if self.key is not None:
            if len(costs) > 10_000:
                costs.clear()
            costs[self.key] = cost, seconds

    # -- with workers

    def say(self, why: str) -> None:
        # Items can be left out wherever they are done.
        in_vain = self.settings._replace(on_error="raise").in_vain()
        self.warn(ParallelWarning(f"{self.name}() runs serially: {why}{in_vain}"))

    def warn(self, warning: Warning) -> None:
        """Warn at the line of the call, or of the one that takes its results."""
        level, frame = 1, sys._getframe()
        while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(
            "allcores."
        ):
            level, frame = level + 1, frame.f_back
        warnings.warn(warning, stacklevel=level)

    def source(self) -> tuple[Any, Any]:
        """What workers get, and the sequence it is made of, if it is one."""
        rest: Any = as_sequence(self.iterator) if self.plain else None
        if rest is None:
            numbered = (Item(k, item) for k, item in enumerate(self.iterator, self.done))
            return Streamed(numbered), None
        return Indexed(Numbered(rest, self.done)), rest

    def in_workers(self) -> Generator[Iterable[Any], None, None]:
        """The rest of the results, from workers; items that no worker can do are done here."""
        per_worker.close_since(self.first_own)
        settings = self.settings
        limited = settings.limits.only_in_workers
        stays = settings.force or self.stays
        job = FunctionJob(self.fn, self.star, self.streams, self.seeded, settings.on_error)
        job.exact, job.also = not limited, self.also
        records = None
        if self.resume is not None:
            job.tells_streams = True
            with self.interrupts.let_through():
                records = self.resume.begin(self)
        estimate, _ = costs.get(self.key, (None, 0.0))
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
            journal=records,
            way=self.choice.way,
            waiting=self.waiting(),
        )
        job.for_threads = lambda: self.shared_job(job, held)
        stuck = 0
        self.contest.goes_there()
        stay = Stay(WORTH_ITERATION)  # of which the worker itself takes 1 or 2 µs
        try:
            while True:
                try:
                    event, *waited = run.next_timed()
                except StopIteration:
                    return
                except (CannotFork, CannotShip) as error:
                    again = isinstance(error, CannotShip) and (
                        send_along(error.variables) or bring_too(self.also, error.also)
                    )
                    if again and held is not None:
                        self.go_on_with(held, first)
                        return
                    self.say(why_serial(self.choice, error))
                    break
                if self.resume is not None:
                    with self.interrupts.let_through():
                        self.resume.say_problems()
                if isinstance(event, Batch):
                    stuck = 0
                    yield from self.delivered(event)
                    stay.add(event)
                    self.remember(stay.seconds / max(stay.iterations, 1), stay.seconds)
                    stay.wait(*waited)
                    faster_here = self.contest.lost_there(len(event.results), *waited)
                    self.note_faster()
                    if faster_here and held is not None and not stays:
                        self.go_on_with(held, first)
                        return
                    if (
                        stay.too_slow()
                        and not self.contest.uses_pools()
                        and not stays
                        and not run.still_growing()
                    ):
                        break
                    if held is not None and stay.too_cheap() and not stays:
                        self.go_on_with(held, first)
                        return
                    continue
                if event.error is not None:
                    self.failed(event)
                    continue
                if event.kind == "entangled":
                    # Processes find out whether it is threads that are in each other's way.
                    if self.key is not None:
                        not_in_threads.add(self.key)
                    self.entangled, self.tried_threads, self.plain = True, True, False
                    self.iterator = (item.value for item in run.rest(event))
                    return
                stuck += 1
                with self.interrupts.let_through():
                    results = self.some_here(event)
                yield results
                if stuck > 8 and not settings.force:
                    self.say(f"{event.text}, so results cannot be sent from workers")
                    break
            yield from self.rest_here(run.rest())
        except KeyboardInterrupt:
            run.interrupted = True
            raise
        finally:
            if run.idle is not None and self.key is not None:
                idle[self.key] = run.idle
            run.close()

    def go_on_with(self, items: Any, first: int) -> None:
        """Do what is left of a sequence in the way that is best now."""
        self.came_home = True
        self.iterator = iter(items)
        self.iterator.__setstate__(self.done - first)

    def waiting(self) -> Waiting:
        """What is done about items that wait."""
        settings = self.settings
        return waiting_in(self.choice.way, settings.on, settings.most, idle.get(self.key))

    def shared_job(self, job: FunctionJob, held: Any) -> SharedFunctionJob | None:
        """The job as threads of one process do it, or None where they cannot."""
        if self.tried_threads or self.key in not_in_threads or self.seeded:
            return None
        from allcores.map_threads import SharedFunctionJob, why_not_in_threads

        items: Iterable[Any] = () if held is None else islice(held, 1)
        if held is None and self.plain and not hasattr(type(self.iterable), "__next__"):
            items = islice(iter(self.iterable), 1)  # of an iterator it would be missing
        why = why_not_in_threads(self.fn, items, self.settings)
        return SharedFunctionJob(job) if why is None else None

    def rest_here(self, items: Iterator[Any]) -> Iterator[Iterable[Any]]:
        """The results of items that workers have left."""
        while True:
            with self.interrupts.let_through():
                item = next(items, None)
                if item is None:
                    return
                results = self.some(item.value)
            yield results

    def some_here(self, event: Halt) -> list[Any]:
        """The result of an item that no worker can give, unless it is left out."""
        states = self.streams.states()
        done, failed = self.done, len(self.failures)
        results = self.some(event.item.value)
        if not self.seeded and self.streams.states() != states:
            self.seeded = True
            self.done = done
            del self.failures[failed:]
            results = self.some(event.item.value)
        return results

    def failed(self, event: Halt) -> None:
        """An item on which workers died, or which passed a limit."""
        assert event.error is not None
        if not (self.skips and isinstance(event.error, Exception)):
            raise self.note_on(event.error, self.done, event.item.value)
        self.leave_out(self.done, event.item.value, event.error)
        self.done += 1

    def delivered(self, batch: Batch) -> Iterator[Iterable[Any]]:
        """A batch's results, with what was printed on the way; raises what the function raised."""
        special, drawn, _ = batch.extra or (True, False, ())
        self.seeded |= drawn
        if not special:
            self.done += len(batch.results)
            yield batch.results
            return
        from allcores.engine.errors import Raised

        ready: list[Any] = []
        for item, result in zip(batch.items, batch.results):
            if type(result) is Said:
                yield ready
                ready = []
                with self.interrupts.let_through():
                    for piece in result.said:
                        put_out(*piece)
                result = result.result
            if type(result) is Skipped:
                self.leave_out(item.place, item.value, result.error)
                self.done += 1
                continue
            if type(result) is Raised:
                yield ready
                raise_as_it_is(self.note_on(self.unpacked(result), item.place, item.value))
            ready.append(result)
            self.done += 1
        yield ready

    def unpacked(self, raised: Any) -> BaseException:
        from allcores.engine.errors import unpack, within

        return within(unpack(raised))

    def note_on(self, error: BaseException, place: int, item: Any) -> BaseException:
        error.add_note(f"in item {place} of {self.name}(), {shown(item)}")
        return error
