"""`a[i] = f(a[i])`: elements that one iteration alone reads and writes."""

from __future__ import annotations

import pytest

from tests.same import assert_same

DATA = """\
import numpy as np
a = [3, 1, 2, 5] * 3
b = a
m = np.arange(48.0).reshape(4, 12)
windows = np.lib.stride_tricks.sliding_window_view(np.arange(14.0), 3, writeable=True)
d = {k: [k] for k in "abcdef"}
out = []
class Model:
    def __init__(self):
        self.w = [3, 4, 5, 6]
    def scale(self):
        for i in parallel(range(4)):
            self.w[i] = sorted([self.w[i], 5])
"""

PARALLEL = {
    "a list": "for i in parallel(range(len(a))):\n    a[i] = sum(range(a[i] * 10))",
    "what it loops over": "for i, x in parallel(enumerate(a)):\n    a[i] = sum(range(x * 10))",
    "added to": "for i, x in parallel(enumerate(a)):\n    a[i] += sum(range(x * 10))",
    "columns": "for j in parallel(range(m.shape[1])):\n    m[:, j] = np.sort(m[:, j])[::-1] * 2",
    "in a sum": "for i in parallel(range(12)):\n    a[i] = sum((a[i] + k) % 3 for k in range(50))",
    "rows": "for j in parallel(range(len(m))):\n    m[j] = np.cumsum(m[j])",
    "one of a row": "for j in parallel(range(12)):\n    m[2, j] = np.sqrt(m[2, j])",
    "a dict": "for k in parallel(d):\n    d[k] = [len(d[k])] * 3",
    "its items": "for k, v in parallel(d.items()):\n    d[k] = sorted(v + [k])",
    "an attribute": "model = Model()\nmodel.scale()",
    "written in some": "for i in parallel(range(12)):\n    if max(a[i], 2) > 2: a[i] = sorted([a[i], 2])",
    "read after as well": "for i in parallel(range(12)):\n    a[i] = max(a[i], 1)\n    out.append(sorted([a[i], 2]))",
    "by zip": "for i, x in parallel(zip(range(12), 'abcdefghijkl')):\n    a[i] = sorted([x] * a[i])",
    "raises": "for i in parallel(range(12)):\n    a[i] = 6 // (a[i] - 2)",
    "leaves": "for i in parallel(range(12)):\n    if max(a[i], 0) == 5: break\n    a[i] = sorted([a[i]])",
    "again and again": "for _ in range(3):\n    for i in parallel(range(12)):\n        a[i] = max(a[i], 2) + 1",
}
SERIAL = {
    "the element before": "for i in parallel(range(1, 12)):\n    a[i] = max(a[i], a[i - 1]) + 1",
    "negative numbers": "for i in parallel(range(-3, 12)):\n    a[i] = max(a[i], 3) + 1",
    "twice the same": "for i in parallel([0, 1, 0, 1]):\n    a[i] = sorted([a[i]])",
    "the next element": "for i, x in parallel(enumerate(a[:-1] and a, 1)):\n    if i < 12: a[i] = max(sorted([x])) + 1",
    "shared memory": "for i in parallel(range(10)):\n    windows[i] = windows[i].cumsum()",
    "a second name": "for i in parallel(range(1, 12)):\n    a[i] = max(a[i], b[i - 1]) + 1",
    "inside a loop": "for i in parallel(range(12)):\n    for k in range(3): a[i] = max(a[i], k) + 1",
}
EITHER = {
    "kept for later": "for i in parallel(range(12)):\n    a[i] = (a[i] + k for k in range(3))",
    "a view, after": "for i in parallel(range(4)):\n    r = m[i]\n    m[i] = np.sort(r)[::-1]\n    out.append(np.sort(r).sum())",
    "another view": "for i in parallel(range(4)):\n    r = np.asarray(m[i])\n    m[i] = np.sort(r)[::-1]\n    out.append(np.sort(r))",
    "its row": "for i, row in parallel(enumerate(m)):\n    m[i] = np.sort(row)[::-1]\n    out.append(np.sort(row)[0])",
    "changed in place": "for i in parallel(range(12)):\n    a[i] = [a[i]]\n    a[i].append(1)\n    a[i] = sorted(a[i])",
    "a commit raises": "for i in parallel(range(12)):\n    a[i] = sorted([a[i]])\n    a[i + 3] = max(i, 2)",
}


@pytest.mark.parametrize("name", PARALLEL)
def test_in_workers(name: str) -> None:
    assert_same(DATA + PARALLEL[name] + "\n", "parallel")


@pytest.mark.parametrize("name", SERIAL)
def test_in_order(name: str) -> None:
    assert_same(DATA + SERIAL[name] + "\n", "serial")


@pytest.mark.parametrize("name", EITHER)
def test_the_same(name: str) -> None:
    assert_same(DATA + EITHER[name] + "\n", places=("module", "quiet"))
