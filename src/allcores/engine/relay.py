"""What workers print, warn and log: caught there, and put out in order in the user's process.

A worker notes each piece on a tape: text for a standard stream, a flush, a warning, a log record.
The tape travels with the iteration's results, and `put_out` does in the user's process what the
plain loop would have done at that place: writes, warns through the filters and registries of this
process, hands the record to the logger, whose filters and handlers only ever run here.
"""

from __future__ import annotations

import io
import os
import pickle
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

from allcores.engine import packing
from allcores.engine.wire import memory_file

STDOUT, STDERR, WARNING, FORGET, RECORD, CONFIGURE, LATER, DISPLAY = range(1, 9)
"""Kinds of pieces. DISPLAY: what IPython's `display` shows, or clears away. FORGET: warnings once shown may be shown again, as after `catch_warnings`.
CONFIGURE: `logging.warning(·)` and the like, which set up logging where nobody has. LATER: something
of this process, to be called."""

Piece = tuple[int, str | bytes | Callable[[], object] | None]
"""A stream's text, or None to flush it; what else is sent is pickled."""

beside_ipython = False
"""Whether this is a clean interpreter, and the program is in IPython, which is not running here."""

_here = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")


own_thread: int | None = None
"""In a clean interpreter: the thread that stands for the one that the loop runs in."""
THE_LOOPS = -1
"""In place of that one's number, which only the program knows."""


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

    def flush(self) -> None:
        if self.relay.pieces[-1:] != [(self.number, None)]:
            self.relay.pieces.append((self.number, None))

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


def _nothing() -> None: ...


class Tape:
    """What was said, in order."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.bypassed = False
        self.plain = {STDOUT, STDERR}
        """Streams of Python's own, to which two texts are the same as one."""

    def take(self) -> list[Piece]:
        """What was said since the last call, in order."""
        if not self.pieces:
            return []
        pieces, self.pieces = self.pieces, []
        merged: list[Piece] = []
        for number, what in pieces:
            before = merged[-1][1] if merged and merged[-1][0] == number else None
            if number in self.plain and isinstance(before, str) and isinstance(what, str):
                merged[-1] = (number, before + what)
            else:
                merged.append((number, what))
        return merged


class Relay(Tape):
    """Catches what a worker says."""

    def __init__(self, namespace: dict[str, Any] | None = None) -> None:
        """namespace: the variables of the module that the work stands in, where that is known."""
        super().__init__()
        self.namespace = namespace
        self.odd = ""
        """What was said that cannot be put in its place from afar; in words."""
        self.file = -1
        self.olds: list[Any] = []
        self.owner = os.getpid()
        self.logging: Any = None
        self.forgotten: Callable[[], None] = _nothing
        """Has every warning be shown once more."""
        self.began_logging = True
        self.ready_for_ipython = False
        self.undo: list[Callable[[], object]] = []
        """What puts back what was replaced, in the order of replacing."""

    def uninstall(self) -> None:
        """Put back what `install` took over, in a worker that stays for another job."""
        while self.undo:
            self.undo.pop()()

    def replace(self, place: Any, name: str, value: Any) -> None:
        """Put this in a place of this process, until it is put back."""
        self.undo.append(partial(setattr, place, name, getattr(place, name)))
        setattr(place, name, value)

    def install(self) -> None:
        """Take over the standard streams, warnings and logging of this (worker) process."""
        self.file = memory_file("allcores-output")
        self.undo.append(partial(os.close, self.file))
        targets = {1, 2}
        for number, name in ((STDOUT, "stdout"), (STDERR, "stderr")):
            old = getattr(sys, name)
            capture = Capture(self, number, old)
            self.olds.append(old)
            if not isinstance(old, (io.TextIOWrapper, io.StringIO)):
                self.plain.discard(number)
            self.replace(sys, name, capture)
            try:
                # Whoever holds the stream itself, such as a default argument.
                old.write, old.flush = capture.write, capture.flush
                self.undo.append(partial(_release, old))
                targets.add(old.fileno())
            except (AttributeError, OSError, ValueError):
                pass
        for fd in targets:
            try:
                before = os.dup(fd)
                os.dup2(self.file, fd)
                self.undo.append(partial(_back, before, fd))
            except OSError:
                pass
        self.listen_to_warnings()
        self.began_logging = "logging" in sys.modules
        self.listen_to_logging()
        self.listen_to_displays()

    def leaked(self) -> bool:
        """Whether something was written past the captures since the last call."""
        self.flush_streams()
        found = self.bypassed or os.fstat(self.file).st_size > 0
        if found:
            os.ftruncate(self.file, 0)
            self.bypassed = False
        return found

    def flush_streams(self) -> None:
        """Have what was written to the streams themselves come to the file."""
        for old in self.olds:
            try:
                type(old).flush(old)
            except (AttributeError, OSError, ValueError):
                pass

    def oddity(self) -> str:
        """In words what was said since the last call that has to be said by the plain loop."""
        if not self.began_logging and "logging" in sys.modules:
            # It was imported, and perhaps set up, by the first iteration that needs it.
            self.began_logging = True
            self.listen_to_logging()
            if self.pieces or sys.modules["logging"].getLogger().handlers:
                self.odd = "logging was first imported within the loop"
        if beside_ipython and not self.ready_for_ipython and self.miss_ipython():
            self.odd = "IPython was first imported within the loop"
        found, self.odd = self.odd, ""
        return found

    # -- warnings

    def listen_to_warnings(self) -> None:
        self.replace(warnings, "showwarning", self.show_warning)
        forget: Any = getattr(warnings, "_filters_mutated", None)
        if forget is None:
            return

        def note() -> None:
            if self.pieces[-1:] != [(FORGET, None)]:
                self.pieces.append((FORGET, None))
            forget()

        self.forgotten = forget
        self.replace(warnings, "_filters_mutated", note)

    def before_chunk(self) -> None:
        """Whether a warning has been shown already is for the user's process to know."""
        self.forgotten()
        once = getattr(warnings, "onceregistry", None)
        if once:
            once.clear()

    def show_warning(
        self, message: Any, category: Any, filename: str, lineno: int, *_: Any, **__: Any
    ) -> None:
        home = self.home(sys._getframe(1), filename, lineno)
        try:
            if home is None:
                raise LookupError
            data = packing.dumps((message, category, filename, lineno, home))
            pickle.loads(data)
        except Exception:
            self.odd = "a warning that cannot be sent was given"
        else:
            self.pieces.append((WARNING, data))

    def home(self, frame: FrameType | None, filename: str, lineno: int) -> str | None:
        """The module that a warning is about; None where it is not one that has been called here."""
        # A loop within this one may have given it, about its own line.
        while frame is not None and frame.f_code.co_filename.startswith((_here, warnings.__file__)):
            frame = frame.f_back
        while frame is not None:
            code = frame.f_code
            if code.co_filename.startswith(_here):
                return None  # beyond it are other frames than in the plain loop
            if code.co_filename == filename and frame.f_lineno == lineno:
                if frame.f_globals is self.namespace:
                    return ""
                name = frame.f_globals.get("__name__")
                module = sys.modules.get(name) if isinstance(name, str) else None
                return name if module and vars(module) is frame.f_globals else None
            frame = frame.f_back
        return None

    # -- notebooks

    def listen_to_displays(self) -> None:
        """A notebook's kernel drops what a fork of it sends to the page."""
        shell = ipython()
        if shell is None:
            if beside_ipython:
                self.miss_ipython()
            return
        publisher = shell.display_pub
        for name in ("publish", "clear_output"):
            if hasattr(publisher, name):
                self.replace(publisher, name, partial(self.show, name))
        session = getattr(getattr(shell, "kernel", None), "session", None)
        if session is not None:
            self.replace(session, "send", self.cannot_send)

    def miss_ipython(self) -> bool:
        """In a clean interpreter, where IPython is not running: have what needs it done by the plain
        loop. Gives whether this could be done: not before that is imported."""
        module = sys.modules.get("IPython.core.interactiveshell")
        if module is None and "IPython.core.display_functions" in sys.modules:
            import IPython.core.interactiveshell as module
        shell = getattr(module, "InteractiveShell", None)
        self.ready_for_ipython = shell is not None
        if shell is not None:
            self.replace(shell, "initialized", self.is_asked_for_ipython)
        return self.ready_for_ipython

    def is_asked_for_ipython(self) -> bool:
        self.odd = "something was displayed, or IPython was asked for"
        return False

    def show(self, name: str, *given: Any, **how: Any) -> None:
        try:
            self.pieces.append((DISPLAY, pickle.dumps((name, given, how), protocol=5)))
        except Exception:
            self.odd = "something that cannot be sent was displayed"

    def cannot_send(self, *_: Any, **__: Any) -> None:
        """In place of the kernel's way to send what widgets and the like show."""
        self.odd = "a widget, or something like it, was shown or changed"

    # -- logging

    def listen_to_logging(self) -> None:
        logging: Any = sys.modules.get("logging")
        self.logging = logging
        if logging is None:
            return
        configure = logging.basicConfig

        def handle(logger: Any, record: Any) -> None:
            self.log(logger, record)

        def basic_config(**how: Any) -> None:
            if how.get("force") or not logging.getLogger().handlers:
                if how:
                    self.odd = "logging was set up within the loop"
                    configure(**how)
                else:
                    self.pieces.append((CONFIGURE, None))

        self.replace(logging.Logger, "handle", handle)
        self.replace(logging, "basicConfig", basic_config)

    def log(self, logger: Any, record: Any) -> None:
        """Note a record that a logger is to handle in the user's process."""
        logging = self.logging
        plain = (
            logging.getLogger(logger.name) is logger
            and logging.getLogRecordFactory() is logging.LogRecord
            and type(logger).callHandlers is logging.Logger.callHandlers
        )
        try:
            if not plain or record.exc_info or record.stack_info:
                raise TypeError
            if record.process is not None:
                record.process = self.owner
            if record.thread is not None and record.thread == own_thread:
                record.thread = THE_LOOPS
            data = packing.dumps(record)
        except Exception:
            what = "with a traceback" if record.exc_info or record.stack_info else "of its own kind"
            self.odd = f"a log record {what}, which cannot be sent, was made"
        else:
            self.pieces.append((RECORD, data))


def _release(stream: Any) -> None:
    """Have a stream write for itself again."""
    del stream.write, stream.flush


def _back(before: int, fd: int) -> None:
    """Have a descriptor be what it was, which was kept as another one."""
    os.dup2(before, fd)
    os.close(before)


def ipython() -> Any:
    """The running IPython, of a notebook or a terminal; None where there is none."""
    module = sys.modules.get("IPython.core.interactiveshell")
    return getattr(getattr(module, "InteractiveShell", None), "_instance", None)


# -- in the user's process


def put_out(number: int, what: Any, namespace: dict[str, Any] | None = None) -> None:
    """Do here what was noted in a worker. namespace: as in Relay."""
    if number in (STDOUT, STDERR):
        stream = sys.stdout if number == STDOUT else sys.stderr
        if stream is not None:
            if what is None:
                stream.flush()
            else:
                stream.write(what)
    elif number == LATER:
        what()
    elif number == DISPLAY:
        name, given, how = pickle.loads(what)
        getattr(ipython().display_pub, name)(*given, **how)
    elif number == WARNING:
        message, category, filename, lineno, home = pickle.loads(what)
        module = sys.modules.get(home)
        own = namespace if home == "" else None
        variables = own or (_elsewhere if module is None else vars(module))
        _warn(message, category, filename, lineno, variables)
    elif number == FORGET:
        forget = getattr(warnings, "_filters_mutated", None)
        if forget is not None:
            forget()
    elif number == RECORD:
        record = pickle.loads(what)
        if record.process is not None:
            record.process = os.getpid()  # it may be one of an earlier run
        if record.thread == THE_LOOPS:
            thread = threading.current_thread()
            record.thread, record.threadName = thread.ident, thread.name
        sys.modules["logging"].getLogger(record.name).handle(record)
    else:
        logging: Any = sys.modules["logging"]
        if not logging.getLogger().handlers:
            logging.basicConfig()


def _warn(
    message: Warning, category: type[Warning], filename: str, lineno: int, variables: dict[str, Any]
) -> None:
    """Warn as code of the module with these variables did: what was shown before counts."""
    warnings.warn_explicit(
        message,
        category,
        filename,
        lineno,
        module=variables.get("__name__") or "<string>",
        registry=variables.setdefault("__warningregistry__", {}),
    )


_elsewhere: dict[str, Any] = {}
"""Stands for the variables of modules that only workers have imported."""


@contextmanager
def said_later(tape: Tape) -> Iterator[None]:
    """Warnings given and records made inside are kept, to be shown and handled when it is time."""
    show, logging = warnings.showwarning, sys.modules.get("logging")

    def show_later(*given: Any, **how: Any) -> None:
        tape.pieces.append((LATER, partial(show, *given, **how)))

    warnings.showwarning = show_later
    handle: Any = logging.Logger.handle if logging is not None else None

    def handle_later(logger: Any, record: Any) -> None:
        tape.pieces.append((LATER, partial(handle, logger, record)))

    if logging is not None:
        logging.Logger.handle = handle_later
    try:
        yield
    finally:
        # A program may put another one there while it makes an item.
        if warnings.showwarning is show_later:
            warnings.showwarning = show
        if logging is not None and logging.Logger.handle is handle_later:
            logging.Logger.handle = handle
