"""Ending libgomp's threads before a fork, as OpenBLAS does with its own by itself.

A team of libgomp's threads stays, parked, after the first parallel region. A forked worker has none
of them, but libgomp's record that they are there: its first parallel region waits for them for
ever. OpenMP 5 has a call with which a program gives back such threads; the next region starts
them again, which takes about 0.1 ms.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

HARD = 2
"""`omp_pause_hard`."""
_pauses: dict[str, Any] = {}


def why_not_pausable(file: str) -> str | None:
    """None where the threads of this libgomp can be ended, else what is in the way."""
    if _pause_of(file) is None:
        return "it is too old to end its threads"
    return None


def pause(files: Iterable[str]) -> None:
    """Have these libgomps end the threads that they have for the calling thread."""
    for file in files:
        call = _pause_of(file)
        if call is not None:
            # Within a parallel region nothing is done, and this is seen by looking again.
            call(HARD)


def _pause_of(file: str) -> Any:
    if file not in _pauses:
        import ctypes

        try:
            library = ctypes.CDLL(file, mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
            _pauses[file] = library.omp_pause_resource_all
        except (OSError, AttributeError):
            _pauses[file] = None
    return _pauses[file]
