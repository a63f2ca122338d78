"""The question answering service of the ratsnlp tutorial, whose page posts its form as JSON.

https://ratsgo.github.io/nlpbook/docs/qa
"""

from typing import Any

from flask import Response
from flask_openapi import Tag

from webapp.blueprint import ApiBlueprint
from webapp.observation import note, note_reading
from webapp.reply import json_reply
from webapp.schema import ErrorReply
from webapp.service import current_reader
from webapp.wire.ratsnlp import RatsnlpAnswer, RatsnlpQuestion

_ERRORS: dict[Any, Any] = dict.fromkeys((400, 401, 413, 415, 422, 429, 500, 503, 504), ErrorReply)

ratsnlp = ApiBlueprint(
    "ratsnlp",
    __name__,
    abp_tags=[Tag(name="ratsnlp", description="As the tutorial's page calls it")],
    abp_responses=_ERRORS,
)


@ratsnlp.post("/api", summary="Answer a question", responses={200: RatsnlpAnswer})
def answer_question(body: RatsnlpQuestion) -> Response:
    """The part of the context that answers the question; empty where there is none."""
    return json_reply({**body.model_dump(), "answer": _answer(body)})


def _answer(body: RatsnlpQuestion) -> str:
    if not (body.question.strip() and body.context.strip()):
        return ""
    found = current_reader().answer(body.question, [body.context])
    note_reading(found, texts=2)
    note(found=found.found)
    return found.answers[0].text if found.found else ""
