"""The ways to make workers, and which of them this process may use now."""

from __future__ import annotations

from typing import Literal, NamedTuple

from allcores.engine.crew import Crew
from allcores.engine.forkable import why_not_forkable

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
    return Choice("fork", why_not_forkable())


def crew_of(way: Way) -> type[Crew]:
    """The class that makes workers in this way."""
    return Crew
