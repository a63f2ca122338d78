"""Bodies of Cohere's rerank, v1 and v2.

https://docs.cohere.com/reference/rerank; ``object``, ``created``, ``model`` and ``usage`` are what
other servers of this contract answer with as well.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from webapp.wire import WireBody
from webapp.wire.openai import OpenAIError


class CohereDocument(BaseModel):
    """A document; fields beside its text are kept for the answer."""

    model_config = ConfigDict(extra="allow", strict=True)

    text: str


def _as_document(value: Any) -> Any:
    if isinstance(value, str):
        return {"text": value}
    if not isinstance(value, dict):
        raise PydanticCustomError("document", "A document is a text, or an object with a text")
    return value


_Document = Annotated[
    CohereDocument, BeforeValidator(_as_document, json_schema_input_type=str | CohereDocument)
]


class CohereRerankRequest(WireBody):
    """Documents to rank for one query."""

    query: str = Field(examples=["환불은 어떻게 받나요?"])
    documents: Annotated[list[_Document], Field(min_length=1)] = Field(
        examples=[["결제 후 7일 이내에 환불을 신청하실 수 있습니다.", "매장은 아침 9시에 엽니다."]]
    )
    model: str | None = Field(
        None, description="Any name, unless strict_model_names is set.", examples=["ko-mini"]
    )
    top_n: int | None = Field(
        None, ge=1, description="Best documents to return; default: all.", examples=[2]
    )
    return_documents: bool | None = Field(None, description="Repeat the documents in the answer.")
    max_tokens_per_doc: int | None = Field(
        None,
        ge=1,
        description="Most tokens of a text that are read, special tokens included and the query's "
        "too; more than the model reads is the same as none.",
    )


class CohereResult(BaseModel):
    """A ranked document, by its index in the request."""

    index: int
    relevance_score: float = Field(ge=-1, le=1, description="Cosine similarity.")
    document: CohereDocument | None = Field(None, description="With return_documents.")


class CohereUsage(BaseModel):
    """What was read."""

    total_tokens: int


class CohereTokens(BaseModel):
    """What was read, in Cohere's words."""

    input_tokens: int


class CohereMeta(BaseModel):
    """What Cohere's clients look for what was read in."""

    tokens: CohereTokens


class CohereRerankReply(BaseModel):
    """Documents, best first."""

    object: Literal["rerank"]
    id: str
    created: int = Field(description="Unix time in seconds.")
    model: str
    results: list[CohereResult]
    usage: CohereUsage
    meta: CohereMeta


class CohereErrorReply(BaseModel):
    """Every error of this contract: Cohere's message, and what other servers of it answer."""

    message: str
    error: OpenAIError
