"""What a loop and a `map` have in common of resuming: the journal, its entry, and what is said."""

from __future__ import annotations

import errno
from collections.abc import Callable, Container
from typing import Any

from allcores.build.digest import CannotDigest
from allcores.build.made_of import VALUE, ItemDigest, MadeOf
from allcores.engine.failures import JournalError, NotParallel, ParallelWarning, ResumeWarning
from allcores.engine.journal import Entered, Journal, journal_at
from allcores.engine.records import Records
from allcores.settings import Settings, is_of_environment

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EIO})
"""What the system may lack for a journal, which is no reason for a loop not to run."""

Say = Callable[[str, type[ParallelWarning]], None]
"""Tells the user something, once."""


def journal_of(settings: Settings, say: Say) -> Journal | None:
    """The journal that is asked for, if any. Raises JournalError and OSError."""
    if settings.resume is None:
        return None
    try:
        return journal_at(settings.resume)
    except JournalError as error:
        # A program that the one with the journal has started knows nothing of it.
        if not is_of_environment(settings.resume):
            raise
        say(f"resume has no effect: {error}", ParallelWarning)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        say(f"resume has no effect: {error}", ParallelWarning)
    return None


class Resuming:
    """What one entry of a loop, or one call of `map`, has of a journal."""

    def __init__(self, journal: Journal, settings: Settings, what: str, say: Say) -> None:
        """what: "loop", or the name of the function that was called."""
        self.journal, self.settings, self.what, self.say = journal, settings, what, say
        self.items = ItemDigest()
        self.number: int | None = None
        """Of the entry in the journal; None: there is none so far."""
        self.records: Records | None = None
        self.count, self.saved = 0, 0.0
        """How many iterations earlier workers' runs found done, and what those took."""
        self.in_vain = False
        """Whether nothing of this can be kept."""
        self.why_not_kept = ""

    def enter(
        self, site: str, loop: int, made_of: Callable[[], MadeOf], elsewhere: Container[str] = ()
    ) -> None:
        """Find the entry in the journal, or make one; what has changed is said."""
        try:
            made = made_of()
            key = made.key()
        except CannotDigest as why:
            self.refuse(str(why))
            return
        parts = {name: (part.digest, part.words) for name, part in sorted(made.found.items())}
        entered = self.journal.entry(site, loop, key, parts, elsewhere)
        self.number = entered.number
        if entered.lost:
            self.say_changes(entered)

    def say_changes(self, entered: Entered) -> None:
        """Say what has changed since the iterations that are there were done."""
        changes = entered.changes
        if not self.settings.asked and all(words.startswith(VALUE) for words in changes):
            return  # it is not always the same time that a loop comes to have workers
        many = f"{entered.lost} finished iteration" + ("s" if entered.lost > 1 else "")
        what = " and ".join(changes[:3])
        if len(changes) > 3:
            what += f" and {len(changes) - 3} more"
        are = "are not as they were then" if len(changes) > 1 else "is not as it was then"
        text = f"{many} of an earlier run must be done again, for {what} {are}"
        self.say(text, ResumeWarning)

    def refuse(self, why: str) -> None:
        """Nothing of this can be kept."""
        self.in_vain = True
        text = f"resume has no effect for this {self.what}: {why}"
        if self.settings.strict and self.settings.asked:
            raise NotParallel(text)
        self.say(text, ParallelWarning)

    def found(self) -> tuple[int, float]:
        """How many iterations need not be done again, and what they took."""
        if self.records is None:
            return self.count, self.saved
        return self.count + self.records.count, self.saved + self.records.saved

    def next_records(self, first: int, **how: Any) -> Records | None:
        """The records of what workers are to do from here on. how: as for `Records`."""
        if self.number is None:
            return None
        self.count, self.saved = self.found()
        self.records = Records(self.journal, self.number, self.digest, first=first, **how)
        return self.records

    def digest(self, item: Any) -> bytes | None:
        """The digest of an item; None where it has none."""
        try:
            return self.items.of(item)
        except CannotDigest as why:
            self.why_not_kept = self.why_not_kept or f"an item may be another in every run: {why}"
            return None

    def say_problems(self) -> None:
        """Say what has come up: each once."""
        path = self.journal.path
        if self.journal.problem:
            self.say(f"{self.journal.problem}; the {self.what} goes on without it", ParallelWarning)
        if self.why_not_kept:
            text = f"resume has no effect for some iterations: {self.why_not_kept}"
            self.say(text, ParallelWarning)
        if self.records is not None and self.records.damaged:
            text = f"some records in the journal {path} are damaged, and are done again"
            self.say(text, ParallelWarning)

    def forget(self) -> None:
        """Iterations depend on each other after all: what was kept of them is worth nothing."""
        if self.records is not None:
            self.records.drop()

    def end(self, early: bool) -> None:
        """All is over; early: not at its end."""
        if self.records is not None:
            self.records.flush()
        self.say_problems()
        if self.number is not None:
            if early:
                self.journal.give_back(self.number)
            else:
                self.journal.ended(self.number)
