"""What a measured loop goes through: how often, how long, how evenly, and how much is commits.

Time is taken for pieces of a loop: one iteration where it takes long enough, otherwise as many as
take `PIECE_SECONDS`. Loops that are over in no time are measured in a part of their runs only.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, compress, count, islice
from math import frexp
from time import perf_counter
from types import FrameType
from typing import Any

from allcores.find.clock import clock
from allcores.find.runs import Entry, Runs, overheads
from allcores.inputs import as_is, plain_source
from allcores.loop import _Parallel, at_site
from allcores.plan import Plan

SMALL_SECONDS = 40e-6
"""Runs of a loop that take less are measured in part."""
MOST_SAMPLES = 64
SAMPLING_SECONDS = 0.05

SIZED = frozenset({list, tuple, range, dict, set, frozenset, str, bytes, bytearray})


class NoMeter:
    """A meter in a process that measures nothing (a function sent there by joblib, dask, ...)."""

    probing = False

    def through(self, iterable: Any) -> Any:
        return iterable


Look = Callable[["Meter", FrameType, Any], None]


class Meter:
    """Stands in a code object for one loop, which iterates `through(xs)` in place of `xs`."""

    # Read in every run of every loop, and so kept quick to read.
    __slots__ = (
        "active", "big_bytes", "by_size", "chance", "commit_seconds", "commits",
        "commits_before", "cost", "entries", "iterations", "key", "longest", "look",
        "looked", "obstacle", "opened", "plan", "probed_iterations", "probing",
        "pull_seconds", "pulled_now", "pulls", "reading_seconds", "recursive",
        "samples", "sampling_seconds", "seconds", "sent", "skip", "skipped",
        "skipped_iterations", "small", "streamed", "timed_seconds", "unsendable",
        "usual", "within", "yields",
    )  # fmt: skip

    def __init__(self, plan: Plan, key: int, yields: bool, look: Look | None) -> None:
        self.plan, self.key, self.yields = plan, key, yields
        self.look = look
        self.looked = look is None
        self.obstacle = ""
        """Why it would run serially, as far as seen at its first run."""
        self.reading_seconds = 0.0
        self.streamed = False
        self.entries = self.iterations = 0
        self.seconds = 0.0
        self.active = 0
        self.recursive = False
        self.by_size: dict[int, Runs] = {}
        self.within: dict[Meter | None, float] = {}
        """Seconds by the loop that this one was run in."""
        self.timed_seconds = 0.0
        self.longest = 0.0
        self.cost = 0.0
        # Runs that are only counted.
        self.skip = self.skipped = self.skipped_iterations = 0
        self.small = self.usual = 0
        self.chance = 1
        # Commits.
        self.probing = False
        self.opened = 0.0
        self.commits_before = self.pulled_now = 0
        self.commit_seconds = 0.0
        self.commits = 0
        self.probed_iterations = 0
        # Pulling items from an iterator.
        self.pulls = 0
        self.pull_seconds = 0.0
        # What iterations send.
        self.samples: list[bytes] = []
        self.sent = 0
        self.big_bytes = 0
        self.sampling_seconds = 0.0
        self.unsendable = ""

    def __reduce__(self) -> tuple[Any, ...]:
        return NoMeter, ()

    # -- entering

    def through(self, iterable: Any) -> Any:
        """What the loop iterates: the items of `iterable`, as they are asked for."""
        if self.skip:
            number = len(iterable) if type(iterable) in SIZED else -1
            if number <= self.small:
                self.skip -= 1
                self.skipped += 1
                self.skipped_iterations += number if number >= 0 else self.usual
                clock.lost += overheads.skip
                return iterable
        if type(iterable) is _Parallel:
            if iterable.settings.only_in_workers:
                # The plain loop might not come to its end.
                iterable.settings = iterable.settings._replace(on="processes")
                return at_site(self.key, iterable)
            iterable = iterable.iterable
        if not self.looked:
            self.looked = True
            self.have_a_look(sys._getframe(1), iterable)
        if not hasattr(type(iterable), "__iter__"):
            return iterable
        frame = id(sys._getframe(1)) if self.yields else 0
        return chain.from_iterable(self.pieces(as_is(iter(iterable)), frame))

    def have_a_look(self, frame: FrameType, iterable: Any) -> None:
        """Read the loop with the live objects at hand."""
        start = perf_counter()
        try:
            self.streamed = not plain_source(iterable)
            if self.look is not None:
                self.look(self, frame, iterable)
        finally:
            self.reading_seconds = perf_counter() - start
            clock.lost += self.reading_seconds

    def pieces(self, iterator: Iterator[Any], frame: int) -> Iterator[Iterable[Any]]:
        """The items, a piece at a time, each measured."""
        entry = Entry(self, frame)
        try:
            done = size = 1
            while done == size:
                size = entry.next_size()
                counter = count(1)
                entry.away = 0.0
                entry.start = perf_counter() - clock.lost
                try:
                    if self.probing and self.streamed:
                        yield self.pulled(iterator)
                    else:
                        # Counts in C what has been handed out, also when the loop is left early.
                        yield compress(islice(iterator, size), counter)
                finally:
                    entry.note(next(counter) - 1)
                done = entry.done
        finally:
            entry.leave()

    def take(self, entry: Entry) -> None:
        """Add one run to what is known."""
        iterations = sum(piece[0] for piece in entry.seen)
        seconds = sum(piece[1] for piece in entry.seen)
        self.entries += 1
        self.iterations += iterations
        self.timed_seconds += seconds
        if iterations:
            self.cost = seconds / iterations
        self.longest = max(self.longest, entry.longest)
        if not entry.counted:
            self.recursive = True
            return
        self.seconds += seconds
        self.within[entry.parent] = self.within.get(entry.parent, 0.0) + seconds
        runs = self.by_size.setdefault(frexp(seconds)[1], Runs())
        runs.runs += 1
        runs.iterations += iterations
        runs.seconds += seconds
        if seconds > runs.longest:
            runs.longest, runs.pieces = seconds, entry.seen
        if self.entries >= 16 and not self.recursive:
            self.choose_skip()

    def choose_skip(self) -> None:
        """How many runs to count only, so that measuring takes a small part of the time."""
        each = self.seconds / self.entries
        if each > SMALL_SECONDS:
            return
        stride = min(int(40 * overheads.entry / max(each, 1e-8)), 256)
        # Not the same number each time, or runs that come in turns would be missed in turns.
        self.chance = self.chance * 75 % 65537
        self.skip = stride // 2 + self.chance % (stride + 1)
        self.usual = round(self.iterations / self.entries)
        self.small = max(16, 4 * self.usual)

    # -- commits

    def start_probe(self, size: int) -> int:
        """Have the next piece's commits timed; gives its size."""
        self.probing = True
        self.commits_before = self.commits
        self.opened = 0.0
        self.pulled_now = 0
        return 1 if self.streamed else min(size, 16)

    def end_probe(self, done: int) -> tuple[int, float]:
        """The piece with timed commits is over: its iterations, and what timing them took."""
        self.probing = False
        if self.streamed:
            done = self.pulled_now
        if self.opened:
            # The iteration ended in the middle of a commit, by `continue` or an exception.
            self.commit_seconds += perf_counter() - clock.lost - self.opened
            self.opened = 0.0
        self.probed_iterations += done
        return done, (self.commits - self.commits_before) * overheads.probe

    def begin(self) -> None:
        """A commit begins."""
        self.commits += 1
        self.opened = perf_counter() - clock.lost

    def end(self) -> None:
        """A commit has ended."""
        stop = perf_counter() - clock.lost
        if self.opened:
            self.commit_seconds += stop - self.opened
        self.opened = 0.0

    def pause(self) -> bool:
        """Within a commit, something that workers would do begins."""
        stop = perf_counter() - clock.lost
        opened = self.opened
        self.opened = 0.0
        if not opened:
            return False
        self.commit_seconds += stop - opened
        return True

    def resume(self, running: bool, value: Any) -> Any:
        """It has been done, and gave `value`, which a worker would send."""
        self.sent += 1
        if len(self.samples) < MOST_SAMPLES and self.sampling_seconds < SAMPLING_SECONDS:
            start = perf_counter()
            self.sample(value)
            spent = perf_counter() - start
            self.sampling_seconds += spent
            clock.lost += spent
        if running:
            self.commits += 1
            self.opened = perf_counter() - clock.lost
        return value

    def sample(self, value: Any) -> None:
        """Note what sending the value would take."""
        from allcores.find.packing import OwnCode, packed

        try:
            body, big = packed(value)
        except OwnCode:
            # The program's own code would say how, and is run by the program alone.
            self.samples.append(b"")
        except Exception as error:
            self.unsendable = f"a result of type {type(value).__name__} cannot be sent: {error}"
        else:
            self.big_bytes += big
            self.samples.append(b"" if big else body)

    # -- pulling items

    def pulled(self, iterator: Iterator[Any]) -> Iterator[Any]:
        """One item of an iterator that is the program's own, its time taken."""
        start = perf_counter() - clock.lost
        for item in iterator:
            self.pull_seconds += perf_counter() - clock.lost - start
            self.pulls += 1
            self.pulled_now = 1
            yield item
            return

    # -- what is known in the end

    @property
    def all_entries(self) -> int:
        """Runs, with those that were only counted."""
        return self.entries + self.skipped

    @property
    def scale(self) -> float:
        """All runs' work over that of the measured ones."""
        return self.all_iterations / self.iterations if self.iterations else 1.0

    @property
    def all_iterations(self) -> int:
        """Iterations; an estimate where runs were only counted."""
        return self.iterations + self.skipped_iterations

    @property
    def all_seconds(self) -> float:
        """Seconds inside, those of runs within runs counted once."""
        return self.seconds * self.scale

    @property
    def unevenness(self) -> float:
        """How much longer than the usual iteration one in ten takes: 90th percentile over median."""
        heaviest = max(self.by_size.values(), key=lambda runs: runs.longest, default=Runs())
        costs = sorted((seconds / number, number) for number, seconds in heaviest.pieces)
        usual, long = _quantile(costs, 0.5), _quantile(costs, 0.9)
        return long / usual if usual else 1.0

    @property
    def commit_each(self) -> float:
        """Seconds that an iteration's commits take."""
        if not self.probed_iterations:
            return 0.0
        seconds = self.commit_seconds - self.commits * overheads.probe_inside
        return max(seconds, 0.0) / self.probed_iterations

    @property
    def sampled_iterations(self) -> float:
        """Of how many iterations the samples are all that they send."""
        return len(self.samples) * self.probed_iterations / self.sent if self.sent else 0.0

    @property
    def pull_each(self) -> float:
        """Seconds that getting the next item takes, where the program's own code does it."""
        return self.pull_seconds / self.pulls if self.pulls else 0.0


def _quantile(costs: list[tuple[float, int]], part: float) -> float:
    wanted = part * sum(number for _, number in costs)
    for cost, number in costs:
        wanted -= number
        if wanted <= 0:
            return cost
    return 0.0
