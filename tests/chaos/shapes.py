"""The programs of the chaos runs: loops of a dozen shapes, and the same for map, Pool and Executor.

Each says what is carried (compared after whatever happened) and what else is bound at a normal end.
"""

from __future__ import annotations

import textwrap
from typing import NamedTuple


class Shape(NamedTuple):
    """One kind of program. `loop` goes over `items` by `parallel` with `options`."""

    carried: tuple[str, ...]
    data: str
    loop: str
    left: tuple[str, ...] = ()
    """Bound by the loop; compared after a normal end."""
    face: str = "loop"
    """"loop" (takes all options of `parallel`), "map" (those of map) or "pool" (none)."""


def _shape(carried: str, data: str, loop: str, left: str = "", face: str = "loop") -> Shape:
    texts = textwrap.dedent(data).strip() + "\n", textwrap.dedent(loop).strip() + "\n"
    return Shape(tuple(carried.split()), *texts, tuple(left.split()), face)


SHAPES: dict[str, Shape] = {
    "append": _shape(
        "results",
        "results = []",
        """
        for x in parallel(items, **options):
            y = work(x)
            results.append(y)
        """,
        "x y",
    ),
    "sum": _shape(
        "total low",
        "total, low = 0.1, 9e9",
        """
        for x in parallel(items, **options):
            y = work(x)
            total += y * 0.1
            low = min(low, total - y)
        """,
        "x y",
    ),
    "dict": _shape(
        "seen counts",
        "seen, counts = {}, {}",
        """
        for i, x in parallel(zip(items, items), **options):
            seen[x] = work(i)
            counts[x % 7] = counts.get(x % 7, 0) + 1
        """,
        "i x",
    ),
    "nested": _shape(
        "table",
        "table = []",
        """
        for x in parallel(items, **options):
            row = []
            for k in range(3):
                row.append(work(x) * k if k == 2 else x + k)
            table.append(row)
        """,
        "x row k",
    ),
    "early break": _shape(
        "results",
        "results = []",
        """
        for x in parallel(items, **options):
            y = work(x)
            if x == stop:
                break
            results.append(y)
        else:
            results.append("went through")
        """,
        "x y",
    ),
    "generator": _shape(
        "results",
        """
        results = []
        def numbers():
            for x in items:
                yield x, x + 1
        """,
        """
        for x, following in parallel(numbers(), **options):
            y = work(x)
            results.append((y, following))
        """,
        "x following y",
    ),
    "input raises": _shape(
        "results",
        """
        results = []
        def numbers():
            for x in items:
                if x == stop:
                    raise KeyError(x)
                yield x
        """,
        """
        for x in parallel(numbers(), **options):
            y = work(x)
            results.append(y)
        """,
        "x y",
    ),
    "entered again": _shape(
        "sums",
        """
        sums = []
        def total(k):
            found = 0.0
            for x in parallel(items[k::4], **options):
                y = work(x)
                found += y
            return found
        """,
        """
        for k in range(4):
            sums.append(total(k))
        """,
        "k",
    ),
    "prints": _shape(
        "",
        "",
        """
        for x in parallel(items, **options):
            y = work(x)
            print("item", x, "gives", y, flush=True)
        """,
        "x y",
    ),
    "log": _shape(
        "count",
        "count, log = 0, open('log.txt', 'a', buffering=1)",
        """
        for x in parallel(items, **options):
            y = work(x)
            log.write(f"{x} {y}\\n")
            count += 1
        """,
        "x y",
    ),
    "in place": _shape(
        "stars",
        """
        class Star:
            def __init__(self, x):
                self.x, self.fits = x, []
            def fit(self):
                y = work(self.x)
                self.fits.append(y)
        stars = [Star(x) for x in items]
        """,
        """
        for star in parallel(stars, **options):
            star.fit()
        """,
    ),
    "arrays": _shape(
        "images",
        "images = []",
        """
        for x in parallel(items, **options):
            y = work(x)
            image = np.full(40_000, float(y))
            images.append(image)
        """,
        "x",
    ),
    "best": _shape(
        "best winner tries",
        "best, winner, tries = -1.0, None, 0",
        """
        for x in parallel(items, **options):
            y = work(x)
            tries += 1
            if y > best:
                best, winner = y, x
        """,
        "x",
    ),
    "two commits": _shape(
        "evens odds steps",
        "evens, odds, steps = [], [], []",
        """
        for x in parallel(items, **options):
            y = work(x)
            try:
                half = 1 / (x % 2)
            except ZeroDivisionError:
                evens.append(y)
                continue
            odds.append(y * half)
            steps.append(len(odds))
        """,
        "x y",
    ),
    "map": _shape("results", "results = None", "results = map(work, items, **options)", face="map"),
    "imap": _shape(
        "results",
        "results = []",
        """
        for y in imap(work, (x for x in items), **options):
            results.append(y)
        """,
        face="map",
    ),
    "Pool.map": _shape(
        "results",
        "results = None",
        """
        with Pool(2) as pool:
            results = pool.map(work, items)
            results = results + pool.map(work, items[:3])
        """,
        face="pool",
    ),
    "Pool.imap": _shape(
        "results",
        "results = []",
        """
        with Pool(2) as pool:
            for y in pool.imap(work, items):
                results.append(y)
        """,
        face="pool",
    ),
    "Pool.apply_async": _shape(
        "results",
        "results = []",
        """
        with Pool(2) as pool:
            for given in [pool.apply_async(work, (x,)) for x in items]:
                results.append(given.get())
        """,
        face="pool",
    ),
    "Executor.map": _shape(
        "results",
        "results = []",
        """
        with Executor(2) as executor:
            for y in executor.map(work, items):
                results.append(y)
        """,
        face="pool",
    ),
    "Executor.submit": _shape(
        "results",
        "results = []",
        """
        with Executor(2) as executor:
            for future in [executor.submit(work, x) for x in items]:
                results.append(future.result())
        """,
        face="pool",
    ),
}

HEAD = "from tests.chaos.program import *\n"


def program(name: str, in_function: bool) -> str:
    """The text of a program of that shape, with its loop at module level or in a function."""
    shape = SHAPES[name]
    if not in_function:
        body = "with watched():\n" + textwrap.indent(shape.data + shape.loop, "    ")
        return HEAD + body
    inner = textwrap.indent(shape.data + shape.loop, "    ") + "    return locals()\n"
    return f"{HEAD}def program():\n{inner}with watched():\n    left = program()\n"
