"""examples/cheatsheet.ipynb runs in a real Jupyter kernel, and gives the outputs it is saved with."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BOOK = Path(__file__).resolve().parent.parent / "examples" / "cheatsheet.ipynb"


def here(need: str | None) -> bool:
    """Whether what a cell needs, a command or a name in allcores, is there."""
    import allcores
    from allcores.cli import allcores as command

    return need is None or need in command.commands or hasattr(allcores, need)


def said(cell: Any) -> str:
    """What a cell printed and gave, as it is saved."""
    parts = [o.get("text") or o.get("data", {}).get("text/plain", "") for o in cell.outputs]
    return re.sub("\x1b\\[\\d*m", "", "".join(parts)).replace("\r\n", "\n")


def test_the_notebook_of_the_recipe(tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    from jupyter_client.manager import AsyncKernelManager

    class Here(AsyncKernelManager):
        def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
            return [sys.executable, "-m", "ipykernel_launcher", "-f", self.connection_file]

    book = nbformat.read(BOOK, as_version=4)
    nbformat.validate(book)
    book.cells = [cell for cell in book.cells if here(cell.metadata.get("needs"))]
    saved = {cell.id: said(cell) for cell in book.cells if cell.cell_type == "code"}
    client = nbclient.NotebookClient(
        book,
        timeout=60,
        kernel_manager_class=Here,
        resources={"metadata": {"path": str(tmp_path)}},
    )
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    variables = {"PATH": path, "IPYTHONDIR": str(tmp_path / ".ipython"), "NO_COLOR": "1"}
    client.execute(env={**os.environ, **variables})
    for cell in book.cells:
        if cell.cell_type == "code" and not cell.metadata.get("varies"):
            assert said(cell) == saved[cell.id], cell.source
    last = [cell for cell in book.cells if cell.metadata.get("varies")][-1]
    assert said(last).startswith("4732320\nallcores: my_loop.py:15  2,000 iterations")


def test_the_commands_of_the_notebook_are_those_of_the_page() -> None:
    """No step is left out: each command and call of docs/recipe.md is in the notebook."""
    source = BOOK.read_text()
    page = (BOOK.parent.parent / "docs" / "recipe.md").read_text()
    for word in ("find", "explain", "convert", "verify", "run"):
        assert f"allcores {word}" in source
        assert f"allcores {word}" in page
    for word in ("parallel", "partial", "Pool", "allcores.map"):
        assert word in source
        assert word in page


def test_the_loop_is_on_the_line_that_the_cells_name(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    book = nbformat.read(BOOK, as_version=4)
    script = book.cells[1].source.partition("\n")[2]
    (tmp_path / "my_loop.py").write_text(script)
    assert script.splitlines()[14] == "for a, b in zip(avalues, bvalues):"
    done = subprocess.run(
        [sys.executable, "my_loop.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "4732320\n"
