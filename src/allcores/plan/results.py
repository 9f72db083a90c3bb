"""What functions give that a function is given, and calls: who hands them over can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allcores.plan import effects as fx
from allcores.plan.effects import RESULT, Roots, Val, bounded, outer
from allcores.plan.summaries import Summary

if TYPE_CHECKING:
    from allcores.plan.values import Values


INSIDE = ".<part>"
"""At the end of such a root: what is in the result."""


def of_call(function: Val) -> Val:
    """What calling a value gives, where a function has been given that, for all that is known."""
    roots = {r for r in function.possible if r[0] == "$"}
    itself = frozenset(bounded(root + RESULT) for root in roots)
    inside = frozenset(bounded(root + RESULT + INSIDE) for root in roots)
    return Val(maybe=itself, inner_maybe=inside)


def is_of_call(rest: str) -> bool:
    """Whether a path leads through what a call gives."""
    return RESULT in f".{rest}"


def given_by(reader: Values, val: Val, rest: str) -> Roots:
    """What outlives the call at hand and may be at this path of a value, which is given to a function
    that calls it there."""
    before, _, after = f".{rest}".partition(RESULT)
    function = reader.attribute(val, before) if before else val
    held = outer(reader.inside(function) | reader.perhaps_inside(function))
    # What is made here, such as a lambda, may give what it holds.
    found = {r for r in held if not reader.around.is_settled(r)}
    every = held | outer(function.possible)
    for root in every:
        if root[0] == "$":
            found.add(root + RESULT)
        else:
            found |= _by_name(reader, root, every - {root}, after)
    for site in function.possible & reader.functions.keys():
        found |= _outlasting(reader, reader.functions[site], "", held, after)
    return frozenset(bounded(r + after.removeprefix(INSIDE)) for r in found)


def _by_name(reader: Values, root: str, others: Roots, after: str) -> set[str]:
    """What calling the object at a path may give. others: what it may be given."""
    owner, _, name = root.rpartition(".")
    summary = reader.around.summary(root)
    if summary is None and owner and name in fx.ELEMENT_METHODS:
        return {owner}
    called = reader.around.held_functions(root) if summary is None else [summary]
    return {r for each in called for r in _outlasting(reader, each, owner, others, after)}


def _outlasting(reader: Values, called: Summary, owner: str, others: Roots, after: str) -> set[str]:
    """What a function gives that outlives its call. owner: whose method it is, if of any; after: the
    path to what counts of it, if not the result itself."""
    found: set[str] = set()
    for root in called.gives if after else called.gives_itself:
        head, dot, rest = root.partition(".")
        if head[0] != "$":
            if root in called.gives_itself or not reader.around.is_settled(root):
                found.add(root)
        elif head == "$0" and owner and not called.is_static:
            found.add(owner + dot + rest)
        else:
            found |= others
    return found
