"""`allcores run` beside plain python: the same bytes on stdout and stderr, the same exit."""

from __future__ import annotations

import os
import pickle
import re
import signal
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

import cloudpickle
import pytest

from allcores.rewrite import Detour, parallel_code

COMMAND = Path(sys.executable).with_name("allcores")


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


def python(*args: str, cwd: Path, stdin: str = "", **variables: str) -> Outcome:
    done = subprocess.run(
        [sys.executable, *args],
        cwd=cwd,
        input=stdin.encode(),
        capture_output=True,
        env={**os.environ, **variables},
        timeout=60,
    )
    texts = (re.sub(r"at 0x\w+", "at 0x", each.decode()) for each in (done.stdout, done.stderr))
    return Outcome(done.returncode, *texts)


def both_ways(
    directory: Path, source: str | bytes, *args: str, flags: tuple[str, ...] = (), **more: str
) -> Outcome:
    """Run the source as plain python and under allcores; check that nothing differs."""
    text = textwrap.dedent(source).encode() if isinstance(source, str) else source
    (directory / "program.py").write_bytes(text)
    plain = python(*flags, "program.py", *args, cwd=directory, **more)
    ours = python(
        *flags, *"-m allcores run --quiet program.py".split(), *args, cwd=directory, **more
    )
    assert ours == plain
    return plain


PROGRAMS = {
    "the names of __main__": """
        import sys, __main__
        print(list(globals()), __name__, __file__, __spec__, __package__, __cached__, __doc__)
        print(type(__loader__), __loader__.name, __loader__.path, __builtins__, __annotations__)
        print(__main__ is sys.modules["__main__"], vars(__main__) is globals())
        print(sys.argv, sys.path[0], len(sys.path))
        for name in ("a", "b"):
            pass
        print(dir())
        """,
    "docstring and future": '''
        """Docstring."""
        from __future__ import annotations
        def f(x: not_a_name) -> None: ...
        for x in [1, 2]:
            y: also_not = x
        print(__doc__, f.__annotations__, __annotations__)
        ''',
    "exception deep in loops": """
        def f(x):
            for y in [1, 0]:
                z = x / y
            return z

        class C:
            def method(self):
                for x in range(3): f(
                    x)

        for c in [C()]:
            c.method()
        """,
    "chained exceptions": """
        for x in [1]:
            try:
                for y in {}["missing"]:
                    pass
            except KeyError as error:
                try:
                    for z in None:
                        pass
                except TypeError as another:
                    raise ValueError("third") from error
        """,
    "exception group": """
        errors = []
        for x in "ab":
            try:
                int(x)
            except ValueError as error:
                error.add_note(f"it was {x}")
                errors.append(error)
        raise ExceptionGroup("both", errors)
        """,
    "not iterable": """
        for x in 5:
            print(x)
        """,
    "not iterable, on several lines": """
        def f():
            for x in (
                [1, 2],
                5,
            )[
                1
            ]:
                print(x)
        f()
        """,
    "iterator that raises": """
        def numbers():
            yield 1
            raise ValueError("no more")
        for x in numbers():
            print(x)
        """,
    "iterable that raises": """
        class Odd:
            def __iter__(self):
                raise RuntimeError("odd")
        for x in \\
                Odd():
            print(x)
        """,
    "iterator with another error in its context": """
        def numbers():
            yield 1
            try:
                1 / 0
            finally:
                {}["x"]
        try:
            for x in numbers():
                print(x)
        except KeyError:
            for y in numbers():
                pass
        """,
    "recursion without end": """
        def f(n):
            return f(n + 1)
        f(0)
        """,
    "recursion as deep as it goes": """
        import sys
        def f(n):
            return n if n == 0 else f(n - 1)
        print(f(sys.getrecursionlimit() // 2))
        """,
    "exit with a number": """
        import sys
        for x in range(5):
            if x == 3: sys.exit(x)
        """,
    "exit with text": """
        import sys
        for x in range(5):
            if x == 3: sys.exit("it is three")
        """,
    "exit with nothing": "import sys; sys.exit()",
    "exit with a tuple": "raise SystemExit((1, 2))",
    "exit with minus one": "raise SystemExit(-1)",
    "exit at once": """
        import os
        print("lost", end="")
        os._exit(7)
        """,
    "killed": """
        import os, signal
        print("flushed", flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
        """,
    "interrupted": """
        import atexit, os, signal
        atexit.register(print, "cleaned up")
        for x in range(3):
            print(x)
            if x == 1: os.kill(os.getpid(), signal.SIGINT)
        """,
    "interrupted and caught": """
        try:
            for x in range(3):
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            print("caught")
        """,
    "own kind of interrupt": """
        class Stop(KeyboardInterrupt): pass
        raise Stop("own")
        """,
    "syntax error while running": """
        for text in ["x = = 1"]:
            exec(text)
        """,
    "excepthook": """
        import sys, traceback
        def hook(kind, value, tb):
            print("hook", kind, value, traceback.format_tb(tb), sys.exc_info())
        sys.excepthook = hook
        for x in [0]:
            1 / x
        """,
    "excepthook that fails": """
        import sys
        def hook(kind, value, tb):
            raise RuntimeError("hook")
        sys.excepthook = hook
        1 / 0
        """,
    "excepthook that exits": """
        import sys
        sys.excepthook = lambda *all: sys.exit(9)
        1 / 0
        """,
    "no excepthook": """
        import sys
        del sys.excepthook
        1 / 0
        """,
    "last exception": """
        import atexit, sys, traceback
        def at_exit():
            print(sys.last_type, sys.last_value, traceback.format_tb(sys.last_traceback))
            print(getattr(sys, "last_exc", sys.last_value) is sys.last_value)
        atexit.register(at_exit)
        1 / 0
        """,
    "order at the end": """
        import atexit, threading
        class Gone:
            def __del__(self): print("gone")
        gone = Gone()
        go = threading.Event()
        def late():
            go.wait()
            print("thread")
        atexit.register(print, "first registered")
        atexit.register(print, "second registered")
        threading.Thread(target=late).start()
        threading.Timer(0.05, go.set).start()
        print("end of main")
        """,
    "error in a thread": """
        import threading
        def work():
            for x in [0]: 1 / x
        threading.excepthook = lambda args: print(args.exc_type, args.exc_value)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        """,
    "error in __del__ at the end": """
        class Bad:
            def __del__(self): raise ValueError("too late")
        for x in [1]:
            bad = Bad()
        del bad
        """,
    "warnings": r"""
        import warnings
        text = "\d"
        for x in [1, 1]:
            warnings.warn("user", UserWarning)
            warnings.warn("deprecated", DeprecationWarning)
            warnings.warn("pending", PendingDeprecationWarning)
            if x is 1: pass
        def old(): warnings.warn("old", DeprecationWarning, stacklevel=2)
        for x in [1, 2]:
            old()
        """,
    "latin-1": b"# -*- coding: latin-1 -*-\nfor c in '\xe9':\n    print(ascii(c))\n1/0 # \xe9\n",
    "BOM and CRLF": b"\xef\xbb\xbffor x in [1]:\r\n    print(x)\r\n    text = '''a\r\nb'''\r\n"
    b"print(ascii(text))\r\n1/0\r\n",
    "form feed and tabs": b"\x0cfor x in [1]:\n\tif x:\n\t\tprint(x)\n\x0c\n1/0\n",
    "empty": b"",
    "no line end": b"for x in [1]: print(x)",
    "pickling of its own classes": """
        import pickle
        class Point:
            def __init__(self, x): self.x = x
        points = []
        for x in range(3):
            points.append(Point(x))
        for point in pickle.loads(pickle.dumps(points)):
            print(type(point), type(point) is Point, point.x)
        """,
    "other processes": """
        import multiprocessing
        def square(x):
            total = 0
            for y in range(x): total += x
            return total
        if __name__ == "__main__":
            for method in ("fork", "spawn"):
                with multiprocessing.get_context(method).Pool(1) as pool:
                    print(pool.map(square, [1, 2, 3]))
        """,
    "what is printed and written": """
        import sys
        for x in range(3):
            print(x)
            print(x, file=sys.stderr)
        sys.stdout.write("no line end")
        """,
    "source and stack": """
        import inspect, linecache, traceback
        def f():
            for x in [1]:
                pass
        print(inspect.getsource(f), f.__code__.co_filename, f.__code__.co_firstlineno)
        print(linecache.getline(__file__, 2))
        try:
            for x in [0]: 1 / x
        except ZeroDivisionError:
            traceback.print_exc()
        """,
    "reads its input": """
        for x in range(2):
            print(input("? "))
        for x in range(2):
            print(input("? "))
        """,
    "async": """
        import asyncio
        async def numbers():
            for x in range(3):
                yield x
        async def main():
            async for x in numbers():
                for y in range(x):
                    await asyncio.sleep(0)
                    print(x, y)
        asyncio.run(main())
        """,
    "loops in odd places": """
        class C:
            for x in range(3):
                locals()[f"name{x}"] = x
            else:
                done = True
        print(sorted(name for name in vars(C) if name[0] != "_"))
        f = lambda: [x for x in range(3)]
        def generator():
            for x in range(3):
                received = yield x
                for y in range(2):
                    yield from (x, y)
        print(f(), list(generator()))
        def outer():
            total = 0
            def inner():
                nonlocal total
                for x in range(3):
                    total += x
            inner()
            return total
        print(outer())
        for c in "abc": print(c)
        for c in "abc", 1, 2.0, None, ..., b"x": print(c)
        for x in range(3):
            if x == 1: break
        else:
            print("not printed")
        """,
    "functions sent elsewhere": """
        import copy, types
        def f():
            total = []
            for x in range(3):
                total.append(x * 2)
            return total
        g = types.FunctionType(f.__code__, {"range": range})
        print(g(), copy.deepcopy(f)(), hash(f.__code__) == hash(g.__code__))
        """,
    "expressions too deep for a tree of objects": f"""
        for x in [1]:
            print(x{" + x" * 1200})
        for x in [1]:
            print({"-" * 1500}x)
        """,
    "broken pipe": """
        import os, sys
        read, write = os.pipe()
        os.close(read)
        os.dup2(write, 1)
        for x in range(3):
            print(x)
        """,
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_as_plain_python(program: str | bytes, tmp_path: Path) -> None:
    both_ways(tmp_path, program, "one", "--two", "--", "-m")


def test_exit_by_signal(tmp_path: Path) -> None:
    outcome = both_ways(tmp_path, PROGRAMS["interrupted"])
    assert outcome.code == -signal.SIGINT
    assert outcome.out == "0\n1\ncleaned up\n"


def test_flags_of_the_interpreter(tmp_path: Path) -> None:
    program = """
        import sys, warnings
        assert len(sys.argv) == 1
        print(__debug__, sys.flags.optimize, sys.flags.safe_path, sys.path[:2])
        for x in [1]:
            warnings.warn("here")
        """
    for flags in ("-O",), ("-OO",), ("-W", "error"), ("-X", "dev"), ("-B",):
        both_ways(tmp_path, program, flags=flags)


def test_safe_path_puts_nothing_first(tmp_path: Path) -> None:
    source = "import sys; print(sys.path[0])"
    outcome = both_ways(tmp_path, source, flags=("-P",))
    assert str(tmp_path) not in outcome.out


def test_assertions_are_left_out_with_optimize(tmp_path: Path) -> None:
    outcome = both_ways(tmp_path, "for x in [1]:\n    assert not x\n", flags=("-O",))
    assert outcome.code == 0


def as_module(directory: Path, *args: str, **more: str) -> Outcome:
    """Run `-m ARGS` both ways; check that nothing differs."""
    plain = python("-m", *args, cwd=directory, **more)
    ours = python(*"-m allcores run --quiet -m".split(), *args, cwd=directory, **more)
    assert ours == plain
    return plain


SHOWING = """
import sys
print(__name__, __file__, __package__, __spec__.name, __cached__, list(globals()))
print(sys.argv, sys.path[0], sys.modules["__main__"].__dict__ is globals())
for x in [1, 0]:
    print(1 / x)
"""


def test_modules(tmp_path: Path) -> None:
    package = tmp_path / "package"
    (package / "inner").mkdir(parents=True)
    for path in ("alone.py", "package/__main__.py", "package/inner/module.py"):
        (tmp_path / path).write_text(SHOWING)
    (package / "__init__.py").write_text("for x in range(2): print(x, __name__)\n")
    for name in ("alone", "package", "package.inner.module"):
        outcome = as_module(tmp_path, name, "--workers", "-m", "x")
        assert outcome.code == 1
        assert "ZeroDivisionError" in outcome.err


def test_module_recursion_and_interrupt(tmp_path: Path) -> None:
    (tmp_path / "deep.py").write_text("def f(n): return f(n + 1)\nf(0)\n")
    (tmp_path / "interrupt.py").write_text("for x in [1]:\n    raise KeyboardInterrupt\n")
    as_module(tmp_path, "deep")
    as_module(tmp_path, "interrupt")


@pytest.mark.parametrize("archive", [False, True], ids=["directory", "archive"])
def test_directories_and_archives(archive: bool, tmp_path: Path) -> None:
    if archive:
        with zipfile.ZipFile(tmp_path / "app", "w") as file:
            file.writestr("__main__.py", SHOWING)
    else:
        (tmp_path / "app").mkdir()
        (tmp_path / "app" / "__main__.py").write_text(SHOWING)
    plain = python("app", "a", cwd=tmp_path)
    assert plain.code == 1
    assert python(*"-m allcores run --quiet app a".split(), cwd=tmp_path) == plain


def test_script_elsewhere_by_another_name(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "helper.py").write_text("print('helped')")
    script = tmp_path / "real" / "no suffix"
    script.write_text("import sys, helper; print(sys.argv, sys.path[0], __file__)\n1/0")
    (tmp_path / "link.py").symlink_to(script)
    for path in ("link.py", "./real/../link.py", "real/no suffix", str(script)):
        plain = python(path, cwd=tmp_path)
        assert "helped" in plain.out
        assert python(*"-m allcores run --quiet".split(), path, cwd=tmp_path) == plain


def test_modules_of_the_scripts_own_with_names_of_ours(tmp_path: Path) -> None:
    for name in ("click", "ast", "queue", "atexit"):
        (tmp_path / f"{name}.py").write_text(f"print('the user has a {name}')")
    (tmp_path / "program.py").write_text(
        "import click, ast, queue, atexit\nfor x in [1]: print(x)\n"
    )
    plain = python("program.py", cwd=tmp_path)
    assert plain.out.count("the user has a") == 3
    assert python(str(COMMAND), "run", "--quiet", "program.py", cwd=tmp_path) == plain


def test_by_the_name_of_the_command(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("def f(x): return f(x)\nf(1)")
    plain = python("program.py", cwd=tmp_path)
    assert python(str(COMMAND), "run", "--quiet", "program.py", cwd=tmp_path) == plain


def test_include_makes_imported_modules_parallel(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside").mkdir()
    module = (
        "def f():\n    for x in [1, 2]:\n        yield x\n    for x in 'ab':\n        print(x)\n"
    )
    for path in ("inside/one.py", "inside/__init__.py", "outside/two.py", "outside/bad.py"):
        (tmp_path / path).write_text(module if "bad" not in path else "x = = 1\n")
    (tmp_path / "program.py").write_text(
        textwrap.dedent("""
        import inside, inside.one, outside.two, os, sys
        for module in inside, inside.one, outside.two:
            print(module.__name__, type(module.__loader__).__name__, list(module.f()))
            print(os.path.relpath(module.__file__), module.__loader__.get_source(module.__name__))
        import outside.bad
        """)
    )
    plain = python("program.py", cwd=tmp_path)
    ours = python(
        *"-m allcores run --quiet --include inside --include outside/bad.py program.py".split(),
        cwd=tmp_path,
    )
    assert "SyntaxError" in plain.err
    assert ours.err == plain.err
    assert re.findall(r"\w+Loader", ours.out) == [
        "ParallelLoader",
        "ParallelLoader",
        "SourceFileLoader",
    ]
    assert ours.out.replace("ParallelLoader", "SourceFileLoader") == plain.out


def test_functions_that_numba_compiles_are_left_alone() -> None:
    source = """
def plain(xs):
    for x in xs: print(x)
@numba.njit(parallel=True)
def decorated(xs):
    for x in xs: print(x)
def called(xs):
    for x in xs: print(x)
fast = jit(called)
"""
    code = parallel_code(source.encode(), "program.py", force=True)
    inner = {each.co_name: each for each in code.co_consts if isinstance(each, CodeType)}
    changed = [
        name
        for name, each in inner.items()
        if any(isinstance(const, Detour) for const in each.co_consts)
    ]
    assert changed == ["plain"]


def test_a_function_with_a_loop_can_be_sent_elsewhere() -> None:
    source = """
def f(xs):
    total = []
    for x in xs:
        total.append(x * x)
    return total
"""
    names: dict[str, Any] = {"__name__": "elsewhere"}
    exec(parallel_code(source.encode(), "program.py", force=True), names)
    assert any(isinstance(const, Detour) for const in names["f"].__code__.co_consts)
    assert pickle.loads(cloudpickle.dumps(names["f"]))([1, 2, 3]) == [1, 4, 9]


def test_tiny_loops_in_hot_places_stay_cheap() -> None:
    """What is looked at is the detour: it must hand back the very iterable, nearly always."""
    source = """
def f(n, wrap):
    total = 0
    for x in wrap(range(n)):
        total += x * x
    return total
"""
    names: dict[str, Any] = {"__name__": "hot"}
    exec(parallel_code(source.encode(), "hot.py"), names)
    (detour,) = (each for each in names["f"].__code__.co_consts if isinstance(each, Detour))
    for wrap in (range_itself, list, enumerate, lambda xs: zip(xs, xs)):
        detour._site.cost = 1e-7
        detour._unwatched = 0.0
        handed_back = 0
        for _ in range(1000):
            iterable = wrap(range(3))
            handed_back += detour.through(iterable) is iterable
        assert handed_back == 1000
        large = range(10**6)
        assert detour.through(large) is not large
        assert detour.through(wrap(range(3))) is not None
    strange = iter(lambda: 1, 1)
    assert detour.through(strange) is not strange


def test_after_a_while_tiny_loops_are_timed_again() -> None:
    names: dict[str, Any] = {"__name__": "hot"}
    exec(parallel_code(b"def f(xs):\n    for x in xs: print(x * x)\n", "hot.py"), names)
    (detour,) = (each for each in names["f"].__code__.co_consts if isinstance(each, Detour))
    detour._site.cost = 1e-5
    numbers = list(range(10))
    watched = [n for n in range(100) if detour.through(numbers) is not numbers]
    assert 5 <= len(watched) <= 20


def range_itself(numbers: range) -> range:
    return numbers


def test_names_that_a_called_function_imports_from_its_own_package(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "runtime.py").write_text(
        "class Missing: pass\ncalls = []\ndef noted(x):\n    calls.append(x)\n    return x\n"
    )
    (package / "loops.py").write_text(
        "def plain(x):\n    from .runtime import Missing\n    from . import runtime\n"
        "    return isinstance(x, Missing) or runtime.Missing is None or x * x\n"
        "def calling(x):\n    from .runtime import noted\n    return noted(x) * 2\n"
        "def run():\n    out = []\n"
        "    for x in range(6):\n        out.append(plain(x))\n"
        "    for x in range(6):\n        out.append(calling(x))\n"
        "    return out\n"
    )
    (tmp_path / "main.py").write_text(
        "from package import loops, runtime\nprint(loops.run(), runtime.calls)\n"
    )
    ours = python(
        *"-m allcores run --force --workers 2 --include package main.py".split(),
        cwd=tmp_path,
        ALLCORES_ON="fork",  # so few iterations are done before others are ready
    )
    assert ours.out == python("main.py", cwd=tmp_path).out
    assert ours.err.startswith("allcores: package/loops.py:10  6 iterations")
    assert ours.err.count("\n") == 1


def test_modules_that_hold_each_other(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("import package.one, package.two\n")
    (package / "one.py").write_text(
        "import package\nfrom package import two\nclass Item:\n"
        "    def __init__(self, n): self.n = n\n"
        "    def grow(self):\n        self.n += package.one.two.step()\n"
    )
    (package / "two.py").write_text(
        "import package\nfrom package import one, two\ndef step():\n    return package.two.one.two.UNIT\nUNIT = 2\n"
    )
    (tmp_path / "main.py").write_text(
        "import package\nfrom package import one, two\n"
        "items = [one.Item(n) for n in range(6)]\n"
        "for item in items:\n    item.grow()\nprint([item.n for item in items])\n"
    )
    ours = python(*"-m allcores run --force --quiet main.py".split(), cwd=tmp_path)
    assert (ours.out, ours.err) == ("[2, 3, 4, 5, 6, 7]\n", "")
