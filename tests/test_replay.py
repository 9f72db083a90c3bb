"""What called functions print, warn and log in workers appears once, in its place."""

from __future__ import annotations

import io
import logging
import os
import re
import subprocess
import sys
import textwrap
import threading
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import pytest

import allcores
from allcores import parallel
from allcores.engine.said_before import silence
from tests.same import assert_same, forced, run

LOG = """
import logging, sys, io, warnings
log = logging.getLogger('told')
log.handlers.clear(), log.filters.clear()
log.setLevel(logging.INFO); log.propagate = False
got = []
class Keep(logging.Handler):
    def emit(self, r):
        got.append((r.getMessage(), r.args, r.funcName, r.lineno, r.name, r.levelname, r.process,
                    r.processName, r.thread, r.threadName, r.__dict__.get('extra')))
"""
END = "\nlog.handlers.clear(), log.filters.clear()\n"

PROGRAMS = {
    "both streams, between commits that print": """
import sys
def f(x):
    print('line', x)
    print('err', x, file=sys.stderr)
    sys.stdout.write('w'); sys.stdout.flush(); sys.stderr.writelines(['e', 'f\\n'])
    print('a', 'b', sep='-', end='|', flush=True)
    return x * x
out = []
for x in parallel(range(12)):
    print('begin', x)
    y = f(x)
    sys.stderr.write('body\\n')
    out.append(y)
    print('end', y, file=sys.stderr)
""",
    "streams under other names": """
import sys
here, there = sys.stdout, sys.stderr
def f(x):
    here.write(f'{x} ')
    print(x, file=there)
    return x * x
class Writer:
    def __init__(self, to): self.to = to
    def say(self, x): self.to.write(f'said {x}'); return x + 1
w = Writer(sys.stdout)
out = []
for x in parallel(range(12)):
    out.append((f(x), w.say(x)))
del here, there, w, f
""",
    "the same warning": """
import warnings
def f(x):
    if x > 2: warnings.warn('again')
    return x * x
out = []
with warnings.catch_warnings(record=True) as got:
    warnings.simplefilter('default')
    for x in parallel(range(12)):
        out.append(f(x))
    f(9)
got = [(str(w.message), w.category, w.lineno) for w in got]
""",
    "a warning that was shown before, and is shown again after catch_warnings": """
import warnings
def f(x):
    warnings.warn('again')
    if x == 5:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            warnings.warn('not this')
    return x * x
out = []
with warnings.catch_warnings(record=True) as got:
    warnings.simplefilter('default')
    f(1)
    for x in parallel(range(12)):
        out.append(f(x))
got = [(str(w.message), w.lineno) for w in got]
""",
    "a warning once, and one for each module": """
import warnings
def f(x):
    warnings.warn(f'text {x % 2}'); warnings.warn(f'other {x % 2}', RuntimeWarning)
    return x * x
out = []
with warnings.catch_warnings(record=True) as got:
    warnings.simplefilter('once', UserWarning)
    warnings.simplefilter('module', RuntimeWarning)
    for x in parallel(range(12)):
        out.append(f(x))
got = [(str(w.message), w.lineno) for w in got]
""",
    "a warning about the caller, and one about its caller": """
import warnings
def f(x):
    warnings.warn('two', stacklevel=2)
    if x == 7: warnings.warn('three', stacklevel=3)
    return x * x
out = []
for x in parallel(range(12)):
    y = f(x)
    out.append(y)
""",
    "a warning that is an error": """
import warnings
def f(x):
    print('at', x)
    if x == 7: warnings.warn('boom')
    return x * x
out = []
with warnings.catch_warnings():
    warnings.simplefilter('error')
    for x in parallel(range(12)):
        out.append(f(x))
""",
    "warnings of numpy": """
import numpy as np
def f(x):
    return float(np.log(np.array([x - 5.0]))[0])
out = []
for x in parallel(range(12)):
    out.append(f(x))
""",
    "warnings that the body keeps to itself": """
import warnings
def f(x):
    warnings.warn('hm')
    return x * x
out = []
for x in parallel(range(12)):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        y = f(x)
    out.append(y)
""",
    "a handler of the program": LOG
    + """
log.addHandler(Keep())
def f(x):
    log.info('at %s of %d', x, 12, extra={'extra': x})
    log.debug('never')
    return x * x
out = []
for x in parallel(range(12)):
    log.info('begin %s', x)
    out.append(f(x))
"""
    + END,
    "records, prints and warnings in one iteration": LOG
    + """
log.addHandler(logging.StreamHandler(sys.stdout))
def f(x):
    print('one', x)
    log.info('two %s', x)
    warnings.warn(f'three {x}')
    print('four', x, file=sys.stderr)
    log.warning('five')
    return x * x
out = []
for x in parallel(range(12)):
    log.info('begin')
    y = f(x)
    print('end', y)
    out.append(y)
"""
    + END,
    "what is said where variables are found by working again": LOG
    + """
import numpy as np
log.addHandler(Keep())
mat = np.arange(16.0).reshape(8, 2)
class Writer:
    def __init__(self, to): self.to = to
    def say(self, x): self.to.write(f'said {x}'); self.to.flush(); return x + 1
w, e = Writer(sys.stdout), Writer(sys.stderr)
def f(x):
    print('f', x); print('e', x, file=sys.stderr); sys.stdout.flush()
    warnings.warn(f'warned {x % 3}'); log.info('at %s', x)
    return x * x
out = []
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter('always')
    for x in parallel(range(12)):
        r = mat[x % 8]
        out.append((f(x), w.say(x), e.say(x)))
    r[0] = -1
    try:
        for x in parallel(range(12)):
            r = mat[x % 8]
            out.append((f(x), w.say(x)))
            del out[99 if x == 11 else 0]
    except IndexError:
        print('raised', x, r)
seen = [(str(w.message), w.category, w.lineno) for w in seen]
del w, e, f
"""
    + END,
    "a filter that counts and changes": LOG
    + """
log.addHandler(Keep())
n = 0
def every_other(r):
    global n
    n += 1
    r.msg = f'{n}: ' + r.msg
    return n % 2
log.addFilter(every_other)
def f(x):
    log.info('at %s', x)
    return x * x
out = []
for x in parallel(range(12)):
    out.append(f(x))
"""
    + END,
    "a logger of the object, of its class and of an item": LOG
    + """
log.addHandler(Keep())
class Worker:
    kind = log
    def __init__(self, k): self.log, self.k = log, k
    def work(self, x):
        self.log.info('own %s', x)
        self.kind.warning('class %s', x)
        return x * self.k
w = Worker(3)
out = []
for x in parallel(range(12)):
    out.append(w.work(x))
for each in parallel([Worker(k) for k in range(6)]):
    out.append(each.work(5))
del w, each
"""
    + END,
    "tracebacks in records": LOG
    + """
texts = []
class Format(logging.Handler):
    def emit(self, r):
        texts.append((r.getMessage(), r.exc_info[0], self.format(r).count('line 13')))
log.addHandler(Format())
def f(x):
    try: return 1 / (x % 5)
    except Exception: log.exception('bad %s', x)
out = []
for x in parallel(range(12)):
    out.append(f(x))
"""
    + END,
    "logging that is turned off": LOG
    + """
log.addHandler(Keep())
def f(x):
    log.info('at %s', x); log.error('bad')
    return x * x
out = []
logging.disable(logging.INFO)
for x in parallel(range(12)):
    out.append(f(x))
logging.disable(logging.NOTSET)
"""
    + END,
    "input that logs and warns as it is made": LOG
    + """
log.addHandler(logging.StreamHandler(sys.stdout))
def made():
    for i in range(12):
        log.info('made %s', i)
        warnings.warn(f'made {i}')
        yield i
def f(x):
    warnings.warn(f'used {x}')
    return x * x
out = []
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter('always')
    for x in parallel(made()):
        out.append(f(x))
        print('used', x)
seen = [str(w.message) for w in seen]
"""
    + END,
    "a record with what cannot be sent": LOG
    + """
log.addHandler(Keep())
def f(x):
    if x == 5: log.info('at %s', (q for q in ())is None, extra={'extra': None})
    if x == 7: log.info('gen %s', (lambda: x)())
    return x * x
out = []
for x in parallel(range(12)):
    out.append(f(x))
"""
    + END,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name: str) -> None:
    text = PROGRAMS[name]
    fewest = 7 if "error" in name else 9 if "traceback" in name else 11 if "caller" in name else 12
    assert_same(text, "parallel", places=("module",), at_least=fewest)


@pytest.mark.parametrize(
    "commit",
    [
        "d[say(x) + 10] = d[x]",
        "d[say(x) + 10] = d[x] + say(-x)",
        "d[say(x) + 10], d[say(x) + 20] = d[x], say(-x)",
        "objects[say(x)].v = d[x]",
        "d[say(x)] += say(-x)",
        "lists[x].append(say(x))",
        "out.append((d[x], list(once(x))))",
    ],
)
def test_nothing_is_said_of_what_comes_after_what_raises(commit: str) -> None:
    """Of an assignment, the value is worked out first, though its targets stand before it."""
    text = f"""
class Thing: pass
def say(v):
    print('made', v)
    return v
def once(v):
    print('made', v)
    yield v
d, objects, out = {{k: k for k in range(8)}}, [Thing() for _ in range(20)], []
lists = dict.fromkeys(d, out)
for x in parallel(range(12)):
    {commit}
"""
    assert_same(text, "parallel", at_least=8)


@pytest.mark.parametrize(
    "body",
    [
        "log.setLevel(logging.ERROR) if x == 5 else None",
        "logging.disable(logging.ERROR) if x == 5 else None",
        "log.addHandler(Keep()) if x == 5 else None",
    ],
)
def test_a_body_that_changes_what_is_logged_is_serial(body: str) -> None:
    text = (
        LOG
        + f"""
log.addHandler(Keep())
def f(x):
    log.info('at %s', x)
    return x * x
out = []
for x in parallel(range(12)):
    out.append(f(x))
    {body}
logging.disable(logging.NOTSET)
{END}"""
    )
    assert_same(text, "serial", places=("module",))


def test_what_is_told_something_may_be_another_kind_of_object_the_next_time() -> None:
    text = (
        LOG
        + """
class Fake:
    def info(self, text): got.append(text)
def f(x):
    log.info(f'at {x}')
    return x * x
out = []
for log in [log, Fake()]:
    for x in parallel(range(12)):
        out.append(f(x))
"""
    )
    plain, ours = run(text, True), run(text, False)
    assert plain.names["global got"] == ours.names["global got"] == [f"at {x}" for x in range(12)]
    assert ours.in_workers == 12


def loop_that_says(number: int) -> list[int]:
    log = logging.getLogger("replay")

    def work(x: int) -> int:
        print("out", x)
        print("err", x, file=sys.stderr)
        log.warning("log %s", x)
        return x * x

    out = []
    with forced():
        for x in parallel(range(number)):
            out.append(work(x))
    return out


def test_captured_by_pytest(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    loop_that_says(9)
    said = capsys.readouterr()
    assert said.out == "".join(f"out {x}\n" for x in range(9))
    assert said.err == "".join(f"err {x}\n" for x in range(9))
    assert [r.getMessage() for r in caplog.records] == [f"log {x}" for x in range(9)]
    assert {(r.funcName, r.process, r.name) for r in caplog.records} == {
        ("work", os.getpid(), "replay")
    }


def test_captured_by_pytest_from_the_descriptors(capfd: pytest.CaptureFixture[str]) -> None:
    loop_that_says(9)
    assert capfd.readouterr().out == "".join(f"out {x}\n" for x in range(9))


def test_redirected() -> None:
    with redirect_stdout(io.StringIO()) as out:
        loop_that_says(9)
    assert out.getvalue() == "".join(f"out {x}\n" for x in range(9))


def test_warnings_are_seen_by_pytest() -> None:
    def work(x: int) -> int:
        warnings.warn(f"text {x}", RuntimeWarning, stacklevel=1)
        return x * x

    with pytest.warns(RuntimeWarning) as seen, forced():
        for x in parallel(range(9)):
            y = work(x)
    assert [str(w.message) for w in seen] == [f"text {x}" for x in range(9)]


def test_map(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("replay")

    def work(x: int) -> int:
        log.warning("log %s", x)
        print("out", x)
        warnings.warn("the same", stacklevel=1)
        if x == 5:
            try:
                _ = 1 // 0
            except ZeroDivisionError:
                log.exception("here")
        return x * x

    with warnings.catch_warnings(record=True) as seen, forced():
        warnings.simplefilter("default")
        assert allcores.map(work, range(9), workers=2) == [x * x for x in range(9)]
    assert [str(w.message) for w in seen] == ["the same"]
    assert capsys.readouterr().out == "".join(f"out {x}\n" for x in range(9))
    said = [r.getMessage() for r in caplog.records]
    assert said == [m for x in range(9) for m in [f"log {x}", *["here"] * (x == 5)]]
    assert [r.getMessage() for r in caplog.records if r.exc_info] == ["here"]


def program(text: str, tmp_path: Path) -> str:
    """What a script prints on one terminal, or what stands for it."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(text))
    done = subprocess.run(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env={**os.environ, "ALLCORES_FORCE": "1", "ALLCORES_WORKERS": "2"},
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_other_threads_are_heard_while_variables_are_found_by_working_again() -> None:
    """What another thread writes meanwhile is not what the work says."""
    with redirect_stdout(io.StringIO()) as written:
        with silence():
            print("unheard")
            other = threading.Thread(target=print, args=("heard",))
            other.start()
            other.join()
            with silence():
                print("unheard")
            print("unheard")
        print("after")
        assert "write" not in vars(sys.stdout)
    assert written.getvalue() == "heard\nafter\n"


def test_a_bar_around(tmp_path: Path) -> None:
    pytest.importorskip("tqdm")
    text = """
    import sys, time
    from tqdm import tqdm
    from allcores import parallel

    def f(x):
        tqdm.write(f"item {x}", file=sys.stdout)
        print("x", x)
        return x * x

    total = 0
    for x in MARK(range(20)):
        total += f(x)
    print(total)
    """
    bars = {"tqdm(parallel(range(20)))", "parallel(tqdm(range(20)))"}
    for bar in bars:
        said = re.sub(r"\r[^\n]*\r", "", program(text.replace("MARK(range(20))", bar), tmp_path))
        assert re.findall(r"\bx \d+", said) == [f"x {x}" for x in range(20)], said
        assert re.findall(r"\bitem \d+", said) == [f"item {x}" for x in range(20)], said


def test_streams_logging_and_shutdown_of_a_script(tmp_path: Path) -> None:
    """Nothing was set up: the first record does that, as in the plain loop; and what is flushed
    comes before what follows on the other stream."""
    text = """
    import logging, sys
    from allcores import parallel

    def f(x):
        print(x, end=" ", flush=True)
        print("err", x, file=sys.stderr, flush=True)
        logging.warning("log %s", x)
        return x * x

    for x in MARK(range(6)):
        y = f(x)
    logging.error("end")
    """
    ours = program(text.replace("MARK", "parallel"), tmp_path)
    assert ours == program(text.replace("MARK", ""), tmp_path)
    assert ours.count("WARNING:root:log") == 6


def test_what_has_warnings_forgotten_does_not_have_work_done_again(tmp_path: Path) -> None:
    """`subprocess` uses `catch_warnings` to find a program: each is to be run once."""
    path = str(tmp_path / "done")

    def step(k: int) -> int:
        os.get_exec_path({"PATH": "/bin"})
        with open(path, "a") as file:
            file.write(f"{k}\n")
        return k

    done = []
    with forced(WORKERS="2"):
        for k in parallel(range(6)):
            done.append(step(k))
    assert done == list(range(6))
    assert sorted(Path(path).read_text().split()) == [str(k) for k in range(6)]


def test_commits_warn_again_where_work_has_warnings_forgotten() -> None:
    assert_same(
        """
import os, warnings
def old(x):
    os.get_exec_path({"PATH": "/bin"})
    return x * x
with warnings.catch_warnings(record=True) as got:
    warnings.simplefilter("default")
    out = []
    for x in parallel(range(6)):
        y = old(x)
        warnings.warn("slow", UserWarning)
        out.append(y)
got = [(str(w.message), w.lineno) for w in got]
""",
        "parallel",
    )
