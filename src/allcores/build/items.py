"""What a loop's items are made of, and which of it belongs to one item alone.

Before workers are made, everything that the items hold is looked at once. A part that can be
reached from one item only is that item's own, and work on it may change it: the worker compares it
with what it was, sends home what has changed, and puts back what was there. Everything else is
shared: if work changes that, the loop goes on as the plain loop.
"""

from __future__ import annotations

import io
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from time import perf_counter
from types import FunctionType, MethodType
from typing import Any, NamedTuple

from allcores.build.contents import (
    ARRAYS,
    FRAMES,
    Attributes,
    CannotBring,
    Dicts,
    Kind,
    Unchanging,
    kinds_of,
)
from allcores.build.travel import ATOMS
from allcores.engine.mapped import is_received
from allcores.plan.handles import handle_of
from allcores.plan.kinds import instance_dict, is_a
from allcores.plan.ownership import is_own_module
from allcores.plan.reach import surrounding

FIXED, SHARED = -1, -2
"""In the place of an item's index: what the loop reads beside its items; parts of several items."""
OUTSIDE = frozenset(
    """threading socket subprocess multiprocessing.process multiprocessing.pool
    multiprocessing.queues multiprocessing.connection concurrent.futures._base asyncio.events
    asyncio.base_events sqlite3 tkinter selectors""".split()
)
"""Modules of objects that stand for something outside of them."""
LATER, ALWAYS = object(), object()
"""In the place of what an array held: it is copied when it is needed; it will be changed anyway."""
MOST = 500_000
"""How many objects are looked at."""


def standard_streams() -> tuple[Any, ...]:
    """The program's own streams: everybody has them."""
    return sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__


class Entangled(Exception):
    """Why the items cannot be changed by workers, in words."""


class Node(NamedTuple):
    """An object and what it held before the loop's work began."""

    obj: Any
    kind: Kind
    then: Any


class Items:
    """The items of a loop with all that they hold."""

    def __init__(
        self,
        items: list[Any],
        fixed: Callable[[Iterable[type], Iterable[Any]], Iterable[tuple[str, Any]]],
        certain: Callable[[Any], Iterable[Any]],
        seconds: float,
        passed: Iterable[tuple[str, Any]] = (),
    ) -> None:
        """fixed: gives what work reads beside them, by name, when the classes of all objects in
        them are known, and the functions, of which one stands for all that differ by their
        variables only. certain: gives those arrays of an item that every iteration changes.
        seconds: what looking at the items may take. passed: objects, by name, of which work reads
        an attribute that it may change in an item.

        Raises Entangled.
        """
        self.items = items
        self.index: dict[int, int] = {}
        self.known: dict[int, Any] = {}
        """Every object looked at, by its id: the program's process has it under the same one."""
        self.owner: dict[int, int] = {}
        self.by_type: dict[type, tuple[Kind, ...] | None] = {}
        self.classes: dict[type, None] = {}
        self.functions: dict[int, Any] = {}
        """Functions and methods that they hold, by the ids of their code."""
        self.of_item: list[list[Node]] = [[] for _ in items]
        self.shared: list[Any] = []
        """Objects through which what items share is reached."""
        self.arrays: list[tuple[Any, int]] = []
        self.odd: list[tuple[Any, int]] = []
        """Objects of which the state cannot be seen."""
        self.shared_nodes: list[Node] = []
        self.parts_shared = 0
        self.with_arrays: set[int] = set()
        """Items with arrays of which is not known yet what they hold."""
        self.certain: set[int] = set()
        self.deadline = perf_counter() + seconds
        for i, item in enumerate(items):
            self.index[id(item)] = i
            self.certain = {id(array) for array in certain(item)}
            self.walk(item, i)
        self.fixed = list(fixed(list(self.classes), self.functions.values()))
        """What work reads beside the items."""
        for _, obj in self.fixed:
            self.walk(obj, FIXED)
        for name, obj in passed:
            if self.owner.get(id(obj), SHARED) >= 0:
                # It alone, with its attributes: what these hold is read by no other iteration.
                self.owner[id(obj)] = SHARED
                attributes = instance_dict(obj)
                if id(attributes) in self.owner:
                    self.owner[id(attributes)] = SHARED
                self.fixed.append((name, obj))
        self.part_memory()
        self.keep_own()
        for obj, owner in self.odd:
            if self.owner[id(obj)] >= 0:
                what = handle_of(obj) or f"an object of type {type(obj).__name__}"
                where = self.path(owner, obj)
                raise Entangled(f"`{where}` is {what}, whose state cannot be brought home")

    # -- walking

    def walk(self, root: Any, who: int) -> None:
        """Everything that is reached from here belongs to `who`, or is shared."""
        todo = [root]
        owner = self.owner
        while todo:
            obj = todo.pop()
            if type(obj) in ATOMS:
                continue
            known = owner.get(id(obj))
            if known is None:
                todo += self.look(obj, who)
            elif known != who and known >= 0:
                self.share(obj)

    def look(self, obj: Any, who: int) -> list[Any]:
        """Look at an object for the first time; gives its parts."""
        kinds = self.kinds(obj)
        self.owner[id(obj)] = who
        self.known[id(obj)] = obj
        if len(self.known) > MOST:
            raise Entangled("the items hold too many objects to be told apart")
        if perf_counter() > self.deadline:
            raise Entangled("telling the items apart would take longer than workers save")
        self.classes[obj if is_a(obj, type) else type(obj)] = None
        if is_a(obj, (FunctionType, MethodType)):
            self.functions[id(getattr(obj, "__code__", None))] = obj
        if kinds is None:
            self.odd.append((obj, who))
            return []
        parts: list[Any] = []
        for kind in kinds:
            if kind is ARRAYS:
                parts += self.array(obj, who)
                continue
            if kind is FRAMES:
                if who >= 0:
                    self.of_item[who].append(Node(obj, kind, LATER))
                continue
            held = kind.look(obj)
            inside = kind.parts(held)
            if not ATOMS.issuperset(map(type, inside)):
                parts += inside
            if who >= 0:
                self.of_item[who].append(Node(obj, kind, held))
        return parts

    def kinds(self, obj: Any) -> tuple[Kind, ...] | None:
        """How an object is looked at; None: its state cannot be seen."""
        kind = type(obj)
        if kind not in self.by_type:
            self.by_type[kind] = self.kinds_by_type(obj)
        found = self.by_type[kind]
        if found is None and any(obj is stream for stream in standard_streams()):
            return ()
        return () if kind is dict and "__builtins__" in obj else found

    def kinds_by_type(self, obj: Any) -> tuple[Kind, ...] | None:
        kind = type(obj)
        if is_a(obj, type):
            return ()
        if kind is dict:
            return kinds_of(dict)
        if handle_of(obj) is not None or any(c.__module__ in OUTSIDE for c in kind.__mro__):
            return None
        if is_a(obj, io.IOBase):
            return None
        return () if surrounding(obj) else kinds_of(kind)

    def array(self, obj: Any, who: int) -> list[Any]:
        """An array: its memory may be seen through others as well."""
        if obj.dtype.hasobject:
            if who >= 0:
                self.odd.append((obj, who))
            return list(obj.flat)
        self.arrays.append((obj, who))
        base = obj.base
        while type(base) is type(obj) or type(base).__name__ == "ndarray":
            base = base.base
        if who >= 0:
            then = ALWAYS if id(obj) in self.certain else LATER
            self.of_item[who].append(Node(obj, ARRAYS, then))
        if type(base) is memoryview and is_received(base):
            return []  # nothing else has that memory, but arrays
        return [] if base is None or type(base) is bytes else [base]

    def share(self, entry: Any) -> None:
        """This, and all that is reached through it, belongs to more than one item."""
        self.shared.append(entry)
        todo = [entry]
        while todo:
            obj = todo.pop()
            if type(obj) in ATOMS or self.owner.get(id(obj), SHARED) < 0:
                continue
            self.owner[id(obj)] = SHARED
            for kind in self.kinds(obj) or ():
                if not kind.late:
                    todo += kind.parts(kind.look(obj))
                elif kind is ARRAYS and obj.base is not None:
                    todo.append(obj.base)

    def keep_own(self) -> None:
        """Of each item, only what is its own is compared with what was sent."""
        for i, nodes in enumerate(self.of_item):
            nodes = [node for node in nodes if not isinstance(node.kind, Unchanging)]
            self.of_item[i] = [n for n in nodes if self.owner[id(n.obj)] == i]
            if any(node.then is LATER for node in self.of_item[i]):
                self.with_arrays.add(i)
            for node in nodes:
                if self.owner[id(node.obj)] != i and not self.of_library(node.obj):
                    if node.kind.late:
                        size = node.obj.nbytes if node.kind is ARRAYS else node.obj.size * 8
                        self.parts_shared += size // 64
                    else:
                        self.parts_shared += 1 + len(list(node.kind.parts(node.then)))
                    self.shared_nodes.append(node)

    def of_library(self, obj: Any) -> bool:
        """Whether an object may keep what it has worked out, and nobody minds."""
        kind = type(obj)
        return kind.__module__ not in (
            "builtins",
            "collections",
            "numpy",
            "array",
        ) and not is_own_module(kind.__module__)

    def seen(self, nodes: list[Node]) -> list[Node]:
        """The nodes with what arrays hold now, where that is not known yet."""
        return [n._replace(then=n.kind.look(n.obj)) if n.then is LATER else n for n in nodes]

    def look_at_shared(self) -> None:
        """Keep all that is shared as it is now."""
        found = []
        for node in self.shared_nodes:
            try:
                found += self.seen([node])
            except CannotBring:
                pass  # what a library's object holds is its own affair
        self.shared_nodes = found

    def shared_is_same(self) -> bool:
        """Whether what items share holds what it held."""
        return all(kind.same(then, kind.look(obj)) for obj, kind, then in self.shared_nodes)

    # -- memory of arrays

    def part_memory(self) -> None:
        """Arrays that overlap others are shared, unless one item has both."""
        if not self.arrays:
            return
        spans = sorted((*bounds(array), k) for k, (array, _) in enumerate(self.arrays))
        group: list[int] = []
        end = -1
        for low, high, k in spans:
            if low >= end:
                self.part_group(group)
                group = []
            group.append(k)
            end = max(end, high)
        self.part_group(group)

    def part_group(self, group: list[int]) -> None:
        """Arrays of which the memory lies in one piece."""
        arrays = [self.arrays[k] for k in group]
        owners = {self.owner[id(array)] for array, _ in arrays}
        if len(owners) < 2 or not apart([array for array, _ in arrays]):
            if len(owners) > 1:
                for array, _ in arrays:
                    if self.owner[id(array)] >= 0:
                        self.share(array)

    # -- in words

    def path(self, item: int, obj: Any) -> str:
        """How an object is reached from an item, as the program would write it."""
        seen: set[int] = set()
        todo: deque[tuple[Any, str]] = deque([(self.items[item], f"item {item}")])
        while todo:
            here, name = todo.popleft()
            if here is obj:
                return name
            if type(here) in ATOMS or id(here) in seen or len(seen) > 10_000:
                continue
            seen.add(id(here))
            todo.extend(self.steps(here, name))
        return f"a part of item {item}"

    def reaches(self, root: Any, obj: Any) -> bool:
        """Whether an object is reached from another one."""
        seen: set[int] = set()
        todo = [root]
        while todo and len(seen) < 10_000:
            here = todo.pop()
            if here is obj:
                return True
            if type(here) not in ATOMS and id(here) not in seen:
                seen.add(id(here))
                for kind in self.kinds(here) or ():
                    todo += kind.parts(kind.look(here)) if not kind.late else []
        return False

    def steps(self, obj: Any, name: str) -> Iterator[tuple[Any, str]]:
        for kind in self.kinds(obj) or ():
            if kind.late:
                continue
            held = kind.look(obj)
            if isinstance(kind, Attributes):
                names = [slot.__name__ for slot in kind.slots]
                yield from ((v, f"{name}.{n}") for n, v in zip(names, held[1:]))
                attributes = held[0] or {}
                yield from ((v, f"{name}.{n}") for n, v in list(attributes.items()))
            elif isinstance(kind, Dicts):
                yield from ((v, f"{name}[{k!r}]") for k, v in zip(*held[:2]))
            else:
                yield from ((v, f"{name}[{k}]") for k, v in enumerate(kind.parts(held)))


def bounds(array: Any) -> tuple[int, int]:
    """The first byte of an array's memory and the one behind its last."""
    low = high = int(array.__array_interface__["data"][0])
    if array.size == 0:
        return low, low
    for length, step in zip(array.shape, array.strides, strict=True):
        if step < 0:
            low += (length - 1) * step
        else:
            high += (length - 1) * step
    return low, high + array.itemsize


def apart(arrays: list[Any]) -> bool:
    """Whether no two of these arrays have a byte in common, as far as is easily told."""
    first = arrays[0]
    layout = first.shape, first.strides, first.dtype
    if any((a.shape, a.strides, a.dtype) != layout for a in arrays):
        return False
    starts = sorted(a.__array_interface__["data"][0] for a in arrays)
    steps = {b - a for a, b in pairwise(starts)}
    if len(steps) > 1:
        return False
    axes = [(abs(step), length) for step, length in zip(first.strides, first.shape, strict=True)]
    axes.append((steps.pop(), len(arrays)))
    reach = first.itemsize
    for step, length in sorted(axes):
        if length > 1:
            if step < reach:
                return False
            reach += step * (length - 1)
    return True
