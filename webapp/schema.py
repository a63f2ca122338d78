"""Bodies of the JSON API: what validates requests is what the OpenAPI document shows."""

from typing import Annotated, Any, Literal

from flask_openapi import FileStorage
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError
from werkzeug.datastructures import FileStorage as WerkzeugFileStorage

Texts = Annotated[list[str], Field(min_length=1)]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


OneOrMoreTexts = Annotated[Texts, BeforeValidator(_as_list, json_schema_input_type=str | Texts)]


class StrictBody(BaseModel):
    """What a request holds, and nothing else."""

    # A misspelt optional field would otherwise be ignored without a word.
    model_config = ConfigDict(extra="forbid", strict=True)


class _Reading(StrictBody):
    """How texts are read."""

    max_length: int | None = Field(
        None,
        description="Most tokens of a text that are read, special tokens included; default: "
        "the model's own maximum.",
    )
    truncate: bool = Field(
        True, description="Cut longer texts at max_length; false makes the first one a 422."
    )


class _LongReading(_Reading):
    """How texts are read where long ones may be read in passages."""

    long: Literal["truncate", "chunk"] = Field(
        "truncate",
        description="chunk: read long texts in overlapping passages of whole sentences, of "
        "max_length tokens (default here: 128).",
    )


class Pair(StrictBody):
    """A query and the document it is compared with."""

    query: str = Field(examples=["맛있는 한국 전통 음식 김치찌개"])
    document: str = Field(examples=["김치찌개와 된장찌개는 한국의 대표 전통 음식입니다."])


class PairsRequest(_Reading):
    """Pairs to score."""

    pairs: Annotated[list[Pair], Field(min_length=1)]


class MatrixRequest(_Reading):
    """Queries to score against every document."""

    queries: Texts = Field(examples=[["최신 기술 발전", "색깔"]])
    documents: Texts = Field(examples=[["인공지능 기술이 빠르게 발전하고 있습니다."]])


class RankRequest(_LongReading):
    """Documents to rank for one query."""

    query: str = Field(examples=["최신 기술 발전"])
    documents: Texts = Field(
        examples=[["인공지능 기술이 빠르게 발전하고 있습니다.", "파리의 에펠탑"]]
    )
    top_k: int | None = Field(None, ge=1, description="Best documents to return; default: all.")


class EmbedRequest(_LongReading):
    """Texts to embed."""

    texts: OneOrMoreTexts = Field(examples=[["오늘 날씨가 참 좋네요."]])
    kind: Literal["query", "document"] = Field(
        "document", description="Side the texts are on, for models that treat them differently."
    )
    dimensions: int | None = Field(
        None, description="Cut vectors to this many numbers and normalise them again."
    )
    encoding: Literal["float", "base64"] = Field(
        "float", description="base64: each vector as little-endian float32 bytes."
    )


Grade = Literal["high", "medium", "low"]
Score = Annotated[float, Field(ge=-1, le=1, description="Cosine similarity.")]


class Usage(BaseModel):
    """What was read."""

    tokens: int = Field(description="Tokens read, special tokens included, padding not.")


class Timing(BaseModel):
    """Milliseconds spent."""

    tokenize: float
    queue: float = Field(description="Waiting for the model, until the first batch started.")
    inference: float = Field(description="Batches that held this request's texts.")
    total: float


class _Reply(BaseModel):
    model: str
    usage: Usage
    timing_ms: Timing


class PairReply(BaseModel):
    """A scored pair."""

    index: int
    score: Score
    grade: Grade
    query_tokens: int = Field(description="Tokens of the whole query, before it was cut.")
    document_tokens: int = Field(description="Tokens of the whole document, before it was cut.")
    truncated: bool = Field(description="Whether either text was cut.")


class PairsReply(_Reply):
    """Pairs in the order they came."""

    pairs: list[PairReply]


class MatrixReply(_Reply):
    """Scores: a row a query, a column a document."""

    scores: list[list[Score]]
    query_tokens: list[int]
    document_tokens: list[int]
    query_truncated: list[bool]
    document_truncated: list[bool]


class Passage(BaseModel):
    """Part of a text, by its characters (Unicode code points)."""

    start: int
    end: int = Field(description="Exclusive.")


class RankedReply(BaseModel):
    """A ranked document, by its index in the request."""

    index: int
    score: Score
    grade: Grade
    tokens: int = Field(description="Tokens of the whole document, before it was cut.")
    truncated: bool
    passage: Passage | None = Field(
        description="With long: chunk, the part of the document that came nearest."
    )


class RankReply(_Reply):
    """Documents, best first."""

    query_tokens: int
    query_truncated: bool
    results: list[RankedReply]


class EmbedReply(_Reply):
    """Unit vectors in the order of the texts."""

    embeddings: list[list[float]] | list[str]
    dimensions: int
    encoding: Literal["float", "base64"]
    truncated: list[bool]
    passages: list[int] = Field(description="Parts each text was read in; 1 unless long: chunk.")


class Thresholds(BaseModel):
    """Cosines from which a score is high, medium, or a match."""

    high: float
    medium: float
    binary: float


class Agreement(BaseModel):
    """How near int8 vectors are to those in fp32, over 200 Korean sentences on this host."""

    mean_cosine: float
    least_cosine: float
    batched_cosine: float = Field(description="The least of a sentence alone and among others.")
    texts_per_s: float


class Limits(BaseModel):
    """What one request, or all together, may ask."""

    max_body_bytes: int
    max_inflight_bytes: int
    max_answer_values: int
    max_waiting_tokens: int
    max_batch_tokens: int
    deadline_s: float


class InfoReply(BaseModel):
    """The loaded model and the service's limits."""

    model: str
    hash: str = Field(description="SHA-256 of the model's files.")
    towers: Literal[1, 2] = Field(
        description="2 if queries and documents have models of their own."
    )
    pooling: str = Field(examples=["mean"])
    prompts: dict[Literal["query", "document"], str] = Field(
        description="What is put before the texts of each kind."
    )
    dimension: int
    max_length: int
    device: str
    precision: Literal["fp32", "bf16", "fp16", "int8"]
    agreement: Agreement | None = Field(
        description="How near int8 vectors are to those in fp32, measured on this host."
    )
    thresholds: Thresholds
    warnings: list[str] = Field(description="What had to be assumed about the model.")
    limits: Limits
    version: str


class Upload(FileStorage):
    """A file of a multipart form."""

    @classmethod
    def validate(cls, value: Any, *_args: Any, **_kwargs: Any) -> Any:
        if not isinstance(value, WerkzeugFileStorage):
            raise PydanticCustomError("no_file", "Send it as a file, not as a text")
        return value


class ScoreFileForm(BaseModel):
    """A file of pairs, and how to read it."""

    model_config = ConfigDict(extra="forbid")

    file: Upload = Field(description="CSV, TSV, JSON or JSON Lines with a pair in each row.")
    query_column: str = Field("", description="Default: query, else sentence1.")
    document_column: str = Field("", description="Default: document, else sentence2.")
    format: Literal["auto", "csv", "tsv", "json", "jsonl"] = Field(
        "auto", description="auto: by the file's name, else by its content."
    )
    encoding: Literal["auto", "utf-8", "utf-16", "cp949"] = "auto"
    max_length: int | None = Field(None, description="As in the JSON API.")
    truncate: bool = Field(True, description="false makes a row with a longer text an error.")
    texts: bool = Field(True, description="Repeat the texts in the lines of the answer.")


class ScoreFileLine(BaseModel):
    """A line of the answer: ``start``, then the rows, then ``summary``, or ``error`` alone."""

    start: dict[str, Any] | None = Field(
        None, description="First line: model, format, encoding, columns, thresholds."
    )
    row: int | None = Field(None, description="Number of the row; the first row of data is 1.")
    query: str | None = None
    document: str | None = None
    score: Score | None = None
    grade: Grade | None = None
    match: bool | None = Field(None, description="Whether the score reaches thresholds.binary.")
    query_tokens: int | None = None
    document_tokens: int | None = None
    truncated: bool | None = None
    error: dict[str, str] | None = Field(
        None, description="Code and message: of this row, or without row of the end of all."
    )
    heartbeat: dict[str, int] | None = Field(
        None, description="Rows so far, after ten seconds without a line."
    )
    summary: dict[str, float] | None = Field(
        None, description="Last line: rows, scored, failed, truncated, tokens, seconds."
    )


class StateReply(BaseModel):
    """Whether the service can answer."""

    status: Literal["alive", "loading", "ready", "failed", "stopping"]


class ErrorDetail(BaseModel):
    """One item that is wrong."""

    item: str = Field(examples=["pairs[3].query"])
    message: str


class ErrorBody(BaseModel):
    """What went wrong, and what to do."""

    code: str = Field(examples=["invalid_input"])
    message: str
    details: list[ErrorDetail] | None = None


class ErrorReply(BaseModel):
    """Every error of the JSON API."""

    error: ErrorBody
