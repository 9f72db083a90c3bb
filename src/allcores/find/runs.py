"""One run of a measured loop, taken in pieces, and what taking them costs."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

from allcores.find.clock import clock
from allcores.find.suspension import here, suspension

if TYPE_CHECKING:
    from allcores.find.meter import Meter

PIECE_SECONDS = 50e-6
MOST_PIECES = 2048
PROBED_EVERY = 8

Piece = tuple[int, float]
"""How many iterations, and their seconds."""


@dataclass(slots=True)
class Overheads:
    """Seconds that measuring takes, by which the clock is put right."""

    entry: float = 0.0
    piece: float = 0.0
    piece_inside: float = 0.0
    """What of that falls between the two looks at the clock."""
    iteration: float = 0.0
    skip: float = 0.0
    probe: float = 0.0
    """One timed commit, apart from its own time."""
    probe_inside: float = 0.0
    """What of that falls between the two looks at the clock."""


overheads = Overheads()


@dataclass(slots=True)
class Runs:
    """Runs of a loop that took about as long as one another."""

    runs: int = 0
    iterations: int = 0
    seconds: float = 0.0
    pieces: list[Piece] = field(default_factory=list)
    """Those of one of them, the longest."""
    longest: float = 0.0


class Entry:
    """One run of a loop, from its first item to its end."""

    __slots__ = (
        "away", "cost", "counted", "done", "frame", "longest", "lost", "meter", "parent",
        "parked_at", "probe_in", "seen", "size", "start", "wanted",
    )  # fmt: skip

    def __init__(self, meter: Meter, frame: int) -> None:
        stack = here.stack
        self.meter, self.frame = meter, frame
        self.parent = stack[-1].meter if stack else None
        self.counted = meter.active == 0
        self.away = self.parked_at = self.longest = self.start = 0.0
        self.seen: list[Piece] = []
        self.wanted, self.cost = PIECE_SECONDS, meter.cost
        self.size, self.done = 1, 0
        self.probe_in = 2
        self.lost = overheads.entry
        meter.active += 1
        meter.probing = False
        stack.append(self)

    def next_size(self) -> int:
        """How many iterations are taken together next."""
        cost = self.cost
        if cost:
            self.size = max(1, min(int(self.wanted / cost), self.size * 16, 100_000))
        self.probe_in -= 1
        if self.probe_in:
            return self.size
        self.probe_in = PROBED_EVERY if self.meter.probed_iterations < 4096 else 64
        return self.meter.start_probe(self.size)

    def note(self, counted: int) -> None:
        """A piece has ended."""
        meter = self.meter
        stop = perf_counter() - clock.lost
        if self.parked_at:
            stop = self.parked_at
            if sys.exc_info()[0] is not GeneratorExit:
                suspension.resume(self.frame)
        self.done, spent = meter.end_probe(counted) if meter.probing else (counted, 0.0)
        spent += self.done * overheads.iteration
        self.lost += overheads.piece + spent
        if self.done:
            seconds = stop - self.start - self.away - spent - overheads.piece_inside
            seconds = max(seconds, 1e-9)
            self.cost = cost = seconds / self.done
            self.seen.append((self.done, seconds))
            self.longest = max(self.longest, cost)
            if len(self.seen) > MOST_PIECES:
                self.seen = halved(self.seen)
                self.wanted *= 2

    def leave(self) -> None:
        """The run is over: take it off the stack, or from where it was parked."""
        self.meter.probing = False
        if self.parked_at:
            suspension.forget(self)
        else:
            self.meter.active -= 1
            stack = here.stack
            if stack and stack[-1] is self:
                stack.pop()
            elif self in stack:
                stack.remove(self)
        self.meter.take(self)
        clock.lost += self.lost


def halved(pieces: list[Piece]) -> list[Piece]:
    """The same time in half as many pieces."""
    paired = zip(pieces[::2], pieces[1::2])
    rest = pieces[len(pieces) // 2 * 2 :]
    return [(a + b, s + t) for (a, s), (b, t) in paired] + rest
