"""``ssang serve``."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import click

from inference.errors import Conflict
from webapp.commands.model import setting_flags
from webapp.settings import Settings, as_environment, read_settings
from webapp.tunnel import check_tunnel, open_tunnel

_GUNICORN = [sys.executable, "-m", "gunicorn", "-c", "python:webapp.gunicorn_conf"]
_COMMAND = [*_GUNICORN, "webapp:create_app()"]

_KEY_BYTES = 24
_POLL_S = 0.2


@click.command()
@setting_flags()
def serve(**flags: Any) -> None:
    """Serve the page and the API with gunicorn.

    Every flag is also an environment variable; the flag wins.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    settings = read_settings(**given)
    _check_generator(settings)
    os.environ.update(as_environment(given))
    if settings.tunnel:
        sys.exit(_serve_in_public(settings))
    # The process becomes gunicorn's master, so that signals reach it.
    os.execv(sys.executable, _COMMAND)  # noqa: S606


def _check_generator(settings: Settings) -> None:
    """Refuses settings of the generator that cannot be used, before anything else starts."""
    if settings.generator != "extractive":
        # It loads more than gunicorn's master may.
        from webapp.generator import create_generator

        create_generator(settings, None).close()


def _serve_in_public(settings: Settings) -> int:
    """Serves behind a tunnel until the service ends; its exit status."""
    check_tunnel()
    _check_port(settings)
    fragment = ""
    if not settings.trusted_proxies:
        # The agent on this machine is one, and tells that the address is https.
        os.environ.update(as_environment({"trusted_proxies": 1}))
    if not settings.api_keys and not settings.no_auth:
        key = secrets.token_urlsafe(_KEY_BYTES)
        # By the environment, which other users of the machine cannot read.
        os.environ.update(as_environment({"api_keys": key}))
        # Browsers send no fragment anywhere; the page takes it from there.
        fragment = f"#key={key}"
    with open_tunnel(settings.port) as address, _running() as service:
        if _wait_until_ready(settings.port, service):
            click.echo(f"Public address: {address}/{fragment}")
        return service.wait()


def _check_port(settings: Settings) -> None:
    """Refuses a port that is taken, on which the tunnel would make another service public."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            raise Conflict(
                f"Port {settings.port} of {settings.host} cannot be had ({error.strerror}): choose "
                "another with --port."
            ) from error


@contextmanager
def _running() -> Iterator[subprocess.Popen[bytes]]:
    """The service as a process of its own, which gets the signals that this one gets."""
    service = subprocess.Popen(_COMMAND)  # noqa: S603
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: service.send_signal(received))
    try:
        yield service
    finally:
        service.terminate()
        service.wait()


def _wait_until_ready(port: int, service: subprocess.Popen[bytes]) -> bool:
    """Whether the service came up; False if it ended before."""
    while service.poll() is None:
        try:
            with urlopen(f"http://127.0.0.1:{port}/ready"):
                return True
        except (URLError, OSError):
            time.sleep(_POLL_S)
    return False
