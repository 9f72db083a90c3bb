"""What each kind of expression reads, changes and gives: one pass over a statement's expressions."""

from __future__ import annotations

import ast

from allcores.plan import draws, implicit
from allcores.plan import effects as fx
from allcores.plan.calls import Calls
from allcores.plan.effects import (
    ATOM,
    NONE,
    Roots,
    Val,
    join,
)
from allcores.plan.names import children, defaults_by_name, path_of, walk
from allcores.plan.own_elements import MARK
from allcores.plan.results import GIVEN
from allcores.plan.summaries import Summary
from allcores.plan.values import Info


class Expressions(Calls):
    """Evaluates expressions over `Val`s; `statements.Statements` adds the statements."""

    # -- expressions

    def e_other(self, node: ast.expr) -> Info:
        parts = [n for n in children(node) if isinstance(n, ast.expr)]
        vals, tainted, heavy = self.eval_all(parts)
        tainted |= self.implicit(node, implicit.of_node(node), parts)
        val = self.given_by_special(node, self.fresh(node, *vals), implicit.of_node(node), parts)
        return Info(val, tainted, heavy)

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
        if node.attr in fx.VARIABLES:
            self.refuse(node, f"`.{node.attr}` looks at every variable at once")
            self.refusals.append(f"looks at every variable at once (`.{node.attr}`)")
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
                val = self.given_by_computing(node, val, base)
            if node.attr in fx.GIVEN_MUTATORS and self.may_be_value(path.rpartition(".")[0]):
                owner = self.name(base, path.rpartition(".")[0])[0]
                tainted |= self.taken_method(node, owner)
            if node.attr in self.around.module.methods:
                owner = self.name(base, path.rpartition(".")[0])[0]
                tainted |= self.taken_own_method(node, owner, path.rpartition(".")[0])
            if node.attr in fx.DRAWS or node.attr in draws.LOOKS:
                tainted |= draws.taken(self, node, self.name(base, path.rpartition(".")[0])[0])
            return Info(val, tainted, False)
        inner = self.eval(node.value)
        tainted = inner.tainted or self.computed(node, inner.val)
        tainted |= self.reads_class([node.attr], node)
        tainted |= self.taken_method(node, inner.val)
        if node.attr in self.around.module.methods:
            tainted |= self.taken_own_method(node, inner.val, None)
        val = self.attribute(inner.val, "." + node.attr)
        if self.around.is_computed(node.attr):
            val = self.given_by_computing(node, val, node.value)
        self.reads |= {r for r in val.own if r.startswith(fx.CLASS)}
        return Info(val, tainted, inner.heavy)

    def taken_method(self, node: ast.Attribute, owner: Val) -> bool:
        """`xs.append` taken without calling it: whoever gets it may; True: must run in order."""
        if node.attr not in fx.GIVEN_MUTATORS:
            return False
        return self.mutate(owner, node, node.value, node.attr)

    def taken_own_method(self, node: ast.Attribute, owner: Val, path: str | None) -> bool:
        """`key=model.score`: the same of a method of the program's."""
        if path is not None:
            head = path.partition(".")[0]
            path = None if self.own(head) or head in self.shadow else path
        itself = isinstance(node.value, ast.Name) and node.value.id == self.around.self_name()
        # So many attributes have the name of some method that reading took minutes.
        handed_on = itself or node in self.handed or not self.in_function
        if path is None and not handed_on:
            return False
        tainted = False
        for summary in self.around.taken_methods(path, node.attr):
            given = [owner] + [ATOM] * len(summary.parameters[1:])
            where = f"`{node.attr}`{summary.place()}"
            tainted |= self.apply(node, summary, given, [node.value], where)
            tainted |= self.reads_of(node, summary, owner)
        return tainted

    def computed(self, node: ast.Attribute, base: Val) -> bool:
        """A property of this name in the module may change the object; True: must run in order."""
        found = self.around.properties_named(node.attr)
        tainted = self.computes(node, [base], found)
        return self.shared_effects(node, implicit.ATTRIBUTES) or tainted

    def given_by_computing(self, node: ast.Attribute, val: Val, owner: ast.expr) -> Val:
        """The value of an attribute that a property or `__getattr__` may have given."""
        known = self.info[owner].val if owner in self.info else ATOM
        val = self.with_given(node, val, self.around.properties_named(node.attr), known)
        return self.given_by_special(node, val, implicit.ATTRIBUTES, [owner])

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
        found = self.element(base.val, by_key=True)
        val = self.given_by_special(node, found, implicit.ITEM, [node.value])
        return Info(val, base.tainted or index.tainted, base.heavy or index.heavy)

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
        site = self.site(node)
        for v in vals or [ATOM]:
            self.add_element(site, v)
        return Info(Val(frozenset({site}), NONE, own, maybe), tainted, heavy)

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
        given = Val(frozenset({f"{self.site(node)}{GIVEN}"}))
        self.shadow.update(dict.fromkeys(parameter_names(node.args), given))
        for name, default in defaults_by_name(node.args):
            self.shadow[name] = join(given, self.info[default].val)
        self.touched = []
        before = len(self.draws.sites)
        body = self.eval(node.body)
        self.shadow = saved
        self.draws.makers += [(self.site(node), root) for _, root in self.draws.sites[before:]]
        if any(root in given.own for _, root in self.touched):
            text = "a function made here changes what it is given; write it as a `def` outside"
            self.refuse(node, text)
            self.refusals.append(
                "makes a function that changes what it is given; write it as a `def`"
            )
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
            names = implicit.of_node(gen)
            item = self.given_by_special(gen.iter, self.element(it.val), names, [gen.iter])
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
