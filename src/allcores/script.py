"""Run a script or module as plain `python` would, with its loops made parallel.

The namespace of `__main__`, `sys.argv`, `sys.path[0]`, exit codes and the tracebacks of what is
left uncaught are those of plain python.
"""

from __future__ import annotations

import builtins
import os
import pkgutil
import runpy
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.machinery import BuiltinImporter, FrozenImporter, ModuleSpec, SourceFileLoader
from types import CodeType, FrameType, ModuleType
from typing import Any

from allcores.rewrite import Compiler, ParallelFinder
from allcores.show.sentences import not_python
from allcores.tracebacks import without_own_frames

# The __main__ of the command itself: kept alive, for the frames that lead here live in it.
_replaced: list[ModuleType] = []


_interrupts: list[bool] = []
"""Filled once the program has ended by Ctrl-C."""


class CannotRunError(Exception):
    """The script or module cannot be started; the text is a sentence for the user."""


def run_script(path: str, args: Sequence[str], compiler: Compiler) -> int:
    """Run the file (or directory or archive with a __main__) at `path`; returns the exit code.

    compiler: makes the code of the file that is run.

    Raises CannotRunError when it cannot be started, and SystemExit when the script does.
    """
    # Not normalised: the interpreter shows a script's path in just this way.
    filename = os.path.join(os.getcwd(), path)
    if pkgutil.get_importer(filename) is not None:
        return _run_archive(path, filename, args, compiler)
    code = _script_code(path, filename, compiler)
    main = _new_main(filename)
    sys.argv[:] = [path, *args]
    _set_first_path(os.path.dirname(os.path.realpath(filename)))
    _allow_for_own_frames(through_exec=True)
    return _run(partial(exec, code, main.__dict__))


def run_module(name: str, args: Sequence[str], compiler: Compiler) -> int:
    """Run module `name` as `python -m name` would; otherwise as `run_script`."""
    _new_main(None)
    sys.argv[:] = ["-m", *args]
    _set_first_path(os.getcwd())
    return _run_as_main(name, name, True, compiler)


def _run_archive(path: str, filename: str, args: Sequence[str], compiler: Compiler) -> int:
    _new_main(None)
    sys.argv[:] = [path, *args]
    _set_first_path(filename)
    return _run_as_main("__main__", path, False, compiler)


def _script_code(path: str, filename: str, compiler: Compiler) -> CodeType:
    try:
        with open(filename, "rb") as file:
            return compiler(file.read(), filename)
    except FileNotFoundError:
        raise CannotRunError(f"there is no file {path}") from None
    except OSError as error:
        raise CannotRunError(f"{path} cannot be read: {error.strerror}") from None
    except (SyntaxError, ValueError) as error:
        raise CannotRunError(not_python(path, error)) from None


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


def _run_as_main(name: str, shown: str, alter_argv: bool, compiler: Compiler) -> int:
    """Run a module through `runpy`, whose frames plain python's tracebacks show as well."""
    targets = {name, f"{name}.__main__"}

    def wanted(spec: ModuleSpec) -> bool:
        return spec.name in targets and spec.submodule_search_locations is None

    finder = ParallelFinder(wanted, compiler)
    sys.meta_path.insert(0, finder)
    main = sys.modules["__main__"]
    _allow_for_own_frames(through_exec=False)
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


def _allow_for_own_frames(through_exec: bool) -> None:
    """Let the script recurse as deep as it could were our frames not below its own."""
    depth = 1  # of `_run`
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        depth += 1
        # Python 3.11 counts calls of exec as well.
        if sys.version_info < (3, 12) and frame.f_code.co_name == "<module>" and frame.f_back:
            depth += 1
        frame = frame.f_back
    if sys.version_info < (3, 12) and through_exec:
        depth += 1
    sys.setrecursionlimit(sys.getrecursionlimit() + depth)


# -- what is left uncaught -------------------------------------------------------------------------


def _report_uncaught(error: BaseException) -> int:
    """Do what the interpreter does with an uncaught exception; returns the exit code."""
    for each in _linked(error):
        each.__traceback__ = without_own_frames(each.__traceback__)
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


def _show(error: BaseException) -> None:
    """Call sys.excepthook as the interpreter does, also when the hook itself fails."""
    if sys.version_info >= (3, 12):
        sys.last_exc = error  # type: ignore[assignment]
    sys.last_type, sys.last_value = type(error), error
    sys.last_traceback = error.__traceback__
    hook = getattr(sys, "excepthook", None)
    if hook is None:
        print("sys.excepthook is missing", file=sys.stderr)
        hook = sys.__excepthook__
    sys.audit("sys.excepthook", hook, type(error), error, error.__traceback__)
    try:
        hook(type(error), error, error.__traceback__)
        return
    except SystemExit:
        raise
    except BaseException as another:
        failure = another
    failure.__traceback__ = without_own_frames(failure.__traceback__)
    print("Error in sys.excepthook:", file=sys.stderr)
    sys.__excepthook__(type(failure), failure, failure.__traceback__)
    print("\nOriginal exception was:", file=sys.stderr)
    sys.__excepthook__(type(error), error, error.__traceback__)


def _die_of_interrupt_at_exit() -> None:
    """Have the interpreter end by SIGINT, which shells look for, once its cleaning up is done.

    It does so when a KeyboardInterrupt left a piece of source that it ran; exec is given one.
    """
    _interrupts.append(True)
    try:
        exec("raise KeyboardInterrupt")
    except KeyboardInterrupt:
        pass


def end_as_interrupted() -> None:
    """To be called after other code has run at the end of a program that Ctrl-C has ended."""
    if _interrupts:
        _die_of_interrupt_at_exit()
