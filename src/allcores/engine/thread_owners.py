"""Libraries that start threads, and what becomes of them, and of what they keep, at a fork.

What is said here of a library was tried where `tests/test_fork_safety.py` names it; of the others it
is what they say themselves. What stands nowhere here counts as unsafe.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple


class Owner(NamedTuple):
    """A library with threads."""

    name: str
    safe: bool
    """Whether a forked worker can use the library, and has nothing to fear from its threads."""
    why: str
    """What becomes of it in a fork, for people, after its name."""
    files: tuple[str, ...] = ()
    """Parts of "/folder/file" of the file that its threads are started by."""
    names: tuple[str, ...] = ()
    """How the kernel's names of its threads begin, which is asked first."""
    ended_first: bool = False
    """Whether it has its threads ended before a fork, when asked to (`engine/openmp.py`)."""
    api: str = ""
    """What threadpoolctl calls its kind, where it knows how many threads there are."""


WAITS = "a forked worker that uses it would wait for its threads for ever"
ANEW = "starts its threads anew in a fork"

OWNERS = [
    # jemalloc is linked into others: its threads are known by name.
    Owner("jemalloc", True, "sees to forks by itself", names=("jemalloc_bg_thd",)),
    Owner("Polars", False, WAITS, ("/_polars_runtime", "/polars/"), ("polars-", "async-executor-")),
    Owner("AWS SDK", False, WAITS, ("libaws", "aws-c-"), ("AwsEventLoop", "AwsLogger")),
    Owner(
        "gRPC",
        False,
        "a forked worker that uses it would wait for ever, or crash",
        ("/cygrpc", "/libgrpc"),
        ("grpc_", "event_engine"),
    ),
    Owner("ZeroMQ", True, "its sockets stay this process's own", ("/libzmq",), ("ZMQbg",)),
    Owner(
        "CUDA",
        False,
        "it cannot be used in a fork of a process that has used it",
        ("/libcuda", "/libnv"),
        ("cuda", "nv_", "nvidia"),
    ),
    Owner(
        "GLib",
        False,
        WAITS,
        ("/libglib", "/libgio", "/libgobject"),
        ("gmain", "gdbus", "pool-spawner"),
    ),
    Owner("Qt", False, WAITS, ("/libQt5", "/libQt6", "/PyQt", "/PySide"), ("QXcb", "QDBus", "Qt")),
    Owner(
        "OpenBLAS",
        True,
        "ends its threads before a fork, and starts them again",
        ("openblas",),
        api="openblas",
    ),
    Owner(
        "libgomp (OpenMP)",
        True,
        "is told to end its threads before a fork, and starts them again",
        ("/libgomp.", "/libgomp-"),
        ended_first=True,
        api="openmp",
    ),
    Owner(
        "Intel's or LLVM's OpenMP",
        True,
        ANEW,
        ("/libiomp5.", "/libiomp5-", "/libomp.", "/libomp-"),
    ),
    Owner("TBB", False, WAITS, ("/libtbb",)),
    Owner("numexpr", True, ANEW, ("/numexpr/",)),
    Owner("Arrow's S3", False, WAITS, ("/libarrow_s3",)),
    Owner("Arrow", True, ANEW, ("/libarrow", "/libparquet", "/pyarrow/")),
    Owner("Numba", False, WAITS, ("/ufunc/",)),
    Owner("JAX", False, WAITS, ("/jaxlib/", "xla_extension"), ("tf_XLA", "XLA")),
    Owner("TensorFlow", False, WAITS, ("tensorflow",), ("tf_",)),
    Owner("PyTorch", False, WAITS, ("/libtorch", "/libc10"), ("pt_",)),
    Owner("Ray", False, WAITS, ("/_raylet",)),
    Owner("DuckDB", False, WAITS, ("duckdb",)),
    Owner(
        "MPI",
        False,
        "MPI does not allow forks for sure",
        ("/libmpi", "/libopen-pal", "/libpmix", "/libucs", "/libuct"),
    ),
    Owner("MKL", False, WAITS, ("/libmkl",)),
    Owner("HDF5", False, WAITS, ("/libhdf5",)),
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


def once_used(module: str) -> Owner | None:
    """Whose threads a module will have started when it has been used, as far as is known."""
    name = USED_BY.get(module.partition(".")[0])
    return next((each for each in OWNERS if each.name == name), None)


@lru_cache(maxsize=512)
def owner_of(name: str, file: str | None) -> Owner | None:
    """Who started a thread of this name, given the file of the function it was started with."""
    for owner in OWNERS:
        if name.startswith(owner.names):
            return owner
    if file is not None:
        # A folder further up is no evidence.
        where = "/" + "/".join(file.split("/")[-2:])
        for owner in OWNERS:
            if any(part in where for part in owner.files):
                return owner
    return None
