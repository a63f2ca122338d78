"""Cosine similarity of unit vectors, grades and ranking: pure functions."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Grade = Literal["high", "medium", "low"]
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Thresholds:
    """Cosines from which a score is called high (상), medium (중) and, of two classes, a match.

    The defaults are those of the KLUE workshop; a model's own calibrated values in ``ssang.json``
    take their place.
    """

    high: float = 0.75
    medium: float = 0.60
    binary: float = 0.60


@dataclass(frozen=True)
class Nearness:
    """Which documents count as near a question, by the cosine of their best passage.

    Attributes:
        floor: least cosine of any that does.
        margin: how far below the nearest one others may be.
    """

    floor: float
    margin: float


def cosine(left: Vectors, right: Vectors) -> Vectors:
    """Cosine of each row of ``left`` (n, d) with the same row of ``right`` (n, d), shape (n,).

    Both hold unit vectors, so this is their dot product, cut to [-1, 1] against rounding. One row
    alone on the left goes with every row on the right.

    >>> cosine(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32)).tolist()
    [1.0, 1.0]
    """
    scores: Vectors = np.einsum("nd,nd->n", left, right)
    return scores.clip(-1.0, 1.0)


def cosine_matrix(queries: Vectors, documents: Vectors) -> Vectors:
    """Cosine of every row of ``queries`` (n, d) with every row of ``documents`` (m, d): (n, m)."""
    scores: Vectors = queries @ documents.T
    return scores.clip(-1.0, 1.0)


def cut_dimensions(vectors: Vectors, dimensions: int) -> Vectors:
    """The first ``dimensions`` of each row of ``vectors`` (n, d), made unit vectors again."""
    return normalize(vectors[:, :dimensions])


def normalize(vectors: Vectors) -> Vectors:
    """Each row of ``vectors`` (n, d) divided by its L2 norm; rows of zeros stay zeros."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = vectors / np.maximum(norms, np.finfo(np.float32).tiny)
    return unit


def grade(score: float, thresholds: Thresholds) -> Grade:
    """The grade of a cosine.

    >>> grade(0.8, Thresholds()), grade(0.6, Thresholds()), grade(-0.2, Thresholds())
    ('high', 'medium', 'low')
    """
    if score >= thresholds.high:
        return "high"
    return "medium" if score >= thresholds.medium else "low"


def top_k(scores: Vectors, k: int | None = None) -> npt.NDArray[np.intp]:
    """Indexes of the ``k`` best of ``scores`` (n,), best first; equal scores keep their order.

    >>> top_k(np.array([0.1, 0.9, 0.9], dtype=np.float32), 2).tolist()
    [1, 2]
    """
    return np.argsort(-scores, kind="stable")[:k]
