"""`allcores doctor`: this machine, how workers can be made here, and what makes forks unsafe."""

from __future__ import annotations

import importlib.util
import json
import os
import sys

import click

from allcores.commands.files import Action, Refusal
from allcores.show.sentences import not_python


@click.command()
@click.option(
    "--import",
    "modules",
    metavar="MODULES",
    multiple=True,
    help="Import each of these (as in numpy,torch) in a process of its own, and say whether it could "
    "be forked then.",
)
@click.option("-m", "module", metavar="MODULE", help="As SCRIPT, with a module by its name.")
@click.option("--json", "as_json", is_flag=True, help="Write the report as JSON, for other tools.")
@click.argument("script", required=False, type=click.Path())
def doctor(
    modules: tuple[str, ...], module: str | None, as_json: bool, script: str | None
) -> Action:
    """Say what this machine has, how workers can be made here, and what stands in the way.

    With SCRIPT: what it imports as it starts is imported, in a process of its own, and what each
    import means for forks is said. Nothing else of the script is run.
    """
    if script is not None and module is not None:
        raise click.UsageError("say either a script or -m MODULE, not both.")

    def action() -> int:
        from allcores.doctor import examine
        from allcores.show import doctor as show
        from allcores.show.plans import prepare, told, write

        imports: list[tuple[list[str], str | None]] = []
        for name in ",".join(modules).split(","):
            if name.strip():
                imports.append(([name.strip()], None))
        if script is not None:
            imports.append((_imports_in(script), os.path.dirname(os.path.abspath(script))))
        if module is not None:
            imports.append((_imports_of_module(module), None))
        facts = examine(imports)
        prepare(sys.stdout)

        def say() -> None:
            if as_json:
                json.dump(facts, sys.stdout, indent=2)
                sys.stdout.write("\n")
            else:
                write(show.lines_of(facts), sys.stdout)

        return told(say)

    return action


def _imports_in(path: str, package: str = "") -> list[str]:
    from allcores.doctor import imports_of

    try:
        with open(path, "rb") as file:
            return imports_of(file.read(), package)
    except OSError as error:
        raise Refusal(f"{path} cannot be read: {error.strerror}.") from None
    except (SyntaxError, ValueError) as error:
        raise Refusal(f"{not_python(path, error)}.") from None


def _imports_of_module(name: str) -> list[str]:
    sys.path.insert(0, os.getcwd())
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
    except (ImportError, ValueError):
        spec = None
    finally:
        sys.path.pop(0)
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        raise Refusal(f"there is no module {name} with source to be read here.")
    return _imports_in(spec.origin, spec.name.rpartition(".")[0])
