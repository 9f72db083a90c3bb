"""Whether what a run left is what the plain loop leaves, or a prefix of that."""

from __future__ import annotations

import signal
from typing import Any, NamedTuple

from tests.chaos.scenario import ENDS_IT, INTERRUPTS, Scenario

SLOW_INTERRUPT = 3.0
"""Seconds from Ctrl-C to the end of the loop, on a machine that may be busy, that are too many."""


class Left(NamedTuple):
    """What there was when a program had ended."""

    code: int | None
    """None: it had to be killed after the time was over."""
    report: dict[str, Any]
    """What the program wrote; empty when it came to no end of its own."""
    out: str
    err: str
    log: str
    seconds: float
    """From the outer fault, or the start, to the end."""
    orphans: list[str]
    shared_memory: list[str]
    files: list[str]
    acted: bool
    """Whether the outer fault came before the program's end."""


def verdict(scenario: Scenario, plain: Left, ours: Left) -> tuple[str, list[str]]:
    """The outcome in a few words, and every way in which it is wrong."""
    wrong = list(leaks(ours))
    if scenario.outer not in ENDS_IT and ours.report and "descriptors" not in ours.report:
        wrong.append("did not come to its end after the loop")
    if ours.code is None:
        return "hang", ["hangs", *wrong]
    if not ours.out == plain.out[: len(ours.out)]:
        wrong.append(f"printed {ours.out[-200:]!r}")
    if not ours.log == plain.log[: len(ours.log)]:
        wrong.append(f"wrote {ours.log[-200:]!r}")
    if not ours.report:
        outcome, found = without_report(scenario, ours)
    else:
        outcome, found = with_report(scenario, plain, ours)
    return outcome, wrong + found


def leaks(ours: Left) -> list[str]:
    """What should not be there any more."""
    found = [
        f"orphans: {ours.orphans}" if ours.orphans else "",
        f"in /dev/shm: {ours.shared_memory}" if ours.shared_memory else "",
        f"files: {ours.files}" if ours.files else "",
    ]
    for what in ("descriptors", "children", "threads", "memory files", "settings"):
        if ours.report.get(what):
            found.append(f"{what}: {ours.report[what]}")
    return [f for f in found if f]


def without_report(scenario: Scenario, ours: Left) -> tuple[str, list[str]]:
    """The program was ended before the loop was over."""
    ended_by = {
        "SIGTERM": {-signal.SIGTERM},
        "program killed": {-signal.SIGKILL},
        "damaged journal": {-signal.SIGKILL},
        "Ctrl-C twice": {-signal.SIGINT},
    }.get(scenario.outer, set())
    # In the program's own code just before the loop, or just after.
    beside = "__enter__" in ours.err or "__exit__" in ours.err
    if scenario.outer in INTERRUPTS and ours.code == -signal.SIGINT and beside:
        return "interrupted beside the loop", []
    if ours.code not in ended_by:
        return "died", [f"ended with {ours.code}: {ours.err[-1500:]}"]
    if scenario.outer in ENDS_IT and ours.err:
        return "ended", [f"said: {ours.err[-1500:]}"]
    return "ended, nothing left over", []


def with_report(scenario: Scenario, plain: Left, ours: Left) -> tuple[str, list[str]]:
    """The program saw the loop's end, or an exception of it."""
    report, truth = ours.report, plain.report
    error = report["error"]
    wrong = [f"said: {ours.err[-1500:]}"] if ours.err else []
    if error == truth["error"] and not (
        allowed(scenario, error) and report["state"] in truth["states"]
    ):
        for what in ("state", "left"):
            # Where iterations are left out, so may be the last one.
            told = "{}" not in (report[what], truth[what])
            if told and report[what] != truth[what]:
                wrong.append(f"{what} {differing(report[what], truth[what])}")
        if not error and (ours.out, ours.log) != (plain.out, plain.log):
            wrong.append("output is missing")
        return f"{error} as planned" if error else "same as plain", wrong
    if error is None or not allowed(scenario, error):
        wrong.append(f"{error}: {report['said']} (plain: {truth['error']})\n{report['traceback']}")
        return f"{error}", wrong
    if report["state"] not in truth["states"]:
        wrong.append(f"after {error} no prefix: {report['state'][-300:]}")
    if error == "KeyboardInterrupt" and ours.seconds > SLOW_INTERRUPT:
        wrong.append(f"KeyboardInterrupt after {ours.seconds:.1f} s")
    return f"{error}, a prefix", wrong


def differing(a: str, b: str) -> str:
    """Where two texts begin to differ."""
    at = next(
        (k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
    begin = max(at - 40, 0)
    return f"of {len(a)} characters: ...{a[begin : at + 80]} != ...{b[begin : at + 80]}"


def allowed(scenario: Scenario, error: str) -> bool:
    """Whether the outer fault may end in that exception."""
    if scenario.outer in INTERRUPTS:
        return error == "KeyboardInterrupt"
    if error == "WorkerDied":
        # Pool and Executor try nothing twice; loops and map do so once.
        return scenario.outer == "workers killed" or (
            scenario.outer == "worker killed"
            and (scenario.face == "pool" or "dies once" in scenario.faults.values())
        )
    # A pool that has no descriptor to wait with is not made.
    return error == "OSError" and scenario.outer == "few descriptors" and scenario.face == "pool"
