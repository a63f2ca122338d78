"""What the routes of one application share."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from flask import current_app

from inference.engine import Engine
from inference.errors import NotFound
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
        started: when it was made, in Unix time (seconds).
    """

    settings: Settings
    engine: Engine
    streams: StreamPlaces
    is_stopping: Callable[[], bool] = lambda: False
    started: float = field(default_factory=time.time)

    def check_model_name(self, name: str | None) -> None:
        """Refuses another model's name, where ``strict_model_names`` is set.

        Raises:
            NotFound: that model is not served here.
        """
        if self.settings.strict_model_names and name is not None:
            self.require_model(name)

    def require_model(self, name: str) -> None:
        """Refuses every name but that of the model.

        Raises:
            NotFound: that model is not served here.
        """
        served = self.engine.model.name
        if name != served:
            raise NotFound(f"There is no such model here: ask for {served}.", item="model")


def current_service() -> Service:
    """The service of the current application."""
    service: Service = current_app.extensions[_KEY]
    return service


def current_engine() -> Engine:
    """The engine of the current application."""
    return current_service().engine
