"""Requests that pass by Flask: nobody can tell, but for their cost."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, request_started
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder, TestResponse, run_wsgi_app

from inference.engine import Engine
from inference.errors import Overloaded
from webapp import create_app
from webapp.media import CSV
from webapp.settings import Settings

REQUESTS = {
    "/api/pairs": {"pairs": [{"query": "가", "document": "나"}]},
    "/api/matrix": {"queries": ["가"], "documents": ["나", "다"]},
    "/api/rank": {"query": "가", "documents": ["나", "다"]},
    "/api/embed": {"texts": "가"},
    "/v1/embeddings": {"input": ["가", "나 " * 999], "encoding_format": "base64"},
    "/embed": {"inputs": "가"},
    "/similarity": {"inputs": {"source_sentence": "가", "sentences": ["나"]}},
    "/invocations": {"inputs": ["가", "나"]},
}

# They tell of time.
_UNSTEADY = {"x-compute-time", "x-total-time", "x-tokenization-time", "x-queue-time"}
_UNSTEADY |= {"x-inference-time", "X-Request-ID"}


@pytest.fixture
def fresh(engine: Engine) -> Flask:
    return create_app(Settings(), engine)


@pytest.fixture
def seen(fresh: Flask) -> Iterator[list[str]]:
    """A word for each request that Flask saw."""
    words: list[str] = []

    def see(app: Flask, **_: Any) -> None:
        words.append("seen")

    with request_started.connected_to(see, fresh):
        yield words


def _hook(app: Flask) -> None:
    """Makes Flask answer everything."""
    app.before_request(lambda: None)


def _steady(response: TestResponse) -> tuple[int, list[tuple[str, str]], Any]:
    headers = sorted(item for item in response.headers.items() if item[0] not in _UNSTEADY)
    body = response.get_json()
    if isinstance(body, dict) and body.pop("timing_ms", None):
        headers = [item for item in headers if item[0] != "Content-Length"]
    return response.status_code, headers, body


@pytest.mark.parametrize("path", REQUESTS)
def test_answers_are_those_of_flask(
    fresh: Flask, engine: Engine, seen: list[str], path: str
) -> None:
    short = fresh.test_client().post(path, json=REQUESTS[path], buffered=True)
    assert seen == []
    other = create_app(Settings(), engine)
    _hook(other)
    assert _steady(short) == _steady(
        other.test_client().post(path, json=REQUESTS[path], buffered=True)
    )


@pytest.mark.parametrize("path", REQUESTS)
@pytest.mark.parametrize(
    "sent",
    [
        {"data": b"{"},
        {"data": b"[]"},
        {"json": {}},
        {"data": json.dumps({"inputs": ""}), "content_type": "text/plain"},
        {"data": rb'{"inputs": "\ud800", "input": "\ud800", "texts": "\ud800"}'},
    ],
    ids=["broken", "list", "empty", "type", "surrogate"],
)
def test_what_is_unusual_is_answered_by_flask(
    fresh: Flask, engine: Engine, path: str, sent: dict[str, Any]
) -> None:
    sent = {"content_type": "application/json", **sent}
    if "json" in sent:
        del sent["content_type"]
    other = create_app(Settings(), engine)
    _hook(other)
    short, long = (app.test_client().post(path, buffered=True, **sent) for app in (fresh, other))
    assert _steady(short) == _steady(long)


def test_a_body_that_ends_early_is_refused(fresh: Flask) -> None:
    sent = EnvironBuilder(path="/invocations", method="POST", data="inputs\n가", content_type=CSV)
    environ = sent.get_environ() | {"CONTENT_LENGTH": "99"}
    body, status, _ = run_wsgi_app(fresh, environ, buffered=True)
    assert status == "400 BAD REQUEST"
    assert json.loads(b"".join(body))["code"] == "malformed"


def test_errors_of_the_engine_have_the_shape_of_the_contract(
    fresh: Flask, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise Overloaded("Later.", retry_after_s=7)

    monkeypatch.setattr(engine, "embed", refuse)
    response = fresh.test_client().post("/v1/embeddings", json={"input": "가"}, buffered=True)
    assert (response.status_code, response.headers["Retry-After"]) == (429, "7")
    assert response.get_json()["error"]["type"] == "rate_limit_error"


def test_what_nobody_foresaw_is_logged_and_an_internal_error(
    fresh: Flask,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(engine, "embed", lambda *_, **__: 1 / 0)
    response = fresh.test_client().post("/embed", json={"inputs": "가"}, buffered=True)
    assert response.status_code == 500
    assert "ZeroDivisionError" in caplog.text


def test_a_hook_of_somebody_else_is_called(fresh: Flask, seen: list[str]) -> None:
    client = fresh.test_client()
    _hook(fresh)
    client.post("/api/embed", json={"texts": "가"}, buffered=True)
    assert seen == ["seen"]


def test_only_callers_with_a_key_pass(engine: Engine) -> None:
    client = create_app(Settings(api_keys=("one", "two")), engine).test_client()

    def post(**headers: str) -> TestResponse:
        return client.post("/api/embed", json={"texts": "가"}, headers=headers, buffered=True)

    assert post().status_code == post(Authorization="Bearer three").status_code == 401
    for headers in ({"Authorization": "Bearer two"}, {"X-API-Key": "one"}):
        response = post(**headers)
        assert (response.status_code, response.headers["Cache-Control"]) == (200, "private")


def test_other_origins_are_left_to_flask(engine: Engine) -> None:
    app = create_app(Settings(cors_origins=("https://a.example",)), engine)
    headers = {"Origin": "https://a.example"}
    response = app.test_client().post(
        "/api/embed", json={"texts": "가"}, headers=headers, buffered=True
    )
    assert response.headers["Access-Control-Allow-Origin"] == "https://a.example"


def test_requests_are_counted_and_logged_with_their_id(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    before = _count(client)
    with caplog.at_level(logging.INFO):
        response = client.post(
            "/api/embed", json={"texts": ["가", "나"]}, headers={"X-Request-ID": "trace-1"}
        )
    assert response.headers["X-Request-ID"] == "trace-1"
    assert _count(client) == before + 1
    (record,) = [record for record in caplog.records if record.name == "webapp.observation"]
    told = vars(record)
    assert (told["route"], told["status"], told["texts"]) == ("/api/embed", 200, 2)
    assert told["request_id"] == "trace-1"


def _count(client: FlaskClient) -> float:
    name = 'ssang_requests_total{method="POST",route="/api/embed",status="200"} '
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))
