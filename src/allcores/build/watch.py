"""A look at what outlives the iterations: has work changed it, though reading it showed nothing?

Reading a loop sees no change made inside C code, or by a method of which the object is not known.
Each worker has its own copy of everything, so that such a change would be lost. It keeps what the
objects that work can reach hold when it begins, and compares after every chunk: the same objects
still, and the same bytes in arrays. The look is cheap, for it goes a bounded number of objects
far, nearest first; it is a net, not a proof.
"""

from __future__ import annotations

import gc
import re
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from operator import is_, itemgetter
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

from allcores.build import states
from allcores.build.settings import Settings
from allcores.build.states import FUNCTION, MISSING, State
from allcores.build.travel import ATOMS

MOST_OBJECTS = 300
MOST_PARTS = 3000
"""How far a look goes: objects, and what they hold, all together."""
BYTES_ARE = 16
"""What is compared byte by byte counts as so many parts."""
ROOM = 256 << 10
"""So many bytes are compared as a whole, all together; of what is bigger a sample is."""
MOST_ITEMS = 12
"""How many of a chunk's items are looked at."""
LONGEST_NAME = 5
"""How many steps a name may have that says where something was found."""


CODE = (type, FunctionType, ModuleType)


class Held(NamedTuple):
    """An object, and what it held."""

    obj: Any
    state: State
    parts: Callable[[Any], Any]
    then: Any
    kept: Any
    parent: int
    place: int
    loose: bool

    def changed(self) -> bool:
        if self.loose:
            return False
        now = self.parts(self.obj)
        if isinstance(now, bytes):
            return bool(now != self.then)
        return not _same(now, self.then)


class Change(NamedTuple):
    """What has changed, by the name that leads to it."""

    name: str
    root: str
    """The name that the way there began at; empty for settings of the process."""

    def in_words(self) -> str:
        """As it stands in a sentence."""
        return f"`{self.name}`" if self.root else self.name


class Watch:
    """What some objects hold at this moment, and all that can be reached through them."""

    def __init__(
        self,
        roots: Iterable[tuple[str, Any]],
        apart: frozenset[str] = frozenset(),
        most: int = MOST_OBJECTS,
        *,
        spared: Iterable[Any] = (),
        loose: Iterable[Any] = (),
        home: str = "__main__",
        data_only: bool = False,
    ) -> None:
        """roots: names and values. apart: global names of which the values may differ. home: the
        module whose variables are known by their names alone. data_only: look at
        no code, and not at the settings of the process either.

        spared: objects that may change, and all that is reached through them alone. loose: those
        of which only what they hold themselves may change.
        """
        self.apart, self.home = apart, home
        self.elsewhere: Watch | None = None
        """Looks at more, when nothing has changed here."""
        self.settings = None if data_only else Settings()
        self.data_only = data_only
        self.roots = list(roots)
        self.held: list[Held] = []
        self.group: list[Any] = []
        """Objects whose referents are compared, all in one go."""
        self.others: list[Held] = []
        """Those of which the parts are compared one by one."""
        self.variables: dict[int, tuple[dict[str, Any], set[str]]] = {}
        self.seen = {id(obj): obj for obj in spared}
        self.loose = {id(obj): obj for obj in loose}
        self.most, self.parts, self.room = most, max(MOST_PARTS, 10 * most), ROOM
        self.search()
        self.dicts = [obj for obj in self.group if issubclass(type(obj), dict)]
        self.spaces = [_Variables(*found) for found in self.variables.values()]
        self.then = self.glance()

    def search(self) -> None:
        """Find the objects, nearest first."""
        todo = deque((-1 - k, 0, obj) for k, (_, obj) in enumerate(self.roots))
        while todo and self.parts > 0 and len(self.held) < self.most:
            parent, place, obj = todo.popleft()
            if id(obj) in self.seen or type(obj) in ATOMS:
                continue
            self.seen[id(obj)] = obj
            if self.data_only and issubclass(type(obj), CODE):
                continue
            state = states.state_of(obj, self.room)
            if state is None:
                continue
            index = len(self.held)
            inside = self.hold(obj, state, parent, place)
            todo.extend((index, k, part) for k, part in inside if type(part) not in ATOMS)
            hidden = states.hidden_state_of(obj, state)
            if hidden is not None:
                self.hold(obj, hidden, parent, place)
        states.forget_types()

    def hold(self, obj: Any, state: State, parent: int, place: int) -> Iterable[tuple[int, Any]]:
        """Keep what an object holds; gives the objects to be followed, by their places."""
        parts: Callable[[Any], Any] = state.parts
        if state is FUNCTION:
            names = states.globals_of(obj, self.apart)
            parts = partial(states.of_function, names=names)
            known = self.variables.setdefault(id(obj.__globals__), (obj.__globals__, set()))
            known[1].update(names)
        then = parts(obj)
        kept = state.keep(obj) if state.keep is not None else None
        held = Held(obj, state, parts, then, kept, parent, place, id(obj) in self.loose)
        self.held.append(held)
        if held.loose:
            pass
        elif state.referents is not None:
            self.group += state.referents(obj)
        else:
            self.others.append(held)
        if not isinstance(then, bytes):
            self.parts -= len(then)
            return enumerate(then)
        self.parts -= BYTES_ARE
        self.room -= len(then)
        return ((0, part) for part in state.follow(obj)) if state.follow is not None else ()

    def glance(self) -> list[Any]:
        """A list that is another one if anything in the group has changed, and now and then if not."""
        found = gc.get_referents(*self.group)
        found += chain.from_iterable(map(dict.__iter__, self.dicts))
        for space in self.spaces:
            found += space.values()
        return found

    def change(self) -> Change | None:
        """What was found to have changed."""
        found = self.change_here()
        if found is None and self.elsewhere is not None:
            return self.elsewhere.change()
        return found

    def change_here(self) -> Change | None:
        """As `change`, not counting what is elsewhere."""
        setting = self.settings.changed() if self.settings is not None else None
        if setting is not None:
            return Change(setting, "")
        found = next((held for held in self.others if held.changed()), None)
        if found is None:
            now = self.glance()
            if len(now) == len(self.then) and all(map(is_, now, self.then)):
                return None
            found = next((held for held in self.held if held.changed()), None)
            if found is None:
                # Python has made something of its own, such as a dict of attributes.
                self.then = now
                return None
        return Change(self.name_of(found), self.root_of(found))

    def root_of(self, held: Held) -> str:
        """The name that a look began at."""
        while held.parent >= 0:
            held = self.held[held.parent]
        return self.roots[-1 - held.parent][0]

    def name_of(self, held: Held) -> str:
        """How a program would name the part of an object that has changed."""
        steps: list[str] = []
        parts = held.parts(held.obj)
        if not isinstance(parts, bytes):
            steps.append(_first_difference(held, parts))
        while len(steps) < LONGEST_NAME and not _is_whole(steps):
            if held.parent < 0:
                steps.append(self.roots[-1 - held.parent][0])
                break
            parent = self.held[held.parent]
            if not isinstance(parent.then, bytes):
                steps.append(parent.state.name(parent.obj, parent.then, held.place))
            held = parent
        else:
            if not _is_whole(steps):
                steps.append(f"{self.root_of(held)}...")
        name = "".join(reversed(steps)).removeprefix(f"{self.home}.")
        return re.sub(r"\.__dict__\['(\w+)'\]", r".\1", name)


def _is_whole(steps: list[str]) -> bool:
    """Whether the last step is the beginning of a name."""
    return bool(steps) and steps[-1] != "" and steps[-1][0] not in ".["


def _first_difference(held: Held, now: list[Any]) -> str:
    """The part that is another one now, as far as it has a name."""
    then = held.then
    name = held.state.name
    if len(now) == len(then):
        for place, (a, b) in enumerate(zip(now, then)):
            if not _same([a], [b]):
                return name(held.obj, then, place)
    if held.state in states.WITH_KEYS:
        known = set(map(id, then[1 : then[0] + 1]))
        for place in range(1, now[0] + 1):
            if id(now[place]) not in known:
                return name(held.obj, now, place)
    return ""


def _same(now: list[Any], then: list[Any]) -> bool:
    """The same objects, or numbers and text that are equal in all that can be seen."""
    if len(now) != len(then):
        return False
    for a, b in zip(now, then):
        if a is not b and not (type(a) is type(b) and type(a) in ATOMS and repr(a) == repr(b)):
            return False
    return True


class _Variables:
    """Some of a module's variables."""

    def __init__(self, namespace: dict[str, Any], names: set[str]) -> None:
        self.namespace = namespace
        there = sorted(name for name in names if name in namespace)
        self.missing = sorted(names.difference(there))
        self.get = itemgetter(*there) if there else None
        self.single = len(there) == 1

    def values(self) -> Iterable[Any]:
        if any(map(self.namespace.__contains__, self.missing)):
            return [MISSING]
        try:
            found = self.get(self.namespace) if self.get is not None else ()
        except KeyError:
            return [MISSING]
        return [found] if self.single else found


def watch_items(chunk: list[Any]) -> Watch | None:
    """A look at some of the items that iterations are given; None: they cannot be changed."""
    step = max(1, len(chunk) // MOST_ITEMS)
    items = [("", item) for item in chunk[::step] if type(item) not in ATOMS]
    if not items:
        return None
    return Watch(items, most=4 * MOST_ITEMS, data_only=True)
