"""Which values may travel from a worker: those that nobody else in the worker holds.

A copy of an object is as good as the object only if the object is reachable through nothing but
what is sent. Reference counts tell: every reference must come from within what is sent.
"""

from __future__ import annotations

import copyreg
import gc
import operator
import os
import pickle
import re
import sys
import types
from collections.abc import Callable, Container, Iterable
from enum import Enum
from typing import Any

from allcores.engine import packing
from allcores.engine.packing import LeavesOut, as_stored
from allcores.engine.wire import travels_as_view
from allcores.plan.kinds import is_a, is_frame
from allcores.plan.ownership import is_own_module
from allcores.plan.reach import memory_of, objects_in, reachable

ATOMS: frozenset[type] = frozenset(
    {
        int,
        float,
        complex,
        bool,
        str,
        bytes,
        range,
        type(None),
        type(...),
        type(NotImplemented),
        slice,
        re.Pattern,
    }
)
IMMUTABLE = frozenset(
    """datetime.date datetime.datetime datetime.time datetime.timedelta datetime.timezone decimal.Decimal
    fractions.Fraction uuid.UUID pathlib.PurePosixPath pathlib.PosixPath pathlib._local.PosixPath
    pathlib._local.PurePosixPath pandas.StringDtype pandas.core.arrays.string_.StringDtype
    pandas._libs.internals.BlockPlacement""".split()
)
"""Types whose objects never change, by name: most programs do not import them."""
COPIES_ON_WRITE = "BlockValuesRefs"
"""By these pandas knows which frames share memory, to copy it before it writes: copies have none."""
BY_NAME = (
    type,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.ModuleType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    Enum,
)
NUMPY_NUMBERS = (
    "bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 longdouble"
    " complex64 complex128 str_ bytes_"
).split()
_with_numpy: list[frozenset[type]] = []
UNCOUNTED = (tuple, frozenset)
WHY_STUCK = (
    "a result is, or holds, something that is kept elsewhere as well, a set that a copy would put "
    "in another order, or an object of which pickle gives a copy that may have less"
)
HASHED_AS_BYTES = (str, bytes)
RANDOM_HASHES = bool(
    sys.flags.hash_randomization
    and (
        sys.flags.ignore_environment or os.environ.get("PYTHONHASHSEED", "random") in ("", "random")
    )
)
"""Whether texts have other hashes in every run of the program."""


def atoms() -> frozenset[type]:
    """Types whose values never change and hold nothing else; NumPy's numbers once it is there."""
    np = sys.modules.get("numpy")
    if np is None or not hasattr(np, "number"):
        return ATOMS
    if not _with_numpy:
        kinds: list[Any] = [getattr(np, name, None) for name in NUMPY_NUMBERS]
        _with_numpy.append(frozenset([*ATOMS, *(k for k in kinds if isinstance(k, type))]))
    return _with_numpy[0]


def stuck_ones(
    results: list[Any],
    simple: Callable[[Any, frozenset[type]], bool] | None = None,
    count: int = 0,
    at_home: Container[int] = (),
) -> set[int]:
    """The indices of the values that cannot travel.

    The caller must hold the values in this list alone. The first `count` are records made for the
    journey: those of which simple(record, atoms) is true hold nothing but atoms. at_home: the ids
    of objects of which only the name is sent.
    """
    known = atoms()
    if set(map(type, results)) <= known:
        return set()
    walk = _Walk(at_home)
    for i, r in enumerate(results):
        if i >= count or simple is None or not simple(r, known):
            walk.enter(r, i)
    r = None
    return walk.verdict()


def importable(function: types.FunctionType | type) -> bool:
    """Whether pickle finds the function or class by its name."""
    found: Any = sys.modules.get(function.__module__)
    for part in function.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is function


def keeps_order(items: set[Any] | frozenset[Any]) -> bool:
    """Whether a copy of a set, made by adding its items in turn, has them in the same order.

    Where two items want one place the order tells which was there first, and what was taken out.
    Where it is another one in every run of the program there is none to keep.
    """
    if len(items) < 2:
        return True
    order = list(items)
    if any(map(has_hash_of_this_run, order)):
        return True
    try:
        return is_order_of_a_set(order)
    except Exception:
        return True


def has_hash_of_this_run(item: Any) -> bool:
    """Whether the hash of an object differs from run to run: by its text, or by its address."""
    kind = type(item)
    if kind in HASHED_AS_BYTES:
        return RANDOM_HASHES
    if kind is tuple or kind is frozenset:
        return any(map(has_hash_of_this_run, item))
    by_address: Any = object.__hash__
    return kind.__hash__ is by_address


def is_order_of_a_set(order: list[Any]) -> bool:
    """Whether a set to which these are added in turn has them in this order."""
    return all(map(operator.is_, order, set(order)))


PICKLING = frozenset(
    "__reduce__ __reduce_ex__ __getstate__ __setstate__ __getnewargs__ __getnewargs_ex__".split()
)
LOOKED_UP = frozenset({"__getattr__", "__getattribute__"})
ASKED = PICKLING | LOOKED_UP | {"__new__", "__dict__"}
"""What pickle calls, or asks, of an object and its class."""
WHERE_SLOTS = "__setattr__"
"""And this where attributes are slots."""
_HOLD_NOTHING = ("abc", "typing")


def is_plain(kind: Any) -> bool:
    """Whether it is seen at once that objects of a class are nothing but their attributes, and that
    pickle asks nothing of the program for them; or that they are no class of the program's."""
    if kind in copyreg.dispatch_table or is_frame(kind):
        return False
    if not is_own_module(kind.__module__):
        return True
    for cls in kind.__mro__:
        held = vars(cls)
        if cls is object or cls.__module__ in _HOLD_NOTHING:
            continue
        if not is_own_module(cls.__module__):
            return False
        asked = (ASKED | {WHERE_SLOTS}) & held.keys()
        if any(type(held[name]) is not types.GetSetDescriptorType for name in asked):
            return False
    return True


def may_be_sent(kind: Any) -> bool:
    """Whether a copy of an object of this class is as good as the object."""
    if is_plain(kind):
        return True
    # Few need it, and each worker would import it.
    from allcores.build import stored

    return stored.may_be_sent(kind)


class Asking:
    """What a pickler asks about each object that is no plain container."""

    def __init__(self) -> None:
        self.plain: set[Any] = set()

    def __call__(self, obj: Any) -> Any:
        kind = type(obj)
        if kind in self.plain:
            return NotImplemented
        if not may_be_sent(kind):
            raise LeavesOut(f"a copy of a {kind.__qualname__} may have less than it has")
        how = as_stored.get(kind)
        if how is not None:
            return how(obj)
        self.plain.add(kind)
        return NotImplemented


def encode(
    message: Any, values: Iterable[Any], items: bool = False
) -> tuple[bytes, list[pickle.PickleBuffer]]:
    """As `wire.encode`; objects of the program's are sent as they are stored.

    values: those in the message. items: as for `wire.encode`. Raises LeavesOut for objects of which a
    copy would not be as good, and what pickling raises.
    """
    plain = atoms().issuperset(map(type, values))
    return packing.encode(message, items=items, asking=None if plain else Asking())


packing.asker = Asking
"""From here on, what is said and raised has the program's objects as they are stored as well."""

MOST_REACHED = 100_000
"""So many objects of a value are looked at for sets."""


def reorders_a_set(value: Any) -> bool:
    """Whether a copy of a value would have a set in another order."""
    if type(value) in atoms():
        return False
    reached = reachable(value, MOST_REACHED)
    return any(is_a(o, (set, frozenset)) and not keeps_order(o) for o in reached)


def labels_of_texts_or_numbers(index: Any) -> bool:
    """Whether the labels of a table's rows or columns are such as nobody can change: pandas writes to
    none that it has made, and hands them on from frame to frame."""
    if is_own_module(type(index).__module__) or type(index).__name__ == "MultiIndex":
        return False
    return index.dtype.kind != "O" or ATOMS.issuperset(map(type, index))


class _Nothing:
    """A type that nothing has."""


class _Walk:
    def __init__(self, at_home: Container[int]) -> None:
        self.at_home = at_home
        self.edges: dict[int, int] = {}
        self.owner: dict[int, int] = {}
        self.held: list[Any] = []
        self.worst: set[int] = set()
        self.may_go: set[Any] = set()
        """Classes of whose objects there are good copies."""
        self.copied: list[tuple[Any, int]] = []
        """Memory of which a part is sent as a copy."""
        np = sys.modules.get("numpy")
        self.ndarray: Any = getattr(np, "ndarray", ()) if np is not None else ()
        self.generic: Any = getattr(np, "generic", _Nothing) if np is not None else _Nothing
        self.record: Any = getattr(np, "void", _Nothing) if np is not None else _Nothing
        self.dtype: Any = getattr(np, "dtype", _Nothing) if np is not None else _Nothing
        self.index: Any = getattr(sys.modules.get("pandas"), "Index", _Nothing)

    def enter(self, root: Any, index: int) -> None:
        todo = [root]
        del root
        edges = self.edges
        while todo:
            obj = todo.pop()
            kind = type(obj)
            if kind in ATOMS:
                continue
            key = id(obj)
            if key in edges:
                edges[key] += 1
                continue
            if key in self.at_home:
                continue
            if kind is types.FunctionType and not importable(obj):
                self.bad(index)
                continue
            if kind is types.BuiltinFunctionType and not isinstance(
                obj.__self__, (types.ModuleType, type, type(None))
            ):
                pass  # a method of an object, which has to travel with it
            elif is_a(obj, (*BY_NAME, self.generic)) and not is_a(obj, self.record):
                continue
            elif is_a(obj, self.dtype) and obj.fields is None and not obj.metadata:
                continue
            if f"{kind.__module__}.{kind.__qualname__}" in IMMUTABLE:
                continue
            if is_a(obj, (set, frozenset)) and not keeps_order(obj):
                self.bad(index)
                continue
            if kind not in self.may_go:
                if not may_be_sent(kind):
                    self.bad(index)
                    continue
                self.may_go.add(kind)
            edges[key] = 1
            self.owner[key] = index
            self.held.append(obj)
            if kind is list or kind is tuple or kind is set or kind is frozenset:
                if not set(map(type, obj)) <= ATOMS:
                    todo.extend(obj)
            elif is_a(obj, self.index) and labels_of_texts_or_numbers(obj):
                pass  # what it holds is shared with the frames that this one was made of
            elif self.ndarray and is_a(obj, self.ndarray):
                self.enter_array(obj, index)
                if obj.base is not None:
                    todo.append(obj.base)
                elif obj.dtype.kind == "O":
                    todo.extend(objects_in(obj))
            elif is_a(obj, self.record):
                self.enter_record(obj, index)
                todo.append(obj.base)
            else:
                todo.extend(gc.get_referents(obj))
            obj = None

    def enter_array(self, array: Any, index: int) -> None:
        """A view travels as such, its memory once; `wire` knows how for plain arrays."""
        base = array.base
        if type(array) is not self.ndarray and "_mask" in getattr(array, "__dict__", ()):
            self.enter(array._mask, index)
        if array.dtype.hasobject and array.dtype.kind != "O":
            self.bad(index)
        elif base is not None and not travels_as_view(array):
            if not (array.flags.c_contiguous or array.flags.f_contiguous):
                self.bad(index)
            else:
                self.copied.append((base, index))

    def enter_record(self, record: Any, index: int) -> None:
        """A row of a structured array is a view of it, and travels as a copy."""
        if record.dtype.hasobject:
            self.bad(index)
        elif record.base is not None:
            self.copied += [(array, index) for array in memory_of(record)[1:]]

    def bad(self, index: int) -> None:
        self.worst.add(index)

    def verdict(self) -> set[int]:
        held = self.held
        while self.copied:
            base, index = self.copied.pop()
            if id(base) in self.at_home or self.edges.get(id(base), 1) > 1:
                self.bad(index)
            del base
        for k in range(len(held)):
            obj = held[k]
            if is_a(obj, UNCOUNTED):
                continue
            # Beside what is sent: the list `held`, the variable, the argument.
            if sys.getrefcount(obj) > self.edges[id(obj)] + 3:
                self.bad(self.owner[id(obj)])
            elif self.edges[id(obj)] > 1 and type(obj).__name__ == COPIES_ON_WRITE:
                self.bad(self.owner[id(obj)])
            obj = None
        return self.worst
