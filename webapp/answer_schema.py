"""Bodies of answers from collections; see :mod:`webapp.schema`."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from inference.answering.asker import DEFAULT_TOP_K, MAX_TOP_K
from webapp.collection_schema import DocumentReply, FoundPassage
from webapp.schema import Grade, StrictBody


class SaidBefore(StrictBody):
    """Something that was said before."""

    role: Literal["user", "assistant"]
    content: str = Field(examples=["해외로 돈을 보내고 싶어요."])


class AskRequest(StrictBody):
    """A question to a collection."""

    question: str = Field(examples=["체크카드를 분실했어요"])
    history: list[SaidBefore] = Field(
        [],
        description="What was said before, oldest first; it completes questions such as "
        "'그럼 수수료는요?'.",
    )
    top_k: int = Field(DEFAULT_TOP_K, ge=1, le=MAX_TOP_K, description="Most sources.")
    stream: bool = Field(
        False,
        description="Send server-sent events: sources, text piece by piece, then done or error.",
    )


class SourceReply(BaseModel):
    """A document that the answer draws on, cited by its number as in ``[1]``."""

    number: Annotated[int, Field(ge=1)]
    score: float = Field(description="What sources are ordered by: the cosine.")
    similarity: float = Field(description="Cosine of the question with the passage.")
    grade: Grade
    document: DocumentReply
    passage: FoundPassage


class AnswerUsage(BaseModel):
    """Tokens that were read and written; null where the generator does not tell."""

    prompt_tokens: int | None
    completion_tokens: int | None


class AnswerTiming(BaseModel):
    """Milliseconds spent."""

    embed: float = Field(description="Making vectors of the question.")
    search: float
    generate: float = Field(description="Writing the text.")
    total: float


class AskReply(BaseModel):
    """An answer with its sources."""

    answer: str = Field(description="It cites its sources as [1], [2].")
    found: bool = Field(description="Whether anything was near; if not, answer says so.")
    sources: list[SourceReply]
    generator: str = Field(description="What wrote the answer.")
    usage: AnswerUsage
    timing_ms: AnswerTiming


class AskEvent(BaseModel):
    """A server-sent event of an answer: ``sources``, ``text`` piece by piece, ``done``."""

    event: Literal["sources", "text", "done", "error"]
    data: str = Field(
        description="JSON: found, sources and generator; text; usage and timing_ms; or code and "
        "message of the error that ended it."
    )
