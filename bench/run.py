"""Run the benchmarks and print a table, which README.md explains: `python bench/run.py --help`."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from memory import Watcher
from neighbours import Neighbours
from work import PEERS, VARIANTS, Figures, Work

HERE = Path(__file__).parent
NAMES = (
    "tiny",
    "tiny_in_function",
    "entered",
    "fifteen_us",
    "one_ms",
    "one_ms_in_function",
    "uneven",
    "windows",
    "big_results",
    "big_arguments",
    "big_arguments_fresh",
    "fixed_first",
    "fixed_second",
    "generator",
    "pool_warm_map",
    "pool_many_maps",
    "map_tiny",
    "import_time",
    "following",
    "explain_stdlib",
)
PATIENCE = 10.0  # a library that takes longer than this many seconds is run once only
TIMEOUT = 300.0
CROWDED = 0.15  # more cores than this in use by others is worth a note


@dataclass
class Report:
    """What came of one work."""

    work: Work
    figures: Figures
    expected: int | None = None  # the digest of the plain loop's results
    wrong: bool = False  # allcores failed, or gave other results than the plain loop
    neighbours: list[float] = field(default_factory=list)  # cores others used, each measurement
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Say something under the table, once."""
        if text not in self.notes:
            self.notes.append(text)

    def reached(self) -> str:
        """Whether allcores reached the target, in a word."""
        reached = False if self.wrong else self.work.reached(self.figures)
        return {True: "yes", False: "NO", None: "not measured"}[reached]


def main() -> int:
    """The command."""
    options = arguments()
    console = Console(width=None if sys.stdout.isatty() else 170)
    reports = []
    for name in options.only or NAMES:
        reports.append(run_work(importlib.import_module(name).WORK, options.runs, options.peers))
    console.print(table(reports))
    for report in reports:
        if max(report.neighbours, default=0) > CROWDED:
            report.note(f"other programs used up to {max(report.neighbours):.1f} cores meanwhile")
        for note in report.notes:
            console.print(f"{report.work.name}: {note}", markup=False)
    print("{python}, {cores} cores, load {load:.1f} at the end".format(**machine()))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(as_json(reports), indent=1) + "\n")
    return 1 if any(report.wrong for report in reports) else 0


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Time allcores against the plain loop and other libraries."
    )
    parser.add_argument("--only", nargs="+", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--runs", type=int, default=3, help="runs a variant (default 3)")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement there")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs must be at least 1")
    return options


def run_work(work: Work, runs: int, peers: bool) -> Report:
    """Measure the variants in turn, `runs` times, so that all of them see the same noise."""
    variants = [v for v in work.variants if peers or v not in PEERS]
    empty: dict[str, list[float | None]] = {v: [None] * runs for v in variants}
    report = Report(work, Figures(empty, {v: list(values) for v, values in empty.items()}))
    left_out: set[str] = set()
    for run in range(runs):
        for variant in (v for v in variants if v not in left_out):
            result = run_once(work, variant)
            print(f"{work.name}, {variant}, run {run + 1}: {said_briefly(result)}", file=sys.stderr)
            if not take(report, run, variant, result):
                left_out.add(variant)
    return report


def take(report: Report, run: int, variant: str, result: dict[str, Any]) -> bool:
    """Note one measurement if it is a good one; gives whether to measure this variant again."""
    if variant == "plain" and report.expected is None:
        report.expected = result.get("digest")
    failed = result.get("failed")
    if failed is None and result["digest"] != report.expected:
        failed = "gave other results than the plain loop"
    if failed is not None:
        report.note(f"{variant} {failed}")
        report.wrong |= variant == "allcores"
        return False
    if said := result.get("said"):
        report.note(f"{variant} said: {said}")
    report.neighbours.append(result["neighbours"])
    report.figures.seconds[variant][run] = result["seconds"]
    report.figures.megabytes[variant][run] = result["megabytes"]
    return variant not in PEERS or result["seconds"] < PATIENCE


def run_once(work: Work, variant: str) -> dict[str, Any]:
    """One variant in a process of its own: its seconds and digest, or {"failed": why}."""
    command = [sys.executable, str(HERE / f"{work.name}.py"), variant]
    if work.watch_memory:
        command.append("--watched")
    pipe = subprocess.PIPE
    neighbours = Neighbours()
    process = subprocess.Popen(
        command,
        text=True,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        start_new_session=True,
        env=environment(),
    )
    watcher = watch(process) if work.watch_memory else None
    try:
        out, err = process.communicate(timeout=TIMEOUT)
        result = parsed(out, err, process.returncode)
    except subprocess.TimeoutExpired:
        result = {"failed": f"took more than {TIMEOUT:.0f} s"}
    finally:
        end_family(process)
        peak = watcher.stop() if watcher else None
    return result | {"megabytes": peak, "neighbours": neighbours.cores()}


def environment() -> dict[str, str]:
    """This environment, less what would have Python compile an editable install every time."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def watch(process: subprocess.Popen[str]) -> Watcher:
    """Watch a process from when it is ready to work; it starts to work now."""
    assert process.stdin and process.stdout
    process.stdout.readline()
    watcher = Watcher(process.pid)
    watcher.start()
    with contextlib.suppress(BrokenPipeError):  # it ended before it was ready, and says why
        process.stdin.write("go\n")
        process.stdin.flush()
    return watcher


def parsed(out: str, err: str, status: int) -> dict[str, Any]:
    """What the process reported on its last line."""
    said = err.strip()
    if status != 0 or not out.strip():
        return {"failed": f"ended with status {status}: {said[-300:]}"}
    result: dict[str, Any] = json.loads(out.splitlines()[-1])
    if said:
        result["said"] = said[:300]
    return result


def end_family(process: subprocess.Popen[str]) -> None:
    """Leave nothing behind, whatever happened."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def said_briefly(result: dict[str, Any]) -> str:
    """A measurement in a few words, to show that something goes on."""
    if "failed" in result:
        return str(result["failed"])
    return f"{duration(result['seconds'])} (others used {result['neighbours']:.2f} cores)"


def duration(seconds: float) -> str:
    """A time for humans."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.3g} µs"
    return f"{seconds * 1e3:.3g} ms" if seconds < 0.1 else f"{seconds:.2f} s"


def table(reports: list[Report]) -> Table:
    """The table that README.md explains."""
    shown = Table("work", "target", title="allcores against the plain loop (medians)")
    for column in ("allcores", "plain", "ratio", *PEERS):
        shown.add_column(column, justify="right")
    shown.add_column("reached?")
    for report in reports:
        shown.add_row(*row(report))
    return shown


def row(report: Report) -> Iterator[str]:
    """One row of it."""
    work, figures = report.work, report.figures
    yield f"{work.name}: {work.says}"
    yield work.target
    yield amount(report, "allcores")
    yield amount(report, "plain")
    ratio = figures.ratio("allcores")
    yield "" if ratio is None else f"{ratio:.2f}"
    for peer in PEERS:
        yield amount(report, peer)
    yield report.reached()


def amount(report: Report, variant: str) -> str:
    """A median for humans: its time, and its memory where that is what counts."""
    seconds, megabytes = report.figures.typical(variant), report.figures.memory(variant)
    if seconds is None:
        return ""
    text = duration(seconds)
    return text if megabytes is None else f"{text}, {megabytes:.0f} MB"


def as_json(reports: list[Report]) -> dict[str, Any]:
    """Every measurement."""
    works = {}
    for report in reports:
        work, figures = report.work, report.figures
        works[work.name] = {
            "says": work.says,
            "target": work.target,
            "reached": report.reached(),
            "ratios": {v: figures.ratio(v) for v in VARIANTS if v in figures.seconds},
            "seconds": figures.seconds,
            "megabytes": figures.megabytes if work.watch_memory else None,
            "neighbours": report.neighbours,
            "notes": report.notes,
        }
    return {"machine": machine(), "works": works}


def machine() -> dict[str, Any]:
    """Where this ran."""
    return {
        "python": f"Python {platform.python_version()}",
        "system": platform.platform(),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
    }


if __name__ == "__main__":
    sys.exit(main())
