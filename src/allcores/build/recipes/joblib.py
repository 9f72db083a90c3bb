"""The recipe for joblib."""

from __future__ import annotations

from allcores.build.recipes.job import Job


def lines(job: Job) -> list[str]:
    """The code in place of the loop."""
    more, items = job.items()
    parallel = job.imports.attribute("joblib", "Parallel")
    delayed = job.imports.attribute("joblib", "delayed")
    call = f"{delayed}({job.worker})({', '.join([job.item, *job.fixed])})"
    tasks = f"({call} for {job.item} in {items})"
    if job.whole:
        return [*more, *job.filled(f"{parallel}(n_jobs=-1){tasks}", 0)]
    # All at once: a generator of joblib's that is left early disturbs the next call.
    outcomes = job.names.new("outcomes")
    head = job.fold(f"{outcomes} = {parallel}(n_jobs=-1){tasks}", 0)
    return [*more, *head, *job.loop(outcomes, items, 0)]
