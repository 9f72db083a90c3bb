"""Variables that only some iterations bind, where the loop ends by a commit that raises."""

from __future__ import annotations

import random

import pytest

from tests.same import assert_same

HELPERS = """
class Star:
    def __init__(self, n): self.n = n
first = Star(1)
def f(x): return x * 2
class Sink:
    def __init__(self, *refused): self.got, self.refused = [], refused
    def put(self, v):
        if v in self.refused: raise KeyError(v)
        self.got.append(v)
"""
LOOP = """
for i in parallel(range(30), chunk={chunk}, workers={workers}):
    v = f(i)
    if i % {every} == 0:
        r = {value}
    if i in {bound}:
        q = [i, first]
    {commits}
"""


@pytest.mark.parametrize("seed", range(24))
def test_what_earlier_iterations_bound_is_there(seed: int) -> None:
    rng = random.Random(seed)
    loop = LOOP.format(
        chunk=rng.choice([1, 2, 3, 4, 7]),
        workers=rng.choice([1, 2]),
        every=rng.choice([2, 3, 5, 11]),
        value=rng.choice(["first", "Star(i)", "i", "[i]"]),
        bound=rng.sample(range(20), 3),
        commits=rng.choice(["sink.put(v)", "out.append(v); sink.put(v)"]),
    )
    data = f"out = []\nsink = Sink({rng.randrange(20, 60, 2)})\n"
    # What becomes of a loop that raises is told when its frame is gone, which may be later.
    assert_same(loop, None, helpers=HELPERS, data=data)
