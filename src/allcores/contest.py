"""Iterations that thread pools share out already: whether these or workers are faster.

A product of large matrices uses all cores by itself. Workers with a thread each may then be no faster,
or slower: they fight for memory and caches, and an odd one at the end runs alone. Or they may be
much faster, for threads of a pool spend a good part of their time waiting for one another. CPU time
does not tell which (a thread of OpenBLAS that waits is as busy as one that works), so it is tried:
some iterations here with the threads that a worker would have, which says what workers take at best;
if that would be faster, some in workers, and here once more where they turn out not to be.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter, process_time

from allcores.engine.thread_limits import may_have_pools, thread_limits, widest_pool
from allcores.worth import TASTE_SECONDS

SHARED = 1.3
"""Iterations that use so many cores here may be shared out already."""
SAMPLE_SECONDS = 0.03
"""So long they run here before it is said what one of them costs."""
SMALL_PART = 0.05
"""But no more of what is ahead than that."""
TRIAL_SECONDS = 0.15
"""So long workers are waited for before it is said what an iteration costs there."""
ALONE_SECONDS = 0.005
"""So long iterations run here with a worker's threads."""
ALONE_COSTS = 0.02
"""Seconds that may be lost by that, beside a small part of what is ahead."""
SAVED_SECONDS = 0.04
"""What workers are to save at least, by what they take at best: making them takes a good part of it."""
PROMISING = 0.8
"""Workers are tried where they take no more of the time than that at best: trying costs as well."""
CLEARLY = 0.95
"""Workers must take no more of the time than that."""
SETTLED_SECONDS = 1.0
"""Workers that have been faster for so long are not doubted any more."""
FULL = 0.75
"""Iterations that use this part of the cores leave hardly any to be won."""


class Contest:
    """What iterations cost here and in workers, where they use several cores here.

    workers: how many there would be; winner: what was found in an earlier entry, "here", "workers"
    or "".
    """

    def __init__(self, workers: int, winner: str = "") -> None:
        self.workers, self.winner = workers, winner
        self.pieces = self.count = 0
        self.seconds = 0.0
        """What iterations took here, in pieces of which the first may have started the pools."""
        self.since: tuple[float, float] | None = None
        """CPU time and time on the clock when the first of these began."""
        self.after_first: tuple[float, float] | None = None
        self.cores = 0.0
        """How many cores have been busy since then, as far as was looked."""
        self.count_alone, self.seconds_alone = 0, 0.0
        """The same of those that had the threads of a worker."""
        self.alone = False
        """Whether the next piece is to run here with the threads of a worker."""
        self.batches = self.count_there = 0
        self.seconds_there = 0.0
        """How long was waited for those that are counted."""

    # -- here

    @contextmanager
    def threads(self) -> Iterator[None]:
        """The threads that the next piece may use: all, or those of a worker."""
        if not self.alone:
            yield
            return
        with thread_limits.held(self.workers):
            yield

    def begins_here(self) -> None:
        """Iterations are about to run here."""
        self.since = (process_time(), perf_counter()) if may_have_pools() else None

    def ran_here(self, count: int, seconds: float) -> None:
        """Note what a piece took."""
        if self.alone:
            self.count_alone += count
            self.seconds_alone += seconds
            return
        if self.pieces == 1:
            self.since, self.count, self.seconds = self.after_first, 0, 0.0
        self.pieces += 1
        self.count += count
        self.seconds += seconds
        if self.pieces == 1 and self.since is not None:
            self.after_first = process_time(), perf_counter()

    def look(self) -> None:
        """See how many cores have been busy: not after each piece, for that takes up to 13 µs."""
        if self.since is not None and not self.alone:
            cpu, began = self.since
            self.cores = (process_time() - cpu) / max(perf_counter() - began, 1e-9)

    def stays_here(self, left: int | None, may_share: bool = False) -> bool:
        """Whether more should run here, though one iteration costs enough to be sent.

        may_share: whether iterations may use pools, by their names.
        """
        if may_share and self.pieces == 1 and self.seconds < SAMPLE_SECONDS:
            return True  # which may have started the pools
        self.look()
        if not self.uses_pools() or widest_pool() < 2:
            return False
        if self.winner:
            return self.winner == "here"
        ahead = left * self.here() if left is not None else math.inf
        if self.count_there:
            if self.seconds < min(SAMPLE_SECONDS, SMALL_PART * ahead):
                return True
            self.winner = "here" if self.here() * CLEARLY <= self.there() else "workers"
            return self.winner == "here"
        return left is not None and not self.worth_a_trial(left, ahead)

    def worth_a_trial(self, left: int, ahead: float) -> bool:
        """Whether workers may be faster, by what is known; or `alone` says how to get to know more."""
        if self.alone:
            self.alone = self.seconds_alone < ALONE_SECONDS
            if not self.alone:
                self.start_over()
            return False
        if self.seconds < min(SAMPLE_SECONDS, SMALL_PART * ahead) or self.pieces == 1:
            return False
        if not self.count_alone:
            lost = max((self.workers - 1) * max(self.here(), TASTE_SECONDS), ALONE_SECONDS)
            full = self.cores > FULL * self.workers
            self.alone = left >= self.workers and lost < max(ALONE_COSTS, SMALL_PART * ahead)
            return not self.alone and not full
        at_best = self.seconds_alone / self.count_alone / min(self.workers, left)
        if at_best > PROMISING * self.here():
            self.winner = "here"
        return left * (self.here() - at_best) > SAVED_SECONDS and not self.winner

    def start_over(self) -> None:
        """Forget what iterations took here: the first ones may have started the pools."""
        self.pieces = 2  # of which nothing is kept
        self.count, self.seconds = 0, 0.0
        self.begins_here()

    def uses_pools(self) -> bool:
        """Whether iterations used several cores here."""
        return self.cores > SHARED

    def here(self) -> float:
        """Seconds an iteration took here."""
        return self.seconds / max(self.count, 1)

    # -- there

    def goes_there(self) -> None:
        """Workers are about to begin."""
        if self.count_there and not self.winner:
            self.winner = "workers"  # iterations are of another kind now: enough of this
        self.batches = self.count_there = 0
        self.seconds_there = 0.0

    def there(self) -> float:
        """Seconds an iteration took in the workers, all of them together."""
        return self.seconds_there / self.count_there

    def lost_there(self, count: int, seconds: float, reading: float) -> bool:
        """Note how long so many iterations were waited for; whether they are faster here.

        reading: what of that reading the input took, as it would here.
        """
        if self.winner or not self.uses_pools():
            return False
        # Of small ones the first come late, for workers have to be made.
        if self.batches or seconds > TRIAL_SECONDS / 3:
            self.count_there += count
            self.seconds_there += seconds - reading
        self.batches += 1
        # In between, most of the workers have done part of what is not counted yet.
        if self.batches % self.workers or self.seconds_there < TRIAL_SECONDS:
            return False
        if self.there() > CLEARLY * self.here():
            self.pieces, self.count, self.seconds = 0, 0, 0.0
            return True
        if self.seconds_there > SETTLED_SECONDS:
            self.winner = "workers"
        return False
