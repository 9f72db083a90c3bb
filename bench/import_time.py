"""What an import adds to the start of Python; times are of whole processes, `python -c ...`."""

import subprocess
import sys
import time
from statistics import median

from work import Clock, Figures, Work

TRIES = 9
STATEMENTS = {
    "plain": "pass",
    "allcores": "import allcores",
    "pool": "import multiprocessing.pool",
    "futures": "import concurrent.futures.process",
    "joblib": "import joblib",
    "mpire": "import mpire",
}


def extra(figures: Figures) -> float | None:
    """Seconds more than bare Python."""
    return figures.extra("allcores")


WORK = Work(
    "import_time", "python -c 'import allcores'", "60 ms more than bare Python", extra, 0.060
)


def seconds(statement: str) -> float:
    """The time of one process."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    clock = Clock()
    statement = STATEMENTS[clock.variant]
    seconds(statement)  # the first may have to write bytecode
    clock.report(median(seconds(statement) for _ in range(TRIES)), None)
