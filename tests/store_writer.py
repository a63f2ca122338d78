"""A process that puts documents in a store, and says on its output what is there for good.

python store_writer.py FILE FIRST LAST: documents FIRST to LAST of `rows()`, a few at a time.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np

from inference.corpus.base import Document, EmbeddedPassage, Identity
from inference.corpus.store import Store
from inference.errors import StorageFull
from inference.similarity import Vectors

DIMENSION = 32
IDENTITY = Identity("first", "1", DIMENSION, "fp32")
BATCH = 5

FULL = "full"

Row = tuple[Document, list[EmbeddedPassage]]


def vector_of(text: str, dimension: int = DIMENSION) -> Vectors:
    """A unit vector that equal texts have in common."""
    seed = hashlib.sha256(text.encode()).digest()
    vector = np.random.default_rng(list(seed)).standard_normal(dimension, dtype=np.float32)
    unit: Vectors = vector / np.linalg.norm(vector)
    return unit


def row_of(document: Document, dimension: int = DIMENSION) -> Row:
    """A document with a passage for its title, and one for its text."""
    return document, [
        EmbeddedPassage(field, 0, len(document.part(field)), vector_of(text, dimension))
        for field in ("title", "text")
        if (text := document.part(field))
    ]


def rows(first: int, last: int) -> list[Row]:
    """Documents in the order of their numbers."""
    return [
        row_of(
            Document(
                str(n), f"{n}번 답변입니다.", f"{n}번 질문인가요?", {"n": n, "odd": n % 2 == 1}
            )
        )
        for n in range(first, last)
    ]


def main(file: str, first: str, last: str) -> None:
    store = Store(Path(file))
    for start in range(int(first), int(last), BATCH):
        batch = rows(start, min(start + BATCH, int(last)))
        try:
            store.put(batch, IDENTITY)
        except StorageFull:
            print(FULL, flush=True)
            return
        print(*(document.id for document, _ in batch), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
