"""The comparison the other tests rest on: it finds every kind of difference, and no others."""

from __future__ import annotations

import pytest

from tests.same import PLACES, difference, placed, run

HELPERS = """\
import collections, contextlib, datetime, functools, io, itertools, logging, random, re, threading
import numpy as np
class P:
    kinds = []
    def __init__(self, v):
        self.v = v
    def method(self):
        return self.v
class S:
    __slots__ = ('a', 'b')
class Err(Exception):
    pass
def helper(x, y=[1]):
    return x
def counter():
    n = 0
    def up():
        nonlocal n
        n += 1
        return n
    return up
def gen():
    for g in range(5):
        yield g
"""

DATA = """\
inner = [1]
number, real, text = 1, 0.5, 'text'
lists = [inner, inner, [2]]
pair = (inner, [3])
mapping = {'a': inner, 'b': 2}
default = collections.defaultdict(list, {1: [2]})
counted = collections.Counter('aab')
ordered = collections.OrderedDict(a=inner)
queue = collections.deque([inner, 2], maxlen=5)
numbers, frozen = {1, 2, 3}, frozenset([4, 5])
arr = np.arange(6.0)
view = arr[2:4]
fort = np.asfortranarray(np.ones((2, 3)))
records = np.array([(1, 2.0)], dtype=[('a', int), ('b', float)])
things = np.array([inner, None], dtype=object)
scalar = np.float32(1.5)
p, q = P(1), P(inner)
slotted = S()
slotted.a = inner
up = counter()
method = p.method
pushed = inner.append
part = functools.partial(helper, 1, y=inner)
fn = lambda a=inner: a
stream = io.StringIO('some text')
rest = iter(lists)
ahead = iter([7, 8, 9])
pairs = zip([1, 2, 3], inner)
running = gen()
steps = itertools.count(4)
dice, rng = random.Random(3), np.random.default_rng(3)
when, found = datetime.date(2020, 1, 1), re.compile('a+')
lock = threading.Lock()
err = Err(inner, 2)
loop = []
loop.append(loop)
"""

CHANGES = {
    "value": "number = 2",
    "bool for int": "number = True",
    "float for int": "number = 1.0",
    "sign of zero": "real = -0.0",
    "not a number": "real = float('nan')",
    "one bit": "real = 0.5000000000000001",
    "text": "text += ' '",
    "one more": "lists.append(1)",
    "equal copy in a list": "lists[1] = [1]",
    "shared too much": "lists[2] = inner",
    "list for a tuple": "pair = list(pair)",
    "copy in a tuple": "pair = ([1], [3])",
    "order of keys": "mapping = {'b': 2, 'a': inner}",
    "copy in a dict": "mapping['a'] = [1]",
    "dict for a default": "default = dict(default)",
    "default of a default": "default.default_factory = dict",
    "key added by reading": "default[2]",
    "count": "counted['c'] += 1",
    "order of an ordered": "ordered.clear()",
    "dict for an ordered": "ordered = dict(ordered)",
    "copy in a deque": "queue[0] = [1]",
    "length of a deque": "queue = collections.deque(queue)",
    "set": "numbers.add(9)",
    "type in a set": "numbers = {1.0, 2, 3}",
    "frozen": "frozen = set(frozen)",
    "element": "arr[0] = 1",
    "view became a copy": "view = view.copy()",
    "view of another place": "view = arr[3:5]",
    "dtype": "arr = arr.astype('f4')",
    "byte order": "arr = arr.astype('>f8')",
    "shape": "arr = arr.reshape(2, 3)",
    "read only": "arr.flags.writeable = False",
    "layout": "fort = np.ascontiguousarray(fort)",
    "field": "records['b'] = 3",
    "object in an array": "things[0] = [1]",
    "scalar": "scalar = np.float64(1.5)",
    "attribute": "p.v = 2",
    "new attribute": "p.w = 2",
    "copied attribute": "q.v = [1]",
    "order of attributes": "del q.v\nq.z = 1\nq.v = inner",
    "class attribute": "P.kinds.append(1)",
    "new class attribute": "P.new = 1",
    "slot": "slotted.a = [1]",
    "slot filled": "slotted.b = 1",
    "closure": "up()",
    "another closure": "up = counter()\nup()",
    "bound to another": "method = q.method",
    "bound to a copy": "pushed = [1].append",
    "another method": "pushed = inner.extend",
    "partial": "part = functools.partial(helper, 1, y=[1])",
    "default argument": "helper.__defaults__[0].append(2)",
    "default of a lambda": "fn = lambda a=[1]: a",
    "function's attribute": "helper.calls = 1",
    "stream read": "stream.read(2)",
    "stream written": "stream.seek(0)\nstream.write('S')\nstream.seek(0)",
    "stream closed": "stream.close()",
    "iterator advanced": "next(ahead)",
    "iterator over a copy": "rest = iter(list(lists))",
    "zip advanced": "next(pairs)",
    "generator advanced": "next(running)",
    "generator ended": "list(running)",
    "counter advanced": "next(steps)",
    "random drawn": "dice.random()",
    "generator drawn": "rng.random()",
    "date": "when = datetime.date(2020, 1, 2)",
    "pattern": "found = re.compile('a*')",
    "exception's argument": "err = Err([1], 2)",
    "exception's cause": "err.__cause__ = ValueError()",
    "cycle": "loop[0] = [loop]",
    "deleted": "del number",
    "new name": "extra = 1",
    "printed": "print('x')",
    "printed elsewhere": "import sys\nprint(file=sys.stderr)\ndel sys",
    "warned": "import warnings\nwarnings.warn('w')\ndel warnings",
    "raised": "raise ValueError(1)",
}


@pytest.mark.parametrize("place", ["module", "closure", "function", "class", "generator"])
def test_two_runs_of_a_program_are_the_same(place: str) -> None:
    source = placed("number += 1\n", place, HELPERS, DATA)
    assert difference(run(source, True), run(source, True)) is None


@pytest.mark.parametrize("name", CHANGES)
def test_a_difference_is_found(name: str) -> None:
    base = run(placed("pass\n", "function", HELPERS, DATA), True)
    other = run(placed(CHANGES[name] + "\n", "function", HELPERS, DATA), True)
    assert difference(base, other) is not None


@pytest.mark.parametrize(
    "one, two",
    [
        ("raise ValueError(1)", "raise ValueError(2)"),
        ("raise ValueError(1)", "raise TypeError(1)"),
        ("raise ValueError(1)", "raise ValueError('1')"),
        ("raise ValueError(1)", "raise ValueError(1) from KeyError()"),
        ("raise ValueError(1)", "\nraise ValueError(1)"),
        ("raise ValueError(inner)", "raise ValueError([1])"),
        ("raise SystemExit(1)", "raise SystemExit(2)"),
        ("try: 1 / 0\nexcept ZeroDivisionError: raise KeyError", "1\nraise KeyError"),
        ("print(1); print(2)", "print(2); print(1)"),
        (
            "import sys\nprint(1)\nprint(2, file=sys.stderr)",
            "import sys\nprint(2, file=sys.stderr)\nprint(1)",
        ),
        ("import warnings\nwarnings.warn('a')", "import warnings\n\nwarnings.warn('a')"),
        ("open('a', 'w').write('1')", "open('a', 'w').write('2')"),
        ("open('a', 'w').write('1')", "open('b', 'w').write('1')"),
        ("f = lambda: 1", "f = lambda: 2\n"),
        ("f = lambda: number", "f = lambda: real"),
    ],
)
def test_a_difference_between_two_is_found(one: str, two: str) -> None:
    a, b = (run(placed(text + "\n", "module", HELPERS, DATA), True) for text in (one, two))
    assert difference(a, b) is not None
    again = run(placed(one + "\n", "module", HELPERS, DATA), True)
    assert difference(a, again) is None


@pytest.mark.parametrize("place", PLACES)
def test_a_loop_is_run_in_every_place(place: str) -> None:
    source = placed("for x in parallel(range(4)):\n    number += x\n", place, "", "number = 1\n")
    ended = run(source, True)
    assert ended.error is None
    assert 7 in ended.names.values()
    changed = run(source.replace("+= x", "+= x + 1"), True)
    assert difference(ended, changed) is not None
