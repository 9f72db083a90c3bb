"""From a Python file to code in which its parallel loops are parallel.

A file's loops are rewritten between parsing and compiling: `for x in xs` becomes
`for x in <detour>.through(xs)`, where the detour is a constant of the code object and so a name in
no namespace. Everything else about the file stays as it was written.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from math import inf
from operator import length_hint
from types import CodeType, ModuleType
from typing import Any, Protocol

from allcores.loop import at_site, is_marked, register_site
from allcores.plan import Plan, plans_of
from allcores.sites import given_site

# Names of decorators that compile a function's bytecode themselves and know nothing of detours.
_COMPILERS = frozenset(
    "jit njit vectorize guvectorize stencil cfunc generated_jit jitclass kernel autotune "
    "compile".split()
)


Compiler = Callable[[bytes, str], CodeType]
"""From a file's text and name to its code."""


class Through(Protocol):
    """What stands in a code object for one loop."""

    def through(self, iterable: Any) -> Any:
        """What the loop iterates in place of `iterable`."""


class Detour:
    """Stands in a code object for one loop, which iterates `through(xs)` in place of `xs`."""

    __slots__ = ("_forced", "_key", "_site", "_unwatched")

    def __init__(self, key: int, forced: bool) -> None:
        self._key = key
        self._site = given_site(key)
        self._forced = forced
        self._unwatched = 0.0

    def through(self, iterable: Any) -> Any:
        """What the loop iterates: `iterable` itself where it surely has too little work.

        Programs have loops of a few iterations in their hottest places, which nobody marked; there,
        to ask `at_site` at each entry would cost many times what the loop does.
        """
        cost = self._site.cost
        if cost is not None and not self._forced and not is_marked(iterable):
            seconds = _length(iterable) * cost + 1e-7
            if seconds < _LITTLE and self._unwatched < _WATCHED_EVERY:
                self._unwatched += seconds
                return iterable
            self._unwatched = 0.0
        return at_site(self._key, iterable)

    def __reduce__(self) -> tuple[Any, ...]:
        # A function sent elsewhere (by joblib, dask, ...) runs its loop there as the plain loop.
        return NoDetour, ()


class NoDetour:
    """A detour in a process that knows nothing of the loop."""

    def through(self, iterable: Any) -> Any:
        """The iterable itself."""
        return iterable


_LITTLE = 2e-3
"""Seconds: a loop that takes less has no need of workers, nor of being looked at."""
_WATCHED_EVERY = 1e-3
"""After so many seconds of unwatched entries one is timed again: the next may have more to do."""

_SIZED = frozenset(
    {list, tuple, range, dict, set, frozenset, str, bytes, bytearray}
    | {type({}.keys()), type({}.values()), type({}.items())}
)
_SOME: tuple[Any, ...] = ([], (), {}, set(), "", "ä", b"", bytearray(), range(0))
_SIZED_ITERATORS = frozenset(type(iter(each)) for each in _SOME)


def _length(iterable: Any) -> float:
    """How many items there are, where asking runs none of the program's code; else infinite."""
    kind = type(iterable)
    if kind in _SIZED:
        return len(iterable)
    if kind is enumerate:
        return _length_of_iterator(iterable.__reduce__()[1][0])
    if kind is zip:
        return min(map(_length_of_iterator, iterable.__reduce__()[1]), default=0)
    return inf


def _length_of_iterator(iterator: Any) -> float:
    return length_hint(iterator) if type(iterator) in _SIZED_ITERATORS else inf


def parallel_code(
    source: bytes,
    filename: str,
    *,
    force: bool = False,
    own_streams: bool = False,
    see: Callable[[Plan], None] | None = None,
) -> CodeType:
    """Compile a file with each loop that can be parallel sent through `allcores.loop.at_site`.

    With `force`, loops that gain nothing are included; with `own_streams` those that draw random
    numbers. `see` is called with the Plan of each loop that was read. Raises SyntaxError or
    ValueError where compile() would.
    """
    try:
        tree = ast.parse(source, filename)
        plans = _plans_of(tree, source, filename, own_streams)
        if see is not None:
            for plan in plans:
                see(plan)
        plans = _outside_compiled_functions(tree, [p for p in plans if _wanted(p, force)])
        detours = [(plan.node, Detour(register_site(plan, tree), force)) for plan in plans]
        return compile_with_detours(tree, filename, detours)
    except RecursionError:
        # An expression with thousands of terms: more than a tree of Python objects can hold.
        return compile(source, filename, "exec", dont_inherit=True)


def _plans_of(tree: ast.Module, source: bytes, filename: str, own_streams: bool) -> list[Plan]:
    try:
        return plans_of(tree, importlib.util.decode_source(source), filename, own_streams)
    except Exception as error:
        # Our failing to read a program is no reason for it not to run.
        if not isinstance(error, RecursionError):
            print(f"allcores: bug: no loops read in {filename}: {error!r}", file=sys.stderr)
        return []


def _wanted(plan: Plan, force: bool) -> bool:
    if not isinstance(plan.node, ast.For) or _says_parallel(plan.node.iter):
        return False
    return plan.verdict == "parallel" or (force and plan.verdict == "nothing to gain")


def _says_parallel(iterable: ast.expr) -> bool:
    """Whether the loop's iterable has `parallel(...)` in it: the user's own choice stands."""
    return any(
        isinstance(node, ast.Call) and _last_name(node.func) == "parallel"
        for node in ast.walk(iterable)
    )


def _last_name(node: ast.expr) -> str:
    """`njit` for the expressions njit, numba.njit and numba.njit(parallel=True)."""
    if isinstance(node, ast.Call):
        return _last_name(node.func)
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _outside_compiled_functions(tree: ast.Module, plans: list[Plan]) -> list[Plan]:
    """Leave out loops in functions that numba and its like compile from bytecode."""
    if not plans:
        return plans
    inside: set[ast.AST] = set()
    named: set[str] = set()
    functions: list[ast.FunctionDef] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            functions.append(node)
        elif isinstance(node, ast.Call) and _last_name(node.func) in _COMPILERS:
            named.update(arg.id for arg in node.args if isinstance(arg, ast.Name))
    for function in functions:
        decorated = any(_last_name(each) in _COMPILERS for each in function.decorator_list)
        if decorated or function.name in named:
            inside.update(ast.walk(function))
    return [plan for plan in plans if plan.node not in inside]


def compile_with_detours(
    tree: ast.Module, filename: str, loops: Sequence[tuple[ast.For | ast.AsyncFor, Through]]
) -> CodeType:
    """Compile a module with each of these loops iterating what its detour gives."""
    detours: dict[str, Through] = {}
    originals: list[tuple[ast.For, ast.expr]] = []
    for node, detour in loops:
        assert isinstance(node, ast.For)
        detours[f"\0allcores detour {len(detours)}"] = detour
        originals.append((node, node.iter))
    for marker, (node, iterable) in zip(detours, originals):
        node.iter = _call_through(marker, node, iterable)
    try:
        code = compile(tree, filename, "exec", dont_inherit=True)
    finally:
        # Plans go on reading the tree: loops within loops are theirs as the user wrote them.
        for node, iterable in originals:
            node.iter = iterable
    return _with_constants(code, detours) if detours else code


def _call_through(marker: str, loop: ast.For, iterable: ast.expr) -> ast.Call:
    """`marker.through(iterable)`, placed where tracebacks place the iterable."""
    constant = ast.Constant(marker)
    attribute = ast.Attribute(constant, "through", ast.Load())
    call = ast.Call(attribute, [iterable], [])
    # Up to 3.12 "not iterable" and errors of an iterator are reported at the whole statement.
    place = iterable if sys.version_info >= (3, 13) else loop
    ast.copy_location(call, place)
    for node in (attribute, constant):
        # On one line, or the compiler would move the call to where the attribute's name ends.
        ast.copy_location(node, place)
        node.end_lineno, node.end_col_offset = node.lineno, node.col_offset
    return call


def _with_constants(code: CodeType, detours: dict[str, Through]) -> CodeType:
    """The code object, and those inside it, with each marker replaced by its detour."""

    def replaced(constant: Any) -> Any:
        if isinstance(constant, CodeType):
            return _with_constants(constant, detours)
        return detours.get(constant, constant) if isinstance(constant, str) else constant

    constants = tuple(replaced(each) for each in code.co_consts)
    return code.replace(co_consts=constants)


class ParallelLoader(SourceFileLoader):
    """Loads a source file whose code has been made already."""

    def __init__(self, fullname: str, path: str, code: CodeType) -> None:
        super().__init__(fullname, path)
        self._code = code

    def get_code(self, fullname: str) -> CodeType:
        # Neither reads nor writes __pycache__, which belongs to the plain code.
        return self._code


class ParallelFinder:
    """Finds what the other finders find, and makes parallel the source files that are wanted."""

    def __init__(self, wanted: Callable[[ModuleSpec], bool], compiler: Compiler) -> None:
        """`wanted(spec)` says which source files are rewritten, by `compiler`."""
        self._wanted = wanted
        self._compiler = compiler

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = self._found_by_others(fullname, path, target)
        # Subclasses (pytest's, for one) have made other plans for the source.
        if spec is None or type(spec.loader) is not SourceFileLoader or not self._wanted(spec):
            return None  # the next finder's, which may be another of this class
        try:
            code = self._compiler(spec.loader.get_data(spec.loader.path), spec.loader.path)
        except (SyntaxError, ValueError, OSError):
            # The plain import says what is wrong, in the plain way.
            return None
        spec.loader = ParallelLoader(spec.loader.name, spec.loader.path, code)
        return spec

    def _found_by_others(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        for finder in sys.meta_path:
            if not isinstance(finder, ParallelFinder) and hasattr(finder, "find_spec"):
                spec: ModuleSpec | None = finder.find_spec(fullname, path, target)
                if spec is not None:
                    return spec
        return None


def rewrite_imports_under(paths: Iterable[str], compiler: Compiler) -> None:
    """Compile so all modules that are imported from now on from at or below `paths`."""
    roots = [os.path.realpath(path) for path in paths]

    def wanted(spec: ModuleSpec) -> bool:
        real = os.path.realpath(spec.origin or "")
        return any(real == root or real.startswith(root.rstrip(os.sep) + os.sep) for root in roots)

    sys.meta_path.insert(0, ParallelFinder(wanted, compiler))
