"""Variables that only some iterations bind, where the loop ends by a commit that raises."""

from __future__ import annotations

import random

import pytest

from tests.same import assert_same

HELPERS = """
class Star:
    def __init__(self, n): self.n = n
first = Star(1)
def f(x): return x * 2
class Sink:
    def __init__(self, *refused): self.got, self.refused = [], refused
    def put(self, v):
        if v in self.refused: raise KeyError(v)
        self.got.append(v)
"""
LOOP = """
for i in parallel(range(30), chunk={chunk}, workers={workers}):
    v = f(i)
    if i % {every} == 0:
        r = {value}
    if i in {bound}:
        q = [i, first]
    {commits}
"""


@pytest.mark.parametrize("seed", range(24))
def test_what_earlier_iterations_bound_is_there(seed: int) -> None:
    rng = random.Random(seed)
    loop = LOOP.format(
        chunk=rng.choice([1, 2, 3, 4, 7]),
        workers=rng.choice([1, 2]),
        every=rng.choice([2, 3, 5, 11]),
        value=rng.choice(["first", "Star(i)", "i", "[i]"]),
        bound=rng.sample(range(20), 3),
        commits=rng.choice(["sink.put(v)", "out.append(v); sink.put(v)"]),
    )
    data = f"out = []\nsink = Sink({rng.randrange(20, 60, 2)})\n"
    # What becomes of a loop that raises is told when its frame is gone, which may be later.
    assert_same(loop, None, helpers=HELPERS, data=data)


@pytest.mark.parametrize("stays", ["lock = Lock()", "reader = csv.reader([])", "it = iter(f, 0)"])
@pytest.mark.parametrize("held", ["{'rows': rows}", "(i, Star(rows))", "[rows[1:], [rows]]"])
def test_what_a_variable_shares_with_what_a_result_holds(stays: str, held: str) -> None:
    """It cannot go home with the result, for another variable cannot go at all."""
    loop = f"""
for i in parallel(range(6), chunk=2):
    {stays}
    rows = [[i], [2 * i]]
    row = rows[1]
    out.append({held})
rows.append(row.append("later"))
"""
    helpers = HELPERS + "import csv\nfrom threading import Lock\n"
    places = ("module", "function")
    assert_same(loop, "parallel", helpers=helpers, data="out = []\n", places=places)


def test_arrays_share_memory_with_what_a_result_holds() -> None:
    pytest.importorskip("numpy")
    loop = """
for i in parallel(range(6)):
    a = np.arange(i, i + 5)
    v = a[1:]
    with open(f"{i}.txt", "w") as file:
        file.write(str(v))
    out.append(a)
v[0] = 99
"""
    assert_same(loop, "parallel", helpers="import numpy as np\n", data="out = []\n")


@pytest.mark.parametrize("held", ["{'t': perf_counter(), 'rows': rows}", "Star((1, rows))"])
def test_what_they_share_where_a_commit_raises(held: str) -> None:
    loop = f"""
for i in parallel(range(6)):
    rows = [[i], [2 * i]]
    row = rows[1]
    made = {held}
    out.append(made)
    left.remove(i)
"""
    helpers = HELPERS + "def perf_counter(): return 1.5\n"
    assert_same(loop, None, helpers=helpers, data="out = []\nleft = {0, 1, 2, 3}\n")


def test_a_commit_has_changed_what_was_sent_home() -> None:
    """What it has put in the place of the iteration's own is not what the variables hold."""
    loop = """
for i in parallel(range(6)):
    rows = [[i], [2 * i]]
    made = {"rows": rows}
    out.append(made)
    made["rows"] = [total, total]
    total += i
    left.remove(i)
"""
    assert_same(loop, None, data="out = []\ntotal = 0\nleft = {0, 1, 2, 3}\n")


@pytest.mark.parametrize("ends", ["raises", "breaks"])
@pytest.mark.parametrize("place", ["module", "function"])
def test_what_an_iteration_binds_that_does_not_come_so_far(place: str, ends: str) -> None:
    """Worked before its commits are, the fourth binds `left` and stops behind that; done here, it
    stops before it, at the commit."""
    stop = "brittle(x + 1)" if ends == "raises" else "if x == 3: break"
    program = f"""
def brittle(x):
    if x == 4:
        raise ValueError(x)
    return x
table = {{k: k for k in range(8) if k != 3}}
out = []
for x in parallel(range(8), chunk=4, workers=1):
    out.append(table[x])
    left = x * x
    {stop}
"""
    assert_same(program, "parallel", places=(place,))


@pytest.mark.parametrize(
    "once",
    [
        "os.remove(path)",
        "os.rename(path, f'{i}.done')",
        "Path(path).unlink()",
        "shutil.move(path, f'{i}.done')",
        "os.mkdir(f'folder{i}')",
        "with open(path, 'w') as file:\n        file.write(f'{rows}')",
    ],
)
@pytest.mark.parametrize("place", ["module", "function"])
def test_what_cannot_be_done_twice_is_not_done_again_for_a_file_that_is_left(
    once: str, place: str
) -> None:
    """A worker cannot send `file`, and in the iteration that is done for it `path` would be gone."""
    loop = f"""
for i in parallel(range(5)):
    path = f"{{i}}.txt"
    with open(path) as file:
        rows = [row for row in csv.reader(file)]
    {once}
    out.append(rows)
"""
    helpers = "import csv, os, shutil\nfrom pathlib import Path\n"
    data = "out = []\nfor i in range(5): Path(f'{i}.txt').write_text(f'{i},b')\n"
    assert_same(loop, "parallel", helpers=helpers, data=data, places=(place,))
