"""What calls do: tables for builtins, methods and well-known modules, and values they give.

A **root** names something that an object may be: a path that exists outside the iteration
("grid", "self.results", "$item" for what the loop hands out, "@package/module.name" for what
another module holds), or an object that the iteration made ("#12", named after the place that
makes it).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

Roots = frozenset[str]
NONE: Roots = frozenset()
ITEM = "$item"
UNKNOWN = "@?"
"""Among what a function changes: there is more code behind it than is followed."""


class Val(NamedTuple):
    """What reading knows of a value: what it is, and what can be reached through it."""

    own: Roots = NONE
    """The objects it may be."""
    maybe: Roots = NONE
    """Outer objects that it might be, though most likely it is not (an unknown call's result)."""
    inner: Roots = NONE
    """Objects found inside it."""
    inner_maybe: Roots = NONE

    @property
    def roots(self) -> Roots:
        return self.own | self.inner

    @property
    def possible(self) -> Roots:
        return self.own | self.inner | self.maybe | self.inner_maybe


ATOM = Val()
"""A number, string or other value that cannot be changed."""
MISSING = Val(frozenset(), frozenset(), frozenset(), frozenset())
"""An argument that is left at its default; compared by identity."""
ANY = ".<any>"
"""At the end of a path: an attribute that is only known when it runs."""
PROCESS_ROOTS = ("@os.environ", "@decimal.context")
"""What any code of this process may go by."""
MODULES = "@sys.modules"
"""The root of all modules."""
VARIABLES = frozenset({"__globals__", "f_globals", "f_locals"})
"""Attributes that are all the variables of some code."""
ELEMENTS = ".<elements>"
"""At the end of a path: what the object holds, as far as its types go."""
KINDS = ".<kinds>"
"""At the end of a path: the program's classes among the object and what it holds."""
RESULT = ".<result>"
"""What calling the object at a path gives."""
KEPT = "<kept>"
"""At the end of a path: a function that the object, or one that it holds, keeps as this attribute."""
CLASS = "@its class"
"""The root of the class of an object."""


def is_outer(root: str) -> bool:
    """Whether the root outlives the iteration."""
    return root[0] != "#"


def item_root(name: str) -> str:
    """The root of the part of the item that the loop binds to this target."""
    return f"{ITEM}:{name}"


def is_item(root: str) -> bool:
    """Whether the root is the iteration's own item, or a part of it, in a loop that changes items."""
    return root.startswith(f"{ITEM}:")


def outer(roots: Roots) -> Roots:
    return frozenset(r for r in roots if r[0] != "#")


def module_root(name: str) -> str:
    """The root of a module's globals: "@package/module"."""
    return "@" + name.replace(".", "/")


def in_words(root: str) -> str:
    """A root as people write it."""
    head, dot, rest = root.replace(".~", ".").replace(KEPT, "").partition(".")
    if is_item(root):
        return head.partition(":")[2] + dot + rest
    return head[1:].replace("/", ".") + dot + rest if head[:1] == "@" else head + dot + rest


def comes_from(val: Val) -> Roots:
    """What from outside a value may be or be a part of; of an item, what the loop runs over too."""
    roots = val.own | val.maybe
    if any(r.startswith(ITEM) for r in val.own):
        roots |= val.inner | val.inner_maybe
    return outer(roots)


LONGEST_PATH = 4


def bounded(root: str, longest: int = LONGEST_PATH) -> str:
    """The path, or what it begins with if it is long or comes to the same attribute again.

    Functions that call each other would make ever longer paths.
    """
    if root.endswith(KEPT):
        owner, _, last = root.rpartition(".")
        return f"{bounded(owner, longest)}.{last}"
    parts = root.split(".")
    for k in range(1, len(parts)):
        if k == longest or parts[k] in parts[:k]:
            return ".".join(parts[:k])
    return root


MANY_ROOTS = 48


def all_bounded(roots: Iterable[str]) -> dict[str, str]:
    """Each path and what stands for it: less of it the more of them there are.

    What a call changes is gone through at every call: a thousand paths took minutes.
    """
    found: dict[str, str] = {}
    for longest in range(LONGEST_PATH, 0, -1):
        # The name of a module alone says nothing.
        found = {r: bounded(r, max(longest, 2) if r[0] == "@" else longest) for r in roots}
        if len(set(found.values())) <= MANY_ROOTS:
            break
    return found


def shortened(roots: Roots) -> Roots:
    """The same roots; where they are very many, paths are replaced by the names they begin with."""
    if len(roots) <= MANY_ROOTS:
        return roots
    return frozenset(r.partition(".")[0] if is_outer(r) else r for r in roots)


def join(a: Val, b: Val) -> Val:
    """The value that is either `a` or `b`."""
    if a == b:
        return a
    return Val(a.own | b.own, a.maybe | b.maybe, a.inner | b.inner, a.inner_maybe | b.inner_maybe)


def overlaps(a: str, b: str) -> bool:
    """Whether one path is the other, or a part of it."""
    return a == b or a.startswith(b + ".") or b.startswith(a + ".")


# -- builtins ------------------------------------------------------------------------------------

ATOM_BUILTINS = frozenset(
    """abs all any ascii bin bool bytes callable chr complex divmod float format hasattr hash hex
    id int isinstance issubclass len memoryview oct ord pow range repr round slice str type
    """.split()
)
SHALLOW_BUILTINS = frozenset(
    "list tuple set frozenset dict sorted reversed zip enumerate map filter bytearray sum object".split()
)
CONSUMERS = frozenset("sum min max any all sorted list tuple set frozenset dict bytearray".split())
ELEMENT_BUILTINS = frozenset({"min", "max"})
SERIAL_BUILTINS = {
    "exec": "runs code that cannot be read beforehand",
    "eval": "runs code that cannot be read beforehand",
    "compile": "makes code that cannot be read beforehand",
    "__import__": "imports a module under a name that cannot be read beforehand",
    "locals": "looks at every variable at once",
    "globals": "looks at every variable at once",
    "vars": "looks at every variable at once",
    "dir": "looks at every variable at once",
    "input": "waits for the keyboard",
    "breakpoint": "starts the debugger",
    "exit": "ends the program",
    "quit": "ends the program",
}
SERIAL_ANYWHERE = frozenset({"eval", "exec", "globals", "input", "breakpoint"})
"""Those that count in called functions as well."""
CHEAP_BUILTINS = frozenset(
    "len int float str bool isinstance abs range enumerate zip round min max repr id type".split()
)
KEEPS_CALLBACK = frozenset({"sort", "sorted", "min", "max", "filter", "map"})

# -- read from the table when first asked for ------------------------------------------------------

MUTATORS: frozenset[str]
CONTAINER_CHANGES: frozenset[str]
GIVEN_MUTATORS: frozenset[str]
DRAWS: frozenset[str]
CHEAP_METHODS: frozenset[str]
SOFT_NAMES: frozenset[str]
VIEW_METHODS: frozenset[str]
ARGUMENT_CHANGES: dict[str, tuple[int, ...]]
METHOD_ARGUMENT_CHANGES: dict[str, tuple[int, ...]]
LAST_ARGUMENTS: dict[str, tuple[int, ...]]
FILE_CHANGES: dict[str, tuple[int, ...]]
PROCESS_SETTINGS: frozenset[str]
WATCHED_SETTINGS: frozenset[str]
PROCESS_ACTS: frozenset[str]
SIGNALS = frozenset({"signal.raise_signal", "signal.pthread_kill", "_thread.interrupt_main"})
"""Those of them that have the program's handlers called, which change what they like."""
STATEFUL_MODULES: tuple[str, ...]
HARMLESS_FUNCTIONS: frozenset[str]
FRESH_MODULES: tuple[str, ...]
BORROWING_FUNCTIONS: frozenset[str]
GENERATOR_MAKERS: frozenset[str]
DEEP_COPIES: frozenset[str]
SHARED_GIVERS: dict[str, str]
KEYWORDS: dict[str, str]


def __getattr__(name: str) -> Any:
    """Constants of this module that the table holds."""
    from allcores.plan.table import constant

    try:
        found = globals()[name] = constant(name)
    except KeyError:
        raise AttributeError(name) from None
    return found


# -- methods -------------------------------------------------------------------------------------

ATOM_METHODS = frozenset(
    """strip lstrip rstrip lower upper title capitalize casefold swapcase format format_map replace join
    center ljust rjust zfill encode decode startswith endswith find rfind index rindex count isdigit
    isalpha isalnum isspace isupper islower isnumeric isdecimal isidentifier istitle removeprefix
    removesuffix expandtabs translate bit_length bit_count is_integer as_integer_ratio hexdigest
    isoformat strftime timestamp total_seconds exists is_file is_dir item tobytes partition_
    """.split()
)
FRESH_METHODS = frozenset(
    """split rsplit splitlines partition rpartition astype mean std var sum prod cumsum cumprod min max
    argmin argmax argsort dot any all round clip conj nonzero searchsorted tolist deepcopy digest
    """.split()
)
SHALLOW_METHODS = frozenset(
    "copy items values keys union intersection difference symmetric_difference most_common elements".split()
)
ELEMENT_METHODS = frozenset("get setdefault pop popleft popitem __getitem__ next".split())
PUTS_ONE = frozenset("append appendleft add insert setdefault".split())
"""Methods of containers that put what they are given into them, as it is."""
KEY_METHODS = frozenset("get setdefault pop __getitem__".split())
"""Of these, those that give what an object has for a key."""
SAFE_COMMIT_METHODS = frozenset({"append"})
LOG_METHODS = frozenset({"debug", "info", "warning", "error", "critical", "exception", "log"})
TALK_METHODS = LOG_METHODS | {"write", "writelines", "flush"}
"""What a logger or a standard stream is told comes home from workers and is said there in order."""
LOGGING = "logging"
"""The root that stands for loggers and all that decides about records."""
LOGGER_MAKERS = frozenset({"logging.getLogger"})
LOGGER_NAMES = frozenset({"log", "logger"})

# -- functions of modules -----------------------------------------------------------------------

CURSOR_METHODS = frozenset({"cursor", "execute", "executemany", "executescript"})
"""Of Python's database API: they give a cursor."""
DATABASE_METHODS = CURSOR_METHODS | {
    "fetchone",
    "fetchmany",
    "fetchall",
    "commit",
    "rollback",
    "close",
}
DESCRIPTOR_FUNCTIONS = frozenset(
    """os.read os.readv os.write os.writev os.pwrite os.pwritev os.lseek os.ftruncate os.close
    os.sendfile os.splice os.dup2 fcntl.flock fcntl.lockf""".split()
)
"""What moves or changes the file that stands behind its first argument, a number."""
DESCRIPTOR_MAKERS = frozenset("os.fdopen os.dup io.open io.FileIO socket.fromfd mmap.mmap".split())
"""What gives something that stands for the file behind its first argument as well."""
WARNING_FILTERS = frozenset(
    "warnings.filterwarnings warnings.simplefilter warnings.resetwarnings".split()
)
QUIET_MANAGERS = frozenset(
    """warnings.catch_warnings numpy.errstate numpy.printoptions decimal.localcontext
    contextlib.closing contextlib.nullcontext contextlib.redirect_stdout contextlib.redirect_stderr
    tempfile.TemporaryDirectory tempfile.NamedTemporaryFile tempfile.TemporaryFile""".split()
)
"""What swallows no exceptions in a `with`."""
REDIRECTS = frozenset(("contextlib.redirect_stdout", "contextlib.redirect_stderr"))
RANDOM_MODULES = ("random", "numpy.random")
ITEM_MAKERS = ("itertools.", "copy.copy", "operator.", "functools.")
