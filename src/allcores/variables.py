"""The variables that a loop leaves: bound in the user's frame as the plain loop would bind them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple

from allcores.build import frames
from allcores.build.job import BOUND, UNSURE
from allcores.build.made_again import counterparts, put_in_place
from allcores.engine.interrupts import Interrupts, from_handler
from allcores.engine.job import Skipped
from allcores.engine.said_before import silence
from allcores.plan.model import Plan

if TYPE_CHECKING:
    from allcores.build.job import LoopJob
    from allcores.engine.schedule import Batch


class Stop(BaseException):
    """Ends work that is done again up to a certain commit; holds the records made so far."""


SEEDED = "<random streams>"
"""Stands among the variables for the streams that iterations seed."""


class Again(NamedTuple):
    """Iterations to be worked again for their temporaries, and what was sent of each."""

    items: list[Any]
    sent: list[list[Any] | None]
    """None for an iteration that is left out."""
    first: int
    """The number of the first one in the loop."""


class Variables:
    """Targets and temporaries of one run through a loop.

    What workers bound is brought home with each batch, or found by working an iteration again;
    `settle` is called whenever the user's own code is about to look.
    """

    job: LoopJob
    interrupts: Interrupts

    def __init__(self, plan: Plan, frame: FrameType) -> None:
        self.plan, self.frame = plan, frame
        self.pending: dict[str, Again] = {}
        self.parts: list[Again] = []
        """Parts of the batch that is being committed; they may bind what `plan.kept` has."""
        # A stream that iterations seed is left as the last one of them left it.
        sent = [n for n in plan.temporaries if n not in plan.workers_own]
        self.kept_up = [*sent, *([SEEDED] if plan.seeded else ())]
        self.last_item: Any = None
        self.by_worker = False
        self.left_out: tuple[Any, ...] = ()
        """The last item, where its iteration raised and is left out."""

    def find_all(self) -> None:
        """Find those that are each worker's own, too: the last iterations may be left out."""
        self.kept_up += [n for n in self.plan.temporaries if n not in self.kept_up]

    def done_by_worker(self, item: Any) -> None:
        """The last iteration so far was done by a worker, with this item."""
        self.last_item, self.by_worker, self.left_out = item, True, ()

    def leave_out(self, item: Any) -> None:
        """The last iteration so far has raised and is left out: it binds the targets alone."""
        self.left_out = (item,)

    def bind(self, values: dict[str, Any], gone: Iterable[str] = ()) -> None:
        """Bind variables of the loop, and unbind those in `gone`, where the loop has them."""
        shared = self.plan.declared_global
        if shared and not self.plan.module_level:
            ours = {n: v for n, v in values.items() if n in shared}
            frames.write(self.frame, True, ours, shared.intersection(gone))
            values = {n: v for n, v in values.items() if n not in shared}
            gone = set(gone) - shared
        frames.write(self.frame, self.plan.module_level, values, set(gone))

    def settle_before(self, items: Any, results: list[Any], done: int, first: int) -> None:
        """Variables are as the last of the first `done` items left them.

        first: the number of the first item in the loop.
        """
        self.note(items, results, done, first)
        self.settle()

    def note(self, items: Any, results: list[Any], done: int, first: int) -> None:
        """As `settle_before`, without binding them yet."""
        if done:
            self.find_earlier(self.plan.kept)
            self.pending = dict.fromkeys(self.kept_up, self.last(items, results, done, first))
            if self.plan.kept:
                each = self.again(items, results, done, first)
                self.pending.update({n: each for n in self.kept_up if n in self.plan.kept})
            self.done_by_worker(items[done - 1])

    def note_part(self, items: Any, results: list[Any], done: int, first: int) -> None:
        """Note what a part of a batch leaves, of which the rest is to come."""
        if done:
            last = self.last(items, results, done, first)
            self.pending.update({n: last for n in self.kept_up if n not in self.plan.kept})
            if self.plan.kept:
                self.parts.append(self.again(items, results, done, first))
            self.done_by_worker(items[done - 1])

    def again(self, items: Any, results: list[Any], done: int, first: int) -> Again:
        """The first so many iterations, to be worked again."""
        return Again(list(items[:done]), [self.sent(r) for r in results[:done]], first)

    def last(self, items: Any, results: list[Any], done: int, first: int) -> Again:
        """The last of them."""
        return Again([items[done - 1]], [self.sent(results[done - 1])], first + done - 1)

    def sent(self, result: Any) -> list[Any] | None:
        """What was sent of an iteration; None for one that is left out."""
        return None if type(result) is Skipped else self.job.sent(result)

    def find_earlier(self, names: Iterable[str]) -> None:
        """Bind these as earlier iterations have left them: it is not sure that later ones do."""
        names = list(names)
        pending = {n: self.pending.pop(n) for n in names if n in self.pending}
        parts, self.parts = self.parts, []
        for each in (pending, *(dict.fromkeys(names, part) for part in parts)):
            if each:
                self.recover(each)

    def keep(self, batch: Batch, end: int) -> None:
        """Bring home the temporaries that came with a batch; note those that did not.

        end: the number of the iteration after it.
        """
        plan = self.plan
        self.parts = []
        if not self.kept_up:
            return
        good: Sequence[int] = range(len(batch.items))
        if self.job.on_error != "raise":
            good = [k for k, result in enumerate(batch.results) if type(result) is not Skipped]
        if not good:
            return
        extra = batch.extra or {}
        stuck = extra.get("", ())
        values = {n: v for n, v in extra.items() if n in plan.temporaries}
        self.bind(values)
        for name in values:
            self.pending.pop(name, None)
        missing = [
            n for n in self.kept_up if n not in values and (n in stuck or n not in plan.kept)
        ]
        bound = extra.get(BOUND)
        if bound is not None:
            missing = self.note_each(batch, bound, good, missing, end)
        if UNSURE in extra:
            self.find_earlier(plan.kept.intersection(missing))
        # One list for all of them: they are found in one go, so that shared objects stay shared.
        first = 0 if any(n in plan.kept for n in missing) else good[-1]
        results = batch.results[first:] if missing else []
        sent = [self.sent(r) for r in results]
        place = end - len(batch.items) + first
        again = Again(list(batch.items[first:]), sent, place)
        self.pending.update(dict.fromkeys(missing, again))

    def note_each(
        self, batch: Batch, bound: Any, good: Sequence[int], missing: list[str], end: int
    ) -> list[str]:
        """Note those of the missing ones that some iterations leave unbound; gives the others."""
        again: dict[int, Again] = {}
        for name in self.plan.kept.intersection(missing):
            k = next((k for k in reversed(good) if k < len(bound) and name in bound[k]), None)
            if k is not None:
                place = end - len(batch.items) + k
                sent: list[list[Any] | None] = [self.job.sent(batch.results[k])]
                one = Again([batch.items[k]], sent, place)
                self.pending[name] = again.setdefault(k, one)
        return [name for name in missing if name not in self.plan.kept]

    def returned(self, items: Any, done: int) -> None:
        """The first so many of these are committed."""

    def work_up_to(self, items: Any, sent: list[Any], done: int, first: int) -> None:
        """Do an iteration again, as far as its commit that raised. sent: what its commits were sent."""
        again = Again([items[done]], [sent], first + done)
        # Where there are no temporaries, what is raised may still have a context.
        names = self.kept_up or ([""] if self.plan.commits_in_handlers() else [])
        self.pending = dict.fromkeys(names, again)
        self.settle()

    def bound_anew(self) -> None:
        """What every iteration binds is not looked for: the next one is done here. The one before
        must not be worked again for it, for what that writes would be written twice."""
        self.pending = {n: each for n, each in self.pending.items() if n in self.plan.kept}

    def settle_at_once(self) -> None:
        """As `settle`, where no iteration is to be worked again for it: what was not brought home
        stays as an earlier iteration left it."""
        self.pending.clear()
        self.parts.clear()
        self.settle()

    def settle(self) -> None:
        """Give targets and temporaries the values that the last iteration left."""
        plan = self.plan
        by_worker, self.by_worker = self.by_worker, False
        if by_worker:
            targets = self.job.functions.targets(self.last_item)
            rebound = set(plan.temporaries) | plan.parent_names | plan.deleted
            targets = {n: v for n, v in targets.items() if n not in rebound}
            self.bind(targets, plan.deleted)
        if self.parts:
            self.find_earlier(plan.kept)
        pending, self.pending = self.pending, {}
        if pending:
            self.recover(pending)
        left_out, self.left_out = self.left_out, ()
        for item in left_out:
            self.bind(self.job.functions.targets(item))

    def recover(self, pending: dict[str, Again]) -> None:
        """Work an iteration again, here, for the temporaries that could not be sent."""
        namespace = self.frame.f_globals
        mine = [*self.job.global_names, *self.job.passing_names]
        saved = {n: namespace[n] for n in mine if n in namespace}
        found: dict[str, Any] = {}
        try:
            with silence():
                for again in {id(a): a for a in pending.values()}.values():
                    wanted = {n for n, a in pending.items() if a is again}
                    for item, sent, place in zip(again.items, again.sent, count(again.first)):
                        if sent is None:
                            continue
                        values = self.worked_again(item, sent, place)
                        found.update({n: v for n, v in values.items() if n in wanted})
        finally:
            for n in mine:
                namespace.pop(n, None)
            namespace.update(saved)
        self.bind(found)

    def worked_again(self, item: Any, sent: list[Any], place: int) -> dict[str, Any]:
        """The temporaries of an iteration; what its result holds as well is taken from there.

        place: its number in the loop.
        """
        from allcores.build.job import MustRunNatively
        from allcores.engine.job import LEFT

        self.job.take()
        result: Any = None
        streams = self.job.streams
        if streams is not None:
            streams.begin(place)
        try:
            with self.interrupts.let_through():
                result = self.job.functions.work(item)
        except Stop as stop:
            result = stop.args[0]
        except (Exception, MustRunNatively) as error:
            if from_handler(error):
                raise
        finally:
            if streams is not None:
                streams.leave()
        values = self.job.take()
        again = self.job.sent(result) if result is not LEFT else []
        same, made = counterparts(again, sent)
        if same:
            put_in_place(same, made, list(values.values()))
        return {n: same.get(id(v), v) for n, v in values.items()}


class ItemVariables(Variables):
    """Variables of a loop that changes its items: each iteration sends its temporaries along, for
    it cannot be worked again."""

    def note(self, items: Any, results: list[Any], done: int, first: int) -> None:
        if done:
            self.returned(items, done)
            self.done_by_worker(items[done - 1])

    note_part = note

    def keep(self, batch: Batch, end: int) -> None:
        """They were bound when the iterations were committed."""

    def returned(self, items: Any, done: int) -> None:
        """The first so many of these are committed."""
        values = items.temporaries(done)
        self.bind({n: v for n, v in values.items() if n in self.plan.temporaries})

    def work_up_to(self, items: Any, sent: list[Any], done: int, first: int) -> None:
        if not self.plan.steps:
            return
        items.take_back()
        items.place.begin(items[done])
        again = Again([items[done]], [sent], first + done)
        self.recover(dict.fromkeys(self.plan.temporaries or [""], again))


def variables_of(plan: Plan, frame: FrameType) -> Variables:
    """The variables of a loop."""
    return (ItemVariables if plan.in_place else Variables)(plan, frame)
