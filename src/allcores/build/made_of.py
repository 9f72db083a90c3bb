"""What the records of a loop's iterations depend on beside their items, in parts that have names.

Those are the loop's own code, the values that it leaves alone, every function, class and variable
that called code names, however far away, and the versions of the libraries that it uses. Two runs
of which all parts are the same would make the same records of the same items.
"""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import sys
import time
import types
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator
from functools import cache, partial
from opcode import opmap
from typing import Any, NamedTuple

from allcores.build.digest import (
    _NOT_OF_A_CLASS,
    CannotDigest,
    Values,
    digest_of,
    is_enum,
    is_own,
)
from allcores.build.settings import OF_DECIMAL, Settings
from allcores.engine.functions import global_names
from allcores.plan.kinds import is_a
from allcores.plan.ownership import is_own_file, is_own_module

LOOKS_ANYWHERE = frozenset({"eval", "exec", "globals", "__import__"})
"""Builtins whose use does not tell what is used."""
ANYWHERE = frozenset(
    """__subclasses__ import_module __globals__ f_globals f_back f_locals _getframe currentframe
    __import__""".split()
)
"""Attributes of which the same holds."""
BY_COMPUTED_NAME = frozenset({"getattr", "vars", "dir"})
"""Builtins that may find anything in a module."""
_PLAIN = frozenset({int, float, complex, bool, str, bytes, type(None)})


VALUE = "the value of "
"""How the words for a variable's value begin."""


class Part(NamedTuple):
    """One thing that records depend on."""

    digest: str
    words: str
    """What it is, for people."""


class MadeOf(Values):
    """Collects parts, from functions and values on; `found` gives them."""

    def __init__(
        self, namespace: dict[str, Any] | None = None, apart: Container[str] = frozenset()
    ) -> None:
        """namespace: the variables of the loop's module, of which those in `apart` do not count."""
        super().__init__()
        self.namespace, self.apart = namespace, apart
        self.found: dict[str, Part] = {}
        self.todo: deque[Callable[[], None]] = deque()
        self.queued: set[Any] = set()
        self.mentioned: set[str] = set()
        """Names and texts in the code: what may be looked up in a module."""
        self.modules: dict[str, types.ModuleType] = {}
        self.libraries: dict[str, types.ModuleType] = {}
        self.any_name = False
        """Whether names may be computed."""

    def key(self) -> str:
        """One digest for all parts."""
        self.finish()
        pairs = (f"{name} {part.digest}".encode() for name, part in sorted(self.found.items()))
        return digest_of(*pairs).hex()

    def finish(self) -> None:
        """Follow what is still to be followed."""
        while True:
            while self.todo:
                self.todo.popleft()()
            self.look_into_modules()
            if not self.todo:
                return

    def add(self, name: str, words: str, pieces: Callable[[], Iterable[bytes]]) -> None:
        """Add a part now. Raises CannotDigest that says of what."""
        try:
            self.found[name] = Part(digest_of(*pieces()).hex(), words)
        except CannotDigest as why:
            raise CannotDigest(f"{words} may be another in every run: {why}") from None

    def later(self, key: Any, name: str, words: str, pieces: Callable[[], Iterable[bytes]]) -> None:
        """Add a part when its turn comes, once."""
        if key not in self.queued:
            self.queued.add(key)
            self.todo.append(partial(self.add, name, words, pieces))

    def add_value(self, name: str, value: Any) -> None:
        """Add the value of a variable."""
        self.later(("value", name), name, in_words(name, value), lambda: (self.digest(value),))

    # -- code

    def of_function(self, value: Any) -> Iterable[bytes]:
        module = value.__globals__.get("__name__")
        if module is not None and not is_own_module(module):
            return self.of_library_function(value)
        name = name_at_home(value)
        if name is None:
            return self.function_pieces(value)
        self.later(name, name, in_words(name, value), lambda: self.function_pieces(value))
        return (b"function", name.encode())

    def function_pieces(self, value: Any) -> Iterable[bytes]:
        self.reach(value.__globals__, value.__code__)
        held = (value.__defaults__, value.__kwdefaults__, value.__closure__, vars(value))
        code = self.digest(value.__code__)
        return (b"function", code, self.parts(held), annotations_of(value))

    def of_library_function(self, value: Any) -> Iterable[bytes]:
        """One of a library's, which may hold functions of the program."""
        self.library(value.__globals__["__name__"])
        held = []
        for cell in value.__closure__ or ():
            try:
                held.append(self.digest(cell))
            except CannotDigest:
                held.append(b"?")  # what the library keeps for itself, such as a cache
        wrapped = vars(value).get("__wrapped__")
        return (*self.of_named(value), *held, self.digest(wrapped))

    def of_named(self, value: Any) -> Iterable[bytes]:
        module = getattr(value, "__module__", None)
        if isinstance(module, str) and is_own_module(module):
            self.of_module(sys.modules[module])  # a module made in C
        elif isinstance(module, str):
            self.library(module)
        return super().of_named(value)

    def of_class(self, value: Any) -> Iterable[bytes]:
        if not is_own(value):
            return (*self.of_named(value), self.parts(put_into(value)))
        name = name_at_home(value)
        if name is None:
            return self.class_pieces(value)
        self.later(name, name, in_words(name, value), lambda: self.class_pieces(value))
        return (b"class", name.encode())

    def class_pieces(self, value: Any) -> Iterable[bytes]:
        variables = {n: v for n, v in vars(value).items() if n not in _NOT_OF_A_CLASS}
        if is_enum(value):
            made = (types.FunctionType, property, staticmethod, classmethod)
            variables = {n: v for n, v in variables.items() if isinstance(v, made)}
            variables.update({n: m._value_ for n, m in value._member_map_.items()})
        variables = {n: v for n, v in variables.items() if (id(value), n) not in self.left_out}
        named = [each for pair in variables.items() for each in pair]
        bases = self.parts([type(value), *value.__bases__])
        return (b"class", bases, self.parts(named), annotations_of(value))

    def of_module(self, value: Any) -> Iterable[bytes]:
        name = value.__name__
        file = getattr(value, "__file__", None) or ""
        if not is_own_module(name):
            self.library(name)
        elif file.endswith((".so", ".pyd")):
            self.later(("file", file), name, f"`{file}`", lambda: (bytes_of(file),))
        else:
            self.modules.setdefault(name, value)
        return (b"module", name.encode())

    def library(self, module: str) -> None:
        """Code of a library is used: its version counts."""
        top = module.partition(".")[0]
        if module in sys.modules:
            self.libraries.setdefault(module, sys.modules[module])
        if top == "builtins" or top in sys.stdlib_module_names:
            return
        self.later(
            ("library", top),
            f"library {top}",
            f"the version of {top}",
            lambda: (version_of(top).encode(),),
        )

    # -- what code names

    def reach(self, namespace: dict[str, Any], code: types.CodeType) -> None:
        """Follow what code reads of its module and imports."""
        mentioned = mentioned_in(code)
        for name in sorted(ANYWHERE.intersection(mentioned)):
            raise CannotDigest(f"`{name}`, used at {where(code)}, may lead to anything")
        self.mentioned |= mentioned
        for name in sorted(global_names(code)):
            self.reach_global(namespace, name, code)
        for name in sorted(imported_by(code)):
            self.reach_import(namespace, name, code)

    def reach_global(self, namespace: dict[str, Any], name: str, code: Any) -> None:
        if namespace is self.namespace and name in self.apart:
            return
        module = namespace.get("__name__", "?")
        if name in namespace:
            value = namespace[name]
            full = f"{module}.{name}"
            if name_at_home(value) == full:
                self.digest(value)  # is its own part
            else:
                key = ("global", id(namespace), name)
                self.later(key, full, in_words(full, value), lambda: (self.digest(value),))
            return
        builtins = namespace.get("__builtins__", {})
        builtins = builtins if isinstance(builtins, dict) else vars(builtins)
        if name in LOOKS_ANYWHERE and name in builtins:
            raise CannotDigest(f"`{name}`, used at {where(code)}, may look at anything")
        self.any_name |= name in BY_COMPUTED_NAME
        if name not in builtins:
            self.later(
                (id(namespace), name), f"{module}.{name}", f"`{name}`", lambda: (b"unbound",)
            )
        elif not _is_of_python(name, builtins[name]):
            self.reach_builtin(name, builtins[name])

    def reach_builtin(self, name: str, value: Any) -> None:
        """What code finds among the builtins, and Python has not put there."""
        self.add_value(f"builtins.{name}", value)

    def reach_import(self, namespace: dict[str, Any], name: str, code: Any) -> None:
        package = namespace.get("__package__") or namespace.get("__name__") or ""
        names = [name, f"{package}.{name}".rstrip("."), f"{package.rpartition('.')[0]}.{name}"]
        known = next((n for n in names if n in sys.modules), None)
        if known is not None:
            parts = known.split(".")
            for k in range(len(parts)):
                self.digest(sys.modules[".".join(parts[: k + 1])])
            return
        from importlib.util import find_spec

        top = name.partition(".")[0]
        try:
            spec = find_spec(top) if top else None
        except (ImportError, ValueError):
            spec = None
        if spec is not None and spec.origin is not None and is_own_file(spec.origin):
            raise CannotDigest(
                f"`{name}` is first imported within the loop, at {where(code)}; import it before, at "
                "the top of the file"
            )
        self.library(name)

    def look_into_modules(self) -> None:
        """Follow what names may mean in the modules that have been come by."""
        for module in list(self.modules.values()):
            variables = vars(module)
            names = [n for n in variables if not n.startswith("__")]
            if not self.any_name:
                names = sorted(self.mentioned.intersection(names))
            for name in names:
                self.reach_global(variables, name, None)
        for name, module in list(self.libraries.items()):
            for attribute in sorted(self.mentioned.intersection(vars(module))):
                value = vars(module)[attribute]
                held = value if type(value) in (list, tuple) else (value,)
                plain = _PLAIN.issuperset(map(type, held)) and not attribute.startswith("__")
                # A function that the program has put in the place of the library's.
                replaced = is_a(value, (types.FunctionType, type)) and is_own(value)
                if plain or replaced:
                    self.add_value(f"{name}.{attribute}", value)
        if "logging" in self.libraries:
            self.add_value("logging.root", self.libraries["logging"].root)
        if "os" in self.libraries and self.mentioned & {"environ", "getenv", "environb"}:
            for name in sorted(self.mentioned & os.environ.keys()):
                words = f"`{name}` in the environment"
                text = os.environ[name].encode("utf-8", "surrogateescape")
                self.later(("os", name), f"environment {name}", words, partial(_alone, text))


def _alone(piece: bytes) -> tuple[bytes]:
    return (piece,)


def in_words(name: str, value: Any) -> str:
    """A variable, function or class, for people."""
    plain = name.removeprefix("__main__.")
    function = getattr(value, "__func__", value)
    code = getattr(function, "__code__", None)
    if isinstance(code, types.CodeType):
        return f"`{plain}` at {where(code)}"
    if is_a(value, type):
        return f"the class `{plain}`"
    return f"{VALUE}`{plain}`"


def where(code: types.CodeType) -> str:
    """Where code stands, for people."""
    return f"{os.path.basename(code.co_filename)}:{code.co_firstlineno}"


def name_at_home(value: Any) -> str | None:
    """The full name under which a function or class is found in its module; None: it is not."""
    if not is_a(value, (types.FunctionType, type)):
        return None
    name, at = value.__module__, sys.modules.get(value.__module__ or "")
    if at is None:
        return None
    found: Any = at
    for part in value.__qualname__.split("."):
        if not is_a(found, (types.ModuleType, type)):
            return None
        found = vars(found).get(part)
    return f"{name}.{value.__qualname__}" if found is value else None


def annotations_of(value: Any) -> bytes:
    """What a function or class says of types, as far as that is the same in every run."""
    # A class that has none would be given them by being asked.
    holder = vars(value) if is_a(value, type) else {"__annotations__": value.__annotations__}
    found = holder.get("__annotations__", {})
    if not is_a(found, dict):
        return b""
    return repr([(name, _type_in_words(each)) for name, each in found.items()]).encode()


def _type_in_words(annotation: Any) -> str:
    if isinstance(annotation, type):
        return f"{annotation.__module__}.{annotation.__qualname__}"
    if isinstance(annotation, str) or type(annotation).__module__ in ("typing", "types"):
        return repr(annotation)
    return type(annotation).__qualname__


def put_into(library_class: type) -> list[Any]:
    """The functions that the program has put into a class of a library."""
    if library_class is object or library_class.__module__ == "builtins":
        return []
    held = [each for cls in library_class.__mro__ for each in vars(cls).values()]
    return [
        each
        for each in held
        if isinstance(each, types.FunctionType)
        and is_own_module(name := each.__globals__.get("__name__"))
        and not str(name).startswith("namedtuple_")
    ]


@cache
def mentioned_in(code: types.CodeType) -> frozenset[str]:
    """The names and the texts in a piece of code."""
    found = {*code.co_names}
    todo = [*code.co_consts]
    while todo:
        each = todo.pop()
        if isinstance(each, str):
            found.add(each)
        elif isinstance(each, (tuple, frozenset)):
            todo += each
        elif isinstance(each, types.CodeType):
            found |= mentioned_in(each)
    return frozenset(found)


@cache
def imported_by(code: types.CodeType) -> frozenset[str]:
    """The modules that a piece of code imports, as it names them."""
    found: set[str] = set()
    high = 0
    for op, low in zip(code.co_code[::2], code.co_code[1::2]):
        arg = high << 8 | low
        high = arg if op == opmap["EXTENDED_ARG"] else 0
        if op == opmap["IMPORT_NAME"]:
            found.add(code.co_names[arg])
    inner = [imported_by(each) for each in code.co_consts if isinstance(each, types.CodeType)]
    return frozenset(found).union(*inner)


def _is_of_python(name: str, value: Any) -> bool:
    """Whether this is what any Python has among its builtins under this name."""
    if is_a(value, (types.BuiltinFunctionType, type)) and not is_own(value):
        return value.__name__ == name or value is OSError
    return name in _CONSTANTS and (value is NotImplemented or value is ... or type(value) in _PLAIN)


_CONSTANTS = frozenset("None True False NotImplemented Ellipsis __debug__ __name__ __doc__".split())
"""Builtins that are neither functions nor types; `__doc__` is that of a module without one."""


def bytes_of(file: str) -> bytes:
    """The digest of a file."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "blake2b").digest()


def version_of(library: str) -> str:
    """The version of a library, or what tells this one from another."""
    module = sys.modules.get(library)
    for name in ("__version__", "VERSION", "version"):
        found = getattr(module, name, None)
        if is_a(found, (str, tuple)):
            return str(found)
    from importlib import metadata

    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        pass
    try:
        about = os.stat(getattr(module, "__file__", None) or "")
    except OSError:
        return ""
    return f"{about.st_size} bytes, {about.st_mtime_ns}"


# -- a loop, and a function that is mapped


def around() -> Iterator[tuple[str, str, bytes]]:
    """What counts wherever code runs: names, words and what tells them apart."""
    from allcores import __version__

    python = (
        f"{platform.python_implementation()} {platform.python_version()} -O{sys.flags.optimize}"
    )
    yield "python", "the version of Python", python.encode()
    yield "library allcores", "the version of allcores", __version__.encode()
    now = Settings()
    yield "directory", "the current directory", os.fsencode(now.directory)
    decimal = now.decimal and [repr(getattr(now.decimal, name)) for name in OF_DECIMAL]
    numpy = sys.modules.get("numpy")
    shown = numpy.get_printoptions() if numpy is not None else None
    settings = repr((now.locale, decimal, now.numpy, shown, time.tzname))
    yield (
        "settings",
        "a setting of the process (locale, time zone, `decimal`, `np.seterr`, `np.set_printoptions`)",
        settings.encode(),
    )


def made_of_function(function: Any, streams: Iterable[bytes]) -> MadeOf:
    """What the results of a function depend on. Raises CannotDigest."""
    made = MadeOf()
    made.add_value(getattr(function, "__qualname__", "the function"), function)
    _add_around(made, streams)
    return made


def made_of_loop(
    made: MadeOf, node: ast.For, work: Any, fixed: dict[str, Any], streams: Iterable[bytes]
) -> MadeOf:
    """What the records of a loop depend on. Raises CannotDigest.

    work: the function that workers run, in which `fixed` are the variables of the function around
    the loop.
    """
    made.add("body", "the loop's body", lambda: body_of(node))
    for name in sorted(set(fixed).intersection(work.__code__.co_freevars)):
        made.add_value(name, fixed[name])
    made.reach(work.__globals__, work.__code__)
    made.add("work", "what workers do of it", lambda: (made.digest(work.__code__),))
    _add_around(made, streams)
    return made


def body_of(node: ast.For) -> list[bytes]:
    """A loop's body as it is written, but for comments and where it stands."""
    return [ast.dump(each).encode() for each in (node.target, *node.body)]


def _add_around(made: MadeOf, streams: Iterable[bytes]) -> None:
    for name, words, piece in around():
        made.add(name, words, partial(_alone, piece))
    states = sorted(streams)
    if states:
        made.add("random", "where the random streams begin", lambda: states)
    made.finish()


# -- items


class ItemDigest(Values):
    """Makes digests of items, with what the functions and classes among them depend on."""

    def __init__(self) -> None:
        super().__init__()
        self.code: dict[int, bytes] = {}
        self.kept: list[Any] = []

    def of(self, item: Any) -> bytes:
        """The digest of an item. Raises CannotDigest."""
        self.known.clear()
        self.alive.clear()
        self.visited = 0
        return self.digest(item)

    def whole(self, value: Any) -> Iterable[bytes]:
        """All that a function, class or module depends on."""
        found = self.code.get(id(value))
        if found is None:
            made = MadeOf()
            made.add("itself", "an item", lambda: (made.digest(value),))
            found = self.code[id(value)] = made.key().encode()
            self.kept.append(value)
        return (b"code", found)

    of_function = of_class = of_module = of_named = whole
