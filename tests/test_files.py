"""Loops whose body writes files and looks at files: one iteration may see what another one wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.same import assert_same


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


HELPERS = "import glob, os, pathlib, shutil\nfrom os import listdir, mkdir as make\n"
SEEN_BY_OTHERS = {
    "a chain of files": "p = pathlib.Path(f'{i - 1}.txt')\nn = int(p.read_text()) if p.exists() else 1\n"
    "pathlib.Path(f'{i}.txt').write_text(str(n * 2))\nout.append(n)",
    "a folder that fills": "os.makedirs('d', exist_ok=True)\nopen(f'd/{i}', 'w').close()\n"
    "out.append(sorted(os.listdir('d')))",
    "files found by a pattern": "open(f'{i}.txt', 'w').close()\nout.append(len(glob.glob('*.txt')))",
    "a file that moves": "if not i:\n    open('0', 'w').close()\nos.rename(f'{i}', f'{i + 1}')\n"
    "out.append(os.path.exists('5'))",
    "by other names": "ls = listdir('.')\nmake(f'd{i}')\nout.append(len(ls))",
    "by the path's own methods": "pathlib.Path(f'{i}.txt').touch()\n"
    "out.append(len(list(pathlib.Path('.').iterdir())))",
}
OWN = {
    "each its own": "with open(f'{i}.txt', 'w') as f:\n    f.write(str(i ** 2))\n"
    "with open(f'{i}.txt') as f:\n    out.append(f.read())",
    "numbered from one": "pathlib.Path(f'{i + 1}.txt').write_text('x')\n"
    "print(f'{i} done')\nout.append(pathlib.Path(f'{i + 1}.txt').read_text())",
    "a pattern of its own": "open(f'{i}_a', 'w').close()\nout.append(glob.glob(f'{i}_*'))",
    "nothing written": "out.append((os.path.exists(f'{i - 1}'), len(os.listdir('.'))))",
}


@pytest.mark.parametrize("body", SEEN_BY_OTHERS.values(), ids=SEEN_BY_OTHERS.keys())
def test_files_that_other_iterations_write_keep_the_loop_serial(body: str) -> None:
    assert_same(in_loop(body), "serial", helpers=HELPERS, data="out = []\n")


@pytest.mark.parametrize("body", OWN.values(), ids=OWN.keys())
def test_files_of_an_iterations_own_do_not(body: str) -> None:
    assert_same(in_loop(body), "parallel", helpers=HELPERS, data="out = []\n")


NAMES = [
    "os.path.join('a', x)",
    "len(os.path.abspath(x)[-1:])",
    "os.path.realpath(x)[-1:]",
    "os.path.relpath(x)",
]
NAMES += ["os.path.expandvars(x)", "list(os.walk(x))", "os.makedirs(x, exist_ok=True)"]


@pytest.mark.parametrize("made", NAMES)
def test_what_a_function_makes_of_names_changes_nothing(made: str) -> None:
    helpers = f"import os\ndef f(x):\n    return {made}\n"  # of modules that are frozen
    assert_same(in_loop("out.append(f(str(i)))"), "parallel", helpers=helpers, data="out = []\n")


SAME_FILE = {
    "a scratch file": "open('s', 'w').write(str(i))\n    return open('s').read()",
    "by a path": "p = pathlib.Path(FOLDER) / 'x.txt'\n    p.write_text(str(i))\n    return p.read_text()",
    "by its constant": "with open(NAME, mode='w') as f:\n        f.write(str(i))",
    "put together": "name = os.path.join(FOLDER, f'{NAME}.txt')\n    open(name, 'w').write(str(i))",
    "by another function": "return deep(i)",
}
OTHER_FILES = {
    "one that is only made": "if i == 4: open('mark', 'w').close()",
    "named by what it is given": "open(f'{NAME}{i}', 'w').write(str(i))",
    "in a folder of its own": "with tempfile.TemporaryDirectory() as d:\n"
    "        open(os.path.join(d, 's'), 'w').write(str(i))",
    "after going elsewhere": "os.mkdir(str(i))\n    os.chdir(str(i))\n    deep(i)\n    os.chdir('..')",
    "nowhere": "open(os.devnull, 'w').write('x')\n    open('/dev/null', 'w').write('x')",
    "only read": "return open(os.__file__).readline()",
    "a name that changes": "name = 's'\n    name += str(i)\n    open(name, 'w').close()",
}
WRITERS = """
import os, pathlib, tempfile
FOLDER = '.'
NAME = 'name'
def deep(i):
    with open('deep.dat', 'w') as f:
        f.write(str(i))
def work(i):
    {}
"""


@pytest.mark.parametrize("body", SAME_FILE.values(), ids=SAME_FILE.keys())
def test_functions_that_write_the_same_file_each_time_keep_the_loop_serial(body: str) -> None:
    helpers = WRITERS.format(body)
    assert_same(in_loop("out.append(work(i))"), "serial", helpers=helpers, data="out = []\n")


@pytest.mark.parametrize("body", OTHER_FILES.values(), ids=OTHER_FILES.keys())
def test_functions_that_write_other_files_do_not(body: str) -> None:
    helpers = WRITERS.format(body)
    assert_same(in_loop("out.append(work(i))"), "parallel", helpers=helpers, data="out = []\n")


def in_loop(body: str) -> str:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return f"# open(\nfor i in parallel(range(9)):\n{lines}"


@pytest.mark.parametrize(
    "body",
    [
        "os.write(f, b'%d\\n' % k)",
        "put(f, k)",
        "out.append(os.read(f, 1))",
        "with os.fdopen(f, 'w', closefd=False) as g:\n        g.write(str(k))",
        "ctypes.memset(address, 65 + k, 1)",
    ],
)
def test_numbers_that_stand_for_files_and_memory(body: str) -> None:
    """A number is nothing that could be changed, but what it stands for is."""
    source = f"""
import ctypes, os, tempfile
def put(f, k):
    os.write(f, b'%d\\n' % k)
file, name = tempfile.mkstemp()
os.write(file, b'abcdefghijklm')
os.lseek(file, 0, 0)
memory = ctypes.create_string_buffer(12)
begin = ctypes.addressof(memory)
out = []
for k, f, address in parallel([(k, file, begin + k) for k in range(9)]):
    {body}
os.close(file)
with open(name) as again:
    held = again.read()
os.remove(name)
del name, file, f, begin, address, again
g = None
"""
    assert_same(source, places=("module",))
