"""Messages between the coordinator and a worker: frames over a socket, big buffers beside them.

A frame is a header (length of the pickle, length of the buffers' table, size of the memory file)
followed by the table and the pickle. Buffers of 256 KiB and more go into one memory file for each
frame: the worker copies them in, the coordinator maps the file and copies nothing.
"""

from __future__ import annotations

import array
import copyreg
import errno
import io
import mmap
import os
import pickle
import socket
import struct
import sys
import weakref
from collections import deque
from collections.abc import Container
from resource import RLIMIT_NOFILE, getrlimit
from typing import Any

HEADER = struct.Struct("<QQQ")
BIG = 256 * 1024
PAGE = mmap.PAGESIZE
AT_A_TIME = 16 * 1024
MAX_MAPS = 20_000
NOT_COME = -1
"""In place of the descriptor of a memory file that this process could not take."""
_KEEPS_NO_DESCRIPTOR: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}
"""For a map; before Python 3.13 each one keeps a descriptor of its file open."""
_live_maps: set[weakref.ref[mmap.mmap]] = set()


class Lost(OSError):
    """A message came without its buffers: this process had no descriptor or no room for them."""


class _Pinning(pickle.Pickler):
    """Sends the ids of objects that both sides have, in their place."""

    at_home: Container[int]

    def persistent_id(self, obj: Any) -> int | None:
        key = id(obj)
        return key if key in self.at_home else None


def encode(
    message: Any, at_home: Container[int] | None = None
) -> tuple[bytes, list[pickle.PickleBuffer]]:
    """Pickle a message; buffers worth a memory file are given back apart.

    at_home: the ids of objects that the other side has as well; it finds them by these.
    """
    big: list[pickle.PickleBuffer] = []

    def keep(buffer: pickle.PickleBuffer) -> bool:
        with buffer.raw() as raw:
            size = raw.nbytes
        if size < BIG:
            return True
        big.append(buffer)
        return False

    np = sys.modules.get("numpy")
    arrays = np is not None and hasattr(np, "ndarray")
    if not arrays and at_home is None:
        return pickle.dumps(message, protocol=5, buffer_callback=keep), big
    out = io.BytesIO()
    pickler = (pickle.Pickler if at_home is None else _Pinning)(
        out, protocol=5, buffer_callback=keep
    )
    if isinstance(pickler, _Pinning):
        assert at_home is not None
        pickler.at_home = at_home
    if np is not None and arrays:
        pickler.dispatch_table = {**copyreg.dispatch_table, np.ndarray: _reduce_array}
    pickler.dump(message)
    return out.getvalue(), big


def whole(message: Any) -> bytes:
    """What was received, with all its buffers in one pickle, for `pickle.loads`."""
    np = sys.modules.get("numpy")
    if np is None or not hasattr(np, "ndarray"):
        return pickle.dumps(message, protocol=5)
    out = io.BytesIO()
    pickler = pickle.Pickler(out, protocol=5)
    pickler.dispatch_table = {**copyreg.dispatch_table, np.ndarray: _reduce_received}
    pickler.dump(message)
    return out.getvalue()


def travels_as_view(array: Any, received: bool = False) -> bool:
    """Whether an array is sent as a view of its memory, strides and all.

    received: it was made by reading a pickle, where each array is a view of one over bytes.
    """
    base = array.base
    np = sys.modules["numpy"]
    if type(array) is not np.ndarray or type(base) is not np.ndarray:
        return False
    if base.base is not None and (not received or isinstance(base.base, np.ndarray)):
        return False
    if not base.flags.c_contiguous or array.dtype.hasobject or base.dtype.hasobject:
        return False
    # A small part of much memory is better copied, if its layout does not need the rest.
    whole = array.flags.c_contiguous or array.flags.f_contiguous
    return not whole or bool(base.nbytes <= 2 * array.nbytes)


def _reduce_array(array: Any) -> Any:
    return _as_view(array) if travels_as_view(array) else array.__reduce_ex__(5)


def _as_view(array: Any) -> Any:
    base = array.base
    start = base.__array_interface__["data"][0]
    offset = array.__array_interface__["data"][0] - start
    parts = base, array.dtype, array.shape, array.strides, offset, array.flags.writeable
    return _view, parts


def _reduce_received(array: Any) -> Any:
    return _as_view(array) if travels_as_view(array, True) else array.__reduce_ex__(5)


def _view(base: Any, dtype: Any, shape: Any, strides: Any, offset: int, writeable: bool) -> Any:
    """An array over the memory of `base`, made again."""
    np = sys.modules["numpy"]
    array = np.ndarray(shape, dtype, base, offset, strides)
    if array.flags.writeable and not writeable:
        array.flags.writeable = False
    return array


def small_frame(body: bytes) -> bytes:
    """A frame without buffers."""
    return HEADER.pack(len(body), 0, 0) + body


def send_frame(sock: socket.socket, body: bytes, big: list[pickle.PickleBuffer]) -> None:
    """Send a whole frame from a worker, which may wait."""
    if not big:
        sock.sendall(small_frame(body))
        return
    try:
        fd, sizes, total = _memory_file(big)
    except OSError:
        _send_all_in_one(sock, body, big)
        return
    try:
        table = struct.pack(f"<{len(sizes)}Q", *sizes)
        header = HEADER.pack(len(body), len(table), total)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        sent = sock.sendmsg([header], rights)
        sock.sendall(header[sent:] + table + body)
    finally:
        os.close(fd)


def _send_all_in_one(sock: socket.socket, body: bytes, big: list[pickle.PickleBuffer]) -> None:
    """Send a frame where the system has no memory file for it: the buffers follow the pickle."""
    raws = [buffer.raw() for buffer in big]
    table = struct.pack(f"<{len(raws)}Q", *[raw.nbytes for raw in raws])
    length = len(body) + sum(raw.nbytes for raw in raws)
    sock.sendall(HEADER.pack(length, len(table), 0) + table + body)
    for raw in raws:
        sock.sendall(raw)


def memory_file(name: str) -> int:
    """A descriptor of a file in memory that has no name in any folder, for this user alone."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC)
    os.fchmod(fd, 0o600)
    return fd


def _memory_file(big: list[pickle.PickleBuffer]) -> tuple[int, list[int], int]:
    fd = memory_file("allcores")
    sizes: list[int] = []
    at = 0
    try:
        for buffer in big:
            with buffer.raw() as raw:
                size = raw.nbytes
                done = 0
                while done < size:
                    done += os.pwrite(fd, raw[done:], at + done)
            sizes.append(size)
            at += -(-size // PAGE) * PAGE
        os.ftruncate(fd, at)
    except BaseException:
        os.close(fd)
        raise
    return fd, sizes, at


class Reader:
    """Puts frames together from what a non-blocking socket gives.

    Small frames are often there by the dozen, and are taken with one call of the system.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.there = memoryview(b"")
        """What has been read and not used."""
        self.fds: deque[int] = deque()
        """Memory files that came along; each frame with buffers has one, and they come in order."""
        self.lengths = (0, 0, 0)
        self.body: memoryview | None = None
        """Of a frame that is longer than what is read at a time."""
        self.have = 0

    def read(self) -> tuple[memoryview, list[memoryview] | Lost] | None:
        """A whole frame (pickle, buffers), or None when more must come.

        Raises EOFError when the other side is gone.
        """
        while (whole := self.whole_frame()) is None:
            try:
                self.fill()
            except BlockingIOError:
                return None
        length, table, total = self.lengths
        body = whole[table : table + length]
        if not table:
            return body, []
        sizes = struct.unpack(f"<{table // 8}Q", whole[:table])
        if not total:
            return cut_up(body, sizes)
        return body, self.map_buffers(sizes, total)

    def whole_frame(self) -> memoryview | None:
        """The table and pickle of the next frame, if all of it has come."""
        if self.body is not None:
            if self.have < len(self.body):
                return None
            whole, self.body = self.body, None
            return whole
        there = self.there
        if len(there) < HEADER.size:
            return None
        self.lengths = HEADER.unpack_from(there)
        end = HEADER.size + self.lengths[0] + self.lengths[1]
        if len(there) >= end:
            self.there = there[end:]
            return there[HEADER.size : end]
        if end > AT_A_TIME:
            self.body = memoryview(bytearray(end - HEADER.size))
            self.have = len(there) - HEADER.size
            self.body[: self.have] = there[HEADER.size :]
            self.there = memoryview(b"")
        return None

    def fill(self) -> None:
        """Read what has come. Raises BlockingIOError when there is nothing, EOFError at the end."""
        if self.body is not None:
            got = self.sock.recv_into(self.body[self.have :])
            if not got:
                raise EOFError
            self.have += got
            return
        data, rights, flags, _ = self.sock.recvmsg(AT_A_TIME, 64)
        if not data:
            raise EOFError
        for _level, _kind, raw in rights:
            fds = array.array("i")
            fds.frombytes(raw[: len(raw) - len(raw) % fds.itemsize])
            self.fds.extend(fds)
        if flags & socket.MSG_CTRUNC:
            self.fds.append(NOT_COME)
        self.there = memoryview(bytes(self.there) + data if self.there else data)

    def map_buffers(self, sizes: tuple[int, ...], total: int) -> list[memoryview] | Lost:
        fd = self.fds.popleft()
        if fd == NOT_COME:
            return Lost(errno.EMFILE, "too many files are open in this process")
        try:
            whole = map_file(fd, total)
        except OSError as error:
            return Lost(error.errno, f"memory could not be mapped: {error.strerror}")
        finally:
            os.close(fd)
        out, at = [], 0
        for size in sizes:
            out.append(whole[at : at + size])
            at += -(-size // PAGE) * PAGE
        return out

    def close(self) -> None:
        while self.fds:
            fd = self.fds.popleft()
            if fd != NOT_COME:
                os.close(fd)


def map_file(fd: int, size: int) -> memoryview:
    """The memory of a file, or a copy where this process has many of them already."""
    if len(_live_maps) < most_maps():
        try:
            mapped = mmap.mmap(fd, size, flags=mmap.MAP_SHARED, **_KEEPS_NO_DESCRIPTOR)
            _live_maps.add(weakref.ref(mapped, _live_maps.discard))
            return memoryview(mapped)
        except OSError:
            pass
    copy = bytearray(size)
    at = 0
    while at < size:
        got = os.preadv(fd, [memoryview(copy)[at:]], at)
        if not got:
            raise OSError(errno.EIO, "a memory file is too short")
        at += got
    return memoryview(copy)


def most_maps() -> int:
    """How many memory files may be mapped at a time: the system limits maps, and descriptors."""
    if _KEEPS_NO_DESCRIPTOR:
        return MAX_MAPS
    return min(MAX_MAPS, getrlimit(RLIMIT_NOFILE)[0] // 2)


def cut_up(body: memoryview, sizes: tuple[int, ...]) -> tuple[memoryview, list[memoryview]]:
    """A pickle and the buffers that follow it: copies, so that they are aligned."""
    at = length = len(body) - sum(sizes)
    buffers = []
    for size in sizes:
        buffers.append(memoryview(bytearray(body[at : at + size])))
        at += size
    return body[:length], buffers


def receive(sock: socket.socket) -> Any:
    """A whole message on the worker's side, which may wait. EOFError when there is none."""
    return pickle.loads(receive_bytes(sock))


def receive_bytes(sock: socket.socket) -> bytearray:
    """As `receive`, but as it came."""
    length, _, _ = HEADER.unpack(_exactly(sock, HEADER.size))
    return _exactly(sock, length)


def _exactly(sock: socket.socket, count: int) -> bytearray:
    data = bytearray(count)
    view, have = memoryview(data), 0
    while have < count:
        got = sock.recv_into(view[have:])
        if not got:
            raise EOFError
        have += got
    return data
