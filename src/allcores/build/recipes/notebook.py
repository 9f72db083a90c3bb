"""Notebooks: their code cells as one text, and one cell's source changed within the file's JSON."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

_SPACE = re.compile(r"[ \t\r\n]*")
_MASK = "pass  # allcores-magic "
_PYTHON_CELLS = ("%%time", "%%timeit", "%%capture", "%%prun")


class NotNotebookError(ValueError):
    """The file is no notebook of format 4: the message says why."""


@dataclass
class Notebook:
    """A notebook's text and the places of its code cells' sources in it."""

    text: str
    sources: list[tuple[int, int, Any]]
    """Of each code cell: where its source starts and ends in the text, and what it is."""

    def joined(self, cell: int) -> tuple[str, tuple[int, int]]:
        """All code cells as one program; the rows of the cell (counted from 1).

        Lines that only a notebook understands are masked.
        """
        lines: list[str] = []
        rows = (1, 0)
        for number, (_, _, source) in enumerate(self.sources, 1):
            own = _masked(_whole(source))
            if number == cell:
                rows = (len(lines) + 1, len(lines) + len(own))
            lines += own
        return "\n".join(lines) + "\n", rows

    def with_cell(self, cell: int, source: str) -> str:
        """The file's text with the source of one cell changed, and nothing else."""
        start, end, old = self.sources[cell - 1]
        source = source.replace(_MASK, "") if _MASK in source else source
        ascii_only = self.text.isascii()
        if isinstance(old, str):
            new = json.dumps(source, ensure_ascii=ascii_only)
        else:
            parts = [json.dumps(p, ensure_ascii=ascii_only) for p in source.splitlines(True)]
            opening, between, closing = _layout(self.text[start:end])
            new = opening + between.join(parts) + closing
        return self.text[:start] + new + self.text[end:]


def _layout(text: str) -> tuple[str, str, str]:
    """How a list is laid out: what opens it, what stands between two items, what closes it."""
    opening = re.match(r"\[\s*", text)
    closing = re.search(r"\s*\]$", text)
    assert opening is not None and closing is not None
    space = opening[0][1:]
    return opening[0], f",{space or ' '}", closing[0]


def _whole(source: Any) -> str:
    return source if isinstance(source, str) else "".join(source)


def _masked(source: str) -> list[str]:
    lines = source.split("\n")
    if lines[0].startswith("%%") and not lines[0].startswith(_PYTHON_CELLS):
        return [_MASK + line for line in lines]
    out = []
    for line in lines:
        bare = line.lstrip()
        if bare.startswith(("%", "!", "?")) or (bare.endswith("?") and "#" not in bare):
            line = line[: len(line) - len(bare)] + _MASK + bare
        elif re.match(r"[\w, ]+=\s*[!%]", bare):
            line = line[: len(line) - len(bare)] + _MASK + bare
        out.append(line)
    return out


def read_notebook(text: str) -> Notebook:
    """Find the code cells' sources in a notebook's text. Raises NotNotebookError."""
    try:
        whole = json.loads(text)
        [(start, _end)] = [s for key, s in _members(text, _skip(text, 0)).items() if key == "cells"]
        spans = _items(text, start)
        cells = whole["cells"]
        sources = []
        for (at, _), cell in zip(spans, cells, strict=True):
            if cell.get("cell_type") == "code":
                first, last = _members(text, at)["source"]
                sources.append((first, last, cell["source"]))
    except json.JSONDecodeError as error:
        raise NotNotebookError(f"not a notebook: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise NotNotebookError("not a notebook of format 4") from None
    return Notebook(text, sources)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


def _value_end(text: str, at: int) -> int:
    _, end = json.JSONDecoder().raw_decode(text, at)
    return int(end)


def _members(text: str, at: int) -> dict[str, tuple[int, int]]:
    """The places of the values of the object that starts at an index."""
    found: dict[str, tuple[int, int]] = {}
    at = _skip(text, at + 1)
    while text[at] != "}":
        key, at = scanstring(text, at + 1)
        at = _skip(text, _skip(text, at) + 1)
        end = _value_end(text, at)
        found[key] = (at, end)
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return found


def _items(text: str, at: int) -> list[tuple[int, int]]:
    """The places of the items of the list that starts at an index."""
    found: list[tuple[int, int]] = []
    at = _skip(text, at + 1)
    while text[at] != "]":
        end = _value_end(text, at)
        found.append((at, end))
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return found
