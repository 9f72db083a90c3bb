"""Methods that Python calls by itself, and properties, that change something: of the classes of what
work reads, where these stand in other files than the loop, so that reading its text tells nothing."""

from __future__ import annotations

import dis
import os
from collections.abc import Iterable, Iterator
from types import FunctionType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from allcores.plan import effects as fx
from allcores.plan import implicit
from allcores.plan.callables import Callables
from allcores.plan.kinds import is_a
from allcores.plan.own_kinds import own_kinds
from allcores.plan.ownership import is_own
from allcores.plan.summaries import Reading

CALLED_BY_ITSELF = implicit.READING | implicit.ITEM | implicit.TYPES | implicit.ATTRIBUTES
CALLED_BY_ITSELF -= implicit.OF_ITSELF | implicit.COPIES
STORES = frozenset(
    "STORE_ATTR DELETE_ATTR STORE_GLOBAL DELETE_GLOBAL STORE_SUBSCR DELETE_SUBSCR".split()
)


class Acting(NamedTuple):
    """A method that changes something when it is called."""

    file: str
    words: str
    attribute: str
    """The attribute that calls it; empty for a special method."""


_known: WeakKeyDictionary[type, tuple[Acting, ...]] = WeakKeyDictionary()


def acting_in(objects: Iterable[Any], file: str) -> list[Acting]:
    """Those of the classes of these objects and of what they hold that stand in another file."""
    found: dict[Acting, None] = {}
    for cls in own_kinds(objects):
        if cls not in _known:
            _known[cls] = tuple(_of_class(cls))
        found.update(dict.fromkeys(each for each in _known[cls] if each.file != file))
    return list(found)


def _of_class(cls: type) -> Iterator[Acting]:
    for name in dict.fromkeys(name for c in cls.__mro__ for name in c.__dict__):
        member = next(c.__dict__[name] for c in cls.__mro__ if name in c.__dict__)
        is_property = is_a(member, property)
        function = member.fget if is_property else member
        if not is_property and name not in CALLED_BY_ITSELF:
            continue
        if not is_a(function, FunctionType) or not is_own(function) or not _may_store(function):
            continue
        summary = Callables(function.__globals__, 0, Reading()).summary_of_method(function)
        if summary is not None and summary.changes - {fx.UNKNOWN}:
            code = function.__code__
            changed = fx.in_words(min(summary.changes)).replace("$0", cls.__name__)
            place = f"({os.path.basename(code.co_filename)}, line {code.co_firstlineno})"
            words = f"`{cls.__name__}.{name}` {place} changes `{changed}`"
            yield Acting(code.co_filename, words, name if is_property else "")


def _may_store(function: FunctionType) -> bool:
    """Whether the code of a function shows that it changes something: one that has others do so is
    not read, for operators lead to much of some programs."""
    names = function.__code__.co_names
    if not fx.CONTAINER_CHANGES.isdisjoint(names):
        return True
    return any(i.opname in STORES for i in dis.get_instructions(function))
