"""The coordinator: hands out chunks, waits, and gives results back in iteration order.

It runs in the calling thread and only while the caller asks for the next batch.
"""

from __future__ import annotations

import mmap
import os
import pickle
import select
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import groupby
from time import perf_counter
from typing import Any, NamedTuple, Protocol

from allcores.engine.crew import Crew, Worker
from allcores.engine.errors import unpack
from allcores.engine.failures import CannotFork, worker_died
from allcores.engine.interrupts import Interrupts, from_handler
from allcores.engine.job import Cut, Job
from allcores.engine.limits import NO_LIMITS, Limits
from allcores.engine.source import Indexed, Streamed
from allcores.engine.wire import Lost

CHUNK_SECONDS = 0.010
CHUNK_BYTES = 4 << 20
AHEAD = 2
"""Chunks a worker has at a time: one at work, one waiting."""
KEEP_LISTENING = 4
"""From so many workers on, what the first ones say is heard before another is made."""
WINDOW = 16
"""Chunks a worker may be ahead of the oldest unfinished one."""
KEPT_AT_ONCE = 512
"""Of a journal, so many iterations are read in one go."""
HELD_BYTES = 64 << 20
"""Results that wait for an earlier one may take this much before no more is handed out."""


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
    (kind "died"), it took too long ("timeout"), passed the limit of memory, or its job brings
    errors home ("raised").
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
        """Keep these results, each with an extra."""

    def due(self) -> float | None:
        """In how many seconds `flush` is to be called; None: there is nothing to be written."""

    def flush(self) -> None:
        """Write what is to be written."""


class Chunk:
    """Neighbouring iterations that a worker does in one go, and what came of them."""

    __slots__ = ("answer", "deaths", "items", "last", "size", "start", "status")

    def __init__(
        self,
        start: int,
        items: Sequence[Any],
        last: bool,
        deaths: int = 0,
        status: int | None = None,
    ) -> None:
        self.start, self.items, self.last = start, items, last
        self.deaths, self.status = deaths, status
        self.size = 0
        self.answer: tuple[list[Any], Any, Cut | None, float] | None = None

    @property
    def stop(self) -> int:
        return self.start + len(self.items)


class Run:
    """The iterations of one loop, done by workers.

    Iterate over it for `Batch` and `Halt` in iteration order, without gaps. Asking for the next
    one after a `Halt` means that its iteration has been dealt with. `rest()` gives up the workers
    and gives all items not handed out yet. `close()` ends it at any time.

    job: what is done; source: `Indexed` or `Streamed`; workers: how many processes (1 or more);
    chunk: iterations a chunk, or None to go by time; estimate: seconds an iteration may take;
    limits: what iterations may take; first: what the first one is called in errors; interrupts: let
    through where others' code runs, and while nothing is to be done; journal: what has been done
    before, and where what is done is kept.

    Raises CannotFork from `next()` when no worker can be made.
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
    ) -> None:
        self.job, self.source, self.limits, self.first = job, source, limits, first
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
        self.order: deque[Chunk] = deque()
        self.todo: deque[Chunk] = deque()
        self.halted: Chunk | None = None
        self.held = 0
        self.exhausted = False
        self.closed = False
        self.slots = memoryview(b"")
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
                self.wait()

    # -- making workers

    def start(self) -> None:
        with self.interrupts.let_through():
            left = self.source.left()
        if left is not None:
            waiting = sum(len(chunk.items) for chunk in self.todo)
            self.count = min(self.count, max(left + waiting, 1))
        memory = mmap.mmap(-1, 8 * (self.count + 1))
        self.slots = memoryview(memory).cast("q")
        for i in range(self.count):
            self.slots[i] = -1
        for stream in (sys.stdout, sys.stderr):
            try:
                with self.interrupts.let_through():
                    stream.flush()
            except (AttributeError, OSError, ValueError) as error:
                if from_handler(error):
                    raise
        items = self.source.items if isinstance(self.source, Indexed) else None
        self.crew = Crew(self.job, items, self.slots)
        try:
            self.grow()
        except BaseException:
            self.close()
            raise

    def grow(self) -> None:
        """Make workers, up to the number asked for, while one more saves more than it costs."""
        assert self.crew is not None
        while len(self.crew.workers) < self.count and self.worth_another():
            began = perf_counter()
            try:
                self.watch(self.crew.add(len(self.crew.workers)))
            except CannotFork:
                if not self.crew.workers:
                    raise
                self.count = len(self.crew.workers)
                return
            seconds = perf_counter() - began
            self.fork_seconds = min(self.fork_seconds or seconds, seconds)
            self.hand_out(1)
            if len(self.crew.workers) >= KEEP_LISTENING:
                self.wait(0)

    def worth_another(self) -> bool:
        """Whether one more worker would shorten what is left by more than it takes to make it."""
        assert self.crew is not None
        left, number = self.source.left(), len(self.crew.workers)
        if left == 0 and not self.todo:
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
        fd = worker.sock.fileno()
        self.by_fd[fd] = worker
        self.poll.register(fd, select.POLLIN)

    # -- in order

    def head(self) -> Batch | Halt | None:
        """The next thing to give, if the oldest chunk is finished."""
        if self.halted is not None:
            self.halted = None
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
        item = chunk.items[0]
        error = None if cut.error is None else unpack(cut.error)
        if cut.kind == "died":
            error = worker_died(self.first + chunk.start, item, chunk.status, chunk.deaths)
        if len(chunk.items) > 1:
            rest = Chunk(chunk.start + 1, chunk.items[1:], chunk.last)
            self.order.appendleft(rest)
            self.todo.appendleft(rest)
        return Halt(chunk.start, item, cut.kind, cut.text, cut.detail, error)

    # -- handing out

    def hand_out(self, ahead: int = AHEAD) -> None:
        """Give every worker with fewer than so many chunks another one."""
        assert self.crew is not None
        for level in range(ahead):
            for worker in self.crew.workers:
                if len(worker.assigned) <= level:
                    chunk = self.next_chunk()
                    if chunk is None:
                        return
                    self.assign(worker, chunk)

    def next_chunk(self) -> Chunk | None:
        while not self.todo:
            chunk = self.read_chunk()
            if chunk is None:
                return None
            if self.journal is None:
                return chunk
            self.todo += self.not_done_before(chunk)
        return self.todo.popleft()

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
            start, items, last = self.source.take(size)
        if last:
            self.exhausted = True
        chunk = Chunk(start, items, last)
        self.order.append(chunk)
        return chunk

    # -- what was done before

    def done_before(self) -> Batch | Halt | None:
        """The next thing to give for which no worker is needed; None: there are to be workers."""
        while not self.todo:
            ready = self.head()
            if ready is not None:
                return ready
            chunk = self.read_chunk()
            if chunk is None:
                return None
            self.todo += self.not_done_before(chunk)
        return self.head()

    def not_done_before(self, chunk: Chunk) -> list[Chunk]:
        """Take from the journal what it has of a chunk; gives the parts that are to be done."""
        assert self.journal is not None
        found = self.journal.find(chunk.start, chunk.items)
        if chunk.last and getattr(self.job, "not_sent", None):
            found[-1] = None
        rows = [row for row in found if row is not None]
        whole = len(rows) == len(found)
        self.kept_at_once = min(2 * len(found), KEPT_AT_ONCE) if whole else 1
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
        self.replace(chunk, parts)
        return [part for part in parts if part.answer is None]

    def use(self, chunk: Chunk, rows: list[Any]) -> None:
        """Have a chunk finished by what was kept of its iterations."""
        extra = self.job.together([row.extra for row in rows])  # type: ignore[attr-defined]
        seconds = sum(row.seconds for row in rows)
        chunk.answer = ([row.record for row in rows], extra, None, seconds)
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
        size = int(CHUNK_SECONDS / self.estimate) if self.estimate else 1
        if left is not None:
            size = min(size, -(-left // (self.count * 4)))
        elif self.item_bytes:
            size = min(size, int(CHUNK_BYTES / self.item_bytes))
        else:
            size = min(size, 16)
        return max(1, min(size, 100_000))

    def assign(self, worker: Worker, chunk: Chunk) -> None:
        given = None if self.source.by_index else list(chunk.items)
        try:
            body = pickle.dumps((chunk.start, chunk.stop, given, chunk.last), protocol=5)
        except Exception as error:
            self.cannot_send(chunk, error)
            return
        if given:
            self.item_bytes = max(self.item_bytes * 0.5, len(body) / len(given))
        worker.assigned.append(chunk)
        worker.send(body)
        if worker.outbox:
            self.poll.modify(worker.sock.fileno(), select.POLLIN | select.POLLOUT)

    def cannot_send(self, chunk: Chunk, error: Exception) -> None:
        """An argument that cannot be pickled: its iteration is the caller's."""
        for k, item in enumerate(chunk.items):
            try:
                pickle.dumps(item, protocol=5)
            except Exception:
                break
        else:
            k = 0
        if k:
            first = Chunk(chunk.start, chunk.items[:k], False)
            self.order.insert(self.order.index(chunk), first)
            self.todo.appendleft(first)
            self.cut_off(chunk, k)
        why = f"an item of type {type(chunk.items[0]).__name__} cannot be pickled: {error}"
        chunk.answer = ([], None, Cut(0, "unshippable", why), 0.0)

    # -- waiting

    def wait(self, milliseconds: int | None = None) -> None:
        """Wait until a worker has something to say, for ever or so long, and listen."""
        if milliseconds is None and self.journal is not None:
            due = self.journal.due()
            milliseconds = None if due is None else int(1000 * due) + 1
        with self.interrupts.let_through():
            events = self.poll.poll(milliseconds)
        for fd, event in events:
            worker = self.by_fd.get(fd)
            if worker is None:
                continue
            if event & select.POLLOUT:
                worker.flush()
                if not worker.outbox:
                    self.poll.modify(fd, select.POLLIN)
            if event & ~select.POLLOUT:
                self.listen(worker)
        if self.journal is not None and self.journal.due() == 0:
            self.journal.flush()

    def listen(self, worker: Worker) -> None:
        try:
            while (frame := worker.reader.read()) is not None:
                self.accept(worker, *frame)
                self.hand_out()
        except (EOFError, ConnectionError):
            self.bury(worker)

    def accept(self, worker: Worker, body: memoryview, buffers: list[memoryview] | Lost) -> None:
        chunk = worker.assigned.popleft()
        try:
            if isinstance(buffers, Lost):
                raise buffers
            chunk.size = len(body) + sum(b.nbytes for b in buffers)
            self.held += chunk.size
            chunk.answer = self.decode(body, buffers=buffers)
        except Exception as error:
            chunk.answer = (
                [],
                None,
                Cut(0, "unshippable", f"a result cannot be unpickled: {error}"),
                0.0,
            )
        assert chunk.answer is not None
        if self.journal is not None:
            self.keep(chunk)
        results, _, cut, seconds = chunk.answer
        self.work_seconds += seconds
        done = len(results) + (cut is not None)
        if done:
            cost = max(seconds / done, 1e-7)
            self.estimate = cost if self.estimate is None else 0.6 * self.estimate + 0.4 * cost

    # -- deaths

    def bury(self, worker: Worker) -> None:
        """A worker is gone: try its chunks again; the iteration it was on gets one more chance."""
        assert self.crew is not None
        fd = worker.sock.fileno()
        self.poll.unregister(fd)
        del self.by_fd[fd]
        at = self.slots[worker.number]
        self.crew.remove(worker)
        again: list[Chunk] = []
        for k, chunk in enumerate(worker.assigned):
            if chunk.start <= at < chunk.stop:
                again += self.isolate(chunk, at, worker.status)
            elif k == 0 and at < 0:
                again += self.halve(chunk, worker.status)
            else:
                again.append(chunk)
        self.todo.extendleft(c for c in reversed(again) if c.answer is None)
        self.slots[worker.number] = -1
        self.watch(self.crew.add(worker.number))
        self.hand_out()

    def halve(self, chunk: Chunk, status: int | None) -> list[Chunk]:
        """A worker died beside its iterations, such as packing their results: find out by which."""
        if len(chunk.items) == 1:
            chunk.deaths += 1
            chunk.status = status
            if chunk.deaths > self.limits.retries:
                chunk.answer = ([], None, Cut(0, "died"), 0.0)
            return [chunk]
        middle = len(chunk.items) // 2
        parts = [
            Chunk(chunk.start, chunk.items[:middle], False),
            Chunk(chunk.start + middle, chunk.items[middle:], chunk.last),
        ]
        self.replace(chunk, parts)
        return parts

    def replace(self, chunk: Chunk, parts: list[Chunk]) -> None:
        place = self.order.index(chunk)
        self.order.remove(chunk)
        for i, part in enumerate(parts):
            self.order.insert(place + i, part)

    def isolate(self, chunk: Chunk, at: int, status: int | None) -> list[Chunk]:
        """Split a chunk so that the iteration a worker died on stands alone."""
        k = at - chunk.start
        parts = [
            Chunk(chunk.start, chunk.items[:k], False),
            Chunk(at, chunk.items[k : k + 1], False, deaths=chunk.deaths + 1, status=status),
            Chunk(at + 1, chunk.items[k + 1 :], chunk.last),
        ]
        parts[1].last = chunk.last and not len(parts[2].items)
        parts = [p for p in parts if len(p.items)]
        culprit = next(p for p in parts if p.start == at)
        if len(chunk.items) > 1:
            culprit.deaths = 1
        if culprit.deaths > self.limits.retries:
            culprit.answer = ([], None, Cut(0, "died"), 0.0)
        self.replace(chunk, parts)
        return parts

    # -- ending

    def rest(self, again: Halt | None = None) -> Iterator[Any]:
        """Stop the workers; all items not given in a Batch or Halt, lazily.

        again: the Halt that was given last; its item comes first.
        """
        waiting = [c.items for c in self.order]
        if again is not None:
            waiting.insert(0, [again.item])
        self.close()
        return self.source.rest(waiting)

    def close(self) -> None:
        """End the workers and free everything. May be called again."""
        self.closed = True
        if self.journal is not None:
            self.journal.flush()
        if self.crew is not None:
            crew, self.crew = self.crew, None
            crew.close(hurried=lambda: self.interrupted or self.interrupts.came)
            self.by_fd.clear()
        self.order.clear()
        self.todo.clear()

    def __del__(self) -> None:
        crew = getattr(self, "crew", None)
        if crew is not None and crew.owner == os.getpid():
            self.close()
