"""Workers that are clean interpreters: what they run, how long they stay, and what ends them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sessions import Outcome, Session, group, run, wait_for

START = """
import os, signal, sys, threading, time
import allcores
from allcores import parallel
from allcores.engine import interpreters
from allcores.engine.interpreters import standby

def stand_by(count=2):
    standby.prepare(count)
    while not all([worker.is_ready() for worker in standby.idle]):
        time.sleep(0.001)
    return [worker.pid for worker in standby.idle]

def slow(x):
    time.sleep(0.002)
    return os.getpid()
"""
FRESH = {"ALLCORES_ON": "fresh", "ALLCORES_FORCE": "1"}


def fresh(directory: Path, source: str, **variables: str) -> Outcome:
    """Run a script whose loops have fresh workers."""
    outcome = run(directory, START + source, **{**FRESH, **variables})
    assert (outcome.code, outcome.err) == (0, ""), outcome
    return outcome


def test_a_script_without_a_guard_is_run_once(tmp_path: Path) -> None:
    source = """
    with open("runs", "a") as file:
        file.write("x")
    pids = set(allcores.map(slow, range(50)))
    print(os.getpid() in pids, len(pids) in (1, 2))
    """
    assert fresh(tmp_path, _flat(source)).out == "False True\n"
    assert (tmp_path / "runs").read_text() == "x"


@pytest.mark.parametrize("how", ["-c", "-"])
def test_a_program_without_a_file(tmp_path: Path, how: str) -> None:
    source = START + "print(os.getpid() in set(allcores.map(slow, range(20))))\n"
    command = [sys.executable, how, *([source] if how == "-c" else [])]
    outcome = subprocess.run(
        command,
        input=source if how == "-" else None,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, **FRESH},
        timeout=60,
    )
    assert (outcome.stdout, outcome.stderr) == ("False\n", "")


def test_code_that_is_executed(tmp_path: Path) -> None:
    source = '''
names = {"allcores": allcores, "__name__": "nowhere"}
exec("""
def double(x): return helper(x)
def helper(x): return 2 * x
print(allcores.map(double, range(6)))
""", names)
'''
    assert fresh(tmp_path, source).out == "[0, 2, 4, 6, 8, 10]\n"


def test_workers_stay_for_later_loops(tmp_path: Path) -> None:
    source = """
    there = set(stand_by())
    for _ in range(3):
        print(set(allcores.map(slow, range(40))) == there, len(there))
    """
    assert fresh(tmp_path, _flat(source)).out == "True 2\n" * 3


def test_the_loop_goes_on_natively_while_workers_start(tmp_path: Path) -> None:
    source = """
    pids = allcores.map(slow, range(1000))
    own = pids.count(os.getpid())
    print(0 < own < 1000, own == pids.index(next(p for p in pids if p != os.getpid())))
    """
    assert fresh(tmp_path, _flat(source), ALLCORES_FORCE="0").out == "True True\n"


@pytest.mark.parametrize(
    "first, setting",
    [
        ("", "dont_write_bytecode = True"),
        ("stand_by()", "dont_write_bytecode = True"),
        ("", "pycache_prefix = 'elsewhere'"),
    ],
)
def test_bytecode_is_kept_where_the_program_keeps_it(
    tmp_path: Path, first: str, setting: str
) -> None:
    (tmp_path / "helper.py").write_text("def double(x):\n    return 2 * x\n")
    source = f"""
    {first}
    sys.{setting}
    import helper
    print(allcores.map(helper.double, range(6)), len(standby.all) > 0)
    """
    outcome = fresh(tmp_path, _flat(source), PYTHONDONTWRITEBYTECODE="")
    assert outcome.out == "[0, 2, 4, 6, 8, 10] True\n"
    assert not (tmp_path / "__pycache__").exists()


def test_many_workers_are_started_bit_by_bit(tmp_path: Path) -> None:
    source = """
    def slower(x):
        time.sleep(0.02)
        return os.getpid()
    pids = set()
    while len(pids) < 5:
        pids |= set(allcores.map(slower, range(100), workers=5))
    print(os.getpid() in pids, len(standby.all))
    """
    assert fresh(tmp_path, _flat(source)).out == "False 5\n"


def test_few_heavy_items_begin_side_by_side(tmp_path: Path) -> None:
    source = """
    def heavy(x):
        open(f"{x}.at", "w").close()
        while x < 2 and not (os.path.exists("0.at") and os.path.exists("1.at")):
            time.sleep(0.002)
        return x
    print(allcores.map(heavy, range(4)))
    """
    assert fresh(tmp_path, _flat(source)).out == "[0, 1, 2, 3]\n"


def test_what_workers_have_of_their_own_is_closed_with_the_loop(tmp_path: Path) -> None:
    source = """
    import gc
    class Own:
        def __init__(self): self.note("made")
        def note(self, what):
            with open("notes", "a") as file:
                file.write(f"{what} {os.getpid()}\\n")
        def close(self): self.note("closed")
    own = allcores.per_worker(Own)
    for _ in range(3):
        pids = set(allcores.map(lambda x: (own(), slow(x))[1], range(30)))
        notes = open("notes").read().split("\\n")[:-1]
        made = sorted(n.split()[1] for n in notes if "made" in n)
        closed = sorted(n.split()[1] for n in notes if "closed" in n)
        print(made == closed, {int(pid) for pid in made} == pids, os.getpid() in pids)
        os.remove("notes")
    """
    assert fresh(tmp_path, _flat(source)).out == "True True False\n" * 3


def test_idle_workers_end(tmp_path: Path) -> None:
    source = """
    interpreters.IDLE_SECONDS = 0.2
    first = set(stand_by())
    while not all([worker.gone() for worker in standby.idle]):
        time.sleep(0.01)
    second = set(allcores.map(slow, range(40)))
    print(len(second), first & second)
    """
    assert fresh(tmp_path, _flat(source)).out in ("2 set()\n", "1 set()\n")


def test_surroundings_that_change(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    source = """
    def seen(x):
        time.sleep(0.001)
        return os.getcwd(), os.environ.get("COLOUR"), sys.path[0], os.getpid(), list(sys.argv)
    def look():
        found = allcores.map(seen, range(20))
        pids = {each[3] for each in found}
        assert os.getpid() not in pids
        assert all(e[:3] == (os.getcwd(), os.environ.get("COLOUR"), sys.path[0]) for e in found)
        assert all(e[4] == sys.argv for e in found)
        return pids
    stand_by()
    first = look()
    os.chdir("inner")
    print(look() <= first)
    os.environ["COLOUR"] = "green"
    second = look()
    print(second & first)
    sys.path.insert(0, os.getcwd())
    print(look() & second)
    sys.argv.append("more")
    look()
    """
    assert fresh(tmp_path, _flat(source)).out == "True\nset()\nset()\n"


def test_a_worker_that_left_traces_is_not_used_again(tmp_path: Path) -> None:
    source = """
    def leaves(x):
        time.sleep(0.001)
        os.environ["TRACE"] = "here"
        os.chdir("/")
        if os.path.exists(home + "/path"):
            sys.path.append("/nowhere")
        return os.getpid()
    def sees(x):
        time.sleep(0.001)
        return os.environ.get("TRACE"), os.getcwd() == home, "/nowhere" in sys.path
    home = os.getcwd()
    for _ in range(2):
        there = set(stand_by())
        first = set(allcores.map(leaves, range(20)))
        print(set(allcores.map(sees, range(20))), first <= there)
        open("path", "w").close()
    print(set(allcores.map(slow, range(20))) & first)
    """
    assert fresh(tmp_path, _flat(source)).out == "{(None, True, False)} True\n" * 2 + "set()\n"


def test_a_worker_that_dies_in_a_loop(tmp_path: Path) -> None:
    source = """
    def dies_once(x):
        if x == 13 and not os.path.exists("died"):
            open("died", "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return x
    print(allcores.map(dies_once, range(30), workers=2) == list(range(30)))
    def dies(x):
        if x == 7:
            os.kill(os.getpid(), signal.SIGKILL)
        return x
    try:
        allcores.map(dies, range(30), workers=2)
    except allcores.WorkerDied as error:
        print("item 7" in str(error) or "iteration 7" in str(error), "SIGKILL" in str(error))
    print(allcores.map(abs, range(5)))
    """
    assert fresh(tmp_path, _flat(source)).out == "True\nTrue True\n[0, 1, 2, 3, 4]\n"


@pytest.mark.parametrize("how", ["os._exit(3)", "sys.exit(3)", "os.kill(os.getpid(), 9)"])
def test_work_that_kills_who_is_given_it(tmp_path: Path, how: str) -> None:
    library = tmp_path / "site-packages"
    library.mkdir()
    (library / "deadly.py").write_text(
        "import os, sys\nclass Value(float): pass\n"
        f"if 'allcores.engine.fresh_worker' in sys.modules:\n    {how}\n"
    )
    source = """
    import warnings
    sys.path.insert(0, "site-packages")
    import deadly
    value = deadly.Value(2.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = allcores.map(lambda x: x * value, range(6))
    print(found, len(caught), "clean interpreter" in str(caught[0].message))
    """
    assert fresh(tmp_path, _flat(source)).out == "[0.0, 2.0, 4.0, 6.0, 8.0, 10.0] 1 True\n"


def test_a_loop_that_cannot_be_sent_is_not_tried_each_time(tmp_path: Path) -> None:
    source = """
    import warnings
    from allcores.build import ship_loop
    warnings.simplefilter("ignore")
    tried, ship = [], ship_loop.ship_loop
    def note(*args):
        tried.append(1)
        return ship(*args)
    ship_loop.ship_loop = note
    for _ in range(40):
        out = []
        for x in parallel(range(4)):
            out.append("".join({"a", "b", str(x)}))
    print(len(tried))
    """
    assert fresh(tmp_path, _flat(source), PYTHONHASHSEED="random").out == "5\n"


def test_a_program_that_is_no_python_is_not_started(tmp_path: Path) -> None:
    (tmp_path / "server").write_text("#!/bin/sh\necho > started\n")
    (tmp_path / "server").chmod(0o755)
    source = """
    import warnings
    warnings.simplefilter("ignore")
    sys.executable = os.path.abspath("server")
    print(set(allcores.map(slow, range(9))) == {os.getpid()}, "may not be" in standby.why_not())
    """
    assert fresh(tmp_path, _flat(source)).out == "True True\n"
    assert not (tmp_path / "started").exists()


def test_few_descriptors(tmp_path: Path) -> None:
    """However many are left, the outcome is the same, nothing is left open, and later all is well."""
    source = """
    import resource, warnings
    warnings.simplefilter("ignore")
    expected = [x * x for x in range(30)]
    squares = lambda: allcores.map(lambda x: x * x, range(30))
    assert squares() == expected
    there = len(os.listdir("/proc/self/fd"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for more in range(16):
        for warm in (True, False):
            if not warm:
                standby.end_all()
            resource.setrlimit(resource.RLIMIT_NOFILE, (there + more - 2 - 6 * (not warm), hard))
            try:
                assert squares() == expected
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            standby.failed = 0
    stand_by()
    print(os.getpid() in set(allcores.map(slow, range(30))), len(os.listdir("/proc/self/fd")) - there)
    """
    assert fresh(tmp_path, _flat(source)).out == "False 0\n"


def test_limits_of_one_job_are_not_those_of_the_next(tmp_path: Path) -> None:
    source = """
    def takes(x):
        return len(bytearray(300 << 20)) >> 20
    try:
        allcores.map(takes, range(4), memory=100 << 20)
    except MemoryError:
        print("too much")
    print(allcores.map(takes, range(4)))
    def lasts(x):
        time.sleep(0.3 if x == 2 else 0)
        return x
    try:
        allcores.map(lasts, range(4), timeout=0.1)
    except TimeoutError:
        print("too long")
    print(allcores.map(lasts, range(4)))
    """
    expected = "too much\n[300, 300, 300, 300]\ntoo long\n[0, 1, 2, 3]\n"
    assert fresh(tmp_path, _flat(source)).out == expected


def test_output_of_one_job_after_another(tmp_path: Path) -> None:
    source = """
    import logging, warnings
    def speaks(x):
        print("item", x)
        if x == 1:
            warnings.warn("careful")
        logging.warning("record %s", x)
        return x
    for _ in range(2):
        allcores.map(speaks, range(3))
    """
    outcome = run(tmp_path, START + _flat(source), **FRESH)
    assert outcome.out == "item 0\nitem 1\nitem 2\n" * 2
    assert outcome.err.count("WARNING:root:record") == 6
    assert outcome.err.count("UserWarning: careful") == 1


ENDLESS = """
def endless(x):
    print("at work", file=sys.__stderr__) if x < 0 else None
    if x == 3:
        open("at_work", "w").close()
    time.sleep(0.01)
    return x
"""


def endless(tmp_path: Path, before: str = "") -> Session:
    source = START + ENDLESS + before + "for _ in allcores.imap(endless, iter(int, 1)): pass\n"
    source = source.replace("x == 3", "not os.path.exists('at_work')")
    session = Session(tmp_path, source, **FRESH)
    wait_for((tmp_path / "at_work").exists)
    wait_for(lambda: len(group(session.process.pid)) >= 2)
    return session


def test_nothing_is_left_when_the_program_is_killed(tmp_path: Path) -> None:
    session = endless(tmp_path)
    try:
        session.process.kill()
        session.process.wait()
        assert not session.left()
    finally:
        session.kill()


def test_idle_workers_end_when_the_program_is_killed(tmp_path: Path) -> None:
    session = Session(tmp_path, START + "stand_by()\nprint('ready')\ntime.sleep(60)\n", **FRESH)
    try:
        assert session.line() == "ready"
        assert len(group(session.process.pid)) == 3
        session.process.kill()
        session.process.wait()
        assert not session.left()
    finally:
        session.kill()


def test_ctrl_c_from_a_terminal(tmp_path: Path) -> None:
    session = endless(tmp_path)
    os.killpg(session.process.pid, signal.SIGINT)
    outcome = session.end()
    assert outcome.code == -signal.SIGINT
    assert outcome.err.count("Traceback") == 1
    assert outcome.err.rstrip().endswith("KeyboardInterrupt")


def test_ctrl_c_while_workers_start_and_stand_by(tmp_path: Path) -> None:
    source = """
    handled = []
    signal.signal(signal.SIGINT, lambda *_: handled.append(1))
    standby.prepare(2)
    for _ in range(40):
        os.killpg(0, signal.SIGINT)
        time.sleep(0.01)
    there = set(stand_by())
    os.killpg(0, signal.SIGINT)
    time.sleep(0.01)
    print(set(allcores.map(slow, range(40))) == there, len(handled))
    """
    assert fresh(tmp_path, _flat(source)).out == "True 41\n"


def test_a_fork_of_the_program_has_none_of_them(tmp_path: Path) -> None:
    source = """
    there = set(stand_by())
    pid = os.fork()
    if not pid:
        theirs = set(allcores.map(slow, range(40)))
        os._exit(bool(theirs & there) or os.getpid() in theirs)
    status = os.waitpid(pid, 0)[1]
    print(os.waitstatus_to_exitcode(status), set(allcores.map(slow, range(40))) == there)
    """
    assert fresh(tmp_path, _flat(source)).out == "0 True\n"


def test_loops_in_several_threads(tmp_path: Path) -> None:
    source = """
    found = [None] * 4
    def go(k):
        for _ in range(3):
            found[k] = allcores.map(lambda x: x * k, range(30))
    threads = [threading.Thread(target=go, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(found == [[x * k for x in range(30)] for k in range(4)])
    """
    assert fresh(tmp_path, _flat(source)).out == "True\n"


def test_a_program_that_ends_before_its_daemon_thread(tmp_path: Path) -> None:
    """Both see their workers end."""
    source = """
    begun = threading.Event()
    def go():
        for _ in allcores.imap(slow, range(10**6)):
            begun.set()
    threading.Thread(target=go, daemon=True).start()
    begun.wait()
    time.sleep(0.05)
    print("ends")
    """
    for _ in range(3):
        assert fresh(tmp_path, _flat(source)).out == "ends\n"


@pytest.mark.parametrize("what", ["exit 1", "sleep 1000"])
def test_an_interpreter_that_cannot_start(tmp_path: Path, what: str) -> None:
    (tmp_path / "python").write_text(f"#!/bin/sh\nexec {what}\n".replace("exec exit", "exit"))
    (tmp_path / "python").chmod(0o755)
    source = """
    import warnings
    warnings.simplefilter("ignore")
    interpreters.START_SECONDS = 0.05
    sys.executable = os.path.abspath("python")
    print(set(allcores.map(slow, range(20))) == {os.getpid()})
    print(set(allcores.map(slow, range(20))) == {os.getpid()})
    print(standby.why_not())
    """
    expected = "True\nTrue\nclean interpreters do not start\n"
    assert fresh(tmp_path, _flat(source)).out == expected


def test_libraries_are_imported_while_the_loop_runs_natively(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("print('imported')\n")
    source = """
    import numpy as np, own
    from allcores.libraries import libraries_of
    assert libraries_of(globals()) == ["numpy"], libraries_of(globals())
    def imported(x):
        time.sleep(0.001)
        return "numpy" in sys.modules, "own" in sys.modules, os.getpid()
    found = set()
    while not found:  # on a busy machine it may be over before they are ready
        found = set(allcores.map(imported, range(300))) - {(True, True, os.getpid())}
    print({each[:2] for each in found})
    """
    outcome = fresh(tmp_path, _flat(source), ALLCORES_FORCE="0")
    assert outcome.out == "imported\n{(True, False)}\n"


@pytest.mark.parametrize(
    ("start", "by_itself", "same"),
    [
        ("random", None, False),
        ("7", None, True),
        ("0", None, True),
        ("7", "8", False),
        ("random", "7", False),
    ],
)
def test_whether_clean_interpreters_hash_texts_alike(
    tmp_path: Path, start: str, by_itself: str | None, same: bool
) -> None:
    set_by_itself = f"os.environ['PYTHONHASHSEED'] = {by_itself!r}" if by_itself else ""
    source = f"""
    {set_by_itself}
    import subprocess
    said = subprocess.run(
        [sys.executable, "-c", "print(hash('text'))"], capture_output=True, text=True
    ).stdout
    print(int(said) == hash("text"), interpreters.same_hashes())
    """
    assert fresh(tmp_path, _flat(source), PYTHONHASHSEED=start).out == f"{same} {same}\n"


def test_the_lifeline_where_the_kernel_does_not_tell(tmp_path: Path) -> None:
    source = """
    life, line = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(line)
        from allcores.engine import orphans
        orphans.sys = type("", (), {"platform": "darwin"})
        del orphans.fcntl.F_SETSIG
        orphans.die_with(life)
        time.sleep(60)
    os.close(line)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """
    assert fresh(tmp_path, _flat(source)).out == "-9\n"


def test_lines_of_code_that_is_in_no_file(tmp_path: Path) -> None:
    """They come along with the code, so that one who notes them there is in nobody's way."""
    source = """
    import linecache, traceback
    from allcores import parallel
    text = "def f(x):\\n    return 1 / x\\n"
    linecache.cache["<made>"] = len(text), None, text.splitlines(True), "<made>"
    exec(compile(text, "<made>", "exec"))
    told = []
    for x in parallel([1, 0, 2, 0, 3], on="fresh", strict=True):
        try:
            told.append(f(x))
        except ZeroDivisionError:
            told.append(traceback.format_exc())
    print(told[1] == told[3], "return 1 / x" in told[1])
    """
    ended = fresh(tmp_path, _flat(source))
    assert ended.out == "True True\n", ended


def _flat(source: str) -> str:
    """Without the indentation of the test."""
    import textwrap

    return textwrap.dedent(source)
