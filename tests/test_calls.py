"""Calls are followed: what called code changes is found by reading it, and nothing else is."""

from __future__ import annotations

import pytest

from allcores.build.watch import Watch
from tests.hidden_writes import BEYOND, CLEAN, FOUND
from tests.same import assert_same, difference, run


@pytest.mark.parametrize("name", FOUND)
def test_reading_finds_what_is_changed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = FOUND[name].lstrip()
    monkeypatch.setattr(Watch, "change", lambda _: None)
    outcome = run(source, False)
    assert difference(run(source, True), outcome) is None, (outcome.warned, outcome.reports)


@pytest.mark.parametrize("name", BEYOND)
def test_the_watch_finds_what_reading_does_not(name: str) -> None:
    assert_same(BEYOND[name].lstrip(), places=("module",))


@pytest.mark.parametrize("name", CLEAN)
def test_nothing_is_taken_for_a_change(name: str) -> None:
    assert_same(CLEAN[name].lstrip(), "parallel", places=("module",))
