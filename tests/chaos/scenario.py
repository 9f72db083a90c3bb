"""From a seed to a run: which program, which items go wrong in it, and what is done to it."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from tests.chaos.shapes import SHAPES

OUTER = (
    "nothing",
    "worker killed",
    "workers killed",
    "Ctrl-C in a terminal",
    "Ctrl-C to the program",
    "Ctrl-C twice",
    "SIGTERM",
    "program killed",
    "few descriptors",
    "few processes",
    "full disk",
    "damaged journal",
)
"""What is done to a run from outside."""
JOURNAL_ONLY = ("full disk", "damaged journal")
ENDS_IT = ("SIGTERM", "program killed", "damaged journal")
SCARCE = ("few descriptors", "few processes")
INTERRUPTS = ("Ctrl-C in a terminal", "Ctrl-C to the program", "Ctrl-C twice")
INNER = ("raises", "exits", "stays", "dies", "dies once", "hangs", "eats")
"""What may go wrong in an item."""
TIMEOUT = 0.4
MEMORY = 100 << 20
"""Bytes a worker; an item that eats takes twice as much."""


class Scenario(NamedTuple):
    """One run."""

    seed: int
    shape: str
    in_function: bool
    heavy: bool
    count: int
    outer: str
    moment: float
    """When the outer fault comes, as a part of the time the loop should take."""
    at_start: bool
    """Whether that time begins with the loop; else, with its first worker."""
    amount: int
    """How many workers are killed, descriptors or processes allowed, or what is done to a journal."""
    faults: dict[int, str]
    options: dict[str, Any]
    forced: bool
    stop: int
    resume: bool

    @property
    def face(self) -> str:
        return SHAPES[self.shape].face

    @property
    def cost(self) -> float:
        return 0.008 if self.heavy else 0.0003

    @property
    def seconds(self) -> float:
        """What the loop should take in two workers."""
        return self.cost * self.count / 2

    def said(self) -> str:
        """In a line."""
        inner = ", ".join(f"item {k} {v}" for k, v in self.faults.items()) or "-"
        where = "in a function" if self.in_function else "at module level"
        return (
            f"{self.shape} {where}, {self.count} {'heavy' if self.heavy else 'light'} items, "
            f"{self.options} forced={self.forced} resume={self.resume} | {inner} | "
            f"{self.outer} ({self.amount}) at {self.moment:.2f} from "
            f"{'the start' if self.at_start else 'the first worker'}"
        )


def scenario(seed: int) -> Scenario:
    """The run of a seed."""
    draw = random.Random(seed)
    shape = draw.choice(list(SHAPES))
    face = SHAPES[shape].face
    heavy = draw.random() < 0.5
    count = draw.randint(20, 60) if heavy else draw.randint(100, 400)
    if shape == "arrays":
        count = min(count, 60)
    outer = draw.choice([o for o in OUTER if face != "pool" or o not in JOURNAL_ONLY])
    resume = face != "pool" and (
        outer in JOURNAL_ONLY or (outer in ENDS_IT + INTERRUPTS and draw.random() < 0.6)
    )
    faults = inner_faults(draw, face, count) if draw.random() < 0.6 else {}
    options: dict[str, Any] = {}
    if face != "pool":
        if draw.random() < 0.5:
            options["workers"] = draw.choice([1, 2, 3, 4])
        if draw.random() < 0.3:
            options["chunk"] = draw.choice([1, 2, 7, 50])
        if "hangs" in faults.values():
            options["timeout"] = TIMEOUT
        if "eats" in faults.values():
            options["memory"] = MEMORY
        deadly = outer == "workers killed" or (
            outer == "worker killed" and any(how.startswith("dies") for how in faults.values())
        )
        # An item whose worker is killed twice from outside would be left out.
        if faults and draw.random() < 0.4 and not deadly:
            options["on_error"] = draw.choice(["skip", "collect"])
    return Scenario(
        seed=seed,
        shape=shape,
        in_function=draw.random() < 0.5,
        heavy=heavy,
        count=count,
        outer=outer,
        moment=draw.uniform(0, 1.05),
        at_start=draw.random() < 0.25,
        amount=draw.randint(0, 12) if outer == "few descriptors" else draw.randint(0, 3),
        faults=faults,
        options=options,
        forced=draw.random() < 0.7,
        stop=draw.choice([10**6, int(count * 0.7)]),
        resume=resume,
    )


def inner_faults(draw: random.Random, face: str, count: int) -> dict[int, str]:
    """One or two items that go wrong."""
    kinds = [k for k in INNER if face != "pool" or k not in ("hangs", "eats")]
    return {
        draw.randrange(count): draw.choice(kinds) for _ in range(1 if draw.random() < 0.7 else 2)
    }
