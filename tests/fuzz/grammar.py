"""Random loops, from the templates in `tables`, over one `draw`: Hypothesis and a seed can drive it.

`Program.easy` is true when a reader would call the loop parallel: by construction every statement
is work on what the iteration made or read, or a commit whose value nothing in the work reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.fuzz import tables
from tests.same import PLACES, placed

Draw = Callable[[int], int]
"""draw(n): one of 0 ... n - 1."""

DEEPEST = 3
"""How deep blocks are nested."""
SLOT = re.compile(r"\{(\w+)\}|\{\{|\}\}")
WORD = re.compile(r"(?<![.\w])[A-Za-z_]\w*")
SUM = re.compile(r"\S+ (\+|\*|//|%) |-")
"""An expression that needs brackets around it."""
TEMPORARIES = ("t", "u", "y")
LISTS = ("p", "g")


def _split(text: str) -> list[str]:
    return [part.strip() for line in text.strip().splitlines() for part in line.split(" | ")]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


EXPRESSIONS = {kind: _split(text) for kind, text in tables.EXPRESSIONS.items()}
EASY = [(weight, _lines(text)) for weight, text in tables.EASY]
COMPOUND, NASTY = _lines(tables.COMPOUND), _lines(tables.NASTY)
HIDDEN, OWN = _lines(tables.HIDDEN), _lines(tables.OWN)


@dataclass(frozen=True)
class Program:
    """A program with one loop, in parts."""

    helpers: str
    data: str
    loop: str
    place: str
    easy: bool
    tasted: bool
    """Let the first iterations run natively, as an unforced loop does."""

    @property
    def source(self) -> str:
        """The whole program."""
        return placed(self.loop, self.place, self.helpers, self.data)


class Builder:
    """Writes one loop."""

    def __init__(self, draw: Draw, place: str) -> None:
        self.draw, self.place = draw, place
        self.easy = True
        self.depth = 0
        self.names: dict[str, list[str]] = {kind: [] for kind in EXPRESSIONS}
        self.bound: list[tuple[str, str]] = []

    def pick(self, options: list[str]) -> str:
        return options[self.draw(len(options))]

    # -- expressions

    def expression(self, kind: str, deep: int) -> str:
        """An expression of this kind; at depth 0 a short one."""
        if kind == "n" and (deep <= 0 or self.draw(3) == 0):
            # Remainders keep carried numbers from growing without bound.
            known = [t if t in ("i", "j", "h") else f"({t} % 97)" for t in self.names["n"]]
            return self.pick(["i", "k", "2", "5", *known, *known[-2:]])
        if self.names[kind] and self.draw(2) and kind != "n":
            return self.pick(self.names[kind])
        template = self.pick(EXPRESSIONS[kind][: 8 if deep <= 0 else None])
        text = self.fill(template, deep - 1)
        return f"({text})" if kind in "nsl" and SUM.match(template) else text

    def fill(self, template: str, deep: int = 2) -> str:
        """The template with its slots filled; what it binds is known from the next line on."""

        def slot(match: re.Match[str]) -> str:
            kind = match[1]
            if kind is None:
                return match[0][0]
            if kind == "depth":
                return str(self.depth)
            if kind == "n3":
                return str(self.draw(3))
            if kind in "TPJ":
                if kind not in chosen:
                    options = {"T": TEMPORARIES, "P": LISTS, "J": ("j", "h")}[kind]
                    chosen[kind] = self.pick(list(options))
                if not template[match.end() : match.end() + 1].isalpha():
                    self.bound.append((kind, chosen[kind]))
                return chosen[kind]
            return self.expression(kind, deep)

        chosen = self.chosen
        return SLOT.sub(slot, template)

    # -- statements

    chosen: dict[str, str]

    def write(self, template: str) -> list[str]:
        """The lines of a statement (or of several, with `~` between them)."""
        lines: list[str] = []
        outer, self.chosen = getattr(self, "chosen", {}), {}
        for line in template.split(" ~ "):
            indent = " " * (len(line) - len(line.lstrip(" ")))
            if line.strip() == "{block}":
                lines += [indent + x for x in self.block()]
                continue
            lines.append(indent + self.fill(line.strip()))
            self.learn()
        self.chosen = outer
        return lines

    def learn(self) -> None:
        """What the last line bound may be used from here on."""
        for kind, name in self.bound:
            for known in self.names.values():
                if name in known:
                    known.remove(name)
            self.names["l" if kind == "P" else "n"].append(name)
        self.bound = []

    def block(self, size: int = 2) -> list[str]:
        """Some statements; what they bind is not certain to be bound after them."""
        self.depth += 1
        before = {kind: list(names) for kind, names in self.names.items()}
        chosen = self.chosen
        lines: list[str] = []
        for _ in range(1 + self.draw(size)):
            lines += self.statement()
        self.names, self.chosen = before, chosen
        self.depth -= 1
        return lines

    def statement(self) -> list[str]:
        choice = self.draw(30)
        if choice == 0:
            self.easy = False
            return self.write(self.pick([*NASTY, *tables.ONLY_IN.get(self.place, [])]))
        if choice == 1:
            self.easy = False
            return self.write(self.pick(HIDDEN if self.draw(2) else OWN))
        if choice < 10 and self.depth < DEEPEST:
            before = {kind: list(names) for kind, names in self.names.items()}
            lines = self.write(self.pick(COMPOUND))
            self.names = before
            return lines
        turn = self.draw(sum(weight for weight, _ in EASY))
        for weight, templates in EASY:
            turn -= weight
            if turn < 0:
                return self.write(self.pick(templates))
        raise AssertionError

    def target(self) -> tuple[str, str]:
        """The loop's targets and its input."""
        if self.draw(9) == 8:
            self.easy = False
            target, source, kinds = self.among(tables.NASTY_INPUTS)
        else:
            target, source, kinds = self.among(tables.INPUTS)
        self.names["n"].append("i")
        for entry in kinds.split():
            kind, _, name = entry.partition(":")
            self.names[kind].append(name)
        return target, source

    def among(self, options: list[tuple[str, str, str]]) -> tuple[str, str, str]:
        return options[self.draw(len(options))]


def build(draw: Draw) -> Program:
    """A whole program, made by the choices that `draw(n)` (0 to n - 1) makes."""
    place = ("module", "function", "closure", *PLACES)[draw(3 + len(PLACES))]
    b = Builder(draw, place)
    target, source = b.target()
    b.chosen = {}
    body = b.block(5)
    settings = ("", "", ", chunk=1", ", chunk=2", ", chunk=3, workers=1", ", workers=3")[draw(6)]
    lines = [f"for {target} in parallel({source}{settings}):", *("    " + x for x in body)]
    if draw(5) == 0:
        lines += ["else:", "    log.append('else')"]
    if draw(6) == 0:
        # What the first round left is there in the second.
        lines = ["for again in range(2):", *("    " + x for x in lines)]
    if draw(8) == 0:
        lines = ["try:", *("    " + x for x in lines), "except ValueError as e:"]
        lines.append("    log.append(str(e))")
    if draw(6) == 0:
        lines.append(("log.append(len(out))", "out.append(i)", "del i", "log.append(t)")[draw(4)])
    tasted = draw(5) == 0
    loop = "\n".join(lines) + "\n"
    return _with_what_it_needs(loop, draw, place, b.easy, tasted)


def _with_what_it_needs(loop: str, draw: Draw, place: str, easy: bool, tasted: bool) -> Program:
    """The helpers and variables that the loop mentions, and theirs, and some more aliases."""
    of_helpers = set(tables.HELPERS.values())
    wanted = {"k", *(a for a in ("twin", "both", "cur", "first", "view", "t") if draw(4) == 0)}
    queue = [loop, *(tables.DATA[n] for n in sorted(wanted))]
    while queue:
        text = queue.pop()
        sources = [tables.HELPERS] if text in of_helpers else [tables.DATA, tables.HELPERS]
        for word in WORD.findall(text):
            found = next((t[word] for t in sources if word in t), None)
            if found and word not in wanted:
                wanted.add(word)
                queue.append(found)
    if "out" in wanted or place == "nonlocal":
        wanted |= {"log", "out"}
    helpers, data = (
        "".join(dict.fromkeys(text.rstrip("\n") + "\n" for n, text in table.items() if n in wanted))
        for table in (tables.HELPERS, tables.DATA)
    )
    program = Program(helpers, data, loop, place, easy, tasted)
    try:
        compile(program.source, "<random>", "exec")
    except SyntaxError:
        # Some things cannot be written in a class body, or with names that are nonlocal.
        program = replace(program, place="module")
    return program
