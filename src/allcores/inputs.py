"""What is looped over: whether it can be read ahead, how much is left, and who else holds it."""

from __future__ import annotations

import copy
import gc
import operator
from collections.abc import Iterable
from types import GeneratorType
from typing import Any

_BUILT_IN: tuple[type, ...] = (
    list,
    tuple,
    range,
    str,
    bytes,
    bytearray,
    dict,
    set,
    frozenset,
    type({}.keys()),
    type({}.values()),
    type({}.items()),
)
_SAMPLES: tuple[Any, ...] = (
    *(
        [],
        (),
        range(0),
        range(2**70),
        "",
        "ä",
        b"",
        bytearray(),
        {},
        set(),
        {}.values(),
        {}.items(),
    ),
    reversed([]),
)
_BUILT_IN_ITERATORS = tuple({type(iter(sample)) for sample in _SAMPLES})


def plain_source(iterable: Any) -> bool:
    """Whether reading ahead runs no user code: sequences, and zip or enumerate of them."""
    kind = type(iterable)
    if kind in _BUILT_IN or kind in _BUILT_IN_ITERATORS:
        return True
    if kind is zip or kind is enumerate:
        try:
            parts = iterable.__reduce__()[1]
        except (TypeError, AttributeError):
            return False
        return all(plain_source(p) for p in (parts if kind is zip else parts[:1]))
    return kind.__name__ == "ndarray" and kind.__module__ == "numpy" and iterable.ndim > 0


def items_left(iterator: Any) -> int | None:
    """How many items a plain iterator still has."""
    kind = type(iterator)
    if kind is zip:
        parts = iterator.__reduce__()[1]
        return min((items_left(p) or 0 for p in parts), default=0)
    if kind is enumerate:
        return items_left(iterator.__reduce__()[1][0])
    hint = operator.length_hint(iterator, -1)
    return hint if hint >= 0 else None


def _inner_iterators(iterator: Any) -> Iterable[Any]:
    """The iterators that one draws from, as far as can be seen."""
    kind = type(iterator)
    if kind is zip or kind is enumerate:
        parts = iterator.__reduce__()[1]
        return tuple(parts if kind is zip else parts[:1])
    if isinstance(iterator, GeneratorType):
        frame = iterator.gi_frame
        found = list(frame.f_locals.values()) if frame is not None else []
    elif kind.__module__ in ("itertools", "builtins"):
        found = gc.get_referents(iterator)
        # `chain` and `zip_longest` keep theirs in a tuple.
        found += [part for f in found if type(f) is tuple for part in f]
    else:
        found = []
    return [f for f in found if hasattr(type(f), "__next__")]


def holds_iterator(iterable: Any, values: Iterable[Any]) -> bool:
    """Whether an iterator that the loop uses up is among these values."""
    if not hasattr(type(iterable), "__next__"):
        return False
    parts = [iterable]
    known = {id(iterable)}
    for part in parts:
        for inner in _inner_iterators(part):
            if id(inner) not in known:
                known.add(id(inner))
                parts.append(inner)
    return any(id(value) in known for value in values)


def copied(iterator: Any) -> Any:
    """A plain iterator that goes on where this one stands, and leaves it alone."""
    if type(iterator) is zip:
        return zip(*map(copied, _inner_iterators(iterator)))
    if type(iterator) is enumerate:
        state: Any = iterator.__reduce__()[1]
        return enumerate(copied(state[0]), state[1])
    return copy.copy(iterator)
