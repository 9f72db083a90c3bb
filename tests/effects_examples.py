"""An example call for every line of `plan/effects.txt`, for `test_effects.py`.

Objects are made anew for each call. A library that is not installed makes ImportError.
"""

from __future__ import annotations

import array
import collections
import configparser
import contextlib
import contextvars
import csv
import decimal
import importlib
import io
import itertools
import logging
import os
import queue
import random
import shelve
import sqlite3
import struct
import tarfile
import threading
import weakref
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

Args = tuple[Any, ...]


class Kind(NamedTuple):
    """How to make an object of a type, how it looks, and what its methods are called with."""

    make: Callable[[], Any]
    look: Callable[[Any], Any]
    args: dict[str, Callable[[], Args]] = {}
    """Nothing: no arguments."""
    left_out: dict[str, str] = {}
    """Methods that no test can call, and why."""
    first: dict[str, Callable[[Any], Any]] = {}
    """What is done with the object before."""


def given(*args: Any) -> Callable[[], Args]:
    """These arguments, which no call changes."""
    return lambda: args


class Key:
    """What weak references can be made to."""


KEY, OTHER = Key(), Key()
COUNT = itertools.count()


def numpy() -> Any:
    return importlib.import_module("numpy")


def pandas() -> Any:
    return importlib.import_module("pandas")


# -- builtins, and what is like them

LIST_ARGS = {
    "append": given(4),
    "extend": given([4]),
    "insert": given(0, 4),
    "remove": given(1),
    "count": given(1),
    "index": given(1),
}
DICT_ARGS = {
    "fromkeys": given([1]),
    "get": given(1),
    "pop": given("a"),
    "setdefault": given("z", 1),
    "update": given({"z": 1}),
    "move_to_end": given("a"),
    "subtract": given({"a": 1}),
}
SET_ARGS = {
    "add": given(9),
    "difference": given({1}),
    "difference_update": given({1}),
    "discard": given(1),
    "intersection": given({1}),
    "intersection_update": given({1}),
    "isdisjoint": given({1}),
    "issubset": given({1}),
    "issuperset": given({1}),
    "remove": given(1),
    "symmetric_difference": given({1}),
    "symmetric_difference_update": given({1}),
    "union": given({7}),
    "update": given({7}),
}
TEXT_ARGS: dict[str, Callable[[], Args]] = {
    "center": given(9),
    "ljust": given(9),
    "rjust": given(9),
    "zfill": given(9),
    "format_map": given({}),
    "maketrans": given("a", "b"),
    "translate": given({97: "b"}),
    "replace": given("a", "b"),
    "join": given(["a", "b"]),
    **{m: given("a") for m in "count endswith find index partition removeprefix".split()},
    **{m: given("a") for m in "removesuffix rfind rindex rpartition startswith".split()},
}
BYTES_ARGS: dict[str, Callable[[], Args]] = {
    **TEXT_ARGS,
    "fromhex": given("00"),
    "maketrans": given(b"a", b"b"),
    "translate": given(bytes(range(256))),
    "replace": given(b"a", b"b"),
    "join": given([b"a", b"b"]),
    **{m: given(b"a") for m in "count endswith find index partition removeprefix".split()},
    **{m: given(b"a") for m in "removesuffix rfind rindex rpartition startswith".split()},
    "append": given(4),
    "extend": given(b"a"),
    "insert": given(0, 4),
    "remove": given(99),
    "resize": given(2),
}
STREAM_ARGS = {
    "write": given("x"),
    "writelines": given(["x"]),
    "seek": given(3),
    "truncate": given(1),
    "reconfigure": given(),
}
BYTE_STREAM_ARGS = {
    "write": given(b"x"),
    "writelines": given([b"x"]),
    "seek": given(3),
    "truncate": given(1),
    "readinto": lambda: (bytearray(2),),
    "readinto1": lambda: (bytearray(2),),
}


def generator() -> Any:
    yield 1
    yield 2


async def coroutine() -> None:
    return None


def place(stream: Any) -> Any:
    """Where a stream stands, and what is in it."""
    try:
        at = stream.tell()
        stream.flush() if stream.writable() else None
        inside = stream.getvalue() if hasattr(stream, "getvalue") else contents(stream)
    except ValueError as error:  # closed or detached
        return str(error)
    return at, inside


def contents(stream: Any) -> Any:
    return Path(stream.name if isinstance(stream.name, str) else stream.raw.name).read_bytes()


def file(mode: str, **more: Any) -> Callable[[], Any]:
    def make() -> Any:
        Path("example").write_bytes(b"first\nsecond\n")
        return open("example", mode, **more)

    return make


def text_file() -> Any:
    return file("r+")()


def csv_writer() -> Any:
    global csv_text
    csv_text = io.StringIO()
    return csv.writer(csv_text)


def dict_writer() -> Any:
    global csv_text
    csv_text = io.StringIO()
    return csv.DictWriter(csv_text, ["a"])


csv_text = io.StringIO()


def database() -> Any:
    made = sqlite3.connect(":memory:")
    made.execute("create table t (x)")
    made.execute("insert into t values (1)")
    return made


def cursor() -> Any:
    found = database().cursor()
    found.execute("select x from t")
    return found


def database_look(made: Any) -> Any:
    try:
        listed = made.execute("select name from pragma_function_list").fetchall()
        return made.in_transaction, list(made.iterdump()), ("mine",) in listed, collations(made)
    except sqlite3.ProgrammingError as error:
        return str(error)


def collations(made: Any) -> Any:
    return sorted(row[1] for row in made.execute("pragma collation_list"))


def cursor_look(c: Any) -> Any:
    try:
        return c.rowcount, c.lastrowid, c.description, list(c)
    except sqlite3.ProgrammingError as error:
        return str(error)


class Total:
    def step(self, x: Any) -> None: ...

    def finalize(self) -> int:
        return 0


def archive() -> Any:
    made = zipfile.ZipFile(io.BytesIO(), "w")
    made.writestr("a", "x")
    Path("example").write_text("x")
    return made


def tape() -> Any:
    Path("example").write_text("x")
    return tarfile.open(fileobj=io.BytesIO(), mode="w")


def settings() -> Any:
    made = configparser.ConfigParser()
    made.read_dict({"a": {"x": "1"}})
    return made


def shelf() -> Any:
    kept = shelve.Shelf({}, writeback=True)
    kept["a"] = [1]
    kept["a"].append(2)
    return kept


def shelf_look(kept: Any) -> Any:
    return dict(kept.dict.items()) if isinstance(kept.dict, dict) else "closed"


def logger() -> Any:
    made = logging.Logger("example")
    made.addHandler(HANDLER)
    made.addFilter(FILTER)
    return made


def handler() -> Any:
    made = logging.StreamHandler(io.StringIO())
    made.addFilter(FILTER)
    return made


HANDLER, FILTER = logging.NullHandler(), logging.Filter("example")


def signals() -> Any:
    context = decimal.Context()
    context.flags[decimal.Inexact] = True
    return context


def stack() -> Any:
    made = contextlib.ExitStack()
    made.callback(len, "")
    return made


VARIABLE: contextvars.ContextVar[int] = contextvars.ContextVar("example", default=0)
TOKEN = VARIABLE.set(1)


def variable() -> Any:
    global TOKEN
    VARIABLE.set(VARIABLE.get() + 10)
    TOKEN = VARIABLE.set(VARIABLE.get() + 1)
    return VARIABLE


def waiting() -> Any:
    made: queue.Queue[int] = queue.Queue()
    made.put(1)
    made.put(2)
    return made


def simple_waiting() -> Any:
    made: queue.SimpleQueue[int] = queue.SimpleQueue()
    made.put(1)
    return made


QUEUE_ARGS = {"put": given(3), "put_nowait": given(3)}


RANDOM_ARGS: dict[str, Callable[[], Args]] = {
    "betavariate": given(1, 2),
    "binomialvariate": given(9, 0.5),
    "choice": given([1, 2]),
    "choices": given([1, 2]),
    "gammavariate": given(1, 2),
    "expovariate": given(2.0),
    "gauss": given(0, 1),
    "getrandbits": given(8),
    "lognormvariate": given(0, 1),
    "normalvariate": given(0, 1),
    "paretovariate": given(1),
    "randbytes": given(8),
    "randint": given(1, 9),
    "randrange": given(9),
    "sample": given([1, 2], 1),
    "seed": given(7),
    "setstate": lambda: (random.Random(9).getstate(),),
    "shuffle": lambda: ([1, 2, 3],),
    "triangular": given(),
    "uniform": given(0, 1),
    "vonmisesvariate": given(0, 1),
    "weibullvariate": given(1, 2),
}
DISTRIBUTION_ARGS: dict[str, Callable[[], Args]] = {
    **{m: given(2, 3) for m in "beta f".split()},
    **{m: given(2) for m in "chisquare pareto power standard_gamma standard_t weibull".split()},
    **{m: given(2, 3, 4) for m in "noncentral_f".split()},
    "binomial": given(9, 0.5),
    "bytes": given(8),
    "choice": given(9),
    "dirichlet": given([1, 2]),
    "gamma": given(2),
    "geometric": given(0.5),
    "hypergeometric": given(5, 5, 3),
    "integers": given(9),
    "logseries": given(0.5),
    "multinomial": given(9, [0.5, 0.5]),
    "multivariate_hypergeometric": given([5, 5], 3),
    "multivariate_normal": given([0, 0], [[1, 0], [0, 1]]),
    "negative_binomial": given(3, 0.5),
    "noncentral_chisquare": given(2, 3),
    "permutation": given(9),
    "permuted": given([1, 2, 3]),
    "rand": given(2),
    "randint": given(9),
    "randn": given(2),
    "random_integers": given(9),
    "seed": given(7),
    "set_state": lambda: (numpy().random.RandomState(9).get_state(),),
    "shuffle": lambda: ([1, 2, 3],),
    "spawn": given(1),
    "triangular": given(0, 1, 2),
    "vonmises": given(0, 1),
    "wald": given(1, 1),
    "zipf": given(2),
}


def numbers() -> Any:
    return numpy().array([[3.0, 1.0, 2.0], [9.0, 7.0, 8.0]])


def numbers_look(a: Any) -> Any:
    return a.tobytes(), a.shape, a.strides, str(a.dtype), str(a.flags)


ARRAY_ARGS: dict[str, Callable[[], Args]] = {
    "astype": given(int),
    "choose": lambda: ([numpy().zeros((2, 3))] * 10,),
    "clip": given(0, 2),
    "compress": given([True, False], 0),
    "dot": given([1, 2, 3]),
    "dump": given("example"),
    "fill": given(0),
    "getfield": given("f4"),
    "item": given(0),
    "itemset": given(0, 9),
    "newbyteorder": given(),
    "partition": given(1),
    "argpartition": given(1),
    "put": given([0], [9]),
    "repeat": given(2),
    "reshape": given(6),
    "resize": lambda: ((3, 2),),
    "searchsorted": given(2),
    "setfield": given(1, "f4"),
    "setflags": given(False),
    "swapaxes": given(0, 1),
    "take": given([0]),
    "tofile": given("example"),
    "to_device": given("cpu"),
}


def frame() -> Any:
    return pandas().DataFrame({"a": [3, 1, 2], "b": [1, 2, 3]})


def series() -> Any:
    return pandas().Series([3, 1, 2], index=list("xyz"))


def figure() -> Any:
    importlib.import_module("matplotlib").use("agg")
    return importlib.import_module("matplotlib.figure").Figure()


def axes() -> Any:
    return figure().add_subplot()


def drawn(obj: Any) -> Any:
    """What is shown by a figure or axes, as far as their parts tell."""
    found = []
    for part in [*obj.findobj(), obj]:
        shown = {k: repr(v) for k, v in sorted(vars(part).items()) if type(v) in PLAIN}
        found.append((type(part).__name__, repr(shown)))
    own = getattr(obj, "viewLim", None), vars(getattr(obj, "subplotpars", obj)).get("left")
    own += tuple(getattr(obj, "get_size_inches", list)())
    return found, repr(own), [repr(f) for f in getattr(obj, "get_axes", list)()]


PLAIN = (int, float, str, bool, tuple, type(None), list)
XY: dict[str, Callable[[], Args]] = {
    m: given([1, 2], [3, 4])
    for m in """bar barh errorbar fill hexbin loglog plot scatter semilogx semilogy stackplot stem step
    """.split()
}
GRID: dict[str, Callable[[], Args]] = {
    m: given([[1, 2], [3, 4]])
    for m in "contour contourf imshow matshow pcolor pcolormesh spy".split()
}
AXES_ARGS: dict[str, Callable[[], Args]] = {
    **XY,
    **GRID,
    **{m: given(0.3) for m in "axhline axvline".split()},
    **{m: given(0.3, 0.4) for m in "axhspan axvspan set_xlim set_ylim".split()},
    **{m: given("t") for m in "set_title set_xlabel set_ylabel".split()},
    **{m: given("log") for m in "set_xscale set_yscale".split()},
    **{m: given([0.2, 0.7]) for m in "set_xticks set_yticks pie boxplot violinplot stairs".split()},
    "annotate": lambda: ("t", (0, 0)),
    "axline": lambda: ((0, 0), (1, 1)),
    "add_artist": lambda: (patch(),),
    "add_patch": lambda: (patch(),),
    "add_line": lambda: (importlib.import_module("matplotlib.lines").Line2D([0, 1], [0, 1]),),
    "add_collection": lambda: (
        importlib.import_module("matplotlib.collections").LineCollection([[(0, 0), (1, 1)]]),
    ),
    "add_image": lambda: (picture(),),
    "hist": given([1, 2, 2]),
    "fill_between": given([1, 2], [3, 4]),
    "fill_betweenx": given([1, 2], [3, 4]),
    "hlines": given(1, 0, 1),
    "vlines": given(1, 0, 1),
    "quiver": given([1], [1]),
    "streamplot": lambda: (range(3), range(3), numpy().ones((3, 3)), numpy().ones((3, 3))),
    "grid": given(True),
    "margins": given(0.3),
    "set_aspect": given("equal"),
    "table": lambda: ([["x"]],),
    "text": given(0, 0, "t"),
}


def patch() -> Any:
    return importlib.import_module("matplotlib.patches").Circle((0, 0), 1)


def picture() -> Any:
    made = importlib.import_module("matplotlib.image").AxesImage(axes())
    made.set_data([[1, 2], [3, 4]])
    return made


def bar() -> Any:
    return importlib.import_module("tqdm").tqdm(total=9, file=io.StringIO(), mininterval=0)


def bar_look(made: Any) -> Any:
    return made.n, made.total, made.desc, made.postfix, made.disable, made.start_t


def hdf() -> Any:
    made = importlib.import_module("h5py").File(
        f"{next(COUNT)}.h5", "w", driver="core", backing_store=False
    )
    made["a"] = [1, 2]
    made.attrs["k"] = 1
    return made


def hdf_look(made: Any) -> Any:
    if not made:
        return "closed"
    return sorted(made), {k: v.shape for k, v in made.items() if hasattr(v, "shape")}


def dataset() -> Any:
    return hdf().create_dataset("r", (2,), maxshape=(9,))


KINDS: dict[str, Kind] = {
    "builtins.list": Kind(lambda: [3, 1, 2], list, LIST_ARGS),
    "builtins.tuple": Kind(lambda: (3, 1, 2), list, LIST_ARGS),
    "builtins.dict": Kind(lambda: {"a": 1, "b": 2}, lambda d: list(d.items()), DICT_ARGS),
    "builtins.set": Kind(lambda: {1, 2, 3}, set, SET_ARGS),
    "builtins.frozenset": Kind(lambda: frozenset({1, 2, 3}), set, SET_ARGS),
    "builtins.str": Kind(lambda: "aBc", str, TEXT_ARGS),
    "builtins.bytes": Kind(lambda: b"aBc", bytes, BYTES_ARGS),
    "builtins.bytearray": Kind(lambda: bytearray(b"aBc"), bytes, BYTES_ARGS),
    "builtins.int": Kind(
        lambda: 5, int, {"to_bytes": given(2, "big"), "from_bytes": given(b"a", "big")}
    ),
    "builtins.float": Kind(lambda: 5.5, float, {"fromhex": given("1"), "from_number": given(1)}),
    "builtins.complex": Kind(lambda: 5j, complex, {"from_number": given(1)}),
    "builtins.range": Kind(lambda: range(5), list, {"count": given(1), "index": given(1)}),
    "builtins.memoryview": Kind(
        lambda: memoryview(bytearray(b"abc")),
        repr,
        {"cast": given("B"), "count": given(97), "index": given(97)},
    ),
    "builtins.generator": Kind(
        generator,
        lambda g: g.gi_frame and g.gi_frame.f_lasti,
        {"send": given(None), "throw": given(GeneratorExit)},
    ),
    "builtins.coroutine": Kind(
        coroutine,
        lambda c: c.cr_frame and c.cr_frame.f_lasti,
        {"send": given(None), "throw": given(GeneratorExit)},
    ),
    "collections.deque": Kind(
        lambda: collections.deque([3, 1, 2]),
        list,
        {**LIST_ARGS, "appendleft": given(4), "extendleft": given([4]), "rotate": given(1)},
    ),
    "collections.OrderedDict": Kind(
        lambda: collections.OrderedDict(a=1, b=2), lambda d: list(d.items()), DICT_ARGS
    ),
    "collections.defaultdict": Kind(
        lambda: collections.defaultdict(int, a=1), lambda d: list(d.items()), DICT_ARGS
    ),
    "collections.Counter": Kind(
        lambda: collections.Counter("aab"),
        lambda d: list(d.items()),
        {**DICT_ARGS, "update": given("z")},
        {"fromkeys": "it raises"},
    ),
    "collections.ChainMap": Kind(
        lambda: collections.ChainMap({"a": 1}, {"b": 2}), lambda c: repr(c.maps), DICT_ARGS
    ),
    "collections.UserDict": Kind(
        lambda: collections.UserDict(a=1, b=2), lambda d: list(d.items()), DICT_ARGS
    ),
    "collections.UserList": Kind(lambda: collections.UserList([3, 1, 2]), list, LIST_ARGS),
    "array.array": Kind(
        lambda: array.array("w" if "w" in array.typecodes else "u", "cab"),
        lambda a: a.tobytes(),
        {
            "append": given("x"),
            "count": given("x"),
            "extend": lambda: (array.array("w" if "w" in array.typecodes else "u", "x"),),
            "frombytes": given(b"a\0\0\0"),
            "fromfile": lambda: (io.BytesIO(b"a\0\0\0"), 1),
            "fromlist": given(["x"]),
            "fromunicode": given("x"),
            "index": given("a"),
            "insert": given(0, "x"),
            "remove": given("a"),
            "tofile": lambda: (io.BytesIO(),),
        },
    ),
    "_io.StringIO": Kind(
        lambda: io.StringIO("first\nsecond\n"), place, STREAM_ARGS, {"detach": "not for this type"}
    ),
    "_io.BytesIO": Kind(
        lambda: io.BytesIO(b"first\nsecond\n"),
        place,
        BYTE_STREAM_ARGS,
        {"detach": "not for this type"},
    ),
    "_io.TextIOWrapper": Kind(
        text_file,
        lambda f: (place(f), f.buffer and f.line_buffering) if not _detached(f) else "detached",
        {**STREAM_ARGS, "reconfigure": given()},
        {"reconfigure": "takes keywords"},
    ),
    "_io.BufferedReader": Kind(file("rb"), place, BYTE_STREAM_ARGS),
    "_io.BufferedWriter": Kind(file("wb"), place, BYTE_STREAM_ARGS),
    "_io.BufferedRandom": Kind(file("r+b"), place, BYTE_STREAM_ARGS),
    "_io.FileIO": Kind(file("r+b", buffering=0), place, BYTE_STREAM_ARGS),
    "_csv.writer": Kind(
        csv_writer,
        lambda _: csv_text.getvalue(),
        {"writerow": given([1]), "writerows": given([[1]])},
    ),
    "csv.DictWriter": Kind(
        dict_writer,
        lambda _: csv_text.getvalue(),
        {"writerow": given({"a": 1}), "writerows": given([{"a": 1}])},
    ),
    "random.Random": Kind(lambda: random.Random(1), lambda r: r.getstate(), RANDOM_ARGS),
    "queue.Queue": Kind(
        waiting,
        lambda q: (list(q.queue), q.unfinished_tasks, getattr(q, "is_shutdown", False)),
        QUEUE_ARGS,
    ),
    "_queue.SimpleQueue": Kind(simple_waiting, lambda q: q.qsize(), QUEUE_ARGS),
    "sqlite3.Connection": Kind(
        database,
        database_look,
        {
            "create_aggregate": given("mine", 1, Total),
            "create_collation": given("MINE", lambda a, b: 0),
            "create_function": given("mine", 0, lambda: 1),
            "execute": given("insert into t values (2)"),
            "executemany": given("insert into t values (?)", [(2,)]),
            "executescript": given("insert into t values (2)"),
        },
    ),
    "sqlite3.Cursor": Kind(
        cursor,
        cursor_look,
        {
            "execute": given("select 7"),
            "executemany": given("insert into t values (?)", [(2,)]),
            "executescript": given("insert into t values (2)"),
        },
    ),
    "logging.Logger": Kind(
        logger,
        lambda o: (o.level, list(o.handlers), list(o.filters)),
        {
            "addFilter": lambda: (logging.Filter("other"),),
            "addHandler": lambda: (logging.NullHandler(),),
            "removeFilter": given(FILTER),
            "removeHandler": given(HANDLER),
            "setLevel": given(7),
        },
    ),
    "logging.Handler": Kind(
        handler,
        lambda o: (o.level, o.formatter, list(o.filters), o in logging._handlerList, closed(o)),
        {
            "addFilter": lambda: (logging.Filter("other"),),
            "removeFilter": given(FILTER),
            "setFormatter": lambda: (logging.Formatter(),),
            "setLevel": given(7),
        },
    ),
    "zipfile.ZipFile": Kind(
        archive,
        lambda z: (z.namelist(), z.fp is None, z.pwd),
        {
            "mkdir": given("d"),
            "setpassword": given(b"x"),
            "write": given("example"),
            "writestr": given("b", "y"),
        },
    ),
    "tarfile.TarFile": Kind(
        tape,
        lambda t: (t.closed, [m.name for m in t.members]),
        {"add": given("example"), "addfile": lambda: (tarfile.TarInfo("x"),)},
    ),
    "shelve.Shelf": Kind(
        shelf,
        shelf_look,
        {"pop": given("a"), "setdefault": given("z", 1), "update": given({"z": 1})},
    ),
    "configparser.ConfigParser": Kind(
        settings,
        lambda c: {name: dict(c[name]) for name in c},
        {
            "add_section": given("b"),
            "read_dict": given({"b": {"y": "2"}}),
            "read_file": lambda: (io.StringIO("[b]\ny=2\n"),),
            "read_string": given("[b]\ny=2\n"),
            "remove_option": given("a", "x"),
            "remove_section": given("a"),
            "set": given("a", "x", "2"),
        },
    ),
    "_contextvars.ContextVar": Kind(
        variable,
        lambda v: v.get(),
        {"set": lambda: (VARIABLE.get() + 1,), "reset": lambda: (TOKEN,)},
    ),
    "contextlib.ExitStack": Kind(
        stack,
        lambda s: len(s._exit_callbacks),
        {
            "callback": given(len, ""),
            "enter_context": lambda: (contextlib.nullcontext(),),
            "push": lambda: (contextlib.nullcontext(),),
        },
    ),
    "decimal.Context": Kind(signals, lambda c: (dict(c.flags), dict(c.traps))),
    "threading.Event": Kind(
        threading.Event, lambda e: e.is_set(), first={"clear": lambda e: e.set()}
    ),
    "threading.Semaphore": Kind(lambda: threading.Semaphore(3), lambda s: s._value),
    "_thread.lock": Kind(
        threading.Lock, lambda o: o.locked(), first={"release": lambda o: o.acquire()}
    ),
    "_weakrefset.WeakSet": Kind(
        lambda: weakref.WeakSet([KEY]),
        set,
        {
            "add": given(OTHER),
            "discard": given(KEY),
            "remove": given(KEY),
            "update": given([OTHER]),
        },
    ),
    "weakref.WeakKeyDictionary": Kind(
        lambda: weakref.WeakKeyDictionary({KEY: 1}),
        dict,
        {"pop": given(KEY), "setdefault": given(OTHER, 1), "update": given({OTHER: 2})},
    ),
    "weakref.WeakValueDictionary": Kind(
        lambda: weakref.WeakValueDictionary({1: KEY}),
        dict,
        {"pop": given(1), "setdefault": given(2, OTHER), "update": given({2: OTHER})},
    ),
    "numpy.ndarray": Kind(
        numbers, numbers_look, ARRAY_ARGS, dict.fromkeys(("choose", "searchsorted"), "see below")
    ),
    "numpy.ndarray of whole numbers": Kind(
        lambda: numpy().array([2, 1, 0]),
        numbers_look,
        {
            **ARRAY_ARGS,
            "choose": lambda: ([numpy().zeros(3)] * 3,),
            "compress": given([True, False, True]),
            "getfield": given("i4"),
            "reshape": lambda: ((3, 1),),
            "to_device": given("cpu"),
        },
        dict.fromkeys(("diagonal", "mT", "trace", "swapaxes"), "see above"),
    ),
    "numpy.random._generator.Generator": Kind(
        lambda: numpy().random.default_rng(1),
        lambda g: (str(g.bit_generator.state), g.bit_generator.seed_seq.n_children_spawned),
        DISTRIBUTION_ARGS,
    ),
    "numpy.random.mtrand.RandomState": Kind(
        lambda: numpy().random.RandomState(1), lambda r: str(r.get_state()), DISTRIBUTION_ARGS
    ),
    **dict.fromkeys(
        ("pandas.core.frame.DataFrame", "pandas.DataFrame"),
        Kind(
            frame,
            lambda f: f.to_csv(),
            {
                "insert": given(0, "c", [7, 8, 9]),
                "pop": given("a"),
                "update": lambda: (pandas().DataFrame({"a": [7, 8, 9]}),),
            },
        ),
    ),
    **dict.fromkeys(
        ("pandas.core.series.Series", "pandas.Series"),
        Kind(series, lambda s: s.to_csv(), {"pop": given("x"), "update": given({"x": 9})}),
    ),
    "matplotlib.axes._axes.Axes": Kind(
        axes, drawn, AXES_ARGS, {"add_image": "it needs an image of its own axes"}
    ),
    "matplotlib.figure.Figure": Kind(
        figure,
        drawn,
        {
            "add_axes": given([0, 0, 1, 1]),
            "set_dpi": given(33),
            "set_figheight": given(3),
            "set_figwidth": given(3),
            "set_size_inches": given(3, 3),
            "subplots_adjust": given(0.3),
            "suptitle": given("t"),
            "text": given(0, 0, "t"),
        },
        {"colorbar": "it needs a drawing of its own axes"},
        {m: lambda f: f.add_subplot() for m in ("clear", "legend")},
    ),
    "tqdm.std.tqdm": Kind(
        bar,
        bar_look,
        {
            "set_description": given("d"),
            "set_description_str": given("d"),
            "set_postfix": given({"k": 1}),
            "set_postfix_str": given("p"),
            "reset": given(5),
        },
    ),
    "h5py._hl.group.Group": Kind(
        hdf,
        hdf_look,
        {
            "create_dataset": given("b", (2,)),
            "create_group": given("g"),
            "move": given("a", "z"),
            "pop": given("a"),
            "require_dataset": given("b", (2,), "f4"),
            "require_group": given("g"),
            "setdefault": given("b", [1]),
            "update": given({"b": [1]}),
        },
    ),
    "h5py._hl.files.File": Kind(hdf, hdf_look),
    "h5py._hl.dataset.Dataset": Kind(
        dataset,
        lambda d: (d.shape, list(d), d.is_scale),
        {
            "resize": lambda: ((5,),),
            "write_direct": lambda: (numpy().array([7, 8], "f4"),),
        },
    ),
    "h5py._hl.attrs.AttributeManager": Kind(
        lambda: hdf().attrs,
        lambda a: {k: str(v) for k, v in a.items()},
        {
            "create": given("n", 1),
            "modify": given("k", 2),
            "pop": given("k"),
            "setdefault": given("n", 1),
            "update": given({"n": 1}),
        },
    ),
}
EVERY_METHOD = [
    "builtins.list",
    "builtins.tuple",
    "builtins.dict",
    "builtins.set",
    "builtins.frozenset",
    "builtins.str",
    "builtins.bytes",
    "builtins.bytearray",
    "builtins.int",
    "builtins.float",
    "builtins.complex",
    "builtins.range",
    "builtins.memoryview",
    "collections.deque",
    "collections.OrderedDict",
    "collections.defaultdict",
    "collections.Counter",
    "array.array",
    "numpy.ndarray",
    "numpy.ndarray of whole numbers",
]
"""Types of which every public method is called."""


def _detached(stream: Any) -> bool:
    try:
        return stream.buffer is None
    except ValueError:
        return True


def closed(h: Any) -> bool:
    return bool(getattr(h, "_closed", False)) or h.name in logging._handlers


# -- functions


def big() -> Any:
    return numpy().array([3.0, 1.0, 2.0])


def buffer() -> Any:
    ctypes = importlib.import_module("ctypes")
    return ctypes.create_string_buffer(b"abc")


ARGUMENTS: dict[str, Callable[[], Args]] = {
    "heapq.heapify": lambda: ([3, 1, 2],),
    "heapq.heappop": lambda: ([1, 2, 3],),
    "heapq.heappush": lambda: ([1, 2], 0),
    "heapq.heappushpop": lambda: ([1, 2], 5),
    "heapq.heapreplace": lambda: ([1, 2], 5),
    "bisect.insort": lambda: ([1, 3], 2),
    "bisect.insort_left": lambda: ([1, 3], 2),
    "bisect.insort_right": lambda: ([1, 3], 2),
    "random.shuffle": lambda: (list(range(99)),),
    "operator.delitem": lambda: ([1, 2], 0),
    "operator.iadd": lambda: ([1], [2]),
    "operator.iand": lambda: ({1, 2}, {2}),
    "operator.iconcat": lambda: ([1], [2]),
    "operator.ifloordiv": lambda: (big(), 2),
    "operator.ilshift": lambda: (numpy().array([1]), 2),
    "operator.imatmul": lambda: (numbers()[:, :2].copy(), [[1, 2], [3, 4]]),
    "operator.imod": lambda: (big(), 2),
    "operator.imul": lambda: ([1], 2),
    "operator.ior": lambda: ({1}, {2}),
    "operator.ipow": lambda: (big(), 2),
    "operator.irshift": lambda: (numpy().array([8]), 2),
    "operator.isub": lambda: ({1, 2}, {2}),
    "operator.itruediv": lambda: (big(), 2),
    "operator.ixor": lambda: ({1}, {2}),
    "operator.setitem": lambda: ([1, 2], 0, 5),
    "builtins.setattr": lambda: (Key(), "x", 1),
    "builtins.delattr": lambda: (with_attribute(), "x"),
    "builtins.next": lambda: (iter([1, 2]),),
    "numpy.add.at": lambda: (big(), [0], 1),
    "numpy.subtract.at": lambda: (big(), [0], 1),
    "numpy.multiply.at": lambda: (big(), [0], 2),
    "numpy.divide.at": lambda: (big(), [0], 2),
    "numpy.maximum.at": lambda: (big(), [0], 99),
    "numpy.minimum.at": lambda: (big(), [0], -1),
    "numpy.logical_or.at": lambda: (numpy().array([False]), [0], True),
    "numpy.bitwise_or.at": lambda: (numpy().array([0]), [0], 4),
    "numpy.negative.at": lambda: (big(), [0]),
    "numpy.copyto": lambda: (big(), 7),
    "numpy.fill_diagonal": lambda: (numbers(), 7),
    "numpy.place": lambda: (big(), [True, False, False], [7]),
    "numpy.put": lambda: (big(), [0], [7]),
    "numpy.put_along_axis": lambda: (big(), numpy().array([0]), 7, 0),
    "numpy.putmask": lambda: (big(), [True, False, False], [7]),
    "numpy.random.shuffle": lambda: (list(range(99)),),
    "numpy.save": lambda: (io.BytesIO(), [1]),
    "numpy.savetxt": lambda: (io.StringIO(), [1]),
    "numpy.savez": lambda: (io.BytesIO(), [1]),
    "ctypes.memmove": lambda: (buffer(), b"xy", 2),
    "ctypes.memset": lambda: (buffer(), 65, 2),
    "json.dump": lambda: (1, io.StringIO()),
    "marshal.dump": lambda: (1, io.BytesIO()),
    "pickle.dump": lambda: (1, io.BytesIO()),
    "plistlib.dump": lambda: ([1], io.BytesIO()),
    "shutil.copyfileobj": lambda: (io.BytesIO(b"x"), io.BytesIO()),
    "struct.pack_into": lambda: ("B", bytearray(3), 0, 65),
}


def with_attribute() -> Any:
    made = Key()
    made.x = 1  # type: ignore[attr-defined]
    return made


METHOD_ARGUMENTS: dict[str, tuple[Callable[[], Any], Callable[[], Args]]] = {
    "readinto": (lambda: io.BytesIO(b"abc"), lambda: (bytearray(2),)),
    "readinto1": (lambda: io.BytesIO(b"abc"), lambda: (bytearray(2),)),
    "recv_into": (lambda: connected(), lambda: (bytearray(2),)),
    "recvfrom_into": (lambda: connected(), lambda: (bytearray(2),)),
    "pack_into": (lambda: struct.Struct("B"), lambda: (bytearray(2), 0, 65)),
    "shuffle": (lambda: random.Random(1), lambda: (list(range(9)),)),
}


def connected() -> Any:
    socket = importlib.import_module("socket")
    here, there = socket.socketpair()
    there.send(b"xy")
    return here


KEYWORDS: dict[str, list[Callable[[], tuple[Any, Any]]]] = {
    "out": [lambda: ((a := big()), numpy().add([1, 2, 3], 1, out=a))],
    "inplace": [
        lambda: ((f := frame()), f.sort_values("a", inplace=True)),
        lambda: ((f := frame()), f.rename(columns={"a": "z"}, inplace=True)),
        lambda: ((f := frame()), f.drop(columns="a", inplace=True)),
        lambda: ((f := frame()), f.reset_index(inplace=True)),
    ],
    "overwrite_input": [lambda: ((a := big()), numpy().median(a, overwrite_input=True))],
    "overwrite_a": [
        lambda: ((a := numbers()[:, :2].copy("F")), scipy_linalg().lu(a, overwrite_a=True))
    ],
    "overwrite_b": [
        lambda: (
            (b := numpy().array([1.0, 2.0])),
            scipy_linalg().solve(numbers()[:, :2].copy(), b, overwrite_b=True),
        )
    ],
    "overwrite_x": [
        lambda: (
            (a := numpy().ones(4) + 0j),
            importlib.import_module("scipy.fft").fft(a, overwrite_x=True),
        )
    ],
    "overwrite_ab": [
        lambda: (
            (a := numpy().array([[0.0, 1.0], [2.0, 3.0]])),
            scipy_linalg().cholesky_banded(a, overwrite_ab=True),
        )
    ],
}


def scipy_linalg() -> Any:
    return importlib.import_module("scipy.linalg")


LAST_INPUTS: dict[str, Callable[[], Args]] = {
    "numpy.clip": lambda: (big(), 0, 2),
    "numpy.take": lambda: (big(), [0, 1, 2], 0),
    "numpy.compress": lambda: ([True] * 3, big(), 0),
    "numpy.choose": lambda: ([0, 0, 0], [big()]),
    "numpy.dot": lambda: (big(), 2.0),
    "numpy.outer": lambda: (big(), big()),
    "numpy.matmul": lambda: (numbers(), numbers().T.copy()),
    "numpy.ldexp": lambda: (big(), numpy().array([1, 1, 1])),
    "numpy.invert": lambda: (numpy().array([1, 2, 3]),),
    **{
        f"numpy.bitwise_{name}": lambda: (numpy().array([1, 2, 3]), numpy().array([5, 6, 7]))
        for name in ("and", "or", "xor")
    },
    **{f"numpy.{name}": lambda: (big() / 4,) for name in ("arccos", "arcsin", "arctan")},
    **{f"numpy.{name}": lambda: (big(), 1) for name in ("around", "round")},
    **{
        f"numpy.{name}": lambda: (numbers(), 0)
        for name in ("amax", "amin", "max", "min", "all", "any", "argmax", "argmin")
    },
    **{
        f"numpy.{name}": lambda: (numbers(), 0, None)
        for name in ("cumsum", "cumprod", "sum", "prod", "mean", "std", "var")
    },
}

PROCESS: dict[str, tuple[Callable[[], Any], str]] = {
    "os.chdir": (lambda: os.chdir("/"), "os.getcwd()"),
    "os.putenv": (lambda: os.putenv("ALLCORES_X", "1"), "os.popen('echo $ALLCORES_X').read()"),
    "os.unsetenv": (lambda: os.unsetenv("HOME"), "os.popen('echo $HOME').read()"),
    "os.umask": (lambda: os.umask(0o12), "(m := os.umask(0), os.umask(m))[0]"),
    # What runs as nicely as can be already cannot be nicer.
    "os.nice": (lambda: os.nice(1 if os.nice(0) < 19 else -1), "os.nice(0)"),
    "sys.setrecursionlimit": (lambda: sys_().setrecursionlimit(1234), "sys.getrecursionlimit()"),
    "sys.setswitchinterval": (lambda: sys_().setswitchinterval(0.01), "sys.getswitchinterval()"),
    "locale.setlocale": (
        lambda: importlib.import_module("locale").setlocale(0, other_locale()),
        "locale.setlocale(0)",
    ),
    "numpy.seterr": (lambda: numpy().seterr(all="raise"), "numpy.geterr()"),
    "numpy.setbufsize": (lambda: numpy().setbufsize(1024), "numpy.getbufsize()"),
    "numpy.set_printoptions": (
        lambda: numpy().set_printoptions(precision=2),
        "numpy.get_printoptions()['precision']",
    ),
    "decimal.setcontext": (
        lambda: decimal.setcontext(decimal.Context(prec=5)),
        "decimal.getcontext().prec",
    ),
    "socket.setdefaulttimeout": (
        lambda: importlib.import_module("socket").setdefaulttimeout(5),
        "socket.getdefaulttimeout()",
    ),
    "csv.field_size_limit": (lambda: csv.field_size_limit(5), "csv.field_size_limit()"),
    "csv.register_dialect": (lambda: csv.register_dialect("x"), "csv.list_dialects()"),
    "csv.unregister_dialect": (lambda: csv.unregister_dialect("unix"), "csv.list_dialects()"),
    "gc.disable": (lambda: gc_().disable(), "gc.isenabled()"),
    "gc.enable": (lambda: gc_().enable(), "gc.isenabled()"),
    "gc.set_threshold": (lambda: gc_().set_threshold(5), "gc.get_threshold()"),
    "logging.basicConfig": (
        lambda: logging.basicConfig(level=5, force=True),
        "logging.root.level",
    ),
    "logging.disable": (lambda: logging.disable(5), "logging.root.manager.disable"),
    "logging.addLevelName": (lambda: logging.addLevelName(5, "x"), "logging.getLevelName(5)"),
    "logging.captureWarnings": (
        lambda: logging.captureWarnings(True),
        "warnings.showwarning.__module__",
    ),
    "warnings.filterwarnings": (
        lambda: importlib.import_module("warnings").filterwarnings("error", "xyz"),
        "len(warnings.filters)",
    ),
    "warnings.resetwarnings": (
        lambda: importlib.import_module("warnings").resetwarnings(),
        "len(warnings.filters)",
    ),
    "warnings.simplefilter": (
        lambda: importlib.import_module("warnings").simplefilter("error", FutureWarning),
        "list(warnings.filters)",
    ),
    "faulthandler.enable": (
        lambda: importlib.import_module("faulthandler").enable(open("example", "w")),
        "faulthandler.is_enabled()",
    ),
    "sys.settrace": (lambda: sys_().settrace(lambda *_: None), "sys.gettrace()"),
    "sys.setprofile": (lambda: sys_().setprofile(lambda *_: None), "sys.getprofile()"),
    "threading.settrace": (lambda: threading.settrace(print), "threading.gettrace()"),
    "threading.setprofile": (lambda: threading.setprofile(print), "threading.getprofile()"),
    "copyreg.pickle": (
        lambda: importlib.import_module("copyreg").pickle(Key, lambda k: (Key, ())),
        "len(copyreg.dispatch_table)",
    ),
    "codecs.register": (
        lambda: importlib.import_module("codecs").register(
            lambda name: importlib.import_module("codecs").lookup("utf8") if name == "xyz" else None
        ),
        "known_codec('xyz')",
    ),
    "pandas.set_option": (
        lambda: pandas().set_option("display.max_rows", 5),
        "pandas.get_option('display.max_rows')",
    ),
    "matplotlib.use": (
        lambda: importlib.import_module("matplotlib").use("svg"),
        "matplotlib.get_backend()",
    ),
    "matplotlib.rc": (
        lambda: importlib.import_module("matplotlib").rc("lines", linewidth=7),
        "matplotlib.rcParams['lines.linewidth']",
    ),
    "atexit.register": (
        lambda: importlib.import_module("atexit").register(len, ""),
        "atexit._ncallbacks()",
    ),
    "codecs.register_error": (
        lambda: importlib.import_module("codecs").register_error("xyz", lambda e: ("", e.end)),
        "known_errors('xyz')",
    ),
    "codecs.unregister": (
        lambda: importlib.import_module("codecs").unregister(a_codec),
        "known_codec('a_codec')",
    ),
    "sqlite3.register_adapter": (
        lambda: sqlite3.register_adapter(Key, str),
        "adapted(Key())",
    ),
    "sqlite3.register_converter": (
        lambda: sqlite3.register_converter("xyz", bytes),
        "sorted(sqlite3.converters)",
    ),
    "sys.set_int_max_str_digits": (
        lambda: sys_().set_int_max_str_digits(5000),
        "sys.get_int_max_str_digits()",
    ),
    "sys.set_asyncgen_hooks": (
        lambda: sys_().set_asyncgen_hooks(firstiter=print),
        "sys.get_asyncgen_hooks()",
    ),
    "sys.setdlopenflags": (
        lambda: sys_().setdlopenflags(sys_().getdlopenflags() ^ os.RTLD_GLOBAL),
        "sys.getdlopenflags()",
    ),
    "sys.addaudithook": (
        lambda: sys_().addaudithook(lambda *event: HEARD.append(event)),
        "heard_of(lambda: sys.audit('xyz'))",
    ),
    "threading.stack_size": (lambda: threading.stack_size(1 << 20), "threading.stack_size()"),
    "time.tzset": (lambda: other_zone().tzset(), "time.timezone"),
    "resource.setrlimit": (
        lambda: importlib.import_module("resource").setrlimit(7, (64, open_files()[1])),
        "open_files()",
    ),
    "os.register_at_fork": (
        lambda: os.register_at_fork(before=lambda: HEARD.append("fork")),
        "heard_of(lambda: (os.fork() or os._exit(0), os.wait()))",
    ),
    "faulthandler.disable": (
        lambda: importlib.import_module("faulthandler").disable(),
        "faulthandler.is_enabled()",
    ),
    "tracemalloc.start": (
        lambda: importlib.import_module("tracemalloc").start(),
        "tracemalloc.is_tracing()",
    ),
    "tracemalloc.stop": (
        lambda: importlib.import_module("tracemalloc").stop(),
        "tracemalloc.is_tracing()",
    ),
    "gc.freeze": (lambda: gc_().freeze(), "gc.get_freeze_count() > 5000"),
    "gc.unfreeze": (lambda: gc_().unfreeze(), "gc.get_freeze_count() > 5000"),
    "gc.set_debug": (lambda: gc_().set_debug(1), "gc.get_debug()"),
    "signal.pthread_sigmask": (
        lambda: signal_().pthread_sigmask(0, [10]),
        "signal.pthread_sigmask(0, [])",
    ),
    "multiprocessing.set_start_method": (
        lambda: importlib.import_module("multiprocessing").set_start_method("spawn"),
        "multiprocessing.get_start_method(True)",
    ),
    "signal.setitimer": (lambda: signal_().setitimer(0, 99), "signal.getitimer(0)[0] > 0"),
    "signal.signal": (lambda: signal_().signal(10, print), "signal.getsignal(10)"),
    "signal.alarm": (lambda: signal_().alarm(99), "signal.getitimer(0)[0] > 0"),
    "signal.raise_signal": (lambda: signal_().raise_signal(10), "0"),
    "signal.pthread_kill": (
        lambda: signal_().pthread_kill(threading.get_ident(), 10),
        "0",
    ),
    "sys.exit": (lambda: sys_().exit(3), "0"),
    "os._exit": (lambda: os._exit(3), "0"),
    "os.fork": (lambda: os.fork() and os.wait(), "os.getppid()"),
    "os.kill": (lambda: os.kill(os.getpid(), 10), "0"),
    "os.killpg": (lambda: (os.setpgid(0, 0), os.killpg(0, 10)), "0"),
    "os.abort": (lambda: os.abort(), "0"),
    "_thread.interrupt_main": (
        lambda: importlib.import_module("_thread").interrupt_main(),
        "0",
    ),
}


HEARD: list[Any] = []


def heard_of(do: Callable[[], object]) -> bool:
    """Whether something is heard as this is done."""
    HEARD.clear()
    do()
    return bool(HEARD)


def a_codec(name: str) -> Any:
    return importlib.import_module("codecs").lookup("utf8") if name == "a_codec" else None


def known_errors(name: str) -> bool:
    try:
        importlib.import_module("codecs").lookup_error(name)
    except LookupError:
        return False
    return True


def adapted(key: Key) -> Any:
    try:
        return sqlite3.adapt(key) is not key  # type: ignore[attr-defined]
    except sqlite3.ProgrammingError:
        return None


def open_files() -> Any:
    return importlib.import_module("resource").getrlimit(7)


def other_zone() -> Any:
    os.environ["TZ"] = "Asia/Tokyo"
    return importlib.import_module("time")


def known_codec(name: str) -> bool:
    try:
        importlib.import_module("codecs").lookup(name)
    except LookupError:
        return False
    return True


def sys_() -> Any:
    return importlib.import_module("sys")


def gc_() -> Any:
    return importlib.import_module("gc")


def signal_() -> Any:
    return importlib.import_module("signal")


def other_locale() -> str:
    locale = importlib.import_module("locale")
    here = locale.setlocale(0)
    for name in ("C.UTF-8", "C", "POSIX", "en_US.UTF-8"):
        with contextlib.suppress(locale.Error):
            if locale.setlocale(0, name) != here:
                locale.setlocale(0, here)
                return name
    raise ImportError("no second locale")


FILES: dict[str, Callable[[], Args]] = {
    "os.mkdir": given("new"),
    "os.makedirs": given("new/deeper"),
    "os.remove": given("old"),
    "os.unlink": given("old"),
    "os.rmdir": given("folder"),
    "os.removedirs": given("folder"),
    "os.chmod": given("old", 0o400),
    "os.utime": given("old", (5, 5)),
    "os.truncate": given("old", 1),
    "os.mkfifo": given("new"),
    "shutil.rmtree": given("folder"),
    "shutil.copy": given("old", "new"),
    "shutil.copy2": given("old", "new"),
    "shutil.copyfile": given("old", "new"),
    "shutil.copymode": given("odd", "old"),
    "shutil.copystat": given("odd", "old"),
    "shutil.copytree": given("folder", "new"),
    "os.symlink": given("old", "new"),
    "os.link": given("old", "new"),
    "os.rename": given("old", "new"),
    "os.replace": given("old", "new"),
    "os.renames": given("old", "new"),
    "shutil.move": given("old", "new"),
}

PARTS: dict[str, Callable[[Any], Any]] = {
    "numpy.reshape": lambda a: numpy().reshape(a, 6),
    "numpy.broadcast_to": lambda a: numpy().broadcast_to(a, (4, 2, 3)),
    "numpy.split": lambda a: numpy().split(a, 2)[0],
    "numpy.array_split": lambda a: numpy().array_split(a, 2)[0],
    "numpy.hsplit": lambda a: numpy().hsplit(a, 3)[0],
    "numpy.vsplit": lambda a: numpy().vsplit(a, 2)[0],
    "numpy.dsplit": lambda a: numpy().dsplit(a[:, :, None], 1)[0],
    "numpy.swapaxes": lambda a: numpy().swapaxes(a, 0, 1),
    "numpy.moveaxis": lambda a: numpy().moveaxis(a, 0, 1),
    "numpy.rollaxis": lambda a: numpy().rollaxis(a, 1),
    "numpy.expand_dims": lambda a: numpy().expand_dims(a, 0),
    "numpy.lib.stride_tricks.sliding_window_view": lambda a: (
        numpy().lib.stride_tricks.sliding_window_view(a, 2, 0)
    ),
    "numpy.nditer": lambda a: next(numpy().nditer(a)),
}
METHOD_PARTS: dict[str, Args] = {"reshape": (6,), "swapaxes": (0, 1)}

COPIES: dict[str, Callable[[], tuple[Any, Any]]] = {
    "copy.deepcopy": lambda: ((o := [[1]]), importlib.import_module("copy").deepcopy(o)),
    "json.loads": lambda: ((o := "[[1]]"), importlib.import_module("json").loads(o)),
    "json.load": lambda: (
        (o := io.StringIO("[[1]]")),
        importlib.import_module("json").load(o),
    ),
    "pickle.loads": lambda: (
        (o := importlib.import_module("pickle").dumps([[1]])),
        importlib.import_module("pickle").loads(o),
    ),
    "pickle.load": lambda: (
        (o := io.BytesIO(importlib.import_module("pickle").dumps([[1]]))),
        importlib.import_module("pickle").load(o),
    ),
    "marshal.loads": lambda: (
        (o := importlib.import_module("marshal").dumps([[1]])),
        importlib.import_module("marshal").loads(o),
    ),
    "ast.literal_eval": lambda: ((o := "[[1]]"), importlib.import_module("ast").literal_eval(o)),
    "tomllib.loads": lambda: ((o := "a = [1]"), importlib.import_module("tomllib").loads(o)),
    "tomllib.load": lambda: (
        (o := io.BytesIO(b"a = [1]")),
        importlib.import_module("tomllib").load(o),
    ),
}
