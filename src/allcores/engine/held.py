"""Big fixed values in a clean interpreter: what it has mapped stays mapped for its next loop."""

from __future__ import annotations

import mmap
import os
from collections.abc import Collection

from allcores.engine import pages

# Pages that are there and are not the file's are copies, made when they were written to.
_COPIES = pages.Wanted(
    inverted=pages.FILE,
    all_of=pages.FILE,
    any_of=pages.PRESENT | pages.SWAPPED,
    told=pages.PRESENT,
)

Place = tuple[int, int, int]
"""Of a piece: the number of its file, 0 being the parcel's own, and where it begins and ends there."""


class Held:
    """Values by the numbers that the program knows them by."""

    def __init__(self) -> None:
        self.maps: dict[int, mmap.mmap] = {}
        self.unwritten: set[int] = set()
        """Those that are known to be as the program has them."""

    def keep_only(self, numbers: Collection[int]) -> None:
        """Drop all others: the program has no use for them any more."""
        for number in self.maps.keys() - set(numbers):
            del self.maps[number]
            self.unwritten.discard(number)

    def look(self) -> None:
        """See to it, between loops, that all are as the program has them."""
        for number in self.maps.keys() - self.unwritten:
            if was_written(self.maps[number]):
                self.maps[number].madvise(mmap.MADV_DONTNEED)
            self.unwritten.add(number)

    def take(self, number: int, file: int) -> memoryview:
        """A value as the program has it now. What is written to it stays in this process.

        Raises OSError where it cannot be mapped.
        """
        known = self.maps.get(number)
        if known is None:
            size = os.fstat(file).st_size
            known = self.maps[number] = mmap.mmap(file, size, flags=mmap.MAP_PRIVATE)
        elif number not in self.unwritten and was_written(known):
            known.madvise(mmap.MADV_DONTNEED)
        self.unwritten.discard(number)
        return memoryview(known)


def was_written(mapped: mmap.mmap) -> bool:
    """Whether this process has written to the (private) map of a file, or may have."""
    try:
        import ctypes

        start = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
        table = pages.open_table()
        try:
            return bool(pages.find(table, start, start + len(mapped), _COPIES, 1, most_pages=1))
        finally:
            os.close(table)
    except (OSError, ImportError, ValueError):
        return True
