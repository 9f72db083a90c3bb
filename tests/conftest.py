"""Settings shared by all tests."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from allcores import loop

# What the person at the keyboard has set for their own loops is not for the tests' loops.
for _name in ("WORKERS", "ON", "STRICT", "FORCE", "RESUME"):
    # But all tests hold for each way of making workers: `make ways`.
    if os.environ.get(f"ALLCORES_{_name}") not in ("fork", "fresh", "threads"):
        os.environ.pop(f"ALLCORES_{_name}", None)

# A shell starts what is to run in the background with Ctrl-C ignored, and that is inherited.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

collect_ignore = ["shipped", "elsewhere"]
"""Modules that are imported by the programs of `test_ship.py` and `test_elsewhere.py`."""
TOOLS = {"test_convert.py", "test_find.py", "test_verify.py"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--share",
        metavar="FOLDER",
        help="leave out the test files that another pytest with this option has begun",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if sys.version_info[:2] == (3, 12):
        # The tools that start many programs: each time on the oldest Python and the newest.
        left_out = TOOLS if config.option.markexpr == "not slow" else set()
        kept = [i for i in items if i.path.name not in left_out]
        config.hook.pytest_deselected(items=[i for i in items if i not in set(kept)])
        items[:] = kept
    # The other one comes from the other end, so that both end at about the same time.
    if config.getoption("--share") and not _claim(config, "first"):
        items.reverse()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Several processes share the files, each by itself: a plug-in's threads would forbid forks."""
    if not session.config.getoption("--share") or session.config.option.collectonly:
        return None
    if session.testsfailed:
        raise session.Interrupted("errors while collecting")
    items = _claimed(session)
    item = next(items, None)
    while item is not None:
        following = next(items, None)
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail or session.shouldstop:
            raise session.Failed(session.shouldfail or session.shouldstop)
        item = following
    return True


def _claimed(session: pytest.Session) -> Iterator[pytest.Item]:
    """The tests of all files that nobody has begun by the time it is their turn."""
    for path, items in groupby(session.items, lambda item: item.path):
        if _claim(session.config, path.name):
            yield from items


def _claim(config: pytest.Config, name: str) -> bool:
    try:
        (Path(config.getoption("--share")) / name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


@pytest.fixture(scope="module", autouse=True)
def _no_interpreters_of_other_files() -> None:
    """Clean interpreters that earlier files' loops have left, or could not start, tell nothing."""
    interpreters: Any = sys.modules.get("allcores.engine.interpreters")
    if interpreters is not None:
        interpreters.standby.end_all()
        interpreters.standby.failed = 0


@pytest.fixture
def reports() -> Iterator[list[loop.LoopReport]]:
    """What becomes of each loop that ends, in turn."""
    found: list[loop.LoopReport] = []
    loop.listeners.append(found.append)
    yield found
    loop.listeners.remove(found.append)
