"""Exceptions on their way from a worker to the caller: the same type, whatever pickle says."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Iterator
from typing import Any, NamedTuple


class Raised(NamedTuple):
    """An exception in a form that always travels; stands where the result would have been."""

    whole: bytes | None
    """Its pickle, if that gives it back."""
    kinds: list[tuple[int, str, str]]
    """Its type and the bases of that: address, module, qualified name."""
    args: list[bytes | str]
    attributes: dict[str, bytes]
    text: str
    """The traceback as the worker saw it."""
    group: tuple[str, list[Raised]] | None = None
    """Of a group of exceptions: its message and its members."""


def pack(error: BaseException) -> Raised:
    """Make an exception ready to travel."""
    text = _traceback(error)
    whole = _whole(error)
    if whole is not None:
        return Raised(whole, [], [], {}, text)
    kinds = [
        (id(kind), kind.__module__, kind.__qualname__)
        for kind in type(error).__mro__
        if issubclass(kind, BaseException)
    ]
    group = None
    if isinstance(error, BaseExceptionGroup):
        group = error.message, [pack(e) for e in error.exceptions]
    args = [] if group else [_pickled(a) or _shown(a) for a in error.args]
    attributes = {n: _pickled(v) for n, v in getattr(error, "__dict__", {}).items()}
    return Raised(None, kinds, args, {n: v for n, v in attributes.items() if v}, text, group)


def unpack(raised: Raised) -> BaseException:
    """The exception again. Workers are forks, so a type has its address here too."""
    if raised.whole is not None:
        try:
            found = pickle.loads(raised.whole)
            if isinstance(found, BaseException):
                return found
        except Exception:
            return RuntimeError(f"a worker raised what cannot be unpickled here:\n{raised.text}")
    args: list[Any] = [a if isinstance(a, str) else _loaded(a) for a in raised.args]
    if raised.group is not None:
        args = [raised.group[0], [unpack(member) for member in raised.group[1]]]
    kind, exactly = _find(raised.kinds, args if raised.group else [])
    # Its own __init__ may want arguments that nobody kept; it was run in the worker.
    error = kind.__new__(kind, *args)
    error.args = tuple(args)
    for name, value in raised.attributes.items():
        try:
            setattr(error, name, _loaded(value))
        except Exception:
            continue
    if not exactly:
        _address, module, name = raised.kinds[0]
        error.add_note(f"in the worker this was a {module}.{name}, which is not known here")
    return error


def with_cause(error: BaseException, text: str) -> BaseException:
    """The exception with the worker's traceback as its cause."""
    if text:
        try:
            # The name that programs and tools know it by.
            from multiprocessing.pool import RemoteTraceback  # type: ignore[attr-defined]
        except Exception:
            # Reading a module takes a descriptor, and there may be none left.
            error.add_note(f"a worker saw:\n{text}")
            return error
        error.__cause__ = RemoteTraceback(f'\n"""\n{text}"""')
    return error


def _find(kinds: list[tuple[int, str, str]], needs: list[Any]) -> tuple[type[BaseException], bool]:
    """The nearest of these types that exists here, and whether it is the very first.

    needs: what one cannot be made without.
    """
    known = {(id(k), k.__module__, k.__qualname__): k for k in _below(BaseException)}
    for k, each in enumerate(kinds):
        kind = known.get(each)
        if kind is None:
            continue
        try:
            kind.__new__(kind, *needs)
        except TypeError:
            continue
        return kind, k == 0
    return RuntimeError, False


def _below(kind: type[BaseException]) -> Iterator[type[BaseException]]:
    yield kind
    for sub in type.__subclasses__(kind):
        yield from _below(sub)


def _whole(error: BaseException) -> bytes | None:
    try:
        whole = pickle.dumps(error, protocol=5)
        again = pickle.loads(whole)
        same = type(again) is type(error) and len(again.args) == len(error.args)
        return whole if same else None
    except Exception:
        return None


def _pickled(value: Any) -> bytes | None:
    try:
        return pickle.dumps(value, protocol=5)
    except Exception:
        return None


def _loaded(value: bytes) -> Any:
    try:
        return pickle.loads(value)
    except Exception as error:
        return f"<cannot be unpickled: {error}>"


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__}>"


def _traceback(error: BaseException) -> str:
    """Without the frames of this package that called the user's function."""
    tb = error.__traceback__
    while tb is not None and tb.tb_frame.f_globals.get("__name__", "").startswith(
        ("allcores.engine.", "allcores.mapping", "allcores.executor")
    ):
        tb = tb.tb_next
    try:
        return "".join(traceback.format_exception(type(error), error, tb))
    except Exception:
        return f"{type(error).__name__}\n"
