"""Exceptions come back as they were raised: from loops, `map`, `Pool` and `Executor` alike."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

import allcores
from allcores import parallel
from tests.same import forced


class Odd(Exception):
    """Neither its arguments nor its `__init__` are what pickle expects."""

    def __init__(self, code: int, *, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code, self.reason = code, reason


class Slotted(ValueError):
    __slots__ = ("place",)


class Own(Exception):
    """One that says itself how it is to be pickled."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__(a + b)
        self.a, self.b = a, b

    def __reduce__(self) -> Any:
        return Own, (self.a, self.b)


class Problems(ExceptionGroup[Exception]):
    def __new__(cls, where: str, found: list[Exception]) -> Problems:
        self = super().__new__(cls, f"in {where}", found)
        self.where = where
        return self

    where: str


def local_class() -> type[Exception]:
    class Local(LookupError):
        pass

    return Local


Local = local_class()


def slotted() -> None:
    error = Slotted("no", 3)
    error.place = "here"
    raise error


def from_another() -> None:
    try:
        {}["k"]
    except KeyError as error:
        raise Odd(3, reason="no key") from error


def while_handling() -> None:
    try:
        int("x")
    except ValueError:
        1 / 0


def from_none() -> None:
    try:
        int("x")
    except ValueError:
        raise TypeError("hidden") from None


def with_notes() -> None:
    error = OSError(2, "no such thing", "name.txt")
    error.add_note("a note")
    raise error


def group() -> None:
    found: list[Exception] = []
    for text in ("x", "1", "y"):
        try:
            int(text)
        except ValueError as error:
            error.add_note(f"for {text}")
            found.append(error)
    raise ExceptionGroup("outer", [*found, ExceptionGroup("inner", [Odd(1, reason="r")])])


def own_group() -> None:
    raise Problems("here", [ValueError(1), KeyError("k")])


def deep(n: int) -> None:
    if n == 0:
        raise RuntimeError("at the bottom")
    deep(n - 1)


def raises(error: BaseException) -> None:
    raise error


RAISE: dict[str, Callable[[], None]] = {
    "arguments of several types": lambda: raises(ValueError(1, "two", [3.0], {"four": None})),
    "none": lambda: raises(ValueError()),
    "an odd __init__": lambda: raises(Odd(7, reason="why")),
    "slots": slotted,
    "its own __reduce__": lambda: raises(Own(1, 2)),
    "a local class": lambda: raises(Local("lost", 1)),
    "fields": lambda: raises(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")),
    "a lambda": lambda: raises(ValueError("f", lambda: 3)),
    "notes": with_notes,
    "from another": from_another,
    "while handling": while_handling,
    "from None": from_none,
    "a group": group,
    "a group of its own": own_group,
    "many frames": lambda: deep(30),
    "StopIteration": lambda: raises(StopIteration("value")),
    "SystemExit": lambda: raises(SystemExit(3)),
    "GeneratorExit": lambda: raises(GeneratorExit("g")),
    "KeyboardInterrupt": lambda: raises(KeyboardInterrupt("mine")),
    "a BaseException": lambda: raises(BaseException("b", 1)),
}


def work(name: str, x: int) -> int:
    if x == 3:
        RAISE[name]()
    return x


def in_loop(name: str) -> None:
    out = []
    for x in parallel(range(6)):
        out.append(work(name, x))


def collected(name: str) -> None:
    loop = parallel(range(6), on_error="collect")
    out = []
    with pytest.warns(allcores.SkippedWarning):
        for x in loop:
            out.append(work(name, x))
    assert out == [0, 1, 2, 4, 5]
    raise loop.errors[0].exception


def of_map(name: str) -> None:
    allcores.map(partial(work, name), range(6))


def of_imap(name: str) -> None:
    list(allcores.imap(partial(work, name), iter(range(6))))


def of_starmap(name: str) -> None:
    allcores.starmap(work, [(name, x) for x in range(6)])


WAYS = {f.__name__: f for f in (in_loop, collected, of_map, of_imap, of_starmap)}


@pytest.fixture(scope="module")
def pool() -> Iterator[allcores.Pool]:
    with allcores.Pool(2) as pool:
        yield pool


@pytest.fixture(scope="module")
def executor() -> Iterator[allcores.Executor]:
    with allcores.Executor(2) as executor:
        yield executor


def caught(run: Callable[[], Any]) -> BaseException:
    with forced():
        try:
            run()
        except BaseException as error:
            return error
    raise AssertionError("nothing was raised")


def plainly(name: str) -> BaseException:
    def run() -> None:
        for x in range(6):
            work(name, x)

    return caught(run)


def told(error: BaseException | None, notes: bool = True) -> Any:
    """All that an exception says, but for the frames above `work`."""
    if error is None:
        return None
    own = {k: v for k, v in vars(error).items() if k != "__notes__"}
    fields = [getattr(error, n, None) for n in ("errno", "filename", "start", "place", "value")]
    said = [n for n in getattr(error, "__notes__", ()) if not n.startswith("in ")]
    members = getattr(error, "exceptions", ())
    args = error.args if not members else (error.args[0], len(error.args[1]))
    return (
        type(error),
        [repr(a).partition(" at 0x")[0] for a in args],
        {k: repr(v) for k, v in own.items()},
        fields,
        said,
        lines(error),
        [told(m) for m in members],
        told(error.__cause__),
        told(error.__context__),
        error.__suppress_context__,
    )


def lines(error: BaseException) -> list[tuple[str, int | None, str | None, int | None]]:
    """The traceback's entries from `work` on, if it comes by that: lines, names and columns."""
    entries = traceback.extract_tb(error.__traceback__)
    names = [entry.name for entry in entries]
    begin = names.index("work") if "work" in names else 0
    return [(e.filename, e.lineno, e.name, e.colno) for e in entries[begin:]]


def assert_same(name: str, error: BaseException, what: str) -> None:
    plain = plainly(name)
    if type(plain) is StopIteration and what in ("of_imap", "Pool.imap", "Executor.map"):
        # As from a generator expression.
        assert type(error) is RuntimeError
        error = error.__cause__  # type: ignore[assignment]
    assert told(error) == told(plain)
    assert "allcores/engine" not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("name", RAISE)
def test_from_loops_and_maps(name: str) -> None:
    for what, way in WAYS.items():
        if what == "collected" and not issubclass(type(plainly(name)), Exception):
            continue
        assert_same(name, caught(lambda: way(name)), what)


@pytest.mark.parametrize("name", RAISE)
def test_from_a_pool(name: str, pool: allcores.Pool, executor: allcores.Executor) -> None:
    ways: dict[str, Callable[[], Any]] = {
        "Pool.map": lambda: pool.map(partial(work, name), range(6)),
        "Pool.imap": lambda: list(pool.imap(partial(work, name), range(6))),
        "Pool.apply_async": lambda: pool.apply_async(work, (name, 3)).get(60),
        "Executor.submit": lambda: executor.submit(work, name, 3).result(60),
        "Executor.map": lambda: list(executor.map(partial(work, name), range(6))),
    }
    for what, way in ways.items():
        assert_same(name, caught(way), what)


# -- what cannot be sent


class Holding(Exception):
    pass


KEPT = threading.Lock()


def holds(x: int) -> int:
    if x == 3:
        raise Holding("holding", KEPT)
    return x


def test_what_holds_something_that_cannot_be_sent() -> None:
    def loop() -> None:
        out = []
        for x in parallel(range(6)):
            out.append(holds(x))

    for way in (loop, lambda: allcores.map(holds, range(6))):
        error = caught(way)
        assert isinstance(error, Holding)
        assert error.args[0] == "holding" and error.args[1] is KEPT
        assert [e.name for e in traceback.extract_tb(error.__traceback__)][-1] == "holds"


def test_what_is_collected_or_comes_from_a_pool_says_what_is_missing(pool: allcores.Pool) -> None:
    def collect() -> None:
        out = []
        loop = parallel(range(6), on_error="collect")
        with pytest.warns(allcores.SkippedWarning):
            for x in loop:
                out.append(holds(x))
        raise loop.errors[0].exception

    for way in (collect, lambda: pool.map(holds, range(6))):
        error = caught(way)
        assert type(error) is Holding
        # A clean interpreter has a lock of its own, at another address.
        assert [a.partition(" at ")[0] for a in error.args] == [
            "holding",
            repr(KEPT).partition(" at ")[0],
        ]
        assert any(n.startswith("args[1] (<unlocked") for n in error.__notes__), error.__notes__


# -- notes, state and context


def test_the_note_is_on_the_exception_that_leaves_the_loop() -> None:
    inner: list[BaseException] = []

    def run() -> None:
        out = []
        for x in parallel(range(6)):
            try:
                int("x" * x)
            except ValueError as error:
                if x == 4:
                    try:
                        raise ValueError("outer", x)
                    finally:
                        inner.append(error)
            out.append(x)

    error = caught(run)
    assert error.args == ("outer", 4)
    assert error.__notes__ == ["in iteration 4 of the parallel loop, with x = 4"]
    assert all(not hasattr(e, "__notes__") for e in inner)


def test_what_is_being_handled_around_a_loop_is_the_context() -> None:
    def collect() -> BaseException:
        loop = parallel([0], on_error="collect")
        with pytest.warns(allcores.SkippedWarning):
            for _ in loop:
                while_handling()
        return loop.errors[0].exception

    def mapped() -> BaseException:
        return caught(lambda: allcores.map(lambda _: while_handling(), [0, 1]))

    for way in (collect, mapped):
        around = KeyError("around")
        try:
            raise around
        except KeyError:
            with forced():
                error = way()
        assert isinstance(error, ZeroDivisionError)
        assert isinstance(error.__context__, ValueError)
        assert error.__context__.__context__ is around


def test_state_at_the_raise() -> None:
    out: list[int] = []
    sums = {0: 0, 1: 0, 2: 0}

    def run() -> None:
        for x in parallel([0, 1, 2, 3, 1]):
            y = x * 2
            out.append(y)
            sums[x] += y

    error = caught(run)
    assert isinstance(error, KeyError)
    assert (out, sums) == ([0, 2, 4, 6], {0: 0, 1: 2, 2: 4})
    assert [e.line for e in traceback.extract_tb(error.__traceback__)][-1] == "sums[x] += y"
    assert "allcores" not in "".join(traceback.format_tb(error.__traceback__)[1:])
