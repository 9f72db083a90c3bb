"""Reads `effects.txt`, the table of what calling changes, when somebody first asks."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from typing import Any

Words = frozenset[str]
Section = dict[str, Words]


@cache
def sections() -> dict[str, Section]:
    """The whole table: section -> key -> names."""
    path = os.path.join(os.path.dirname(__file__), "effects.txt")
    found: dict[str, Section] = {}
    section: Section = {}
    key = ""
    with open(path, encoding="utf-8") as stream:
        for line in stream:
            text = line.strip()
            if not text or text[0] == "#":
                continue
            if text[0] == "[":
                section = found[text[1:-1]] = {}
            elif line[0] == " ":
                section[key] |= frozenset(text.split())
            else:
                key, _, rest = text.partition(":")
                section[key] = section.get(key, frozenset()) | frozenset(rest.split())
    return found


def words(section: str, key: str = "any") -> Words:
    """The names under a key of a section."""
    return sections()[section].get(key, frozenset())


def by_position(section: str) -> dict[str, tuple[int, ...]]:
    """A section whose keys are positions of arguments, as function -> positions."""
    return {
        name: tuple(map(int, key.split()))
        for key, names in sections()[section].items()
        for name in names
    }


DRAWING = ("random.Random", "numpy.random._generator.Generator", "numpy.random.mtrand.RandomState")


def changing_names() -> Words:
    """Methods that are taken to change their object where nothing is known of its type."""
    types = sections()["changes its object"]
    found = frozenset().union(*(names for kind, names in types.items() if kind not in DRAWING))
    found |= words("changes any object") | words("is looked for by its name")
    return found - words("says little by its name")


def changes_its_object(kind: type, method: str) -> bool | None:
    """Whether a method of a type changes its object; None: the table does not tell."""
    if method in words("changes any object"):
        return True
    types = sections()["changes its object"]
    for cls in kind.__mro__:
        if method in types.get(full_name(cls), ()):
            return True
    defined = next((cls for cls in kind.__mro__ if method in cls.__dict__), None)
    told = defined is not None and full_name(defined) in words("is told in full")
    return False if told else None


def full_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def by_name(section: str) -> dict[str, str]:
    """A section as name -> key."""
    return {name: key for key, names in sections()[section].items() for name in names}


def prefixes(section: str) -> tuple[str, ...]:
    return tuple(words(section))


def cheap_methods() -> Words:
    """Methods that take next to no time."""
    text = "get items keys values strip split lower upper join format startswith copy"
    logging = "info debug warning error critical exception log"
    return changing_names() | frozenset(f"{text} {logging}".split())


_CONSTANTS: dict[str, Callable[[], Any]] = {
    "MUTATORS": changing_names,
    "CHEAP_METHODS": cheap_methods,
    "SOFT_NAMES": lambda: words("is looked for by its name"),
    "CONTAINER_CHANGES": lambda: words("is no function of a module"),
    "GIVEN_MUTATORS": lambda: words("changes its object when called by others"),
    "DRAWS": lambda: words("draws"),
    "VIEW_METHODS": lambda: words("a method gives part of its object"),
    "ARGUMENT_CHANGES": lambda: by_position("changes an argument"),
    "METHOD_ARGUMENT_CHANGES": lambda: by_position("a method changes an argument"),
    "LAST_ARGUMENTS": lambda: by_position("writes to its last argument"),
    "FILE_CHANGES": lambda: by_position("changes files"),
    "PROCESS_SETTINGS": lambda: words("sets something of this process"),
    "WATCHED_SETTINGS": lambda: words("sets what workers look at"),
    "PROCESS_ACTS": lambda: words("acts on this process"),
    "STATEFUL_MODULES": lambda: prefixes("works on something that all share"),
    "HARMLESS_FUNCTIONS": lambda: words("changes nothing"),
    "FRESH_MODULES": lambda: prefixes("makes new objects"),
    "BORROWING_FUNCTIONS": lambda: words("gives part of an argument"),
    "GENERATOR_MAKERS": lambda: words("makes a generator of random numbers"),
    "DEEP_COPIES": lambda: words("gives a copy of everything"),
    "SHARED_GIVERS": lambda: by_name("gives something that all share"),
    "KEYWORDS": lambda: by_name("a keyword names what is changed"),
}


def constant(name: str) -> Any:
    """A constant of `effects`; KeyError for another one."""
    return _CONSTANTS[name]()
