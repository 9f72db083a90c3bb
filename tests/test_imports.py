"""Modules that work is the first to import: they run once, here, and what they do is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessions import run

COUNTING = """
COUNT = 0
def counted(x):
    global COUNT
    COUNT += 1
    return x + COUNT
"""
TELLING = """
print("loaded")
class Star:
    def __init__(self, x):
        self.x = x
def star(x):
    return Star(x)
"""
BUSY = """
import time
def busy():
    end = time.perf_counter() + 0.002
    while time.perf_counter() < end:
        pass
"""
PROGRAM = """
import sys
from busy import busy
from allcores import parallel
def imports_counting(k):
    busy()
    import counting
    return counting.counted(k)
def imports_telling(k):
    busy()
    from telling import star
    return star(k)
def imports_a_library(k):
    busy()
    import colorsys
    return colorsys.rgb_to_hsv(k, 1, 2)[0]
def loop(n):
    out = []
    for k in range(n) if PLAIN else parallel(range(n)):
        BODY
    return out
for n in 6, 60, 6:
    for each in loop(n):
        print(getattr(each, "x", each))
    print(sorted(name for name in ("counting", "telling", "colorsys") if name in sys.modules))
"""
BODIES = [
    "out.append(imports_counting(k))",
    "out.append(imports_telling(k))",
    "out.append(imports_a_library(k))",
    "busy(); import telling; out.append(telling.star(k))",
    "busy()\n        if k > 3: import counting; out.append(counting.counted(k))",
    "busy()\n        if k == 3: import telling\n        out.append(k)",
]


@pytest.mark.parametrize("force", ["", "1"])
@pytest.mark.parametrize("body", BODIES)
def test_what_is_imported_in_the_loop(body: str, force: str, tmp_path: Path) -> None:
    for name, text in ("counting", COUNTING), ("telling", TELLING), ("busy", BUSY):
        (tmp_path / f"{name}.py").write_text(text)
    text = PROGRAM.replace("BODY", body)
    plain = run(tmp_path, text.replace("PLAIN", "True"))
    ours = run(tmp_path, text.replace("PLAIN", "False"), ALLCORES_FORCE=force)
    assert (plain.code, plain.err) == (0, "")
    assert (ours.code, ours.out) == (0, plain.out)
