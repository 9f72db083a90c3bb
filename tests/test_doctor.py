"""`allcores doctor`: what it finds out, of this machine and of what programs import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from allcores.doctor import imports_of, looked_at_in_child
from allcores.show.doctor import lines_of

linux = pytest.mark.skipif(sys.platform != "linux", reason="forks are made on Linux")


def doctor(*args: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "allcores", "doctor", *args],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        timeout=60,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A program, and modules that it imports."""
    (tmp_path / "quiet.py").write_text("print('nobody reads this')\n")
    (tmp_path / "beats.py").write_text(
        "import threading\n"
        "def beat():\n"
        "    threading.Event().wait()\n"
        "threading.Thread(target=beat, name='heart', daemon=True).start()\n"
    )
    (tmp_path / "broken.py").write_text("raise OSError('no licence')\n")
    (tmp_path / "ends.py").write_text("import os; os._exit(3)\n")
    (tmp_path / "program.py").write_text(
        "import os, quiet\nimport beats\nprint('it is run')\ndef f():\n    import broken\n"
    )
    return tmp_path


@linux
def test_this_machine_and_a_program(folder: Path) -> None:
    done = doctor("--json", "program.py", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    facts = json.loads(done.stdout)
    assert facts["python"]["version"].startswith(f"3.{sys.version_info[1]}.")
    assert facts["cores"]["usable"] >= 1
    assert facts["cores"]["limits"][0]["cores"] <= facts["cores"]["limits"][-1]["cores"]
    assert "allcores" in facts["versions"]
    assert 0 < facts["memory"]["free"] <= facts["memory"]["total"]
    assert facts["memory_files"]["memfd"]
    assert facts["ways"]["fork"]["why_not"] is None
    assert 0 < facts["ways"]["fork"]["seconds"] < 10
    assert facts["ways"]["fresh"]["why_not"] is None
    assert 0 < facts["ways"]["fresh"]["seconds"] < 30
    assert facts["default"]["way"] in ("fork", "threads")
    quiet, beats = facts["imports"]
    assert (quiet["module"], quiet["fork_safe"], quiet["findings"]) == ("quiet", True, [])
    assert (beats["module"], beats["fork_safe"]) == ("beats", False)
    assert "'heart' (beats.beat)" in beats["findings"][0]["what"]


@linux
def test_in_words(folder: Path) -> None:
    done = doctor("--import", "quiet,beats,broken", "--import=ends", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    text = done.stdout
    assert text.startswith("This machine\n    allcores ")
    assert "this decides" in text
    assert "\n    fork          yes, " in text
    assert " ms until the first can begin" in text
    assert "\n    quiet         yes\n" in text
    assert "\n    beats         no\n" in text
    assert "thread 'heart' (beats.beat): a forked worker could wait for it for ever" in text
    assert "\n    broken        OSError: no licence\n" in text
    assert "\n    ends          it ended Python\n" in text
    assert "it is run" not in text and "nobody reads this" not in text


@linux
def test_a_module_by_its_name(folder: Path) -> None:
    package = folder / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text("from . import part\nimport quiet\n")
    (package / "part.py").write_text("import beats\n")
    done = doctor("--json", "-m", "package", cwd=folder)
    found = [(each["module"], each["fork_safe"]) for each in json.loads(done.stdout)["imports"]]
    assert found == [("package.part", False), ("quiet", False)]


def test_bad_input(folder: Path) -> None:
    (folder / "bad.py").write_text("for\n")
    for args, why in {
        ("nothing.py",): "nothing.py cannot be read: No such file",
        ("bad.py",): "bad.py, line 1, is not valid Python",
        ("-m", "nothing"): "there is no module nothing",
        ("-m", "os", "program.py"): "not both",
    }.items():
        done = doctor(*args, cwd=folder)
        assert (done.returncode, done.stdout) == (2, ""), done
        assert why in done.stderr


@linux
def test_the_threads_of_libraries_that_are_not_started_yet(tmp_path: Path) -> None:
    """What a module will start once it is used is said as well."""
    (tmp_path / "grpc.py").write_text("")
    [found] = looked_at_in_child(["grpc"], str(tmp_path))
    assert found["fork_safe"] is True
    assert found["once_used"]["threads"] == "gRPC" and not found["once_used"]["safe"]


def test_which_imports_count() -> None:
    source = """
import os, numpy as np
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import polars
else:
    import pandas
try:
    import ujson as json
except ImportError:
    import json
from . import near
from .. import far
from ..other.place import thing
class C:
    import inside
    def f(self):
        import later
"""
    assert imports_of(source, "top.package") == [
        "numpy",
        "pandas",
        "ujson",
        "top.package.near",
        "top.far",
        "top.other.place",
        "inside",
    ]


def test_a_machine_where_nothing_can_be_told() -> None:
    """Windows, macOS: what is not there is said, and nothing fails."""
    no: dict[str, Any] = {"why_not": "forked workers need Linux for now", "seconds": None}
    facts = {
        "python": {"version": "3.13.0", "implementation": "PyPy", "gil": False},
        "platform": {"system": "Plan 9", "release": "", "machine": "mips", "libc": ""},
        "versions": {},
        "cores": {"usable": 4, "limits": [{"name": "cores of this machine", "cores": 4}]},
        "memory": {"free": None, "total": None, "limits": []},
        "memory_files": {"memfd": False, "shm_free": None},
        "ways": {"fork": no, "fresh": no, "threads": no},
        "default": {"way": "fork", "why": "", "why_not": "forked workers need Linux for now"},
        "findings": [],
        "imports": [],
    }
    text = "\n".join("".join(piece for piece, _ in line) for line in lines_of(facts))
    assert "Plan 9 mips" in text
    assert "none, and run serially: forked workers need Linux" in text
