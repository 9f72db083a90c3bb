"""Random streams in workers: no two iterations draw the same numbers, and a seed still counts.

A forked worker starts with a copy of every stream. So each iteration that draws gets streams of
its own, made from the states at the call and the iteration's index: the same for any number of
workers.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, partial
from types import FunctionType, MethodType
from typing import Any

from allcores.engine.functions import global_names
from allcores.plan.kinds import instance_dict


class Streams:
    """Random streams, and the places in them where each iteration begins."""

    def __init__(self, streams: Iterable[Any]) -> None:
        self.all = list({_identity(s): s for s in streams}.values())
        self.first = self.seen = self.states()

    def __getstate__(self) -> dict[str, Any]:
        # What is worked out from these is not sent.
        return {"all": self.all, "first": self.first, "seen": self.seen}

    @classmethod
    def of(cls, function: Any) -> Streams:
        """The streams that a function may draw from: the modules' own, and those it holds."""
        return cls([*_global_streams(), *_held(function, 0)])

    @cached_property
    def seeds(self) -> list[tuple[Callable[[bytes], None], Any]]:
        """How each stream is started, and what from: its kind and its state at the call.

        Neither the other streams nor their order count, so that two streams in the same state
        still give the same numbers, as they do in the plain loop.
        """
        keys = [type(s).__name__.encode() + f for s, f in zip(self.all, self.first)]
        return [(starter(s), _hash(_digest(key))) for s, key in zip(self.all, keys)]

    def states(self) -> list[bytes]:
        return [state_of(s) for s in self.all]

    def drawn(self) -> bool:
        """Whether one of them was drawn from since the last call (or the start)."""
        now = self.states()
        if now == self.seen:
            return False
        self.seen = now
        return True

    def begun_where(self, then: list[bytes]) -> tuple[bytes, ...]:
        """Of the streams that are not as they were then, what tells where they began."""
        pairs = zip(self.beginnings, then, self.states(), strict=True)
        return tuple(begin for begin, before, now in pairs if before != now)

    @cached_property
    def beginnings(self) -> list[bytes]:
        """What tells where each stream was at the call."""
        return [_digest(type(s).__name__.encode() + f) for s, f in zip(self.all, self.first)]

    def start(self, index: int) -> None:
        """Set all of them to where iteration `index` begins."""
        word = index.to_bytes(8, "little")
        for start, key in self.seeds:
            mixed = key.copy()
            mixed.update(word)
            start(mixed.digest())

    def start_item(self, index: int) -> int:
        """Set them to where the making of an iteration's item begins; gives the index."""
        self.start(index | 1 << 63)
        return index

    def finish(self) -> None:
        """Leave the streams where neither this call nor the next one of its kind has been."""
        self.start((1 << 64) - 1)


class SharedStreams:
    """A look at the states of streams that iterations have in common, the modules' own among them."""

    def __init__(self, streams: list[Any], but: list[Any]) -> None:
        """but: those that may change."""
        self.streams, self.but = streams, but
        # Modules imported later, by the loop itself, start a stream of their own.
        common = [global_stream(m) for m in ("random", "numpy.random")]
        apart = set(map(id, but))
        self.found = [s for s in [*common, *streams] if s is not None and id(s) not in apart]

    def __call__(self) -> list[bytes]:
        return [state_of(s) for s in self.found]


def seed_worker(number: int) -> None:
    """Give the modules' own streams in a new worker a place of their own."""
    for stream in _global_streams():
        starter(stream)(_digest(state_of(stream) + number.to_bytes(8, "little")))


def new_clock_sequence() -> None:
    """Have `uuid.uuid1` in this worker draw what tells it apart from the other workers.

    The C library keeps that from call to call, and so workers that are forked alike repeat it.
    """
    module: Any = sys.modules.get("uuid")
    if module is not None:
        module._generate_time_safe = None


def _digest(data: bytes) -> bytes:
    digest: bytes = _hash(data).digest()
    return digest


def _hash(data: bytes) -> Any:
    import hashlib  # only what draws needs it, and it takes a while to load

    return hashlib.blake2b(data, digest_size=32)


# -- the kinds of streams


def _global_streams() -> Iterator[Any]:
    for module in ("random", "numpy.random"):
        found = global_stream(module)
        if found is not None:
            yield found


def global_stream(module: str) -> Any:
    """The stream that the functions of "random" or "numpy.random" draw from, or None."""
    found = sys.modules.get(module)
    if found is None:
        return None
    return found._inst if module == "random" else found.mtrand._rand


def is_stream(value: Any) -> bool:
    """Whether this is a generator of the standard library or of NumPy that can be seeded."""
    kind = type(value)  # and not `isinstance`, which asks objects of the program's for `__class__`
    module = sys.modules.get("random")
    if module is not None and issubclass(kind, module.Random):
        return kind is module.Random
    module = sys.modules.get("numpy.random")
    return module is not None and issubclass(
        kind, (module.Generator, module.RandomState, module.BitGenerator)
    )


def _identity(stream: Any) -> int:
    """The same for two generators that draw from one source."""
    return id(_bits(stream) or stream)


def _bits(stream: Any) -> Any:
    """The source of a generator of NumPy, or None."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is None:
        return None
    if isinstance(stream, numpy_random.RandomState):
        return stream._bit_generator
    found = getattr(stream, "bit_generator", stream)
    return found if isinstance(found, numpy_random.BitGenerator) else None


def state_of(stream: Any) -> bytes:
    """All that what a stream gives next depends on."""
    bits = _bits(stream)
    if bits is None:
        version, words, gauss = stream.getstate()
        return array("I", words).tobytes() + repr((version, gauss)).encode()
    state = stream.get_state(legacy=False) if hasattr(stream, "get_state") else bits.state
    inner = state["state"]
    if "key" in inner and "pos" in inner:
        inner = {"key": inner["key"].tobytes(), "pos": inner["pos"]}
    return repr((inner, sorted((k, v) for k, v in state.items() if k != "state"))).encode()


def starter(stream: Any) -> Callable[[bytes], None]:
    """What starts a stream anew, from 32 bytes that are as good as random ones."""
    bits = _bits(stream)
    if bits is None:
        return lambda entropy: stream.seed(int.from_bytes(entropy, "little"))
    start = _starter_of_bits(bits)
    if not hasattr(stream, "set_state"):
        return start
    if type(bits).__name__ == "MT19937":
        words = sys.modules["numpy"].frombuffer
        return lambda entropy: stream.seed(words(entropy, "u4"))

    def start_legacy(entropy: bytes) -> None:
        start(entropy)
        # What is left of the last pair of normal numbers is no part of the source.
        stream.set_state(bits.state | {"has_gauss": 0, "gauss": 0.0})

    return start_legacy


def _starter_of_bits(bits: Any) -> Callable[[bytes], None]:
    """As `starter`. Setting a small state is many times as fast as having NumPy seed it."""
    kind = type(bits).__name__
    numpy: Any = sys.modules["numpy"]
    words = numpy.frombuffer
    if kind == "MT19937":
        return lambda entropy: bits._legacy_seeding(words(entropy, "u4"))
    state = bits.state | {"has_uint32": 0, "uinteger": 0}
    if kind in ("PCG64", "PCG64DXSM"):

        def start_pcg(entropy: bytes) -> None:
            number = int.from_bytes(entropy, "little")
            state["state"] = {"state": number >> 128, "inc": number & ((1 << 128) - 1) | 1}
            bits.state = state

        return start_pcg
    if kind == "SFC64":

        def start_sfc(entropy: bytes) -> None:
            state["state"] = {"state": words(entropy, "u8")}
            bits.state = state

        return start_sfc
    if kind == "Philox":
        nothing = numpy.zeros(4, "u8")

        def start_philox(entropy: bytes) -> None:
            state["state"] = {"counter": nothing, "key": words(entropy, "u8")[:2]}
            bits.state = state | {"buffer": nothing, "buffer_pos": 4}

        return start_philox
    sequence = sys.modules["numpy.random"].SeedSequence

    def start_other(entropy: bytes) -> None:
        bits.state = type(bits)(sequence(int.from_bytes(entropy, "little"))).state

    return start_other


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
    inside = None if issubclass(type(value), type) else instance_dict(value)
    if type(inside) is dict and len(inside) < 1000:
        return list(inside.values())
    return []
