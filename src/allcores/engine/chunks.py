"""Chunks of neighbouring iterations: in the loop's order, and what of them has to be done again."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from allcores.engine.failures import Ending
from allcores.engine.job import Cut


class Chunk:
    """Neighbouring iterations that a worker does in one go, and what came of them."""

    __slots__ = ("alone", "answer", "deaths", "how", "items", "last", "size", "start", "suspect")

    def __init__(
        self,
        start: int,
        items: Sequence[Any],
        last: bool,
        deaths: int = 0,
        how: Ending | None = None,
        alone: bool = False,
    ) -> None:
        self.start, self.items, self.last = start, items, last
        self.deaths, self.how = deaths, how
        """How many workers died on its one iteration, and the last one of them how."""
        self.alone = alone
        """Whether a worker frees what memory it can before it."""
        self.suspect = False
        """Whether a worker died while this and others were being done, and any may have been why."""
        self.size = 0
        self.answer: tuple[list[Any], Any, Cut | None, float] | None = None

    @property
    def stop(self) -> int:
        return self.start + len(self.items)

    def stopped(self, kind: str, text: str = "") -> None:
        """Its first iteration is special, and no other one is done."""
        self.answer = ([], None, Cut(0, kind, text), 0.0)


class Chunks:
    """All chunks that are made and not yet given to the caller."""

    def __init__(self, retries: int) -> None:
        self.retries = retries
        self.order: deque[Chunk] = deque()
        """In the loop's order."""
        self.todo: list[Chunk] = []
        """Those of them that have to be handed out (again), in the loop's order."""

    def again(self, chunks: Sequence[Chunk]) -> None:
        """Have chunks handed out before all that come after them."""
        self.todo += [chunk for chunk in chunks if chunk.answer is None]
        self.todo.sort(key=lambda chunk: chunk.start)

    def next(self, most: int | None) -> Chunk:
        """The next one to hand out again, with no more iterations than `most`."""
        chunk = self.todo.pop(0)
        if most is not None and len(chunk.items) > most:
            self.again([self.split(chunk, most)])
        return chunk

    def split(self, chunk: Chunk, keep: int) -> Chunk:
        """Have a chunk end after so many iterations; gives a new one with the others."""
        rest = Chunk(chunk.start + keep, chunk.items[keep:], chunk.last)
        rest.suspect = chunk.suspect
        chunk.items, chunk.last = chunk.items[:keep], False
        self.order.insert(self.order.index(chunk) + 1, rest)
        return rest

    def replace(self, chunk: Chunk, parts: Sequence[Chunk]) -> None:
        place = self.order.index(chunk)
        del self.order[place]
        for k, part in enumerate(parts):
            self.order.insert(place + k, part)

    def put_back(self, chunk: Chunk, cut: Cut) -> None:
        """A worker has stopped in a chunk, though nothing is wrong with the next iteration."""
        assert chunk.answer is not None
        results, extra, _, seconds = chunk.answer
        parts = self.around(chunk, chunk.start + cut.keep, alone=cut.kind == "crowded")
        if cut.keep:
            parts[0].answer, parts[0].size = (results, extra, None, seconds), chunk.size
        self.replace(chunk, parts)
        self.again(parts)

    def around(self, chunk: Chunk, at: int, alone: bool) -> list[Chunk]:
        """What comes before an iteration, the iteration (alone, or with all after it), the rest."""
        k = at - chunk.start
        more = k + 1 if alone else len(chunk.items)
        parts = [
            Chunk(chunk.start, chunk.items[:k], False),
            Chunk(at, chunk.items[k:more], False, alone=alone),
            Chunk(chunk.start + more, chunk.items[more:], False),
        ]
        parts = [part for part in parts if len(part.items)]
        parts[-1].last = chunk.last
        return parts

    # -- what a worker that is gone had

    def lose(self, chunk: Chunk, at: int, how: Ending | None) -> None:
        """A worker is gone in the midst of an iteration; how: None where it took too long."""
        parts = self.around(chunk, at, alone=True)
        culprit = next(part for part in parts if part.start == at)
        culprit.alone, culprit.suspect = chunk.alone, chunk.suspect
        culprit.deaths = chunk.deaths
        self.charge(culprit, how)
        self.replace(chunk, parts)
        self.again(parts)

    def suspect(self, chunk: Chunk, at: int) -> None:
        """A worker died in which this and others were being done; at: the iteration it was on.

        It is done again while nothing else is, so that it dies of itself or not at all.
        """
        parts = [chunk]
        if chunk.start <= at < chunk.stop and len(chunk.items) > 1:
            parts = self.around(chunk, at, alone=True)
            self.replace(chunk, parts)
        for part in parts:
            part.suspect = len(parts) == 1 or part.start == at
        self.again(parts)

    def lose_beside(self, chunk: Chunk, how: Ending | None) -> None:
        """A worker is gone beside its iterations, as in packing results: find out by which."""
        if len(chunk.items) == 1:
            self.charge(chunk, how)
            self.again([chunk])
            return
        rest = self.split(chunk, len(chunk.items) // 2)
        self.again([chunk, rest])

    def charge(self, culprit: Chunk, how: Ending | None) -> None:
        """A worker is gone because of this iteration: it has one more chance, or none."""
        if how is None:
            culprit.stopped("timeout")
            return
        culprit.deaths, culprit.how = culprit.deaths + 1, how
        culprit.suspect = False
        if culprit.deaths > self.retries:
            culprit.stopped("died")
