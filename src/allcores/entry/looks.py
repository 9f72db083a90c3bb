"""What one entry of a loop knows, and its looks at what iterations should leave alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import perf_counter
from types import FrameType
from typing import TYPE_CHECKING, Any

from allcores.ahead import Ahead
from allcores.build.job import LoopJob
from allcores.build.reached import Reached
from allcores.contest import Contest
from allcores.engine import per_worker
from allcores.engine.interrupts import Interrupts
from allcores.engine.own_streams import OwnStreams
from allcores.engine.randomness import SharedStreams, is_stream
from allcores.engine.ways import Choice
from allcores.entry.plans import locals_of
from allcores.holders import NOBODY
from allcores.loop import LoopReport
from allcores.plan.computed_names import BY_NAME_KINDS, asks_by_name, function_asks_by_name
from allcores.plan.live import changed_objects, owners_of
from allcores.settings import Settings
from allcores.sites import Reading, Site
from allcores.skipping import Failure
from allcores.steady import Steady
from allcores.streams import streams_at
from allcores.variables import variables_of
from allcores.worth import Stay

if TYPE_CHECKING:
    from allcores.build.inplace import InPlace
    from allcores.build.outside import Outside
    from allcores.build.runtime import Functions
    from allcores.build.watch import Watch
    from allcores.entry.resume import Resume

ITEM = "the item"
HOW_CHANGED = (
    "is changed by something that the loop calls, which reading it does not show; have that return "
    "the new value, and change it in the loop's own body"
)


def parts_of(item: Any) -> tuple[Any, ...]:
    """An item, or its parts where it is a tuple of several."""
    return item if type(item) is tuple else (item,)


class Looks:
    """One entry of a loop: what is known of it, and looks at what it can reach."""

    def __init__(
        self,
        site: Site,
        reading: Reading,
        frame: FrameType,
        iterable: Any,
        settings: Settings,
        streams: OwnStreams | None = None,
        failures: list[Failure] | None = None,
    ) -> None:
        self.streams = streams
        self.site, self.frame, self.settings = site, frame, settings
        self.plan, self.code = reading
        self.iterable = iterable
        self.began = perf_counter()
        self.first_own = per_worker.newest()
        self.report = LoopReport(site.filename, site.line, self.plan.verdict)
        self.done = 0
        self.interrupts = Interrupts()
        self.variables = variables_of(self.plan, frame)
        self.place: InPlace | None = None
        """The items, where work changes them."""
        self.unchanging = False
        """Whether there is nothing in the items that could be changed."""
        self.resume: Resume | None = None
        """What the loop has of a journal."""
        self.ended_early = False
        """Whether the loop was left at an item, or by an exception."""
        self.left_by_commit = False
        self.failures = [] if failures is None else failures
        """What was left out because it raised, where that is collected."""
        self.commits_skipped: list[int] = []
        """The numbers of those iterations of the batch of which a commit raised and was skipped."""
        self.seen: BaseException | None = None
        """What the loop's own body raised last, in the iteration that is watched."""
        self.watched_for: tuple[int, Any, str] = 0, None, ""
        self.commit_seconds = self.tasted = 0.0
        self.job: LoopJob
        self.choice: Choice
        """How workers are made."""
        self.also: list[Any] = []
        """What clean interpreters are to be given beside the work, for items hold it."""
        self.iterator: Any = None
        self.stay: Stay
        self.contest = Contest(settings.workers, site.faster if site.entries % 16 else "")
        self.functions: Functions
        self.fixed: list[str] = []
        self.ahead: Ahead | None = None
        self.streamed = False
        """Whether the input is too long for a list."""
        self.holders = NOBODY
        self.held = False
        """Whether the program holds an iterator that the loop uses up."""
        self.peeked: list[Any] = []
        """The item that was read before workers are brought in."""
        self.steady = Steady(None)
        self.blind = False
        """Whether commits call what may change anything, for all that is known."""
        self.entwined = ""
        """Why items cannot be read ahead."""
        self.left_over: tuple[Any, int | None] = None, None
        """What was left to the plain loop, and how many items."""
        self.begun = 0
        """How many items the plain loop would have taken by now, if it ends by an exception."""
        self.clocked_time = self.waited_time = 0.0
        """Of what runs here: seconds of which it is known how many it waited, and these."""
        self.most_workers = 0
        """The most workers that there were at a time."""
        self.held_from: int | None = None

    def look_around(self) -> Callable[[], Watch] | None:
        """Looks at what iterations leave alone, commits included; None: that cannot be told."""
        plan, namespace = self.plan, self.frame.f_globals
        # Items may be reached in many ways.
        if plan.in_place or any(path.startswith("$") for path in plan.changed):
            return None

        def look() -> Watch:
            names = {} if plan.module_level else locals_of(self.frame)
            changed = [obj for obj, _ in changed_objects(plan, names, namespace).values()]
            owners = [owners_of(path, names, namespace)[-1:] for path in plan.changed]
            ends = {path.rpartition(".")[2] for path in plan.changed}
            own = {*plan.parent_names, *plan.temporaries, *plan.varying, *plan.deleted}
            return self.look_at_fixed(
                names,
                frozenset(own | ends),
                spared=[*changed, self.iterable, self.frame],
                loose=[owner for found in owners for _, owner, _ in found],
            )

        return look

    def unsteady(self) -> str | None:
        """What iterations that ran here have changed, in a sentence."""
        if not self.steady.changed:
            return None
        self.site.problem = f"{self.steady.changed} {HOW_CHANGED}"
        return self.site.problem

    def changed_here(self, fixed: Watch | None) -> str | None:
        """What was changed here that workers go by, in a sentence."""
        change = fixed.change() if fixed is not None else None
        if change is None:
            return None
        self.site.problem = f"{change.in_words()} {HOW_CHANGED}"
        return self.site.problem

    def watchable(self, values: dict[str, Any]) -> list[tuple[str, Any]]:
        """What work may reach, by the names it begins at."""
        return self.outside(values).roots()

    def outside(self, values: dict[str, Any]) -> Outside:
        """What outlives the iterations, as far as work may reach it."""
        from allcores.build.outside import Outside, of_modules

        plan, namespace = self.plan, self.frame.f_globals
        names = sorted(plan.outer_reads - plan.parent_names)
        beside: list[tuple[str, Any]] = []
        elsewhere: list[tuple[str, Any]] = []
        if self.place is not None:
            # What only commits read may hold the items, which workers change.
            read = {path.partition(".")[0].removesuffix("()") for path in plan.work_reads}
            names = [n for n in names if n in read]
            beside = self.place.beside
        elif self.gets_by_name(values):
            # But for what the loop itself changes.
            own = {*plan.parent_names, *plan.temporaries, *plan.varying, *plan.deleted}
            own |= {path.partition(".")[0] for path in plan.changed}
            elsewhere = [*of_modules(namespace, [n for n in namespace if n not in own])]
        streams = [obj for obj in self.read_values(values) if is_stream(obj)]
        spared = [*streams, *self.own_streams()]
        return Outside(names, values, namespace, beside, spared, self.home(), elsewhere)

    def gets_by_name(self, values: dict[str, Any]) -> bool:
        """Whether work asks objects for what it knows by name alone: it may come by any property."""
        plan = self.plan
        if plan.gets_by_name is None:
            read = self.read_values(values)
            called = Reached.by_values(read).functions.values()
            plan.gets_by_name = (
                any(type(value) in BY_NAME_KINDS for value in read)
                or asks_by_name(plan.work_nodes())
                or any(map(function_asks_by_name, called))
            )
        return plan.gets_by_name

    def look_at_fixed(
        self,
        values: dict[str, Any],
        apart: frozenset[str],
        spared: Iterable[Any] = (),
        loose: Iterable[Any] = (),
    ) -> Watch:
        """A look at all that work may reach. What may change: as for `Watch`."""
        return self.outside(values).look(apart, spared, loose)

    def home(self) -> str:
        """The name of the module that the loop stands in."""
        return str(self.frame.f_globals.get("__name__", "__main__"))

    def read_values(self, values: dict[str, Any]) -> list[Any]:
        """The values that the body reads, of variables around it and of globals."""
        namespace = self.frame.f_globals
        return [*values.values(), *(namespace.get(n) for n in self.plan.outer_reads)]

    def own_streams(self) -> list[Any]:
        """The random streams that each iteration has of its own, or seeds."""
        return streams_at([*self.plan.draws, *self.plan.seeded], self.plan, self.frame)

    def watcher(self, values: dict[str, Any]) -> SharedStreams:
        """A look at the random streams that iterations could share."""
        found = [c for c in self.read_values(values) if is_stream(c)]
        return SharedStreams(found, self.own_streams())
