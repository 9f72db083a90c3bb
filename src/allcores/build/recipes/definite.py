"""Which variables surely hold a value where a function returns."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from allcores.plan.names import bound_names

Report = Callable[[ast.Return, set[str], set[str]], None]


def at_returns(body: Sequence[ast.stmt], report: Report) -> None:
    """Call `report(node, sure, possible)` for each `return` of a function's body.

    `sure` are the names bound whenever it is reached, `possible` those bound on some way there.
    """
    _Walk(report).block(body, set(), set())


class _Walk:
    def __init__(self, report: Report) -> None:
        self.report = report

    def block(self, body: Sequence[ast.stmt], sure: set[str], maybe: set[str]) -> set[str] | None:
        """The names surely bound at the end; None where the end is never reached."""
        now: set[str] | None = set(sure)
        for node in body:
            now = self.statement(node, now if now is not None else set(sure), maybe)
            maybe |= bound_names(node)
            if now is None:
                return None
        return now

    def statement(self, node: ast.stmt, sure: set[str], maybe: set[str]) -> set[str] | None:
        if isinstance(node, ast.Return):
            self.report(node, sure, maybe)
            return None
        if isinstance(node, (ast.Raise, ast.Break, ast.Continue)):
            return None
        if isinstance(node, ast.If):
            tested = sure | bound_names(node.test)
            then = self.block(node.body, tested, maybe)
            return _both(then, self.block(node.orelse, tested, maybe))
        if isinstance(node, (ast.For, ast.AsyncFor)):
            self.block(node.body, sure | bound_names(node.target), maybe | bound_names(node))
            self.block(node.orelse, sure, maybe)
            return sure
        if isinstance(node, ast.While):
            self.block(node.body, sure, maybe | bound_names(node))
            self.block(node.orelse, sure, maybe)
            return sure
        if isinstance(node, (ast.With, ast.AsyncWith)):
            inside = sure | bound_names(*node.items)
            self.block(node.body, inside, maybe)
            # The manager may have swallowed an exception of any statement.
            return inside
        if isinstance(node, (ast.Try, ast.TryStar)):
            return self.attempt(node, sure, maybe)
        if isinstance(node, ast.Match):
            for case in node.cases:
                self.block(case.body, sure | bound_names(case.pattern), maybe)
            return sure
        if isinstance(node, ast.Delete):
            return sure - bound_names(node)
        if isinstance(node, ast.AnnAssign) and node.value is None:
            return sure
        return sure | bound_names(node)

    def attempt(
        self, node: ast.Try | ast.TryStar, sure: set[str], maybe: set[str]
    ) -> set[str] | None:
        done = self.block(node.body, sure, maybe)
        if done is not None:
            done = self.block(node.orelse, done, maybe)
        during = maybe | bound_names(*node.body)
        for handler in node.handlers:
            caught = sure | ({handler.name} if handler.name else set())
            end = self.block(handler.body, caught, during)
            done = _both(done, end - {handler.name} if end is not None and handler.name else end)
        final = self.block(node.finalbody, sure, during)
        if final is None or done is None:
            return None
        return done | final


def _both(one: set[str] | None, other: set[str] | None) -> set[str] | None:
    if one is None or other is None:
        return one if other is None else other
    return one & other
