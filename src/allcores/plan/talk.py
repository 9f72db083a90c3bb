"""What a body tells loggers and the standard streams: in order, and nothing else is changed by it.

In called functions it stays in the workers: what they say comes home and is said there in its
place. In the loop's own body it is a commit. A lock is as it was after `with lock:`. Which object a
parameter of a function is, its callers know: until then its path is kept among what the function
talks to, or the locks it takes.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from allcores.plan import effects as fx
from allcores.plan.effects import ATOM, LOGGING, Roots, Val, in_words, is_outer, overlaps
from allcores.plan.names import path_of

LOCK = "with"
"""Stands for what `with` calls, as the names of methods stand for the others."""

if TYPE_CHECKING:
    from allcores.plan.followed import Followed
    from allcores.plan.summaries import Summary
    from allcores.plan.values import Info


def method_called(
    reader: Followed, node: ast.Call, func: ast.Attribute, args: list[ast.expr]
) -> Info | None:
    """A method call that tells a logger or a standard stream something; None: it is another one."""
    if func.attr not in fx.TALK_METHODS:
        return None
    path = path_of(func.value)
    if path is None and not isinstance(func.value, ast.Call):
        return None
    return evaluated(reader, node, func.value, args, func.attr)


def printed(reader: Followed, node: ast.Call, name: str, args: list[ast.expr]) -> Info | None:
    """`print(·, file=·)` to a logger or a standard stream; None: it is another call."""
    target = next((k.value for k in node.keywords if k.arg == "file"), None)
    if name != "print" or target is None:
        return None
    if name in reader.body_names or not reader.around.is_builtin(name):
        return None
    return evaluated(reader, node, target, [a for a in args if a is not target], "write")


def evaluated(
    reader: Followed, node: ast.Call, target: ast.expr, args: list[ast.expr], method: str
) -> Info | None:
    """A call that tells `target` something, if that is a logger or a standard stream."""
    # What is only told something is not read.
    reads, why = set(reader.reads), dict(reader.why)
    base = reader.eval(target)
    roots = talkers(reader, base.val, path_of(target), method)
    if roots is None:
        return None
    reader.reads, reader.why = reads, why
    if method == "write" and isinstance(node.func, ast.Name):
        reader.builtins_used.add(node.func.id)
    _, tainted, _ = reader.eval_all(args)
    return said(reader, node, roots, base.tainted or tainted)


def locked(reader: Followed, item: ast.withitem) -> Info | None:
    """`with lock:`, which leaves the lock as it was; None: it is another kind of `with`."""
    if item.optional_vars is not None or path_of(item.context_expr) is None:
        return None
    reads, why = set(reader.reads), dict(reader.why)
    info = reader.eval(item.context_expr)
    roots = talkers(reader, info.val, path_of(item.context_expr), LOCK)
    if roots is None:
        return None
    reader.reads, reader.why = reads, why
    reader.locks |= roots
    return info._replace(tainted=info.tainted or told(reader, item.context_expr, roots))


def talkers(reader: Followed, val: Val, path: str | None, method: str) -> Roots | None:
    """What the value may be, where all of that is told something and not changed by it."""
    around = reader.around
    if path is not None:
        head = path.partition(".")[0]
        if not reader.own(head) and head not in reader.shadow and around.leaves(path, method):
            root = around.canonical(path)
            return frozenset({LOGGING if root == "@logging" else root})
    if not val.own or val.maybe:
        return None
    for root in val.own:
        if not is_outer(root):
            return None
        if root == LOGGING or (reader.in_function and root[0] == "$"):
            continue
        if root.startswith(f"{fx.ITEM}.") and around.live is not None:
            continue
        if not around.leaves(root, method):
            return None
    return val.own


def said(reader: Followed, node: ast.AST, roots: Roots, tainted: bool) -> Info:
    """Something is told these here; in a function it needs no order of its own."""
    from allcores.plan.values import Info

    tainted |= told(reader, node, roots)
    reader.talks |= roots
    reader.effects += 1
    if reader.in_function:
        return Info(ATOM, tainted, False)
    reader.because(node, "what is printed or logged must come in order")
    return Info(ATOM, True, False)


def told(reader: Followed, node: ast.AST, roots: Roots) -> bool:
    """Whether the loop also changes what is told something here."""
    changed = (*reader.changed, *reader.maybe_changed)
    for root in (*roots, LOGGING):
        for c in changed:
            if overlaps(root, c):
                shown = in_words(root), in_words(c)
                text = "`{}` is told something here, and the loop changes `{}`"
                reader.because(node, text.format(*shown))
                return True
    return False


def by_function(
    reader: Followed, node: ast.AST, summary: Summary, given: list[Val]
) -> tuple[bool, set[str]]:
    """What a called function tells something, and the locks it takes: whether the call must run in
    order, and which of these are something else, so that the function changes them."""
    tainted = False
    others: set[str] = set()
    kinds = (summary.talks, reader.talks, "info"), (summary.locks, reader.locks, LOCK)
    for theirs, ours, method in kinds:
        for root in sorted(theirs):
            roots = _seen_from_here(reader, root, summary, given, method)
            if roots is None:
                others.add(root)
            else:
                ours |= roots
                tainted |= told(reader, node, roots)
    return tainted, others


def _seen_from_here(
    reader: Followed, root: str, summary: Summary, given: list[Val], method: str
) -> Roots | None:
    head, _, rest = root.partition(".")
    if head[0] != "$" or head == fx.ITEM:
        return frozenset({root})
    position = int(head[1:])
    if position >= len(given):
        return None if position in summary.shared_defaults else frozenset()
    val = given[position]
    return talkers(reader, reader.attribute(val, "." + rest) if rest else val, None, method)
