"""``ssang serve``."""

import os
import sys
from typing import Any

import click

from webapp.commands.model import setting_flags
from webapp.settings import as_environment, read_settings


@click.command()
@setting_flags()
def serve(**flags: Any) -> None:
    """Serve the page and the API with gunicorn.

    Every flag is also an environment variable; the flag wins.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    read_settings(**given)
    os.environ.update(as_environment(given))
    command = [sys.executable, "-m", "gunicorn", "-c", "python:webapp.gunicorn_conf"]
    # The process becomes gunicorn's master, so that signals reach it.
    os.execv(sys.executable, [*command, "webapp:create_app()"])  # noqa: S606
