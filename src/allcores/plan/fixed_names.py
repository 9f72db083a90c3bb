"""Files that a function writes under the same name every time it is called.

Iterations that write one file at the same time, or read what another one has written, are not the
plain loop. Only names that are certainly the same are found: which files a function writes whose
names it is given is one of the promise's limits.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cached_property

from allcores.plan.names import binds, parameter_names, path_of, walk_scope
from allcores.plan.source import Surroundings

WRITERS = frozenset("write_text write_bytes".split())
"""Methods of paths that write the file itself."""
SAVERS = frozenset(
    "save savez savez_compressed savetxt savefig imsave imwrite to_csv to_parquet to_pickle to_json "
    "to_excel to_feather to_hdf tofile".split()
)
"""What writes the file that its first argument names."""
PATHS = frozenset(
    """Path PurePath pathlib.Path os.path.join posixpath.join os.path.abspath os.path.realpath
    os.path.expanduser os.path.dirname os.path.normpath str os.fspath os.getcwd Path.cwd Path.home
    pathlib.Path.cwd pathlib.Path.home tempfile.gettempdir""".split()
)
PARTS = frozenset(
    """joinpath with_suffix with_name with_stem resolve absolute expanduser as_posix format join cwd
    home""".split()
)
DEVICES = ("/dev/", "/proc/")
WRITES = "writes the file"
MANY = 12
"""Variables that one name may go through."""


def with_files_written(
    node: ast.FunctionDef, around: Surroundings, refusals: list[str]
) -> list[str]:
    """What a function does that keeps a loop serial, such files among it.

    refusals: what is known besides, of what it calls as well. Where it goes to another folder,
    names that look the same are other files.
    """
    calls = [n for n in walk_scope(*node.body) if isinstance(n, ast.Call)]
    if any((path_of(c.func) or "").endswith("chdir") for c in calls):
        return list(dict.fromkeys(r for r in refusals if not r.startswith(WRITES)))
    return list(dict.fromkeys([*refusals, *_written_each_time(calls, _Names(node, around))]))


def _written_each_time(calls: list[ast.Call], names: _Names) -> Iterator[str]:
    """What the function does to such files, in words that go on after its name."""
    # A file that is only made is the same whoever makes it.
    made = {
        c.func.value for c in calls if isinstance(c.func, ast.Attribute) and c.func.attr == "close"
    }
    for call in calls:
        if call in made:
            continue
        name = _file_written(call, names)
        names.followed = 0
        if name is not None and names.is_fixed(name) and not names.is_device(name):
            shown = ast.unparse(name)
            yield (
                f"{WRITES} `{shown}` (line {call.lineno}), which is the same one in every "
                "iteration; give each a file of its own, or write it in the loop's own body"
            )


def _file_written(call: ast.Call, names: _Names) -> ast.expr | None:
    """What names the file that a call writes, if it does."""
    function = call.func
    first = call.args[0] if call.args else None
    if isinstance(function, ast.Name):
        return first if function.id == "open" and _writes(call, 1) else None
    if not isinstance(function, ast.Attribute):
        return None
    full = names.full_name(function)
    if full in ("io.open", "gzip.open", "bz2.open", "lzma.open", "codecs.open"):
        return first if _writes(call, 1) else None
    if function.attr == "open" and _writes(call, 0):
        return function.value  # of a path
    if function.attr in WRITERS:
        return function.value
    return first if function.attr in SAVERS else None


def _writes(call: ast.Call, position: int) -> bool:
    modes = [*call.args[position : position + 1]]
    modes += [k.value for k in call.keywords if k.arg == "mode"]
    mode = modes[0].value if modes and isinstance(modes[0], ast.Constant) else ""
    # Lines that are added come in another order: one of the promise's limits.
    return isinstance(mode, str) and bool(set(mode) & set("wx+"))


class _Names:
    """What is known of the names of files in a function."""

    def __init__(self, node: ast.FunctionDef, around: Surroundings) -> None:
        self.node, self.around = node, around
        self.followed = 0

    @cached_property
    def local(self) -> dict[str, ast.expr | None]:
        return _bound_once(self.node.body) | dict.fromkeys(parameter_names(self.node.args))

    def full_name(self, function: ast.expr) -> str:
        path = path_of(function) or ""
        return self.around.dotted(path) or path

    def is_device(self, node: ast.expr) -> bool:
        found = self.binding(node.id) if isinstance(node, ast.Name) else None
        value = found or node
        if isinstance(value, ast.Call) and value.args:
            value = value.args[0]
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value.value.startswith(DEVICES)
        return self.full_name(value) in ("os.devnull", "posixpath.devnull")

    def binding(self, name: str) -> ast.expr | None:
        """What the name is bound to, once and for all."""
        if name in self.local:
            return self.local[name]
        for scope in reversed(self.around.chain):
            if isinstance(scope, ast.FunctionDef) and scope is not self.node:
                known: dict[str, ast.expr | None] = _bound_once(scope.body) | dict.fromkeys(
                    parameter_names(scope.args)
                )
                if name in known:
                    return known[name]
        module = self.around.module
        if module.bound.get(name) != 1:
            return None
        if module.bound_once is None:
            module.bound_once = _bound_once(module.tree.body)
        return module.bound_once.get(name)

    def is_fixed(self, node: ast.expr) -> bool:
        """Whether this is a file's name that is the same in every call."""
        if isinstance(node, ast.Constant):
            return isinstance(node.value, (str, bytes))
        if isinstance(node, ast.Name):
            if node.id == "__file__":
                return True
            found = self.binding(node.id)
            self.followed += 1
            return found is not None and self.followed < MANY and self.is_fixed(found)
        if isinstance(node, ast.JoinedStr):
            return all(self.is_fixed(part) for part in node.values)
        if isinstance(node, ast.FormattedValue):
            return self.is_fixed(node.value)
        if isinstance(node, ast.BinOp):
            return self.is_fixed(node.left) and self.is_fixed(node.right)
        if isinstance(node, ast.Attribute):
            return node.attr in ("parent", "name", "stem") and self.is_fixed(node.value)
        if isinstance(node, ast.Call) and not node.keywords:
            if isinstance(node.func, ast.Attribute) and node.func.attr in PARTS:
                if self.is_fixed(node.func.value):
                    return all(map(self.is_fixed, node.args))
            return self.full_name(node.func) in PATHS and all(map(self.is_fixed, node.args))
        return False


def _bound_once(body: list[ast.stmt]) -> dict[str, ast.expr | None]:
    """What each variable is bound to; None where it is bound again, or in another way."""
    times: Counter[str] = Counter()
    values: dict[str, ast.expr] = {}
    for n in walk_scope(*body):
        times.update(binds(n))
        if isinstance(n, ast.Assign) and len(n.targets) == 1 and isinstance(n.targets[0], ast.Name):
            values[n.targets[0].id] = n.value
    return {name: values.get(name) if times[name] == 1 else None for name in times}
