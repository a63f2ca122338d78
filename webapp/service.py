"""What the routes of one application share."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from flask import current_app

from inference.answering.asker import Asker
from inference.answering.base import Generator
from inference.corpus.base import Corpus
from inference.engine import Engine
from inference.errors import GeneratorUnavailable, InvalidInput, ModelUnavailable, NotFound
from inference.feedback import FeedbackStore
from inference.lifecycle import Failure, State
from inference.reader import Reader
from inference.user_model import UserModel
from webapp.admission import StreamPlaces
from webapp.corpus import create_corpus
from webapp.feedback import create_feedback
from webapp.generator import create_generator
from webapp.settings import Settings

_KEY = "ssang"


@dataclass
class Service:
    """The engine and its settings, kept with the application.

    Attributes:
        settings: as read at the start.
        encoder: the loaded, or loading, model; None where only a user's code answers.
        streams: places for answers that are sent while they are made.
        answerer: the model that answers questions, loaded for the first one; None where answers are
            turned off.
        generator: writes answers from collections, in place of what the settings name.
        user_model: a user's code that answers invocations in place of the engine.
        is_stopping: whether the process was told to stop; set by whoever runs it.
        started: when it was made, in Unix time (seconds).
    """

    settings: Settings
    encoder: Engine | None
    streams: StreamPlaces
    answerer: Reader | None = None
    generator: Generator | None = None
    user_model: UserModel | None = None
    is_stopping: Callable[[], bool] = lambda: False
    started: float = field(default_factory=time.time)
    _corpus: Corpus | None = field(default=None, init=False, repr=False)
    _asker: Asker | None = field(default=None, init=False, repr=False)
    _feedback: FeedbackStore | None = field(default=None, init=False, repr=False)
    _opening: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    @property
    def engine(self) -> Engine:
        """The model.

        Raises:
            ModelUnavailable: there is none.
        """
        if self.encoder is None:
            raise ModelUnavailable(
                "The model's folder holds code of its own and no sentence encoder: "
                "only /invocations answers."
            )
        return self.encoder

    @cached_property
    def is_on_cpu(self) -> bool:
        """Whether the model computes on the CPU.

        Raises:
            ModelUnavailable: nothing is loaded yet.
        """
        return self.engine.info().device == "cpu"

    @property
    def reader(self) -> Reader:
        """What answers questions.

        Raises:
            ModelUnavailable: answers are turned off.
        """
        if self.answerer is None:
            raise ModelUnavailable("Answers are turned off here: start the service with a reader.")
        return self.answerer

    @property
    def corpus(self) -> Corpus:
        """The collections, opened when they are first asked for.

        Raises:
            ModelUnavailable: there is no model to search them with.
        """
        with self._opening:
            if self._corpus is None:
                self._corpus = create_corpus(self.settings, self.engine)
            return self._corpus

    @property
    def feedback(self) -> FeedbackStore:
        """The votes on answers, opened when they are first asked for."""
        with self._opening:
            if self._feedback is None:
                self._feedback = create_feedback(self.settings)
            return self._feedback

    @property
    def asker(self) -> Asker:
        """What answers from collections, made when it is first asked for.

        Raises:
            ModelUnavailable: there is no model to search them with.
            GeneratorUnavailable: there is nothing to write them with.
        """
        with self._opening:
            if self._asker is None:
                nearness = self.engine.model.nearness
                self._asker = Asker(self.generator or self._create_generator(), nearness)
            return self._asker

    def _create_generator(self) -> Generator:
        try:
            return create_generator(self.settings, self.answerer)
        except (InvalidInput, NotFound) as error:
            # What is wrong with the settings is no fault of whoever asks.
            raise GeneratorUnavailable(error.message) from error

    @property
    def state(self) -> State:
        """Whether what answers invocations can, which is the engine where there is no user code."""
        if self.is_stopping():
            return State.STOPPING
        return (self.user_model or self.engine).state

    def on_failure(self, callback: Callable[[Failure], None]) -> None:
        """Calls ``callback`` once what answers invocations has failed for good.

        A user's code may have a model of its own, and do without ours if that does not load. So
        does the service without its reader.
        """
        if self.answerer is not None:
            self.answerer.on_failure(_unless_loading(callback))
        if self.user_model is None:
            self.engine.on_failure(callback)
            return
        self.user_model.on_failure(callback)
        if self.encoder is not None:
            self.encoder.on_failure(_unless_loading(callback))

    def close(self) -> None:
        """Takes no more work, and returns when what waits is done, or after a few seconds."""
        with self._opening:
            if self._asker is not None:
                self._asker.generator.close()
            if self._corpus is not None:
                self._corpus.close()
            if self._feedback is not None:
                self._feedback.close()
        for model in (self.user_model, self.answerer, self.encoder):
            if model is not None:
                model.close()

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


def _unless_loading(callback: Callable[[Failure], None]) -> Callable[[Failure], None]:
    """Hears only of models that worked before they failed."""
    return lambda failure: None if failure.while_loading else callback(failure)


def current_service() -> Service:
    """The service of the current application."""
    service: Service = current_app.extensions[_KEY]
    return service


def current_corpus() -> Corpus:
    """The collections of the current application."""
    return current_service().corpus


def current_feedback() -> FeedbackStore:
    """The votes on the current application's answers."""
    return current_service().feedback


def current_engine() -> Engine:
    """The engine of the current application."""
    return current_service().engine


def current_reader() -> Reader:
    """The reader of the current application."""
    return current_service().reader
