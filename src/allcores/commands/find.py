"""The command `allcores find`: which loops of a program are worth making parallel."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from allcores.commands.files import Action, Refusal
from allcores.commands.running import RunCommand

if TYPE_CHECKING:
    from allcores.find.measure import Meter


@click.command(cls=RunCommand, context_settings={"allow_interspersed_args": False})
@click.option("-m", "module", metavar="MODULE", help="Run a module, as `python -m MODULE` does.")
@click.option(
    "--include",
    metavar="PATH",
    multiple=True,
    type=click.Path(exists=True),
    help="Also measure the loops of modules imported from PATH (a file or directory); "
    "may be given several times.",
)
@click.option(
    "--html",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write the report, with the source and where the time went, as one web page.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Write the report as JSON, and the program's own output to stderr.",
)
@click.argument("script", required=False)
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def find(
    module: str | None,
    include: tuple[str, ...],
    html: str | None,
    as_json: bool,
    script: str | None,
    args: tuple[str, ...],
) -> Action:
    """Run SCRIPT once, serially, and rank its loops by what making them parallel would save.

    Options go before the script; what follows it is passed on to it. The report comes after the
    script's own output, and the exit code is the script's.
    """
    if module is not None:
        args = (script, *args) if script is not None else args
    elif script is None:
        raise click.UsageError("say which script to run, or which module with -m.")
    if html is not None and not Path(html).absolute().parent.is_dir():
        raise Refusal(f"there is no directory to write {html} in.")

    def action() -> int:
        from allcores import rewrite
        from allcores import script as runner
        from allcores.find.measure import Meter

        # A loop that is marked already is measured as the plain loop.
        os.environ["ALLCORES_ON"] = "serial"
        meter = Meter()
        # What the command itself needs must not depend on where the program goes.
        page = Path(html).absolute() if html is not None else None
        if include:
            rewrite.rewrite_imports_under(include, meter.compile)
        with _reported(meter, page, as_json):
            try:
                if module is not None:
                    return runner.run_module(module, args, meter.compile)
                return runner.run_script(script or "", args, meter.compile)
            except runner.CannotRunError as error:
                raise Refusal(f"{error}.") from None

    return action


@contextlib.contextmanager
def _reported(meter: Meter, page: Path | None, as_json: bool) -> Iterator[None]:
    """Report when the program has ended, in whatever way; not when it could not be started."""
    out = sys.stdout
    swapped = _stdout_to_stderr() if as_json else None
    began, process = perf_counter(), os.getpid()
    try:
        yield
    except Refusal:
        raise
    except BaseException:
        if os.getpid() == process:
            _end(meter, began, page, as_json, out, swapped)
        raise
    _end(meter, began, page, as_json, out, swapped)
    from allcores.script import end_as_interrupted

    end_as_interrupted()


def _end(
    meter: Meter,
    began: float,
    page: Path | None,
    as_json: bool,
    out: Any,
    swapped: Callable[[], None] | None,
) -> None:
    from allcores.find.report import Report

    total = perf_counter() - began
    if swapped is not None:
        swapped()
    else:
        with contextlib.suppress(OSError, ValueError):
            out.flush()
    report = Report.of(meter, total)
    try:
        if as_json:
            json.dump(report.as_data(), out, indent=2)
            out.write("\n")
        else:
            from allcores.show.heat import write

            write(report, out)
        out.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
    if page is not None:
        from allcores.show.page import page_of

        try:
            page.write_text(page_of(report), encoding="utf-8")
        except OSError as error:
            click.echo(f"allcores: {page} cannot be written: {error.strerror}.", err=True)


def _stdout_to_stderr() -> Callable[[], None]:
    """Send the program's output to stderr, that of its child processes too; gives the way back."""
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)

    def back() -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        os.dup2(saved, 1)
        os.close(saved)

    return back
