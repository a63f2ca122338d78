"""Answers from collections over HTTP: whole, streamed, refused, left in mid-answer."""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from chat_server import answering, chat_server
from flask import Flask
from flask.testing import FlaskClient
from long_generator import LongGenerator
from prometheus_client import REGISTRY
from running_service import serving, wait_until

from inference.answering.asker import NOTHING_NEAR
from inference.corpus.base import Document
from inference.engine import Engine
from inference.errors import GeneratorUnavailable, Overloaded
from webapp import create_app, stream
from webapp.answer_schema import AskReply
from webapp.settings import Settings

LOST = Document(
    "1", "분실 신고는 24시간 받습니다. 앱에서도 하실 수 있습니다.", "카드를 잃어버렸어요"
)
HOURS = Document("2", "영업점은 평일 9시부터 16시까지 엽니다.", "영업시간이 어떻게 되나요?")
QUESTION = "카드를 잃어버렸는데 어떻게 하나요?"
ELSEWHERE = "김치찌개는 어떻게 끓여요?"
# Half of the requests that eight threads admit.
_PLACES = 3

URL = "/api/collections/faq/ask"

Events = list[tuple[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def app(app: Flask, engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The application with two documents in ``faq`` and none in ``empty``."""
    own = _app(engine, tmp_path_factory.mktemp("data"))
    own.test_client_class = app.test_client_class
    own.extensions["ssang"].corpus.create("empty")
    yield own
    own.extensions["ssang"].corpus.close()


def _app(engine: Engine, folder: Path, **settings: Any) -> Flask:
    app = create_app(Settings(data_dir=str(folder), reader="none", **settings), engine)
    collection, _ = app.extensions["ssang"].corpus.create("faq")
    collection.add([LOST, HOURS])
    return app


@pytest.fixture
def long(engine: Engine, tmp_path: Path) -> Iterator[tuple[Flask, LongGenerator]]:
    """An application whose answers have no end, with few places for them."""
    app, generator = _app(engine, tmp_path, threads=8), LongGenerator()
    app.extensions["ssang"].generator = generator
    yield app, generator
    app.extensions["ssang"].corpus.close()


def _events(text: str) -> Events:
    blocks = [block for block in text.split("\n\n") if block and not block.startswith(":")]
    return [_event(block) for block in blocks]


def _event(block: str) -> tuple[str, dict[str, Any]]:
    name, data = block.splitlines()
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


# Whole


def test_answers_as_declared_and_cites_what_it_quotes(client: FlaskClient) -> None:
    answer = client.post(URL, json={"question": QUESTION}).get_json()
    reply = AskReply.model_validate(answer, strict=True)
    assert reply.answer == f"{LOST.text} [1]"
    assert reply.found
    assert reply.generator == "extractive"
    (source,) = reply.sources
    assert (source.number, source.document.id, source.grade) == (1, "1", "high")
    assert source.passage.text == LOST.title[source.passage.start : source.passage.end]
    assert reply.timing_ms.total >= reply.timing_ms.embed > 0


def test_nothing_near_is_said_plainly(client: FlaskClient) -> None:
    answer = client.post(URL, json={"question": ELSEWHERE}).get_json()
    assert (answer["answer"], answer["found"], answer["sources"]) == (NOTHING_NEAR, False, [])
    assert answer["usage"] == {"prompt_tokens": 0, "completion_tokens": 0}


def test_history_completes_a_question(client: FlaskClient) -> None:
    body = {
        "question": "그건 앱에서도 되나요?",
        "history": [
            {"role": "user", "content": "카드를 잃어버렸어요."},
            {"role": "assistant", "content": "신고해 주세요. [1]"},
        ],
    }
    answer = client.post(URL, json=body).get_json()
    assert answer["sources"][0]["document"]["id"] == "1"


def test_top_k_is_the_most_sources(client: FlaskClient) -> None:
    for top_k in (1, 2):
        body = {"question": "카드를 잃어버렸어요. 영업시간이 어떻게 되나요?", "top_k": top_k}
        assert len(client.post(URL, json=body).get_json()["sources"]) <= top_k


@pytest.mark.parametrize(
    ("body", "item"),
    [
        ({}, "question"),
        ({"question": " "}, "question"),
        ({"question": QUESTION, "top_k": 0}, "top_k"),
        (
            {"question": QUESTION, "history": [{"role": "system", "content": "a"}]},
            "history[0].role",
        ),
        ({"question": QUESTION, "temperature": 1}, "temperature"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_bad_bodies_are_refused_before_anything_is_sent(
    client: FlaskClient, body: dict[str, Any], item: str, streamed: bool
) -> None:
    response = client.post(URL, json={**body, "stream": streamed})
    assert response.status_code == 422
    assert response.get_json()["error"]["details"][0]["item"] == item


@pytest.mark.parametrize("streamed", [False, True])
def test_collections_that_cannot_answer(client: FlaskClient, streamed: bool) -> None:
    body = {"question": QUESTION, "stream": streamed}
    missing = client.post("/api/collections/none/ask", json=body)
    assert (missing.status_code, missing.get_json()["error"]["code"]) == (404, "not_found")
    empty = client.post("/api/collections/empty/ask", json=body)
    assert (empty.status_code, empty.get_json()["error"]["code"]) == (409, "conflict")
    assert "empty" in empty.get_json()["error"]["message"]


def test_a_model_that_still_loads_answers_nothing(engine: Engine, tmp_path: Path) -> None:
    filled = _app(engine, tmp_path)
    filled.extensions["ssang"].corpus.close()
    app = create_app(Settings(data_dir=str(tmp_path)), Engine(engine.model))
    response = app.test_client().post(URL, json={"question": QUESTION})
    assert (response.status_code, response.get_json()["error"]["code"]) == (
        503,
        "model_unavailable",
    )
    app.extensions["ssang"].corpus.close()


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (GeneratorUnavailable("It is away."), 502, "generator_unavailable"),
        (Overloaded("It is busy.", retry_after_s=3), 429, "overloaded"),
    ],
)
def test_a_generator_that_fails(
    long: tuple[Flask, LongGenerator], error: Exception, status: int, code: str
) -> None:
    app, generator = long
    generator.fail_after(0, error)
    client = app.test_client()
    whole = client.post(URL, json={"question": QUESTION})
    assert (whole.status_code, whole.get_json()["error"]["code"]) == (status, code)
    # Its sources are on their way by then.
    generator.fail_after(2, error)
    streamed = client.post(URL, json={"question": QUESTION, "stream": True})
    events = _events(streamed.text)
    assert streamed.status_code == 200
    assert [name for name, _ in events] == ["sources", "text", "text", "error"]
    assert events[-1][1] == {"code": code, "message": str(error)}


# Streamed


def test_a_stream_brings_sources_text_and_the_end(client: FlaskClient) -> None:
    response = client.post(URL, json={"question": QUESTION, "stream": True})
    assert response.content_type == "text/event-stream; charset=utf-8"
    assert response.headers["X-Accel-Buffering"] == "no"
    events = _events(response.text)
    assert events[0][0] == "sources"
    assert {name for name, _ in events[1:-1]} == {"text"}
    whole = client.post(URL, json={"question": QUESTION}).get_json()
    for name in ("found", "sources", "generator"):
        assert events[0][1][name] == whole[name]
    assert "".join(data["text"] for _, data in events[1:-1]) == whole["answer"]
    name, done = events[-1]
    assert (name, set(done), set(done["timing_ms"])) == (
        "done",
        {"usage", "timing_ms"},
        {"embed", "search", "generate", "total"},
    )


def test_a_stream_that_found_nothing_says_so(client: FlaskClient) -> None:
    response = client.post(URL, json={"question": ELSEWHERE, "stream": True})
    (_, sources), (_, text), (name, _) = _events(response.text)
    assert (sources["found"], sources["sources"]) == (False, [])
    assert (text, name) == ({"text": NOTHING_NEAR}, "done")


def test_a_client_that_leaves_stops_the_work_and_frees_its_place(
    long: tuple[Flask, LongGenerator],
) -> None:
    app, generator = long
    with serving(app) as url, ExitStack() as clients:
        streams = [clients.enter_context(_begun(url)) for _ in range(_PLACES)]
        refused = requests.post(url + URL, json={"question": QUESTION}, timeout=60)
        assert refused.status_code == 429
        assert all(next(lines) for lines in streams)
        assert not generator.closed.is_set()
        clients.close()
        assert generator.closed.wait(timeout=60)
        wait_until(lambda: _is_free(url))
    made = generator.made
    time.sleep(0.3)
    assert generator.made == made


@contextmanager
def _begun(url: str) -> Iterator[Iterator[str]]:
    """The lines of a stream whose first text has come, but for those without data."""
    body = {"question": QUESTION, "stream": True}
    with requests.post(url + URL, json=body, stream=True, timeout=60) as response:
        lines = response.iter_lines(decode_unicode=True)
        while next(lines) != "event: text":
            pass
        yield (line for line in lines if line)


def _is_free(url: str) -> bool:
    response = requests.post(url + URL, json={"question": ELSEWHERE}, timeout=60)
    return response.ok


def test_silence_is_filled_with_comments(
    long: tuple[Flask, LongGenerator], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, generator = long
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.05)
    generator.silent.set()
    client = app.test_client()
    response = client.post(URL, json={"question": QUESTION, "stream": True})
    pieces = iter(response.iter_encoded())
    assert next(pieces).startswith(b"event: sources")
    assert [next(pieces) for _ in range(3)] == [b":\n\n"] * 3
    generator.silent.clear()
    assert next(piece for piece in pieces if piece != b":\n\n").startswith(b"event: text")
    response.close()
    assert generator.closed.wait(timeout=60)


def test_log_and_metrics_tell_what_became_of_answers_and_no_text(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    def counted(outcome: str) -> float:
        return REGISTRY.get_sample_value("ssang_answers_total", {"outcome": outcome}) or 0.0

    before = counted("complete"), counted("nothing found")
    with caplog.at_level(logging.INFO, "webapp.observation"):
        for streamed in (False, True):
            client.post(URL, json={"question": QUESTION, "stream": streamed})
        client.post(URL, json={"question": ELSEWHERE})
    assert (counted("complete"), counted("nothing found")) == (before[0] + 2, before[1] + 1)
    lines = [vars(record) for record in caplog.records if record.message == "request"]
    assert [(line["found"], line["outcome"], line["generator"]) for line in lines] == [
        (True, "complete", "extractive"),
        (True, "complete", "extractive"),
        (False, "complete", "extractive"),
    ]
    assert all(text not in str(lines) for text in (QUESTION, ELSEWHERE, LOST.text))


# What the settings name


def test_another_server_writes_the_answer(engine: Engine, tmp_path: Path) -> None:
    with chat_server(answering(["카드를 정지", "해 드립니다. [1]"])) as server:
        app = _app(
            engine,
            tmp_path,
            generator="openai",
            generator_url=server.url,
            generator_model="any",
            generator_key="secret",
            generator_tokens=99,
        )
        answer = app.test_client().post(URL, json={"question": QUESTION}).get_json()
        app.extensions["ssang"].asker.generator.close()
        app.extensions["ssang"].corpus.close()
    assert answer["answer"] == "카드를 정지해 드립니다. [1]"
    assert answer["usage"] == {"prompt_tokens": 120, "completion_tokens": 7}
    (asked,) = server.requests
    assert asked["model"] == "any"
    assert LOST.text in json.dumps(asked["messages"], ensure_ascii=False)
    assert server.headers[0]["authorization"] == "Bearer secret"


def test_a_generator_that_cannot_be_made_is_no_fault_of_the_client(
    engine: Engine, tmp_path: Path
) -> None:
    app = _app(engine, tmp_path, generator="openai")
    response = app.test_client().post(URL, json={"question": QUESTION})
    app.extensions["ssang"].corpus.close()
    assert response.status_code == 502
    assert "generator_model" in response.get_json()["error"]["message"]
