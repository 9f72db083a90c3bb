"""`allcores find`: loops are measured and ranked, and the program runs as it always does."""

from __future__ import annotations

import html.parser
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from allcores.find.change import one_word_change
from allcores.find.measure import Entry, Loop, Meter
from allcores.find.predict import Costs, seconds_on
from allcores.plan import plans_of
from tests.lines import read_line

HEAVY = """\
import sys
def heavy(n):
    s = 0
    for j in range(n):
        s += j * j % 7
    return s
results = []
for x in range(300):
    results.append(heavy(5000))
total = 0
for r in results:
    total += r
carried = 1
for x in range(300):
    carried = heavy(carried % 3 + 200)
print(total, carried)
"""


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


def find(folder: Path, *args: str, source: str = HEAVY, timeout: float = 60) -> Outcome:
    (folder / "script.py").write_text(textwrap.dedent(source))
    done = subprocess.run(
        [sys.executable, "-m", "allcores", "find", *args],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def data(folder: Path, source: str = HEAVY, *args: str) -> dict[int, dict[str, Any]]:
    """The report as JSON, by line."""
    outcome = find(folder, "--json", "script.py", *args, source=source)
    assert outcome.code == 0, outcome.err
    return {loop["line"]: loop for loop in json.loads(outcome.out)}


def test_loops_are_ranked_by_what_workers_would_save(tmp_path: Path) -> None:
    outcome = find(tmp_path, "--json", "script.py")
    loops = json.loads(outcome.out)
    first = loops[0]
    assert (first["line"], first["recommended"]) == (8, True)
    assert first["text"] == "for x in range(300):"
    assert first["iterations"] == 300 and first["entries"] == 1
    assert 0.5 < first["share"] <= 1
    assert set(first["speed_up_of_run"]) >= {"8", "32", "128"}
    by_line = {loop["line"]: loop for loop in loops}
    assert by_line[4]["entries"] == 600
    assert by_line[4]["advice"].startswith("runs within the loop on line 8")
    assert by_line[11]["verdict"] == "nothing to gain"
    assert by_line[14]["verdict"] != "parallel" and by_line[14]["reasons"]
    assert not by_line[14]["recommended"]


def test_the_programs_own_output_is_left_alone(tmp_path: Path) -> None:
    plain = find(tmp_path, "script.py")
    assert plain.out.splitlines()[0].split()[0].isdigit()
    assert "allcores find" in plain.out.splitlines()[1]
    assert max(map(len, plain.out.splitlines())) <= 80
    assert "\x1b" not in plain.out
    as_json = find(tmp_path, "--json", "script.py")
    assert as_json.err.splitlines()[0] == plain.out.splitlines()[0]


def test_the_change_is_shown_as_a_diff_that_works(tmp_path: Path) -> None:
    outcome = find(tmp_path, "--json", "script.py")
    diff = json.loads(outcome.out)[0]["diff"]
    (tmp_path / "change.diff").write_text(diff)
    subprocess.run(["patch", "-s", "script.py", "change.diff"], cwd=tmp_path, check=True)
    changed = (tmp_path / "script.py").read_text()
    assert "for x in parallel(range(300)):" in changed
    assert "from allcores import parallel" in changed
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[0] == outcome.err.splitlines()[0]


@pytest.mark.parametrize(
    "before, after",
    [
        ("for x in xs:\n    f(x)\n", "from allcores import parallel\nfor x in parallel(xs):"),
        ("for x in a, b:\n    f(x)\n", "for x in parallel((a, b)):"),
        ("for x in (a, b):\n    f(x)\n", "for x in parallel((a, b)):"),
        ("for x in zip(\n    a,\n    b,\n):\n    f(x)\n", "for x in parallel(zip("),
        ('"""Doc."""\nimport os\n\nfor x in "ä":\n    f(x)\n', "import os\nfrom allcores import"),
        ("from allcores import parallel\nfor x in xs:\n    f(x)\n", "for x in parallel(xs):"),
    ],
)
def test_the_one_word_change(before: str, after: str) -> None:
    import ast

    tree = ast.parse(before)
    diff = one_word_change(plans_of(tree, before, "f.py")[0], before.splitlines())
    new = "\n".join(
        line[1:] for line in diff.splitlines()[2:] if line[:1] in " +" and line[:2] != "@@"
    )
    assert after.splitlines()[-1] in new
    assert new.count("from allcores import parallel") == ("allcores" not in before) + new.count(
        "\nfrom allcores import parallel\nfor"
    ) * 0 + ("allcores" in before and "allcores import" in new)


def test_loops_left_in_every_way_are_measured(tmp_path: Path) -> None:
    loops = data(
        tmp_path,
        """\
        def gen():
            for i in range(100):
                yield i
        def early():
            for i in range(100):
                if i == 10:
                    return i
        def fact(n):
            for i in [n]:
                return 1 if i < 2 else i * fact(i - 1)
        for i in range(50):
            if i == 7:
                break
        early()
        next(gen())
        fact(20)
        try:
            for i in iter([1, 2, 3]):
                1 / (i - 2)
        except ZeroDivisionError:
            pass
        for i in (j for j in range(30)):
            pass
        for i in []:
            pass
        """,
    )
    counted = {line: (loop["entries"], loop["iterations"]) for line, loop in loops.items()}
    assert counted == {
        2: (1, 1), 5: (1, 11), 9: (20, 20), 11: (1, 8), 18: (1, 2), 22: (1, 30), 24: (1, 0),
    }  # fmt: skip
    assert all(loop["share"] <= 1.01 for loop in loops.values())


def test_loops_that_are_marked_are_measured_as_the_plain_loop(tmp_path: Path) -> None:
    source = HEAVY.replace("in range(300)", "in parallel(range(300))", 1)
    source = "from allcores import parallel\n" + source
    loops = data(tmp_path, source)
    assert loops[9]["iterations"] == 300 and loops[9]["recommended"]
    assert loops[9]["diff"] == ""


def test_a_module_with_arguments_and_an_included_one(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("def go(n):\n    for i in range(n):\n        pass\n")
    (tmp_path / "main.py").write_text(
        "import sys, helper\nhelper.go(int(sys.argv[1]))\nprint(__name__, sys.argv[1:])\n"
    )
    outcome = find(tmp_path, "--json", "--include", "helper.py", "-m", "main", "12", "--json")
    assert outcome.err == "__main__ ['12', '--json']\n"
    [loop] = json.loads(outcome.out)
    assert (os.path.basename(loop["file"]), loop["iterations"]) == ("helper.py", 12)


def test_a_program_that_fails_is_reported_until_there(tmp_path: Path) -> None:
    source = "import sys\nfor i in range(5):\n    pass\nsys.exit(3)\n"
    outcome = find(tmp_path, "script.py", source=source)
    assert outcome.code == 3 and "script.py:2" in outcome.out
    outcome = find(tmp_path, "script.py", source="for i in range(5):\n    1 / (i - 4)\n")
    assert outcome.code == 1 and "script.py:1" in outcome.out
    assert "ZeroDivisionError" in outcome.err and "allcores" not in outcome.err


def test_ctrl_c_shows_what_was_measured(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "for i in range(3):\n    pass\nprint('ready', flush=True)\nwhile True:\n    pass\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "allcores", "find", "script.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert read_line(process) == "ready\n"
    process.send_signal(signal.SIGINT)
    out, _err = process.communicate(timeout=30)
    assert "script.py:1" in out
    assert process.returncode == -signal.SIGINT


class _Checker(html.parser.HTMLParser):
    """Follows the tags, which must be balanced and fetch nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not {"src", "href"} & {name for name, _ in attrs}
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        self.text += text


def test_the_page_is_whole_and_escaped(tmp_path: Path) -> None:
    source = HEAVY + "text = '<script>alert(1)</script> & ä'\n"
    outcome = find(tmp_path, "--html", "heat.html", "script.py", source=source)
    assert outcome.code == 0
    page = (tmp_path / "heat.html").read_text(encoding="utf-8")
    checker = _Checker()
    checker.feed(page)
    assert checker.open == []
    assert "<script" not in page and "<script>alert(1)</script> & ä" in checker.text
    assert "script.py:8" in checker.text and "+for x in parallel(range(300)):" in checker.text


@pytest.mark.parametrize(
    "args, said",
    [
        (["nowhere.py"], "there is no file nowhere.py"),
        ([], "which script to run"),
        (["--html", "no/where.html", "script.py"], "no directory"),
        (["bad.py"], "not valid Python"),
    ],
)
def test_bad_input(tmp_path: Path, args: list[str], said: str) -> None:
    (tmp_path / "bad.py").write_text("for x in\n")
    outcome = find(tmp_path, *args)
    assert outcome.code == 2 and said in outcome.err
    assert len(outcome.err.splitlines()) == 1 and outcome.out == ""


def test_measuring_takes_little_time() -> None:
    """A tiny loop's time is that of the plain loop, but for a few per cent and the clock's noise."""
    source = "t = 0\nfor i in range(300_000):\n    t += i\n"
    code = compile(source, "f.py", "exec")
    plain, measured = [], []
    for _ in range(5):
        start = time.perf_counter()
        exec(code, {})
        plain.append(time.perf_counter() - start)
        meter = Meter()
        exec(meter.compile(source.encode(), "f.py"), {})
        measured.append(meter.loops[0].seconds)
        assert meter.loops[0].iterations == 300_000
    assert min(measured) < 1.6 * min(plain)


def test_the_prediction_follows_amdahl() -> None:
    source = "for x in xs:\n    out.append(f(x))\n"
    import ast

    [plan] = plans_of(ast.parse(source), source, "f.py")
    even = Loop(plan, "", [Entry(1000, 10.0, 0.01)])
    costs = Costs(start=0.005, iteration=1e-6, scaling=2.0, cores=2)
    assert 4.9 < seconds_on(even, 2, costs) < 5.2
    assert 1.2 < seconds_on(even, 8, costs) < 1.4
    uneven = Loop(plan, "", [Entry(10, 10.0, 8.0)])
    assert seconds_on(uneven, 8, costs) >= 8.0
    few = Loop(plan, "", [Entry(3, 3.0, 1.0)])
    assert 1.9 < seconds_on(few, 2, costs) < 2.2
    tiny = Loop(plan, "", [Entry(1000, 0.001, 1e-6)])
    assert seconds_on(tiny, 8, costs) == 0.001
