"""The coordinator: hands out chunks, waits, and gives results back in iteration order.

It runs in the calling thread and only while the caller asks for the next batch.
"""

from __future__ import annotations

import math
import pickle
import select
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from time import monotonic, perf_counter
from typing import Any, NamedTuple, Protocol

from allcores.engine import memory, wire
from allcores.engine.chunks import Chunk, Chunks
from allcores.engine.cores import usable_cores
from allcores.engine.crew import Crew, Worker
from allcores.engine.descendants import kill_tree
from allcores.engine.errors import unpack
from allcores.engine.failures import CannotFork, passed_memory, took_too_long, worker_died
from allcores.engine.interrupts import Interrupts, from_handler
from allcores.engine.job import UNMADE, Cut, Job
from allcores.engine.limits import NO_LIMITS, Limits
from allcores.engine.serve import SPOILS
from allcores.engine.shipment import CannotShip
from allcores.engine.slots import BESIDE, IDLE, REFUSED, SENDING, STARTING, Slots
from allcores.engine.source import Indexed, Streamed, as_sent
from allcores.engine.waits import MOST_INTERPRETERS, MOST_PROCESSES, Growth, use_of_more
from allcores.engine.ways import Way, crew_of
from allcores.engine.wire import Lost
from allcores.plan.quiet import no_warnings

CHUNK_SECONDS = 0.010
CHUNK_BYTES = 4 << 20
AHEAD = 2
"""Chunks a worker has at a time: one at work, one waiting."""
KEEP_LISTENING = 4
"""From so many workers on, what the first ones say is heard before another is made."""
WINDOW = 16
"""Chunks a worker may be ahead of the oldest unfinished one."""
KEPT_AT_ONCE = 512
STREAMED_AT_ONCE = 4
"""Of a journal, so many iterations are read in one go, and so many of an input without an index."""
FALSE_STARTS = 5
"""Workers that may be lost before they have begun anything, for each worker, one after the other."""
LONGEST_WAIT = 100_000_000
"""Milliseconds: what `poll` takes."""
STEADY_LOOK, MUCH_TOO_LATE = 0.25, 0.5
"""With a limit of time the coordinator looks up so often; so much later it was stopped meanwhile."""
STARTING_LOOK = 0.003
"""While workers start that are no forks, it is looked so often whether they are ready."""
HELD_BYTES = 64 << 20
"""Results that wait for an earlier one may take this much before no more is handed out."""

ENOUGH_SECONDS = 0.02
"""After so much time in iterations it is known whether they wait."""


class Waiting(NamedTuple):
    """What is done about iterations that wait."""

    most: int
    """So many workers they may have."""
    threads: bool
    """Whether these may be threads."""
    idle: float | None = None
    """The part of their time that iterations wait, if that is known."""


NEVER = Waiting(0, False)


def waiting_in(way: Way, on: str, most: int, idle: float | None) -> Waiting:
    """What is done about iterations that wait. on: what was asked for; most, idle: as `Waiting`."""
    if way == "fresh":
        return Waiting(min(most, MOST_INTERPRETERS), False, idle)
    return Waiting(most, on != "fork", idle)


class Batch(NamedTuple):
    """Results of neighbouring iterations, ready to be committed."""

    start: int
    items: Sequence[Any]
    results: list[Any]
    extra: Any
    seconds: float
    last: bool


class Halt(NamedTuple):
    """An iteration that no worker can finish: the caller deals with it, then asks for more.

    Where there is an `error` the iteration is not to be done by the caller: workers have died on it
    (kind "died"), it took too long ("timeout") or passed the limit of memory ("raised").
    """

    place: int
    item: Any
    kind: str
    text: str
    detail: str
    error: BaseException | None = None
    """What to raise, or to put on a list."""


class Journaled(Protocol):
    """What a run asks of a journal (`engine/records.py`)."""

    def find(self, start: int, items: Sequence[Any]) -> list[Any]:
        """Of each of these iterations what is kept of it (seconds, record, extra, size), or None."""

    def keep(
        self, start: int, results: Sequence[Any], seconds: float, extras: Sequence[Any]
    ) -> None:
        """Keep these results, each with an extra, unless that is NOT_KEPT."""

    def due(self) -> float | None:
        """In how many seconds `flush` is to be called; None: there is nothing to be written."""

    def flush(self) -> None:
        """Write what is to be written."""


class Run:
    """The iterations of one loop, done by workers.

    Iterate over it for `Batch` and `Halt` in iteration order, without gaps. Asking for the next
    one after a `Halt` means that its iteration has been dealt with. `rest()` gives up the workers
    and gives all items not handed out yet. `close()` ends it at any time.

    job: what is done; source: `Indexed` or `Streamed`; workers: how many processes (1 or more);
    chunk: iterations a chunk, or None to go by time; estimate: seconds an iteration may take;
    limits: what iterations may take; first: what the first one is called in errors; interrupts: let
    through where others' code runs, and while nothing is to be done; journal: what has been done
    before, and where what is done is kept; way: how workers are made; waiting: what is done about
    iterations that wait.

    Raises from `next()` CannotFork when no worker can be made, and CannotShip when the job cannot be
    sent to workers that are no forks: then `rest()` gives all that is left.
    """

    def __init__(
        self,
        job: Job,
        source: Indexed | Streamed,
        *,
        workers: int,
        chunk: int | None = None,
        estimate: float | None = None,
        limits: Limits = NO_LIMITS,
        first: int = 0,
        interrupts: Interrupts | None = None,
        journal: Journaled | None = None,
        way: Way = "fork",
        waiting: Waiting = NEVER,
    ) -> None:
        self.job, self.source, self.limits, self.first = job, source, limits, first
        self.way: Way = way
        self.waiting = waiting
        self.idle = waiting.idle
        """The part of their time that iterations wait, once that is known."""
        self.growth: Growth | None = None
        """How many workers there are, where iterations wait."""
        self.ahead = AHEAD
        self.has_threads = False
        self.peak = 0
        """The most workers that there were."""
        self.interrupts = interrupts or Interrupts()
        self.interrupted = False
        """Whether it is ended by Ctrl-C, which is not to wait for anything."""
        self.journal = journal
        self.kept_at_once = 1
        """So many iterations are looked up in the journal together."""
        self.decode = getattr(job, "decode", pickle.loads)
        self.count = workers
        self.chunk = chunk
        self.estimate = estimate
        self.item_bytes = 0.0
        self.crew: Crew | None = None
        self.fork_seconds = self.work_seconds = 0.0
        self.chunks = Chunks(limits.retries)
        self.order = self.chunks.order
        self.held = 0
        self.lost = 0
        """Workers lost before they had begun anything, since the last one that had."""
        self.suspects = False
        """Whether there may be chunks that a process with several threads has died of."""
        self.refused: CannotFork | None = None
        """Why no worker could be made in the place of one that is gone."""
        self.unmade: CannotShip | None = None
        """Why a worker that is no fork could not make the job."""
        self.holds_back = False
        """Whether a worker waits because the machine has hardly any memory left."""
        self.reading_on = False
        """Whether more is to be read and handed out, once what workers have said is heard."""
        self.exhausted = False
        self.closed = False
        self.slots = Slots.made(0, False)
        self.poll = select.poll()
        self.by_fd: dict[int, Worker] = {}

    def __iter__(self) -> Iterator[Batch | Halt]:
        return self

    def next_timed(self) -> tuple[Batch | Halt, float, float]:
        """The next one, the seconds it took, and what reading the input took of them."""
        began, read = perf_counter(), self.source.seconds
        event = next(self)
        return event, perf_counter() - began, self.source.seconds - read

    def __next__(self) -> Batch | Halt:
        if self.closed:
            raise StopIteration
        if self.crew is None:
            ready = self.done_before() if self.journal is not None else None
            if ready is not None:
                return ready
            self.start()
        while True:
            ready = self.head()
            if ready is not None:
                return ready
            self.grow()
            self.hand_out()
            if not self.order:
                self.close()
                error = getattr(self.source, "error", None)
                if error is not None:
                    raise error
                raise StopIteration
            if self.order[0].answer is None:
                self.wait(0 if self.reading_on else None)

    # -- making workers

    def start(self) -> None:
        with self.interrupts.let_through():
            left = self.source.left()
        waiting = sum(len(chunk.items) for chunk in self.chunks.todo)
        if left is not None:
            self.count = min(self.count, max(left + waiting, 1))
        crew_class = crew_of(self.way)
        most = self.waiting.most if left is None else min(self.waiting.most, left + waiting)
        try:
            self.slots = Slots.made(self.count, crew_class.apart, most)
        except OSError as error:
            why = f"the system refused memory for workers: {error.strerror}"
            raise CannotFork(error.errno, why) from None
        self.machine = memory.machine()
        self.killed_before = self.machine.killed()
        for stream in (sys.stdout, sys.stderr):
            try:
                with self.interrupts.let_through():
                    stream.flush()
            except (AttributeError, OSError, ValueError) as error:
                if from_handler(error):
                    raise
        items = self.source.items if isinstance(self.source, Indexed) else None
        self.crew = crew_class(self.job, items, self.slots, self.limits)
        if self.way == "threads" or self.waits():
            self.have_more(most)
        try:
            self.grow()
        except BaseException:
            self.close()
            raise

    def waits(self) -> bool:
        """Whether iterations are known to wait, so that more workers than cores are of use."""
        return use_of_more(self.idle, self.waiting.most)

    def have_more(self, most: int) -> None:
        """From now on workers are threads, where they can be; more than cores, where that helps."""
        crew = self.crew
        assert crew is not None
        make = getattr(self.job, "for_threads", None) if self.waiting.threads else None
        shared = make() if make is not None and not self.has_threads else None
        if shared is not None:
            from allcores.engine.threads import ThreadCrew

            self.has_threads = True
            self.crew = ThreadCrew(
                self.job, crew.items, self.slots, self.limits, shared, crew, self.hosts(most)
            )
        if self.waits():
            assert self.idle is not None
            most = most if self.has_threads else min(most, MOST_PROCESSES)
            self.growth = Growth(most, self.idle, len(crew.workers))
            self.ahead = 1  # what one has waiting, another could wait for

    def hosts(self, threads: int) -> int:
        """Among how many processes so many threads are shared out: those of one compute in turn."""
        if self.idle is None:
            return 1
        return max(1, min(usable_cores(), math.ceil((1 - self.idle) * threads)))

    def see_whether_it_waits(self) -> None:
        """The first iterations are done: have more workers if they have waited."""
        spent, waited = sum(self.slots.spent), sum(self.slots.waited)
        if spent < ENOUGH_SECONDS or self.crew is None:
            return
        self.idle = waited / spent
        if self.waits():
            self.have_more(len(self.slots.at))

    def still_growing(self) -> bool:
        """Whether workers are being made in the place of which more may be done soon."""
        return self.growth is not None and not self.growth.grown

    def allowed(self) -> int:
        """How many workers there may be now."""
        return self.count if self.growth is None else self.growth.allowed

    def grow(self) -> None:
        """Make workers, up to the number asked for, while one more saves more than it costs."""
        assert self.crew is not None
        if self.refused is not None:
            return
        while len(self.crew.workers) < self.allowed() and self.worth_another():
            if self.gives_first():
                return
            if not self.crew.may_add(self.allowed() - len(self.crew.workers)):
                return
            if self.crew.workers and self.machine.nearly_full():
                return
            began = perf_counter()
            try:
                self.watch(self.crew.add(len(self.crew.workers)))
            except CannotFork:
                if not self.crew.workers:
                    raise
                self.enough()
                return
            seconds = perf_counter() - began
            self.fork_seconds = min(self.fork_seconds or seconds, seconds)
            self.peak = max(self.peak, len(self.crew.workers))
            self.hand_out(1)
            if len(self.crew.workers) >= KEEP_LISTENING or self.reads_slowly():
                self.wait(0)
        self.crew.wanted = 0

    def enough(self) -> None:
        """The system makes no more workers than there are."""
        assert self.crew is not None
        self.count = min(self.count, max(len(self.crew.workers), 1))
        if self.growth is not None:
            self.growth.stop_at(len(self.crew.workers))

    def worth_another(self) -> bool:
        """Whether one more worker would shorten what is left by more than it takes to make it."""
        assert self.crew is not None
        left, number = self.source.left(), len(self.crew.workers)
        if left == 0 and not self.chunks.todo:
            return False
        if self.estimate is None or number < 2:
            return True
        if left is None:
            ahead = self.work_seconds  # there may be as much to come as there was
        else:
            begun = sum(len(chunk.items) for chunk in self.order if chunk.answer is None)
            ahead = (left + begun) * self.estimate
        return ahead > number * (number + 1) * self.fork_seconds

    def watch(self, worker: Worker) -> None:
        for fd in worker.descriptors():
            self.by_fd[fd] = worker
            self.poll.register(fd, select.POLLIN)

    # -- in order

    def head(self) -> Batch | Halt | None:
        """The next thing to give, if the oldest chunk is finished."""
        if not self.order or self.order[0].answer is None:
            return None
        chunk = self.order[0]
        assert chunk.answer is not None
        results, extra, cut, seconds = chunk.answer
        if cut is None or cut.keep > 0:
            keep = len(chunk.items) if cut is None else cut.keep
            batch = Batch(
                chunk.start, chunk.items[:keep], results, extra, seconds, chunk.last and cut is None
            )
            if cut is None:
                self.order.popleft()
                self.held -= chunk.size
            else:
                self.cut_off(chunk, keep)
                chunk.answer = ([], None, Cut(0, *cut[1:]), 0.0)
            return batch
        return self.halt(chunk, cut)

    def cut_off(self, chunk: Chunk, keep: int) -> None:
        chunk.start, chunk.items = chunk.start + keep, chunk.items[keep:]

    def halt(self, chunk: Chunk, cut: Cut) -> Halt:
        self.order.popleft()
        self.held -= chunk.size
        if self.journal is not None:
            self.journal.flush()  # the caller may take long
        if len(chunk.items) > 1:
            rest = Chunk(chunk.start + 1, chunk.items[1:], chunk.last)
            self.order.appendleft(rest)
            self.chunks.again([rest])
        error = self.error_of(chunk, cut)
        return Halt(chunk.start, chunk.items[0], cut.kind, cut.text, cut.detail, error)

    def error_of(self, chunk: Chunk, cut: Cut) -> BaseException | None:
        """What is to be raised for a chunk's first iteration, where the caller is not to do it."""
        place, item = self.first + chunk.start, chunk.items[0]
        if cut.kind == "died":
            assert chunk.how is not None
            return worker_died(place, item, chunk.how, chunk.deaths)
        if cut.kind == "timeout":
            assert self.limits.timeout is not None
            return took_too_long(place, item, self.limits.timeout)
        error = None if cut.error is None else unpack(cut.error)
        if isinstance(error, MemoryError) and self.limits.memory is not None:
            error.add_note(passed_memory(place, item, self.limits.memory))
        return error

    # -- handing out

    def hand_out(self, ahead: int | None = None) -> None:
        """Give every worker with fewer than so many chunks another one."""
        assert self.crew is not None
        self.holds_back = self.reading_on = False
        if self.gives_first():
            return
        workers = self.crew.workers
        if self.growth is not None:
            workers = workers[: self.growth.allowed]
        if ahead is None:
            # What waits at one worker could be begun by another that is there a moment later.
            ahead = 1 if self.crew.are_coming() else self.ahead
        for level in range(ahead):
            for worker in workers:
                if len(worker.assigned) <= level:
                    if self.machine.nearly_full() and any(w.assigned for w in self.crew.workers):
                        self.holds_back = True
                        return
                    if self.one_alone():
                        return
                    chunk = self.next_chunk()
                    if chunk is None:
                        return
                    self.assign(worker, chunk)
                    if self.reads_slowly():
                        self.reading_on = True
                        return

    def reads_slowly(self) -> bool:
        """Whether the next chunk may take long to read: what workers say is heard before that."""
        return self.source.last_seconds >= CHUNK_SECONDS

    def gives_first(self) -> bool:
        """Whether what is finished is to be given before more is read: the loop may leave by it."""
        return self.reads_slowly() and bool(self.order) and self.order[0].answer is not None

    def one_alone(self) -> bool:
        """Whether a chunk is being done that may be what workers die of, or is to be done next.

        It is done alone, for the threads of a process all die together.
        """
        if not self.suspects:
            return False
        assert self.crew is not None
        given = [chunk for worker in self.crew.workers for chunk in worker.assigned]
        if any(chunk.suspect or chunk.deaths for chunk in given):
            return True
        todo = self.chunks.todo
        if todo:
            return bool(given) and bool(todo[0].suspect or todo[0].deaths)
        self.suspects = any(chunk.suspect or chunk.deaths for chunk in self.order)
        return False

    def next_chunk(self) -> Chunk | None:
        while not self.chunks.todo:
            chunk = self.read_chunk()
            if chunk is None:
                return None
            if self.journal is None:
                return chunk
            self.chunks.again(self.not_done_before(chunk))
        return self.chunks.next(self.by_time() if self.chunk is None else None)

    def read_chunk(self) -> Chunk | None:
        """The next piece of the input, if there is more and there is room for its results."""
        busy = max(len(self.crew.workers), 1) if self.crew is not None else 1
        if (
            self.exhausted
            or len(self.order) >= WINDOW * busy
            or (self.held > HELD_BYTES and self.order)
        ):
            return None
        if self.source.left() == 0:
            self.exhausted = True
            return None
        size = self.chunk_size()
        if self.chunk is None:
            size = max(size, self.kept_at_once)
        with self.interrupts.let_through():
            # Where an item takes long to make, those made should not wait for it.
            seconds = CHUNK_SECONDS if self.chunk is None else math.inf
            start, items, last = self.source.take(size, seconds)
        if last:
            self.exhausted = True
        chunk = Chunk(start, items, last)
        self.order.append(chunk)
        return chunk

    # -- what was done before

    def done_before(self) -> Batch | Halt | None:
        """The next thing to give for which no worker is needed; None: there are to be workers."""
        while not self.chunks.todo:
            ready = self.head()
            if ready is not None:
                return ready
            chunk = self.read_chunk()
            if chunk is None:
                return None
            self.chunks.again(self.not_done_before(chunk))
        return self.head()

    def not_done_before(self, chunk: Chunk) -> list[Chunk]:
        """Take from the journal what it has of a chunk; gives the parts that are to be done."""
        assert self.journal is not None
        with self.interrupts.let_through():
            found = self.journal.find(chunk.start, chunk.items)
        if chunk.last and getattr(self.job, "not_sent", None):
            found[-1] = None
        rows = [row for row in found if row is not None]
        whole = len(rows) == len(found)
        # Items that are read as they come may be large, and each is held until it is committed.
        most = KEPT_AT_ONCE if self.source.by_index else STREAMED_AT_ONCE
        self.kept_at_once = min(2 * len(found), most) if whole else 1
        if not rows:
            return [chunk]
        self.estimate = sum(row.seconds for row in rows) / len(rows) or self.estimate
        most = self.chunk_size()
        parts: list[Chunk] = []
        for kept, group in groupby(range(len(found)), lambda k: found[k] is not None):
            places = list(group)
            step = len(places) if kept else most
            for first in range(places[0], places[-1] + 1, step):
                end = min(first + step, places[-1] + 1)
                part = Chunk(chunk.start + first, chunk.items[first:end], False)
                part.last = chunk.last and end == len(found)
                if kept:
                    self.use(part, rows[: end - first])
                    del rows[: end - first]
                parts.append(part)
        self.chunks.replace(chunk, parts)
        return [part for part in parts if part.answer is None]

    def use(self, chunk: Chunk, rows: list[Any]) -> None:
        """Have a chunk finished by what was kept of its iterations."""
        results = [row.record for row in rows]
        extra = self.job.together(results, [row.extra for row in rows])  # type: ignore[attr-defined]
        chunk.answer = (results, extra, None, sum(row.seconds for row in rows))
        chunk.size = sum(row.size for row in rows)
        self.held += chunk.size

    def keep(self, chunk: Chunk) -> None:
        """Put what has come home of a chunk into the journal."""
        assert self.journal is not None and chunk.answer is not None
        results, extra, _, seconds = chunk.answer
        if results:
            apart = self.job.apart(results, extra)  # type: ignore[attr-defined]
            self.journal.keep(chunk.start, results, seconds, apart)

    def chunk_size(self) -> int:
        if self.chunk is not None:
            return self.chunk
        left = self.source.left()
        # Half-size first chunks: the estimate may be wrong, and all workers should start at once.
        size = self.by_time() or 1
        if left is not None:
            size = min(size, -(-left // (self.allowed() * 4)))
        if not self.source.by_index or (self.crew is not None and self.crew.apart):
            # The first one tells how big items are.
            self.item_bytes = self.item_bytes or self.source.next_bytes()
            size = min(size, int(CHUNK_BYTES / self.item_bytes) if self.item_bytes else 1)
        return max(1, min(size, 100_000))

    def by_time(self) -> int | None:
        """How many iterations take about as long as a chunk should, as far as is known."""
        return max(int(CHUNK_SECONDS / self.estimate), 1) if self.estimate else None

    def assign(self, worker: Worker, chunk: Chunk) -> None:
        assert self.crew is not None
        here = self.crew.apart or not self.source.by_index
        given = as_sent(chunk.items) if here else None
        message = chunk.start, chunk.stop, given, chunk.last, chunk.alone
        try:
            body, big = self.encode(message) if given else (pickle.dumps(message, protocol=5), [])
        except CannotShip as error:
            self.unmade = error
            return
        except Exception as error:
            self.cannot_send(chunk, error)
            return
        if given:
            size = len(body) + sum(map(wire.size_of, big))
            self.item_bytes = max(self.item_bytes * 0.5, size / len(given))
        worker.assigned.append(chunk)
        worker.send(body, big)
        if worker.outbox:
            self.poll.modify(worker.sock.fileno(), select.POLLIN | select.POLLOUT)

    def encode(self, message: Any) -> tuple[bytes, list[pickle.PickleBuffer]]:
        """Pickle what a worker is given."""
        assert self.crew is not None
        encode = getattr(self.job, "encode_items" if self.crew.apart else "encode_given", None)
        return encode(message) if encode is not None else wire.encode(message, items=True)

    def cannot_send(self, chunk: Chunk, error: Exception) -> None:
        """An argument that cannot be pickled: its iteration is the caller's."""
        for k, item in enumerate(chunk.items):
            try:
                self.encode((0, 0, [item], False, False))
            except Exception:
                break
        else:
            k = 0
        stuck = chunk
        if k:
            stuck = self.chunks.split(chunk, k)
            self.chunks.again([chunk])
        why = f"an item of type {type(stuck.items[0]).__name__} cannot be pickled: {error}"
        stuck.stopped("unshippable", why)

    # -- waiting

    def wait(self, milliseconds: int | None = None) -> None:
        """Wait until a worker has something to say, for ever or so long, and listen."""
        if self.unmade is not None:
            raise self.unmade
        if self.refused is not None and self.crew is not None and not self.crew.workers:
            raise self.refused
        if milliseconds is None and self.journal is not None:
            due = self.journal.due()
            milliseconds = None if due is None else int(1000 * due) + 1
        longest = self.next_look(milliseconds)
        began = monotonic()
        with self.interrupts.let_through():
            events = self.poll.poll(longest)
        late = 0.0 if longest is None else monotonic() - began - longest / 1000
        for fd, event in events:
            worker = self.by_fd.get(fd)
            if worker is None:
                continue
            if fd == worker.pidfd:
                # Its number may be another one's by now, whose worker was made a moment ago.
                if worker.ended():
                    self.listen(worker, gone=True)
                continue
            if event & select.POLLOUT:
                worker.flush()
                if not worker.outbox:
                    self.poll.modify(fd, select.POLLIN)
            if event & ~select.POLLOUT:
                self.listen(worker)
        if self.journal is not None and self.journal.due() == 0:
            self.journal.flush()
        if self.limits.timeout is not None:
            self.end_overdue(late)

    def listen(self, worker: Worker, gone: bool = False) -> None:
        """Take in what a worker says. gone: it is not there any more, and this was its last."""
        try:
            while (frame := worker.reader.read()) is not None:
                self.accept(worker, *frame)
                self.hand_out()
        except (EOFError, ConnectionError):
            gone = True
        if gone:
            self.bury(worker)

    def accept(self, worker: Worker, body: memoryview, buffers: list[memoryview] | Lost) -> None:
        chunk = worker.assigned.popleft()
        try:
            if isinstance(buffers, Lost):
                raise buffers
            chunk.size = len(body) + sum(b.nbytes for b in buffers)
            self.held += chunk.size
            # Iterators of itertools that are sent warn of a later Python.
            with no_warnings():
                chunk.answer = self.decode(body, buffers=buffers)
        except Exception as error:
            chunk.stopped("unshippable", f"a result cannot be unpickled: {error}")
        assert chunk.answer is not None
        if self.journal is not None:
            self.keep(chunk)
        results, _, cut, seconds = chunk.answer
        if cut is not None and cut.kind == UNMADE:
            self.not_made(worker, chunk, CannotShip(cut.text, cut.error or ()))
            return
        self.lost = 0
        worker.spoiled |= cut is not None and cut.kind in SPOILS
        self.work_seconds += seconds
        put_back = cut is not None and cut.kind in ("unfinished", "crowded")
        done = len(results) + (cut is not None and not put_back)
        if self.growth is not None:
            self.growth.note(done)
        elif self.idle is None and self.waiting.most > self.count:
            self.see_whether_it_waits()
        if done:
            cost = max(seconds / done, 1e-7)
            self.estimate = cost if self.estimate is None else 0.6 * self.estimate + 0.4 * cost
        if cut is not None and put_back:
            if not cut.keep:
                self.held -= chunk.size
            self.chunks.put_back(chunk, cut)

    def not_made(self, worker: Worker, chunk: Chunk, why: CannotShip) -> None:
        """A worker that is no fork could not make the job of what it was sent."""
        self.held -= chunk.size
        chunk.answer = None
        self.unmade = why

    # -- lost workers

    def bury(self, worker: Worker) -> None:
        """A worker is gone: what it had is done by others, but for what cannot be done."""
        assert self.crew is not None
        gone = self.crew.gone_with(worker)
        if len(gone) > 1:
            self.hear_the_last(gone)
        for each in gone:
            for fd in each.descriptors():
                if self.by_fd.pop(fd, None) is not None:
                    self.poll.unregister(fd)
            self.crew.remove(each)
        busy = [w for w in gone if w.assigned and self.slots.at[w.number] not in (IDLE, STARTING)]
        overdue = any(self.too_late(each) for each in gone)
        # Where one took too long, the others were ended with it; else any may be why.
        self.suspects = self.suspects or len(gone) > 1
        began = bool(busy) or worker.overdue is not None
        for each in gone:
            blame = "own" if busy == [each] or len(gone) == 1 else "none" if overdue else "any"
            self.take_back(each, blame, began or each is not worker)
        for each in gone:
            self.make_up_for(each)

    def hear_the_last(self, gone: list[Worker]) -> None:
        """Take in what threads had said before their process ended."""
        for each in gone:
            try:
                while (frame := each.reader.read()) is not None:
                    self.accept(each, *frame)
            except (EOFError, ConnectionError):
                pass

    def too_late(self, worker: Worker) -> bool:
        """Whether a worker that was killed for taking too long still was at the same thing."""
        now = self.slots.at[worker.number], self.slots.since[worker.number]
        return worker.overdue == now

    def take_back(self, worker: Worker, blame: str, began: bool) -> None:
        """Have what a worker had that is gone be done again, or not.

        blame: whether what it was at is "own" to blame, or "any" of several are, or "none". began:
        whether something had begun in its process.
        """
        at = self.slots.at[worker.number]
        overdue = self.too_late(worker)
        if worker.overdue is not None and not overdue:
            at = IDLE  # it was too late: that iteration was over
        how = worker.how._replace(out_of_memory=self.machine.killed() > self.killed_before)
        for k, chunk in enumerate(worker.assigned):
            inside = chunk.start <= at < chunk.stop
            if k == 0 and blame != "own" and not overdue and (inside or at in (BESIDE, SENDING)):
                if blame == "any":
                    self.chunks.suspect(chunk, at)
                else:
                    self.chunks.again([chunk])
            elif k == 0 and inside:
                self.chunks.lose(chunk, at, None if overdue else how)
            elif k == 0 and at in (BESIDE, SENDING):
                self.chunks.lose_beside(chunk, None if overdue else how)
            elif k == 0 and not began and at != REFUSED and self.false_start():
                self.chunks.lose(chunk, chunk.start, how)
            else:
                self.chunks.again([chunk])

    def false_start(self) -> bool:
        """One more was lost before it began anything; whether there is no use in going on so."""
        self.lost += 1
        return self.lost > FALSE_STARTS * (self.count if self.growth is None else 1)

    def make_up_for(self, worker: Worker) -> None:
        """Make a new worker in the place of one that is gone."""
        assert self.crew is not None
        if self.slots.at[worker.number] == REFUSED:
            self.enough()
            if not self.crew.workers:
                self.refused = CannotFork(0, "the system refused to make a thread")
            return
        try:
            self.watch(self.crew.add(worker.number))
        except CannotFork as error:
            self.refused = error
            return
        self.hand_out()

    def next_look(self, milliseconds: int | None) -> int | None:
        """How long to wait for workers: until one may have taken too long at what it is at."""
        assert self.crew is not None
        least = None if milliseconds is None else milliseconds / 1000
        if self.crew.are_coming():
            least = STARTING_LOOK if least is None else min(least, STARTING_LOOK)
        if self.holds_back:
            least = memory.LOOK_SECONDS if least is None else min(least, memory.LOOK_SECONDS)
        if self.limits.timeout is not None:
            now = monotonic()
            begun = [self.slots.busy(worker.number) for worker in self.crew.workers]
            spent = max((now - busy[1] for busy in begun if busy is not None), default=0.0)
            due = min(max(self.limits.timeout - spent, 0.0), STEADY_LOOK)
            least = due if least is None else min(least, due)
        return None if least is None else min(math.ceil(least * 1000), LONGEST_WAIT)

    def end_overdue(self, late: float) -> None:
        """Kill workers whose iterations take too long.

        late: how much longer than it was to this process has waited, as when all were stopped.
        """
        assert self.crew is not None and self.limits.timeout is not None
        now = monotonic()
        late_ones: list[Worker] = []
        for worker in self.crew.workers:
            busy = self.slots.busy(worker.number)
            if busy is None:
                continue
            if late > MUCH_TOO_LATE:
                self.slots.since[worker.number] += late
            elif now - busy[1] > self.limits.timeout:
                worker.overdue = busy
                late_ones.append(worker)
        for worker in late_ones:
            # The threads of a process go together.
            if worker in self.crew.workers:
                kill_tree(worker.pid)
                self.listen(worker, gone=True)

    # -- ending

    def rest(self, again: Halt | None = None) -> Iterator[Any]:
        """Stop the workers; all items not given in a Batch or Halt, lazily.

        again: the Halt that was given last; its item comes first. Where an item comes that workers
        died on, and no more of them can be made, WorkerDied is raised in its place.
        """
        waiting = [c.items for c in self.order]
        if again is not None:
            waiting.insert(0, [again.item])
        deadly = next((c for c in self.order if c.how is not None), None)
        before = deadly.start - self.order[0].start + (again is not None) if deadly else 0
        self.close()
        rest = self.source.rest(waiting)
        if deadly is None or self.refused is None:
            return rest
        assert deadly.how is not None
        place = self.first + deadly.start
        error = worker_died(place, deadly.items[0], deadly.how, deadly.deaths)
        error.add_note(f"it could not be tried again: {self.refused}")
        return up_to(rest, before, error)

    def close(self) -> None:
        """End the workers and free everything. May be called again."""
        self.closed = True
        if self.journal is not None:
            self.journal.flush()
        if self.crew is not None:
            crew, self.crew = self.crew, None
            crew.close(hurried=lambda: self.interrupted or self.interrupts.came)
            self.by_fd.clear()
        self.slots.close()
        self.order.clear()
        self.chunks.todo.clear()


def up_to(items: Iterator[Any], count: int, error: BaseException) -> Iterator[Any]:
    """So many of the items, and then this."""
    yield from islice(items, count)
    raise error
