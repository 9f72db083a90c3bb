"""joblib on workers of this package: `joblib.parallel_config(backend="allcores")`.

Importing this module registers the backend. `import allcores` does so too when joblib has been
imported before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from joblib.parallel import (
    AutoBatchingMixin,
    FallbackToBackend,
    ParallelBackendBase,
    SequentialBackend,
    register_parallel_backend,
)

from allcores.executor import Executor
from allcores.settings import worker_count


class AllcoresBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
    """Runs joblib's batches of calls in the workers of an Executor, which stay for the next ones."""

    supports_retrieve_callback = True
    supports_return_generator = True
    uses_threads = False
    supports_sharedmem = False
    default_n_jobs = -1

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """How many workers `n_jobs` asks for; -1 is one for each core, -2 one less, and so on."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 has no meaning")
        if n_jobs is None:
            return 1
        return n_jobs if n_jobs > 0 else max(1, worker_count(None) + 1 + n_jobs)

    def configure(self, n_jobs: int = 1, parallel: Any = None, **_: Any) -> int:
        """Make the workers."""
        self.parallel = parallel
        n_jobs = self.effective_n_jobs(n_jobs)
        if n_jobs == 1 or self.nesting_level:
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        self._executor = _executor(n_jobs)
        return n_jobs

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], Any] | None = None) -> Any:
        """Have a batch done."""
        executor = self._executor
        with executor._staff.changed:
            # The batch travels as an argument: as the function it would be remembered by the workers.
            function = executor._staff.introduce(_do, func)
            future = executor._start(_do, function, (func,), {}).future
        if callback is not None:
            future.add_done_callback(callback)
        return future

    apply_async = submit

    def retrieve_result_callback(self, out: Any) -> Any:
        """The results of a batch that is done, or what it raised."""
        return out.result()

    def retrieve_result(self, out: Any, timeout: float | None = None) -> Any:
        """As above, but waits for it."""
        return out.result(timeout)

    def terminate(self) -> None:
        """The workers stay for the next call."""
        self.reset_batch_stats()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Stop what is running."""
        executor = self._executor
        _executors.pop(executor._max_workers, None)
        executor.shutdown(wait=False, cancel_futures=True)
        executor._staff.terminate("joblib gave up on this call")
        if ensure_ready:
            self._executor = _executor(executor._max_workers)


_executors: dict[int, Executor] = {}


def _executor(size: int) -> Executor:
    import os

    known = _executors.get(size)
    if known is None or known._staff.owner != os.getpid() or known._staff.ended is not None:
        _executors.clear()
        known = _executors[size] = Executor(size)
    return known


def _do(func: Callable[[], Any]) -> Any:
    return func()


register_parallel_backend("allcores", AllcoresBackend)
