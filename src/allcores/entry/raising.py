"""What iterations raise: the note it gets, and how it comes out of the loop, or is left out."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any

from allcores.engine.errors import unpack, within
from allcores.engine.failures import shown
from allcores.engine.schedule import Halt
from allcores.entry.obstacles import Obstacles
from allcores.skipping import Failure, collected
from allcores.tracebacks import raises

HALF_DONE = (
    "the iteration could not be left out, for something it does in order had been done by then"
)


class _Throw:
    """Raises an exception where a frame goes on."""

    def __init__(self, frame: FrameType, error: BaseException) -> None:
        self.frame, self.error = frame, error

    def __call__(self, frame: FrameType, what: str, arg: Any) -> Any:
        if frame is self.frame and what in ("opcode", "line"):
            sys.settrace(None)
            frame.f_trace_opcodes = False
            frame.f_trace = None
            error = self.error
            vars(self).clear()
            raise error
        return self


class Raising(Obstacles):
    """Adds what becomes of exceptions."""

    def given(self, items: Iterable[Any], first: int) -> Iterable[Any]:
        """Items for the loop's own body; first: the number of the first one's iteration."""
        return items if self.streams is None else self.streams.given(items, first)

    def note_on(self, error: BaseException, index: int, item: Any) -> None:
        """Have an exception say which iteration it comes from, unless it does already."""
        if any(n.startswith("in iteration ") for n in getattr(error, "__notes__", ())):
            return
        error.add_note(f"in iteration {index} of the parallel loop, with {self.values_of(item)}")

    def values_of(self, item: Any) -> str:
        try:
            pairs = self.functions.targets(item)
        except Exception:
            return "an item that does not unpack"
        return ", ".join(f"{name} = {shown(value)}" for name, value in pairs.items())

    # -- raised by the loop's own body

    def watch(self, event: Halt, index: int) -> bool:
        """See what the loop's own body raises now, for it is to get a note."""
        if sys.gettrace() is not None or not self.settings.asked:
            return False
        self.watched_for = index, event.item, event.detail
        self.frame.f_trace = self.see
        self.frame.f_trace_lines = False
        sys.settrace(lambda *_: None)
        return True

    def see(self, frame: FrameType, what: str, arg: Any) -> Any:
        """Python calls this for whatever happens in the frame. No closure, which would hold itself."""
        if what == "exception" and frame is self.frame:
            kind, error = arg[0], arg[1]
            named = f"{kind.__module__}.{kind.__qualname__}" == self.watched_for[2]
            self.seen = error if named and isinstance(error, BaseException) else None
        return self.see

    def end_watch(self, left: bool) -> None:
        """The body is done with the item. left: by leaving the loop."""
        sys.settrace(None)
        self.frame.f_trace = None
        self.frame.f_trace_lines = True
        error, self.seen = self.seen, None
        # The last one that was seen is the one that leaves the loop; the body may catch others.
        if error is not None and left:
            self.note_on(error, *self.watched_for[:2])

    # -- raised elsewhere

    def raise_there(
        self, error: BaseException, index: int, item: Any, note: str = ""
    ) -> Iterator[Iterable[Any]]:
        """Raise this in the user's frame, in place of giving it the item. note: one more."""
        if self.settings.asked and not isinstance(error, KeyboardInterrupt):
            self.note_on(error, index, item)
        if note:
            error.add_note(note)
        self.begun = index + 1
        context = error.__context__
        try:
            if isinstance(error, StopIteration):
                yield self.raised_in_body(error, item)
            else:
                yield raises(error)
        finally:
            # Raising it has put there what the program is handling around the loop.
            error.__context__ = context

    def raised_in_body(self, error: StopIteration, item: Any) -> Iterable[Any]:
        """An item that has the user's frame raise this in place of taking it.

        Out of an iterator it would be the loop's end, and out of a generator another error.
        """
        self.frame.f_trace, self.frame.f_trace_opcodes = _Throw(self.frame, error), True
        sys.settrace(lambda *_: None)
        return (item,)

    # -- left out

    @property
    def skips(self) -> bool:
        """Whether iterations that raise are left out."""
        return self.settings.on_error != "raise"

    def leave_out(self, index: int, item: Any, raised: Any) -> Iterator[Iterable[Any]]:
        """Leave out an iteration that has raised: it binds the targets, and nothing else.

        raised: the exception, or as `errors.pack` makes it.
        """
        self.begun = index + 1
        if self.streams is not None:
            self.streams.used = True
        try:
            self.functions.targets(item)
        except Exception:
            # It has not come as far as the body; a `try` in there would not have caught it.
            self.variables.settle()
            yield self.given((item,), index)
            self.variables.by_worker = False
            return
        self.variables.leave_out(item)
        if self.settings.on_error == "collect":
            if not isinstance(raised, BaseException):
                raised = within(unpack(raised))
            self.note_on(raised, index, item)
            self.failures.append(Failure(index, item, raised))

    def failed(self, event: Halt) -> Iterator[Iterable[Any]]:
        """An iteration that no worker could finish, and that must not be tried here."""
        assert event.error is not None
        index, item = self.done, event.item
        if self.ahead is not None:
            self.ahead.say(index)
        if self.skips and isinstance(event.error, Exception):
            yield from self.leave_out(index, item, event.error)
        else:
            self.variables.leave_out(item)
            self.variables.settle()
            yield from self.raise_there(within(event.error), index, item)
        self.done += 1

    def say_what_was_left_out(self) -> None:
        """The loop is over: a word about what was collected."""
        if self.failures:
            found = collected(self.failures, "iteration")
            warnings.warn_explicit(found, type(found), self.site.filename, self.site.line)
