"""The STS service's contract over WSGI, with the embedded model."""

import codecs
import io
import json
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from running_service import kept_full

from inference.engine import Engine
from webapp import create_app
from webapp.reply import TRUNCATED_HEADER
from webapp.settings import Settings
from webapp.wire.sts import StsErrorReply, StsFileReply, StsSentencesReply

PAIRS = [
    ("맛있는 한국 전통 음식 김치찌개", "김치찌개와 된장찌개는 한국의 대표 전통 음식입니다."),
    ("최신 기술 발전", "인공지능 기술이 빠르게 발전하고 있습니다."),
    ("색깔", "파리의 에펠탑은 프랑스의 상징입니다."),
]
LONG = "서울의 오늘 날씨는 맑고 따뜻합니다. " * 200

SENTENCES = ["/pred/sentences", "/pred/sentences/"]
FILES = [f"/pred/{name}{end}" for name in ("file", "multi", "file/multi") for end in ("", "/")]


def _body(pair: tuple[str, str] = PAIRS[0]) -> dict[str, str]:
    return {"sentence_1": pair[0], "sentence_2": pair[1]}


def _file(pairs: list[tuple[str, str]]) -> bytes:
    rows = [
        {"idx": index, "sentence1": left, "sentence2": right}
        for index, (left, right) in enumerate(pairs)
    ]
    return json.dumps({"results": rows}, ensure_ascii=False).encode()


def _send(client: FlaskClient, content: bytes, path: str = FILES[0]) -> Any:
    return client.post(path, data={"file": (io.BytesIO(content), "pairs.json")})


def _detail(response: Any, status: int) -> str:
    assert response.status_code == status, response.text
    return StsErrorReply.model_validate(response.get_json(), strict=True).detail


@pytest.mark.parametrize("path", SENTENCES)
def test_two_sentences_are_answered_as_declared(
    client: FlaskClient, engine: Engine, path: str
) -> None:
    response = client.post(path, json=_body())
    assert response.status_code == 200, response.text
    answer = response.get_json()
    reply = StsSentencesReply.model_validate(answer, strict=True)
    assert set(answer) == {"sentence_1", "sentence_2", "score", "pred", "runtime(sec)"}
    assert (reply.sentence_1, reply.sentence_2) == PAIRS[0]
    expected = np.prod(engine.embed(PAIRS[0]).vectors, axis=0).sum()
    assert reply.score == pytest.approx(float(expected), abs=1e-5)
    assert reply.runtime_s > 0


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("start", [b"", codecs.BOM_UTF8])
def test_every_pair_of_a_file_is_answered(client: FlaskClient, path: str, start: bytes) -> None:
    answer = _send(client, start + _file(PAIRS), path).get_json()
    reply = StsFileReply.model_validate_json(json.dumps(answer), strict=True)
    assert set(answer) == {"sentences", "preds", "scores", "runtime(sec)"}
    assert reply.sentences == PAIRS
    singles = [client.post(SENTENCES[0], json=_body(pair)).get_json() for pair in PAIRS]
    assert reply.preds == [single["pred"] for single in singles]
    np.testing.assert_allclose(reply.scores, [single["score"] for single in singles], atol=1e-5)


def test_order_of_the_two_sentences_changes_nothing(client: FlaskClient) -> None:
    one = client.post(SENTENCES[0], json=_body()).get_json()
    other = client.post(SENTENCES[0], json=_body((PAIRS[0][1], PAIRS[0][0]))).get_json()
    assert one["score"] == pytest.approx(other["score"], abs=1e-6)


def test_pred_is_one_from_the_model_s_own_threshold(client: FlaskClient, engine: Engine) -> None:
    pairs = [(left, right) for left, _ in PAIRS for _, right in PAIRS]
    answer = _send(client, _file(pairs)).get_json()
    threshold = engine.model.thresholds.binary
    assert {0, 1} == set(answer["preds"])
    assert answer["preds"] == [int(score >= threshold) for score in answer["scores"]]


def test_many_pairs_keep_their_order(client: FlaskClient) -> None:
    pairs = [(f"{number}번 고객님", "고객님") for number in range(1501)]
    answer = _send(client, _file(pairs)).get_json()
    assert answer["sentences"] == [list(pair) for pair in pairs]
    assert len(answer["preds"]) == len(answer["scores"]) == 1501
    last = client.post(SENTENCES[0], json=_body(pairs[-1])).get_json()
    assert answer["scores"][-1] == pytest.approx(last["score"], abs=1e-4)


@pytest.mark.parametrize("idx", [None, "가", 3, {"any": []}])
def test_idx_may_be_anything_or_nothing(client: FlaskClient, idx: object) -> None:
    row = {"sentence1": "가", "sentence2": "나"}
    rows = [row, {**row, "idx": idx}]
    answer = _send(client, json.dumps({"results": rows, "version": 1}).encode())
    assert answer.get_json()["sentences"] == [["가", "나"]] * 2


def test_pairs_with_a_text_that_was_cut_are_counted_in_a_header(client: FlaskClient) -> None:
    cut = client.post(SENTENCES[0], json=_body((LONG, "가")))
    assert cut.headers[TRUNCATED_HEADER] == "1"
    assert _send(client, _file(PAIRS)).headers[TRUNCATED_HEADER] == "0"
    assert _send(client, _file([*PAIRS, ("가", LONG)])).headers[TRUNCATED_HEADER] == "1"


def test_sentences_may_declare_their_charset(client: FlaskClient) -> None:
    kind = "application/json; charset=utf-8"
    data = json.dumps(_body(), ensure_ascii=False).encode()
    assert client.post(SENTENCES[0], data=data, content_type=kind).status_code == 200


@pytest.mark.parametrize(
    ("body", "item"),
    [
        ({"sentence_1": "가"}, "sentence_2"),
        ({"sentence_1": None, "sentence_2": "가"}, "sentence_1"),
        ({"sentence_1": "가", "sentence_2": " \n"}, "sentence_2"),
        ({"sentence_1": ["가"], "sentence_2": "나"}, "sentence_1"),
        (["가", "나"], "body"),
    ],
)
def test_what_is_wrong_with_sentences_is_named(
    client: FlaskClient, body: object, item: str
) -> None:
    assert item in _detail(client.post(SENTENCES[0], json=body), 422)


@pytest.mark.parametrize(
    ("results", "item"),
    [
        ([{"sentence1": "가", "sentence2": "나"}] * 3 + [{"sentence1": "가"}], "[3].sentence2"),
        ([{"sentence1": "가", "sentence2": 5}], "[0].sentence2"),
        ([{"sentence1": "가", "sentence2": "나"}, {"sentence1": "", "sentence2": "나"}], "[1].s"),
        (["가"], "[0]"),
        ([], ""),
        ({}, ""),
        (None, ""),
    ],
)
def test_what_is_wrong_with_a_file_is_named(
    client: FlaskClient, results: object, item: str
) -> None:
    response = _send(client, json.dumps({"results": results}).encode())
    assert f"results{item}" in _detail(response, 422)


def test_errors_never_repeat_a_text(client: FlaskClient) -> None:
    rows = [{"sentence1": "비밀 이야기", "sentence2": ["비밀 이야기"]}]
    response = _send(client, json.dumps({"results": rows}, ensure_ascii=False).encode())
    assert "비밀" not in _detail(response, 422)


@pytest.mark.parametrize("content", [b"[]", b'[["a", "b"]]', b"3", b"null"])
def test_file_of_another_shape_is_told_which_one(client: FlaskClient, content: bytes) -> None:
    assert '{"results": [...]}' in _detail(_send(client, content), 422)


@pytest.mark.parametrize(
    "content", [b"", b"{", "가,나".encode("cp949"), _file(PAIRS).decode().encode("utf-16")]
)
def test_file_that_is_no_json_is_malformed(client: FlaskClient, content: bytes) -> None:
    assert _detail(_send(client, content), 400).startswith("The file is not JSON")


def test_file_must_come_as_a_file(client: FlaskClient) -> None:
    for data in ({}, {"file": "a text"}, {"upload": (io.BytesIO(_file(PAIRS)), "pairs.json")}):
        assert "file" in _detail(client.post(FILES[0], data=data), 422)


@pytest.mark.parametrize(
    ("method", "path", "kwargs", "status"),
    [
        ("POST", "/pred/sentences", {"data": b"{", "content_type": "application/json"}, 400),
        ("POST", "/pred/sentences", {"data": b"{}"}, 415),
        ("POST", "/pred/sentences/", {"json": _body(("가" * 999, "나"))}, 413),
        ("GET", "/pred/sentences", {}, 405),
        ("GET", "/pred/file/", {"headers": {"Accept": "text/html"}}, 405),
        ("POST", "/pred/nothing", {}, 404),
    ],
)
def test_errors_have_the_shape_of_the_contract(
    engine: Engine, method: str, path: str, kwargs: dict[str, Any], status: int
) -> None:
    client = create_app(Settings(max_body_bytes=500), engine).test_client()
    assert _detail(client.open(path, method=method, **kwargs), status).endswith(".")


def test_full_service_says_when_to_come_back(engine: Engine) -> None:
    app = create_app(Settings(threads=8), engine)
    with kept_full(app):
        response = app.test_client().post(SENTENCES[0], json=_body())
    assert "again" in _detail(response, 429)
    assert int(response.headers["Retry-After"]) >= 1


def test_while_loading_the_model_is_unavailable(engine: Engine) -> None:
    client = create_app(Settings(), Engine(engine.model)).test_client()
    for response in (client.post(SENTENCES[0], json=_body()), _send(client, _file(PAIRS))):
        _detail(response, 503)
