"""What an object holds, kind by kind: what a look at it keeps, and compares the next time.

Nothing here runs code of the program: no method, property or operator that it may have defined.
"""

from __future__ import annotations

import gc
import reprlib
import sys
import types
from array import array
from collections import deque
from collections.abc import Callable
from functools import cache, cached_property, partial
from itertools import islice
from operator import methodcaller
from typing import Any, NamedTuple
from weakref import ReferenceType, WeakKeyDictionary, WeakSet, WeakValueDictionary

from allcores.build import raw
from allcores.build.travel import IMMUTABLE
from allcores.engine.functions import global_names
from allcores.plan.kinds import is_a, is_array, is_frame
from allcores.plan.ownership import is_own_module
from allcores.plan.quiet import no_warnings

LARGE = 64
"""From so many items on a container is not gone through item by item."""
EDGE = 32
"""Of a large container, so many of the first and of the last items are followed."""
SPREAD = 64
"""Of a container that cannot be compared as a whole, so many items spread over it are."""
WHOLE = 64 << 10
"""A file in memory of up to so many bytes is compared as a whole."""
SAMPLE = 4096
"""Of what is too big to be compared as a whole, so many bytes spread over it are compared."""
MADE_LATER = frozenset("__slotnames__ __annotations__ __annotations_cache__".split())
"""What Python adds to a class when first needed, for instance when an object of it is pickled."""
CONTAINERS = (list, tuple, dict, set, frozenset, deque)
HOLDERS = (
    *(types.CellType, types.MethodType, types.SimpleNamespace, types.MappingProxyType),
    *(partial, property, classmethod, staticmethod, WeakSet, WeakKeyDictionary),
    WeakValueDictionary,
)
"""What is no container, but holds what a program changes."""
UNREAD = (
    *(ReferenceType, types.CodeType, types.FrameType, types.TracebackType, types.GenericAlias),
    *(types.WrapperDescriptorType, types.MethodDescriptorType, types.GetSetDescriptorType),
    *(types.MemberDescriptorType, types.ClassMethodDescriptorType, types.CoroutineType),
)
"""What the interpreter changes by itself, or nobody can."""
UNREAD_MODULES = frozenset(
    """allcores _abc _contextvars _thread _threading_local datetime decimal _decimal zoneinfo numpy
    typing _sqlite3 sqlite3 select _socket _ssl _asyncio""".split()
)
"""Modules whose C types keep what they have worked out, or are handles that workers never share."""


class State(NamedTuple):
    """How objects of one kind are read."""

    parts: Callable[[Any], Any]
    """Gives the objects that it holds as a list, or all that it is as bytes."""
    name: Callable[[Any, Any, int], str]
    """(object, parts, place) -> what leads from the object to that part, such as `.attribute`; a
    whole path where it does not begin at the object; empty where there is nothing to say."""
    referents: Callable[[Any], list[Any]] | None = None
    """The objects whose `gc.get_referents` tell whether anything may have changed; None: they do
    not tell, so that the parts are compared each time."""
    follow: Callable[[Any], list[Any]] | None = None
    """Where parts are bytes: objects that it holds."""
    keep: Callable[[Any], Any] | None = None
    """Gives what has to be kept alive, lest a new object come to lie where an old one was."""


def state_of(obj: Any, room: int) -> State | None:
    """How an object is read; None: it is not looked into.

    room: bytes that may still be compared; what is bigger is compared in part.
    """
    kind = type(obj)
    if kind is types.FunctionType:
        return FUNCTION if is_own_module(obj.__globals__.get("__name__")) else None
    if issubclass(kind, CONTAINERS):
        return _container(obj, kind, room)
    if issubclass(type(obj), type):
        return CLASS if is_own_module(obj.__module__) and not _is_enum(obj) else None
    if kind is types.BuiltinMethodType or kind is types.MethodWrapperType:
        owner = type(obj.__self__)
        return None if issubclass(owner, (types.NoneType, types.ModuleType, type)) else BOUND
    if issubclass(type(obj), types.ModuleType):
        return MODULE if is_own_module(obj.__name__) else None
    if kind is ReferenceType:
        return REFERENCE
    if kind is types.SimpleNamespace:
        return INSTANCE
    if issubclass(type(obj), HOLDERS):
        return HOLDER
    if issubclass(type(obj), UNREAD):
        return None
    if is_array(kind):
        plain = _plain(obj)
        if plain.dtype.hasobject:
            return ARRAY_OF_OBJECTS
        return ARRAY if plain.nbytes <= room else SAMPLED_ARRAY
    if hasattr(kind, "__next__") and kind.__module__ in ("itertools", "builtins"):
        return GENERATOR if kind is types.GeneratorType else ITERATOR
    return _of_type(obj, kind, room)


def _of_type(obj: Any, kind: type, room: int) -> State | None:
    state = _by_type(kind)
    if state is BUFFER and memoryview(obj).nbytes > room:
        return SAMPLED_BUFFER
    return state


@cache
def _by_type(kind: Any) -> State | None:
    """How objects of a type are read that is no container, and has nothing to do with code."""
    full = f"{kind.__module__}.{kind.__qualname__}"
    if full in IMMUTABLE or _is_enum(kind):
        return None
    if full == "functools._lru_cache_wrapper":
        return MEMO
    if full in KNOWN:
        return KNOWN[full]
    frame = _pandas_state(kind) if kind.__module__.partition(".")[0] == "pandas" else None
    if frame is not None:
        return frame
    if _is_buffer(kind):
        return BUFFER
    if is_own_module(kind.__module__):
        return INSTANCE
    return C_OBJECT if _is_plain_c(kind) else None


def hidden_state_of(obj: Any, state: State) -> State | None:
    """How that is read which an object keeps beside the objects that it holds."""
    if state is ITERATOR:
        return PLACE
    if type(obj) is methodcaller:
        return None  # from 3.13 on its first call has it keep its arguments in another form
    return C_FIELDS if state in (INSTANCE, C_OBJECT) and raw.has_fields(type(obj)) else None


def forget_types() -> None:
    """Hold no class of the program any longer: it may be one that is to go."""
    _by_type.cache_clear()
    memo_names.cache_clear()
    raw.forget_types()


# -- containers


def _container(obj: Any, kind: type, room: int) -> State:
    size = len_of(obj)
    if issubclass(type(obj), dict):
        if size <= LARGE:
            return DICT
        return LARGE_DICT if kind is dict and raw.available() else SAMPLED_DICT
    if issubclass(type(obj), (list, tuple)):
        if size <= LARGE:
            return SEQUENCE
        whole = issubclass(type(obj), list) and size * 8 <= room and raw.available()
        return LARGE_LIST if whole else SAMPLED_SEQUENCE
    return HOLDER if size <= LARGE else SAMPLED


def len_of(obj: Any) -> int:
    """A container's own length, for the object's may be a function of the program."""
    kind: Any = type(obj)
    if kind not in CONTAINERS:
        kind = next(k for k in CONTAINERS if issubclass(type(obj), k))
    return int(kind.__len__(obj))


def _itself(obj: Any) -> list[Any]:
    return [obj]


def _nameless(obj: Any, parts: Any, place: int) -> str:
    return ""


def _items_of_dict(obj: Any) -> list[Any]:
    keys = dict.keys(obj)
    return [len(keys), *keys, *dict.values(obj), *_attributes(obj)]


def _attributes(obj: Any) -> list[Any]:
    """What a subclass of a container holds beside its items, and these once more."""
    return [] if type(obj) in CONTAINERS else [*_dict_of(obj), *gc.get_referents(obj)]


def _dict_of(obj: Any) -> list[Any]:
    try:
        # Made now if it was not there: what holds the attributes must not differ between looks.
        return [object.__getattribute__(obj, "__dict__")]
    except AttributeError:
        return []


def _key(obj: Any, parts: Any, place: int) -> str:
    """Parts are their number, keys, values, ...: the item that the place stands for."""
    size = parts[0]
    if place > 2 * size:
        return ".__dict__" if type(parts[place]) is dict else ""
    return f"[{_SHORT.repr(parts[(place - 1) % size + 1])}]" if place else ""


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 40


def _items_of_sequence(obj: Any) -> list[Any]:
    kind: Any = list if issubclass(type(obj), list) else tuple
    return [*kind.__iter__(obj), *_attributes(obj)]


def _index(obj: Any, parts: Any, place: int) -> str:
    return f"[{place}]"


def _some_of_list(obj: Any) -> list[Any]:
    kind: Any = list if issubclass(type(obj), list) else tuple
    step = max(1, kind.__len__(obj) // SPREAD)
    first, last = slice(None, EDGE), slice(-EDGE, None)
    get = kind.__getitem__
    return [
        kind.__len__(obj),
        *get(obj, first),
        *get(obj, last),
        *get(obj, slice(None, None, step)),
    ]


def _some_of_dict(obj: Any) -> list[Any]:
    keys = list(islice(dict.__iter__(obj), EDGE))
    keys += islice(reversed(dict.keys(obj)), EDGE)
    return [dict.__len__(obj), *keys, *(dict.__getitem__(obj, key) for key in keys)]


def _some_of_others(obj: Any) -> list[Any]:
    kind: Any = next(k for k in CONTAINERS if issubclass(type(obj), k))
    return [kind.__len__(obj), *islice(kind.__iter__(obj), EDGE)]


# -- functions, classes, modules


def globals_of(function: Any, apart: frozenset[str] = frozenset()) -> list[str]:
    """The module variables that a function's code reads or writes, less those in `apart`."""
    return sorted(global_names(function.__code__, True) - apart)


class _Missing:
    pass


MISSING: Any = _Missing
"""In the place of a variable that is not bound."""


def of_function(function: Any, names: list[str]) -> list[Any]:
    """What a function sees beside its arguments."""
    variables = function.__globals__
    return [
        " ".join(names),
        *(function.__closure__ or ()),
        *(function.__defaults__, function.__kwdefaults__, function.__dict__, function.__code__),
        *(variables.get(name, MISSING) for name in names),
    ]


def _variable(function: Any, parts: Any, place: int) -> str:
    cells = function.__code__.co_freevars
    if place <= len(cells):
        return str(cells[place - 1]) if place else ""
    place -= len(cells) + 1
    if place < 4:
        return (".__defaults__", ".__kwdefaults__", ".__dict__", ".__code__")[place]
    return global_path(function.__globals__, parts[0].split()[place - 4])


def global_path(variables: dict[str, Any], name: str) -> str:
    """A module's variable, in words."""
    module = variables.get("__name__")
    return f"{module}.{name}" if isinstance(module, str) else name


def _of_class(obj: Any) -> list[Any]:
    variables = type.__getattribute__(obj, "__dict__")
    own = [name for name in variables if name not in MADE_LATER]
    return [len(own), *own, *(variables[name] for name in own), *obj.__bases__, type(obj)]


def _class_attribute(obj: Any, parts: Any, place: int) -> str:
    size = parts[0]
    if place > 2 * size:
        return name_of_class(parts[place])
    return f"{name_of_class(obj)}.{parts[(place - 1) % size + 1]}" if place else name_of_class(obj)


def name_of_class(kind: type) -> str:
    """A class as a program names it."""
    return kind.__qualname__.rpartition("<locals>.")[2]


def _dict_of_class(obj: Any) -> list[Any]:
    return gc.get_referents(type.__getattribute__(obj, "__dict__"))


def _of_module(obj: Any) -> list[Any]:
    own = {name: value for name, value in vars(obj).items() if not name.startswith("__")}
    return [len(own), *own.keys(), *own.values()]


def _module_attribute(obj: Any, parts: Any, place: int) -> str:
    return f"{obj.__name__}.{parts[(place - 1) % parts[0] + 1]}" if place else str(obj.__name__)


# -- objects


def _of_instance(obj: Any) -> list[Any]:
    found: dict[str, Any] = next(iter(_dict_of(obj)), {})
    kind: Any = type(obj)
    memos = memo_names(kind)
    attributes = {k: v for k, v in found.items() if k not in memos} if memos else found
    own = [len(attributes), *attributes.keys(), *attributes.values()]
    others = [part for part in gc.get_referents(obj) if part is not found]
    if attributes is not found:
        kept = {id(value) for name, value in found.items() if name in memos}
        others = [part for part in others if id(part) not in kept]
    return [*own, type(obj), *others]


@cache
def memo_names(kind: Any) -> frozenset[str]:
    """Attributes in which objects of a class keep what they have worked out: no change to them."""
    return frozenset(
        name
        for cls in kind.__mro__
        for name, value in vars(cls).items()
        if type(value) is cached_property
    )


def _attribute(obj: Any, parts: Any, place: int) -> str:
    size = parts[0]
    if place <= 2 * size:
        return f".{parts[(place - 1) % size + 1]}" if place else ""
    part, kind = parts[place], type(obj)
    return name_of_class(kind) if part is kind else _slot(obj, part)


def _slot(obj: Any, part: Any) -> str:
    """The attribute without a dict in which an object holds another one."""
    for cls in type(obj).__mro__:
        for name, slot in vars(cls).items():
            if isinstance(slot, types.MemberDescriptorType):
                try:
                    if slot.__get__(obj) is part:
                        return f".{name}"
                except AttributeError:
                    pass
    return ""


def _with_attributes(obj: Any) -> list[Any]:
    return [obj, *_dict_of(obj)]


def _c_fields(obj: Any) -> bytes:
    return raw.fields(obj)


def _of_holder(obj: Any) -> list[Any]:
    return gc.get_referents(obj)


def _held_name(obj: Any, parts: Any, place: int) -> str:
    names = ("args", "keywords", "func") if type(obj) is partial else ()
    found = (f".{name}" for name in names if getattr(obj, name) is parts[place])
    return next(found, "")


def _of_reference(obj: Any) -> list[Any]:
    target = obj()
    return [] if target is None else [target]


def _of_bound(obj: Any) -> list[Any]:
    return [obj.__self__]


def _of_memo(obj: Any) -> list[Any]:
    return [vars(obj).get("__wrapped__")]


def _of_generator(obj: Any) -> list[Any]:
    frame = obj.gi_frame
    # The place it stands at is part of what it is.
    return [] if frame is None else [frame.f_lasti, *frame.f_locals.values(), obj.gi_yieldfrom]


def _place_of_iterator(obj: Any) -> bytes:
    """Where an iterator stands."""
    if raw.has_fields(type(obj)):
        return raw.fields(obj)
    # From 3.12 on, itertools' objects warn that they will not be picklable for ever.
    with no_warnings():
        return repr(obj).encode()


def _is_plain_c(kind: type) -> bool:
    """Whether a type is made in C and its objects keep all they hold to themselves."""
    if kind.__module__.partition(".")[0] in UNREAD_MODULES or kind.__dictoffset__:
        return False
    python = (types.FunctionType, property, classmethod, staticmethod)
    inherited = [vars(cls).values() for cls in kind.__mro__ if cls is not object]
    made_in_c = not any(is_a(part, python) for parts in inherited for part in parts)
    return made_in_c and raw.has_fields(kind)


# -- bytes


def _is_buffer(kind: type) -> bool:
    if issubclass(kind, (bytearray, array)):
        return True
    if any(type(vars(cls).get("__buffer__")) is types.FunctionType for cls in kind.__mro__):
        return False
    # Only what is there as a whole; a buffer may also be made, or come from a disk.
    return any(cls.__module__ == "_ctypes" for cls in kind.__mro__)


def _bytes_of_buffer(obj: Any) -> bytes:
    return memoryview(obj).tobytes()


def _some_of_buffer(obj: Any) -> bytes:
    with memoryview(obj) as view, view.cast("B") as flat:
        step = max(1, flat.nbytes // SAMPLE)
        return len(flat).to_bytes(8, "little") + flat[::step].tobytes()


def _plain(obj: Any) -> Any:
    """The same memory without what a subclass makes of it; masked arrays fill in what they lack."""
    array = sys.modules["numpy"].ndarray
    return obj if type(obj) is array else array.view(obj, array)


def _beside_an_array(obj: Any) -> list[Any]:
    """What an array of a class of its own holds besides; of NumPy's classes, that is masks alone."""
    if is_own_module(type(obj).__module__):
        return [*_dict_of(obj), type(obj)]
    held: dict[str, Any] = next(iter(_dict_of(obj)), {})
    return [held["_mask"]] if "_mask" in held else []


def _bytes_of_array(obj: Any) -> bytes:
    plain = _plain(obj)
    return _shape(plain) + bytes(plain.tobytes())


def _shape(obj: Any) -> bytes:
    return repr((obj.shape, obj.strides, obj.dtype.num)).encode()


def _some_of_array(obj: Any) -> bytes:
    """Items that are spread evenly over an array."""
    np = sys.modules["numpy"]
    if issubclass(type(obj), np.memmap):
        return b""  # it may be on a slow disk
    plain = _plain(obj)
    few = max(1, SAMPLE // plain.itemsize)
    left, steps = plain.size, []
    for length in plain.shape:
        step = min(max(length, 1), -(-left // few))
        left = left // step
        steps.append(slice(None, None, step))
    return _shape(plain) + bytes(plain[tuple(steps)].tobytes())


def _items_of_array(obj: Any) -> list[Any]:
    plain = _plain(obj)
    step = max(1, plain.size // SPREAD)
    return [*islice(plain.flat, 0, None, step), *islice(plain.flat, EDGE)]


def _digest(obj: Any) -> bytes:
    return bytes(obj.copy().digest())


def _bytes_of_stream(obj: Any) -> bytes:
    """A file in memory: its place, and what is written there."""
    if obj.closed:
        return b"closed"
    size = obj.getbuffer().nbytes
    whole = obj.getvalue() if size <= WHOLE else b""
    return f"{obj.tell()} {size} ".encode() + whole


def _text_of_stream(obj: Any) -> bytes:
    if obj.closed:
        return b"closed"
    return f"{obj.tell()} {obj.getvalue()}".encode("utf-8", "surrogatepass")


def _state_of_random(obj: Any) -> bytes:
    if raw.has_fields(type(obj)):
        return raw.fields(obj)
    return repr(obj.getstate()).encode()


def _state_of_generator(obj: Any) -> bytes:
    bits = getattr(obj, "bit_generator", None) or getattr(obj, "_bit_generator", obj)
    return b"".join(_flat(bits.state))


def _flat(value: Any) -> list[bytes]:
    if is_a(value, dict):
        return [part for inner in value.values() for part in _flat(inner)]
    return [value.tobytes() if is_array(type(value)) else repr(value).encode()]


def _of_decimal(obj: Any) -> bytes:
    """A context of decimal; what the thread's own has raised is brought home."""
    own = obj is sys.modules["decimal"].getcontext()
    return b"the thread's" if own else repr(obj).encode()


def _pandas_state(kind: Any) -> State | None:
    """How tables and columns of pandas are read, and their indices: what these are called. Their
    values change through the frame that holds them, whose methods are known."""
    if is_frame(kind):
        return FRAME
    base = sys.modules.get("pandas.core.indexes.base")
    return INDEX if issubclass(kind, getattr(base, "Index", ())) else None


def _of_frame(obj: Any) -> list[Any]:
    held = _dict_of(obj)[0]
    manager = held.get("_mgr")
    return [manager, *getattr(manager, "axes", ()), held.get("_attrs")]


def _of_index(obj: Any) -> list[Any]:
    held = _dict_of(obj)[0]
    return [held.get("_name"), *(held.get("_names") or ())]


def _is_enum(kind: type) -> bool:
    """Enums make members when they are first asked for."""
    return type(kind).__name__ in ("EnumType", "EnumMeta")


SEQUENCE = State(_items_of_sequence, _index, _itself)
DICT = State(_items_of_dict, _key, _itself)
HOLDER = State(_of_holder, _held_name, _itself)
LARGE_LIST = State(raw.pointers, _nameless, None, _some_of_list, list.copy)
LARGE_DICT = State(raw.version, _nameless, None, _some_of_dict)
SAMPLED_DICT = State(_some_of_dict, _nameless)
SAMPLED_SEQUENCE = State(_some_of_list, _nameless)
SAMPLED = State(_some_of_others, _nameless)
FUNCTION = State(partial(of_function, names=[]), _variable, _itself)
CLASS = State(_of_class, _class_attribute, _dict_of_class)
MODULE = State(_of_module, _module_attribute, lambda obj: [vars(obj)])
INSTANCE = State(_of_instance, _attribute, _with_attributes)
C_FIELDS = State(_c_fields, _nameless)
C_OBJECT = State(_of_holder, _nameless, _itself)
REFERENCE = State(_of_reference, _nameless)
BOUND = State(_of_bound, _nameless, lambda obj: [])
MEMO = State(_of_memo, _nameless, lambda obj: [])
GENERATOR = State(_of_generator, _nameless)
ITERATOR = State(_of_holder, _nameless, _itself)
PLACE = State(_place_of_iterator, _nameless)
ARRAY = State(_bytes_of_array, _nameless, follow=_beside_an_array)
SAMPLED_ARRAY = State(_some_of_array, _nameless, follow=_beside_an_array)
ARRAY_OF_OBJECTS = State(_items_of_array, _nameless)
BUFFER = State(_bytes_of_buffer, _nameless)
SAMPLED_BUFFER = State(_some_of_buffer, _nameless)
HASH = State(_digest, _nameless)
RANDOM = State(_state_of_random, _nameless)
NUMPY_RANDOM = State(_state_of_generator, _nameless)

WITH_KEYS = (DICT, INSTANCE, CLASS, MODULE)
"""Their parts are a number, and so many names or keys, and then what these lead to."""

INDEX = State(_of_index, _nameless)
FRAME = State(_of_frame, _nameless)

KNOWN: dict[str, State] = {
    **dict.fromkeys(
        """_hashlib.HASH _hashlib.HASHXOF _hashlib.HMAC _md5.md5 _sha1.sha1 _sha256.sha256 _sha2.SHA256Type
        _sha2.SHA512Type _sha512.sha512 _blake2.blake2b _blake2.blake2s _sha3.sha3_256 hmac.HMAC
        """.split(),
        HASH,
    ),
    "decimal.Context": State(_of_decimal, _nameless),
    "_io.BytesIO": State(_bytes_of_stream, _nameless),
    "_io.StringIO": State(_text_of_stream, _nameless),
    "random.Random": RANDOM,
    "numpy.random._generator.Generator": NUMPY_RANDOM,
    "numpy.random.mtrand.RandomState": NUMPY_RANDOM,
}
"""By the full name of the type: of exactly these, no subclass, methods may be called."""
