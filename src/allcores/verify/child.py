"""Runs one script as `python` does, and at its end writes down what its variables hold.

Started as a file: `python child.py DUMP SCRIPT [ARGS]`.
"""

from __future__ import annotations
import __future__

import atexit
import io
import os
import pickle
import sys
from collections.abc import Mapping
from types import CodeType
from typing import Any, NamedTuple

_Run = list[tuple[str, int]]
"""Which stream was written to in turn, and how many lines were ended there."""


class Dump(NamedTuple):
    """What a script left in its `__main__`, and in which order it wrote to its two streams."""

    graph: Any
    tape: _Run


class _Noting(io.TextIOWrapper):
    """A standard stream that notes when it was written to, for the order of the two."""

    tape: _Run = []
    called = ""

    def write(self, text: str) -> int:
        # Not how many characters: times and the like are printed shorter or longer.
        lines = text.count("\n")
        if self.tape and self.tape[-1][0] == self.called:
            self.tape[-1] = self.called, self.tape[-1][1] + lines
        elif text:
            self.tape.append((self.called, lines))
        return super().write(text)


def data_variables(names: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of a module that hold data: not its modules, functions and classes."""
    from allcores.verify.graph import CODE

    return {
        name: value
        for name, value in names.items()
        if not (name.startswith("__") and name.endswith("__"))
        and not isinstance(value, (*CODE, __future__._Feature))
        and not (callable(value) and hasattr(value, "__wrapped__"))
    }


def _note_order() -> None:
    for called in ("stdout", "stderr"):
        plain = getattr(sys, called)
        if not isinstance(plain, io.TextIOWrapper):
            continue
        settings = (plain.encoding, plain.errors, None, plain.line_buffering, plain.write_through)
        noting = _Noting(plain.detach(), *settings)
        noting.called = called
        setattr(sys, called, noting)
        setattr(sys, f"__{called}__", noting)


def _write_dump(path: str, process: int) -> None:
    if os.getpid() != process:
        return
    from allcores.verify.graph import describe

    graph = describe(data_variables(vars(sys.modules["__main__"])))
    with open(path, "wb") as file:
        pickle.dump(Dump(graph, _Noting.tape), file, protocol=5)


def _plain(source: bytes, filename: str) -> CodeType:
    return compile(source, filename, "exec", dont_inherit=True)


def main() -> None:
    """Run the script named on the command line."""
    from allcores import script as runner

    dump, script, *args = sys.argv[1:]
    # Registered before anything of the program's, so that it is called after all of that.
    atexit.register(_write_dump, dump, os.getpid())
    _note_order()
    try:
        code = runner.run_script(script, args, _plain)
    except runner.CannotRunError as error:
        sys.exit(f"allcores: {error}.")
    sys.exit(code)


if __name__ == "__main__":
    # By its own name, for what is pickled here is read elsewhere.
    from allcores.verify.child import main as start

    start()
