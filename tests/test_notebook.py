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


def execute(book: Any, folder: Path) -> None:
    """Run a notebook in a real kernel of this Python."""
    import nbclient
    from jupyter_client.manager import AsyncKernelManager

    class Here(AsyncKernelManager):
        def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
            return [sys.executable, "-m", "ipykernel_launcher", "-f", self.connection_file]

    client = nbclient.NotebookClient(
        book,
        timeout=60,
        kernel_manager_class=Here,
        resources={"metadata": {"path": str(folder)}},
    )
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    variables = {"PATH": path, "IPYTHONDIR": str(folder / ".ipython"), "NO_COLOR": "1"}
    client.execute(env={**os.environ, **variables})


SAYS = """
import logging, sys, warnings
from allcores import parallel
logging.basicConfig(format="%(message)s", stream=sys.stdout, force=True)
def work(x):
    print("out", x, flush=True)
    print("err", x, file=sys.stderr)
    logging.warning("log %s", x)
    warnings.warn("the same")
    return x * x
total = 0
for x in PARALLEL(range(8)):
    print("begin", x)
    total += work(x)
print(total)
"""


def test_what_called_functions_say_in_a_notebook(tmp_path: Path) -> None:
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    nbformat = pytest.importorskip("nbformat")
    book = nbformat.v4.new_notebook()
    forced = "import os; os.environ['ALLCORES_FORCE'] = '1'"
    book.cells = [nbformat.v4.new_code_cell(forced)]
    for word in ("", "parallel"):
        book.cells.append(nbformat.v4.new_code_cell(SAYS.replace("PARALLEL", word)))
    reports = """
import allcores.loop
allcores.loop.listeners.append(lambda report: print(report.in_workers))
for x in parallel(range(8)):
    y = work(x)
"""
    book.cells.append(nbformat.v4.new_code_cell(reports))
    execute(book, tmp_path)
    _, plain, ours, last = book.cells

    def streams(cell: Any) -> dict[str, str]:
        found = {"stdout": "", "stderr": ""}
        for o in cell.outputs:
            found[o["name"]] += re.sub(r"/[^:]*ipykernel_\d+/\d+", "CELL", o["text"])
        return found

    assert streams(plain)["stdout"].startswith("begin 0\nout 0\nlog 0\nbegin 1\n")
    assert streams(plain)["stderr"].count("the same") == 2  # its text, and its line
    assert streams(ours) == streams(plain)
    assert streams(last)["stdout"].endswith("log 7\n8\n")


def test_the_notebook_of_the_recipe(tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    book = nbformat.read(BOOK, as_version=4)
    nbformat.validate(book)
    book.cells = [cell for cell in book.cells if here(cell.metadata.get("needs"))]
    saved = {cell.id: said(cell) for cell in book.cells if cell.cell_type == "code"}
    execute(book, tmp_path)
    for cell in book.cells:
        if cell.cell_type == "code" and not cell.metadata.get("varies"):
            assert said(cell) == saved[cell.id], cell.source
    last = [cell for cell in book.cells if cell.metadata.get("varies")][-1]
    told = ["allcores: my_loop.py:15  2,000 iterations"]
    if os.environ.get("ALLCORES_ON") == "fresh":
        # The loop may be over before clean interpreters have started.
        told.append("allcores: no loop ran long enough for workers to gain anything\n")
    assert said(last).startswith(tuple(f"4732320\n{text}" for text in told))


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
