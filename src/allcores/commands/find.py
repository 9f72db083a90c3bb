"""`allcores find`: where a program's time goes, and what parallel loops would save."""

from __future__ import annotations

import atexit
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from allcores.commands.files import Action, Refusal
from allcores.commands.running import RunCommand

if TYPE_CHECKING:
    from allcores.find.session import Session


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
    help="Also write the report as a web page, with the source and its heat beside it.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Write the report as JSON; what the script itself prints then goes to stderr.",
)
@click.option(
    "--all", "everything", is_flag=True, help="Also list loops that take next to no time."
)
@click.argument("script", required=False)
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def find(
    module: str | None,
    include: tuple[str, ...],
    html: str | None,
    as_json: bool,
    everything: bool,
    script: str | None,
    args: tuple[str, ...],
) -> Action:
    """Run SCRIPT once, serially, and rank its loops by what running them in parallel would save.

    Options go before the script; what follows it is passed on to it. When it has ended, however
    it ended, the report follows what it printed: each loop's share of the time, its iterations,
    whether it can be parallel, the speed-up to expect here and on more cores, and the change to
    make. The exit code is the script's.
    """
    if module is not None:
        args = (script, *args) if script is not None else args
    elif script is None:
        raise click.UsageError("say which script to run, or which module with -m.")

    def action() -> int:
        from allcores.find.session import Session

        page = _page_file(html)
        output = _own_stdout(as_json)
        os.environ["ALLCORES_ON"] = "serial"
        os.environ["ALLCORES_RANDOM"] = "plain"
        session = Session(_cores(), everything)
        _report_at_exit(session, output, page, as_json)
        return _run(session, module, script, args, include)

    return action


def _cores() -> int:
    from allcores.settings import worker_count

    try:
        return worker_count(None)
    except ValueError as error:
        raise Refusal(f"{error}.") from None


def _page_file(html: str | None) -> Path | None:
    """Where the page goes; Refusal before anything has run where it cannot be written."""
    if html is None:
        return None
    page = Path(html).absolute()
    if not page.parent.is_dir():
        raise Refusal(f"there is no directory {Path(html).parent} to write {page.name} in.")
    if not os.access(page if page.exists() else page.parent, os.W_OK):
        raise Refusal(f"{html} cannot be written.")
    return page


def _own_stdout(as_json: bool) -> TextIO | None:
    """Where the report goes. With JSON, all that the script prints goes to stderr from here on."""
    if not as_json:
        return sys.stdout
    sys.stdout.flush()
    ours = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace")
    os.dup2(2, 1)
    return ours


def _run(
    session: Session,
    module: str | None,
    script: str | None,
    args: tuple[str, ...],
    include: tuple[str, ...],
) -> int:
    from allcores import rewrite
    from allcores import script as runner

    if include:
        rewrite.rewrite_imports_under(include, session.code_of)
    session.start()
    try:
        if module is not None:
            code = runner.run_module(module, args, session.code_of)
        else:
            code = runner.run_script(script or "", args, session.code_of)
    except runner.CannotRunError as error:
        session.refused = True
        raise Refusal(f"{error}.") from None
    except SystemExit as stop:
        session.stop(_ending(stop.code))
        raise
    session.interrupted = code != 0 and getattr(sys, "last_type", None) is KeyboardInterrupt
    ending = "Ctrl-C" if session.interrupted else "an exception"
    session.stop(f"{ending} ended it" if code else "")
    return code


def _ending(code: object) -> str:
    if code in (None, 0):
        return ""
    return f"it exited with code {code if isinstance(code, int) else 1}"


def _report_at_exit(
    session: Session, output: TextIO | None, page: Path | None, as_json: bool
) -> None:
    """Have the report written when all of the program is over."""
    process = os.getpid()

    def report() -> None:
        # A child that the program forked has its own end, which is not the run's.
        if os.getpid() != process or session.refused or not session.stopped:
            return
        from allcores.show.report import write_report

        write_report(session, output, page, as_json)
        if session.interrupted:
            from allcores.script import end_as_interrupted

            # What was imported since then has made the interpreter forget it.
            end_as_interrupted()

    # Registered before anything of the program's, so that it is called after all of that.
    atexit.register(report)
