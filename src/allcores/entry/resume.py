"""One entry of a loop and its journal: what was done before, what has changed since, what is kept."""

from __future__ import annotations

import ast
import errno
import os
import sys
import warnings
from typing import TYPE_CHECKING, Any

from allcores.build.digest import CannotDigest, digest_of
from allcores.build.made_of import VALUE, ItemDigest, MadeOf, body_of, made_of_loop
from allcores.engine.failures import JournalError, NotParallel, ParallelWarning, ResumeWarning
from allcores.engine.journal import Entered, Journal, journal_at
from allcores.engine.records import Records
from allcores.plan.live import lookup, owners_of
from allcores.plan.reach import ATOMS
from allcores.plan.source import loops_of

if TYPE_CHECKING:
    from allcores.entry.looks import Looks
    from allcores.settings import Settings
    from allcores.sites import Site

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EIO})
"""What the system may lack for a journal, which is no reason for a loop not to run."""


def journal_of(settings: Settings, site: Site) -> Journal | None:
    """The journal that a loop is to use, if any. Raises JournalError and OSError."""
    if settings.resume is None:
        return None
    try:
        return journal_at(settings.resume)
    except JournalError:
        raise
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        say(site, f"resume has no effect: {error}", settings)
        return None


def say(
    site: Site, text: str, settings: Settings, kind: type[ParallelWarning] = ParallelWarning
) -> None:
    """Something that the user should know of a loop's journal, once."""
    if text in site.warned:
        return
    site.warned.add(text)
    if settings.asked:
        warnings.warn_explicit(text, kind, site.filename, site.line)
    else:
        print(f"allcores: {os.path.basename(site.filename)}:{site.line}: {text}", file=sys.stderr)


class Resume:
    """What one entry of a loop has of a journal."""

    def __init__(self, journal: Journal, entry: Looks) -> None:
        self.journal, self.entry = journal, entry
        self.items = ItemDigest()
        self.number: int | None = None
        """Of the loop's entry in the journal; None: there is none so far."""
        self.records: Records | None = None
        self.count, self.saved = 0, 0.0
        """How many iterations earlier workers' runs found done, and what those took."""
        self.in_vain = False
        """Whether nothing of this loop can be kept."""
        self.why_not_kept = ""

    def begin(self, work: Any, fixed: dict[str, Any]) -> Records | None:
        """The records of the iterations that workers are to do from here on, if they can be kept.

        work: the function that workers run, with `fixed` of the variables around it.
        """
        if self.number is None and not self.in_vain:
            self.find_entry(work, fixed)
        if self.number is None:
            return None
        entry = self.entry
        self.count, self.saved = self.found()
        self.records = Records(
            self.journal,
            self.number,
            self.digest,
            places=entry.streams is not None,
            first=entry.done,
        )
        return self.records

    def found(self) -> tuple[int, float]:
        """How many iterations need not be done again, and what they took."""
        if self.records is None:
            return self.count, self.saved
        return self.count + self.records.count, self.saved + self.records.saved

    def find_entry(self, work: Any, fixed: dict[str, Any]) -> None:
        entry = self.entry
        plan, site = entry.plan, entry.site
        if plan.in_place:
            self.refuse(
                "its iterations change the items themselves, and records hold no such changes"
            )
            return
        if plan.own_elements and entry.done:
            self.in_vain = True  # what its first iterations have changed cannot be told any more
            return
        try:
            made = self.made_of(work, fixed)
            key = made.key()
        except CannotDigest as why:
            self.refuse(str(why))
            return
        place, number, elsewhere = place_of(site)
        found = {name: tuple(part) for name, part in sorted(made.found.items())}
        entered = self.journal.entry(place, number, key, found, elsewhere)  # type: ignore[arg-type]
        self.number = entered.number
        if entered.lost:
            self.say_changes(entered)

    def say_changes(self, entered: Entered) -> None:
        """Say what has changed since the iterations that are there were done."""
        settings, changes = self.entry.settings, entered.changes
        if not settings.asked and all(words.startswith(VALUE) for words in changes):
            return  # it is not always the same time that a loop comes to have workers
        many = f"{entered.lost} finished iteration" + ("s" if entered.lost > 1 else "")
        what = " and ".join(changes[:3])
        if len(changes) > 3:
            what += f" and {len(changes) - 3} more"
        are = "are" if len(changes) > 1 else "is"
        text = f"{many} of an earlier run must be done again, for {what} {are} not as it was then"
        say(self.entry.site, text, settings, ResumeWarning)

    def refuse(self, why: str) -> None:
        """Nothing of this loop can be kept."""
        self.in_vain = True
        text = f"resume has no effect for this loop: {why}"
        settings, site = self.entry.settings, self.entry.site
        if settings.strict and settings.asked:
            raise NotParallel(f"{site.filename}:{site.line}: {text}")
        say(site, text, settings)

    def made_of(self, work: Any, fixed: dict[str, Any]) -> MadeOf:
        """What the loop's records depend on. Raises CannotDigest."""
        entry = self.entry
        plan, namespace = entry.plan, entry.frame.f_globals
        names = fixed if not plan.module_level else {}
        apart = plan.bound | plan.parent_names | set(plan.varying) if plan.module_level else set()
        made = MadeOf(namespace, apart | plan.declared_global & plan.bound)
        for path in plan.changed:
            if path.startswith("$") or path in plan.own_elements:
                continue
            # What commits change is nothing that work reads.
            for _, owner, attribute in owners_of(path, names, namespace)[-1:]:
                made.left_out.add((id(owner), attribute))
            try:
                value = lookup(path, names, namespace)
            except LookupError:
                continue
            if type(value) not in ATOMS and not isinstance(value, (type, type(sys))):
                made.spared.add(id(value))
        made.spared.update(map(id, entry.own_streams()))
        streams = entry.streams.streams.first if entry.streams is not None else []
        assert isinstance(plan.node, ast.For)
        return made_of_loop(made, plan.node, work, fixed, streams)

    def digest(self, item: Any) -> bytes | None:
        """The digest of an item; None where it has none."""
        try:
            return self.items.of(item)
        except CannotDigest as why:
            self.why_not_kept = self.why_not_kept or f"an item may be another in every run: {why}"
            return None

    def say_problems(self) -> None:
        """Say what has come up: each once."""
        entry = self.entry
        problem = self.journal.problem
        if problem:
            say(entry.site, f"{problem}; the loop goes on without it", entry.settings)
        if self.why_not_kept:
            text = f"resume has no effect for some iterations: {self.why_not_kept}"
            say(entry.site, text, entry.settings)
        if self.records is not None and self.records.damaged:
            text = (
                f"some records in the journal {self.journal.path} are damaged, and are done again"
            )
            say(entry.site, text, entry.settings)

    def forget(self) -> None:
        """Iterations depend on each other after all: what was kept of them is worth nothing."""
        if self.records is not None:
            self.records.drop()

    def end(self, early: bool) -> None:
        """The loop is over; early: not at its end."""
        if self.records is not None:
            self.records.flush()
        self.say_problems()
        if self.number is not None:
            if early:
                self.journal.give_back(self.number)
            else:
                self.journal.ended(self.number)


def place_of(site: Site) -> tuple[str, int, frozenset[str]]:
    """A loop's file and function, which one of the loops there it is, and the others' bodies."""
    assert site.module is not None and site.node is not None
    node: ast.For = site.node
    inside = [
        n for n, chain in loops_of(site.module.tree) if [*map(id, chain)] == [*map(id, site.chain)]
    ]
    number = next((k for k, each in enumerate(inside) if each is node), 0)
    names = ".".join(str(getattr(each, "name", "<lambda>")) for each in site.chain)
    others = frozenset(
        digest_of(*body_of(each)).hex()
        for each in inside
        if each is not node and type(each) is ast.For
    )
    return f"{os.path.abspath(site.filename)}:{names or '<module>'}", number, others
