"""What the engine gives back."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.agreement import Agreement
from inference.chunk import Passage
from inference.similarity import Grade, Vectors


@dataclass
class Timing:
    """Milliseconds that a request spent.

    Attributes:
        tokenize: making token ids.
        queue: from the queue to the start of the first batch that held one of its texts.
        inference: in batches that held its texts, those of other requests included.
        total: from start to end.
    """

    tokenize: float = 0.0
    queue: float = 0.0
    inference: float = 0.0
    total: float = 0.0

    def as_dict(self) -> dict[str, float]:
        return {name: round(value, 3) for name, value in vars(self).items()}


@dataclass
class EncodedTexts:
    """What became of texts, in their order.

    Attributes:
        vectors: unit vectors (n, dim).
        lengths: tokens each text has, special tokens included, before it was cut.
        truncated: whether each text was cut.
        tokens: tokens that were read, of all texts together.
    """

    vectors: Vectors
    lengths: npt.NDArray[np.int64]
    truncated: npt.NDArray[np.bool_]
    tokens: int


@dataclass(frozen=True)
class Embeddings:
    """Vectors (n, dimensions) of texts, with what was read of each.

    ``passages`` counts the parts that long texts were read in.
    """

    vectors: Vectors
    truncated: npt.NDArray[np.bool_]
    passages: npt.NDArray[np.int64]
    tokens: int
    timing: Timing


@dataclass(frozen=True)
class PassageEmbeddings:
    """Passages of texts in their order, the index of the text each belongs to, and its vector."""

    passages: list[Passage]
    owners: npt.NDArray[np.intp]
    vectors: Vectors
    tokens: int
    timing: Timing


@dataclass(frozen=True)
class PairScore:
    """Cosine and grade of the pair at an index, and how long its texts are in tokens."""

    index: int
    score: np.float32
    grade: Grade
    query_tokens: int
    document_tokens: int
    truncated: bool


@dataclass(frozen=True)
class PairScores:
    """Scores of pairs in their order."""

    pairs: list[PairScore]
    tokens: int
    timing: Timing


@dataclass(frozen=True)
class ScoreMatrix:
    """Cosines (queries, documents) of every query with every document."""

    scores: Vectors
    queries: EncodedTexts
    documents: EncodedTexts
    timing: Timing

    @property
    def tokens(self) -> int:
        return self.queries.tokens + self.documents.tokens


@dataclass(frozen=True)
class RankedDocument:
    """A document by its index in the request.

    ``passage`` is the part of it that came nearest, where long documents are read in passages.
    """

    index: int
    score: np.float32
    grade: Grade
    tokens: int
    truncated: bool
    passage: Passage | None = None


@dataclass(frozen=True)
class Ranking:
    """Documents by falling cosine with one query."""

    results: list[RankedDocument]
    query_tokens: int
    query_truncated: bool
    tokens: int
    timing: Timing


Result = Embeddings | PassageEmbeddings | PairScores | ScoreMatrix | Ranking
"""What texts were read for."""


@dataclass(frozen=True)
class ModelInfo:
    """What a client may know of the loaded model."""

    model: str
    hash: str
    towers: int
    pooling: str
    prompts: dict[str, str]
    dimension: int
    max_length: int
    device: str
    precision: str
    agreement: Agreement | None
    thresholds: dict[str, float]
    max_batch_tokens: int
    warnings: tuple[str, ...]
