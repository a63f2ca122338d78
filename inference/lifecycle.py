"""The states of a model that a thread of its own loads, and who hears when it has failed."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from inference.errors import ModelUnavailable

log = logging.getLogger(__name__)


class State(StrEnum):
    """What the model can do now."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"
    STOPPING = "stopping"


@dataclass(frozen=True)
class Failure:
    """Why the model will not answer any more.

    Attributes:
        message: one sentence.
        while_loading: it never worked, so starting again will not help.
    """

    message: str
    while_loading: bool


class Lifecycle:
    """From loading to ready, and to failed or stopping, from which nothing leads back.

    Args:
        lock: held over each change; one that its holder may take again, if it does.
    """

    def __init__(self, lock: AbstractContextManager[Any]) -> None:
        self._lock = lock
        self._state = State.LOADING
        self._failure: Failure | None = None
        self._listeners: list[Callable[[Failure], None]] = []

    @property
    def state(self) -> State:
        return self._state

    def become_ready(self) -> None:
        """The model is loaded; it stays stopping if it was told to stop meanwhile."""
        with self._lock:
            if self._state is State.LOADING:
                self._state = State.READY

    def stop(self) -> None:
        """No more work is taken."""
        with self._lock:
            if self._state is not State.FAILED:
                self._state = State.STOPPING

    def fail(self, failure: Failure) -> None:
        """The model will not answer any more: logs it, and tells everybody in their order."""
        with self._lock:
            self._state = State.FAILED
            self._failure = failure
            listeners = list(self._listeners)
        log.critical(failure.message)
        for listener in listeners:
            listener(failure)

    def on_failure(self, callback: Callable[[Failure], None]) -> None:
        """Calls ``callback`` when the model has failed for good; at once if it already has."""
        with self._lock:
            self._listeners.append(callback)
            failure = self._failure
        if failure:
            callback(failure)

    def unavailable(self) -> ModelUnavailable:
        """The error for whoever asks a model that cannot answer."""
        if self._failure:
            return ModelUnavailable(self._failure.message)
        if self._state is State.LOADING:
            return ModelUnavailable("The model is still loading: try again in a few seconds.")
        return ModelUnavailable("The service is stopping: send the request again.")
