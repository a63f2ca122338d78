"""Cohere's rerank over WSGI, with the embedded model."""

from typing import Any

import numpy as np
import pytest
from flask import Response
from flask.testing import FlaskClient
from running_service import kept_full

from inference.engine import Engine
from webapp import create_app
from webapp.errors import Unauthorized
from webapp.reply import TRUNCATED_HEADER
from webapp.rerank import answer_cohere_rerank
from webapp.settings import Settings
from webapp.wire.cohere import CohereErrorReply, CohereRerankReply, CohereRerankRequest
from webapp.wire.openai import OpenAIError

QUERY = "최신 기술 발전"
DOCUMENTS = ["파리의 에펠탑", "인공지능 기술이 빠르게 발전하고 있습니다.", "맛있는 김치찌개"]
BODY = {"query": QUERY, "documents": DOCUMENTS}
LONG = "서울의 오늘 날씨는 맑고 따뜻합니다. " * 200
PATHS = pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank"])


def _rerank(client: FlaskClient, path: str = "/v1/rerank", **fields: Any) -> Any:
    response = client.post(path, json={**BODY, **fields})
    assert response.status_code == 200, response.text
    return response.get_json()


def _error(response: Any, status: int) -> OpenAIError:
    assert response.status_code == status, response.text
    reply = CohereErrorReply.model_validate(response.get_json(), strict=True)
    assert reply.message == reply.error.message
    return reply.error


@PATHS
def test_answers_as_declared(client: FlaskClient, engine: Engine, path: str) -> None:
    reply = CohereRerankReply.model_validate(_rerank(client, path), strict=True)
    ranking = engine.rank(QUERY, DOCUMENTS)
    assert [result.index for result in reply.results] == [item.index for item in ranking.results]
    scores = [result.relevance_score for result in reply.results]
    np.testing.assert_allclose(scores, [item.score for item in ranking.results], atol=1e-5)
    assert reply.results[0].index == 1
    assert reply.usage.total_tokens == reply.meta.tokens.input_tokens == ranking.tokens
    assert reply.model == "ko-mini"
    assert reply.id != _rerank(client, path)["id"]


def test_returns_the_best(client: FlaskClient) -> None:
    best = _rerank(client, top_n=1)["results"]
    assert [result["index"] for result in best] == [1]
    assert len(_rerank(client, top_n=99)["results"]) == len(DOCUMENTS)


def test_repeats_documents_on_request(client: FlaskClient) -> None:
    documents = [DOCUMENTS[0], {"text": DOCUMENTS[1], "page": 3}]
    results = _rerank(client, documents=documents, return_documents=True)["results"]
    assert [result["document"] for result in results] == [documents[1], {"text": documents[0]}]
    assert "document" not in _rerank(client)["results"][0]


def test_fields_that_only_cohere_knows_change_nothing(client: FlaskClient) -> None:
    more: dict[str, Any] = {
        "max_chunks_per_doc": 10,
        "priority": 1,
        "top_n": None,
        "return_documents": None,
    }
    assert _rerank(client, **more)["results"] == _rerank(client)["results"]


def test_texts_are_cut_at_the_length_that_was_asked_for(client: FlaskClient) -> None:
    documents = [LONG, DOCUMENTS[1], "가"]
    tokens = _rerank(client, documents=documents, max_tokens_per_doc=4)["usage"]["total_tokens"]
    assert tokens == 4 + 4 + 4 + 3
    whole, capped = (
        _rerank(client, documents=documents, max_tokens_per_doc=most)["results"]
        for most in (None, 4096)
    )
    assert whole == capped


def test_texts_that_were_cut_are_counted_though_they_are_not_returned(client: FlaskClient) -> None:
    body = {"query": LONG, "documents": [LONG, LONG + "끝", "가"], "top_n": 1}
    assert client.post("/v1/rerank", json=body).headers[TRUNCATED_HEADER] == "3"
    assert client.post("/v1/rerank", json=BODY).headers[TRUNCATED_HEADER] == "0"


@pytest.mark.parametrize(
    ("fields", "item"),
    [
        ({"query": " "}, "query"),
        ({"query": 1}, "query"),
        ({"query": None}, "query"),
        ({"documents": []}, "documents"),
        ({"documents": "가"}, "documents"),
        ({"documents": ["가", ""]}, "documents[1]"),
        ({"documents": ["가", {"text": "\n"}]}, "documents[1]"),
        ({"documents": [1]}, "documents[0]"),
        ({"documents": [{"title": "가"}]}, "documents[0].text"),
        ({"top_n": 0}, "top_n"),
        ({"top_n": "1"}, "top_n"),
        ({"return_documents": "yes"}, "return_documents"),
        ({"max_tokens_per_doc": 0}, "max_tokens_per_doc"),
        ({"max_tokens_per_doc": 2}, "max_tokens_per_doc"),
        ({"model": 1}, "model"),
    ],
)
@PATHS
def test_what_is_wrong_is_the_param(
    client: FlaskClient, path: str, fields: dict[str, object], item: str
) -> None:
    error = _error(client.post(path, json={**BODY, **fields}), 400)
    assert (error.param, error.code) == (item, "invalid_value")
    assert "Cohere" not in error.message


@pytest.mark.parametrize(
    ("method", "kwargs", "status", "code"),
    [
        ("POST", {"data": b"{", "content_type": "application/json"}, 400, "malformed"),
        ("POST", {"json": {"query": QUERY}}, 400, "invalid_value"),
        ("POST", {"data": b"{}"}, 415, "unsupported_media_type"),
        ("POST", {"json": {**BODY, "query": "가" * 999}}, 413, "too_large"),
        ("GET", {}, 405, "method_not_allowed"),
    ],
)
@PATHS
def test_errors_have_the_shape_of_the_contract(
    engine: Engine, path: str, method: str, kwargs: dict[str, Any], status: int, code: str
) -> None:
    client = create_app(Settings(max_body_bytes=500), engine).test_client()
    assert _error(client.open(path, method=method, **kwargs), status).code == code


@PATHS
def test_full_service_says_when_to_come_back(engine: Engine, path: str) -> None:
    app = create_app(Settings(threads=8), engine)
    with kept_full(app):
        response = app.test_client().post(path, json=BODY)
    assert _error(response, 429).type == "rate_limit_error"
    assert int(response.headers["Retry-After"]) >= 1


@PATHS
def test_while_loading_the_model_is_unavailable(engine: Engine, path: str) -> None:
    client = create_app(Settings(), Engine(engine.model)).test_client()
    for fields in ({}, {"max_tokens_per_doc": 100}):
        assert _error(client.post(path, json={**BODY, **fields}), 503).type == "server_error"


@PATHS
def test_request_without_the_key_is_unauthorized(engine: Engine, path: str) -> None:
    app = create_app(Settings(), engine)

    @app.before_request
    def refuse() -> None:
        raise Unauthorized("Send the key.")

    error = _error(app.test_client().post(path, json=BODY), 401)
    assert error.type == "authentication_error"


@PATHS
def test_strict_names_answer_the_loaded_model_only(engine: Engine, path: str) -> None:
    client = create_app(Settings(strict_model_names=True), engine).test_client()
    assert _rerank(client, path, model="ko-mini")["results"]
    error = _error(client.post(path, json={**BODY, "model": "rerank-v3.5"}), 404)
    assert (error.param, error.code) == ("model", "model_not_found")


def test_route_of_another_contract_answers_as_cohere(engine: Engine) -> None:
    app = create_app(Settings(), engine)

    @app.post("/other")
    def other() -> Response:
        return answer_cohere_rerank(CohereRerankRequest.model_validate({**BODY, "query": ""}))

    assert _error(app.test_client().post("/other"), 400).param == "query"


@PATHS
def test_every_error_is_declared(client: FlaskClient, path: str) -> None:
    responses = client.get("/openapi.json").get_json()["paths"][path]["post"]["responses"]
    assert set(responses) == set(map(str, (200, 400, 401, 404, 413, 415, 429, 500, 503, 504)))
    for status, response in responses.items():
        reference = response["content"]["application/json"]["schema"]["$ref"]
        assert reference.endswith("/CohereErrorReply") == (status != "200")
