"""Workers that are clean interpreters: they get all that they need, and stay for the next loop.

They stand in for forks where this process cannot be forked, with the same face as `Crew`.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from typing import Any

from allcores.engine import crew
from allcores.engine.crew import Crew, Worker, refused
from allcores.engine.failures import CannotFork
from allcores.engine.held import Place
from allcores.engine.interpreters import FreshWorker, pickled, standby, this_folder, told
from allcores.engine.job import Job
from allcores.engine.kept import KEEP, Kept, keeper
from allcores.engine.limits import NO_LIMITS, Limits
from allcores.engine.mapped import write_file
from allcores.engine.shipment import CannotShip, Shipment
from allcores.engine.slots import STARTING, Slots
from allcores.engine.wire import size_of

MOST_DEATHS = 2
"""So many may die before they have the job, as by somebody else's doing."""
MOST_KEPT = 32
"""So many big values of a shipment have a file each: a message takes no more than some descriptors."""


class Parcel:
    """A shipment in memory files: written once, and mapped by all workers that it is sent to.

    Files of big values are kept for the next shipment that has them.
    """

    def __init__(self, shipment: Shipment) -> None:
        sizes = [(size_of(buffer), k) for k, buffer in enumerate(shipment.buffers)]
        big = {k for size, k in sorted(sizes)[-MOST_KEPT:] if size >= KEEP}
        self.kept: list[Kept] = []
        self.places: list[Place] = []
        """Of each piece: the number of its file, and where it is there."""
        pieces = [memoryview(shipment.body)]
        for k, buffer in enumerate(shipment.buffers):
            if k in big:
                self.kept.append(keeper.file_of(buffer))
                self.places.append((len(self.kept), 0, self.kept[-1].size))
            else:
                pieces.append(buffer.raw())
                self.places.append((0, 0, 0))
        self.maker = shipment.maker
        self.file, starts = write_file(pieces)
        own = ((0, at, at + piece.nbytes) for at, piece in zip(starts, pieces))
        first = next(own)
        self.places = [first, *(place if place[0] else next(own) for place in self.places)]

    def files(self) -> list[int]:
        """The descriptors of its files."""
        return [self.file, *(each.file for each in self.kept)]

    def close(self) -> None:
        self.kept.clear()
        os.close(self.file)


class FreshCrew(Crew):
    """The clean interpreters at work on one loop."""

    apart = True

    def __init__(self, job: Job, items: Any, slots: Slots, limits: Limits = NO_LIMITS) -> None:
        """Raises CannotShip where clean interpreters cannot be given the job."""
        shipped = getattr(job, "shipped", None)
        if shipped is None:
            raise CannotShip("workers that are no forks cannot be given such a loop yet")
        try:
            self.parcel: Parcel | None = Parcel(shipped())
        except OSError as error:
            raise CannotFork(
                error.errno, f"there is no room to send it: {error.strerror}"
            ) from None
        self.told = told()
        self.never_began = 0
        """How many died while they made the job of what they were sent."""
        self.here = this_folder()
        super().__init__(job, items, slots, limits)

    def hold_threads(self) -> bool:
        return False  # they limit their own

    def may_add(self, wanted: int) -> bool:
        """Whether one is ready; the first one is waited for."""
        self.wanted = wanted
        is_ready = standby.prepare(wanted)
        return is_ready or not self.workers

    def are_coming(self) -> bool:
        starting = [w for w in self.workers if isinstance(w, FreshWorker) and not w.started]
        for worker in starting:
            if worker.is_stuck():
                worker.kill()
        return bool(starting) or (self.wanted > 0 and not standby.gives_up())

    def add(self, number: int) -> Worker:
        """Give the job to one that stands by, or start one."""
        assert self.parcel is not None
        if self.never_began > MOST_DEATHS:
            raise CannotFork(errno.EAGAIN, "clean interpreters died as they were given the work")
        self.slots.is_new(number)
        worker = standby.take()
        files = [self.slots.file, *self.parcel.files()]
        files += [fd for fd in (self.closing, self.here) if fd >= 0]
        kept = [each.number for each in self.parcel.kept]
        order = (
            len(files),
            (self.parcel.maker, self.parcel.places, kept, number),
            (self.slots.count, self.slots.room),
            tuple(self.limits),
            self.closing >= 0,
            self.here >= 0,
            self.told,
        )
        worker.holds.update(kept)
        try:
            worker.begin(number, pickled(order), files)
        except OSError as error:
            standby.give_back(worker)
            raise refused(error) from None
        self.workers.append(worker)
        self.wanted -= 1
        return worker

    def remove(self, worker: Worker) -> None:
        assert isinstance(worker, FreshWorker)
        standby.wait_if_over()
        standby.note_end(worker)
        self.never_began += worker.started and self.slots.at[worker.number] == STARTING
        super().remove(worker)
        standby.all.discard(worker)

    def close(self, hurried: Callable[[], object] = bool) -> None:
        """Give back those that have nothing to do any more, and end the others."""
        kept: list[FreshWorker] = []
        for worker in self.workers:
            assert isinstance(worker, FreshWorker)
            if not worker.assigned and not worker.outbox and not worker.spoiled:
                worker.end_job()
                kept.append(worker)
        others = [w for w in self.workers if w not in kept]
        self.workers = others
        if self.closing >= 0:
            self.let_put_back(kept, hurried)
        super().close(hurried)
        for worker in others:
            standby.all.discard(worker)
        for worker in kept:
            standby.give_back(worker)
        parcel, self.parcel = self.parcel, None
        if parcel is not None:
            parcel.close()
            if self.here >= 0:
                os.close(self.here)

    def let_put_back(self, kept: list[FreshWorker], hurried: Callable[[], object]) -> None:
        """Wait until workers have closed what is their own; those that take too long are ended."""
        began = time.monotonic()
        waiting = list(kept)
        while waiting:
            waiting = [w for w in waiting if not w.is_clean() and not w.gone()]
            if time.monotonic() - began > (crew.CLOSING_HURRIED if hurried() else crew.CLOSING):
                break
            time.sleep(0.001)
        for worker in waiting:
            kept.remove(worker)
            self.workers.append(worker)
