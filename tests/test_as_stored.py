"""Objects of the program's come home as they are, whatever the program says of how they are pickled."""

from __future__ import annotations

import copyreg
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sessions import run as session
from tests.same import difference, run

OF_ONE = "class One({base}):\n    pass\ndef made(k):\n    one = One({given})\n    {fill}\n    return one\n"
CLASSES = {
    "__reduce__": """
class One:
    def __init__(self, k):
        self.k, self.memo = k, {}
    def __reduce__(self):
        return (One, (self.k,))
def made(k):
    one = One(k)
    one.memo[k] = k
    return one
""",
    "copyreg": """
import copyreg
class One:
    pass
copyreg.pickle(One, lambda one: (One, ()))
def made(k):
    one = One()
    one.k = k
    return one
""",
    "__getstate__": """
class One:
    def __init__(self, k):
        self.k, self.memo = k, {k: k}
    def __getstate__(self):
        return {"k": self.k}
made = One
""",
    "__setstate__": """
class One:
    def __init__(self, k):
        self.k = k
    def __setstate__(self, state):
        vars(self).update(state, again=True)
made = One
""",
    "__getnewargs__": """
class One(tuple):
    def __new__(cls, a, b):
        return super().__new__(cls, (a, b))
    def __getnewargs__(self):
        return (self[0], 0)
def made(k):
    return One(k, k)
""",
    "__new__ of a number": """
class One(float):
    def __new__(cls, k):
        return super().__new__(cls, k * 2)
made = One
""",
    "__new__ of a named tuple": """
from collections import namedtuple
class One(namedtuple("One", "x y")):
    def __new__(cls, x, y=0):
        return super().__new__(cls, x, y + 1)
made = One
""",
    "__new__ of an object": """
class One:
    def __new__(cls, *given):
        one = super().__new__(cls)
        one.tag = "new"
        return one
    def __init__(self, k):
        self.k = k
        del self.tag
made = One
""",
    "append": """
class One(list):
    def append(self, value):
        super().append(value * 2)
    def extend(self, values):
        for value in values:
            self.append(value)
def made(k):
    one = One()
    one.append(k)
    return one
""",
    "append that counts": """
class One(list):
    def __init__(self):
        self.count = 0
    def append(self, value):
        self.count += 1
        super().append(value)
def made(k):
    one = One()
    one.append(k)
    return one
""",
    "__setitem__": """
class One(dict):
    def __setitem__(self, key, value):
        super().__setitem__(key, value + 1)
def made(k):
    one = One()
    one["a"] = k
    return one
""",
    "__init__ of a set": """
class One(set):
    def __init__(self, items=()):
        super().__init__(item + 1 for item in items)
def made(k):
    return One([k])
""",
    "__init__ of an exception": """
class One(Exception):
    def __init__(self, k, more=0):
        super().__init__(f"bad {k}")
        self.k = k
made = One
""",
    "__init__ of a queue": """
from collections import deque
class One(deque):
    def __init__(self, items=(), maxlen=None):
        super().__init__([item + 1 for item in items], maxlen)
def made(k):
    return One([k])
""",
    "__setattr__ with slots": """
class One:
    __slots__ = ("k", "unset")
    def __setattr__(self, name, value):
        object.__setattr__(self, name, value + 1)
def made(k):
    one = One()
    one.k = k
    return one
""",
    "__getattr__": """
class One:
    def __init__(self, held):
        self.held = held
    def __getattr__(self, name):
        if name.startswith("h"):
            return self.held
        raise AttributeError(name)
made = One
""",
    "__dict__": """
class One:
    def __init__(self, k):
        self.k = k
    @property
    def __dict__(self):
        return {"a": 1}
made = One
""",
    "attributes of an array": """
import numpy as np
class One(np.ndarray):
    def __new__(cls, values, note=None):
        one = np.asarray(values).view(cls)
        one.note = note
        return one
    def __array_finalize__(self, other):
        self.note = getattr(other, "note", None)
def made(k):
    return One([1, 2, k], note=k)
""",
    "attributes of a date": "import datetime\n"
    + OF_ONE.format(base="datetime.date", given="2020, 1, 1 + k % 9", fill="one.note = k"),
    "attributes of a Decimal": "from decimal import Decimal\n"
    + OF_ONE.format(base="Decimal", given="k", fill="one.note = k"),
    "attributes of a path": "from pathlib import PurePosixPath\n"
    + OF_ONE.format(base="PurePosixPath", given="'a', str(k)", fill="one.note = k"),
    "attributes of a defaultdict": "from collections import defaultdict\n"
    + OF_ONE.format(base="defaultdict", given="int", fill="one.note = k"),
    "attributes of a Counter": "from collections import Counter\n"
    + OF_ONE.format(base="Counter", given="'abca'", fill="one.note = k"),
    "attributes of bytes": OF_ONE.format(base="bytes", given="k", fill="one.note = k"),
}
HERE = {"__init__ of a queue", "__dict__"}
"""Of these a worker makes no copy that is as good."""
READ_AS_CHANGING = {"attributes of a defaultdict", "append that counts", "attributes of an array"}
"""Such items keep the loop serial, for making or reading one is taken to change something."""
RESULTS = "out = []\nfor k in parallel(range(6)):\n    out.append(made(k))\n"
CHANGED = """
class Holder:
    pass
holders = [Holder() for _ in range(6)]
for k, holder in parallel(enumerate(holders)):
    holder.one = made(k)
"""
STREAMED = """
def stream():
    for k in range(9):
        yield made(k)
out = []
for one in parallel(stream()):
    try:
        out.append((type(one).__name__, list(one)))
    except TypeError:
        out.append((type(one).__name__, str(object.__getattribute__(one, "__dict__"))))
    except AttributeError:
        out.append((type(one).__name__, str(one)))
del one
"""


@pytest.fixture(autouse=True)
def _reducers_as_before() -> Iterator[None]:
    before = dict(copyreg.dispatch_table)
    yield
    copyreg.dispatch_table.clear()
    copyreg.dispatch_table.update(before)


def outcomes(text: str) -> tuple[Any, Any]:
    return run(text, True), run(text, False)


@pytest.mark.parametrize("kind", CLASSES)
def test_results_are_as_they_were_made(kind: str) -> None:
    plain, ours = outcomes(CLASSES[kind] + RESULTS)
    assert difference(plain, ours) is None
    if kind != "__dict__":
        assert bool(ours.in_workers) is (kind not in HERE)


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if kind != "__dict__"])
def test_what_items_are_given_is_as_it_was_made(kind: str) -> None:
    plain, ours = outcomes(CLASSES[kind] + CHANGED)
    assert difference(plain, ours) is None
    assert bool(ours.in_workers) is (kind not in HERE)


@pytest.mark.parametrize(
    "kind", [k for k in CLASSES if k not in {"__setattr__ with slots", "__dict__"}]
)
def test_items_are_as_they_were_made(kind: str) -> None:
    plain, ours = outcomes(CLASSES[kind] + STREAMED)
    assert difference(plain, ours) is None
    if kind not in READ_AS_CHANGING:
        assert ours.in_workers or kind in HERE


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if kind != "__dict__"])
def test_results_of_a_map_are_as_they_were_made(kind: str) -> None:
    """The loop is run natively, so that only what `map` gives is compared."""
    text = CLASSES[kind] + "import allcores\nout = "
    plain = run(text + "list(map(made, range(6)))", True)
    ours = run(text + "allcores.map(made, range(6))", False)
    assert difference(plain, ours) is None


LOGGED = """
import logging
seen = []
class Handler(logging.Handler):
    def emit(self, record):
        seen.append((record.args[0], record.note))
log = logging.getLogger("tests.test_as_stored")
log.propagate = False
log.handlers[:] = [Handler()]
log.setLevel(logging.INFO)
def told(k):
    log.info("%s", [made(k)], extra={"note": made(k + 10)})
    return k
out = []
for k in parallel(range(5)):
    out.append(told(k))
log.handlers[:] = []
"""
WARNED = """
import warnings
class Odd(UserWarning):
    def __init__(self, one, more):
        super().__init__(f"{more}")
        self.one = one
    def __reduce__(self):
        return (Odd, (None, 0))
def told(k):
    warnings.warn(Odd(made(k), k))
    return k
out, seen = [], []
with warnings.catch_warnings(record=True) as got:
    warnings.simplefilter("always")
    for k in parallel(range(5)):
        out.append(told(k))
for each in got:
    if each.category is Odd:
        seen.append((str(each.message), each.message.one))
del got, each
"""
RAISED = """
import allcores
class Bad(Exception):
    def __init__(self, one):
        super().__init__("bad", one)
        self.one, self.more = one, [one]
    def __reduce__(self):
        return (Bad, (None,))
def raising(k):
    if k == 3:
        raise Bad(made(k))
    return k
try:
    NAME(raising, range(6))
except Bad as error:
    found = error.args, error.one, error.more
"""


@pytest.mark.parametrize("kind", ["__reduce__", "append", "__new__ of a number"])
@pytest.mark.parametrize("text", [LOGGED, WARNED], ids=["logged", "warned"])
def test_what_is_told_has_them_as_they_were_made(kind: str, text: str) -> None:
    plain, ours = outcomes(CLASSES[kind] + text)
    assert difference(plain, ours) is None
    assert ours.in_workers


@pytest.mark.parametrize("kind", ["__reduce__", "append", "__new__ of a number"])
def test_what_a_map_raises_has_them_as_they_were_made(kind: str) -> None:
    plain = run(CLASSES[kind] + RAISED.replace("NAME(", "list(map(").replace("6))", "6)))"), True)
    ours = run(CLASSES[kind] + RAISED.replace("NAME", "allcores.map"), False)
    assert difference(plain, ours) is None
    assert ours.names["global found"][1] is ours.names["global found"][0][1]


RESUMED = """
from allcores import loop, parallel
loop.listeners.append(lambda report: print(report.replayed))
CLASS
def loop_over(n):
    out = []
    for k in parallel(range(n), resume="journal"):
        out.append(made(k))
    return out
print([(one.k, one.memo) for one in loop_over(6)])
"""


def test_records_have_them_as_they_were_made(tmp_path: Path) -> None:
    program = RESUMED.replace("CLASS", CLASSES["__reduce__"])
    told = [session(tmp_path, program, ALLCORES_FORCE="1") for _ in range(2)]
    assert [(each.code, each.err) for each in told] == [(0, "")] * 2
    expected = f"{[(k, {k: k}) for k in range(6)]}\n"
    assert [each.out for each in told] == ["0\n" + expected, "6\n" + expected]
