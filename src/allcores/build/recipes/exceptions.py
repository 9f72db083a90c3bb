"""Exceptions that do not come back from a worker as they were raised.

Unpickling calls the class again, with what `super().__init__` was given. With other arguments that
fails, for which `multiprocessing.Pool` waits for ever, or makes another message.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from allcores.build.recipes.reach import reached
from allcores.plan.names import path_of
from allcores.plan.source import Module

CATCH_ALL = frozenset({"Exception", "BaseException"})


def changed_on_the_way(body: Sequence[ast.AST], module: Module) -> tuple[int, str] | None:
    """The line of a `raise` that may leave the body, and its class, which pickling changes."""
    for name, node in module.defs.items():
        if isinstance(node, ast.ClassDef) and _is_changed(node):
            caught = CATCH_ALL | {name} | {path_of(base) or "" for base in node.bases}
            open_parts = list(_not_within_a_try(body, caught))
            for part in [*open_parts, *reached(open_parts, module)]:
                for n in ast.walk(part):
                    if isinstance(n, ast.Raise) and n.exc is not None:
                        made = n.exc.func if isinstance(n.exc, ast.Call) else n.exc
                        if path_of(made) == name:
                            return n.lineno, name
    return None


def _not_within_a_try(nodes: Sequence[ast.AST], caught: frozenset[str]) -> Iterator[ast.AST]:
    """The parts of the code from which an exception of one of these names gets out."""
    for node in nodes:
        if isinstance(node, ast.Try) and any(_catches(h, caught) for h in node.handlers):
            yield from _not_within_a_try([*node.orelse, *node.finalbody], caught)
            yield from (s for handler in node.handlers for s in handler.body)
        elif isinstance(node, (ast.If, ast.For, ast.While, ast.With, ast.Try)):
            yield from _not_within_a_try(list(ast.iter_child_nodes(node)), caught)
        else:
            yield node


def _catches(handler: ast.ExceptHandler, caught: frozenset[str]) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or path_of(kind) in caught for kind in kinds)


def _is_changed(node: ast.ClassDef) -> bool:
    """Whether a class hands something else than its own arguments on to `super().__init__`."""
    methods = {n.name: n for n in node.body if isinstance(n, ast.FunctionDef)}
    init = methods.get("__init__")
    if init is None or methods.keys() & {"__reduce__", "__reduce_ex__", "__new__"}:
        return False
    arguments = init.args
    if any(default is None for default in arguments.kw_defaults):
        return True
    own = [a.arg for a in [*arguments.posonlyargs, *arguments.args][1:]]
    own += [f"*{arguments.vararg.arg}"] if arguments.vararg else []
    for call in ast.walk(init):
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "__init__":
            given = [ast.unparse(a) for a in call.args]
            return given not in (own, ["self", *own])
    return False
