"""A `for` statement in, its Plan out.

What the loop carries is found by a fixpoint: each pass reads the body with what is known to be
carried and changed, and may find more; when a pass finds nothing new, its reading stands.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from typing import Any

from allcores.plan import draws
from allcores.plan.effects import (
    CLASS,
    ITEM,
    NONE,
    UNKNOWN,
    Roots,
    Val,
    all_bounded,
    bounded,
    in_words,
    is_outer,
    item_root,
    outer,
)
from allcores.plan.files import looked_at_by_others, wanted_at_home
from allcores.plan.fixed_names import with_files_written
from allcores.plan.handling import looking_at_the_exception
from allcores.plan.implicit import SPECIAL
from allcores.plan.items import sources_of, touches_items
from allcores.plan.memos import gives_kept_objects, has_memo
from allcores.plan.model import Commit, Plan, Reason, Step
from allcores.plan.names import (
    FUNCTIONS,
    LOOKS_AT_NAMES,
    binds,
    bound_names,
    captured_names,
    defaults_by_name,
    free_names,
    parameter_names,
    path_of,
    read_names,
    target_names,
    walk,
    walk_scope,
)
from allcores.plan.own_elements import MARK, distinct_target, own_elements
from allcores.plan.same_files import stale_looks
from allcores.plan.simple import names_of_inner_scopes
from allcores.plan.source import (
    Module,
    Surroundings,
    in_class_body,
    names_bound_in,
)
from allcores.plan.statements import Statements
from allcores.plan.summaries import CALLED, Summary
from allcores.plan.values import CHANGED_HERE, READ_AND_CHANGED, Info, State

MAX_PASSES = 40

HOLDING = (ast.Yield, ast.YieldFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
"""What makes a function give what holds its variables."""


class TooFar(Exception):
    """There is more code behind a function than is followed."""


class FunctionReader(Statements):
    """Reads a function for what it changes: every statement is simply followed."""

    def __init__(self, around: Surroundings, body_names: set[str], live: set[str]) -> None:
        super().__init__(around, body_names, live)
        self.in_function = True
        self.given: Roots = NONE
        """What it may return or yield, or may be in that."""
        self.given_itself: Roots = NONE
        self.given_perhaps: Roots = NONE

    def leads_too_far(self, node: ast.AST, where: str) -> bool:
        raise TooFar

    def returned(self, node: ast.Return) -> None:
        self.give(self.eval(node.value).val)

    def give(self, val: Val) -> None:
        found = (self.results.get(site, NONE) for site in val.own)
        self.given_itself |= outer(val.own.union(*found))
        self.given_perhaps |= outer(val.maybe)
        self.given |= outer(val.possible | self.inside(val) | self.perhaps_inside(val))

    def e_Yield(self, node: ast.expr) -> Info:
        assert isinstance(node, (ast.Yield, ast.YieldFrom))
        known = self.eval(node.value)
        self.give(known.val if isinstance(node, ast.Yield) else self.element(known.val))
        return known._replace(val=Val())

    e_YieldFrom = e_Yield


def read_function(node: ast.FunctionDef, around: Surroundings) -> Summary:
    """What calling the function changes and reads outside itself."""
    try:
        return _read_function(node, around)
    except TooFar:
        return Summary(node.lineno, {UNKNOWN})


def _read_function(node: ast.FunctionDef, around: Surroundings) -> Summary:
    local = names_bound_in(node)
    reader = FunctionReader(around, local, set())
    reader.in_special = around.class_node is not None and node.name in SPECIAL
    summary = Summary(node.lineno)
    for n in walk_scope(*node.body):
        if isinstance(n, ast.Global):
            reader.declared_global |= set(n.names)
        elif isinstance(n, ast.Nonlocal):
            reader.declared_global |= set(n.names)
    for _ in range(3):
        before = _learnt(reader)
        reader.start_pass()
        reader.ends = []
        reader.st = State()
        for i, p in enumerate(parameter_names(node.args)):
            reader.st.env[p] = Val(frozenset({f"${i}"}))
        reader.arguments = [*reader.st.env.values()]
        # Reading a local that some path leaves unbound raises there as well: nothing to carry.
        for name in local - reader.st.env.keys():
            reader.st.env[name] = Val()
        reader.st.bound = frozenset(local)
        reader.dead = False
        reader.block(node.body)
        if before == _learnt(reader):
            break
    drawn = {r for r in reader.draws.words if is_outer(r)}
    drawn |= reader.draws.reseeded | reader.draws.perhaps
    changed = all_bounded([r for r in {*reader.changed, *drawn} if is_outer(r)])
    summary.changes = {changed[r] for r in reader.changed if is_outer(r)}
    summary.unsure = summary.changes - {changed[r] for r in reader.sure if is_outer(r)}
    draws.summarise(reader, summary, changed)
    shallow = {r for r in summary.changes if not reader.changed.get(r, True)}
    # What has been cut off a longer path is changed inside.
    shallow -= {short for r, short in changed.items() if short != r and r in reader.changed}
    summary.augments = reader.augmented & shallow
    summary.stores = shallow - summary.augments
    summary.fields = reader.fields.get("$0", {})
    if any(
        r.startswith("$0.") and any(is_outer(x) for x in inner)
        for r, inner in (*reader.contents.items(), *reader.keys.items())
    ):
        summary.fields = None
    summary.parameters = parameter_names(node.args)
    summary.calls = _called_parameters(node)
    summary.by_name = {(bounded(r), name) for r, name in reader.by_name}
    summary.raises = set(all_bounded(reader.raised).values())
    summary.puts = _put_into_arguments(reader)
    summary.gives = set(all_bounded(reader.given).values())
    summary.gives_arguments = {
        int(r.partition(".")[0][1:])
        for r in reader.given_itself | reader.given_perhaps
        if r[0] == "$"
    }
    summary.gives_itself = set(all_bounded(reader.given_itself).values())
    summary.gives_more = any(isinstance(n, HOLDING) for n in walk_scope(*node.body))
    if has_memo(node) and gives_kept_objects(node):
        kept = f"{around.class_node.name}.{node.name}" if around.class_node else node.name
        summary.gives.add(kept)
        summary.gives_itself.add(kept)
    summary.variable = _variable_parameters(node.args)
    for root in changed:
        head, _, rest = root.partition(".")
        owner = around.class_attribute(rest.partition(".")[0]) if head == "$0" and rest else None
        if owner is not None and changed[root] not in summary.stores | summary.augments:
            summary.changes.add(f"{owner}.{rest}")
            summary.trails[f"{owner}.{rest}"] = reader.trails.get(root, ())
    summary.trails.update((short, reader.trails.get(r, ())) for r, short in changed.items())
    summary.name = f"{around.class_node.name}.{node.name}" if around.class_node else node.name
    summary.refusals = with_files_written(node, around, reader.refusals)
    summary.shared_defaults = _shared_defaults(node.args)
    summary.rebinds = reader.declared_global & summary.changes
    summary.reads = set(all_bounded(reader.reads | _parameter_reads(node)).values())
    summary.follows = reader.follows
    summary.calls_held = set(all_bounded(reader.calls_held).values())
    known = all_bounded([root for root, _ in reader.calls_methods])
    summary.calls_methods = {(known[root], name) for root, name in reader.calls_methods}
    summary.talks, summary.locks = reader.talks, reader.locks
    return summary


def _put_into_arguments(reader: FunctionReader) -> set[tuple[str, str]]:
    """What a function puts into what it is given that outlives the call: where, and what."""
    tables = [reader.contents, reader.keys, reader.loose]
    of_attributes = [*reader.stored.items(), *reader.loose_at.items()]
    tables += [{root: held} for root, a in of_attributes for held in a.values()]
    pairs = [(root, x) for table in tables for root, held in table.items() for x in held]
    found = {(root, x) for root, x in pairs if root[0] == "$" and x[0] not in "$#"}
    where, what = all_bounded([r for r, _ in found]), all_bounded([x for _, x in found])
    return {(where[r], what[x]) for r, x in found if not _tells_nothing(reader, x)}


def _tells_nothing(reader: FunctionReader, root: str) -> bool:
    """Whether this is nothing that could be changed, or a module, class or function."""
    if root.startswith(CLASS) or (root[0] != "@" and reader.around.is_code(root.partition(".")[0])):
        return True
    return reader.around.is_atom(root)


def _held_and_changed(reader: Statements) -> tuple[object, ...]:
    """What a pass, through a loop or a function, has found objects to hold, and to be changed."""
    tables = reader.changed, reader.contents, reader.keys, reader.elements, reader.loose
    return *(table.copy() for table in tables), reader.raised


def _learnt(reader: FunctionReader) -> tuple[Any, ...]:
    """What one pass through a function leaves for the next."""
    return (
        *_held_and_changed(reader),
        {root: dict(attributes) for root, attributes in reader.stored.items()},
        {root: dict(attributes) for root, attributes in reader.loose_at.items()},
        set(reader.sure),
        set(reader.talks),
        set(reader.locks),
        draws.learnt(reader),
    )


def _called_parameters(node: ast.FunctionDef) -> set[str]:
    names = set(parameter_names(node.args))
    called = {
        n.func.id for n in walk(node) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    }
    return called & names


def _variable_parameters(args: ast.arguments) -> tuple[int, int]:
    """The positions of `*args` and `**kwargs` among the parameters; -1 where there is none."""
    names = parameter_names(args)
    return tuple(names.index(a.arg) if a is not None else -1 for a in (args.vararg, args.kwarg))  # type: ignore[return-value]


def _shared_defaults(args: ast.arguments) -> set[int]:
    names = parameter_names(args)
    pairs = defaults_by_name(args)
    return {names.index(name) for name, d in pairs if not isinstance(d, ast.Constant)}


def _parameter_reads(node: ast.FunctionDef) -> set[str]:
    """Which paths of its parameters a function reads, as `$0.attr`."""
    index = {p: i for i, p in enumerate(parameter_names(node.args))}
    found: set[str] = set()
    inner: set[ast.AST] = set()
    called = {n.func for n in walk(node) if isinstance(n, ast.Call)}
    for n in walk(node):
        if isinstance(n, ast.Attribute) and n not in inner:
            path = path_of(n)
            base: ast.AST = n
            while isinstance(base, ast.Attribute):
                inner.add(base)
                base = base.value
            inner.add(base)
            if path is not None and path.partition(".")[0] in index:
                head, _, rest = path.partition(".")
                found.add(f"${index[head]}.{rest}" + CALLED * (n in called))
    for n in walk(node):
        if isinstance(n, ast.Name) and n not in inner and n.id in index:
            found.add(f"${index[n.id]}")
    return found


def split(
    node: ast.For | ast.AsyncFor,
    chain: list[ast.AST],
    module: Module,
    around: Surroundings | None = None,
    own_streams: bool = False,
    of_atoms: frozenset[int] | None = None,
) -> Plan:
    """The Plan of one loop.

    `chain` holds the scopes around it, outermost first. `around` may carry live objects.
    `own_streams`: iterations that draw random numbers may draw each from a stream of its own.
    `of_atoms`: the items are nothing that can be changed, nor hold such a thing, and these parts of
    them may be whole numbers (-1: all).
    """
    plan = _unread(node, chain, module)
    if isinstance(node, ast.AsyncFor):
        plan.reasons = [
            Reason(
                node.lineno, "`async for` waits for an event loop; allcores runs plain `for` loops"
            )
        ]
        return plan
    around = around or Surroundings(module, chain)
    body_names = bound_names(*node.body) | set(plan.varying)
    live = _live_names(node, chain, module, body_names)
    distinct = distinct_target(node, _iterated(node), around.is_builtin)
    bound = bound_names(*node.body)
    own = (
        own_elements(node.body, distinct, bound, around.is_builtin)
        if distinct is not None
        else set()
    )
    plan.own_streams, plan.of_atoms = own_streams, of_atoms
    if own and distinct is not None:
        theirs = _unread(node, chain, module)
        theirs.own_streams, theirs.of_atoms = own_streams, of_atoms
        if _read(theirs, chain, module, Statements(around, body_names, live, own, distinct)):
            theirs.own_elements = dict.fromkeys(own, distinct.keys_of)
            return theirs
    reader = Statements(around, body_names, live)
    _read(plan, chain, module, reader)
    return plan if of_atoms is not None else _with_items(plan, reader, chain, module)


def _with_items(plan: Plan, reader: Statements, chain: list[ast.AST], module: Module) -> Plan:
    """The Plan that has workers change the items themselves, where it gains something."""
    changes = touches_items((*reader.changed, *reader.maybe_changed))
    if not (changes or reader.guards_items):
        return plan
    assert isinstance(plan.node, ast.For)
    other = _unread(plan.node, chain, module)
    other.own_streams = plan.own_streams
    again = Statements(reader.around, reader.body_names, reader.live)
    again.in_place = True
    _read(other, chain, module, again)
    gains = other.verdict == "parallel" and other.item_changes and not other.seeded
    if gains and plan.verdict == "parallel" and not (reader.heavy_commits or reader.guards_items):
        plan.alternative = other
        return plan
    if gains:
        other.otherwise = plan
        return other
    if plan.verdict != "parallel":
        plan.reasons = sorted({*plan.reasons, *other.item_refusals})
    return plan


def _unread(node: ast.For | ast.AsyncFor, chain: list[ast.AST], module: Module) -> Plan:
    functions = [n for n in chain if isinstance(n, FUNCTIONS)]
    named = [getattr(n, "name", "<lambda>") for n in chain]
    plan = Plan(module.filename, node.lineno, ".".join(named), node, module_level=not functions)
    plan.varying = target_names(node.target)
    plan.caught = _caught(node, functions[-1] if functions else module.tree)
    classes = [n for n in chain if isinstance(n, ast.ClassDef)]
    plan.class_name = classes[-1].name if classes else ""
    return plan


def _read(plan: Plan, chain: list[ast.AST], module: Module, reader: Statements) -> bool:
    """Fill a Plan; whether elements that are the iteration's own are really left alone by others."""
    node = plan.node
    assert isinstance(node, ast.For)
    reader.targets, reader.of_atoms = set(plan.varying), plan.of_atoms
    reader.numbers = _numbers_among(node.target, plan.of_atoms or frozenset())
    reader.draws.own_streams, reader.draws.unmarked = plan.own_streams, not is_marked(node)
    _refuse_early(node, chain, module, reader, reader.live)
    ending = _fixpoint(node, reader)
    for where, text in stale_looks(reader, node.body):
        reader.refuse(where, text)
    _refuse_decimal_flags(node, reader)
    _fill(plan, node, reader, ending, reader.live)
    if reader.atoms_changed:
        plan.verdict = "serial"  # it is read again, without this knowledge
    changed = any(MARK in root for root in (*reader.changed, *reader.maybe_changed))
    # Variables that are found by working an iteration again would see what it has written.
    again = plan.temporaries or plan.seeded
    return plan.verdict == "parallel" and not changed and not again and not plan.mirrors


def _numbers_among(target: ast.expr, where: frozenset[int]) -> set[str]:
    """Which targets may be whole numbers, where these parts of items may be."""
    if not where:
        return set()
    parts = target.elts if isinstance(target, (ast.Tuple, ast.List)) else []
    names = [part.id for part in parts if isinstance(part, ast.Name)]
    if not parts or len(names) < len(parts) or -1 in where:
        return set(target_names(target))
    return {name for k, name in enumerate(names) if k in where}


def _refuse_decimal_flags(node: ast.For, reader: Statements) -> None:
    """What iterations raise is brought home, but other iterations have not raised it."""
    for n in (n for statement in node.body for n in walk(statement)):
        if isinstance(n, ast.Attribute) and n.attr == "flags" and isinstance(n.value, ast.Call):
            if reader.around.dotted(path_of(n.value.func) or "") == "decimal.getcontext":
                reader.refuse(n, f"`{ast.unparse(n)}` tells what all iterations so far have raised")


GIVE_MODULES = ("modules", "import_module", "__import__")


def _refuse_modules_by_name(node: ast.For, reader: Statements) -> None:
    """What is written to a module that `sys.modules` gives is a variable that others know by name."""
    nodes = [n for statement in node.body for n in walk(statement)]
    named = {n.attr for n in nodes if isinstance(n, ast.Attribute)}
    named |= {n.id for n in nodes if isinstance(n, ast.Name)}
    if named.isdisjoint(GIVE_MODULES):
        return
    stored = [n for n in nodes if isinstance(n, ast.Attribute) and not isinstance(n.ctx, ast.Load)]
    stored += [n for n in nodes if isinstance(n, ast.Name) and n.id in ("setattr", "delattr")]  # type: ignore[misc]
    if stored:
        text = (
            "a module that is found by its name may be changed; import it, and write its name here"
        )
        reader.refuse(stored[0], text)


def _caught(node: ast.For | ast.AsyncFor, scope: ast.AST) -> bool:
    """Whether a `try`, or a `with` that swallows exceptions, stands around the loop."""
    caught: set[ast.AST] | None = getattr(scope, "_caught_loops", None)
    if caught is None:
        caught = set()
        for n in walk(scope):
            swallows = isinstance(n, (ast.Try, ast.TryStar)) or (
                isinstance(n, ast.With)
                and any("suppress" in ast.unparse(i.context_expr) for i in n.items)
            )
            if swallows:
                below = [b for s in n.body for b in walk(s)]  # type: ignore[attr-defined]
                caught |= {b for b in below if isinstance(b, (ast.For, ast.AsyncFor))}
        # Kept on the node itself: a module may hold thousands of loops.
        scope._caught_loops = caught  # type: ignore[attr-defined]
    return node in caught


def _live_names(node: ast.For, chain: list[ast.AST], module: Module, names: set[str]) -> set[str]:
    """Which of the names bound in the loop may be read when it is over."""
    functions = [n for n in chain if isinstance(n, FUNCTIONS)]
    if not functions:
        return set(names)
    declared: set[str] = set()
    below = {id(n) for stmt in node.body for n in walk(stmt)}
    read: set[str] = set()
    for n in walk(functions[-1]):
        if isinstance(n, (ast.Global, ast.Nonlocal)):
            declared |= set(n.names)
        elif isinstance(n, ast.Name):
            if n.id in LOOKS_AT_NAMES:
                return set(names)
            if id(n) not in below and not isinstance(n.ctx, ast.Store):
                read.add(n.id)
        elif isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name) and id(n) not in below:
            read.add(n.target.id)
    return names & (read | declared)


def _refuse_early(
    node: ast.For, chain: list[ast.AST], module: Module, reader: Statements, live: set[str]
) -> None:
    """Reasons that need no reading of the body."""
    _refuse_modules_by_name(node, reader)
    if in_class_body(chain):
        reader.refuse(node, "the loop stands in a class body; put it into a function")
    for t in walk(node.target):
        if isinstance(t, (ast.Attribute, ast.Subscript)):
            reader.refuse(
                node.target,
                f"the loop's target `{ast.unparse(t)}` is part of an object; use a plain name",
            )
    for where, text in looked_at_by_others(node, reader.around.dotted):
        reader.refuse(where, text)
    functions = [n for n in chain if isinstance(n, FUNCTIONS)]
    if functions:
        _refuse_shared(node, functions, reader)
        reader.declared_global |= _declared_global(functions[-1])
    else:
        for n in walk_scope(*node.body):
            if isinstance(n, ast.AnnAssign):
                shown = ast.unparse(n.target)
                reader.refuse(
                    n, f"the annotation of `{shown}` is stored by every iteration; leave it out"
                )
    for n in walk_scope(*node.body):
        if isinstance(n, ast.ImportFrom) and any(a.name == "*" for a in n.names):
            reader.refuse(n, "`import *` binds names that cannot be read beforehand")
        elif isinstance(n, ast.Global):
            reader.declared_global |= set(n.names)


def _declared_global(function: ast.AST) -> set[str]:
    assert isinstance(function, FUNCTIONS)
    body = function.body if isinstance(function.body, list) else [function.body]
    return {n for g in walk_scope(*body) if isinstance(g, ast.Global) for n in g.names}


def _refuse_shared(node: ast.For, functions: Sequence[ast.AST], reader: Statements) -> None:
    function = functions[-1]
    assert isinstance(function, FUNCTIONS)
    body = function.body if isinstance(function.body, list) else [function.body]
    inside = {id(n) for stmt in node.body for n in walk(stmt)}
    outside_functions = [
        n
        for n in walk_scope(*body)
        if isinstance(n, (*FUNCTIONS, ast.ClassDef)) and id(n) not in inside
    ]
    shared = captured_names(*outside_functions) & reader.body_names
    for name in sorted(shared):
        reader.refuse(
            node,
            f"`{name}` is shared with a function made outside the loop; give one of them another name",
        )
    for n in walk_scope(*body):
        if isinstance(n, ast.Nonlocal):
            for name in sorted(set(n.names) & reader.body_names):
                reader.refuse(
                    node,
                    f"`nonlocal {name}` is shared with another function; collect in a list instead",
                )


def _iterated(node: ast.For) -> ast.expr:
    """What is looped over: the first argument where the source says `parallel(·)`."""
    it = node.iter
    return it.args[0] if is_marked(node) and isinstance(it, ast.Call) else it


def is_marked(node: ast.For | ast.AsyncFor) -> bool:
    """Whether the loop says `parallel(·)`."""
    it = node.iter
    name = path_of(it.func) if isinstance(it, ast.Call) and it.args else None
    return name is not None and name.rpartition(".")[2] == "parallel"


def _fixpoint(node: ast.For, reader: Statements) -> State | None:
    for _ in range(MAX_PASSES):
        before = _known(reader)
        ending = _one_pass(node, reader)
        draws.settle(reader, ending)
        if _known(reader) == before:
            return ending
    reader.refuse(node, "the body is too entangled to be read")
    return ending


def _known(reader: Statements) -> tuple[object, ...]:
    return (
        *_held_and_changed(reader),
        frozenset(reader.parent),
        reader.maybe_changed,
        dict(reader.aliases),
        frozenset(reader.units),
        len(reader.serial),
        frozenset(reader.rebound_targets),
        frozenset(reader.mirrored),
        reader.leaves_by_commit,
        dict(reader.item_changes),
        len(reader.item_refusals),
    )


def _is_range(iterated: ast.expr, reader: Statements) -> bool:
    called = iterated.func if isinstance(iterated, ast.Call) else None
    if not isinstance(called, ast.Name) or called.id != "range":
        return False
    return reader.around.is_builtin("range")


def _one_pass(node: ast.For, reader: Statements) -> State | None:
    reader.start_pass()
    reader.ends = []
    reader.st = State()
    reader.dead = False
    iterated = _iterated(node)
    it = reader.eval(iterated)
    if _is_range(iterated, reader):
        reader.reads = set()  # numbers, worked out once
    reader.iterable_reads = set(reader.reads)  # type: ignore[attr-defined]
    reader.item_sources = sources_of(_iterated(node))
    reader.follow_aliases()
    changed = reader.maybe_changed.union(reader.changed)
    for root in (reader.iterable_reads & changed) - reader.looped_own:  # type: ignore[attr-defined]
        reader.refuse(
            node,
            f"the loop runs over `{root}` and changes it; loop over a copy, or write to another object",
        )
    roots = reader.element(it.val)
    item = Val(outer(roots.own) | {ITEM}, NONE, NONE, outer(roots.possible))
    if not roots.possible or reader.of_atoms is not None:
        item = Val()
    reader.reads = set()
    reader.draws.start_pass()  # the input's own draws come in order, whoever does the iterations
    reader.st.seeded = NONE
    reader.binding_targets = True
    for name in target_names(node.target):
        own = Val(frozenset({item_root(name)})) if reader.in_place and item.own else None
        reader.st.env[name] = own or reader.own_item(item)
        reader.st.bound |= {name}
    for n in walk(node.target):
        if isinstance(n, ast.Starred) and isinstance(n.value, ast.Name):
            # A new list in every iteration: it belongs to whoever makes it.
            reader.st.env[n.value.id] = Val(frozenset({reader.site(n)}), NONE, item.own, item.maybe)
            reader.rebound_targets.add(n.value.id)
    reader.binding_targets = False
    reader.block(node.body)
    ends = reader.ends if reader.dead else [*reader.ends, reader.st]
    if not ends:
        return None
    state = ends[0]
    for s in ends[1:]:
        from allcores.plan.values import merge

        merged = merge(state, s)
        assert merged is not None
        state = merged
    return state


def _fill(
    plan: Plan, node: ast.For, reader: Statements, ending: State | None, live: set[str]
) -> None:
    bound = ending.bound if ending is not None else NONE
    work_names = reader.body_names - reader.parent
    plan.parent_names = set(reader.parent)
    deleted = {
        n
        for s in node.body
        if isinstance(s, ast.Delete)
        for t in s.targets
        for n in target_names_deleted(t)
    }
    plan.deleted = {n for n in deleted & live & work_names if n not in bound}
    if not plan.module_level:
        plan.unbinds = _unbound_by(node) - reader.declared_global
        _refuse_kept_functions(node, reader, ending, live)
    plan.handler_names = {n for n in reader.handler_names & live if n not in plan.deleted}
    plan.temporaries = sorted(
        n
        for n in work_names & live - plan.deleted
        if (n not in plan.varying or n in reader.rebound_targets) and n not in reader.mirrored
    )
    plan.kept = {n for n in plan.temporaries if n not in bound and n not in plan.varying}
    values = ending.env if ending is not None else {}
    plan.workers_own = {
        n for n in plan.temporaries if any(r.endswith("/own") for r in values.get(n, Val()).own)
    }
    plan.wanted_at_home = wanted_at_home(node.body, reader.around.dotted) & {*plan.temporaries}
    if reader.leaves_by_commit:
        _check_leaving(node, plan, reader)
    plan.declared_global = reader.declared_global & reader.body_names
    plan.changed = {r: d for r, d in reader.changed.items() if is_outer(r)}
    plan.perhaps_changed = {r for r in reader.maybe_changed if is_outer(r) and r[0] != "$"}
    plan.work_reads = set(reader.reads)
    plan.bound = set(reader.body_names)
    plan.talks, plan.locks = set(reader.talks), set(reader.locks)
    plan.item_changes = {**reader.item_changes}
    plan.item_calls, plan.stores_into = set(reader.item_calls), set(reader.stores_into)
    plan.in_place = sorted({in_words(r).partition(".")[0] for r in plan.item_changes})
    plan.item_refusals = [Reason(line, text) for line, text in reader.item_refusals]
    plan.iterable_reads = reader.iterable_reads  # type: ignore[attr-defined]
    inner = names_of_inner_scopes(*node.body) - reader.outer_names
    plan.outer_reads = {
        n
        for n in read_names(*node.body)
        if n not in reader.body_names and n not in inner and not reader.around.is_builtin(n)
    }
    plan.builtins_used = set(reader.builtins_used)
    plan.lists_only = set(reader.lists_only)
    plan.leaves_by_commit, plan.can_leave = reader.leaves_by_commit, reader.can_leave
    plan.straight = reader.straight and not reader.mirrors
    plan.guards = dict(reader.guard_map)
    plan.mirrors = {
        s: [n for n in names if n not in reader.parent] for s, names in reader.mirrors.items()
    }
    for stmt, lifts in reader.steps.items():
        unit = isinstance(stmt, (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.Match))
        several = unit or _several(stmt, lifts, reader.acting)
        plan.steps[stmt] = Step(stmt, _distinct(lifts), several)
    plan.bound_late = _bound_late(node, plan)
    plan.look_at_exception = looking_at_the_exception(node.body, plan.steps, reader.around)
    _describe(plan, node, reader)
    _judge(plan, node, reader)
    if plan.verdict == "parallel":
        plan.draws = draws.own_streams(reader)
        plan.seeded = draws.seeded_streams(reader)
        plan.work_reads |= plan.draws.keys() | plan.seeded


def _bound_late(node: ast.For, plan: Plan) -> frozenset[str]:
    first = min(((s.lineno, s.col_offset) for s in plan.steps), default=(sys.maxsize, 0))
    early = {
        name
        for n in walk_scope(*node.body)
        if (getattr(n, "lineno", 0), getattr(n, "col_offset", 0)) < first
        for name in binds(n)
    }
    return frozenset(plan.temporaries) - early - {*plan.varying}


def _unbound_by(node: ast.For) -> set[str]:
    found = {n.name for n in walk_scope(*node.body) if isinstance(n, ast.ExceptHandler) and n.name}
    deletions = [n for n in walk_scope(*node.body) if isinstance(n, ast.Delete)]
    return found | {n for d in deletions for t in d.targets for n in target_names_deleted(t)}


def _refuse_kept_functions(
    node: ast.For, reader: Statements, ending: State | None, live: set[str]
) -> None:
    """A function made in the loop and used after it shares variables with the frame itself."""
    if ending is None:
        return
    shared = reader.body_names | reader.around.locals.keys()
    made = {reader.site(n): n for n in walk(node) if isinstance(n, (*FUNCTIONS, ast.GeneratorExp))}
    for name in sorted(live & ending.env.keys()):
        val = ending.env[name]
        for root in sorted(val.possible | reader.inside(val)):
            function = made.get(root)
            if function is None:
                continue
            free = (
                read_names(function)
                if isinstance(function, ast.GeneratorExp)
                else free_names(function)
            )
            if free & shared:
                reader.refuse(
                    function,
                    f"`{name}` is used after the loop, and is a function that sees the loop's own variables; make it after the loop",
                )


def target_names_deleted(target: ast.expr) -> list[str]:
    return [target.id] if isinstance(target, ast.Name) else []


def _check_leaving(node: ast.For, plan: Plan, reader: Statements) -> None:
    if node.orelse:
        reader.refuse(
            node,
            "whether to `break` depends on earlier iterations, and the loop has an `else`; use a flag instead of `else`",
        )
    if plan.temporaries:
        names = ", ".join(f"`{n}`" for n in plan.temporaries)
        reader.refuse(
            node,
            f"a `break` that depends on earlier iterations leaves {names} at its last value; put the loop into a function",
        )


def _distinct(lifts: list[ast.expr]) -> list[ast.expr]:
    out: list[ast.expr] = []
    for e in lifts:
        if e not in out:
            out.append(e)
    return out


_STEP_BY_STEP = frozenset(
    """extend extendleft update writelines sort subtract intersection_update difference_update
    symmetric_difference_update""".split()
)
"""Methods that change one thing after the other."""


def _several(stmt: ast.stmt, lifts: list[ast.expr], acting: set[ast.AST]) -> bool:
    """Whether a simple statement may have changed something before it raises.

    acting: nodes at which something is called that changes something.
    """
    sent = {n for e in lifts for n in walk(e)}
    if any(n in acting and n not in sent for n in walk(stmt)):
        return True
    if isinstance(stmt, ast.Expr) and isinstance(stmt.value, ast.Call):
        return sum(isinstance(n, ast.Call) and n not in sent for n in walk(stmt)) > 1 or (
            isinstance(stmt.value.func, ast.Attribute) and stmt.value.func.attr in _STEP_BY_STEP
        )
    if isinstance(stmt, ast.Assign):
        stored = [
            n
            for t in stmt.targets
            for n in walk(t)
            if isinstance(n, (ast.Attribute, ast.Subscript))
        ]
        several_targets = len(stmt.targets) > 1 or isinstance(
            stmt.targets[0], (ast.Tuple, ast.List)
        )
        if stored and several_targets:
            return True
    return any(isinstance(n, (ast.Call, ast.NamedExpr)) and n not in sent for n in walk(stmt))


def _describe(plan: Plan, node: ast.For, reader: Statements) -> None:
    """The parts of the Plan that are shown: fixed, work and commits."""
    changed_heads = {r.partition(".")[0] for r in plan.changed}
    names: dict[str, None] = {}
    commits = set(plan.steps)
    work: dict[str, None] = {}
    for stmt in node.body:
        for text, parts in _work_texts(stmt, commits, plan):
            work.setdefault(text)
            for n in parts:
                for m in walk(n):
                    if (
                        isinstance(m, ast.Name)
                        and m.id not in reader.body_names
                        and m.id in reader.outer_names
                    ):
                        if not reader.around.is_code(m.id) and m.id not in changed_heads:
                            names.setdefault(m.id)
    comprehension = {
        t for n in walk(node) if isinstance(n, ast.comprehension) for t in target_names(n.target)
    }
    plan.fixed = [n for n in names if n not in comprehension]
    plan.work = list(work)
    ordered = sorted(plan.steps.values(), key=lambda s: (s.node.lineno, s.node.col_offset))
    plan.commits = [Commit(s.node.lineno, show_commit(s)) for s in ordered]


def _work_texts(
    stmt: ast.stmt, commits: set[ast.stmt], plan: Plan
) -> list[tuple[str, list[ast.AST]]]:
    """The source of what a statement leaves to the workers."""
    if stmt in commits:
        lifts = plan.steps[stmt].lifts
        return [(ast.unparse(e), [e]) for e in lifts if not isinstance(e, ast.Name)]
    if isinstance(stmt, (ast.Pass, ast.Continue, ast.Global)):
        return []
    below = [n for n in walk(stmt) if isinstance(n, ast.stmt) and n is not stmt]
    if not any(n in commits for n in below):
        return [(ast.unparse(stmt), [stmt])]
    out: list[tuple[str, list[ast.AST]]] = []
    header = _header(stmt)
    if header:
        out.append(header)
    for field in ("body", "handlers", "orelse", "finalbody", "cases"):
        for child in getattr(stmt, field, []):
            inner = [child] if isinstance(child, ast.stmt) else child.body
            for s in inner:
                out += _work_texts(s, commits, plan)
    return out


def _header(stmt: ast.stmt) -> tuple[str, list[ast.AST]] | None:
    match stmt:
        case ast.If(test=test):
            return f"if {ast.unparse(test)}: ...", [test]
        case ast.While(test=test):
            return f"while {ast.unparse(test)}: ...", [test]
        case ast.For(target=target, iter=it):
            return f"for {ast.unparse(target)} in {ast.unparse(it)}: ...", [it]
        case ast.Match(subject=subject):
            return f"match {ast.unparse(subject)}: ...", [subject]
        case ast.With(items=items):
            return f"with {', '.join(ast.unparse(i) for i in items)}: ...", [
                i.context_expr for i in items
            ]
    return None


class _Dots(ast.NodeTransformer):
    def __init__(self, lifts: list[ast.expr]) -> None:
        self.lifts = {id(e) for e in lifts if not isinstance(e, ast.Name)}
        self.names = {e.id for e in lifts if isinstance(e, ast.Name)}

    def visit(self, node: ast.AST) -> ast.AST:
        if id(node) in self.lifts:
            return ast.Name("·", ast.Load())
        if isinstance(node, ast.Name) and node.id in self.names and isinstance(node.ctx, ast.Load):
            return ast.Name("·", ast.Load())
        return self.copy_visit(node)

    def copy_visit(self, node: ast.AST) -> ast.AST:
        fields: dict[str, Any] = {}
        for name, value in ast.iter_fields(node):
            if isinstance(value, list):
                fields[name] = [self.visit(v) if isinstance(v, ast.AST) else v for v in value]
            else:
                fields[name] = self.visit(value) if isinstance(value, ast.AST) else value
        new = type(node)(**fields)
        return ast.copy_location(new, node)


def show_commit(step: Step) -> str:
    """The statement with `·` for what comes from the workers; its first line where it is long."""
    shown = ast.unparse(_Dots(step.lifts).visit(step.node))
    first, _, more = shown.partition("\n")
    return f"{first} ..." if more else first


def _in_order(reader: Statements) -> Reason:
    """The reason where all that costs time is in statements that must be done in order."""
    stmt = reader.heavy_commits[0]
    shown, *more = ast.unparse(stmt).splitlines()
    shown = shown.rstrip(":") if len(shown) < 60 and not more else f"{shown[:60]}..."
    return Reason(
        stmt.lineno,
        f"the work is in `{shown}`, which changes what later iterations need, so it is done in order",
    )


def _judge(plan: Plan, node: ast.For, reader: Statements) -> None:
    serial = [Reason(line or node.lineno, text) for line, text in reader.serial]
    why = [Reason(line or node.lineno, text) for line, text in reader.why]
    if reader.in_place and touches_items((*reader.changed, *reader.maybe_changed)):
        serial.append(Reason(node.lineno, "items are changed in order as well as in work"))
    if serial or plan.item_refusals:
        plan.verdict, plan.reasons = "serial", serial
    elif not reader.any_work:
        heavy = reader.heavy_commits
        plan.verdict = "serial" if heavy and why else "nothing to gain"
        text = (
            "every iteration only does what must be done in order"
            if plan.steps
            else "the body does next to nothing"
        )
        plan.reasons = why if heavy and why else [*why, Reason(node.lineno, text)]
    elif reader.heavy_commits and not reader.heavy_work:
        plan.verdict = "serial"
        plan.reasons = why or [_in_order(reader)]
    else:
        plan.verdict = "parallel"
        plan.reasons = []
    plan.reasons = telling(sorted(set(plan.reasons)))


def telling(reasons: list[Reason]) -> list[Reason]:
    """Without what would be no reason by itself: that a list which is appended to is changed."""

    def by_itself(reason: Reason) -> bool:
        name = reason.text.split("`")[1] if "`" in reason.text else ""
        return reason.text in (READ_AND_CHANGED.format(name, name), CHANGED_HERE.format(name))

    others = {reason.line for reason in reasons if not by_itself(reason)}
    return [r for r in reasons if r.line not in others or not by_itself(r)]
