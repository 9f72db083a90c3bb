"""Makes a failing program smaller: takes statements out while it still fails."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.fuzz.grammar import Program


def shrink(program: Program, fails: Callable[[Program], bool], tries: int = 400) -> Program:
    """The smallest program found that fails as well; `tries` bounds the work."""
    best = program
    for part in ("loop", "data", "helpers", "loop"):
        again = True
        while again and tries > 0:
            again = False
            for text in _smaller(getattr(best, part), keep_loop=part == "loop"):
                tries -= 1
                smaller = replace(best, **{part: text})
                if tries > 0 and _runs(smaller) and fails(smaller):
                    best, again = smaller, True
                    break
    return best


def _runs(program: Program) -> bool:
    try:
        compile(program.source, "<smaller>", "exec")
    except SyntaxError:
        return False
    return True


def _smaller(source: str, keep_loop: bool) -> Iterator[str]:
    """The source with one statement left out, or replaced by the statements within it."""
    try:
        count = sum(len(block) for block, _ in _blocks(ast.parse(source)))
    except SyntaxError:  # what only a function may say
        return
    for number in range(count):
        for inner in (False, True):
            tree = ast.parse(source)
            places = [(block, i) for block, size in _blocks(tree) for i in range(size)]
            block, i = places[number]
            statement = block[i]
            if keep_loop and "parallel(" in ast.unparse(statement) and not inner:
                continue
            if (
                inner
                and isinstance(statement, ast.For)
                and "parallel(" in ast.unparse(statement.iter)
            ):
                continue
            inside = [s for b, _ in _blocks_of(statement) for s in b] if inner else []
            if inner and not inside:
                continue
            block[i : i + 1] = inside
            if not block:
                block.append(ast.Pass())
                if not inner and isinstance(statement, ast.Pass):
                    continue
            yield ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def _blocks(tree: ast.AST) -> list[tuple[list[ast.stmt], int]]:
    return [found for node in ast.walk(tree) for found in _blocks_of(node)]


def _blocks_of(node: ast.AST) -> list[tuple[list[ast.stmt], int]]:
    blocks = [getattr(node, name, None) for name in ("body", "orelse", "finalbody")]
    blocks += [h.body for h in getattr(node, "handlers", [])]
    blocks += [c.body for c in getattr(node, "cases", [])]
    return [(b, len(b)) for b in blocks if isinstance(b, list) and b]
