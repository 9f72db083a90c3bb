"""Memory files: how big buffers go from one process to another, and the memory they then are.

A file is written by the sender and mapped by the receiver, which copies nothing. What is mapped is
the receiver's own: what it writes is seen by nobody else, forked children included.
"""

from __future__ import annotations

import errno
import mmap
import os
import sys
import weakref
from typing import Any

PAGE = mmap.PAGESIZE
MAX_MAPS = 20_000
"""The system allows a process some 65,000 maps; from so many of ours on, buffers are copied."""
WITH_DESCRIPTOR = 32
"""So many maps may each keep a descriptor before means are loaded to have none."""
_KEEPS_NO_DESCRIPTOR: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}
"""For a map; before Python 3.13 each one keeps a descriptor of its file open."""
_MAP_FIXED = 0x10
_FAILED = (1 << 64) - 1
_live_maps: set[weakref.ref[mmap.mmap]] = set()
_libc: list[Any] = []


def memory_file(name: str) -> int:
    """A descriptor of a file in memory that has no name in any folder, for this user alone."""
    if not hasattr(os, "memfd_create"):
        return _nameless_file(name)
    fd = os.memfd_create(name, os.MFD_CLOEXEC)
    os.fchmod(fd, 0o600)
    return fd


def _nameless_file(name: str) -> int:
    """As `memory_file`, on systems that have files only on disk."""
    import tempfile

    fd, path = tempfile.mkstemp(prefix=name)
    os.unlink(path)
    return fd


def _most_files() -> int:
    """So many descriptors this process may have."""
    import resource

    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def whole_pages(size: int) -> int:
    """The bytes of all pages that so many bytes touch."""
    return -(-size // PAGE) * PAGE


def write_file(raws: list[memoryview]) -> tuple[int, list[int]]:
    """A memory file with these buffers; gives its descriptor and where each one begins.

    Raises OSError where the system has no room or no descriptor for it.
    """
    fd = memory_file("allcores")
    places: list[int] = []
    at = 0
    try:
        for raw in raws:
            size, done = raw.nbytes, 0
            while done < size:
                done += os.pwrite(fd, raw[done:], at + done)
            places.append(at)
            at += whole_pages(size)
        os.ftruncate(fd, at)
    except BaseException:
        os.close(fd)
        raise
    return fd, places


def map_file(fd: int) -> memoryview:
    """The memory of a whole file, or a copy where this process has many of them already.

    It is freed when nothing refers to it any more. Raises OSError where there is no room.
    """
    size = os.fstat(fd).st_size
    if len(_live_maps) < MAX_MAPS:
        try:
            mapped = _map(fd, size)
            _live_maps.add(weakref.ref(mapped, _live_maps.discard))
            return memoryview(mapped)
        except (OSError, ValueError):
            pass
    copy = bytearray(size)
    at = 0
    while at < size:
        got = os.preadv(fd, [memoryview(copy)[at:]], at)
        if not got:
            raise OSError(errno.EIO, "a memory file is too short")
        at += got
    return memoryview(copy)


def _map(fd: int, size: int) -> mmap.mmap:
    if _KEEPS_NO_DESCRIPTOR:
        return mmap.mmap(fd, size, flags=mmap.MAP_PRIVATE, **_KEEPS_NO_DESCRIPTOR)
    if len(_live_maps) < WITH_DESCRIPTOR:
        return mmap.mmap(fd, size, flags=mmap.MAP_PRIVATE)
    return _map_over(fd, size)


def _map_over(fd: int, size: int) -> mmap.mmap:
    """A map of no file, over which the file is mapped: Python knows no descriptor to keep."""
    try:
        import ctypes
    except ImportError:
        if len(_live_maps) >= _most_files() // 2:
            raise OSError(errno.EMFILE, "too many maps") from None
        return mmap.mmap(fd, size, flags=mmap.MAP_PRIVATE)
    if not _libc:
        call = ctypes.CDLL(None, use_errno=True).mmap
        call.restype = ctypes.c_size_t
        call.argtypes = [ctypes.c_size_t, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        _libc.append(call)
    mapped = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    address = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
    flags = mmap.MAP_PRIVATE | _MAP_FIXED
    if _libc[0](address, size, mmap.PROT_READ | mmap.PROT_WRITE, flags, fd, 0) == _FAILED:
        raise OSError(ctypes.get_errno(), "memory could not be mapped")
    return mapped


def room(size: int) -> memoryview:
    """Memory that a buffer is put into; no need to clear it first."""
    np = sys.modules.get("numpy")
    if np is None or not hasattr(np, "uint8"):
        return memoryview(bytearray(size))
    if not _rooms:
        _rooms.append(type("Room", (np.ndarray,), {}))
    return memoryview(np.empty(size, np.uint8).view(_rooms[0]))


_rooms: list[Any] = []
"""The type of such memory."""


def is_received(view: memoryview) -> bool:
    """Whether this is memory that came from another process: nobody has it but what came with it."""
    owner: Any = view.obj
    if type(owner) is mmap.mmap:
        return weakref.ref(owner) in _live_maps
    return type(owner) in _rooms
