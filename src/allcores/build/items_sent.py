"""What a worker that is no fork is given and gives, where it has to do with what was sent before.

An object that went along with the job is named by its number when an item holds it as well: the
worker has it already, and `item.kind is KIND` holds there too. Classes and functions that the job
did not bring are asked for (`CannotShip.also`), for the worker has to compare them first.
"""

from __future__ import annotations

import io
import pickle
import types
from collections import deque
from typing import Any

from allcores.build import arrival
from allcores.build.by_name import found_by_name
from allcores.build.digest import is_own
from allcores.build.sender import Sender, may_hold_nan, nan_id
from allcores.build.stored import Reduced
from allcores.build.travel import Asking, atoms, has_hash_of_this_run, importable, keeps_order
from allcores.engine import wire
from allcores.engine.shipment import CannotShip

CONTAINERS = frozenset({list, dict, set, bytearray, deque, object})
"""Types of objects that may be known again; beside them the program's own."""


class Sent:
    """What has gone to the worker with a job, and what goes there after it."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        self.numbers: dict[int, int] = {}
        """Of objects that both sides know again, by id."""
        self.local: dict[int, Any] = {}
        """Of these, classes and functions that cannot be found by their names, by number."""
        self.alive: list[Any] = []
        for key, (number, obj) in sender.memo.copy().items():
            kind = type(obj)
            code = issubclass(kind, (type, types.FunctionType))
            if code or kind in CONTAINERS or kind in sender.shapes:
                if code and id(obj) in sender.refs:
                    continue
                self.numbers[key] = number
                self.alive.append(obj)
                if code and not importable(obj):
                    self.local[number] = obj

    def encode(self, message: Any) -> tuple[bytes, list[pickle.PickleBuffer]]:
        """Pickle what a worker is given. Raises CannotShip, and what pickling raises."""
        if _plain(message[2]):
            body, big = wire.encode(message)
            if not may_hold_nan(body):
                return body, big
        big = []
        stream = io.BytesIO()
        sender = ItemSender(stream, wire.apart(big), self)
        sender.dump(message)
        for _, obj in sender.memo.copy().values():
            if type(obj) in (set, frozenset) and len(obj) > 1:
                if any(map(has_hash_of_this_run, obj)) or not keeps_order(obj):
                    raise CannotShip(
                        "an item holds a set, and in another order in a clean interpreter; use a "
                        "list, or a dict"
                    )
        return stream.getvalue(), big

    def decode(self, body: Any, buffers: Any) -> Any:
        """What a worker gives."""
        if not self.local:
            return pickle.loads(body, buffers=buffers)
        reader = Reader(io.BytesIO(body), buffers=buffers)
        reader.local = self.local
        return reader.load()


def _plain(items: list[Any]) -> bool:
    """Whether items are numbers and texts, or tuples of these; or such items of a `map`."""
    kinds = set(map(type, items))
    known = atoms()
    if kinds <= known:
        return True
    if len(kinds) == 1 and kinds.pop().__module__ == "allcores.map_job":
        return _plain([item.value for item in items])
    return (
        set(map(type, items)) == {tuple}
        and {type(part) for item in items for part in item} <= known
    )


class ItemSender(Sender):
    """Pickles items for workers that have their job."""

    def __init__(self, stream: io.BytesIO, keep: Any, sent: Sent) -> None:
        super().__init__(stream, keep, theirs=sent.sender.theirs)
        self.sent = sent
        self.spaces = sent.sender.spaces

    def persistent_id(self, obj: Any) -> Any:
        if type(obj) is float:
            return nan_id(obj) if obj != obj else None
        return self.sent.numbers.get(id(obj))

    def refer(self, value: Any) -> None:
        if id(value) not in self.sent.sender.refs and is_own(value):
            raise CannotShip("", also=[value])

    def function(self, f: types.FunctionType) -> Reduced:
        if found_by_name(f):
            self.refer(f)
            return NotImplemented
        raise CannotShip("", also=[f])

    def kind(self, cls: type) -> Reduced:
        if found_by_name(cls) or cls.__module__ == "builtins":
            return super().kind(cls)
        raise CannotShip("", also=[cls])

    def their(self, obj: Any) -> Reduced:
        if self.theirs[id(obj)] not in self.sent.sender.of_others:
            raise CannotShip("", also=[obj])
        return super().their(obj)

    def leave_out(self, obj: Any) -> Reduced:
        raise TypeError(f"cannot send an object of type {type(obj).__name__}")


# -- in the worker


def decode(body: Any, buffers: Any = ()) -> Any:
    """What this worker is given."""
    return arrival.Reader(io.BytesIO(body), buffers=buffers).load()


def encode_results(message: Any) -> tuple[bytes, list[pickle.PickleBuffer]]:
    """As `wire.encode`; objects of the program's are sent as they are stored."""
    return wire.encode(message, numbers=arrival.here.local, asking=Asking())


# -- and again where it came from


class Reader(pickle.Unpickler):
    """Reads results that may be of classes that went along by value."""

    local: dict[int, Any]

    def persistent_load(self, number: int) -> Any:
        return self.local[number]
