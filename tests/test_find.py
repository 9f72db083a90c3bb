"""`allcores find`: the program runs as it always does, its loops are measured and ranked."""

from __future__ import annotations

import ast
import html.parser
import json
import os
import pty
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from allcores.find import runs, suspension
from allcores.find.costs import Costs
from allcores.find.edit import one_word_change
from allcores.find.predict import Shares, run_seconds
from allcores.find.session import Session
from allcores.plan import plan_source
from tests import compare, same
from tests.fuzz.run import from_seed
from tests.test_script import PROGRAMS
from tests.test_script import python as run_python

RULE = re.compile(r"\n─+ allcores find ─+\n")

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
    outcome = find(folder, "--all", "--json", "script.py", *args, source=source)
    assert outcome.code == 0, outcome.err
    return {loop["line"]: loop for loop in json.loads(outcome.out)}


def test_loops_are_ranked_by_what_workers_would_save(tmp_path: Path) -> None:
    outcome = find(tmp_path, "--all", "--json", "script.py")
    loops = json.loads(outcome.out)
    first = loops[0]
    assert (first["line"], first["recommended"]) == (8, True)
    assert first["text"] == "for x in range(300):"
    assert first["iterations"] == 300 and first["entries"] == 1
    assert 0.5 < first["share"] <= 1
    assert set(first["speed_up_of_run"]) >= {"8", "32", "128"}
    by_line = {loop["line"]: loop for loop in loops}
    assert by_line[4]["entries"] == 600
    assert by_line[4]["advice"].startswith("it runs inside the loop on line 8")
    assert by_line[11]["verdict"] == "nothing to gain"
    assert by_line[14]["verdict"] != "parallel" and by_line[14]["reasons"]
    assert not by_line[14]["recommended"]


def test_the_programs_own_output_is_left_alone(tmp_path: Path) -> None:
    plain = find(tmp_path, "script.py")
    assert plain.out.splitlines()[0].split()[0].isdigit()
    assert plain.out.splitlines()[1] == ""
    assert "allcores find" in plain.out.splitlines()[2]
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
    outcome = find(
        tmp_path, "--all", "--json", "--include", "helper.py", "-m", "main", "12", "--json"
    )
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
    assert process.stdout.readline() == "ready\n"
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
        assert "src" not in dict(attrs) and (dict(attrs).get("href") or "#").startswith("#")
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()

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


# -- the program's outcome


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_programs_do_what_they_do(program: str | bytes, tmp_path: Path) -> None:
    text = textwrap.dedent(program).encode() if isinstance(program, str) else program
    (tmp_path / "program.py").write_bytes(text)
    plain = run_python("program.py", cwd=tmp_path, PYTHONIOENCODING="utf-8")
    ours = run_python(
        *"-m allcores find program.py".split(), cwd=tmp_path, PYTHONIOENCODING="utf-8"
    )
    rule = RULE.search(ours.out)
    report = ""
    if rule is not None:
        report, ours = ours.out[rule.end() :], ours._replace(out=ours.out[: rule.start()])
    # What objects print when the interpreter takes them apart comes after everything.
    late = plain.out.removeprefix(ours.out)
    assert ours._replace(out=ours.out + late) == plain
    assert not late or (report.endswith(late) and late == "gone\n")
    assert "The program took" in report or plain.code < 0 or not plain.out or b"_exit" in text


@pytest.mark.slow
def test_random_programs_come_out_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fuzzer's loops, each run plainly and measured, with every second piece's commits timed."""
    monkeypatch.setattr(runs, "PROBED_EVERY", 2)
    # The code that measures is in the functions' constants.
    monkeypatch.setattr(compare, "_constants", lambda code: 0)
    for seed in range(400):
        source = from_seed(seed).source
        monkeypatch.setattr(same, "compile", plainly, raising=False)
        plain = same.run(source, True)
        session = Session(2)
        measured = lambda text, name, _, session=session: session.code_of(text.encode(), name)  # noqa: E731
        monkeypatch.setattr(same, "compile", measured)
        found = same.difference(plain, same.run(source, True))
        # `__slotnames__` is what pickle notes of a class that it has seen.
        assert not found or "__slotnames__" in found, (seed, found)
        assert not suspension.here.stack, seed


def plainly(text: str, name: str, mode: str) -> Any:
    return compile(text, name, mode, dont_inherit=True)


def test_warnings_of_the_compiler_are_given_once(tmp_path: Path) -> None:
    source = "for x in range(3):\n    y = [x]\n    y.append(x is 1)\n"
    assert find(tmp_path, "script.py", source=source).err.count("SyntaxWarning") == 1


def test_an_iterator_is_not_asked_again_once_it_has_ended(tmp_path: Path) -> None:
    source = """\
        class Resumed:
            asked = 0
            def __iter__(self): return self
            def __next__(self):
                self.asked += 1
                if self.asked % 4 == 0: raise StopIteration
                return self.asked
        it = Resumed()
        for i in it: print(i)
        for i in it: print(i)
        print(it.asked)
    """
    outcome = find(tmp_path, "--json", "script.py", source=source)
    assert outcome.err.split() == ["1", "2", "3", "5", "6", "7", "8"]


def test_the_programs_random_numbers_are_its_own(tmp_path: Path) -> None:
    source = """\
        import random
        random.seed(1)
        out = []
        for i in range(5000):
            out.append(random.random())
        print(sum(out))
    """
    outcome = find(tmp_path, "--json", "script.py", source=source)
    plain = run_python("script.py", cwd=tmp_path)
    assert outcome.err == plain.out


def test_with_json_stdout_has_nothing_else(tmp_path: Path) -> None:
    source = """\
        import os, subprocess, sys
        for i in range(3):
            print("mine")
        sys.stdout.flush()
        os.write(1, b"raw\\n")
        subprocess.run([sys.executable, "-c", "print('child')"])
    """
    outcome = find(tmp_path, "--json", "script.py", source=source)
    assert [loop["iterations"] for loop in json.loads(outcome.out)] == [3]
    assert outcome.err.split() == ["mine", "mine", "mine", "raw", "child"]


def test_how_objects_are_pickled_is_not_tried(tmp_path: Path) -> None:
    source = """\
        class Noisy:
            def __reduce__(self):
                print("reduced")
                return Noisy, ()
        def work(n):
            s = 0
            for j in range(2000): s += j
            return Noisy()
        out = []
        for i in range(50):
            out.append([work(i)])
    """
    assert find(tmp_path, "--json", "script.py", source=source).err == ""


def test_a_forked_child_writes_no_report(tmp_path: Path) -> None:
    source = """\
        import os
        for i in range(3):
            pass
        if os.fork():
            os.wait()
        print("end")
    """
    outcome = find(tmp_path, "script.py", source=source)
    assert (outcome.out.count("end"), outcome.out.count("The program took")) == (2, 1)


# -- what is measured


@pytest.mark.slow  # a matter of times, which other programs on the machine change
def test_tiny_loops_within_a_loop_do_not_spoil_its_time(tmp_path: Path) -> None:
    """Measuring them takes longer than they do; it is not counted."""
    source = """\
        import time
        def work(n):
            s = 0
            for i in range(n):
                for j in range(3):
                    s += j
            return s
        start = time.perf_counter()
        work(100_000)
        print(time.perf_counter() - start)
    """
    counted = []
    for _ in range(3):
        outcome = find(tmp_path, "--all", "--json", "script.py", source=source)
        loops = {loop["line"]: loop for loop in json.loads(outcome.out)}
        counted.append(loops[4]["seconds"] / float(outcome.err))
        assert loops[5]["estimated"]
        assert 290_000 < loops[5]["iterations"] <= 310_000
        assert loops[5]["seconds"] <= loops[4]["seconds"] * 1.001
        assert not loops[4]["recommended"]
    # Of the time that passes, more than half is the measuring. Another program may run just when
    # that is tried out, so one run in three has to show it.
    assert 0.15 < min(counted) < 0.75
    assert max(counted) < 1


def test_a_generators_loop_does_not_have_its_consumers_time(tmp_path: Path) -> None:
    source = """\
        import time
        def items():
            for i in range(50):
                got = yield i
        for x in items():
            time.sleep(0.004)
        abandoned = items()
        next(abandoned)
        time.sleep(0.1)
        del abandoned
    """
    loops = data(tmp_path, source)
    assert loops[5]["seconds"] > 0.2
    assert loops[3]["seconds"] < 0.05
    assert (loops[3]["entries"], loops[3]["iterations"]) == (2, 51)


def test_a_loop_that_calls_itself_is_counted_once(tmp_path: Path) -> None:
    source = """\
        import time
        def down(depth):
            for i in range(2):
                if depth:
                    down(depth - 1)
                else:
                    time.sleep(0.002)
        down(5)
    """
    loop = data(tmp_path, source)[3]
    assert loop["share"] <= 1.0
    assert loop["iterations"] == 2 * 63
    assert 0.12 < loop["seconds"]


def test_how_uneven_iterations_are(tmp_path: Path) -> None:
    source = """\
        import time
        for i in range(60):
            time.sleep(0.001)
        for i in range(60):
            time.sleep(0.009 if i % 5 == 0 else 0.001)
    """
    loops = data(tmp_path, source)
    assert loops[2]["unevenness"] < 3 < loops[4]["unevenness"]
    assert loops[4]["longest_iteration"] >= 0.009


def test_commits_are_timed_apart_from_work(tmp_path: Path) -> None:
    source = """\
        import time
        class Slow(list):
            def append(self, x):
                time.sleep(0.001)
                list.append(self, x)
        def work(i):
            time.sleep(0.002)
            return i
        total = 0.0
        out = []
        log = open("log", "w")
        for i in range(100):
            out.append(work(i))
        for i in range(100):
            log.write(str(work(i)))
            log.flush()
            total += time.sleep(0.002) or i
    """
    loops = data(tmp_path, source)
    assert loops[12]["commit_seconds_an_iteration"] < 0.0005
    assert 0.002 < loops[12]["seconds_an_iteration"]


def test_what_cannot_be_sent_is_no_candidate(tmp_path: Path) -> None:
    source = """\
        def work(n):
            s = 0
            for j in range(20_000): s += j
            return s
        out = []
        for i in range(200):
            out.append(lambda: work(i))
            out.append((work(i), lambda: i))
        print(len(out))
    """
    loop = data(tmp_path, source)[6]
    assert not loop["recommended"]


# -- the prediction


COSTS = Costs(setup=0.005, worker=0.001, parent_iteration=1e-6, worker_iteration=1e-6)


def ratio(pieces: list[tuple[int, float]], cores: int, shares: Shares | None = None) -> float:
    alone = sum(seconds for _, seconds in pieces)
    return alone / run_seconds(pieces, shares or Shares(), cores, COSTS)


def test_even_loops_get_faster_by_the_number_of_cores() -> None:
    even = [(1, 0.01)] * 1000
    assert 1.95 < ratio(even, 2) <= 2
    assert 7.5 < ratio(even, 8) <= 8
    # Making so many workers takes longer than the work.
    assert 40 < ratio(even, 128) < 60


def test_few_and_uneven_iterations_limit_the_speed_up() -> None:
    assert 1.4 < ratio([(1, 1.0)] * 3, 2) <= 1.5
    assert 2.9 < ratio([(1, 1.0)] * 3, 8) <= 3
    # 50 short ones, and then one that takes as long as all of them.
    assert 1.5 < ratio([(1, 0.1)] * 50 + [(1, 5.0)], 8) < 1.9
    # The long one first: the others are done beside it.
    assert 1.9 < ratio([(1, 5.0)] + [(1, 0.1)] * 50, 8) <= 2.0


def test_commits_limit_the_speed_up() -> None:
    pieces = [(1, 0.01)] * 1000
    assert ratio(pieces, 128, Shares(commit=0.001)) < 10
    # As the engine does, which gives up where commits take about as long as work.
    assert ratio(pieces, 8, Shares(commit=0.006)) == 1.0


def test_loops_that_the_engine_leaves_alone_take_what_they_took() -> None:
    assert ratio([(1, 0.001)] * 5, 8) == 1.0
    assert ratio([(1000, 0.001)] * 500, 8) == 1.0
    assert ratio([(1, 5.0)], 8) == 1.0


# -- the change


CHANGES = {
    "a name": (
        "for x in xs:\n    f(x)\n",
        "from allcores import parallel\n\nfor x in parallel(xs):",
    ),
    "a bare tuple": ("for x in a, b:\n    f(x)\n", "for x in parallel((a, b)):"),
    "a tuple": ("for x in (a, b):\n    f(x)\n", "for x in parallel((a, b)):"),
    "parentheses": ("for x in (a + b):\n    f(x)\n", "for x in parallel(a + b):"),
    "no space": ("for x in[a]:\n    f(x)\n", "for x in parallel([a]):"),
    "lines": (
        "for x in zip(\n    a,\n    b,\n):\n    f(x)\n",
        "for x in parallel(zip(\n    a,\n    b,\n)):",
    ),
    "a generator": ("for x in (a for a in b):\n    f(x)\n", "for x in parallel((a for a in b)):"),
    "other letters": (
        'é = "ä"; ü = 1\nfor é in "äöü" "ß":\n    f(é)\n',
        'for é in parallel("äöü" "ß"):',
    ),
    "sorted in": (
        '"""Doc."""\n\nfrom __future__ import annotations\n\nimport os\n\nimport numpy\n\nfor x in xs:\n    f(x)\n',
        "import os\n\nimport numpy\nfrom allcores import parallel\n\nfor x in parallel(xs):",
    ),
    "after the docstring": (
        '"""Doc."""\nx = 1\nfor x in xs:\n    f(x)\n',
        '"""Doc."""\n\nfrom allcores import parallel\n\nx = 1\n',
    ),
    "after what opens the file": (
        "#!/usr/bin/python\n# coding: utf-8\nfor x in xs:\n    f(x)\n",
        "# coding: utf-8\nfrom allcores import parallel\n\nfor x",
    ),
    "imported": ("from allcores import parallel as p\nfor x in xs:\n    f(x)\n", "for x in p(xs):"),
    "the name is taken": (
        "parallel = 1\nfor x in xs:\n    f(x)\n",
        "import allcores\n\nparallel = 1\nfor x in allcores.parallel(xs):",
    ),
}


@pytest.mark.parametrize(("before", "after"), CHANGES.values(), ids=CHANGES.keys())
def test_the_one_word_change(before: str, after: str, tmp_path: Path) -> None:
    plan = plan_source(before, "f.py")[-1 if "generator" not in after else 0]
    diff = one_word_change(before, plan, "f.py")
    (tmp_path / "f.py").write_text(before, encoding="utf-8")
    subprocess.run(["patch", "-s", "-p1"], input=diff.encode(), cwd=tmp_path, check=True)
    changed = (tmp_path / "f.py").read_text(encoding="utf-8")
    assert after in changed
    ast.parse(changed)


def test_a_marked_loop_needs_no_change() -> None:
    source = "from allcores import parallel\nfor x in parallel(xs):\n    f(x)\n"
    assert one_word_change(source, plan_source(source)[0], "f.py") == ""


# -- the report


def test_on_a_terminal_in_colour_and_its_width(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(HEAVY)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "allcores", "find", "script.py"],
        cwd=tmp_path,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"},
    )
    os.close(theirs)
    text = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:
            break
        if not piece:
            break
        text += piece
    os.close(ours)
    assert process.wait(timeout=30) == 0
    assert b"\x1b[" in text
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text.decode())
    assert max(len(line) for line in plain.splitlines()) <= 80
    assert "for x in parallel(range(300)):" in plain


def test_where_only_ascii_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(HEAVY)
    done = run_python(*"-m allcores find script.py".split(), cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert done.out.isascii() and "#####" in done.out


def test_a_reader_that_has_seen_enough(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("for i in range(1000):\n    pass\n")
    command = f"{sys.executable} -m allcores find script.py | true"
    done = subprocess.run(command, cwd=tmp_path, shell=True, capture_output=True, text=True)
    assert "Traceback" not in done.stderr


def test_names_of_files_are_escaped_in_the_page(tmp_path: Path) -> None:
    name = "<b>&'.py"
    (tmp_path / name).write_text(HEAVY)
    done = run_python(*"-m allcores find --html p.html".split(), name, cwd=tmp_path)
    assert done.code == 0, done.err
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert "<b>&" not in page and "&lt;b&gt;&amp;" in page


def test_the_page_follows_where_the_command_was_given(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    source = "import os\nos.chdir('elsewhere')\nfor i in range(3):\n    pass\n"
    assert find(tmp_path, "--html", "p.html", "script.py", source=source).code == 0
    assert (tmp_path / "p.html").exists()
    assert os.listdir(tmp_path / "elsewhere") == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_predictions_come_true(tmp_path: Path) -> None:
    """Within 25 %, on a machine with nothing else to do; where others run, nothing can be said."""
    bench = Path(__file__).parent.parent / "bench/find_prediction.py"
    done = subprocess.run(
        [sys.executable, str(bench), "--json", "4"], capture_output=True, text=True, check=True
    )
    rows = json.loads(done.stdout)
    if any(row["busy"] for row in rows):
        pytest.skip("the machine is busy with other things")
    for row in rows:
        assert abs(row["said"] / row["reached"] - 1) <= 0.25, row
        assert abs(row["loop_said"] / row["loop_reached"] - 1) <= 0.25, row
