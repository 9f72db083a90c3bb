"""Systems that no test can run on: this Python, without what it has not there.

No more than a likeness: it shows that loops run, as the plain loop where there are no workers, on
systems that lack what Linux has. How these systems do what they have, it cannot show.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PROGRAM = """
import sys, warnings
import allcores
from allcores import parallel

def f(x):
    return x * x

def main():
    total, out = 0, []
    for x in parallel(range(100), workers=2):
        y = f(x)
        total += y
        out.append(y)
    print(total, len(out), x, y)
    print(allcores.map(f, range(5), workers=2))
    print(list(allcores.imap(f, range(5))), allcores.starmap(pow, [(2, 3), (3, 2)]))
    with allcores.Pool(2) as pool:
        print(pool.map(f, range(4)), pool.apply_async(f, (3,)).get())
    with allcores.Executor(2) as executor:
        print(list(executor.map(f, range(4))), executor.submit(f, 5).result())

main()
"""
PRINTED = """328350 100 99 9801
[0, 1, 4, 9, 16]
[0, 1, 4, 9, 16] [8, 9]
[0, 1, 4, 9] 9
[0, 1, 4, 9] 25
"""


def program(text: str, system: str, folder: Path, *arguments: str, **variables: str) -> str:
    """What a program prints on a system that is like another one, and what it says on stderr."""
    script = folder / "program.py"
    script.write_text(textwrap.dedent(text))
    done = subprocess.run(
        [sys.executable, *arguments, str(script)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(
                [str(Path(__file__).with_name("elsewhere")), *sys.path[1:]]
            ),
            "SYSTEM": system,
            **variables,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        cwd=folder,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


BOTH = pytest.mark.parametrize("system", ["win32", "darwin"])

ALL = """
import importlib, pkgutil
import allcores
for module in pkgutil.walk_packages(allcores.__path__, "allcores."):
    # Terminals, and what asks them for colours, are of other packages' making.
    if not module.name.startswith(OTHERS):
        importlib.import_module(module.name)
"""
OTHERS = (
    "allcores.__main__ allcores.cli allcores.commands allcores.show allcores.on "
    "allcores.engine.threads"  # forks' alone
)

FRESH = """
import os, signal, time
import allcores
from allcores import parallel

big = bytes(10_000_000)

def dies_once(x):
    time.sleep(0.001)
    if x == 13 and not os.path.exists("died"):
        open("died", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return big[x : x + 1] + bytes(x)

def f(x):
    print("at", x)
    if x == 30: raise ValueError(x)
    return os.getpid(), x * x, bytes([x]) * 3_000_000

def main():
    out, pids, total = [], set(), 0
    try:
        for x in parallel(range(40), on="fresh", workers=2):
            pid, y, big = f(x)
            pids.add(pid)
            out.append(y)
            total += big[5] + len(big)
    except ValueError as error:
        print("raised", error, x, y, len(out), total)
    print(os.getpid() in pids)
    print(sum(b[7] for _, _, b in allcores.map(f, range(30), on="fresh", workers=2)))
    print(allcores.map(dies_once, range(30), on="fresh") == [bytes(x + 1) for x in range(30)])

main()
"""


@BOTH
def test_every_module_can_be_imported(system: str, tmp_path: Path) -> None:
    assert program(ALL.replace("OTHERS", repr(tuple(OTHERS.split()))), system, tmp_path) == ""


def test_clean_interpreters_where_all_files_are_on_disk(tmp_path: Path) -> None:
    said = program(FRESH, "darwin", tmp_path, ALLCORES_FORCE="1").splitlines()
    plain = [f"at {x}" for x in range(31)]
    assert said[:31] == plain
    assert said[31] == f"raised 30 30 841 30 {sum(range(30)) + 30 * 3_000_000}"
    assert said[32] == "False"
    assert said[33:] == [*plain[:30], str(sum(range(30))), "True"]


@BOTH
def test_a_program_runs_and_is_told_why_it_has_no_workers(system: str, tmp_path: Path) -> None:
    said = program(PROGRAM, system, tmp_path, "-W", "ignore")
    assert said == PRINTED
    said = program(PROGRAM, system, tmp_path)
    assert "ParallelWarning" in said
    assert "workers cannot be made here: forked workers need Linux for now" in said
