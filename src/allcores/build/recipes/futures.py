"""What the recipes for executors share: `concurrent.futures` and `mpi4py.futures`."""

from __future__ import annotations

from allcores.build.recipes.job import HOLE, Job
from allcores.build.recipes.text import indented


def executor_lines(job: Job, make: str) -> list[str]:
    """The code in place of the loop; `make` is the text that makes an executor."""
    before, fn = job.bound()
    more, items = job.items()
    executor = job.names.new("executor")
    stream = f"{executor}.map({fn}, {items}{job.chunked()})"
    if job.whole:
        one_by_one = any(f" in {HOLE}" in line for line in job.whole)
        body = job.filled(stream if one_by_one else f"list({stream})", 1)
    else:
        body = job.loop(stream, items, 1)
    return [*before, *more, f"with {make} as {executor}:", *indented(body, job.unit)]
