"""Answers over HTTP: ssang's own route and the tutorial's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from running_service import wait_until
from tiny_reader import save_reader

from inference.engine import Engine
from inference.errors import InvalidInput, NotFound
from inference.lifecycle import State
from webapp import create_app
from webapp.reader_schema import AnswerReply
from webapp.settings import Settings, read_settings

QUESTION = "훈민정음은 언제 창제되었나요?"
CONTEXT = "👑 세종은 조선의 제4대 국왕으로, 1443년에 훈민정음을 창제하였다."
OTHER = "한라산은 제주도에 있는 산으로 높이는 1,947미터이다."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_reader(tmp_path_factory.mktemp("reader") / "tiny")


@pytest.fixture(scope="module")
def app(engine: Engine, folder: Path) -> Iterator[Flask]:
    app = create_app(Settings(reader=str(folder), doc_stride=32), engine)
    yield app
    app.extensions["ssang"].answerer.close()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def _answer(client: FlaskClient, **body: Any) -> Any:
    response = client.post("/api/answer", json=body)
    assert response.status_code == 200, response.text
    return response.get_json()


def test_answer_is_a_part_of_the_context(client: FlaskClient) -> None:
    reply = _answer(client, question=QUESTION, context=CONTEXT, n_best=3)
    AnswerReply.model_validate(reply, strict=True)
    assert reply["model"] == "tiny"
    assert reply["found"]
    assert reply["document_index"] == 0
    # Characters are code points, of which the crown is one.
    parts = [reply, *reply["alternatives"]]
    assert len(parts) == 3
    assert all(CONTEXT[part["start"] : part["end"]] == part["answer"] for part in parts)
    scores = [part["score"] for part in parts]
    assert scores == sorted(scores, reverse=True)
    assert reply["usage"]["tokens"] > len(CONTEXT.replace(" ", ""))


def test_documents_share_one_ranking(client: FlaskClient) -> None:
    documents = [CONTEXT, "", OTHER]
    reply = _answer(client, question=QUESTION, documents=documents, n_best=20)
    parts = [reply, *reply["alternatives"]]
    assert {part["document_index"] for part in parts} == {0, 2}
    for part in parts:
        assert documents[part["document_index"]][part["start"] : part["end"]] == part["answer"]


@pytest.mark.parametrize(
    ("body", "item"),
    [
        ({"question": QUESTION}, "context"),
        ({"question": QUESTION, "context": CONTEXT, "documents": [CONTEXT]}, "context"),
        ({"question": QUESTION, "context": " "}, "context"),
        ({"question": " ", "context": CONTEXT}, "question"),
        ({"context": CONTEXT}, "question"),
        ({"question": QUESTION, "documents": []}, "documents"),
        ({"question": QUESTION, "documents": ["가", 1]}, "documents[1]"),
        ({"question": QUESTION, "context": CONTEXT, "n_best": 21}, "n_best"),
        ({"question": QUESTION, "context": CONTEXT, "top_k": 1}, "top_k"),
    ],
)
def test_invalid_requests_name_the_item(
    client: FlaskClient, body: dict[str, Any], item: str
) -> None:
    response = client.post("/api/answer", json=body)
    assert response.status_code == 422
    error = response.get_json()["error"]
    assert error["code"] == "invalid_input"
    assert [detail["item"] for detail in error["details"]] == [item]


def test_no_answer_is_told_and_leaves_the_parts(engine: Engine, folder: Path) -> None:
    settings = Settings(reader=str(folder), doc_stride=32, no_answer_threshold=-100)
    app = create_app(settings, engine)
    client = app.test_client()
    reply = _answer(client, question=QUESTION, context=CONTEXT, n_best=2)
    AnswerReply.model_validate(reply, strict=True)
    assert (reply["answer"], reply["found"], reply["score"]) == ("", False, 0.0)
    assert (reply["start"], reply["end"], reply["document_index"]) == (None, None, None)
    assert len(reply["alternatives"]) == 2
    tutorial = client.post("/api", json={"question": QUESTION, "context": CONTEXT})
    assert tutorial.get_json()["answer"] == ""
    app.extensions["ssang"].answerer.close()


# The tutorial's route


def test_tutorial_gets_both_texts_back_with_the_answer(client: FlaskClient) -> None:
    best = _answer(client, question=QUESTION, context=CONTEXT)["answer"]
    asked = {"question": QUESTION, "context": CONTEXT}
    reply = client.post("/api", json={**asked, "submit": "전송"})
    assert reply.get_json() == {**asked, "answer": best}


@pytest.mark.parametrize("body", [{"question": "", "context": CONTEXT}, {"question": "가"}, {}])
def test_tutorial_answers_nothing_to_nothing(client: FlaskClient, body: dict[str, str]) -> None:
    reply = client.post("/api", json=body)
    assert reply.status_code == 200
    assert reply.get_json() == {"question": "", "context": "", **body, "answer": ""}


def test_tutorial_errors_are_those_of_the_api(client: FlaskClient) -> None:
    wrong = client.post("/api", json={"question": 1})
    assert (wrong.status_code, wrong.get_json()["error"]["code"]) == (422, "invalid_input")
    form = client.post("/api", data={"question": QUESTION})
    assert (form.status_code, form.get_json()["error"]["code"]) == (415, "unsupported_media_type")


# The reader beside the encoder


def test_nothing_is_loaded_before_the_first_question(engine: Engine, folder: Path) -> None:
    app = create_app(Settings(reader=str(folder)), engine)
    service, client = app.extensions["ssang"], app.test_client()
    assert client.get("/ready").status_code == 200
    assert service.reader.state is State.LOADING
    assert service.reader._batcher._thread is None
    service.answerer.close()


def test_a_reader_that_cannot_be_loaded_leaves_the_rest(
    engine: Engine, folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "damaged.ckpt"
    file.write_bytes(b"damaged")
    settings = Settings(reader_checkpoint=str(file), reader_base=str(folder))
    app = create_app(settings, engine)
    failures: list[Any] = []
    app.extensions["ssang"].on_failure(failures.append)
    client = app.test_client()
    response = client.post("/api/answer", json={"question": QUESTION, "context": CONTEXT})
    assert response.status_code == 503
    assert "damaged.ckpt" in response.get_json()["error"]["message"]
    assert client.get("/ready").status_code == 200
    assert client.post("/api/embed", json={"texts": "가"}).status_code == 200
    # Nor does the process leave, as it would if the encoder had failed.
    assert failures == []
    app.extensions["ssang"].answerer.close()


def test_answers_can_be_turned_off(engine: Engine) -> None:
    client = create_app(Settings(reader="none"), engine).test_client()
    response = client.post("/api/answer", json={"question": QUESTION, "context": CONTEXT})
    assert response.status_code == 503
    assert "turned off" in response.get_json()["error"]["message"]
    assert client.post("/api", json={"question": "", "context": ""}).status_code == 200
    with pytest.raises(InvalidInput, match="none to turn answers off"):
        read_settings(reader="")


def test_the_reader_closes_with_the_service(folder: Path) -> None:
    app = create_app(Settings(reader=str(folder)))
    service = app.extensions["ssang"]
    wait_until(lambda: service.encoder.state is not State.LOADING)
    _answer(app.test_client(), question=QUESTION, context=CONTEXT)
    thread = service.reader._batcher._thread
    service.close()
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"reader": "no-such-reader"}, NotFound, "no-such-reader"),
        ({"reader_checkpoint": "no.ckpt", "reader_base": "ko-mini"}, NotFound, "no.ckpt"),
        ({"reader_checkpoint": "no.ckpt"}, InvalidInput, "reader_base"),
        ({"max_seq_length": 1000}, InvalidInput, "max_seq_length is 1000"),
    ],
)
def test_a_wrong_reader_is_told_at_the_start(
    engine: Engine, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        create_app(Settings(**settings), engine)


def test_log_line_counts_and_holds_no_text(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    client.post("/api/answer", json={"question": QUESTION, "context": CONTEXT}, buffered=True)
    (line,) = [record for record in caplog.records if record.message == "request"]
    assert vars(line)["texts"] == 2
    assert vars(line)["found"] is True
    assert "훈민정음" not in str(vars(line))
