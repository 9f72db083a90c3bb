"""Debuggers land in the user's own code: pdb, and IPython's %debug."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PROGRAM = """
    import allcores
    from allcores import parallel

    LIMIT = 3

    def check(x, name="n"):
        if x == LIMIT:
            raise ValueError(name, x)
        return x

    def loop():
        out = []
        for x in parallel(range(6)):
            out.append(check(x))

    def collected():
        out = []
        loop = parallel(range(6), on_error="collect")
        for x in loop:
            out.append(check(x))
        raise loop.errors[0].exception

    def mapped():
        allcores.map(check, range(6))

    def pooled():
        with allcores.Pool(2) as pool:
            pool.map(check, range(6))

    def submitted():
        with allcores.Executor(2) as executor:
            executor.submit(check, 3).result()
    """
WAYS = ("loop", "collected", "mapped", "pooled", "submitted")


def ended(command: list[str], folder: Path, said: str) -> str:
    environment = {"ALLCORES_FORCE": "1", "ALLCORES_WORKERS": "2", "PYTHONWARNINGS": "ignore"}
    import os

    done = subprocess.run(
        command,
        cwd=folder,
        input=said,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )
    return done.stdout + done.stderr


def test_pdb(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))
    (tmp_path / "debug.py").write_text(
        textwrap.dedent(f"""
            import pdb, sys, program
            for way in {WAYS}:
                print("WAY", way)
                try:
                    getattr(program, way)()
                except ValueError:
                    pdb.post_mortem(sys.exc_info()[2])
            """)
    )
    said = ended([sys.executable, "debug.py"], tmp_path, "p x, name, LIMIT\nup\np x\nq\n" * 5)
    for part in said.split("WAY ")[1:]:
        assert "program.py(9)check()" in part, part
        assert "-> raise ValueError(name, x)" in part, part
        assert "(3, 'n', 3)" in part, part
        if part.startswith(("loop", "collected")):
            assert "-> out.append(check(x))" in part and "(Pdb) 3" in part, part


@pytest.mark.parametrize("way", ["loop", "mapped"])
def test_debug_in_ipython(tmp_path: Path, way: str) -> None:
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))
    said = ended(
        [sys.executable, "-m", "IPython", "--simple-prompt", "--colors=NoColor"],
        tmp_path,
        f"import program\nprogram.{way}()\n%debug\np x, name\nq\nexit\n",
    )
    assert "raise ValueError(name, x)" in said.partition("%debug")[2] or "ipdb>" in said
    assert "(3, 'n')" in said, said
