"""The objects behind the names: functions to follow, and objects that are the same under two names."""

from __future__ import annotations

import ast
import linecache
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from types import BuiltinMethodType, FunctionType, MethodType, ModuleType
from typing import Any

from allcores.plan.effects import ITEM, LOGGING, MUTATORS, in_words, module_root
from allcores.plan.model import Plan
from allcores.plan.names import children
from allcores.plan.quiet import quiet_parse
from allcores.plan.source import Module, Surroundings
from allcores.plan.summaries import CALLED, Reading, Summary

_modules: dict[str, Module | None] = {}
_CODE = (ModuleType, type, FunctionType, MethodType, BuiltinMethodType)
_libraries = tuple({os.path.join(os.path.dirname(m.__file__ or ""), "") for m in (os, linecache)})
"""The standard library, and the site-packages within it."""
_package = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")
BUDGET = 200_000
"""Objects looked at when searching for one object inside another."""
HANDLES = {
    "socket.socket": "a socket",
    "_thread.lock": "a lock",
    "_thread.RLock": "a lock",
    "sqlite3.Connection": "a database connection",
    "sqlite3.Cursor": "a database cursor",
    "threading.Condition": "a lock",
    "threading.Event": "an event",
    "threading.Thread": "a thread",
    "queue.Queue": "a queue",
    "_queue.SimpleQueue": "a queue",
    "subprocess.Popen": "a process",
    "ssl.SSLSocket": "a socket",
    "mmap.mmap": "a memory map",
}


def lookup(path: str, names: dict[str, Any], namespace: dict[str, Any]) -> Any:
    """The object at a path, found without running user code. LookupError when there is none."""
    head, *rest = path.split(".")
    if head[0] == "@":
        obj = sys.modules.get(head[1:].replace("/", "."))
        if obj is None:
            raise LookupError(path)
    elif head in names:
        obj = names[head]
    elif head in namespace:
        obj = namespace[head]
    elif head in sys.modules and rest:
        obj = sys.modules[head]
    else:
        raise LookupError(path)
    for attr in rest:
        obj = plain_attribute(obj, attr)
    return obj


def plain_attribute(obj: Any, attr: str) -> Any:
    """An attribute stored on the object or its classes; LookupError for computed ones."""
    if isinstance(obj, ModuleType):
        try:
            return obj.__dict__[attr]
        except KeyError:
            raise LookupError(attr) from None
    own = getattr(obj, "__dict__", None)
    classes = obj.__mro__ if isinstance(obj, type) else type(obj).__mro__
    if isinstance(own, dict) and attr in own:
        return own[attr]
    for cls in classes:
        if attr in cls.__dict__:
            found = cls.__dict__[attr]
            if isinstance(found, (staticmethod, classmethod)):
                return found.__func__
            if isinstance(found, FunctionType):
                return found if isinstance(obj, type) else MethodType(found, obj)
            if type(found).__name__ == "member_descriptor":
                try:
                    return getattr(obj, attr)
                except AttributeError:
                    raise LookupError(attr) from None
            if not hasattr(type(found), "__get__"):
                return found
            raise LookupError(attr)
    raise LookupError(attr)


class Names:
    """The objects that names stand for in one place of the program: `source.Live`."""

    def __init__(self, names: dict[str, Any], namespace: dict[str, Any]) -> None:
        """names: local variables; namespace: the globals."""
        self.names, self.namespace = names, namespace

    def outside(self) -> Names:
        """The same for code that does not see the local variables."""
        return Names({}, self.namespace) if self.names else self

    def summary(self, path: str, depth: int, reading: Reading) -> Summary | None:
        """What calling the object at a path does, by reading the live function's source."""
        try:
            obj = lookup(path, self.names, self.namespace)
        except LookupError:
            return None
        reader = _Reader(self.namespace, depth, reading)
        return reader.summary_of(obj) or reader.summary_of_instance(path, obj)

    def is_value(self, path: str) -> bool | None:
        """Whether there is an object that is no module, class or function; None: not known."""
        try:
            obj = lookup(path, self.names, self.namespace)
        except LookupError:
            return None
        return not isinstance(obj, _CODE)

    def is_talker(self, path: str) -> bool:
        """Whether there is a logger or a standard stream."""
        try:
            return talker(lookup(path, self.names, self.namespace))
        except LookupError:
            return False

    def is_lock(self, path: str) -> bool:
        """Whether there is a lock that is free."""
        try:
            return free_lock(lookup(path, self.names, self.namespace))
        except LookupError:
            return False

    def imported(self, full: str) -> str:
        """The root of something with this full name, its own module's names among them."""
        root = _imported_root(full)
        name = self.namespace.get("__name__")
        return root.removeprefix(f"{module_root(name)}.") if isinstance(name, str) else root

    def canonical(self, path: str) -> str:
        """A path that begins with a module, as `@module.attribute`."""
        head, *rest = path.split(".")
        if head[0] == "@":
            return path
        obj = self.names.get(head, self.namespace.get(head))
        if not isinstance(obj, ModuleType):
            return path
        while rest and isinstance(obj.__dict__.get(rest[0]), ModuleType):
            obj = obj.__dict__[rest.pop(0)]
        if obj.__dict__ is self.namespace and rest:
            return ".".join(rest)
        name = obj.__name__
        if sys.modules.get(name) is not obj:
            return path
        return ".".join([module_root(name), *rest])


def talker(obj: Any) -> bool:
    """Whether what this is told in workers comes home: a logger, or where this program prints."""
    if obj is not None and (obj is sys.stdout or obj is sys.stderr):
        return True
    logging = sys.modules.get("logging")
    if logging is None:
        return False
    if type(obj) is logging.LoggerAdapter:
        obj = obj.logger
    return isinstance(obj, logging.Logger)


def free_lock(obj: Any) -> bool:
    """Whether this is a lock of this process alone, and nobody holds it."""
    kind = f"{type(obj).__module__}.{type(obj).__qualname__}"
    if kind == "_thread.lock":
        return not obj.locked()
    if kind == "_thread.RLock":
        if not obj.acquire(False):
            return False
        obj.release()
        return True
    if kind == "threading.Condition":
        return free_lock(obj._lock)
    if kind in ("threading.Semaphore", "threading.BoundedSemaphore"):
        return obj._value > 0 and free_lock(obj._cond)
    return False


def _seen_from(root: str, path: str) -> str:
    """A root of `__call__`, whose first argument is the object at `path`."""
    head, dot, rest = root.partition(".")
    if head == "$0":
        return path + dot + rest
    if head.startswith("$"):
        return f"${int(head[1:]) - 1}{dot}{rest}"
    return root


def _imported_root(full: str) -> str:
    parts = full.split(".")
    for k in range(len(parts), 0, -1):
        if ".".join(parts[:k]) in sys.modules:
            return ".".join([module_root(".".join(parts[:k])), *parts[k:]])
    return full


class _Reader:
    """Reads live functions on behalf of code whose globals are `namespace`."""

    def __init__(self, namespace: dict[str, Any], depth: int, reading: Reading) -> None:
        self.namespace, self.depth, self.reading = namespace, depth, reading

    def summary_of(self, obj: Any) -> Summary | None:
        """What calling this object does, or None when its source cannot be read."""
        static = not isinstance(obj, MethodType)
        if isinstance(obj, MethodType):
            obj = obj.__func__
        if isinstance(obj, type):
            return self.summary_of_class(obj)
        if not isinstance(obj, FunctionType):
            return None
        code = obj.__code__
        if code.co_filename.startswith((_package, *_libraries)):
            return None
        if f"{os.sep}site-packages{os.sep}" in code.co_filename:
            return None
        module = module_of(code.co_filename, obj.__globals__)
        if module is None:
            return None
        node, chain = find_function(module, code.co_name, code.co_firstlineno)
        if node is None:
            return None
        cells = _cells(obj)
        around = Surroundings(
            module, chain, Names(cells, obj.__globals__), self.depth, self.reading
        )
        inner = around.summarise(node, tuple(v for v in cells.values() if callable(v)))
        inner = inner.but(is_static=static or inner.is_static)
        if obj.__globals__ is self.namespace:
            return inner
        return self.brought_here(inner, obj, os.path.basename(code.co_filename))

    def summary_of_class(self, cls: type) -> Summary | None:
        owner = next((c for c in cls.__mro__ if "__init__" in c.__dict__), object)
        init = owner.__dict__["__init__"]
        inner = self.summary_of(init) if isinstance(init, FunctionType) else None
        if inner is None:
            return None
        plain = owner.__mro__ == (owner, object) and "__new__" not in cls.__dict__
        return inner.but(is_class=True, fields=inner.fields if plain else None)

    def summary_of_instance(self, path: str, obj: Any) -> Summary | None:
        """What calling an object does that is no function: a bound builtin, a partial, an instance."""
        kind = type(obj)
        owner = getattr(obj, "__self__", None)
        if isinstance(obj, BuiltinMethodType):
            changes = (
                owner is not None and not isinstance(owner, ModuleType) and obj.__name__ in MUTATORS
            )
            return Summary(0, {path}) if changes else None
        if kind.__module__ == "functools" and kind.__name__ == "partial":
            inner = self.summary_of(obj.func)
            return Summary(inner.line, {path}) if inner is not None and inner.changes else inner
        call = kind.__dict__.get("__call__")
        inner = self.summary_of(call) if isinstance(call, FunctionType) else None
        if inner is None:
            return None
        seen = Summary(
            inner.line,
            {_seen_from(r, path) for r in inner.changes},
            {_seen_from(r, path) for r in inner.reads},
        )
        return seen.but(
            stores={_seen_from(r, path) for r in inner.stores},
            augments={_seen_from(r, path) for r in inner.augments},
            talks={_seen_from(r, path) for r in inner.talks},
            locks={_seen_from(r, path) for r in inner.locks},
        )

    def brought_here(self, inner: Summary, function: FunctionType, file: str) -> Summary:
        """What was read in another module, in this one's names."""
        name = function.__globals__.get("__name__")
        module = sys.modules.get(name) if isinstance(name, str) else None
        if module is None or module.__dict__ is not function.__globals__:
            return inner.but(file=file)
        here = self.namespace.get("__name__")
        home = f"{module_root(here)}." if isinstance(here, str) else "."
        own = frozenset(function.__code__.co_freevars)

        def translated(root: str) -> str:
            if root[0] == "@":
                return root.removeprefix(home)
            if root[0] in "$#" or root.partition(".")[0] in own:
                return root
            return f"{module_root(module.__name__)}.{root}"

        return inner.renamed(translated, file)


def _cells(function: FunctionType) -> dict[str, Any]:
    """What the variables of the functions around this one hold."""
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            pass  # not bound yet
    return found


def module_of(filename: str, namespace: dict[str, Any]) -> Module | None:
    """The parsed module of a source file, read once."""
    if filename not in _modules:
        text = "".join(linecache.getlines(filename, namespace))
        try:
            _modules[filename] = Module(quiet_parse(text, filename), filename) if text else None
        except (SyntaxError, ValueError):
            _modules[filename] = None
    return _modules[filename]


def find_function(
    module: Module, name: str, line: int
) -> tuple[ast.FunctionDef | None, list[ast.AST]]:
    """The `def` at a line, with the scopes around it and itself."""
    if module.functions is None:
        module.functions = dict(_functions(module.tree.body, []))
    return module.functions.get((name, line), (None, []))


def _functions(
    nodes: Iterable[ast.AST], chain: list[ast.AST]
) -> Iterator[tuple[tuple[str, int], tuple[ast.FunctionDef, list[ast.AST]]]]:
    for node in nodes:
        below = chain
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            below = [*chain, node]
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if isinstance(node, ast.FunctionDef):
                yield (node.name, first), (node, below)
        if not isinstance(node, ast.expr):
            yield from _functions(children(node), below)


def obstacle(
    plan: Plan, iterable: Any, plain: bool, names: dict[str, Any], namespace: dict[str, Any]
) -> str | None:
    """Why the objects at hand forbid what the source allows, or None.

    plain: the iterable is a sequence, or a zip or enumerate of sequences.

    Either the loop changes an object that its work reads under another name, or work uses
    something that processes cannot share.
    """
    for path in sorted(plan.talks - {LOGGING}):
        if not _all(path, Names.is_talker, iterable, names, namespace):
            return f"`{_item_in_words(path)}` is no logger or standard stream, so what it is told must be told in order"
    for path in sorted(plan.locks):
        if not _all(path, Names.is_lock, iterable, names, namespace):
            return f"`{_item_in_words(path)}` is no lock, or somebody holds it"
    read: list[tuple[str, Any]] = []
    owners: list[tuple[str, Any, str]] = []
    for full in plan.work_reads:
        path = full.removesuffix(CALLED)
        try:
            obj = lookup(path, names, namespace)
        except LookupError:
            head = path.partition(".")[0]
            obj = names.get(head, namespace.get(head))
        handle = handle_of(obj)
        if handle is not None:
            return f"`{path}` is {handle}, which workers cannot share; make it inside the loop"
        code = isinstance(obj, (ModuleType, type, FunctionType)) or (
            path != full and _has_been_read(obj, path, plan.file, names, namespace)
        )
        if not code:
            read.append((path, obj))
        owners += owners_of(path, names, namespace)
    changed = changed_objects(plan, names, namespace)
    # The iteration's own item may be changed, but not the others' under another name.
    why = _Search(changed).through([("what the loop runs over", iterable)]) if changed else None
    if any(path.startswith("$") for path in plan.changed):
        if not hasattr(type(iterable), "__len__") and not plain:
            return "items are changed in place, and where an iterator has them from is not known"
        changed["an item"] = (iterable, True)
    attributes = {
        (id(owner), attr): path
        for path in plan.changed
        for _, owner, attr in owners_of(path, names, namespace)[-1:]
    }
    for path, owner, attr in owners:
        other = attributes.get((id(owner), attr))
        if other is not None:
            return f"`{other}`, which the loop changes, is also read as `{path}`"
    if not changed:
        return None
    search = _Search(changed)
    for path, owner, _ in owners:
        if id(owner) in search.targets:
            other = search.targets[id(owner)]
            return f"`{other}`, which the loop changes, is also read as `{path}`"
    return search.through(read) or why


def _all(
    path: str,
    test: Callable[[Names, str], bool],
    iterable: Any,
    names: dict[str, Any],
    namespace: dict[str, Any],
) -> bool:
    """Whether a path, of every item where it is one of items, stands the test."""
    if path.partition(".")[0] != ITEM:
        return test(Names(names, namespace), path)
    if not isinstance(iterable, (list, tuple)) or len(iterable) > BUDGET:
        return False
    return all(test(Names({ITEM: item}, {}), path) for item in iterable)


def _item_in_words(path: str) -> str:
    return in_words(path).replace(ITEM, "an item", 1)


def _has_been_read(
    obj: Any, path: str, file: str, names: dict[str, Any], namespace: dict[str, Any]
) -> bool:
    """Whether a path names a method of its object that was found by its name, in this file."""
    owner, _, name = path.rpartition(".")
    if not owner or not isinstance(obj, MethodType) or not isinstance(obj.__func__, FunctionType):
        return False
    if obj.__func__.__name__ != name or obj.__func__.__code__.co_filename != file:
        return False
    return lookup(owner, names, namespace) is obj.__self__


def owners_of(
    path: str, names: dict[str, Any], namespace: dict[str, Any]
) -> list[tuple[str, Any, str]]:
    """For each attribute on a path: the path, the object that has it, and its name."""
    parts = path.split(".")
    found: list[tuple[str, Any, str]] = []
    for k in range(1, len(parts)):
        try:
            owner = lookup(".".join(parts[:k]), names, namespace)
        except LookupError:
            break
        if not isinstance(owner, (ModuleType, type)):
            found.append((path, owner, parts[k]))
    return found


def handle_of(obj: Any) -> str | None:
    """In words what kind of unshareable thing this is, if it is one."""
    kind = type(obj)
    if free_lock(obj):
        return None  # each worker has its own
    if hasattr(kind, "__next__"):
        return "an iterator or open file"
    known = HANDLES.get(f"{kind.__module__}.{kind.__qualname__}")
    return known


def changed_objects(
    plan: Plan, names: dict[str, Any], namespace: dict[str, Any]
) -> dict[str, tuple[Any, bool]]:
    """The live objects that commits change: path -> (object, things inside it as well)."""
    found: dict[str, tuple[Any, bool]] = {}
    for path, deep in plan.changed.items():
        if path.startswith("$"):
            continue
        try:
            obj = lookup(path, names, namespace)
        except LookupError:
            head, _, _ = path.partition(".")
            if head not in names and head not in namespace:
                continue
            obj, deep = names.get(head, namespace.get(head)), True
        if not isinstance(
            obj, (int, float, complex, str, bytes, type(None), ModuleType, FunctionType)
        ):
            found[path] = (obj, deep)
    return found


class _Search:
    """Looks for changed objects among everything that can be reached from others."""

    def __init__(self, changed: dict[str, tuple[Any, bool]]) -> None:
        from allcores.plan.reach import reachable

        self.reachable = reachable
        self.targets: dict[int, str] = {}
        self.arrays: list[tuple[str, Any]] = []
        self.full = False
        for path, (obj, deep) in changed.items():
            found = list(reachable(obj, BUDGET)) if deep else [obj]
            if len(found) >= BUDGET:
                self.full = True
            for o in found:
                self.targets[id(o)] = path
                if type(o).__name__ == "ndarray":
                    self.arrays.append((path, o))

    def through(self, read: list[tuple[str, Any]]) -> str | None:
        if self.full:
            return "the objects that the loop changes are too many to be checked for second names"
        for name, obj in read:
            count = 0
            for o in self.reachable(obj, BUDGET):
                count += 1
                path = self.targets.get(id(o))
                if path is None and type(o).__name__ == "ndarray":
                    path = self.overlapping(o)
                if path is not None:
                    return f"`{path}`, which the loop changes, is also reached through {name!r}"
            if count >= BUDGET:
                return f"{name!r} holds too many objects to be checked for what the loop changes"
        return None

    def overlapping(self, array: Any) -> str | None:
        np = sys.modules["numpy"]
        for path, other in self.arrays:
            if np.may_share_memory(array, other):
                return path
        return None
