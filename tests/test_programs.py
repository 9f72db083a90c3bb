"""Programs in which something changes where it is hard to see: the outcome is the plain loop's."""

from __future__ import annotations

import pytest

from tests.same import assert_same

PROGRAMS = {
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
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_leaves_the_same(name: str) -> None:
    assert_same(PROGRAMS[name].lstrip())
