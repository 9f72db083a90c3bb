"""Ctrl-C at one place after another in allcores' own code: run by tests/test_interrupts.py.

`python interrupt_places.py FACE HOW FIRST STEP AGAIN [NAME]`: SIGINT comes at the FIRST call or
return in allcores' code, at the one STEP later in the next run, and so on, in the last run at none.
HOW: what handles it: "default", "flag" (it returns) or "raise" (an exception of its own). AGAIN:
SIGINT comes once more so many calls after the first; 0: it does not. NAME: only what a function of
this name is called for and returns counts. Prints what went wrong.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import allcores
from allcores import parallel, per_worker

PACKAGE = os.path.dirname(allcores.__file__) + os.sep
HERE = os.getpid()
N = 24
PLAIN = [x * x for x in range(N)]
GENERATOR = 0x20


class Stop(Exception):
    """What a handler of the program's own raises."""


class Star:
    def __init__(self, n: int) -> None:
        self.n, self.light = n, -1

    def fit(self) -> None:
        self.light = self.n * self.n


def work(x: int) -> int:
    return x * x


def numbers() -> Iterator[int]:
    yield from range(N)


# -- what is interrupted: each adds results to `out`, and may note what else was not in order


def loop(out: list[int]) -> None:
    x = y = -1
    try:
        for x in parallel(range(N), chunk=3):
            y = work(x)
            out.append(y)
    finally:
        begun = x == len(out) and y in (x * x, (x - 1) ** 2, -1)
        between = x == len(out) - 1 and y == (x * x if x >= 0 else -1)
        if not (begun or between):
            out.append(f"{x = }, {y = } after {len(out)}")  # type: ignore[arg-type]


def stream(out: list[int]) -> None:
    for x in parallel(numbers(), chunk=3):
        y = work(x)
        out.append(y)


def items(out: list[int]) -> None:
    stars = [Star(n) for n in range(N)]
    total = 0
    try:
        for star in parallel(stars, chunk=3):
            star.fit()
            total += star.light
    finally:
        lights = [star.light for star in stars if star.light >= 0]
        out += lights
        if total not in (sum(lights), sum(lights[:-1])):
            out.append(f"{total = }, {lights = }")  # type: ignore[arg-type]


def own(out: list[int]) -> None:
    value = per_worker(lambda: contextlib.nullcontext(2))
    for x in parallel(range(N), chunk=3):
        y = x ** value()
        out.append(y)


def mapped(out: list[int]) -> None:
    out += allcores.map(work, range(N), chunk=3)


def one_by_one(out: list[int]) -> None:
    for y in allcores.imap(work, numbers(), chunk=3):
        out.append(y)


def pool(out: list[int]) -> None:
    with allcores.Pool(2) as workers:
        try:
            out += workers.map(work, range(N), 3)
        except (KeyboardInterrupt, Stop):
            again = workers.map(work, range(N), 3)
            assert again == PLAIN
            raise


def executor(out: list[int]) -> None:
    with allcores.Executor(2) as workers:
        for y in workers.map(work, range(N), chunksize=3):
            out.append(y)


FACES: dict[str, Callable[[list[int]], None]] = {
    each.__name__: each for each in (loop, stream, items, own, mapped, one_by_one, pool, executor)
}


# -- interrupting


def interrupted(run: Callable[[], None], places: set[int], name: str) -> tuple[int, str, Any]:
    """How many places there were, in the function named if one is, where SIGINT came, and what was
    raised."""
    seen, where = 0, ""

    def look(frame: FrameType, what: str, arg: Any) -> None:
        nonlocal seen, where
        # No signal is handled as a generator gives something; in a destructor it is lost anywhere.
        gives = what == "return" and frame.f_code.co_flags & GENERATOR
        gives = gives or frame.f_code.co_name == "__del__"
        ours = frame.f_code.co_filename.startswith(PACKAGE)
        another = name and frame.f_code.co_name != name
        if gives or another or not ours or os.getpid() != HERE:
            return
        seen += 1
        if seen in places:
            where += f"{what} {frame.f_code.co_qualname}:{frame.f_lineno} "
            signal.raise_signal(signal.SIGINT)
            sys.setprofile(look)

    raised = None
    sys.setprofile(look)
    try:
        run()
        sys.setprofile(None)
    except (KeyboardInterrupt, Stop) as error:
        sys.setprofile(None)
        raised = error
    try:
        return seen, where, raised
    finally:
        del raised  # its traceback has this frame


def settled(condition: Callable[[], bool]) -> bool:
    """Whether this comes to hold within a few seconds."""
    end = time.monotonic() + 5
    while not condition() and time.monotonic() < end:
        time.sleep(0.002)
    return condition()


def children() -> str:
    with open(f"/proc/self/task/{HERE}/children") as file:
        return file.read()


def end_standby() -> None:
    """Clean interpreters may stay: those that are known of."""
    if "allcores.engine.interpreters" in sys.modules:
        sys.modules["allcores.engine.interpreters"].standby.end_all()


def descriptors() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


unraisable: list[Any] = []


def wrong(face: str, places: set[int], handler: Any, name: str) -> tuple[int, str, list[str]]:
    """One run; gives the number of places, where it was interrupted, and what was wrong."""
    run, out = FACES[face], list[int]()
    end_standby()
    before = descriptors()
    count, where, raised = interrupted(lambda: run(out), places, name)
    end_standby()
    came = count >= min(places)
    shown = ""
    if raised is not None:
        frames = traceback.extract_tb(raised.__traceback__)
        ours = [f"{f.name}:{f.lineno}" for f in frames if f.filename.startswith(PACKAGE)]
        # The second one may come just as the first is on its way out, as it may in any program.
        if (raised.__context__ is not None or "in_workers" in str(ours)) and len(places) == 1:
            shown = f"{ours}, {raised.__context__!r}"
        raised.__traceback__ = None
    found = [
        words
        for words, holds in (
            (f"no prefix: {out}", out == PLAIN[: len(out)]),
            ("swallowed", not came or raised is not None or handler.__name__ == "flag"),
            ("not all was done", raised is not None or out == PLAIN),
            ("a worker is left", settled(lambda: not children())),
            (f"descriptors: {before}, {descriptors()}", settled(lambda: descriptors() == before)),
            ("the handler", signal.getsignal(signal.SIGINT) is handler),
            ("the collector", gc.isenabled()),
            ("a trace function", sys.gettrace() is None),
            ("sys.stdout", sys.stdout is sys.__stdout__),
            (f"said: {unraisable}", not unraisable),
            (f"shown: {shown}", not shown),
        )
        if not holds
    ]
    unraisable.clear()
    del raised
    gc.enable()
    out.clear()
    run(out)
    if out != PLAIN:
        found.append(f"and then: {out}")
    return count, where, found


def main(face: str, how: str, first: int, step: int, again: int, name: str = "") -> None:
    flagged: list[int] = []

    def flag(number: int, frame: Any) -> None:
        flagged.append(number)

    def stop(number: int, frame: Any) -> None:
        raise Stop

    handler = {"default": signal.default_int_handler, "flag": flag, "raise": stop}[how]
    signal.signal(signal.SIGINT, handler)
    sys.unraisablehook = lambda what: unraisable.append((what.exc_value, what.object))
    for _ in range(2):
        FACES[face]([])
    place = first
    while True:
        places = {place, place + again} if again else {place}
        count, where, found = wrong(face, places, handler, name)
        if found:
            print(face, how, sorted(places), where, found, flush=True)
        if count < place:
            break
        place += step
    print("tried", (place - first) // step, "of", count)


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:6]), *sys.argv[6:])
