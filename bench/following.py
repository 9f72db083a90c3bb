"""Reading a loop and all it calls, of five programs: the slowest of them, read for the first time.

`python bench/following.py allcores --each` shows every program.
"""

import importlib
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from work import Clock, Figures, Work

PROGRAMS = ("planets", "words", "network", "routes", "reports")
TRIES = 3


def slowest(figures: Figures) -> float | None:
    """Seconds for the slowest program."""
    return figures.typical("allcores")


WORK = Work(
    "following",
    "reading a loop and what it calls, the slowest of five programs",
    "50 ms",
    slowest,
    0.050,
    variants=("plain", "allcores"),
)


def read(program: str) -> tuple[float, str]:
    """Seconds for reading the program's loop, and the verdict."""
    from allcores.entry import plans

    taken = []
    verdicts = []
    real = plans.make_plan

    def timed(site: Any, *rest: Any) -> None:
        started = time.process_time()
        real(site, *rest)
        taken.append(time.process_time() - started)
        verdicts.append(site.plan.verdict + "".join(f"; {r.text}" for r in site.plan.reasons[:2]))

    plans.make_plan = timed
    importlib.import_module(f"followed.{program}").main()
    return taken[0], verdicts[0]


def fresh(program: str) -> tuple[float, str]:
    """The same in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--read", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "ALLCORES_FORCE": "1", "PYTHONPATH": path()},
    )
    seconds, _, verdict = done.stdout.partition(" ")
    return float(seconds), verdict.strip()


def path() -> str:
    """Where this folder is, and what was on the path."""
    here = str(Path(__file__).parent)
    return os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])


if __name__ == "__main__":
    if sys.argv[1] == "--read":
        print(*read(sys.argv[2]))
        sys.exit()
    clock = Clock()
    times = {}
    for program in PROGRAMS if clock.variant == "allcores" else ():
        tries = [fresh(program) for _ in range(TRIES)]
        times[program] = median(seconds for seconds, _ in tries)
        if "--each" in sys.argv:
            print(f"{program:10}{1000 * times[program]:7.1f} ms  {tries[0][1]}")
    clock.report(max(times.values(), default=0.0), None)
