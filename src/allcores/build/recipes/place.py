"""Where a loop stands, and what its names mean to a worker."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field

from allcores.build.recipes.exceptions import changed_on_the_way
from allcores.build.recipes.imports import Imports
from allcores.build.recipes.job import WIDTH
from allcores.build.recipes.names import Names
from allcores.build.recipes.reach import CLASS_MAKERS, is_definition, reached
from allcores.build.recipes.slicing import CannotSliceError
from allcores.build.recipes.text import HELD, Source, indented
from allcores.plan.names import FUNCTIONS, bound_names, free_names, path_of, read_names, walk_scope
from allcores.plan.source import Module, Surroundings

BY_NAME = frozenset({"multiprocessing", "concurrent.futures", "mpi4py.futures"})
"""Targets that send functions by their name, and so only those of a module."""
ENDS = frozenset({"exit", "quit", "sys.exit", "os._exit", "os.abort"})
HARMLESS = frozenset(
    """bool id len list repr set str tuple range str.strip str.rstrip str.lstrip str.lower
    str.upper str.split str.splitlines""".split()
)
"""Functions that do not raise for what they are usually given."""
SIZED = frozenset(
    """list tuple set frozenset dict range sorted str bytes bytearray len split rsplit splitlines
    readlines arange linspace array zeros ones sort unique""".split()
)


@dataclass
class Place:
    """A file, a loop in it, and the target library."""

    source: Source
    module: Module
    chain: list[ast.AST]
    loop: ast.stmt
    target: str
    names: Names
    imports: Imports
    cell: tuple[int, int] | None = None
    """In a notebook, the rows of the cell."""
    width: int = WIDTH
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.around = Surroundings(self.module, self.chain)

    @property
    def scope(self) -> ast.AST:
        """The function that the loop stands in, or the module."""
        functions = [n for n in self.chain if isinstance(n, FUNCTIONS)]
        return functions[-1] if functions else self.source.tree

    def worker(self, body: Sequence[str], item: str, line: int) -> tuple[list[str], list[str]]:
        """What a worker function of this body needs besides: fixed arguments, local imports."""
        text = "\n".join([f"def allcores_worker({item}):", *indented(body, " ")])
        [function] = ast.parse(text.replace(HELD, "\n")).body
        assert isinstance(function, ast.FunctionDef)
        self.refuse_body(function, line)
        free = free_names(function)
        seen = [n for n in ast.walk(function) if isinstance(n, ast.Name)]
        order = [n.id for n in sorted(seen, key=lambda n: (n.lineno, n.col_offset))]
        fixed, imports = [], []
        for name in sorted(free, key=lambda n: order.index(n) if n in order else len(order)):
            kind = self.kind(name)
            if kind == "import":
                imports.append(self.local_import(name))
            elif kind == "fixed":
                fixed.append(name)
                self.refuse_fixed(name, line)
                self.refuse_bound_method(name, function, line)
        if "self" in fixed:
            self.notes.append("`self` is pickled for the workers, with all that it holds.")
        return fixed, imports

    def kind(self, name: str) -> str:
        """ "fixed": an argument; "import": imported in the worker anew; "global": there already."""
        around = self.around
        if name in around.locals:
            if around.locals[name] == 1 and name in around.local_imports:
                return "import"
            return "fixed"
        if around.is_code(name) or self.is_defined(name):
            return "global"
        if name in self.module.bound:
            return "fixed"
        return "global"

    def is_defined(self, name: str) -> bool:
        """Whether the module gives the name to a lambda, a named tuple or the like, once."""
        return self.module.bound.get(name) == 1 and any(
            is_definition(n) and name in bound_names(n) for n in self.source.tree.body
        )

    def local_import(self, name: str) -> str:
        dotted = self.around.local_imports[name]
        module, _, attribute = dotted.rpartition(".")
        for scope in self.chain:
            for n in ast.walk(scope):
                if isinstance(n, ast.ImportFrom) and name in bound_names(n):
                    shown = attribute if attribute == name else f"{attribute} as {name}"
                    return f"from {module} import {shown}"
        return f"import {dotted}" if dotted == name else f"import {dotted} as {name}"

    # -- what no worker can do

    def refuse_body(self, function: ast.FunctionDef, line: int) -> None:
        owner = next((n for n in self.chain if isinstance(n, ast.ClassDef)), None)
        for n in ast.walk(function):
            name = getattr(n, "id", getattr(n, "attr", ""))
            if isinstance(n, ast.Call) and path_of(n.func) == "super" and not n.args:
                raise CannotSliceError(
                    line, "`super()` means nothing in a function outside its class"
                )
            if isinstance(n, (ast.Yield, ast.YieldFrom, ast.Await)):
                raise CannotSliceError(line, "a worker cannot `yield` or `await`")
            if owner and name.startswith("__") and not name.endswith("__"):
                raise CannotSliceError(
                    line, f"`{name}` is private to its class; a function outside cannot read it"
                )
            if isinstance(n, ast.Name) and n.id in {"__name__", "__class__"}:
                raise CannotSliceError(line, f"`{n.id}` has another value in a worker")

    def refuse_fixed(self, name: str, line: int) -> None:
        """Values that cannot be sent to another process."""
        if name in self.around.local_defs and self.target in BY_NAME:
            raise CannotSliceError(
                line,
                f"`{name}` is defined inside a function, and {self.target} can send functions of a"
                " module only; move it to the module's level, or convert to joblib, dask or ray",
            )
        for value in self.values_seen(name):
            self.refuse_local_class(name, value, line)
            self.refuse_closure(name, value, line)
            if isinstance(value, ast.Lambda) and self.target in BY_NAME:
                raise CannotSliceError(
                    line,
                    f"`{name}` is a lambda, which {self.target} cannot send; make it a `def` at the"
                    " module's level, or convert to joblib, dask or ray",
                )
            called = path_of(value.func) if isinstance(value, ast.Call) else None
            last = (called or "").rpartition(".")[2]
            if isinstance(value, ast.GeneratorExp) or last in {
                *("open", "Lock", "RLock", "Semaphore", "Event", "Condition", "socket"),
                *("connect", "Thread", "iter", "map", "filter", "zip"),
            }:
                raise CannotSliceError(
                    line,
                    f"`{name}` holds {ast.unparse(value)}, which cannot be sent to another process",
                )

    def refuse_closure(self, name: str, value: ast.expr, line: int) -> None:
        """What a function of this module makes inside itself, and gives back."""
        made = path_of(value.func) if isinstance(value, ast.Call) else None
        definition = self.module.defs.get(made or "")
        if not isinstance(definition, ast.FunctionDef):
            return
        inner = [
            n for n in ast.walk(definition) if isinstance(n, FUNCTIONS) and n is not definition
        ]
        names = {getattr(n, "name", "") for n in inner}
        given = [n.value for n in walk_scope(*definition.body) if isinstance(n, ast.Return)]
        if not any(v in inner or (isinstance(v, ast.Name) and v.id in names) for v in given):
            return
        if any(isinstance(n, ast.Nonlocal) for each in inner for n in ast.walk(each)):
            why = "keeps something from one call to the next, which workers would do apart"
        elif self.target in BY_NAME:
            why = f"is made inside `{made}`, and {self.target} can send functions of a module only"
        else:
            return
        raise CannotSliceError(line, f"`{name}` {why}")

    def refuse_local_class(self, name: str, value: ast.expr, line: int) -> None:
        """Instances are sent with their class by its name, and so only of a module's classes."""
        if self.target not in BY_NAME:
            return
        for n in ast.walk(value):
            made = path_of(n.func) if isinstance(n, ast.Call) else None
            if made and self.is_local_class(made):
                raise CannotSliceError(
                    line,
                    f"`{name}` holds instances of `{made}`, which is defined inside a function, and"
                    f" {self.target} can send those of a module's classes only; move it to the"
                    " module's level, or convert to joblib, dask or ray",
                )

    def is_local_class(self, name: str) -> bool:
        around = self.around
        if isinstance(around.local_defs.get(name), ast.ClassDef):
            return True
        return name in around.locals and any(
            isinstance(v, ast.Call) and (path_of(v.func) or "").rpartition(".")[2] in CLASS_MAKERS
            for v in self.values_seen(name)
        )

    def refuse_bound_method(self, name: str, function: ast.AST, line: int) -> None:
        """`push = out.append`, called in a worker, would change the worker's copy."""
        called = any(
            isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == name
            for n in ast.walk(function)
        )
        changes = {r for each in self.around.methods_named("__call__") for r in each.changes}
        if called and any(root.partition(".")[0] == "$0" for root in changes):
            raise CannotSliceError(
                line, f"`{name}` may be an object whose `__call__` (in this file) changes it"
            )
        for value in self.values(name):
            if called and isinstance(value, ast.Attribute):
                raise CannotSliceError(
                    line, f"`{name}` is `{ast.unparse(value)}`, which may change what it belongs to"
                )

    def values_seen(self, name: str) -> list[ast.expr]:
        """All that is assigned to a name in the innermost scope about the loop that does so."""
        scopes = [n for n in self.chain if isinstance(n, FUNCTIONS)]
        return next(
            filter(None, (self.values(name, s) for s in [*scopes[::-1], self.source.tree])), []
        )

    def values(self, name: str, scope: ast.AST | None = None) -> list[ast.expr]:
        """All that is assigned to a name in the loop's scope, where that is all it is given."""
        found: list[ast.expr] = []
        for n in ast.walk(scope or self.scope):
            if isinstance(n, (ast.Assign, ast.AnnAssign)) and n.value is not None:
                targets = n.targets if isinstance(n, ast.Assign) else [n.target]
                if any(isinstance(t, ast.Name) and t.id == name for t in targets):
                    found.append(n.value)
            elif isinstance(n, ast.With):
                for item in n.items:
                    if item.optional_vars and name in bound_names(item.optional_vars):
                        found.append(item.context_expr)
        return found

    def refuse_reached(self, work: Sequence[ast.AST], line: int) -> None:
        """What called functions do that a worker must not do."""
        inside = [("the loop", w) for w in work]
        inside += [(f"`{getattr(d, 'name', 'a lambda')}`", d) for d in reached(work, self.module)]
        for who, node in inside:
            for n in ast.walk(node):
                if not isinstance(n, ast.Call):
                    if isinstance(n, ast.Raise) and "SystemExit" in read_names(n):
                        raise CannotSliceError(n.lineno, f"{who} ends the program, in a worker")
                    continue
                path = path_of(n.func) or ""
                dotted = self.module.imports.get(path.partition(".")[0], "")
                if path in ENDS or dotted in ENDS:
                    raise CannotSliceError(n.lineno, f"{who} ends the program, in a worker")
                printing = path == "print" and "print" not in self.module.bound
                if who != "the loop" and (printing or path == "sys.stdout.write"):
                    raise CannotSliceError(
                        n.lineno,
                        f"{who} prints, and what workers print comes in any order; give it back as"
                        " a value and print it in the loop",
                    )

    def refuse_raised(self, body: Sequence[ast.AST]) -> None:
        """Exceptions that pickling would change, or fail at."""
        found = changed_on_the_way(body, self.module)
        if found is not None:
            line, name = found
            raise CannotSliceError(
                line,
                f"`{name}` would not come back from a worker as it was raised: pickle makes it anew"
                " from what `super().__init__` was given; hand on the arguments of its own",
            )

    def refuse_lazy_prints(self, over: ast.expr, line: int) -> None:
        """What is looped over is gone through ahead of the loop: its prints would come too early."""
        if any(self.is_lazy(n) for n in ast.walk(over)):
            self.refuse_reached([over], line)

    def refuse_lazy_raises(self, over: ast.expr, line: int) -> None:
        """What it raises on the way would come before the iterations ahead of it are done."""
        lazy = next((n for n in ast.walk(over) if self.is_lazy(n) and _may_raise(n)), None)
        if lazy is not None:
            raise CannotSliceError(
                line,
                f"`{ast.unparse(lazy)}` may raise on the way, and would do so before the iterations"
                " ahead of that are done; make a list of it first, or compute it inside the loop",
            )

    def is_lazy(self, node: ast.AST) -> bool:
        """Whether it runs code of the program's own as the loop goes on."""
        name = path_of(node.func) if isinstance(node, ast.Call) else None
        return isinstance(node, ast.GeneratorExp) or (
            name is not None and (name in {"map", "filter"} or self.is_generator(name))
        )

    def is_generator(self, name: str) -> bool:
        """Whether it names a generator function of this module."""
        found = self.around.definition(name) if name else None
        return found is not None and any(isinstance(n, ast.Yield) for n in ast.walk(found))

    # -- what is looped over

    def gives_numbers(self, over: ast.expr, name: str) -> bool:
        """Whether the target of this name surely gets numbers or text."""
        if isinstance(over, ast.Call) and isinstance(over.func, ast.Name):
            if over.func.id == "range":
                return True
            target = getattr(self.loop, "target", None)
            if over.func.id == "enumerate" and isinstance(target, ast.Tuple):
                first = target.elts[0]
                return isinstance(first, ast.Name) and first.id == name
        if isinstance(over, ast.Name):
            values = self.values(over.id)
            sure = bool(values) and self.all_bindings(over.id) == len(values)
            return sure and all(
                not isinstance(v, ast.Name) and self.gives_numbers(v, name) for v in values
            )
        if isinstance(over, (ast.List, ast.Tuple, ast.Set)):
            return all(isinstance(e, ast.Constant) for e in over.elts)
        return isinstance(over, ast.Constant)

    def again(self, node: ast.expr) -> bool:
        """Whether evaluating it twice gives the same items twice."""
        if isinstance(node, ast.Name):
            return self.is_collection(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id == "range" and self.around.is_builtin("range"):
                simple = (ast.Name, ast.Constant, ast.BinOp, ast.UnaryOp, ast.Call, ast.Load)
                return all(
                    isinstance(n, (*simple, ast.operator, ast.unaryop))
                    and (not isinstance(n, ast.Call) or path_of(n.func) in {"range", "len"})
                    for n in ast.walk(node)
                )
        return False

    def is_collection(self, node: ast.expr) -> bool:
        """Whether it surely is a list or the like, and not an iterator."""
        displays = (ast.List, ast.Tuple, ast.Set, ast.Dict, ast.ListComp, ast.SetComp, ast.DictComp)
        if isinstance(node, displays):
            return True
        if isinstance(node, ast.Constant):
            return isinstance(node.value, (str, bytes))
        if isinstance(node, ast.BinOp):
            return self.is_collection(node.left) or self.is_collection(node.right)
        if isinstance(node, ast.Call):
            path = path_of(node.func) or str(getattr(node.func, "attr", ""))
            last = path.rpartition(".")[2]
            return last in SIZED and last not in self.module.bound
        if isinstance(node, ast.Name):
            values = self.values(node.id)
            return (
                bool(values)
                and self.all_bindings(node.id) == len(values)
                and all(not isinstance(v, ast.Name) and self.is_collection(v) for v in values)
            )
        return False

    def all_bindings(self, name: str) -> int:
        """How often the name is bound where the loop stands."""
        if name in self.around.locals:
            return self.around.locals[name]
        return self.module.bound.get(name, 0) if self.scope is self.source.tree else 99

    def length(self, node: ast.expr) -> str | None:
        """The text of how many items there are, where that is surely known."""
        if isinstance(node, ast.Name) and self.is_collection(node):
            return f"len({node.id})"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            if node.func.id == "range" and len(node.args) == 1:
                only = node.args[0]
                if isinstance(only, (ast.Name, ast.Constant)):
                    return self.source.of(only)
                if isinstance(only, ast.Call) and path_of(only.func) == "len":
                    return self.source.of(only)
            if node.func.id in {"zip", "enumerate"} and node.args:
                return self.length(node.args[0])
        return None

    def endless(self, node: ast.expr) -> str | None:
        """Why going through all items at once may be wrong, for a loop that leaves early."""
        for n in ast.walk(node):
            name = (path_of(n.func) or "") if isinstance(n, ast.Call) else ""
            if name.rpartition(".")[2] in {"count", "cycle", "repeat", "iter", "islice"}:
                return f"`{ast.unparse(n)}`"
            if self.is_generator(name):
                return f"the generator `{name}`"
            if isinstance(n, ast.GeneratorExp):
                return "a generator"
            if isinstance(n, ast.Name):
                for value in self.values(n.id):
                    if value is not node and not isinstance(value, ast.Name):
                        found = self.endless(value)
                        last = (path_of(value.func) or "") if isinstance(value, ast.Call) else ""
                        if found or last in {"open", "map", "filter", "zip", "enumerate", "iter"}:
                            return f"`{n.id}`"
        return None


def _may_raise(lazy: ast.AST) -> bool:
    """Whether going through something lazy may raise: it does more than compare and convert text."""
    if isinstance(lazy, ast.Call):
        if path_of(lazy.func) not in {"map", "filter"}:
            return True
        function = lazy.args[0] if lazy.args else lazy
        return not (isinstance(function, ast.Constant) or path_of(function) in HARMLESS)
    return any(
        isinstance(n, (ast.Subscript, ast.BinOp))
        or (isinstance(n, ast.Call) and path_of(n.func) not in HARMLESS)
        for n in ast.walk(lazy)
    )
