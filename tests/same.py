"""Runs a program with the plain loop and with `parallel`, and compares everything it leaves.

`assert_same` is for tests: it puts the program's loop in several places (a module, functions of
several kinds) and compares each with the plain loop. `run` and `difference` are its two halves.
"""

from __future__ import annotations

import contextlib
import functools
import io
import linecache
import os
import symtable
import sys
import tempfile
import time
import types
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import allcores.loop as loop
from allcores import ParallelWarning, parallel
from allcores.engine.interpreters import standby
from tests.compare import Comparer, without_addresses

MODULE = "__same__"
"""The name of the module that programs are run in."""
PREFIX = "<same-"
PLACES = (
    "module",
    "closure",
    "function",
    "quiet",
    "global",
    "nonlocal",
    "class",
    "generator",
    "handler",
    "coroutine",
)
"""Where `placed` can put a loop."""
HIDDEN = {
    "parallel",
    "__builtins__",
    "__name__",
    "__file__",
    "__warningregistry__",
    "__doc__",
    "__loader__",
    "__package__",
    "__spec__",
    "__program",
    "__left",
    "__static_attributes__",
    "__firstlineno__",
    "__module__",
    "__qualname__",
    "__dict__",
    "__weakref__",
}
_numbers = count()


class Hang(BaseException):
    """A program takes far too long: raised in it, and not taken for what it raises itself."""


@dataclass
class Outcome:
    """What a run left behind."""

    source: str
    names: dict[str, Any]
    printed: list[tuple[str, str]]
    error: BaseException | None
    reports: list[loop.LoopReport] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)
    warned_lines: list[int] = field(default_factory=list)
    other_warnings: list[tuple[str, str, int]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def in_workers(self) -> int:
        """How many iterations workers did."""
        return sum(r.in_workers for r in self.reports)


@contextlib.contextmanager
def forced(on: bool = True, **others: str) -> Iterator[None]:
    """Every loop that may go to workers does, whatever it costs. others: WORKERS="3" and so on."""
    wanted = {"ALLCORES_FORCE": "1" if on else "0"}
    wanted.update({f"ALLCORES_{name}": value for name, value in others.items()})
    before = dict(os.environ)
    os.environ.update(wanted)
    try:
        yield
    finally:
        # All of it, for what a program puts there must not be there when it is run again.
        os.environ.clear()
        os.environ.update(before)


def stand_by() -> None:
    """Where loops are to have clean interpreters: short ones would be over before they are ready."""
    if os.environ.get("ALLCORES_ON") != "fresh":
        return
    standby.prepare(2)
    while not all([worker.is_ready() or worker.gone() for worker in standby.idle]):
        time.sleep(0.001)


# -- placing a loop


def placed(loop_text: str, place: str | bool, helpers: str = "", data: str = "") -> str:
    """A whole program, with the loop in that place.

    helpers: imports, functions and classes, always at module level (but for "closure").
    data: statements that bind the variables the loop changes.
    Function-level variables are left in `__left`, for `run` to find.
    """
    if place in (False, "module"):
        return helpers + data + loop_text
    if place in (True, "closure"):
        return _function(helpers + data + loop_text, "")
    if place == "function":
        return _function(data + loop_text, helpers)
    if place == "quiet":
        # Only these are read after the loop: what else it binds need not be kept.
        wanted = ", ".join(f"({n!r}, {n})" for n in names_bound(data))
        return _function(data + loop_text, helpers, f"dict([{wanted}])")
    if place == "global":
        declared = f"global {', '.join(names_bound(data) or ['__none'])}\n"
        return _function(declared + loop_text, helpers + data)
    if place == "nonlocal":
        names = names_bound(data)
        declared = f"nonlocal {', '.join(names)}\n" if names else ""
        inner = ["def __inner():", *_in(declared + loop_text), *_in("return locals()")]
        inner += ["__left.append(__inner())"]
        return _function(data + "\n".join(inner) + "\n", helpers)
    if place == "class":
        body = ["class Program:", *_in(data + loop_text), "__left.append(dict(vars(Program)))"]
        return helpers + "\n".join(body) + "\n"
    if place == "generator":
        body = ["def __program():", *_in(data + loop_text), *_in("yield locals()")]
        return helpers + "\n".join([*body, "__left.extend(__program())"]) + "\n"
    if place == "handler":
        handled = ["try:", "    raise LookupError('handled')", "except LookupError:"]
        return _function("\n".join([*handled, *_in(data + loop_text)]) + "\n", helpers)
    if place == "coroutine":
        body = ["async def __program():", *_in(data + loop_text), *_in("__left.append(locals())")]
        ending = "try:\n    __program().send(None)\nexcept StopIteration:\n    pass\n"
        return helpers + "\n".join(body) + "\n" + ending
    raise ValueError(place)


def _function(body: str, before: str, left: str = "locals()") -> str:
    lines = [
        "def __program():",
        "    try:",
        *_in(body, 2),
        "    except Exception as __e:",
        "        __error = __e",
        f"    return {left}",
    ]
    return before + "\n".join([*lines, "__left.append(__program())"]) + "\n"


def _in(text: str, levels: int = 1) -> list[str]:
    return ["    " * levels + line for line in text.splitlines()]


def names_bound(data: str) -> list[str]:
    """The names that these statements assign to."""
    symbols = symtable.symtable(data, "<data>", "exec").get_symbols()
    return [symbol.get_name() for symbol in symbols if symbol.is_assigned()]


# -- running


class _Tape(io.TextIOBase):
    """A stream that writes on a tape shared with the other one, so that their order is seen."""

    def __init__(self, name: str, tape: list[tuple[str, str]]) -> None:
        self.name, self.tape = name, tape

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.tape and self.tape[-1][0] == self.name:
            self.tape[-1] = self.name, self.tape[-1][1] + text
        elif text:
            self.tape.append((self.name, text))
        return len(text)


def run(
    source: str, plain: bool, place: str | bool = False, force: bool = True, **settings: str
) -> Outcome:
    """Execute a program; `parallel` is the identity when `plain`.

    source: a whole program (from `placed`), or with `place` the text of one. settings: WORKERS="3"
    and the like. With RANDOM="streams" the plain run is one with `on="serial"`. A program that mentions `open(` runs in an empty directory of its own.
    """
    source = placed(source, place)
    filename = f"{PREFIX}{next(_numbers)}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    # A real module, so that its classes can be found by name as a script's can.
    module = sys.modules[MODULE] = types.ModuleType(MODULE)
    namespace = module.__dict__
    left: list[Any] = []
    serial: Any = _itself
    if settings.get("RANDOM") == "streams":
        serial = functools.partial(parallel, on="serial")
    namespace["parallel"] = serial if plain else parallel
    namespace["__left"] = left
    outcome = Outcome(source, {}, [], None)
    note = outcome.reports.append
    loop.listeners.append(note)
    out, err = (_Tape(name, outcome.printed) for name in ("out", "err"))
    try:
        with (
            forced(force, **{"RANDOM": "plain", **settings}),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            warnings.catch_warnings(record=True) as caught,
            _directory(outcome.files) if "open(" in source else contextlib.nullcontext(),
        ):
            warnings.simplefilter("always")
            if not plain and not force:
                stand_by()
            try:
                exec(compile(source, filename, "exec"), namespace)
            except BaseException as e:
                if isinstance(e, Hang) or (isinstance(e, KeyboardInterrupt) and not e.args):
                    raise
                outcome.error = e
    finally:
        loop.listeners.remove(note)
        linecache.cache.pop(filename, None)
    for w in caught:
        if issubclass(w.category, ParallelWarning):
            outcome.warned.append(str(w.message))
            outcome.warned_lines.append(w.lineno)
        elif not issubclass(w.category, ResourceWarning):  # given whenever garbage is collected
            outcome.other_warnings.append((w.category.__name__, str(w.message), w.lineno))
    _gather(outcome, namespace, left)
    return outcome


def _gather(outcome: Outcome, namespace: dict[str, Any], left: list[Any]) -> None:
    names = {f"global {k}": v for k, v in namespace.items() if k not in HIDDEN}
    for number, local in enumerate(left):
        if not isinstance(local, dict):
            names[f"given {number}"] = local
            continue
        outcome.error = local.pop("__error", outcome.error)
        local.pop("__e", None)
        prefix = f"local{number} " if number else "local "
        names.update({prefix + k: v for k, v in local.items() if k not in HIDDEN})
    outcome.names = names


def _itself(xs: Any, **_: Any) -> Any:
    return xs


@contextlib.contextmanager
def _directory(files: dict[str, bytes]) -> Iterator[None]:
    with tempfile.TemporaryDirectory() as d, contextlib.chdir(d):
        yield
        files.update({p.name: p.read_bytes() for p in sorted(Path(d).iterdir()) if p.is_file()})


# -- comparing


def difference(a: Outcome, b: Outcome) -> str | None:
    """Where two outcomes differ, in words; None when they are the same."""
    for what in ("printed", "files", "other_warnings"):
        x, y = getattr(a, what), getattr(b, what)
        if what == "printed":
            x, y = (_without_addresses(z) for z in (x, y))
        if x != y:
            return f"{what}: {x!r} != {y!r}"
    found = _errors(a.error, b.error)
    if found:
        return found
    if set(a.names) != set(b.names):
        return f"names: {sorted(set(a.names) ^ set(b.names))} bound on one side only"
    return Comparer(MODULE).compare(
        {**a.names, "the exception": a.error}, {**b.names, "the exception": b.error}
    )


def _without_addresses(printed: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(stream, without_addresses(text)) for stream, text in printed]


def _said(error: BaseException) -> str:
    return without_addresses(str(error))


def _errors(a: BaseException | None, b: BaseException | None) -> str | None:
    where = "error"
    while a is not None or b is not None:
        if a is None or b is None or type(a).__name__ != type(b).__name__ or _said(a) != _said(b):
            return f"{where}: {a!r} != {b!r}"
        # A commit that raises has an entry of the loop's own line above its own.
        x, y = _lines(a)[-1:], _lines(b)[-1:]
        if x != y:
            return f"{where} at {x} != {y} ({a!r})"
        a, b, where = a.__context__, b.__context__, f"context of {where}"
    return None


def _lines(error: BaseException) -> list[tuple[str, int | None]]:
    """The program's own frames in a traceback."""
    tb, found = error.__traceback__, []
    while tb is not None:
        code = tb.tb_frame.f_code
        if code.co_filename.startswith(PREFIX):
            found.append((code.co_name, tb.tb_lineno))
        tb = tb.tb_next
    return found


def assert_same(
    source: str,
    expect: str | None = None,
    *,
    places: tuple[str | bool, ...] = ("module", "closure"),
    helpers: str = "",
    data: str = "",
    at_least: int = 1,
    **settings: str,
) -> None:
    """The program leaves the same either way, wherever its loop is.

    expect: "parallel" (at_least so many iterations must really run in workers), "serial" (a warning
    at the loop's line must say why) or "nothing to gain" (no worker by itself, and no warning).
    """
    for place in places:
        program = placed(source, place, helpers, data)
        a, b = run(program, True, **settings), run(program, False, **settings)
        found = difference(a, b)
        told = f"place={place}\n{program}\n{b.warned}\n{b.reports}"
        assert found is None, f"{found}\n{told}"
        if expect == "parallel":
            assert b.in_workers >= at_least, f"ran serially\n{told}"
        elif expect == "serial":
            assert b.in_workers == 0, f"ran in workers\n{told}"
            assert b.warned, f"no warning\n{told}"
            lines = program.splitlines()
            assert all("parallel(" in lines[n - 1] for n in b.warned_lines), b.warned_lines
        elif expect == "nothing to gain":
            own = run(program, False, force=False, **settings)
            assert difference(a, own) is None, told
            assert own.in_workers == 0, f"ran in workers\n{told}"
            assert not own.warned, f"warned\n{told}"
