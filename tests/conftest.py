"""Fixtures that several tests share: the loaded model, the application, a running service."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from running_service import RunningService, StartService, free_port, wait_until
from werkzeug.test import TestResponse

from inference.engine import Engine
from inference.lifecycle import State
from inference.model import open_model
from webapp import create_app
from webapp.settings import Settings


@pytest.fixture(scope="session", autouse=True)
def data_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The user's data folder of all tests, and of the processes that they start."""
    folder = tmp_path_factory.mktemp("data-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(folder))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache-home")))
        yield folder


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """The embedded model, loaded."""
    engine = Engine(open_model("ko-mini"))
    engine.start()
    wait_until(lambda: engine.state is not State.LOADING)
    assert engine.state is State.READY
    yield engine
    engine.close()


class _Client(FlaskClient):
    """Reads every answer to its end, which gives its place at the gate back, as a server would."""

    def open(self, *args: Any, buffered: bool = True, **kwargs: Any) -> TestResponse:
        return super().open(*args, buffered=buffered, **kwargs)


@pytest.fixture(scope="session")
def app(engine: Engine) -> Flask:
    """The application with default settings around the loaded model."""
    app = create_app(Settings(), engine)
    app.test_client_class = _Client
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture(scope="session")
def start_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartService]:
    """Starts services on free ports: settings as keyword arguments, ready unless told otherwise."""
    started: list[RunningService] = []

    def start(
        command: list[str] | None = None, wait: bool = True, **settings: object
    ) -> RunningService:
        port = free_port()
        if "model" in settings:
            # A model that is made for one test is not worth compiling.
            settings.setdefault("precision", "fp32")
        if command is None:
            # Each is ready by itself, however many the cores would give.
            settings.setdefault("workers", 1)
        environment = {
            **os.environ,
            "SSANG_PORT": str(port),
            **{f"SSANG_{name.upper()}": str(value) for name, value in settings.items()},
        }
        log_file = tmp_path_factory.mktemp("service") / "log"
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                command or [sys.executable, "-m", "webapp.cli", "serve"],
                env=environment,
                stdout=log,
                stderr=log,
            )
        workers = int(str(settings.get("workers", 1)))
        service = RunningService(f"http://127.0.0.1:{port}", process, log_file, workers)
        started.append(service)
        if wait:
            service.wait_until_ready()
        return service

    yield start
    for service in started:
        service.stop()


@pytest.fixture(scope="session")
def live_server(start_service: StartService) -> str:
    """Address of a running service with default settings."""
    return start_service().url


@pytest.fixture(scope="session")
def exact_server(start_service: StartService) -> str:
    """The address of a service whose vectors are those of the engine."""
    return start_service(precision="fp32").url
