"""The gate, around small WSGI applications whose end the tests decide."""

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from werkzeug.test import Client

from inference.errors import Overloaded, SsangError
from webapp.admission import REFUSAL, Gate

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class Held:
    """Answers when told to, and says what it was refused with."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.release = threading.Event()
        self.refusal: SsangError | None = None

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        refusal = self.refusal = environ.get(REFUSAL)
        start_response("200 OK", [])
        if refusal or environ["PATH_INFO"] == "/live":
            return [type(refusal).__name__.encode()]
        self.entered.release()
        self.release.wait(timeout=30)
        return [b"done"]


@pytest.fixture
def held() -> Iterator[Held]:
    app = Held()
    yield app
    app.release.set()


def _gate(app: Held, **limits: int) -> Gate:
    defaults = {"max_requests": 2, "max_inflight_bytes": 100, "max_body_bytes": 50}
    return Gate(app, **{**defaults, **limits})


def _post(gate: Gate, path: str = "/api/pairs", size: int = 10) -> bytes:
    data: bytes = Client(gate).post(path, data=b"x" * size, buffered=True).data
    return data


def test_refuses_requests_beyond_the_limit_and_admits_again(held: Held) -> None:
    gate = _gate(held)
    with ThreadPoolExecutor(2) as pool:
        admitted = [pool.submit(_post, gate) for _ in range(2)]
        for _ in admitted:
            assert held.entered.acquire(timeout=10)
        assert _post(gate) == b"Overloaded"
        held.release.set()
        assert [future.result() for future in admitted] == [b"done", b"done"]
    assert _post(gate) == b"done"


def test_refuses_bytes_beyond_the_limit(held: Held) -> None:
    gate = _gate(held, max_requests=9, max_inflight_bytes=60)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(_post, gate, size=40)
        assert held.entered.acquire(timeout=10)
        assert _post(gate, size=40) == b"Overloaded"
        held.release.set()


def test_one_body_over_the_limit_is_too_large(held: Held) -> None:
    assert _post(_gate(held), size=51) == b"TooLarge"
    assert "51" in str(held.refusal)


def test_health_passes_a_full_gate(held: Held) -> None:
    gate = _gate(held, max_requests=0)
    assert _post(gate, "/live") == b"NoneType"
    assert _post(gate, "/api/pairs") == b"Overloaded"


def test_refusal_says_when_to_come_back(held: Held) -> None:
    _post(_gate(held, max_requests=0))
    assert isinstance(held.refusal, Overloaded)
    assert held.refusal.retry_after_s >= 1


def test_a_crash_gives_the_place_back() -> None:
    def crash(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ.get(REFUSAL):
            start_response("200 OK", [])
            return [b"refused"]
        raise ZeroDivisionError

    gate = Gate(crash, max_requests=1, max_inflight_bytes=9, max_body_bytes=9)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            Client(gate).get("/api/pairs")
