"""Where the system has no more descriptors, memory files or threads to give."""

from __future__ import annotations

import errno
import gc
import os
import resource
import socket
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import allcores
from allcores import ParallelWarning, parallel
from allcores.engine import thread_limits, wire
from allcores.engine.interpreters import standby
from allcores.engine.thread_limits import thread_pools
from tests.same import forced


def open_now() -> set[str]:
    return {fd for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")}


@contextmanager
def descriptors(more: int) -> Iterator[None]:
    """So many more than are open; afterwards none may have been left open."""
    standby.end_all()  # clean interpreters come and go by themselves
    before = open_now()
    top = max(map(int, before))
    holes = [os.dup(0) for _ in range(top + 1 - len(before))]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (top + 1 + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in holes:
            os.close(fd)
        standby.end_all()
        standby.failed = 0
    assert open_now() == before


def test_where_nothing_can_be_looked_at_thread_pools_are_unseen() -> None:
    thread_pools()  # imports what it needs
    known = thread_limits._found[:]
    thread_limits._found[0] = 0
    with descriptors(0):
        assert thread_pools().info() == []
    thread_limits._found[:] = known


def work(x: int) -> int:
    return x * x


@pytest.fixture
def all_imported() -> None:
    """Where a module cannot be opened no program goes on: what loops need is there."""
    with forced(WORKERS="3"):
        for x in parallel(range(30)):
            work(x)


@pytest.mark.parametrize("more", range(13))
def test_a_loop_with_few_descriptors(more: int, all_imported: None) -> None:
    results: list[int] = []
    with forced(WORKERS="3"), warnings.catch_warnings(), descriptors(more):
        warnings.simplefilter("ignore", ParallelWarning)
        for x in parallel(range(30)):
            results.append(work(x))
    assert results == [x * x for x in range(30)]


@pytest.mark.parametrize("more", range(9))
def test_big_results_with_few_descriptors(more: int, all_imported: None) -> None:
    images: list[np.ndarray] = []
    with forced(WORKERS="2"), warnings.catch_warnings(), descriptors(more):
        warnings.simplefilter("ignore", ParallelWarning)
        for x in parallel(range(12), chunk=2):
            image = np.full(40_000, float(x))
            images.append(image)
        sums = [float(image.sum()) for image in images]
        usable = [image.flags.aligned and image.flags.writeable for image in images]
        # Before Python 3.13 memory that is mapped keeps a descriptor.
        images.clear()
        del image
    assert sums == [40_000.0 * x for x in range(12)]
    assert all(usable)


def test_more_big_results_than_there_may_be_descriptors() -> None:
    images: list[np.ndarray] = []
    pids: set[int] = set()
    with forced(WORKERS="2"), few_in_all(200):
        for x in parallel(range(300), chunk=1, strict=True):
            image = np.full(40_000, float(x))
            images.append(image)
            pids.add(os.getpid())
        assert len(open_now()) < 150
    assert [float(image[-1]) for image in images] == list(range(300))
    assert os.getpid() not in pids


@contextmanager
def few_in_all(count: int) -> Iterator[None]:
    """No more than so many descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("more", range(20))
def test_a_pool_with_few_descriptors(more: int) -> None:
    allcores.Pool(1).terminate()  # what is to be imported has been

    def squares() -> list[int]:
        with allcores.Pool(2) as pool:
            return pool.map(work, range(30))

    with warnings.catch_warnings(), descriptors(more):
        warnings.simplefilter("ignore", ParallelWarning)
        try:
            assert squares() == [x * x for x in range(30)]
        except OSError as error:
            assert error.errno == errno.EMFILE
            assert more < 2


def test_a_memory_file_that_could_not_be_taken_is_not_mistaken_for_another() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    wire.send_frame(theirs, *wire.encode(np.full(40_000, 1.0)))
    reader = wire.Reader(ours)
    with descriptors(0):
        first = reader.read()
    wire.send_frame(theirs, *wire.encode(np.full(40_000, 2.0)))
    second = reader.read()
    assert first is not None and isinstance(first[1], wire.Lost)
    assert second is not None and isinstance(second[1], list)
    assert np.frombuffer(second[1][0]).max() == 2.0
    reader.close()
    ours.close()
    theirs.close()


def test_a_pool_that_a_helper_worked_for_leaves_no_descriptor() -> None:
    before = open_now()
    gc.disable()
    try:
        with allcores.Pool(2) as pool:
            next(pool.imap(work, range(1000)))
        deadline = time.monotonic() + 10
        while open_now() != before and time.monotonic() < deadline:
            pass
        assert open_now() == before
    finally:
        gc.enable()


def test_an_exception_arrives_where_no_module_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with allcores.Executor(2) as executor:
        monkeypatch.setattr(sys, "meta_path", [])
        error = executor.submit(divmod, 1, 0).exception(20)
        monkeypatch.undo()
    assert isinstance(error, ZeroDivisionError)


@pytest.fixture
def no_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)


@pytest.mark.usefixtures("no_more_threads")
def test_an_executor_without_a_thread_does_tasks_at_once() -> None:
    with allcores.Executor(2) as executor:
        futures = [executor.submit(work, x) for x in range(5)]
        assert [f.done() for f in futures] == [True] * 5
        assert [f.result() for f in futures] == [0, 1, 4, 9, 16]
        assert list(executor.map(work, range(5))) == [0, 1, 4, 9, 16]
        refused = executor.submit(divmod, 1, 0)
        assert isinstance(refused.exception(), ZeroDivisionError)


@pytest.mark.usefixtures("no_more_threads")
@pytest.mark.parametrize("how", [lambda x: x, iter])
def test_a_pool_without_threads_and_workers(how: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    with pytest.warns(ParallelWarning, match="serially"):
        pool = allcores.Pool(2)
    with pool:
        assert list(pool.imap(work, how(range(5)))) == [0, 1, 4, 9, 16]
        assert list(pool.imap(work, how(range(5)), 2)) == [0, 1, 4, 9, 16]
        assert pool.map(work, how(range(5))) == [0, 1, 4, 9, 16]


@pytest.mark.usefixtures("no_more_threads")
def test_a_pool_without_a_thread() -> None:
    told: list[int] = []
    with allcores.Pool(2) as pool:
        assert list(pool.imap(work, (x for x in range(5)))) == [0, 1, 4, 9, 16]
        later = pool.apply_async(work, (3,), callback=told.append)
        assert later.get() == 9
        pool.map_async(work, range(3), callback=told.extend)
        pool.close()
        pool.join()
    assert told == [9, 0, 1, 4]
