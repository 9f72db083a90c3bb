"""Reading a loop: source (and live names) in, a Plan out. Never runs the user's code."""

from __future__ import annotations

import ast
import tokenize
from os import PathLike

from allcores.plan.model import Commit, Plan, Reason, Step
from allcores.plan.source import Module, loops_of
from allcores.plan.split import is_marked, split

__all__ = ["Commit", "Plan", "Reason", "Step", "plan_file", "plan_source", "plans_of"]


def plans_of(
    tree: ast.Module, source: str, filename: str, own_streams: bool | None = None
) -> list[Plan]:
    """The Plan of every `for` statement of a parsed module, in line order.

    own_streams: whether iterations may draw each from a random stream of its own; None: those of
    loops that say `parallel` may.
    """
    module = Module(tree, filename)
    return [
        split(node, chain, module, None, is_marked(node) if own_streams is None else own_streams)
        for node, chain in loops_of(tree)
    ]


def plan_source(source: str, filename: str = "<source>") -> list[Plan]:
    """The Plan of every `for` statement in `source`, in line order.

    Raises SyntaxError when the source is not Python.

    >>> [plan] = plan_source("for a in xs:\\n    out.append((a + 1) * k)\\n")
    >>> plan.verdict, plan.varying, plan.fixed, plan.work
    ('parallel', ['a'], ['k'], ['(a + 1) * k'])
    >>> plan.commits
    [Commit(line=2, source='out.append(·)')]
    """
    return plans_of(ast.parse(source, filename), source, filename)


def plan_file(path: str | PathLike[str]) -> list[Plan]:
    """The Plan of every `for` statement in a file, in line order.

    Raises OSError, SyntaxError, or UnicodeDecodeError when the file cannot be read as Python.
    """
    with tokenize.open(path) as stream:
        source = stream.read()
    return plan_source(source, str(path))
