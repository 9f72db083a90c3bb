"""What of a module a piece of code reaches: the definitions it names, and those they name."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from allcores.plan.names import path_of, read_names
from allcores.plan.source import Module

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def reached(nodes: Iterable[ast.AST], module: Module) -> list[ast.AST]:
    """The functions, classes and named lambdas of the module that the nodes may run.

    A method counts as reached when anything of its name is called.
    """
    named = _named(module)
    found: list[ast.AST] = []
    todo = list(nodes)
    while todo:
        node = todo.pop()
        for name in read_names(node):
            for each in named.get(name, []):
                if each not in found:
                    found.append(each)
                    todo.append(each)
        for n in ast.walk(node):
            if isinstance(n, ast.Attribute):
                for owner, method in module.methods.get(n.attr, []):
                    if method not in found:
                        found.append(method)
                        todo += [method, *owner.bases]
    return found


def _named(module: Module) -> dict[str, list[ast.AST]]:
    named: dict[str, list[ast.AST]] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            named.setdefault(node.name, []).append(node)
        elif isinstance(node, ast.Assign) and isinstance(node.value, (ast.Lambda, ast.Call)):
            for target in node.targets:
                if isinstance(target, ast.Name) and isinstance(node.value, ast.Lambda):
                    named.setdefault(target.id, []).append(node.value)
    return named


CLASS_MAKERS = frozenset(
    {"namedtuple", "NamedTuple", "make_dataclass", "Enum", "IntEnum", "NewType"}
)


def is_definition(node: ast.stmt) -> bool:
    """Whether an assignment defines a function or class: a lambda, a named tuple or the like."""
    if not isinstance(node, ast.Assign) or not all(isinstance(t, ast.Name) for t in node.targets):
        return False
    if isinstance(node.value, ast.Call):
        return (path_of(node.value.func) or "").rpartition(".")[2] in CLASS_MAKERS
    return isinstance(node.value, ast.Lambda)
