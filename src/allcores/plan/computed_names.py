"""Code that asks objects for attributes by names that are worked out, or told to `operator`."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from operator import attrgetter, methodcaller
from types import CodeType, FunctionType

from allcores.plan.callables import definition_of, module_of
from allcores.plan.handles import BY_NAME
from allcores.plan.names import walk

BY_NAME_KINDS = (attrgetter, methodcaller)
"""Objects that ask what they are given for something by its name."""
MAKE = frozenset(kind.__name__ for kind in BY_NAME_KINDS)
ASK = BY_NAME - MAKE


def asks_by_name(nodes: Iterable[ast.AST]) -> bool:
    """Whether the names of attributes are worked out here. Those that stand there are read."""
    return any(map(_asks, nodes))


def _asks(node: ast.AST) -> bool:
    name = getattr(node, "attr", None) or getattr(node, "id", None)
    if name in MAKE:
        return True
    if not isinstance(node, ast.Call) or getattr(node.func, "id", None) not in ASK:
        return False
    return len(node.args) < 2 or not isinstance(node.args[1], ast.Constant)


def function_asks_by_name(function: FunctionType) -> bool:
    """As `asks_by_name`, of a function; one without source does if it mentions what asks."""
    code = function.__code__
    if not _mentions(code):
        return False
    module = module_of(code.co_filename, function.__globals__)
    node = None if module is None else definition_of(module, function)[0]
    return True if node is None else asks_by_name(walk(node))


def _mentions(code: CodeType) -> bool:
    """Whether code, or what is defined in it, mentions what asks by name."""
    inner = (each for each in code.co_consts if isinstance(each, CodeType))
    return not BY_NAME.isdisjoint(code.co_names) or any(map(_mentions, inner))
