"""One entry of a loop and its journal: what its records depend on, and where it stands."""

from __future__ import annotations

import ast
import os
import sys
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

from allcores.build.digest import digest_of
from allcores.build.made_of import MadeOf, body_of, made_of_loop
from allcores.engine.failures import ParallelWarning
from allcores.engine.records import Records
from allcores.plan.kinds import is_a
from allcores.plan.live import lookup, owners_of
from allcores.plan.reach import ATOMS
from allcores.plan.source import loops_of
from allcores.resuming import Resuming, journal_of

if TYPE_CHECKING:
    from allcores.entry.looks import Looks
    from allcores.settings import Settings
    from allcores.sites import Site


def say(site: Site, settings: Settings, text: str, kind: type[ParallelWarning]) -> None:
    """Something that the user should know of a loop's journal, once."""
    if text in site.warned:
        return
    site.warned.add(text)
    if settings.asked:
        warnings.warn_explicit(text, kind, site.filename, site.line)
    else:
        print(f"allcores: {os.path.basename(site.filename)}:{site.line}: {text}", file=sys.stderr)


def resume_of(entry: Looks) -> Resume | None:
    """What an entry has of the journal that is asked for, if any. Raises JournalError and OSError."""
    tell = partial(say, entry.site, entry.settings)
    journal = journal_of(entry.settings, tell)
    return None if journal is None else Resume(journal, entry.settings, "loop", tell)


class Resume(Resuming):
    """What one entry of a loop has of a journal."""

    def begin(self, entry: Looks, work: Any, fixed: dict[str, Any]) -> Records | None:
        """The records of the iterations that workers are to do from here on, if they can be kept.

        work: the function that workers run, with `fixed` of the variables around it.
        """
        if self.number is None and not self.in_vain:
            self.find_entry(entry, work, fixed)
        return self.next_records(entry.done, places=entry.streams is not None)

    def find_entry(self, entry: Looks, work: Any, fixed: dict[str, Any]) -> None:
        plan = entry.plan
        if plan.in_place:
            self.refuse(
                "its iterations change the items themselves, and records hold no such changes"
            )
        elif plan.own_elements and entry.done:
            self.in_vain = True  # what its first iterations have changed cannot be told any more
        else:
            place, number, elsewhere = place_of(entry.site)
            self.enter(place, number, lambda: made_of(entry, work, fixed), elsewhere)


def made_of(entry: Looks, work: Any, fixed: dict[str, Any]) -> MadeOf:
    """What a loop's records depend on. Raises CannotDigest."""
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
        if type(value) not in ATOMS and not is_a(value, (type, type(sys))):
            made.spared.add(id(value))
    made.spared.update(map(id, entry.own_streams()))
    streams = entry.streams.streams.first if entry.streams is not None else []
    assert isinstance(plan.node, ast.For)
    return made_of_loop(made, plan.node, work, fixed, streams)


def place_of(site: Site) -> tuple[str, int, frozenset[str]]:
    """A loop's file and function, which one of the loops there it is, and the others' bodies."""
    assert site.module is not None and site.node is not None
    node, around = site.node, [*map(id, site.chain)]
    inside = [n for n, chain in loops_of(site.module.tree) if [*map(id, chain)] == around]
    number = next((k for k, each in enumerate(inside) if each is node), 0)
    names = ".".join(str(getattr(each, "name", "<lambda>")) for each in site.chain)
    others = frozenset(
        digest_of(*body_of(each)).hex()
        for each in inside
        if each is not node and type(each) is ast.For
    )
    return f"{os.path.abspath(site.filename)}:{names or '<module>'}", number, others
