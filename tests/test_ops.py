import re
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate

from inference.engine import Engine
from webapp import create_app
from webapp.settings import Settings

MODEL_HEALTH = ["/ready", "/health", "/ping"]


def test_live_answers_without_a_model(engine: Engine) -> None:
    client = create_app(Settings(), Engine(engine.model)).test_client()
    assert client.get("/live").get_json() == {"status": "alive"}


@pytest.mark.parametrize("path", MODEL_HEALTH)
def test_model_health(client: FlaskClient, engine: Engine, path: str) -> None:
    assert client.get(path).get_json() == {"status": "ready"}
    loading = create_app(Settings(), Engine(engine.model)).test_client().get(path)
    assert loading.status_code == 503
    assert loading.get_json() == {"status": "loading"}


@pytest.mark.parametrize("path", MODEL_HEALTH)
def test_not_ready_once_told_to_stop(engine: Engine, path: str) -> None:
    app = create_app(Settings(), engine)
    app.extensions["ssang"].is_stopping = lambda: True
    response = app.test_client().get(path)
    assert response.status_code == 503
    assert response.get_json() == {"status": "stopping"}


def test_a_model_that_cannot_be_loaded_turns_ready_off(tmp_path: Path, engine: Engine) -> None:
    broken = Engine(engine.model, device="cuda:99")
    broken.start()
    broken._batcher._thread.join(60)  # type: ignore[union-attr]
    client = create_app(Settings(), broken).test_client()
    assert client.get("/ready").get_json() == {"status": "failed"}
    answer = client.post("/api/embed", json={"texts": "가"})
    assert answer.status_code == 503
    assert "cuda:99" in answer.get_json()["error"]["message"]


def test_metrics_count_requests_tokens_and_truncations(client: FlaskClient) -> None:
    before = _metrics(client)
    cut = {"texts": ["가나다라마바사", "가"], "max_length": 3}
    client.post("/api/embed", json=cut, buffered=True)
    client.post("/api/embed", json={"texts": ""}, buffered=True)
    after = _metrics(client)

    def grown(name: str) -> float:
        return after.get(name, 0.0) - before.get(name, 0.0)

    labels = 'method="POST",route="/api/embed"'
    assert grown(f'ssang_requests_total{{{labels},status="200"}}') == 1
    assert grown(f'ssang_requests_total{{{labels},status="422"}}') == 1
    assert grown("ssang_tokens_total") == 6
    assert grown("ssang_truncations_total") == 1
    assert grown('ssang_request_seconds_count{route="/api/embed"}') == 2
    assert grown("ssang_batch_texts_count") >= 1
    assert grown("ssang_queue_wait_seconds_count") >= 1
    assert after["ssang_waiting_tokens"] == 0


def test_unknown_methods_and_paths_do_not_multiply_metrics(client: FlaskClient) -> None:
    for number in range(3):
        client.open(f"/nowhere/{number}", method=f"STRANGE{number}", buffered=True)
    names = [name for name in _metrics(client) if "STRANGE" in name or "nowhere" in name]
    assert names == []


def test_openapi_document_is_valid_and_names_every_route(client: FlaskClient, app: Flask) -> None:
    document = client.get("/openapi.json").get_json()
    assert document["openapi"].startswith("3.1")
    validate(document)
    undocumented = {"/rank", "/file", "/answer", "/chat", "/invoke", "/docs", "/openapi.json"}
    undocumented |= {"/docs/assets/{name}", "/static/{filename}"}
    rules = (rule.rule for rule in app.url_map.iter_rules())
    routes = {re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule) for rule in rules}
    assert routes - undocumented == set(document["paths"])


def test_every_operation_declares_its_errors(client: FlaskClient) -> None:
    paths = client.get("/openapi.json").get_json()["paths"]
    for path in ("/api/pairs", "/api/matrix", "/api/rank", "/api/embed"):
        responses = paths[path]["post"]["responses"]
        assert {"200", "400", "413", "415", "422", "429", "503", "504"} <= set(responses)
        for status, response in responses.items():
            reference = response["content"]["application/json"]["schema"]["$ref"]
            assert reference.endswith("/ErrorReply") == (status != "200")


def test_swagger_ui_comes_from_here_without_inline_script(client: FlaskClient) -> None:
    page = client.get("/docs").text
    assert "http" not in page.replace("https://www.w3.org", "")
    assert "<script>" not in page
    for asset in ("js/swagger-ui-bundle.js", "css/swagger-ui.css"):
        assert f"/docs/assets/{asset}" in page
        with client.get(f"/docs/assets/{asset}") as response:
            assert response.status_code == 200
    assert client.get("/docs/assets/../../plugins.py").status_code == 404


def _metrics(client: FlaskClient) -> dict[str, float]:
    lines = client.get("/metrics").text.splitlines()
    samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}
