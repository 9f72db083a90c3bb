"""One run through a loop, from its first item to its end."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from itertools import chain, islice
from time import perf_counter
from typing import Any, Literal, NamedTuple

from allcores import sites
from allcores.ahead import Ahead, first_read, sendable
from allcores.build import frames
from allcores.collector import collector_paused
from allcores.engine import per_worker
from allcores.engine.failures import CannotFork
from allcores.engine.interrupts import closed_undisturbed, undisturbed
from allcores.engine.schedule import Batch, Halt, Run, Waiting, waiting_in
from allcores.engine.shipment import CannotShip, bring_too, send_along
from allcores.engine.source import Indexed, Streamed
from allcores.engine.ways import why_serial
from allcores.entry import plans
from allcores.entry.looks import HOW_CHANGED
from allcores.entry.plans import imported_since, say_serial
from allcores.entry.tasting import Tasting
from allcores.holders import holders
from allcores.inputs import as_is, as_sequence, copied, items_left, plain_source
from allcores.loop import listeners
from allcores.steady import Steady
from allcores.tracebacks import raises, shows_users_code, trimmed
from allcores.worth import WORTH_ITERATION, Stay


class Rest(NamedTuple):
    """What is left of a loop, and how it is to be done."""

    items: Iterator[Any]
    how: Literal["workers", "taste", "plain"]
    """By workers, natively until workers are worth it, or natively to the end."""


MOST_IMPORTS = 8
"""So many times workers are made anew, for work has imported a module of the program."""
HOW_IMPORTED = "is first imported within the loop; import it before, at the top of the file"

FEW_STUCK = 3
"""Of a loop of so few iterations that could not be sent nobody needs to be told."""
NOT_SENT = ", so results cannot be sent from workers"


class Entry(Tasting):
    """One run through a loop, from its first item to its end."""

    imports = 0
    """How many iterations have imported modules of the program, as workers found."""

    def segments(self) -> Iterator[Iterable[Any]]:
        """What the user's loop body gets: pieces of the input; the rest is done by workers.

        What is raised on the way is raised at the line of the `for` statement.
        """
        try:
            yield from closed_undisturbed(self.interrupts, self.pieces())
        except GeneratorExit:
            raise
        except BaseException as error:
            if not shows_users_code(error) and not isinstance(error, KeyboardInterrupt):
                raise
            with self.interrupts.held_back():
                caught = trimmed(error)
                self.interrupts.is_one_with_the_first()
        else:
            return
        yield raises(caught)

    def pieces(self) -> Generator[Iterable[Any], None, None]:
        """As `segments`; interrupted anywhere."""
        iterator = self.iterator = iter(self.iterable)
        known = 2 + (iterator is self.iterable)
        self.holders = holders(self.iterable, iterator, known, self.frame)
        iterator = self.iterator = as_is(iterator)
        plain = plain_source(self.iterable)
        if self.streams is not None and not plain:
            iterator = self.iterator = self.streams.made(iterator)
        try:
            if not self.at_once(iterator, plain):
                forced = self.settings.force
                stream = self.force_stream if forced else self.taste_stream
                taste = self.taste_plain if plain else stream
                if self.may_need_workers():
                    self.steady = Steady(self.look_around())
                if not (yield from taste(iterator)):
                    return
            elif not plain:
                self.peek((), iterator)
            items = chain(self.peeked, iterator) if self.peeked else iterator
            rest: Rest | None = Rest(items, "workers")
            while rest is not None:
                if rest.how == "plain" or (rest.how == "taste" and not self.may_taste(plain)):
                    yield self.plainly(rest.items)
                    return
                if rest.how == "taste":
                    self.variables.settle()
                    if not (yield from self.taste_plain(rest.items)):
                        return
                with collector_paused():
                    why = self.entwined or self.unsteady()
                    why = self.read_again() if why is None else why
                    why = self.why_not_now() if why is None else why
                    if why is not None and not self.entwined and self.with_items():
                        why = self.why_not_now()
                if why is None and not plain and self.ahead is None:
                    self.ahead = Ahead(rest.items, self.done)
                    items, why = first_read(self.ahead, self.functions_in)
                    if why is None and self.settings.only_in_workers:
                        items, why = sendable(items)
                    rest = Rest(items, "workers")
                if why is None and self.plan.in_place:
                    with collector_paused():
                        items, why = self.look_at_items(rest.items, plain)
                    rest = Rest(items, "workers")
                    if why is not None and self.without_items():
                        continue
                    why = self.why_serial_anyway() if why == "" and self.unchanging else why
                if why is not None:
                    yield self.plainly(self.give_up(rest.items, why).items)
                    return
                steps = self.in_workers(rest.items, plain)
                rest = yield from undisturbed(self.interrupts, steps)
        except BaseException:
            self.ended_early = True
            raise
        finally:
            ending = not self.report.workers
            try:
                if ending:
                    self.finish()
                else:
                    with self.interrupts.held_back():
                        ending = True
                        self.settle_and_finish()
            except BaseException:
                if not ending:  # a signal came just before they were held back
                    with self.interrupts.held_back():
                        self.settle_and_finish()
                raise

    def settle_and_finish(self) -> None:
        """All is as it is to be after a loop that was done by workers."""
        self.variables.settle()
        self.finish()

    def read_again(self) -> str | None:
        """Read the loop anew where the iterations so far have imported modules of the program; gives
        why the rest is for the plain loop, or None."""
        before = self.site.plan
        if before is None or not imported_since(before):
            return None
        with sites.lock:
            why = plans.why_serial(self.site, self.frame, self.iterable, self.settings)
            reading = self.site.reading()
        if why is not None or reading is None:
            return why or ""
        if (reading.plan.draws, reading.plan.seeded) != (before.draws, before.seeded):
            return "what it imports draws from random streams; import that before the loop"
        self.go_by(reading.plan)
        self.code = reading.code
        return None

    def plainly(self, items: Iterator[Any]) -> Iterable[Any]:
        """The rest of the loop as the plain loop."""
        self.left_over = items, items_left(items)
        remaining = self.in_turn(items)
        self.variables.settle()
        return self.given(remaining, self.done)

    def give_up(self, items: Iterator[Any], why: str) -> Rest:
        """What is left is for the plain loop, for a reason that is said if there is one."""
        if self.resume is not None and self.site.problem:
            self.resume.forget()
        if not why and self.skips:
            why = "workers would gain nothing"  # but what is asked for has no effect without them
        if why:
            say_serial(self.site, why, self.settings)
        self.report.reason = why
        return Rest(items, "plain")

    def run_of(self, rest: Iterator[Any], plain: bool) -> Run:
        """Everything made ready for workers to do the rest of the loop."""
        per_worker.close_since(self.first_own)
        source: Indexed | Streamed
        if plain or self.place is not None:
            # What earlier workers have left is of a copy already.
            items: Any
            live: Any = None
            itself = plain and rest is self.iterator
            left = copied(rest) if self.held and itself else rest
            if self.place is None or itself:
                live = copied(left)
            if self.place is None:
                items = as_sequence(left)
            else:
                items = self.place.items.items
                for _ in left if itself else ():
                    pass
            if self.held_from is None and plain:
                self.held_from = self.done
            self.streamed = items is None
            source = Indexed(items, live) if items is not None else Streamed(left)
        else:
            source = Streamed(rest)
        spilled = self.report.reason == "spilled" or "spilled" in self.site.warned
        if self.place is None:
            # A journal's records have one form.
            self.prepare(spilled or self.resume is not None)
        records = None
        if self.resume is not None:
            with self.interrupts.let_through():
                records = self.resume.begin(self, self.functions.work, self.fixed_values())
            if records is not None:
                self.job.note_bound()
        self.report.workers = max(self.settings.workers, self.most_workers)
        if self.choice.way == "fresh":
            self.report.fresh_because = self.choice.why or "that was asked for"
        return Run(
            self.job,
            source,
            workers=self.settings.workers,
            # A change by a commit is seen before the next one, so that nothing has to be undone.
            chunk=1 if self.blind else self.settings.chunk,
            estimate=self.site.cost,
            limits=self.settings.limits,
            first=self.done,
            interrupts=self.interrupts,
            journal=records,
            way=self.choice.way,
            waiting=self.waiting(),
        )

    def waiting(self) -> Waiting:
        """What is done about iterations that wait."""
        return waiting_in(self.choice.way, self.settings.on, self.settings.most, self.site.idle)

    def in_workers(
        self, rest: Iterator[Any], plain: bool
    ) -> Generator[Iterable[Any], None, Rest | None]:
        """Do the rest of the loop in workers; what must run natively is yielded.

        Returns what is still to be done in another way, or None when the loop is over.
        """
        with collector_paused():
            run = self.run_of(rest, plain)
        base = self.done
        stuck, why_stuck = 0, ""
        self.variables.interrupts = self.interrupts
        if self.place is not None:
            self.place.interrupts = self.interrupts
        look = self.look_around() if self.blind else None
        fixed = look() if look is not None else None
        self.stay = Stay(WORTH_ITERATION / 2)
        self.contest.goes_there()
        try:
            while True:
                try:
                    event, *waited = run.next_timed()
                except StopIteration:
                    if stuck > FEW_STUCK and not self.report.in_workers:
                        say_serial(self.site, f"{why_stuck}{NOT_SENT}", self.settings)
                    return None
                except CannotShip as error:
                    if send_along(error.variables) or bring_too(self.also, error.also):
                        return Rest(run.rest(), "workers")
                    self.site.cannot_ship(why_serial(self.choice, error))
                    return self.give_up(run.rest(), self.site.not_shipped)
                except CannotFork as error:
                    return self.give_up(run.rest(), str(error))
                except BaseException as error:
                    # What the input raises, Ctrl-C: variables are up to date first.
                    self.settle_for(error)
                    if self.ahead is not None and error is self.ahead.error:
                        self.say(self.done)
                    raise
                if self.resume is not None:
                    with self.interrupts.let_through():
                        self.resume.say_problems()
                if isinstance(event, Batch):
                    stuck = 0
                    if self.place is not None:
                        event = self.place.opened(event)
                    yield from self.commit(event)
                    if self.left_by_commit:
                        return None
                    why = self.changed_here(fixed)
                    if why is not None:
                        return self.give_up(run.rest(), why)
                    if self.slow_commits():
                        return Rest(run.rest(), "plain")
                    self.stay.wait(*waited)
                    faster_here = self.contest.lost_there(len(event.results), *waited)
                    self.site.faster = self.contest.winner
                    if faster_here and not self.settings.keeps_workers:
                        return Rest(run.rest(), "taste")
                    if self.stay.too_cheap() and not self.settings.keeps_workers:
                        return Rest(run.rest(), "taste")
                    if self.contest.uses_pools():
                        continue  # it has told what iterations would take here
                    if self.stay.too_slow() and not (
                        self.settings.keeps_workers or run.still_growing()
                    ):
                        return Rest(run.rest(), "plain")
                    continue
                if event.error is not None:
                    yield from self.failed(event)
                    continue
                if event.kind == "entangled":
                    # Processes find out whether it is threads that are in each other's way.
                    self.site.not_in_threads = event.text or "a thread changes what others use"
                    return Rest(run.rest(event), "workers")
                if event.kind == "spilled":
                    self.site.warned.add("spilled")
                    return Rest(run.rest(event), "workers")
                why = self.why_in_order(event)
                if why is not None:
                    return self.give_up(run.rest(event), why)
                if event.kind == "imported":
                    # It is imported here, once and in its turn; workers made after that have it.
                    yield from self.natively(event, base)
                    self.imports += 1
                    if self.imports > MOST_IMPORTS:
                        return self.give_up(run.rest(), f"{event.text} {HOW_IMPORTED}")
                    return Rest(run.rest(), "workers")
                if event.kind == "unshippable":
                    stuck, why_stuck = stuck + 1, event.text
                # Where an item could not be sent, no worker has looked at what its iteration does.
                around = self.look_around() if event.kind == "unshippable" else None
                before = around() if around is not None else None
                yield from self.natively(event, base)
                why = self.changed_here(before)
                if why is not None:
                    return self.give_up(run.rest(), why)
                if stuck > (64 if self.settings.force else 8):
                    return self.give_up(run.rest(), f"{why_stuck}{NOT_SENT}")
        except KeyboardInterrupt:
            run.interrupted = True
            raise
        finally:
            self.note_waiting(run)
            run.close()

    def note_waiting(self, run: Run) -> None:
        """What workers have told of waiting, for the next entry and the report."""
        if run.idle is not None:
            self.site.idle = self.report.idle = run.idle
        if run.peak:
            self.report.workers = max(run.peak, self.most_workers)
            self.most_workers = self.report.workers
            self.report.threads = run.has_threads
        self.report.processes_because = self.site.not_in_threads

    def why_in_order(self, event: Halt) -> str | None:
        """Why what workers saw leaves all of the rest to the plain loop, or None."""
        if event.kind == "drawn":
            self.site.problem = (
                "something that the loop calls draws from a random stream that all iterations "
                "share; make one for each iteration, such as `rng = random.Random(seed + i)`, and "
                "pass it on"
            )
            return self.site.problem
        if event.kind == "changed":
            # The same would come of it the next time, after workers were made for nothing.
            self.site.problem = f"{event.text} {HOW_CHANGED}"
            return self.site.problem
        if event.detail.endswith(".MustRunNatively"):
            # What it is about to change may be what the workers' copies were made of.
            return "an iteration changes something in place that outlives it; change a copy"
        return None

    def slow_commits(self) -> bool:
        """Whether committing costs about as much as the workers save."""
        if self.settings.keeps_workers or self.report.in_workers < 200:
            return False
        return self.commit_seconds > 0.05 and self.commit_seconds > 0.8 * self.report.worker_seconds

    def finish(self) -> None:
        """The loop is over, in whatever way."""
        self.site.seconds = self.tasted + self.report.worker_seconds
        normally = not self.ended_early
        if self.streams is not None:
            self.streams.end()
        if normally and self.ahead is not None and not self.left_by_commit:
            self.say(self.done)
        if self.held and self.held_from is not None:
            # The items came from a copy: the program's own iterator stands where it should.
            taken = None if normally else self.begun - self.held_from
            for _ in islice(self.iterator, taken):
                pass
        with self.interrupts.let_through():
            if self.resume is not None:
                self.resume.end(self.ended_early)
            self.say_what_was_left_out()
            if listeners:
                self.tell()
        # This and what was made for it hold one another, and the frame with all its variables: what
        # nobody else holds is gone now, as after the plain loop, and not by and by.
        interrupts, frame = self.interrupts, self.frame
        for made in (self.place, getattr(self, "job", None), self.resume, self):
            if made is not None:
                vars(made).clear()
        self.interrupts = interrupts
        frames.drop_snapshot(frame)

    def tell(self) -> None:
        """Report to those who listen."""
        report = self.report
        items, count = self.left_over
        taken_plainly = 0 if count is None else count - (items_left(items) or 0)
        if self.resume is not None:
            report.replayed, saved = self.resume.found()
            report.worker_seconds -= saved
        report.iterations = self.done + taken_plainly
        report.seconds = perf_counter() - self.began
        report.native_seconds = max(
            report.native_seconds,
            report.seconds if not report.in_workers else report.native_seconds,
        )
        for listener in list(listeners):
            listener(report)
