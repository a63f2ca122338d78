"""Answers from collections: whole, or piece by piece while they are written."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from flask import Response
from flask_openapi import Tag

from inference.answering.base import Turn
from webapp import stream
from webapp.answer_schema import AskEvent, AskReply, AskRequest
from webapp.answering import Answer, begin_answer
from webapp.blueprint import ApiBlueprint
from webapp.collection_schema import CollectionPath
from webapp.errors import error_body
from webapp.observation import notes
from webapp.parsing import inline_schema
from webapp.reply import JSON, json_reply
from webapp.schema import ErrorReply
from webapp.service import current_corpus, current_service

_ERRORS: dict[Any, Any] = dict.fromkeys(
    (400, 401, 404, 409, 413, 415, 422, 429, 500, 502, 503, 504), ErrorReply
)

_ANSWER: dict[Any, Any] = {
    200: {
        "description": "The answer, whole or as server-sent events.",
        "content": {
            JSON: {"schema": inline_schema(AskReply)},
            stream.EVENTS: {"schema": inline_schema(AskEvent)},
        },
    },
}

ask = ApiBlueprint(
    "ask",
    __name__,
    url_prefix="/api/collections",
    abp_tags=[Tag(name="collections", description="Put documents in, and find them")],
    abp_responses=_ERRORS,
)
stream.limit_streams(ask)


@ask.post("/<name>/ask", summary="Ask a question", responses=_ANSWER)
def ask_collection(path: CollectionPath, body: AskRequest) -> Response:
    """An answer from the documents near a question, which it cites by number.

    Where nothing is near, it says so, and ``found`` is false.
    """
    answer = begin_answer(
        current_service(),
        current_corpus().open(path.name),
        body.question,
        history=[Turn(turn.role, turn.content) for turn in body.history],
        top_k=body.top_k,
        notes=notes(),
    )
    if body.stream:
        return stream.events_reply(_Events(answer))
    return json_reply(answer.whole())


@dataclass
class _Events:
    """The events of one answer."""

    answer: Answer

    def pieces(self) -> Generator[bytes]:
        yield stream.event("sources", self.answer.finding)
        for text in self.answer.texts():
            yield stream.event("text", {"text": text})
        yield stream.event("done", self.answer.expense)

    def heartbeat(self) -> bytes:
        return stream.COMMENT

    def failure(self, error: Exception) -> bytes:
        return stream.event("error", error_body(error))

    def observe(self, outcome: str) -> None:
        self.answer.observe(outcome)
