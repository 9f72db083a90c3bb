"""The command `allcores`: `run` a script with its loops made parallel, `explain` its loops."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from allcores.commands.convert import convert
from allcores.commands.doctor import doctor
from allcores.commands.files import Action, Refusal, complain, path_and_line, plan_at, plans_in
from allcores.commands.find import find
from allcores.commands.running import RunCommand
from allcores.commands.verify import verify
from allcores.mapping import imap
from allcores.plan import Plan
from allcores.settings import PLACES

if TYPE_CHECKING:
    from allcores.show.plans import Line
    from allcores.show.summary import Summary

T = TypeVar("T")


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="allcores", message="%(prog)s %(version)s")
@click.pass_context
def allcores(context: click.Context) -> None:
    """Run Python loops on every core, with the outcome of the plain loop."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@allcores.command(cls=RunCommand, context_settings={"allow_interspersed_args": False})
@click.option("-m", "module", metavar="MODULE", help="Run a module, as `python -m MODULE` does.")
@click.option("--workers", type=click.IntRange(min=1), help="Workers to use [default: all cores].")
@click.option("--on", type=click.Choice(PLACES), help="Where loops run.")
@click.option("--strict", is_flag=True, help="Stop if a loop found parallel has to run serially.")
@click.option(
    "--include",
    metavar="PATH",
    multiple=True,
    type=click.Path(exists=True),
    help="Also make parallel the loops of modules imported from PATH (a file or directory); "
    "may be given several times.",
)
@click.option(
    "--random",
    type=click.Choice(["streams", "plain"]),
    help="Loops that draw random numbers: the plain loop's numbers, and so serially [default], or "
    "in parallel with a stream for each iteration, which gives other numbers.",
)
@click.option(
    "--resume",
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="Keep what iterations have recorded in DIR, and do only what is not there: a run that was "
    "killed goes on where it was.",
)
@click.option("--force", is_flag=True, help="Use workers whatever it costs (for testing).")
@click.option("--quiet", is_flag=True, help="Do not end with a line for each parallel loop.")
@click.option(
    "--summary",
    "summary_file",
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True),
    help="Write to FILE, as JSON, what became of each loop that was read.",
)
@click.argument("script", required=False)
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def run(
    module: str | None,
    workers: int | None,
    on: str | None,
    strict: bool,
    include: tuple[str, ...],
    random: str | None,
    resume: str | None,
    force: bool,
    quiet: bool,
    summary_file: str | None,
    script: str | None,
    args: tuple[str, ...],
) -> Action:
    """Run SCRIPT with every loop that can be parallel made so, and no line of it changed.

    Options go before the script; what follows it is passed on to it. Tracebacks, exit codes and
    `__main__` are as under plain python. At the end a line for each loop that ran in parallel is
    written to stderr.
    """
    if module is not None:
        args = (script, *args) if script is not None else args
    elif script is None:
        raise click.UsageError("say which script to run, or which module with -m.")
    settings = {
        "ALLCORES_WORKERS": str(workers) if workers is not None else None,
        "ALLCORES_ON": on,
        "ALLCORES_STRICT": "1" if strict else None,
        "ALLCORES_RANDOM": random,
        "ALLCORES_FORCE": "1" if force else None,
    }

    if summary_file is not None and not os.path.isdir(os.path.dirname(summary_file) or "."):
        raise click.UsageError(f"there is no folder for {summary_file} to be written to.")

    def action() -> int:
        from allcores import rewrite
        from allcores import script as runner

        os.environ.update({name: value for name, value in settings.items() if value is not None})
        if resume is not None:
            os.environ["ALLCORES_RESUME"] = _journal_in(resume)
        see = _tally_at_exit(summary_file) if summary_file is not None else None
        streams = os.environ.get("ALLCORES_RANDOM") == "streams"
        compiler = partial(rewrite.parallel_code, force=force, own_streams=streams, see=see)
        if include:
            rewrite.rewrite_imports_under(include, compiler)
        with contextlib.nullcontext() if quiet else _summary_at_exit() as summary:
            try:
                if module is not None:
                    code = runner.run_module(module, args, compiler)
                else:
                    code = runner.run_script(script or "", args, compiler)
            except runner.CannotRunError as error:
                raise Refusal(f"{error}.") from None
            if summary is not None:
                summary.ended_well = code == 0
            return code

    return action


def _journal_in(folder: str) -> str:
    """Open the journal in a folder, for this run alone; gives the folder. Raises Refusal."""
    from allcores.engine.failures import JournalError
    from allcores.engine.journal import journal_at
    from allcores.engine.private_files import private_folder
    from allcores.settings import JOURNAL

    folder = os.path.abspath(folder)
    try:
        private_folder(folder)
        journal_at(os.path.join(folder, JOURNAL))
    except JournalError as error:
        raise Refusal(f"{error}.") from None
    except OSError as error:
        raise Refusal(f"{folder} cannot be used for a journal: {error.strerror}.") from None
    return folder


def _tally_at_exit(path: str) -> Callable[[Plan], None]:
    """Have what becomes of each loop written to this file; gives what is to see their Plans."""
    from allcores.loop import listeners
    from allcores.show.tally import Tally

    tally = Tally(path)
    listeners.append(tally.add)

    def write() -> None:
        try:
            tally.write()
        except OSError as error:
            complain(f"the summary cannot be written to {path}: {error.strerror}.")

    atexit.register(write)
    return tally.see


@contextlib.contextmanager
def _summary_at_exit() -> Iterator[Summary]:
    from allcores.loop import listeners
    from allcores.show.summary import Summary

    summary = Summary()
    listeners.append(summary.add)
    # Registered before anything of the program's, so that it is called after all of that.
    atexit.register(summary.print)
    try:
        yield summary
    except Refusal:
        atexit.unregister(summary.print)
        raise
    except SystemExit as stop:
        summary.ended_well = stop.code in (None, 0)
        raise


@allcores.command()
@click.option("--json", "as_json", is_flag=True, help="Write the Plans as JSON, for other tools.")
@click.argument("targets", metavar="FILE[:LINE]...", nargs=-1, required=True)
def explain(as_json: bool, targets: tuple[str, ...]) -> Action:
    """Say of each loop in FILE, or of the one at LINE, how it would run, and why. Nothing is run.

    For a directory: each of the Python files below it.
    """
    from allcores.show import plans as show

    def action() -> int:
        show.prepare(sys.stdout)
        # What the parser has to say about the files' string escapes is not asked for here.
        warnings.simplefilter("ignore")
        form: Callable[[Plan, Sequence[str]], Any] = _as_data if as_json else show.lines_of
        found = _explained(targets, form)
        return show.told(lambda: _write_json(list(found)) if as_json else _write_words(found))

    return action


def _write_json(plans: list[dict[str, Any]]) -> None:
    utf8 = sys.stdout.encoding.lower().replace("-", "") == "utf8"
    json.dump(plans, sys.stdout, indent=2, ensure_ascii=not utf8)
    sys.stdout.write("\n")


def _write_words(found: Iterator[list[Line]]) -> None:
    from allcores.show import plans as show

    count = 0
    for lines in found:
        if count:
            sys.stdout.write("\n")
        show.write(lines, sys.stdout)
        count += 1
    if not count:
        sys.stdout.write("There is no `for` loop here.\n")


def _as_data(plan: Plan, _source: Sequence[str]) -> dict[str, Any]:
    from allcores.show import plans as show

    return show.as_data(plan)


def _explained(targets: Iterable[str], form: Callable[[Plan, Sequence[str]], T]) -> Iterator[T]:
    """The Plans asked for, in this form."""
    parts = [part for target in targets for part in _parts(target)]
    for found in imap(partial(_explained_in, form), parts):
        if isinstance(found, Refusal):
            raise found
        yield from found


def _parts(target: str) -> list[tuple[str, int | None, bool]]:
    """Path, line, and whether it was asked for by name, of what a target stands for."""
    path, line = path_and_line(target)
    if os.path.isdir(path) and line is None:
        return [(str(each), None, False) for each in sorted(Path(path).rglob("*.py"))]
    return [(path, line, True)]


def _explained_in(
    form: Callable[[Plan, Sequence[str]], T], part: tuple[str, int | None, bool]
) -> list[T] | Refusal:
    """The Plans of one file, or why there are none; of a file in a folder, that is said."""
    path, line, asked = part
    try:
        plans, source = plans_in(path)
        if line is not None:
            plans = [plan_at(plans, path, line)]
    except Refusal as refusal:
        if asked:
            return refusal
        complain(refusal.format_message())
        return []
    return [form(plan, source) for plan in plans]


allcores.add_command(find)
allcores.add_command(convert)
allcores.add_command(verify)
allcores.add_command(doctor)


def main() -> NoReturn:
    """The entry point of the command: parse, do, exit."""
    try:
        action = allcores.main(prog_name="allcores", standalone_mode=False)
        # --help and --version have done all there is to do, and give their exit code.
        code = action() if callable(action) else (action or 0)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "allcores"
        complain(f"{error.format_message()} (`{command} --help` lists what can be given)")
        sys.exit(2)
    except click.ClickException as error:
        complain(error.format_message())
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    sys.exit(code)
