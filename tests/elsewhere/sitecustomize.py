"""Takes away from this Python what it has not on another system: see `test_elsewhere.py`.

Python imports this by itself when it starts with this folder on its path. SYSTEM: "win32" or "darwin".
"""

from __future__ import annotations

import builtins
import fcntl
import io
import os
import resource
import select
import signal
import socket
import subprocess  # noqa: F401
import sys
import tempfile  # noqa: F401  # this and subprocess have C parts of their own on Windows
from collections.abc import Callable
from typing import Any

SYSTEM = os.environ["SYSTEM"]
NOT_ON_A_MAC = {
    os: """memfd_create pidfd_open sched_getaffinity sched_setaffinity pipe2 O_PATH eventfd
        posix_fadvise copy_file_range getrandom MFD_CLOEXEC eventfd_write eventfd_read EFD_NONBLOCK
        EFD_CLOEXEC waitid sched_yield""",
    select: "epoll",
    fcntl: "F_SETSIG F_GETSIG F_ADD_SEALS",
    resource: "RUSAGE_THREAD",
    socket: "SOCK_CLOEXEC MSG_CMSG_CLOEXEC",
    signal: "pidfd_send_signal SIGPWR SIGPOLL SIGRTMIN sigtimedwait sigwaitinfo",
}
NOT_ON_WINDOWS = {
    os: """fork forkpty register_at_fork posix_spawn posix_spawnp getuid geteuid getgid getegid
        fchmod fchown fchdir chown mkfifo uname wait wait3 wait4 waitid WNOHANG WIFEXITED WIFSIGNALED
        WEXITSTATUS WTERMSIG killpg getpgid setsid getloadavg sysconf confstr statvfs nice
        O_NOFOLLOW O_CLOEXEC O_NONBLOCK O_ASYNC O_DIRECTORY sendfile preadv pwritev""",
    select: "poll",
    signal: """SIGKILL SIGHUP SIGQUIT SIGUSR1 SIGUSR2 SIGALRM SIGIO SIGCHLD SIGPIPE SIGSTOP SIGCONT
        pthread_sigmask pthread_kill setitimer getitimer alarm siginterrupt SIG_BLOCK SIG_UNBLOCK
        SIG_SETMASK sigpending sigwait ITIMER_REAL""",
    socket: "AF_UNIX send_fds recv_fds SCM_RIGHTS CMSG_SPACE CMSG_LEN",
}
NO_MODULES = "fcntl resource pwd grp termios tty pty syslog nis crypt".split()


def take_away(names: dict[Any, str]) -> None:
    """Have modules without these names."""
    for module, gone in names.items():
        for name in gone.split():
            if hasattr(module, name):
                delattr(module, name)


def without_proc(function: Callable[..., Any]) -> Callable[..., Any]:
    """As a function that takes a path, where there are no such files as Linux has."""

    def instead(path: Any = ".", *given: Any, **how: Any) -> Any:
        if isinstance(path, (str, bytes)) and os.fsdecode(path).startswith(("/proc", "/sys")):
            raise FileNotFoundError(2, "No such file or directory", path)
        return function(path, *given, **how)

    return instead


for name in ("open", "stat", "lstat", "listdir", "scandir", "readlink"):
    setattr(os, name, without_proc(getattr(os, name)))
builtins.open = io.open = without_proc(open)  # type: ignore[assignment]
take_away(NOT_ON_A_MAC)
sys.platform = SYSTEM
if SYSTEM == "win32":
    import mmap

    take_away(NOT_ON_WINDOWS)
    take_away({mmap: "MAP_SHARED MAP_PRIVATE MAP_ANONYMOUS MAP_ANON PROT_READ PROT_WRITE"})
    for name in NO_MODULES:
        sys.modules[name] = None  # type: ignore[assignment]
