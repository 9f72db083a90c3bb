"""From a loop in a file to the file's text with that loop rewritten for another library.

    converted = convert(text, line, "multiprocessing", "script.py")
    converted.text, converted.notes

Only the loop changes, and what must change with it: a worker function and imports are added, and
where workers import the program anew its main part goes under a guard.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType

from allcores.build.recipes.comprehensions import Found, plan_of, take_comprehension
from allcores.build.recipes.comprehensions import on_line as comprehensions_on_line
from allcores.build.recipes.edits import Edits
from allcores.build.recipes.guard import GUARD, first_row, guarded, is_setting
from allcores.build.recipes.imports import Imports
from allcores.build.recipes.job import WIDTH
from allcores.build.recipes.loops import Taken, take
from allcores.build.recipes.names import Names
from allcores.build.recipes.place import Place
from allcores.build.recipes.slicing import CannotSliceError
from allcores.build.recipes.text import Source, indented, moved
from allcores.plan import Plan
from allcores.plan.names import FUNCTIONS, path_of
from allcores.plan.source import Module, loops_of
from allcores.plan.split import split

RECIPES = {
    "multiprocessing": "multiprocessing",
    "concurrent.futures": "concurrent_futures",
    "joblib": "joblib",
    "dask": "dask",
    "ray": "ray",
    "mpi4py.futures": "mpi4py_futures",
}
TARGETS = ("allcores", *RECIPES)
GUARDED = frozenset({"multiprocessing", "concurrent.futures", "dask", "mpi4py.futures"})
"""Targets whose workers import the program's main module anew."""

NEEDED = frozenset("Exception bool dict len list set zip".split())
"""Builtins that recipes use."""

SETTING = frozenset({"joblib", "dask", "ray"})
"""Targets whose workers, or their threads, lack what the main module has set."""


class CannotConvertError(Exception):
    """The loop cannot be rewritten: `reasons` are pairs of a line and a sentence."""

    def __init__(self, reasons: Sequence[tuple[int, str]]) -> None:
        super().__init__("; ".join(f"line {line}: {text}" for line, text in reasons))
        self.reasons = list(reasons)


@dataclass
class Converted:
    """A file's new text, and what its reader should know."""

    text: str
    notes: list[str] = field(default_factory=list)


def convert(
    text: str,
    line: int,
    target: str,
    filename: str = "<source>",
    *,
    cell: tuple[int, int] | None = None,
    width: int = WIDTH,
) -> Converted:
    """Rewrite the loop whose header is on `line` (else the innermost around it) for `target`.

    `text` is a whole file with its own line ends, whose lines may have `width` columns. Of a
    notebook it is all its cells, and `cell` says which lines are those of the loop's. Raises
    SyntaxError where it is not Python, LookupError where there is no loop, and CannotConvertError
    where the loop cannot be rewritten with the same outcome.

    >>> print(convert("for a in xs:\\n    out.append(a ** k)\\n", 1, "allcores").text)
    from allcores import parallel
    <BLANKLINE>
    for a in parallel(xs):
        out.append(a ** k)
    <BLANKLINE>
    """
    source = Source(text, filename)
    module = Module(source.tree, filename)
    found = _found(source, line)
    node: ast.stmt
    if isinstance(found, Found):
        node, chain, plan = found.stmt, found.chain, plan_of(found, module)
    else:
        node, chain = found
        plan = split(node, chain, module)
    if plan.otherwise is not None and target != "allcores":
        plan = plan.otherwise  # what workers change in place stays with them there
    if plan.verdict != "parallel" or isinstance(node, ast.AsyncFor):
        raise CannotConvertError([(r.line, r.text) for r in plan.reasons])
    if plan.seeded and target != "allcores":
        why = "the random stream that iterations seed would be left as it was; make a generator"
        raise CannotConvertError([(node.lineno, f"{why} in the loop, such as `rng = ...(i)`")])
    names = Names(source.tree)
    imports = Imports(source, names, cell)
    place = Place(source, module, chain, node, target, names, imports, cell, width)
    try:
        if target == "allcores":
            edits = _one_word(place, node)
        else:
            edits = _rewritten(place, plan, found if isinstance(found, Found) else None)
    except CannotSliceError as error:
        raise CannotConvertError([(error.line, error.text)]) from None
    new = edits.text()
    try:
        ast.parse(new)
    except SyntaxError as error:
        # Rather say so than write a file that does not run.
        what = f"allcores would write something that is not Python here (a bug): {error.text}"
        raise CannotConvertError([(node.lineno, what.strip())]) from None
    return Converted(new, place.notes)


def _found(source: Source, line: int) -> tuple[ast.For | ast.AsyncFor, list[ast.AST]] | Found:
    """The loop whose header is on the line, a comprehension there, or the innermost loop around."""
    loops = loops_of(source.tree)
    # An inner loop is taken before the one around it.
    on_line = [(n, c) for n, c in loops if n.lineno <= line <= (n.iter.end_lineno or n.lineno)]
    if on_line:
        return on_line[-1]
    others = comprehensions_on_line(source.tree, line)
    if others:
        return others[0]
    around = [(n, c) for n, c in loops if n.lineno <= line <= (n.end_lineno or n.lineno)]
    if around:
        return max(around, key=lambda pair: pair[0].lineno)
    raise LookupError(line)


# -- the one word


def _one_word(place: Place, node: ast.stmt) -> Edits:
    if not isinstance(node, ast.For):
        raise CannotSliceError(
            node.lineno,
            "`parallel` is for `for` statements; write it as one, or use `allcores.map`",
        )
    if isinstance(node.iter, ast.Call) and (path_of(node.iter.func) or "").endswith("parallel"):
        raise CannotSliceError(node.lineno, "the loop says `parallel` already")
    source = place.source
    word = place.imports.attribute("allcores", "parallel")
    edits = Edits(source)
    start, end = source.span(node.iter)
    inner = source.text[start:end]
    unbracketed = isinstance(node.iter, ast.Tuple) and not inner.startswith("(")
    new = f"{word}(({inner}))" if unbracketed else f"{word}({inner})"
    first, last = node.iter.lineno, node.iter.end_lineno or node.iter.lineno
    row_start = source.starts[first - 1]
    row_end = source.starts[last - 1] + len(source.rows[last - 1])
    whole = source.text[row_start:start] + new + source.text[end:row_end]
    edits.replace(first, last, whole.split("\n"))
    _import(place, edits)
    return edits


def _import(place: Place, edits: Edits) -> None:
    source = place.source
    has_imports = bool(place.imports.first_block())
    for row, lines in place.imports.placed().items():
        others = edits.before.get(row, [])
        if not has_imports:
            floor = place.cell[0] if place.cell else 1
            above = source.rows[row - 2].strip() if row > floor else ""
            below = next((line for line in [*others, *source.rows[row - 1 :]]), "")
            defines = below.startswith(("def ", "class ", "@", "async "))
            gap = [""] * (2 if defines else 1 if below.strip() else 0)
            lines = [*([""] if above else []), *lines, *gap]
        edits.before[row] = [*lines, *others]


# -- a worker function


def _rewritten(place: Place, plan: Plan, found: Found | None) -> Edits:
    source, node = place.source, place.loop
    indent = source.indent(node)
    top = next(n for n in source.tree.body if any(m is node for m in ast.walk(n)))
    columns = len(indent.expandtabs())
    if found is not None:
        taken = take_comprehension(place, found, plan, columns)
    else:
        taken = take(place, plan, columns)
    runs = _runs(place, node, taken)
    run = next(((a, b) for a, b in runs if a <= node.lineno <= b), None)
    if run is not None:
        taken.job.indent += len(source.unit.expandtabs())
    recipe = importlib.import_module(f"allcores.build.recipes.{RECIPES[place.target]}")
    lines = indented(recipe.lines(taken.job), indent)
    _refuse_shadowed(place, [*lines, *taken.body])
    edits = Edits(source, deeper=runs)
    dropped = _drop(taken.replaces, edits) if taken.replaces is not None else None
    edits.replace(node.lineno, node.end_lineno or node.lineno, lines)
    worker_row = run[0] if run is not None else first_row(source, top)
    if dropped is not None and run is None and source.indent(node) == "":
        worker_row = min(worker_row, dropped)
    floor = place.cell[0] if place.cell else 1
    _insert_worker(edits, max(worker_row, floor), floor, _worker(place, taken, recipe))
    for first, _last in runs:
        edits.insert(first, [GUARD])
    _import(place, edits)
    return edits


def _refuse_shadowed(place: Place, lines: list[str]) -> None:
    """Builtins that the new code needs must not have another meaning here."""
    bound = place.module.bound.keys() | place.around.locals.keys()
    words = set(re.findall(r"\w+", "\n".join(lines)))
    for name in sorted(NEEDED & bound & words):
        raise CannotSliceError(
            place.loop.lineno,
            f"`{name}` is the program's own here, and the new code needs the builtin; rename it",
        )


def _runs(place: Place, node: ast.stmt, taken: Taken) -> list[tuple[int, int]]:
    if place.target not in GUARDED or place.cell is not None:
        return []
    return guarded(place.source, place.module, node, taken.work).runs


def _drop(above: ast.stmt, edits: Edits) -> int | None:
    """Take out the empty list that the results take the place of; gives its row.

    With a comment or anything else on its line it stays.
    """
    source, row = edits.source, above.lineno
    if source.of(above) != source.rows[row - 1].strip():
        return None
    below = source.rows[row] if row < len(source.rows) else ""
    over = source.rows[row - 2] if row > 1 else ""
    both = not below.strip() and not over.strip()
    edits.replace(row, row + 1 if both else row, [])
    return row


def _worker(place: Place, taken: Taken, recipe: ModuleType) -> list[str]:
    unit = place.source.unit
    above = recipe.decorator(taken.job) if hasattr(recipe, "decorator") else []
    settings = _settings(place) if place.target in SETTING else []
    head = taken.job.fold(f"def {taken.job.worker}({', '.join(taken.parameters)}):", 0)
    return [*above, *head, *indented([taken.doc, *settings, *taken.body], unit)]


def _settings(place: Place) -> list[str]:
    """What the module sets for its process, which workers that do not import it lack."""
    out: list[str] = []
    for node in place.source.tree.body:
        if node.lineno >= place.loop.lineno:
            break
        if is_setting(node, place.module) and not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            text = place.source.of(node)
            if not any(word in text for word in ("matplotlib", "warnings", "logging", "sys.")):
                out += moved(text, "", "")
    return out


def _insert_worker(edits: Edits, row: int, floor: int, worker: list[str]) -> None:
    """Put the function before a row, with two blank lines on either side but at the top."""
    rows = edits.source.rows
    blank = 0
    while row - 1 - blank >= floor and not rows[row - 2 - blank].strip():
        blank += 1
    at_top = row - blank <= floor
    edits.insert(row, [*([""] * (0 if at_top else max(0, 2 - blank))), *worker, "", ""])
