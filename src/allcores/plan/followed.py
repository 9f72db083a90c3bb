"""What a call of a function that has been read comes to, by its summary."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from itertools import takewhile

from allcores.plan import draws, results, talk
from allcores.plan import effects as fx
from allcores.plan.effects import (
    ATOM,
    ITEM,
    MISSING,
    NONE,
    Roots,
    Val,
    bounded,
    comes_from,
    in_words,
    is_outer,
    join,
    outer,
)
from allcores.plan.summaries import CALLED, Summary
from allcores.plan.values import Guard, Info, Values

MOST_SOUGHT = 10_000
"""So often methods of arguments are looked for in a reading, some 0.3 s. In programs where all methods
call each other by the thousand, the watch has to see what more of them change."""


class Followed(Values):
    """Applies the summaries of functions to the values that they are given."""

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
            new = not self.own(path.partition(".")[0]) and self.around.is_standard_class(path)
            return Info(self.fresh(node, *parts, maybe=not new), tainted, True)
        where = f"`{path}`{summary.place()}"
        given = list(vals) if receiver is None else [receiver, *vals]
        exprs: list[ast.expr | None] = [*args]
        if receiver is not None:
            exprs.insert(0, node.func.value if isinstance(node.func, ast.Attribute) else None)
        if summary.is_class:
            given.insert(0, Val(frozenset({self.site(node)})))
            exprs.insert(0, None)
        given, exprs = by_position(node, summary, given, exprs)
        tainted |= self.calls_path(node, self.around.canonical(path))
        tainted |= self.apply(node, summary, given, exprs, where)
        itself = ATOM if receiver is None or summary.is_class else receiver
        tainted |= self.reads_of(node, summary, itself)
        if summary.is_class:
            # `__new__` may give another object.
            made = self.with_given(node, self.instance(node, summary, given), [summary])
            return Info(made, tainted, True)
        val = self.result(node, path, summary, given)
        # Line 0: a method of a built-in type.
        return Info(val, tainted, summary.line > 0)

    def result(self, node: ast.Call, path: str, summary: Summary, given: list[Val]) -> Val:
        """What a call of a function gives that has been read."""
        val = self.made_of(node, summary, given)
        val = val._replace(maybe=val.maybe | self.shared_results(summary, path, given))
        for known, roots in (
            (self.results, summary.gives_itself),
            (self.in_results, summary.gives - summary.gives_itself),
        ):
            shared = self.given_back(roots, given)
            if shared:
                known.update((site, shared) for site in val.own)
        return val

    def made_of(self, node: ast.Call, summary: Summary, given: list[Val]) -> Val:
        """What a call gives that is made of its arguments, or one of them."""
        returned = summary.gives_arguments
        if returned is None or summary.gives_more:
            perhaps = [v for k, v in enumerate(given) if returned is None or k in returned]
            maybe = self.fresh(node, *perhaps, maybe=True).maybe
            return self.fresh(node, *given)._replace(maybe=maybe)
        holds, maybe = NONE, NONE
        for root in summary.gives:
            part = self.part_given(root, given)
            holds |= part
            if root[0] == "$" and int(root.partition(".")[0][1:]) in returned:
                maybe |= outer(part)
        return Val(frozenset({self.site(node)}), maybe, NONE, holds)

    def with_given(
        self, node: ast.AST, val: Val, called: Sequence[Summary], owner: Val = ATOM
    ) -> Val:
        """A value that one of these methods may have given, which Python calls by itself or which
        is one among others of its name: then it may be something shared. owner: their object."""
        every = {r for summary in called for r in summary.gives}
        shared = {r for r in every if r[0] != "$" and not self.around.is_atom(r)}
        for root in every:
            head, _, rest = root.partition(".")
            if head == "$0" and results.is_of_call(rest):
                val = join(val, Val(maybe=results.given_by(self, owner, rest)))
        if not shared:
            return val
        itself = frozenset(r for s in called for r in s.gives_itself) & shared
        inside = frozenset(shared) - itself
        if outer(val.own):
            return val._replace(own=val.own | itself, inner=val.inner | inside)
        site = self.site(node)
        self.results[site] = self.results.get(site, NONE) | itself
        self.in_results[site] = self.in_results.get(site, NONE) | inside
        maybe, inner_maybe = val.maybe | itself, val.inner_maybe | shared
        return Val(val.own | {site}, maybe, val.inner, inner_maybe)

    def part_given(self, root: str, given: list[Val]) -> Roots:
        """All that a root of a called function may be, in the caller's terms, and what is in that."""
        head, _, rest = root.partition(".")
        if head[0] != "$":
            return results.at_name(self, root)
        if _missing(given, int(head[1:])):
            return NONE
        val = given[int(head[1:])]
        if results.is_of_call(rest):
            return results.given_by(self, val, rest)
        inside = val.inner | val.inner_maybe | self.inside(val) | self.perhaps_inside(val)
        itself = val.own | val.maybe
        # What a property gives may be any part of the object.
        stored = takewhile(lambda attr: not self.around.is_computed(attr), rest.split("."))
        path = ".".join(stored)
        if not rest:
            return itself | inside
        # What a class binds is no part of the object.
        parts = {bounded(f"{r}.{known}") for r in outer(itself) for known in {path, rest} if known}
        made = itself if not path else {r for r in itself if not is_outer(r)}
        return frozenset(made | {r for r in parts if not self.around.is_atom(r)}) | inside

    def given_back(self, roots: set[str], given: list[Val]) -> Roots:
        """What outlives this call of what a function gives; `$0` is its first argument."""
        found: set[str] = set()
        for root in roots:
            head, dot, rest = root.partition(".")
            if head[0] != "$":
                found |= results.at_name(self, root)
            elif int(head[1:]) >= len(given):
                continue
            elif results.is_of_call(rest):
                found |= results.given_by(self, given[int(head[1:])], rest)
            else:
                found |= {bounded(r + dot + rest) for r in outer(given[int(head[1:])].own)}
        return frozenset(found)

    def shared_results(self, summary: Summary, path: str, given: list[Val]) -> Roots:
        """What a call may give that is none of its arguments and outlives it."""
        found: Roots = NONE
        for root in summary.gives:
            head = root.partition(".")[0]
            if not head.startswith("$"):
                found |= results.at_name(self, root)
            elif int(head[1:]) in summary.shared_defaults and _missing(given, int(head[1:])):
                found |= {f"{path}.__defaults__", f"{path}.__kwdefaults__"}
        return found

    def reads_of(self, node: ast.AST, summary: Summary, receiver: Val) -> bool:
        """Note what a call reads of what it shares and of its object; True: the loop changes it."""
        tainted = False
        for root in summary.follows:
            tainted |= self.calls_path(node, root)
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

    def apply_held(self, node: ast.AST, summary: Summary, given: list[Val]) -> bool:
        """Do what the functions do that a function calls which it is given in something."""
        tainted = False
        holders: set[str] = set()
        for root in summary.calls_held:
            head, dot, rest = root.partition(".")
            if head[0] != "$":
                holders.add(root)
            elif not _missing(given, int(head[1:])):
                owners = comes_from(given[int(head[1:])])
                holders |= {bounded(r + dot + rest) for r in owners}
        every = joined(given)
        for holder in sorted(holders - {*self.holding}):
            if self.in_function and holder[0] == "$":
                self.calls_held.add(holder)
                continue
            self.holding += (holder,)
            for held in self.around.held_functions(holder):
                where = f"a function of `{in_words(holder)}`{held.place()}"
                tainted |= self.apply(node, held, [every] * 4, [], where)
                tainted |= self.reads_of(node, held, ATOM)
            self.holding = self.holding[:-1]
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
        for text in summary.refusals:
            self.refuse(node, f"{where} {text}")
            self.refusals.append(text)
        if summary.acts:
            self.acting.add(node)
        tainted, told = talk.by_function(self, node, summary, given)
        tainted |= self.apply_by_name(node, summary, given, exprs, where)
        tainted |= draws.apply(self, node, summary, given, exprs, where)
        tainted |= self.apply_held(node, summary, given)
        tainted |= self.apply_methods(node, summary, given)
        self.apply_puts(summary, given)
        self.raised |= summary.raises
        for root in sorted(summary.changes | told):
            head, _, rest = root.partition(".")
            if root == fx.UNKNOWN:
                return self.leads_too_far(node, where)
            self.via = summary.trail(root)
            if results.is_of_call(rest) and head[0] != "$":
                tainted |= self.change_result(node, results.at_name(self, root), where)
                continue
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
                kept, by_name = (f"{summary.name}.__{kind}defaults__" for kind in ("", "kw"))
                settled = self.around.is_settled(kept) and self.around.holds_settled(by_name)
                if position in summary.shared_defaults and not settled:
                    if self.in_function:
                        self.note_change(kept, True)
                    text = f"{where} changes a default that all calls share{self.by_way()}"
                    self.because(node, text)
                    self.effects += 1
                    tainted = True
                continue
            val = given[position]
            if results.is_of_call(rest):
                given_to = results.given_by(self, val, rest)
                tainted |= self.change_result(node, given_to, where)
                continue
            guessing = self.guessing
            if root in summary.unsure:
                val = self.changeable(val, rest)
                if not val.possible:
                    continue
                self.guessing = True
            at = exprs[position] if position < len(exprs) else None
            others = [val for k, val in enumerate(given) if k != position]
            self.put_inside(given[position], others)
            if rest and root not in summary.stores and given[position].own & self.made.keys():
                self.put_inside(self.attribute(given[position], "." + rest), others)
            if self.change_part(node, val, rest, summary, root, at):
                self.because(node, f"{where} changes what it is given{self.by_way()}")
                tainted = True
            self.guessing = guessing
        self.via = ()
        return tainted

    def change_result(self, node: ast.AST, roots: Roots, where: str) -> bool:
        """What functions give is changed by the one that calls them; True: must run in order."""
        if not roots:
            return False
        guessing, self.guessing = self.guessing, True
        tainted = self.mutate(Val(roots), node, None, "·")
        self.guessing = guessing
        if tainted:
            self.because(node, f"{where} changes what it is given{self.by_way()}")
        return tainted

    def apply_puts(self, summary: Summary, given: list[Val]) -> None:
        """What a call is given holds from here on what the function puts into it."""
        for where, what in summary.puts:
            at = _given_at(where, given)
            if at is None:
                continue
            (val, rest), part = at, Val(frozenset({what}))
            self.put_inside(val, [part])
            if rest and val.own & self.made.keys():
                self.put_inside(self.attribute(val, f".{rest}"), [part])

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
            found = _given_at(root, given, summary.is_class)
            if found is None:
                continue
            val, rest = found
            paths = {f"{r}.{rest}" if rest else r for r in outer(val.own)}
            if self.in_function and paths and all(r[0] == "$" for r in paths) and not val.maybe:
                self.by_name |= {(bounded(r), name) for r in paths}
                continue
            if paths and all(self.around.method_changes(r, name) is False for r in paths):
                continue
            position = int(root.partition(".")[0][1:]) if root[0] == "$" else len(exprs)
            at = exprs[position] if position < len(exprs) else None
            if self.change_part(node, val, rest, summary, root, at):
                self.because(node, f"{where} calls `{name}` of what it is given")
                tainted = True
        return tainted

    def methods_elsewhere(self, val: Val, name: str) -> list[Summary]:
        """What methods of this name do that the classes of other files have of what a value may be or
        be a part of. In a function, whoever calls it knows what its arguments are."""
        found: dict[int, Summary] = {}
        if self.around.live is None:
            return []
        for root in sorted(comes_from(val) - {ITEM}):
            if root[0] == "$":
                if self.in_function:
                    self.calls_methods.add((root, name))
                continue
            found.update((id(s), s) for s in self.around.methods_within(root, name))
        return list(found.values())

    def apply_methods(self, node: ast.AST, summary: Summary, given: list[Val]) -> bool:
        """Do what the methods do that a function calls of its arguments, where it is known by now what
        these are; True: must run in order."""
        tainted, reading = False, self.around.reading
        for root, name in sorted(summary.calls_methods):
            reading.methods_sought += 1
            if reading.methods_sought > MOST_SOUGHT:
                break
            found = _given_at(root, given, summary.is_class)
            if found is None:
                continue
            val, rest = found
            part = self.attribute(val, f".{rest}") if rest else val
            # Methods that call each other would come to ever other values.
            owners = [part]
            if self.in_method:
                owners = [Val(frozenset({r})) for r in sorted(comes_from(part) - {ITEM})]
            for owner in owners:
                for method in self.methods_elsewhere(owner, name):
                    tainted |= self.apply_method(node, method, name, owner, joined(given))
        return tainted

    def apply_method(
        self, node: ast.AST, method: Summary, name: str, owner: Val, given: Val
    ) -> bool:
        """Do what a method does that is given any of some values, once in a pass."""
        key, where = (id(method), owner), f"`{name}`{method.place()}"
        if key in self.methods_applied:
            _, at, tainted, touched = self.methods_applied[key]
            if at is not node:
                self.methods_applied[key] = method, node, tainted, touched
                self.touched += [(node, root) for root in touched]
                self.effects += tainted or bool(touched)
                if tainted:
                    self.because(node, f"{where} is called here")
            return tainted
        self.methods_applied[key] = method, node, False, NONE
        before, outermost = len(self.touched), self.in_method
        self.in_method = True
        others = [given] * len(method.parameters)
        first = others if method.is_static else [owner, *others[1:]]
        tainted = self.apply(node, method, first, [None] * len(first), where)
        tainted |= self.reads_of(node, method, owner)
        self.in_method = outermost
        touched = frozenset(root for _, root in self.touched[before:])
        self.methods_applied[key] = method, node, tainted, touched
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


def by_position(
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


def _given_at(root: str, given: list[Val], is_class: bool = False) -> tuple[Val, str] | None:
    """The value that a root of a called function begins with, and the path from there; None: an
    argument that is left out, or the object that a class makes."""
    head, _, rest = root.partition(".")
    if head[0] != "$":
        return Val(frozenset({root})), ""
    position = int(head[1:])
    if _missing(given, position) or (is_class and position == 0):
        return None
    return given[position], rest


def _missing(given: list[Val], position: int) -> bool:
    """Whether an argument is left at its default."""
    return position >= len(given) or given[position] is MISSING
