"""The loops that a thread is in, and those of a generator that stands still at a `yield`."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from allcores.find.clock import clock

if TYPE_CHECKING:
    from allcores.find.runs import Entry


class _Here(threading.local):
    """The runs of loops that this thread is in, innermost last."""

    def __init__(self) -> None:
        self.stack: list[Entry] = []


here = _Here()


class Suspension:
    """Told when a generator is left at a `yield` inside a loop, and when it goes on."""

    def __init__(self) -> None:
        self.parked: dict[int, list[Entry]] = {}

    def out(self, value: Any) -> Any:
        """The generator gives `value` away: the loops it is in stand still."""
        frame = id(sys._getframe(1))
        stack = here.stack
        now = clock.now()
        while stack and stack[-1].frame == frame:
            entry = stack.pop()
            entry.parked_at = now
            entry.meter.active -= 1
            self.parked.setdefault(frame, []).append(entry)
        return value

    def back(self, value: Any) -> Any:
        """The generator goes on with `value`."""
        self.resume(id(sys._getframe(1)))
        return value

    def resume(self, frame: int) -> None:
        """The loops in this frame run again."""
        now = clock.now()
        for entry in reversed(self.parked.pop(frame, ())):
            entry.away += now - entry.parked_at
            entry.parked_at = 0.0
            entry.meter.active += 1
            here.stack.append(entry)

    def forget(self, entry: Entry) -> None:
        """A parked run is over: its generator was closed."""
        parked = self.parked.get(entry.frame, [])
        if entry in parked:
            parked.remove(entry)
        if not parked:
            self.parked.pop(entry.frame, None)

    def __reduce__(self) -> tuple[Any, ...]:
        return NoSuspension, ()


class NoSuspension:
    """A suspension in a process that measures nothing."""

    def out(self, value: Any) -> Any:
        return value

    def back(self, value: Any) -> Any:
        return value


suspension = Suspension()
