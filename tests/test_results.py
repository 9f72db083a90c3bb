"""What a function that the loop calls gives: whether it may be, or hold, what outlives the loop."""

from __future__ import annotations

import pytest

from tests.same import assert_same

API = """
class Api:
    def __init__(self):
        self.base, self.n, self.opts = "u", 3, {"a": 1}
        self.data = [[0] for i in range(12)]
        self.view = self.data
    def url(self, x):
        return self.base + "/" + str(x)
    def get(self, x):
        return {"url": self.url(x), "n": self.n, "vals": [x] * self.n}
    def fetch(self, x):
        d = self.get(x)
        d["ok"] = self.opts["a"] == 1
        return d
    def score(self, x):
        return sum(a * b for a, b in zip((self.n, 2.0), [x, 1]))
    @property
    def rows(self):
        return self.data
    def by_property(self, x):
        return self.rows[x]
    def seen(self, x):
        return self.view[x]
    def held(self, x):
        return {"row": self.data[x]}
    def row(self, x):
        return [x]
    def of_own(self, x):
        return self.row(x)
    def of_function(self, x):
        kept = []
        kept.append(self.data[x])
        def inner():
            return kept[0]
        return inner
    def of_error(self, x):
        try:
            raise ValueError(self.data[x])
        except ValueError as error:
            return error.args[0]
    def item(self, x):
        return self.data[x]
    def by_item(self, x):
        return self.item(x)
    def total(self):
        return sum(row[0] for row in self.data)
class Other(Api):
    def row(self, x):
        return self.data[x]
class Adds:
    n = 0
    def __radd__(self, other):
        return self
api, other, adds = Api(), Other(), [Adds() for _ in range(4)]
data = view = [[0] for i in range(12)]
def pick(x):
    return view[x]
def all_of(x):
    return sum([adds[x % 4]])
def total():
    return sum(row[0] for row in data) + sum(a.n for a in adds)
"""
DATA = "groups, out = {0: [], 1: [], 2: []}, []\n"
FRESH = ["api.fetch(x)", "api.get(x)", "api.url(x)", "api.score(x)"]


@pytest.mark.parametrize("call", FRESH)
def test_what_is_made_is_put_into_groups(call: str) -> None:
    """It holds nothing of its object, so that later iterations may read that."""
    loop = f"for x in parallel(range(9)):\n    r = {call}\n    groups[x % 3].append(r)\n"
    assert_same(loop, "parallel", helpers=API, data=DATA, places=("module", "function"))


KEPT = {
    "api.by_property(x)": ("api", "[0]"),
    "api.seen(x)": ("api", "[0]"),
    "api.held(x)": ("api", "['row'][0]"),
    "other.of_own(x)": ("other", "[0]"),
    "api.of_function(x)()": ("api", "[0]"),
    "api.of_error(x)": ("api", "[0]"),
    "api.by_item(x)": ("api", "[0]"),
    "pick(x)": ("", "[0]"),
    "all_of(x)": ("", ".n"),
}


@pytest.mark.parametrize("call", KEPT)
def test_what_is_kept_is_changed_in_groups(call: str) -> None:
    owner, part = KEPT[call]
    total = f"{owner}.total()" if owner else "total()"
    loop = f"for x in parallel(range(9)):\n    r = {call}\n    out.append({total})\n    groups[x % 3].append(r)\n    groups[x % 3][0]{part} += 1\n"
    assert_same(loop, "serial", helpers=API, data=DATA, places=("module", "function"))


BY_ITSELF = """
data = [[0] for i in range(12)]
class Rows:
    kept = data
    @property
    def rows(self):
        return data
    def __getitem__(self, x):
        return data[x]
    def __add__(self, x):
        return data[x]
    def __iter__(self):
        return iter(data)
    def by_class(self, x):
        return self.kept[x]
    def by_type(self, x):
        return type(self).kept[x]
    @classmethod
    def of_class(cls, x):
        return cls.kept[x]
    def get(self, x):
        return data[x]
    def put(self, x, kept):
        kept.append(data[x])
    def collected(self, x):
        kept = []
        self.put(x, kept)
        return kept[0]
    def add(self, x, kept):
        kept.append(self.kept[x])
    def added(self, x):
        kept = []
        self.add(x, kept)
        return kept[0]
class Computed:
    def __getattr__(self, name):
        if name == "rows":
            return data
        raise AttributeError(name)
rows, several, computed = Rows(), [Rows()], Computed()
by_default = lambda x, rows=data: rows[x]
def by_keyword(x, *, rows=data):
    return rows[x]
def of_several(x):
    return several[0].get(x)
def items(x):
    return [row for row in rows][x]
def total():
    return sum(row[0] for row in data)
"""
GIVEN = [
    "rows.rows[x]",
    "several[0].rows[x]",
    "rows[x]",
    "rows + x",
    "list(rows)[x]",
    "items(x)",
    "rows.by_class(x)",
    "Rows.of_class(x)",
    "rows.collected(x)",
    "rows.added(x)",
    "computed.rows[x]",
    "by_default(x)",
    "by_keyword(x)",
    "of_several(x)",
]


@pytest.mark.parametrize("call", GIVEN)
def test_what_python_calls_by_itself_gives_something_shared(call: str) -> None:
    """It is changed in groups, while work reads it by another name."""
    loop = f"for x in parallel(range(9)):\n    r = {call}\n    out.append(total())\n    groups[x % 3].append(r)\n    groups[x % 3][0][0] += 1\n"
    assert_same(loop, "serial", helpers=BY_ITSELF, data=DATA, places=("module", "function"))
