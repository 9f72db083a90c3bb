"""Compiling source once more without its warnings: they were shown when it was first compiled."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any


@contextmanager
def no_warnings() -> Iterator[None]:
    """Warnings given inside are dropped."""
    # Only the list is swapped: `catch_warnings` would make warnings already shown appear again.
    saved = warnings.filters
    warnings.filters = [("ignore", None, Warning, None, 0)]
    try:
        yield
    finally:
        warnings.filters = saved


def quiet_compile(tree: Any, filename: str, mode: str, flags: int) -> CodeType:
    """`compile` without warnings and without this module's own future flags."""
    with no_warnings():
        code: CodeType = compile(tree, filename, mode, flags=flags, dont_inherit=True)
        return code


def quiet_parse(text: str, filename: str = "<source>") -> ast.Module:
    """`ast.parse` without warnings."""
    with no_warnings():
        return ast.parse(text, filename)
