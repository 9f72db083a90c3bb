"""The recipe for Ray."""

from __future__ import annotations

from allcores.build.recipes.job import Job


def lines(job: Job) -> list[str]:
    """The code in place of the loop."""
    more, items = job.items()
    ray = job.imports.module("ray")
    refs, ref = job.names.new("refs"), job.names.new("ref")
    out = [f"{ray}.init(ignore_reinit_error=True)"]
    given = ""
    if len(job.fixed) == 1:
        kept = job.names.new(f"{job.fixed[0]}_ref")
        out.append(f"{kept} = {ray}.put({job.fixed[0]})")
        given = f", {kept}"
    elif job.fixed:
        fixed, value = job.names.new("fixed"), job.names.new("value")
        out += job.fold(
            f"{fixed} = [{ray}.put({value}) for {value} in ({', '.join(job.fixed)})]", 0
        )
        given = f", *{fixed}"
    call = f"{job.worker}.remote({job.item}{given})"
    out += [*more, *job.fold(f"{refs} = [{call} for {job.item} in {items}]", 0)]
    if job.whole:
        return [*out, *job.filled(f"{ray}.get({refs})", 0)]
    return [*out, *job.loop(refs, items, 0, handle=ref, fetch=f"{ray}.get({ref})")]


def decorator(job: Job) -> list[str]:
    """What stands above the worker function."""
    return [f"@{job.imports.module('ray')}.remote"]
