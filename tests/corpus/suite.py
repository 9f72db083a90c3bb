"""One run of a package's tests, plainly or with its loops in workers, and what it left."""

from __future__ import annotations

import collections
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import allcores
from tests.corpus.packages import Package

PATIENCE = 240
"""Seconds without a test beginning or ending after which a run hangs."""
RESTARTS = 3
"""How often a run that hung or died is gone on with behind the test that did it."""
PLUGIN = Path(__file__).parent / "plugin"

Outcomes = dict[str, dict[str, str]]
"""By test: what it came to, what it said when it failed, what it printed."""


class Suite(NamedTuple):
    """What a run came to."""

    outcomes: Outcomes
    seconds: float
    loops: list[dict[str, Any]]
    """As `allcores run --summary` writes them; empty for a plain run."""
    slowest: list[tuple[float, str]]
    log: Path


def run_suite(package: Package, folder: Path, work: Path, forced: bool, minutes: float) -> Suite:
    """Run the tests of a package that is unpacked in `folder`; files go to `work`.

    A test that hangs has the outcome "hangs", one with which the process ends "dies".
    """
    work.mkdir(parents=True, exist_ok=True)
    record, left_out, log = work / "record", work / "left_out", work / "log"
    for path in (record, left_out, log):
        path.write_text("")
    began = time.monotonic()
    deadline = began + 60 * minutes
    broken: dict[str, str] = {}
    loops: dict[tuple[str, int], dict[str, Any]] = {}
    for attempt in range(1 + RESTARTS):
        summary = work / f"summary.{attempt}"
        summary.unlink(missing_ok=True)
        how = _attempt(package, folder, work, summary if forced else None, deadline)
        _join(loops, summary)
        unfinished = _unfinished(record)
        if not how and not unfinished:
            break
        broken[unfinished or "before the first test"] = how or "dies"
        if not unfinished or time.monotonic() > deadline:
            break
        left_out.write_text("\n".join([*_begun(record), ""]))
    outcomes, slowest = _outcomes(record)
    for test, how in broken.items():
        outcomes[test] = {"outcome": how}
    return Suite(outcomes, time.monotonic() - began, list(loops.values()), slowest, log)


def _attempt(
    package: Package, folder: Path, work: Path, summary: Path | None, deadline: float
) -> str:
    """Run to the end; "" or what went wrong."""
    source = folder / "source"
    record = work / "record"
    with (work / "log").open("a") as log:
        process = subprocess.Popen(
            _command(package, source, work, summary),
            cwd=source,
            env=_environment(package, folder, work),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            return _watched(process, record, deadline)
        finally:
            # Whatever the tests started ends with them.
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()


def _watched(process: subprocess.Popen[bytes], record: Path, deadline: float) -> str:
    size, changed = -1, time.monotonic()
    while True:
        try:
            code = process.wait(0.2)
        except subprocess.TimeoutExpired:
            now = time.monotonic()
            if record.stat().st_size != size:
                size, changed = record.stat().st_size, now
            # Before the first test modules are imported, and their loops read.
            if now < (min(deadline, changed + PATIENCE) if size else deadline):
                continue
            process.send_signal(signal.SIGUSR1)
            time.sleep(1)  # it writes where it is
            return "hangs" if now < deadline else "is not done in time"
        return "dies" if code < 0 else ""


def _command(package: Package, source: Path, work: Path, summary: Path | None) -> list[str]:
    # Asserts are left as they are, for pytest's rewriting keeps loops of tests from us.
    options = ["--assert=plain", "-p", "no:cacheprovider", "-p", "allcores_corpus"]
    options += ["-o", "addopts=", "-q", f"--basetemp={work / 'tmp'}"]
    tests = ["-m", "pytest", *options, *package.options, *package.tests]
    if summary is None:
        return [sys.executable, *tests]
    include = [word for path in package.include for word in ("--include", str(source / path))]
    ours = ["run", "--force", "--workers", "2", "--quiet", "--summary", str(summary)]
    return [sys.executable, "-m", "allcores", *ours, *include, *tests]


def _environment(package: Package, folder: Path, work: Path) -> dict[str, str]:
    source = Path(allcores.__file__).parent.parent
    path = [PLUGIN, source, folder / "source" / package.path, folder / "site"]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ALLCORES_", "PYTEST_"))}
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "PYTHONHASHSEED": "0",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "CORPUS_RECORD": str(work / "record"),
        "CORPUS_LEAVE_OUT": str(work / "left_out"),
    }


def _entries(record: Path) -> list[dict[str, Any]]:
    lines = record.read_text(encoding="utf-8", errors="replace").splitlines()
    return [json.loads(line) for line in lines if line.endswith("}")]


def _begun(record: Path) -> list[str]:
    return [entry["begins"] for entry in _entries(record) if "begins" in entry]


def _unfinished(record: Path) -> str:
    """The test that has begun last, if it has not ended."""
    begun = ""
    for entry in _entries(record):
        if "begins" in entry:
            begun = entry["begins"]
        elif entry["phase"] == "teardown":
            begun = ""
    return begun


def _outcomes(record: Path) -> tuple[Outcomes, list[tuple[float, str]]]:
    parts: dict[str, list[dict[str, Any]]] = collections.defaultdict(list)
    seconds: collections.Counter[str] = collections.Counter()
    for entry in _entries(record):
        if "test" in entry:
            parts[entry["test"]].append(entry)
            seconds[entry["test"]] += entry.get("seconds", 0)
    outcomes = {
        test: {
            "outcome": _taken_together(entry["outcome"] for entry in entries),
            **{
                field: "\n".join(str(entry.get(field, "")) for entry in entries).strip()
                for field in ("message", "output", "errors")
            },
        }
        for test, entries in parts.items()
    }
    return outcomes, [(took, test) for test, took in seconds.most_common(15)]


def _taken_together(outcomes: Iterable[str]) -> str:
    """ "passed" for a test whose parts have all passed, else how many did what."""
    counts = collections.Counter(outcomes)
    return "passed" if set(counts) == {"passed"} else str(dict(counts))


def _join(loops: dict[tuple[str, int], dict[str, Any]], summary: Path) -> None:
    if not summary.exists():
        return
    for loop in json.loads(summary.read_text())["loops"]:
        known = loops.setdefault((loop["file"], loop["line"]), loop)
        if known is not loop:
            for field in ("runs", "iterations", "in_workers"):
                known[field] += loop[field]
