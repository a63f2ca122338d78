"""OpenAI's chat completions, which answer from collections."""

import time
import uuid
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Response
from flask_openapi import Tag

from inference.answering.asker import DEFAULT_TOP_K
from inference.answering.base import Turn
from inference.errors import InvalidInput
from webapp import stream
from webapp.answering import Answer, begin_answer, collection_of
from webapp.blueprint import ApiBlueprint
from webapp.errors import error_body
from webapp.observation import notes
from webapp.parsing import inline_schema
from webapp.reply import JSON, json_reply
from webapp.service import current_corpus, current_service
from webapp.wire.chat import ChatEvent, ChatMessage, ChatReply, ChatRequest
from webapp.wire.openai import OpenAIErrorReply

_ERRORS: dict[Any, Any] = dict.fromkeys(
    (400, 401, 404, 409, 413, 415, 429, 500, 502, 503, 504), OpenAIErrorReply
)

_ANSWER: dict[Any, Any] = {
    200: {
        "description": "The answer, or its chunks as server-sent events.",
        "content": {
            JSON: {"schema": inline_schema(ChatReply)},
            stream.EVENTS: {"schema": inline_schema(ChatEvent)},
        },
    },
}

_END = b"data: [DONE]\n\n"

chat = ApiBlueprint(
    "chat",
    __name__,
    url_prefix="/v1",
    abp_tags=[Tag(name="OpenAI", description="As OpenAI's clients call it")],
    abp_responses=_ERRORS,
)
stream.limit_streams(chat)


@chat.post("/chat/completions", summary="Chat with a collection", responses=_ANSWER)
def create_completion(body: ChatRequest) -> Response:
    """The answer of a collection to the last message of the user.

    It cites its sources by number, and lists them in ``message.sources``, or in the ``sources`` of
    a stream's last delta. Messages of the system are ignored: what the generator is told is part
    of the service.
    """
    question, history = _read_messages(body.messages)
    answer = begin_answer(
        current_service(),
        collection_of(current_corpus(), body.model),
        question,
        history=history,
        top_k=DEFAULT_TOP_K,
        notes=notes(),
    )
    completion = _Completion(answer, body.model)
    if body.stream:
        options = body.stream_options
        return stream.events_reply(
            _Chunks(completion, with_usage=bool(options and options.include_usage))
        )
    return json_reply(completion.whole())


def _read_messages(messages: Sequence[ChatMessage]) -> tuple[str, list[Turn]]:
    """The question, and what was said before it."""
    said = [
        Turn(message.role, message.content or "")
        for message in messages
        if message.role in ("user", "assistant")
    ]
    while said and said[-1].role != "user":
        said.pop()
    if not said or not said[-1].content.strip():
        raise InvalidInput(
            "There is no question: send a message of the user with text.", item="messages"
        )
    return said[-1].content, said[:-1]


@dataclass
class _Completion:
    """What the answer and its chunks have in common."""

    answer: Answer
    model: str
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self) -> dict[str, Any]:
        message = {
            "role": "assistant",
            "content": self.answer.text(),
            "refusal": None,
            "sources": self.answer.sources,
        }
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return self._body("chat.completion", choices=[choice], usage=self._usage())

    def chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._body("chat.completion.chunk", choices=[choice])

    def usage_chunk(self) -> dict[str, Any]:
        return self._body("chat.completion.chunk", choices=[], usage=self._usage())

    def _body(self, kind: str, **rest: Any) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            **rest,
        }

    def _usage(self) -> dict[str, int] | None:
        """Tokens, if the generator tells any."""
        told = self.answer.usage
        if set(told.values()) == {None}:
            return None
        counts = {name: count or 0 for name, count in told.items()}
        return {**counts, "total_tokens": sum(counts.values())}


@dataclass
class _Chunks:
    """The chunks of one answer."""

    completion: _Completion
    with_usage: bool

    def pieces(self) -> Generator[bytes]:
        completion = self.completion
        yield self._data(completion.chunk({"role": "assistant", "content": ""}))
        for text in completion.answer.texts():
            yield self._data(completion.chunk({"content": text}))
        yield self._data(completion.chunk({"sources": completion.answer.sources}, "stop"))
        if self.with_usage:
            yield stream.data(completion.usage_chunk())
        yield _END

    def heartbeat(self) -> bytes:
        return stream.COMMENT

    def failure(self, error: Exception) -> bytes:
        return stream.data({"error": error_body(error, "openai")})

    def observe(self, outcome: str) -> None:
        self.completion.answer.observe(outcome)

    def _data(self, chunk: dict[str, Any]) -> bytes:
        """A chunk; where the usage comes last, the others say that they have none."""
        return stream.data({**chunk, "usage": None} if self.with_usage else chunk)
