"""Random loops that change their own items, with and without aliases between them."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.fuzz.grammar import Program
from tests.same import PLACES

Draw = Callable[[int], int]
SLOT = re.compile(r"\{(\w)\}")


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


HELPERS = """\
import collections
import random
import numpy as np
class Star:
    made = []
    def __init__(self, n):
        self.n = n
        self.log = [n, 1]
        self.inner = {'a': n}
        self.pts = {n, n + 1}
    def fit(self, v=1):
        self.x = self.n * 3 % 7 + v
        self.log.append(self.x)
        return self.x
    def note(self, v):
        self.last = v
        self.inner[v if isinstance(v, int) else 'v'] = self.log
        return self.log
    def swap(self):
        self.log, self.old = list(self.log[::-1]), self.log
        return self
    def risky(self, v):
        self.log.append(v)
        if v % 5 == 3:
            raise ValueError(v)
        self.inner['r'] = v
        return v * 2
    def forget(self):
        self.__dict__.pop('last', None)
        del self.pts
        self.pts = {v for v in self.log if isinstance(v, int)}
    def look(self):
        return len(self.log) + self.n
    def count(self):
        self.made.append(1)
        return len(self.made)
    @property
    def size(self):
        return self.n + len(self.log)
    @size.setter
    def size(self, v):
        self.n = v
class Small:
    __slots__ = ('n', 'log', 'x', 'inner', 'pts', 'last', 'old', 'cat', 'mate')
    made = []
    __init__ = Star.__init__
    fit, note, look, risky, count = Star.fit, Star.note, Star.look, Star.risky, Star.count
    def swap(self):
        del self.log
        self.log = [self.n]
        return self
    def forget(self):
        self.pts.discard(self.n)
    @property
    def size(self):
        return self.n
    @size.setter
    def size(self, v):
        self.n = v
class Row(list):
    pass
def slow(v):
    return sum(v * j % 5 for j in range(4))
def brittle(v):
    if v % 7 == 4:
        raise KeyError(v)
    return 12 // (v % 6)
def given(xs):
    for x in xs:
        if x.n == 4:
            print('given', x.n)
        yield x
def changed(s, v):
    s.n = v
    return s
"""

DATA = """\
k = 3
out = []
total = 0
d = {}
known = {j: 0 for j in range(5)}
cat = [5, 6]
"""

STARS = "stars = [Star(j) for j in range(8)]\n"
SMALL = "stars = [Small(j) for j in range(8)]\n"
OTHERS = "others = [[j] for j in range(8)]\nnamed = {f'k{j}': s for j, s in enumerate(stars)}\n"
ALIASES = _lines("""
    for each in stars: each.cat = cat
    for each in stars: each.mate = [each.log, each]
    for each in stars: each.inner['me'] = each
    stars[5].log = stars[2].log
    stars[4].inner['mate'] = stars[3]
    stars[6] = stars[1]
    first = stars[0]
    logs = [each.log for each in stars]
    stars[3].inner = stars[3].log
    stars[2].inner['cat'] = cat
    stars[7].log.append(stars[7].pts)
    stars[6].inner['rng'] = random.Random(3)
    stars[5].inner['f'] = lambda: stars[0].n
    stars[1].inner['m'] = stars[1].fit
    stars[4].n = 'four'
    stars[2].inner['it'] = iter([1])
    others[3] = stars[3].log
    others[2] = others[1]
    named['k9'] = named['k2']
    Star.made = cat
""")
OBJECTS = _lines("""
    s in stars
    s in stars
    s in reversed(stars)
    s in tuple(stars[1:])
    s in named.values()
    s in list(stars)
    i, s in enumerate(stars)
    i, s in enumerate(stars, 1)
    i, s in zip(range(7), stars)
    i, (s, t) in enumerate(zip(stars, others))
    name, s in named.items()
    s in (q for q in stars)
    s in given(stars)
    i, s in enumerate(given(stars))
    s in filter(None, stars)
    s, *t in [(q, 1, 2) for q in stars]
""")
ROWS = _lines("""
    r in grid
    i, r in enumerate(grid)
    i, r in grouped.items()
    r in grouped.values()
    r in rows
    r, w in zip(grid, rows)
""")
ROW_DATA = """\
grid = [[j, 2 - j] for j in range(8)]
rows = [Row([j, 1]) for j in range(8)]
grouped = {j: [j, 3] for j in range(8)}
"""
ROW_ALIASES = _lines("""
    grid[5] = grid[2]
    first = grid[0]
    grid[3].append(grid[4])
    rows[2].owner = rows
    rows[1].mate = grid[1]
    grouped[3] = grid[3]
    both = [grid[1], grid[6]]
    for each in grid: each.append(cat)
""")
ARRAYS = _lines("""
    a in mat
    a in mat.T
    i, a in enumerate(mat)
    a in arrays
    i, a in zip(range(9), arrays)
    a in list(mat)
    a, b in zip(arrays, mat)
    a in mat[::2]
""")
ARRAY_DATA = """\
mat = np.arange(32.0).reshape(8, 4)
arrays = [np.arange(j + 3) * 1.5 for j in range(8)]
"""
ARRAY_ALIASES = _lines("""
    first = mat[0]
    arrays[3] = arrays[2]
    arrays[4] = arrays[5][1:]
    arrays[6] = mat[6]
    flat = mat.ravel()
    arrays = [flat[j:j + 5] for j in range(8)]
    arrays[0] = np.array([1.5, float('nan'), -0.0])
    arrays[1] = np.array([[1], None], dtype=object)
""")

ON_OBJECTS = _lines("""
    s.n += {n}
    s.x = {n}
    s.x = slow({n})
    s.size = {n}
    s.log.append({n})
    s.log.append({v})
    s.fit({n})
    s.fit()
    v = s.fit({n}) ~ total += v
    out.append(s.fit({n}))
    s.note({v})
    s.swap()
    s.forget()
    out.append(s.count())
    s.log = {l}
    s.log += {l}
    s.log[:1] = {l}
    s.log.sort(key=str)
    s.log *= 2
    s.inner['k'] = {v}
    s.inner.setdefault('q', []).append({n})
    s.inner.pop('a', None) ~ s.inner['a'] = {n}
    s.pts.add({n})
    s.pts |= {{{n}, 3}}
    s.last = s.log
    t1 = s.log ~ t1.append({n})
    t1 = s.log ~ t1 = t1 + {l} ~ s.last = t1
    t2 = {l} ~ s.last = t2 ~ t2.append({n}) ~ out.append(t2)
    t2 = [s.log] ~ t2[0].append({n})
    s.last = Star({n}) ~ s.last.fit()
    s.last = (s.log, {v})
    setattr(s, 'x', {n})
    changed(s, {n})
    out.append(changed(s, {n}))
    for j in range(2): s.note(j)
    for q in s.log: total += q if isinstance(q, int) else 1
    if {c}: s.log.append({n})
    if {c}: s.x = {n} ~ else: s.n = {n}
    try: s.risky({n}) ~ except ValueError: s.x = 1
    try: s.risky({n}) ~ except ValueError as e: out.append(str(e))
    s.risky({n})
    s.x = brittle({n})
    s.log.append(s)
    s.n, s.x = {n}, {n}
    s = s.swap() ~ s.fit()
    cat.append({n})
    s.inner['cat'] = cat
    s.log = cat
""")
ON_ROWS = _lines("""
    r.append({n})
    r.append({v})
    r.sort(key=str)
    r.reverse()
    r[0] = {n}
    r[:] = {l}
    r += {l}
    r *= 2
    del r[0]
    r.insert(0, {v})
    r.extend([{n}, 2])
    r.append(r)
    q = r ~ q.append({n})
    q = r[:] ~ q.append({n}) ~ out.append(q)
    if {c}: r.pop()
    r.append(brittle({n}))
    for j in range(2): r.append(j)
    r = r + {l}
    r.append(cat)
""")
ON_ARRAYS = _lines("""
    a *= 2
    a += {n}
    a[:] = {n}
    a[0] = {n}
    a[1:] = a[:-1].copy()
    a.sort()
    a.fill({n})
    a[a > 3] = {n}
    a -= a.mean()
    np.add(a, 1, out=a)
    q = a[1:] ~ q *= 3
    q = a * 2 ~ q[0] = {n} ~ out.append(q)
    out.append(a[::2])
    if {c}: a *= 2
    a[0] = brittle({n})
    a = a + 1
""")
COMMITS = _lines("""
    out.append({i})
    out.append({i})
    out.append(({i}, {n}))
    out.append({n})
    total += {n}
    total = total * 2 % 101 + {n}
    print({n})
    d[{n}] = {i}
    d[{n} % 3] = {v}
    d.setdefault({n} % 2, []).append({i})
    known[{n}] += 1
    if total % 7 == 6: break
    if total > 60: total = 0
    if {c}: continue
    if {n} % 9 == 8: break
    if {n} == 6: raise KeyError(total)
    v = {n} ~ out.append(v)
    u = {v} ~ d[0] = u
    k += 1
    out.append(len(out) + {n})
""")
NUMBERS = {
    "s": "s.n | len(s.log) | s.look() | s.size | s.n * 3 % 7 | sum(s.pts) | getattr(s, 'x', 2)",
    "r": "len(r) | r[0] if isinstance(r[0], int) else 1 | len(r) * 3 % 7",
    "a": "int(a[0]) | a.size | len(a) * 3 % 7",
}
MORE = _lines("""
    first.n
    len(stars)
    len(cat)
    stars[1].n
    total
    len(logs[2])
""")


class Writer:
    """Writes one loop over objects, rows or arrays."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        kinds = [
            ("s", OBJECTS, ON_OBJECTS, ALIASES),
            ("r", ROWS, ON_ROWS, ROW_ALIASES),
            ("a", ARRAYS, ON_ARRAYS, ARRAY_ALIASES),
        ]
        self.item, inputs, self.changes, self.aliases = kinds[(0, 0, 0, 1, 2)[draw(5)]]
        self.input = self.pick(inputs)
        self.bound = ["i"] if self.input.startswith("i,") else []

    def pick(self, options: list[str]) -> str:
        return options[self.draw(len(options))]

    def number(self, depth: int = 1) -> str:
        choice = self.draw(10)
        if choice < 2:
            return self.pick(["2", "5", "k", "1"])
        if choice < 4 and self.bound:
            return self.pick(self.bound)
        if choice == 9 and self.draw(6) == 0:
            text = self.pick(MORE)
            return text if self.item == "s" or "cat" in text or text == "total" else "4"
        if choice > 7 and depth:
            return f"slow({self.number(0)})"
        return f"({self.pick(NUMBERS[self.item].split(' | '))})"

    def fill(self, template: str) -> str:
        def slot(match: re.Match[str]) -> str:
            kind = match[1]
            if kind == "n":
                return self.number()
            if kind == "l":
                return f"[{self.number()}, {self.number()}]"
            if kind == "c":
                return f"{self.number()} % 2" if self.draw(2) else f"{self.number()} > 3"
            if kind == "i":
                parts = [self.item, *([f"{self.item}.log"] if self.item == "s" else [])]
                return self.pick(parts)
            return self.pick(
                [self.number(), f"[{self.number()}]", "'w'", f"{{'z': {self.number()}}}"]
            )

        return SLOT.sub(slot, template.replace("{{{n}", "{ {n}").replace("3}}", "3}"))

    def body(self) -> list[str]:
        lines: list[str] = []
        for _ in range(1 + self.draw(4)):
            commits = self.draw(3) == 0
            template = self.pick(COMMITS if commits else self.changes)
            lines += self.fill(template).split(" ~ ")
        return lines

    def data(self) -> str:
        text = DATA
        if self.item == "s":
            text += (SMALL if self.draw(4) == 0 else STARS) + OTHERS
        else:
            text += ROW_DATA if self.item == "r" else ARRAY_DATA
        chosen = [alias for alias in self.aliases if self.draw(9) == 0]
        if "first.n" in "".join(chosen):
            chosen.append("first = stars[0]")
        return text + "".join(alias + "\n" for alias in chosen)


def build(draw: Draw) -> Program:
    """A whole program, made by the choices that `draw(n)` (0 to n - 1) makes."""
    place = ("module", "function", "closure", *PLACES)[draw(3 + len(PLACES))]
    writer = Writer(draw)
    data = writer.data()
    target, source = writer.input.split(" in ", 1)
    settings = ("", "", ", chunk=1", ", chunk=2", ", chunk=3, workers=1", ", workers=3")[draw(6)]
    body = writer.body()
    if "first" in "".join(body) and "first =" not in data:
        data += "first = stars[0]\n"
    if "logs" in "".join(body) and "logs =" not in data:
        data += "logs = [each.log for each in stars]\n"
    lines = [f"for {target} in parallel({source}{settings}):", *("    " + x for x in body)]
    if draw(6) == 0:
        lines = ["for again in range(2):", *("    " + x for x in lines)]
    if draw(4) == 0:
        lines = ["try:", *("    " + x for x in lines), "except (ValueError, KeyError) as e:"]
        lines.append("    out.append(str(e))")
    loop = "\n".join(lines) + "\n"
    tasted = draw(5) == 0
    program = Program(HELPERS, data, loop, place, False, tasted)
    try:
        compile(program.source, "<random>", "exec")
    except SyntaxError:
        program = Program(HELPERS, data, loop, "module", False, tasted)
    return program
