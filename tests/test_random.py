"""Loops that draw random numbers: each iteration draws from a stream of its own."""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import secrets
import subprocess
import sys
import uuid
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import allcores
from allcores import NotParallel, ParallelWarning, RandomStreamWarning, parallel
from allcores.plan import plan_source
from allcores.plan.words import sentences
from tests.same import Outcome, forced, run

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
    for way in ("streams", "plain"):
        source = IMPORTS + "random.seed(1)\ndeck = list(range(52))\n" + loop
        a, b = run(source, True, RANDOM=way), run(source, False, RANDOM=way)
        assert a.names["global wins"] == b.names["global wins"] > 5
        assert b.names["global deck"] == list(range(52))


# -- what the numbers are worth

KINDS = {
    "random": "random.random()",
    "numpy.random": "np.random.random()",
    "PCG64": "rng.random()",
    "Philox": "philox.random()",
    "SFC64": "sfc.random()",
}
MANY = 10_000


def tables(draw: str, seed: int, loops: int = 1) -> list[np.ndarray]:
    """Four numbers of each of many iterations, of loops one after the other."""
    source = f"""
import random
import numpy as np
random.seed({seed})
np.random.seed({seed})
rng = np.random.default_rng({seed})
philox = np.random.Generator(np.random.Philox({seed}))
sfc = np.random.Generator(np.random.SFC64({seed}))
tables = []
for _ in range({loops}):
    rows = []
    for i in parallel(range({MANY})):
        rows.append(({draw}, {draw}, {draw}, {draw}))
    tables.append(np.array(rows))
"""
    outcome = run(source, False, RANDOM="streams", WORKERS="2")
    assert outcome.error is None and outcome.in_workers == MANY * loops
    found: list[np.ndarray] = outcome.names["global tables"]
    return found


def far_from_uniform(numbers: np.ndarray) -> float:
    """The statistic of Kolmogorov and Smirnov: over 2 by chance in one of 1500 cases."""
    ordered = np.sort(numbers)
    n = len(ordered)
    steps = np.arange(n + 1) / n
    return float(np.sqrt(n) * max(np.max(steps[1:] - ordered), np.max(ordered - steps[:-1])))


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """In standard deviations of what chance gives."""
    return float(abs(np.corrcoef(a, b)[0, 1]) * np.sqrt(len(a)))


@pytest.mark.parametrize("name", KINDS)
def test_streams_are_uniform_and_independent(name: str) -> None:
    first, second = tables(KINDS[name], 7, loops=2)
    [other] = tables(KINDS[name], 8)
    for rows in (first, second, other):
        assert far_from_uniform(rows.ravel()) < 2
        assert all(far_from_uniform(rows[:, k]) < 2 for k in range(4))
        assert len(np.unique(rows)) == rows.size
        # One iteration's numbers with the next one's, and with those of some further on.
        for lag in (1, 2, 3, 64, 1000):
            assert all(correlation(rows[lag:, k], rows[:-lag, 0]) < 4 for k in range(4))
        assert correlation(rows[:, 0], rows[:, 1]) < 4
    for k in range(4):
        assert correlation(first[:, 0], second[:, k]) < 4
        assert correlation(first[:, 0], other[:, k]) < 4


_both_have_begun: Any = None


def _draw_in_pool(i: int) -> float:
    if i % 4 == 0:
        _both_have_begun.wait(20)
    return float(np.random.random())


def test_multiprocessing_draws_the_same_numbers_twice_and_parallel_does_not() -> None:
    """The same loop: each of two forked workers draws what the other one draws."""
    global _both_have_begun
    context = multiprocessing.get_context("fork")
    _both_have_begun = context.Barrier(2)
    np.random.seed(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with context.Pool(2) as pool:
            drawn = pool.map(_draw_in_pool, range(8), chunksize=4)
    assert drawn[:4] == drawn[4:]
    ours: list[float] = []
    with forced(RANDOM="streams"):
        for i in parallel(range(8), workers=2, chunk=4):
            ours.append(float(np.random.random()) + 0 * i)
    assert len(set(ours)) == 8


# -- whatever becomes of an iteration

START = """
import random, statistics
import numpy as np
random.seed(11)
np.random.seed(11)
rng = np.random.default_rng(11)
out = []
total = 0
def inner(n):
    found = []
    for j in parallel(range(n)):
        found.append(rng.random())
    return found
def told(i):
    x = rng.random()
    print("in", x)
    return x
"""
ANYHOW = {
    "it leaves": "    x = rng.random()\n    if x > 0.9: break\n    out.append(x)\n",
    "a commit leaves": "    total += rng.random()\n    if total > 5: break\n",
    "it raises": "    x = rng.random()\n    out.append(x)\n    if x > 0.9: raise ValueError(x)\n",
    "it cannot be sent": "    out.append((rng.random(), 1 if i != 3 else (lambda: 1)))\n",
    "it prints": "    out.append(told(i))\n",
    "its variables are left": "    x = rng.random(3)\n    y = [x, i]\n    out.append(float(x.sum()))\n",
    "another loop is in it": "    out.append(inner(3))\n",
    "it draws in an inner loop": "    while rng.random() < 0.8: i += 1\n    out.append(i)\n",
    "it draws from two streams": "    out.append((random.random(), rng.random(), rng.bytes(2)))\n",
    "it seeds by what it draws": "    np.random.seed(random.randrange(99))\n    out.append(np.random.rand())\n",
}


@pytest.mark.parametrize("name", ANYHOW)
def test_an_iteration_draws_the_same_numbers_however_it_is_run(name: str) -> None:
    after = "after = random.random(), rng.random(), np.random.rand()\n"
    body = "".join(f"  {line}\n" for line in ANYHOW[name].splitlines())
    loop = "try:\n  for i in parallel(range(40)):\n" + body
    source = f"{START}{loop}except ValueError as error: out.append(str(error))\n{after}"
    serial = run(source, True, RANDOM="streams")
    assert serial.error is None
    forced_ = [run(source, False, RANDOM="streams", WORKERS=w) for w in "15"]
    for each in (*forced_, run(source, False, force=False, RANDOM="streams")):
        assert shown(each) == shown(serial)
    assert all(each.in_workers > 10 for each in forced_), forced_[0].warned
    assert shown(run(source, False)) == shown(run(source, True))


def shown(outcome: Outcome) -> str:
    """What the program has left, a lambda by its type."""
    names = ("out", "total", "after", "x", "y")
    found = [outcome.names.get(f"global {n}") for n in names]
    return re.sub(
        r"<function .*? at \w+>", "<function>", repr((found, outcome.printed, outcome.error))
    )


EXACT = {
    "seeded each time": "    random.seed(i)\n    out.append(random.random())\n",
    "seeded in a function": "    out.append(seeded(i))\n",
    "seeded but for the last": "    if i == 29: break\n    np.random.seed(i)\n    out.append(np.random.rand())\n",
    "an own generator": "    mine = np.random.default_rng(i)\n    out.append(mine.normal())\n",
    "a sequence for each": "    seeds = np.random.SeedSequence(i).spawn(2)\n    out.append([np.random.default_rng(s).normal() for s in seeds])\n",
    "one that asks the system": "    out.append(len(str(asks.random())) > 2)\n",
}
SERIAL = {
    "seeded now and then": "    if i % 5 == 0: random.seed(i)\n    out.append(heavy(random.random()))\n",
    "looked at": "    out.append(heavy(random.random()))\n    out.append(random.getstate()[1][-1])\n",
    "drawn from in order as well": "    x = rng.random()\n    total += x\n    if total > 3: total -= rng.random()\n    out.append(x)\n",
    "a list of generators": "    out.append(many[i % 4].random())\n",
    "drawn from unseen": "    out.append(statistics.NormalDist().samples(2) if i in (2, 17) else i * i)\n",
    "drawn from unseen at the end": "    out.append(statistics.NormalDist().samples(2) if i == 29 else i * i)\n",
}


@pytest.mark.parametrize("name", [*EXACT, *SERIAL])
def test_other_loops_give_the_plain_loops_numbers(name: str) -> None:
    more = """
def seeded(i):
    random.seed(100 + i)
    return [random.random() for _ in range(3)]
def heavy(x): return x * x
asks = random.SystemRandom()
many = [np.random.default_rng(k) for k in range(4)]
"""
    after = "after = random.random(), rng.random(), np.random.rand(), many[0].random()\n"
    body = (EXACT | SERIAL)[name]
    source = f"{START}{more}for i in parallel(range(30)):\n{body}{after}"
    plain = run(source, True)
    for each in (
        run(source, True, RANDOM="streams"),
        *(run(source, False, RANDOM="streams", WORKERS=w) for w in "15"),
    ):
        assert shown(each) == shown(plain)
    assert (each.in_workers > 20) == (name in EXACT) or "unseen" in name, each.warned
    assert bool(each.warned) == (name in SERIAL)


SPAWNED = {
    "generators": ("np.random.default_rng(1).spawn(12)", "item"),
    "seed sequences": ("np.random.SeedSequence(1).spawn(12)", "np.random.default_rng(item)"),
}


@pytest.mark.parametrize("name", SPAWNED)
def test_each_item_with_a_generator_of_its_own(name: str) -> None:
    """They give the plain loop's numbers, and stand where it leaves them."""
    items, rng = SPAWNED[name]
    source = f"""
import numpy as np
items = {items}
out = []
for item in parallel(items):
    rng = {rng}
    out.append(rng.normal(size=3).sum())
after = [np.random.default_rng(item).normal() for item in items]
"""
    plain, ours = run(source, True), run(source, False, RANDOM="streams", WORKERS="2")
    assert shown(ours) == shown(plain)
    assert not ours.warned


# -- what is said


def scaled(x: float) -> float:
    return x * 2


def numbers(count: int = 4, **how: Any) -> list[float]:
    random.seed(5)
    found: list[float] = []
    for i in parallel(range(count), **how):
        found.append(scaled(random.random() * (i + 1)))
    return found


def first_seen(count: int = 4, **how: Any) -> list[float]:
    """A loop that no other test has entered."""
    random.seed(5)
    found: list[float] = []
    for i in parallel(range(count), **how):
        found.append(scaled(random.random() * (i + 1)))
    return found


def test_what_is_said_and_what_silences_it() -> None:
    random.seed(5)
    plain = [scaled(random.random() * (i + 1)) for i in range(4)]
    with forced(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for how in ({}, {}, {"on": "serial"}, {"strict": True}):
            assert first_seen(**how) != plain
        assert first_seen(random="streams", workers=5) == first_seen(random="streams", on="serial")
    said = [w for w in caught if w.filename == __file__]
    assert len(said) == 1, "once a loop"
    assert said[0].category is RandomStreamWarning
    assert "`random.random` draws from `random`" in str(said[0].message)
    with forced(), pytest.warns(ParallelWarning, match="runs serially"):
        assert first_seen(random="plain") == plain
    with forced(RANDOM="plain"), pytest.raises(NotParallel, match=r"random\.random"):
        first_seen(strict=True)
    with pytest.raises(ValueError, match='random must be "streams" or "plain"'):
        first_seen(random="other")


def test_no_iteration_no_draw() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        numbers(0)
        after = random.random()
    random.seed(5)
    assert after == random.random()


PROGRAM = """
import random
random.seed(3)
def trial(n):
    return sum(random.random() for _ in range(n))
out = []
for i in range(12):
    out.append(trial(9))
print(out, random.random())
"""


def test_unchanged_scripts_keep_their_numbers_unless_told_otherwise(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)

    def output(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command, "program.py"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout + done.stderr

    allcores = ("-m", "allcores")
    plain = output()
    assert output(*allcores, "run", "--quiet", "--force") == plain
    streams = (*allcores, "run", "--random", "streams")
    drawn = output(*streams, "--quiet", "--on", "serial")
    assert drawn != plain
    forced_ = output(*streams, "--force", "--workers", "2")
    assert forced_.startswith(drawn) and "12 iterations" in forced_
    explained = output(*allcores, "explain")
    assert "`trial` (line 4) draws from a stream that all iterations share" in explained
    assert "--random streams" in explained


def test_explain_names_the_streams() -> None:
    source = "rng = make()\nfor i in parallel(xs):\n    out.append(i * rng.normal())\n"
    [plan] = plan_source(source)
    told = [line for line in sentences(plan) if "stream" in line]
    assert told == [
        "line 3: `rng.normal` draws from `rng`; each iteration has a stream of its own, so the "
        "numbers are not the plain loop's"
    ]


def test_identifiers_are_never_given_twice() -> None:
    ids: list[Any] = []
    with forced():
        for i in parallel(range(60), workers=2, chunk=1):
            ids.append((uuid.uuid4(), secrets.token_hex(8), os.urandom(8), SYSTEM.random(), i))
        in_order = [uuid.uuid1() for _ in range(2)]
        for i in parallel(range(20), workers=2, chunk=1):
            in_order.append(uuid.uuid1())
        mapped = allcores.map(lambda _: [uuid.uuid1() for _ in range(50)], range(40), workers=2)
    for column in zip(*ids):
        assert len(set(column)) == 60
    assert len(set(in_order)) == 22
    assert len({each for found in mapped for each in found}) == 2000


SYSTEM = random.SystemRandom()
