"""A loop's work as the engine runs it: temporaries, output and what may travel."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING, Any

from allcores.build import travel
from allcores.build.outside import Outside
from allcores.build.runtime import Code, Functions
from allcores.build.settings import Flags
from allcores.build.travel import ATOMS, WHY_STUCK, stuck_ones
from allcores.build.watch import Watch, watch_items
from allcores.engine.job import LEFT, NOT_KEPT, Cut, Skipped
from allcores.engine.memory import passed
from allcores.engine.own_streams import OwnStreams
from allcores.engine.randomness import SharedStreams, new_clock_sequence
from allcores.engine.relay import FORGET, Relay, put_out
from allcores.engine.shipment import Shippable
from allcores.engine.wire import encode
from allcores.plan.kinds import is_a
from allcores.plan.live import plain_attribute
from allcores.plan.ownership import is_own_module

if TYPE_CHECKING:
    from allcores.engine.shipment import Exchange, Shipment


class MustRunNatively(BaseException):
    """Raised in a worker by an iteration that the user's own loop body has to do."""


def _count(y: Any) -> int:
    return sys.getrefcount(y)


def _calibrate() -> int:
    y: list[int] = []
    return _count(y)


FLAGS = "<decimal flags>"
"""The name, no variable's, under which flags go along with results."""
BOUND = "<bound>"
"""And that for which of the temporaries in `LoopJob.kept` each iteration has bound."""
UNSURE = "<unsure>"
"""And that which says that some of the names may be bound by an iteration that is not sent only."""
FORGOT = "<warnings forgotten>"
"""And that which says that warnings once shown may be shown again: `catch_warnings` was used."""
IMPORTED = "<imported>"
"""And that for modules of libraries that work has imported first, which are then imported here as well."""
ALONE = _calibrate()
"""The reference count of an object that one variable holds, as a helper sees it."""

HELD_BY_ONE = 3
"""That of what one object holds, while a variable here does as well, as `getrefcount` sees it."""


def own(y: Any) -> None:
    """Go on only if nobody but the iteration's variable holds `y`."""
    if type(y) in ATOMS:
        return
    np = sys.modules.get("numpy")
    if np is not None and is_a(y, np.ndarray) and y.base is not None:
        raise MustRunNatively
    if np is not None and is_a(y, np.void):
        # A row of a structured array looks at it; a copy of one has an array of its own.
        base = y.base
        if base is not None and (base.base is not None or sys.getrefcount(base) > HELD_BY_ONE):
            raise MustRunNatively
    if sys.getrefcount(y) > ALONE:
        raise MustRunNatively


_NOTHING = object()


def immutable(y: Any, attr: Any = _NOTHING, key: Any = None) -> None:
    """Go on only if `y` (or an attribute or item of it) cannot be changed in place."""
    if attr is not _NOTHING:
        y = part_of(y, attr, key)
    if type(y) not in ATOMS and type(y) is not tuple and type(y) is not frozenset:
        np = sys.modules.get("numpy")
        # A row of a structured array is a view of it.
        if np is None or not is_a(y, np.generic) or is_a(y, np.void):
            raise MustRunNatively


def part_of(owner: Any, attr: str | None, key: Any) -> Any:
    """An attribute or item, found without running user code."""
    try:
        if attr is not None:
            if any(hasattr(c.__dict__.get(attr), "fget") for c in type(owner).__mro__):
                raise MustRunNatively
            return plain_attribute(owner, attr)
        if is_a(owner, dict):
            return dict.__getitem__(owner, key)
        if type(owner) in (list, tuple):
            return owner[key]
    except (LookupError, TypeError):
        return None  # what is missing raises, or is made anew, and either is as it should be
    np = sys.modules.get("numpy")
    if np is not None and is_a(owner, (np.ndarray, np.void)) and not owner.dtype.hasobject:
        return None
    raise MustRunNatively


class LoopJob(Shippable):
    """Implements `engine.Job` for the functions made of a Plan."""

    def __init__(
        self,
        functions: Functions,
        namespace: dict[str, Any],
        global_names: list[str],
        passing_names: list[str],
        kept: set[str],
        traced: bool,
        watched: SharedStreams,
        outside: Outside,
        streams: OwnStreams | None,
        first: int,
        on_error: str = "raise",
    ) -> None:
        """watched: the states of random streams. outside: what work can reach that outlives
        iterations. streams: those that each iteration has of
        its own. first: the number in the loop of the first one. on_error: "skip" or "collect" has
        an iteration that raises stand among the results as `Skipped`.
        """
        self.functions = functions
        self.streams, self.first, self.place = streams, first, first
        self.on_error = on_error
        self.last_good: dict[str, Any] = {}
        """The temporaries that the iterations of the chunk left which did not raise."""
        self.noted = on_error != "raise"
        """Whether temporaries are taken away after each iteration."""
        self.bound: list[tuple[str, ...]] | None = None
        """For each iteration of the chunk, which of `kept` it has bound; None: nobody asks."""
        self.set_up()
        self.namespace = namespace
        self.global_names = global_names
        self.passing_names = passing_names
        self.kept = kept
        self.not_sent: frozenset[str] = frozenset()
        """Temporaries that cannot be sent; the last iteration is done where they are wanted."""
        self.bound_late: frozenset[str] = frozenset()
        """Those that an iteration binds first after a commit."""
        self.leaves_last: frozenset[str] = frozenset()
        """As `not_sent`, where the last iteration need not be done in a worker before."""
        self.traced = traced
        self.watched = watched
        self.outside = outside
        self.relay = Relay(namespace)
        self.seen: Any = None
        self.watch: Watch
        self.items: Watch | None = None
        self.changes_items = False
        """Whether work may change the items that it is given: somebody brings the changes home."""
        self.flags: Flags
        self.loaded, self.imported = 0, list[str]()
        """How many modules there were before the chunk; those of libraries that have come since."""
        self.forgot = False
        """Whether the chunk has had warnings forgotten that were shown once, and said nothing else."""
        self.code: Code
        self.values: dict[str, Any]
        """What the functions were made of: code and the values of variables around the loop."""

    def ship(self) -> tuple[Shipment, Exchange]:
        from allcores.build.ship_loop import ship_loop

        return ship_loop(self)

    def set_up(self) -> None:
        """Put together what does an iteration."""
        self.work = self.functions.work if self.streams is None else self.draw_and_work
        if self.on_error != "raise":
            self.attempt, self.work = self.work, self.work_or_skip
        elif self.bound is not None:
            self.attempt, self.work = self.work, self.work_and_note

    def output(self, where: Any, entry: Any = None) -> None:
        """In a worker's record: put what was said there. In a commit: say it.

        entry: what comes into the record next; `...` where that is still to be worked out.
        """
        if type(where) is list:
            if self.relay.pieces:
                where.extend((-1, number, what) for number, what in self.relay.take())
            return
        put_out(where[1], where[2], self.namespace)

    def said(self, state: Any = None, at: int = 0, value: Any = None, pieces: Any = ()) -> Any:
        """In a worker: what was said since the last record. In a commit: say it; gives the value."""
        if state is None:
            return tuple(self.relay.take()) if self.relay.pieces else ()
        for number, what in pieces:
            state["__spoke"] = at
            put_out(number, what, self.namespace)
        return value

    def enter_worker(self) -> None:
        self.relay.install()
        self.take()
        self.watch = self.outside.look(frozenset((*self.global_names, *self.passing_names)))
        self.flags = Flags()
        new_clock_sequence()
        self.seen = self.watched()

    def leave_worker(self) -> None:
        self.relay.uninstall()

    def starts_at(self, place: int) -> None:
        """The number of the next chunk's first item, among those that workers do."""
        self.place = self.first + place

    def draw_and_work(self, item: Any) -> Any:
        """Work that draws from its iteration's own streams."""
        assert self.streams is not None
        self.streams.begin(self.place)
        self.place += 1
        return self.functions.work(item)

    def work_or_skip(self, item: Any) -> Any:
        """Work of which it does no harm if it raises."""
        said = len(self.relay.pieces)
        try:
            result = self.attempt(item)
        except Exception as error:
            if passed(error):
                raise
            self.take()
            del self.relay.pieces[said:]
            if self.bound is not None:
                self.bound.append(())
            if self.on_error == "skip":
                return Skipped(None)
            from allcores.engine.errors import pack

            return Skipped(pack(error))
        if result is not LEFT:
            self.note_temporaries()
        return result

    def note_temporaries(self) -> None:
        """An iteration is over, which did not raise: the next one may."""
        found = self.take()
        self.last_good.update(found)
        if self.bound is not None:
            self.bound.append(tuple(name for name in found if name in self.kept))

    def note_bound(self) -> None:
        """Have the names go along that each iteration has bound, where that differs."""
        if not self.kept:
            return
        self.noted, self.bound = True, []
        self.set_up()

    def work_and_note(self, item: Any) -> Any:
        """Work, and what it has bound is noted."""
        result = self.attempt(item)
        if result is not LEFT:
            self.note_temporaries()
        return result

    def before_chunk(self) -> None:
        self.loaded, self.imported = len(sys.modules), []
        self.relay.before_chunk()
        self.take()
        self.last_good = {}
        if self.bound is not None:
            self.bound = []

    def look_at(self, chunk: list[Any]) -> None:
        """Keep what the items hold that are worked on next."""
        self.items = None if self.changes_items else watch_items(chunk)

    def look_between(self) -> Cut | None:
        """Whether the iterations so far have changed anything."""
        found = self.changed()
        return Cut(0, "changed", found) if found is not None else None

    def take(self) -> dict[str, Any]:
        """The temporaries that are bound, taken away from the worker."""
        found = self.functions.take()
        for name in self.global_names:
            if name in self.namespace:
                found[name] = self.namespace.pop(name)
        for name in self.passing_names:
            self.namespace.pop(name, None)
        return found

    def after_chunk(
        self, results: list[Any], last: bool, cut: Cut | None
    ) -> tuple[Any, Cut | None]:
        extra, more = self.pack(results, last, cut)
        apart: dict[str, Any] = {}
        raised = self.flags.raised_since()
        if raised:
            apart[FLAGS] = raised
        if self.forgot:
            self.forgot, apart[FORGOT] = False, True
        if self.imported:
            apart[IMPORTED] = self.imported
        if self.bound is not None:
            apart[BOUND] = self.bound[: len(results)]
        return ({**(extra or {}), **apart} if apart else extra), more

    def pack(
        self, results: list[Any], last: bool, cut: Cut | None
    ) -> tuple[dict[str, Any] | None, Cut | None]:
        """Make a chunk's results ready to travel, if they may; gives what goes along with them."""
        temporaries = self.take()
        if self.noted:
            temporaries, self.last_good = self.last_good, {}
        for name in self.not_sent:
            temporaries.pop(name, None)
        odd = self.odd_output(cut is not None)
        if odd is not None:
            return None, odd
        if cut is not None and results and not self.noted:
            # The iteration that stopped has put its own variables over those of the last good one,
            # and binds them again at home unless a commit raises there before. In that case, and
            # where a result may share objects with them, the good one is done natively as well.
            late = not self.bound_late.isdisjoint(temporaries)
            if late or any(type(v) not in ATOMS for v in temporaries.values()):
                results.pop()
                names = {"": list(temporaries), UNSURE: True}
                extra = ship(results, {}, self.simple)
                return names, Cut(len(results) if extra is not None else 0, "shared")
        extra = ship(results, temporaries, self.simple)
        wanted = self.not_sent and not self.leaves_last
        if extra is None:
            return None, Cut(0, "unshippable", WHY_STUCK)
        if last and ("" in extra or wanted):
            return self.take_last(results, extra)
        return extra, None

    def take_last(self, results: list[Any], extra: Any) -> tuple[Any, Cut | None]:
        """The last iteration's variables are wanted, and can be had only by doing it at home."""
        good = [k for k, result in enumerate(results) if type(result) is not Skipped]
        if not good:
            return extra, None
        del results[good[-1] :]
        return self.lighten(extra, True), Cut(len(results), "shared")

    def without_last(self, results: list[Any], extra: Any) -> tuple[Any, Cut | None]:
        """Take the last result away where variables that cannot be pickled with it may share parts
        of it: one who works it again finds other objects."""
        if (extra or {}).get("") and any(not self.simple(r, ATOMS) for r in results[-1:]):
            return self.take_last(results, extra)
        return extra, None

    def encode_given(self, message: Any) -> tuple[bytes, list[pickle.PickleBuffer]]:
        """What a fork is given that does not have the items."""
        return travel.encode(message, message[2], items=True)

    def lighten(self, extra: Any, empty: bool) -> Any:
        if not extra:
            return extra
        kept = FLAGS, BOUND, FORGOT, IMPORTED, UNSURE
        apart = {name: extra.pop(name) for name in kept if name in extra}
        left_out = list(extra.pop("", ()))
        stuck = [name for name, value in extra.items() if empty or not _encodes(value)]
        # What a stuck one shares with others must still be shared, so that all are found anew.
        light = {n: v for n, v in extra.items() if n not in stuck and (not stuck or _atomic(v))}
        light[""] = left_out + [n for n in extra if n not in light]
        return {**light, **apart}

    # -- in the user's process, for a journal

    def apart(self, results: list[Any], extra: Any) -> list[Any]:
        """Of what came along with these results, that which is to be kept with each; None: nothing."""
        extra = extra or {}
        bound, flags = extra.get(BOUND, ()), extra.get(FLAGS)
        found: list[Any] = [{FLAGS: flags} if flags else None for _ in results]
        for k, names in enumerate(bound[: len(results)]):
            if names:
                found[k] = {**(found[k] or {}), BOUND: names}
        for k, result in enumerate(results):
            if type(result) is Skipped:
                found[k] = NOT_KEPT
        return found

    def together(self, results: list[Any], apart: list[Any]) -> Any:
        """What would have come along with results that were kept with these."""
        bound = [(each or {}).get(BOUND, ()) for each in apart]
        flags = frozenset[str]().union(*((each or {}).get(FLAGS, ()) for each in apart))
        found: dict[str, Any] = {FLAGS: flags} if flags else {}
        if self.kept:
            found.update({"": sorted(set().union(*bound)), BOUND: bound})
        return found or None

    def simple(self, result: Any, atoms: frozenset[type]) -> bool:
        """Whether an iteration's record holds nothing but atoms."""
        if type(result) is Skipped:
            return True
        if self.traced:
            return atoms.issuperset(map(type, chain.from_iterable(result)))
        if self.functions.lift_count > 1:
            return atoms.issuperset(map(type, result))
        return type(result) in atoms

    def sent(self, result: Any) -> list[Any]:
        """The values that an iteration's result holds, in the order they were found."""
        if self.traced:
            late = self.functions.late
            entries = [entry for entry in result or () if entry[0] >= 0]
            return [v for e in entries for v in (e[1::2] if e[0] in late else e[1:])]
        if self.functions.lift_count == 1:
            return [result]
        return list(result or ())

    def changed(self) -> str | None:
        """What the chunk has changed that outlives it, in words."""
        change = self.watch.change()
        if change is not None:
            return change.in_words()
        if self.items is not None and self.items.change() is not None:
            return "what the loop runs over"
        return None

    def modules_since(self) -> list[str]:
        """The program's modules that the chunk has imported first: they run where they are imported,
        and what they hold is not looked at."""
        if len(sys.modules) == self.loaded:
            return []
        new = [n for n in list(sys.modules)[self.loaded :] if not n.startswith("allcores.")]
        own = [n for n in new if is_own_module(n)]
        self.imported = [n for n in new if n not in own]
        return own

    def odd_output(self, stopped: bool) -> Cut | None:
        """What cannot be put in its place: the chunk has to be done in another way.

        stopped: an iteration of the chunk is done again, and what it has said is dropped.
        """
        new = self.modules_since()
        if new:
            return Cut(0, "imported", " and ".join(f"`{name}`" for name in new))
        state = self.watched()
        if state != self.seen:
            self.seen = state
            return Cut(0, "drawn")
        found = self.changed()
        if found is not None:
            return Cut(0, "changed", found)
        if self.relay.leaked():
            return Cut(0, "unshippable", "something was written past Python's own streams")
        odd = self.relay.oddity()
        if odd:
            self.relay.take()
            return Cut(0, "unshippable", odd)
        if self.relay.pieces:
            said = self.relay.take()
            if not self.traced:
                # Libraries use `catch_warnings` at every turn, as `subprocess` does. What work has
                # done outside the program is not to be done once more for that.
                if any(number != FORGET for number, _ in said):
                    return Cut(0, "spilled")
                self.forgot = True
            elif not stopped and any(number != FORGET for number, _ in said):
                # In a `finally` after `continue`, when the record was made already.
                return Cut(0, "unshippable", "something is said as an iteration ends")
        return None


def _encodes(value: Any) -> bool:
    try:
        encode(value)
    except Exception:
        return False
    return True


def _atomic(value: Any) -> bool:
    return type(value) in ATOMS


def ship(
    results: list[Any],
    temporaries: dict[str, Any],
    simple: Callable[[Any, frozenset[type]], bool],
) -> dict[str, Any] | None:
    """What goes along with the results; None when the results themselves cannot travel.

    Temporaries go along where they can; the names of the others do, under "".
    """
    names = list(temporaries)
    count = len(results)
    # One list must be all that holds the values, for references are counted.
    together = [*results, *temporaries.values()]
    results.clear()
    temporaries.clear()
    left_out: list[str] = []
    while stuck := stuck_ones(together, simple, count):
        gone = [k for k in stuck if k >= count]
        if not gone:
            results.extend(together[:count])
            return None
        for k in sorted(gone, reverse=True):
            left_out.append(names.pop(k - count))
            del together[k]
    results.extend(together[:count])
    extra = dict(zip(names, together[count:], strict=True))
    if left_out:
        extra[""] = left_out
    return extra
