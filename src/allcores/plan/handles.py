"""Open files, connections and the like: what processes cannot share, and where work would use it.

A forked worker has the same file at the same place in it, the same socket, the same connection as
everybody else. What one worker reads the others miss. So the objects that work can reach are
searched, by reading alone: nothing of the program's is run. An attribute counts only where code
that work can reach names it: an object that holds a log file its methods do not touch is no reason.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from itertools import islice
from typing import Any, NamedTuple

from allcores.plan.kinds import is_a
from allcores.plan.model import Plan, Reason
from allcores.plan.names import path_of, walk
from allcores.plan.ownership import is_own_module

MOST_OBJECTS = 1200
MOST_PARTS = 500
MOST_ITEMS = 100
"""How far a search goes: objects in all, of a container, of what is looped over. What it does not
find, it takes not to be there."""


class Kind(NamedTuple):
    """What something is, in words, and what to write instead."""

    words: str
    instead: str


class Handle(NamedTuple):
    """Something that workers cannot share, and how the program comes to it."""

    path: str
    kind: Kind
    root: str
    """The name in the loop's body by which it is reached."""

    def text(self) -> str:
        return (
            f"`{self.path}` is {self.kind.words}, which workers cannot share; {self.kind.instead}"
        )


def _own(make: str) -> str:
    return f"give each its own: `per_worker({make})`"


LISTED = "make a list of what it gives before the loop"
FILE = Kind(
    "an open file",
    "read it before the loop, write to it in the loop's own body, or " + _own("lambda: open(·)"),
)
MEMORY_FILE = Kind("a file in memory", "make it in the loop, or " + _own("lambda: io.StringIO(·)"))
STDIN = Kind("the standard input", "read it before the loop")
ITERATOR = Kind("an iterator", LISTED)
GENERATOR = Kind("a generator", LISTED)
QUEUE = Kind("a queue", LISTED)
LOCK = Kind("a lock that is held", "release it before the loop")
SHARED_LOCK = Kind(
    "a lock between processes", "leave it out, for iterations are committed in order"
)
EVENT = Kind("made for threads to wait for", "leave it out, for workers are processes")
PROGRAM = Kind(
    "a running program", "start one in the loop, or " + _own("lambda: subprocess.Popen(·)")
)
MAP = Kind("a memory map that can be written", "open it with `access=mmap.ACCESS_READ`")
ARRAY = Kind("an array in a file that can be written", 'open it with `mode="r"`')
POOL = Kind("a pool of workers", "use it after the loop")


def _connection(words: str, make: str = "lambda: connect(·)") -> Kind:
    return Kind(words, _own(make))


KINDS: dict[str, Kind] = {
    "socket.socket": _connection("a socket", "lambda: socket.create_connection(·)"),
    "sqlite3.Connection": _connection("an open sqlite3 connection", "lambda: sqlite3.connect(·)"),
    "sqlite3.Cursor": _connection("a sqlite3 cursor", "lambda: sqlite3.connect(·)"),
    "sqlite3.Blob": _connection("an open sqlite3 blob", "lambda: sqlite3.connect(·)"),
    "requests.sessions.Session": _connection("a requests session", "requests.Session"),
    "urllib.request.OpenerDirector": _connection(
        "a session with cookies", "lambda: urllib.request.build_opener(·)"
    ),
    "urllib3.poolmanager.PoolManager": _connection("a pool of connections", "urllib3.PoolManager"),
    "urllib3.connectionpool.ConnectionPool": _connection(
        "a pool of connections", "lambda: urllib3.HTTPConnectionPool(·)"
    ),
    "http.client.HTTPConnection": _connection(
        "an HTTP connection", "lambda: http.client.HTTPConnection(·)"
    ),
    "httpx._client.BaseClient": _connection("an HTTP client", "httpx.Client"),
    "ftplib.FTP": _connection("an FTP connection", "lambda: ftplib.FTP(·)"),
    "smtplib.SMTP": _connection("an SMTP connection", "lambda: smtplib.SMTP(·)"),
    "imaplib.IMAP4": _connection("an IMAP connection", "lambda: imaplib.IMAP4(·)"),
    "paramiko.client.SSHClient": _connection("an SSH connection"),
    "redis.client.Redis": _connection("a database connection", "lambda: redis.Redis(·)"),
    "pymongo.mongo_client.MongoClient": _connection(
        "a database connection", "lambda: MongoClient(·)"
    ),
    "sqlalchemy.engine.base.Engine": _connection("a database engine", "lambda: create_engine(·)"),
    "sqlalchemy.engine.base.Connection": _connection("a database connection"),
    "sqlalchemy.orm.session.Session": _connection("a database session", "lambda: Session(·)"),
    "zipfile.ZipFile": Kind("an open zip file", _own("lambda: zipfile.ZipFile(·)")),
    "tarfile.TarFile": Kind("an open tar file", _own("lambda: tarfile.open(·)")),
    "h5py._hl.base.HLObject": Kind("part of an open HDF5 file", _own('lambda: h5py.File(·, "r")')),
    "tables.file.File": Kind("an open HDF5 file", _own('lambda: tables.open_file(·, "r")')),
    "netCDF4._netCDF4.Dataset": Kind("an open netCDF file", _own("lambda: netCDF4.Dataset(·)")),
    "netCDF4._netCDF4.Variable": Kind(
        "part of an open netCDF file", _own("lambda: netCDF4.Dataset(·)")
    ),
    "shelve.Shelf": Kind("an open shelf", _own('lambda: shelve.open(·, "r")')),
    "_gdbm.gdbm": Kind("an open database file", _own('lambda: dbm.open(·, "r")')),
    "_dbm.dbm": Kind("an open database file", _own('lambda: dbm.open(·, "r")')),
    "dbm.dumb._Database": Kind("an open database file", _own('lambda: dbm.open(·, "r")')),
    "lmdb.Environment": Kind("an open database file", _own("lambda: lmdb.open(·)")),
    "tempfile._TemporaryFileWrapper": Kind("an open temporary file", "make it in the loop"),
    "tempfile.SpooledTemporaryFile": Kind("an open temporary file", "make it in the loop"),
    "codecs.StreamReaderWriter": FILE,
    "_csv.Writer": Kind("a csv writer", "call it in the loop's body, which is done in order"),
    "_csv.writer": Kind("a csv writer", "call it in the loop's body, which is done in order"),
    "queue.Queue": QUEUE,
    "_queue.SimpleQueue": QUEUE,
    "multiprocessing.queues.Queue": QUEUE,
    "multiprocessing.queues.SimpleQueue": QUEUE,
    "multiprocessing.connection._ConnectionBase": Kind("a pipe", LISTED),
    "multiprocessing.managers.BaseProxy": _connection("a connection to a manager", "·"),
    "multiprocessing.synchronize.SemLock": SHARED_LOCK,
    "multiprocessing.synchronize.Condition": SHARED_LOCK,
    "multiprocessing.synchronize.Event": SHARED_LOCK,
    "multiprocessing.pool.Pool": POOL,
    "concurrent.futures._base.Executor": POOL,
    "threading.Event": EVENT._replace(words="an event"),
    "threading.Barrier": EVENT._replace(words="a barrier"),
    "threading.Thread": EVENT._replace(words="a thread"),
    "select.epoll": EVENT._replace(words="an epoll object"),
}
CONNECTS = frozenset({"cursor", "commit", "rollback", "close"})
FETCHES = frozenset({"execute", "fetchone", "fetchall", "close"})
PLAIN_MODULES = frozenset({"numpy", "logging", "weakref", "enum", "re", "datetime", "ast", "tqdm"})
"""Of these modules' objects only those above are handles, and they hold none for work to use."""
ATOMS = frozenset({int, float, complex, bool, str, bytes, range, type(None), type(...), slice})
UNUSED = frozenset(
    """__init__ __new__ __del__ __enter__ __exit__ __getstate__ __setstate__ __reduce__ __reduce_ex__
    __repr__ __str__ __init_subclass__ __post_init__ __class_getitem__ __set_name__ __sizeof__
    __dir__ __subclasshook__ __copy__ __deepcopy__""".split()
)
"""Methods that are not called by the mere use of an object."""
ALL = "*"
BY_NAME = frozenset({"getattr", "hasattr", "attrgetter", "methodcaller"})


# -- what is a handle


def _type(obj: Any) -> Any:
    return type(obj)


@cache
def _names_of(kind: Any) -> tuple[str, ...]:
    return tuple(f"{c.__module__}.{c.__qualname__}" for c in kind.__mro__)


@cache
def _by_type(kind: Any) -> Kind | None:
    for name in _names_of(kind):
        if name in KINDS:
            return KINDS[name]
    offered = {name for c in kind.__mro__ for name in c.__dict__}
    # As the database API of Python (PEP 249) has it.
    if offered >= CONNECTS:
        return _connection("a database connection")
    if offered >= FETCHES:
        return _connection("a database cursor")
    return None


def kind_of(obj: Any) -> Kind | None:
    """What kind of handle an object is, if it is one and open."""
    look = _look(_type(obj))
    return None if look is None else look(obj)


def handle_of(obj: Any) -> str | None:
    """In words what an object is that belongs to one process: a handle, or a lock held or not."""
    if f"{type(obj).__module__}.{type(obj).__qualname__}" in LOCKS:
        return "a lock"
    kind = kind_of(obj)
    return None if kind is None else kind.words


@cache
def _look(kind: Any) -> Callable[[Any], Kind | None] | None:
    """What tells of an object of this type whether it is a handle; None: it never is."""
    if kind in ATOMS:
        return None
    if issubclass(kind, io.IOBase):
        return _kind_of_file
    if issubclass(kind, types.GeneratorType):
        return lambda obj: GENERATOR if obj.gi_frame is not None else None
    known = _by_type(kind)
    if hasattr(kind, "__next__") and "__next__" not in _own_methods(kind):
        return lambda obj: known or ITERATOR
    if f"{kind.__module__}.{kind.__qualname__}" in LOCKS:
        return lambda obj: None if free_lock(obj) else LOCK
    if kind.__module__ == "mmap":
        return lambda obj: None if _read_only(obj) else MAP
    np = sys.modules.get("numpy")
    if np is not None and issubclass(kind, getattr(np, "ndarray", ())):
        return _kind_of_array
    if kind.__module__ == "subprocess" and kind.__name__ == "Popen":
        return lambda obj: PROGRAM if obj.returncode is None else None
    if known is None:
        return None
    if known.words == "a session with cookies":
        return lambda obj: known if any(hasattr(h, "cookiejar") for h in obj.handlers) else None
    if known.words == "a socket":
        return lambda obj: known if obj.fileno() >= 0 else None
    return lambda obj: known


def _kind_of_file(obj: Any) -> Kind | None:
    if obj is sys.stdout or obj is sys.stderr:
        return None
    if obj is sys.stdin:
        return STDIN
    if not is_own_module(type(obj).__module__) and obj.closed:
        return None
    if is_a(obj, (io.StringIO, io.BytesIO)):
        return MEMORY_FILE
    return _by_type(_type(obj)) or FILE


def _own_methods(kind: Any) -> frozenset[str]:
    """Methods written in the program itself, which are read where they are called."""
    return frozenset(
        name for c in kind.__mro__ if is_own_module(c.__module__) for name in c.__dict__
    )


LOCKS = frozenset(
    """_thread.lock _thread.RLock threading.Condition threading.Semaphore
    threading.BoundedSemaphore""".split()
)


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


def _read_only(obj: Any) -> bool:
    try:
        with memoryview(obj) as view:
            return view.readonly
    except ValueError:
        return True  # closed


def _kind_of_array(obj: Any) -> Kind | None:
    memmap = sys.modules["numpy"].memmap
    while obj is not None:
        if is_a(obj, memmap) and getattr(obj, "mode", "r") in ("r+", "w+"):
            return ARRAY
        obj = getattr(obj, "base", None)
    return None


CODE = (types.FunctionType, types.ModuleType, type)
CONTAINERS = (list, tuple, set, frozenset, deque)
LOOKS_INTO = (
    *(dict, types.FunctionType, types.MethodType, types.BuiltinMethodType, partial, type),
    *CONTAINERS,
)


# -- what code mentions


class Mentions(NamedTuple):
    """What a piece of code may get at."""

    attributes: frozenset[str]
    names: frozenset[str]
    """Variables it reads, and paths that begin with a module."""


def mentions(nodes: Iterable[ast.AST], namespace: dict[str, Any]) -> Mentions:
    """What these nodes name. namespace: the globals."""
    attributes: set[str] = set()
    names: set[str] = set()
    inside: set[ast.AST] = set()
    for node in nodes:
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Attribute):
            path = path_of(node)
            if path is not None and is_a(namespace.get(path.partition(".")[0]), types.ModuleType):
                if node not in inside:
                    names.add(path)
                inside.add(node.value)
            else:
                attributes.add("*" if node.attr == "__dict__" else node.attr)
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            attributes |= {"__enter__", "__exit__"}
        elif isinstance(node, ast.Call):
            called = (path_of(node.func) or "").rpartition(".")[2]
            if called in BY_NAME:
                given = [a.value for a in node.args if isinstance(a, ast.Constant)]
                attributes |= {a for a in given if isinstance(a, str)} or {ALL}
            elif called == "vars":
                attributes.add(ALL)
    return Mentions(frozenset(attributes), frozenset(names))


_known: dict[types.CodeType, Mentions] = {}


def _mentions_of(function: types.FunctionType) -> Mentions:
    from allcores.plan.callables import find_function, module_of

    code = function.__code__
    known = _known.get(code)
    if known is None:
        module = module_of(code.co_filename, function.__globals__)
        node = None
        if module is not None:
            node, _ = find_function(module, code.co_name, code.co_firstlineno)
        if node is not None:
            known = mentions(walk(node), function.__globals__)
        else:
            names = frozenset(_all_names(code))
            known = Mentions(names, names)
        _known[code] = known
    return known


def _all_names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield from _all_names(const)


# -- the search


class Search:
    """A search for handles that code can get at."""

    def __init__(self) -> None:
        self.attributes: set[str] = set()
        self.waiting: dict[str, list[tuple[str, Any, str]]] = {}
        """Attributes that no code has mentioned yet, with their objects' paths."""
        self.todo: deque[tuple[str, Any, bool, str]] = deque()
        self.root = ""
        """What is looked into now was reached from this name."""
        self.seen: set[int] = set()
        self.classes: set[type] = set()
        self.keep: list[Any] = []

    def mention(self, attributes: Iterable[str]) -> None:
        """Code that may run names these attributes."""
        for name in attributes:
            if name not in self.attributes:
                self.attributes.add(name)
                for path, obj, root in self.waiting.pop(name, ()):
                    self.add(path, obj, root=root)
        if ALL in self.attributes:
            for name in list(self.waiting):
                self.mention([name])

    def add(self, path: str, obj: Any, library: bool = False, root: str = "") -> None:
        """Look at this object later. library: it is held by an object of a library."""
        if obj is sys.stdout or obj is sys.stderr:
            return
        if type(obj) not in ATOMS and id(obj) not in self.seen:
            self.seen.add(id(obj))
            self.keep.append(obj)
            self.todo.append((path, obj, library, root or self.root))

    def first(self) -> Handle | None:
        """The first handle found, nearest first."""
        while self.todo and len(self.seen) < MOST_OBJECTS:
            path, obj, library, self.root = self.todo.popleft()
            kind = kind_of(obj)
            if library and kind in (ITERATOR, GENERATOR, MEMORY_FILE, LOCK, EVENT, QUEUE):
                continue  # of its own
            if kind is not None:
                return Handle(path, kind, self.root)
            self.look_into(path, obj, library)
        return None

    def look_into(self, path: str, obj: Any, library: bool) -> None:
        if is_a(obj, LOOKS_INTO):
            self.inside(path, obj, library)
        if not is_a(obj, CODE) and _has_attributes(_type(obj)):
            self.instance(path, obj)

    def inside(self, path: str, obj: Any, library: bool) -> None:
        """What containers, functions and classes lead to."""
        if is_a(obj, types.FunctionType):
            self.function(path, obj)
        elif is_a(obj, types.MethodType):
            self.add(path, obj.__func__)
            self.add(path.rpartition(".")[0] or path, obj.__self__)
        elif is_a(obj, partial):
            for part in (obj.func, *obj.args, *obj.keywords.values()):
                self.add(path, part)
        elif is_a(obj, types.BuiltinMethodType):
            if not is_a(obj.__self__, (types.ModuleType, type, type(None))):
                self.add(path.rpartition(".")[0] or path, obj.__self__, library)
        elif is_a(obj, type):
            if is_own_module(obj.__module__):
                self.attributes_of(path, dict(vars(obj)), False)
        elif is_a(obj, dict):
            parts = list(islice(obj.values(), MOST_PARTS))
            if not set(map(type, parts)) <= ATOMS and "__builtins__" not in obj:
                for key, part in zip(obj, parts, strict=False):
                    shown = repr(key) if type(key) in ATOMS else "·"
                    self.add(f"{path}[{shown}]", part, library)
        else:
            parts = list(islice(obj, MOST_PARTS))
            if not set(map(type, parts)) <= ATOMS:
                for k, part in enumerate(parts):
                    self.add(f"{path}[{k}]", part, library)

    def function(self, path: str, function: types.FunctionType) -> None:
        if not is_own_module(function.__globals__.get("__name__")):
            return
        attributes, names = _mentions_of(function)
        self.mention(attributes)
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=False))
        for name, cell in cells.items():
            try:
                self.add(name, cell.cell_contents)
            except ValueError:
                pass  # not bound yet
        for default in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self.add(path, default)
        for name in names:
            head, _, rest = name.partition(".")
            if head not in cells and head in function.__globals__:
                self.add(name, _along(function.__globals__[head], rest))

    def instance(self, path: str, obj: Any) -> None:
        """The attributes of an object, and the methods that come with its use."""
        kind = _type(obj)
        self.attributes_of(path, _attributes(obj), not is_own_module(kind.__module__))
        for owner in kind.__mro__:
            if owner not in self.classes and is_own_module(owner.__module__):
                self.classes.add(owner)
                self.attributes_of(path, dict(vars(owner)), False)

    def attributes_of(self, path: str, found: dict[str, Any], library: bool) -> None:
        for name, value in found.items():
            if type(value) in ATOMS:
                continue
            if is_a(value, (staticmethod, classmethod)):
                value = value.__func__
            elif is_a(value, property):
                value = value.fget
            elif type(value).__name__ == "cached_property":
                value = getattr(value, "func", None)
            special = name[:2] == name[-2:] == "__" and is_a(value, types.FunctionType)
            if library or name in self.attributes or ALL in self.attributes:
                self.add(f"{path}.{name}", value, library)
            elif special and name not in UNUSED:
                self.add(f"{path}.{name}", value)
            else:
                self.waiting.setdefault(name, []).append((f"{path}.{name}", value, self.root))


@cache
def _has_attributes(kind: Any) -> bool:
    """Whether what objects of this type hold is looked at."""
    module = str(kind.__module__)
    if module in ("builtins", "collections", "functools", "allcores.engine.per_worker"):
        return False
    return module.partition(".")[0] not in PLAIN_MODULES


def _attributes(obj: Any) -> dict[str, Any]:
    try:
        found = dict(object.__getattribute__(obj, "__dict__"))
    except (AttributeError, TypeError):
        found = {}
    for name, slot in _slots(_type(obj)):
        try:
            found[name] = slot.__get__(obj)
        except AttributeError:
            pass
    return found


@cache
def _slots(kind: Any) -> list[tuple[str, Any]]:
    return [
        (name, value)
        for owner in kind.__mro__
        for name, value in vars(owner).items()
        if type(value) is types.MemberDescriptorType
    ]


def _along(obj: Any, path: str) -> Any:
    """What a path through modules leads to, or as much of it as there is."""
    for name in path.split(".") if path else ():
        if not is_a(obj, types.ModuleType):
            break
        obj = vars(obj).get(name)
    return obj


# -- loops and functions


def why_not_shared(
    plan: Plan, iterable: Any, names: dict[str, Any], namespace: dict[str, Any]
) -> str | None:
    """Which handle a loop's work may use, with its line and what to do; or None."""
    work = list(plan.work_nodes())
    found = mentions(work, namespace)
    search = Search()
    search.mention(found.attributes)
    for name in sorted(found.names):
        head, _, rest = name.partition(".")
        if head not in plan.bound and (head in names or head in namespace):
            value = names[head] if head in names else namespace[head]
            search.add(name, _along(value, rest), root=head)
    read = {n.id for n in work if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    targets = [n for n in plan.varying if n in read]
    if targets and is_a(iterable, (list, tuple, deque, dict)):
        for item in _some(iterable):
            search.add(targets[0] if len(plan.varying) == 1 else "an item", item, root=targets[0])
    handle = search.first()
    if handle is None:
        return _heard(search)
    lines = [n.lineno for n in work if isinstance(n, ast.Name) and n.id == handle.root]
    return f"line {min(lines, default=plan.line)}: {handle.text()}"


def _heard(work: Search) -> str | None:
    """Why what hears of prints and records must not do so later than in the plain loop; or None.

    work: a search that has come to its end.
    """
    listeners = [s for s in (sys.stdout, sys.stderr) if is_own_module(type(s).__module__)]
    logging = sys.modules.get("logging")
    if logging is not None:
        loggers = [logging.root, *logging.root.manager.loggerDict.values()]
        for logger in loggers:
            for handler in (*getattr(logger, "handlers", ()), logger):
                listeners += [handler, *getattr(handler, "filters", ())]
                listeners.append(getattr(handler, "formatter", None))
    search = Search()
    search.mention([ALL])
    for listener in listeners:
        if is_a(listener, types.FunctionType) or is_own_module(type(listener).__module__):
            search.todo.append(("", listener, False, ""))
    while search.todo and len(search.seen) < MOST_OBJECTS:
        path, obj, library, _ = search.todo.popleft()
        if is_a(obj, CHANGEABLE) and id(obj) in work.seen:
            return f"`{path.removeprefix('.')}` is used in the loop, and by what is told what it prints or logs"
        search.look_into(path, obj, library)
    return None


CHANGEABLE = (list, dict, set, deque, bytearray)
CHANGES = re.compile(r"changes `([^`]+)`")
CALLED = re.compile(r"`([^`]+)` \([^)]*\) changes")


def explained(
    reasons: list[Reason], names: dict[str, Any], namespace: dict[str, Any]
) -> list[Reason]:
    """Reasons, with those first that are about a handle, and what to do about it."""
    told: list[Reason] = []
    others: list[Reason] = []
    for reason in reasons:
        handle = _handle_in(reason.text, names, namespace)
        if handle is None:
            others.append(reason)
        elif all(handle.text() not in r.text for r in told):
            told.append(Reason(reason.line, f"{reason.text}: {handle.text()}"))
    return told + others


def _handle_in(text: str, names: dict[str, Any], namespace: dict[str, Any]) -> Handle | None:
    """The handle that a reason is about: at the path that is changed, or used by what is called."""
    from allcores.plan.live import lookup

    changed, called = CHANGES.search(text), CALLED.search(text)
    ways = [(changed, [ALL]), (called, ["__call__"])]
    for found, attributes in ways:
        if found is None:
            continue
        search = Search()
        search.mention(attributes)
        try:
            search.add(found[1], lookup(found[1], names, namespace))
        except LookupError:
            continue
        handle = search.first()
        if handle is None or found is changed:
            if handle is not None:
                return handle
        elif changed is None or _head(handle.path) == _head(changed[1]):
            return handle
    return None


def _head(path: str) -> str:
    return re.split(r"[.\[]", path)[0]


def used_by_function(name: str, function: Any, items: Any) -> Handle | None:
    """The handle that a function may use when it is called with the items."""
    search = Search()
    if isinstance(items, (list, tuple)):
        for item in _some(items):
            search.add("an item", item)
    if not is_a(function, (types.FunctionType, types.MethodType, type, partial)):
        search.mention(["__call__"])
    search.add(name, function)
    return search.first()


def _some(items: Any) -> list[Any]:
    found: list[Any] = list(iter(items))  # of an iterator's length nothing of the program is asked
    if set(map(type, found)) <= ATOMS:
        return []
    step = max(1, len(found) // MOST_ITEMS)
    return found[::step]
