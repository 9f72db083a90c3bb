"""Functions without source are read from their bytecode: nothing that they change is missed."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest

from allcores.plan import callables, ownership
from allcores.plan.callables import Callables
from allcores.plan.effects import overlaps
from allcores.plan.source import MAX_DEPTH
from allcores.plan.summaries import Reading, Summary
from allcores.plan.unsourced import summary_without_source
from tests.same import assert_same

FUNCTIONS: dict[str, tuple[str, str]] = {
    # what stands in the function -> what it changes
    "a number": ("return sum([a * x for a in range(y)]) + K", ""),
    "a global rebound": ("global n\nn += 1", "n"),
    "a global bound only": ("global last\nlast = x", "last"),
    "a global deleted": ("global n\ndel n", "n"),
    "an item of a global": ("if x not in cache: cache[x] = x\nreturn cache[x]", "cache"),
    "a method of a global": ("return cache.setdefault(x, [])", "cache"),
    "a method that is given away": ("return list(map(rows.append, [x]))", "rows"),
    "an argument": ("x.append(1)", "$0"),
    "an attribute of an argument": ("x.flag = True", "$0.flag"),
    "an item of an argument's attribute": ("x.log[0] = y", "$0.log"),
    "a slice": ("x[1:2] = []\ndel x[0]", "$0"),
    "a default": ("seen.append(x)", "$2"),
    "rows of a table": ("for row in rows:\n    row.append(1)", "rows"),
    "rows of an argument": ("for a, b in x:\n    a.append(b)", "$0"),
    "one of two": ("(x if y else rows).append(1)", "$0 rows"),
    "either": ("(x or rows).append(1)", "$0 rows"),
    "in what was made of it": ("t = [x]\nt[0].append(1)", "$0"),
    "in what it was put into": ("t = []\nt.append(x)\nt[0].append(1)", "$0"),
    "in a function inside": ("def g(y): x.append(y)\nreturn [g(i) for i in y]", "$0"),
    "in a comprehension": ("return [x.append(i) for i in range(3)]", "$0"),
    "what is given a number": ("return next(ids)", "ids"),
    "by a function of a module": ("import heapq\nheapq.heappush(x, y)", "$0"),
    "by out=": ("import math\nmath.f(y, out=x)", "$0"),
    "by what is only called for it": ("x.anything(y)", "$0"),
    "the environment": ("import os\nos.environ['A'] = 'x'", "@os.environ"),
    "a stream": ("import random\nreturn random.random()", "@random"),
    "in a handler": ("try:\n    y()\nexcept ValueError:\n    x.append(1)", "$0"),
    "by another function": ("return push(x)", "$0"),
    "by another function's global": ("return tick(x)", "n"),
    "a class attribute": ("C.total += x", "C.total"),
    "by a method found by name": ("return x.note(1)", "$0.log"),
    "its own list": ("out = []\nfor v in y:\n    out.append(v)\nreturn out", ""),
    "its own dict": ("d = {}\nfor v in y:\n    d[v] = d.get(v, 0) + 1\nreturn d", ""),
    "its own object": ("c = C(x)\nc.note(1)\nreturn c", ""),
    "what is caught": (
        "try:\n    return 1 / y\nexcept ZeroDivisionError as e:\n    return str(e)",
        "",
    ),
    "text": ("return f'{x!r:>{K}}' + '%s' % y", ""),
    "by key": ("return sorted(y, key=lambda r: r[1])", ""),
    "arguments passed on": ("return pure(*y, **{'a': x})", ""),
    "a loop that ends early": ("while x > 1:\n    x = x // 2\n    if x == 7: break\nreturn x", ""),
}
HELPERS = """
import itertools
cache = {}; rows = [[1]]; ids = itertools.count(); K = 3; n = 0; last = None
def push(xs): xs.append(1)
def tick(x):
    global n
    n += 1
def pure(*a, **k): return a
class C:
    total = 0
    def __init__(self, x): self.x = x; self.log = []
    def note(self, v): self.log.append(v)
"""


def read(function: Any) -> Summary:
    found = Callables(function.__globals__, 0, Reading()).summary_of(function)
    assert found is not None
    return found


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_a_function_changes(name: str) -> None:
    body, expected = FUNCTIONS[name]
    namespace: dict[str, Any] = {"__name__": "without_source"}
    text = "\n    ".join(body.splitlines())
    exec(f"{HELPERS}\ndef f(x, y=2, seen=[]):\n    {text}\n", namespace)
    assert read(namespace["f"]).acts == set(expected.split())


def test_a_closure() -> None:
    namespace: dict[str, Any] = {}
    exec(
        "def make():\n    n = 0\n    def f(x):\n        nonlocal n\n        n += x\n        return n\n"
        "    return f\nf = make()",
        namespace,
    )
    found = read(namespace["f"])
    assert (found.changes, found.rebinds, "n" in found.reads) == ({"n"}, {"n"}, True)


def test_functions_that_call_each_other() -> None:
    namespace: dict[str, Any] = {}
    exec(
        "cache = {}\ndef a(x): return b(x)\ndef b(x):\n    cache[x] = 1\n    return a(x - 1) if x else 0",
        namespace,
    )
    assert read(namespace["a"]).changes == read(namespace["b"]).changes == {"cache"}


# -- beside the reading of source

MODULES = "bisect calendar csv fnmatch heapq json.decoder pprint shlex statistics string textwrap"


def functions_of(module: types.ModuleType) -> Iterator[types.FunctionType]:
    for value in vars(module).values():
        found = vars(value).values() if isinstance(value, type) else [value]
        for f in found:
            if isinstance(f, types.FunctionType) and f.__module__ == module.__name__:
                yield f


def test_shows_no_less_than_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of functions of the standard library, each by itself, without what it calls."""
    monkeypatch.setattr(ownership, "_libraries", ())
    count = 0
    for module in map(importlib.import_module, MODULES.split()):
        for f in functions_of(module):
            if f.__name__ == "<lambda>" or "super" in f.__code__.co_names:
                continue  # arguments of `super().f(·)` are said to be changed where there is source
            reading = Reading()
            by_source = Callables(f.__globals__, MAX_DEPTH - 1, reading).summary_of(f)
            inner = callables.module_of(f.__code__.co_filename, f.__globals__)
            assert inner is not None
            inner.summaries.clear()
            by_code = Reading()
            shown = summary_without_source(f, callables.cells_of(f), MAX_DEPTH - 1, by_code).changes
            assert by_source is not None
            # What a value might be a part of is not followed as far without source.
            sure = by_source.changes - by_source.unsure
            missed = [r for r in sure if not any(overlaps(r, s) for s in shown)]
            assert not missed, (f.__qualname__, by_source.changes, shown)
            count += 1
    assert count > 100


# -- programs

PROGRAMS = {
    "reads what the loop changes": ("def f(i): return i + len(out)", "serial"),
    "counts": ("n = 0\ndef f(i):\n    global n\n    n += 1\n    return i * n", "serial"),
    "remembers": ("last = None\ndef f(i):\n    global last\n    last = i\n    return i", "serial"),
    "a memo": (
        "memo = {}\ndef f(i):\n    if i % 3 not in memo: memo[i % 3] = i\n    return memo[i % 3]",
        "serial",
    ),
    "an attribute of itself": (
        "def f(i):\n    f.calls = getattr(f, 'calls', 0) + 1\n    return i + f.calls",
        "serial",
    ),
    "a default": ("def f(i, m=[]):\n    m.append(i)\n    return len(m)", "serial"),
    "works on its own": (
        "import math\ndef f(i):\n    d = {}\n    for j in range(4): d[j] = d.get(j - 1, i) + 1\n"
        "    rows = [[v] for v in d.values()]\n    for row in rows: row.append(1)\n"
        "    return math.fsum(map(sum, rows))",
        "parallel",
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name: str) -> None:
    source, expected = PROGRAMS[name]
    loop = f"out = []\nexec({source!r}, globals())\nfor i in parallel(range(20)):\n    out.append(f(i))\n"
    assert_same(loop, expected, places=("module",))


def test_a_module_of_which_only_the_pyc_is_there(tmp_path: Any) -> None:
    import py_compile

    text = "count = [0]\ndef f(i):\n    count[0] += 1\n    return i * count[0]\ndef g(i): return i * i\n"
    (tmp_path / "unsourced.py").write_text(text)
    py_compile.compile(str(tmp_path / "unsourced.py"), str(tmp_path / "unsourced.pyc"))
    (tmp_path / "unsourced.py").unlink()
    program = (
        f"import sys, importlib\nsys.path.insert(0, {str(tmp_path)!r})\nsys.modules.pop('unsourced', 0)\n"
        "importlib.invalidate_caches()\nimport unsourced\nsys.path.pop(0)\nout = []\n"
        "for i in parallel(range(20)):\n    out.append(unsourced.{}(i))\n"
        "count = unsourced.count\ndel sys, importlib, unsourced\n"
    )
    try:
        assert_same(program.format("f"), "serial", places=("module",))
        assert_same(program.format("g"), "parallel", places=("module",))
    finally:
        sys.modules.pop("unsourced", None)


def test_lambdas_and_generated_methods_stay_parallel() -> None:
    assert_same(
        """
from collections import namedtuple
from dataclasses import dataclass, field
P = namedtuple('P', 'x y')
@dataclass(frozen=True, order=True)
class Q:
    x: int
    log: list = field(default_factory=list)
f = lambda x: sorted([(x, 1), (2, 3)], key=lambda r: r[1])[0]
out = []
for i in parallel(range(20)):
    out.append((P(i, 2)._replace(x=3), max(Q(i), Q(i + 1)), f(i)))
del f
""".lstrip(),
        "parallel",
        places=("module",),
    )


def test_what_exec_binds_in_a_function_is_no_variable_of_it() -> None:
    source = """
def program():
    exec('def triple(v): return v * 3')
    out = []
    for i in parallel(range(20)):
        out.append(triple(i))
    return out
try:
    out = program()
except NameError as error:
    out = str(error)
del program
""".lstrip()
    assert_same(source, places=("module",))
