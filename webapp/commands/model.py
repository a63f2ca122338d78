"""What commands that load a model share: its flags, and the engine while the command runs."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from inference.errors import ModelUnavailable
from webapp.capacity import let_idle_threads_sleep
from webapp.settings import Settings, environment_name, read_settings

if TYPE_CHECKING:
    from inference.engine import Engine
    from inference.reader import Reader

MODEL_SETTINGS = (
    "model",
    "query_model",
    "document_model",
    "dimensions",
    "device",
    "precision",
    "compute_threads",
    "max_batch_tokens",
)

READER_SETTINGS = (
    *("reader", "reader_checkpoint", "reader_base"),
    *("max_seq_length", "max_query_length", "max_answer_length", "doc_stride"),
    "no_answer_threshold",
)

_POLL_S = 0.02

Command = Callable[..., Any]


def setting_flags(*names: str) -> Callable[[Command], Command]:
    """Gives a command a flag for each of these settings, or for all; None where it is not given."""

    def add(command: Command) -> Command:
        for name in reversed(names or tuple(Settings.model_fields)):
            row = Settings.model_fields[name]
            default = ",".join(row.default) if isinstance(row.default, tuple) else row.default
            text = f"{row.description}  [{environment_name(name)}; default: {default!r}]"
            # A switch may be given without a value.
            switch: dict[str, Any] = (
                {"is_flag": False, "flag_value": "True"} if row.default is False else {}
            )
            flag = "--" + name.replace("_", "-")
            command = click.option(flag, name, help=text, **switch)(command)
        return command

    return add


def settings_flags(*names: str) -> Callable[[Command], Command]:
    """Gives a command a flag for each of these settings; it gets all settings as ``settings``."""

    def add(command: Command) -> Command:
        @wraps(command)
        def run(**flags: Any) -> Any:
            given = {name: flags.pop(name) for name in names}
            given = {name: value for name, value in given.items() if value is not None}
            return command(settings=read_settings(**given), **flags)

        return setting_flags(*names)(run)

    return add


model_flags = settings_flags(*MODEL_SETTINGS)
"""Gives a command the flags of the model."""


@contextmanager
def loaded_engine(settings: Settings, *, slices_ahead: int = 2) -> Iterator["Engine"]:
    """The engine, once its model is loaded; closed at the end.

    Raises:
        NotFound, InvalidInput: there is no such model, or it cannot be used.
        ModelUnavailable: it could not be loaded.
    """
    # It loads what a help text does not need.
    from webapp.application import create_engine

    _prepare(settings)
    engine = create_engine(settings, slices_ahead=slices_ahead)
    try:
        _load(engine)
        engine.info()
        yield engine
    finally:
        engine.close()


@contextmanager
def loaded_reader(settings: Settings) -> Iterator["Reader"]:
    """The reader, once its model is loaded; closed at the end.

    Raises:
        NotFound, InvalidInput: there is no such reader, or it cannot be used.
        ModelUnavailable: answers are turned off.
    """
    with optional_reader(settings) as reader:
        if reader is None:
            raise ModelUnavailable("Answers are turned off: name a reader with --reader.")
        yield reader


@contextmanager
def optional_reader(settings: Settings) -> Iterator["Reader | None"]:
    """The reader, once its model is loaded, if there is to be one; closed at the end.

    Raises:
        NotFound, InvalidInput: there is no such reader, or it cannot be used.
    """
    from webapp.application import create_reader

    _prepare(settings)
    reader = create_reader(settings)
    if reader is None:
        yield None
        return
    try:
        _load(reader)
        yield reader
    finally:
        reader.close()


def _prepare(settings: Settings) -> None:
    if settings.log_level != "debug":
        # What goes wrong is told in one sentence instead.
        logging.getLogger("inference").addHandler(logging.NullHandler())
        logging.getLogger("inference").propagate = False
    let_idle_threads_sleep()


def _load(model: "Engine | Reader") -> None:
    """Returns when the model is loaded or has failed, however long that takes."""
    from inference.lifecycle import State

    model.start()
    while model.state is State.LOADING:
        time.sleep(_POLL_S)
