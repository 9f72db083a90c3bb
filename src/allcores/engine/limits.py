"""What a caller allows iterations to do, and how often to die."""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """What `parallel` and `map` were given, as the engine uses it."""

    timeout: float | None = None
    """Seconds an iteration may take; after that its worker is killed."""
    memory: int | None = None
    """Bytes that a worker may take beyond what it shares with this process."""
    retries: int = 1
    """How often an iteration that a worker died on is tried on a new one."""

    @property
    def only_in_workers(self) -> bool:
        """Whether no iteration may run in the user's own process, where nothing can be limited."""
        return self.timeout is not None or self.memory is not None


NO_LIMITS = Limits()
