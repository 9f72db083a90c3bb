"""The ways to make workers, and which of them this process may use now."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Literal, NamedTuple

from allcores.engine.crew import Crew
from allcores.engine.forkable import why_not_forkable
from allcores.engine.shipment import CannotShip

Way = Literal["fork", "fresh", "threads"]
"""How workers are made: forks of this process, clean interpreters, or threads of one such worker."""


class Choice(NamedTuple):
    """A way to make workers, or why there is none."""

    way: Way
    why_not: str | None = None
    """Why no workers can be made in this way."""
    why: str = ""
    """Why it was chosen, for people."""


def choose(on: str) -> Choice:
    """The way for what the caller asks for: "processes", or a way by its name."""
    if on == "fresh":
        return Choice("fresh", why_not_fresh())
    why = why_not_forkable()
    if on == "threads" and why is None:
        return Choice("threads")
    if on == "processes" and why is None and not has_global_lock():
        return Choice("threads", why="this Python has no global lock")
    if why is None or on == "fork" or why_not_fresh() is not None:
        return Choice("fork", why)
    if not sys.platform.startswith("linux"):
        return Choice("fork", f'{why}; on="fresh" may do, but was never tried on this system')
    return Choice("fresh", why=why)


def why_serial(choice: Choice, error: Exception) -> str:
    """In words why workers of this kind cannot do a loop that was to have them."""
    if choice.why and isinstance(error, CannotShip):
        return f"{error}; and only clean interpreters can be workers here: {choice.why}"
    return str(error)


def has_global_lock() -> bool:
    """Whether only one thread of a process computes at a time."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def why_not_fresh() -> str | None:
    """None where clean interpreters can be started, else what is in the way."""
    try:
        from allcores.engine.interpreters import standby
    except OSError as error:  # it takes a descriptor, and there may be none left
        return f"clean interpreters cannot be started: {error.strerror}"
    return standby.why_not()


def crew_of(way: Way) -> type[Crew]:
    """The class that makes workers in this way."""
    if way == "fresh":
        from allcores.engine.fresh import FreshCrew

        return FreshCrew
    return Crew


def ready(way: Way, workers: int, imports: Callable[[], list[str]] = list) -> bool:
    """Whether workers can begin at once; those that cannot yet are being made from now on.

    imports: gives the names of modules that work will need there.
    """
    if way != "fresh":
        return True
    from allcores.engine.interpreters import standby

    return standby.prepare(workers, imports)
