"""What is looped over: what forked workers hold already is sent as index ranges, whatever its form."""

from __future__ import annotations

import io
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

from allcores import parallel
from allcores.engine import schedule
from allcores.engine.source import Indexed
from allcores.inputs import gives_atoms
from tests.same import assert_same, difference, run


class Held:
    """Something that cannot be pickled."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __reduce__(self) -> Any:
        raise TypeError("it stays where it is")


Pair = namedtuple("Pair", "a b c d")
HELD = [Held(n) for n in range(12)]
TABLE = dict(enumerate(HELD))
NUMBERS = np.arange(12.0)

FORMS: dict[str, Callable[[], Iterable[Any]]] = {
    "list": lambda: HELD,
    "tuple": lambda: tuple(HELD),
    "zip": lambda: zip(HELD, NUMBERS),
    "enumerate": lambda: enumerate(HELD, 3),
    "enumerate of zip": lambda: enumerate(zip(HELD, range(100))),
    "zip of all": lambda: zip(range(12), NUMBERS, reversed(HELD), TABLE.items(), enumerate(HELD)),
    "range": lambda: range(3, 90, 7),
    "reversed list": lambda: reversed(HELD),
    "reversed tuple": lambda: reversed(tuple(HELD)),
    "reversed text": lambda: reversed("abcdefghijkl"),
    "reversed range": lambda: reversed(range(12)),
    "reversed keys": lambda: reversed(TABLE),
    "reversed values": lambda: reversed(TABLE.values()),
    "reversed items": lambda: reversed(TABLE.items()),
    "reversed array": lambda: reversed(NUMBERS),
    "keys": lambda: TABLE.keys(),
    "values": lambda: TABLE.values(),
    "items": lambda: TABLE.items(),
    "array": lambda: NUMBERS,
    "rows": lambda: NUMBERS.reshape(6, 2),
    "deque": lambda: deque(HELD),
    "reversed deque": lambda: reversed(deque(HELD)),
    "defaultdict": lambda: defaultdict(list, TABLE),
    "counter": lambda: Counter("abcdabefghijk"),
    "named tuple": lambda: Pair(*HELD[:4]),
    "ordered values": lambda: list(OrderedDict(TABLE).values()),
    "sorted": lambda: sorted(HELD, key=lambda held: -held.n),
    "text": lambda: "abcdefghijkl",
    "bytes": lambda: b"abcdefghijkl",
    "set": lambda: {3, 4, 5, 6},
    "iterator": lambda: iter(HELD),
}


def shown(item: Any) -> Any:
    """Something that tells items apart."""
    if isinstance(item, tuple) and type(item) is not Pair:
        return tuple(shown(part) for part in item)
    return item.n if isinstance(item, Held) else np.asarray(item).tolist()


@pytest.mark.parametrize("form", FORMS)
def test_it_travels_as_index_ranges(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sources: list[Any] = []
    made = schedule.Run.__init__

    def noted(self: Any, job: Any, source: Any, **options: Any) -> None:
        sources.append(source)
        made(self, job, source, **options)

    monkeypatch.setattr(schedule.Run, "__init__", noted)
    monkeypatch.setenv("ALLCORES_FORCE", "1")
    found = []
    for item in parallel(FORMS[form](), workers=2, on="fork"):
        found.append(shown(item))
    assert found == [shown(item) for item in FORMS[form]()]
    assert [type(source) for source in sources] == [Indexed]


CHANGING = {
    "deque": "queue = deque(range(20))",
    "counter": "queue = Counter(range(20))",
    "subclass": "class Queue(list):\n    pass\nqueue = Queue(range(20))",
}


@pytest.mark.parametrize("kind", CHANGING)
@pytest.mark.parametrize("change", ["append", "pop", "later"])
def test_what_changes_as_it_is_run_over(kind: str, change: str) -> None:
    """The plain loop goes over what is added, or raises; so does this one."""
    what = {
        "append": "queue[99] = 1" if kind == "counter" else "queue.append(x)",
        "pop": "queue.popitem()" if kind == "counter" else "queue.pop()",
        "later": "other.clear()",
    }[change]
    program = (
        f"from collections import Counter, deque\n{CHANGING[kind]}\nother = queue\nfound = []\n"
        f"try:\n    for x in parallel(queue):\n        found.append(x * 2)\n"
        f"        if len(found) == 7:\n            {what}\n"
        "except RuntimeError as error:\n    found.append(str(error))\n"
    )
    assert_same(program, places=("module",))


@pytest.mark.parametrize("kind", ["deque", "reversed", "counter"])
def test_an_iterator_is_left_where_the_plain_loop_leaves_it(kind: str) -> None:
    source = {
        "deque": "iter(deque(range(20)))",
        "reversed": "reversed(tuple(range(20)))",
        "counter": "iter(Counter(range(20)))",
    }[kind]
    program = (
        f"from collections import Counter, deque\nit = {source}\nfound = []\n"
        "for x in parallel(it):\n    found.append(x)\n    if x == 12:\n        break\nleft = list(it)\n"
    )
    assert_same(program, places=("module",))


class Text(str):
    """It may have attributes."""


@pytest.mark.parametrize(
    "made, expected",
    [
        (lambda: ["a", 1, None, 2.5, b"c"], {-1}),
        (lambda: ["a", None, 2.5], {}),
        (lambda: {"a": 1}.items(), {1}),
        (lambda: enumerate(zip("abc", (1.5, 2.5, 3.5))), {0, 1}),
        (lambda: enumerate("abc"), {0}),
        (lambda: zip("abc", "def"), {}),
        (lambda: [("a", 1), ("a", "b")], {1}),
        (lambda: [("a", 1), ("a",)], {-1}),
        (lambda: [("a", "b"), "c"], {-1}),
        (lambda: iter([(1, ("a", (2, "b")))]), {0, 1}),
        (lambda: NUMBERS, {-1}),
        (lambda: io.StringIO("a\nb\n"), {}),
        (lambda: range(3), {-1}),
        (lambda: [], {}),
        (lambda: [()], {}),
        (lambda: [1, [2]], None),
        (lambda: {"a": []}.items(), None),
        (lambda: [Text("a")], None),
        (lambda: zip([1], [HELD]), None),
        (lambda: np.zeros((3, 2)), None),
        (lambda: np.zeros(3, "i4, f8"), None),
        (lambda: [(1, [2]), 3], None),
        (lambda: (x for x in "abc"), None),
        (lambda: map(str, range(3)), None),
        (lambda: [0] * 100_000, None),
    ],
)
def test_which_items_nothing_can_change(made: Any, expected: Any) -> None:
    iterable = made()
    assert gives_atoms(iterable) == (None if expected is None else frozenset(expected))
    assert expected is None or len(list(iterable)) == len(list(made()))  # none is used up


def test_items_that_nothing_can_change_and_others_the_next_time() -> None:
    """A list that is put away and changed later on is an item itself, and a number is not."""
    source = """\
def look(pairs):
    put, out = {}, []
    for k, v in parallel(pairs):
        w = k * 2
        put.setdefault(k % 3, []).append(v)
        last = put[k % 3][0]
        if type(last) is list:
            last.append(w)
        out.append((w, repr(v)))
    return out, put
numbers = [(i, i + 1) for i in range(9)]
lists = [(i, [i]) for i in range(9)]
results = [look(numbers), look(lists), look(numbers), look(lists[:3])]
"""
    plainly, ours = run(source, True), run(source, False, WORKERS="2")
    assert difference(plainly, ours) is None
    assert [report.in_workers for report in ours.reports] == [9, 0, 9, 0]
