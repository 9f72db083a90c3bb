"""What each worker is at, and since when: in memory that it shares with the coordinator.

Forked workers have that memory already. Others are handed the file that it is of.
"""

from __future__ import annotations

import mmap
import os

from allcores.engine.mapped import memory_file

IDLE, BESIDE, SENDING, STARTING, REFUSED = -1, -2, -3, -4, -5
"""In place of an iteration's number: waiting for a chunk; between a chunk and its iterations, as
in unpickling items or packing results; sending these, for which the coordinator has to read; not
ready yet; a thread that could not be started.
"""


class Slots:
    """`at[n]` is the iteration that worker n is at, `since[n]` when it began.

    In seconds of `time.monotonic`; of iterations only where there is a limit of time. A worker
    writes the time first. `spent[n]` are the seconds of its first iterations, and `waited[n]` those
    of them in which it did not compute.
    """

    def __init__(self, count: int, file: int = -1, most: int = 0) -> None:
        """count: how many workers there are to be; most: how many there may come to be. file: what
        another process has made; -1: memory that only forks of this one share.
        """
        self.count, self.file = count, file
        self.room = room = max(count, most)
        """How many workers have a place there."""
        memory = memoryview(mmap.mmap(file, 32 * (room + 1)))
        self.at = memory[: 8 * room].cast("q")
        self.since, self.spent, self.waited = (
            memory[8 * room * k : 8 * room * (k + 1)].cast("d") for k in (1, 2, 3)
        )

    @classmethod
    def made(cls, count: int, in_file: bool, most: int = 0) -> Slots:
        """New ones. in_file: in a file, `file`, that can be handed to others, and is to be closed."""
        file = -1
        if in_file:
            file = memory_file("allcores-slots")
            os.truncate(file, 32 * (max(count, most) + 1))
        slots = cls(count, file, most)
        for number in range(len(slots.at)):
            slots.is_new(number)
        return slots

    def close(self) -> None:
        """Close the file, if there is one; the memory stays."""
        file, self.file = self.file, -1
        if file >= 0:
            os.close(file)

    def __del__(self) -> None:
        self.close()

    def is_new(self, number: int) -> None:
        """A worker is about to begin."""
        self.at[number] = STARTING

    def busy(self, number: int) -> tuple[int, float] | None:
        """What a worker is at and since when, if that is anything that could take too long."""
        at = self.at[number]
        since = self.since[number]
        return (at, since) if at >= 0 or at == BESIDE else None
