"""In a clean interpreter: what makes objects again of what `sender` has pickled.

Nothing here calls what the program has written: objects and classes are filled with what they held.
"""

from __future__ import annotations

import abc
import importlib
import marshal
import pickle
import sys
from functools import lru_cache
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

from allcores.build import stored
from allcores.engine.shipment import CannotShip


class Absent:
    """Stands for what cannot be sent, where nothing that runs names it."""

    def __init__(self, words: str) -> None:
        self.words = words

    def __repr__(self) -> str:
        return f"<{self.words} of another process>"


MISSING: Any = type("Missing", (), {})


class Arrivals:
    """What has arrived with the job that this process has."""

    def __init__(self) -> None:
        self.modules: dict[str, ModuleType] = {}
        """Modules by value."""
        self.replaced: dict[str, ModuleType] = {}
        """What stood in their places."""
        self.aliases: list[tuple[str, Any]] = []
        """Names of modules that stand for others, and what they stood for."""
        self.undo: list[tuple[Any, str, Any]] = []
        """Variables of modules that are imported, attributes of classes, and what they were."""
        self.spaces: list[dict[str, Any]] = []
        """The variables of modules by value, and of code that was run by `exec`."""
        self.codes: list[tuple[CodeType, dict[str, Any]]] = []
        """Code by value, with its module variables."""
        self.numbered: dict[int, Any] = {}
        """What items may hold, by number."""
        self.nans: dict[int, float] = {}
        """Numbers that are none, by what they are known by."""
        self.local: dict[int, int] = {}
        """The numbers of classes that nobody finds by name, by id."""

    def forget(self) -> None:
        """The next job begins with none of it."""
        clear_memos()
        stored.forget()
        for name, module in self.modules.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
        sys.modules.update(self.replaced)
        self.replaced = {}
        for name, old in self.aliases:
            if old is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = old
        self.aliases = []
        for owner, name, old in reversed(self.undo):
            if isinstance(owner, type):
                if old is MISSING:
                    type.__delattr__(owner, name)
                else:
                    type.__setattr__(owner, name, old)
            elif old is MISSING:
                owner.pop(name, None)
            else:
                owner[name] = old
        self.undo = []
        self.modules, self.spaces, self.codes = {}, [], []
        self.numbered, self.local, self.nans = {}, {}, {}


here = Arrivals()


class Reader(pickle.Unpickler):
    """Reads what has arrived."""

    def persistent_load(self, known_by: Any) -> Any:
        if type(known_by) is int:
            return here.numbered[known_by]
        module, number = known_by
        if module:
            return imported(module).nan
        if number not in here.nans:
            here.nans[number] = float("nan")
        return here.nans[number]


# -- modules


def space(name: str | None, about: dict[str, Any], builtins: dict[str, Any] | None) -> Any:
    """The variables of a module that goes by value: what is in them is put there by and by."""
    if name is None:
        variables: dict[str, Any] = {}
    else:
        module = here.modules.get(name)
        if module is None:
            module = ModuleType(name)
            if name in sys.modules:
                here.replaced[name] = sys.modules[name]
            here.modules[name] = sys.modules[name] = module
        variables = vars(module)
    here.spaces.append(variables)
    variables.update(about)
    variables["__builtins__"] = sys.modules["builtins"] if builtins is None else builtins
    return _Space(variables, name, True)


class _Space:
    """Module variables, as pickles carry them."""

    def __init__(self, variables: dict[str, Any], name: str | None, by_value: bool) -> None:
        self.variables, self.name, self.by_value = variables, name, by_value


def variables_of(name: str) -> _Space:
    """The variables of a module that is imported."""
    return _Space(vars(imported(name)), name, False)


def imported(name: str) -> ModuleType:
    """A module by its name."""
    return sys.modules.get(name) or importlib.import_module(name)


def module_of(found: _Space) -> ModuleType:
    assert found.name is not None
    return here.modules[found.name]


def at(module: str, path: str) -> Any:
    """What stands in a module. Raises CannotShip where there is nothing."""
    found: Any = imported(module)
    for part in path.split("."):
        try:
            found = vars(found)[part]
        except KeyError:
            raise CannotShip(
                f"`{module}.{path}` is not what a clean interpreter finds there: it was set since the "
                "module was imported",
                [(module, path)],
            ) from None
    return found


def bind(variables: list[tuple[_Space, str, tuple[Any, ...]]]) -> None:
    """Put module variables into their places."""
    for where, path, value in variables:
        *way, name = path.split(".")
        if way:
            owner: Any = where.variables[way[0]]
            for part in way[1:]:
                owner = vars(owner)[part]
            here.undo.append((owner, name, vars(owner).get(name, MISSING)))
            type.__setattr__(owner, name, value[0])
            continue
        if not where.by_value:
            here.undo.append((where.variables, name, where.variables.get(name, MISSING)))
        where.variables[name] = value[0]


def call(name: str, module: Any) -> None:
    """Have a name stand for a module, or for what the program has put in its place."""
    if sys.modules.get(name) is not module:
        here.aliases.append((name, sys.modules.get(name)))
        sys.modules[name] = module


# -- functions


OBJECT = "an object among constants"


def code_of(sent: Any) -> CodeType:
    """Code, with the objects among its constants where there are any."""
    if type(sent) is not tuple:
        return marshal.loads(sent)  # type: ignore[no-any-return]
    return _with_objects(marshal.loads(sent[0]), sent[1])


def _with_objects(code: CodeType, objects: list[Any]) -> CodeType:
    def put(each: Any) -> Any:
        if isinstance(each, CodeType):
            return _with_objects(each, objects)
        return objects[each[1]] if type(each) is tuple and each[:1] == (OBJECT,) else each

    return code.replace(co_consts=tuple(map(put, code.co_consts)))


def make_function(code: Any, where: _Space, cells: Any) -> FunctionType:
    made = FunctionType(code_of(code), where.variables, closure=cells)
    here.codes.append((made.__code__, where.variables))
    return made


def fill_function(f: FunctionType, state: Any) -> None:
    contents, attributes, own, variables = state
    for cell, value in contents:
        cell.cell_contents = value
    for name, value in attributes.items():
        setattr(f, name, value)
    if own:
        f.__dict__.update(own)
    bind(variables)


def fill_cell(cell: CellType, held: tuple[Any]) -> None:
    cell.cell_contents = held[0]


def clear_memos() -> None:
    """Forget what functions of the program's modules keep: it was worked out for another job."""
    from allcores.plan.ownership import is_own_module

    todo: list[Any] = [
        m for n, m in list(sys.modules.items()) if is_own_module(n) and type(m) is ModuleType
    ]
    seen: set[int] = set()
    while todo:
        found: Any = todo.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        kind = type(found)
        if kind is _MEMO:
            found.cache_clear()
        elif kind in (ModuleType, FunctionType) or issubclass(kind, type):
            todo += [each for each in vars(found).values() if type(each) in _MAY_HOLD_MEMOS]
            if kind is FunctionType:
                todo += [held for cell in found.__closure__ or () if (held := _content(cell))]
            elif kind is ModuleType:
                name = found.__name__
                classes = (v for v in list(vars(found).values()) if issubclass(type(v), type))
                todo += [each for each in classes if each.__module__ == name]
        elif kind in (staticmethod, classmethod):
            todo.append(found.__func__)
        elif kind is property:
            todo.append(found.fget)


def _content(cell: CellType) -> Any:
    try:
        held = cell.cell_contents
    except ValueError:
        return None
    return held if type(held) in _MAY_HOLD_MEMOS else None


_MEMO = type(lru_cache(bool))
_MAY_HOLD_MEMOS = frozenset({_MEMO, FunctionType, staticmethod, classmethod, property})


def make_memo(function: Any, size: int | None, typed: bool) -> Any:
    return lru_cache(size, typed)(function)


# -- classes


def make_class(meta: Any, name: str, bases: tuple[type, ...], keywords: dict[str, Any]) -> type:
    """A class without its attributes."""
    keywords = {sys.intern(k): v for k, v in keywords.items()}
    maker: Any = next((m for m in meta.__mro__ if m in (type, abc.ABCMeta)), type)
    for base in meta.__mro__:
        if base.__module__ not in ("builtins", "abc") and not base.__flags__ & (1 << 9):
            maker = base  # made in C
            break
    hears = any("__init_subclass__" in vars(k) for b in bases for k in b.__mro__[:-1])
    if not hears:
        return maker.__new__(meta, name, bases, keywords)  # type: ignore[no-any-return]
    # Bases are not told of a class that they have been told of where it was made.
    for nobody in (_Nobody, _NobodyWithoutAttributes):
        try:
            made: Any = maker.__new__(meta, name, (nobody,), dict(keywords))
            made.__bases__ = bases
            return made  # type: ignore[no-any-return]
        except TypeError:
            continue
    return maker.__new__(meta, name, bases, keywords)  # type: ignore[no-any-return]


class _Nobody:
    pass


class _NobodyWithoutAttributes:
    __slots__ = ()


def fill_class(cls: type, state: Any) -> None:
    attributes, registered, home = state
    for name, value in attributes.items():
        type.__setattr__(cls, name, value)
    if sys.version_info >= (3, 13) and "__firstlineno__" in attributes:
        type.__setattr__(cls, "__firstlineno__", attributes["__firstlineno__"])
    for each in registered:
        abc.ABCMeta.register(cls, each)  # type: ignore[arg-type]
    bind(home)


def fill_enum(cls: type, state: Any) -> None:
    from cloudpickle import cloudpickle

    given, home = state
    cloudpickle._class_setstate(cls, given)
    bind(home)


# -- objects that are no program's


def read_only(array: Any) -> Any:
    if array.flags.writeable:
        array.flags.writeable = False
    return array


def new_lock() -> Any:
    import _thread

    return _thread.allocate_lock()


def new_rlock() -> Any:
    import threading

    return threading.RLock()


def standard_stream(name: str) -> Any:
    return getattr(sys, name)


def common_stream(module: str) -> Any:
    """What the functions of a module draw from."""
    from allcores.engine.randomness import global_stream

    importlib.import_module(module)
    return global_stream(module)


def set_stream(stream: Any, state: Any) -> None:
    (stream.setstate if hasattr(stream, "setstate") else stream.set_state)(state)


def make_context_variable(name: str, default: list[Any]) -> Any:
    import contextvars

    return (
        contextvars.ContextVar(name, default=default[0])
        if default
        else contextvars.ContextVar(name)
    )
