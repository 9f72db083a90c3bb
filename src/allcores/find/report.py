"""All that `allcores find` has to say of one run."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from allcores.engine.cores import usable_cores
from allcores.find.change import one_word_change
from allcores.find.measure import Meter
from allcores.find.predict import Costs, measured_costs
from allcores.find.rank import Ranked, ranked


@dataclass(slots=True)
class Report:
    """The ranked loops of a run of `total` seconds, and the sources they stand in."""

    total: float
    costs: Costs
    loops: list[Ranked]
    sources: dict[str, list[str]]

    @classmethod
    def of(cls, meter: Meter, total: float) -> Report:
        """The report on what a meter has measured; measures this machine as well."""
        cores = usable_cores()
        any_parallel = any(loop.plan.verdict == "parallel" and loop.count for loop in meter.loops)
        costs = measured_costs(cores) if any_parallel else Costs(0.0, 0.0, 1.0, cores)
        return cls(total, costs, ranked(meter, total, costs), meter.sources)

    @property
    def recommended(self) -> list[Ranked]:
        """The loops to make parallel, the most worthwhile first."""
        return [r for r in self.loops if r.recommended]

    def change(self, r: Ranked) -> str:
        """The one-word change as a unified diff; "" for a loop that is marked already."""
        return one_word_change(r.loop.plan, self.sources[r.loop.plan.file])

    def as_data(self) -> list[dict[str, Any]]:
        """For tools: a list of objects, one a loop; the keys are in docs/find.md."""
        return [
            {**r.as_data(), "diff": self.change(r) if r.recommended else ""} for r in self.loops
        ]


def version() -> str:
    """The Python that ran, for the report's foot."""
    return ".".join(map(str, sys.version_info[:3]))
