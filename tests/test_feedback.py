"""Votes on answers: over HTTP in this process, and under a gunicorn with two workers."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from running_service import StartService
from tiny_model import save_bert

from inference.engine import Engine
from inference.errors import InvalidInput
from inference.feedback import FeedbackStore
from webapp import create_app
from webapp.settings import Settings

URL = "/api/feedback"

LOST = {
    "id": "card/lost",
    "title": "카드를 잃어버렸어요",
    "text": "분실 신고는 24시간 받습니다. 앱에서도 하실 수 있습니다.",
}
HOURS = {"id": "hours", "title": "", "text": "영업점은 평일 9시부터 16시까지 엽니다."}

QUESTION = "체크카드를 분실했어요"
ANSWER = "분실 신고는 24시간 받습니다. [1]"
CITED = {
    "document_id": "card/lost",
    "number": 1,
    "passage": {"field": "title", "start": 0, "end": 10, "text": "카드를 잃어버렸어요"},
}
VOTE: dict[str, Any] = {
    "collection": "faq",
    "question": QUESTION,
    "answer": ANSWER,
    "vote": "up",
    "sources": [CITED],
}

Create = Callable[..., Flask]


@pytest.fixture
def create(app: Flask, engine: Engine, tmp_path: Path) -> Iterator[Create]:
    """Makes applications with settings as keyword arguments."""
    made: list[Flask] = []

    def create(**settings: Any) -> Flask:
        own = create_app(Settings(**{"data_dir": str(tmp_path / "data"), **settings}), engine)
        own.test_client_class = app.test_client_class
        made.append(own)
        return own

    yield create
    for own in made:
        own.extensions["ssang"].corpus.close()
        own.extensions["ssang"].feedback.close()
        own.extensions["ssang.async"].stop()


@pytest.fixture
def client(create: Create) -> FlaskClient:
    """Of an application with a data folder of its own, and a collection ``faq``."""
    client = create().test_client()
    assert client.put("/api/collections/faq").status_code == 201
    documents = {"documents": [LOST, HOURS]}
    assert client.post("/api/collections/faq/documents", json=documents).status_code == 200
    return client


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "feedback.sqlite"


def _vote(client: FlaskClient, **changes: Any) -> str:
    response = client.post(URL, json={**VOTE, **changes})
    assert response.status_code == 201, response.text
    (name,) = response.get_json()
    assert name == "id"
    return str(response.get_json()["id"])


def _pairs(path: Path) -> list[dict[str, Any]]:
    """What is kept, as another process would read it."""
    with closing(FeedbackStore(path)) as store:
        return list(store.pairs())


def test_a_vote_is_kept_with_what_its_source_said(client: FlaskClient, path: Path) -> None:
    _vote(client, comment="도움이 되었어요")
    # The export needs no collection.
    assert client.delete("/api/collections/faq").status_code == 204
    (pair,) = _pairs(path)
    assert str(pair.pop("voted")).endswith("+00:00")
    assert pair == {
        "query": QUESTION,
        "document": "카드를 잃어버렸어요",
        "label": 1,
        "collection": "faq",
        "document_id": "card/lost",
        "title": "카드를 잃어버렸어요",
        "answer": ANSWER,
        "comment": "도움이 되었어요",
        "model": "ko-mini",
    }


def test_the_passage_of_an_answer_can_be_sent_back_as_it_came(
    client: FlaskClient, path: Path
) -> None:
    asked = {"query": QUESTION, "mode": "vector"}
    hit = client.post("/api/collections/faq/search", json=asked).get_json()["hits"][0]
    source = {"document_id": hit["document"]["id"], "number": 1, "passage": hit["passage"]}
    _vote(client, sources=[source])
    assert [pair["document"] for pair in _pairs(path)] == [hit["passage"]["text"]]


def test_without_a_passage_the_text_counts(client: FlaskClient, path: Path) -> None:
    documents = {"documents": [{"id": "long", "text": "가" * 10_001}]}
    assert client.post("/api/collections/faq/documents", json=documents).status_code == 200
    _vote(client, sources=[{"document_id": "hours"}, {"document_id": "long"}])
    assert [pair["document"] for pair in _pairs(path)] == [HOURS["text"], "가" * 10_000]


@pytest.mark.parametrize(
    ("answer", "counted"),
    [
        ("24시간 받습니다. [1]", ["card/lost"]),
        ("평일에 엽니다. [2] 앱도 있습니다. [1]", ["card/lost", "hours"]),
        ("평일에 엽니다.", ["card/lost", "hours"]),
        (f"평일에 엽니다. [7] [{'9' * 5000}]", ["card/lost", "hours"]),
    ],
)
def test_of_several_sources_those_count_that_the_answer_cites(
    client: FlaskClient, path: Path, answer: str, counted: list[str]
) -> None:
    sources = [CITED, {"document_id": "hours", "number": 2}]
    _vote(client, answer=answer, sources=sources, vote="down")
    assert [(pair["document_id"], pair["label"]) for pair in _pairs(path)] == [
        (document_id, 0) for document_id in counted
    ]


def test_a_vote_without_sources_is_kept_and_makes_no_pair(client: FlaskClient, path: Path) -> None:
    vote_id = _vote(client, sources=[], vote="down")
    assert _pairs(path) == []
    assert client.delete(f"{URL}/{vote_id}").status_code == 204


def test_a_vote_is_changed_and_taken_back(client: FlaskClient, path: Path) -> None:
    kept, vote_id = _vote(client), _vote(client, comment="좋아요")
    assert kept != vote_id
    changed = client.put(f"{URL}/{vote_id}", json={"vote": "down"})
    assert (changed.status_code, changed.get_json()) == (200, {"id": vote_id})
    assert [(pair["label"], pair["comment"]) for pair in _pairs(path)] == [(1, ""), (0, "")]
    gone = client.delete(f"{URL}/{vote_id}")
    assert (gone.status_code, gone.data) == (204, b"")
    assert [pair["label"] for pair in _pairs(path)] == [1]
    for again in (
        client.delete(f"{URL}/{vote_id}"),
        client.put(f"{URL}/{vote_id}", json={"vote": "up"}),
    ):
        assert again.status_code == 404
        assert again.get_json()["error"]["details"][0]["item"] == "id"


@pytest.mark.parametrize(
    ("changes", "status", "item"),
    [
        ({"vote": "maybe"}, 422, "vote"),
        ({"question": " "}, 422, "question"),
        ({"question": "가" * 10_001}, 422, "question"),
        ({"answer": ""}, 422, "answer"),
        ({"answer": "가" * 50_001}, 422, "answer"),
        ({"comment": "가" * 2_001}, 422, "comment"),
        ({"sources": [CITED] * 21}, 422, "sources"),
        ({"sources": [{"document_id": "가" * 257}]}, 422, "sources[0].document_id"),
        ({"sources": [{**CITED, "number": 0}]}, 422, "sources[0].number"),
        ({"model": "다른 것"}, 422, "model"),
        ({"collection": "none"}, 404, "collection"),
        ({"collection": "FAQ"}, 422, "collection"),
        ({"sources": [CITED, {"document_id": "none"}]}, 404, "sources[1].document_id"),
        (
            {"sources": [{**CITED, "passage": {**CITED["passage"], "text": "이전의 제목"}}]},  # type: ignore[dict-item]
            409,
            "sources[0].passage",
        ),
    ],
)
def test_what_cannot_be_kept_is_told(
    client: FlaskClient, path: Path, changes: dict[str, Any], status: int, item: str
) -> None:
    response = client.post(URL, json={**VOTE, **changes})
    assert response.status_code == status
    assert response.get_json()["error"]["details"][0]["item"] == item
    assert not path.exists()


def test_the_largest_vote_is_kept(client: FlaskClient, path: Path) -> None:
    _vote(
        client,
        question="가" * 10_000,
        answer="가" * 50_000,
        comment="가" * 2_000,
        sources=[CITED] * 20,
    )
    assert len(_pairs(path)) == 20


def test_who_deletes_the_file_forgets_all_votes_and_stops_nobody(
    client: FlaskClient, path: Path
) -> None:
    vote_id = _vote(client)
    path.unlink()
    assert client.put(f"{URL}/{vote_id}", json={"vote": "up"}).status_code == 404
    _vote(client, question="새 질문")
    assert [pair["query"] for pair in _pairs(path)] == ["새 질문"]


def test_a_file_that_cannot_be_written_is_told(client: FlaskClient, path: Path) -> None:
    path.mkdir()
    response = client.post(URL, json=VOTE)
    assert response.status_code == 409
    assert "--data-dir" in response.get_json()["error"]["message"]


def test_another_file_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("not a database, and long enough to be seen as none" * 20)
    before = path.read_bytes()
    with closing(FeedbackStore(path)) as store, pytest.raises(InvalidInput, match="SQLite"):
        store.remove("0")
    assert path.read_bytes() == before


def test_votes_need_the_key_where_there_is_one(create: Create) -> None:
    client = create(api_keys=("key-of-a-test",)).test_client()
    bearer = {"Authorization": "Bearer key-of-a-test"}
    assert client.put("/api/collections/faq", headers=bearer).status_code == 201
    vote = {**VOTE, "sources": []}
    assert client.post(URL, json=vote).status_code == 401
    kept = client.post(URL, json=vote, headers=bearer)
    assert kept.status_code == 201
    address = f"{URL}/{kept.get_json()['id']}"
    assert client.put(address, json={"vote": "down"}).status_code == 401
    assert client.delete(address).status_code == 401
    assert client.delete(address, headers=bearer).status_code == 204


def test_metrics_and_the_log_tell_numbers_and_no_text(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    before = _outcomes(client)
    vote_id = _vote(client, comment="비밀스러운 말")
    client.put(f"{URL}/{vote_id}", json={"vote": "down"})
    client.delete(f"{URL}/{vote_id}")
    counted = _outcomes(client)
    assert {name: counted[name] - before.get(name, 0) for name in counted} == {
        **dict.fromkeys(before, 0),
        **{"up": 1, "changed": 1, "removed": 1},
    }
    logged = next(record for record in caplog.records if getattr(record, "vote", "") == "up")
    assert vars(logged)["sources"] == 1
    told = "".join(str(vars(record)) for record in caplog.records)
    for text in (QUESTION, ANSWER, LOST["title"], LOST["text"], "비밀스러운"):
        assert text not in told


def _outcomes(client: FlaskClient) -> dict[str, float]:
    lines = client.get("/metrics").text.splitlines()
    votes = [line for line in lines if line.startswith("ssang_feedback_total{")]
    return {line.split('"')[1]: float(line.split()[-1]) for line in votes}


# Under gunicorn


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service") / "data"


@pytest.fixture(scope="module")
def url(
    start_service: StartService, tmp_path_factory: pytest.TempPathFactory, data_dir: Path
) -> str:
    """Two workers, whose files may not grow over 2 MiB: to SQLite as bad as a disk that is full."""
    model = save_bert(tmp_path_factory.mktemp("model") / "tiny")
    command = ["bash", "-c", f"ulimit -f 2048; exec {sys.executable} -m webapp.cli serve"]
    service = start_service(command, model=model, workers=2, compute_threads=1, data_dir=data_dir)
    requests.put(f"{service.url}/api/collections/faq", timeout=30).raise_for_status()
    documents = {"documents": [LOST, HOURS]}
    requests.post(
        f"{service.url}/api/collections/faq/documents", json=documents, timeout=30
    ).raise_for_status()
    return f"{service.url}{URL}"


def test_many_vote_at_once(url: str, data_dir: Path) -> None:
    """The first of them make the file."""

    def vote(number: int) -> str:
        body = {**VOTE, "question": f"질문 {number}"}
        kept = requests.post(url, json=body, timeout=60)
        assert kept.status_code == 201, kept.text
        address = f"{url}/{kept.json()['id']}"
        if number % 4 == 1:
            assert requests.put(address, json={"vote": "down"}, timeout=60).status_code == 200
        if number % 4 == 2:
            assert requests.delete(address, timeout=60).status_code == 204
        return str(kept.json()["id"])

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(vote, range(80)))) == 80
    kept = {pair["query"]: pair["label"] for pair in _pairs(data_dir / "feedback.sqlite")}
    assert kept == {f"질문 {n}": int(n % 4 != 1) for n in range(80) if n % 4 != 2}


def test_a_full_disk_is_told_and_tears_nothing(url: str, data_dir: Path) -> None:
    path = data_dir / "feedback.sqlite"
    before = len(_pairs(path))
    large = {**VOTE, "answer": "가" * 50_000}
    stored = 0
    for _ in range(40):
        response = requests.post(url, json=large, timeout=60)
        if response.status_code != 201:
            break
        stored += 1
    assert response.status_code == 507
    assert response.json()["error"]["code"] == "storage_full"
    assert stored > 0
    assert len(_pairs(path)) == before + stored
