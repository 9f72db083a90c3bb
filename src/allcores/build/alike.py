"""Whether what is found by its name in a clean interpreter is what it is here.

A module that is imported anew may differ from the one that is here: the program has set a variable
in it, registered something, put another function in the place of one of its own. So both sides make
digests of all that the work depends on there, part by part; what is sent by value is left out, for
it is the same.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Container, Iterable
from functools import partial
from types import CodeType, ModuleType
from typing import Any, NamedTuple

from allcores.build.by_name import named
from allcores.build.digest import CannotDigest
from allcores.build.made_of import VALUE, MadeOf, imported_by, mentioned_in, where
from allcores.build.travel import RANDOM_HASHES
from allcores.engine.functions import global_names
from allcores.engine.shipment import CannotShip
from allcores.plan.kinds import is_a
from allcores.plan.ownership import is_own_file

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
        self.by_value = {id(variables) for variables in by_value}
        self.sent = sent

    def look(self, roots: Roots, variables: Iterable[Variable]) -> None:
        """Find all parts. variables: those of modules that go by name, which work may reach.

        Raises CannotShip where that cannot be told.
        """
        try:
            for code, names in roots.codes:
                self.reach(names, code)
            for k, value in enumerate(roots.named):
                words = f"`{getattr(value, '__qualname__', getattr(value, '__name__', k))}`"
                self.add(f"{k}", words, partial(self.alone, value))
            for module, name in variables:
                self.reach_global(vars(sys.modules[module]), name, None)
            self.finish()
        except CannotDigest as why:
            raise CannotShip(str(why)) from None

    def alone(self, value: Any) -> tuple[bytes]:
        return (self.digest(value),)

    def reach(self, namespace: dict[str, Any], code: CodeType) -> None:
        for name in global_names(code) & {"id", "hash"}:
            may = code.co_name == "__hash__" or not is_own_file(code.co_filename)
            if not may and name not in namespace and (name == "id" or RANDOM_HASHES):
                what = "addresses of objects" if name == "id" else "hashes of texts"
                raise CannotDigest(
                    f"`{name}`, used at {where(code)}, gives {what}, which are others in a clean "
                    "interpreter"
                )
        super().reach(namespace, code)
        if id(namespace) not in self.by_value:
            self.mentioned_by_name |= mentioned_in(code)

    def reach_global(self, namespace: dict[str, Any], name: str, code: Any) -> None:
        if name in namespace and id(namespace) in self.by_value:
            return
        if (namespace.get("__name__"), name) not in self.sent:
            super().reach_global(namespace, name, code)

    def reach_import(self, namespace: dict[str, Any], name: str, code: Any) -> None:
        if not is_a(sys.modules.get(name, sys), ModuleType):
            return  # it is sent
        super().reach_import(namespace, name, code)
        if name in sys.modules:
            self.tell_apart(name, sys.modules[name])

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


def compare(then: dict[str, tuple[str, str]], now: Alike) -> None:
    """Raises CannotShip where a part is not what it was where the work comes from.

    then: by the names of parts, their digests and what they are in words.
    """
    other = [
        n for n, (digest, _) in then.items() if n not in now.found or now.found[n].digest != digest
    ]
    if not other:
        return
    variables = [found for found in map(_variable, other) if found is not None]
    # What holds a part that differs may differ for that reason alone.
    inner = [n for n in other if not n.isdigit()] or other
    name = min(inner, key=lambda n: (n.isdigit(), not then[n][1].startswith(VALUE), n))
    what = then[name][1].removeprefix(VALUE)
    raise CannotShip(
        f"{what} is not what a clean interpreter finds there: it was changed since it was imported",
        variables if len(variables) == len(inner) else (),
    )


def _variable(part: str) -> Variable | None:
    """The variable of a module that a part is, if it is one."""
    module, _, name = part.rpartition(".")
    found = sys.modules.get(module)
    if found is None:
        return None
    value = vars(found).get(name)
    code = is_a(value, (types.FunctionType, type, ModuleType)) and name in vars(found)
    return None if code else (module, name)
