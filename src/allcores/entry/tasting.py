"""What runs natively first: to learn what an iteration costs."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Generator, Iterable, Iterator
from functools import partial
from itertools import islice
from time import perf_counter
from typing import Any

from allcores.engine.schedule import ENOUGH_SECONDS
from allcores.engine.thread_limits import may_have_pools
from allcores.engine.waits import FIRST, Look, WaitClock, use_of_more
from allcores.engine.ways import choose, ready
from allcores.entry.items import Items
from allcores.entry.looks import ITEM, parts_of
from allcores.entry.plans import locals_of
from allcores.inputs import items_left
from allcores.libraries import libraries_of
from allcores.worth import FEW, TASTE_SECONDS, WORTH_ITERATION, WORTH_SECONDS, Taste, worth_workers


class Tasting(Items):
    """Adds running natively, for as long as workers are not worth it."""

    def at_once(self, iterator: Any, plain: bool) -> bool:
        """Whether to bring in workers before anything has been run here."""
        if self.settings.only_in_workers:
            return True
        if self.settings.force:
            return plain
        number = items_left(iterator) if plain else None
        if number is None or number < 2 or not self.has_use_for_workers():
            return False
        cost = self.site.cost
        if cost is not None:
            # A few tiny iterations in a new worker seem to cost far more than many do.
            if self.site.faster == "here" or (not self.site.faster and self.site.shares):
                return False
            sure = number <= FEW * self.settings.workers or self.site.seconds > WORTH_SECONDS
            worth = number * cost > WORTH_SECONDS and cost > WORTH_ITERATION
            return sure and worth and self.workers_ready()
        if self.plan.in_place and type(self.iterable).__name__ == "ndarray":
            return False  # bringing its memory home may take longer than working on it
        # A few items that nobody asked about may well be tiny: they are tasted first.
        few = self.settings.asked and number <= FEW * self.settings.workers
        return few and not self.may_share()

    def may_share(self) -> bool:
        """Whether iterations may use all cores by themselves, as matrix products do."""
        if self.site.shares is None:
            if not may_have_pools():
                return False
            from allcores.sharers import may_share

            names = {} if self.plan.module_level else locals_of(self.frame)
            around = ChainMap(names, self.frame.f_globals)
            self.site.shares = may_share(self.site.node, None, around)
        return self.site.shares

    def may_need_workers(self) -> bool:
        """Whether a loop that begins here may be worth workers, as far as is known."""
        cost = self.site.cost
        several = self.settings.workers > 1 or self.settings.most > FIRST
        return several and (cost is None or cost > WORTH_ITERATION)

    def has_use_for_workers(self) -> bool:
        """Whether workers may be faster at all: there are several cores, or iterations wait."""
        return self.settings.workers > 1 or use_of_more(self.site.idle, self.settings.most)

    def workers_ready(self) -> bool:
        """Whether workers could begin at once; if not, they are being made from now on."""
        choice = choose(self.settings.on)
        in_vain = choice.way == "fresh" and self.site.not_tried
        if choice.why_not is not None or in_vain:
            return True  # which is to be said
        with self.interrupts.held_back():
            return ready(
                choice.way, self.settings.workers, partial(libraries_of, self.frame.f_globals)
            )

    def may_taste(self, plain: bool) -> bool:
        """Whether what workers leave can be run here in pieces."""
        return plain and not self.held and not self.streamed

    def taste_plain(self, iterator: Any) -> Generator[Iterable[Any], None, bool]:
        """Run natively in pieces while that is the best thing to do; True: bring in workers."""
        taste = Taste()
        self.contest.begins_here()
        left = items_left(iterator)
        waits = WaitClock() if self.may_need_workers() else None
        while left is None or left > 0:
            size = taste.size if left is None else min(taste.size, left)
            self.steady.before()
            then = waits.look() if waits is not None else None
            with self.contest.threads():
                start = perf_counter()
                yield self.given(islice(iterator, size), self.done)
                seconds = perf_counter() - start
            if waits is not None and then is not None:
                waits = self.clocked(waits, then)
            self.steady.after()
            self.contest.ran_here(size, seconds)
            self.tasted += seconds
            self.done += size
            left = items_left(iterator)
            calls = taste.calls_for_workers(size, seconds, left)
            self.site.cost = taste.cost()
            if self.steady.undecided:
                continue
            worth = calls and left != 0 and self.has_use_for_workers()
            if worth and not self.stays_here(left) and self.workers_ready():
                return True
        # It may have grown, or raise for what the loop has done to its source.
        yield self.given(iterator, self.done)
        return False

    def stays_here(self, left: int | None) -> bool:
        """Whether iterations use all cores here, and are not known to be faster in workers."""
        stays = self.contest.stays_here(left, self.may_share())
        self.site.faster = self.contest.winner
        # One that stays before anything was looked at may use them all the same.
        if not stays and not self.contest.uses_pools():
            self.site.shares = False
        return stays

    def clocked(self, clock: WaitClock, then: Look) -> WaitClock | None:
        """Note how much of a piece's time went by in waiting; the clock, while that is not known."""
        waited, wall = clock.waited(then)
        self.clocked_time += wall
        self.waited_time += waited
        if self.clocked_time < ENOUGH_SECONDS:
            return clock
        self.site.idle = self.report.idle = self.waited_time / self.clocked_time
        clock.close()
        return None

    def taste_stream(self, iterator: Any) -> Generator[Iterable[Any], None, bool]:
        """As `taste_plain` for input that must be read one item at a time."""
        self.contest.begins_here()
        start, looking = perf_counter(), 0.0
        check = 1
        waits = WaitClock() if self.may_need_workers() else None
        then: Look | None = None
        for item in iterator:
            self.steady.before()
            # Looking at the clocks may take longer than the iteration does.
            if waits is not None:
                began = perf_counter()
                then = waits.look()
                looking += perf_counter() - began
            yield self.given((item,), self.done)
            if waits is not None and then is not None:
                began = perf_counter()
                waits = self.clocked(waits, then)
                looking += perf_counter() - began
            self.steady.after()
            self.done += 1
            if self.done >= check and not self.steady.undecided:
                spent = perf_counter() - start - looking
                cost = spent / self.done
                self.site.cost = cost
                if waits is not None and cost <= WORTH_ITERATION:
                    waits.close()
                    waits = None
                if self.has_use_for_workers() and worth_workers(cost, None, spent):
                    self.contest.count, self.contest.seconds = self.done, spent
                    if not self.stays_here(None) and self.workers_ready():
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
            if not set(map(type, parts_of(item))) <= atoms():
                self.steady.before()
                yield self.given((item,), self.done)
                self.steady.after()
                self.done += 1
                self.peek(item, iterator)
        return bool(self.peeked)

    def peek(self, item: Any, iterator: Iterator[Any]) -> None:
        """Read one item, and see whether that changes the one before or what the loop reads."""
        from allcores.build.watch import Watch

        parts = parts_of(item)
        reads = self.watchable({} if self.plan.module_level else locals_of(self.frame))
        look = Watch([*((ITEM, part) for part in parts), *reads], home=self.home())
        self.peeked = list(islice(iterator, 1))
        changed = look.change()
        parts += parts_of(self.peeked[0]) if self.peeked else ()
        if any(hasattr(type(part), "__next__") for part in parts):
            self.entwined = "the items are iterators, which may draw from what the loop runs over"
        elif changed is not None and changed.root == ITEM:
            self.entwined = "an item is changed when the next one is made; loop over copies"
        elif changed is not None:
            self.entwined = f"making the next item changes {changed.in_words()}"
