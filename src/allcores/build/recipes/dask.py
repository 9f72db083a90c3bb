"""The recipe for Dask: its workers on this machine, or on the cluster that the client is of."""

from __future__ import annotations

from allcores.build.recipes.job import Job
from allcores.build.recipes.text import indented


def lines(job: Job) -> list[str]:
    """The code in place of the loop."""
    more, items = job.items()
    client = job.names.new("client")
    futures, future = job.names.new("futures"), job.names.new("future")
    # One thread a worker: threads of one process would wait for one another.
    make = f"{job.imports.attribute('dask.distributed', 'Client')}(threads_per_worker=1)"
    body: list[str] = []
    given = ""
    if job.fixed:
        fixed = job.names.new("fixed")
        names = ", ".join(job.fixed)
        # Without hash=False, equal values of two calls would be one value, released by either.
        body += job.fold(f"{fixed} = {client}.scatter([{names}], broadcast=True, hash=False)", 1)
        given = f", *{fixed}"
    call = f"{client}.submit({job.worker}, {job.item}{given}, pure=False)"
    body += job.fold(f"{futures} = [{call} for {job.item} in {items}]", 1)
    if job.whole and not job.exact:
        body += job.filled(f"{client}.gather({futures})", 1)
    elif job.whole:
        body += job.filled(f"[{future}.result() for {future} in {futures}]", 1)
    else:
        body += job.loop(futures, items, 1, handle=future, fetch=f"{future}.result()")
    return [*more, f"with {make} as {client}:", *indented(body, job.unit)]
