"""What statements do: which are work and which are commits, by one pass over a body."""

from __future__ import annotations

import ast

from allcores.plan import effects as fx
from allcores.plan import talk
from allcores.plan.effects import ATOM, Val, is_outer, join
from allcores.plan.implicit import (
    of_node,
)
from allcores.plan.names import (
    bound_names,
    path_of,
    target_names,
    walk,
)
from allcores.plan.simple import LoopFrame, Simple, name_of
from allcores.plan.values import Info, State, merge

SAFE_MANAGERS = frozenset({"open"})


class Statements(Simple):
    """Blocks of statements; the compound ones are here."""

    def s_If(self, node: ast.If) -> None:
        test = self.condition(node.test)
        if self.in_order(node, test.tainted):
            return self.unit(node, [node.test])
        self.settle_header(node, node.test, test)
        start = self.st.copy()
        then = self.nested(node.body)
        self.st = start
        otherwise = self.nested(node.orelse)
        self.arrive(merge(then, otherwise))

    def settle_header(self, node: ast.stmt, header: ast.expr, info: Info) -> None:
        guards, self.guards = self.guards, []
        if self.unit_depth:
            self.done_in_parent(guards)
        else:
            self.guarded(node, guards)
        names = bound_names(header)
        if names & self.parent and not self.unit_depth and not self.in_function:
            self.units.add(node)
        self.heavy_work |= info.heavy
        self.any_work |= info.heavy or not isinstance(header, (ast.Name, ast.Constant))

    def s_For(self, node: ast.For) -> None:
        it = self.eval(node.iter)
        it = it._replace(tainted=self.implicit(node, of_node(node), [node.iter]) or it.tainted)
        if self.in_order(node, it.tainted):
            for t in target_names(node.target):
                self.parent.add(t)
            self.effect_of_target(node, it)
            return self.unit(node, [node.iter])
        self.settle_header(node, node.iter, it)
        self.inner_loop(node, it)

    def effect_of_target(self, node: ast.For, it: Info) -> None:
        self.assign(node.target, self.item_of(node, it.val), node)

    def item_of(self, node: ast.For, val: Val) -> Val:
        """What a loop over this value binds its target to."""
        return self.given_by_special(node, self.element(val), of_node(node), [node.iter])

    def inner_loop(self, node: ast.For | ast.While, it: Info | None) -> None:
        frame = LoopFrame(node, self.unit_depth > 0)
        self.frames.append(frame)
        self.depth += 1
        entry = self.st.copy()
        out: State | None = None
        for _ in range(2):
            if isinstance(node, ast.For):
                assert it is not None
                if (
                    self.assign(node.target, self.item_of(node, it.val), node)
                    and not self.in_function
                ):
                    self.units.add(node)
            elif it is not None:
                self.condition(node.test)
            body = self.nested(node.body)
            out = merge(body, frame.continues)
            self.st = merge(entry.copy(), out) or entry.copy()
        self.depth -= 1
        self.frames.pop()
        forever = (
            isinstance(node, ast.While)
            and isinstance(node.test, ast.Constant)
            and bool(node.test.value)
        )
        done = None if forever else self.st
        if node.orelse and done is not None:
            self.st = done
            done = self.nested(node.orelse)
        self.arrive(merge(done, frame.breaks))

    def s_While(self, node: ast.While) -> None:
        test = self.condition(node.test)
        if self.in_order(node, test.tainted):
            return self.unit(node, [])
        self.settle_header(node, node.test, test)
        self.inner_loop(node, test)

    def s_With(self, node: ast.With) -> None:
        tainted, heavy = False, False
        safe = True
        held = False
        redirects: list[ast.expr] = []
        for item in node.items:
            lock = talk.locked(self, item)
            if lock is not None:
                held, tainted = True, tainted or lock.tainted
                continue
            self.managers.add(item.context_expr)
            info = self.eval(item.context_expr)
            tainted |= info.tainted
            heavy |= info.heavy
            call = item.context_expr
            safe &= self.lets_raise(call)
            redirected = self.redirects(call)
            if redirected is not None:
                redirects.append(redirected)
                tainted |= self.mutate(self.info[redirected].val, node, redirected, "file")
            if any(is_outer(r) for r in info.val.own):
                tainted |= self.mutate(info.val, node, call, ast.unparse(call))
            if item.optional_vars is not None:
                val = Val(info.val.own, info.val.maybe, self.inside(info.val), info.val.inner_maybe)
                entering = self.around.methods_named("__enter__")
                val = self.with_given(item, val, entering, info.val)
                tainted |= self.assign(item.optional_vars, val, node)
            for name in ("__enter__", "__exit__"):
                for summary in self.around.methods_named(name):
                    tainted |= self.apply(node, summary, [info.val], [call], f"`{name}`")
                    tainted |= self.reads_of(node, summary, info.val)
        if self.in_order(node, tainted):
            return self.unit(node, [i.context_expr for i in node.items[: not redirects]])
        self.settle_header(node, node.items[0].context_expr, Info(ATOM, False, heavy))
        quiet = any(self.keeps_warnings(item.context_expr) for item in node.items)
        self.own_warnings += quiet
        commits = len(self.order)
        around, self.own_output = self.own_output, self.printing_to(node)
        self.guarded_block(node, node.body, safe)
        self.own_output = around
        self.own_warnings -= quiet
        if (held or quiet or redirects) and len(self.order) > commits:
            self.units.add(node)  # what is done in order is done in here as well
            written = {r for target in redirects for r in self.info[target].val.own}
            for site in written:
                if not is_outer(site):
                    self.change_sent(site)

    def lets_raise(self, manager: ast.expr) -> bool:
        """Whether what a `with` uses is known to swallow no exceptions."""
        if not isinstance(manager, ast.Call):
            return False
        path = path_of(manager.func)
        known = path is not None and self.around.dotted(path) in fx.QUIET_MANAGERS
        return known or name_of(manager.func) in SAFE_MANAGERS

    def redirects(self, manager: ast.expr) -> ast.expr | None:
        """What a `with` has that written to which goes to standard output, or errors."""
        if (
            not isinstance(manager, ast.Call)
            or self.around.dotted(path_of(manager.func) or "") not in fx.REDIRECTS
        ):
            return None
        given = [*manager.args, *(k.value for k in manager.keywords)]
        return given[0] if len(given) == 1 else None

    def printing_to(self, node: ast.With) -> ast.expr | None:
        """What `print` writes to in here, where that is the iteration's own."""
        found = self.own_output
        for item in node.items:
            target = self.redirects(item.context_expr)
            if target is not None and name_of(item.context_expr.func).endswith("stdout"):  # type: ignore[attr-defined]
                val = self.info[target].val
                own = val.own and not val.maybe and not any(map(is_outer, val.own))
                found = target if own else None
        return found

    def keeps_warnings(self, manager: ast.expr) -> bool:
        """Whether a `with` has filters for warnings of its own."""
        path = path_of(manager.func) if isinstance(manager, ast.Call) else None
        return path is not None and self.around.dotted(path) == "warnings.catch_warnings"

    def guarded_block(self, node: ast.stmt, body: list[ast.stmt], safe: bool) -> None:
        """A block whose exceptions may be caught: commits in it must not raise later."""
        commits: list[ast.stmt] = []
        self.in_try.append(commits)
        self.depth += 1
        if safe:
            self.block(body)
        else:
            self.may_be_cut_short(body)
        self.depth -= 1
        self.in_try.pop()
        if safe or self.in_function or self.unit_depth:
            return
        risky = [c for c in commits if not self.cannot_raise(c)]
        if risky:
            self.units.add(node)

    def may_be_cut_short(self, body: list[ast.stmt]) -> None:
        """A block after which the loop goes on, even where an exception has ended it half way."""
        states = [self.st.copy()]
        self.catching.append(states)
        self.swallowing += 1
        state = self.nested(body)
        self.swallowing -= 1
        self.catching.pop()
        for caught in states:
            state = merge(state, caught)
        self.arrive(state)

    def cannot_raise(self, node: ast.stmt) -> bool:
        match node:
            case ast.Expr(
                value=ast.Call(
                    func=ast.Attribute(value=base, attr="append"), args=[given], keywords=[]
                )
            ):
                path = path_of(base)
                plain = isinstance(given, (ast.Constant, ast.Name))
                if not plain and given not in self.steps.get(node, []):
                    return False
                if path is not None and path.partition(".")[0] not in self.body_names:
                    self.lists_only.add(path)
                    return True
            case ast.Expr(value=ast.Call(func=ast.Name(id="print"))):
                return True
            case ast.Assign(targets=targets) if all(isinstance(t, ast.Name) for t in targets):
                return isinstance(
                    node.value, (ast.Constant, ast.Name)
                ) or node.value in self.steps.get(node, [])
        return False

    def s_Try(self, node: ast.Try) -> None:
        if self.in_order(node, False):
            return self.unit(node, [])
        broad = any(h.type is None or "BaseException" in ast.unparse(h.type) for h in node.handlers)
        jumping = any(
            isinstance(n, (ast.Return, ast.Break, ast.Continue))
            for f in node.finalbody
            for n in walk(f)
        )
        if jumping:
            self.units.add(node)
        states = [self.st.copy()]
        self.catching.append(states)
        self.swallowing += broad or jumping
        if node.handlers or node.finalbody:
            commits: list[ast.stmt] = []
            self.in_try.append(commits)
            ending = self.nested(node.body)
            self.in_try.pop()
            if (
                not self.unit_depth
                and not self.in_function
                and any([not self.cannot_raise(c) for c in commits])
            ):
                self.units.add(node)
        else:
            ending = self.nested(node.body)
        self.swallowing -= broad or jumping
        self.catching.pop()
        caught: State | None = states[0]
        for s in states[1:]:
            caught = merge(caught, s)
        assert caught is not None
        # A commit that raises later would miss the `finally`.
        rest: list[ast.stmt] = []
        self.in_try.append(rest)
        outs = self.after_try(node, ending, caught)
        self.in_try.pop()
        if node.finalbody and not self.unit_depth and not self.in_function:
            if any([not self.cannot_raise(c) for c in rest]):
                self.units.add(node)
        state: State | None = None
        for s2 in outs:
            state = merge(state, s2)
        if node.finalbody:
            anywhere = merge(state, caught.copy())
            assert anywhere is not None
            self.st = anywhere
            final = self.nested(node.finalbody)
            state = final if state is not None else None
            if state is not None and final is not None:
                sure = frozenset.intersection(*(o.bound for o in outs if o is not None))
                state.bound |= sure & frozenset(state.env)
        self.arrive(state)

    s_TryStar = s_Try

    def after_try(self, node: ast.Try, ending: State | None, caught: State) -> list[State | None]:
        outs: list[State | None] = []
        if ending is not None:
            self.st = ending
            ending = self.nested(node.orelse)
        outs.append(ending)
        for handler in node.handlers:
            self.st = caught.copy()
            self.eval(handler.type)
            if handler.name:
                self.handler_names.add(handler.name)
                if handler.name in self.declared_outside():
                    self.note_change(handler.name, True)
                if handler.name in self.parent and not self.unit_depth and not self.in_function:
                    self.units.add(node)
                self.st.env[handler.name] = self.fresh(
                    handler, *self.arguments, Val(inner_maybe=self.raised)
                )
                self.st.bound |= {handler.name}
            out = self.nested(handler.body)
            if out is not None and handler.name:
                out.bound -= {handler.name}
            outs.append(out)
        return outs

    def s_Match(self, node: ast.Match) -> None:
        subject = self.eval(node.subject)
        if self.in_order(node, subject.tainted):
            return self.unit(node, [node.subject])
        self.settle_header(node, node.subject, subject)
        start = self.st.copy()
        outs: list[State | None] = []
        for case in node.cases:
            self.st = start.copy()
            part = join(subject.val, self.element(subject.val))
            if self.matched(node.subject, case.pattern, part):
                self.units.add(node)
            for name in bound_names(case.pattern):
                self.bind(name, part)
                if name in self.parent:
                    self.units.add(node)
            if case.guard is not None and self.eval(case.guard).tainted:
                self.units.add(node)
            outs.append(self.nested(case.body))
        outs.append(start)
        state: State | None = None
        for s in outs:
            state = merge(state, s)
        self.arrive(state)

    def matched(self, subject: ast.expr, pattern: ast.pattern, part: Val) -> bool:
        """A pattern may call properties; True: must be done in order."""
        tainted = False
        for n in walk(pattern):
            for attr in n.kwd_attrs if isinstance(n, ast.MatchClass) else ():
                read = ast.copy_location(ast.Attribute(subject, attr, ast.Load()), n)
                tainted |= self.computed(read, part)
        return tainted
