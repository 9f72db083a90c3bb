"""What kind of object something is, asked without running any of the program's code."""

from __future__ import annotations

import gc
import sys
from functools import partial
from types import FunctionType
from typing import Any, TypeGuard, TypeVar, overload

T = TypeVar("T")


@overload
def is_a(obj: Any, kind: type[T]) -> TypeGuard[T]: ...
@overload
def is_a(obj: Any, kind: tuple[type, ...]) -> bool: ...
def is_a(obj: Any, kind: Any) -> bool:
    """As `isinstance`, but for the type alone.

    `isinstance` asks an object that is none of these for its `__class__`, which a program may have
    made a property: proxies work out there what they stand for.
    """
    return issubclass(type(obj), kind)


def instance_dict(obj: Any) -> dict[str, Any] | None:
    """The dict of an object's attributes; None: it has none. It is made now if it was not there."""
    try:
        found = object.__getattribute__(obj, "__dict__")
    except AttributeError:
        return None
    return found if is_a(found, dict) else None


def held_dict(obj: Any) -> dict[str, Any] | None:
    """As `instance_dict`, of an object that is not to be given one: partials and exceptions that have
    an empty one pickle otherwise than those that have none."""
    if getattr(type(obj), "__dictoffset__", 0) > 0 and not is_a(obj, FunctionType):
        keywords = obj.keywords if is_a(obj, partial) else None
        if not any(type(p) is dict and p is not keywords for p in gc.get_referents(obj)):
            return None
    return instance_dict(obj)


def is_frame(kind: type) -> bool:
    """Whether this is a class of pandas' tables and columns, or one made of these."""
    generic = sys.modules.get("pandas.core.generic")
    return generic is not None and issubclass(kind, getattr(generic, "NDFrame", ()))


def is_array(kind: type) -> bool:
    """Whether this is a class of NumPy's arrays, or one made of it."""
    np = sys.modules.get("numpy")
    return np is not None and issubclass(kind, getattr(np, "ndarray", ()))


def is_record(kind: type) -> bool:
    """Whether this is a class of single records of NumPy's arrays: these look at an array's memory."""
    np = sys.modules.get("numpy")
    return np is not None and issubclass(kind, getattr(np, "void", ()))
