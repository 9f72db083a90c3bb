"""Where work is done again for its temporaries: what its result holds is what was sent home of it."""

from __future__ import annotations

import gc
import types
from collections import deque
from typing import Any

from allcores.build.travel import ATOMS
from allcores.plan.kinds import held_dict

MOST_WALKED = 100_000
"""So many objects are looked at before the collector is asked who holds what was made."""
_HOLD_NOTHING = (type, types.ModuleType, types.CodeType, types.FrameType)


def counterparts(made: list[Any], sent: list[Any]) -> tuple[dict[int, Any], list[Any]]:
    """By the id of what was made, what was sent home in its place; and all that was made so.

    What the results hold counts as well (`rows` of `{"rows": rows}`), where both are built alike: a
    commit may have changed what was sent home since.
    """
    tops = [(new, old) for new, old in zip(made, sent) if type(new) not in ATOMS]
    same = {id(new): old for new, old in tops}
    all_made = [new for new, _ in tops]
    for new, old in tops:
        within = _paired(new, old)
        for part, home in within or ():
            if id(part) not in same:
                same[id(part)] = home
                all_made.append(part)
    return same, all_made


def _paired(new: Any, old: Any) -> list[tuple[Any, Any]] | None:
    """All that the one holds, each with what the other holds there; None where they are not alike."""
    seen: dict[int, Any] = {}
    found: list[tuple[Any, Any]] = []
    todo = [(new, old)]
    while todo:
        new, old = todo.pop()
        kind: Any = type(new)
        if new is old or kind is float is type(old):
            continue  # a time that was taken is another each time
        if kind is not type(old):
            return None
        if kind in ATOMS:
            if new != old:
                return None
            continue
        if id(new) in seen:
            if seen[id(new)] is not old:
                return None
            continue
        if len(seen) >= MOST_WALKED:
            return None
        seen[id(new)] = old
        found.append((new, old))
        parts = _parts(new, old)
        if parts is None:
            return None
        todo += parts
    return found


def _parts(new: Any, old: Any) -> list[tuple[Any, Any]] | None:
    """What two objects of one type hold in the same places; None where the old one holds less."""
    kind: Any = type(new)
    pairs: list[tuple[Any, Any]] = []
    for base in (list, tuple, deque):
        if issubclass(kind, base):
            if base.__len__(old) < base.__len__(new):
                return None
            pairs += zip(base.__iter__(new), base.__iter__(old))
    tables = [(new, old)] if issubclass(kind, dict) else []
    for mine, other in [*tables, (held_dict(new), held_dict(old))]:
        if not mine:
            continue
        if other is None or dict.__len__(other) < dict.__len__(mine):
            return None
        for (name, value), (name_there, value_there) in zip(dict.items(mine), dict.items(other)):
            pairs += [(name, name_there), (value, value_there)]
    for slot in _slots(kind):
        try:
            pairs.append((slot.__get__(new), slot.__get__(old)))
        except AttributeError:
            continue  # it is unset
    return pairs


def put_in_place(same: dict[int, Any], made: list[Any], temporaries: list[Any]) -> None:
    """Have what these temporaries hold of `made` be what was sent home in its place.

    same: by the id of what was made, what was sent home.
    """
    seen: dict[int, Any] = {}
    todo = list(temporaries)
    while todo:
        holder = todo.pop()
        kind = type(holder)
        if kind in ATOMS or id(holder) in seen or issubclass(kind, _HOLD_NOTHING):
            continue
        if len(seen) >= MOST_WALKED:
            # Temporaries that hold much of what the program has. This looks at all there is.
            for other in gc.get_referrers(*made):
                if other is not made:
                    replace_in(other, same)
                    replace_in(held_dict(other), same)
            return
        seen[id(holder)] = holder
        replace_in(holder, same)
        if kind is types.FunctionType:
            # The module it stands in holds nothing that was made just now.
            todo += [*(holder.__closure__ or ()), holder.__defaults__, holder.__kwdefaults__]
            todo.append(holder.__dict__)
            continue
        todo += gc.get_referents(holder)
        todo.append(held_dict(holder))


def replace_in(holder: Any, same: dict[int, Any]) -> None:
    """Put the one in the place of the other in a list, dict, deque, variable or object."""
    kind: Any = type(holder)
    if issubclass(kind, (list, deque)):
        base: Any = list if issubclass(kind, list) else deque
        for k in [k for k, part in enumerate(base.__iter__(holder)) if id(part) in same]:
            base.__setitem__(holder, k, same[id(base.__getitem__(holder, k))])
    elif issubclass(kind, dict):
        for key in [key for key, part in dict.items(holder) if id(part) in same]:
            dict.__setitem__(holder, key, same[id(dict.__getitem__(holder, key))])
    elif kind is types.CellType:
        try:
            held = holder.cell_contents
        except ValueError:
            return  # nothing is bound
        if id(held) in same:
            holder.cell_contents = same[id(held)]
    for slot in _slots(kind):
        try:
            part = slot.__get__(holder)
        except AttributeError:
            continue
        if id(part) in same:
            slot.__set__(holder, same[id(part)])


def _slots(kind: Any) -> list[Any]:
    written = (vars(cls) for cls in kind.__mro__ if "__slots__" in vars(cls))
    return [
        slot
        for held in written
        for slot in held.values()
        if type(slot) is types.MemberDescriptorType
    ]
