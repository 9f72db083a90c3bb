"""Where iterations come from: a sequence that workers hold too, or a stream read lazily."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from math import inf
from time import perf_counter
from typing import Any

from allcores.engine.interrupts import from_handler

_END = object()


class Indexed:
    """A sequence; forked workers hold it already, so only index ranges travel."""

    by_index = True
    seconds = last_seconds = 0.0
    """What reading it took: all of it, and what was taken last."""

    def __init__(self, items: Sequence[Any], live: Iterator[Any] | None = None) -> None:
        """live: gives the same items, for as long as what they come from is not changed."""
        self.items = items
        self.live = live
        self.length: int | None = len(items)
        self.position = 0

    def left(self) -> int | None:
        """How many items have not been taken."""
        assert self.length is not None
        return self.length - self.position

    def next_bytes(self) -> int:
        """About how many bytes the next item takes, where a glance tells; else 0."""
        return _bytes_of(self.items[self.position]) if self.left() else 0

    def take(self, count: int, seconds: float = inf) -> tuple[int, Sequence[Any], bool]:
        """The next items: first index, the items, and whether they are the last."""
        assert self.length is not None
        start = self.position
        stop = min(start + count, self.length)
        self.position = stop
        return start, _Slice(self.items, start, stop), stop == self.length

    def rest(self, waiting: list[Sequence[Any]]) -> Iterator[Any]:
        """The items not finished: those of chunks that wait, and those not taken yet."""
        assert self.length is not None
        first = self.position - sum(map(len, waiting))
        if type(self.items) is range:
            return iter(self.items[first:])
        if self.live is not None:
            # Who does the rest natively may change what the items come from as it goes.
            next(islice(self.live, first, first), None)
            return self.live
        if type(self.items) is list:
            left = iter(self.items)
            left.__setstate__(first)  # type: ignore[attr-defined]  # it still knows its length
            return left
        return iter(_Slice(self.items, first, self.length))


def _bytes_of(item: Any) -> int:
    kind = type(item)
    if kind in (int, float, bool, complex, type(None)):
        return 16
    if kind in (str, bytes):
        return 16 + len(item)
    parts = [_bytes_of(part) for part in item] if kind is tuple and len(item) < 16 else [0]
    return sum(parts) if all(parts) else 0


class _Slice(Sequence[Any]):
    """A part of a sequence that copies nothing."""

    def __init__(self, items: Sequence[Any], start: int, stop: int) -> None:
        self.items, self.start, self.stop = items, start, stop

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            first, last, _ = index.indices(len(self))
            return _Slice(self.items, self.start + first, self.start + last)
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.items[self.start + index]

    def __iter__(self) -> Iterator[Any]:
        items = self.items
        return (items[i] for i in range(self.start, self.stop))


def as_sent(items: Sequence[Any]) -> Sequence[Any]:
    """Items as a worker is sent them that does not hold them: part of a range is a range."""
    if type(items) is _Slice and type(items.items) is range:
        return items.items[items.start : items.stop]
    return list(items)


class Streamed:
    """An iterator, read one item ahead so that the last chunk is known to be the last.

    What the iterator raises is kept until all items before it are dealt with.
    """

    by_index = False

    def __init__(self, iterator: Iterator[Any]) -> None:
        self.iterator = iterator
        self.length: int | None = None
        self.position = 0
        self.ahead: Any = None
        self.started = False
        self.error: BaseException | None = None
        self.seconds = self.last_seconds = 0.0
        """What reading it took: all of it, and what was taken last."""

    def next_bytes(self) -> int:
        """As `Indexed.next_bytes`: nothing is known of what comes."""
        return 0

    def start(self) -> None:
        if not self.started:
            self.started = True
            self.ahead = self.pull()

    def pull(self) -> Any:
        began = perf_counter()
        try:
            return next(self.iterator, _END)
        except Exception as error:
            if from_handler(error):
                raise
            self.error = error
            return _END
        finally:
            self.seconds += perf_counter() - began

    def left(self) -> int | None:
        """0 at the end, None while the number is unknown."""
        self.start()
        return 0 if self.ahead is _END else None

    def take(self, count: int, seconds: float = inf) -> tuple[int, Sequence[Any], bool]:
        """The next items: first index, the items, and whether they are the last.

        seconds: when reading has taken so long, what there is is given.
        """
        self.start()
        start, before = self.position, self.seconds
        items: list[Any] = []
        while len(items) < count and self.ahead is not _END and self.seconds - before < seconds:
            items.append(self.ahead)
            self.ahead = self.pull()
        self.position += len(items)
        self.last_seconds = self.seconds - before
        return start, items, self.ahead is _END

    def rest(self, waiting: list[Sequence[Any]]) -> Iterator[Any]:
        """The items not finished: those of chunks that wait, and those not taken yet."""
        return chain(chain.from_iterable(waiting), self.untaken())

    def untaken(self) -> Iterator[Any]:
        """The items not taken yet."""
        if self.started and self.ahead is not _END:
            ahead, self.ahead = self.ahead, _END
            yield ahead
        elif self.started:
            if self.error is not None:
                raise self.error
            return
        yield from self.iterator
