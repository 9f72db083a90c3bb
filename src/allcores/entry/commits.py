"""Committing what workers have done, and iterations that the loop's own body has to do."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from allcores import sites
from allcores.build.job import BOUND, FLAGS, FORGOT, IMPORTED, LoopJob, immutable, own
from allcores.build.runtime import compile_plan
from allcores.build.settings import raise_decimal_flags
from allcores.engine.interrupts import from_handler
from allcores.engine.job import LEFT, Skipped
from allcores.engine.packing import memory
from allcores.engine.relay import FORGET, put_out
from allcores.engine.schedule import Batch, Halt
from allcores.entry.raising import HALF_DONE, Raising
from allcores.tracebacks import trimmed
from allcores.variables import Stop

if TYPE_CHECKING:
    from allcores.build.runtime import Code
    from allcores.build.threaded import SharedLoopJob


AT_ONCE = 0.1
"""Seconds that an iteration may take to be worked again for its variables, after Ctrl-C."""


class Replayed(NamedTuple):
    """How far the commits of some iterations came."""

    done: int
    """Iterations of which all are done."""
    applied: int
    """Commits of the next one that are done."""
    partly: int
    """Whether one more is done in part."""
    error: BaseException | None
    """What stopped them."""


class Commits(Raising):
    """Adds the code made from the Plan, and running it in the user's process."""

    def prepare(self, traced: bool) -> None:
        """Compile the Plan for this entry's variables."""
        plan = self.plan
        if not memory.counts:
            memory.counts = sites.mentions_memory(self.site.filename, self.frame.f_globals)
        code = self.code_for(traced)
        values = self.fixed_values()
        self.functions = code.bind(self.frame.f_globals, values, self.helpers())
        mine = [n for n in plan.temporaries if plan.module_level or n in plan.declared_global]
        extra = set(plan.varying) | plan.deleted
        if not plan.module_level:
            extra &= plan.declared_global
        self.job = (LoopJob if self.place is None else self.place.job)(
            self.functions,
            self.frame.f_globals,
            mine,
            sorted(extra - plan.parent_names - set(mine)),
            plan.kept,
            code.traced,
            self.watcher(values),
            self.outside(values),
            self.streams,
            self.done,
            self.settings.on_error,
        )
        if self.place is None:
            self.job.not_sent = frozenset(plan.workers_own)
            if self.skips:
                self.variables.find_all()
            if not self.settings.only_in_workers:
                self.job.leaves_last = self.job.not_sent | plan.wanted_at_home
        self.job.bound_late = plan.bound_late
        self.job.for_threads = self.for_threads
        self.job.code, self.job.values, self.job.also = code, values, self.also
        self.variables.job = self.job

    def code_for(self, traced: bool, own_cells: bool = False) -> Code:
        """The code made of the Plan, once for all entries that have it. As for `compile_plan`."""
        plan, running = self.plan, self.frame.f_code
        key = (traced, own_cells, (*self.fixed, *(f"in place: {n}" for n in plan.in_place)))
        code: Code | None = self.code.get(key)
        if code is None:
            flags = running.co_flags & sites.FUTURE_FLAGS
            code = compile_plan(plan, self.fixed, flags, traced, running.co_qualname, own_cells)
            self.code[key] = code
        return code

    def helpers(self) -> dict[str, Any]:
        """What the functions made of the Plan call."""
        return {
            "__LEFT": LEFT,
            "__own": own if self.place is None else self.place.own,
            "__immutable": immutable if self.place is None else self.place.immutable,
            "__output": lambda *given: self.job.output(*given),
            "__said": lambda *given: self.job.said(*given),
        }

    def for_threads(self) -> SharedLoopJob | None:
        """The job as threads of one process do it, or None where they cannot."""
        from allcores.entry.threads import shared_job

        return shared_job(self)

    def fixed_values(self) -> dict[str, Any]:
        """The values of the variables around the loop that its body reads."""
        names = {} if self.plan.module_level else self.frame.f_locals
        return {n: names[n] for n in self.fixed}

    def in_turn(self, items: Iterator[Any]) -> Iterator[Any]:
        """Items that are left to the plain loop."""
        if self.ahead is not None:
            return self.ahead.in_turn(items, self.done)
        return self.counted(items) if self.held else items

    def counted(self, items: Iterator[Any]) -> Iterator[Any]:
        """Items of which the program holds the iterator."""
        self.begun = self.done
        for item in items:
            self.begun += 1
            yield item

    def say(self, index: int) -> None:
        """Say what reading an item ahead has said."""
        if self.ahead is not None:
            with self.interrupts.let_through():
                self.ahead.say(index)

    def natively(self, event: Halt, base: int) -> Iterator[Iterable[Any]]:
        """Let the user's own loop body do one iteration."""
        if event.kind == "shared" and self.plan.wanted_at_home:
            self.variables.bound_anew()
        self.variables.settle()
        watching = event.kind == "raised" and self.watch(event, base + event.place)
        self.say(self.done)
        start = perf_counter()
        self.begun = self.done + 1
        left = True
        try:
            yield self.given((event.item,), self.done)
            left = False
        finally:
            if watching:
                self.end_watch(left)
        self.report.native_seconds += perf_counter() - start
        self.variables.by_worker = False
        self.done += 1

    def commit(self, batch: Batch) -> Iterator[Iterable[Any]]:
        """Commit a batch's iterations in order."""
        self.report.in_workers += len(batch.results)
        self.report.worker_seconds += batch.seconds
        self.stay.add(batch)
        if batch.results:
            self.site.cost = batch.seconds / len(batch.results)
        start = perf_counter()
        if batch.extra and IMPORTED in batch.extra:
            import_here(batch.extra[IMPORTED])
        forgot = bool(batch.extra and FORGOT in batch.extra)
        if not forgot and not (self.ahead and self.ahead.says(self.done, len(batch.items))):
            yield from self.commit_or_skip(batch.items, batch.results, self.done)
        else:
            for k in range(len(batch.items)):
                if forgot:
                    put_out(FORGET, None)
                try:
                    self.say(self.done + k)
                except BaseException:
                    self.variables.settle_before(batch.items, batch.results, k, self.done)
                    raise
                one = slice(k, k + 1)
                yield from self.commit_or_skip(batch.items[one], batch.results[one], self.done + k)
                if self.left_by_commit:
                    break
        self.commit_seconds += perf_counter() - start
        if batch.extra and FLAGS in batch.extra:
            raise_decimal_flags(batch.extra[FLAGS])
        self.done += len(batch.items)
        self.variables.keep(self.as_committed(batch), self.done)

    def as_committed(self, batch: Batch) -> Batch:
        """The batch, without the variables of iterations of which a commit was skipped."""
        skipped, self.commits_skipped = self.commits_skipped, []
        if not skipped:
            return batch
        results = list(batch.results)
        for index in skipped:
            results[index - self.done] = Skipped(None)
        extra = {**(batch.extra or {}), "": self.variables.kept_up}
        return batch._replace(
            results=results, extra={n: extra[n] for n in ("", BOUND) if n in extra}
        )

    def commit_or_skip(self, items: Any, results: list[Any], first: int) -> Iterator[Iterable[Any]]:
        """Commit some of a batch's iterations; those that raised are left out."""
        begin = 0
        raised = [k for k, r in enumerate(results) if type(r) is Skipped] if self.skips else ()
        for k in raised:
            if k > begin:
                yield from self.commit_items(items[begin:k], results[begin:k], first + begin)
                if self.left_by_commit:
                    return
                self.variables.note_part(items[begin:k], results[begin:k], k - begin, first + begin)
            yield from self.leave_out(first + k, items[k], results[k].error)
            begin = k + 1
        if begin < len(results):
            yield from self.commit_items(items[begin:], results[begin:], first + begin)

    def commit_items(self, items: Any, results: list[Any], first: int) -> Iterator[Iterable[Any]]:
        """Commit some of a batch's iterations; one whose commits cannot be done here is yielded."""
        while True:
            replayed = self.replay(items, results)
            done, applied, partly, error = replayed
            self.begun = first + done + 1
            if self.streams is not None:
                self.streams.used = True
            if error is None:
                break
            if from_handler(error):
                self.leave_off(items, results, replayed, first)
                raise error
            if applied or partly or not isinstance(error, Exception):
                self.restore(items, results, replayed, first)
                note = HALF_DONE if self.skips and isinstance(error, Exception) else ""
                yield from self.raise_there(error, first + done, items[done], note)
            if self.skips:
                self.variables.note_part(items, results, done, first)
            else:
                self.variables.settle_before(items, results, done, first)
            if self.place is not None:
                items.take_back()
            if self.skips:
                self.commits_skipped.append(first + done)
                yield from self.leave_out(first + done, items[done], error)
            else:
                yield self.given((items[done],), first + done)
                self.variables.by_worker = False
            items, results = items[done + 1 :], results[done + 1 :]
            first += done + 1
        if len(items):
            self.variables.returned(items, done + 1 if self.left_by_commit else len(items))
            self.variables.done_by_worker(items[done if self.left_by_commit else -1])

    def replay(self, items: Any, results: list[Any]) -> Replayed:
        """Run the commits of these iterations, as far as they go."""
        plan = self.plan
        state: dict[str, Any] = {}
        before: set[str] = set()
        if plan.parent_names and not plan.module_level:
            variables = self.frame.f_locals
            state = {n: variables[n] for n in plan.parent_names if n in variables}
            before = set(state)
        error: BaseException | None = None
        try:
            with self.interrupts.let_through():
                self.functions.commit(items, results, state)
        except BaseException as e:
            error = trimmed(e)
        done, applied, partly = state.pop("__at", (0, 0, 0))
        spoke = state.pop("__spoke", -1)
        partly = partly or spoke == done
        self.left_by_commit = state.pop("__left", False)
        self.variables.bind(state, before - state.keys())
        return Replayed(done, applied, partly, error)

    def settle_for(self, error: BaseException) -> None:
        """Variables are up to date before this is raised; at once, if a signal is the reason."""
        if from_handler(error) and (self.site.cost or 0) > AT_ONCE:
            self.variables.settle_at_once()
        else:
            self.variables.settle()

    def leave_off(self, items: Any, results: list[Any], replayed: Replayed, first: int) -> None:
        """A signal's handler has raised in the midst of an iteration's commits.

        As `restore`, but an iteration that takes long is not worked again for its temporaries.
        """
        done = replayed.done
        if not len(items):
            self.variables.settle()
        elif self.place is not None and items.given > done + 1:
            # The next item was changed already, and its iteration had not begun.
            items.take_back()
            self.variables.settle_before(items, results, done + 1, first)
        elif (self.site.cost or 0) <= AT_ONCE:
            self.restore(items, results, replayed, first)
        else:
            if done:
                self.variables.done_by_worker(items[done - 1])
            self.variables.settle_at_once()
            self.variables.returned(items, done + 1)
            self.bind_targets(items[done])

    def bind_targets(self, item: Any) -> None:
        """The iteration with this item has begun."""
        targets = self.functions.targets(item)
        # Those that commits bind have been bound by them as far as they came.
        mine = self.plan.parent_names
        self.variables.bind({n: v for n, v in targets.items() if n not in mine})

    def restore(self, items: Any, results: list[Any], replayed: Replayed, first: int) -> None:
        """After a commit raised: variables are as the plain loop would leave them there.

        first: the number of the first item in the loop.
        """
        done, applied, _, error = replayed
        assert error is not None
        self.variables.settle_before(items, results, done, first)
        sent = self.job.sent(results[done])
        self.prepare(traced=True)
        put = self.job.output
        around = sys.exception()

        def stop_there(where: Any, entry: Any = None) -> None:
            if type(where) is list and len(where) >= applied and entry is not ...:
                # Where the commit stands in a handler, what that handles is the context.
                if not isinstance(sys.exception(), Stop):
                    _put_in_context(error, around, sys.exception())
                # What it was given it may have put away before it raised.
                raise Stop(where if entry is None else [*where, entry])
            put(where, entry)

        self.job.output = stop_there  # type: ignore[method-assign]
        self.variables.by_worker = False
        self.bind_targets(items[done])
        self.variables.work_up_to(items, sent, done, first)


def _put_in_context(
    error: BaseException, around: BaseException | None, context: BaseException | None
) -> None:
    """The first of the exceptions that came one while another was handled came in this context.

    around: what it had for one.
    """
    seen = {id(error), id(context)}
    while error.__context__ is not around:
        if error.__context__ is None or id(error.__context__) in seen:
            return
        error = error.__context__
        seen.add(id(error))
    if error is not context:
        error.__context__ = context


def import_here(names: list[str]) -> None:
    """Import the modules of libraries that a worker has imported."""
    for name in names:
        if name not in sys.modules:
            with contextlib.suppress(Exception):
                importlib.import_module(name)
