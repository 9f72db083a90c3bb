"""Loops whose work must be the same in a clean interpreter as here, or run serially and say why.

Run as a script: each case runs a plain loop and the same in fresh workers, and prints a line.
"""

import abc
import builtins
import calendar
import collections
import collections.abc
import contextvars
import dataclasses
import datetime
import enum
import functools
import gc
import importlib
import io
import json
import linecache
import locale
import logging
import math
import mimetypes
import numbers
import os
import random
import re
import sys
import tempfile
import textwrap
import threading
import types
import typing
import urllib.parse
import warnings
import weakref
import xml.dom.minidom
from xml.etree import ElementTree

import helper
import package.inner

import allcores.loop as loop
from allcores import parallel

N = 12
reports = []
loop.listeners.append(reports.append)
CASES = {}


def case(function):
    """A case: a generator that sets things up, gives (function, items) once, and puts them back."""
    CASES[function.__name__] = function
    return function


RUN = """def run(work, items):
    found = []
    try:
        for item in items:
            found.append(work(item))
    except Exception as error:
        found.append(f"{type(error).__name__}: {error}")
    return found
"""


def loop_of(name):
    """A function with a loop: another one for each case, for loops are remembered."""
    file = f"<{name}>"
    linecache.cache[file] = len(RUN), None, RUN.splitlines(True), file
    exec(compile(RUN, file, "exec"), space := {"__name__": "__main__"})
    return types.FunctionType(space["run"].__code__, globals())


def shown(value):
    return re.sub(r" at 0x\w+", "", repr(value))


def outcome(function):
    steps = function()
    given = next(steps)
    work, items = given if isinstance(given, tuple) else (given, list(range(N)))
    state = random.getstate()
    # Each case is a loop of its own.
    run_this = loop_of(function.__name__)
    plain = run_this(work, items)
    random.setstate(state)
    del reports[:]
    with warnings.catch_warnings(record=True) as caught:
        if function.__name__ != "filters":
            warnings.simplefilter("always")
        else:
            caught = []
        fresh = run_this(work, parallel(items))
    next(steps, None)
    same = shown(plain) == shown(fresh)
    done = sum(report.in_workers for report in reports)
    said = " ".join(str(w.message) for w in caught if "runs serially" in str(w.message))
    alike = "same" if same else f"OTHER {shown(plain)[:150]} {shown(fresh)[:150]}"
    return f"{alike} {'workers' if done >= N - 2 else f'serial ({done})'} {said}"


# -- code and values of `__main__`

TABLE = {"k": [1, 2]}
SAME = TABLE["k"]
NOTHING = object()


@case
def plain_function():
    yield lambda x: math.sqrt(x) + len(TABLE)


@case
def shared_identity():
    yield lambda x: (TABLE["k"] is SAME, x)


@case
def sentinel():
    box = {"nothing": NOTHING}
    yield lambda x: (box["nothing"] is NOTHING, x)


@case
def sentinel_in_items():
    yield (lambda x: x[1] is NOTHING), [(k, NOTHING if k % 2 else None) for k in range(N)]


@case
def sentinel_of_a_module():
    box = [helper.MISSING]
    yield lambda x: (helper.is_missing(box[0]), x)


@case
def sentinel_of_a_module_in_items():
    yield (lambda x: helper.is_missing(x[1])), [(k, helper.MISSING) for k in range(N)]


@case
def constant_of_a_class():
    yield (lambda x: x[1] is helper.Kind.FIRST), [(k, helper.Kind.FIRST) for k in range(N)]


@case
def members_of_enumerations():
    class Mine(enum.Enum):
        A = 1
        B = "b"

    yield (
        (lambda x: (x is helper.Color.RED, x is Mine.A, isinstance(x, Mine))),
        [helper.Color.RED, Mine.A, Mine.B] * 4,
    )


@case
def default_of_dataclasses():
    @dataclasses.dataclass
    class Point:
        x: int
        y: list = dataclasses.field(default_factory=list)

    yield lambda x: (
        Point(x).y,
        [f.default is dataclasses.MISSING for f in dataclasses.fields(Point)],
    )


class Base:
    seen = []

    def __init_subclass__(cls, **how):
        Base.seen.append(cls.__name__)

    def total(self, x):
        return x + len(Base.seen)


class Derived(Base):
    def total(self, x):
        return super().total(x) + 1


@case
def classes_that_are_told_of_others():
    yield lambda x: Derived().total(x)


class Meta(type):
    made = []

    def __new__(mcls, name, bases, space, **how):
        Meta.made.append(name)
        return super().__new__(mcls, name, bases, space)


class Made(metaclass=Meta):
    def __call__(self, x):
        return x, list(Meta.made)


@case
def metaclasses():
    yield Made()


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a):
        self.a = a


@case
def slots():
    one = Slotted(3)
    yield lambda x: (one.a + x, hasattr(one, "b"))


class Listed(list):
    def append(self, x):
        raise RuntimeError

    def extend(self, xs):
        raise RuntimeError


@case
def subclasses_of_builtins():
    one = Listed([1, 2])
    one.name = "n"
    yield lambda x: (sum(one) + x, one.name, type(one) is Listed)


class Pickled:
    def __init__(self):
        self.a, self.b = 1, 2

    def __getstate__(self):
        return {"a": 5}

    def __reduce__(self):
        return Pickled, ()


@case
def what_pickling_would_change():
    one = Pickled()
    one.a = 7
    yield lambda x: (one.a + x, one.b)


@case
def shared_cells():
    count = 1

    def get():
        return count

    def both():
        return get() + count

    count = 5
    yield lambda x: both() + x


@case
def recursion():
    def fib(n):
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    yield fib


@case
def memo_of_main():
    @functools.lru_cache(maxsize=3)
    def twice(x):
        return 2 * x

    twice(3)
    yield twice


@case
def named_tuples():
    Pair = collections.namedtuple("Pair", "a b")
    one = Pair(1, 2)
    yield lambda x: one._replace(a=x).a + one.b


@case
def typed_tuples():
    class Typed(typing.NamedTuple):
        a: int
        b: int = 3

    yield lambda x: Typed(x).b + x


@case
def abstract_classes():
    class Shape(abc.ABC):
        @abc.abstractmethod
        def area(self): ...

    class Square(Shape):
        def __init__(self, a):
            self.a = a

        def area(self):
            return self.a**2

    yield lambda x: (Square(x).area(), isinstance(Square(x), Shape))


@case
def registered_abstractly():
    class Mine:
        pass

    numbers.Number.register(Mine)
    collections.abc.Sequence.register(Mine)
    yield lambda x: (
        isinstance(Mine(), numbers.Number),
        isinstance(Mine(), collections.abc.Sequence),
    )


@case
def generic_classes():
    T = typing.TypeVar("T")

    class Box(typing.Generic[T]):
        def __init__(self, a):
            self.a = a

    yield lambda x: Box[int](x).a


@case
def partials_and_methods():
    yield functools.partial(Derived().total)


@case
def context_variables():
    here = contextvars.ContextVar("here", default=4)
    there = contextvars.ContextVar("there")
    token = there.set(9)
    yield lambda x: here.get() + there.get() + x
    there.reset(token)


@case
def weak_references():
    one = Derived()
    ref = weakref.ref(one)
    yield lambda x: ref() is one


@case
def a_lock_that_nobody_holds():
    lock = threading.Lock()

    def work(x):
        with lock:
            return x

    yield work


class Logged:
    def __init__(self):
        self.log = open(os.devnull, "w")
        self.k = 3

    def work(self, x):
        return x + self.k


@case
def a_file_that_nobody_names():
    one = Logged()
    yield one.work
    one.log.close()


@case
def a_generator():
    def numbers():
        yield 1

    given = numbers()
    yield lambda x: (type(given).__name__, x)


@case
def text_in_memory():
    text = io.StringIO("abc")
    yield lambda x: (text.getvalue(), x)


@case
def by_exec():
    space = {}
    exec("K = 3\ndef work(x):\n    return helped(x) + K\ndef helped(x): return x * 2", space)
    yield space["work"]


@case
def a_module_made_here():
    module = types.ModuleType("made_here")
    exec("K = [3]\ndef work(x):\n    return x + K[0]", vars(module))
    sys.modules["made_here"] = module
    yield lambda x: module.work(x)
    del sys.modules["made_here"]


@case
def a_module_made_here_is_imported():
    module = types.ModuleType("made_here")
    exec("K = [3]\ndef work(x):\n    return x + K[0]", vars(module))
    sys.modules["made_here"] = module

    def work(x):
        import made_here

        return made_here.work(x)

    yield work
    del sys.modules["made_here"]


@case
def the_file_of_main():
    yield lambda x: (os.path.basename(__file__), __name__, x)


@case
def by_computed_name():
    here = sys.modules[__name__]
    yield lambda x: getattr(here, "TAB" + "LE")["k"]


@case
def globals_as_such():
    yield lambda x: len(globals()["TABLE"]) + x


@case
def identity_as_a_number():
    index = {id(TABLE): 1}
    yield lambda x: index[id(TABLE)] + x


@case
def exceptions():
    class Mine(Exception):
        def __init__(self, a, b):
            super().__init__(a)
            self.b = b

    def work(x):
        try:
            raise Mine(x, 2)
        except Mine as error:
            return error.args, error.b

    yield work


@case
def an_exception_as_a_value():
    error = helper.Odd(3)
    error.more = 5
    yield lambda x: (error.args, error.more, x)


@case
def not_a_number():
    nan = float("nan")
    values = [nan, 1.0]
    yield lambda x: (nan in values, x)


@case
def dates():
    day = datetime.date(2020, 1, 2)
    yield lambda x: (day + datetime.timedelta(x)).isoformat()


# -- modules that are imported


@case
def variable_of_a_module():
    helper.DEBUG = True
    yield helper.debugged
    helper.DEBUG = False


@case
def table_of_a_module():
    helper.TABLE["b"] = 5
    yield helper.looked_up
    del helper.TABLE["b"]


@case
def plugins_of_a_module():
    helper.registry["x"] = lambda x: x + 1
    yield helper.plugged
    helper.registry.clear()


@case
def object_of_a_class_in_a_module():
    helper.kind.name = "another"
    yield helper.kind_of_all
    helper.kind.name = "kind"


@case
def object_of_a_class_in_the_class():
    first = helper.Kind.FIRST
    first.name = "another"
    yield lambda x: (first.name, first is helper.Kind.FIRST, x)
    first.name = "first"


@case
def variable_that_is_new_in_a_module():
    helper.more = more = {"a": [1]}
    yield lambda x: (more is helper.more, x)
    del helper.more


@case
def attribute_of_a_class():
    helper.Kind.rate = 5
    yield helper.Kind("k").cost
    helper.Kind.rate = 2


@case
def list_of_a_class():
    helper.Kind.plugins.append(1)
    yield helper.Kind("k").cost
    helper.Kind.plugins.clear()


@case
def method_of_a_class():
    old = helper.Kind.cost
    helper.Kind.cost = lambda self, x: -x
    yield helper.Kind("k").cost
    helper.Kind.cost = old


@case
def method_of_a_class_in_items():
    old = helper.Kind.cost
    helper.Kind.cost = lambda self, x: -x
    yield (lambda k: k.cost(2)), [helper.Kind(str(k)) for k in range(N)]
    helper.Kind.cost = old


@case
def function_of_a_module():
    old = helper.rooted
    helper.rooted = lambda x: -x
    yield lambda x: helper.rooted(x)
    helper.rooted = old


@case
def function_of_a_library():
    old = math.sqrt
    math.sqrt = lambda x: -x
    yield helper.rooted
    math.sqrt = old


@case
def function_of_a_library_by_another():
    old = math.sqrt
    math.sqrt = math.cbrt
    yield helper.rooted
    math.sqrt = old


@case
def names_among_builtins():
    builtins.FACTOR, builtins.least, builtins._ = 3, min, helper.divided

    def work(x):
        try:
            return least(FACTOR, x) + _(x)
        except NameError:
            return None

    yield work
    del builtins.FACTOR, builtins.least, builtins._


@case
def what_another_library_has_put_among_builtins():
    builtins.dedented = textwrap.dedent
    yield lambda x: dedented(f"  {x}")  # noqa: F821
    del builtins.dedented


@case
def first_day_of_weeks():
    calendar.setfirstweekday(6)
    yield lambda x: calendar.month(2024, x + 1)
    calendar.setfirstweekday(0)


@case
def types_of_files():
    mimetypes.add_type("a/b", ".abc")
    yield lambda x: mimetypes.guess_type(f"{x}.abc")


@case
def prefixes_of_namespaces():
    ElementTree.register_namespace("svg", "http://s")
    yield lambda x: ElementTree.tostring(ElementTree.Element("{http://s}a", b=str(x)))


@case
def variable_of_a_library():
    old = tempfile.tempdir
    tempfile.tempdir = "/var"
    yield lambda x: (x, tempfile.gettempdir())
    tempfile.tempdir = old


@case
def private_variable_of_a_library():
    import http.client as client

    client._MAXHEADERS = 1
    setattr(client, "_MAXLINE", 100)

    def work(x):
        try:
            return len(client.parse_headers(io.BytesIO(b"a: b\nc: d\n\n")))
        except client.HTTPException as error:
            return str(error)

    yield work


@case
def attribute_of_a_class_of_a_library():
    json.JSONEncoder.item_separator = " ; "
    yield lambda x: json.JSONEncoder().encode([x, 1])
    json.JSONEncoder.item_separator = ", "


@case
def list_of_a_library():
    urllib.parse.uses_relative.append("mine")
    urllib.parse.uses_netloc.append("mine")
    yield lambda x: urllib.parse.urljoin("mine://a/b", str(x))
    urllib.parse.uses_relative.remove("mine")
    urllib.parse.uses_netloc.remove("mine")


@case
def function_of_a_library_seen_here():
    old = math.sqrt
    math.sqrt = lambda x: -x
    yield lambda x: math.sqrt(x)
    math.sqrt = old


@case
def method_of_a_library():
    old = json.JSONEncoder.default
    json.JSONEncoder.default = lambda self, obj: "mine"
    yield lambda x: json.dumps([x, NOTHING])
    json.JSONEncoder.default = old


@case
def constant_of_a_library():
    old = json.encoder.INFINITY
    json.encoder.FLOAT_REPR = 1
    old = math.pi
    math.pi = 3
    yield lambda x: math.pi + x
    math.pi = old


@case
def dispatched():
    helper.shown.register(int)(lambda x: f"int {x}")
    yield helper.shown
    # There is no way to take it back.


@case
def memo_of_a_module():
    helper.remembered(2)
    yield helper.remembered


def moved_by(offset):
    helper.OFFSET["k"] = offset
    helper.moved.cache_clear()
    return lambda x: helper.moved(x)


@case
def memo_that_workers_fill():
    yield moved_by(1)


@case
def memo_that_is_cleared():
    yield moved_by(5)


@case
def memo_that_is_cleared_again():
    yield moved_by(6)


@case
def memo_of_an_object_in_a_module():
    helper.the_kind().name = "another"
    yield lambda x: (helper.the_kind().name, x)


@case
def memo_of_an_object():
    @functools.cache
    def kind():
        return helper.Kind("first")

    kind().name = "another"
    yield lambda x: (kind().name, x)


@case
def alias_of_a_module():
    sys.modules["fast"] = helper

    def work(x):
        import fast

        return fast.debugged(x)

    yield work
    del sys.modules["fast"]


@case
def plugins_of_a_package():
    importlib.import_module("package.plugin")
    yield lambda x: [each().run(x) for each in package.registered.values()]


@case
def module_of_a_package():
    yield lambda x: package.inner.doubled(x) + len(xml.dom.minidom.parseString("<a/>").toxml())


@case
def replaced_module():
    old = sys.modules["json"]
    sys.modules["json"] = types.SimpleNamespace(dumps=lambda x: "mine")

    def work(x):
        import json

        return json.dumps(x)

    yield work
    sys.modules["json"] = old


@case
def builtin_of_the_program():
    import builtins

    builtins.special = lambda x: x + 100
    yield lambda x: special(x)  # noqa: F821
    del builtins.special


@case
def builtin_replaced():
    import builtins

    old = builtins.oct
    builtins.oct = lambda x: 7
    yield lambda x: oct(x)
    builtins.oct = old


# -- what is set for the process


@case
def environment():
    os.environ["SHIPPED"] = "1"
    yield lambda x: (os.environ.get("SHIPPED"), os.environ.get("GONE"))
    del os.environ["SHIPPED"]


@case
def directory():
    old = os.getcwd()
    os.chdir("/")
    yield lambda x: os.getcwd()
    os.chdir(old)


@case
def arguments():
    sys.argv.append("more")
    yield lambda x: sys.argv[-1]
    sys.argv.pop()


@case
def decimals():
    import decimal

    old = decimal.getcontext().copy()
    decimal.getcontext().prec = 5
    yield lambda x: str(helper.divided(x))
    decimal.setcontext(old)


@case
def locales():
    old = locale.setlocale(locale.LC_ALL)
    locale.setlocale(locale.LC_ALL, "C")
    yield lambda x: locale.setlocale(locale.LC_ALL)
    locale.setlocale(locale.LC_ALL, old)


@case
def filters():
    warnings.simplefilter("error", UserWarning)

    def work(x):
        try:
            warnings.warn("w")
        except UserWarning:
            return "raised"
        return "shown"

    yield work
    warnings.filters.pop(0)


@case
def levels_of_loggers():
    logging.getLogger("a.b").setLevel(logging.DEBUG)
    yield lambda x: (
        logging.getLogger("a.b").isEnabledFor(logging.DEBUG),
        logging.getLogger("a").getEffectiveLevel(),
    )
    logging.getLogger("a.b").setLevel(logging.NOTSET)


@case
def recursion_limit():
    def deep(n):
        return 0 if n == 0 else 1 + deep(n - 1)

    old = sys.getrecursionlimit()
    sys.setrecursionlimit(300)
    yield lambda x: deep(20 * x + 60)
    sys.setrecursionlimit(old)


@case
def long_numbers():
    old = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(700)
    yield lambda x: len(str(10 ** (100 * x)))
    sys.set_int_max_str_digits(old)


@case
def dialects():
    import csv

    csv.register_dialect("mine", delimiter=";")
    yield lambda x: next(csv.reader([f"{x};2"], "mine"))
    csv.unregister_dialect("mine")


@case
def registered_reducers():
    import copy
    import copyreg

    class Mine:
        def __init__(self, a):
            self.a = a

    def reduce(mine):
        return Mine, (mine.a + 1,)

    copyreg.pickle(Mine, reduce)
    yield lambda x: copy.copy(Mine(x)).a
    del copyreg.dispatch_table[Mine]


@case
def handlers_of_errors():
    import codecs

    codecs.register_error("mine", lambda error: ("!", error.end))
    yield lambda x: f"ä{x}".encode("ascii", "mine")


@case
def registered_codecs():
    import codecs

    utf8 = codecs.lookup("utf-8")
    mine = codecs.CodecInfo(
        utf8.encode, lambda data, errors="strict": ("mine", len(data)), name="mine"
    )
    codecs.register(lambda name: mine if name == "mine" else None)
    yield lambda x: b"abc".decode("mine")


@case
def collecting():
    gc.disable()
    yield lambda x: gc.isenabled()
    gc.enable()


@case
def hash_of_a_text():
    yield lambda x: hash(f"text {x}") % 7


WORDS = {f"word {k}" for k in range(20)}


@case
def membership():
    yield lambda x: f"word {2 * x}" in WORDS


@case
def order_of_a_set():
    yield lambda x: ([word for word in WORDS][0], x)


@case
def order_of_a_set_of_its_own():
    yield lambda x: list({f"{x} {k}" for k in range(5)})


@case
def sorted_set():
    yield lambda x: (sorted({f"{x} {k}" for k in range(5)}), len(set("abc")))


@case
def order_of_a_nested_set():
    graph = {"a": {"b", "c", "d"}}
    yield lambda x: ([n for n in graph["a"]], x)


@case
def order_of_a_set_in_items():
    yield (lambda x: [n for n in x[1]]), [(k, {f"{k} a", f"{k} b", f"{k} c"}) for k in range(N)]


class Held:
    def __init__(self):
        self.words = {"a", "b", "c"}


@case
def attribute_asked():
    one = Held()
    yield lambda x: (f"{x}" in one.words, len(one.words))


@case
def attribute_gone_through():
    one = Held()
    yield lambda x: [word for word in one.words]


@case
def local_set():
    def work(x):
        seen = set()
        for k in range(5):
            if f"{k}" not in seen:
                seen.add(f"{k} {x}")
        return len(seen), sorted(seen)

    yield work


@case
def local_set_gone_through():
    def work(x):
        seen = set()
        for k in range(5):
            seen.add(f"{k} {x}")
        return [each for each in seen]

    yield work


@case
def order_of_numbers():
    numbers = {8, 0, 16}
    yield lambda x: (list(numbers), x)


def main():
    for name in sys.argv[1:] or list(CASES):
        try:
            print(name, outcome(CASES[name]), flush=True)
        except BaseException as error:
            print(name, "FAILED", type(error).__name__, error, flush=True)


if __name__ == "__main__":
    main()
