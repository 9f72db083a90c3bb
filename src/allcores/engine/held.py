"""Big fixed values in a clean interpreter: what it has mapped stays mapped for its next loop."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Collection

_SCAN = 0xC0606610
_FILE, _PRESENT, _SWAPPED = 1 << 2, 1 << 3, 1 << 4

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
        import fcntl

        start = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
        found = (ctypes.c_uint64 * 3)()
        # Pages that are there and are not the file's are copies, made when they were written to.
        argument = struct.pack(
            "12Q", 96, 0, start, start + len(mapped), 0, ctypes.addressof(found), 1, 1,
            _FILE, _FILE, _PRESENT | _SWAPPED, _PRESENT,
        )  # fmt: skip
        pages = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return bool(fcntl.ioctl(pages, _SCAN, bytearray(argument)))
        finally:
            os.close(pages)
    except (OSError, ImportError, ValueError):
        return True
