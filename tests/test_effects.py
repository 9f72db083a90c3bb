"""Every line of `plan/effects.txt` is held against the real library: called, and compared."""

from __future__ import annotations

import faulthandler
import gc
import importlib
import importlib.util
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from allcores.plan import table
from tests import effects_examples as ex

SECTIONS = table.sections()
RAISES = (StopIteration, GeneratorExit)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def real(name: str) -> Any:
    """The object of a full name; the test is skipped where its library is missing."""
    parts = name.split(".")
    for k in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:k]))
        except ModuleNotFoundError as error:
            if k == 1:
                pytest.skip(f"{error.name} is not installed")
            continue
        for attr in parts[k:]:
            if not hasattr(found, attr):
                pytest.skip(f"{name} is not in this version")
            found = getattr(found, attr)
        return found
    raise AssertionError(name)


def look(obj: Any) -> Any:
    """How an object of any kind looks."""
    if hasattr(obj, "getvalue"):
        return obj.getvalue()
    if type(obj).__module__ == "numpy":
        return obj.tobytes()
    if type(obj).__name__.startswith("c_char_Array"):
        return obj.raw
    if hasattr(obj, "__length_hint__"):
        return obj.__length_hint__()
    if hasattr(obj, "to_csv"):
        return obj.to_csv()
    return pickle.dumps(obj)


def call(kind: ex.Kind, obj: Any, method: str) -> None:
    """Call a method as the example says."""
    function = getattr(obj, method)
    args = kind.args.get(method, ex.given())()
    try:
        function(*args)
    except RAISES:
        pass


def an_object(kind: ex.Kind, name: str, method: str) -> Any:
    """One of a type that is in the table, ready for the method to be called."""
    try:
        obj = kind.make()
    except ModuleNotFoundError as error:
        pytest.skip(f"{error.name} is not installed")
    names = [table.full_name(c) for c in type(obj).__mro__]
    if name not in names:
        assert set(names) & set(SECTIONS["changes its object"]), names
        pytest.skip(f"it is {names[0]} in this version")
    if method in kind.left_out:
        pytest.skip(kind.left_out[method])
    if not hasattr(obj, method):
        pytest.skip(f"{method} is not in this version")
    if method in kind.first:
        kind.first[method](obj)
    return obj


def all_rows(section: str) -> list[str]:
    return sorted(name for names in SECTIONS[section].values() for name in names)


ROWS = [
    f"{kind} {method}"
    for kind, methods in SECTIONS["changes its object"].items()
    for method in sorted(methods)
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("row", ROWS)
def test_what_is_said_to_change_its_object_does(row: str) -> None:
    name, method = row.split()
    kind = ex.KINDS[name]
    made = an_object(kind, name, method)
    before = kind.look(made)
    obj = an_object(kind, name, method)
    call(kind, obj, method)
    after = kind.look(obj)
    assert before != after, f"{row}: nothing changed"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ex.EVERY_METHOD)
def test_every_other_method_leaves_its_object(name: str) -> None:
    kind = ex.KINDS[name]
    cls = real(name.split()[0])
    changed = []
    for method in dir(cls):
        if method.startswith("_") or table.changes_its_object(cls, method):
            continue
        if method in kind.left_out:
            continue
        obj = kind.make()
        if not callable(getattr(obj, method)):
            continue
        before = kind.look(obj)
        call(kind, obj, method)
        if kind.look(obj) != before:
            changed.append(method)
    assert not changed, f"the table has no line for these, and they change a {name}"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(table.by_position("changes an argument")))
def test_what_is_said_to_change_an_argument_does(name: str) -> None:
    positions = table.by_position("changes an argument")[name]
    function, args = real(name), ex.ARGUMENTS[name]()
    before = [look(args[k]) for k in positions]
    function(*args)
    assert all(look(args[k]) != b for k, b in zip(positions, before, strict=True)), args


@pytest.mark.parametrize("name", sorted(table.by_position("a method changes an argument")))
def test_what_methods_are_said_to_change_they_do(name: str) -> None:
    make, give = ex.METHOD_ARGUMENTS[name]
    obj, args = make(), give()
    before = look(args[0])
    getattr(obj, name)(*args)
    assert look(args[0]) != before


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(table.by_name("a keyword names what is changed")))
def test_what_keywords_name_is_changed(name: str) -> None:
    for example in ex.KEYWORDS[name]:
        try:
            changed, _ = example()
        except ModuleNotFoundError as error:
            pytest.skip(f"{error.name} is not installed")
        fresh = {"inplace": ex.frame, "overwrite_input": ex.big, "out": ex.big}.get(name)
        if fresh is not None:
            assert look(changed) != look(fresh())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(table.by_position("writes to its last argument")))
def test_the_last_argument_is_written_to(name: str) -> None:
    [count] = table.by_position("writes to its last argument")[name]
    function = real(name)
    inputs = ex.LAST_INPUTS.get(name, lambda: (ex.big(),) * count)()
    assert len(inputs) == count
    before = [look(a) for a in inputs if hasattr(a, "tobytes")]
    result = function(*inputs)
    assert [look(a) for a in inputs if hasattr(a, "tobytes")] == before
    results = result if isinstance(result, tuple) else (result,)
    outs = [(r * 0 - 7).astype(r.dtype) if r.dtype != bool else ~r for r in results]
    held = [look(o) for o in outs]
    function(*inputs, *outs)
    assert [look(o) for o in outs] != held


def in_child(work: Callable[[], bool]) -> str:
    """What becomes of a child that does this: "yes", "no", or how it ended."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            # A call that does not come back says nothing, and that is an answer, too.
            said = b"y" if work() else b"n"
            os.write(writer, said)
        except ImportError:
            os.write(writer, b"s")
        except BaseException:
            os._exit(4)
        os._exit(0)
    os.close(writer)
    _, status = os.waitpid(pid, 0)
    said = os.read(reader, 9)
    os.close(reader)
    if b"s" in said:
        pytest.skip("what it needs is not installed")
    return {b"": f"ended with {status}", b"n": "no"}.get(said, "yes")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", all_rows("sets something of this process") + all_rows("acts on this process")
)
def test_what_is_said_to_change_this_process_does(name: str) -> None:
    real(name)
    act, probe = ex.PROCESS[name]

    def seen() -> str:
        return repr(eval(probe, {**vars(ex), **MODULES}))

    def work() -> bool:
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 2)
        gc.disable() if name == "gc.enable" else gc.enable()
        faulthandler.disable()
        if name in FIRST:
            FIRST[name]()
        before = seen()
        act()
        return seen() != before

    assert in_child(work) != "no", f"{name} changed nothing"


MODULES = {
    name: importlib.import_module(name)
    for name in """os sys locale decimal socket csv gc logging warnings faulthandler threading copyreg
    codecs atexit signal sqlite3 time tracemalloc multiprocessing""".split()
}
FIRST: dict[str, Callable[[], object]] = {
    "faulthandler.disable": lambda: faulthandler.enable(open("example", "w")),
    "tracemalloc.stop": lambda: MODULES["tracemalloc"].start(),
    "gc.unfreeze": gc.freeze,
    "codecs.unregister": lambda: MODULES["codecs"].register(ex.a_codec),
}
"""What there has to be, that there is something to change."""
for _name in ("numpy", "pandas", "matplotlib"):
    if importlib.util.find_spec(_name) is not None:
        MODULES[_name] = importlib.import_module(_name)


@pytest.mark.parametrize("name", sorted(table.by_position("changes files")))
def test_files_are_changed(name: str) -> None:
    Path("old").write_text("inside")
    Path("odd").write_text("odd")
    os.chmod("odd", 0o444)
    os.utime("odd", (77, 77))
    os.mkdir("folder")
    if name == "shutil.rmtree":
        Path("folder/x").write_text("x")
    args = ex.FILES[name]()
    named = [args[k] for k in table.by_position("changes files")[name]]
    before = [state(p) for p in named]
    real(name)(*args)
    assert all(state(p) != b for p, b in zip(named, before, strict=True))


def state(path: str) -> Any:
    """What there is at a path, and what is known of it."""
    if not os.path.lexists(path):
        return None
    known = os.lstat(path)
    return known.st_mode, known.st_size, known.st_mtime_ns, known.st_ino


@pytest.mark.parametrize("name", all_rows("gives something that all share"))
def test_there_is_only_one(name: str) -> None:
    if name == "asyncio.get_event_loop":
        pytest.skip("there is one only while it runs")
    given = ["string"] if name == "importlib.import_module" else []
    assert real(name)(*given) is real(name)(*given)


@pytest.mark.parametrize("name", all_rows("gives part of an argument"))
def test_a_part_of_the_argument_is_given(name: str) -> None:
    function = real(name)
    if name == "numpy.lib.stride_tricks.as_strided" or name.startswith("numpy.atleast"):
        a = ex.big()
    else:
        a = ex.numbers() + (1j if name == "numpy.imag" else 0)
    if name == "numpy.frombuffer":
        given: Any = bytearray(16)
        assert function(given).base is not None
        return
    result = ex.PARTS.get(name, function)(a)
    assert ex.numpy().may_share_memory(result, a)


@pytest.mark.parametrize("name", all_rows("a method gives part of its object"))
def test_a_part_of_the_object_is_given(name: str) -> None:
    if name == "setdefault":
        part: list[int] = []
        assert {"a": part}.setdefault("a") is part
        return
    a = ex.numbers() + (1j if name == "imag" else 0)
    found = getattr(a, name)
    result = found(*ex.METHOD_PARTS.get(name, ())) if callable(found) else found
    assert ex.numpy().may_share_memory(result.base if name == "flat" else result, a)


@pytest.mark.parametrize("name", all_rows("gives a copy of everything"))
def test_a_copy_shares_nothing(name: str) -> None:
    of, made = ex.COPIES[name]()
    real(name)

    def parts(obj: Any) -> Iterator[Any]:
        if isinstance(obj, (list, dict)):
            yield obj
            for part in obj.values() if isinstance(obj, dict) else obj:
                yield from parts(part)

    assert not {id(p) for p in parts(of)} & {id(p) for p in parts(made)}


def test_names_of_draws_are_methods_of_generators() -> None:
    np = pytest.importorskip("numpy")
    kinds = (ex.random.Random, np.random.Generator, np.random.RandomState)
    known = {name for kind in kinds for name in dir(kind)} | {"random_integers", "tomaxint", "ranf"}
    assert table.words("draws") <= known


def test_every_line_has_an_example() -> None:
    """And every example a line."""
    assert set(SECTIONS["changes its object"]) <= set(ex.KINDS)
    assert set(ex.KINDS) <= {*SECTIONS["changes its object"], *ex.EVERY_METHOD}
    assert {name.split()[0] for name in ex.EVERY_METHOD} == table.words("is told in full")
    assert set(all_rows("changes an argument")) == set(ex.ARGUMENTS)
    process = all_rows("sets something of this process") + all_rows("acts on this process")
    assert set(process) == set(ex.PROCESS)
    assert set(all_rows("changes files")) == set(ex.FILES)
    assert set(all_rows("gives a copy of everything")) == set(ex.COPIES)


def test_harmless_functions_change_nothing() -> None:
    for name in all_rows("changes nothing"):
        function = real(name)
        function(*((0,) if name == "time.sleep" else ()))


def test_importing_reads_no_table() -> None:
    code = "import sys, allcores; from allcores.plan import table; print(table.sections.cache_info().misses)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
