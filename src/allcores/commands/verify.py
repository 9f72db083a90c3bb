"""`allcores verify`: run both ways and compare everything."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click

from allcores.commands.files import Action, Refusal


@click.command(context_settings={"allow_interspersed_args": False})
@click.option(
    "--timeout", type=click.FloatRange(min=0.001), metavar="SECONDS", help="For each run."
)
@click.option("--workers", type=click.IntRange(min=1), help="Workers to use [default: all cores].")
@click.option(
    "--only",
    multiple=True,
    metavar="PATH",
    help="With two programs: copy only this file or directory of the working directory; may be "
    "given several times.",
)
@click.option(
    "--no-copy", is_flag=True, help="With two programs: run in the working directory itself."
)
@click.option("--loops", is_flag=True, help="Compare the loops of SCRIPT, whatever follows it.")
@click.argument("script", type=click.Path())
@click.argument("args", metavar="[NEW] [ARGS]...", nargs=-1, type=click.UNPROCESSED)
def verify(
    timeout: float | None,
    workers: int | None,
    only: tuple[str, ...],
    no_copy: bool,
    loops: bool,
    script: str,
    args: tuple[str, ...],
) -> Action:
    """Compare by running: the loops of SCRIPT, or SCRIPT with a NEW version of it.

    \b
    allcores verify script.py [ARGS]       each parallel loop, with the plain loop
    allcores verify old.py new.py [ARGS]   all that the two programs leave

    What follows SCRIPT and ends in ".py" is NEW. Exit code 0: the same; 1: a difference, which is
    shown, or something that could not be compared; 2: bad input.
    """
    new = args[0] if args and args[0].endswith(".py") and not loops else None

    def action() -> int:
        signal.signal(signal.SIGTERM, _end)
        try:
            if new is None:
                return _loops(script, args, workers, timeout)
            return _scripts(script, new, args[1:], timeout, not no_copy, only)
        except KeyboardInterrupt:
            return 130

    return action


def _loops(script: str, args: Sequence[str], workers: int | None, timeout: float | None) -> int:
    from allcores.script import CannotRunError
    from allcores.verify import verify_loops

    try:
        return verify_loops(script, args, workers=workers, timeout=timeout)
    except CannotRunError as error:
        raise Refusal(f"{error}.") from None


def _scripts(
    old: str,
    new: str,
    args: Sequence[str],
    timeout: float | None,
    copies: bool,
    only: Sequence[str],
) -> int:
    from allcores.verify import compare_scripts

    if not Path(new).exists():
        hint = f"; if it is an argument of {old}, say `--loops` before it"
        raise Refusal(f"there is no file {new}{hint}.")
    return compare_scripts(Path(old), Path(new), args, timeout=timeout, copies=copies, only=only)


def _end(number: int, frame: object) -> NoReturn:
    # As an exception, so that copies and child processes are cleaned up on the way.
    raise SystemExit(128 + number)
