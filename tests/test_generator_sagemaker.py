"""Answers from a SageMaker endpoint: a service of ours with a user's chat code, and raw streams."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
from answering_sources import request_of, source_of
from aws import ENVIRONMENT
from chat_server import USAGE, ChatHandler, ChatServer, Reply, chat_server, refusing
from flask import Flask
from running_service import free_port, serving, wait_until

from inference.answering.sagemaker import SageMakerGenerator
from inference.errors import GeneratorUnavailable, InvalidInput, Overloaded
from inference.lifecycle import State
from webapp import create_app
from webapp.event_stream import EVENT_STREAM, model_error_frame, part_frames
from webapp.settings import Settings

QUESTION = "이체 수수료가 있나요?"
REQUEST = request_of(QUESTION, source_of(1, "타행 이체는 500원입니다.", title="이체 수수료"))
PIECES = ["네, ", "500원", "입니다", ". [1]"]

# A container for chats: it echoes the last line of what it is asked, a word at a time.
CODE = """
import json

def model_fn(model_dir):
    return "endpoint of the tests"

def transform_fn(model, body, content_type, accept):
    asked = json.loads(body)
    assert content_type == "application/json" and asked["max_tokens"] == 99
    answer = asked["messages"][-1]["content"].splitlines()[-1] + " [1]"
    usage = {"prompt_tokens": len(body), "completion_tokens": 3}
    if not asked.get("stream") or "whole" in answer:
        choice = {"index": 0, "message": {"content": answer}, "finish_reason": "stop"}
        return json.dumps({"choices": [choice], "usage": usage}, indent=1), "application/json"
    words = [f"{word} " for word in answer.split()]
    chunks = [{"choices": [{"index": 0, "delta": {"content": word}}]} for word in words]
    chunks[-1]["choices"][0]["finish_reason"] = "stop"
    chunks.append({"choices": [], "usage": usage})
    if "lines" in answer:
        return "".join(f"{json.dumps(chunk)}\\n" for chunk in chunks), "application/jsonlines"
    events = "".join(f": ping\\nevent: chunk\\ndata: {json.dumps(chunk)}\\n\\n" for chunk in chunks)
    return events + "data: [DONE]\\n\\n", "text/event-stream; charset=utf-8"
"""

Ask = Callable[..., tuple[SageMakerGenerator, ChatServer]]


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def chat_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """A service of ours whose model is code that answers chats."""
    folder = tmp_path_factory.mktemp("chat")
    (folder / "code").mkdir()
    (folder / "code" / "inference.py").write_text(CODE, encoding="utf-8")
    app = create_app(Settings(model=str(folder), endpoint_name="chat"))
    user_model = app.extensions["ssang"].user_model
    wait_until(lambda: user_model.state is not State.LOADING)
    yield app
    user_model.close()


@pytest.fixture
def endpoint(chat_app: Flask) -> Iterator[str]:
    """Address of its Runtime."""
    with serving(chat_app) as url:
        yield url


@pytest.fixture
def ask() -> Iterator[Ask]:
    """A generator and the raw server that it asks, which replies as it is told."""
    with ExitStack() as stack:

        def start(*replies: Reply, **options: Any) -> tuple[SageMakerGenerator, ChatServer]:
            server = stack.enter_context(chat_server(*replies))
            url = server.url.removesuffix("/v1")
            generator = SageMakerGenerator("chat", url=url, **options)
            stack.callback(generator.close)
            return generator, server

        yield start


def _begin(handler: ChatHandler, content_type: str = "text/event-stream") -> None:
    handler.begin(EVENT_STREAM, x_amzn_sagemaker_content_type=content_type)


def _payload(pieces: Sequence[str], *, prefix: str = "data: ", end: str = "\n\n") -> bytes:
    """An answer as containers stream it."""
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
        for text in pieces
    ]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    chunks.append({"choices": [], "usage": USAGE})
    lines = [json.dumps(chunk, ensure_ascii=False) for chunk in chunks]
    return "".join(f"{prefix}{line}{end}" for line in lines).encode()


def _streaming(payload: bytes, *, cut: int, content_type: str = "text/event-stream") -> Reply:
    """A stream with parts of so many bytes."""

    def reply(handler: ChatHandler) -> None:
        _begin(handler, content_type)
        for start in range(0, len(payload), cut):
            handler.chunk(b"".join(part_frames(payload[start : start + cut])))
        handler.end()

    return reply


@pytest.mark.parametrize("form", ["events", "lines", "whole"])
def test_our_own_runtime_answers(endpoint: str, form: str) -> None:
    generator = SageMakerGenerator("chat", url=endpoint, max_tokens=99)
    asked = request_of(f"{form} 이체 수수료?", *REQUEST.sources)
    generation = generator.generate(asked)
    pieces = list(generation)
    generator.close()
    assert "".join(pieces).strip() == f"질문: {form} 이체 수수료? [1]"
    assert len(pieces) == (1 if form == "whole" else 5)
    assert generation.usage.completion_tokens == 3


@pytest.mark.parametrize("code", ["ValidationException", "AccessDeniedException"])
def test_endpoint_that_does_not_stream_is_asked_for_whole_answers(
    chat_app: Flask, endpoint: str, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    answer, refused = chat_app.wsgi_app, []

    def refuse_streams(environ: dict[str, Any], start_response: Any) -> Any:
        if not environ["PATH_INFO"].endswith("-response-stream"):
            return answer(environ, start_response)
        refused.append(environ["PATH_INFO"])
        start_response("400 Bad Request", [("x-amzn-errortype", code)])
        return [b"{}"]

    monkeypatch.setattr(chat_app, "wsgi_app", refuse_streams)
    generator = SageMakerGenerator("chat", url=endpoint, max_tokens=99)
    for _ in range(2):
        generation = generator.generate(REQUEST)
        assert list(generation) == [f"질문: {QUESTION} [1]"]
        assert generation.usage.completion_tokens == 3
    generator.close()
    # The second time it was known.
    assert len(refused) == 1


def test_endpoint_that_is_not_there_is_unavailable(endpoint: str) -> None:
    generator = SageMakerGenerator("other", url=endpoint)
    with pytest.raises(GeneratorUnavailable, match=r"'other' .*ValidationError"):
        list(generator.generate(REQUEST))
    generator.close()


@pytest.mark.parametrize("cut", [1, 2, 7, 10_000])
@pytest.mark.parametrize(("prefix", "end"), [("data: ", "\n\n"), ("data:", "\r\n\r\n"), ("", "\n")])
def test_parts_may_be_cut_at_any_byte(ask: Ask, cut: int, prefix: str, end: str) -> None:
    kind = "text/event-stream" if prefix else "application/jsonlines"
    payload = _payload(PIECES, prefix=prefix, end=end)
    generator, server = ask(_streaming(payload, cut=cut, content_type=kind))
    generation = generator.generate(REQUEST)
    assert not server.requests
    assert list(generation) == PIECES
    assert generation.usage.prompt_tokens == USAGE["prompt_tokens"]
    (sent,) = server.requests
    assert sent["path"] == "/endpoints/chat/invocations-response-stream"
    assert sent["stream"] is True
    assert [message["role"] for message in sent["messages"]] == ["system", "user"]


def test_first_piece_is_there_before_the_endpoint_has_the_second(ask: Ask) -> None:
    go_on = threading.Event()
    lines = _payload(PIECES).splitlines(keepends=True)

    def slow(handler: ChatHandler) -> None:
        _begin(handler)
        handler.chunk(b"".join(part_frames(lines[0])))
        assert go_on.wait(30)
        handler.chunk(b"".join(part_frames(b"".join(lines[1:]))))
        handler.end()

    generator, _ = ask(slow)
    pieces = iter(generator.generate(REQUEST))
    assert next(pieces) == PIECES[0]
    go_on.set()
    assert list(pieces) == PIECES[1:]


_FIRST = b"".join(part_frames(_payload(PIECES).splitlines(keepends=True)[0]))


def _model_fails(handler: ChatHandler) -> None:
    _begin(handler)
    handler.chunk(_FIRST + model_error_frame(QUESTION, "ModelError"))
    handler.end()


def _ends_early(handler: ChatHandler) -> None:
    _begin(handler)
    handler.chunk(_FIRST)
    handler.end()


def _hangs_up(handler: ChatHandler) -> None:
    _begin(handler)
    handler.chunk(_FIRST)
    handler.close_connection = True


def _says_so(handler: ChatHandler) -> None:
    _begin(handler)
    handler.chunk(_FIRST + b"".join(part_frames(b'data: {"error": {"message": "x"}}\n\n')))
    handler.end()


def _falls_silent(handler: ChatHandler) -> None:
    _begin(handler)
    handler.chunk(_FIRST)
    time.sleep(1)
    handler.close_connection = True


@pytest.mark.parametrize("reply", [_model_fails, _ends_early, _hangs_up, _says_so, _falls_silent])
def test_break_in_mid_answer_is_told_after_its_pieces(ask: Ask, reply: Reply) -> None:
    generator, server = ask(reply, read_timeout_s=0.5)
    pieces: list[str] = []
    with pytest.raises(GeneratorUnavailable, match="broke off") as caught:
        pieces.extend(generator.generate(REQUEST))
    assert pieces == PIECES[:1]
    assert len(server.requests) == 1
    assert QUESTION not in caught.value.message


@pytest.mark.parametrize("body", [b"[1]", b"{}", b'{"choices": []}', b"\xff", b""])
def test_answer_that_is_no_chat_is_told(ask: Ask, body: bytes) -> None:
    generator, _ = ask(_streaming(body, cut=10, content_type="application/json"))
    with pytest.raises(GeneratorUnavailable, match="chat completion"):
        list(generator.generate(REQUEST))


def test_endpoint_stops_when_the_caller_leaves(ask: Ask) -> None:
    def endless(handler: ChatHandler) -> None:
        _begin(handler)
        while True:
            handler.chunk(_FIRST)
            time.sleep(0.01)

    generator, server = ask(endless)
    generation = generator.generate(REQUEST)
    assert next(iter(generation)) == PIECES[0]
    generation.close()
    assert server.left.wait(30)


def test_busy_endpoint_is_asked_again_and_then_overloaded(ask: Ask) -> None:
    busy = refusing(429, x_amzn_errortype="ThrottlingException")
    generator, server = ask(busy, _streaming(_payload(PIECES), cut=50))
    assert list(generator.generate(REQUEST)) == PIECES
    assert len(server.requests) == 2
    generator, server = ask(busy)
    with pytest.raises(Overloaded):
        list(generator.generate(REQUEST))
    assert len(server.requests) == 2


def test_nothing_that_is_told_holds_the_question_or_a_secret(
    ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    failing = refusing(424, message=QUESTION, x_amzn_errortype="ModelError")
    generator, _ = ask(failing)
    with pytest.raises(GeneratorUnavailable, match="ModelError") as caught:
        list(generator.generate(REQUEST))
    assert QUESTION not in caught.value.message + caplog.text


def test_runtime_that_is_not_there_is_unavailable() -> None:
    generator = SageMakerGenerator("chat", url=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(GeneratorUnavailable, match="EndpointConnectionError"):
        list(generator.generate(REQUEST))
    generator.close()


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput) as caught:
        SageMakerGenerator("")
    assert caught.value.item == "generator_model"
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(InvalidInput, match="AWS_DEFAULT_REGION"):
        SageMakerGenerator("chat")
