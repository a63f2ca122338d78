"""Answers to questions, as parts of the texts that come with them."""

from typing import Any

from flask import Response
from flask_openapi import Tag

from inference.errors import InvalidInput
from webapp.blueprint import ApiBlueprint
from webapp.observation import note, note_reading
from webapp.reader import answer_body
from webapp.reader_schema import AnswerReply, AnswerRequest
from webapp.reply import json_reply
from webapp.schema import ErrorReply
from webapp.service import current_reader

_ERRORS: dict[Any, Any] = dict.fromkeys((400, 401, 413, 415, 422, 429, 500, 503, 504), ErrorReply)

answer = ApiBlueprint(
    "answer",
    __name__,
    url_prefix="/api",
    abp_tags=[Tag(name="answers", description="Find the part of a text that answers a question")],
    abp_responses=_ERRORS,
)


@answer.post("/answer", summary="Answer a question from texts", responses={200: AnswerReply})
def answer_question(body: AnswerRequest) -> Response:
    """The part of a text that answers a question, or that there is none."""
    documents = _documents(body)
    reader = current_reader()
    found = reader.answer(body.question, documents, n_best=body.n_best)
    note_reading(found, texts=1 + len(documents))
    note(found=found.found)
    return json_reply({"model": reader.model.name, **answer_body(found)})


def _documents(body: AnswerRequest) -> list[str]:
    if (body.context is None) == (body.documents is None):
        raise InvalidInput("Give either a context or documents.", item="context")
    return [body.context] if body.context is not None else body.documents or []
