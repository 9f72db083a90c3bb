"""Copies of the working directory, and what a program changed in one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

LEFT_OUT = frozenset(
    ".git .hg .svn __pycache__ node_modules .tox .nox .mypy_cache .ruff_cache .pytest_cache "
    ".hypothesis .ipynb_checkpoints .eggs .cache".split()
)
"""Directories that programs do not work with, and that are often big."""
MOST_BYTES = 1 << 30
MOST_FILES = 100_000


class CannotCopy(Exception):
    """A directory that is not copied unasked, or not there; the text is a sentence for the user."""


def copy(source: Path, target: Path, only: Sequence[str] = ()) -> None:
    """Copy a directory's files, or only those at or below the paths in `only`.

    Links stay links, and lead to what they led to. Version control, virtual environments, caches
    and what cannot be read are left out. Raises CannotCopy before anything is copied.
    """
    paths = list(_below(source, only))
    _refuse_what_is_big(source, paths)
    target.mkdir()
    for path in paths:
        there = target / path.relative_to(source)
        there.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            _copy_link(path, there, source)
        elif path.is_dir():
            there.mkdir(exist_ok=True)
        elif path.is_file():
            try:
                shutil.copy2(path, there)
            except PermissionError:
                continue


def _copy_link(path: Path, there: Path, source: Path) -> None:
    leads_to = os.readlink(path)
    real = os.path.normpath(path.parent / leads_to)
    inside = real.startswith(str(source) + os.sep)
    os.symlink(os.path.relpath(real, path.parent) if inside else real, there)


def _below(source: Path, only: Sequence[str]) -> Iterator[Path]:
    for root in [Path(os.path.normpath(source / each)) for each in only] or [source]:
        if not root.is_relative_to(source) or not os.path.lexists(root):
            raise CannotCopy(f"there is no {os.path.relpath(root)} in the working directory")
        if not root.is_dir():
            yield root
            continue
        for directory, names, files in os.walk(root):
            here = Path(directory)
            names[:] = sorted(name for name in names if _kept(here / name))
            yield from (here / name for name in (*names, *sorted(files)))


def _kept(directory: Path) -> bool:
    return directory.name not in LEFT_OUT and not (directory / "pyvenv.cfg").exists()


def _refuse_what_is_big(source: Path, paths: list[Path]) -> None:
    size = sum(path.lstat().st_size for path in paths if not path.is_dir())
    if size <= MOST_BYTES and len(paths) <= MOST_FILES:
        return
    many = f"{len(paths):,} files of together {size / 1e9:.1f} GB"
    raise CannotCopy(
        f"{source} holds {many}, and would be copied for each run. Say which of them the scripts "
        "need with `--only PATH` (it may be given several times), or run in the directory itself "
        "with `--no-copy`"
    )


def contents(directory: Path) -> dict[str, Path]:
    """The files and links below a directory, by their path in it."""
    return {
        str(path.relative_to(directory)): path
        for path in _below(directory, ())
        if path.is_symlink() or not path.is_dir()
    }


def state_of(path: Path) -> bytes:
    """What a file holds, or where a link leads."""
    if path.is_symlink():
        return b"a link to " + os.fsencode(os.readlink(path))
    return path.read_bytes() if path.is_file() else b"neither a file nor a directory"


def unchanged(a: Path, b: Path) -> bool:
    """Whether a script can have touched neither of two copies: they are as old as the original."""
    x, y = a.lstat(), b.lstat()
    return (x.st_size, x.st_mtime_ns, x.st_mode) == (y.st_size, y.st_mtime_ns, y.st_mode)
