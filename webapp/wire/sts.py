"""Bodies of the STS service, which scores how alike two sentences are."""

from typing import Annotated

from pydantic import BaseModel, Field

from webapp.schema import Score, Upload
from webapp.wire import WireBody

_Pred = Annotated[
    int, Field(ge=0, le=1, description="1 where the score reaches thresholds.binary of the model.")
]
_Runtime = Annotated[float, Field(alias="runtime(sec)", ge=0, description="Seconds it took.")]


class StsSentences(WireBody):
    """Two sentences to compare."""

    sentence_1: str = Field(examples=["최신 기술 발전"])
    sentence_2: str = Field(examples=["인공지능 기술이 빠르게 발전하고 있습니다."])


class StsSentencesReply(BaseModel):
    """The two sentences, how alike they are, and whether they mean the same."""

    sentence_1: str
    sentence_2: str
    score: Score
    pred: _Pred
    runtime_s: _Runtime


class StsPair(WireBody):
    """Two sentences of a file; neither their ``idx`` nor any other field is looked at."""

    sentence1: str
    sentence2: str


class StsFile(WireBody):
    """What the file holds."""

    results: Annotated[list[StsPair], Field(min_length=1)]


class StsForm(BaseModel):
    """A file of pairs."""

    file: Upload = Field(
        description='JSON in UTF-8: {"results": [{"idx"?, "sentence1", "sentence2"}]}.'
    )


class StsFileReply(BaseModel):
    """Every pair of the file in its order, and as many predictions and scores."""

    sentences: list[tuple[str, str]]
    preds: list[_Pred]
    scores: list[Score]
    runtime_s: _Runtime


class StsErrorReply(BaseModel):
    """Every error of this contract: what is wrong with which item, and what to do."""

    detail: str = Field(examples=["results[3].sentence2: This field is required."])
