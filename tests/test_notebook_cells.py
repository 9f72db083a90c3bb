"""Cells of a notebook, in a real Jupyter kernel; and IPython at a terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ipykernel")
pytest.importorskip("nbclient")

FIRST_CELL = """
from allcores import parallel
import allcores.loop
seen = []
allcores.loop.listeners.append(lambda report: seen.append(report.in_workers))
def in_workers():
    found = sum(seen)
    seen.clear()
    return found
"""


class Kernel:
    """A kernel of this Python, and what its cells give."""

    def __init__(self, folder: Path, on: str) -> None:
        from jupyter_client.manager import KernelManager

        class Here(KernelManager):
            def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
                return [sys.executable, "-m", "ipykernel_launcher", "-f", self.connection_file]

        given = {**os.environ, "ALLCORES_FORCE": "1", "ALLCORES_WORKERS": "2", "NO_COLOR": "1"}
        if on:
            given["ALLCORES_ON"] = on
        self.fresh = given.get("ALLCORES_ON") == "fresh"
        self.manager = Here()
        self.said = (folder / "kernel.err").open("w+")
        given["IPYTHONDIR"] = str(folder / ".ipython")
        self.manager.start_kernel(env=given, cwd=str(folder), stderr=self.said)
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self.pid: int = self.manager.provisioner.pid  # type: ignore[union-attr]

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.said.close()

    def run(self, cell: str) -> list[tuple[str, str]]:
        """The outputs of a cell, in order: what kind, and the text; neighbours of a kind are one."""
        found: list[tuple[str, str]] = []

        def note(message: Any) -> None:
            kind, text = output_of(message)
            if found and found[-1][0] == kind and kind.startswith("std"):
                found[-1] = kind, found[-1][1] + text
            elif kind:
                found.append((kind, text))

        self.client.execute_interactive(cell, output_hook=note, timeout=60, allow_stdin=False)
        return found

    def printed(self, cell: str) -> str:
        """What a cell printed, if that is all it did."""
        outputs = self.run(cell)
        assert all(kind == "stdout" for kind, _ in outputs), outputs
        return "".join(text for _, text in outputs)

    def children(self) -> list[int]:
        """The processes that the kernel has made and that are still there."""
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            found += [int(name)] if int(fields[1]) == self.pid and fields[0] != "Z" else []
        return found


def output_of(message: Any) -> tuple[str, str]:
    content = message["content"]
    if message["msg_type"] == "stream":
        return content["name"], content["text"]
    if message["msg_type"] in ("display_data", "execute_result", "update_display_data"):
        return message["msg_type"], content["data"].get("text/plain", "")
    if message["msg_type"] == "error":
        return "error", re.sub("\x1b\\[[\\d;]*m", "", "\n".join(content["traceback"]))
    return "", ""


@pytest.fixture(scope="module", params=["", "fresh"])
def kernel(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kernel]:
    kernel = Kernel(tmp_path_factory.mktemp("kernel"), request.param)
    kernel.run(FIRST_CELL)
    yield kernel
    kernel.close()


@pytest.fixture(autouse=True)
def none_seen(request: pytest.FixtureRequest) -> None:
    if "kernel" in request.fixturenames:
        request.getfixturevalue("kernel").run("seen.clear()")


LOOP = """
out = []
for x in parallel(range(8)):
    y = f(x)
    out.append(y)
print(out, x, y, in_workers())
"""


def test_a_function_defined_anew_in_an_earlier_cell(kernel: Kernel) -> None:
    kernel.run("def f(x): return x + 1")
    assert kernel.printed(LOOP) == "[1, 2, 3, 4, 5, 6, 7, 8] 7 8 8\n"
    kernel.run("def f(x): return x * 10")
    assert kernel.printed(LOOP) == "[0, 10, 20, 30, 40, 50, 60, 70] 7 70 8\n"
    assert kernel.printed(LOOP) == "[0, 10, 20, 30, 40, 50, 60, 70] 7 70 8\n"


def test_modules_that_another_cell_has_imported(kernel: Kernel) -> None:
    waits = LOOP.replace("y = f(x)", "{}\n    y = x")
    kernel.run("import time\nfrom time import sleep\ndef wait(): time.sleep(0.001)")
    for call in ("time.sleep(0.001)", "sleep(0.001)", "wait()"):
        assert kernel.printed(waits.format(call)) == "[0, 1, 2, 3, 4, 5, 6, 7] 7 7 8\n"
    kernel.run("class Clock:\n    n = 0\n    def sleep(self, s): self.n += 1\ntime = Clock()")
    outputs = kernel.run(waits.format("time.sleep(0.001)") + "print(time.n)")
    assert ("stdout", "[0, 1, 2, 3, 4, 5, 6, 7] 7 7 0\n8\n") in outputs


def test_a_cell_with_another_body(kernel: Kernel) -> None:
    kernel.run("def f(x): return x")
    assert kernel.printed(LOOP) == "[0, 1, 2, 3, 4, 5, 6, 7] 7 7 8\n"
    edited = LOOP.replace("y = f(x)", "y = f(x) - 1")
    assert kernel.printed(edited) == "[-1, 0, 1, 2, 3, 4, 5, 6] 7 6 8\n"
    assert kernel.printed(LOOP) == "[0, 1, 2, 3, 4, 5, 6, 7] 7 7 8\n"


def test_a_class_defined_anew_while_there_are_instances_of_the_old_one(kernel: Kernel) -> None:
    kernel.run("class Model:\n    def at(self, x): return x + 1\nold = Model()")
    kernel.run("class Model:\n    def at(self, x): return x * 100\nnew = Model()")
    both = """
out = []
for x in parallel(range(3)):
    out.append((old.at(x), new.at(x), Model().at(x), isinstance(old, Model)))
print(out, in_workers())
"""
    expected = [(x + 1, x * 100, x * 100, False) for x in range(3)]
    assert kernel.printed(both) == f"{expected} 3\n"


def test_instances_made_in_workers_are_of_the_class_that_the_cells_have(kernel: Kernel) -> None:
    kernel.run("class Point:\n    def __init__(self, x): self.x = x")
    made = """
points = []
for x in parallel(range(3)):
    points.append(Point(x))
print([type(p) is Point for p in points], [p.x for p in points], in_workers())
"""
    assert kernel.printed(made) == "[True, True, True] [0, 1, 2] 3\n"


def test_output_is_in_the_cell_in_order(kernel: Kernel) -> None:
    cell = """
import logging, sys
from IPython.display import display, HTML
logging.basicConfig(format="%(message)s", stream=sys.stdout, force=True)
def show(x):
    print("in", x)
    display(x * 100)
    return x
for x in PARALLEL(range(3)):
    print("begin", x)
    y = show(x)
    display(HTML(f"<b>{y}</b>"))
    logging.warning("log %s", x)
"""
    plain = kernel.run(cell.replace("PARALLEL", ""))
    assert ("display_data", "200") in plain
    assert kernel.run(cell.replace("PARALLEL", "parallel")) == plain
    # Clean interpreters have no IPython, so what displays something is left to the plain loop.
    assert kernel.printed("print(in_workers())") == ("0\n" if kernel.fresh else "3\n")


def test_standard_error(kernel: Kernel) -> None:
    cell = """
import sys
for x in parallel(range(3)):
    print("out", x)
    print("err", x, file=sys.stderr)
"""
    outputs = kernel.run(cell)
    # What both streams are given goes to the page now and then, in one piece or in several.
    for kind, begin in (("stdout", "out"), ("stderr", "err")):
        text = "".join(text for each, text in outputs if each == kind)
        assert text == f"{begin} 0\n{begin} 1\n{begin} 2\n"


def test_displays_that_are_changed_and_cleared(kernel: Kernel) -> None:
    cell = """
from IPython.display import clear_output, display, update_display
handle = display("first", display_id="one")
for x in parallel(range(3)):
    update_display(x * 10, display_id="one")
    clear_output(wait=True)
"""
    updates = [("update_display_data", str(x * 10)) for x in range(3)]
    assert kernel.run(cell) == [("display_data", "'first'"), *updates]


def test_what_is_captured(kernel: Kernel) -> None:
    kernel.run("%%capture caught\nfor x in parallel(range(3)):\n    print(x)\n    display(x)")
    given = kernel.printed("print(repr(caught.stdout), [o.data for o in caught.outputs])")
    data = [{"text/plain": str(x)} for x in range(3)]
    assert given == f"{'0' + chr(10) + '1' + chr(10) + '2' + chr(10)!r} {data}\n"


@pytest.mark.parametrize("module", ["tqdm", "tqdm.auto"])
def test_progress_bars(kernel: Kernel, module: str) -> None:
    pytest.importorskip("tqdm")
    cell = f"""
import warnings
warnings.filterwarnings("ignore", module="tqdm")
from {module} import tqdm
out = []
for x in parallel(tqdm(range(8))):
    out.append(x * x)
print(out, in_workers())
"""
    outputs = kernel.run(cell)
    errors = "".join(text for kind, text in outputs if kind == "stderr")
    assert "8/8" in errors
    assert "Warning" not in errors.replace("TqdmWarning", "")
    assert ("stdout", f"{[x * x for x in range(8)]} 8\n") in outputs


def test_an_exception(kernel: Kernel) -> None:
    outputs = kernel.run(
        "for x in parallel(range(4)):\n    if x == 2: raise ValueError(x)\n    y = x * 5"
    )
    assert [kind for kind, _ in outputs] == ["error"]
    assert "----> 2     if x == 2: raise ValueError(x)" in outputs[0][1]
    assert "allcores" not in outputs[0][1]
    assert kernel.printed("print(x, y)") == "2 5\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_interrupting_a_cell(kernel: Kernel) -> None:
    kernel.run("import time\ndef nap(x):\n    time.sleep(0.02)\n    return x\nin_workers()")
    standing_by = set(kernel.children())
    kernel.client.execute("""
out = []
for x in parallel(range(4000), chunk=1):
    out.append(nap(x))
    if x == 3: print("begun", flush=True)
""")
    kinds, texts = [], []
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        message = kernel.client.get_iopub_msg(timeout=60)
        kind, text = output_of(message)
        if text == "begun\n":
            kernel.manager.interrupt_kernel()
        if kind:
            kinds.append(kind)
            texts.append(text)
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            break
    kernel.client.get_shell_msg(timeout=60)
    assert kinds == ["stdout", "error"], texts
    assert "KeyboardInterrupt" in texts[1]
    assert "allcores" not in texts[1]
    left = kernel.printed("print(out == list(range(len(out))), 4 <= len(out) < 4000)")
    assert left == "True True\n"
    assert kernel.printed("print(x - len(out) in (-1, 0), in_workers() > 0)") == "True True\n"
    # Clean interpreters are to stay for the next loop; those that were at work are gone.
    assert len(set(kernel.children()) - standing_by) <= (2 if kernel.fresh else 0)
    kernel.run("def f(x): return x")
    assert kernel.printed(LOOP) == "[0, 1, 2, 3, 4, 5, 6, 7] 7 7 8\n"


def test_cells_that_await(kernel: Kernel) -> None:
    cell = """
import asyncio
await asyncio.sleep(0)
out = []
for x in parallel(range(4)):
    out.append(x * 3)
await asyncio.sleep(0)
async def inside():
    found = []
    for x in parallel(range(4)):
        found.append(x * 5)
    await asyncio.sleep(0)
    return found
print(out, await inside(), in_workers())
"""
    assert kernel.printed(cell) == "[0, 3, 6, 9] [0, 5, 10, 15] 8\n"


MAGICS = {
    "%time": "%time for x in parallel(range(4)): z = x * 2",
    "%%time": "%%time\nfor x in parallel(range(4)):\n    z = x * 2\nz",
    "%timeit": "%timeit -n1 -r1 for x in parallel(range(4)): z = x * 2",
    "%%timeit": "%%timeit -n1 -r1 k = 3\nfor x in parallel(range(4)):\n    z = x * k",
}


@pytest.mark.parametrize("cell", MAGICS.values(), ids=MAGICS)
def test_cells_that_take_the_time(kernel: Kernel, cell: str) -> None:
    outputs = kernel.run(cell)
    assert all(kind != "stderr" for kind, _ in outputs), outputs
    assert "ms" in outputs[0][1] or "s ±" in outputs[0][1] or "µs" in outputs[0][1]
    assert kernel.printed("print(in_workers())") == "4\n"


def test_scripts_and_modules_that_change(kernel: Kernel, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from allcores import parallel\n"
        "def triple(x): return 3 * x\n"
        "found = []\n"
        "if __name__ == '__main__':\n"
        "    for x in parallel(range(4)):\n"
        "        found.append(triple(x))\n"
    )
    cell = f"%run {script}\nprint(found, in_workers())"
    assert kernel.printed(cell) == "[0, 3, 6, 9] 4\n"
    script.write_text(script.read_text().replace("3 * x", "30 * x"))
    assert kernel.printed(cell) == "[0, 30, 60, 90] 4\n"
    module = tmp_path / "changing_module.py"
    module.write_text("def triple(x): return 3 * x\n")
    kernel.run(
        f"%load_ext autoreload\n%autoreload 2\nimport sys\nsys.path.insert(0, {str(tmp_path)!r})"
    )
    kernel.run("import changing_module\nfrom changing_module import triple as f")
    assert kernel.printed(LOOP) == "[0, 3, 6, 9, 12, 15, 18, 21] 7 21 8\n"
    module.write_text("def triple(x): return 300 * x\n")
    later = time.time() + 5
    os.utime(module, (later, later))
    outputs = dict(kernel.run(LOOP))
    # A clean interpreter has what is in the file now, and says that it cannot know whether that is it.
    in_workers = 0 if "ParallelWarning" in outputs.get("stderr", "") and kernel.fresh else 8
    results = "[0, 300, 600, 900, 1200, 1500, 1800, 2100] 7 2100"
    assert outputs["stdout"] == f"{results} {in_workers}\n"
    kernel.run("%autoreload 0")


def test_nothing_was_said_behind_the_cells_back(kernel: Kernel) -> None:
    kernel.said.flush()
    kernel.said.seek(0)
    assert "fork" not in kernel.said.read()


def test_ipython_at_a_terminal(tmp_path: Path) -> None:
    text = (
        FIRST_CELL
        + "\ndef f(x): return x + 1\n"
        + LOOP
        + "\nfor x in parallel(range(2)): display(x)"
    )
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "-c", text],
        cwd=tmp_path,
        env={**os.environ, "ALLCORES_FORCE": "1", "IPYTHONDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "[1, 2, 3, 4, 5, 6, 7, 8] 7 8 8\n0\n1\n", done.stderr
    assert "Warning" not in done.stderr
