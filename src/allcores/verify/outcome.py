"""Running one script in a fresh process, and what it leaves."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from allcores.verify import child, folder, texts
from allcores.verify.child import Dump

_GRACE = 2.0
"""Seconds that processes which a script started have to end after it."""


@dataclass
class Outcome:
    """What a script left when it ended."""

    name: str
    code: int
    seconds: float
    out: list[str]
    err: list[str]
    dump: Dump | None
    files: dict[str, Path]
    timed_out: bool = False
    written: int = 0
    """How many files it made or changed."""
    script: str = ""
    """Where it was among the files."""
    lines: int = 0
    """How many it ended on stdout."""
    serial: tuple[str, ...] = ()
    """What it was warned of: loops marked `parallel` that ran serially."""

    def ending(self) -> str:
        """How it ended, in words."""
        if self.timed_out:
            return f"was stopped after {self.seconds:.0f} s"
        if self.code < 0:
            return f"was ended by {signal.Signals(-self.code).name}"
        last = next((line for line in reversed(self.err) if line.strip()), "")
        return f"ended with exit code {self.code}" + (f" ({last})" if self.code and last else "")


class Runner:
    """Runs scripts in copies of the working directory, one after the other in the same place."""

    def __init__(self, temporary: Path, *, copies: bool, only: Sequence[str]) -> None:
        self.temporary, self.copies, self.only = temporary, copies, only
        self.home = Path.cwd()
        self.place = temporary / "work" if copies else self.home
        self.number = 0
        self.stdin = self._keep_stdin()

    def run(
        self, script: Path, beside: Path, args: Sequence[str], timeout: float | None
    ) -> Outcome:
        """Run a script, which finds its own modules where `beside` does.

        Raises folder.CannotCopy.
        """
        self.number += 1
        stem = self.temporary / str(self.number)
        if self.copies:
            folder.copy(self.home, self.place, self.only)
        path, search = self._placed(script, beside)
        began = time.perf_counter()
        code, timed_out = self._execute(path, search, args, stem, timeout)
        seconds = time.perf_counter() - began
        outcome = Outcome(script.name, code, seconds, [], [], _dump_in(stem), {}, timed_out)
        self._read_streams(outcome, stem, path)
        if self.copies:
            kept = stem.with_suffix(".files")
            self.place.rename(kept)
            outcome.files = folder.contents(kept)
            outcome.written = sum(
                not os.path.lexists(self.home / name)
                or not folder.unchanged(self.home / name, path_)
                for name, path_ in outcome.files.items()
                if not path_.is_symlink()
            )
            outcome.script = os.path.relpath(path, self.place)
        return outcome

    def _placed(self, script: Path, beside: Path) -> tuple[Path, str]:
        """Where the script is run from, and a directory for it to find modules in as well."""
        here, there = self._within(script), self._within(beside)
        if here is not None:
            if not here.exists():
                here.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(script, here)
            return here, ""
        if there is not None and self.copies:
            # Written elsewhere, for this comparison: it belongs where the other one is.
            target = there.parent / script.name
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(script, target)
                return target, ""
        return script, str((there or beside).parent) if script.parent != beside.parent else ""

    def _within(self, script: Path) -> Path | None:
        try:
            return self.place / script.relative_to(self.home)
        except ValueError:
            return None

    def _execute(
        self, path: Path, search: str, args: Sequence[str], stem: Path, timeout: float | None
    ) -> tuple[int, bool]:
        shown = os.path.relpath(path, self.place) if self._inside(path) else str(path)
        command = [
            sys.executable,
            str(child.__file__),
            str(stem.with_suffix(".dump")),
            shown,
            *args,
        ]
        environment = {"PYTHONHASHSEED": "0", **os.environ, "PWD": str(self.place)}
        if search:
            parts = [search, environment.get("PYTHONPATH", "")]
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, parts))
        with (
            open(self.stdin or os.devnull, "rb") as given,
            open(stem.with_suffix(".out"), "wb") as out,
            open(stem.with_suffix(".err"), "wb") as err,
        ):
            # A group of its own, so that what it started can be ended with it.
            process = subprocess.Popen(
                command,
                cwd=self.place,
                env=environment,
                stdin=given,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            try:
                return process.wait(timeout), False
            except subprocess.TimeoutExpired:
                return -signal.SIGKILL, True
            finally:
                _end_group(process)

    def _inside(self, path: Path) -> bool:
        return path.is_relative_to(self.place)

    def _read_streams(self, outcome: Outcome, stem: Path, path: Path) -> None:
        for stream in ("out", "err"):
            raw = stem.with_suffix(f".{stream}").read_bytes()
            text = raw.decode("utf-8", "backslashreplace")
            if stream == "out":
                outcome.lines = text.count("\n")
            else:
                outcome.serial = tuple(texts.serial_warnings(text))
                text = texts.without_places(text, path.name)
            text = text.replace(str(path), "SCRIPT").replace(str(self.place), str(self.home))
            setattr(outcome, stream, texts.lines_of(text))

    def _keep_stdin(self) -> Path | None:
        """A file given as standard input is given to each run; nothing else is."""
        try:
            if not stat.S_ISREG(os.fstat(0).st_mode):
                return None
        except OSError:
            return None
        kept = self.temporary / "stdin"
        with open(kept, "wb") as file, open(0, "rb", closefd=False) as given:
            shutil.copyfileobj(given, file)
        return kept


def _dump_in(stem: Path) -> Dump | None:
    try:
        dump = pickle.loads(stem.with_suffix(".dump").read_bytes())
    except (OSError, EOFError, pickle.UnpicklingError):
        return None
    assert isinstance(dump, Dump)
    return dump


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started, once they had a moment to end by themselves."""
    deadline = time.monotonic() + (_GRACE if process.poll() is not None else 0)
    while time.monotonic() < deadline:
        try:
            os.killpg(process.pid, 0)
        except OSError:
            return
        time.sleep(0.01)
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        pass
    process.wait()
