"""Output made inside workers: caught there, and put out in order in the user's process."""

from __future__ import annotations

import io
import os
import sys
import warnings
from typing import Any


class Capture(io.TextIOBase):
    """Stands in for sys.stdout or sys.stderr in a worker."""

    def __init__(self, relay: Tape, number: int, original: Any) -> None:
        self.relay, self.number, self.original = relay, number, original

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if text:
            self.relay.pieces.append((self.number, text))
        return len(text)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return bool(self.original is not None and self.original.isatty())

    def fileno(self) -> int:
        return int(self.original.fileno())

    @property
    def buffer(self) -> Any:
        """Bytes written past the text layer cannot be put in order: counted as leaked."""
        self.relay.bypassed = True
        return io.BytesIO()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self.original, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return getattr(self.original, "errors", None) or "strict"


class Tape:
    """What was written, in order: (1 for stdout or 2 for stderr, text)."""

    def __init__(self) -> None:
        self.pieces: list[tuple[int, str]] = []
        self.bypassed = False

    def take(self) -> list[tuple[int, str]]:
        """What was written since the last call, in order."""
        if not self.pieces:
            return []
        pieces, self.pieces = self.pieces, []
        merged: list[tuple[int, str]] = []
        for number, text in pieces:
            if merged and merged[-1][0] == number:
                merged[-1] = (number, merged[-1][1] + text)
            else:
                merged.append((number, text))
        return merged


class Relay(Tape):
    """Catches what a worker writes and warns."""

    def __init__(self) -> None:
        super().__init__()
        self.shown = False
        self.file = -1
        self.olds: list[Any] = []

    def install(self) -> None:
        """Take over the standard streams of this (worker) process."""
        self.file = os.memfd_create("allcores-output", os.MFD_CLOEXEC)
        replaced = {}
        targets = {1, 2}
        for number, name in ((1, "stdout"), (2, "stderr")):
            old = getattr(sys, name)
            capture = Capture(self, number, old)
            replaced[id(old)] = capture
            self.olds.append(old)
            setattr(sys, name, capture)
            try:
                targets.add(old.fileno())
            except (AttributeError, OSError, ValueError):
                pass
        for fd in targets:
            try:
                os.dup2(self.file, fd)
            except OSError:
                pass
        self.point_handlers(replaced)
        warnings.showwarning = self.show_warning

    def point_handlers(self, replaced: dict[int, Capture]) -> None:
        """Logging handlers hold the streams themselves."""
        for reference in list(getattr(sys.modules.get("logging"), "_handlerList", [])):
            handler = reference()
            stream = getattr(handler, "stream", None)
            if stream is not None and id(stream) in replaced:
                handler.stream = replaced[id(stream)]

    def show_warning(self, *args: Any, **kwargs: Any) -> None:
        self.shown = True

    def leaked(self) -> bool:
        """Whether something was written past the captures since the last call."""
        for old in self.olds:
            try:
                old.flush()
            except (AttributeError, OSError, ValueError):
                pass
        found = self.bypassed or os.fstat(self.file).st_size > 0
        if found:
            os.ftruncate(self.file, 0)
            self.bypassed = False
        return found

    def warned(self) -> bool:
        """Whether a warning was shown since the last call."""
        found, self.shown = self.shown, False
        return found
