"""A job made anew in a clean interpreter, so that it is the same there or is not shipped at all."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

from allcores.engine.shipment import CannotShip, Shipment

if TYPE_CHECKING:
    from allcores.map_job import FunctionJob


def ship_function(job: FunctionJob) -> Shipment:
    """The job of a `map` for a clean interpreter. Raises CannotShip."""
    parts = job.fn, job.star, job.streams, job.seeded, job.on_error, job.tells_streams, job.exact
    import cloudpickle

    try:
        body = cloudpickle.dumps(parts, protocol=5)
    except Exception as error:
        raise CannotShip(f"the function cannot be sent to a worker: {error}") from None
    return Shipment(f"{__name__}:make_function_job", body, [])


def make_function_job(body: Any, buffers: list[Any]) -> FunctionJob:
    """In the worker: the job again."""
    from allcores.map_job import FunctionJob

    fn, star, streams, seeded, on_error, tells_streams, exact = pickle.loads(body, buffers=buffers)
    job = FunctionJob(fn, star, streams, seeded, on_error)
    job.tells_streams, job.exact = tells_streams, exact
    return job
