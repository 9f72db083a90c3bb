"""Why an entry of a loop cannot have workers, though its source allows it."""

from __future__ import annotations

import ast
import builtins
import sys
from types import MethodType
from typing import Any

from allcores.build.reached import Reached
from allcores.engine.ways import choose
from allcores.entry.looks import Looks
from allcores.entry.plans import TOO_DEEP, locals_of, names_of
from allcores.holders import caught_above, caught_by
from allcores.inputs import done_at_the_end, entangled, holds_iterator, plain_source, side_effect
from allcores.plan.acting import acting_in
from allcores.plan.blind import before_work, blind_calls
from allcores.plan.live import Aliases, Work, aliases_of, lookup, obstacle, read_by_work
from allcores.plan.own_kinds import own_kinds
from allcores.streams import why_no_stream

COPYING = frozenset("copy deepcopy replace asdict astuple vars __dict__ dump dumps".split())
"""What reads all attributes of an object."""


class Obstacles(Looks):
    """Adds what stands in the way of workers."""

    def why_not_now(self) -> str | None:
        """As `why_not_with_these`, where the stack may be nearly full."""
        try:
            return self.why_not_with_these()
        except RecursionError:
            return TOO_DEEP

    def why_not_with_these(self) -> str | None:
        """Why this entry cannot have workers, though its source allows it."""
        self.choice = choose(self.settings.on)
        if self.choice.why_not is not None:
            return f"workers cannot be made here: {self.choice.why_not}"
        if self.choice.way == "fresh" and self.site.not_tried:
            self.site.not_tried -= 1
            return self.site.not_shipped
        plan = self.plan
        names = {} if plan.module_level else locals_of(self.frame)
        namespace = self.frame.f_globals
        shared = holds_iterator(self.iterable, namespace.values())
        here, elsewhere = self.holders
        self.held = shared or here or elsewhere
        if self.held and (plan.can_leave or plan.leaves_by_commit):
            return (
                "the loop may leave early, and the iterator it runs over is used elsewhere as well"
            )
        # A script that ends by an exception has nobody left to look; a notebook goes on.
        in_notebook = shared and not (plan.module_level and "__file__" in namespace)
        if (
            self.held
            and not plain_source(self.iterable)
            and (in_notebook or self.seen_to_raise(elsewhere))
        ):
            return "if the loop raises, the iterator it runs over can still be used, and would have been read ahead; loop over a list of it"
        for name in sorted(plan.builtins_used):
            around = names if name in names else namespace
            # A notebook has `display` in both places, once it is imported.
            if name in around and not same(around[name], getattr(builtins, name, around)):
                return f"`{name}` is not the builtin of that name here"
        for name in sorted(plan.handler_names):
            in_globals = plan.module_level or name in plan.declared_global
            if name in names or (in_globals and name in namespace):
                return f"`{name}` has a value that `except ... as {name}` would delete; use another name there"
        for name in sorted(plan.unbinds if sys.version_info >= (3, 12) else ()):
            if name in names or name in plan.parent_names:
                return f"`{name}` is deleted, and Python {sys.version_info[0]}.{sys.version_info[1]} lets only the function itself do so; set it to None instead"
        for path in plan.lists_only:
            try:
                if type(lookup(path, names, namespace)) is not list:
                    return f"`{path}` is not a plain list, so an append in a `try` may raise"
            except LookupError:
                return f"`{path}` cannot be looked at beforehand"
        self.fixed = [n for n in sorted(plan.outer_reads) if n in names]
        mine = frozenset() if plan.module_level else names_of(self.frame.f_code)
        for name in (plan.outer_reads & mine).difference(names):
            return f"`{name}` has no value yet"
        why = why_no_stream(plan, self.frame)
        if why is not None:
            return why
        plain = plain_source(self.iterable)
        aliases = aliases_of(plan, names, namespace)
        work = read_by_work(plan, names, namespace)
        why = obstacle(plan, self.iterable, plain, names, namespace, aliases, work)
        if why is None:
            why = self.seen_otherwise(aliases, names, namespace)
        if why is None:
            why = self.done_unseen(work, names, namespace)
        if why is None and not plain:
            why = entangled(plan, self.iterable, names, namespace) or self.made_too_early()
        if why is None:
            blind = blind_calls(plan, names, namespace)
            self.blind, call = bool(blind), before_work(plan, blind)
            if call is not None:
                shown = ast.unparse(call.func)
                why = f"line {call.lineno}: `{shown}(·)` may change what it is given, and work after it reads that"
            if self.blind and plan.in_place:
                why = (
                    "what is called in order cannot be read, and may change the items that workers "
                    "change; call it in a loop of its own"
                )
        return why

    def seen_otherwise(
        self, aliases: Aliases, names: dict[str, Any], namespace: dict[str, Any]
    ) -> str | None:
        """Why work may come by what the loop changes in a way that its text does not show: through
        what functions and classes hold, or as an attribute of an object that it gets in another way."""
        if not aliases.any_wanted() and not aliases.met:
            return None
        known: set[int] = set()
        while True:
            reached = Reached(self.plan, names, namespace, aliases.classes, aliases.functions)
            more = [pair for pair in reached.holds() if id(pair[1]) not in known]
            if not more:
                break
            known.update(id(each) for _, each in more)
            why = aliases.through(more)
            if why is not None:
                return why
        any_name = bool(aliases.met) and (
            not COPYING.isdisjoint(reached.names) or self.gets_by_name(names)
        )
        for attribute, (path, way) in aliases.met.items():
            if any_name or attribute in reached.names:
                way = way if " " in way else f"`{way}`"
                return f"`{path}`, which the loop changes, may also be read through {way}"
        return None

    def done_unseen(
        self, work: Work, names: dict[str, Any], namespace: dict[str, Any]
    ) -> str | None:
        """What objects that work reads change when Python calls their methods by itself, or None."""
        read = [obj for _, obj in work.read]
        acting = acting_in([*read, self.iterable], self.plan.file)
        if not acting:
            return None
        reached = Reached(self.plan, names, namespace, own_kinds(read))
        for each in acting:
            if not each.attribute:
                return f"{each.words}, and Python may call it by itself"
            if each.attribute in reached.names:
                return each.words
        return None

    def made_too_early(self) -> str | None:
        """Why items cannot be made that the loop may leave unused, or None."""
        why = done_at_the_end(self.iterable)
        if why is not None:
            return why
        plan = self.plan
        may_leave = plan.can_leave or plan.leaves_by_commit
        if may_leave or self.seen_to_raise(True):
            changed = side_effect(self.iterable, self.frame.f_globals)
            if changed is not None:
                how = "leaves early" if may_leave else "raises"
                return f"if the loop {how}, items have been made that it does not use, and making one changes {changed}; loop over a list of them"
        return None

    def seen_to_raise(self, elsewhere: bool) -> bool:
        """Whether somebody goes on when the loop raises; elsewhere: a caller may be the one."""
        if self.plan.caught or caught_by(self.frame):
            return True
        return elsewhere and caught_above(self.frame)


def same(one: Any, other: Any) -> bool:
    """Whether these are the same object, or the same method of it."""
    if type(one) is MethodType and type(other) is MethodType:
        return one.__self__ is other.__self__ and one.__func__ is other.__func__
    return one is other
