"""The recipe for the standard library's `concurrent.futures`."""

from __future__ import annotations

from allcores.build.recipes.futures import executor_lines
from allcores.build.recipes.job import Job


def lines(job: Job) -> list[str]:
    """The code in place of the loop."""
    make = job.imports.attribute("concurrent.futures", "ProcessPoolExecutor")
    given = ""
    if job.notebook:
        # Only a forked worker knows the functions of a notebook.
        context = job.imports.attribute("multiprocessing", "get_context")
        given = f'mp_context={context}("fork")'
    return executor_lines(job, f"{make}({given})")
