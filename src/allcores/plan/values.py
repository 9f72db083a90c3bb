"""What values are made of and what reads or changes them, while an expression is read.

For each node of an expression it is noted whether it is *tainted* (it must run in order, in the
user's process) and what it may give: a `Val` stands for the objects.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from allcores.plan import draws
from allcores.plan import effects as fx
from allcores.plan.effects import (
    ATOM,
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
from allcores.plan.names import path_of
from allcores.plan.own_elements import MARK
from allcores.plan.source import Surroundings
from allcores.plan.summaries import CALLED, Summary

READ_AND_CHANGED = "`{}` is read here, and the loop changes `{}`"
CHANGED_HERE = "`{}` outlives the iteration and is changed here"


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


class Values(ItemChanges):
    """Evaluates expressions; `split.Splitter` adds the statements."""

    def __init__(self, around: Surroundings, body_names: set[str]):
        super().__init__()
        self.around = around
        self.body_names = body_names
        self.parent: set[str] = set()
        self.changed: dict[str, bool] = {}
        self.sure: set[str] = set()
        """What is changed for sure, and not just if a value is part of it."""
        self.guessing = False
        """Whether what is noted now is not sure."""
        self.contents: dict[str, Roots] = {}
        """What has been put into objects."""
        self.functions: dict[str, Summary] = {}
        """What the functions do that are made here."""
        self.elements: dict[str, Val] = {}
        """What the elements may be of lists and the like that are written out here, or made by a
        comprehension: what is in these elements is none of them."""
        self.keys: dict[str, Roots] = {}
        """What has been put into them as keys: what is found by a key is none of these."""
        self.stored: dict[str, dict[str, Roots]] = {}
        """What attributes of objects from outside were bound to, in a function."""
        self.loose: dict[str, Roots] = {}
        """Outer objects that might be in them as well: results of calls that were put there."""
        self.loose_at: dict[str, dict[str, Roots]] = {}
        """The same of what attributes of objects from outside were bound to."""
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
        self.same_named: dict[str, bool] = {}
        """Those bound to the name of a file that is the same in every iteration."""
        self.files_written: dict[ast.Call, ast.expr] = {}
        """What changes files that other iterations may use, and is done in order: their names."""
        self.serial: dict[tuple[int, str], None] = {}
        self.why: dict[tuple[int, str], None] = {}
        self.info: dict[ast.AST, Info] = {}
        self.reads: set[str] = set()
        self.follows: set[str] = set()
        """Where the functions are found that a function calls."""
        self.calls_held: set[str] = set()
        """Of what a function is given: what holds functions that it calls."""
        self.calls_methods: set[tuple[str, str]] = set()
        """Of what a function is given: methods that it calls, by their names."""
        self.in_method = False
        """Whether what is applied now is such a method."""
        self.methods_applied: dict[tuple[int, Val], tuple[Summary, ast.AST, bool, Roots]] = {}
        """Such methods that this pass has come to, by their identities: where it did last, whether what
        one does must be done in order, and what it changes of what the iteration has made."""
        self.handed: set[ast.Attribute] = set()
        """What is given to calls."""
        self.holding: tuple[str, ...] = ()
        """What holds the functions that are being looked at just now."""
        self.talks: set[str] = set()
        """What is only told something: loggers and standard streams."""
        self.locks: set[str] = set()
        """What is a lock that is taken for a while."""
        self.outer_names: set[str] = set()
        self.builtins_used: set[str] = set()
        self.shadow: dict[str, Val] = {}
        self.guards: list[Guard] = []
        self.in_function = False
        self.arguments: list[Val] = []
        """What a function is given: what is raised in it may hold any of that."""
        self.raised: Roots = NONE
        """What else outlives the iteration and may be held by what is raised."""
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
        """What outlives the call and a function that has been read may have given."""
        self.in_results: dict[str, Roots] = {}
        """What may be in that."""
        self.acting: set[ast.AST] = set()
        """What is called there changes something, and may raise after that."""
        self.touched: list[tuple[ast.AST, str]] = []
        """What the iteration made and the statement at hand changes."""
        self.swallowing = 0
        self.own_warnings = 0
        """How many `with warnings.catch_warnings():` stand around."""
        self.managers: set[ast.AST] = set()
        """What stands in the head of a `with`."""
        self.own_output: ast.expr | None = None
        """What `print` writes to, where a `with redirect_stdout(·):` stands around and that is
        something the iteration has made."""
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

    def inside(self, val: Val, by_key: bool = False) -> Roots:
        """Everything reachable through a value, contents of what the iteration made included.

        by_key: but for its own keys.
        """
        found = set(val.inner)
        seen: set[str] = set()
        todo = val.own | val.inner
        while todo:
            seen |= todo
            new: set[str] = set()
            for root in todo:
                for held in self.held_by(root, not (by_key and root in val.own)):
                    new |= held
            found |= new
            todo = frozenset(new - seen)
        return frozenset(found)

    def held_by(self, root: str, keys: bool) -> Iterator[Roots]:
        """What has been put into an object. keys: as its keys, too."""
        if root in self.contents:
            yield self.contents[root]
        if keys and root in self.keys:
            yield self.keys[root]
        if root in self.stored:
            yield from self.stored[root].values()

    def inside_attribute(self, val: Val, attr: str) -> Roots:
        """As `inside`, without what is known to be bound to other attributes."""
        if not any(root in self.stored for root in val.own):
            return self.inside(val)
        found = set(val.inner)
        for root in val.own:
            found |= self.contents.get(root, NONE) | self.stored.get(root, {}).get(attr, NONE)
            found |= self.keys.get(root, NONE)
        return frozenset(found) | self.inside(Val(frozenset(found)))

    def perhaps_inside(self, val: Val, attr: str | None = None) -> Roots:
        """Outer objects that might be reachable through a value. attr: without what is known to be bound
        to other attributes."""
        found = val.inner_maybe
        if not self.loose and not self.loose_at:
            return found
        for root in val.own | self.inside(val):
            found |= self.loose.get(root, NONE)
            held = self.loose_at.get(root, {})
            found = found.union(*held.values()) if attr is None else found | held.get(attr, NONE)
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

    def element(self, val: Val, by_key: bool = False) -> Val:
        """Something taken out of a container. by_key: what it has for a key, and none of these."""
        if val.own and val.own <= self.elements.keys() and not val.maybe:
            return self.own_element_of(val, by_key)
        inside = self.inside(val, by_key)
        outside = outer(val.own)
        own = outside | inside | self.of_results(val, "")
        perhaps = self.perhaps_inside(val)
        return Val(own, val.maybe | perhaps, inside, perhaps)

    def own_element_of(self, val: Val, by_key: bool) -> Val:
        """The same where all that is in the containers is known one by one."""
        found = Val()
        for site in val.own:
            found = join(found, self.elements[site])
            if not by_key:
                found = found._replace(own=found.own | self.keys.get(site, NONE))
        return found._replace(inner=self.inside(found), inner_maybe=self.perhaps_inside(found))

    def add_element(self, site: str, part: Val) -> None:
        """One of the elements of what is made there."""
        self.elements[site] = join(self.elements.get(site, ATOM), part)

    def of_results(self, val: Val, rest: str) -> Roots:
        """What a part of what functions gave may be. In a loop's body a guard looks at that."""
        if not self.in_function:
            return NONE
        found: set[str] = set()
        for site in val.possible & self.results.keys():
            found |= {bounded(r + rest) for r in self.results[site]}
        for site in val.possible & self.in_results.keys():
            found |= self.in_results[site]
        return frozenset(found)

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
            self.maybe_changed |= {r for r in found if not self.changed.get(r, False)}

    # -- reading

    def read_path(self, path: str, node: ast.AST) -> bool:
        """Note that work reads this outer path; True when the loop changes it."""
        full, path = path, path.removesuffix(CALLED)
        hit = [c for c in (*self.changed, *self.maybe_changed) if overlaps(path, c)]
        hit += self.containers_of_items(path, node)
        if not hit:
            self.reads.add(full)
        for c in hit:
            shown = in_words(path), in_words(c)
            self.because(node, READ_AND_CHANGED.format(*shown))
        return bool(hit)

    def calls_path(self, node: ast.AST, path: str) -> bool:
        """Note that what is at this path is called; True when the loop may put another one there."""
        hit = [c for c in self.changed if path == c or path.startswith(c + ".")]
        if not hit and self.in_function:
            self.follows.add(path)
        for c in hit:
            shown = in_words(path), in_words(c)
            self.because(node, "`{}` is called here, and the loop changes `{}`".format(*shown))
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
        own |= self.of_results(val, rest)
        perhaps = self.perhaps_inside(val, rest.split(".")[1])
        if rest == ".__dict__":
            # To change it is to change the object.
            own |= {r for r in val.own if not is_outer(r)}
        return Val(own, val.maybe | perhaps, inside, perhaps)

    # -- changing

    def mutate(self, val: Val, node: ast.AST, receiver: ast.expr | None, what: str) -> bool:
        """Something changes this value; True when that must be done in order."""
        self.effects += 1
        self.stands_for_more(receiver)
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
            self.because(node, CHANGED_HERE.format(shown))
        elif val.maybe:
            tainted = self.guard(node, receiver, val)
        if self.in_function:
            self.perhaps_change(val, node, receiver, what)
        self.touched += [(node, r) for r in val.own if not is_outer(r)]
        return tainted

    def perhaps_change(self, val: Val, node: ast.AST, receiver: ast.expr | None, what: str) -> None:
        """In a function, what a value might be is changed, for nobody can look at it there."""
        for site in val.possible & self.results.keys():
            for root in self.results[site]:
                self.note_change(root, True)
        if what in fx.DATABASE_METHODS:
            return  # a connection
        bound_anew = isinstance(node, ast.AugAssign) and receiver is node.target
        guessing, self.guessing = self.guessing, True
        for root in outer(self.changeable(val).maybe):
            # It is a number, more often than not; what functions give, whoever hands them over knows.
            if not bound_anew or fx.RESULT in root:
                self.note_change(root, True)
        self.guessing = guessing

    def changeable(self, val: Val, rest: str = "") -> Val:
        """The same without what is known to be nothing that could be changed unseen, nor to have
        such a thing there."""
        end = f".{rest}" if rest else ""
        settled = {r for r in outer(val.own | val.maybe) if self.around.is_settled(r + end)}
        return val._replace(own=val.own - settled, maybe=val.maybe - settled)

    def stands_for_more(self, node: ast.expr | None) -> None:
        """Where the item is a number that is said to be changed, as that of an open file or the address
        of something, it is no item that nothing can change."""
        if self.guessing:
            return
        if isinstance(node, ast.Name) and node.id in self.numbers and self.is_target(node.id):
            self.atoms_changed = True

    def is_target(self, name: str) -> bool:
        """Whether the name is what the loop hands out, untouched."""
        return False

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
        if not self.guessing:
            self.sure.add(root)
        if self.in_function and root not in self.trails:
            place = f"{os.path.basename(self.around.module.filename)}:{self.line}"
            self.trails[root] = self.via or (place,)

    def guard(self, node: ast.AST, receiver: ast.expr | None, val: Val) -> bool:
        if self.only_items(val.maybe):
            self.but_items(node, val.maybe)
            return False
        if self.in_function:
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

    def e_other(self, node: ast.expr) -> Info:
        """Any expression that no method of its own is for."""
        raise NotImplementedError

    # -- contents

    def put_key(self, container: Val, key: Val) -> None:
        """A container has this key from here on."""
        self.put_inside(container, [key], self.keys)

    def put_inside(
        self,
        container: Val,
        parts: list[Val],
        into: dict[str, Roots] | None = None,
        one_by_one: bool = False,
    ) -> None:
        """A container holds these from here on. one_by_one: each is an element, and no part of one."""
        contents = self.contents if into is None else into
        roots: Roots = NONE
        perhaps: Roots = NONE
        for p in parts:
            roots |= p.own | self.inside(p)
            perhaps |= p.maybe | self.perhaps_inside(p)
        if into is None:
            for root in container.own & self.elements.keys():
                for p in parts if one_by_one else [Val(roots, perhaps)]:
                    self.add_element(root, p)
        for root in fx.shortened(container.own):
            held = contents.get(root, NONE) | (roots - {root})
            contents[root] = fx.shortened(held)
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
                loose = self.loose_at.setdefault(root, {})
                loose[attr] = fx.shortened(loose.get(attr, NONE) | perhaps)
        self.put_inside(owner._replace(own=owner.own - outside), [part])
