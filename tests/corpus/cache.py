"""The packages' source distributions, unpacked in a folder outside the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.corpus.packages import Package


class Missing(Exception):
    """A package cannot be had; the text says why."""


def cache_folder() -> Path:
    """Where all that the corpus makes is kept, for this version of Python."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "allcores-corpus" / "{}.{}".format(*sys.version_info)


def folder_of(package: Package) -> Path:
    """Where the package is unpacked."""
    return cache_folder() / f"{package.name}-{package.version}"


def installed(package: Package) -> Path:
    """The folder with `source` and `site`, made if need be. Raises Missing."""
    folder = folder_of(package)
    # All that is below depends on what is asked for.
    wanted = repr((package.version, package.requires))
    mark = folder / "installed"
    if mark.exists() and mark.read_text() == wanted:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _unpack(package, folder / "source")
    (folder / "site").mkdir()
    if package.requires:
        _pip("install", "--no-deps", "--target", str(folder / "site"), *package.requires)
    mark.write_text(wanted)
    return folder


def _unpack(package: Package, into: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        what = f"{package.name}=={package.version}"
        _pip("download", "--no-deps", "--no-binary", ":all:", "--dest", name, what)
        archive = next(Path(name).glob("*.tar.gz"), None)
        if archive is None:
            raise Missing(f"{what} has no source distribution")
        with tarfile.open(archive) as tar:
            tar.extractall(name, filter="data")
        top = next(each for each in Path(name).iterdir() if each.is_dir())
        shutil.move(top, into)


def _pip(*args: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *args]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Missing(done.stderr.strip().splitlines()[-1] if done.stderr else " ".join(args))
