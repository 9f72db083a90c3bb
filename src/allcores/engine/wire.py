"""Messages between processes: frames over a socket, big buffers beside them.

A frame is a header (length of the pickle, number of buffers, number of memory files), a table
that says of each buffer how long it is and where, the pickle, and the buffers that are not in a
memory file. Files go along with the frame's first byte (SCM_RIGHTS). So big buffers are copied once,
by who sends them (`mapped.py`); of what is smaller, two copies cost less than new pages of memory.
"""

from __future__ import annotations

import array
import errno
import os
import pickle
import socket
import struct
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from allcores.engine.mapped import map_file, memory_file, room, write_file
from allcores.engine.packing import (
    APART,
    _as_view,
    _view,
    apart,
    encode,
    size_of,
    travels_as_view,
    whole,
)

__all__ = [
    "APART",
    "BIG",
    "Frame",
    "Lost",
    "Reader",
    "_as_view",
    "_view",
    "apart",
    "encode",
    "frame",
    "memory_file",
    "size_of",
    "small_frame",
    "travels_as_view",
    "whole",
]

HEADER = struct.Struct("<QII")
PLACE = struct.Struct("<QQq")
"""Of a buffer: its size, where it begins in its file, and the number of that file, or INLINE."""
INLINE = -1
BIG = 256 * 1024
AT_A_TIME = 16 * 1024
MOST_FILES = 64
"""The system takes 253 descriptors with a message, and a process may have no more than 256 in all."""
MOST_PIECES = 1000
"""What one call of the system takes."""
NOT_COME = -1
"""In place of the descriptor of a memory file that this process could not take."""


class Lost(OSError):
    """A message came without its buffers: this process had no descriptor or no room for them."""


class Frame:
    """A message on its way: what is left of it to send, and files that go with its first byte."""

    __slots__ = ("fds", "pieces", "places")

    def __init__(
        self, pieces: list[memoryview], fds: Sequence[int] = (), places: Sequence[Any] = ()
    ) -> None:
        self.pieces, self.fds, self.places = pieces, fds, places

    def send(self, sock: socket.socket) -> None:
        """Send all that is left. Raises BlockingIOError where a socket takes only some of it now."""
        pieces = self.pieces
        while pieces:
            if len(pieces) == 1 and not self.fds:
                sent = sock.send(pieces[0])
            else:
                sent = self.send_some(sock)
            while pieces and sent >= pieces[0].nbytes:
                sent -= pieces[0].nbytes
                del pieces[0]
            if sent:
                pieces[0] = pieces[0][sent:]

    def send_some(self, sock: socket.socket) -> int:
        rights = []
        if self.fds:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", self.fds))]
        try:
            sent = sock.sendmsg(self.pieces[:MOST_PIECES], rights)
        except OSError as error:
            if not self.fds or isinstance(error, BlockingIOError):
                raise
            if error.errno in (errno.EPIPE, errno.ECONNRESET):
                raise
            self.do_without_files()  # too many are on their way
            return 0
        self.close()
        return sent

    def do_without_files(self) -> None:
        """Have the buffers follow the pickle."""
        files = [map_file(fd) for fd in self.fds]
        body, inline, done = self.pieces[2], b"".join(self.pieces[3:]), 0
        raws = []
        for size, at, file in self.places:
            if file == INLINE:
                at, done = done, done + size
            raws.append((memoryview(inline) if file == INLINE else files[file])[at : at + size])
        self.close()
        self.pieces[:] = _without_files(body, raws).pieces

    def own(self) -> None:
        """Copy what is not in a file: it may have to wait, and must not change meanwhile."""
        if len(self.pieces) > 3:
            self.pieces[3:] = [memoryview(b"".join(self.pieces[3:]))]

    def close(self) -> None:
        """Close this side's descriptors of the files."""
        fds, self.fds = self.fds, ()
        for fd in fds:
            os.close(fd)

    def __del__(self) -> None:
        self.close()


def small_frame(body: bytes) -> bytes:
    """A frame without buffers."""
    return HEADER.pack(len(body), 0, 0) + body


def frame(body: bytes, big: Sequence[pickle.PickleBuffer] = (), together: bool = False) -> Frame:
    """A message as a frame.

    together: whether buffers that are big together share a file. What the receiver keeps of them
    keeps all of that file, so that it is for what he does not keep.
    """
    if not big:
        return Frame([memoryview(small_frame(body))])
    raws = [buffer.raw() for buffer in big]
    by_file = _shared_out(raws, together)
    fds: list[int] = []
    places: dict[int, tuple[int, int, int]] = {}
    try:
        for file, numbers in enumerate(by_file):
            fd, starts = write_file([raws[k] for k in numbers])
            fds.append(fd)
            places.update({k: (raws[k].nbytes, at, file) for k, at in zip(numbers, starts)})
    except BaseException as error:
        _close_all(fds)
        if not isinstance(error, OSError):
            raise
        return _without_files(body, raws)
    rows = [places.get(k, (raw.nbytes, 0, INLINE)) for k, raw in enumerate(raws)]
    inline = [raw for k, raw in enumerate(raws) if k not in places]
    return _put_together(body, rows, inline, fds)


def joined(frames: Sequence[Frame]) -> list[Frame]:
    """The same messages, those without files together in one piece: each piece may wake who reads."""
    found: list[Frame] = []
    for files, group in groupby(frames, lambda each: bool(each.fds)):
        if files:
            found += group
        else:
            found.append(Frame([memoryview(b"".join(p for each in group for p in each.pieces))]))
    return found


def _shared_out(raws: list[memoryview], together: bool) -> list[list[int]]:
    """Which buffers go into which file."""
    if together:
        return [list(range(len(raws)))] if sum(raw.nbytes for raw in raws) >= BIG else []
    alone = [k for k, raw in enumerate(raws) if raw.nbytes >= BIG]
    each = -(-len(alone) // MOST_FILES)
    return [alone[k : k + each] for k in range(0, len(alone), each)] if alone else []


def _without_files(body: bytes | memoryview, raws: list[memoryview]) -> Frame:
    return _put_together(body, [(raw.nbytes, 0, INLINE) for raw in raws], raws, [])


def _put_together(
    body: bytes | memoryview,
    rows: list[tuple[int, int, int]],
    inline: list[memoryview],
    fds: list[int],
) -> Frame:
    table = b"".join([PLACE.pack(*row) for row in rows])
    header = HEADER.pack(len(body), len(rows), len(fds))
    parts = [memoryview(part) for part in (header, table, body, *inline)]
    return Frame(parts, fds, rows)


def send_frame(sock: socket.socket, body: bytes, big: list[pickle.PickleBuffer]) -> None:
    """Send a whole frame from a worker, which may wait."""
    frame(body, big).send(sock)


class _Coming:
    """A frame of which the header is there: where the rest goes."""

    __slots__ = ("count", "files", "head", "inline", "length", "rows")

    def __init__(self, length: int, count: int, files: int) -> None:
        self.length, self.count, self.files = length, count, files
        self.head: memoryview | None = None
        """The table and the pickle, once they are there or have a place to go to."""
        self.rows: list[tuple[int, int, int]] | None = None
        self.inline: list[memoryview] = []


class Reader:
    """Puts frames together from what a socket gives.

    Small frames are often there by the dozen, and are taken with one call of the system.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.there = memoryview(b"")
        """What has been read and not used."""
        self.fds: deque[int] = deque()
        """Memory files that came along, in the order of the frames they belong to."""
        self.coming: _Coming | None = None
        self.missing: list[memoryview] = []
        """What of the frame that is coming has a place to go to."""

    def read(self) -> tuple[memoryview, list[memoryview] | Lost] | None:
        """A whole frame (pickle, buffers), or None when more must come.

        Raises EOFError when the other side is gone.
        """
        while (whole := self.take()) is None:
            try:
                self.fill()
            except BlockingIOError:
                return None
        return whole

    def take(self) -> tuple[memoryview, list[memoryview] | Lost] | None:
        """The next frame, if all of it is there."""
        if self.missing:
            return None
        coming = self.coming
        if coming is None or coming.head is None:
            coming = self.begin()
            if coming is None or self.missing:
                return None
        head = coming.head
        assert head is not None
        if not coming.count:
            self.coming = None
            return head, []
        table = coming.count * PLACE.size
        if coming.rows is None:
            coming.rows = list(PLACE.iter_unpack(head[:table]))
            coming.inline = [room(size) for size, _, file in coming.rows if file == INLINE]
            self.put_into(coming.inline)
            if self.missing:
                return None
        self.coming = None
        return head[table:], self.buffers_of(coming)

    def begin(self) -> _Coming | None:
        """The next frame, if its head is there or so long that it has a place of its own."""
        there = self.there
        if len(there) < HEADER.size:
            return None
        coming = self.coming = _Coming(*HEADER.unpack_from(there))
        size = coming.length + coming.count * PLACE.size
        end = HEADER.size + size
        if len(there) >= end:
            self.there = there[end:]
            coming.head = there[HEADER.size : end]
        elif end > AT_A_TIME:
            self.there = there[HEADER.size :]
            coming.head = memoryview(bytearray(size))
            self.put_into([coming.head])
        else:
            return None
        return coming

    def put_into(self, targets: list[memoryview]) -> None:
        """Have what comes next go there."""
        for target in targets:
            have = min(len(target), len(self.there))
            target[:have] = self.there[:have]
            self.there = self.there[have:]
            if have < len(target):
                self.missing.append(target[have:])

    def fill(self) -> None:
        """Read what has come. Raises BlockingIOError when there is nothing, EOFError at the end."""
        if self.missing:
            self.fill_missing()
            return
        data, rights, flags, _ = self.sock.recvmsg(AT_A_TIME, socket.CMSG_SPACE(4 * MOST_FILES))
        if not data:
            raise EOFError
        for _level, _kind, raw in rights:
            fds = array.array("i")
            fds.frombytes(raw[: len(raw) - len(raw) % fds.itemsize])
            self.fds.extend(fds)
        if flags & socket.MSG_CTRUNC:
            self.fds.append(NOT_COME)
        self.there = memoryview(bytes(self.there) + data if self.there else data)

    def fill_missing(self) -> None:
        missing = self.missing
        if len(missing) == 1:
            got = self.sock.recv_into(missing[0])
        else:
            got = self.sock.recvmsg_into(missing[:MOST_PIECES])[0]
        if not got:
            raise EOFError
        while missing and got >= len(missing[0]):
            got -= len(missing[0])
            del missing[0]
        if got:
            missing[0] = missing[0][got:]

    def buffers_of(self, coming: _Coming) -> list[memoryview] | Lost:
        assert coming.rows is not None
        fds: list[int] = []
        while len(fds) < coming.files and (not fds or fds[-1] != NOT_COME):
            fds.append(self.fds.popleft())
        try:
            if fds and fds[-1] == NOT_COME:
                return Lost(errno.EMFILE, "too many files are open in this process")
            files = [map_file(fd) for fd in fds]
        except OSError as error:
            return Lost(error.errno, f"memory could not be mapped: {error.strerror}")
        finally:
            _close_all(fds)
        inline = iter(coming.inline)
        return [
            next(inline) if file == INLINE else files[file][at : at + size]
            for size, at, file in coming.rows
        ]

    def close(self) -> None:
        _close_all(self.fds)
        self.fds.clear()


def _close_all(fds: Iterable[int]) -> None:
    for fd in fds:
        if fd != NOT_COME:
            os.close(fd)


def receive(reader: Reader) -> tuple[memoryview, list[memoryview] | Lost]:
    """A whole message, on a side that waits for it. EOFError when there is none."""
    frame = reader.read()
    assert frame is not None, "the socket does not wait"
    return frame
