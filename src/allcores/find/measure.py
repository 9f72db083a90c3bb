"""Runs of every `for` loop of a program, timed while the program runs as it always does."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from time import perf_counter, process_time
from types import CodeType
from typing import Any

from allcores.inputs import items_left, plain_source
from allcores.plan import Plan, plans_of
from allcores.rewrite import compile_with_detours

BLOCK_SECONDS = 50e-6
"""Iterations shorter than this are timed several together, for looking at a clock takes time."""
KEPT_ENTRIES = 2000
"""Entries of one loop that are remembered apart; those after them are added up."""


@dataclass(slots=True)
class Entry:
    """One run through a loop. Times in seconds."""

    iterations: int = 0
    seconds: float = 0.0
    longest: float = 0.0
    """The longest iteration seen."""
    cpu: float = 0.0
    """Of all the process's threads."""


@dataclass(slots=True)
class Loop:
    """A `for` statement and all its runs."""

    plan: Plan
    text: str
    """The statement's first line."""
    entries: list[Entry] = field(default_factory=list)
    others: Entry = field(default_factory=Entry)
    """The runs beyond those kept apart, added up."""
    count: int = 0
    running: int = 0
    outer: Loop | None = None
    """The loop that this one runs within, most of its time."""
    time_within: dict[int, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Time inside the loop, loops and functions in it included."""
        return sum(e.seconds for e in self.entries) + self.others.seconds

    @property
    def iterations(self) -> int:
        """How many times the body was begun."""
        return sum(e.iterations for e in self.entries) + self.others.iterations

    @property
    def longest(self) -> float:
        """The longest iteration, in seconds."""
        return max((e.longest for e in [*self.entries, self.others]), default=0.0)

    def note(self, entry: Entry) -> None:
        """Take in a run that has ended."""
        if len(self.entries) < KEPT_ENTRIES:
            self.entries.append(entry)
            return
        self.others.iterations += entry.iterations
        self.others.seconds += entry.seconds
        self.others.longest = max(self.others.longest, entry.longest)


class Meter:
    """Measures the loops of the files it compiles. `loops` are those found, in their order."""

    def __init__(self) -> None:
        self.loops: list[Loop] = []
        self.sources: dict[str, list[str]] = {}
        self.stack: list[Loop] = []

    def compile(self, source: bytes, filename: str) -> CodeType:
        """The code of a file, each of its loops measured. Raises what compile() would."""
        try:
            tree = ast.parse(source, filename)
            text = importlib.util.decode_source(source)
            plans = plans_of(tree, text, filename)
        except RecursionError:
            return compile(source, filename, "exec", dont_inherit=True)
        lines = text.splitlines()
        self.sources[filename] = lines
        detours = []
        for plan in plans:
            if isinstance(plan.node, ast.For):
                loop = Loop(plan, lines[plan.line - 1].strip())
                self.loops.append(loop)
                detours.append((plan.node, _Detour(self, loop)))
        return compile_with_detours(tree, filename, detours)

    def begin(self, loop: Loop) -> None:
        """A run of the loop begins."""
        loop.count += 1
        loop.running += 1
        self.stack.append(loop)

    def end(self, loop: Loop, entry: Entry) -> None:
        """A run of the loop has ended; loops that are left early may end out of order."""
        loop.running -= 1
        for k in range(len(self.stack) - 1, -1, -1):
            if self.stack[k] is loop:
                del self.stack[k]
                break
        if loop.running:
            entry.seconds = 0.0  # a function that calls itself: counted where it began
        for around in self.stack:
            if around is not loop:
                key = id(around)
                loop.time_within[key] = loop.time_within.get(key, 0.0) + entry.seconds
        loop.note(entry)


class _Detour:
    """Stands in a code object for one loop."""

    __slots__ = ("loop", "meter")

    def __init__(self, meter: Meter, loop: Loop) -> None:
        self.meter, self.loop = meter, loop

    def through(self, iterable: Any) -> Iterable[Any]:
        """The items, while the time is taken."""
        if plain_source(iterable):
            return chain.from_iterable(self.blocks(iter(iterable)))
        return self.items(iter(iterable))

    def __reduce__(self) -> tuple[Any, ...]:
        from allcores.rewrite import NoDetour

        return NoDetour, ()

    def blocks(self, iterator: Any) -> Iterator[Iterable[Any]]:
        """The items in pieces that the loop runs over at full speed."""
        entry, size = Entry(cpu=-process_time()), 1
        before = items_left(iterator) or 0
        self.meter.begin(self.loop)
        start = began = perf_counter()
        try:
            while before:
                piece = islice(iterator, size)
                yield piece
                now = perf_counter()
                seconds, start = now - start, now
                left = items_left(iterator) or 0
                done, before = before - left, left
                entry.iterations += done
                if not done:
                    break
                mean = seconds / done
                entry.longest = max(entry.longest, mean)
                size = 1 if mean > BLOCK_SECONDS else min(int(BLOCK_SECONDS / mean) + 1, size * 4)
        finally:
            if before:
                # The loop was left in the middle of a piece.
                entry.iterations += before - (items_left(iterator) or 0)
            entry.seconds = perf_counter() - began
            entry.cpu += process_time()
            self.meter.end(self.loop, entry)

    def items(self, iterator: Iterator[Any]) -> Iterator[Any]:
        """The items one by one: making them may run the program's own code."""
        entry, clock = Entry(cpu=-process_time()), perf_counter
        longest, count = 0.0, 0
        self.meter.begin(self.loop)
        start = began = clock()
        try:
            for item in iterator:
                count += 1
                yield item
                now = clock()
                if now - start > longest:
                    longest = now - start
                start = now
        finally:
            entry.iterations, entry.longest = count, longest
            entry.seconds = max(clock() - began - count * ITEM_OVERHEAD, 0.0)
            entry.cpu += process_time()
            self.meter.end(self.loop, entry)


def _item_overhead() -> float:
    """Seconds that timing one item takes, beside what the plain loop takes for it."""
    meter = Meter()
    detour = _Detour(meter, Loop(None, ""))  # type: ignore[arg-type]
    count = 2000
    start = perf_counter()
    for _ in detour.items(iter(range(count))):
        pass
    timed = perf_counter() - start
    start = perf_counter()
    for _ in iter(range(count)):
        pass
    return max(timed - (perf_counter() - start), 0.0) / count


ITEM_OVERHEAD = 0.0
ITEM_OVERHEAD = _item_overhead()
