"""Where a parallel loop may stand: scripts, modules, functions, methods, IPython, Jupyter."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ENVIRONMENT = {"ALLCORES_FORCE": "1", "ALLCORES_WORKERS": "2"}


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


def python(directory: Path, *args: str, stdin: str = "", **variables: str) -> Outcome:
    done = subprocess.run(
        [sys.executable, *args],
        cwd=directory,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **ENVIRONMENT, "IPYTHONDIR": str(directory / ".ipython"), **variables},
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def write(directory: Path, name: str, source: str) -> None:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(source))


# Every program prints "True" when its iterations ran elsewhere and came back in order.
MODULE_LEVEL = """
    import os
    from allcores import parallel
    home, rows = os.getpid(), []
    for x in parallel(range(30)):
        elsewhere = os.getpid() != home
        rows.append((x * x, elsewhere))
    print(rows == [(i * i, True) for i in range(30)], x, elsewhere)
    """

PLACES = {
    "module level": MODULE_LEVEL,
    "under if main": """
        import os
        from allcores import parallel
        home, rows = os.getpid(), []
        if __name__ == "__main__":
            for x in parallel(range(30)):
                elsewhere = os.getpid() != home
                rows.append((x * x, elsewhere))
            print(rows == [(i * i, True) for i in range(30)], x, elsewhere)
        """,
    "function": """
        import os
        from allcores import parallel
        def go(n):
            home, rows = os.getpid(), []
            for x in parallel(range(n)):
                elsewhere = os.getpid() != home
                rows.append((x * x, elsewhere))
            return rows, x, elsewhere
        rows, x, elsewhere = go(30)
        print(rows == [(i * i, True) for i in range(30)], x, elsewhere)
        """,
    "method": """
        import os
        from allcores import parallel
        class Table:
            def __init__(self):
                self.home = os.getpid()
                self.power = 2
            def power_of(self, x):
                return x ** self.power
            def rows(self, n):
                rows = []
                for x in parallel(range(n)):
                    elsewhere = os.getpid() != self.home
                    rows.append((self.power_of(x), elsewhere))
                return rows, x, elsewhere
        rows, x, elsewhere = Table().rows(30)
        print(rows == [(i * i, True) for i in range(30)], x, elsewhere)
        """,
    "class method": """
        import os
        from allcores import parallel
        class Table:
            home = os.getpid()
            @classmethod
            def rows(cls, n):
                rows = []
                for x in parallel(range(n)):
                    elsewhere = os.getpid() != cls.home
                    rows.append((x * x, elsewhere))
                return rows, x, elsewhere
        rows, x, elsewhere = Table.rows(30)
        print(rows == [(i * i, True) for i in range(30)], x, elsewhere)
        """,
    "nested function": """
        import os
        from allcores import parallel
        def outer(n):
            home, power = os.getpid(), 2
            def inner():
                rows = []
                for x in parallel(range(n)):
                    elsewhere = os.getpid() != home
                    rows.append((x ** power, elsewhere))
                return rows, x, elsewhere
            return inner()
        rows, x, elsewhere = outer(30)
        print(rows == [(i * i, True) for i in range(30)], x, elsewhere)
        """,
    "decorated function": """
        import functools, os
        from allcores import parallel
        def plain(f):
            @functools.wraps(f)
            def call(*args):
                return f(*args)
            return call
        @plain
        def go(n):
            home, rows = os.getpid(), []
            for x in parallel(range(n)):
                elsewhere = os.getpid() != home
                rows.append((x * x, elsewhere))
            return rows, x, elsewhere
        rows, x, elsewhere = go(30)
        print(rows == [(i * i, True) for i in range(30)], x, elsewhere)
        """,
    "under another name": """
        import os
        import allcores as ac
        home, rows = os.getpid(), []
        for x in ac.parallel(range(30)):
            elsewhere = os.getpid() != home
            rows.append((x * x, elsewhere))
        print(rows == [(i * i, True) for i in range(30)], x, elsewhere)
        """,
    "over several lines": """
        import os
        from allcores import parallel
        home, rows = os.getpid(), []
        for x in parallel(
            range(30),
            workers=2,
        ):
            elsewhere = os.getpid() != home
            rows.append(
                (x * x, elsewhere)
            )
        print(rows == [(i * i, True) for i in range(30)], x, elsewhere)
        """,
    "made beforehand": """
        import os
        from allcores import parallel
        home, rows = os.getpid(), []
        items = parallel(range(30))
        for x in items:
            elsewhere = os.getpid() != home
            rows.append((x * x, elsewhere))
        print(rows == [(i * i, True) for i in range(30)], x, elsewhere)
        """,
    "with and try around": """
        import contextlib, os
        from allcores import parallel
        def go(n):
            home, rows = os.getpid(), []
            with contextlib.nullcontext():
                try:
                    for x in parallel(range(n)):
                        elsewhere = os.getpid() != home
                        rows.append((x * x, elsewhere))
                finally:
                    print(end="")
            return rows, x, elsewhere
        rows, x, elsewhere = go(30)
        print(rows == [(i * i, True) for i in range(30)], x, elsewhere)
        """,
}


@pytest.mark.parametrize("place", PLACES)
def test_places_in_a_script(tmp_path: Path, place: str) -> None:
    write(tmp_path, "script.py", PLACES[place])
    assert python(tmp_path, "script.py") == (0, "True 29 True\n", "")


@pytest.mark.parametrize("place", ["module level", "method", "nested function"])
def test_places_in_a_module_run_by_name(tmp_path: Path, place: str) -> None:
    write(tmp_path, "box/__init__.py", "")
    write(tmp_path, "box/tool.py", PLACES[place])
    assert python(tmp_path, "-m", "box.tool") == (0, "True 29 True\n", "")


@pytest.mark.parametrize("place", ["module level", "method", "nested function"])
def test_places_in_an_imported_module(tmp_path: Path, place: str) -> None:
    write(tmp_path, "tool.py", PLACES[place])
    write(tmp_path, "script.py", "import tool\n")
    assert python(tmp_path, "script.py") == (0, "True 29 True\n", "")


def test_a_package_in_a_zip_file(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "box.zip", "w") as box:
        box.writestr("tool.py", textwrap.dedent(PLACES["function"]))
    ours = python(tmp_path, "-c", "import tool", PYTHONPATH="box.zip")
    assert (ours.code, ours.err) == (0, "")
    assert ours.out == "True 29 True\n"


@pytest.mark.parametrize("how", ["-c", "-"])
def test_a_program_without_a_file_comes_out_the_same(tmp_path: Path, how: str) -> None:
    """Its text cannot always be read: then the loop is serial, and a warning says so."""
    source = "from allcores import parallel\nout = []\n"
    source += "for x in parallel(range(9)):\n    out.append(x * x)\n\nprint(out)\n"
    ours = python(tmp_path, *([how, source] if how == "-c" else [how]), stdin=source)
    assert (ours.code, ours.out) == (0, f"{[i * i for i in range(9)]}\n")
    assert "Traceback" not in ours.err
    assert ours.err == "" or "ParallelWarning" in ours.err


@pytest.mark.parametrize("flags", ["-O", "-OO", "-B", "-I", "-Xdev", "-Werror"])
def test_flags_of_python(tmp_path: Path, flags: str) -> None:
    write(tmp_path, "script.py", MODULE_LEVEL)
    assert python(tmp_path, flags, "script.py") == (0, "True 29 True\n", "")


def test_output_comes_in_order_in_a_pipe(tmp_path: Path) -> None:
    source = """
        import sys
        from allcores import parallel
        print("before")
        for x in parallel(range(50)):
            print("line", x)
            sys.stderr.write(f"{x}\\n")
        print("after")
        """
    write(tmp_path, "script.py", source)
    lines = ["before", *(f"line {i}" for i in range(50)), "after", ""]
    expected = (0, "\n".join(lines), "".join(f"{i}\n" for i in range(50)))
    assert python(tmp_path, "script.py") == expected


# -- IPython


def ipython(directory: Path, *args: str) -> Outcome:
    pytest.importorskip("IPython")
    flags = "--no-banner --no-confirm-exit --colors=NoColor --HistoryManager.enabled=False".split()
    return python(directory, "-m", "IPython", *flags, *args)


@pytest.mark.parametrize("place", ["module level", "function", "method"])
def test_a_script_in_ipython(tmp_path: Path, place: str) -> None:
    write(tmp_path, "script.py", PLACES[place])
    ours = ipython(tmp_path, "script.py")
    assert ours.out.splitlines()[-1:] == ["True 29 True"]
    assert "Warning" not in ours.err


@pytest.mark.parametrize("place", ["module level", "function", "method"])
def test_a_cell_in_ipython(tmp_path: Path, place: str) -> None:
    ours = ipython(tmp_path, "-c", textwrap.dedent(PLACES[place]).strip())
    assert "True 29 True" in ours.out.splitlines()
    assert "Warning" not in ours.out + ours.err


@pytest.mark.parametrize("magic", ["%time", "%%time", "%%time with a value", "%run"])
def test_magic(tmp_path: Path, magic: str) -> None:
    write(tmp_path, "script.py", MODULE_LEVEL)
    cell = {
        "%time": textwrap.dedent(PLACES["function"]).strip() + "\n%time out = go(3)",
        "%%time": "%%time\n" + textwrap.dedent(MODULE_LEVEL).strip(),
        "%%time with a value": "%%time\n" + textwrap.dedent(MODULE_LEVEL).strip() + "\n1 + 1",
        "%run": "%run script.py",
    }[magic]
    ours = ipython(tmp_path, "-c", cell)
    assert "True 29 True" in ours.out
    assert "Warning" not in ours.out + ours.err


# -- Jupyter


def notebook(directory: Path, *cells: str) -> list[list[Any]]:
    """The outputs of each cell, run in a kernel of this very Python."""
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    from jupyter_client.manager import AsyncKernelManager

    class Here(AsyncKernelManager):
        def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
            return [sys.executable, "-m", "ipykernel_launcher", "-f", self.connection_file]

    book = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(textwrap.dedent(c).strip()) for c in cells]
    )
    variables = {**ENVIRONMENT, "IPYTHONDIR": str(directory / ".ipython")}
    client = nbclient.NotebookClient(
        book,
        timeout=60,
        kernel_manager_class=Here,
        allow_errors=True,
        resources={"metadata": {"path": str(directory)}},
    )
    client.execute(env={**os.environ, **variables})
    return [cell.outputs for cell in book.cells]


def text(outputs: list[Any], stream: str = "stdout") -> str:
    return "".join(o.text for o in outputs if o.output_type == "stream" and o.name == stream)


def test_a_jupyter_notebook(tmp_path: Path) -> None:
    prints = """
        for x in parallel(range(30)):
            y = x * x
            print("line", y)
        """
    fails = """
        for x in parallel(range(30)):
            print(10 // (5 - x))
        """
    forward = "print(y, x)"
    cells = (MODULE_LEVEL, prints, forward, fails, PLACES["method"], MODULE_LEVEL)
    first, printed, after, failed, method, again = notebook(tmp_path, *cells)
    for outputs in (first, printed, after, failed, method, again):
        assert text(outputs, "stderr") == ""
    assert text(first) == text(method) == text(again) == "True 29 True\n"
    assert text(printed) == "".join(f"line {i * i}\n" for i in range(30))
    assert text(after) == "841 29\n"
    assert text(failed) == "".join(f"{10 // (5 - i)}\n" for i in range(5))
    [error] = [o for o in failed if o.output_type == "error"]
    assert error.ename == "ZeroDivisionError"
    assert "iteration 5 of" in "\n".join(error.traceback)


# -- progress bars


@pytest.mark.parametrize("kind", ["range(40)", "list(range(40))", "(i for i in range(40))"])
def test_a_progress_bar_inside(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("tqdm")
    source = f"""
        from allcores import parallel
        from tqdm import tqdm
        out = []
        for x in parallel(tqdm({kind}, desc="loop")):
            out.append(x * x)
        print(out == [i * i for i in range(40)], x)
        """
    write(tmp_path, "script.py", source)
    ours = python(tmp_path, "script.py")
    assert (ours.code, ours.out) == (0, "True 39\n")
    assert "loop: " in ours.err
    assert "40" in ours.err
    assert "Traceback" not in ours.err
    assert "Warning" not in ours.err


def test_a_progress_bar_inside_goes_to_workers_twice_in_a_row(tmp_path: Path) -> None:
    pytest.importorskip("tqdm")
    source = """
        import os
        from allcores import parallel
        from tqdm import tqdm
        for _ in range(2):
            home, out = os.getpid(), []
            for x in parallel(tqdm(range(40))):
                out.append(os.getpid() != home)
            print(all(out), len(out))
        """
    write(tmp_path, "script.py", source)
    ours = python(tmp_path, "script.py")
    assert (ours.code, ours.out) == (0, "True 40\nTrue 40\n")
    assert "Warning" not in ours.err


@pytest.mark.parametrize("module", ["tqdm", "tqdm.auto", "tqdm.std"])
def test_a_progress_bar_where_a_caller_catches_what_is_raised(tmp_path: Path, module: str) -> None:
    pytest.importorskip("tqdm")
    source = f"""
        import os
        from allcores import parallel
        from {module} import tqdm
        home, out = os.getpid(), []
        try:
            for x in parallel(tqdm(range(40))):
                out.append(os.getpid() != home)
        except ValueError:
            pass
        print(all(out), len(out))
        """
    write(tmp_path, "script.py", source)
    ours = python(tmp_path, "script.py")
    assert (ours.code, ours.out) == (0, "True 40\n")
    assert "ParallelWarning" not in ours.err


@pytest.mark.parametrize(
    ("before", "over", "then", "in_workers"),
    [
        ("pipe = Pipe()", "pipe", "next(pipe.it)", 0),
        ("Keeper.kept = Pipe()", "Keeper.kept", "next(Keeper.kept.it)", 0),
        ("kept = [Pipe()]", "kept[0]", "next(kept[0].it)", 0),
        ("pipe = Pipe(); kept = lambda: pipe.it", "pipe", "next(kept())", 0),
        ("pipe = Pipe(); it = pipe.it", "pipe", "next(it)", 0),
        ("pass", "Pipe()", "4", 3),
    ],
)
def test_what_can_be_looked_at_after_an_exception_is_not_read_ahead(
    tmp_path: Path, before: str, over: str, then: str, in_workers: int
) -> None:
    source = f"""
        class Keeper: pass
        class Pipe:
            def __init__(self):
                self.it = iter(range(40))
            def __iter__(self):
                yield from self.it
        from allcores import parallel
        import allcores.loop
        workers = []
        allcores.loop.listeners.append(lambda report: workers.append(report.in_workers))
        def main():
            {before}
            try:
                for x in parallel({over}):
                    if x == 3:
                        raise LookupError
            except LookupError:
                pass
            print(x, {then}, sum(workers))
        main()
        """
    write(tmp_path, "script.py", source)
    ours = python(tmp_path, "script.py")
    assert (ours.code, ours.out) == (0, f"3 4 {in_workers}\n"), ours.err


def test_a_progress_bar_outside_gives_the_right_result(tmp_path: Path) -> None:
    pytest.importorskip("tqdm")
    source = """
        from allcores import parallel
        from tqdm import tqdm
        out = []
        for x in tqdm(parallel(range(40))):
            out.append(x * x)
        print(out == [i * i for i in range(40)], x)
        """
    write(tmp_path, "script.py", source)
    ours = python(tmp_path, "script.py")
    assert (ours.code, ours.out) == (0, "True 39\n")
    assert "ParallelWarning" in ours.err
