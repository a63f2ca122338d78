"""Bodies of Text Embeddings Inference, version 1.9.

https://huggingface.github.io/text-embeddings-inference/
"""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    RootModel,
    SkipValidation,
    Strict,
    Tag,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

from inference.checkpoint import Kind
from inference.errors import EmptyInput
from inference.pipeline import ReadOptions
from webapp.wire import WireBody
from webapp.wire.cohere import CohereErrorReply, CohereRerankReply, CohereRerankRequest

_Id = Annotated[int, Field(ge=0, lt=2**32)]
# JSON has no tuples, which strictness would ask for.
_Ids = Annotated[tuple[_Id, ...], Strict(False)]


def _as_list(value: Any) -> Any:
    """One text, or the ids of one text, as a list of one."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value and not isinstance(value[0], str | list):
        return [value]
    return value


def _refuse_empty(value: Any, info: ValidationInfo) -> Any:
    """The list, unless nothing is in it; this error passes through pydantic as it is."""
    if not value:
        raise EmptyInput(f"{info.field_name} is empty: give at least one.", item=info.field_name)
    return value


def _refuse_unnormalized(value: bool) -> bool:
    if not value:
        raise PydanticCustomError(
            "normalize",
            "The vectors are made as unit vectors and have no other length: "
            "send true, or leave it out",
        )
    return value


_Item = Annotated[
    Annotated[str, Tag("text")] | Annotated[_Ids, Tag("ids")],
    Discriminator(lambda value: "ids" if isinstance(value, list) else "text"),
]
_NotEmpty = AfterValidator(_refuse_empty)
_Inputs = Annotated[
    list[_Item],
    BeforeValidator(_as_list, json_schema_input_type=str | list[_Id] | list[str | list[_Id]]),
    _NotEmpty,
]
_OneOrMoreTexts = Annotated[
    list[str], BeforeValidator(_as_list, json_schema_input_type=str | list[str]), _NotEmpty
]
_OneOrMoreIds = Annotated[
    list[Annotated[_Ids, _NotEmpty]],
    BeforeValidator(_as_list, json_schema_input_type=list[_Id] | list[list[_Id]]),
    _NotEmpty,
]


class TeiTruncation(WireBody):
    """How texts are cut."""

    truncate: bool | None = Field(
        None, description="Cut texts that are too long; false makes the first one a 422."
    )
    truncation_direction: Literal["Left", "Right", "left", "right"] = Field(
        "Right", description="The end that is cut off."
    )

    @property
    def options(self) -> ReadOptions:
        """The same in the engine's words."""
        left = self.truncation_direction.lower() == "left"
        return ReadOptions(
            truncate=self.truncate is not False, truncation_side="left" if left else "right"
        )


class TeiPrompt(WireBody):
    """Which side texts are on."""

    prompt_name: Literal["query", "document", "passage", "corpus"] | None = Field(
        None,
        description="Side the texts are on, for models that treat them differently; default: "
        "document. Token ids get no prompt.",
    )

    @property
    def kind(self) -> Kind:
        """The tower the texts go through, with its prompt."""
        return "query" if self.prompt_name == "query" else "document"


class TeiReading(TeiTruncation, TeiPrompt):
    """How texts are read."""


class TeiEmbedRequest(TeiReading):
    """Texts, or token ids of this model's own tokenizer, to embed."""

    inputs: _Inputs = Field(
        description="A text, the token ids of one text, or a list of any of both, of any length.",
        examples=[["오늘 날씨가 참 좋네요.", "환불은 어떻게 받나요?"]],
    )
    normalize: Annotated[bool, AfterValidator(_refuse_unnormalized)] = Field(
        True, description="Only true: the vectors are made as unit vectors."
    )
    dimensions: int | None = Field(
        None, description="Cut vectors to this many numbers, then normalise them."
    )


class TeiSentences(WireBody):
    """A sentence, and those it is compared with."""

    source_sentence: str = Field(examples=["환불은 어떻게 받나요?"])
    sentences: Annotated[list[str], _NotEmpty] = Field(
        examples=[["결제 후 7일 이내에 환불을 신청하실 수 있습니다."]]
    )


class TeiSimilarityRequest(WireBody):
    """Sentences to compare with one."""

    inputs: TeiSentences
    parameters: TeiReading | None = None


class TeiEmbedOrSimilarityRequest(
    RootModel[SkipValidation[TeiEmbedRequest | TeiSimilarityRequest]]
):
    """Told apart by ``inputs``, and checked then."""


class TeiRerankRequest(TeiTruncation):
    """Texts to rank for one query."""

    query: str = Field(examples=["환불은 어떻게 받나요?"])
    texts: Annotated[list[str], _NotEmpty] = Field(
        examples=[["결제 후 7일 이내에 환불을 신청하실 수 있습니다.", "매장은 아침 9시에 엽니다."]]
    )
    raw_scores: bool = Field(False, description="Ignored: scores are cosines, and never squashed.")
    return_text: bool = Field(False, description="Repeat the texts in the answer.")


class RerankEitherRequest(RootModel[SkipValidation[TeiRerankRequest | CohereRerankRequest]]):
    """Told apart by ``documents``, which only Cohere's has, and checked then."""


class TeiTokenizeRequest(TeiPrompt):
    """Texts to show the tokens of, behind a prompt only where ``prompt_name`` is given."""

    inputs: _OneOrMoreTexts = Field(examples=["오늘 날씨가 참 좋네요."])
    add_special_tokens: bool = True


class TeiDecodeRequest(WireBody):
    """Token ids of this model's own tokenizer."""

    ids: _OneOrMoreIds = Field(
        description="The token ids of one text, or a list of such lists; unknown ids are left out.",
        examples=[[2, 1000, 3]],
    )
    skip_special_tokens: bool = True


_Score = Annotated[float, Field(ge=-1, le=1, description="Cosine similarity.")]


class TeiEmbedReply(RootModel[list[list[float]]]):
    """Unit vectors in the order of the inputs."""


class TeiSimilarityReply(RootModel[list[_Score]]):
    """Cosine similarities in the order of the sentences."""


class TeiEmbedOrSimilarityReply(RootModel[list[list[float]] | list[_Score]]):
    """Vectors, or similarities, whichever was asked for."""


class TeiRank(BaseModel):
    """A ranked text, by its index in the request."""

    index: int
    score: _Score
    text: str | None = Field(None, description="With return_text.")


class TeiRerankReply(RootModel[list[TeiRank]]):
    """Texts, best first."""


class RerankEitherReply(RootModel[list[TeiRank] | CohereRerankReply]):
    """The answer of the contract that the body is of."""


class TeiToken(BaseModel):
    """A token: the characters of its text, which a special token has none of."""

    id: int
    text: str
    special: bool
    start: int | None
    stop: int | None = Field(description="Exclusive.")


class TeiTokenizeReply(RootModel[list[list[TeiToken]]]):
    """The tokens of each text, in their order."""


class TeiDecodeReply(RootModel[list[str]]):
    """A text for each list of ids."""


class TeiEmbeddingModel(BaseModel):
    """What an embedding model is described by."""

    pooling: str = Field(examples=["mean"])


class TeiModelType(BaseModel):
    """The kind of model that is served."""

    embedding: TeiEmbeddingModel


class TeiInfoReply(BaseModel):
    """The loaded model and the service's limits."""

    model_id: str
    model_sha: str = Field(description="SHA-256 of the model's files.")
    model_dtype: Literal["float32", "float16", "bfloat16"]
    served_model_name: str
    model_type: TeiModelType
    max_concurrent_requests: int
    max_input_length: int = Field(description="Most tokens of a text that are read.")
    max_batch_tokens: int
    max_batch_requests: int | None
    max_client_batch_size: int = Field(description="Vectors that one answer may hold.")
    auto_truncate: bool
    tokenization_workers: int
    version: str
    sha: str | None
    docker_label: str | None


class TeiErrorReply(BaseModel):
    """Every error of this contract."""

    error: str
    error_type: Literal[
        "Unhealthy", "Backend", "Overloaded", "Validation", "Tokenizer", "Empty", "Unauthorized"
    ]


class RerankEitherErrorReply(RootModel[TeiErrorReply | CohereErrorReply]):
    """The error of the contract that the body is of."""
