"""Runs packages' own tests plainly and with their loops in workers, and compares test by test.

`python -m tests.corpus.run [PACKAGE...]`: all packages of `packages.py`, or these. Exits with 1
where a test comes out otherwise in workers.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from tests.corpus.cache import Missing, cache_folder, installed
from tests.corpus.packages import PACKAGES, Package
from tests.corpus.suite import Outcomes, Suite, run_suite

HEADINGS = (
    "package",
    "tests",
    "left out",
    "differences",
    "loops",
    "parallel",
    "in workers",
    "entries",
    "plain",
    "forced",
)


class Comparison(NamedTuple):
    """What two plain runs and one in workers tell."""

    compared: int
    left_out: list[str]
    """Tests that differ between the plain runs."""
    differences: list[str]
    """Test by test, how the run in workers differs."""


def compare(plain: Outcomes, again: Outcomes, forced: Outcomes) -> Comparison:
    """Compare the outcomes of tests; where the plain runs differ there is nothing to compare."""
    left_out: list[str] = []
    differences: list[str] = []
    unreached: list[str] = []
    compared = 0
    for test in {**plain, **again, **forced}:
        first, second, ours = (each.get(test, {}) for each in (plain, again, forced))
        if first.get("outcome") != second.get("outcome"):
            left_out.append(test)
            continue
        if not ours:
            unreached.append(test)
            continue
        compared += 1
        steady = [field for field in first if first[field] == second.get(field)]
        for field in ["outcome", *steady]:
            if first.get(field) != ours.get(field):
                was, became = _shown(first.get(field)), _shown(ours.get(field))
                why = "" if field != "outcome" else f"\n        {_shown(ours.get('message'))}"
                differences.append(f"{test}: {field} {was}, in workers {became}{why}")
                break
    if unreached:
        differences.append(f"{len(unreached)} tests were not reached, the first is {unreached[0]}")
    return Comparison(compared, left_out, differences)


def _shown(value: str | None) -> str:
    if value is None:
        return "missing"
    text = ascii(value)
    return text if len(text) < 1000 else f"{text[:500]} ... {text[-500:]}"


def check(package: Package, results: Path) -> tuple[tuple[str, ...], Comparison]:
    """Run one package all three ways: its row of the table, and what was found."""
    folder = installed(package)
    work = results / package.name
    minutes = package.minutes
    with ThreadPoolExecutor() as both:
        runs = [
            both.submit(run_suite, package, folder, work / name, False, minutes)
            for name in ("plain", "again")
        ]
    plain, again = (run.result() for run in runs)
    forced = run_suite(package, folder, work / "forced", True, minutes)
    found = compare(plain.outcomes, again.outcomes, forced.outcomes)
    return _row(package, found, plain, forced), found


def _row(package: Package, found: Comparison, plain: Suite, forced: Suite) -> tuple[str, ...]:
    loops = forced.loops
    parallel = _count(loops, lambda loop: loop.get("verdict") == "parallel")
    share = f"{parallel} ({100 * parallel // max(len(loops), 1)} %)"
    in_workers = _count(loops, lambda loop: loop["in_workers"])
    entries = sum(loop["runs"] for loop in loops)
    return (
        f"{package.name} {package.version}",
        str(found.compared),
        str(len(found.left_out)),
        str(len(found.differences)),
        str(len(loops)),
        share,
        str(in_workers),
        str(entries),
        f"{plain.seconds:.0f} s",
        f"{forced.seconds:.0f} s",
    )


def _count(loops: list[dict[str, Any]], wanted: Any) -> int:
    return sum(bool(wanted(loop)) for loop in loops)


def _table(rows: list[tuple[str, ...]]) -> str:
    lines = [HEADINGS, *rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths))
        )
        for line in lines
    )


def main(names: list[str], results: Path) -> int:
    """Check these packages, or all; the number of differences."""
    known = {package.name: package for package in PACKAGES}
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no package {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    rows: list[tuple[str, ...]] = []
    bad = 0
    for package in [known[name] for name in names] or PACKAGES:
        try:
            row, found = check(package, results)
        except Missing as error:
            print(f"{package.name}: cannot be installed: {error}", flush=True)
            bad += 1
            continue
        rows.append(row)
        bad += len(found.differences)
        print(_table(rows[-1:]), flush=True)
        for line in found.differences:
            print(f"    {line}")
        for test in found.left_out:
            print(f"    left out, for it differs from plain run to plain run: {test}")
        sys.stdout.flush()
    print(f"\n{_table(rows)}\n{bad} differences; logs are in {results}")
    return min(bad, 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", nargs="*", metavar="PACKAGE")
    parser.add_argument("--results", type=Path, default=cache_folder() / "results")
    given = parser.parse_args()
    sys.exit(main(given.packages, given.results))
