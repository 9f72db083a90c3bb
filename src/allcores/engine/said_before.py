"""Silence for work that is done again in the user's process: what it says has been said."""

from __future__ import annotations

import io
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

from allcores.engine import relay


class _Silence:
    """What has been replaced, as long as any thread is inside; other threads are heard."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.inside: list[int] = []
        """The threads, each as often as it has entered."""
        self.replaced: list[tuple[Any, str, Any, Any]] = []
        """Places, names, what stands there and what stood there before."""

    def enter(self) -> bool:
        """Gives whether the streams could be silenced."""
        with self.lock:
            self.inside.append(threading.get_ident())
            done = [
                self.replace(stream, name, silent)
                for stream in (sys.stdout, sys.stderr)
                for name, silent in (("write", len), ("flush", _nothing))
            ]
            self.replace(warnings, "showwarning", _nothing)
            logging = sys.modules.get("logging")
            if logging is not None:
                self.replace(logging.Logger, "handle", _nothing)
            publisher = getattr(relay.ipython(), "display_pub", None)
            for name in ("publish", "clear_output"):
                self.replace(publisher, name, _nothing)
            return all(done)

    def replace(self, place: Any, name: str, silent: Callable[..., object]) -> bool:
        """Have an attribute do something silent for the threads that are inside, where it can."""
        loud = getattr(place, name, None)
        if loud is None or any(loud == ours for _, _, ours, _ in self.replaced):
            return True
        inside = self.inside

        def either(*given: Any, **how: Any) -> Any:
            # Of methods of a class, the first argument is the object.
            quiet = threading.get_ident() in inside
            return silent(*given) if quiet else loud(*given, **how)

        before = vars(place).get(name, _nothing) if hasattr(place, "__dict__") else _nothing
        try:
            setattr(place, name, either)
        except (AttributeError, TypeError):
            return False
        self.replaced.append((place, name, either, before))
        return True

    def leave(self) -> None:
        with self.lock:
            self.inside.remove(threading.get_ident())
            if self.inside:
                return
            while self.replaced:
                place, name, ours, before = self.replaced.pop()
                if vars(place).get(name) is not ours:
                    continue  # somebody has put another one there
                if before is _nothing:
                    delattr(place, name)
                else:
                    setattr(place, name, before)


def _nothing(*_: Any) -> None: ...


_silence = _Silence()


@contextmanager
def silence() -> Iterator[None]:
    """What this thread prints, warns of, logs and displays inside is dropped."""
    try:
        if _silence.enter():
            yield
        else:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                yield
    finally:
        _silence.leave()
