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
