"""The random streams of a loop: those that its iterations have of their own, and all others."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

from allcores.engine.failures import RandomStreamWarning
from allcores.engine.own_streams import OwnStreams
from allcores.engine.randomness import global_stream, is_stream
from allcores.inputs import as_is, plain_source
from allcores.plan.draws import kind_of
from allcores.plan.effects import in_words
from allcores.plan.live import lookup

if TYPE_CHECKING:
    from allcores.plan.model import Plan
    from allcores.settings import Settings
    from allcores.sites import Site

WANTED = "streams"
"""The setting that has loops draw from streams of each iteration's own."""


def wanted(settings: Settings) -> bool:
    """Whether iterations may draw from streams of their own: where the user marked the loop."""
    return settings.random == WANTED or (not settings.random and settings.asked)


def may_draw() -> bool:
    """Whether there is anything to draw from at all."""
    return "random" in sys.modules or "numpy.random" in sys.modules


def own_streams(site: Site, plan: Plan, frame: FrameType, settings: Settings) -> OwnStreams | None:
    """The streams that this entry's iterations have of their own; says so once. None: no such."""
    found = streams_at(plan.draws, plan, frame)
    if not found:
        return None
    if settings.asked and not settings.random and not site.told_of_streams:
        site.told_of_streams = True
        warnings.warn_explicit(notice(plan), RandomStreamWarning, site.filename, site.line)
    return OwnStreams(found)


def notice(plan: Plan) -> str:
    """What is to be said of a loop of which each iteration draws from a stream of its own."""
    where = "; ".join(
        f"line {line}: {what} draws from `{in_words(root)}`"
        for root, (line, what) in sorted(plan.draws.items(), key=lambda each: each[1][0])
    )
    return (
        f"each iteration draws from a random stream of its own ({where}): the numbers follow from "
        "the seed and are the same for any number of workers, but are not the plain loop's; "
        '`parallel(·, random="streams")` says that you know, `random="plain"` runs the plain loop'
    )


def objects_at(roots: Iterable[str], plan: Plan, frame: FrameType) -> list[tuple[str, Any]]:
    """What stands at these roots now, where there is anything."""
    names = {} if plan.module_level else frame.f_locals
    found: list[tuple[str, Any]] = []
    for root in roots:
        if root in ("@random", "@numpy/random"):
            obj = global_stream(in_words(root))
        else:
            try:
                obj = lookup(root, names, frame.f_globals)
            except LookupError:
                continue
        if obj is not None:
            found.append((root, obj))
    return found


def streams_at(roots: Iterable[str], plan: Plan, frame: FrameType) -> list[Any]:
    return [obj for _, obj in objects_at(roots, plan, frame) if is_stream(obj)]


def why_no_stream(plan: Plan, frame: FrameType) -> str | None:
    """Why the iterations cannot have a stream of their own of what they draw from now."""
    for root, obj in objects_at([*plan.draws, *plan.seeded], plan, frame):
        if not is_stream(obj) and kind_of(obj) != "system":
            kind = type(obj).__name__
            return f"`{in_words(root)}` is a {kind}, of which iterations cannot each have their own"
    return None


def natively(iterable: Any, streams: OwnStreams) -> Iterator[Iterable[Any]]:
    """The whole loop for its own body, each iteration with its own streams."""
    try:
        iterator = as_is(iter(iterable))
        if not plain_source(iterable):
            iterator = streams.made(iterator)
        yield streams.given(iterator, 0)
    finally:
        streams.end()
