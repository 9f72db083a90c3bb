"""The loop fuzzer under Hypothesis: random loops come out the same either way."""

from __future__ import annotations

import collections

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz import in_place
from tests.fuzz.grammar import build
from tests.fuzz.run import as_script, check, report

LOOPS = 700
"""For each Python; with three of them a run of the tests makes 2,100."""

LOOPS_OVER_ITEMS = 150
LOOPS_IN_THREADS = 60

counts: collections.Counter[tuple[str, bool]] = collections.Counter()


always_the_same = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    # `python -m tests.fuzz.run` makes what it finds smaller, and much faster.
    phases=[Phase.generate],
)


@pytest.mark.timeout(900)
@settings(always_the_same, max_examples=LOOPS)
@given(st.data())
def test_random_loops_leave_the_same(data: st.DataObject) -> None:
    program = build(lambda n: data.draw(st.integers(0, n - 1)))
    found, verdict, _ = check(program)
    counts[verdict, program.easy] += 1
    assert found is None, f"{found}\n{as_script(program)}"


@pytest.mark.timeout(300)
@settings(always_the_same, max_examples=LOOPS_OVER_ITEMS)
@given(st.data())
def test_random_loops_that_change_their_items_leave_the_same(data: st.DataObject) -> None:
    program = in_place.build(lambda n: data.draw(st.integers(0, n - 1)))
    found, _, _ = check(program)
    assert found is None, f"{found}\n{as_script(program)}"


@pytest.mark.timeout(300)
@settings(always_the_same, max_examples=LOOPS_IN_THREADS)
@given(st.data())
def test_random_loops_in_threads_leave_the_same(data: st.DataObject) -> None:
    program = build(lambda n: data.draw(st.integers(0, n - 1)))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("ALLCORES_ON", "threads")
        found, _, _ = check(program)
    assert found is None, f"{found}\n{as_script(program)}"


def test_most_loops_that_look_parallel_run_in_parallel() -> None:
    easy = sum(n for (_, e), n in counts.items() if e)
    print(report(counts))
    assert not easy or counts["parallel", True] / easy >= 0.6, report(counts)
