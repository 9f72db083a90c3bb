"""Runs programs one after another in this process and writes what each printed, as JSON.

    python convert_driver.py KIND OUT FILE...

KIND is a start method of multiprocessing, or "joblib", "dask" or "ray": what the programs share
is started once.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import multiprocessing
import os
import sys
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def run(path: str) -> None:
    """Run a program as the main module of this process."""
    main = types.ModuleType("__main__")
    main.__file__ = path
    held = sys.modules["__main__"]
    # What workers send back of their `__mp_main__` is looked for under that name.
    sys.modules["__main__"] = sys.modules["__mp_main__"] = main
    try:
        exec(compile(Path(path).read_bytes(), path, "exec"), main.__dict__)
    finally:
        sys.modules["__main__"] = sys.modules["__mp_main__"] = held


def printed(path: str) -> str:
    """What a program prints, and the exception that it ends by."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            run(path)
        except Exception as error:
            out.write(f"\nended by {type(error).__name__}: {error}")
    return out.getvalue()


class SharedClient:
    """In the place of the class Client: gives every program the same one."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def __call__(self, threads_per_worker: int) -> contextlib.nullcontext[Any]:
        return contextlib.nullcontext(self.client)

    def __reduce__(self) -> tuple[Any, ...]:
        # Programs' classes are sent with the globals of their methods, as the class would be.
        return dict, ()


@contextlib.contextmanager
def shared(kind: str) -> Iterator[None]:
    """What the programs of a kind need, started once."""
    if kind in ("fork", "spawn", "forkserver"):
        multiprocessing.set_start_method(kind)
    elif kind == "dask":
        import dask
        import dask.distributed as distributed

        dask.config.set({"distributed.worker.daemon": True})
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        options = {"dashboard_address": None, "host": "127.0.0.1"}
        with (
            distributed.LocalCluster(n_workers=2, threads_per_worker=1, **options) as cluster,
            distributed.Client(cluster) as client,
        ):
            distributed.Client = SharedClient(client)
            yield
        return
    elif kind == "ray":
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        import ray

        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            _node_ip_address="127.0.0.1",
        )
    yield


def main() -> None:
    kind, out, *paths = sys.argv[1:]
    warnings.simplefilter("ignore")
    with shared(kind):
        found = {Path(path).stem: printed(path) for path in paths}
        Path(out).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
