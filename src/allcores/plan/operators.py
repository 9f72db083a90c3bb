"""What operators and other special methods, which no call shows, read and change."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from allcores.plan import effects as fx
from allcores.plan import implicit
from allcores.plan.effects import (
    ATOM,
    NONE,
    Val,
    in_words,
    outer,
)
from allcores.plan.followed import Followed
from allcores.plan.names import path_of


class Operators(Followed):
    """Special methods, over what `Values` knows."""

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

    def given_by_special(
        self, node: ast.AST, val: Val, names: frozenset[str], operands: Sequence[ast.expr | None]
    ) -> Val:
        """The value, which methods of these names may have given."""
        names &= self.around.module.special
        if not names or self.in_special:
            return val
        if not any(e is not None and self.may_have(e, names) for e in operands):
            return val
        called = [s for name in sorted(names) for s in self.around.methods_named(name)]
        operand = operands[0] if operands else None
        owner = self.info[operand].val if operand in self.info else ATOM
        return self.with_given(node, val, called, owner)

    def special(self, node: ast.AST, names: frozenset[str], operands: list[ast.expr]) -> bool:
        tainted = False
        for name in sorted(names):
            for summary in self.around.methods_named(name):
                itself = any(r.startswith("$0") for r in summary.changes)
                for e in operands if itself and name not in implicit.OF_ITSELF else ():
                    for part in self.called_of(self.info[e].val, name):
                        if part.possible and self.mutate(part, node, e, name):
                            self.because(node, f"`{name}`{summary.place()} changes its object")
                            tainted = True
        return self.shared_effects(node, names) or tainted

    def called_of(self, val: Val, name: str) -> list[Val]:
        """What a method is called of where Python calls it of a value: what a list made here holds is
        compared, too."""
        itself = val._replace(maybe=NONE)
        if name in implicit.ONLY_ITS_OWN:
            return [itself]
        return [itself, Val(outer(self.inside(val)))]

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
                if summary.changes:
                    self.acting.add(node)
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
