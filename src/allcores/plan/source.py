"""Where a loop stands: its module, its function, and what the names around it mean."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from allcores.plan import effects as fx
from allcores.plan.effects import ELEMENTS, KINDS, LOG_METHODS, LOGGER_NAMES, LOGGING
from allcores.plan.implicit import ATTRIBUTES, SPECIAL
from allcores.plan.names import (
    BUILTINS,
    FUNCTIONS,
    binds,
    bound_names,
    children,
    parameter_names,
    path_of,
    walk,
    walk_scope,
)
from allcores.plan.summaries import Asked, Known, Reading, Summary

if TYPE_CHECKING:
    from allcores.plan.draws import Kind

Function = ast.FunctionDef | ast.AsyncFunctionDef
PLAIN = (ast.Constant, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop)
"""What numbers and texts are written with."""
DECLARATIONS = (ast.Global, ast.Nonlocal)
MAX_DEPTH = 20
NOTHING: frozenset[str] = frozenset()
Scope = tuple[dict[str, int], dict[str, ast.stmt], dict[str, str], dict[str, str]]


CONSTRUCTORS = ("__init__", "__post_init__", "__new__")


class Module:
    """A module's source, read once: its definitions and imports."""

    def __init__(self, tree: ast.Module, filename: str) -> None:
        self.tree = tree
        self.functions: dict[tuple[str, int], tuple[ast.FunctionDef, list[ast.AST]]] | None = None
        """Every `def` by name and line, once somebody asks."""
        self.lambdas: dict[int, list[tuple[ast.Lambda, list[ast.AST]]]] | None = None
        """Every lambda by line, once somebody asks."""
        self.lambdas_made: dict[tuple[object, ...], ast.FunctionDef] = {}
        """A `def` for each of those that have been asked for."""
        self.special: set[str] = set()
        """Names of the methods that classes here define and that Python calls by itself."""
        self.filename = filename
        self.bound: dict[str, int] = {}
        self.imports: dict[str, str] = {}
        self.imported_modules: set[str] = set()
        """Names bound by `import`, which binds modules alone."""
        self.taken: dict[str, str] = {}
        """Names bound to a method that changes its object: `push = out.append`."""
        self.constants: set[str] = set()
        """Names bound to a number or text that the source shows."""
        self.patterns: set[str] = set()
        """Names bound to what `re.compile` gives of such a text."""
        self.bound_once: dict[str, ast.expr | None] | None = None
        """What the variables are bound to that are bound once, once somebody asks."""
        self.defs: dict[str, ast.stmt] = {}
        self.summaries: dict[object, Known] = {}
        self.scopes: dict[ast.AST, Scope] = {}
        self.methods: dict[str, list[tuple[ast.ClassDef, ast.FunctionDef]]] = {}
        self.class_values: dict[str, list[tuple[ast.ClassDef, ast.expr]]] = {}
        """What class bodies bind to names, but for constants."""
        self.stored: set[str] | None = None
        """Names of attributes that something is bound to, once somebody asks."""
        for node in walk_scope(*tree.body):
            self.note(node)
        for node in walk(tree):
            if isinstance(node, (ast.Global,)):
                for name in node.names:
                    self.bound[name] = self.bound.get(name, 0) + 1
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                self.note_import(node, keep=False)
            elif isinstance(node, ast.ClassDef):
                for part in node.body:
                    for name, value in _bound_in_class(part):
                        self.class_values.setdefault(name, []).append((node, value))
                    if isinstance(part, ast.FunctionDef):
                        self.methods.setdefault(part.name, []).append((node, part))
                        if part.name in SPECIAL:
                            self.special.add(part.name)

    def note(self, node: ast.AST) -> None:
        for name in binds(node):
            self.bound[name] = self.bound.get(name, 0) + 1
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            self.defs[node.name] = node
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            self.note_import(node, keep=True)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {t.id for t in targets if isinstance(t, ast.Name)}
            if isinstance(node, ast.Assign):
                self.taken.update(taken_method(node))
            if all(isinstance(n, PLAIN) for n in ast.walk(node.value)):
                self.constants |= names
            elif _is_pattern(node.value):
                self.patterns |= names

    def scope(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Scope:
        """A function's local names, read once."""
        known = self.scopes.get(node)
        if known is None:
            known = self.scopes[node] = read_scope(node)
        return known

    def stored_attributes(self) -> set[str]:
        """Names of attributes that hold something by being bound to it, and not as methods do."""
        if self.stored is None:
            self.stored = {*self.class_values}
            for node in walk(self.tree):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                    self.stored.add(node.attr)
                elif isinstance(node, ast.ClassDef):
                    fields = (n.target for n in node.body if isinstance(n, ast.AnnAssign))
                    self.stored |= {t.id for t in fields if isinstance(t, ast.Name)}
        return self.stored

    def note_import(self, node: ast.Import | ast.ImportFrom, keep: bool) -> None:
        found = import_names(node)
        if isinstance(node, ast.Import):
            self.imported_modules |= found.keys()
        for name, dotted in found.items():
            if keep or name not in self.bound:
                self.imports.setdefault(name, dotted)


def _is_pattern(node: ast.expr) -> bool:
    """Whether this is `re.compile` of a text, with flags or not."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr="compile")):
            given = [*node.args, *(k.value for k in node.keywords)]
            return all(
                isinstance(n, (*PLAIN, ast.Attribute, ast.Load))
                or (isinstance(n, ast.Name) and n.id == "re")
                for part in given
                for n in ast.walk(part)
            )
    return False


def _bound_in_class(node: ast.stmt) -> list[tuple[str, ast.expr]]:
    """What a statement of a class body binds to names, but for constants."""
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign):
        targets = [node.target]
    else:
        return []
    if node.value is None or isinstance(node.value, ast.Constant):
        return []
    return [(t.id, node.value) for t in targets if isinstance(t, ast.Name)]


def taken_method(node: ast.Assign) -> dict[str, str]:
    """`push = out.append` as {"push": "out"}; empty for other assignments."""
    target, value = node.targets[0], node.value
    if isinstance(target, ast.Name) and isinstance(value, ast.Attribute):
        owner = path_of(value.value)
        if owner is not None and value.attr in fx.GIVEN_MUTATORS:
            return {target.id: owner}
    return {}


def as_function(node: ast.Lambda) -> ast.FunctionDef:
    """A `def` that does what a lambda does."""
    known: ast.FunctionDef | None = getattr(node, "_as_function", None)
    if known is None:
        given = ast.copy_location(ast.Return(node.body), node)
        known = ast.copy_location(ast.FunctionDef("<lambda>", node.args, [given], []), node)
        # Kept on the node itself: what is known of a function is kept under its node.
        node._as_function = known  # type: ignore[attr-defined]
    return known


def import_names(node: ast.Import | ast.ImportFrom) -> dict[str, str]:
    """What an import statement binds: name -> full dotted name."""
    if isinstance(node, ast.Import):
        return {
            (a.asname or a.name.partition(".")[0]): (
                a.name if a.asname else a.name.partition(".")[0]
            )
            for a in node.names
        }
    prefix = "." * node.level + (f"{node.module}." if node.module else "")
    return {a.asname or a.name: prefix + a.name for a in node.names}


class Live(Protocol):
    """The objects that names stand for, where the program is at hand."""

    def summary(self, path: str, depth: int, reading: Reading) -> Summary | None:
        """What calling the object at a path does; None when that cannot be read."""

    def held_functions(self, path: str, depth: int, reading: Reading) -> list[Summary]:
        """What calling the functions does that the object at a path holds."""

    def methods_within(
        self, path: str, name: str, filename: str, depth: int, reading: Reading
    ) -> list[Summary]:
        """What the methods of this name do, in classes of the program's that another file has, of the
        object at a path and of those that it holds."""

    def is_there(self, path: str) -> bool:
        """Whether there is an object at a path."""

    def stored_function(self, path: str, depth: int, reading: Reading) -> Summary | None:
        """What calling an attribute does that an object itself has, and not its class."""

    def is_value(self, path: str) -> bool | None:
        """Whether there is an object that is no module, class or function; None: not known."""

    def is_talker(self, path: str) -> bool:
        """Whether there is a logger or a standard stream."""

    def is_lock(self, path: str) -> bool:
        """Whether there is a lock that is free."""

    def method_changes(self, path: str, name: str, filename: str) -> bool | None:
        """Whether a method changes the object, or one that it holds; None: not known.

        False for methods that a function of this file is.
        """

    def is_class(self, path: str) -> bool | None:
        """Whether there is a class; None: not known."""

    def may_have(self, path: str, names: frozenset[str]) -> bool:
        """Whether the object may be, or hold, one of a class of the program's with such a method."""

    def is_per_worker(self, path: str) -> bool:
        """Whether there is what gives each worker its own."""

    def canonical(self, path: str) -> str:
        """The same path under the name that all modules have for it."""

    def library(self, name: str) -> str | None:
        """The full name of the module, or the function of a library, that a variable holds."""

    def imported(self, full: str) -> str:
        """The root of something with this full name: "os.environ" -> "@os.environ"."""

    def asked(self, path: str, reading: Reading) -> Asked | None:
        """How the object at a path looks now; None: that cannot be asked again."""

    def stream(self, root: str) -> Kind:
        """Whether a root stands for a random stream."""

    def is_atom(self, root: str) -> bool:
        """Whether a root stands for a number, a string or None."""

    def is_settled(self, path: str) -> bool:
        """Whether there is nothing that could be changed, or what is looked at as a whole."""

    def holds_settled(self, path: str) -> bool:
        """Whether there is nothing that could be changed, or a container of such things alone."""

    def is_standard_class(self, path: str) -> bool:
        """Whether there is a class of the standard library."""

    def has_special(self, names: frozenset[str]) -> bool:
        """Whether a class of one of the program's modules has such a method."""

    def is_overridden(self, cls: str, name: str) -> bool:
        """Whether a subclass of the class of this name may have another method of this name."""

    def outside(self) -> Live:
        """The same for code that does not see the local variables."""


class Surroundings:
    """What names outside the loop mean, seen from the loop's own function."""

    def __init__(
        self,
        module: Module,
        chain: list[ast.AST],
        live: Live | None = None,
        depth: int = 0,
        reading: Reading | None = None,
        unknown: frozenset[str] = NOTHING,
    ) -> None:
        """unknown: local variables that `live` knows nothing of."""
        self.module = module
        self.chain = chain
        self.live = live
        self.depth = depth
        self.reading = reading or Reading()
        self.unknown = unknown
        self.locals: dict[str, int] = {}
        self.local_defs: dict[str, ast.stmt] = {}
        self.local_imports: dict[str, str] = {}
        self.local_taken: dict[str, str] = {}
        self.inside_classes: dict[ast.ClassDef, Surroundings] = {}
        for scope in chain:
            if isinstance(scope, FUNCTIONS):
                self.note_scope(scope)
        self.class_node = next((n for n in reversed(chain) if isinstance(n, ast.ClassDef)), None)

    def note_scope(self, scope: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        known = self.module.scope(scope)
        for name in known[0].keys() - declared_elsewhere(scope):
            # Another variable than that of the function around.
            for names in (self.locals, self.local_defs, self.local_imports, self.local_taken):
                names.pop(name, None)
        for name, count in known[0].items():
            self.locals[name] = self.locals.get(name, 0) + count
        self.local_defs.update(known[1])
        self.local_imports.update(known[2])
        self.local_taken.update(known[3])

    def in_function(self) -> bool:
        """Whether the loop stands in a function, and not at module level."""
        return any(isinstance(scope, FUNCTIONS) for scope in self.chain)

    def is_builtin(self, name: str) -> bool:
        return name in BUILTINS and name not in self.locals and name not in self.module.bound

    def is_code(self, name: str) -> bool:
        """Whether the name stands for a function, class or module bound once."""
        if name in self.locals:
            return self.locals[name] == 1 and (
                name in self.local_defs or name in self.local_imports
            )
        return self.module.bound.get(name, 0) == 1 and (
            name in self.module.defs or name in self.module.imports
        )

    def is_constant(self, name: str) -> bool:
        """Whether a name is bound once, to a number, text or pattern that the source shows."""
        module = self.module
        if module.bound.get(name) != 1 or name in self.locals:
            return False
        if name in module.patterns:
            return module.bound.get("re") == 1 and module.imports.get("re") == "re"
        return name in module.constants

    def dotted(self, path: str) -> str | None:
        """The full name of something imported: `np.sum` -> `numpy.sum`."""
        head, _, rest = path.partition(".")
        if head in self.locals:
            full = self.local_imports.get(head) if self.locals[head] == 1 else None
        elif head not in self.module.bound:
            full = self.imported_elsewhere(head)
        elif self.module.bound[head] == 1:
            full = self.module.imports.get(head)
        else:
            full = None
        if full is None:
            return None
        return f"{full}.{rest}" if rest else full

    def imported_elsewhere(self, name: str) -> str | None:
        """The full name of what no import here binds, but one in another cell of a notebook."""
        full = self.live.library(name) if self.live is not None else None
        if full is not None:
            self.seen_live(name)
        return full

    def definition(self, path: str) -> ast.stmt | None:
        """The `def` or `class` that a path names: a function, a class, or `self.method`."""
        head, _, rest = path.partition(".")
        if not rest:
            if head in self.locals:
                return self.local_defs.get(head) if self.locals[head] == 1 else None
            return self.module.defs.get(head) if self.module.bound.get(head) == 1 else None
        if "." in rest:
            return None
        owner: ast.stmt | None = None
        if head == self.self_name():
            owner = self.class_node
        elif self.is_code(head):
            owner = self.definition(head)
        if not isinstance(owner, ast.ClassDef):
            return None
        found = [n for n in owner.body if isinstance(n, ast.FunctionDef) and n.name == rest]
        return found[0] if len(found) == 1 else None

    def self_name(self) -> str | None:
        for outer, inner in zip(self.chain, self.chain[1:], strict=False):
            if (
                isinstance(outer, ast.ClassDef)
                and isinstance(inner, ast.FunctionDef)
                and inner.args.args
            ):
                return inner.args.args[0].arg
        return None

    def summary(self, path: str) -> Summary | None:
        """What calling `path` does, or None when it cannot be read."""
        live, seen = self.seen_live(path)
        if live is not None:
            found = live.summary(seen, self.depth, self.reading)
            if found is not None:
                return found
        owner = self.owner_of_taken(path)
        if owner is not None:
            return Summary(0, {owner})
        node = self.definition(path)
        if isinstance(node, ast.ClassDef):
            return self.class_summary(node)
        if isinstance(node, ast.FunctionDef):
            summary = self.summarise(node)
            if "." in path and path.partition(".")[0] != self.self_name():
                summary.is_static = True
            return summary
        return None

    def method_changes(self, path: str, name: str) -> bool | None:
        """Whether a method changes the object at a path, or one held there; None: not known.

        False where its source stands in this module: it is read like all of its name.
        """
        live, seen = self.seen_live(path + ELEMENTS)
        if live is None:
            return None
        return live.method_changes(seen.removesuffix(ELEMENTS), name, self.module.filename)

    def is_read(self, path: str, name: str) -> bool:
        """Whether a method of the object at a path is known by its source alone."""
        live, seen = self.seen_live(path)
        if live is None:
            return False
        return live.method_changes(seen, name, self.module.filename) is False

    def is_class(self, path: str) -> bool:
        """Whether a path names a class, as far as is seen."""
        live, seen = self.seen_live(path)
        known = live.is_class(seen) if live is not None else None
        return isinstance(self.definition(path), ast.ClassDef) if known is None else known

    def held_functions(self, path: str) -> list[Summary]:
        """What calling the functions does that the object at a path holds, if it is known."""
        live, seen = self.seen_live(path)
        return live.held_functions(seen, self.depth, self.reading) if live is not None else []

    def methods_within(self, path: str, name: str) -> list[Summary]:
        """What the methods of this name do, in classes that another file has, of the object at a path
        and of those that it holds, if it is known."""
        live, seen = self.place_of(path)
        if live is None:
            return []
        self.was_asked(live, seen + KINDS)
        file = self.module.filename
        found = live.methods_within(seen, name, file, self.depth, self.reading)
        return self.reading.alike(found)

    def stored_function(self, path: str) -> Summary | None:
        """What calling an attribute does that an object itself has, if it is known."""
        live, seen = self.seen_live(path)
        return live.stored_function(seen, self.depth, self.reading) if live is not None else None

    def seen_live(self, path: str) -> tuple[Live | None, str]:
        """The live objects, if they tell what this path is, and the path as they know it."""
        live, path = self.place_of(path)
        if live is not None:
            self.was_asked(live, path)
        return live, path

    def place_of(self, path: str) -> tuple[Live | None, str]:
        """The same for those who note by themselves what they have asked."""
        live = self.live
        if live is None or path.partition(".")[0] not in self.unknown:
            return live, path
        full = self.dotted(path)
        return (live, live.imported(full)) if full is not None else (None, path)

    def was_asked(self, live: Live, path: str) -> None:
        """What is read holds as long as the object at this path looks the same."""
        asked = live.asked(path, self.reading)
        if asked is not None:
            self.reading.ask(asked)

    def is_known(self, path: str, test: str, ending: str = "") -> bool:
        """Whether the object at a path is known to be of some kind, and then it is to stay so.

        Where it is not, or not known, whoever asks takes the worst for granted.
        """
        if path[0] in "$#":
            return False
        live, seen = self.place_of(path)
        if live is None or not getattr(live, test)(seen):
            return False
        self.was_asked(live, seen + ending)
        return True

    def is_value(self, path: str) -> bool | None:
        """Whether an imported path is no module, class or function; None: not known."""
        live, seen = self.seen_live(path)
        return live.is_value(seen) if live is not None else None

    def leaves(self, path: str, method: str) -> bool:
        """Whether a method leaves the object at a path as it was, as far as can be told.

        Those that tell loggers and standard streams something do, and "with" for locks.
        """
        dotted = self.dotted(path)
        if dotted in ("sys.stdout", "sys.stderr") or (dotted == LOGGING and method in LOG_METHODS):
            return True
        live, seen = self.seen_live(path)
        if live is not None or path[0] in "@$":
            if method == "with":
                return live is not None and live.is_lock(seen)
            return live is not None and live.is_talker(seen)
        named = path.rpartition(".")[2].strip("_").lower() in LOGGER_NAMES
        return named and method in LOG_METHODS

    def has_special(self, names: frozenset[str]) -> bool:
        """Whether a class of the program may have such a method."""
        if self.live is None or not self.module.special.isdisjoint(names):
            return True
        return self.live.has_special(names)

    def may_have(self, path: str, names: frozenset[str]) -> bool:
        """Whether what is at a path may be, or hold, an object with such a method."""
        live, seen = self.seen_live(path)
        return live is None or live.may_have(seen, names)

    def is_per_worker(self, path: str) -> bool:
        """Whether calling a path gives what is the worker's own."""
        live, seen = self.seen_live(path)
        return live is not None and live.is_per_worker(seen)

    def canonical(self, path: str) -> str:
        """A path that begins with a module, under the name that all modules have for it."""
        live, seen = self.seen_live(path)
        return live.canonical(seen) if live is not None else path

    def stream(self, root: str) -> Kind | None:
        """Whether a root stands for a random stream; None where no objects are at hand."""
        live, seen = self.seen_live(root)
        return live.stream(seen) if live is not None else None

    def all_streams(self, roots: Iterable[str]) -> bool:
        """Whether these stand for random streams, as far as is known."""
        found = [self.stream(root) for root in roots]
        return bool(found) and all(kind == "stream" for kind in found)

    def own_method(self, path: str) -> Summary | None:
        """What `self.method` does, if it can be no other than the one that stands in the class."""
        name, node, owner = path.rpartition(".")[2], self.definition(path), self.class_node
        if not isinstance(node, ast.FunctionDef) or owner is None or self.live is None:
            return None
        taken = node.decorator_list or _sets_itself(owner, name)
        if taken or self.live.is_overridden(owner.name, name):
            return None
        return self.within(owner).summarise(node)

    def is_atom(self, root: str) -> bool:
        """Whether a root is known to stand for a number, a string or None."""
        return self.is_known(root, "is_atom")

    def is_standard_class(self, path: str) -> bool:
        """Whether a path is known to name a class of the standard library."""
        return self.is_known(path, "is_standard_class")

    def is_settled(self, root: str) -> bool:
        """Whether a root is known to be nothing that could be changed unseen."""
        if root in self.module.imported_modules:
            # A module, as far as names tell: a function around may have imported it.
            if self.is_code(root) or root not in (*self.locals, *self.module.bound):
                return True
        return self.is_known(root, "is_settled", ELEMENTS)

    def holds_settled(self, root: str) -> bool:
        """Whether a root is known to hold nothing that could be changed unseen."""
        return self.is_known(root, "holds_settled", ELEMENTS)

    def owner_of_taken(self, name: str) -> str | None:
        """The object changed by calling a name that was bound to its method, as far as is seen."""
        if name in self.locals:
            return self.local_taken.get(name)
        return self.module.taken.get(name)

    def methods_named(self, name: str) -> list[Summary]:
        """What the methods of this name do, of all classes in this module.

        Those with the same parameters are taken together: some names have dozens.
        """
        methods = self.module.methods.get(name, [])
        return self.reading.alike([self.within(owner).summarise(node) for owner, node in methods])

    def taken_methods(self, path: str | None, name: str) -> list[Summary]:
        """What the methods of this name do that an object may have. path: the object's, if it has
        one here."""
        if path is not None:
            live, seen = self.seen_live(f"{path}.{name}")
            if live is not None and live.is_there(seen):
                found = live.summary(seen, self.depth, self.reading)
                return [] if found is None or found.is_static or found.is_class else [found]
        if name in self.module.stored_attributes():
            return []  # more often than not it is no method
        methods = [
            (owner, node)
            for owner, node in self.module.methods.get(name, [])
            if not any(_computes(d) for d in node.decorator_list)
        ]
        return self.reading.alike([self.within(owner).summarise(node) for owner, node in methods])

    def properties_named(self, name: str) -> list[Summary]:
        """What computing an attribute of this name does, for all classes in this module."""
        found = []
        for owner, node in self.module.methods.get(name, []):
            kinds = {
                d.attr if isinstance(d, ast.Attribute) else getattr(d, "id", "")
                for d in node.decorator_list
            }
            # What a cached_property keeps is a memo, and no result.
            if kinds & {"property", "abstractproperty", "cached_property"}:
                found.append(self.within(owner).summarise(node))
        return found + self.descriptors(name, "__get__", 0)

    def is_computed(self, name: str) -> bool:
        """Whether reading an attribute of this name may call something, in some class here."""
        module = self.module
        return (
            name in module.methods
            or name in module.class_values
            or bool(module.special & ATTRIBUTES)
        )

    def setters_named(self, name: str) -> list[Summary]:
        """What binding an attribute of this name does, for all classes in this module."""
        found = []
        for owner, node in self.module.methods.get(name, []):
            if any(
                isinstance(d, ast.Attribute) and d.attr == "setter" for d in node.decorator_list
            ):
                found.append(self.within(owner).summarise(node))
        return found + self.descriptors(name, "__set__", 1)

    def descriptors(self, name: str, method: str, part: int) -> list[Summary]:
        """What the methods do of an object that a class here binds to this attribute name.

        part: which argument of `property(·)` stands for the method.
        """
        found = []
        for owner, value in self.module.class_values.get(name, []):
            if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Name):
                continue
            if value.func.id == "property":
                named = value.args[part] if part < len(value.args) else None
                if isinstance(named, ast.Name):
                    found += [
                        self.within(c).summarise(f) for c, f in self.methods_of(owner, named.id)
                    ]
                elif isinstance(named, ast.Lambda):
                    found.append(self.within(owner).summarise(as_function(named)))
            elif isinstance(kind := self.module.defs.get(value.func.id), ast.ClassDef):
                for within, node in self.methods_of(kind, method):
                    found.append(
                        self.of_descriptor(self.within(within).summarise(node), owner, name)
                    )
        return found

    def methods_of(
        self, owner: ast.ClassDef, name: str
    ) -> list[tuple[ast.ClassDef, ast.FunctionDef]]:
        return [(c, f) for c, f in self.module.methods.get(name, []) if c is owner]

    def of_descriptor(self, inner: Summary, owner: ast.ClassDef, name: str) -> Summary:
        """A method of a descriptor as seen by the object that it is an attribute of."""

        def seen(root: str) -> str:
            head, dot, rest = root.partition(".")
            if head == "$0":
                return f"{owner.name}.{name}{dot}{rest}"
            return f"${int(head[1:]) - 1}{dot}{rest}" if head[0] == "$" else root

        return inner.renamed(seen, "")

    def class_attribute(self, attr: str) -> str | None:
        """The class, if an attribute is one that its objects share and may be changed in place."""
        for owner, value in self.module.class_values.get(attr, []):
            shared = isinstance(value, (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.Call))
            if shared and not _sets_itself(owner, attr) and self.is_base(owner):
                return owner.name
        return None

    def is_base(self, owner: ast.ClassDef) -> bool:
        """Whether a class is the one at hand, or may be a base of it."""
        return self.class_node is owner or (
            self.class_node is not None and bool(self.class_node.bases)
        )

    def within(self, owner: ast.ClassDef) -> Surroundings:
        """Those of the methods of a class of this module."""
        known = self.inside_classes.get(owner)
        if known is None:
            known = self.inside_classes[owner] = Surroundings(
                self.module, [owner], self.live, self.depth, self.reading, self.unknown
            )
        return known

    def class_summary(self, node: ast.ClassDef) -> Summary:
        unknown = Summary(node.lineno, is_class=True)
        if node.keywords:
            return unknown
        inits = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name in CONSTRUCTORS]
        if not inits:
            bases = [self.module.defs.get(b.id) for b in node.bases if isinstance(b, ast.Name)]
            if len(node.bases) == 1 and isinstance(bases[0] if bases else None, ast.ClassDef):
                owner = bases[0]
                assert isinstance(owner, ast.ClassDef)
                if owner is not node:
                    return self.class_summary(owner).but(line=node.lineno)
            return unknown.but(fields={}) if _is_plain(node) else unknown
        if len(inits) != 1 or inits[0].name != "__init__":
            return unknown
        inner = self.within(node).summarise(inits[0])
        if node.bases and inner.fields is not None:
            # What a base class keeps is not told by this constructor alone.
            inner = inner.but(fields=None)
        return inner.but(line=node.lineno, is_class=True, is_static=False)

    def summarise(self, node: ast.FunctionDef, pinned: tuple[object, ...] = ()) -> Summary:
        """Read a function's body for what it changes and reads outside itself.

        pinned: what the variables of the functions around it hold, as far as that matters.
        """
        from allcores.plan.split import read_function

        key = (node, *map(id, pinned)) if pinned else node
        known = self.reading.known(self.module, key, self.depth)
        if known is not None:
            return known
        static = any(
            isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list
        )
        nothing = Summary(node.lineno, is_static=static)
        if self.depth >= MAX_DEPTH:
            self.reading.cut = True
            return nothing
        around = self.called(node)

        def read() -> Summary:
            summary = read_function(node, around)
            summary.is_static = static
            return summary

        return self.reading.summarise(self.module, key, Known(self.depth, nothing, pinned), read)

    def called(self, node: ast.FunctionDef) -> Surroundings:
        """The surroundings inside a function of this module that is called from here."""
        nested = [
            s for s in self.chain if isinstance(s, FUNCTIONS) and node in walk_scope(*_body(s))
        ]
        chain: list[ast.AST] = [node]
        if nested:
            chain = [*self.chain[: self.chain.index(nested[-1]) + 1], node]
        elif self.class_node is not None and node in self.class_node.body:
            chain = [self.class_node, node]
        live, unknown = self.live, self.unknown
        if not nested:
            live, unknown = live.outside() if live is not None else None, NOTHING
        own = frozenset(self.module.scope(node)[0])
        return Surroundings(self.module, chain, live, self.depth + 1, self.reading, unknown | own)


def _computes(decorator: ast.expr) -> bool:
    """Whether it makes a property of a method, or a part of one."""
    name = decorator.attr if isinstance(decorator, ast.Attribute) else getattr(decorator, "id", "")
    return "property" in name or name in ("setter", "getter", "deleter")


def _sets_itself(owner: ast.ClassDef, attr: str) -> bool:
    """Whether a method of the class binds the attribute for each object."""
    found = owner.__dict__.get("_sets")
    if found is None:
        found = {
            n.attr
            for n in walk(owner)
            if isinstance(n, ast.Attribute) and not isinstance(n.ctx, ast.Load)
        }
        # Kept on the node itself: asked for every attribute that its methods change.
        owner._sets = found  # type: ignore[attr-defined]
    decorated = any("dataclass" in ast.unparse(d) for d in owner.decorator_list)
    return decorated or attr in found


def _is_plain(node: ast.ClassDef) -> bool:
    """A class whose instances begin with no attributes at all."""
    return not node.bases and not node.decorator_list


def read_scope(
    scope: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda,
) -> Scope:
    """A function's local names with how often they are bound, its definitions, its imports, and
    the names that stand for a method of another object."""
    counts: dict[str, int] = dict.fromkeys(parameter_names(scope.args), 1)
    defs: dict[str, ast.stmt] = {}
    imports: dict[str, str] = {}
    taken: dict[str, str] = {}
    for node in walk_scope(*_body(scope)):
        for name in binds(node):
            counts[name] = counts.get(name, 0) + 1
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            defs[node.name] = node
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            imports.update(import_names(node))
        elif isinstance(node, ast.Assign):
            taken.update(taken_method(node))
    return counts, defs, imports, taken


def declared_elsewhere(
    scope: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda,
) -> frozenset[str]:
    """Names that a function binds and that are variables of what is around it."""
    known: frozenset[str] | None = getattr(scope, "_declared_elsewhere", None)
    if known is None:
        found = (n.names for n in walk_scope(*_body(scope)) if isinstance(n, DECLARATIONS))
        known = frozenset(name for names in found for name in names)
        # Kept on the node itself: functions are read from many others.
        scope._declared_elsewhere = known  # type: ignore[union-attr]
    return known


def _body(scope: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> list[ast.AST]:
    return list(scope.body) if isinstance(scope.body, list) else [scope.body]


def loops_of(tree: ast.Module) -> list[tuple[ast.For | ast.AsyncFor, list[ast.AST]]]:
    """Every `for` statement with the chain of scopes around it, outermost first, in line order."""
    found: list[tuple[ast.For | ast.AsyncFor, list[ast.AST]]] = []

    def look(node: ast.AST, chain: list[ast.AST]) -> None:
        if isinstance(node, (ast.For, ast.AsyncFor)):
            found.append((node, chain))
        below = chain
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            below = [*chain, node]
        for child in children(node):
            if not isinstance(child, (ast.expr_context, ast.operator)):
                look(child, below)

    for top in tree.body:
        look(top, [])
    found.sort(key=lambda pair: (pair[0].lineno, pair[0].col_offset))
    return found


def scope_body(chain: list[ast.AST], module: Module) -> list[ast.AST]:
    """The statements of the innermost function around a loop, or of the module."""
    for scope in reversed(chain):
        if isinstance(scope, FUNCTIONS):
            return _body(scope)
    return list(module.tree.body)


def in_class_body(chain: list[ast.AST]) -> bool:
    return bool(chain) and isinstance(chain[-1], ast.ClassDef)


def names_bound_in(node: ast.FunctionDef) -> set[str]:
    """A function's local names: parameters and what its body binds, less globals and nonlocals."""
    declared: set[str] = set()
    for n in walk_scope(*node.body):
        if isinstance(n, (ast.Global, ast.Nonlocal)):
            declared |= set(n.names)
    return (bound_names(*node.body) | set(parameter_names(node.args))) - declared
