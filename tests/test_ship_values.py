"""Values on their way to a clean interpreter: any graph of objects arrives as it was."""

from __future__ import annotations

import collections
import gc
import io
import random
import types
import weakref
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allcores.build import arrival, conditions
from allcores.build.order import seen_at
from allcores.build.sender import NanSender, Sender
from tests.compare import Comparer


class Plain:
    limit = 3


class Slotted:
    __slots__ = ("__weakref__", "a", "b")


class Listed(list):
    def extend(self, items: Any) -> None:
        raise AssertionError("nothing of the program's is run")

    append = extend  # type: ignore[assignment]


class Keyed(dict):
    def __setitem__(self, key: Any, value: Any) -> None:
        raise AssertionError("nothing of the program's is run")

    def __reduce__(self) -> Any:
        raise AssertionError("nothing of the program's is run")


class Paired(tuple):
    pass


class Numbered(int):
    pass


class Failed(ValueError):
    def __init__(self, a: Any, b: Any) -> None:
        super().__init__(a)
        self.b = b


def arrived(value: Any, kind: type[Sender] = NanSender) -> Any:
    """The value, sent and read again."""
    stream = io.BytesIO()
    buffers: list[Any] = []
    kind(stream, lambda b: bool(buffers.append(b))).dump(value)
    stream.seek(0)
    try:
        return arrival.Reader(stream, buffers=buffers).load()
    finally:
        arrival.here.forget()


MAKERS = [
    lambda n: [],
    lambda n: {},
    lambda n: collections.deque(),
    lambda n: Plain(),
    lambda n: Slotted(),
    lambda n: Listed(),
    lambda n: Keyed(),
    lambda n: Failed(n, "b"),
    lambda n: Paired((n, "x")),
    lambda n: Numbered(n),
    lambda n: types.SimpleNamespace(),
    lambda n: object(),
    lambda n: np.arange(12.0).reshape(3, 4)[:: 1 + n % 2, n % 3 :],
    lambda n: np.asfortranarray(np.ones((2, 3 + n % 4))),
    lambda n: bytearray(b"x" * n),
    lambda n: float("nan"),
    lambda n: n / 7,
    lambda n: f"text {n}",
    lambda n: 10**n,
]


def graph(plan: list[tuple[int, int]], edges: list[tuple[int, int]]) -> list[Any]:
    """Objects that hold one another: plan says of what kinds, edges who holds whom."""
    nodes = [MAKERS[kind % len(MAKERS)](n) for kind, n in plan]
    for k, (a, b) in enumerate(edges):
        holder, held = nodes[a % len(nodes)], nodes[b % len(nodes)]
        if isinstance(holder, list):
            list.append(holder, held)
        elif isinstance(holder, dict):
            dict.__setitem__(holder, f"k{k}", held)
        elif isinstance(holder, collections.deque):
            holder.append(held)
        elif isinstance(holder, (Plain, Failed, types.SimpleNamespace)):
            setattr(holder, f"a{k}", held)
        elif isinstance(holder, Slotted):
            setattr(holder, "ab"[k % 2], held)
    return nodes


pairs = st.tuples(st.integers(0, 60), st.integers(0, 60))


@settings(max_examples=60, deadline=None)
@given(st.lists(pairs, min_size=1, max_size=12), st.lists(pairs, max_size=25))
def test_any_graph_arrives_as_it_was(
    plan: list[tuple[int, int]], edges: list[tuple[int, int]]
) -> None:
    nodes = graph(plan, edges)
    found = Comparer(__name__).compare({"nodes": nodes}, {"nodes": arrived(nodes)})
    assert found is None


def test_functions_share_their_variables() -> None:
    count = 0

    def up() -> int:
        nonlocal count
        count += 1
        return count

    def look() -> int:
        return count

    there = arrived([up, look])
    assert (there[0](), there[0](), there[1]()) == (1, 2, 2)
    assert look() == 0


def test_memory_of_arrays() -> None:
    array = np.arange(10.0)
    there, view, fixed = arrived([array, array[2:4], array[::-1]])
    assert np.shares_memory(there, view) and np.shares_memory(there, fixed)
    array.flags.writeable = False
    assert not arrived(array).flags.writeable


def test_a_sender_is_gone_at_once() -> None:
    gc.disable()
    try:
        one = Plain()
        one.f = lambda: Plain.limit  # type: ignore[attr-defined]
        sender = Sender(io.BytesIO(), bool)
        sender.dump([one, Slotted(), random.random, {1: np.ones(3)}])
        gone = weakref.ref(sender)
        del sender
        assert gone() is None
    finally:
        gc.enable()


ORDERS = {
    "return sorted({x, 1})": False,
    "return x in {'a', 'b'}": False,
    "return len(set(x)), bool(set(x)), set(x) == {1}": False,
    "return list(set(x))": True,
    "return [y for y in {x, 1}]": True,
    "return {y for y in {x, 1}} == x": False,
    "for y in {'a', 'b'}: return y": True,
    "s = set()\n    s.add(x)\n    return x in s": False,
    "s = set()\n    s.add(x)\n    return s.pop()": True,
    "s = set(x)\n    def f(): return list(s)\n    return f()": True,
    "s = set(x)\n    t = s | {1}\n    return ' '.join(t)": True,
    "s = {1} if x else set()\n    return s": True,
    "return x.keys() & {1}": True,
    "return (x.keys() & {1}) == x": False,
    "return max(set(x), key=len)": True,
    "return max(set(x))": False,
    "return x.union(x)": True,
    "if not set(x) - {1}: return 1": False,
    "while x in known: return 1": False,
    "return [y for y in known]": True,
    "return x.known": True,
    "return 1 in x.known": False,
    "return x + 1": False,
}


@pytest.mark.parametrize("body", ORDERS)
def test_where_the_order_of_a_set_is_seen(body: str) -> None:
    import linecache

    source = f"def work(x):\n    {body}\n"
    file = f"<order {body}>"
    linecache.cache[file] = len(source), None, source.splitlines(True), file
    space: dict[str, Any] = {"known": 1}
    exec(compile(source, file, "exec"), space)
    seen = seen_at(space["work"].__code__, frozenset({"known"}), True)
    assert (seen is not None) == ORDERS[body]


@pytest.mark.parametrize("body", ["return x in {'a', 'b'}", "for y in {'a', 'b'}: return y"])
def test_of_code_without_source_a_constant_set_is_only_asked_what_is_in_it(body: str) -> None:
    space: dict[str, Any] = {}
    exec(compile(f"def work(x):\n    {body}\n", "<no source>", "exec"), space)
    assert (seen_at(space["work"].__code__, frozenset(), True) is not None) == ORDERS[body]


def test_what_libraries_register_to_pickle_their_own_types() -> None:
    """SciPy's types say that they are of a module that there is not."""
    import copyreg

    kind = type("Made", (), {"__module__": "no_such_module"})
    copyreg.pickle(kind, copyreg.pickle_complex)  # type: ignore[arg-type, attr-defined]
    try:
        assert kind not in conditions._reducers(copyreg)
        copyreg.pickle(Plain, copyreg.pickle_complex)  # type: ignore[arg-type, attr-defined]
        assert Plain in conditions._reducers(copyreg)
    finally:
        for each in (kind, Plain):
            copyreg.dispatch_table.pop(each, None)


@pytest.mark.parametrize(
    ("library", "change"),
    [
        ("sklearn", lambda m: m.set_config(transform_output="pandas")),
        ("scipy.special", lambda m: m.seterr(singular="raise")),
    ],
)
def test_what_libraries_are_told(library: str, change: Any) -> None:
    module = pytest.importorskip(library)
    before = dict(conditions.late())
    change(module)
    after = dict(conditions.late())
    assert after != before
    assert conditions.apply_late(before) is None and dict(conditions.late()) == before
    assert conditions.apply_late(after) is None and dict(conditions.late()) == after
    conditions.apply_late(before)
