"""Services behind real sockets, and waiting for what they do."""

import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from flask import Flask
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

_START_S = 120


@dataclass
class RunningService:
    """A gunicorn of its own, with its log.

    Attributes:
        url: where it listens.
        process: its arbiter.
        log_file: where its log goes, as JSON.
        workers: that load a model of their own, and take requests while they do.
    """

    url: str
    process: subprocess.Popen[bytes]
    log_file: Path
    workers: int = 1

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8")

    def wait_until_ready(self) -> None:
        """Until every worker is: one alone that says so leaves requests to another that is not."""

        def ready() -> bool:
            assert self.process.poll() is None, self.log
            if self.workers > 1 and self.log.count('"event": "model ready"') < self.workers:
                return False
            return is_ready(self.url)

        wait_until(ready)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)


StartService = Callable[..., RunningService]


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    """Address of an application of this process, for clients that need a real socket."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()


@contextmanager
def kept_full(app: Flask) -> Iterator[None]:
    """An application that refuses requests inside: answers that nobody reads hold every place."""
    client = app.test_client()
    held: list[TestResponse] = []
    while not held or held[-1].status_code == requests.codes.ok:
        held.append(client.get("/api/info", buffered=False))
    try:
        yield
    finally:
        for response in held:
            response.close()


def wait_until(condition: Callable[[], bool], timeout_s: float = _START_S) -> None:
    """Returns once ``condition`` holds; fails if it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/ready", timeout=5).ok
    except (requests.ConnectionError, requests.Timeout):
        return False


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
