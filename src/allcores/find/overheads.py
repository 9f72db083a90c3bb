"""How long measuring takes here: tried before the program starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from itertools import chain
from time import perf_counter
from typing import Any

from allcores.find.clock import clock
from allcores.find.instrument import measured_code
from allcores.find.meter import Meter
from allcores.find.runs import overheads
from allcores.find.suspension import here, suspension

_SOURCE = b"""
def once(xs, n):
    for _ in xs:
        pass
def again(xs, n):
    for _ in range(n):
        for x in xs:
            pass
"""


def find_overheads() -> None:
    """Set `overheads` to what measuring costs on this machine."""
    _forget()
    plain = _functions(None)
    meters: list[Meter] = []

    def make(key: int, plan: Any) -> Meter:
        meters.append(Meter(plan, key, False, None))
        return meters[-1]

    measured = _functions(make)
    many, few = [None] * 4000, [None]
    seconds = {f: _best(lambda: f(many, 1)) for f in (plain["once"], measured["once"])}
    overheads.iteration = max(0.0, (seconds[measured["once"]] - seconds[plain["once"]]) / len(many))
    inner = meters[2]

    def runs(f: Callable[..., None]) -> float:
        return _best(lambda: f(few, 2000)) / 2000

    alone = runs(plain["again"])
    inner.skip = 10**9
    inner.small = 16
    overheads.skip = max(0.0, runs(measured["again"]) - alone - overheads.iteration)
    inner.skip = 0
    # A run of one iteration is a piece of one and an empty one.
    with_entry = max(0.0, _all_entered(inner, measured["again"], few) - alone)
    _pieces(meters[0], *(seconds[f["once"]] / len(many) for f in (plain, measured)))
    overheads.entry = max(0.0, with_entry - 2 * overheads.piece)
    _probes(meters[0])
    clock.lost = 0.0


def _functions(make: Any) -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    if make is None:
        exec(compile(_SOURCE, "<allcores find>", "exec"), namespace)
    else:
        exec(measured_code(_SOURCE, "<allcores find>", make, suspension, print), namespace)
    return namespace


def _best(run: Callable[[], Any], times: int = 5) -> float:
    found = []
    for _ in range(times):
        start = perf_counter()
        run()
        found.append(perf_counter() - start)
    return min(found)


def _all_entered(inner: Meter, function: Any, few: Any) -> float:
    """Seconds of one measured run of an almost empty loop."""

    def run() -> None:
        for _ in range(50):
            inner.entries = 0
            inner.skip = 0
            function(few, 10)

    return _best(run) / 500


def _pieces(meter: Meter, plain: float, measured: float) -> None:
    """Seconds of one piece: as many pieces as items, beside an item's own share."""
    items = [None] * 400

    def run() -> None:
        pieces = meter.pieces(iter(items), 0)
        first = next(pieces)
        here.stack[-1].wanted = 0.0
        for _ in chain(first, chain.from_iterable(pieces)):
            pass

    overheads.piece = max(0.0, _best(run) / len(items) - measured)
    meter.by_size.clear()
    run()
    (runs,) = meter.by_size.values()
    inside = sorted(seconds for _, seconds in runs.pieces)
    overheads.piece_inside = max(0.0, inside[len(inside) // 4] - plain)


def _probes(meter: Meter) -> None:
    """Seconds that timing a commit adds."""
    items = [0] * 200
    meter.sampling_seconds = 1.0  # no samples

    def timed() -> None:
        for _ in items:
            meter.begin()
            running = meter.pause()
            meter.resume(running, None)
            meter.end()

    def untimed() -> None:
        for _ in items:
            pass

    alone = _best(untimed)
    meter.commits = 0
    meter.commit_seconds = 0.0
    best = _best(timed) - alone
    overheads.probe = max(0.0, best / len(items) / 2)
    overheads.probe_inside = max(0.0, meter.commit_seconds / max(meter.commits, 1))


def _forget() -> None:
    for each in fields(overheads):
        setattr(overheads, each.name, 0.0)
