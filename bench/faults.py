"""The same faults under multiprocessing, concurrent.futures, joblib, mpire and allcores.

`python bench/faults.py` tries them all and writes the table of docs/failures.md; with words as
arguments it tries the faults and libraries with such names only, and prints.

Each is a program of its own: 40 short items, results taken one by one in the way that the library
documents, so that what was done before a fault can be kept. It has 20 seconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import uuid
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

LIMIT = 20.0
ITEMS = 40
CULPRIT = 21
"""The item that goes wrong. Items are numbered from 1000, so that a text that names it is told."""
PAGE = Path(__file__).parents[1] / "docs" / "failures.md"
BEGIN, END = "<!-- made by: python bench/faults.py -->", "<!-- end of what it made -->"


class Fault(NamedTuple):
    """What goes wrong: the body of `work` for the culprit, and what else differs."""

    name: str
    does: str = "pass"
    function: str = "work"
    items: str = "list(range(1000, 1040))"
    seconds: float = 0.005
    interrupt: bool = False
    hangs: bool = False


ONCE = """
if not os.path.exists('was here'):
    open('was here', 'w').close()
    os.kill(os.getpid(), signal.SIGKILL)
"""
FAULTS = (
    Fault("Ctrl-C in a terminal", seconds=0.2, interrupt=True),
    Fault("a worker is killed (SIGKILL), once", ONCE),
    Fault("an item kills its worker (SIGKILL)", "os.kill(os.getpid(), signal.SIGKILL)"),
    Fault("segfault in an item", "ctypes.string_at(0)"),
    Fault("`os._exit` in an item", "os._exit(1)"),
    Fault("stack overflow in an item", "deeper()"),
    Fault("exception that does not unpickle", "raise Odd('a', 'b')"),
    Fault("`sys.exit` in an item", "sys.exit(3)"),
    Fault("unpicklable result", "return lambda: x"),
    Fault(
        "unpicklable argument",
        items="[*range(1000, 1021), Locked(1021), *range(1022, 1040)]",
    ),
    Fault("lambda as the function", function="lambda x: work(x)"),
    Fault("method of an object with a lock and an open file", function="Owner().work"),
    Fault("an item that hangs, and a timeout", "time.sleep(1000)", hangs=True),
)

PROGRAM = """
import ctypes, json, os, resource, signal, sys, threading, time, warnings
warnings.simplefilter("ignore")

class Odd(Exception):
    def __init__(self, a, b):
        super().__init__(f"{{a}} and {{b}}")

class Locked(int):
    def __init__(self, x):
        self.lock = threading.Lock()

class Owner:
    def __init__(self):
        self.lock, self.log = threading.Lock(), open("log", "w")
    def work(self, x):
        with self.lock:
            return work(x)

def deeper():
    sys.setrecursionlimit(10**9)
    resource.setrlimit(resource.RLIMIT_STACK, (1 << 18, -1))
    return ctypes.CFUNCTYPE(ctypes.c_int)(deeper)()

def work(x):
    until = time.perf_counter() + {seconds}
    while time.perf_counter() < until:
        pass
    if x == 1021:
{does}
    return x + 0

def main(function, items, results):
{use}

if __name__ == "__main__":
    results, error = [], None
    print("ready", flush=True)
    if {interrupt}:
        main({function}, {items}, results)
        sys.exit()
    began = time.monotonic()
    try:
        main({function}, {items}, results)
    except BaseException as e:
        error = e
    seconds = time.monotonic() - began
    kept = [r() if callable(r) else int(r) for r in results]
    said = "" if error is None else " ".join([str(error), *getattr(error, "__notes__", ())])
    print(json.dumps(dict(
        kept=len(kept), right=kept == list(range(1000, 1000 + len(kept))), seconds=seconds,
        error=error and type(error).__name__,
        named=any(t in said for t in ("1021", "iteration 21", "task 21", "item 21")),
    )), flush=True)
"""


class Library(NamedTuple):
    """How a library is used; `timed` where it is told how long an item may take."""

    name: str
    use: str
    timed: str


LIBRARIES = (
    Library(
        "multiprocessing `Pool.imap`",
        """
        from multiprocessing import Pool
        with Pool(2) as pool:
            for r in pool.imap(function, items):
                results.append(r)
        """,
        """
        from multiprocessing import Pool
        with Pool(2) as pool:
            given = pool.imap(function, items)
            while len(results) < len(items):
                results.append(given.next(timeout=1))
        """,
    ),
    Library(
        "`concurrent.futures` map",
        """
        from concurrent.futures import ProcessPoolExecutor
        with ProcessPoolExecutor(2) as executor:
            for r in executor.map(function, items):
                results.append(r)
        """,
        """
        from concurrent.futures import ProcessPoolExecutor
        with ProcessPoolExecutor(2) as executor:
            for r in executor.map(function, items, timeout=2):
                results.append(r)
        """,
    ),
    Library(
        "joblib `Parallel`",
        """
        from joblib import Parallel, delayed
        for r in Parallel(n_jobs=2, return_as="generator")(delayed(function)(x) for x in items):
            results.append(r)
        """,
        """
        from joblib import Parallel, delayed
        parallel = Parallel(n_jobs=2, return_as="generator", timeout=1)
        for r in parallel(delayed(function)(x) for x in items):
            results.append(r)
        """,
    ),
    Library(
        "mpire `imap`",
        """
        from mpire import WorkerPool
        with WorkerPool(2) as pool:
            for r in pool.imap(function, items):
                results.append(r)
        """,
        """
        from mpire import WorkerPool
        with WorkerPool(2) as pool:
            for r in pool.imap(function, items, task_timeout=1):
                results.append(r)
        """,
    ),
    Library(
        "`allcores.parallel`",
        """
        from allcores import parallel
        for x in parallel(items, workers=2):
            r = function(x)
            results.append(r)
        """,
        """
        from allcores import parallel
        for x in parallel(items, workers=2, timeout=1):
            r = function(x)
            results.append(r)
        """,
    ),
    Library(
        "`allcores.imap`",
        """
        from allcores import imap
        for r in imap(function, items, workers=2):
            results.append(r)
        """,
        """
        from allcores import imap
        for r in imap(function, items, workers=2, timeout=1):
            results.append(r)
        """,
    ),
    Library(
        "`allcores.Pool.imap`",
        """
        from allcores import Pool
        with Pool(2) as pool:
            for r in pool.imap(function, items):
                results.append(r)
        """,
        """
        from allcores import Pool
        with Pool(2) as pool:
            given = pool.imap(function, items)
            while len(results) < len(items):
                results.append(given.next(timeout=1))
        """,
    ),
    Library(
        "`allcores.Executor.map`",
        """
        from allcores import Executor
        with Executor(2) as executor:
            for r in executor.map(function, items):
                results.append(r)
        """,
        """
        from allcores import Executor
        with Executor(2) as executor:
            for r in executor.map(function, items, timeout=2):
                results.append(r)
        """,
    ),
)


def program(fault: Fault, library: Library) -> str:
    """The text of one try."""
    return PROGRAM.format(
        seconds=fault.seconds,
        does=indented(fault.does, 8),
        use=indented(library.timed if fault.hangs else library.use, 4),
        interrupt=fault.interrupt,
        function=fault.function,
        items=fault.items,
    )


def indented(text: str, by: int) -> str:
    return textwrap.indent(textwrap.dedent(text).strip("\n"), " " * by)


def attempt(fault: Fault, library: Library) -> str:
    """Do one try; what came of it, in a few words."""
    mark = uuid.uuid4().hex
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        path = Path(folder, "program.py")
        path.write_text(program(fault, library))
        process = subprocess.Popen(
            [sys.executable, path.name],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "FAULTS": mark},
        )
        assert process.stdout is not None
        process.stdout.readline()
        began = time.monotonic()
        if fault.interrupt:
            time.sleep(1.5)
            began = time.monotonic()
            os.killpg(process.pid, signal.SIGINT)
        hung, out, err = False, "", ""
        try:
            out, err = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            hung = True
        seconds = time.monotonic() - began
        left = [] if hung else remaining(mark, 1.0)
        for pid in marked(mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if hung:
            out, err = process.communicate()
    return ", ".join(words(fault, seconds, hung, out, err, len(left)))


def words(fault: Fault, seconds: float, hung: bool, out: str, err: str, orphans: int) -> list[str]:
    """What came of a try."""
    found: dict[str, Any] = json.loads(out) if out.startswith("{") else {}
    said = [f"{len(err.splitlines())} lines on stderr"] if err else []
    if orphans:
        said.append(f"**{orphans} processes left**")
    if hung and found:
        return [*result(found), "**then hangs at its end**", *said]
    if hung:
        return ["**hangs for ever**", *said]
    if fault.interrupt:
        return [f"{seconds:.1f} s", *said]
    if not found:
        return [f"**the program dies** after {seconds:.1f} s", *said]
    late = [f"{seconds:.1f} s"] if seconds > 1 else []
    return [*result(found), *late, *said]


def result(found: dict[str, Any]) -> list[str]:
    """Which results there were, and what was raised."""
    kept = found["kept"]
    right = [] if found["right"] else ["**wrong results**"]
    if found["error"] is None:
        return (["all results"] if kept == ITEMS else [f"**{kept} results, no error**"]) + right
    named = "item named" if found["named"] else "item not named"
    return [found["error"], named, f"{kept} kept" if kept else "none kept", *right]


def remaining(mark: str, seconds: float) -> list[int]:
    until = time.monotonic() + seconds
    while (left := marked(mark)) and time.monotonic() < until:
        time.sleep(0.02)
    return left


def marked(mark: str) -> list[int]:
    """The living processes of a try."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if mark.encode() in Path(f"/proc/{pid}/environ").read_bytes():
                found.append(int(pid))
    return found


def main(wanted: list[str]) -> None:
    """The command."""
    rows = [f for f in FAULTS if chosen(f.name, [w for w in wanted if any_of(w, FAULTS)])]
    columns = [b for b in LIBRARIES if chosen(b.name, [w for w in wanted if any_of(w, LIBRARIES)])]
    lines = ["| | " + " | ".join(b.name for b in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for fault in rows:
        cells = []
        for library in columns:
            cells.append(attempt(fault, library))
            print(f"{fault.name}, {library.name}: {cells[-1]}", file=sys.stderr, flush=True)
        lines.append(f"| {fault.name} | " + " | ".join(cells) + " |")
    peers = ", ".join(f"{name} {version(name)}" for name in ("joblib", "mpire"))
    cores = len(os.sched_getaffinity(0))
    text = "\n".join([*lines, "", f"Python {platform.python_version()}, {peers}, {cores} cores."])
    if wanted:
        print(text)
    else:
        write(text)


def chosen(name: str, wanted: list[str]) -> bool:
    return not wanted or any(w in name for w in wanted)


def any_of(word: str, named: Any) -> bool:
    return any(word in n.name for n in named)


def write(text: str) -> None:
    """Put the table into the page."""
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
    print(f"written to {PAGE}")


if __name__ == "__main__":
    main(sys.argv[1:])
