"""Bodies of a SageMaker container's /invocations.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

from dataclasses import replace

from pydantic import BaseModel, Field

from inference.pipeline import ReadOptions
from webapp.schema import OneOrMoreTexts
from webapp.wire import WireBody
from webapp.wire.tei import TeiReading, TeiSentences

_MAX_LENGTH = Field(
    None,
    description="Most tokens of a text that are read, special tokens included; default: the "
    "model's own maximum.",
)


class InvocationParameters(TeiReading):
    """How texts are read."""

    max_length: int | None = _MAX_LENGTH

    @property
    def options(self) -> ReadOptions:
        """The same in the engine's words."""
        return replace(super().options, max_length=self.max_length)


class _Inputs(WireBody):
    parameters: InvocationParameters | None = None

    @property
    def reading(self) -> InvocationParameters:
        """The parameters, or their defaults."""
        return self.parameters or InvocationParameters()

    @property
    def options(self) -> ReadOptions:
        """How the texts are read, in the engine's words."""
        return self.reading.options


class TextInputs(_Inputs):
    """Texts to embed."""

    inputs: OneOrMoreTexts = Field(examples=[["오늘 날씨가 참 좋네요."]])


class SentenceInputs(_Inputs):
    """Sentences to compare with one."""

    inputs: TeiSentences


class BiEncoderRequest(WireBody):
    """Queries and documents to embed, each through its own tower."""

    queries: OneOrMoreTexts = Field(examples=[["최신 기술 발전"]])
    documents: OneOrMoreTexts = Field(examples=[["인공지능 기술이 빠르게 발전하고 있습니다."]])
    max_length: int | None = _MAX_LENGTH

    @property
    def options(self) -> ReadOptions:
        """How the texts are read, in the engine's words."""
        return ReadOptions(max_length=self.max_length)


class BiEncoderReply(BaseModel):
    """Unit vectors in the order of the texts."""

    query_embeddings: list[list[float]]
    doc_embeddings: list[list[float]]
    embedding_dim: int
    num_queries: int
    num_documents: int


class InvocationErrorReply(BaseModel):
    """Every error of this contract."""

    error: str = Field(description="What is wrong with which item, and what to do.")
    code: str = Field(examples=["invalid_input", "ModelError"])
