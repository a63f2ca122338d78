"""Invocations without a request, as background work makes them."""

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from flask import Flask
from werkzeug.exceptions import HTTPException, NotAcceptable, UnsupportedMediaType

from inference.engine import Engine
from inference.errors import EmptyInput, InvalidInput, ModelUnavailable
from webapp import create_app, media
from webapp.errors import problem_of
from webapp.invocation import Invocation, invoke
from webapp.reply import JSON
from webapp.service import Service
from webapp.settings import Settings

TEXTS = ["김치찌개와 된장찌개는 한국의 대표 전통 음식입니다.", "오늘 날씨가 참 좋네요."]


@pytest.fixture(scope="module")
def service(app: Flask) -> Service:
    found: Service = app.extensions["ssang"]
    return found


def _invoke(service: Service, value: Any, accept: str = "", **options: bool) -> Invocation:
    return invoke(service, json.dumps(value).encode(), JSON, accept, **options)


def _content(invocation: Invocation) -> bytes:
    body = invocation.body
    return body if isinstance(body, bytes) else b"".join(body)


def _vectors(engine: Engine, texts: list[str], kind: Any = "document") -> Any:
    return engine.embed(texts, kind=kind).vectors


@pytest.mark.parametrize("inputs", [TEXTS, TEXTS[0]])
def test_every_input_has_a_vector(service: Service, engine: Engine, inputs: Any) -> None:
    invocation = _invoke(service, {"inputs": inputs})
    expected = _vectors(engine, inputs if isinstance(inputs, list) else [inputs])
    assert invocation.content_type == JSON
    np.testing.assert_allclose(json.loads(_content(invocation)), expected, atol=1e-5)
    assert (invocation.notes.texts, invocation.notes.truncated) == (len(expected), 0)


@pytest.mark.parametrize("accept", [JSON, media.JSON_LINES, media.CSV, media.NPY])
@pytest.mark.parametrize("stream", [False, True])
def test_every_type_holds_the_same_vectors(
    service: Service, engine: Engine, accept: str, stream: bool
) -> None:
    texts = [f"{number % 7}번 고객님" for number in range(1100)]
    invocation = _invoke(service, {"inputs": texts}, accept, stream=stream)
    assert isinstance(invocation.body, bytes) == (not stream or accept == media.NPY)
    content = _content(invocation)
    readers: dict[str, Callable[[bytes], Any]] = {
        JSON: json.loads,
        media.JSON_LINES: lambda content: [json.loads(line) for line in content.splitlines()],
        media.CSV: lambda content: np.loadtxt(io.BytesIO(content), delimiter=","),
        media.NPY: lambda content: np.load(io.BytesIO(content)),
    }
    np.testing.assert_allclose(readers[accept](content), _vectors(engine, texts), atol=1e-4)
    assert invocation.notes.texts == len(texts)


@pytest.mark.parametrize("stream", [False, True])
def test_queries_and_documents_go_through_their_towers(
    service: Service, engine: Engine, stream: bool
) -> None:
    value = {"queries": TEXTS[0], "documents": TEXTS, "max_length": 64}
    answer = json.loads(_content(_invoke(service, value, stream=stream)))
    counts = {name: answer[name] for name in ("embedding_dim", "num_queries", "num_documents")}
    assert counts == {"embedding_dim": 384, "num_queries": 1, "num_documents": 2}
    query = _vectors(engine, TEXTS[:1], "query")
    np.testing.assert_allclose(answer["query_embeddings"], query, atol=1e-5)
    lines = _content(_invoke(service, value, media.JSON_LINES, stream=stream)).splitlines()
    rows = answer["query_embeddings"] + answer["doc_embeddings"]
    np.testing.assert_allclose([json.loads(line) for line in lines], rows, atol=1e-5)


def test_sentences_are_compared_with_their_source(service: Service, engine: Engine) -> None:
    value = {"inputs": {"source_sentence": TEXTS[0], "sentences": TEXTS}}
    scores = json.loads(_content(_invoke(service, value)))
    np.testing.assert_allclose(
        scores, _vectors(engine, TEXTS) @ _vectors(engine, TEXTS)[0], atol=1e-5
    )
    lines = _content(_invoke(service, value, media.JSON_LINES, stream=True)).splitlines()
    assert [json.loads(line) for line in lines] == pytest.approx(scores)


def test_parameters_say_how_texts_are_read(service: Service) -> None:
    value = {"inputs": ["가 " * 400], "parameters": {"max_length": 8, "unknown": 1}}
    assert _invoke(service, value).notes.truncated == 1
    with pytest.raises(InvalidInput, match=r"inputs\[0\] has 4\d\d tokens"):
        _invoke(service, {**value, "parameters": {"max_length": 8, "truncate": False}})


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([1], "must be a JSON object"),
        ({}, "inputs: This field is required"),
        ({"inputs": []}, "inputs"),
        ({"inputs": [1]}, r"inputs\[0\]"),
        ({"inputs": {"sentences": ["가"]}}, "source_sentence"),
        ({"inputs": {"question": "누구?", "context": "비밀"}}, "answers no questions"),
        ({"inputs": [{"question": "누구?", "context": "비밀"}]}, "answers no questions"),
        ({"queries": ["가"]}, "documents"),
        ({"inputs": "가", "parameters": {"max_length": 1}}, "max_length"),
    ],
)
@pytest.mark.parametrize("accept", [JSON, media.JSON_LINES])
def test_what_is_wrong_is_raised_before_anything_is_sent(
    service: Service, value: Any, words: str, accept: str
) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        _invoke(service, value, accept, stream=True)
    assert problem_of(caught.value, "sagemaker").status == 400
    assert "비밀" not in caught.value.message


def test_empty_text_is_named_before_the_first_line(service: Service) -> None:
    with pytest.raises(EmptyInput, match=r"inputs\[600\]"):
        _invoke(service, {"inputs": ["가"] * 600 + [" "]}, media.JSON_LINES, stream=True)


def test_text_that_is_found_too_long_later_ends_the_lines(service: Service) -> None:
    value = {"inputs": ["가"] * 300 + ["가 " * 600], "parameters": {"truncate": False}}
    body = _invoke(service, value, media.JSON_LINES, stream=True).body
    assert isinstance(body, Iterator)
    assert next(body).count(b"\n") == 256
    with pytest.raises(InvalidInput, match=r"inputs\[300\] has"):
        next(body)


@pytest.mark.parametrize(
    ("content_type", "accept", "kind", "status"),
    [
        ("text/plain", "", UnsupportedMediaType, 415),
        (JSON, "image/png", NotAcceptable, 406),
    ],
)
def test_unknown_types_are_told_which_are_known(
    service: Service, content_type: str, accept: str, kind: type[HTTPException], status: int
) -> None:
    with pytest.raises(kind) as caught:
        invoke(service, b'{"inputs": "a"}', content_type, accept)
    problem = problem_of(caught.value, "sagemaker")
    assert problem.status == status
    assert "application/json" in problem.message


def test_default_accept_is_a_setting(engine: Engine) -> None:
    app = create_app(Settings(default_accept=media.CSV), engine)
    service = app.extensions["ssang"]
    assert [
        _invoke(service, {"inputs": "가"}, accept).content_type for accept in ("", "*/*", JSON)
    ] == [media.CSV, media.CSV, JSON]


def test_while_loading_the_model_is_unavailable(engine: Engine) -> None:
    service = create_app(Settings(), Engine(engine.model)).extensions["ssang"]
    with pytest.raises(ModelUnavailable):
        _invoke(service, {"inputs": "가"}, media.JSON_LINES, stream=True)
