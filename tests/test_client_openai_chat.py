"""The openai package chats with collections of a running service."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import requests
from long_generator import LongGenerator
from openai import OpenAI
from running_service import StartService, kept_full, serving

from inference.answering.asker import NOTHING_NEAR
from inference.corpus.base import Document
from inference.engine import Engine
from inference.errors import GeneratorUnavailable
from webapp import create_app
from webapp.settings import Settings

LOST = {"id": "1", "title": "카드를 잃어버렸어요", "text": "분실 신고는 24시간 받습니다."}
ANSWER = f"{LOST['text']} [1]"
MODEL = "collection:faq"
QUESTION: Any = [{"role": "user", "content": "카드를 잃어버렸는데 어떻게 하나요?"}]


@pytest.fixture(scope="module")
def service(start_service: StartService, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Address of a service with one document."""
    url = start_service(data_dir=tmp_path_factory.mktemp("data"), reader="none", workers=1).url
    collection = f"{url}/api/collections/faq"
    assert requests.put(collection, timeout=60).ok
    added = requests.post(f"{collection}/documents", json={"documents": [LOST]}, timeout=60)
    assert added.ok
    return url


@pytest.fixture
def client(service: str) -> Iterator[OpenAI]:
    with _client(service) as client:
        yield client


def _client(url: str) -> OpenAI:
    return OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)


def test_an_answer_cites_and_lists_its_sources(client: OpenAI) -> None:
    reply = client.chat.completions.create(model=MODEL, messages=QUESTION)
    assert (reply.object, reply.model) == ("chat.completion", MODEL)
    (choice,) = reply.choices
    assert (choice.message.role, choice.message.content) == ("assistant", ANSWER)
    assert choice.finish_reason == "stop"
    (source,) = choice.message.model_extra["sources"]  # type: ignore[index]
    assert (source["number"], source["document"]["id"]) == (1, "1")


def test_a_stream_tells_role_text_sources_and_end(client: OpenAI) -> None:
    stream = client.chat.completions.create(model=MODEL, messages=QUESTION, stream=True)
    chunks = list(stream)
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1
    first, *middle, last = [chunk.choices[0] for chunk in chunks]
    assert (first.delta.role, first.delta.content) == ("assistant", "")
    assert "".join(choice.delta.content or "" for choice in middle) == ANSWER
    assert {choice.finish_reason for choice in [first, *middle]} == {None}
    assert last.finish_reason == "stop"
    assert last.delta.model_extra["sources"][0]["document"]["id"] == "1"  # type: ignore[index]
    assert {chunk.usage for chunk in chunks} == {None}


def test_usage_comes_in_a_last_chunk_if_it_is_asked_for(client: OpenAI) -> None:
    elsewhere: Any = [{"role": "user", "content": "김치찌개는 어떻게 끓여요?"}]
    stream = client.chat.completions.create(
        model=MODEL, messages=elsewhere, stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == NOTHING_NEAR
    assert last.choices == []
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.total_tokens) == (0, 0)


def test_raw_stream_ends_as_openai_s_does(service: str) -> None:
    body = {"model": MODEL, "messages": QUESTION, "stream": True}
    response = requests.post(f"{service}/v1/chat/completions", json=body, timeout=60)
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert response.headers["X-Accel-Buffering"] == "no"
    assert response.text.endswith("data: [DONE]\n\n")
    assert all(not line or line.startswith("data: ") for line in response.text.splitlines())


def test_what_other_servers_know_is_accepted(client: OpenAI) -> None:
    messages: Any = [
        {"role": "system", "content": "영어로 대답하세요."},
        {"role": "user", "content": [{"type": "text", "text": QUESTION[0]["content"]}]},
    ]
    reply = client.chat.completions.create(
        model=MODEL,
        messages=messages,
        temperature=0.2,
        max_tokens=10,
        top_p=0.5,
        stop=["\n"],
        seed=1,
        n=1,
        user="somebody",
        extra_body={"repetition_penalty": 1.1},
    )
    assert reply.choices[0].message.content == ANSWER


def test_collections_are_listed_beside_the_model(client: OpenAI) -> None:
    models = {model.id: model for model in client.models.list()}
    assert list(models) == ["ko-mini", MODEL]
    assert client.models.retrieve(MODEL) == models[MODEL]
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("collection:none")


@pytest.mark.parametrize("model", ["collection:none", "collection:No Name", "gpt-4o", "ko-mini"])
@pytest.mark.parametrize("streamed", [False, True])
def test_an_unknown_collection_is_not_found(client: OpenAI, model: str, streamed: bool) -> None:
    with pytest.raises(openai.NotFoundError, match="collection:") as caught:
        client.chat.completions.create(model=model, messages=QUESTION, stream=streamed)
    assert (caught.value.param, caught.value.code) == ("model", "model_not_found")


@pytest.mark.parametrize(
    ("body", "item"),
    [
        ({"n": 2}, "n"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "system", "content": "a"}]}, "messages"),
        ({"messages": [{"role": "user", "content": " "}]}, "messages"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content",
        ),
    ],
)
def test_what_is_not_done_is_refused(client: OpenAI, body: Any, item: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**{"model": MODEL, "messages": QUESTION, **body})
    assert (caught.value.param, caught.value.code) == (item, "invalid_value")


# With a generator of the tests' own


@pytest.fixture
def long(engine: Engine, tmp_path: Path) -> Iterator[tuple[str, LongGenerator]]:
    """Address of an application whose answers have no end."""
    app = create_app(Settings(data_dir=str(tmp_path), reader="none"), engine)
    service = app.extensions["ssang"]
    service.generator = generator = LongGenerator()
    service.corpus.create("empty")
    collection, _ = service.corpus.create("faq")
    collection.add([Document("1", LOST["text"], LOST["title"])])
    with serving(app) as url:
        yield url, generator
    service.corpus.close()


def test_the_last_question_is_asked_and_the_rest_is_history(
    long: tuple[str, LongGenerator],
) -> None:
    url, generator = long
    messages: Any = [
        {"role": "system", "content": "a"},
        {"role": "user", "content": "카드가 없어졌어요."},
        {"role": "assistant", "content": "신고해 주세요."},
        *QUESTION,
        {"role": "assistant", "content": "먼저"},
    ]
    with _client(url) as client:
        stream = client.chat.completions.create(model=MODEL, messages=messages, stream=True)
        next(iter(stream))
        stream.close()
    assert generator.closed.wait(timeout=60)
    (request,) = generator.requests
    assert request.question == QUESTION[0]["content"]
    assert [(turn.role, turn.content) for turn in request.history] == [
        ("user", "카드가 없어졌어요."),
        ("assistant", "신고해 주세요."),
    ]


def test_an_answer_that_breaks_off_is_an_error(long: tuple[str, LongGenerator]) -> None:
    url, generator = long
    generator.fail_after(2, GeneratorUnavailable("It is away."))
    with _client(url) as client:
        with pytest.raises(openai.APIError, match="It is away") as broken:
            list(client.chat.completions.create(model=MODEL, messages=QUESTION, stream=True))
        assert broken.value.code == "generator_unavailable"
        with pytest.raises(openai.InternalServerError, match="It is away"):
            client.chat.completions.create(model=MODEL, messages=QUESTION)


def test_an_empty_collection_is_a_conflict(long: tuple[str, LongGenerator]) -> None:
    with _client(long[0]) as client, pytest.raises(openai.ConflictError):
        client.chat.completions.create(model="collection:empty", messages=QUESTION)


def test_a_full_service_is_a_rate_limit_error(engine: Engine, tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=str(tmp_path), threads=8, reader="none"), engine)
    with (
        kept_full(app),
        serving(app) as url,
        _client(url) as client,
        pytest.raises(openai.RateLimitError),
    ):
        client.chat.completions.create(model=MODEL, messages=QUESTION)
