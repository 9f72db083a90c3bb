"""What results share with variables, and with one another, shows after the loop as in the plain one."""

from __future__ import annotations

import pytest

from tests.same import assert_same

HELPERS = """
import functools, itertools, types, weakref
class Stars:
    def __init__(self, rows): self.rows = rows
    def push(self, row): self.rows.append(row)
"""
HOLDERS = {
    "tuple": ("pair = ((rows, i), 5)", "pair[0][0].append(8)"),
    "the tuple is sent": ("made = pair = (rows, i)", "rows.append(8), out[-1] is pair"),
    "method of a list": ("push = rows.append", "push(8)"),
    "method": ("made = Stars(rows); push = made.push", "push(8)"),
    "partial": (
        "made = Stars(rows); push = functools.partial(made.push, 5)",
        "push(), (push := 1)",
    ),
    "default": ("ask = lambda to=rows: to", "ask().append(8)"),
    "views of a dict": ("made = {1: 2}; keys = made.keys()", "out[-1].update({3: 4}), list(keys)"),
    "proxy": ("made = {1: 2}; proxy = types.MappingProxyType(made)", "out[-1].clear(), len(proxy)"),
    "iterator": ("it = iter(rows); it.__next__()", "out[-1].append(8), list(it)"),
    "iterators": (
        "it = enumerate(zip(rows, map(str, rows))); it.__next__()",
        "out[-1].append(8), list(it)",
    ),
    "chain": ("it = itertools.chain(rows, [5]); it.__next__()", "out[-1].append(8), list(it)"),
    "generator expression, not begun": (
        "it = (row for row in rows)",
        "out[-1].append(8), list(it)",
    ),
    "weak reference": ("made = Stars(rows); ref = weakref.ref(made)", "ref() is out[-1]"),
    "set": ("made = Stars(rows); seen = {made}", "out[-1] in seen"),
    "frozenset": ("made = Stars(rows); seen = frozenset([made])", "out[-1] in seen"),
    "key": ("made = Stars(rows); seen = {made: 1, 2: 3}", "seen.get(out[-1]), list(seen)"),
    "exception": ("error = ValueError(rows)", "error.args[0].append(8)"),
    "memory": ("made = bytearray([i] * 8); part = memoryview(made)[1:7:2]", "part[1:].tolist()"),
}
ARRAYS = {
    "view": ("v = a[1:]", "v[0] = 99"),
    "backwards": ("v = a[::-2]", "v[0] = 99"),
    "of a view": ("v = [a[::-2][1:]]", "v[0][0] = 99"),
    "the view is sent": ("made = a[1:]", "a[3] = 99"),
    "two views are sent": ("v = a[1:]; w = a[::2]; made = (v, w)", "a[2] = 99; w[0] = 98"),
    "columns": ("b = a.reshape(4, 2); v = b[:, 1]; w = b.T", "v[0] = 99; w[1, 2] = 7"),
    "Fortran's order": ("b = made = np.asfortranarray(a.reshape(4, 2)); v = b[1]", "v[0] = 99"),
    "other type": ("v = a.view('i8'); u = a.view('u1')", "v[0] = 99; u[30] = 2"),
    "of a bytearray": ("made = bytearray(a); v = np.frombuffer(made)[2:]", "v[0] = 99"),
    "base": ("v = a[1:]", "v[0] = 9; same = v.base is out[-1]"),
}


@pytest.mark.parametrize("name", HOLDERS)
def test_what_holds_a_result_where_a_commit_raises(name: str) -> None:
    """It cannot be changed to hold something else, and is made anew."""
    make, after = HOLDERS[name]
    loop = f"""
try:
    for i in parallel(range(6)):
        rows = made = [i, 2, 3]
        {make}
        out.append(made)
        left.remove(i)
except KeyError:
    found.append(({after},))
"""
    data = "out = []\nfound = []\nleft = {0, 1, 2, 3}\n"
    places = ("module",) if "generator" in name else ("module", "function")
    assert_same(loop, "parallel", helpers=HELPERS, data=data, places=places)


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_share_memory_with_a_result_where_a_commit_raises(name: str) -> None:
    pytest.importorskip("numpy")
    make, after = ARRAYS[name]
    loop = f"""
try:
    for i in parallel(range(6)):
        a = made = np.arange(i, i + 8.)
        {make}
        out.append(made)
        left.remove(i)
except KeyError:
    {after}
"""
    data = "out = []\nleft = {0, 1, 2, 3}\n"
    helpers = "import numpy as np\n"
    assert_same(loop, "parallel", helpers=helpers, data=data, places=("module", "function"))


@pytest.mark.parametrize("size", [10, 100_000])
def test_arrays_of_results_have_memory_of_their_own(size: int) -> None:
    """They can be made larger in place, and a view knows whose memory it looks at."""
    pytest.importorskip("numpy")
    loop = f"""
for i in parallel(range(6)):
    out.append(np.arange(i, i + {size}.))
    b = np.zeros({size})
    views.append((b, b[::2]))
for array in out:
    array.resize({size + 10}, refcheck=False)
same = [view.base is whole and whole.base is None for whole, view in views]
"""
    assert_same(loop, "parallel", helpers="import numpy as np\n", data="out = []\nviews = []\n")


@pytest.mark.parametrize("kept", ["it", "i"])
def test_what_itertools_makes_comes_home_without_a_warning(kept: str) -> None:
    """From Python 3.12 on pickling it warns."""
    loop = f"""
for i in parallel(range(6), chunk=2):
    it = itertools.islice(itertools.chain([i], [5, 6]), 3)
    it.__next__()
    out.append({kept})
"""
    after = "rest = [*it, list(map(list, out)) if out[0] != 0 else out]\n"
    assert_same(loop + after, helpers=HELPERS, data="out = []\n", places=("module", "function"))
