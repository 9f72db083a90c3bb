"""`resume=`: what an earlier run has finished is not done again, and nothing stale is ever used."""

from __future__ import annotations

import importlib
import linecache
import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
import types
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import allcores.loop as loop
from allcores import JournalError, NotParallel, ResumeWarning, parallel
from allcores.engine import journal, private_files


class Ran(NamedTuple):
    """What a run of a program left."""

    names: dict[str, Any]
    replayed: int
    worked: list[str]
    said: list[str]
    kinds: list[type]


class Programs:
    """Runs programs in this process, each as if in a new one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.before = set(sys.modules)

    def run(self, text: str, **modules: str) -> Ran:
        """Run a program that uses the journal `kept` and writes what it works on to `worked`."""
        self.forget()
        for name, source in {**modules, "program": text}.items():
            (self.folder / f"{name}.py").write_text(textwrap.dedent(source))
        worked = self.folder / "worked"
        worked.write_text("")
        reports: list[loop.LoopReport] = []
        program = types.ModuleType("program")
        program.__file__ = str(self.folder / "program.py")
        program.__dict__.update(
            parallel=parallel, kept=str(self.folder / "kept"), note=note_in(worked)
        )
        sys.modules["program"] = program
        loop.listeners.append(reports.append)
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                code = compile(Path(program.__file__).read_text(), program.__file__, "exec")
                exec(code, program.__dict__)
        finally:
            loop.listeners.remove(reports.append)
            self.forget()
        return Ran(
            program.__dict__,
            sum(report.replayed for report in reports),
            sorted(worked.read_text().split()),
            [str(each.message) for each in caught],
            [each.category for each in caught],
        )

    def forget(self) -> None:
        """Nothing of the last run is left."""
        journal.close_all()
        for name in set(sys.modules) - self.before:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(self.folder)):
                del sys.modules[name]
        sys.modules.pop("program", None)
        importlib.invalidate_caches()
        linecache.clearcache()


def note_in(path: Path) -> Any:
    def note(x: Any) -> None:
        file = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.write(file, f"{x}\n".encode())
        os.close(file)

    return note


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Programs]:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    found = Programs(tmp_path)
    yield found
    found.forget()


PLAIN = """
    const = 3
    def work(x):
        return x * const
    out = []
    for x in parallel(range(8), resume=kept, workers=2):
        note(x)
        out.append(work(x))
"""


def test_what_is_finished_is_not_done_again(programs: Programs) -> None:
    first = programs.run(PLAIN)
    assert (first.replayed, len(first.worked), first.said) == (0, 8, [])
    again = programs.run(PLAIN)
    assert (again.replayed, again.worked, again.said) == (8, [], [])
    assert again.names["out"] == first.names["out"] == [3 * x for x in range(8)]
    assert again.names["x"] == 7


def test_items_that_are_new_are_the_only_ones_that_are_done(programs: Programs) -> None:
    programs.run(PLAIN)
    items = [5, 100, *range(8), 7]
    longer = programs.run(PLAIN.replace("range(8)", str(items)))
    # Of two equal items, only one has a record.
    assert (longer.replayed, longer.worked, longer.said) == (8, ["100", "5", "7"], [])
    assert longer.names["out"] == [3 * x for x in items]
    turned = programs.run(PLAIN.replace("range(8)", str(items[::-1])))
    assert (turned.replayed, turned.worked) == (11, [])
    assert turned.names["out"] == [3 * x for x in items[::-1]]


def test_items_are_told_apart_by_all_that_they_are(programs: Programs) -> None:
    text = """
        import numpy as np
        class Point:
            def __init__(self, x):
                self.x = x
            def far(self):
                return self.x + FAR
        FAR = 1
        items = [1, 1.0, True, "1", (1, 2), [1, 2], np.arange(3), {"a": {2, 1}}, None, Point(4)]
        out = []
        for item in parallel(items, resume=kept, workers=2):
            note(type(item).__name__)
            out.append(item.far() if isinstance(item, Point) else str(item))
    """
    first = programs.run(text)
    assert programs.run(text).replayed == 10
    changed = text.replace("np.arange(3)", "np.arange(3) + 1").replace("Point(4)", "Point(5)")
    ran = programs.run(changed)
    assert ran.worked == ["Point", "ndarray"] and ran.names["out"][9] == 6
    assert first.names["out"][9] == 5


EVERYTHING = """
    import functools
    import helper
    from helper import scale
    const = 3
    class Model:
        factor = 2
        def __init__(self, a):
            self.a = a
        def predict(self, x):
            return self.a * x * self.factor + self.bias()
        @staticmethod
        def bias():
            return 1
    def made(k):
        return lambda x: x + k
    closure = made(5)
    def with_default(x, plus=7):
        return x + plus
    @functools.lru_cache
    def cached(x):
        return x + 11
    part = functools.partial(with_default, plus=4)
    table = {"f": lambda x: x - 13}
    def main():
        model = Model(6)
        local = 17
        out = []
        for x in parallel(range(4), resume=kept, workers=2):
            note(x)
            y = scale(x) + helper.shift(x) + const + model.predict(x) + closure(x) + local
            out.append(y + with_default(x) + cached(x) + part(x) + table["f"](x) + 19 + UNIT)
        return out
    out = main()
"""
HELPER = """
    import other
    LIMIT = 23
    def scale(x):
        return shift(x) + LIMIT
    def shift(x):
        return other.base(x) + 1
    import builtins
    builtins.UNIT = 37
"""
OTHER = """
    def base(x):
        return x * 29
    def unused(x):
        return 31
"""
CHANGES = {
    "+ 19": ("+ 20", "the loop's body"),
    "const = 3": ("const = 4", "the value of `program.const`"),
    "local = 17": ("local = 18", "the value of `local`"),
    "Model(6)": ("Model(7)", "the value of `model`"),
    "factor = 2": ("factor = 3", "the class `program.Model`"),
    "return self.a *": ("return 1 + self.a *", "`program.Model.predict` at program.py:10"),
    "return 1\n": ("return 2\n", "the class `program.Model`"),
    "made(5)": ("made(6)", "`program.closure` at program.py:16"),
    "lambda x: x + k": ("lambda x: x - k", "`program.closure` at program.py:16"),
    "plus=7": ("plus=8", "`program.with_default` at program.py:18"),
    "x + 11": ("x + 12", "the value of `program.cached`"),
    "plus=4": ("plus=5", "the value of `program.part`"),
    "x - 13": ("x - 14", "the value of `program.table`"),
    "LIMIT = 23": ("LIMIT = 24", "the value of `helper.LIMIT`"),
    "UNIT = 37": ("UNIT = 38", "the value of `builtins.UNIT`"),
    "base(x) + 1": ("base(x) + 2", "`helper.shift` at helper.py:6"),
    "x * 29": ("x * 30", "`other.base` at other.py:2"),
}


NOTHING = {
    "    def made(k):": "    # a comment\n\n    def made(k):",
    "out.append(y +": "out.append(  y +",
    "return 31": "return 32",
    "def main():": "def another():\n        pass\n    def main():",
    "out = []\n": "out = []\n        for z in range(2):\n            len(str(z))\n",
}


def test_what_has_changed_is_said_and_nothing_stale_is_used(programs: Programs) -> None:
    sources = {"program": EVERYTHING, "helper": HELPER, "other": OTHER}
    first = programs.run(EVERYTHING, helper=HELPER, other=OTHER)
    assert first.said == []
    kept = (programs.folder / "kept").read_bytes()
    for old in [*CHANGES, *NOTHING]:
        (programs.folder / "kept").write_bytes(kept)
        new, words = CHANGES.get(old) or (NOTHING[old], "")
        changed = {name: source.replace(old, new) for name, source in sources.items()}
        assert changed != sources, old
        ran = programs.run(changed["program"], helper=changed["helper"], other=changed["other"])
        if old in NOTHING:
            assert (ran.replayed, ran.worked, ran.said) == (4, [], []), old
            assert ran.names["out"] == first.names["out"], old
            continue
        assert (ran.replayed, len(ran.worked)) == (0, 4), old
        assert ran.names["out"] != first.names["out"], old
        [said] = ran.said
        assert ran.kinds == [ResumeWarning]
        assert said.startswith("4 finished iterations of an earlier run must be done again, for ")
        assert words in said
    again = programs.run(changed["program"], helper=changed["helper"], other=changed["other"])
    assert again.replayed == 4


def test_a_change_that_is_taken_back_loses_nothing(programs: Programs) -> None:
    first = programs.run(PLAIN)
    ending = "out.append(work(x))\n        if x == 2: break"
    broken = programs.run(
        PLAIN.replace("const = 3", "const = 3.5").replace("out.append(work(x))", ending)
    )
    assert broken.replayed == 0 and "the loop's body" in broken.said[0]
    back = programs.run(PLAIN)
    assert (back.replayed, back.worked) == (8, []) and back.names["out"] == first.names["out"]
    # A loop that has come to its end takes the place of what was there.
    programs.run(PLAIN.replace("const = 3", "const = 3.5"))
    assert programs.run(PLAIN).replayed == 0


def test_versions_directories_and_settings_count(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    text = """
        import numpy as np, os, decimal
        def work(x):
            return np.sqrt(x), decimal.Decimal(x) / 7, os.environ.get("A_SETTING")
        out = []
        for x in parallel(range(3), resume=kept, workers=2):
            out.append(work(x))
    """

    def again() -> Ran:
        assert programs.run(text).replayed == 3
        return Ran({}, 0, [], [], [])

    programs.run(text)
    again()
    with monkeypatch.context() as patch:
        patch.setattr(np, "__version__", "99.1")
        assert "the version of numpy" in programs.run(text).said[0]
    programs.run(text)
    with monkeypatch.context() as patch:
        patch.chdir(programs.folder)
        assert "the current directory" in programs.run(text).said[0]
    programs.run(text)
    with monkeypatch.context() as patch:
        patch.setenv("A_SETTING", "1")
        assert "`A_SETTING` in the environment" in programs.run(text).said[0]
    programs.run(text)
    again()


def test_random_numbers_are_those_of_the_seed_and_the_place(programs: Programs) -> None:
    text = """
        import random
        random.seed(5)
        out = []
        for x in parallel(range(6), resume=kept, workers=2, random="streams"):
            note(x)
            out.append(x + random.random())
    """
    first = programs.run(text)
    again = programs.run(text)
    assert (again.replayed, again.names["out"]) == (6, first.names["out"])
    # An item at another place draws other numbers.
    moved = programs.run(text.replace("range(6)", "[1, 0, 2, 3, 4, 5]"))
    assert (moved.replayed, moved.worked) == (4, ["0", "1"])
    assert moved.names["out"][2:] == first.names["out"][2:]
    assert moved.names["out"][0] - 1 == first.names["out"][0]
    seeded = programs.run(text.replace("seed(5)", "seed(6)"))
    assert seeded.replayed == 0 and "where the random streams begin" in seeded.said[0]


def test_variables_are_as_the_plain_loop_leaves_them(programs: Programs) -> None:
    text = """
        class Thing:
            def __init__(self, n):
                self.n = n
        total = 0
        last = None
        for i in parallel(range(9), resume=kept, workers=2):
            thing = Thing(i)
            if i % 4 == 1:
                odd = [i, thing]
            if i == 100:
                never = i
            print("at", i)
            total += thing.n / 3
    """
    for expected in (0, 9):
        ran = programs.run(text)
        names = ran.names
        assert ran.replayed == expected
        assert (names["i"], names["thing"].n, names["odd"][0], names["odd"][1].n) == (8, 8, 5, 5)
        assert "never" not in names and names["total"] == sum(i / 3 for i in range(9))


def test_what_was_printed_is_printed_again(
    programs: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    text = """
        import warnings
        def work(x):
            print("in", x)
            warnings.warn(f"about {x}")
            return x
        for x in parallel(range(4), resume=kept, workers=2):
            print("out", work(x))
    """
    printed = []
    for expected in (0, 4):
        ran = programs.run(text)
        assert ran.replayed == expected and len(ran.said) == 4
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] == "".join(f"in {x}\nout {x}\n" for x in range(4))


def test_a_loop_entered_again_has_records_of_its_own(programs: Programs) -> None:
    text = """
        def once(k):
            out = []
            for x in parallel(range(3), resume=kept, workers=2):
                note(f"{k}.{x}")
                out.append(x * k)
            return out
        out = [once(k) for k in (1, 2, 2, 5)]
    """
    first = programs.run(text)
    assert (first.replayed, len(first.worked), first.said) == (0, 12, [])
    again = programs.run(text)
    assert (again.replayed, again.worked, again.said) == (12, [], [])
    assert again.names["out"] == first.names["out"]
    other = programs.run(text.replace("(1, 2, 2, 5)", "(1, 2, 3, 5)"))
    assert (other.replayed, other.worked) == (9, ["3.0", "3.1", "3.2"])
    assert "the value of `k`" in other.said[0]


def test_what_raises_is_tried_again(programs: Programs) -> None:
    text = """
        import os
        out = []
        def work(x):
            if x == 2 and not os.path.exists(flag):
                raise ValueError(x)
            return x
        loop = parallel(range(4), resume=kept, workers=2, on_error="collect")
        for x in loop:
            note(x)
            out.append(work(x))
        failed = len(loop.errors)
    """.replace("flag", repr(str(programs.folder / "flag")))
    first = programs.run(text)
    assert first.names["failed"] == 1 and first.names["out"] == [0, 1, 3]
    (programs.folder / "flag").touch()
    again = programs.run(text)
    assert (again.worked, again.names["out"], again.replayed) == (["2"], [0, 1, 2, 3], 3)


@pytest.mark.parametrize(
    ("before", "body", "why"),
    [
        ("import io\nvalue = iter([1].__iter__, 0)", "len(repr(type(value)))", "value"),
        (
            "class Box: pass\nvalue = Box()\nvalue.held = (i for i in 'a')",
            "str(value)[:4]",
            "value",
        ),
        ("class Box: pass\nvalue = 1", "len(Box.__subclasses__())", "`__subclasses__`"),
    ],
)
def test_what_nothing_tells_apart_has_no_journal_and_is_said(
    programs: Programs, before: str, body: str, why: str
) -> None:
    text = f"{before}\nout = []\nfor x in parallel(range(4), resume=kept, workers=2):\n    out.append(({body}, x * x))\n"
    for _ in range(2):
        ran = programs.run(text)
        assert ran.replayed == 0 and [x for _, x in ran.names["out"]] == [0, 1, 4, 9]
        # What cannot be told apart may not be sent to a clean interpreter, either, which is said too.
        most = 2 if os.environ.get("ALLCORES_ON") == "fresh" else 1
        assert 1 <= len(ran.said) <= most
        assert all("resume has no effect" in said and why in said for said in ran.said)
    with pytest.raises(NotParallel, match="resume has no effect"):
        programs.run(text.replace("workers=2", "workers=2, strict=True"))


def test_the_journal_is_held_by_one_run_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(private_files, "PATIENCE", 0.05)
    held = journal.journal_at(str(tmp_path / "kept"))
    try:
        assert journal.journal_at(str(tmp_path / "kept")) is held
        child = os.fork()
        if child == 0:
            try:
                journal.journal_at(str(tmp_path / "kept"))
            except JournalError as error:
                os._exit(0 if f"process {os.getppid()}" in str(error) else 2)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
    finally:
        journal.close_all()
    journal.journal_at(str(tmp_path / "kept"))
    journal.close_all()


def test_a_run_that_was_just_killed_may_still_be_ending(tmp_path: Path) -> None:
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            journal.journal_at(str(tmp_path / "kept"))
            os.write(told, b"x")
            time.sleep(0.1)
        finally:
            os._exit(0)
    os.read(ready, 1)
    assert journal.journal_at(str(tmp_path / "kept")).problem == ""
    journal.close_all()
    os.waitpid(child, 0)
    os.close(ready), os.close(told)


def test_only_a_private_file_is_a_journal(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    journal.journal_at(str(kept))
    assert {p.stat().st_mode & 0o777 for p in tmp_path.iterdir()} == {0o600}
    journal.close_all()

    def refused(words: str, path: Path = kept) -> None:
        with pytest.raises(JournalError, match=words):
            journal.journal_at(str(path))

    (tmp_path / "link").symlink_to(kept)
    refused("symbolic link", tmp_path / "link")
    kept.chmod(0o620)
    refused("others may write")
    kept.chmod(0o600)
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "kept-wal").symlink_to(tmp_path / "victim")
    refused("kept-wal is a symbolic link")
    (tmp_path / "kept-wal").unlink()
    os.mkfifo(tmp_path / "fifo")
    refused("no regular file", tmp_path / "fifo")
    refused("no journal", tmp_path / "victim")
    assert (tmp_path / "victim").read_text() == "precious"
    with closing(sqlite3.connect(tmp_path / "theirs")) as theirs:
        theirs.execute("CREATE TABLE precious(x)")
    (tmp_path / "theirs").chmod(0o600)
    refused("no journal", tmp_path / "theirs")
    if os.geteuid() == 0:
        os.chown(kept, 12345, -1)
        refused("another user")
    with pytest.raises(FileNotFoundError):
        journal.journal_at(str(tmp_path / "nowhere" / "kept"))
    journal.close_all()


def test_what_is_damaged_is_not_used(programs: Programs) -> None:
    first = programs.run(PLAIN)
    kept = programs.folder / "kept"
    with closing(sqlite3.connect(kept)) as base:
        base.execute("UPDATE iterations SET record = zeroblob(length(record)) WHERE place = 3")
        base.commit()
    again = programs.run(PLAIN)
    assert (again.replayed, again.worked) == (7, ["3"]) and again.names["out"] == first.names["out"]
    assert "are damaged, and are done again" in again.said[0]
    data = bytearray(kept.read_bytes())
    data[4096:] = random.Random(1).randbytes(len(data) - 4096)
    kept.write_bytes(data)
    damaged = programs.run(PLAIN)
    assert damaged.names["out"] == first.names["out"] and damaged.replayed == 0
    [said] = damaged.said
    assert str(kept) in said and "damaged" in said and "delete it" in said


def test_a_full_disk_leaves_the_loop_alone(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Any, statement: str, rows: Any) -> None:
        self.failed(sqlite3.OperationalError("database or disk is full"))

    with monkeypatch.context() as patch:
        patch.setattr(journal.Journal, "write", full)
        ran = programs.run(PLAIN)
    [said] = ran.said
    assert "disk is full; the loop goes on without it" in said
    assert ran.names["out"] == [3 * x for x in range(8)] and programs.run(PLAIN).replayed == 0


def test_changes_that_workers_see_drop_what_was_kept(programs: Programs) -> None:
    text = """
        import functools
        state = [0]
        def hidden(x):
            vars(holder)["n"] = vars(holder).get("n", 0) + x
            return vars(holder)["n"]
        class Holder: pass
        holder = Holder()
        out = []
        for x in parallel(range(40), resume=kept, workers=2, chunk=5):
            out.append(functools.reduce(lambda a, b: hidden(b), [x], 0))
    """
    plain = programs.run(text.replace("resume=kept, workers=2", "on='serial'"))
    for _ in range(2):
        assert programs.run(text).names["out"] == plain.names["out"]


KILLED = """
    import os, sys, time
    from allcores import parallel
    def work(x, worked="worked"):
        with open(worked, "a") as file:
            file.write(f"{x}\\n")
        time.sleep(0.002)
        return [x / 3, str(x)]
    def main():
        total, texts = 0.0, []
        for x in parallel(range(120), resume="kept", workers=2):
            value, text = work(x)
            total += value
            texts.append(text)
            if x % 7 == 3:
                seen = value
        return repr((total, texts, seen, x))
    if __name__ == "__main__":
        print(main())
"""


def kill_and_resume(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    (folder / "program.py").write_text(textwrap.dedent(KILLED))
    for name in ("kept", "kept-wal", "kept-shm", "worked"):
        (folder / name).unlink(missing_ok=True)
    worked = folder / "worked"
    command = [sys.executable, "program.py"]
    killed = 0
    for k in range(chance.randint(1, 3)):
        enough = 0 if seed % 5 == 0 else k * 35 + chance.randint(1, 35)
        with subprocess.Popen(command, cwd=folder, start_new_session=True, stdout=-3) as run:
            deadline = time.monotonic() + 20
            while run.poll() is None and time.monotonic() < deadline:
                if worked.exists() and worked.read_text().count("\n") >= enough:
                    break
                time.sleep(0.001)
            time.sleep(chance.random() * (0.3 if seed % 5 == 0 else 0.01))
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)
                killed += 1
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    values = [x / 3 for x in range(120)]
    total = 0.0
    for value in values:
        total += value
    expected = repr((total, [str(x) for x in range(120)], values[115], 119))
    assert ended.stdout.strip() == expected and ended.stderr == ""
    # What had come home is not done again: a kill loses what two workers had in hand. For the
    # variables that the loop leaves, two iterations may be done once more.
    done = worked.read_text().split()
    assert set(done) == {str(x) for x in range(120)}
    assert len(done) <= 122 + killed * 80, (len(done), killed)


def test_a_run_that_is_killed_is_resumed(tmp_path: Path) -> None:
    kill_and_resume(tmp_path, 1)


@pytest.mark.slow
def test_a_run_that_is_killed_at_any_moment_is_resumed(tmp_path: Path) -> None:
    for seed in range(2, 30):
        kill_and_resume(tmp_path, seed)


def test_views_share_their_memory_as_in_the_plain_loop(programs: Programs) -> None:
    text = """
        import numpy as np
        out = []
        for i in parallel(range(4), resume=kept, workers=2):
            a = np.arange(12.0).reshape(3, 4) * i
            out.append((a, a[:, 1], a[:, ::2], a.T, a[1:], np.arange(i + 5)[:2]))
    """
    for expected in (0, 4):
        ran = programs.run(text)
        whole, column, *_, one, other = ran.names["out"][3]
        assert ran.replayed == expected and column.strides == (32,)
        column[:] = 99
        assert whole[2, 1] == one[1, 1] == 99 and list(other) == [0, 1]


def test_no_trace_is_left_on_what_was_looked_at(programs: Programs) -> None:
    text = """
        import functools
        class Plain:
            def f(self, x):
                return x + 1
        part = functools.partial(max, 1)
        plain = Plain()
        out = []
        for i in parallel(range(4), resume=kept, workers=2):
            out.append(plain.f(i) + part(i))
    """
    names = programs.run(text).names
    assert "__annotations__" not in vars(names["Plain"])
    assert names["part"].__reduce__()[2][3] is None


MAPPED = """
    import allcores, random
    const = 3
    def work(x, y=1):
        note(x)
        print("at", x)
        return [x * const, y]
    out = allcores.map(work, range(8), resume=kept, workers=2)
    out += allcores.starmap(work, zip(range(5), "abcde"), resume=kept, workers=2)
    out += allcores.imap(lambda x: [x + const], (x for x in range(6)), resume=kept, workers=2)
"""


def test_what_was_mapped_is_not_mapped_again(
    programs: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    first = programs.run(MAPPED)
    printed = capsys.readouterr().out
    again = programs.run(MAPPED)
    assert (len(first.worked), again.worked, again.said) == (13, [], [])
    assert again.names["out"] == first.names["out"] and capsys.readouterr().out == printed
    other = programs.run(MAPPED.replace("const = 3", "const = 4"))
    assert len(other.worked) == 13 and other.names["out"][1] == [4, 1]
    assert other.kinds == [ResumeWarning] * 3 and "`program.const`" in other.said[0]
    longer = programs.run(
        MAPPED.replace("const = 3", "const = 4").replace("range(8)", "[9, *range(8)]")
    )
    assert longer.worked == ["9"]


def test_items_that_draw_are_used_only_in_their_place(programs: Programs) -> None:
    text = """
        import allcores, random
        random.seed(5)
        def work(x):
            note(x)
            return x + random.random()
        out = allcores.map(work, range(6), resume=kept, workers=2, chunk=2)
        after = random.random()
    """
    first = programs.run(text)
    again = programs.run(text)
    assert again.worked == [] and first.worked != []
    for name in ("out", "after"):
        assert again.names[name] == first.names[name]
    moved = programs.run(text.replace("range(6)", "[1, 0, 2, 3, 4, 5]"))
    assert set(moved.worked) == {"0", "1"}
    assert moved.names["out"][0] - 1 == first.names["out"][0]
    seeded = programs.run(text.replace("seed(5)", "seed(6)"))
    assert set(seeded.worked) == set("012345") and seeded.names["out"] != first.names["out"]


def test_an_item_that_raised_is_mapped_again(programs: Programs) -> None:
    text = """
        import allcores, os
        def work(x):
            note(x)
            if x == 3 and not os.path.exists(flag):
                raise ValueError(x)
            return x
        out = error = None
        try:
            out = allcores.map(work, range(6), resume=kept, workers=1, chunk=1)
        except ValueError as caught:
            error = str(caught)
    """.replace("flag", repr(str(programs.folder / "flag")))
    assert programs.run(text).names["error"] == "3"
    (programs.folder / "flag").touch()
    again = programs.run(text)
    assert again.names["out"] == list(range(6)) and again.worked[0] == "3"


SCRIPT = """
    import os, subprocess, sys, time
    def work(x, worked="worked"):
        time.sleep(0.004)
        if len(sys.argv) > 2:
            return x * 2
        with open(worked, "a") as file:
            file.write(f"{x}\\n")
        return x * 2
    out = []
    for x in range(60):
        out.append(work(x))
    if len(sys.argv) == 1:
        command = [sys.executable, "-m", "allcores", "run", "--quiet", "script.py", "a", "b"]
        done = subprocess.run(command, capture_output=True, text=True)
        print(out[-1], sum(out), done.stdout.strip(), "another run" in done.stderr)
    else:
        print(sum(out))
"""


@pytest.mark.slow
def test_every_loop_of_a_script_is_resumed(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(textwrap.dedent(SCRIPT))
    command = [sys.executable, "-m", "allcores", "run", "--resume", "kept", "script.py"]

    def ran() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    first = ran()
    assert first.stdout == "118 3540 3540 True\n" and "from the journal" not in first.stderr
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o700
    (tmp_path / "worked").unlink()
    again = ran()
    assert again.stdout == first.stdout and " of them from the journal" in again.stderr
    # What ran in the program itself, to learn what it costs, is run again.
    assert len((tmp_path / "worked").read_text().split()) < 30
    (tmp_path / "kept").chmod(0o777)
    refused = ran()
    assert refused.returncode == 2 or refused.returncode == 1
    assert refused.stdout == "" and "others may write" in refused.stderr
