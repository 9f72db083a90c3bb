"""What `allcores doctor` finds out: this machine, how workers can be made here, and why not."""

from __future__ import annotations

import ast
import importlib
import json
import os
import platform
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from allcores.engine.cores import reasons, usable_cores
from allcores.engine.failures import CannotFork
from allcores.engine.forkable import findings, why_not_forkable
from allcores.engine.thread_limits import may_have_pools, thread_pools
from allcores.engine.thread_owners import once_used
from allcores.engine.ways import choose, has_global_lock, why_not_fresh

LIBRARIES = (
    "numpy scipy pandas scikit-learn pyarrow polars torch numba numexpr jax tensorflow grpcio pyzmq "
    "duckdb ray dask h5py ipykernel tqdm cloudpickle threadpoolctl"
).split()
"""Distributions whose versions count in a report: those with threads, and what allcores goes by."""
TRIES = 5
IMPORT_SECONDS, START_SECONDS = 120.0, 30.0

Facts = dict[str, Any]
"""What was found out, in the form that `--json` gives."""


def examine(imports: Sequence[tuple[Sequence[str], str | None]] = ()) -> Facts:
    """All that there is to be said of this machine, and of these imports.

    imports: what is imported one after the other in a process of its own, and the folder that a
    script with these imports is in.
    """
    cores = [{"name": limit.name, "cores": limit.cores} for limit in reasons()]
    choice = choose("processes")
    return {
        "python": _python(),
        "platform": _platform(),
        "versions": _versions(),
        "cores": {"usable": usable_cores(), "limits": cores},
        "memory": _memory(),
        "memory_files": _memory_files(),
        "ways": _ways(),
        "default": {"way": choice.way, "why": choice.why, "why_not": choice.why_not},
        "findings": [each._asdict() for each in findings()],
        "imports": [found for each in imports for found in looked_at_in_child(*each)],
    }


def _python() -> Facts:
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "executable": sys.executable,
        "gil": has_global_lock(),
    }


def _platform() -> Facts:
    return {
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "libc": " ".join(platform.libc_ver()).strip(),
    }


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in ("allcores", *LIBRARIES):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _memory() -> Facts:
    from allcores.engine.memory import machine

    left = list(machine().left())
    limits = [{"free": free, "total": total} for free, total in left]
    least = min(limits, key=lambda each: each["free"], default={"free": None, "total": None})
    return {**least, "limits": limits}


def _memory_files() -> Facts:
    """What big values travel by."""
    try:
        os.close(os.memfd_create("allcores-doctor"))
        memfd = True
    except (AttributeError, OSError):
        memfd = False
    try:
        system = os.statvfs("/dev/shm")
        shm: int | None = system.f_bavail * system.f_frsize
    except (AttributeError, OSError):
        shm = None
    return {"memfd": memfd, "shm_free": shm}


# -- ways to make workers


def _ways() -> Facts:
    not_fork, not_fresh = why_not_forkable(), why_not_fresh()
    not_threads = choose("threads").why_not
    return {
        "fork": {"why_not": not_fork, "seconds": None if not_fork else _measured(_fork_once)},
        "fresh": {"why_not": not_fresh, "seconds": None if not_fresh else _fresh_once()},
        "threads": {"why_not": not_threads, "seconds": None},
    }


def _measured(once: Callable[[], float | None]) -> float | None:
    """The least of several tries, in seconds: the others were disturbed."""
    found = [seconds for _ in range(TRIES) if (seconds := once()) is not None]
    return min(found, default=None)


def _fork_once() -> float | None:
    """How long it takes until a forked worker can begin."""
    from allcores.engine.crew import Worker, fork_worker

    began = time.perf_counter()
    try:
        worker = Worker(*fork_worker(_say_hello), 0)
    except CannotFork:
        return None
    try:
        ready = select.select([worker.sock], [], [], START_SECONDS)[0]
        return time.perf_counter() - began if ready else None
    finally:
        worker.kill()
        worker.reap()


def _say_hello(sock: socket.socket) -> None:
    sock.send(b"x")
    sock.recv(1)


def _fresh_once() -> float | None:
    """How long it takes until a clean interpreter can begin."""
    from allcores.engine.interpreters import standby

    began = time.perf_counter()
    try:
        while not standby.prepare(1):
            if time.perf_counter() - began > START_SECONDS or standby.why_not() is not None:
                return None
            time.sleep(0.002)
        return time.perf_counter() - began
    except CannotFork:
        return None
    finally:
        standby.end_all()


# -- imports


def looked_at_in_child(modules: Sequence[str], folder: str | None) -> list[Facts]:
    """What importing these, one after the other, does to a clean process; one entry for each.

    folder: the first place where Python looks for them; None: the working directory.
    """
    program = "import sys; from allcores.doctor import look_at; look_at(sys.argv[1:])"
    ours, theirs = os.pipe()
    where = os.getcwd() if folder is None else folder
    path = os.pathsep.join([where, *(p for p in sys.path if p and os.path.exists(p))])
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(theirs), *modules],
        env={**os.environ, "PYTHONPATH": path},
        pass_fds=(theirs,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    try:
        lines = _lines(ours, time.monotonic() + IMPORT_SECONDS)
    finally:
        child.kill()
        code = child.wait()
    found: list[Facts] = [json.loads(line) for line in lines]
    for module in modules[len(found) :][:1]:
        how = (
            f"importing it took more than {IMPORT_SECONDS:.0f} s"
            if code == -9
            else "it ended Python"
        )
        found.append({"module": module, "error": how, "findings": [], "fork_safe": None})
    return found


def _lines(pipe: int, deadline: float) -> list[str]:
    """What a child says, as far as it says it in time."""
    text = b""
    with os.fdopen(pipe, "rb", buffering=0) as stream:
        while (left := deadline - time.monotonic()) > 0:
            if select.select([stream], [], [], left)[0]:
                piece = stream.read(1 << 16)
                if not piece:
                    break
                text += piece
    return text.decode().splitlines()


def look_at(arguments: list[str]) -> None:
    """In a child: import what is asked for, and say what that means for forks."""
    pipe = int(arguments[0])
    os.set_inheritable(pipe, False)
    for module in arguments[1:]:
        os.write(pipe, json.dumps(_after_import(module)).encode() + b"\n")
    os.close(pipe)
    # Some libraries crash, or wait, at the end of a program that has only imported them.
    os._exit(0)


def _after_import(module: str) -> Facts:
    error = None
    try:
        importlib.import_module(module)
    except BaseException as problem:
        error = f"{type(problem).__name__}: {problem}"
    found = findings()
    owner = once_used(module)
    later = owner is not None and not any(owner.name in each.what for each in found)
    return {
        "module": module,
        "error": error,
        "fork_safe": all(each.safe for each in found),
        "findings": [each._asdict() for each in found],
        "once_used": {"threads": owner.name, "why": owner.why, "safe": owner.safe}
        if owner is not None and later and error is None
        else None,
        "pools": [
            {
                name: pool.get(name)
                for name in ("internal_api", "version", "num_threads", "filepath")
            }
            for pool in (thread_pools().info() if may_have_pools() else [])
        ],
    }


def imports_of(source: str | bytes, package: str = "") -> list[str]:
    """The modules that a program imports as it starts, in order; not those of the standard library.

    package: what relative imports start from.

    >>> imports_of("import os, numpy as np\\nfrom scipy.stats import norm\\ndef f(): import torch")
    ['numpy', 'scipy.stats']
    """
    found: list[str] = []
    _collect(ast.parse(source).body, package, found)
    return [m for m in dict.fromkeys(found) if m.partition(".")[0] not in sys.stdlib_module_names]


def _collect(nodes: Sequence[ast.AST], package: str, found: list[str]) -> None:
    for node in nodes:
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += _named(node, package)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            _collect(node.orelse, package, found)
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            _collect(list(ast.iter_child_nodes(node)), package, found)


def _named(node: ast.ImportFrom, package: str) -> list[str]:
    if not node.level:
        return [node.module or ""]
    parts = package.split(".")
    parts = parts[: len(parts) - node.level + 1]
    base = ".".join([*parts, *([node.module] if node.module else [])])
    return [base] if node.module else [f"{base}.{alias.name}" for alias in node.names]
