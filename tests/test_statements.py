"""Each kind of statement in a parallel loop: the same outcome, and in parallel where it can be."""

from __future__ import annotations

import linecache
import time
from pathlib import Path

import pytest

from allcores import parallel
from allcores.commands.files import plans_in
from allcores.entry import obstacles
from tests.same import assert_same

BASE = """\
import numpy as np
def f(x, k=1):
    return x * x + k
def risky(x):
    if x % 4 == 3:
        raise ValueError(x)
    return x
class P:
    def __init__(self, v):
        self.v = v
        self.log = []
    def twice(self):
        return self.v * 2
    def keep(self, x):
        self.log.append(x)
        return len(self.log)
    def __eq__(self, o):
        return self.v == o.v
    __hash__ = None
xs = [3, 1, 4, 1, 5, 9, 2, 6]
ps = [P(x) for x in xs]
grid = [[x, x + 1] for x in xs]
arr = np.arange(8.0)
out, log = [], []
total, best, who = 0, -1, None
d, seen = {}, set()
"""

PARALLEL = {
    "append": "for x in parallel(xs):\n    out.append(f(x))",
    "zip": "for a, b in parallel(zip(xs, arr)):\n    out.append((a + b) * 3)",
    "nested target": "for i, (a, b) in parallel(enumerate(grid)):\n    out.append(f(a) + f(b) + i)",
    "star target": "for a, *rest in parallel([(1, 2, 3), (4,), (5, 6)]):\n    out.append((f(a), len(rest)))",
    "sum": "for x in parallel(xs):\n    total += f(x) / 3",
    "sum in place of name": "for x in parallel(xs):\n    total = total + f(x)",
    "maximum": "for x in parallel(xs):\n    s = f(x)\n    if s > best:\n        best, who = s, x",
    "dict item": "for x in parallel(xs):\n    d[x] = f(x)",
    "setdefault": "for x in parallel(xs):\n    d.setdefault(x % 3, []).append(f(x))",
    "set add": "for x in parallel(xs):\n    seen.add(f(x))",
    "counter": "from collections import Counter\nc = Counter()\nfor x in parallel(xs):\n    c.update([f(x)])",
    "print": "for x in parallel(xs):\n    print(x, f(x))",
    "print in a function": "def say(x):\n    print('in', x)\n    return x\nfor x in parallel(xs):\n    out.append(say(x))\n    print('out')",
    "item": "r = [0] * 8\nfor i, x in parallel(enumerate(xs)):\n    r[i] = f(x)",
    "array item": "r = np.zeros(8)\nfor i in parallel(range(8)):\n    r[i] = f(xs[i])",
    "array item augmented": "r = np.zeros((8, 2))\nfor i in parallel(range(8)):\n    r[i, 1] += f(xs[i])",
    "temporary": "for x in parallel(xs):\n    y = f(x)\n    z = y + 1\n    out.append(z)",
    "chained assignment": "for x in parallel(xs):\n    y = z = f(x)\n    out.append(y + z)",
    "tuple assignment": "for x in parallel(xs):\n    y, (z, *w) = f(x), (x, x, x)\n    out.append([y, z, w])",
    "annotated": "def g():\n    for x in parallel(xs):\n        y: int = f(x)\n        out.append(y)\ng()",
    "walrus": "for x in parallel(xs):\n    if (y := f(x)) > 9:\n        out.append(y)",
    "walrus in comprehension": "for x in parallel(xs):\n    q = [z := f(x) + j for j in range(3)]\n    out.append(z)",
    "augmented temporary": "for x in parallel(xs):\n    y = f(x)\n    y *= 3\n    out.append(y)",
    "fresh list": "for x in parallel(xs):\n    row = []\n    for j in range(x):\n        row.append(f(j))\n    out.append(row)",
    "fresh dict": "for x in parallel(xs):\n    m = {}\n    m['a'] = f(x)\n    out.append(m)",
    "fresh array": "for x in parallel(xs):\n    a = np.zeros(3)\n    a[1] = f(x)\n    a += 1\n    out.append(a)",
    "same object twice": "for x in parallel(xs):\n    row = [f(x)]\n    out.append(row)\n    log.append(row)",
    "copy then change": "for row in parallel(grid):\n    r = list(row)\n    r.append(f(r[0]))\n    out.append(r)",
    "change after append": "for x in parallel(xs):\n    row = [f(x)]\n    out.append(row)\n    row.append(1)",
    "conditional temporary": "for x in parallel(xs):\n    if x > 3:\n        y = f(x)\n        out.append(y)",
    "continue": "for x in parallel(xs):\n    if x == 1:\n        continue\n    out.append(f(x))",
    "break": "for x in parallel(xs):\n    if f(x) == 82:\n        break\n    out.append(f(x))",
    "break with else": "for x in parallel(xs):\n    if x == 77:\n        break\n    out.append(f(x))\nelse:\n    log.append('else')",
    "return": "def g():\n    for x in parallel(xs):\n        if x == 5:\n            return f(x)\n        out.append(f(x))\nlog.append(g())",
    "exception": "try:\n    for x in parallel(xs):\n        out.append(10 // (x - 9))\nexcept ZeroDivisionError as e:\n    log.append(str(e))",
    "try": "for x in parallel(range(9)):\n    try:\n        y = risky(x)\n    except ValueError as e:\n        log.append(str(e))\n    else:\n        out.append(y)\n    finally:\n        total += 1",
    "try around append": "for x in parallel(range(9)):\n    try:\n        out.append(risky(x))\n    except ValueError:\n        out.append(None)",
    "with": "import contextlib\nfor x in parallel(range(9)):\n    y = 0\n    with contextlib.suppress(ValueError):\n        y = risky(x)\n    out.append(y)",
    "match": "for x in parallel(xs):\n    match x % 3:\n        case 0:\n            out.append(f(x))\n        case r if r > 1:\n            total += f(r)\n        case _:\n            pass",
    "match on shapes": "for p in parallel([(1, 2), {'a': 3}, [4, 5, 6]]):\n    match p:\n        case (a, b):\n            out.append(f(a) + b)\n        case {'a': v, **rest}:\n            out.append(f(v))\n        case [h, *t]:\n            out.append(f(h) + len(t))",
    "nested loops": "for x in parallel(xs):\n    for j in range(3):\n        if j == 2:\n            break\n        total += f(x) * j\n    else:\n        log.append('never')",
    "while": "for x in parallel(xs):\n    n, s = x, 0\n    while n > 0:\n        s += f(n)\n        n -= 1\n    out.append(s)",
    "nested function": "for x in parallel(xs):\n    def g(q):\n        return q + x\n    out.append(g(1) + f(x))",
    "lambda": "for x in parallel(xs):\n    out.append(sorted(range(4), key=lambda q: -q * x))",
    "comprehension": "for x in parallel(xs):\n    out.append([x * j for j in range(x) if j % 2])",
    "comprehension hides a name": "for x in parallel(xs):\n    out.append(sum(total for total in range(x)))",
    "generator argument": "for x in parallel(xs):\n    out.extend(f(j) for j in range(x))",
    "dict comprehension": "for x in parallel(xs):\n    out.append({j: f(j) for j in range(3)})",
    "global": "def g():\n    global total\n    for x in parallel(xs):\n        total += f(x)\ng()",
    "empty": "for x in parallel([]):\n    out.append(f(x))\nelse:\n    log.append(1)",
    "dict input": "for k in parallel({1: 2, 3: 4}):\n    out.append(f(k))",
    "dict items": "for k, v in parallel({1: 2, 3: 4}.items()):\n    out.append(f(k) + v)",
    "set input": "for k in parallel({1, 2, 3}):\n    out.append(f(k))",
    "generator input": "def gen():\n    for i in range(6):\n        yield i\nfor x in parallel(gen()):\n    out.append(f(x))",
    "generator that raises": "def gen():\n    yield 1\n    yield 2\n    raise KeyError('end')\nfor x in parallel(gen()):\n    out.append(f(x))",
    "string input": "for ch in parallel('hello'):\n    out.append(ch.upper() * 2)",
    "array input": "for x in parallel(arr):\n    out.append(f(x))",
    "matrix input": "for row in parallel(arr.reshape(4, 2)):\n    out.append(row.sum())",
    "delete a temporary": "for x in parallel(xs):\n    y = f(x)\n    out.append(y)\n    del y",
    "delete after the loop": "for x in parallel(xs):\n    out.append(f(x))\ndel x",
    "target rebound": "for x in parallel(xs):\n    x = f(x)\n    out.append(x)",
    "objects": "for p in parallel(ps):\n    out.append(p.twice() + f(p.v))",
    "items kept": "for p in parallel(ps):\n    if f(p.v) > 9:\n        out.append(p)",
    "object made": "for x in parallel(xs):\n    p = P(f(x))\n    p.keep(x)\n    out.append(p)",
    "shadowed builtin": "def len(x):\n    return 7\nfor x in parallel(xs):\n    out.append(len([x]) + f(x))",
    "assert": "try:\n    for x in parallel(xs):\n        assert f(x) < 80, x\n        out.append(x)\nexcept AssertionError as e:\n    log.append(e.args)",
    "break by a sum": "def g(total=0):\n    for x in parallel(xs):\n        total += f(x)\n        if total > 40:\n            break\n    return total, x\nlog.append(g())",
    "skip what was seen": "for x in parallel(xs):\n    y = f(x)\n    if y in seen:\n        continue\n    seen.add(y)\n    out.append(f(y))",
    "string building": "text = ''\nfor x in parallel(xs):\n    text += str(f(x)) + ','",
    "borrowed value kept": "for i in parallel(range(8)):\n    out.append((grid[i], f(i)))",
    "log": "import logging, io\nstream = io.StringIO()\nlogger = logging.Logger('t')\nlogger.addHandler(logging.StreamHandler(stream))\nfor x in parallel(xs):\n    logger.warning('%s', f(x))\nlog.append(stream.getvalue())\ndel stream, logger",
}

SAME = {
    "change the items": "for p in parallel(ps):\n    p.v += f(p.v)",
    "change through a name": "for i in parallel(range(8)):\n    row = grid[i]\n    row.append(f(i))",
    "change through a method": "for p in parallel(ps):\n    out.append(p.keep(f(1)))",
    "read what was appended": "for x in parallel(xs):\n    out.append(f(x) + len(out))",
    "previous iteration's value": "last = 0\nfor x in parallel(xs):\n    out.append(f(last))\n    last = x",
    "two names of one list": "other = out\nfor x in parallel(xs):\n    out.append(f(x) + len(other))",
    "function changes a global": "n = 0\ndef bump(x):\n    global n\n    n += 1\n    return n * x\nfor x in parallel(xs):\n    out.append(bump(x))",
    "function remembers": "memo = {}\ndef m(x):\n    if x not in memo:\n        memo[x] = f(x)\n    return memo[x]\nfor x in parallel(xs):\n    out.append(m(x))",
    "function changes its argument": "def put(xs, v):\n    xs.append(v)\n    return f(v)\nfor x in parallel(xs):\n    out.append(put(log, x))",
    "random": "import random\nrandom.seed(1)\nfor x in parallel(xs):\n    out.append(f(x) + random.random())",
    "random in a function": "import random\nrandom.seed(1)\ndef r():\n    return random.random()\nfor x in parallel(xs):\n    out.append(f(x) + r())",
    "numpy random": "np.random.seed(3)\nfor x in parallel(xs):\n    out.append(np.random.normal(size=2) + f(x))",
    "a shared generator": "rng = np.random.default_rng(1)\nfor x in parallel(xs):\n    out.append(rng.normal() + f(x))",
    "an iterator read in the body": "it = iter(range(100))\nfor x in parallel(xs):\n    out.append(f(x) + next(it))",
    "array in place": "for i in parallel(range(8)):\n    arr[i] = f(arr[i])",
    "array view in place": "for i in parallel(range(4)):\n    v = arr[i:i + 2]\n    v += f(i)",
    "target is an attribute": "class T: pass\nt = T()\nfor t.x in parallel(xs):\n    out.append(f(t.x))",
    "target is an item": "t = [0]\nfor t[0] in parallel(xs):\n    out.append(f(t[0]))",
    "lambda kept": "for x in parallel(xs):\n    log.append(lambda: x)\nlog = [g() for g in log]",
    "closure kept": "def g():\n    fs = []\n    for x in parallel(xs):\n        y = f(x)\n        fs.append(lambda: y)\n    return [h() for h in fs]\nout = g()",
    "class in the body": "for x in parallel(xs):\n    class Q:\n        v = f(x)\n    out.append(Q.v)",
    "nonlocal": "def g():\n    n = 0\n    def h():\n        nonlocal n\n        for x in parallel(xs):\n            n += f(x)\n    h()\n    return n\nout = g()",
    "input appended to": "todo = [1, 2, 3]\nfor x in parallel(todo):\n    if len(todo) < 9:\n        todo.append(f(x))",
    "input cleared": "todo = [1, 2, 3]\nfor x in parallel(todo):\n    out.append(f(x))\n    todo.clear()",
    "exec": "for x in parallel(xs):\n    exec('q = x')\n    out.append(f(x))",
    "conditional delete": "y = 1\nfor x in parallel(xs):\n    y = f(x)\n    if x == 6:\n        del y",
    "unbound name": "def g():\n    for x in parallel(xs):\n        out.append(zz + f(x))\n    zz = 1\ng()",
    "target deleted": "for x in parallel(xs):\n    out.append(f(x))\n    del x",
    "generator kept": "for x in parallel(xs):\n    log.append(f(j) for j in range(2))\nlog = [list(g) for g in log]",
    "two keys one object": "pair = [ps[0], ps[0]]\nfor p in parallel(pair):\n    out.append(p.keep(f(2)))",
    "mutable default": "def acc(x, memo=[]):\n    memo.append(x)\n    return len(memo) + f(x)\nfor x in parallel(xs):\n    out.append(acc(x))",
    "returned argument": "def same(x):\n    return x\nfor row in parallel(grid):\n    r = same(row)\n    r.append(f(1))\n    out.append(r)",
    "hidden alias": "h = {'a': out}\nfor x in parallel(xs):\n    out.append(f(len(h['a'])))",
    "sys.exit": "import sys\ntry:\n    for x in parallel(xs):\n        out.append(f(x))\n        if x == 5:\n            sys.exit(3)\nexcept SystemExit as e:\n    log.append(e.code)",
    "commit that raises": "for x in parallel(xs):\n    out.append(f(x))\n    d[x % 2] += 1",
    "except name": "e = 5\nfor x in parallel(range(8)):\n    try:\n        out.append(risky(x))\n    except ValueError as e:\n        pass",
    "warning": "import warnings\nfor x in parallel(xs):\n    warnings.warn('w')\n    out.append(f(x))",
}


@pytest.mark.parametrize("name", PARALLEL)
def test_runs_in_parallel_and_leaves_the_same(name: str) -> None:
    expect = None if name == "empty" else "parallel"
    source = BASE + PARALLEL[name] + "\n"
    if name == "nested function":
        # `locals()` at the end of the function would see it, and with it the loop's variables.
        assert_same(PARALLEL[name], expect, places=("quiet",), data=BASE)
        assert_same(source, expect, places=("module",))
    elif name == "object made":
        # Pickle cannot find a class that is local to a function: there it runs natively.
        assert_same(source, None, places=(True,))
        assert_same(source, expect, places=(False,))
    else:
        assert_same(source, expect)


@pytest.mark.parametrize("name", SAME)
def test_leaves_the_same_however_it_runs(name: str) -> None:
    assert_same(BASE + SAME[name] + "\n")


def test_a_serial_verdict_has_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text("x = 0\nfor i in range(9):\n    x = max(x, int('7')).bit_length()\nprint(x)\n")
    (plan,), _ = plans_in(str(path))
    assert plan.verdict == "serial"
    ((line, text),) = plan.reasons
    assert line == 3
    assert text.startswith("the work is in `x = max(x, int('7')).bit_length()`")


def test_code_without_end_is_forgotten() -> None:
    """As in a notebook's session, where each run of a cell is new code."""
    from allcores import sites

    for n in range(400):
        name = f"<cell-{n}>"
        source = f"total = {n}\nfor x in parallel(range(2)):\n    total += x\n"
        linecache.cache[name] = (len(source), None, source.splitlines(True), name)
        exec(compile(source, name, "exec"), {"parallel": parallel})
        del linecache.cache[name]
    assert len(sites._sites) <= 300
    assert len(sites._trees) <= 100


def test_a_program_of_which_any_part_may_call_any_other_is_read_in_time(tmp_path: Path) -> None:
    lines = ["class C:", "    def __init__(self): self.seen = []"]
    for k in range(200):
        lines += [f"    def m{k}(self, other, tokens):", f"        self.seen.append({k})"]
        for step in (1, 7, 11, 13):
            lines.append(
                f"        tokens[{k}].extend(other.m{(k * step + step) % 200}(self, tokens))"
            )
        lines += [f"        self.log{k % 9} = other", "        return tokens"]
    lines += ["out = []", "for c in [C(), C()]:", "    out.append(len(c.m3(C(), [])))"]
    path = tmp_path / "program.py"
    path.write_text("\n".join(lines) + "\n")
    before = time.process_time()
    (plan,), _ = plans_in(str(path))
    assert time.process_time() - before < 6
    assert plan.verdict == "serial"
    assert "`m3` (line 27) may be called, and leads to more code than can be followed" in str(
        plan.reasons
    )


def test_where_the_stack_is_nearly_full_the_loop_is_the_plain_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Where exactly it is too full for a look at the objects differs from Python to Python.
    def too_deep(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr(obstacles, "entangled", too_deep)
    program = "out = []\nfor x in parallel(iter(range(5))):\n    out.append(x + 1)\n"
    assert_same(program, places=("closure",))
    program = "out = []\nfor x in parallel(k for k in range(5)):\n    out.append(x + 1)\n"
    assert_same(program, "serial")


PROXIES = """\
asked = []
class Proxy:
    def __init__(self, value):
        self.value = value
    @property
    def __class__(self):
        asked.append("class")
        return int
    def __getattribute__(self, name):
        asked.append(name)
        return object.__getattribute__(self, name)
    def __add__(self, other):
        return 5 + other
here, held = Proxy(1), [Proxy(2)]
def shifted(x):
    return here + x
"""


@pytest.mark.parametrize("over", ["range(30)", "[Proxy(k) for k in range(9)]"])
def test_objects_are_not_asked_for_their_class(over: str) -> None:
    body = "out.append(shifted(3) + (held[0] + 4))" if over[0] == "r" else "out.append(x + 3)"
    loop = f"for x in parallel({over}):\n    {body}\ndel x, here, held, shifted, Proxy"
    assert_same(loop, helpers=PROXIES, data="out = []\n", places=("module",))


SPIES = """\
asked = []
class Spy:
    def __init__(self, value):
        self.value = value
    def __getattribute__(self, name):
        asked.append(name)
        return object.__getattribute__(self, name)
    def times(self, x):
        return x * self.value
    def __call__(self, x):
        return x * self.value
class Slotted:
    __slots__ = ("value",)
    def __init__(self, value):
        self.value = value
    def __getattr__(self, name):
        asked.append(name)
        raise AttributeError(name)
class SpiedSlot(Slotted):
    __slots__ = ()
    __getattribute__ = Spy.__getattribute__
class Holder:
    def __init__(self):
        self.spies = [Spy(3)]
        self.spy = Spy(4)
    def sum(self, x):
        return sum(f(x) for f in self.spies)
spy, slotted, spied, held = Spy(2), Slotted(2), SpiedSlot(2), Holder()
"""


@pytest.mark.parametrize(
    "given",
    ["spy.value", "slotted.value", "spied.value", "spy.times(2)", "spy(x)", "held.sum(x)"],
)
def test_objects_are_asked_for_no_attributes(given: str) -> None:
    program = SPIES + f"out = []\nfor x in parallel(range(9)):\n    out.append({given} + x)\n"
    assert_same(program, None, places=("module", "closure"))
