"""What each worker is at, and since when: in memory that it shares with the coordinator."""

from __future__ import annotations

import mmap

IDLE, BESIDE, SENDING, STARTING = -1, -2, -3, -4
"""In place of an iteration's number: waiting for a chunk; between a chunk and its iterations, as
in unpickling items or packing results; sending these, for which the coordinator has to read; not
ready yet.
"""


class Slots:
    """`at[n]` is the iteration that worker n is at, `since[n]` when it began.

    In seconds of `time.monotonic`; of iterations only where there is a limit of time. A worker
    writes the time first.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        memory = memoryview(mmap.mmap(-1, 16 * (count + 1)))
        self.at = memory[: 8 * count].cast("q")
        self.since = memory[8 * count : 16 * count].cast("d")
        for number in range(count):
            self.is_new(number)

    def is_new(self, number: int) -> None:
        """A worker is about to begin."""
        self.at[number] = STARTING

    def busy(self, number: int) -> tuple[int, float] | None:
        """What a worker is at and since when, if that is anything that could take too long."""
        at = self.at[number]
        since = self.since[number]
        return (at, since) if at >= 0 or at == BESIDE else None
