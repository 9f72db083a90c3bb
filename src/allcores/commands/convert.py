"""`allcores convert`: a loop rewritten for another library, as a diff or in the file itself."""

from __future__ import annotations

import contextlib
import difflib
import io
import os
import re
import stat
import sys
import tempfile
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from allcores.commands.files import Action, Refusal, complain
from allcores.convert import TARGETS
from allcores.show.sentences import not_python

if TYPE_CHECKING:
    from allcores.convert import Converted


@dataclass
class File:
    """A file as it is on the disk: `text` keeps its own line ends."""

    path: str
    encoding: str
    text: str

    @property
    def is_notebook(self) -> bool:
        """Whether it is a notebook by its name."""
        return self.path.endswith(".ipynb")


@click.command()
@click.option(
    "--to", "target", type=click.Choice(TARGETS), required=True, help="For which library."
)
@click.option("--write", is_flag=True, help="Change the file.")
@click.option("--out", metavar="FILE", type=click.Path(dir_okay=False), help="Write to FILE.")
@click.option("--verify", is_flag=True, help="Run both, and compare; write only if they agree.")
@click.argument("place", metavar="FILE:LINE")
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def convert(
    target: str, write: bool, out: str | None, verify: bool, place: str, args: tuple[str, ...]
) -> Action:
    """Rewrite the loop at LINE of FILE for another library, and print what changes.

    Of a notebook, FILE:CELL:LINE: the cell counted from 1 among the code cells, the line within it.
    Everything outside the loop stays as it is. ARGS are the program's own, for --verify.
    """
    if write and out:
        raise click.UsageError("say either --write or --out, not both.")
    if args and not verify:
        raise click.UsageError("the program's arguments are of use with --verify only.")

    def action() -> int:
        warnings.simplefilter("ignore")
        path, cell, line = _place(place)
        file = _read(path)
        if write or out:
            _refuse_read_only(out or path)
        new = _converted(file, cell, line, target)
        _print_diff(file.text, new, path)
        if verify:
            code = _verified(file, new, args)
            if code:
                return code
        if write or out:
            _write(out or path, new.encode(file.encoding), like=path)
        return 0

    return action


def _place(place: str) -> tuple[str, int | None, int]:
    """The file, the cell of a notebook, and the line."""
    match = re.fullmatch(r"(.+\.ipynb):(\d+):(\d+)", place)
    if match:
        return match[1], int(match[2]), int(match[3])
    match = re.fullmatch(r"(.+?):(\d+)", place)
    if match is None:
        raise Refusal(f"say which line of {place} the loop is on, as in {place}:12.")
    if match[1].endswith(".ipynb"):
        raise Refusal(f"say which cell and line the loop is on, as in {match[1]}:3:1.")
    return match[1], None, int(match[2])


def _read(path: str) -> File:
    try:
        data = Path(path).read_bytes()
        encoding = "utf-8" if path.endswith(".ipynb") else _encoding(data)
        return File(path, encoding, data.decode(encoding))
    except FileNotFoundError:
        raise Refusal(f"there is no file {path}.") from None
    except IsADirectoryError:
        raise Refusal(f"{path} is a directory, which has no lines.") from None
    except UnicodeDecodeError as error:
        raise Refusal(
            f"{path} cannot be read as {error.encoding} text: byte {error.start} is"
            f" {error.object[error.start]:#x}."
        ) from None
    except OSError as error:
        raise Refusal(f"{path} cannot be read: {error.strerror}.") from None
    except (SyntaxError, ValueError) as error:
        raise Refusal(f"{not_python(path, error)}.") from None


def _encoding(data: bytes) -> str:
    return tokenize.detect_encoding(io.BytesIO(data).readline)[0]


def _refuse_read_only(path: str) -> None:
    if not os.path.exists(path):
        return
    if not os.path.isfile(path):
        # What is put in the place of a device or a pipe is not one any more.
        raise Refusal(
            f"{path} is not a file that could be written whole or not at all; name another."
        )
    if not os.stat(path).st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
        raise Refusal(f"{path} is read-only; write to another file with --out.")


# -- converting


def _converted(file: File, cell: int | None, line: int, target: str) -> str:
    if file.is_notebook:
        assert cell is not None
        return _converted_notebook(file, cell, line, target)
    result = _convert(file.text, line, target, file.path, f"line {line} of {file.path}", None)
    _say(result.notes)
    return result.text


def _converted_notebook(file: File, cell: int, line: int, target: str) -> str:
    from allcores.build.recipes.notebook import NotNotebookError, read_notebook

    try:
        notebook = read_notebook(file.text)
    except NotNotebookError as error:
        raise Refusal(f"{file.path} is {error}.") from None
    if not 1 <= cell <= len(notebook.sources):
        raise Refusal(f"{file.path} has {len(notebook.sources)} code cells, and no cell {cell}.")
    if target == "mpi4py.futures":
        raise Refusal("mpiexec starts programs, not notebooks; convert to dask or ray.")
    text, (first, last) = notebook.joined(cell)
    if not 1 <= line <= last - first + 1:
        raise Refusal(
            f"cell {cell} of {file.path} has {last - first + 1} lines, and no line {line}."
        )
    where = f"line {line} of cell {cell} of {file.path}"
    result = _convert(text, first + line - 1, target, file.path, where, (first, last))
    _say(result.notes)
    rows, before = result.text.split("\n"), text.split("\n")
    own = rows[first - 1 : len(rows) - (len(before) - last)]
    return notebook.with_cell(cell, "\n".join(own))


def _convert(
    text: str, line: int, target: str, path: str, where: str, cell: tuple[int, int] | None
) -> Converted:
    from allcores.convert import CannotConvertError, convert

    first = cell[0] - 1 if cell else 0
    try:
        return convert(text, line, target, path, cell=cell, width=_width(path))
    except LookupError:
        raise Refusal(f"there is no loop on {where}.") from None
    except CannotConvertError as error:
        reasons = [f"line {number - first}: {reason}" for number, reason in error.reasons]
        for reason in reasons[:-1]:
            complain(f"{path}, {reason}.")
        raise Refusal(f"the loop on {where} is left as it is; {reasons[-1]}.") from None
    except (SyntaxError, ValueError) as error:
        raise Refusal(f"{not_python(path, error)}.") from None
    except RecursionError:
        raise Refusal(f"{path} is too deeply nested to be read.") from None


def _say(notes: Sequence[str]) -> None:
    for note in notes:
        complain(f"note: {note}")


def _width(path: str) -> int:
    """How long the project's lines may be, as ruff or black are told; else 88."""
    import tomllib

    for directory in Path(path).resolve().parents:
        for name, tables in _SETTINGS.items():
            with contextlib.suppress(OSError, ValueError):
                data = tomllib.loads((directory / name).read_text(encoding="utf-8"))
                for table in tables:
                    part: Any = data
                    for key in table:
                        part = part.get(key, {})
                    if isinstance(part.get("line-length"), int):
                        return int(part["line-length"])
        if (directory / ".git").exists():
            break
    return 88


_SETTINGS: dict[str, list[tuple[str, ...]]] = {
    "ruff.toml": [()],
    ".ruff.toml": [()],
    "pyproject.toml": [("tool", "ruff"), ("tool", "black")],
}


# -- showing and writing


def _print_diff(old: str, new: str, path: str) -> None:
    from allcores.show import plans as show

    show.prepare(sys.stdout)
    show.told(lambda: _write_diff(list(_diff(old, new, path))))


def _diff(old: str, new: str, path: str) -> Iterator[str]:
    name = str(path).lstrip("/")
    lines = difflib.unified_diff(_lines(old), _lines(new), f"a/{name}", f"b/{name}", lineterm="")
    for line in lines:
        bare = line.rstrip("\r\n")
        yield bare
        if line[:1] in "+- " and not line.startswith(("+++", "---")) and bare == line:
            yield "\\ No newline at end of file"


def _lines(text: str) -> list[str]:
    # str.splitlines would split at form feeds and the like as well.
    return re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text)


def _write_diff(lines: Sequence[str]) -> None:
    if not sys.stdout.isatty():
        sys.stdout.writelines(f"{line}\n" for line in lines)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=sys.stdout, highlight=False)
    for line in lines:
        console.print(Text(line, _style(line)), soft_wrap=True)


def _style(line: str) -> str:
    if line.startswith(("+++", "---")):
        return "bold"
    return {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")


def _write(path: str, data: bytes, like: str) -> None:
    """Write a file whole or not at all; its permissions are those it had, or those of `like`."""
    real = os.path.realpath(path)
    name = ""
    try:
        mode = stat.S_IMODE(os.stat(real if os.path.exists(real) else like).st_mode)
        handle, name = tempfile.mkstemp(dir=os.path.dirname(real), prefix=".allcores-")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(name, real)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise Refusal(f"{path} cannot be written: {error.strerror}.") from None


def _verified(file: File, new: str, args: Sequence[str]) -> int:
    """Run the old program and the new; gives 0 where they agree, having said so or not."""
    if file.is_notebook:
        raise Refusal("--verify runs programs; a notebook cannot be verified.")
    from allcores.verify import compare_scripts

    old = Path(file.path)
    handle, name = tempfile.mkstemp(dir=old.resolve().parent, prefix=f"{old.stem}_", suffix=".py")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(new.encode(file.encoding))
        return compare_scripts(old, Path(name), args, names=(old.name, f"the new {old.name}"))
    finally:
        with contextlib.suppress(OSError):
            os.unlink(name)
