"""Running a job's iterations in workers and giving the results back in order.

Knows nothing of source code: what an iteration does is a `Job`, what it is done to a source.
"""

from __future__ import annotations

from allcores.engine.failures import CannotFork, WorkerDied
from allcores.engine.job import LEFT, Cut, Job
from allcores.engine.schedule import Batch, Halt, Run
from allcores.engine.source import Indexed, Streamed

__all__ = ["LEFT", "Batch", "CannotFork", "Cut", "Halt", "Indexed", "Job", "Run", "Streamed", "WorkerDied"]
