"""Random streams in workers: no two iterations draw the same numbers, and a seed still counts.

A forked worker starts with a copy of every stream. So each iteration that draws gets streams of
its own, made from the states at the call and the iteration's index: the same for any number of
workers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cached_property, partial
from types import FunctionType, MethodType
from typing import Any

from allcores.engine.functions import global_names


class Streams:
    """The streams that a function may draw from: the modules' own, and those it holds."""

    def __init__(self, function: Any) -> None:
        found = [*_global_streams(), *_held(function, 0)]
        self.all = list({id(s): s for s in found}.values())
        self.first = self.seen = self.states()

    @cached_property
    def keys(self) -> list[bytes]:
        """What each stream is made from in this call: its state at the call."""
        return [_digest(repr(s).encode(), 16) for s in self.first]

    def states(self) -> list[Any]:
        return [_state(s) for s in self.all]

    def drawn(self) -> bool:
        """Whether one of them was drawn from since the last call (or the start)."""
        now = self.states()
        if now == self.seen:
            return False
        self.seen = now
        return True

    def start(self, index: int) -> None:
        """Set all of them to where iteration `index` begins."""
        for k, stream in enumerate(self.all):
            word = self.keys[k] + index.to_bytes(8, "little") + k.to_bytes(4, "little")
            seed(stream, _digest(word, 32))

    def finish(self) -> None:
        """Leave the streams where neither this call nor the next one of its kind has been."""
        self.start((1 << 64) - 1)


def seed_worker(number: int) -> None:
    """Give the modules' own streams in a new worker a place of their own."""
    for k, stream in enumerate(_global_streams()):
        state = repr(_state(stream)).encode()
        word = number.to_bytes(8, "little") + k.to_bytes(4, "little")
        seed(stream, _digest(state + word, 32))


def _digest(data: bytes, size: int) -> bytes:
    import hashlib  # only a function that draws needs it, and it takes a while to load

    return hashlib.blake2b(data, digest_size=size).digest()


# -- the kinds of streams


def _global_streams() -> Iterator[Any]:
    module = sys.modules.get("random")
    if module is not None:
        yield module._inst
    module = sys.modules.get("numpy.random")
    if module is not None:
        yield module.mtrand._rand


def is_stream(value: Any) -> bool:
    """Whether this is a generator of the standard library or of NumPy that can be seeded."""
    module = sys.modules.get("random")
    if module is not None and isinstance(value, module.Random):
        return type(value) is module.Random
    module = sys.modules.get("numpy.random")
    return module is not None and isinstance(
        value, (module.Generator, module.RandomState, module.BitGenerator)
    )


def _state(stream: Any) -> Any:
    if hasattr(stream, "getstate"):
        return stream.getstate()
    if hasattr(stream, "get_state"):
        state = stream.get_state()
        return (state[0], state[1].tobytes(), *state[2:]) if type(state) is tuple else repr(state)
    return repr(getattr(stream, "bit_generator", stream).state)


def seed(stream: Any, entropy: bytes) -> None:
    """Start a stream anew."""
    number = int.from_bytes(entropy, "little")
    if hasattr(stream, "getstate"):
        stream.seed(number)
        return
    numpy_random = sys.modules["numpy.random"]
    sequence = numpy_random.SeedSequence(number)
    if isinstance(stream, numpy_random.RandomState):
        stream.seed(sequence.generate_state(8))
        return
    bits = getattr(stream, "bit_generator", stream)
    bits.state = type(bits)(sequence).state


# -- the streams that a function holds


def _held(value: Any, depth: int) -> Iterator[Any]:
    """Streams among what a function was given: closure, self, partial's arguments, globals."""
    if is_stream(value):
        yield value
        return
    if depth > 3:
        return
    for inner in _parts(value):
        yield from _held(inner, depth + 1)


def _parts(value: Any) -> list[Any]:
    if type(value) is FunctionType:
        cells: list[Any] = []
        for cell in value.__closure__ or ():
            try:
                cells.append(cell.cell_contents)
            except ValueError:
                continue
        names = [n for n in global_names(value.__code__) if n in value.__globals__]
        mentioned = [value.__globals__[n] for n in names]
        plain = [m for m in mentioned if is_stream(m) or type(m) is FunctionType]
        return [*cells, *(value.__defaults__ or ()), *plain]
    if type(value) is MethodType:
        return [value.__self__, value.__func__]
    if type(value) is partial:
        return [value.func, *value.args, *value.keywords.values()]
    if type(value) in (list, tuple) and len(value) < 100:
        return list(value)
    if type(value) is dict and len(value) < 100:
        return list(value.values())
    inside = getattr(value, "__dict__", None)
    if type(inside) is dict and not isinstance(value, type) and len(inside) < 1000:
        return list(inside.values())
    return []
