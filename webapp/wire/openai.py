"""Bodies of OpenAI's embeddings and models.

https://platform.openai.com/docs/api-reference/embeddings
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from webapp.schema import OneOrMoreTexts
from webapp.wire import WireBody

_Side = Literal["query", "document"]


def _refuse_token_ids(value: Any) -> Any:
    """Token ids cannot be told from another tokenizer's, whose numbers mean nothing here."""
    first = value[0] if isinstance(value, list) and value else None
    if type(first) in (int, list):
        raise PydanticCustomError(
            "token_ids",
            "These are token ids, probably another tokenizer's: send texts "
            "(LangChain's OpenAIEmbeddings does with check_embedding_ctx_length=False)",
        )
    return value


class EmbeddingsRequest(WireBody):
    """Texts to embed."""

    input: Annotated[OneOrMoreTexts, BeforeValidator(_refuse_token_ids)] = Field(
        description="A text or a list of texts, of any length; no token ids.",
        examples=[["오늘 날씨가 참 좋네요.", "환불은 어떻게 받나요?"]],
    )
    model: str | None = Field(
        None, description="Any name, unless strict_model_names is set.", examples=["ko-mini"]
    )
    encoding_format: Literal["float", "base64"] | None = Field(
        None, description="base64: little-endian float32 bytes; default: float."
    )
    dimensions: int | None = Field(
        None, description="Cut vectors to this many numbers and normalise them again."
    )
    user: str | None = Field(None, description="Ignored.")
    input_type: _Side | None = Field(
        None,
        description="Side the texts are on, for models that treat them differently; "
        "default: prompt_name, else document.",
    )
    prompt_name: _Side | None = Field(None, description="Another name of input_type.")

    @property
    def side(self) -> _Side:
        """The tower the texts go through."""
        return self.input_type or self.prompt_name or "document"


class OpenAIEmbedding(BaseModel):
    """A unit vector, as numbers or as base64, by its text's index in the request."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class OpenAIUsage(BaseModel):
    """Tokens read, special tokens included."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsReply(BaseModel):
    """Unit vectors in the order of the texts."""

    object: Literal["list"]
    data: list[OpenAIEmbedding]
    model: str
    usage: OpenAIUsage


class ModelPath(BaseModel):
    """Name of a model, or of a collection behind ``collection:``; it may contain slashes."""

    id: str = Field(examples=["ko-mini"])


class OpenAIModel(BaseModel):
    """A model that can be asked for."""

    id: str
    object: Literal["model"]
    created: int = Field(
        description="Unix time in seconds at which this service loaded it, or it was made."
    )
    owned_by: str


class ModelsReply(BaseModel):
    """The loaded model, and the collections."""

    object: Literal["list"]
    data: list[OpenAIModel]


class OpenAIError(BaseModel):
    """What went wrong, and what to do."""

    message: str
    type: Literal[
        "invalid_request_error", "authentication_error", "rate_limit_error", "server_error"
    ]
    param: str | None = Field(description="The item at fault.", examples=["input[3]"])
    code: str = Field(examples=["invalid_value"])


class OpenAIErrorReply(BaseModel):
    """Every error of this contract."""

    error: OpenAIError
