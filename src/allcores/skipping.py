"""Iterations and items that raise and are left out: what is kept of them, and said."""

from __future__ import annotations

from typing import Any, Generic, NamedTuple, TypeVar

from allcores.engine.failures import SkippedWarning

T = TypeVar("T")


class Failure(NamedTuple):
    """An iteration of a loop, or an item of a map, that raised and was left out."""

    index: int  # type: ignore[assignment]
    """Its number, from 0 on."""
    item: Any
    """What the loop went over there: `(a, b)` where it has two targets."""
    exception: BaseException
    """What it raised, with the traceback of its own lines and a note."""


class Results(list[T], Generic[T]):
    """A list of results, and in `errors` the `Failure` of each item that was left out."""

    errors: list[Failure]


def in_words(error: BaseException) -> str:
    """An exception's type and text, on one line."""
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = ""
    if len(text) > 100:
        text = text[:97] + "..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def collected(failures: list[Failure], of: str) -> SkippedWarning:
    """What is said once, at the end. of: "iteration" or "item"."""
    first = failures[0]
    many = f"{len(failures)} {of}s" if len(failures) > 1 else f"1 {of}"
    which = "the first was" if len(failures) > 1 else "that was"
    return SkippedWarning(
        f"{many} raised and {'were' if len(failures) > 1 else 'was'} left out, {which} {of} "
        f"{first.index}: {in_words(first.exception)}; `errors` has them all"
    )
