"""What kind of object something is, asked without running any of the program's code."""

from __future__ import annotations

import sys
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


def is_frame(kind: type) -> bool:
    """Whether this is a class of pandas' tables and columns, or one made of these."""
    generic = sys.modules.get("pandas.core.generic")
    return generic is not None and issubclass(kind, getattr(generic, "NDFrame", ()))


def is_array(kind: type) -> bool:
    """Whether this is a class of NumPy's arrays, or one made of it."""
    np = sys.modules.get("numpy")
    return np is not None and issubclass(kind, getattr(np, "ndarray", ()))
