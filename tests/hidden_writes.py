"""Programs that change something out of sight of the loop, and programs that only seem to.

FOUND: reading finds what changes. BEYOND: it does not, and the watch has to. CLEAN: nothing that
outlives the iterations is changed, and workers do the loop.
"""

FOUND = {
    "what looks like a pattern is none": """
class re:
    I = 2
    @staticmethod
    def compile(text, flags): return []
KEPT = re.compile("a", re.I)
class Holder:
    def __init__(self, x): self.kept = [KEPT]; self.n = x
    def add(self): self.kept[0].append(self.n)
out = []
for x in parallel(range(9)):
    holder = Holder(x)
    holder.add()
    out.append(x)
""",
    "a pattern's name that a function binds to something else": """
import re
KEPT = re.compile("a")
def other():
    global KEPT
    KEPT = []
class Holder:
    def __init__(self, x): self.kept = [KEPT]; self.n = x
    def add(self): self.kept[0].append(self.n)
other()
out = []
for x in parallel(range(9)):
    holder = Holder(x)
    holder.add()
    out.append(x)
""",
    "memo's result is changed": """
import functools
@functools.cache
def bag(k): return []
out=[]
for x in parallel(range(30)):
    bag(x%3).append(x)
    out.append(len(bag(x%3)))
""",
    "memo's result is changed in a function": """
import functools
class Part: total=0
@functools.lru_cache(maxsize=None)
def part(k): return Part()
def add(x):
    p=part(x%3)
    p.total+=x
    return p.total
out=[]
for x in parallel(range(30)):
    out.append(add(x))
""",
    "a method's memo's result is changed": """
import functools
class A:
    @functools.cache
    def bag(self,k): return {}
    def add(self,x):
        self.bag(x%3)[x]=1
        return len(self.bag(x%3))
a=A(); out=[]
for x in parallel(range(30)):
    out.append(a.add(x))
""",
    "a singleton that a memo keeps": """
import functools
class Settings:
    def __init__(self): self.used=0
@functools.cache
def settings(): return Settings()
out=[]
for x in parallel(range(30)):
    settings().used+=1
    out.append(settings().used*x)
""",
    "a memo of a function by another name": """
import functools
bag=functools.lru_cache(maxsize=None)(lambda k: [k])
out=[]
for x in parallel(range(30)):
    kept=bag(x%3)
    kept.append(x)
    out.append(list(kept))
""",
    "a memo in a dict": """
import functools
table={"bag": functools.cache(lambda k: [k])}
out=[]
for x in parallel(range(30)):
    table["bag"](x%3).append(x)
    out.append(len(table["bag"](x%3)))
""",
    "a method gives a part of a global": """
import functools
TABLE=[[],[],[]]
class A:
    def bag(self,k): return TABLE[k]
    def add(self,x):
        self.bag(x%3).append(x)
        return x
a=A(); out=[]
for x in parallel(range(30)):
    out.append(a.add(x))
""",
    "global rebound": """
n=0
def f(x):
    global n
    n+=1
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "global dict memo": """
cache={}
def f(x):
    if x not in cache: cache[x%3]=x*x
    return x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "closure cell": """
def make():
    n=0
    def f(x):
        nonlocal n
        n+=1
        return x*n
    return f
f=make()
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "class attribute": """
class C:
    n=0
    def f(self,x):
        C.n+=1
        return x*x
c=C(); out=[]
for x in parallel(range(9)):
    out.append(c.f(x))
""",
    "type(self).n": """
class C:
    n=0
    def f(self,x):
        type(self).n+=1
        return x*x
out=[]
for x in parallel(range(9)):
    out.append(C().f(x))
n=C.n
""",
    "self.__class__.n": """
class C:
    n=0
    def f(self,x):
        self.__class__.n+=1
        return x*x
out=[]
for x in parallel(range(9)):
    out.append(C().f(x))
n=C.n
""",
    "class list": """
class C:
    seen=[]
    def f(self,x):
        self.seen.append(x)
        return x*x
out=[]
for x in parallel(range(9)):
    out.append(C().f(x))
n=C.seen
""",
    "cls in classmethod": """
class C:
    n=0
    @classmethod
    def make(cls,x):
        cls.n+=1
        o=cls(); o.x=x
        return o
out=[]
for x in parallel(range(9)):
    out.append(C.make(x).x**2)
n=C.n
""",
    "classmethod subclass": """
class B:
    n=0
    @classmethod
    def make(cls,x):
        cls.n+=1
        return x*x
class C(B): pass
out=[]
for x in parallel(range(9)):
    out.append(C.make(x))
n=C.n
""",
    "mutable default": """
def f(x, memo={}):
    memo[x]=len(memo)
    return memo[x]+x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "mutable default list in method": """
class A:
    def f(self,x, memo=[]):
        memo.append(x)
        return len(memo)+x*x
a=A()
out=[]
for x in parallel(range(9)):
    out.append(a.f(x))
""",
    "mutable default kwonly": """
def f(x, *, memo=[]):
    memo.append(x)
    return len(memo)+x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "default returned and changed": """
def f(x, memo=[]):
    return memo
out=[]
for x in parallel(range(9)):
    m=f(x)
    m.append(x*x)
    out.append(len(m))
""",
    "function attribute": """
def f(x):
    f.calls+=1
    return x*x
f.calls=0
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "function attribute dict": """
def f(x):
    f.memo[x]=1
    return x*x
f.memo={}
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "decorator counts, wraps": """
import functools
def counted(fn):
    @functools.wraps(fn)
    def w(*a,**k):
        w.calls+=1
        return fn(*a,**k)
    w.calls=0
    return w
@counted
def f(x): return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
n=f.calls
""",
    "decorator counts, no wraps": """
def counted(fn):
    def w(*a,**k):
        w.calls+=1
        return fn(*a,**k)
    w.calls=0
    return w
@counted
def f(x): return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
n=f.calls
""",
    "decorator in cell": """
import functools
log=[]
def logged(into):
    def deco(fn):
        @functools.wraps(fn)
        def w(*a,**k):
            into.append(a)
            return fn(*a,**k)
        return w
    return deco
@logged(log)
def f(x): return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "decorated method": """
import functools
count={}
def counted(fn):
    @functools.wraps(fn)
    def w(self,*a,**k):
        count[fn.__name__]=count.get(fn.__name__,0)+1
        return fn(self,*a,**k)
    return w
class A:
    @counted
    def f(self,x): return x*x
a=A()
out=[]
for x in parallel(range(9)):
    out.append(a.f(x))
""",
    "decorator class": """
class counted:
    def __init__(self,fn): self.fn=fn; self.n=0
    def __call__(self,*a):
        self.n+=1
        return self.fn(*a)
@counted
def f(x): return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
n=f.n
""",
    "decorated inner write": """
import functools
log=[]
def plain(fn):
    @functools.wraps(fn)
    def w(*a,**k):
        return fn(*a,**k)
    return w
@plain
def f(x):
    log.append(x)
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "__init__ registry": """
class A:
    all=[]
    def __init__(self,x):
        self.x=x
        A.all.append(x)
out=[]
for x in parallel(range(9)):
    out.append(A(x).x**2)
n=A.all
""",
    "__new__ counts": """
class A:
    n=0
    def __new__(cls,x):
        A.n+=1
        self=super().__new__(cls)
        self.x=x
        return self
out=[]
for x in parallel(range(9)):
    out.append(A(x).x**2)
n=A.n
""",
    "__new__ singleton": """
class A:
    one=None
    def __new__(cls,*a):
        if cls.one is None: cls.one=super().__new__(cls)
        return cls.one
    def __init__(self,x): self.total=getattr(self,'total',0)+x
out=[]
for x in parallel(range(9)):
    out.append(A(x).total)
""",
    "__new__ interning": """
made={}
class A:
    def __new__(cls,x):
        if x%2 not in made: made[x%2]=super().__new__(cls); made[x%2].n=0
        return made[x%2]
out=[]
for x in parallel(range(9)):
    a=A(x)
    a.n+=x
    out.append(a.n)
""",
    "metaclass __call__": """
class M(type):
    made=[]
    def __call__(cls,*a):
        M.made.append(a)
        return super().__call__(*a)
class A(metaclass=M):
    def __init__(self,x): self.x=x
out=[]
for x in parallel(range(9)):
    out.append(A(x).x**2)
n=M.made
""",
    "metaclass singleton": """
class M(type):
    one={}
    def __call__(cls,*a):
        if cls not in cls.one: cls.one[cls]=super().__call__(*a)
        return cls.one[cls]
class A(metaclass=M):
    def __init__(self,x): self.x=x; self.n=0
    def add(self,y): self.n+=y; return self.n
out=[]
for x in parallel(range(9)):
    out.append(A(x).add(x*x))
""",
    "__init_subclass__": """
class B:
    subs=[]
    def __init_subclass__(cls,**k):
        B.subs.append(cls.__name__)
def f(x):
    class C(B): pass
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
n=B.subs
""",
    "__set_name__": """
names=[]
class D:
    def __set_name__(self,owner,name): names.append(name)
def f(x):
    class C: d=D()
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "__post_init__": """
from dataclasses import dataclass
made=[]
@dataclass
class A:
    x:int
    def __post_init__(self): made.append(self.x)
out=[]
for x in parallel(range(9)):
    out.append(A(x).x**2)
""",
    "default_factory counter": """
from dataclasses import dataclass, field
import itertools
c=itertools.count()
@dataclass
class A:
    x:int
    id:int=field(default_factory=lambda: next(c))
out=[]
for x in parallel(range(9)):
    out.append(A(x).id)
""",
    "default_factory function": """
from dataclasses import dataclass, field
ids=[]
def new():
    ids.append(1)
    return len(ids)
@dataclass
class A:
    x:int
    id:int=field(default_factory=new)
out=[]
for x in parallel(range(9)):
    out.append(A(x).id)
""",
    "inherited __init__": """
class B:
    n=0
    def __init__(self): B.n+=1
class A(B):
    def __init__(self,x):
        super().__init__()
        self.x=x
out=[]
for x in parallel(range(9)):
    out.append(A(x).x**2)
n=B.n
""",
    "super chain": """
log=[]
class A:
    def f(self,x): log.append(x); return x
class B(A):
    def f(self,x): return super().f(x)+1
class C(B):
    def f(self,x): return super().f(x)*2
c=C(); out=[]
for x in parallel(range(9)):
    out.append(c.f(x))
""",
    "super chain self write": """
class A:
    n=0
    def f(self,x): self.n+=1; return x
class B(A):
    def f(self,x): return super().f(x)+1
class C(B):
    def f(self,x): return super().f(x)*2
c=C(); out=[]
for x in parallel(range(9)):
    out.append(c.f(x))
""",
    "mixin super": """
log=[]
class L:
    def f(self,x): log.append(x); return super().f(x)
class A:
    def f(self,x): return x*x
class C(L,A): pass
c=C(); out=[]
for x in parallel(range(9)):
    out.append(c.f(x))
""",
    "super next in mro": """
log=[]
class L:
    def f(self,x): return super().f(x)
class A:
    def f(self,x): log.append(x); return x*x
class C(L,A): pass
c=C(); out=[]
for x in parallel(range(9)):
    out.append(c.f(x))
""",
    "property": """
class A:
    n=0
    @property
    def p(self): self.n+=1; return self.n
a=A(); out=[]
for x in parallel(range(9)):
    out.append(a.p*x)
""",
    "property of global": """
n=[0]
class A:
    @property
    def p(self): n[0]+=1; return n[0]
a=A(); out=[]
for x in parallel(range(9)):
    out.append(a.p*x)
""",
    "property setter": """
log=[]
class A:
    def get(self): return 1
    def set(self,v): log.append(v)
    p=property(get,set)
out=[]
for x in parallel(range(9)):
    b=A()
    b.p=x
    out.append(x*x)
""",
    "property() object": """
log=[]
class A:
    def get(self): log.append(1); return len(log)
    p=property(get)
a=A(); out=[]
for x in parallel(range(9)):
    out.append(a.p*x)
""",
    "property lambda": """
log=[]
class A:
    p=property(lambda s: log.append(1) or len(log))
a=A(); out=[]
for x in parallel(range(9)):
    out.append(a.p*x)
""",
    "property via getattr": """
log=[]
class A:
    @property
    def p(self): log.append(1); return 1
a=A(); out=[]
for x in parallel(range(9)):
    out.append(getattr(a,'p')*x)
""",
    "descriptor __get__": """
class D:
    def __init__(self): self.n=0
    def __get__(self,o,c=None):
        self.n+=1
        return self.n
class A: d=D()
a=A(); out=[]
for x in parallel(range(9)):
    out.append(a.d*x)
""",
    "descriptor __set__": """
log=[]
class D:
    def __set__(self,o,v): log.append(v)
class A: d=D()
out=[]
for x in parallel(range(9)):
    a=A()
    a.d=x
    out.append(x*x)
""",
    "descriptor __get__ on class": """
log=[]
class D:
    def __get__(self,o,c=None): log.append(c.__name__); return 3
class A: d=D()
out=[]
for x in parallel(range(9)):
    out.append(A.d*x)
""",
    "__getattribute__": """
log=[]
class A:
    v=3
    def __getattribute__(self,name):
        if name=='v': log.append(name)
        return object.__getattribute__(self,name)
a=A(); out=[]
for x in parallel(range(9)):
    out.append(a.v*x)
""",
    "__setattr__": """
log=[]
class A:
    def __setattr__(self,k,v): log.append(k); object.__setattr__(self,k,v)
out=[]
for x in parallel(range(9)):
    a=A(); a.x=x
    out.append(a.x**2)
""",
    "__add__": """
log=[]
class V:
    def __init__(self,x): self.x=x
    def __add__(self,o): log.append(1); return V(self.x+o.x)
v=V(3); out=[]
for x in parallel(range(9)):
    out.append((v+V(x)).x)
""",
    "__radd__": """
log=[]
class V:
    def __init__(self,x): self.x=x
    def __radd__(self,o): log.append(1); return self.x+o
v=V(3); out=[]
for x in parallel(range(9)):
    out.append(x+v)
""",
    "__iadd__": """
log=[]
class V:
    def __init__(self,x): self.x=x
    def __iadd__(self,o): log.append(1); self.x+=o; return self
out=[]
for x in parallel(range(9)):
    v=V(x)
    v+=3
    out.append(v.x)
""",
    "__iadd__ of fixed": """
class V:
    def __init__(self,x): self.x=x
    def __iadd__(self,o): self.x+=o; return self
w=V(0); out=[]
for x in parallel(range(9)):
    v=w
    v+=x
    out.append(v.x*2)
""",
    "__add__ that is in place": """
class V:
    def __init__(self,x): self.x=x
    def __add__(self,o): self.x+=o; return self
w=V(0); out=[]
for x in parallel(range(9)):
    v=w+x
    out.append(v.x*2)
""",
    "__getitem__": """
log=[]
class T:
    def __getitem__(self,k): log.append(k); return k*2
t=T(); out=[]
for x in parallel(range(9)):
    out.append(t[x]*2)
""",
    "__missing__": """
class D(dict):
    def __missing__(self,k): self[k]=len(self); return self[k]
t=D(); out=[]
for x in parallel(range(9)):
    out.append(t[x]*x)
""",
    "__contains__": """
log=[]
class T:
    def __contains__(self,k): log.append(k); return k>3
t=T(); out=[]
for x in parallel(range(9)):
    out.append((x in t)*x)
""",
    "__eq__": """
log=[]
class T:
    def __eq__(self,k): log.append(k); return k==3
    __hash__=None
t=T(); out=[]
for x in parallel(range(9)):
    out.append((t==x)*x)
""",
    "__eq__ via in list": """
log=[]
class T:
    def __eq__(self,k): log.append(k); return k==3
    __hash__=None
ts=[T(),T()]; out=[]
for x in parallel(range(9)):
    out.append((x in ts)*x)
""",
    "__hash__ via dict": """
log=[]
class T:
    def __hash__(self): log.append(1); return 3
t=T(); d={t:5}; log.clear(); out=[]
for x in parallel(range(9)):
    out.append(d[t]*x)
""",
    "__iter__": """
log=[]
class T:
    def __iter__(self): log.append(1); return iter((1,2,3))
t=T(); out=[]
for x in parallel(range(9)):
    out.append(sum(t)*x)
""",
    "__iter__ in for": """
log=[]
class T:
    def __iter__(self): log.append(1); return iter((1,2,3))
t=T(); out=[]
for x in parallel(range(9)):
    s=0
    for y in t: s+=y*x
    out.append(s)
""",
    "__iter__ generator, unpack": """
log=[]
class T:
    def __iter__(self):
        log.append(1)
        yield 1
        yield 2
t=T(); out=[]
for x in parallel(range(9)):
    a,b=t
    out.append(a*b*x)
""",
    "__next__": """
class T:
    n=0
    def __iter__(self): return self
    def __next__(self): self.n+=1; return self.n
t=T(); out=[]
for x in parallel(range(9)):
    out.append(next(t)*x)
""",
    "__enter__": """
log=[]
class T:
    def __enter__(self): log.append('in'); return self
    def __exit__(self,*a): log.append('out')
out=[]
for x in parallel(range(9)):
    with T():
        out.append(x*x)
""",
    "__enter__ of fixed": """
class T:
    depth=0
    def __enter__(self): self.depth+=1; return self
    def __exit__(self,*a): pass
t=T(); out=[]
for x in parallel(range(9)):
    with t:
        y=x*x
    out.append(y)
""",
    "contextmanager": """
from contextlib import contextmanager
log=[]
@contextmanager
def cm(x):
    log.append(x)
    yield x
    log.append(-x)
out=[]
for x in parallel(range(9)):
    with cm(x) as y:
        z=y*y
    out.append(z)
""",
    "__bool__": """
log=[]
class T:
    def __bool__(self): log.append(1); return True
t=T(); out=[]
for x in parallel(range(9)):
    out.append(x*x if t else 0)
""",
    "__bool__ not": """
log=[]
class T:
    def __bool__(self): log.append(1); return True
t=T(); out=[]
for x in parallel(range(9)):
    if not t: continue
    out.append(x*x)
""",
    "__bool__ and/or": """
log=[]
class T:
    def __bool__(self): log.append(1); return True
t=T(); out=[]
for x in parallel(range(9)):
    y=t and x*x
    out.append(y)
""",
    "__len__ truth": """
log=[]
class T:
    def __len__(self): log.append(1); return 1
t=T(); out=[]
for x in parallel(range(9)):
    while not t: pass
    out.append(x*x)
""",
    "__format__": """
log=[]
class T:
    def __format__(self,s): log.append(s); return 'T'
t=T(); out=[]
for x in parallel(range(9)):
    out.append(f'{t:>5}{x*x}')
""",
    "__str__ in fstring": """
log=[]
class T:
    def __str__(self): log.append(1); return 'T'
t=T(); out=[]
for x in parallel(range(9)):
    out.append(f'{t}{x*x}')
""",
    "__repr__ in !r": """
log=[]
class T:
    def __repr__(self): log.append(1); return 'T'
t=T(); out=[]
for x in parallel(range(9)):
    out.append(f'{t!r}{x*x}')
""",
    "__repr__ in list repr": """
log=[]
class T:
    def __repr__(self): log.append(1); return 'T'
t=[T()]; out=[]
for x in parallel(range(9)):
    out.append(str(t)+str(x*x))
""",
    "__str__ %": """
log=[]
class T:
    def __str__(self): log.append(1); return 'T'
t=T(); out=[]
for x in parallel(range(9)):
    out.append('%s %d' % (t,x*x))
""",
    "__str__ format": """
log=[]
class T:
    def __str__(self): log.append(1); return 'T'
t=T(); out=[]
for x in parallel(range(9)):
    out.append('{} {}'.format(t,x*x))
""",
    "__lt__ sorted": """
log=[]
class T:
    def __init__(self,k): self.k=k
    def __lt__(self,o): log.append(1); return self.k<o.k
ts=[T(3),T(1),T(2)]; out=[]
for x in parallel(range(9)):
    out.append(sorted(ts)[0].k*x)
""",
    "__lt__ max": """
log=[]
class T:
    def __init__(self,k): self.k=k
    def __gt__(self,o): log.append(1); return self.k>o.k
ts=[T(3),T(1),T(2)]; out=[]
for x in parallel(range(9)):
    out.append(max(ts).k*x)
""",
    "__index__": """
log=[]
class T:
    def __index__(self): log.append(1); return 2
t=T(); xs=[1,2,3]; out=[]
for x in parallel(range(9)):
    out.append(xs[t]*x)
""",
    "__float__": """
log=[]
class T:
    def __float__(self): log.append(1); return 2.
t=T(); out=[]
for x in parallel(range(9)):
    out.append(float(t)*x)
""",
    "__int__ int()": """
log=[]
class T:
    def __int__(self): log.append(1); return 2
t=T(); out=[]
for x in parallel(range(9)):
    out.append(int(t)*x)
""",
    "math.sqrt of __float__": """
import math
log=[]
class T:
    def __float__(self): log.append(1); return 4.
t=T(); out=[]
for x in parallel(range(9)):
    out.append(math.sqrt(t)*x)
""",
    "__abs__ abs()": """
log=[]
class T:
    def __abs__(self): log.append(1); return 4.
t=T(); out=[]
for x in parallel(range(9)):
    out.append(abs(t)*x)
""",
    "__round__": """
log=[]
class T:
    def __round__(self,n=0): log.append(1); return 4.
t=T(); out=[]
for x in parallel(range(9)):
    out.append(round(t)*x)
""",
    "__neg__": """
log=[]
class T:
    def __neg__(self): log.append(1); return 4.
t=T(); out=[]
for x in parallel(range(9)):
    out.append(-t*x)
""",
    "__reversed__": """
log=[]
class T:
    def __reversed__(self): log.append(1); return [3,2]
t=T(); out=[]
for x in parallel(range(9)):
    out.append(sum(reversed(t))*x)
""",
    "__instancecheck__": """
log=[]
class M(type):
    def __instancecheck__(cls,o): log.append(1); return True
class T(metaclass=M): pass
out=[]
for x in parallel(range(9)):
    out.append(isinstance(x,T)*x*x)
""",
    "__class_getitem__": """
log=[]
class T:
    def __class_getitem__(cls,k): log.append(k); return k
out=[]
for x in parallel(range(9)):
    out.append(T[x]*x)
""",
    "__del__": """
log=[]
class T:
    def __init__(self,x): self.x=x
    def __del__(self): log.append(self.x)
out=[]
for x in parallel(range(9)):
    t=T(x)
    out.append(t.x**2)
del t
""",
    "__delitem__": """
log=[]
class T:
    def __delitem__(self,k): log.append(k)
out=[]
for x in parallel(range(9)):
    t=T()
    del t[x]
    out.append(x*x)
""",
    "__setitem__": """
log=[]
class T:
    def __setitem__(self,k,v): log.append((k,v))
out=[]
for x in parallel(range(9)):
    t=T()
    t[x]=x
    out.append(x*x)
""",
    "__matmul__": """
log=[]
class T:
    def __matmul__(self,k): log.append(k); return k
t=T(); out=[]
for x in parallel(range(9)):
    out.append((t@x)*x)
""",
    "__copy__": """
import copy
log=[]
class T:
    def __copy__(self): log.append(1); return self
t=T(); out=[]
for x in parallel(range(9)):
    c=copy.copy(t)
    out.append(x*x)
del c
""",
    "generator global": """
log=[]
def g(x):
    for i in range(x):
        log.append(i)
        yield i*x
out=[]
for x in parallel(range(9)):
    out.append(sum(g(x)))
""",
    "generator method self": """
class A:
    n=0
    def g(self,x):
        for i in range(x):
            self.n+=1
            yield i*x
a=A(); out=[]
for x in parallel(range(9)):
    out.append(sum(a.g(x)))
""",
    "generator yield from": """
log=[]
def h(x):
    log.append(x)
    yield x
def g(x):
    yield from h(x)
out=[]
for x in parallel(range(9)):
    out.append(sum(g(x))*x)
""",
    "comprehension call": """
log=[]
def f(x): log.append(x); return x
out=[]
for x in parallel(range(9)):
    out.append([f(y)*x for y in range(3)])
""",
    "comprehension condition": """
seen=set()
out=[]
for x in parallel([1,2,1,3,2]):
    out.append([y*x for y in range(4) if not (y in seen or seen.add(y))])
""",
    "lambda global": """
log=[]
f=lambda x: (log.append(x), x*x)[1]
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "lambda in dict": """
log=[]
fs={'a': lambda x: (log.append(x), x*x)[1]}
out=[]
for x in parallel(range(9)):
    out.append(fs['a'](x))
""",
    "sorted key": """
log=[]
def key(y): log.append(y); return -y
out=[]
for x in parallel(range(9)):
    out.append(sorted([1,2,x],key=key))
""",
    "list.sort key": """
log=[]
def key(y): log.append(y); return -y
out=[]
for x in parallel(range(9)):
    l=[1,2,x]
    l.sort(key=key)
    out.append(l)
""",
    "min key lambda": """
log=[]
out=[]
for x in parallel(range(9)):
    out.append(min([1,2,x],key=lambda y: (log.append(y), -y)[1])*x)
""",
    "map": """
log=[]
def f(y): log.append(y); return -y
out=[]
for x in parallel(range(9)):
    out.append(list(map(f,[1,2,x])))
""",
    "map of method": """
class A:
    n=0
    def f(self,y): self.n+=1; return -y*self.n
a=A()
out=[]
for x in parallel(range(9)):
    out.append(list(map(a.f,[1,2,x])))
""",
    "filter": """
log=[]
def f(y): log.append(y); return y>1
out=[]
for x in parallel(range(9)):
    out.append(list(filter(f,[1,2,x*x])))
""",
    "reduce": """
import functools
log=[]
def f(a,b): log.append(b); return a+b
out=[]
for x in parallel(range(9)):
    out.append(functools.reduce(f,[1,2,x*x]))
""",
    "partial": """
import functools
log=[]
def f(a,b): log.append(b); return a+b
g=functools.partial(f,3)
out=[]
for x in parallel(range(9)):
    out.append(g(x)*x)
""",
    "partial made inside": """
import functools
log=[]
def f(a,b): log.append(b); return a+b
out=[]
for x in parallel(range(9)):
    g=functools.partial(f,3)
    out.append(g(x)*x)
del g
""",
    "partial of list arg": """
import functools
acc=[]
def f(a,b): a.append(b); return b
g=functools.partial(f,acc)
out=[]
for x in parallel(range(9)):
    out.append(g(x)*x)
""",
    "singledispatch": """
import functools
log=[]
@functools.singledispatch
def f(x): return 0
@f.register
def _(x:int): log.append(x); return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "registered with a library's object": """
import functools
@functools.singledispatch
def show(x): return "any"
kinds=[type(f"K{n}",(),{}) for n in range(6)]
def work(k):
    show.register(k)(lambda x: k.__name__)
    return k.__name__
out=[]
for k in parallel(kinds):
    out.append(work(k))
out+=[show(k()) for k in kinds]
del kinds, k
""",
    "registered by a decorator of a library's object": """
import functools
@functools.singledispatch
def show(x): return "any"
kinds=[type(f"K{n}",(),{}) for n in range(6)]
def work(k):
    @show.register(k)
    def _(x): return k.__name__
    return k.__name__
out=[]
for k in parallel(kinds):
    out.append(work(k))
out+=[show(k()) for k in kinds]
del kinds, k
""",
    "functions that items keep": """
log=[]
class Task:
    def __init__(self,k): self.done=lambda x: (log.append(x+k),x)[1]
tasks=[Task(k) for k in range(6)]
out=[]
for t in parallel(tasks):
    out.append(t.done(1))
del tasks, t
""",
    "functions that items keep, called in a function": """
log=[]
class Task:
    def __init__(self,k): self.done=lambda x: (log.append(x+k),x)[1]
def work(task,x): return task.done(x)
tasks=[Task(k) for k in range(6)]
out=[]
for i,t in parallel(enumerate(tasks)):
    out.append(work(t,i))
del tasks, t
""",
    "functions in lists of items, by a default": """
log=[]
tasks=[[k,lambda x,memo=log: (memo.append(x),len(memo))[1]] for k in range(6)]
out=[]
for t in parallel(tasks):
    out.append(t[1](t[0]))
del tasks, t
""",
    "functions in lists in tuples, in a generator": """
log=[]
tasks=[(k,[lambda v,k=k: log.append((k,v)) or v]) for k in range(9)]
out=[]
for k,fs in parallel(tasks):
    r=sum(f(k*2) for f in fs)
    out.append(r)
del tasks, fs
""",
    "functions in a list that items have": """
log=[]
class Task:
    def __init__(self,k): self.then=[lambda x: (log.append(x+k),x)[1]]
tasks=[Task(k) for k in range(6)]
out=[]
for t in parallel(tasks):
    y=0
    for f in t.then: y+=f(1)
    out.append(y)
del tasks, t, f
""",
    "functions in tuples of a dict's values": """
log=[]
def made(k):
    def f(x): log.append(x); return x*k
    return f
tasks={k:(k,made(k)) for k in range(6)}
out=[]
for k,f in parallel(tasks.values()):
    out.append(f(k))
del tasks, f
""",
    "itertools.accumulate fn": """
import itertools
log=[]
def f(a,b): log.append(b); return a+b
out=[]
for x in parallel(range(9)):
    out.append(list(itertools.accumulate([1,2,x],f)))
""",
    "itertools.starmap": """
import itertools
log=[]
def f(a,b): log.append(b); return a+b
out=[]
for x in parallel(range(9)):
    out.append(list(itertools.starmap(f,[(1,2),(2,x)])))
""",
    "groupby key": """
import itertools
log=[]
def f(a): log.append(a); return a%2
out=[]
for x in parallel(range(9)):
    out.append([(k,list(g)) for k,g in itertools.groupby([1,3,x],f)])
""",
    "np.vectorize": """
import numpy as np
log=[]
def f(a): log.append(float(a)); return a*2
g=np.vectorize(f,otypes=[float])
out=[]
for x in parallel(range(9)):
    out.append(g(np.arange(x+1.)).sum())
""",
    "np.apply_along_axis": """
import numpy as np
log=[]
def f(a): log.append(1); return a.sum()
A=np.ones((3,3)); out=[]
for x in parallel(range(9)):
    out.append(np.apply_along_axis(f,0,A).sum()*x)
""",
    "re.sub callback": """
import re
log=[]
def f(m): log.append(m.group()); return 'x'
out=[]
for x in parallel(range(9)):
    out.append(re.sub('[0-9]',f,'a%d'%x))
""",
    "callback passed down": """
log=[]
def note(y): log.append(y)
def work(x,cb):
    cb(x)
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(work(x,note))
""",
    "callback in attribute": """
log=[]
class A:
    def __init__(self,cb): self.cb=cb
    def work(self,x): self.cb(x); return x*x
a=A(log.append)
out=[]
for x in parallel(range(9)):
    out.append(a.work(x))
""",
    "callbacks list": """
log=[]
def note(y): log.append(y)
hooks=[note]
out=[]
for x in parallel(range(9)):
    for h in hooks: h(x)
    out.append(x*x)
""",
    "callbacks list in function": """
log=[]
def note(y): log.append(y)
hooks=[note]
def fire(x):
    for h in hooks: h(x)
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(fire(x))
""",
    "dispatch dict": """
log=[]
def a(x): log.append(x); return x
def b(x): return x*2
table={0:a,1:b}
out=[]
for x in parallel(range(9)):
    out.append(table[x%2](x)*x)
""",
    "getattr dispatch": """
class A:
    n=0
    def do_a(self,x): self.n+=1; return x
    def do_b(self,x): return x*2
a=A()
out=[]
for x in parallel(range(9)):
    out.append(getattr(a,'do_'+'ab'[x%2])(x)*x)
""",
    "bound method var": """
class A:
    n=0
    def f(self,x): self.n+=1; return x*self.n
a=A(); g=a.f
out=[]
for x in parallel(range(9)):
    out.append(g(x)*x)
""",
    "bound append var": """
log=[]; note=log.append
def f(x): note(x); return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "static method": """
log=[]
class A:
    @staticmethod
    def f(x): log.append(x); return x*x
out=[]
for x in parallel(range(9)):
    out.append(A.f(x))
""",
    "class through instance attr": """
class C:
    n=0
class A:
    kind=C
    def f(self,x): self.kind.n+=1; return x*x
a=A(); out=[]
for x in parallel(range(9)):
    out.append(a.f(x))
n=C.n
""",
    "arg changed deep": """
def g(v): v[0]+=1
def f(v,x): g(v); return x*x
v=[0]; out=[]
for x in parallel(range(9)):
    out.append(f(v,x))
""",
    "arg attr changed deep": """
class S: n=0
def g(s): s.n+=1
def f(s,x): g(s); return x*x
s=S(); out=[]
for x in parallel(range(9)):
    out.append(f(s,x))
""",
    "self through other object": """
class Log:
    def __init__(self): self.lines=[]
    def note(self,x): self.lines.append(x)
class A:
    def __init__(self,log): self.log=log
    def f(self,x): self.log.note(x); return x*x
log=Log(); a=A(log); out=[]
for x in parallel(range(9)):
    out.append(a.f(x))
""",
    "memo dict on self": """
class A:
    def __init__(self): self.memo={}
    def f(self,x):
        if x in self.memo: return self.memo[x]
        self.memo[x]=r=x*x
        return r
a=A(); out=[]
for x in parallel([1,2,1,3]):
    out.append(a.f(x))
""",
    "try except memo": """
memo={}
def f(x):
    try: return memo[x]
    except KeyError:
        memo[x]=x*x
        return memo[x]
out=[]
for x in parallel([1,2,1,3]):
    out.append(f(x))
""",
    "recursion with memo": """
memo={}
def fib(n):
    if n<2: return n
    if n not in memo: memo[n]=fib(n-1)+fib(n-2)
    return memo[n]
out=[]
for x in parallel(range(9)):
    out.append(fib(x))
""",
    "mutual recursion": """
log=[]
def a(n): return 0 if n==0 else b(n-1)
def b(n):
    log.append(n)
    return 0 if n==0 else a(n-1)
out=[]
for x in parallel(range(9)):
    out.append(a(x)+x)
""",
    "depth 10": """
log=[]
def f0(x): log.append(x); return x
def f1(x): return f0(x)+1
def f2(x): return f1(x)+1
def f3(x): return f2(x)+1
def f4(x): return f3(x)+1
def f5(x): return f4(x)+1
def f6(x): return f5(x)+1
def f7(x): return f6(x)+1
def f8(x): return f7(x)+1
def f9(x): return f8(x)+1
def f10(x): return f9(x)+1
out=[]
for x in parallel(range(9)):
    out.append(f10(x)*x)
""",
    "depth 16": """
log=[]
def f0(x): log.append(x); return x
def f1(x): return f0(x)+1
def f2(x): return f1(x)+1
def f3(x): return f2(x)+1
def f4(x): return f3(x)+1
def f5(x): return f4(x)+1
def f6(x): return f5(x)+1
def f7(x): return f6(x)+1
def f8(x): return f7(x)+1
def f9(x): return f8(x)+1
def f10(x): return f9(x)+1
def f11(x): return f10(x)+1
def f12(x): return f11(x)+1
def f13(x): return f12(x)+1
def f14(x): return f13(x)+1
def f15(x): return f14(x)+1
def f16(x): return f15(x)+1
out=[]
for x in parallel(range(9)):
    out.append(f16(x)*x)
""",
    "nested function write": """
log=[]
def f(x):
    def g(y): log.append(y)
    g(x)
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "inner class write": """
log=[]
def f(x):
    class K:
        def go(self): log.append(x)
    K().go()
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "math.sqrt spied": """
import math
real=math.sqrt
log=[]
def spy(x): log.append(x); return real(x)
math.sqrt=spy
out=[]
for x in parallel(range(9)):
    out.append(math.sqrt(x))
math.sqrt=real
""",
    "from math import sqrt spied": """
import math
real=math.sqrt
log=[]
def spy(x): log.append(x); return real(x)
math.sqrt=spy
from math import sqrt
out=[]
for x in parallel(range(9)):
    out.append(sqrt(x))
math.sqrt=real
""",
    "np.sum spied": """
import numpy as np
real=np.sum
log=[]
def spy(x): log.append(1); return real(x)
np.sum=spy
out=[]
for x in parallel(range(9)):
    out.append(float(np.sum([x,x])))
np.sum=real
""",
    "json.dumps spied in function": """
import json
real=json.dumps
log=[]
def spy(x): log.append(1); return real(x)
json.dumps=spy
def f(x): return json.dumps([x])
out=[]
for x in parallel(range(9)):
    out.append(f(x))
json.dumps=real
""",
    "method patched on class": """
log=[]
class A:
    def f(self,x): return x*x
def g(self,x): log.append(x); return x*x
A.f=g
a=A(); out=[]
for x in parallel(range(9)):
    out.append(a.f(x))
""",
    "method patched on instance": """
log=[]
class A:
    def f(self,x): return x*x
a=A()
a.f=lambda x: (log.append(x),x*x)[1]
out=[]
for x in parallel(range(9)):
    out.append(a.f(x))
""",
    "function rebound": """
log=[]
def f(x): return x*x
def g(x): log.append(x); return x*x
f=g
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "function chosen": """
log=[]
def f(x): return x*x
def g(x): log.append(x); return x*x
h=f if len(log) else g
out=[]
for x in parallel(range(9)):
    out.append(h(x))
""",
    "function from factory": """
log=[]
def make(k):
    def g(x): log.append(x); return x*k
    return g
out=[]
for x in parallel(range(9)):
    out.append(make(2)(x)*x)
""",
    "walrus attr": """
class S: last=0
def f(s,x):
    if (y:=x*x)>3: s.last=y
    return y
s=S(); out=[]
for x in parallel(range(9)):
    out.append(f(s,x))
""",
    "global via globals()": """
n=0
def f(x):
    globals()['n']+=1
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "global via sys.modules": """
import sys
n=0
def f(x):
    sys.modules[__name__].n+=1
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "setattr on module": """
import sys
n=0
def f(x):
    setattr(sys.modules[__name__],'n',n+1)
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "object.__setattr__": """
class S: n=0
s=S()
def f(x):
    object.__setattr__(s,'n',s.n+1)
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "vars update": """
class S: n=0
s=S()
def f(x):
    s.__dict__['n']=s.n+1
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "with lock counter": """
import threading
lock=threading.Lock(); n=0
def f(x):
    global n
    with lock:
        n+=1
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "weakref dict": """
import weakref
class K: pass
k=K(); d=weakref.WeakKeyDictionary()
def f(x):
    d[k]=x
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
n=d[k]
del d,k
""",
    "UserDict": """
from collections import UserDict
d=UserDict()
def f(x):
    d[x]=x
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "Counter update in function": """
from collections import Counter
c=Counter()
def f(x):
    c.update('ab')
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "enum member attr": """
from enum import Enum
class E(Enum):
    A=1
    B=2
def f(x):
    E.A.n=getattr(E.A,'n',0)+x
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
n=E.A.n
""",
    "namedtuple holding list": """
from collections import namedtuple
P=namedtuple('P','a b')
p=P([],1)
def f(p,x):
    p.a.append(x)
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(p,x))
""",
    "tuple unpack arg": """
def f(pair,x):
    a,b=pair
    a.append(x)
    return x*x
p=([],1)
out=[]
for x in parallel(range(9)):
    out.append(f(p,x))
""",
    "star args": """
def f(*args):
    args[0].append(args[1])
    return args[1]**2
p=[]
out=[]
for x in parallel(range(9)):
    out.append(f(p,x))
""",
    "star kwargs": """
def f(**kw):
    kw['log'].append(kw['x'])
    return kw['x']**2
p=[]
out=[]
for x in parallel(range(9)):
    out.append(f(log=p,x=x))
""",
    "kwargs passed": """
def f(x,log):
    log.append(x)
    return x**2
p=dict(log=[])
out=[]
for x in parallel(range(9)):
    out.append(f(x,**p))
""",
    "generator expression argument": """
log=[]
def note(y): log.append(y); return y
out=[]
for x in parallel(range(9)):
    out.append(sum(note(y)*x for y in range(3)))
""",
    "any with side effect": """
log=[]
def note(y): log.append(y); return y>1
out=[]
for x in parallel(range(9)):
    out.append(any(note(y) for y in range(3))*x*x)
""",
    "assert side effect": """
log=[]
def note(y): log.append(y); return True
out=[]
for x in parallel(range(9)):
    assert note(x)
    out.append(x*x)
""",
    "default argument evaluated": """
log=[]
def note(y): log.append(y); return y
out=[]
for x in parallel(range(9)):
    def g(z=note(x)): return z
    out.append(g()*x)
del g
""",
    "decorator in body": """
reg=[]
def register(f): reg.append(f.__name__); return f
out=[]
for x in parallel(range(9)):
    @register
    def g(z): return z*2
    out.append(g(x))
del g
""",
    "raise with side effect": """
log=[]
class E(Exception):
    def __init__(self,x): log.append(x); super().__init__(x)
out=[]
for x in parallel(range(9)):
    try:
        raise E(x)
    except E as e:
        out.append(e.args[0]**2)
""",
    "subscript augmented property": """
class A:
    def __init__(self): self.v=[0]
    @property
    def p(self): return self.v
a=A(); out=[]
for x in parallel(range(9)):
    a.p[0]+=x
    out.append(x*x)
""",
    "slots object": """
class A:
    __slots__=('n',)
    def __init__(self): self.n=0
    def f(self,x): self.n+=1; return x*self.n
a=A(); out=[]
for x in parallel(range(9)):
    out.append(a.f(x))
""",
    "lru_cache method printing": """
import functools
calls=[]
@functools.lru_cache
def f(x): calls.append(x); return x*x
out=[]
for x in parallel([1,2,1,2,3]):
    out.append(f(x))
""",
    "cached_property visible": """
import functools
made=[]
class A:
    @functools.cached_property
    def p(self): made.append(1); return 3
a=A(); out=[]
for x in parallel(range(9)):
    out.append(a.p*x)
""",
    "match on property": """
log=[]
class A:
    @property
    def p(self): log.append(1); return 2
a=A(); out=[]
for x in parallel(range(9)):
    match a:
        case A(p=2): y=x*x
        case _: y=0
    out.append(y)
""",
    "class body of called function": """
log=[]
def f(x):
    class K:
        log.append(x)
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "import side effect": """
import sys
log=[]
def f(x):
    import math
    math.marker=x
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
import math
n=math.marker
del math.marker
""",
    "thread": """
import threading
log=[]
def f(x):
    t=threading.Thread(target=log.append,args=(x,)); t.start(); t.join()
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "atexit/weakref callback": """
import weakref
log=[]
class K: pass
def f(x):
    k=K()
    weakref.finalize(k,log.append,x)
    del k
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "contextvar": """
import contextvars
v=contextvars.ContextVar('v',default=0)
def f(x):
    v.set(v.get()+x)
    return x*v.get()
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "generator send": """
def acc():
    t=0
    while True:
        x=yield t
        t+=x
g=acc(); next(g)
def f(x): return g.send(x)*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
del g
""",
    "zip iter in function": """
it=iter(range(100))
def f(x): return list(zip([1,2],it))[0][1]*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
left=list(it)
""",
    "np view arg changed": """
import numpy as np
A=np.zeros((3,4))
def f(r,x): r+=x; return float(r.sum())
out=[]
for x in parallel(range(9)):
    out.append(f(A[x%3],x))
""",
    "np ufunc at": """
import numpy as np
h=np.zeros(5)
def f(x): np.add.at(h,[x%5],1); return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "np out param positional": """
import numpy as np
buf=np.zeros(5)
def f(x): np.add(buf,x,buf); return float(buf.sum())
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "np setflags": """
import numpy as np
a=np.zeros(5)
def f(x): a.shape=(5,1) if x%2 else (1,5); return a.shape[0]*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "np.nditer write": """
import numpy as np
a=np.zeros(5)
def f(x):
    with np.nditer(a,op_flags=['readwrite']) as it:
        for y in it: y[...]=x
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "np flat": """
import numpy as np
a=np.zeros((5,2))
def f(x):
    a.flat[x]=x
    a.T[1,0]+=1
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "memoryview": """
b=bytearray(10)
m=memoryview(b)
def f(x):
    m[x]=x
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
m.release()
""",
    "struct pack_into": """
import struct
b=bytearray(100)
def f(x):
    struct.pack_into('i',b,x*4,x)
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "operator.setitem": """
import operator
d={}
def f(x):
    operator.setitem(d,x,x)
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "operator.iadd": """
import operator
d=[]
def f(x):
    operator.iadd(d,[x])
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "from operator import setitem as s": """
from operator import setitem as s
d={}
out=[]
for x in parallel(range(9)):
    s(d,x,x*x)
    out.append(x*x)
""",
    "os.environ": """
import os
def f(x):
    os.environ['ALLC_T']=str(x)
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
n=os.environ.pop('ALLC_T')
""",
    "os.environ by from": """
from os import environ
def f(x):
    environ['ALLC_T']=str(x)
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
n=environ.pop('ALLC_T')
""",
    "decimal context": """
import decimal
def f(x):
    decimal.getcontext().prec=5+x
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
n=decimal.getcontext().prec
decimal.getcontext().prec=28
""",
    "ctypes buffer": """
import ctypes
a=(ctypes.c_int*10)()
def f(x):
    a[x]=x
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
n=list(a)
del a
""",
    "ctypes memmove": """
import ctypes
a=ctypes.create_string_buffer(10)
def f(x):
    ctypes.memset(a,x+60,x+1)
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
n=a.raw
del a
""",
    "array module": """
from array import array
a=array('i')
def f(x):
    a.append(x)
    a.frombytes(b'abcd')
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
n=list(a)
""",
    "io StringIO": """
import io
s=io.StringIO()
def f(x):
    print(x,file=s)
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
n=s.getvalue()
del s
""",
    "csv writer": """
import io, csv
s=io.StringIO(); w=csv.writer(s)
def f(x):
    w.writerow([x])
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
n=s.getvalue()
del s,w
""",
    "logging level": """
import logging
log=logging.getLogger('allc');
def f(x):
    log.setLevel(x+10)
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
n=log.level
log.setLevel(0)
""",
    "random": """
import random
random.seed(3)
def f(x): return random.random()*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "accessor of global": """
CACHE=[]
def get(): return CACHE
out=[]
for x in parallel(range(9)):
    c=get()
    c.append(x*x)
    out.append(x)
""",
    "accessor of global, at once": """
CACHE=[]
def get(): return CACHE
def f(x):
    get().append(x)
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "accessor of global, chained": """
CACHE={}
def get(k): return CACHE.setdefault(k,[])
def f(x):
    get(x%2).append(x)
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "accessor of class attr": """
class C:
    one=None
    @classmethod
    def get(cls):
        return REG
REG=[]
out=[]
for x in parallel(range(9)):
    C.get().append(x)
    out.append(x*x)
""",
    "singleton getter": """
class S:
    def __init__(self): self.n=0
ONE=S()
def get(): return ONE
def f(x):
    s=get()
    s.n+=x
    return s.n
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "star args second": """
def f(*args):
    args[1].append(args[0])
    return args[0]**2
p=[]
out=[]
for x in parallel(range(9)):
    out.append(f(x,p))
""",
    "star args after one": """
def f(x,*rest):
    for r in rest: r.append(x)
    return x**2
p=[];q=[]
out=[]
for x in parallel(range(9)):
    out.append(f(x,p,q))
""",
    "plan of other function": """
log=[]
def pure(x): return x*x
def noisy(x): log.append(x); return x*x
def go(f):
    out=[]
    for x in parallel(range(9)):
        out.append(f(x))
    return out
a=go(pure); b=go(noisy)
""",
    "plan of other object": """
class P:
    def f(self,x): return x*x
class N:
    def __init__(self): self.n=0
    def f(self,x): self.n+=x; return self.n
def go(o):
    out=[]
    for x in parallel(range(9)):
        out.append(o.f(x))
    return out
n=N()
a=go(P()); b=go(n)
""",
    "global rebound between": """
log=[]
def step(x): return x*x
def go():
    out=[]
    for x in parallel(range(9)):
        out.append(step(x))
    return out
a=go()
def noisy(x): log.append(x); return x*x
step=noisy
b=go()
""",
    "closure in class": """
def make():
    n=[0]
    class A:
        def f(self,x): n[0]+=1; return x*n[0]
    return A()
a=make(); out=[]
for x in parallel(range(9)):
    out.append(a.f(x))
""",
    "nested attr method": """
class Log:
    def __init__(self): self.n=0
    def hit(self): self.n+=1
class A:
    def __init__(self): self.log=Log()
    def f(self,x): self.log.hit(); return x*x
a=A(); out=[]
for x in parallel(range(9)):
    out.append(a.f(x))
""",
    "item of list method": """
class A:
    def __init__(self): self.n=0
    def f(self,x): self.n+=1; return x*x
xs=[A(),A()]; out=[]
for x in parallel(range(9)):
    out.append(xs[x%2].f(x))
""",
    "dict of objects in function": """
class A:
    def __init__(self): self.n=0
    def hit(self): self.n+=1
reg={'a':A()}
def f(x):
    reg['a'].hit()
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "lambda default": """
log=[]
def f(x, cb=lambda y: log.append(y)):
    cb(x)
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "default is function": """
log=[]
def note(y): log.append(y)
def f(x, cb=note):
    cb(x)
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "instance callable attr": """
log=[]
class A:
    def __init__(self,act): self.act=act
    def f(self,x): return self.act(x)
def act(x): log.append(x); return x*x
a=A(act); out=[]
for x in parallel(range(9)):
    out.append(a.f(x))
""",
    "strategy object": """
class S:
    def __init__(self): self.n=0
    def run(self,x): self.n+=1; return x*self.n
class A:
    def __init__(self,s): self.s=s
    def f(self,x): return self.s.run(x)
s=S(); a=A(s); out=[]
for x in parallel(range(9)):
    out.append(a.f(x))
""",
    "next(counter) in class attr": """
import itertools
class A:
    ids=itertools.count()
    def __init__(self): self.id=next(A.ids)
out=[]
for x in parallel(range(9)):
    out.append(A().id*x)
""",
    "self dict update": """
class A:
    def __init__(self): self.d={}
    def f(self,x): self.d.update({x:x}); return x*x
a=A(); out=[]
for x in parallel(range(9)):
    out.append(a.f(x))
""",
    "del global item": """
d={i:i for i in range(9)}
def f(x):
    del d[x]
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "swap in list arg": """
def f(v,x):
    v[0],v[1]=v[1],v[0]
    return v[0]*x
v=[1,2]; out=[]
for x in parallel(range(9)):
    out.append(f(v,x))
""",
    "for target attribute": """
class S: k=0
def f(s,x):
    for s.k in range(x): pass
    return x*x
s=S(); out=[]
for x in parallel(range(9)):
    out.append(f(s,x))
""",
    "with as attribute": """
import contextlib
class S: k=0
def f(s,x):
    with contextlib.nullcontext(x) as s.k: pass
    return x*x
s=S(); out=[]
for x in parallel(range(9)):
    out.append(f(s,x))
""",
    "unittest mock": """
from unittest.mock import Mock
m=Mock(return_value=3)
out=[]
for x in parallel(range(9)):
    out.append(m(x)*x)
n=m.call_count
del m
""",
    "inherit from list": """
class L(list):
    def note(self,x): self.append(x); return x*x
l=L(); out=[]
for x in parallel(range(9)):
    out.append(l.note(x))
""",
    "super append": """
class L(list):
    def note(self,x): super().append(x); return x*x
l=L(); out=[]
for x in parallel(range(9)):
    out.append(l.note(x))
""",
    "dict subclass setitem super": """
class L(dict):
    def note(self,x): super().__setitem__(x,x); return x*x
l=L(); out=[]
for x in parallel(range(9)):
    out.append(l.note(x))
""",
    "global np array in function": """
import numpy as np
A=np.zeros(9)
def f(x):
    A[x]=x
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "out= in method": """
import numpy as np
class M:
    def __init__(self): self.buf=np.zeros(4)
    def f(self,x):
        np.multiply([1,2,3,4],x,out=self.buf)
        return float(self.buf.sum())
m=M(); out=[]
for x in parallel(range(9)):
    out.append(m.f(x))
""",
    "in-place sort of arg": """
def med(v):
    v.sort()
    return v[len(v)//2]
data=[5,3,1,2]; out=[]
for x in parallel(range(9)):
    out.append(med(data)*x)
""",
    "pop from global stack": """
stack=list(range(20))
def f(x): return stack.pop()*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
""",
    "process: seterr": """
import numpy as np
out=[]
old=np.seterr(all='ignore')
for i in parallel(range(4)):
    np.seterr(divide='raise')
    try:
        y=float(np.float64(1)/np.float64(0))
    except FloatingPointError: y=-1.
    out.append(y)
np.seterr(**old)
""",
    "process: setcontext": """
import decimal
out=[]
for i in parallel(range(4)):
    decimal.setcontext(decimal.Context(prec=5+i))
    out.append(str(decimal.Decimal(1)/3))
decimal.setcontext(decimal.Context())
""",
    "process: recursion": """
import sys
out=[]
for i in parallel(range(4)):
    sys.setrecursionlimit(1500+i)
    out.append(sys.getrecursionlimit()*2)
sys.setrecursionlimit(1000)
""",
    "process: environ": """
import os
out=[]
for i in parallel(range(4)):
    os.environ['X_Y']=str(i)
    out.append(os.path.expandvars('$X_Y')*2)
del os.environ['X_Y']
""",
    "process: decimal precision": """
from decimal import Decimal, getcontext
out=[]
for i in parallel(range(4)):
    getcontext().prec=i+4
    out.append(str(Decimal(1)/3))
getcontext().prec=28
""",
    "class attribute read through an object": """
class C:
    n=0
c=C(); out=[]
for x in parallel(range(9)):
    C.n+=x
    out.append((c.n+x)**2)
""",
    "class attribute read by a method": """
class C:
    n=0
    def f(self,x): return (self.n+x)**2
c=C(); out=[]
for x in parallel(range(9)):
    C.n+=x
    out.append(c.f(x))
""",
    "class attribute of a base": """
class B: n=0
class C(B):
    def f(self,x): return (self.n+x)**2
c=C(); out=[]
for x in parallel(range(9)):
    B.n+=x
    out.append(c.f(x))
""",
    "class attribute read by a fresh object": """
class C:
    n=0
    def f(self,x): return (self.n+x)**2
out=[]
for x in parallel(range(9)):
    C.n+=x
    out.append(C().f(x))
""",
    "class attribute read by type(self)": """
class C:
    n=0
    def f(self,x): return (type(self).n+x)**2
c=C(); out=[]
for x in parallel(range(9)):
    C.n+=x
    out.append(c.f(x))
""",
    "global read by a called function while a commit rebinds": """
n=0
def f(x): return (n+x)**2
out=[]
for x in parallel(range(9)):
    n+=x
    out.append(f(x))
""",
    "function attribute read while a commit changes it": """
def f(x): return (f.n+x)**2
f.n=0
out=[]
for x in parallel(range(9)):
    f.n+=x
    out.append(f(x))
""",
    "closure read while changed": """
def make():
    n=[0]
    def get(x): return (n[0]+x)**2
    def add(x): n[0]+=x
    return get,add
get,add=make(); out=[]
for x in parallel(range(9)):
    add(x)
    out.append(get(x))
""",
    "nonlocal read while changed": """
def make():
    n=0
    def get(x): return (n+x)**2
    def add(x):
        nonlocal n
        n+=x
    return get,add
get,add=make(); out=[]
for x in parallel(range(9)):
    add(x)
    out.append(get(x))
""",
    "default read while changed": """
def get(x,memo=[0]): return (memo[0]+x)**2
out=[]
for x in parallel(range(9)):
    get.__defaults__[0][0]+=x
    out.append(get(x))
""",
    "module attribute read while changed": """
import math
math.k=0
def f(x): return (math.k+x)**2
out=[]
for x in parallel(range(9)):
    math.k+=x
    out.append(f(x))
n=math.k; del math.k
""",
    "module set by setattr": """
import math
def f(x):
    setattr(math,'k',x)
    return x*x
out=[]
for x in parallel(range(9)):
    out.append(f(x))
n=math.k; del math.k
""",
    "object in two places": """
class S:
    def __init__(self): self.n=0
class A:
    def __init__(self,s): self.s=s
    def f(self,x): return (self.s.n+x)**2
s=S(); a=A(s); out=[]
for x in parallel(range(9)):
    s.n+=x
    out.append(a.f(x))
""",
    "property reads what is changed": """
class A:
    def __init__(self): self._n=0
    @property
    def n(self): return self._n*2
a=A(); out=[]
for x in parallel(range(9)):
    a._n+=x
    out.append((a.n+x)**2)
""",
    "property in another object reads what is changed": """
tot=[0]
class A:
    @property
    def n(self): return tot[0]*2
a=A(); out=[]
for x in parallel(range(9)):
    tot[0]+=x
    out.append((a.n+x)**2)
""",
    "__getattr__ reads what is changed": """
d={'k':0}
class A:
    def __getattr__(self,name):
        if name=='k': return d[name]
        raise AttributeError(name)
a=A(); out=[]
for x in parallel(range(9)):
    d['k']+=x
    out.append((a.k+x)**2)
""",
    "operator reads what is changed": """
tot=[0]
class A:
    def __add__(self,x): return tot[0]+x
a=A(); out=[]
for x in parallel(range(9)):
    tot[0]+=x
    out.append((a+x)**2)
""",
    "str reads what is changed": """
tot=[0]
class A:
    def __str__(self): return str(tot[0])
a=A(); out=[]
for x in parallel(range(9)):
    tot[0]+=x
    out.append(f'{a}'*2)
""",
    "iter reads what is changed": """
tot=[0]
class A:
    def __iter__(self): yield tot[0]
a=A(); out=[]
for x in parallel(range(9)):
    tot[0]+=x
    out.append(sum(a)**2)
""",
    "callback reads what is changed": """
tot=[0]
def key(y): return (y*tot[0])%7
out=[]
for x in parallel(range(9)):
    tot[0]+=x
    out.append(sorted([1,2,3,4,5,6],key=key))
""",
    "callback in attribute reads what is changed": """
tot=[0]
class A:
    def __init__(self,f): self.f=f
    def go(self,x): return self.f(x)
def read(x): return tot[0]*x
a=A(read)
out=[]
for x in parallel(range(9)):
    tot[0]+=x
    out.append(a.go(x)**2)
""",
    "dispatch table reads what is changed": """
tot=[0]
def read(x): return tot[0]*x
t={0:read}
out=[]
for x in parallel(range(9)):
    tot[0]+=x
    out.append(t[0](x)**2)
""",
    "partial reads what is changed": """
import functools
tot=[0]
def read(a,x): return tot[0]*x
g=functools.partial(read,1)
out=[]
for x in parallel(range(9)):
    tot[0]+=x
    out.append(g(x)**2)
""",
    "lambda reads what is changed": """
tot=[0]
g=lambda x: tot[0]*x
out=[]
for x in parallel(range(9)):
    tot[0]+=x
    out.append(g(x)**2)
""",
    "lru_cache reads what is changed": """
import functools
tot=[0]
@functools.lru_cache
def g(x): return tot[0]*x
out=[]
for x in parallel(range(9)):
    tot[0]+=x
    out.append(g(x)**2)
""",
    "constructor reads what is changed": """
tot=[0]
class A:
    def __init__(self,x): self.v=tot[0]*x
out=[]
for x in parallel(range(9)):
    tot[0]+=x
    out.append(A(x).v**2)
""",
    "__new__ reads what is changed": """
tot=[0]
class A:
    def __new__(cls,x):
        o=object.__new__(cls); o.v=tot[0]*x
        return o
out=[]
for x in parallel(range(9)):
    tot[0]+=x
    out.append(A(x).v**2)
""",
    "dataclass factory reads what is changed": """
from dataclasses import dataclass, field
tot=[0]
@dataclass
class A:
    x:int
    v:int=field(default_factory=lambda: tot[0])
out=[]
for x in parallel(range(9)):
    tot[0]+=x
    out.append(A(x).v**2)
""",
    "decorated reads what is changed": """
import functools
tot=[0]
def deco(f):
    @functools.wraps(f)
    def w(x): return f(x)+tot[0]
    return w
@deco
def g(x): return x
out=[]
for x in parallel(range(9)):
    tot[0]+=x
    out.append(g(x)**2)
""",
    "generator reads what is changed": """
tot=[0]
def g(x): yield tot[0]*x
out=[]
for x in parallel(range(9)):
    tot[0]+=x
    out.append(sum(g(x))**2)
""",
    "super reads what is changed": """
tot=[0]
class A:
    def f(self,x): return tot[0]*x
class B(A):
    def f(self,x): return super().f(x)+1
b=B(); out=[]
for x in parallel(range(9)):
    tot[0]+=x
    out.append(b.f(x)**2)
""",
    "env reads": """
import os
def f(x): return os.environ.get('X_Z','0')*x
out=[]
for x in parallel(range(9)):
    os.environ['X_Z']=str(x)
    out.append(f(x)*2)
del os.environ['X_Z']
""",
    "array view read while changed": """
import numpy as np
A=np.zeros(5); V=A[1:]
def f(x): return float(V.sum())*x
out=[]
for x in parallel(range(9)):
    A[x%5]+=x
    out.append(f(x)**2)
""",
    "contains reads what is changed": """
tot=[0]
class A:
    def __contains__(self,x): return tot[0]>x
a=A(); out=[]
for x in parallel(range(9)):
    tot[0]+=x
    out.append((x*3 in a)*x**2)
""",
    "bool reads what is changed": """
tot=[0]
class A:
    def __bool__(self): return tot[0]>5
a=A(); out=[]
for x in parallel(range(9)):
    tot[0]+=x
    out.append(x**2 if a else x**3)
""",
    "getitem reads what is changed": """
tot=[0]
class A:
    def __getitem__(self,k): return tot[0]*k
a=A(); out=[]
for x in parallel(range(9)):
    tot[0]+=x
    out.append(a[x]**2)
""",
    "sorted by __lt__ reads": """
tot=[0]
class A:
    def __init__(self,k): self.k=k
    def __lt__(self,o): return (self.k*tot[0])%7<(o.k*tot[0])%7
xs=[A(i) for i in range(6)]; out=[]
for x in parallel(range(9)):
    tot[0]+=x
    out.append(sum(a.k*i for i,a in enumerate(sorted(xs))))
""",
    "enter reads what is changed": """
tot=[0]
class A:
    def __enter__(self): return tot[0]
    def __exit__(self,*a): pass
out=[]
for x in parallel(range(9)):
    tot[0]+=x
    with A() as k:
        y=(k+x)**2
    out.append(y)
""",
    "an element of a made object's list": """
class R:
    def __init__(self): self.items=[]
    def add(self,v): self.items.append(v)
rows=[[],[]]; out=[]
for x in parallel(range(9)):
    r=R(); r.add(rows[x%2]); r.items[0].append(x); out.append(x*x)
del r
""",
    "an element of a made object's list, in a function": """
class R:
    def __init__(self): self.items=[]
    def add(self,v): self.items.append(v)
rows=[[],[]]; out=[]
def f(x):
    r=R(); r.add(rows[x%2]); r.items[0].append(x)
    return x*x
for x in parallel(range(9)):
    out.append(f(x))
""",
    "an element of a made dataclass's list, in a function": """
from dataclasses import dataclass, field
@dataclass
class R:
    name:str
    items:list=field(default_factory=list)
    def add(self,v): self.items.append(v)
rows=[[],[]]; out=[]
def f(x):
    r=R('a'); r.add(rows[x%2]); r.items[0].append(x)
    return x*x
for x in parallel(range(9)):
    out.append(f(x))
""",
    "a dataclass holds what it is given": """
from dataclasses import dataclass, field
@dataclass
class R:
    name:str
    items:list
    def add(self,v): self.items.append(v)
rows=[[],[]]; out=[]
def f(x):
    r=R('a',rows[x%2]); r.add(x)
    return x*x
for x in parallel(range(9)):
    out.append(f(x))
""",
    "a dataclass keeps in __post_init__": """
from dataclasses import dataclass, field
@dataclass
class R:
    name:list
    def __post_init__(self): self.other=self.name
    def add(self,v): self.other.append(v)
rows=[[],[]]; out=[]
def f(x):
    r=R(rows[x%2]); r.add(x)
    return x*x
for x in parallel(range(9)):
    out.append(f(x))
""",
    "a dataclass default that is shared": """
from dataclasses import dataclass, field
class Box:
    def __init__(self): self.n=0
    __hash__=object.__hash__
BOX=Box()
@dataclass
class R:
    name:str
    box:Box=BOX
    def add(self,v): self.box.n+=v
out=[]
def f(x):
    r=R('a'); r.add(x)
    return x*x
for x in parallel(range(9)):
    out.append(f(x))
""",
    "a factory that gives a shared list": """
from dataclasses import dataclass, field
ALL=[]
@dataclass
class R:
    name:str
    items:list=field(default_factory=lambda: ALL)
    def add(self,v): self.items.append(v)
out=[]
def f(x):
    r=R('a'); r.add(x)
    return x*x
for x in parallel(range(9)):
    out.append(f(x))
""",
    "a generator reads what the loop changes": """
class M:
    def __init__(self): self.w=1; self.q=[1,2,3]
    def batches(self,n):
        for i in range(n): yield i*self.w
    def run(self):
        out=[]
        for b in parallel(self.batches(9)):
            out.append(b*b)
            self.w+=1
        return out
m=M(); out=m.run()
""",
    "a generator reads in a method what the loop changes": """
class M:
    def __init__(self): self.w=[1]; self.log=[]
    def scale(self): return self.w[0]
    def batches(self,n):
        for i in range(n): yield i*self.scale()
    def run(self):
        for b in parallel(self.batches(9)):
            self.log.append(b*b)
            self.w[0]+=1
m=M(); m.run()
""",
    "a generator reads in a property what the loop changes": """
class M:
    def __init__(self): self.w=[1]; self.log=[]
    @property
    def scale(self): return self.w[0]
    def batches(self,n):
        for i in range(n): yield i*self.scale
    def run(self):
        for b in parallel(self.batches(9)):
            self.log.append(b*b)
            self.w[0]+=1
m=M(); m.run()
""",
    "a generator reads by another name what the loop changes": """
class M:
    def __init__(self): self.w=[1]; self.log=[]; self.v=self.w
    def batches(self,n):
        me=self
        for i in range(n): yield i*me.v[0]
    def run(self):
        for b in parallel(self.batches(9)):
            self.log.append(b*b)
            self.w[0]+=1
m=M(); m.run()
""",
    "a generator reads a global that the loop changes": """
w=[1]
def batches(n):
    for i in range(n): yield i*w[0]
out=[]
for b in parallel(batches(9)):
    out.append(b*b)
    w[0]+=1
""",
    "a generator reads a cell that the loop changes": """
def run():
    w=[1]; out=[]
    def batches(n):
        for i in range(n): yield i*w[0]
    for b in parallel(batches(9)):
        out.append(b*b)
        w[0]+=1
    return out
out=run()
""",
    "a generator within a generator reads": """
class M:
    def __init__(self): self.w=[1]; self.log=[]
    def inner(self,n):
        for i in range(n): yield i*self.w[0]
    def batches(self,n):
        yield from self.inner(n)
    def run(self):
        for b in parallel(self.batches(9)):
            self.log.append(b*b)
            self.w[0]+=1
m=M(); m.run()
""",
    "a property of an attribute reads what the loop changes": """
class S:
    def __init__(self,t): self.t=t
    @property
    def v(self): return self.t[0]
class M:
    def __init__(self): self.t=[1]; self.s=S(self.t); self.log=[]
    def run(self):
        for b in parallel(range(9)):
            self.log.append((b*self.s.v)**2)
            self.t[0]+=1
m=M(); m.run()
""",
    "a property gives what the loop changes": """
T=[1]
class S:
    @property
    def v(self): return T
s=S(); log=[]
def one(s,x): return s.v[0]*x
for b in parallel(range(9)):
    log.append(one(s,b)**2)
    T[0]+=1
""",
}

BEYOND = {
    "decorator class on method": """
class counted:
    def __init__(self,fn): self.fn=fn; self.n=0
    def __get__(self,obj,cls):
        import functools
        return functools.partial(self,obj)
    def __call__(self,*a):
        self.n+=1
        return self.fn(*a)
class A:
    @counted
    def f(self,x): return x*x
a=A(); out=[]
for x in parallel(range(9)):
    out.append(a.f(x))
n=A.__dict__['f'].n
""",
    "type() call": """
class B:
    subs=[]
    def __init_subclass__(cls,**k):
        B.subs.append(cls.__name__)
out=[]
for x in parallel(range(9)):
    T=type('T%d'%x,(B,),{})
    out.append(x*x)
n=B.subs
del T
""",
    "defaultdict read": """
from collections import defaultdict
t=defaultdict(int); out=[]
for x in parallel(range(9)):
    out.append(t[x]+x*x)
""",
    "defaultdict read in function": """
from collections import defaultdict
t=defaultdict(int); out=[]
def f(t,x): return t[x]+x*x
for x in parallel(range(9)):
    out.append(f(t,x))
""",
    "partialmethod": """
import functools
class A:
    n=0
    def f(self,k,x): self.n+=k; return x*x
    g=functools.partialmethod(f,2)
a=A(); out=[]
for x in parallel(range(9)):
    out.append(a.g(x))
""",
    "attrgetter property": """
import operator
log=[]
class A:
    @property
    def p(self): log.append(1); return 2
a=A(); g=operator.attrgetter('p'); out=[]
for x in parallel(range(9)):
    out.append(g(a)*x)
""",
}

CLEAN = {
    "a memo of texts": """
import collections, functools
@functools.cache
def stem(word):
    if word.endswith("ing"):
        return word[: -len("ing")].lower()
    return word.strip()
class Profile:
    def __init__(self, text):
        self.counts = collections.Counter()
        for word in text.split(): self.counts[stem(word)] += 1
out = []
for text in parallel([f"walking {k} dogs running" for k in range(9)]):
    profile = Profile(text)
    out.append(profile.counts.most_common(2))
del profile
""",
    "what was found by a pattern is kept in an object": """
import collections, re
WORD = re.compile(r"[a-z]+", re.I | re.ASCII)
LEAST: int = 3
class Profile:
    def __init__(self, text):
        self.counts = collections.Counter()
        self.pairs = collections.defaultdict(list)
        self.add(text)
    def add(self, text):
        for word in WORD.findall(text):
            if len(word) >= LEAST:
                self.counts[word] += 1
                self.pairs[word].append(LEAST)
texts = [f"the cats {k} were running" for k in range(9)]
found = {}
for k, text in parallel(list(enumerate(texts))):
    profile = Profile(text)
    profile.add(text.upper())
    found[k] = len(profile.counts), dict(profile.pairs)
del profile
""",
    "lru_cache of numbers, counted on": """
import functools, math
@functools.lru_cache(maxsize=None)
def f(n):
    total=0.0
    for k in range(n): total+=math.sin(k)*n
    return total
@functools.cache
def fib(n): return n if n<2 else fib(n-1)+fib(n-2)
out=[]
for x in parallel(range(30)):
    y=f(x%5)+fib(x%7)
    y*=2
    out.append(math.sqrt(abs(y)))
""",
    "lru_cache of lists that are only read": """
import functools
@functools.cache
def table(n): return [k*k for k in range(n)]
out=[]
for x in parallel(range(30)):
    t=table(x%3+2)
    y=sum(t)+t[0]
    y+=1
    out.append([y, t[-1]])
""",
    "functions that items keep, and change nothing": """
class Task:
    def __init__(self,k): self.k,self.f=k,lambda x: x*k
tasks=[Task(k) for k in range(9)]
out=[]
for t in parallel(tasks):
    out.append(t.f(t.k))
del tasks, t
""",
    "functions in tuples, and change nothing": """
tasks=[(k,[lambda x: [x]*k]) for k in range(9)]
out=[]
for k,f in parallel(tasks):
    out.append(f[0](k))
del tasks, f
""",
    "method named step, pure": """
class M:
    def __init__(self): self.k=3
    def step(self,x): return x*self.k
m=M(); out=[]
for x in parallel(range(40)):
    out.append(m.step(x))
""",
    "method named push of items": """
class P:
    def __init__(self,k): self.k=k
    def read(self): return self.k*2
    def next(self): return self.k+1
ps=[P(i) for i in range(30)]; out=[]
for p in parallel(ps):
    out.append(p.read()*p.next())
""",
    "step of attribute": """
class S:
    def __init__(self): self.k=2
    def step(self,x): return x*self.k
class M:
    def __init__(self): self.s=S(); self.out=[]
    def run(self):
        for x in parallel(range(30)):
            self.out.append(self.s.step(x))
m=M(); m.run()
""",
    "step in function": """
class S:
    def __init__(self): self.k=2
    def step(self,x): return x*self.k
def f(s,x): return s.step(x)+1
s=S(); out=[]
for x in parallel(range(30)):
    out.append(f(s,x))
""",
    "lru_cache": """
import functools
@functools.lru_cache
def f(x): return x*x
out=[]
for x in parallel(range(30)):
    out.append(f(x))
""",
    "wraps decorator pure": """
import functools
def deco(fn):
    @functools.wraps(fn)
    def w(*a,**k): return fn(*a,**k)+1
    return w
@deco
def f(x): return x*x
out=[]
for x in parallel(range(30)):
    out.append(f(x))
""",
    "class with operators pure": """
class V:
    def __init__(self,x,y): self.x=x; self.y=y
    def __add__(self,o): return V(self.x+o.x,self.y+o.y)
    def __mul__(self,k): return V(self.x*k,self.y*k)
    def __iadd__(self,o): self.x+=o.x; self.y+=o.y; return self
    def __getitem__(self,i): return (self.x,self.y)[i]
    def __setitem__(self,i,v): setattr(self,'xy'[i],v)
    def __iter__(self): yield self.x; yield self.y
    def __eq__(self,o): return self.x==o.x
    def __hash__(self): return hash(self.x)
    def __repr__(self): return f'V({self.x},{self.y})'
    def __bool__(self): return True
vs=[V(i,i+1) for i in range(30)]; d=V(1,2); out=[]
for v in parallel(vs):
    w=v+d*2
    w+=d
    out.append((w[0]+w[1], repr(w), sum(w)))
""",
    "memo operators elsewhere": """
class Table:
    def __init__(self): self.rows={}
    def __getitem__(self,k):
        if k not in self.rows: self.rows[k]=k*k
        return self.rows[k]
    def __setitem__(self,k,v): self.rows[k]=v
    def __contains__(self,k): self.n=1; return k in self.rows
t=Table(); data=[1,2,3]*20; w=2.5; out=[]
for x in parallel(data):
    y=x*w+data[0]
    if x in data: y+=1
    out.append(y/w)
""",
    "iterator class elsewhere": """
class It:
    def __init__(self,n): self.n=n; self.i=0
    def __iter__(self): self.i=0; return self
    def __next__(self):
        self.i+=1
        if self.i>self.n: raise StopIteration
        return self.i
def total(xs): return sum(x for x in xs)
data=[1,2,3]*20; out=[]
for x in parallel(range(30)):
    s=0
    for y in data: s+=y*x
    out.append(s+total(data)+total(It(x)))
""",
    "dataclass": """
from dataclasses import dataclass, field
@dataclass
class P:
    x:float
    tags:list=field(default_factory=list)
    def __post_init__(self): self.y=self.x*2
out=[]
for x in parallel(range(30)):
    p=P(x)
    p.tags.append(x)
    out.append((p.y,p.tags))
""",
    "namedtuple": """
from collections import namedtuple
P=namedtuple('P','a b')
out=[]
for x in parallel(range(30)):
    p=P(x,x*x)
    out.append(p._replace(a=3))
""",
    "super pure": """
class A:
    def __init__(self,k): self.k=k
    def f(self,x): return x*self.k
class B(A):
    def __init__(self,k): super().__init__(k); self.j=k*2
    def f(self,x): return super().f(x)+self.j
b=B(3); out=[]
for x in parallel(range(30)):
    out.append(b.f(x))
""",
    "construct subclass": """
class A:
    def __init__(self,k): self.k=k
    def f(self,x): return x*self.k
class B(A):
    def __init__(self,k): super().__init__(k); self.j=k*2
out=[]
for x in parallel(range(30)):
    b=B(x)
    out.append(b.f(x)+b.j)
""",
    "classmethod constructor": """
class A:
    def __init__(self,k): self.k=k
    @classmethod
    def make(cls,k): return cls(k*2)
out=[]
for x in parallel(range(30)):
    out.append(A.make(x).k)
""",
    "callbacks pure": """
import functools, operator
def key(y): return -y
def add(a,b): return a+b
out=[]
for x in parallel(range(30)):
    l=[x,3,x*2]
    l.sort(key=key)
    out.append((sorted(l,key=lambda y: y%3), functools.reduce(add,l), list(map(key,l)), max(l,key=key), operator.add(x,2)))
""",
    "dispatch table pure": """
def a(x): return x
def b(x): return x*2
table={0:a,1:b}
out=[]
for x in parallel(range(30)):
    out.append(table[x%2](x)*x)
""",
    "strategy pure": """
class S:
    def run(self,x): return x*2
class A:
    def __init__(self,s,f): self.s=s; self.fn=f
    def go(self,x): return self.s.run(x)+self.fn(x)
a=A(S(),lambda x: x+1); out=[]
for x in parallel(range(30)):
    out.append(a.go(x))
""",
    "local accumulators in function": """
def f(n):
    seen=set(); out=[]; count={}
    for i in range(n):
        if i%3 not in seen:
            seen.add(i%3); out.append(i)
        count[i%3]=count.get(i%3,0)+1
    return out, count
out=[]
for x in parallel(range(30)):
    out.append(f(x))
""",
    "local object changed": """
class Acc:
    def __init__(self): self.items=[]; self.total=0
    def push(self,x): self.items.append(x); self.total+=x
    def step(self): self.total*=2
def f(n):
    a=Acc()
    for i in range(n): a.push(i); a.step()
    return a.total
out=[]
for x in parallel(range(30)):
    a=Acc(); a.push(x); a.step()
    out.append(f(x)+a.total)
""",
    "recursion": """
def fib(n): return n if n<2 else fib(n-1)+fib(n-2)
out=[]
for x in parallel(range(12)):
    out.append(fib(x))
""",
    "generator pure": """
def gen(n):
    a,b=0,1
    for _ in range(n):
        yield a
        a,b=b,a+b
out=[]
for x in parallel(range(30)):
    out.append(sum(gen(x)))
""",
    "context manager pure": """
import contextlib
@contextlib.contextmanager
def cm(x):
    yield x*2
out=[]
for x in parallel(range(30)):
    with cm(x) as y:
        z=y+1
    out.append(z)
""",
    "numpy ordinary": """
import numpy as np
A=np.arange(90.).reshape(30,3); w=np.ones(3); out=np.zeros(30)
def f(r):
    z=r-r.mean(); z/=z.std()+1; z[0]=3; z.sort()
    return float(np.dot(z,w)+np.linalg.norm(z))
for i in parallel(range(30)):
    out[i]=f(A[i])
""",
    "accessor pure": """
TABLE={i:[i,i*2] for i in range(30)}
def row(k): return TABLE[k]
out=[]
for x in parallel(range(30)):
    r=row(x)
    out.append(r[0]*r[1])
""",
    "config object": """
class Config:
    def __init__(self): self._v={'a':2}
    def get(self,k,d=None): return self._v.get(k,d)
    def __getitem__(self,k): return self._v[k]
    def __getattr__(self,k):
        if k!='a': raise AttributeError(k)
        return self._v[k]
c=Config(); out=[]
for x in parallel(range(30)):
    out.append(c.get('a')*x+c['a']+c.a)
""",
    "enum and class constants": """
import enum
class E(enum.Enum):
    A=1
    B=2
class K:
    SIZE=4
    NAMES=['a','b']
    def f(self,x): return len(self.NAMES)*x*self.SIZE
k=K(); out=[]
for x in parallel(range(30)):
    out.append((k.f(x), E.A if x%2 else E.B, type(k).SIZE))
""",
    "optional callback none": """
def f(x, cb=None):
    if cb is not None: cb(x)
    return x*x
out=[]
for x in parallel(range(30)):
    out.append(f(x))
""",
    "simulation objects": """
class Particle:
    def __init__(self,x): self.x=x; self.v=0.; self.trace=[]
    def step(self,dt): self.v+=-self.x*dt; self.x+=self.v*dt; self.trace.append(self.x)
def simulate(x0):
    p=Particle(x0)
    for _ in range(20): p.step(0.1)
    return p.x, p.trace
out=[]
for x in parallel(range(30)):
    out.append(simulate(x))
""",
    "text": """
import re, collections
docs=['the cat sat %d on mat'%i for i in range(30)]
pat=re.compile('[a-z]+'); res={}
def clean(d): return [w for w in pat.findall(d.lower()) if len(w)>2]
for i,d in parallel(list(enumerate(docs))):
    c=collections.Counter(clean(d))
    c.update(['x'])
    res[i]=c.most_common(2)
""",
    "string building join format": """
class R:
    def __init__(self,x): self.x=x
    def __str__(self): return f'<{self.x}>'
    def __format__(self,s): return format(self.x,s)
rs=[R(i) for i in range(30)]; out=[]
for r in parallel(rs):
    out.append(f'{r:>5}|{r!s}'+' '.join(str(q) for q in [r,r]))
""",
    "log pure object": """
import logging
log=logging.getLogger('allc')
def f(x):
    return x*x
out=[]
for x in parallel(range(30)):
    out.append(f(x))
    log.debug('x %d',x)
""",
    "np function with own name step": """
import numpy as np
class Net:
    def __init__(self): self.W=np.eye(3)
    def forward(self,x): return np.tanh(self.W@x)
    def step(self,x): return self.forward(x).sum()
net=Net(); X=np.arange(90.).reshape(30,3); out=[]
for r in parallel(X):
    out.append(net.step(r))
""",
}

_GIVES = """
import operator, sys
class O: pass
o=O(); o.l=[]; o.d={'k': []}; o.o=O(); o.n=0; o.o.n=0
def oo(): return o
def ll(): return o.l
def dd(k): return o.d[k]
def deep(): return [o, 1]
def ident(x): return x
"""
_CHANGES = """
oo().__dict__['n'] = x
vars(oo())['n'] = x
vars(sys.modules[__name__])['n'] = x
oo().l.append(x)
oo().d['k'].append(x)
oo().o.n = x
dd('k').append(x)
deep()[0].n = x
ident(o).n = x
ident(o).l.append(x)
next(iter(oo().d.values())).append(x)
oo().__dict__.update(n=x)
y = oo(); z = y.l; z += [x]
oo().d.setdefault('k', []).append(x)
(lambda y: y.l)(oo()).append(x)
[w.append(x) for w in [oo().l]]
operator.attrgetter('l')(oo()).append(x)
getattr(oo(), 'l').append(x)
a, b = oo().l, 2; a.append(x)
(oo() if x + 1 else None).l.append(x)
sorted([oo()], key=id)[0].l.append(x)
dict(a=oo())['a'].l.append(x)
max([oo(), oo()], key=id).l.append(x)
list(map(lambda t: t, [oo()]))[0].l.append(x)
{1: oo()}.get(1).l.append(x)
[oo()].pop().l.append(x)
q = O(); q.a = oo(); q.a.l.append(x)
next(zip([oo()]))[0].l.append(x)
next(q for q in [oo()]).l.append(x)
(q := oo()).l.append(x)
sys._getframe().f_globals['n'] = x
"""
_LOOP = "n=0\ndef f(x):\n    {}\n    return x*x\nout=[]\nfor x in parallel(range(9)):\n    out.append(f(x))\n"
FOUND.update(
    (f"part of a result, {line}", _GIVES + _LOOP.format(line))
    for line in _CHANGES.strip().splitlines()
)

_NODES = """
import copy, itertools, heapq, random, functools, operator, collections
from collections import deque
class N:
    def __init__(self): self.l, self.c = [], 0
class Box:
    def __init__(self, v): self.v = v
    def first(self): return self.v[0]
def same(x): return x
def wrap(x): return {{"a": x}}
nodes = [N() for _ in range(300)]
table = dict(enumerate(nodes))
def f(i):
    t = {}
    t.l.append(i); t.c += 1
    return i
out = []
for i in parallel(range(9)):
    out.append(f(i))

"""
_TAKEN = """
list(nodes)[0]
sorted(nodes, key=lambda n: n.c)[0]
tuple(nodes)[0]
(nodes + [])[0]
(nodes * 2)[0]
list(reversed(nodes))[0]
copy.copy(nodes)[0]
nodes.copy()[0]
dict(enumerate(nodes))[0]
list(zip(nodes))[0][0]
list(map(same, nodes))[0]
list(filter(None, nodes))[0]
max(nodes, key=lambda n: n.c)
list(itertools.chain(nodes))[0]
list(dict.fromkeys(nodes))[0]
deque(nodes)[0]
table.copy()[0]
(table | {{}})[0]
list(table.items())[0][1]
heapq.nlargest(1, nodes, key=lambda n: n.c)[0]
random.Random(3).choice(nodes)
functools.reduce(lambda a, b: a, nodes)
operator.itemgetter(0)(nodes)
collections.ChainMap(table)[0]
sum([[n] for n in nodes], [])[0]
Box(nodes).first()
wrap(nodes)["a"][0]
"""
FOUND.update(
    (f"one of many, {taken}", _NODES.format(taken)) for taken in _TAKEN.strip().splitlines()
)
_KEYS = """
class N:
    def __init__(self): self.l = []
nodes = [N() for _ in range(3000)]
def f(i):
    seen = {{}}
    {}
    return i
out = []
for i in parallel(range(9)):
    out.append(f(i))
"""
FOUND.update(
    (f"an object that is a key, {line}", _KEYS.format(line))
    for line in (
        "seen[nodes[2000]] = i; [n.l.append(i) for n in seen]",
        "seen.setdefault(nodes[2000], i); list(seen)[0].l.append(i)",
        "seen[nodes[2000]] = i; next(iter(seen)).l.append(i)",
        "seen[nodes[2000]] = i; seen.popitem()[0].l.append(i)",
        "seen[1] = 2; seen[nodes[2000]] = i; [k for k in seen if k != 1][0].l.append(i)",
    )
)
CLEAN.update(
    {
        "groups by a key of the items": """
rows = [{"k": i % 3, "v": i} for i in range(30)]
by = {}
for r in parallel(rows):
    by.setdefault(r["k"], []).append(r["v"] * 2)
del r
""",
        "what is made of what it is given": """
import array, collections, copy, dataclasses, datetime, types
@dataclasses.dataclass
class Config:
    n: int = 1
config, numbers, start = Config(), [1.0, 2.0], datetime.date(2020, 1, 1)
graph = {k: [k * 2 % 9, k * 3 % 9] for k in range(9)}
def f(i):
    a = array.array("d", numbers); a.append(i)
    b = collections.deque(numbers); b.appendleft(b.pop())
    c = types.SimpleNamespace(n=i); c.n += 1
    d = copy.copy(config); d.n = i
    e = dataclasses.replace(config); e.n = i
    g = start; g += datetime.timedelta(days=i)
    seen, todo = {i: 0}, collections.deque([i])
    while todo:
        n = todo.popleft()
        for m in graph[n]:
            if m not in seen:
                seen[m] = seen[n] + 1
                todo.append(m)
    return sum(a), b[0], c.n, d.n, e.n, g.isoformat(), max(seen.values())
out = []
for i in parallel(range(9)):
    out.append(f(i))
""",
    }
)

_MANY = """
class N:
    def __init__(self): self.l, self.kids = [], []
nodes = [N() for _ in range(3000)]
"""
FOUND.update(
    {
        "filled by a function with a global": _MANY
        + """
def fill(xs): xs.append(nodes[2000])
def f(i):
    xs = []
    fill(xs)
    xs[0].l.append(i)
    return i
out = []
for i in parallel(range(12)): out.append(f(i))
""",
        "filled by a method with a global": _MANY
        + """
class H:
    def __init__(self): self.xs = []
    def fill(self): self.xs.append(nodes[2000])
    def go(self, i): self.xs[0].l.append(i)
def f(i):
    h = H()
    h.fill()
    h.go(i)
    return i
out = []
for i in parallel(range(12)): out.append(f(i))
""",
        "filled in the loop by a function": _MANY
        + """
def fill(xs): xs.append(nodes[2000])
out = []
for i in parallel(range(12)):
    xs = []
    fill(xs)
    xs[0].l.append(i)
    out.append(i)
""",
        "attribute bound by a function to a global": _MANY
        + """
class H: pass
def fill(h): h.n = nodes[2000]
def f(i):
    h = H()
    fill(h)
    h.n.l.append(i)
    return i
out = []
for i in parallel(range(12)): out.append(f(i))
""",
        "dict filled by a function": _MANY
        + """
def fill(d, k): d[k] = nodes[2000]; return d
def f(i):
    d = {}
    fill(d, i)
    d[i].l.append(i)
    return i
out = []
for i in parallel(range(12)): out.append(f(i))
""",
        "filled with what a global function gives": _MANY
        + """
def pick(k): return nodes[k]
def fill(d, k): d[k] = pick(2000)
def f(i):
    d = {}
    fill(d, i)
    d[i].l.append(i)
    return i
out = []
for i in parallel(range(12)): out.append(f(i))
""",
        "nested list one by one": _MANY
        + """
def f(i):
    g = [[n] for n in nodes]
    g[0][0].l.append(i)
    return i
out = []
for i in parallel(range(12)): out.append(f(i))
""",
        "pairs": _MANY
        + """
def f(i):
    ps = [(k, n) for k, n in enumerate(nodes)]
    for k, n in ps:
        if k == i: n.l.append(i)
    return i
out = []
for i in parallel(range(12)): out.append(f(i))
""",
        "extend and plus": _MANY
        + """
def f(i):
    ps = []
    ps += nodes[2000:2002]
    ps[0].l.append(i)
    qs = []
    qs.extend(nodes[5:7])
    qs[-1].l.append(i)
    rs = [0]
    rs[1:] = nodes[8:9]
    rs[1].l.append(i)
    return i
out = []
for i in parallel(range(12)): out.append(f(i))
""",
        "starred": _MANY
        + """
def f(i):
    ps = [None, *nodes]
    a, b, *c = ps
    c[100].l.append(i)
    d = {**{k: n for k, n in enumerate(nodes)}}
    d[300].l.append(i)
    return i
out = []
for i in parallel(range(12)): out.append(f(i))
""",
        "dict items loops": _MANY
        + """
def f(i):
    d = {k: n for k, n in enumerate(nodes)}
    for k, n in d.items():
        if k == 7: n.l.append(i)
    for n in d.values():
        n.l.append(i); break
    t = dict(a=nodes)
    t["a"][44].l.append(i)
    return i
out = []
for i in parallel(range(12)): out.append(f(i))
""",
    }
)
CLEAN["rows of a table that is copied"] = """
grid = [[1, 2], [3, 4]]
def f(i):
    g = [list(r) for r in grid]
    g[0][0] = i
    g[1].append(i)
    h = [[0] * 2 for r in grid]
    h[0][1] += i
    for k, r in enumerate(g): h[k].extend(r)
    return g, h
out = []
for i in parallel(range(9)):
    out.append(f(i))
"""

_GRID = "grid = [[j, j + 1] for j in range(5000)]\n"
FOUND.update(
    {
        "row of a grid, lambda called at once": _GRID
        + """
out = []
for i in parallel(range(12)):
    rr = (lambda: grid[4000])()
    rr.append(i)
    out.append(i)
""",
        "row of a grid, lambda called at once, in function": _GRID
        + """
def f(i):
    rr = (lambda: grid[4000])()
    rr.append(i)
    return i
out = []
for i in parallel(range(12)):
    out.append(f(i))
""",
        "row of a grid, lambda by name": _GRID
        + """
out = []
for i in parallel(range(12)):
    g = lambda k: grid[k]
    g(4000).append(i)
    out.append(i)
""",
        "row of a grid, lambda by name in function": _GRID
        + """
def f(i):
    g = lambda k: grid[k]
    g(4000).append(i)
    h = lambda x: x.append(i)
    h(grid[3000])
    return i
out = []
for i in parallel(range(12)):
    out.append(f(i))
""",
        "row of a grid, inner def": _GRID
        + """
def f(i):
    def g(k): return grid[k]
    r = g(4000)
    r.append(i)
    return i
out = []
for i in parallel(range(12)):
    out.append(f(i))
""",
        "row of a grid, inner def in loop": _GRID
        + """
out = []
for i in parallel(range(12)):
    def g(k): return grid[k]
    r = g(4000)
    r.append(i)
    out.append(i)
""",
        "row of a grid, partial called": _GRID
        + """
import functools
def g(x, k): return x[k]
def f(i):
    p = functools.partial(g, grid)
    p(4000).append(i)
    return i
out = []
for i in parallel(range(12)):
    out.append(f(i))
""",
        "row of a grid, methods in dict": _GRID
        + """
def f(i):
    d = {"g": grid.__getitem__}
    d["g"](4000).append(i)
    return i
out = []
for i in parallel(range(12)):
    out.append(f(i))
""",
        "row of a grid, generator in function": _GRID
        + """
def rows():
    for r in grid: yield r
def f(i):
    for k, r in enumerate(rows()):
        if k == 4000: r.append(i)
    return i
out = []
for i in parallel(range(12)):
    out.append(f(i))
""",
        "row of a grid, conditional and or": _GRID
        + """
def f(i):
    r = (grid[4000] if i >= 0 else []) or [1]
    r.append(i)
    return i
out = []
for i in parallel(range(12)):
    out.append(f(i))
""",
        "row of a grid, exception carries": _GRID
        + """
def raises(): raise KeyError(grid[4000])
def f(i):
    try: raises()
    except KeyError as e: e.args[0].append(i)
    return i
out = []
for i in parallel(range(12)):
    out.append(f(i))
""",
        "row of a grid, with": _GRID
        + """
import contextlib
@contextlib.contextmanager
def row(k): yield grid[k]
def f(i):
    with row(4000) as r: r.append(i)
    return i
out = []
for i in parallel(range(12)):
    out.append(f(i))
""",
        "row of a grid, match": _GRID
        + """
def f(i):
    match grid:
        case [a, b, *rest]: rest[2000].append(i)
    return i
out = []
for i in parallel(range(12)):
    out.append(f(i))
""",
        "row of a grid, inner def changes what it is given": _GRID
        + """
def f(i):
    def add(r): r.append(i)
    add(grid[4000])
    return i
out = []
for i in parallel(range(12)):
    out.append(f(i))
""",
        "row of a grid, inner def changes what it is given, in loop": _GRID
        + """
out = []
for i in parallel(range(12)):
    def add(r): r.append(i)
    add(grid[4000])
    out.append(i)
""",
        "row of a grid, inner def handed on": _GRID
        + """
def f(i):
    def add(r): r.append(i); return len(r)
    return sum(map(add, grid[4000:4002]))
out = []
for i in parallel(range(12)):
    out.append(f(i))
""",
        "row of a grid, inner def handed on to function": _GRID
        + """
def walk(rows, visit):
    for r in rows: visit(r)
def f(i):
    def add(r):
        if r[0] == 4000: r.append(i)
    walk(grid, add)
    return i
out = []
for i in parallel(range(12)):
    out.append(f(i))
""",
        "row of a grid, lambda handed on": _GRID
        + """
def walk(rows, visit):
    for r in rows: visit(r)
def f(i):
    walk(grid, lambda r: r.append(i) if r[0] == 4000 else None)
    return i
out = []
for i in parallel(range(12)):
    out.append(f(i))
""",
        "row of a grid, sorted key": _GRID
        + """
def f(i):
    def key(r):
        r[1] += 1
        return r[0]
    return sorted(grid, key=key)[0][0]
out = []
for i in parallel(range(12)):
    out.append(f(i))
""",
        "row of a grid, inner def kept in list": _GRID
        + """
def f(i):
    def add(r): r.append(i)
    fs = [add]
    fs[0](grid[4000])
    for g in fs: g(grid[3000])
    return i
out = []
for i in parallel(range(12)):
    out.append(f(i))
""",
        "row of a grid, inner def in dict in loop": _GRID
        + """
out = []
for i in parallel(range(12)):
    def add(r): r.append(i)
    fs = {"a": add}
    fs["a"](grid[4000])
    out.append(i)
""",
    }
)

_GIVERS = {
    "a function": ("def giver(): return BAG", "giver"),
    "a function with a memo": ("@functools.cache\ndef giver(): return [BAG, 1][0]", "giver"),
    "a method": ("class S:\n    def __init__(s): s.l = BAG\n    def get(s): return s.l\ns = S()", "s.get"),
    "a dict's get": ("giver = {None: BAG}", "giver.get"),
    "a partial": ("def take(d, k): return d[k]\nD = {None: BAG}", "functools.partial(take, D)"),
    "a lambda": ("", "lambda *_: BAG"),
    "a lambda's default": ("", "lambda *_, bag=BAG: bag"),
    "a function with a decorator": (
        "def deco(f):\n    @functools.wraps(f)\n    def w(*a): return f(*a)\n    return w\n"
        "@deco\ndef giver(*_): return BAG", "giver"
    ),
}  # fmt: skip
_CALLERS = {
    "changes": "def add(give, i): give{args}.append(i)",
    "hands on": "def put(give, i): give{args}.append(i)\ndef add(give, i): put(give, i)",
    "gives it": "def call(give): return give{args}\ndef add(give, i): call(give).append(i)",
    "by keyword": "def put(i, *, give): give{args}.append(i)\ndef add(give, i): put(i, give=give)",
    "changes a part": "def add(give, i): give{args}[-1].append(i)",
    "adds to": "def add(give, i):\n    bag = give{args}\n    bag += [i]",
    "keeps the giver, and changes": (
        "class K:\n    def __init__(k, give): k.give = give\n    def put(k, i): k.give{args}.append(i)\n"
        "def add(give, i): K(give).put(i)"
    ),
    "enters": (
        "class W:\n    def __init__(w, give): w.give = give\n    def __enter__(w): return w.give{args}\n"
        "    def __exit__(w, *_): pass\n"
        "def add(give, i):\n    with W(give) as bag: bag.append(i)"
    ),
    "changes in a function of its own": (
        "def add(give, i):\n    def inner(): give{args}.append(i)\n    inner()"
    ),
    "changes what its own function gives": (
        "def add(give, i):\n    def inner(): return give{args}\n    inner().append(i)"
    ),
    "makes a function that changes": (
        "def make(give):\n    def put(i): give{args}.append(i)\n    return put\n"
        "def add(give, i): make(give)(i)"
    ),
    "hands a lambda to `map` that changes": (
        "def add(give, i): list(map(lambda f: f{args}.append(i), [give]))"
    ),
}  # fmt: skip
FOUND.update(
    {
        f"{caller} what {giver} gives that it is given": f"""
import functools
BAG = [*range(5000), []]
{makes}
{does.format(args="(None)" if giver in ("a dict's get", "a partial") else "()")}
def work(i):
    {"kept = list(BAG[-1])" if caller == "changes a part" else "pass"}
    add({name}, i)
    return i
out = []
for i in parallel(range(12)):
    out.append(work(i))
end = BAG[4999:]
"""
        for giver, (makes, name) in _GIVERS.items()
        for caller, does in _CALLERS.items()
    }
)
FOUND.update(
    {
        f"what {giver} gives, changed by a function made in the body: {inner}": f"""
import functools
BAG = [*range(5000), []]
{makes}
def noop(_): pass
out = []
for i in parallel(range(12)):
    give = {name}
    {inner.format(args="(None)" if giver in ("a dict's get", "a partial") else "()")}
    out.append(i)
del give
inner = 0
end = BAG[4999:]
"""
        for giver, (makes, name) in _GIVERS.items()
        for inner in (
            "def inner(): give{args}.append(i)\n    noop(inner())",
            "def inner(): return give{args}\n    noop(inner().append(i))",
            "inner = noop((lambda: give{args}.append(i))())",
        )
    }
)
FOUND["what a default with a memo gives is changed"] = """
import functools
@functools.cache
def bag(): return []
def add(i, give=bag): give().append(i); return i
out = []
for i in parallel(range(12)):
    out.append(add(i))
end = list(bag())
"""
CLEAN.update(
    {
        f"a function changes what {giver} makes for it": f"""
import numpy as np
A, N = np.eye(3), {{"a": 1}}
class M:
    def __init__(self): self.c = {{"a": 1.0}}
    def make(self, t): return [t * self.c["a"], 0]
m = M()
def rhs(t): return A @ np.ones(3) * t
def new(t): return [t] * N["a"]
def step(f, t):
    k = f(t)
    k[0] = 1
    k *= 2
    return sum(k)
out = []
for i in parallel(range(12)):
    out.append(step({name}, i + 1))
"""
        for giver, name in {"a function": "rhs", "another": "new", "a method": "m.make"}.items()
    }
)

_KEEPS = """
SHARED = [0]
class Env:
    def __init__(self): self.rows, self.made = [[0] * 3 for k in range(500)], 0
    def put(self, x): self.box = SHARED; return x
    def sort(self, x): self.rows.sort(); self.rows.reverse(); return x
    def index(self, x): self.rows.index([0, 0, 0]); self.tally.update(a=x); return x
"""
FOUND.update(
    {
        f"a method that an object keeps, {name}, {way}": f"""
{_KEEPS}
class Task: pass
env, task = Env(), Task()
env.tally = {{}}
task.done = env.{name}
out = []
{loop}
left = task, env.tally
"""
        for name in ("put", "sort", "index")
        for way, loop in {
            "called": "for x in parallel(range(9)):\n    out.append(task.done(x))",
            "of a list": "tasks = [task] * 3\nfor x in parallel(range(9)):\n    out.append(tasks[x % 3].done(x))",
            "in a function": "def go(t, x): return t.done(x)\nfor x in parallel(range(9)):\n    out.append(go(task, x))",
        }.items()
    }
)
CLEAN["what functions made within one another give is changed"] = """
import functools
N = {"a": 1}
def timed(f):
    @functools.wraps(f)
    def w(*a):
        r = f(*a)
        return r
    return w
@timed
def new(t): return [t] * N["a"]
class K:
    def __init__(self, f): self.f = f
    def __enter__(self): return self.f(1)
    def __exit__(self, *_): pass
    def run(self, t):
        r = self.f(t)
        r += [1]
        return r
def work(f, i):
    def inner(x, n=N):
        r = f(x)
        r.append(n["a"])
        r += [1]
        return r
    with K(f) as r:
        r.append(1)
    return inner(i) + K(f).run(i) + r + sorted(r, key=lambda k, n=N: n["a"])
out = []
for i in parallel(range(12)):
    out.append(work(new, i))
"""

_METHODS = """
import re
class K:
    def __init__(s): s.seen, s.w = list(range(5000)), {{k: -k for k in range(3000)}}
    def key(s, x): s.seen.append(x); return -x
    def look(s, x): return s.w[x]
    def keyed(s, i): return sorted([1, i], key=s.key)
    def mapped(s, i): return list(map(s.key, [1, i]))
def apply(d, i): return d["f"](i)
def keyed(o, i): return sorted([1, i], key=o.key)
k = K()
ks = [k, K()]
def work(i):
    {before}
    return {given}
out = []
for i in parallel(range(8)):
    out.append(work(i))
    {after}
end = [k.seen[5000:] for k in ks]
k = ks = K = 0
"""
FOUND.update(
    {
        f"a method is handed on: {before} {given}": _METHODS.format(
            before=before, given=given, after="pass"
        )
        for before, given in [
            ("pass", "sorted([1, i], key=k.key)"),
            ("pass", "min([1, i], **{'key': k.key})"),
            ("pass", "re.sub('a', lambda m: str(k.key(m.start())), 'banana')"),
            ("pass", "k.keyed(i)"),
            ("pass", "k.mapped(i)"),
            ("pass", "keyed(k, i)"),
            ("pass", "keyed(ks[i % 2], i)"),
            ("pass", "sorted([1, i], key=ks[i % 2].key)"),
            ("pass", "apply({'f': k.key}, i)"),
            ("f = k.key", "list(filter(f, [1, i]))"),
            ("x = [1, i]; x.sort(key=k.key)", "x"),
        ]
    }
)
FOUND["a method that is handed on reads what the loop changes"] = _METHODS.format(
    before="pass", given="sorted([1, 2, i], key=k.look)", after="k.w[i] = i * 7 % 5"
)
_GLOBALS = {
    "a walrus": "[v := [i] for _ in range(2)]",
    "an import": "import json as v",
    "a function": "def v(): pass",
    "a class": "class v: pass",
    "a match": "match (i, 2):\n        case (v, 2): pass",
    "a handler": "try: 1 / (i - 3)\n    except ZeroDivisionError as v: pass",
    "a deletion": "if i == 3: del v",
}
FOUND.update(
    {
        f"a function binds a global by {what}": f"""
v = None
def work(i):
    global v
    {statement}
    return i
out = []
for i in parallel(range(8)):
    out.append(work(i))
end = "v" in globals() and v is None
v = 0
"""
        for what, statement in _GLOBALS.items()
    }
)
FOUND["a function binds a variable of another by a walrus"] = """
def make():
    n = 0
    def add(i):
        nonlocal n
        return [n := n + i for _ in range(2)]
    return add
add = make()
out = []
for i in parallel(range(8)):
    out.append(add(i))
del add
"""
_FACTORIES = {
    "a method of C code": ("ids = itertools.count()", "ids.__next__"),
    "a method": ("ids = Ids()", "ids.new"),
    "an object": ("ids = Ids()", "ids"),
    "a partial": ("ids = itertools.count()", "functools.partial(next, ids)"),
    "a list's pop": ("ids = list(range(5000))", "ids.pop"),
}
FOUND.update(
    {
        f"fields are filled in by {what}": f"""
import dataclasses, functools, itertools
class Ids:
    def __init__(self): self.n = 0
    def new(self): self.n += 1; return self.n
    __call__ = new
{makes}
@dataclasses.dataclass
class N:
    v: int
    id: int = dataclasses.field(default_factory={factory})
out = []
for i in parallel(range(8)):
    out.append(N(i).id)
end = N(1).id
N = Ids = ids = 0
"""
        for what, (makes, factory) in _FACTORIES.items()
    }
)
_WRAPPERS = {
    "xs.__iadd__": "put([i])",
    "table.__setitem__": "put(i, i)",
    "functools.partial(setattr, o)": "put('n', i)",
    "o.__setattr__": "put('n', i)",
    "it.__next__": "put()",
}
FOUND.update(
    {
        f"a name for `{made}` is called": f"""
import functools
class O: pass
o, xs, table, it = O(), list(range(5000)), {{k: k for k in range(3000, 9000)}}, iter(range(9000))
put = {made}
def work(i):
    {call}
    return i
out = []
for i in parallel(range(8)):
    out.append(work(i))
end = vars(o), list(it)[:2]
o = O = put = it = 0
"""
        for made, call in _WRAPPERS.items()
    }
)
_DEFAULTS = {
    "by another function": ("def work(i): return add(i)", "work(i)"),
    "by a default": ("def work(i, f=add): return f(i)", "work(i)"),
    "as a key": ("def work(i): return sorted([1, i], key=add)", "work(i)"),
}
FOUND.update(
    {
        f"a function with a list for its default is called {how}": f"""
def add(i, seen=list(range(5000))): seen.append(i); return i
{makes}
out = []
for i in parallel(range(8)):
    out.append({call})
end = add.__defaults__[0][5000:]
add = work = 0
"""
        for how, (makes, call) in _DEFAULTS.items()
    }
)
FOUND["`type` makes a class, which its base notes"] = """
class Base:
    made = list(range(5000))
    def __init_subclass__(cls): Base.made.append(cls.__name__)
def work(i): return type("X", (Base,), {"x": i}).x
out = []
for i in parallel(range(8)):
    out.append(work(i))
end = Base.made[5000:]
Base = 0
"""
CLEAN["methods are handed on that change nothing, and attributes have names of methods"] = """
import collections, dataclasses
@dataclasses.dataclass
class N:
    v: int
    xs: list = dataclasses.field(default_factory=list)
    d: dict = dataclasses.field(default_factory=lambda: {"a": 1})
class A:
    def __init__(self): self.n, self.w = 0, {k: -k for k in range(30)}
    def key(self, x): return self.w[x]
    def fit(self, x): self.n += x; return self.n
    def run(self, i): return sorted([1, 2, i], key=self.key)
class B:
    def __init__(self): self.fit = 3
a, b = A(), B()
def key(o, i): return sorted([1, i], key=o.key) + list(map(o.key, [2, i])) + [b.fit]
def fit(o, i): return o.fit + i
K = 3
def count(i, n=K, m=-1, t=(1, 2)):
    n += i
    m *= n
    t += (m,)
    return t
def work(i):
    n = N(count(i)[0])
    n.xs.append(i)
    made = collections.defaultdict(list)
    made[i].append(n.v)
    return n.xs, dict(made)
out = []
for i in parallel(range(12)):
    out.append((sorted([1, i], key=a.key), a.run(i), key(a, i), fit(b, i), A().fit(i), work(i)))
"""
CLEAN["an object that is made of what is shared changes itself"] = """
class Plain:
    def __init__(self, k): self.k, self.log = k, []
    def fit(self): self.fitted = self.k ** 2; self.log.append(self.k)
    def value(self, x): return self.k * x
plain = [Plain(k) for k in range(50)]
def made(x):
    new, other = Plain(plain[x].k), Plain(plain[x].value(2))
    new.fit(); other.fit()
    return new.fitted, other.log
out = []
for x in parallel(range(12)):
    out.append(made(x))
"""

FOUND.update(
    {
        f"what is compared, {way}": f"""
class Sly:
    def __init__(self, v): self.v, self.asked = v, 0
    def __eq__(self, other):
        self.asked += 1
        return self.v == other
    def __lt__(self, other):
        self.asked += 1
        return True
    def __str__(self):
        self.asked += 1
        return "s"
    __repr__ = __str__
    def __hash__(self): return 1
sly, out = Sly(3), []
def work(x): return {call}
for x in parallel(range(9)):
    out.append({call if "body" in way else "work(x)"})
"""
        for name, call in {
            "in a list": "x in [sly, x]",
            "as a key": "{sly: 1}.get(1)",
            "in a tuple": "(x, sly) == (x, x)",
            "sorted": "len(sorted([sly, Sly(x)]))",
            "as text": "str([sly, x])",
            "in a nested list": "[[sly]] == [[x]]",
        }.items()
        for way in (f"{name} in the body", f"{name} in a function")
    }
)
