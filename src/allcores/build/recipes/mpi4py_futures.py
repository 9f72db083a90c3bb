"""The recipe for `mpi4py.futures`: processes started by mpiexec, on one machine or many."""

from __future__ import annotations

from allcores.build.recipes.futures import executor_lines
from allcores.build.recipes.job import Job


def lines(job: Job) -> list[str]:
    """The code in place of the loop."""
    return executor_lines(job, f"{job.imports.attribute('mpi4py.futures', 'MPIPoolExecutor')}()")
