"""Which functions of the program work on a loop's items may call, and what these see besides.

The methods of an item are not known by reading the loop alone, for its type is known only now. So
they are found by their names: those that the loop's body mentions, those that they mention, and so
on.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Iterable, Iterator
from typing import Any

from allcores.build.states import MADE_LATER
from allcores.engine.functions import global_names
from allcores.plan.callables import Callables
from allcores.plan.kinds import instance_dict, is_a
from allcores.plan.live import lookup
from allcores.plan.model import Plan
from allcores.plan.names import path_of
from allcores.plan.ownership import is_own_module
from allcores.plan.reach import held_by
from allcores.plan.summaries import Reading

DESCRIBES = ("__get__", "__set__", "__delete__")
"""The methods of an object in a class that stands for an attribute."""
BIND = frozenset(("setattr", "delattr", "__setattr__", "__delattr__"))
MOST = 1000
"""How many functions are looked at."""
NOT_CALLED = frozenset(
    "__init__ __new__ __post_init__ __repr__ __str__ __del__ __init_subclass__ __set_name__ __class_getitem__".split()
)
"""Methods that Python does not call by itself on an object that is there already."""


class Reached:
    """Functions that are reached by name from a loop's body, given the classes of its objects."""

    def __init__(
        self,
        plan: Plan,
        names: dict[str, Any],
        namespace: dict[str, Any],
        classes: Iterable[type],
        functions: Iterable[Any] = (),
    ) -> None:
        """functions: further ones, which may be called."""
        classes = [cls for cls in classes if is_own_module(cls.__module__)]
        self.clear(list(classes))
        nodes = list(plan.work_nodes())
        words = {n.attr for n in nodes if isinstance(n, ast.Attribute)}
        if any(isinstance(n, ast.Name) and n.id in BIND for n in nodes):
            self.binds_by_name = True
        patterns = [n for n in nodes if isinstance(n, ast.MatchClass)]
        words.update(attr for n in patterns for attr in n.kwd_attrs)
        if any(n.patterns for n in patterns):
            words.update(n for cls in classes for n in getattr(cls, "__match_args__", ()))
        variables = {**namespace, **names}
        heads = {n.id for n in nodes if isinstance(n, ast.Name)} & variables.keys()
        self.follow(words, [*(variables[name] for name in heads), *functions])
        for node in nodes:
            path = path_of(node) if isinstance(node, ast.Attribute) else None
            if path is not None:
                for found in called_at(path, names, namespace):
                    self.add(found)
        self.search()

    @classmethod
    def by_values(cls, values: Iterable[Any]) -> Reached:
        """What is reached from some functions and objects."""
        made = cls.__new__(cls)
        made.clear([])
        made.follow(set(), list(values))
        made.search()
        return made

    def clear(self, classes: list[type]) -> None:
        self.functions: dict[int, types.FunctionType] = {}
        self.names: set[str] = set()
        self.binds_by_name = False
        """Whether attributes are bound by names that may be worked out, and so any setter called."""
        self.classes = classes
        self.made: dict[int, type] = {}
        """Classes of which the body makes objects."""

    def search(self) -> None:
        """Go on from what was found to all that it leads to."""
        before = -1
        while before != len(self.functions) + len(self.names) and len(self.functions) < MOST:
            before = len(self.functions) + len(self.names)
            for cls in self.all_classes():
                for function in self.methods(cls):
                    self.add(function)
            self.add_descriptors()

    def add_descriptors(self) -> None:
        """The classes of objects that stand for attributes of others, and what these wrap."""
        for _, _, found in self.descriptors():
            if type(found) not in self.classes:
                self.classes.append(type(found))
            for value in (instance_dict(found) or {}).values():
                for function in functions_in(value):
                    self.add(function)

    def descriptors(self) -> list[tuple[type, str, Any]]:
        """The program's own descriptors in the classes: the class, the name, the object."""
        return [
            (cls, name, value)
            for cls in self.all_classes()
            for name, value in vars(cls).items()
            if is_own_module(type(value).__module__)
            and any(hasattr(type(value), m) for m in DESCRIBES)
        ]

    def all_classes(self) -> list[type]:
        found = dict.fromkeys([*self.classes, *self.made.values()])
        return list(
            dict.fromkeys(c for cls in found for c in cls.__mro__ if is_own_module(c.__module__))
        )

    def methods(self, cls: type) -> Iterator[types.FunctionType]:
        """The methods of a class that may be called."""
        for name, value in vars(cls).items():
            if name in NOT_CALLED and id(cls) not in self.made:
                continue
            if name in self.names or name.startswith("__"):
                yield from functions_in(value)
            elif self.binds_by_name and is_a(value, property):
                yield from (f for f in (value.fset, value.fdel) if is_a(f, types.FunctionType))

    def add(self, function: types.FunctionType) -> None:
        if id(function) in self.functions or not is_own_module(
            function.__globals__.get("__name__")
        ):
            return
        self.functions[id(function)] = function
        code = [function.__code__]
        for each in code:
            code += [c for c in each.co_consts if isinstance(c, types.CodeType)]
        words = {name for each in code for name in each.co_names}
        self.binds_by_name |= not BIND.isdisjoint(words)
        inside = [cell.cell_contents for cell in function.__closure__ or () if cell_is_bound(cell)]
        self.follow(words, [*inside, *globals_of(function).values()])

    def follow(self, words: set[str], found: list[Any]) -> None:
        """The functions and classes among these values, and in modules under these words."""
        self.names |= words
        # Modules of a package hold each other.
        modules: set[str] = set()
        for value in found:
            if is_a(value, types.ModuleType):
                if is_own_module(value.__name__) and value.__name__ not in modules:
                    modules.add(value.__name__)
                    found += [vars(value)[word] for word in words if word in vars(value)]
            elif is_a(value, type):
                if is_own_module(value.__module__):
                    self.made[id(value)] = value
            else:
                for function in functions_in(value):
                    self.add(function)
                if is_own_module(type(value).__module__) and type(value) not in self.classes:
                    self.classes.append(type(value))

    # -- what they do

    def changes(self, plan: Plan, namespace: dict[str, Any]) -> str | None:
        """What a reached function changes that all iterations share, in words, or None."""
        if len(self.functions) >= MOST:
            return "the functions that it may call are too many to be read"
        called = {method for _, method in plan.item_calls}
        for function in list(self.functions.values()):
            summary = Callables(namespace, 0, Reading()).summary_of(function)
            if summary is None:
                continue
            what = f"`{function.__qualname__}`{summary.place()}"
            for root in sorted(summary.changes):
                if not root.startswith("$"):
                    return f"{what} changes `{root.lstrip('@')}`, which all iterations share"
                place = int(root[1:].partition(".")[0])
                if place in summary.shared_defaults:
                    return f"{what} changes a default that all calls share"
                elsewhere = function.__code__.co_filename != plan.file
                if place and elsewhere and function.__name__ in called:
                    return f"{what} changes what it is given"
            if summary.refusals:
                return f"{what} {summary.refusals[0]}"
        return self.changes_of_descriptors(namespace)

    def changes_of_descriptors(self, namespace: dict[str, Any]) -> str | None:
        """As `changes`, of what descriptors change in themselves, which no call in sight shows."""
        for cls, name, found in self.descriptors():
            kind = type(found)
            for method in (*DESCRIBES, "__call__"):
                function = next((vars(c)[method] for c in kind.__mro__ if method in vars(c)), None)
                if not isinstance(function, types.FunctionType):
                    continue
                summary = Callables(namespace, 0, Reading()).summary_of(function)
                if summary is None or any(r.split(".")[0] == "$0" for r in summary.changes):
                    return f"`{function.__qualname__}` changes `{cls.__name__}.{name}`"
        return None

    def holds(self) -> list[tuple[str, Any]]:
        """What these functions hold by themselves, and attributes of classes that are named, by name."""
        found = [
            (f.__qualname__, each)
            for f in self.functions.values()
            for each in held_by(f)
            if not is_a(each, (types.ModuleType, type))
        ]
        for cls in self.all_classes():
            for name, value in vars(cls).items():
                if name in self.names and not is_a(value, (types.FunctionType, type, property)):
                    found.append((f"{cls.__name__}.{name}", value))
        return found

    def sees(self) -> list[tuple[str, Any]]:
        """The objects that they see besides what they are given, by name."""
        found: list[tuple[str, Any]] = []
        for function in self.functions.values():
            for name, value in globals_of(function).items():
                if not is_a(value, (types.ModuleType, type, types.FunctionType)):
                    found.append((name, value))
            found.append((function.__qualname__, function))
        for cls in self.all_classes():
            for name, value in vars(cls).items():
                code_like = (types.FunctionType, type, property, staticmethod, classmethod)
                if name not in MADE_LATER and not is_a(value, code_like):
                    found.append((f"{cls.__name__}.{name}", value))
        return found


def called_at(
    path: str, names: dict[str, Any], namespace: dict[str, Any]
) -> list[types.FunctionType]:
    """The function that an object has as an attribute, beside the methods of its class."""
    try:
        found = lookup(path, names, namespace)
    except LookupError:
        return []
    return functions_in(found) if is_a(found, (types.FunctionType, types.MethodType)) else []


def globals_of(function: types.FunctionType) -> dict[str, Any]:
    """The variables of its module that a function uses, those of functions in it among them."""
    variables = function.__globals__
    return {n: variables[n] for n in sorted(global_names(function.__code__)) if n in variables}


def cell_is_bound(cell: Any) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


def functions_in(value: Any) -> list[types.FunctionType]:
    """The functions of the program that using this class attribute, or calling it, may run."""
    if is_a(value, types.FunctionType):
        wrapped = getattr(value, "__wrapped__", None)
        return [value, *([wrapped] if isinstance(wrapped, types.FunctionType) else [])]
    if is_a(value, (staticmethod, classmethod)):
        return functions_in(value.__func__)
    if is_a(value, property):
        return [
            f for f in (value.fget, value.fset, value.fdel) if isinstance(f, types.FunctionType)
        ]
    if is_a(value, types.MethodType):
        return functions_in(value.__func__)
    if type(value).__name__ in (
        "cached_property",
        "partial",
        "partialmethod",
        "_lru_cache_wrapper",
    ):
        inner = getattr(value, "func", None) or getattr(value, "__wrapped__", None)
        return functions_in(inner) if inner is not None else []
    return []
