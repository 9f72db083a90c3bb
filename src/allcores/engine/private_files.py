"""Files that are this user's alone: opened so that nobody else can have put them there."""

from __future__ import annotations

import errno
import os
import stat
import time
from typing import Any

from allcores.engine.failures import JournalError

fcntl: Any
try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None


def identity_of(about: os.stat_result) -> tuple[int, int]:
    return about.st_dev, about.st_ino


def open_privately(path: str) -> int:
    """Open or make a file that nobody else can have put there or can write to."""
    if fcntl is None:
        raise JournalError("journals need a Unix system for now")
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise JournalError(
                f"{path} is a symbolic link; a journal must be a file itself"
            ) from None
        if error.errno == errno.ENXIO:
            raise JournalError(f"{path} is no regular file") from None
        raise
    try:
        about = os.fstat(file)
        if not stat.S_ISREG(about.st_mode):
            raise JournalError(f"{path} is no regular file")
        if about.st_uid != os.geteuid():
            raise JournalError(
                f"{path} belongs to another user: what a journal holds is run when it is read"
            )
        if about.st_nlink != 1:
            raise JournalError(
                f"{path} has another name as well (a hard link), so it may be somewhere else's file; "
                "copy it, and use the copy"
            )
        if about.st_mode & 0o022:
            raise JournalError(
                f"others may write to {path}: what a journal holds is run when it is read; "
                f"`chmod go-w` it if you trust what it holds"
            )
    except BaseException:
        os.close(file)
        raise
    return file


def refuse_open_folder(path: str) -> None:
    """Raise JournalError where others may put something in the place of files in this folder."""
    mode = os.stat(path).st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise JournalError(
            f"others may rename and replace files in {path}: what a journal holds is run when it is "
            "read; keep it in a folder of your own"
        )


PATIENCE = 1.0
"""Seconds to wait for a lock: the workers of a run that was just killed may still be ending."""


def take_lock(file: int, path: str) -> None:
    """Lock a file for this process. Raises JournalError where another one has done so."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until:
                break
        time.sleep(0.01)
    holder = _holder(os.fstat(file).st_ino)
    by = f" (process {holder})" if holder else ""
    raise JournalError(
        f"another run{by} is using the journal {path}; wait for its end, or give this run another"
    )


def _holder(inode: int) -> str:
    """The id of the process that has locked a file, where the system tells."""
    try:
        with open("/proc/locks") as locks:
            for line in locks:
                words = line.split()
                if "FLOCK" in words and words[-3].endswith(f":{inode}"):
                    return words[-4]
    except (OSError, IndexError):
        pass
    return ""


def private_folder(path: str) -> None:
    """Make a folder that is this user's alone, or see that it is. Raises JournalError and OSError."""
    if fcntl is None:
        raise JournalError("journals need a Unix system for now")
    try:
        os.makedirs(path, mode=0o700)
        return
    except FileExistsError:
        pass
    link = os.lstat(path)
    if stat.S_ISLNK(link.st_mode) and link.st_uid not in (os.geteuid(), 0):
        raise JournalError(f"{path} is a symbolic link that another user made")
    about = os.stat(path)
    if about.st_uid != os.geteuid():
        raise JournalError(f"{path} belongs to another user; a journal needs a folder of your own")
    if about.st_mode & 0o002:
        raise JournalError(f"others may write to {path}; a journal needs a folder of your own")
