"""Text Embeddings Inference's contract over WSGI, with the embedded model and with two towers."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import RootModel
from running_service import kept_full, wait_until
from tiny_model import save_bert, write_json
from werkzeug.test import TestResponse

from inference.checkpoint import Kind
from inference.engine import Engine
from inference.lifecycle import State
from inference.model import open_model
from webapp import create_app
from webapp.reply import TRUNCATED_HEADER
from webapp.settings import Settings
from webapp.wire import tei as wire
from webapp.wire.cohere import CohereErrorReply, CohereRerankReply

TEXTS = ["오늘 날씨가 참 좋네요.", "환불은 어떻게 받나요?"]
SOURCE, SENTENCES = "환불", ["결제 후 7일 이내에 환불을 신청하실 수 있습니다.", "빨간 사과"]
LONG = "서울의 오늘 날씨는 맑고 따뜻합니다. " * 200
SIMILARITY: dict[str, object] = {"inputs": {"source_sentence": SOURCE, "sentences": SENTENCES}}
RERANK: dict[str, object] = {"query": SOURCE, "texts": SENTENCES[::-1]}


def _post(client: FlaskClient, path: str, body: object) -> Any:
    response = client.post(path, json=body)
    assert response.status_code == 200, response.text
    return response.get_json()


def _error(response: TestResponse, status: int) -> wire.TeiErrorReply:
    assert response.status_code == status, response.text
    return wire.TeiErrorReply.model_validate(response.get_json(), strict=True)


@contextmanager
def _started(engine: Engine) -> Iterator[Engine]:
    engine.start()
    wait_until(lambda: engine.state is State.READY)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def towers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A model that reads queries otherwise than documents."""
    folder = tmp_path_factory.mktemp("towers")
    left, right = (str(save_bert(folder / str(seed), seed=seed)) for seed in (0, 1))
    with _started(Engine(open_model("", query=left, document=right))) as engine:
        yield engine


@pytest.fixture(scope="module")
def prompted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A model that puts a prompt before queries."""
    folder = save_bert(tmp_path_factory.mktemp("prompted") / "bert")
    write_json(folder / "config_sentence_transformers.json", {"prompts": {"query": "오늘 "}})
    with _started(Engine(open_model(str(folder)))) as engine:
        yield engine


# Embedding


@pytest.mark.parametrize("path", ["/embed", "/"])
def test_vectors_are_those_of_the_engine(client: FlaskClient, engine: Engine, path: str) -> None:
    vectors = _post(client, path, {"inputs": TEXTS})
    np.testing.assert_allclose(vectors, engine.embed(TEXTS).vectors, atol=1e-5)
    one = _post(client, path, {"inputs": TEXTS[1]})
    np.testing.assert_allclose(one, vectors[1:], atol=1e-5)


def test_token_ids_are_read_as_the_text_they_are_of(client: FlaskClient) -> None:
    tokens = _post(client, "/tokenize", {"inputs": TEXTS})
    ids = [[token["id"] for token in text] for text in tokens]
    vectors = _post(client, "/embed", {"inputs": TEXTS})
    np.testing.assert_allclose(_post(client, "/embed", {"inputs": ids}), vectors, atol=1e-5)
    flat = _post(client, "/embed", {"inputs": ids[0]})
    np.testing.assert_allclose(flat, vectors[:1], atol=1e-5)
    mixed = _post(client, "/embed", {"inputs": [ids[0], TEXTS[1]]})
    np.testing.assert_allclose(mixed, vectors, atol=1e-5)


def test_dimensions_are_cut_before_vectors_are_normalised(client: FlaskClient) -> None:
    whole = np.array(_post(client, "/embed", {"inputs": TEXTS}))[:, :64]
    cut = _post(client, "/embed", {"inputs": TEXTS, "dimensions": 64})
    np.testing.assert_allclose(cut, whole / np.linalg.norm(whole, axis=1, keepdims=True), atol=1e-5)


def test_a_batch_may_be_of_any_size(client: FlaskClient) -> None:
    texts = [f"{number}번" for number in range(2100)]
    vectors = _post(client, "/embed", {"inputs": texts, "dimensions": 2})
    assert np.array(vectors).shape == (2100, 2)
    np.testing.assert_allclose(
        vectors[2050:2051], _post(client, "/embed", {"inputs": texts[2050], "dimensions": 2}), 1e-3
    )


@pytest.mark.parametrize("direction", ["Left", "left", "Right"])
def test_long_texts_are_cut_at_the_end_that_is_asked_for(
    client: FlaskClient, direction: str
) -> None:
    body = {"inputs": f"김치찌개 {LONG} 에펠탑", "truncation_direction": direction}
    response = client.post("/embed", json=body)
    assert response.headers[TRUNCATED_HEADER] == "1"
    assert response.headers["x-compute-tokens"] == "512"
    # Specials, and of the text what is left at the other end.
    ids = [token["id"] for token in _post(client, "/tokenize", body)[0]]
    kept = [*ids[:511], ids[-1]] if direction == "Right" else [ids[0], *ids[-511:]]
    expected = _post(client, "/embed", {"inputs": kept})
    np.testing.assert_allclose(response.get_json(), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("path", "body", "item"),
    [
        ("/embed", {"inputs": [TEXTS[0], LONG]}, "inputs[1]"),
        ("/embed", {"inputs": [2] * 513}, "inputs[0]"),
        ("/rerank", {"query": SOURCE, "texts": [*SENTENCES, LONG]}, "texts[2]"),
        (
            "/similarity",
            {"inputs": {"source_sentence": LONG, "sentences": SENTENCES}},
            "inputs.source_sentence",
        ),
    ],
)
def test_a_text_that_must_not_be_cut_is_named(
    client: FlaskClient, path: str, body: dict[str, object], item: str
) -> None:
    short = {"truncate": False}
    more = {"parameters": short} if path == "/similarity" else short
    error = _error(client.post(path, json={**body, **more}), 422)
    assert error.error.startswith(f"{item} has ")
    assert error.error_type == "Validation"
    assert client.post(path, json=body).status_code == 200


@pytest.mark.parametrize(
    ("name", "kind"),
    [(None, "document"), ("query", "query"), ("document", "document"), ("passage", "document")],
)
def test_prompt_name_chooses_the_tower(towers: Engine, name: str | None, kind: Kind) -> None:
    client = create_app(Settings(), towers).test_client()
    other: Kind = "query" if kind == "document" else "document"
    expected = towers.embed(TEXTS, kind=kind).vectors
    vectors = _post(client, "/embed", {"inputs": TEXTS, "prompt_name": name})
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    assert not np.allclose(vectors, towers.embed(TEXTS, kind=other).vectors, atol=1e-3)
    body = {
        "inputs": {"source_sentence": TEXTS[0], "sentences": TEXTS},
        "parameters": {"prompt_name": name},
    }
    np.testing.assert_allclose(
        _post(client, "/similarity", body), expected[0] @ expected.T, atol=1e-5
    )


def test_ranking_reads_the_query_as_a_query(towers: Engine) -> None:
    client = create_app(Settings(), towers).test_client()
    expected = towers.embed(TEXTS[:1], kind="query").vectors @ towers.embed(TEXTS).vectors.T
    ranks = _post(client, "/rerank", {"query": TEXTS[0], "texts": TEXTS})
    scores = {rank["index"]: rank["score"] for rank in ranks}
    np.testing.assert_allclose([scores[0], scores[1]], expected[0], atol=1e-5)


# Similarity and ranking


@pytest.mark.parametrize("path", ["/similarity", "/"])
def test_similarities_stand_in_the_order_of_the_sentences(
    client: FlaskClient, engine: Engine, path: str
) -> None:
    source, *others = engine.embed([SOURCE, *SENTENCES]).vectors
    scores = _post(client, path, {**SIMILARITY, "parameters": {}})
    np.testing.assert_allclose(scores, np.array(others) @ source, atol=1e-5)
    assert scores[0] > scores[1]


@pytest.mark.parametrize("raw", [True, False])
def test_ranks_are_cosines_best_first(client: FlaskClient, engine: Engine, raw: bool) -> None:
    ranks = _post(client, "/rerank", {**RERANK, "raw_scores": raw})
    assert [set(rank) for rank in ranks] == [{"index", "score"}] * 2
    assert [rank["index"] for rank in ranks] == [1, 0]
    expected = [result.score for result in engine.rank(SOURCE, SENTENCES[::-1]).results]
    np.testing.assert_allclose([rank["score"] for rank in ranks], expected, atol=1e-5)


def test_ranks_repeat_their_texts_on_request(client: FlaskClient) -> None:
    ranks = _post(client, "/rerank", {**RERANK, "return_text": True})
    assert [rank["text"] for rank in ranks] == SENTENCES


def test_a_body_with_documents_is_coheres(client: FlaskClient) -> None:
    body = {"query": SOURCE, "documents": SENTENCES[::-1]}
    reply = CohereRerankReply.model_validate(_post(client, "/rerank", body), strict=True)
    assert [result.index for result in reply.results] == [1, 0]
    wrong = client.post("/rerank", json={"query": SOURCE, "documents": []})
    assert wrong.status_code == 400
    CohereErrorReply.model_validate(wrong.get_json(), strict=True)
    # What cannot be told is answered as Text Embeddings Inference.
    assert _error(client.post("/rerank", json={"query": SOURCE}), 422).error.startswith("texts: ")
    both = _post(client, "/rerank", {**RERANK, "documents": SENTENCES})
    assert isinstance(both, list)


# Tokens


def test_tokens_tell_the_characters_they_stand_for(client: FlaskClient) -> None:
    (tokens,) = _post(client, "/tokenize", {"inputs": TEXTS[0]})
    assert [token["special"] for token in (tokens[0], tokens[-1])] == [True, True]
    assert {(token["start"], token["stop"]) for token in tokens if token["special"]} == {
        (None, None)
    }
    for token in tokens[1:-1]:
        assert token["text"] == TEXTS[0][token["start"] : token["stop"]]
    bare = _post(client, "/tokenize", {"inputs": TEXTS[0], "add_special_tokens": False})
    assert bare == [tokens[1:-1]]


def test_decoding_takes_tokens_back(client: FlaskClient) -> None:
    tokens = _post(client, "/tokenize", {"inputs": ["안녕하세요 김치", "환불"]})
    ids = [[token["id"] for token in text] for text in tokens]
    assert _post(client, "/decode", {"ids": ids}) == ["안녕하세요 김치", "환불"]
    assert _post(client, "/decode", {"ids": ids[1]}) == ["환불"]
    (whole,) = _post(client, "/decode", {"ids": ids[1], "skip_special_tokens": False})
    # Pieces carry the space before them, and the end has none.
    assert whole == f"{tokens[1][0]['text']} 환불{tokens[1][-1]['text']}"
    assert _post(client, "/decode", {"ids": [2**32 - 1]}) == [""]


def test_a_prompt_is_among_the_tokens_only_where_it_is_asked_for(prompted: Engine) -> None:
    client = create_app(Settings(), prompted).test_client()
    bare = _post(client, "/tokenize", {"inputs": "날씨가"})
    tokens = _post(client, "/tokenize", {"inputs": "날씨가", "prompt_name": "query"})
    assert tokens == _post(client, "/tokenize", {"inputs": "오늘 날씨가"}) != bare
    # Ids bring their prompt along.
    ids = [token["id"] for token in tokens[0]]
    np.testing.assert_allclose(
        _post(client, "/embed", {"inputs": ids, "prompt_name": "query"}),
        _post(client, "/embed", {"inputs": "날씨가", "prompt_name": "query"}),
        atol=1e-5,
    )


def test_more_text_than_fits_as_tokens_is_refused(client: FlaskClient) -> None:
    error = _error(client.post("/tokenize", json={"inputs": "가" * 2_000_001}), 413)
    assert "2,000,001" in error.error


# About the service


def test_info_is_as_declared(client: FlaskClient, engine: Engine) -> None:
    info = wire.TeiInfoReply.model_validate(client.get("/info").get_json(), strict=True)
    assert (info.model_id, info.model_sha) == ("ko-mini", engine.info().hash)
    assert (info.model_dtype, info.max_input_length) == ("float32", 512)
    assert info.model_type.embedding.pooling == "mean"
    assert info.max_concurrent_requests == 112


def test_headers_tell_what_an_answer_took(client: FlaskClient) -> None:
    for path, body, texts in (
        ("/embed", {"inputs": TEXTS}, TEXTS),
        ("/similarity", SIMILARITY, [SOURCE, *SENTENCES]),
        ("/rerank", RERANK, [SOURCE, *SENTENCES]),
    ):
        headers = client.post(path, json=body).headers
        assert headers["x-compute-type"] == "cpu"
        assert int(headers["x-compute-characters"]) == len("".join(texts))
        tokens = _post(client, "/tokenize", {"inputs": texts})
        assert int(headers["x-compute-tokens"]) == sum(map(len, tokens))
        parts = ("x-tokenization-time", "x-queue-time", "x-inference-time")
        assert 0 < int(headers["x-inference-time"]) <= int(headers["x-total-time"])
        assert all(int(headers[part]) <= int(headers["x-compute-time"]) for part in parts)


def test_metrics_count_under_the_names_of_text_embeddings_inference(client: FlaskClient) -> None:
    before = _metrics(client)
    client.post("/embed", json={"inputs": TEXTS[0]})
    client.post("/embed", json={"inputs": TEXTS})
    client.post("/rerank", json=RERANK)
    client.post("/embed", json={"inputs": ""})
    after = _metrics(client)

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0.0)

    assert grown('te_request_count{method="single"}') == 2
    assert grown('te_request_count{method="batch"}') == 2
    assert grown('te_request_success{method="single"}') == 1
    assert grown('te_request_success{method="batch"}') == 2
    assert grown('te_request_failure{err="validation"}') == 1
    for name in ("duration", "tokenization_duration", "queue_duration", "inference_duration"):
        assert grown(f"te_request_{name}_count") == 3
    total_s = grown("te_request_duration_sum")
    assert 0 < grown("te_request_inference_duration_sum") < total_s < 60
    assert grown("te_request_input_length_count") == 6
    assert grown("te_batch_next_size_sum") == 6
    tokens = grown("te_batch_next_tokens_sum")
    assert tokens == grown("te_request_input_length_sum") == grown("ssang_tokens_total") > 0
    assert after["te_queue_size"] == 0


def _metrics(client: FlaskClient) -> dict[str, float]:
    lines = client.get("/metrics").text.splitlines()
    samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


# Errors


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/embed", {"inputs": []}),
        ("/embed", {"inputs": ""}),
        ("/embed", {"inputs": ["가", " \n"]}),
        ("/embed", {"inputs": [[]]}),
        ("/", {"inputs": []}),
        ("/", {"inputs": {"source_sentence": "가", "sentences": []}}),
        ("/similarity", {"inputs": {"source_sentence": "", "sentences": ["가"]}}),
        ("/rerank", {"query": "", "texts": ["가"]}),
        ("/rerank", {"query": "가", "texts": []}),
        ("/tokenize", {"inputs": ""}),
        ("/decode", {"ids": []}),
        ("/decode", {"ids": [[2], []]}),
    ],
)
def test_empty_input_is_an_error_of_its_own(client: FlaskClient, path: str, body: object) -> None:
    assert _error(client.post(path, json=body), 400).error_type == "Empty"


@pytest.mark.parametrize(
    ("path", "body", "item"),
    [
        ("/embed", {}, "inputs"),
        ("/embed", {"inputs": None}, "inputs"),
        ("/embed", {"inputs": ["가", 1]}, "inputs[1]"),
        ("/embed", {"inputs": [1, "가"]}, "inputs[0].ids[1]"),
        ("/embed", {"inputs": [True]}, "inputs[0].ids[0]"),
        ("/embed", {"inputs": [1.0]}, "inputs[0].ids[0]"),
        ("/embed", {"inputs": [-1]}, "inputs[0].ids[0]"),
        ("/embed", {"inputs": ["가", [2, 24_129, 3]]}, "inputs[1]"),
        ("/embed", {"inputs": [2**32]}, "inputs[0].ids[0]"),
        ("/embed", {"inputs": "가", "dimensions": 0}, "dimensions"),
        ("/embed", {"inputs": "가", "dimensions": 385}, "dimensions"),
        ("/embed", {"inputs": "가", "normalize": False}, "normalize"),
        ("/embed", {"inputs": "가", "normalize": "no"}, "normalize"),
        ("/embed", {"inputs": "가", "truncate": 1}, "truncate"),
        ("/embed", {"inputs": "가", "truncation_direction": "up"}, "truncation_direction"),
        ("/embed", {"inputs": "가", "prompt_name": "clustering"}, "prompt_name"),
        ("/", {}, "inputs"),
        ("/", {"inputs": {}}, "inputs.source_sentence"),
        ("/similarity", {"inputs": "가"}, "inputs"),
        ("/similarity", {"inputs": {"source_sentence": 1, "sentences": ["가"]}}, "inputs.source"),
        ("/rerank", {"texts": ["가"]}, "query"),
        ("/rerank", {"query": "가", "texts": "나"}, "texts"),
        ("/rerank", {"query": "가", "texts": ["나", None]}, "texts[1]"),
        ("/tokenize", {"inputs": ["가", 1]}, "inputs[1]"),
        ("/decode", {"ids": "가"}, "ids"),
        ("/decode", {"ids": [[2], ["가"]]}, "ids[1][0]"),
        ("/embed", ["가"], "The body"),
    ],
)
def test_what_is_wrong_is_named(client: FlaskClient, path: str, body: object, item: str) -> None:
    error = _error(client.post(path, json=body), 422)
    assert error.error.startswith(item)
    assert error.error_type == "Validation"


def test_fields_that_are_not_known_change_nothing(client: FlaskClient) -> None:
    more = {"encoding_format": "float", "stop": ["가"], "truncate": None, "dimensions": None}
    known = _post(client, "/embed", {"inputs": TEXTS})
    assert _post(client, "/embed", {"inputs": TEXTS, **more}) == known


@pytest.mark.parametrize(
    ("method", "path", "kwargs", "status"),
    [
        ("POST", "/embed", {"data": "{", "content_type": "application/json"}, 400),
        ("POST", "/rerank", {"data": "{", "content_type": "application/json"}, 400),
        ("POST", "/", {"data": "{}"}, 415),
        ("POST", "/embed", {"json": {"inputs": "가" * 999}}, 413),
        ("GET", "/embed", {}, 405),
        ("DELETE", "/info", {}, 405),
    ],
)
def test_faults_of_the_request_itself_have_the_same_shape(
    engine: Engine, method: str, path: str, kwargs: dict[str, Any], status: int
) -> None:
    client = create_app(Settings(max_body_bytes=500), engine).test_client()
    error = _error(client.open(path, method=method, **kwargs), status)
    assert error.error_type == "Validation"


def test_json_may_declare_its_charset(client: FlaskClient) -> None:
    body = json.dumps({"inputs": "가"}, ensure_ascii=False).encode()
    response = client.post("/embed", data=body, content_type="application/json; charset=utf-8")
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [("/embed", {"inputs": "가"}), ("/rerank", RERANK), ("/tokenize", {"inputs": "가"})],
)
def test_without_a_model_the_service_is_unhealthy(engine: Engine, path: str, body: object) -> None:
    client = create_app(Settings(), Engine(engine.model)).test_client()
    assert _error(client.post(path, json=body), 503).error_type == "Unhealthy"
    assert _error(client.get("/info"), 503).error_type == "Unhealthy"


def test_overload_is_told_with_the_time_to_wait(engine: Engine) -> None:
    app = create_app(Settings(threads=8), engine)
    with kept_full(app):
        response = app.test_client().post("/embed", json={"inputs": "가"})
    assert _error(response, 429).error_type == "Overloaded"
    assert int(response.headers["Retry-After"]) >= 1


def test_what_is_not_in_time_is_the_backends_failure(towers: Engine) -> None:
    with _started(Engine(towers.model, deadline_s=1e-9)) as late:
        client = create_app(Settings(), late).test_client()
        error = _error(client.post("/embed", json={"inputs": TEXTS}), 424)
    assert error.error_type == "Backend"


def test_a_bug_is_the_backends_failure(engine: Engine) -> None:
    broken = create_app(Settings(), engine)
    broken.extensions["ssang"].encoder = object()
    error = _error(broken.test_client().post("/embed", json={"inputs": "가"}), 500)
    assert error.error_type == "Backend"
    assert "attribute" not in error.error


# The declared answers

REPLIES: dict[str, tuple[type[Any], list[dict[str, object]]]] = {
    "/embed": (wire.TeiEmbedReply, [{"inputs": TEXTS}, {"inputs": [2, 5, 3]}]),
    "/": (wire.TeiEmbedOrSimilarityReply, [{"inputs": "가"}, SIMILARITY]),
    "/similarity": (wire.TeiSimilarityReply, [SIMILARITY]),
    "/rerank": (
        wire.RerankEitherReply,
        [RERANK, {**RERANK, "return_text": True}, {"query": "가", "documents": ["나"]}],
    ),
    "/tokenize": (wire.TeiTokenizeReply, [{"inputs": TEXTS}]),
    "/decode": (wire.TeiDecodeReply, [{"ids": [2, 5, 3]}]),
}


@pytest.mark.parametrize("path", REPLIES)
def test_answers_are_as_declared(client: FlaskClient, path: str) -> None:
    declared, bodies = REPLIES[path]
    for body in bodies:
        answer = _post(client, path, body)
        reply: RootModel[Any] = declared.model_validate(answer, strict=True)
        assert reply.model_dump(exclude_unset=True) == answer


_NAMES = ("inputs", "ids", "query", "texts", "documents", "source_sentence", "sentences")
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-1, 30_000)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", " ", "가", "김치찌개", "\x00", "[SEP]", "Left"])
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=3)
    ),
    max_leaves=6,
)
_OPTIONS = ("truncate", "truncation_direction", "normalize", "dimensions", "prompt_name", "model")
_BODIES = st.dictionaries(st.sampled_from((*_NAMES, *_OPTIONS)), _VALUES, max_size=4)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(path=st.sampled_from(sorted(REPLIES)), body=_BODIES)
def test_any_body_has_a_declared_answer(
    client: FlaskClient, path: str, body: dict[str, object]
) -> None:
    response = client.post(path, json=body)
    assert str(response.status_code) in _declared_statuses(client)[path]
    assert response.status_code < 500
    if response.status_code == 200:
        REPLIES[path][0].model_validate(response.get_json(), strict=True)
    else:
        wire.RerankEitherErrorReply.model_validate(response.get_json(), strict=True)


def _declared_statuses(client: FlaskClient) -> dict[str, set[str]]:
    paths = client.get("/openapi.json").get_json()["paths"]
    return {path: set(paths[path]["post"]["responses"]) for path in REPLIES}
