"""What temporaries hold of what was sent home, where work is done again for them."""

from __future__ import annotations

import copy
import gc
import pickle
from collections import deque
from functools import partial
from typing import Any

import pytest

from allcores.build import made_again
from allcores.build.made_again import counterparts, put_in_place


class Star:
    def __init__(self, held: Any) -> None:
        self.held = held

    def me(self) -> Any:
        return self.held


class Point:
    __slots__ = ("held", "unset")

    def __init__(self, held: Any) -> None:
        self.held = held


class Row(list[Any]):
    def __getitem__(self, place: Any) -> Any:
        raise AssertionError("what the program has written is not called")


def holder_and_held(kind: str, made: Any) -> tuple[Any, Any]:
    """What holds `made`, and a function that says what is held."""
    row = Row([made])
    holders: dict[str, tuple[Any, Any]] = {
        "list": (held := [1, made], lambda: held[1]),
        "dict": (table := {"a": made}, lambda: table["a"]),
        "deque": (queue := deque([made]), lambda: queue[0]),
        "object": (star := Star(made), lambda: star.held),
        "slots": (point := Point(made), lambda: point.held),
        "method": (star.me, star.me),
        "tuple": ((1, [Star(made)]), None),
        "closure": (function := lambda: made, function),
        "default": (default := lambda x=[made]: x[0], default),
        "own": (row, lambda: list.__getitem__(row, 0)),
    }
    holder, ask = holders[kind]
    return holder, ask or (lambda: holder[1][0].held)


KINDS = "list dict deque object slots method tuple closure default own".split()


@pytest.mark.parametrize("most", [0, made_again.MOST_WALKED])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_held_is_what_was_sent_home(
    kind: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made_again, "MOST_WALKED", most)
    made, home = [1], [1]
    holder, ask = holder_and_held(kind, made)
    assert ask() is made
    again = [made]
    put_in_place({id(made): home}, again, [holder])
    assert ask() is home and again[0] is made


def test_the_collector_is_asked_for_none_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks at all that the program has."""
    monkeypatch.setattr(gc, "get_referrers", None)
    made, home = [1], [1]
    held = {"a": [made], "b": lambda: 1}
    put_in_place({id(made): home}, [made], [held])
    assert held["a"][0] is home


@pytest.mark.parametrize("made", [partial(int, base=2), LookupError({"a": 1}), {1: partial(int)}])
def test_nothing_is_given_attributes_that_has_none(made: Any) -> None:
    before = pickle.dumps(made)
    counterparts([made], [copy.copy(made)])
    put_in_place({}, [], [made])
    assert pickle.dumps(made) == before
