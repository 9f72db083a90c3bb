"""Files of one name that a loop's own body writes in several iterations, and looks at.

They are written in order, in the user's process, whoever writes them: `open`, `np.save`,
`frame.to_csv`, `zipfile.ZipFile`. What work would see of such a file is not what the plain loop sees.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from allcores.plan import effects as fx
from allcores.plan.fixed_names import PARTS, PATHS, SAVERS
from allcores.plan.names import path_of, walk

if TYPE_CHECKING:
    from allcores.plan.calls import Calls

OPENERS = {
    **dict.fromkeys("gzip.open bz2.open lzma.open io.open codecs.open".split(), "r"),
    **dict.fromkeys("zipfile.ZipFile tarfile.open gzip.GzipFile h5py.File".split(), "r"),
    **dict.fromkeys("pandas.HDFStore shelve.open dbm.open".split(), "a"),
    "pandas.ExcelWriter": "w",
    "numpy.memmap": "c",
}
"""What opens the file that its first argument names, and for what where no mode is given."""
MODES_SECOND = frozenset(name for name in OPENERS if name != "numpy.memmap")
PATH_WRITERS = frozenset("write_text write_bytes touch".split())
PATH_CHANGES = frozenset("unlink rename replace symlink_to hardlink_to".split())
"""Methods of paths of which the names say little: other objects have such ones as well."""
LOOKS = tuple(
    """read load exists stat lstat lexists access is_file is_dir isfile isdir islink getsize getmtime
    getctime open genfromtxt fromfile imread memmap ZipFile File samefile""".split()
)
"""How the names of functions begin that look at the file they are given."""
NAMES = (ast.Constant, ast.Name, ast.Attribute, ast.JoinedStr, ast.FormattedValue, ast.BinOp)
NAMES_IN = (ast.Add, ast.Div, ast.Load, ast.Call, ast.Subscript)


def written(reader: Calls, call: ast.Call) -> ast.expr | None:
    """The name of the file that a call in the body writes, if other iterations do so as well."""
    name, mode = _file_of(reader, call)
    if name is None or not set(mode) & set("wax+"):
        return None
    again = "a" in mode and not reader.names_its_iteration(name)
    return name if again or is_same(reader, name) else None


def _file_of(reader: Calls, call: ast.Call) -> tuple[ast.expr | None, str]:
    """What names the file that a call may write, and how it is opened."""
    function = call.func
    path = path_of(function) or ""
    full = reader.around.dotted(path) or path
    first = call.args[0] if call.args else None
    if full in OPENERS:
        return first, _mode(call, 1 if full in MODES_SECOND else 2, OPENERS[full])
    if not isinstance(function, ast.Attribute):
        return None, ""
    owner = function.value
    if function.attr == "open" and _is_path(reader, owner):
        return owner, _mode(call, 0, "r")
    if function.attr in PATH_WRITERS or (function.attr in PATH_CHANGES and _is_path(reader, owner)):
        return owner, "w"
    if function.attr in SAVERS:
        return first, _mode(call, len(call.args) + 1, "w")
    return None, ""


def _mode(call: ast.Call, position: int, otherwise: str) -> str:
    modes = [*call.args[position : position + 1]]
    modes += [k.value for k in call.keywords if k.arg in ("mode", "flag")]
    if not modes:
        return otherwise
    return str(modes[0].value) if isinstance(modes[0], ast.Constant) else "r"


def _is_path(reader: Calls, node: ast.expr) -> bool:
    """Whether this is seen to be a path of `pathlib`."""
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Div)
    name = path_of(node.func) if isinstance(node, ast.Call) else None
    return name is not None and (reader.around.dotted(name) or name).endswith("Path")


def is_same(reader: Calls, name: ast.expr) -> bool:
    """Whether a file's name is made of nothing that the body binds."""
    for n in walk(name):
        if isinstance(n, ast.Name):
            if n.id in reader.body_names and not reader.same_named.get(n.id, False):
                return False
        elif isinstance(n, ast.Call):
            path = path_of(n.func) or ""
            part = isinstance(n.func, ast.Attribute) and n.func.attr in PARTS
            if not part and (reader.around.dotted(path) or path) not in PATHS:
                return False
        elif not isinstance(n, (*NAMES, *NAMES_IN)):
            return False
    return True


def stale_looks(reader: Calls, body: list[ast.stmt]) -> Iterator[tuple[ast.AST, str]]:
    """Where work looks at a file that is written in order, and a reason."""
    if not reader.files_written:
        return
    names = {_plain(name): call for call, name in reader.files_written.items()}
    for call in (n for stmt in body for n in walk(stmt) if isinstance(n, ast.Call)):
        if call in reader.files_written or call not in reader.info or reader.info[call].tainted:
            continue
        given = _looked_at(reader, call)
        by = names.get(_plain(given)) if given is not None else None
        if by is not None:
            text = "`{}` looks at a file that other iterations write (line {})"
            yield call, text.format(ast.unparse(call), by.lineno)


def _looked_at(reader: Calls, call: ast.Call) -> ast.expr | None:
    function = call.func
    last = function.attr if isinstance(function, ast.Attribute) else path_of(function) or ""
    if not last.startswith(LOOKS):
        return None
    path = path_of(function) or ""
    module = isinstance(function, ast.Name) or reader.around.dotted(path) is not None
    if module:
        return call.args[0] if call.args else None
    return function.value if isinstance(function, ast.Attribute) else None


def _plain(name: ast.expr) -> str:
    """How a name is written, whether or not it is made a path."""
    while isinstance(name, ast.Call) and len(name.args) == 1:
        if (path_of(name.func) or "").rpartition(".")[2] not in ("Path", "str", "fspath"):
            break
        name = name.args[0]
    return ast.unparse(name)


def changed_in_order(reader: Calls, call: ast.Call, dotted: str) -> None:
    """Note the names of files that a call such as `os.remove(·)` changes."""
    for k in fx.FILE_CHANGES[dotted]:
        if k < len(call.args):
            reader.files_written[call] = call.args[k]
