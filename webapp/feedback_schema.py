"""Bodies of the feedback's routes; see :mod:`webapp.schema`."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from inference.feedback import Verdict
from webapp.schema import StrictBody

MAX_PASSAGE_CHARACTERS = 10_000

_MAX_SOURCES = 20


class FeedbackPath(BaseModel):
    """A vote."""

    id: str = Field(description="What the answer to the vote told.")


class VotedPassage(StrictBody):
    """The part of a document that was nearest to the question, as the answer told it."""

    field: Literal["title", "text"]
    start: int = Field(ge=0)
    end: int = Field(ge=0, description="Exclusive.")
    text: str = Field(min_length=1, max_length=MAX_PASSAGE_CHARACTERS)


class VotedSource(StrictBody):
    """A document that the answer draws on."""

    document_id: str = Field(max_length=256, examples=["1"])
    number: int | None = Field(
        None, ge=1, le=9999, description="Under which the answer cites it, as in [1]."
    )
    passage: VotedPassage | None = Field(
        None, description="Default: the beginning of the document's text."
    )


class VoteChange(StrictBody):
    """What takes a vote's place."""

    vote: Verdict = Field(description="Whether the answer is good.", examples=["up"])
    comment: str = Field("", max_length=2_000, description="What the voter adds.")


class VoteRequest(VoteChange):
    """A vote, with what it is about."""

    collection: str = Field(description="Which was asked.", examples=["faq"])
    question: str = Field(max_length=10_000, examples=["체크카드를 분실했어요"])
    answer: str = Field(max_length=50_000, examples=["분실 신고는 24시간 받습니다. [1]"])
    sources: Annotated[list[VotedSource], Field(max_length=_MAX_SOURCES)] = Field(
        [],
        description="What the answer draws on; of those with numbers, the ones that it cites "
        "count.",
        examples=[[{"document_id": "1", "number": 1}]],
    )


class VoteReply(BaseModel):
    """A vote that is kept."""

    id: str = Field(description="Names the vote where it is changed or taken back.")
