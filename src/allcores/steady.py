"""Iterations that run here: whether they change what reading the loop took for fixed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from allcores.build.watch import Watch

LOOKS = 2
"""The first iterations may set something up once. What is changed once more is changed for good."""


class Steady:
    """Looks around the first pieces of a loop that run natively, before workers are brought in."""

    def __init__(self, look: Callable[[], Watch] | None) -> None:
        """look: looks at what is to stay as it is; None: there is nothing to look at."""
        self.look = look
        self.left = LOOKS if look is not None else 0
        self.watch: Watch | None = None
        self.changed = ""
        """What the last piece that was looked at has changed, in words; empty for nothing."""

    @property
    def undecided(self) -> bool:
        """Whether another piece has to run here, to tell whether it changes something as well."""
        return bool(self.changed) and self.left > 0

    def before(self) -> None:
        """A piece is about to run."""
        if self.left and self.look is not None:
            self.watch = self.look()

    def after(self) -> None:
        """The piece has run."""
        if self.watch is None:
            return
        change, self.watch = self.watch.change(), None
        self.left = self.left - 1 if change is not None else 0
        self.changed = change.in_words() if change is not None else ""
