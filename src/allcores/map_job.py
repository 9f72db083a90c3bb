"""What a worker does for `map`: calls of a function, whose exceptions and output travel with the results."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from allcores.build import travel
from allcores.build.travel import reorders_a_set
from allcores.engine.job import NOT_KEPT, Skipped
from allcores.engine.memory import passed
from allcores.engine.own_streams import enter_iteration
from allcores.engine.randomness import Streams, new_clock_sequence
from allcores.engine.relay import STDOUT, Piece, Relay
from allcores.engine.shipment import Shippable

if TYPE_CHECKING:
    from pickle import PickleBuffer

    from allcores.engine.job import Cut
    from allcores.engine.shipment import Exchange, Shipment


class Said(NamedTuple):
    """A result, and what was printed, warned and logged while it was made."""

    result: Any
    said: list[Piece]


class Item(NamedTuple):
    """An item and its place, which its random streams are made from."""

    place: int
    value: Any

    def __repr__(self) -> str:
        return repr(self.value)


class Numbered(Sequence[Item]):
    """A sequence of items as numbered ones, made as they are asked for."""

    def __init__(self, items: Sequence[Any], first: int) -> None:
        self.items, self.first = items, first

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Any:
        return Item(self.first + index, self.items[index])


def _same_again(last: Any, result: Any) -> bool:
    """Whether a result is, or holds, what the last one did and may have been filled anew."""
    if type(result) is tuple and type(last) is tuple:
        return any(_same_again(a, b) for a, b in zip(last, result))
    if result is not last or isinstance(result, (int, float, str)):
        return False
    return isinstance(result, (list, dict, set, bytearray)) or type(result).__name__ == "ndarray"


class FunctionJob(Shippable):
    """Implements `engine.Job` for a function: exceptions and output travel with the results."""

    tells_streams = False
    """Whether it is to be told, for a journal, which streams each item has drawn from."""
    exact = True
    """Whether what cannot be sent whole is to be raised again where it is wanted."""

    def __init__(
        self,
        fn: Callable[..., Any],
        star: bool,
        streams: Streams,
        seeded: bool,
        on_error: str = "raise",
    ) -> None:
        self.fn, self.star, self.streams, self.seeded = fn, star, streams, seeded
        self.on_error = on_error
        self.work: Callable[[Any], Any] = self.call
        self.relay = Relay()
        self.items: list[Item] = []
        self.odd: tuple[int, str] | None = None
        """The first item in the chunk that must be done here, and why."""
        self.special = self.raised = self.again = False
        self.last: Any = None
        self.draws: list[tuple[bytes, ...]] = []
        """For each item of the chunk, the streams that it has drawn from, by where they begin."""

    def enter_worker(self) -> None:
        self.relay.install()
        new_clock_sequence()
        self.streams.seen = self.streams.states()

    def leave_worker(self) -> None:
        self.relay.uninstall()

    def before_chunk(self) -> None:
        self.relay.before_chunk()
        self.items, self.odd = [], None
        self.special = self.raised = self.again = False
        self.last = None
        self.draws = []

    def call(self, item: Item) -> Any:
        if self.raised:
            return None  # nobody will ask for what comes after an exception
        self.items.append(item)
        if self.seeded:
            self.streams.start(item.place)
            enter_iteration()
        begin = self.streams.states() if self.seeded and self.tells_streams else []
        try:
            result = self.fn(*item.value) if self.star else self.fn(item.value)
        except BaseException as error:
            if passed(error):
                raise
            result = self.failure(error)
            odd = self.relay.oddity()
            missing = getattr(result, "missing", "")
            if missing and self.exact:
                odd = odd or f"{missing} of an exception cannot be sent"
        else:
            self.again = self.again or _same_again(self.last, result)
            self.last = result
            odd = self.relay.oddity()
            if reorders_a_set(result):
                odd = odd or "a set in a result would come home in another order"
        if odd and self.odd is None:
            self.odd = len(self.items) - 1, odd
        if begin:
            self.draws.append(self.streams.begun_where(begin))
        if self.relay.pieces:
            self.special = True
            return Said(result, self.relay.take())
        return result

    def failure(self, error: BaseException) -> Any:
        """What stands in the place of the result."""
        from allcores.engine.errors import pack

        self.special = True
        if self.on_error == "raise" or not isinstance(error, Exception):
            self.raised = True
            return pack(error)
        return Skipped(None if self.on_error == "skip" else pack(error))

    def after_chunk(
        self, results: list[Any], last: bool, cut: Cut | None
    ) -> tuple[Any, Cut | None]:
        if not self.seeded and self.streams.drawn():
            # The first draw: from here on each item has streams of its own, this chunk's too.
            self.seeded = True
            items = self.items
            self.before_chunk()
            self.spilled()
            results[:] = [self.call(item) for item in items]
        elif self.seeded:
            self.streams.seen = []
        if self.again:
            from allcores.engine.job import Cut

            # The earlier results of the chunk are gone; done one by one, each is seen in time.
            return None, Cut(0, "unshippable", "the function gives the same object each time")
        spilled = self.spilled()
        if spilled and results:
            self.special = True
            before = results[-1] if type(results[-1]) is Said else Said(results[-1], [])
            results[-1] = Said(before.result, [*before.said, (STDOUT, spilled)])
        if self.odd is not None:
            from allcores.engine.job import Cut

            return self.along(), Cut(self.odd[0], "unshippable", self.odd[1])
        return self.along(), None

    def along(self) -> tuple[bool, bool, list[tuple[bytes, ...]]]:
        """What goes along with a chunk's results."""
        return self.special, self.seeded, self.draws

    def lighten(self, extra: Any, empty: bool) -> Any:
        return extra

    def encode(self, message: Any) -> tuple[bytes, list[PickleBuffer]]:
        """What a worker gives. Objects of the program's are sent as they are stored."""
        answer = type(message) is tuple and message and type(message[0]) is list
        return travel.encode(message, message[0] if answer else [message])

    # -- in the user's process

    def encode_given(self, message: Any) -> tuple[bytes, list[PickleBuffer]]:
        """What a fork is given that does not have the items."""
        return travel.encode(message, [item.value for item in message[2]], items=True)

    # -- there, for workers that are no forks

    def ship(self) -> tuple[Shipment, Exchange]:
        from allcores.build.shipping import ship_function

        return ship_function(self)

    # -- in the user's process, for a journal

    def apart(self, results: list[Any], extra: Any) -> list[Any]:
        """What is to be kept with each of these results."""
        from allcores.engine.errors import Raised

        _, _, draws = extra or (True, False, ())
        found: list[Any] = [*draws, *[None] * (len(results) - len(draws))]
        for k, result in enumerate(results):
            result = result.result if type(result) is Said else result
            if type(result) is Skipped:
                found[k] = NOT_KEPT
            elif type(result) is Raised:
                return found[:k] + [NOT_KEPT] * (len(results) - k)
        return found

    def together(self, results: list[Any], apart: list[Any]) -> Any:
        """What would have come along with these results."""
        return any(type(result) is Said for result in results), any(apart), ()

    def spilled(self) -> str:
        """What was written past Python's own streams, as by a program that was called."""
        file = self.relay.file
        size = os.fstat(file).st_size
        if not size:
            return ""
        data = os.pread(file, size, 0)
        os.ftruncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)
        return data.decode(errors="replace")
