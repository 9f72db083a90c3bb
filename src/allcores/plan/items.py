"""Loops that change what they hand out: `for star in stars: star.fit()`.

Such a loop is read a second time, with changes of the iteration's own item taken for work. What
changes comes home with the iteration, and is put into the item before its commits. So other
iterations must not see it, nor may it change any more once a commit has been given the item.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from allcores.plan.effects import ITEM, Roots, is_item, is_outer, overlaps
from allcores.plan.names import path_of

if TYPE_CHECKING:
    from allcores.plan.values import State

PASSED_ON = frozenset("enumerate zip reversed sorted list tuple iter".split())
"""Builtins that hand out the items of what they are given."""
VIEWS = frozenset({"items", "values"})


Change = Literal["perhaps", "bound", "inside"]
"""What happens to a part of the item: one of several is changed in place; it is bound anew; it is
changed in place (and perhaps bound anew)."""
CHANGES: tuple[Change, ...] = ("perhaps", "bound", "inside")


class ItemChanges:
    """What reading notes of changes of the iteration's own item."""

    st: State
    in_function: bool
    after_jump: bool
    touched: list[tuple[ast.AST, str]]

    def __init__(self) -> None:
        self.of_atoms: frozenset[int] | None = None
        """Where items are nothing that could be changed: which parts of them may be whole numbers, -1
        for all; else None."""
        self.numbers: set[str] = set()
        """Targets that may be whole numbers then."""
        self.atoms_changed = False
        """Whether one of these stands for something that is changed."""
        self.in_place = False
        """Whether changes of the item are work."""
        self.item_changes: dict[str, Change] = {}
        """The parts of the item that work changes."""
        self.stores_into: set[str] = set()
        """Lists that commits put items or parts of them into; they must be plain ones."""
        self.item_calls: set[tuple[str, str]] = set()
        """Methods that are called on parts of the item, for what they do."""
        self.item_looks: set[ast.AST] = set()
        """Where what the loop runs over is read, and with it perhaps the iteration's own item."""
        self.item_refusals: dict[tuple[int, str], None] = {}
        """Why items cannot be changed in place here."""
        self.item_sources: list[str] = []
        """Paths of what is looped over, as far as the source shows it."""
        self.guards_items = False
        """Whether work goes on only where the item cannot be changed in place."""

    def only_items(self, roots: Iterable[str]) -> bool:
        """Whether all of these are the iteration's own item or parts of it."""
        return self.in_place and all(map(is_item, roots))

    def but_items(self, node: ast.AST, roots: Roots, how: Change = "inside") -> Roots:
        """The roots without the item and its parts, of which a change is noted."""
        if not self.in_place:
            return roots
        own = frozenset(filter(is_item, roots))
        if how == "inside" and len(own) > 1:
            how = "perhaps"
        for root in sorted(own):
            known = self.item_changes.get(root, "perhaps")
            self.item_changes[root] = max(known, how, key=CHANGES.index)
            self.touched.append((node, root))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                self.item_calls.add((root, node.func.attr))
            head = root.partition(".")[0]
            text = ""
            if head in self.st.used:
                text = "after a statement that runs in order has used it"
            elif self.after_jump:
                text = "only if a statement that runs in order has not ended the iteration"
            if text:
                text = f"`{head.partition(':')[2]}` is changed here {text}"
                self.item_refusals.setdefault((getattr(node, "lineno", 0), text))
        return roots - own

    def outlives(self, roots: Roots) -> bool:
        """Whether any of these outlives the iteration, and is not known to both processes."""
        return any(is_outer(r) and not (self.in_place and is_item(r)) for r in roots)

    def containers_of_items(self, path: str, node: ast.AST) -> list[str]:
        """What the loop runs over, where this path reads it (at `node`) and items are changed."""
        if not self.item_changes or self.in_function:
            return []
        found = [source for source in self.item_sources if overlaps(path, source)]
        if found:
            self.item_looks.add(node)
        return found

    def commit_looks(self, nodes: Iterable[ast.AST]) -> None:
        """A commit evaluates these: the item must not be changed after it has looked at all."""
        nodes = list(nodes)
        counted = {
            n.args[0]
            for n in nodes
            if isinstance(n, ast.Call) and path_of(n.func) == "len" and len(n.args) == 1
        }
        if self.item_looks.intersection(nodes) - counted:
            self.given_to_commit(frozenset(self.item_changes))

    def given_to_commit(self, roots: Roots) -> None:
        """A commit is given these, or what holds them."""
        if self.in_place:
            self.st.used |= {r.partition(".")[0] for r in roots if is_item(r)}


def stored_into(node: ast.stmt) -> str | None:
    """The list of `out.append(·)`, which does not look at what it is given; None: another commit."""
    match node:
        case ast.Expr(
            value=ast.Call(func=ast.Attribute(value=owner, attr="append"), args=[_], keywords=[])
        ):
            return path_of(owner)
    return None


def sources_of(node: ast.expr) -> list[str]:
    """Paths that hold what a loop over this hands out, as far as can be seen."""
    path = path_of(node)
    if path is not None:
        return [path]
    if not isinstance(node, ast.Call):
        return []
    if isinstance(node.func, ast.Attribute) and node.func.attr in VIEWS:
        return sources_of(node.func.value)
    if isinstance(node.func, ast.Name) and node.func.id in PASSED_ON:
        return [path for arg in node.args for path in sources_of(arg)]
    return []


def touches_items(changed: Iterable[str]) -> bool:
    """Whether what a loop hands out is among what it changes."""
    return any(root.partition(".")[0].partition(":")[0] == ITEM for root in changed)
