"""The program's own classes among an object and what it holds, and their methods by name."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import islice
from types import FunctionType
from typing import Any

from allcores.plan.callables import attributes_of, elements_of
from allcores.plan.kinds import is_a, is_array
from allcores.plan.ownership import is_own_module
from allcores.plan.reach import ATOMS, of_array

MOST_PARTS = 300
"""So many objects are looked into."""
MOST_OF_EACH = 8
"""So many of what one holds, and one of each type besides."""
MOST_TYPES = 10_000
"""Of so many objects in a container the types are looked at."""


def own_kinds(objects: Iterable[Any]) -> list[type]:
    """The program's classes among these objects and what they hold, nearest first."""
    kinds: dict[type, None] = {}
    todo, seen = deque(objects), set[int]()
    while todo and len(seen) < MOST_PARTS:
        part = todo.popleft()
        if type(part) in ATOMS or id(part) in seen:
            continue
        seen.add(id(part))
        if is_own_module(type(part).__module__) and not is_a(part, type):
            kinds[type(part)] = None
        for held in held_in(part):
            todo.extend(samples(held))
    return list(kinds)


def held_in(part: Any) -> Iterator[Iterable[Any]]:
    """The groups of objects that one holds."""
    if is_a(part, dict):
        yield dict.keys(part)
    if is_array(type(part)):
        yield of_array(part)
    if type(part).__module__ in ("builtins", "itertools") and hasattr(type(part), "__next__"):
        yield gc.get_referents(part)
    yield elements_of(part)
    if is_own_module(type(part).__module__):
        yield attributes_of(part).values()
        yield in_slots(part)


def samples(held: Iterable[Any]) -> list[Any]:
    """The first of these, and one of each type."""
    few = list(islice(held, MOST_TYPES))
    types = set(map(type, few))
    if ATOMS.issuperset(types):
        return []
    first = few[:MOST_OF_EACH]
    if len(types) > 1:
        first += {type(part): part for part in few}.values()
    return first


def in_slots(part: Any) -> Iterator[Any]:
    """What the slots of an object hold."""
    for cls in type(part).__mro__:
        for name, member in cls.__dict__.items():
            if type(member).__name__ == "member_descriptor" and name != "__dict__":
                try:
                    yield member.__get__(part)
                except AttributeError:
                    continue  # nothing is bound


def methods_of(kinds: Iterable[type], name: str) -> list[FunctionType]:
    """The functions of the program that taking an attribute of objects of these classes, and calling
    it, may run."""
    found: dict[FunctionType, None] = {}
    for kind in kinds:
        member: Any = next((c.__dict__[name] for c in kind.__mro__ if name in c.__dict__), None)
        if is_a(member, (staticmethod, classmethod)):
            member = member.__func__
        elif is_a(member, property):
            member = member.fget
        elif is_a(member, cached_property):
            member = member.func
        if is_a(member, FunctionType):
            found[member] = None
    return list(found)
