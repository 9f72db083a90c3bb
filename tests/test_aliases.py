"""What a loop changes may be known by other names: work that comes by it so sees it changed, and what
work changes so is not lost."""

from __future__ import annotations

import pytest

from tests.same import assert_same, difference, placed, run

GETS_AS_LOG_GROWS = """\
out = []
for i in parallel(range(8)):
    log.append(i)
    out.append(get(1))
"""
GETS_AS_P_CHANGES = """\
out = []
for i in parallel(range(8)):
    p.n = i
    out.append(get(1))
"""
COUNTS_AS_LOG_GROWS = """\
out = []
for k in parallel(range(8)):
    log.append(1)
    out.append(cs[k].count() * 2)
"""
PROGRAMS = {
    "direct": """
class Star:
    def __init__(self, n): self.n = n
stars = [Star(j) for j in range(8)]
first = stars[0]
for i in parallel(range(8)):
    first.n = i + 18
    mm = max(stars, key=lambda q: q.n).n
""",
    "alias": """
class Star:
    def __init__(self, n): self.n = n
stars = [Star(j) for j in range(8)]
first = stars[0]
for i in parallel(range(8)):
    r = first
    r.n = i + 18
    mm = max(stars, key=lambda q: q.n).n
""",
    "alias match": """
class Star:
    def __init__(self, n): self.n = n
stars = [Star(j) for j in range(8)]
first = stars[0]
for i in parallel(range(8)):
    r = first
    r.n = 18
    match max(stars, key=lambda q: q.n):
        case Star(n=mm):
            pass
""",
    "direct match": """
class Star:
    def __init__(self, n): self.n = n
stars = [Star(j) for j in range(8)]
first = stars[0]
for i in parallel(range(8)):
    first.n = 18
    match max(stars, key=lambda q: q.n):
        case Star(n=mm):
            pass
""",
    "direct len match": """
class Star:
    def __init__(self, n): self.n = n
stars = [Star(j) for j in range(8)]
first = stars[0]
out = []
for i in parallel(range(8)):
    first.n = 18
    match stars[0]:
        case Star(n=mm):
            out.append(mm)
""",
    "match dict": """
d = {"a": {"b": 1}}
e = d["a"]
out = []
for i in parallel(range(8)):
    e["b"] = i
    match d:
        case {"a": {"b": mm}}:
            out.append(mm)
""",
    "match list": """
d = [[1, 2], 3]
e = d[0]
out = []
for i in parallel(range(8)):
    e[0] = i
    match d:
        case [[mm, _], _]:
            out.append(mm)
""",
    "match list nested name": """
d = [[1, 2], 3]
e = d[0]
out = []
for i in parallel(range(8)):
    e[0] = i
    match d:
        case [x, _]:
            out.append(x[0])
""",
    "via function": """
class Star:
    def __init__(self, n): self.n = n
stars = [Star(j) for j in range(8)]
first = stars[0]
def best(s): return max(q.n for q in s)
out = []
for i in parallel(range(8)):
    first.n = i + 18
    out.append(best(stars))
""",
    "via property": """
class Star:
    def __init__(self, n): self.n = n
    @property
    def twice(self): return self.n * 2
stars = {j: Star(j) for j in range(8)}
first = stars[0]
out = []
for i in parallel(range(8)):
    first.n += i
    out.append(sum(s.twice for s in stars.values()))
""",
    "via operator": """
class Star:
    def __init__(self, n): self.n = n
    def __lt__(self, o): return self.n < o.n
stars = [Star(8 - j) for j in range(8)]
first = stars[0]
out = []
for i in parallel(range(8)):
    first.n = i
    out.append(stars.index(min(stars)))
""",
    "via parent pointer": """
class Node:
    def __init__(self, v, parent=None): self.v, self.parent, self.total = v, parent, 0
root = Node(0)
kids = [Node(k, root) for k in range(8)]
out = []
for kid in parallel(kids):
    root.total += kid.v
    out.append(kid.parent.total + 1)
""",
    "via parent pointer function": """
class Node:
    def __init__(self, v, parent=None): self.v, self.parent, self.total = v, parent, 0
    def up(self): return self.parent.total + self.v
root = Node(0)
kids = [Node(k, root) for k in range(8)]
out = []
for kid in parallel(kids):
    root.total += 1
    out.append(kid.up())
""",
    "parent pointer unread": """
class Node:
    def __init__(self, v, parent=None): self.v, self.parent, self.total, self.scale = v, parent, 0, 2
    def up(self): return self.parent.scale + self.v
root = Node(0)
kids = [Node(k, root) for k in range(8)]
out = []
for kid in parallel(kids):
    root.total += 1
    out.append(kid.up())
""",
    "setattr": """
class Star:
    def __init__(self, n): self.n = n
stars = [Star(j) for j in range(8)]
first = stars[0]
out = []
for i in parallel(range(8)):
    setattr(first, "n", i + 18)
    out.append(stars[0].n + stars[1].n)
""",
    "attr of attr": """
class A: pass
a = A(); a.b = A(); a.b.n = 1
c = A(); c.b = a.b
out = []
for i in parallel(range(8)):
    a.b.n = i
    out.append(c.b.n * 2)
""",
    "attr rebinding list": """
class A: pass
a = A(); a.xs = [1]
c = [a]
out = []
for i in parallel(range(8)):
    a.xs = [i, i]
    out.append(len(c[0].xs) + sum(c[0].xs))
""",
    "copy of alias": """
import copy
class A: pass
a = A(); a.n = 1
c = [a]
out = []
for i in parallel(range(8)):
    a.n = i
    out.append(copy.copy(c[0]))
left = [o.n for o in out]
""",
    "vars of alias": """
class A: pass
a = A(); a.n = 1
c = [a]
out = []
for i in parallel(range(8)):
    a.n = i
    out.append(sum(vars(c[0]).values()))
""",
    "dict of alias obj": """
class A: pass
a = A(); a.n = 1
d = a.__dict__
out = []
for i in parallel(range(8)):
    a.n = i
    out.append(d["n"] * 2)
""",
    "dict of alias obj 2": """
class A: pass
a = A(); a.n = 1
d = vars(a)
out = []
for i in parallel(range(8)):
    d["n"] = i
    out.append(a.n * 2)
""",
    "repr of alias dataclass": """
from dataclasses import dataclass
@dataclass
class P:
    n: int
p = P(0)
ps = [p, P(3)]
out = []
for i in parallel(range(8)):
    p.n = i
    out.append(str(ps))
""",
    "eq of alias dataclass": """
from dataclasses import dataclass
@dataclass
class P:
    n: int
p = P(0)
ps = [p, P(3)]
out = []
for i in parallel(range(8)):
    p.n = i
    out.append(P(3) == ps[0])
""",
    "class attr via instance": """
class P:
    n = 0
    def get(self): return self.n
p = P()
out = []
for i in parallel(range(8)):
    P.n = i
    out.append(p.get() * 2)
""",
    "module attr": """
import math, sys
m = sys.modules["math"]
math.foo = 0
out = []
for i in parallel(range(8)):
    math.foo = i
    out.append(m.foo * 2)
del math.foo
""",
    "bound method holder": """
class P:
    def __init__(self): self.n = 0
    def get(self): return self.n * 2
p = P()
get = p.get
out = []
for i in parallel(range(8)):
    p.n = i
    out.append(get())
""",
    "partial holder": """
import functools
class P:
    def __init__(self): self.n = 0
def val(p, k): return p.n + k
p = P()
get = functools.partial(val, p)
"""
    + GETS_AS_P_CHANGES,
    "closure holder": """
class P:
    def __init__(self): self.n = 0
p = P()
def mk(q):
    return lambda k: q.n + k
get = mk(p)
"""
    + GETS_AS_P_CHANGES,
    "default holder": """
class P:
    def __init__(self): self.n = 0
p = P()
def get(k, q=p): return q.n + k
"""
    + GETS_AS_P_CHANGES,
    "dispatch table holder": """
class P:
    def __init__(self): self.n = 0
    def a(self, k): return self.n + k
p = P()
table = {"a": p.a}
out = []
for i in parallel(range(8)):
    p.n = i
    out.append(table["a"](1))
""",
    "list in closure default": """
log = []
def get(k, q=log): return len(q) + k
"""
    + GETS_AS_LOG_GROWS,
    "list in partial": """
import functools
log = []
def val(q, k): return len(q) + k
get = functools.partial(val, log)
"""
    + GETS_AS_LOG_GROWS,
    "list in closure": """
log = []
def mk(q): return lambda k: len(q) + k
get = mk(log)
"""
    + GETS_AS_LOG_GROWS,
    "list in method table": """
class P:
    def __init__(self, log): self.log = log
    def a(self, k): return len(self.log) + k
log = []
table = {"a": P(log).a}
out = []
for i in parallel(range(8)):
    log.append(i)
    out.append(table["a"](1))
""",
    "class attr shared list": """
log = []
class C:
    seen = log
    def count(self): return len(self.seen)
cs = [C() for _ in range(8)]
out = []
for c in parallel(cs):
    log.append(1)
    out.append(c.count() * 2)
""",
    "class attr shared list via dict": """
log = []
class C:
    seen = log
    def count(self): return len(self.seen)
cs = {k: C() for k in range(8)}
"""
    + COUNTS_AS_LOG_GROWS,
    "method default": """
log = []
class C:
    def count(self, q=log): return len(q)
cs = {k: C() for k in range(8)}
"""
    + COUNTS_AS_LOG_GROWS,
    "method closure": """
log = []
def mk(q):
    class C:
        def count(self): return len(q)
    return C
C = mk(log)
cs = {k: C() for k in range(8)}
"""
    + COUNTS_AS_LOG_GROWS,
    "closure table": """
log = []
def mk(q): return lambda k: len(q) + k
table = [mk(log)] * 3
out = []
for i in parallel(range(8)):
    log.append(i)
    out.append(table[i % 3](1))
""",
    "closure attr": """
log = []
def mk(q): return lambda k: len(q) + k
class H: pass
h = H(); h.f = mk(log)
out = []
for i in parallel(range(8)):
    log.append(i)
    out.append(h.f(1))
""",
    "nested closure": """
log = []
def mk(q):
    def inner(): return len(q)
    return lambda k: inner() + k
get = mk(log)
"""
    + GETS_AS_LOG_GROWS,
    "decorated": """
import functools
log = []
def noting(fn, q=log):
    @functools.wraps(fn)
    def w(*a): return fn(*a) + len(q)
    return w
@noting
def get(k): return k
"""
    + GETS_AS_LOG_GROWS,
    "map with closure": """
log = []
def mk(q): return lambda k: len(q) + k
get = mk(log)
out = []
for i in parallel(range(8)):
    log.append(i)
    out.append(list(map(get, [1, 2])))
""",
    "key function closure": """
ranks = {"a": 1, "b": 2}
def mk(q): return lambda k: q.get(k, 0)
by = mk(ranks)
out = []
for i in parallel(range(8)):
    ranks["a"] = i
    out.append(sorted("ab", key=by))
""",
    "global via other module func": """
class Config:
    level = 1
def scale(x): return x * Config.level
out = []
for i in parallel(range(8)):
    Config.level = i
    out.append(scale(2))
""",
    "class alias": """
class Config:
    level = 1
K = Config
out = []
for i in parallel(range(8)):
    Config.level = i
    out.append(K.level * 2)
""",
    "subclass attr": """
class Config:
    level = 1
class Sub(Config): pass
out = []
for i in parallel(range(8)):
    Config.level = i
    out.append(Sub.level * 2)
""",
    "subclass instance attr": """
class Config:
    level = 1
class Sub(Config):
    def get(self): return self.level
s = [Sub()]
out = []
for i in parallel(range(8)):
    Config.level = i
    out.append(s[0].get() * 2)
""",
    "type(self) attr": """
class Config:
    level = 1
    def get(self): return type(self).level
s = {0: Config()}
out = []
for i in parallel(range(8)):
    Config.level = i
    out.append(s[0].get() * 2)
""",
    "iterator reading changed": """
log = [1, 2]
class It:
    def __init__(self, q): self.q = q
    def __iter__(self): return iter(list(self.q))
it = It(log)
out = []
for i in parallel(range(8)):
    log.append(i)
    out.append(sum(it))
""",
    "memoryview alias": """
b = bytearray(8)
m = memoryview(b)
out = []
for i in parallel(range(8)):
    b[0] = i
    out.append(m[0] * 2)
""",
    "numpy alias closure": """
import numpy as np
a = np.zeros(8)
v = a[2:]
def mk(q): return lambda: float(q.sum())
get = mk(v)
out = []
for i in parallel(range(8)):
    a[i] = 1
    out.append(get())
""",
    "bound builtin method": """
log = []
cnt = log.__len__
out = []
for i in parallel(range(8)):
    log.append(i)
    out.append(cnt() * 2)
""",
    "dict get bound": """
d = {"a": 0}
get = d.get
out = []
for i in parallel(range(8)):
    d["a"] = i
    out.append(get("a") * 2)
""",
    "map object over fixed": """
d = {"a": 0}
keys = d.keys()
out = []
for i in parallel(range(8)):
    d[i] = i
    out.append(len(keys) * 2)
""",
    "chainmap": """
from collections import ChainMap
d = {"a": 0}
c = ChainMap(d, {})
out = []
for i in parallel(range(8)):
    d["a"] = i
    out.append(c["a"] * 2)
""",
    "proxy": """
import types
d = {"a": 0}
c = types.MappingProxyType(d)
out = []
for i in parallel(range(8)):
    d["a"] = i
    out.append(c["a"] * 2)
""",
    "weakref call": """
import weakref
class A: pass
a = A(); a.n = 0
p = weakref.ref(a)
out = []
for i in parallel(range(8)):
    a.n = i
    out.append(p().n * 2)
""",
    "contextvar": """
import contextvars
c = contextvars.ContextVar("c")
d = {"a": 0}
c.set(d)
out = []
for i in parallel(range(8)):
    d["a"] = i
    out.append(c.get()["a"] * 2)
""",
    "lru of fixed": """
import functools
d = {"a": 0}
@functools.lru_cache
def get(): return d
get()
out = []
for i in parallel(range(8)):
    d["a"] = i
    out.append(get()["a"] * 2)
""",
    "singleton accessor": """
class S:
    inst = None
    def __init__(self): self.n = 0
    @classmethod
    def get(cls): return cls.inst
S.inst = S()
s = S.inst
out = []
for i in parallel(range(8)):
    s.n = i
    out.append(S.get().n * 2)
""",
    "singleton module accessor": """
class S:
    def __init__(self): self.n = 0
_inst = S()
def inst(): return _inst
s = inst()
out = []
for i in parallel(range(8)):
    s.n = i
    out.append(inst().n * 2)
""",
    "item: partner": """
class S:
    def __init__(self, n): self.n = n
    def step(self): self.n += self.p.n
ss = [S(k) for k in range(6)]
for a, b in zip(ss, ss[1:] + ss[:1]): a.p = b
for s in parallel(ss):
    s.step()
""",
    "item: partner in closure": """
class S:
    def __init__(self, n): self.n = n
    def step(self): self.n += self.f()
def mk(o): return lambda: o.n
ss = [S(k) for k in range(6)]
for a, b in zip(ss, ss[1:] + ss[:1]): a.f = mk(b)
for s in parallel(ss):
    s.step()
""",
    "item: partner in weakref": """
import weakref
class S:
    def __init__(self, n): self.n = n
    def step(self): self.n += self.f().n
ss = [S(k) for k in range(6)]
for a, b in zip(ss, ss[1:] + ss[:1]): a.f = weakref.ref(b)
for s in parallel(ss):
    s.step()
""",
    "item: registry in class": """
class S:
    all = []
    def __init__(self, n): self.n = n; S.all.append(self)
    def step(self): self.n += S.all[0].n
ss = [S(k + 1) for k in range(6)]
for s in parallel(ss):
    s.step()
""",
    "item: registry weak": """
import weakref
class S:
    all = weakref.WeakValueDictionary()
    def __init__(self, n): self.n = n; S.all[n] = self
    def step(self): self.n += S.all[1].n
ss = [S(k + 1) for k in range(6)]
for s in parallel(ss):
    s.step()
""",
    "item: registry in default": """
class S:
    def __init__(self, n): self.n = n
ss = [S(k + 1) for k in range(6)]
def first(q=ss): return q[0].n
for s in parallel(ss):
    s.n += first()
""",
    "item: registry in closure of function": """
class S:
    def __init__(self, n): self.n = n
ss = [S(k + 1) for k in range(6)]
def mk(q): return lambda: q[0].n
first = mk(ss)
for s in parallel(ss):
    s.n += first()
""",
    "item: bound method of another item": """
class S:
    def __init__(self, n): self.n = n
    def get(self): return self.n
ss = [S(k + 1) for k in range(6)]
g = ss[0].get
for s in parallel(ss):
    s.n += g()
""",
    "item: rows views of each other": """
import numpy as np
base = np.arange(12.0)
rows = [base[k:k + 3] for k in range(6)]
for r in parallel(rows):
    r += 1
""",
    "item: rows overlapping strided": """
import numpy as np
base = np.arange(12.0)
rows = [base[k::3] for k in range(3)] + [base[:2]]
for r in parallel(rows):
    r *= 2
""",
    "item: dict items share list": """
shared = [0]
ds = [{"a": shared, "b": [k]} for k in range(5)]
for d in parallel(ds):
    d["b"].append(len(d["a"]))
    d["a"].append(1)
""",
    "item: dict items share unread": """
shared = [0]
ds = [{"a": shared, "b": [k]} for k in range(5)]
for d in parallel(ds):
    d["b"].append(len(d["a"]))
""",
    "item: same item twice": """
l = [1]
ls = [l, [2], l]
for x in parallel(ls):
    x.append(len(x))
""",
    "item: enumerate items and look back": """
ls = [[k] for k in range(6)]
for k, x in parallel(enumerate(ls)):
    x.append(ls[k - 1][-1] if k else 0)
""",
    "item: parent holds items": """
class P: pass
class C:
    def __init__(self, p, v): self.p, self.v = p, v
    def go(self): self.v = sum(c.v for c in self.p.cs)
p = P(); p.cs = [C(p, k) for k in range(5)]
for c in parallel(p.cs):
    c.go()
""",
    "item: property item through parent dict": """
class C:
    table = {}
    def __init__(self, k): self.k = k; self.v = 1; C.table[k] = self
    @property
    def left(self): return C.table.get(self.k - 1)
    def go(self):
        l = self.left
        self.v += l.v if l else 0
cs = [C(k) for k in range(6)]
for c in parallel(cs):
    c.go()
""",
    "item: operator between items": """
class V:
    def __init__(self, x): self.x = x
    def __iadd__(self, o): self.x += o.x; return self
vs = [V(k) for k in range(5)]
last = vs[-1]
for v in parallel(vs):
    v += last
""",
    "item: setattr on item by computed": """
class V:
    def __init__(self, x): self.x0 = x; self.x1 = 0
vs = [V(k) for k in range(5)]
for k, v in parallel(enumerate(vs)):
    setattr(v, "x%d" % (k % 2), vs[k - 1].x0)
""",
    "item: values of dict": """
d = {k: [k] for k in range(5)}
for v in parallel(d.values()):
    v.append(len(d[0]))
""",
    "item: nested items": """
grid = [[[i, j] for j in range(3)] for i in range(4)]
cell = grid[1][1]
for row in parallel(grid):
    for c in row:
        c.append(cell[0] + len(cell))
""",
    "item: dataframe items": """
import pandas as pd
dfs = [pd.DataFrame({"a": [k, k]}) for k in range(4)]
ref = dfs[0]
for df in parallel(dfs):
    df["b"] = df["a"] + ref["a"].sum()
    df.loc[0, "a"] = 9
""",
    "item: items with default dict factory shared": """
from collections import defaultdict
log = []
def fac():
    log.append(1)
    return len(log)
ds = [defaultdict(fac) for _ in range(4)]
for d in parallel(ds):
    d["x"]
left = log
""",
    "what a function gives of a list with another name": """
data = [[0] for _ in range(12)]
view = data
def get(x): return view[x]
groups, out = {0: [], 1: [], 2: []}, []
for x in parallel(range(12)):
    g = get(x)
    out.append(sum(r[0] for r in data))
    groups[x % 3].append(g)
    groups[x % 3][0][0] += 1
""",
    "item: observers": """
class Subj:
    def __init__(self): self.obs = []; self.v = 0
    def set(self, v):
        self.v = v
        for o in self.obs: o(self)
seen = []
ss = [Subj() for _ in range(4)]
for s in ss: s.obs.append(lambda q: seen.append(q.v))
for k, s in parallel(enumerate(ss)):
    s.set(k)
left = seen
""",
    "item: deque rotate shared": """
from collections import deque
q = deque(range(5))
out = []
for i in parallel(range(5)):
    q.rotate(1)
    out.append(q[0])
""",
    "item: another item by a name": """
class S:
    def __init__(self, n): self.n = n
ss = [S(k + 1) for k in range(6)]
first = ss[0]
for s in parallel(ss):
    s.n += first.n
""",
    "item: what no iteration changes of another item": """
class S:
    def __init__(self, n): self.n = n; self.m = n
ss = [S(k + 1) for k in range(6)]
first = ss[0]
for s in parallel(ss):
    s.n += first.m
""",
    "changed: closure append": """
log = []
def mk(q):
    def f(k):
        q.append(k)
        return k
    return f
put = mk(log)
out = []
for i in parallel(range(8)):
    out.append(put(i))
""",
    "changed: default append": """
log = []
def put(k, q=log):
    q.append(k)
    return k
out = []
for i in parallel(range(8)):
    out.append(put(i))
""",
    "changed: table of closures append": """
log = []
def mk(q):
    def f(k):
        q.append(k)
        return k
    return f
table = {"a": mk(log)}
out = []
for i in parallel(range(8)):
    out.append(table["a"](i))
""",
    "changed: weakref change": """
import weakref
class A: pass
a = A(); a.n = 0
r = weakref.ref(a)
def put(k):
    r().n += k
    return k
out = []
for i in parallel(range(8)):
    out.append(put(i))
left = a.n
""",
    "changed: class attr change via instance": """
log = []
class C:
    seen = log
    def put(self, k):
        self.seen.append(k)
        return k
cs = [C()]
out = []
for i in parallel(range(8)):
    out.append(cs[0].put(i))
""",
    "changed: lambda list in object": """
class H: pass
h = H(); h.log = []
h.f = lambda k: h.log.append(k) or k
out = []
for i in parallel(range(8)):
    out.append(h.f(i))
left = h.log
""",
    "changed: partialmethod": """
import functools
class C:
    def __init__(self): self.n = 0
    def put(self, a, k):
        self.n += k
        return a + k
    put1 = functools.partialmethod(put, 1)
c = C()
out = []
for i in parallel(range(8)):
    out.append(c.put1(i))
left = c.n
""",
    "changed before it is read": """
import operator
grid, out = [[j, j + 1] for j in range(8)], []
push = operator.methodcaller("append", 7)
for x in parallel(b"abc"):
    for h in range(3):
        push(grid[h])
    out.append(list(grid[2]))
""",
    "changed: methodcaller": """
import operator
class C:
    def __init__(self): self.n = 0
    def put(self, k): self.n += k; return k
c = C()
f = operator.methodcaller("put", 3)
out = []
for i in parallel(range(4)):
    out.append(f(c) + i)
left = c.n
""",
    "changed: property setter in func": """
class C:
    log = []
    @property
    def v(self): return len(C.log)
    @v.setter
    def v(self, x): C.log.append(x)
def f(i):
    c = C()
    c.v = i
    return c.v
out = []
for i in parallel(range(4)):
    out.append(f(i))
left = C.log
""",
    "the map that a ChainMap writes to": """
from collections import ChainMap
base = {"a": 1}; top = {}
cm = ChainMap(top, base)
out = []
for k in parallel("abcab"):
    v = cm.get(k, 0) + 1
    cm[k] = v
    out.append((v, k in top))
""",
    "what a UserDict keeps its items in": """
from collections import UserDict
u = UserDict(a=1)
d = u.data
out = []
for k in parallel("abcab"):
    u[k] = u.get(k, 0) + 1
    out.append((k, len(d)))
""",
    "what a UserList keeps its items in": """
from collections import UserList
u = UserList([1])
d = u.data
out = []
for k in parallel("abcab"):
    u.append(k)
    out.append((k, len(d)))
""",
    "a record that looks at an array": """
import numpy as np
a = np.zeros(4, dtype=[("v", "i8"), ("w", "f8")])
rec = a[2]
out = []
for i in parallel(range(6)):
    rec["v"] = i
    out.append(int(a["v"].sum()) + i)
""",
    "an array that a record looks at": """
import numpy as np
a = np.zeros(4, dtype=[("v", "i8"), ("w", "f8")])
rec = a[2]
out = []
for i in parallel(range(6)):
    a["v"] = i
    out.append(int(rec["v"]) + i)
""",
    "a list in an array of objects": """
import numpy as np
lst = [1]
o = np.empty(3, dtype=object)
o[0] = lst; o[1] = [5]; o[2] = []
out = []
for i in parallel(range(5)):
    lst.append(i)
    out.append(sum(len(x) for x in o) + i)
""",
    "an element of an array of objects": """
import numpy as np
lst = [1]
o = np.empty(3, dtype=object)
o[0] = lst; o[1] = [5]; o[2] = []
out = []
for i in parallel(range(5)):
    o[0].append(i)
    out.append(len(lst) * i)
""",
    "an attribute of an element of an array of objects": """
import numpy as np
class P: pass
p = P(); p.n = 0
o = np.array([p, P()], dtype=object); o[1].n = 3
out = []
for i in parallel(range(5)):
    p.n += i
    out.append(sum(x.n for x in o) * i)
""",
    "a list in a series of pandas": """
import pandas as pd
lst = [1]
s = pd.Series([lst, [2], []])
out = []
for i in parallel(range(5)):
    lst.append(i)
    out.append(sum(len(x) for x in s) * i)
""",
    "records of an array as items": """
import numpy as np
a = np.zeros(6, dtype=[("v", "i8"), ("w", "f8")])
a["v"] = range(6)
rows = list(a)
out = []
for rec in parallel(rows):
    a["v"] += 1
    out.append(int(rec["v"]) * 2)
""",
    "a dict of weak references": """
import weakref
class P:
    def __init__(self, n): self.n = n
p = P(1)
w = weakref.WeakValueDictionary({1: p})
out = []
for i in parallel(range(5)):
    p.n += i
    out.append(w[1].n * i)
""",
    "a weak reference to a method": """
import weakref
class P:
    def __init__(self, n): self.n = n
    def get(self): return self.n
p = P(1)
m = weakref.WeakMethod(p.get)
out = []
for i in parallel(range(5)):
    p.n += i
    out.append(m()() * i)
""",
    "the attributes of a class in a view": """
class K: n = 1
m = vars(K)
out = []
for i in parallel(range(5)):
    K.n += i
    out.append(m["n"] * i)
""",
    "the dict of an object's attributes in a list": """
class K: pass
c = K()
c.n = 1
held = [vars(c)]
out = []
for i in parallel(range(5)):
    c.n += i
    out.append(held[0]["n"] * i)
""",
    "a record in a result, of an array that work reads": """
import numpy as np
a = np.zeros(4, dtype=[("v", "i8"), ("w", "f8")]); a["v"] = range(4)
def pick(a, i):
    r = a[i]
    return r, int(r["v"]) ** 2
out = []
for i in parallel(range(4)):
    out.append(pick(a, i))
a["v"] = 9
left = [int(r["v"]) for r, _ in out]
""",
    "records in a result, of one array": """
import numpy as np
def make(i):
    a = np.zeros(3, dtype=[("v", "i8"), ("w", "f8")])
    return a[1], a[1], a[0]
out = []
for i in parallel(range(4)):
    out.append(make(i))
for r, *_ in out: r["v"] = 9
left = [int(r["v"]) for _, r, _ in out]
""",
}
IN_WORKERS = {
    "parent pointer unread",
    "item: dict items share unread",
    "item: what no iteration changes of another item",
    "item: nested items",
}
"""Of these some must be done by workers: what they change is not read by work."""


@pytest.mark.parametrize("place", ["module", "closure"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_as_the_plain_loop(name: str, place: str) -> None:
    text = placed(PROGRAMS[name], place)
    plain, ours = run(text, True), run(text, False)
    assert plain.error is None
    assert difference(plain, ours) is None
    assert ours.in_workers or name not in IN_WORKERS


WAYS_TO_THE_MODULE = {
    "its variables under a name": "seen = globals()\ndef look(): return seen['n']",
    "its variables, by vars": "seen = vars(sys.modules[__name__])\ndef look(): return seen['n']",
    "a name for it": "seen = sys.modules[__name__]\ndef look(): return seen.n",
    "by getattr": "seen = sys.modules[__name__]\ndef look(): return getattr(seen, 'n')",
    "its dict": "seen = sys.modules[__name__]\ndef look(): return seen.__dict__['n']",
    "in a list": "seen = [sys.modules[__name__]]\ndef look(): return seen[0].n",
    "in an object": "class C: pass\nseen = C(); seen.m = [sys.modules[__name__]]\ndef look(): return seen.m[0].n",
    "among all modules": "seen = 0\ndef look(): return sys.modules[__name__].n",
    "imported by name": "seen = 0\ndef look(): return importlib.import_module(__name__).n",
    "handed on": "seen = sys.modules[__name__]\ndef of(m): return m.n\ndef look(): return of(seen)",
    "a default": "seen = 0\ndef look(m=sys.modules[__name__]): return m.n",
    "in a closure": "seen = 0\ndef of(m): return lambda: m.n\nlook = of(sys.modules[__name__])",
    "a frame's": "seen = 0\ndef look(): return sys._getframe(1).f_globals['n']",
    "a function's": "seen = 0\ndef look(): return look.__globals__['n']",
}


@pytest.mark.parametrize("way", WAYS_TO_THE_MODULE)
@pytest.mark.parametrize("what", ["out.append(look() + x); n += 1", "n += look() + x"])
def test_the_loops_own_variables_by_way_of_their_module(way: str, what: str) -> None:
    assert_same(
        f"""\
import importlib, sys
{WAYS_TO_THE_MODULE[way]}
n, out = 0, []
for x in parallel(range(9)):
    {what}
del seen, look
""",
        "serial",
        places=("module",),
    )


@pytest.mark.parametrize("holder", ["[cfg]", "{'a': cfg}", "type('C', (), {'m': cfg})()", "cfg"])
def test_variables_of_another_module_that_the_loop_binds(holder: str) -> None:
    look = {"[": "kept[0].n", "{": "kept['a'].n", "t": "kept.m.n", "c": "kept.n"}[holder[0]]
    assert_same(
        f"""\
import types
cfg = types.ModuleType("cfg"); cfg.n = 0
kept = {holder}
def look(): return {look}
out = []
for x in parallel(range(9)):
    out.append(look() + x)
    cfg.n += 1
cfg, kept = cfg.n, 0
""",
        "serial",
    )


def test_modules_are_used_beside_variables_that_the_loop_binds() -> None:
    assert_same(
        """\
import importlib, sys
me, kinds = sys.modules[__name__], [sys, importlib]
def f(x): return importlib.import_module("math").sqrt(x) + len(kinds[0].path)
n, out = 0, []
for x in parallel(range(9)):
    out.append(me.f(x))
    n += 1
del me, kinds
""",
        "parallel",
        places=("module",),
    )


@pytest.mark.parametrize("name", ["__name__", "__doc__", "__spec__"])
def test_names_that_every_module_has_are_no_builtins(name: str) -> None:
    source = f"out = []\nfor x in parallel(range(9)):\n    out.append(({name}, x))\n"
    assert_same(source + "del out[:]\n" * (name == "__spec__"), "parallel")
