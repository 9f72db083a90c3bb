"""Runs a program with the plain loop and with `parallel`, and compares everything it leaves."""

from __future__ import annotations

import contextlib
import io
import linecache
import math
import os
import sys
import types
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import allcores.loop as loop
from allcores import ParallelWarning, parallel

_numbers = count()
ATOMS = (
    int,
    float,
    complex,
    str,
    bytes,
    bool,
    type(None),
    range,
    type,
    types.FunctionType,
    types.ModuleType,
    types.BuiltinFunctionType,
)
HIDDEN = {
    "parallel",
    "__builtins__",
    "__name__",
    "__file__",
    "__warningregistry__",
    "__doc__",
    "__loader__",
    "__package__",
    "__spec__",
}


@dataclass
class Outcome:
    """What a run left behind."""

    names: dict[str, Any]
    printed: tuple[str, str]
    error: BaseException | None
    reports: list[loop.LoopReport] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)

    @property
    def in_workers(self) -> int:
        return sum(r.in_workers for r in self.reports)


@contextlib.contextmanager
def forced(on: bool = True) -> Iterator[None]:
    """Every loop that may go to workers does, whatever it costs."""
    before = os.environ.get("ALLCORES_FORCE")
    os.environ["ALLCORES_FORCE"] = "1" if on else "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ["ALLCORES_FORCE"]
        else:
            os.environ["ALLCORES_FORCE"] = before


def run(source: str, plain: bool, in_function: bool, force: bool = True) -> Outcome:
    """Execute the program; `parallel` is the identity when `plain`."""
    if in_function:
        lines = [
            "def __program():",
            "    try:",
            *("        " + x for x in source.splitlines()),
            "    except Exception as __e:",
            "        __error = __e",
            "    return locals()",
        ]
        source = "\n".join(lines) + "\n"
    filename = f"<same-{next(_numbers)}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    # A real module, so that its classes can be found by name as a script's can.
    module = sys.modules["__same__"] = types.ModuleType("__same__")
    namespace = module.__dict__
    namespace["parallel"] = (lambda xs, **_: xs) if plain else parallel
    out, err = io.StringIO(), io.StringIO()
    reports: list[loop.LoopReport] = []
    error: BaseException | None = None
    names: dict[str, Any] = namespace
    note = reports.append
    loop.listeners.append(note)
    try:
        with (
            forced(force),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            warnings.catch_warnings(record=True) as caught,
        ):
            warnings.simplefilter("always")
            try:
                exec(compile(source, filename, "exec"), namespace)
                if in_function:
                    names = namespace["__program"]()
                    error = names.pop("__error", None)
                    names.pop("__e", None)
            except Exception as e:
                error = e
    finally:
        loop.listeners.remove(note)
        linecache.cache.pop(filename, None)
    warned = [str(w.message) for w in caught if issubclass(w.category, ParallelWarning)]
    names = {k: v for k, v in names.items() if k not in HIDDEN}
    return Outcome(names, (out.getvalue(), err.getvalue()), error, reports, warned)


def difference(a: Outcome, b: Outcome) -> str | None:
    """Where two outcomes differ, in words; None when they are the same."""
    if a.printed != b.printed:
        return f"printed: {a.printed!r} != {b.printed!r}"
    if type(a.error) is not type(b.error) or str(a.error) != str(b.error):
        return f"error: {a.error!r} != {b.error!r}"
    if a.error is not None and b.error is not None:
        lines = [_last_line(a.error), _last_line(b.error)]
        if lines[0] != lines[1]:
            return f"error at line {lines[0]} != {lines[1]}"
    if list(a.names) and set(a.names) != set(b.names):
        return f"names: {sorted(set(a.names) ^ set(b.names))} bound on one side only"
    return Comparer().compare(a.names, b.names)


def _last_line(error: BaseException) -> int | None:
    tb, line = error.__traceback__, None
    while tb is not None:
        if tb.tb_frame.f_code.co_filename.startswith("<same-"):
            line = tb.tb_lineno
        tb = tb.tb_next
    return line


class Comparer:
    """Walks two object graphs in lock step: same values, and the same objects in the same places."""

    def __init__(self) -> None:
        self.left: dict[int, Any] = {}
        self.right: dict[int, Any] = {}
        self.keep: list[Any] = []

    def compare(self, a: dict[str, Any], b: dict[str, Any]) -> str | None:
        for name in sorted(a):
            found = self.same(a[name], b[name], name)
            if found:
                return found
        return None

    def same(self, a: Any, b: Any, where: str) -> str | None:
        if type(a) is not type(b) and (
            type(a).__name__ != type(b).__name__ or isinstance(a, ATOMS)
        ):
            return f"{where}: {type(a).__name__} != {type(b).__name__} ({a!r}, {b!r})"
        if isinstance(a, float):
            same = (a == b and math.copysign(1, a) == math.copysign(1, b)) or (a != a and b != b)
            return None if same else f"{where}: {a!r} != {b!r}"
        if isinstance(a, (types.FunctionType, types.ModuleType, type)):
            return None if a.__name__ == b.__name__ else f"{where}: {a!r} != {b!r}"
        if isinstance(a, ATOMS):
            return None if a == b else f"{where}: {a!r} != {b!r}"
        if not isinstance(a, (tuple, frozenset)):
            if id(a) in self.left or id(b) in self.right:
                if self.left.get(id(a)) is b and self.right.get(id(b)) is a:
                    return None
                return f"{where}: the same object as another on one side only"
            self.left[id(a)], self.right[id(b)] = b, a
            self.keep += [a, b]
        return self.inside(a, b, where)

    def inside(self, a: Any, b: Any, where: str) -> str | None:
        kind = type(a).__name__
        if kind == "ndarray":
            same = (
                a.dtype == b.dtype
                and a.shape == b.shape
                and a.tobytes() == b.tobytes()
                and a.flags.writeable == b.flags.writeable
            )
            return None if same else f"{where}: {a!r} != {b!r}"
        if isinstance(a, (list, tuple)):
            if len(a) != len(b):
                return f"{where}: {a!r} != {b!r}"
            return self.first(
                (x, y, f"{where}[{i}]") for i, (x, y) in enumerate(zip(a, b, strict=True))
            )
        if isinstance(a, dict):
            if list(map(repr, a)) != list(map(repr, b)):
                return f"{where}: keys {list(a)!r} != {list(b)!r}"
            return self.first(
                (x, y, f"{where}[{k!r}]") for (k, x), y in zip(a.items(), b.values(), strict=True)
            )
        if isinstance(a, (set, frozenset)):
            return (
                None if sorted(map(repr, a)) == sorted(map(repr, b)) else f"{where}: {a!r} != {b!r}"
            )
        if hasattr(a, "__dict__"):
            return self.same_attributes(a, b, where)
        if hasattr(a, "__next__"):
            return self.same(list(a), list(b), f"rest of {where}")
        return None if repr(a) == repr(b) or "0x" in repr(a) else f"{where}: {a!r} != {b!r}"

    def same_attributes(self, a: Any, b: Any, where: str) -> str | None:
        if isinstance(a, BaseException) and str(a) != str(b):
            return f"{where}: {a!r} != {b!r}"
        x = {k: v for k, v in vars(a).items() if k != "__notes__"}
        y = {k: v for k, v in vars(b).items() if k != "__notes__"}
        if list(x) != list(y):
            return f"{where}: attributes {list(x)} != {list(y)}"
        return self.first((x[k], y[k], f"{where}.{k}") for k in x)

    def first(self, pairs: Any) -> str | None:
        return next((found for x, y, w in pairs if (found := self.same(x, y, w))), None)


def assert_same(
    source: str, expect: str | None = None, *, places: tuple[bool, ...] = (False, True)
) -> None:
    """The program leaves the same either way, at module level and in a function.

    expect: "parallel" (iterations must really run in workers) or "serial" (a warning must say why).
    """
    for in_function in places:
        a, b = run(source, True, in_function), run(source, False, in_function)
        found = difference(a, b)
        assert found is None, f"{found}\nin_function={in_function}\n{source}\n{b.warned}"
        if expect == "parallel":
            assert b.in_workers > 0, (
                f"ran serially: {b.warned or b.reports}\nin_function={in_function}\n{source}"
            )
        elif expect == "serial":
            assert b.in_workers == 0, f"ran in workers\n{source}"
            assert b.warned, f"no warning\n{source}"
