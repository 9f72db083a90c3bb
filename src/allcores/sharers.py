"""Whether a loop may use a pool of threads, such as BLAS's: told by names, and no more than a hint.

A loop of a few heavy iterations gets workers at once, with none run here first, and so nobody would
know that its iterations use all cores by themselves. Where names speak for that, one is run here.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping
from functools import partial
from inspect import getattr_static
from types import CodeType, FunctionType, MethodType
from typing import Any

from allcores.engine.thread_limits import may_have_pools, widest_pool

SHARERS = frozenset(
    "dot matmul vdot inner tensordot einsum multi_dot matrix_power linalg solve lstsq inv pinv svd "
    "svdvals eig eigh eigvals eigvalsh qr cholesky det slogdet cond matrix_rank polyfit cov corrcoef "
    "lu lu_factor lu_solve cho_factor cho_solve expm sqrtm gemm dgemm fit fit_transform".split()
)
"""What uses a pool of threads, or is made of what does, by name: a hint, that costs one iteration."""
MATRIX_PRODUCTS = (4, 17)
"""What BINARY_OP is told for `@` and `@=`."""
FOLLOWED = 40
"""So many functions are looked through for them."""

Followed = tuple[CodeType, dict[str, Any]]
"""A function's code, and the globals that it goes by."""


def may_share(node: ast.AST | None, function: Any, names: Mapping[str, Any]) -> bool:
    """Whether a loop, or a function that is called, may use a pool that has several threads.

    node: the loop; names: the variables around it. Looks at names only: a hint, and no more.
    """
    if not may_have_pools() or widest_pool() < 2:
        return False
    if "torch" in sys.modules or getattr(function, "__name__", "") in SHARERS:
        return True
    todo = _code_of(function)
    for part in ast.walk(node) if node is not None else ():
        if isinstance(part, ast.MatMult):
            return True
        if isinstance(part, ast.Name):
            if part.id in SHARERS:
                return True
            todo += _code_of(names.get(part.id))
        elif isinstance(part, ast.Attribute):
            if part.attr in SHARERS:
                return True
            if isinstance(part.value, ast.Name):
                todo += _code_of(_attribute(names.get(part.value.id), part.attr))
    return _any_shares(todo)


def _any_shares(todo: list[Followed]) -> bool:
    """Whether one of these functions, or of those that they name, may use a pool."""
    seen: set[CodeType] = set()
    while todo and len(seen) < FOLLOWED:
        code, names = todo.pop()
        if code in seen:
            continue
        seen.add(code)
        if not SHARERS.isdisjoint(code.co_names) or _multiplies_matrices(code):
            return True
        todo += [(inner, names) for inner in code.co_consts if isinstance(inner, CodeType)]
        for name in code.co_names:
            todo += _code_of(names.get(name))
    return False


def _code_of(value: Any) -> list[Followed]:
    while isinstance(value, (MethodType, classmethod, staticmethod, partial)):
        value = value.func if isinstance(value, partial) else value.__func__
    if isinstance(value, FunctionType):
        return [(value.__code__, value.__globals__)]
    return []


def _attribute(value: Any, name: str) -> Any:
    """An attribute of a module or a method of an object, with nothing run for it."""
    return getattr_static(value, name, None)


def _multiplies_matrices(code: CodeType) -> bool:
    """Whether there is an `@` or `@=` in it."""
    import opcode

    operation, text = opcode.opmap["BINARY_OP"], code.co_code
    return any(
        text[k] == operation and text[k + 1] in MATRIX_PRODUCTS for k in range(0, len(text), 2)
    )
