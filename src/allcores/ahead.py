"""Input that has to be read ahead of the loop: what reading it prints waits for the item's turn."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from allcores.engine.relay import Capture, Tape


class Ahead:
    """An iterator over the loop's input that keeps what reading each item printed.

    first: the index of the first item that is read through it.
    """

    def __init__(self, iterator: Iterator[Any], first: int) -> None:
        self.iterator = iterator
        self.count = first
        self.said: dict[int, list[tuple[int, str]]] = {}
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        tape = Tape()
        before = sys.stdout, sys.stderr
        captures = _Passing(tape, 1, before[0]), _Passing(tape, 2, before[1])
        sys.stdout, sys.stderr = captures
        try:
            return next(self.iterator)
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
        """Whether reading any of these items printed something."""
        return any(first <= index < first + count for index in self.said)

    def say(self, index: int) -> None:
        """Put out what reading this item printed."""
        for number, text in self.said.pop(index, ()):
            stream = sys.stdout if number == 1 else sys.stderr
            if stream is not None:
                stream.write(text)

    def in_turn(self, items: Iterable[Any], first: int) -> Iterator[Any]:
        """The items, each after what reading it printed."""
        index = first
        for item in items:
            self.say(index)
            yield item
            index += 1
        self.say(index)


class _Passing(Capture):
    """Text waits; bytes written past the text layer go through at once."""

    @property
    def buffer(self) -> Any:
        return self.original.buffer
