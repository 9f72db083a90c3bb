"""Libraries that start threads, and what becomes of them, and of what they keep, at a fork.

What is said here of a library was tried where `tests/test_fork_safety.py` names it; of the others it
is what they say themselves. What stands nowhere here counts as unsafe.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple


class Owner(NamedTuple):
    """A library with threads."""

    name: str
    safe: bool
    """Whether a forked worker can use the library, and has nothing to fear from its threads."""
    why: str
    """What becomes of it in a fork, for people, after its name."""
    files: str = ""
    """A pattern for the file that its threads are started by, and the folder it is in."""
    names: str = ""
    """A pattern for the kernel's names of its threads, which is asked first."""
    ended_first: bool = False
    """Whether it has its threads ended before a fork, when asked to (`engine/openmp.py`)."""
    api: str = ""
    """What threadpoolctl calls its kind, where it knows how many threads there are."""


WAITS = "a forked worker that uses it would wait for its threads for ever"

OWNERS = [
    # jemalloc is linked into others: its threads are known by name.
    Owner("jemalloc", True, "sees to forks by itself", names=r"^jemalloc_bg_thd$"),
    Owner(
        "Polars",
        False,
        WAITS,
        r"_polars_runtime|^polars/",
        r"^polars-|^async-executor-",
    ),
    Owner("AWS SDK", False, WAITS, r"libaws|aws-c-", r"^AwsEventLoop|^AwsLogger"),
    Owner(
        "gRPC",
        False,
        "a forked worker that uses it would wait for ever, or crash",
        r"cygrpc|libgrpc",
        r"^grpc_|^event_engine$",
    ),
    Owner("ZeroMQ", True, "its sockets stay this process's own", r"libzmq", r"^ZMQbg"),
    Owner(
        "CUDA",
        False,
        "it cannot be used in a fork of a process that has used it",
        r"libcuda|libnvidia|libnv",
        r"^cuda|^nv_|^nvidia",
    ),
    Owner("GLib", False, WAITS, r"libglib|libgio|libgobject", r"^gmain$|^gdbus$|^pool-spawner$"),
    Owner("Qt", False, WAITS, r"libQt[56]|PyQt|PySide", r"^Q[A-Z]\w+"),
    Owner(
        "OpenBLAS",
        True,
        "ends its threads before a fork, and starts them again",
        r"/lib[^/]*openblas",
        api="openblas",
    ),
    Owner(
        "libgomp (OpenMP)",
        True,
        "is told to end its threads before a fork, and starts them again",
        r"/libgomp[-.]",
        ended_first=True,
        api="openmp",
    ),
    Owner(
        "Intel's or LLVM's OpenMP",
        True,
        "starts its threads anew in a fork",
        r"/lib(iomp5|omp)[-.]",
    ),
    Owner("TBB", False, WAITS, r"/libtbb"),
    Owner("numexpr", True, "starts its threads anew in a fork", r"^numexpr/"),
    Owner("Arrow's S3", False, WAITS, r"libarrow_s3"),
    Owner(
        "Arrow",
        True,
        "starts its threads anew in a fork",
        r"/libarrow|/libparquet|^pyarrow/",
    ),
    Owner("Numba", False, WAITS, r"^ufunc/"),
    Owner("JAX", False, WAITS, r"^jaxlib/|xla_extension", r"^tf_XLA|^XLA"),
    Owner("TensorFlow", False, WAITS, r"tensorflow", r"^tf_"),
    Owner("PyTorch", False, WAITS, r"/libtorch|/libc10", r"^pt_"),
    Owner("Ray", False, WAITS, r"_raylet"),
    Owner("DuckDB", False, WAITS, r"duckdb"),
    Owner(
        "MPI", False, "MPI does not allow forks for sure", r"libmpi|libopen-pal|libpmix|libuc[pst]"
    ),
    Owner("MKL", False, WAITS, r"/libmkl"),
    Owner("HDF5", False, WAITS, r"/libhdf5"),
]
"""The first that fits a thread is taken for its owner."""

USED_BY = {
    "duckdb": "DuckDB",
    "grpc": "gRPC",
    "jax": "JAX",
    "lightgbm": "libgomp (OpenMP)",
    "numba": "Numba",
    "numexpr": "numexpr",
    "numpy": "OpenBLAS",
    "polars": "Polars",
    "pyarrow": "Arrow",
    "PyQt5": "Qt",
    "PyQt6": "Qt",
    "PySide6": "Qt",
    "ray": "Ray",
    "scipy": "OpenBLAS",
    "sklearn": "libgomp (OpenMP)",
    "tensorflow": "TensorFlow",
    "torch": "libgomp (OpenMP)",
    "xgboost": "libgomp (OpenMP)",
    "zmq": "ZeroMQ",
}
"""Whose threads modules start when they are used, if not before."""

_patterns = [
    (each, re.compile(each.files or "$^"), re.compile(each.names or "$^")) for each in OWNERS
]


def once_used(module: str) -> Owner | None:
    """Whose threads a module will have started when it has been used, as far as is known."""
    name = USED_BY.get(module.partition(".")[0])
    return next((each for each in OWNERS if each.name == name), None)


@lru_cache(maxsize=512)
def owner_of(name: str, file: str | None) -> Owner | None:
    """Who started a thread of this name, given the file of the function it was started with."""
    for owner, _, names in _patterns:
        if names.search(name):
            return owner
    if file is not None:
        where = "/".join(file.split("/")[-2:])
        for owner, files, _ in _patterns:
            if files.search(where):
                return owner
    return None
