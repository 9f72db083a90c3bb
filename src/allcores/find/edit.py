"""The one-word change: `for x in xs:` becomes `for x in parallel(xs):`, with its import."""

from __future__ import annotations

import ast
import difflib
import re
import sys

from allcores.plan import Plan
from allcores.plan.names import binds, walk


def one_word_change(source: str, plan: Plan, shown: str) -> str:
    """The change as a unified diff; "" where the loop has the word already or it does not fit.

    source: the file's text. plan: of a loop in it. shown: the file's name in the diff.
    """
    tree = ast.parse(source)
    node = plan.node
    if _is_marked(node.iter):
        return ""
    word, needs_import = _word(tree)
    lines = source.splitlines(keepends=True)
    changed = list(lines)
    if not _put_word(changed, node.iter, word):
        return ""
    if needs_import:
        end = "\r\n" if lines[0].endswith("\r\n") else "\n"
        text = "import allcores" if "." in word else "from allcores import parallel"
        row, new = _import_place(tree, lines, text)
        changed[row:row] = [line + end for line in new]
    try:
        ast.parse("".join(changed))
    except SyntaxError:
        return ""
    diff = difflib.unified_diff(
        [_ended(line) for line in lines],
        [_ended(line) for line in changed],
        f"a/{shown.lstrip('/')}",
        f"b/{shown.lstrip('/')}",
        n=2,
    )
    return "".join(diff)


def _ended(line: str) -> str:
    return line.rstrip("\r\n") + "\n"


def _is_marked(iterable: ast.expr) -> bool:
    return isinstance(iterable, ast.Call) and "parallel" in (
        getattr(iterable.func, "id", ""),
        getattr(iterable.func, "attr", ""),
    )


def _word(tree: ast.Module) -> tuple[str, bool]:
    """How `parallel` is written in this file, and whether an import of it is still needed."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "allcores" and not node.level:
            for alias in node.names:
                if alias.name == "parallel":
                    return alias.asname or alias.name, False
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name == "allcores":
                    return f"{alias.asname or alias.name}.parallel", False
    taken = {name for node in walk(tree) for name in binds(node)}
    taken |= {node.arg for node in walk(tree) if isinstance(node, ast.arg)}
    return ("allcores.parallel" if "parallel" in taken else "parallel"), True


def _put_word(lines: list[str], iterable: ast.expr, word: str) -> bool:
    """Write the word around what is looped over."""
    first, last = iterable.lineno - 1, (iterable.end_lineno or iterable.lineno) - 1
    start = _column(lines[first], iterable.col_offset)
    stop = _column(lines[last], iterable.end_col_offset or 0)
    before = lines[first][:start]
    opened = re.search(r"\bin\s*(\()\s*$", before)
    if opened:
        # Its own parentheses become the call's.
        at = opened.start(1)
        lines[first] = f"{before[:at].rstrip()} {word}{before[at:]}{lines[first][start:]}"
        return True
    if re.search(r"[(\\]\s*$", before):
        return False
    bare = isinstance(iterable, ast.Tuple)
    left, right = (f"{word}((", "))") if bare and lines[first][start] != "(" else (f"{word}(", ")")
    lines[last] = lines[last][:stop] + right + lines[last][stop:]
    lines[first] = f"{before}{'' if before.endswith(' ') else ' '}{left}{lines[first][start:]}"
    return True


def _column(line: str, offset: int) -> int:
    """From the parser's column, in bytes, to one in characters."""
    return len(line.encode()[:offset].decode(errors="ignore"))


def _import_place(tree: ast.Module, lines: list[str], text: str) -> tuple[int, list[str]]:
    """Before which row (from 0) the import goes, and the lines to put there."""
    block = _first_imports(tree)
    if not block:
        return _without_imports(tree, lines, text)
    # A person sorts them: standard library, packages, the program's own modules.
    before = [node for node in block if _order(node) <= _order_of(text)]
    if not before:
        return block[0].lineno - 1, [text, ""]
    row = before[-1].end_lineno or before[-1].lineno
    section = _order_of(text)[0]
    if _order(before[-1])[0] == section:
        return row, [text]
    after = block[len(before) :]
    if after and _order(after[0])[0] == section:
        return after[0].lineno - 1, [text]
    return row, ["", text]


def _first_imports(tree: ast.Module) -> list[ast.Import | ast.ImportFrom]:
    found: list[ast.Import | ast.ImportFrom] = []
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found.append(node)
        elif found or not _is_text(node):
            break
    return found


def _without_imports(tree: ast.Module, lines: list[str], text: str) -> tuple[int, list[str]]:
    if tree.body and _is_text(tree.body[0]):
        row = tree.body[0].end_lineno or 1
        return row, ["", text] if row < len(lines) and not lines[row].strip() else ["", text, ""]
    row = 0
    while row < min(2, len(lines)) and re.match(r"#!|#.*coding[:=]", lines[row]):
        row += 1
    return row, [text, ""]


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _order(node: ast.Import | ast.ImportFrom) -> tuple[int, bool, str]:
    if isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
    else:
        module = node.names[0].name
    return _section(module), isinstance(node, ast.ImportFrom), module.lower()


def _order_of(text: str) -> tuple[int, bool, str]:
    return 2, text.startswith("from"), "allcores"


def _section(module: str) -> int:
    head = module.partition(".")[0]
    if head == "__future__":
        return 0
    if head in sys.stdlib_module_names:
        return 1
    return 2 if head else 3
