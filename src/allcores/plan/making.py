"""What making the items of an iterator changes beside the iterator, as far as reading tells."""

from __future__ import annotations

from types import CellType, CodeType, FunctionType, GeneratorType
from typing import Any

from allcores.plan.callables import Callables
from allcores.plan.effects import UNKNOWN, in_words
from allcores.plan.kinds import is_a
from allcores.plan.live import lookup
from allcores.plan.summaries import Reading


def changed_by_making(obj: Any) -> str | None:
    """What a generator changes that outlives it when it goes on, or a function when it is called,
    in words.

    None where its source shows nothing. An iterator that it uses up is none.
    """
    names: dict[str, Any] = {}
    if is_a(obj, GeneratorType):
        frame = obj.gi_frame
        if frame is None:
            return None
        names = dict(frame.f_locals)
        obj = _function_of(obj.gi_code, frame.f_globals, names)
    if not is_a(obj, FunctionType):
        return None
    summary = Callables(obj.__globals__, 0, Reading()).summary_of(obj)
    if summary is None:
        return None
    if UNKNOWN in summary.changes:
        return "more than can be told"
    parameters = obj.__code__.co_varnames
    for root in sorted(summary.acts):
        path = _in_function(root, parameters)
        owner = path.rpartition(".")[0] if root in summary.stores | summary.augments else path
        try:
            changed = lookup(owner, names, obj.__globals__) if owner else None
        except LookupError:
            changed = None
        if not hasattr(type(changed), "__next__"):
            return f"`{in_words(path)}`"
    return None


def _function_of(code: CodeType, namespace: dict[str, Any], names: dict[str, Any]) -> FunctionType:
    """The function that a generator runs, which it does not lead back to."""
    cells = tuple(CellType(names[n]) if n in names else CellType() for n in code.co_freevars)
    return FunctionType(code, namespace, closure=cells or None)


def _in_function(root: str, parameters: tuple[str, ...]) -> str:
    """A root of a function as its own text has it: `$0.x` as `self.x`."""
    head, dot, rest = root.partition(".")
    if head[0] == "$" and head[1:].isdigit():
        return parameters[int(head[1:])] + dot + rest
    return root
