"""The one-word change: `parallel` around what a loop runs over, and its import."""

from __future__ import annotations

import ast
import difflib
import os
from collections.abc import Sequence

from allcores.plan import Plan


def one_word_change(plan: Plan, lines: Sequence[str]) -> str:
    """A unified diff that marks the loop; "" where it says `parallel(...)` already.

    lines: the file's, without their ends.
    """
    source = "\n".join(lines)
    tree = ast.parse(source)
    if "parallel(" in ast.unparse(plan.node.iter):
        return ""
    changed = list(lines)
    it = plan.node.iter
    assert it.end_lineno is not None and it.end_col_offset is not None
    bare = isinstance(it, ast.Tuple) and source.encode()[:0] == b"" and not _bracketed(it, lines)
    opening, closing = ("parallel((", "))") if bare else ("parallel(", ")")
    _insert(changed, it.end_lineno, it.end_col_offset, closing)
    _insert(changed, it.lineno, it.col_offset, opening)
    if not _imports_parallel(tree):
        changed.insert(_import_line(tree), "from allcores import parallel")
    name = os.path.relpath(plan.file)
    diff = difflib.unified_diff(lines, changed, name, name, lineterm="", n=1)
    return "\n".join(diff) + "\n"


def _bracketed(node: ast.expr, lines: Sequence[str]) -> bool:
    return lines[node.lineno - 1].encode()[node.col_offset : node.col_offset + 1] == b"("


def _insert(lines: list[str], line: int, column: int, text: str) -> None:
    raw = lines[line - 1].encode()
    lines[line - 1] = (raw[:column] + text.encode() + raw[column:]).decode()


def _imports_parallel(tree: ast.Module) -> bool:
    return any(
        isinstance(n, ast.ImportFrom)
        and n.module == "allcores"
        and any(a.name == "parallel" and a.asname is None for a in n.names)
        for n in tree.body
    )


def _import_line(tree: ast.Module) -> int:
    """After the first block of imports, else after docstring and `__future__`: how many lines."""
    after = 0
    for node in tree.body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not docstring and not isinstance(node, (ast.Import, ast.ImportFrom)):
            break
        after = node.end_lineno or node.lineno
    return after
