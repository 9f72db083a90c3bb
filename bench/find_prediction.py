"""Does `allcores find` foretell what `allcores run` then reaches?

For each example: the prediction, the plain run, and the run with workers, several times in turn, and
of all figures the medians.

    python bench/find_prediction.py [--json] [ROUNDS [EXAMPLE...]]

Times are those of the script itself, without the start of Python and allcores. `free` says how much
two processes got done together while this ran, where one alone does 1: well below 2 the machine
was busy with other things, and the figures are about those.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"
ARGUMENTS = {
    "cheatsheet": ["1000000"],
    "mandelbrot": ["600", "image.pgm"],
    "option_price": ["600"],
    "period_search": ["80000"],
    "bootstrap": ["20000"],
    "text_stats": ["1200"],
}

# Runs a script plainly or with workers, and writes its seconds and those of its loops to a file.
TIMED = """
import json, os, sys, time
how, target, script, *args = sys.argv[1:]
from allcores import script as runner
from allcores.loop import listeners
loops = {}
def add(report):
    key = f"{os.path.basename(report.file)}:{report.line}"
    loops[key] = loops.get(key, 0.0) + report.seconds
listeners.append(add)
from allcores.rewrite import parallel_code
if how == "plain":
    os.environ["ALLCORES_ON"] = "serial"
    parallel_code = lambda source, name: compile(source, name, "exec", dont_inherit=True)
start = time.perf_counter()
runner.run_script(script, args, parallel_code)
seconds = time.perf_counter() - start
with open(target, "w") as file:
    json.dump({"seconds": seconds, "loops": loops}, file)
"""


def timed(how: str, example: str, directory: Path) -> dict:
    """One run, plain or with workers, in a fresh process."""
    target = directory / "seconds.json"
    script = str(EXAMPLES / f"{example}.py")
    command = [sys.executable, "-c", TIMED, how, str(target), script, *ARGUMENTS[example]]
    subprocess.run(command, cwd=directory, check=True, stdout=subprocess.DEVNULL)
    return json.loads(target.read_text())


def predicted(example: str, directory: Path) -> list[dict]:
    """What `allcores find --json` says."""
    script = str(EXAMPLES / f"{example}.py")
    command = [*f"{sys.executable} -m allcores find --json".split(), script, *ARGUMENTS[example]]
    done = subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def free() -> float:
    """How much as many processes as cores get done together, where one alone does 1, times 2/n."""
    cores = os.cpu_count() or 1
    spin = [
        sys.executable,
        "-c",
        "import time; t = time.perf_counter(); sum(range(8_000_000)); print(time.perf_counter() - t)",
    ]
    seconds = []
    for count in (1, cores):
        running = [subprocess.Popen(spin, stdout=subprocess.PIPE) for _ in range(count)]
        seconds.append(max(float(each.communicate()[0]) for each in running))
    return 2 * seconds[0] / seconds[1]


def compare(example: str, rounds: int) -> dict:
    """Medians of several rounds; speed-ups of the main loop and of the whole run."""
    with tempfile.TemporaryDirectory() as name:
        rows = [one_round(example, Path(name)) for _ in range(rounds)]
    row = {key: statistics.median(each[key] for each in rows) for key in rows[0]}
    return {"example": example, **row, "busy": row["free"] < 1.8}


def one_round(example: str, directory: Path) -> dict:
    """The prediction, the plain run and the run with workers, right after one another."""
    loops = predicted(example, directory)
    plain = timed("plain", example, directory)["seconds"]
    done = timed("run", example, directory)
    main = next((e for e in loops if e["recommended"]), max(loops, key=lambda e: e["seconds"]))
    key = f"{example}.py:{main['line']}"
    cores = str(os.cpu_count())
    # The rest of the program takes what it took.
    rest = done["seconds"] - done["loops"].get(key, 0.0)
    return {
        "plain": plain,
        "run": done["seconds"],
        "free": free(),
        "said": main["speed_up_of_run"][cores],
        "reached": plain / done["seconds"],
        "loop_said": main["speed_up"][cores],
        "loop_reached": (plain - rest) / done["loops"][key] if key in done["loops"] else 1.0,
    }


def main() -> None:
    """Print the table."""
    arguments = [each for each in sys.argv[1:] if each != "--json"]
    rounds = int(arguments[0]) if arguments else 3
    if "--json" in sys.argv:
        print(json.dumps([compare(each, rounds) for each in arguments[1:] or ARGUMENTS]))
        return
    print(f"{'':14}  plain s    run s  free   whole: said reached  off    loop: said reached  off")
    for example in arguments[1:] or ARGUMENTS:
        row = compare(example, rounds)
        whole, loop = (
            row[k] / row[r] - 1 for k, r in (("said", "reached"), ("loop_said", "loop_reached"))
        )
        print(
            f"{example:14} {row['plain']:8.2f} {row['run']:8.2f} {row['free']:5.2f}"
            f"   {row['said']:10.2f} {row['reached']:7.2f} {whole:+5.0%}"
            f"   {row['loop_said']:8.2f} {row['loop_reached']:7.2f} {loop:+5.0%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
