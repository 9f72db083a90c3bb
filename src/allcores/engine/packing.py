"""What goes into a pickle and what beside it: the memory of big values is never part of one.

Arrays, tables of pandas and Arrow and all else that pickles out of band does so by itself. Long
texts and bytes, `array.array` and torch's tensors are helped here.
"""

from __future__ import annotations

import copyreg
import io
import pickle
import sys
import weakref
from array import array as Array
from collections.abc import Callable, Container, Mapping
from typing import Any

APART = 16 * 1024
"""Buffers of so many bytes are no part of the pickle, which would copy them twice more."""
LONG = 256 * 1024
"""So long are texts and bytes for which it is worth looking at every object of a message."""
SPREAD = 2
"""An item that is a part of more memory than so many times its own is copied."""


as_stored: weakref.WeakKeyDictionary[Any, Callable[[Any], Any]] = weakref.WeakKeyDictionary()
"""How objects of some classes of the program's are taken apart, without asking these classes."""


class LeavesOut(pickle.PicklingError):
    """Of an object only a copy can be had that may have less."""


asker: Callable[[], Callable[[Any], Any]] | None = None
"""Makes a pickler's `reducer_override`, for objects that are to be sent as they are stored."""


class _Asking(pickle.Pickler):
    """May have a `reducer_override` of its own."""


def have_ask(pickler: pickle.Pickler, asking: Callable[[Any], Any] | None) -> None:
    """Have a pickler ask about each object that is no plain container; None: it asks of none."""
    if asking is not None:
        setattr(pickler, "reducer_override", asking)  # noqa: B010  # read when it begins


def dumps(value: Any) -> bytes:
    """One pickle, with the program's objects as they are stored.

    Raises LeavesOut, and what pickling raises.
    """
    out = io.BytesIO()
    pickler = _Asking(out, protocol=5)
    have_ask(pickler, None if asker is None else asker())
    pickler.dump(value)
    return out.getvalue()


class _Pinning(pickle.Pickler):
    """Sends the ids of objects that both sides have, in their place."""

    at_home: Container[int]

    def persistent_id(self, obj: Any) -> int | None:
        key = id(obj)
        return key if key in self.at_home else None


class _Numbering(pickle.Pickler):
    """Sends the numbers of objects that both sides know by these."""

    numbers: Mapping[int, int]

    def persistent_id(self, obj: Any) -> int | None:
        return self.numbers.get(id(obj))


def encode(
    message: Any,
    at_home: Container[int] | None = None,
    numbers: Mapping[int, int] | None = None,
    items: bool = False,
    asking: Callable[[Any], Any] | None = None,
) -> tuple[bytes, list[pickle.PickleBuffer]]:
    """Pickle a message; big buffers are given back apart.

    at_home: the ids of objects that the other side has as well; it finds them by these. numbers:
    of others that it has, by id, those by which it finds them. items: it holds what this process
    has, of which as little as possible is to be sent. asking: what a pickler's `reducer_override` is
    to be. Raises what pickling raises.
    """
    big: list[pickle.PickleBuffer] = []
    plain = at_home is None and not numbers and not as_stored and asking is None
    if plain and not long_ones.likely and "numpy" not in sys.modules:
        body = pickle.dumps(message, protocol=5, buffer_callback=apart(big))
        long_ones.look(len(body))
        return body, big
    table = reducers(_reduce_item if items else _reduce_array)
    if at_home is None and not numbers and long_ones.likely:
        return long_ones.encode(message, table, asking)
    out = io.BytesIO()
    kind = _Numbering if numbers else _Asking if at_home is None else _Pinning
    pickler = kind(out, protocol=5, buffer_callback=apart(big))
    if isinstance(pickler, _Numbering):
        assert numbers is not None
        pickler.numbers = numbers
    if isinstance(pickler, _Pinning):
        assert at_home is not None
        pickler.at_home = at_home
    pickler.dispatch_table = table
    have_ask(pickler, asking)
    pickler.dump(message)
    body = out.getvalue()
    long_ones.look(len(body))
    return body, big


def apart(big: list[pickle.PickleBuffer]) -> Callable[[pickle.PickleBuffer], bool]:
    """What a pickler calls for each buffer: has those that are big put into the list."""

    def keep(buffer: pickle.PickleBuffer) -> bool:
        if size_of(buffer) < APART:
            return True
        big.append(buffer)
        return False

    return keep


def size_of(buffer: pickle.PickleBuffer) -> int:
    """How many bytes a buffer has."""
    with buffer.raw() as raw:
        return raw.nbytes


def whole(message: Any) -> bytes:
    """What was received, with all its buffers in one pickle, for `pickle.loads`."""
    out = io.BytesIO()
    pickler = pickle.Pickler(out, protocol=5)
    pickler.dispatch_table = reducers(_reduce_received)
    pickler.dump(message)
    return out.getvalue()


def reducers(of_array: Callable[[Any], Any]) -> dict[type, Callable[[Any], Any]]:
    """How objects of some types are taken apart, which do not do so by themselves."""
    found: dict[type, Callable[[Any], Any]] = {**copyreg.dispatch_table, Array: _reduce_numbers}
    found.update(as_stored)
    np = sys.modules.get("numpy")
    if np is not None and hasattr(np, "ndarray"):
        found[np.ndarray] = of_array
        found[np.void] = found[np.record] = _reduce_record
        masked = getattr(sys.modules.get("numpy.ma.core"), "MaskedArray", None)
        if masked is not None:
            found[masked] = _reduce_masked
    if "torch" in sys.modules:
        storage = getattr(sys.modules.get("torch.storage"), "TypedStorage", None)
        if storage is not None:
            found[storage] = _reduce_storage
    return found


# -- long texts and bytes, which pickle puts into its stream


class LongOnes:
    """Whether messages have long texts or bytes in them, and how they are sent beside the pickle.

    Each costs one copy there. To find them every object is looked at, which takes longer than it
    saves where there are none.
    """

    def __init__(self) -> None:
        self.likely = False
        self.misses = 0
        """Messages that were long for other reasons."""

    def look(self, size: int) -> None:
        """A message was so long without looking."""
        if size >= LONG and self.misses < 3:
            self.likely = True

    def encode(
        self,
        message: Any,
        table: dict[type, Callable[[Any], Any]],
        asking: Callable[[Any], Any] | None = None,
    ) -> tuple[bytes, list[pickle.PickleBuffer]]:
        out = io.BytesIO()
        big: list[pickle.PickleBuffer] = []
        pickler = _Shortening(out, protocol=5, buffer_callback=apart(big))
        pickler.dispatch_table = table
        have_ask(pickler, asking)
        pickler.dump(message)
        body = out.getvalue()
        if not pickler.kinds:
            self.likely = bool(big) and "numpy" not in sys.modules
            self.misses += len(body) >= LONG
            return body, big
        parts = body, pickler.kinds, [*big, *pickler.buffers]
        big = []
        return pickle.dumps(_Lengthened(parts), protocol=5, buffer_callback=big.append), big


long_ones = LongOnes()


class _Shortening(pickle.Pickler):
    """Leaves long texts and bytes out."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.places: dict[int, int] = {}
        self.kinds: list[str] = []
        self.buffers: list[pickle.PickleBuffer] = []
        self.kept: list[Any] = []

    def persistent_id(self, obj: Any) -> int | None:
        kind = type(obj)
        if (kind is not bytes and kind is not str and kind is not bytearray) or len(obj) < LONG:
            return None
        place = self.places.get(id(obj))
        if place is None:
            place = self.places[id(obj)] = len(self.kinds)
            self.kinds.append(kind.__name__)
            self.kept.append(obj)
            data = obj.encode("utf-8", "surrogatepass") if kind is str else obj
            self.buffers.append(pickle.PickleBuffer(data))
        return place


class _Lengthened:
    """A message that was pickled by `_Shortening`: unpickled, it is the message itself."""

    def __init__(self, parts: tuple[bytes, list[str], list[pickle.PickleBuffer]]) -> None:
        self.parts = parts

    def __reduce__(self) -> Any:
        return _lengthened, self.parts


class _Lengthening(pickle.Unpickler):
    longs: list[Any]

    def persistent_load(self, place: int) -> Any:
        return self.longs[place]


def _lengthened(body: bytes, kinds: list[str], buffers: list[Any]) -> Any:
    others = len(buffers) - len(kinds)
    unpickler = _Lengthening(io.BytesIO(body), buffers=buffers[:others])
    unpickler.longs = list(map(_long, kinds, buffers[others:]))
    return unpickler.load()


def _long(kind: str, buffer: Any) -> Any:
    if kind == "str":
        return str(buffer, "utf-8", "surrogatepass")
    return bytes(buffer) if kind == "bytes" else bytearray(buffer)


# -- arrays


def travels_as_view(array: Any, received: bool = False) -> bool:
    """Whether an array is sent as a view of its memory, strides and all.

    received: it was made by reading a pickle, where each array is a view of one over bytes.
    """
    base = array.base
    np = sys.modules["numpy"]
    if type(array) is not np.ndarray or type(base) is not np.ndarray:
        return False
    if base.base is not None and (not received or isinstance(base.base, np.ndarray)):
        return False
    if not base.flags.c_contiguous or array.dtype.hasobject or base.dtype.hasobject:
        return False
    # A small part of much memory is better copied, if its layout does not need the rest.
    whole = array.flags.c_contiguous or array.flags.f_contiguous
    return not whole or bool(base.nbytes <= 2 * array.nbytes)


def _reduce_array(array: Any) -> Any:
    if travels_as_view(array):
        return _as_view(array)
    made = array.__reduce_ex__(5)
    return (_owner, made) if len(made) == 2 else made


def _owner(make: Any, given: Any) -> Any:
    """A result's array, which has memory of its own where that costs little, or may count.

    Else it looks at what was received, and cannot be made larger in place.
    """
    array = make(*given)
    if not array.size or (array.nbytes >= APART and not memory.counts):
        return array
    own = array.copy("K")
    if not array.flags.writeable:
        own.flags.writeable = False
    return own


class Memory:
    """Whether the program may look at whose the memory of an array is, or make an array larger."""

    counts = False


memory = Memory()


def _reduce_item(array: Any) -> Any:
    """Of an item that is part of much memory, only the part; what it computes to may depend on
    whether its elements lie side by side, so that those that do not still do not.
    """
    if travels_as_view(array) and array.base.nbytes <= SPREAD * array.nbytes:
        return _as_view(array)
    if array.flags.c_contiguous or array.flags.f_contiguous or array.dtype.hasobject:
        return array.__reduce_ex__(5)
    spread = _spread_alike(array)
    return array.__reduce_ex__(5) if spread is None else _as_view(spread)


def _spread_alike(array: Any) -> Any:
    """A copy whose axes lie in memory in the same order, with gaps where there are gaps; or None."""
    np = sys.modules["numpy"]
    steps = [abs(step) for step in array.strides]
    order = sorted(range(array.ndim), key=lambda axis: (-steps[axis], axis))
    # From the innermost axis outwards: how many elements, and whether there are gaps between them.
    sizes: list[int] = []
    gaps: list[bool] = []
    extent = array.itemsize
    for axis in reversed(order):
        size, step = array.shape[axis], steps[axis]
        sizes.append(size)
        gaps.append(size > 1 and step > extent)
        if size > 1 and step < extent:
            return None  # elements share memory
        if size > 1:
            extent += step * (size - 1)
    # An axis inside of a gap has one element more than is used.
    shape = [size + gap for size, gap in zip(sizes, [*gaps[1:], False])]
    base = np.empty([*reversed(shape), 1 + gaps[0]], array.dtype)
    view = base[(*(slice(size) for size in reversed(sizes)), 0)]
    view = view[tuple(slice(None, None, -1 if array.strides[axis] < 0 else 1) for axis in order)]
    view = view.transpose([order.index(axis) for axis in range(array.ndim)])
    view[...] = array
    view.flags.writeable = array.flags.writeable
    return view


def _as_view(array: Any) -> Any:
    base = array.base
    start = base.__array_interface__["data"][0]
    offset = array.__array_interface__["data"][0] - start
    parts = base, array.dtype, array.shape, array.strides, offset, array.flags.writeable
    return _view, parts


def _reduce_received(array: Any) -> Any:
    return _as_view(array) if travels_as_view(array, True) else array.__reduce_ex__(5)


def _view(base: Any, dtype: Any, shape: Any, strides: Any, offset: int, writeable: bool) -> Any:
    """An array over the memory of `base`, made again."""
    np = sys.modules["numpy"]
    array = np.ndarray(shape, dtype, base, offset, strides)
    if array.flags.writeable and not writeable:
        array.flags.writeable = False
    return array


def _reduce_record(record: Any) -> Any:
    """A row of a structured array: what pickle makes of it loses what is written to it later."""
    np = sys.modules["numpy"]
    return _row, (np.array(record),)


def _row(array: Any) -> Any:
    return array[()]


def _reduce_masked(array: Any) -> Any:
    """A masked array, which leaves out of a pickle that it has no mask, or no fill value yet."""
    make, given, state = array.__reduce__()
    held = dict(array.__dict__)
    if getattr(held["_mask"], "shape", ()):
        del held["_mask"]
    return _masked, (make, given, state, held)


def _masked(make: Any, given: Any, state: Any, held: dict[str, Any]) -> Any:
    array = make(*given)
    array.__setstate__(state)
    array.__dict__.update(held)
    return array


# -- what pickles by copying, though it need not


def _reduce_numbers(numbers: Any) -> Any:
    """An `array.array`."""
    if len(numbers) * numbers.itemsize < APART or numbers.typecode in ("u", "w"):
        return numbers.__reduce_ex__(5)
    return _numbers, (numbers.typecode, pickle.PickleBuffer(numbers))


def _numbers(kind: str, buffer: Any) -> Any:
    numbers = Array(kind)
    numbers.frombytes(buffer)
    return numbers


def _reduce_storage(storage: Any) -> Any:
    """The memory of a tensor of torch's: that of an ordinary one is a buffer like others."""
    torch: Any = sys.modules["torch"]
    plain = storage._untyped_storage
    if plain.device.type != "cpu" or plain.nbytes() < APART or plain.is_shared():
        return storage.__reduce__()
    memory = torch.empty(0, dtype=torch.uint8).set_(plain)
    return _storage, (pickle.PickleBuffer(memory.numpy()), storage.dtype)


def _storage(buffer: Any, dtype: Any) -> Any:
    import torch  # type: ignore[import-not-found, unused-ignore]

    memory = torch.frombuffer(buffer, dtype=torch.uint8).untyped_storage()
    return torch.storage.TypedStorage(wrap_storage=memory, dtype=dtype, _internal=True)
