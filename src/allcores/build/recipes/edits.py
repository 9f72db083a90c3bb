"""Changes to a file's lines, all made at once; every other line stays byte for byte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from allcores.build.recipes.text import HELD, Source


@dataclass
class Edits:
    """Rows are counted from 1, as the parser counts them."""

    source: Source
    before: dict[int, list[str]] = field(default_factory=dict)
    """Lines that go before a row."""
    replaced: dict[int, tuple[int, list[str]]] = field(default_factory=dict)
    """First row -> last row and the lines in their place."""
    deeper: list[tuple[int, int]] = field(default_factory=list)
    """First and last row of what is indented once more."""

    def insert(self, row: int, lines: Sequence[str]) -> None:
        """Put lines before a row, after those put there already."""
        self.before.setdefault(row, []).extend(lines)

    def replace(self, first: int, last: int, lines: Sequence[str]) -> None:
        """Put lines in the place of some rows."""
        self.replaced[first] = (last, list(lines))

    def text(self) -> str:
        """The whole file as it is after the changes, with its own line ends."""
        source = self.source
        held = self._held_rows()
        out: list[tuple[str, str]] = []
        total = len(source.rows)
        row = 1
        while row <= total + 1:
            newline = source.newline(min(row, total))
            for line in self.before.get(row, []):
                out.append((line, newline))
            if row > total:
                break
            by = source.unit if any(a <= row <= b for a, b in self.deeper) else ""
            if row in self.replaced:
                last, lines = self.replaced[row]
                for line in lines:
                    out.append((by + line if line else "", newline))
                if last == total and out:
                    out[-1] = (out[-1][0], source.ends[last - 1])
                row = last + 1
                continue
            text = source.rows[row - 1]
            out.append(
                (by + text if text.strip() and row not in held else text, source.ends[row - 1])
            )
            row += 1
        newline = source.newline(total)
        return "".join(line.replace(HELD, newline) + end for line, end in _closed(out, newline))

    def _held_rows(self) -> set[int]:
        return {
            number + 1
            for number, start in enumerate(self.source.starts)
            if start and self.source.text[start - 1] == HELD
        }


def _closed(lines: list[tuple[str, str]], newline: str) -> list[tuple[str, str]]:
    """The lines, each but the last with a line end."""
    return [
        (line, end or (newline if number + 1 < len(lines) else ""))
        for number, (line, end) in enumerate(lines)
    ]
