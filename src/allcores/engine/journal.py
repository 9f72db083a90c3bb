"""The journal: a file that keeps what each finished iteration recorded, for a run that is killed.

It is an SQLite database, to be looked at with any tool. Table `entries`: a loop that was entered,
and what its records depend on. Table `iterations`: a row for each finished one, with the digest of
its item, its record (a pickle), and a check sum. A row is there once its chunk has come home:
whatever kills the process after that, it stays.
"""

from __future__ import annotations

import atexit
import json
import os
import sqlite3
from _thread import allocate_lock
from collections import defaultdict
from collections.abc import Container, Sequence
from typing import Any, NamedTuple

from allcores.engine.failures import JournalError
from allcores.engine.private_files import (
    identity_of,
    open_privately,
    refuse_open_folder,
    take_lock,
)

APPLICATION = 0x616C6C63
"""What marks the database as one of ours: "allc"."""
BESIDE = ("-journal", "-wal", "-shm")
"""The endings of files that SQLite would take for parts of a database, whoever made them."""
FORM = 1
"""The version of the tables."""
TABLES = f"""
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {FORM};
CREATE TABLE IF NOT EXISTS entries(
    id INTEGER PRIMARY KEY,
    site TEXT NOT NULL,          -- file and function
    loop INTEGER NOT NULL,       -- which one of the function's loops
    ordinal INTEGER NOT NULL,    -- which time it was entered
    key TEXT NOT NULL,           -- one digest of all of made_of
    made_of TEXT NOT NULL        -- JSON: name -> [digest, words]
);
CREATE TABLE IF NOT EXISTS iterations(
    entry INTEGER NOT NULL,
    place INTEGER NOT NULL,      -- the iteration's number in its loop
    item BLOB NOT NULL,          -- the digest of its item
    seconds REAL NOT NULL,
    record BLOB NOT NULL,        -- pickle, protocol 5
    extra BLOB,                  -- pickle of what goes with it, if anything
    checked BLOB NOT NULL,       -- a digest of all this
    PRIMARY KEY(entry, place, item)
) WITHOUT ROWID;
"""


class Journal:
    """A journal's file, held by this process alone until it ends."""

    def __init__(self, path: str) -> None:
        """Open it, or make it. Raises JournalError where that must not be, and OSError."""
        self.path = path
        self.process = os.getpid()
        self.lock = allocate_lock()
        self.problem = ""
        """Why nothing is kept any more, in words."""
        self.ordinals: dict[tuple[str, int], int] = defaultdict(int)
        self.claimed: set[int] = set()
        """The entries that loops of this run have taken."""
        self.instead_of: dict[int, int] = {}
        """For a new entry, the one that was there in its place."""
        self.replaced: set[int] = set()
        """Entries that are dropped in the end, if no loop has taken them."""
        self.connection: sqlite3.Connection | None = None
        refuse_open_folder(os.path.dirname(path))
        self.file = open_privately(path)
        try:
            self.identity = identity_of(os.fstat(self.file))
            take_lock(self.file, path)
            if os.fstat(self.file).st_size and os.pread(self.file, 16, 0) != b"SQLite format 3\0":
                raise JournalError(f"{path} is no journal of allcores; it is left as it is")
            for ending in BESIDE:
                # Made here, lest somebody else puts something in their place.
                os.close(open_privately(path + ending))
            self.connect()
            self.remove_rollback()
            if identity_of(os.stat(path)) != self.identity:
                raise JournalError(f"{path} was replaced while it was opened")
        except BaseException:
            self.close()
            raise

    def connect(self) -> None:
        """Open the database; where it is damaged, that is the `problem`."""
        try:
            connection = self.connection = sqlite3.connect(
                self.path, isolation_level=None, check_same_thread=False, timeout=1.0
            )
            own = connection.execute("PRAGMA application_id").fetchone()[0]
            form = connection.execute("PRAGMA user_version").fetchone()[0]
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if (tables and own != APPLICATION) or (own == APPLICATION and form != FORM):
                other = "another version's" if own == APPLICATION else "no"
                raise JournalError(f"{self.path} is {other} journal of allcores; it is left alone")
            connection.execute("PRAGMA journal_mode = WAL")
            # What was committed survives the process, however that ends. When the power fails, the
            # last rows may be lost, and the file is still good.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA wal_autocheckpoint = 4000")
            if not tables:
                connection.executescript(f"BEGIN; {TABLES} COMMIT;")
            connection.execute("SELECT count(*) FROM entries").fetchone()
        except sqlite3.Error as error:
            self.failed(error)

    def remove_rollback(self) -> None:
        """Where a write-ahead log is used there is none; what was made here is empty."""
        try:
            if not os.stat(self.path + "-journal").st_size:
                os.unlink(self.path + "-journal")
        except OSError:
            pass

    def failed(self, error: Exception) -> None:
        """Nothing is kept from here on."""
        damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(
            error, sqlite3.OperationalError
        )
        if damaged:
            self.problem = (
                f"the journal {self.path} is damaged ({error}); delete it, and the next run begins "
                "a new one"
            )
        else:
            self.problem = f"the journal {self.path} cannot be used any more: {error}"

    def run(self, statement: str, *values: Any) -> list[Any]:
        """The rows of a statement; where it fails, none, and there is a `problem`."""
        if self.problem or self.connection is None or self.process != os.getpid():
            return []
        try:
            with self.lock:
                return self.connection.execute(statement, values).fetchall()
        except (sqlite3.Error, OSError, OverflowError) as error:
            self.failed(error)
            return []

    def write(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Do this for all rows, or for none."""
        if self.problem or self.connection is None or self.process != os.getpid():
            return
        with self.lock:
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                self.connection.executemany(statement, rows)
                self.connection.execute("COMMIT")
            except BaseException as error:
                try:
                    self.connection.execute("ROLLBACK")
                except sqlite3.Error:
                    pass
                if not isinstance(error, (sqlite3.Error, OSError, OverflowError)):
                    raise  # such as Ctrl-C
                self.failed(error)

    def is_at(self, path: str) -> bool:
        """Whether this is the file at a path."""
        try:
            return self.process == os.getpid() and identity_of(os.stat(path)) == self.identity
        except OSError:
            return False

    def entry(
        self,
        site: str,
        loop: int,
        key: str,
        made_of: dict[str, tuple[str, str]],
        elsewhere: Container[str] = (),
    ) -> Entered:
        """The entry of a loop that begins now, old or new.

        What is in its place, but was made otherwise, is kept until this one has come to its end:
        whoever takes a change back finds it again.

        elsewhere: the digests of the bodies of other loops in the same function.
        """
        ordinal = self.ordinals[site, loop]
        self.ordinals[site, loop] += 1
        found = [
            Known(*row)
            for row in self.run(
                "SELECT id, loop, ordinal, key, made_of FROM entries WHERE site = ?", site
            )
            if row[0] not in self.claimed
        ]
        same = [each for each in found if each.key == key]
        if same:
            # Whichever: what they hold came of the same. A loop may have moved within its function.
            best = min(same, key=lambda each: (each.loop != loop, abs(each.ordinal - ordinal)))
            self.claimed.add(best.id)
            return Entered(best.id, 0, ())
        made = self.run(
            "INSERT INTO entries(site, loop, ordinal, key, made_of) VALUES(?, ?, ?, ?, ?) "
            "RETURNING id",
            *(site, loop, ordinal, key, json.dumps(made_of, ensure_ascii=False)),
        )
        number = made[0][0] if made else -1
        self.claimed.add(number)
        before = next((e for e in found if (e.loop, e.ordinal) == (loop, ordinal)), None)
        if before is None or before.body() in elsewhere:
            return Entered(number, 0, ())
        self.instead_of[number] = before.id
        counted = self.run("SELECT count(*) FROM iterations WHERE entry = ?", before.id)
        return Entered(number, counted[0][0] if counted else 0, before.changes(made_of))

    def ended(self, number: int) -> None:
        """The loop came to its end: what it stands in place of is not wanted any more."""
        old = self.instead_of.pop(number, None)
        if old is not None:
            self.replaced.add(old)

    def give_back(self, number: int) -> None:
        """The loop did not come to its end: it may be entered again for this."""
        self.claimed.discard(number)

    def drop(self, number: int) -> None:
        """Forget the records of an entry."""
        self.run("DELETE FROM iterations WHERE entry = ?", number)

    def close(self) -> None:
        """Give the file free. May be called again."""
        if self.process != os.getpid():
            return
        connection = self.connection
        if connection is not None:
            for number in self.replaced - self.claimed:
                self.drop(number)
                self.run("DELETE FROM entries WHERE id = ?", number)
            self.connection = None
            try:
                connection.close()
            except sqlite3.Error:
                pass
        # Closed last: with the first descriptor of a file that a process closes, its locks go.
        if self.file >= 0:
            os.close(self.file)
            self.file = -1


class Entered(NamedTuple):
    """A loop's entry in the journal."""

    number: int
    lost: int
    """How many records there are in its place that were made otherwise."""
    changes: Sequence[str]
    """What has changed, in words."""


class Known(NamedTuple):
    """An entry as the journal has it."""

    id: int
    loop: int
    ordinal: int
    key: str
    made_of: str

    def body(self) -> str:
        """The digest of the loop's body."""
        found: dict[str, Any] = json.loads(self.made_of)
        return str(found.get("body", [""])[0])

    def changes(self, now: dict[str, tuple[str, str]]) -> tuple[str, ...]:
        """What has changed, in words; what came or went only if there is nothing else."""
        then: dict[str, Any] = json.loads(self.made_of)
        changed = [name for name in now if name in then and now[name][0] != then[name][0]]
        if len(changed) > 1 and "work" in changed:
            changed.remove("work")  # follows from the others
        words = [now[name][1] for name in changed]
        if not words:
            words = [now[name][1] for name in now if name not in then]
            words += [then[name][1] for name in then if name not in now]
        return tuple(sorted(words, key=lambda text: text != "the loop's body"))


# -- those of this process


_open: list[Journal] = []
"""The journals of this process."""
_told: list[bool] = []
"""Filled once somebody knows that they are to be closed."""


def journal_at(path: str) -> Journal:
    """The journal at a path: the one that this process has open, or a new one.

    Raises JournalError where it must not be used, and OSError where there can be no such file.
    """
    path = os.path.abspath(path)
    for journal in _open:
        if journal.is_at(path):
            return journal
    journal = Journal(path)
    if not _told:
        _told.append(True)
        os.register_at_fork(after_in_child=_leave_to_parent)
        atexit.register(close_all)
    _open.append(journal)
    return journal


def open_journals() -> list[Journal]:
    """The journals that this process has open."""
    return [journal for journal in _open if journal.process == os.getpid()]


def close_all() -> None:
    """Give all journals of this process free."""
    for journal in _open:
        journal.close()
    _open[:] = [journal for journal in _open if journal.process != os.getpid()]


def _leave_to_parent() -> None:
    """In a forked child: the lock is the parent's alone, and so is the database."""
    for journal in _open:
        if journal.file >= 0:
            os.close(journal.file)
            journal.file = -1
