"""Names for what a conversion adds, none of which the user's file has already."""

from __future__ import annotations

import ast
import builtins
import keyword


class Names:
    """Gives names that are in no scope of the file yet."""

    def __init__(self, tree: ast.AST) -> None:
        self.taken = set(dir(builtins)) | set(keyword.kwlist) | set(keyword.softkwlist)
        for node in ast.walk(tree):
            for field in ("id", "name", "arg", "asname", "rest"):
                value = getattr(node, field, None)
                if isinstance(value, str):
                    self.taken.add(value.partition(".")[0])
            if isinstance(node, (ast.Global, ast.Nonlocal)):
                self.taken.update(node.names)

    def new(self, wish: str) -> str:
        """`wish`, or where that is taken `wish_2`, `wish_3`, ...; taken from then on."""
        name, count = wish, 1
        while name in self.taken:
            count += 1
            name = f"{wish}_{count}"
        self.taken.add(name)
        return name
