"""`map`, `imap` and `starmap`: for a function one already has.

Workers are forked at the call, so the function, and whatever it holds, is inherited: nothing of it
is pickled. What costs too little for workers runs here, as the plain loop.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, TypeVar

from allcores.engine.interrupts import closed_undisturbed
from allcores.loop import in_worker
from allcores.map_call import Call
from allcores.settings import Settings, settings_of
from allcores.tracebacks import trim

T = TypeVar("T")


def map(
    fn: Callable[..., T],
    *iterables: Iterable[Any],
    workers: int | None = None,
    on: str | None = None,
    chunk: int | None = None,
    on_error: str | None = None,
    timeout: float | None = None,
    memory: int | None = None,
    retries: int = 1,
    resume: str | os.PathLike[str] | None = None,
) -> list[T]:
    """`[fn(x) for x in xs]` on every core; with several iterables `[fn(x, y) for x, y in zip(...)]`.

    fn: any callable: a lambda, a closure, a bound method, a partial; it is not pickled. What it
    changes outside of itself is lost, for a worker calls it. workers: how many processes (default:
    the cores this process may use, or $ALLCORES_WORKERS). on: as for `parallel`. chunk: items
    a worker gets at a time (default: by time). on_error: "raise" (the default), or "skip", which
    leaves out items that raise an Exception, or "collect", which also keeps a `Failure` of each in
    the `errors` of the list that it gives, and ends with a SkippedWarning. timeout: seconds that an
    item may take. memory: bytes that a worker may take. retries: how often an item that a worker
    died on is tried again. resume: a file that keeps finished results, for a run that is killed
    (docs/failures.md).

    Gives the results in order. Raises what `fn` raises first in order, WorkerDied when workers die
    on one item more than `retries` times, TimeoutError and MemoryError for items that pass a limit,
    TypeError or ValueError for arguments that make no sense.

    >>> import allcores
    >>> allcores.map(lambda x: x * x, range(5))
    [0, 1, 4, 9, 16]
    >>> allcores.map(pow, [2, 3], [5, 2])
    [32, 9]
    >>> allcores.map(lambda x: x**-0.5, [4, 0, 1], on_error="skip")
    [0.5, 1.0]
    """
    settings = settings_of(
        workers,
        on,
        False,
        chunk,
        on_error=on_error,
        timeout=timeout,
        memory=memory,
        retries=retries,
        resume=resume,
    )
    settings = settings._replace(asked=resume is not None)
    call = _call("map", fn, iterables, False, settings)
    try:
        return call.all()
    except BaseException as error:
        trim(error)
        raise


def imap(
    fn: Callable[..., T],
    *iterables: Iterable[Any],
    workers: int | None = None,
    on: str | None = None,
    chunk: int | None = None,
    on_error: str | None = None,
    timeout: float | None = None,
    memory: int | None = None,
    retries: int = 1,
    resume: str | os.PathLike[str] | None = None,
) -> Iterator[T]:
    """As `map`, but an iterator: each result in order, as soon as it is there.

    The input is read as results are taken, so that it may be of any length. Closing the iterator,
    or dropping it, stops the workers. With `on_error="collect"` it has the `errors` so far.

    >>> import allcores, itertools
    >>> squares = allcores.imap(lambda x: x * x, itertools.count())
    >>> next(squares), next(squares), next(squares)
    (0, 1, 4)
    >>> squares.close()
    """
    settings = settings_of(
        workers,
        on,
        False,
        chunk,
        on_error=on_error,
        timeout=timeout,
        memory=memory,
        retries=retries,
        resume=resume,
    )
    settings = settings._replace(asked=resume is not None)
    return Imap(_call("imap", fn, iterables, False, settings))


def starmap(
    fn: Callable[..., T],
    iterable: Iterable[Iterable[Any]],
    *,
    workers: int | None = None,
    on: str | None = None,
    chunk: int | None = None,
    on_error: str | None = None,
    timeout: float | None = None,
    memory: int | None = None,
    retries: int = 1,
    resume: str | os.PathLike[str] | None = None,
) -> list[T]:
    """`[fn(*args) for args in iterable]` on every core; else as `map`.

    >>> import allcores
    >>> allcores.starmap(pow, [(2, 5), (3, 2)])
    [32, 9]
    """
    settings = settings_of(
        workers,
        on,
        False,
        chunk,
        on_error=on_error,
        timeout=timeout,
        memory=memory,
        retries=retries,
        resume=resume,
    )
    settings = settings._replace(asked=resume is not None)
    call = _call("starmap", fn, (iterable,), True, settings)
    try:
        return call.all()
    except BaseException as error:
        trim(error)
        raise


class Imap(Iterator[T]):
    """What `imap` gives: results as they come. `close()` ends it, and its workers."""

    def __init__(self, call: Call) -> None:
        self.errors = call.failures
        """With `on_error="collect"`: what has been left out so far."""
        self._results = _one_by_one(call)

    def __iter__(self) -> Iterator[T]:
        return self._results

    def __next__(self) -> T:
        result: T = next(self._results)
        return result

    def close(self) -> None:
        """Stop the workers; there are no more results."""
        self._results.close()


def _one_by_one(call: Call) -> Generator[Any, None, None]:
    """A generator, whose `close` ends the call."""
    giving = False
    try:
        for piece in closed_undisturbed(call.interrupts, call.pieces(whole=False)):
            giving = True
            yield from piece
            giving = False
    except BaseException as error:
        if not giving:  # else it is closed: a signal that came meanwhile is to be handled outside
            trim(error)
        raise


def _call(name: str, fn: Any, iterables: tuple[Any, ...], star: bool, settings: Settings) -> Call:
    if not callable(fn):
        raise TypeError(f"{name}() needs a function first, not {type(fn).__name__}")
    if not iterables:
        raise TypeError(f"{name}() needs at least one iterable after the function")
    for each in iterables:
        kind = type(each)
        if not hasattr(kind, "__iter__") and not hasattr(kind, "__getitem__"):
            hint = "; perhaps range(...) is missing" if isinstance(each, int) else ""
            raise TypeError(f"{name}() needs something to loop over, not {kind.__name__}{hint}")
    several = len(iterables) > 1
    iterable = zip(*iterables) if several else iterables[0]
    call = Call(name, fn, iterable, star or several, settings)
    if settings.resume is not None and settings.on != "serial" and not in_worker():
        from allcores.map_resume import resume_of

        call.resume = resume_of(call)
    return call
