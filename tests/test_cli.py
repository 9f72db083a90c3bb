"""The command as users run it: in a process of its own, by what it writes and how it exits."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.lines import read_line

RECIPE = """\
avalues = list(range(20))
bvalues = list(range(20))
const = 3
results = []
for a, b in zip(avalues, bvalues):
    results.append((a + b) * const)
print(results)
"""

NESTED = """\
def f(grid):
    out = []
    for row in grid:
        total = 0
        for cell in row:
            total += cell * cell
        out.append(total)

    return out


for name in [
    "a",
    "b",
]:
    print(name.upper())
"""

SLOW_LOOP = """
    import sys
    results = []
    for x in range(40):
        total = 0
        for y in range(20_000):
            total += x * y % 7
        results.append(total)
    print(sum(results), sys.argv[1:])
    """


def allcores(*args: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "allcores", *args],
        cwd=cwd,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **variables},
        timeout=60,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with a few programs in it."""
    (tmp_path / "recipe.py").write_text(RECIPE)
    (tmp_path / "nested.py").write_text(NESTED)
    (tmp_path / "no_loop.py").write_text("print(1)\n")
    (tmp_path / "slow_loop.py").write_text(textwrap.dedent(SLOW_LOOP))
    (tmp_path / "wrong.py").write_text("x = 1\nfor x in range(3)\n    pass\n")
    (tmp_path / "bytes.py").write_bytes(b"x = 1\n\n\ny = '\xff\xfe'\n")
    (tmp_path / "nul.py").write_bytes(b"x = 1\0\n")
    (tmp_path / "cookie.py").write_bytes(b"# coding: klingon\nx = 1\n")
    return tmp_path


# -- explain ---------------------------------------------------------------------------------------


def test_the_recipe_in_words(folder: Path) -> None:
    done = allcores("explain", "recipe.py", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert lines[0] == "recipe.py:5  for a, b in zip(avalues, bvalues):"
    assert lines[1] == "parallel"
    assert lines[2:] == [
        "varies `a, b`",
        "fixed `const`",
        "in workers `(a + b) * const`",
        "in order, here `results.append(·)`",
    ]


def test_the_recipe_as_data(folder: Path) -> None:
    done = allcores("explain", "--json", "recipe.py", cwd=folder)
    assert json.loads(done.stdout) == [
        {
            "file": "recipe.py",
            "line": 5,
            "verdict": "parallel",
            "reasons": [],
            "varying": ["a", "b"],
            "fixed": ["const"],
            "work": ["(a + b) * const"],
            "in_place": [],
            "commits": [{"line": 6, "source": "results.append(·)"}],
            "random": [],
        }
    ]


def test_data_can_be_written_in_any_encoding(folder: Path) -> None:
    expected = json.loads(allcores("explain", "--json", "recipe.py", cwd=folder).stdout)
    for encoding in ("ascii", "latin-1", "utf-8"):
        done = subprocess.run(
            [sys.executable, "-m", "allcores", "explain", "--json", "recipe.py"],
            cwd=folder,
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": encoding},
        )
        assert json.loads(done.stdout.decode(encoding)) == expected
    words = allcores("explain", "recipe.py", cwd=folder, PYTHONIOENCODING="ascii")
    assert words.returncode == 0


def test_a_serial_loop_tells_why_and_where(folder: Path) -> None:
    (folder / "serial.py").write_text("x = 1\nfor i in range(9):\n    x = x * i + 1\nprint(x)\n")
    done = allcores("explain", "--json", "serial.py", cwd=folder)
    (plan,) = json.loads(done.stdout)
    assert plan["verdict"] in ("serial", "nothing to gain")
    assert plan["reasons"]
    words = allcores("explain", "serial.py", cwd=folder).stdout
    for reason in plan["reasons"]:
        assert f"line {reason['line']}: {reason['text']}" in words


@pytest.mark.parametrize(
    ("target", "line"),
    [("nested.py:3", 3), ("nested.py:5", 5), ("nested.py:12", 12), ("nested.py:14", 12)],
)
def test_a_line_of_the_loops_header(target: str, line: int, folder: Path) -> None:
    done = allcores("explain", "--json", target, cwd=folder)
    assert [plan["line"] for plan in json.loads(done.stdout)] == [line]
    assert done.stderr == ""


def test_a_line_inside_a_loop(folder: Path) -> None:
    done = allcores("explain", "--json", "nested.py:6", cwd=folder)
    assert [plan["line"] for plan in json.loads(done.stdout)] == [5]
    assert done.stderr == "allcores: line 6 of nested.py is inside the loop on line 5.\n"
    done = allcores("explain", "--json", "nested.py:7", cwd=folder)
    assert [plan["line"] for plan in json.loads(done.stdout)] == [3]


def test_all_loops_in_order_and_several_files(folder: Path) -> None:
    done = allcores("explain", "--json", "nested.py", "no_loop.py", "recipe.py:5", cwd=folder)
    found = [(plan["file"], plan["line"]) for plan in json.loads(done.stdout)]
    assert found == [("nested.py", 3), ("nested.py", 5), ("nested.py", 12), ("recipe.py", 5)]
    assert 'for name in [ "a", "b", ]:' in allcores("explain", "nested.py", cwd=folder).stdout


@pytest.mark.timeout(60)
def test_methods_that_call_each_other_in_circles_are_read_in_time(folder: Path) -> None:
    import argparse

    done = allcores("explain", "--json", argparse.__file__, cwd=folder)
    assert len(json.loads(done.stdout)) > 40


def test_a_directory(folder: Path) -> None:
    done = allcores("explain", "--json", ".", cwd=folder)
    files = {plan["file"] for plan in json.loads(done.stdout)}
    assert files == {"nested.py", "recipe.py", "slow_loop.py"}
    assert done.returncode == 0
    assert sorted(re.findall(r"allcores: (\w+\.py)", done.stderr)) == [
        "bytes.py",
        "cookie.py",
        "nul.py",
        "wrong.py",
    ]


def test_a_file_without_loops(folder: Path) -> None:
    assert "no `for` loop" in allcores("explain", "no_loop.py", cwd=folder).stdout
    assert json.loads(allcores("explain", "--json", "no_loop.py", cwd=folder).stdout) == []


def test_colour_on_a_terminal_and_none_in_a_pipe(folder: Path) -> None:
    def explained(**variables: str) -> str:
        parent, child = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "allcores", "explain", "recipe.py"],
            cwd=folder,
            stdout=child,
            env={**os.environ, "TERM": "xterm-256color", **variables},
        )
        os.close(child)
        text = b""
        # Reading the terminal of a process that has ended is an error on Linux.
        try:
            while piece := os.read(parent, 4096):
                text += piece
        except OSError:
            pass
        os.close(parent)
        assert process.wait(30) == 0
        return text.decode()

    plain = allcores("explain", "recipe.py", cwd=folder).stdout
    coloured = explained()
    assert "\x1b[" in coloured
    assert "\x1b[" not in plain
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured).replace("\r\n", "\n") == plain
    assert "\x1b[3" not in explained(NO_COLOR="1")


def test_a_reader_that_stops_early(folder: Path) -> None:
    (folder / "many.py").write_text("for x in range(3):\n    print(x * x)\n" * 3000)
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "allcores", "explain", "many.py"],
        cwd=folder,
        stdout=write,
        stderr=subprocess.PIPE,
    )
    os.close(write)
    assert os.read(read, 10)
    os.close(read)
    _out, err = process.communicate(timeout=60)
    assert err == b""
    assert process.returncode == 1


# -- input that cannot be worked with --------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ("explain missing.py", "there is no file missing.py."),
        ("explain missing.py:3", "there is no file missing.py."),
        ("explain .:3", ". is a directory, which has no lines."),
        ("explain recipe.py/x.py", "recipe.py/x.py cannot be read: Not a directory."),
        (
            "explain wrong.py",
            "wrong.py, line 2, is not valid Python: expected ':': for x in range(3).",
        ),
        ("explain bytes.py", "bytes.py cannot be read as utf-8 text: byte 13 is 0xff."),
        ("explain cookie.py", "cookie.py is not valid Python: unknown encoding"),
        ("explain nul.py", "nul.py is not valid Python: source code string cannot contain null"),
        (
            "explain recipe.py:999",
            "there is no loop on line 999 of recipe.py; the nearest is on line 5.",
        ),
        (
            "explain nested.py:10",
            "there is no loop on line 10 of nested.py; the nearest are on lines 5 and 12.",
        ),
        (
            "explain no_loop.py:1",
            "there is no loop on line 1 of no_loop.py, nor anywhere else in it.",
        ),
        ("explain", "Missing argument"),
        ("explain --jsn recipe.py", "No such option"),
        ("run missing.py", "there is no file missing.py."),
        ("run -m no_such_module", "No module named no_such_module."),
        ("run -m no_such.module", "Error while finding module specification"),
        (
            "run wrong.py",
            "wrong.py, line 2, is not valid Python: expected ':': for x in range(3).",
        ),
        ("run bytes.py", "bytes.py"),
        ("run nul.py", "nul.py is not valid Python"),
        ("run cookie.py", "cookie.py is not valid Python: "),
        ("run -m wrong", "wrong.py, line 2, is not valid Python"),
        ("run .", "can't find '__main__' module"),
        ("run", "say which script to run"),
        ("run --workers 0 recipe.py", "'--workers': 0 is not in the range x>=1"),
        ("run --workers two recipe.py", "'--workers': 'two' is not a valid integer"),
        ("run --on moon recipe.py", "'--on': 'moon' is not one of 'processes', 'fork'"),
        ("run --include nowhere recipe.py", "'--include': Path 'nowhere' does not exist"),
        ("run --bogus recipe.py", "No such option"),
        ("walk recipe.py", "No such command 'walk'"),
    ],
)
def test_one_sentence_and_exit_code_2(args: str, sentence: str, folder: Path) -> None:
    done = allcores(*args.split(), cwd=folder)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("allcores: ")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read(folder: Path) -> None:
    (folder / "recipe.py").chmod(0)
    for command in ("explain", "run"):
        done = allcores(command, "recipe.py", cwd=folder)
        assert done.returncode == 2
        assert done.stderr == "allcores: recipe.py cannot be read: Permission denied.\n"


# -- run -------------------------------------------------------------------------------------------


def test_run_ends_with_a_line_for_each_parallel_loop(folder: Path) -> None:
    done = allcores("run", "--force", "--workers", "2", "slow_loop.py", "--quiet", cwd=folder)
    plain = subprocess.run(
        [sys.executable, "slow_loop.py", "--quiet"], cwd=folder, capture_output=True, text=True
    )
    assert done.stdout == plain.stdout
    assert "['--quiet']" in done.stdout
    assert done.returncode == 0
    assert re.fullmatch(
        r"allcores: slow_loop\.py:4  40 iterations  [\d.]+ m?s  "
        r"[\d.]+ times as fast on 2 (workers|threads) as on one.*\n",
        done.stderr,
    )


def test_quiet_is_quiet(folder: Path) -> None:
    done = allcores("run", "--force", "--quiet", "slow_loop.py", cwd=folder)
    assert done.stderr == ""


def test_the_summary_comes_after_everything_else(folder: Path) -> None:
    (folder / "ends.py").write_text(
        "import atexit, os, sys\n"
        "atexit.register(print, 'at exit', file=sys.stderr)\n"
        "if os.fork() == 0: sys.exit()\n"
        "os.wait()\n"
        "for x in range(40): print(x * x)\n"
        "sys.exit('stopped')\n"
    )
    done = allcores("run", "--force", "ends.py", cwd=folder)
    assert done.returncode == 1
    *before, last = done.stderr.splitlines()
    # The forked child comes to its own end first.
    assert before == ["at exit", "stopped", "at exit"]
    assert last.startswith("allcores: ends.py:5  40 iterations")


def test_run_says_when_nothing_was_parallel(folder: Path) -> None:
    (folder / "serial.py").write_text("x = 1\nfor i in range(9):\n    x = x * i + 1\nprint(x)\n")
    for script in ("serial.py", "no_loop.py"):
        done = allcores("run", script, cwd=folder)
        assert done.stderr.count("\n") == 1
        assert "no loop that can be parallel ran" in done.stderr
    (folder / "quick.py").write_text(RECIPE.replace("20", "2000"))
    done = allcores("run", "quick.py", cwd=folder)
    assert "no loop ran long enough" in done.stderr


def test_a_summary_for_tools(folder: Path) -> None:
    (folder / "both.py").write_text(
        "import os\n"
        "results, x = [], 1\n"
        "for n in range(8): results.append(n * n)\n"
        "for n in range(8): x = x * n + 1\n"
        "for n in range(8): exec('x = n')\n"
        "os.chdir('/')\n"
    )
    options = ("--force", "--quiet", "--workers", "2", "--summary", "all.json")
    done = allcores("run", *options, "both.py", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    loops = json.loads((folder / "all.json").read_text())["loops"]
    assert [(loop["line"], loop["verdict"]) for loop in loops] == [
        (3, "parallel"),
        (4, "nothing to gain"),
        (5, "serial"),
    ]
    counts = [[loop[n] for n in ("runs", "iterations", "in_workers", "workers")] for loop in loops]
    assert counts == [[1, 8, 8, 2], [1, 8, 8, 2], [0, 0, 0, 0]]
    assert loops[0]["reasons"] == []
    assert loops[2]["reasons"][0]["line"] == 5
    assert loops[0]["file"] == str(folder / "both.py")
    done = allcores("run", "--summary", "no/such.json", "both.py", cwd=folder)
    assert done.returncode == 2
    assert done.stderr.startswith("allcores: there is no folder for no/such.json")


def test_settings_reach_the_program(folder: Path) -> None:
    (folder / "settings.py").write_text(
        "import os\n"
        "for name in ('WORKERS', 'ON', 'STRICT', 'FORCE'):\n"
        "    print(os.environ.get(f'ALLCORES_{name}'))\n"
    )
    done = allcores(*"run --workers 3 --on serial --strict settings.py".split(), cwd=folder)
    assert done.stdout.split() == ["3", "serial", "1", "None"]


def test_help_and_version(tmp_path: Path) -> None:
    for args in ((), ("--help",), ("run", "--help"), ("explain", "-h"), ("--version",)):
        done = allcores(*args, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert "allcores" in done.stdout


def test_importing_allcores_does_not_import_what_only_the_command_needs(tmp_path: Path) -> None:
    code = "import sys, allcores; print([m for m in ('click', 'rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_interrupting_a_run(folder: Path) -> None:
    (folder / "long.py").write_text(
        "import time\nfor x in range(10_000):\n    time.sleep(0.001)\n    print(x, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "allcores", "run", "--force", "--quiet", "long.py"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    seen = [read_line(process) for _ in range(20)]
    # As from a terminal: to all processes of the group.
    os.killpg(process.pid, signal.SIGINT)
    rest, err = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert err.startswith("Traceback (most recent call last):\n")
    assert err.count("Traceback") == 1
    assert err.endswith("KeyboardInterrupt\n")
    assert "allcores" not in err
    numbers = [int(line) for line in (*seen, *rest.splitlines())]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) < 10_000
    # Communicate has seen the end of both pipes, so that no worker holds them any more.
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
