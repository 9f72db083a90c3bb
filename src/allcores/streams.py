"""Random streams that all iterations would share: whether one has been drawn from."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def is_stream(obj: Any) -> bool:
    name = type(obj).__name__
    return name in ("Random", "Generator", "RandomState") and (
        hasattr(obj, "getstate") or hasattr(obj, "bit_generator") or hasattr(obj, "get_state")
    )


def random_state(streams: list[Any]) -> Callable[[], Any]:
    # Modules imported later, by the loop itself, start a stream of their own.
    module = sys.modules.get("random")
    numpy_random = sys.modules.get("numpy.random")

    def look() -> Any:
        seen: list[Any] = []
        if module is not None:
            seen.append(module.getstate())
        if numpy_random is not None and hasattr(numpy_random, "get_state"):
            state = numpy_random.get_state()
            seen.append((state[1].tobytes(), *state[2:]))
        for s in streams:
            if hasattr(s, "bit_generator"):
                seen.append(repr(s.bit_generator.state))
            elif hasattr(s, "getstate"):
                seen.append(s.getstate())
        return seen

    return look
