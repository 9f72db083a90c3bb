"""Settings shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# What the person at the keyboard has set for their own loops is not for the tests' loops.
for _name in ("WORKERS", "ON", "STRICT", "FORCE"):
    os.environ.pop(f"ALLCORES_{_name}", None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--share",
        metavar="FOLDER",
        help="leave out the test files that another pytest with this option has begun",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # The other one comes from the other end, so that both end at about the same time.
    if config.getoption("--share") and not _claim(config, "first"):
        items.reverse()


_mine: dict[Path, bool] = {}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """Several processes share the files, each by itself: a plug-in's threads would forbid forks."""
    if not item.config.getoption("--share"):
        return None
    path = item.path
    if path not in _mine:
        _mine[path] = _claim(item.config, path.name)
    return None if _mine[path] else True


def _claim(config: pytest.Config, name: str) -> bool:
    try:
        (Path(config.getoption("--share")) / name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
