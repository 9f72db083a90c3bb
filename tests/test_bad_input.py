"""Arguments that make no sense, and `parallel` in places where it cannot help."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from allcores import NotParallel, ParallelWarning, parallel
from tests.same import forced

np: Any = pytest.importorskip("numpy")


@pytest.mark.parametrize("thing", [5, 1.5, None, True, object(), len, int, parallel])
def test_what_cannot_be_looped_over_is_refused_at_once(thing: Any) -> None:
    with pytest.raises(TypeError, match=r"parallel\(\) needs something to loop over, not \w+"):
        parallel(thing)


def test_a_number_gets_a_hint() -> None:
    with pytest.raises(TypeError, match=r"not int; perhaps range\(...\) is missing"):
        parallel(5)  # type: ignore[arg-type]


def test_no_argument() -> None:
    with pytest.raises(TypeError):
        parallel()  # type: ignore[call-arg]


def test_settings_are_given_by_name() -> None:
    with pytest.raises(TypeError):
        parallel([1], 2)  # type: ignore[misc]


@pytest.mark.parametrize("name", ["workers", "chunk"])
@pytest.mark.parametrize("value", [0, -1, -(10**30)])
def test_counts_below_one(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be at least 1, not {value}$"):
        parallel([1], **{name: value})


@pytest.mark.parametrize("name", ["workers", "chunk"])
@pytest.mark.parametrize("value", ["2", True, False, 1.5, 2.0, [2], Fraction(2), np.float64(2)])
def test_counts_that_are_no_whole_numbers(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"^{name} must be a whole number, not "):
        parallel([1], **{name: value})


@pytest.mark.parametrize("value", [np.bool_(True), np.array([1, 2])])
def test_counts_that_are_almost_whole_numbers(value: Any) -> None:
    with pytest.raises(TypeError):
        parallel([1], workers=value)


@pytest.mark.parametrize("value", [1, 3, np.int64(2), np.uint8(2)])
def test_counts_that_are_fine(value: Any) -> None:
    out = []
    with forced():
        for x in parallel(range(10), workers=value, chunk=value):
            out.append(x * x)
    assert out == [x * x for x in range(10)]


@pytest.mark.parametrize("value", ["moon", "", "Processes", "process", " serial"])
def test_a_place_that_does_not_exist(value: str) -> None:
    with pytest.raises(ValueError, match=r'^on must be "processes", .* or "serial", not '):
        parallel([1], on=value)


@pytest.mark.parametrize("value", [1, True, b"serial", ["serial"]])
def test_a_place_that_is_no_text(value: Any) -> None:
    with pytest.raises(TypeError, match=r'^on must be "processes", .* or "serial", not '):
        parallel([1], on=value)


@pytest.mark.parametrize("value", ["abc", "0", "-3", "1.5", "2,3", " "])
def test_workers_from_the_environment(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ALLCORES_WORKERS", value)
    with pytest.raises(ValueError, match=f"ALLCORES_WORKERS must be .*{value!r}"):
        parallel([1])
    parallel([1], workers=2)


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORKERS", "ON", "STRICT", "FORCE"):
        monkeypatch.setenv(f"ALLCORES_{name}", "")
    assert list(iter(parallel([1, 2], on="serial"))) == [1, 2]


def test_place_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLCORES_ON", "moon")
    with pytest.raises(ValueError, match=r"ALLCORES_ON must be .*'moon'"):
        parallel([1])
    parallel([1], on="serial")


@pytest.mark.parametrize("name", ["ALLCORES_STRICT", "ALLCORES_FORCE"])
def test_switches_from_the_environment(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "maybe")
    with pytest.raises(ValueError, match=f"{name} must be 1 or 0, not 'maybe'"):
        parallel([1])


@pytest.mark.parametrize("text", ["1", "true", "YES", "0", "off", "No"])
def test_spellings_of_switches(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("ALLCORES_FORCE", text)
    parallel([1])


def test_a_bad_variable_ends_a_program_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "from allcores import parallel\nfor x in parallel([1]):\n    print(x)\n"
    )
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env={**os.environ, "ALLCORES_WORKERS": "abc"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.rstrip().endswith(
        "ValueError: ALLCORES_WORKERS must be a whole number of at least 1, not 'abc'"
    )


# -- not the iterable of a `for` statement

XS = [3, 1, 2]
CALLS = {
    "list comprehension": (lambda: [x * x for x in parallel(XS)], [9, 1, 4], "write a loop"),
    "set comprehension": (lambda: {x * x for x in parallel(XS)}, {1, 4, 9}, "write a loop"),
    "dict comprehension": (lambda: {x: 1 for x in parallel(XS)}, dict.fromkeys(XS, 1), "write a"),
    "generator expression": (lambda: list(x + 1 for x in parallel(XS)), [4, 2, 3], "write a loop"),
    "list()": (lambda: list(parallel(XS)), XS, "write a loop"),
    "sum()": (lambda: sum(parallel(XS)), 6, "write a loop"),
    "sorted()": (lambda: sorted(parallel(XS)), [1, 2, 3], "write a loop"),
    "map()": (lambda: list(map(str, parallel(XS))), ["3", "1", "2"], "write a loop"),
    "star": (lambda: [*parallel(XS)], XS, "write a loop"),
    "in": (lambda: 2 in parallel(XS), True, "write a loop"),
}


@pytest.mark.parametrize("kind", CALLS)
@pytest.mark.parametrize("force", [False, True])
def test_elsewhere_it_is_the_plain_iterable_and_says_what_to_write(kind: str, force: bool) -> None:
    call, expected, advice = CALLS[kind]
    with forced(force), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert call() == expected
    texts = [str(w.message) for w in caught if w.category is ParallelWarning]
    assert len(texts) <= 1
    # Sites warn once: of the two runs of this test in one process only the first does.
    if not force:
        assert "this loop runs serially" in texts[0]
        assert advice in texts[0]
        assert [w.filename for w in caught] == [__file__]


def warned(source: str) -> tuple[dict[str, Any], list[str]]:
    """Run a program from a file-like source; its names and the ParallelWarnings it gave."""
    import linecache

    source = textwrap.dedent(source)
    name = f"<bad-input-{len(source)}-{hash(source)}>"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    names: dict[str, Any] = {"parallel": parallel, "__name__": "__bad__", "XS": XS}
    with forced(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exec(compile(source, name, "exec"), names)
    return names, [str(w.message) for w in caught if w.category is ParallelWarning]


def test_enumerate_outside_is_told_to_go_inside() -> None:
    names, texts = warned("""
        out = []
        for i, x in enumerate(parallel(XS)):
            out.append((i, x))
        """)
    assert names["out"] == [(0, 3), (1, 1), (2, 2)]
    [text] = texts
    assert "for i, x in parallel(enumerate(xs)):" in text


@pytest.mark.parametrize("wrapper", ["zip", "reversed_list", "tqdm"])
def test_other_things_around_it(wrapper: str) -> None:
    source = {
        "zip": "for x, y in zip(parallel(XS), XS):\n    out.append((x, y))",
        "reversed_list": "for x in reversed(list(parallel(XS))):\n    out.append(x)",
        "tqdm": "def tqdm(xs):\n    yield from xs\nfor x in tqdm(parallel(XS)):\n    out.append(x)",
    }[wrapper]
    names, texts = warned("out = []\n" + source)
    assert (
        names["out"]
        == {
            "zip": [(3, 3), (1, 1), (2, 2)],
            "reversed_list": [2, 1, 3],
            "tqdm": XS,
        }[wrapper]
    )
    assert len(texts) == 1
    assert "parallel" in texts[0]


def test_an_iterator_taken_by_hand() -> None:
    names, texts = warned("""
        it = iter(parallel(XS))
        first = next(it)
        rest = list(it)
        """)
    assert (names["first"], names["rest"]) == (3, [1, 2])
    assert len(texts) == 1


def test_a_for_statement_over_an_iterator_of_it() -> None:
    names, texts = warned("""
        out = []
        for x in iter(parallel(XS)):
            out.append(x)
        """)
    assert names["out"] == XS
    assert len(texts) <= 1


def test_a_comprehension_in_a_parallel_loop_is_not_taken_for_it() -> None:
    names, texts = warned("""
        out = []
        for x in parallel(XS):
            out.append([y for y in parallel(range(x))])
        """)
    assert names["out"] == [[0, 1, 2], [0], [0, 1]]


def test_the_same_object_looped_over_twice() -> None:
    names, _ = warned("""
        items, out = parallel(XS), []
        for x in items:
            out.append(x)
        for y in items:
            out.append(-y)
        """)
    assert names["out"] == [3, 1, 2, -3, -1, -2]


def test_strict_raises_where_it_would_warn() -> None:
    with pytest.raises(NotParallel, match=r"test_bad_input.py:.*write a loop"):
        list(parallel(XS, strict=True))


def test_strict_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLCORES_STRICT", "1")
    with pytest.raises(NotParallel):
        [x for x in parallel(XS)]


@pytest.mark.parametrize("source", [[], (), range(0), "", {}, iter([]), np.zeros(0)])
def test_nothing_to_loop_over(source: Any) -> None:
    out, entered = [], False
    with forced():
        for x in parallel(source):
            out.append(x)
        else:
            entered = True
    assert out == [] and entered
    with pytest.raises(NameError):
        print(x)


def test_an_iterable_whose_iter_raises() -> None:
    class Torn:
        def __iter__(self) -> Any:
            raise OSError("torn")

    out = []
    with forced(), pytest.raises(OSError, match="torn"):
        for x in parallel(Torn()):
            out.append(x)


def test_an_old_style_sequence() -> None:
    class Old:
        def __getitem__(self, i: int) -> int:
            if i > 5:
                raise IndexError
            return i * i

    out = []
    with forced():
        for x in parallel(Old()):  # type: ignore[arg-type]
            out.append(x)
    assert out == [0, 1, 4, 9, 16, 25]


def test_an_array_without_dimensions_is_refused_as_the_plain_loop_does() -> None:
    out = []
    with pytest.raises(TypeError):
        for x in parallel(np.array(5)):
            out.append(x)


def test_its_repr_names_the_iterable() -> None:
    assert repr(parallel([1, 2])) == "parallel([1, 2])"
