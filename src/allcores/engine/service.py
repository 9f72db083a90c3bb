"""The worker's side of a staff: takes orders from a socket until there are no more."""

from __future__ import annotations

import mmap
import os
import pickle
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

from allcores.engine import crew, per_worker, wire
from allcores.engine.errors import note_call, pack

CALL, MAP, STAR = range(3)
"""How a function gets an item: `f(*args, **kwargs)`, `f(item)` or `f(*item)`."""
STARTING, IDLE = -2, -1

ORDER = struct.Struct("<cqqBB")
"""b"o", number of the order, number of the function, how it gets its items, whether to go on."""
FUNCTION = struct.Struct("<cq")
"""b"f" or b"x" (forget it), number of the function."""
TOKEN = struct.Struct("<q")


def live(
    sock: socket.socket,
    memory: mmap.mmap,
    tokens: tuple[int, int],
    number: int,
    place: int,
    initializer: Callable[[], object] | None,
    inherited: dict[int, Any],
) -> None:
    """The life of a worker. memory: where it says what it is at. tokens: a pipe, see Staff.

    number: of all workers ever; place: among those of the pool.
    """
    from allcores.engine.randomness import seed_worker

    crew.on_own_core(place)()
    crew.keep_freed_memory()
    seed_worker(number)
    _be_known_to_multiprocessing(place)
    slots = memoryview(memory).cast("q")
    try:
        if initializer is not None:
            initializer()
    except BaseException as error:
        wire.send_frame(sock, *wire.encode(("initializer", pack(error), 0.0)))
        return
    slots[0] = IDLE
    try:
        os.close(tokens[1])
        _serve(sock, slots, tokens[0], inherited)
    except EOFError:
        per_worker.close_all()
        _leave_multiprocessing()
    _flush()


def _serve(sock: socket.socket, slots: memoryview, tokens: int, inherited: dict[int, Any]) -> None:
    token = 0
    reader = wire.Reader(sock)
    functions: dict[int, Any] = {}
    payloads: dict[int, memoryview] = {}
    while True:
        data, buffers = wire.receive(reader)
        if data[0] != ord("o"):
            tag, number = FUNCTION.unpack_from(data)
            functions.pop(number, None)
            payloads.pop(number, None)
            if tag == b"f":
                payloads[number] = data[FUNCTION.size :]
            continue
        _tag, seq, number, style, each = ORDER.unpack_from(data)
        if token < seq:
            token = _next_token(tokens)
        if token != seq:
            continue  # somebody else has it by now
        try:
            function = functions.get(number)
            if function is None:
                payload = payloads.pop(number)
                function = pickle.loads(payload) if len(payload) else inherited[number]
                functions[number] = function
            if isinstance(buffers, wire.Lost):
                raise buffers
            items = pickle.loads(data[ORDER.size :], buffers=buffers)
        except Exception as error:
            if functions.get(number) is None and "payload" in locals():
                payloads[number] = payload
            wire.send_frame(sock, *wire.encode(("unknown", pack(error), 0.0)))
            continue
        del data, buffers
        slots[1] = 0
        slots[0] = seq
        outcomes, seconds = do(function, items, style, bool(each), slots)
        del items, function
        _flush()
        body, big = _encoded(outcomes, seconds, bool(each))
        del outcomes
        wire.send_frame(sock, body, big)
        slots[0] = IDLE
        del body, big


def _next_token(tokens: int) -> int:
    try:
        return int(TOKEN.unpack(os.read(tokens, TOKEN.size))[0])
    except BlockingIOError:
        return 0


def do(
    function: Any, items: Any, style: int, each: bool, slots: memoryview | None
) -> tuple[list[Any], float]:
    """Each item's result, or what it raised; and the time."""
    outcomes: list[Any] = []
    began = time.perf_counter()
    for at, item in enumerate(items):
        if slots is not None:
            slots[1] = at
        try:
            if style == MAP:
                outcomes.append(function(item))
            elif style == STAR:
                outcomes.append(function(*item))
            else:
                outcomes.append(function(*item[0], **item[1]))
        except BaseException as error:
            if slots is None and isinstance(error, KeyboardInterrupt):
                raise
            note_call(error, item[0] if style == CALL else item)
            outcomes.append(pack(error))
            if not each:
                break
    return outcomes, time.perf_counter() - began


def _encoded(
    outcomes: list[Any], seconds: float, each: bool
) -> tuple[bytes, list[pickle.PickleBuffer]]:
    try:
        return wire.encode(("done", outcomes, seconds))
    except Exception as error:
        return wire.encode(("done", _without_stuck(outcomes, error, each), seconds))


def _without_stuck(outcomes: list[Any], error: Exception, each: bool) -> list[Any]:
    """Errors in the place of results that cannot be pickled; the first is the last, unless `each`."""
    found = False
    for k, outcome in enumerate(outcomes):
        try:
            pickle.dumps(outcome, protocol=5)
        except Exception as why:
            outcomes[k] = pack(_encoding_error(why, outcome))
            found = True
            if not each:
                return outcomes[: k + 1]
    return outcomes if found else [pack(_encoding_error(error, "the results of a chunk"))]


def _encoding_error(why: Exception, outcome: Any) -> Exception:
    from multiprocessing.pool import MaybeEncodingError  # type: ignore[attr-defined]

    try:
        error: Exception = MaybeEncodingError(why, outcome)
    except Exception:  # it has no repr
        error = MaybeEncodingError(why, f"a {type(outcome).__name__}")
    return error


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass


def _be_known_to_multiprocessing(place: int) -> None:
    """Programs ask multiprocessing which worker they are in; proxies want to hear of the fork."""
    util: Any = sys.modules.get("multiprocessing.util")
    process: Any = sys.modules.get("multiprocessing.process")
    if process is not None:
        this = process.BaseProcess(name=f"ForkPoolWorker-{place}", daemon=True)
        this._identity = (place,)
        this._parent_pid = os.getppid()
        process._current_process = this
        process._children = set()
    if util is not None:
        util._finalizer_registry.clear()
        util._run_after_forkers()


def _leave_multiprocessing() -> None:
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None:
        util._exit_function()
