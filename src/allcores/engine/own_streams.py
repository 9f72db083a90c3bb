"""Iterations with random streams of their own, wherever they are run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, count
from threading import get_ident
from typing import Any

from allcores.engine.randomness import Streams

_inside: set[int] = set()
"""The threads that run an iteration of such a loop just now."""


def inside_iteration() -> bool:
    """Whether this thread runs an iteration that has streams of its own already.

    A loop or `map` within it draws from these, as it does in a worker.
    """
    return get_ident() in _inside


def enter_iteration() -> None:
    """This thread runs an iteration from now on that has streams of its own."""
    _inside.add(get_ident())


def leave_iteration() -> None:
    """It does not any more."""
    _inside.discard(get_ident())


class OwnStreams:
    """The streams that a loop's iterations draw from: each from its own place in them.

    However often and wherever an iteration is run, it begins at the same place.
    """

    def __init__(self, streams: Iterable[Any]) -> None:
        self.streams = Streams(streams)
        self.all = self.streams.all
        self.used = False

    @classmethod
    def of(cls, streams: Streams) -> OwnStreams:
        """The same in another process. streams: as the loop was entered with them."""
        made = cls.__new__(cls)
        made.streams, made.all, made.used = streams, streams.all, False
        return made

    def begin(self, place: int) -> None:
        """The iteration with this number begins, in this thread."""
        self.used = True
        self.streams.start(place)
        enter_iteration()

    def leave(self, place: int = 0) -> int:
        """No iteration is run here any more; gives `place` back."""
        leave_iteration()
        return place

    def made(self, iterator: Iterator[Any]) -> Iterator[Any]:
        """The items of an iterator that may draw as well, to make an item: from other places."""
        return map(_second, map(self._make, count()), iterator)

    def _make(self, place: int) -> None:
        self.leave()
        self.used = True
        self.streams.start_item(place)

    def given(self, items: Iterable[Any], first: int) -> Iterator[Any]:
        """Items for the loop's own body; first: the number of the first one's iteration."""
        # No frame of ours stands between the loop and what an iterator raises.
        return chain(map(self._give, map(self.leave, count(first)), items), self._ended())

    def _give(self, place: int, item: Any) -> Any:
        self.begin(place)
        return item

    def _ended(self) -> Iterator[Any]:
        self.leave()
        yield from ()

    def end(self) -> None:
        """The loop is over: the streams are where no iteration of it or of the next one begins."""
        self.leave()
        if self.used:
            self.streams.finish()


def _second(_: Any, item: Any) -> Any:
    return item
