"""What `allcores find` predicts for the examples, beside what `allcores run` then reaches.

    python bench/find_prediction.py [EXAMPLE...]

Times are whole processes, medians of three; the prediction is that of the whole run.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"
RUNS = 3


def seconds(*command: str) -> float:
    """The median time of a command."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run(command, cwd=EXAMPLES, capture_output=True, check=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def predicted(name: str) -> float:
    """The speed-up of the whole run that `find` expects on this machine."""
    found = []
    for _ in range(RUNS):
        command = [sys.executable, "-m", "allcores", "find", "--json", name]
        done = subprocess.run(command, cwd=EXAMPLES, capture_output=True, check=True)
        loops = [r for r in json.loads(done.stdout) if r["recommended"]]
        saved = 0.0
        for loop in loops:
            gain = loop["speed_up_of_run"]
            cores = min(gain, key=int)
            saved += 1 - 1 / gain[cores]
        found.append(1 / (1 - saved))
    return statistics.median(found)


def reached(name: str) -> float:
    """How many times as fast `allcores run` runs the program with workers as without."""
    run = [sys.executable, "-m", "allcores", "run", "--quiet"]
    with tempfile.NamedTemporaryFile(suffix=".py") as empty:
        starting = seconds(*run, empty.name)
    serial = seconds(*run, "--on", "serial", name) - starting
    return serial / (seconds(*run, name) - starting)


def main(names: list[str]) -> int:
    """Print the table; the exit code says whether all predictions lie within 25 %."""
    missed = 0
    print(f"{'example':28} {'predicted':>9} {'reached':>9} {'off by':>8}")
    for name in names or sorted(p.name for p in EXAMPLES.glob("*.py")):
        expected, real = predicted(name), reached(name)
        off = expected / real - 1
        missed += abs(off) > 0.25
        print(f"{name:28} {expected:9.2f} {real:9.2f} {off:+8.0%}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
