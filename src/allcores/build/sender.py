"""What work reaches, pickled as it is now: by name what a clean interpreter imports, else by value.

Beside the values go the module variables that the code among them names, so that functions find
in the worker what they find here. All of it is one pickle: what is the same object here is the same
object there. Nothing of the program is run for it: its own objects are read as they are stored.
"""

from __future__ import annotations

import abc
import copyreg
import io
import linecache
import marshal
import pickle
import sys
import types
import weakref
from collections.abc import Callable, Iterable
from functools import cache
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, ModuleType
from typing import Any

import cloudpickle
from cloudpickle import cloudpickle as cloud

from allcores.build import arrival
from allcores.build.alike import keeps_objects, not_again
from allcores.build.by_name import found_by_name, named
from allcores.build.digest import Shape, is_enum, is_own, shape_of
from allcores.build.made_of import mentioned_in
from allcores.build.stored import (
    Reduced,
    Remade,
    attached,
    attributes_beside,
    is_whole,
    pickled_by_library,
    same,
    stored,
)
from allcores.engine import wire
from allcores.engine.functions import global_names
from allcores.engine.randomness import global_stream
from allcores.engine.shipment import CannotShip
from allcores.plan.handles import LOCKS, free_lock, handle_of
from allcores.plan.kinds import instance_dict, is_a
from allcores.plan.ownership import is_own_module

_BUILTIN_NAMES = (type(None), type(...), type(NotImplemented))
_marshalled: dict[int, tuple[CodeType, bytes]] = {}


class Space:
    """The variables of a module that goes by value, or of code that was run by `exec`."""

    def __init__(self, variables: dict[str, Any], module: ModuleType | None) -> None:
        self.variables, self.module = variables, module
        self.sent: set[str] = set()
        """Names of which the values are in the pickle."""
        self.apart: frozenset[str] = frozenset()
        """Names that work binds by itself."""

    def __reduce__(self) -> Reduced:
        about = {n: v for n, v in self.variables.items() if n in _ABOUT and type(v) in _TEXTS}
        builtins = self.variables.get("__builtins__")
        own = builtins if type(builtins) is dict and "len" not in builtins else None
        return arrival.space, (None if self.module is None else self.name(), about, own)

    def name(self) -> str:
        """The name under which others find the module."""
        assert self.module is not None
        return next(n for n, m in sys.modules.items() if m is self.module)


_ABOUT = frozenset("__name__ __file__ __doc__ __package__ __path__".split())
_TEXTS = (str, type(None), list)


class _Cell:
    """Stands for a variable that functions share; what it holds is sent with the first of these."""

    def __init__(self) -> None:
        self.sent = False

    def __reduce__(self) -> Reduced:
        return CellType, ()


class Sender(cloudpickle.Pickler):  # type: ignore[misc]
    """Pickles values for a clean interpreter. Raises CannotShip, and what pickling raises."""

    def __init__(
        self,
        stream: io.BytesIO,
        keep: Callable[[pickle.PickleBuffer], bool],
        along: Iterable[tuple[str, str]] = (),
        theirs: dict[int, tuple[str, str]] | None = None,
    ) -> None:
        """keep: whether a buffer is to be a part of the pickle. along: variables of imported modules
        that are sent as well. theirs: what `variables_of_others` gave another one."""
        super().__init__(stream, protocol=5, buffer_callback=keep)
        self.spaces: dict[int, Space] = {}
        """Of namespaces by value, by their ids."""
        self.named_spaces: dict[int, Remade] = {}
        self.cells: dict[int, tuple[CellType, _Cell]] = {}
        self.looked_into: dict[int, tuple[ModuleType, Space]] = {}
        """Modules by value that are used as objects, so that any name may be looked up there."""
        self.mentioned: set[str] = set()
        self.codes: dict[int, tuple[CodeType, dict[str, Any]]] = {}
        """All code that goes by value, with its variables."""
        self.refs: dict[int, Any] = {}
        """What goes by name."""
        self.functions: list[FunctionType] = []
        self.classes: list[type] = []
        """Functions and classes by value."""
        self.run: set[int] = set()
        """Functions of methods that are called, for the objects are bound to them."""
        self.absent: list[tuple[Any, str]] = []
        """What was left out, for nothing may name it."""
        own = type(self)
        self.how: dict[Any, Callable[[Any, Any], Reduced]] = {
            FunctionType: own.function,
            CellType: own.cell,
            object: own.sentinel,
            types.GenericAlias: _default,
            types.MethodType: own.bound,
        }
        self.shapes: dict[type, Shape] = {}
        self.of_others: dict[tuple[str, str], None] = {}
        """Variables of modules that go by name, of which the values are come by otherwise."""
        self.theirs = variables_of_others(along) if theirs is None else theirs
        self.last: Any = None

    def reducer_override(self, obj: Any) -> Reduced:
        self.last = obj
        if id(obj) in self.theirs:
            return self.their(obj)
        kind = type(obj)
        how = self.how.get(kind)
        if how is None:
            how = self.how[kind] = self.how_for(obj, kind)
        return how(self, obj)

    def how_for(self, obj: Any, kind: Any) -> Callable[[Any, Any], Reduced]:
        """How objects of a type are sent: by which method."""
        # No method is bound to the sender, which is to be gone as soon as nobody holds it.
        own = type(self)
        if issubclass(kind, type):
            return own.kind
        if issubclass(kind, ModuleType):
            return own.module
        full = f"{kind.__module__}.{kind.__qualname__}"
        if full == "functools._lru_cache_wrapper":
            return own.kept_results
        if full in ("_contextvars.ContextVar", "contextvars.ContextVar"):
            return own.context_variable
        if full in LOCKS and full.startswith("_thread."):
            return own.lock
        if full == "numpy.ndarray" or full == "numpy.memmap":
            return own.array
        if full in ("random.Random", "numpy.random.mtrand.RandomState"):
            return own.stream
        if full == "random.SystemRandom":
            return lambda sender, obj: (kind, ())  # holds nothing: it asks the system
        if issubclass(kind, io.IOBase):
            return own.file
        if issubclass(kind, (weakref.ReferenceType, types.FrameType, types.TracebackType)):
            return own.leave_out
        if kind in cloud.Pickler._dispatch_table or kind in (property, classmethod, staticmethod):
            return _default
        if is_enum(kind):
            return _default
        if is_own(kind):
            if pickled_by_library(kind):
                return own.inherited
            shape = self.shapes[kind] = shape_of(kind)
            return own.instance if is_whole(kind, shape) else own.inherited
        constants = _constants(kind)
        if constants:
            return lambda sender, obj: sender.constant(obj, constants)
        return own.other

    def their(self, obj: Any) -> Reduced:
        """The value of a variable of a module that goes by name."""
        where = self.theirs[id(obj)]
        self.of_others[where] = None
        return arrival.at, where

    def refer(self, value: Any) -> None:
        """What goes by name is looked at on both sides; what sends it is the same on both."""
        if not value.__module__.startswith("allcores."):
            self.refs[id(value)] = value

    # -- code

    def function(self, f: FunctionType) -> Reduced:
        if found_by_name(f):
            self.refer(f)
            return NotImplemented
        space = self.space(f.__globals__)
        self.has_code(f.__code__, f.__globals__)
        self.functions.append(f)
        cells, contents = [], []
        for cell in f.__closure__ or ():
            mine = self.cells.setdefault(id(cell), (cell, _Cell()))[1]
            cells.append(mine)
            if not mine.sent:
                mine.sent = True
                if (held := _held(cell)) is not None:
                    contents.append((mine, held[0]))
        attributes = {
            "__defaults__": f.__defaults__,
            "__kwdefaults__": f.__kwdefaults__,
            "__name__": f.__name__,
            "__qualname__": f.__qualname__,
            "__module__": f.__module__,
            "__doc__": f.__doc__,
        }
        if annotations := _annotations(f):
            attributes["__annotations__"] = annotations
        if getattr(f, "__type_params__", ()):
            attributes["__type_params__"] = f.__type_params__  # type: ignore[attr-defined]
        state = contents, attributes, f.__dict__ or None, self.read_by(f.__globals__, f.__code__)
        made = sendable_code(f.__code__), space, tuple(cells) or None
        return arrival.make_function, made, state, None, None, arrival.fill_function

    def cell(self, cell: CellType) -> Reduced:
        """A variable that is held as such, as by whoever reads `f.__closure__`."""
        mine = self.cells.setdefault(id(cell), (cell, _Cell()))[1]
        held, mine.sent = (None if mine.sent else _held(cell)), True
        return same, (mine,), held, None, None, arrival.fill_cell

    def read_by(
        self, variables: dict[str, Any], code: CodeType
    ) -> list[tuple[Any, str, tuple[Any, ...]]]:
        """The variables that code reads and that are not in the pickle yet."""
        self.mentioned |= mentioned_in(code)
        space = self.spaces.get(id(variables))
        if space is None:
            return []
        return self.variables(space, global_names(code))

    def variables(
        self, space: Space, names: Iterable[str]
    ) -> list[tuple[Space, str, tuple[Any, ...]]]:
        """Those of a module's variables that are not in the pickle yet, with their values."""
        found = []
        for name in sorted(names):
            if name in space.sent or name in space.apart:
                continue
            space.sent.add(name)
            if name in space.variables:
                value = space.variables[name]
                if id(value) in self.theirs:
                    value = Remade(self.their(value))
                found.append((space, name, (value,)))
        return found

    def named_value(self, pair: tuple[str, Any]) -> tuple[str, Any]:
        """A name and its value, which may be that of another module's variable."""
        name, value = pair
        return name, Remade(self.their(value)) if id(value) in self.theirs else value

    def set_apart(self, variables: dict[str, Any], names: frozenset[str]) -> None:
        """Send none of these module variables: work binds them."""
        space = self.spaces.get(id(variables))
        if space is not None:
            space.apart = names

    def has_code(self, code: CodeType, variables: dict[str, Any]) -> None:
        """Code that goes by value, and its module variables."""
        self.codes[id(code)] = code, variables

    def space(self, variables: dict[str, Any]) -> Any:
        """What stands for a function's module variables."""
        known = self.spaces.get(id(variables))
        if known is not None:
            return known
        module = _module_with(variables)
        if module is not None and named(module):
            return self.named_space(module)
        found = self.spaces[id(variables)] = Space(variables, module)
        return found

    def named_space(self, module: ModuleType) -> Any:
        """What stands for the variables of a module that is imported."""
        known = self.named_spaces.get(id(module))
        if known is None:
            known = Remade((arrival.variables_of, (module.__name__,)))
            self.named_spaces[id(module)] = known
        return known

    def kind(self, cls: type) -> Reduced:
        """A class."""
        if cls in _BUILTIN_NAMES or cls in cloud._BUILTIN_TYPE_NAMES:
            return cloud._class_reduce(cls)
        if found_by_name(cls):
            self.refer(cls)
            return NotImplemented
        home = self.home_of(cls)
        self.classes.append(cls)
        given: Any
        state: Any
        if is_enum(cls):
            bases, name, qualname, members, of, _, extra = cloud._enum_getnewargs(cls)
            given = bases, name, qualname, members, of, None, extra
            state = cloud._enum_getstate(cls), home
            return cloud._make_skeleton_enum, given, state, None, None, arrival.fill_enum
        given = type(cls), cls.__name__, cls.__bases__, _early(cls)
        state = _attributes(cls), _registered(cls), home
        return arrival.make_class, given, state, None, None, arrival.fill_class

    def home_of(self, cls: type) -> list[Any]:
        """The module variable by which a class is found there, if it is not in the pickle yet."""
        module = sys.modules.get(cls.__module__ or "")
        if module is None or named(module) or _along(module, cls.__qualname__) is not cls:
            return []
        self.space(vars(module))
        return self.variables(self.spaces[id(vars(module))], [cls.__qualname__.partition(".")[0]])

    def module(self, module: ModuleType) -> Reduced:
        if named(module):
            self.refs[id(module)] = module
            return arrival.imported, (module.__name__,)
        space = self.space(vars(module))
        if isinstance(space, Space) and space.module is not None:
            self.looked_into[id(module)] = module, space
            return arrival.module_of, (space,)
        raise CannotShip(f"the module `{module.__name__}` cannot be found by its name")

    def bound(self, method: types.MethodType) -> Reduced:
        self.run.add(id(method.__func__))
        return types.MethodType, (method.__func__, method.__self__)

    def kept_results(self, wrapper: Any) -> Reduced:
        """A function that keeps what it has worked out: it begins anew."""
        if found_by_name(wrapper):
            self.refer(wrapper)
            return NotImplemented
        if keeps_objects(wrapper):
            raise CannotShip(not_again(wrapper))
        given = wrapper.cache_parameters()
        return arrival.make_memo, (wrapper.__wrapped__, given["maxsize"], given["typed"])

    # -- values

    def instance(self, obj: Any) -> Reduced:
        """An object of the program's: as it is stored."""
        return stored(obj, self.shapes[type(obj)])

    def array(self, array: Any) -> Reduced:
        """An array with its layout, for sums depend on it; over the same memory as here."""
        if wire.travels_as_view(array):
            made = wire._as_view(array)
        elif array.dtype.hasobject or array.flags.c_contiguous or array.flags.f_contiguous:
            made = array.__reduce_ex__(5)
        else:
            base = array.base
            while type(base.base).__name__ == "ndarray":
                base = base.base
            plain = type(base) is type(array) and base.flags.c_contiguous
            if not plain or base.dtype.hasobject:
                self.leave_out(array)
            parts = wire._as_view(array)[1]
            start = base.__array_interface__["data"][0]
            offset = array.__array_interface__["data"][0] - start
            made = wire._view, (base, *parts[1:4], offset, parts[5])
        if array.flags.writeable:
            return made
        return arrival.read_only, (Remade(made),)

    def stream(self, stream: Any) -> Reduced:
        """A random stream; those that modules have are the worker's own, in the same state."""
        for module in ("random", "numpy.random"):
            if stream is global_stream(module):
                state = stream.getstate() if module == "random" else stream.get_state(legacy=False)
                return arrival.common_stream, (module,), state, None, None, arrival.set_stream
        return NotImplemented

    def lock(self, lock: Any) -> Reduced:
        if not free_lock(lock):
            return self.leave_out(lock)
        return arrival.new_rlock if type(lock).__name__ == "RLock" else arrival.new_lock, ()

    def file(self, file: Any) -> Reduced:
        for name in ("stdout", "stderr", "stdin", "__stdout__", "__stderr__", "__stdin__"):
            if file is getattr(sys, name, None):
                return arrival.standard_stream, (name,)
        return NotImplemented if type(file) in (io.StringIO, io.BytesIO) else self.leave_out(file)

    def context_variable(self, variable: Any) -> Reduced:
        found = _variable_that_is(variable)
        if found is not None:
            return arrival.at, found
        import contextvars

        nothing: list[Any] = []
        default = contextvars.Context().run(variable.get, nothing)
        # What `get` is given is put before the variable's own default.
        try:
            default = [contextvars.Context().run(variable.get)]
        except LookupError:
            default = nothing
        return arrival.make_context_variable, (variable.name, default)

    def sentinel(self, obj: Any) -> Reduced:
        """A bare object, which is only ever asked whether it is another one."""
        found = _variable_that_is(obj)
        return NotImplemented if found is None else (arrival.at, found)

    def constant(self, obj: Any, constants: dict[int, str]) -> Reduced:
        """An object of a type of which its module or the type itself holds some, known by these."""
        name = constants.get(id(obj))
        if name is None:
            return self.other(obj)
        return arrival.at, (type(obj).__module__, name)

    def inherited(self, obj: Any) -> Reduced:
        """An object of the program's that a library's class makes, with the attributes it has."""
        array: Any = getattr(sys.modules.get("numpy"), "ndarray", ())
        if is_a(obj, array):
            if not (obj.flags.c_contiguous or obj.flags.f_contiguous):
                return self.leave_out(obj)
        made = self.other(obj)
        if made is NotImplemented or made[0] is arrival.Absent:
            return made
        return attached(made, attributes_beside(obj))

    def other(self, obj: Any) -> Reduced:
        """An object of a library's: as it says itself."""
        if handle_of(obj) is not None:
            return self.leave_out(obj)
        reduce = copyreg.dispatch_table.get(type(obj))
        try:
            made = reduce(obj) if reduce is not None else obj.__reduce_ex__(5)
        except Exception:
            return self.leave_out(obj)
        return NotImplemented if isinstance(made, str) else made

    def leave_out(self, obj: Any) -> Reduced:
        """What has no equal in another process. Whether work may come by it is seen in the end."""
        words = handle_of(obj) or f"an object of type {type(obj).__name__}"
        self.absent.append((obj, words))
        return arrival.Absent, (words,)

    def attributes(self) -> dict[int, set[str]]:
        """The names of attributes under which the program's objects hold what is left out.

        Nothing is told of what is held in another way as well.
        """
        wanted = {id(obj) for obj, _ in self.absent}
        found: dict[int, set[str]] = {}
        spared, others = set(), []
        for _, obj in self.memo.copy().values():
            if type(obj) in self.shapes:
                held = instance_dict(obj) or {}
                spared.add(id(held))
                for name, value in held.items():
                    if id(value) in wanted:
                        found.setdefault(id(value), set()).add(name)
            elif isinstance(obj, (list, tuple, dict, set)):
                others.append(obj)
        for obj in others:
            if id(obj) not in spared:
                for value in obj.values() if isinstance(obj, dict) else obj:
                    if id(value) in wanted and not _is_state(obj):
                        found.pop(id(value), None)
        return found

    def may_run(self) -> tuple[set[str], set[int]]:
        """The names in code by value that may be run, for methods are where their names are found;
        and the ids of the code that is not."""
        methods: list[tuple[str, str, CodeType]] = []
        for cls in self.classes:
            for name, value in vars(cls).items():
                function = getattr(value, "__func__", getattr(value, "fget", value))
                if type(function) is FunctionType and id(function) not in self.run:
                    methods.append((cls.__name__, name, function.__code__))
        idle = {id(code) for _, _, code in methods}
        found = set[str]()
        for key, (code, _) in self.codes.items():
            if key not in idle:
                found |= mentioned_in(code)
        while True:
            now = [
                (owner, name, code)
                for owner, name, code in methods
                if id(code) in idle
                and ((owner if name in _MAKING else name) in found or _implicit(name))
            ]
            if not now:
                return found, idle
            for _, _, code in now:
                idle.discard(id(code))
                found |= mentioned_in(code)


_MAKING = frozenset("__init__ __new__ __post_init__ __del__".split())


def _implicit(name: str) -> bool:
    """Whether Python calls a method by itself."""
    return name.startswith("__") and name not in _MAKING and name not in ("__exit__", "__enter__")


def _is_state(obj: Any) -> bool:
    """Whether this is what an object's attributes are sent in."""
    return type(obj) is tuple and len(obj) == 3 and type(obj[1]) is list


class NanSender(Sender):
    """As `Sender`; each number that is none stays another one than the next (`x is np.nan`)."""

    def persistent_id(self, obj: Any) -> Any:
        return nan_id(obj) if type(obj) is float and obj != obj else None


def nan_id(obj: float) -> tuple[str, int]:
    """What a NaN is known by: where it is found, or a number."""
    for module in ("math", "numpy"):
        if obj is getattr(sys.modules.get(module), "nan", None):
            return module, 0
    return "", id(obj)


NANS = b"G\x7f\xf8", b"G\xff\xf8"
"""How a NaN begins in a pickle, where it is the usual one."""


def may_hold_nan(body: bytes) -> bool:
    """Whether there may be a NaN among pickled values."""
    return any(each in body for each in NANS)


def _default(sender: Any, obj: Any) -> Reduced:
    return NotImplemented


def _early(cls: type) -> dict[str, Any]:
    """What a class has to be made with."""
    found: dict[str, Any] = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    for name in ("__slots__", "__orig_bases__"):
        if name in vars(cls):
            found[name] = vars(cls)[name]
    return found


_LEFT_TO_PYTHON = frozenset(
    "__dict__ __weakref__ __slots__ _abc_impl __annotate_func__ __annotate__".split()
)


def _attributes(cls: type) -> dict[str, Any]:
    """The attributes of a class, but for those that it is made with."""
    return {
        name: value
        for name, value in vars(cls).items()
        if name not in _LEFT_TO_PYTHON
        and not (type(value) is types.MemberDescriptorType and value.__objclass__ is cls)
    }


def _registered(cls: type) -> list[type]:
    """The classes that an abstract one has been told to take for its own."""
    if "_abc_impl" not in vars(cls):
        return []
    found = (each() for each in abc._get_dump(cls)[0])  # type: ignore[attr-defined]
    return [each for each in found if each is not None]


def _held(cell: CellType) -> tuple[Any] | None:
    try:
        return (cell.cell_contents,)
    except ValueError:
        return None


def sendable_code(code: CodeType) -> Any:
    """Code as `arrival.make_function` takes it."""
    try:
        return marshalled(code)
    except ValueError:
        # `allcores run` puts objects among the constants.
        objects: list[Any] = []
        return marshal.dumps(_without_objects(code, objects)), objects


def _without_objects(code: CodeType, objects: list[Any]) -> CodeType:
    """The code with a place in a list in the stead of each constant that marshal does not know."""
    constants = []
    for each in code.co_consts:
        if isinstance(each, CodeType):
            each = _without_objects(each, objects)
        elif type(each) not in _CONSTANTS:
            objects.append(each)
            each = (arrival.OBJECT, len(objects) - 1)
        constants.append(each)
    return code.replace(co_consts=tuple(constants))


_CONSTANTS = (int, float, bool, str, bytes, type(None), complex, tuple, frozenset, type(...))


def marshalled(code: CodeType) -> bytes:
    known = _marshalled.get(id(code))
    if known is None:
        if len(_marshalled) > 5000:
            _marshalled.clear()
        known = _marshalled[id(code)] = code, marshal.dumps(code)
    return known[1]


def _annotations(f: FunctionType) -> Any:
    # From 3.14 on they are worked out when asked for, which may run code of the program.
    return None if sys.version_info >= (3, 14) else f.__annotations__


def _module_with(variables: dict[str, Any]) -> ModuleType | None:
    """The module that has these variables, if anybody can find it."""
    name = variables.get("__name__")
    module = sys.modules.get(name) if isinstance(name, str) else None
    if isinstance(module, ModuleType) and vars(module) is variables:
        return module
    return None


def _along(found: Any, qualname: str) -> Any:
    for part in qualname.split("."):
        variables = getattr(found, "__dict__", None)
        if variables is None or part not in variables:
            return None
        found = variables[part]
    return found


def variables_of_others(along: Iterable[tuple[str, str]]) -> dict[int, tuple[str, str]]:
    """Of the program's modules that are imported, the variables of which the values are no code, and
    such attributes of their classes.

    By the ids of the values. along: those that are sent by value.
    """
    found: dict[int, tuple[str, str]] = {}
    for name, module in list(sys.modules.items()):
        if not (is_own_module(name) and isinstance(module, ModuleType) and named(module)):
            continue
        if module.__name__ == name:  # not by another name
            for variable, value in list(vars(module).items()):
                kind = type(value)
                if kind in _PLAIN or variable.startswith("__"):
                    continue
                if not issubclass(kind, _CODE):
                    if (name, variable) not in along:
                        found[id(value)] = name, variable
                elif issubclass(kind, type) and value.__module__ == name and not is_enum(value):
                    for attribute, each in _held_by_class(value):
                        path = f"{value.__qualname__}.{attribute}"
                        if (name, path) not in along:
                            found.setdefault(id(each), (name, path))
    return found


def _held_by_class(cls: type) -> list[tuple[str, Any]]:
    """Attributes of a class that are neither code nor numbers and texts."""
    return [
        (name, value)
        for name, value in list(vars(cls).items())
        if type(value) not in _OF_CLASSES
        and not issubclass(type(value), _CODE)
        and not name.startswith(("__", "_abc_"))
    ]


_PLAIN = (int, float, complex, bool, str, bytes, type(None))
_CODE = (FunctionType, BuiltinFunctionType, type, ModuleType)
_OF_CLASSES = frozenset(
    (
        *_PLAIN,
        staticmethod,
        classmethod,
        property,
        types.MemberDescriptorType,
        types.GetSetDescriptorType,
    )
)


@cache
def _constants(kind: Any) -> dict[int, str]:
    """Objects of a library's type that its module holds, by id: who uses them asks for identity."""
    module = sys.modules.get(kind.__module__)
    if module is None or not named(module) or kind.__module__ == "builtins":
        return {}
    found = {id(v): n for n, v in vars(module).items() if type(v) is kind}
    for name, value in vars(kind).items():
        if type(value) is kind:
            found[id(value)] = f"{kind.__qualname__}.{name}"
    return found


def _variable_that_is(obj: Any) -> tuple[str, str] | None:
    """A variable of a module that is imported, or an attribute of a class there, that is this."""
    for name, module in list(sys.modules.items()):
        if not isinstance(module, ModuleType) or not named(module):
            continue
        for attribute, value in list(vars(module).items()):
            if value is obj:
                return name, attribute
            if isinstance(value, type) and value.__module__ == name:
                for inner, each in list(vars(value).items()):
                    if each is obj:
                        return name, f"{attribute}.{inner}"
    return None


def source_lines(codes: Iterable[CodeType]) -> dict[str, Any]:
    """What `linecache` knows of code that is in no file."""
    files = {code.co_filename for code in codes if code.co_filename.startswith("<")}
    return {f: linecache.cache[f] for f in files if len(linecache.cache.get(f, ())) == 4}


def registered_abstractly(sender: Sender) -> list[tuple[Any, type]]:
    """Classes of the program that abstract ones of Python have been told to take for their own."""
    wanted = {id(cls) for cls in sender.classes} | sender.refs.keys()
    found = []
    for name in ("collections.abc", "numbers"):
        module = sys.modules.get(name)
        for base in list(vars(module).values()) if module is not None else ():
            if isinstance(base, abc.ABCMeta):
                found += [(base, cls) for cls in _registered(base) if id(cls) in wanted]
    return found
