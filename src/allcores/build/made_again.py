"""Where work is done again for its temporaries: what its result holds is what was sent home of it."""

from __future__ import annotations

import gc
import types
from collections import OrderedDict, deque
from typing import Any

from allcores.build import frames
from allcores.build.renewed import Memories, can_be_renewed, is_whole, renewed
from allcores.build.travel import ATOMS, importable
from allcores.plan.kinds import held_dict, is_array

MOST_WALKED = 100_000
"""So many objects are looked at before the collector is asked who holds what was made."""
_HOLD_NOTHING = (types.ModuleType, types.CodeType, types.FrameType)


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
    if is_array(kind) and is_array(type(new.base)) and is_array(type(old.base)):
        mine, other = new.base, old.base
        # Of a small part of much memory only that part is sent.
        if mine.nbytes == other.nbytes and is_whole(mine):
            pairs.append((mine, other))
    if kind in (types.MethodType, types.BuiltinMethodType):
        pairs.append((new.__self__, old.__self__))
    if issubclass(kind, BaseException):
        args: Any = BaseException.args
        pairs.append((args.__get__(new), args.__get__(old)))
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

    same: by the id of what was made, what was sent home. What has to be made anew to hold it is put
    there as well.
    """
    holders, all_seen = _reached_from(temporaries)
    fixed = [
        holder for holder in holders if can_be_renewed(type(holder)) and id(holder) not in same
    ]
    memories = Memories(made, same)
    # What is made anew may be held by another one that has to be, such as a tuple in a tuple.
    while fixed:
        found = [(holder, renewed(holder, same, memories)) for holder in fixed]
        same.update({id(holder): new for holder, new in found if new is not None})
        left = [holder for holder, new in found if new is None]
        fixed = left if len(left) < len(fixed) else []
    for holder in holders:
        replace_in(holder, same)
    if not all_seen:
        # Temporaries that hold much of what the program has. This looks at all there is.
        for other in gc.get_referrers(*made):
            if other is not made:
                replace_in(other, same)
                replace_in(held_dict(other), same)


def _reached_from(temporaries: list[Any]) -> tuple[list[Any], bool]:
    """All that these hold; and whether that is all, for there may be very much."""
    seen: dict[int, Any] = {}
    todo = list(temporaries)
    while todo:
        holder = todo.pop()
        kind = type(holder)
        if kind in ATOMS or id(holder) in seen or issubclass(kind, _HOLD_NOTHING):
            continue
        if issubclass(kind, type) and importable(holder):
            continue
        if len(seen) >= MOST_WALKED:
            return list(seen.values()), False
        seen[id(holder)] = holder
        if kind is types.FunctionType:
            # The module it stands in holds nothing that was made just now.
            todo += [*(holder.__closure__ or ()), holder.__defaults__, holder.__kwdefaults__]
            todo.append(holder.__dict__)
            continue
        if kind is types.GeneratorType and holder.gi_frame is not None:
            todo += holder.gi_frame.f_locals.values()
        todo += [*vars(holder).values()] if issubclass(kind, type) else gc.get_referents(holder)
        todo.append(None if issubclass(kind, type) else held_dict(holder))
    return list(seen.values()), True


def replace_in(holder: Any, same: dict[int, Any]) -> None:
    """Put the one in the place of the other in a list, dict, deque, variable or object."""
    kind: Any = type(holder)
    if issubclass(kind, (list, deque)):
        base: Any = list if issubclass(kind, list) else deque
        for k in [k for k, part in enumerate(base.__iter__(holder)) if id(part) in same]:
            base.__setitem__(holder, k, same[id(base.__getitem__(holder, k))])
    elif issubclass(kind, (set, dict)):
        _replace_in_table(holder, same)
    elif issubclass(kind, type):
        for name in [name for name, part in vars(holder).items() if id(part) in same]:
            type.__setattr__(holder, name, same[id(vars(holder)[name])])
    elif kind is types.FunctionType:
        holder.__defaults__ = same.get(id(holder.__defaults__), holder.__defaults__)
    elif kind is types.GeneratorType and holder.gi_frame is not None:
        found = {n: same[id(v)] for n, v in holder.gi_frame.f_locals.items() if id(v) in same}
        frames.write(holder.gi_frame, False, found, set())
    elif kind is types.CellType:
        try:
            held = holder.cell_contents
        except ValueError:
            return  # nothing is bound
        if id(held) in same:
            holder.cell_contents = same[id(held)]
    args: Any = BaseException.args
    for slot in [args] if issubclass(kind, BaseException) else _slots(kind):
        try:
            part = slot.__get__(holder)
        except AttributeError:
            continue
        if id(part) in same:
            slot.__set__(holder, same[id(part)])


def _replace_in_table(holder: Any, same: dict[int, Any]) -> None:
    """The same in a set, or among the keys and values of a dict, which stay in their order."""
    if issubclass(type(holder), set):
        parts = list(set.__iter__(holder))
        if any(id(part) in same for part in parts):
            set.clear(holder)
            set.update(holder, [same.get(id(part), part) for part in parts])
        return
    if any(id(key) in same for key in dict.keys(holder)):
        held = [(same.get(id(key), key), part) for key, part in dict.items(holder)]
        base: Any = OrderedDict if issubclass(type(holder), OrderedDict) else dict
        base.clear(holder)
        for key, part in held:
            base.__setitem__(holder, key, part)
    for key in [key for key, part in dict.items(holder) if id(part) in same]:
        dict.__setitem__(holder, key, same[id(dict.__getitem__(holder, key))])


def _slots(kind: Any) -> list[Any]:
    written = (vars(cls) for cls in kind.__mro__ if "__slots__" in vars(cls))
    return [
        slot
        for held in written
        for slot in held.values()
        if type(slot) is types.MemberDescriptorType
    ]
