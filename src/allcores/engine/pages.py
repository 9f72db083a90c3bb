"""The kernel's table of this process's pages, which Linux 6.7 and later search (PAGEMAP_SCAN)."""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

FILE, PRESENT, SWAPPED = 1 << 2, 1 << 3, 1 << 4
WRITTEN = 1 << 1
CHECK_ASYNC = 1 << 1
_SCAN = 0xC0606610


class Wanted(NamedTuple):
    """Which pages are looked for, by the categories that they are in."""

    flags: int = 0
    inverted: int = 0
    """Categories that are taken for their opposites."""
    all_of: int = 0
    any_of: int = 0
    told: int = 0
    """Categories by which neighbouring pages are told apart."""


def open_table() -> int:
    """A descriptor of the table. Raises OSError where there is none."""
    return os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)


def find(
    table: int, start: int, stop: int, wanted: Wanted, most: int, most_pages: int = 0
) -> list[tuple[int, int]]:
    """Ranges of the pages that are wanted, no more than so many. Raises OSError."""
    import ctypes
    import fcntl

    found = (ctypes.c_uint64 * (3 * most))()
    argument = struct.pack(
        "12Q", 96, wanted.flags, start, stop, 0, ctypes.addressof(found), most, most_pages,
        wanted.inverted, wanted.all_of, wanted.any_of, wanted.told,
    )  # fmt: skip
    count = fcntl.ioctl(table, _SCAN, bytearray(argument))
    return [(found[3 * k], found[3 * k + 1]) for k in range(count)]
