"""One call of `map` and its journal."""

from __future__ import annotations

import os
import sys
from types import FrameType
from typing import TYPE_CHECKING, Any

from allcores.build.made_of import made_of_function
from allcores.engine.failures import ParallelWarning
from allcores.engine.records import Records
from allcores.resuming import Resuming, journal_of

if TYPE_CHECKING:
    from allcores.map_call import Call


def resume_of(call: Call) -> MapResume | None:
    """What a call has of the journal that is asked for, if any. Raises JournalError and OSError."""
    said: set[str] = set()

    def say(text: str, kind: type[ParallelWarning]) -> None:
        if text not in said:
            said.add(text)
            call.warn(kind(text))

    journal = journal_of(call.settings, say)
    if journal is None:
        return None
    resume = MapResume(journal, call.settings, f"{call.name}()", say)
    resume.place(call)
    return resume


class MapResume(Resuming):
    """What one call of `map` has of a journal."""

    site = ""
    begun: frozenset[bytes] = frozenset()
    """What tells where the random streams begin."""

    def place(self, call: Call) -> None:
        """Note where the call stands."""
        frame: FrameType | None = sys._getframe()
        while frame is not None and frame.f_globals.get("__name__", "").startswith("allcores."):
            frame = frame.f_back
        assert frame is not None
        code = frame.f_code
        name = getattr(call.fn, "__name__", type(call.fn).__name__)
        file = os.path.abspath(code.co_filename)
        self.site = f"{file}:{code.co_qualname}:{call.name}({name})"
        self.begun = frozenset(call.streams.beginnings)

    def begin(self, call: Call) -> Records | None:
        """The records of the items that workers are to do from here on, if they can be kept."""
        if self.number is None and not self.in_vain:
            self.enter(self.site, 0, lambda: made_of_function(call.fn, ()))
        return self.next_records(call.done, fits=self.fits)

    def digest(self, item: Any) -> bytes | None:
        return super().digest(item.value)

    def fits(self, extra: Any, in_place: bool) -> bool:
        """Whether a result may be used: one that was drawn belongs to its place in its streams."""
        return not extra or (in_place and self.begun.issuperset(extra))
