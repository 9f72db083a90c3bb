"""Iterations that thread pools share out already: whether these or workers are faster.

A product of large matrices uses all cores by itself. Workers with a thread each may then be no faster,
or slower: they fight for memory and caches, and an odd one at the end runs alone. Or they may be
much faster, for threads of a pool spend a good part of their time waiting for one another. CPU time
tells the one thing only (a thread of OpenBLAS that waits is as busy as one that works), so both are
tried: iterations here, then in workers, and here once more where workers turn out no faster.
"""

from __future__ import annotations

import math
from time import perf_counter, process_time

from allcores.engine.thread_limits import widest_pool

SHARED = 1.3
"""Iterations that use so many cores here may be shared out already."""
SAMPLE_SECONDS = 0.03
"""So long they run here before it is said what one of them costs."""
SMALL_PART = 0.05
"""But no more of what is ahead than that."""
TRIAL_SECONDS = 0.15
"""So long workers are waited for before it is said what an iteration costs there."""
CLEARLY = 0.95
"""Workers must take no more of the time than that."""
SETTLED_SECONDS = 1.0
"""Workers that have been faster for so long are not doubted any more."""
FULL = 0.75
"""Iterations that use this part of the cores leave hardly any to be won."""


class Clock:
    """The seconds of a piece, and what all threads of this process did meanwhile."""

    def __init__(self) -> None:
        self.cpu = process_time()
        self.began = perf_counter()

    def read(self) -> tuple[float, float]:
        """Seconds on the clock, and of CPU time."""
        return perf_counter() - self.began, process_time() - self.cpu


class Contest:
    """What iterations cost here and in workers, where they use several cores here.

    workers: how many there would be; winner: what was found in an earlier entry, "here", "workers"
    or "".
    """

    def __init__(self, workers: int, winner: str = "") -> None:
        self.workers, self.winner = workers, winner
        self.pieces = self.count = 0
        self.seconds = self.cpu = 0.0
        """What iterations took here, in pieces of which the first may have started the pools."""
        self.batches = self.count_there = 0
        self.seconds_there = 0.0
        """How long was waited for those that are counted."""

    # -- here

    def ran_here(self, count: int, seconds: float, cpu: float) -> None:
        """Note what a piece took."""
        if self.pieces == 1:
            self.count, self.seconds, self.cpu = 0, 0.0, 0.0
        self.pieces += 1
        self.count += count
        self.seconds += seconds
        self.cpu += cpu

    def stays_here(self, left: int | None) -> bool:
        """Whether more should run here, though one iteration costs enough to be sent."""
        if not self.uses_pools() or widest_pool() < 2:
            return False
        if self.winner:
            return self.winner == "here"
        ahead = left * self.here() if left is not None else math.inf
        full = self.cpu > FULL * self.workers * self.seconds
        if full and ((left is not None and left < self.workers) or ahead < TRIAL_SECONDS):
            return True  # trying would take the better part of it
        if self.seconds < min(SAMPLE_SECONDS, SMALL_PART * ahead):
            return True
        if not self.count_there:
            return False
        self.winner = "here" if self.here() * CLEARLY <= self.there() else "workers"
        return self.winner == "here"

    def uses_pools(self) -> bool:
        """Whether iterations used several cores here."""
        return self.cpu > SHARED * self.seconds

    def here(self) -> float:
        """Seconds an iteration took here."""
        return self.seconds / self.count

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
            self.pieces = self.count = 0
            self.seconds = self.cpu = 0.0
            return True
        if self.seconds_there > SETTLED_SECONDS:
            self.winner = "workers"
        return False
