"""A look at what outlives the iterations: has work changed it, though reading it showed nothing?

Reading a loop sees no change made inside C code, or by a method of which the object is not known.
Each worker has its own copy of everything, so that such a change would be lost. It keeps what the
objects that work can reach hold when it begins, and compares after every chunk: the same objects
still, and the same bytes in arrays. The look is cheap, for it goes a bounded number of objects
far, nearest first; it is a net, not a proof.
"""

from __future__ import annotations

import gc
import os
import sys
from array import array
from collections import deque
from collections.abc import Callable, Iterable
from functools import cache, partial
from itertools import count, islice, repeat
from operator import is_, length_hint
from types import (
    BuiltinMethodType,
    CellType,
    FunctionType,
    GeneratorType,
    MappingProxyType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    SimpleNamespace,
)
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

from allcores.build.travel import ATOMS, IMMUTABLE
from allcores.engine.functions import global_names

MOST_OBJECTS = 250
MOST_PARTS = 1000
"""How far a look goes: objects, and what they hold, all together."""
MOST_ITEMS = 12
"""How many of a chunk's items are looked at."""
EDGE = 32
"""Of a long container, so many of the first and of the last ones are compared, and its length."""
SAMPLE = 4096
"""Of a big array, so many bytes spread over it are compared."""
MADE_LATER = frozenset("__slotnames__ __annotations__ __annotations_cache__".split())
"""What Python adds to a class when first needed, for instance when an object of it is pickled."""
SETTINGS = "os.getcwd()"
"""The name that stands for all settings of the process."""
CONTAINERS = (list, tuple, dict, set, frozenset, deque)
_SAMPLES: tuple[Any, ...] = (
    [],
    (),
    {},
    set(),
    range(0),
    "",
    "\u00e4",
    b"",
    {}.values(),
    {}.items(),
)
SAYS_WHERE = (count, repeat, type(reversed([])), *(type(iter(sample)) for sample in _SAMPLES))
"""Iterators of which it can be told where they stand."""
HOLDERS = (
    *(CellType, MethodType, SimpleNamespace, partial, property, classmethod, staticmethod),
    *(WeakSet, WeakKeyDictionary, WeakValueDictionary),
)
"""What is no container, but holds what a program changes."""


class Held(NamedTuple):
    """An object, and what it held."""

    root: str
    obj: Any
    parts: Callable[[Any], Any]
    size: int
    then: Any

    def same(self) -> bool:
        now = self.parts(self.obj)
        if isinstance(now, bytes):
            return bool(now == self.then)
        return (
            _size(self.obj) == self.size
            and len(now) == len(self.then)
            and all(map(is_, now, self.then))
        )


class Watch:
    """What some objects hold at this moment, and all that can be reached through them."""

    def __init__(
        self, roots: Iterable[tuple[str, Any]], apart: frozenset[str], most: int = MOST_OBJECTS
    ) -> None:
        """roots: names and values. apart: global names of which the values may differ."""
        self.apart = apart
        self.settings = _settings()
        self.held: list[Held] = []
        seen: set[int] = set()
        todo = deque(roots)
        left = MOST_PARTS
        while todo and left > 0 and len(self.held) < most:
            root, obj = todo.popleft()
            if type(obj) in ATOMS or id(obj) in seen:
                continue
            seen.add(id(obj))
            parts = self.reader(obj)
            if parts is None:
                continue
            then = parts(obj)
            self.held.append(Held(root, obj, parts, _size(obj), then))
            if not isinstance(then, bytes):
                left -= len(then)
                todo.extend((root, part) for part in then)

    def changed(self) -> str | None:
        """The name through which something was found that has changed."""
        now = _settings()
        # Of a library that the loop is the first to import, there is nothing to compare.
        if any(now.get(name) != value for name, value in self.settings.items()):
            return SETTINGS
        return next((held.root for held in self.held if not held.same()), None)

    def reader(self, obj: Any) -> Callable[[Any], Any] | None:
        """What gives the parts of an object (or its bytes); None: it is not looked into."""
        kind = type(obj)
        if isinstance(obj, (bytearray, array)):
            return _bytes_of
        if _is_array(obj):
            return _items_of_array if obj.dtype.hasobject else _bytes_of_array
        if kind is FunctionType:
            return self.of_function if _is_own(obj.__globals__.get("__name__")) else None
        if kind is BuiltinMethodType or kind is MethodWrapperType:
            return None if isinstance(obj.__self__, (ModuleType, type)) else _of_method
        if hasattr(kind, "__next__") and kind.__module__ in ("itertools", "builtins"):
            return _place_of_iterator if kind in SAYS_WHERE else _of_iterator
        if isinstance(obj, type):
            return _of_class if _is_own(obj.__module__) and not _is_enum(obj) else None
        if isinstance(obj, CONTAINERS):
            return _of_container
        if kind is MappingProxyType or isinstance(obj, HOLDERS):
            return gc.get_referents
        if isinstance(obj, ModuleType):
            return _of_module if _is_own(obj.__name__) else None
        if f"{kind.__module__}.{kind.__qualname__}" in IMMUTABLE or not _is_own(kind.__module__):
            return None
        return _of_instance if not _is_enum(kind) else None

    def of_function(self, function: FunctionType) -> list[Any]:
        """What a function sees beside its arguments."""
        variables = function.__globals__
        names = global_names(function.__code__) - self.apart
        return [
            *(function.__closure__ or ()),
            function.__defaults__,
            function.__kwdefaults__,
            *(variables.get(name) for name in sorted(names)),
        ]


def watch_items(chunk: list[Any]) -> Watch:
    """A look at some of the items that iterations are given."""
    step = max(1, len(chunk) // MOST_ITEMS)
    items = [("", item) for item in chunk[::step] if type(item) not in ATOMS]
    return Watch(items, frozenset(), 4 * MOST_ITEMS)


def _settings() -> dict[str, Any]:
    """What a program sets for the whole process, as far as it is cheap to ask for."""
    try:
        directory = os.getcwd()
    except OSError:
        directory = ""
    np = sys.modules.get("numpy")
    found = {"directory": directory, "recursion limit": sys.getrecursionlimit()}
    if np is not None and hasattr(np, "geterr"):
        found["numpy"] = np.geterr()
    return found


def _size(obj: Any) -> int:
    for kind in CONTAINERS:
        if isinstance(obj, kind):
            # The kind's own length, for the object's may be a function of the program.
            return kind.__len__(obj)  # type: ignore[arg-type]
    return 0


def _of_container(obj: Any) -> list[Any]:
    size = _size(obj)
    if size <= 2 * EDGE:
        return gc.get_referents(obj)
    kind: Any = next(k for k in CONTAINERS if isinstance(obj, k))
    found = list(islice(kind.__iter__(obj), EDGE))
    if kind in (list, tuple):
        found += kind.__getitem__(obj, slice(-EDGE, None))
    if kind is dict:
        found += [dict.__getitem__(obj, key) for key in found]
    return found


def _of_method(obj: Any) -> list[Any]:
    return [obj.__self__]


def _place_of_iterator(obj: Any) -> bytes:
    """Where an iterator stands."""
    return (repr(obj) if type(obj) is count else str(length_hint(obj))).encode()


def _of_iterator(obj: Any) -> list[Any]:
    if isinstance(obj, GeneratorType):
        frame = obj.gi_frame
        return [] if frame is None else [*frame.f_locals.values(), obj.gi_yieldfrom]
    return gc.get_referents(obj)


def _of_class(obj: Any) -> list[Any]:
    own = [value for name, value in vars(obj).items() if name not in MADE_LATER]
    return [*own, *obj.__bases__, type(obj)]


def _of_module(obj: Any) -> list[Any]:
    return [value for name, value in vars(obj).items() if not name.startswith("__")]


def _of_instance(obj: Any) -> list[Any]:
    try:
        # Made now if it was not there: what holds the attributes must not differ between looks.
        object.__getattribute__(obj, "__dict__")
    except AttributeError:
        pass
    return gc.get_referents(obj)


def _is_array(obj: Any) -> bool:
    np = sys.modules.get("numpy")
    return np is not None and isinstance(obj, getattr(np, "ndarray", ()))


def _bytes_of(obj: Any) -> bytes:
    view = memoryview(obj)
    step = max(1, view.nbytes // SAMPLE)
    return bytes([len(view) % 256]) + view[::step].tobytes()


def _bytes_of_array(obj: Any) -> bytes:
    """An array's items, or some that are spread evenly over it."""
    np = sys.modules["numpy"]
    if isinstance(obj, np.memmap):
        return b""  # it may be on a slow disk
    if obj.nbytes <= 8 * SAMPLE:
        whole: bytes = obj.tobytes()
        return whole
    few = max(1, SAMPLE // obj.itemsize)
    left, steps = obj.size, []
    for length in obj.shape:
        step = min(max(length, 1), -(-left // few))
        left = left // step
        steps.append(slice(None, None, step))
    found: bytes = np.asarray(obj)[tuple(steps)].tobytes()
    return found


def _items_of_array(obj: Any) -> list[Any]:
    return list(islice(obj.flat, 2 * EDGE))


def _is_enum(kind: type) -> bool:
    """Enums make members when they are first asked for."""
    return type(kind).__name__ in ("EnumType", "EnumMeta")


@cache
def _is_own(module: Any) -> bool:
    """Whether a module is the program's own. Libraries keep what they have worked out."""
    if not isinstance(module, str):
        return False
    top = module.partition(".")[0]
    if (top in sys.stdlib_module_names and top != "__main__") or top == "allcores":
        return False
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    return "site-packages" not in file and "dist-packages" not in file
