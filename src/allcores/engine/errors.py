"""Exceptions on their way from a worker to the caller: the same, whatever pickle says.

What travels are the parts of an exception: its type, `args`, attributes, notes, what it was raised
from, and the places of its traceback. Its `__init__` is not called again. Only a class that says
itself how it is to be pickled is pickled as a whole.
"""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Iterator
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any, NamedTuple

from allcores.engine import packing
from allcores.engine.failures import shown
from allcores.engine.functions import dumps, try_dumps
from allcores.engine.remote_frames import Place, places, traceback_of
from allcores.plan.ownership import is_own_module

outer: BaseException | None = None
"""In a worker: what was being handled when it was forked, and so the context of what it raises."""
addresses: dict[int, int] = {}
"""In a worker that is no fork: where types that it was sent by value are in the user's process."""
MOST_LINKS = 100
"""So many exceptions that one was raised from, or while handling, go along."""
_NOT_FIELDS = ("args", "message", "exceptions", "obj")
"""What is sent in another way, or may be anything however big: an AttributeError's object."""
_OWN = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__")


class Raised(NamedTuple):
    """An exception in a form that always travels; stands where the result would have been."""

    kinds: list[tuple[int, str, str]]
    """Its type and the bases of that: address, module, qualified name."""
    kind: bytes | None
    """Its type by value, where it cannot be found by name."""
    whole: bytes | None
    """Its pickle, where its class says how it is to be pickled."""
    parts: bytes | None
    """`args`, the fields of its built-in base, and its attributes, in one pickle."""
    apart: tuple[list[bytes | str], dict[str, bytes], dict[str, bytes]]
    """The same one by one, where they cannot be pickled together; a text stands for what cannot."""
    missing: str
    """What could not be sent, in words."""
    group: tuple[str, list[Raised]] | None
    """Of a group of exceptions: its message and its members."""
    text: str
    """Its type and message in one line."""
    places: list[Place]
    cause: Raised | None
    context: Raised | None
    context_is_cause: bool
    suppress: bool


def pack(error: BaseException) -> Raised:
    """Make an exception ready to travel."""
    return _packed(error, set())


def _packed(error: BaseException, seen: set[int]) -> Raised:
    seen.add(id(error))
    kind = type(error)
    kinds = [k for k in kind.__mro__ if _is_exception(k)]
    names = [(addresses.get(id(k), id(k)), k.__module__, k.__qualname__) for k in kinds]
    group = None
    if isinstance(error, BaseExceptionGroup):
        group = error.message, [_packed(member, seen) for member in error.exceptions]
    whole = _whole(error) if group is None and _pickles_itself(kind) else None
    parts, apart, missing = None, None, ""
    if whole is None:
        together = (
            _without_members(error),
            dict(_fields(error)),
            dict(getattr(error, "__dict__", {})),
        )
        parts = _pickled(together)
        if parts is None:
            apart, missing = _one_by_one(*together)
    return Raised(
        names,
        None if _by_name(kind) is kind else _pickled(kind),
        whole,
        parts,
        apart or ([], {}, {}),
        missing,
        group,
        _in_one_line(error),
        places(error.__traceback__),
        _link(error.__cause__, seen),
        _link(error.__context__, seen),
        error.__context__ is error.__cause__,
        error.__suppress_context__,
    )


def _link(error: BaseException | None, seen: set[int]) -> Raised | None:
    if error is None or error is outer or id(error) in seen or len(seen) > MOST_LINKS:
        return None
    return _packed(error, seen)


def unpack(raised: Raised) -> BaseException:
    """The exception again, with a traceback that begins in the code that the worker ran."""
    error = _unpacked(raised)
    error.__cause__ = None if raised.cause is None else unpack(raised.cause)
    error.__context__ = None if raised.context is None else unpack(raised.context)
    if raised.context_is_cause:
        error.__context__ = error.__cause__
    error.__suppress_context__ = raised.suppress
    return error.with_traceback(traceback_of(raised.places))


def _unpacked(raised: Raised) -> BaseException:
    if raised.whole is not None:
        try:
            found = pickle.loads(raised.whole)
            if isinstance(found, BaseException):
                return found
        except Exception:
            pass
        return RuntimeError(f"a worker raised what cannot be unpickled here: {raised.text}")
    try:
        args, fields, attributes = pickle.loads(raised.parts or b"")
    except Exception:
        args = tuple(a if isinstance(a, str) else _loaded(a) for a in raised.apart[0])
        fields, attributes = (
            {name: _loaded(value) for name, value in each.items()} for each in raised.apart[1:]
        )
    members = None
    kind, exactly = _find(raised)
    if raised.group is not None:
        members = [unpack(member) for member in raised.group[1]]
        args = tuple(a.kind(members) if type(a) is _Members else a for a in args)
        if not _fits(kind, members):
            kind, exactly = BaseExceptionGroup, False
    error = _made(kind, (raised.group[0], members) if raised.group is not None else args)
    error.args = args
    for name, value in [*fields.items(), *attributes.items()]:
        try:
            object.__setattr__(error, name, value)
        except Exception:
            continue
    if not exactly:
        _address, module, name = raised.kinds[0]
        error.add_note(f"in the worker this was a {module}.{name}, which is not known here")
    if raised.missing:
        error.add_note(f"{raised.missing} could not be sent from the worker")
    return error


def _made(kind: type[BaseException], args: tuple[Any, ...]) -> BaseException:
    """An exception of this type, without calling what its class does to make one."""
    base = next(k for k in kind.__mro__ if k.__module__ == "builtins" and _is_exception(k))
    error: BaseException = base.__new__(kind, *args)
    return error


def _fits(kind: type[BaseException], members: list[BaseException]) -> bool:
    if not issubclass(kind, BaseExceptionGroup):
        return False
    return not issubclass(kind, Exception) or all(isinstance(m, Exception) for m in members)


def note_call(error: BaseException, given: Any) -> None:
    """Have an exception say what the function was given, unless it does."""
    if not any(n.startswith("in a call with ") for n in getattr(error, "__notes__", ())):
        error.add_note(f"in a call with {shown(given)}")


def within(error: BaseException) -> BaseException:
    """The exception as if it had been raised here: while something is handled, perhaps."""
    around = sys.exception()
    last = error
    for _ in range(MOST_LINKS):
        if around is None or last is around:
            break
        if last.__context__ is None:
            last.__context__ = around
            break
        last = last.__context__
    return error


class _Members(NamedTuple):
    """Stands among a group's `args` for its members."""

    kind: type


def _without_members(error: BaseException) -> tuple[Any, ...]:
    if not isinstance(error, BaseExceptionGroup):
        return error.args
    members = [id(member) for member in error.exceptions]
    return tuple(
        _Members(type(a)) if type(a) in (list, tuple) and [id(m) for m in a] == members else a
        for a in error.args
    )


# -- types


def _is_exception(kind: type) -> bool:
    return issubclass(kind, BaseException)


def _pickles_itself(kind: type) -> bool:
    """Whether a library says how to pickle it; what the program says may leave something out."""
    return any(
        name in vars(k)
        for k in kind.__mro__
        if k.__module__ != "builtins" and not is_own_module(k.__module__)
        for name in _OWN
    )


def _by_name(kind: type) -> Any:
    """What stands under this type's name."""
    return _at(kind.__module__, kind.__qualname__)


def _at(module: str, qualname: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


def _find(raised: Raised) -> tuple[type[BaseException], bool]:
    """The type, or the nearest of its bases that exists here; whether it is the very one."""
    address, module, qualname = raised.kinds[0]
    found = _at(module, qualname)
    if id(found) == address:
        return found, True
    # Workers are forks: a type that was there before has its address here too.
    known = {(id(k), k.__module__, k.__qualname__): k for k in _below(BaseException)}
    if raised.kinds[0] in known:
        return known[raised.kinds[0]], True
    found = _imported(module, qualname)
    if found is None and raised.kind is not None:
        found = _loaded(raised.kind)
    if isinstance(found, type) and issubclass(found, BaseException):
        return found, True
    for each in raised.kinds[1:]:
        if each in known:
            return known[each], False
    return RuntimeError, False


def _imported(module: str, qualname: str) -> Any:
    """What pickle would find under this name."""
    if "<locals>" in qualname:
        return None
    try:
        importlib.import_module(module)
    except Exception:
        return None
    return _at(module, qualname)


def _below(kind: type[BaseException]) -> Iterator[type[BaseException]]:
    yield kind
    for sub in type.__subclasses__(kind):
        yield from _below(sub)


# -- values


def _fields(error: BaseException) -> Iterator[tuple[str, Any]]:
    """What an exception keeps outside of its `__dict__`: a built-in type's fields, slots."""
    for kind in type(error).__mro__:
        for name, value in vars(kind).items():
            field = type(value) is MemberDescriptorType or type(value) is GetSetDescriptorType
            if not field or name.startswith("__"):
                continue
            if kind.__module__ == "builtins" and name in _NOT_FIELDS:
                continue
            try:
                held = value.__get__(error)
            except Exception:
                continue
            if held is not None:
                yield name, held


def _one_by_one(
    args: tuple[Any, ...], fields: dict[str, Any], attributes: dict[str, Any]
) -> tuple[tuple[list[bytes | str], dict[str, bytes], dict[str, bytes]], str]:
    """The parts that can be pickled, and which cannot."""
    missing: list[str] = []
    sent: list[bytes | str] = []
    for k, value in enumerate(args):
        data = _pickled(value)
        sent.append(_text(value) if data is None else data)
        if data is None:
            missing.append(f"args[{k}] ({shown(value)})")
    kept: list[dict[str, bytes]] = []
    for values in (fields, attributes):
        pickled = {name: _pickled(value) for name, value in values.items()}
        kept.append({name: data for name, data in pickled.items() if data is not None})
        missing += [f"its {n} ({shown(values[n])})" for n, data in pickled.items() if data is None]
    return (sent, kept[0], kept[1]), ", ".join(missing)


def _whole(error: BaseException) -> bytes | None:
    try:
        whole = dumps(error)
        return whole if type(pickle.loads(whole)) is type(error) else None
    except Exception:
        return None


def _pickled(value: Any) -> bytes | None:
    try:
        return packing.dumps(value)
    except packing.LeavesOut:
        return None
    except Exception:
        return try_dumps(value)


def _loaded(value: bytes) -> Any:
    try:
        return pickle.loads(value)
    except Exception as error:
        return f"<cannot be unpickled: {error}>"


def _text(value: Any) -> str:
    try:
        return repr(value)
    except Exception:
        return shown(value)


def _in_one_line(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = ""
    return f"{type(error).__module__}.{type(error).__qualname__}: {text}"
