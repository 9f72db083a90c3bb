"""What the commands share: what a command gives, how it refuses, and how files are read."""

from __future__ import annotations

import ast
import os
import re
import tokenize
from collections.abc import Callable, Sequence

import click

from allcores.plan import Plan, plans_of
from allcores.show.sentences import not_python

# A command's function parses and checks; what it returns is then done outside of click, which
# would take a program's KeyboardInterrupt or EOFError for its own.
Action = Callable[[], int]


class Refusal(click.ClickException):
    """Input that cannot be worked with: one sentence on stderr, exit code 2."""

    exit_code = 2


def path_and_line(target: str) -> tuple[str, int | None]:
    """Split "file.py:12"; a file whose own name ends so is taken first."""
    match = re.fullmatch(r"(.+?):(\d+)", target)
    if match is None or os.path.exists(target):
        return target, None
    return match[1], int(match[2])


def plans_in(path: str) -> tuple[list[Plan], Sequence[str]]:
    """The Plans of a file's loops, and its lines; Refusal where it cannot be read."""
    try:
        with tokenize.open(path) as file:
            source = file.read()
        tree = ast.parse(source, path)
    except FileNotFoundError:
        raise Refusal(f"there is no file {path}.") from None
    except IsADirectoryError:
        raise Refusal(f"{path} is a directory, which has no lines.") from None
    except UnicodeDecodeError as error:
        raise Refusal(
            f"{path} cannot be read as {error.encoding} text: byte {error.start} is"
            f" {error.object[error.start]:#x}."
        ) from None
    except OSError as error:
        raise Refusal(f"{path} cannot be read: {error.strerror}.") from None
    except (SyntaxError, ValueError) as error:
        raise Refusal(f"{not_python(path, error)}.") from None
    try:
        return plans_of(tree, source, path), source.splitlines()
    except RecursionError:
        raise Refusal(f"{path} is too deeply nested to be read.") from None


def plan_at(plans: list[Plan], path: str, line: int) -> Plan:
    """The Plan of the loop whose header is on the line, else of the innermost loop around it."""
    on_line = [p for p in plans if p.line <= line <= (p.node.iter.end_lineno or p.line)]
    if on_line:
        return on_line[-1]
    around = [p for p in plans if p.line <= line <= (p.node.end_lineno or p.line)]
    if around:
        innermost = max(around, key=lambda plan: plan.line)
        complain(f"line {line} of {path} is inside the loop on line {innermost.line}.")
        return innermost
    raise Refusal(f"there is no loop on line {line} of {path}{_nearest(plans, line)}.")


def _nearest(plans: list[Plan], line: int) -> str:
    if not plans:
        return ", nor anywhere else in it"
    before = [plan.line for plan in plans if plan.line < line][-1:]
    after = [plan.line for plan in plans if plan.line > line][:1]
    lines = [str(each) for each in before + after]
    if len(lines) == 1:
        return f"; the nearest is on line {lines[0]}"
    return f"; the nearest are on lines {' and '.join(lines)}"


def complain(sentence: str) -> None:
    """Say something on stderr."""
    click.echo(f"allcores: {sentence}", err=True)
