"""Many documents into a collection, batch by batch."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from inference.corpus.base import Added, Collection, Document
from inference.corpus.loaders import Fault
from inference.window import in_windows

_BATCH_ROWS = 512
# As many as a CPU embeds in seconds.
_BATCH_CHARACTERS = 2**17


@dataclass(frozen=True)
class Batch:
    """Rows of a file, after those that hold a document were stored for good.

    Attributes:
        rows: how many they are, those with faults included.
        faults: the rows that held no document.
        added: what became of the others. An id is in it as often as it came.
    """

    rows: int
    faults: list[Fault]
    added: Added


@dataclass
class Totals:
    """What became of the rows so far."""

    rows: int = 0
    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    failed: int = 0

    def add(self, batch: Batch) -> None:
        self.rows += batch.rows
        self.added += len(batch.added.added)
        self.replaced += len(batch.added.replaced)
        self.unchanged += len(batch.added.unchanged)
        self.failed += len(batch.faults)


def index_documents(collection: Collection, rows: Iterable[Document | Fault]) -> Iterator[Batch]:
    """Puts documents in a collection, a few hundred at a time; faults pass through.

    Raises:
        SsangError: a batch cannot be stored. Those that were given out before stay.
    """
    return in_windows(
        rows,
        lambda window: _store(collection, window),
        characters=_characters,
        max_items=_BATCH_ROWS,
        max_characters=_BATCH_CHARACTERS,
    )


def _characters(row: Document | Fault) -> int:
    return len(row.title) + len(row.text) if isinstance(row, Document) else 0


def _store(collection: Collection, window: Sequence[Document | Fault]) -> Batch:
    documents = [row for row in window if isinstance(row, Document)]
    added = collection.add(documents) if documents else Added([], [], [])
    faults = [row for row in window if isinstance(row, Fault)]
    return Batch(len(window), faults, _with_repetitions(added, documents))


def _with_repetitions(added: Added, documents: Sequence[Document]) -> Added:
    """The same with ids that came again, as if they had come in a batch of their own."""
    hashes: dict[str, str] = {}
    replaced, unchanged = list(added.replaced), list(added.unchanged)
    for document in documents:
        before = hashes.get(document.id)
        hashes[document.id] = document.content_hash
        if before is not None:
            (unchanged if before == document.content_hash else replaced).append(document.id)
    return Added(added.added, replaced, unchanged)
