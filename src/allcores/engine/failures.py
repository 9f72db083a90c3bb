"""What goes wrong with a loop or beneath it, in words."""

from __future__ import annotations

import os
from typing import Any, NamedTuple


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
    """The system refused to make a worker, or it is not safe to; nothing has been run."""

    def __str__(self) -> str:
        return self.strerror or super().__str__()


class Ending(NamedTuple):
    """How a worker came to its end."""

    status: int | None
    """What waiting for it gave."""
    peak: int = 0
    """The most memory that it had, in bytes; what it shared with its parent is counted."""
    out_of_memory: bool = False
    """Whether the kernel has killed processes for want of memory since it was made, or before."""

    def in_words(self) -> str:
        """As in "a worker ·"."""
        by_kernel = self.status is not None and os.WIFSIGNALED(self.status)
        if by_kernel and self.out_of_memory and os.WTERMSIG(self.status) == 9:  # type: ignore[arg-type]
            return "was killed by SIGKILL, by the kernel's out-of-memory killer,"
        return how_it_ended(self.status)

    def memory(self) -> str:
        """As in "a worker died·"."""
        return f"; its memory had peaked at {size(self.peak)}" if self.peak else ""


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


def worker_died(index: int, item: Any, how: Ending, deaths: int) -> WorkerDied:
    """The error for the iteration that workers died on, each time that it was tried."""
    times = {1: "", 2: ", twice"}.get(deaths, f", {deaths} times")
    return WorkerDied(
        f"a worker {how.in_words()} in iteration {index} (item {shown(item)}){times}{how.memory()}. "
        f"The {index} iterations before it are over. Run that item alone to see why."
    )


def took_too_long(index: int, item: Any, seconds: float) -> TimeoutError:
    """The error for an iteration that its worker was killed for."""
    return TimeoutError(
        f"iteration {index} (item {shown(item)}) took longer than timeout={seconds:g} seconds. "
        f"The {index} iterations before it are over."
    )


def passed_memory(index: int, item: Any, allowed: int) -> str:
    """What is noted on the MemoryError of an iteration."""
    return (
        f"in iteration {index} (item {shown(item)}), which took more than memory={allowed} bytes "
        f"({size(allowed)}) beyond what its worker began with"
    )


def size(count: int) -> str:
    """Bytes in words."""
    amount, unit = float(count), "bytes"
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1024 or unit == "TiB":
            break
        amount /= 1024
    return f"{amount:.0f} {unit}" if amount >= 100 or unit == "bytes" else f"{amount:.1f} {unit}"


def shown(item: Any) -> str:
    """An item in a few words, whatever it is."""
    import reprlib

    try:
        return reprlib.repr(item)
    except Exception:
        return f"<{type(item).__name__}>"
