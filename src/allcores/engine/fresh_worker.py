"""The life of a clean interpreter: it waits for a loop's work, does its part, and waits again.

It never runs the program's script. It ends when the program does, when it has been idle for long,
and when what it has done has left traces that the next loop could see.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import os
import pickle
import select
import signal
import socket
import sys
import threading
from typing import Any, NamedTuple

from allcores.engine import crew, memory, orphans, per_worker, relay, wire
from allcores.engine.held import Held, Place
from allcores.engine.job import UNMADE, Cut
from allcores.engine.limits import Limits
from allcores.engine.mapped import map_file
from allcores.engine.serve import Server
from allcores.engine.shipment import CannotShip, made
from allcores.engine.slots import BESIDE, IDLE, SENDING, Slots
from allcores.engine.thread_limits import limit_this_worker, threads_each

REST_SECONDS = 0.05
"""After so long without work there is time to tidy up."""
MOST_JOBS = 2000
"""Classes and code that go by value leave a few kB each in what keeps track of them."""
PASSED_OVER = ("SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
SOON_NEEDED = ("allcores.build.job", "allcores.map_job", "cloudpickle", "threadpoolctl")
"""Modules that jobs are made with; the last one sets an environment variable when it is imported."""


def boot(sock: int, life: int, idle: float, prefix: str | None, modules: list[str]) -> None:
    """Where a clean interpreter begins.

    sock, life: descriptors; idle: seconds without work after which it ends; prefix: where the
    program keeps bytecode; modules: what work is likely to import.
    """
    try:
        crew.in_worker = True
        relay.own_thread = threading.get_ident()
        signal.signal(signal.SIGINT, _pass_over)
        signal.siginterrupt(signal.SIGINT, False)
        if orphans.die_with(life):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT, signal.SIGTERM])
            _complete_when_asked()
            memory.go_first()
            for name in SOON_NEEDED:
                importlib.import_module(name)
            sys.pycache_prefix = prefix  # ours is there already, at its usual place
            for name in modules:
                with contextlib.suppress(BaseException):
                    importlib.import_module(name)
            gc.collect()
            gc.freeze()
            live(wire.Reader(socket.socket(fileno=sock)), idle)
    except (EOFError, ConnectionError):
        pass  # the program is gone, or has no use for this any more
    finally:
        os._exit(0)


def _pass_over(number: int, frame: object) -> None:
    pass


def _complete_when_asked() -> None:
    """The package stands there without what it gives to users: loading that takes a while."""
    package = sys.modules["allcores"]
    [where] = package.__path__
    spec = importlib.util.spec_from_file_location(
        "allcores", os.path.join(where, "__init__.py"), submodule_search_locations=[where]
    )
    assert spec is not None and spec.loader is not None and spec.origin is not None
    package.__spec__, package.__loader__, package.__file__ = spec, spec.loader, spec.origin
    package.__package__ = "allcores"
    load = spec.loader.exec_module

    def complete(name: str) -> Any:
        package.__dict__.pop("__getattr__", None)
        load(package)
        return getattr(package, name)

    package.__dict__["__getattr__"] = complete


def live(reader: wire.Reader, idle: float) -> None:
    """Do what is asked for, until nothing is for long, or this is of no more use."""
    for _ in range(MOST_JOBS):
        wire.send_frame(reader.sock, b"", [])
        held.look()  # while the program makes its next loop
        order = next_order(reader, idle)
        if order is None or not do(reader, *order):
            return


def next_order(reader: wire.Reader, idle: float) -> tuple[Any, list[int]] | None:
    """What is to be done next, and the files that came along; None: nothing for long."""
    found = reader.take()
    if found is None:
        waiting = select.poll()
        waiting.register(reader.sock, select.POLLIN)
        if not waiting.poll(min(REST_SECONDS, idle) * 1000):
            memory.give_back()
            if not waiting.poll(idle * 1000):
                return None
        found = wire.receive(reader)
    order = pickle.loads(found[0])
    if type(order) is list:
        held.keep_only(order)
        return next_order(reader, idle)
    files = [reader.fds.popleft() for _ in range(min(order[0], len(reader.fds)))]
    if len(files) < order[0] or wire.NOT_COME in files:
        return None
    return order, files


class State(NamedTuple):
    """What work may have changed of this process that its next work could see."""

    path: list[str]
    threads: int
    started_any: bool
    mask: int

    @classmethod
    def now(cls) -> State:
        os.umask(mask := os.umask(0o77))
        return cls(list(sys.path), threading.active_count(), orphans.starts_processes(), mask)


def put_back(environment: dict[str, str]) -> None:
    """Have these environment variables again, where they are others."""
    if dict(os.environ) != environment:
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)


class FreshServer(Server):
    """As `Server`; pools of threads that work brings in are kept to this worker's part."""

    threads = 1

    def serve(self, chunk: list[Any], start: int, last: bool, alone: bool) -> bool:
        limit_this_worker(self.threads)
        return super().serve(chunk, start, last, alone)


def do(reader: wire.Reader, order: Any, files: list[int]) -> bool:
    """Do a part of a loop; whether this process is as it was before."""
    _, (maker, places, kept, number), (count, room), given, closes, here, told = order
    limits = Limits(*given)
    slots = Slots(count, files[0], room)
    body, *buffers = mapped(files[1:], places, kept)
    if here:
        os.fchdir(files[-1])
    settle(told, limits)
    per_worker.errors = files[2 + len(kept)] if closes else -1
    environment, before = dict(os.environ), State.now()
    try:
        try:
            job = made(maker, body, buffers)
            server = FreshServer(job, None, reader.sock, slots, number, limits)
            server.reader = reader
            server.threads = threads_each(count)
            limit_this_worker(server.threads)  # which may set variables of the environment
            job.enter_worker()
        except BaseException as error:
            refuse(reader, slots, number, error)
            return False
        del body, buffers
        of_use = server.live(crew.on_own_core(number))
        leave = getattr(job, "leave_worker", None)
        if leave is None:
            return False
        per_worker.end_job()
        leave()
        memory.no_limit()
        put_back(environment)
    finally:
        for file in files[1:]:
            os.close(file)
    return of_use and State.now() == before


held = Held()


def mapped(files: list[int], places: list[Place], kept: list[int]) -> list[memoryview]:
    """The pieces in a parcel. What is written to them stays in this process.

    kept: the numbers of the values that have a file of their own.
    """
    whole = [map_file(files[0]), *map(held.take, kept, files[1:])]
    return [whole[file][start:stop] for file, start, stop in places]


def settle(told: dict[str, Any], limits: Limits) -> None:
    """Be as the program is now."""
    sys.argv[:] = told["argv"]
    sys.dont_write_bytecode, sys.pycache_prefix = told["bytecode"]
    relay.beside_ipython = told["ipython"]
    for name in PASSED_OVER:
        number = getattr(signal, name, None)
        if number is not None:
            handled = int(number) in told["handled"]
            signal.signal(number, _pass_over if handled else signal.SIG_DFL)
    interrupt: Any = signal.SIG_IGN if told["ignores_interrupt"] else _pass_over
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.setrecursionlimit(told["recursion"])
    if told["digits"] is not None:
        sys.set_int_max_str_digits(told["digits"])
    sys.setswitchinterval(told["switch"])
    if told["cores"] is not None and os.sched_getaffinity(0) != told["cores"]:
        os.sched_setaffinity(0, told["cores"])
    if limits.memory is None:
        crew.keep_freed_memory()
    else:
        crew.give_freed_memory_back()


def refuse(reader: wire.Reader, slots: Slots, number: int, error: BaseException) -> None:
    """Answer every chunk with why the job could not be made here."""
    why = f"a clean interpreter could not be given the work: {type(error).__name__}: {error}"
    variables: list[tuple[str, str]] = []
    if isinstance(error, CannotShip):
        why, variables = error.why, error.variables
    answer = wire.encode(([], None, Cut(0, UNMADE, why, error=variables), 0.0))
    slots.at[number] = IDLE
    while len(wire.receive(reader)[0]):
        slots.at[number] = BESIDE
        slots.at[number] = SENDING
        wire.send_frame(reader.sock, *answer)
        slots.at[number] = IDLE
