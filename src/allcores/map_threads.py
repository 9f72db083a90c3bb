"""What `map` calls, in threads of one process: whether it may be, and how it is."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from allcores.build.reached import Reached
from allcores.engine.job import Cut
from allcores.engine.thread_relay import ThreadRelay
from allcores.entry.threads import SEVERAL_LOCKS, Found, seen_by, why_not_for, why_not_these
from allcores.map_job import FunctionJob
from allcores.plan.callables import Callables
from allcores.plan.ownership import is_own
from allcores.plan.summaries import Reading

if TYPE_CHECKING:
    from allcores.settings import Settings


class SharedFunctionJob:
    """Implements `threads.SharedJob` for a function."""

    def __init__(self, job: FunctionJob) -> None:
        self.job = job

    def enter_worker(self) -> None:
        self.relay = self.job.relay = ThreadRelay()
        self.job.enter_worker()

    def in_thread(self) -> ThreadFunctionJob:
        self.relay.enter_thread()
        made = object.__new__(ThreadFunctionJob)
        vars(made).update(vars(self.job))
        made.work = made.call
        made.items = []
        return made


class ThreadFunctionJob(FunctionJob):
    """What one of the threads does."""

    def after_chunk(
        self, results: list[Any], last: bool, cut: Cut | None
    ) -> tuple[Any, Cut | None]:
        # What is shared may be another thread's doing: processes find out.
        if self.streams.states() != self.streams.seen:
            return None, Cut(0, "entangled", "a function draws random numbers")
        if self.relay.leaked():
            return None, Cut(0, "entangled", "something was written past Python's own streams")
        return super().after_chunk(results, last, cut)

    def spilled(self) -> str:
        return ""


def why_not_in_threads(fn: Any, items: Iterable[Any], settings: Settings) -> str | None:
    """Why calls of a function cannot be threads of one process, in words. items: some of them."""
    why = why_not_for(settings)
    if why is not None:
        return why
    values: list[Any] = [fn, *items]
    while type(fn) is partial:
        values += [*fn.args, *fn.keywords.values()]
        fn = fn.func
        values.append(fn)
    inner = fn.__func__ if type(fn) is MethodType else fn
    if not isinstance(inner, FunctionType):
        # One of a module's, such as `time.sleep`, and no method of an object.
        if type(fn) is not BuiltinFunctionType or not isinstance(fn.__self__, ModuleType):
            return "the function cannot be read"
    elif is_own(inner):
        summary = Callables(inner.__globals__, 0, Reading()).summary_of(inner)
        if summary is None or summary.refusals:
            return "the function cannot be read, or changes what all calls share"
        if summary.changes or summary.draws or summary.seeds or summary.perhaps:
            return "the function changes something"
        if len(summary.locks) > 1:
            return SEVERAL_LOCKS
    reached = Reached.by_values(values)
    return why_not_these(Found(reached.names, [*values, *seen_by(reached)]), settings)
