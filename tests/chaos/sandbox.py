"""What the runs need of the system: a /dev/shm and a full disk of their own, and few processes."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

CLONE_NEWNS = 0x00020000
PIDS = (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup"))


def own_mounts() -> bool:
    """Let this process mount what nobody else sees, and give it a /dev/shm of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0 or os.environ.get("CHAOS_MOUNTS") == "0" or libc.unshare(CLONE_NEWNS) != 0:
        return False
    try:
        _run("mount", "--make-rprivate", "/")
        _run("mount", "-t", "tmpfs", "chaos-shm", "/dev/shm")
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[None]:
    """Make a folder a disk of so many kilobytes."""
    _run("mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "chaos-disk", str(folder))
    try:
        yield
    finally:
        _run("umount", str(folder))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class FewProcesses:
    """A control group that will allow few processes; its folder, if there can be one."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        for top in PIDS if os.environ.get("CHAOS_MOUNTS") != "0" else ():
            if (top / "cgroup.procs").exists():
                folder = top / f"allcores-chaos-{uuid.uuid4().hex[:8]}"
                with contextlib.suppress(OSError):
                    folder.mkdir()
                    if (folder / "pids.max").exists():
                        self.folder = folder
                        return
                    folder.rmdir()

    def remove(self) -> None:
        if self.folder is not None:
            with contextlib.suppress(OSError):
                self.folder.rmdir()
