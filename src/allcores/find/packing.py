"""What sending a value would take, found without running any of the program's own code."""

from __future__ import annotations

import io
import pickle
import sys
from types import FunctionType
from typing import Any

from allcores.engine.wire import BIG

_HOOKS = ("__reduce_ex__", "__reduce__", "__getstate__", "__getnewargs_ex__", "__getnewargs__")
_KNOWN = sys.stdlib_module_names - {"__main__"} | {"numpy", "pandas", "scipy"}


class OwnCode(Exception):
    """The value has an object whose class says in Python how it is pickled."""


class _Packer(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if not isinstance(obj, (type, FunctionType)) and not _known(kind):
            if any(isinstance(getattr(kind, hook, None), FunctionType) for hook in _HOOKS):
                raise OwnCode
        return NotImplemented


def _known(kind: type) -> bool:
    return str(kind.__module__).partition(".")[0] in _KNOWN


def packed(value: Any) -> tuple[bytes, int]:
    """The value pickled, and how many bytes of big buffers travel beside that.

    Raises OwnCode, or what pickling raises where the value cannot be pickled.
    """
    big = 0

    def keep(buffer: pickle.PickleBuffer) -> bool:
        nonlocal big
        with buffer.raw() as raw:
            size = raw.nbytes
        big += size if size >= BIG else 0
        return size < BIG

    out = io.BytesIO()
    _Packer(out, protocol=5, buffer_callback=keep).dump(value)
    return out.getvalue(), big
