"""The JSON API over WSGI, with the embedded model."""

import base64
from typing import Any

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from inference.engine import Engine
from webapp import create_app, schema
from webapp.settings import Settings

QUERY, DOCUMENT = "최신 기술 발전", "인공지능 기술이 빠르게 발전하고 있습니다."
LONG = "서울의 오늘 날씨는 맑고 따뜻합니다. " * 200


def _post(client: FlaskClient, path: str, body: object, status: int = 200) -> Any:
    response = client.post(path, json=body)
    assert response.status_code == status, response.text
    return response.get_json()


def test_pairs_come_back_scored_in_order(client: FlaskClient) -> None:
    pairs = [
        ("맛있는 한국 전통 음식 김치찌개", "김치찌개와 된장찌개는 한국의 대표 전통 음식입니다."),
        (QUERY, DOCUMENT),
        ("색깔", "파리의 에펠탑은 프랑스의 상징입니다."),
    ]
    body = {"pairs": [{"query": query, "document": document} for query, document in pairs]}
    answer = _post(client, "/api/pairs", body)
    assert answer["model"] == "ko-mini"
    assert [pair["index"] for pair in answer["pairs"]] == [0, 1, 2]
    scores = [pair["score"] for pair in answer["pairs"]]
    assert scores == sorted(scores, reverse=True)
    assert answer["pairs"][0]["grade"] == "high"
    assert answer["pairs"][2]["grade"] == "low"
    tokens = sum(pair["query_tokens"] + pair["document_tokens"] for pair in answer["pairs"])
    assert answer["usage"] == {"tokens": tokens}
    assert answer["timing_ms"]["total"] >= answer["timing_ms"]["inference"] > 0


def test_matrix_rank_pairs_and_embed_agree(client: FlaskClient) -> None:
    queries, documents = [QUERY, "색깔"], [DOCUMENT, "파리의 에펠탑", "빨간 사과"]
    matrix = _post(client, "/api/matrix", {"queries": queries, "documents": documents})["scores"]
    ranking = _post(client, "/api/rank", {"query": queries[1], "documents": documents})["results"]
    pair = {"query": queries[0], "document": documents[2]}
    scored = _post(client, "/api/pairs", {"pairs": [pair]})["pairs"][0]
    vectors = _post(client, "/api/embed", {"texts": queries + documents})["embeddings"]

    assert np.allclose(matrix, np.array(vectors[:2]) @ np.array(vectors[2:]).T, atol=1e-5)
    assert np.isclose(scored["score"], matrix[0][2], atol=1e-5)
    best = np.argsort(-np.array(matrix[1])).tolist()
    assert [result["index"] for result in ranking] == best
    assert np.allclose([result["score"] for result in ranking], sorted(matrix[1])[::-1], atol=1e-5)


def test_rank_returns_the_best_k(client: FlaskClient) -> None:
    body = {"query": "김치", "documents": ["자동차", "김치찌개", "우주"], "top_k": 1}
    results = _post(client, "/api/rank", body)["results"]
    assert [result["index"] for result in results] == [1]


def test_embed_takes_one_text_or_many(client: FlaskClient) -> None:
    one = _post(client, "/api/embed", {"texts": QUERY})
    many = _post(client, "/api/embed", {"texts": [QUERY]})
    assert one["embeddings"] == many["embeddings"]
    assert one["dimensions"] == len(one["embeddings"][0]) == 384


def test_base64_holds_the_same_numbers(client: FlaskClient) -> None:
    floats = _post(client, "/api/embed", {"texts": [QUERY, DOCUMENT]})["embeddings"]
    coded = _post(client, "/api/embed", {"texts": [QUERY, DOCUMENT], "encoding": "base64"})
    vectors = [np.frombuffer(base64.b64decode(text), "<f4") for text in coded["embeddings"]]
    assert np.array_equal(np.array(floats, dtype=np.float32), vectors)


def test_cut_vectors_are_unit_vectors(client: FlaskClient) -> None:
    whole = np.array(_post(client, "/api/embed", {"texts": QUERY})["embeddings"][0])
    cut = np.array(_post(client, "/api/embed", {"texts": QUERY, "dimensions": 64})["embeddings"][0])
    assert np.allclose(cut, whole[:64] / np.linalg.norm(whole[:64]), atol=1e-6)


def test_truncation_is_told_with_the_whole_length(client: FlaskClient) -> None:
    answer = _post(client, "/api/pairs", {"pairs": [{"query": QUERY, "document": LONG}]})
    pair = answer["pairs"][0]
    assert pair["truncated"]
    assert pair["document_tokens"] > 512
    assert answer["usage"]["tokens"] == pair["query_tokens"] + 512
    assert _post(client, "/api/embed", {"texts": [LONG, QUERY]})["truncated"] == [True, False]


def test_long_texts_are_read_in_passages_on_request(client: FlaskClient) -> None:
    body = {"query": "날씨", "documents": [LONG, "가"], "long": "chunk"}
    results = _post(client, "/api/rank", body)["results"]
    passages = {result["index"]: result["passage"] for result in results}
    assert 0 <= passages[0]["start"] < passages[0]["end"] < len(LONG)
    assert passages[1] == {"start": 0, "end": 1}
    assert not any(result["truncated"] for result in results)
    embedded = _post(client, "/api/embed", {"texts": [LONG, "가"], "long": "chunk"})
    assert embedded["passages"][0] > 1
    assert embedded["passages"][1] == 1


def test_max_length_cuts_shorter(client: FlaskClient) -> None:
    answer = _post(client, "/api/embed", {"texts": DOCUMENT, "max_length": 5})
    assert answer["truncated"] == [True]
    assert answer["usage"]["tokens"] == 5


@pytest.mark.parametrize(
    ("path", "body", "items"),
    [
        (
            "/api/pairs",
            {"pairs": [{"query": QUERY, "document": QUERY}, {"query": QUERY, "document": LONG}]},
            ["pairs[1].document"],
        ),
        ("/api/rank", {"query": LONG, "documents": ["가"]}, ["query"]),
        ("/api/matrix", {"queries": ["가", LONG], "documents": ["나"]}, ["queries[1]"]),
        ("/api/embed", {"texts": [LONG, "가", LONG + "끝"]}, ["texts[0]", "texts[2]"]),
    ],
)
def test_without_truncation_a_long_text_is_named(
    client: FlaskClient, path: str, body: dict[str, object], items: list[str]
) -> None:
    error = _post(client, path, {**body, "truncate": False}, 422)["error"]
    assert [detail["item"] for detail in error["details"]] == items
    assert "512" in error["message"]


@pytest.mark.parametrize(
    ("path", "body", "items"),
    [
        ("/api/pairs", {"pairs": [{"query": "가", "document": " \n"}]}, ["pairs[0].document"]),
        ("/api/rank", {"query": "", "documents": ["가"]}, ["query"]),
        ("/api/matrix", {"queries": ["가"], "documents": ["", "나", ""]}, ["documents[0]"]),
        ("/api/embed", {"texts": ""}, ["texts[0]"]),
        ("/api/embed", {"texts": []}, ["texts"]),
        ("/api/embed", {"texts": [1]}, ["texts[0]"]),
        ("/api/embed", {"texts": "가", "dimensions": 385}, ["dimensions"]),
        ("/api/embed", {"texts": "가", "dimensions": 0}, ["dimensions"]),
        ("/api/embed", {"texts": "가", "max_length": 2}, ["max_length"]),
        ("/api/embed", {"texts": "가", "max_length": 513}, ["max_length"]),
        ("/api/embed", {"texts": "가", "kind": "passage"}, ["kind"]),
        ("/api/rank", {"query": "가", "documents": ["나"], "top_k": 0}, ["top_k"]),
        ("/api/rank", {"query": "가", "documents": ["나"], "topk": 1}, ["topk"]),
    ],
)
def test_invalid_input_names_the_item(
    client: FlaskClient, path: str, body: object, items: list[str]
) -> None:
    error = _post(client, path, body, 422)["error"]
    assert error["code"] == "invalid_input"
    assert [detail["item"] for detail in error["details"]][: len(items)] == items


@pytest.mark.parametrize(
    "text",
    [
        "\0\1\x1f",
        "\u200b",
        "😀👩‍👩‍👧",
        "金融 監督院",
        "<script>alert(1)</script>",
        "x" * 1_000_000,
        "[SEP]",
    ],
    ids=["control", "zero width", "emoji", "hanja", "markup", "1 MB", "special token"],
)
def test_any_text_has_a_unit_vector(client: FlaskClient, text: str) -> None:
    vector = _post(client, "/api/embed", {"texts": text})["embeddings"][0]
    assert np.isclose(np.linalg.norm(vector), 1.0, atol=1e-5)


def test_lone_surrogate_is_read_as_replacement_character(client: FlaskClient) -> None:
    response = client.post(
        "/api/embed", data=rb'{"texts": ["a\ud800"]}', content_type="application/json"
    )
    expected = _post(client, "/api/embed", {"texts": ["a\ufffd"]})
    assert response.get_json()["embeddings"] == expected["embeddings"]


def test_many_texts_pass_in_slices(client: FlaskClient) -> None:
    texts = [f"{number}번 고객님" for number in range(3000)]
    answer = _post(client, "/api/embed", {"texts": texts, "dimensions": 8})
    assert len(answer["embeddings"]) == len(answer["truncated"]) == 3000
    single = _post(client, "/api/embed", {"texts": texts[2900], "dimensions": 8})
    assert np.allclose(answer["embeddings"][2900], single["embeddings"][0], atol=1e-4)


def test_an_answer_too_large_to_hold_is_refused(engine: Engine) -> None:
    small = Engine(engine.model, max_answer_values=5)
    small._batcher = engine._batcher
    client = create_app(Settings(), small).test_client()
    body = {"queries": ["가", "나"], "documents": ["다", "라", "마"]}
    error = _post(client, "/api/matrix", body, 413)["error"]
    assert error["code"] == "too_large"
    assert "2 x 3" in error["message"]


@pytest.mark.parametrize(
    ("method", "path", "kwargs", "status", "code"),
    [
        (
            "POST",
            "/api/pairs",
            {"data": b"{", "content_type": "application/json"},
            400,
            "malformed",
        ),
        ("POST", "/api/pairs", {"data": b"{}"}, 415, "unsupported_media_type"),
        ("GET", "/api/pairs", {}, 405, "method_not_allowed"),
        ("GET", "/api/nothing", {"headers": {"Accept": "text/html"}}, 404, "not_found"),
        ("POST", "/api/embed", {"json": {"texts": "가" * 999}}, 413, "too_large"),
    ],
)
def test_errors_have_one_shape(
    engine: Engine, method: str, path: str, kwargs: dict[str, Any], status: int, code: str
) -> None:
    client = create_app(Settings(max_body_bytes=500), engine).test_client()
    response = client.open(path, method=method, **kwargs)
    assert response.status_code == status
    error = schema.ErrorReply.model_validate(response.get_json()).error
    assert error.code == code
    assert error.message.endswith((".", "!"))


def test_a_bug_answers_500_without_its_trace(app: Flask, engine: Engine) -> None:
    broken = create_app(Settings(), engine)
    broken.extensions["ssang"].encoder = object()
    response = broken.test_client().post("/api/embed", json={"texts": "가"})
    assert response.status_code == 500
    assert response.get_json()["error"]["code"] == "internal"
    assert "Traceback" not in response.text
    assert "attribute" not in response.text


def test_while_loading_the_model_is_unavailable(engine: Engine) -> None:
    client = create_app(Settings(), Engine(engine.model)).test_client()
    for response in (client.post("/api/embed", json={"texts": "가"}), client.get("/api/info")):
        assert response.status_code == 503
        assert response.get_json()["error"]["code"] == "model_unavailable"


def test_info_describes_model_and_limits(client: FlaskClient, app: Flask, engine: Engine) -> None:
    info = schema.InfoReply.model_validate(client.get("/api/info").get_json())
    assert (info.model, info.dimension, info.max_length) == ("ko-mini", 384, 512)
    assert info.thresholds.model_dump() == vars(engine.model.thresholds)
    assert info.limits.max_body_bytes == 32 * 2**20
    assert info.version == app.config["VERSION"]


@pytest.mark.parametrize(
    ("path", "body", "reply"),
    [
        ("/api/pairs", {"pairs": [{"query": QUERY, "document": LONG}]}, schema.PairsReply),
        ("/api/matrix", {"queries": [QUERY], "documents": [DOCUMENT, LONG]}, schema.MatrixReply),
        ("/api/rank", {"query": QUERY, "documents": [DOCUMENT, LONG]}, schema.RankReply),
        ("/api/embed", {"texts": [QUERY, LONG]}, schema.EmbedReply),
        ("/api/embed", {"texts": QUERY, "encoding": "base64"}, schema.EmbedReply),
        ("/api/rank", {"query": QUERY, "documents": [LONG], "long": "chunk"}, schema.RankReply),
        ("/api/embed", {"texts": [QUERY, LONG], "long": "chunk"}, schema.EmbedReply),
    ],
)
def test_answers_are_as_declared(
    client: FlaskClient, path: str, body: object, reply: type[schema._Reply]
) -> None:
    answer = _post(client, path, body)
    declared = reply.model_validate(answer, strict=True).model_dump()
    assert set(answer) == set(declared)


def _request_id(client: FlaskClient, sent: str) -> str:
    response: TestResponse = client.get("/live", headers={"X-Request-ID": sent})
    return response.headers["X-Request-ID"]


def test_request_id_comes_back(client: FlaskClient) -> None:
    assert _request_id(client, "abc-123") == "abc-123"


@pytest.mark.parametrize("sent", ["", "a b", "x" * 129, "가"])
def test_unfit_request_id_is_replaced(client: FlaskClient, sent: str) -> None:
    assert len(_request_id(client, sent.encode().decode("latin-1"))) == 32
