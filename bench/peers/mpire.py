"""mpire; the fixed arguments are shared objects, which forked workers inherit."""

from typing import Any

from mpire import WorkerPool

from work import CORES, Task


def run(task: Task) -> list[Any]:
    """The results of the task."""
    results: list[Any] = []
    with WorkerPool(n_jobs=CORES, shared_objects=(task.function, task.fixed)) as pool:
        for _ in range(task.entries):
            if task.lazy:
                found = pool.imap(
                    call, singly(task), iterable_len=task.count, chunk_size=task.chunk
                )
                results = list(found)
            else:
                results = pool.map(
                    call,
                    singly(task),
                    iterable_len=task.count,
                    chunk_size=task.chunk,
                    concatenate_numpy_output=False,
                )
    return results


def singly(task: Task) -> Any:
    """The items, each in a tuple of its own, which mpire unpacks again."""
    return ((item,) for item in task.items())


def call(shared: Any, item: Any) -> Any:
    """The task's function on one item."""
    function, fixed = shared
    return function(item, **fixed)
