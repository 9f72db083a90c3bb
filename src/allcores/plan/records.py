"""What making an object of a dataclass does: its `__init__` is generated, and has no source."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

from allcores.plan.effects import Val, join
from allcores.plan.reach import ATOMS
from allcores.plan.summaries import Summary

NEW = "#new"
"""The root of what a factory makes."""


def is_generated(cls: type, init: Any) -> bool:
    """Whether this `__init__` was made by `dataclasses.dataclass` for the class."""
    if "__dataclass_fields__" not in cls.__dict__ or not isinstance(init, FunctionType):
        return False
    return init.__code__.co_filename == "<string>"


def summary_of_dataclass(
    cls: Any, root: str, summary_of: Callable[[Any], Summary | None]
) -> Summary:
    """What calling the class does, and what the attributes of the new object hold.

    root: the path of the class. summary_of: what calling an object does.
    """
    from dataclasses import MISSING

    summary = Summary(0, is_class=True)
    known: dict[str, Val] | None = {}
    every = [
        f for f in cls.__dataclass_fields__.values() if f._field_type.name != "_FIELD_CLASSVAR"
    ]
    given = [f for f in every if f.init]
    given.sort(key=lambda f: bool(f.kw_only))
    summary.parameters = ["self", *(f.name for f in given)]
    for f in every:
        if f._field_type.name == "_FIELD_INITVAR":
            known = None
            break
        val = Val(frozenset({f"${1 + given.index(f)}"})) if f.init else Val()
        if f.default_factory is not MISSING:
            val = join(val, _made_by(summary_of(f.default_factory)))
        elif f.default is not MISSING and type(f.default) not in ATOMS:
            val = join(val, Val(frozenset({f"{root}.{f.name}"})))
        assert known is not None
        known[f.name] = val
    after = getattr(cls, "__post_init__", None)
    summary.fields = known if after is None else _after(known, summary_of(after))
    return summary


def _made_by(factory: Summary | None) -> Val:
    """What a factory gives: a new object, unless its source shows another one."""
    if factory is None:
        return Val(frozenset({NEW}))
    shared = frozenset(r for r in factory.gives_itself if r[0] != "$")
    inside = frozenset(r for r in factory.gives if r[0] != "$")
    return Val(shared | {NEW}, inner=inside)


def _after(known: dict[str, Val] | None, after: Summary | None) -> dict[str, Val] | None:
    """The same once `__post_init__` has been called."""
    if known is None or after is None or after.fields is None:
        return None
    found = dict(known)
    for attr, val in after.fields.items():
        for root in val.own | val.maybe:
            head, _, rest = root.partition(".")
            if head != "$0":
                found[attr] = join(found.get(attr, Val()), Val(frozenset({root})))
            elif rest in known:
                found[attr] = join(found.get(attr, Val()), known[rest])
            else:
                return None
        found.setdefault(attr, Val())
    return found
