"""A loop's job for a clean interpreter, and the same job made there."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from allcores.build import arrival
from allcores.build.conditions import depth_of
from allcores.build.outside import Outside, of_modules
from allcores.build.runtime import Code
from allcores.build.shipping import arrive, meet, shipment
from allcores.engine.functions import global_names
from allcores.engine.job import LEFT
from allcores.engine.own_streams import OwnStreams
from allcores.engine.randomness import SharedStreams
from allcores.engine.shipment import Shipment

if TYPE_CHECKING:
    from allcores.build.inplace import InPlace, ItemsJob
    from allcores.build.items_sent import Sent
    from allcores.build.job import LoopJob
    from allcores.build.sender import Sender


class Parts(NamedTuple):
    """What a loop's job is made of."""

    make: Any
    """The code that makes the functions."""
    arguments: list[str]
    values: dict[str, Any]
    """Of the variables around the loop, those that work reads."""
    space: Any
    variables: list[Any]
    """Those of the module."""
    lift_count: int
    names: tuple[list[str], list[str], list[str]]
    """The job's `global_names`, `passing_names` and `kept`."""
    traced: bool
    shared: tuple[list[Any], list[Any]]
    """The streams that iterations have in common, and those that may change."""
    outside: tuple[list[str], list[Any], list[Any], str, list[str] | None]
    """The names that looks begin at, what else work reads, what may change, the module's name, and
    the names of what work may come by there, in case that it may come by all there is."""
    streams: Any
    first: int
    on_error: str
    items: Any
    """Those that work changes."""
    also: Sequence[Any]
    leaves: tuple[list[list[str]], bool]
    """The names of the job's `not_sent`, `leaves_last` and `bound_late`; whether what is bound is noted."""


def ship_loop(job: LoopJob) -> tuple[Shipment, Sent]:
    """A loop's job for a clean interpreter. Raises CannotShip."""
    return shipment(
        f"{__name__}:make_loop_job",
        lambda sender: tuple(parts_of(job, sender)),
        job.outside.roots,
        depth_of(sys._getframe()),
    )


def parts_of(job: LoopJob, sender: Sender) -> Parts:
    """What is to be sent of a loop's job."""
    from allcores.build.sender import sendable_code
    from allcores.build.ship_items import parts_of_items

    place: InPlace | None = getattr(job, "holding", None)
    code = job.functions.work.__code__
    space = sender.space(job.namespace)
    own = frozenset((*job.global_names, *job.passing_names))
    sender.set_apart(job.namespace, own)
    sender.has_code(code, job.namespace)
    read = global_names(code)
    values = {n: job.values[n] for n in job.code.fixed if n in code.co_freevars}
    outside = job.outside
    others = [n for n, v in outside.elsewhere if job.namespace.get(n) is v]
    names = [n for n in outside.names if n in values or n in read]
    return Parts(
        sendable_code(job.code.make),
        job.code.fixed,
        values,
        space,
        sender.read_by(job.namespace, code),
        job.functions.lift_count,
        (job.global_names, job.passing_names, sorted(job.kept)),
        job.traced,
        (job.watched.streams, job.watched.but),
        (
            names,
            list(map(sender.named_value, outside.beside)),
            outside.spared,
            outside.home,
            others if outside.elsewhere else None,
        ),
        job.streams.streams if job.streams is not None else None,
        job.first,
        job.on_error,
        None if place is None else tuple(parts_of_items(place.items)),
        job.also,
        ([*map(sorted, (job.not_sent, job.leaves_last, job.bound_late))], job.bound is not None),
    )


# -- in the worker


def make_loop_job(body: Any, buffers: list[Any]) -> LoopJob:
    """The job again. Raises CannotShip."""
    job: LoopJob = arrive(body, buffers, made_of)
    return job


def made_of(sent: tuple[Any, ...]) -> LoopJob:
    """A job made of its parts."""
    from allcores.build.job import LoopJob, immutable, own

    parts = Parts(*sent)
    job: LoopJob
    variables = parts.space.variables
    arrival.bind(parts.variables)
    code = Code(
        arrival.code_of(parts.make), parts.arguments, parts.traced, [], [], False, parts.lift_count
    )
    place = None
    if parts.items is not None:
        from allcores.build.ship_items import items_of

        place = items_of(parts.items)
    helpers: dict[str, Any] = {
        "__LEFT": LEFT,
        "__own": own if place is None else place.own,
        "__immutable": immutable if place is None else place.immutable,
        "__output": lambda *given: job.output(*given),
        "__said": lambda *given: job.said(*given),
    }
    # What only commits read has not been sent.
    values = {**dict.fromkeys(parts.arguments), **parts.values}
    functions = code.bind(variables, values, helpers)
    arrival.here.codes.append((functions.work.__code__, variables))
    names, beside, spared, home, others = parts.outside
    # There is no more here than what was sent, and what that needs.
    elsewhere = [] if others is None else [*of_modules(variables, others)]
    job = (LoopJob if place is None else place.job)(
        functions,
        variables,
        parts.names[0],
        parts.names[1],
        set(parts.names[2]),
        parts.traced,
        SharedStreams(*parts.shared),
        Outside(names, values, variables, beside, spared, home, elsewhere),
        OwnStreams.of(parts.streams) if parts.streams is not None else None,
        parts.first,
        parts.on_error,
    )
    if place is None:
        meet(job)
    else:
        from allcores.build.ship_items import decode_items

        meet(job, partial(decode_items, cast("ItemsJob", job)))
    found, notes = parts.leaves
    job.not_sent, job.leaves_last, job.bound_late = (frozenset(each) for each in found)
    if notes:
        job.note_bound()
    return job
