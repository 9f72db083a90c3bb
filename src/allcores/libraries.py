"""What a clean interpreter may import while a loop still runs natively."""

from __future__ import annotations

import sys
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from allcores.plan.ownership import is_own_module

MOST = 50
"""So many modules."""


def libraries_of(namespace: dict[str, Any]) -> list[str]:
    """The libraries that code with these module variables may use: names of modules.

    None of the program's own: importing those may do anything.
    """
    found: dict[str, None] = {}
    for value in list(namespace.values()):
        name = vars(value).get("__name__") if type(value) is ModuleType else _home(value)
        if type(name) is not str or name not in sys.modules or is_own_module(name):
            continue
        if name.partition(".")[0] not in sys.stdlib_module_names:
            found[name] = None
    return [name for name in found if name.partition(".")[0] != "allcores"][:MOST]


def _home(value: Any) -> Any:
    """The module that a function or a class comes from."""
    if type(value) is FunctionType or isinstance(value, type):
        return value.__module__
    return getattr(value, "__module__", None) if type(value) is BuiltinFunctionType else None
