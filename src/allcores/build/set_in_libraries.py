"""Variables of libraries that the program sets: `PIL.Image.MAX_IMAGE_PIXELS = None`.

Code of libraries is not read, so what it reads of its modules is not known. What the program has set
there is seen in the program's own source: by statements that assign to what is an attribute of a
library's module or class, or change what it holds.
"""

from __future__ import annotations

import linecache
import re
import sys
from collections.abc import Iterator
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, NamedTuple

from allcores.build.by_name import found_by_name, named
from allcores.build.digest import is_own
from allcores.plan.kinds import is_a
from allcores.plan.ownership import is_own_module

_WORD = r"[^\W\d]\w*"
_SETS = re.compile(
    rf"""(?:^|[;:])[ \t]*(?P<path>{_WORD}(?:\.{_WORD})+)[ \t]*
        (?:\[[^\n=]*\][ \t]*)?
        (?:(?P<set>(?:[-+*/%@&|^]|//|\*\*|<<|>>)?=(?!=))|(?P<call>\())
    | \bsetattr\([ \t]*(?P<holder>{_WORD}(?:\.{_WORD})*),[ \t]*["'](?P<name>{_WORD})["']""",
    re.MULTILINE | re.VERBOSE,
)
"""A statement that sets an attribute or an element of one, or calls a method of one."""
_NAMES = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<package>[\w.]+)[ \t]+)?import[ \t]+(?P<names>[^\n#;]+)", re.MULTILINE
)
"""A statement that imports."""
_CHANGES = frozenset(
    "add append clear discard extend insert pop remove reverse setdefault sort update".split()
)
_TOLD = frozenset({"sys", "warnings", "linecache"})
"""Modules whose variables are set by themselves (`conditions.py`), and that which keeps the lines of
files: it fills by itself, and code that is in no file is sent with its lines.
"""
_PLAIN = frozenset({int, float, complex, bool, str, bytes, type(None)})
_HOLDERS = frozenset({tuple, list, set, frozenset, dict})
MANY = 1_000
"""No more parts than these are looked at, lest a library's tables take long."""


class Set(NamedTuple):
    """A variable of a library, or an attribute of a class there."""

    module: str
    path: str
    whole: bool
    """Whether it may be sent: nothing else in the library has a hold on what it is."""


def set_in_libraries() -> Iterator[Set]:
    """The variables that statements of the program set, as far as they hold plain data."""
    seen = set[tuple[str, str]]()
    for name, module in list(sys.modules.items()):
        if not is_own_module(name) or not is_a(module, ModuleType):
            continue
        variables = vars(module)
        source = _source_of(variables)
        if source is None:
            continue
        for path in source.paths:
            found = _variable_at(variables, source.imported, path)
            if found is not None and found not in seen:
                seen.add(found)
                held = _held(*found)
                if _is_told(held):
                    yield Set(*found, type(held) not in (list, set, dict))


class Source(NamedTuple):
    """What counts here of a file's text."""

    lines: Any
    paths: list[str]
    """What statements set."""
    imported: dict[str, str]
    """By the names that imports bind, those of modules."""


_read: dict[str, Source] = {}
"""By files."""


def _source_of(variables: dict[str, Any]) -> Source | None:
    file, cells = variables.get("__file__"), variables.get("In")
    if isinstance(file, str):
        lines = linecache.getlines(file, variables)
    elif variables.get("__name__") == "__main__" and is_a(cells, list):
        # The cells of a notebook.
        file, lines = "In", [f"{cell}\n" for cell in cells]
    else:
        return None
    known = _read.get(file)
    # A file that is unchanged has the same lists of lines in `linecache`.
    if known is None or (known.lines is not lines and known.lines != lines):
        text = "".join(lines)
        known = Source(lines, list(dict.fromkeys(_paths_in(text))), dict(_imports_in(text)))
        _read[file] = known
    return known


def _imports_in(text: str) -> Iterator[tuple[str, str]]:
    for found in _NAMES.finditer(text):
        package = f"{found['package']}." if found["package"] else ""
        for each in found["names"].strip("() \t").split(","):
            name, _, alias = each.strip().partition(" as ")
            if alias or package:
                yield alias.strip() or name, package + name


def _paths_in(text: str) -> Iterator[str]:
    for found in _SETS.finditer(text):
        path = found["path"]
        if path is None:
            yield f"{found['holder']}.{found['name']}"
        elif found["set"]:
            yield path
        elif path.rpartition(".")[2] in _CHANGES and path.count(".") > 1:
            yield path.rpartition(".")[0]


def _variable_at(
    variables: dict[str, Any], imported: dict[str, str], path: str
) -> tuple[str, str] | None:
    """The library's variable that a path leads to from a module of the program."""
    first, *way, name = path.split(".")
    holder: Any = variables.get(first)
    if holder is None:
        # A function may import what it sets.
        module, *inner = imported.get(first, first).split(".")
        holder, way = sys.modules.get(module), inner + way
    for part in way:
        if not is_a(holder, (ModuleType, type)):
            return None
        holder = vars(holder).get(part)
    if is_a(holder, ModuleType):
        module = holder.__name__
        if is_own_module(module) or not named(holder) or module.startswith("allcores"):
            return None
        return None if module in _TOLD else (module, name)
    if is_a(holder, type) and not is_own(holder) and found_by_name(holder):
        return holder.__module__, f"{holder.__qualname__}.{name}"
    return None


def _held(module: str, path: str) -> Any:
    held: Any = sys.modules[module]
    for part in path.split("."):
        held = vars(held).get(part, _HOLDERS)
    return held


def _is_told(value: Any) -> bool:
    """Whether a value is plain data, or a library's function or class, which goes by its name."""
    if is_a(value, (FunctionType, BuiltinFunctionType, type)):
        return not is_own(value) and found_by_name(value)
    todo, parts = [value], 0
    while todo:
        each = todo.pop()
        parts += 1
        if type(each) in _PLAIN:
            continue
        if type(each) not in _HOLDERS or parts + len(each) > MANY:
            return False
        todo += [*each, *each.values()] if type(each) is dict else each
    return True
