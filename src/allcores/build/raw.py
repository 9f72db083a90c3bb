"""The memory of an object itself, where Python offers no other way to see what it holds.

CPython only. What is read here is compared with what was read there before, never understood.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

_HEADER = object.__basicsize__
_WORD = tuple.__itemsize__


def fields(obj: Any) -> bytes:
    """The fields of its C struct, but for its dict and its list of weak references."""
    kind: Any = type(obj)
    start, end, holes = _layout(kind)
    found = _read(id(obj) + start, end - start)
    for hole in holes:
        found = found[: hole - start] + found[hole - start + _WORD :]
    return found


def has_fields(kind: Any) -> bool:
    """Whether objects of this type have any such fields."""
    start, end, holes = _layout(kind)
    return available() and end - start > _WORD * len(holes)


@cache
def _layout(kind: Any) -> tuple[int, int, tuple[int, ...]]:
    """Where the fields begin and end, and the places among them that say nothing, last one first."""
    end = max(kind.__basicsize__, _HEADER)
    places = {kind.__dictoffset__, kind.__weakrefoffset__}
    return _HEADER, end, tuple(sorted((p for p in places if _HEADER <= p < end), reverse=True))


def forget_types() -> None:
    """Hold no type any longer."""
    _layout.cache_clear()


def pointers(items: list[Any]) -> bytes:
    """Which objects a list holds. Of use only while somebody keeps those objects alive."""
    size = len(items)
    if not size:
        return b""
    # The struct: header, number of items, where they are.
    return _read(_word(id(items) + _HEADER + _WORD), size * _WORD)


def version(mapping: dict[Any, Any]) -> bytes:
    """A number that is another one after every change of a dict. Not for dicts of attributes."""
    # The struct: header, number of items, version.
    return _read(id(mapping) + _HEADER + _WORD, _WORD)


@cache
def available() -> bool:
    """Whether all this works in this Python: tried out, not taken for granted."""
    if sys.implementation.name != "cpython" or sys.version_info >= (3, 14):
        return False
    try:
        items = [available, _read]
        first, second = (id(item).to_bytes(_WORD, sys.byteorder) for item in items)
        if pointers(items) != first + second:
            return False
        mapping = {1: 2}
        then = version(mapping)
        if then != version(mapping):
            return False
        mapping[1] = 3
        return then != version(mapping)
    except Exception:
        return False


def _word(address: int) -> int:
    return int.from_bytes(_read(address, _WORD), sys.byteorder)


def _read(address: int, size: int) -> bytes:
    import ctypes

    return ctypes.string_at(address, size)
