"""The worker's side of a loop: does chunks until there are no more."""

from __future__ import annotations

import pickle
import socket
from collections.abc import Callable
from time import monotonic, perf_counter
from typing import Any

from allcores.engine import memory, wire
from allcores.engine.errors import pack
from allcores.engine.job import LEFT, Cut, Job
from allcores.engine.limits import Limits
from allcores.engine.slots import BESIDE, IDLE, SENDING, Slots
from allcores.engine.waits import WaitClock
from allcores.plan.quiet import no_warnings

ANSWER_SECONDS = 0.1
"""After so long a worker sends what it has of a chunk, lest much be lost if it dies."""

SPOILS = ("changed", "drawn", "entangled", "imported")
"""What stops an iteration that has changed what outlives it."""
CLOCKED = 8
"""So many chunks of a worker tell how much of their time goes by in waiting."""
CHANGED = "changed", "entangled", "imported"


class Server:
    """A worker of a loop. number: which of them; items: what it holds of the input, if anything."""

    def __init__(
        self, job: Job, items: Any, sock: socket.socket, slots: Slots, number: int, limits: Limits
    ) -> None:
        self.job, self.items, self.sock = job, items, sock
        self.reader = wire.Reader(sock)
        self.at, self.since, self.number = slots.at, slots.since, number
        self.starts_at = getattr(job, "starts_at", None)
        self.look_at = getattr(job, "look_at", None)
        self.decode_items = getattr(job, "decode_items", pickle.loads)
        self.leaves_last = bool(getattr(job, "leaves_last", ()))
        self.looked = False
        self.spoiled = False
        """Whether what outlives iterations is not as it was."""
        self.timed = limits.timeout is not None
        self.memory = None if limits.memory is None else memory.OwnLimit(limits.memory)
        self.slots = slots
        self.clock: WaitClock | None = WaitClock()
        """While it is to be told how much of its time this worker waits."""
        self.clocked = 0

    def is_at(self, what: int) -> None:
        """Say what this worker is at from now on."""
        self.since[self.number] = monotonic()
        self.at[self.number] = what

    def live(self, settled: Callable[[], None]) -> bool:
        """Do chunks until there are no more. settled: called when the first one is there.

        Gives whether this process is as it was, and of use for another job: one that stays is told
        of the end by an empty message.
        """
        while True:
            self.is_at(IDLE)
            try:
                body, big = wire.receive(self.reader)
            except EOFError:
                return False
            if not len(body):
                return not self.spoiled
            self.is_at(BESIDE)
            settled()
            settled = _nothing
            if isinstance(big, wire.Lost):
                self.send([], None, Cut(0, "unshippable", f"{big}"), 0.0)
                continue
            start, stop, given, last, alone = self.decode_items(body, buffers=big)
            del body, big
            chunk = (
                list(given) if given is not None else [self.items[i] for i in range(start, stop)]
            )
            if alone and self.memory is not None and self.memory.worn():
                # What earlier iterations have left behind must not count against this one.
                self.send([], None, Cut(0, "crowded"), 0.0)
                break
            if not self.serve(chunk, start, last, alone):
                break
        self.is_at(IDLE)
        return False

    def serve(self, chunk: list[Any], start: int, last: bool, alone: bool) -> bool:
        """Do a chunk, and send what came of it; whether this worker is of use for another one."""
        left = last and self.leaves_last
        if left:
            del chunk[-1]
        if self.starts_at is not None:
            self.starts_at(start)
        self.job.before_chunk()
        if self.look_at is not None:
            self.look_at(chunk)
        results: list[Any] = []
        began = perf_counter()
        cut = self.do_clocked(chunk, results, start, alone)
        seconds = perf_counter() - began
        self.is_at(BESIDE)
        # Unfinished, it is as if the chunk ended here: nothing is wrong.
        wrong = None if cut is not None and cut.kind == "unfinished" else cut
        extra, more = self.job.after_chunk(results, last and cut is None and not left, wrong)
        if cut is not None and cut.kind == "crowded" and more is not None and more.kind == "shared":
            # The last good one is not sent; it is done again as well.
            cut, more = cut._replace(keep=more.keep), None
        # A worker that has changed what outlives iterations is of no more use.
        if more is not None and (cut is None or more.keep < cut.keep or more.kind in CHANGED):
            cut = more
        if left and cut is None:
            cut = Cut(len(results), "shared")
        self.send(results, extra, cut, seconds, last and cut is None)
        # An item that was changed half way is as it was in other workers.
        crowded = cut is not None and cut.kind == "crowded"
        return not (crowded and getattr(self.job, "changes_items", False))

    def do_clocked(
        self, chunk: list[Any], results: list[Any], start: int, alone: bool
    ) -> Cut | None:
        """As `do_looking`; how much of its time goes by in waiting is noted for the first chunks."""
        clock, number = self.clock, self.number
        if clock is None:
            return self.do_looking(chunk, results, start, alone)
        then = clock.look()
        cut = self.do_looking(chunk, results, start, alone)
        waited, wall = clock.waited(then)
        self.slots.waited[number] += waited
        self.slots.spent[number] += wall
        self.clocked += 1
        if self.clocked == CLOCKED:
            clock.close()
            self.clock = None
        return cut

    def do_looking(
        self, chunk: list[Any], results: list[Any], start: int, alone: bool
    ) -> Cut | None:
        """As `do`, with a look at what the worker's very first iteration changes."""
        if self.look_at is None or self.looked or len(chunk) == 1:
            return self.do(chunk, results, start, start + len(chunk), alone)
        # What changes to and fro may be as it was when the chunk ends.
        self.looked = True
        stop = start + len(chunk)
        cut = self.do(chunk[:1], results, start, stop, alone)
        cut = cut or self.job.look_between()  # type: ignore[attr-defined]
        return cut or self.do(chunk[1:], results, start + 1, stop, alone)

    def do(
        self, items: list[Any], results: list[Any], place: int, stop: int, alone: bool
    ) -> Cut | None:
        """Work on items in turn; says why it stopped before all are done, if it did.

        place: the number of the first one; stop: that of the one behind the chunk.
        """
        work, append, at, since = self.job.work, results.append, self.at, self.since
        number, clock, timed = self.number, monotonic, self.timed
        if self.memory is not None:
            self.memory.set()
        self.is_at(BESIDE)
        until = clock() + ANSWER_SECONDS
        try:
            for item in items:
                at[number] = place
                result = work(item)
                if result is LEFT:
                    return Cut(len(results), "left")
                append(result)
                place += 1
                now = clock()
                if now > until and place < stop:
                    return Cut(len(results), "unfinished")
                if timed:
                    since[number] = now
        except BaseException as error:
            return self.raised(error, len(results), alone)
        finally:
            if self.memory is not None:
                self.memory.lift()
        return None

    def raised(self, error: BaseException, done: int, alone: bool) -> Cut:
        """What an exception in an iteration comes to."""
        kind = type(error)
        detail = f"{kind.__module__}.{kind.__qualname__}"
        packed: Any = None
        if self.memory is not None and memory.passed(error):
            self.memory.lift()
            if not alone:
                # The results of the chunk so far may be what took the memory.
                return Cut(done, "crowded")
            packed = pack(error)
        return Cut(done, "raised", worker_traceback(error), detail, packed)

    def send(
        self, results: list[Any], extra: Any, cut: Cut | None, seconds: float, last: bool = False
    ) -> None:
        """Send a chunk's results, as many as can be pickled. last: the loop ends with these."""
        self.spoiled |= cut is not None and cut.kind in SPOILS
        with no_warnings():
            body, big = packed(self.job, results, extra, cut, seconds, last)
        self.is_at(SENDING)
        wire.send_frame(self.sock, body, big)


def _nothing() -> None:
    pass


def worker_traceback(error: BaseException) -> str:
    """The traceback as the worker saw it, without this module's frames."""
    tb = error.__traceback__
    while tb is not None and tb.tb_frame.f_globals.get("__name__") == __name__:
        tb = tb.tb_next
    try:
        import traceback  # for which there may be no descriptor left

        return "".join(traceback.format_exception(type(error), error, tb))
    except Exception:
        return f"{type(error).__name__}\n"


def packed(
    job: Job, results: list[Any], extra: Any, cut: Cut | None, seconds: float, last: bool = False
) -> tuple[bytes, list[pickle.PickleBuffer]]:
    """A chunk's answer: its results, as many as can be pickled."""
    encode = getattr(job, "encode", wire.encode)
    if cut is not None:
        del results[cut.keep :]
    try:
        return encode((results, extra, cut, seconds))
    except Exception:
        extra = job.lighten(extra, False)
        if last and hasattr(job, "without_last"):
            extra, cut = job.without_last(results, extra)
        try:
            return encode((results, extra, cut, seconds))
        except Exception as error:
            keep, why = first_unpicklable(results, error, encode)
            # What goes along belongs to the chunk's end, so that the last good one is done again.
            keep = max(keep - 1, 0)
            cut = Cut(keep, "unshippable", why)
            return encode((results[:keep], job.lighten(extra, True), cut, seconds))


def first_unpicklable(
    results: list[Any], error: Exception, encode: Callable[[Any], Any]
) -> tuple[int, str]:
    """How many results can be pickled one by one, and why the next one cannot."""
    for k, result in enumerate(results):
        try:
            encode(result)
        except Exception as e:
            return k, f"a result of type {type(result).__name__} cannot be pickled: {e}"
    return 0, f"{error}"
