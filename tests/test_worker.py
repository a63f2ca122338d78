"""The service under the threaded worker that stays with its connections, over bare sockets."""

import json
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPResponse

import pytest
from running_service import RunningService, StartService

_COMMAND = [sys.executable, "-m", "gunicorn", "-c", "python:webapp.gunicorn_conf"]
_COMMAND += ["-k", "webapp.worker.Worker", "webapp:create_app()"]

_THREADS = 8


@pytest.fixture(scope="module")
def service(start_service: StartService) -> RunningService:
    return start_service(_COMMAND, threads=_THREADS, workers=1)


@contextmanager
def _connected(service: RunningService) -> Iterator[socket.socket]:
    host, port = service.url.removeprefix("http://").split(":")
    with closing(socket.create_connection((host, int(port)), timeout=30)) as connection:
        yield connection


def _post(texts: list[str]) -> bytes:
    body = json.dumps({"texts": texts, "encoding": "base64"}).encode()
    head = "POST /api/embed HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _get(path: str, method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def _read(connection: socket.socket, method: str = "GET") -> HTTPResponse:
    """The answer, up to its body."""
    answer = HTTPResponse(connection, method=method)
    answer.begin()
    return answer


def test_headers_and_a_short_body_arrive_together(service: RunningService) -> None:
    with _connected(service) as connection:
        connection.sendall(_post(["가"]))
        head, _, body = connection.recv(2**16).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"Connection: keep-alive" in head
        assert json.loads(body)["truncated"] == [False]


def test_one_connection_carries_every_kind_of_answer(service: RunningService) -> None:
    asked = [
        (_post(["가"]), "POST", 200),
        (_get("/live", "HEAD"), "HEAD", 200),
        (_get("/nowhere"), "GET", 404),
        # Sent from the file, and in pieces.
        (_get("/static/js/language.js"), "GET", 200),
        (_post([f"{number}" for number in range(1025)]), "POST", 200),
        (_get("/ready"), "GET", 200),
    ]
    with _connected(service) as connection:
        for request, method, status in asked:
            connection.sendall(request)
            answer = _read(connection, method)
            assert answer.status == status
            assert bool(answer.read()) == (method != "HEAD")
            assert not answer.will_close


def test_two_requests_sent_at_once_are_both_answered(service: RunningService) -> None:
    with _connected(service) as connection:
        connection.sendall(_get("/live") * 2)
        received = b""
        while received.count(b'{"status":"alive"}') < 2:
            received += connection.recv(2**16)


def test_connections_that_stay_open_keep_no_thread_from_others(service: RunningService) -> None:
    with ExitStack() as stack:
        for _ in range(3 * _THREADS):
            connection = stack.enter_context(_connected(service))
            connection.sendall(_get("/live"))
            assert _read(connection).read() == b'{"status":"alive"}'


def test_a_client_may_leave_or_come_back_later(service: RunningService) -> None:
    for _ in range(3):
        with _connected(service) as connection:
            connection.sendall(_get("/live"))
            assert _read(connection).status == 200
    with _connected(service) as connection:
        connection.sendall(_get("/live"))
        assert _read(connection).status == 200
        # It comes back after the thread has left.
        time.sleep(0.3)
        connection.sendall(_get("/live"))
        assert _read(connection).status == 200
    assert "Traceback" not in service.log


def test_stops_in_order_with_connections_open(start_service: StartService) -> None:
    service = start_service(_COMMAND, threads=_THREADS, workers=1)
    with _connected(service) as connection:
        connection.sendall(_get("/live"))
        assert _read(connection).status == 200
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(timeout=30) == 0
    assert "Traceback" not in service.log
