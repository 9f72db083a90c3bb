"""How long a measured loop would take on so many cores: its schedule, played through.

Workers take chunks as the engine hands them out; the user's process pulls items, unpacks results
and commits them in order. A loop that the engine would leave alone takes what it took.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from allcores.engine.schedule import AHEAD, CHUNK_SECONDS
from allcores.find.costs import Costs
from allcores.find.runs import Piece
from allcores.worth import FEW, TASTE_SECONDS, WORTH_ITERATION, WORTH_SECONDS

MOST_CHUNKS = 20_000
HANDING_SECONDS = 60e-6
"""What a chunk costs its worker beside its iterations: waking up, looking at its streams."""
SLOW_COMMITS = 0.8
"""As `slow_commits` in entry.py: with more of a worker's time in commits it gives up."""


@dataclass(slots=True)
class Shares:
    """Seconds of one iteration that do not get faster, or that parallel running adds."""

    commit: float = 0.0
    pull: float = 0.0
    pack: float = 0.0
    unpack: float = 0.0
    big_bytes: float = 0.0

    def parent(self, costs: Costs) -> float:
        """In the user's process, for each iteration."""
        return self.commit + self.pull + self.unpack + costs.parent_iteration

    def worker(self, costs: Costs) -> float:
        """Added to each iteration's work in a worker."""
        return self.pack + costs.worker_iteration + self.big_bytes * costs.worker_byte


def run_seconds(
    pieces: list[Piece], shares: Shares, cores: int, costs: Costs, slowdown: float = 1.0
) -> float:
    """Seconds that one run of a loop would take with this many cores.

    pieces: the run as it was measured. slowdown: of work while all cores are busy.
    """
    number = sum(count for count, _ in pieces)
    alone = sum(seconds for _, seconds in pieces)
    if cores < 2 or number < 2 or alone / number < WORTH_ITERATION or alone < WORTH_SECONDS:
        return alone
    beside = (shares.commit + shares.pull) * number
    work = max(alone - beside, 0.0)
    committing = shares.commit + costs.parent_iteration
    if number >= 200 and committing * number > max(0.05, SLOW_COMMITS * work):
        return alone
    workers = min(cores, number)
    setup = costs.setup + (workers - 1) * costs.worker
    # Few items get workers at once; of many, the first are done here.
    tasted = 0.0 if number <= FEW * cores else min(TASTE_SECONDS, alone)
    factor = slowdown * work / alone * (1 - tasted / alone) if alone else 1.0
    scaled = [(count, seconds * factor) for count, seconds in pieces]
    played = _played(scaled, number, shares, workers, costs)
    # The user's process needs a core as well, for a part of the time.
    busy = sum(seconds for _, seconds in scaled)
    all_work = busy + number * (shares.worker(costs) + shares.parent(costs))
    return setup + tasted + max(played, all_work / cores)


def _played(pieces: list[Piece], number: int, shares: Shares, workers: int, costs: Costs) -> float:
    """When the last iteration is committed, if workers begin at 0."""
    each_worker, each_parent = shares.worker(costs), shares.parent(costs)
    free = [0.0] * workers
    # When each worker can be given another chunk: it has one at work and one waiting.
    slots = [(0.0, level, worker) for level in range(AHEAD) for worker in range(workers)]
    heapq.heapify(slots)
    committed = 0.0
    for count, seconds in _chunks(pieces, number, workers):
        opened, _, worker = heapq.heappop(slots)
        done = max(free[worker], opened) + seconds + count * each_worker + HANDING_SECONDS
        free[worker] = done
        heapq.heappush(slots, (done, 0, worker))
        committed = max(committed, done) + count * each_parent
    return committed


def _chunks(pieces: list[Piece], number: int, workers: int) -> Iterator[Piece]:
    """The iterations in chunks, as the engine cuts them."""
    alone = sum(seconds for _, seconds in pieces)
    length = max(CHUNK_SECONDS, alone / MOST_CHUNKS)
    left = number
    source = iter(pieces)
    have, seconds = next(source)
    estimate = alone / number
    while left:
        size = max(1, min(int(length / max(estimate, 1e-9)), -(-left // (workers * 4))))
        size = min(size, left)
        left -= size
        spent, wanted = 0.0, size
        while wanted:
            taken = min(wanted, have)
            share = seconds * taken / have
            spent, seconds, have, wanted = (
                spent + share,
                seconds - share,
                have - taken,
                wanted - taken,
            )
            if not have and (wanted or left):
                have, seconds = next(source)
        estimate = 0.6 * estimate + 0.4 * spent / size
        yield size, spent
