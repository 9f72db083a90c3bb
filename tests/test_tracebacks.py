"""What a user sees of an exception that our code raises for them."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from itertools import chain

import pytest

import allcores
from allcores.tracebacks import raises


def files(error: BaseException) -> list[str]:
    return [frame.filename for frame in traceback.extract_tb(error.__traceback__)]


def test_raised_at_the_line_of_the_for_statement_and_nowhere_else() -> None:
    error = KeyboardInterrupt("once")
    with pytest.raises(KeyboardInterrupt, match="once") as caught:
        for _ in chain.from_iterable(iter([[1, 2], raises(error)])):
            pass
    assert caught.value is error
    assert files(error) == [__file__]


def test_frames_of_the_program_below_ours_are_kept() -> None:
    def numbers() -> Iterator[int]:
        yield 1
        raise OSError("torn")

    with pytest.raises(OSError) as caught:
        list(allcores.imap(abs, numbers(), on="serial"))
    assert files(caught.value) == [__file__, __file__]
