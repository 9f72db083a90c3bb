"""What workers cost here: loops of known work are run through the engine, in a forked child.

The child is forked off the program at its end, so that forking costs what it would have cost the
program, and all that the trial does is gone with the child.
"""

from __future__ import annotations

import json
import os
import pickle
import select
import signal
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any

PATIENCE_SECONDS = 10.0

_SOURCE = b"""
def tiny(items, out):
    for x in items:
        out.append(x + 1)
def blocks(items, out):
    for x in items:
        out.append(b"x" * x)
def heavy(items, out, work):
    for x in items:
        out.append(work(x))
"""
_BLOCK = 1 << 16


@dataclass(slots=True)
class Costs:
    """Seconds. Those given here are typical ones, for where nothing can be tried."""

    setup: float = 0.006
    """Bringing in one worker, and ending it."""
    worker: float = 0.002
    """Each worker more."""
    parent_iteration: float = 0.6e-6
    worker_iteration: float = 0.4e-6
    parent_byte: float = 0.4e-9
    worker_byte: float = 0.4e-9
    slowdown: float = 1.0
    """How much longer work takes while all cores of this machine are at work."""
    sending: list[tuple[float, float]] = field(default_factory=list)
    """For each loop: packing one iteration's result in a worker, and unpacking it."""
    measured: bool = False


def try_out(samples: Sequence[tuple[Sequence[bytes], float]], workers: int) -> Costs:
    """Measure what workers cost in this process, with this many of them.

    samples: for each loop, pickled results and how many iterations gave them.
    """
    from allcores.engine.forkable import why_not_forkable

    typical = Costs(sending=[_guess(*each) for each in samples])
    if why_not_forkable() is not None:
        return typical
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass
    ours, theirs = os.pipe()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
    except OSError:
        os.close(ours)
        os.close(theirs)
        return typical
    if pid == 0:
        _be_child(theirs, samples, workers)
    os.close(theirs)
    text = _answer(pid, ours)
    try:
        found = Costs(**json.loads(text))
    except (ValueError, TypeError):
        return typical
    return found


def _guess(sample: Sequence[bytes], iterations: float) -> tuple[float, float]:
    each = 1e-6 + 1e-9 * sum(map(len, sample)) / max(iterations, 1.0)
    return each, each


def _answer(pid: int, ours: int) -> bytes:
    """What the child says, if it says it in time."""
    text = b""
    deadline = perf_counter() + PATIENCE_SECONDS
    try:
        while (left := deadline - perf_counter()) > 0:
            if select.select([ours], [], [], left)[0]:
                piece = os.read(ours, 1 << 16)
                if not piece:
                    break
                text += piece
    except KeyboardInterrupt:
        text = b""
    finally:
        os.close(ours)
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
    return text


def _be_child(pipe: int, samples: Sequence[tuple[Sequence[bytes], float]], workers: int) -> None:
    """Never returns."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        sys.settrace(None)
        sys.setprofile(None)
        silence = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(silence, number)
        sys.stdout = sys.stderr = os.fdopen(1, "w")
        found = _tried(workers)
        found.sending = [_sending(*each) for each in samples]
        os.write(pipe, json.dumps(asdict(found)).encode())
    finally:
        os._exit(0)


def _tried(workers: int) -> Costs:
    trial = _Trial()
    # The first time, modules are imported and code is compiled.
    trial.run("tiny", range(workers), workers)
    found = Costs(measured=True)
    one = min((trial.run("tiny", range(1), 1) for _ in range(3)), key=lambda t: t.seconds)
    found.setup = one.seconds
    several = max(workers, 2)
    idle = min((trial.run("tiny", range(several), several) for _ in range(3)), key=lambda t: t.own)
    # Workers get ready beside one another, but are made one after the other.
    found.worker = max(1e-4, (idle.own - one.own) / (several - 1))
    # Of runs that differ in length alone, what getting ready takes is the same.
    long, short = (trial.run("tiny", range(n), workers) for n in (60_000, 20_000))
    found.parent_iteration = max(0.0, long.own - short.own) / 40_000
    found.worker_iteration = max(0.0, long.children - short.children) / 40_000
    long, short = (trial.run("blocks", [_BLOCK] * n, workers) for n in (240, 40))
    found.parent_byte = max(0.0, long.own - short.own) / (200 * _BLOCK)
    found.worker_byte = max(0.0, long.children - short.children) / (200 * _BLOCK)
    if workers > 1:
        found.slowdown = max(1.0, trial.slowdown(workers))
    return found


@dataclass(slots=True)
class _Times:
    seconds: float
    own: float
    """CPU seconds of this process, and of the workers."""
    children: float
    in_workers: float


class _Trial:
    def __init__(self) -> None:
        from allcores import rewrite
        from allcores.loop import listeners

        self.names: dict[str, Any] = {}
        self.reports: list[Any] = []
        listeners[:] = [self.reports.append]
        os.environ["ALLCORES_ON"] = "processes"
        os.environ.pop("ALLCORES_STRICT", None)
        code = rewrite.parallel_code(_SOURCE, "<allcores find>", force=True)
        os.environ["ALLCORES_FORCE"] = "1"
        exec(code, self.names)

    def run(self, name: str, items: Any, workers: int, *more: Any) -> _Times:
        os.environ["ALLCORES_WORKERS"] = str(workers)
        before = _cpu_seconds()
        self.names[name](items, [], *more)
        after = _cpu_seconds()
        report = self.reports.pop()
        own, children = after[0] - before[0], after[1] - before[1]
        return _Times(report.seconds, own, children, report.worker_seconds)

    def slowdown(self, workers: int) -> float:
        """Seconds of work with all workers busy over seconds of the same work alone.

        Cores share caches and a part of themselves, and other programs may be using them now.
        """
        count, alone, together = 8, 0.0, 0.0
        # In turns, for what other programs do changes all the time.
        for _ in range(6):
            start = perf_counter()
            for x in range(count):
                _spin(x)
            alone += perf_counter() - start
            run = self.run("heavy", range(count * workers), workers, _spin)
            together += run.in_workers / workers
        return together / alone


def _cpu_seconds() -> tuple[float, float]:
    """Of this process, and of those that it has waited for."""
    import resource

    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime, children.ru_utime + children.ru_stime


def _spin(x: int) -> int:
    for i in range(40_000):
        x += i & 3
    return x


def _sending(sample: Sequence[bytes], iterations: float) -> tuple[float, float]:
    """Seconds to pack and to unpack the results of one iteration, many being packed together."""
    if not sample or not iterations:
        return 0.0, 0.0
    from allcores.build.travel import stuck_ones

    packing, unpacking = [], []
    for _ in range(5):
        values = [pickle.loads(each) for each in sample if each]
        start = perf_counter()
        stuck_ones(values)
        body = pickle.dumps(values, protocol=5)
        packed = perf_counter()
        pickle.loads(body)
        packing.append(packed - start)
        unpacking.append(perf_counter() - packed)
    return min(packing) / iterations, min(unpacking) / iterations
