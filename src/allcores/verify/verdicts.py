"""What is known of each loop that was watched, and how it is said."""

from __future__ import annotations

import os
from dataclasses import dataclass

from allcores.plan import Plan


@dataclass
class Verdict:
    """What is known of one loop."""

    plan: Plan
    runs: int = 0
    compared: int = 0
    iterations: int = 0
    difference: str = ""
    serial: str = ""
    missed: str = ""
    """Why a run could not be compared."""
    around: int = 0
    """The line of a compared loop that it ran in, which is compared with it."""

    def told(self) -> tuple[str, str]:
        """How much was compared, and what came out."""
        count = f"{self.iterations:,} iteration{'s' if self.iterations != 1 else ''}"
        if self.compared > 1 or self.runs > 1:
            count += f" in {self.compared:,} of {self.runs:,} runs"
        if self.difference:
            return count, f"differs: {self.difference}"
        if self.missed:
            return count if self.compared else "", f"not compared: {self.missed}"
        if self.compared:
            also = f"; other runs were serial: {self.serial}" if self.serial else ""
            return count, f"same{also}"
        if self.serial:
            return "", f"ran serially: {self.serial}" if self.runs else f"serial: {self.serial}"
        if self.runs:
            return "", "had no iterations"
        within = f"ran within the loop on line {self.around}"
        return "", within if self.around else "was not reached"


def total(same: int, different: int, missed: int) -> str:
    """What came out of all loops, in a sentence."""
    without = f" {missed} could not be compared." if missed else ""
    if not same and not different:
        return (
            "No loop ran in parallel, so there was nothing to compare."
            if not missed
            else without[1:]
        )
    count = f"{same + different} loop{'s' if same + different != 1 else ''} compared"
    if not different:
        return f"{count}: parallel and plain leave the same.{without}"
    return f"{count}: {different} differ{'s' if different == 1 else ''}.{without}"


def short(file: str, home: str) -> str:
    """A file as it is shown: seen from `home`, if it lies below."""
    relative = os.path.relpath(file, home)
    return file if relative.startswith("..") else relative
