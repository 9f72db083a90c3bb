"""What is looped over: whether it can be read ahead, how much is left, and who else holds it."""

from __future__ import annotations

import copy
import gc
import io
import operator
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain, islice, repeat
from types import CodeType, FunctionType, GeneratorType, ModuleType
from typing import Any, cast

from allcores.build.travel import atoms
from allcores.engine.functions import global_names
from allcores.plan.closing import done_when_closed
from allcores.plan.generators import used_by
from allcores.plan.kinds import is_a
from allcores.plan.live import changed_objects, owners_of
from allcores.plan.making import changed_by_making
from allcores.plan.model import Plan
from allcores.plan.reach import ATOMS

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
    deque,
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
    *(reversed({}), reversed({}.values()), reversed({}.items())),
    *(deque(), reversed(deque())),
)
_ITERATOR_BY_INDEX = type(iter(type("_", (), {"__getitem__": None})()))
"""What `iter` gives for NumPy's arrays, among others."""
BUILT_IN_ITERATORS = tuple({type(iter(sample)) for sample in _SAMPLES})


def plain_source(iterable: Any) -> bool:
    """Whether reading ahead runs no user code: sequences, and zip or enumerate of them.

    Two that take turns at one iterator, as in `zip(it, it)`, cannot be looked at one by one.
    """
    return _plain(iterable, set())


def _plain(iterable: Any, drawn_from: set[int]) -> bool:
    kind = type(iterable)
    if kind in _BUILT_IN or _iterates_as_built_in(cast(Any, kind)):
        return True
    if id(iterable) in drawn_from:
        return False
    if kind in BUILT_IN_ITERATORS:
        drawn_from.add(id(iterable))
        return True
    if kind is zip or kind is enumerate:
        drawn_from.add(id(iterable))
        try:
            parts = iterable.__reduce__()[1]
        except (TypeError, AttributeError):
            return False
        return all(_plain(p, drawn_from) for p in (parts if kind is zip else parts[:1]))
    if kind is _ITERATOR_BY_INDEX or kind is reversed:
        over = iterable.__reduce__()[1][0]
        drawn_from.add(id(iterable))
        by_index = kind is reversed and type(over) in (tuple, str, bytes, bytearray)
        return by_index or (type(over).__name__ == "ndarray" and plain_source(over))
    return kind.__name__ == "ndarray" and kind.__module__ == "numpy" and iterable.ndim > 0


@cache
def _iterates_as_built_in(kind: type) -> bool:
    """Whether it is a subclass of a built-in type (a Counter, a named tuple) that iterates as that."""
    base = next((base for base in _BUILT_IN if issubclass(kind, base)), None)
    own = next((vars(cls)["__iter__"] for cls in kind.__mro__ if "__iter__" in vars(cls)), None)
    return base is not None and own is vars(base)["__iter__"]


def as_is(iterator: Iterator[Any]) -> Iterator[Any]:
    """The iterator, to be handed on: whoever asks it for its iterator again gets itself.

    A program's own `__iter__` may begin anew, and the plain loop calls it once.
    """
    if not isinstance(getattr(type(iterator), "__iter__", None), FunctionType):
        return iterator
    return map(next, repeat(iterator))


def items_left(iterator: Any) -> int | None:
    """How many items a plain iterator still has."""
    kind = type(iterator)
    if kind is zip:
        parts = [items_left(part) for part in iterator.__reduce__()[1]]
        known = [left for left in parts if left is not None]
        return min(known, default=None if parts else 0)
    if kind is enumerate:
        return items_left(iterator.__reduce__()[1][0])
    try:
        hint = operator.length_hint(iterator, -1)
    except OverflowError:
        return None  # a range longer than any sequence
    return hint if hint >= 0 else None


MANY = 1_000_000
"""How many items are taken into a list; more are read as they are needed."""


def as_sequence(iterator: Any) -> Sequence[Any] | None:
    """What a plain iterator has left, which is used up by that; None where it is too much."""
    left = as_range(iterator)
    if left is not None:
        return left
    number = items_left(iterator)
    # What is a list already may be as long as it is.
    if number is not None and (number <= MANY or type(iterator) is type(iter([]))):
        return list(iterator)
    return None


def as_range(iterator: Any) -> range | None:
    """What an iterator over a range has left, which is used up by that; None for any other."""
    if type(iterator) is not type(iter(range(0))):
        return None
    _iter, arguments, *state = cast(Any, iterator.__reduce__())
    left: range = arguments[0][state[0] if state and state[0] else 0 :]
    # Others may hold it, and it has been used up.
    cast(Any, iterator).__setstate__(len(arguments[0]))
    return left


def read_all(iterator: Iterator[Any], most: int) -> tuple[list[Any], Iterator[Any] | None]:
    """What an iterator gives; where that is more than so many items or it raises, what is left."""
    items: list[Any] = []
    try:
        for item in iterator:
            items.append(item)
            if len(items) > most:
                return items, iterator
    except Exception as error:
        return items, _raising(error)
    return items, None


def _raising(error: Exception) -> Iterator[Any]:
    yield from ()
    raise error


def _inner_iterators(iterator: Any) -> Iterable[Any]:
    """The iterators that one draws from, as far as can be seen."""
    kind = type(iterator)
    if kind is zip or kind is enumerate:
        parts = iterator.__reduce__()[1]
        return tuple(parts if kind is zip else parts[:1])
    if is_a(iterator, GeneratorType):
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


MOST_TYPES = 50_000
"""So many values are asked for their types."""
Atoms = frozenset[int]
"""Which parts of items that nothing can change may be whole numbers; -1: the items themselves."""
NO_NUMBERS: Atoms = frozenset()
ALL_NUMBERS: Atoms = frozenset({-1})
OF_ATOMS: dict[type, Atoms] = {
    io.TextIOWrapper: NO_NUMBERS,
    io.StringIO: NO_NUMBERS,
    str: NO_NUMBERS,
    range: ALL_NUMBERS,
    bytes: ALL_NUMBERS,
}
"""What gives lines, characters or numbers."""
STANDS_FOR_ITSELF = frozenset((str, float, type(None)))
"""Of these, unlike whole numbers, none stands for an open file or for memory."""


def gives_atoms(iterable: Any) -> Atoms | None:
    """Where all items are numbers, texts and the like, which nothing can change, or tuples of these:
    which parts may be whole numbers. None: there are other items, or that is not known.

    Only of what can be looked at without using it up; none of the program's code is run.
    """
    known = OF_ATOMS.get(type(iterable))
    if known is not None or not plain_source(iterable):
        return known
    iterator = copied(iterable) if hasattr(type(iterable), "__next__") else iter(iterable)
    left = items_left(iterator)
    items: list[Any] = list(islice(iterator, MOST_TYPES)) if left is not None else []
    parts, kinds = items, atoms()
    while left is not None and left <= MOST_TYPES:
        found = set(map(type, parts))
        if not found <= kinds | {tuple}:
            return None
        if tuple not in found:
            return _where_numbers(items)
        parts = [part for item in parts if type(item) is tuple for part in item]
        left = len(parts)
    return None


def _where_numbers(items: list[Any]) -> Atoms:
    """Which parts of these items may be whole numbers."""
    if not set(map(type, items)) - STANDS_FOR_ITSELF:
        return NO_NUMBERS
    if set(map(type, items)) != {tuple} or len(set(map(len, items))) != 1:
        return ALL_NUMBERS
    columns = enumerate(zip(*items, strict=True))
    return frozenset(k for k, column in columns if set(map(type, column)) - STANDS_FOR_ITSELF)


# -- whether the loop changes what its items are made of

MOST = 2000
"""How many objects are looked at behind an iterator."""


def _entangled_by(path: str) -> str:
    return (
        f"the loop changes `{path}`, which what it runs over uses to make its items; "
        "loop over a list of them"
    )


def entangled(
    plan: Plan, iterable: Any, names: dict[str, Any], namespace: dict[str, Any]
) -> str | None:
    """Why items cannot be made before the iterations that use them, or None."""
    changed = {
        id(obj): path
        for path, (obj, _) in changed_objects(plan, names, namespace).items()
        if path not in plan.own_elements
    }
    for path in plan.changed:
        changed.update({id(owner): path for _, owner, _ in owners_of(path, names, namespace)[-1:]})
    bound = plan.parent_names | set(plan.varying) | set(plan.temporaries)
    used = used_by(iterable)
    read = {(id(owner), attr) for _, owner, attr in used.owners}
    for path in plan.changed:
        for _, owner, attr in owners_of(path, names, namespace)[-1:]:
            if (id(owner), attr) in read:
                return _entangled_by(path)
    behind = (obj for start in used.objects for obj in _behind(start, namespace))
    # Its own variables count even where what it reads is known.
    for obj in chain([iterable], behind):
        found = [changed[id(obj)]] if id(obj) in changed else []
        for code, variables in _codes(obj):
            if variables is not namespace:
                continue
            seen = global_names(code) if plan.module_level else frozenset(code.co_freevars)
            found += sorted(bound & seen)
        if found:
            return _entangled_by(found[0])
    return None


def side_effect(iterable: Any, namespace: dict[str, Any]) -> str | None:
    """What making the items changes that others may see, as far as reading tells; else None."""
    kind = type(iterable)
    own = kind.__dict__.get("__next__") or kind.__dict__.get("__iter__")
    for obj in chain((own,), _behind(iterable, namespace, methods=False)):
        found = changed_by_making(obj)
        if found is not None:
            return found
    return None


def done_at_the_end(iterable: Any) -> str | None:
    """Why a generator behind this cannot be read to its end before the loop is over, or None."""
    for obj in _behind(iterable, {}, methods=False):
        line = done_when_closed(obj) if is_a(obj, GeneratorType) else None
        if line is not None:
            return (
                f"`{obj.__name__}` does something when it is closed (line {line}), which is too "
                "early where it has been read ahead; loop over a list of what it gives"
            )
    return None


def _behind(iterable: Any, namespace: dict[str, Any], methods: bool = True) -> Iterator[Any]:
    """What making the items may use, functions of the program among it.

    methods: all of those of the objects' classes as well.
    """
    seen: set[int] = set()
    kept: list[Any] = []
    todo = [iterable]
    while todo and len(kept) < MOST:
        obj = todo.pop()
        kind = type(obj)
        if kind in ATOMS or is_a(obj, (ModuleType, type)) or id(obj) in seen:
            continue
        if kind is dict and "__builtins__" in obj:
            continue
        seen.add(id(obj))
        kept.append(obj)
        yield obj
        for code, variables in _codes(obj):
            if variables is namespace:
                todo += [namespace[n] for n in global_names(code) if n in namespace]
        if is_a(obj, GeneratorType):
            if obj.gi_frame is not None:
                todo += [*obj.gi_frame.f_locals.values(), obj.gi_yieldfrom]
        elif kind is FunctionType:
            todo += [*(obj.__closure__ or ()), obj.__defaults__]
        elif not is_a(obj, io.IOBase):
            todo += gc.get_referents(obj)
            if methods:
                # What makes the items of an object are methods of its class.
                known = [f for c in kind.__mro__ for f in vars(c).values()]
                todo += [f for f in known if type(f) is FunctionType]


def _codes(obj: Any) -> list[tuple[CodeType, dict[str, Any]]]:
    """The code that an object runs, and its global variables."""
    if is_a(obj, GeneratorType):
        frame = obj.gi_frame
        return [] if frame is None else [(obj.gi_code, frame.f_globals)]
    return [(obj.__code__, obj.__globals__)] if type(obj) is FunctionType else []
