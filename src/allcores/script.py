"""Run a script or module as plain `python` would, with its loops made parallel.

A file's loops are rewritten between parsing and compiling: `for x in xs` becomes
`for x in <detour>.through(xs)`, where the detour is a constant of the code object and so a name in
no namespace. Everything else about the program stays as it was written. The namespace of the
`__main__` module, `sys.argv`, `sys.path[0]`, exit codes and tracebacks are those of plain python.
"""

from __future__ import annotations

import ast
import builtins
import importlib.util
import operator
import os
import pkgutil
import runpy
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import BuiltinImporter, FrozenImporter, ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType, TracebackType
from typing import Any

from allcores.loop import at_site, register_site
from allcores.plan import Plan, plans_of

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep

# Names of decorators that compile a function's bytecode themselves and know nothing of detours.
_COMPILERS = frozenset(
    "jit njit vectorize guvectorize stencil cfunc generated_jit jitclass kernel autotune compile".split()
)


# The __main__ of the command itself: kept alive, for the frames that lead here live in it.
_replaced: list[ModuleType] = []


class CannotRunError(Exception):
    """The script or module cannot be started; the text is a sentence for the user."""


# -- from source to code ---------------------------------------------------------------------------


class Detour:
    """Stands in a code object for one loop: `through(xs)` is what the loop iterates in place of xs."""

    __slots__ = ("through",)

    def __init__(self, through: Callable[[Any], Any]) -> None:
        self.through = through

    def __reduce__(self) -> tuple[Any, ...]:
        # A function sent elsewhere (by joblib, dask, ...) runs its loop there as the plain loop.
        return Detour, (_unchanged,)


def _unchanged(iterable: Any) -> Any:
    return iterable


def parallel_code(source: bytes, filename: str, *, force: bool = False) -> CodeType:
    """Compile a file with each loop that can be parallel sent through `allcores.loop.at_site`.

    With `force`, loops that gain nothing are included. Raises SyntaxError or ValueError where
    compile() would. A file that is too deeply nested to be read comes back as plain code.
    """
    tree = ast.parse(source, filename)
    try:
        text = importlib.util.decode_source(source)
        plans = [plan for plan in plans_of(tree, text, filename) if _wanted(plan, force)]
        return _compile_with_detours(tree, filename, _outside_compiled_functions(tree, plans))
    except RecursionError:
        return compile(source, filename, "exec", dont_inherit=True)


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


def _compile_with_detours(tree: ast.Module, filename: str, plans: list[Plan]) -> CodeType:
    detours: dict[str, Detour] = {}
    originals: list[tuple[ast.For, ast.expr]] = []
    for plan in plans:
        assert isinstance(plan.node, ast.For)
        marker = f"\0allcores detour {len(detours)}"
        detours[marker] = Detour(partial(at_site, register_site(plan, tree)))
        originals.append((plan.node, plan.node.iter))
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
    """`marker.through(iterable)`, at the place in the file that tracebacks give for the iterable."""
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


def _with_constants(code: CodeType, detours: dict[str, Detour]) -> CodeType:
    """The code object, and those inside it, with each marker replaced by its detour."""

    def replaced(constant: Any) -> Any:
        if isinstance(constant, CodeType):
            return _with_constants(constant, detours)
        return detours.get(constant, constant) if isinstance(constant, str) else constant

    constants = tuple(replaced(each) for each in code.co_consts)
    return code.replace(co_consts=constants)


# -- modules imported by the script ----------------------------------------------------------------


class ParallelLoader(SourceFileLoader):
    """Loads a source file whose code has been made already."""

    def __init__(self, fullname: str, path: str, code: CodeType) -> None:
        super().__init__(fullname, path)
        self._code = code

    def get_code(self, fullname: str) -> CodeType:
        # Neither reads nor writes __pycache__, which belongs to the plain code.
        return self._code


class ParallelFinder(MetaPathFinder):
    """Finds what the other finders find, and makes parallel the source files that are wanted."""

    def __init__(self, wanted: Callable[[ModuleSpec], bool], force: bool) -> None:
        """`wanted(spec)` says which source files are rewritten."""
        self._wanted = wanted
        self._force = force

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = self._found_by_others(fullname, path, target)
        # Subclasses (pytest's, for one) have made other plans for the source.
        if spec is None or type(spec.loader) is not SourceFileLoader:
            return spec
        if not self._wanted(spec):
            return spec
        try:
            code = parallel_code(
                spec.loader.get_data(spec.loader.path), spec.loader.path, force=self._force
            )
        except (SyntaxError, ValueError, OSError):
            # The plain import says what is wrong, in the plain way.
            return spec
        spec.loader = ParallelLoader(spec.loader.name, spec.loader.path, code)
        return spec

    def _found_by_others(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        for finder in sys.meta_path:
            if finder is not self and hasattr(finder, "find_spec"):
                spec: ModuleSpec | None = finder.find_spec(fullname, path, target)
                if spec is not None:
                    return spec
        return None


def rewrite_imports_under(paths: Iterable[str], *, force: bool = False) -> None:
    """From now on, modules imported from files at or below `paths` have their loops made parallel."""
    roots = [os.path.realpath(path) for path in paths]

    def wanted(spec: ModuleSpec) -> bool:
        real = os.path.realpath(spec.origin or "")
        return any(real == root or real.startswith(root.rstrip(os.sep) + os.sep) for root in roots)

    sys.meta_path.insert(0, ParallelFinder(wanted, force))


# -- running as __main__ ---------------------------------------------------------------------------


def run_script(path: str, args: Sequence[str], *, force: bool = False) -> int:
    """Run the file (or directory or archive with a __main__) at `path`; returns the exit code.

    Raises CannotRunError when it cannot be started, and SystemExit when the script does.
    """
    # Not normalised: the interpreter shows a script's path in just this way.
    filename = os.path.join(os.getcwd(), path)
    if pkgutil.get_importer(filename) is not None:
        return _run_archive(path, filename, args, force)
    code = _script_code(path, filename, force)
    main = _new_main(filename)
    sys.argv[:] = [path, *args]
    _set_first_path(os.path.dirname(os.path.realpath(filename)))
    return _run(partial(exec, code, main.__dict__))


def run_module(name: str, args: Sequence[str], *, force: bool = False) -> int:
    """Run module `name` as `python -m name` would; otherwise as `run_script`."""
    _new_main(None)
    sys.argv[:] = ["-m", *args]
    _set_first_path(os.getcwd())
    return _run_as_main(name, name, True, force)


def _run_archive(path: str, filename: str, args: Sequence[str], force: bool) -> int:
    _new_main(None)
    sys.argv[:] = [path, *args]
    _set_first_path(filename)
    return _run_as_main("__main__", path, False, force)


def _script_code(path: str, filename: str, force: bool) -> CodeType:
    try:
        with open(filename, "rb") as file:
            return parallel_code(file.read(), filename, force=force)
    except FileNotFoundError:
        raise CannotRunError(f"there is no file {path}") from None
    except OSError as error:
        raise CannotRunError(f"{path} cannot be read: {error.strerror}") from None
    except (SyntaxError, ValueError) as error:
        raise CannotRunError(not_python(path, error)) from None


def not_python(path: str, error: SyntaxError | ValueError) -> str:
    """A sentence saying that a file is not valid Python, and where."""
    if not isinstance(error, SyntaxError):
        return f"{path} is not valid Python: {error}"
    where = f", line {error.lineno}," if error.lineno else ""
    line = (error.text or "").strip()
    return f"{path}{where} is not valid Python: {error.msg}" + (f": {line}" if line else "")


def _new_main(filename: str | None) -> ModuleType:
    """A __main__ module such as the interpreter starts with, its names in the same order."""
    main = ModuleType("__main__")
    names = main.__dict__
    names["__loader__"] = SourceFileLoader("__main__", filename) if filename else BuiltinImporter
    names["__annotations__"] = {}
    names["__builtins__"] = builtins
    if filename:
        names.update(__file__=filename, __cached__=None)
    _replaced.append(sys.modules["__main__"])
    sys.modules["__main__"] = main
    return main


def _set_first_path(directory: str) -> None:
    if not sys.flags.safe_path:
        sys.path[0] = directory
        _forget_shadowed(directory)


def _forget_shadowed(directory: str) -> None:
    """Let the script import its own `click.py` or `queue.py`, though ours has been imported."""
    try:
        entries = os.listdir(directory)
    except OSError:
        return
    for entry in entries:
        name = entry.partition(".")[0]
        module = sys.modules.get(name)
        if module is None or name in ("__main__", "encodings", "allcores"):
            continue
        if getattr(module, "__loader__", None) in (BuiltinImporter, FrozenImporter):
            continue
        is_module = entry.endswith((".py", ".so")) or os.path.isfile(
            os.path.join(directory, entry, "__init__.py")
        )
        if is_module and not str(getattr(module, "__file__", "")).startswith(directory + os.sep):
            for each in [each for each in sys.modules if each.partition(".")[0] == name]:
                del sys.modules[each]


def _run_as_main(name: str, shown: str, alter_argv: bool, force: bool) -> int:
    """Run a module through `runpy`, whose frames plain python's tracebacks show as well."""
    targets = {name, f"{name}.__main__"}

    def wanted(spec: ModuleSpec) -> bool:
        return spec.name in targets and spec.submodule_search_locations is None

    finder = ParallelFinder(wanted, force)
    sys.meta_path.insert(0, finder)
    main = sys.modules["__main__"]
    try:
        return _run(partial(runpy._run_module_as_main, name, alter_argv))  # type: ignore[attr-defined]
    except SystemExit as stop:
        # runpy's own complaint, with the interpreter's path in front.
        if not hasattr(main, "__file__") and isinstance(stop.code, str):
            raise CannotRunError(stop.code.removeprefix(f"{sys.executable}: ")) from None
        raise
    finally:
        sys.meta_path[:] = [each for each in sys.meta_path if each is not finder]


def _run(program: Callable[[], Any]) -> int:
    """Run the program; what it leaves uncaught is shown as the interpreter shows it."""
    main = sys.modules["__main__"]
    _allow_for_own_frames()
    try:
        program()
    except SystemExit:
        raise
    except BaseException as error:
        uncaught = error
    else:
        return 0
    started = hasattr(main, "__file__")
    if not started and isinstance(uncaught, SyntaxError):
        raise CannotRunError(not_python(uncaught.filename or "the module", uncaught))
    return _report_uncaught(uncaught)


def _allow_for_own_frames() -> None:
    """Let the script recurse as deep as it could were our frames not below its own."""
    frame, depth = sys._getframe(), 0
    while frame is not None:
        frame, depth = frame.f_back, depth + 1  # type: ignore[assignment]
    sys.setrecursionlimit(sys.getrecursionlimit() + depth)


# -- what is left uncaught -------------------------------------------------------------------------


def _report_uncaught(error: BaseException) -> int:
    """Do what the interpreter does with an uncaught exception; returns the exit code."""
    for each in _linked(error):
        each.__traceback__ = _without_own_frames(each.__traceback__)
    interrupted = type(error) is KeyboardInterrupt
    _show(error)
    if interrupted:
        _die_of_interrupt_at_exit()
    return 1


def _linked(error: BaseException) -> Iterator[BaseException]:
    """The exception and all that its traceback shows with it: causes, contexts, group members."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        waiting += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
        yield each


def _without_own_frames(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback without the entries that come from this package."""
    kept = []
    each = traceback
    while each is not None:
        if not each.tb_frame.f_code.co_filename.startswith(_PACKAGE):
            kept.append(each)
        each = each.tb_next
    for this, following in zip(kept, [*kept[1:], None]):
        this.tb_next = following
    return kept[0] if kept else None


def _show(error: BaseException) -> None:
    """Call sys.excepthook as the interpreter does, also when the hook itself fails."""
    if sys.version_info >= (3, 12):
        sys.last_exc = error  # type: ignore[assignment]
    sys.last_type, sys.last_value = type(error), error
    sys.last_traceback = error.__traceback__
    hook = getattr(sys, "excepthook", None)
    if hook is None:
        print("sys.excepthook is missing, printing exception to stderr", file=sys.stderr)
        hook = sys.__excepthook__
    sys.audit("sys.excepthook", hook, type(error), error, error.__traceback__)
    try:
        hook(type(error), error, error.__traceback__)
        return
    except SystemExit:
        raise
    except BaseException as another:
        failure = another
    failure.__traceback__ = _without_own_frames(failure.__traceback__)
    print("Error in sys.excepthook:", file=sys.stderr)
    sys.__excepthook__(type(failure), failure, failure.__traceback__)
    print("\nOriginal exception was:", file=sys.stderr)
    sys.__excepthook__(type(error), error, error.__traceback__)


def _die_of_interrupt_at_exit() -> None:
    """Have the interpreter end by SIGINT, which shells look for, once its cleaning up is done.

    It does so when a KeyboardInterrupt left a piece of source that it ran; exec is given one.
    """
    try:
        exec("raise KeyboardInterrupt")
    except KeyboardInterrupt:
        pass


@dataclass(frozen=True, slots=True)
class Program:
    """What `allcores run` was asked to run."""

    name: str
    args: tuple[str, ...]
    is_module: bool

    def run(self, *, force: bool) -> int:
        """As `run_script` or `run_module`."""
        return (run_module if self.is_module else run_script)(self.name, self.args, force=force)
