"""Whether what is found by its name in a clean interpreter is what it is here.

A module that is imported anew may differ from the one that is here: the program has set a variable
in it, registered something, put another function in the place of one of its own. So both sides make
digests of all that the work depends on there, part by part; what is sent by value is left out, for
it is the same.
"""

from __future__ import annotations

import gc
import sys
import types
from collections.abc import Container, Iterable
from functools import partial
from types import CodeType, ModuleType
from typing import Any, NamedTuple

from allcores.build.arrival import at
from allcores.build.by_name import named
from allcores.build.digest import _NOT_OF_A_CLASS, CannotDigest, is_enum, is_own
from allcores.build.made_of import (
    VALUE,
    MadeOf,
    Part,
    _alone,
    annotations_of,
    imported_by,
    in_words,
    mentioned_in,
    name_at_home,
    where,
)
from allcores.build.set_in_libraries import Set
from allcores.engine import orphans
from allcores.engine.functions import global_names
from allcores.engine.interpreters import same_hashes
from allcores.engine.shipment import CannotShip
from allcores.plan.kinds import is_a
from allcores.plan.ownership import is_own_file, is_own_module

_CODE = (types.FunctionType, types.BuiltinFunctionType, type)
_CALLED = frozenset(
    "ufunc _ArrayFunctionDispatcher cython_function_or_method _lru_cache_wrapper".split()
)
"""Types of libraries' functions that are made in C."""
Variable = tuple[str, str]
"""A module's name, and that of a variable in it."""


class Roots(NamedTuple):
    """What the work depends on, as both sides name it."""

    named: list[Any]
    """Functions, classes and modules that go by name."""
    codes: list[tuple[CodeType, Any]]
    """Code that goes by value, with its module variables."""


class Alike(MadeOf):
    """Digests of what goes by name."""

    def __init__(self, by_value: Iterable[dict[str, Any]], sent: Container[Variable] = ()) -> None:
        """by_value: the variables of modules that are sent, as far as they count. sent: variables
        of other modules that are sent as well."""
        super().__init__()
        self.mentioned_by_name: set[str] = set()
        """What is mentioned in code that goes by name."""
        self.imported: set[str] = set()
        """The program's modules that functions import when they are called."""
        self.own_codes: list[CodeType] = []
        """All code of the program that was come by."""
        self.by_value = {id(variables) for variables in by_value}
        self.sent = sent
        self.missing: set[str] = set()
        """Parts in libraries that are not imported, so that nothing uses them."""

    def look(self, roots: Roots, variables: Iterable[Variable], libraries: Iterable[Set]) -> None:
        """Find all parts. variables: those of modules that go by name, which work may reach.
        libraries: variables in libraries that the program sets.

        Raises CannotShip where that cannot be told.
        """
        try:
            for code, names in roots.codes:
                self.reach(names, code)
            for k, value in enumerate(roots.named):
                words = f"`{getattr(value, '__qualname__', getattr(value, '__name__', k))}`"
                self.add(f"{k}", words, partial(self.alone, value))
            for module, name in variables:
                self.reach_variable(module, name)
            for each in libraries:
                self.reach_set(each)
            self.finish()
            tops = {name.partition(".")[0] for name in self.libraries}
            for name, value in put_into_libraries(tops - {"allcores", "builtins", "sys"}):
                if _variable(name) not in self.sent:
                    self.later(("foreign", name), name, f"`{name}`", partial(self.alone, value))
            self.finish()
        except CannotDigest as why:
            raise CannotShip(str(why)) from None

    def reach_variable(self, module: str, path: str) -> None:
        """A variable of a module, or an attribute of a class in it."""
        if "." not in path:
            self.reach_global(vars(sys.modules[module]), path, None)
            return
        full, value = f"{module}.{path}", at(module, path)
        self.later(("attribute", full), full, in_words(full, value), partial(self.alone, value))

    def reach_set(self, each: Set) -> None:
        """A variable that the program has set in a library."""
        full = f"{each.module}.{each.path}"
        # Others in the library may hold the same list, so that one by itself is not sent.
        part = full if each.whole else f"what {full} holds"
        if each.module not in sys.modules:
            self.missing.add(part)
        elif (each.module, each.path) not in self.sent:
            try:
                value = at(each.module, each.path)
            except CannotShip:
                value = None
            self.later(("set", full), part, in_words(full, value), partial(self.alone, value))

    def alone(self, value: Any) -> tuple[bytes]:
        return (self.digest(value),)

    def reach(self, namespace: dict[str, Any], code: CodeType) -> None:
        for name in global_names(code) & {"id", "hash"}:
            may = code.co_name == "__hash__" or not is_own_file(code.co_filename)
            if not may and name not in namespace and (name == "id" or not same_hashes()):
                what = "addresses of objects" if name == "id" else "hashes of texts"
                raise CannotDigest(
                    f"`{name}`, used at {where(code)}, gives {what}, which are others in a clean "
                    "interpreter"
                )
        super().reach(namespace, code)
        if is_own_file(code.co_filename):
            self.own_codes.append(code)
        if id(namespace) not in self.by_value:
            self.mentioned_by_name |= mentioned_in(code)

    def reach_global(self, namespace: dict[str, Any], name: str, code: Any) -> None:
        if name in namespace and id(namespace) in self.by_value:
            return
        if (namespace.get("__name__"), name) not in self.sent:
            super().reach_global(namespace, name, code)

    def reach_builtin(self, name: str, value: Any) -> None:
        if ("builtins", name) not in self.sent:
            super().reach_builtin(name, value)

    def reach_import(self, namespace: dict[str, Any], name: str, code: Any) -> None:
        if not is_a(sys.modules.get(name, sys), ModuleType):
            return  # it is sent
        super().reach_import(namespace, name, code)
        if name in sys.modules:
            self.tell_apart(name, sys.modules[name])
            if is_own_module(name) and named(sys.modules[name]):
                self.imported.add(name)

    def look_into_modules(self) -> None:
        """What libraries hold under other names than its own may have been put there."""
        super().look_into_modules()
        for name, module in self.libraries.items():
            top = name.partition(".")[0]
            for attribute in self.mentioned.intersection(vars(module)):
                if (name, attribute) in self.sent:
                    continue
                value = orphans.original(vars(module)[attribute])
                kind = type(value)
                if not (issubclass(kind, _CODE) or kind.__name__ in _CALLED) or is_own(value):
                    continue
                home = getattr(value, "__module__", None)
                own_name = getattr(value, "__qualname__", value.__name__)
                if own_name != attribute or f"{home}".partition(".")[0] != top:
                    full = f"{name}.{attribute}"
                    piece = f"{home}.{own_name}".encode()
                    self.later(("alias", full), full, in_words(full, value), partial(_alone, piece))

    def of_memo(self, value: Any) -> Iterable[bytes]:
        if is_own(value) and keeps_objects(value):
            raise CannotDigest(not_again(value))
        return super().of_memo(value)

    def class_pieces(self, value: Any) -> Iterable[bytes]:
        """Each attribute of a class is a part of its own, and may be sent by itself."""
        home = name_at_home(value)
        if home is None or is_enum(value):
            return super().class_pieces(value)
        attributes = {n: v for n, v in vars(value).items() if n not in _NOT_OF_A_CLASS}
        module = value.__module__
        for name, each in attributes.items():
            full = f"{home}.{name}"
            if (module, f"{value.__qualname__}.{name}") not in self.sent:
                self.later(
                    ("attribute", full), full, in_words(full, each), partial(self.alone, each)
                )
        bases = self.parts([type(value), *value.__bases__])
        names = [n for n in attributes if (module, f"{value.__qualname__}.{n}") not in self.sent]
        return (b"class", bases, *(n.encode() for n in names), annotations_of(value))

    def of_module(self, value: Any) -> Iterable[bytes]:
        self.tell_apart(value.__name__, value)
        if id(vars(value)) in self.by_value:
            return (b"module", value.__name__.encode())
        return super().of_module(value)

    def tell_apart(self, name: str, module: Any) -> None:
        """What is imported by a name must be the same module."""
        pieces = f"{getattr(module, '__name__', name)} {getattr(module, '__file__', None)}".encode()
        self.later(("module", name), f"module {name}", f"the module `{name}`", lambda: (pieces,))


def imports_of(codes: Iterable[CodeType]) -> tuple[list[str], list[tuple[str, Any]]]:
    """The modules that code imports when it runs, as far as they are there already.

    By name those that are found by it; then names and what stands for them here.
    """
    plain, others = [], []
    for name in sorted({name for code in codes for name in imported_by(code)}):
        found = sys.modules.get(name)
        if found is None:
            continue
        if named(found) and found.__name__ == name:
            plain.append(name)
        else:
            others.append((name, found))
    return plain, others


def keeps_objects(memo: Any) -> bool:
    """Whether a memo (`functools.cache`) holds more than results that calling would give again:

    something for which no arguments are needed, or which is no plain data.
    """
    if not memo.cache_info().currsize:
        return False
    for held in gc.get_referents(memo):
        if type(held) is dict and held is not vars(memo) and held:
            results = list(held.values())
            if () in held or not all(map(_is_data, results[:100])):
                return True
            # What memos of limited size hold can only be had by asking for it.
            key = next(iter(held))
            if type(results[0]).__name__ == "_lru_list_elem" and type(key) in (int, str):
                return not _is_data(memo(key))
    return False


def not_again(memo: Any) -> str:
    """Why a memo keeps a loop here, in words."""
    return (
        f"`{memo.__qualname__}` keeps for later what it has given, and a clean interpreter would "
        "make another one; make it before the loop, and use it by a variable"
    )


def _is_data(value: Any) -> bool:
    return not is_own(type(value)) and type(value).__module__ != "_thread"


def submodules_of(modules: Iterable[str], mentioned: set[str]) -> list[str]:
    """The modules in packages that code may come by as attributes, as in `scipy.signal.hann`.

    modules: the names of packages and other modules. Importing a package does not import them all.
    """
    found: list[str] = []
    todo = list(modules)
    while todo:
        name = todo.pop()
        variables = vars(sys.modules[name]) if name in sys.modules else {}
        for each in sorted(mentioned.intersection(variables)):
            inner, module = f"{name}.{each}", variables[each]
            if sys.modules.get(inner) is module and is_a(module, ModuleType) and named(module):
                if inner not in found:
                    found.append(inner)
                    todo.append(inner)
    return found


Known = tuple[str, str, Variable | None]
"""A part where the work comes from: its digest, what it is in words, and the variable that it is."""


def known(found: dict[str, Part]) -> dict[str, Known]:
    """All parts, by their names. Which variable one is can be told where its module is imported."""
    return {n: (part.digest, part.words, _variable(n)) for n, part in found.items()}


def compare(then: dict[str, Known], now: Alike) -> None:
    """Raises CannotShip where a part is not what it was where the work comes from."""
    other = [
        name
        for name, (digest, _, _) in then.items()
        if name not in now.missing and (name not in now.found or now.found[name].digest != digest)
    ]
    if not other:
        return
    # What is no variable itself may differ for what it holds.
    inner = [n for n in other if not n.isdigit()] or other
    # What is missing may be come by through variables that are, and be found with these.
    inner = [n for n in inner if n in now.found or then[n][2]] or inner
    variables = [found for n in inner if (found := then[n][2]) is not None]
    name = min(inner, key=lambda n: (not then[n][1].startswith(VALUE), n))
    what = then[name][1].removeprefix(VALUE)
    raise CannotShip(
        f"{what} is not what a clean interpreter finds there: it was changed since it was imported",
        variables if len(variables) == len(inner) else (),
    )


def _variable(part: str) -> Variable | None:
    """The variable of a module, or the attribute of a class in it, that a part is, if it is one."""
    module = part
    while module and module not in sys.modules:
        module = module.rpartition(".")[0]
    name = part[len(module) + 1 :]
    return (module, name) if module and name.replace(".", "a").isidentifier() else None


# -- what the program has put into libraries


class Foreign(NamedTuple):
    """Functions and classes of the program that stand in a library."""

    spaces: list[Any]
    """The variables of its modules and classes."""
    held: list[Any]
    """All that they held."""
    found: list[tuple[str, Any]]


_known: dict[str, Foreign] = {}
_sorted_by_library: dict[int, dict[str, list[ModuleType]]] = {}


def put_into_libraries(tops: Iterable[str]) -> list[tuple[str, Any]]:
    """Where functions and classes of the program stand in these libraries: full names, and they."""
    by_library = _modules_by_library()
    found: list[tuple[str, Any]] = []
    for top in tops:
        known = _known.get(top)
        if known is None or not _still_hold(known):
            known = _known[top] = _look_for_foreign(by_library.get(top, []))
        found += known.found
    return found


def _still_hold(known: Foreign) -> bool:
    """Whether modules and classes hold the same objects."""
    now = gc.get_referents(*known.spaces)
    try:
        # Faster than asking for identity one by one; functions equal nothing but themselves.
        return len(now) == len(known.held) and bool(now == known.held)
    except Exception:
        return False


def _modules_by_library() -> dict[str, list[ModuleType]]:
    """All modules of libraries, by the name of the library."""
    size = len(sys.modules)
    if size not in _sorted_by_library:
        _sorted_by_library.clear()
        _known.clear()
        found = _sorted_by_library[size] = {}
        for name, module in list(sys.modules.items()):
            if is_a(module, ModuleType) and not is_own_module(name):
                found.setdefault(name.partition(".")[0], []).append(module)
    return _sorted_by_library[size]


def _look_for_foreign(modules: list[ModuleType]) -> Foreign:
    spaces: list[Any] = []
    found: list[tuple[str, Any]] = []
    for module in modules:
        variables = vars(module)
        spaces.append(variables)
        for name, value in list(variables.items()):
            if _is_foreign(value, variables):
                found.append((f"{module.__name__}.{name}", value))
            elif isinstance(value, type) and value.__module__ == module.__name__:
                inside: Any = vars(value)
                spaces += gc.get_referents(inside)
                for inner, each in list(inside.items()):
                    if _is_foreign(each, variables):
                        found.append((f"{module.__name__}.{value.__qualname__}.{inner}", each))
    return Foreign(spaces, gc.get_referents(*spaces), found)


def _is_foreign(value: Any, variables: dict[str, Any]) -> bool:
    """Whether this is a function of the program's."""
    function = getattr(value, "__func__", value) if type(value) in _WRAPPED else value
    if type(function) is not types.FunctionType or function.__globals__ is variables:
        return False
    name = function.__globals__.get("__name__")
    return is_own_module(name) and not str(name).startswith("namedtuple_")


_WRAPPED = (staticmethod, classmethod)
