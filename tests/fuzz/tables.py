"""What random loops are made of: helpers, data, expressions and statements, as templates.

In a template `{n}` stands for an expression of kind n, `{block}` for statements (alone on its line),
`{T}` for a name that the line binds to a number from then on, `{P}` to a list of this iteration's,
`{J}` to a counter. A helper or a variable is part of a program only if something mentions it.
"""

from __future__ import annotations

HELPERS = {
    "np": "import numpy as np",
    "math": "import math",
    "os": "import os",
    "io": "import io",
    "sys": "import sys",
    "copy": "import copy",
    "heapq": "import heapq",
    "random": "import random",
    "bisect": "import bisect",
    "warnings": "import warnings",
    "itertools": "import itertools",
    "functools": "import functools",
    "contextlib": "import contextlib",
    "collections": "import collections",
    "dataclasses": "import dataclasses",
    "Star": """\
class Star:
    made = 0
    def __init__(self, n):
        self.n = n
        self.seen = []
    def bright(self, k):
        return self.n * k % 7
    def note(self, v):
        self.seen.append(v)
        return len(self.seen)
    def me(self):
        return self
    def notes(self):
        return self.seen
    def faint(self):
        return Star(self.n // 2)
    @property
    def size(self):
        return self.n + len(self.seen)
""",
    "Lazy": """\
class Lazy:
    def __init__(self, n):
        self.n = n
        self.cache = None
    def get(self):
        if self.cache is None:
            self.cache = [self.n, 1]
        return self.cache
""",
    "Vec": """\
class Vec:
    def __init__(self, x, y=0):
        self.xs = [x, y]
    def __add__(self, other):
        return Vec(self.xs[0] + other.xs[0], self.xs[1] + other.xs[1])
    def __iadd__(self, other):
        self.xs[0] += other.xs[0]
        return self
    def __getitem__(self, j):
        return self.xs[j]
    def __setitem__(self, j, v):
        self.xs[j] = v
    def __len__(self):
        return len(self.xs)
    def __iter__(self):
        return iter(self.xs)
    def __contains__(self, v):
        return v in self.xs
    def __call__(self, v):
        self.xs.append(v)
        return v
""",
    "Cell": """\
class Cell:
    __slots__ = ('v', 'w')
    def __init__(self, v):
        self.v = v
""",
    "Bag": """\
class Bag(list):
    pushes = 0
    def append(self, v):
        self.pushes += 1
        list.append(self, v)
""",
    "Pt": "Pt = collections.namedtuple('Pt', 'x y')",
    "Rec": """\
@dataclasses.dataclass
class Rec:
    n: int
    tags: list = dataclasses.field(default_factory=list)
    def add(self, v):
        self.tags.append(v)
        return self
""",
    "Quiet": """\
class Quiet:
    def __init__(self, seen):
        self.seen = seen
    def __enter__(self):
        self.seen.append('in')
        return self
    def __exit__(self, kind, error, tb):
        self.seen.append('out')
        return kind is ValueError
""",
    "Odd": "class Odd(ValueError):\n    pass",
    "operator": "import operator",
    "contextvars": "import contextvars",
    "memo": """\
def memo(v, known={}):
    if v not in known:
        known[v] = len(known)
    return known[v]
""",
    "cached": "@functools.lru_cache(maxsize=None)\ndef cached(v):\n    return v * v % 31",
    "counted": """\
def counted(f):
    def wrapper(*args):
        wrapper.calls += 1
        return f(*args) + wrapper.calls
    wrapper.calls = 0
    return wrapper
""",
    "halved": "@counted\ndef halved(v):\n    return v // 2",
    "marked": "def marked(v):\n    marked.last = v\n    return v\nmarked.last = 0",
    "seen_last": "def seen_last(v):\n    return marked.last + v",
    "Part": """\
class Part:
    made, registry = 0, []
    def __init__(self, v):
        type(self).made += 1
        self.v = v
        self.number = Part.made
""",
    "Kept": """\
class Kept:
    known = {}
    def __new__(cls, v):
        if v not in cls.known:
            cls.known[v] = super().__new__(cls)
        return cls.known[v]
    def __init__(self, v):
        self.v = v
""",
    "Shared": """\
class Shared:
    notes = []
    def __init__(self, v=0):
        self.v = v
    def add(self, v):
        self.notes.append(v)
        return len(self.notes)
    def plain(self, v):
        return self.v + v
""",
    "Sub": """\
class Sub(Shared):
    def add(self, v):
        return super().add(v) + 1
    def plain(self, v):
        return super().plain(v) * 2
""",
    "Sly": """\
class Sly:
    def __init__(self, v):
        self.v, self.asked = v, 0
    def __eq__(self, other):
        self.asked += 1
        return self.v == other
    def __hash__(self):
        return hash(self.v)
    def __bool__(self):
        self.asked += 1
        return self.v > 2
    def __lt__(self, other):
        self.asked += 1
        return self.v < other.v
    def __str__(self):
        self.asked += 1
        return str(self.asked)
    def __format__(self, spec):
        self.asked += 1
        return 'f%d' % self.asked
    def __contains__(self, v):
        self.asked += 1
        return v == self.v
    def __getattr__(self, name):
        if name not in ('whatever', 'more'):
            raise AttributeError(name)
        self.asked += 1
        return self.asked
    def __iter__(self):
        self.asked += 1
        yield self.asked
    def __len__(self):
        self.asked += 1
        return 2
    def __neg__(self):
        self.asked += 1
        return self.asked
    @property
    def turn(self):
        self.asked += 1
        return self.asked
    @classmethod
    def tally(cls, v):
        cls.total = getattr(cls, 'total', 0) + v
        return cls.total
    @staticmethod
    def fixed(v):
        return v % 5
""",
    "Always": """\
class Always:
    def __set_name__(self, owner, name):
        self.reads = 0
    def __get__(self, obj, kind=None):
        self.reads += 1
        return self.reads
""",
    "Holder": "class Holder:\n    field = Always()\n    free = 3",
    "Meta": """\
class Meta(type):
    calls = 0
    def __call__(cls, *args):
        Meta.calls += 1
        return super().__call__(*args)
""",
    "Metered": "class Metered(metaclass=Meta):\n    def __init__(self, v):\n        self.v = v + Meta.calls",
    "secret": "exec('def secret(v, _n=[0]):\\n    _n[0] += 1\\n    return _n[0] + v')",
    "clear": "exec('def clear(v):\\n    return v * 3 % 17')",
    "order_of": "def order_of(v):\n    hidden['n'] += v\n    return hidden['n'] % 3 - v",
    "feed": """\
def feed(n):
    total = 0
    while True:
        v = yield total
        total += n if v is None else v
""",
    "depth1": "def depth1(v):\n    return depth2(v) + 1",
    "depth2": "def depth2(v):\n    return [depth3(q) for q in range(2)][v % 2]",
    "depth3": "def depth3(v):\n    return functools.reduce(lambda q, r: q + bump(r), [v, 1], 0)",
    "calm1": "def calm1(v):\n    return calm2(v) + 1",
    "calm2": "def calm2(v):\n    return sum(slow(q) for q in sorted([v, 2], key=lambda q: -q))",
    "slow": """\
def slow(a, b=1):
    s = 0
    for j in range(3):
        s += (a + j) * b
    return s % 11
""",
    "poly": "def poly(x, *more, k=2, **rest):\n    return (x * k + sum(more) + len(rest)) % 23",
    "fact": "def fact(n):\n    return 1 if n < 2 else n * fact(n - 1) % 101",
    "span": "def span(xs):\n    lo, hi = min(xs), max(xs)\n    return hi - lo",
    "made": "def made(n):\n    r = []\n    for j in range(n % 3):\n        r.append(j * n)\n    return r",
    "same": "def same(x):\n    return x",
    "wrap": "def wrap(x):\n    return [x]",
    "at": "def at(xs, j):\n    return xs[j % len(xs)]",
    "applied": "def applied(fn, *args):\n    return fn(*args)",
    "adder": "def adder(n):\n    return lambda v: v + n",
    "upto": "def upto(n):\n    for j in range(n):\n        yield j",
    "echo": "def echo(xs, seen):\n    for v in xs:\n        seen.append(v)\n        yield v",
    "tally": """\
def tally():
    n = 0
    def tick(v=1):
        nonlocal n
        n += v
        return n
    return tick
""",
    "weakref": "import weakref",
    "reader": "def reader(xs):\n    return lambda: len(xs)",
    "Meter": """\
class Meter:
    def __init__(self, kept, hears=()):
        self.n, self.kept, self.hears = 0, kept, hears
    def step(self, v):
        self.n += v
        if self.n > 4:
            self.kept.append(v)
        for hear in self.hears:
            hear(v)
        return self.n
    def size(self):
        return len(self.kept)
""",
    "Plain": """\
class Plain:
    def __init__(self, v):
        self.v, self.memo = v, [v]
    def __reduce__(self):
        return Plain, (0,)
    def __new__(cls, v):
        return super().__new__(cls)
""",
    "Twice": """\
class Twice(list):
    def append(self, v):
        super().append(v)
        super().append(v)
    def extend(self, vs):
        for v in vs:
            self.append(v)
""",
    "touch": "def touch(xs, v):\n    xs.append(v)\n    return v",
    "fill": "def fill(a, v):\n    a[0] = v\n    return a",
    "grow": "def grow(v, xs=[]):\n    xs.append(v)\n    return len(xs)",
    "hidden": "hidden = {'n': 0}",
    "bump": "def bump(v):\n    hidden['n'] += 1\n    return hidden['n'] + v",
    "level": "level = 0",
    "rise": "def rise(v):\n    global level\n    level += v\n    return level",
    "noisy": "def noisy(v):\n    print('in', v)\n    return v + 1",
    "murmur": "def murmur(v):\n    yield v\n    print('made', v)\n    yield 1",
    "there": "def there(v):\n    hidden['n'] += v\n    return back(v - 1) if v > 0 else 1",
    "back": "def back(v):\n    return there(v - 2) + 1 if v > 0 else hidden['n']",
    "told": """\
def told(f):
    @functools.wraps(f)
    def wrapper(*args, **kwargs):
        return f(*args, **kwargs)
    return wrapper
""",
    "twice": "@told\ndef twice(v):\n    return v * 2",
    "sum_up": "@told\ndef sum_up(v):\n    hidden['n'] += v\n    return hidden['n']",
    "risky": "def risky(v):\n    if v % 5 == 3:\n        raise ValueError(v)\n    return v * 2",
    "brittle": """\
def brittle(v):
    if v % 7 == 4:
        raise KeyError(v)
    return 12 // (v % 6)
""",
    "Far": "from tests.fuzz.far import Far",
    "Looked": "from tests.fuzz.far import Looked",
    "far_find": "from tests.fuzz.far import far_find",
    "far_index": "from tests.fuzz.far import far_index",
    "stow": "from tests.fuzz.far import stow",
    "stows": "from tests.fuzz.far import stows",
    "taken": "from tests.fuzz.far import taken",
    "drawn": "from tests.fuzz.far import drawn",
    "attic": "attic = [[j] for j in range(4)]",
    "of_attic": "def of_attic(v):\n    return attic[v % 4]",
    "kept_of": "@functools.cache\ndef kept_of(v):\n    return [v]",
    "stow_here": "def stow_here(give, v):\n    give(v).append(v)\n    return v",
    "odd": "def odd(v):\n    if v % 4 == 1:\n        raise Odd(v, [v])\n    return v",
}
"""Helpers: always at module level."""

DATA = {
    "k": "k = 3",
    "lim": "lim = 5",
    "cfg": "cfg = {'lim': 5, 'scale': 2}",
    "words": "words = ['ab', 'c', 'def', 'gh', 'i', 'jkl', 'mn', 'o']",
    "grid": "grid = [[j, j + 1] for j in range(8)]",
    "twin": "twin = grid",
    "dups": "dups = [grid[0], grid[1], grid[0], grid[5]]",
    "cur": "cur = grid[2]",
    "stars": "stars = [Star(j) for j in range(8)]",
    "first": "first = stars[0]",
    "lazies": "lazies = [Lazy(j) for j in range(4)]",
    "vecs": "vecs = [Vec(j, 1) for j in range(4)]",
    "vec": "vec = vecs[1]",
    "recs": "recs = [Rec(j) for j in range(4)]",
    "cell": "cell = Cell(4)",
    "pts": "pts = [Pt(j, [j]) for j in range(4)]",
    "bag": "bag = Bag()",
    "table": "table = {j: j * j for j in range(8)}",
    "tree": "tree = {'a': {'b': [1]}, 'c': [2, 3]}",
    "tup": "tup = (1, [2], 3)",
    "arr": "arr = np.arange(8.0)",
    "mat": "mat = np.arange(16.0).reshape(8, 2)",
    "view": "view = mat[2:5]",
    "flat": "flat = mat.ravel()",
    "ints": "ints = np.arange(8) * 3 % 5",
    "things": "things = np.array([[1], None, 'x'], dtype=object)",
    "res": "res = np.zeros(8)",
    "res2": "res2 = np.zeros((8, 2))",
    "buf": "buf = np.zeros(3)",
    "total": "total = 0",
    "fsum": "fsum = 0.0",
    "best": "best, winner = -1, None",
    "winner": "best, winner = -1, None",
    "flag": "flag = 0",
    "last": "last = 0",
    "lo": "lo, hi = 10**9, -10**9",
    "hi": "lo, hi = 10**9, -10**9",
    "t": "t = 40",
    "text": "text = ''",
    "out": "out = []",
    "log": "log = []",
    "other": "other = []",
    "both": "both = [out, log]",
    "mirror": "mirror = {'o': out}",
    "push": "push = out.append",
    "seen": "seen = set()",
    "counts": "counts = {}",
    "d": "d = {}",
    "groups": "groups = collections.defaultdict(list)",
    "tallied": "tallied = collections.Counter()",
    "recent": "recent = collections.deque(maxlen=4)",
    "heap": "heap = []",
    "ranked": "ranked = []",
    "dest": "dest = [None] * 8",
    "chars": "chars = bytearray(8)",
    "fh": "fh = io.StringIO()",
    "file": "file = open('written.txt', 'w')",
    "it": "it = iter(range(100))",
    "steps": "steps = upto(50)",
    "numbers": "numbers = [3, 1, 4, 1, 5]",
    "tick": "tick = tally()",
    "rng": "rng = np.random.default_rng(1)",
    "dice": "dice = random.Random(1)",
    "part": "part = functools.partial(slow, 2)",
    "shared": "shared = Shared(2)",
    "sub": "sub = Sub(3)",
    "sly": "sly = Sly(3)",
    "slies": "slies = [Sly(j) for j in range(4)]",
    "holder": "holder = Holder()",
    "baked": "baked = functools.partial(touch, log)",
    "appender": "appender = operator.methodcaller('append', 7)",
    "getter": "getter = operator.attrgetter('seen')",
    "fed": "fed = feed(3)\nnext(fed)",
    "var": "var = contextvars.ContextVar('var', default=0)",
    "ring": "ring = collections.deque([1, 2, 3])",
    "frames": "frames = [{'v': j, 'xs': [j]} for j in range(6)]",
    "byname": "byname = {w: [w] for w in ('ab', 'c', 'ef')}",
    "cycle": "cycle = itertools.cycle([1, 2, 3])",
    "ids": "ids = itertools.count()",
    "slots": "slots = [3, 1, 4, 1, 5, 9, 2, 6] * 3",
    "rows": "rows = [[j] for j in range(24)]",
    "cols": "cols = np.arange(48.0).reshape(2, 24)",
    "lines": "lines = np.arange(48.0).reshape(24, 2)",
    "known": "known = {j: [j, j * j] for j in range(24)}",
    "spare": "spare = slots",
    "square": "square = lambda v: v * v % 19",
    "len_log": "len_log = reader(log)",
    "len_out": "len_out = reader(out)",
    "lens": "lens = {'log': reader(log), 'out': reader(out)}",
    "since": "def since(v, q=log):\n    return len(q) + v",
    "of_d": "of_d = d.get",
    "behind": "behind = weakref.ref(first)",
    "inside": "inside = vars(first)",
    "meter": "meter = Meter(other)",
    "loud": "loud = Meter(other, [log.append, meter.step])",
    "sizes": "sizes = {'m': meter.size}",
    "fars": "fars = [Far(j) for j in range(5)]",
    "far": "far = Far(3, fars[1])",
    "looked": "looked = [Looked(j) for j in range(4)]",
    "givers": "givers = {'a': of_attic, 'm': made}",
}
"""Variables that loops use: at the level of the loop. Some are aliases of others."""

INPUTS = [
    ("i", "range(8)", ""),
    ("i", "range(1)", ""),
    ("i", "range(9, 0, -2)", ""),
    ("i", "[]", ""),
    ("i", "list(table)", ""),
    ("i", "(j * 3 % 8 for j in range(8))", ""),
    ("i", "{0, 3, 5, 6}", ""),
    ("i", "table", ""),
    ("i", "map(int, '0123')", ""),
    ("i", "reversed(range(8))", ""),
    ("i", "upto(7)", ""),
    ("i", "b'abc'", ""),
    ("i", "sorted(table.values())", ""),
    ("i", "itertools.islice(itertools.count(2), 6)", ""),
    ("i", "itertools.chain([1, 2], upto(3))", ""),
    ("i", "table.values()", ""),
    ("i, w", "enumerate(words)", "s:w"),
    ("i, w", "enumerate('hello', 1)", "s:w"),
    ("i, row", "enumerate(grid)", "b:row"),
    ("i, row", "enumerate(dups)", "b:row"),
    ("i, row", "zip(upto(6), grid)", "b:row"),
    ("i, s", "enumerate(stars)", "o:s"),
    ("i, s", "enumerate([first, stars[1], first])", "o:s"),
    ("i, s", "enumerate(stars[2:6])", "o:s"),
    ("i, (a, b)", "enumerate(grid)", "n:a n:b"),
    ("i, x", "zip(range(8), arr)", "n:int(x)"),
    ("i, x", "enumerate(ints.tolist())", "n:x"),
    ("i, *more", "[(0, 1, 2), (3,), (5, 6)]", "n:len(more) b:more"),
    ("i, v", "table.items()", "n:v"),
    ("i, m", "enumerate(mat)", "A:m"),
    ("i, (x, y)", "zip(range(9), zip(numbers, words))", "n:x s:y"),
    ("(i, p0)", "list(enumerate(pts))", "b:p0.y"),
    ("i, x", "enumerate(slots)", "n:x"),
    ("i, x", "zip(range(20), slots)", "n:x"),
    ("i, x", "enumerate(lines)", "A:x"),
    ("i, x", "known.items()", "b:x"),
    ("i", "known", ""),
    ("i", "range(3, 24)", ""),
    ("i, x", "enumerate(rows)", "b:x"),
    ("i, _", "itertools.product(range(3), 'ab')", ""),
]
NASTY_INPUTS = [
    ("i", "numbers", ""),
    ("i", "it", ""),
    ("i", "itertools.islice(it, 6)", ""),
    ("i", "steps", ""),
    ("i", "echo([3, 1, 2, 5], log)", ""),
    ("i", "echo(grid[3], other)", ""),
    ("i", "(grid[j][0] for j in range(8))", ""),
    ("i", "map(noisy, range(5))", ""),
    ("i", "map(risky, range(9))", ""),
    ("cell.v, i", "enumerate([4, 2, 5])", ""),
    ("i, dest[0]", "enumerate(words)", ""),
    ("i, total", "enumerate(ints.tolist())", ""),
    ("i, k", "zip(range(5), numbers)", ""),
    ("i, out", "enumerate(grid)", ""),
    ("i", "vec", ""),
    ("i", "iter(numbers)", ""),
    ("i, i", "[(1, 2), (3, 4), (5, 0)]", ""),
    ("i, t", "enumerate([5, 6, 7])", ""),
    ("i, vecs[i]", "enumerate([Vec(1), Vec(2)])", ""),
    ("i, grid[0]", "enumerate(words)", ""),
]

EXPRESSIONS = {
    # A number, from what varies and what is fixed.
    "n": """
        ({n} + {n}) | ({n} * {n}) | ({n} - {n}) | {n} // 2 % 50 | -{n} | ({n} if {c} else {n})
        slow({n}) | slow({n}, {n}) | slow({n}, b={n}) | poly({n}, {n}, k=3, z={n}) | fact({n} % 6)
        len(words[{n} % 8]) | grid[{n} % 8][0] | stars[{n} % 8].bright({n}) | table[{n} % 8]
        table.get({n}, 1) | int(arr[{n} % 8]) | abs({n}) | min({n}, {n}, 4) | round({n} / 3) | len({s})
        sum([q * {n} for q in range(3)]) | max({n}, {n}) | (lambda q: q + {n})({n}) | ({n} or {n})
        int(mat[{n} % 8].sum()) | sum(grid[{n} % 8]) | (lambda q=({n}): q * 2)() | len({{{n}, {n}}})
        first.n + {n} | adder({n})({n}) | applied(slow, {n}) | part({n}) | square({n}) | cfg['scale'] * {n}
        sum(upto({n} % 4)) | span([{n}, {n}, 2]) | len(made({n})) | int(ints[{n} % 8]) | cell.v + {n}
        sum(1 for q in words if {n} < 3) | math.floor({n} / 2) | stars[{n} % 8].faint().n | tup[0] + {n}
        sorted([{n}, {n}])[0] | Vec({n}, {n})[1] | (Vec({n}) + Vec(1)).xs[0] | Pt({n}, 1).x | pts[1].x + {n}
        int({n} in table) | functools.reduce(lambda q, r: q + r, [{n}, {n}]) | tree['c'][0] + {n}
        [{n}, {n}][{n} % 2] | divmod({n}, 5)[1] | int(np.max(mat) + {n}) | len(Star({n}).seen) + {n}
        vecs[{n} % 4][0] | len(vecs) + {n} | int(str(abs({n}))[0]) | next(iter([{n}])) | noisy({n})
        sum(murmur({n})) | twice({n}) | max(noisy({n}), {n})
    """,
    "c": """
        {n} > 3 | {n} % 2 | {n} == {n} | not {n} | 1 < {n} < 7 | {n} in (1, 2, 5) | {n} > 2 and {n} < 9
        {n} > 5 or {n} % 3 | {s} == 'ab' | {l} | lim > {n} | any(q > {n} for q in (2, 7))
        isinstance({e}, list) | {n} not in table | (2 if {n} else 0)
    """,
    "s": """
        str({n}) | words[{n} % 8].upper() | f"{{{n}}}-{{{n}}}" | {s} + {s} | '%d' % {n} | {s} * 2
        ''.join(sorted({s})) | ','.join([{s}, {s}]) | {s}[:1] | repr({n}) | '{{}}'.format({n})
    """,
    "l": """
        [{n}, {n}] | [q for q in range({n} % 4)] | sorted([{n}, {n}, k]) | list(grid[{n} % 8]) | made({n})
        grid[{n} % 8] + [{n}] | [*grid[{n} % 8], {n}] | grid[{n} % 8][:1] | [[{n}]] | [{n}] * 2
        [q + {n} for q in grid[{n} % 8] if q % 2] | list(upto({n} % 4)) | list(map(slow, [{n}, 2]))
        copy.copy(grid[{n} % 8]) | copy.deepcopy(grid[{n} % 8]) | grid[{n} % 8].copy() | wrap({n}) | tup[1] + [1]
    """,
    "a": """
        np.full(3, {n}) | arr * {n} | mat[{n} % 8].copy() | mat[{n} % 8] + 1 | np.array({l}) | arr[arr > {n}]
        np.zeros((2, 2)) + {n} | np.sort(ints) | np.where(arr > {n}, arr, 0) | mat @ np.ones(2) | np.arange({n} % 5)
        np.full((2, 3), {n}).T | arr[[1, {n} % 8]] | np.outer([1, {n}], [2, 3])[:, 1:] | np.float64({n})
    """,
    # Any value made in this iteration.
    "v": """
        {n} | {n} | {n} | {s} | {l} | {l} | {a} | {n} / 3 | ({n}, {s}) | {{'a': {n}}} | {{q: {n} for q in range(2)}}
        Star({n}) | [Star({n}), {l}] | {{{n}, {n}}} | Pt({n}, {l}) | Rec({n}) | None | {c} | Vec({n}) + vec
        (lambda q: [q])({n}) | dict(a={n}, b={l}) | frozenset([{n}]) | {s}.encode() | complex({n}, 1) | float('nan')
        stars[{n} % 8].faint() | Cell({n}) | -0.0 * {n} | bytearray(2) | {{'x': {l}, 'y': {a}}} | slice({n}, None)
    """,
    # A list, object or array that outlives the iteration.
    "b": """
        grid[{n} % 8] | grid[{n} % 8] | twin[{n} % 8] | cur | grid | dups[{n} % 4] | tree['c'] | tree['a']['b']
        stars[{n} % 8].seen | tup[1] | pts[{n} % 4].y | recs[{n} % 4].tags | vecs[{n} % 4].xs | first.notes()
        at(grid, {n}) | same(grid[{n} % 8]) | numbers | stars[{n} % 8].notes() | grid[-1] | next(iter(grid)) | max(grid)
        sorted(grid)[{n} % 8] | (cur or grid[1]) | list(grid)[{n} % 8] | dict(a=cur)['a'] | [cur][0] | wrap(cur)[0]
        {{'q': cur}}.get('q') | (grid[0] if {c} else grid[1]) | grid[1:][{n} % 7] | min(grid, key=len) | tree.get('c')
    """,
    "o": "stars[{n} % 8] | first | stars[{n} % 8].me() | same(first) | max(stars, key=lambda q: q.n) | at(stars, {n})",
    "A": "arr | view | mat[{n} % 8] | flat | mat.T | mat[:, 0] | mat | arr[2:5] | view[0] | mat.reshape(16) | np.asarray(arr)",
    # Any value.
    "e": "{v} | {v} | {v} | {b} | {o} | {A} | table | words | pts[{n} % 4] | vec | lazies",
}

EASY = [
    # Temporaries.
    (
        6,
        """
    {T} = {n}
    {T} = {n}
    {T}, {T} = {n}, {n}
    {T} = {T} = {n}
    {T}: int = {n}
    if ({T} := {n}) > 4: pass
    *{T}r, {T} = [1, {n}]
    ({T}, [{T}, *{T}r]) = {n}, ({n}, 2, 3)
    {T} = len([{T}x := {n} for q in range(2)])
    {T}f = {n} / 7 ~ {T} = int({T}f)
    {T} = {n} ~ {T} += {n}
    {T} = {n} ~ {T} *= 2 ~ {T} -= {n}
    for {T} in [{n}, {n}]: pass
    global_free = [{n} for q in [1] for r in [q]]
    if {c}: {T} = 1 ~ else: {T} = 2
    try: {T} = brittle({n}) ~ except (KeyError, ZeroDivisionError): {T} = -1
    """,
    ),
    # What outlives the iteration, changed in ways a reader knows.
    (
        9,
        """
    out.append({e})
    out.append({v})
    out.append({v})
    total += {n}
    total = total + {n}
    fsum += {n} / 3
    log.append(({n}, {e}))
    counts[{n} % 3] = counts.get({n} % 3, 0) + 1
    d.setdefault({n} % 4, []).append({v})
    groups[{n} % 3].append({e})
    tallied[{s}] += 1
    tallied.update([{n}])
    recent.append({v})
    heapq.heappush(heap, {n})
    bisect.insort(ranked, {n})
    d2 = {v}
    d[i] = {e}
    d[{s}] = {v}
    d.update(a{n3}={n})
    dest[i % 8] = {e}
    res[i % 8] = {n}
    res[i % 8] += {n}
    res2[i % 8] = {n}, 2
    res2[i % 8, 1] = {n}
    chars[i % 8] = {n} % 256
    seen.add({n})
    seen |= {{{n}}}
    seen.update([{n}, {n}])
    text += {s}
    fh.write({s})
    print({n}, {s}, sep='/')
    print({l}, end='; ')
    print({s}, file=sys.stderr)
    print({s}, file=fh)
    file.write({s})
    if {n} > best: best, winner = {n}, i
    if {n} > best: ~     best = {n} ~     winner = {e}
    best = max(best, {n})
    lo, hi = min(lo, {n}), max(hi, {n})
    out.extend([{n} + q for q in range(2)])
    out.extend({l})
    out += [{v}]
    out.insert(0, {v})
    other[len(other):] = [{v}]
    total, flag = total + {n}, flag ^ 1
    other.extend({n} + q for q in range(2))
    total = total * 2 % 1001 + {n}
    push({v})
    both[0].append({v})
    tree['c'].append({v})
    cell.w = {n}
    first.extra = {v}
    bag.append({v})
    log.append([{e}, {e}])
    """,
    ),
    # Lists and the like made in the iteration.
    (
        3,
        """
    {P} = [{n}] ~ {P}.append({n}) ~ {P}.append({v})
    {P} = [] ~ for {J} in range(2): ~     {P}.append({n})
    {P} = {l} ~ {P} += [{n}]
    {P} = {l} ~ {P}.sort() ~ {P}.reverse()
    {P} = [{n}, {n}] ~ {P}[0] = {n} ~ del {P}[1]
    {P} = [{n}] ~ out.append({P}) ~ {P}.append({n})
    {P} = [{n}] ~ log.append({P}) ~ out.append({P})
    {P} = list(grid[{n} % 8]) ~ {P}.append({n}) ~ out.append({P})
    {P} = [{e}] ~ out.append({P})
    s3 = Star({n}) ~ s3.note({n}) ~ out.append(s3)
    s3 = Star({n}) ~ s3.n += {n} ~ s3.seen = {l} ~ out.append(s3.size)
    m3 = {{}} ~ m3[{n}] = {v} ~ m3.setdefault('z', []).append({n}) ~ out.append(m3)
    a3 = np.zeros(4) ~ a3[{n} % 4] = {n} ~ a3[1:] += 2 ~ out.append(a3)
    a3 = {a} ~ a3 = a3 * 2 ~ log.append(a3)
    v3 = Vec({n}) ~ v3 += Vec(1) ~ v3[1] = {n} ~ out.append(v3)
    r3 = Rec({n}).add({n}) ~ out.append(r3)
    t3 = [[] for q in range(2)] ~ t3[{n} % 2].append({n}) ~ out.append(t3)
    c3 = copy.deepcopy(grid) ~ c3[{n} % 8].append({n}) ~ out.append(c3[1])
    """,
    ),
    # What is not this iteration's own, only looked at or kept.
    (
        2,
        """
    out.append({b})
    r = {b} ~ total += len(r)
    r = {o} ~ out.append(r.n + {n})
    log.append(({b}, {n}))
    last = {b}
    d[i] = {b}
    out.append([{b}, {b}])
    out.append({o})
    r = {A} ~ out.append(float(r.sum()))
    for r in {b}: total += {n}
    out.append({A})
    out.extend({b})
    dest[i % 8] = {b}
    out.append(list(zip({b}, {l})))
    """,
    ),
]

COMPOUND = """
    if {c}: ~     {block}
    if {c}: ~     {block}
    if {c}: ~     {block} ~ else: ~     {block}
    if {c}: ~     {block} ~ elif {c}: ~     {block} ~ else: ~     {block}
    for {J} in range(3): ~     {block}
    for {J} in {b}[:2]: ~     {block}
    for {J} in range(3): ~     {block} ~     if {c}: break ~ else: ~     {block}
    for {J} in range(3): ~     if {c}: continue ~     {block}
    for {J}, {T} in enumerate([{n}, {n}]): ~     {block}
    n{depth} = 2 ~ while n{depth} > 0: ~     n{depth} -= 1 ~     {block}
    n{depth} = 3 ~ while (n{depth} := n{depth} - 1): ~     {block} ~ else: ~     {block}
    try: ~     {T}v = risky({n}) ~     {block} ~ except ValueError: ~     {block}
    try: ~     {block} ~     {T}v = brittle({n}) ~ except (KeyError, ZeroDivisionError): ~     {block}
    try: ~     {block} ~     {T}v = risky({n}) ~ except ValueError as error: ~     log.append(str(error))
    try: ~     {T}v = odd({n}) ~ except Odd as error: ~     log.append(error.args[1]) ~ else: ~     {block}
    try: ~     {T}v = risky({n}) ~ except ValueError: ~     continue
    try: ~     {T}v = brittle({n}) ~ except Exception: ~     pass ~ finally: ~     {block}
    try: ~     try: ~         {T}v = risky({n}) ~     finally: ~         {block} ~ except ValueError: ~     {block}
    match {n} % 3: ~     case 0: ~         {block} ~     case 1 | 2 as mm: ~         {block}
    match ({n} % 2, {s}): ~     case (0, mm): ~         {block} ~     case (1, mm) if {c}: ~         {block} ~     case _: ~         {block}
    match {o}: ~     case Star(n=mm) if mm > 2: ~         {block} ~     case _: ~         {block}
    match {l}: ~     case [mm, *mr]: ~         out.append(mr) ~         {block} ~     case []: ~         {block}
    with contextlib.suppress(ValueError): ~     {block} ~     {T}v = risky({n}) ~     {block}
    with contextlib.nullcontext({n}) as mm: ~     {block}
    if {c}: continue
    if {n} % 7 == 4: continue
    if {n} % 9 == 8: break
    if i == {n}: continue
    if {n} == 77: raise ValueError(i)
    if {n} % 11 == 10: raise KeyError({l})
    assert {n} != 13, i
    out.append(risky({n}))
    out.append(brittle({n}))
    log.append(noisy({n}))
    log.append(there({n} % 5))
    log.append(back({n} % 5))
    d[i] = sum_up({n})
    out.append((print({s}), noisy({n})))
    os.environ['ALLCORES_FUZZ'] = {s} ~ out.append(os.environ.get('ALLCORES_FUZZ'))
    out.append(os.environ.setdefault('ALLCORES_FUZZ', str({n})))
    if {c}: out.append(odd({n}))
"""

NASTY = """
    def {T}g(q, r={n}): return q + {n} ~ {T} = {T}g({n})
    {T}g = lambda q: q * {n} ~ {T} = {T}g(2) + {T}g({n})
    r = {b} ~ r = [r]
    r = {b} ~ r.append({n})
    r = {b} ~ r += [{n}]
    r = {b} ~ r[0] = {n}
    r = {b} ~ r.sort(key=lambda q: type(q).__name__)
    r = {b} ~ r[:] = [{n}]
    {b}.append({n})
    grid[{n} % 8].append({n})
    grid[{n} % 8] = {l}
    grid[{n} % 8] += [{n}]
    rr = [{b}, {b}] ~ rr[0].append({n})
    rr = {{'a': {b}}} ~ rr['a'].append({n})
    for rr in {b}, {b}: rr.append({n})
    for rr in grid: rr[0] = {n}
    rr = [q for q in grid] ~ rr[{n} % 8].append({n})
    (lambda q: q.append({n}))({b})
    [q.append({n}) for q in grid[:2]]
    any(q.append({n}) for q in dups)
    list(map(cur.append, [{n}]))
    yy = ({b}, i) ~ yy[0].append(2)
    ww, xx = {b}, {n} ~ ww.append(xx)
    touch({b}, {n})
    y0 = touch({b}, {n}) ~ out.append(y0)
    applied(touch, {b}, {n})
    out.append(fill({b}, {n}))
    fill(mat[{n} % 8], {n})
    stars[{n} % 8].n += 1
    stars[{n} % 8].note({n})
    r = {o} ~ r.n = {n}
    r = {o} ~ r.note({n})
    r = {o} ~ out.append(r.note({n}))
    setattr({o}, 'n', {n})
    {o}.__dict__['n'] = {n}
    vars({o})['m'] = {n}
    first.seen.append(i)
    Star.made += 1
    out.append(lazies[{n} % 4].get())
    out.append(len(lazies[{n} % 4].get()))
    out.append(grow({n}))
    out.append(bump({n}))
    out.append(rise({n}))
    out.append(tick({n}))
    out.append(vec({n}))
    out.append(next(it) + {n})
    out.append(next(steps, 0) + {n})
    out.append(round(rng.random(), 3) + {n})
    out.append(dice.randrange(9) + {n})
    vec += Vec({n})
    rr = vec ~ rr += Vec({n})
    vecs[{n} % 4][0] = {n}
    recs[{n} % 4].add({n})
    out.append(recs[{n} % 4].add({n}))
    k = {n} % 50
    k += 1
    lim -= 1
    cfg['scale'] = {n} % 9
    words[{n} % 8] = {s}
    table[{n} % 8] += 1
    table.pop({n}, None)
    del table[{n} % 8]
    numbers.append({n}) if len(numbers) < 9 else None
    numbers.pop()
    numbers.clear()
    numbers[:] = [{n}, 2]
    mat[{n} % 8] *= 2
    rr = {A} ~ rr += 1
    rr = {A} ~ rr[...] = {n}
    rr = {A} ~ np.add(rr, 1, out=rr)
    rr = {A} ~ rr.sort()
    rr = mat[{n} % 8][:1] ~ rr[0] = {n}
    arr[{n} % 8] = {n}
    np.add.at(res, [{n} % 8, 1], {n})
    buf[:] = {n} ~ out.append(buf.sum())
    buf[:] = {n} ~ out.append(buf)
    np.multiply(buf, {n}, out=buf) ~ out.append(float(buf[0]))
    buf.fill({n}) ~ out.append(buf.copy())
    things[0].append({n})
    flat[{n} % 16] = {n} ~ out.append(mat[1].copy())
    out.append(last) ~ last = i
    out.append(last) ~ last = {l}
    last, prev = {n}, last ~ out.append(prev)
    x8 = total ~ total += 1 ~ out.append(slow(x8))
    total -= 1 ~ t7 = total ~ out.append(t7 * 2)
    total += slow(total)
    if total > 40: break
    if total % 3: {T} = {n} ~ else: {T} = total
    if i in seen: continue ~ seen.add(i)
    out.append(len(out) + {n})
    if len(out) > 5: raise KeyError(i)
    if out and {c}: out.pop()
    if len(out) > 2: del out[0]
    del out[:1]
    out.sort(key=lambda q: type(q).__name__)
    out = out + [{n}]
    out, log = log, out
    out = []
    out = [out]
    other = out
    out.append(out)
    both[1] = {l}
    mirror['o'].append({n}) ~ log.append(len(out))
    if {n} > best: best = {n} ~ if best > 5: log.append(best)
    rr = d.setdefault({n} % 3, []) ~ rr.append({n})
    rr = groups[{n} % 3] ~ rr.append({n}) ~ log.append(len(rr))
    rr = dest[{n} % 8] or [] ~ rr.append({n}) ~ dest[i % 8] = rr
    q9 = i ~ del q9
    if {c}: q9 = {n} ~ out.append(q9)
    if {c}: q9 = {l} ~ else: log.append(q9)
    out.append(t) ~ t = {n}
    t = t + {n}
    if {c}: t = {n} ~ out.append(t)
    if i % 3 == 1: del t
    del i
    i = {n}
    i += 1
    kk = {l} if {c} else out ~ kk.append({n})
    zz = slow({n}) if i else out ~ zz2 = zz
    fn = lambda: i ~ out.append(fn())
    log.append(lambda: i)
    log.append(lambda q=i: q)
    {T} = {n} ~ log.append(lambda: {T})
    def loc(q): return q + i ~ out.append(loc({n}))
    def loc(q): ~     total_ = q ~     return total_ + {n} ~ log.append(loc)
    def loc(q): ~     out.append(q) ~ loc({n})
    def loc(q=[]): ~     q.append(i) ~     return q ~ out.append(loc())
    class Loc: ~     v = {n} ~     def get(self): return self.v ~ out.append(Loc().get())
    class Loc(Star): pass ~ out.append(Loc({n}).n)
    log.append(q + i for q in range(2))
    log.append(iter({l}))
    log.append(zip({b}, {l}))
    log.append(map(square, {b}))
    log.append(reversed({b}))
    log.append(memoryview(bytes(2))[{n} % 2])
    log.append(functools.partial(slow, {n}))
    log.append({b}.append)
    log.append({o}.note)
    log.append(mat[{n} % 8:][:1])
    log.append((arr, arr[1:]))
    w9 = grid ~ w9[0].append(1)
    s4 = Star(grid) ~ s4.n[0].append(4)
    s4 = Star({n}) ~ s4.seen = cur ~ s4.note({n})
    s4 = Vec({n}) ~ s4.xs = {b} ~ s4(5)
    {P} = {b}[:] ~ {P}.append({n}) ~ out.append({P})
    {P} = grid[:] ~ {P}[0].append({n})
    {P} = copy.copy(grid) ~ {P}[1].append({n})
    {P} = [{n}] ~ cur = {P} ~ cur.append({n})
    cur = grid[{n} % 8]
    cur.append({n}) ~ cur = {l}
    first = stars[{n} % 8] ~ out.append(first.n)
    with Quiet(log): ~     out.append(risky({n}))
    with Quiet({l}) as qq: ~     out.append(risky({n})) ~     {block}
    with io.StringIO({s}) as qq: out.append(qq.read())
    with open('made.txt', 'a') as qq: qq.write({s})
    try: ~     {block} ~ finally: ~     out.sort(key=lambda v: type(v).__name__)
    try: ~     {block} ~     if {c}: continue ~ finally: ~     {block}
    try: ~     out.append(risky({n})) ~ finally: ~     if {c}: break
    try: ~     {block} ~     raise KeyError({n}) ~ except KeyError as error: ~     log.append(error)
    try: ~     {T}v = brittle({n}) ~ except KeyError as error: ~     raise Odd({n}) from error
    try: ~     out.append(risky({n})) ~ except ValueError: ~     if {c}: raise
    try: ~     total += brittle({n}) ~ except ZeroDivisionError as t: ~     {block}
    try: ~     {b}.append(brittle({n})) ~ except* KeyError: ~     log.append({n})
    try: ~     out.append(len(total)) ~ except TypeError: ~     total += {n}
    try: ~     d[{n} % 2] += 1 ~ except KeyError: ~     d[{n} % 2] = 0
    d[{n} % 3] += 1
    dest[{n}] = i
    out.append(words[{n}])
    out.append([][{n}])
    print({n}, file=fh) ~ log.append(fh.tell())
    sys.stdout.write({s})
    log.append(print({n}))
    warnings.warn({s})
    globals()['gg'] = {n}
    exec('ee = 1')
    log.append(sorted(locals())[:0])
    out.append(eval('i'))
    raise StopIteration({n})
    if {n} % 13 == 12: sys.exit(3)
    import math as mth ~ out.append(mth.floor({n}))
    from math import floor ~ out.append(floor({n}))
    len = {n}
    print = out.append
    slow = square ~ out.append(slow({n}))
    hidden['n'] = i
    log.append(hidden['n']) ~ bump({n})
    out.append(rise) ~ rise({n})
    for i in range(2): out.append(i)
    for t in {b}: pass
    for total in [{n}]: pass
    for {J} in upto(3): ~     if {J} + {n} > 4: break ~ log.append({J})
    [total := total + q for q in range(2)]
    out.append([q := {n}, q]) ~ log.append(q)
    {T} = yes = {l} ~ yes.append({n}) ~ out.append({T})
    out[len(out):], total = [{n}], total + 1
    x7, out_ = {l}, out ~ out_.append(x7) ~ x7.append({n})
    assert total < 30, out
    assert {n} % 5 != 4, {l}
    {P} = [{n}] ~ {P}.append({P}) ~ out.append({P})
    {P} = [{n}] ~ out.append([{P}, {P}]) ~ d[i] = {P}
    {P} = {a} ~ out.append(({P}, {P}[1:])) if {P}.ndim else None
    {P} = {a} ~ out.append({P}) ~ {P}[...] = 0
    {P} = {a} ~ {P}.flags.writeable = False ~ out.append({P})
    r, {P} = {b}, [] ~ {P}.append(r) ~ {P}[0].append({n}) ~ out.append({P})
"""
"""Things a reader would hesitate over, and some that readers get wrong."""

HIDDEN = """
    out.append(memo({n} % 9))
    out.append(cached({n}))
    out.append(halved({n}))
    out.append(marked({n}))
    out.append(seen_last({n})) ~ marked({n})
    out.append(Part({n}).number)
    out.append(Part({n}))
    out.append(Kept({n} % 4).v)
    out.append(Kept({n} % 4))
    out.append(Shared({n}).add({n}))
    out.append(Shared({n}).plain({n}))
    out.append(sub.add({n}))
    out.append(sub.plain({n}))
    out.append(shared.add({n}))
    out.append(shared.plain({n}))
    sub.v = {n} ~ out.append(sub.plain(1))
    out.append(sly == {n})
    out.append({n} in sly)
    out.append({n} in [sly, {n}])
    out.append({{sly: 1}}.get({n}))
    out.append(1 if sly else 2)
    out.append(sly or {n})
    out.append(not sly)
    out.append(str(sly))
    out.append(f'{{sly}} {{{n}}}')
    out.append('%s' % sly)
    out.append('{{}}'.format(sly))
    out.append(sly.whatever)
    out.append(getattr(sly, 'whatever', {n}))
    out.append(hasattr(sly, 'more'))
    out.append(list(sly))
    out.append([*sly, {n}])
    first_, *_r = sly ~ out.append(first_)
    out.append(len(sly))
    out.append(-sly)
    out.append(sly.turn)
    out.append(sly.v + {n})
    out.append(slies[{n} % 4].turn)
    out.append(sorted(slies)[0].v)
    out.append(min(slies).v + {n})
    out.append(max(slies, key=lambda q: q.v).v)
    out.append(Sly.tally({n}))
    out.append(Sly.fixed({n}))
    out.append(sly.tally({n}))
    out.append(len_log() + {n})
    out.append(len_out() + {n})
    out.append(lens['log']() + {n})
    out.append(lens['out']() * 2)
    out.append(since({n}))
    out.append(of_d({n}, 0) is None)
    out.append(behind().n + {n})
    first.n += {n} ~ out.append(behind().n)
    first.n = {n} ~ out.append(sum(q.n for q in stars))
    first.n = {n} ~ out.append(stars[0].n + {n})
    first.n = {n} ~ match stars[0]: ~     case Star(n=mm): out.append(mm)
    first.n = {n} ~ out.append(inside['n'] + 1)
    inside['n'] = {n} ~ out.append(first.n * 2)
    Shared.notes = [{n}] ~ out.append(shared.add(1))
    out.append(meter.step({n}))
    out.append(meter.size() + {n})
    out.append(sizes['m']() + {n})
    out.append(loud.step({n}))
    other.append({n}) ~ out.append(sizes['m']() + 1)
    out.append(Meter([]).step({n}))
    out.append(Plain({n}))
    p4 = Plain({n}) ~ p4.memo.append({n}) ~ out.append(p4)
    p4 = Twice() ~ p4.append({n}) ~ out.append(p4)
    out.append([Plain({n}), {n}])
    match sly: ~     case Sly(turn=3): out.append('three') ~     case _: out.append({n})
    out.append(holder.field)
    out.append(holder.free + {n})
    out.append(Metered({n}).v)
    out.append(secret({n}))
    out.append(clear({n}))
    out.append(sorted([1, {n}, 2], key=order_of))
    out.append(max([1, {n}], key=order_of))
    out.append(list(map(bump, [{n}, 2])))
    out.append(list(filter(order_of, [{n}, 2])))
    out.append(functools.reduce(lambda q, r: q + bump(r), [{n}, 1]))
    out.append(depth1({n}))
    out.append(calm1({n}))
    out.append([bump(q) for q in ({n}, 1)])
    out.append({{q: rise(q) for q in (1, {n})}})
    out.append(any(bump(q) > 3 for q in ({n}, 1)))
    baked({n})
    out.append(baked({n}))
    appender(grid[{n} % 8])
    appender({l})
    getter(first).append({n})
    out.append(len(getter(first)))
    out.append(next(fed) + {n})
    out.append(fed.send({n}))
    out.append(next(cycle))
    out.append(next(ids))
    out.append(list(zip(ids, [{n}, 2])))
    var.set({n}) ~ out.append(var.get())
    out.append(var.get() + {n})
    ring.rotate({n})
    out.append(ring[0])
    ring.rotate() ~ out.append(ring[0])
    operator.setitem(grid[{n} % 8], 0, {n})
    operator.iadd(grid[{n} % 8], [{n}])
    out.append(operator.add({n}, 1))
    list.append(grid[{n} % 8], {n})
    list.append({l}, {n})
    dict.update(cfg, z={n})
    getattr(grid[{n} % 8], 'append')({n})
    getattr(out, 'append')({n})
    type(grid[0]).append(grid[{n} % 8], {n})
    grid[{n} % 8].__setitem__(0, {n})
    grid[{n} % 8].__iadd__([{n}])
    setattr(Star, 'made', {n}) ~ out.append(Star.made)
    out.append(Star.made)
    first.__class__.made += 1
    frames[{n} % 6]['v'] = {n}
    frames[{n} % 6]['xs'].append({n})
    frames[{n} % 6].update(v={n}) ~ out.append(frames[0]['v'])
    out.append(frames[{n} % 6]['v'] + {n})
    byname['ab'].append({n})
    byname.setdefault({s}[:1], []).append({n})
    rr = byname.get('c') ~ rr.append({n})
    rr = list(byname.values()) ~ rr[0].append({n})
    rr = dict(byname) ~ rr['ab'] = [{n}] ~ out.append(rr)
    rr = {{**byname}} ~ rr['c'].append({n})
    out.append(fars[{n} % 5].find({n}))
    out.append(fars[{n} % 5].index({n}))
    out.append(fars[{n} % 5].half + {n})
    out.append(fars[{n} % 5].turn)
    out.append(fars[{n} % 5].double()) ~ out[-1].append({n})
    fars[{n} % 5].pick().append({n})
    rr = fars[{n} % 5] ~ rr.bound({n})
    rr = min(fars, key=lambda q: q.v) ~ rr.find({n})
    out.append(far.through({n}))
    out.append([far, 1][0].near.find({n}))
    out.append(far_find(fars, {n}))
    out.append(far_index(fars, {n}))
    out.append(far_index([Far({n}), far], {n}))
    rr = Far({n}) ~ rr.find({n}) ~ out.append(rr.pick())
    out.append(len(fars[{n} % 5]) + {n})
    out.append(len(looked[{n} % 4]) + {n})
    out.append(f'{{looked[1]}}{{{n}}}')
    out.append(fars[{n} % 5] == far)
    out.append(getattr(fars[{n} % 5], 'find')({n}))
    out.append(list(map(far.find, [{n}, 2])))
    out.append(stow(of_attic, {n}))
    out.append(stows(of_attic, {n}))
    out.append(stow_here(of_attic, {n}))
    out.append(stow_here(kept_of, {n}))
    out.append(stow(made, {n}))
    out.append(stows(made, {n}))
    out.append(stow(wrap, {n}))
    out.append(stow(lambda q: attic[q % 4], {n}))
    out.append(stow(lambda q: [q, {n}], {n}))
    out.append(stow(far.pick().__class__, [{n}]))
    out.append(stow(functools.partial(at, grid), {n}))
    out.append(stow_here(functools.partial(at, grid), {n}))
    out.append(stow(attic.__getitem__, {n} % 4))
    out.append(stow(givers['a'], {n}))
    out.append(stow(givers['m'], {n}))
    taken(of_attic, {n}).append({n})
    taken(made, {n}).append({n})
    out.append(taken(wrap, {n})) ~ out[-1].append({n})
    out.append(drawn(of_attic, {n}))
    out.append(drawn(kept_of, {n}))
    out.append(drawn(lambda q: cur, {n}))
    rr = [*grid] ~ rr[0].append({n})
    rr, _s = zip(*[(grid[0], 1), (grid[1], {n})]) ~ rr[0].append({n})
    rr = next(q for q in grid if q) ~ rr.append({n})
    rr = (lambda: grid[1])() ~ rr.append({n})
    rr = sorted(grid, key=len)[0] ~ rr[0] = {n}
    rr = functools.reduce(lambda q, r: r, grid) ~ rr.append({n})
    rr = operator.itemgetter(1)(grid) ~ rr.append({n})
    rr = copy.copy(frames[{n} % 6]) ~ rr['xs'].append({n})
    rr = copy.deepcopy(frames[{n} % 6]) ~ rr['xs'].append({n}) ~ out.append(rr)
    rr = {{**frames[{n} % 6]}} ~ rr['v'] = {n} ~ out.append(rr)
    rr = [grid[0]] * 2 ~ rr[1].append({n})
    rr = list(zip(grid, [{n}] * 8)) ~ rr[0][0].append(1)
    rr = Pt(cur, {n}) ~ rr.x.append({n})
    rr = Rec({n}, cur) ~ rr.add({n})
    rr = Rec({n}, list(cur)) ~ rr.add({n}) ~ out.append(rr)
    rr = vars(first) ~ rr['n'] = {n}
    rr = dict(vars(first)) ~ rr['n'] = {n} ~ out.append(rr)
    rr = iter(grid) ~ next(rr).append({n})
    rr = heapq.nlargest(1, grid)[0] ~ rr.append({n})
    rr = itertools.chain([cur], [{l}]) ~ list(rr)[0].append({n})
    rr = cur if {c} else {l} ~ rr.append({n}) ~ out.append(len(rr))
    try: ~     rr = grid[{n}] ~ except IndexError: ~     rr = [] ~ rr.append({n})
"""
"""Calls and operators that may or may not change what nobody sees them change."""

OWN = """
    slots[i] = {n} + slots[i]
    slots[i] = slow(slots[i], {n})
    slots[i] += {n}
    slots[i] += slow(slots[i])
    if {c}: slots[i] = {n} + slots[i]
    out.append(slots[i] + {n})
    out.append(slots[i]) ~ slots[i] = {n}
    slots[i] = {n} ~ out.append(slow(slots[i]))
    slots[i], total = total, slots[i] + {n}
    slots[i], slots[i] = slots[i] + 1, slots[i] + {n}
    {T} = slots[i] ~ slots[i] = {n} ~ out.append({T} + slots[i])
    try: ~     slots[i] = brittle(slots[i] + {n}) ~ except (KeyError, ZeroDivisionError): ~     out.append(slots[i])
    slots[i] = risky(slots[i] + {n})
    slots[i] = {n} ~ out.append(risky(slots[i]))
    if slots[i] > 3: slots[i] = {n} ~ else: out.append(slots[i])
    for {J} in range(2): out.append(slots[i] + {J})
    for {J} in range(2): slots[i] = slots[i] + {n}
    slots[i] = sum([slots[i] for q in range(2)])
    slots[i] = slots[i - 1] + {n}
    slots[{n} % 24] = slots[i]
    spare[i] = slots[i] + {n}
    log.append(spare[i - 1])
    log.append(len(slots)) ~ slots[i] = slots[i] + 1
    cols[:, i] = cols[:, i] * 2 + {n}
    cols[0, i] = slow(int(cols[0, i]))
    cols[:, i] = np.sort(cols[:, i])[::-1]
    rr = cols[:, i] ~ cols[:, i] = rr + {n} ~ out.append(float(rr.sum()))
    rr = cols[:, i].copy() ~ cols[:, i] = rr + {n} ~ out.append(float(rr.sum()))
    rr = np.asarray(cols[:, i]) ~ cols[:, i] = {n} ~ out.append(rr * 2)
    rr = lines[i].reshape(2, 1) ~ lines[i] = lines[i] * 2 ~ out.append(rr + 1)
    rr = same(lines[i]) ~ lines[i] = lines[i][::-1] * 2 ~ out.append(rr + 1)
    lines[i] = np.cumsum(lines[i]) + {n}
    lines[i][0] = {n}
    lines[i] *= 2
    out.append(lines[i]) ~ lines[i] = lines[i] + {n}
    out.append(lines[i].sum() + {n})
    lines[i] = x if isinstance(x := lines[i] * 2, np.ndarray) else {n}
    rows[i] = rows[i] + [{n}]
    rows[i] = sorted([*rows[i], {n}])
    rows[i].append({n})
    rr = rows[i] ~ rows[i] = [{n}] ~ rr.append({n}) ~ out.append(len(rr))
    rr = rows[i] ~ rows[i] = {l} ~ out.append(rr)
    rr = rows[i] ~ rows[i] = [{n}, rr]
    known[i] = [{n}, *known[i]]
    known[i] = {l} ~ out.append(len(known[i]))
    known[i] = known.get(i)
    known[i] = list(map(slow, known[i]))
    del known[i]
    known[i, 0] = {n}
    lines[i] = x * 2
    slots[i] = x
    out.append(x) ~ rows[i] = {l}
"""
"""Elements of the iteration's own, read and written."""

ONLY_IN = {
    "generator": ["yield {n}", "if {c}: yield {l}"],
    "function": ["if {n} % 6 == 5: return dict(out=out, total=total, n={n})"],
    "quiet": ["if {n} % 6 == 5: return dict(out=out, total=total, n={n})"],
}
"""Statements that have meaning in one place only."""
