"""Items that work changes: whether workers may do so."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from types import FunctionType
from typing import TYPE_CHECKING, Any

from allcores.entry.commits import Commits
from allcores.entry.looks import parts_of
from allcores.entry.plans import locals_of
from allcores.inputs import copied, items_left, read_all
from allcores.plan.callables import attributes_of, within
from allcores.plan.kinds import is_a
from allcores.plan.live import changed_objects
from allcores.plan.ownership import is_own
from allcores.variables import variables_of

if TYPE_CHECKING:
    from allcores.plan.model import Plan

SHARE_FOR_ITEMS = 0.2
"""Of the time that the rest of a loop may take, so much may be spent on looking at its items."""
MOST_READ = 10_000
"""Of an input that is read one item at a time, so many are read before workers are made."""
TOO_MANY = "the items are too many to be told apart; loop over a list of them"
LOOK_AT_ITEMS = 0.05
"""Seconds that this may take in any case."""
MOST_FOR_MEMORY = 0.4
"""Of that time, so much may be spent on bringing home the memory of arrays."""


def functions_kept_by(items: list[Any]) -> list[Any]:
    """The functions of the program that items, or what they hold, keep; one of each piece of code."""
    parts = [part for item in items for part in (item, *within(item))]
    kept = [*parts, *(value for part in parts for value in attributes_of(part).values())]
    found = {part.__code__: part for part in kept if is_a(part, FunctionType) and is_own(part)}
    return list(found.values())


class Items(Commits):
    """Adds the looks at items that the loop changes."""

    def look_at_items(self, rest: Iterator[Any], plain: bool) -> tuple[Iterator[Any], str | None]:
        """What is left, and why workers cannot change it, or None."""
        from allcores.build.inplace import InPlace
        from allcores.build.items import MOST, Entangled

        itself = plain and rest is self.iterator
        if itself and self.begins_with_atoms():
            self.unchanging = True
            return rest, ""
        if itself and self.begins_with_memory():
            return rest, ""
        if itself and (items_left(rest) or 0) > MOST:
            return rest, TOO_MANY
        if itself:
            items, left = list(copied(rest)), rest
        else:
            items, more = read_all(rest, MOST if plain else MOST_READ)
            left = iter(items)
            if more is not None:
                return chain(items, more), TOO_MANY
        names = {} if self.plan.module_level else locals_of(self.frame)
        place = self.place = InPlace(self.plan, names, self.frame.f_globals)
        self.prepare(self.report.reason == "spilled" or "spilled" in self.site.warned)
        known = self.site.cost is not None and not self.settings.force
        cost = self.site.cost or 0.0
        seconds = max(SHARE_FOR_ITEMS * cost * len(items), LOOK_AT_ITEMS) if known else 60.0
        try:
            place.look(items, self.functions.targets, seconds)
        except Entangled as why:
            return left, str(why)
        if known and place.seconds_home() > MOST_FOR_MEMORY * cost * len(items):
            return left, ""
        if not place.changes_anything() and self.plan.otherwise is not None:
            self.unchanging = True
            return left, ""
        return left, None

    def functions_in(self, items: list[Any]) -> str | None:
        """Why functions that items hold keep workers away, or None: of items that are made as the
        loop goes, nothing was known when it was read."""
        functions = functions_kept_by(items)
        if not functions:
            return None
        from allcores.build.reached import Reached

        reached = Reached.by_values(functions)
        why = reached.changes(self.plan, self.frame.f_globals)
        if why is not None:
            return f"{why}, and the items hold it"
        names = {} if self.plan.module_level else locals_of(self.frame)
        changed = changed_objects(self.plan, names, self.frame.f_globals)
        paths = {id(obj): path for path, (obj, _) in changed.items()}
        bound = self.plan.parent_names if self.plan.module_level else self.plan.declared_global
        for name, seen in [*reached.sees(), *reached.holds()]:
            if id(seen) in paths or name in bound:
                path = paths.get(id(seen), name)
                return f"`{path}`, which the loop changes, may be read by a function of its items"
        return None

    def begins_with_atoms(self) -> bool:
        """Whether the next items are nothing that could be changed in place."""
        from allcores.build.travel import atoms

        items = list(islice(copied(self.iterator), 3))
        return {type(part) for item in items for part in parts_of(item)} <= atoms()

    def with_items(self) -> bool:
        """Go on by the Plan that has workers change the items, if there is one."""
        other = self.plan.alternative
        if other is None:
            return False
        self.go_by(other)
        return True

    def begins_with_memory(self) -> bool:
        """Whether the next item is arrays that take longer to compare than they are worked on."""
        if self.site.cost is None or self.settings.force:
            return False
        from allcores.build.inplace import PER_BYTE, UNCHANGED

        parts = [part for item in islice(copied(self.iterator), 1) for part in parts_of(item)]
        size = sum(part.nbytes for part in parts if type(part).__name__ == "ndarray")
        return bool(size * PER_BYTE * UNCHANGED > MOST_FOR_MEMORY * self.site.cost)

    def without_items(self) -> bool:
        """Go on by the Plan that leaves items alone, if there is one for workers."""
        other = self.plan.otherwise
        if other is None or other.verdict != "parallel":
            return False
        # What looks before it changes a value would find one that can be changed.
        if other.guards and not self.unchanging:
            return False
        self.go_by(other)
        return True

    def why_serial_anyway(self) -> str:
        """Why a loop of which no item can be changed is none for workers: it may write to the files
        that its items name, for instance."""
        other = self.plan.otherwise
        return other.why_not() if other is not None and other.verdict == "serial" else ""

    def go_by(self, plan: Plan) -> None:
        """Go on by this Plan, with nothing known of the items yet."""
        self.variables.settle()
        self.plan, self.place = plan, None
        self.variables = variables_of(plan, self.frame)
