"""What each worker has of its own: made there when it is first asked for, closed when it ends.

Workers are forked. A connection or an open file that they inherit is the same one for all, so each
has to make another. A value belongs to one thread of one process; in a forked child the parent's
values stay untouched, for even closing one there may harm it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import count
from types import TracebackType
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")

_numbers = count()
_everywhere: weakref.WeakValueDictionary[str, PerWorker[Any]] = weakref.WeakValueDictionary()
"""Those of this process by key: one that is sent to a worker twice is the same one there."""
_kept: dict[str, PerWorker[Any]] = {}
"""In a worker: those that were sent to it."""
errors = -1
"""In a worker: the file in which to write what went wrong while closing."""


class Value:
    """What a factory made in one thread, and how it is closed."""

    def __init__(self, made: Any) -> None:
        self.process, self.number = os.getpid(), next(_numbers)
        self.close: Callable[[], object] | None = getattr(made, "close", None)
        self.value = made
        if self.close is None and hasattr(made, "__enter__") and hasattr(made, "__exit__"):
            self.value = made.__enter__()
            self.close = lambda: made.__exit__(None, None, None)


_values: list[Value] = []
"""All that are not closed, as they were made."""


class PerWorker(Generic[T]):
    """Something of which each worker has its own; see `per_worker`. Calling it gives that."""

    def __init__(self, factory: Callable[[], Any], key: str | None = None) -> None:
        if not callable(factory):
            raise TypeError(
                f"per_worker() needs a function that makes one, such as "
                f"`lambda: open(path)`, not {type(factory).__name__}"
            )
        self._factory = factory
        self._key = key or os.urandom(12).hex()
        self._made: dict[tuple[int, int], Value] = {}
        _everywhere[self._key] = self
        # At the program's end as well, but not in workers, which end otherwise.
        self._finish = weakref.finalize(self, _close_made, self._made)

    def __call__(self) -> T:
        """This worker's own: made if there is none yet. Raises what making it raises."""
        place = os.getpid(), threading.get_ident()
        found = self._made.get(place)
        if found is None:
            with _told:
                found = self._made[place] = Value(self._factory())
                _values.append(found)
        value: T = found.value
        return value

    def close(self) -> None:
        """Close what this process has made; it is made anew when it is asked for again."""
        _close_made(self._made)

    def __enter__(self) -> PerWorker[T]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _sent, (self._key, self._factory)

    def __repr__(self) -> str:
        return f"per_worker({self._factory!r})"


@overload
def per_worker(factory: Callable[[], AbstractContextManager[T]]) -> PerWorker[T]: ...
@overload
def per_worker(factory: Callable[[], T]) -> PerWorker[T]: ...
def per_worker(factory: Callable[[], Any]) -> PerWorker[Any]:
    """Give each worker its own of what workers cannot share: a connection, an open file, a session.

    factory: called without arguments in each worker that needs one, the first time it does. It
    gives the thing itself, which is closed by its `close()`; or a context manager without one, such
    as a function made by `contextlib.contextmanager` gives: what it is entered with is used, and it
    is left at the end.

    Gives an object to be called where the thing is needed, in the body of a loop or in functions
    that it calls; the same in `map`, `Pool` and `Executor`. Keep that object, not what it gives:

    >>> import sqlite3
    >>> from allcores import parallel, per_worker
    >>> db = per_worker(lambda: sqlite3.connect("file:squares?mode=memory", uri=True))
    >>> squares = []
    >>> for x in parallel(range(4)):
    ...     [square] = db().execute("select ? * ?", (x, x)).fetchone()
    ...     squares.append(square)
    >>> squares
    [0, 1, 4, 9]
    >>> db.close()

    A worker closes its own when it ends: with the loop or the `map`, or with the pool. Iterations
    that run in your own process use one that is made there. That is closed by `close()`, at the end
    of `with per_worker(·) as db:`, when `db` is dropped, and when the program ends; one that the
    loop itself has made is closed and made anew when workers are forked.

    What is kept in the thing must not decide results, for it is not told which iterations share it.

    Raises TypeError where `factory` cannot be called; what it raises is raised where the thing is
    asked for.
    """
    return PerWorker(factory)


def _sent(key: str, factory: Callable[[], Any]) -> PerWorker[Any]:
    """What a PerWorker becomes where it is unpickled."""
    from allcores.engine import crew

    found = _everywhere.get(key)
    if found is None:
        found = PerWorker(factory, key)
        if crew.in_worker:
            _kept[key] = found
    return found


# -- closing


def _close_made(made: dict[tuple[int, int], Value]) -> None:
    own = [place for place in made if place[0] == os.getpid()]
    _close([made.pop(place) for place in own])


def newest() -> int:
    """A number that the values made from now on reach."""
    return next(_numbers)


def close_since(number: int) -> None:
    """Close what this process has made since then, for it is about to be forked."""
    values = [v for v in _values if v.number > number and v.process == os.getpid()]
    if values:
        for each in list(_everywhere.values()):
            for place in [p for p, v in each._made.items() if v in values]:
                del each._made[place]
        _close(values)


def _close(values: list[Value]) -> None:
    """Close them, the last made first. Raises what the first failure raised, when all are done."""
    failed: BaseException | None = None
    for value in sorted(values, key=lambda v: -v.number):
        if value in _values:
            _values.remove(value)
        if value.close is not None:
            try:
                value.close()
            except Exception as error:
                failed = failed or error
    if failed is not None:
        raise failed


def any_exist() -> bool:
    """Whether workers may have something to close."""
    return bool(_everywhere)


def close_all() -> None:
    """A worker ends: close all it has made, and let nobody stop that half way."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _close_and_say([v for v in _values if v.process == os.getpid()])


def close_of_thread() -> None:
    """A thread that is a worker ends: close all that it has made."""
    place = os.getpid(), threading.get_ident()
    made = [each._made.pop(place, None) for each in list(_everywhere.values())]
    _close_and_say([value for value in made if value is not None])


def _close_and_say(own: list[Value]) -> None:
    """Close them; what goes wrong is written where the user's process finds it."""
    try:
        _close(own)
    except Exception as error:
        import traceback

        text = "".join(traceback.format_exception(error))
        if errors >= 0:
            os.write(errors, text.encode(errors="replace"))
        elif sys.stderr is not None:
            sys.stderr.write(text)


def end_job() -> None:
    """In a worker that stays for another loop: close all that it has made for this one."""
    if _values:
        close_all()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for each in list(_everywhere.values()):
        each._made.clear()  # or they would be closed once more when they are dropped
    _kept.clear()


class _Told:
    """A worker is told to end by SIGTERM, which waits while something is being made."""

    def __init__(self) -> None:
        self.making = 0
        self.to_end = False

    def __enter__(self) -> None:
        from allcores.engine import crew

        self.making += 1
        if crew.in_worker and threading.current_thread() is threading.main_thread():
            if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
                signal.signal(signal.SIGTERM, self.end)

    def __exit__(self, *_: object) -> None:
        self.making -= 1
        if self.to_end:
            self.end()

    def end(self, *_: object) -> None:
        self.to_end = True
        if not self.making:
            close_all()
            os._exit(0)


_told = _Told()
