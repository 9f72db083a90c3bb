"""The loop fuzzer under Hypothesis: random loops come out the same either way."""

from __future__ import annotations

import collections

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.grammar import build
from tests.fuzz.run import check, report
from tests.same import difference, run

LOOPS = 700
"""For each Python; with three of them a run of the tests makes 2,100."""

counts: collections.Counter[tuple[str, bool]] = collections.Counter()


@settings(
    max_examples=LOOPS,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(st.data(), st.booleans())
def test_random_loops_leave_the_same(data: st.DataObject, in_function: bool) -> None:
    program = build(lambda n: data.draw(st.integers(0, n - 1)))
    found, verdict, _ = check(program, in_function)
    counts[verdict, program.easy] += 1
    assert found is None, f"{found}\nin_function={in_function}\n{program.source}"


def test_most_loops_that_look_parallel_run_in_parallel() -> None:
    easy = sum(n for (_, e), n in counts.items() if e)
    print(report(counts))
    assert not easy or counts["parallel", True] / easy >= 0.6, report(counts)


def test_the_comparison_finds_a_difference() -> None:
    """A tester that cannot fail would be of no use."""
    base = "a = [[1], [2]]\nb = a[0]\nx = 1.0\n"
    same = run(base, True, False)
    for other in (
        base.replace("b = a[0]", "b = [1]"),
        base.replace("1.0", "2.0"),
        base + "c = 1\n",
        base + "print('x')\n",
        base + "raise ValueError\n",
        base.replace("[2]", "[2, 3]"),
    ):
        assert difference(same, run(other, True, False)) is not None
    assert difference(same, run(base, True, False)) is None
