"""The HTTP service around the inference package."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from inference.engine import Engine
    from webapp.settings import Settings

__all__ = ["create_app"]


def create_app(settings: "Settings | None" = None, engine: "Engine | None" = None) -> "Flask":
    """The WSGI application.

    Args:
        settings: read from the environment if not given.
        engine: made from the settings, and started, if not given.

    Raises:
        NotFound, InvalidInput: the settings or the model cannot be used.
    """
    # gunicorn's master imports this package for its configuration, before it has set the folder
    # that the workers' metrics share, which must stand when the metrics are first imported.
    from webapp.application import build_app

    return build_app(settings, engine)
