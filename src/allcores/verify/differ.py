"""Finds where two Graphs differ, and says it with the path to the place."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from allcores.verify.graph import Graph, Leaf, Node, Ref

MANY = 10_000
"""After so many differences no more are looked for."""
_LONG = 80


class Difference(NamedTuple):
    """One place where two outcomes differ: where it is, and what is there on either side."""

    where: str
    first: str
    second: str

    def told(self, first: str, second: str) -> str:
        """A sentence, with the two outcomes called so.

        >>> Difference("`x[3]`", "1", "2").told("after old.py", "after new.py")
        '`x[3]` is 1 after old.py, 2 after new.py'
        """
        return f"{self.where} is {self.first} {first}, {self.second} {second}"


def differences(first: Graph, second: Graph, names: Sequence[str]) -> Iterator[Difference]:
    """Where these variables differ, in the order of the names; those on one side only, too."""
    pairing = _Pairing(first, second)
    for name in names:
        if name in first.roots and name in second.roots:
            yield from pairing.compare(name)
        elif name in first.roots:
            yield Difference(f"`{name}`", _shown(first, first.roots[name]), "not bound")
        elif name in second.roots:
            yield Difference(f"`{name}`", "not bound", _shown(second, second.roots[name]))
    yield from pairing.memory()


class _Pairing:
    """Walks both graphs in step, and remembers which object stands for which."""

    def __init__(self, first: Graph, second: Graph) -> None:
        self.first, self.second = first, second
        self.left: dict[int, int] = {}
        self.right: dict[int, int] = {}
        self.left_paths: dict[int, str] = {}
        self.right_paths: dict[int, str] = {}
        self.seen: set[tuple[int, int]] = set()

    def compare(self, name: str) -> Iterator[Difference]:
        waiting = [(self.first.roots[name], self.second.roots[name], name)]
        found = 0
        while waiting and found < MANY:
            a, b, path = waiting.pop()
            difference, parts = self.step(a, b, path)
            if difference is not None:
                found += 1
                yield difference
            waiting.extend(reversed(parts))

    def step(self, a: Any, b: Any, path: str) -> tuple[Difference | None, list[Any]]:
        """How two values differ by themselves, and the parts of them yet to be compared."""
        if type(a) is not Ref or type(b) is not Ref:
            return (None if _same(a, b) else self.differ(a, b, path)), []
        x, y = self.first.nodes[a], self.second.nodes[b]
        if x.single and y.single:
            known = self.paired(a, b, path)
            if known is not None:
                return (known if known.where else None), []
        elif (a, b) in self.seen:
            return None, []
        self.seen.add((a, b))
        if x.kind != y.kind or _lengths(x) != _lengths(y) or _names(x) != _names(y):
            return self.differ(a, b, path), []
        if x.data != y.data:
            return _in_data(x, y, path) or self.differ(a, b, path), []
        return None, _parts(x, y, path, self.first)

    def paired(self, a: int, b: int, path: str) -> Difference | None:
        """Pair two objects; when one was met before: a Difference, an empty one if all is well."""
        if a not in self.left and b not in self.right:
            self.left[a], self.right[b] = b, a
            self.left_paths[a] = self.right_paths[b] = path
            return None
        if self.left.get(a) == b:
            return Difference("", "", "")
        return Difference(
            f"`{path}`",
            _alias(self.left_paths.get(a), _shown(self.first, Ref(a))),
            _alias(self.right_paths.get(b), _shown(self.second, Ref(b))),
        )

    def differ(self, a: Any, b: Any, path: str) -> Difference:
        first, second = _shown(self.first, a), _shown(self.second, b)
        if first == second:
            first, second = _kind(self.first, a), _kind(self.second, b)
        if type(a) is Ref and type(b) is Ref:
            x, y = self.first.nodes[a], self.second.nodes[b]
            if x.kind == y.kind and _lengths(x) != _lengths(y):
                first, second = self.lengths(x, y, first, second)
            elif x.kind == y.kind and _names(x) != _names(y):
                first, second = _told_names(x, y, first), _told_names(y, x, second)
        return Difference(f"`{path}`", first, second)

    def lengths(self, x: Node, y: Node, first: str, second: str) -> tuple[str, str]:
        """For two containers of different lengths: how many items, and the first other one."""
        if x.items is None or y.items is None:
            return _told_length(x, first), _told_length(y, second)
        both = enumerate(zip(x.items, y.items))
        plain = (i for i, (p, q) in both if Ref not in (type(p), type(q)) and not _same(p, q))
        at = next(plain, min(len(x.items), len(y.items)))
        told = []
        for graph, items in ((self.first, x.items), (self.second, y.items)):
            item = (
                f"[{at}] is {_shown(graph, items[at], 1)}" if at < len(items) else "it ends there"
            )
            told.append(f"{_counted(len(items))}, {item}")
        return told[0], told[1]

    def memory(self) -> Iterator[Difference]:
        """Arrays over the same memory on one side are so on the other."""
        left: dict[int, int] = {}
        right: dict[int, int] = {}
        for a, b in self.left.items():
            m, n = self.first.shared.get(a), self.second.shared.get(b)
            if m is None and n is None:
                continue
            if m is None or n is None or left.setdefault(m, n) != n or right.setdefault(n, m) != m:
                texts = ["an array of its own" if each is None else "a view" for each in (m, n)]
                if texts[0] == texts[1]:
                    texts = ["a view of one array", "a view of another"]
                yield Difference(f"`{self.left_paths[a]}`", *texts)
                return


def _same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if type(a) is float:
        return (a != a and b != b) or struct.pack("d", a) == struct.pack("d", b)
    if type(a) is complex:
        return _same(a.real, b.real) and _same(a.imag, b.imag)
    return bool(a == b)


def _surely_same(a: Any, b: Any) -> bool:
    """A quick look at what most items are: plain values."""
    kind = type(a)
    return kind is type(b) and kind in _QUICK and a == b and (kind is not float or a != 0)


_QUICK = frozenset({int, float, str, bool, bytes, type(None)})


def _lengths(node: Node) -> tuple[int, int]:
    return (
        -1 if node.items is None else len(node.items),
        -1 if node.pairs is None else len(node.pairs),
    )


def _names(node: Node) -> list[str]:
    return [name for name, _ in node.fields]


def _parts(x: Node, y: Node, path: str, graph: Graph) -> list[tuple[Any, Any, str]]:
    found: list[tuple[Any, Any, str]] = []
    fields = zip(x.fields, y.fields)
    found += [(p, q, _attribute(path, name)) for (name, p), (_, q) in fields]
    items = enumerate(zip(x.items or (), y.items or ()))
    found += [(p, q, f"{path}[{i}]") for i, (p, q) in items if not _surely_same(p, q)]
    for i, ((key, p), (other, q)) in enumerate(zip(x.pairs or (), y.pairs or ())):
        text = _shown(graph, key, 1)
        found.append((key, other, f"{path}: key {i}"))
        found.append((p, q, f"{path}[{text}]"))
    return found


def _attribute(path: str, name: str) -> str:
    return f"{path}.{name}" if name.isidentifier() or name.endswith("()") else f"{path}: {name}"


def _in_data(x: Node, y: Node, path: str) -> Difference | None:
    """The first differing element of two arrays."""
    if x.fields != y.fields or "shape" not in dict(x.fields) or type(x.data) is not type(y.data):
        return None
    shape = [int(part) for part in str(dict(x.fields)["shape"]).strip("(),").split(",") if part]
    if isinstance(x.data, bytes) and isinstance(y.data, bytes):
        return _element(x.data, y.data, str(dict(x.fields)["dtype"]), shape, path)
    blocks = zip(x.data or (), y.data or ())
    at = next((i for i, (p, q) in enumerate(blocks) if p != q), 0)
    where = f"`{path}` (in part {at + 1} of {len(x.data or ())})"
    return Difference(where, "one array", "an array of other values")


def _element(x: bytes, y: bytes, kind: str, shape: list[int], path: str) -> Difference | None:
    import numpy

    try:
        dtype = numpy.dtype(kind)
    except TypeError:
        return None
    size = dtype.itemsize
    at = next(i for i in range(0, len(x), size) if x[i : i + size] != y[i : i + size])
    place = ", ".join(str(i) for i in numpy.unravel_index(at // size, shape))
    values = [numpy.frombuffer(data, dtype, 1, at)[0] for data in (x, y)]
    return Difference(f"`{path}[{place}]`" if shape else f"`{path}`", *map(_number, values))


def _number(value: Any) -> str:
    return repr(value.item()) if hasattr(value, "item") else repr(value)


# -- showing


def _shown(graph: Graph, value: Any, depth: int = 2) -> str:
    text = _text(graph, value, depth)
    return text if len(text) <= _LONG else text[: _LONG - 3] + "..."


def _text(graph: Graph, value: Any, depth: int) -> str:
    if isinstance(value, Leaf):
        return value.text
    if type(value) is not Ref:
        text = repr(value)
        return text if len(text) <= _LONG else f"{text[: _LONG - 30]}...{text[-20:]}"
    node = graph.nodes[value]
    if not depth:
        return "..."
    if node.items is not None and node.kind in _BRACKETS:
        opening, closing = _BRACKETS[node.kind]
        parts = [_text(graph, each, depth - 1) for each in node.items[:6]]
        dots = ["..."] if len(node.items) > 6 else []
        comma = "," if opening == "(" and len(node.items) == 1 else ""
        return opening + ", ".join(parts + dots) + comma + closing
    if node.pairs is not None and node.kind == "dict":
        inner = [
            f"{_text(graph, key, depth - 1)}: {_text(graph, each, depth - 1)}"
            for key, each in node.pairs[:4]
        ]
        return "{" + ", ".join(inner + (["..."] if len(node.pairs) > 4 else [])) + "}"
    return _instance(graph, node, depth)


_BRACKETS = {"list": ("[", "]"), "tuple": ("(", ")"), "set": ("{", "}")}


def _instance(graph: Graph, node: Node, depth: int) -> str:
    fields = dict(node.fields)
    if "repr" in fields:
        return str(fields["repr"])
    if node.kind == "numpy.ndarray":
        return f"an array of {fields.get('dtype')} and shape {fields.get('shape')}"
    inner = [f"{name}={_text(graph, each, depth - 1)}" for name, each in node.fields[:4]]
    return f"{node.kind}({', '.join(inner)}{', ...' if len(node.fields) > 4 else ''})"


def _kind(graph: Graph, value: Any) -> str:
    """The value with its type, for values that look alike."""
    if isinstance(value, Leaf):
        return f"{value.kind} {value.text}"
    kind = graph.nodes[value].kind if type(value) is Ref else type(value).__name__
    return f"{_shown(graph, value)} ({_article(kind)})"


def _article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeio' else 'a'} {kind}"


def _alias(path: str | None, shown: str) -> str:
    return f"the same object as `{path}`" if path else f"another object ({shown})"


def _told_length(node: Node, shown: str) -> str:
    return f"{shown} ({_counted(max(_lengths(node)))})"


def _counted(items: int) -> str:
    return f"{items:,} item{'s' if items != 1 else ''}"


def _told_names(node: Node, other: Node, shown: str) -> str:
    mine, theirs = _names(node), _names(other)
    extra = [name for name in mine if name not in theirs]
    return f"{shown} (with attribute `{extra[0]}`)" if extra else shown
