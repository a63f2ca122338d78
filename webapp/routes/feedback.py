"""Votes on answers: given, changed, taken back."""

from typing import Any

from flask import Response
from flask_openapi import Tag

from inference import metrics
from inference.corpus.base import Collection, Document
from inference.errors import Conflict, EmptyInput, InvalidInput, NotFound
from inference.feedback import CitedSource, Vote
from webapp.blueprint import ApiBlueprint
from webapp.feedback_schema import (
    MAX_PASSAGE_CHARACTERS,
    FeedbackPath,
    VoteChange,
    VotedPassage,
    VotedSource,
    VoteReply,
    VoteRequest,
)
from webapp.observation import note
from webapp.reply import json_reply
from webapp.schema import ErrorReply
from webapp.service import current_corpus, current_engine, current_feedback

_MAX_TITLE_CHARACTERS = 1_000

_ERRORS: dict[Any, Any] = dict.fromkeys(
    (400, 401, 404, 409, 413, 415, 422, 429, 500, 503, 504, 507), ErrorReply
)

feedback = ApiBlueprint(
    "feedback",
    __name__,
    url_prefix="/api/feedback",
    abp_tags=[Tag(name="feedback", description="Say whether answers are good")],
    abp_responses=_ERRORS,
)


@feedback.post("", summary="Vote on an answer", responses={201: VoteReply})
def add_vote(body: VoteRequest) -> Response:
    """Keeps a vote with the question, the answer, and what its sources say now."""
    for item in ("question", "answer"):
        if not getattr(body, item).strip():
            raise EmptyInput(f"{item} is empty: send what was shown.", item=item)
    collection = _open(body.collection)
    sources = [
        _cite(collection, source, f"sources[{index}]") for index, source in enumerate(body.sources)
    ]
    vote_id = current_feedback().add(
        Vote(
            verdict=body.vote,
            comment=body.comment,
            collection=body.collection,
            question=body.question,
            answer=body.answer,
            model=current_engine().model.name,
            sources=sources,
        )
    )
    _observe(body.vote, sources=len(sources))
    return json_reply({"id": vote_id}, 201)


@feedback.put("/<id>", summary="Change a vote", responses={200: VoteReply})
def change_vote(path: FeedbackPath, body: VoteChange) -> Response:
    """Puts another vote and comment in the place of those that were sent before."""
    current_feedback().change(path.id, body.vote, body.comment)
    _observe("changed")
    return json_reply({"id": path.id})


@feedback.delete("/<id>", summary="Take a vote back", responses={204: None})
def remove_vote(path: FeedbackPath) -> Response:
    """Forgets a vote and all that was kept with it."""
    current_feedback().remove(path.id)
    _observe("removed")
    return Response(status=204)


def _observe(outcome: str, **numbers: int) -> None:
    metrics.FEEDBACK.labels(outcome).inc()
    note(vote=outcome, **numbers)


def _open(name: str) -> Collection:
    try:
        return current_corpus().open(name)
    except (InvalidInput, NotFound) as error:
        raise type(error)(error.message, item="collection") from error


def _cite(collection: Collection, source: VotedSource, item: str) -> CitedSource:
    try:
        document = collection.get(source.document_id)
    except NotFound as error:
        raise NotFound(
            f"{item}.document_id is no document of the collection: it was taken out, or never in.",
            item=f"{item}.document_id",
        ) from error
    return CitedSource(
        document.id,
        document.title[:_MAX_TITLE_CHARACTERS],
        _passage(document, source.passage, f"{item}.passage"),
        source.number,
    )


def _passage(document: Document, passage: VotedPassage | None, item: str) -> str:
    """What was compared with the question, if the document still says so."""
    if passage is None:
        return document.text[:MAX_PASSAGE_CHARACTERS]
    if document.part(passage.field, passage.start, passage.end) != passage.text:
        raise Conflict(
            f"{item} is not what the document says there: it has changed since, or the passage is "
            "none that an answer told.",
            item=item,
        )
    return passage.text
