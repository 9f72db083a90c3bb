"""What conversion writes: its shape, what it leaves alone, and what it refuses."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from allcores.convert import TARGETS, CannotConvertError, convert
from convert_cases import CASES, line_of

ROOT = Path(__file__).parent.parent

SIX_STEPS = '''\
import sys
from functools import partial
from multiprocessing import Pool


def worker(pair, const):
    """Compute the item of `results` for one `a, b`."""
    a, b = pair
    return (a + b) * const


if __name__ == "__main__":
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 10

    avalues = list(range(size))
    bvalues = [10 * a for a in avalues]
    const = 3

    fn = partial(worker, const=const)
    with Pool() as pool:
        results = pool.map(fn, zip(avalues, bvalues))

    print(results)
'''


def test_the_recipe_comes_out_as_people_write_it() -> None:
    text = (ROOT / "examples/cheatsheet.py").read_text()
    line = next(k for k, row in enumerate(text.split("\n"), 1) if row.startswith("for "))
    docstring, new = convert(text, line, "multiprocessing").text.split("\n\nimport sys\n")
    assert text.startswith(docstring)
    assert "import sys\n" + new == SIX_STEPS


def test_the_one_word() -> None:
    text = "import numpy as np\n\nfor a, b in zip(xs,  ys): # odd\n\tout.append((a + b) ** 2)\n"
    assert convert(text, 3, "allcores").text == (
        "import numpy as np\n"
        "from allcores import parallel\n\n"
        "for a, b in parallel(zip(xs,  ys)): # odd\n\tout.append((a + b) ** 2)\n"
    )


def test_the_one_word_of_an_import_there_already() -> None:
    text = "from allcores import parallel\nfor a in 1, 2:\n    out.append(a ** 2)\n"
    new = convert(text, 2, "allcores").text
    assert new == text.replace("in 1, 2:", "in parallel((1, 2)):")


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_outside_the_loop_stays(target: str) -> None:
    for name in CASES:
        check_outside(name, target)


def check_outside(name: str, target: str) -> None:
    """Every line outside the loop is there, in order, save for the indentation under a guard."""
    text = CASES[name]
    line = line_of(text)
    if target == "allcores" and not text.split("\n")[line - 1].lstrip().startswith(("for ", "]")):
        with pytest.raises(CannotConvertError, match="for. statements"):
            convert(text, line, target)
        return
    new = convert(text, line, target).text
    loops = [n for n in ast.walk(ast.parse(text)) if isinstance(n, (ast.For, ast.stmt))]
    node = max(
        (n for n in loops if isinstance(n, ast.For) and n.lineno <= line <= n.iter.end_lineno),
        key=lambda n: n.lineno,
        default=None,
    ) or next(n for n in loops if n.lineno == line and not hasattr(n, "body"))
    rows = text.split("\n")
    kept = rows[: node.lineno - 1] + rows[node.end_lineno :]
    left = [row.strip() for row in new.split("\n")]
    missing = []
    for row in filter(None, map(str.strip, kept)):
        if row in left:
            left = left[left.index(row) + 1 :]
        else:
            missing.append(row)
    # The empty list that the results take the place of.
    assert not missing or re.fullmatch(r"\w+ = \[\]", "".join(missing))


@pytest.mark.parametrize("target", TARGETS)
def test_formatted_programs_stay_formatted(target: str, tmp_path: Path) -> None:
    for name, text in CASES.items():
        (tmp_path / f"{name}.py").write_text(text)
    assert "2 files would be reformatted" in formatting(tmp_path)
    for name, text in CASES.items():
        try:
            (tmp_path / f"{name}.py").write_text(convert(text, line_of(text), target).text)
        except CannotConvertError:
            assert target == "allcores"
    # How the list in the loop's header is laid out stays as it was.
    odd = ["multi_line"] if target == "allcores" else []
    for name in ("one_line", "strings", *odd):
        (tmp_path / f"{name}.py").unlink()
    assert "would be" not in formatting(tmp_path)


def formatting(folder: Path) -> str:
    """What ruff would change in the files of a folder."""
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--diff", str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    return run.stdout + run.stderr


REFUSED = {
    "carried": ("x = 1\nfor i in range(9):\n    x = x * 2 + i\n", 2, "line 2"),
    "prints": (
        "def f(x):\n    print(x)\n    return x + 1\n\n\nfor i in xs:\n    out.append(f(i))\n",
        6,
        "line 2: `f` prints",
    ),
    "exit": (
        "import sys\n\n\ndef f(x):\n    if x > 9:\n        sys.exit(3)\n    return x + 1\n\n\n"
        "for i in xs:\n    out.append(f(i))\n",
        10,
        "ends the program",
    ),
    "local_def": (
        "def main(xs):\n    def f(x):\n        return x**2\n\n    out = []\n"
        "    for i in xs:\n        out.append(f(i) + 1)\n    return out\n",
        6,
        "`f` is defined inside a function",
    ),
    "lambda": (
        "def main(xs):\n    f = lambda x: x**2\n    out = []\n"
        "    for i in xs:\n        out.append(f(i) + 1)\n    return out\n",
        4,
        "`f` is a lambda",
    ),
    "lambda_of_outer_function": (
        "def main(xs):\n    f = lambda x: x**2\n    def inner():\n        nonlocal f\n"
        "        for i in xs:\n            out.append(f(i) + 1)\n    inner()\n",
        5,
        "`f` is a lambda",
    ),
    "lambda_declared_global": (
        "f = lambda x: x**2\ndef main(xs):\n    global f\n"
        "    for i in xs:\n        out.append(f(i) + 1)\n",
        4,
        "`f` is a lambda",
    ),
    "local_class": (
        "def main(n):\n    class P:\n        pass\n    ps = [P() for _ in range(n)]\n"
        "    for i, p in enumerate(ps):\n        out.append(i**2)\n",
        5,
        "`ps` holds instances of `P`, which is defined inside a function",
    ),
    "made_inside": (
        "def adder(n):\n    return lambda x: x + n\n\n\nadd = adder(3)\nfor i in xs:\n"
        "    out.append(add(i) ** 2)\n",
        6,
        "`add` is made inside `adder`",
    ),
    "counts_its_calls": (
        "def counter():\n    n = 0\n\n    def tick():\n        nonlocal n\n        n += 1\n"
        "        return n\n\n    return tick\n\n\ntick = counter()\nfor i in xs:\n"
        "    out.append(tick() + i**2)\n",
        13,
        "`tick` keeps something from one call to the next",
    ),
    "own_zip": (
        "def zip(*args):\n    return [(1, 2)]\n\n\nfor a, b in zip(xs):\n"
        "    print(a)\n    out.append(a**2)\n",
        5,
        "`zip` is the program's own",
    ),
    "called_object": (
        "class Log:\n    def __init__(self):\n        self.seen = []\n\n"
        "    def __call__(self, x):\n        self.seen.append(x)\n        return x\n\n\n"
        "log = Log()\nfor i in xs:\n    out.append(log(i) + i**2)\n",
        11,
        "`log` may be an object whose `__call__` .in this file. changes it",
    ),
    "endless": (
        "from itertools import count\n\n\ndef f(n):\n    return n**2\n\n\nfor n in count():\n"
        "    if f(n) > 50:\n        break\n    out.append(n * 2)\n",
        8,
        "read to its end",
    ),
    "half_bound": (
        "for x in xs:\n    if x > 3:\n        y = x**2\n    out.append(x + 1)\nprint(y)\n",
        1,
        "`y` is read after the loop",
    ),
    "bound_when_it_raised": (
        "try:\n    for x in xs:\n        y = x * 2\n        out.append(6 / y)\n"
        "except ZeroDivisionError:\n    print(y)\n",
        2,
        "`y` is read where an exception of the loop has been caught",
    ),
    "found_or_not": (
        "for x in xs:\n    y = x**2\n    if y == 9:\n        found = x\n        break\n"
        "else:\n    found = -1\nprint(found)\n",
        1,
        "`found` is read after the loop",
    ),
    "half_extended": (
        "try:\n    out.extend(12 // x for x in xs)\nexcept ZeroDivisionError:\n    print(out)\n",
        2,
        "an exception in it leaves `extend` half done",
    ),
    "in_place": (
        "def f(grid):\n    out = []\n    for row in grid:\n        row += 1\n"
        "        out.append(row * 2)\n    return out\n",
        3,
        "line 4: `row` may be changed in place",
    ),
    "iterable_prints": (
        "def noisy(x):\n    print(x)\n    return x\n\n\nout = []\n"
        "for x in map(noisy, range(5)):\n    out.append(x**2)\n",
        7,
        "`noisy` prints",
    ),
    "iterable_raises": (
        "out = []\ntry:\n    for x in map(int, words):\n        out.append((x, 2**x))\n"
        "except ValueError:\n    print(out)\n",
        3,
        r"line 3: `map\(int, words\)` may raise on the way",
    ),
    "other_name": (
        "grid = [[1], [2]]\nrow = grid[1]\nfor i in range(9):\n"
        "    out.append(sum(grid[1]) + i**2)\n    row.append(i)\n",
        3,
        "the loop changes `row`, which its workers may have a copy of, as `grid`",
    ),
    "held": (
        "out = []\nmirror = {'o': out}\nfor i in range(9):\n"
        "    log.append(len(out) + i**2)\n    mirror['o'].append(i)\n",
        3,
        "the loop changes `mirror`, which its workers may have a copy of, as `out`",
    ),
    "view": (
        "import numpy as np\na = np.arange(6.0)\nview = a[1:3]\nfor i in range(4):\n"
        "    out.append(float((a * i).sum()))\n    view[0] = i * 3\n",
        4,
        "the loop changes `view`, which its workers may have a copy of, as `a`",
    ),
    "given_back": (
        "def same(x):\n    return x\n\n\nb = same(a)\nfor i in range(4):\n"
        "    out.append(sum(a) * i)\n    b.append(i**2)\n",
        6,
        "the loop changes `b`, which its workers may have a copy of, as `a`",
    ),
    "items_of_another_iteration": (
        "for i, x in enumerate(xs):\n    xs[(i + 1) % 4] = x**2 + 1\n",
        1,
        "the loop changes `xs`, and what it runs over shows it",
    ),
    "rows_of_another_iteration": (
        "def touch(row, v):\n    row.append(v)\n\n\nfor i, row in enumerate(grid):\n"
        "    touch(grid[i - 1], i**2)\n    out.append(sum(row) * 2)\n",
        5,
        "the loop changes `grid`, and what it runs over shows it",
    ),
    "module_state": (
        "import os\nfor x in range(4):\n    os.environ['K'] = str(x * 2)\n"
        "    out.append(os.getenv('K') + str(x**2))\n",
        2,
        "the loop changes `os.environ`, which its workers may have a copy of, as `os`",
    ),
    "exception_of_two": (
        "class Bad(Exception):\n    def __init__(self, x, y):\n        super().__init__(f'{x} {y}')\n"
        "\n\ndef f(x):\n    if x > 3:\n        raise Bad(x, 1)\n    return x**2\n\n\n"
        "for x in xs:\n    out.append(f(x) + 1)\n",
        12,
        "line 8: `Bad` would not come back from a worker as it was raised",
    ),
    "private": (
        "class A:\n    def f(self, xs):\n        out = []\n        for x in xs:\n"
        "            out.append(self.__k * x)\n        return out\n",
        4,
        "private",
    ),
    "random_global": (
        "import random\n\nseed = random.random()\n\n\ndef f(x):\n    return x * seed\n\n\n"
        "out = []\nfor x in range(5):\n    out.append(f(x))\n",
        11,
        "line 3: `seed` is read by `f`",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_say_why_and_where(name: str) -> None:
    text, line, why = REFUSED[name]
    with pytest.raises(CannotConvertError, match=why):
        convert(text, line, "multiprocessing")


CONVERTED = {
    "its_own_place": "for i, x in enumerate(xs):  # here\n    xs[i] = x**2 + 1\n",
    "its_own_key": "for k, v in d.items():  # here\n    d[k] = v**2 + 1\n",
    "caught_there": (
        "class Bad(Exception):\n    def __init__(self, x):\n        super().__init__(f'bad {x}')\n"
        "\n\ndef f(x):\n    if x > 3:\n        raise Bad(x)\n    return x**2\n\n\n"
        "for x in xs:  # here\n    try:\n        y = f(x)\n    except Bad:\n        continue\n"
        "    out.append(y)\n"
    ),
    "handed_on": (
        "class Bad(Exception):\n    def __init__(self, x, y):\n        super().__init__(x, y)\n"
        "\n\nfor x in xs:  # here\n    if x > 3:\n        raise Bad(x, 1)\n    out.append(x**2)\n"
    ),
    "a_copy": "for x in list(xs):  # here\n    xs.append(x**2)\n",
    "a_number": "total = start = 5\nfor x in xs:  # here\n    total += x**start\n",
    "bound_anew": "new = old\nnew = []\nfor x in old:  # here\n    new.append(x**2)\n",
    "given_away_later": (
        "state = [1]\nfor _ in range(3):\n    new = []\n    for x in state:  # here\n"
        "        new.append(x**2)\n    state = new\n"
    ),
    "beside_it": "both = [xs, out]\nfor x in xs:  # here\n    out.append(x**2)\n",
    "an_item_of_it": "out = [first]\nfor x in range(9):  # here\n    out.append(first**x)\n",
}


@pytest.mark.parametrize("name", CONVERTED)
def test_what_comes_out_the_same_is_converted(name: str) -> None:
    text = CONVERTED[name]
    assert "with Pool() as pool:" in convert(text, line_of(text), "multiprocessing").text


# -- the command


def run(*args: str, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "allcores", "convert", *args],
        cwd=cwd,
        capture_output=True,
        timeout=60,
    )


LOOP = "out = []\nfor x in range(9):\n    out.append(x**2)\nprint(out)\n"


def test_a_diff_is_printed_and_nothing_written(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(LOOP)
    done = run("a.py:2", "--to", "allcores", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().split("\n")[:2] == ["--- a/a.py", "+++ b/a.py"]
    assert b"\n-for x in range(9):\n+for x in parallel(range(9)):\n" in done.stdout
    assert (tmp_path / "a.py").read_text() == LOOP
    assert [p.name for p in tmp_path.iterdir()] == ["a.py"]


def test_the_diff_is_a_patch(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(LOOP.rstrip("\n"))
    diff = run("a.py:2", "--to", "multiprocessing", cwd=tmp_path).stdout
    want = convert(LOOP.rstrip("\n"), 2, "multiprocessing").text
    assert not want.endswith("\n")
    subprocess.run(["patch", "-p1"], input=diff, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "a.py").read_text() == want


FORMS = {
    "crlf": LOOP.replace("\n", "\r\n").encode(),
    "tabs": LOOP.replace("    ", "\t").encode(),
    "no_newline": LOOP.rstrip("\n").encode(),
    "bom": b"\xef\xbb\xbf" + LOOP.encode(),
    "latin1": b"# coding: latin-1\n"
    + LOOP.replace("print(out", "print('\xe4', out").encode("latin1"),
    "form_feed": LOOP.replace("print", "\f\nprint").encode(),
    "one_line_string": LOOP.replace("print(out)", "print('''a\n  b''', out)").encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_form_of_a_file_stays(form: str, tmp_path: Path) -> None:
    data = FORMS[form]
    (tmp_path / "a.py").write_bytes(data)
    line = 3 if form == "latin1" else 2
    done = run(f"a.py:{line}", "--to", "multiprocessing", "--write", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    new = (tmp_path / "a.py").read_bytes()
    if form == "crlf":
        assert new.count(b"\n") == new.count(b"\r\n") > 5
    if form == "tabs":
        assert b"    " not in new
    assert new.startswith(b"\xef\xbb\xbf") == (form == "bom")
    assert new.endswith(b"\n") == data.endswith(b"\n")
    old_path = tmp_path / "old.py"
    old_path.write_bytes(data)
    printed = [
        subprocess.run([sys.executable, path], capture_output=True, check=True).stdout
        for path in (old_path, tmp_path / "a.py")
    ]
    assert printed[0] == printed[1] != b""


def test_write_keeps_the_mode_and_follows_links(tmp_path: Path) -> None:
    (tmp_path / "real.py").write_text(LOOP)
    (tmp_path / "real.py").chmod(0o751)
    (tmp_path / "link.py").symlink_to("real.py")
    done = run("link.py:2", "--to", "joblib", "--write", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "link.py").is_symlink()
    assert (tmp_path / "real.py").stat().st_mode & 0o777 == 0o751
    assert "joblib" in (tmp_path / "real.py").read_text()
    assert len(list(tmp_path.iterdir())) == 2


def test_out_writes_another_file(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(LOOP)
    done = run("a.py:2", "--to", "ray", "--out", "b.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.py").read_text() == LOOP
    assert (tmp_path / "b.py").read_text() == convert(LOOP, 2, "ray").text


def test_a_full_disk_leaves_the_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from allcores.commands import convert as command
    from allcores.commands.files import Refusal

    (tmp_path / "a.py").write_text(LOOP)

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command.os, "fsync", full)
    with pytest.raises(Refusal, match="No space left"):
        command._write(str(tmp_path / "a.py"), b"new", like=str(tmp_path / "a.py"))
    assert (tmp_path / "a.py").read_text() == LOOP
    assert len(list(tmp_path.iterdir())) == 1


BAD = {
    "no_file": (None, ["none.py:1", "--to", "joblib"], "there is no file none.py"),
    "no_line": (LOOP, ["a.py", "--to", "joblib"], "a.py:12"),
    "no_loop": (LOOP, ["a.py:4", "--to", "joblib"], "there is no loop on line 4"),
    "far_line": (LOOP, ["a.py:400", "--to", "joblib"], "there is no loop on line 400"),
    "syntax": ("for x in :\n", ["a.py:1", "--to", "joblib"], "line 1, is not valid Python"),
    "target": (LOOP, ["a.py:2", "--to", "fortran"], "'fortran' is not one of"),
    "both": (LOOP, ["a.py:2", "--to", "ray", "--write", "--out", "b"], "either --write or --out"),
    "folder": (LOOP, [".:2", "--to", "ray"], "is a directory"),
    "serial": (
        "x = 1\nfor i in range(9):\n    x = x * 2 + i\n",
        ["a.py:2", "--to", "joblib", "--write"],
        "the loop on line 2 of a.py is left as it is; line",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_sentence(name: str, tmp_path: Path) -> None:
    text, args, why = BAD[name]
    if text is not None:
        (tmp_path / "a.py").write_text(text)
    done = run(*args, cwd=tmp_path)
    assert done.returncode == 2
    assert why in done.stderr.decode()
    assert done.stderr.startswith(b"allcores: ")
    assert b"Traceback" not in done.stderr
    if text is not None:
        assert (tmp_path / "a.py").read_text() == text


def test_not_utf8_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(LOOP.encode() + b"# \xff\n")
    done = run("a.py:2", "--to", "joblib", "--write", cwd=tmp_path)
    assert done.returncode == 2
    assert b"cannot be read as utf-8" in done.stderr


def test_a_read_only_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(LOOP)
    (tmp_path / "a.py").chmod(0o444)
    done = run("a.py:2", "--to", "joblib", "--write", cwd=tmp_path)
    assert done.returncode == 2
    assert b"a.py is read-only" in done.stderr
    assert (tmp_path / "a.py").read_text() == LOOP


def test_nothing_takes_the_place_of_a_pipe_or_a_read_only_file(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(LOOP)
    (tmp_path / "kept.py").write_text("")
    (tmp_path / "kept.py").chmod(0o444)
    os.mkfifo(tmp_path / "pipe")
    for out, why in (("kept.py", b"kept.py is read-only"), ("pipe", b"pipe is not a file")):
        done = run("a.py:2", "--to", "joblib", "--out", out, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, b"")
        assert why in done.stderr
    assert (tmp_path / "kept.py").read_text() == ""
    assert (tmp_path / "pipe").is_fifo()


# -- notebooks


def notebook(*cells: str, indent: int = 1) -> str:
    made = [
        {
            "cell_type": "code",
            "execution_count": k,
            "id": f"c{k}",
            "metadata": {"x": [1.50, "é"]},
            "outputs": [],
            "source": cell.splitlines(True),
        }
        for k, cell in enumerate(cells, 1)
    ]
    made.insert(1, {"cell_type": "markdown", "id": "m", "metadata": {}, "source": ["# Title"]})
    whole = {
        "cells": made,
        "metadata": {"language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(whole, indent=indent, ensure_ascii=False) + "\n"


CELLS = (
    "%matplotlib inline\nk = 3\ndef f(x):\n    return x**2",
    "!ls\nout = []\nfor x in range(5):\n    out.append(f(x) * k)\nprint(out)",
    "print(len(out))",
)


@pytest.mark.parametrize("indent", [1, 2])
def test_only_the_cell_of_a_notebook_changes(indent: int, tmp_path: Path) -> None:
    text = notebook(*CELLS, indent=indent)
    path = tmp_path / "n.ipynb"
    path.write_text(text, encoding="utf-8")
    done = run("n.ipynb:2:3", "--to", "multiprocessing", "--write", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    new = path.read_text(encoding="utf-8")
    cells = [c for c in json.loads(new)["cells"] if c["cell_type"] == "code"]
    assert "".join(cells[1]["source"]) == (
        "from functools import partial\n"
        "from multiprocessing import get_context\n\n"
        "!ls\n\n\n"
        "def worker(x, k):\n"
        '    """Compute the item of `out` for one `x`."""\n'
        "    return f(x) * k\n\n\n"
        "fn = partial(worker, k=k)\n"
        'with get_context("fork").Pool() as pool:\n'
        "    out = pool.map(fn, range(5))\n"
        "print(out)"
    )
    again = json.loads(new)
    again["cells"][2]["source"] = CELLS[1].splitlines(True)
    assert json.dumps(again, indent=indent, ensure_ascii=False) + "\n" == text


@pytest.mark.parametrize("target", ["multiprocessing", "concurrent.futures", "joblib"])
def test_a_notebook_runs_as_before(target: str, tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    path = tmp_path / "n.ipynb"
    path.write_text(notebook(*CELLS), encoding="utf-8")
    assert run("n.ipynb:2:3", "--to", target, "--write", cwd=tmp_path).returncode == 0
    read = nbformat.read(path, as_version=4)
    read.cells[0].source = read.cells[0].source.replace("%matplotlib inline\n", "")
    nbclient.NotebookClient(read, timeout=60, kernel_name="python3").execute()
    said = [o.get("text", "") for c in read.cells for o in c.get("outputs", [])]
    assert "".join(said).endswith("[0, 3, 12, 27, 48]\n5\n")


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("n.ipynb:3", "which cell and line"),
        ("n.ipynb:9:1", "has 3 code cells, and no cell 9"),
        ("n.ipynb:2:99", "has 5 lines, and no line 99"),
        ("n.ipynb:3:1", "there is no loop on line 1 of cell 3"),
        ("odd.ipynb:1:1", "not a notebook"),
    ],
)
def test_bad_places_in_notebooks(place: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "n.ipynb").write_text(notebook(*CELLS), encoding="utf-8")
    (tmp_path / "odd.ipynb").write_text("[1, 2]")
    done = run(place, "--to", "joblib", cwd=tmp_path)
    assert done.returncode == 2
    assert why in done.stderr.decode()


# -- with --verify

PROGRAM = """\
import os, sys

def main(count, name):
    out = []
    for i in range(count):
        out.append(VALUE)
    with open("left behind", "w") as f:
        print(*out, file=f)
    print(out)
    sys.exit(3)

if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
"""


@pytest.mark.parametrize("target", ["allcores", "multiprocessing", "concurrent.futures", "joblib"])
def test_verify_runs_both_with_the_arguments(target: str, tmp_path: Path) -> None:
    path = tmp_path / "old.py"
    path.write_text(PROGRAM.replace("VALUE", "i * len(name)"))
    how = f"old.py:5 --to {target} --verify --write"
    done = run(*how.split(), "--", "7", "-a b", cwd=tmp_path)
    said = done.stdout.decode().split("\n")[-2]
    assert (done.returncode, done.stderr) == (0, b"")
    assert said.startswith("old.py and the new old.py do the same: both ended with exit code 3")
    assert said.endswith("1 file written.")
    assert target.partition(".")[0] in path.read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["old.py"]


def test_what_differs_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "old.py"
    path.write_text(PROGRAM.replace("VALUE", "os.getppid() * count"))
    before = path.read_bytes()
    how = "old.py:5 --to multiprocessing --verify --write 40 x"
    done = run(*how.split(), cwd=tmp_path)
    assert done.returncode == 1, done.stdout
    assert b"old.py and the new old.py differ" in done.stdout
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["old.py"]


def test_a_notebook_is_not_verified(tmp_path: Path) -> None:
    text = notebook("out = []\nfor i in [1, 2]:\n    out.append(i + 1)")
    (tmp_path / "n.ipynb").write_text(text)
    done = run(*"n.ipynb:1:2 --to joblib --verify".split(), cwd=tmp_path)
    assert done.returncode == 2
    assert b"a notebook cannot be verified" in done.stderr
