"""Which names a piece of source reads and binds, scope by scope."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
OF_MODULES = frozenset(["__doc__", "__loader__", "__name__", "__package__", "__spec__"])
"""Names that each module has for itself, the one of the builtins among them."""
BUILTINS = frozenset(dir(builtins)) - OF_MODULES
EAGER_BUILTINS = frozenset("sum any all list tuple set frozenset dict sorted min max".split())
"""What uses up the generator it is given before it returns."""
LOOKS_AT_NAMES = frozenset({"locals", "vars", "eval", "exec", "dir"})


def children(node: ast.AST) -> tuple[ast.AST, ...]:
    """The nodes right below one, but for `ast.Load` and the like."""
    try:
        return node._children  # type: ignore[attr-defined, no-any-return]
    except AttributeError:
        # Kept on the node itself: a body is read many times.
        node._children = found = tuple(_below(node))  # type: ignore[attr-defined]
        return found


def _below(node: ast.AST) -> list[ast.AST]:
    # As `ast.iter_child_nodes`, which takes twice as long: whole programs are read before a loop.
    found: list[ast.AST] = []
    for name in node._fields:
        value = getattr(node, name, None)
        if isinstance(value, list):
            found += [n for n in value if isinstance(n, ast.AST)]
        elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context):
            found.append(value)
    return found


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """As `ast.walk`, for trees that nobody changes: every node below, and the node itself."""
    todo = [node]
    for n in todo:
        yield n
        todo += children(n)


def walk_scope(*nodes: ast.AST) -> Iterator[ast.AST]:
    """Every node below `nodes` that runs in the same scope.

    A nested function, class or comprehension is given as itself, and of its parts only those
    that run outside it (decorators, defaults, bases, the first iterable).
    """
    todo = list(reversed(nodes))
    while todo:
        node = todo.pop()
        yield node
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            todo += [*node.decorator_list, *_defaults(node.args)]
        elif isinstance(node, ast.Lambda):
            todo += _defaults(node.args)
        elif isinstance(node, ast.ClassDef):
            todo += [*node.decorator_list, *node.bases, *(k.value for k in node.keywords)]
        elif isinstance(node, COMPREHENSIONS):
            todo.append(node.generators[0].iter)
            todo += [n for n in walk(node) if isinstance(n, ast.NamedExpr)]
        else:
            todo += reversed(children(node))


def _defaults(args: ast.arguments) -> list[ast.expr]:
    return [*args.defaults, *(d for d in args.kw_defaults if d is not None)]


def bound_names(*nodes: ast.AST) -> set[str]:
    """Names that `nodes` bind or delete in their own scope."""
    names: set[str] = set()
    for node in nodes:
        names |= _bound_below(node)
    return names


def _bound_below(node: ast.AST) -> frozenset[str]:
    known: frozenset[str] | None = getattr(node, "_bound_below", None)
    if known is None:
        known = frozenset(name for n in walk_scope(node) for name in binds(n))
        # Kept on the node itself: reading a body takes several passes.
        node._bound_below = known  # type: ignore[attr-defined]
    return known


def binds(node: ast.AST) -> list[str]:
    """The names that this one node binds or deletes, its children left aside."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            return [name]
        case ast.NamedExpr(target=ast.Name(id=name)):
            return [name]
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.ExceptHandler(name=str(name)):
            return [name]
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            return [name]
        case ast.MatchMapping(rest=str(name)):
            return [name]
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            return [a.asname or a.name.partition(".")[0] for a in aliases]
    return []


def read_names(*nodes: ast.AST) -> set[str]:
    """Names loaded anywhere below `nodes`, nested scopes included (a superset is fine)."""
    found: set[str] = set()
    for top in nodes:
        for node in walk(top):
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store):
                found.add(node.id)
            elif isinstance(node, (ast.Global, ast.Nonlocal)):
                found.update(node.names)
            elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                found.add(node.target.id)
    return found


def captured_names(*nodes: ast.AST) -> set[str]:
    """Names of the enclosing scope that functions, lambdas and classes in `nodes` mention."""
    found: set[str] = set()
    for node in walk_scope(*nodes):
        if isinstance(node, ast.Lambda):
            found |= free_names(node)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found |= free_names(node)
        elif isinstance(node, ast.ClassDef):
            for part in node.body:
                if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    found |= free_names(part)
                else:
                    found |= read_names(part)
        elif isinstance(node, COMPREHENSIONS):
            # A function inside a comprehension captures names just as one beside it does.
            for inner in walk(node):
                if isinstance(inner, ast.Lambda):
                    found |= free_names(inner)
    return found


def free_names(node: Function) -> set[str]:
    """Names that a function takes from the scopes around it."""
    body: list[ast.AST] = list(node.body) if isinstance(node.body, list) else [node.body]
    declared: set[str] = set()
    own = set(parameter_names(node.args)) | bound_names(*body)
    read: set[str] = set()
    local: set[str] = set()
    for n in walk_scope(*body):
        if isinstance(n, (ast.Global, ast.Nonlocal)):
            declared |= set(n.names)
        elif isinstance(n, COMPREHENSIONS):
            targets = {t for g in n.generators for t in target_names(g.target)}
            read |= read_names(n) - targets
        elif isinstance(n, ast.Name):
            read.add(n.id)
    local = own - declared
    return (read | captured_names(*body) | declared) - local


def parameter_names(args: ast.arguments) -> list[str]:
    """All parameter names, in order: positional, `*`, keyword-only, `**`."""
    plain = [a.arg for a in (*args.posonlyargs, *args.args)]
    star = [args.vararg.arg] if args.vararg else []
    keyword = [a.arg for a in args.kwonlyargs]
    return plain + star + keyword + ([args.kwarg.arg] if args.kwarg else [])


def defaults_by_name(args: ast.arguments) -> list[tuple[str, ast.expr]]:
    """The parameters that have a default, and that."""
    plain = [*args.posonlyargs, *args.args]
    pairs = [*zip(plain[len(plain) - len(args.defaults) :], args.defaults, strict=True)]
    pairs += [(a, d) for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True) if d]
    return [(a.arg, d) for a, d in pairs]


def target_names(target: ast.expr) -> list[str]:
    """Names bound by an assignment target, left to right; attributes and items give none."""
    return [n.id for n in walk(target) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]


def path_of(node: ast.expr) -> str | None:
    """`self.results` for an attribute chain that starts at a name, else None."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join([node.id, *reversed(parts)])
