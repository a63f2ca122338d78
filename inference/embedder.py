"""Documents of a corpus as vectors of the loaded model."""

from collections.abc import Sequence

from inference.corpus.base import Document, EmbeddedPassage, Field, Identity
from inference.engine import Engine
from inference.similarity import Vectors


class EngineEmbedder:
    """Makes the vectors of a corpus with an engine.

    A title is a passage of its own, so that a question can match the question of a FAQ or its
    answer, whichever is nearer.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def identity(self) -> Identity:
        info = self._engine.info()
        return Identity(info.model, info.hash, info.dimension, info.precision)

    def embed_documents(self, documents: Sequence[Document]) -> list[list[EmbeddedPassage]]:
        if not documents:
            return []
        parts: list[tuple[int, Field, str]] = []
        for index, document in enumerate(documents):
            if document.title.strip():
                parts.append((index, "title", document.title))
            parts.append((index, "text", document.text))
        embedded = self._engine.embed_passages([text for _, _, text in parts])
        found: list[list[EmbeddedPassage]] = [[] for _ in documents]
        for passage, owner, vector in zip(
            embedded.passages, embedded.owners, embedded.vectors, strict=True
        ):
            index, field, _ = parts[owner]
            found[index].append(EmbeddedPassage(field, passage.start, passage.end, vector))
        return found

    def embed_query(self, query: str) -> Vectors:
        vector: Vectors = self._engine.embed([query], kind="query", label="query").vectors[0]
        return vector
