"""Classes that stand in another file than the loop: what their methods change is read there.

The loop's text shows the name of a method and no more; whose method it is, the objects tell.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from allcores.build.watch import Watch
from tests.same import assert_same, difference, run

STARS = '''
class Star:
    count = 0
    table = {k: [] for k in range(400)}
    def __init__(self, k):
        self.k, self.log, self.looked = k, list(range(1000)), 0
    def find(self, x): self.log.append(x); return x
    def record(self, x): self.log.append(x); return x
    def helped(self, x): return note(self, x)
    def counted(self, x): Star.count += 1; return x
    def by_class(self, x): type(self).table[x].append(x); return x
    def of_class(self, x): self.table[x].append(x); return x
    def of_next(self, x): return self.next.record(x)
    @classmethod
    def for_all(cls, x): cls.count += 1; return x
    @staticmethod
    def put(log, x): log.append(x); return x
    def value(self, x): return self.k * x
    def fit(self): self.fitted = self.k ** 2; self.log.append(self.k)

class Odd:
    def __init__(self, k): self.k, self.looked = k, 0
    @property
    def lazy(self): self.looked += 1; return self.k
    def __getitem__(self, x): self.looked += 1; return x
    def __len__(self): self.looked += 1; return 3
    def __add__(self, x): self.looked += 1; return x
    def __call__(self, x): self.looked += 1; return x
    def __eq__(self, x): self.looked += 1; return False
    def __hash__(self): return 1
    def __str__(self): self.looked += 1; return "s"

def note(star, x): star.log.append(x); return x
def through(stars, x): return stars[x % 3].record(x)

class Sky:
    def __init__(self, stars): self.stars = stars
    def go(self, x): return self.stars[x % 3].find(x)
    def each(self, x): return [star.record(x) for star in self.stars[:2]]

class Plain:
    def __init__(self, k): self.k, self.log = k, []
    def fit(self): self.fitted = self.k ** 2; self.log.append(self.k)
    def value(self, x): return self.k * x
    def add(self, x): self.log.append(x)
    @property
    def double(self): return self.k * 2
'''  # fmt: skip
HOLDERS = {
    "a list": ("", "stars[x % 3]"),
    "a dict": ("by_name = dict(enumerate(stars))", "by_name[x % 3]"),
    "lists in a dict": ("by_name = {'a': [stars[:250], stars[250:]]}", "by_name['a'][0][x % 3]"),
    "an attribute": ("sky = Sky(stars)", "sky.stars[x % 3]"),
    "a slot": ("class S: __slots__ = ('held',)\nh = S(); h.held = stars", "h.held[x % 3]"),
    "objects of a list": ("skies = [Sky(stars)] * 3", "skies[x % 2].stars[x % 3]"),
    "the least": ("", "min(stars, key=lambda s: (s.k - x % 3) ** 2)"),
}
METHODS = "find record helped counted of_class for_all".split()
CALLS = {
    "the class by type": "stars[x].by_class(x)",
    "another one that it holds": "stars[x].of_next(x)",
    "what a static method is given": "stars[x].put(log, x)",
    "by getattr": "getattr(stars[x], 'record')(x)",
    "a function's argument": "through(stars, x)",
    "a method of its holder": "sky.go(x)",
    "of each that it holds": "sky.each(x)",
    "of holders in a list": "[sky][0].each(x)",
    "a property": "odd[x].lazy",
    "an item": "odd[x][0]",
    "the length": "len(odd[x])",
    "an operator": "odd[x] + x",
    "a call": "odd[x](x)",
    "a comparison": "odd[x] == x",
    "its text": "f'{odd[x]}'",
}
WAYS = {
    "in the body": "for x in parallel(range(12)):\n    out.append({call})",
    "in a function": "def work(x): return {call}\nfor x in parallel(range(12)):\n    out.append(work(x))",
}


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sky_and_stars.py").write_text(STARS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "sky_and_stars", raising=False)


def program(before: str, loop: str) -> str:
    return f"""\
import sys
sys.modules.pop("sky_and_stars", None)
from sky_and_stars import Odd, Plain, Sky, Star, through
stars = [Star(k) for k in range(500)]
for star in stars: star.next = stars[0]
odd = [Odd(k) for k in range(500)]
sky, log, out = Sky(stars), list(range(1000)), []
{before}
{loop}
left = [s.log[1000:] for s in stars], [s.looked for s in odd], log[1000:]
left += Star.count, [v for v in Star.table.values() if v]
stars = odd = sky = by_name = skies = h = star = S = Odd = Plain = Sky = Star = through = 0
"""


def read_alone(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Watch, "change", lambda _: None)
    ours = run(source, False)
    assert difference(run(source, True), ours) is None, (ours.warned, ours.reports)
    assert not any("a bug of allcores" in text for text in ours.warned), ours.warned


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("way", WAYS)
def test_methods_of_objects_that_something_holds(
    way: str, method: str, holder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, star = HOLDERS[holder]
    read_alone(program(before, WAYS[way].format(call=f"{star}.{method}(x)")), monkeypatch)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("way", WAYS)
def test_ways_to_call_methods(way: str, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read_alone(program("", WAYS[way].format(call=CALLS[call])), monkeypatch)


@pytest.mark.parametrize("loop", ["star.fit()", "fit(star)"])
def test_items_that_methods_change_are_changed_by_workers(loop: str) -> None:
    before = "plain = [Plain(k) for k in range(50)]\ndef fit(star): star.fit()"
    source = program(before, f"for star in parallel(plain):\n    {loop}")
    assert_same(source + "plain = [vars(p) for p in plain]\n", "parallel", places=("module",))


@pytest.mark.parametrize(
    "call", ["plain[x].value(x)", "plain[x].double", "made(x)", "plain[x] == x", "f'{plain[x].k}'"]
)
def test_methods_that_change_nothing_that_is_shared(call: str) -> None:
    before = """\
plain = [Plain(k) for k in range(50)]
def made(x):
    new = Plain(plain[x].value(2))
    new.add(x); new.fit()
    return new.fitted, new.log
"""
    source = program(before, f"for x in parallel(range(12)):\n    out.append({call})")
    assert_same(source + "plain = 0\n", "parallel", places=("module",))


def test_a_loop_is_read_anew_where_a_list_holds_others() -> None:
    source = program(
        "class Other:\n    def record(self, x): return x\n",
        """\
def run(held):
    for x in parallel(range(12)):
        out.append(held[x % 3].record(x))
run([Other()] * 3)
run(stars)
""",
    )
    assert_same(source + "Other = 0\n", places=("module",))


def test_what_objects_change_that_work_makes_is_left_to_the_watch() -> None:
    source = program(
        "def made(x): return Star(x)",
        "for x in parallel(range(12)):\n    out.append(made(x).counted(x) + Star(x).counted(x))",
    )
    assert_same(source + "made = 0\n", places=("module",))


def test_looking_for_classes_calls_nothing_of_an_array_of_objects() -> None:
    assert_same(
        """\
import numpy as np
asked = []
class Array(np.ndarray):
    def ravel(self, *given):
        asked.append(1)
        return np.ndarray.ravel(self, *given)
class Cell:
    def get(self, x): return x
cells = np.array([Cell() for _ in range(4)], dtype=object).view(Array)
out = []
for x in parallel(range(8)):
    out.append(cells[x % 4].get(x))
cells = Array = Cell = 0
""",
        places=("module",),
    )
