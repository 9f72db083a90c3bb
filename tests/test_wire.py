"""Frames over a socket: each comes out whole and as it went in, whatever the socket makes of them."""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import allcores
from allcores import loop, parallel
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


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def maps_of_ours(pid: int | str = "self") -> int:
    """How many memory files of ours a process has mapped."""
    return Path(f"/proc/{pid}/maps").read_text().count("memfd:allcores")


def who_has_files() -> set[int]:
    """The processes that have a memory file of ours open or mapped."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            opened = any("memfd:allcores" in os.readlink(fd) for fd in (folder / "fd").iterdir())
            if opened or maps_of_ours(folder.name):
                found.add(int(folder.name))
        except OSError:
            pass  # it has ended
    return found


def children(pid: int) -> set[int]:
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def resident() -> int:
    """Bytes of memory that this process has, shared ones included."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def results_of_a_megabyte(count: int) -> tuple[int, int]:
    """A loop with so many, of which few are kept at a time: the most memory and maps meanwhile."""
    kept: dict[int, np.ndarray] = {}
    seen, most, maps = 0, 0, 0
    for i in parallel(range(count), workers=2, chunk=2):
        made = np.full(131_072, float(i))
        kept[i % 3] = made
        seen += 1
        if seen % 100 == 0:
            most, maps = max(most, resident()), max(maps, maps_of_ours())
    assert sorted(a[0] for a in kept.values()) == [count - 3, count - 2, count - 1]
    return most, maps


def no_more_than_before(count: int) -> None:
    results_of_a_megabyte(20)  # what is to be made once has been
    gc.collect()
    before = resident(), open_files(), maps_of_ours()
    most, maps = results_of_a_megabyte(count)
    gc.collect()
    assert maps > 0
    # Results wait for their turn, up to 64 MiB of them.
    assert most < before[0] + (150 << 20)
    assert resident() < before[0] + (30 << 20)
    assert (open_files(), maps_of_ours()) == before[1:]


def test_big_results_are_freed_when_they_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLCORES_FORCE", "1")
    no_more_than_before(400)


@pytest.mark.slow
def test_ten_thousand_big_results_leave_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLCORES_FORCE", "1")
    no_more_than_before(10_000)


def test_a_result_keeps_its_memory_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLCORES_FORCE", "1")
    results = []
    for i in parallel(range(12), workers=2, chunk=4):
        results.append([np.full(100_000, float(i)), np.full(100_000, -float(i))])
    mapped = maps_of_ours()
    assert mapped >= 12
    one = results[5][1][10:]
    del results
    gc.collect()
    assert maps_of_ours() == 1 and one.max() == -5
    one[:] = 3
    del one
    gc.collect()
    assert maps_of_ours() == 0


@pytest.mark.parametrize("size", [5_000, 200_000])
def test_results_of_a_loop_are_changed_in_place_by_the_next(
    size: int, monkeypatch: pytest.MonkeyPatch, reports: list[loop.LoopReport]
) -> None:
    monkeypatch.setenv("ALLCORES_FORCE", "1")
    arrays = []
    for i in parallel(range(8), workers=2, chunk=1):
        arrays.append(np.full(size, float(i)))
    for a in parallel(arrays, workers=2, chunk=1):
        a *= np.sin(a) + 2
    assert [a[0] for a in arrays] == [i * (np.sin(i) + 2) for i in range(8)]
    assert all(a.min() == a.max() for a in arrays)
    assert [report.in_workers > 0 for report in reports] == [True, True]


def test_a_worker_that_is_killed_leaves_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One dies at some point of sending 16 MB; its results are made again by others."""
    monkeypatch.setenv("ALLCORES_FORCE", "1")
    gc.collect()
    before = open_files()
    mark = str(tmp_path / "killed")
    task = partial(big_and_deadly, os.getpid(), mark)
    results = allcores.map(task, range(16), workers=2, chunk=1, on="fork")
    assert [a[0] for a in results] == list(range(16))
    assert os.path.exists(mark)
    del results
    gc.collect()
    assert (open_files(), maps_of_ours()) == (before, 0)


def big_and_deadly(program: int, mark: str, i: int) -> np.ndarray:
    if i == 6 and os.getpid() != program and not os.path.exists(mark):
        Path(mark).touch()
        # The thread sees the moment; the worker is in the midst of writing or sending then.
        threading.Thread(target=kill_when_sending, args=(os.getpid(),)).start()
    return np.full(2_000_000, float(i))


def kill_when_sending(pid: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                if "memfd:allcores" in os.readlink(f"/proc/self/fd/{name}"):
                    os.kill(pid, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)


PROGRAM = """
import numpy as np
from allcores import parallel
kept = []
for i in parallel(range(100_000), workers=2, chunk=1):
    kept.append(np.full(200_000, float(i)))
    if i > 20:
        kept.clear()
        print(i, flush=True)
"""


def test_a_program_that_is_killed_leaves_no_memory(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    shared = set(os.listdir("/dev/shm"))
    with subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py")],
        stdout=subprocess.PIPE,
        env={**os.environ, "ALLCORES_FORCE": "1"},
    ) as program:
        assert program.stdout is not None
        for _ in range(20):
            assert program.stdout.readline()
        family = {program.pid, *children(program.pid)}
        until(lambda: who_has_files() & family)
        program.kill()
    until(lambda: not who_has_files() & family)
    assert set(os.listdir("/dev/shm")) <= shared


def test_results_are_seen_by_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork has its own copy of memory, also of that which came from a worker."""
    monkeypatch.setenv("ALLCORES_FORCE", "1")
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


def test_items_of_a_generator_are_ordinary_writable_arrays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They come in memory files, and what an iteration does with its own is seen by nobody else."""
    monkeypatch.setenv("ALLCORES_FORCE", "1")
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
