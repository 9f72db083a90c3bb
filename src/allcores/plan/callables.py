"""What calling an object does: the source of functions, methods, classes and the like is read."""

from __future__ import annotations

import ast
import linecache
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from operator import methodcaller
from types import (
    BuiltinMethodType,
    FunctionType,
    MappingProxyType,
    MethodType,
    MethodWrapperType,
    ModuleType,
)
from typing import Any

from allcores.plan import effects as fx
from allcores.plan import results
from allcores.plan.bounded import Bounded
from allcores.plan.draws import HIDDEN, SEEDS, kind_of
from allcores.plan.effects import module_root
from allcores.plan.kinds import is_a
from allcores.plan.memos import gives_kept_objects
from allcores.plan.names import children
from allcores.plan.ownership import is_own, is_own_module
from allcores.plan.quiet import quiet_parse
from allcores.plan.records import is_generated, summary_of_dataclass
from allcores.plan.source import Module, Surroundings
from allcores.plan.summaries import Reading, Summary, merged
from allcores.plan.table import changes_its_object

_modules: Bounded[str, Module | None] = Bounded(300)
MOST_HELD = 64
"""So many of the functions that an object holds are read."""
MOST_WITHIN = 8
"""So many of those that a container in it holds."""
DEEPEST = 3
"""So many containers lie in each other in which they are looked for."""
MEMO = "_lru_cache_wrapper"
"""The type of what `functools.cache` and `lru_cache` make of a function."""
_CONTAINERS = (dict, list, tuple, set, frozenset, deque)
_CHANGING = frozenset(
    """__next__ __setitem__ __delitem__ __setattr__ __delattr__ __set__ __delete__ __init__ __iadd__
    __imul__ __ior__ __iand__ __isub__ __ixor__""".split()
)
"""Methods that Python calls by itself and that change their object, of types written in C."""
FILLED_IN = ("__init__", "__post_init__", "__del__")
"""Methods that Python calls of the object that a class makes."""


def attributes_of(obj: Any) -> dict[str, Any]:
    """The attributes that an object itself has; none for what only gets a dict when asked for it."""
    if is_a(obj, (type, ModuleType)) or type(obj).__module__ in ("functools", "builtins"):
        return {}
    try:
        own = object.__getattribute__(obj, "__dict__")
    except AttributeError:
        return {}
    return own if is_a(own, dict) else {}


def _code_of(obj: Any) -> Any:
    """The code of a function or method; of anything else the object itself."""
    function = obj.__func__ if is_a(obj, MethodType) else obj
    return function.__code__ if is_a(function, FunctionType) else obj


def within(obj: Any) -> Iterator[Any]:
    """What a container holds, and what containers in it hold, as far as they are looked at."""
    todo = deque([(obj, MOST_HELD, 0)])
    while todo:
        holder, most, depth = todo.popleft()
        for part in islice(elements_of(holder), most):
            yield part
            if depth < DEEPEST and is_a(part, _CONTAINERS):
                todo.append((part, MOST_WITHIN, depth + 1))


def elements_of(obj: Any) -> Iterable[Any]:
    """What a container holds; nothing where it is none."""
    kind: Any = next((k for k in _CONTAINERS if is_a(obj, k)), None)
    if kind is None:
        return ()
    return dict.values(obj) if kind is dict else kind.__iter__(obj)


def attributes_within(obj: Any, name: str) -> list[Any]:
    """What an object, or objects that it holds as a container, have as an attribute of their own."""
    own = map(attributes_of, (obj, *within(obj)))
    return [held[name] for held in own if name in held]


def _is_code(obj: Any) -> bool:
    """Whether this is a function, or one with a memo."""
    return is_a(obj, FunctionType) or type(obj).__name__ == MEMO


class Callables:
    """Reads live objects on behalf of code whose globals are `namespace`."""

    def __init__(self, namespace: dict[str, Any], depth: int, reading: Reading) -> None:
        self.namespace, self.depth, self.reading = namespace, depth, reading

    def summary_at(self, path: str, obj: Any) -> Summary | None:
        """What calling the object at a path does, or None when that cannot be read."""
        if is_per_worker(obj):
            return Summary(0)  # what it makes is the worker's own
        if is_a(obj, (BuiltinMethodType, MethodType)) and kind_of(obj.__self__) == "stream":
            return _draw(path, obj)
        if is_a(obj, MethodType) and path.rpartition(".")[2] != obj.__name__:
            # A name for a method: what it changes is its own object.
            inner = self.summary_of(obj.__func__)
            return bound(inner, path + ".__self__") if inner is not None else None
        return self.summary_of_memo(path, obj) or self.summary_of_instance(path, obj)

    def summary_of_memo(self, path: str, obj: Any) -> Summary | None:
        """As `summary_of`, and what a memo at a path gives, it gives again: `bag = cache(load)`."""
        found = self.summary_of(obj)
        if type(obj).__name__ != MEMO or not self.gives_kept(obj.__wrapped__):
            return found
        found = Summary(0) if found is None else found
        return found.but(gives=found.gives | {path}, gives_itself=found.gives_itself | {path})

    def gives_kept(self, function: Any) -> bool:
        """Whether what a function that has a memo gives may be something that can be changed."""
        if not is_a(function, FunctionType):
            return True
        module = module_of(function.__code__.co_filename, function.__globals__)
        node = None if module is None else definition_of(module, function)[0]
        return not isinstance(node, ast.FunctionDef) or gives_kept_objects(node)

    def summary_of(self, obj: Any) -> Summary | None:
        """What calling this object does, or None when its source cannot be read."""
        static = not is_a(obj, MethodType)
        if is_a(obj, MethodType):
            obj = obj.__func__
        if is_a(obj, type):
            return self.summary_of_class(obj)
        if type(obj).__name__ == MEMO:
            # A memo that nobody sees: what counts is the function.
            return self.summary_of(obj.__wrapped__)
        if not is_a(obj, FunctionType):
            return None
        if not is_own(obj):
            return self.summary_of_dispatcher(obj)
        found = self.read(obj)
        return found.but(is_static=static or found.is_static) if found is not None else None

    def summary_of_method(self, function: FunctionType) -> Summary | None:
        """What calling a method does; its object is the first argument, if it is not static."""
        return self.read(function) if is_own(function) else None

    def read(self, function: FunctionType) -> Summary | None:
        """What a function's source shows, or its bytecode where there is none."""
        code = function.__code__
        module = module_of(code.co_filename, function.__globals__)
        node, chain = (None, []) if module is None else definition_of(module, function)
        cells = cells_of(function)
        if module is None or node is None:
            from allcores.plan.unsourced import summary_without_source

            inner = summary_without_source(function, cells, self.depth, self.reading)
        else:
            from allcores.plan.live import Names

            live = Names(cells, function.__globals__)
            around = Surroundings(module, chain, live, self.depth, self.reading)
            inner = around.summarise(node, tuple(v for v in cells.values() if callable(v)))
            inner = self.with_defaults(function, inner)
        if function.__globals__ is self.namespace:
            return inner
        return self.brought_here(inner, function, os.path.basename(code.co_filename))

    def with_defaults(self, function: FunctionType, inner: Summary) -> Summary:
        """The same, where parameters that are called are left at a function as their default."""
        if not inner.calls:
            return inner
        names = parameter_names_of(function)
        defaults = dict(zip(names[::-1], (function.__defaults__ or ())[::-1], strict=False))
        defaults.update(function.__kwdefaults__ or {})
        found = [d for n, d in defaults.items() if n in inner.calls and _is_code(d)]
        path = f"{function.__name__}.__defaults__"
        more = [s for s in (self.summary_of_memo(path, f) for f in found) if s is not None]
        own = {f"{path}.{s.name}" for s in more if _changes_default(s)}
        inner = inner.but(changes=inner.changes | own)
        if any(results.is_of_call(r) for r in inner.changes):
            given = {r for s in more for r in s.gives if r[0] != "$"}
            inner = inner.but(changes=inner.changes | given, unsure=inner.unsure | given)
        return merged(inner, [_shared_part(s) for s in more])

    def summary_of_dispatcher(self, function: FunctionType) -> Summary | None:
        """What `functools.singledispatch` made: any of the functions registered may be called."""
        registry = vars(function).get("registry")
        if registry is None or not is_a(registry, MappingProxyType):
            return None
        found = [self.summary_of(each) for each in registry.values()]
        read = [each for each in found if each is not None]
        return merged(read[0], read[1:]) if read else None

    def summary_of_class(self, cls: type) -> Summary | None:
        """What making an object does: the class of the class, `__new__`, `__init__` and so on."""
        owner = next((c for c in cls.__mro__ if "__init__" in c.__dict__), object)
        init = owner.__dict__["__init__"]
        plain = owner.__mro__ == (owner, object) and "__new__" not in cls.__dict__
        if plain and is_generated(cls, init):
            inner: Summary | None = summary_of_dataclass(cls, self.root_of(cls), self.summary_of)
        else:
            inner = self.summary_of(init) if is_a(init, FunctionType) else None
        more = [s for s in self.parts_of_class(cls) if s.acts or s.reads]
        if inner is None and not more:
            return None
        if inner is None:
            inner = Summary(more[0].line).but(fields=None, file=more[0].file)
        else:
            inner = inner.but(fields=inner.fields if plain else None)
        return merged(inner, more).but(is_class=True, is_static=False)

    def parts_of_class(self, cls: type) -> Iterator[Summary]:
        """What Python calls beside `__init__` when it makes an object."""
        for name in FILLED_IN[1:]:
            yield from (_filled_in(s) for s in self.method_of(cls, name))
        made = [(cls, "__new__"), (type(cls), "__call__")]
        if type(cls).__module__ == "enum" and is_own_module(_owner_of(cls, "_missing_").__module__):
            made.append((cls, "_missing_"))
        for made_by, name in made:
            yield from (_of_class(s, self.root_of(cls)) for s in self.method_of(made_by, name))
        for field in getattr(cls, "__dataclass_fields__", {}).values():
            found = self.of_part(f"{self.root_of(cls)}.{field.name}", field.default_factory)
            if found is not None:
                yield _filled_in(found)

    def method_of(self, cls: type, name: str) -> Iterator[Summary]:
        found = next((c.__dict__[name] for c in cls.__mro__ if name in c.__dict__), None)
        if found is not None and is_a(found, (staticmethod, classmethod)):
            found = found.__func__
        summary = self.summary_of(found) if is_a(found, FunctionType) else None
        if summary is not None:
            yield summary

    def root_of(self, cls: type) -> str:
        """The path of a class, as the code read here sees it."""
        if cls.__module__ == self.namespace.get("__name__"):
            return cls.__qualname__
        return f"{module_root(cls.__module__)}.{cls.__qualname__}"

    def summary_of_instance(self, path: str, obj: Any) -> Summary | None:
        """What calling an object does that is no function: a bound builtin, a partial, an instance."""
        kind = type(obj)
        owner = getattr(obj, "__self__", None) if is_a(obj, BuiltinMethodType) else None
        if is_a(obj, BuiltinMethodType):
            if owner is None or is_a(owner, ModuleType):
                return None
            changes = changes_its_object(type(owner), obj.__name__)
            changes = obj.__name__ in fx.MUTATORS if changes is None else changes
            return Summary(0, {path}) if changes else None
        if is_a(obj, MethodWrapperType):  # `put = table.__setitem__`
            return Summary(0, {path}) if obj.__name__ in _CHANGING else None
        if kind.__module__ == "functools" and kind.__name__ == "partial":
            inner = self.summary_at(path + ".func", obj.func)
            if obj.args and any(obj.func is f for f in (next, setattr, delattr)):
                return Summary(0, {path})
            if inner is None or not inner.changes:
                if inner is None:
                    return None
                return inner.but(gives_arguments=None, **_of_partial(inner, path, obj))
            return Summary(inner.line, {path})
        if kind is methodcaller and _method_named(obj) in fx.MUTATORS:
            return Summary(0, {"$0"})
        if kind.__module__ == "unittest.mock":
            return Summary(0, {path})
        call = next(
            (c.__dict__["__call__"] for c in kind.__mro__ if "__call__" in c.__dict__), None
        )
        inner = self.summary_of(call) if is_a(call, FunctionType) else None
        if inner is not None:
            return bound(inner, path)
        if is_a(call, FunctionType):
            # One of a library's that calls functions of the program: `numpy.vectorize(f)`.
            held = [s for s in self.held_by(path, obj) if s.acts]
            return merged(held[0], held[1:]) if held else None
        return None

    def held_by(self, path: str, obj: Any) -> list[Summary]:
        """What calling the functions does that an object holds."""
        parts: Iterable[Any] = within(obj)
        if is_a(obj, (FunctionType, MethodType)):
            parts = (obj,)
        elif not is_a(obj, _CONTAINERS):
            parts = attributes_of(obj).values()
        return self.of_parts(path, parts)

    def of_parts(self, path: str, parts: Iterable[Any]) -> list[Summary]:
        """What calling those of these does that can be called: one of each piece of code."""
        found = {id(_code_of(p)): p for p in parts if callable(p)}
        each = islice(found.values(), MOST_HELD)
        return [s for part in each if (s := self.of_part(path, part)) is not None]

    def of_part(self, path: str, part: Any) -> Summary | None:
        """What calling something does that the object at a path holds."""
        if is_per_worker(part):
            return Summary(0)
        if is_a(part, MethodType):
            inner = self.summary_of(part.__func__)
            return bound(inner, path) if inner is not None else None
        return self.summary_of_memo(path, part) or self.summary_of_instance(path, part)

    def methods_of(self, path: str, obj: Any) -> list[Summary]:
        """What the methods of an object do, as whoever calls one of them by its name sees it."""
        functions = [f for c in type(obj).__mro__ for f in vars(c).values()]
        found = [self.summary_of(f) for f in functions if is_a(f, FunctionType) and is_own(f)]
        return [bound(s, path) for s in found if s is not None]

    def brought_here(self, inner: Summary, function: FunctionType, file: str) -> Summary:
        """What was read in another module, in this one's names."""
        name = function.__globals__.get("__name__")
        module = sys.modules.get(name) if isinstance(name, str) else None
        if module is None or module.__dict__ is not function.__globals__:
            return inner.but(file=file)
        key = id(inner), id(function.__globals__), id(self.namespace)
        if key not in self.reading.brought:
            self.reading.brought[key] = inner, self.renamed(inner, function, module, file)
        return self.reading.brought[key][1]

    def renamed(
        self, inner: Summary, function: FunctionType, module: ModuleType, file: str
    ) -> Summary:
        """A summary from another module."""
        here = self.namespace.get("__name__")
        home = f"{module_root(here)}." if isinstance(here, str) else "."
        own = frozenset(function.__code__.co_freevars)

        def translated(root: str) -> str:
            if root[0] == "@":
                return root.removeprefix(home)
            if root[0] in "$#" or root.partition(".")[0] in own:
                return root
            return f"{module_root(module.__name__)}.{root}"

        return inner.renamed(translated, file)


def bound(inner: Summary, path: str) -> Summary:
    """A method as it is seen by whoever calls it by a name for it and its object."""

    def seen(root: str) -> str:
        head, dot, rest = root.partition(".")
        if head == "$0":
            return path + dot + rest
        return f"${int(head[1:]) - 1}{dot}{rest}" if head.startswith("$") else root

    return inner.renamed(seen, "").but(
        file=inner.file,
        fields=None,
        parameters=inner.parameters[1:],
        shared_defaults={k - 1 for k in inner.shared_defaults},
        gives_arguments=None,
        variable=tuple(k - 1 if k > 0 else -1 for k in inner.variable),
    )


def _filled_in(inner: Summary) -> Summary:
    """Of what a method is given, only its object is known."""
    return _without(inner, lambda r: r[0] == "$" and r[:2] != "$0")


def _shared_part(inner: Summary) -> Summary:
    """Without what is done to arguments, of which nothing is known."""
    return _without(inner, lambda r: r[0] == "$")


def _changes_default(inner: Summary) -> bool:
    """Whether it changes a default that all its calls share, where nothing else is given."""
    return any(f"${k}" == r.partition(".")[0] for k in inner.shared_defaults for r in inner.changes)


def _owner_of(cls: type, name: str) -> type:
    return next((c for c in cls.__mro__ if name in c.__dict__), object)


def _without(inner: Summary, unknown: Callable[[str], bool]) -> Summary:
    kept = {
        name: {r for r in getattr(inner, name) if not unknown(r)}
        for name in ("changes", "draws", "seeds", "perhaps")
    }
    return inner.but(**kept)


def _of_partial(inner: Summary, path: str, made: Any) -> dict[str, set[str]]:
    """What the function of a partial draws and seeds, as whoever calls the partial sees it."""

    def seen(root: str) -> str:
        head = root.partition(".")[0]
        if not head.startswith("$"):
            return root
        position, rest = int(head[1:]), root[len(head) :]
        name = inner.parameters[position] if position < len(inner.parameters) else ""
        if position < len(made.args):
            return f"{path}.{HIDDEN}{position}{rest}"
        if name in made.keywords:
            return f"{path}.{HIDDEN}{name}{rest}"
        return f"${position - len(made.args)}{rest}"

    return {name: set(map(seen, getattr(inner, name))) for name in ("draws", "seeds", "perhaps")}


def _draw(path: str, method: Any) -> Summary:
    """What calling the method of a random stream at a path does."""
    name, stream = method.__name__, method.__self__
    root, found = f"{path}.{HIDDEN}self", Summary(0)
    for module, own in (("random", "_inst"), ("numpy.random.mtrand", "_rand")):
        if getattr(sys.modules.get(module), own, None) is stream:
            root = module_root(module.removesuffix(".mtrand"))
    if name in SEEDS:
        return found.but(seeds={root})
    if name not in fx.DRAWS:
        return found.but(changes={root})
    return found.but(draws={root}, changes={"$0"} if name == "shuffle" else set())


def _of_class(inner: Summary, root: str) -> Summary:
    """A method of which the first argument is a class."""

    def seen(path: str) -> str:
        head, dot, rest = path.partition(".")
        return root + dot + rest if head == "$0" else path

    return inner.renamed(seen, "").but(file=inner.file)


def parameter_names_of(function: FunctionType) -> list[str]:
    """The names of the parameters that are given by position."""
    code = function.__code__
    return list(code.co_varnames[: code.co_argcount])


def cells_of(function: FunctionType) -> dict[str, Any]:
    """What the variables of the functions around this one hold."""
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            pass  # not bound yet
    return found


def _method_named(caller: methodcaller) -> str:
    """The name of the method that it calls."""
    made: Any = caller.__reduce__()
    given = (*made[0].args, *made[1]) if is_a(made[0], partial) else made[1]
    return str(given[0])


def is_per_worker(obj: Any) -> bool:
    """Whether this gives each worker its own of something."""
    kind = type(obj)
    return kind.__name__ == "PerWorker" and kind.__module__ == "allcores.engine.per_worker"


def module_of(filename: str, namespace: dict[str, Any]) -> Module | None:
    """The parsed module of a source file, read once."""
    if filename not in _modules:
        text = "".join(linecache.getlines(filename, namespace))
        try:
            _modules[filename] = Module(quiet_parse(text, filename), filename) if text else None
        except (SyntaxError, ValueError):
            _modules[filename] = None
    return _modules[filename]


def definition_of(
    module: Module, function: FunctionType
) -> tuple[ast.FunctionDef | None, list[ast.AST]]:
    """The `def` of a function or lambda, with the scopes around it and itself."""
    code = function.__code__
    node, chain = find_function(module, code.co_name, code.co_firstlineno)
    if node is None and code.co_name == "<lambda>":
        return find_lambda(module, function)
    return node, chain


def find_function(
    module: Module, name: str, line: int
) -> tuple[ast.FunctionDef | None, list[ast.AST]]:
    """The `def` at a line, with the scopes around it and itself."""
    if module.functions is None:
        module.functions = dict(_functions(module.tree.body, []))
    return module.functions.get((name, line), (None, []))


def _functions(
    nodes: Iterable[ast.AST], chain: list[ast.AST]
) -> Iterator[tuple[tuple[str, int], tuple[ast.FunctionDef, list[ast.AST]]]]:
    for node in nodes:
        below = chain
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            below = [*chain, node]
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if isinstance(node, ast.FunctionDef):
                yield (node.name, first), (node, below)
        if not isinstance(node, ast.expr):
            yield from _functions(children(node), below)


def find_lambda(
    module: Module, function: FunctionType
) -> tuple[ast.FunctionDef | None, list[ast.AST]]:
    """A `def` that does the same as a lambda, with the scopes around it and itself.

    Where several lambdas of the same parameters begin in one line, it does what all of them do.
    """
    code = function.__code__
    if module.lambdas is None:
        module.lambdas = {}
        for node, chain in _lambdas(module.tree, []):
            module.lambdas.setdefault(node.lineno, []).append((node, chain))
    names = list(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
    found = [
        (node, chain)
        for node, chain in module.lambdas.get(code.co_firstlineno, [])
        if [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        == names
    ]
    if not found:
        return None, []
    first, chain = found[0]
    key = ("<lambda>", code.co_firstlineno, *names)
    known = module.lambdas_made.get(key)
    if known is None:
        bodies = [node.body for node, _ in found]
        value = ast.BoolOp(ast.Or(), bodies) if len(bodies) > 1 else bodies[0]
        made = ast.copy_location(ast.Return(ast.copy_location(value, first)), first)
        known = ast.FunctionDef("<lambda>", first.args, [made], [])
        module.lambdas_made[key] = ast.copy_location(known, first)
    return known, [*chain, known]


def _lambdas(node: ast.AST, chain: list[ast.AST]) -> Iterator[tuple[ast.Lambda, list[ast.AST]]]:
    if isinstance(node, ast.Lambda):
        yield node, chain
    below = chain
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
        below = [*chain, node]
    for child in ast.iter_child_nodes(node):
        yield from _lambdas(child, below)
