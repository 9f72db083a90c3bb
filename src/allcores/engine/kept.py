"""Big fixed values of clean interpreters: in memory files that are kept for the next loop.

A file is given again only while the value is what it was. That is known and not guessed: the kernel
tells which pages were written to (`written.py`), and what it cannot tell is compared byte for byte.
"""

from __future__ import annotations

import itertools
import mmap
import os
import pickle
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

from allcores.engine.mapped import PAGE, write_file
from allcores.engine.memory import machine
from allcores.engine.written import Written, inner_pages

KEEP = 1 << 20
"""Buffers of so many bytes are kept; of smaller ones a copy costs less than the trouble."""
WATCH = 16 << 20
"""Of so many, the kernel is asked which of their pages were written to; others are compared."""
MOST = 64
"""So many files are kept."""
UNUSED = 16
"""A value of which the end is not told is kept until so many others were asked for."""


_numbers = itertools.count(1)


class Kept:
    """A memory file with one big value."""

    def __init__(self, raw: memoryview, start: int) -> None:
        self.start, self.size = start, raw.nbytes
        self.number = next(_numbers)
        self.owner: Any = None
        """Tells when the value's memory is about to be freed."""
        self.watched = False
        self.changed = False
        """Whether it was another one when it was looked at last: then watching costs more than it tells."""
        self.used = 0
        self.file = -1

    def write(self, raw: memoryview) -> None:
        self.file, _ = write_file([raw])

    def __del__(self) -> None:
        if self.file >= 0:
            os.close(self.file)
            self.file = -1


class Keeper:
    """The files of the big values that this process has sent to clean interpreters."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.files: dict[tuple[int, int], Kept] = {}
        self.count = 0
        self.written: Written | None = None
        self.tells = True
        """Whether the kernel tells what was written to, as far as is known."""
        self.process = 0
        self.dropped: Callable[[list[int]], None] | None = None
        """Told the numbers of what is kept when something is not any more."""

    def file_of(self, buffer: pickle.PickleBuffer) -> Kept:
        """A file with the buffer's bytes, which nobody may change. Raises OSError without room."""
        raw = buffer.raw()
        with self.lock:
            self.prepare()
            self.count += 1
            start = _address(raw)
            known = None if start is None else self.files.get((start, raw.nbytes))
            if known is not None and self.is_unchanged(known, raw):
                known.used = self.count
                return known
            kept = Kept(raw, start or 0)
            kept.changed = known is not None
            if known is not None:
                self.drop(known)
            keeps = start is not None and not machine().nearly_full()
            if keeps:
                # Before it is copied: what is written meanwhile counts as written since.
                self.watch(kept)
            kept.write(raw)
            if keeps:
                self.keep(kept, raw)
            return kept

    # -- whether a value is what it was

    def is_unchanged(self, kept: Kept, raw: memoryview) -> bool:
        """Whether the file holds what the memory holds."""
        if not kept.watched or self.written is None:
            if not kept.changed:
                self.watch(kept)
            kept.changed = not _same(kept, [(0, kept.size)])
            return not kept.changed
        ranges = self.written.since(kept.start, kept.size)
        if ranges != []:
            # Before it is compared: what is written meanwhile is seen the next time.
            self.watch(kept)
        if ranges is None:
            return _same(kept, [(0, kept.size)])
        first, length = inner_pages(kept.start, kept.size)
        inner = first - kept.start
        # The first and the last page hold other things as well.
        edges = [(0, inner), (inner + length, kept.size)]
        return _same(kept, [*edges, *((a - kept.start, b - kept.start) for a, b in ranges)])

    def watch(self, kept: Kept) -> None:
        """Have the kernel note writes from now on, where that is worth it."""
        kept.watched = False
        if kept.size < WATCH or kept.changed or not self.tells:
            return
        self.watch_no_other(kept)
        try:
            if self.written is None:
                self.written = Written()
        except (OSError, ImportError):
            self.tells = False
            return
        try:
            self.written.watch(kept.start, kept.size)
            kept.watched = True
        except OSError:
            self.written.forget(kept.start, kept.size)

    # -- how long they are kept

    def keep(self, kept: Kept, raw: memoryview) -> None:
        key = (kept.start, kept.size)
        kept.used = self.count
        here = weakref.ref(self)

        def ended(_: Any) -> None:
            keeper = here()
            if keeper is not None and not sys.is_finalizing():
                keeper.ended(key, kept_ref)

        kept_ref = weakref.ref(kept)
        try:
            kept.owner = weakref.ref(_owner(raw), ended)
        except TypeError:
            pass
        self.files[key] = kept
        for other in sorted(self.files.values(), key=lambda each: each.used):
            unused = self.count - other.used
            if len(self.files) > MOST or (other.owner is None and unused > UNUSED):
                self.drop(other)

    def ended(self, key: tuple[int, int], which: weakref.ref[Kept]) -> None:
        """A value's memory is about to be freed."""
        with self.lock:
            kept = self.files.get(key)
            if kept is not None and kept is which():
                self.drop(kept)

    def drop(self, kept: Kept) -> None:
        self.files.pop((kept.start, kept.size), None)
        if self.dropped is not None:
            self.dropped(self.numbers())
        if kept.watched and self.written is not None:
            kept.watched = False
            self.written.forget(kept.start, kept.size)
            self.watch_no_other(kept)

    def watch_no_other(self, kept: Kept) -> None:
        """What is noted of other values in the same memory is not theirs alone from now on."""
        for other in self.files.values():
            if other.start < kept.start + kept.size and kept.start < other.start + other.size:
                other.watched = other.watched and other is kept

    def numbers(self) -> list[int]:
        """The numbers of what is kept."""
        return [each.number for each in list(self.files.values())]

    def clear(self) -> None:
        """Keep nothing: there is nobody who would be sent it again."""
        with self.lock:
            for kept in list(self.files.values()):
                self.drop(kept)

    # -- forks

    def prepare(self) -> None:
        if not self.process:
            os.register_at_fork(after_in_child=self.disown)
        elif self.process != os.getpid():
            self.disown()  # it was forked by C code
        self.process = os.getpid()

    def disown(self) -> None:
        """In a forked child: close what belongs to the parent, and touch nothing of its memory."""
        self.lock = threading.RLock()
        self.files.clear()
        if self.written is not None:
            self.written.close()
            self.written = None


keeper = Keeper()


def _address(raw: memoryview) -> int | None:
    """Where a buffer's memory is; None where that is not told, or nothing can be compared."""
    np = sys.modules.get("numpy")
    if np is None or not hasattr(np, "frombuffer"):
        return None
    try:
        import ctypes  # noqa: F401  # comparing needs it
    except ImportError:
        return None
    return int(np.frombuffer(raw, np.uint8).__array_interface__["data"][0])


def _owner(raw: memoryview) -> Any:
    """The object whose end is the end of the buffer's memory, as far as can be seen."""
    obj: Any = raw.obj
    np = sys.modules["numpy"]
    while isinstance(obj, np.ndarray) and isinstance(obj.base, np.ndarray):
        obj = obj.base
    return obj


def _same(kept: Kept, parts: list[tuple[int, int]]) -> bool:
    """Whether these parts of the value's memory, from byte to byte, are as in its file."""
    import ctypes

    compare = ctypes.CDLL(None).memcmp
    compare.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    np = sys.modules["numpy"]
    for first, stop in parts:
        if stop <= first:
            continue
        begin = first // PAGE * PAGE
        with mmap.mmap(kept.file, stop - begin, access=mmap.ACCESS_READ, offset=begin) as there:
            held = np.frombuffer(there, np.uint8)
            where = held.__array_interface__["data"][0] + first - begin
            different = compare(kept.start + first, where, stop - first)
            del held
        if different:
            return False
    return True
