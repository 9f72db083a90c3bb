"""multiprocessing.Pool; the fixed arguments are baked in with functools.partial."""

from functools import partial
from multiprocessing import Pool
from typing import Any

from work import CORES, Task


def run(task: Task) -> list[Any]:
    """The results of the task."""
    function = partial(task.function, **task.fixed)
    results: list[Any] = []
    with Pool(CORES) as pool:
        for _ in range(task.entries):
            if task.lazy:
                results = list(pool.imap(function, task.items(), task.chunk or 1))
            else:
                results = pool.map(function, task.items(), task.chunk)
    return results
