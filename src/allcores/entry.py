"""One entry of a loop: from its first item to its end.

The loop's iterator hands the user's own loop body only what has to run there: the first items, to
learn what an iteration costs, and any iteration that workers cannot finish (one that leaves the
loop, raises, or gives something that cannot be sent). All others are worked on in workers and
committed here, in order, without the loop body ever seeing them.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import chain, islice
from time import perf_counter
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from allcores import sites
from allcores.ahead import Ahead, first_read
from allcores.build.job import FLAGS, LoopJob, immutable, own
from allcores.build.runtime import compile_plan
from allcores.build.settings import raise_decimal_flags
from allcores.collector import collector_paused
from allcores.engine import per_worker
from allcores.engine.failures import CannotFork
from allcores.engine.forkable import why_not_forkable
from allcores.engine.job import LEFT
from allcores.engine.own_streams import OwnStreams, inside_iteration
from allcores.engine.randomness import is_stream
from allcores.engine.schedule import Batch, Halt, Run
from allcores.engine.source import Indexed, Streamed
from allcores.holders import NOBODY, caught_above, caught_by, holders
from allcores.inputs import (
    as_sequence,
    copied,
    entangled,
    holds_iterator,
    items_left,
    plain_source,
    read_all,
    side_effect,
)
from allcores.loop import (
    LoopReport,
    NotParallel,
    ParallelWarning,
    Settings,
    in_worker,
    listeners,
)
from allcores.plan.blind import commits_blindly
from allcores.plan.handles import explained
from allcores.plan.live import (
    Names,
    changed_objects,
    looks_the_same,
    lookup,
    mark_at,
    obstacle,
    owners_of,
)
from allcores.plan.source import Surroundings
from allcores.plan.split import split
from allcores.sites import Site
from allcores.steady import Steady
from allcores.streams import natively, own_streams, random_state, streams_at, wanted, why_no_stream
from allcores.variables import Stop, variables_of
from allcores.worth import (
    FEW,
    TASTE_SECONDS,
    WORTH_ITERATION,
    WORTH_SECONDS,
    Stay,
    Taste,
    worth_workers,
)

if TYPE_CHECKING:
    from allcores.build.inplace import InPlace
    from allcores.build.runtime import Code, Functions
    from allcores.build.watch import Watch
    from allcores.plan.model import Plan

MOST_PLANS = 4
"""A site keeps so many Plans, each for other functions and objects."""
TOO_DEEP = "the program is too deep in calls here for the loop to be read"


def segments(
    site: Site | None, frame: FrameType, iterable: Any, settings: Settings
) -> Iterator[Iterable[Any]] | None:
    """The pieces that the user's loop body has to run; None: all of it, as the plain loop.

    Raises NotParallel under `strict` when the loop has to run serially.
    """
    if in_worker():
        return None
    if site is None:
        with collector_paused():
            site = sites.site_at(frame)
    fits = site.plan is None or site.plan.own_streams == wanted(settings)
    small = site.cost is not None and not settings.force and fits and _surely_small(site, iterable)
    why: str | None = ""
    if not small:
        with collector_paused():
            why = _why_serial(site, frame, settings)
    streams = None
    if site.plan is not None and site.plan.draws:
        if inside_iteration():
            return None
        streams = own_streams(site, frame, settings)
    if why is not None or settings.on == "serial":
        if why and settings.on != "serial":
            _say(site, why, settings)
        return natively(iterable, streams) if streams is not None else None
    return _Entry(site, frame, iterable, settings, streams).segments()


def _why_serial(site: Site, frame: FrameType, settings: Settings) -> str | None:
    """None: go on. Otherwise why the loop runs serially; "" where nothing need be said."""
    if site.problem:
        return site.problem
    own = wanted(settings)
    try:
        if site.plan is None or site.node is not site.plan.node or site.running is None:
            _make_plan(site, frame, own)
        elif site.plan.own_streams != own or not _still_holds(site.plan, frame):
            _plan_again(site, frame, own)
    except RecursionError:
        return TOO_DEEP
    except Exception as error:
        # Our failing to read a loop is no reason for it not to run.
        site.problem = f"reading it failed, which is a bug of allcores: {error!r}"
        if not settings.asked:
            print(f"allcores: bug: {site.filename}:{site.line}: {error!r}", file=sys.stderr)
        return site.problem
    plan = site.plan
    assert plan is not None
    if plan.verdict == "parallel" or (plan.verdict == "nothing to gain" and settings.force):
        return None
    if plan.verdict == "nothing to gain" and not settings.strict:
        return ""
    return "; ".join(f"line {r.line}: {r.text}" for r in plan.reasons[:3])


def _make_plan(site: Site, frame: FrameType, own_streams: bool) -> None:
    """Read the loop with the live objects at hand."""
    assert site.node is not None and site.module is not None
    module_level = not any(not hasattr(n, "bases") for n in site.chain)
    names = {} if module_level else locals_of(frame)
    live = Names(names, frame.f_globals, of_loop=True)
    around = Surroundings(site.module, site.chain, live)
    around.reading.mark = mark_at
    site.plan = plan = split(site.node, site.chain, site.module, around, own_streams)
    plan.asked = tuple(around.reading.asked.values())
    if plan.verdict == "serial":
        plan.reasons = explained(plan.reasons, names, frame.f_globals)
    site.running = frame.f_code
    site.code = {}


def _still_holds(plan: Plan, frame: FrameType) -> bool:
    """Whether the functions and objects at hand look as they did when the loop was read."""
    local = any(asked.namespace is None for asked in plan.asked)
    return looks_the_same(plan.asked, locals_of(frame) if local else {}, frame.f_globals)


def _plan_again(site: Site, frame: FrameType, own_streams: bool) -> None:
    """The Plan for other objects than the last ones: one of those made before, or a new one."""
    assert site.plan is not None
    others = site.earlier
    others.insert(0, (site.plan, site.code))
    for k, (plan, code) in enumerate(others):
        if plan.own_streams == own_streams and _still_holds(plan, frame):
            site.plan, site.code = plan, code
            del others[k]
            return
    del others[MOST_PLANS - 1 :]
    _make_plan(site, frame, own_streams)


def _say(site: Site, why: str, settings: Settings) -> None:
    text = f"this loop runs serially: {why}"
    if settings.strict:
        raise NotParallel(f"{site.filename}:{site.line}: {text}")
    if settings.asked and why not in site.warned:
        site.warned.add(why)
        warnings.warn_explicit(text, ParallelWarning, site.filename, site.line)


def _surely_small(site: Site, iterable: Any) -> bool:
    """Whether all of the loop costs less than bringing in workers, going by earlier entries.

    Every 16th entry is timed again, for the next entries may be heavier.
    """
    site.entries += 1
    if (
        site.entries % 16 == 0
        or site.cost is None
        or site.plan is None
        or site.plan.verdict != "parallel"
    ):
        return False
    if not plain_source(iterable):
        return False
    left = items_left(iterable if hasattr(iterable, "__next__") else iter(iterable))
    return left is not None and left * site.cost < WORTH_SECONDS


# -- one entry of a loop

SHARE_FOR_ITEMS = 0.2
"""Of the time that the rest of a loop may take, so much may be spent on looking at its items."""
MOST_READ = 10_000
"""Of an input that is read one item at a time, so many are read before workers are made."""
TOO_MANY = "the items are too many to be told apart; loop over a list of them"
LOOK_AT_ITEMS = 0.05
"""Seconds that this may take in any case."""
MOST_FOR_MEMORY = 0.4
"""Of that time, so much may be spent on bringing home the memory of arrays."""


class Rest(NamedTuple):
    """What is left of a loop, and how it is to be done."""

    items: Iterator[Any]
    how: Literal["workers", "taste", "plain"]
    """By workers, natively until workers are worth it, or natively to the end."""


class _Entry:
    """One run through a loop, from its first item to its end."""

    def __init__(
        self,
        site: Site,
        frame: FrameType,
        iterable: Any,
        settings: Settings,
        streams: OwnStreams | None = None,
    ) -> None:
        assert site.plan is not None
        self.streams = streams
        self.site, self.frame, self.settings = site, frame, settings
        self.plan = site.plan
        self.iterable = iterable
        self.began = perf_counter()
        self.first_own = per_worker.newest()
        self.report = LoopReport(site.filename, site.line, self.plan.verdict)
        self.done = 0
        self.variables = variables_of(self.plan, frame)
        self.place: InPlace | None = None
        """The items, where work changes them."""
        self.unchanging = False
        """Whether there is nothing in the items that could be changed."""
        self.left_by_commit = False
        self.commit_seconds = self.tasted = 0.0
        self.job: LoopJob
        self.functions: Functions
        self.fixed: list[str] = []
        self.ahead: Ahead | None = None
        self.streamed = False
        """Whether the input is too long for a list."""
        self.holders = NOBODY
        self.held = False
        """Whether the program holds an iterator that the loop uses up."""
        self.peeked: list[Any] = []
        """The item that was read before workers are brought in."""
        self.steady = Steady(None)
        self.blind = False
        """Whether commits call what may change anything, for all that is known."""
        self.entwined = ""
        """Why items cannot be read ahead."""
        self.left_over: tuple[Any, int | None] = None, None
        """What was left to the plain loop, and how many items."""
        self.begun = 0
        """How many items the plain loop would have taken by now, if it ends by an exception."""
        self.held_from: int | None = None

    # -- the iterator's own course

    def segments(self) -> Iterator[Iterable[Any]]:
        """What the user's loop body gets: pieces of the input; the rest is done by workers."""
        iterator = self.iterator = iter(self.iterable)
        known = 2 + (iterator is self.iterable)
        self.holders = holders(self.iterable, iterator, known, self.frame)
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
                    why = self.entwined or self.unsteady() or self.why_not_now()
                    if why is not None and not self.entwined and self.with_items():
                        why = self.why_not_now()
                if why is None and not plain and self.ahead is None:
                    self.ahead = Ahead(rest.items, self.done)
                    items, why = first_read(self.ahead)
                    rest = Rest(items, "workers")
                if why is None and self.plan.in_place:
                    with collector_paused():
                        items, why = self.look_at_items(rest.items, plain)
                    rest = Rest(items, "workers")
                    if why is not None and self.without_items():
                        continue
                if why is not None:
                    yield self.plainly(self.give_up(rest.items, why).items)
                    return
                rest = yield from self.in_workers(rest.items, plain)
        finally:
            self.finish()

    def look_at_items(self, rest: Iterator[Any], plain: bool) -> tuple[Iterator[Any], str | None]:
        """What is left, and why workers cannot change it, or None."""
        from allcores.build.inplace import InPlace
        from allcores.build.items import MOST, Entangled

        itself = plain and rest is self.iterator
        if itself and self.begins_with_atoms():
            self.unchanging = True
            return rest, ""
        if itself and self.begins_with_memory():
            return rest, ""
        if itself and (items_left(rest) or 0) > MOST:
            return rest, TOO_MANY
        if itself:
            items, left = list(copied(rest)), rest
        else:
            items, more = read_all(rest, MOST if plain else MOST_READ)
            left = iter(items)
            if more is not None:
                return chain(items, more), TOO_MANY
        names = {} if self.plan.module_level else locals_of(self.frame)
        place = self.place = InPlace(self.plan, names, self.frame.f_globals)
        self.prepare(self.report.reason == "spilled" or "spilled" in self.site.warned)
        known = self.site.cost is not None and not self.settings.force
        cost = self.site.cost or 0.0
        seconds = max(SHARE_FOR_ITEMS * cost * len(items), LOOK_AT_ITEMS) if known else 60.0
        try:
            place.look(items, self.functions.targets, seconds)
        except Entangled as why:
            return left, str(why)
        if known and place.seconds_home() > MOST_FOR_MEMORY * cost * len(items):
            return left, ""
        if not place.changes_anything() and self.plan.otherwise is not None:
            self.unchanging = True
            return left, ""
        return left, None

    def begins_with_atoms(self) -> bool:
        """Whether the next items are nothing that could be changed in place."""
        from allcores.build.travel import atoms

        items = list(islice(copied(self.iterator), 3))
        return {type(part) for item in items for part in _parts(item)} <= atoms()

    def with_items(self) -> bool:
        """Go on by the Plan that has workers change the items, if there is one."""
        other = self.plan.alternative
        if other is None:
            return False
        self.variables.settle()
        self.plan = other
        self.variables = variables_of(other, self.frame)
        return True

    def begins_with_memory(self) -> bool:
        """Whether the next item is arrays that take longer to compare than they are worked on."""
        if self.site.cost is None or self.settings.force:
            return False
        from allcores.build.inplace import PER_BYTE, UNCHANGED

        parts = [part for item in islice(copied(self.iterator), 1) for part in _parts(item)]
        size = sum(part.nbytes for part in parts if type(part).__name__ == "ndarray")
        return bool(size * PER_BYTE * UNCHANGED > MOST_FOR_MEMORY * self.site.cost)

    def without_items(self) -> bool:
        """Go on by the Plan that leaves items alone, if there is one for workers."""
        other = self.plan.otherwise
        if other is None or other.verdict != "parallel":
            return False
        # What looks before it changes a value would find one that can be changed.
        if other.guards and not self.unchanging:
            return False
        self.variables.settle()
        self.plan, self.place = other, None
        self.variables = variables_of(other, self.frame)
        return True

    def at_once(self, iterator: Any, plain: bool) -> bool:
        """Whether to bring in workers before anything has been run here."""
        if self.settings.force:
            return plain
        number = items_left(iterator) if plain else None
        if number is None or number < 2 or self.settings.workers < 2:
            return False
        cost = self.site.cost
        if cost is not None:
            # A few tiny iterations in a new worker seem to cost far more than many do.
            sure = number <= FEW * self.settings.workers or self.site.seconds > WORTH_SECONDS
            return sure and number * cost > WORTH_SECONDS and cost > WORTH_ITERATION
        if self.plan.in_place and type(self.iterable).__name__ == "ndarray":
            return False  # bringing its memory home may take longer than working on it
        # A few items that nobody asked about may well be tiny: they are tasted first.
        return self.settings.asked and number <= FEW * self.settings.workers

    def may_taste(self, plain: bool) -> bool:
        """Whether what workers leave can be run here in pieces."""
        return plain and not self.held and not self.streamed

    def plainly(self, items: Iterator[Any]) -> Iterable[Any]:
        """The rest of the loop as the plain loop."""
        self.left_over = items, items_left(items)
        remaining = self.in_turn(items)
        self.variables.settle()
        return self.given(remaining, self.done)

    def given(self, items: Iterable[Any], first: int) -> Iterable[Any]:
        """Items for the loop's own body; first: the number of the first one's iteration."""
        return items if self.streams is None else self.streams.given(items, first)

    def give_up(self, items: Iterator[Any], why: str) -> Rest:
        """What is left is for the plain loop, for a reason that is said if there is one."""
        if why:
            _say(self.site, why, self.settings)
        self.report.reason = why
        return Rest(items, "plain")

    def taste_plain(self, iterator: Any) -> Generator[Iterable[Any], None, bool]:
        """Run natively in pieces while that is the best thing to do; True: bring in workers."""
        taste = Taste()
        left = items_left(iterator)
        while left is None or left > 0:
            size = taste.size if left is None else min(taste.size, left)
            self.steady.before()
            start = perf_counter()
            yield self.given(islice(iterator, size), self.done)
            seconds = perf_counter() - start
            self.steady.after()
            self.tasted += seconds
            self.done += size
            left = items_left(iterator)
            calls = taste.calls_for_workers(size, seconds, left)
            self.site.cost = taste.cost()
            if self.steady.undecided:
                continue
            if calls and left != 0 and self.settings.workers > 1:
                return True
        # It may have grown, or raise for what the loop has done to its source.
        yield self.given(iterator, self.done)
        return False

    def taste_stream(self, iterator: Any) -> Generator[Iterable[Any], None, bool]:
        """As `taste_plain` for input that must be read one item at a time."""
        start = perf_counter()
        check = 1
        for item in iterator:
            self.steady.before()
            yield self.given((item,), self.done)
            self.steady.after()
            self.done += 1
            if self.done >= check and not self.steady.undecided:
                spent = perf_counter() - start
                cost = spent / self.done
                self.site.cost = cost
                if self.settings.workers > 1 and worth_workers(cost, None, spent):
                    self.peek(item, iterator)
                    return bool(self.peeked)
                check = self.done + max(1, min(int(TASTE_SECONDS / max(cost, 1e-8)), self.done * 4))
        return False

    def force_stream(self, iterator: Any) -> Generator[Iterable[Any], None, bool]:
        """Bring in workers at once, or after the first item where the next may be made of it."""
        self.peek((), iterator)
        if self.peeked and not self.entwined:
            from allcores.build.travel import atoms

            item = self.peeked[0]
            if not set(map(type, _parts(item))) <= atoms():
                self.steady.before()
                yield self.given((item,), self.done)
                self.steady.after()
                self.done += 1
                self.peek(item, iterator)
        return bool(self.peeked)

    def peek(self, item: Any, iterator: Iterator[Any]) -> None:
        """Read one item, and see whether that changes the one before or what the loop reads."""
        from allcores.build.watch import Watch

        parts = _parts(item)
        reads = self.watchable({} if self.plan.module_level else locals_of(self.frame))
        look = Watch([*((ITEM, part) for part in parts), *reads], home=self.home())
        self.peeked = list(islice(iterator, 1))
        changed = look.change()
        parts += _parts(self.peeked[0]) if self.peeked else ()
        if any(hasattr(type(part), "__next__") for part in parts):
            self.entwined = "the items are iterators, which may draw from what the loop runs over"
        elif changed is not None and changed.root == ITEM:
            self.entwined = "an item is changed when the next one is made; loop over copies"
        elif changed is not None:
            self.entwined = f"making the next item changes {changed.in_words()}"

    # -- what runs here, looked at

    def may_need_workers(self) -> bool:
        """Whether a loop that begins here may be worth workers, as far as is known."""
        cost = self.site.cost
        return self.settings.workers > 1 and (cost is None or cost > WORTH_ITERATION)

    def look_around(self) -> Callable[[], Watch] | None:
        """Looks at what iterations leave alone, commits included; None: that cannot be told."""
        plan, namespace = self.plan, self.frame.f_globals
        # Items may be reached in many ways.
        if plan.in_place or any(path.startswith("$") for path in plan.changed):
            return None

        def look() -> Watch:
            names = {} if plan.module_level else locals_of(self.frame)
            changed = [obj for obj, _ in changed_objects(plan, names, namespace).values()]
            owners = [owners_of(path, names, namespace)[-1:] for path in plan.changed]
            ends = {path.rpartition(".")[2] for path in plan.changed}
            own = {*plan.parent_names, *plan.temporaries, *plan.varying, *plan.deleted}
            return self.look_at_fixed(
                names,
                frozenset(own | ends),
                spared=[*changed, self.iterable, self.frame],
                loose=[owner for found in owners for _, owner, _ in found],
            )

        return look

    def unsteady(self) -> str | None:
        """What iterations that ran here have changed, in a sentence."""
        if not self.steady.changed:
            return None
        self.site.problem = f"{self.steady.changed} {HOW_CHANGED}"
        return self.site.problem

    # -- with workers

    def why_not_now(self) -> str | None:
        """As `why_not_with_these`, where the stack may be nearly full."""
        try:
            return self.why_not_with_these()
        except RecursionError:
            return TOO_DEEP

    def why_not_with_these(self) -> str | None:
        """Why this entry cannot have workers, though its source allows it."""
        why = why_not_forkable()
        if why is not None:
            return f"workers cannot be made here: {why}"
        plan = self.plan
        names = {} if plan.module_level else locals_of(self.frame)
        namespace = self.frame.f_globals
        shared = holds_iterator(self.iterable, namespace.values())
        here, elsewhere = self.holders
        self.held = shared or here or elsewhere
        if self.held and (plan.can_leave or plan.leaves_by_commit):
            return (
                "the loop may leave early, and the iterator it runs over is used elsewhere as well"
            )
        # A script that ends by an exception has nobody left to look; a notebook goes on.
        in_notebook = shared and not (plan.module_level and "__file__" in namespace)
        if (
            self.held
            and not plain_source(self.iterable)
            and (in_notebook or self.seen_to_raise(elsewhere))
        ):
            return "if the loop raises, the iterator it runs over can still be used, and would have been read ahead; loop over a list of it"
        for name in sorted(plan.builtins_used):
            if name in names or name in namespace:
                return f"`{name}` is not the builtin of that name here"
        for name in sorted(plan.handler_names):
            in_globals = plan.module_level or name in plan.declared_global
            if name in names or (in_globals and name in namespace):
                return f"`{name}` has a value that `except ... as {name}` would delete; use another name there"
        for name in sorted(plan.unbinds if sys.version_info >= (3, 12) else ()):
            if name in names or name in plan.parent_names:
                return f"`{name}` is deleted, and Python {sys.version_info[0]}.{sys.version_info[1]} lets only the function itself do so; set it to None instead"
        for path in plan.lists_only:
            try:
                if type(lookup(path, names, namespace)) is not list:
                    return f"`{path}` is not a plain list, so an append in a `try` may raise"
            except LookupError:
                return f"`{path}` cannot be looked at beforehand"
        self.fixed = [n for n in sorted(plan.outer_reads) if n in names]
        mine = frozenset() if plan.module_level else names_of(self.frame.f_code)
        for name in (plan.outer_reads & mine).difference(names):
            return f"`{name}` has no value yet"
        why = why_no_stream(plan, self.frame)
        if why is not None:
            return why
        plain = plain_source(self.iterable)
        why = obstacle(plan, self.iterable, plain, names, namespace)
        if why is None and not plain:
            why = entangled(plan, self.iterable, names, namespace) or self.made_too_early()
        if why is None:
            self.blind = commits_blindly(plan, names, namespace)
            if self.blind and plan.in_place:
                why = (
                    "what is called in order cannot be read, and may change the items that workers "
                    "change; call it in a loop of its own"
                )
        return why

    def made_too_early(self) -> str | None:
        """Why items cannot be made that the loop may leave unused, or None."""
        plan = self.plan
        may_leave = plan.can_leave or plan.leaves_by_commit
        if may_leave or self.seen_to_raise(True):
            changed = side_effect(self.iterable, self.frame.f_globals)
            if changed is not None:
                how = "leaves early" if may_leave else "raises"
                return f"if the loop {how}, items have been made that it does not use, and making one changes {changed}; loop over a list of them"
        return None

    def seen_to_raise(self, elsewhere: bool) -> bool:
        """Whether somebody goes on when the loop raises; elsewhere: a caller may be the one."""
        if self.plan.caught or caught_by(self.frame):
            return True
        return elsewhere and caught_above(self.frame)

    def prepare(self, traced: bool) -> None:
        """Compile the Plan for this entry's variables."""
        plan = self.plan
        key = (traced, (*self.fixed, *(f"in place: {n}" for n in plan.in_place)))
        code: Code | None = self.site.code.get(key)
        if code is None:
            flags = self.frame.f_code.co_flags & sites.FUTURE_FLAGS
            code = compile_plan(plan, self.fixed, flags, traced, self.frame.f_code.co_qualname)
            self.site.code[key] = code
        names = {} if plan.module_level else self.frame.f_locals
        values = {n: names[n] for n in self.fixed}
        helpers: dict[str, Any] = {
            "__LEFT": LEFT,
            "__own": own if self.place is None else self.place.own,
            "__immutable": immutable if self.place is None else self.place.immutable,
            "__output": lambda where: self.job.output(where),
            "__said": lambda *given: self.job.said(*given),
        }
        self.functions = code.bind(self.frame.f_globals, values, helpers)
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
            lambda apart: self.look_at_fixed(values, apart),
            self.streams,
            self.done,
        )
        if self.place is None:
            self.job.leaves_last = frozenset(plan.workers_own)
        self.variables.job = self.job

    def watchable(self, values: dict[str, Any]) -> list[tuple[str, Any]]:
        """What work may reach, by the names it begins at."""
        namespace = self.frame.f_globals
        names = sorted(self.plan.outer_reads - self.plan.parent_names)
        if self.place is not None:
            # What only commits read may hold the items, which workers change.
            read = {path.partition(".")[0].removesuffix("()") for path in self.plan.work_reads}
            names = [n for n in names if n in read]
        found = [(n, values.get(n, namespace.get(n))) for n in names]
        if self.place is not None:
            found += self.place.beside
        return [(n, obj) for n, obj in found if not is_stream(obj)]

    def look_at_fixed(
        self,
        values: dict[str, Any],
        apart: frozenset[str],
        spared: Iterable[Any] = (),
        loose: Iterable[Any] = (),
    ) -> Watch:
        """A look at all that work may reach. What may change: as for `Watch`."""
        from allcores.build.watch import Watch

        streams = [obj for obj in self.read_values(values) if is_stream(obj)]
        return Watch(
            self.watchable(values),
            apart,
            spared=[*streams, *self.own_streams(), *spared],
            loose=loose,
            home=self.home(),
        )

    def home(self) -> str:
        """The name of the module that the loop stands in."""
        return str(self.frame.f_globals.get("__name__", "__main__"))

    def read_values(self, values: dict[str, Any]) -> list[Any]:
        """The values that the body reads, of variables around it and of globals."""
        namespace = self.frame.f_globals
        return [*values.values(), *(namespace.get(n) for n in self.plan.outer_reads)]

    def own_streams(self) -> list[Any]:
        """The random streams that each iteration has of its own, or seeds."""
        return streams_at([*self.plan.draws, *self.plan.seeded], self.plan, self.frame)

    def watcher(self, values: dict[str, Any]) -> Callable[[], Any]:
        """A look at the random streams that iterations could share."""
        found = [c for c in self.read_values(values) if is_stream(c)]
        return random_state(found, self.own_streams())

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
        if self.place is None:
            self.prepare(self.report.reason == "spilled" or "spilled" in self.site.warned)
        self.report.workers = self.settings.workers
        return Run(
            self.job,
            source,
            workers=self.settings.workers,
            # A change by a commit is seen before the next one, so that nothing has to be undone.
            chunk=1 if self.blind else self.settings.chunk,
            estimate=self.site.cost,
        )

    def in_workers(
        self, rest: Iterator[Any], plain: bool
    ) -> Generator[Iterable[Any], None, Rest | None]:
        """Do the rest of the loop in workers; what must run natively is yielded.

        Returns what is still to be done in another way, or None when the loop is over.
        """
        with collector_paused():
            run = self.run_of(rest, plain)
        base = self.done
        stuck = 0
        look = self.look_around() if self.blind else None
        fixed = look() if look is not None else None
        self.stay = Stay(WORTH_ITERATION / 2)
        try:
            while True:
                try:
                    event, *waited = run.next_timed()
                except StopIteration:
                    return None
                except CannotFork as error:
                    return self.give_up(run.rest(), str(error))
                except BaseException as error:
                    # What the input raises, a dead worker, Ctrl-C: variables are up to date first.
                    self.variables.settle()
                    if self.ahead is not None and error is self.ahead.error:
                        self.ahead.say(self.done)
                    raise
                if isinstance(event, Batch):
                    stuck = 0
                    if self.place is not None:
                        event = self.place.opened(event)
                    yield from self.commit(event, base)
                    if self.left_by_commit:
                        return None
                    why = self.changed_here(fixed)
                    if why is not None:
                        return self.give_up(run.rest(), why)
                    if self.slow_commits():
                        return Rest(run.rest(), "plain")
                    self.stay.wait(*waited)
                    if self.stay.too_cheap() and not self.settings.force:
                        return Rest(run.rest(), "taste")
                    if self.stay.too_slow() and not self.settings.force:
                        return Rest(run.rest(), "plain")
                    continue
                if event.kind == "spilled":
                    self.site.warned.add("spilled")
                    return Rest(run.rest(event), "workers")
                why = self.why_in_order(event)
                if why is not None:
                    return self.give_up(run.rest(event), why)
                stuck += event.kind == "unshippable"
                # Where an item could not be sent, no worker has looked at what its iteration does.
                around = self.look_around() if event.kind == "unshippable" else None
                before = around() if around is not None else None
                yield from self.natively(event, base)
                why = self.changed_here(before)
                if why is not None:
                    return self.give_up(run.rest(), why)
                if stuck > (64 if self.settings.force else 8):
                    why = f"{event.text}, so results cannot be sent from workers"
                    return self.give_up(run.rest(), why)
        finally:
            run.close()

    def changed_here(self, fixed: Watch | None) -> str | None:
        """What was changed here that workers go by, in a sentence."""
        change = fixed.change() if fixed is not None else None
        if change is None:
            return None
        self.site.problem = f"{change.in_words()} {HOW_CHANGED}"
        return self.site.problem

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

    def slow_commits(self) -> bool:
        """Whether committing costs about as much as the workers save."""
        if self.settings.force or self.report.in_workers < 200:
            return False
        return self.commit_seconds > 0.05 and self.commit_seconds > 0.8 * self.report.worker_seconds

    def natively(self, event: Halt, base: int) -> Iterator[Iterable[Any]]:
        """Let the user's own loop body do one iteration."""
        self.variables.settle()
        watching = event.kind == "raised" and self.watch(event, base)
        if self.ahead is not None:
            self.ahead.say(self.done)
        start = perf_counter()
        self.begun = self.done + 1
        yield self.given((event.item,), self.done)
        if watching:
            sys.settrace(None)
            self.frame.f_trace = None
        self.report.native_seconds += perf_counter() - start
        self.variables.by_worker = False
        self.done += 1

    def watch(self, event: Halt, base: int) -> bool:
        """Have a note put on the exception that is about to be raised."""
        if sys.gettrace() is not None or not self.settings.asked:
            return False
        frame, wanted = self.frame, event.detail
        note = f"in iteration {base + event.place} of the parallel loop, with {self.values_of(event.item)}"
        if event.text:
            inner = "".join("  " + line for line in event.text.splitlines(keepends=True))
            note += f"; a worker saw:\n{inner.rstrip()}"

        def see(f: FrameType, what: str, arg: Any) -> Any:
            if what == "exception" and f is frame:
                kind, error = arg[0], arg[1]
                if f"{kind.__module__}.{kind.__qualname__}" == wanted and isinstance(
                    error, BaseException
                ):
                    sys.settrace(None)
                    f.f_trace = None
                    if not any(
                        n.startswith("in iteration ") for n in getattr(error, "__notes__", ())
                    ):
                        error.add_note(note)
            return see

        frame.f_trace = see
        frame.f_trace_lines = False
        sys.settrace(lambda *_: None)
        return True

    def raised_in_body(self, error: StopIteration, item: Any) -> Iterable[Any]:
        """An item that has the user's frame raise this in place of taking it.

        Out of an iterator it would be the loop's end, and out of a generator another error.
        """
        frame = self.frame

        def throw(f: FrameType, what: str, arg: Any) -> Any:
            if f is frame and what in ("opcode", "line"):
                sys.settrace(None)
                f.f_trace_opcodes = False
                f.f_trace = None
                raise error
            return throw

        frame.f_trace, frame.f_trace_opcodes = throw, True
        sys.settrace(lambda *_: None)
        return (item,)

    def values_of(self, item: Any) -> str:
        import reprlib

        try:
            pairs = self.functions.targets(item)
        except Exception:
            return "an item that does not unpack"
        return ", ".join(f"{n} = {reprlib.repr(v)}" for n, v in pairs.items())

    # -- committing

    def commit(self, batch: Batch, base: int) -> Iterator[Iterable[Any]]:
        """Commit a batch's iterations in order."""
        self.report.in_workers += len(batch.results)
        self.report.worker_seconds += batch.seconds
        self.stay.add(batch)
        if batch.results:
            self.site.cost = batch.seconds / len(batch.results)
        start = perf_counter()
        if self.ahead is None or not self.ahead.says(self.done, len(batch.items)):
            yield from self.commit_items(batch, batch.items, batch.results, self.done)
        else:
            for k in range(len(batch.items)):
                self.ahead.say(self.done + k)
                one = slice(k, k + 1)
                yield from self.commit_items(
                    batch, batch.items[one], batch.results[one], self.done + k
                )
                if self.left_by_commit:
                    break
        self.commit_seconds += perf_counter() - start
        if batch.extra and FLAGS in batch.extra:
            raise_decimal_flags(batch.extra[FLAGS])
        self.done += len(batch.items)
        self.variables.keep(batch, self.done)

    def commit_items(
        self, batch: Batch, items: Any, results: list[Any], first: int
    ) -> Iterator[Iterable[Any]]:
        """Commit some of a batch's iterations; one whose commits cannot be done here is yielded."""
        while True:
            done, applied, partly, error = self.replay(items, results)
            self.begun = first + done + 1
            if self.streams is not None:
                self.streams.used = True
            if error is None:
                break
            if applied or partly or not isinstance(error, Exception):
                self.restore(items, results, done, applied, error, first)
                if isinstance(error, StopIteration):
                    yield self.raised_in_body(error, items[done])
                raise error
            self.variables.settle_before(items, results, done, first)
            if self.place is not None:
                items.take_back()
            yield self.given((items[done],), first + done)
            self.variables.by_worker = False
            items, results = items[done + 1 :], results[done + 1 :]
            first += done + 1
        if len(items):
            self.variables.returned(items, done + 1 if self.left_by_commit else len(items))
            self.variables.done_by_worker(items[done if self.left_by_commit else -1])

    def replay(self, items: Any, results: list[Any]) -> tuple[int, int, int, BaseException | None]:
        """Run commits: iterations done, commits of the next one done, one in part, what stopped them."""
        plan = self.plan
        state: dict[str, Any] = {}
        before: set[str] = set()
        if plan.parent_names and not plan.module_level:
            variables = self.frame.f_locals
            state = {n: variables[n] for n in plan.parent_names if n in variables}
            before = set(state)
        error: BaseException | None = None
        try:
            self.functions.commit(items, results, state)
        except BaseException as e:
            error = e.with_traceback(e.__traceback__.tb_next if e.__traceback__ else None)
        done, applied, partly = state.pop("__at", (0, 0, 0))
        self.left_by_commit = state.pop("__left", False)
        self.variables.bind(state, before - state.keys())
        return done, applied, partly, error

    def restore(
        self,
        items: Any,
        results: list[Any],
        done: int,
        applied: int,
        error: BaseException,
        first: int,
    ) -> None:
        """After a commit raised: variables are as the plain loop would leave them there.

        first: the number of the first item in the loop.
        """
        self.variables.settle_before(items, results, done, first)
        sent = self.job.sent(results[done])
        self.prepare(traced=True)
        put = self.job.output

        def stop_there(where: Any) -> None:
            if type(where) is list and len(where) >= applied:
                # Where the commit stands in a handler, what that handles is the context.
                if error.__context__ is None and not isinstance(sys.exception(), Stop):
                    error.__context__ = sys.exception()
                raise Stop(where)
            put(where)

        self.job.output = stop_there  # type: ignore[method-assign]
        self.variables.by_worker = False
        targets = self.functions.targets(items[done])
        # Those that commits bind have been bound by them as far as they came.
        mine = self.plan.parent_names
        self.variables.bind({n: v for n, v in targets.items() if n not in mine})
        self.variables.work_up_to(items, sent, done, first)

    def finish(self) -> None:
        """The loop is over, in whatever way."""
        self.site.seconds = self.tasted + self.report.worker_seconds
        normally = sys.exc_info()[0] is None
        if normally and (self.variables.by_worker or self.variables.pending):
            self.variables.settle()
        if self.streams is not None:
            self.streams.end()
        if normally and self.ahead is not None and not self.left_by_commit:
            self.ahead.say(self.done)
        if self.held and self.held_from is not None:
            # The items came from a copy: the program's own iterator stands where it should.
            taken = None if normally else self.begun - self.held_from
            for _ in islice(self.iterator, taken):
                pass
        if listeners:
            report = self.report
            items, count = self.left_over
            taken_plainly = 0 if count is None else count - (items_left(items) or 0)
            report.iterations = self.done + taken_plainly
            report.seconds = perf_counter() - self.began
            report.native_seconds = max(
                report.native_seconds,
                report.seconds if not report.in_workers else report.native_seconds,
            )
            for listener in list(listeners):
                listener(report)


ITEM = "the item"
HOW_CHANGED = (
    "is changed by something that the loop calls, which reading it does not show; have that return "
    "the new value, and change it in the loop's own body"
)


def names_of(code: CodeType) -> frozenset[str]:
    """The names of a function's variables."""
    return frozenset(code.co_varnames) | frozenset(code.co_cellvars) | frozenset(code.co_freevars)


def locals_of(frame: FrameType) -> dict[str, Any]:
    """A function's variables and their values.

    What `exec` has put among a frame's locals is none of them: the code of the function cannot see it.
    """
    names = names_of(frame.f_code)
    return {name: value for name, value in frame.f_locals.items() if name in names}


def _parts(item: Any) -> tuple[Any, ...]:
    """An item, or its parts where it is a tuple of several."""
    return item if type(item) is tuple else (item,)


def outlook(
    site: Site, frame: FrameType, iterable: Any, settings: Settings
) -> tuple[Plan | None, str]:
    """The Plan of a loop with the live objects at hand, and why it would stay serial now, or ""."""
    why = _why_serial(site, frame, settings)
    if why is None:
        why = _Entry(site, frame, iterable, settings).why_not_now()
    return site.plan, why or ""
