"""One entry of a loop: from its first item to its end.

The loop's iterator hands the user's own loop body only what has to run there: the first items, to
learn what an iteration costs, and any iteration that workers cannot finish (one that leaves the
loop, raises, or gives something that cannot be sent). All others are worked on in workers and
committed here, in order, without the loop body ever seeing them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

from allcores import sites
from allcores.collector import collector_paused
from allcores.engine.interrupts import Interrupts
from allcores.engine.own_streams import inside_iteration
from allcores.entry.course import Entry
from allcores.entry.plans import say_in_vain, say_serial, surely_small, why_serial
from allcores.loop import in_worker
from allcores.settings import Settings
from allcores.sites import Site
from allcores.skipping import Failure
from allcores.streams import natively, own_streams, wanted

if TYPE_CHECKING:
    from allcores.plan.model import Plan


def segments(
    site: Site | None,
    frame: FrameType,
    iterable: Any,
    settings: Settings,
    failures: list[Failure] | None = None,
) -> Iterator[Iterable[Any]] | None:
    """The pieces that the user's loop body has to run; None: all of it, as the plain loop.

    failures: is given what is left out because it raised.

    Raises NotParallel under `strict` when the loop has to run serially.
    """
    if in_worker():
        say_in_vain("it runs in a worker, whose parent has all the cores", frame, settings)
        return None
    with sites.lock:
        site, why = read(site, frame, iterable, settings)
        reading = site.reading()
    streams = None
    if reading is not None and reading.plan.draws:
        if inside_iteration():
            say_in_vain("it is part of an iteration that draws random numbers", frame, settings)
            return None
        streams = own_streams(site, reading.plan, frame, settings)
    if why is not None or settings.on == "serial":
        if why and settings.on != "serial":
            say_serial(site, why, settings)
        return natively(iterable, streams) if streams is not None else None
    assert reading is not None
    entry = Entry(site, reading, frame, iterable, settings, streams, failures)
    if settings.resume is not None:
        from allcores.entry.resume import resume_of

        entry.resume = resume_of(entry)
    return entry.segments()


def read(
    site: Site | None, frame: FrameType, iterable: Any, settings: Settings
) -> tuple[Site, str | None]:
    """The loop's site, with the Plan for the objects at hand; and why it runs serially, or None."""
    if site is None:
        site = sites.known_at(frame)
    if site is None:
        with Interrupts().held_back(), collector_paused():
            site = sites.site_at(frame)
    fits = site.plan is None or site.plan.own_streams == wanted(settings)
    may_be_small = site.cost is not None and not settings.keeps_workers and fits
    if may_be_small and surely_small(site, iterable):
        return site, ""
    with collector_paused():
        return site, why_serial(site, frame, iterable, settings)


def outlook(
    site: Site, frame: FrameType, iterable: Any, settings: Settings
) -> tuple[Plan | None, str]:
    """The Plan of a loop with the live objects at hand, and why it would stay serial now, or ""."""
    with sites.lock:
        why = why_serial(site, frame, iterable, settings)
        reading = site.reading()
    if why is None and reading is not None:
        why = Entry(site, reading, frame, iterable, settings).why_not_now()
    return reading.plan if reading is not None else None, why or ""
