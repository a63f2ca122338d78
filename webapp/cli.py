"""The command line: ``ssang``."""

from importlib import import_module
from typing import Any

import click

from inference.errors import SsangError

_COMMANDS = (
    *("serve", "encode", "score", "index", "search", "ask", "answer"),
    *("collections", "feedback"),
    *("info", "calibrate", "doctor", "package", "deploy"),
)


class _Group(click.Group):
    """Commands that are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"webapp.commands.{cmd_name}"), cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command; what goes wrong on purpose, or with files, is one plain sentence."""
        try:
            return super().invoke(ctx)
        except SsangError as error:
            raise click.ClickException(error.message) from error
        except OSError as error:
            # A pipe that was closed is click's own affair.
            if isinstance(error, BrokenPipeError) or error.filename is None:
                raise
            raise click.ClickException(f"{error.filename}: {error.strerror}.") from error


@click.group(cls=_Group)
@click.version_option(package_name="ssang")
def main() -> None:
    """Serve Korean bi-encoders, and use them on files."""


if __name__ == "__main__":
    main()
