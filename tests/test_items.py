"""Loops that change their own items: the items are as after the plain loop, and are the same objects."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from allcores.plan import plan_source
from tests.same import assert_same

STAR = """
class Star:
    def __init__(self, n, **more):
        self.n = n
        self.log = []
        self.__dict__.update(more)
    def fit(self, k=0):
        self.x = self.n * self.n + k
        self.log.append(self.x)
        return self.x
    def refine(self):
        self.log = [v + 1 for v in self.log]
        del self.n
        self.model = {"a": self.log, "b": (self.log, self)}
class Slotted:
    __slots__ = ("n", "gone", "came")
    def __init__(self, n):
        self.n, self.gone = n, [n]
    def fit(self):
        self.n += 1
        self.came = self.gone
        del self.gone
def f(v):
    return v * v % 7
"""
DATA = "stars = [Star(i) for i in range(9)]\nout = []\ntotal = 0\n"

FORKS_ONLY = ("a weak reference to itself", "arrays in objects, and a read-only one for all")
"""What a clean interpreter cannot be given: the loop is serial there."""


def expected(name: str) -> tuple[Any, int]:
    """What is to become of a loop, and how many iterations are to be done by workers."""
    stays = name in FORKS_ONLY and os.environ.get("ALLCORES_ON") == "fresh"
    return (None, 0) if stays else ("parallel", 3)


PARALLEL = {
    "a method": (DATA, "for star in parallel(stars):\n    star.fit()\n"),
    "an attribute": (DATA, "for star in parallel(stars):\n    star.y = f(star.n)\n"),
    "enumerated": (DATA, "for i, star in parallel(enumerate(stars)):\n    star.fit(i)\n"),
    "counted before it changes": (
        DATA,
        "for i, star in parallel(enumerate(stars)):\n    print(i, len(stars))\n    star.fit()\n",
    ),
    "the others after it has changed": (
        DATA,
        "for star in parallel(stars):\n    star.fit()\n    print([s.log for s in stars])\n",
    ),
    "then commits": (
        DATA,
        "for star in parallel(stars):\n    v = star.fit()\n    total += star.x + v\n    out.append(star)\n"
        "    out.append(star.log)\n    print(star.x)\n",
    ),
    "printed in between": (
        DATA,
        "for star in parallel(stars):\n    star.fit()\n    print(star.x)\n    print(f(star.n))\n",
    ),
    "deleted attributes, cycles": (
        DATA,
        "for star in parallel(stars):\n    star.fit()\n    star.refine()\n    t = star.model\n    out.append(star)\n",
    ),
    "slots": (
        DATA + "slotted = [Slotted(i) for i in range(9)]\ncopy = list(slotted)\n",
        "for s in parallel(slotted):\n    s.fit()\n",
    ),
    "rows": (
        DATA + "table = [[i, -i] for i in range(9)]\nsame = table[3]\n",
        "for row in parallel(table):\n    row.append(f(row[0]))\n    row.sort()\n",
    ),
    "values of a dict": (
        DATA + "d = {i: [i, 3, -i] for i in range(9)}\nheld = d[4]\n",
        "for key, row in parallel(d.items()):\n    row.sort()\n    out.append(key)\n",
    ),
    "zipped with what is shared": (
        DATA + "one = [1]\nothers = [one] * 9\n",
        "for star, other in parallel(zip(stars, others)):\n    star.fit()\n    star.other = other\n    star.made = [star.x]\n",
    ),
    "dicts": (
        DATA + "rows = [{'a': i, (1, 'k'): [i]} for i in range(9)]\nheld = rows[2][1, 'k']\n",
        "for row in parallel(rows):\n    row['b'] = f(row['a'])\n    row[1, 'k'].append(3)\n    if row['a'] % 2:\n        del row['a']\n",
    ),
    "sets, deques, bytearrays": (
        "import collections\n"
        + DATA
        + "rows = [(i, {i, i + 1}, collections.deque([i, 1], maxlen=3), bytearray(b'abc')) for i in range(9)]\n",
        "for i, s, q, b in parallel(rows):\n    s.add(f(i))\n    s.discard(i)\n    q.append(i)\n    q.append(2)\n    b.extend(b'xy')\n    b[0] = 65 + f(i)\n",
    ),
    "several kinds of dict": (
        "import collections\n"
        + DATA
        + "rows = [(i, collections.defaultdict(list), collections.Counter('ab'), collections.OrderedDict(a=1, b=2)) for i in range(9)]\n",
        "for i, d, c, o in parallel(rows):\n    d[f(i)].append(i)\n    c.update('abc')\n    o.move_to_end('a')\n    o['c'] = f(i)\n",
    ),
    "what items share stays the same": (
        "cat = {'k': [3]}\nstars = [Star(i, cat=cat, inner=[cat, [i]]) for i in range(9)]\nout = []\ntotal = 0\n",
        "for star in parallel(stars):\n    star.fit()\n    star.inner[1].append(star.cat['k'][0])\n    star.again = (star.cat, [star.inner])\n    out.append(star)\n",
    ),
    "the same part under two names": (
        DATA + "for s in stars:\n    s.twin = s.log\n    s.me = [s]\n",
        "for star in parallel(stars):\n    star.fit()\n    star.twin.append(0)\n    star.twin = list(star.twin)\n",
    ),
    "a new object in two places": (
        DATA,
        "for star in parallel(stars):\n    r = [f(star.n)]\n    star.r = r\n    star.rr = {'r': r}\n    out.append(r)\n",
    ),
    "raises in the middle": (
        DATA + "stars[6].n = 'six'\n",
        "for star in parallel(stars):\n    star.fit()\n    out.append(star.x)\n",
    ),
    "changes, then raises": (
        DATA,
        "for star in parallel(stars):\n    star.log.append(1)\n    star.y = 1 // (star.n - 6)\n",
    ),
    "breaks": (
        DATA,
        "for star in parallel(stars):\n    star.fit()\n    if star.n == 6:\n        break\n    star.late = f(star.n)\nelse:\n    out.append('no')\n",
    ),
    "continues": (
        DATA,
        "for star in parallel(stars):\n    star.fit()\n    if star.n % 3 == 0:\n        continue\n    star.late = f(star.n)\n    out.append(star.n)\n",
    ),
    "a commit breaks": (
        DATA,
        "def go(total):\n    for star in parallel(stars):\n        star.fit()\n        total += star.x\n        if total > 60:\n            break\n    return total\ntotal = go(total)\n",
    ),
    "a commit raises first": (
        DATA + "d = {0: 0, 1: 0, 2: 0, 3: 0}\n",
        "for i, star in parallel(enumerate(stars)):\n    d[i] += 1\n    star.late = f(star.n)\n",
    ),
    "a commit raises at last": (
        DATA + "d = {0: 0, 1: 0, 2: 0, 3: 0}\n",
        "for i, star in parallel(enumerate(stars)):\n    t = star.fit()\n    out.append(t)\n    u = [t, star.n]\n    d[i] += 1\n    v = f(star.n)\n    star.late = v\n",
    ),
    "a target bound anew": (
        DATA + "table = [[i] for i in range(9)]\n",
        "for row in parallel(table):\n    row += [f(row[0])]\n    out.append(row)\n",
    ),
    "parts of parts": (
        DATA + "for s in stars:\n    s.inner = Star(s.n + 1)\n",
        "for star in parallel(stars):\n    part = star.inner\n    part.fit()\n    part.log.append(f(star.n))\n    out.append(part)\n",
    ),
    "an inner loop over parts": (
        DATA + "for s in stars:\n    s.inner = [Star(s.n + k) for k in range(3)]\n",
        "for star in parallel(stars):\n    for part in star.inner:\n        part.fit()\n",
    ),
    "a subclass of list with attributes": (
        "class Row(list):\n    pass\n" + DATA + "table = [Row([i, 2]) for i in range(9)]\n",
        "for row in parallel(table):\n    row.append(f(row[0]))\n    row.size = len(row)\n",
    ),
    "own random numbers": (
        "import random\n" + DATA + "for s in stars:\n    s.rng = random.Random(s.n)\n",
        "for star in parallel(stars):\n    star.y = star.rng.random()\n",
    ),
    "a generator": (
        DATA,
        "for s in parallel(q for q in stars if q.n != 3):\n    s.fit()\n    out.append(s)\n",
    ),
    "a class of one's own": (
        DATA
        + "class Cluster:\n    def __init__(self, stars):\n        self.stars = stars\n    def __iter__(self):\n        for s in self.stars:\n            print('next')\n            yield s\n"
        "cluster = Cluster(stars)\n",
        "for s in parallel(cluster):\n    s.fit()\n    print(s.x)\n",
    ),
    "a weak reference to itself": (
        "import weakref\n" + DATA + "for s in stars:\n    s.ref = weakref.ref(s)\n",
        "for star in parallel(stars):\n    star.ref().fit()\n",
    ),
}


@pytest.mark.parametrize("name", PARALLEL)
def test_items_changed_by_workers(name: str) -> None:
    data, loop = PARALLEL[name]
    expect, least = expected(name)
    assert_same(
        loop, expect, helpers=STAR, data=data, places=("module", "function"), at_least=least
    )


SERIAL = {
    "numbers first, then what is changed": (
        "class Star:\n    def __init__(self, n):\n        self.n = n\n    def fit(self):\n        self.n += 1\n"
        "def grown(x):\n    return x * x if isinstance(x, int) else (x.fit(), x)[1]\n"
        "mixed = [1, 2, 3, Star(4), 5, Star(6)]\nout = []\n",
        "for x in parallel(mixed):\n    y = grown(x)\n    out.append(y)\n",
    ),
    # Seed 20005735 of the fuzzer: the commit would see its own item as it is in the end.
    "looked at through the list before it changes": (
        DATA,
        "for i, star in parallel(enumerate(stars)):\n    out.append(sum(stars[3].log) + i)\n    star.fit()\n",
    ),
    "printed with the others before it changes": (
        DATA,
        "for star in parallel(stars):\n    print([s.log for s in stars])\n    star.fit()\n",
    ),
    "another item is read": (
        DATA,
        "for i, s in parallel(enumerate(stars)):\n    s.x = f(stars[i - 1].n)\n    s.n = s.x\n",
    ),
    "the same item twice": (
        DATA + "stars = stars + stars[:1]\n",
        "for s in parallel(stars):\n    s.fit()\n",
    ),
    "one log for all": (
        DATA + "for s in stars:\n    s.log = stars[0].log\n",
        "for s in parallel(stars):\n    s.fit()\n",
    ),
    "items know each other": (
        DATA + "for s in stars:\n    s.next = stars[s.n - 1]\n",
        "for s in parallel(stars):\n    s.x = f(s.next.n)\n    s.n = s.x\n",
    ),
    "a second name that work reads": (
        DATA + "alias = [stars[5]]\n",
        "for s in parallel(stars):\n    s.n = f(s.n) + alias[0].n\n",
    ),
    "changed only if a commit has not ended the loop": (
        DATA,
        "for s in parallel(stars):\n    if total > 3:\n        break\n    s.n = f(s.n)\n    total += s.n\n",
    ),
    "what a class holds": (
        "class Counted:\n    made = []\n    def __init__(self, n):\n        self.n = n\n    def fit(self):\n        self.made.append(f(self.n))\n"
        + "stars = [Counted(i) for i in range(9)]\nout = []\ntotal = 0\n",
        "for s in parallel(stars):\n    s.fit()\n    s.n += 1\n",
    ),
    "a generator that raises": (
        DATA + "def some():\n    yield from stars[:5]\n    raise KeyError(5)\n",
        "for s in parallel(some()):\n    s.fit()\n",
    ),
    "a lock": (
        "import threading\n" + DATA + "for s in stars:\n    s.lock = threading.Lock()\n",
        "for s in parallel(stars):\n    s.x = f(s.n)\n    s.lock.acquire()\n",
    ),
    "a global that a method changes": (
        DATA
        + "count = [0]\nclass C:\n    def __init__(self, n):\n        self.n = n\n    def fit(self):\n        self.n = f(self.n)\n        count[0] += 1\n"
        "stars = [C(i) for i in range(9)]\n",
        "for s in parallel(stars):\n    s.fit()\n",
    ),
    "an attribute of an item that has a name": (
        DATA + "best = stars[3]\n",
        "for s in parallel(stars):\n    s.n = s.n + best.n\n",
    ),
    "a descriptor that counts": (
        "class D:\n    calls = 0\n    def __get__(self, o, t):\n        self.calls += 1\n        return o.n\n    def __set__(self, o, v):\n        o.n = v\n"
        "class C:\n    v = d = D()\n    def __init__(self, n):\n        self.n = n\n"
        "stars = [C(i) for i in range(9)]\n",
        "for s in parallel(stars):\n    s.v = s.v + 1\n",
    ),
}


@pytest.mark.parametrize("name", SERIAL)
def test_items_that_workers_must_not_change(name: str) -> None:
    data, loop = SERIAL[name]
    assert_same(loop, "serial", helpers=STAR, data=data, places=("module",))


NUMPY = "import numpy as np\ndef made():\n    yield 1\n" + STAR
ARRAYS = {
    "rows of a grid": (
        "grid = np.arange(36.0).reshape(9, 4)\n",
        "for row in parallel(grid):\n    row *= 2\n",
    ),
    "columns": (
        "grid = np.arange(36.0).reshape(4, 9)\ntotals = []\n",
        "for row in parallel(grid.T):\n    row += row[::-1]\n    totals.append(row.sum())\n",
    ),
    "numbered rows": (
        "grid = np.arange(36.0).reshape(9, 4)\nkeep = []\n",
        "for i, row in parallel(enumerate(grid)):\n    row[:] = np.sort(row)[::-1] * i\n    row[row > 30] = np.nan\n    keep.append(row)\n",
    ),
    "separate arrays": (
        "arrays = [np.arange(i + 3) for i in range(9)]\nviews = [a[:2] for a in arrays]\n",
        "for a in parallel(arrays):\n    a *= f(int(a[1])) + 1\n    a.sort()\n",
    ),
    "arrays in objects, and a read-only one for all": (
        "cat = np.arange(50.0)\nstars = [Star(i, data=np.zeros(3), cat=cat, window=cat[i:i + 5]) for i in range(9)]\n",
        "for star in parallel(stars):\n    star.data += star.window[:3] * star.n\n    star.best = star.cat\n    star.view = star.data[1:]\n",
    ),
    "a new array": (
        "stars = [Star(i, data=np.zeros(3)) for i in range(9)]\nfirst = stars[0].data\n",
        "for star in parallel(stars):\n    star.data = star.data + star.n\n    star.data.sort()\n",
    ),
    "a commit fails": (
        "arrays = [np.arange(i + 3.0) for i in range(9)]\nd = dict.fromkeys(range(5), 0)\n",
        "for i, a in parallel(enumerate(arrays)):\n    a *= 3\n    t = a.sum()\n    d[i] += t\n    a += 1\n",
    ),
    "dates, nothing, and numbers without a dimension": (
        "arrays = [np.array(['2020-01-01'], 'M8[D]'), np.zeros((0, 3)), np.array(3.0), np.zeros(3, bool)] * 1\n"
        "stars = [Star(i, data=a) for i, a in enumerate(arrays)]\n",
        "for star in parallel(stars):\n    star.data[...] = star.data[::-1] if star.data.ndim else 7\n    star.n += 1\n",
    ),
    "results that cannot be sent among those that can": (
        "arrays = [np.arange(i + 3.0) for i in range(9)]\nout = []\n",
        "for i, a in parallel(enumerate(arrays), chunk=4):\n    a *= 2\n    out.append(made() if i % 4 == 1 else a.sum())\n",
    ),
    "own generators": (
        "stars = [Star(i, rng=np.random.default_rng(i)) for i in range(9)]\n",
        "for star in parallel(stars):\n    star.y = star.rng.normal(size=3)\n",
    ),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_changed_by_workers(name: str) -> None:
    data, loop = ARRAYS[name]
    expect, least = expected(name)
    assert_same(
        loop, expect, helpers=NUMPY, data=data, places=("module", "function"), at_least=least
    )


SERIAL_ARRAYS = {
    "overlapping views": (
        "a = np.arange(12.0)\nviews = [a[i:i + 3] for i in range(9)]\n",
        "for v in parallel(views):\n    v *= 2\n",
    ),
    "one row for all": (
        "a = np.arange(3.0)\nviews = [a] * 9\n",
        "for v in parallel(views):\n    v *= 2\n",
    ),
    "the grid is read": (
        "grid = np.arange(36.0).reshape(9, 4)\nalias = grid[:, :1]\n",
        "for row in parallel(grid):\n    row *= alias.sum() + 1\n",
    ),
}


@pytest.mark.parametrize("name", SERIAL_ARRAYS)
def test_arrays_that_workers_must_not_change(name: str) -> None:
    data, loop = SERIAL_ARRAYS[name]
    assert_same(loop, "serial", helpers=NUMPY, data=data, places=("module",))


def test_a_method_of_unknown_objects_changes_them() -> None:
    """Nothing is known of what `enumerate` gives before the loop runs."""
    [plan] = plan_source("for i, star in enumerate(stars):\n    star.fit(i)\n")
    assert plan.verdict == "parallel" and plan.in_place == ["star"]


def test_numbers_are_not_looked_at_one_by_one() -> None:
    assert_same(
        "for x in parallel(xs):\n    x += 1\n    out.append(f(x))\n    if x > 40:\n        break\n",
        "parallel",
        helpers=STAR,
        data="xs = range(10**12)\nout = []\n",
        places=("module",),
    )


def test_frames_changed_by_workers() -> None:
    pytest.importorskip("pandas")
    assert_same(
        "for df in parallel(frames):\n"
        "    df['c'] = df['a'] * df['b']\n"
        "    df.loc[df['b'] > 2, 'b'] = 0\n"
        "    df.attrs['n'] = len(df)\n"
        "    total += df['c'].sum()\n"
        "    out.append(df)\n",
        "parallel",
        helpers="import pandas as pd\n",
        data="frames = [pd.DataFrame({'a': [i, 2], 'b': [1.5, i], 's': ['x', str(i)]}) for i in range(9)]\n"
        "held = frames[2]\nshown = frames[3]['b']\nout = []\ntotal = 0\n",
        places=("module",),
        at_least=5,
    )


def test_a_plan_that_leaves_items_alone_gives_way() -> None:
    """Storing results in order would do, but the items are what work reads."""
    assert_same(
        "for s in parallel(stars):\n    s.n = f(s.log[0] + s.n)\n    out.append(f(3))\n",
        "parallel",
        helpers=STAR,
        data="stars = [Star(i) for i in range(9)]\nfor s in stars:\n    s.log = [s.n]\nout = []\n",
        places=("module",),
    )


HIDDEN = {
    "a default that all calls share": "def fit(self, memo=[]):\n        memo.append(self.n)\n        self.n = len(memo)",
    "a variable of its module": "def fit(self):\n        SEEN.append(self.n)\n        self.n = len(SEEN)",
    "the class": "def fit(self):\n        type(self).made += 1\n        self.n = self.made",
}


@pytest.mark.parametrize("name", HIDDEN)
def test_methods_of_another_module_are_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"SEEN = []\nclass Star:\n    made = 0\n    def __init__(self, n):\n        self.n = n\n    {HIDDEN[name]}\n"
    module = "hides_" + name.replace(" ", "_")
    (tmp_path / f"{module}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert_same(
        "for s in parallel(stars):\n    s.fit()\nprint([s.n for s in stars])\ndel s, stars, Star\n",
        "serial",
        helpers=f"import sys\nsys.modules.pop('{module}', None)\nfrom {module} import Star\n",
        data="stars = [Star(i) for i in range(9)]\n",
        places=("module",),
    )


ROWS = """
import numpy as np
stars = np.zeros(6, [("n", int), ("flux", float)])
stars["n"] = [3, 1, 4, 1, 5, 2]
best = None
rows = []
"""


@pytest.mark.parametrize("array", ["stars", "stars.view(np.recarray)", "list(stars)"])
def test_rows_of_structured_arrays_look_at_them(array: str) -> None:
    """A row is no number: what is written to it is written to the array."""
    pytest.importorskip("numpy")
    loop = f"""
for star in parallel({array}):
    value = star["n"] ** 2
    if best is None or value > best["n"] ** 2:
        best = star
    last = star
same = last is star
last["flux"] = 1
best["flux"] = 2
rows = str(stars)
"""
    assert_same(loop + "del star, last, best\n", data=ROWS, places=("module", "function"))


def test_rows_of_structured_arrays_that_are_copies_come_home_and_can_be_written_to() -> None:
    """What pickle makes of one loses what is written to it."""
    pytest.importorskip("numpy")
    loop = """
for i in parallel(range(6)):
    row = stars[i].copy()
    row["flux"] += i / 2
    rows.append(row)
rows[3]["flux"] = 9
rows = str(rows)
del row
"""
    assert_same(loop, "parallel", data=ROWS, places=("module", "function"))


def test_a_view_of_an_array_that_stays_here_is_left_after_items_were_changed() -> None:
    source = """\
import numpy as np
def reads(a, b=1):
    return next(iter([a])) + b
arr, lines = np.arange(8.0), np.arange(48.0).reshape(24, 2)
for i, x in parallel(enumerate(lines)):
    u = reads(next(iter([i])), max(i, i))
    r = arr[2:5]
r[0] = 70.0
"""
    assert_same(source)
