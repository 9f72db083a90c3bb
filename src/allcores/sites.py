"""Which `for` statement a frame is at, and what is remembered of it from entry to entry."""

from __future__ import annotations

import ast
import copy
import linecache
import os
import sys
import threading
from types import CodeType, FrameType
from typing import Any, NamedTuple, TypeVar

from allcores.plan.bounded import Bounded
from allcores.plan.model import Plan
from allcores.plan.names import walk
from allcores.plan.quiet import quiet_compile, quiet_parse
from allcores.plan.source import Module, loops_of

T = TypeVar("T")
FUTURE_FLAGS = 0x1FF0000
"""The bits of `co_flags` that stand for `from __future__ import` of the compiled source."""


class Site:
    """A loop in the source, its Plan once it is made, and what an iteration cost."""

    def __init__(
        self,
        filename: str,
        line: int,
        node: ast.For | None = None,
        chain: list[ast.AST] | None = None,
        module: Module | None = None,
    ) -> None:
        self.filename, self.line = filename, line
        self.node, self.module = node, module
        self.chain: list[ast.AST] = chain or []
        self.problem = ""
        """Why the loop cannot be read, or was found to depend on its order, in words; else empty."""
        self.plan: Plan | None = None
        self.running: CodeType | None = None
        self.code: dict[tuple[Any, ...], Any] = {}
        self.earlier: list[tuple[Plan, dict[tuple[Any, ...], Any]]] = []
        """The Plans for other objects than the last ones, and their code."""
        self.cost: float | None = None
        """Seconds that an iteration took lately."""
        self.seconds = 0.0
        """What the iterations took, by which that is known, the last time."""
        self.shares: bool | None = None
        """Whether iterations may use a pool of threads, as far as names tell; None: not looked."""
        self.faster = ""
        """What was faster where they do: "here" or "workers"."""
        self.idle: float | None = None
        """The part of their time that iterations wait, as far as is known."""
        self.not_in_threads = ""
        """Why iterations cannot be threads of one process, where trying has shown it."""
        self.not_shipped = ""
        """Why clean interpreters could not be given the work, the last time."""
        self.tries = self.not_tried = 0
        """How often that was so, and for how many entries it is not tried again."""
        self.entries = 0
        self.warned: set[str] = set()
        self.told_of_streams = False

    def cannot_ship(self, why: str) -> None:
        """Clean interpreters could not be given the work: it costs some ms to find that again."""
        self.not_shipped, self.tries = why, min(self.tries + 1, 10)
        self.not_tried = 2**self.tries

    def reading(self) -> Reading | None:
        """The Plan for the objects at hand, if one has been made; while `lock` is held."""
        return Reading(self.plan, self.code) if self.plan is not None else None


lock = threading.RLock()
"""Held while sites are looked up and their Plans made: threads may enter the same loop at once."""


def _is_forked() -> None:
    """In a process just forked: another thread may have held the lock."""
    global lock
    lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_is_forked)


class Reading(NamedTuple):
    """What a site has for the objects at hand: other threads may have others at hand."""

    plan: Plan
    code: dict[tuple[Any, ...], Any]
    """The code made of it, by what that depends on."""


_sites: Bounded[tuple[int, int], Site] = Bounded(300)
_trees: Bounded[str, tuple[list[str], ast.Module]] = Bounded(100)
_given: list[Site] = []


def known_at(frame: FrameType) -> Site | None:
    """As `site_at`, where that has been asked for before."""
    return _sites.get((id(frame.f_code), frame.f_lasti))


def site_at(frame: FrameType) -> Site:
    """The site of the loop that is asking for an iterator in this frame."""
    code = frame.f_code
    key = id(code), frame.f_lasti
    site = _sites.get(key)
    if site is None:
        site = _find(frame)
        site.running = code
        _sites[key] = site
    return site


def give_site(
    plan: Plan, tree: ast.Module, node: ast.For | ast.AsyncFor, chain: list[ast.AST]
) -> int:
    """Register a loop that is known beforehand; gives the key for `given_site`."""
    assert isinstance(node, ast.For)
    _given.append(Site(plan.file, plan.line, node, chain, Module(tree, plan.file)))
    return len(_given) - 1


def given_site(key: int) -> Site:
    """The site registered under this key."""
    return _given[key]


def given_sites() -> list[Site]:
    """All loops that are known beforehand, in the order in which they became so."""
    return list(_given)


def _find(frame: FrameType) -> Site:
    code = frame.f_code
    line = frame.f_lineno
    positions = list(code.co_positions())[frame.f_lasti // 2]
    filename = code.co_filename
    site = Site(filename, line)
    if not _asks_for_iterator(code, frame.f_lasti):
        site.problem = _not_a_for(positions, filename, frame)
        return site
    lines = _lines(filename, frame)
    given = _timeit_tree(frame) if filename == "<magic-timeit>" else None
    if not lines and given is None:
        site.problem = "the source of this code cannot be found, and allcores works by reading it"
        return site
    try:
        tree = given or _parse(filename, lines)
    except (SyntaxError, ValueError):
        site.problem = (
            "the source of this code cannot be read; it may have changed since it was started"
        )
        return site
    for node, chain in loops_of(tree):
        if isinstance(node, ast.For) and _stands_at(node, positions) and _same_scope(chain, code):
            if not _is_running(tree, node, chain, code, frame):
                site.problem = "the source has changed since this code was started"
                return site
            site.node, site.chain = node, chain
            site.module = Module(tree, filename)
            site.line = node.lineno
            return site
    site.problem = _not_a_for(positions, filename, frame)
    return site


def _lines(filename: str, frame: FrameType) -> list[str]:
    lines = linecache.getlines(filename, frame.f_globals)
    if not lines and filename == "<string>" and "-c" in sys.orig_argv[1:-1]:
        lines = sys.orig_argv[sys.orig_argv.index("-c") + 1].splitlines(True)
    if not lines and filename == "<timed exec>":
        lines = _timed_cell(frame)
    return lines


def _timed_cell(frame: FrameType | None) -> list[str]:
    """The text of a notebook cell under `%%time`: IPython keeps it nowhere but in its own frame."""
    text = _kept_by_ipython(frame, "expr", str)
    return [] if text is None else text.splitlines(True)


def _timeit_tree(frame: FrameType | None) -> ast.Module | None:
    """What `%timeit` and `%%timeit` run, which IPython keeps in its own frame, as a tree."""
    tree = _kept_by_ipython(frame, "timeit_ast", ast.Module)
    return None if tree is None else copy.deepcopy(tree)


def _kept_by_ipython(frame: FrameType | None, name: str, kind: type[T]) -> T | None:
    """A variable of this type of the frame in which IPython runs a cell, if there is one."""
    while frame is not None:
        if frame.f_globals.get("__name__") == "IPython.core.magics.execution":
            found = frame.f_locals.get(name)
            if isinstance(found, kind):
                return found
        frame = frame.f_back
    return None


def _asks_for_iterator(code: CodeType, lasti: int) -> bool:
    import opcode

    return code.co_code[lasti] == opcode.opmap["GET_ITER"]


def _not_a_for(positions: tuple[Any, ...], filename: str, frame: FrameType) -> str:
    text = "".join(_lines(filename, frame)[frame.f_lineno - 1 : frame.f_lineno]).strip()
    if "enumerate(parallel(" in text.replace(" ", ""):
        return "parallel() must be the outermost: write `for i, x in parallel(enumerate(xs)):`"
    if "zip(parallel(" in text.replace(" ", ""):
        return "parallel() must be the outermost: write `for a, b in parallel(zip(xs, ys)):`"
    return (
        "parallel() works in `for` statements only; instead of a comprehension or call write a loop: "
        "`for x in parallel(xs): results.append(...)`"
    )


def _parse(filename: str, lines: list[str]) -> ast.Module:
    known = _trees.get(filename)
    if known is None or known[0] != lines:
        known = (list(lines), quiet_parse("".join(lines), filename))
        _trees[filename] = known
    return known[1]


def _stands_at(node: ast.For, positions: tuple[Any, ...]) -> bool:
    """From 3.13 GET_ITER has the place of the iterated expression, before that of the statement."""
    for at in (node, node.iter):
        if positions == (at.lineno, at.end_lineno, _column(at), _end_column(at)):
            return True
    return False


def _column(node: Any) -> int:
    return int(node.col_offset)


def _end_column(node: Any) -> int:
    return int(node.end_col_offset)


def _same_scope(chain: list[ast.AST], code: CodeType) -> bool:
    if not chain:
        return code.co_name == "<module>" or code.co_name.startswith("<")
    return getattr(chain[-1], "name", "<lambda>") == code.co_name


def _is_running(
    tree: ast.Module, node: ast.For, chain: list[ast.AST], code: CodeType, frame: FrameType
) -> bool:
    """Whether compiling the source gives the code that runs."""
    if "@pytest_ar" in frame.f_globals:
        return True  # pytest rewrites the asserts of its test modules
    flags = code.co_flags & FUTURE_FLAGS
    top = next(s for s in tree.body if any(n is node for n in walk(s)))
    alone = ast.Module([top], [])
    # Notebooks and doctests compile one statement at a time.
    attempts: list[tuple[Any, str]] = (
        [(alone, "exec")] if chain else [(tree, "exec"), (alone, "exec")]
    )
    if chain:
        attempts.append((tree, "exec"))
    attempts.append((ast.Interactive([top]), "single"))
    # `%%time` runs a last expression apart from the rest of its cell.
    attempts.append((ast.Module(tree.body[:-1], []), "exec"))
    for part, mode in attempts:
        try:
            made = quiet_compile(part, code.co_filename, mode, flags)
        except (SyntaxError, ValueError):
            continue
        if any(_equal(c, code) for c in _codes(made)):
            return True
    return False


def _codes(code: CodeType) -> list[CodeType]:
    found = [code]
    for const in code.co_consts:
        if isinstance(const, CodeType):
            found += _codes(const)
    return found


def _equal(a: CodeType, b: CodeType) -> bool:
    return (
        a.co_name == b.co_name
        and a.co_firstlineno == b.co_firstlineno
        and a.co_code == b.co_code
        and a.co_names == b.co_names
        and a.co_varnames == b.co_varnames
    )


OF_MEMORY = (".resize(", "owndata", "OWNDATA", ".base is ", ".base.")
_without: set[str] = set()
"""Files in which none of these stands."""


def mentions_memory(filename: str, namespace: dict[str, Any]) -> bool:
    """Whether a loop's module looks at whose the memory of an array is, or makes one larger."""
    if filename in _without or "numpy" not in sys.modules:
        return False
    lines = linecache.getlines(filename, namespace)
    found = any(said in line for line in lines for said in OF_MEMORY)
    if not found:
        _without.add(filename)
    return found
