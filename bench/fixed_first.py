"""64 windows of one fixed array of 800 MB, in clean interpreters that stand by but lack the array.

Clean interpreters hold nothing of this process: the array has to be sent. `fixed_second.py` is the
same loop once more, when they have it.
"""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from allcores import parallel
from allcores.engine.interpreters import standby
from windows import COUNT, WIDTH, plain, seconds
from work import CORES, Clock, Work

WORK = Work(
    "fixed_first",
    "64 windows of 800 MB, sent to clean interpreters",
    "1 s",
    seconds,
    1.0,
    variants=("plain", "allcores"),
)


def allcores(data: Any, width: int) -> list[Any]:
    """The same loop with clean interpreters."""
    sums = []
    for i in parallel(range(COUNT), on="fresh", chunk=COUNT // (4 * CORES)):
        sums.append(data[i * width : (i + 1) * width].sum())
    return sums


def stand_by() -> None:
    """Have the clean interpreters ready, NumPy imported."""
    os.environ["ALLCORES_FORCE"] = "1"  # left alone, it may find that the plain loop is as fast
    standby.prepare(CORES)
    while not all([worker.is_ready() for worker in standby.idle]):
        time.sleep(0.001)
    allcores(np.zeros(COUNT * 1000), 1000)


def measure(before: int) -> None:
    """Time one loop, after so many others over the same array."""
    clock = Clock()
    data = np.arange(COUNT * WIDTH, dtype=float)
    if clock.variant == "plain":
        clock.start()
        clock.stop(plain(data, WIDTH))
        return
    stand_by()
    for _ in range(before):
        allcores(data, WIDTH)
    clock.start()
    clock.stop(allcores(data, WIDTH))


if __name__ == "__main__":
    measure(0)
