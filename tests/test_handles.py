"""What workers cannot share is found wherever work can get at it; `per_worker` is the way out."""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import allcores
from allcores import ParallelWarning, PerWorker, parallel, per_worker
from allcores.plan.handles import kind_of, used_by_function
from tests.same import assert_same, difference, forced, run

TABLE = """
import sqlite3, contextlib
open('dummy', 'w').close()
new = sqlite3.connect('x.db'); new.execute('create table t (a, b)')
new.executemany('insert into t values (?, ?)', [(i, i * i) for i in range(100)])
new.commit(); new.close(); del new
"""
TEXT = "open('d.txt', 'w').write('some line\\n' * 100)\n"
"""Every program with a file runs in a directory of its own."""

SERIAL = {
    "a connection two attributes down": (
        TABLE
        + """
class Base:
    def __init__(self): self.conn = sqlite3.connect('x.db')
    def get(self, i): return self.conn.execute('select b from t where a = ?', (i,)).fetchone()[0]
class Service:
    def __init__(self): self.db = Base()
    def run(self, i): return self.db.get(i) + 1
s = Service()
out = []
for i in parallel(range(12)):
    out.append(s.run(i))
s.db.conn.close(); del s
""",
        r"`s.db.conn` is an open sqlite3 connection, .*per_worker\(lambda: sqlite3.connect",
    ),
    "a connection in a list in a closure": (
        TABLE
        + """
def make():
    known = {'q': [sqlite3.connect('x.db')]}
    def ask(i): return known['q'][0].execute('select b from t where a = ?', (i,)).fetchone()[0]
    return ask
ask = make()
out = []
for i in parallel(range(12)):
    out.append(ask(i))
del ask
""",
        r"`known\['q'\]\[0\]` is an open sqlite3 connection",
    ),
    "a global connection": (
        TABLE
        + """
db = sqlite3.connect('x.db')
def f(i): return db.execute('select b from t where a = ?', (i,)).fetchone()[0]
out = []
for i in parallel(range(12)):
    out.append(f(i))
db.close(); del db
""",
        "`db` is an open sqlite3 connection, which workers cannot share; give each its own",
    ),
    "a file in a dict that a library is given": (
        TEXT
        + """
import io, shutil
known = {'fh': open('d.txt')}
def f(i):
    to = io.StringIO()
    shutil.copyfileobj(known['fh'], to, 7)
    return to.getvalue()[:5]
out = []
for i in parallel(range(12)):
    out.append(f(i))
known['fh'].close(); del known
""",
        r"`known\['fh'\]` is an open file",
    ),
    "seek and read": (
        TEXT
        + """
fh = open('d.txt')
def f(i):
    fh.seek(i)
    return fh.read(3)
out = []
for i in parallel(range(12)):
    out.append(f(i))
fh.close(); del fh
""",
        "`fh` is an open file, which workers cannot share",
    ),
    "files as items": (
        """
import json
for k in range(8): open(f'd{k}.txt', 'w').write(f'[1, {k}]' + ' ' * 9999)
files = [open(f'd{k}.txt') for k in range(8)]
out = []
for fh in parallel(files):
    out.append(json.JSONDecoder().raw_decode(getattr(fh, 'read')(10).strip())[0])
rest = [len(fh.read()) for fh in files]
for fh in files: fh.close()
del files, fh
""",
        "`fh` is an open file",
    ),
    "the number of a file": (
        """
import os
open('x', 'w').close()
fd = os.open('x', os.O_WRONLY)
def f(i):
    os.write(fd, b'%d ' % i)
    return i * i
out = []
for i in parallel(range(12)):
    out.append(f(i))
os.close(fd)
""",
        "`f` .* changes `fd`",
    ),
    "a generator that a function draws from": (
        """
g = (i * i for i in range(1000))
def f(i):
    for v in g: return v + i
out = []
for i in parallel(range(12)):
    out.append(f(i))
rest = len(list(g)); del g
""",
        "`g` is a generator, which workers cannot share; make a list",
    ),
    "a lock between processes": (
        """
import multiprocessing
lock = multiprocessing.Lock()
def f(i):
    with lock: return i * i
out = []
for i in parallel(range(12)):
    out.append(f(i))
del lock
""",
        "`lock` is a lock between processes",
    ),
    "a list that a handler fills": (
        """
import logging
log = logging.getLogger('filled')
log.handlers.clear(); log.propagate = False
got = []
class Keep(logging.Handler):
    def emit(self, r): got.append(r.getMessage())
log.addHandler(Keep())
def f(i):
    log.warning('at %s', i)
    return len(got)
out = []
for i in parallel(range(12)):
    out.append(f(i))
log.handlers.clear()
""",
        "`got` is used in the loop, and by what is told",
    ),
}

PARALLEL = {
    "a log file and a connection that the method does not touch": TEXT
    + """
import sqlite3, threading
class A:
    def __init__(self):
        self.log, self.db, self.lock, self.k = open('d.txt'), sqlite3.connect(':memory:'), threading.RLock(), 3
    def f(self, i):
        with self.lock: return i * self.k
    def note(self, i): self.log.readline(), self.db.execute('select 1')
a = A()
def g(a, i): return a.k + i
out = []
for i in parallel(range(12)):
    out.append(a.f(i))
for i in parallel(range(12)):
    out.append(g(a, i))
a.log.close(); del a, g
""",
    "written in the body": """
import csv, gzip
plain, more = open('a.txt', 'w'), open('b.bin', 'ab')
table = open('c.csv', 'w', newline=''); rows = csv.writer(table)
packed, lines = gzip.open('d.gz', 'wt'), open('e.txt', 'w', 1)
def f(i): return i * i
for i in parallel(range(12)):
    y = f(i)
    plain.write(f'{y}\\n'); more.write(bytes([y % 256])); rows.writerow([i, y])
    packed.write(f'{y} '); print(y, file=lines); plain.writelines([str(f(i)), 'x']); lines.flush()
for o in (plain, more, table, packed, lines): o.close()
del plain, more, table, rows, packed, lines, o
packed = gzip.open('d.gz').read(); import os; os.remove('d.gz')
""",
    "a lock around what harms nobody": """
import threading
lock, several, waits = threading.Lock(), threading.Semaphore(2), threading.Condition()
def f(i):
    with lock, several, waits: return i * i
out = []
for i in parallel(range(12)):
    out.append(f(i))
held = threading.RLock()
def g(i):
    with held: return i * i
with held:
    for i in parallel(range(12)):
        out.append(g(i))
del lock, several, waits, held
""",
    "an array in a file that is only read": """
import numpy as np
open('dummy', 'w').close()
np.arange(100.).tofile('m.bin')
m = np.memmap('m.bin', dtype=float, mode='r')
def f(i): return float(m[i:i + 5].sum())
out = []
for i in parallel(range(12)):
    out.append(f(i))
del m
""",
    "files that an iteration opens": TEXT
    + """
import os
def f(i):
    with open('d.txt') as fh: fh.seek(i); a = fh.read(3)
    fd = os.open('d.txt', os.O_RDONLY)
    os.lseek(fd, i, 0); b = os.read(fd, 3); os.close(fd)
    return a, b
out = []
for i in parallel(range(12)):
    out.append(f(i))
""",
}


@pytest.mark.parametrize("name", SERIAL)
def test_serial(name: str) -> None:
    text, why = SERIAL[name]
    plain, ours = run(text, True), run(text, False)
    assert plain.error is None
    assert_same(text, "serial", places=("closure",))
    assert ours.in_workers == 0
    assert any(re.search(why, w) for w in ours.warned), ours.warned
    assert re.search(r"^this loop runs serially: (line \d+|`got`)", ours.warned[0])


@pytest.mark.parametrize("name", PARALLEL)
def test_parallel(name: str) -> None:
    assert_same(PARALLEL[name], "parallel", places=("module", "closure"), at_least=12)


def test_a_lock_that_another_thread_holds_is_no_hang() -> None:
    text = """
import threading
lock = threading.Lock()
def f(i):
    if i < 0:
        with lock: pass
    return i * i
out = []
lock.acquire()
for i in parallel(range(12)):
    out.append(f(i))
lock.release(); del lock
"""
    assert_same(text, "serial", places=("module",))


OWN = """
import sqlite3
from contextlib import contextmanager
from allcores import per_worker
@contextmanager
def make():
    conn = sqlite3.connect(':memory:')
    yield conn
    conn.close()
table = per_worker(make)
def use(d, x):
    c = d().cursor()
    return c.execute('select ?', (x,)).fetchall()
class Service:
    def __init__(self): self.db, self.k = table, 3
    def get(self, x): return self.db().execute('select ? * ?', (x, self.k)).fetchone()[0]
    def all(self):
        out = []
        for x in parallel(range(10)):
            out.append(self.db().execute('select ? * ?', (x, self.k)).fetchone()[0])
        for x in parallel(range(10)):
            out.append(self.get(x))
        for x in parallel(range(10)):
            cur = self.db().cursor()
            cur.execute('select ? * ?', (x, self.k))
            out.append(cur.fetchone()[0])
        return out
tables = {'a': table}
out = Service().all()
for x in parallel(range(10)):
    conn = table()
    out.append(use(table, x))
    out.append(conn.execute('select ?', (x,)).fetchone())
for x in parallel(range(10)):
    [one] = tables['a']().execute('select ?', (x,)).fetchone()
    out.append(one)
n = conn.execute('select 5').fetchone()
table.close()
del conn, table, tables, use, Service, make
"""


def test_what_is_written_through_one_is_written_once(tmp_path: Path) -> None:
    """Also by the last iteration, which leaves a connection that cannot be sent in a variable."""
    text = """
import sqlite3
from allcores import per_worker
open('dummy', 'w').close()
new = sqlite3.connect('x.db'); new.execute('create table t (a)'); new.commit(); new.close(); del new
db = per_worker(lambda: sqlite3.connect('x.db', timeout=60))
found = []
for x in parallel(range(30)):
    conn = db()
    cur = conn.cursor()
    cur.execute('insert into t values (?)', (x,))
    conn.commit()
    row = [x, x * x]
    found.append(row[1])
cur.execute('select a from t order by a'); rows = cur.fetchall()
db.close(); del db, conn, cur
import os; os.remove('x.db')
"""
    for place in ("module", "closure"):
        plain, ours = run(text, True, place), run(text, False, place)
        assert plain.error is None and ours.error is None
        assert difference(plain, ours) is None
        assert ours.in_workers == 29


def test_per_worker_is_read_wherever_it_stands() -> None:
    for place in ("module", "closure"):
        plain, ours = run(OWN, True, place), run(OWN, False, place)
        assert plain.error is None and difference(plain, ours) is None
        assert not ours.warned
        assert [r.in_workers for r in ours.reports[:3]] == [10, 10, 10]
        assert ours.in_workers >= 48


HELD_BY_AN_OBJECT = """
import sqlite3
from allcores import per_worker
class Lab:
    def __init__(self):
        self.path = ":memory:"
        self.db = per_worker(lambda: self.connect())
    def connect(self):
        new = sqlite3.connect(self.path)
        new.execute("create table t (x)")
        new.execute("insert into t values (3)")
        return new
    def query(self, i):
        return self.db().execute("select x * ? from t", (i,)).fetchone()[0]
lab = Lab()
found = []
for i in parallel(range(9)):
    found.append(lab.query(i))
lab.db = None
"""


def test_what_makes_a_workers_own_may_be_a_method() -> None:
    """What it changes is the worker's own, as well: it is no change that the loop makes."""
    for place in ("module", "closure"):
        plain, ours = run(HELD_BY_AN_OBJECT, True, place), run(HELD_BY_AN_OBJECT, False, place)
        assert plain.error is None and difference(plain, ours) is None
        assert not ours.warned and ours.in_workers >= 8


# -- what is a handle


def kinds(tmp_path: Path) -> Iterator[tuple[Any, str]]:
    path = tmp_path / "x"
    path.write_bytes(bytes(5000))
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context

        def closing(thing: Any) -> Any:
            return enter(contextlib.closing(thing))

        import gzip
        import http.client
        import io
        import queue
        import shelve
        import socket
        import tarfile
        import urllib.request
        import zipfile

        yield enter(open(path)), "an open file"
        yield enter(open(path, "rb", 0)), "an open file"
        yield enter(gzip.open(tmp_path / "z.gz", "w")), "an open file"
        yield io.StringIO(), "a file in memory"
        yield enter(tempfile.NamedTemporaryFile()), "an open temporary file"
        yield enter(tempfile.TemporaryFile()), "an open file"
        yield enter(zipfile.ZipFile(tmp_path / "z.zip", "w")), "an open zip file"
        yield enter(tarfile.open(tmp_path / "z.tar", "w")), "an open tar file"
        yield enter(shelve.open(str(tmp_path / "shelf"))), "an open shelf"
        yield closing(socket.socket()), "a socket"
        yield closing(http.client.HTTPConnection("localhost")), "an HTTP connection"
        db = closing(sqlite3.connect(":memory:"))
        yield db, "an open sqlite3 connection"
        yield db.cursor(), "a sqlite3 cursor"
        yield queue.Queue(), "a queue"
        yield queue.SimpleQueue(), "a queue"
        yield threading.Event(), "an event"
        cookies = urllib.request.HTTPCookieProcessor()
        yield urllib.request.build_opener(cookies), "a session with cookies"
        yield iter([1]), "an iterator"
        yield (i for i in [1]), "a generator"
        with open(path, "r+b") as file:
            yield closing(mmap.mmap(file.fileno(), 0)), "a memory map that can be written"
        process = enter(subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE))
        yield process, "a running program"

        class Base:  # any database's, by Python's database API
            def cursor(self) -> None: ...
            def commit(self) -> None: ...
            def rollback(self) -> None: ...
            def close(self) -> None: ...

        yield Base(), "a database connection"
        requests = pytest.importorskip("requests")
        yield requests.Session(), "a requests session"


def test_kinds(tmp_path: Path) -> None:
    for thing, words in kinds(tmp_path):
        kind = kind_of(thing)
        assert kind is not None, words
        assert kind.words == words
        held = {"deep": [("x", thing)]}
        found = used_by_function("f", lambda x: held["deep"][x], None)
        assert found is not None and found.path == "held['deep'][0][1]"


def test_what_is_no_handle(tmp_path: Path) -> None:
    import urllib.request

    import numpy as np

    path = tmp_path / "x"
    path.write_bytes(bytes(5000))
    with open(path, "rb") as file:
        shared = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    done = subprocess.run([sys.executable, "-c", ""])
    array = np.memmap(path, mode="r")
    opener = urllib.request.build_opener()
    for thing in (
        opener,
        file,
        shared,
        done,
        array,
        array[3:],
        threading.Lock(),
        sys.stdout,
        {},
        3,
        map,
    ):
        assert kind_of(thing) is None, thing
    assert kind_of(np.asarray(np.memmap(path, mode="r+"))[1:]) is not None
    shared.close()
    assert kind_of(shared) is None


def test_map_with_a_function_that_uses_a_handle(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("some line\n" * 50)
    with open(path) as file, forced():
        with pytest.warns(ParallelWarning, match="`file` is an open file.*per_worker"):
            got = allcores.map(lambda x: (x, file.readline(), os.getpid()), range(20), workers=2)
    assert got == [(x, "some line\n", os.getpid()) for x in range(20)]


# -- per_worker


class Noted:
    """Something of which it is known, in a file, who made it and who closed it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.note("made")

    def note(self, what: str) -> None:
        with open(self.path, "a") as file:
            file.write(f"{what} {os.getpid()}\n")

    def close(self) -> None:
        self.note("closed")


def notes(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()]


def check(path: Path, pids: set[int]) -> None:
    """Each of these processes has made one and closed it."""
    found = notes(path)
    assert {int(pid) for what, pid in found if what == "made"} == pids
    assert sorted(pid for what, pid in found if what == "made") == sorted(
        pid for what, pid in found if what == "closed"
    )


def test_in_a_loop(tmp_path: Path) -> None:
    own = per_worker(lambda: Noted(tmp_path / "notes"))
    pids = set()
    with forced():
        for x in parallel(range(40), workers=2):
            pids.add((own().path.name, os.getpid() * (x > -1))[1])
    assert os.getpid() not in pids
    check(tmp_path / "notes", pids)


def test_in_map_pool_and_executor(tmp_path: Path) -> None:
    own = per_worker(lambda: Noted(tmp_path / "notes"))

    def work(x: int) -> int:
        assert isinstance(own(), Noted)
        return os.getpid()

    with forced():
        pids = set(allcores.map(work, range(40), workers=2))
        check(tmp_path / "notes", pids)
    (tmp_path / "notes").unlink()
    with allcores.Pool(2) as pool:
        pids = set(pool.map(work, range(40)))
        assert os.getpid() not in pids
    check(tmp_path / "notes", pids)
    (tmp_path / "notes").unlink()
    with allcores.Executor(2) as executor:
        pids = set(executor.map(work, range(40)))
    check(tmp_path / "notes", pids)


def test_managers(tmp_path: Path) -> None:
    path = tmp_path / "notes"

    @contextlib.contextmanager
    def lent(number: int = 3) -> Iterator[list[int]]:
        noted = Noted(path)
        yield [number]
        noted.close()

    lists = per_worker(lent)
    folders = per_worker(tempfile.TemporaryDirectory)
    found = []
    with forced():
        for x in parallel(range(20), workers=2):
            found.append((lists()[0] + x, folders()))
    assert [n for n, _ in found] == [3 + x for x in range(20)]
    assert not any(Path(folder).exists() for _, folder in found)
    assert 1 <= len({folder for _, folder in found}) <= 2
    check(path, {int(pid) for _, pid in notes(path)})


def test_native_iterations_and_the_end(tmp_path: Path) -> None:
    path = tmp_path / "notes"

    def go() -> None:
        out = []
        with per_worker(lambda: Noted(path)) as own:
            with forced():
                for x in parallel(range(20), workers=2):
                    noted = own()
                    if x == 7:
                        out.append(threading.Lock())  # cannot be sent
            first = own()
            assert first is own()
            assert ["made", str(os.getpid())] in notes(path)
            assert ["closed", str(os.getpid())] not in notes(path)
        assert ["closed", str(os.getpid())] in notes(path)
        assert own() is not first

    go()
    gc.collect()  # and when it is dropped
    check(path, {int(pid) for _, pid in notes(path)})


def test_left_early_and_raised(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    own = per_worker(lambda: Noted(path))
    with forced(), contextlib.suppress(ZeroDivisionError):
        for x in parallel(range(1000), workers=2):
            own()
            y = 1 // (x - 500)
    own.close()
    check(path, {int(pid) for _, pid in notes(path)})
    with forced():
        for x in parallel(range(1000), workers=2):
            y = len(own().path.name) + x
            if x == 500:
                break
    own.close()
    check(path, {int(pid) for _, pid in notes(path)})


def test_what_goes_wrong() -> None:
    class Broken:
        def close(self) -> None:
            raise OSError("not today")

    with pytest.raises(TypeError, match="needs a function that makes one"):
        per_worker(3)  # type: ignore[call-overload]
    own = per_worker(Broken)
    with forced(), pytest.warns(RuntimeWarning, match="(?s)could not close.*not today"):
        allcores.map(lambda x: bool(own()), range(9), workers=2)

    def refuse() -> int:
        raise OSError("no more connections")

    none = per_worker(refuse)
    out = []
    with forced(), pytest.raises(OSError, match="no more connections"):
        for x in parallel(range(9), workers=2):
            out.append(none() + x)
    assert out == []


def test_a_database(tmp_path: Path) -> None:
    """The README's example: the same rows, whoever reads them; what is written is there."""
    path = tmp_path / "x.db"
    with contextlib.closing(sqlite3.connect(path)) as new, new:
        new.execute("create table t (a, b)")
        new.executemany("insert into t values (?, ?)", [(i, i * i) for i in range(100)])

    class Service:
        def __init__(self) -> None:
            self.db: PerWorker[sqlite3.Connection] = per_worker(lambda: sqlite3.connect(path))

        def square(self, i: int) -> int:
            [found] = self.db().execute("select b from t where a = ?", (i,)).fetchone()
            return int(found)

    service, out = Service(), []
    with forced():
        reports: list[Any] = []
        import allcores.loop as loop

        loop.listeners.append(reports.append)
        try:
            for i in parallel(range(100), workers=2):
                out.append(service.square(i))
            for i in parallel(range(100), workers=2):
                rows = service.db().execute("select b from t where a = ?", (i,)).fetchall()
                out.append(rows[0][0])
        finally:
            loop.listeners.clear()
    assert out == [i * i for i in range(100)] * 2
    assert [r.in_workers for r in reports] == [100, 100]
    service.db.close()


def test_typed(tmp_path: Path) -> None:
    """A PerWorker[T] gives a T, whatever makes it."""
    mypy = Path(sys.executable).parent / "mypy"
    if not mypy.exists():
        pytest.skip("mypy is not there")
    script = tmp_path / "typed.py"
    script.write_text(
        textwrap.dedent("""
        import sqlite3, tempfile
        from collections.abc import Iterator
        from contextlib import contextmanager
        from allcores import per_worker

        @contextmanager
        def number() -> Iterator[int]:
            yield 3

        reveal_type(per_worker(lambda: sqlite3.connect("x"))())
        reveal_type(per_worker(number)())
        reveal_type(per_worker(lambda: open("x"))())
        reveal_type(per_worker(list[int])())
        """)
    )
    done = subprocess.run([mypy, script], capture_output=True, text=True, cwd=tmp_path)
    kinds = [part.split('"')[1] for part in done.stdout.splitlines() if "Revealed" in part]
    wanted = ["Connection", "int", "TextIOWrapper", "list[int]"]
    assert all(w in k.replace("builtins.", "") for w, k in zip(wanted, kinds, strict=True)), kinds
