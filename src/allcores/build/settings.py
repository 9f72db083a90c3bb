"""What a program sets for its whole process, as far as it is cheap to ask for."""

from __future__ import annotations

import os
import sys
from typing import Any

NOT_SET = frozenset({"decimal_context", "numpy.ufunc.extobj"})
"""Context variables that libraries set when they are first used; they are asked in other ways."""


def settings() -> dict[str, Any]:
    """What is set now, by a name that says what it is. Only libraries that are there are asked."""
    found: dict[str, Any] = {
        "the current directory (`os.getcwd()`)": _directory(),
        "the recursion limit (`sys.getrecursionlimit()`)": sys.getrecursionlimit(),
        "the search path (`sys.path`)": tuple(sys.path),
        "the environment (`os.environ`)": dict(getattr(os.environ, "_data", ())),
    }
    np = sys.modules.get("numpy")
    if np is not None and hasattr(np, "geterr"):
        found["NumPy's error handling (`np.geterr()`)"] = np.geterr()
    decimal = sys.modules.get("decimal")
    if decimal is not None and hasattr(decimal, "getcontext"):
        c = decimal.getcontext()
        traps = tuple(c.traps.values())
        found["the context of `decimal`"] = (c.prec, c.rounding, c.Emin, c.Emax, c.clamp, traps)
    locale = sys.modules.get("_locale")
    if locale is not None:
        found["the locale"] = locale.setlocale(locale.LC_ALL)
    contextvars = sys.modules.get("contextvars")
    if contextvars is not None:
        for variable, value in contextvars.copy_context().items():
            if variable.name not in NOT_SET:
                found[f"the context variable `{variable.name}`"] = _Same(value)
    return found


def setting_changed(then: dict[str, Any]) -> str | None:
    """What is set to something else by now."""
    now = settings()
    if now == then:
        return None
    for name in {**then, **now}:
        if name.startswith("the context variable") or (name in then and name in now):
            if then.get(name) != now.get(name):
                return name
    # Of a library that the loop is the first to import, there is nothing to compare.
    return None


class _Same:
    """Equal to one that holds the same object: what a program keeps there may have an `__eq__`."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value

    __hash__ = None  # type: ignore[assignment]


def _directory() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""


# -- what has happened in decimal arithmetic: flags that are raised, and stay so


def decimal_flags() -> frozenset[str]:
    """The names of the flags that the context of `decimal` has raised."""
    decimal = sys.modules.get("decimal")
    if decimal is None or not hasattr(decimal, "getcontext"):
        return frozenset()
    flags = decimal.getcontext().flags
    return frozenset(signal.__name__ for signal, raised in flags.items() if raised)


def raise_decimal_flags(names: frozenset[str]) -> None:
    """Raise flags, as the arithmetic that workers did would have done here."""
    import decimal

    flags = decimal.getcontext().flags
    for name in names:
        flags[getattr(decimal, name)] = True
