"""The command line: ``ssang``."""

import os
import sys
from typing import Any

import click

from inference.errors import SsangError
from webapp.settings import Settings, as_environment, environment_name, read_settings


@click.group()
@click.version_option(package_name="ssang")
def main() -> None:
    """Serve Korean bi-encoders."""


def _add_setting_flags(command: click.Command) -> click.Command:
    """Gives a command one flag a setting."""
    for name, row in Settings.model_fields.items():
        flag = "--" + name.replace("_", "-")
        default = ",".join(row.default) if isinstance(row.default, tuple) else row.default
        text = f"{row.description}  [{environment_name(name)}; default: {default or repr(default)}]"
        command.params.append(click.Option([flag, name], help=text))
    return command


@_add_setting_flags
@main.command()
def serve(**flags: Any) -> None:
    """Serve the page and the API with gunicorn.

    Every flag is also an environment variable; the flag wins.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        read_settings(**given)
    except SsangError as error:
        raise click.ClickException(error.message) from error
    os.environ.update(as_environment(given))
    command = [sys.executable, "-m", "gunicorn", "-c", "python:webapp.gunicorn_conf"]
    # The process becomes gunicorn's master, so that signals reach it.
    os.execv(sys.executable, [*command, "webapp:create_app()"])  # noqa: S606


if __name__ == "__main__":
    main()
