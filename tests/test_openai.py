"""OpenAI's contract over WSGI, with the embedded model and with one that has prompts."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from running_service import kept_full, wait_until
from tiny_model import edit_json, save_bert, save_sentence_transformer

from inference.checkpoint import Kind
from inference.engine import Engine
from inference.lifecycle import State
from inference.model import open_model
from webapp import create_app
from webapp.errors import Unauthorized
from webapp.reply import TRUNCATED_HEADER
from webapp.settings import Settings
from webapp.wire.openai import EmbeddingsReply, ModelsReply, OpenAIError, OpenAIErrorReply

TEXTS = ["오늘 날씨가 참 좋네요.", "환불은 어떻게 받나요?"]
LONG = "서울의 오늘 날씨는 맑고 따뜻합니다. " * 200


def _embed(client: FlaskClient, **body: object) -> Any:
    response = client.post("/v1/embeddings", json={"model": "text-embedding-3-small", **body})
    assert response.status_code == 200, response.text
    return response.get_json()


def _error(response: Any, status: int) -> OpenAIError:
    assert response.status_code == status, response.text
    return OpenAIErrorReply.model_validate(response.get_json(), strict=True).error


def _vectors(answer: Any) -> Any:
    return np.array([item["embedding"] for item in answer["data"]])


def test_answers_as_declared(client: FlaskClient, engine: Engine) -> None:
    answer = _embed(client, input=TEXTS)
    reply = EmbeddingsReply.model_validate(answer, strict=True)
    assert [item.index for item in reply.data] == [0, 1]
    assert reply.model == "ko-mini"
    assert reply.usage.prompt_tokens == reply.usage.total_tokens == engine.embed(TEXTS).tokens
    np.testing.assert_allclose(_vectors(answer), engine.embed(TEXTS).vectors, atol=1e-5)


def test_one_text_is_a_list_of_one(client: FlaskClient) -> None:
    assert _embed(client, input=TEXTS[0]) == _embed(client, input=TEXTS[:1])


def test_base64_holds_the_same_numbers(client: FlaskClient) -> None:
    numbers = _vectors(_embed(client, input=TEXTS)).astype(np.float32)
    coded = _embed(client, input=TEXTS, encoding_format="base64")["data"]
    decoded = [np.frombuffer(base64.b64decode(item["embedding"]), "<f4") for item in coded]
    assert np.array_equal(numbers, decoded)


def test_cut_vectors_are_unit_vectors(client: FlaskClient) -> None:
    whole = _vectors(_embed(client, input=TEXTS))[:, :64]
    cut = _vectors(_embed(client, input=TEXTS, dimensions=64))
    np.testing.assert_allclose(cut, whole / np.linalg.norm(whole, axis=1, keepdims=True), atol=1e-5)


def test_texts_that_were_cut_are_counted_in_a_header(client: FlaskClient) -> None:
    response = client.post("/v1/embeddings", json={"input": [LONG, "가", LONG + "끝"]})
    assert response.headers[TRUNCATED_HEADER] == "2"
    assert client.post("/v1/embeddings", json={"input": "가"}).headers[TRUNCATED_HEADER] == "0"


def test_fields_that_only_openai_knows_change_nothing(client: FlaskClient) -> None:
    more = {"user": "u-1", "encoding_format": None, "dimensions": None, "truncate": "END"}
    assert _embed(client, input=TEXTS, **more) == _embed(client, input=TEXTS)


@pytest.fixture(scope="module")
def prompted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A model that reads queries otherwise than documents."""
    folder = tmp_path_factory.mktemp("prompted")
    bert = save_bert(folder / "bert")
    model: Path = save_sentence_transformer(folder / "model", bert)
    prompts = {"query": "오늘 날씨 ", "document": "한국의 "}
    edit_json(model / "config_sentence_transformers.json", prompts=prompts)
    engine = Engine(open_model(str(model)))
    engine.start()
    wait_until(lambda: engine.state is State.READY)
    yield engine
    engine.close()


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, "document"),
        ({"input_type": "query"}, "query"),
        ({"prompt_name": "query"}, "query"),
        ({"prompt_name": "document"}, "document"),
        ({"input_type": "document", "prompt_name": "query"}, "document"),
        ({"input_type": None, "prompt_name": None}, "document"),
    ],
)
def test_fields_choose_the_tower(prompted: Engine, fields: dict[str, Any], kind: Kind) -> None:
    client = create_app(Settings(), prompted).test_client()
    other: Kind = "query" if kind == "document" else "document"
    vectors = _vectors(_embed(client, input=TEXTS, **fields))
    np.testing.assert_allclose(vectors, prompted.embed(TEXTS, kind=kind).vectors, atol=1e-5)
    assert not np.allclose(vectors, prompted.embed(TEXTS, kind=other).vectors, atol=1e-3)


@pytest.mark.parametrize(
    ("body", "item"),
    [
        ({}, "input"),
        ({"input": []}, "input"),
        ({"input": None}, "input"),
        ({"input": 3}, "input"),
        ({"input": ""}, "input[0]"),
        ({"input": ["가", "나", "다", " \n"]}, "input[3]"),
        ({"input": ["가", 1]}, "input[1]"),
        ({"input": "가", "dimensions": 0}, "dimensions"),
        ({"input": "가", "dimensions": 385}, "dimensions"),
        ({"input": "가", "dimensions": "64"}, "dimensions"),
        ({"input": "가", "encoding_format": "int8"}, "encoding_format"),
        ({"input": "가", "input_type": "passage"}, "input_type"),
        ({"input": "가", "model": 1}, "model"),
        (["가"], "body"),
    ],
)
def test_what_is_wrong_is_the_param(client: FlaskClient, body: object, item: str) -> None:
    error = _error(client.post("/v1/embeddings", json=body), 400)
    assert (error.param, error.type) == (item, "invalid_request_error")
    assert error.code == "invalid_value"


@pytest.mark.parametrize("ids", [[15339, 1917], [[15339, 1917], [1]]])
def test_token_ids_are_refused_with_the_mend(client: FlaskClient, ids: object) -> None:
    error = _error(client.post("/v1/embeddings", json={"input": ids}), 400)
    assert error.param == "input"
    assert "check_embedding_ctx_length=False" in error.message


@pytest.mark.parametrize(
    ("method", "path", "kwargs", "status", "code"),
    [
        (
            "POST",
            "/v1/embeddings",
            {"data": b"{", "content_type": "application/json"},
            400,
            "malformed",
        ),
        ("POST", "/v1/embeddings", {"data": b"{}"}, 415, "unsupported_media_type"),
        ("POST", "/v1/embeddings", {"json": {"input": "가" * 999}}, 413, "too_large"),
        ("GET", "/v1/embeddings", {}, 405, "method_not_allowed"),
        ("GET", "/v1/nothing", {"headers": {"Accept": "text/html"}}, 404, "not_found"),
        ("GET", "/v1/models/org/other", {}, 404, "model_not_found"),
    ],
)
def test_errors_have_the_shape_of_the_contract(
    engine: Engine, method: str, path: str, kwargs: dict[str, Any], status: int, code: str
) -> None:
    client = create_app(Settings(max_body_bytes=500), engine).test_client()
    error = _error(client.open(path, method=method, **kwargs), status)
    assert error.code == code
    assert error.type == "invalid_request_error"


def test_json_may_declare_its_charset(client: FlaskClient) -> None:
    kind = "application/json; charset=utf-8"
    data = '{"input": "가"}'.encode()
    assert client.post("/v1/embeddings", data=data, content_type=kind).status_code == 200


def test_full_service_says_when_to_come_back(engine: Engine) -> None:
    app = create_app(Settings(threads=8), engine)
    with kept_full(app):
        response = app.test_client().post("/v1/embeddings", json={"input": "가"})
    error = _error(response, 429)
    assert (error.type, error.code) == ("rate_limit_error", "rate_limit_exceeded")
    assert int(response.headers["Retry-After"]) >= 1


def test_while_loading_the_model_is_unavailable(engine: Engine) -> None:
    client = create_app(Settings(), Engine(engine.model)).test_client()
    for response in (
        client.post("/v1/embeddings", json={"input": "가"}),
        client.get("/v1/models"),
        client.get("/v1/models/ko-mini"),
    ):
        assert _error(response, 503).type == "server_error"


def test_request_without_the_key_is_unauthorized(engine: Engine) -> None:
    app = create_app(Settings(), engine)

    @app.before_request
    def refuse() -> None:
        raise Unauthorized("Send the key.")

    response = app.test_client().post("/v1/embeddings", json={"input": "가"})
    assert _error(response, 401).type == "authentication_error"
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_models_lists_the_loaded_one(client: FlaskClient) -> None:
    models = ModelsReply.model_validate(client.get("/v1/models").get_json(), strict=True).data
    assert models[0].id == "ko-mini"
    assert client.get("/v1/models/ko-mini").get_json() == models[0].model_dump()


def test_strict_names_answer_the_loaded_model_only(engine: Engine) -> None:
    client = create_app(Settings(strict_model_names=True), engine).test_client()
    for name in ("ko-mini", None):
        _embed(client, input="가", model=name)
    error = _error(client.post("/v1/embeddings", json={"input": "가", "model": "gpt"}), 404)
    assert (error.param, error.code) == ("model", "model_not_found")
    assert "ko-mini" in error.message
    assert "gpt" not in error.message


def test_name_of_a_model_may_hold_slashes(
    client: FlaskClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "model", replace(engine.model, name="org/ko-mini"))
    for path in ("/v1/models/org/ko-mini", "/v1/models/org%2Fko-mini"):
        assert client.get(path).get_json()["id"] == "org/ko-mini"


@pytest.mark.parametrize(
    ("path", "method"),
    [("/v1/embeddings", "post"), ("/v1/models", "get"), ("/v1/models/{id}", "get")],
)
def test_every_error_is_declared(client: FlaskClient, path: str, method: str) -> None:
    responses = client.get("/openapi.json").get_json()["paths"][path][method]["responses"]
    assert set(responses) == set(map(str, (200, 400, 401, 404, 413, 415, 429, 500, 503, 504)))
    for status, response in responses.items():
        reference = response["content"]["application/json"]["schema"]["$ref"]
        assert reference.endswith("/OpenAIErrorReply") == (status != "200")
