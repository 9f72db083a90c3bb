"""Commands that run a program: what follows the program's name is the program's."""

from __future__ import annotations

import click


class RunCommand(click.Command):
    """All that follows the script's name, or `-m module`, belongs to the script."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, but with `-m module` as the last of the command's own options."""
        return super().parse_args(ctx, self._ended_at_module(args))

    def _ended_at_module(self, args: list[str]) -> list[str]:
        valued = {
            name
            for param in self.params
            if isinstance(param, click.Option) and not param.is_flag
            for name in param.opts
        }
        position = 0
        while position < len(args):
            arg = args[position]
            if arg == "--" or not arg.startswith("-"):
                break
            if arg == "-m":
                return [*args[: position + 2], "--", *args[position + 2 :]]
            if arg.startswith("-m"):
                return [*args[: position + 1], "--", *args[position + 1 :]]
            position += 2 if arg in valued else 1
        return args
