"""concurrent.futures.ProcessPoolExecutor; partial as for Pool, and Pool's chunk sizes."""

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

from work import CORES, Task


def run(task: Task) -> list[Any]:
    """The results of the task."""
    function = partial(task.function, **task.fixed)
    chunk = task.pool_chunk()
    results: list[Any] = []
    with ProcessPoolExecutor(CORES) as executor:
        for _ in range(task.entries):
            results = list(executor.map(function, task.items(), chunksize=chunk))
    return results
