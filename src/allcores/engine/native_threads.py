"""Which threads the kernel knows of in this process, and which library started each.

Threads that C code starts have mostly the name of the program, so names alone tell little. But each
has a stack of its own, and at the far end of that lies the function it was started with: the
library that this belongs to is the thread's. Linux only; read from /proc/self. Where a thread is
at work, so that the kernel does not tell where its stack is, it is looked for by what glibc keeps
there, which works on x86-64 alone.
"""

from __future__ import annotations

import os
import struct
import sys
import threading
from bisect import bisect_right
from functools import cache, cached_property
from typing import NamedTuple

TASKS = "/proc/self/task"
STACK_BYTES, OLDEST_BYTES = 1 << 16, 6144
"""How much of a stack is read, and how much holds the first functions that a thread is in.

Idle threads have used some KB of theirs.
"""
CONTROL_BLOCK_BYTES = 2304
"""What glibc keeps of a thread lies at the far end of its stack, with the function it began with."""
NOBODYS = frozenset("libc libpthread libm libdl librt libgcc_s libstdc++ libc++".split())
"""Libraries that run threads for others."""


class Native(NamedTuple):
    """A thread of this process, as the kernel knows it."""

    id: int
    name: str
    """The kernel's name for it, up to 15 characters; mostly that of the program."""
    file: str | None
    """The library or program with the function that it was started with; None: not to be told."""


def ids() -> tuple[int, ...]:
    """The threads there are; no more than this one where /proc is not to be had."""
    try:
        return tuple(sorted(map(int, os.listdir(TASKS))))
    except OSError:
        return (os.getpid(),)


def look(wanted: tuple[int, ...]) -> list[Native]:
    """What is to be known of these threads, as far as they are still there."""
    found = []
    try:
        memory = os.open("/proc/self/mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        memory = -1
    try:
        maps = _Maps(memory)
        for thread in wanted:
            try:
                name = _line(thread, "comm")
                found.append(Native(thread, name, _started_by(thread, maps)))
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended meanwhile
            except OSError:
                found.append(Native(thread, "", None))  # no descriptor is left to look with
    finally:
        if memory >= 0:
            os.close(memory)
    return found


def is_python(file: str) -> bool:
    """Whether the file is the interpreter, which starts the threads of Python code."""
    name = os.path.basename(file)
    python = name.startswith("libpython3") or name.rstrip("t").rstrip(".0123456789") == "python"
    return python or file == _program()


def _is_nobodys(file: str) -> bool:
    """Whether it is the C library or one like it."""
    name = os.path.basename(file)
    # "libc.so.6", "libc-2.31.so", "ld-linux-x86-64.so.2"
    return name.partition(".so")[0].rstrip("-.0123456789") in NOBODYS or name.startswith("ld-")


@cache
def _program() -> str:
    try:
        return os.readlink("/proc/self/exe")
    except OSError:
        return sys.executable


def _line(thread: int, name: str) -> str:
    with open(f"{TASKS}/{thread}/{name}", encoding="utf-8", errors="replace") as stream:
        return stream.read().rstrip("\n")


class _Maps:
    """What lies where in this process's memory."""

    def __init__(self, memory: int) -> None:
        self.memory = memory
        """A descriptor that it can be read from."""
        self.starts: list[int] = []
        self.rows: list[tuple[int, str | None]] = []
        """Of each part, its end and, where it is the code of a file, that."""
        self.data: list[int] = []
        """The ends of parts that belong to no file, and can be written to: stacks are such."""
        try:
            with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as stream:
                lines = stream.readlines()
        except OSError:
            lines = []
        for line in lines:
            span, rights, *_, path = [*line.split(None, 5), ""][:6]
            start, _, end = span.partition("-")
            code = "x" in rights and path.startswith("/")
            file = path.rstrip("\n").removesuffix(" (deleted)")
            self.starts.append(int(start, 16))
            self.rows.append((int(end, 16), file if code else None))
            if rights == "rw-p" and not file:
                self.data.append(int(end, 16))

    def at(self, address: int) -> tuple[int, str | None] | None:
        """The end of the part that holds this address, and the file that it is the code of."""
        row = bisect_right(self.starts, address) - 1
        if row < 0 or address >= self.rows[row][0]:
            return None
        return self.rows[row]

    def words(self, start: int, end: int) -> tuple[int, ...]:
        """Memory as numbers of eight bytes, as far as it can be read."""
        content = os.pread(self.memory, end - start, start)
        count = len(content) // 8
        return struct.unpack(f"={count}Q", content[: count * 8])

    @cached_property
    def control_blocks(self) -> dict[int, int]:
        """By the kernel's number of a thread, the address of what glibc keeps of it."""
        mine, own = threading.get_ident(), threading.get_native_id()
        halves = [h for w in self.words(mine, mine + 1024) for h in (w & 0xFFFFFFFF, w >> 32)]
        if own not in halves:
            return {}
        half, found = halves.index(own), {}
        for end in self.data:
            words = self.words(end - 4096, end)
            for k in _own_addresses(words, end - 4096):
                if k + half // 2 < len(words):
                    word = words[k + half // 2]
                    found[word >> 32 if half % 2 else word & 0xFFFFFFFF] = end - 4096 + 8 * k
        return found


def _started_by(thread: int, maps: _Maps) -> str | None:
    """The file of the function that a thread was started with."""
    try:
        # "number arguments... stack-pointer program-counter", or "running".
        fields = _line(thread, "syscall").split()
        if len(fields) >= 2:
            stack = int(fields[-2], 16)
            place = maps.at(stack)
            if place is None:
                return None
            words = maps.words(stack, min(place[0], stack + STACK_BYTES))
            blocks = _own_addresses(words, stack)
            if blocks:
                words = words[: blocks[0] + CONTROL_BLOCK_BYTES // 8]
            elif place[0] - stack > STACK_BYTES:
                return None
        else:
            block = maps.control_blocks.get(thread)
            if block is None:
                return None
            words = maps.words(block - OLDEST_BYTES, block + CONTROL_BLOCK_BYTES)
    except (FileNotFoundError, ProcessLookupError):
        raise
    except (OSError, ValueError):
        return None
    for word in reversed(words):
        part = maps.at(word)
        if part is not None and part[1] is not None and not _is_nobodys(part[1]):
            return part[1]
    return None


def _own_addresses(words: tuple[int, ...], first: int) -> list[int]:
    """Where in these words, of which the first has this address, glibc's control blocks begin.

    Such a block begins with its own address, and has it again as its third word.
    """
    return [
        k for k in range(len(words) - 2) if words[k] == first + 8 * k and words[k + 2] == words[k]
    ]
