"""What expressions read, change and give: one pass over a statement's expressions.

`Expressions` evaluates expressions over `Val`s instead of objects. For each node it notes whether
it is *tainted* (it must run in order, in the user's process) and what it may give.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Sequence
from typing import NamedTuple

from allcores.plan import draws, implicit, talk
from allcores.plan import effects as fx
from allcores.plan.effects import (
    ATOM,
    ITEM,
    MISSING,
    NONE,
    Roots,
    Val,
    bounded,
    in_words,
    is_outer,
    join,
    outer,
    overlaps,
)
from allcores.plan.items import ItemChanges
from allcores.plan.names import BUILTINS, children, path_of, walk
from allcores.plan.own_elements import MARK
from allcores.plan.source import Surroundings
from allcores.plan.summaries import CALLED, Summary


class Info(NamedTuple):
    """What evaluating a node comes to."""

    val: Val
    tainted: bool
    heavy: bool


class Guard(NamedTuple):
    """A look that work takes at a value before it changes it."""

    kind: str
    """"own": nobody else must hold it. "immutable": it must not be changeable in place."""
    name: str
    node: ast.AST
    """What does the changing."""
    roots: Roots
    """What outlives the iteration and the value may be part of."""


class State:
    """What is known at a point of the body: names' values, and which are surely bound."""

    __slots__ = ("bound", "env", "escaped", "seeded", "used")

    def __init__(
        self,
        env: dict[str, Val] | None = None,
        bound: frozenset[str] = NONE,
        escaped: Roots = NONE,
        seeded: Roots = NONE,
        used: Roots = NONE,
    ) -> None:
        """used: parts of the item that commits have been given."""
        self.env: dict[str, Val] = {} if env is None else env
        self.bound, self.escaped, self.used = bound, escaped, used
        self.seeded = seeded
        """Random streams that the iteration has started anew."""

    def copy(self) -> State:
        return State(dict(self.env), self.bound, self.escaped, self.seeded, self.used)


def merge(a: State | None, b: State | None) -> State | None:
    """The state where two paths meet; None is a path that never arrives."""
    if a is None or b is None:
        return a or b
    env = dict(a.env)
    for name, val in b.env.items():
        env[name] = join(env[name], val) if name in env else val
    seeded, used = a.seeded & b.seeded, a.used | b.used
    return State(env, a.bound & b.bound, a.escaped | b.escaped, seeded, used)


class Expressions(ItemChanges):
    """Evaluates expressions; `split.Splitter` adds the statements."""

    def __init__(self, around: Surroundings, body_names: set[str]):
        super().__init__()
        self.around = around
        self.body_names = body_names
        self.parent: set[str] = set()
        self.changed: dict[str, bool] = {}
        self.contents: dict[str, Roots] = {}
        """What has been put into objects."""
        self.stored: dict[str, dict[str, Roots]] = {}
        """What attributes of objects from outside were bound to, in a function."""
        self.loose: dict[str, Roots] = {}
        """Outer objects that might be in them as well: results of calls that were put there."""
        self.fields: dict[str, dict[str, Val]] = {}
        """What the attributes of objects hold, of those whose constructor has been read."""
        self.aliases: dict[str, tuple[Roots, Roots]] = {}
        """What the values of names that live in the user's process may be, and may hold."""
        self.maybe_changed: Roots = NONE
        """What commits change if the values they change are part of it."""
        self.augmented: set[str] = set()
        self.refusals: list[str] = []
        """What makes every loop serial that calls the function being read."""
        self.named_by: dict[str, bool] = {}
        """Names bound to text that is put together from the loop's target."""
        self.serial: dict[tuple[int, str], None] = {}
        self.why: dict[tuple[int, str], None] = {}
        self.info: dict[ast.AST, Info] = {}
        self.reads: set[str] = set()
        self.talks: set[str] = set()
        """What is only told something: loggers and standard streams."""
        self.locks: set[str] = set()
        """What is a lock that is taken for a while."""
        self.outer_names: set[str] = set()
        self.builtins_used: set[str] = set()
        self.shadow: dict[str, Val] = {}
        self.guards: list[Guard] = []
        self.in_function = False
        self.effects = 0
        self.by_name: set[tuple[str, str]] = set()
        """Arguments, and methods called of them that change them by their name alone."""
        self.noted: frozenset[str] = NONE
        """Methods that Python calls by itself of which all that is shared has been noted."""
        self.made: dict[str, None] = {}
        """Objects made here by constructors of which is known what attributes they bind."""
        self.line = 0
        """Of the statement that is being read."""
        self.via: tuple[str, ...] = ()
        """The functions through which what is changed just now is reached, and where it is."""
        self.trails: dict[str, tuple[str, ...]] = {}
        self.in_special = False
        """Within a method that Python calls by itself. Those that it calls in turn are looked for
        with it (`implicit.TEXT` and so on), or else all of them would call one another."""
        self.results: dict[str, Roots] = {}
        """What calls of functions that have been read may have given, other than arguments."""
        self.touched: list[tuple[ast.AST, str]] = []
        """What the iteration made and the statement at hand changes."""
        self.swallowing = 0
        self.own_warnings = 0
        """How many `with warnings.catch_warnings():` stand around."""
        self.own_elements: set[str] = set()
        """Paths of which an iteration touches its own element only."""
        self.draws = draws.Draws(False)
        self.st = State()

    # -- helpers

    def refuse(self, node: ast.AST, text: str) -> None:
        """Note a reason that makes the whole loop serial."""
        self.serial.setdefault((getattr(node, "lineno", 0), text))

    def because(self, node: ast.AST, text: str) -> None:
        """Note why a statement must run in order."""
        self.why.setdefault((getattr(node, "lineno", 0), text))

    def bind(self, name: str, val: Val) -> None:
        """A name of the body has this value from here on."""
        self.st.env[name] = val
        self.st.bound |= {name}
        if name in self.parent:
            itself = outer(val.own | val.maybe) - {name}
            inside = outer(self.inside(val) | self.perhaps_inside(val)) - {name}
            known = self.aliases.get(name, (NONE, NONE))
            self.aliases[name] = known[0] | itself, known[1] | inside

    def inside(self, val: Val) -> Roots:
        """Everything reachable through a value, contents of what the iteration made included."""
        found = set(val.inner)
        todo = [*val.own, *val.inner]
        seen: set[str] = set()
        while todo:
            root = todo.pop()
            if root in seen:
                continue
            seen.add(root)
            for held in (self.contents.get(root, NONE), *self.stored.get(root, {}).values()):
                found |= held
                todo.extend(held)
        return frozenset(found)

    def inside_attribute(self, val: Val, attr: str) -> Roots:
        """As `inside`, without what is known to be bound to other attributes."""
        if not any(root in self.stored for root in val.own):
            return self.inside(val)
        found = set(val.inner)
        for root in val.own:
            found |= self.contents.get(root, NONE) | self.stored.get(root, {}).get(attr, NONE)
        return frozenset(found) | self.inside(Val(frozenset(found)))

    def perhaps_inside(self, val: Val) -> Roots:
        """Outer objects that might be reachable through a value."""
        if not self.loose:
            return val.inner_maybe
        found = val.inner_maybe
        for root in val.own | self.inside(val):
            found |= self.loose.get(root, NONE)
        return found

    def site(self, node: ast.AST) -> str:
        name = (
            f"#{getattr(node, 'lineno', 0)}.{getattr(node, 'col_offset', 0)}.{type(node).__name__}"
        )
        if name in self.st.escaped and not any(name in v.possible for v in self.st.env.values()):
            self.st.escaped -= {name}
        return name

    def fresh(self, node: ast.AST, *parts: Val, maybe: bool = False) -> Val:
        """A new object made from `parts`; maybe: perhaps one of the parts itself."""
        roots: Roots = NONE
        for p in parts:
            roots |= p.possible | self.inside(p) | self.perhaps_inside(p)
        roots = frozenset(r for r in roots)
        return Val(
            frozenset({self.site(node)}),
            outer(roots) if maybe else NONE,
            NONE,
            roots,
        )

    def element(self, val: Val) -> Val:
        """Something taken out of a container."""
        inside = self.inside(val)
        outside = outer(val.own)
        own = outside | inside
        perhaps = self.perhaps_inside(val)
        return Val(own, val.maybe | perhaps, inside, perhaps)

    def is_changed(self, root: str) -> bool:
        if root in self.changed:
            return True
        head, mark, _ = root.partition(MARK)
        if mark and head + mark in self.st.escaped:
            return True
        changed = (*self.changed, *self.maybe_changed)
        return is_outer(root) and any(overlaps(root, c) for c in changed if is_outer(c))

    def follow_aliases(self) -> None:
        """What changes one name may change what it was bound to."""
        for root, deep in self.changed.items():
            name, dot, _ = root.partition(".")
            itself, inside = self.aliases.get(name, (NONE, NONE))
            found = itself | inside if deep or dot else itself
            self.maybe_changed |= found - self.changed.keys()

    # -- reading

    def read_path(self, path: str, node: ast.AST) -> bool:
        """Note that work reads this outer path; True when the loop changes it."""
        full, path = path, path.removesuffix(CALLED)
        hit = [c for c in (*self.changed, *self.maybe_changed) if overlaps(path, c)]
        hit += self.containers_of_items(path)
        if not hit:
            self.reads.add(full)
        for c in hit:
            shown = in_words(path), in_words(c)
            self.because(node, "`{}` is read here, and the loop changes `{}`".format(*shown))
        return bool(hit)

    def reads_class(self, attrs: Sequence[str], node: ast.AST) -> bool:
        """Whether attributes of these names may be those of a class that the loop changes."""
        hit = [c for c in self.changed if "." in c and c.rpartition(".")[2] in attrs]
        for c in hit:
            if not self.in_function and self.around.is_class(c.rpartition(".")[0]):
                text = f"`.{c.rpartition('.')[2]}` may be `{in_words(c)}`, which the loop changes"
                self.because(node, text)
                return True
        return False

    def name(self, node: ast.Name, path: str) -> tuple[Val, bool]:
        """The value of a name, or of an attribute path that starts at it."""
        name = node.id
        rest = path[len(name) :]
        if name in self.shadow:
            return self.attribute(self.shadow[name], rest), False
        if name in self.body_names and not self.own(name):
            return self.imported(node, path)
        if name in self.body_names:
            if name in self.parent:
                return Val(frozenset({path})), True
            if name not in self.st.bound:
                self.parent.add(name)
                return Val(frozenset({path})), True
            val = self.st.env[name]
            roots = val.roots | self.inside(val)
            if self.own_elements:
                possible = val.possible | self.perhaps_inside(val)
                roots |= {r for r in possible if MARK in r}
            tainted = any(self.is_changed(r) for r in roots)
            if tainted:
                self.because(node, f"`{name}` may be part of something that the loop changes")
            return self.attribute(val, rest), tainted
        if self.around.is_builtin(name):
            self.builtins_used.add(name)
            return ATOM, False
        self.outer_names.add(name)
        if self.around.is_code(name):
            return self.imported(node, path)
        val = ATOM if self.around.is_constant(path) else Val(frozenset({path}))
        return val, self.read_path(path, node)

    def imported(self, node: ast.AST, path: str) -> tuple[Val, bool]:
        """The value of a path that begins with a module, class or function."""
        root = self.around.canonical(path)
        if self.around.is_value(path) or any(overlaps(root, c) for c in self.changed):
            return Val(frozenset({root})), self.read_path(root, node)
        return Val(frozenset({root})), False

    def own(self, name: str) -> bool:
        """Whether the body binds the name, and not just by one `import`."""
        return name in self.body_names and self.around.dotted(name) is None

    def held(self, val: Val) -> Val:
        """A value as it is held by an attribute."""
        return Val(val.own | self.inside(val), val.maybe | self.perhaps_inside(val))

    def field(self, val: Val, rest: str) -> Val | None:
        """What the attribute holds where every object that `val` may be is known; else None."""
        if val.maybe or not val.own or not all(r in self.fields for r in val.own):
            return None
        _, attr, *more = rest.split(".")
        found = Val()
        for root in val.own:
            part = self.fields[root].get(attr)
            if part is None:
                return None
            found = join(found, part)
        found = found._replace(inner=self.inside(found))
        return self.attribute(found, "." + ".".join(more)) if more else found

    def attribute(self, val: Val, rest: str) -> Val:
        if not rest:
            return val
        if rest.startswith(".__class__"):
            return Val(frozenset({fx.CLASS + rest.removeprefix(".__class__")}))
        # In a function, what is bound is known of objects whose constructor has been read.
        sure = not self.in_function or val.own <= self.made.keys()
        known = self.field(val, rest) if sure else None
        if known is not None:
            return known
        inside = self.inside_attribute(val, rest.split(".")[1])
        own = (
            frozenset(r + rest if r.count(".") < 4 else r for r in val.own if is_outer(r)) | inside
        )
        perhaps = self.perhaps_inside(val)
        return Val(own, val.maybe | perhaps, inside, perhaps)

    # -- changing

    def mutate(self, val: Val, node: ast.AST, receiver: ast.expr | None, what: str) -> bool:
        """Something changes this value; True when that must be done in order."""
        self.effects += 1
        outside = self.but_items(node, outer(val.own))
        tainted = False
        deep = receiver is not None and path_of(receiver) not in val.own
        for root in outside:
            self.note_change(root, deep or root not in self.plain_paths(receiver))
            tainted = True
        for root in val.own:
            if not is_outer(root) and (root in self.st.escaped or root in self.changed):
                self.change_sent(root)
                tainted = True
        if tainted:
            shown = ast.unparse(receiver) if receiver is not None else what
            self.because(node, f"`{shown}` outlives the iteration and is changed here")
        elif val.maybe:
            tainted = self.guard(node, receiver, val)
        self.touched += [(node, r) for r in val.own if not is_outer(r)]
        return tainted

    def change_sent(self, site: str) -> None:
        """What a commit was given is changed later: it lives in the user's process from the start."""
        self.changed.setdefault(site, False)
        for name, val in self.st.env.items():
            if site in val.own and name in self.body_names:
                self.parent.add(name)

    def plain_paths(self, receiver: ast.expr | None) -> set[str]:
        path = path_of(receiver) if receiver is not None else None
        return {path} if path else set()

    def note_change(self, root: str, deep: bool) -> None:
        if root.startswith(fx.CLASS) and not self.in_function:
            text = "an object's class is changed through the object; write the name of the class"
            self.serial.setdefault((0, text))
        if root.startswith(fx.PROCESS_ROOTS) and not self.in_function:
            text = f"`{in_words(root)}` is for all of this process; set it before the loop"
            self.serial.setdefault((0, text))
        self.changed[root] = self.changed.get(root, False) or deep
        if self.in_function and root not in self.trails:
            place = f"{os.path.basename(self.around.module.filename)}:{self.line}"
            self.trails[root] = self.via or (place,)

    def guard(self, node: ast.AST, receiver: ast.expr | None, val: Val) -> bool:
        if self.only_items(val.maybe):
            self.but_items(node, val.maybe)
            return False
        if self.in_function:
            for site in val.own & self.results.keys():
                for root in self.results[site]:
                    self.note_change(root, True)
            return False
        if isinstance(receiver, ast.Name) and not self.swallowing and receiver.id in self.st.bound:
            self.guards.append(Guard("own", receiver.id, node, val.maybe))
            return False
        for root in val.maybe:
            if is_outer(root):
                self.note_change(root, True)
        shown = ast.unparse(receiver) if receiver is not None else "a value"
        self.because(node, f"`{shown}` may be part of something that outlives the iteration")
        return True

    # -- expressions

    def eval(self, node: ast.expr | None) -> Info:
        if node is None:
            return Info(ATOM, False, False)
        method = getattr(self, "e_" + type(node).__name__, None)
        info: Info = method(node) if method is not None else self.e_other(node)
        old = self.info.get(node)
        if old is not None:
            info = Info(
                join(old.val, info.val), old.tainted or info.tainted, old.heavy or info.heavy
            )
        self.info[node] = info
        return info

    def eval_all(self, nodes: list[ast.expr]) -> tuple[list[Val], bool, bool]:
        infos = [self.eval(n) for n in nodes]
        return [i.val for i in infos], any(i.tainted for i in infos), any(i.heavy for i in infos)

    def e_other(self, node: ast.expr) -> Info:
        parts = [n for n in children(node) if isinstance(n, ast.expr)]
        vals, tainted, heavy = self.eval_all(parts)
        tainted |= self.implicit(node, implicit.of_node(node), parts)
        return Info(self.fresh(node, *vals), tainted, heavy)

    def implicit(
        self, node: ast.AST, names: frozenset[str], operands: Sequence[ast.expr | None]
    ) -> bool:
        """Methods that Python calls by itself may change something; True: must run in order.

        They are looked for by their names, in the classes of this module.
        """
        names &= self.around.module.special
        if not names or self.in_special:
            return False
        called = [e for e in operands if e is not None and self.may_have(e, names)]
        return bool(called) and self.special(node, names, called)

    def special(self, node: ast.AST, names: frozenset[str], operands: list[ast.expr]) -> bool:
        tainted = False
        for name in sorted(names):
            for summary in self.around.methods_named(name):
                itself = any(r.startswith("$0") for r in summary.changes)
                for e in operands if itself and name not in implicit.OF_ITSELF else ():
                    val = self.info[e].val
                    if val.possible and self.mutate(val._replace(maybe=NONE), node, e, name):
                        self.because(node, f"`{name}`{summary.place()} changes its object")
                        tainted = True
        return self.shared_effects(node, names) or tainted

    def shared_effects(self, node: ast.AST, names: frozenset[str]) -> bool:
        """Whether a method of one of these names changes what no object holds."""
        tainted = False
        names &= self.around.module.special
        if self.in_special:
            return False
        if self.in_function:
            # Once is enough: what is noted stays so.
            names -= self.noted
            self.noted |= names
        for name in sorted(names):
            for summary in self.around.methods_named(name):
                shared = [r for r in summary.changes if not r.startswith("$")]
                if fx.UNKNOWN in shared:
                    continue  # the watch is there for what such methods rarely do
                tainted |= self.reads_of(node, summary, ATOM)
                for root in shared:
                    self.note_change(root, True)
                if shared:
                    shown = ", ".join(f"`{in_words(r)}`" for r in sorted(shared))
                    self.effects += 1
                    self.because(node, f"`{name}`{summary.place()} changes {shown}")
                    tainted = True
        return tainted

    def may_have(self, node: ast.expr, names: frozenset[str]) -> bool:
        """Whether the value may be, or hold, an object of the program's with such a method."""
        known = self.info.get(node)
        if known is not None and known.val == ATOM:
            return False
        path = path_of(node)
        if path is None or path.partition(".")[0] in self.shadow:
            return True
        return self.own(path.partition(".")[0]) or self.around.may_have(path, names)

    def e_Constant(self, node: ast.Constant) -> Info:
        return Info(ATOM, False, False)

    def e_JoinedStr(self, node: ast.JoinedStr) -> Info:
        _, tainted, heavy = self.eval_all(node.values)
        return Info(ATOM, tainted, heavy)

    e_TemplateStr = e_JoinedStr

    def e_FormattedValue(self, node: ast.FormattedValue) -> Info:
        inner = self.eval(node.value)
        spec = self.eval(node.format_spec)
        tainted = self.implicit(node, implicit.of_node(node), [node.value])
        return Info(ATOM, inner.tainted or spec.tainted or tainted, inner.heavy)

    def e_Compare(self, node: ast.Compare) -> Info:
        parts = [node.left, *node.comparators]
        _, tainted, heavy = self.eval_all(parts)
        for left, op, right in zip(parts, node.ops, node.comparators, strict=False):
            for operand, names in zip((left, right), implicit.of_comparison(op), strict=True):
                tainted |= self.implicit(node, names, [operand])
        return Info(self.fresh(node), tainted, heavy)

    def e_Name(self, node: ast.Name) -> Info:
        val, tainted = self.name(node, node.id)
        return Info(val, tainted, False)

    def e_Attribute(self, node: ast.Attribute) -> Info:
        path = path_of(node)
        if path is not None:
            base: ast.expr = node
            while isinstance(base, ast.Attribute):
                base = base.value
            assert isinstance(base, ast.Name)
            val, tainted = self.name(base, path)
            tainted |= self.reads_class([node.attr], node)
            self.info.setdefault(base, Info(val, tainted, False))
            if self.around.is_computed(node.attr):
                owner = self.name(base, path.rpartition(".")[0])[0]
                tainted |= self.computed(node, owner)
            if node.attr in fx.GIVEN_MUTATORS and self.may_be_value(path.rpartition(".")[0]):
                owner = self.name(base, path.rpartition(".")[0])[0]
                tainted |= self.taken_method(node, owner)
            if node.attr in fx.DRAWS or node.attr in draws.LOOKS:
                tainted |= draws.taken(self, node, self.name(base, path.rpartition(".")[0])[0])
            return Info(val, tainted, False)
        inner = self.eval(node.value)
        tainted = inner.tainted or self.computed(node, inner.val)
        tainted |= self.reads_class([node.attr], node)
        tainted |= self.taken_method(node, inner.val)
        val = self.attribute(inner.val, "." + node.attr)
        self.reads |= {r for r in val.own if r.startswith(fx.CLASS)}
        return Info(val, tainted, inner.heavy)

    def may_be_value(self, path: str) -> bool:
        """Whether a path is, as far as can be told, no module, class or function."""
        head, _, rest = path.partition(".")
        if self.own(head) or not self.around.is_code(head):
            return True
        known = self.around.is_value(path)
        if known is not None:
            return known
        full = self.around.dotted(path)
        if full is None or f"{full}.".startswith((*fx.FRESH_MODULES, *fx.STATEFUL_MODULES)):
            return False
        # `import a.b` binds modules, `from a import b` may bind anything.
        return bool(rest) or head not in self.around.module.imported_modules

    def taken_method(self, node: ast.Attribute, owner: Val) -> bool:
        """`xs.append` taken without calling it: whoever gets it may; True: must run in order."""
        if node.attr not in fx.GIVEN_MUTATORS:
            return False
        return self.mutate(owner, node, node.value, node.attr)

    def computed(self, node: ast.Attribute, base: Val) -> bool:
        """A property of this name in the module may change the object; True: must run in order."""
        found = self.around.properties_named(node.attr)
        tainted = self.computes(node, [base], found)
        return self.shared_effects(node, implicit.ATTRIBUTES) or tainted

    def computes(self, node: ast.Attribute, given: list[Val], found: list[Summary]) -> bool:
        """Binding or reading an attribute calls one of these; True: must run in order."""
        tainted = False
        for summary in found:
            if summary.acts:
                where = f"`{node.attr}`{summary.place()}"
                tainted |= self.apply(node, summary, given, [node.value], where)
            tainted |= self.reads_of(node, summary, given[0])
        return tainted

    def e_Subscript(self, node: ast.Subscript) -> Info:
        own = self.own_element(node) if self.own_elements else None
        if own is not None:
            return own
        base, index = self.eval(node.value), self.eval(node.slice)
        called = self.implicit(node, implicit.ITEM - implicit.KEYS, [node.value])
        if self.implicit(node, implicit.KEYS, [node.slice]) or called:
            base = base._replace(tainted=True)
        return Info(
            self.element(base.val), base.tainted or index.tainted, base.heavy or index.heavy
        )

    def own_element(self, node: ast.Subscript) -> Info | None:
        """The element that is the iteration's own, before the iteration has written it."""
        path = path_of(node.value)
        root = f"{path}{MARK}"
        if path not in self.own_elements or root in self.st.escaped:
            return None
        index = self.eval(node.slice)
        known = Info(Val(frozenset({path})), False, False)
        for n in walk(node.value):
            if isinstance(n, ast.expr):
                self.info[n] = known
            if isinstance(n, ast.Name):
                self.outer_names.add(n.id)
        element = frozenset({root})
        return Info(Val(element, NONE, element), index.tainted, index.heavy)

    def e_Starred(self, node: ast.Starred) -> Info:
        inner = self.eval(node.value)
        tainted = self.implicit(node, implicit.of_node(node), [node.value])
        return Info(self.element(inner.val), inner.tainted or tainted, inner.heavy)

    def display(self, node: ast.expr, parts: list[ast.expr]) -> Info:
        vals, tainted, heavy = self.eval_all(parts)
        own: Roots = NONE
        maybe: Roots = NONE
        for v in vals:
            own |= v.own | self.inside(v)
            maybe |= v.maybe | v.inner_maybe
        return Info(Val(frozenset({self.site(node)}), NONE, own, maybe), tainted, heavy)

    def e_List(self, node: ast.List) -> Info:
        return self.display(node, node.elts)

    def e_Tuple(self, node: ast.Tuple) -> Info:
        return self.display(node, node.elts)

    def e_Set(self, node: ast.Set) -> Info:
        return self.display(node, node.elts)

    def e_Dict(self, node: ast.Dict) -> Info:
        return self.display(node, [k for k in node.keys if k is not None] + node.values)

    def either(self, node: ast.expr, parts: list[ast.expr], test: ast.expr | None) -> Info:
        head = self.eval(test)
        infos = [self.eval(p) for p in parts]
        val = infos[0].val
        for i in infos[1:]:
            val = join(val, i.val)
        every = [head, *infos]
        tests = parts[:-1] if test is None else [test]
        tainted = self.implicit(node, implicit.TRUTH, tests) or any(i.tainted for i in every)
        return Info(val, tainted, any(i.heavy for i in every))

    def e_IfExp(self, node: ast.IfExp) -> Info:
        return self.either(node, [node.body, node.orelse], node.test)

    def e_BoolOp(self, node: ast.BoolOp) -> Info:
        return self.either(node, node.values, None)

    def e_NamedExpr(self, node: ast.NamedExpr) -> Info:
        inner = self.eval(node.value)
        name = node.target.id
        self.bind(name, inner.val)
        return Info(inner.val, inner.tainted or name in self.parent, inner.heavy)

    def e_Lambda(self, node: ast.Lambda) -> Info:
        from allcores.plan.names import parameter_names

        defaults = [*node.args.defaults, *(d for d in node.args.kw_defaults if d)]
        tainted = any([self.eval(d).tainted for d in defaults])
        saved, touched = dict(self.shadow), self.touched
        given = Val(frozenset({f"{self.site(node)}/given"}))
        self.shadow.update(dict.fromkeys(parameter_names(node.args), given))
        self.touched = []
        before = len(self.draws.sites)
        body = self.eval(node.body)
        self.shadow = saved
        self.draws.makers += [(self.site(node), root) for _, root in self.draws.sites[before:]]
        if any(root in given.own for _, root in self.touched):
            text = "a function made here changes what it is given; write it as a `def` outside"
            self.refuse(node, text)
        self.touched = touched + self.touched
        val = Val(frozenset({self.site(node)}), NONE, body.val.roots, body.val.possible)
        return Info(val, body.tainted or tainted, False)

    def comprehension(
        self, node: ast.expr, gens: list[ast.comprehension], parts: list[ast.expr]
    ) -> Info:
        saved = dict(self.shadow)
        tainted, heavy = False, True
        for gen in gens:
            if gen.is_async:
                self.refuse(node, "`async` cannot run in a worker")
            it = self.eval(gen.iter)
            tainted |= it.tainted or self.implicit(gen, implicit.of_node(gen), [gen.iter])
            item = self.element(it.val)
            for n in walk(gen.target):
                if isinstance(n, ast.Name):
                    self.shadow[n.id] = item
            for test in gen.ifs:
                tainted |= self.eval(test).tainted
            tainted |= self.implicit(gen, implicit.TRUTH, gen.ifs)
        info = self.display(node, parts)
        self.shadow = saved
        return Info(info.val, tainted or info.tainted, heavy)

    def e_ListComp(self, node: ast.ListComp) -> Info:
        return self.comprehension(node, node.generators, [node.elt])

    def e_SetComp(self, node: ast.SetComp) -> Info:
        return self.comprehension(node, node.generators, [node.elt])

    def e_GeneratorExp(self, node: ast.GeneratorExp) -> Info:
        return self.comprehension(node, node.generators, [node.elt])

    def e_DictComp(self, node: ast.DictComp) -> Info:
        return self.comprehension(node, node.generators, [node.key, node.value])

    def e_Yield(self, node: ast.Yield | ast.YieldFrom) -> Info:
        self.refuse(node, "`yield` hands control away in the middle of an iteration")
        if node.value is not None:
            self.eval(node.value)
        return Info(ATOM, True, True)

    e_YieldFrom = e_Yield

    def e_Await(self, node: ast.Await) -> Info:
        self.refuse(node, "`await` cannot run in a worker")
        return Info(ATOM, True, True)

    # -- calls

    def e_Call(self, node: ast.Call) -> Info:
        info = self.plain_call(node)
        return self.callbacks(node, info) if self.given_functions(node) else info

    def given_functions(self, node: ast.Call) -> list[str]:
        """Arguments that name functions which change something: whoever gets them may call them."""
        found = []
        for arg in (*node.args, *(k.value for k in node.keywords)):
            path = path_of(arg) if isinstance(arg, (ast.Name, ast.Attribute)) else None
            if path is None or self.own(path.partition(".")[0]) or path in self.shadow:
                continue
            if self.around.is_code(path.partition(".")[0]) or self.around.live is not None:
                summary = self.around.summary(path)
                if summary is not None and (summary.acts or summary.reads):
                    found.append(path)
        return found

    def callbacks(self, node: ast.Call, info: Info) -> Info:
        tainted = info.tainted
        parts = [self.element(self.info[a].val) for a in node.args if a in self.info]
        if isinstance(node.func, ast.Attribute) and node.func.value in self.info:
            parts.append(self.element(self.info[node.func.value].val))
        everything = Val()
        for p in parts:
            everything = join(everything, p)
        for path in self.given_functions(node):
            tainted |= self.called(node, path, None, [], [everything] * 4, tainted).tainted
        return Info(info.val, tainted, info.heavy)

    def plain_call(self, node: ast.Call) -> Info:
        args: list[ast.expr] = [*node.args, *(k.value for k in node.keywords)]
        path = path_of(node.func)
        head = path.partition(".")[0] if path is not None else ""
        if path is not None and not self.own(head) and head not in self.shadow:
            if self.around.is_per_worker(path):
                func = self.eval(node.func)
                # A site of its own: calls of what it gives begin at the same place.
                own = Val(frozenset({f"{self.site(node)}/own"}))
                return Info(own, func.tainted, True)
        if isinstance(node.func, ast.Attribute):
            return self.method_call(node, node.func, args)
        if isinstance(node.func, ast.Name) and node.func.id not in self.shadow:
            return self.name_call(node, node.func.id, args)
        func = self.eval(node.func)
        vals, tainted, _ = self.eval_all(args)
        tainted |= self.called_object(node, func.val, vals)
        return Info(self.fresh(node, *vals, maybe=True), func.tainted or tainted, True)

    def name_call(self, node: ast.Call, name: str, args: list[ast.expr]) -> Info:
        spoken = talk.printed(self, node, name, args)
        if spoken is not None:
            return spoken
        self.eval(node.func)
        vals, tainted, heavy = self.eval_all(args)
        if name not in self.body_names and self.around.is_builtin(name):
            return self.builtin_call(node, name, args, vals, tainted, heavy)
        tainted |= self.info[node.func].tainted
        dotted = self.around.dotted(name)
        if dotted is not None:
            return self.function_call(node, name, dotted, args, vals, tainted)
        if name in self.body_names:
            tainted |= self.called_object(node, self.info[node.func].val, vals)
        return self.called(node, name, None, args, vals, tainted)

    def called_object(self, node: ast.Call, val: Val, vals: list[Val]) -> bool:
        """What is called may be an object of a class here that can be called, or a function that an
        object from outside holds."""
        tainted = False
        args = [*node.args, *(k.value for k in node.keywords)]
        for root in sorted(outer(val.own | val.maybe)):
            for summary in self.around.held_functions(root):
                given, exprs = _by_position(node, summary, vals, list(args))
                where = f"a function of `{in_words(root)}`{summary.place()}"
                tainted |= self.apply(node, summary, given, exprs, where)
                tainted |= self.reads_of(node, summary, ATOM)
        for summary in self.around.methods_named("__call__"):
            exprs = [node.func, *args]
            given, exprs = _by_position(node, summary, [val, *vals], exprs)
            tainted |= self.apply(node, summary, given, exprs, f"`__call__` (line {summary.line})")
        return tainted

    def called(
        self,
        node: ast.Call,
        path: str,
        receiver: Val | None,
        args: list[ast.expr],
        vals: list[Val],
        tainted: bool,
    ) -> Info:
        """A call of something that may be followed: a function or class of the user's."""
        summary = None if self.own(path.partition(".")[0]) else self.around.summary(path)
        if summary is None:
            parts = vals if receiver is None else [receiver, *vals]
            tainted |= draws.library_call(self, node, self.around.dotted(path) or "")
            return Info(self.fresh(node, *parts, maybe=True), tainted, True)
        where = f"`{path}`{summary.place()}"
        for text in summary.refusals:
            self.refuse(node, f"{where} {text}")
        given = list(vals) if receiver is None else [receiver, *vals]
        exprs: list[ast.expr | None] = [*args]
        if receiver is not None:
            exprs.insert(0, node.func.value if isinstance(node.func, ast.Attribute) else None)
        if summary.is_class:
            given.insert(0, Val(frozenset({self.site(node)})))
            exprs.insert(0, None)
        given, exprs = _by_position(node, summary, given, exprs)
        tainted |= self.apply(node, summary, given, exprs, where)
        itself = ATOM if receiver is None or summary.is_class else receiver
        tainted |= self.reads_of(node, summary, itself)
        if summary.is_class:
            return Info(self.instance(node, summary, given), tainted, True)
        returned = summary.gives_arguments
        perhaps = [v for k, v in enumerate(given) if returned is None or k in returned]
        val = self.fresh(node, *given)
        maybe = self.fresh(node, *perhaps, maybe=True).maybe
        val = val._replace(maybe=maybe | self.shared_results(summary, path, given))
        shared = frozenset(r for r in summary.gives_itself if r[0] != "$")
        if shared:
            self.results.update((site, shared) for site in val.own)
        # Line 0: a method of a built-in type.
        return Info(val, tainted, summary.line > 0)

    def shared_results(self, summary: Summary, path: str, given: list[Val]) -> Roots:
        """What a call may give that is none of its arguments and outlives it."""
        found: Roots = NONE
        for root in summary.gives:
            head = root.partition(".")[0]
            if not head.startswith("$"):
                found |= {root}
            elif int(head[1:]) in summary.shared_defaults and _missing(given, int(head[1:])):
                found |= {f"{path}.__defaults__"}
        return found

    def reads_of(self, node: ast.AST, summary: Summary, receiver: Val) -> bool:
        """Note what a call reads of what it shares and of its object; True: the loop changes it."""
        tainted = False
        for root in summary.reads:
            head, _, rest = root.partition(".")
            if rest and self.reads_class(rest.removesuffix(CALLED).split("."), node):
                tainted = True
            if root.endswith(CALLED) and rest:
                tainted |= self.calls_stored(node, root, receiver)
            if not head.startswith("$"):
                tainted |= self.read_path(root, node)
            elif head == "$0":
                for r in receiver.own:
                    if is_outer(r) and not r.startswith(ITEM):
                        tainted |= self.read_path(bounded(f"{r}.{rest}") if rest else r, node)
        return tainted

    def calls_stored(self, node: ast.AST, root: str, receiver: Val) -> bool:
        """A function that an object keeps is called; True: must be done in order."""
        head, _, rest = root.removesuffix(CALLED).partition(".")
        owners = outer(receiver.own) if head == "$0" else {head} if head[0] != "$" else NONE
        tainted = False
        for owner in sorted(owners):
            path = f"{owner}.{rest}"
            summary = self.around.stored_function(path)
            if summary is not None and (summary.acts or summary.reads):
                where = f"`{in_words(path)}`{summary.place()}"
                tainted |= self.apply(node, summary, [], [], where)
                tainted |= self.reads_of(node, summary, ATOM)
        return tainted

    def apply(
        self,
        node: ast.AST,
        summary: Summary,
        given: list[Val],
        exprs: list[ast.expr | None],
        where: str,
    ) -> bool:
        """Do what a call does to what it is given and to what it shares; True: must run in order.

        given: the arguments by position; what is missing there is left at its default.
        """
        tainted, told = talk.by_function(self, node, summary, given)
        tainted |= self.apply_by_name(node, summary, given, exprs, where)
        tainted |= draws.apply(self, node, summary, given, exprs, where)
        for root in sorted(summary.changes | told):
            head, _, rest = root.partition(".")
            if root == fx.UNKNOWN:
                return self.leads_too_far(node, where)
            self.via = summary.trail(root)
            if not head.startswith("$"):
                self.effects += 1
                self.note_change(root, True)
                self.because(node, f"{where} changes `{in_words(root)}`{self.by_way()}")
                if root in summary.rebinds and root in self.around.locals:
                    self.refuse(
                        node,
                        f"{where} rebinds `{root}` by `nonlocal`; let it return the value instead",
                    )
                tainted = True
                continue
            position = int(head[1:])
            if summary.is_class and position == 0:
                continue  # it fills in the object that it makes
            if _missing(given, position):
                if position in summary.shared_defaults:
                    text = f"{where} changes a default that all calls share{self.by_way()}"
                    self.because(node, text)
                    self.effects += 1
                    tainted = True
                continue
            at = exprs[position] if position < len(exprs) else None
            others = [val for k, val in enumerate(given) if k != position]
            self.put_inside(given[position], others)
            if rest and root not in summary.stores and given[position].own & self.made.keys():
                self.put_inside(self.attribute(given[position], "." + rest), others)
            if self.change_part(node, given[position], rest, summary, root, at):
                self.because(node, f"{where} changes what it is given{self.by_way()}")
                tainted = True
        self.via = ()
        return tainted

    def by_way(self) -> str:
        """The way to what is changed, in words; empty where it is not known."""
        return f": {' → '.join(self.via)}" if len(self.via) > 1 else ""

    def apply_by_name(
        self,
        node: ast.AST,
        summary: Summary,
        given: list[Val],
        exprs: list[ast.expr | None],
        where: str,
    ) -> bool:
        """Methods that are called of arguments, where it is known by now what these are."""
        tainted = False
        for root, name in sorted(summary.by_name):
            head, _, rest = root.partition(".")
            position = int(head[1:])
            if _missing(given, position) or (summary.is_class and position == 0):
                continue
            val = given[position]
            paths = {f"{r}.{rest}" if rest else r for r in outer(val.own)}
            if self.in_function and paths and all(r[0] == "$" for r in paths) and not val.maybe:
                self.by_name |= {(bounded(r), name) for r in paths}
                continue
            if paths and all(self.around.method_changes(r, name) is False for r in paths):
                continue
            at = exprs[position] if position < len(exprs) else None
            if self.change_part(node, val, rest, summary, root, at):
                self.because(node, f"{where} calls `{name}` of what it is given")
                tainted = True
        return tainted

    def leads_too_far(self, node: ast.AST, where: str) -> bool:
        """What is called has more code behind it than is followed."""
        self.refuse(
            node,
            f"{where} may be called, and leads to more code than can be followed to tell what it "
            "changes; call something simpler",
        )
        return True

    def change_part(
        self,
        node: ast.AST,
        val: Val,
        rest: str,
        summary: Summary,
        root: str,
        at: ast.expr | None,
    ) -> bool:
        """Something a call is given, or an attribute of it, is changed; True: must run in order."""
        if not rest:
            return self.mutate(val, node, at, "·")
        made = frozenset(r for r in val.own if not is_outer(r))
        # Recursive functions would make ever longer paths.
        paths = frozenset(f"{r}.{rest}" if r.count(".") < 3 else r for r in outer(val.own))
        if root in summary.stores and self.only_items(paths):
            self.but_items(node, paths, "bound")
            paths = NONE
        if root in summary.stores or root in summary.augments:
            part = self.attribute(val._replace(own=made), "." + rest) if made else Val()
            paths |= self.owners_paths(val._replace(own=made), rest) if made else NONE
            attr = rest.partition(".")[0]
            for site in made & self.fields.keys():
                self.fields[site].pop(attr, None)
            tainted = self.mutate(Val(made | paths, val.maybe), node, at, rest)
            if root in summary.augments and not tainted and (outer(part.own) or part.maybe):
                if self.only_items(outer(part.own | part.maybe)):
                    self.but_items(node, outer(part.own | part.maybe))
                elif self.in_function:
                    for r in outer(part.own):
                        self.note_change(r, True)
                elif isinstance(at, ast.Name) and at.id in self.st.bound and not self.swallowing:
                    roots = outer(part.own | part.maybe)
                    self.guards.append(Guard("immutable", f"{at.id}.{rest}", node, roots))
                else:
                    for r in outer(part.own | part.maybe):
                        self.note_change(r, True)
                    tainted = True
            return tainted
        part = self.attribute(val, "." + rest)
        sites = Val(made | part.own, val.maybe | part.maybe)
        # Who holds the object tells nothing of who holds what was put into it.
        return self.mutate(sites, node, at if part.maybe <= val.maybe else None, rest)

    def owners_paths(self, val: Val, rest: str) -> Roots:
        """The paths of an attribute of what an object made here holds from outside."""
        owner, _, attr = rest.rpartition(".")
        if not owner:
            return NONE
        return frozenset(f"{r}.{attr}" for r in outer(self.attribute(val, "." + owner).own))

    def instance(self, node: ast.AST, summary: Summary, given: list[Val]) -> Val:
        """The object that calling a class makes."""
        new = self.fresh(node, *given[1:])
        [site] = new.own
        if summary.fields is None:
            held: Roots = NONE
            for val in given[1:]:
                held |= val.own | self.inside(val)
            self.fields.pop(site, None)
            self.made.pop(site, None)
            return new._replace(inner=held)
        self.fields[site] = {
            attr: self.translated(val, given, site) for attr, val in summary.fields.items()
        }
        self.made[site] = None
        for val in self.fields[site].values():
            self.put_inside(new, [val])
        return new

    def translated(self, val: Val, given: list[Val], site: str) -> Val:
        """What a called function says of a value, in the caller's terms."""
        own: Roots = NONE
        maybe: Roots = NONE
        for roots, sure in ((val.own, True), (val.maybe, False)):
            for root in roots:
                head, _, rest = root.partition(".")
                if not head.startswith("$"):
                    own |= {f"{site}/part"} if not is_outer(root) else {root}
                    continue
                position = int(head[1:])
                known = given[position] if position < len(given) else ATOM
                part = self.held(self.attribute(known, "." + rest) if rest else known)
                own |= part.own if sure else NONE
                maybe |= part.maybe if sure else part.possible
        return Val(own, maybe)

    def builtin_call(
        self,
        node: ast.Call,
        name: str,
        args: list[ast.expr],
        vals: list[Val],
        tainted: bool,
        heavy: bool,
    ) -> Info:
        heavy = heavy or name not in fx.CHEAP_BUILTINS
        if self.around.live is not None and self.around.summary(name) is not None:
            return self.called(node, name, None, args, vals, tainted)  # a program's own
        tainted |= self.implicit(node, implicit.of_builtin(name), args)
        if name in fx.SERIAL_BUILTINS:
            self.refuse(node, f"`{name}(·)` {fx.SERIAL_BUILTINS[name]}")
            if name in fx.SERIAL_ANYWHERE:
                self.refusals.append(f"calls `{name}(·)`, which {fx.SERIAL_BUILTINS[name]}")
        if name == "print":
            target = next((k.value for k in node.keywords if k.arg == "file"), None)
            if target is not None:
                return Info(
                    ATOM, self.mutate(self.info[target].val, node, target, "file") or tainted, False
                )
            self.effects += 1
            self.because(node, "what is printed must come in order")
            return Info(ATOM, True, False)
        if name == "super" and self.around.depth:
            return Info(Val(frozenset({"$0"})), tainted, False)
        if name == "super" and not args:
            self.refuse(
                node,
                "`super()` without arguments only works in the method itself; write `super(Class, self)`",
            )
        if name in ("next", "setattr", "delattr") and args:
            tainted |= self.mutate(vals[0], node, args[0], name)
            return Info(self.element(vals[0]), tainted, heavy)
        if name in fx.CONSUMERS:
            # A generator expression is used up here: what is kept are its items at most.
            vals = [
                v._replace(own=NONE) if isinstance(a, ast.GeneratorExp) else v
                for a, v in zip(args, vals, strict=True)
            ]
        if name in fx.ATOM_BUILTINS and not (name == "type" and len(args) == 1):
            return Info(ATOM, tainted, heavy)
        if name in fx.ELEMENT_BUILTINS:
            if len(args) > 1 and all(not v.possible for v in vals):
                return Info(self.fresh(node), tainted, heavy)
            val = self.fresh(node, *vals, maybe=True)
            return Info(val, tainted, True)
        if name in ("map", "filter") and args and isinstance(args[0], ast.Name):
            inner = [self.element(v) for v in vals[1:]]
            info = self.called(node, args[0].id, None, args[1:], inner, tainted)
            return Info(self.fresh(node, *vals), info.tainted, True)
        if name in fx.SHALLOW_BUILTINS:
            return Info(self.fresh(node, *vals), tainted, heavy)
        if name == "getattr" and len(args) > 1:
            return self.attribute_by_name(node, args, vals, tainted, heavy)
        if name == "iter":
            return Info(self.element(vals[0]) if vals else ATOM, tainted, heavy)
        if name == "type" and len(args) == 1 and vals[0] != ATOM:
            return Info(Val(frozenset({fx.CLASS})), tainted, heavy)
        if name == "open":
            if not self.in_function and self.writes_in_order(node):
                self.effects += 1
                self.because(
                    node,
                    "what is written to one file must come in order; write to a file for each iteration",
                )
                tainted = True
            return Info(Val(frozenset({self.site(node)})), tainted, True)
        return Info(self.fresh(node, *vals, maybe=True), tainted, True)

    def attribute_by_name(
        self, node: ast.Call, args: list[ast.expr], vals: list[Val], tainted: bool, heavy: bool
    ) -> Info:
        """`getattr(a, name)`."""
        name = args[1].value if isinstance(args[1], ast.Constant) else None
        if not isinstance(name, str):
            val = self.element(vals[0])
            itself = frozenset(r + fx.ANY for r in outer(vals[0].own))
            return Info(joined([val._replace(own=val.own | itself), *vals[2:]]), tainted, heavy)
        known = ast.copy_location(ast.Attribute(args[0], name, ast.Load()), node)
        info = self.eval(known)
        return Info(joined([info.val, *vals[2:]]), info.tainted or tainted, heavy)

    def writes_in_order(self, node: ast.Call) -> bool:
        """Whether the `open(·)` may write to a file that another iteration writes to as well."""
        modes = [*node.args[1:2], *(k.value for k in node.keywords if k.arg == "mode")]
        if not modes:
            return False
        mode = modes[0].value if isinstance(modes[0], ast.Constant) else "a"
        if not isinstance(mode, str) or not set(mode) & set("wax+"):
            return False
        own = bool(node.args) and self.names_its_iteration(node.args[0])
        return bool(set(mode) & set("a+")) or not own

    def names_its_iteration(self, path: ast.expr) -> bool:
        """Whether a file's name is put together from the loop's target as it is."""
        joined = (ast.JoinedStr, ast.FormattedValue, ast.Constant, ast.Name, ast.BinOp, ast.Add)
        calls = (ast.Call, ast.Attribute, ast.Div, ast.Load)
        nodes = list(walk(path))
        if not all(isinstance(n, (*joined, *calls)) for n in nodes):
            return False
        makers = ("Path", "str", "join", "format")
        for n in nodes:
            if isinstance(n, ast.Call):
                last = n.func.attr if isinstance(n.func, ast.Attribute) else n.func
                if (last.id if isinstance(last, ast.Name) else last) not in makers:
                    return False
        names = {n.id for n in nodes if isinstance(n, ast.Name)} & self.body_names
        return any(self.is_target(n) or self.named_by.get(n, False) for n in names)

    def is_target(self, name: str) -> bool:
        """Whether the name is what the loop hands out, untouched."""
        return False

    def function_call(
        self,
        node: ast.Call,
        path: str,
        dotted: str,
        args: list[ast.expr],
        vals: list[Val],
        tainted: bool,
    ) -> Info:
        """A function of an imported module, by its name here and its full name."""
        if dotted.rpartition(".")[0] in fx.RANDOM_MODULES and dotted not in fx.GENERATOR_MAKERS:
            return draws.module_call(self, node, dotted, args, vals, tainted)
        if self.around.live is not None and self.around.summary(path) is not None:
            return self.called(node, path, None, args, vals, tainted)
        for k in node.keywords:
            if k.arg == "out" and not isinstance(k.value, ast.Constant):
                tainted |= self.mutate(self.info[k.value].val, node, k.value, "out")
        tainted |= self.implicit(node, implicit.READING, args)
        last = dotted.rpartition(".")[2]
        if dotted in fx.GENERATOR_MAKERS:
            if not args:
                self.because(
                    node,
                    "a generator without a seed differs from run to run; give it one, such as `seed + i`",
                )
            maybe: Roots = NONE
            for val in vals if last in ("default_rng", "Generator", "RandomState") else ():
                # A generator that is given is given back.
                maybe |= draws.known_streams(self, outer(val.own | val.maybe))
            return Info(Val(frozenset({self.site(node)}), maybe), tainted, False)
        if dotted in fx.WARNING_FILTERS and self.own_warnings:
            self.effects += 1
            return Info(ATOM, tainted, False)
        if dotted in fx.PROCESS_SETTINGS and not self.in_function:
            shown = ast.unparse(node.func)
            text = f"`{shown}` sets something for all of this process; do so before the loop"
            self.refuse(node, text)
        if dotted in fx.PROCESS_ACTS or dotted in fx.PROCESS_SETTINGS:
            for arg in args:
                # Which process `os.getpid()` means, for one.
                self.info[arg] = self.info[arg]._replace(tainted=True)
            self.effects += 1
            self.because(node, f"`{ast.unparse(node.func)}` changes this process")
            return Info(ATOM, True, False)
        if dotted in fx.LOGGER_MAKERS:
            return Info(Val(frozenset({fx.LOGGING})), tainted, False)
        if dotted.startswith(fx.STATEFUL_MODULES):
            self.effects += 1
            self.note_change(dotted.partition(".")[0], True)
            self.because(
                node, f"`{ast.unparse(node.func)}` works on something that all iterations share"
            )
            return Info(self.fresh(node, *vals), True, False)
        if dotted in fx.DESCRIPTOR_FUNCTIONS and args:
            tainted |= self.mutate(vals[0], node, args[0], dotted)
            return Info(ATOM, tainted, False)
        if dotted in fx.SHARED_GIVERS:
            return Info(Val(frozenset({f"@{fx.SHARED_GIVERS[dotted]}"})), tainted, False)
        changed = self.arguments_changed(node, dotted, len(node.args))
        for position in changed:
            tainted |= self.mutate(vals[position], node, args[position], dotted)
        if dotted in fx.ARGUMENT_CHANGES and changed:
            return Info(self.element(vals[changed[0]]), tainted, False)
        if dotted in fx.FILE_CHANGES and not self.in_function:
            tainted |= self.changes_files(node, dotted)
            return Info(ATOM, tainted, True)
        if dotted in fx.DEEP_COPIES:
            return Info(Val(frozenset({self.site(node)})), tainted, True)
        if dotted in fx.BORROWING_FUNCTIONS and vals:
            return Info(join(self.element(vals[0]), vals[0]), tainted, False)
        if dotted.startswith(fx.FRESH_MODULES) and not dotted.startswith("numpy.lib"):
            tainted |= draws.library_call(self, node, dotted)
            roots = [v._replace(own=NONE, inner=NONE, inner_maybe=v.possible) for v in vals]
            return Info(self.fresh(node, *roots), tainted, dotted not in fx.HARMLESS_FUNCTIONS)
        return self.called(node, path, None, args, vals, tainted)

    def arguments_changed(self, node: ast.Call, dotted: str, count: int) -> list[int]:
        """The positions of the arguments that a function changes."""
        if any(isinstance(a, ast.Starred) for a in node.args):
            return list(range(count)) if dotted in fx.ARGUMENT_CHANGES else []
        found = [k for k in fx.ARGUMENT_CHANGES.get(dotted, ()) if k < count]
        for first in fx.LAST_ARGUMENTS.get(dotted, ()):
            found += range(first, count)
        for keyword in node.keywords:
            at = fx.KEYWORDS.get(keyword.arg or "", "")
            if at.isdigit() and int(at) < count and not _is_false(keyword.value):
                found.append(int(at))
        return found

    def changes_files(self, node: ast.Call, dotted: str) -> bool:
        """Whether a function may change a file that another iteration uses as well."""
        self.effects += 1
        named = [node.args[k] for k in fx.FILE_CHANGES[dotted] if k < len(node.args)]
        if named and all(self.names_its_iteration(a) for a in named):
            return False
        text = "changes files that other iterations may use; name them after the loop's target"
        self.because(node, f"`{ast.unparse(node.func)}` {text}")
        return True

    def method_call(self, node: ast.Call, func: ast.Attribute, args: list[ast.expr]) -> Info:
        spoken = talk.method_called(self, node, func, args)
        if spoken is not None:
            return spoken
        path = path_of(func)
        if path is not None:
            head = path.partition(".")[0]
            if not self.own(head) and head not in self.shadow:
                dotted = self.around.dotted(path)
                if dotted is not None and not self.is_method(path, dotted, func.attr):
                    self.outer_names.add(head)
                    vals, tainted, _ = self.eval_all(args)
                    return self.function_call(node, path, dotted, args, vals, tainted)
                if self.around.summary(path) is not None:
                    return self.followed_method(node, func, path, args)
        base = self.eval(func.value)
        vals, tainted, heavy = self.eval_all(args)
        tainted |= base.tainted
        return self.unknown_method(node, func, base, args, vals, tainted, heavy)

    def is_method(self, path: str, dotted: str, name: str) -> bool:
        """Whether an imported path that is called is a method of some object."""
        if dotted in fx.ARGUMENT_CHANGES or dotted.startswith(fx.FRESH_MODULES):
            return False
        owner = path.rpartition(".")[0]
        known = self.around.is_value(owner)
        if known is not None:
            return known
        return name in fx.CONTAINER_CHANGES and self.may_be_value(owner)

    def followed_method(
        self, node: ast.Call, func: ast.Attribute, path: str, args: list[ast.expr]
    ) -> Info:
        owner = path.rpartition(".")[0]
        reads = set(self.reads)
        changed_why = dict(self.why)
        base = self.eval(func.value)
        # What the method reads of its object is known more exactly than "all of it".
        self.reads, self.why = reads, changed_why
        self.outer_names.add(owner.partition(".")[0])
        vals, tainted, _ = self.eval_all(args)
        summary = self.around.summary(path)
        assert summary is not None
        if func.attr in fx.MUTATORS and not self.around.is_read(owner, func.attr):
            # Whatever its source shows: an overridden `append` still appends.
            tainted |= self.mutate(base.val, node, func.value, func.attr)
            self.put_inside(base.val, vals)
        if summary.is_static:
            return self.called(node, path, None, args, vals, tainted)
        return self.called(node, path, base.val, args, vals, tainted)

    def unknown_method(
        self,
        node: ast.Call,
        func: ast.Attribute,
        base: Info,
        args: list[ast.expr],
        vals: list[Val],
        tainted: bool,
        heavy: bool,
    ) -> Info:
        name = func.attr
        if name in fx.CURSOR_METHODS and all(r.endswith("/own") for r in base.val.own or ("",)):
            # Of a worker's own connection: a cursor, which is none of what it is given.
            return Info(base.val, tainted, True)
        heavy = base.heavy or heavy or name not in fx.CHEAP_METHODS
        for k in node.keywords:
            if k.arg == "out" and not isinstance(k.value, ast.Constant):
                tainted |= self.mutate(self.info[k.value].val, node, k.value, "out")
        inplace = any(k.arg == "inplace" and not _is_false(k.value) for k in node.keywords)
        text = isinstance(func.value, (ast.Constant, ast.JoinedStr))
        if isinstance(func.value, ast.Name) and self.around.is_builtin(func.value.id) and vals:
            if name in fx.MUTATORS or name.startswith("__"):
                tainted |= self.mutate(vals[0], node, args[0], name)  # list.append(xs, x)
        for at in fx.METHOD_ARGUMENT_CHANGES.get(name, ()):
            if at < len(node.args):
                tainted |= self.mutate(vals[at], node, args[at], name)
        draws_here = name in fx.DRAWS and not inplace
        if not text and name in draws.SEEDS:
            tainted |= draws.seed(self, base.val, node, func.value, draws.quoted(func))
        elif not text and not draws_here and (inplace or self.changes_object(base.val, func)):
            tainted |= self.mutate(base.val, node, func.value, name)
            self.put_inside(base.val, vals)
        elif not text and name in draws.LOOKS:
            tainted |= draws.look(self, base.val, node, func)
        elif not text and draws_here and self.changes_object(base.val, func):
            tainted |= draws.draw(self, base.val, node, func.value, draws.quoted(func))
        elif name == "rvs":
            tainted |= draws.rvs(self, node, base.val, func.value)
        else:
            tainted |= draws.hand_over(self, node)
        if name == "extend" or name == "update":
            self.put_inside(base.val, [self.element(v) for v in vals])
        tainted |= self.implicit(node, implicit.READING, args)
        for summary in self.around.methods_named(name):
            tainted |= self.any_method(node, func, base.val, vals, summary)
        if name in fx.ATOM_METHODS:
            return Info(ATOM, tainted, heavy)
        if name in fx.DRAWS and self.around.all_streams(base.val.own):
            return Info(draws.given(self, node, name, vals, False), tainted, heavy)
        if name in fx.ELEMENT_METHODS:
            val = self.element(base.val)
            for v in vals[1:]:
                val = join(val, v)
            return Info(val, tainted, heavy)
        if name in fx.SHALLOW_METHODS or name in fx.FRESH_METHODS:
            return Info(self.fresh(node, base.val, *vals), tainted, heavy)
        if name in fx.VIEW_METHODS:
            return Info(join(base.val, self.element(base.val)), tainted, heavy)
        return Info(self.fresh(node, base.val, *vals, maybe=True), tainted, heavy)

    def changes_object(self, base: Val, func: ast.Attribute) -> bool:
        """Whether a method may change the object that it is called of."""
        name = func.attr
        known = [self.around.method_changes(r, name) for r in outer(base.own) if r != ITEM]
        if known and None not in known and not base.maybe:
            return any(known)
        if name not in fx.MUTATORS and name not in fx.DRAWS:
            return False
        if not self.in_function or name not in fx.SOFT_NAMES:
            return True
        arguments = frozenset(r for r in base.own if r[0] == "$")
        if arguments != outer(base.own) or base.maybe:
            return True
        # Whoever calls this function may know what the object is.
        self.by_name |= {(r, name) for r in arguments}
        return False

    def any_method(
        self, node: ast.Call, func: ast.Attribute, base: Val, vals: list[Val], summary: Summary
    ) -> bool:
        """A method of this name in the module may be the one that is called."""
        where = f"`{func.attr}` (line {summary.line})"
        exprs: list[ast.expr | None] = [func.value, *node.args, *(k.value for k in node.keywords)]
        given, exprs = _by_position(node, summary, [base, *vals], exprs)
        tainted = self.apply(node, summary, given, exprs, where)
        tainted |= self.reads_of(node, summary, base)
        if any(r.partition(".")[0] == "$0" for r in summary.changes):
            self.put_inside(base, vals)
        return tainted

    def put_inside(self, container: Val, parts: list[Val]) -> None:
        roots: Roots = NONE
        perhaps: Roots = NONE
        for p in parts:
            roots |= p.own | self.inside(p)
            perhaps |= p.maybe | self.perhaps_inside(p)
        for root in fx.shortened(container.own):
            held = self.contents.get(root, NONE) | (roots - {root})
            self.contents[root] = fx.shortened(held)
            if perhaps:
                self.loose[root] = fx.shortened(self.loose.get(root, NONE) | outer(perhaps))

    def put_as(self, owner: Val, attr: str, part: Val) -> None:
        """An attribute is bound to a value."""
        outside = outer(owner.own) if self.in_function else NONE
        for root in fx.shortened(outside):
            attributes = self.stored.setdefault(root, {})
            held = attributes.get(attr, NONE) | part.own | self.inside(part)
            attributes[attr] = fx.shortened(held - {root})
            perhaps = outer(part.maybe | self.perhaps_inside(part))
            if perhaps:
                self.loose[root] = fx.shortened(self.loose.get(root, NONE) | perhaps)
        self.put_inside(owner._replace(own=owner.own - outside), [part])

    def effect_call(self, node: ast.Call) -> Info:
        """A call whose value nobody uses: it is there for what it does."""
        before = self.effects
        info = self.eval(node)
        if self.effects > before or info.tainted:
            return info
        func = node.func
        path = path_of(func)
        head = path.partition(".")[0] if path else ""
        known = path is not None and not self.own(head) and head not in self.shadow
        if (
            known
            and path is not None
            and (
                self.around.summary(path) is not None
                or self.around.dotted(path) in fx.HARMLESS_FUNCTIONS
                or (self.around.dotted(path) or "").startswith("subprocess.")
            )
        ):
            return info
        dotted = self.around.dotted(path) if known and path is not None else None
        if isinstance(func, ast.Attribute) and (
            dotted is None or self.is_method(path or "", dotted, func.attr)
        ):
            base = self.info.get(func.value) or self.eval(func.value)
            if self.own_method(func) or self.leaves_object(base.val, func.attr):
                return info
            tainted = self.mutate(base.val, node, func.value, func.attr)
            vals = [self.info[a].val for a in node.args if a in self.info]
            self.put_inside(base.val, vals)
            return Info(info.val, tainted, info.heavy)
        if known and path is not None and self.around.is_builtin(head):
            return info
        self.effects += 1
        self.because(
            node,
            f"`{ast.unparse(func)}(·)` is called for what it does, and that cannot be seen from here",
        )
        return Info(info.val, True, info.heavy)

    def leaves_object(self, base: Val, name: str) -> bool:
        """Whether a method is known not to change its object, or somebody who calls will know."""
        outside = outer(base.own)
        if base.maybe or not outside:
            return False
        if self.in_function and all((r, name) in self.by_name for r in outside):
            return True
        paths = outside - {ITEM}
        return bool(paths) and all(self.around.method_changes(r, name) is False for r in paths)

    def own_method(self, func: ast.Attribute) -> bool:
        """Whether a method calls another one of its object that has been read."""
        itself = isinstance(func.value, ast.Name) and func.value.id == self.around.self_name()
        return itself and bool(self.around.methods_named(func.attr))


def _by_position(
    node: ast.Call, summary: Summary, given: list[Val], exprs: list[ast.expr | None]
) -> tuple[list[Val], list[ast.expr | None]]:
    """Arguments in the order of the parameters, where the call's form tells."""
    starred = any(isinstance(a, ast.Starred) for a in node.args)
    star, double = summary.variable
    if not starred and not node.keywords and (star < 0 or len(given) <= star):
        return given, exprs
    names = summary.parameters
    count = len(given) - len(node.keywords)
    keywords = {k.arg: i for i, k in enumerate(node.keywords)}
    if starred or None in keywords or not names or len(exprs) < len(given):
        # Any of them may be any of the parameters.
        every = joined(given)
        return [every] * max(len(given), len(names)), [None] * max(len(given), len(names))
    end = star if star >= 0 else count
    placed, at = list(given[: min(count, end)]), list(exprs[: min(count, end)])
    for k, name in list(enumerate(names))[len(placed) :]:
        i = keywords.get(name)
        if k == star:
            placed.append(joined(given[star:count]))
        elif k == double:
            placed.append(joined([given[count + i] for n, i in keywords.items() if n not in names]))
        else:
            placed.append(MISSING if i is None else given[count + i])
        at.append(None if i is None else exprs[count + i])
    return placed, at


def joined(vals: Sequence[Val]) -> Val:
    """Any of these values."""
    every = Val()
    for val in vals:
        every = join(every, val)
    return every


def _missing(given: list[Val], position: int) -> bool:
    """Whether an argument is left at its default."""
    return position >= len(given) or given[position] is MISSING


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


__all__ = ["BUILTINS", "ITEM", "Expressions", "Info", "State", "merge"]
