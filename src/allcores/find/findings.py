"""From what was measured to what is said: loops ranked by what workers would save."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from allcores.find.costs import Costs
from allcores.find.meter import Meter
from allcores.find.predict import Shares, run_seconds

OTHER_CORES = (8, 32, 128)
WORTHWHILE = 1.05
"""The whole program must get so many times as fast for a loop to be worth changing."""
SHOWN_SHARE = 0.001


@dataclass(slots=True, eq=False)
class Finding:
    """One loop that ran, with what parallel running would make of it."""

    meter: Meter
    share: float
    seconds: float
    verdict: str
    reasons: list[tuple[int, str]]
    source: str
    parallel_seconds: dict[int, float] = field(default_factory=dict)
    """By number of cores, all runs of the loop together."""
    total: float = 0.0
    inside: list[Finding] = field(default_factory=list)
    """The loops that this one was run in."""
    recommended: bool = False
    advice: str = ""
    diff: str = ""

    @property
    def place(self) -> tuple[str, int]:
        return self.meter.plan.file, self.meter.plan.line

    def speed_up(self, cores: int) -> float:
        """How many times as fast the loop would be."""
        return self.seconds / self.parallel_seconds[cores] if self.seconds else 1.0

    def saved(self, cores: int) -> float:
        """Seconds that the program would end earlier."""
        return self.seconds - self.parallel_seconds[cores]

    def run_speed_up(self, cores: int) -> float:
        """How many times as fast the whole program would be, with this loop alone changed."""
        left = self.total - self.saved(cores)
        return self.total / left if left > 0 else 1.0


@dataclass(slots=True)
class Findings:
    """All that a run has shown."""

    total: float
    cores: int
    loops: list[Finding]
    costs: Costs
    stopped: str = ""
    """How the program ended, if not well."""
    unread: list[str] = field(default_factory=list)
    """Files whose loops could not be measured."""
    hidden: int = 0
    """How many loops are left out, for they take next to no time."""

    @property
    def all_cores(self) -> list[int]:
        """The numbers of cores that speed-ups are given for: this machine's first."""
        return [self.cores, *(n for n in OTHER_CORES if n != self.cores)]

    @property
    def recommended(self) -> list[Finding]:
        return [each for each in self.loops if each.recommended]

    def run_speed_up(self, cores: int) -> float:
        """How many times as fast the program would be with all that is recommended."""
        left = self.total - sum(each.saved(cores) for each in self.recommended)
        return self.total / left if left > 0 else 1.0


def findings(
    meters: Sequence[Meter], total: float, cores: int, costs: Costs, sources: dict[str, list[str]]
) -> Findings:
    """Rank what was measured.

    costs.sending belongs to `meters`, in order; sources: the lines of each file.
    """
    found = Findings(total, cores, [], costs)
    by_meter: dict[Meter, Finding] = {}
    for meter, sending in zip(meters, costs.sending):
        if not meter.all_iterations and not meter.entries:
            continue
        finding = _finding(meter, total, sources)
        for number in found.all_cores:
            slowdown = costs.slowdown if number == cores else 1.0
            finding.parallel_seconds[number] = _parallel(finding, number, costs, sending, slowdown)
        by_meter[meter] = finding
    for finding in by_meter.values():
        finding.inside = [by_meter[m] for m in finding.meter.within if m and m in by_meter]
    for finding in by_meter.values():
        _cap(finding)
    found.loops = sorted(by_meter.values(), key=lambda each: -each.seconds)
    _recommend(found)
    found.loops.sort(key=lambda each: (-each.recommended, -_gain(each, found), -each.seconds))
    return found


def _finding(meter: Meter, total: float, sources: dict[str, list[str]]) -> Finding:
    plan = meter.plan
    verdict: str = plan.verdict
    reasons = [(reason.line, reason.text) for reason in plan.reasons]
    why = meter.obstacle or meter.unsendable
    if why and verdict == "parallel":
        verdict, reasons = "serial", [(plan.line, why)]
    seconds = min(meter.all_seconds, total)
    share = seconds / total if total else 0.0
    lines = sources.get(plan.file, [])
    node = plan.node
    text = " ".join(line.strip() for line in lines[plan.line - 1 : node.iter.end_lineno])
    return Finding(meter, share, seconds, verdict, reasons, text, total=total)


def _cap(finding: Finding) -> None:
    """A loop that only ran within others took no longer than they did; short ones are estimates."""
    if None in finding.meter.within or not finding.inside or finding in finding.inside:
        return
    most = sum(outer.seconds for outer in finding.inside)
    if finding.seconds > most:
        factor = most / finding.seconds
        finding.seconds, finding.share = most, finding.share * factor
        for cores in finding.parallel_seconds:
            finding.parallel_seconds[cores] *= factor


def shares_of(meter: Meter, sending: tuple[float, float]) -> Shares:
    """What of an iteration does not get faster, and what is added."""
    pull = meter.pull_each if meter.streamed else 0.0
    iterations = meter.sampled_iterations
    big = meter.big_bytes / iterations if iterations else 0.0
    return Shares(meter.commit_each, pull, *sending, big)


def _parallel(
    finding: Finding, cores: int, costs: Costs, sending: tuple[float, float], slowdown: float
) -> float:
    """Seconds of all runs of the loop on so many cores."""
    meter = finding.meter
    if finding.verdict != "parallel" or not meter.seconds:
        return finding.seconds
    shares = shares_of(meter, sending)
    seconds = 0.0
    for runs in meter.by_size.values():
        alone = sum(each for _, each in runs.pieces)
        if not alone:
            continue
        together = run_seconds(runs.pieces, shares, cores, costs, slowdown)
        seconds += runs.seconds * together / alone
    saved = meter.seconds - seconds
    if saved > 0:
        seconds += meter.reading_seconds
    return finding.seconds * seconds / meter.seconds


def _gain(finding: Finding, found: Findings) -> float:
    return finding.saved(max(found.cores, OTHER_CORES[0]))


def _recommend(found: Findings) -> None:
    """Choose loops that are not within one another, those that save most first."""
    several = max(found.cores, OTHER_CORES[0])
    candidates = [e for e in found.loops if e.run_speed_up(several) >= WORTHWHILE]
    # Of loops that save about as much, the outer one: it has the longer iterations.
    candidates.sort(key=lambda e: (-round(_gain(e, found) / (0.1 * found.total)), -e.seconds))
    for each in candidates:
        around = next((o for o in found.recommended if _covered(each, {o}) > 0.5), None)
        within = next((o for o in found.recommended if _covered(o, {each}) > 0.5), None)
        if around is None and within is None:
            each.recommended = True
    for each in found.loops:
        each.advice = _advice(each, found)


def _covered(
    finding: Finding, chosen: set[Finding], seen: frozenset[Finding] = frozenset()
) -> float:
    """The part of a loop's time that is spent within the chosen loops."""
    if finding in chosen and seen:
        return 1.0
    if finding in seen:
        return 0.0
    within = finding.meter.within
    whole = sum(within.values())
    covered = 0.0
    for outer in finding.inside:
        part = within[outer.meter] / whole if whole else 0.0
        covered += part * _covered(outer, chosen, seen | {finding})
    return covered


def _advice(finding: Finding, found: Findings) -> str:
    """One sentence on what to do about the loop."""
    if finding.recommended:
        return "the change is below"
    for other in found.recommended:
        line = f"{_short(other, finding)}"
        if _covered(finding, {other}) > 0.5:
            return f"it runs inside the loop on {line}, which is the one to make parallel"
        if _covered(other, {finding}) > 0.5 and finding.verdict == "parallel":
            return f"the loop on {line}, inside it, gains more"
    if finding.verdict != "parallel":
        return ""
    return "workers would save too little to be worth it"


def _short(other: Finding, than: Finding) -> str:
    file, line = other.place
    return f"line {line}" if file == than.place[0] else f"line {line} of {file}"


def as_data(found: Findings) -> list[dict[str, Any]]:
    """The list that `allcores find --json` writes."""
    return [_one(each, found) for each in found.loops]


def _one(finding: Finding, found: Findings) -> dict[str, Any]:
    meter, plan = finding.meter, finding.meter.plan
    iterations = meter.all_iterations
    each = finding.seconds / iterations if iterations else 0.0
    return {
        "file": plan.file,
        "line": plan.line,
        "function": plan.function,
        "text": finding.source,
        "seconds": finding.seconds,
        "share": finding.share,
        "entries": meter.all_entries,
        "iterations": iterations,
        "estimated": bool(meter.skipped),
        "seconds_an_iteration": each,
        "longest_iteration": meter.longest,
        "unevenness": meter.unevenness,
        "commit_seconds_an_iteration": meter.commit_each,
        "verdict": finding.verdict,
        "reasons": [{"line": line, "text": text} for line, text in finding.reasons],
        "inside": [{"file": o.place[0], "line": o.place[1]} for o in finding.inside],
        "speed_up": {str(n): finding.speed_up(n) for n in found.all_cores},
        "speed_up_of_run": {str(n): finding.run_speed_up(n) for n in found.all_cores},
        "recommended": finding.recommended,
        "advice": finding.advice,
        "diff": finding.diff,
    }
