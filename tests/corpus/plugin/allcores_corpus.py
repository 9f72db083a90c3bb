"""A plug-in of pytest: writes down what became of each test, and which loops workers get.

It is loaded into the packages' own test runs, so that it must be no part of the package `tests`.
"""

from __future__ import annotations

import collections
import faulthandler
import importlib.util
import json
import os
import random
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")
_DURATION = re.compile(r"\b\d+\.\d+ ?(?:s|ms|seconds)\b")

RECORD = Path(os.environ.get("CORPUS_RECORD", os.devnull))
LEAVE_OUT = Path(os.environ.get("CORPUS_LEAVE_OUT", os.devnull))


def _write(**entry: Any) -> None:
    with RECORD.open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(json.dumps(entry) + "\n")


def _same_each_time(text: str) -> str:
    return _DURATION.sub("<time>", _ADDRESS.sub("<address>", text))


def pytest_configure(config: pytest.Config) -> None:
    # The runner asks where a test that hangs has come to.
    stacks = os.open(RECORD.with_name("stacks"), os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    faulthandler.register(signal.SIGUSR1, file=stacks, all_threads=True)
    if importlib.util.find_spec("hypothesis") is not None:
        from hypothesis import HealthCheck, settings

        every = list(HealthCheck)
        settings.register_profile(
            "corpus",
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=every,
            max_examples=10,
        )
        settings.load_profile("corpus")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = set(LEAVE_OUT.read_text(encoding="utf-8").splitlines())
    config.hook.pytest_deselected(items=[i for i in items if i.nodeid in left_out])
    items[:] = [i for i in items if i.nodeid not in left_out]


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.outcome != "passed":
        _write(test=f"collecting {report.nodeid}", outcome=report.outcome, phase="collect")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    # A test that draws without a seed would come out otherwise by chance in one of the runs.
    random.seed(item.nodeid)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(len(item.nodeid))


def pytest_runtest_logstart(nodeid: str) -> None:
    _entries.clear()
    _write(begins=nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    crash = getattr(report.longrepr, "reprcrash", None)
    message = crash.message if crash is not None else str(report.longrepr or "")
    _write(
        test=report.nodeid,
        phase=report.when,
        outcome=report.outcome,
        message=_same_each_time(message),
        output=_same_each_time(report.capstdout),
        errors=_same_each_time(report.capstderr),
        seconds=report.duration,
        at=time.time(),
    )


# -- which entries of loops get workers ------------------------------------------------------------

_entries: collections.Counter[int] = collections.Counter()
"""How often each loop was entered in this test."""
_chosen: collections.Counter[int] = collections.Counter()
"""How many of a loop's entries have been chosen, in all tests."""
MANY, ONE_IN = 100, 16


def _let_through_some_entries() -> None:
    """In each test: a loop's first entry, the second, the fourth, the eighth and so on; once that
    comes to MANY, one of these in ONE_IN.

    To bring in workers takes some milliseconds, and libraries have loops of two iterations that a
    test enters ten thousand times.
    """
    from allcores.rewrite import Detour

    through = Detour.through

    def sampled(self: Detour, iterable: Any) -> Any:
        key = id(self)
        _entries[key] += 1
        number = _entries[key]
        if number & (number - 1):
            return iterable
        _chosen[key] += 1
        if _chosen[key] > MANY and _chosen[key] % ONE_IN:
            return iterable
        return through(self, iterable)

    Detour.through = sampled  # type: ignore[method-assign]


if "allcores.rewrite" in sys.modules and os.environ.get("CORPUS_EVERY_ENTRY") != "1":
    _let_through_some_entries()
