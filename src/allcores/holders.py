"""Who else holds what a loop uses up, and would see that it was read ahead.

A loop that leaves early, or raises where somebody goes on, leaves its iterator where it stands.
Workers read ahead of that. Nobody can tell if nobody but the loop holds the iterator, which
reference counts tell.
"""

from __future__ import annotations

import builtins
import gc
import io
import sys
from collections.abc import Iterator
from types import (
    CellType,
    CodeType,
    FrameType,
    FunctionType,
    MethodType,
    MethodWrapperType,
    ModuleType,
)
from typing import Any, NamedTuple
from weakref import ProxyTypes

from allcores.inputs import BUILT_IN_ITERATORS
from allcores.plan.kinds import is_a
from allcores.plan.reach import ATOMS

MOST = 200
"""How many objects behind an iterator are looked at; with more, somebody else may hold some."""

_FRESH = frozenset({list, tuple, range, str, bytes, bytearray, dict, set, frozenset})
_DATA = frozenset({list, dict, set, frozenset})
_ALWAYS = frozenset({tuple, dict, CellType, MethodType, MethodWrapperType, FunctionType})
_NOTEBOOKS = ("IPython.", "ipykernel.")
"""What a notebook's streams hold: the whole of its kernel, which hands out no items."""
_SNAPSHOT = sys.version_info < (3, 13)
"""Whether reading a function's f_locals leaves a dict that holds the variables once more."""


class Held(NamedTuple):
    """Who can get at an iterator that the loop uses up, or at one that it draws from."""

    here: bool
    """The variables of the loop's own function, which are gone when an exception leaves it."""
    elsewhere: bool
    """Anybody else: a caller, an attribute, a loop around this one."""


NOBODY = Held(False, False)


def holders(iterable: Any, iterator: Any, known: int, frame: FrameType) -> Held:
    """Who else holds `iterator` = iter(iterable), or one behind it.

    known: how many references to the iterator the caller has.
    """
    if type(iterable) in _FRESH:
        return NOBODY
    known += 1 + (iterable is iterator)  # the arguments here
    if sys.getrefcount(iterator) <= known + 1 and _parts_alone(iterator):
        return NOBODY
    # Beside the argument here, whoever asks holds what the loop goes over.
    edges, found, parents = _behind(iterator, known, id(iterable), 2)
    variables = _references_of(frame) if _anyone(found, edges) else {}
    shared = _cells_of(frame)
    here, elsewhere = set[int](), set[int]()
    if len(found) >= MOST:
        return Held(True, True)
    for k in range(len(found)):
        key = id(found[k])
        by_variables = variables.get(key, 0)
        if by_variables:
            here.add(key)
        # Beside the references known: the list `found` and the argument.
        more = sys.getrefcount(found[k]) > edges[key] + by_variables + 2
        if more or key in shared:
            elsewhere.add(key)
    return Held(_reached(here, found, parents), _reached(elsewhere, found, parents))


def _parts_alone(iterator: Any) -> bool:
    """Whether nobody else holds what a plain iterator, zip or enumerate draws from: most do."""
    kind = type(iterator)
    if kind in BUILT_IN_ITERATORS:
        return True
    if kind is not zip and kind is not enumerate:
        return False
    parts = iterator.__reduce__()[1]
    # Beside the argument and the variable: a zip has this very tuple, an enumerate the part itself.
    alone = 3 if kind is zip else 4
    for part in parts if kind is zip else parts[:1]:
        if type(part) not in BUILT_IN_ITERATORS or sys.getrefcount(part) > alone:
            return False
    return True


def _behind(
    iterator: Any, known: int, iterable: int, known_of_that: int
) -> tuple[dict[int, int], list[Any], dict[int, set[int]]]:
    """What the iterator draws from: references known of each object, the objects, who has them.

    iterable: the id of what the iterator was made of, and how many references to it are known.
    """
    edges = {id(iterator): known}
    found = [iterator]
    parents: dict[int, set[int]] = {id(iterator): set()}
    del iterator
    for place in range(MOST):
        if place == len(found):
            break
        if not _leads_on(found[place]):
            continue
        for part in gc.get_referents(found[place]):
            key = id(part)
            if key in edges:
                edges[key] += 1
                parents[key].add(id(found[place]))
            elif _may_matter(part):
                edges[key] = 1 + known_of_that if key == iterable else 1
                parents[key] = {id(found[place])}
                found.append(part)
        part = None
    return edges, found, parents


def _may_matter(obj: Any) -> bool:
    kind = type(obj)
    if kind in ProxyTypes:
        return False  # it holds nothing, though its type has a `__next__`
    if kind in ATOMS or kind in _DATA or is_a(obj, (type, ModuleType, CodeType, FrameType)):
        variables = kind is dict and all(type(k) is str for k in obj)
        return variables and "__builtins__" not in obj and obj is not vars(builtins)
    if kind.__module__.startswith(_NOTEBOOKS):
        return False
    # Progress bars hold them; a file that is written to has a `__next__` all the same.
    return obj is not sys.stdout and obj is not sys.stderr


def _leads_on(obj: Any) -> bool:
    """Whether an iterator may stand behind this object."""
    kind = type(obj)
    if hasattr(kind, "__next__") or kind in _ALWAYS:
        return True
    # An object of a class that is written in Python, such as one whose `__iter__` is a generator.
    return bool(kind.__flags__ & (1 << 9)) and not is_a(obj, io.IOBase)


def _anyone(found: list[Any], edges: dict[int, int]) -> bool:
    return any(sys.getrefcount(found[k]) > edges[id(found[k])] + 2 for k in range(len(found)))


def _reached(held: set[int], found: list[Any], parents: dict[int, set[int]]) -> bool:
    """Whether an iterator is held, or can be reached from what is held."""
    changed = bool(held)
    while changed:
        more = {key for key, above in parents.items() if key not in held and above & held}
        held |= more
        changed = bool(more)
    return any(id(obj) in held and hasattr(type(obj), "__next__") for obj in found)


def _references_of(frame: FrameType) -> dict[int, int]:
    """How many references the variables of a function have to each object, by its id."""
    counts: dict[int, int] = {}
    variables = frame.f_locals
    each = 2 if _SNAPSHOT and frame.f_code.co_flags & 1 else 1  # CO_OPTIMIZED: a function
    for value in variables.values():
        counts[id(value)] = counts.get(id(value), 0) + each
    for name in _files_in_with(frame):
        counts[id(variables[name])] += 1
    return counts


def _cells_of(frame: FrameType) -> set[int]:
    """What stands in variables that functions made in this one may hold as well."""
    code = frame.f_code
    if not code.co_cellvars and not code.co_freevars:
        return set()
    variables = frame.f_locals
    names = (*code.co_cellvars, *code.co_freevars)
    return {id(variables[name]) for name in names if name in variables}


# -- who goes on when the loop raises --------------------------------------------------------------


def caught_by(frame: FrameType) -> bool:
    """Whether something in this frame goes on when what it is at now raises."""
    for start, is_with in _handlers(frame):
        # A file passes on what is raised in its `with`.
        if not is_with or _file_bound_at(frame, start) is None:
            return True
    return False


def caught_above(frame: FrameType) -> bool:
    """Whether a caller of this frame goes on when it raises."""
    above = frame.f_back
    while above is not None:
        ours = above.f_globals.get("__name__", "").startswith("allcores.")
        if not ours and caught_by(above):
            return True
        above = above.f_back
    return False


def _handlers(frame: FrameType) -> Iterator[tuple[int, bool]]:
    """Where each `try` or `with` around a frame's instruction begins; True for a `with`."""
    if not frame.f_code.co_exceptiontable:
        return
    import opcode
    from dis import _parse_exception_table  # type: ignore[attr-defined]

    code = frame.f_code.co_code
    table = _parse_exception_table(frame.f_code)
    place = frame.f_lasti
    while True:
        target = next((each.target for each in table if each.start <= place < each.end), None)
        if target is None:
            return
        # Any other handler only tidies up and raises again.
        if code[target] == opcode.opmap["PUSH_EXC_INFO"]:
            is_with = code[target + 2] == opcode.opmap["WITH_EXCEPT_START"]
            yield min(each.start for each in table if each.target == target), is_with
        place = target


def _file_bound_at(frame: FrameType, place: int) -> str | None:
    """The variable that the instruction here binds, if it is a file."""
    from dis import get_instructions

    found = next((each for each in get_instructions(frame.f_code) if each.offset == place), None)
    if found is None or not found.opname.startswith("STORE_"):
        return None
    name = str(found.argval)
    return name if isinstance(frame.f_locals.get(name), io.IOBase) else None


def _files_in_with(frame: FrameType) -> Iterator[str]:
    """Variables that a `with` around the instruction has bound to files: it holds `__exit__`."""
    for start, is_with in _handlers(frame):
        name = _file_bound_at(frame, start) if is_with else None
        if name is not None:
            yield name
