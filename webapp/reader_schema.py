"""Bodies of the reader's answers."""

from typing import Annotated

from pydantic import BaseModel, Field

from inference.reader import MAX_ANSWERS
from webapp.schema import StrictBody, Texts, Timing, Usage

_Probability = Annotated[float, Field(ge=0, le=1)]


class AnswerRequest(StrictBody):
    """A question, and where its answer is looked for."""

    question: str = Field(examples=["훈민정음은 언제 창제되었나요?"])
    context: str | None = Field(
        None,
        description="The text that holds the answer, of any length; or give documents.",
        examples=["세종은 조선의 제4대 국왕으로, 1443년에 훈민정음을 창제하였다."],
    )
    documents: Texts | None = Field(None, description="Several texts, in place of context.")
    n_best: int = Field(
        1, ge=1, le=MAX_ANSWERS, description="Most parts of the texts that are given back."
    )


class AnswerPart(BaseModel):
    """A part of a text."""

    answer: str
    score: _Probability = Field(
        description="Probability of its start times that of its end, over all texts."
    )
    start: int = Field(description="First character (Unicode code point) in the text.")
    end: int = Field(description="Exclusive.")
    document_index: int = Field(description="Of the text in documents; 0 for context.")


class AnswerReply(BaseModel):
    """The best part of the texts, if it is held for an answer."""

    model: str
    answer: str = Field(description="Empty where none was found.")
    found: bool
    score: _Probability = Field(description="Of the answer; 0 where none was found.")
    start: int | None
    end: int | None
    document_index: int | None
    alternatives: list[AnswerPart] = Field(
        description="The next best parts; where no answer was found, all of them."
    )
    no_answer_score: _Probability = Field(description="Probability that no text answers.")
    usage: Usage
    timing_ms: Timing
