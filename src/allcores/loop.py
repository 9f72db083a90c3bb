"""`parallel()`: the public face, its settings, and the step from the frame into the loop."""

from __future__ import annotations

import operator
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from allcores.engine.failures import NotParallel, ParallelWarning
from allcores.settings import Settings, settings_of
from allcores.skipping import Failure

if TYPE_CHECKING:
    from allcores.plan.model import Plan
    from allcores.sites import Site


class LoopReport:
    """How one entry of a loop went. Times in seconds."""

    def __init__(self, file: str, line: int, verdict: str) -> None:
        self.file, self.line, self.verdict = file, line, verdict
        self.iterations = self.in_workers = self.workers = 0
        self.replayed = 0  # of those in workers, found in a journal
        self.seconds = self.worker_seconds = self.native_seconds = 0.0
        self.reason = ""
        self.threads = False  # whether workers were threads of one process, at last
        self.fresh_because = ""  # why workers were clean interpreters, and no forks, if they were
        self.processes_because = ""  # why they were no threads any more, if they had been
        self.idle = 0.0  # the part of their time that iterations wait, where that was looked at

    def __repr__(self) -> str:
        return f"LoopReport({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"


listeners: list[Callable[[LoopReport], None]] = []
"""Called with a LoopReport whenever a loop ends."""


def parallel(
    iterable: Iterable[Any],
    *,
    workers: int | None = None,
    on: str | None = None,
    strict: bool | None = False,
    chunk: int | None = None,
    random: str | None = None,
    on_error: str | None = None,
    timeout: float | None = None,
    memory: int | None = None,
    retries: int = 1,
    resume: str | os.PathLike[str] | None = None,
) -> _Parallel:
    """Run the `for` statement over this on every core, with the outcome of the plain loop.

    iterable: anything a `for` loop takes. workers: how many at most (default: $ALLCORES_WORKERS,
    or the cores this process may use, and up to 64 threads where iterations wait). on: "processes" (the default, or $ALLCORES_ON), made
    by "fork" or "fresh", clean interpreters, where this process cannot be forked; "fork", "fresh"
    or "threads" for these alone; "serial". strict: raise NotParallel where the loop would run serially with a warning
    (also by $ALLCORES_STRICT=1). chunk: iterations sent to a worker at a time (default: by time).
    random: for a loop that draws random numbers. "streams": each iteration draws from a stream of
    its own, which follows from the seed and the iteration's number, so that the numbers are the
    same for any number of workers and for on="serial", but not the plain loop's. "plain": the plain
    loop's numbers, and so the plain loop. Default: $ALLCORES_RANDOM, or "streams" with a
    RandomStreamWarning that says so. on_error: "raise"; "skip" leaves out iterations that raise an
    Exception, as if they had never begun; "collect" also keeps a `Failure` of each in the `errors`
    of what is given, and ends with a SkippedWarning. timeout: seconds that an iteration may take.
    memory: bytes that a worker may take. retries: how often an iteration is tried again that a
    worker died on.
    resume: a file that keeps what finished iterations have recorded. A run that was ended in
    whatever way does only the rest when it is run again (docs/failures.md says what else must be as
    it was; a ResumeWarning says what is not).

    Gives an iterable for a `for` statement. A loop that cannot be shown to come out the same runs
    as the plain loop, and a ParallelWarning says why.

    Raises TypeError or ValueError for arguments that make no sense, WorkerDied when workers die on
    one iteration more than `retries` times, TimeoutError and MemoryError for one that passes a
    limit, JournalError when another run uses the file of `resume` or it is not yours alone, and
    whatever the loop's own body raises.

    >>> squares = []
    >>> for x in parallel(range(5)):
    ...     squares.append(x * x)
    >>> squares
    [0, 1, 4, 9, 16]

    >>> halves = []
    >>> for x in parallel([4, "two", 0], on_error="skip"):
    ...     halves.append(x / 2)
    >>> halves
    [2.0, 0.0]
    """
    try:
        iter_of = type(iterable).__iter__
    except AttributeError:
        iter_of = None
    if iter_of is None and not hasattr(type(iterable), "__getitem__"):
        raise TypeError(
            f"parallel() needs something to loop over, not {type(iterable).__name__}"
            + ("; perhaps range(...) is missing" if isinstance(iterable, int) else "")
        )
    settings = settings_of(
        workers,
        on,
        strict,
        chunk,
        random,
        on_error=on_error,
        timeout=timeout,
        memory=memory,
        retries=retries,
        resume=resume,
    )
    return _Parallel(iterable, settings, None)


def register_site(plan: Plan, tree: Any) -> int:
    """Make a loop of a parsed file known beforehand; gives the key for `at_site`."""
    from allcores import sites
    from allcores.plan.source import loops_of

    for node, scopes in loops_of(tree):
        if node is plan.node:
            return sites.give_site(plan, tree, node, scopes)
    raise LookupError("the loop is not in this tree")


def at_site(key: int, iterable: Iterable[Any]) -> Iterable[Any]:
    """As `parallel(iterable)`, for a registered loop that the user left unmarked.

    One that goes over what `parallel` has given before is marked, and stays as it is.
    """
    from allcores.sites import given_site

    if type(iterable) is _Parallel:
        iterable.site = given_site(key)
        return iterable
    settings = settings_of()._replace(asked=False)
    return _Parallel(iterable, settings, given_site(key))


def is_marked(iterable: Any) -> bool:
    """Whether this is what `parallel` gives."""
    return type(iterable) is _Parallel


# -- entering a loop


def in_worker() -> bool:
    """Whether this process is a worker: a loop within a loop runs natively there."""
    crew = sys.modules.get("allcores.engine.crew")
    return crew is not None and crew.in_worker


class _UsedUp:
    """Stands for an iterator that a loop has been over."""

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError(
            "this loop has been run, and its iterator is used up; call parallel() again"
        )


class _Parallel:
    """What `parallel()` gives: at home in a `for` statement, a plain iterable elsewhere."""

    __slots__ = ("errors", "iterable", "settings", "site")

    def __init__(self, iterable: Iterable[Any], settings: Settings, site: Site | None) -> None:
        self.iterable, self.settings, self.site = iterable, settings, site
        self.errors: list[Failure] = []
        """With `on_error="collect"`: what the last run has left out."""

    def __length_hint__(self) -> int:
        return operator.length_hint(self.iterable)

    def __repr__(self) -> str:
        return f"parallel({self.iterable!r})"

    def __iter__(self) -> Iterator[Any]:
        settings, iterable = self.settings, self.iterable
        if self.errors:
            self.errors = []
        if settings.only_in_workers and hasattr(type(iterable), "__next__"):
            # It is read ahead, which nobody can tell who does not hold it.
            self.iterable = _UsedUp()
        if settings.on == "serial":
            if settings.only_in_workers:
                from allcores.entry.plans import say_in_vain

                say_in_vain("it was asked to", sys._getframe(1), settings)
            from allcores.streams import may_draw, wanted

            if in_worker() or not (may_draw() and wanted(settings)):
                return iter(iterable)
        from allcores.entry import segments

        try:
            pieces = segments(self.site, sys._getframe(1), iterable, settings, self.errors)
        except BaseException as error:
            from allcores.engine.interrupts import from_handler
            from allcores.tracebacks import raises, trimmed

            if not from_handler(error):
                raise
            pieces = iter([raises(trimmed(error))])
        return iter(iterable) if pieces is None else chain.from_iterable(pieces)


__all__ = [
    "LoopReport",
    "NotParallel",
    "ParallelWarning",
    "at_site",
    "is_marked",
    "listeners",
    "parallel",
    "register_site",
]
