"""Whether a process can be forked: libraries with threads, Python's threads, and loops beside them.

Each loop that has `use` in it is run twice: in `multiprocessing`'s fork, where it may hang, and with
`parallel`, where it ends with what the plain loop gives.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
import textwrap
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from allcores.engine import library_threads, native_threads
from allcores.engine.failures import CannotFork
from allcores.engine.forkable import findings, ready_to_fork, why_not_forkable
from allcores.engine.thread_owners import OWNERS, owner_of
from tests.sessions import Session, run, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are made on Linux")

LOOP = """
import os, sys, warnings
from allcores import parallel
import allcores.loop
from allcores.engine.forkable import findings
reports = []
allcores.loop.listeners.append(reports.append)
def compare(use):
    expected = [use(k) for k in range(6)]
    for finding in findings():
        print(finding.safe, finding.what, finding.why, sep=": ")
    found, pids = [], set()
    for k in parallel(range(6), workers=2):
        found.append(use(k))
        pids.add(os.getpid())
    print("the same:", found == expected)
    print("in workers:", os.getpid() not in pids)
    again = [use(k) for k in range(6)]
    print("the same afterwards:", again == expected)
"""
FORK = """
def fork(use):
    import multiprocessing
    child = multiprocessing.get_context("fork").Process(target=use, args=(0,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        child.start()
    child.join(SECONDS)
    print("multiprocessing:", "hangs" if child.is_alive() else "ends")
    child.kill()
    child.join()
"""


class Shown(SimpleNamespace):
    """What a script with LOOP has printed."""

    out: str
    err: str

    def check(self, owner: str, safe: bool) -> None:
        """It ended with the right results, and named this owner of threads."""
        lines = self.out.splitlines()
        assert "the same: True" in lines, self
        assert "the same afterwards: True" in lines, self
        named = [line for line in lines if owner in line]
        assert named and all(line.startswith(str(safe)) for line in named), self
        if safe:
            assert "in workers: True" in lines, self
            assert "Warning" not in self.err, self
        elif "in workers: False" in lines:
            assert "ParallelWarning" in self.err, self


def loop(tmp_path: Path, source: str, seconds: float = 0) -> Shown:
    """Run a loop that calls `use`; after that, with seconds, a fork that calls it."""
    forked = FORK.replace("SECONDS", str(seconds)) + "\nfork(use)\n" if seconds else ""
    text = LOOP + source + "\ncompare(use)\n" + forked
    # What Python itself has to say about forks beside threads is wanted where it comes from us.
    session = Session(tmp_path, text, ALLCORES_FORCE="1", PYTHONWARNINGS="default")
    outcome = session.end(60)
    assert outcome.code == 0, outcome
    return Shown(out=outcome.out, err=outcome.err)


def needs(module: str) -> None:
    """Skip without it. It is not imported here: the threads of this process are looked at."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")


@pytest.fixture(scope="session")
def teams(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of teams.c as a library."""
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    path = tmp_path_factory.mktemp("teams") / "libteams.so"
    source = Path(__file__).with_name("teams.c")
    command = [compiler, "-shared", "-fPIC", "-fopenmp", "-pthread", "-o", path, source]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("there is no C compiler with OpenMP here")
    if b"libgomp" not in path.read_bytes():
        pytest.skip("the C compiler uses another OpenMP than libgomp")
    return str(path)


@pytest.fixture
def chosen_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is set for all loops: for tests of what a program's threads have it choose."""
    monkeypatch.delenv("ALLCORES_ON", raising=False)


# -- libraries, each with a loop


def test_a_loop_after_openblas(tmp_path: Path) -> None:
    needs("numpy")
    shown = loop(
        tmp_path,
        """
import numpy
a = numpy.arange(90_000.0).reshape(300, 300) / 90_000
def use(k):
    return round(float((a @ a)[k, k]), 6)
""",
    )
    if "openblas" in shown.out.lower():  # with one core it starts no threads
        shown.check("OpenBLAS", True)


@pytest.mark.usefixtures("chosen_by_itself")  # functions of `ctypes` cannot be sent
def test_a_loop_after_libgomp_which_hangs_in_other_forks(tmp_path: Path, teams: str) -> None:
    shown = loop(
        tmp_path,
        f"""
import ctypes
library = ctypes.CDLL({teams!r})
library.total.restype = ctypes.c_double
def use(k):
    return library.total(ctypes.c_long(1000 + k))
""",
        seconds=1,
    )
    shown.check("libgomp", True)
    assert "multiprocessing: hangs" in shown.out


def test_a_loop_after_scikit_learn_which_hangs_in_other_forks(tmp_path: Path) -> None:
    needs("sklearn")
    shown = loop(
        tmp_path,
        """
import numpy
from sklearn.cluster import KMeans
a = numpy.random.default_rng(0).random((2000, 4))
def use(k):
    return round(float(KMeans(2 + k, n_init=1, random_state=0).fit(a).inertia_), 6)
""",
        seconds=2 if os.cpu_count() != 1 else 0,
    )
    if "libgomp" in shown.out:
        shown.check("libgomp", True)
        assert "multiprocessing: hangs" in shown.out


def test_a_loop_after_arrow(tmp_path: Path) -> None:
    needs("pyarrow")
    shown = loop(
        tmp_path,
        """
import pyarrow
import pyarrow.parquet
table = pyarrow.table({"a": list(range(20_000)), "b": list(range(20_000))})
pyarrow.parquet.write_table(table, "table.parquet")
def use(k):
    read = pyarrow.parquet.read_table("table.parquet", use_threads=True)
    return read.group_by("a").aggregate([("b", "sum")]).num_rows + k
""",
    )
    shown.check("Arrow", True)


def test_a_loop_after_polars_which_hangs_in_other_forks(tmp_path: Path) -> None:
    needs("polars")
    shown = loop(
        tmp_path,
        """
import polars
table = polars.DataFrame({"a": range(10_000)})
def use(k):
    return table.group_by("a").len().height + k
""",
        seconds=1,
    )
    shown.check("Polars", False)
    assert "multiprocessing: hangs" in shown.out


def test_a_loop_after_grpc(tmp_path: Path) -> None:
    needs("grpc")
    shown = loop(
        tmp_path,
        """
import grpc
channel = grpc.insecure_channel("localhost:1")
try:
    channel.unary_unary("/nobody")(b"", timeout=0.1)
except grpc.RpcError:
    pass
def use(k):
    return k
""",
    )
    shown.check("gRPC", False)


def test_a_loop_after_numexpr(tmp_path: Path) -> None:
    needs("numexpr")
    shown = loop(
        tmp_path,
        """
import numexpr, numpy
a = numpy.arange(100_000.0)
def use(k):
    return float(numexpr.evaluate("sum(a * k)", local_dict={"a": a, "k": k}))
""",
        seconds=10,
    )
    if "numexpr" in shown.out:
        assert "multiprocessing: ends" in shown.out
        # The loop runs serially for another reason: `evaluate` keeps what it was given last.
        assert "True: 2 threads of numexpr" in shown.out or "True: a thread of numexpr" in shown.out


def test_a_loop_after_torch_which_hangs_in_other_forks(tmp_path: Path) -> None:
    needs("torch")
    shown = loop(
        tmp_path,
        """
import torch
a = torch.arange(400_000.0)
def use(k):
    return float((a.exp() + k).isfinite().sum())
""",
        seconds=2,
    )
    shown.check("libgomp", True)
    assert "multiprocessing: hangs" in shown.out


def test_a_loop_beside_zeromq(tmp_path: Path) -> None:
    needs("zmq")
    shown = loop(
        tmp_path,
        """
import atexit, zmq
atexit.register(lambda: context.destroy())
context = zmq.Context()
socket = context.socket(zmq.PUB)
socket.bind_to_random_port("tcp://127.0.0.1")
def use(k):
    return k
""",
    )
    shown.check("ZeroMQ", True)


# -- Python's threads


def test_a_loop_beside_a_thread_that_holds_a_lock(tmp_path: Path) -> None:
    shown = loop(
        tmp_path,
        """
import threading, time
lock, over = threading.Lock(), threading.Event()
def hold():
    while not over.is_set():
        with lock:
            time.sleep(0.02)
        time.sleep(0.001)
threading.Thread(target=hold, name="holder", daemon=True).start()
def use(k):
    with lock:
        return k
import multiprocessing
warnings.simplefilter("ignore")
children = [multiprocessing.get_context("fork").Process(target=use, args=(0,)) for _ in range(5)]
for child in children:
    while not lock.locked():
        pass
    child.start()
children[-1].join(0.5)
print("multiprocessing:", "hangs" if any(child.is_alive() for child in children) else "ends")
for child in children:
    child.kill()
warnings.simplefilter("default")
""",
    )
    assert "multiprocessing: hangs" in shown.out
    shown.check("'holder'", False)


def test_a_thread_is_told_with_what_it_runs() -> None:
    over = threading.Event()
    thread = threading.Thread(target=_heartbeat, args=(over,), name="heart", daemon=True)
    thread.start()
    try:
        why = why_not_forkable()
        assert why is not None
        assert "'heart'" in why and "_heartbeat" in why and __name__ in why
        with pytest.raises(CannotFork, match="'heart'"):
            ready_to_fork()
    finally:
        over.set()
        thread.join()
    assert why_not_forkable() is None


def _heartbeat(over: threading.Event) -> None:
    while not over.wait(0.001):
        pass


def test_a_thread_that_python_has_not_counted_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between `start` and its first line a thread is in limbo."""
    limbo: dict[Any, Any] = threading._limbo  # type: ignore[attr-defined]
    thread = threading.Thread(target=int, name="newborn")
    limbo[thread] = thread
    try:
        assert "'newborn'" in str(why_not_forkable())
    finally:
        del limbo[thread]


def test_a_thread_that_threading_does_not_know() -> None:
    import _thread

    over = threading.Lock()
    over.acquire()
    number = _thread.start_new_thread(over.acquire, ())
    try:
        assert "without `threading`" in str(why_not_forkable())
    finally:
        over.release()
    assert number
    wait_for(lambda: why_not_forkable() is None)


def test_a_thread_that_starts_after_the_decision(tmp_path: Path) -> None:
    """An item of the input starts it, when it has been decided to fork."""
    ours = run(
        tmp_path,
        """
        import threading
        from allcores import parallel
        over = threading.Event()
        def items():
            threading.Thread(target=over.wait, name="late", daemon=True).start()
            yield from range(30)
        results = []
        for x in parallel(items(), workers=2):
            results.append(x * x)
        over.set()
        print(results == [x * x for x in range(30)])
        """,
        ALLCORES_FORCE="1",
    )
    assert (ours.code, ours.out) == (0, "True\n"), ours
    assert "Warning" not in ours.err or "thread 'late'" in ours.err


def test_the_thread_that_saves_a_notebooks_history() -> None:
    """It is no obstacle while it waits to be called; at work it may hold locks of SQLite's."""
    waits, over = threading.Event(), threading.Event()
    working, work = threading.Event(), threading.Event()

    class HistorySavingThread(threading.Thread):
        def run(self) -> None:
            waits.wait()
            working.set()
            while not work.is_set():
                pass
            over.wait()

    HistorySavingThread.__module__ = "IPython.core.history"
    thread = HistorySavingThread(daemon=True)
    thread.start()
    try:
        assert why_not_forkable() is None
        waits.set()
        working.wait()
        assert "it is at work" in str(why_not_forkable())
        work.set()
        assert wait_for(lambda: why_not_forkable() is None)
    finally:
        work.set()
        over.set()
        thread.join()


def test_the_lock_of_a_progress_bar(tmp_path: Path) -> None:
    """The thread of tqdm may hold it at the fork; in workers it must be free."""
    needs("tqdm")
    ours = run(
        tmp_path,
        """
        import threading, time
        import tqdm
        from allcores import parallel
        lock = tqdm.tqdm.get_lock()
        held = threading.Event()
        class Monitor(threading.Thread):
            def run(self):
                with lock:
                    held.set()
                    time.sleep(0.2)
        Monitor.__module__ = "tqdm._monitor"
        Monitor().start()
        held.wait()
        def work(x):
            with tqdm.tqdm.get_lock():
                return x * x
        results = []
        for x in parallel(range(8), workers=2):
            results.append(work(x))
        print(results == [x * x for x in range(8)])
        """,
        ALLCORES_FORCE="1",
    )
    assert (ours.code, ours.out, ours.err) == (0, "True\n", "")


# -- telling threads


@pytest.mark.parametrize("works", [0, 1], ids=["waits", "works"])
def test_a_thread_of_a_library_of_unknown_kind(tmp_path: Path, teams: str, works: int) -> None:
    """It is named by its file, also while it is at work."""
    ours = run(
        tmp_path,
        f"""
        import ctypes
        from allcores.engine.forkable import findings, why_not_forkable
        ctypes.CDLL({teams!r}).start({works})
        print(why_not_forkable())
        print([each.detail for each in findings()])
        """,
    )
    assert ours.code == 0, ours
    assert "a thread of libteams.so is running" in ours.out


def test_threads_that_work_are_told(tmp_path: Path, teams: str) -> None:
    """As OpenBLAS's and OpenMP's do for a while after they have been used."""
    ours = run(
        tmp_path,
        f"""
        import ctypes, os, threading
        from allcores.engine import native_threads
        total = ctypes.CDLL({teams!r}).total
        total(ctypes.c_long(1))
        before = native_threads.ids()
        threading.Thread(target=total, args=(ctypes.c_long(10 ** 12),), daemon=True).start()
        while len(native_threads.ids()) < len(before) + 2:
            pass
        new = tuple(set(native_threads.ids()) - set(before))
        files = []
        for _ in range(20):
            files = [os.path.basename(each.file or "") for each in native_threads.look(new)]
            print(*sorted(files), flush=True)
        os._exit(0)
        """,
    )
    lines = ours.out.splitlines()
    assert len(lines) == 20
    assert any("libgomp" in line and "python" in line for line in lines), lines


def test_the_first_owner_that_fits_is_taken() -> None:
    def named(name: str, file: str | None = None) -> str | None:
        owner = owner_of(name, file)
        return owner.name if owner is not None else None

    assert named("jemalloc_bg_thd", "/x/pyarrow/libarrow.so.2600") == "jemalloc"
    assert named("python", "/x/pyarrow/libarrow.so.2600") == "Arrow"
    assert named("python", "/x/pyarrow/libarrow_s3.so.2600") == "Arrow's S3"
    assert named("python", "/x/numpy.libs/libscipy_openblas64_-32a4b2a6.so") == "OpenBLAS"
    assert named("python", "/x/scikit_learn.libs/libgomp-e985bcbb.so.1.0.0") == "libgomp (OpenMP)"
    assert named("python", "/usr/lib/libgomp.so.1.0.0") == "libgomp (OpenMP)"
    assert named("python", "/opt/intel/libiomp5.so") == "Intel's or LLVM's OpenMP"
    assert named("tokio-rt-worker", "/x/_polars_runtime_32/_polars_runtime.abi3.so") == "Polars"
    assert named("polars-0") == "Polars"
    assert named("grpc_global_tim") == "gRPC"
    assert named("cuda-EvtHandlr") == "CUDA"
    assert named("ZMQbg/IO/0") == "ZeroMQ"
    assert named("gmain") == "GLib"
    assert named("QXcbEventQueue") == "Qt"
    assert named("python", "/opt/lib/libQt6Core.so.6") == "Qt"
    # A folder further up is no evidence.
    assert named("python", "/home/me/numexpr/lib/libfoo.so") is None
    assert named("python", None) is None
    assert len({each.name for each in OWNERS}) == len(OWNERS)


def test_which_files_run_threads_for_others() -> None:
    for name in ("libc.so.6", "libc-2.31.so", "libpthread-2.31.so", "ld-linux-x86-64.so.2",
                 "libstdc++.so.6.0.30", "libgcc_s.so.1", "libm.so.6"):  # fmt: skip
        assert native_threads._is_nobodys(f"/usr/lib/{name}"), name
    for name in ("libcuda.so.1", "libcrypto.so.3", "libmkl_core.so", "libpython3.11.so.1.0"):
        assert not native_threads._is_nobodys(f"/usr/lib/{name}"), name
    for name in ("libpython3.11.so.1.0", "python3.13", "python3", "python", "python3.14t"):
        assert native_threads.is_python(f"/opt/bin/{name}"), name
    for name in ("pythonish", "libpyarrow.so", "_python.cpython-311.so"):
        assert not native_threads.is_python(f"/opt/bin/{name}"), name


def test_each_owner_can_be_told() -> None:
    assert all(each.files or each.names for each in OWNERS)
    assert all(not each.why.endswith(".") for each in OWNERS)


def test_a_process_of_one_thread_can_be_forked(tmp_path: Path) -> None:
    ours = run(
        tmp_path,
        """
        from allcores.engine.forkable import findings, why_not_forkable
        print(why_not_forkable(), findings())
        """,
    )
    assert ours.out == "None []\n"


def test_cuda_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    torch: Any = SimpleNamespace(cuda=SimpleNamespace(is_initialized=lambda: True))
    monkeypatch.setitem(sys.modules, "torch", torch)
    why = why_not_forkable()
    assert why is not None and why.startswith("CUDA is in use")
    assert any(not each.safe and each.what == "CUDA" for each in findings())


def test_arrow_without_its_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", SimpleNamespace(__version__="11.0.0"))
    assert not library_threads._arrow_sees_to_forks()
    monkeypatch.setitem(sys.modules, "pyarrow", SimpleNamespace(__version__="26.0.1"))
    assert library_threads._arrow_sees_to_forks()
    monkeypatch.setenv("ARROW_REGISTER_ATFORK", "0")
    assert not library_threads._arrow_sees_to_forks()


def test_libgomp_after_numba_is_not_forked_beside(
    tmp_path: Path, teams: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numba ends processes that are forks of one that has used libgomp through it."""
    ours = run(
        tmp_path,
        f"""
        import ctypes, sys, types
        from allcores.engine.forkable import why_not_forkable
        ctypes.CDLL({teams!r}).total(ctypes.c_long(1))
        print(why_not_forkable())
        sys.modules["numba.np.ufunc.omppool"] = types.ModuleType("omppool")
        print(why_not_forkable())
        """,
    )
    before, after = ours.out.splitlines()
    assert before == "None"
    assert "Numba" in after


# -- Python's own warning

QUIET = """
    import tqdm
    import allcores
    from allcores import parallel
    sink = open("/dev/null", "w")
    bar = tqdm.tqdm(total=8, file=sink)
    try:
        import numpy
        a = numpy.ones((200, 200)); a @ a
    except ImportError:
        pass
    def double(x):
        return 2 * x
    results = []
    for x in parallel(range(8), workers=2):
        results.append(double(x))
    print(results == list(map(double, range(8))))
    print(list(allcores.map(double, range(8), workers=2)) == results)
    with allcores.Pool(2) as pool:
        print(pool.map(double, range(8)) == results)
    with allcores.Executor(2) as executor:
        print(list(executor.map(double, range(8))) == results)
    bar.close()
    sink.close()
    """


def test_no_warning_about_forks_beside_threads(tmp_path: Path) -> None:
    """Python 3.12 and later warn of any thread at a fork; here they have been looked at."""
    needs("tqdm")
    for how in ("error", "always"):
        ours = run(tmp_path, QUIET, ALLCORES_FORCE="1", PYTHONWARNINGS=how)
        assert (ours.code, ours.out) == (0, 4 * "True\n"), ours
        assert "fork" not in ours.err and "Warning" not in ours.err


@pytest.mark.usefixtures("chosen_by_itself")
@pytest.mark.parametrize("way", ["loop", "script"])
def test_the_reason_for_clean_interpreters_is_told(tmp_path: Path, way: str) -> None:
    """By the report of a loop, and by the line at the end of `allcores run`."""
    (tmp_path / "work.py").write_text("def double(x):\n    return 2 * x\n")
    marked = "parallel(range(20), workers=2)" if way == "loop" else "range(20)"
    source = f"""
        import threading
        from work import double
        import allcores.loop
        from allcores import parallel
        allcores.loop.listeners.append(lambda report: print(report.fresh_because))
        over = threading.Event()
        threading.Thread(target=over.wait, name="beside", daemon=True).start()
        results = []
        for x in {marked}:
            results.append(double(x))
        over.set()
        print(results == [2 * x for x in range(20)])
        """
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(source))
    command = ["-m", "allcores", "run", "--force"] if way == "script" else []
    done = subprocess.run(
        [sys.executable, *command, path.name],
        cwd=tmp_path,
        env={**os.environ, "ALLCORES_FORCE": "1", "ALLCORES_WORKERS": "2"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done
    assert "thread 'beside'" in done.stdout
    assert done.stdout.endswith("True\n")
    if way == "script":
        assert "in clean interpreters: thread 'beside'" in done.stderr, done


# -- maps and pools

POOLS = """
import os, signal, warnings
import allcores
from work import use
expected = [use(k) for k in range(6)]
same = [list(allcores.map(use, range(6), workers=2)) == expected]
with allcores.Pool(2) as pool:
    same.append(pool.map(use, range(6)) == expected)
    use(0)
    same.append(pool.map(use, range(6)) == expected)
    workers = set(pool.map(pid, range(8), chunksize=1))
    print("in workers:", os.getpid() not in workers)
    for worker in workers - {os.getpid()}:
        os.kill(worker, signal.SIGKILL)
    use(0)
    same.append(pool.map(use, range(6)) == expected)
with allcores.Executor(2) as executor:
    same.append(list(executor.map(use, range(6))) == expected)
print(same)
"""


@pytest.mark.usefixtures("chosen_by_itself")  # functions of `ctypes` cannot be sent
def test_pools_after_libgomp(tmp_path: Path, teams: str) -> None:
    """Also workers that are made in the place of others, when there is a team again."""
    work = f"""
        import ctypes, os
        library = ctypes.CDLL({teams!r})
        library.total.restype = ctypes.c_double
        def use(k):
            return library.total(ctypes.c_long(1000 + k))
        """
    (tmp_path / "work.py").write_text(textwrap.dedent(work))
    pools = POOLS.replace("import use", "import use\ndef pid(x):\n    return os.getpid()", 1)
    ours = run(tmp_path, pools, ALLCORES_FORCE="1")
    assert (ours.code, ours.err) == (0, ""), ours
    assert ours.out == f"in workers: True\n{[True] * 5}\n"


def test_pools_after_polars(tmp_path: Path) -> None:
    needs("polars")
    work = """
        import polars
        table = polars.DataFrame({"a": range(1000)})
        def use(k):
            return table.group_by("a").len().height + k
        """
    (tmp_path / "work.py").write_text(textwrap.dedent(work))
    pools = POOLS.replace("import use", "import use\ndef pid(x):\n    return os.getpid()", 1)
    ours = run(tmp_path, pools, ALLCORES_FORCE="1")
    assert ours.code == 0, ours
    assert ours.out.endswith(f"{[True] * 5}\n")
    assert "of Polars" in ours.err


def test_where_stacks_cannot_be_looked_at_numbers_have_to_do(tmp_path: Path, teams: str) -> None:
    """As on other processors, for threads that are at work; and where /proc does not say it."""
    ours = run(
        tmp_path,
        f"""
        import ctypes, os
        from allcores.engine import native_threads
        from allcores.engine.forkable import ready_to_fork, why_not_forkable
        native_threads._started_by = lambda thread, maps: None
        library = ctypes.CDLL({teams!r})
        library.total(ctypes.c_long(1))
        print(why_not_forkable())
        ready_to_fork()
        print(len(native_threads.ids()))
        for _ in range(1 + 2 * os.cpu_count()):
            library.start(0)
        print(why_not_forkable())
        """,
    )
    one, two, three = ours.out.splitlines()
    assert one == "None", ours
    assert two == "1"  # the team was told to end
    assert "of unknown kind" in three


def test_threads_that_start_when_no_descriptor_is_left(tmp_path: Path, teams: str) -> None:
    """To look at them takes some; the loop runs all the same."""
    ours = run(
        tmp_path,
        f"""
        import ctypes, os, resource
        from allcores import parallel
        library = ctypes.CDLL({teams!r})
        def go():
            results = []
            for x in parallel(range(20), workers=2):
                results.append(x * x)
            return results == [x * x for x in range(20)]
        print(go())
        library.start(0)
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
        held = []
        while True:
            try:
                held.append(os.open("/dev/null", os.O_RDONLY))
            except OSError:
                break
        print(go())
        for fd in held:
            os.close(fd)
        print(go())
        """,
        ALLCORES_FORCE="1",
    )
    assert (ours.code, ours.out) == (0, "True\n" * 3), ours
