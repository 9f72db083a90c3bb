"""What watching costs (docs/design.md, section 3): `one_ms` with it and without, in CPU seconds.

    python bench/watching.py [runs]

Each run is a process of its own, with and without in turn; the CPU of parent and workers is counted,
which other programs on the machine disturb less than the time on the clock.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import median

from neighbours import our_seconds

HERE = Path(__file__).parent
LOOP = """
import sys
sys.path.insert(0, {here!r})
from neighbours import our_seconds
from one_ms import STEPS, frequencies, integral
from allcores import parallel
import allcores.build.job as job, allcores.build.watch as watch
if not {watched}:
    class Nothing:
        def __init__(self, *_, **__): pass
        def change(self): return None
    watch.Watch = Nothing
    job.watch_items = lambda _: None
results = []
began = our_seconds()
for frequency in parallel(frequencies()):
    results.append(integral(frequency, STEPS))
print(our_seconds() - began, len(results))
"""


def once(watched: bool) -> float:
    """CPU seconds of the loop."""
    text = LOOP.format(here=str(HERE), watched=watched)
    with open(HERE / "results" / f"watching_{watched}.py", "w") as stream:
        stream.write(text)
    said = subprocess.run(
        [sys.executable, stream.name], check=True, capture_output=True, text=True
    ).stdout
    return float(said.split()[0])


def main() -> int:
    """The command."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    (HERE / "results").mkdir(exist_ok=True)
    pairs = []
    for run in range(runs):
        # What comes first may be at an advantage.
        order = (True, False) if run % 2 else (False, True)
        seconds = {watched: once(watched) for watched in order}
        pairs.append((seconds[True], seconds[False]))
        print(f"run {run + 1}: {pairs[-1][0]:.3f} s with, {pairs[-1][1]:.3f} s without", flush=True)
    on, off = zip(*pairs)
    print(f"least: {min(on):.3f} s with, {min(off):.3f} s without: {min(on) / min(off) - 1:+.2%}")
    print(f"median of the pairs: {median(a / b for a, b in pairs) - 1:+.2%}")
    print(f"all measured in {our_seconds():.0f} CPU seconds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
