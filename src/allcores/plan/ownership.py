"""What is the program's own, and what a library's."""

from __future__ import annotations

import linecache
import os
import sys
from functools import cache
from types import FunctionType
from typing import Any

_libraries = tuple({os.path.join(os.path.dirname(m.__file__ or ""), "") for m in (os, linecache)})
"""The standard library, and the site-packages within it."""
OF_COMPILERS = ("_cython_", "pybind11_builtins", "nanobind")
"""Modules without a file, in which compiled libraries have the types of their functions and the like:
pandas' frames are pickled by such a function."""
_package = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")


def is_own(function: FunctionType) -> bool:
    """Whether a function is the program's, and no library's."""
    return is_own_file(function.__code__.co_filename)


def is_own_file(filename: str) -> bool:
    """Whether a source file is the program's, and no library's."""
    if filename.startswith((_package, *_libraries)):
        return False
    if filename.startswith("<frozen "):  # `os` and `os.path`, for example
        return filename[8:-1].partition(".")[0] not in sys.stdlib_module_names
    return f"{os.sep}site-packages{os.sep}" not in filename


@cache
def is_own_module(module: Any) -> bool:
    """Whether a module of this name is the program's, and no library's."""
    if not isinstance(module, str):
        return False
    top = module.partition(".")[0]
    if (top in sys.stdlib_module_names and top != "__main__") or top == "allcores":
        return False
    if top.startswith(OF_COMPILERS):
        return False
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    return "site-packages" not in file and "dist-packages" not in file
