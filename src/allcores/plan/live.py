"""The objects behind the names: functions to follow, and objects that are the same under two names."""

from __future__ import annotations

import gc
import sys
from collections import deque
from collections.abc import Callable, Iterable
from functools import cached_property
from types import BuiltinFunctionType, BuiltinMethodType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

from allcores.plan.callables import (
    Callables,
    attributes_of,
    attributes_within,
    cells_of,
    is_per_worker,
    within,
)
from allcores.plan.draws import HIDDEN, Kind, hidden_part, kind_of
from allcores.plan.effects import ANY, ELEMENTS, ITEM, KEPT, KINDS, LOGGING, in_words, module_root
from allcores.plan.handles import free_lock, why_not_shared
from allcores.plan.hearing import heard_and_read
from allcores.plan.implicit import ONLY_ITS_OWN
from allcores.plan.kinds import instance_dict, is_a, is_array
from allcores.plan.model import Plan
from allcores.plan.own_elements import shared_elements
from allcores.plan.own_kinds import methods_of, own_kinds
from allcores.plan.ownership import is_own_module
from allcores.plan.reach import ATOMS, memory_of, reachable, stores_of
from allcores.plan.summaries import CALLED, Asked, Place, Reading, Summary
from allcores.plan.table import changes_its_object, full_name

_DEFINED = (FunctionType, staticmethod, classmethod)
CONTAINERS = frozenset({list, tuple, dict, set, frozenset, deque})
SETTLED = ATOMS | {FunctionType, BuiltinFunctionType, ModuleType, type(...), slice}
SETTLED_BY_NAME = frozenset(
    """allcores.engine.per_worker.PerWorker re.Pattern decimal.Decimal fractions.Fraction
    datetime.date datetime.datetime datetime.timedelta datetime.time datetime.timezone uuid.UUID pathlib.PosixPath
    pathlib.WindowsPath pathlib.PurePosixPath pathlib.PureWindowsPath pathlib._local.PosixPath
    pathlib._local.WindowsPath pathlib._local.PurePosixPath pathlib._local.PureWindowsPath""".split()
)
"""What nobody changes, or what gives each worker its own."""
_CODE = (ModuleType, type, FunctionType, MethodType, BuiltinMethodType)
STANDARD_NAMES = {"posix": "os", "posixpath": "os.path"}
"""The names by which programs know these modules."""
MOST_SEEN = 10_000
"""Of so many objects in a container the types are looked at."""
BUDGET = 200_000
"""Objects looked at when searching for one object inside another."""
FEW = 2_000
"""As many where a module is all that is looked for."""


def lookup(path: str, names: dict[str, Any], namespace: dict[str, Any]) -> Any:
    """The object at a path, found without running user code. LookupError when there is none."""
    head, *rest = path.split(".")
    if head[:1] == "@":
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
        obj = builtin(head, namespace)
    for attr in rest:
        hidden = attr[0] == HIDDEN
        obj = hidden_part(obj, attr) if hidden else plain_attribute(obj, attr)
    return obj


def builtin(name: str, namespace: dict[str, Any]) -> Any:
    """The builtin of this name, as the program has it; LookupError when there is none."""
    found = namespace.get("__builtins__")
    builtins = found.__dict__ if is_a(found, ModuleType) else found
    if not isinstance(builtins, dict) or name not in builtins:
        raise LookupError(name)
    return builtins[name]


def plain_attribute(obj: Any, attr: str) -> Any:
    """An attribute stored on the object or its classes; LookupError for computed ones."""
    if attr in ("__defaults__", "__kwdefaults__") and is_a(obj, (FunctionType, MethodType)):
        return getattr(obj, attr)
    if is_a(obj, ModuleType):
        try:
            return obj.__dict__[attr]
        except KeyError:
            raise LookupError(attr) from None
    own = instance_dict(obj)
    classes = obj.__mro__ if is_a(obj, type) else type(obj).__mro__
    if own is not None and attr in own:
        return own[attr]
    for cls in classes:
        if attr in cls.__dict__:
            found = cls.__dict__[attr]
            if is_a(found, staticmethod):
                return found.__func__
            if is_a(found, classmethod):
                return MethodType(found.__func__, obj if is_a(obj, type) else type(obj))
            if is_a(found, FunctionType):
                return found if is_a(obj, type) else MethodType(found, obj)
            if type(found).__name__ == "member_descriptor":
                try:
                    return found if is_a(obj, type) else found.__get__(obj)
                except AttributeError:
                    raise LookupError(attr) from None
            if not hasattr(type(found), "__get__"):
                return found
            raise LookupError(attr)
    raise LookupError(attr)


def mark_of(obj: Any, inner: bool = True) -> object:
    """How an object looks to whoever reads what calling it does: its code, or its type."""
    if is_a(obj, FunctionType):
        cells = obj.__closure__ if inner and obj.__closure__ else ()
        return obj.__code__, tuple(_mark_of_cell(cell) for cell in cells)
    if is_a(obj, MethodType):
        return mark_of(obj.__func__, inner), type(obj.__self__)
    if is_a(obj, BuiltinMethodType):
        return obj.__name__, id(obj.__self__)
    if is_a(obj, (type, ModuleType)):
        return id(obj)
    stored = (*within(obj), *attributes_of(obj).values()) if inner else ()
    return type(obj), tuple(mark_of(part, False) for part in stored if callable(part))


def _mark_of_cell(cell: Any) -> object:
    try:
        return mark_of(cell.cell_contents, False)
    except ValueError:
        return None  # not bound yet


def mark_at(path: str, namespace: dict[str, Any], names: dict[str, Any] | None = None) -> object:
    """How the object at a path looks; None: there is none."""
    if path.endswith(KINDS):
        return mark_of_kinds(
            own_kinds(objects_at(path.removesuffix(KINDS), names or {}, namespace))
        )
    at = path.removesuffix(ANY).removesuffix(ELEMENTS)
    try:
        obj = lookup(at, names or {}, namespace)
    except LookupError:
        held = functions_at(at, names or {}, namespace)
        return tuple(mark_of(part, False) for part in held) or None
    if path.endswith(ELEMENTS):
        return id(type(obj)), frozenset(map(id, element_kinds(obj)))
    return mark_of(obj)


def mark_of_kinds(kinds: Iterable[type]) -> object:
    """How these classes look: a class may say by itself what it equals."""
    return tuple(map(id, kinds))


def objects_at(path: str, names: dict[str, Any], namespace: dict[str, Any]) -> list[Any]:
    """The object at a path; where there is none, what objects in a container have there."""
    try:
        return [lookup(path, names, namespace)]
    except LookupError:
        owner, _, attr = path.rpartition(".")
        owners = objects_at(owner, names, namespace) if owner else []
        return [found for obj in owners for found in attributes_within(obj, attr)]


def functions_at(path: str, names: dict[str, Any], namespace: dict[str, Any]) -> list[Any]:
    """The functions that objects keep as an attribute, where the path says so, or in one."""
    if path.endswith(KEPT):
        owner, _, attr = path.removesuffix(KEPT).rpartition(".")
        owners = objects_at(owner, names, namespace)
        found = [kept for obj in owners for kept in attributes_within(obj, attr)]
    else:
        held = objects_at(path, names, namespace)
        found = [part for obj in held for part in (obj, *within(obj))]
    return [part for part in found if callable(part)]


def kinds_at(obj: Any) -> set[type]:
    """The types of an object and of what a container holds, if it is no more than can be seen."""
    return {type(obj)} | element_kinds(obj)


def element_kinds(obj: Any) -> set[type]:
    """The types of what a container holds, if it is no more than can be seen."""
    if type(obj) not in CONTAINERS or len(obj) > MOST_SEEN:
        return set()
    return set(map(type, obj.values() if type(obj) is dict else obj))


def looks_the_same(
    asked: Iterable[Asked], names: dict[str, Any], namespace: dict[str, Any]
) -> bool:
    """Whether all objects look as they did when the loop with these variables was read."""
    for each in asked:
        if each.namespace is None:
            if mark_at(each.path, namespace, names) != each.mark:
                return False
        elif mark_at(each.path, each.namespace) != each.mark:
            return False
    return True


def method_of_kind(kind: type, name: str, filename: str) -> bool | None:
    """Whether a method changes objects of a type; None: not known. As `Names.method_changes`."""
    found = next(c.__dict__[name] for c in kind.__mro__ if name in c.__dict__)
    if is_a(found, FunctionType) and found.__code__.co_filename == filename:
        return False if found.__name__ == name else None
    return changes_its_object(kind, name)


class Names:
    """The objects that names stand for in one place of the program: `source.Live`."""

    def __init__(
        self, names: dict[str, Any], namespace: dict[str, Any], of_loop: bool = False
    ) -> None:
        """names: local variables; namespace: the globals; of_loop: names are around the loop."""
        self.names, self.namespace, self.of_loop = names, namespace, of_loop

    def asked(self, path: str, reading: Reading) -> Asked | None:
        """How the object at a path looks now; None: that cannot be asked again."""
        key = self.key_of(path)
        if key is None:
            return None  # in a cell of a function, by which its summary is kept
        if key not in reading.looks:
            local = key[0] != 0
            if path.endswith(KINDS):
                mark = mark_of_kinds(self.kinds_within(path.removesuffix(KINDS), reading))
            else:
                mark = mark_at(path, self.namespace, self.names if local else None)
            reading.looks[key] = Asked(None if local else self.namespace, path, mark)
        return reading.looks[key]

    def key_of(self, path: str) -> Place | None:
        """What tells a path in one reading; None: it begins in a cell of a function."""
        if path.partition(".")[0] not in self.names:
            return 0, id(self.namespace), path
        return (id(self.names), id(self.namespace), path) if self.of_loop else None

    def outside(self) -> Names:
        """The same for code that does not see the local variables."""
        return Names({}, self.namespace) if self.names else self

    def summary(self, path: str, depth: int, reading: Reading) -> Summary | None:
        """What calling the object at a path does, by reading the live function's source."""
        try:
            obj = lookup(path, self.names, self.namespace)
        except LookupError:
            return None
        found = Callables(self.namespace, depth, reading).summary_at(path, obj)
        return self.with_streams_of(path, obj, found) if found is not None else None

    def with_streams_of(self, path: str, obj: Any, summary: Summary) -> Summary:
        """The same with roots for what only the function's own variables lead to."""
        function = obj.__func__ if is_a(obj, MethodType) else obj
        if not is_a(function, FunctionType) or not function.__closure__:
            return summary
        cells = cells_of(function)

        def renamed(root: str) -> str:
            head = root.partition(".")[0]
            if head not in cells or self.names.get(head, self) is cells[head]:
                return root
            return f"{path}.{HIDDEN}{root}"

        return summary.but(
            draws=set(map(renamed, summary.draws)),
            seeds=set(map(renamed, summary.seeds)),
            perhaps=set(map(renamed, summary.perhaps)),
        )

    def is_there(self, path: str) -> bool:
        """Whether there is an object at a path."""
        try:
            lookup(path, self.names, self.namespace)
        except LookupError:
            return False
        return True

    def stream(self, root: str) -> Kind:
        """Whether a root stands for a random stream."""
        if root in ("@random", "@numpy/random"):
            return "stream"
        try:
            return kind_of(lookup(root, self.names, self.namespace))
        except LookupError:
            return "other"

    def is_atom(self, root: str) -> bool:
        """Whether a root stands for a number, a string or None."""
        try:
            obj = lookup(root, self.names, self.namespace)
        except LookupError:
            return False
        return type(obj) in (int, float, complex, bool, str, bytes, type(None))

    def is_standard_class(self, path: str) -> bool:
        """Whether there is a class of the standard library."""
        try:
            obj = lookup(path, self.names, self.namespace)
        except LookupError:
            return False
        return is_a(obj, type) and obj.__module__.partition(".")[0] in sys.stdlib_module_names

    def is_settled(self, path: str) -> bool:
        """Whether there is nothing that could be changed, or what is looked at as a whole."""
        try:
            obj = lookup(path, self.names, self.namespace)
        except LookupError:
            return False
        if type(obj) in (tuple, frozenset):
            return _holds_settled(obj)
        return _is_settled(type(obj)) or _is_plain_array(obj)

    def holds_settled(self, path: str) -> bool:
        """Whether there is nothing that could be changed, or a container of such things alone."""
        try:
            obj = lookup(path, self.names, self.namespace)
        except LookupError:
            return False
        return _holds_settled(obj) if type(obj) in CONTAINERS else _is_settled(type(obj))

    def has_special(self, names: frozenset[str]) -> bool:
        """Whether a class of one of the program's modules has such a method."""
        for module in filter(is_own_module, list(sys.modules)):
            for found in list(getattr(sys.modules[module], "__dict__", {}).values()):
                if is_a(found, type) and not names.isdisjoint(found.__dict__):
                    return True
        return False

    def is_overridden(self, cls: str, name: str) -> bool:
        """Whether a subclass of the class of this name may have another method of this name."""
        found = self.names.get(cls, self.namespace.get(cls))
        if not is_a(found, type):
            return True
        todo = [found]
        while todo:
            below: list[type] = type.__subclasses__(todo.pop())
            if any(name in c.__dict__ for c in below):
                return True
            todo += below
        return False

    def held_functions(self, path: str, depth: int, reading: Reading) -> list[Summary]:
        """What calling the functions does that the object at a path holds."""
        reader = Callables(self.namespace, depth, reading)
        owner = path.removesuffix(ANY)
        try:
            obj = lookup(owner, self.names, self.namespace)
        except LookupError:
            held = functions_at(owner, self.names, self.namespace)
            if not path.endswith(KEPT):
                holder, _, name = owner.rpartition(".")
                kinds = own_kinds(objects_at(holder, self.names, self.namespace))
                held += [MethodType(f, f) for f in methods_of(kinds, name)]
            return reader.of_parts(path.removesuffix(KEPT), held)
        return reader.held_by(path, obj) if owner == path else reader.methods_of(owner, obj)

    def kinds_within(self, path: str, reading: Reading) -> list[type]:
        """The program's classes among the object at a path and what it holds."""
        key = self.key_of(path)
        if key is None:
            return own_kinds(objects_at(path, self.names, self.namespace))
        if key not in reading.kinds:
            reading.kinds[key] = own_kinds(objects_at(path, self.names, self.namespace))
        return reading.kinds[key]

    def methods_within(
        self, path: str, name: str, filename: str, depth: int, reading: Reading
    ) -> list[Summary]:
        """What the methods of this name do, in classes of the program's that another file has, of the
        object at a path and of those that it holds."""
        kinds = self.kinds_within(path, reading)
        found = [f for f in methods_of(kinds, name) if f.__code__.co_filename != filename]
        reader = Callables(self.namespace, depth, reading)
        return [s for s in (reader.summary_of_method(f) for f in found) if s is not None]

    def stored_function(self, path: str, depth: int, reading: Reading) -> Summary | None:
        """What calling an attribute does that an object itself has, and not its class."""
        owner, _, attr = path.rpartition(".")
        try:
            own = attributes_of(lookup(owner, self.names, self.namespace))
        except LookupError:
            return None
        if not callable(own.get(attr)):
            return None
        return Callables(self.namespace, depth, reading).of_part(path, own[attr])

    def is_value(self, path: str) -> bool | None:
        """Whether there is an object that is no module, class or function; None: not known."""
        try:
            obj = lookup(path, self.names, self.namespace)
        except LookupError:
            return None
        return not is_a(obj, _CODE)

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

    def is_class(self, path: str) -> bool | None:
        """Whether there is a class; None: not known."""
        try:
            return is_a(lookup(path, self.names, self.namespace), type)
        except LookupError:
            return None

    def method_changes(self, path: str, name: str, filename: str) -> bool | None:
        """Whether a method changes the object, or one that it holds; None: not known.

        False for methods that a function of this file is.
        """
        try:
            obj = lookup(path, self.names, self.namespace)
        except LookupError:
            return None
        if is_a(obj, (ModuleType, type)) or name in attributes_of(obj):
            return None
        kinds = [k for k in kinds_at(obj) if any(name in c.__dict__ for c in k.__mro__)]
        found = [method_of_kind(k, name, filename) for k in kinds]
        return None if None in found or not found else any(found)

    def may_have(self, path: str, names: frozenset[str]) -> bool:
        """Whether the object may be, or hold, one of a class of the program's with such a method."""
        try:
            obj = lookup(path, self.names, self.namespace)
        except LookupError:
            return True
        kind = type(obj)
        if kind in ATOMS or _is_plain_array(obj):
            return False
        if not names <= ONLY_ITS_OWN and not is_a(obj, _CODE):
            return True
        if kind in CONTAINERS or is_a(obj, (ModuleType, FunctionType)):
            return False
        kinds = (*kind.__mro__, *(obj.__mro__ if is_a(obj, type) else ()))
        return any(is_a(c.__dict__.get(name), _DEFINED) for c in kinds for name in names)

    def is_per_worker(self, path: str) -> bool:
        """Whether there is what gives each worker its own."""
        try:
            return is_per_worker(lookup(path, self.names, self.namespace))
        except LookupError:
            return False

    def library(self, name: str) -> str | None:
        """The full name of the module, or the function of a library, that a variable holds."""
        obj: Any = self.namespace.get(name)
        if name in self.names:
            return None
        if is_a(obj, ModuleType):
            full = obj.__name__
            return STANDARD_NAMES.get(full, full) if sys.modules.get(full) is obj else None
        if not is_a(obj, (FunctionType, BuiltinFunctionType)) or is_own_module(obj.__module__):
            return None
        module, own_name = STANDARD_NAMES.get(obj.__module__, obj.__module__), obj.__name__
        home = getattr(sys.modules.get(module), "__dict__", {})
        return f"{module}.{own_name}" if home.get(own_name) is obj else None

    def imported(self, full: str) -> str:
        """The root of something with this full name, its own module's names among them."""
        name = self.namespace.get("__name__")
        root = _imported_root(self.absolute(full))
        return root.removeprefix(f"{module_root(name)}.") if isinstance(name, str) else root

    def absolute(self, full: str) -> str:
        """A full name that may be relative to the module's package, such as `.runtime.Undefined`."""
        relative = full.lstrip(".")
        level = len(full) - len(relative)
        package = self.namespace.get("__package__")
        if not level or not isinstance(package, str):
            return relative
        above = package.split(".")[: max(package.count(".") + 2 - level, 0)]
        return ".".join([*above, relative])

    def canonical(self, path: str) -> str:
        """A path that begins with a module, as `@module.attribute`."""
        head, *rest = path.split(".")
        if head[:1] == "@":
            return path
        obj = self.names.get(head, self.namespace.get(head))
        if not is_a(obj, ModuleType):
            return path
        while rest and is_a(obj.__dict__.get(rest[0]), ModuleType):
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
    return is_a(obj, logging.Logger)


def _is_plain_array(obj: Any) -> bool:
    """Whether this is an array of numbers."""
    return type(obj).__module__ == "numpy" and not getattr(
        getattr(obj, "dtype", None), "hasobject", True
    )


def _is_settled(kind: type) -> bool:
    """Whether nobody changes objects of this type; tables are looked at as a whole."""
    known = kind in SETTLED or full_name(kind) in SETTLED_BY_NAME
    return known or kind.__module__.partition(".")[0] == "pandas"


def _holds_settled(container: Any) -> bool:
    """Whether all that a container holds is of such types."""
    return len(container) <= MOST_SEEN and all(map(_is_settled, element_kinds(container)))


def _imported_root(full: str) -> str:
    parts = full.split(".")
    for k in range(len(parts), 0, -1):
        if ".".join(parts[:k]) in sys.modules:
            return ".".join([module_root(".".join(parts[:k])), *parts[k:]])
    return full


def obstacle(
    plan: Plan,
    iterable: Any,
    plain: bool,
    names: dict[str, Any],
    namespace: dict[str, Any],
    aliases: Aliases,
    work: Work,
) -> str | None:
    """Why the objects at hand forbid what the source allows, or None.

    plain: the iterable is a sequence, or a zip or enumerate of sequences. aliases: of what the
    loop changes; they know afterwards what work reads. work: what it reads.

    Either the loop changes an object that its work reads under another name, or work uses
    something that processes cannot share.
    """
    from allcores.plan.generators import used_by

    for path in sorted(plan.talks - {LOGGING}):
        if not _all(path, Names.is_talker, iterable, names, namespace):
            return f"`{_item_in_words(path)}` is no logger or standard stream, so what it is told must be told in order"
    for path in sorted(plan.locks):
        if not _all(path, Names.is_lock, iterable, names, namespace):
            return f"`{_item_in_words(path)}` is no lock, or somebody holds it"
    shared = shared_elements(plan.own_elements, lambda path: lookup(path, names, namespace))
    if shared is not None:
        return shared
    why = why_not_shared(plan, iterable, names, namespace)
    if why is not None:
        return why
    read = work.read
    heads = {path.partition(".")[0] for path in plan.work_reads}
    classes = [(n, o) for n in heads if is_a(o := names.get(n, namespace.get(n)), type)]
    heard = heard_and_read([*read, *classes])
    if heard is not None:
        return heard
    used = used_by(iterable)
    owners = [*work.owners, *used.owners]
    why = aliases.through([("what the loop runs over", obj) for obj in used.objects])
    # The iteration's own item may be changed, but not the others' under another name.
    own = dict(aliases.own_elements)
    if any(path.startswith("$") for path in plan.changed):
        if not hasattr(type(iterable), "__len__") and not plain:
            return "items are changed in place, and where an iterator has them from is not known"
        own["an item"] = (iterable, True)
    attributes = {
        (id(owner), attr): path
        for path in plan.changed
        for _, owner, attr in owners_of(path, names, namespace, True)[-1:]
    }
    for path, owner, attr in owners:
        other = attributes.get((id(owner), attr))
        if other is not None:
            return f"`{other}`, which the loop changes, is also read as `{path}`"
    for each in (Aliases(own), aliases):
        found = each.of_owners(owners) or each.through(read)
        if found is not None:
            return found
    return why


class Work(NamedTuple):
    """What a loop's work reads outside it."""

    read: list[tuple[str, Any]]
    """The objects, by path."""
    owners: list[tuple[str, Any, str]]
    """Those whose attributes it reads, as `owners_of` gives them."""


def read_by_work(plan: Plan, names: dict[str, Any], namespace: dict[str, Any]) -> Work:
    """What work reads outside the loop."""
    read: list[tuple[str, Any]] = []
    owners: list[tuple[str, Any, str]] = []
    for full in plan.work_reads:
        path = full.removesuffix(CALLED)
        if is_read_property(path, plan.file, names, namespace):
            continue  # what computing it reads is among the paths
        obj = nearest(path, names, namespace)
        code = is_a(obj, (ModuleType, type, FunctionType)) or (
            path != full and has_been_read(obj, path, plan.file, names, namespace)
        )
        if not code or is_a(obj, (ModuleType, FunctionType)):
            read.append((path, obj))
        owners += owners_of(path, names, namespace, True)
    return Work(read, owners)


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
    if not is_a(iterable, (list, tuple)) or len(iterable) > BUDGET:
        return False
    return all(test(Names({ITEM: item}, {}), path) for item in iterable)


def _item_in_words(path: str) -> str:
    return in_words(path).replace(ITEM, "an item", 1)


def nearest(path: str, names: dict[str, Any], namespace: dict[str, Any]) -> Any:
    """The object at a path, or the last one on the way to it: what is computed comes from there."""
    while path:
        try:
            return lookup(path, names, namespace)
        except LookupError:
            path = path.rpartition(".")[0]
    return None


def has_been_read(
    obj: Any, path: str, file: str, names: dict[str, Any], namespace: dict[str, Any]
) -> bool:
    """Whether a path names a method of its object that was found by its name, in this file."""
    owner, _, name = path.rpartition(".")
    if not owner or not is_a(obj, MethodType) or not is_a(obj.__func__, FunctionType):
        return False
    if obj.__func__.__name__ != name or obj.__func__.__code__.co_filename != file:
        return False
    return lookup(owner, names, namespace) is obj.__self__


def is_read_property(
    path: str, file: str, names: dict[str, Any], namespace: dict[str, Any]
) -> bool:
    """Whether a path leads to a property whose function stands in this file, and was read there."""
    owner, _, attr = path.rpartition(".")
    try:
        kind = type(lookup(owner, names, namespace)) if owner else object
    except LookupError:
        return False
    found = next((c.__dict__[attr] for c in kind.__mro__ if attr in c.__dict__), None)
    getter: Any = found.fget if type(found) is property else None
    if is_a(found, cached_property):
        getter = found.func
    if not is_a(getter, FunctionType) or getter.__name__ != attr:
        return False
    return getter.__code__.co_filename == file


def owners_of(
    path: str, names: dict[str, Any], namespace: dict[str, Any], code: bool = False
) -> list[tuple[str, Any, str]]:
    """For each attribute on a path: the path, the object that has it, and its name.

    code: modules and classes count as well.
    """
    parts = path.split(".")
    found: list[tuple[str, Any, str]] = []
    for k in range(1, len(parts)):
        try:
            owner = lookup(".".join(parts[:k]), names, namespace)
        except LookupError:
            break
        if code or not is_a(owner, (ModuleType, type)):
            found.append((path, owner, parts[k]))
    return found


def changed_objects(
    plan: Plan, names: dict[str, Any], namespace: dict[str, Any], perhaps: bool = False
) -> dict[str, tuple[Any, bool]]:
    """The live objects that commits change: path -> (object, things inside it as well).

    perhaps: those as well of which it is not sure.
    """
    found: dict[str, tuple[Any, bool]] = {}
    paths = dict.fromkeys(plan.perhaps_changed, True) if perhaps else {}
    for path, deep in {**plan.changed, **paths}.items():
        if path.startswith("$"):
            continue
        try:
            obj = lookup(path, names, namespace)
        except LookupError:
            head, _, _ = path.partition(".")
            if head not in names and head not in namespace:
                continue
            obj, deep = names.get(head, namespace.get(head)), True
        if not is_a(obj, (int, float, complex, str, bytes, type(None), ModuleType, FunctionType)):
            # NumPy's own classes keep masks and the like beside the array.
            deep = deep or type(obj).__name__ in REACH_OTHERS
            found[path] = (obj, deep)
    return found


REACH_OTHERS = frozenset("MaskedArray _iLocIndexer _LocIndexer _AtIndexer _iAtIndexer".split())
"""Types whose items are those of other objects that they hold."""


def aliases_of(plan: Plan, names: dict[str, Any], namespace: dict[str, Any]) -> Aliases:
    """What leads to the live objects that the loop changes."""
    changed = changed_objects(plan, names, namespace, perhaps=True)
    bound = [
        (owner, attribute, path)
        for path in plan.changed
        for _, owner, attribute in owners_of(path, names, namespace, True)[-1:]
        if not is_a(owner, ModuleType)
    ]
    found = Aliases({p: c for p, c in changed.items() if p not in plan.own_elements}, bound)
    found.own_elements = {p: c for p, c in changed.items() if p in plan.own_elements}
    found.homes = homes_of(plan, names, namespace)
    return found


def homes_of(
    plan: Plan, names: dict[str, Any], namespace: dict[str, Any]
) -> dict[int, dict[str, str]]:
    """By the ids of modules and of their variables: those that the loop binds, and how it names them."""
    found: dict[int, tuple[dict[str, Any], dict[str, str]]] = {}
    modules: dict[int, dict[str, str]] = {}
    own = plan.bound if plan.module_level else plan.bound & plan.declared_global
    if own:
        words = sorted(own, key=lambda name: (name not in plan.parent_names, name))
        found[id(namespace)] = namespace, {name: name for name in words}
    for path in plan.changed:
        for _, owner, attribute in owners_of(path, names, namespace, True)[-1:]:
            if is_a(owner, ModuleType):
                variables = owner.__dict__
                bound = found.setdefault(id(variables), (variables, {}))[1]
                bound[attribute] = path
                modules[id(owner)] = bound
    module = sys.modules.get(namespace.get("__name__", ""))
    if own and module is not None and module.__dict__ is namespace:
        modules[id(module)] = found[id(namespace)][1]
    return {**{key: bound for key, (_, bound) in found.items()}, **modules}


class Aliases:
    """Looks for changed objects among everything that can be reached from others."""

    def __init__(
        self,
        changed: dict[str, tuple[Any, bool]],
        bound: Iterable[tuple[Any, str, str]] = (),
    ) -> None:
        """bound: objects to which attributes are bound, with the attribute and its path."""
        self.own_elements: dict[str, tuple[Any, bool]] = {}
        """Objects of which each iteration changes elements of its own: they are not looked for."""
        self.targets: dict[int, str] = {}
        self.bound: dict[int, tuple[Any, dict[str, str]]] = {}
        """By their ids, objects to which attributes are bound, and by attribute its path."""
        self.spaces: dict[int, tuple[int, str]] = {}
        """By their ids, the dicts with the attributes of these: the owner's id, and a path."""
        self.homes: dict[int, dict[str, str]] = {}
        """As `homes_of` gives them."""
        self.owners: set[int] = set()
        """Objects from `bound` that were reached in this walk, and by which their dicts are."""
        for owner, attribute, path in bound:
            space = space_of(owner)
            if space is not None:
                self.spaces[id(space)] = id(owner), path
            if not is_a(owner, type):
                self.bound.setdefault(id(owner), (owner, {}))[1][attribute] = path
        self.met: dict[str, tuple[str, str]] = {}
        """Attributes of `bound` whose objects were reached: the path, and from where."""
        self.classes: set[type] = set()
        self.functions: list[Any] = []
        """The classes of what was reached, and functions and methods among it."""
        self.arrays: list[tuple[str, Any]] = []
        self.memory: dict[int, tuple[str, Any]] = {}
        """What owns the memory of changed objects: one may be written to through another."""
        self.full = False
        for path, (obj, deep) in changed.items():
            found = list(reachable(obj, BUDGET)) if deep else [obj, *stores_of(obj)]
            if len(found) >= BUDGET:
                self.full = True
            for o in found:
                self.targets[id(o)] = path
                if is_array(type(o)):
                    self.arrays.append((path, o))
                if has_memory(o):
                    self.memory.update((id(m), (path, o)) for m in memory_of(o))

    def any_wanted(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self.targets or self.bound)

    def of_owners(self, owners: list[tuple[str, Any, str]]) -> str | None:
        """Why work must not read an attribute of one of these, as `owners_of` gives them, or None."""
        for path, owner, attr in owners if self.targets or self.homes else ():
            changed = self.targets.get(id(owner)) or self.targets.get(id(instance_dict(owner)))
            bound = self.homes.get(id(owner), {})
            changed = changed or (any_of(bound) if attr == "__dict__" else bound.get(attr))
            if changed is not None:
                return f"`{changed}`, which the loop changes, is also read as `{path}`"
        return None

    def through(self, read: list[tuple[str, Any]]) -> str | None:
        """Why work must not read one of these, which are given with their paths, or None."""
        if self.full:
            return "the objects that the loop changes are too many to be checked for second names"
        wanted = self.any_wanted() or bool(self.spaces)
        budget = BUDGET if wanted else FEW if self.homes else 0
        known: set[int] = set()
        for name, obj in read if budget else ():
            if id(obj) in known:
                continue
            known.add(id(obj))
            count = 0
            self.owners.clear()
            for o in reachable(obj, budget, self.functions, self.homes):
                count += 1
                changed = self.looked_at(o, name)
                if changed is not None:
                    return f"`{changed}`, which the loop changes, is also reached through {in_words(name)!r}"
            if count >= budget and wanted:
                if self.targets:
                    return (
                        f"{name!r} holds too many objects to be checked for what the loop changes"
                    )
                for _, paths in self.bound.values():
                    self.meets(paths, name)
        return None

    def looked_at(self, o: Any, name: str) -> str | None:
        """Note what was reached from here; gives the path of what is changed, if it is that."""
        if type(o) not in self.classes:
            self.classes.add(type(o))
        if type(o) is MethodType:
            self.functions.append(o)
        if id(o) in self.homes:
            self.meets(self.homes[id(o)], name)
            return None if is_a(o, ModuleType) else any_of(self.homes[id(o)])
        if id(o) in self.bound:
            self.owners.add(id(o))
            self.meets(self.bound[id(o)][1], name)
        changed = self.targets.get(id(o))
        if changed is None and id(o) in self.spaces:
            owner, path = self.spaces[id(o)]
            changed = path if owner not in self.owners else None
        if changed is None and (self.arrays or self.memory) and has_memory(o):
            changed = self.overlapping(o)
        return changed

    def meets(self, paths: dict[str, str], name: str) -> None:
        """An object to which these attributes are bound may be reached from here."""
        self.met.update({attribute: (path, in_words(name)) for attribute, path in paths.items()})

    def overlapping(self, o: Any) -> str | None:
        """What is changed of which this object shares the memory."""
        array = is_array(type(o))
        if array:
            np = sys.modules["numpy"]
            for path, other in self.arrays:
                if np.may_share_memory(o, other):
                    return path
        for m in memory_of(o):
            path, other = self.memory.get(id(m), ("", None))
            if path and not (array and is_array(type(other))):
                return path
        return None


def any_of(bound: dict[str, str]) -> str | None:
    """One of the variables that a loop binds in a module."""
    return next(iter(bound.values()), None)


def space_of(owner: Any) -> dict[str, Any] | None:
    """The dict that an object's or a class's attributes are in."""
    if not is_a(owner, type):
        return instance_dict(owner)
    # `__dict__` gives something that only looks at it.
    return next((d for d in gc.get_referents(type.__dict__["__dict__"].__get__(owner))), None)


def has_memory(o: Any) -> bool:
    """Whether others may look at the memory of this object, or it at theirs."""
    kind = type(o)
    if kind.__module__ == "builtins":
        return kind is memoryview or kind is bytearray
    # Arrays of the `array` module and of NumPy, memory maps, and all of ctypes.
    return any(
        cls.__module__ in ("array", "numpy", "mmap", "_ctypes")
        for cls in (*kind.__mro__, type(kind))
    )
