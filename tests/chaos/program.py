"""What a program of the chaos runs imports: the loop's parts, its work with planned faults, and
`watched`, which writes down what the program left.

$CHAOS holds the plan of the run as JSON. In a plain run (`plan["plain"]`) the names `parallel`,
`map`, `Pool` and so on stand for the plain loop, which the others are compared with.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import resource
import signal
import sys
import threading
import time
import traceback
import warnings
import zlib
from builtins import map as plain_map
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

__all__ = [
    "Executor",
    "Pool",
    "imap",
    "items",
    "map",
    "np",
    "options",
    "parallel",
    "stop",
    "watched",
    "work",
]

NOTHING = {
    "plain": True,
    "native": False,
    "face": "",
    "cost": 0,
    "memory": 0,
    "count": 0,
    "faults": {},
    "options": {},
    "skips": (),
    "stop": 0,
    "notes": "",
}
"""The plan where there is none, as when the tests are collected."""
PLAN: dict[str, Any] = json.loads(os.environ.get("CHAOS", "{}")) or NOTHING
PLAIN: bool = PLAN["plain"]
HOME = os.getpid()
NATIVE: bool = PLAN["native"]
"""In plain runs: whether the parallel run may have had no workers, so that none dies."""
POOL: bool = PLAN["face"] in ("Pool", "Executor") and not NATIVE
"""Whether nothing is tried twice, or done in this process."""
MEMORY: int = PLAN["memory"]
COST: float = PLAN["cost"]
FAULTS: dict[int, str] = {int(k): v for k, v in PLAN["faults"].items()}
SKIPPED = {k for k, v in FAULTS.items() if PLAIN and PLAN["skips"] and v in PLAN["skips"]}
SCRIPT = os.path.abspath(sys.argv[0])

items = list(range(PLAN["count"]))
options: dict[str, Any] = PLAN["options"]
stop: int = PLAN["stop"]


# -- the work, and what goes wrong in it


class Stays(float):
    """A result that cannot be pickled."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("stays where it is")


class WorkerDied(RuntimeError):
    """In plain runs: what a parallel one raises for an item that kills its worker."""


class MaybeEncodingError(Exception):
    """In plain runs: what Pool and Executor raise for a result that cannot be pickled."""


def work(x: int) -> float:
    """A number that costs COST seconds to find."""
    until = time.perf_counter() + COST
    while time.perf_counter() < until:
        pass
    if x in FAULTS:
        return go_wrong(x, FAULTS[x])
    return x * 1.5


def go_wrong(x: int, how: str) -> float:
    """What the plan has for an item that is to go wrong."""
    if how == "raises":
        raise ValueError("planned", x)
    if how == "exits":
        sys.exit(3)
    if how == "stays":
        if PLAIN and POOL:
            raise MaybeEncodingError(x)
        return Stays(x * 1.5)
    if PLAIN and not NATIVE and (how == "dies" or (POOL and how == "dies once")):
        raise WorkerDied(x)
    if PLAIN and not NATIVE and how == "hangs":
        raise TimeoutError(x)
    if PLAIN and not NATIVE and how == "eats":
        raise MemoryError(x)
    if not PLAIN and how == "eats":
        return x * 1.5 + bytearray(2 * MEMORY)[x]
    # The program leads a session, and its workers do not.
    if os.getpid() != os.getsid(0) and (not how.endswith("once") or first_time(x)):
        if how.startswith("hangs"):
            time.sleep(60)
        die(x)
    return x * 1.5


def first_time(x: int) -> bool:
    """Whether no worker has been here before."""
    try:
        os.close(os.open(f"{NOTES}/{x}", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def die(x: int) -> None:
    """End this process in one way or another."""
    how = x % 4
    if how == 0:
        os._exit(7)
    os.kill(os.getpid(), (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT)[how - 1])


# -- the plain loop's faces


class PlainPool:
    """Pool and Executor in plain runs."""

    def __init__(self, workers: int) -> None: ...
    def __enter__(self) -> PlainPool:
        return self

    def __exit__(self, *_: object) -> None: ...
    def map(self, function: Any, xs: Any) -> Any:
        return [function(x) for x in xs]

    def imap(self, function: Any, xs: Any) -> Any:
        return plain_map(function, xs)

    def submit(self, function: Any, x: Any) -> Any:
        return PlainFuture(function, x)

    def apply_async(self, function: Any, args: Any) -> Any:
        return PlainFuture(function, *args)


class PlainExecutor(PlainPool):
    def map(self, function: Any, xs: Any) -> Any:
        return plain_map(function, xs)


class PlainFuture:
    """Does its call when it is asked for the result."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def result(self) -> Any:
        return self.call[0](self.call[1])

    get = result


def plain_parallel(xs: Any, **_: Any) -> Any:
    return (x for x in xs if number(x) not in SKIPPED)


def number(x: Any) -> int:
    """Which item this is: a number, a tuple that begins with it, or an object that has it."""
    return int(x[0] if isinstance(x, tuple) else getattr(x, "x", x))


def plain_list(function: Any, xs: Any, **_: Any) -> Any:
    return [function(x) for x in plain_parallel(xs)]


def plain_lazy(function: Any, xs: Any, **_: Any) -> Any:
    return plain_map(function, plain_parallel(xs))


np: Any = None
NOTES: str = PLAN["notes"]
if PLAN["face"] == "arrays":
    import numpy as np
parallel: Any
map: Any
imap: Any
Pool: Any
Executor: Any
REPORTS: list[Any] = []
if PLAIN:
    parallel, map, imap = plain_parallel, plain_list, plain_lazy
    Pool, Executor = PlainPool, PlainExecutor
else:
    from allcores import Executor, Pool, imap, map, parallel
    from allcores.loop import listeners

    listeners.append(REPORTS.append)


# -- writing down what is left


def told(value: Any) -> str:
    """A value in words; equal for equal values of the same types."""
    if isinstance(value, (list, tuple)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return f"{kind}[{', '.join([told(v) for v in value])}]"
    if isinstance(value, dict):
        return f"{{{', '.join([f'{k!r}: {told(v)}' for k, v in value.items()])}}}"
    if type(value).__module__ == "numpy":
        return f"array {value.dtype} {value.shape} {zlib.crc32(value)}"
    if hasattr(value, "__dict__") and not isinstance(value, float):
        return f"{type(value).__name__}{told(vars(value))}"
    return repr(value)


def descriptors() -> set[str]:
    """The open descriptors of this process, as number and what it is."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{fd} {os.readlink(f'/proc/self/fd/{fd}')}")
        except OSError:
            pass
    return {f for f in found if "/proc/" not in f}


def settings() -> dict[str, Any]:
    """What is set for the whole process, and has to be as it was."""
    found: dict[str, Any] = {
        f"handler of signal {number}": repr(signal.getsignal(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGIO, signal.SIGALRM)
    }
    found["blocked signals"] = sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))
    found["timer"] = signal.getitimer(signal.ITIMER_REAL)[0] > 0
    found["cores"] = sorted(os.sched_getaffinity(0))
    found["garbage collection"] = gc.isenabled()
    found["streams"] = id(sys.stdout), id(sys.stderr), id(sys.excepthook)
    found["out of memory"] = Path("/proc/self/oom_score_adj").read_text()
    if np is not None:
        from threadpoolctl import threadpool_info

        found["threads"] = [pool["num_threads"] for pool in threadpool_info()]
    return found


def stand_by(count: int) -> None:
    """Have clean interpreters ready: the loop would be half over before they are."""
    from allcores.engine.interpreters import standby

    while len(standby.idle) < count:
        standby.prepare(count)
    while not all([worker.is_ready() or worker.gone() for worker in standby.idle]):
        time.sleep(0.001)


def end_standby() -> None:
    """Clean interpreters may stay after a loop."""
    interpreters: Any = sys.modules.get("allcores.engine.interpreters")
    if interpreters is not None:
        interpreters.standby.end_all()


class watched:
    """Marks the part of the program that is compared, and writes down how it ended."""

    def __enter__(self) -> None:
        self.states: list[str] = []
        self.warned: list[str] = []
        self.main: FrameType | None = None
        faulthandler.register(signal.SIGUSR1, all_threads=True)
        if os.environ.get("ALLCORES_ON") == "fresh":
            stand_by(3)
        warnings.simplefilter("always")
        warnings.showwarning = self.warn
        self.settings = settings()
        self.before = descriptors()
        frame = sys._getframe(1)
        if PLAIN:
            sys.settrace(self.trace)
            frame.f_trace = self.trace
        self.module = frame
        limit(PLAN["limits"])
        Path("ready").touch()

    def warn(self, message: Any, *_: Any) -> None:
        self.warned.append(str(message))

    def trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        """Notes the state at each line of the program: an interrupt may find any of these."""
        if frame.f_code.co_filename != SCRIPT:
            return None
        if frame.f_code.co_name == "program" or (frame is self.module and not self.main):
            self.main = frame
        if event == "line" and self.main is not None:
            self.note(self.main.f_locals)
        return self.trace

    def note(self, found: dict[str, Any]) -> None:
        state = told({name: found.get(name) for name in PLAN["carried"]})
        if not self.states or self.states[-1] != state:
            self.states.append(state)

    def __exit__(self, kind: Any, error: BaseException | None, tb: TracebackType | None) -> bool:
        for name, hard in HARD.items():
            resource.setrlimit(name, (hard, hard))
        changed = [f"{k}: {v}" for k, v in settings().items() if self.settings[k] != v]
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.settrace(None)
        found = self.found(tb)
        self.note(found)
        report = {
            "state": self.states[-1],
            "left": told({n: found.get(n, "unbound") for n in PLAN["left"]}) if not error else None,
            "error": type(error).__name__ if error is not None else None,
            "said": str(error),
            "traceback": "".join(traceback.format_exception(error)) if error else "",
            "warned": self.warned,
            "settings": changed,
            "in_workers": sum(r.in_workers for r in REPORTS),
            "replayed": sum(r.replayed for r in REPORTS),
        }
        if PLAIN:
            report["states"] = self.states
        self.write(report)
        if "log" in found:
            found["log"].close()
        # Every check after this one needs what the loop held to be let go.
        found.clear()
        del found, tb, kind
        if error is not None:
            traceback.clear_frames(error.__traceback__)
            error.__traceback__ = None
        error = None
        gc.collect()
        end_standby()
        until = time.monotonic() + 2
        while any((leaks := self.leaks()).values()) and time.monotonic() < until:
            time.sleep(0.01)
        report.update(leaks)
        self.write(report)
        return True

    def write(self, report: dict[str, Any]) -> None:
        Path("report.new").write_text(json.dumps(report))
        os.rename("report.new", "report")

    def found(self, tb: TracebackType | None) -> dict[str, Any]:
        """The variables of the loop's frame: the one of an exception, or those that are left."""
        module = self.module.f_locals
        while tb is not None:
            if tb.tb_frame.f_code.co_filename == SCRIPT and tb.tb_frame.f_code.co_name == "program":
                return dict(tb.tb_frame.f_locals)
            tb = tb.tb_next
        return dict(module.get("left") or module)

    def leaks(self) -> dict[str, Any]:
        """What is there that was not: descriptors, children, threads, memory files."""
        self.module.f_locals.get("left", {}).clear()
        for name in [
            *PLAN["carried"],
            *PLAN["left"],
            "pool",
            "executor",
            "future",
            "image",
            "star",
        ]:
            self.module.f_locals.pop(name, None)
        gc.collect()
        children = Path(f"/proc/self/task/{HOME}/children").read_text().split()
        maps = Path("/proc/self/maps").read_text()
        threads = [t.name for t in threading.enumerate() if t is not threading.main_thread()]
        kept = ("/log.txt", "/disk/journal", "/disk/journal-wal", "/disk/journal-shm")
        log = {f for f in descriptors() - self.before if not f.endswith(kept)}
        return {
            "descriptors": sorted(log),
            "children": children,
            "threads": threads,
            "memory files": sorted({m for m in maps.split() if "memfd" in m}),
        }


HARD: dict[int, int] = {}


def own_tasks() -> int:
    """How many processes and threads this user has."""
    count = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{pid}").st_uid == os.getuid():
                count += len(os.listdir(f"/proc/{pid}/task"))
        except OSError:
            pass
    return count


def limit(limits: dict[str, Any]) -> None:
    """Lower what the system allows this program.

    "descriptors", "processes": so many more than there are now; the latter in the control group
    whose folder is "group", or of this user.
    """
    if "processes" in limits and "group" not in limits:
        HARD[resource.RLIMIT_NPROC] = hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
        resource.setrlimit(resource.RLIMIT_NPROC, (own_tasks() + limits["processes"], hard))
    if "group" in limits:
        group = Path(limits["group"])
        threads = len(os.listdir("/proc/self/task"))
        (group / "pids.max").write_text(str(threads + limits["processes"]))
        (group / "cgroup.procs").write_text(str(os.getpid()))
    if "descriptors" in limits:
        top = max(int(fd) for fd in os.listdir("/proc/self/fd"))
        HARD[resource.RLIMIT_NOFILE] = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        hard = HARD[resource.RLIMIT_NOFILE]
        resource.setrlimit(resource.RLIMIT_NOFILE, (top + limits["descriptors"], hard))
    if "file size" in limits:
        HARD[resource.RLIMIT_FSIZE] = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        hard = HARD[resource.RLIMIT_FSIZE]
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits["file size"], hard))
