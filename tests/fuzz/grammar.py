"""Random loops: a grammar over one `draw`, so that Hypothesis and a plain seed can both drive it.

`Program.easy` is true when a reader would call the loop parallel: by construction every statement
is work on what the iteration made or read, or a commit whose value nothing in the work reads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Draw = Callable[[int], int]

SETUP = """\
import numpy as np
class Star:
    def __init__(self, n):
        self.n = n
        self.seen = []
    def bright(self, k):
        return self.n * k % 7
    def note(self, v):
        self.seen.append(v)
        return len(self.seen)
def slow(a, b=1):
    s = 0
    for j in range(3):
        s += (a + j) * b
    return s % 11
def touch(xs, v):
    xs.append(v)
    return v
def noisy(v):
    print('in', v)
    return v + 1
def risky(v):
    if v % 5 == 3:
        raise ValueError(v)
    return v * 2
k = 3
words = ['ab', 'c', 'def', 'gh', 'i', 'jkl', 'mn', 'o']
grid = [[i, i + 1] for i in range(8)]
twin = grid
stars = [Star(i) for i in range(8)]
first = stars[0]
table = {i: i * i for i in range(8)}
arr = np.arange(8.0)
mat = np.arange(16.0).reshape(8, 2)
view = mat[2:5]
total, best, winner, flag, last = 0, -1, None, 0, 0
fsum = 0.0
out, log, other = [], [], []
seen, counts, d = set(), {}, {}
dest = [None] * 8
res = np.zeros(8)
"""

INPUTS = [
    ("i", "range(8)"),
    ("i", "range(1)"),
    ("i", "[]"),
    ("i", "list(table)"),
    ("i", "(n * 3 % 8 for n in range(8))"),
    ("i", "{0, 3, 5, 6}"),
    ("i", "table"),
    ("i", "map(int, '0123')"),
    ("i", "reversed(range(8))"),
]
PAIRED = [
    ("i, w", "enumerate(words)"),
    ("i, row", "enumerate(grid)"),
    ("i, s", "enumerate(stars)"),
    ("i, (a, b)", "enumerate(grid)"),
    ("i, x", "zip(range(8), arr)"),
    ("i, *more", "[(0, 1, 2), (3,), (5, 6)]"),
    ("i, v", "table.items()"),
    ("i, m", "enumerate(mat)"),
]


@dataclass
class Program:
    source: str
    easy: bool


class Builder:
    """Writes one program."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.easy = True
        self.temps: list[str] = []
        self.fresh_lists: list[str] = []
        self.depth = 0
        self.in_inner = 0
        self.serial = 0

    def pick(self, options: list[str]) -> str:
        return options[self.draw(len(options))]

    def number(self, deep: int = 2) -> str:
        """A pure expression that gives a whole number."""
        if deep == 0 or self.draw(3) == 0:
            # Remainders keep carried numbers from growing without bound.
            return self.pick(["i", "k", "2", "5", *(f"({t} % 97)" for t in self.temps)])
        a, b = self.number(deep - 1), self.number(deep - 1)
        return self.pick(
            [
                f"({a} + {b})",
                f"({a} * {b})",
                f"({a} - {b})",
                f"slow({a})",
                f"slow({a}, {b})",
                f"len(words[{a} % 8])",
                f"grid[{a} % 8][0]",
                f"stars[{a} % 8].bright({b})",
                f"table[{a} % 8]",
                f"int(arr[{a} % 8])",
                f"abs({a})",
                f"sum([q * {a} for q in range(3)])",
                f"max({a}, {b})",
                f"(lambda q: q + {a})({b})",
                f"({a} if {b} > 3 else {b})",
                f"({a} or {b})",
                f"int(mat[{a} % 8].sum())",
                f"sum(grid[{a} % 8])",
                f"(lambda q=({a}): q * 2)()",
                f"len({{{a}, {b}}})",
                f"first.n + {a}",
            ]
        )

    def value(self) -> str:
        """A pure expression of any kind, made in the iteration."""
        a, b = self.number(), self.number()
        options = [
            a,
            f"{a} / 3",
            f"[{a}, {b}]",
            f"({a}, {b})",
            f"{{'a': {a}}}",
            f"np.full(3, {a})",
            f"arr * {a}",
            f"str({a})",
            f"words[{a} % 8].upper()",
            f"Star({a})",
            f"[q for q in range({a} % 4)]",
            f"f'{{{a}}}-{{{b}}}'",
            f"mat[{a} % 8].copy()",
            f"sorted([{a}, {b}, k])",
            f"list(grid[{a} % 8])",
            f"{{q: {a} for q in range(2)}}",
        ]
        if self.fresh_lists:
            options += [self.pick(self.fresh_lists)] * 4
        return self.pick(options)

    def borrowed(self) -> str:
        """An expression whose value outlives the iteration."""
        a = self.number(1)
        return self.pick(
            [
                f"grid[{a} % 8]",
                f"stars[{a} % 8]",
                "grid",
                "first",
                f"mat[{a} % 8]",
                "arr",
                "view",
                "twin[0]",
            ]
        )

    def block(self, size: int, indent: str) -> list[str]:
        lines: list[str] = []
        for _ in range(1 + self.draw(size)):
            lines += [indent + line for line in self.statement()]
        return lines

    def nested(self, size: int = 2) -> list[str]:
        self.depth += 1
        temps, fresh = list(self.temps), list(self.fresh_lists)
        lines = self.block(size, "    ")
        self.temps, self.fresh_lists = temps, fresh
        self.depth -= 1
        return lines

    def statement(self) -> list[str]:
        choice = self.draw(30 if self.depth < 3 else 17)
        if choice < 5:
            return self.bind()
        if choice < 12:
            return self.commit()
        if choice < 14:
            return self.on_fresh()
        if choice < 16:
            return self.borrow()
        if choice == 16:
            return self.nasty()
        return self.compound(choice)

    def bind(self) -> list[str]:
        name = self.pick(["t", "u", "y"])
        text = self.number()
        kind = self.draw(6)
        self.temps = [*dict.fromkeys([*self.temps, name])]
        self.fresh_lists = [f for f in self.fresh_lists if f != name]
        if kind == 0:
            return [f"{name}, {name}2 = {text}, {self.number(1)}"]
        if kind == 1:
            return [f"{name} = {text}", f"{name} += {self.number(1)}"]
        if kind == 2:
            return [f"if ({name} := {text}) > 4: pass"]
        if kind == 3:
            return [f"*{name}r, {name} = [1, {text}]"]
        return [f"{name} = {text}"]

    def commit(self) -> list[str]:
        v, a = self.value(), self.number()
        return [
            self.pick(
                [
                    f"out.append({v})",
                    f"out.append({v})",
                    f"total += {a}",
                    f"fsum += {a} / 3",
                    f"log.append(({a}, {v}))",
                    f"counts[{a} % 3] = counts.get({a} % 3, 0) + 1",
                    f"d.setdefault({a} % 4, []).append({v})",
                    f"d2 = {v}",
                    f"dest[i] = {v}",
                    f"res[i] = {a}",
                    f"seen.add({a})",
                    f"print({v if 'Star' not in v else a})",
                    f"if {a} > best: best, winner = {a}, i",
                    f"out.extend([{a} + q for q in range(2)])",
                    f"total, flag = total + {a}, flag ^ 1",
                    f"other[len(other):] = [{v}]",
                    f"res[i] += {a}",
                    f"out += [{v}]",
                    f"log.append(noisy({a}))",
                    f"other.extend({a} + q for q in range(2))",
                    f"total = total * 2 % 1001 + {a}",
                ]
            )
        ]

    def on_fresh(self) -> list[str]:
        name = self.pick(["p", "g"])
        self.fresh_lists = [*dict.fromkeys([*self.fresh_lists, name])]
        a = self.number(1)
        lines = [
            f"{name} = [{a}]",
            self.pick(
                [
                    f"{name}.append({a})",
                    f"{name}[0] = {a}",
                    f"{name} += [{a}]",
                    f"{name}.extend(grid[{a} % 8])",
                    f"{name}.append(list(grid[0]))",
                ]
            ),
        ]
        if self.draw(3) == 0:
            lines += [f"out.append({name})", f"{name}.append({a})"]
        return lines

    def borrow(self) -> list[str]:
        b = self.borrowed()
        return [
            self.pick(
                [
                    f"out.append({b})",
                    f"r = {b}",
                    f"log.append(({b}, {self.number()}))",
                    f"last = {b}",
                    f"d[i] = {b}",
                    f"out.append([{b}, {b}])",
                ]
            )
        ]

    def nasty(self) -> list[str]:
        a = self.number(1)
        self.easy = False
        return self.pick(
            [
                f"r = {self.borrowed()}|r = [r]",
                f"grid[{a} % 8].append({a})",
                f"rr = grid[{a} % 8]|rr.append({a})",
                f"stars[{a} % 8].n += 1",
                f"out.append(stars[{a} % 8].note({a}))",
                f"touch(other, {a})",
                f"y0 = touch(grid[{a} % 8], {a})",
                f"k = {a} % 50",
                "out.append(last)|last = i",
                "del out[:1]",
                f"mat[{a} % 8] *= 2",
                "vv = mat[1]|vv += 1",
                f"twin[0][0] = {a}",
                f"arr[{a} % 8] = {a}",
                "q9 = i|del q9",
                "fn = lambda: i|out.append(fn())",
                "log.append(lambda: i)",
                "if total > 40: break",
                "if i in seen: continue",
                f"out.append(len(out) + {a})",
                "if len(out) > 5: raise KeyError(i)",
                f"table[{a} % 8] += 1",
                "x8 = total|total += 1|out.append(slow(x8))",
                "def loc(q): return q + i|out.append(loc(1))",
                "if i % 2: kk = [i]|out.append(0)",
                f"zz = slow({a}) if i else out|zz2 = zz",
                "out.append(max(stars, key=lambda s: s.n))",
                "w9 = grid|w9[0].append(1)",
                "first.seen.append(i)",
                "out.sort(key=lambda q: str(type(q)))",
                "ww = sorted(grid)[0]|ww.append(5)",
                "import math|out.append(math.floor(i))",
                "total -= 1|t7 = total",
                "s3 = Star(i)|s3.note(3)|out.append(s3)",
                "s4 = Star(grid)|s4.n[0].append(4)",
                "yy = (grid, i)|yy[0][0].append(2)",
                "zr = mat.T|zr[0] += 1",
            ]
        ).split("|")

    def compound(self, choice: int) -> list[str]:
        a = self.number()
        if choice < 20:
            lines = [f"if {a} % 2:", *self.nested()]
            return [*lines, "else:", *self.nested()] if self.draw(2) else lines
        if choice < 22:
            var = self.pick(["j", "h"])
            lines = [f"for {var} in range({1 + self.draw(3)}):", *self.nested()]
            return lines + (["    if j > 1: break"] if self.draw(4) == 0 and var == "j" else [])
        if choice == 22:
            n = f"n{self.depth}"
            return [f"{n} = 2", f"while {n} > 0:", f"    {n} -= 1", *self.nested()]
        if choice == 23:
            name = self.pick(["ValueError", "(ValueError, KeyError)", "Exception"])
            self.temps = [t for t in self.temps if t != "tv"]
            lines = [
                "try:",
                f"    tv = risky({a})",
                *self.nested(1),
                f"except {name}:",
                *self.nested(1),
            ]
            extra = self.draw(3)
            return lines + (
                ["else:", *self.nested(1)]
                if extra == 1
                else ["finally:", *self.nested(1)]
                if extra == 2
                else []
            )
        if choice == 24:
            return [
                f"match {a} % 3:",
                "    case 0:",
                *("    " + x for x in self.nested(1)),
                "    case mm:",
                *("    " + x for x in self.nested(1)),
            ]
        if choice == 25:
            return [f"if {a} % 7 == 4: continue"]
        if choice == 26 and not self.in_inner:
            return [
                self.pick(
                    [
                        f"if {a} % 9 == 8: break",
                        f"if i == {a}: continue",
                        f"if {a} == 77: raise ValueError(i)",
                    ]
                )
            ]
        if choice == 27:
            return [f"out.append(risky({a}))"]
        if choice == 28:
            return ["import contextlib", "with contextlib.suppress(ValueError):", *self.nested(1)]
        return [f"assert {a} != 13, i"]


def build(draw: Draw) -> Program:
    """A whole program, made by the choices that `draw(n)` (0 to n - 1) makes."""
    b = Builder(draw)
    target, source = _input(b)
    body = b.block(5, "    ")
    lines = [f"for {target} in parallel({source}):", *body]
    if draw(5) == 0:
        lines += ["else:", "    log.append('else')"]
    if draw(6) == 0:
        lines += ["log.append(len(out))"]
    if draw(8) == 0:
        lines = [
            "try:",
            *("    " + x for x in lines),
            "except ValueError as e:",
            "    log.append(str(e))",
        ]
    return Program(SETUP + "\n".join(lines) + "\n", b.easy)


def _input(b: Builder) -> tuple[str, str]:
    options = INPUTS + PAIRED * 2
    return options[b.draw(len(options))]
