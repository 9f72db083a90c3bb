"""Objects described without addresses, so that what two processes hold can be compared.

A `Graph` lists the objects that can be reached from some variables, numbered by first visit. It can
be pickled whatever the objects are, for it holds plain values and numbers only.
"""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import enum
import fractions
import hashlib
import io
import pathlib
import random
import re
import types
import uuid
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

ATOMS = frozenset(
    {type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented)}
)
"""Values that stand for themselves, and whose identity nobody looks at."""
_TIMES = (datetime.date, datetime.time, datetime.timedelta, datetime.tzinfo)
_NUMBERS = (decimal.Decimal, fractions.Fraction)
_OTHERS = (uuid.UUID, pathlib.PurePath, re.Pattern, enum.Enum, range, slice)
CONSTANTS: tuple[type, ...] = _TIMES + _NUMBERS + _OTHERS
"""Immutable: compared by type and `repr`."""
CODE = (types.CodeType, types.BuiltinFunctionType, types.ModuleType, types.FunctionType, type)
_WRAPPERS = (staticmethod, classmethod, property)
_BLOCK = 1 << 20
_WHOLE = 4 << 20
_HIDDEN = {"__dict__", "__weakref__", "__module__", "__doc__", "__firstlineno__", "__builtins__"}


class Ref(int):
    """The number of an object in its Graph."""

    __slots__ = ()


class Leaf(NamedTuple):
    """Something compared by its type and a text."""

    kind: str
    text: str


class Node:
    """One object: what it holds, as atoms, leaves and references to other objects."""

    __slots__ = ("data", "fields", "items", "kind", "pairs", "single")

    def __init__(self, kind: str, single: bool = True) -> None:
        self.kind = kind
        self.single = single
        """Whether it matters that this is one object and not an equal other one."""
        self.fields: list[tuple[str, Any]] = []
        self.items: list[Any] | None = None
        self.pairs: list[tuple[Any, Any]] | None = None
        self.data: bytes | tuple[bytes, ...] | None = None

    def __getstate__(self) -> tuple[Any, ...]:
        return self.kind, self.single, self.fields, self.items, self.pairs, self.data

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.kind, self.single, self.fields, self.items, self.pairs, self.data = state


class Graph(NamedTuple):
    """What some variables hold."""

    roots: dict[str, Any]
    nodes: list[Node]
    shared: dict[int, int]
    """For arrays that share memory with others: the number of the array, of the memory."""
    unseen: dict[str, str]
    """Kinds of objects that could be compared by type and text only."""


def describe(variables: Mapping[str, Any], own: Callable[[str], bool] | None = None) -> Graph:
    """Describe what the variables hold.

    own: says of a module's name whether its functions, classes and variables are looked into;
    others are told apart by their names.

    >>> x = [1]
    >>> graph = describe({"a": x, "b": [x, x]})
    >>> graph.roots, graph.nodes[0].items, graph.nodes[1].items
    ({'a': 0, 'b': 1}, [1], [0, 0])
    """
    describer = _Describer(own or (lambda name: False))
    with warnings.catch_warnings():
        # Iterators of itertools say that they will lose their `__reduce__`.
        warnings.simplefilter("ignore")
        roots = {name: describer.visit(value) for name, value in variables.items()}
        describer.work()
    return Graph(roots, describer.nodes, describer.shared_memory(), describer.unseen)


class _Describer:
    def __init__(self, own: Callable[[str], bool]) -> None:
        self.own = own
        self.nodes: list[Node] = []
        self.waiting: collections.deque[tuple[Node, Any]] = collections.deque()
        self.numbers: dict[int, Ref] = {}
        # An object that dies would leave its address to another one.
        self.alive: list[Any] = []
        self.arrays: list[tuple[int, int, int]] = []
        self.unseen: dict[str, str] = {}

    def visit(self, value: Any) -> Any:
        """The value itself if it is an atom, else a leaf or reference for it."""
        kind = type(value)
        if kind in ATOMS:
            return value
        number = self.numbers.get(id(value))
        if number is not None:
            return number
        if isinstance(value, CONSTANTS) or (
            isinstance(value, CODE) and not self.looked_into(value)
        ):
            return Leaf(_name(kind), _text_of(value))
        node = Node(_name(kind))
        number = self.numbers[id(value)] = Ref(len(self.nodes))
        self.nodes.append(node)
        self.alive.append(value)
        self.waiting.append((node, value))
        return number

    def work(self) -> None:
        while self.waiting:
            node, value = self.waiting.popleft()
            self.fill(node, value)

    def looked_into(self, value: Any) -> bool:
        """Whether a function, class or module is one of the program's own, or holds an object."""
        if isinstance(value, types.ModuleType):
            return self.own(value.__name__)
        if isinstance(value, types.BuiltinFunctionType):
            bound = value.__self__
            return bound is not None and not isinstance(bound, (types.ModuleType, type))
        if isinstance(value, (types.FunctionType, type)):
            return self.own(str(getattr(value, "__module__", "")))
        return False

    # -- by kind

    def fill(self, node: Node, value: Any) -> None:
        """Describe one object; never fails, for a text is always there to fall back on."""
        try:
            for kinds, look in _LOOKS:
                if isinstance(value, kinds):
                    look(self, node, value)
                    return
            if type(value).__module__ == "numpy" and hasattr(value, "dtype"):
                self.numpy(node, value)
            else:
                self.instance(node, value)
        except Exception:
            node.items = node.pairs = node.data = None
            self.as_text(node, value)

    def as_text(self, node: Node, value: Any) -> None:
        text = _text_of(value)
        self.unseen[node.kind] = text
        node.fields = [("repr", text)]

    def sequence(self, node: Node, value: Any) -> None:
        items = list(list.__iter__(value) if isinstance(value, list) else value)
        if not ATOMS.issuperset(map(type, items)):
            items = [self.visit(each) for each in items]
        node.items = items
        node.single = not isinstance(value, tuple)
        if isinstance(value, collections.deque):
            node.fields.append(("maxlen", value.maxlen))
        self.attributes(node, value)

    def set(self, node: Node, value: Any) -> None:
        node.items = [self.visit(each) for each in sorted(value, key=_order)]
        node.single = isinstance(value, set)
        self.attributes(node, value)

    def mapping(self, node: Node, value: Any) -> None:
        # What a class of the program's makes of `items` is not asked.
        plain = isinstance(value, dict) and not isinstance(value, collections.OrderedDict)
        pairs = dict.items(value) if plain else value.items()
        node.pairs = [(self.visit(key), self.visit(each)) for key, each in pairs]
        if isinstance(value, collections.defaultdict):
            node.fields.append(("default_factory", self.visit(value.default_factory)))
        self.attributes(node, value)

    def bytes(self, node: Node, value: Any) -> None:
        node.data = bytes(value)
        if isinstance(value, array.array):
            node.fields.append(("typecode", value.typecode))

    def function(self, node: Node, value: Any) -> None:
        node.fields = [
            ("__qualname__", value.__qualname__),
            ("line", value.__code__.co_firstlineno),
            ("__defaults__", self.visit(value.__defaults__)),
            ("__kwdefaults__", self.visit(value.__kwdefaults__)),
            ("__closure__", self.visit(value.__closure__)),
        ]
        self.attributes(node, value)

    def cell(self, node: Node, value: Any) -> None:
        try:
            node.fields = [("cell_contents", self.visit(value.cell_contents))]
        except ValueError:
            node.fields = []

    def method(self, node: Node, value: Any) -> None:
        node.single = False
        node.fields = [
            ("__name__", value.__name__),
            ("__self__", self.visit(value.__self__)),
        ]

    def wrapper(self, node: Node, value: Any) -> None:
        inner = value.fget if isinstance(value, property) else value.__func__
        node.fields = [("__func__", self.visit(inner))]

    def namespace(self, node: Node, value: Any) -> None:
        """A class or module of the program's own."""
        descriptors = (types.GetSetDescriptorType, types.MemberDescriptorType)
        node.fields = [("__name__", value.__name__)]
        node.fields += [
            (name, self.visit(each))
            for name, each in list(vars(value).items())
            if not isinstance(each, descriptors) and not _of_the_machinery(name)
        ]

    def exception(self, node: Node, value: Any) -> None:
        node.fields = [
            (name, self.visit(getattr(value, name)))
            for name in ("args", "__cause__", "__context__")
        ]
        self.attributes(node, value)

    def generator(self, node: Node, value: Any) -> None:
        frame = value.gi_frame
        node.fields = [("__qualname__", value.__qualname__), ("ended", frame is None)]
        if frame is not None:
            node.fields.append(("line", frame.f_lineno))
            node.fields += [(name, self.visit(each)) for name, each in frame.f_locals.items()]

    def file(self, node: Node, value: Any) -> None:
        node.fields = [("closed", value.closed), ("mode", str(getattr(value, "mode", "")))]
        if isinstance(value, (io.StringIO, io.BytesIO)):
            if not value.closed:
                node.fields += [("getvalue()", value.getvalue()), ("tell()", value.tell())]
        else:
            node.fields.append(("name", str(getattr(value, "name", ""))))
            if not value.closed and value.seekable() and value.readable() and not value.writable():
                try:
                    node.fields.append(("tell()", value.tell()))
                except OSError:
                    pass  # a text file that is being iterated over does not tell
        self.attributes(node, value)

    def random(self, node: Node, value: Any) -> None:
        digest = hashlib.blake2b(repr(value.getstate()).encode(), digest_size=8).hexdigest()
        node.fields = [("getstate()", f"state {digest}")]
        self.attributes(node, value)

    def weak(self, node: Node, value: Any) -> None:
        node.fields = [("refers to", self.visit(value()))]

    def numpy(self, node: Node, value: Any) -> None:
        import numpy

        if not isinstance(value, numpy.ndarray):
            node.single = False
            if isinstance(value, numpy.generic):
                node.data = value.tobytes()
                node.fields = [("dtype", str(value.dtype)), ("repr", repr(value.item()))]
            else:
                self.as_text(node, value)
            return
        node.fields = [("dtype", str(value.dtype)), ("shape", str(value.shape))]
        node.fields.append(("writeable", bool(value.flags.writeable)))
        if value.dtype.hasobject:
            node.items = [self.visit(each) for each in value.reshape(-1).tolist()]
        elif value.nbytes <= _WHOLE:
            node.data = value.tobytes()
        else:
            flat, size = value.flat, _BLOCK // value.itemsize
            node.data = tuple(
                hashlib.blake2b(flat[at : at + size].tobytes(), digest_size=16).digest()
                for at in range(0, value.size, size)
            )
        if value.nbytes:
            bounds = getattr(numpy.lib, "array_utils", numpy).byte_bounds(value)
            self.arrays.append((*bounds, int(self.numbers[id(value)])))
        if type(value) is not numpy.ndarray:
            self.attributes(node, value)

    def instance(self, node: Node, value: Any) -> None:
        """By attributes and slots, or by the parts that pickle would take, or by text."""
        for name in _slots(type(value)):
            try:
                node.fields.append((name, self.visit(getattr(value, name))))
            except AttributeError:
                pass
        self.attributes(node, value)
        kind = type(value)
        given: Any = object
        usual = all(getattr(kind, n) is getattr(given, n) for n in ("__reduce_ex__", "__reduce__"))
        if usual and getattr(kind, "__getstate__", None) is not given.__getstate__:
            return
        fields = node.fields
        try:
            parts = value.__reduce_ex__(4)
        except Exception:
            # Something in it is kept by C code, or it does not want to be copied.
            node.fields = [("repr", _text_of(value)), *fields]
            if not fields:
                self.as_text(node, value)
            return
        if not usual:
            self.reduced(node, parts)
            node.fields = fields + node.fields

    def reduced(self, node: Node, parts: Any) -> None:
        if isinstance(parts, str):
            node.fields = [("name", parts)]
            return
        self.alive.append(parts)
        node.fields = [("made by", self.visit(parts[0]))]
        node.fields += [(f"argument {i}", self.visit(each)) for i, each in enumerate(parts[1])]
        if len(parts) > 2 and parts[2] is not None:
            states = parts[2] if type(parts[2]) is tuple else (parts[2],)
            for state in states:
                named = state.items() if type(state) is dict else [("state", state)]
                node.fields += [(str(name), self.visit(each)) for name, each in named]
        if len(parts) > 3 and parts[3] is not None:
            node.items = [self.visit(each) for each in self.kept(parts[3])]
        if len(parts) > 4 and parts[4] is not None:
            node.pairs = [(self.visit(k), self.visit(v)) for k, v in self.kept(parts[4])]

    def kept(self, values: Iterable[Any]) -> list[Any]:
        made = list(values)
        self.alive.append(made)
        return made

    def attributes(self, node: Node, value: Any) -> None:
        names = getattr(value, "__dict__", None)
        if type(names) is dict:
            node.fields += [(name, self.visit(each)) for name, each in list(names.items())]

    # -- arrays over the same memory

    def shared_memory(self) -> dict[int, int]:
        """Arrays whose memory overlaps, each with the number of that memory."""
        found: dict[int, list[int]] = {}
        end, group = -1, -1
        for low, high, number in sorted(self.arrays):
            if low >= end:
                group += 1
            end = max(end, high)
            found.setdefault(group, []).append(number)
        several = sorted(sorted(numbers) for numbers in found.values() if len(numbers) > 1)
        return {number: i for i, numbers in enumerate(several) for number in numbers}


_LOOKS: tuple[tuple[Any, Callable[[_Describer, Node, Any], None]], ...] = (
    ((list, tuple, collections.deque), _Describer.sequence),
    ((dict, types.MappingProxyType), _Describer.mapping),
    ((set, frozenset), _Describer.set),
    ((bytearray, memoryview, array.array), _Describer.bytes),
    (types.FunctionType, _Describer.function),
    (types.CellType, _Describer.cell),
    ((types.MethodType, types.BuiltinFunctionType), _Describer.method),
    (_WRAPPERS, _Describer.wrapper),
    ((type, types.ModuleType), _Describer.namespace),
    (BaseException, _Describer.exception),
    (types.GeneratorType, _Describer.generator),
    (io.IOBase, _Describer.file),
    (random.Random, _Describer.random),
    (weakref.ReferenceType, _Describer.weak),
)


def _name(kind: type) -> str:
    if kind.__module__ in ("builtins", "__main__", "__mp_main__"):
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def _text_of(value: Any) -> str:
    """A text that is the same in each process."""
    if isinstance(value, (types.FunctionType, type, types.BuiltinFunctionType)):
        return str(value.__qualname__)
    if isinstance(value, types.ModuleType):
        return value.__name__
    if isinstance(value, types.CodeType):
        return value.co_name
    try:
        text = repr(value)
    except Exception as error:
        text = f"<its repr raises {type(error).__name__}>"
    return without_addresses(text)


def without_addresses(text: str) -> str:
    """The text with each address, as in "<object at 0x7f...>", left out."""
    return re.sub(r"\bat 0x[0-9a-fA-F]+", "at ...", text)


def _order(value: Any) -> tuple[str, str]:
    return type(value).__qualname__, _text_of(value)


def _slots(kind: type) -> list[str]:
    names: list[str] = []
    for each in kind.__mro__:
        slots = vars(each).get("__slots__", ())
        found = [slots] if isinstance(slots, str) else list(slots)
        names += [
            f"_{each.__name__.lstrip('_')}{name}"
            if name.startswith("__") and not name.endswith("__")
            else name
            for name in found
        ]
    return [name for name in names if name not in _HIDDEN]


def _of_the_machinery(name: str) -> bool:
    return name in _HIDDEN or (name.startswith("__") and name.endswith("__"))
