"""How much of their time iterations wait, and how many workers those have that do."""

from __future__ import annotations

import os
from time import perf_counter, process_time
from typing import Any, NamedTuple

resource: Any
try:
    import resource
except ImportError:  # on Windows
    resource = None
WAITS = 0.5
"""Iterations that wait for more than this part of their time get more workers than cores."""
FIRST = 8
"""So many they get at first."""
FIRST_IDLE, IDLE = 16, 0.9
"""And so many where they do hardly anything but wait."""
MOST_PROCESSES, MOST_INTERPRETERS = 32, 16
"""So many may be forks, and so many clean interpreters, which take more time and memory to have."""
GROWS = 1.2
"""Twice as many workers must get so many times as much done, or there are enough of them."""


def use_of_more(idle: float | None, most: int) -> bool:
    """Whether more workers than cores are of use. idle: the part of their time that iterations
    wait, where that is known; most: how many there may be.
    """
    return idle is not None and idle >= WAITS and most > FIRST


class Look(NamedTuple):
    """What a thread's time has gone into so far, in seconds."""

    wall: float
    busy: float
    """In which this process, or programs that it has started and that have ended, has computed."""
    pushed: float
    """In which it could have computed, but other programs had the cores."""
    switches: int
    """How often it has waited for something."""
    pushes: int
    """How often it was pushed aside."""
    programs: int
    """How much more often programs that it has started and that have ended were pushed aside than
    they waited."""


class WaitClock:
    """Tells waiting from computing in this thread.

    On a busy machine, iterations that compute take longer than they compute. The kernel says how
    long a thread stood in line for a core; where it does not, how often it gave its core away says
    whether it has waited at all.
    """

    def __init__(self, exact: bool = True) -> None:
        """exact: ask the kernel's file, which costs some µs to open."""
        self.file = -1
        if exact:
            try:
                self.file = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                pass

    def look(self) -> Look:
        if resource is None:
            return Look(perf_counter(), process_time(), 0, 0, 0, 0)
        # Not all systems count for each thread.
        thread = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)
        own, children = resource.getrusage(thread), resource.getrusage(resource.RUSAGE_CHILDREN)
        busy = process_time() + children.ru_utime + children.ru_stime
        programs = children.ru_nivcsw - children.ru_nvcsw
        return Look(perf_counter(), busy, self.pushed(), own.ru_nvcsw, own.ru_nivcsw, programs)

    def pushed(self) -> float:
        if self.file < 0:
            return 0.0
        try:
            return int(os.pread(self.file, 100, 0).split()[1]) * 1e-9
        except (OSError, IndexError, ValueError):
            self.close()
            return 0.0

    def waited(self, then: Look) -> tuple[float, float]:
        """The seconds since an earlier look that went by in waiting, and all of them."""
        now = self.look()
        wall = now.wall - then.wall
        switches = now.switches - then.switches
        pushed = self.file < 0 and now.pushes - then.pushes > switches
        if not switches or pushed or now.programs > then.programs:
            return 0.0, wall
        computed = now.busy - then.busy + max(now.pushed - then.pushed, 0.0)
        return max(wall - computed, 0.0), wall

    def close(self) -> None:
        if self.file >= 0:
            os.close(self.file)
            self.file = -1

    def __del__(self) -> None:
        self.close()


class Growth:
    """How many workers a loop has that waits: more, as long as more gets done in a second."""

    def __init__(self, most: int, idle: float, there: int = 0) -> None:
        """most: the most that it may have; idle: the part of its time that an iteration waits;
        there: how many there are already.
        """
        self.most = most
        self.allowed = min(max(FIRST_IDLE if idle >= IDLE else FIRST, there), most)
        self.before = self.allowed
        self.rate = 0.0
        """Iterations a second with the number before."""
        self.done, self.began = 0, perf_counter()
        self.grown = self.allowed == most

    def note(self, done: int) -> None:
        """So many more iterations are done."""
        if self.grown:
            return
        self.done += done
        if self.done < self.allowed:
            return
        now = perf_counter()
        rate = self.done / max(now - self.began, 1e-9)
        self.done, self.began = 0, now
        more = 1 + (GROWS - 1) * (self.allowed / self.before - 1)
        if rate < more * self.rate:
            self.allowed, self.grown = self.before, True
            return
        self.before = self.allowed
        self.grown = self.allowed == self.most
        self.rate = rate
        self.allowed = min(2 * self.allowed, self.most)

    def stop_at(self, number: int) -> None:
        """There can be no more than so many."""
        self.allowed, self.grown = max(number, 1), True
