"""One loop run both ways, and what the two leave compared."""

from __future__ import annotations

import ast
import hashlib
import os
import random
import re
import sys
import threading
import time
from types import FrameType
from typing import TYPE_CHECKING, Any

import allcores.build.inplace  # noqa: F401  (no module of ours is loaded between two looks)
from allcores.entry.plans import why_serial
from allcores.inputs import plain_source
from allcores.loop import LoopReport, _Parallel
from allcores.plan.names import bound_names
from allcores.settings import Settings
from allcores.sites import given_site
from allcores.verify import twin, undo
from allcores.verify.differ import Difference, differences
from allcores.verify.graph import describe
from allcores.verify.streams import Streams
from allcores.verify.twin import PARALLEL, PLAIN, Left
from allcores.verify.verdicts import short

if TYPE_CHECKING:
    from allcores.verify.loops import Session

_ALL_UP_TO = 8
"""So many runs of a loop are compared, and of further ones the 16th, 32nd, 64th, ..."""
_SEARCH_SECONDS = 30.0
"""The search for the iteration takes no longer than this, or five times the loop."""


class Watch:
    """Stands in the code for one loop: runs it both ways, and compares."""

    def __init__(self, session: Session, key: int, number: int) -> None:
        self.session, self.number = session, number
        self.verdict = session.verdicts[number]
        self.site = given_site(key)
        self.keeper: twin.Keeper | None = None
        self.answers = -1
        self.frame: FrameType | None = None
        self.numpy_random: Any = None
        self.request: twin.Request | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # A function sent to another process runs its loop there as the plain loop.
        return NoWatch, ()

    # -- at the loop's start

    def through(self, iterable: Any) -> Any:
        """What the loop is to iterate over."""
        marked = iterable if isinstance(iterable, _Parallel) else None
        if marked is not None and marked.settings.only_in_workers:
            self.verdict.missed = "it asks for what a plain loop cannot do, such as on_error"
            marked.site = self.site
            return marked
        plain = marked.iterable if marked is not None else iterable
        if self.session.process != os.getpid():
            return plain
        if self.session.watching is not None:
            self.session.within.add(self.number)
            return plain
        if threading.current_thread() is not threading.main_thread():
            self.verdict.serial = "it runs in a thread beside the main one"
            return plain
        self.verdict.runs += 1
        if not self.due():
            return plain
        settings = self.settings_of(marked)
        frame = sys._getframe(1)
        why = self.why_serial(frame, plain, settings)
        if why:
            self.verdict.serial = why
            return plain
        return self.begin(plain, settings, frame)

    def due(self) -> bool:
        """Whether this run is to be compared."""
        if self.verdict.difference:
            return False
        runs = self.verdict.runs
        return runs <= _ALL_UP_TO or runs & (runs - 1) == 0

    def settings_of(self, marked: _Parallel | None) -> Settings:
        settings = self.session.settings
        if marked is None:
            return settings
        own = marked.settings
        workers = max(2, own.workers)
        random = own.random or "streams"
        return settings._replace(on=own.on, chunk=own.chunk, workers=workers, random=random)

    def why_serial(self, frame: FrameType, iterable: Any, settings: Settings) -> str:
        from allcores.engine.forkable import why_not_forkable

        if settings.on == "serial":
            return 'it says on="serial"'
        why = why_serial(self.site, frame, iterable, settings)
        if why is not None:
            return why or "there is nothing to gain"
        return why_not_forkable() or ""

    def begin(self, iterable: Any, settings: Settings, frame: FrameType) -> Any:
        """Have a twin run the loop plainly; then it runs in parallel here."""
        session = self.session
        self.raised_before = sys.exc_info()[1]
        self.frame = frame
        self.names = self.names_of(frame)
        self.numpy_random = sys.modules.get("numpy.random")
        twin.flush()
        undo.flush_files()
        self.files = undo.written_files()
        try:
            self.keeper, self.request, self.answers = twin.keep(session.timeout)
        except OSError as problem:
            self.verdict.missed = f"no twin could be made ({problem.strerror})"
            return iterable
        session.watching = self
        session.report = None
        self.failure = ""
        if self.request is not None:
            session.process = os.getpid()
            return self.begin_twin(iterable, settings, self.request)
        self.plain: Left | None = None
        assert self.keeper is not None
        try:
            self.plain = self.keeper.left_by(PLAIN)
        except twin.TwinFailed as error:
            self.failure = str(error)
        except BaseException:
            self.keeper.close()
            session.watching = None
            raise
        self.streams = Streams()
        self.began = time.perf_counter()
        return _Parallel(iterable, settings, self.site)

    def begin_twin(self, iterable: Any, settings: Settings, request: twin.Request) -> Any:
        self.journal = undo.Journal()
        self.journal.watch()
        for path in request.paths:
            self.journal.note(path)
        self.streams = Streams()
        try:
            return self.source_for(iterable, settings, request)
        except BaseException:
            os._exit(1)

    def source_for(self, iterable: Any, settings: Settings, request: twin.Request) -> Any:
        """What the loop of a twin goes over."""
        source = twin.limited(iterable, request.limit, plain_source(iterable))
        if request.way == PARALLEL:
            return _Parallel(source, settings, self.site)
        self.counted = twin.Counted(source)
        plan = self.site.plan
        if plan is not None and plan.draws:
            # The plain loop's numbers are others: what is compared is one process with several.
            return _Parallel(self.counted, settings._replace(on="serial"), self.site)
        return self.counted

    def names_of(self, frame: FrameType) -> set[str] | None:
        """The local variables that may be read after the loop; None: at module level, all."""
        plan = self.site.plan
        assert plan is not None
        if plan.module_level:
            return None
        code = frame.f_code
        every = {*code.co_varnames, *code.co_cellvars, *code.co_freevars}
        kept = {*plan.temporaries, *plan.parent_names, *plan.varying}
        assert isinstance(plan.node, ast.For)
        return every - (bound_names(plan.node.target, *plan.node.body) - kept)

    # -- at the loop's end

    def ended(self) -> None:
        """The loop is over, in whatever way."""
        session = self.session
        frame = sys._getframe(1)
        # The function with the loop may call itself: then it is an inner run that is over.
        if session.watching is not self or self.frame is not frame:
            return
        if session.process != os.getpid():
            return
        self.frame = None
        error = sys.exc_info()[1]
        error = None if error is self.raised_before else error
        if self.request is not None:
            self.end_twin(frame, error)
            return
        try:
            self.compare(frame, error)
        except Exception as problem:
            # Ours, which is no reason for the program to end.
            self.verdict.missed = repr(problem)
        finally:
            if self.keeper is not None:
                self.keeper.close()
                self.keeper = None
            session.watching = None

    def end_twin(self, frame: FrameType, error: BaseException | None) -> None:
        """Answer for this twin, and end it."""
        try:
            printed = self.streams.stop(show=False)
            undo.flush_files()
            changes = self.journal.changes()
            undo.put_back({path: before for path, (before, _) in changes.items()})
            graph = describe(self.variables(frame, error, printed, changes), self.session.own)
            report = self.session.report
            done = report.iterations if report is not None else self.counted.given
            within = frozenset(self.session.within)
            left = Left(graph, done, report.in_workers if report else 0, changes, within)
        except BaseException:
            os._exit(1)
        twin.answer(self.answers, left)

    def variables(
        self,
        frame: FrameType,
        error: BaseException | None,
        printed: dict[str, list[str]],
        changes: undo.Changes,
    ) -> dict[str, Any]:
        """All that is compared, by name."""
        found: dict[str, Any] = {**printed, "the exception": error}
        found["where it was raised"] = _line_of(error, frame.f_code.co_filename)
        if self.names is not None:
            variables = dict(frame.f_locals)
            found |= {name: each for name, each in variables.items() if name in self.names}
        for name, value in list(frame.f_globals.items()):
            if not (name.startswith("__") and name.endswith("__")):
                found[name if name not in found else f"global {name}"] = value
        for name, module in list(sys.modules.items()):
            if self.session.own(name) and vars(module) is not frame.f_globals:
                found[f"module {name}"] = module
        found["the state of random"] = _stands_for(random.getstate())
        # When the loop is the first to import it, it starts a stream of its own in each process.
        if hasattr(self.numpy_random, "get_state"):
            state = self.numpy_random.get_state()
            found["the state of numpy.random"] = _stands_for((state[1].tobytes(), *state[2:]))
        for descriptor, name in self.files.items():
            found[f"file {short(name, self.session.home)}"] = undo.digest_of(descriptor)
        for path, (_, after) in changes.items():
            found[f"file {short(path, self.session.home)}"] = after
        return found

    def compare(self, frame: FrameType, error: BaseException | None) -> None:
        """Compare what the twin left with what is here now; find the iteration if it differs."""
        seconds = time.perf_counter() - self.began
        printed = self.streams.stop(show=True)
        plain, verdict = self.plain, self.verdict
        if plain is None:
            verdict.missed = self.failure
            return
        for number in plain.within:
            self.session.verdicts[number].around = verdict.plan.line
        undo.flush_files()
        before = {path: state for path, (state, _) in plain.changes.items()}
        after = {path: undo.state_of(path) for path in before}
        changes = {path: (before[path], after[path]) for path in before}
        graph = describe(self.variables(frame, error, printed, changes), self.session.own)
        report = self.session.report or LoopReport("", 0, "")
        found = _first(plain, Left(graph, report.iterations, report.in_workers, changes))
        if report.in_workers or found is not None:
            verdict.compared += 1
            verdict.iterations += plain.iterations
        elif plain.iterations:
            raised = "its first iteration raised" if error is not None else "no worker could do it"
            verdict.serial = report.reason or raised
        if found is None:
            return
        verdict.difference = _told(found)
        try:
            longest = max(5 * seconds, _SEARCH_SECONDS)
            verdict.difference += self.iteration(plain, found.where, before, longest)
        finally:
            undo.put_back(after)

    # -- which iteration

    def iteration(
        self, plain: Left, where: str, before: dict[str, undo.State], seconds: float
    ) -> str:
        """Which iteration is the first that differs: the loop is run again, both ways, up to it."""
        until = time.perf_counter() + seconds
        same, differs = 0, plain.iterations
        try:
            found = self.probe(differs, before)
            if found is None:
                return "; not so when the loop was run once more, so it depends on timing"
            while differs - same > 1 and time.perf_counter() < until:
                middle = (same + differs) // 2
                here = self.probe(middle, before)
                if here is None:
                    same = middle
                else:
                    differs, found = middle, here
        except twin.TwinFailed as error:
            return f"; its iteration was not found: {error}"
        if differs - same > 1:
            return f"; first in one of the iterations {same} to {differs - 1}"
        difference, values = found
        text = f"; first in iteration {same}{values}"
        return text + ("" if difference.where == where else f": {_told(difference)}")

    def probe(self, count: int, before: dict[str, undo.State]) -> tuple[Difference, str] | None:
        """How plain and parallel differ after so many iterations, and the last one's values."""
        assert self.keeper is not None
        undo.put_back(before)
        a = self.keeper.left_by(PLAIN, count, before)
        undo.put_back(before)
        b = self.keeper.left_by(PARALLEL, count, before)
        found = _first(a, b)
        return (found, self.values(a)) if found is not None else None

    def values(self, left: Left) -> str:
        from allcores.verify.differ import _shown

        assert self.site.plan is not None
        names = [name for name in self.site.plan.varying if name in left.graph.roots]
        pairs = [f"{name} = {_shown(left.graph, left.graph.roots[name])}" for name in names]
        return f", with {', '.join(pairs)}" if pairs else ""


class NoWatch:
    """A watch in a process that knows nothing of the loop."""

    def through(self, iterable: Any) -> Any:
        """The iterable itself."""
        return iterable

    def ended(self) -> None:
        """Nothing."""


def _first(plain: Left, other: Left) -> Difference | None:
    names = [
        *plain.graph.roots,
        *(each for each in other.graph.roots if each not in plain.graph.roots),
    ]
    return next(differences(plain.graph, other.graph, names), None)


def _told(difference: Difference) -> str:
    where = difference.where
    line = re.match(r"`(stdout|stderr)\[(\d+)\]`$", where)
    if line is not None:
        where = f"line {int(line[2]) + 1} of {line[1]}"
    elif " " in where.partition(".")[0].partition("[")[0]:
        where = where.strip("`")
    named = difference._replace(where=where)
    return named.told("after the plain loop", "after the parallel one")


def _stands_for(state: object) -> str:
    return hashlib.blake2b(repr(state).encode(), digest_size=6).hexdigest()


def _line_of(error: BaseException | None, file: str) -> int | None:
    """The innermost line of the program's own file that an exception came through."""
    found = None
    traceback = error.__traceback__ if error is not None else None
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == file:
            found = traceback.tb_lineno
        traceback = traceback.tb_next
    return found
