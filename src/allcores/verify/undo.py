"""What a twin does to files: done to copies, or undone."""

from __future__ import annotations

import gc
import hashlib
import io
import os
import stat
import sys
from typing import Any

fcntl: Any
try:
    import fcntl
except ImportError:  # on Windows, where there are no twins
    fcntl = None

_MOST_BYTES = 256 << 20
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

State = bytes | str | None
"""What a path was: a file's contents, "directory", "big", or nothing."""
Changes = dict[str, tuple[State, State]]
"""Of each path that was changed: what it was before, and after."""


def own_descriptors() -> None:
    """Give this forked process its own copies of the files that are open, each at its place.

    Otherwise a twin would move the position in the parent's files, and write to them.
    """
    for descriptor in open_files():
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        at = os.lseek(descriptor, 0, os.SEEK_CUR)
        if flags & os.O_ACCMODE == os.O_RDONLY:
            copy = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY)
        else:
            copy = _copied(descriptor)
            fcntl.fcntl(copy, fcntl.F_SETFL, flags & os.O_APPEND)
        os.lseek(copy, at, os.SEEK_SET)
        os.dup2(copy, descriptor, os.get_inheritable(descriptor))
        os.close(copy)
    if not stat.S_ISREG(os.fstat(0).st_mode):
        # What is typed is the program's.
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)


def open_files() -> list[int]:
    """The descriptors of the regular files that are open, but for those of allcores."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            kind = os.fstat(int(name)).st_mode
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if stat.S_ISREG(kind) and not target.startswith("/memfd:allcores-verify "):
            found.append(int(name))
    return sorted(found)


def _copied(descriptor: int) -> int:
    copy = os.memfd_create("copy")
    size = os.fstat(descriptor).st_size
    if size > _MOST_BYTES:
        os.ftruncate(copy, size)
        return copy
    # Through /proc, for the descriptor itself may be for writing only.
    try:
        source = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY)
    except OSError:
        return copy
    at = 0
    while at < size:
        at += os.sendfile(copy, source, at, size - at) or size
    os.close(source)
    return copy


def written_files() -> dict[int, str]:
    """The descriptors of regular files open for writing, with their names; not stdout, stderr."""
    standard = {_identity(number) for number in (1, 2)}
    return {
        each: os.readlink(f"/proc/self/fd/{each}")
        for each in open_files()
        if fcntl.fcntl(each, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
        and _identity(each) not in standard
    }


def _identity(descriptor: int) -> tuple[int, int]:
    state = os.fstat(descriptor)
    return state.st_dev, state.st_ino


def flush_files() -> None:
    """Write out what the program's open files hold back."""
    kinds = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)
    for each in gc.get_objects():
        if issubclass(type(each), kinds):
            try:
                each.flush()
            except (OSError, ValueError, RuntimeError):
                pass


def digest_of(descriptor: int) -> str:
    """A text that stands for what an open file holds, and where in it the program is."""
    try:
        source = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY)
    except OSError:
        return "unreadable"
    with open(source, "rb") as file:
        digest = hashlib.file_digest(file, "blake2b").hexdigest()[:12]
        size = file.seek(0, os.SEEK_END)
    return f"{size:,} bytes (digest {digest})"


# -- files named by the loop itself


class Journal:
    """Keeps what the paths that a twin changes were before, to put it back."""

    def __init__(self) -> None:
        self.before: dict[str, State] = {}
        self.on = True

    def watch(self) -> None:
        """From now on, see each change beforehand. Cannot be taken back: for twins only."""
        sys.addaudithook(self._see)

    def _see(self, event: str, given: tuple[Any, ...]) -> None:
        if not self.on or event not in _EVENTS:
            return
        if event == "open" and not (given[2] or 0) & _WRITES:
            return
        for path in given[: _EVENTS[event]]:
            if isinstance(path, (str, bytes, os.PathLike)):
                self.note(os.path.abspath(os.fsdecode(path)))

    def note(self, path: str) -> None:
        """Remember what is there now."""
        if path not in self.before and not path.startswith(("/dev/", "/proc/")):
            self.before[path] = state_of(path)

    def changes(self) -> Changes:
        """What was there before and what is there now, of all that may have changed."""
        self.on = False
        return {path: (state, state_of(path)) for path, state in self.before.items()}


_EVENTS = {
    "open": 1,
    "os.remove": 1,
    "os.rename": 2,
    "os.mkdir": 1,
    "os.rmdir": 1,
    "os.truncate": 1,
    "os.link": 2,
    "os.symlink": 2,
}


def state_of(path: str) -> State:
    """What is at a path."""
    try:
        if os.path.isdir(path):
            return "directory"
        if not os.path.isfile(path):
            return None
        if os.path.getsize(path) > _MOST_BYTES:
            return "big"
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return "big"


def put_back(states: dict[str, State]) -> None:
    """Make these paths what they were."""
    for path, state in states.items():
        if state == "directory":
            os.makedirs(path, exist_ok=True)
    for path, state in states.items():
        if isinstance(state, bytes) and state_of(path) != state:
            with open(path, "wb") as file:
                file.write(state)
    for path in sorted(states, key=len, reverse=True):
        if states[path] is None and os.path.lexists(path):
            try:
                os.rmdir(path) if os.path.isdir(path) else os.unlink(path)
            except OSError:
                pass
