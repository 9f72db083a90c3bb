"""Frames over a socket: each comes out whole and as it went in, whatever the socket makes of them."""

from __future__ import annotations

import os
import pickle
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allcores import parallel
from allcores.engine import wire

SIZES = st.lists(
    st.tuples(st.integers(0, 70_000), st.lists(st.integers(0, 40_000), max_size=2)), max_size=8
)


def message(size: int, arrays: list[int]) -> tuple[bytes, list[np.ndarray]]:
    """So many bytes, and arrays of so many numbers: those of 32,768 and more go in a memory file."""
    return bytes(k % 251 for k in range(size)), [np.arange(float(n)) for n in arrays]


def received(reader: wire.Reader, count: int) -> list[tuple[bytes, list[np.ndarray]]]:
    found = []
    while len(found) < count:
        frame = reader.read()
        if frame is not None:
            body, buffers = frame
            found.append(pickle.loads(body, buffers=buffers))
    return found


@settings(max_examples=60, deadline=None)
@given(sizes=SIZES)
def test_frames_come_out_as_they_went_in(sizes: list[tuple[int, list[int]]]) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    messages = [message(*each) for each in sizes]

    def send() -> None:
        for each in messages:
            wire.send_frame(theirs, *wire.encode(each))

    sender = threading.Thread(target=send)
    sender.start()
    reader = wire.Reader(ours)
    found = received(reader, len(messages))
    sender.join()
    assert [body for body, _ in found] == [body for body, _ in messages]
    for (_, got), (_, sent) in zip(found, messages, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(got, sent, strict=True))
    assert reader.read() is None
    theirs.close()
    with pytest.raises(EOFError):
        reader.read()
    ours.close()


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_frame_that_ends_half_way_is_the_end(size: int) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.sendall(wire.small_frame(bytes(size))[:-3])
    theirs.close()
    reader = wire.Reader(ours)
    with pytest.raises(EOFError):
        received(reader, 1)
    ours.close()


def test_memory_files_that_nobody_took_are_closed() -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    before = open_files()
    reader = wire.Reader(ours)
    body, big = wire.encode(np.zeros(100_000))
    sender = threading.Thread(target=wire.send_frame, args=(theirs, body, big))
    sender.start()
    sender.join()
    reader.fill()
    assert open_files() == before + 1
    reader.close()
    assert open_files() == before
    ours.close()
    os.close(theirs.detach())


def maps_of_ours(pid: str = "self") -> int:
    return Path(f"/proc/{pid}/maps").read_text().count("memfd:allcores")


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_results_are_seen_by_nobody_else() -> None:
    """A fork has its own copy of memory, also of that which came from a worker."""
    found = []
    for i in parallel(range(8), workers=2, chunk=3):
        found.append(np.full(200_000, float(i)))
    pid = os.fork()
    if pid == 0:
        for each in found:
            each += 1
        os._exit(0)
    os.waitpid(pid, 0)
    assert [(a.min(), a.max()) for a in found] == [(i, i) for i in range(8)]


def test_items_of_a_generator_are_ordinary_writable_arrays() -> None:
    """They come in memory files, and what an iteration does with its own is seen by nobody else."""
    kept = [np.full(n, float(i)) for i, n in enumerate([10, 3_000, 40_000, 300_000] * 6)]
    found = []
    for a in parallel((each for each in kept), workers=2, chunk=3):
        writeable, aligned = a.flags.writeable, a.ctypes.data % 16
        a = a + 1
        a *= 2
        found.append((a, writeable, aligned, os.getpid()))
    assert all(writeable and aligned == 0 for _, writeable, aligned, _ in found)
    for i, (a, *_) in enumerate(found):
        assert a.flags.writeable and a.min() == a.max() == (i + 1) * 2
        assert kept[i].max() == i
    assert {pid for *_, pid in found} - {os.getpid()}


def test_a_socket_that_takes_no_more_files_gets_the_memory_itself() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    arrays = [np.full(100_000, float(k)) for k in range(3)]
    frame = wire.frame(*wire.encode([*arrays, np.arange(3_000.0)]))
    frame.do_without_files()
    sender = threading.Thread(target=frame.send, args=(theirs,))
    sender.start()
    [got] = received(wire.Reader(ours), 1)
    sender.join()
    assert [a[0] for a in got] == [0.0, 1.0, 2.0, 0.0] and got[3].sum() == 3_000 * 2_999 / 2
    ours.close()
    theirs.close()
