"""Programs in which something changes where it is hard to see: the outcome is the plain loop's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.same import assert_same, forced, run

PROGRAMS = {
    "a function that is kept, of a module's variables": """
y, kept, total = 1, [], 0
for i in parallel([1, 2, 3, 4]):
    y = i * 2
    total += i
    if total == 3:
        def late(q): return y + q
        kept.append(late)
left = [f(1) for f in kept]
""",
    "a function that is kept, of the target": """
kept, total = [], 0
for i in parallel([1, 2, 3, 4]):
    total += i
    if total == 3:
        def late(q): return i + q
        kept.append(late)
left = [f(1) for f in kept]
""",
    "generators that are kept": """
y, kept, more = 0, [], []
for i in parallel([1, 2, 3, 4]):
    y = i * 2
    kept.append(y * k for k in range(3))
for i in parallel([1, 2, 3, 4]):
    more.append(i * k for k in range(3))
left = [list(g) for g in (*kept, *more)]
del kept, more
""",
    "what is raised in a handler of an iteration that leaves nothing": """
def brittle(v): return 12 // (v % 6)
out, error = [], None
try:
    for i in parallel(range(4), chunk=3):
        try:
            v = brittle(i)
        except ZeroDivisionError:
            try:
                p = [missing]
                out.append(p)
            except KeyError:
                pass
except NameError as e:
    error = e
""",
    "what a commit has put away before it raised": """
kept, error = [None] * 4, None
try:
    for i, *more in parallel([(0, 1, 2), (3,), (5, 6)]):
        if kept[3] is None:
            kept[i % 4] = more
            missing.append(i)
        v = str(i)
except NameError as e:
    error = e
""",
    "what a commit has put away of a temporary before it raised": """
kept, error = [None] * 4, None
try:
    for i in parallel(range(3)):
        t = [[i], {i: i}]
        if kept[3] is None:
            kept[i] = t[0]
            missing.append(t)
except NameError as e:
    error = e
""",
    "what is raised in a handler within a handler": """
def brittle(v): return 12 // (v % 6)
out, error = [], None
try:
    for i in parallel(range(4), chunk=3):
        try:
            v = brittle(i)
        except ZeroDivisionError:
            try:
                p = [[i][0]]
                out.append(p)
                p.append(5)
                v = brittle(6)
            except ZeroDivisionError:
                out[i] = missing
except NameError as e:
    error = e
""",
    "files that are made once": """
out = []
for k in parallel([1, 2, 3, 2]):
    try:
        with open(f"f{k}", "x") as f:
            f.write(str(k))
    except FileExistsError:
        out.append(k)
left = f.closed
""",
    "a function that Python calls for what cannot be raised": """
import sys
seen = []
old = sys.unraisablehook
sys.unraisablehook = lambda u: seen.append(str(u.exc_value))
class B:
    def __init__(self, k): self.k = k
    def __del__(self): raise ValueError(self.k)
def f(k):
    B(k)
    return k
out = []
for k in parallel(range(4)):
    out.append(f(k))
sys.unraisablehook = old
del old
""",
    "a function that NumPy calls for errors": """
import numpy as np
log = []
old = np.seterrcall(lambda t, f: log.append(t))
olde = np.seterr(all="call")
out = []
for i in parallel(range(5)):
    out.append(np.float64(1) / np.float64(i % 2))
np.seterr(**olde); z = np.seterrcall(old)
del old, z, olde
""",
    "an index that a frame shares with what is worked out from it": """
import pandas as pd
df = pd.DataFrame({"a": [3, 1, 2], "b": [1, 2, 3]})
def f(c):
    r = df * c
    r.columns.name = "c%d" % c
    return r.sum().sum() + len(df.columns.name or "")
res = []
for c in parallel(range(9)):
    res.append(f(c))
left = df.columns.name
""",
    "flags of decimal that are read as the loop goes": """
import decimal
decimal.getcontext().clear_flags()
out = []
for k in parallel([1, 2, 4, 3, 5, 8]):
    out.append((decimal.Decimal(1) / k, decimal.getcontext().flags[decimal.Inexact]))
decimal.getcontext().clear_flags()
""",
    "a context of decimal that keeps what was raised": """
import decimal
class Money:
    def __init__(self): self.c = decimal.Context(prec=4)
    def div(self, a, b): return self.c.divide(a, b)
m = Money()
out = []
for k in parallel([1, 2, 4, 3, 5, 8]):
    out.append(m.div(1, k))
left = m.c.flags[decimal.Inexact], m.c.flags[decimal.Rounded]
""",
    "generators of random numbers that keep more": """
import random
class R(random.Random): pass
out = []
for k in parallel(range(3)):
    r = R(k); r.tag = k
    out.append(r)
left = [getattr(o, "tag", None) for o in out]
""",
    "an array that is changed as its items are counted": """
import numpy as np
a = np.arange(8.0)
out = []
for i, x in parallel(np.ndenumerate(a)):
    out.append(float(x) * 2)
    a[-1] = float(x) + 100
""",
    "a handler whose count decides what is logged": """
import logging
class Count(logging.Handler):
    n = 0
    def emit(self, r): Count.n += 1
lg = logging.getLogger("ba.q3"); lg.handlers.clear(); lg.propagate = False; lg.setLevel(10)
lg.addHandler(Count())
def f(k):
    if Count.n < 3: lg.info("k%d", k)
    return k * k
out = []
for k in parallel(range(7)):
    out.append(f(k))
left = Count.n
lg.handlers.clear(); del lg
""",
    "what was printed, read as the loop goes": """
import io, sys
old = sys.stdout
sys.stdout = b = io.StringIO()
out = []
def f(k): print("k", k); return k
for k in parallel(range(5)):
    y = f(k)
    out.append((y, len(b.getvalue())))
sys.stdout = old
del old
""",
    "records that are counted as the loop goes": """
import logging, logging.handlers
class H(logging.Handler):
    def __init__(self): super().__init__(); self.got = []
    def emit(self, r): self.got.append(r.getMessage())
lg = logging.getLogger("ba.n10"); lg.handlers.clear(); lg.propagate = False; lg.setLevel(10)
h = H(); m = logging.handlers.MemoryHandler(4, target=h); lg.addHandler(m)
out = []
for k in parallel(range(9)):
    lg.info("hello %d", k)
    out.append(len(h.got))
left = list(h.got)
lg.handlers.clear(); m.target = None; m.close(); del lg, h, m
""",
    "warnings that are counted as the loop goes": """
import warnings
import numpy as np
flags = []
with warnings.catch_warnings(record=True) as w:
    warnings.simplefilter("always")
    for k in parallel(range(6)):
        n0 = len(w)
        y = np.float64(1) / np.float64(k % 2)
        flags.append(len(w) > n0)
del w
""",
    "the exception that is handled, looked at in order": """
import traceback
text = ""
for k in parallel(range(6)):
    try:
        y = 10 // (k - 3)
    except ZeroDivisionError:
        text = text + traceback.format_exc().splitlines()[-1]
        text += str(len(text) + len(traceback.format_exc(limit=0)))
""",
    "the size of a file that is cut": """
import os
open("s", "w").write("x" * 20)
out = []
for k in parallel(range(4)):
    os.truncate("s", 10 - k)
    out.append(os.path.getsize("s"))
""",
    "files that an earlier iteration may have written": """
import os, json
out = []
for k in parallel(range(5)):
    path = f"r{k % 3}.json"
    if os.path.exists(path):
        out.append(json.load(open(path)))
        continue
    y = k * k
    with open(path, "w") as f:
        json.dump(y, f)
    out.append(y)
""",
    "one file of a path that is joined in the body": """
from pathlib import Path
d = Path("."); (d / "z").touch()  # open(
out = []
for k in parallel(range(5)):
    (d / "best.txt").write_text(str(k))
    out.append((d / "best.txt").read_text())
""",
    "a state that is read from a file and written back": """
import json, os
json.dump({"n": 0}, open("s.json", "w"))
out = []
for k in parallel(range(5)):
    d = json.load(open("s.json"))
    d["n"] += k
    out.append(d["n"])
    with open("s.json", "w") as f:
        json.dump(d, f)
""",
    "the size of a file that was added to": """
import os
for n in range(5): open(f"{n}.log", "w").write("abc")
out = []
for k in parallel(range(5)):
    with open(f"{k}.log", "a") as f:
        f.write("x" * k)
    out.append(os.path.getsize(f"{k}.log"))
""",
    "a compressed file that is added to": """
import gzip
open("z", "w").close()
for k in parallel(range(5)):
    with gzip.open("o.gz", "at") as f:
        f.write(f"{k} ")
with gzip.open("o.gz", "rt") as f:
    left = f.read()
import os
os.remove("o.gz")
del f
""",
    "one file that a library writes again and again": """
import numpy as np
OUT = "o.npy"; open("z", "w").close()
for k in parallel(range(5)):
    np.save(OUT, np.arange(k))
""",
    "two record arrays of one memory": """
import numpy as np
a = np.rec.fromarrays([np.arange(5.0), np.zeros(5)], names="x,y")
r = a[::2]
out = []
for i in parallel(range(3)):
    y = a.x.sum() * 2
    r[i] = (i + 50, 2)
    out.append(y)
""",
    "a frame that is changed through what its iloc gave": """
import pandas as pd
df = pd.DataFrame({"a": [0.0, 1, 5], "b": [1.0, 2, 6]})
loc = df.iloc
res = []
for k in parallel(range(3)):
    loc[k, 1] = k * 1.5
    res.append(df.sum().sum())
""",
    "a bytearray that is changed through ctypes": """
import ctypes
b = bytearray(8)
c = (ctypes.c_ubyte * 8).from_buffer(b)
out = []
for i in parallel(range(8)):
    y = sum(b) * 2
    c[i] = i + 1
    out.append(y)
""",
    "an array that is changed through a memoryview": """
import numpy as np
a = np.arange(6.0)
mv = memoryview(a)
out = []
for i in parallel(range(6)):
    mv[i] = a[(i - 1) % 6] + 1
    out.append(float(a.sum()))
""",
    "an array that is changed through a masked one": """
import numpy as np
a = np.arange(8.0)
m = np.ma.array(a, mask=[0, 1] * 4, copy=False)
out = []
for i in parallel(range(8)):
    y = a.sum() * 2
    m[i] = i + 50
    out.append(y)
left = a.tolist()
""",
    "frames that were given an attribute": """
import pandas as pd
df = pd.DataFrame({"a": range(6)})
out = []
for n in parallel(range(4)):
    d = df * n
    d.foo = n
    out.append(d)
left = [getattr(o, "foo", None) for o in out]
""",
    "results of which a base class leaves attributes out of a pickle": """
import collections
class DD(collections.defaultdict): pass
out = []
for k in parallel(range(3)):
    d = DD(list); d.tag = k; d[k].append(1)
    out.append(d)
left = [getattr(o, "tag", None) for o in out]
""",
    "masked arrays as they were, without a fill value": """
import numpy as np
m = np.ma.masked_greater(np.arange(24.0).reshape(8, 3), 15)
out = []
for row in parallel(m):
    out.append((row.mean(), row.filled(0).sum(), row))
""",
    "arrays of a class that keeps more than the numbers": """
import numpy as np
class Q(np.ndarray):
    def __new__(cls, x, unit="m"):
        o = np.asarray(x).view(cls); o.unit = unit; return o
    def __array_finalize__(self, o):
        self.unit = getattr(o, "unit", None)
q = Q(np.arange(4.0), "kg")
out = []
for i in parallel(range(5)):
    r = q * i
    r.unit = "x%d" % i
    out.append(r)
left = [o.unit for o in out]
""",
    "a class of arrays that counts what is made of them": """
import numpy as np
class Q(np.ndarray):
    made = 0
    def __new__(cls, x, unit="m"):
        o = np.asarray(x).view(cls); o.unit = unit; return o
    def __array_finalize__(self, o):
        Q.made += 1
        self.unit = getattr(o, "unit", None)
q = Q(np.arange(4.0), "kg")
out = []
for i in parallel(range(5)):
    out.append((q * i).sum())
left = Q.made
""",
    "an enum that looks for a member itself": """
import enum
class S(str, enum.Enum):
    X = "x"; Y = "y"
    @classmethod
    def _missing_(cls, v):
        cls._log.append(v)
        return cls.X
S._log = []
out = []
for v in parallel(["x", "q", "y", "r"]):
    out.append(S(v))
left = S._log
""",
    "a signal that a called function sends": """
import signal
got = []
def caught(number, frame):
    got.append(number)
before = signal.signal(signal.SIGUSR1, caught)
def told(k):
    signal.raise_signal(signal.SIGUSR1)
    return k + len(got)
out = []
for k in parallel(range(5)):
    out.append(told(k))
signal.signal(signal.SIGUSR1, before)
del before
""",
    "what is said once an iteration is over": """
def told(k):
    print("told", k)
    return k
out = []
for k in parallel(range(5)):
    try:
        if k % 2:
            continue
        out.append(k)
    finally:
        last = told(k)
""",
    "what is written to a stream that is another one": """
import io, sys, contextlib
out = []
for k in parallel(range(5)):
    b = io.StringIO()
    with contextlib.redirect_stdout(b):
        sys.stdout.write("x" * k)
    out.append(b.getvalue())
""",
    "what is printed elsewhere until a stack ends": """
import io, sys, contextlib
out = []
for k in parallel(range(5)):
    b = io.StringIO()
    with contextlib.ExitStack() as st:
        st.enter_context(contextlib.redirect_stdout(b))
        print("x" * k)
    out.append(b.getvalue())
del st
""",
    "what is printed on the other stream": """
import sys
from contextlib import redirect_stdout
out = []
for k in parallel(range(5)):
    with redirect_stdout(sys.stderr):
        print("b", k)
    out.append(k)
    print("after", k)
""",
    "what is printed elsewhere, between commits": """
import io, contextlib
out = []
for k in parallel(range(5)):
    b = io.StringIO()
    with contextlib.redirect_stdout(b):
        print("x" * k)
        out.append(k)
        print("y", len(out))
    out.append(b.getvalue())
    print(len(out))
""",
    "results that leave out of a pickle what they keep": """
class Model:
    def __init__(self, k):
        self.k, self.memo = k, {}
    def __getstate__(self):
        return {"k": self.k, "memo": {}}
    def fit(self):
        self.memo[self.k] = self.k**2
        return self
models = []
for i in parallel(range(8)):
    models.append(Model(i).fit())
""",
    "results that say nothing of their pickles themselves": """
import dataclasses
@dataclasses.dataclass(slots=True, frozen=True)
class Point:
    x: int
    y: list
points = []
for i in parallel(range(8)):
    points.append(Point(i, [i * i]))
""",
    "sets of which a copy has another order": """
made = []
def some(k):
    found = {7}
    found.update((k * 8 + 7, k + 40, 15))
    found.discard(k + 40)
    return found
for k in parallel(range(1, 60)):
    made.append(some(k))
orders = [list(s) for s in made]
""",
    "a name that only exec has made": """
exec("def secret(v): return v + 1")
out = []
for i in parallel(range(8)):
    out.append(secret(i))
""",
    "raises again where that is decided in order": """
k = 3
out = []
def risky(v):
    if v % 5 == 3:
        raise ValueError(v)
    return v
for i in parallel(range(8)):
    try:
        out.append(risky(i))
    except ValueError:
        if len(out) > 2 or (lambda q=k: q * 2)():
            raise
""",
    "what it runs over grows under another name": """
grid = [[j, j + 1] for j in range(8)]
for i, (a, b) in parallel(enumerate(grid)):
    r = grid
    r += [3]
""",
    "what it runs over shrinks under another name": """
grid = [[j, j + 1] for j in range(8)]
done = []
for row in parallel(grid):
    done.append(sum(row))
    r = grid
    r *= len(done) < 3
""",
    "prints on the way to a value, and after": """
import numpy as np
def noisy(v):
    print("in", v)
    return v
res = np.zeros(8)
for i in parallel(range(8)):
    res[i % 8] += noisy(i)
    if 1 < noisy(2) < 7:
        pass
""",
    "what comes before a call that prints raises": """
def noisy(v):
    print("in", v)
    return v
a = [3, 1, 2] * 3
out = []
for i in parallel(range(5, 12)):
    out.append([noisy(i), a[i], noisy(i + 1)])
    a[i] = 3
""",
    "an element to be added to is missing": """
def noisy(v):
    print("in", v)
    return v
a = [3, 1, 2] * 3
for i in parallel(range(12)):
    if i % 2:
        a[i] += noisy(i)
        print("x")
""",
    "an object of a class made in a function, and what it holds": """
class Star:
    pass
for i in parallel(range(8)):
    p = [0, i]
    s = Star()
    s.seen = p
""",
    "dataclass": """
from dataclasses import dataclass, field
@dataclass
class R:
    n: int
    hist: list = field(default_factory=list)
    def add(self, v): self.hist.append(v); return self
rs=[R(i) for i in range(6)]
out=[]
for r in parallel(rs):
    q = R(r.n*2).add(r.n)
    out.append(q)
""",
    "cachedprop": """
class A:
    def __init__(s,n): s.n=n; s._c=None
    @property
    def big(s):
        if s._c is None: s._c=[s.n]*3
        return s._c
a=[A(i) for i in range(5)]
out=[]
for x in parallel(a):
    out.append(sum(x.big))
""",
    "counter": """
class C:
    count=0
    def __init__(s): C.count+=1
out=[]
for i in parallel(range(5)):
    c=C(); out.append(i*i)
""",
    "defaultdict": """
from collections import defaultdict, deque, Counter
dd=defaultdict(list); dq=deque(maxlen=3); cn=Counter()
for i in parallel(range(9)):
    k='abc'[i%3]
    dd[k].append(i*i); dq.append(i**3); cn[k]+=i*2
""",
    "heap": """
import heapq
h=[]
for i in parallel(range(9)):
    heapq.heappush(h,(i*7%5,i*i))
    if len(h)>4: heapq.heappop(h)
""",
    "nparr": """
import numpy as np
A=np.arange(12.).reshape(4,3); B=np.zeros((4,3)); s=np.zeros(3)
for i in parallel(range(4)):
    r=A[i]
    B[i]=r*2+i
    s+=r**2
    m=r
    m=m-1
""",
    "npout": """
import numpy as np
A=np.arange(12.).reshape(4,3); buf=np.empty(3); out=[]
for i in parallel(range(4)):
    np.multiply(A[i],2,out=buf)
    out.append(buf.sum())
""",
    "dictread": """
stats={'n':0}
out=[]
for i in parallel(range(6)):
    stats['n']+=1
    out.append(i*i*stats['n'])
""",
    "closurecount": """
def mk():
    n=[0]
    def inc(): n[0]+=1; return n[0]
    return inc
inc=mk(); out=[]
for i in parallel(range(5)):
    out.append(inc()+i*i)
""",
    "iterpair": """
it=iter(range(10)); out=[]
for a in parallel(it):
    b=next(it)
    out.append(a*b)
""",
    "sharediter": """
it=iter(range(10)); out=[]
for a in parallel(it):
    if a*a==16: break
    out.append(a*a)
rest=list(it)
""",
    "mutarg": """
def norm(v):
    v.sort(); return v[0]*2
data=[[3,1,2],[9,8],[5]]
out=[]
for d in parallel(data):
    out.append(norm(d))
""",
    "mutarg2": """
def norm(v):
    w=v
    for i in range(len(w)): w[i]*=2
    return sum(w)
data=[[3,1,2],[9,8],[5]]
out=[]
for i in parallel(range(3)):
    out.append(norm(data[i]))
""",
    "partialm": """
from functools import partial
acc=[]
def put(dst,v): dst.append(v); return v
p=partial(put,acc)
out=[]
for i in parallel(range(4)):
    out.append(p(i*i))
""",
    "mapfn": """
acc=[]
def put(v): acc.append(v); return v*v
out=[]
for i in parallel(range(4)):
    out.append(sum(map(put,[i,i+1])))
""",
    "sortkey": """
acc=[]
def key(v): acc.append(v); return -v
out=[]
for i in parallel(range(4)):
    out.append(sorted([i,i+1],key=key))
""",
    "methodalias": """
res=[]
push=res.append
n=0
for i in parallel(range(5)):
    push(i*i)
del push
""",
    "methodalias2": """
res=[]
push=res.append
got=[]
for i in parallel(range(5)):
    got.append(push(i*i))
del push
""",
    "getattrset": """
class N: pass
o=N(); o.x=0
for i in parallel(range(5)):
    setattr(o,'x',getattr(o,'x')+i*i)
""",
    "iaddobj": """
class V:
    def __init__(s,v): s.v=v
    def __iadd__(s,o): s.v+=o; return s
a=V(0); b=a
for i in parallel(range(5)):
    a+=i*i
""",
    "callable": """
class F:
    def __init__(s): s.seen=[]
    def __call__(s,x): s.seen.append(x); return x*x
f=F(); out=[]
for i in parallel(range(5)):
    out.append(f(i))
""",
    "opside": """
class S:
    log=[]
    def __init__(s,v): s.v=v
    def __add__(s,o): S.log.append(o); return s.v+o
s=S(3); out=[]
for i in parallel(range(5)):
    out.append(s+i)
""",
    "getitemside": """
class L:
    def __init__(s): s.hits=[]
    def __getitem__(s,k): s.hits.append(k); return k*k
l=L(); out=[]
for i in parallel(range(5)):
    out.append(l[i])
""",
    "genfn": """
seen=[]
def g(n):
    for k in range(n):
        seen.append(k); yield k
out=[]
for i in parallel(range(4)):
    out.append(sum(g(i)))
""",
    "subclasslist": """
class L(list):
    def append(s,x): list.append(s,x*2)
out=L()
for i in parallel(range(5)):
    out.append(i+1)
""",
    "chaincmp": """
lo,hi=10,0
for i in parallel(range(7)):
    v=(i*37)%11
    lo=min(lo,v); hi=max(hi,v)
""",
    "globalfn": """
tot=0
def add(v):
    global tot
    tot+=v
for i in parallel(range(6)):
    add(i*i)
""",
    "nested par": """
out=[]
for i in parallel(range(3)):
    row=[]
    for j in parallel(range(3)):
        row.append(i*j)
    out.append(row)
""",
    "str": """
s=''
for i in parallel(range(5)):
    s+=str(i*i)
    t=s
""",
    "try outer": """
out=[]
try:
    for i in parallel(range(5)):
        try:
            out.append(1//(i-3))
        finally:
            out.append('f')
except ZeroDivisionError: out.append('z')
""",
    "kept by a constructor": """
class Q:
    def __init__(self, s): self.s=s
    def note(self,v): self.s.append(v)
log=[]
for i in parallel(range(5)):
    q=Q(log)
    q.note(i)
""",
    "kept by a dataclass": """
import dataclasses
@dataclasses.dataclass
class Q:
    s: list
    def note(self,v): self.s.append(v)
log=[]
for i in parallel(range(5)):
    q=Q(log)
    q.note(i)
""",
    "kept by a base class's constructor": """
class B:
    def __init__(self, s): self.s=s
class Q(B):
    def note(self,v): self.s.append(v)
log=[]
for i in parallel(range(5)):
    q=Q(log)
    q.note(i)
""",
    "kept by a method": """
class Q:
    def __init__(self, s): self.s=[]
    def use(self, s): self.s = s
    def note(self,v): self.s.append(v)
log=[]
for i in parallel(range(5)):
    q=Q(i)
    q.use(log)
    q.note(i)
""",
    "put inside by a function": """
def touch(xs, v): xs.append(v)
rows=[[1],[2]]
for i in parallel(range(5)):
    t=[]
    touch(t, rows[i%2])
    t[0].append(i)
""",
    "a default that calls share": """
def grow(v, xs=[]):
    xs.append(v); return len(xs)
out=[]
for i in parallel(range(5)):
    out.append(grow(i*2))
""",
    "+= of an attribute, in place": """
import numpy as np
class P:
    def __init__(self, x, v): self.x=x; self.v=v
    def step(self): self.x += self.v*2
pos=np.zeros((5,3)); out=[]
for i in parallel(range(5)):
    p=P(pos[i], 1.5)
    p.step()
    out.append(p.x.sum())
""",
    "+= of an attribute, a number": """
class P:
    def __init__(self, x, v): self.x=x; self.v=v
    def step(self): self.x += self.v*2
pos=[1.,2.,3.,4.,5.]; out=[]
for i, x in parallel(enumerate(pos)):
    p=P(x, 1.5)
    p.step()
    out.append(p.x*2)
""",
    "a manager that keeps": """
class Quiet:
    def __init__(self, seen): self.seen = seen
    def __enter__(self): pass
    def __exit__(self, *a): self.seen.append('out')
log=[]
for i in parallel(range(4)):
    with Quiet(log):
        x=i*2
""",
    "a model is fitted": """
class M:
    def __init__(self, data): self.data=data; self.coef=None; self.hist=[]
    def fit(self):
        self.coef = sum(self.data); self.hist.append(self.coef)
    def fit2(self, n):
        self.n = n
        self.fit()
        return self
data=[1,2,3]; out=[]
for i in parallel(range(4)):
    m=M(data)
    m.fit()
    m.fit2(i)
    out.append((m.coef, len(m.hist)))
""",
    "methods in a chain": """
class M:
    def __init__(self, data): self.data=data
    def fit(self, n):
        self.coef = sum(self.data)+n
        return self
data=[1,2,3]; out=[]
for i in parallel(range(4)):
    out.append(M(data).fit(i).coef)
""",
    "input that prints": """
def gen():
    for i in range(6):
        print('made', i)
        yield i
    print('end')
for x in parallel(gen()):
    print('used', x*2)
""",
    "input that prints, body that raises": """
def gen():
    for i in range(6):
        print('made', i)
        yield i
    print('end')
    raise ValueError('x')
out=[]
for x in parallel(gen()):
    if x == 3: 1/0
    print('used', x*2)
""",
    "input that prints and raises": """
def gen():
    for i in range(6):
        print('made', i)
        yield i
    print('end')
    raise ValueError('x')
out=[]
for x in parallel(gen()):
    print('used', x*2)
""",
    "views": """
import numpy as np
out=[]
for i in parallel(range(6)):
    a=np.arange(12.).reshape(3,4)*i
    out.append((a[:,1], a[:, ::2], a.T, a[1:], np.arange(i+5)[:2]))
out[0][0][:]=99
""",
    "overlapping views": """
import numpy as np
out=[]
for i in parallel(range(6)):
    a=np.arange(120.)*i
    out.append((a[:3], a[2:5]))
""",
    "a method of an element": """
grid=[[1],[2]]
log=[]
for i in parallel(range(4)):
    log.append(list(grid)[i%2].append)
""",
    "an iterator read on": """
it = iter(range(10))
out=[]
try:
    for x in parallel(it):
        out.append(x*2)
        if x == 4: 1/0
except ZeroDivisionError: pass
left=list(it)
""",
    "zipped iterators read on": """
it = iter([1,2,3,4,5,6,7]); b=iter('abcdefgh')
out=[]
try:
    for x,y in parallel(zip(it,b)):
        out.append(x*2)
        if x == 4: out[1]/0
except ZeroDivisionError: pass
left=list(it),list(b)
""",
    "an iterator that a caller goes on with": """
from itertools import count
def first(it):
    for x in parallel(it):
        if x * x > 9: raise ValueError(x)
left = []
for it in (count(), iter(range(99)), (i for i in range(99))):
    try: first(it)
    except ValueError as e: left.append(str(e))
    left.append(next(it))
""",
    "an iterator that a caller draws from": """
def first(it):
    for x in parallel(map(str, it)):
        if len(x) * len(x) > 1: raise ValueError(x)
left = []
for it in (iter(range(99)), (i for i in range(99))):
    try: first(it)
    except ValueError as e: left.append(str(e))
    left.append(next(it))
""",
    "an iterator in an attribute": """
class Box: pass
def first(box):
    out = []
    for x in parallel(box.it):
        out.append(x * x)
        if x == 5: break
    return out
left = []
for it in (iter(range(99)), (i for i in range(99))):
    box = Box(); box.it = it
    left.append(first(box)); left.append(next(box.it))
del box, it
""",
    "an iterator behind what an object gives": """
class Box:
    def __init__(self, it): self.it = it
    def __iter__(self):
        for x in self.it: yield x
def first(box):
    out = []
    for x in parallel(box):
        out.append(x * x)
        if x == 5: break
    return out
box = Box(iter(range(99)))
left = first(box), next(box.it)
del box
""",
    "an iterator that a loop around this one draws from": """
def one(it):
    it = iter(it)
    for first in it:
        for second in parallel(it):
            raise ValueError(first * second)
left = []
it = iter(range(5, 99))
try: one(it)
except ValueError as e: left.append(str(e))
left.append(next(it))
del it
""",
    "an iterator that an inner function draws from": """
def f():
    it = iter(range(99))
    def following(): return next(it)
    def inner():
        for x in parallel(it):
            if x * x > 9: raise ValueError(x)
    try: inner()
    except ValueError: pass
    return following()
left = f()
""",
    "a generator that takes what others see, left early": """
from collections import deque
def drain(q):
    while q: yield q.popleft()
def first(q):
    out=[]
    for x in parallel(drain(q)):
        out.append(x*x)
        if x == 4: break
    return out
q=deque(range(50))
left = first(q), list(q)
""",
    "a generator that takes what others see, left by an exception": """
from collections import deque
def drain(q):
    while q: yield q.popleft()
def deeper(q):
    yield from drain(q)
def first(q):
    for x in parallel(deeper(q)):
        if x * x > 9: raise ValueError(x)
q=deque(range(50))
try: first(q)
except ValueError: pass
""",
    "a generator that counts, left early": """
N=0
def counting():
    global N
    for i in range(50):
        N+=1
        yield i
out=[]
for x in parallel(counting()):
    out.append(x*x)
    if x==4: break
""",
    "an iterator used up": """
it = iter([1,2,3,4,5,6,7])
out=[]
for x in parallel(it):
    out.append(x*2)
left=list(it)
""",
    "a generator read on": """
def g():
    yield from range(9)
it = g()
out=[]
try:
    for x in parallel(it):
        out.append(x*2)
        if x == 4: 1/0
except ZeroDivisionError: pass
left=list(it)
""",
    "appended to one file": """
for x in parallel(range(5)):
    with open('a.txt','a') as f: f.write(str(x*2))
""",
    "a file for each iteration": """
for x in parallel(range(5)):
    with open(f'{x}.txt','w') as f: f.write(str(x*2))
""",
    "a file for each iteration, named before": """
for x in parallel(range(5)):
    name = 'a' + str(x) + '.txt'
    with open(name,'w') as f: f.write(str(x*2))
""",
    "two iterations to one file": """
for x in parallel(range(5)):
    name = 'a' + str(x%2) + '.txt'
    with open(name,'w') as f: f.write(str(x*2))
""",
    "an element chosen": """
class S:
    def __init__(self,n): self.n=n; self.seen=[]
    def note(self,v):
        self.seen.append(v); return len(self.seen)
stars=[S(1),S(2)]
out=[]
for x in parallel(range(5)):
    r = max(stars, key=lambda q:q.n)
    out.append(r.note(x*2))
""",
    "a target bound anew": """
for i, t in parallel(enumerate([5,6,7])):
    if (t:=5*i) > 4: pass
""",
    "generators kept": """
def f():
    log=[]
    for i in parallel(range(4)):
        log.append((q+i for q in range(2)))
    return [list(g) for g in log]
r=f()
""",
    "shared with the last good iteration": """
out=[]
try:
    for i in parallel(range(6),chunk=6):
        g=[i*2]
        out.append(g)
        g=5//(3-i)
        g=[i]
        out.append(g)
except ZeroDivisionError: pass
""",
    "slots left empty": """
class Cell:
    __slots__ = ('v', 'w')
cell = Cell()
for i in parallel(range(5)):
    cell.w = i*i
""",
    "annotated in a function": """
def f(k):
    for i in parallel(range(4)):
        u: int = k*i
        def g(q):
            return q
    return u
r=f(3)
""",
    "global in a function": """
t=40
def f():
    global t
    for i in parallel(range(4)):
        t = i*2
f()
""",
    "starred target": """
out=[]
for i, *more in parallel([(0, 1, 2), (3,), (5, 6)]):
    out.append((i*2, more))
more.append(1)
""",
    "handler names": """
class Odd(ValueError):
    pass
def odd(v):
    if v % 4 == 1:
        raise Odd(v, [v])
    return v
res = [0]*8
log = []
flag=0
for i in parallel(range(8)):
    res[i] = i*3
    try:
        tv = odd(i)
    except Odd as error:
        log.append(error.args[1])
    else:
        try:
            res[i] = i
            yv = odd(i-1)
        except ValueError as error:
            log.append(str(error))
        flag = flag ^ 1
""",
    "a callable object": """
class Vec:
    def __init__(self, x): pass
    def __call__(self, v):
        self.xs.append(v)
grid=[[1],[2]]
for i in parallel(range(4)):
    s = Vec(i)
    s.xs = grid[i % 2]
    s(5)
""",
    "a lambda called at once": """
tree = {'c': [2, 3]}
for i in parallel(range(4)):
    (lambda q: q.append(i*2))(tree['c'])
""",
    "a method given to map": """
cur=[1]
for i in parallel(range(4)):
    list(map(cur.append, [i*2]))
""",
    "+= of a second name": """
class Vec:
    def __init__(self, x, y=0): self.xs = [x, y]
    def __iadd__(self, other):
        self.xs[0] += other.xs[0]
        return self
vecs = [Vec(j, 1) for j in range(4)]
vec = vecs[1]
out = []
for i in parallel(range(4)):
    vec += Vec(3)
    t = vecs[1].xs[0]
""",
    "items changed": """
grid = [[j, j + 1] for j in range(8)]
for i, row in parallel(enumerate(grid)):
    row.append(i*2)
    u = sum(grid[(i+3) % 8])
""",
    "jump in finally": """
def risky(v):
    raise ValueError(v)
d={}
for i in parallel(range(4), chunk=2):
    try:
        pass
    finally:
        try:
            tv = risky(3)
        except ValueError:
            continue
    for j in range(3):
        pass
    else:
        d[i] = frozenset([3])
""",
    "a lambda's default": """
y = total = 0
for i in parallel(range(5)):
    y = i
    total = total * 2 + (lambda q=(y % 97): q * 2)()
    y += total
""",
    "a method taken before the loop": """
out=[]
push = out.append
for i in parallel(range(5)):
    push(i**2)
""",
    "an exception in a handler": """
count = 0
d = {}
try:
    for i in parallel(range(5)):
        count += 1
        try:
            v = 1 // (i - 2)
        except ZeroDivisionError:
            e[i] = count
except NameError as error:
    found = error
""",
    "environment": """
import os
out=[]
for i in parallel(range(9)):
    out.append(os.environ.setdefault('ALLCORES_TEST_SEEN', str(i)))
del os.environ['ALLCORES_TEST_SEEN']
""",
    "environment by name": """
from os import environ
def f():
    out=[]
    for i in parallel(range(9)):
        seen = environ.setdefault('ALLCORES_TEST_SEEN', str(i))
        out.append(seen * 2)
    environ.pop('ALLCORES_TEST_SEEN')
    return out
out=f()
""",
    "path of modules": """
import sys
out=[]
for i in parallel(range(9)):
    sys.path.append(str(i))
    out.append(len(sys.path))
sys.path = [p for p in sys.path if not p.isdigit()]
""",
    "another module's list": """
import sys, types
module = types.ModuleType('allcores_test_shared')
exec('items=[]; table={}; import collections; queue=collections.deque([1,2,3])', module.__dict__)
sys.modules['allcores_test_shared'] = module
import allcores_test_shared as shared
from allcores_test_shared import items, table
out=[]
for i in parallel(range(9)):
    shared.items.append(i*i)
    out.append(len(shared.items))
for i in parallel(range(9)):
    n = table.setdefault(i % 2, i * i)
    out.append(n)
for i in parallel(range(9)):
    out.append(items.pop() * 2)
for i in parallel(range(9)):
    out.append(shared.queue.popleft() * 2)
    shared.queue.append(i * 3)
queue = shared.queue
del module, shared, sys.modules['allcores_test_shared']
""",
    "another module's list in a function": """
import sys, types
module = types.ModuleType('allcores_test_shared')
exec('items=[]; table={}', module.__dict__)
sys.modules['allcores_test_shared'] = module
def note(i):
    import allcores_test_shared as shared
    shared.items.append(i*i)
    return len(shared.items)
import allcores_test_shared
from allcores_test_shared import table
def know(i):
    return table.setdefault(i % 2, i * i)
def know_too(i):
    return allcores_test_shared.table.setdefault(i % 3, i * i)
out=[]
for i in parallel(range(9)):
    out.append(note(i) + 1)
for i in parallel(range(9)):
    out.append(know(i) + 1)
for i in parallel(range(9)):
    out.append(know_too(i) + 1)
items = module.items
del module, allcores_test_shared, sys.modules['allcores_test_shared']
""",
    "functions of other modules that call one another": """
import sys, types
a, b = types.ModuleType('allcores_test_a'), types.ModuleType('allcores_test_b')
sys.modules['allcores_test_a'], sys.modules['allcores_test_b'] = a, b
import linecache
text_b = 'seen=[]\\ndef note(x):\\n    seen.append(x)\\n    return len(seen)\\n'
text_a = 'import allcores_test_b as b\\nfrom allcores_test_b import note\\ndef f(x):\\n    return b.note(x) * 2\\ndef g(x):\\n    return note(x) * 2\\n'
for m, name, text in ((b, '<test b>', text_b), (a, '<test a>', text_a)):
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    exec(compile(text, name, 'exec'), m.__dict__)
import allcores_test_a
out=[]
for i in parallel(range(9)):
    out.append(allcores_test_a.f(i))
for i in parallel(range(9)):
    out.append(allcores_test_a.g(i))
seen = b.seen
del a, b, m, allcores_test_a, sys.modules['allcores_test_a'], sys.modules['allcores_test_b']
""",
    "functions that call each other": """
log=[]
def f(n):
    log.append(n)
    return g(n - 1) if n > 0 else 0
def g(n):
    return f(n - 1) + 1 if n > 0 else len(log)
out=[]
for i in parallel(range(5)):
    out.append(f(i))
for i in parallel(range(5)):
    out.append(g(i))
""",
    "arguments that change places": """
def f(xs, ys, n):
    if n:
        f(ys, xs, n - 1)
    else:
        ys.append(n)
seen=[]
out=[]
for i in parallel(range(5)):
    mine = []
    f(seen, mine, i)
    out.append(len(mine))
""",
    "a chain of calls read from its end": """
log=[]
def a(n): return b(n)
def b(n): return c(n)
def c(n): return d(n)
def d(n): return e(n)
def e(n): return f(n)
def f(n): return g(n)
def g(n): return h(n)
def h(n):
    log.append(n)
    return len(log)
out=[]
def first():
    for i in parallel(range(5)):
        out.append(i if i >= 0 else a(i))
def second():
    for i in parallel(range(5)):
        out.append(g(i))
first()
second()
""",
    "a decorated function": """
import functools
log=[]
def told(f):
    @functools.wraps(f)
    def wrapper(*args, **kwargs):
        return f(*args, **kwargs)
    return wrapper
@told
def note(x):
    log.append(x)
    return len(log)
@told
def square(x):
    return x * x
out=[]
for i in parallel(range(5)):
    out.append(square(i))
for i in parallel(range(5)):
    out.append(note(i))
for i in parallel(range(5)):
    out.append(square(note(i)))
""",
    "a counter in another module": """
import sys, types, linecache
module = types.ModuleType('allcores_test_counter')
text = 'count = 0\\ndef tick():\\n    global count\\n    count += 1\\n'
linecache.cache['<counter>'] = (len(text), None, text.splitlines(True), '<counter>')
exec(compile(text, '<counter>', 'exec'), module.__dict__)
sys.modules['allcores_test_counter'] = module
import allcores_test_counter as counter
out=[]
for i in parallel(range(9)):
    counter.tick()
    out.append(counter.count + i)
def go():
    import allcores_test_counter as again
    for i in parallel(range(9)):
        again.tick()
        out.append(counter.count * i)
go()
del module, counter, sys.modules['allcores_test_counter']
""",
    "a relative import": """
import sys, types, linecache
names = 'allcores_test_p', 'allcores_test_p.a', 'allcores_test_p.b'
texts = '', 'from .b import note\\ndef f(x):\\n    return note(x) * 2\\n', 'seen = []\\ndef note(x):\\n    seen.append(x)\\n    return len(seen)\\n'
for name in names:
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__package__ = names[0]
sys.modules[names[0]].__path__ = []
for name, text in reversed(list(zip(names, texts))):
    linecache.cache['<' + name + '>'] = (len(text), None, text.splitlines(True), '<' + name + '>')
    exec(compile(text, '<' + name + '>', 'exec'), sys.modules[name].__dict__)
from allcores_test_p.a import f
out=[]
for i in parallel(range(9)):
    out.append(f(i))
seen = sys.modules[names[2]].seen
for name in names:
    del sys.modules[name]
""",
    "what is printed on the way to a commit": """
def f(i):
    print("in", i)
    return i
def g(i):
    yield i
    print("gen", i)
out=[]
for i in parallel(range(3)):
    print("out", f(i) * 2)
for i in parallel(range(3)):
    print("out", list(g(i)))
for i in parallel(range(3)):
    print("first"); out.append((print("a"), f(i))); print("last")
for i in parallel(range(3)):
    out.append(i) or print(f(i)) or out.append(f(i + 1))
for i in parallel(range(3)):
    print(f(i), out.append(i), f(i + 1))
for i in parallel(range(3)):
    print(*g(i), sep=str(f(i)))
    if f(i) == 1: continue
    print(f"{f(i)} and {f(i)!r}", end=f"{f(i + 1)}")
""",
    "what a function gave is put into a list and changed there": """
def at(xs, j):
    return xs[j % len(xs)]
grid = [[j, j + 1] for j in range(8)]
try:
    for i, (a, b) in parallel(enumerate(grid)):
        t = a
        r, g = (at(grid, t), [])
        g.append(r)
        g[0].append(5)
except ValueError as e:
    pass
""",
    "items of other iterations are changed under another name": """
def f(x): return x
grid = [[j, j + 1] for j in range(8)]
log = []
try:
    for i, (a, b) in parallel(enumerate(grid)):
        [q.append(f(i)) for q in grid[:2]]
        log.append([(lambda q: [q])(a % 97), sorted([5, i])])
except ValueError as e:
    print(e)
""",
    "a target that a commit binds before it raises": """
def none(a): pass
out = []
push = out.append
try:
    for i, (x, y) in parallel(zip(range(9), zip([3, 1, 4], ['ab', 'c', 'def']))):
        push(y[:1])
        if (y := none(i)) > 4:
            pass
except TypeError:
    pass
""",
    "a part of a temporary is sent, and then a commit raises": """
import copy
grid = [[j, j + 1] for j in range(4)]
out = []
def f(grid, out):
    for i, row in parallel(enumerate(grid)):
        c = copy.deepcopy(grid)
        d = {'c': c[1]}
        out.append(c[1])
        if len(out) > 2: raise KeyError(i)
    return c, d
try:
    for i, row in parallel(enumerate(grid)):
        c = copy.deepcopy(grid)
        d = {'c': c[1]}
        out.append(c[1])
        out.append(nowhere.size)
except NameError as e:
    print(e)
""",
    "a with that swallows what ends its body half way": """
import contextlib
def risky(v):
    if v % 5 == 3: raise ValueError(v)
    return v
table = [[1], [2]]
out = []
for i in parallel(range(7)):
    with contextlib.suppress(ValueError):
        a = risky(i + 2)
        r = table[1]
for i in parallel(range(7)):
    with contextlib.suppress(ValueError):
        b = risky(i + 2)
        continue
    b = -1
    out.append(risky(i + 3))
""",
    "a commit raises StopIteration": """
def f(x): return x * x
out = []
def g(out):
    it = iter([1, 2, 3])
    for x in parallel(range(6)): out.append(f(x) + next(it))
it = iter([1, 2, 3])
try:
    for x, y in parallel(zip(range(6), 'abcdef')):
        z = f(x)
        out.append(z)
        y = 'rebound'
        out.append(z + next(it))
except StopIteration as e:
    out.append(type(e).__name__)
try:
    g(out)
except StopIteration as e:
    out.append(e.args)
for x in parallel(range(3)):
    out.append(f(x))
""",
    "something is printed, and then the commit raises": """
def noisy(v):
    print('in', v)
    return v + 1
d = {6: 1, 7: 2}
try:
    for i in parallel(range(5)):
        d[noisy(5) + i] += 1
except KeyError as e:
    print(e)
""",
    "an iterator that the program holds, and prints on the way": """
def noisy(v):
    print('in', v)
    return v
out = []
it = iter(range(40))
try:
    for i in parallel(it):
        out.append(noisy(i))
        if i == 25: raise KeyError(i)
except KeyError:
    pass
out.append(next(it))
def g(out):
    it = iter(range(9))
    for i in parallel(it):
        for u in [3, noisy(i)]:
            pass
    return list(it)
out.append(g(out))
""",
    "what a method is called on prints": """
def noisy(v):
    print('in', v)
    return v
def row(v):
    print('row', v)
    return rows[v % 2]
rows = [[], []]
d = {}
for i in parallel(range(4)):
    d.setdefault(noisy(i) % 3, []).append((noisy(i + 10), 1))
for i in parallel(range(4)):
    row(i).append(noisy(i))
for i in parallel(range(4)):
    rows[noisy(i) % 2].append(noisy(i))
""",
    "functions made in the loop see its last variables": """
import numpy as np
def p():
    log = []
    for i, m in parallel(enumerate(np.arange(16.).reshape(8, 2))):
        for j in range(3): pass
        def loc(q): return i * 100 + j + q
        log.append(loc)
    return log
out = [f(0) for f in p()]
""",
    "prints within generator expressions, behind a print": """
def f(v):
    print('in', v)
    return v
out=[]
def g(i):
    out.append((print(i), sum(1 for q in range(2) if f(q + i))))
for i in parallel(range(3)):
    out.append((print(i), sum(1 for q in range(2) if f(q + i))))
for i in parallel(range(3)):
    out.append((print(i), f(sum(f(q) for q in range(2))), f(i)))
for i in parallel(range(3)):
    out.extend(f(q) * i for q in range(2))
for i in parallel(range(3)):
    out.append(sum(f(q) for q in range(2)) if i else f(i))
""",
    "a function is given on, and has a parameter named as the call's keyword": """
out, seen = [], []
def noted(a, b=0, c=0, key=None):
    seen.append(a)
    return a
for x in parallel([[2, 1], [3, 0]]):
    out.append(sorted(x, key=noted))
""",
    "a signal to this process": """
import os, signal
out=[]
def caught(*args):
    out.append('signal')
before = signal.signal(signal.SIGUSR1, caught)
for i in parallel(range(4)):
    out.append(i * i)
    if i == 2: os.kill(os.getpid(), signal.SIGUSR1)
signal.signal(signal.SIGUSR1, before)
del before
""",
    "an array changed by a function of NumPy": """
import numpy as np
data=[np.array([1.,np.nan,i]) for i in range(6)]
out=[]
for d in parallel(data):
    c=np.nan_to_num(d, copy=False)
    out.append(float(c.sum()))
""",
    "a buffer that C code fills": """
import struct
buf=bytearray(40); out=[]
for i in parallel(range(10)):
    n = struct.pack_into('i', buf, i*4, i*i)
    out.append(n)
""",
    "a list added to by reduce": """
import functools, operator
acc=[]; out=[]
for i in parallel(range(6)):
    r = functools.reduce(operator.iadd, [[i],[i*i]], acc)
    out.append(len(r))
""",
    "a list added to by accumulate": """
import itertools, operator
acc=[0]; out=[]
for i in parallel(range(6)):
    r = [len(x) for x in itertools.accumulate([acc,[i]], operator.iadd)]
    out.append(r)
""",
    "a row sorted by an unbound method": """
import numpy as np
rows=np.array([[3,1,2],[9,8,7],[5,6,4]]); out=[]
for i in parallel(range(3)):
    np.ndarray.sort(rows[i])
    out.append(rows[i][0]*2)
""",
    "a length that counts": """
class Bag:
    def __init__(s): s.asked=0
    def __len__(s): s.asked+=1; return 3
bag=Bag(); out=[]
for i in parallel(range(5)):
    out.append(len(bag)*i)
""",
    "a truth that counts": """
class Bag:
    def __init__(s): s.asked=0
    def __bool__(s): s.asked+=1; return s.asked%2==0
bag=Bag(); out=[]
for i in parallel(range(5)):
    out.append(i*i if bag else -i)
""",
    "a format that counts": """
class Bag:
    def __init__(s): s.asked=0
    def __format__(s, spec): s.asked+=1; return f"bag{s.asked}"
bag=Bag(); out=[]
for i in parallel(range(5)):
    out.append(f"{bag} {i*i}")
""",
    "an iterator that counts": """
class Bag:
    def __init__(s): s.asked=0
    def __iter__(s): s.asked+=1; return iter(range(s.asked))
bag=Bag(); out=[]
for i in parallel(range(5)):
    out.append([x*i for x in bag])
""",
    "a descriptor that counts": """
class Counted:
    def __init__(s): s.reads=0
    def __get__(s, obj, typ): s.reads+=1; return s.reads
class M: v=Counted()
m=M(); out=[]
for i in parallel(range(5)):
    out.append(m.v*i)
""",
    "a class of a class that keeps a list": """
class Meta(type):
    made=[]
    def __call__(cls,*a):
        o=super().__call__(*a); Meta.made.append(o.v); return o
class P(metaclass=Meta):
    def __init__(s,v): s.v=v
out=[]
for i in parallel(range(5)):
    out.append(P(i).v*2)
made=Meta.made
""",
    "an object for each key": """
class S:
    inst={}
    def __new__(cls,k):
        if k not in cls.inst: cls.inst[k]=object.__new__(cls)
        return cls.inst[k]
    def __init__(s,k): s.k=k
out=[]
for i in parallel(range(7)):
    out.append(S(i%3).k*2)
n=len(S.inst)
""",
    "an attribute set through vars": """
class A: pass
objs=[A() for _ in range(5)]
out=[]
def tag(o,i):
    vars(o)['t']=i; return i*2
for i,o in parallel(enumerate(objs)):
    out.append(tag(o,i))
""",
    "an item changed by a methodcaller": """
import operator
push=operator.methodcaller('append', 7)
lists=[[] for _ in range(5)]; out=[]
for l in parallel(lists):
    push(l)
    out.append(len(l))
""",
    "a list changed by a methodcaller": """
import operator
push=operator.methodcaller('append', 7)
acc=[]; out=[]
for i in parallel(range(5)):
    r=push(acc)
    out.append((i*i,len(acc)))
""",
    "a property called by an attrgetter": """
import operator
class A:
    def __init__(s,v): s._v=v; s.n=0
    @property
    def v(s): s.n+=1; return s._v
get=operator.attrgetter('v')
objs=[A(i) for i in range(5)]; out=[]
for o in parallel(objs):
    out.append(get(o)**2)
""",
    "a dict changed through a partial": """
import functools, operator
d={}
put=functools.partial(operator.setitem, d)
out=[]
for i in parallel(range(5)):
    put(i, i*i); out.append(i**3)
""",
    "a defaultdict in a function": """
from collections import defaultdict
groups=defaultdict(list); out=[]
def g(i): return groups[i%3]
for i in parallel(range(7)):
    l=g(i)
    out.append(len(l)+i)
n=len(groups)
""",
    "an attribute that becomes another one": """
class A:
    def __init__(s,log): s.log=log; s.cur=[]
    def go(s,x):
        for k in range(x):
            s.cur.append(k); s.cur=s.log
log=[]
out=[]
for i in parallel(range(5)):
    a=A(log)
    a.go(3)
    out.append(i*i)
""",
    "a list added to an attribute": """
class A:
    def __init__(s,log): s.log=log; s.cur=[]
    def go(s,x):
        s.cur+=[s.log]
        s.cur[0].append(x)
log=[]
out=[]
for i in parallel(range(5)):
    a=A(log)
    a.go(3)
    out.append(i*i)
""",
    "a deep copy that is none": """
from copy import deepcopy
class M:
    shared=[]
    def __init__(s): s.w=[1.,2.]
    def __deepcopy__(s,memo): return s
base=M(); out=[]
for i in parallel(range(4)):
    m=deepcopy(base)
    m.w.append(i)
    out.append(len(m.w))
""",
    "lines read in the body of a loop over lines": """
with open('in.txt','w') as f: f.write('\\n'.join(str(i) for i in range(10)))
K=3; out=[]
with open('in.txt') as f:
    for line in parallel(f):
        nxt=f.readline()
        v=K**3
        out.append((v,nxt))
del f
""",
    "a generator over a list that the loop adds to": """
K=3; out=[]; xs=[1,2,3]
def gen():
    k=0
    while k<len(xs):
        yield xs[k]; k+=1
for a in parallel(gen()):
    v=K**3
    if len(xs)<8: xs.append(v)
    out.append(v)
""",
    "a condition that the loop changes": """
K=3; out=[]; flag={'on':True}
for a in parallel(x for x in range(10) if flag['on']):
    v=a**3
    if v>50: flag['on']=False
    out.append(v)
""",
    "a generator that the loop stops": """
out=[]
class Src:
    def __init__(s): s.stop=False
    def items(s):
        k=0
        while not s.stop and k<20:
            yield k; k+=1
src=Src()
for a in parallel(src.items()):
    v=a**3
    if v>50: src.stop=True
    out.append(v)
""",
    "a sequence that the loop shortens": """
out=[]
class Src:
    def __init__(s): s.n=6
    def __getitem__(s,i):
        if i>=s.n: raise IndexError
        return i*2
src=Src()
for a in parallel(src):
    v=a**3
    src.n=4
    out.append(v)
""",
    "groups of groupby": """
import itertools
data=sorted(['apple','avo','bean','beet','corn']); out={}
for k,g in parallel(itertools.groupby(data,key=lambda s:s[0])):
    out[k]=[len(x) for x in g]
""",
    "a function that notes each item": """
log=[]; out=[]
def tag(x): log.append(x); return x+1
for y in parallel(map(tag,range(6))):
    out.append((y**2,len(log)))
""",
    "a filter on what has been seen": """
seen=set(); out=[]
for y in parallel(filter(lambda v: v not in seen,[1,2,1,3,2])):
    w=y**2
    seen.add(y); out.append(w)
""",
    "a window that slides": """
from collections import deque
out=[]
def window(xs,n):
    d=deque(maxlen=n)
    for x in xs:
        d.append(x)
        if len(d)==n: yield d
for w in parallel(window(range(8),3)):
    out.append(sum(w))
""",
    "a list that is handed out again and again": """
out=[]
def gen():
    buf=[0]
    for i in range(5):
        buf[0]=i; yield buf
for b in parallel(gen()):
    out.append(b[0]**2)
""",
    "a queue that the loop fills": """
from collections import deque
todo=deque([1]); out=[]
def children(q):
    while q: yield q.popleft()
for n in parallel(children(todo)):
    v=n**2
    if n<8: todo.extend([2*n,2*n+1])
    out.append(v)
""",
    "numbers given out by a default factory": """
import itertools
from dataclasses import dataclass, field
_ids=itertools.count()
@dataclass
class Job:
    x: int
    id: int = field(default_factory=lambda: next(_ids))
jobs=[]
for i in parallel(range(5)):
    jobs.append(Job(i**2))
del _ids
""",
    "numbers given out by a method of a count": """
import itertools
from dataclasses import dataclass, field
@dataclass
class Job:
    x: int
    id: int = field(default_factory=itertools.count().__next__)
jobs=[]
for i in parallel(range(5)):
    jobs.append(Job(i**2))
ids=[j.id for j in jobs]
del Job,jobs
""",
    "functions found in a dict": """
state={'n':0}
def inc(x): state['n']+=x; return state['n']
def sq(x): return x*x
ops={'inc':inc,'sq':sq}; out=[]
for name,x in parallel([('inc',1),('sq',3),('inc',2)]):
    out.append(ops[name](x))
""",
    "a list added to that has a second name": """
class F:
    def __init__(self): self.log=[]; self.alias=self.log
    def one(self,x): return len(self.alias)+x
    def all(self,xs):
        for x in parallel(xs):
            self.log+=[self.one(x)]
f=F(); f.all(range(5))
""",
    "a method that notes in another one": """
class Fitter:
    def __init__(self): self.k=2; self.out=[]; self.seen=[]
    def check(self,x):
        self.seen.append(x)
    def one(self,x):
        self.check(x); return x**self.k
    def all(self,xs):
        for x in parallel(xs): self.out.append(self.one(x))
f=Fitter(); f.all(range(4))
""",
    "a method that reads what the loop changes": """
class A:
    def f(self,x): return x+len(out)
objs=[A() for _ in range(4)]; out=[]
for o in parallel(objs):
    out.append(o.f(2))
""",
    "a method that reads in another one what the loop binds": """
class F:
    def __init__(self): self.out=[]; self.k=3
    def one(self,x): return self.helper(x)*2
    def helper(self,x): return x+(self.last or 0)
    last=None
    def all(self,xs):
        for x in parallel(xs):
            v=self.one(x)
            self.last=v
f=F(); f.all(range(5))
""",
    "a method overridden by one that reads what the loop changes": """
class B:
    def __init__(self): self.out=[]; self.k=3
    def one(self,x): return self.helper(x)*2
    def helper(self,x): return x+self.k
    def all(self,xs):
        for x in parallel(xs): self.out.append(self.one(x))
class C(B):
    def helper(self,x): return x+len(self.out)
f=C(); f.all(range(5))
""",
    "a method of another module, overridden": """
import sys, types, linecache
text='class Base:\\n    def __init__(s): s.out=[]; s.k=3\\n    def one(s,x): return s.helper(x)*2\\n    def helper(s,x): return x+s.k\\n    def all(s,xs,parallel):\\n        for x in parallel(xs): s.out.append(s.one(x))\\n'
m=types.ModuleType('ext_base'); linecache.cache['<ext_base>']=(len(text),None,text.splitlines(True),'<ext_base>')
exec(compile(text,'<ext_base>','exec'), m.__dict__); sys.modules['ext_base']=m
from ext_base import Base
class Child(Base):
    def helper(s,x): return x+len(s.out)
f=Child(); f.all(range(5),parallel)
out=f.out
del m,f,Base,Child,sys.modules['ext_base']
""",
    "a method given away": """
class B:
    def __init__(self): self.out=[]; self.k=3
    def one(self,x): return sum(map(self.helper,[x,x]))
    def helper(self,x): return x+len(self.out)
    def all(self,xs):
        for x in parallel(xs): self.out.append(self.one(x))
f=B(); f.all(range(5))
""",
    "a function that changes the directory": """
import os, tempfile
old=os.getcwd(); d=tempfile.mkdtemp(); out=[]
def f(i): os.chdir(d); return i
for i in parallel(range(4)):
    out.append(f(i))
moved=os.getcwd()==os.path.realpath(d); os.chdir(old); os.rmdir(d); del d
""",
    "a function that sets the recursion limit": """
import sys
def f(i): sys.setrecursionlimit(1000+i); return i
old=sys.getrecursionlimit(); out=[]
for i in parallel(range(4)):
    out.append(f(i))
new=sys.getrecursionlimit(); sys.setrecursionlimit(old)
""",
    "a list in a big dict": """
import operator
big={k:[k] for k in range(5000)}
def touch(i): operator.methodcaller('append',1)(big[i*900]); return i
out=[]
for i in parallel(range(5)):
    out.append(touch(i))
""",
    "observers that are methods of objects": """
class Subject:
    def __init__(self): self.obs=[]; self.state=0
    def set(self,v):
        self.state=v
        for o in self.obs: o.update(self)
class Alarm:
    rung=False
    def update(self,s):
        if s.state>30: self.rung=True
a=Alarm(); s=Subject(); s.obs.append(a); out=[]
def heavy(i): return i*i
for i in parallel(range(12)):
    if a.rung: break
    y=heavy(i)
    s.set(y); out.append(y)
""",
    "listeners that an object calls": """
import functools
class Bus:
    def __init__(self): self.ls=[]
    def emit(self,x):
        for f in self.ls: f(x)
class Stop: on=False
def watch(i): Stop.on=Stop.on or i==5
def hit(d,x): d['hits']+=x
log={'hits':0}; b=Bus(); b.ls+=[watch, functools.partial(hit,log), lambda x: b.ls]; out=[]
def heavy(i): return i*i
for i in parallel(range(12)):
    if Stop.on: break
    y=heavy(i)
    b.emit(i); out.append((y, log['hits']))
""",
    "a list of functions that is given": """
seen=[]
def note(x): seen.append(x)
def double(x): return 2*x
def run_all(fs,x): return [f(x) for f in fs]
fs=[double,note]; out=[]
for i in parallel(range(8)):
    out.append(run_all(fs,i)); out.append(len(seen))
""",
    "a setter that setattr calls": """
events=[]
class A:
    def __init__(self,x): self.x=self.mood=x
    @property
    def happy(self): return self.mood>3
    @happy.setter
    def happy(self,v): events.append(self.x); self.mood=10 if v else 0
agents=[A(i) for i in range(10)]
for a in parallel(agents):
    for k,v in {'happy':True}.items(): setattr(a,k,v)
""",
    "a setter that a function with keywords calls": """
events=[]
class A:
    def __init__(self,x): self.x=self.mood=x
    def _set(self,v): events.append(self.x); self.mood=v
    happy=property(None,_set)
def configure(a,**kw):
    for k,v in kw.items(): setattr(a,k,v)
agents=[A(i) for i in range(10)]
for a in parallel(agents):
    configure(a,happy=a.x)
""",
    "a function that a called one puts in the place of another": """
import types
kit=types.SimpleNamespace(current=lambda: None)
def patch(v): kit.current=lambda: v
def use(): return kit.current()
out=[]
for i in parallel(range(6)):
    patch(i); out.append(kit.current()); out.append(use())
""",
    "a library's function that a called one replaces": """
import math
old=math.sqrt
def patch(v): math.sqrt=lambda x: v
def use(i): return math.sqrt(i)
out=[]
for i in parallel(range(6)):
    patch(i); out.append(use(i))
math.sqrt=old
""",
    "a strategy that a method sets": """
class C:
    strategy=staticmethod(lambda x: x)
    def use(self,k): self.strategy=lambda x: x*k
c=C(); out=[]
for i in parallel(range(6)):
    c.use(i); out.append(c.strategy(i))
""",
    "an object that a called function replaces": """
class A:
    def f(self): return 1
class B:
    def f(self): return 2
def swap(i):
    global w
    w=B() if i%3 else A()
w=A(); out=[]
for i in parallel(range(6)):
    swap(i); out.append(w.f())
""",
}
GOES_BY = """
import os
log=[]
class A:
    def __init__(self): self.n=0; self.items=[1,2]
    def f(self,x):
        self.n+=1
        BODY
a=A(); out=[]
def heavy(i): return i*i
for i in parallel(range(12)):
    if len(log)>3: break
    y=heavy(i)
    a.f(i); out.append(y)
"""
BODIES = {
    "for": "for k in self.items: log.append(k*x)",
    "if": "if self.n>3: log.append(x)",
    "while": "while self.n%3: self.n+=1; log.append(x)",
    "with": "with open(os.devnull) if self.n else None: log.append(x)",
    "match": "match self.n:\n            case 3: pass\n            case _: log.append(x)",
    "try": "try: log.append(x)\n        finally:\n            if self.n>99: return",
}
PROGRAMS.update(
    (f"a method that goes by what it has changed: {kind}", GOES_BY.replace("BODY", body))
    for kind, body in BODIES.items()
)


PARALLEL = {
    "a list that counts how often its length is asked": """
class L(list):
    n=0
    def __len__(self): L.n+=1; return 3
xs=L(range(12)); out=[]
for v in parallel(xs): out.append(v*v)
left=L.n
""",
    "a setter that changes its object only": """
class S:
    def __init__(self,x): self.x=x
    def fit(self): return self.x**2
    @property
    def name(self): return self._n
    @name.setter
    def name(self,v): self._n=v
ss=[S(i) for i in range(8)]
for s in parallel(ss):
    for k in ('a','name'): setattr(s,k,s.fit())
""",
    "what is logged of the exception that is handled": """
import logging, io
text = io.StringIO()
log = logging.getLogger("told.here")
log.handlers.clear(); log.propagate = False
log.addHandler(logging.StreamHandler(text))
n = 0
for x in parallel(range(8)):
    try:
        y = 10 // (x % 4)
        n += y
    except ZeroDivisionError:
        log.exception("failed %s", x)
        if n > 12:
            log.error("again %s", x, exc_info=True)
        continue
    n += 1
told = [line for line in text.getvalue().splitlines() if "File" not in line]
log.handlers.clear(); del log, text
""",
    "functions in a list that change nothing": """
class Pipe:
    def __init__(self,*fs): self.fs=list(fs)
    def run(self,x):
        for f in self.fs: x=f(x)
        return x
p=Pipe(abs, lambda x: x+1, str); out=[]
for i in parallel(range(8)):
    out.append(p.run(i))
""",
    "a function that is kept, and only that": """
class Best: fn=None; score=-1
class M:
    def __init__(self): self.state=self.idle
    def idle(self,t): return self.run if t>2 else self.idle
    def run(self,t): return self.idle if t>5 else self.run
def score(f): return sum(f(x) for x in range(20))
m=M()
for f in parallel([abs, lambda x: -x, lambda x: x+1]*3):
    s=score(f)
    m.state=m.state(s)
    if s>Best.score: Best.score, Best.fn = s, f
""",
    "a file for each iteration, written by a library": """
import pandas as pd, os
d = "."; open("z", "w").close()
for k in parallel(range(5)):
    name = os.path.join(d, f"part-{k:03d}.csv")
    pd.DataFrame({"a": [k]}).to_csv(name)
""",
    "what is printed to a text of the iteration's own": """
import io, contextlib
out = []
for k in parallel(range(5)):
    b = io.StringIO()
    with contextlib.redirect_stdout(b):
        print("x" * k)
    out.append(b.getvalue())
    print(len(out))
""",
    "a simulation that keeps its history": """
class Sim:
    def __init__(s,cfg): s.cfg=cfg; s.t=0.0; s.hist=[]; s.state={'x':1.0}
    def advance(s):
        s.t += s.cfg['dt']
        s.state['x'] *= 1+s.cfg['r']*s.cfg['dt']
        s.hist.append((s.t,s.state['x']))
    def run(s):
        for k in range(s.cfg['n']): s.advance()
        return s
cfgs=[{'dt':.1,'n':5,'r':k/10} for k in range(6)]
out=[]
for cfg in parallel(cfgs):
    sim=Sim(cfg); sim.run()
    out.append(sim.hist[-1])
""",
    "an attribute bound and a list appended to": """
class P:
    def __init__(s,x,v): s.x=x; s.v=v; s.hist=[]
    def drift(s,dt): s.x=s.x+s.v*dt; s.hist.append(s.x)
ps=[(i,i+1) for i in range(5)]; es=[]
for x,v in parallel(ps):
    q=P(x,v)
    q.drift(.1)
    es.append(q)
""",
    "a deep copy that is changed": """
import copy
cfg={'n':3,'opts':{'a':1}}; out=[]
for i in parallel(range(4)):
    c=copy.deepcopy(cfg); c['opts']['a']=i; c['opts'].setdefault('l',[]).append(i)
    out.append(c)
""",
    "what json.loads gives is changed": """
import json
lines=['{"a":{"b":1}}','{"a":{"b":5}}']; out=[]
for l in parallel(lines):
    d=json.loads(l)
    d['a']['c']=d['a']['b']*2
    d['a'].update(z=1)
    out.append(d)
""",
    "counts by members of an enum": """
import enum
class Kind(enum.Enum): A=1; B=2; C=3
out=[]; counts={k:0 for k in Kind}
for i in parallel(range(12)):
    k=Kind(i%3+1); counts[k]+=1
    out.append((k, k is Kind.A))
""",
    "a method that counts what it has done": """
class Fitter:
    def __init__(self): self.results={}; self.n=0; self.scale=2
    def fit_one(self,x): return x**self.scale
    def fit_all(self,xs):
        for x in parallel(xs):
            r=self.fit_one(x)
            self.results[x]=r
            self.n+=1
        return self
f=Fitter().fit_all(range(6))
""",
    "a class that does its work in many methods": """
class Pipe:
    def __init__(self,cfg): self.cfg=cfg; self.results=[]; self.failed={}; self.done=0
    def load(self,i): return [j*i for j in range(self.cfg['n'])]
    def clean(self,r): return [v for v in r if v%self.cfg['mod']]
    def score(self,r):
        if not r: raise ValueError('empty')
        return sum(r)/len(r)
    def process(self,i):
        r=self.clean(self.load(i))
        return {'i':i,'s':self.score(r)}
    def run(self,ids):
        for i in parallel(ids):
            try: res=self.process(i)
            except ValueError as e:
                self.failed[i]=str(e)
            else: self.results.append(res)
            self.done+=1
p=Pipe({'n':6,'mod':3}); p.run(range(8))
""",
    "a method that calls another one": """
class F:
    def __init__(self): self.out=[]; self.k=3
    def one(self,x): return self.helper(x)*2
    def helper(self,x): return x+self.k
    def all(self,xs):
        for x in parallel(xs): self.out.append(self.one(x))
f=F(); f.all(range(5))
""",
    "more items than there is memory": """
def first(xs):
    for x in parallel(xs):
        if x * x > 900: return x
def last(pairs):
    for i, x in parallel(pairs):
        if x * i > 900: break
    return i, x
left = first(range(10**13)), first(range(3, 2**70)), last(enumerate(range(10**13)))
left += last(zip(range(2**70), range(10**13))),
""",
    "a generator that nobody else holds": """
def g():
    for i in range(50): yield i
out=[]
for x in parallel(g()):
    if x > 30: break
    out.append(x*x)
""",
    "a generator that is given to a function": """
def squares(it):
    out = []
    for x in parallel(it): out.append(x * x)
    return out
left = squares(i for i in range(30))
""",
    "lines of a file in a with": """
import tempfile
def lengths(path):
    out = []
    with open(path) as file:
        for line in parallel(file): out.append(len(line) ** 2)
    return out
with tempfile.NamedTemporaryFile("w") as f:
    f.write("".join("x" * n + "\\n" for n in range(30)))
    f.flush()
    left = lengths(f.name)
del f
""",
    "items that nothing can change are put where the loop changes something": """
import collections, re
docs = {f"d{i}": " ".join(f"w{(i * k) % 17}" for k in range(1, 20)) for i in range(12)}
index, lengths = collections.defaultdict(list), collections.Counter()
for name, text in parallel(docs.items()):
    words = re.findall(r"\\w+", text)
    for w in sorted(set(words)):
        index[w].append(name)
    lengths[name] += len(words)
""",
    "numbers that are put away and taken out again": """
stack, out = [], []
for k, (a, b) in parallel(enumerate([(3, 1), (2, 5), (4, 7), (6, 2), (9, 1)])):
    y = a * a + k
    stack.append(b)
    while len(stack) > 2 and stack[0] < y % 5:
        out.append(stack.pop(0) + b)
""",
}
"""Programs that must run in parallel."""


@pytest.mark.parametrize("name", PROGRAMS)
def test_leaves_the_same(name: str) -> None:
    assert_same(PROGRAMS[name].lstrip())


def test_says_what_was_seen_to_change() -> None:
    program = """\
import ctypes
append, acc, out = ctypes.pythonapi.PyList_Append, [], []
def f(i): append(ctypes.py_object(acc), ctypes.py_object(i)); return i
for i in parallel(range(5)):
    out.append(f(i))
"""
    outcome = run(program, False)
    assert outcome.in_workers == 0
    assert "`acc` is changed by something that the loop calls" in str(outcome.warned)


@pytest.mark.parametrize("name", PARALLEL)
def test_runs_in_parallel(name: str) -> None:
    # In a module, for objects of classes made in functions cannot be sent.
    assert_same(PARALLEL[name].lstrip(), "parallel", places=("module",))


def test_a_loop_while_an_exception_is_handled() -> None:
    loop = "for x in parallel(range(30)):\n    t = [x * x]\n    out.append(x)\n    if x == {}:\n        break"
    for last in (99, 20):
        assert_same(
            loop.format(last), "parallel", places=("handler", "coroutine"), data="out = []\n"
        )


RAISES_IN_ORDER = """\
import heapq
n = []
def brittle(x):
    if x == 4:
        raise KeyError(x)
    return x
def both(v):
    n.append(v)
    raise ValueError(v)
class Item:
    def __init__(self, v): self.v = v
"""
IN_A_HANDLER = "try:\n        y = brittle(x)\n    except KeyError:\n        {}"


@pytest.mark.parametrize(
    "body",
    [
        IN_A_HANDLER.format("both(x)"),
        IN_A_HANDLER.format("out.append(x)\n        out[99] = x"),
        IN_A_HANDLER.format("out.append(x)\n        both(x)"),
        "heapq.heappush(out, (0, Item(x * x)))",
        "out.append(x * x)\n    out.sort(key=both)",
        "t = [[] for q in range(2)]\n    t[x % 2].append(tree['c'][0] + brittle(x + 5))\n"
        "    out.append(t)\n    out.append(unbound)",
    ],
)
def test_a_commit_that_raises_is_as_in_the_plain_loop(body: str) -> None:
    loop = f"for x in parallel(range(8)):\n    {body}\n    k = [x * x]"
    assert_same(
        loop,
        "parallel",
        helpers=RAISES_IN_ORDER,
        data="out = []\ntree = {'c': [2, 3]}\n",
        places=("handler", "module", "function"),
    )


LET_GO = """\
import gc, weakref
from allcores import parallel
class Big:
    def __init__(self, n=3): self.n = n
    def f(self, x): return x * self.n
    def collect(self):
        out = []
        for x in parallel(range(9)):
            out.append(self.f(x))
    def stream(self):
        out = []
        for x in parallel(x for x in range(9)):
            out.append(self.f(x))
    def leave(self):
        for x in parallel(range(9)):
            if self.f(x) > 12:
                return x
    def fail(self):
        for x in parallel(range(9)):
            if self.f(x) > 12:
                raise ValueError(x)
    def change(self):
        for other in parallel([Big(1), Big(2), Big(4)]):
            other.n = self.f(other.n)
gc.disable()
left = {}
for name in ("collect", "stream", "leave", "fail", "change"):
    for _ in range(2):
        big = Big()
        try:
            getattr(big, name)()
        except ValueError:
            pass
        ref = weakref.ref(big)
        del big
        left[name] = ref()
assert not any(left.values()), left
"""


def test_what_a_loop_held_is_gone_when_it_is_over(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(LET_GO)
    with forced():
        subprocess.run([sys.executable, "prog.py"], cwd=tmp_path, check=True)


CHANGES_AND_RAISES = """\
n = [0]
def both():
    n[0] += 1
    return n[1]
class A:
    p = property(lambda self: both())
    def m(self): return both()
    def __add__(self, other): return both()
    def __iadd__(self, other): return both()
    def __getitem__(self, key): return both()
    def __setitem__(self, key, value): return both()
    def __bool__(self): return both()
    def __iter__(self): return both()
class S:
    def __setattr__(self, name, value): return both()
a, s = A(), S()
"""


@pytest.mark.parametrize(
    "body",
    [
        "out.append(a.p * x)",
        "out.append(a.m() * x)",
        "out.append((a + 1) * x)",
        "out.append(a[1] * x)",
        "out.append(x if a else 1)",
        "out.extend(a)",
        "y = a.p\n    out.append(y * x)",
        "a += x",
        "a[x] = x * x",
        "a[x] += x * x",
        "s.q = x * x",
        "n.append(a.p)",
        "assert a[0]",
        "both()\n    out.append(x)",
    ],
)
def test_what_changes_something_and_raises_does_so_once(body: str) -> None:
    loop = f"for x in parallel(range(6)):\n    {body}\n    k = x * x"
    assert_same(loop, helpers=CHANGES_AND_RAISES, data="out = []\n", places=("module",))
