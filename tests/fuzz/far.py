"""A class and functions that stand in another file than the random loops which use them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


class Far:
    """Some methods change the object, some do not; their names tell nothing."""

    def __init__(self, v: int, near: Far | None = None) -> None:
        self.v, self.kept, self.looks, self.near = v, [v], 0, near

    def find(self, v: int) -> int:
        self.kept.append(v)
        return len(self.kept)

    def index(self, v: int) -> int:
        return self.v * v % 7

    def pick(self) -> list[int]:
        return self.kept

    def double(self) -> list[int]:
        return [self.v, self.v]

    def through(self, v: int) -> int:
        return v if self.near is None else self.near.find(v)

    def bound(self, v: int) -> Far:
        self.v = v
        return self

    @property
    def turn(self) -> int:
        self.looks += 1
        return self.looks

    @property
    def half(self) -> int:
        return self.v // 2

    def __len__(self) -> int:
        return len(self.kept)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Far) and self.v == other.v

    def __hash__(self) -> int:
        return hash(self.v)


class Looked(Far):
    """One that counts how often it is looked at."""

    def __len__(self) -> int:
        self.looks += 1
        return self.looks

    def __str__(self) -> str:
        self.looks += 1
        return str(self.looks)


def far_find(fars: Sequence[Far], v: int) -> int:
    return fars[v % len(fars)].find(v)


def far_index(fars: Sequence[Far], v: int) -> int:
    return fars[v % len(fars)].index(v)


def stow(give: Callable[[Any], list[int]], v: int) -> int:
    given = give(v)
    given.append(v)
    return len(given)


def stows(give: Callable[[Any], list[int]], v: int) -> int:
    return stow(give, v) + stow(give, v + 1)


def taken(give: Callable[[Any], list[int]], v: int) -> list[int]:
    return give(v)


def drawn(give: Callable[[Any], list[int]], v: int) -> int:
    given = list(give(v))
    given.append(v)
    return len(given)
