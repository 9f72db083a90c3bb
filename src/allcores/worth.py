"""When workers are worth it: what iterations cost here, and what they cost there."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from allcores.engine.schedule import Batch

TASTE_SECONDS = 0.0015
"""How long iterations run here between two looks."""
WORTH_SECONDS = 0.008
"""What is left must cost this much before workers are brought in."""
WORTH_ITERATION = 4e-6
"""An iteration must cost this much: less is lost again in sending its result."""
FEW = 50
"""So few iterations a worker get workers at once, lest a heavy first one run alone."""
PIECE = 8192
"""So many iterations run here before the next look: the last of them may be the heavy ones."""
SLOW_SECONDS = 0.1
"""Workers that are waited for this long must have done more than that."""
SURE = 1000
"""What so many iterations cost in workers is what the others may be expected to cost."""


def worth_workers(cost: float, left: int | None, spent: float) -> bool:
    """Whether to bring in workers for so many more iterations (None: not known) of this cost.

    spent: what iterations took so far, in seconds as all here; as much may be to come.
    """
    if cost < WORTH_ITERATION or spent < TASTE_SECONDS / 2:
        return False
    ahead = left * cost if left is not None else spent
    return ahead > WORTH_SECONDS


class Taste:
    """What iterations cost that run here, in pieces of which each is timed."""

    def __init__(self) -> None:
        self.size = 1
        """How many to run next."""
        self.done, self.spent = 0, 0.0
        self.heavy = 0

    def cost(self) -> float:
        """Seconds that an iteration took."""
        return self.spent / self.done

    def calls_for_workers(self, count: int, seconds: float, left: int | None) -> bool:
        """Note what a piece took; whether workers are worth it for what is left."""
        self.done += count
        self.spent += seconds
        # Iterations may grow; but what one look sees may be other programs' work.
        self.heavy = self.heavy + 1 if worth_workers(seconds / count, left, self.spent) else 0
        more = int(TASTE_SECONDS / max(seconds / count, 1e-8)) + 1
        self.size = max(1, min(more, count * 8, PIECE))
        return self.heavy == 2 or worth_workers(self.cost(), left, self.spent)


class Stay:
    """What iterations cost in the workers that are there now, and how long they were waited for."""

    def __init__(self, least: float) -> None:
        """least: seconds that an iteration must cost there to be worth sending."""
        self.least = least
        self.iterations, self.seconds = 0, 0.0
        self.waited = 0.0
        self.begun = False

    def add(self, batch: Batch) -> None:
        """Note what a batch took."""
        self.iterations += len(batch.results)
        self.seconds += batch.seconds

    def wait(self, seconds: float, reading: float) -> None:
        """Note how long a batch was waited for, and what of that reading the input took."""
        # The first one comes late, for workers have to be made.
        if self.begun:
            self.waited += seconds - reading
        self.begun = True

    def too_cheap(self) -> bool:
        """Whether iterations cost less than sending what came of them."""
        return self.iterations > SURE and self.seconds < self.iterations * self.least

    def too_slow(self) -> bool:
        """Whether waiting for the workers has taken longer, by a margin, than all they did."""
        return self.waited > SLOW_SECONDS and self.waited > 1.25 * self.seconds
