"""What kind of object something is, asked without running any of the program's code."""

from __future__ import annotations

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
