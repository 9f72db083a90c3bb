"""Parallel `for` loops in one word, with the outcome of the plain loop.

parallel         marks a loop: `for x in parallel(xs):`
ParallelWarning  says why a marked loop runs serially
RandomStreamWarning  says that a marked loop draws other random numbers than the plain loop
NotParallel      the same as an error, where `strict=True`
SkippedWarning   says how many iterations `on_error="collect"` has left out; each is a `Failure`
ResumeWarning    says what has changed since an earlier run, so that it cannot be resumed
JournalError     a journal (`resume=`) must not be used: another run uses it, or it is not private
WorkerDied       a worker process ended in the middle of an iteration, twice
map              `[fn(x) for x in xs]` on every core; `imap` lazily, `starmap` with several arguments
per_worker       what each worker has of its own: a connection, an open file
Pool             multiprocessing.Pool's interface, without its traps
Executor         concurrent.futures' interface
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allcores import entry as _entry  # noqa: F401  # here, lest the first loop waits for it
from allcores.collector import collector_paused as _collector_paused
from allcores.engine.failures import (
    JournalError,
    RandomStreamWarning,
    ResumeWarning,
    SkippedWarning,
    WorkerDied,
)
from allcores.engine.per_worker import PerWorker, per_worker
from allcores.loop import NotParallel, ParallelWarning, parallel
from allcores.mapping import imap, map, starmap
from allcores.skipping import Failure

if TYPE_CHECKING:
    from allcores.executor import Executor as Executor
    from allcores.pool import Pool as Pool

__version__ = "0.1.0"

# Made when they are first asked for: most programs need `parallel` alone.
_LATER = {
    "Executor": "allcores.executor",
    "Pool": "allcores.pool",
}

__all__ = [
    "Executor",
    "Failure",
    "JournalError",
    "NotParallel",
    "ParallelWarning",
    "PerWorker",
    "Pool",
    "RandomStreamWarning",
    "ResumeWarning",
    "SkippedWarning",
    "WorkerDied",
    "imap",
    "map",
    "parallel",
    "per_worker",
    "starmap",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    with _collector_paused():
        value = getattr(importlib.import_module(_LATER[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})


def _register_with_joblib() -> None:
    """`joblib.parallel_config(backend="allcores")` where joblib was imported before this."""
    import sys

    joblib = sys.modules.get("joblib.parallel")
    if joblib is not None and hasattr(joblib, "register_parallel_backend"):

        def backend(**how: Any) -> Any:
            from allcores.on.joblib import AllcoresBackend

            return AllcoresBackend(**how)

        joblib.register_parallel_backend("allcores", backend)


_register_with_joblib()
