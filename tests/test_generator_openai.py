"""Answers from a server that speaks OpenAI's protocol, over a real socket."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from answering_sources import request_of, source_of
from chat_server import ChatHandler, ChatServer, Reply, answering, chat_server, refusing
from running_service import free_port

from inference.answering.openai import OpenAIGenerator
from inference.errors import GeneratorUnavailable, InvalidInput, Overloaded

KEY = "sk-secret-0123456789"
QUESTION = "이체 수수료가 있나요?"
PIECES = ["네, ", "500원", "입니다", ". [1]"]
REQUEST = request_of(QUESTION, source_of(1, "타행 이체는 500원입니다.", title="이체 수수료"))

Ask = Callable[..., tuple[OpenAIGenerator, ChatServer]]


@pytest.fixture
def ask() -> Iterator[Ask]:
    """A generator and the server that it asks, which replies as it is told."""
    with ExitStack() as stack:

        def start(*replies: Reply, **options: object) -> tuple[OpenAIGenerator, ChatServer]:
            server = stack.enter_context(chat_server(*replies))
            settings = {"url": server.url, "key": KEY, "backoff_s": (0.0, 0.0), **options}
            generator = OpenAIGenerator("our-model", **settings)  # type: ignore[arg-type]
            stack.callback(generator.close)
            return generator, server

        yield start


def test_pieces_come_as_the_server_sends_them(ask: Ask) -> None:
    generator, server = ask(answering(PIECES), max_tokens=77)
    generation = generator.generate(REQUEST)
    assert not server.requests
    assert list(generation) == PIECES
    assert (generation.usage.prompt_tokens, generation.usage.completion_tokens) == (120, 7)
    (sent,) = server.requests
    assert sent["path"] == "/v1/chat/completions"
    assert (sent["model"], sent["max_tokens"], sent["stream"]) == ("our-model", 77, True)
    assert [message["role"] for message in sent["messages"]] == ["system", "user"]
    assert QUESTION in sent["messages"][1]["content"]
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"


def test_first_piece_is_there_before_the_server_has_the_second(ask: Ask) -> None:
    go_on = threading.Event()

    def slow(handler: ChatHandler) -> None:
        handler.begin()
        handler.piece("첫")
        assert go_on.wait(30)
        handler.piece("째", "stop")
        handler.end()

    generator, _ = ask(slow)
    pieces = iter(generator.generate(REQUEST))
    assert next(pieces) == "첫"
    go_on.set()
    assert list(pieces) == ["째"]


def test_usage_is_unknown_where_the_server_tells_none(ask: Ask) -> None:
    generator, _ = ask(answering(PIECES, usage=None))
    generation = generator.generate(REQUEST)
    assert "".join(generation) == "".join(PIECES)
    assert generation.usage.completion_tokens is None


@pytest.mark.parametrize(
    "first", [refusing(429, retry_after="0.1"), refusing(503), refusing(500, code="oops")]
)
def test_busy_server_is_asked_again(ask: Ask, first: Reply) -> None:
    generator, server = ask(first, answering(PIECES))
    assert list(generator.generate(REQUEST)) == PIECES
    assert len(server.requests) == 2


def test_retry_after_is_honoured(ask: Ask) -> None:
    generator, _ = ask(refusing(429, retry_after="1"), answering(PIECES))
    began = time.monotonic()
    assert list(generator.generate(REQUEST)) == PIECES
    assert time.monotonic() - began >= 1


def test_connection_that_is_lost_before_the_first_piece_is_tried_again(ask: Ask) -> None:
    def hang_up(handler: ChatHandler) -> None:
        handler.close_connection = True

    generator, server = ask(hang_up, answering(PIECES))
    assert list(generator.generate(REQUEST)) == PIECES
    assert len(server.requests) == 2


def test_server_that_stays_busy_is_overloaded(ask: Ask) -> None:
    generator, server = ask(refusing(429, retry_after="0.01"))
    with pytest.raises(Overloaded) as caught:
        list(generator.generate(REQUEST))
    assert caught.value.retry_after_s == 1
    assert len(server.requests) == 3


def test_nobody_waits_as_long_as_a_server_likes(ask: Ask) -> None:
    generator, server = ask(refusing(429, retry_after="3600"))
    with pytest.raises(Overloaded) as caught:
        list(generator.generate(REQUEST))
    assert caught.value.retry_after_s == 3600
    assert len(server.requests) == 1


def test_server_that_stays_broken_is_unavailable(ask: Ask) -> None:
    generator, server = ask(refusing(502))
    with pytest.raises(GeneratorUnavailable, match="InternalServerError"):
        list(generator.generate(REQUEST))
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("reply", "mend"),
    [
        (refusing(401, message=f"Incorrect API key provided: {KEY}"), "generator_key"),
        (refusing(404, message="model not found"), "generator_model"),
        (refusing(400, code="context_length_exceeded", message=QUESTION), "context_length_exceede"),
        (refusing(400, code=f"odd {QUESTION}", message=QUESTION), "BadRequestError"),
    ],
)
def test_refusal_names_the_mend_and_neither_key_nor_question(
    ask: Ask, caplog: pytest.LogCaptureFixture, reply: Reply, mend: str
) -> None:
    caplog.set_level(logging.DEBUG)
    generator, server = ask(reply)
    with pytest.raises(GeneratorUnavailable, match=mend) as caught:
        list(generator.generate(REQUEST))
    assert len(server.requests) == 1
    assert QUESTION not in caught.value.message
    assert KEY not in caught.value.message + caplog.text + repr(generator)


def test_server_that_is_not_there_is_unavailable() -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    generator = OpenAIGenerator("our-model", url=url, backoff_s=(0.0,))
    with pytest.raises(GeneratorUnavailable, match="generator_url"):
        list(generator.generate(REQUEST))
    generator.close()


def _reset(handler: ChatHandler) -> None:
    handler.begin()
    handler.piece("여기까지")
    handler.close_connection = True


def _unfinished(handler: ChatHandler) -> None:
    handler.begin()
    handler.piece("여기까지")
    handler.end()


def _nonsense(handler: ChatHandler) -> None:
    handler.begin()
    handler.piece("여기까지")
    handler.event("{nonsense")
    handler.end()


def _error(handler: ChatHandler) -> None:
    handler.begin()
    handler.piece("여기까지")
    handler.event({"error": {"message": QUESTION}})
    handler.end()


@pytest.mark.parametrize("reply", [_reset, _unfinished, _nonsense, _error])
def test_break_in_mid_answer_is_told_after_its_pieces(ask: Ask, reply: Reply) -> None:
    generator, server = ask(reply)
    pieces: list[str] = []
    with pytest.raises(GeneratorUnavailable, match="broke off") as caught:
        pieces.extend(generator.generate(REQUEST))
    assert pieces == ["여기까지"]
    assert len(server.requests) == 1
    assert QUESTION not in caught.value.message


@pytest.mark.parametrize("begins", [False, True])
def test_silence_ends_at_the_timeout(ask: Ask, begins: bool) -> None:
    go_on = threading.Event()

    def silent(handler: ChatHandler) -> None:
        if begins:
            handler.begin()
            handler.piece("음")
        go_on.wait(30)
        handler.close_connection = True

    generator, server = ask(silent, read_timeout_s=0.3)
    with pytest.raises(GeneratorUnavailable, match="broke off" if begins else "too long"):
        list(generator.generate(REQUEST))
    go_on.set()
    assert len(server.requests) == 1


def test_server_stops_when_the_caller_leaves(ask: Ask) -> None:
    def endless(handler: ChatHandler) -> None:
        handler.begin()
        while True:
            handler.piece("끝없이 ")
            time.sleep(0.01)

    generator, server = ask(endless)
    generation = generator.generate(REQUEST)
    assert next(iter(generation)) == "끝없이 "
    generation.close()
    assert server.left.wait(30)


def test_generation_that_nobody_reads_asks_nothing(ask: Ask) -> None:
    generator, server = ask(answering(PIECES))
    generator.generate(REQUEST).close()
    assert not server.requests


@pytest.mark.parametrize(
    ("model", "options", "item"),
    [
        ("", {"url": "http://localhost/v1"}, "generator_model"),
        ("m", {"url": "localhost:11434/v1"}, "generator_url"),
        ("m", {"url": "file:///v1"}, "generator_url"),
        ("m", {}, "generator_key"),
    ],
)
def test_what_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, model: str, options: dict[str, str], item: str
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(InvalidInput) as caught:
        OpenAIGenerator(model, **options)  # type: ignore[arg-type]
    assert caught.value.item == item


def test_key_of_the_environment_goes_to_openai_alone(
    monkeypatch: pytest.MonkeyPatch, ask: Ask
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    generator, server = ask(answering(PIECES), key="")
    assert list(generator.generate(REQUEST)) == PIECES
    assert KEY not in str(server.headers)
