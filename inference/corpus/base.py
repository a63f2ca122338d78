"""What a corpus is: collections of documents, found by meaning and by words.

Two kinds keep the same contract: SQLite and FAISS in a folder (:mod:`inference.corpus.local`), and
an OpenSearch cluster (:mod:`inference.corpus.opensearch`). Both get their vectors from an
:class:`Embedder`, and search passages, which they answer with the documents that hold them.
"""

import hashlib
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import orjson

from inference.errors import Conflict, EmptyInput, InvalidInput
from inference.similarity import Vectors

Scalar = str | int | float | bool
Metadata = Mapping[str, Scalar | list[Scalar]]
Filter = Mapping[str, object]
Mode = Literal["vector", "keyword", "hybrid"]
Field = Literal["title", "text"]
Ids = npt.NDArray[np.int64]

Progress = Callable[[int, int], None]
"""Hears what is done, and of how much."""

MODES: tuple[Mode, ...] = ("vector", "keyword", "hybrid")
# The best of the three on questions that were held out: see benchmarks/faq.py.
DEFAULT_MODE: Mode = "vector"

# Most hits of one answer, and most that may be passed over before it.
MAX_TOP_K = 1000
MAX_OFFSET = 10_000

# Names are folders, parts of URLs and names of OpenSearch indices, which are lower case.
_NAME = re.compile(r"[a-z0-9가-힣][a-z0-9가-힣_-]{0,63}")
_MAX_ID = 256
_MAX_METADATA_BYTES = 32_768


@dataclass(frozen=True)
class Document:
    """Something to be found.

    Attributes:
        id: unique in its collection.
        text: what it says.
        title: its heading, or the question that the text answers; found by itself too.
        metadata: what searches can be narrowed by.
    """

    id: str
    text: str
    title: str = ""
    metadata: Metadata = field(default_factory=dict)

    @property
    def content_hash(self) -> str:
        """Of everything but the id: equal for equal documents."""
        return _digest(self.title, self.text, self.metadata)

    def part(self, field: Field, start: int = 0, end: int | None = None) -> str:
        """The title or the text, or its characters from ``start`` up to ``end``."""
        return (self.title if field == "title" else self.text)[start:end]


def make_document(
    text: str,
    *,
    title: str = "",
    metadata: Metadata | None = None,
    document_id: str = "",
    item: str = "document",
) -> Document:
    """A document that can be stored; without an id it gets one of its content.

    Raises:
        InvalidInput: it says nothing, or its id or metadata cannot be kept; the error names
            ``item``.
    """
    metadata = metadata or {}
    if not text.strip():
        raise InvalidInput(f"{item}.text is empty: give the document a text.", item=f"{item}.text")
    if len(document_id) > _MAX_ID or not (
        document_id.isprintable() and document_id == document_id.strip()
    ):
        raise InvalidInput(
            f"{item}.id must be up to {_MAX_ID} visible characters, without space around them.",
            item=f"{item}.id",
        )
    for key, value in metadata.items():
        values = value if isinstance(value, list) else [value]
        if not key or '"' in key or not all(map(_is_scalar, values)):
            raise InvalidInput(
                f"{item}.metadata must hold texts, numbers, true or false, or lists of these, "
                "under names without quotation marks.",
                item=f"{item}.metadata",
            )
    try:
        metadata_bytes = len(orjson.dumps(metadata))
        orjson.dumps([document_id, title, text])
    except orjson.JSONEncodeError as error:
        raise InvalidInput(
            f"{item} cannot be stored: its texts must be valid Unicode, and its whole numbers have "
            "at most 64 bits.",
            item=item,
        ) from error
    if metadata_bytes > _MAX_METADATA_BYTES:
        raise InvalidInput(
            f"{item}.metadata is larger than {_MAX_METADATA_BYTES:,} bytes: put text in the text.",
            item=f"{item}.metadata",
        )
    return Document(document_id or _digest(title, text, metadata)[:32], text, title, metadata)


def _is_scalar(value: object) -> bool:
    return isinstance(value, Scalar) and not (isinstance(value, float) and not math.isfinite(value))


def check_collection_name(name: str) -> str:
    """The name.

    Raises:
        InvalidInput: no collection can be called so.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            "A collection's name has up to 64 characters: lower-case letters, Hangul, digits, "
            "- and _, and begins with none of the last two.",
            item="name",
        )
    return name


@dataclass(frozen=True)
class Identity:
    """What made vectors; those of another model mean nothing beside them.

    Attributes:
        model: its name, for people.
        hash: of everything in its files that moves its vectors.
        dimension: numbers in a vector.
        precision: that they were computed in. Vectors of two precisions may be compared.
    """

    model: str
    hash: str
    dimension: int
    precision: str

    def matches(self, other: "Identity") -> bool:
        """Whether vectors of both may be compared."""
        return (self.hash, self.dimension) == (other.hash, other.dimension)


def check_identity(stored: Identity, loaded: Identity) -> None:
    """Makes sure that the vectors of a collection and those of the loaded model may be compared.

    Raises:
        Conflict: they are of two models.
    """
    if not stored.matches(loaded):
        same_name = stored.model == loaded.model
        now = "another of that name" if same_name else f"the model {loaded.model}"
        raise Conflict(
            f"The collection's vectors are of the model {stored.model}, and {now} is loaded: "
            "embed the collection anew with ssang collections reembed, or load the other model."
        )


@dataclass(frozen=True)
class EmbeddedPassage:
    """Part of a document, ``document.part(field, start, end)``, and its unit vector (dim,)."""

    field: Field
    start: int
    end: int
    vector: Vectors


class Embedder(Protocol):
    """Turns documents and queries into unit vectors."""

    @property
    def identity(self) -> Identity:
        """Of the vectors that it makes.

        Raises:
            ModelUnavailable: its model is still loading, or has failed.
        """

    def embed_documents(self, documents: Sequence[Document]) -> list[list[EmbeddedPassage]]:
        """The passages of each document, at least one: its title, and its text in parts."""

    def embed_query(self, query: str) -> Vectors:
        """The vector (dim,) of a query."""


@dataclass(frozen=True)
class Query:
    """What is looked for.

    Attributes:
        text: the question.
        top_k: most hits.
        offset: hits to pass over, for paging.
        filter: see :mod:`inference.corpus.filters`.
        min_score: least cosine of a hit's best passage; not for keyword searches, whose scores
            have no scale.
        mode: None takes the default.
    """

    text: str
    top_k: int = 10
    offset: int = 0
    filter: Filter = field(default_factory=dict)
    min_score: float | None = None
    mode: Mode | None = None


def check_query(query: Query) -> Mode:
    """The mode in which a query is searched.

    Raises:
        InvalidInput: it has no text, or asks for something that no search can give.
    """
    mode = query.mode or DEFAULT_MODE
    if not query.text.strip():
        raise EmptyInput("query is empty: say what to look for.", item="query")
    if mode not in MODES:
        raise InvalidInput(f"mode must be one of {', '.join(MODES)}.", item="mode")
    if not 1 <= query.top_k <= MAX_TOP_K:
        raise InvalidInput(f"top_k must be from 1 to {MAX_TOP_K:,}.", item="top_k")
    if not 0 <= query.offset <= MAX_OFFSET:
        raise InvalidInput(f"offset must be from 0 to {MAX_OFFSET:,}.", item="offset")
    if query.min_score is not None and mode == "keyword":
        raise InvalidInput(
            "min_score is a cosine, which keyword searches do not have: leave it out, or search in "
            "another mode.",
            item="min_score",
        )
    return mode


@dataclass(frozen=True)
class PassagePlace:
    """Part of a document: ``document.part(field, start, end)``."""

    field: Field
    start: int
    end: int


@dataclass(frozen=True)
class Hit:
    """A document that was found.

    Attributes:
        document: the document.
        passage: the part of the document that matched best.
        score: what hits are ordered by: the cosine (vector), BM25 (keyword) or the reciprocal rank
            fusion of both (hybrid).
        similarity: cosine of the query with the passage; None in keyword searches.
    """

    document: Document
    passage: PassagePlace
    score: float
    similarity: float | None


@dataclass(frozen=True)
class SearchResult:
    """Hits, best first, with the mode that found them and the milliseconds that it took."""

    hits: list[Hit]
    mode: Mode
    timing_ms: dict[str, float]


@dataclass(frozen=True)
class Added:
    """What became of documents: the ids that are new, were replaced, or were there already."""

    added: list[str]
    replaced: list[str]
    unchanged: list[str]


@dataclass(frozen=True)
class DocumentPage:
    """Some documents in the order in which they came, out of ``total``."""

    documents: list[Document]
    total: int


@dataclass(frozen=True)
class CollectionInfo:
    """A collection.

    Attributes:
        name: of the collection.
        documents, passages: how many it holds.
        identity: what made its vectors; None while it is empty.
        index: how vectors are searched: ``exact`` or ``hnsw``.
        created: Unix time in seconds.
        reembedded: share of the documents that have vectors of the next model already, while it is
            embedded anew.
    """

    name: str
    documents: int
    passages: int
    identity: Identity | None
    index: Literal["exact", "hnsw"]
    created: float
    reembedded: float | None = None


class Collection(Protocol):
    """Documents under one name. Any thread may call it, and several processes may open it."""

    @property
    def name(self) -> str:
        """Its name."""

    def info(self) -> CollectionInfo:
        """What it holds."""

    def add(self, documents: Sequence[Document]) -> Added:
        """Puts documents in; what this returns is stored for good.

        A document that is there already is left alone; one with a known id and another content
        takes its place. Of one id twice in ``documents``, the last counts.

        Raises:
            Conflict: the collection's vectors are of another model.
            StorageFull: there is no room; nothing was put in.
        """

    def get(self, document_id: str) -> Document:
        """A document.

        Raises:
            NotFound: there is none.
        """

    def list_documents(
        self, *, offset: int = 0, limit: int = 50, where: Filter | None = None
    ) -> DocumentPage:
        """Some of the documents."""

    def iterate(self) -> Iterator[Document]:
        """All documents as they stand now, whatever is written meanwhile."""

    def remove(self, ids: Sequence[str]) -> int:
        """Takes documents out, and says how many were there."""

    def search(self, query: Query) -> SearchResult:
        """The documents nearest to a query, each once.

        Raises:
            Conflict: the collection's vectors are of another model than the one that is loaded.
            InvalidInput: the filter or ``min_score`` cannot be used.
        """


class Corpus(Protocol):
    """Collections in one place."""

    def list_collections(self) -> list[CollectionInfo]:
        """All collections by name."""

    def create(self, name: str) -> tuple[Collection, bool]:
        """The collection of that name, and whether it is new."""

    def open(self, name: str) -> Collection:
        """A collection.

        Raises:
            NotFound: there is none.
        """

    def delete(self, name: str) -> None:
        """Deletes a collection with everything in it.

        Raises:
            NotFound: there is none.
        """

    def close(self) -> None:
        """Ends what runs in the background."""


def _digest(title: str, text: str, metadata: Metadata) -> str:
    content = orjson.dumps([title, text, metadata], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(content).hexdigest()
