"""Nobody else can listen to workers or talk to them, and nothing is left where others can read it."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import allcores
from allcores import parallel
from allcores.engine import journal
from allcores.engine.failures import JournalError
from allcores.engine.private_files import private_folder
from tests.same import forced

Seen = tuple[list[str], list[str]]


def entries(table: str) -> list[list[str]]:
    """The lines of a table of /proc/net, without its head."""
    return [line.split() for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]


def descriptors(pid: int) -> dict[str, str]:
    """What a process has open: the name of each, by number."""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[fd] = os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:
            continue
    return found


def reachable(pid: int) -> list[str]:
    """What others could connect to: listening, named or network sockets of a process."""
    own = {re.sub(r"\D", "", name) for name in descriptors(pid).values() if "socket:" in name}
    found = []
    for table in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6"):
        found += [f"{table} {e}" for e in entries(table) if e[9] in own]
    for entry in entries("unix"):
        flags, inode, name = int(entry[3], 16), entry[6], entry[7:]
        if inode in own and (flags & 0x10000 or name):  # SO_ACCEPTCON: it listens
            found.append(f"unix {entry}")
    return found


def files(pid: int) -> list[str]:
    """Files of a process that others could open: by name, or through an open mode."""
    found = []
    for fd, name in descriptors(pid).items():
        if name.startswith(("/proc", "/dev/null", "/dev/pts", "socket:", "pipe:", "anon_inode:")):
            continue
        mode = stat.S_IMODE(os.stat(f"/proc/{pid}/fd/{fd}").st_mode)
        if name == os.getcwd():
            continue  # clean interpreters are told by a descriptor where the program is
        if not name.startswith("/memfd:") or mode & 0o077:
            found.append(f"{name} {mode:o}")
    return found


def seen(before: set[str]) -> Seen:
    """What of this process and of its workers others can reach or open that was not there before."""
    family = [os.getpid(), *workers()]
    sockets = [s for pid in family for s in reachable(pid)]
    opened = [f for pid in family for f in files(pid)]
    return [s for s in sockets if s not in before], [f for f in opened if f not in before]


def workers() -> list[int]:
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in children]


def image(x: int) -> np.ndarray:
    """Big enough for a memory file."""
    return np.full(40_000, float(x))


class Look:
    """Something that a commit calls, so that it is called while workers are there."""

    def __init__(self) -> None:
        self.found: list[Seen] = []
        self.counts: list[int] = []
        self.before: set[str] = set()

    def write(self, text: str) -> None:
        self.counts.append(len(workers()))
        if len(self.counts) in (2, 7):
            self.found.append(seen(self.before))


def by_loop(look: Look) -> None:
    for x in parallel(range(8), chunk=1):
        found = image(x)
        print(found[0], file=look)


def by_imap(look: Look) -> None:
    for found in allcores.imap(image, iter(range(8))):
        look.write(f"{found[0]}")


def by_pool(look: Look) -> None:
    with allcores.Pool(2) as pool:
        for found in pool.imap(image, iter(range(8))):
            look.write(f"{found[0]}")


def by_executor(look: Look) -> None:
    with allcores.Executor(2) as executor:
        for found in executor.map(image, range(8)):
            look.write(f"{found[0]}")


@pytest.mark.parametrize("way", [by_loop, by_imap, by_pool, by_executor])
def test_nobody_else_can_reach_the_workers(
    way: Callable[[Look], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    look = Look()
    sockets, opened = seen(set())
    look.before = {*sockets, *opened}
    shared = set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()
    with forced(WORKERS="2"):
        way(look)
    assert len(look.found) == 2
    processes = 1 if os.environ.get("ALLCORES_ON") == "threads" else 2
    assert max(look.counts) >= processes, "no workers were there to be looked at"
    assert [f for f in look.found if f != ([], [])] == []
    mine = {n for n in set(os.listdir("/dev/shm")) - shared if "allcores" in n}
    assert mine == set()
    assert list(tmp_path.iterdir()) == []


def test_programs_that_are_started_inherit_nothing(tmp_path: Path) -> None:
    """Sockets and pipes of workers are closed in what the program, or a worker, starts."""
    code = "import os; print(sorted(os.listdir('/proc/self/fd')))"

    def inherited() -> str:
        command = [sys.executable, "-c", code]
        return subprocess.run(command, close_fds=False, capture_output=True, text=True).stdout

    alone = inherited()
    with allcores.Pool(2) as pool:
        assert pool.apply(abs, (-1,)) == 1
        assert inherited() == alone
        assert pool.apply(inherited) == alone


# -- what strangers may have put beside a journal


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Path]:
    """A journal, as a run has left it."""
    path = tmp_path / "kept"
    journal.journal_at(str(path))
    journal.close_all()
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]
    yield path
    journal.close_all()


def rollback_of(kept: Path, folder: Path) -> bytes:
    """What SQLite would take for a change of that database that was not finished, and take back."""
    other = folder / "other"
    shutil.copy(kept, other)
    base = sqlite3.connect(other, isolation_level=None)
    base.execute("PRAGMA journal_mode = DELETE")
    base.execute("INSERT INTO entries VALUES(7, 'evil', 0, 0, '', '{}')")
    base.execute("PRAGMA cache_size = 1")
    base.execute("BEGIN")
    base.execute("DELETE FROM entries")
    base.execute("CREATE TABLE big AS SELECT zeroblob(1000000)")
    data = (folder / "other-journal").read_bytes()
    base.execute("ROLLBACK")
    base.close()
    return data


def entries_of(path: Path) -> list[str]:
    return [row[0] for row in journal.journal_at(str(path)).run("SELECT site FROM entries")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's files")
def test_a_folder_that_another_user_has_put_there_is_refused(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    private_folder(str(mine))
    assert mine.stat().st_mode & 0o777 == 0o700
    link = tmp_path / "link"
    link.symlink_to(mine)
    private_folder(str(link))
    os.chown(link, 12345, -1, follow_symlinks=False)
    with pytest.raises(JournalError, match="another user made"):
        private_folder(str(link))
    os.chown(mine, 12345, -1)
    with pytest.raises(JournalError, match="belongs to another user"):
        private_folder(str(mine))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's files")
def test_what_another_user_put_beside_a_journal_is_refused(kept: Path, tmp_path: Path) -> None:
    planted = tmp_path / "kept-journal"
    planted.write_bytes(rollback_of(kept, tmp_path))
    whole = kept.read_bytes()
    os.chown(planted, 12345, -1)
    with pytest.raises(JournalError, match="kept-journal belongs to another user"):
        journal.journal_at(str(kept))
    assert kept.read_bytes() == whole
    # It would have been believed.
    os.chown(planted, os.geteuid(), -1)
    planted.chmod(0o600)
    assert entries_of(kept) == ["evil"]


def test_a_folder_where_others_may_replace_files_is_refused(kept: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(JournalError, match="folder of your own"):
        journal.journal_at(str(kept))
    tmp_path.chmod(0o1777)
    assert entries_of(kept) == []


@pytest.mark.parametrize("ending", ["-journal", "-wal", "-shm"])
def test_links_beside_a_journal_are_not_followed(kept: Path, tmp_path: Path, ending: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    victim.chmod(0o600)
    planted = tmp_path / f"kept{ending}"
    planted.symlink_to(victim)
    with pytest.raises(JournalError, match="symbolic link"):
        journal.journal_at(str(kept))
    planted.unlink()
    planted.hardlink_to(victim)
    with pytest.raises(JournalError, match="hard link"):
        journal.journal_at(str(kept))
    planted.unlink()
    assert victim.read_text() == "precious"
    assert entries_of(kept) == []
