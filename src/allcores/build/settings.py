"""What a program sets for its whole process, as far as it is cheap to ask for."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from allcores.plan.quiet import own_filters

LIBRARIES = ("decimal_context", "numpy.ufunc.extobj")
"""Context variables that libraries set when they are first used; they are asked in other ways."""


class Settings:
    """What is set for the whole process at this moment. Only libraries that are there are asked."""

    def __init__(self) -> None:
        self.directory = _directory()
        self.environment = dict(_environment())
        self.path = list(sys.path)
        self.limit = sys.getrecursionlimit()
        self.locale = _locale()
        self.decimal = _decimal()
        self.context = _context()
        self.numpy = _numpy()
        self.modules = len(sys.modules)
        self.others = _others()

    def changed(self) -> str | None:
        """What is set to something else by now, by a name that says what it is."""
        if self.environment != _environment():
            return "the environment (`os.environ`)"
        if self.path != sys.path:
            return "the search path (`sys.path`)"
        if self.directory != _directory():
            return "the current directory (`os.getcwd()`)"
        if self.limit != sys.getrecursionlimit():
            return "the recursion limit (`sys.getrecursionlimit()`)"
        # Of a library that the loop is the first to import, there is nothing to compare.
        if self.locale is not None and self.locale != _locale():
            return "the locale"
        if self.decimal is not None and not _works_alike(self.decimal, _decimal_context()):
            return "the context of `decimal`"
        others = _others()
        if self.modules != len(sys.modules):
            # Libraries that are imported for the first time set these for themselves.
            self.modules = len(sys.modules)
            self.others.update({name: others[name] for name in SET_BY_IMPORTS & others.keys()})
        for name, value in others.items():
            if self.others.get(name, value) != value:
                return name
        now = _context()
        if len(now) == len(self.context) and all(map(_same, now, self.context)):
            # NumPy keeps its settings there from version 2 on, in a new object every time.
            return None if _kept_in_context() else self.numpy_changed()
        for variable in {*(v for v, _ in now), *(v for v, _ in self.context)}:
            value, old = _value(now, variable), _value(self.context, variable)
            if value is not old and variable.name not in LIBRARIES:
                return f"the context variable `{variable.name}`"
        return self.numpy_changed()

    def numpy_changed(self) -> str | None:
        if self.numpy is not None and self.numpy != _numpy():
            return "NumPy's error handling (`np.geterr()`)"
        return None


_OTHERS: list[tuple[str, str, Callable[[Any], Any]]] = [
    ("the list of filters of `warnings`", "warnings", lambda _: own_filters()),
    ("the default timeout of sockets", "socket", lambda m: m.getdefaulttimeout()),
    ("the table of dialects of `csv`", "csv", lambda m: (m.list_dialects(), m.field_size_limit())),
    (
        "the threshold of garbage collection (`gc.get_threshold()`)",
        "gc",
        lambda m: m.get_threshold(),
    ),
    ("the switch interval (`sys.getswitchinterval()`)", "sys", lambda m: m.getswitchinterval()),
    (
        "the level up to which logging is off (`logging.disable`)",
        "logging",
        lambda m: m.root.manager.disable,
    ),
    (
        "the table of what pickles objects (`copyreg.pickle`)",
        "copyreg",
        lambda m: len(m.dispatch_table),
    ),
]


SET_BY_IMPORTS = {name for name, module, _ in _OTHERS if module in ("warnings", "copyreg")}


def _others() -> dict[str, Any]:
    """More settings, by what they are called; of modules that are there."""
    found = {}
    for words, name, ask in _OTHERS:
        module = sys.modules.get(name)
        if module is not None:
            try:
                found[words] = ask(module)
            except AttributeError:
                continue  # still being imported
    return found


Context = list[tuple[Any, Any]]
_NOTHING = object()


def _context() -> Context:
    contextvars = sys.modules.get("contextvars")
    return list(contextvars.copy_context().items()) if contextvars is not None else []


def _same(a: tuple[Any, Any], b: tuple[Any, Any]) -> bool:
    return a[0] is b[0] and a[1] is b[1]


def _value(context: Context, variable: Any) -> Any:
    return next((value for v, value in context if v is variable), _NOTHING)


def _kept_in_context() -> bool:
    """Whether NumPy is not there, or one that keeps its settings in a context variable."""
    return "numpy" not in sys.modules or "numpy._core" in sys.modules


def _environment() -> dict[Any, Any]:
    found: dict[Any, Any] = getattr(os.environ, "_data", {})
    return found


def _directory() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""


def _locale() -> str | None:
    locale = sys.modules.get("locale")
    return locale.setlocale(locale.LC_ALL) if locale is not None else None


def _decimal() -> Any:
    """A copy of the context of `decimal`, or None."""
    context = _decimal_context()
    return context.copy() if context is not None else None


def _decimal_context() -> Any:
    get = getattr(sys.modules.get("decimal"), "getcontext", None)
    return get() if get is not None else None


def _works_alike(a: Any, b: Any) -> bool:
    """Whether two contexts of `decimal` are the same but for the flags that are raised."""
    return all(getattr(a, name) == getattr(b, name) for name in OF_DECIMAL)


OF_DECIMAL = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp", "traps")


def _numpy() -> dict[str, str] | None:
    np = sys.modules.get("numpy")
    return np.geterr() if np is not None and hasattr(np, "geterr") else None


# -- what has happened in decimal arithmetic: flags that are raised, and stay so


class Flags:
    """The flags that the context of `decimal` has raised at this moment."""

    def __init__(self) -> None:
        self.then = _decimal()

    def raised_since(self) -> frozenset[str]:
        """The names of those that have been raised since then."""
        context = _decimal_context()
        if context is None or (self.then is not None and context.flags == self.then.flags):
            return frozenset()
        old = self.then.flags if self.then is not None else {}
        found = [s for s, raised in context.flags.items() if raised and not old.get(s, False)]
        return frozenset(signal.__name__ for signal in found)


def raise_decimal_flags(names: frozenset[str]) -> None:
    """Raise flags, as the arithmetic that workers did would have done here."""
    import decimal

    flags = decimal.getcontext().flags
    for name in names:
        flags[getattr(decimal, name)] = True
