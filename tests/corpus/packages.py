"""The packages whose own tests are run both ways, at pinned versions."""

from __future__ import annotations

from typing import NamedTuple


class Package(NamedTuple):
    """One package of the corpus; paths are relative to its unpacked source distribution."""

    name: str
    version: str
    tests: tuple[str, ...]
    """What pytest is given."""
    include: tuple[str, ...]
    """Where loops are made parallel: the package, and its tests."""
    path: str = "."
    """What goes on sys.path."""
    requires: tuple[str, ...] = ()
    """What else is installed."""
    options: tuple[str, ...] = ()
    """More options for pytest."""
    minutes: float = 4
    """How long a run may take."""


PACKAGES = [
    Package("toolz", "1.2.0", ("toolz", "tlz", "--doctest-modules"), ("toolz", "tlz")),
    Package(
        "more-itertools",
        "11.2.1",
        ("tests", "more_itertools", "--doctest-modules"),
        ("more_itertools", "tests"),
    ),
    Package(
        "sortedcontainers",
        "2.4.0",
        ("sortedcontainers", "--doctest-modules"),
        ("sortedcontainers",),
    ),
    Package("textdistance", "4.6.3", ("tests",), ("textdistance", "tests")),
    Package("jinja2", "3.1.6", ("tests",), ("src", "tests"), path="src"),
    Package("pyparsing", "3.3.3", ("tests",), ("pyparsing", "tests")),
    Package("mpmath", "1.4.1", ("mpmath",), ("mpmath",)),
]
