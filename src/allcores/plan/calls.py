"""What calls read, change and give: of functions, methods, classes and objects."""

from __future__ import annotations

import ast

from allcores.plan import draws, implicit, results, same_files, talk
from allcores.plan import effects as fx
from allcores.plan.effects import (
    ATOM,
    ITEM,
    NONE,
    Roots,
    Val,
    bounded,
    comes_from,
    in_words,
    join,
    outer,
)
from allcores.plan.followed import by_position, joined
from allcores.plan.names import path_of, walk
from allcores.plan.operators import Operators
from allcores.plan.summaries import Summary
from allcores.plan.values import Info

BUILT_IN_METHODS = frozenset(
    name
    for kind in (str, bytes, bytearray, int, float, complex, list, tuple, dict, set, frozenset)
    for name in dir(kind)
)
"""What these are called of is most often none of the program's objects."""
ADDING = frozenset({"__add__", "__radd__"})
WHY_IN_ORDER = "what is written to one file must come in order; write to a file for each iteration"


class Calls(Operators):
    """Calls, over what `Values` knows."""

    # -- calls

    def e_Call(self, node: ast.Call) -> Info:
        info = self.plain_call(node)
        info = self.hands_on(node, info)
        if not self.in_function:
            info = self.writing_in_order(node, info)
        return self.callbacks(node, info) if self.given_functions(node) else info

    def hands_on(self, node: ast.Call, info: Info) -> Info:
        """Whoever is given a function that is made here may call it, with what else is given."""
        handed = [self.info[a].val for a in node.args if a in self.info]
        handed += [self.info[k.value].val for k in node.keywords if k.value in self.info]
        sites = {site for val in handed for site in val.own & self.functions.keys()}
        tainted = info.tainted
        for site in sorted(sites):
            everything = joined([self.element(val) for val in handed])
            tainted |= self.apply_to_arguments(
                node, self.functions[site], [everything] * 4, [None] * 4
            )
        return info._replace(tainted=tainted)

    def writing_in_order(self, node: ast.Call, info: Info) -> Info:
        """A call that may write to a file to which other iterations write as well."""
        name = same_files.written(self, node)
        if name is None:
            return info
        self.files_written[node] = name
        self.effects += 1
        self.because(node, WHY_IN_ORDER)
        return info._replace(tainted=True)

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
            summary = self.around.summary(path)
            if summary is not None and summary.shared_defaults:
                fewest = [everything] * min(summary.shared_defaults)
                where = f"`{path}`{summary.place()}"
                tainted |= self.apply(node, summary, fewest, [], where)
        return Info(info.val, tainted, info.heavy)

    def plain_call(self, node: ast.Call) -> Info:
        args: list[ast.expr] = [*node.args, *(k.value for k in node.keywords)]
        self.handed.update(a for a in args if isinstance(a, ast.Attribute))
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
        val = self.fresh(node, self.given_by(func.val), *vals, maybe=True)
        return Info(join(val, results.of_call(self, func.val)), func.tainted or tainted, True)

    def given_by(self, function: Val) -> Val:
        """What calling something may give that is none of its arguments: a part of what it holds."""
        roots = outer(function.possible | self.inside(function) | self.perhaps_inside(function))
        # What a function gives that this one is given, `results` tells.
        named = {r for r in roots if r[0] != "$"}
        return Val(inner_maybe=frozenset(r for r in named if not self.around.holds_settled(r)))

    def name_call(self, node: ast.Call, name: str, args: list[ast.expr]) -> Info:
        spoken = talk.printed(self, node, name, args)
        if spoken is not None:
            return spoken
        self.eval(node.func)
        vals, tainted, heavy = self.eval_all(args)
        if name not in self.body_names and self.around.is_builtin(name):
            info = self.builtin_call(node, name, args, vals, tainted, heavy)
            if info.val == ATOM:
                return info
            names = implicit.of_builtin(name)
            return info._replace(val=self.given_by_special(node, info.val, names, args))
        tainted |= self.info[node.func].tainted
        dotted = self.around.dotted(name)
        if dotted is not None:
            return self.function_call(node, name, dotted, args, vals, tainted)
        if name in self.body_names:
            tainted |= self.called_object(node, self.info[node.func].val, vals)
            function = self.info[node.func].val
            info = self.called(node, name, None, args, [*vals, self.given_by(function)], tainted)
            return info._replace(val=join(info.val, results.of_call(self, function)))
        info = self.called(node, name, None, args, vals, tainted)
        if results.is_unread(self, name):
            return info._replace(val=join(info.val, results.of_name(name)))
        return info

    def called_object(self, node: ast.Call, val: Val, vals: list[Val]) -> bool:
        """What is called may be an object of a class here that can be called, or a function that an
        object from outside holds."""
        tainted = False
        args = [*node.args, *(k.value for k in node.keywords)]
        for site in sorted(val.possible & self.functions.keys()):
            summary = self.functions[site]
            given, exprs = by_position(node, summary, vals, list(args))
            tainted |= self.apply_to_arguments(node, summary, given, exprs)
        for root in sorted(comes_from(val)):
            if self.in_function and root[0] == "$":
                self.calls_held.add(root)
            for summary in self.around.held_functions(root):
                given, exprs = by_position(node, summary, vals, list(args))
                where = f"a function of `{in_words(root)}`{summary.place()}"
                tainted |= self.apply(node, summary, given, exprs, where)
                tainted |= self.reads_of(node, summary, ATOM)
        for summary in self.around.methods_named("__call__"):
            exprs = [node.func, *args]
            given, exprs = by_position(node, summary, [val, *vals], exprs)
            tainted |= self.apply(node, summary, given, exprs, f"`__call__` (line {summary.line})")
        return tainted

    def apply_to_arguments(
        self, node: ast.Call, summary: Summary, given: list[Val], exprs: list[ast.expr | None]
    ) -> bool:
        """What a function that is made here does to what it is given."""
        own = summary.but(
            changes={r for r in summary.changes if r[0] == "$"},
            draws={r for r in summary.draws if r[0] == "$"},
            seeds={r for r in summary.seeds if r[0] == "$"},
            perhaps={r for r in summary.perhaps if r[0] == "$"},
            refusals=[],
        )
        return self.apply(node, own, given, exprs, f"`{summary.name}`{summary.place()}")

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
            target = next((k.value for k in node.keywords if k.arg == "file"), self.own_output)
            if target is not None:
                return Info(
                    ATOM, self.mutate(self.info[target].val, node, target, "file") or tainted, False
                )
            self.effects += 1
            self.because(node, "what is printed must come in order")
            return Info(ATOM, True, False)
        if name == "type" and len(vals) > 2:
            tainted |= self.shared_effects(node, implicit.MAKING_CLASSES)
        if name == "super" and self.around.depth:
            return Info(Val(frozenset({"$0"})), tainted, False)
        if name == "super" and not args:
            self.refuse(
                node,
                "`super()` without arguments only works in the method itself; write `super(Class, self)`",
            )
        if name in ("next", "setattr", "delattr") and args:
            tainted |= self.mutate(vals[0], node, args[0], name)
            if name == "setattr":
                self.put_inside(vals[0], vals[2:])
            if name != "next" and len(args) > 1:
                tainted |= self.bound_by_name(node, args[1], vals)
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
        if name == "sum" and self.around.has_special(ADDING):
            return Info(self.fresh(node, *vals, maybe=True), tainted, heavy)
        if name == "sum" and len(args) == 1:
            return Info(self.fresh(node), tainted, heavy)  # it begins with 0
        if name in fx.SHALLOW_BUILTINS:
            return Info(self.fresh(node, *vals), tainted, heavy)
        if name == "getattr" and len(args) > 1:
            return self.attribute_by_name(node, args, vals, tainted, heavy)
        if name == "vars" and len(args) == 1:
            return Info(self.attribute(vals[0], ".__dict__"), tainted, heavy)
        if name == "iter":
            return Info(self.element(vals[0]) if vals else ATOM, tainted, heavy)
        if name == "type" and len(args) == 1 and vals[0] != ATOM:
            return Info(Val(frozenset({fx.CLASS})), tainted, heavy)
        if name == "open":
            if not self.in_function and self.writes_in_order(node):
                self.effects += 1
                self.because(node, WHY_IN_ORDER)
                self.files_written[node] = node.args[0] if node.args else node
                tainted = True
            return Info(Val(frozenset({self.site(node)})), tainted, True)
        return Info(self.fresh(node, *vals, maybe=True), tainted, True)

    def bound_by_name(self, node: ast.Call, named: ast.expr, vals: list[Val]) -> bool:
        """`setattr(a, name, value)` may call a setter; True: must run in order."""
        name = named.value if isinstance(named, ast.Constant) else None
        names = [name] if isinstance(name, str) else sorted(self.around.module.methods)
        tainted = False
        for each in names:
            for summary in self.around.setters_named(each):
                where = f"`{each}`{summary.place()}"
                tainted |= self.apply(node, summary, [vals[0], *vals[2:]], [node.args[0]], where)
                tainted |= self.reads_of(node, summary, vals[0])
        return tainted

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
        # A file that is there already cannot be made when an iteration is worked again.
        return bool(set(mode) & set("ax+")) or not own

    def names_its_iteration(self, path: ast.expr) -> bool:
        """Whether a file's name is put together from the loop's target as it is."""
        parts = (ast.JoinedStr, ast.FormattedValue, ast.Constant, ast.Name, ast.BinOp, ast.Add)
        calls = (ast.Call, ast.Attribute, ast.Div, ast.Load)
        nodes = list(walk(path))
        if not all(isinstance(n, (*parts, *calls)) for n in nodes):
            return False
        makers = ("Path", "str", "join", "format")
        for n in nodes:
            if isinstance(n, ast.Call):
                last = n.func.attr if isinstance(n.func, ast.Attribute) else n.func
                if (last.id if isinstance(last, ast.Name) else last) not in makers:
                    return False
        names = {n.id for n in nodes if isinstance(n, ast.Name)} & self.body_names
        return any(self.is_target(n) or self.named_by.get(n, False) for n in names)

    def refuse_setting(self, node: ast.Call, dotted: str) -> None:
        """What is set for all of the process would be set in a worker alone."""
        shown = ast.unparse(node.func)
        if not self.in_function:
            text = f"`{shown}` sets something for all of this process; do so before the loop"
            self.refuse(node, text)
        elif dotted not in fx.WATCHED_SETTINGS:
            self.refusals.append(f"sets something for all of this process (`{shown}`)")

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
        tainted |= self.calls_path(node, self.around.canonical(path))
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
        if dotted in fx.REDIRECTS and node not in self.managers and not self.in_function:
            text = "`{0}` is for what the body prints as well; write `with {0}:`"
            self.refuse(node, text.format(ast.unparse(node)))
        if dotted in fx.PROCESS_SETTINGS:
            self.refuse_setting(node, dotted)
        if dotted in fx.SIGNALS and self.in_function:
            self.refusals.append(f"sends this process a signal (`{ast.unparse(node.func)}`)")
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
        if dotted in fx.DESCRIPTOR_MAKERS and args:
            self.stands_for_more(args[0])
        if dotted in fx.DESCRIPTOR_FUNCTIONS and args:
            tainted |= self.mutate(vals[0], node, args[0], dotted)
            return Info(ATOM, tainted, False)
        if dotted in fx.SHARED_GIVERS:
            root = f"@{fx.SHARED_GIVERS[dotted]}"
            tainted |= root == fx.MODULES and self.read_path(root, node)
            return Info(Val(frozenset({root})), tainted, False)
        changed = self.arguments_changed(node, dotted, len(node.args))
        if changed:
            self.acting.add(node)
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
        gives_itself = dotted == "copy.copy" and self.around.methods_named("__copy__")
        fresh = dotted.startswith(fx.FRESH_MODULES) and not dotted.startswith("numpy.lib")
        if fresh and not gives_itself:
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
        same_files.changed_in_order(self, node, dotted)
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
            self.put_given(base.val, func.attr, vals)
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
            self.put_given(base.val, name, vals)
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
        if name in BUILT_IN_METHODS:
            tainted |= self.implicit(node, implicit.KEYS, [func.value])
        methods = [*self.around.methods_named(name), *self.methods_elsewhere(base.val, name)]
        for summary in methods:
            tainted |= self.any_method(node, func, base.val, vals, summary)
        if name not in BUILT_IN_METHODS:
            tainted |= self.called_attribute(node, name, base.val, vals, args)
        known = self.result_of_own(node, func, base.val, vals)
        if known is not None:
            return Info(known, tainted, heavy)
        if name in fx.ATOM_METHODS and not any(s.gives for s in methods):
            return Info(ATOM, tainted, heavy)
        if name in fx.DRAWS and self.around.all_streams(base.val.own):
            return Info(draws.given(self, node, name, vals, False), tainted, heavy)
        val = self.given_by_method(node, name, base.val, vals)
        itself = isinstance(func.value, ast.Name) and func.value.id == self.around.self_name()
        if itself and not methods and name in self.around.module.stored_attributes():
            val = join(val, results.of_method(base.val, name))
        return Info(self.with_given(node, val, methods, base.val), tainted, heavy)

    def given_by_method(self, node: ast.Call, name: str, base: Val, vals: list[Val]) -> Val:
        """What a method gives, as far as its name tells."""
        if name == "__new__":
            return self.fresh(node, *vals[1:])  # no part of the class that it is told
        if name in fx.ELEMENT_METHODS:
            return joined([self.element(base, by_key=name in fx.KEY_METHODS), *vals[1:]])
        if name in fx.SHALLOW_METHODS or name in fx.FRESH_METHODS:
            return self.fresh(node, base, *vals)
        if name in fx.VIEW_METHODS:
            return join(base, self.element(base))
        return self.fresh(node, base, *vals, maybe=True)

    def put_given(self, container: Val, method: str, vals: list[Val]) -> None:
        """A method that changes its object puts what it is given into it."""
        if method == "setdefault" and vals:
            self.put_key(container, vals[0])
            vals = vals[1:]
        one_by_one = method in fx.PUTS_ONE
        self.put_inside(container, [] if method == "sort" else vals, one_by_one=one_by_one)

    def called_attribute(
        self, node: ast.Call, name: str, base: Val, vals: list[Val], args: list[ast.expr]
    ) -> bool:
        """A function that objects keep may be called, as `task.done(·)` of each task in a list."""
        tainted = False
        for root in sorted(comes_from(base) - {ITEM}):
            if self.in_function and root[0] == "$":
                self.calls_held.add(bounded(f"{root}.{name}{fx.KEPT}"))
                continue
            for summary in self.around.held_functions(f"{root}.{name}{fx.KEPT}"):
                given, exprs = by_position(node, summary, vals, list(args))
                where = f"`{name}` of what `{in_words(root)}` holds{summary.place()}"
                tainted |= self.apply(node, summary, given, exprs, where)
                tainted |= self.reads_of(node, summary, ATOM)
        return tainted

    def result_of_own(
        self, node: ast.Call, func: ast.Attribute, base: Val, vals: list[Val]
    ) -> Val | None:
        """What another method gives of the object whose method is read, if that is sure to be the
        one which the class shows."""
        if not self.in_function or base.own != {"$0"} or base.maybe or not self.own_method(func):
            return None
        path = ast.unparse(func)
        found = self.around.own_method(path)
        if found is None:
            return None
        given, _ = by_position(node, found, [base, *vals], [None] * (1 + len(vals)))
        return self.result(node, path, found, given)

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
        where = f"`{func.attr}`{summary.place()}"
        exprs: list[ast.expr | None] = [*node.args, *(k.value for k in node.keywords)]
        given = vals
        if not summary.is_static:
            given, exprs = [base, *vals], [func.value, *exprs]
        given, exprs = by_position(node, summary, given, exprs)
        tainted = self.apply(node, summary, given, exprs, where)
        tainted |= self.reads_of(node, summary, base)
        if any(r.partition(".")[0] == "$0" for r in summary.changes):
            self.put_inside(base, vals)
        return tainted

    def effect_call(self, node: ast.Call) -> Info:
        """A call whose value nobody uses: it is there for what it does."""
        before = self.effects
        info = self.eval(node)
        if self.effects > before or info.tainted:
            return info
        func: ast.expr = node.func
        while isinstance(func, ast.Call) and isinstance(func.func, (ast.Attribute, ast.Call)):
            func = func.func  # `show.register(kind)(function)`: the method that is called first
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
        if isinstance(func, ast.Attribute) and self.is_of_object(func):
            return info._replace(tainted=self.changes_by(node, func))
        if known and path is not None and self.around.is_builtin(head):
            return info
        self.effects += 1
        self.because(
            node,
            f"`{ast.unparse(func)}(·)` is called for what it does, and that cannot be seen from here",
        )
        return Info(info.val, True, info.heavy)

    def is_of_object(self, func: ast.Attribute) -> bool:
        """Whether it is a method of some object, and no function of a module."""
        path = path_of(func)
        head = path.partition(".")[0] if path else ""
        if path is None or self.own(head) or head in self.shadow:
            return True
        dotted = self.around.dotted(path)
        return dotted is None or self.is_method(path, dotted, func.attr)

    def changes_by(self, node: ast.Call, func: ast.Attribute) -> bool:
        """A method is called for what it does to its object; True: must run in order."""
        base = self.info.get(func.value) or self.eval(func.value)
        if self.own_method(func) or self.leaves_object(base.val, func.attr):
            return False
        tainted = self.mutate(base.val, node, func.value, func.attr)
        self.put_inside(base.val, [self.info[a].val for a in node.args if a in self.info])
        return tainted

    def decorates(self, node: ast.expr) -> bool:
        """What a decorator does to the object whose method it is: `@show.register(kind)`."""
        func = node.func if isinstance(node, ast.Call) else node
        if not isinstance(func, ast.Attribute) or not self.is_of_object(func):
            return False
        path = path_of(func)
        if path is not None and self.around.summary(path) is not None:
            return False
        return self.changes_by(ast.copy_location(ast.Call(node, [], []), node), func)

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


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False
