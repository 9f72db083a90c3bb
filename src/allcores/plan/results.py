"""What functions give that a function is given, and calls: who hands them over can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allcores.plan import effects as fx
from allcores.plan.effects import NONE, RESULT, Roots, Val, bounded, outer
from allcores.plan.summaries import Summary

if TYPE_CHECKING:
    from allcores.plan.values import Values


GIVEN = "/given"
"""At the end of the root of what a lambda that is made here is given."""
INSIDE = ".<part>"
"""At the end of such a root: what is in the result."""


def of_call(reader: Values, function: Val) -> Val:
    """What calling a value gives that may outlive the call, for all that is known."""
    given = frozenset(r for r in function.own if r.endswith(GIVEN))
    of_given = _of_roots({r for r in function.possible if r[0] == "$"})
    itself = given_by(reader, function, RESULT[1:])
    inside = given_by(reader, function, RESULT[1:] + INSIDE)
    # What a lambda is given is known to nobody: a part of what calling it gives is as good as it.
    return Val(given, of_given.maybe | itself, NONE, of_given.inner_maybe | inside)


def of_method(owner: Val, name: str) -> Val:
    """What calling this attribute of a value gives, where a function has been given the value."""
    return _of_roots({f"{r}.{name}" for r in owner.own if r[0] == "$"})


def of_name(name: str) -> Val:
    """What calling a variable gives of a function around the one being read."""
    return _of_roots({name})


def _of_roots(roots: set[str]) -> Val:
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
        if root[0] == "$" or is_unread(reader, root):
            found.add(root + RESULT)
        else:
            found |= _by_name(reader, root, every - {root}, after)
    for site in function.possible & reader.functions.keys():
        found |= _outlasting(reader, reader.functions[site], "", held, after)
    return frozenset(bounded(r + after.removeprefix(INSIDE)) for r in found)


def at_name(reader: Values, root: str) -> Roots:
    """The same of a variable, by its name, that a function calls which stands within the one at hand."""
    name, _, rest = root.partition(".")
    if not is_of_call(rest):
        return frozenset({root})
    own = reader.own(name) and name not in reader.parent
    val = reader.st.env.get(name, Val()) if own else Val(frozenset({name}))
    return given_by(reader, val, rest)


def is_unread(reader: Values, root: str) -> bool:
    """Whether this is a variable around the function being read of which nothing is known."""
    name, around = root.partition(".")[0], reader.around
    known = name in around.locals or name in around.module.bound
    return (
        reader.in_function
        and name not in reader.body_names
        and known
        and around.dotted(root) is None
        and around.summary(root) is None
    )


def _by_name(reader: Values, root: str, others: Roots, after: str) -> set[str]:
    """What calling the object at a path may give. others: what it may be given."""
    owner, _, name = root.rpartition(".")
    summary = reader.around.summary(root)
    if summary is None and owner and name in fx.ELEMENT_METHODS:
        return set() if reader.around.holds_settled(owner) else {owner}
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
