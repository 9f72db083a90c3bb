"""What an object holds: a look at it, what has changed since, and putting that into another one.

For each kind of object that work may change in place there is a `Kind`. It sees exactly what the
program can see of such an object, and runs none of the program's code.
"""

from __future__ import annotations

import gc
import pickle
import re
import sys
import types
import weakref
from array import array
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from enum import Enum
from functools import partial
from operator import is_
from typing import Any

from allcores.build.travel import ATOMS, IMMUTABLE, is_order_of_a_set
from allcores.plan.kinds import is_a, is_record

MISSING = type("Missing", (), {"__reduce__": lambda self: "MISSING"})()
"""In the place of a slot, or of a closure's variable, that has no value."""


class CannotBring(Exception):
    """A change that cannot be put into the original object exactly."""


class Kind:
    """One way in which objects hold others."""

    late = False
    """Whether a look takes long, and is taken where it is needed alone."""

    def look(self, obj: Any) -> Any:
        """What it holds now."""
        raise NotImplementedError

    def parts(self, held: Any) -> Iterable[Any]:
        """The objects in what a look gave."""
        return held  # type: ignore[no-any-return]

    def same(self, then: Any, now: Any) -> bool:
        """Whether two looks saw the very same."""
        return len(then) == len(now) and all(map(is_, then, now))

    def change(self, then: Any, now: Any) -> Any:
        """What has changed from one look to the next. Raises CannotBring."""
        return now

    def put(self, obj: Any, change: Any) -> None:
        """Do to an object that holds what the first look saw what the change says."""
        self.put_back(obj, change)

    def put_back(self, obj: Any, then: Any) -> None:
        """Have the object hold what a look saw."""
        raise NotImplementedError


class Lists(Kind):
    def look(self, obj: Any) -> list[Any]:
        return list.__getitem__(obj, slice(None))

    def change(self, then: list[Any], now: list[Any]) -> tuple[int, list[Any]]:
        return _appended(then, now)

    def put(self, obj: Any, change: tuple[int, list[Any]]) -> None:
        keep, rest = change
        list.__setitem__(obj, slice(keep, None), rest)

    def put_back(self, obj: Any, then: list[Any]) -> None:
        list.__setitem__(obj, slice(None), then)


class Deques(Kind):
    def look(self, obj: Any) -> list[Any]:
        return list(deque.__iter__(obj))

    def change(self, then: list[Any], now: list[Any]) -> tuple[int, list[Any]]:
        return _appended(then, now)

    def put(self, obj: Any, change: tuple[int, list[Any]]) -> None:
        keep, rest = change
        if not keep:
            deque.clear(obj)
        deque.extend(obj, rest)

    def put_back(self, obj: Any, then: list[Any]) -> None:
        self.put(obj, (0, then))


def _appended(then: list[Any], now: list[Any]) -> tuple[int, list[Any]]:
    """How many stayed as they were at the front, all or none, and what comes after them."""
    if len(now) >= len(then) and all(map(is_, then, now)):
        return len(then), now[len(then) :]
    return 0, now


class Dicts(Kind):
    of: Any = dict
    """The type whose methods are used, whatever those of a subclass do."""

    def look(self, obj: Any) -> tuple[list[Any], list[Any]]:
        return list(self.of.keys(obj)), list(self.of.values(obj))

    def parts(self, held: tuple[list[Any], list[Any]]) -> list[Any]:
        return held[0] + held[1]

    def same(self, then: Any, now: Any) -> bool:
        if len(then[0]) != len(now[0]):
            return False
        return all(all(map(is_, a, b)) for a, b in zip(then, now))

    def change(self, then: Any, now: Any) -> tuple[bool, list[Any], list[Any]]:
        """Whether to begin with none, keys and values."""
        if not all(map(_hashes_alike, now[0])):
            raise CannotBring("keys of which the hash is worked out by the program")
        old, new = then[0], now[0]
        if len(new) < len(old) or not all(map(is_, old, new)):
            return True, now[0], now[1]
        kept = [k for k, value in enumerate(then[1]) if value is not now[1][k]]
        which = [*kept, *range(len(old), len(new))]
        return False, [new[k] for k in which], [now[1][k] for k in which]

    def put(self, obj: Any, change: tuple[bool, list[Any], list[Any]]) -> None:
        anew, keys, values = change
        if anew:
            self.of.clear(obj)
        for key, value in zip(keys, values, strict=True):
            self.of.__setitem__(obj, key, value)

    def put_back(self, obj: Any, then: Any) -> None:
        self.put(obj, (True, *then))


class OrderedDicts(Dicts):
    of = OrderedDict


class DefaultDicts(Dicts):
    """The factory is looked at as well, but cannot be brought."""

    def look(self, obj: Any) -> Any:
        return *super().look(obj), [obj.default_factory]

    def parts(self, held: Any) -> list[Any]:
        return [*held[0], *held[1], *held[2]]

    def change(self, then: Any, now: Any) -> Any:
        if then[2] != now[2]:
            raise CannotBring("a new default factory")
        return super().change(then[:2], now[:2])

    def put_back(self, obj: Any, then: Any) -> None:
        self.put(obj, (True, *then[:2]))


class Sets(Kind):
    def look(self, obj: Any) -> list[Any]:
        return list(set.__iter__(obj))

    def change(self, then: list[Any], now: list[Any]) -> list[Any]:
        if not all(map(_hashes_alike, now)):
            raise CannotBring("members of which the hash is worked out by the program")
        if not is_order_of_a_set(now):
            raise CannotBring("a set of which the order depends on how it was filled")
        return now

    def put_back(self, obj: Any, then: list[Any]) -> None:
        set.clear(obj)
        set.update(obj, then)


def _owner_of_hash(kind: type) -> type:
    return next(cls for cls in kind.__mro__ if "__hash__" in vars(cls))


def _hashes_alike(key: Any) -> bool:
    """Whether finding it again in a dict runs none of the program's code."""
    kind = type(key)
    if kind in ATOMS or vars(_owner_of_hash(kind))["__hash__"] is object.__hash__:
        return True
    if kind is tuple or kind is frozenset:
        return all(map(_hashes_alike, key))
    return isinstance(key, (Enum, type)) or _name(kind) in IMMUTABLE or kind.__module__ == "numpy"


class Bytes(Kind):
    """bytearrays, and arrays of the `array` module."""

    def look(self, obj: Any) -> bytes:
        return memoryview(obj).tobytes()

    def parts(self, held: Any) -> tuple[()]:
        return ()

    def same(self, then: Any, now: Any) -> bool:
        return bool(then == now)

    def put_back(self, obj: Any, then: bytes) -> None:
        obj[:] = then if is_a(obj, bytearray) else array(obj.typecode, then)


class Arrays(Kind):
    """NumPy arrays of numbers: their memory."""

    late = True

    def look(self, obj: Any) -> Any:
        np = sys.modules["numpy"]
        copy = np.array(np.asarray(obj), order="C")  # as bytes, for nan is not equal to itself
        return (obj.shape, obj.strides, obj.dtype, obj.flags.writeable), copy

    def parts(self, held: Any) -> tuple[()]:
        return ()

    def same(self, then: Any, now: Any) -> bool:
        return then[0] == now[0] and same_bytes(then[1], now[1])

    def glance(self, obj: Any) -> Any:
        """As `look`, but of the memory itself where that can be."""
        if not obj.flags.c_contiguous:
            return self.look(obj)
        return (obj.shape, obj.strides, obj.dtype, obj.flags.writeable), obj

    def change(self, then: Any, now: Any) -> Memory:
        if then[0] != now[0]:
            raise CannotBring("an array of which the shape or type has changed")
        return Memory(now[1])

    def put(self, obj: Any, change: Any) -> None:
        sys.modules["numpy"].copyto(obj, change, casting="no")

    def put_back(self, obj: Any, then: Any) -> None:
        self.put(obj, then[1])


class Frames(Kind):
    """Frames and series of pandas: what manages their columns, and their own attributes.

    Since version 3 nobody else sees a change of one: what shares memory with it is copied first.
    """

    late = True

    def look(self, obj: Any) -> bytes:
        manager = obj._mgr
        held = [obj.attrs.values(), *(a.ravel() for a in manager.arrays if a.dtype == object)]
        if not all(ATOMS.issuperset(map(type, values)) for values in held):
            raise CannotBring("a frame of objects")
        return pickle.dumps((manager, obj.attrs, obj.flags.allows_duplicate_labels), protocol=5)

    def parts(self, held: Any) -> tuple[()]:
        return ()

    def same(self, then: Any, now: Any) -> bool:
        return bool(then == now)

    def put_back(self, obj: Any, then: bytes) -> None:
        manager, attributes, duplicates = pickle.loads(then)
        for k, axis in enumerate(obj._mgr.axes):
            # An index does not change, so that it is the same one if it looks the same.
            if k < len(manager.axes) and axis.identical(manager.axes[k]):
                manager.set_axis(k, axis)
        object.__setattr__(obj, "_mgr", manager)
        obj.attrs = attributes
        obj.flags.allows_duplicate_labels = duplicates


class Memory:
    """The contents of an array on the way home: not copied before they are sent."""

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = array

    def __reduce_ex__(self, protocol: Any) -> Any:
        np, array = sys.modules["numpy"], self.array
        if array.nbytes == 0:
            return np.empty, (array.shape, array.dtype)
        raw = np.asarray(array).reshape(-1).view(np.uint8)
        return _array_of, (pickle.PickleBuffer(raw), array.dtype, array.shape)


def _array_of(raw: Any, dtype: Any, shape: Any) -> Any:
    return sys.modules["numpy"].frombuffer(raw, "u1").view(dtype).reshape(shape)


def same_bytes(a: Any, b: Any) -> bool:
    """Whether two contiguous arrays of one shape and type hold the same bytes."""
    if a.nbytes == 0:
        return True
    np = sys.modules["numpy"]
    kind = np.uint64 if a.itemsize % 8 == 0 else np.uint8
    x, y = (np.asarray(each).reshape(-1).view(np.uint8).view(kind) for each in (a, b))
    return bool(np.array_equal(x, y))


class Attributes(Kind):
    """Slots, and which dict holds the other attributes."""

    def __init__(self, slots: list[Any], has_dict: bool) -> None:
        self.slots, self.has_dict = slots, has_dict

    def look(self, obj: Any) -> list[Any]:
        found = [object.__getattribute__(obj, "__dict__") if self.has_dict else None]
        for slot in self.slots:
            try:
                found.append(slot.__get__(obj))
            except AttributeError:
                found.append(MISSING)
        return [*found, type(obj)]

    def parts(self, held: list[Any]) -> list[Any]:
        return held[:-1]

    def change(self, then: list[Any], now: list[Any]) -> list[Any]:
        if then[0] is not now[0] or then[-1] is not now[-1]:
            raise CannotBring("an object of which `__dict__` or `__class__` is another one")
        return [(k, v) for k, v in enumerate(now[1:-1]) if v is not then[k + 1]]

    def put(self, obj: Any, change: list[Any]) -> None:
        for k, value in change:
            if value is not MISSING:
                self.slots[k].__set__(obj, value)
            else:
                try:
                    self.slots[k].__delete__(obj)
                except AttributeError:
                    pass

    def put_back(self, obj: Any, then: list[Any]) -> None:
        self.put(obj, list(enumerate(then[1:-1])))


class Cells(Kind):
    """Variables of functions, as closures share them."""

    def look(self, obj: Any) -> list[Any]:
        try:
            return [obj.cell_contents]
        except ValueError:
            return [MISSING]

    def put_back(self, obj: Any, then: list[Any]) -> None:
        if then[0] is not MISSING:
            obj.cell_contents = then[0]
        elif self.look(obj)[0] is not MISSING:
            del obj.cell_contents


class Randoms(Kind):
    """Generators of random numbers: where they stand."""

    def look(self, obj: Any) -> bytes:
        state = obj.getstate() if hasattr(obj, "getstate") else obj.bit_generator.state
        return pickle.dumps(state, protocol=5)

    def parts(self, held: Any) -> tuple[()]:
        return ()

    def same(self, then: Any, now: Any) -> bool:
        return bool(then == now)

    def put_back(self, obj: Any, then: bytes) -> None:
        state = pickle.loads(then)
        if hasattr(obj, "getstate"):
            obj.setstate(state)
        else:
            obj.bit_generator.state = state


class Unchanging(Kind):
    """What holds others and is never changed itself."""

    def __init__(self, inside: Callable[[Any], Iterable[Any]]) -> None:
        self.inside = inside

    def look(self, obj: Any) -> list[Any]:
        return list(self.inside(obj))

    def same(self, then: Any, now: Any) -> bool:
        return True


LISTS, DEQUES, SETS, BYTES, ARRAYS, CELLS = Lists(), Deques(), Sets(), Bytes(), Arrays(), Cells()
FRAMES = Frames()
DICTS, RANDOMS = Dicts(), Randoms()
TUPLES = Unchanging(tuple.__iter__)
BASES: dict[type, Kind | None] = {
    OrderedDict: OrderedDicts(),
    defaultdict: DefaultDicts(),
    dict: DICTS,
    list: LISTS,
    set: SETS,
    deque: DEQUES,
    bytearray: BYTES,
    array: BYTES,
    tuple: TUPLES,
    frozenset: Unchanging(frozenset.__iter__),
    **dict.fromkeys((bool, int, float, complex, str, bytes)),
    object: None,
}
"""The types whose layout is known, and how their objects are looked at."""


def _of_function(obj: Any) -> list[Any]:
    held = [*(obj.__closure__ or ()), obj.__defaults__, obj.__kwdefaults__]
    return [*held, obj.__dict__] if obj.__dict__ else held


def _of_bound(obj: Any) -> list[Any]:
    owner = obj.__self__
    return [] if is_a(owner, (types.ModuleType, type)) else [owner]


def _of_reference(obj: Any) -> list[Any]:
    target = weakref.ref.__call__(obj)
    return [] if target is None else [target]


OTHERS: dict[type, Kind | None] = {
    types.CellType: CELLS,
    types.FunctionType: Unchanging(_of_function),
    types.MethodType: Unchanging(lambda m: [m.__self__, m.__func__]),
    types.BuiltinFunctionType: Unchanging(_of_bound),
    types.MethodWrapperType: Unchanging(_of_bound),
    types.MappingProxyType: Unchanging(gc.get_referents),
    partial: Unchanging(lambda p: [p.func, p.args, p.keywords]),
    weakref.ref: Unchanging(_of_reference),
    **dict.fromkeys(
        (
            types.MethodDescriptorType,
            types.WrapperDescriptorType,
            types.GetSetDescriptorType,
            types.MemberDescriptorType,
            types.ClassMethodDescriptorType,
            types.GenericAlias,
            types.UnionType,
            types.CodeType,
            re.Match,
            property,
            staticmethod,
            classmethod,
        )
    ),
}
_known: dict[type, tuple[Kind, ...] | None] = {}


def kinds_of(kind: type) -> tuple[Kind, ...] | None:
    """How objects of this type are looked at, in order; None: their state cannot all be seen."""
    if kind not in _known:
        _known[kind] = _found_kinds(kind)
    return _known[kind]


def _found_kinds(kind: type) -> tuple[Kind, ...] | None:
    if kind in ATOMS or issubclass(kind, (type, types.ModuleType, Enum)):
        return ()
    if _name(kind) in IMMUTABLE:
        return ()
    if kind in OTHERS:
        known = OTHERS[kind]
        return () if known is None else (known,)
    if _name(kind) in ("random.Random", "numpy.random._generator.Generator"):
        return (RANDOMS,)
    pandas = sys.modules.get("pandas")
    if pandas is not None and hasattr(pandas, "DataFrame"):
        if issubclass(kind, pandas.Index):
            return ()
        if kind in (pandas.DataFrame, pandas.Series):
            return (FRAMES,) if int(pandas.__version__.split(".")[0]) >= 3 else None
    np = sys.modules.get("numpy")
    bases = dict(BASES)
    if np is not None and hasattr(np, "ndarray"):
        # By their names: NumPy loads some of them only when it is asked for them.
        odd = ("memmap", "MaskedArray", "recarray")
        if any(c.__name__ in odd and c.__module__.startswith("numpy") for c in kind.__mro__):
            return None
        if is_record(kind):
            return None  # it looks at an array's memory
        if issubclass(kind, (np.generic, np.dtype, np.ufunc)):
            return ()
        bases = {np.ndarray: ARRAYS, **bases}
    if any("__del__" in cls.__dict__ for cls in kind.__mro__):
        return None
    given = next((vars(cls)["__dict__"] for cls in kind.__mro__ if "__dict__" in vars(cls)), None)
    if given is not None and type(given) is not types.GetSetDescriptorType:
        return None  # what it says of its attributes is the program's own idea
    base = next((cls for cls in kind.__mro__ if cls in bases), None)
    if base is None:
        return None
    own = kind.__mro__[: kind.__mro__.index(base)]
    slots = [
        slot
        for cls in own
        for slot in vars(cls).values()
        if type(slot) is types.MemberDescriptorType and slot.__name__ != "__dict__"
    ]
    if any("__slots__" not in vars(slot.__objclass__) for slot in slots):
        return None
    if kind.__basicsize__ > _expected_size(kind, base, len(slots)):
        return None  # it has a part that only its own C code sees
    held = () if bases[base] is None else (bases[base],)
    has_dict = kind.__dictoffset__ != 0
    return (*held, Attributes(slots, has_dict)) if slots or has_dict else held  # type: ignore[return-value]


def _expected_size(kind: type, base: type, slots: int) -> int:
    """The size of objects with so many slots beyond those of the base class, and no more."""
    size = base.__basicsize__ + slots * tuple.__itemsize__
    for offset in ("__dictoffset__", "__weakrefoffset__"):
        mine, theirs = getattr(kind, offset), getattr(base, offset)
        # -1, or less than a few words: kept before the object.
        if mine != theirs and (mine > 0 or (mine < -1 and base.__itemsize__)):
            size += tuple.__itemsize__
    return size


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
