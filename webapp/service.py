"""What the routes of one application share."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import current_app

from inference.engine import Engine
from webapp.admission import StreamPlaces
from webapp.settings import Settings

_KEY = "ssang"


@dataclass
class Service:
    """The engine and its settings, kept with the application.

    Attributes:
        settings: as read at the start.
        engine: the loaded, or loading, model.
        streams: places for answers that are sent while they are made.
        is_stopping: whether the process was told to stop; set by whoever runs it.
    """

    settings: Settings
    engine: Engine
    streams: StreamPlaces
    is_stopping: Callable[[], bool] = lambda: False


def current_service() -> Service:
    """The service of the current application."""
    service: Service = current_app.extensions[_KEY]
    return service


def current_engine() -> Engine:
    """The engine of the current application."""
    return current_service().engine
