"""Items that work changes, as a clean interpreter has them: copies, each known by its place."""

from __future__ import annotations

import pickle
from typing import Any, NamedTuple

from allcores.build.inplace import InPlace, ItemsJob
from allcores.build.items import ALWAYS, LATER, Items, Node
from allcores.engine import wire
from allcores.engine.interrupts import Interrupts


class ItemParts(NamedTuple):
    """What a worker has of the items."""

    items: list[Any]
    known: list[Any]
    """All objects that were looked at."""
    addresses: list[int]
    """Where these are in the user's process, by which it finds them."""
    of_item: list[list[tuple[Any, int, bool | None]]]
    """Of each item what may be changed: the object, which of its kinds, whether it always is; None:
    what it holds is looked at when it is needed."""
    shared_nodes: list[tuple[Any, int, bool | None]]
    shared: list[Any]
    parts_shared: int
    with_arrays: list[int]


def parts_of_items(items: Items) -> ItemParts:
    """What is to be sent of a loop's items."""

    def told(node: Node) -> tuple[Any, int, bool | None]:
        kinds = items.kinds(node.obj) or ()
        which = next(k for k, kind in enumerate(kinds) if kind is node.kind)
        return node.obj, which, None if node.then is LATER else node.then is ALWAYS

    known = list(items.known.values())
    return ItemParts(
        items.items,
        known,
        list(map(id, known)),
        [list(map(told, nodes)) for nodes in items.of_item],
        list(map(told, items.shared_nodes)),
        items.shared,
        items.parts_shared,
        sorted(items.with_arrays),
    )


def items_of(sent: tuple[Any, ...]) -> InPlace:
    """In a worker: the items again."""
    parts = ItemParts(*sent)
    items = Items.__new__(Items)
    items.items = parts.items
    items.index = {id(item): i for i, item in enumerate(parts.items)}
    items.known = {id(obj): obj for obj in parts.known}
    items.by_type = {}

    def node(obj: Any, which: int, always: bool | None) -> Node:
        kind = (items.kinds(obj) or ())[which]
        then = LATER if always is None else ALWAYS if always else kind.look(obj)
        return Node(obj, kind, then)

    items.of_item = [[node(*each) for each in nodes] for nodes in parts.of_item]
    items.shared_nodes = [node(*each) for each in parts.shared_nodes]
    items.shared, items.parts_shared = parts.shared, parts.parts_shared
    items.with_arrays = set(parts.with_arrays)
    place = InPlace.__new__(InPlace)
    place.items = items
    place.current, place.spoilt, place.interrupts = set(), False, Interrupts()
    numbers = {id(obj): home for obj, home in zip(parts.known, parts.addresses, strict=True)}
    place.encode = lambda message: wire.encode(message, numbers=numbers)
    return place


def decode_items(job: ItemsJob, body: Any, buffers: Any = ()) -> Any:
    """In a worker: what it is given, with its own items."""
    start, stop, _, last, alone = pickle.loads(body)
    return start, stop, job.holding.items.items[start:stop], last, alone
