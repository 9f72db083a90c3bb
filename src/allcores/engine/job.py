"""What the engine runs: one call an iteration, one look at every finished chunk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol


class _Left:
    def __repr__(self) -> str:
        return "LEFT"


LEFT: Final = _Left()
"""What `Job.work` returns for an iteration that leaves the loop."""


class _NotKept:
    def __repr__(self) -> str:
        return "NOT_KEPT"


NOT_KEPT: Final = _NotKept()
"""What `apart` gives for a result that is not to be put into a journal."""


class Skipped(NamedTuple):
    """Stands where an iteration's result would have been, which raised and is left out."""

    error: Any
    """What it raised, as `errors.pack` makes it; None where nobody wants to know."""


UNMADE = "unmade"
"""The kind of a `Cut` by which a worker that is no fork says that it could not make the job."""


class Cut(NamedTuple):
    """Only the first `keep` results of a chunk are good; the iteration after them is special."""

    keep: int
    kind: str
    """"left", "raised", "shared", "unshippable", "spilled", "drawn", "changed",
    "imported", "died" or "timeout"; "entangled" where threads were in each other's way; "unfinished"
    where a worker only sends what it has, and "crowded" where there was no memory for more: these do
    not come to the caller."""
    text: str = ""
    """For humans: the worker's traceback, or why a result cannot travel, or what changed."""
    detail: str = ""
    """For "raised": the exception's type, as module.name."""
    error: Any = None
    """For "raised", where a limit of memory was passed: the exception, as `errors.pack` makes it."""


class Job(Protocol):
    """A loop's work, as the engine sees it. All methods run in a worker."""

    work: Callable[[Any], Any]

    def enter_worker(self) -> None:
        """Called once, right after the fork."""

    def before_chunk(self) -> None:
        """Called before the first iteration of every chunk."""

    # leave_worker() -> None, where there is one: in workers that stay; the job is over, and what it has
    # replaced in this process is to be put back.
    # starts_at(place: int) -> None, where there is one: the number of the chunk's first item.
    # leaves_last: Collection[str], where there is one: if not empty, the last iteration of all is
    # left to the caller, who gets a `Cut`.
    # look_at(chunk: list[Any]) -> None, where there is one: the chunk's items, before the first.
    # look_between() -> Cut | None, with it: once, after the first of a chunk's iterations.
    # without_last(results, extra) -> tuple[Any, Cut | None], where there is one: what goes along with the
    # loop's last results had to be lightened; takes that away for which the last iteration must be
    # the caller's, and says so.
    # apart(results, extra) -> list[Any] and together(results, apart) -> Any, where there is a journal:
    # of what came along with results, that which is kept with each; and what it makes together.
    # for_threads() -> SharedJob | None, where there is one, in the user's process: the job as threads
    # of one process can do it (`threads.py`), or None where they cannot.
    # encode_items(message) and decode_items(body, buffers), where there are: for what workers that are
    # no forks are given, in place of those of `wire` and `pickle`.
    # encode_given(message), where there is one: for what forks are given that do not have the items.
    # encode(message) and decode(body, buffers), where there are: in place of those of `wire`.
    # shipped() -> Shipment, where the job can go to a clean interpreter. In the user's process;
    # raises CannotShip (see `shipment`). The job that is made of it there is entered and asked as
    # any other, and its `check()`, called before its first chunk, raises CannotShip as well.

    def after_chunk(
        self, results: list[Any], last: bool, cut: Cut | None
    ) -> tuple[Any, Cut | None]:
        """Look at a finished chunk; what is returned first travels in one pickle with `results`."""

    def lighten(self, extra: Any, empty: bool) -> Any:
        """What goes along instead of `extra`, which cannot be pickled together with the results.

        empty: only what says that something is left out.
        """
