"""A process that fills a collection's store and publishes its index, until it is killed.

python index_writer.py FILE FIRST LAST     documents FIRST to LAST; each round says "ROUND" at its
                                           begin and "PUBLISHED" at its end, on its output
"""

import sys
from pathlib import Path

import numpy as np

from inference.corpus.base import Document, EmbeddedPassage, Identity
from inference.corpus.faiss_index import VectorIndex
from inference.corpus.store import Store
from inference.similarity import normalize

DIM = 32
IDENTITY = Identity("random", "0", DIM, "fp32")
_BATCH = 100


def open_index(file: Path) -> tuple[Store, VectorIndex]:
    """The store in a file, and an index of it that makes a graph of few passages."""
    store = Store.create(file)
    return store, VectorIndex(store, file.parent / "index", exact_limit=150, least_delta=10)


def put(store: Store, first: int, last: int) -> None:
    """Documents by their numbers, in one write, with the vectors of their numbers."""
    rows = []
    for number in range(first, last):
        random = np.random.default_rng(number)
        vector = normalize(random.standard_normal((1, DIM), dtype=np.float32))[0]
        passage = EmbeddedPassage("text", 0, 1, vector)
        rows.append((Document(str(number), "글"), [passage]))
    store.put(rows, IDENTITY)


def main(file: str, first: str, last: str) -> None:
    store, index = open_index(Path(file))
    for start in range(int(first), int(last), _BATCH):
        print("ROUND", flush=True)
        put(store, start, start + _BATCH)
        store.remove([str(start + 1), str(start + 2)])
        assert index.publish()
        print("PUBLISHED", flush=True)
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
