"""Checked speculation: what reading does not show is seen to change, and comes out as in the plain loop."""

from __future__ import annotations

import importlib
import os
import random
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from allcores import NotParallel
from allcores.build.settings import Settings
from allcores.build.watch import Watch, watch_items
from allcores.plan.quiet import no_warnings
from tests.same import Outcome, assert_same, difference, placed, run

# -- one look

SEEN = {
    # how it is made | how it is changed | by what name it is known
    "an attribute": ("a = A(); a.n = 1", "a.n = 2", "a.n"),
    "an attribute of an attribute": ("a = A(); a.b = A(); a.b.n = 1", "a.b.n = 2", "a.b.n"),
    "a new attribute": ("a = A()", "a.new = 1", "a.new"),
    "an attribute that is gone": ("a = A(); a.n = 1", "del a.n", "a"),
    "a slot": ("a = Slotted(); a.n = 1", "a.n = 2", "a"),
    "in a slot": ("a = Slotted(); a.n = [1]", "a.n.append(2)", "a.n"),
    "a cache in an object": ("a = A(); a.cache = {}", "a.cache[3] = 4", "a.cache[3]"),
    "an item": ("a = [1, 2]", "a[1] = 3", "a[1]"),
    "an item more": ("a = [1, 2]", "a.append(3)", "a"),
    "in an item": ("a = [[1], [2]]", "a[1].append(3)", "a[1]"),
    "in a tuple": ("a = ([1], 2)", "a[0].append(3)", "a[0]"),
    "a value": ("a = {'k': 1}", "a['k'] = 2", "a['k']"),
    "in a value": ("a = {'k': {'m': [1]}}", "a['k']['m'].append(2)", "a['k']['m']"),
    "the order of a dict": ("a = {1: 2, 3: 4}", "a[1] = a.pop(1)", "a[1]"),
    "a key of another type": ("a = {1: 'x'}", "del a[1]; a[True] = 'x'", "a[1]"),
    "an OrderedDict's order": ("a = OrderedDict(x=1, y=2)", "a.move_to_end('x')", "a"),
    "a defaultdict": ("a = defaultdict(list)", "a[1]", "a[1]"),
    "a Counter": ("a = Counter('ab')", "a['a'] += 1", "a['a']"),
    "a deque": ("a = deque([1, 2, 3], 3)", "a.append(3)", "a"),
    "a set": ("a = {1, 2}", "a.add(3)", "a"),
    "a subclass of dict": ("a = Memo(); a.hits = 0", "a.hits += 1", "a.hits"),
    "the middle of a long list": ("a = list(range(5000))", "a[2500] = -1", "a"),
    "the middle of a long dict": ("a = dict.fromkeys(range(5000))", "a[2500] = 1", "a"),
    "a number that is made anew": ("a = [1.5] * 5000", "a[2500] += 1; a[2500] += 1", "a"),
    "a bytearray": ("a = bytearray(9)", "a[3] = 1", "a"),
    "an array": ("a = array('d', [1, 2])", "a[1] = 5", "a"),
    "a NumPy array": ("a = np.zeros((300, 10))", "a[150, 5] = 1", "a"),
    "the shape of an array": ("a = np.zeros((2, 3))", "a.shape = 3, 2", "a"),
    "an array of objects": ("a = np.array([[1], None], dtype=object)", "a[0].append(2)", "a"),
    "memory of ctypes": ("a = (ctypes.c_int * 4)()", "a[2] = 7", "a"),
    "a struct of ctypes": ("a = Point(1, 2)", "a.y = 3", "a"),
    "a class attribute": ("a = A()", "A.total = 5", "A.total"),
    "in a class attribute": ("a = A()", "A.made.append(1)", "A.made"),
    "an attribute of a function": ("a = lambda: 0", "a.calls = 1", "a.calls"),
    "a default": ("def a(x, seen=[]): ...", "a.__defaults__[0].append(1)", "a.__defaults__[0]"),
    "a named default": (
        "def a(*, m={}): ...",
        "a.__kwdefaults__['m'][1] = 2",
        "a.__kwdefaults__['m'][1]",
    ),
    "a variable of a closure": (
        "def make():\n n = 0\n def a():\n  nonlocal n\n  n += 1\n return a\na = make()",
        "a()",
        "n",
    ),
    "a global that a function reads": (
        "table = {}\ndef a(x): return table.get(x)",
        "table[1] = 2",
        "table[1]",
    ),
    "a global that a function binds": (
        "last = 1\ndef a(x):\n global last\n last = x",
        "a(2)",
        "last",
    ),
    "a global that was not there": ("def a(x):\n global late\n late = x", "a(2)", "late"),
    "a global of a function's function": (
        "n = 0\ndef b():\n global n\n n += 1\ndef a(x): b()",
        "a(2)",
        "n",
    ),
    "what a partial holds": ("a = partial(print, [])", "a.args[0].append(1)", "a.args[0]"),
    "the object of a method": ("b = A(); b.n = 0; a = b.grow", "a()", "a.n"),
    "the object of a method in C": ("a = [].append", "a(1)", "a"),
    "a count": ("a = itertools.count()", "next(a)", "a"),
    "a cycle": ("a = itertools.cycle('abc')", "next(a)", "a"),
    "a product": ("a = itertools.product('abc', 'de'); next(a)", "next(a)", "a"),
    "an iterator over a list": ("a = iter([1, 2, 3])", "next(a)", "a"),
    "a zip": ("a = zip('abc', range(3))", "next(a)", "a[0]"),
    "a generator": ("a = (x for x in range(3))", "next(a)", "a"),
    "a file in memory": ("a = io.BytesIO(b'abc')", "a.read(1)", "a"),
    "text in memory": ("a = io.StringIO()", "a.write('x')", "a"),
    "a hash": ("a = hashlib.sha256()", "a.update(b'x')", "a"),
    "a blake hash": ("a = hashlib.blake2b()", "a.update(b'x')", "a"),
    "a compressor": ("a = zlib.compressobj()", "a.compress(b'x' * 99)", "a"),
    "a reader of csv": ("a = csv.reader(['1,2', '3,4'])", "next(a)", "a"),
    "an element of a tree": ("a = Element('x')", "a.text = 'y'", "a"),
    "a stream of random numbers": ("a = A(); a.rng = random.Random(1)", "a.rng.random()", "a.rng"),
    "NumPy's random numbers": (
        "a = A(); a.rng = np.random.default_rng(1)",
        "a.rng.random()",
        "a.rng",
    ),
    "the older ones of NumPy": (
        "a = A(); a.rng = np.random.RandomState(1)",
        "a.rng.rand()",
        "a.rng",
    ),
    "a namespace": ("a = SimpleNamespace(n=1)", "a.n = 2", "a.n"),
    "a set of weak references": ("b = A(); a = WeakSet()", "a.add(b)", "a"),
    "a module of the program": ("a = own_module; a.n = 1", "a.n = 2", "own_module.n"),
    "the environment": (
        "a = 1",
        "os.environ['ALLCORES_TEST'] = 'x'",
        "the environment (`os.environ`)",
    ),
    "the directory": ("a = 1", "os.chdir('/')", "the current directory (`os.getcwd()`)"),
    "the search path": ("a = 1", "sys.path.append('/nowhere')", "the search path (`sys.path`)"),
    "a context variable": ("a = 1", "variable.set([])", "the context variable `variable`"),
    "NumPy's errors": (
        "a = 1",
        "np.seterr(over='raise')",
        "NumPy's error handling (`np.geterr()`)",
    ),
    "the precision of decimal": (
        "a = 1",
        "decimal.getcontext().prec = 7",
        "the context of `decimal`",
    ),
}
UNSEEN = {
    # how it is made | what leaves it as it was, or is nobody's business
    "an equal number": ("a = A(); a.n = 1000", "a.n = int('1000')"),
    "equal text": ("a = {'k': 'some text'}", "a['k'] = ' '.join(['some', 'text'])"),
    "the same object": ("a = dict.fromkeys(range(500), 'x')", "a[7] = a[7]"),
    "a memo": ("@functools.lru_cache\ndef a(x): return x", "a(3)"),
    "a pickle": ("a = [A(), Slotted()]", "pickle.dumps(a)"),
    "its attributes looked at": ("a = A(); a.n = 1", "vars(a)"),
    "a function's looked at": ("def a(): ...", "a.__dict__, a.__annotations__"),
    "a weak reference to it": ("a = A()", "keep.append(weakref.ref(a))"),
    "a warning": ("def a(): warnings.warn('x')", "a()"),
    "a log": ("a = logging.getLogger('x')", "a.debug('x')"),
    "a hash looked at": ("a = hashlib.sha256(b'x')", "a.hexdigest()"),
    "a stream looked at": ("a = io.StringIO('x')", "a.getvalue()"),
    "a member of an enum": ("class Kind(enum.Flag): X = 1; Y = 2\na = Kind", "a(3)"),
    "a hash of it": (
        "a = [(1, A()), frozenset([2]), datetime.date(2020, 1, 1)]",
        "hash(a[2]), hash(a[0])",
    ),
    "a subclass": ("a = A()", "class B(A): ..."),
    "an import": ("a = A()", "import this_is_not_there_yet"),
}
IMPORTS = """
import csv, ctypes, datetime, decimal, enum, functools, hashlib, io, itertools, logging, os, pickle
import random, sys, warnings, weakref, zlib, contextvars, types
import numpy as np
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from functools import partial
from types import SimpleNamespace
from weakref import WeakSet
from xml.etree.ElementTree import Element
variable = contextvars.ContextVar('variable')
own_module = types.ModuleType('own_module')
keep = []
class A:
    total = 0
    made = []
    def grow(self): self.n += 1
class Slotted:
    __slots__ = ('n',)
class Memo(dict): ...
class Point(ctypes.Structure):
    _fields_ = [('x', ctypes.c_int), ('y', ctypes.c_int)]
"""


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The names that SEEN and UNSEEN use; what they set for the process is set back."""
    namespace: dict[str, Any] = {"__name__": "looked_at"}
    exec(IMPORTS, namespace)
    environment, directory, path = dict(os.environ), os.getcwd(), list(sys.path)
    np, decimal = namespace["np"], namespace["decimal"]
    errors = np.geterr()
    vars(namespace["own_module"]).update(A=namespace["A"], Slotted=namespace["Slotted"])
    monkeypatch.setitem(sys.modules, "looked_at", namespace["own_module"])
    module: Any = namespace["types"].ModuleType("this_is_not_there_yet")
    monkeypatch.setitem(sys.modules, "this_is_not_there_yet", module)
    with decimal.localcontext(), namespace["warnings"].catch_warnings():
        namespace["warnings"].simplefilter("ignore")
        yield namespace
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = path
    np.seterr(**errors)


def look(namespace: dict[str, Any], made: str, what: str) -> str | None:
    exec(made, namespace)
    watch = Watch([("a", namespace["a"])], home="looked_at")
    assert watch.change() is None
    exec(what, namespace)
    change = watch.change()
    return change.name if change is not None else None


@pytest.mark.parametrize("name", SEEN)
def test_sees(name: str, restored: dict[str, Any]) -> None:
    made, changed, path = SEEN[name]
    assert look(restored, made, changed) == path


@pytest.mark.parametrize("name", UNSEEN)
def test_takes_for_no_change(name: str, restored: dict[str, Any]) -> None:
    made, what = UNSEEN[name]
    assert look(restored, made, what) is None


def test_runs_nothing_of_the_program() -> None:
    class Touchy:
        def __touched(self, *_: Any) -> Any:
            raise AssertionError("it was touched")

        __eq__ = __len__ = __iter__ = __repr__ = __sizeof__ = __reduce_ex__ = __touched
        __bool__ = __getattr__ = __getattribute__ = __hash__ = __touched  # type: ignore[assignment]

    class Items(list):  # type: ignore[type-arg]
        __iter__ = __len__ = __getitem__ = __eq__ = Touchy.__len__  # type: ignore[assignment]

    class Table(dict):  # type: ignore[type-arg]
        __iter__ = keys = values = __len__ = __getitem__ = Touchy.__len__  # type: ignore[assignment]

    watch = Watch([("a", [Touchy(), Items([1]), Table(x=1)])])
    assert watch.change() is None


def test_long_ways_have_short_names() -> None:
    deep: Any = [0]
    inner = deep
    for _ in range(20):
        deep = [deep]
    watch = Watch([("a", deep)])
    inner[0] = 1
    change = watch.change()
    assert change is not None
    assert change.name == "a...[0][0][0][0][0]"


def test_looks_no_further_than_it_says() -> None:
    # docs/promise.md
    many = [[k] for k in range(5000)]
    watch = Watch([("a", many)])
    many[2500].append(1)
    assert watch.change() is None
    big = bytearray(10_000_000)
    watch = Watch([("a", big)])
    big[1] = 1
    assert watch.change() is None
    big[0] = 1
    assert watch.change() is not None


def test_what_it_does_not_see() -> None:
    # docs/promise.md
    from statistics import NormalDist

    numbers = set(range(1000))
    watch = Watch([("a", numbers)])
    numbers.remove(900)
    numbers.add(900.5)  # type: ignore[arg-type]
    assert watch.change() is None
    library = NormalDist(1, 2)
    watch = Watch([("a", library)])
    library._mu = 3  # type: ignore[attr-defined]
    assert watch.change() is None
    there = [1]
    watch = Watch([("a", there)])
    there.append(2)
    there.pop()
    assert watch.change() is None


def test_a_finalizer_that_a_commit_sets_off() -> None:
    # docs/promise.md
    source = """
import weakref
m = [0]
class T: ...
def work(m, i): return len(m)
holder = {}; out = []
for i in parallel(range(30), chunk=15):
    r = work(m, i)
    out.append(r)
    t = T(); t.f = weakref.finalize(t, m.append, i)
    holder['t'] = t
"""
    outcome = run(source, False)
    assert outcome.in_workers == 30
    assert len(outcome.names["global m"]) > 15
    assert outcome.names["global out"][:15] == [1] * 15  # they were worked on before any commit


def test_some_of_the_items() -> None:
    items = [[k] for k in range(100)]
    watch = watch_items(items)
    assert watch is not None
    items[0].append(1)
    assert watch.change() is not None


# -- a C extension


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The extension in hidden.c."""
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    include = sysconfig.get_path("include")
    if shutil.which(compiler) is None or not os.path.exists(f"{include}/Python.h"):
        pytest.skip("there is no C compiler, or no Python.h")
    folder = tmp_path_factory.mktemp("hidden")
    target = folder / f"hidden{sysconfig.get_config_var('EXT_SUFFIX')}"
    source = Path(__file__).with_name("hidden.c")
    command = [compiler, "-O0", "-shared", "-fPIC", f"-I{include}", str(source), "-o", str(target)]
    subprocess.run(command, check=True)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield importlib.import_module("hidden")
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("hidden")


def test_a_look_at_objects_of_an_extension(hidden: Any) -> None:
    class Named(hidden.Counter):  # type: ignore[misc]
        pass

    for counter in (hidden.Counter(), Named()):
        watch = Watch([("counter", counter)])
        counter.read()
        assert watch.change() is None
        counter.count()
        change = watch.change()
        assert change is not None
        assert change.name == "counter"


# -- whole loops: a change at one iteration, which nothing of the loop's text shows

HIDDEN = {
    "an attribute": ("class M: ...\nm = M(); m.n = 0", "hidden.set_attr(m, 'n', i + 1)", "m.n"),
    "an item": ("m = {'k': 0}", "hidden.set_item(m, 'k', i + 1)", "m['k']"),
    "a list": ("m = [0]", "hidden.call_of(m, 'append', i) is None", "m"),
    "a NumPy array": ("import numpy as np\nm = np.zeros(5)", "hidden.set_item(m, 2, i + 1)", "m"),
    "a counter in C": ("m = hidden.Counter()", "m.count()", "m"),
    "a class": ("class M: n = 0\nm = M()", "hidden.set_attr(M, 'n', i + 1)", "M.n"),
    "a function": ("def m(): return m.n\nm.n = 0", "hidden.set_attr(m, 'n', i + 1)", "m.n"),
    "a hash": ("import hashlib\nm = hashlib.sha256()", "hidden.call_of(m, 'update', b'x')", "m"),
}
LOOP = """
import hidden
{made}
def work(i, m):
    done = {change} if i in {when} else None
    return i * i, repr(m) if type(m) in (list, dict) else done
out = []; total = 0
for i in parallel(range(30)):
    r = work(i, m)
    out.append(r)
    total += i
left = {left}
del hidden, m, r
"""
LEFT = {"m.n": "m.n", "M.n": "M.n", "m['k']": "m['k']"}


def program(name: str, when: tuple[int, ...]) -> str:
    made, change, path = HIDDEN[name]
    left = LEFT.get(path, "repr(getattr(m, 'read', getattr(m, 'hexdigest', lambda: m))())")
    text = LOOP.format(made=made, change=change, when=when, left=left).lstrip()
    return text.replace("del hidden, m, r", "del hidden, m, r, work" + ", M" * ("class M" in made))


def changed_text(outcome: Outcome) -> list[str]:
    return [text for text in outcome.warned if "which reading it does not show" in text]


def cannot_be_sent(outcome: Outcome) -> bool:
    """Whether a clean interpreter could not be given what the loop reads."""
    fresh = os.environ.get("ALLCORES_ON") == "fresh"
    return fresh and "which cannot be sent to a clean interpreter" in " ".join(outcome.warned)


@pytest.mark.parametrize("name", HIDDEN)
@pytest.mark.parametrize("when", [(0,), (14,), (29,), (3, 4, 20)])
def test_a_hidden_change(name: str, when: tuple[int, ...], hidden: Any) -> None:
    source = placed(program(name, when), "module")
    plain, ours = run(source, True), run(source, False, WORKERS="2")
    assert difference(plain, ours) is None, (ours.warned, ours.reports)
    if cannot_be_sent(ours):
        return
    [warned] = changed_text(ours)
    assert f"`{HIDDEN[name][2]}` is changed" in warned
    assert ours.in_workers <= when[0]  # nothing from that iteration on came from workers


def test_hidden_changes_anywhere(hidden: Any) -> None:
    """Any iterations, workers and chunks."""
    dice = random.Random(4)
    for _ in range(25):
        when = tuple(sorted(dice.sample(range(30), dice.randint(1, 4))))
        name = dice.choice([*HIDDEN])
        source = placed(program(name, when), dice.choice(["module", "function"]), "", "")
        chunk = dice.choice(["", f", chunk={dice.randint(1, 9)}"])
        source = source.replace("range(30))", f"range(30){chunk})")
        plain, ours = run(source, True), run(source, False, WORKERS=str(dice.choice([2, 3])))
        assert difference(plain, ours) is None, (source, ours.warned, ours.reports)
        assert cannot_be_sent(ours) or len(changed_text(ours)) == 1, (source, ours.warned)


def test_what_changes_to_and_fro(hidden: Any) -> None:
    source = """
import hidden
m = {'k': 0}
def work(i, m):
    hidden.set_item(m, 'k', 1 - m['k'])
    return i * m['k']
out = []
for i in parallel(range(400), chunk=50):
    out.append(work(i, m))
del hidden, work
""".lstrip()
    assert_same(source, "serial", places=("module",))


def test_strict_raises_there(hidden: Any) -> None:
    source = placed(program("an attribute", (14,)), "module").replace(
        "range(30))", "range(30), strict=True, chunk=2)"
    )
    outcome = run(source, False, WORKERS="2")
    assert isinstance(outcome.error, NotParallel)
    assert "`m.n` is changed" in str(outcome.error)
    names = outcome.names
    done = len(names["global out"])
    assert done == 14
    assert names["global total"] == sum(range(done))
    assert names["global i"] == done - 1
    assert names["global m"].n == 0


def test_one_warning_a_site(hidden: Any) -> None:
    source = program("an attribute", (0, 14)).replace(
        "for i in", "for again in range(3):\n  for i in"
    )
    source = source.replace("\n    r = work", "\n    r = work").replace("    out", "    out")
    outcome = run(source, False, WORKERS="2")
    assert len(changed_text(outcome)) == 1
    assert outcome.in_workers == 0


COMMITS = {
    "given what work reads": ("", "hidden.set_attr(m, 'n', i + 1)"),
    "which it holds": ("step = functools.partial(hidden.set_attr, m, 'n')", "step(i + 1)"),
    "by a method's name": ("step = operator.methodcaller('__setattr__', 'n', 5)", "step(m)"),
}


@pytest.mark.parametrize("name", COMMITS)
def test_a_commit_that_changes_what_work_reads(name: str, hidden: Any) -> None:
    made, commit = COMMITS[name]
    source = f"""
import functools, hidden, operator
class M: n = 0
m = M()
def work(m, i): return i * m.n
{made}
out = []
for i in parallel(range(30)):
    r = work(m, i)
    out.append(r)
    if i > 11: {commit}
n = m.n
del functools, hidden, operator, M, m, work
""".lstrip().replace("work\n", "work\n" if not made else "work, step\n")
    assert_same(source, places=("module", "function"))


def test_commits_of_which_everything_is_known_are_not_looked_at_one_by_one() -> None:
    source = """
import heapq
k = 3; out = []; by = {}; heap = []; seen = set(); text = []
for i in parallel(range(40), chunk=20):
    r = i * k
    out.append(r); by[i] = r; heapq.heappush(heap, r); seen.add(r)
    text.append('{} {}'.format(i, k))
    print(i)
del heapq
""".lstrip()
    assert_same(source, "parallel", at_least=39, places=("module",))
    with pytest.MonkeyPatch.context() as patch:
        from allcores.entry import Entry

        def never(*_: Any) -> None:
            raise AssertionError("looked at")

        patch.setattr(Entry, "look_around", never)
        assert run(source, False).error is None


def test_an_iteration_whose_item_cannot_be_sent(hidden: Any) -> None:
    assert_same(
        """
import hidden
class M: n = 0
m = M()
def items():
    for i in range(30): yield i if i != 11 else (lambda: i)
def work(m, i):
    r = hidden.set_attr(m, 'n', 5) if callable(i) else False
    return m.n, r
out = []
for i in parallel(items()):
    out.append(work(m, i))
n = m.n
del hidden, M, m, work, i, items
""".lstrip(),
        places=("module",),
    )


# -- the iterations that run here first

TASTED = """
import hidden, time
class M: ...
m = M(); m.n = 0
def work(i, m):
    end = time.perf_counter() + 0.002
    while time.perf_counter() < end: pass
    {change}
    return i
out = []
for i in parallel(range(300)):
    out.append(work(i, m))
n = m.n
del hidden, m, M, work, time
"""


def test_workers_are_not_made_where_the_first_iterations_change_something(hidden: Any) -> None:
    source = TASTED.format(change="r = hidden.set_attr(m, 'n', m.n + 1)")
    made: list[Any] = []
    from allcores.engine.crew import Crew

    add = Crew.add
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Crew, "add", lambda *a: made.append(a) or add(*a))
        ours = run(
            source.replace("range(300)", "iter(range(150))"), False, force=False, WORKERS="2"
        )
        assert (len(changed_text(ours)), made, ours.names["global n"]) == (1, [], 150)
        ours = run(source, False, force=False, WORKERS="2")
    assert (len(changed_text(ours)), made, ours.names["global n"]) == (1, [], 300)


def test_what_is_set_up_once_is_none_of_its_business(hidden: Any) -> None:
    source = TASTED.format(change="if m.n == 0: r = hidden.set_attr(m, 'n', 1)")
    ours = run(source, False, force=False, WORKERS="2")
    assert not ours.warned
    assert ours.in_workers > 0
    assert ours.names["global out"] == [*range(300)]


def test_what_commits_change_is_no_hidden_change() -> None:
    source = """
import time
class Run:
    def __init__(self): self.rows = []; self.by = {}; self.n = 0; self.best = None; self.k = 3
    def work(self, i):
        end = time.perf_counter() + 0.002
        while time.perf_counter() < end: pass
        return i * self.k
    def all(self, count):
        for i in parallel(range(count)):
            r = self.work(i)
            self.rows.append(r)
            self.by[i] = r
            self.n += 1
            if self.best is None or r > self.best: self.best = r
run = Run(); run.all(300)
left = vars(run)
del time
""".lstrip()
    ours = run(source, False, force=False, WORKERS="2")
    assert difference(run(source, True), ours) is None
    assert ours.in_workers > 0, ours.warned


# -- flags of decimal arithmetic


def test_flags_of_decimal_come_home() -> None:
    assert_same(
        """
import decimal
decimal.getcontext().clear_flags()
out = []
for i in parallel(range(1, 40)):
    out.append(decimal.Decimal(1) / i)
flags = [str(s) for s, on in decimal.getcontext().flags.items() if on]
decimal.getcontext().clear_flags()
""".lstrip(),
        "parallel",
    )


def test_warnings_that_our_own_code_drops_meanwhile_are_no_change() -> None:
    """Another thread of the same process compiles or pickles something."""
    before = Settings()
    with no_warnings():
        assert before.changed() is None
        inside = Settings()
    assert inside.changed() is None


@pytest.mark.parametrize("given", ["m", "kept['m']", "[m][0]"])
@pytest.mark.parametrize(
    "body",
    [
        "hidden.call_of({given}, 'append', i); out.append(list(m))",
        "out.append(list(m)); hidden.call_of({given}, 'append', i)",
        "for k in range(2): hidden.call_of({given}, 'append', i); out.append(len(m))",
        "g = list(m) if i else [hidden.call_of({given}, 'append', i), *m]; out.append(g)",
        "hidden.call_of({given}, 'append', i) if i == 3 else None; out.append(list(m))",
    ],
)
def test_what_is_called_in_order_changes_what_work_reads_after_it(
    body: str, given: str, hidden: Any
) -> None:
    source = f"""\
import hidden
m, out = [1], []
kept = {{'m': m}}
for i in parallel(range(6)):
    {body.format(given=given)}
del hidden
"""
    for place in ("module", "function"):
        text = placed(source, place)
        plain, ours = run(text, True), run(text, False, force=True, WORKERS="2")
        assert difference(plain, ours) is None, (ours.warned, ours.reports)
