"""joblib; fixed arguments by keyword, so that big arrays become memory maps."""

from typing import Any

from joblib import Parallel, delayed

from work import CORES, Task


def run(task: Task) -> list[Any]:
    """The results of the task."""
    call = delayed(task.function)
    results: list[Any] = []
    with Parallel(n_jobs=CORES) as parallel:
        for _ in range(task.entries):
            results = parallel(call(item, **task.fixed) for item in task.items())
    return results
