"""What is found by a name that is worked out, in another module than the loop's, is not missed."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from sessions import run

STATE = "LOG = []\nN = 0\ndef get_n(): return N\n"
MODELS = """
import state
def kept(name): kept.calls.append(name)
kept.calls = []
class Star:
    count = 0
    def __init__(self, name): self.name = name
    @property
    def counted(self):
        type(self).count += 1
        return self.name
    @property
    def kept(self):
        kept(self.name)
        return self.name
    @property
    def logged(self):
        state.LOG.append(self.name)
        return self.name
    def note(self, n):
        state.N += n
        return self.name
"""
PROGRAM = """
import importlib, operator, sys
import state
from allcores import parallel
from models import Star, kept
stars = [Star(k) for k in range(10)]
name = "log" + "ged"
g, m = operator.attrgetter("logged"), operator.methodcaller("note", 2)
def by_getattr(star): return getattr(star, name)
def by_class(star): return getattr(star, "coun" + "ted")
def by_function(star): return getattr(star, "ke" + "pt")
def by_getter(star): return operator.attrgetter(name)(star)
def by_key(star): return sorted([star], key=operator.attrgetter("logged"))[0].name
out = []
for k, star in enumerate(stars) if PLAIN else parallel(enumerate(stars)):
    BODY
print(out, k, state.LOG, state.N, Star.count, kept.calls)
"""
BODIES = [
    "out.append(g(star))",
    "out.append(m(star))",
    "out.append(by_getattr(star))",
    "out.append(by_class(star))",
    "out.append(by_function(star))",
    "out.append(by_getter(star))",
    "out.append(by_key(star))",
    "out.append(operator.attrgetter('logged')(star))",
    "sys.modules['state'].N = k; out.append(state.get_n())",
    "sys.modules.get('state').N = k; out.append(state.get_n())",
    "importlib.import_module('state').N = k; out.append(state.get_n())",
    "setattr(sys.modules['state'], 'N', k); out.append(state.get_n())",
]


@pytest.mark.parametrize("body", BODIES)
def test_the_same_as_the_plain_loop(body: str, tmp_path: Path) -> None:
    (tmp_path / "state.py").write_text(STATE)
    (tmp_path / "models.py").write_text(textwrap.dedent(MODELS))
    text = PROGRAM.replace("BODY", body)
    plain = run(tmp_path, text.replace("PLAIN", "True"))
    forced = {"ALLCORES_FORCE": "1", "ALLCORES_WORKERS": "2"}
    ours = run(tmp_path, text.replace("PLAIN", "False"), **forced)
    assert (plain.code, plain.err) == (0, "")
    assert (ours.code, ours.out) == (0, plain.out)


def test_what_no_clean_interpreter_can_have_is_no_obstacle(tmp_path: Path) -> None:
    """What work may come by by any name is what is there: nothing else needs to be sent."""
    (tmp_path / "state.py").write_text(STATE)
    (tmp_path / "beside.py").write_text("opened, steps = open(__file__), iter(int, 1)\n")
    (tmp_path / "models.py").write_text(textwrap.dedent(MODELS))
    text = """
        import beside
        from allcores import loop, parallel
        from models import Star
        steps = iter(int, 1)
        loop.listeners.append(lambda report: print(report.in_workers))
        out = []
        for k in parallel(range(10)):
            out.append(getattr(Star(k), "na" + "me"))
        print(out == [*range(10)])
        """
    ours = run(tmp_path, text, ALLCORES_FORCE="1", ALLCORES_ON="fresh")
    assert (ours.code, ours.out, ours.err) == (0, "10\nTrue\n", "")
