"""Digests of values: the same for equal values in every run of a program, whatever the hash seed.

What cannot be told apart by a digest has to be the same: not only its type and its parts are looked
at, but the code of functions and the methods of classes as well. Objects of the program are read as
they are stored, and no method of theirs is called; those of libraries by how they are pickled.
"""

from __future__ import annotations

import copyreg
import hashlib
import struct
import sys
import types
import weakref
from array import array
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from typing import Any, NamedTuple, cast

from allcores.build.states import memo_names
from allcores.plan.kinds import is_a
from allcores.plan.ownership import is_own_module
from allcores.plan.quiet import no_warnings

SIZE = 16
"""Bytes of a digest; what is shorter stands for itself."""
MOST_VISITED = 3_000_000
"""So many objects are looked at for one digest."""
_ATOMS = frozenset({int, float, complex, bool, str, bytes, type(None)})
_BY_TYPE = (weakref.WeakKeyDictionary, weakref.WeakValueDictionary, weakref.WeakSet)
_LOCKS = frozenset({"_thread.lock", "_thread.RLock"})
_DESCRIPTORS = (
    *(types.MemberDescriptorType, types.GetSetDescriptorType, types.WrapperDescriptorType),
    *(types.MethodDescriptorType, types.ClassMethodDescriptorType, types.MethodWrapperType),
)
_NOT_OF_A_CLASS = frozenset(
    """__dict__ __weakref__ __module__ __doc__ __static_attributes__ __firstlineno__ __annotations__
    __annotations_cache__ __annotate__ __annotate_func__ __slotnames__ _abc_impl __qualname__
    __abstractmethods__ __parameters__ __orig_bases__""".split()
)
"""What Python puts there by itself, or what says nothing of what objects do."""


class CannotDigest(Exception):
    """A value of which nothing says whether it is the same in another run; in words why."""


def digest_of(*pieces: bytes) -> bytes:
    """The digest of these pieces together."""
    found = hashlib.blake2b(digest_size=SIZE)
    for piece in pieces:
        found.update(len(piece).to_bytes(8, "little"))
        found.update(piece)
    return found.digest()


def short(piece: bytes) -> bytes:
    """These bytes themselves if they are few, else their digest."""
    if len(piece) < SIZE:
        return piece
    return hashlib.blake2b(piece, digest_size=SIZE).digest()


def plain_bytes(value: Any) -> bytes:
    """What tells a value of `_ATOMS`, or a container of nothing but these, from all others."""
    try:
        return repr(value).encode("utf-8", "surrogatepass")
    except ValueError:  # an integer with too many digits
        return _with_long_integers(value).encode("utf-8", "surrogatepass")


def _with_long_integers(value: Any) -> str:
    if type(value) is int:
        return hex(value)
    if type(value) is dict:
        value = value.items()
    if type(value) in _ATOMS:
        return repr(value)
    return f"({', '.join(map(_with_long_integers, value))})"


class Values:
    """Makes digests of values.

    A value that leads back to itself is told by how far back it leads.
    """

    def __init__(self) -> None:
        self.known: dict[int, bytes] = {}
        self.alive: list[Any] = []
        """What has been digested, for the ids in `known` must stay theirs."""
        self.on_the_way: dict[int, int] = {}
        self.lowest = sys.maxsize
        """How far back what was digested last leads."""
        self.open: dict[int, tuple[int, int]] = {}
        """Objects that lead back to one that is not finished: when they were come by, and how far
        back they lead."""
        self.visited = 0
        self.shapes: dict[Any, Shape] = {}
        """How the objects of the program's own classes are read."""
        self.spared: set[int] = set()
        """Objects that do not count, by id."""
        self.left_out: set[tuple[int, str]] = set()
        """Attributes that do not count: the object's id, and the name."""

    def digest(self, value: Any) -> bytes:
        """The digest of a value, or what stands for it. Raises CannotDigest."""
        kind = type(value)
        if kind in _ATOMS:
            if kind is float:
                return b"f" + struct.pack("<d", value)
            return short(kind.__name__[0].encode() + plain_bytes(value))
        if kind in _PLAINLY and _PLAINLY[kind](value):
            return self.of_plain(value, kind)
        return self.of_object(value, kind)

    def of_plain(self, value: Any, kind: type) -> bytes:
        if id(value) in self.spared:
            return b"-"
        head = kind.__name__.encode()
        if kind is set or kind is frozenset:
            return short(head + b"\0".join(sorted(map(plain_bytes, value))))
        if kind is not dict and value and set(map(type, value)) == {float}:
            return short(head + b" of float" + array("d", value).tobytes())
        return short(head + plain_bytes(value))

    def of_object(self, value: Any, kind: type) -> bytes:
        key = id(value)
        if key in self.spared:
            return b"-"
        found = self.known.get(key)
        if found is not None:
            return found
        depth, number = len(self.on_the_way), len(self.open)
        if key in self.on_the_way:
            at = self.on_the_way[key]
            self.lowest = min(self.lowest, at)
            return b"^%d" % (depth - at)
        if key in self.open:
            nth, lowest = self.open[key]
            self.lowest = min(self.lowest, lowest)
            return b"@%d" % (number - nth)
        self.visited += 1
        if self.visited > MOST_VISITED:
            raise CannotDigest("it holds too many objects")
        before, self.lowest = self.lowest, sys.maxsize
        self.on_the_way[key] = depth
        try:
            found = digest_of(*self.pieces(value, kind))
        except RecursionError:
            raise CannotDigest("it is nested too deep") from None
        finally:
            del self.on_the_way[key]
        self.alive.append(value)
        if self.lowest >= depth:
            self.known[key] = found
            while len(self.open) > number:
                self.open.popitem()
        else:
            self.open[key] = len(self.open), self.lowest
        self.lowest = min(self.lowest if self.lowest < depth else before, before)
        return found

    def parts(self, values: Iterable[Any]) -> bytes:
        """The digests of several values in order."""
        found = bytearray()
        for value in values:
            piece = self.digest(value)
            found.append(len(piece))
            found += piece
        return bytes(found)

    def pieces(self, value: Any, kind: type) -> Iterable[bytes]:
        """What the digest of an object is made of."""
        if kind in self.shapes:
            return self.of_instance(value, kind, self.shapes[kind])
        read = _READERS.get(kind)
        if read is not None:
            return read(self, value)
        if issubclass(type(value), type):
            return self.of_class(value)
        name = f"{kind.__module__}.{kind.__qualname__}"
        if name in _LOCKS or issubclass(kind, _BY_TYPE):
            return (b"type", name.encode())
        if issubclass(kind, _DESCRIPTORS):
            return (b"descriptor", _full_name(value).encode())
        if issubclass(kind, types.ModuleType):
            return self.of_module(value)
        if kind.__module__.startswith("_cython_"):
            return self.of_named(value)
        standard = _standard_stream(value)
        if standard is not None:
            return (b"stream", standard)
        if name == "allcores.engine.per_worker.PerWorker":
            return (b"per_worker", self.digest(value._factory))
        if kind.__module__ in ("types", "typing") and name != "types.SimpleNamespace":
            return (b"typing", repr(value).encode())
        numpy = sys.modules.get("numpy")
        if numpy is not None and issubclass(kind, numpy.ndarray) and not is_own(kind):
            if kind is numpy.ndarray or kind is numpy.memmap:
                return self.of_array(value, numpy)
        elif numpy is not None and issubclass(kind, numpy.generic):
            return (b"number", value.dtype.str.encode(), value.tobytes())
        if name == "logging.Logger" or name == "logging.RootLogger":
            # What is below its level is not recorded.
            level = (
                f"{value.name} {value.getEffectiveLevel()} {value.disabled} {value.manager.disable}"
            )
            return (b"logger", level.encode())
        if is_enum(kind):
            return (b"enum", self.digest(kind), str(value._name_).encode())
        if is_own(kind):
            shape = self.shapes[kind] = shape_of(kind)
            return self.of_instance(value, kind, shape)
        return self.of_reduced(value)

    # -- containers

    def of_sequence(self, value: Any) -> Iterable[bytes]:
        return (type(value).__name__.encode(), self.parts(value))

    def of_dict(self, value: Any) -> Iterable[bytes]:
        return (b"dict", self.parts(chain.from_iterable(value.items())))

    def of_mapping(self, value: Any) -> Iterable[bytes]:
        return (b"mapping", self.parts(chain.from_iterable(dict(value).items())))

    def of_set(self, value: Any) -> Iterable[bytes]:
        """In the order of the digests, for a set's own is another one in every run."""
        depth, before = len(self.on_the_way), self.lowest
        self.lowest = sys.maxsize
        found = sorted(self.digest(each) for each in value)
        if self.lowest < depth:
            raise CannotDigest("it holds a set of objects that lead back to it")
        self.lowest = before
        return (type(value).__name__.encode(), *found)

    def of_buffer(self, value: Any) -> Iterable[bytes]:
        kind = type(value)
        what = value.typecode if kind is array else kind.__name__
        return (b"buffer", what.encode(), memoryview(value).cast("B").tobytes())

    def of_memory(self, value: memoryview) -> Iterable[bytes]:
        return (b"memory", repr((value.format, value.shape)).encode(), value.tobytes())

    def of_array(self, value: Any, numpy: Any) -> Iterable[bytes]:
        """Sums over an array depend on how it lies in memory."""
        form = repr((value.dtype, value.shape, value.strides))
        if value.dtype == object:
            return (b"array", form.encode(), self.parts([value.ravel().tolist()]))
        if value.dtype.hasobject:
            raise CannotDigest("it is an array whose fields hold objects")
        turned = value.T if value.flags.f_contiguous else value
        flat = numpy.ascontiguousarray(turned).reshape(-1)
        data = flat.view(numpy.uint8) if flat.nbytes else b""
        return (b"array", form.encode(), hashlib.blake2b(data, digest_size=SIZE).digest())

    # -- objects

    def of_instance(self, value: Any, kind: Any, shape: Shape) -> Iterable[bytes]:
        """An object of the program's: its class, its attributes, and what it is beside these."""
        if shape.content is None:
            return self.of_reduced(value)
        try:
            attributes = object.__getattribute__(value, "__dict__")
        except AttributeError:
            attributes = {}
        names = [
            n for n in attributes if n not in shape.memos and (id(value), n) not in self.left_out
        ]
        own = self.parts(chain.from_iterable((n, attributes[n]) for n in names))
        slots = self.parts(chain.from_iterable(self.slots(value, shape))) if shape.slots else b""
        content = self.parts([shape.content(value)]) if shape.content is not _nothing else b""
        return (b"object", self.digest(kind), own, slots, content)

    def slots(self, value: Any, shape: Shape) -> Iterable[tuple[str, Any]]:
        """The attributes that an object keeps elsewhere than in its dict."""
        for name, slot in shape.slots:
            if (id(value), name) not in self.left_out:
                try:
                    yield name, slot.__get__(value)
                except AttributeError:
                    pass

    def of_reduced(self, value: Any) -> Iterable[bytes]:
        """An object by how it would be pickled."""
        kind = type(value)
        reduce = copyreg.dispatch_table.get(kind)
        try:
            with no_warnings():
                made = reduce(value) if reduce is not None else value.__reduce_ex__(2)
        except Exception as error:
            name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
            raise CannotDigest(f"of an object of type {name} nothing tells what it is") from error
        if isinstance(made, str):
            return (b"named", kind.__module__.encode(), made.encode(), self.digest(kind))
        # Lists and dicts are given as iterators over what they hold.
        function, args, state, items, pairs = (*made, None, None, None)[:5]
        listed = [list(each) if each is not None else None for each in (items, pairs)]
        return (b"reduced", self.parts([kind, function, args, state, *listed]))

    # -- code: told by subclasses

    def of_function(self, value: Any) -> Iterable[bytes]:
        raise NotImplementedError

    def of_class(self, value: Any) -> Iterable[bytes]:
        raise NotImplementedError

    def of_module(self, value: Any) -> Iterable[bytes]:
        raise NotImplementedError

    def of_builtin(self, value: Any) -> Iterable[bytes]:
        """A function made in C, or a method of such with its object."""
        owner = value.__self__
        name = value.__qualname__.encode()
        if owner is None or is_a(owner, types.ModuleType):
            return self.of_named(value)
        if _common_stream(owner):
            return (b"drawn", type(owner).__module__.encode(), name)
        return (b"method", name, self.digest(owner))

    def of_named(self, value: Any) -> Iterable[bytes]:
        """Something of a library's, or of a module made in C."""
        return (b"named", _full_name(value).encode())

    def of_method(self, value: Any) -> Iterable[bytes]:
        return (b"bound", self.digest(value.__func__), self.digest(value.__self__))

    def of_partial(self, value: Any) -> Iterable[bytes]:
        # Asked for its attributes, it would be given some.
        made: Any = partial.__reduce__(value)
        function, args, keywords, attributes = made[2]
        return (b"partial", self.parts([function, args, keywords, attributes or None]))

    def of_property(self, value: Any) -> Iterable[bytes]:
        return (b"property", self.parts([value.fget, value.fset, value.fdel]))

    def of_wrapped(self, value: Any) -> Iterable[bytes]:
        return (type(value).__name__.encode(), self.digest(value.__func__))

    def of_memo(self, value: Any) -> Iterable[bytes]:
        return (b"memo", self.digest(value.__wrapped__))

    def of_cell(self, value: Any) -> Iterable[bytes]:
        try:
            return (b"cell", self.digest(value.cell_contents))
        except ValueError:
            return (b"no value yet",)

    def of_code(self, value: types.CodeType) -> Iterable[bytes]:
        """Code as it runs: not where it stands in its file."""
        numbers = (value.co_argcount, value.co_posonlyargcount, value.co_kwonlyargcount)
        names = (value.co_names, value.co_varnames, value.co_freevars, value.co_cellvars)
        about = repr((value.co_name, *numbers, value.co_flags, names))
        table = value.co_exceptiontable
        return (b"code", about.encode(), value.co_code, table, self.parts(value.co_consts))


class Shape(NamedTuple):
    """How the objects of one of the program's own classes are read."""

    memos: frozenset[str]
    """Attributes that do not count."""
    slots: list[tuple[str, Any]]
    content: Callable[[Any], Any] | None
    """Gives what an object is by a builtin type that its class inherits from; None: unknown."""


def shape_of(kind: Any) -> Shape:
    """How the objects of a class are read."""
    slots = [
        (name, slot)
        for cls in kind.__mro__
        if is_own(cls)
        for name, slot in vars(cls).items()
        if type(slot) is types.MemberDescriptorType
    ]
    return Shape(memo_names(kind), slots, _content_of(kind))


def _content_of(kind: Any) -> Callable[[Any], Any] | None:
    numpy = sys.modules.get("numpy")
    for cls in kind.__mro__:
        read = _CONTENT.get(cls)
        if read is not None:
            return read
        if numpy is not None and cls is numpy.ndarray:
            return cast(Callable[[Any], Any], numpy.asarray)
        if cls is not object and not is_own(cls) and _made_in_c(cls):
            return None
    return _nothing


def _nothing(value: Any) -> Any:
    """What there is beside an object's attributes, mostly."""


def is_own(kind: Any) -> bool:
    """Whether a class or function is the program's, and no library's."""
    return is_own_module(getattr(kind, "__module__", None))


def is_enum(kind: type) -> bool:
    """Whether objects of a type are the members of an enumeration."""
    enum = sys.modules.get("enum")
    return enum is not None and issubclass(kind, enum.Enum)


def _made_in_c(cls: Any) -> bool:
    """Whether objects of a class may hold what no attribute tells."""
    if cls.__module__ in ("abc", "typing") or cls.__basicsize__ <= object.__basicsize__ + 16:
        return False
    return not any(isinstance(each, types.FunctionType) for each in vars(cls).values())


def _full_name(value: Any) -> str:
    owner = getattr(value, "__objclass__", None)
    module = getattr(value, "__module__", None) or getattr(owner, "__module__", "")
    return f"{module}.{getattr(value, '__qualname__', type(value).__qualname__)}"


def _standard_stream(value: Any) -> bytes | None:
    for name in ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__"):
        if value is getattr(sys, name, None):
            return name.strip("_").encode()
    return None


def _common_stream(owner: Any) -> bool:
    """Whether this is what the functions of `random` or `numpy.random` draw from.

    Where iterations draw from it, where it begins is told apart.
    """
    for module, name in (("random", "_inst"), ("numpy.random.mtrand", "_rand")):
        found = sys.modules.get(module)
        if found is not None and owner is getattr(found, name, None):
            return True
    return False


def _exactly_text(value: Any) -> str:
    return str.__str__(value)


_CONTENT: dict[type, Callable[[Any], Any]] = {
    dict: lambda value: dict(dict.items(value)),
    list: lambda value: list(list.__iter__(value)),
    tuple: lambda value: tuple(tuple.__iter__(value)),
    set: lambda value: set(set.__iter__(value)),
    frozenset: lambda value: frozenset(frozenset.__iter__(value)),
    str: _exactly_text,
    bytes: lambda value: bytes.__getitem__(value, slice(None)),
    bytearray: lambda value: bytes(bytearray.__getitem__(value, slice(None))),
    int: int.__index__,
    float: float.__float__,
    complex: complex.__complex__,
    BaseException: lambda value: BaseException.args.__get__(value),  # type: ignore[attr-defined]
}
"""The part of an object that it has from a builtin type."""

_PLAINLY: dict[type, Callable[[Any], bool]] = {
    tuple: lambda value: _ATOMS.issuperset(map(type, value)) or _of_tuples(value),
    list: lambda value: _ATOMS.issuperset(map(type, value)) or _of_tuples(value),
    set: lambda value: _ATOMS.issuperset(map(type, value)),
    frozenset: lambda value: _ATOMS.issuperset(map(type, value)),
    dict: lambda value: (
        _ATOMS.issuperset(map(type, value)) and _ATOMS.issuperset(map(type, value.values()))
    ),
}
"""Whether a container holds nothing but `_ATOMS`, or tuples of these, so that its `repr` says all."""


def _of_tuples(value: Any) -> bool:
    return set(map(type, value)) == {tuple} and _ATOMS.issuperset(
        map(type, chain.from_iterable(value))
    )


_READERS: dict[type, Callable[[Any, Any], Iterable[bytes]]] = {
    list: Values.of_sequence,
    tuple: Values.of_sequence,
    dict: Values.of_dict,
    types.MappingProxyType: Values.of_mapping,
    set: Values.of_set,
    frozenset: Values.of_set,
    bytearray: Values.of_buffer,
    array: Values.of_buffer,
    memoryview: Values.of_memory,
    types.FunctionType: lambda self, value: self.of_function(value),
    types.BuiltinFunctionType: lambda self, value: self.of_builtin(value),
    types.MethodType: Values.of_method,
    types.CodeType: Values.of_code,
    types.CellType: Values.of_cell,
    partial: Values.of_partial,
    property: Values.of_property,
    staticmethod: Values.of_wrapped,
    classmethod: Values.of_wrapped,
    type(...): lambda self, value: (b"...",),
    type(NotImplemented): lambda self, value: (b"NotImplemented",),
}


def _memo_type() -> Any:
    from functools import lru_cache

    return type(lru_cache(lambda: None))


_READERS[_memo_type()] = lambda self, value: self.of_memo(value)
