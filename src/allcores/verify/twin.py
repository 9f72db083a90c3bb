"""Twins: forked copies of the program that run a loop again from the state it started in.

At the loop a *keeper* is forked, which holds that state for as long as it is needed. For each run
it forks a *twin*, which goes on with the program, does the loop in the way asked for, writes down
what it left, and ends. Nothing of what a twin prints or writes to files is kept.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import random
import signal
import socket
import sys
import warnings
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from allcores.engine.forkable import ready_to_fork
from allcores.inputs import as_is
from allcores.verify import undo
from allcores.verify.graph import Graph

PLAIN, PARALLEL = "plain", "parallel"


class Left(NamedTuple):
    """What one run of a loop left."""

    graph: Graph
    iterations: int
    in_workers: int
    changes: undo.Changes
    within: frozenset[int] = frozenset()
    """The loops that ran in it, by their numbers."""


class TwinFailed(Exception):
    """A twin ended without an answer; the text says how."""


class Request(NamedTuple):
    """How a twin is to do the loop: "plain" or "parallel", and at most how many iterations.

    paths: files that the loop is known to change, also where it is workers that do.
    """

    way: str
    limit: int | None
    paths: tuple[str, ...]


class Keeper:
    """The parent's end of a keeper."""

    def __init__(self, pid: int, sock: socket.socket, answers: int, timeout: float | None) -> None:
        self.pid, self.sock, self.answers, self.timeout = pid, sock, answers, timeout

    def left_by(self, way: str, limit: int | None = None, paths: Iterable[str] = ()) -> Left:
        """Have the loop done by a twin. Raises TwinFailed."""
        os.ftruncate(self.answers, 0)
        self.sock.settimeout(self.timeout)
        try:
            asked = pickle.dumps(Request(way, limit, tuple(paths)))
            self.sock.sendall(len(asked).to_bytes(8, "little") + asked)
            status = int(self.sock.recv(100).decode() or "-1")
        except TimeoutError:
            raise TwinFailed(f"its {way} twin did not end within {self.timeout:g} s") from None
        size = os.fstat(self.answers).st_size
        if not size:
            raise TwinFailed(f"its {way} twin {_ended(status)}")
        left = pickle.loads(os.pread(self.answers, size, 0))
        assert isinstance(left, Left)
        return left

    def close(self) -> None:
        """End the keeper, and with it the twin that may be running."""
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        self.sock.close()
        os.close(self.answers)


def _ended(status: int) -> str:
    code = os.waitstatus_to_exitcode(status) if status >= 0 else 0
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else "ended the whole program"


def keep(timeout: float | None) -> tuple[Keeper | None, Request | None, int]:
    """Fork a keeper here; returns three times, so to speak. Raises OSError where that cannot be.

    In this process: the Keeper. In each twin, later: the Request, and the file for its answer.
    """
    ready_to_fork()
    answers = os.memfd_create("allcores-verify")
    ours, theirs = socket.socketpair()
    pid = _fork()
    if pid:
        theirs.close()
        return Keeper(pid, ours, answers, timeout), None, -1
    try:
        ours.close()
        request = _serve(theirs)
    except BaseException:
        os._exit(1)
    return None, request, answers


def _fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        parent = os.getpid()
        state = random.getstate()
        pid = os.fork()
    if pid == 0:
        _die_with(parent)
        # The module starts another stream in each forked process.
        random.setstate(state)
    return pid


def _die_with(parent: int) -> None:
    """Have the kernel end this process when the one that made it ends, in whatever way."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)


def _serve(sock: socket.socket) -> Request:
    """The life of a keeper: returns in the twins only."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    undo.own_descriptors()
    while True:
        asked = _received(sock, int.from_bytes(_received(sock, 8), "little"))
        pid = _fork()
        if pid == 0:
            sock.close()
            undo.own_descriptors()
            request = pickle.loads(asked)
            assert isinstance(request, Request)
            return request
        sock.sendall(str(os.waitpid(pid, 0)[1]).encode())


def _received(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            os._exit(0)
        data += part
    return data


def answer(file: int, left: Left) -> None:
    """Write down what the loop left, and end this twin."""
    try:
        os.lseek(file, 0, os.SEEK_SET)
        with open(file, "wb", closefd=False) as stream:
            pickle.dump(left, stream, protocol=5)
    except BaseException:
        os._exit(1)
    os._exit(0)


class Counted:
    """An iterator that counts what it gave."""

    def __init__(self, iterable: Any) -> None:
        self.iterator = as_is(iter(iterable))
        self.given = 0

    def __iter__(self) -> Counted:
        return self

    def __next__(self) -> Any:
        item = next(self.iterator)
        self.given += 1
        return item


def limited(iterable: Any, limit: int | None, plain_source: bool) -> Any:
    """At most so many items of it, of the kind of source that it is itself."""
    if limit is None:
        return iterable
    first: Iterator[Any] = islice(iterable, limit)
    return list(first) if plain_source else first


def flush() -> None:
    """Write out what the standard streams hold back."""
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            pass
