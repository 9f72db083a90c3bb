"""A loop's work on its way to a clean interpreter."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol


class CannotShip(Exception):
    """A loop's work would not be the same in a clean interpreter; says why, in plain words."""

    def __init__(
        self, why: str, variables: Iterable[tuple[str, str]] = (), also: Iterable[Any] = ()
    ) -> None:
        """variables: those of modules, by the module's name and their own, which may be sent along
        when it is tried again. also: what the job has to bring, for items hold it.
        """
        super().__init__(why, list(variables))
        self.why, self.variables, self.also = why, list(variables), list(also)

    def __str__(self) -> str:
        return self.why


along: dict[tuple[str, str], None] = {}
"""Variables of imported modules that are sent, for they are not what importing gives."""


def send_along(variables: Iterable[tuple[str, str]]) -> bool:
    """From now on send these variables as well; whether that is anything new."""
    new = [each for each in variables if each not in along]
    along.update(dict.fromkeys(new))
    return bool(new)


def bring_too(known: list[Any], values: Iterable[Any]) -> bool:
    """Have the next job bring these values to workers as well; whether that is anything new."""
    new = [v for v in values if not any(v is other for other in known)]
    known += new
    return bool(new)


class Shipment(NamedTuple):
    """A job in a form that a clean interpreter makes the same job of; the engine only carries it.

    The worker calls `made(shipment)`, or what comes to the same.
    """

    maker: str
    """What makes the job of it, as "module:function": called with `body` and the buffers."""
    body: bytes
    buffers: list[pickle.PickleBuffer]
    """Big values, out of band. What a worker gets of them is its own, and can be written to."""


class Exchange(Protocol):
    """What goes between this process and workers that have been sent a job."""

    def encode(self, message: Any) -> tuple[bytes, list[pickle.PickleBuffer]]:
        """What such a worker is given: a pickle, and big buffers beside it."""

    def decode(self, body: Any, buffers: Any) -> Any:
        """What such a worker gives."""


class Shippable:
    """The part of a job that is about workers that are no forks; all of it in the user's process."""

    brought: Exchange | None = None
    """How to talk with workers that have been sent the job."""
    also: Sequence[Any] = ()
    """What they are to be given beside the work, for items hold it."""
    for_threads: Callable[[], Any] | None = None
    """Gives this job as threads of one process do it, or None."""

    def ship(self) -> tuple[Shipment, Exchange]:
        """The job for a clean interpreter, and how to talk with it. Raises CannotShip."""
        raise NotImplementedError

    def shipped(self) -> Shipment:
        """This job for a clean interpreter. Raises CannotShip."""
        shipment, self.brought = self.ship()
        return shipment

    def encode_items(self, message: Any) -> tuple[bytes, list[pickle.PickleBuffer]]:
        """What a worker is given that has been sent this job."""
        assert self.brought is not None
        return self.brought.encode(message)

    def decode(self, body: Any, buffers: Any) -> Any:
        """What a worker gives."""
        if self.brought is None:
            return pickle.loads(body, buffers=buffers)
        return self.brought.decode(body, buffers)


def made(maker: str, body: Any, buffers: list[Any]) -> Any:
    """In a worker: the job that was shipped. Raises CannotShip where it would not be the same."""
    module, _, name = maker.partition(":")
    return getattr(importlib.import_module(module), name)(body, buffers)
