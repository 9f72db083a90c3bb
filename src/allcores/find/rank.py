"""The loops of a run in the order of what making them parallel would save."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from allcores.find.measure import Loop, Meter
from allcores.find.predict import Costs, of_the_run, seconds_on, speed_up

BIG_MACHINES = (8, 32, 128)
WORTHWHILE = 1.05
"""A whole run that gets less faster than this is not worth a change."""


@dataclass(slots=True)
class Ranked:
    """A loop, and what it would gain. Times in seconds, speed-ups as factors."""

    loop: Loop
    share: float
    """Of the whole run."""
    gain: dict[int, float] = field(default_factory=dict)
    """Cores -> speed-up of the whole run."""
    alone: float = 1.0
    """Speed-up of the loop itself on this machine."""
    advice: str = ""

    @property
    def recommended(self) -> bool:
        """Whether this is a loop to make parallel."""
        return not self.advice

    @property
    def unevenness(self) -> float:
        """The longest iteration as a multiple of the mean."""
        loop = self.loop
        if not loop.iterations or not loop.seconds:
            return 1.0
        return max(loop.longest / (loop.seconds / loop.iterations), 1.0)

    def as_data(self) -> dict[str, Any]:
        """For tools: see docs/find.md."""
        loop, plan = self.loop, self.loop.plan
        return {
            "file": plan.file,
            "line": plan.line,
            "text": loop.text,
            "share": round(self.share, 4),
            "seconds": round(loop.seconds, 6),
            "entries": loop.count,
            "iterations": loop.iterations,
            "seconds_an_iteration": loop.seconds / loop.iterations if loop.iterations else 0.0,
            "unevenness": round(self.unevenness, 2),
            "verdict": plan.verdict,
            "reasons": [{"line": r.line, "text": r.text} for r in plan.reasons],
            "speed_up": round(self.alone, 3),
            "speed_up_of_run": {str(n): round(g, 3) for n, g in self.gain.items()},
            "recommended": self.recommended,
            "advice": self.advice,
        }


def ranked(meter: Meter, total: float, costs: Costs) -> list[Ranked]:
    """Every loop that ran, the most worthwhile first. total: seconds of the whole run."""
    found = [_rank(loop, total, costs) for loop in meter.loops if loop.count]
    # Ranked by what a bigger machine would save: what this one does depends on its neighbours.
    found.sort(key=lambda r: (-_saved(r.loop, costs), -r.share))
    chosen: list[Ranked] = []
    for r in found:
        r.advice = _against(r, chosen)
        if r.recommended:
            chosen.append(r)
    return sorted(found, key=lambda r: (not r.recommended, -_saved(r.loop, costs), -r.share))


def _saved(loop: Loop, costs: Costs) -> float:
    return loop.seconds - seconds_on(loop, max(costs.cores, BIG_MACHINES[0]), costs)


def _rank(loop: Loop, total: float, costs: Costs) -> Ranked:
    machines = sorted({costs.cores, *BIG_MACHINES})
    gain = {cores: of_the_run(loop, total, cores, costs) for cores in machines}
    return Ranked(
        loop, loop.seconds / total if total else 0.0, gain, speed_up(loop, costs.cores, costs)
    )


def _against(r: Ranked, chosen: Sequence[Ranked]) -> str:
    """Why not to make this loop parallel; "" where it is worth it."""
    plan = r.loop.plan
    if plan.verdict != "parallel":
        if not plan.reasons:
            return plan.verdict
        first = plan.reasons[0]
        return f"{plan.verdict}: line {first.line}: {first.text}"
    for other in chosen:
        within = r.loop.time_within.get(id(other.loop), 0.0)
        if within > 0.5 * r.loop.seconds:
            return f"runs within the loop on line {other.loop.plan.line}, which has more to gain"
        around = other.loop.time_within.get(id(r.loop), 0.0)
        if around > 0.5 * other.loop.seconds:
            return f"has the loop on line {other.loop.plan.line} in it, which has more to gain"
    best = max(r.gain.values(), default=1.0)
    if best < WORTHWHILE:
        return "too little work to gain from workers"
    return ""
