"""What a loop would gain on a number of cores, from its measured runs and this machine's costs."""

from __future__ import annotations

import math
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

from allcores.find.measure import Entry, Loop

TASTE_SECONDS = 0.0015
WORTH_SECONDS = 0.008
WORTH_ITERATION = 4e-6
FEW = 50
COMMIT_SECONDS = {True: 0.7e-6, False: 3e-6}
"""What a commit takes to record, send and do, roughly; more where not every iteration makes it."""


@dataclass(slots=True, frozen=True)
class Costs:
    """What this machine asks for workers. Times in seconds."""

    start: float
    """Making workers, and ending them."""
    iteration: float
    """Sending and committing one iteration's result."""
    scaling: float
    """How fast two cores are together, where one is 1: neighbours and shared caches take some."""
    cores: int


def speed_up(loop: Loop, cores: int, costs: Costs) -> float:
    """How many times as fast the loop itself would be."""
    seconds = loop.seconds
    if not seconds:
        return 1.0
    return seconds / max(seconds_on(loop, cores, costs), 1e-9)


def of_the_run(loop: Loop, total: float, cores: int, costs: Costs) -> float:
    """How many times as fast the whole run of `total` seconds would be (Amdahl's law)."""
    saved = loop.seconds - seconds_on(loop, cores, costs)
    return total / max(total - saved, 1e-9)


def seconds_on(loop: Loop, cores: int, costs: Costs) -> float:
    """The time in the loop on so many cores."""
    if loop.plan.verdict != "parallel" or cores < 2:
        return loop.seconds
    every = sum(_entry_seconds(e, loop, cores, costs) for e in loop.entries)
    return every + loop.others.seconds


def _entry_seconds(entry: Entry, loop: Loop, cores: int, costs: Costs) -> float:
    if not entry.iterations or entry.seconds < WORTH_SECONDS + TASTE_SECONDS:
        return entry.seconds
    mean = entry.seconds / entry.iterations
    if mean < WORTH_ITERATION:
        return entry.seconds
    tasted = 0.0 if entry.iterations <= FEW * cores else TASTE_SECONDS
    commits = len(loop.plan.steps) * COMMIT_SECONDS[loop.plan.straight] * entry.iterations
    # Threads of a library (BLAS) may keep several cores busy already.
    threads = max(entry.cpu / entry.seconds, 1.0)
    ahead = max(entry.seconds - tasted - commits, 0.0) * threads
    here = entry.iterations * costs.iteration + commits
    busy = min(cores, entry.iterations)
    # Beyond this machine's cores nothing has been measured: they are taken to be as good.
    each = busy * (costs.scaling / 2 if cores <= costs.cores and cores > 1 else 1.0)
    shared = (ahead + here) / max(each, 1.0)
    rounds = math.ceil(entry.iterations / busy) * mean if entry.iterations < 4 * busy else 0.0
    uneven = ahead / max(each, 1.0) + max(entry.longest - mean, 0.0) * (1 - 1 / busy) / 2
    return tasted + costs.start + max(shared, rounds, uneven, entry.longest, here)


def measured_costs(cores: int) -> Costs:
    """This machine's costs, measured in a fraction of a second; nothing of them is left."""
    scaling = _scaling() if cores > 1 else 1.0
    if not hasattr(os, "fork") or cores < 2:
        return Costs(0.01, 2e-6, scaling, cores)
    start = min(_run_seconds(2, cores) for _ in range(3))
    many = min(_run_seconds(20_000, cores) for _ in range(2))
    return Costs(start, max(many - start, 0.0) / 20_000, scaling, cores)


class _Job:
    """Iterations that do nothing, to see what the rest costs."""

    work: Callable[[Any], Any] = staticmethod(int)

    def enter_worker(self) -> None: ...

    def before_chunk(self) -> None: ...

    def after_chunk(self, results: list[Any], last: bool, cut: Any) -> tuple[Any, Any]:
        return None, None

    def lighten(self, extra: Any, empty: bool) -> Any:
        return None


def _run_seconds(count: int, cores: int) -> float:
    from allcores.engine.forkable import why_not_forkable
    from allcores.engine.schedule import Batch, Run
    from allcores.engine.source import Indexed

    if why_not_forkable() is not None:
        return 0.01 + count * 2e-6
    out: list[Any] = []
    start = perf_counter()
    run = Run(_Job(), Indexed(range(count)), workers=cores, estimate=1e-6)
    try:
        for event in run:
            if isinstance(event, Batch):
                for result in event.results:
                    out.append(result)
    finally:
        run.close()
    return perf_counter() - start


def _spin(seconds: float, count: int | None = None) -> tuple[int, float]:
    """Turns of a loop in so many seconds; or the seconds that so many turns take."""
    start, turns, x = perf_counter(), 0, 0
    while (perf_counter() - start < seconds) if count is None else (turns < count):
        for j in range(500):
            x += j * j % 7
        turns += 1
    return turns, perf_counter() - start


def _scaling() -> float:
    """How much two processes get done together, where one alone does 1."""
    if not hasattr(os, "fork"):
        return 2.0
    context = multiprocessing.get_context("fork")
    best = 1.0
    for _ in range(2):
        alone, seconds = _spin(0.04)
        there, here = context.Pipe(duplex=False)
        child = context.Process(target=partial(_spin_and_tell, here, alone))
        child.start()
        start = perf_counter()
        _spin(0, alone)
        mine = perf_counter() - start
        theirs = there.recv() if there.poll(5) else mine
        child.join(5)
        best = max(best, seconds / mine + seconds / max(theirs, 1e-9))
    return min(best, 2.0)


def _spin_and_tell(pipe: Any, count: int) -> None:
    pipe.send(_spin(0, count)[1])
