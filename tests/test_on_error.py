"""`on_error="skip"` and `"collect"`: as `try: body except Exception: continue`, all or nothing."""

from __future__ import annotations

import linecache
import random
import subprocess
import sys
import traceback
import types
import warnings
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import allcores
from allcores import NotParallel, ParallelWarning, SkippedWarning, parallel
from tests.same import forced

_numbers = count()


class Ran(NamedTuple):
    names: dict[str, Any]
    warned: list[warnings.WarningMessage]
    in_workers: int
    error: BaseException | None

    def said(self) -> list[str]:
        return [str(w.message) for w in self.warned]


def run(source: str, marked: Any = parallel) -> Ran:
    """Execute a program in a module of its own, in which `each` stands for `parallel`."""
    name = f"<on-error-{next(_numbers)}>"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    module = sys.modules["__on_error__"] = types.ModuleType("__on_error__")
    reports: list[Any] = []
    allcores.loop.listeners.append(reports.append)
    error = None
    try:
        with forced(False), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            module.__dict__.update(parallel=marked)
            try:
                exec(compile(source, name, "exec"), module.__dict__)
            except BaseException as e:
                error = e
    finally:
        allcores.loop.listeners.remove(reports.append)
    names = {k: v for k, v in vars(module).items() if not k.startswith("__") and k != "parallel"}
    return Ran(names, caught, sum(r.in_workers for r in reports), error)


def as_plain(source: str) -> str:
    """The same program with `try: body except Exception: continue` around the body."""
    lines: list[str] = []
    depth = -1
    for line in [*source.splitlines(), "pass"]:
        indent = len(line) - len(line.lstrip())
        if depth >= 0 and line.strip() and indent <= depth:
            lines.append(" " * (depth + 4) + "except Exception as __e: raised(__e)")
            depth = -1
        lines.append(line if depth < 0 else "    " + line)
        if "in parallel(" in line:
            depth = indent
            lines.append(" " * (depth + 4) + "try:")
    return "\n".join(lines) + "\n"


SAME = {
    "appends, sums and a dict": """
def f(x):
    if x % 3 == 1:
        raise ValueError("no", x)
    return x * x
out, total, by = [], 0.0, {}
for i, x in parallel(enumerate(range(5, 45))):
    y = f(x)
    out.append((i, y))
    total += y / 7
    by[x] = y
last = i, x
""",
    "the last ones raise": """
out = []
for x in parallel([4, 2, 1, 0, 0]):
    out.append(8 // x)
after = x
""",
    "all raise": """
out = []
for x in parallel("abc"):
    out.append(int(x))
after = x
""",
    "a commit raises": """
out = [0] * 4
for x in parallel([1, 3, 5, 2, 9, 0]):
    out[x] = x ** 2
""",
    "one commit alone": """
out = {"b": 1}
for x in parallel("abcab"):
    out[x] += 1
""",
    "it prints before it raises": """
out = []
def f(x):
    print("at", x)
    return 1 / x
for x in parallel([2, 0, 4]):
    out.append(f(x))
""",
    "items that are changed": """
class Star:
    def __init__(self, n): self.n, self.fitted = n, None
    def fit(self):
        if self.n % 4 == 2: raise ValueError(self.n)
        self.fitted = self.n * 2
    def __repr__(self): return f"{self.n}: {self.fitted}"
stars = [Star(n) for n in range(12)]
for star in parallel(stars):
    star.fit()
seen = repr(stars), star.n
""",
    "a stream": """
def items():
    for k in range(30):
        yield k % 7
out = []
for x in parallel(items()):
    out.append(12 / x)
""",
    "random numbers of its own": """
import random
out = []
for x in parallel(range(12)):
    rng = random.Random(x)
    a = [rng.random() for _ in range(3)]
    if x % 5 == 2:
        raise OSError(x)
    out.append(a)
del rng
""",
    "break, and an else": """
out = []
for x in parallel([3, 2, 0, 1, 7, 0, 2]):
    y = 6 // x
    if x == 7:
        break
    out.append(y)
else:
    out.append("else")
""",
    "an except of its own": """
out = []
for x in parallel([3, 2, 0, 1, "a"]):
    try:
        y = 6 // x
    except ZeroDivisionError:
        y = None
    out.append(y)
""",
    "what each worker has of its own": """
import sqlite3
from allcores import per_worker
db = per_worker(lambda: sqlite3.connect(":memory:"))
out = []
for x in parallel([1, 2, 0, 4, 0, 0]):
    connection = db()
    out.append(connection.execute("select ?", (8 // x,)).fetchone())
is_ours = connection is db()
del connection, db
""",
    "a target that is rebound": """
out = []
for x in parallel([1, 2, 0, 4, 0]):
    x = 4 // x
    out.append(x)
""",
}


def in_function(source: str) -> str:
    """The same program in a function, whose variables end up in the module."""
    lines = "".join(f"    {line}\n" for line in source.splitlines())
    return f"def __program():\n{lines}    return locals()\nglobals().update(__program())\n"


@pytest.mark.parametrize("on_error", ["skip", "collect"])
@pytest.mark.parametrize("name", SAME)
def test_as_the_plain_loop_with_a_try_in_it(name: str, on_error: str, capsys: Any) -> None:
    raised: list[BaseException] = []
    expected = _plainly(as_plain(SAME[name]), raised)
    ours = run(in_function(SAME[name]), _marked([], "skip"))
    assert ours.error is None
    assert repr(values(ours.names)) == repr(values(expected))
    assert ours.in_workers > 0
    capsys.readouterr()
    loops: list[Any] = []
    ours = run(SAME[name], _marked(loops, on_error))
    if "print" in SAME[name]:
        assert capsys.readouterr().out == "at 2\nat 4\n"
    assert ours.error is None
    assert repr(values(ours.names)) == repr(values(expected))
    assert ours.in_workers > 0
    [loop] = loops
    if on_error == "skip":
        assert loop.errors == []
        assert ours.said() == []
        return
    assert [(type(e), e.args) for e in raised] == [
        (type(f.exception), f.exception.args) for f in loop.errors
    ]
    [said] = ours.said()
    assert said.startswith(f"{len(raised)} iteration{'s' * (len(raised) > 1)} raised")


def values(names: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in sorted(names.items()) if not isinstance(v, (type, types.FunctionType))}


def _marked(loops: list[Any], on_error: str) -> Any:
    def marked(xs: Any, **how: Any) -> Any:
        loops.append(parallel(xs, on_error=on_error, **how))
        return loops[-1]

    return marked


def _plainly(source: str, raised: list[BaseException]) -> dict[str, Any]:
    namespace: dict[str, Any] = {"parallel": lambda xs: xs, "raised": raised.append}
    exec(compile(source, "<plain>", "exec"), namespace)
    return {k: v for k, v in namespace.items() if k not in ("parallel", "raised", "__builtins__")}


# -- what is not left out

NOT_LEFT_OUT = {
    "what is no Exception": (
        """
out = []
for x in parallel(range(8)):
    if x == 5:
        raise KeyboardInterrupt("mine", x)
    if x % 2:
        raise ValueError
    out.append(x)
""",
        KeyboardInterrupt("mine", 5),
        [0, 2, 4],
    ),
    "a commit after another one": (
        """
out, sums = [], {0: 0, 1: 0}
for x in parallel([0, 1, 2, 0]):
    out.append(x * 2)
    sums[x] += x
""",
        KeyError(2),
        [0, 2, 4],
    ),
    "an item that does not unpack": (
        """
out = []
for a, b in parallel([(1, 2), (3, 0), (4, 5, 6), (7, 8)]):
    out.append(a // b)
""",
        ValueError("too many values to unpack (expected 2)"),
        [0],
    ),
    "what the input raises": (
        """
def items():
    yield 1
    yield 0
    yield 2
    raise OSError("no more")
out = []
for x in parallel(items()):
    out.append(4 // x)
""",
        OSError("no more"),
        [4, 2],
    ),
}


@pytest.mark.parametrize("name", NOT_LEFT_OUT)
def test_what_is_raised_all_the_same(name: str) -> None:
    source, error, out = NOT_LEFT_OUT[name]
    ours = run(source, _marked([], "skip"))
    assert type(ours.error) is type(error)
    assert ours.error is not None and ours.error.args[:1] == error.args[:1]
    assert ours.names["out"] == out
    if name != "what the input raises":
        assert "allcores" not in "".join(traceback.format_exception(ours.error))
    if name.startswith("a commit"):
        assert "could not be left out" in ours.error.__notes__[-1]


SERIAL = {
    "by its source": """
seen = {}
def f(x):
    seen[x] = len(seen)
    return seen[x]
out = []
for x in parallel(range(4)):
    out.append(f(x) + f(x + 1))
""",
    "asked for": 'out = []\nfor x in parallel(range(4), on="serial"):\n    out.append(x)\n',
    "items that cannot be sent": """
out = []
for x in parallel(iter([lambda: 1, lambda: 2].__iter__, None)):
    out.append(x())
""",
}


@pytest.mark.parametrize("name", SERIAL)
def test_what_stays_serial_says_that_it_has_no_effect(name: str) -> None:
    ours = run(SERIAL[name], _marked([], "skip"))
    [said] = [w for w in ours.said() if "no effect" in w]
    assert "on_error has no effect" in said
    assert ours.in_workers == 0
    strict = run(SERIAL[name], _strict)
    assert type(strict.error) is NotParallel


def _strict(xs: Any, **how: Any) -> Any:
    return parallel(xs, on_error="skip", strict=True, **how)


def test_a_loop_within_a_worker_says_that_it_has_no_effect() -> None:
    ours = run(
        """
def inner(n):
    out = []
    for x in parallel(range(n), on_error="skip"):
        out.append(x * 2)
    return out
got = []
for n in parallel([1, 2, 3], on_error="skip"):
    got.append(inner(n))
"""
    )
    assert ours.names["got"] == [[0], [0, 2], [0, 2, 4]]
    assert any("on_error has no effect" in w for w in ours.said())


SCRIPT = """
from allcores import parallel
def f(x):
    return 8 // x
out = []
loop = parallel([1, 0, 2, 4, 0], on_error="collect")
for x in loop:
    out.append(f(x))
print(out, [failure.index for failure in loop.errors])
"""


@pytest.mark.parametrize("command", ["run", "verify", "find"])
def test_the_command_leaves_such_loops_as_they_are(tmp_path: Path, command: str) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "allcores", command, "script.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.startswith("[8, 4, 2] [1, 4]\n"), done.stderr
    assert ("could not be compared" in done.stderr) == (command == "verify")


# -- what is collected


def test_what_is_collected_has_its_traceback_and_a_note() -> None:
    def check(x: int) -> float:
        return 1 / (x - 3)

    loop = parallel(range(6), on_error="collect")
    out = []
    with pytest.warns(SkippedWarning, match="1 iteration raised .*iteration 3: ZeroDivisionError"):
        for x in loop:
            out.append(check(x))
    assert len(out) == 5
    [failure] = loop.errors
    index, item, error = failure
    assert (index, item, type(error)) == (3, 3, ZeroDivisionError)
    assert failure == allcores.Failure(3, 3, error)
    assert error.__notes__ == ["in iteration 3 of the parallel loop, with x = 3"]
    names = [entry.name for entry in traceback.extract_tb(error.__traceback__)]
    assert names == ["test_what_is_collected_has_its_traceback_and_a_note", "check"]


def test_errors_are_those_of_the_last_run() -> None:
    loop = parallel([1, 0, 0], on_error="collect")
    seen = []
    for _ in range(2):
        with pytest.warns(SkippedWarning):
            for x in loop:
                seen.append(1 // x)
        assert [f.index for f in loop.errors] == [1, 2]
    assert seen == [1, 1]


# -- random loops


def test_random_loops() -> None:
    for seed in range(40):
        source = _random_loop(random.Random(seed))
        raised: list[BaseException] = []
        expected = _plainly(as_plain(source), raised)
        placed = in_function(source) if seed % 2 else source
        ours = run(placed, _marked([], random.Random(seed).choice(["skip", "collect"])))
        assert ours.error is None, source
        assert repr(values(ours.names)) == repr(values(expected)), source
        assert ours.in_workers, source


def _random_loop(rng: random.Random) -> str:
    """A loop in which iterations raise in work, or in their first commit."""
    size = rng.randrange(1, 60)
    items = [rng.choice([0, 1, 2, 3, -4, None, "a"]) for _ in range(size)]
    over = rng.choice([f"range({size})", repr(items), f"(v for v in {items})"])
    if rng.random() < 0.3:
        over = f"enumerate({over})"
    targets = "i, x" if over.startswith("enumerate") else "x"
    work = rng.sample(
        [
            "y = x * 2",
            "y = 10 // x",
            "if x == 2: raise ValueError(x)",
            "y = [x] * 2",
            "if x in (1, 3): y = -x",
            "z = sorted([x, 1, 3])",
            "if x == 3: continue",
            "x = x + 1",
        ],
        rng.randrange(1, 4),
    )
    names = ["x", *(n for n in "yz" if any(w.startswith(f"{n} =") for w in work))]
    value = rng.choice(names)
    commit = rng.choice(
        [
            f"out.append({value})",
            f"total += {value}",
            f"by[x] = {value}",
            f"grid[x] = {value}",
            "by[x] += 1",
            f"if x != 1: out.append({value})",
        ]
    )
    more = ["out.append(x)"] if commit.startswith("out") and rng.random() < 0.5 else []
    body = "".join(f"    {line}\n" for line in [*work, commit, *more])
    start = "out, by, grid, total = [], {}, [0] * 8, 0\n"
    # Only the targets are as the plain loop leaves them, not what a skipped iteration had bound.
    gone = "".join(f"{n} = None\n" for n in "xyz" if n != "x" or "x = x + 1" in work)
    return f"{start}for {targets} in parallel({over}):\n{body}{gone}"


def test_a_loop_without_workers_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading takes the item for changed, and it is a number."""
    monkeypatch.setenv("ALLCORES_FORCE", "1")

    class Odd(Exception):
        def __init__(self, a: int, b: int) -> None:
            super().__init__(a)
            self.b = b

    def fails(x: int) -> None:
        raise Odd(x, 2)

    done = []
    loop = parallel((x for x in range(6)), on_error="skip", workers=2)
    with pytest.warns(ParallelWarning, match="on_error") as caught, pytest.raises(Odd):
        for x in loop:
            if x % 2:
                fails(x)
            done.append(x)
    assert (len(caught), done) == (1, [0])
