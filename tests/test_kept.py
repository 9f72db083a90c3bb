"""Big fixed values of clean interpreters: sent again only when they are no longer what they were."""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import allcores
from allcores.engine.held import Held
from allcores.engine.interpreters import standby
from allcores.engine.kept import KEEP, WATCH, Keeper, Kept
from allcores.engine.written import Written

SMALL, BIG = KEEP + 1000, WATCH + 10_000


def kernel_tells() -> bool:
    try:
        Written().close()
    except OSError:
        return False
    return True


@pytest.fixture(params=["told", "compared"])
def keeper(request: pytest.FixtureRequest) -> Iterator[Keeper]:
    """One that asks the kernel, and one that compares."""
    made = Keeper()
    made.tells = request.param == "told"
    if made.tells and not kernel_tells():
        pytest.skip("this kernel does not tell which memory was written to")
    yield made
    made.clear()


def file_of(keeper: Keeper, value: Any) -> Kept:
    return keeper.file_of(pickle.PickleBuffer(value))


def held(kept: Kept) -> bytes:
    return os.pread(kept.file, kept.size, 0)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def add_one(a: np.ndarray) -> None:
    a += 1


def by_a_view(a: np.ndarray) -> None:
    a[5:].view(np.float64)[-1] += 1


def by_c_code(a: np.ndarray) -> None:
    where = a.ctypes.data + a.nbytes // 2
    ctypes.memset(where, ctypes.c_uint8.from_address(where).value ^ 255, 1)


def by_the_system(a: np.ndarray) -> None:
    with open("/dev/urandom", "rb", buffering=0) as file:
        file.readinto(memoryview(a).cast("B")[50_000:50_100])


def at_the_edges(a: np.ndarray) -> None:
    a[-1] += 1


@pytest.mark.parametrize("size", [SMALL, BIG])
@pytest.mark.parametrize("change", [add_one, by_a_view, by_c_code, by_the_system, at_the_edges])
def test_a_file_is_given_again_until_the_value_changes(
    keeper: Keeper, size: int, change: Callable[[np.ndarray], None]
) -> None:
    a = np.arange(size // 8, dtype=float)
    first = file_of(keeper, a)
    assert first.watched == (keeper.tells and size > WATCH)
    for _ in range(2):
        assert file_of(keeper, a) is first
        change(a)
        second = file_of(keeper, a)
        assert second is not first and held(second) == a.tobytes()
        # Once more: it is compared, then watched again.
        assert [file_of(keeper, a) for _ in range(2)] == [second] * 2
        first = second


def test_values_that_share_memory_are_told_apart(keeper: Keeper) -> None:
    a = np.arange(3 * BIG // 8, dtype=float)
    parts = [a, a[100 : 2 * BIG // 8], a[BIG // 8 :]]
    first = [file_of(keeper, part) for part in parts]
    assert [file_of(keeper, part) for part in parts] == first
    a[50] = -1
    assert file_of(keeper, parts[2]) is first[2]
    assert file_of(keeper, parts[1]) is first[1]
    assert file_of(keeper, a) is not first[0]
    a[BIG // 8 + 5] = -1
    assert all(held(file_of(keeper, part)) == part.tobytes() for part in parts)


def test_it_is_freed_with_the_value(keeper: Keeper) -> None:
    keeper.clear()
    file_of(keeper, np.zeros(10))
    before = open_files()
    a = np.ones(BIG // 8)
    file_of(keeper, a[:-1])
    assert open_files() > before
    del a
    gc.collect()
    assert not keeper.files and open_files() <= before + 2  # the two it asks the kernel by


def test_a_fork_keeps_nothing_and_leaves_the_parents_alone(keeper: Keeper) -> None:
    a = np.ones(BIG // 8)
    first = file_of(keeper, a)
    pid = os.fork()
    if pid == 0:
        good = not keeper.files
        a[3] = 2
        good = good and held(file_of(keeper, a)) == a.tobytes()
        keeper.clear()
        os._exit(0 if good else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert file_of(keeper, a) is first
    a[BIG // 16] = 2
    assert file_of(keeper, a) is not first


def test_calls_see_each_change_of_a_big_fixed_value() -> None:
    a = np.zeros(BIG // 8)
    for turn in range(4):
        a[turn * 1000] = turn + 1
        sums = allcores.map(partial(total, a), range(4), on="fresh", workers=2, chunk=1)
        assert sums == [a.sum() + i for i in range(4)]


def test_workers_drop_a_value_that_is_no_more() -> None:
    a = np.full(BIG // 8, 2.0)
    assert allcores.map(partial(total, a), range(4), on="fresh", workers=2, chunk=1)
    pids = [worker.pid for worker in standby.idle]
    assert maps_with(pids, a.nbytes)  # of those that were ready in time
    del a
    gc.collect()
    deadline = time.monotonic() + 10
    while maps_with(pids, BIG) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not maps_with(pids, BIG)


def maps_with(pids: list[int], size: int) -> int:
    """How many maps of memory files of so many bytes these processes have."""
    found = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            first, _, last = line.split()[0].partition("-")
            found += "memfd:allcores" in line and int(last, 16) - int(first, 16) >= size
    return found


def test_what_work_writes_to_a_held_value_is_gone_with_the_next_loop() -> None:
    kept = Keeper().file_of(pickle.PickleBuffer(np.arange(KEEP, dtype=np.uint8)))
    held = Held()
    for turn in range(5):
        if turn % 2:
            held.look()
        a = np.frombuffer(held.take(kept.number, kept.file), np.uint8)
        assert np.array_equal(a, np.arange(KEEP, dtype=np.uint8))
        a[5_000] ^= 255
        a[-1] ^= 255
    assert len(held.maps) == 1
    held.keep_only([])
    assert not held.maps


def total(a: np.ndarray, more: int) -> float:
    return float(a.sum()) + more
