"""The records of one entry of a loop in a journal: those that are there, and those that come home."""

from __future__ import annotations

import hashlib
import pickle
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from allcores.engine import wire
from allcores.engine.job import NOT_KEPT
from allcores.engine.journal import Journal

TOGETHER = 0.1
"""Rows are written after so many seconds,"""
HELD = 4 << 20
"""or as soon as there are so many bytes of them,"""
SECONDS_HELD = 0.05
"""or so many seconds of work."""


class Row(NamedTuple):
    """A finished iteration as it is kept."""

    seconds: float
    record: Any
    extra: Any
    size: int


def _always(extra: Any, in_place: bool) -> bool:
    return True


class Records:
    """The records of one entry of a loop: those that are there, and those that come home.

    digest: makes an item's digest, by which its record is found; None where it has none. places:
    whether a record belongs to its place as well. first: the number of the first item. fits: whether
    a record may be used, of which the extra and whether it is in its place are given.
    """

    def __init__(
        self,
        journal: Journal,
        number: int,
        digest: Callable[[Any], bytes | None],
        *,
        places: bool = False,
        first: int = 0,
        fits: Callable[[Any, bool], bool] = _always,
    ) -> None:
        self.journal, self.number, self.digest = journal, number, digest
        self.places, self.first, self.fits = places, first, fits
        self.digests: dict[int, bytes] = {}
        """Of items that have been handed out, by place."""
        self.waiting: list[tuple[Any, ...]] = []
        self.held, self.seconds = 0, 0.0
        self.written = time.monotonic()
        self.same = bytearray()
        """For each place, whether the record that is there was used."""
        self.moved: dict[bytes, deque[int]] | None = None
        """Where there are other records of items, by digest; None: nobody has asked."""
        self.used: set[tuple[int, bytes]] = set()
        self.damaged = 0
        self.count, self.saved = 0, 0.0
        """How many iterations need not be done again, and what they took."""
        begun = journal.run("SELECT 1 FROM iterations WHERE entry = ? LIMIT 1", number)
        self.may_have = bool(begun)

    def find(self, start: int, items: Sequence[Any]) -> list[Row | None]:
        """What is kept of these iterations, of which the first one's number is `start`."""
        start += self.first
        digests = [self.digest(item) for item in items]
        if self.places:
            digests = [d and d + b"#%d" % (start + k) for k, d in enumerate(digests)]
        known: dict[tuple[int, bytes], tuple[Any, ...]] = {}
        if self.may_have:
            rows = self.journal.run(
                "SELECT place, item, seconds, record, extra, checked FROM iterations "
                "WHERE entry = ? AND place >= ? AND place < ?",
                *(self.number, start, start + len(items)),
            )
            known = {(row[0], row[1]): row for row in rows}
        found: list[Row | None] = []
        for place, digest in enumerate(digests, start):
            row = self.row_of(place, digest, known) if digest is not None else None
            if row is None and digest is not None:
                self.digests[place] = digest
            found.append(row)
        self.count += sum(row is not None for row in found)
        self.saved += sum(row.seconds for row in found if row is not None)
        return found

    def row_of(
        self, place: int, digest: bytes, known: dict[tuple[int, bytes], tuple[Any, ...]]
    ) -> Row | None:
        key = place, digest
        if key in known and key not in self.used:
            if len(self.same) <= place:
                self.same.extend(bytes(place + 1 - len(self.same)))
            self.same[place] = 1
            return self.opened(known[key], place)
        if not self.may_have or self.places:
            return None
        if self.moved is None:
            self.moved = self.others(place)
        where = self.moved.get(digest)
        while where:
            other = where.popleft(), digest
            if other in self.used or (other[0] < len(self.same) and self.same[other[0]]):
                continue
            self.used.add(other)
            rows = self.journal.run(
                "SELECT place, item, seconds, record, extra, checked FROM iterations "
                "WHERE entry = ? AND place = ? AND item = ?",
                *(self.number, *other),
            )
            return self.opened(rows[0], place) if rows else None
        return None

    def others(self, place: int) -> dict[bytes, deque[int]]:
        """Where the records are that nobody has used so far."""
        found: dict[bytes, deque[int]] = defaultdict(deque)
        for at, item in self.journal.run(
            "SELECT place, item FROM iterations WHERE entry = ? ORDER BY place", self.number
        ):
            if at >= len(self.same) or not self.same[at]:
                found[item].append(at)
        return found

    def opened(self, row: tuple[Any, ...], wanted: int) -> Row | None:
        """A row with its record; None where it is not what was written, or cannot be read."""
        place, item, seconds, record, extra, checked = row
        if _check(self.number, place, item, seconds, record, extra) != checked:
            self.damaged += 1
            return None
        try:
            more = extra and pickle.loads(extra)
            if not self.fits(more, place == wanted):
                return None
            return Row(seconds, pickle.loads(record), more, len(record))
        except Exception:
            return None

    def keep(
        self, start: int, results: Sequence[Any], seconds: float, extras: Sequence[Any]
    ) -> None:
        """Keep what has come home of neighbouring iterations."""
        if self.journal.problem:
            self.digests.clear()
            return
        each = seconds / max(len(results), 1)
        for place, (result, extra) in enumerate(
            zip(results, extras, strict=True), start + self.first
        ):
            digest = self.digests.pop(place, None)
            if digest is None or extra is NOT_KEPT:
                continue
            try:
                record = wire.whole(result)
                more = pickle.dumps(extra, protocol=5) if extra else None
            except Exception:
                continue  # it has come here in another way
            checked = _check(self.number, place, digest, each, record, more)
            self.waiting.append((self.number, place, digest, each, record, more, checked))
            self.held += len(record)
            self.seconds += each

    def flush(self) -> None:
        """Write what waits to be written."""
        if self.waiting:
            self.journal.write(
                "INSERT OR REPLACE INTO iterations VALUES(?, ?, ?, ?, ?, ?, ?)", self.waiting
            )
            self.waiting, self.held, self.seconds = [], 0, 0.0
        self.written = time.monotonic()

    def due(self) -> float | None:
        """In how many seconds what waits is to be written; None: nothing waits."""
        if not self.waiting:
            return None
        if self.seconds > SECONDS_HELD or self.held > HELD:
            return 0.0
        return max(0.0, self.written + TOGETHER - time.monotonic())

    def drop(self) -> None:
        """Forget all records of this entry: they were made of what was not so."""
        self.waiting.clear()
        self.digests.clear()
        self.may_have = False
        self.journal.drop(self.number)


def _check(
    number: int, place: int, item: bytes, seconds: float, record: bytes, extra: bytes | None
) -> bytes:
    found = hashlib.blake2b(
        b"%d %d %r %d " % (number, place, seconds, len(record)) + item, digest_size=8
    )
    found.update(record)
    found.update(extra or b"")
    return found.digest()
