"""Loops that draw random numbers: each iteration draws from a stream of its own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.same import Outcome, run

IMPORTS = """
import random, functools, uuid, secrets, os
import numpy as np
from random import gauss
from numpy.random import normal
"""
HELPERS = """
def uniform(): return random.random()
def deep(): return deeper() + 1
def deeper(): return deepest() * 2
def deepest(): return uniform() + np.random.normal()
def with_argument(generator, x): return float(generator.normal()) + x
def default_argument(x, rng=None):
    rng = np.random.default_rng(rng)
    return rng.normal() + x
def resampled(data, r): return r.choice(data, size=len(data)).mean()
def shuffled(deck):
    mine = deck.copy()
    random.shuffle(mine)
    rng.shuffle(mine)
    return mine
def mixed(deck):
    mine = deck.copy()
    mix(mine)
    return mine
class Walk:
    def __init__(self, rng):
        self.rng = rng
        self.inner = None
    def step(self): return self.rng.random()
    def path(self, n):
        at = 0
        for _ in range(n):
            at += self.step() - 0.5
        return at
    def __call__(self, x): return self.rng.random() + x
    @property
    def noise(self): return self.rng.random()
class Outer:
    def __init__(self, walk): self.walk = walk
    def go(self): return self.walk.path(3)
def make(seed):
    rng = np.random.default_rng(seed)
    def draw(): return rng.normal()
    return draw
"""
DATA = """
random.seed(SEED)
np.random.seed(SEED)
rng = np.random.default_rng(SEED)
legacy = np.random.RandomState(SEED)
dice = random.Random(SEED)
philox = np.random.Generator(np.random.Philox(SEED))
walk = Walk(np.random.default_rng(SEED))
outer = Outer(Walk(random.Random(SEED)))
draw = make(SEED)
taken = rng.normal
common = random.random
mix = random.shuffle
bound = functools.partial(with_argument, rng)
data = np.arange(30.0)
deck = list(range(9))
out = []
"""
DRAWS = {
    "random": "random.random()",
    "random, imported by name": "gauss(0, 1)",
    "random, of the library's Python functions": "(random.gauss(0, 1), random.choice(deck), random.sample(deck, 3))",
    "numpy.random": "np.random.normal(size=3).tolist()",
    "numpy.random, imported by name": "normal()",
    "a Generator": "float(rng.normal())",
    "a RandomState": "legacy.randint(1000)",
    "random.Random": "dice.random()",
    "another bit generator": "philox.integers(1 << 40)",
    "three calls deep": "deep()",
    "an argument": "with_argument(rng, x)",
    "an argument given by name": "with_argument(x=x, generator=rng)",
    "an argument that is made a generator": "default_argument(x, rng)",
    "an attribute": "walk.path(4)",
    "an attribute's attribute": "outer.go()",
    "called directly": "walk.rng.random()",
    "an object that can be called": "walk(x)",
    "a property": "walk.noise + x",
    "a closure": "draw()",
    "a method taken": "taken()",
    "a function taken": "common()",
    "a partial": "bound(x)",
    "bootstrap": "resampled(data, rng)",
    "an object made of it": "Walk(rng).path(2)",
    "a lambda": "(lambda: rng.random() + x)()",
    "a comprehension": "[rng.random() for _ in range(2)]",
    "map": "list(map(rng.normal, [x, 2 * x]))",
    "conditional": "rng.random() if x % 3 else 0",
    "shuffle": "shuffled(deck)",
    "shuffle, taken": "mixed(deck)",
    "several": "(random.random(), np.random.rand(), rng.random(), dice.random())",
}


def program(expression: str, seed: int, after: str = "") -> str:
    after = after or f"again = [{expression} for x in (1, 2)]\n"
    loop = f"for x in parallel(range(12)):\n    out.append(({expression}, x))\n"
    return IMPORTS + HELPERS + f"SEED = {seed}\n" + DATA + loop + after


def left(outcome: Outcome) -> dict[str, Any]:
    assert outcome.error is None, outcome.error
    return {n: outcome.names[f"global {n}"] for n in ("out", "again")}


@pytest.mark.parametrize("name", DRAWS)
def test_the_same_numbers_for_any_number_of_workers(name: str) -> None:
    source = program(DRAWS[name], 7)
    serial = run(source, True, RANDOM="streams")
    runs = [run(source, False, RANDOM="streams", WORKERS=w) for w in "125"]
    for each in runs:
        assert left(each) == left(serial), name
        assert each.in_workers == 12, (each.warned, each.reports)
    items = [item for item, _ in left(serial)["out"]]
    assert len(set(map(repr, items))) >= 8, "iterations draw the same"
    other = run(program(DRAWS[name], 8), False, RANDOM="streams", WORKERS="2")
    assert left(other) != left(serial)
    plain = run(source, False)
    assert left(plain) == left(run(source, True))


def test_what_is_shuffled_is_changed() -> None:
    """Either way: by a stream of its own, or in order."""
    loop = """
wins = 0
for game in parallel(range(30)):
    mine = deck.copy()
    random.shuffle(mine)
    wins += mine[0] > mine[1]
"""
    for random in ("streams", "plain"):
        source = IMPORTS + "random.seed(1)\ndeck = list(range(52))\n" + loop
        a, b = run(source, True, RANDOM=random), run(source, False, RANDOM=random)
        assert a.names["global wins"] == b.names["global wins"] > 5
        assert b.names["global deck"] == list(range(52))
