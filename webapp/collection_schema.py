"""Bodies of the collections' routes; see :mod:`webapp.schema`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from inference.corpus.base import MAX_OFFSET, MAX_TOP_K
from webapp.schema import Grade, StrictBody, Upload

# SQLite counts no further.
_MAX_INTEGER = 2**63 - 1

_SCALAR = {"anyOf": [{"type": name} for name in ("string", "number", "boolean")]}

Metadata = Annotated[
    # Checked with the document, in words that name it.
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}]},
        }
    ),
]

_FILTER = (
    "Metadata that documents must have: a value (equal, or in a list of theirs), a list of values "
    "(any of them), or a range of gte, gt, lte and lt."
)


class CollectionPath(BaseModel):
    """A collection."""

    name: str = Field(
        description="Up to 64 characters: lower-case letters, Hangul, digits, - and _.",
        examples=["faq"],
    )


class DocumentPath(CollectionPath):
    """A document of a collection."""

    id: str = Field(examples=["1"])


class CollectionReply(BaseModel):
    """A collection."""

    name: str
    documents: int
    passages: int = Field(description="Parts of documents that are found: titles, pieces of texts.")
    model: str | None = Field(description="What made its vectors; null while it is empty.")
    dimension: int | None
    index: Literal["exact", "hnsw"] = Field(description="How vectors are searched.")
    created: float = Field(description="Unix time in seconds.")
    reembedded: float | None = Field(
        description="Share of the documents that have vectors of the next model, while it is "
        "embedded anew."
    )
    searchable: bool = Field(description="Whether its vectors are of the loaded model.")


class CollectionsReply(BaseModel):
    """All collections by name."""

    collections: list[CollectionReply]


class NewDocument(StrictBody):
    """A document to put in."""

    id: str = Field("", description="Default: one of its content.", examples=["1"])
    title: str = Field(
        "",
        description="Its heading, or the question that the text answers; found by itself too.",
        examples=["카드를 잃어버렸어요"],
    )
    text: str = Field(examples=["분실 신고는 24시간 받습니다."])
    metadata: Metadata = Field({}, examples=[{"type": "카드"}])


class DocumentsRequest(StrictBody):
    """Documents to put in, all or none."""

    documents: Annotated[list[NewDocument], Field(min_length=1)]


class DocumentFileForm(BaseModel):
    """A file of documents, and how to read it."""

    model_config = ConfigDict(extra="forbid")

    file: Upload = Field(
        description="CSV, TSV, JSON or JSON Lines with a document in each row, Markdown, text or "
        "PDF."
    )
    title_column: str = Field("", description="Default: title, question, 질문 or the like, if any.")
    text_column: str = Field("", description="Default: text, answer, 답변 or the like.")
    id_column: str = Field("", description="Default: id, if there is one.")
    format: Literal["auto", "csv", "tsv", "json", "jsonl", "markdown", "text", "pdf"] = Field(
        "auto", description="auto: by the file's name, else by its content."
    )
    encoding: Literal["auto", "utf-8", "utf-16", "cp949"] = "auto"


class AddedReply(BaseModel):
    """Ids of the documents that are new, took another's place, or were there already."""

    added: list[str]
    replaced: list[str]
    unchanged: list[str]


class DocumentFileLine(BaseModel):
    """A line of the answer: ``start``, faults and progress, then ``summary`` or ``error``."""

    start: dict[str, Any] | None = Field(
        None, description="First line: format, encoding, columns, title_column, text_column."
    )
    fault: dict[str, Any] | None = Field(
        None, description="A row that holds no document: its number, and code and message."
    )
    progress: dict[str, int] | None = Field(
        None,
        description="What is stored for good so far: rows, added, replaced, unchanged, failed.",
    )
    heartbeat: dict[str, int] | None = Field(
        None, description="Rows so far, after ten seconds without a line."
    )
    summary: dict[str, float] | None = Field(
        None, description="Last line: rows, added, replaced, unchanged, failed, seconds."
    )
    error: dict[str, str] | None = Field(
        None, description="Last line where something ended the work: code and message."
    )


class DocumentReply(BaseModel):
    """A document."""

    id: str
    title: str
    text: str
    metadata: Metadata


class DocumentsQuery(BaseModel):
    """Which documents to list."""

    model_config = ConfigDict(extra="forbid")

    offset: int = Field(0, ge=0, le=_MAX_INTEGER)
    limit: int = Field(50, ge=1, le=1000)
    filter: str = Field("", description=f"A JSON object. {_FILTER}", examples=['{"type": "카드"}'])


class DocumentsReply(BaseModel):
    """Documents in the order in which they came, out of ``total``."""

    documents: list[DocumentReply]
    total: int


class SearchRequest(StrictBody):
    """What to look for."""

    query: str = Field(examples=["체크카드를 분실했어요"])
    top_k: int = Field(10, ge=1, le=MAX_TOP_K, description="Most hits.")
    offset: int = Field(0, ge=0, le=MAX_OFFSET, description="Hits to pass over, for paging.")
    filter: dict[str, Any] = Field({}, description=_FILTER, examples=[{"type": "카드"}])
    min_score: float | None = Field(
        None, description="Least similarity of a hit; not in keyword searches, which have none."
    )
    mode: Literal["vector", "keyword", "hybrid"] | None = Field(
        None, description="By meaning, by words, or by both; null takes the best for Korean FAQs."
    )


class FoundPassage(BaseModel):
    """The part of a document that matched best, by its characters (Unicode code points)."""

    field: Literal["title", "text"]
    start: int
    end: int = Field(description="Exclusive.")
    text: str


class HitReply(BaseModel):
    """A document that was found."""

    score: float = Field(
        description="What hits are ordered by: cosine (vector), BM25 (keyword), or reciprocal "
        "rank fusion of both (hybrid)."
    )
    similarity: float | None = Field(description="Cosine of the passage; null in keyword searches.")
    grade: Grade | None
    document: DocumentReply
    passage: FoundPassage


class SearchTiming(BaseModel):
    """Milliseconds spent."""

    embed: float = Field(description="Making the query's vector.")
    search: float


class SearchReply(BaseModel):
    """Documents, best first, each once."""

    model: str
    mode: Literal["vector", "keyword", "hybrid"]
    hits: list[HitReply]
    timing_ms: SearchTiming
