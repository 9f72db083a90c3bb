"""What goes wrong with a loop or beneath it, in words."""

from __future__ import annotations

import os
from typing import Any


class ParallelWarning(UserWarning):
    """A loop marked `parallel` runs as the plain loop; the text says which line is in the way."""


class RandomStreamWarning(ParallelWarning):
    """Each iteration of a loop draws from a random stream of its own: other numbers than plain."""


class SkippedWarning(ParallelWarning):
    """With `on_error="collect"`: so many iterations, or items, raised and were left out."""


class NotParallel(RuntimeError):
    """Raised in place of a ParallelWarning where `strict=True`."""


class WorkerDied(RuntimeError):
    """A worker process ended in the middle of an iteration, each time that this was tried.

    All iterations before it have been committed, as in the plain loop.
    """


class ResumeWarning(ParallelWarning):
    """Finished iterations of an earlier run cannot be used again; the text says what has changed."""


class JournalError(RuntimeError):
    """A journal must not be used: another run uses it, or others may have written to it."""


class CannotFork(OSError):
    """The system refused to make a worker; nothing has been run."""


def how_it_ended(status: int | None) -> str:
    """A wait status in words."""
    if status is None:
        return "ended"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        import signal

        try:
            name = signal.Signals(number).name
        except ValueError:
            name = f"signal {number}"
        hint = {
            "SIGKILL": " (often the system's answer to too little memory)",
            "SIGSEGV": " (a crash in compiled code)",
        }.get(name, "")
        return f"was killed by {name}{hint}"
    return f"exited with code {os.waitstatus_to_exitcode(status)}"


def worker_died(index: int, item: Any, status: int | None, deaths: int) -> WorkerDied:
    """The error for the iteration that workers died on, each time that it was tried."""
    times = {1: "", 2: ", twice"}.get(deaths, f", {deaths} times")
    return WorkerDied(
        f"a worker {how_it_ended(status)} in iteration {index} (item {shown(item)}){times}. "
        f"The {index} iterations before it are done. Run that item alone to see why."
    )


def shown(item: Any) -> str:
    """An item in a few words, whatever it is."""
    import reprlib

    try:
        return reprlib.repr(item)
    except Exception:
        return f"<{type(item).__name__}>"
