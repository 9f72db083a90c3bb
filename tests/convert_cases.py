"""Loops of many shapes: name -> program. The line that ends in `# here` holds the loop."""

from __future__ import annotations

CASES: dict[str, str] = {}


def case(name: str, text: str) -> None:
    CASES[name] = text.lstrip("\n").replace("\n\n\n\n", "\n\n\n")


def line_of(text: str) -> int:
    """The line of the loop that is to be converted."""
    return next(k for k, line in enumerate(text.split("\n"), 1) if line.endswith("# here"))


HELPERS = """
def square(x):
    return x * x


def is_odd(x):
    return x % 2 == 1


"""

case(
    "recipe",
    """
avalues = list(range(10))
bvalues = [10 * a for a in avalues]
const = 3

results = []
for a, b in zip(avalues, bvalues):  # here
    results.append((a + b) * const)
print(results)
""",
)
case(
    "not_empty",
    """
results = [-1]
for a in range(8):  # here
    results.append(a**3)
print(results)
""",
)
case(
    "comment_between",
    """
k = 2
results = []
# Powers.
for a in range(8):  # here
    # of a
    y = a**k  # small

    # kept
    results.append(y * 2)  # twice
# after
print(results)
""",
)
case(
    "sum",
    HELPERS
    + """
total = 0.1
for x in range(9):  # here
    total += square(x) / 7
print(total)
""",
)
case(
    "best",
    HELPERS
    + """
xs = [3, 9, 2, 9, 1]
best, winner = -1, None
for x in xs:  # here
    score = square(x) % 13
    if score > best:
        best, winner = score, x
print(best, winner)
""",
)
case(
    "filtered",
    HELPERS
    + """
results = []
for x in range(12):  # here
    y = square(x)
    if y > 20:
        results.append(y * 2)
print(results)
""",
)
case(
    "called_filter",
    HELPERS
    + """
results = []
for x in range(12):  # here
    if is_odd(x):
        results.append(square(x))
print(results)
""",
)
case(
    "continue",
    HELPERS
    + """
results, skipped = [], 0
for x in range(12):  # here
    if not is_odd(x):
        skipped += 1
        continue
    y = square(x)
    results.append(y)
print(results, skipped)
""",
)
case(
    "break",
    HELPERS
    + """
results = []
for x in range(40):  # here
    y = square(x)
    if y > 200:
        break
    results.append(y)
else:
    print("all")
print(results, x)
""",
)
case(
    "break_else",
    HELPERS
    + """
results = []
for x in range(5):  # here
    y = square(x)
    if y > 200:
        break
    results.append(y)
else:
    print("all")
print(results)
""",
)
case(
    "commit_break",
    HELPERS
    + """
total = 0
for x in range(40):  # here
    total += square(x)
    if total > 300:
        break
print(total, x)
""",
)
case(
    "items",
    """
prices = {"a": 1.5, "b": 2.25, "c": 3.0}
taxed = {}
rate = 0.19
for name, price in prices.items():  # here
    taxed[name.upper()] = round(price * (1 + rate), 2)
print(taxed)
""",
)
case(
    "enumerate",
    HELPERS
    + """
names = ["x", "yy", "zzz"]
out = [0] * 3
for i, name in enumerate(names):  # here
    n = len(name) * 2
    out[i] = square(n)
print(out)
""",
)
case(
    "nested_target",
    """
points = [(1, (2, 3)), (4, (5, 6))]
out = []
for a, (b, c) in points:  # here
    out.append(a * b - c)
print(out)
""",
)
case(
    "print_each",
    HELPERS
    + """
for x in range(6):  # here
    print(x, square(x), sep=": ")
""",
)
case(
    "print_first",
    HELPERS
    + """
out = []
for x in range(6):  # here
    print("at", x)
    out.append(square(x) + 1)
print(out)
""",
)
case(
    "inner_loop",
    HELPERS
    + """
pairs = []
count = 0
for x in range(5):  # here
    for y in range(x):
        z = square(x) + y
        if z % 3 == 0:
            pairs.append((x, z))
            count += 1
print(pairs, count)
""",
)
case(
    "inner_append",
    """
out = []
for x in range(5):  # here
    for y in range(x):
        out.append(x * 10 + y**2)
print(out)
""",
)
case(
    "try_except",
    """
xs = ["1", "x", "3", "", "5"]
good, bad = [], 0
for x in xs:  # here
    try:
        y = int(x) * 2
    except ValueError:
        bad += 1
        continue
    good.append(y)
print(good, bad)
""",
)
case(
    "try_inside",
    """
xs = ["1", "x", "3", "", "5"]
good = []
for x in xs:  # here
    try:
        y = int(x) ** 2
    except ValueError as error:
        y = str(error)
    good.append(y)
print(good)
""",
)
case(
    "raises_caught",
    """
xs = [3, 2, 1, 0, 5]
out = []
try:
    for x in xs:  # here
        out.append(60 / x**2)
except ZeroDivisionError as error:
    print("stopped:", error, type(error).__name__)
print(out)
""",
)
case(
    "raises_printing",
    """
import sys

xs = [3, 2, 0, 5]
try:
    for x in xs:  # here
        print("start", x)
        y = 6 / x**2
        print("end", y)
except ZeroDivisionError as error:
    print(type(error).__name__, error)
print("x is", x)
""",
)
case(
    "in_function",
    HELPERS
    + """
def compute(xs, scale):
    results = []
    for x in xs:  # here
        results.append(square(x) * scale)
    return results


print(compute(range(7), 0.5))
""",
)
case(
    "function_return",
    HELPERS
    + """
def first_above(xs, limit):
    tried = 0
    for x in xs:  # here
        tried += 1
        y = square(x)
        if y > limit:
            return x, y, tried
    return None, None, tried


if __name__ == "__main__":
    print(first_above(range(50), 300))
    print(first_above(range(5), 300))
""",
)
case(
    "method",
    """
class Model:
    def __init__(self, k):
        self.k = k
        self.seen = []

    def value(self, x):
        return x**self.k

    def fit(self, xs):
        for x in xs:  # here
            self.seen.append(self.value(x) + 1)
        return self


print(Model(3).fit([1, 2, 3]).seen)
""",
)
case(
    "closure",
    """
def outer(k):
    offset = k * 10

    def inner(xs):
        out = []
        for x in xs:  # here
            out.append(x**2 + offset + k)
        return out

    return inner([1, 2, 3])


print(outer(4))
""",
)
case(
    "guarded",
    HELPERS
    + """
def main():
    scale = 3
    out = []
    for x in range(5):  # here
        out.append(square(x) * scale)
    print(out)


if __name__ == "__main__":
    main()
""",
)
case(
    "in_guard",
    HELPERS
    + """
if __name__ == "__main__":
    scale = 3
    out = []
    for x in range(5):  # here
        out.append(square(x) * scale)
    print(out)
""",
)
case(
    "global_read_by_function",
    """
OFFSET = 5
table = {}
for i in range(10):
    table[i] = i * i


def look(x):
    return table[x] + OFFSET


print("start")
out = []
for x in range(10):  # here
    out.append(look(x) * 2)
print(out)
""",
)
case(
    "last_values",
    HELPERS
    + """
out = []
for x in range(6):  # here
    y = square(x)
    out.append(y + 1)
print(out, x, y)
""",
)
case(
    "rebound_target",
    """
lines = ["  a b ", "c", " d e f"]
words = []
for line in lines:  # here
    line = line.strip()
    parts = line.split()
    words.append((line, len(parts)))
print(words)
""",
)
case(
    "while_inside",
    """
steps = {}
for n in range(1, 12):  # here
    count, m = 0, n
    while m != 1:
        m = m // 2 if m % 2 == 0 else 3 * m + 1
        count += 1
    steps[n] = count
print(steps)
""",
)
case(
    "clashing_names",
    """
worker, pool, fn, partial, Pool, item = 1, 2, 3, 4, 5, 6
pair = value = 7
out = []
for a, b in [(1, 2), (3, 4)]:  # here
    out.append(a * b + worker + pool + fn + partial + Pool + item + pair + value)
print(out)
""",
)
case(
    "strings",
    '''
def shout(x):
    return x.upper()


texts = ["ä", "b", "c"]
out = []
for t in texts:  # here
    s = f"""{t}:
    {shout(t)}
  end"""
    out.append(s + 'é')
print("".join(out))
''',
)
case(
    "multi_line",
    """
out = []
for x in [
    1,
    2,
    3,
]:  # here
    out.append(
        max(
            x,  # the item
            2 * x - 2,
        )
    )
print(out)
""",
)
case(
    "fstring_commit",
    HELPERS
    + """
total = 0
for x in range(5):  # here
    total += x
    print(f"{total:3d} {square(x)!r:>4}")
""",
)
case(
    "elif_chain",
    HELPERS
    + """
small, medium, large = [], [], 0
for x in range(12):  # here
    y = square(x)
    if y < 10:
        small.append(y)
    elif y < 60:
        medium.append((x, y))
    else:
        large += y
print(small, medium, large)
""",
)
case(
    "nested_ifs",
    HELPERS
    + """
log = []
n = 0
for x in range(10):  # here
    y = square(x)
    if is_odd(y):
        n += 1
        if y > 30:
            z = square(y)
            log.append(("big", z))
        else:
            log.append(("small", y))
print(log, n)
""",
)
case(
    "imports_there",
    """
from __future__ import annotations

import math
from functools import partial, reduce

half = partial(math.pow, 0.5)
out = []
for x in range(5):  # here
    out.append(half(x) + math.sqrt(x))
print(out, reduce(lambda a, b: a + b, out))
""",
)
case(
    "local_import",
    """
def compute(n):
    import math

    out = []
    for x in range(n):  # here
        out.append(math.sqrt(x) + 1)
    return out


print(compute(5))
""",
)
case(
    "decimal_precision",
    """
from decimal import Decimal, getcontext

getcontext().prec = 50
out = []
for x in range(1, 5):  # here
    out.append(Decimal(x) / Decimal(7))
print(out)
""",
)
case(
    "two_loops_same_name",
    """
xs = range(4)
out = []
for x in xs:
    out.append(x + 1)
for x in xs:  # here
    out.append(x**2 * 3)
for x in xs:
    out.append(x)
print(out)
""",
)
case(
    "function_result",
    """
def cube(x):
    return x**3


cubes = []
names = {}
for n in range(6):  # here
    c = cube(n)
    cubes.append(c)
    names[n] = str(c)
    print(n)
print(cubes, names)
""",
)
case(
    "match_statement",
    """
shapes = [("square", 2), ("circle", 1), ("line",)]
areas = []
for shape in shapes:  # here
    match shape:
        case ("square", side):
            area = side**2
        case ("circle", r):
            area = 3 * r**2
        case _:
            area = 0
    areas.append(area)
print(areas)
""",
)
case(
    "counter",
    """
from collections import Counter

texts = ["a b a", "b c", "c c c"]
total = Counter()
lengths = []
for text in texts:  # here
    words = text.split()
    total.update(Counter(words))
    lengths.append(len(words))
print(sorted(total.items()), lengths)
""",
)
case(
    "zip_three",
    """
a, b, c = [1, 2, 3], (4, 5, 6), {7: 0, 8: 0, 9: 0}
out = []
for x, y, z in zip(a, b, c):  # here
    out.append(x * y + z)
print(out)
""",
)
case(
    "generator_input",
    """
def numbers(n):
    for k in range(n):
        yield k, k + 1


out = {}
for k, m in numbers(6):  # here
    v = k**m
    out[k] = v
print(out)
""",
)
case(
    "one_line",
    """
out = []
for x in range(5): out.append(x**2 + 1)  # here
print(out)
""",
)
case(
    "list_comprehension",
    HELPERS
    + """
c = 3
out = [square(x) * c for x in range(10)]  # here
print(out)
""",
)
case(
    "filtered_comprehension",
    HELPERS
    + """
xs = list(range(10))
out = [square(x) + 1 for x in xs if x % 3]  # here
print(out)
""",
)
case(
    "call_filtered_comprehension",
    HELPERS
    + """
xs = list(range(10))
out = [square(x) + 1 for x in xs if is_odd(x)]  # here
print(out)
""",
)
case(
    "two_for_comprehension",
    HELPERS
    + """
out = [square(x) + y for x in range(5) for y in range(x) if y % 2]  # here
print(out)
""",
)
case(
    "set_comprehension",
    HELPERS
    + """
out = {square(x) % 7 for x in range(20)}  # here
print(sorted(out))
""",
)
case(
    "dict_comprehension",
    HELPERS
    + """
names = {"a": 1, "b": 2}
out = {name.upper(): square(n) for name, n in names.items()}  # here
print(out)
""",
)
case(
    "sum_of_generator",
    HELPERS
    + """
def total(xs, k):
    return sum(square(x) * k for x in xs) / 2  # here


print(total([1, 2, 3], 0.1))
""",
)
case(
    "map_call",
    HELPERS
    + """
out = list(map(square, range(8)))  # here
print(out)
""",
)
case(
    "map_lambda",
    """
a = [1, 2, 3]
k = 10
out = sorted(map(lambda x, y: x * y + k, a, [5, 4, 3]))  # here
print(out)
""",
)
case(
    "raises_behind_the_break",
    HELPERS
    + """
out = []
for x in range(5, -300, -1):  # here
    y = 10 // x
    if y > 4:
        break
    out.append(y)
print(out, x)
""",
)
case(
    "in_a_while",
    HELPERS
    + """
rounds, state = 0, [1, 2]
while rounds < 2:
    new = []
    for x in state:  # here
        new.append(square(x) + rounds)
    state = new
    rounds += 1
print(state)
""",
)
case(
    "global_in_function",
    """
LIMIT = 10
scale = 2


def run(xs):
    found = {}
    for key, x in xs.items():  # here
        if x * scale < LIMIT:
            found[key] = x**scale
    return found


scale = 3
print(run({"a": 1, "b": 2, "c": 9}))
""",
)
case(
    "lambda_at_top",
    """
cube = lambda x: x**3

out = []
for x in range(4):  # here
    out.append(cube(x) + 1)
print(out)
""",
)
case(
    "named_tuple",
    """
from collections import namedtuple

Point = namedtuple("Point", "x y")
points = [Point(1, 2), Point(3, 4)]
out = []
for p in points:  # here
    out.append(Point(p.x**2, p.y + 1))
print(out)
""",
)
case(
    "tuple_stored",
    """
table = {}
for i in range(4):  # here
    k = i * 2
    if k % 3:
        for j in range(2):
            table[i, j] = k + j, i**2
    else:
        table[i] = k
print(table)
""",
)
case(
    "return_expression",
    HELPERS
    + """
def search(xs):
    seen = []
    for x in xs:  # here
        for y in (x, -x):
            if square(y) == 49:
                return seen, x, y
        seen.append(x)
    return None


print(search(range(20)))
print(search([1]))
""",
)
case(
    "stop_iteration",
    """
def first(xs):
    if not xs:
        raise StopIteration
    return xs[0] ** 2


def firsts(rows):
    found = []
    for row in rows:  # here
        found.append(first(row) * 2)
    return found


try:
    print(firsts([[1], [], [2]]))
except StopIteration:
    print("one is empty")
print(firsts([[1], [2]]))
""",
)
case(
    "elif_in_order",
    HELPERS
    + """
out, total = [], 0
for x in range(8):  # here
    if is_odd(x):
        for k in range(2):
            out.append(square(x) + k)
    elif total > 5:
        total -= 1
    else:
        total += x
print(out, total)
""",
)
case(
    "raises_and_tells_where",
    """
xs = [3, 2, 1, 0, 5]
out = []
try:
    for x in xs:  # here
        out.append(60 / x**2)
except ZeroDivisionError:
    print("stopped at", x)
print(out)
""",
)
case(
    "filtered_pairs",
    """
xs = [("a", 1), ("b", 2), ("c", 3)]
big = [k * v for k, v in xs if v > 1]  # here
print(big)
""",
)
case(
    "table_filled_by_a_function",
    """
TABLE = {}


def fill():
    for i in range(5):
        TABLE[i] = i * 2


def look(x):
    return TABLE[x] + shift


def main():
    out = []
    for x in range(5):  # here
        out.append(look(x) ** 2)
    print(out)


shift = 7
fill()
main()
""",
)
