"""A clock that does not count the time that measuring takes."""

from __future__ import annotations

from time import perf_counter


class Clock:
    """Wall-clock seconds, less those that were given to `lost`."""

    __slots__ = ("lost",)

    def __init__(self) -> None:
        self.lost = 0.0

    def now(self) -> float:
        """Seconds from some fixed point on."""
        return perf_counter() - self.lost


clock = Clock()
