"""Vectors without a model, for tests of what happens to them and not of what they mean."""

import hashlib
from collections.abc import Sequence

import numpy as np

from inference.corpus.base import Document, EmbeddedPassage, Field, Identity
from inference.similarity import Vectors

_DIMENSION = 32


class HashEmbedder:
    """Equal texts have equal vectors, others have nothing in common.

    Args:
        model: another name makes other vectors.
    """

    def __init__(self, model: str = "first") -> None:
        self._model = model

    @property
    def identity(self) -> Identity:
        digest = hashlib.sha256(self._model.encode()).hexdigest()
        return Identity(self._model, digest, _DIMENSION, "fp32")

    def embed_documents(self, documents: Sequence[Document]) -> list[list[EmbeddedPassage]]:
        return [
            [
                EmbeddedPassage(field, 0, len(document.part(field)), self._vector(text))
                for field, text in _parts(document)
            ]
            for document in documents
        ]

    def embed_query(self, query: str) -> Vectors:
        return self._vector(query)

    def _vector(self, text: str) -> Vectors:
        seed = hashlib.sha256(f"{self._model}/{text}".encode()).digest()
        vector = np.random.default_rng(list(seed)).standard_normal(_DIMENSION, dtype=np.float32)
        unit: Vectors = vector / np.linalg.norm(vector)
        return unit


def _parts(document: Document) -> list[tuple[Field, str]]:
    parts: list[tuple[Field, str]] = [("title", document.title)] if document.title else []
    return [*parts, ("text", document.text)]
