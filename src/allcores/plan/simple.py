"""Blocks, and simple statements: which are work and which are commits."""

from __future__ import annotations

import ast

from allcores.plan import draws, results, same_files
from allcores.plan import effects as fx
from allcores.plan.effects import ATOM, NONE, Roots, Val, is_item, is_outer, join, outer
from allcores.plan.expressions import Expressions
from allcores.plan.implicit import (
    DELETING,
    MAKING_CLASSES,
    STORING,
    STORING_ITEM,
    TRUTH,
    in_place,
    of_node,
)
from allcores.plan.items import stored_into, touches_items
from allcores.plan.lifting import eager, pick
from allcores.plan.names import (
    EAGER_BUILTINS,
    FUNCTIONS,
    binds,
    bound_names,
    children,
    defaults_by_name,
    free_names,
    path_of,
    read_names,
    target_names,
    walk,
)
from allcores.plan.own_elements import MARK, Distinct
from allcores.plan.source import Surroundings
from allcores.plan.summaries import Summary
from allcores.plan.values import CHANGED_HERE, Guard, Info, State, merge

EAGER = EAGER_BUILTINS | frozenset("bytes bytearray deque Counter".split())
"""What uses a generator up at once."""


class LoopFrame:
    """The states that leave an inner loop's body by `break` and `continue`."""

    def __init__(self, node: ast.stmt | None, in_unit: bool) -> None:
        self.node, self.in_unit = node, in_unit
        self.breaks: State | None = None
        self.continues: State | None = None


class Simple(Expressions):
    """One pass over a body. Sets `steps` (commits and their lifts) for the statements seen."""

    def __init__(
        self,
        around: Surroundings,
        body_names: set[str],
        live: set[str],
        own: set[str] | None = None,
        distinct: Distinct | None = None,
    ) -> None:
        """own: paths of which an iteration touches its own element only, the one at `distinct`."""
        super().__init__(around, body_names)
        self.own_elements = own or set()
        self.looped_own = self.own_elements & {distinct.container} if distinct else set()
        self.live = live
        self.units: set[ast.stmt] = set()
        self.targets: set[str] = set()
        self.mirrored: set[str] = set()
        """Names bound after a jump that a commit decides about: each binding is recorded."""
        self.rebound_targets: set[str] = set()
        self.declared_global: set[str] = set()
        self.lists_only: set[str] = set()
        self.leaves_by_commit = self.can_leave = False
        self.start_pass()

    def start_pass(self) -> None:
        self.info = {}
        self.methods_applied = {}
        self.steps: dict[ast.stmt, list[ast.expr]] = {}
        self.order: list[ast.stmt] = []
        self.mirrors: dict[ast.stmt, list[str]] = {}
        self.guard_map: dict[ast.stmt, list[tuple[str, str]]] = {}
        self.handler_names: set[str] = set()
        self.heavy_work = self.any_work = False
        self.heavy_commits: list[ast.stmt] = []
        self.depth = 0
        self.unit_depth = 0
        self.straight = True
        self.after_jump = False
        self.frames: list[LoopFrame] = []
        self.catching: list[list[State]] = []
        self.in_try: list[list[ast.stmt]] = []
        self.dead = False
        self.reads = set()
        self.noted = NONE
        self.talks, self.locks = set(), set()
        self.why = {}
        self.draws.start_pass()

    # -- blocks

    def block(self, body: list[ast.stmt]) -> None:
        for node in body:
            if self.dead:
                return
            self.statement(node)
            for states in self.catching:
                if not self.dead:
                    states.append(self.st.copy())

    def nested(self, body: list[ast.stmt]) -> State | None:
        """Run a block that may not run at all; gives the state at its end (None: never there)."""
        self.depth += 1
        self.block(body)
        self.depth -= 1
        out = None if self.dead else self.st
        self.dead = False
        return out

    def arrive(self, state: State | None) -> None:
        self.dead = state is None
        self.st = state if state is not None else State()

    def statement(self, node: ast.stmt) -> None:
        self.guards = []
        self.touched = []
        self.line = node.lineno
        if self.after_jump and not self.in_function and _header_names(node) & self.live:
            self.units.add(node)
        method = getattr(self, "s_" + type(node).__name__, None)
        if method is None:
            self.refuse(node, f"`{type(node).__name__.lower()}` statements cannot be read")
            return
        method(node)

    # -- work or commit

    def settle(self, node: ast.stmt, tainted: bool, heavy: bool, exprs: list[ast.expr]) -> bool:
        """Decide about a simple statement; True when it is a commit."""
        names = bound_names(node)
        guards, self.guards = self.guards, []
        if self.in_function:
            return False
        if not tainted and names & self.parent:
            tainted = True
        if tainted or self.unit_depth:
            for at, site in self.touched:
                known = self.info.get(at)
                # A part that is lifted out of a commit changes it in the worker.
                if self.unit_depth or known is None or known.tainted:
                    self.change_sent(site)
        if self.unit_depth:
            self.parent |= names
            self.done_in_parent(guards)
            return True
        if not tainted:
            self.note_work(node, heavy, names)
            self.guarded(node, guards)
            return False
        self.parent |= names
        self.commit(node, exprs)
        lifted = {n for lift in self.steps[node] for n in walk(lift)}
        self.guarded(node, [g for g in guards if g.node in lifted])
        self.done_in_parent([g for g in guards if g.node not in lifted])
        return True

    def guarded(self, node: ast.stmt, guards: list[Guard]) -> None:
        """The statement's work looks at these first."""
        if guards:
            self.guard_map[node] = [(g.kind, g.name) for g in guards]
            self.guards_items |= touches_items(root for g in guards for root in g.roots)

    def done_in_parent(self, guards: list[Guard]) -> None:
        """What might be changed is changed in order, and so is known to be changed by the loop."""
        for guard in guards:
            for root in outer(guard.roots):
                self.note_change(root, True)

    def note_work(self, node: ast.stmt, heavy: bool, names: set[str]) -> None:
        if self.in_place and isinstance(node, ast.AugAssign):
            self.any_work = True  # of an array it is
        if not isinstance(node, (ast.Pass, ast.Continue, ast.Break, ast.Global)):
            self.any_work = (
                self.any_work
                or heavy
                or any(isinstance(n, (ast.BinOp, ast.Call, ast.Compare)) for n in walk(node))
            )
        self.heavy_work |= heavy
        if self.after_jump:
            self.mirrored |= names & self.live
        if names & self.mirrored:
            wanted = sorted(n for n in names & self.mirrored if n not in self.parent)
            for n in wanted:
                val = self.st.env.get(n, ATOM)
                if n in self.targets or any(is_outer(r) for r in val.roots):
                    self.parent.add(n)
                self.st.escaped |= frozenset(r for r in val.own if not is_outer(r))
            if wanted:
                self.mirrors[node] = wanted
                self.steps_changed()

    def steps_changed(self) -> None:
        if self.depth:
            self.straight = False

    def commit(self, node: ast.stmt, exprs: list[ast.expr]) -> None:
        if self.depth:
            self.straight = False
        for tries in self.in_try:
            tries.append(node)
        lifts: list[ast.expr] = []
        spoken: list[ast.Call] = []
        for e in exprs:
            lifts += self.lifts_of(e, spoken)
        taken = {n for lift in lifts for n in walk(lift)}
        self.leftovers(node, taken, lifts)
        self.use_items(node, taken, lifts)
        for lift in lifts:
            known = self.info.get(lift)
            if known is not None:
                self.st.escaped |= frozenset(
                    r for r in known.val.own | self.inside(known.val) if not is_outer(r)
                )
                self.heavy_work |= known.heavy
            self.any_work = self.any_work or not isinstance(lift, ast.Name)
        for n in walk(node):
            if isinstance(n, ast.Call) and n not in taken and n in self.info and self.info[n].heavy:
                self.heavy_commits.append(node)
        self.steps[node] = lifts
        self.order.append(node)

    def use_items(self, node: ast.stmt, taken: set[ast.AST], lifts: list[ast.expr]) -> None:
        """What a commit looks at of the item, and what it changes of it."""
        if not self.in_place:
            return
        for at, root in self.touched:
            if is_item(root) and at not in taken:
                self.note_change(root, True)
        self.commit_looks(n for n in walk(node) if n not in taken)
        path, given = stored_into(node), None
        if path is not None and path.partition(".")[0] not in self.body_names:
            assert isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
            given = node.value.args[0]
            if isinstance(given, ast.Name) or given in lifts:
                self.stores_into.add(path)
                return
        vals = [self.info[lift].val for lift in lifts if lift in self.info]
        names = [n for n in walk(node) if isinstance(n, ast.Name) and n not in taken]
        for val in [*vals, *(self.st.env.get(n.id, ATOM) for n in names)]:
            self.given_to_commit(val.possible | self.inside(val))

    def lifts_of(self, expr: ast.expr, spoken: list[ast.Call]) -> list[ast.expr]:
        return list(pick(expr, self.info, self.is_temporary, spoken))

    def is_target(self, name: str) -> bool:
        return name in self.targets and name not in self.rebound_targets

    def is_temporary(self, name: str) -> bool:
        if name in self.shadow or name not in self.body_names or name in self.parent:
            return False
        return name not in self.targets or name in self.rebound_targets

    def leftovers(self, node: ast.stmt, taken: set[ast.AST], lifts: list[ast.expr]) -> None:
        """Temporaries that the parent's part of a commit reads: sent by value, or moved over."""
        local = names_of_inner_scopes(node)
        seen: set[str] = set()
        for n in walk(node):
            if n not in taken and self.keeps_variables(node, n):
                self.refuse(n, "a function made here would see other variables than the loop's own")
            if not isinstance(n, ast.Name) or n in taken or n.id in seen:
                continue
            if isinstance(n.ctx, ast.Store) or n.id in local or not self.is_temporary(n.id):
                continue
            seen.add(n.id)
            val = self.st.env.get(n.id, ATOM)
            if n.id not in self.st.bound or self.outlives(val.own | self.inside(val)):
                self.parent.add(n.id)
            else:
                lifts.append(n)
                self.info.setdefault(n, Info(val, False, False))

    def keeps_variables(self, stmt: ast.stmt, node: ast.AST) -> bool:
        """Whether the node makes something that looks at the loop's variables later on."""
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return self.sees_others(free_names(node))
        if isinstance(node, ast.Lambda):
            called = any(isinstance(n, ast.Call) and n.func is node for n in walk(stmt))
            return not called and not self.is_key(stmt, node)
        if not isinstance(node, ast.GeneratorExp):
            return False
        takers = [n for n in walk(stmt) if isinstance(n, ast.Call) and n.args[:1] == [node]]
        if any(eager(c) or name_of(c.func) in EAGER for c in takers):
            return False
        own = {name for gen in node.generators for name in target_names(gen.target)}
        return self.sees_others(read_names(node) - own)

    def sees_others(self, names: set[str]) -> bool:
        """Whether what reads these variables later on would see others than the loop's own."""
        names &= self.body_names
        if self.around.in_function():
            return bool(names)
        # A module's own variables are the loop's, if it binds them in order, in the user's process.
        self.parent |= {n for n in names if self.is_temporary(n)}
        return any(map(self.is_target, names))

    def is_key(self, stmt: ast.stmt, node: ast.Lambda) -> bool:
        return any(
            isinstance(k, ast.keyword) and k.arg == "key" and k.value is node for k in walk(stmt)
        )

    # -- units: compound statements that run in order as a whole

    def in_order(self, node: ast.stmt, tainted: bool) -> bool:
        """Whether a compound statement is a unit. In a called function none is: all is read there,
        whether or not the function itself has changed what a header goes by."""
        return not self.in_function and (tainted or node in self.units)

    def unit(self, node: ast.stmt, header: list[ast.expr]) -> None:
        self.parent |= bound_names(node)
        outermost = not self.unit_depth
        self.unit_depth += 1
        before = self.st.copy()
        touched = self.touched
        self.inside_of(node)
        self.touched = touched
        self.unit_depth -= 1
        self.dead = False
        after = merge(before, self.st)
        self.st = after if after is not None else before
        if outermost:
            self.jumps(node)
            self.raises_again(node)
            self.commit(node, header)

    def raises_again(self, unit: ast.stmt) -> None:
        """A bare `raise` needs the exception that is being handled, which the worker has."""
        todo: list[ast.AST] = [unit]
        for n in todo:
            if isinstance(n, ast.Raise) and n.exc is None:
                self.refuse(
                    n,
                    "whether to `raise` again depends on what is done in order; "
                    "give the exception a name and raise that",
                )
            if not isinstance(n, (*FUNCTIONS, ast.ExceptHandler)):
                todo += children(n)

    def inside_of(self, node: ast.stmt) -> None:
        bodies = [getattr(node, f, []) for f in ("body", "orelse", "finalbody")]
        bodies += [h.body for h in getattr(node, "handlers", [])]
        bodies += [c.body for c in getattr(node, "cases", [])]
        for case in getattr(node, "cases", []):
            self.eval(case.guard)
        loop = isinstance(node, (ast.For, ast.While))
        if loop:
            self.frames.append(LoopFrame(node, True))
        for body in bodies:
            start = self.st.copy()
            out = self.nested(body)
            self.st = merge(start, out) or start
        if loop:
            self.frames.pop()

    def jumps(self, unit: ast.stmt) -> None:
        for jump in _escaping_jumps(unit):
            if isinstance(jump, ast.Return):
                self.refuse(
                    jump,
                    "whether to return depends on what earlier iterations left; test it after the loop, or `break` here",
                )
            elif self.frames and self.frames[-1].node is not None:
                self.units.add(self.frames[-1].node)
            else:
                self.after_jump = True
                if isinstance(jump, ast.Break):
                    self.leaves_by_commit = True

    # -- simple statements

    def s_Pass(self, node: ast.Pass) -> None: ...

    def s_Global(self, node: ast.Global) -> None:
        self.declared_global |= set(node.names)

    def s_Nonlocal(self, node: ast.Nonlocal) -> None:
        if not self.in_function:
            self.refuse(node, "`nonlocal` variables are shared with other functions")

    def s_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        for name in binds(node):
            self.bind(name, ATOM)
        self.settle(node, False, False, [])

    s_ImportFrom = s_Import

    def s_Expr(self, node: ast.Expr) -> None:
        value = node.value
        info = self.for_effect(value)
        self.settle(node, info.tainted, info.heavy, [value])
        self.note_safe(node, value)

    def for_effect(self, value: ast.expr) -> Info:
        """An expression whose value nobody uses: calls in it are there for what they do."""
        if isinstance(value, ast.Call):
            return self.effect_call(value)
        if not isinstance(value, (ast.IfExp, ast.BoolOp)):
            return self.eval(value)
        ends = [value.body, value.orelse] if isinstance(value, ast.IfExp) else value.values[-1:]
        infos = [self.eval(value), *(self.for_effect(end) for end in ends)]
        self.info[value] = info = Info(
            ATOM, any(i.tainted for i in infos), any(i.heavy for i in infos)
        )
        return info

    def note_safe(self, node: ast.stmt, value: ast.expr) -> None:
        """A bare append may stand in a `try`: on a plain list it cannot raise."""

    def s_Assign(self, node: ast.Assign) -> None:
        info = self.eval(node.value)
        tainted = info.tainted
        if isinstance(node.targets[0], ast.Name):
            self.named_by[node.targets[0].id] = self.names_its_iteration(node.value)
            self.same_named[node.targets[0].id] = same_files.is_same(self, node.value)
        for target in node.targets:
            tainted |= self.implicit(node, of_node(target), [node.value])
            tainted |= self.assign_parts(target, node.value, info.val, node)
        exprs = [node.value, *_target_exprs(node.targets)]
        self.settle(node, tainted, info.heavy, exprs)

    def assign_parts(self, target: ast.expr, value: ast.expr, val: Val, node: ast.AST) -> bool:
        """`a, b = x, y` binds each name to its own part."""
        pairs = (ast.Tuple, ast.List)
        if (
            isinstance(target, pairs)
            and isinstance(value, pairs)
            and len(target.elts) == len(value.elts)
        ):
            if not any(isinstance(e, ast.Starred) for e in [*target.elts, *value.elts]):
                both = zip(target.elts, value.elts, strict=True)
                return any([self.assign_parts(t, v, self.info[v].val, node) for t, v in both])
        return self.assign(target, val, node)

    def s_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is None:
            return
        info = self.eval(node.value)
        tainted = self.assign(node.target, info.val, node) or info.tainted
        self.settle(node, tainted, info.heavy, [node.value, *_target_exprs([node.target])])

    def s_AugAssign(self, node: ast.AugAssign) -> None:
        info = self.eval(node.value)
        target = node.target
        tainted = self.implicit(node, of_node(node), [node.value]) or info.tainted
        tainted |= self.shared_effects(node, of_node(node) | in_place(node.op))
        if isinstance(target, ast.Name):
            tainted |= self.augment_name(node, target.id, info)
        else:
            tainted |= self.augment_part(node, target, info)
        self.settle(node, tainted, info.heavy, [node.value, *_target_exprs([target])])

    def augment_part(
        self, node: ast.AugAssign, target: ast.Attribute | ast.Subscript, info: Info
    ) -> bool:
        """`a.x += ·` and `a[k] += ·`: binds the part anew, and may change it in place."""
        base = self.eval(target.value)
        tainted = base.tainted
        if isinstance(target, ast.Subscript):
            index = self.eval(target.slice)
            tainted |= index.tainted
            tainted |= self.mutate(base.val, node, target.value, ast.unparse(target))
            self.put_key(base.val, index.val)
            for root in self.but_items(node, outer(base.val.own)):
                self.note_change(root, path_of(target.value) not in self.own_elements)
            part = self.element(base.val, by_key=True)
            again = _is_simple(target.slice)
            self.own_is_written(target)
        else:
            part = self.attribute(base.val, "." + target.attr)
            path = path_of(target)
            roots = {r if path is None else f"{r}.{target.attr}" for r in outer(base.val.own)}
            if self.in_function and path is not None:
                self.augmented |= roots
            else:
                for root in self.but_items(node, frozenset(roots)):
                    self.note_change(root, True)
            tainted |= self.store(target, base, part, node)
            again = True
        if not tainted and (outer(part.own) or part.maybe):
            tainted |= self.guard_part(node, target, part, again)
        if isinstance(target, ast.Attribute):
            self.put_as(base.val, target.attr, info.val)
        else:
            self.put_inside(base.val, [info.val])
        return tainted

    def guard_part(
        self, node: ast.AST, target: ast.Attribute | ast.Subscript, part: Val, again: bool
    ) -> bool:
        """A part that `+=` may change in place goes on only if it cannot be changed."""
        if self.only_items(outer(part.own | part.maybe)):
            self.but_items(node, outer(part.own | part.maybe))
            return False
        if self.in_function:
            for root in outer(part.own):
                self.note_change(root, True)
            return False
        if again and isinstance(target.value, ast.Name) and not self.swallowing:
            if target.value.id in self.st.bound:
                roots = outer(part.own | part.maybe)
                self.guards.append(Guard("immutable", ast.unparse(target), node, roots))
                return False
        for root in outer(part.own | part.maybe):
            self.note_change(root, True)
        shown = ast.unparse(target)
        self.because(node, f"`{shown}` may be part of something that outlives the iteration")
        return True

    def augment_name(self, node: ast.AugAssign, name: str, info: Info) -> bool:
        if name in self.declared_outside():
            self.note_change(name, True)
            return True
        if name in self.parent or name not in self.st.bound:
            if not self.in_function:
                self.parent.add(name)
                self.because(node, f"`{name}` carries a value from one iteration to the next")
                known = self.st.env.get(name, ATOM)
                # In place, where the object is one that can be changed so: under all its names.
                for root in outer(known.own | known.maybe) | {name}:
                    self.note_change(root, True)
                return True
        val = self.st.env.get(name, ATOM)
        tainted = False
        for root in val.own:
            if not is_outer(root) and (root in self.st.escaped or root in self.changed):
                self.change_sent(root)
                tainted = True
        if self.in_place and (outer(val.own) or val.maybe) and self.only_items(val.own | val.maybe):
            return self.augment_item(node, name, val, info) or tainted
        if outer(val.own) or val.maybe:
            if self.in_function:
                tainted |= self.mutate(self.changeable(val), node, node.target, name)
            elif self.swallowing:
                tainted = True
            else:
                kind = "immutable" if outer(val.own) else "own"
                self.guards.append(Guard(kind, name, node, outer(val.own | val.maybe)))
        new = self.fresh(node, val, info.val)
        self.put_inside(val, [info.val])
        self.bind(name, new)
        return tainted

    def augment_item(self, node: ast.AugAssign, name: str, val: Val, info: Info) -> bool:
        """`row *= 2`: changes the item, or binds the name to something new; True: in order."""
        self.effects += 1
        self.but_items(node, val.own | val.maybe)
        new = self.fresh(node, val, info.val)
        self.put_inside(val, [info.val])
        self.bind(name, join(val, new))
        return name in self.parent

    def declared_outside(self) -> set[str]:
        return self.declared_global if self.in_function else set()

    def s_Delete(self, node: ast.Delete) -> None:
        tainted = False
        for target in node.targets:
            if isinstance(target, ast.Name):
                tainted |= self.delete_name(node, target.id)
            elif isinstance(target, (ast.Attribute, ast.Subscript)):
                base = self.eval(target.value)
                tainted |= base.tainted or self.mutate(base.val, node, target.value, "del")
                tainted |= self.shared_effects(node, DELETING)
                if isinstance(target, ast.Subscript):
                    tainted |= self.eval(target.slice).tainted
            else:
                self.refuse(node, "`del` of several names in brackets cannot be read")
        self.settle(node, tainted, False, _target_exprs(node.targets))

    def delete_name(self, node: ast.stmt, name: str) -> bool:
        if self.in_function:
            if name in self.declared_global:
                self.note_change(name, True)
            return False
        if name in self.parent:
            return True
        if name not in self.st.bound:
            self.parent.add(name)
            return True
        if name in self.live and (self.depth or name in self.targets or self.after_jump):
            self.refuse(
                node, f"`{name}` is deleted in some iterations only; set it to None instead"
            )
        self.st.bound -= {name}
        return False

    def s_Assert(self, node: ast.Assert) -> None:
        test, message = self.condition(node.test), self.eval(node.msg)
        self.settle(node, test.tainted or message.tainted, test.heavy, [node.test])

    def condition(self, node: ast.expr) -> Info:
        """What is asked whether it is true."""
        info = self.eval(node)
        return info._replace(tainted=self.implicit(node, TRUTH, [node]) or info.tainted)

    def s_Raise(self, node: ast.Raise) -> None:
        exc, cause = self.eval(node.exc), self.eval(node.cause)
        parts = [e for e in (node.exc, node.cause) if e is not None]
        for val in (exc.val, cause.val):
            held = val.possible | self.inside(val) | self.perhaps_inside(val)
            self.raised |= {r for r in outer(held) if r[0] != "$"}
        self.settle(node, exc.tainted or cause.tainted, False, parts)
        self.dead = True

    def s_Return(self, node: ast.Return) -> None:
        if self.in_function:
            self.returned(node)
            known = self.draws.at_return
            self.draws.at_return = self.st.seeded if known is None else known & self.st.seeded
        elif not self.unit_depth:
            self.can_leave = True
        self.dead = True

    def returned(self, node: ast.Return) -> None:
        self.eval(node.value)

    def s_Break(self, node: ast.Break) -> None:
        if self.frames:
            self.frames[-1].breaks = merge(self.frames[-1].breaks, self.st.copy())
        elif not self.unit_depth:
            self.can_leave = True
        self.dead = True

    def s_Continue(self, node: ast.Continue) -> None:
        if self.frames:
            self.frames[-1].continues = merge(self.frames[-1].continues, self.st.copy())
        else:
            self.ends.append(self.st.copy())
        self.dead = True

    ends: list[State]

    def s_FunctionDef(self, node: ast.FunctionDef) -> None:
        tainted = False
        for e in [
            *node.decorator_list,
            *node.args.defaults,
            *(d for d in node.args.kw_defaults if d),
        ]:
            tainted |= self.eval(e).tainted
        for e in node.decorator_list:
            path = path_of(e)
            if path is not None and self.around.summary(path) is not None:
                tainted |= self.eval(ast.copy_location(ast.Call(e, [], []), e)).tainted
            else:
                tainted |= self.decorates(e)
        summary = self.around.summarise(node)
        tainted |= self.nested_function(node, summary)
        roots: frozenset[str] = NONE
        for name in read_names(*node.body) & self.st.env.keys():
            roots |= self.st.env[name].possible
        for root in summary.gives:
            roots |= results.at_name(self, root) if root[0] != "$" else NONE
        for _, default in defaults_by_name(node.args):
            roots |= self.info[default].val.possible
        site = self.site(node)
        self.functions[site] = summary
        self.bind(node.name, Val(frozenset({site}), NONE, NONE, outer(roots)))
        self.settle(node, tainted, False, [])

    def nested_function(self, node: ast.FunctionDef, summary: Summary) -> bool:
        """A function made in the body: what it reads and changes counts where it is made, but for
        what it does to what it is given."""
        tainted = False
        for text in summary.refusals:
            self.refuse(node, f"`{node.name}` {text}")
            self.refusals.append(text)
        if fx.UNKNOWN in summary.changes:
            return self.leads_too_far(node, f"`{node.name}`")
        for root in summary.reads | summary.changes:
            head = root.partition(".")[0]
            if head.startswith("$"):
                continue
            if results.is_of_call(root.partition(".")[2]):
                if root in summary.changes:
                    given = results.at_name(self, root)
                    tainted |= self.change_result(node, given, f"`{node.name}`")
                continue
            if head in self.body_names:
                val, bad = (
                    self.name(ast.Name(head, ast.Load(), lineno=node.lineno, col_offset=0), root)
                    if head in self.st.bound or head in self.parent
                    else (ATOM, True)
                )
                tainted |= bad
            else:
                self.outer_names.add(head)
                val = Val(frozenset({root}))
                tainted |= self.read_path(root, node)
            if root in summary.changes:
                if head in summary.rebinds and head in self.body_names:
                    self.refuse(node, f"`{node.name}` rebinds `{head}`")
                tainted |= self.mutate(val, node, None, head)
        return draws.made_here(self, node, summary) or tainted

    def class_in_function(self, node: ast.ClassDef) -> None:
        """A class made by a called function: its body runs, and its methods may be called."""
        for e in (*node.decorator_list, *node.bases, *(k.value for k in node.keywords)):
            self.eval(e)
        self.shared_effects(node, MAKING_CLASSES)
        self.block(node.body)
        self.bind(node.name, Val(frozenset({self.site(node)})))

    def s_ClassDef(self, node: ast.ClassDef) -> None:
        if self.in_function:
            return self.class_in_function(node)
        self.refuse(
            node,
            "a class made in the loop is a new one in every iteration; define it before the loop",
        )

    def s_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.refuse(node, "`async` cannot run in a worker")

    s_AsyncFor = s_AsyncWith = s_AsyncFunctionDef

    # -- binding

    def bind(self, name: str, val: Val) -> None:
        if name in self.targets and not self.binding_targets:
            self.rebound_targets.add(name)
        if name in self.declared_outside():
            self.note_change(name, True)
        super().bind(name, val)

    binding_targets = False

    def assign(self, target: ast.expr, val: Val, node: ast.AST) -> bool:
        """Bind a target; True when that must be done in order."""
        if isinstance(target, ast.Name):
            if target.id in self.declared_outside():
                self.note_change(target.id, True)
                return True
            self.bind(target.id, val)
            return target.id in self.parent
        if isinstance(target, (ast.Tuple, ast.List)):
            item = self.element(val)
            return any([self.assign(t, item, node) for t in target.elts])
        if isinstance(target, ast.Starred):
            return self.assign(
                target.value,
                Val(frozenset({self.site(target)}), NONE, val.own | val.inner, val.maybe),
                node,
            )
        assert isinstance(target, (ast.Attribute, ast.Subscript))
        base = self.eval(target.value)
        tainted = base.tainted
        if isinstance(target, ast.Attribute):
            tainted |= self.store(target, base, val, node)
            self.put_as(base.val, target.attr, val)
        else:
            index = self.eval(target.slice)
            tainted |= index.tainted
            self.put_key(base.val, index.val)
            tainted |= self.mutate(base.val, node, target.value, ast.unparse(target))
            tainted |= self.shared_effects(node, STORING_ITEM)
            one = not any(isinstance(n, ast.Slice) for n in walk(target.slice))
            self.put_inside(base.val, [val], one_by_one=one)
            self.own_is_written(target)
        return tainted

    def own_is_written(self, target: ast.Subscript) -> None:
        """From here on the iteration's own element is not what it was when the loop began."""
        path = path_of(target.value)
        if path in self.own_elements:
            self.st.escaped |= {f"{path}{MARK}"}

    def own_item(self, item: Val) -> Val:
        """What the loop goes over, where that is an element of the iteration's own."""

        def marked(roots: Roots) -> Roots:
            return frozenset(f"{r}{MARK}" if r in self.looped_own else r for r in roots)

        return Val(*map(marked, item))

    def store(self, target: ast.Attribute, base: Info, val: Val, node: ast.AST) -> bool:
        """Bind an attribute; True when that must be done in order."""
        tainted = self.computes(target, [base.val, val], self.around.setters_named(target.attr))
        tainted |= self.shared_effects(node, STORING)
        return self.bind_attribute(target, base, val, node) or tainted

    def bind_attribute(self, target: ast.Attribute, base: Info, val: Val, node: ast.AST) -> bool:
        for root in base.val.own:
            fields = self.fields.setdefault(root, {}) if self.in_function else self.fields.get(root)
            if fields is not None:
                fields[target.attr] = join(fields.get(target.attr, Val()), self.held(val))
        if path_of(target) is not None:
            return self.store_attribute(target, base, node)
        return self.mutate(base.val, node, target.value, ast.unparse(target))

    def store_attribute(self, target: ast.Attribute, base: Info, node: ast.AST) -> bool:
        """`self.x = ·` changes the path self.x, not all of self."""
        narrowed = Val(
            frozenset(f"{r}.{target.attr}" if is_outer(r) else r for r in base.val.own),
            base.val.maybe,
        )
        self.effects += 1
        if not any(is_outer(r) for r in narrowed.own):
            return self.mutate(base.val, node, target.value, ast.unparse(target))
        changed = self.but_items(node, narrowed.own, "bound")
        if not outer(changed):
            made = base.val._replace(own=frozenset(r for r in changed))
            return self.mutate(made, node, target.value, ast.unparse(target))
        for root in changed:
            self.note_change(root, False)
        self.because(node, CHANGED_HERE.format(ast.unparse(target)))
        return True


def _header_names(node: ast.stmt) -> set[str]:
    """Names that a compound statement binds beside those its blocks bind."""
    match node:
        case ast.For():
            return bound_names(node.target, node.iter)
        case ast.If() | ast.While():
            return bound_names(node.test)
        case ast.With():
            return bound_names(*node.items)
        case ast.Match():
            guards = [c.guard for c in node.cases if c.guard is not None]
            return bound_names(node.subject, *(c.pattern for c in node.cases), *guards)
        case ast.Try() | ast.TryStar():
            return {h.name for h in node.handlers if h.name}
    return set()


def _is_simple(node: ast.expr) -> bool:
    """Whether evaluating it twice is the same as once."""
    simple = (ast.Name, ast.Constant, ast.BinOp, ast.UnaryOp, ast.Tuple)
    return all(isinstance(n, simple) for n in walk(node) if isinstance(n, ast.expr))


def name_of(func: ast.expr) -> str:
    return func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")


def _target_exprs(targets: list[ast.expr]) -> list[ast.expr]:
    """The parts of assignment targets that are evaluated: bases and indices."""
    out: list[ast.expr] = []
    for t in targets:
        for n in walk(t):
            if isinstance(n, ast.Attribute) and not isinstance(n.ctx, ast.Load):
                out.append(n.value)
            elif isinstance(n, ast.Subscript) and not isinstance(n.ctx, ast.Load):
                out += [n.value, n.slice]
    return out


def names_of_inner_scopes(*nodes: ast.stmt) -> set[str]:
    """Comprehension variables and lambda parameters: names that are not the body's."""
    found: set[str] = set()
    for n in (below for node in nodes for below in walk(node)):
        if isinstance(n, ast.comprehension):
            found |= set(target_names(n.target))
        elif isinstance(n, ast.arg):
            found.add(n.arg)
    return found


def _escaping_jumps(unit: ast.stmt) -> list[ast.stmt]:
    """`return`, and the `break` and `continue` whose loop lies outside the unit."""
    out: list[ast.stmt] = []

    def look(node: ast.AST, in_loop: bool) -> None:
        if isinstance(node, ast.Return) or (
            isinstance(node, (ast.Break, ast.Continue)) and not in_loop
        ):
            out.append(node)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            return
        for name, value in ast.iter_fields(node):
            parts = value if isinstance(value, list) else [value]
            for child in parts:
                if isinstance(child, ast.AST):
                    loop_body = isinstance(node, (ast.For, ast.While)) and name == "body"
                    look(child, in_loop or loop_body)

    look(unit, False)
    return out
