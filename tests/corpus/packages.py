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
    """What else is installed, with all that it needs and the development environment lacks."""
    options: tuple[str, ...] = ()
    """More options for pytest."""
    minutes: float = 12
    """How long a run may take."""


PACKAGES = [
    Package("toolz", "1.2.0", ("toolz", "tlz", "--doctest-modules"), ("toolz", "tlz")),
    Package(
        "more-itertools",
        "11.2.1",
        ("tests", "more_itertools", "--doctest-modules"),
        ("more_itertools", "tests"),
        options=("-k", "not test_primes and not IsliceExtended"),
    ),
    Package(
        "sortedcontainers",
        "2.4.0",
        ("sortedcontainers", "--doctest-modules"),
        ("sortedcontainers",),
    ),
    Package("textdistance", "4.6.3", ("tests",), ("textdistance", "tests")),
    Package(
        "jinja2",
        "3.1.6",
        ("tests",),
        ("src", "tests"),
        path="src",
        requires=(
            "trio==0.32.0",
            "outcome==1.3.0.post0",
            "sniffio==1.3.1",
            "attrs==26.1.0",
            "idna==3.20",
        ),
    ),
    Package(
        "pyparsing",
        "3.3.3",
        ("tests/test_unit.py", "tests/test_simple_unit.py", "tests/test_util.py"),
        ("pyparsing", "tests"),
        options=("-k", "WithoutPackrat or simple or util"),
    ),
    Package(
        "mpmath",
        "1.4.1",
        (
            "mpmath/tests/test_basic_ops.py",
            "mpmath/tests/test_linalg.py",
            "mpmath/tests/test_matrices.py",
            "mpmath/tests/test_special.py",
            "mpmath/tests/test_identify.py",
            "mpmath/tests/test_hp.py",
        ),
        ("mpmath",),
    ),
    Package(
        "networkx",
        "3.6.1",
        (
            "networkx/algorithms/components",
            "networkx/algorithms/shortest_paths",
            "networkx/algorithms/traversal",
            "networkx/algorithms/tree",
            "networkx/algorithms/operators",
            "networkx/algorithms/tests/test_core.py",
            "networkx/algorithms/tests/test_cycles.py",
            "networkx/algorithms/tests/test_dag.py",
            "networkx/algorithms/tests/test_matching.py",
            "networkx/algorithms/tests/test_simple_paths.py",
            "networkx/classes/tests/test_graph.py",
            "networkx/generators/tests/test_classic.py",
        ),
        (
            "networkx/algorithms/components",
            "networkx/algorithms/shortest_paths",
            "networkx/algorithms/traversal",
            "networkx/algorithms/tree",
            "networkx/algorithms/operators",
            "networkx/algorithms/core.py",
            "networkx/algorithms/cycles.py",
            "networkx/algorithms/dag.py",
            "networkx/algorithms/matching.py",
            "networkx/algorithms/simple_paths.py",
            "networkx/algorithms/tests",
            "networkx/classes/graph.py",
            "networkx/generators/classic.py",
        ),
    ),
    Package(
        "sympy",
        "1.14.0",
        (
            "sympy/core/tests/test_basic.py",
            "sympy/core/tests/test_containers.py",
            "sympy/combinatorics/tests/test_permutations.py",
            "sympy/combinatorics/tests/test_partitions.py",
            "sympy/ntheory/tests/test_factor_.py",
            "sympy/ntheory/tests/test_residue.py",
            "sympy/utilities/tests/test_iterables.py",
        ),
        (
            "sympy/core/containers.py",
            "sympy/core/tests",
            "sympy/combinatorics",
            "sympy/ntheory",
            "sympy/utilities/iterables.py",
            "sympy/utilities/tests",
        ),
        requires=("mpmath==1.3.0",),
    ),
    Package(
        "lmfit",
        "1.3.4",
        (
            "tests/test_parameter.py",
            "tests/test_parameters.py",
            "tests/test_lineshapes.py",
            "tests/test_model.py",
            "tests/test_brute.py",
            "tests/test_confidence.py",
            "tests/test_ampgo.py",
        ),
        ("lmfit", "tests"),
        requires=("asteval==1.0.10", "dill==0.4.1", "uncertainties==3.2.3"),
    ),
]
