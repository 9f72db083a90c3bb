"""Which memory of this process has been written to since a moment: the kernel keeps count by page.

Linux 6.7 and later tell it for ordinary (anonymous, private) memory: `userfaultfd` with asynchronous
write protection notes the first write to each page at some 0.5 us, and a scan of the page tables tells
which ones were written to, whoever wrote: Python, C code, or the system on a program's behalf.
"""

from __future__ import annotations

import os
import platform
import struct
import sys
from mmap import PAGESIZE as PAGE

from allcores.engine import pages

_CALLS = {"x86_64": 323, "aarch64": 282, "riscv64": 282}
"""The number of the system call `userfaultfd`."""
_USER_MODE_ONLY = 1
_VERSION, _WRITE_PROTECT, _UNPOPULATED, _ASYNC = 0xAA, 1 << 0, 1 << 13, 1 << 15
_API, _REGISTER, _UNREGISTER, _PROTECT = 0xC018AA3F, 0xC020AA00, 0x8010AA01, 0xC018AA06
_WRITTEN = pages.Wanted(flags=pages.CHECK_ASYNC, all_of=pages.WRITTEN, told=pages.WRITTEN)
AT_A_TIME = 64
"""Ranges of written pages that one scan gives."""


class Written:
    """Watches ranges of memory. Raises OSError from `__init__` where the system does not tell."""

    def __init__(self) -> None:
        import ctypes

        number = _CALLS.get(platform.machine())
        if sys.platform != "linux" or number is None or sys.maxsize < 1 << 32:
            raise OSError("this system does not tell which memory was written to")
        call = ctypes.CDLL(None, use_errno=True).syscall
        flags = os.O_CLOEXEC | os.O_NONBLOCK | _USER_MODE_ONLY
        self.faults = call(ctypes.c_long(number), ctypes.c_int(flags))
        if self.faults < 0:
            raise OSError(ctypes.get_errno(), "userfaultfd")
        self.table = -1
        try:
            features = _WRITE_PROTECT | _UNPOPULATED | _ASYNC
            self.ask(self.faults, _API, struct.pack("3Q", _VERSION, features, 0))
            self.table = pages.open_table()
        except BaseException:
            self.close()
            raise

    def ask(self, fd: int, what: int, argument: bytes) -> int:
        import fcntl

        return int(fcntl.ioctl(fd, what, bytearray(argument)))

    def watch(self, start: int, size: int) -> None:
        """Note writes to all whole pages of a range from now on, watched before or not.

        Raises OSError where the memory is of another kind, or watched by somebody else.
        """
        first, length = inner_pages(start, size)
        if not all_private(first, first + length):
            raise OSError("memory that others may write to")
        self.ask(self.faults, _REGISTER, struct.pack("4Q", first, length, 2, 0))
        self.ask(self.faults, _PROTECT, struct.pack("3Q", first, length, 1))

    def since(self, start: int, size: int) -> list[tuple[int, int]] | None:
        """Ranges of whole pages that were written to; None: too many to tell, or not watched."""
        first, length = inner_pages(start, size)
        try:
            found = pages.find(self.table, first, first + length, _WRITTEN, AT_A_TIME)
        except OSError:
            return None
        return found if len(found) < AT_A_TIME else None

    def forget(self, start: int, size: int) -> None:
        """Note no more writes there."""
        try:
            self.ask(self.faults, _UNREGISTER, struct.pack("2Q", *inner_pages(start, size)))
        except OSError:
            pass  # it is gone

    def close(self) -> None:
        for fd in (self.faults, self.table):
            if fd >= 0:
                os.close(fd)
        self.faults = self.table = -1


def inner_pages(start: int, size: int) -> tuple[int, int]:
    """Where the pages begin that hold nothing but a range, and how many bytes they have."""
    first = -(-start // PAGE) * PAGE
    return first, (start + size) // PAGE * PAGE - first


def all_private(start: int, stop: int) -> bool:
    """Whether a range is memory of this process alone, and of no file."""
    at = start
    with open("/proc/self/maps", "rb") as maps:
        for line in maps:
            span, rights, _offset, _device, inode, *_ = line.split()
            first, last = (int(part, 16) for part in span.split(b"-"))
            if last <= at:
                continue
            if first > at or rights[3:4] != b"p" or inode != b"0":
                return False
            at = last
            if at >= stop:
                return True
    return False
