"""Where work is done again: what cannot be changed to hold something else is made anew to hold it.

A tuple, a method, an iterator or a view of an array that a temporary is, or holds, looks at what was
made again; it is to look at what was sent home in its place (`made_again.py`).
"""

from __future__ import annotations

import functools
import gc
import io
import itertools
import pickle
import sys
import types
import weakref
from collections.abc import Callable
from typing import Any

from allcores.plan.kinds import is_a, is_array
from allcores.plan.quiet import no_warnings

_EMPTY: dict[Any, Any] = {}
_KEYS, _VALUES, _ITEMS = type(_EMPTY.keys()), type(_EMPTY.values()), type(_EMPTY.items())
_ITERATORS = (
    *map(type, (iter([]), iter(()), iter({}), iter({}.values()), iter({}.items()), reversed([]))),
    *(enumerate, map, zip, filter, reversed, functools.partial),
    *(itertools.chain, itertools.islice, itertools.cycle, itertools.takewhile),
    *(itertools.dropwhile, itertools.accumulate, itertools.starmap, itertools.zip_longest),
)
"""Types whose objects tell of what they are made, and can be made of other things."""


class _Parts(pickle.Pickler):
    """Takes an iterator apart; what it goes over stays as it is."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, 5)
        self.parts: list[Any] = []

    def persistent_id(self, obj: Any) -> int | None:
        if type(obj) in _ITERATORS or type(obj) is tuple:
            return None
        self.parts.append(obj)
        return len(self.parts) - 1


class _Together(pickle.Unpickler):
    parts: list[Any]

    def persistent_load(self, place: int) -> Any:
        return self.parts[place]


def _iterator(holder: Any, same: dict[int, Any]) -> Any:
    """An iterator over something else, that has come as far."""
    file = io.BytesIO()
    taking = _Parts(file)
    try:
        with no_warnings():  # iterators of itertools lose their `__reduce__` in Python 3.14
            taking.dump(holder)
            if not any(id(part) in same for part in taking.parts):
                return None
            file.seek(0)
            put = _Together(file)
            put.parts = [same.get(id(part), part) for part in taking.parts]
            return put.load()
    except Exception:
        return None  # it holds an iterator of another kind, or one that is under way


def _tuple(holder: Any, same: dict[int, Any]) -> Any:
    if not any(id(part) in same for part in holder):
        return None
    parts = [same.get(id(part), part) for part in tuple.__iter__(holder)]
    return tuple.__new__(type(holder), parts)


def _frozenset(holder: Any, same: dict[int, Any]) -> Any:
    if not any(id(part) in same for part in holder):
        return None
    return frozenset(same.get(id(part), part) for part in holder)


def _method(holder: Any, same: dict[int, Any]) -> Any:
    function, owner = holder.__func__, holder.__self__
    if id(owner) not in same and id(function) not in same:
        return None
    return types.MethodType(same.get(id(function), function), same.get(id(owner), owner))


def _method_in_c(holder: Any, same: dict[int, Any]) -> Any:
    owner = same.get(id(holder.__self__))
    for cls in type(owner).__mro__:
        found = vars(cls).get(holder.__name__)
        if type(found) is types.MethodDescriptorType:
            return found.__get__(owner)
    return None


def _view_of_dict(holder: Any, same: dict[int, Any]) -> Any:
    owner = same.get(id(gc.get_referents(holder)[0]))
    method = {_KEYS: dict.keys, _VALUES: dict.values, _ITEMS: dict.items}[type(holder)]
    return method(owner) if is_a(owner, dict) else None


def _proxy(holder: Any, same: dict[int, Any]) -> Any:
    owner = same.get(id(gc.get_referents(holder)[0]))
    return None if owner is None else types.MappingProxyType(owner)


def _weak_reference(holder: Any, same: dict[int, Any]) -> Any:
    owner = same.get(id(holder()))
    return None if owner is None else weakref.ref(owner, holder.__callback__)


def _memory(holder: Any, same: dict[int, Any]) -> Any:
    """A memoryview that looks at the same part of other memory."""
    owner = same.get(id(holder.obj))
    if owner is None or holder.ndim != 1:
        return None
    if is_array(type(owner)):
        made = memoryview(owner)
        return made if (made.format, made.shape) == (holder.format, holder.shape) else None
    was, view = memoryview(holder.obj), memoryview(owner)
    if was.nbytes != view.nbytes or holder.readonly or not holder.nbytes:
        return view if was == holder else None
    start = (_address(holder) - _address(was)) // holder.itemsize
    if view.format != holder.format:
        view = view.cast("B").cast(holder.format)
    step = holder.strides[0] // holder.itemsize
    return view[start::step][: holder.shape[0]]


def _address(view: memoryview) -> int:
    """Where what may be written begins."""
    import ctypes

    flat = view if view.c_contiguous else view[:1]
    return ctypes.addressof(ctypes.c_char.from_buffer(flat))


RENEWED: dict[Any, Callable[[Any, dict[int, Any]], Any]] = {
    tuple: _tuple,
    frozenset: _frozenset,
    types.MethodType: _method,
    types.BuiltinMethodType: _method_in_c,
    types.MappingProxyType: _proxy,
    weakref.ref: _weak_reference,
    memoryview: _memory,
    **dict.fromkeys((_KEYS, _VALUES, _ITEMS), _view_of_dict),
    **dict.fromkeys(_ITERATORS, _iterator),
}


def can_be_renewed(kind: Any) -> bool:
    """Whether objects of this type hold what they hold for good."""
    return kind in RENEWED or is_array(kind) or issubclass(kind, tuple)


def renewed(holder: Any, same: dict[int, Any], memories: Memories) -> Any:
    """One that holds what was sent home, in place of this one; None: it holds nothing of that.

    same: by the id of what was made, what was sent home.
    """
    kind = type(holder)
    if is_array(kind):
        return memories.view(holder, same)
    how = RENEWED.get(kind, _tuple if issubclass(kind, tuple) else None)
    return None if how is None else how(holder, same)


# -- arrays


def root_of(array: Any) -> Any:
    """The array whose memory this one looks at: itself, or the one it was made from."""
    while is_array(type(array.base)):
        array = array.base
    return array


def is_whole(array: Any) -> bool:
    return bool(array.flags.c_contiguous or array.flags.f_contiguous)


class Memories:
    """The memory of arrays that were made, and what was sent home of it."""

    def __init__(self, made: list[Any], same: dict[int, Any]) -> None:
        self.arrays: dict[int, list[tuple[Any, Any]]] = {}
        for new in made:
            if is_array(type(new)):
                self.arrays.setdefault(id(root_of(new)), []).append((new, same[id(new)]))

    def view(self, array: Any, same: dict[int, Any]) -> Any:
        """An array that looks at the same part of what was sent home; None: there is none."""
        if array.dtype.hasobject or not array.size:
            return None
        root = root_of(array)
        holder = getattr(root.base, "obj", root.base)
        if type(holder) is bytearray and id(holder) in same:
            return _over(array, memoryview(same[id(holder)]), _begin(array) - _at(holder))
        # Of those that were sent the largest one is the likeliest to hold all of it.
        for new, old in sorted(self.arrays.get(id(root), ()), key=lambda pair: -pair[0].nbytes):
            offset = _begin(array) - _begin(new)
            if is_whole(new) and is_whole(old) and new.nbytes == old.nbytes:
                found = _over(array, old if old.flags.c_contiguous else old.T, offset)
                if found is not None:
                    return found
        return None


def _begin(array: Any) -> int:
    return int(sys.modules["numpy"].ndarray.__array_interface__.__get__(array)["data"][0])


def _at(memory: bytearray) -> int:
    return _begin(sys.modules["numpy"].frombuffer(memory, "u1"))


def _over(array: Any, memory: Any, offset: int) -> Any:
    np = sys.modules["numpy"]
    try:
        made = np.ndarray(array.shape, array.dtype, memory, offset, array.strides)
    except (TypeError, ValueError):
        return None  # it is not within that memory
    if type(array) is not np.ndarray:
        made = made.view(type(array))
    if not array.flags.writeable:
        made.flags.writeable = False
    return made
