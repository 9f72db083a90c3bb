"""A loop's work as several threads of one process run it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from threading import Lock
from types import FunctionType
from typing import Any

from allcores.build.job import LoopJob
from allcores.build.runtime import Functions
from allcores.build.settings import Flags
from allcores.engine.functions import global_names
from allcores.engine.job import Cut
from allcores.engine.thread_relay import ThreadRelay


class SharedLoopJob:
    """Implements `threads.SharedJob`: each thread has variables of its own."""

    def __init__(self, job: LoopJob, bind: Callable[[], Functions]) -> None:
        """bind: makes the functions with new variables. The temporaries are none of the module's."""
        self.job, self.bind = job, bind
        self.lock = Lock()

    def enter_worker(self) -> None:
        # All threads are compared with what there was before any of them began.
        relay = self.job.relay = ThreadRelay(self.job.namespace)
        self.relay = relay
        self.job.enter_worker()

    def in_thread(self) -> ThreadJob:
        self.relay.enter_thread()
        made = object.__new__(ThreadJob)
        vars(made).update(vars(self.job))
        made.enter_thread(self.bind(), self.lock)
        return made


class ThreadJob(LoopJob):
    """What one of the threads does. Looks at what it left alone are made by one thread at a time."""

    lock: Lock

    def enter_thread(self, functions: Functions, lock: Lock) -> None:
        self.lock = lock
        self.functions = functions
        self.global_names, self.passing_names = [], []
        self.last_good = {}
        self.flags = Flags()
        self.set_up()

    def before_chunk(self) -> None:
        with self.lock:
            super().before_chunk()

    def look_at(self, chunk: list[Any]) -> None:
        with self.lock:
            super().look_at(chunk)

    def look_between(self) -> Cut | None:
        with self.lock:
            return of_threads(super().look_between())

    def after_chunk(
        self, results: list[Any], last: bool, cut: Cut | None
    ) -> tuple[Any, Cut | None]:
        with self.lock:
            return super().after_chunk(results, last, cut)

    def odd_output(self, stopped: bool) -> Cut | None:
        return of_threads(super().odd_output(stopped))


def of_threads(cut: Cut | None) -> Cut | None:
    """What was found may be another thread's doing: processes find out."""
    if cut is None or cut.kind == "spilled":
        return cut
    return cut._replace(kind="entangled")


CO_OPTIMIZED = 1
"""Of the code of functions, and not of modules or classes."""
MADE_HERE = ("__item",), ("__items",), ("__LEFT",)
"""The first argument of functions that are made of Plans, which run in no thread but as they are."""


def read_as_globals(names: set[str], namespace: dict[str, Any]) -> str | None:
    """One of these variables of a module that a function may read, or None."""
    if not names:
        return None
    for function in gc.get_referrers(namespace):
        if type(function) is FunctionType and function.__globals__ is namespace:
            code = function.__code__
            if code.co_varnames[:1] in MADE_HERE or function.__name__ == "__take":
                continue
            if not code.co_flags & CO_OPTIMIZED:
                continue  # the module itself, which is at this loop
            for name in global_names(code):
                if name in names:
                    return name
    return None
