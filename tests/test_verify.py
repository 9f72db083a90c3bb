"""`allcores verify`: two programs compared, and the loops of one with the plain loop."""

from __future__ import annotations

import array
import collections
import datetime
import functools
import io
import os
import pickle
import random
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from allcores.verify import compare_scripts
from allcores.verify.differ import differences
from allcores.verify.graph import describe


def verify(
    *args: str, cwd: Path, stdin: Any = None, **env: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "allcores", "verify", *args],
        cwd=cwd,
        stdin=stdin or subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "ALLCORES_WORKERS": "2", **env},
    )


def write(directory: Path, **files: str) -> None:
    for name, source in files.items():
        (directory / f"{name}.py").write_text(textwrap.dedent(source))


# -- describing and comparing objects


class Point:
    def __init__(self, x: Any) -> None:
        self.x = x


class Slotted:
    __slots__ = ("__hidden", "x")

    def __init__(self, x: Any, hidden: Any = 0) -> None:
        self.x, self.__hidden = x, hidden


class Tagged(list):
    tag = 0


class Partly:
    """Would hide a part of itself from pickle."""

    def __init__(self, seen: Any, hidden: Any) -> None:
        self.seen, self.hidden = seen, hidden

    def __reduce__(self) -> Any:
        return Partly, (self.seen, 0)


def tagged(tag: int) -> Tagged:
    made = Tagged([1])
    made.tag = tag
    return made


def two(same: bool) -> Any:
    inner = [1]
    return {"a": inner, "b": inner if same else [1]}


def circle(length: int) -> list[Any]:
    first: list[Any] = []
    last = first
    for _ in range(length):
        last = [last]
    first.append(last)
    return first


def found(a: Any, b: Any) -> list[str]:
    """Differences as they are found between processes: after pickling."""
    sides = [each if isinstance(each, dict) else {"x": each} for each in (a, b)]
    graphs = [pickle.loads(pickle.dumps(describe(side))) for side in sides]
    names = list(dict.fromkeys([*sides[0], *sides[1]]))
    return [each.told("L", "R") for each in differences(*graphs, names)]


SAME: list[Callable[[], Any]] = [
    lambda: [1, 2.5, "a", b"b", None, True, 1j, ..., float("nan"), -0.0],
    lambda: {"a": [1], 2: {3}, (4,): frozenset({5, "6"})},
    lambda: {chr(i) for i in range(97, 123)},
    lambda: Point(Point([1])),
    lambda: Slotted(1, [2]),
    lambda: tagged(1),
    lambda: circle(3),
    lambda: two(True)["a"],
    lambda: collections.deque([1, 2], maxlen=3),
    lambda: collections.defaultdict(list, {1: [2]}),
    lambda: collections.OrderedDict(a=1, b=2),
    lambda: collections.Counter("abca"),
    lambda: datetime.datetime(2024, 1, 2),
    lambda: re.compile("a+"),
    lambda: random.Random(3),
    lambda: functools.partial(print, 1, sep="x"),
    lambda: (i for i in range(3)),
    lambda: iter([1, 2]),
    lambda: zip([1, 2], "ab"),
    lambda: ValueError("x", [1]),
    lambda: io.StringIO("abc"),
    lambda: array.array("d", [1.0]),
    lambda: threading.Lock(),
    lambda: object(),
    lambda: Point.__init__,
    lambda: Point(1).__init__,
    lambda: [].append,
]


@pytest.mark.parametrize("number", range(len(SAME)))
def test_equal_objects_made_twice_are_the_same(number: int) -> None:
    make = SAME[number]
    assert found(make(), make()) == []


DIFFERENT: list[tuple[Any, Any, str]] = [
    (1, True, "`x` is 1 L, True R"),
    (1, 1.0, "`x` is 1 L, 1.0 R"),
    (0.0, -0.0, "`x` is 0.0 L, -0.0 R"),
    (complex(0, 0.0), complex(0, -0.0), "`x` is 0j L, -0j R"),
    ([1, 2, 3], [1, 5, 3], "`x[1]` is 2 L, 5 R"),
    ([1], [1, 2], "`x` is 1 item, it ends there L, 2 items, [1] is 2 R"),
    ([1], (1,), "`x` is [1] L, (1,) R"),
    ({"a": {"b": [0]}}, {"a": {"b": [1]}}, "`a['b'][0]` is 0 L, 1 R"),
    ([{1: 2, 3: 4}], [{3: 4, 1: 2}], "`x[0]: key 0` is 1 L, 3 R"),
    ({1, 2}, {1, 3}, "`x[1]` is 2 L, 3 R"),
    (Point([1]), Point([2]), "`x.x[0]` is 1 L, 2 R"),
    (Slotted(1, 1), Slotted(1, 2), "`x._Slotted__hidden` is 1 L, 2 R"),
    (Partly(1, 2), Partly(1, 3), "`x.hidden` is 2 L, 3 R"),
    (tagged(1), tagged(2), "`x.tag` is 1 L, 2 R"),
    (two(True), two(False), "`b` is the same object as `a` L, another object ([1]) R"),
    (two(False), two(True), "`b` is another object ([1]) L, the same object as `a` R"),
    (circle(2), circle(3), "`x[0][0][0]` is the same object as `x` L, another object ([[...]]) R"),
    (collections.deque([1], 2), collections.deque([1], 3), "`x.maxlen` is 2 L, 3 R"),
    (functools.partial(print, 1), functools.partial(print, 2), "`x.state[0]` is 1 L, 2 R"),
    (iter([1, 2]), iter([1, 3]), "`x: argument 0[1]` is 2 L, 3 R"),
    (ValueError(1), ValueError(2), "`x.args[0]` is 1 L, 2 R"),
    (io.StringIO("a"), io.StringIO("b"), "`x.getvalue()` is 'a' L, 'b' R"),
    ({"a": 1}, {}, "`a` is 1 L, not bound R"),
    ({}, {"a": 1}, "`a` is not bound L, 1 R"),
    (
        Point(1),
        Slotted(1),
        "`x` is test_verify.Point(x=1) L, test_verify.Slotted(_Slotted__hidden=0, x=1) R",
    ),
    (datetime.date(2024, 1, 2), datetime.date(2024, 1, 3), "`x` is datetime.date(2024, 1, 2) L"),
]


@pytest.mark.parametrize("number", range(len(DIFFERENT)))
def test_a_difference_names_the_place(number: int) -> None:
    a, b, text = DIFFERENT[number]
    assert found(a, b)[0].replace("tests.", "").startswith(text)
    assert found(b, a), "the other way round"


def test_random_generators_differ_by_their_state() -> None:
    assert "getstate()" in found(random.Random(3), random.Random(4))[0]


def test_arrays() -> None:
    np = pytest.importorskip("numpy")
    a = np.arange(12.0).reshape(3, 4)
    b = a.copy()
    b[1, 2] = 7
    assert found(a, a.copy()) == []
    assert found(a, b) == ["`x[1, 2]` is 6.0 L, 7.0 R"]
    assert found(np.array([np.nan]), np.array([np.nan])) == []
    assert found(np.zeros(1), -np.zeros(1)) == ["`x[0]` is 0.0 L, -0.0 R"]
    assert "int64" in found(np.zeros(2, "i8"), np.zeros(2, "i4"))[0]
    assert "float64" in found(np.float64(1), 1.0)[0]
    assert found(np.array([1, "a", None], object), np.array([1, "b", None], object)) != []
    big = np.zeros(2_000_000)
    other = big.copy()
    other[-1] = 1
    assert found(big, big.copy()) == []
    assert "part 16 of 16" in found(big, other)[0]


def test_arrays_over_the_same_memory() -> None:
    np = pytest.importorskip("numpy")

    def sides(view: bool) -> Any:
        whole = np.arange(10)
        return {"whole": whole, "part": whole[2:5] if view else whole[2:5].copy()}

    assert found(sides(True), sides(True)) == []
    assert "a view" in found(sides(True), sides(False))[0]
    assert "a view" in found(sides(False), sides(True))[0]


def test_what_cannot_be_looked_into_is_told() -> None:
    graph = describe({"lock": threading.Lock()})
    assert list(graph.unseen) == ["_thread.lock"]


# -- two programs

OLD = """
    import sys
    avalues = list(range(10))
    bvalues = [10 * a for a in avalues]
    const = 3
    results = []
    for a, b in zip(avalues, bvalues):
        results.append((a + b) * const)
    print(results)
    """

NEW = """
    import sys
    from functools import partial
    from multiprocessing import Pool, set_start_method


    def work(pair, const):
        a, b = pair
        return (a + b) * const


    if __name__ == "__main__":
        set_start_method(sys.argv[1])
        avalues = list(range(10))
        bvalues = [10 * a for a in avalues]
        const = 3
        with Pool(2) as pool:
            results = pool.map(partial(work, const=const), zip(avalues, bvalues))
        print(results)
    """


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_the_recipe_by_hand_does_the_same(tmp_path: Path, method: str) -> None:
    write(tmp_path, old=OLD, new=NEW)
    done = verify("old.py", "new.py", method, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    first, *more = done.stdout.splitlines()
    assert first.startswith("old.py and new.py do the same: both ended with exit code 0, 1 line")
    assert more == ["Not compared, for nothing in old.py reads it after the loop: `a`, `b`."]


PAIRS: dict[str, tuple[str, str, str]] = {
    "a variable": ("x = [1, 2]", "x = [1, 3]", "`x[1]` is 2 after old.py, 3 after new.py"),
    "a type": ("x = 1", "x = 1.0", "`x` is 1 after old.py, 1.0 after new.py"),
    "a variable that is gone": ("x = 1", "y = 1", "`x` is 1 after old.py, not bound after new.py"),
    "aliases": ("a = b = [1]", "a = [1]; b = [1]", "`b` is the same object as `a` after old.py"),
    "the order of a dict": ("d = {1: 1, 2: 2}", "d = {2: 2, 1: 1}", "`d: key 0` is 1"),
    "an object": (
        "class A: pass\na = A(); a.v = 1",
        "class A: pass\na = A(); a.v = 2",
        "`a.v` is 1 after old.py, 2 after new.py",
    ),
    "stdout": ("print(1)\nprint(2)", "print(1)\nprint(3)", "line 2 of what was printed"),
    "a line more": ("print(1)", "print(1)\nprint(2)", "line 2 of what was printed"),
    "stderr": (
        "import sys\nprint(1, file=sys.stderr)",
        "import sys\nprint(2, file=sys.stderr)",
        "line 1 of what was written to stderr",
    ),
    "the order of both": (
        "import sys\nprint(1)\nprint(2, file=sys.stderr)",
        "import sys\nprint(2, file=sys.stderr)\nprint(1)",
        "the order in which stdout and stderr are written to",
    ),
    "the exit code": ("import sys; sys.exit(3)", "pass", "old.py ended with exit code 3"),
    "an exception": ("1 // 0", "int('x')", "line 2 of what was written to stderr"),
    "a signal": (
        "pass",
        "import os\nos.kill(os.getpid(), 9)",
        "new.py was ended by SIGKILL",
    ),
    "a file": ("open('f', 'w').write('1')", "open('f', 'w').write('2')", "the file f"),
    "a file more": ("pass", "open('f', 'w')", "a file f after new.py, not after old.py"),
    "a file less": ("pass", "import os; os.remove('data')", "a file data after old.py, not after"),
    "a file changed": ("pass", "open('data', 'a').write('!')", "differ in line 1 of the file data"),
    "bytes": (
        "open('f', 'wb').write(b'\\xff\\x00')",
        "open('f', 'wb').write(b'\\xff\\x01')",
        "in the file f they leave, at byte 1 (2 and 2 bytes)",
    ),
    "a directory": (
        "import os; os.makedirs('d'); open('d/f', 'w')",
        "import os; os.makedirs('e'); open('e/f', 'w')",
        "a file d/f after old.py",
    ),
    "at exit": (
        "import atexit; x = []; atexit.register(x.append, 1)",
        "import atexit; x = []; atexit.register(x.append, 2)",
        "`x[0]` is 1 after old.py",
    ),
    "before sys.exit": ("import sys; x = 1; sys.exit(0)", "import sys; x = 2; sys.exit(0)", "`x`"),
    "before an exception": ("x = 1; 1 // 0", "x = 2; 1 // 0", "`x` is 1"),
}


@pytest.mark.parametrize("name", PAIRS)
def test_the_first_difference_is_shown(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new, text = PAIRS[name]
    write(tmp_path, old=old, new=new)
    (tmp_path / "data").write_text("given")
    monkeypatch.chdir(tmp_path)
    assert compare_scripts(Path("old.py"), Path("new.py")) == 1
    said = capsys.readouterr().out
    assert said.startswith("old.py and new.py differ")
    assert text in said
    assert (tmp_path / "data").read_text() == "given"
    assert sorted(os.listdir(tmp_path)) == ["data", "new.py", "old.py"]


EQUAL: dict[str, tuple[str, str]] = {
    "helpers": ("import os\nx = 1", "import sys, functools\ndef f(): pass\nx = 1; y = 2"),
    "an exception on another line": ("x = 1\n1 // 0", "x = 1\n\n\n1 // 0"),
    "an exception from a worker": (
        "print(1)\nfor i in [1, 0]:\n    1 // i",
        "from multiprocessing import Pool\n"
        "def f(i): 1 // i\n"
        "if __name__ == '__main__':\n    print(1, flush=True)\n"
        "    with Pool(2) as p:\n        p.map(f, [1, 0])",
    ),
    "a warning on another line": (
        "import warnings\nwarnings.warn('x')",
        "import warnings\n\nwarnings.warn('x')",
    ),
    "nan": ("x = float('nan')", "x = float('nan') * 2"),
    "sets": ("x = {'a', 'b', 'c'}", "x = {'c', 'b', 'a'}"),
    "addresses": ("x = object(); print(1)", "y = 1; x = object(); print(1)"),
    "its own place": ("import os; print(os.getcwd())", "import os; print(os.path.abspath('.'))"),
    "what is beside it": ("import beside; x = beside.x", "from beside import x"),
    "parallel": (
        "out = []\nfor x in range(9):\n    out.append(x * x)",
        "from allcores import parallel\nout = []\n"
        "for x in parallel(range(9)):\n    out.append(x * x)",
    ),
    "serial, with a warning": (
        "t = [1]\nfor x in range(3):\n    t.append(t[-1] * x)",
        "from allcores import parallel\nt = [1]\n"
        "for x in parallel(range(3)):\n    t.append(t[-1] * x)",
    ),
    "threads that end later": (
        "import threading, time\nx = []\n"
        "threading.Thread(target=lambda: (time.sleep(0.1), x.append(1))).start()",
        "x = [1]",
    ),
}


@pytest.mark.parametrize("name", EQUAL)
def test_what_is_the_same(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = EQUAL[name]
    write(tmp_path, old=old, new=new, beside="x = 3")
    monkeypatch.chdir(tmp_path)
    code = compare_scripts(Path("old.py"), Path("new.py"))
    said = capsys.readouterr().out
    assert (code, said.splitlines()[0].partition(":")[0]) == (0, "old.py and new.py do the same"), (
        said
    )
    assert not (tmp_path / "__pycache__").exists()


PASSING: list[tuple[str, bool]] = [
    ("for a in xs:\n    b = a\n", True),
    ("for a in xs:\n    b = a\nprint(b)\n", False),
    ("for a in xs:\n    b = a\nfor a in xs:\n    pass\n", True),
    ("for a in xs:\n    b = a\nfor c in [1]:\n    b\n", False),
    ("for a in xs:\n    b = a\ndef f():\n    return b\n", False),
    ("for a in xs:\n    b = a\ndef f(b):\n    a = b\n    return lambda b: a\n", True),
    ("for a in xs:\n    b = a\ndef f():\n    global b\n    b = 1\n", False),
    ("for a in xs:\n    b = a\ny = [b for b in xs]\n", True),
    ("for a in xs:\n    b = a\nelse:\n    print(b)\n", False),
    ("for a in xs:\n    for b in [a]:\n        pass\n", True),
]


@pytest.mark.parametrize("number", range(len(PASSING)))
def test_names_that_nothing_reads_after_the_loop(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, passing = PASSING[number]
    write(tmp_path, old=f"xs = [1, 2]\n{loop}", new="xs = [1, 2]\nc = a = 1\ny = [1, 2]\n")
    monkeypatch.chdir(tmp_path)
    assert compare_scripts(Path("old.py"), Path("new.py")) == (0 if passing else 1)


def test_what_varies_from_run_to_run_is_left_out_and_told(tmp_path: Path) -> None:
    source = """
        import time, random, os
        began = time.perf_counter()
        results = [1, random.random(), {end}]
        print("seconds:", time.perf_counter() - began)
        print("last:", results[-1])
        open("log", "w").write(f"{{time.time()}}\\n{{results[-1]}}\\n")
        """
    write(tmp_path, old=source.format(end=5), new=source.format(end="2 + 3"))
    done = verify("old.py", "new.py", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    varies = done.stdout.splitlines()[1]
    assert varies.startswith("Not compared, for it differs from run to run of old.py itself: ")
    for what in ("line 1 of what was printed", "`began`", "`results[1]`", "line 1 of the file log"):
        assert what in varies
    write(tmp_path, new=source.format(end="2 + 4"))
    done = verify("old.py", "new.py", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.startswith("old.py and new.py differ in line 2 of what was printed")


def test_arguments_and_standard_input_are_passed_on(tmp_path: Path) -> None:
    echo = "import sys\nprint(sys.argv[1:], sys.stdin.read())"
    write(tmp_path, old=echo + "\nx = sys.argv", new=echo + "\nx = ['old.py', *sys.argv[1:]]")
    (tmp_path / "given").write_text("typed")
    with open(tmp_path / "given") as given:
        done = verify("old.py", "new.py", "-x", "--timeout", "3.py", cwd=tmp_path, stdin=given)
    assert done.returncode == 0, done.stdout


def test_a_new_version_kept_elsewhere_finds_what_is_beside_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for each in (here / "sub", there):
        each.mkdir(parents=True)
    write(here / "sub", old="import beside\nx = beside.x", beside="x = 3")
    write(there, new="from beside import x", old="from beside import x")
    monkeypatch.chdir(here)
    for new in ("new.py", "old.py"):
        assert compare_scripts(Path("sub/old.py"), there / new) == 0, capsys.readouterr().out
    (tmp_path / "third").mkdir()
    monkeypatch.chdir(tmp_path / "third")
    assert compare_scripts(here / "sub/old.py", there / "new.py") == 0, capsys.readouterr().out


def test_links_and_what_is_left_out(tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / ".git").mkdir(parents=True)
    (work / "env").mkdir()
    (work / "env" / "pyvenv.cfg").write_text("")
    (work / "inside").mkdir()
    (work / "inside" / "data").write_text("1")
    (tmp_path / "outside").write_text("2")
    os.symlink("inside/data", work / "near")
    os.symlink("../outside", work / "far")
    os.symlink(work / "inside", work / "directory")
    os.symlink("nowhere", work / "broken")
    os.mkfifo(work / "pipe")
    source = """
        import os
        print(sorted(os.listdir()))
        print(open("near").read(), open("far").read(), os.listdir("directory"))
        open("near", "w").write("3")
        open("directory/more", "w").write("4")
        """
    write(work, old=source, new=source)
    done = verify("old.py", "new.py", cwd=work)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (work / "inside" / "data").read_text() == "1"
    assert os.listdir(work / "inside") == ["data"]
    write(work, new=source.replace('"3"', '"5"'))
    assert "the file inside/data" in verify("old.py", "new.py", cwd=work).stdout


def test_a_big_directory_is_refused_kindly(tmp_path: Path) -> None:
    write(tmp_path, old="x = open('small').read()", new="x = 'y'")
    (tmp_path / "small").write_text("y")
    with open(tmp_path / "big", "wb") as big:
        big.truncate(3 << 30)
    done = verify("old.py", "new.py", cwd=tmp_path)
    assert done.returncode == 2
    assert re.fullmatch(
        r"allcores: .* holds 4 files of together 3\.2 GB, and would be copied for each run\. .*"
        r"--only PATH.*--no-copy.*\.\n",
        done.stderr,
    )
    assert verify("--only", "small", "old.py", "new.py", cwd=tmp_path).returncode == 0
    assert verify("--no-copy", "old.py", "new.py", cwd=tmp_path).returncode == 0


BAD: dict[str, tuple[list[str], str]] = {
    "no old": (["nix.py", "new.py"], "allcores: there is no file nix.py.\n"),
    "no new": (
        ["old.py", "nix.py"],
        "allcores: there is no file nix.py; if it is an argument of old.py, say `--loops` before it.\n",
    ),
    "not python": (
        ["old.py", "broken.py"],
        "allcores: broken.py, line 1, is not valid Python: invalid syntax: x = = 1.\n",
    ),
    "not python, alone": (
        ["broken.py"],
        "allcores: broken.py, line 1, is not valid Python: invalid syntax: x = = 1.\n",
    ),
    "no script": (["nix.py"], "allcores: there is no file nix.py.\n"),
    "nothing": (
        [],
        "allcores: Missing argument 'SCRIPT'. (`allcores verify --help` lists what can be given)\n",
    ),
    "a time that is none": (
        ["--timeout", "0", "old.py"],
        "allcores: Invalid value for '--timeout': 0.0 is not in the range x>=0.001."
        " (`allcores verify --help` lists what can be given)\n",
    ),
    "only what is not there": (
        ["--only", "nix", "old.py", "new.py"],
        "allcores: there is no nix in the working directory.\n",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(tmp_path: Path, name: str) -> None:
    args, text = BAD[name]
    write(tmp_path, old="x = 1", new="x = 1", broken="x = = 1")
    done = verify(*args, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", text)


def test_a_new_version_that_hangs_is_a_difference(tmp_path: Path) -> None:
    write(tmp_path, old="x = 1", new="import time\nx = 1\ntime.sleep(600)")
    done = verify("--timeout", "2", "old.py", "new.py", cwd=tmp_path)
    assert done.returncode == 1
    assert "new.py was stopped after 2 s" in done.stdout
    done = verify("--timeout", "2", "new.py", "old.py", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "allcores: new.py was stopped after 2 s; give it more with --timeout.\n"


def test_variables_after_os_exit_are_not_compared_and_that_is_told(tmp_path: Path) -> None:
    write(tmp_path, old="import os\nx = 1\nos._exit(0)", new="import os\nx = 2\nos._exit(0)")
    done = verify("old.py", "new.py", cwd=tmp_path)
    assert done.returncode == 0
    assert "Variables were not compared: old.py ended without cleaning up." in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_behind_when_it_is_stopped(tmp_path: Path, number: int) -> None:
    work, temporary = tmp_path / "work", tmp_path / "tmp"
    work.mkdir()
    temporary.mkdir()
    sleeper = """
        import os, subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        open({path!r}, "w").write(f"{{os.getpid()}} {{child.pid}} ")
        time.sleep(600)
        """
    pids = tmp_path / "pids"
    write(work, old=sleeper.format(path=str(pids)), new="")
    command = [sys.executable, "-m", "allcores", "verify", "old.py", "new.py"]
    process = subprocess.Popen(
        command,
        cwd=work,
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        preexec_fn=hear_interrupts,
    )
    wait_until(lambda: pids.exists() and pids.read_text().endswith(" "))
    process.send_signal(number)
    try:
        _, said = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 128 + number
    assert said == b""
    assert os.listdir(temporary) == []
    for pid in map(int, pids.read_text().split()):
        wait_until(lambda: not alive(pid))


def hear_interrupts() -> None:
    """In the child: what a shell starts in the background ignores Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


# -- the loops of one program

LOOPS = """
    import math, os, random, sys, threading
    import numpy as np
    from allcores import parallel

    class Star:
        fitted = 0
        def __init__(self, mass): self.mass = mass
        def fit(self): return math.sqrt(self.mass)

    xs = list(range(20))
    results = []
    for x in xs:
        results.append(x * x)
    total = 0.1
    for star in parallel([Star(i) for i in range(10)]):
        total += star.fit() * 0.1
        Star.fitted += 1
    table = np.zeros(30)
    for i in range(30):
        table[i] = math.sin(i)
    log = open("log", "a")
    def search(n):
        best = None
        for i in range(n):
            score = (i * 7919) % 101
            dead = score + 1
            print("looked at", i, score)
            log.write(f"{i}\\n")
            if best is None or score > best[0]:
                best = score, i
            if score == 100:
                break
        else:
            best = "none"
        for i in range(n):
            if i * i == 49:
                return best
    found = search(200)
    def fails():
        try:
            for i in range(10):
                q = 10 // (5 - i)
                print(q)
        except ZeroDivisionError as error:
            return error
    error = fails()
    def squares():
        for k in range(30):
            yield k * k
    names = {}
    for v in squares():
        names[v] = str(v)
    for x in xs:
        with open(f"out{x}", "w") as out:
            out.write(str(x))
    running, lock = [0], threading.Lock()
    for x in xs:
        running.append((x * x, random.random(), str(lock)[1]))
    for x in parallel(xs, on="serial"):
        pass
    for x in []:
        results.append(x)
    if False:
        for x in xs:
            results.append(x)
    for i in range(3):
        for j in range(3):
            print(i, j)
    log.close()
    random.seed(1)
    print(sys.argv[1:], total, Star.fitted, found)
    sys.exit(3)
    """


def rows(said: str) -> list[tuple[str, str]]:
    """The report's lines: where, and what came out."""
    lines = [line.removeprefix("allcores: ") for line in said.splitlines()]
    cells = [re.split(" {2,}", line) for line in lines]
    return [(cell[0].partition(":")[2], cell[-1]) for cell in cells if len(cell) > 1]


@pytest.mark.parametrize("version", ["script", "module"])
def test_the_loops_of_a_program_are_the_same(tmp_path: Path, version: str) -> None:
    pytest.importorskip("numpy")
    write(tmp_path, script=LOOPS)
    if version == "module":  # the same loops, in a function
        body = textwrap.indent(textwrap.dedent(LOOPS), "    ")
        (tmp_path / "script.py").write_text(f"def main():\n{body}\nmain()\n")
    done = verify("script.py", "-x", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    plain = tmp_path / "plain"
    plain.mkdir()
    expected = subprocess.run(
        [sys.executable, "../script.py", "-x"], cwd=plain, capture_output=True, text=True
    )
    assert done.stdout == expected.stdout
    assert (tmp_path / "log").read_bytes() == (plain / "log").read_bytes()
    assert sorted({*os.listdir(tmp_path)} - {"plain", "script.py"}) == sorted(os.listdir(plain))
    told = [text for _, text in rows(done.stderr)]
    assert told[:6] == ["same"] * 6
    assert told[6].endswith("`yield` hands control away in the middle of an iteration")
    assert told[7:10] == ["same"] * 3
    assert told[10] == 'ran serially: it says on="serial"'
    assert told[11:] == ["had no iterations", "was not reached", "same", told[-1]]
    assert told[-1].startswith("ran within the loop on line ")
    tail = done.stderr.splitlines()[-2:]
    assert tail[0] == "allcores: 10 loops compared: parallel and plain leave the same."
    assert tail[1] == "allcores: The program itself ended with exit code 3."


DIFFER: dict[str, tuple[str, str]] = {
    "a list": (
        """
        import os
        home, out = os.getpid(), []
        for x in range(20):
            out.append((x, 0 if x < 7 else os.getpid()))
        """,
        r"differs: `out\[7\]\[1\]` is \d+ after the plain loop, \d+ after the parallel one; "
        r"first in iteration 7, with x = 7",
    ),
    "a local variable": (
        """
        import multiprocessing
        def f(n):
            out = {}
            for x in range(n):
                name = multiprocessing.current_process().name if x == 3 else "a"
                out[x] = name == "MainProcess" or x, os.getpid() if x == 11 else 0
            return 1
        import os
        f(16)
        """,
        r"differs: `out\[11\]\[1\]` is \d+ after .*; first in iteration 11, with x = 11",
    ),
    "what is printed": (
        """
        import os
        for a, b in zip(range(9), "abcdefghi"):
            print(a, b)
            if a > 5:
                print(os.getpid())
        """,
        r"differs: line 8 of stdout is '\d+' after the plain loop, '\d+' after the parallel one; "
        r"first in iteration 6, with a = 6, b = 'g'",
    ),
    "an object reached by a name": (
        """
        import os
        class Box: pass
        box = Box(); box.inner = Box(); box.inner.seen = [0]
        for x in (1, 2, 3):
            box.inner.seen.append(os.getpid())
        """,
        r"differs: `box\.inner\.seen\[1\]` is \d+ after .*; first in iteration 0, with x = 1",
    ),
    "a file": (
        """
        import os
        log = open("log", "w")
        for x in range(9):
            log.write(f"{x} {os.getpid() if x > 4 else 0}\\n")
        """,
        r"differs: file log is .* after the plain loop, .*; first in iteration 5, with x = 5",
    ),
    "files of its own": (
        """
        import os
        def save(x):
            with open(f"f{x}", "a") as f:
                f.write(f"{x} {os.getpid() if x > 4 else 0}")
        done = []
        for x in range(9):
            save(x)
            done.append(x)
        """,
        r"differs: file f5 is .* after the plain loop, .*; first in iteration 5, with x = 5",
    ),
    "an exception": (
        """
        import os
        try:
            home = open("home", "x")
            home.write(str(os.getpid()))
        except FileExistsError:
            pass
        caught = []
        def f():
            for x in range(9):
                if x == 4:
                    raise ValueError(os.getpid())
                caught.append(x)
        try:
            f()
        except ValueError:
            pass
        """,
        r"differs: the exception.args\[0\] is \d+ after .*; first in iteration 4, with x = 4",
    ),
}


@pytest.mark.parametrize("name", DIFFER)
def test_a_loop_that_hides_something_is_found_out(tmp_path: Path, name: str) -> None:
    source, text = DIFFER[name]
    write(tmp_path, script=source)
    done = verify("script.py", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    [*_, (_, told)] = rows(done.stderr)
    assert re.fullmatch(text, told), done.stderr
    assert done.stderr.endswith("allcores: 1 loop compared: 1 differs.\n")


BROKEN = """
    import allcores.entry
    from allcores import parallel
    {patch}
    out, total = [], 0
    for x in parallel(range(12), chunk=12):
        out.append(x * x)
        total += x
    """

BREAKS = {
    "results in another order": (
        """
    replay = allcores.entry.Entry.replay
    def replayed(self, items, results):
        results = list(results)
        if len(results) > 8:
            results[7], results[8] = results[8], results[7]
        return replay(self, items, results)
    allcores.entry.Entry.replay = replayed
    """,
        "`out[7]` is 49 after the plain loop, 64 after the parallel one; first in iteration 8, with x = 8",
    ),
    "an iteration lost": (
        """
    replay = allcores.entry.Entry.replay
    def replayed(self, items, results):
        return replay(self, [*items[:5], *items[6:]], results[:5] + results[6:])
    allcores.entry.Entry.replay = replayed
    """,
        "`out` is 12 items, [5] is 25 after the plain loop, 11 items, [5] is 36 after the parallel one; "
        "first in iteration 5, with x = 5",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_defect_of_the_engine_is_found(tmp_path: Path, name: str) -> None:
    patch, text = BREAKS[name]
    source = textwrap.dedent(BROKEN).format(patch=textwrap.dedent(patch))
    (tmp_path / "script.py").write_text(source)
    done = verify("script.py", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert text in done.stderr


def test_a_difference_that_does_not_come_back_is_called_so(tmp_path: Path) -> None:
    # Beyond the reach of what is undone: made by another program.
    source = """
        import os, subprocess
        out = []
        for x in range(4):
            out.append(subprocess.run(["mkdir", "once"], stderr=-3).returncode if x == 2 else 0)
        """
    write(tmp_path, script=source)
    done = verify("script.py", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "not so when the loop was run once more, so it depends on timing" in done.stderr


def test_a_loop_entered_many_times_is_compared_now_and_then(tmp_path: Path) -> None:
    source = """
        def f(n):
            out = []
            for x in range(n):
                out.append(x * x)
            return out
        done = []
        while len(done) < 40:
            done.append(f(4))
        """
    write(tmp_path, script=source)
    done = verify("script.py", cwd=tmp_path)
    assert done.returncode == 0
    assert "40 iterations in 10 of 40 runs  same" in done.stderr


def test_a_function_that_calls_itself_in_its_loop(tmp_path: Path) -> None:
    source = """
        def tree(depth):
            if depth == 0:
                return [0]
            found = []
            for i in range(2):
                found.append(tree(depth - 1))
            return found
        print(tree(3))
        """
    write(tmp_path, script=source)
    done = verify("script.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 iterations  same" in done.stderr


def test_a_loop_that_is_the_first_to_import_numpy(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    source = """
        out = []
        for i in range(4):
            import numpy as np
            out.append(np.random.default_rng(i).normal())
        """
    write(tmp_path, script=source)
    done = verify("script.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "4 iterations  same" in done.stderr


def test_a_script_with_an_argument_that_ends_in_py(tmp_path: Path) -> None:
    write(tmp_path, script="import sys\nfor a in sys.argv:\n    print(a)\n", other="")
    done = verify("--loops", "script.py", "other.py", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "script.py\nother.py\n")


SLEEPS = """
    import os, time
    for x in range(3):
        with open(f"pids{x}", "w") as file:
            file.write(f"{os.getpid()} {os.getppid()} ")
        time.sleep(600)
    """


def in_a_twin(directory: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """A verification whose first twin sleeps, and the twin's process and its parent's."""
    write(directory, script=SLEEPS)
    process = subprocess.Popen(
        [sys.executable, "-m", "allcores", "verify", "script.py"],
        cwd=directory,
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_interrupts,
    )
    pids = directory / "pids0"
    wait_until(lambda: pids.exists() and pids.read_text().endswith(" "))
    found = [int(pid) for pid in pids.read_text().split()]
    assert process.pid not in found
    return process, found


def test_ctrl_c_while_a_twin_runs_ends_all(tmp_path: Path) -> None:
    process, pids = in_a_twin(tmp_path)
    os.killpg(process.pid, signal.SIGINT)
    try:
        _, said = process.communicate(timeout=20)
    finally:
        process.kill()
    assert said.count("KeyboardInterrupt") == 1
    for pid in pids:
        wait_until(lambda: not alive(pid))


def test_twins_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    process, pids = in_a_twin(tmp_path)
    process.kill()
    process.communicate(timeout=20)
    for pid in pids:
        wait_until(lambda: not alive(pid))


def test_a_twin_that_does_not_end_is_given_up(tmp_path: Path) -> None:
    source = """
        import os, time
        home = os.getpid()
        out = []
        for x in range(4):
            if x == 3 and os.getppid() != PARENT and os.getpid() != home:
                while os.path.exists("script.py"):
                    time.sleep(0.01)
            out.append(x)
        """
    write(tmp_path, script=source.replace("PARENT", "home"))
    done = verify("--timeout", "1", "script.py", cwd=tmp_path)
    told = (
        "not compared: its plain twin did not end within 1 s\nallcores: 1 could not be compared.\n"
    )
    assert done.stderr.endswith(told)
    assert done.returncode == 1
