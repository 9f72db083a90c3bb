"""Objects of the program's classes as they are stored: taken apart and made again.

Nothing that the program has written is called for it, neither `__reduce__` and `__getstate__`, which
often leave something out, nor `__new__`, `__init__`, `append` and the like, which would be run once
more than the plain loop runs them.
"""

from __future__ import annotations

import copyreg
import types
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

from allcores.build.digest import Shape, is_enum, is_own, shape_of
from allcores.build.travel import ASKED, LOOKED_UP, PICKLING, WHERE_SLOTS
from allcores.engine.errors import _fields as exception_fields
from allcores.engine.packing import as_stored
from allcores.plan.kinds import instance_dict, is_array, is_frame
from allcores.plan.ownership import is_own_module

Reduced = Any
"""A tuple as `__reduce__` gives it, or NotImplemented: pickle knows how."""

UNCHANGING = (int, float, complex, str, bytes, tuple, frozenset)
MAKERS = (*UNCHANGING, list, dict, set, deque, bytearray)
"""Builtin types that the program's classes inherit from."""
_FILLING = frozenset(
    "__init__ append extend add update __setitem__ __ior__ __iadd__ insert setdefault".split()
)
"""What is called where a copy of a library's container is made."""
_SLOT = types.MemberDescriptorType


class Remade:
    """An object by how it is to be made."""

    def __init__(self, made: Reduced) -> None:
        self.made = made

    def __reduce__(self) -> Reduced:
        return self.made


# -- how objects of a class are sent


def plainly(obj: Any) -> Reduced:
    """As pickle does by itself."""
    return NotImplemented


_known: weakref.WeakKeyDictionary[Any, Callable[[Any], Reduced] | None] = (
    weakref.WeakKeyDictionary()
)


def forget() -> None:
    """Classes may be others from here on."""
    _known.clear()
    as_stored.clear()


def may_be_sent(kind: Any) -> bool:
    """Whether a copy of an object of this class, which a worker has made, is as good as the object.

    From here on messages have such objects as they are stored, where pickle would ask the program.
    """
    try:
        how = _known[kind]
    except KeyError:
        how = _known[kind] = how_to_send(kind)
        if how is not None and how is not plainly:
            as_stored[kind] = how
    return how is not None


def how_to_send(kind: Any) -> Callable[[Any], Reduced] | None:
    """How objects of a class are pickled that a worker has made: `plainly` or another function;
    None: a copy would not be as good, or would have to be made by what the program has written."""
    if is_frame(kind):
        return None if _asked(kind, shape_of(kind)) - LOOKED_UP else frame
    if not is_own(kind):
        # A library's, for which the program may have said how.
        given = copyreg.dispatch_table.get(kind)
        return None if given is not None and _written(given) else plainly
    if is_enum(kind):
        return plainly
    shape = shape_of(kind)
    asked = _asked(kind, shape)
    base = _made_by(kind)
    if is_whole(kind, shape):
        if base is object and not asked:
            return plainly
        if base is tuple and not asked and hasattr(kind, "_fields"):
            return plainly
        return None if "__dict__" in asked else as_it_is(shape)
    array = is_array(kind)
    if asked - (LOOKED_UP | {"__new__"} if array else LOOKED_UP):
        return None
    if kind.__reduce__ is object.__reduce__ and kind.__reduce_ex__ is object.__reduce_ex__:
        return plainly
    if not array:
        if any(is_own(c) and _FILLING & vars(c).keys() for c in kind.__mro__) or shape.slots:
            return None
    return with_attributes


def _asked(kind: Any, shape: Shape) -> set[str]:
    """What the program has written that pickle would call, or ask, of an object of this class."""
    names = ASKED | {WHERE_SLOTS} if shape.slots else ASKED
    found = {
        name
        for cls in kind.__mro__
        if is_own(cls)
        for name in names & vars(cls).keys()
        if _written(vars(cls)[name])
    }
    given = copyreg.dispatch_table.get(kind)
    return found | {"__reduce__"} if given is not None and _written(given) else found


def _written(value: Any) -> bool:
    """Whether this is the program's, and not what `dataclass`, `namedtuple` and the like write."""
    if type(value) is types.GetSetDescriptorType:
        return False
    function = getattr(value, "__func__", value)
    home = getattr(function, "__globals__", {}).get("__name__", "")
    if type(function) is not types.FunctionType:
        return True
    return is_own_module(home) and not home.startswith("namedtuple_")


def is_whole(kind: Any, shape: Shape) -> bool:
    """Whether what is stored is all that objects of one of the program's classes are."""
    if pickled_by_library(kind):
        return False
    if issubclass(kind, BaseException) and not issubclass(kind, BaseExceptionGroup):
        return True
    return shape.content is not None and not _has_hidden_fields(kind)


def pickled_by_library(kind: Any) -> bool:
    """Whether a library's class, which this one inherits from, says how objects are pickled."""
    for cls in kind.__mro__:
        if not is_own(cls) and cls.__module__ != "builtins" and PICKLING & vars(cls).keys():
            return True
    return False


def _has_hidden_fields(kind: Any) -> bool:
    """Whether objects of a class hold more than attributes, for it was made in C."""
    if _made_by(kind) is not object:
        return False
    slots = [v for c in kind.__mro__ for v in vars(c).values() if type(v) is _SLOT]
    places = len(slots) + (kind.__dictoffset__ > 0) + (kind.__weakrefoffset__ > 0)
    return bool(kind.__basicsize__ > object.__basicsize__ + 8 * places)


def _made_by(kind: Any) -> Any:
    """The builtin type that makes objects of a class, where that is one that can be filled."""
    for cls in kind.__mro__:
        if cls in MAKERS or cls is object:
            return cls
        if cls.__module__ == "builtins" and issubclass(cls, BaseException):
            return cls
    return None


# -- taken apart


def as_it_is(shape: Shape) -> Callable[[Any], Reduced]:
    """Takes objects of a class apart, without keeping that class alive, as its slots would."""
    if shape.slots:
        return lambda obj: stored(obj, shape_of(type(obj)))
    return lambda obj: stored(obj, shape)


def stored(obj: Any, shape: Shape) -> Reduced:
    """An object of the program's: as it is stored."""
    kind = type(obj)
    attributes = instance_dict(obj)
    slots = []
    for name, slot in shape.slots:
        try:
            slots.append((name, slot.__get__(obj)))
        except AttributeError:
            continue
    base = _made_by(kind)
    content: Any = None
    if base is not object and issubclass(base, BaseException):
        links = obj.__cause__, obj.__context__, obj.__suppress_context__
        content = obj.args, dict(exception_fields(obj)), links
    elif base is not object and shape.content is not None:
        content = shape.content(obj)
    early = base in UNCHANGING
    state = (attributes, slots, None if early or base is object else (base, content))
    made = kind, base, content if early else None
    if attributes is None and not slots and (early or base is object):
        return make_instance, made
    return make_instance, made, state, None, None, fill_instance


def with_attributes(obj: Any) -> Reduced:
    """An object of the program's that a library's class makes, with the attributes it has."""
    made = obj.__reduce_ex__(5)
    return made if type(made) is str else attached(made, attributes_beside(obj))


def attributes_beside(obj: Any) -> dict[str, Any]:
    """The attributes of such an object, where the library gives no state of those who inherit."""
    libraries = [c for c in type(obj).__mro__[:-1] if not is_own(c)]
    if any("__getstate__" in vars(c) and c.__module__ != "random" for c in libraries):
        return {}
    return instance_dict(obj) or {}


def attached(made: Any, attributes: dict[str, Any]) -> Reduced:
    """What makes an object, and gives it attributes as well, if there are any."""
    if not attributes:
        return made
    if made[0] in (copyreg.__newobj__, copyreg.__newobj_ex__):  # type: ignore[attr-defined]
        # Pickle knows these by themselves, and would compare classes.
        ex = made[0] is not copyreg.__newobj__  # type: ignore[attr-defined]
        made = (new_object_ex if ex else new_object, *made[1:])
    return same, (Remade(made),), attributes, None, None, fill_attributes


_OF_A_FRAME = frozenset("_mgr _attrs _flags _name _item_cache _is_copy _cacher _cache".split())


def frame(obj: Any) -> Reduced:
    """A table or column of pandas, with attributes that pandas knows nothing of."""
    made = obj.__reduce_ex__(5)
    known = _OF_A_FRAME.union(obj._metadata)
    more = {name: value for name, value in vars(obj).items() if name not in known}
    return attached(made, more)


# -- made again


def make_instance(kind: Any, base: Any, content: Any) -> Any:
    if kind not in as_stored:
        # Whoever keeps it sends it on in the same way.
        as_stored[kind] = as_it_is(shape_of(kind))
    if content is not None and base in UNCHANGING:
        return base.__new__(kind, content)
    return base.__new__(kind)


def fill_instance(obj: Any, state: Any) -> None:
    attributes, slots, content = state
    if attributes is not None:
        # This very dict, for whoever has it as such.
        object.__setattr__(obj, "__dict__", attributes)
    for name, value in slots:
        slot(type(obj), name).__set__(obj, value)
    if content is not None:
        base, held = content
        FILL.get(base, _fill_exception)(obj, held)


def slot(kind: Any, name: str) -> Any:
    return next(vars(c)[name] for c in kind.__mro__ if name in vars(c))


def _fill_exception(obj: Any, held: Any) -> None:
    args, fields, links = held
    BaseException.args.__set__(obj, args)  # type: ignore[attr-defined]
    for name, value in fields.items():
        object.__setattr__(obj, name, value)
    obj.__cause__, obj.__context__, obj.__suppress_context__ = links


FILL: dict[Any, Callable[[Any, Any], None]] = {
    list: list.extend,
    dict: dict.update,
    set: set.update,
    deque: deque.extend,
    bytearray: bytearray.extend,
}


def new_object(kind: Any, *args: Any) -> Any:
    return kind.__new__(kind, *args)


def new_object_ex(kind: Any, args: Any, keywords: Any) -> Any:
    return kind.__new__(kind, *args, **keywords)


def same(value: Any) -> Any:
    return value


def fill_attributes(obj: Any, attributes: dict[str, Any]) -> None:
    object.__getattribute__(obj, "__dict__").update(attributes)
