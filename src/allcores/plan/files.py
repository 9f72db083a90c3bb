"""Files that one iteration writes and another one looks at, as far as a loop's own body shows it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from allcores.plan import effects as fx
from allcores.plan.names import path_of, target_names, walk

LISTS = frozenset({"os.listdir", "os.scandir", "os.walk", "glob.glob", "glob.iglob"})
LISTING_METHODS = frozenset({"iterdir", "glob", "rglob"})
STARTS = frozenset(
    "os.system subprocess.run subprocess.call subprocess.check_call subprocess.check_output "
    "subprocess.Popen".split()
)
"""What starts programs, which may write anywhere."""
WRITING_METHODS = frozenset(
    "write_text write_bytes touch mkdir unlink rmdir rename symlink_to hardlink_to savefig save "
    "savez savetxt imsave imwrite to_csv to_parquet to_pickle to_json to_excel dump".split()
)
ONCE = frozenset(
    "os.mkdir os.makedirs os.remove os.unlink os.rmdir os.removedirs os.mkfifo os.symlink os.link "
    "os.rename os.replace os.renames shutil.move shutil.rmtree shutil.copytree".split()
)
ONCE_METHODS = frozenset("mkdir unlink rmdir rename replace symlink_to hardlink_to".split())
"""What cannot be done again, for the file is gone by then, or is there already."""
STAYS = frozenset(
    "open reader writer DictReader DictWriter iter map filter zip enumerate reversed connect cursor "
    "execute Popen ZipFile TarFile GzipFile File Dataset memmap Lock Thread finditer iglob scandir "
    "iterdir glob rglob walk chain islice groupby product combinations permutations".split()
)
"""Functions that give what may not be sent: files, connections, iterators."""
SAYS = frozenset({"print", "debug", "info", "warning", "error", "exception", "log", "write"})
ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod)


Dotted = Callable[[str], str | None]
"""The full name of what a path names that was imported: `listdir` -> `os.listdir`."""


def looked_at_by_others(node: ast.For, dotted: Dotted) -> Iterator[tuple[ast.AST, str]]:
    """Where the body looks at files that other iterations may have written, and a reason.

    Only what stands in the body itself is looked at: which files a called function writes is one of
    the promise's limits.
    """
    targets = set(target_names(node.target))
    calls = [n for stmt in node.body for n in walk(stmt) if isinstance(n, ast.Call)]
    writing = next((n for n in calls if _writes(n, dotted)), None)
    if writing is None:
        return
    for call in calls:
        if _lists(call, dotted) and not targets & _names(call):
            shown = ast.unparse(call)
            yield (
                call,
                f"`{shown}` sees what other iterations have written (line {writing.lineno}); "
                "list it before the loop or after it",
            )
    names = {ast.unparse(n): n for n in _numbers_in_names(calls, node.body, targets)}
    odd = [n for n in names.values() if isinstance(n, ast.BinOp)]
    if odd and len(names) > 1:
        others = ", ".join(f"`{text}`" for text in names if names[text] is not odd[0])
        yield (
            odd[0],
            f"a name made with `{ast.unparse(odd[0])}` may be that of a file which another iteration "
            f"writes, for others are made with {others}; keep what is handed on in a variable",
        )


def wanted_at_home(body: list[ast.stmt], dotted: Dotted) -> set[str]:
    """Variables for which the last iteration would be done once more here, in a body that must not be.

    A worker cannot send an open file or an iterator; and what has removed a file, or moved it, finds
    it gone when it is done again. What reads files and writes some may have written what it reads.
    """
    nodes = [n for stmt in body for n in walk(stmt)]
    calls = [n for n in nodes if isinstance(n, ast.Call)]
    once = any(_only_once(n, dotted) for n in calls)
    rewrites = any(_writes(n, dotted) for n in calls) and any(_reads(n, dotted) for n in calls)
    if not once and not rewrites:
        return set()
    found: set[str] = set()
    for n in nodes:
        if isinstance(n, ast.withitem) and n.optional_vars is not None:
            if once or _stays(n.context_expr):
                found |= _names(n.optional_vars)
        elif isinstance(n, ast.Assign) and _stays(n.value):
            found.update(*map(_names, n.targets))
        elif isinstance(n, (ast.NamedExpr, ast.AnnAssign)) and n.value and _stays(n.value):
            found |= _names(n.target)
        elif isinstance(n, (ast.FunctionDef, ast.ClassDef)):
            found.add(n.name)
    return found


def _only_once(call: ast.Call, dotted: Dotted) -> bool:
    if any(k.arg in ("exist_ok", "missing_ok", "dirs_exist_ok") for k in call.keywords):
        return False
    if _full_name(call, dotted) in ONCE:
        return True
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in ONCE_METHODS:
        return False
    # Texts are replaced by others: `text.replace(a, b)`.
    return call.func.attr != "replace" or len(call.args) == 1


def _reads(call: ast.Call, dotted: Dotted) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else path_of(call.func) or ""
    return name.startswith(("open", "read", "load", "imread")) and not _writes(call, dotted)


def _stays(value: ast.expr) -> bool:
    if isinstance(value, ast.Tuple):
        return any(map(_stays, value.elts))
    if isinstance(value, ast.Call):
        name = value.func.attr if isinstance(value.func, ast.Attribute) else path_of(value.func)
        return (name or "").rpartition(".")[2] in STAYS
    return isinstance(value, (ast.GeneratorExp, ast.Lambda))


def _writes(call: ast.Call, dotted: Dotted) -> bool:
    name = _full_name(call, dotted)
    if name == "open":
        modes = [*call.args[1:2], *(k.value for k in call.keywords if k.arg == "mode")]
        mode = modes[0].value if modes and isinstance(modes[0], ast.Constant) else ""
        return isinstance(mode, str) and bool(set(mode) & set("wax+"))
    method = isinstance(call.func, ast.Attribute) and call.func.attr in WRITING_METHODS
    return name in fx.FILE_CHANGES or name in STARTS or method


def _lists(call: ast.Call, dotted: Dotted) -> bool:
    method = isinstance(call.func, ast.Attribute) and call.func.attr in LISTING_METHODS
    return method or _full_name(call, dotted) in LISTS


def _full_name(call: ast.Call, dotted: Dotted) -> str:
    path = path_of(call.func) or ""
    return dotted(path) or path


def _names(node: ast.AST) -> set[str]:
    return {n.id for n in walk(node) if isinstance(n, ast.Name)}


def _numbers_in_names(
    calls: list[ast.Call], body: list[ast.stmt], targets: set[str]
) -> Iterator[ast.expr]:
    """What stands for the loop's target in texts that may name files."""
    said = {id(n) for c in calls if _says(c) for a in c.args for n in walk(a)}
    for n in (n for stmt in body for n in walk(stmt)):
        if id(n) in said:
            continue
        found: ast.expr | None = None
        if isinstance(n, ast.FormattedValue):
            found = n.value
        elif isinstance(n, ast.Call) and path_of(n.func) == "str" and n.args:
            found = n.args[0]
        plain = isinstance(found, ast.Name)
        moved = isinstance(found, ast.BinOp) and isinstance(found.op, ARITHMETIC)
        if found is not None and (plain or moved) and targets & _names(found):
            yield found


def _says(call: ast.Call) -> bool:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else path_of(function)
    return name in SAYS
