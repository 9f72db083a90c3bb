"""What calling a function does whose source cannot be found: read from its bytecode.

Code made by `exec`, code of which only the `.pyc` is there, lambdas. Instructions are followed in
the order they stand in, with what may lie on the stack. Where that cannot be told it may be anything
the function can see, so that more is found to change than does, never less of what the instructions
themselves change.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Iterable
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from allcores.plan import effects as fx
from allcores.plan.draws import LOOKS, SEEDS
from allcores.plan.effects import NONE, Roots, all_bounded, bounded, module_root
from allcores.plan.kinds import is_a
from allcores.plan.summaries import Summary

if TYPE_CHECKING:
    from dis import Instruction

MAX_PASSES = 8
ANYTHING = "?"
"""The root of what may be any of the arguments, and of what the function reads."""
IN_PLACE = 13
"""From here on, operators change their left operand where it can be changed."""
BUILDERS = frozenset(
    """BUILD_LIST BUILD_TUPLE BUILD_SET BUILD_MAP BUILD_STRING BUILD_SLICE BUILD_CONST_KEY_MAP
    """.split()
)
ADDERS = frozenset("LIST_APPEND SET_ADD LIST_EXTEND SET_UPDATE DICT_UPDATE DICT_MERGE".split())
IDLE = frozenset(
    """RESUME NOP CACHE PRECALL EXTENDED_ARG MAKE_CELL COPY_FREE_VARS SETUP_ANNOTATIONS
    GEN_START DELETE_FAST DELETE_NAME NOT_TAKEN ASYNC_GEN_WRAP""".split()
)
SAME = frozenset(
    """GET_ITER GET_YIELD_FROM_ITER TO_BOOL CONVERT_VALUE FORMAT_SIMPLE CHECK_EG_MATCH
    GET_AWAITABLE CALL_INTRINSIC_1 LIST_TO_TUPLE UNARY_POSITIVE UNARY_NEGATIVE UNARY_NOT
    UNARY_INVERT""".split()
)
"""What gives a value made of the one on top of the stack, or this one itself."""
LEAVES = frozenset(
    """JUMP_FORWARD JUMP_BACKWARD JUMP_BACKWARD_NO_INTERRUPT JUMP_ABSOLUTE RETURN_VALUE RETURN_CONST
    RAISE_VARARGS RERAISE""".split()
)
"""What is never followed by the next instruction."""


class Follow(Protocol):
    """What is known of the objects behind the names."""

    def summary(self, path: str) -> Summary | None:
        """What calling the object at a path does; None when that cannot be told."""

    def canonical(self, path: str) -> str:
        """A path that begins with a module, under the name that all modules have for it."""

    def value(self, path: str) -> Any:
        """The object at a path, found without running any code. LookupError when there is none."""

    def methods_named(self, name: str) -> list[Summary]:
        """What the methods of this name do, of the classes that the function's module holds."""


class Thing(NamedTuple):
    """What may lie on the stack."""

    own: Roots = NONE
    """What it may be; without any, it was made by the function."""
    inner: Roots = NONE
    """What may be found in it."""
    path: str = ""
    """Where it is one certain object: the path that leads there."""
    method: str = ""
    """The name by which it was taken of another object, if it was."""
    owner: Roots = NONE
    """What that object may be."""

    @property
    def roots(self) -> Roots:
        return self.own | self.inner


MADE = Thing()
EMPTY = Thing(path="NULL")
"""What the interpreter puts on the stack in the place of an object."""
UNKNOWN = Thing(frozenset({ANYTHING}), frozenset({ANYTHING}))


def read_bytecode(function: FunctionType, follow: Follow) -> Summary:
    """What calling the function changes and reads outside itself."""
    code = function.__code__
    reader = _Reader(function, follow)
    for _ in range(MAX_PASSES):
        before = reader.learnt()
        reader.run(code, {})
        if reader.learnt() == before:
            break
    else:
        reader.changes.add(ANYTHING)
    parameters, variable = _parameters(code)
    every = {f"${i}" for i in range(len(parameters))}

    def spelled_out(roots: Iterable[str]) -> set[str]:
        found = set(roots)
        if ANYTHING in found:
            found = (found - {ANYTHING}) | every | reader.reads
        return set(all_bounded(found).values())

    summary = Summary(code.co_firstlineno)
    summary.changes = spelled_out(reader.changes)
    summary.draws = reader.draws
    summary.reads = spelled_out(reader.reads | every)
    summary.follows = reader.follows
    summary.gives = spelled_out(reader.given)
    summary.gives_itself = spelled_out(reader.given_itself)
    summary.rebinds = reader.rebinds & summary.changes
    summary.refusals = list(dict.fromkeys(reader.refusals))
    summary.parameters, summary.variable = parameters, variable
    first = code.co_argcount - len(function.__defaults__ or ())
    summary.shared_defaults = {*range(first, code.co_argcount)}
    summary.shared_defaults |= {
        k for k, name in enumerate(summary.parameters) if name in (function.__kwdefaults__ or ())
    }
    return summary


def _parameters(code: CodeType) -> tuple[list[str], tuple[int, int]]:
    """All parameters as a `def` names them in order, and where `*` and `**` are; -1: not there."""
    names = list(code.co_varnames)
    plain, keyword = code.co_argcount, code.co_kwonlyargcount
    star, double = bool(code.co_flags & 0x04), bool(code.co_flags & 0x08)
    after = plain + keyword
    found = names[:plain] + names[after : after + star] + names[plain:after]
    found += names[after + star : after + star + double]
    return found, (plain if star else -1, len(found) - 1 if double else -1)


class _Reader:
    def __init__(self, function: FunctionType, follow: Follow) -> None:
        self.function, self.follow = function, follow
        self.namespace = function.__globals__
        self.changes: set[str] = set()
        self.draws: set[str] = set()
        self.reads: set[str] = set()
        self.follows: set[str] = set()
        self.rebinds: set[str] = set()
        self.refusals: list[str] = []
        self.given: Roots = NONE
        self.given_itself: Roots = NONE
        """What is given back, and what may be found in that."""
        self.contents: dict[str, Roots] = {}
        """What has been put into things, by their roots; "" stands for all the function made."""
        self.stored: dict[str, Roots] = {}
        """What attributes have been bound to, by their paths."""
        self.variables: dict[tuple[CodeType, str], Thing] = {}
        self.stack: list[Thing] = []
        self.keywords: tuple[str, ...] = ()
        self.constant: Any = None
        """The last one that was put on the stack."""
        self.arriving: dict[int, list[Thing]] = {}
        """What lies on the stack where paths meet that jump there, by place."""
        self.unused: list[Thing] = []
        """What was called, and given, by a call of which the value may not be used."""

    def learnt(self) -> tuple[Any, ...]:
        return (
            frozenset(self.changes),
            frozenset(self.draws),
            frozenset(self.reads),
            self.given,
            dict(self.contents),
            dict(self.stored),
            dict(self.variables),
        )

    # -- one function, or one inside it

    def run(self, code: CodeType, outer: dict[str, Thing]) -> None:
        """Follow the instructions. outer: what the variables of the functions around it hold."""
        import dis

        saved = self.stack, self.arriving
        self.stack, self.arriving = [], {}
        own = {name: (code, name) for name in (*code.co_varnames, *code.co_cellvars)}
        if code is self.function.__code__:
            for k, name in enumerate(_parameters(code)[0]):
                self.bind(code, name, Thing(frozenset({f"${k}"})))
        else:
            for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
                self.bind(code, name, UNKNOWN)
        comes_here = True
        for instruction in dis.get_instructions(code):
            if instruction.is_jump_target:
                self.meet(instruction.offset, comes_here)
            if instruction.opcode in dis.hasjrel or instruction.opcode in dis.hasjabs:
                self.jump(instruction)
            self.step(instruction, code, outer)
            comes_here = instruction.opname not in LEAVES
            if not comes_here:
                self.stack = []
        seen = {name: self.variables.get(key, MADE) for name, key in own.items()}
        for const in code.co_consts:
            if isinstance(const, CodeType):
                self.run(const, {**outer, **seen})
        self.stack, self.arriving = saved

    def jump(self, at: Instruction) -> None:
        """Remember what lies on the stack for the place that may be jumped to."""
        stack = list(self.stack)
        if at.opname == "FOR_ITER":
            stack = stack[:-1] if sys.version_info < (3, 12) else [*stack, MADE]
        elif at.opname.startswith("POP_JUMP"):
            stack = stack[:-1]
        elif at.opname == "SEND":
            stack = []
        self.arriving[at.argval] = _both(self.arriving.get(at.argval), stack)

    def meet(self, place: int, comes_here: bool) -> None:
        """Several ways lead here: what lies on the stack may be what any of them left there."""
        jumped = self.arriving.get(place)
        if comes_here:
            # Where only loops come back to, the stack is as it was when they began.
            self.stack = _both(jumped, self.stack)
        else:
            self.stack = list(jumped or ())

    def bind(self, code: CodeType, name: str, thing: Thing) -> None:
        known = self.variables.get((code, name))
        thing = thing._replace(method="", owner=NONE)
        if known is not None and known != thing:
            thing = Thing(known.own | thing.own, known.inner | thing.inner)
        self.variables[code, name] = thing

    def pop(self) -> Thing:
        return self.stack.pop() if self.stack else UNKNOWN

    def pop_many(self, count: int) -> list[Thing]:
        return [self.pop() for _ in range(count)][::-1]

    def push(self, *things: Thing) -> None:
        self.stack += things

    def step(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        name = at.opname
        unused, self.unused = self.unused, []
        if name == "POP_TOP":
            self.pop()
            for thing in unused:
                self.change(thing)
            return
        if name == "RETURN_VALUE" and code is self.function.__code__:
            result = self.pop()
            self.given_itself |= result.own
            self.given |= result.own | self.contents_of(result)
        if name in IDLE or name in LEAVES:
            self.unused = unused if name == "PRECALL" else []
            return
        handler: Callable[[Instruction, CodeType, dict[str, Thing]], None] | None
        handler = getattr(self, "do_" + name, None)
        if handler is not None:
            handler(at, code, outer)
        elif name in BUILDERS:
            more = {"BUILD_MAP": _count(at), "BUILD_CONST_KEY_MAP": 1}.get(name, 0)
            self.push(self.made_of(self.pop_many(_count(at) + more)))
        elif name in ADDERS:
            added, into = self.pop(), _count(at)
            self.put([added], self.stack[-into] if into <= len(self.stack) else MADE)
        elif name in SAME:
            self.push(_changed(self.pop()))
        elif name.startswith("POP_JUMP") or name in ("POP_EXCEPT", "END_SEND"):
            self.pop()
        elif name == "END_FOR":
            self.pop_many(2 if sys.version_info < (3, 13) else 1)
        elif name == "LOAD_CONST":
            self.constant = at.argval
            self.push(MADE)
        elif name in ("LOAD_ASSERTION_ERROR", "LOAD_CLOSURE", "LOAD_BUILD_CLASS"):
            self.push(MADE)
        elif name.startswith("JUMP_IF"):
            self.pop()  # left there only for the place that is jumped to
        else:
            self.stack.clear()  # so that whatever is taken from it may be anything

    # -- what instructions come to

    def change(self, thing: Thing) -> None:
        """The object is changed."""
        self.changes |= thing.own

    def put(self, things: Iterable[Thing], into: Thing) -> None:
        """Things are put into another one."""
        for thing in things:
            for root in into.own or ("",):
                self.contents[root] = self.contents.get(root, NONE) | thing.roots

    def contents_of(self, thing: Thing) -> Roots:
        """All that can be found in a thing."""
        found = thing.inner
        for root in thing.own or ("",):
            found |= self.contents.get(root, NONE)
        return found

    def made_of(self, things: Iterable[Thing]) -> Thing:
        inner = NONE
        for thing in things:
            inner |= thing.roots
        return Thing(inner=inner)

    def element(self, thing: Thing) -> Thing:
        roots = thing.own | self.contents_of(thing)
        return Thing(roots, roots)

    def attribute(self, thing: Thing, attr: str) -> Thing:
        if thing.path:
            return self.at_path(f"{thing.path}.{attr}")
        own = frozenset(bounded(f"{r}.{attr}") if r != ANYTHING else r for r in thing.own)
        for path in own:
            own |= self.stored.get(path, NONE)
        inner = self.contents_of(thing)
        return Thing(own | (thing.inner if thing.own else inner), inner)

    def at_path(self, path: str) -> Thing:
        """What a path of the function's module, or of its closure, leads to."""
        try:
            obj = self.follow.value(path)
        except LookupError:
            obj = None
        root = self.follow.canonical(path)
        code = is_a(obj, (ModuleType, type, FunctionType, BuiltinFunctionType))
        if not code or is_a(getattr(obj, "__self__", None), (list, dict, set)):
            self.reads.add(root)
        return Thing(frozenset({root}) | self.stored.get(root, NONE), NONE, root)

    def do_LOAD_FAST(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        names = at.argval if isinstance(at.argval, tuple) else (at.argval,)
        self.push(*(self.variables.get((code, name), MADE) for name in names))

    do_LOAD_FAST_CHECK = do_LOAD_FAST_AND_CLEAR = do_LOAD_FAST_LOAD_FAST = do_LOAD_FAST
    do_LOAD_FAST_BORROW = do_LOAD_FAST_BORROW_LOAD_FAST_BORROW = do_LOAD_FAST

    def do_STORE_FAST(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        self.bind(code, at.argval, self.pop())

    def do_STORE_FAST_STORE_FAST(
        self, at: Instruction, code: CodeType, outer: dict[str, Thing]
    ) -> None:
        for name in at.argval:
            self.bind(code, name, self.pop())

    def do_STORE_FAST_LOAD_FAST(
        self, at: Instruction, code: CodeType, outer: dict[str, Thing]
    ) -> None:
        stored, loaded = at.argval
        self.bind(code, stored, self.pop())
        self.push(self.variables.get((code, loaded), MADE))

    def do_LOAD_GLOBAL(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        if at.opname == "LOAD_GLOBAL" and at.arg is not None and at.arg & 1:
            self.push(EMPTY)
        name = at.argval
        if name not in self.namespace and hasattr(builtins, name):
            if name in fx.SERIAL_ANYWHERE:
                self.refusals.append(f"calls `{name}(·)`, which {fx.SERIAL_BUILTINS[name]}")
            self.push(Thing(path=f"@builtins.{name}"))
        else:
            self.push(self.at_path(name))

    do_LOAD_NAME = do_LOAD_GLOBAL

    def do_STORE_GLOBAL(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        name = self.follow.canonical(at.argval)
        self.stored[name] = self.stored.get(name, NONE) | self.pop().roots
        self.changes.add(at.argval)
        self.rebinds.add(at.argval)

    def do_DELETE_GLOBAL(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        self.changes.add(at.argval)
        self.rebinds.add(at.argval)

    def do_LOAD_DEREF(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        name = at.argval
        if name in code.co_freevars and name not in outer:
            self.push(self.at_path(name))
        else:
            known = outer.get(name) if name in code.co_freevars else None
            self.push(known or self.variables.get((code, name), MADE))

    do_LOAD_CLASSDEREF = do_LOAD_DEREF

    def do_STORE_DEREF(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        name, thing = at.argval, self.pop()
        if name not in code.co_freevars:
            self.bind(code, name, thing)
        elif name in outer:
            self.put([thing], MADE)
            self.put([thing], outer[name])
        else:
            self.changes.add(name)
            self.rebinds.add(name)

    def do_DELETE_DEREF(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        if at.argval in code.co_freevars and at.argval not in outer:
            self.changes.add(at.argval)
            self.rebinds.add(at.argval)

    def do_LOAD_ATTR(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        owner = self.pop()
        found = self.attribute(owner, at.argval)
        as_method = at.opname == "LOAD_METHOD" or "NULL" in at.argrepr
        if at.argval in fx.GIVEN_MUTATORS and not as_method and not self.is_code(owner.path):
            self.change(owner)  # whoever is given it may call it
        self.push(found._replace(method=at.argval, owner=owner.own))
        if as_method:
            self.push(EMPTY)

    do_LOAD_METHOD = do_LOAD_ATTR

    def do_LOAD_SUPER_ATTR(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        self.pop_many(3)
        self.push(Thing(NONE, NONE, "", at.argval, frozenset({"$0"})))
        if "NULL" in at.argrepr:
            self.push(EMPTY)

    def do_STORE_ATTR(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        value, owner = self.pop_many(2)
        paths = {bounded(f"{r}.{at.argval}") if r != ANYTHING else r for r in owner.own}
        self.changes |= paths
        for path in paths:
            self.stored[path] = self.stored.get(path, NONE) | value.roots
        if not paths:
            self.put([value], owner)

    def do_DELETE_ATTR(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        self.change(self.pop())

    def do_STORE_SUBSCR(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        value, owner, key = self.pop_many(3)
        self.put([value, key], owner)
        self.change(owner)

    def do_STORE_SLICE(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        value, owner, _, _ = self.pop_many(4)
        self.put([value], owner)
        self.change(owner)

    def do_DELETE_SUBSCR(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        owner, _ = self.pop_many(2)
        self.change(owner)

    def do_BINARY_SUBSCR(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        owner, _ = self.pop_many(2)
        self.push(self.element(owner))

    def do_BINARY_SLICE(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        owner, _, _ = self.pop_many(3)
        self.push(self.element(owner))

    def do_BINARY_OP(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        left, right = self.pop_many(2)
        if at.argrepr == "[]":
            self.push(self.element(left))
            return
        if at.arg is not None and at.arg >= IN_PLACE:
            self.change_unless_number(left)
            self.put([right], left)
            self.push(Thing(left.own, left.inner | right.roots))
        else:
            self.push(self.made_of([left, right]))

    def change_unless_number(self, thing: Thing) -> None:
        """`x += ·`: changes the object, if it is of a kind that can be changed."""
        try:
            obj = self.follow.value(thing.path) if thing.path else None
        except LookupError:
            obj = None
        if not isinstance(obj, (int, float, complex, str, bytes, tuple, frozenset)):
            self.change(thing)

    def do_COMPARE_OP(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        self.pop_many(2)
        self.push(MADE)

    do_IS_OP = do_CONTAINS_OP = do_COMPARE_OP

    def do_COPY(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        deep = _count(at)
        self.push(self.stack[-deep] if deep <= len(self.stack) else UNKNOWN)

    def do_SWAP(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        deep = _count(at)
        if deep > len(self.stack):
            self.stack.clear()
        else:
            stack = self.stack
            stack[-1], stack[-deep] = stack[-deep], stack[-1]

    def do_PUSH_NULL(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        self.push(EMPTY)

    def do_UNPACK_SEQUENCE(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        part = self.element(self.pop())
        self.push(*[part] * _count(at))

    def do_UNPACK_EX(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        part = self.element(self.pop())
        self.push(*[part] * ((_count(at) & 0xFF) + (_count(at) >> 8) + 1))

    def do_FOR_ITER(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        source = self.stack[-1] if self.stack else UNKNOWN
        self.push(self.element(source))

    def do_MAP_ADD(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        self.put(self.pop_many(2), MADE)

    def do_FORMAT_VALUE(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        self.pop_many(1 + bool(_count(at) & 0x04))
        self.push(MADE)

    def do_FORMAT_WITH_SPEC(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        self.pop_many(2)
        self.push(MADE)

    def do_IMPORT_NAME(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        self.pop_many(2)
        self.push(Thing(path=fx.module_root(at.argval)))

    def do_IMPORT_FROM(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        module = self.stack[-1] if self.stack else UNKNOWN
        path = f"{module.path}.{at.argval}" if module.path else ""
        self.push(Thing(path=path))

    def do_MAKE_FUNCTION(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        self.pop()
        if at.opname == "MAKE_FUNCTION" and at.arg:
            self.pop_many(at.arg.bit_count())
        self.push(MADE)

    def do_SET_FUNCTION_ATTRIBUTE(
        self, at: Instruction, code: CodeType, outer: dict[str, Thing]
    ) -> None:
        function, value = self.pop(), self.pop()
        self.push(Thing(inner=function.inner | value.roots))

    def do_BEFORE_WITH(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        manager = _changed(self.pop())
        self.change(manager)  # entering and leaving is what it is there for
        self.push(EMPTY, manager)

    def do_YIELD_VALUE(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        self.pop()
        self.push(UNKNOWN)

    # -- calls

    def do_KW_NAMES(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        self.keywords = code.co_consts[_count(at)]

    def do_CALL(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        args = self.pop_many(_count(at))
        keywords, self.keywords = self.keywords, ()
        self.call(self.pop_many(2), args, keywords)

    def do_CALL_KW(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        self.pop()
        args = self.pop_many(_count(at))
        self.call(self.pop_many(2), args, self.constant)

    def do_CALL_FUNCTION_EX(self, at: Instruction, code: CodeType, outer: dict[str, Thing]) -> None:
        args = self.pop_many(1 + (_count(at) & 1))
        self.call(self.pop_many(2), [self.element(arg) for arg in args], ("**",))

    def call(self, called: list[Thing], args: list[Thing], keywords: tuple[str, ...]) -> None:
        """Call what is no NULL of two things with arguments; its value is pushed."""
        target = next((thing for thing in called if thing is not EMPTY), UNKNOWN)
        receiver = Thing(target.owner)
        everything = self.made_of([*args, receiver, target])
        for keyword, arg in zip(reversed(keywords), reversed(args)):
            at = "itself" if keyword == "file" else fx.KEYWORDS.get(keyword, "")
            if at == "itself":
                self.change(arg)
            elif at == "object":
                self.change(receiver)
            elif at.isdigit() and int(at) < len(args):
                self.change(args[int(at)])
        dotted = self.full_name(target.path)
        stream = dotted.rpartition(".")[0] in fx.RANDOM_MODULES
        summary = self.follow.summary(target.path) if target.path and not stream else None
        if summary is not None:
            first = [MADE] if summary.is_class else [receiver] * bool(target.method)
            self.apply(summary, [*first, *args] if not summary.is_static else args, bool(keywords))
            self.push(everything)
        elif dotted:
            self.call_of_library(dotted, args, everything)
        elif target.method:
            if args and self.is_class(target.path.rpartition(".")[0]):
                receiver, *args = args  # `list.append(xs, x)`
            self.call_method(target.method, receiver, args, bool(keywords))
            self.push(self.given_by(target.method, receiver, everything))
        else:
            if ANYTHING in target.own:
                self.change(target)
            self.unused = args
            self.push(everything)

    def is_class(self, path: str) -> bool:
        try:
            return bool(path) and is_a(self.follow.value(path), type)
        except LookupError:
            return False

    def full_name(self, path: str) -> str:
        """Of a builtin, or of a function or class of a module; empty for other things."""
        if path.startswith("@") and path.count(".") == 1:
            return path[1:].replace("/", ".")
        if not path or not self.is_code(path):
            return ""
        try:
            obj = self.follow.value(path)
        except LookupError:
            return ""
        module = getattr(obj, "__module__", None) or ""
        if path.startswith("@"):
            return path[1:].replace("/", ".")
        return f"{module.removeprefix('_')}.{getattr(obj, '__name__', '')}"

    def is_code(self, path: str) -> bool:
        """Whether a module, a class or a function of a module is there."""
        try:
            obj = self.follow.value(path)
        except LookupError:
            return False
        if is_a(obj, BuiltinFunctionType):
            return is_a(obj.__self__, ModuleType) or type(obj.__self__).__name__ == "Random"
        return is_a(obj, (ModuleType, type, FunctionType)) or type(obj).__name__ == "ufunc"

    def apply(self, summary: Summary, given: list[Thing], any_order: bool) -> None:
        """Do what a call does to what it is given and to what it shares."""
        self.refusals += summary.refusals
        self.reads |= {r for r in summary.reads if not r.startswith("$")}
        self.follows |= summary.follows
        self.draws |= {r for r in summary.draws if not r.startswith("$")}
        for root in summary.acts - self.draws:
            head, _, rest = root.partition(".")
            if not head.startswith("$"):
                self.changes.add(root)
                continue
            position = int(head[1:])
            if summary.is_class and position == 0:
                continue
            if any_order:
                targets = given
            elif position < len(given):
                targets = [given[position]]
            else:
                targets = []
                if position in summary.shared_defaults:
                    self.changes.add(ANYTHING)
            for thing in targets:
                changed = self.attribute(thing._replace(path=""), rest) if rest else thing
                self.change(changed)
                self.put(given, thing)
                self.put(given, changed)

    def call_of_library(self, dotted: str, args: list[Thing], everything: Thing) -> None:
        """A builtin, or a function of an imported module."""
        module, _, name = dotted.rpartition(".")
        result = everything
        if dotted in fx.PROCESS_SETTINGS - fx.WATCHED_SETTINGS:
            self.refusals.append(f"sets something for all of this process (`{dotted}`)")
        if dotted in fx.SIGNALS:
            self.refusals.append(f"sends this process a signal (`{dotted}`)")
        if module == "builtins":
            if name in ("setattr", "delattr", "next") and args:
                self.change(args[0])
                self.put(args[1:], args[0])
            if name in ("getattr", "next", "min", "max", "iter") and args:
                result = self.element(args[0])
            if name in ("vars", "locals", "eval", "compile", "__import__"):
                self.changes.add(ANYTHING)
            if name == "super":
                result = Thing(frozenset({"$0"}))
        elif module in fx.RANDOM_MODULES and name != "default_rng":
            if name in SEEDS | LOOKS:
                self.changes.add(module_root(module))
            elif dotted not in fx.GENERATOR_MAKERS:
                self.draws.add(module_root(module))
            for place in fx.ARGUMENT_CHANGES.get(dotted, ()):
                for arg in args[place : place + 1]:
                    self.change(arg)
        elif dotted in fx.ARGUMENT_CHANGES or dotted in fx.LAST_ARGUMENTS:
            places = set(fx.ARGUMENT_CHANGES.get(dotted, ()))
            for first in fx.LAST_ARGUMENTS.get(dotted, ()):
                places |= set(range(first, len(args)))
            for place in sorted(p for p in places if p < len(args)):
                self.change(args[place])
                self.put(args, args[place])
                result = self.element(args[place])
        elif dotted in fx.BORROWING_FUNCTIONS and args:
            result = Thing(args[0].own, args[0].inner)
        elif not dotted.startswith(fx.FRESH_MODULES):
            self.unused = args
        self.push(result)

    def call_method(self, name: str, receiver: Thing, args: list[Thing], any_order: bool) -> None:
        """A method of an object of which the type is not known."""
        if name in fx.MUTATORS or name in fx.DRAWS:
            self.change(receiver)
            self.put(args, receiver)
            more = [self.element(arg) for arg in args if name in ("extend", "update")]
            self.put(more, receiver)
        else:
            self.unused = [receiver]
        for place in fx.METHOD_ARGUMENT_CHANGES.get(name, ()):
            for arg in args[place : place + 1]:
                self.change(arg)
        for summary in self.follow.methods_named(name):
            self.apply(summary, [receiver, *args], any_order)

    def given_by(self, name: str, receiver: Thing, everything: Thing) -> Thing:
        """What a method gives back."""
        if name not in fx.ELEMENT_METHODS and name not in fx.VIEW_METHODS:
            return everything
        part = self.element(receiver)
        return Thing(part.own | receiver.own, part.inner)


def _both(a: list[Thing] | None, b: list[Thing]) -> list[Thing]:
    """What may lie on the stack, where it may be what the one or the other holds."""
    if a is None:
        return b
    if len(a) != len(b):
        shorter = min(len(a), len(b))
        a, b = a[len(a) - shorter :], b[len(b) - shorter :]
    return [x if x == y else Thing(x.own | y.own, x.inner | y.inner) for x, y in zip(a, b)]


def _changed(thing: Thing) -> Thing:
    """What was made of a thing, or is the thing itself."""
    return Thing(thing.own, thing.inner)


def _count(at: Instruction) -> int:
    return at.arg or 0
