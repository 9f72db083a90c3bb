"""What calling a function does: what reading it has shown, and what is being read just now."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from allcores.plan.effects import UNKNOWN, Val

if TYPE_CHECKING:
    from allcores.plan.source import Module

LONGEST_TRAIL = 8
NEVER = 1_000_000
MOST = 40
"""How many functions may wait for each other to be read."""
MOST_AGAIN = 90
"""How often functions that call each other in a circle are read again, all together."""
ROUNDS = 6
CALLED = "()"
"""At the end of a path that is read: it is only called."""


class Summary:
    """What calling a function does, as far as reading its source tells.

    Roots that start with `$0`, `$1`, ... are the arguments.
    """

    def __init__(
        self,
        line: int,
        changes: set[str] | None = None,
        reads: set[str] | None = None,
        *,
        is_class: bool = False,
        is_static: bool = False,
    ) -> None:
        self.line, self.is_class, self.is_static = line, is_class, is_static
        self.changes: set[str] = changes or set()
        self.reads: set[str] = reads or set()
        self.follows: set[str] = set()
        """Where it finds the functions that it calls."""
        self.calls_held: set[str] = set()
        """What holds functions that it calls: `for f in self.listeners: f()`."""
        self.calls_methods: set[tuple[str, str]] = set()
        """Arguments, and methods called of them that classes of other files may have."""
        self.rebinds: set[str] = set()
        self.refusals: list[str] = []
        self.stores: set[str] = set()
        """Those of the changes that only bind an attribute anew: `self.x = ·`."""
        self.unsure: set[str] = set()
        """Those that are made only if some value is part of what is named, which may not be so."""
        self.augments: set[str] = set()
        """Those made by `self.x += ·`: in place, if what is there can be changed in place."""
        self.talks: set[str] = set()
        """What must be a logger or a standard stream, for it is only told something."""
        self.locks: set[str] = set()
        """What must be a lock that is free, for it is only taken for a while."""
        self.fields: dict[str, Val] | None = None
        """What the attributes of the first argument hold afterwards; None: that cannot be told."""
        self.parameters: list[str] = []
        self.shared_defaults: set[int] = set()
        """Positions of parameters with a default that all calls share and may change."""
        self.by_name: set[tuple[str, str]] = set()
        """Arguments, and methods called of them that change them by their name alone."""
        self.variable: tuple[int, int] = (-1, -1)
        """The positions of `*args` and `**kwargs` among the parameters; -1 where there is none."""
        self.puts: set[tuple[str, str]] = set()
        """What outlives the call and is put into arguments: where it is put, and what it is."""
        self.raises: set[str] = set()
        """What outlives the call and may be held by what it raises; none of its arguments."""
        self.gives: set[str] = set()
        """What outlives the call and may be, or be in, what it returns."""
        self.gives_itself: set[str] = set()
        """Those of them that it is itself, or a part of it."""
        self.gives_arguments: set[int] | None = None
        """Positions of the arguments that it may return, or parts of them; None: not known."""
        self.gives_more = False
        """Whether it may hold others of them than `gives` tells: what it gives is a generator, or a
        function or an object of a class that is made in it."""
        self.calls: set[str] = set()
        """Names of parameters that it calls."""
        self.draws: set[str] = set()
        """Random streams that it draws from, in the state they have at the call."""
        self.seeds: set[str] = set()
        """Streams that it seeds before it draws."""
        self.perhaps: set[str] = set()
        """What it passes on, and so draws from if it is a stream."""
        self.name = ""
        """What it is called: "f", "Model.step"."""
        self.trails: dict[str, tuple[str, ...]] = {}
        """For each change the functions that lead to it, and where it is: "cache.py:12"."""
        self.file = ""
        """The file it stands in, if that is another one than the loop's."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Summary):
            return False
        # Circles of calls would make ever longer trails.
        return vars(self) | {"trails": None} == vars(other) | {"trails": None}

    __hash__ = None  # type: ignore[assignment]

    @property
    def acts(self) -> set[str]:
        """All that it changes, the random streams among that which it draws from or seeds."""
        return self.changes | self.draws | self.seeds

    def but(self, **changes: Any) -> Summary:
        """A copy with some attributes changed."""
        new = Summary(self.line)
        vars(new).update(vars(self), **changes)
        return new

    def renamed(self, rename: Callable[[str], str], file: str) -> Summary:
        """The same with every root put in other words."""

        def roots(old: Iterable[str]) -> set[str]:
            return {rename(root) for root in old}

        fields = self.fields
        if fields is not None:
            fields = {
                attr: Val(*(frozenset(roots(part)) for part in val)) for attr, val in fields.items()
            }
        return self.but(
            changes=roots(self.changes),
            reads=roots(self.reads),
            follows=roots(self.follows),
            calls_held=roots(self.calls_held),
            draws=roots(self.draws),
            seeds=roots(self.seeds),
            perhaps=roots(self.perhaps),
            rebinds=roots(self.rebinds),
            stores=roots(self.stores),
            unsure=roots(self.unsure),
            augments=roots(self.augments),
            talks=roots(self.talks),
            locks=roots(self.locks),
            by_name={(rename(root), name) for root, name in self.by_name},
            calls_methods={(rename(root), name) for root, name in self.calls_methods},
            fields=fields,
            puts={(rename(where), rename(what)) for where, what in self.puts},
            raises=roots(self.raises),
            gives=roots(self.gives),
            gives_itself=roots(self.gives_itself),
            trails={rename(root): trail for root, trail in self.trails.items()},
            file=self.file or file,
        )

    def trail(self, root: str) -> tuple[str, ...]:
        """The way from calling it to where it makes a change."""
        known = self.trails.get(root, ())
        return (
            known if self.name in known or not self.name else (self.name, *known[-LONGEST_TRAIL:])
        )

    def place(self) -> str:
        """Where it stands, in words; empty for what has no source."""
        if not self.line:
            return ""
        return f" ({self.file}, line {self.line})" if self.file else f" (line {self.line})"


def merged(first: Summary, others: list[Summary]) -> Summary:
    """What happens where the others are called as well, each with arguments of its own."""
    if not others:
        return first
    every = [first, *others]
    # Where not all of them seed a stream, how far it has got depends on which is called.
    entwined = {r for s in every for r in s.seeds if not all(r in o.seeds for o in every)}
    return first.but(
        changes={r for s in every for r in s.changes} | entwined,
        reads={r for s in every for r in s.reads},
        follows={r for s in every for r in s.follows},
        calls_held={r for s in every for r in s.calls_held},
        rebinds={r for s in every for r in s.rebinds},
        refusals=list(dict.fromkeys(text for s in every for text in s.refusals)),
        # Bound anew only where none of them does more than that.
        stores={r for s in every for r in s.stores}
        - {r for s in every for r in s.changes - s.stores},
        unsure={r for s in every for r in s.unsure}
        - {r for s in every for r in s.changes - s.unsure},
        augments={r for s in every for r in s.augments}
        - {r for s in every for r in s.changes - s.stores - s.augments},
        draws={r for s in every for r in s.draws},
        seeds={r for s in every for r in s.seeds if all(r in other.seeds for other in every)},
        perhaps={r for s in every for r in s.perhaps},
        talks={r for s in every for r in s.talks},
        locks={r for s in every for r in s.locks},
        by_name={r for s in every for r in s.by_name},
        calls_methods={r for s in every for r in s.calls_methods},
        raises={r for s in every for r in s.raises},
        puts={pair for s in every for pair in s.puts},
        gives={r for s in every for r in s.gives},
        gives_itself={r for s in every for r in s.gives_itself},
        gives_arguments=None,
        trails={r: trail for s in every[::-1] for r, trail in s.trails.items()},
    )


class Asked(NamedTuple):
    """An object that was looked at while reading: its Plan holds as long as it looks the same."""

    namespace: dict[str, Any] | None
    """The globals its path begins in; None: the variables around the loop."""
    path: str
    mark: object


Place = tuple[int, int, str]
"""Where an object is: the ids of the variables around a loop, or 0, and of the globals; its path."""


class Known(NamedTuple):
    """A summary that is kept. Where it lacks what was too deep in calls, depth is its own depth,
    and it is of use for deeper ones; else 0."""

    depth: int
    summary: Summary
    pinned: tuple[object, ...]
    """Objects of which the identities are in the key."""
    asked: tuple[Asked, ...] = ()
    """What it goes by, if that can be looked at again."""


class Entry:
    """A function that is being read, or has been and may yet have to be read again."""

    def __init__(self, module: Module, known: Known, read: Callable[[], Summary]) -> None:
        self.module, self.known, self.read = module, known, read
        self.lowest = NEVER
        """The first function on the stack that it depends on."""
        self.readers: dict[object, None] = {}
        """Those that went by what was known of it."""


class Reading:
    """The functions that are followed from one loop; those that call each other in a circle are
    read again until nothing new comes to light."""

    def __init__(self) -> None:
        self.stack: list[object] = []
        """What is being read, each called by the one before."""
        self.entries: dict[object, Entry] = {}
        self.lowest = NEVER
        """The first on the stack that what is read now depends on."""
        self.stale: dict[object, None] = {}
        """What went by something that more is known of by now."""
        self.cut = False
        """Whether something called is too deep in calls to be read."""
        self.together: dict[tuple[int, ...], tuple[list[Summary], list[Summary]]] = {}
        """Summaries taken together, by the identities of those they were made of."""
        self.asked: dict[tuple[int, str], Asked] = {}
        """The objects that were looked at in what is read now, and in what it calls."""
        self.merged: dict[int, Known] = {}
        """The kept summaries of which that has been noted in what is read now."""
        self.holding: dict[int, tuple[Known, bool]] = {}
        """Whether objects look as they did that kept summaries go by, by the identities of these."""
        self.brought: dict[tuple[int, int, int], tuple[Summary, Summary]] = {}
        """Summaries in the names of another module, by the identities of these and of the globals."""
        self.looks: dict[Place, Asked] = {}
        """How objects look that have been looked at."""
        self.kinds: dict[Place, list[type]] = {}
        """The program's classes that have been found among objects and what they hold."""
        self.methods_sought = 0
        """How often methods of arguments have been looked for, in classes of other files."""
        self.mark: Callable[[str, dict[str, Any]], object] | None = None
        """What tells how an object looks, where the program is at hand."""
        self.without_source: Module | None = None
        """Keeps what was read of functions that have no source."""

    def alike(self, summaries: list[Summary]) -> list[Summary]:
        """The same, those with the same parameters taken together."""
        if len(summaries) < 2:
            return summaries
        key = tuple(map(id, summaries))
        known = self.together.get(key)
        if known is None:
            groups: dict[object, list[Summary]] = {}
            for each in summaries:
                same = tuple(each.parameters), each.is_static, tuple(sorted(each.shared_defaults))
                groups.setdefault(same, []).append(each)
            found = []
            for group in groups.values():
                # Reasons name the first that changes something.
                first = next((each for each in group if each.changes), group[0])
                found.append(merged(first, [each for each in group if each is not first]))
            known = self.together[key] = summaries, found
        return known[1]

    def ask(self, asked: Asked) -> None:
        """Note that an object was looked at."""
        self.asked[id(asked.namespace), asked.path] = asked

    def summarise(
        self, module: Module, key: object, known: Known, read: Callable[[], Summary]
    ) -> Summary:
        """Read a function, and what it calls.

        Where more functions than MOST call each other in circles, as in a program of which any
        part may call any other, what they change stays unknown: it took minutes to read.
        """
        if len(self.entries) >= MOST:
            return known.summary.but(changes={UNKNOWN})
        at, before = len(self.stack), len(self.entries)
        outer = self.lowest
        entry = self.entries[key] = Entry(module, known, read)
        self.stack.append(key)
        above, self.asked = self.asked, {}
        merged, self.merged = self.merged, {}
        try:
            self.read_again(key)
            if self.lowest == at:
                self.settle(before)
        finally:
            self.stack.pop()
            asked, self.asked = tuple(self.asked.values()), {**above, **self.asked}
            self.merged.update(merged)
        entry.lowest = self.lowest
        if self.lowest >= at:
            for late in list(self.entries)[before:]:
                each = self.entries.pop(late)
                each.module.summaries[late] = each.known._replace(asked=asked)
            self.lowest = NEVER
        self.lowest = min(self.lowest, outer)
        self.note_reader(entry)
        return entry.known.summary

    def read_again(self, key: object) -> None:
        """Read a function with what is known of the others now."""
        entry = self.entries[key]
        self.stale.pop(key, None)
        self.lowest, outer_cut, self.cut = NEVER, self.cut, False
        summary = entry.read()
        if summary != entry.known.summary:
            self.stale.update(entry.readers)
        entry.known = entry.known._replace(
            summary=summary, depth=entry.known.depth if self.cut else 0
        )
        self.cut = self.cut or outer_cut

    def settle(self, before: int) -> None:
        """Read again what went by less than is known now, among all read since then."""
        lowest = self.lowest
        circle = list(self.entries)[before:]
        for _ in range(min(ROUNDS * len(circle), MOST_AGAIN)):
            key = self.stale_among(circle)
            if key is None:
                break
            self.stack.append(key)
            self.read_again(key)
            self.stack.pop()
            circle = list(self.entries)[before:]
        if ROUNDS * len(circle) > MOST_AGAIN and self.stale_among(circle) is not None:
            for key in circle:
                entry = self.entries[key]
                unknown = entry.known.summary.but(changes={UNKNOWN})
                entry.known = entry.known._replace(summary=unknown)
        self.lowest = lowest

    def stale_among(self, circle: list[object]) -> object | None:
        """The last function of these that has to be read again."""
        return next((key for key in reversed(circle) if key in self.stale), None)

    def note_reader(self, entry: Entry) -> None:
        if self.stack:
            entry.readers[self.stack[-1]] = None

    def known(self, module: Module, key: object, depth: int) -> Summary | None:
        """What is known of a function already, if that is as good as reading it now."""
        entry = self.entries.get(key)
        if entry is not None:
            if key in self.stack:
                self.lowest = min(self.lowest, self.stack.index(key))
            self.lowest = min(self.lowest, entry.lowest)
            self.note_reader(entry)
            known = entry.known
        else:
            kept = module.summaries.get(key)
            if kept is None or kept.depth > depth or not self.still_holds(kept):
                return None
            known = kept
            if id(kept) not in self.merged:
                self.merged[id(kept)] = kept
                self.asked.update(((id(a.namespace), a.path), a) for a in kept.asked)
        self.cut = self.cut or known.depth > 0
        return known.summary

    def still_holds(self, known: Known) -> bool:
        """Whether the objects look as they did that it goes by."""
        if self.mark is None:
            return True
        if id(known) not in self.holding:
            self.holding[id(known)] = known, all(map(self.holds, known.asked))
        return self.holding[id(known)][1]

    def holds(self, asked: Asked) -> bool:
        """Whether what is found in these globals looks as it did. It is looked at once: while a loop is
        read nothing changes."""
        if asked.namespace is None or self.mark is None:
            return False
        key = 0, id(asked.namespace), asked.path
        if key not in self.looks:
            mark = self.mark(asked.path, asked.namespace)
            self.looks[key] = Asked(asked.namespace, asked.path, mark)
        return self.looks[key].mark == asked.mark
