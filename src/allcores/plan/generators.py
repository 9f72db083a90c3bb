"""What a generator may still use to make its items, by the source of its function."""

from __future__ import annotations

from types import GeneratorType, ModuleType
from typing import Any, NamedTuple

from allcores.plan.callables import find_function, module_of
from allcores.plan.kinds import is_a
from allcores.plan.live import Names, has_been_read, mark_at, nearest, owners_of
from allcores.plan.names import bound_names, parameter_names
from allcores.plan.ownership import is_own_file
from allcores.plan.source import Surroundings
from allcores.plan.summaries import CALLED, Summary


class Used(NamedTuple):
    """What making items uses."""

    objects: list[Any]
    """With all that can be reached through them."""
    owners: list[tuple[str, Any, str]]
    """Of attributes that are read: the path, the object that has it, and its name."""


def used_by(iterable: Any) -> Used:
    """What is used to make items.

    For a generator whose source is at hand these are what its function reads: `self.rows`, and not
    all of `self`. For anything else it is the object itself.
    """
    if not is_a(iterable, GeneratorType) or iterable.gi_frame is None:
        return Used([iterable], [])
    code, frame = iterable.gi_code, iterable.gi_frame
    module = module_of(code.co_filename, frame.f_globals) if is_own_file(code.co_filename) else None
    node, chain = (
        (None, []) if module is None else find_function(module, code.co_name, code.co_firstlineno)
    )
    if module is None or node is None:
        return Used([iterable], [])
    around = Surroundings(module, chain, Names({}, frame.f_globals))
    around.reading.mark = mark_at
    summary = around.summarise(node)
    if summary.acts:
        return Used([iterable], [])
    names = parameter_names(node.args)
    rebound = bound_names(*node.body) & set(names)
    variables = dict(frame.f_locals)
    given = {n: variables.pop(n) for n in names if n in variables and n not in rebound}
    used = _read(summary, names, given, frame.f_globals, code.co_filename)
    used.objects.extend([*variables.values(), iterable.gi_yieldfrom])
    return used


def _read(
    summary: Summary,
    names: list[str],
    given: dict[str, Any],
    namespace: dict[str, Any],
    file: str,
) -> Used:
    """The objects at the paths that a function reads, which it is given or finds in its globals."""
    used = Used([], [])
    for root in summary.reads:
        path = root.removesuffix(CALLED)
        head, dot, rest = path.partition(".")
        if head[0] == "$":
            name = names[int(head[1:])]
            if name not in given:
                continue
            path = name + dot + rest
        variables = given if head[0] == "$" else {}
        obj = nearest(path, variables, namespace)
        used.owners.extend(owners_of(path, variables, namespace))
        called = root.endswith(CALLED) and "." in path
        method = called and has_been_read(obj, path, file, given, namespace)
        if not method and not is_a(obj, (ModuleType, type)):
            used.objects.append(obj)
    return used
