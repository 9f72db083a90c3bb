"""The recipe for the standard library's `multiprocessing.Pool`."""

from __future__ import annotations

from allcores.build.recipes.job import Job
from allcores.build.recipes.text import indented


def lines(job: Job) -> list[str]:
    """The code in place of the loop."""
    before, fn = job.bound()
    more, items = job.items()
    pool = job.names.new("pool")
    if job.notebook:
        # Only a forked worker knows the functions of a notebook.
        make = f'{job.imports.attribute("multiprocessing", "get_context")}("fork").Pool()'
    else:
        make = f"{job.imports.attribute('multiprocessing', 'Pool')}()"
    if job.whole and not job.exact:
        body = job.filled(f"{pool}.map({fn}, {items})", 1)
    elif job.whole:
        body = job.filled(f"list({pool}.imap({fn}, {items}))", 1)
    else:
        body = job.loop(f"{pool}.imap({fn}, {items}{job.chunked()})", items, 1)
    return [*before, *more, f"with {make} as {pool}:", *indented(body, job.unit)]
