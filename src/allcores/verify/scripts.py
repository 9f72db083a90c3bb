"""`allcores verify old.py new.py`: runs both, and finds the first thing in which they differ."""

from __future__ import annotations

import ast
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from allcores.plan.names import COMPREHENSIONS, FUNCTIONS, bound_names, free_names
from allcores.verify import folder, texts
from allcores.verify.differ import Difference, differences
from allcores.verify.outcome import Outcome, Runner

_PATIENCE = 10
"""The second script may take so many times as long as the first one, and a minute more."""


class _CannotCompare(Exception):
    """The two scripts cannot be compared; the text is a sentence for the user."""


def compare_scripts(
    old: Path,
    new: Path,
    args: Sequence[str] = (),
    *,
    timeout: float | None = None,
    copies: bool = True,
    only: Sequence[str] = (),
    names: tuple[str, str] | None = None,
) -> int:
    """Run two scripts in fresh processes and print the first thing in which they differ.

    Each runs in a copy of the working directory with the same arguments. Compared are how they
    end, what they print, the variables of `__main__`, and the files they leave. What differs from
    run to run of the old script itself is left out, and said. timeout: seconds for each (default:
    none for the old one, ten times as long and a minute for the new). copies: False for both to run
    in the working directory itself; files are then not compared. only: what of it to copy. names:
    what to call the two (default: their file names).

    Returns 0 when they do the same and 1 when they differ; 2 when they cannot be run, with a
    sentence on stderr that says why.
    """
    try:
        old, new = (_script(Path(each)) for each in (old, new))
        with tempfile.TemporaryDirectory(prefix="allcores-verify-") as directory:
            runner = Runner(Path(directory).resolve(), copies=copies, only=only)
            lines, code = _compared(runner, old, new, args, timeout, names)
    except (_CannotCompare, folder.CannotCopy) as error:
        sys.stderr.write(f"allcores: {error}.\n")
        return 2
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"allcores: {what}{error.strerror}.\n")
        return 2
    sys.stdout.write("\n".join(lines) + "\n")
    return code


def _script(path: Path) -> Path:
    try:
        ast.parse(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise _CannotCompare(f"there is no file {path}") from None
    except OSError as error:
        raise _CannotCompare(f"{path} cannot be read: {error.strerror}") from None
    except (SyntaxError, ValueError) as error:
        from allcores.show.sentences import not_python

        raise _CannotCompare(not_python(str(path), error)) from None
    return path.absolute()


def _compared(
    runner: Runner,
    old: Path,
    new: Path,
    args: Sequence[str],
    timeout: float | None,
    names: tuple[str, str] | None,
) -> tuple[list[str], int]:
    first = runner.run(old, old, args, timeout)
    if first.timed_out:
        raise _CannotCompare(f"{first.name} {first.ending()}; give it more with --timeout")
    second = runner.run(new, old, args, timeout or _PATIENCE * first.seconds + 60)
    if names is not None or old.name == new.name:
        first.name, second.name = names or (str(old), str(new))
    comparison = Comparison(first, second, old)
    found = comparison.first()
    if found and not second.timed_out:
        # Perhaps it is the clock, or chance: what the old script itself does not repeat.
        again = runner.run(old, old, args, timeout)
        comparison = Comparison(first, second, old, again)
        found = comparison.first()
    if found:
        return found, 1
    return comparison.all_the_same(), 0


@dataclass
class Comparison:
    """Two outcomes side by side, and a second one of the first script."""

    first_: Outcome
    second: Outcome
    source: Path
    again: Outcome | None = None
    varies: list[str] = field(default_factory=list)
    only_loops: list[str] = field(default_factory=list)

    @property
    def names(self) -> str:
        return f"{self.first_.name} and {self.second.name}"

    def first(self) -> list[str]:
        """The first difference in lines for the user; none: they are the same."""
        ways = (self.endings, self.printed, self.order, self.variables, self.files)
        return next((found for way in ways if (found := way())), [])

    def all_the_same(self) -> list[str]:
        """What to say when nothing differs."""
        a, b = self.first_, self.second
        printed = sum(map(len, (a.out, a.err))) - 2
        parts = [f"both {a.ending()}", _count(printed, "line", " printed")]
        if a.dump is not None and b.dump is not None:
            parts.append(_count(len(a.dump.graph.roots) - len(self.only_loops), "variable"))
        if a.written:
            parts.append(_count(a.written, "file", " written"))
        lines = [f"{self.names} do the same: {', '.join(parts)}."]
        if self.varies:
            lines.append(
                f"Not compared, for it differs from run to run of {a.name} itself: "
                f"{', '.join(self.varies)}."
            )
        if self.only_loops:
            lines.append(
                f"Not compared, for nothing in {a.name} reads it after the loop: "
                f"{', '.join(f'`{name}`' for name in self.only_loops)}."
            )
        return lines + self._further()

    def _further(self) -> list[str]:
        a, b = self.first_, self.second
        lines = []
        for each in (a, b):
            if each.dump is None:
                lines.append(f"Variables were not compared: {each.name} ended without cleaning up.")
                break
        unseen = sorted(a.dump.graph.unseen) if a.dump else []
        if unseen:
            lines.append(f"Compared by type and text only: {', '.join(unseen)}.")
        lines += [f"{b.name} was warned: {text}" for text in b.serial if text not in a.serial]
        return lines

    # -- one thing each

    def endings(self) -> list[str]:
        a, b, again = self.first_, self.second, self.again
        if again is not None and again.code != a.code:
            self.varies.append("the exit code")
        elif (a.code, a.timed_out) != (b.code, b.timed_out):
            return [f"{self.names} differ: {a.name} {a.ending()}, {b.name} {b.ending()}."]
        return []

    def printed(self) -> list[str]:
        for stream in ("out", "err"):
            a, b = getattr(self.first_, stream), getattr(self.second, stream)
            again = getattr(self.again, stream) if self.again else a
            what = f"what {'was printed' if stream == 'out' else 'was written to stderr'}"
            found = self.lines(a, b, again, what)
            if found:
                return found
        return []

    def lines(self, a: list[str], b: list[str], again: list[str], what: str) -> list[str]:
        """The first differing line of two texts."""
        varying = texts.varying(a, again)
        if varying is None:
            self.varies.append(what)
            return []
        at = texts.first_differing(a, b, varying)
        if at is None:
            if varying:
                more = f" and {len(varying) - 1} more" if len(varying) > 1 else ""
                self.varies.append(f"line {min(varying) + 1}{more} of {what}")
            return []
        header = f"{self.names} differ in line {at + 1} of {what} (-{self._sides()}):"
        return [header, *(f"    {line}" for line in texts.short_diff(a, b, at))]

    def _sides(self) -> str:
        return f" {self.first_.name}, + {self.second.name}"

    def order(self) -> list[str]:
        """In which order the two streams were written to, where all of it is known."""
        a, b = _tape(self.first_), _tape(self.second)
        if a is None or b is None or a == b:
            return []
        if self.again is not None and _tape(self.again) != a:
            self.varies.append("the order of stdout and stderr")
            return []
        return [f"{self.names} differ in the order in which stdout and stderr are written to."]

    def variables(self) -> list[str]:
        a, b, again = self.first_.dump, self.second.dump, self.again and self.again.dump
        if a is None or b is None:
            return []
        passing = _of_loops_only(self.source)
        names = list(a.graph.roots)
        self.only_loops = sorted({_root(d) for d in differences(a.graph, b.graph, names)} & passing)
        names = [name for name in names if name not in self.only_loops]
        varying: set[str] = set()
        if again:
            found = differences(a.graph, again.graph, names)
            varying = {each.where.strip("`") for each in found}
            self.varies += [f"`{path}`" for path in sorted(varying)[:5]]
            self.varies += ["..."] if len(varying) > 5 else []
        for each in differences(a.graph, b.graph, names):
            if not _covered(each, varying):
                return [f"{self.names} differ: {self._told(each)}."]
        return []

    def _told(self, difference: Difference) -> str:
        return difference.told(f"after {self.first_.name}", f"after {self.second.name}")

    def files(self) -> list[str]:
        a, b = self.first_, self.second
        scripts = {each.script for each in (a, b)}
        for path in sorted({*a.files, *b.files} - scripts):
            found = self.file(path)
            if found:
                return found
        return []

    def file(self, path: str) -> list[str]:
        a, b, again = (each.files.get(path) if each else None for each in self._three())
        if self.again is not None and (a is None) != (again is None):
            self.varies.append(f"whether there is {path}")
            return []
        if a is None or b is None:
            there, gone = self.first_.name, self.second.name
            if a is None:
                there, gone = gone, there
            return [f"{self.names} differ: there is a file {path} after {there}, not after {gone}."]
        if folder.unchanged(a, b):
            return []
        x, y = folder.state_of(a), folder.state_of(b)
        z = folder.state_of(again) if again is not None else x
        return self.contents(x, y, z, path) if x != y else []

    def _three(self) -> Iterator[Outcome | None]:
        yield from (self.first_, self.second, self.again)

    def contents(self, x: bytes, y: bytes, z: bytes, path: str) -> list[str]:
        try:
            a, b, again = (each.decode().split("\n") for each in (x, y, z))
        except UnicodeDecodeError:
            if x != z:
                self.varies.append(f"the file {path}")
                return []
            sizes = f"{len(x):,} and {len(y):,} bytes"
            at = next((i for i, (p, q) in enumerate(zip(x, y)) if p != q), min(len(x), len(y)))
            return [f"{self.names} differ in the file {path} they leave, at byte {at:,} ({sizes})."]
        return self.lines(a, b, again, f"the file {path}")


def _count(number: int, what: str, after: str = "") -> str:
    return f"{number:,} {what}{'s' if number != 1 else ''}{after}"


def _tape(outcome: Outcome) -> list[tuple[str, int]] | None:
    """The order of writes, if the script's own process wrote everything.

    How much went to stderr at a time is left out: tracebacks of equal exceptions differ in length.
    """
    if outcome.dump is None or outcome.serial:
        return None
    tape = outcome.dump.tape
    if sum(lines for name, lines in tape if name == "stdout") != outcome.lines:
        return None
    return [(name, lines if name == "stdout" else 0) for name, lines in tape]


def _root(difference: Difference) -> str:
    """The variable that a difference is in."""
    found = re.match(r"\w+", difference.where.strip("`"))
    return found[0] if found else ""


def _covered(difference: Difference, varying: set[str]) -> bool:
    path = difference.where.strip("`")
    return any(path.startswith(each) for each in varying)


def _of_loops_only(script: Path) -> set[str]:
    """Names whose values nothing reads once the loop that binds them is over.

    Loop targets are read only in loops that bind them anew; other names occur in one loop only.
    """
    outside, loops = _names_by_loop(ast.parse(script.read_bytes()))
    found: set[str] = set()
    for loop, names in loops:
        targets = bound_names(loop.target)
        others = [(each, its) for each, its in loops if each is not loop]
        for name in names - outside:
            again = [bound_names(each.target) for each, its in others if name in its]
            if not again or (name in targets and all(name in each for each in again)):
                found.add(name)
    return found


_Loop = ast.For | ast.AsyncFor


def _names_by_loop(tree: ast.AST) -> tuple[set[str], list[tuple[_Loop, set[str]]]]:
    """Names that occur outside of loops, and those of each outermost loop."""
    outside: set[str] = set()
    loops: list[tuple[_Loop, set[str]]] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, _Loop):
            loops.append((node, set().union(*map(_names, (node.target, *node.body)))))
            waiting += [node.iter, *node.orelse]
        elif isinstance(node, (*COMPREHENSIONS, *FUNCTIONS)):
            outside |= _names(node)
        else:
            outside |= {node.id} if isinstance(node, ast.Name) else set()
            waiting += ast.iter_child_nodes(node)
    return outside, loops


def _names(node: ast.AST) -> set[str]:
    """The names in a piece of source, but for those a function or comprehension has to itself."""
    if isinstance(node, ast.Name):
        return {node.id}
    if isinstance(node, FUNCTIONS):
        outer = [node.args, *getattr(node, "decorator_list", ())]
        return free_names(node).union(*map(_names, outer))
    found = set().union(*map(_names, ast.iter_child_nodes(node)))
    if isinstance(node, COMPREHENSIONS):
        for generator in node.generators:
            found -= bound_names(generator.target)
    return found
