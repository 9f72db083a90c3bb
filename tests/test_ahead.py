"""Input whose items live only until the next one is read: used one by one, as by the plain loop."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import allcores
from allcores import ParallelWarning, ahead
from allcores.ahead import LOOK, first_read
from tests.same import assert_same

HELPERS = """\
import itertools
import numpy as np
def filled(n=30):
    buffer = np.zeros(3)
    for i in range(n):
        buffer[:] = i
        yield buffer
def nested(n=30):
    row = [0]
    for i in range(n):
        row[0] = i
        yield i, {"row": row}
def late(n=30):
    state = [0]
    for i in range(n):
        state[0] += i > 20
        yield state
def swapped(n=30):
    one, other = [0], [0]
    for i in range(n):
        one[0] = i
        yield one
        one, other = other, one
def pieces(n=30):
    numbers = iter(range(n))
    for _ in range(n // 5):
        yield itertools.islice(numbers, 5)
def broken(n=5):
    yield from filled(n)
    raise LookupError("no more")
"""
LOOPS = {
    "an array filled again": "for b in parallel(filled()):\n    out.append(b.sum() + 1)",
    "a list in each item": "for i, d in parallel(nested()):\n    out.append(d['row'][0] * i)",
    "an object that changes late": "for s in parallel(late()):\n    out.append(s[0] + 1)",
    "two buffers in turn": "for s in parallel(swapped()):\n    out.append(s[0] + 1)",
    "groups": "for k, g in parallel(itertools.groupby('aaabbccccd')):\n    out.append((k, len(list(g))))",
    "slices of one iterator": "for p in parallel(pieces()):\n    out.append(sum(p))",
    "zipped": "for b, x in parallel(zip(filled(), range(20))):\n    out.append(b[0] * x)",
    "the input raises": "for b in parallel(broken()):\n    out.append(b.sum())",
    "the loop leaves": "for b in parallel(filled()):\n    if b[0] > 12:\n        break\n    out.append(b.sum())",
}


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS.keys())
def test_a_loop_over_items_that_do_not_last(loop: str) -> None:
    assert_same(loop, "serial", helpers=HELPERS, data="out = []\n")


def test_other_input_is_read_ahead() -> None:
    loop = "for a, x in parallel((shared, x) for x in range(40)):\n    out.append(a[0] + x)"
    assert_same(loop, "parallel", data="out, shared = [], [3]\n")


INPUTS: dict[str, Callable[[], Iterator[Any]]] = {}
exec(HELPERS, namespace := {"__name__": "helpers"})
for _name in ("filled", "nested", "late", "swapped", "pieces"):
    INPUTS[_name] = namespace[_name]
INPUTS["groups"] = lambda: itertools.groupby("aaabbccccd")


def content(item: Any) -> str:
    if isinstance(item, itertools.islice):
        return repr(list(item))
    if type(item) is tuple and hasattr(item[1], "__next__"):
        return repr((item[0], list(item[1])))
    return repr(item)


@pytest.mark.parametrize("name", INPUTS)
def test_a_map_of_items_that_do_not_last(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLCORES_FORCE", "1")
    expected = [content(item) for item in INPUTS[name]()]
    with pytest.warns(ParallelWarning, match=r"map\(\) runs serially: (its|reading its) input"):
        assert allcores.map(content, INPUTS[name](), workers=2) == expected
    with pytest.warns(ParallelWarning, match=r"imap\(\) runs serially"):
        assert list(allcores.imap(content, INPUTS[name](), workers=2)) == expected


def test_only_a_few_items_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "LOOK_SECONDS", 60)
    read = 0

    def numbers() -> Iterator[Any]:
        nonlocal read
        for read in itertools.count():
            yield np.zeros(100_000) if read < 3 else read

    items, why = first_read(numbers())
    assert why is None
    assert read == 1  # large ones: two are enough
    assert [type(next(items)) for _ in range(4)] == [np.ndarray] * 3 + [int]
    assert read == 3
    small = iter(range(100))
    assert first_read(small)[1] is None
    assert next(small) == LOOK + 1


def test_the_end_and_errors_of_input_come_in_their_turn() -> None:
    items, why = first_read(iter("abc"))
    assert (list(items), why) == (["a", "b", "c"], None)
    items, _ = first_read(namespace["broken"](3))
    assert [b[0] for b in itertools.islice(items, 3)] == [0, 1, 2]
    with pytest.raises(LookupError):
        next(items)


BEGINS_ANEW = """\
import itertools
class Countdown:
    def __init__(self, n=30, draws=False):
        self.n = n
    def __iter__(self):
        self.left = self.n
        return self
    def __next__(self):
        if not self.left:
            raise StopIteration
        self.left -= 1
        return self.left, [self.left]
"""


@pytest.mark.parametrize(
    "loop",
    [
        "for n, box in parallel(Countdown()):\n    out.append(n * n)",
        "for n, box in parallel(Countdown()):\n    assert n\n    out.append(box)",
        "for n, box in parallel(Countdown()):\n    if n == 7:\n        break\n    out.append(box)",
        "for n, box in parallel(Countdown()):\n    out.append(len(out) * n)",
        "import random\nfor n, box in parallel(Countdown(), random='plain'):\n    out.append(n)",
    ],
)
def test_an_iterator_is_asked_for_itself_once(loop: str) -> None:
    assert_same(loop, None, helpers=BEGINS_ANEW, data="out = []\n")


def test_map_asks_an_iterator_for_itself_once(monkeypatch: pytest.MonkeyPatch) -> None:
    exec(BEGINS_ANEW, found := {"__name__": "countdown"})
    expected = [repr(item) for item in found["Countdown"]()]
    for force in ("0", "1"):
        monkeypatch.setenv("ALLCORES_FORCE", force)
        assert allcores.map(repr, found["Countdown"](), workers=2) == expected
        assert list(allcores.imap(repr, found["Countdown"](), workers=2)) == expected
    with allcores.Pool(2) as pool:
        assert list(pool.imap(repr, found["Countdown"]())) == expected


@pytest.mark.parametrize(
    "iterable",
    [
        "zip(it, it)",
        "zip(*[iter(range(31))] * 3, strict=False)",
        "enumerate(zip(it, it))",
        "zip(it, enumerate(it))",
        "zip(zip(it, letters), it)",
        "zip(pairs, pairs)",
    ],
)
def test_two_take_turns_at_one_iterator(iterable: str) -> None:
    data = "out, it, letters = [], iter(range(31)), iter('abcdefghijklmnopqrstuvwxyz')\n"
    data += "pairs = enumerate(letters)\n"
    loop = f"for pair in parallel({iterable}):\n    out.append((pair, len(str(pair))))"
    assert_same(f"{loop}\nout.append((list(it), list(letters)))", None, data=data)
    namespace: dict[str, Any] = {}
    exec(data, namespace)
    expected = list(map(str, eval(iterable, dict(namespace))))
    exec(data, namespace)
    assert allcores.map(str, eval(iterable, namespace), workers=2) == expected
    exec(data, namespace)
    with allcores.Pool(2) as pool:
        assert list(pool.imap(str, eval(iterable, namespace))) == expected


CLOSED = """
import contextlib
def f(x): return x * 2
@contextlib.contextmanager
def timed():
    print('in')
    yield
    print('out')
def guarded(n):
    try:
        for i in range(n): yield i
    finally: print('closed')
def told(n):
    try:
        for i in range(n): yield i
    except GeneratorExit:
        print('exit')
        raise
def within(n):
    with timed():
        for i in range(n): yield i
def of_a_file(n):
    with open(__import__('os').devnull) as file:
        for i in range(n): yield i
        file.read()
def careful(n):
    file = open(__import__('os').devnull)
    try:
        for i in range(n):
            try: yield i
            except ValueError: print('never')
    finally: file.close()
"""
LEAVES = ("if i == 4: break", "z = 1 / (i - 4)", "pass")


@pytest.mark.parametrize("leaves", LEAVES)
@pytest.mark.parametrize("made", ["guarded(30)", "told(30)", "map(f, within(30))"])
def test_what_a_generator_says_when_it_is_closed(made: str, leaves: str) -> None:
    loop = (
        f"for i in parallel({made}):\n    z = f(i)\n    {leaves}\n    out.append(z)\nprint('after')"
    )
    assert_same(loop, "serial", helpers=CLOSED, data="out = []\n")


@pytest.mark.parametrize("made", ["of_a_file(30)", "careful(30)", "zip(careful(30))"])
def test_generators_that_let_go_of_a_file_may_be_read_ahead(made: str) -> None:
    loop = f"for i in parallel({made}):\n    out.append(f(i))"
    assert_same(loop, "parallel", helpers=CLOSED, data="out = []\n")


def test_a_generator_is_closed_where_the_plain_loop_closes_it() -> None:
    helpers = """\
log = []
def made(n):
    try:
        for i in range(n):
            yield i
    finally:
        log.append('closed')
"""
    for end in ("break", "raise LookupError(i)", "out.append(log)"):
        loop = f"for i in parallel(made(20)):\n    if i == 7:\n        {end}\n    out.append(i * i)"
        assert_same(f"{loop}\nout.append(list(log))", None, helpers=helpers, data="out = []\n")


@pytest.mark.parametrize(
    "body, reads",
    [
        ("log.append(x)\n    return x", "pass"),
        ("return x + len(log)", "log.append(y)"),
        ("return x + total", "total += y"),
    ],
)
@pytest.mark.parametrize("item", ["f", "[f]", "Task(f)"])
def test_functions_that_items_hold_are_read(body: str, reads: str, item: str) -> None:
    """Of items that are made as the loop goes nothing is known when it is read."""
    call = {"f": "t(3)", "[f]": "t[0](3)", "Task(f)": "t.done(3)"}[item]
    source = f"""
class Task:
    def __init__(self, done): self.done = done
log, total, out = [], 0, []
def f(x):
    {body}
def tasks():
    for k in range(12):
        yield {item}
for t in parallel(tasks()):
    y = {call}
    {reads}
    out.append(y)
del t
"""
    assert_same(source, "serial", places=("module",))
