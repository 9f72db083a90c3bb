"""Loops whose iterations change their own item: what a worker sends home, and how it is put there.

A worker's result is a `Done`: the iteration's record, what it has changed of its item, and its
temporaries. In the worker the item is put back as it was. In the user's process the changes are
put into the original objects in the iteration's own turn, just before its commits.
"""

from __future__ import annotations

import ast
import io
import pickle
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from allcores.build.contents import ARRAYS, CannotBring
from allcores.build.items import ALWAYS, Entangled, Items, Node
from allcores.build.job import ALONE, LoopJob, MustRunNatively, immutable, part_of
from allcores.build.reached import Reached
from allcores.build.travel import ATOMS, WHY_STUCK, stuck_ones
from allcores.build.watch import Watch
from allcores.engine import wire
from allcores.engine.interrupts import Interrupts
from allcores.engine.job import LEFT, Cut, Skipped
from allcores.engine.schedule import Batch
from allcores.plan.kinds import is_a
from allcores.plan.live import changed_objects, lookup, owners_of, plain_attribute
from allcores.plan.model import Plan
from allcores.plan.summaries import CALLED

MOST_SHARED = 20_000
"""How many objects that items share, and what they hold, are looked at after each chunk."""


SHARED = "what items share"


PER_BYTE = 1e-9
"""Seconds that it takes to bring home a byte of an array."""
UNCHANGED = 0.4
"""The part of that which it takes to see that nothing has changed."""


class Done(NamedTuple):
    """What an iteration leaves."""

    record: Any
    changes: Any
    """Pairs of an object's place among those of its item, and what has changed in it."""
    temporaries: dict[str, Any]
    problem: str = ""
    """Why the changes cannot be sent."""


class InPlace:
    """The items of one run, as both processes see them."""

    def __init__(
        self,
        plan: Plan,
        names: dict[str, Any],
        namespace: dict[str, Any],
    ) -> None:
        """names and namespace: the local and global variables around the loop."""
        self.plan = plan
        self.names, self.namespace = names, namespace
        self.vague = any(
            how == "perhaps" or (how == "inside" and "." not in root)
            for root, how in plan.item_changes.items()
        )
        """Whether reading the loop does not show which parts of the item are changed."""
        self.augmented = augmented_targets(plan)
        self.beside: list[tuple[str, Any]] = []
        """What work reads beside the items, by name."""
        self.current: set[int] = set()
        """What the iteration at work may change, by id."""
        self.spoilt = False
        """Whether the last item is not as it was before the iteration."""
        self.interrupts = Interrupts()
        self.encode: Callable[[Any], tuple[bytes, list[pickle.PickleBuffer]]] | None = None
        """In a worker that is no fork: what pickles results."""

    def look(
        self, items: list[Any], targets: Callable[[Any], dict[str, Any]], seconds: float
    ) -> None:
        """Look at all items, as they are before workers are made. Raises Entangled.

        targets: gives the loop's targets for an item. seconds: what it may take.
        """
        self.targets = targets
        self.items = Items(items, self.fixed, self.certain, seconds, self.passed())
        self.beside = self.items.fixed
        self.check()

    def fixed(self, classes: Iterable[type], functions: Iterable[Any]) -> list[tuple[str, Any]]:
        """What work reads beside its item. classes, functions: those of what items hold."""
        reached = Reached(self.plan, self.names, self.namespace, classes, functions)
        why = reached.changes(self.plan, self.namespace)
        if why is not None:
            raise Entangled(why)
        found = reached.sees()
        for full in sorted(self.plan.work_reads):
            path = full.removesuffix(CALLED)
            try:
                found.append((path, lookup(path, self.names, self.namespace)))
            except LookupError:
                head = path.partition(".")[0]
                found.append((head, self.names.get(head, self.namespace.get(head))))
        return found

    def passed(self) -> Iterator[tuple[str, Any]]:
        """The objects of which work reads, beside its item, an attribute that it may change."""
        changed = {part for root in self.plan.item_changes for part in root.split(".")[1:]}
        for path in sorted(self.plan.work_reads):
            owners = owners_of(path.removesuffix(CALLED), self.names, self.namespace)
            for depth, (_, owner, attribute) in enumerate(owners, 1):
                if self.vague or attribute in changed or any(has_code(owner, n) for n in changed):
                    yield ".".join(path.split(".")[:depth]), owner

    def certain(self, item: Any) -> list[Any]:
        """The arrays that `row *= ·` changes in every iteration."""
        if not self.augmented:
            return []
        found = [self.targets(item).get(name) for name in self.augmented]
        return [array for array in found if type(array).__name__ == "ndarray"]

    # -- before workers are made

    def check(self) -> None:
        """Raises Entangled where what is changed is, going by the source, not an item's own."""
        self.check_commits()
        for i, item in enumerate(self.items.items):
            values = self.targets(item)
            for root, how in self.plan.item_changes.items():
                if how != "perhaps":
                    self.check_root(i, values, root, how)
        for path in sorted(self.plan.stores_into):
            try:
                given = lookup(path, self.names, self.namespace)
            except LookupError:
                continue
            if type(given) is not list:
                raise Entangled(
                    f"`{path}` is no plain list, and may look at the items that it is given"
                )
        if self.vague:
            self.check_unseen()

    def check_root(self, i: int, values: dict[str, Any], root: str, how: str) -> None:
        name, *attributes = root.partition(":")[2].split(".")
        obj = values[name]
        if how == "bound":
            attributes.pop()
        try:
            for attribute in attributes:
                obj = plain_attribute(obj, attribute)
        except LookupError:
            return
        calls = {method for at, method in self.plan.item_calls if at == root}
        if calls and type(obj) not in ATOMS and self.items.kinds(obj) == ():
            raise Entangled(
                f"`{sorted(calls)[0]}` is called on an object of type {type(obj).__name__}, which "
                "holds nothing that could change, for what it does elsewhere"
            )
        if self.items.owner.get(id(obj), i) != i and self.items.kinds(obj) != ():
            raise Entangled(self.shared_by(i, ".".join([name, *attributes]), obj))

    def shared_by(self, i: int, path: str, obj: Any) -> str:
        """In words with what an item shares an object that is changed."""
        for k, item in enumerate(self.items.items):
            if k != i:
                where = self.items.path(k, obj)
                if not where.startswith("a part of"):
                    own = self.items.path(i, obj)
                    if own == f"item {i}" and where == f"item {k}":
                        return f"items {min(i, k)} and {max(i, k)} are the same object, and `{path}` is changed"
                    return f"`{path}` is changed, and {own} is also {where}"
        for name, fixed in self.items.fixed:
            if self.items.reaches(fixed, obj):
                return f"`{path}` is changed, and the loop also reads it through `{name}`"
        return f"`{path}` is changed, and it shares memory with other arrays that the loop reads"

    def check_commits(self) -> None:
        """What commits change must be nothing that work may see through an item."""
        known = self.items.known
        changed = {
            p: obj for p, (obj, _) in changed_objects(self.plan, self.names, self.namespace).items()
        }
        for path in self.plan.changed:
            for _, owner, _ in owners_of(path, self.names, self.namespace)[-1:]:
                changed.setdefault(f"{path}", owner)
        for path, obj in changed.items():
            if id(obj) in known and self.items.kinds(obj) != ():
                raise Entangled(
                    f"`{path}`, which the loop changes in order, is also reached from its items"
                )

    def check_unseen(self) -> None:
        """Where it cannot be read what is changed, all that items share must be comparable."""
        if self.items.parts_shared > MOST_SHARED:
            raise Entangled(
                "what is called on items cannot be read, and they share too many objects to see "
                "whether it changes these"
            )
        for obj, _ in self.items.odd:
            if self.items.owner[id(obj)] < -1 and not is_a(obj, type(sys)):
                raise Entangled(
                    f"what is called on items cannot be read, and they share an object of type "
                    f"{type(obj).__name__}, which it may change"
                )

    def seconds_home(self) -> float:
        """About how long it takes to send the arrays of all items, and to see if they changed."""
        large = [n for nodes in self.items.of_item for n in nodes if n.kind.late]
        sure = sum(int(n.obj.nbytes) for n in large if n.then is ALWAYS)
        others = sum(size_of(n) for n in large if n.then is not ALWAYS)
        return PER_BYTE * (sure + UNCHANGED * others)

    def changes_anything(self) -> bool:
        """Whether the items hold anything that can be changed in place."""
        return any(self.items.of_item)

    # -- in a worker

    def begin(self, item: Any) -> list[Node]:
        """The parts of an item that work on it may change."""
        index = self.items.index.get(id(item), -1)
        nodes = self.items.of_item[index] if index >= 0 else []
        self.current = {id(node.obj) for node in nodes}
        if index in self.items.with_arrays:
            nodes = self.items.seen(nodes)
        return nodes

    def changes_of(self, nodes: list[Node]) -> list[tuple[int, Any]]:
        """What has changed in these; they are put back. Raises CannotBring."""
        found: list[tuple[int, Any]] = []
        odd: list[Node] = []
        problem: CannotBring | None = None
        for k, (obj, kind, then) in enumerate(nodes):
            now = ARRAYS.glance(obj) if kind is ARRAYS else kind.look(obj)
            if then is ALWAYS:
                then = now
            elif kind.same(then, now):
                continue
            odd.append(nodes[k])
            try:
                found.append((k, kind.change(then, now)))
            except CannotBring as error:
                problem = error
        for obj, kind, then in odd:
            if kind is ARRAYS:
                self.spoilt = True  # its memory is on the way home
            else:
                kind.put_back(obj, then)
        if problem is not None:
            raise problem
        return found

    def own(self, y: Any) -> None:
        """As `job.own`, but a part of the iteration's item may be changed."""
        if id(y) in self.current or type(y) in ATOMS:
            return
        # Not by calling `own`: references are counted as one function sees them.
        view = type(y).__name__ == "ndarray" and y.base is not None
        if view or sys.getrefcount(y) > ALONE:
            raise MustRunNatively

    def immutable(self, y: Any, *part: Any) -> None:
        """As `job.immutable`, but a part of the iteration's item may be changed."""
        found = part_of(y, *part) if part else y
        if id(found) not in self.current:
            immutable(found)

    def job(self, *args: Any) -> ItemsJob:
        """The loop's work; the arguments are those of LoopJob."""
        job = ItemsJob(*args)
        job.begin(self)
        return job

    # -- in the user's process

    def opened(self, batch: Batch) -> Batch:
        """The batch with its records alone, and items that change as they are handed out."""
        items = Returned(self, batch.items, batch.results)
        return batch._replace(items=items, results=[done.record for done in batch.results])

    def put(
        self, index: int, changes: list[tuple[int, Any]], old: list[tuple[Node, Any]] | None
    ) -> None:
        """Put an iteration's changes into its item. old: is given what the parts held."""
        nodes = self.items.of_item[index]
        for k, change in changes:
            node = nodes[k]
            if old is not None:
                then = node.kind.look(node.obj) if node.kind.late else node.then
                old.append((node, then))
            node.kind.put(node.obj, change)


def size_of(node: Node) -> int:
    """The bytes of an array, or about those of a frame."""
    return int(node.obj.nbytes if node.kind is ARRAYS else 24 * node.obj.size)


def has_code(obj: Any, name: str) -> bool:
    """Whether binding this attribute of an object runs code."""
    kind: Any = type(obj)
    found = next((vars(c)[name] for c in kind.__mro__ if name in vars(c)), None)
    slot = found is None or is_a(found, types.MemberDescriptorType)
    return kind.__setattr__ is not object.__setattr__ or (not slot and hasattr(found, "__set__"))


def augmented_targets(plan: Plan) -> list[str]:
    """Targets that every iteration changes by `row *= ·`."""
    names = [n for n in plan.in_place if plan.item_changes.get(f"$item:{n}") == "inside"]
    return [
        name
        for name in names
        if any(
            isinstance(stmt, ast.AugAssign)
            and isinstance(stmt.target, ast.Name)
            and stmt.target.id == name
            for stmt in plan.node.body
        )
    ]


class ItemsJob(LoopJob):
    """A loop's work on items that it changes."""

    holding: InPlace

    def begin(self, place: InPlace) -> None:
        """Have it work on these items."""
        self.spoilt: set[int] = set()
        """Items, by id, that this worker has left otherwise than it found them."""
        self.holding = place
        self.inner = self.work
        self.work = self.work_on

    def work_on(self, item: Any) -> Any:
        """One iteration."""
        holding = self.holding
        if id(item) in self.spoilt:
            return Done(None, (), {}, "an iteration is asked for again, and has changed arrays")
        holding.spoilt = False
        try:
            nodes = holding.begin(item)
            holding.spoilt = True
            record = self.inner(item)
            if record is LEFT:
                return LEFT
            if type(record) is Skipped:
                return Done(record, (), {})
            holding.spoilt = False
            temporaries = self.take()
            return Done(record, holding.changes_of(nodes), temporaries)
        except CannotBring as error:
            return Done(None, (), {}, f"an iteration's changes cannot be sent: {error}")
        finally:
            if holding.spoilt:
                self.spoilt.add(id(item))

    def note_temporaries(self) -> None:
        """They go along with each iteration."""

    def enter_worker(self) -> None:
        super().enter_worker()
        self.changes_items = True
        items = self.holding.items
        self.whole = items.parts_shared <= MOST_SHARED
        if self.whole:
            items.look_at_shared()
        else:
            self.shared = Watch([(SHARED, obj) for obj in items.shared], data_only=True)

    def changed(self) -> str | None:
        found = super().changed()
        if found is not None:
            return found
        if self.whole:
            return None if self.holding.items.shared_is_same() else SHARED
        change = self.shared.change()
        return change.in_words() if change is not None else None

    def pack(
        self, results: list[Any], last: bool, cut: Cut | None
    ) -> tuple[dict[str, Any] | None, Cut | None]:
        self.take()
        odd = self.odd_output(cut is not None)
        if odd is not None:
            return None, odd
        for k, done in enumerate(results):
            if done.problem:
                return None, Cut(k, "unshippable", done.problem)
        # One list must be all that holds the values, for references are counted.
        together = list(results)
        results.clear()
        stuck = stuck_ones(together, self.nothing_else, len(together), self.holding.items.known)
        results.extend(together)
        if stuck:
            return None, Cut(min(stuck), "unshippable", WHY_STUCK)
        return None, None

    def nothing_else(self, done: Any, atoms: frozenset[type]) -> bool:
        """Whether an iteration leaves nothing but atoms."""
        return not (done.changes or done.temporaries) and self.simple(done.record, atoms)

    def lighten(self, extra: Any, empty: bool) -> Any:
        return extra

    # -- over the wire

    def encode(self, message: Any) -> tuple[bytes, list[pickle.PickleBuffer]]:
        """As `wire.encode`; what was there before the loop goes by its id."""
        if self.holding.encode is not None:
            return self.holding.encode(message)
        return wire.encode(message, self.holding.items.known)

    def encode_items(self, message: Any) -> tuple[bytes, list[pickle.PickleBuffer]]:
        """What a worker is given that has the items, if not these very ones: their places."""
        start, stop, _, last, alone = message
        return pickle.dumps((start, stop, None, last, alone)), []

    def decode(self, body: Any, buffers: Any) -> Any:
        """The other side of `encode`."""
        return _Finder(io.BytesIO(body), self.holding.items.known, buffers).load()


class _Finder(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, known: dict[int, Any], buffers: Any) -> None:
        super().__init__(stream, buffers=buffers)
        self.known = known

    def persistent_load(self, key: int) -> Any:
        return self.known[key]


class Returned(Sequence[Any]):
    """A batch's items, each changed as its iteration has changed it when it is handed out."""

    def __init__(self, place: InPlace, items: Sequence[Any], done: list[Done]) -> None:
        self.place, self.items, self.done = place, items, done
        self.old: list[tuple[Node, Any]] = []
        """What the parts of the last item held that have been changed."""
        self.given = 0
        """How many items have been handed out, or were about to be."""

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Returned(self.place, self.items[index], self.done[index])
        return self.items[index]

    def __iter__(self) -> Iterator[Any]:
        place = self.place
        index = place.items.index
        for item, done in zip(self.items, self.done, strict=True):
            with place.interrupts.held_back():
                self.old = []
                if done.changes:
                    # Without commits there is nothing that could fail half way.
                    old = self.old if place.plan.steps else None
                    place.put(index[id(item)], done.changes, old)
                self.given += 1
            yield item

    def take_back(self) -> None:
        """Have the item that was handed out last hold what it held before its iteration."""
        for node, then in self.old:
            node.kind.put_back(node.obj, then)
        self.old = []

    def temporaries(self, count: int) -> dict[str, Any]:
        """The temporaries that the first so many iterations leave."""
        found: dict[str, Any] = {}
        for done in self.done[:count]:
            found.update(done.temporaries)
        return found
