"""Parallel `for` loops in one word, with the outcome of the plain loop.

parallel         marks a loop: `for x in parallel(xs):`
ParallelWarning  says why a marked loop runs serially
NotParallel      the same as an error, where `strict=True`
WorkerDied       a worker process ended in the middle of an iteration, twice
"""

from __future__ import annotations

from allcores import entry as _entry  # noqa: F401  # here, lest the first loop waits for it
from allcores.engine.failures import WorkerDied
from allcores.loop import NotParallel, ParallelWarning, parallel

__all__ = ["NotParallel", "ParallelWarning", "WorkerDied", "parallel"]
__version__ = "0.1.0"
