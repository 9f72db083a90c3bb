"""Input that has to be read ahead of the loop: whether that changes the items read before, and how
what reading it prints waits for the item's turn.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from time import perf_counter
from typing import Any

from allcores.engine.interrupts import from_handler
from allcores.engine.relay import Capture, Piece, Tape, put_out, said_later
from allcores.plan.quiet import no_warnings


class Ahead:
    """An iterator over the loop's input that keeps what reading each item printed, warned and logged.

    first: the index of the first item that is read through it.
    """

    def __init__(self, iterator: Iterator[Any], first: int) -> None:
        self.iterator = iterator
        self.count = first
        self.said: dict[int, list[Piece]] = {}
        self.error: BaseException | None = None
        self.captures = _Passing(Tape(), 1, None), _Passing(Tape(), 2, None)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        tape = Tape()
        before = sys.stdout, sys.stderr
        captures = self.captures
        for capture, stream in zip(captures, before):
            capture.relay, capture.original = tape, stream
        sys.stdout, sys.stderr = captures
        try:
            with said_later(tape):
                return next(self.iterator)
        except StopIteration:
            raise
        except Exception as error:
            self.error = error
            raise
        finally:
            # A program may put a stream of its own there while it makes an item.
            if sys.stdout is captures[0]:
                sys.stdout = before[0]
            if sys.stderr is captures[1]:
                sys.stderr = before[1]
            if tape.pieces:
                self.said[self.count] = tape.take()
            self.count += 1

    def says(self, first: int, count: int) -> bool:
        """Whether reading any of these items said something."""
        return any(first <= index < first + count for index in self.said)

    def say(self, index: int) -> None:
        """Say what reading this item said."""
        for number, what in self.said.pop(index, ()):
            put_out(number, what)

    def in_turn(self, items: Iterable[Any], first: int) -> Iterator[Any]:
        """The items, each after what reading it said."""
        index = first
        for item in items:
            self.say(index)
            yield item
            index += 1
        self.say(index)


class _Passing(Capture):
    """Text waits; bytes written past the text layer go through at once."""

    # Called when it is dropped. What a signal's handler raises in Python code would be lost then.
    close = staticmethod(bool)  # type: ignore[assignment]

    @property
    def buffer(self) -> Any:
        return self.original.buffer


# -- whether it can be read ahead

LOOK, LOOK_BYTES, LOOK_SECONDS = 8, 1 << 20, 0.005
"""Items that are read to see what becomes of those before; no more than so many bytes or seconds."""


def first_read(
    iterator: Iterator[Any], look: Callable[[list[Any]], str | None] | None = None
) -> tuple[Iterator[Any], str | None]:
    """Read a few items, to see whether reading on leaves the earlier ones alone. look: given these,
    says what else keeps workers away, if anything does.

    Gives an iterator over all items, each as it was when it was read, and why no more of them may
    be read before they are used; None when they may. Readers fill one buffer again and again, and
    the groups of `groupby` are empty once the next one is there.
    """
    items: list[Any] = []
    seen: list[bytes | None] = []
    why: str | None = None
    rest = iterator
    deadline = perf_counter() + LOOK_SECONDS
    while why is None and len(items) <= LOOK:
        try:
            item = next(iterator)
        except Exception as error:
            if from_handler(error):
                raise
            rest = _ended(error)
            break
        if items and item is items[-1] and _changeable(item):
            why = "its input gives the same object each time"
        items.append(item)
        seen.append(_pickled(item))
        if (found := _iterator_in(item)) is not None:
            why = f"its input gives iterators ({found}), which have to be used up before the next item is read; make lists of them first"
        taken = sum(len(data) for data in seen if data)
        if len(items) > 1 and (taken > LOOK_BYTES or perf_counter() > deadline):
            break
    for k, data in enumerate(seen[:-1]):
        if data is not None and _pickled(items[k]) != data:
            items[k] = pickle.loads(data)
            why = "reading its input changes the items read before; have each item be a copy"
    if why is None and look is not None:
        why = look(items)
    return chain(items, rest), why


def sendable(items: Iterator[Any]) -> tuple[Iterator[Any], str | None]:
    """The items, and why workers cannot be given the first of them, or None."""
    first = list(islice(items, 1))
    why = None
    if first and _pickled(first[0]) is None:
        kind = type(first[0]).__name__
        why = f"an item of type {kind} cannot be pickled to send it; loop over a list of them"
    return chain(first, items), why


def _ended(error: Exception) -> Iterator[Any]:
    """What is left of an iterator that raised: the same again."""
    if not isinstance(error, StopIteration):
        raise error
    yield from ()


def _changeable(item: Any) -> bool:
    return isinstance(item, (list, dict, set, bytearray)) or type(item).__name__ == "ndarray"


def _iterator_in(item: Any, depth: int = 2) -> str | None:
    """The type of an iterator that the item is or contains."""
    if hasattr(type(item), "__next__"):
        return type(item).__name__
    parts = item if depth and isinstance(item, (tuple, list)) else ()
    return next((found for p in parts if (found := _iterator_in(p, depth - 1))), None)


def _pickled(item: Any) -> bytes | None:
    """What an item holds now, where it can be pickled."""
    # From 3.12 on, itertools' objects warn that they will not be picklable for ever.
    with no_warnings():
        try:
            return pickle.dumps(item, protocol=5)
        except Exception as error:
            if from_handler(error):
                raise
            return None
