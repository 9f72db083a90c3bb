"""What several threads of one worker process print, warn and log: each on a tape of its own."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from threading import get_ident
from typing import Any

from allcores.engine.relay import Piece, Relay

SHOWN_ONCE = frozenset(("default", "module", "once"))


class Lane:
    """What one of the threads has said."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.odd = ""
        self.bypassed = False
        self.written = 0
        """What had been written past the captures when its chunk began, in bytes."""


class ThreadRelay(Relay):
    """As `Relay`: in each thread, its own. What threads say that it has started is its as well."""

    def __init__(self, namespace: dict[str, Any] | None = None) -> None:
        self.lanes: dict[int, Lane] = {}
        self.nobody = Lane()
        self.caller = threading.current_thread()
        super().__init__(namespace)

    def install(self) -> None:
        self.ident, self.name = get_ident(), self.caller.name
        self.lanes[self.ident] = Lane()
        self.task = _task_name()
        super().install()
        self.show_each_warning()
        start = threading.Thread.start
        relay = self

        def start_in_lane(thread: threading.Thread) -> None:
            lane, run = relay.lane(), thread.run

            def run_in_lane() -> None:
                relay.lanes[get_ident()] = lane
                try:
                    run()
                finally:
                    relay.lanes.pop(get_ident(), None)

            thread.run = run_in_lane  # type: ignore[method-assign]
            start(thread)

        threading.Thread.start = start_in_lane  # type: ignore[assignment, method-assign]

    def enter_thread(self) -> None:
        """This thread does iterations from now on."""
        self.lanes[get_ident()] = Lane()

    def lane(self) -> Lane:
        found = self.lanes.get(get_ident())
        if found is None:
            # A thread that was made unseen: nobody knows whose iteration it belongs to.
            self.nobody.pieces.clear()
            for each in list(self.lanes.values()):
                each.bypassed = True
            return self.nobody
        return found

    @property
    def pieces(self) -> list[Piece]:
        return self.lane().pieces

    @pieces.setter
    def pieces(self, pieces: list[Piece]) -> None:
        self.lane().pieces = pieces

    @property
    def odd(self) -> str:
        return self.lane().odd

    @odd.setter
    def odd(self, words: str) -> None:
        self.lane().odd = words

    @property
    def bypassed(self) -> bool:
        return self.lane().bypassed

    @bypassed.setter
    def bypassed(self, is_so: bool) -> None:
        self.lane().bypassed = is_so

    # -- what was written past the captures may be any thread's

    def before_chunk(self) -> None:
        lane = self.lane()
        lane.bypassed = False
        lane.written = os.fstat(self.file).st_size

    def leaked(self) -> bool:
        """Whether something was written past the captures since this thread's chunk began."""
        self.flush_streams()
        lane = self.lane()
        return lane.bypassed or os.fstat(self.file).st_size > lane.written

    # -- each thread names every warning, and the user's process decides which of them are shown

    def show_each_warning(self) -> None:
        self.forgotten()
        warnings.filters[:] = [  # type: ignore[index]
            ("always", *rest) if action in SHOWN_ONCE else (action, *rest)
            for action, *rest in warnings.filters
        ]
        if getattr(warnings, "defaultaction", "default") in SHOWN_ONCE:
            warnings.simplefilter("always", append=True)
        self.pieces.clear()

    # -- records name the caller's thread

    def log(self, logger: Any, record: Any) -> None:
        if record.thread is not None:
            record.thread, record.threadName = self.ident, self.name
        if getattr(record, "taskName", None) is None and hasattr(record, "taskName"):
            record.taskName = self.task
        super().log(logger, record)


def _task_name() -> str | None:
    """The name of the asyncio task that this thread runs, as log records have it."""
    asyncio: Any = sys.modules.get("asyncio")
    try:
        return str(asyncio.current_task().get_name())
    except Exception:
        return None
