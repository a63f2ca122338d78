"""The model that is served: one checkpoint, or one for queries and one for documents."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

from inference.checkpoint import (
    Checkpoint,
    open_checkpoint,
    read_checkpoint,
    read_nearness,
    read_thresholds,
)
from inference.errors import InvalidInput
from inference.reference import find_model
from inference.similarity import Nearness, Thresholds

_TOWERS = ("query_encoder", "document_encoder")


@dataclass(frozen=True)
class Model:
    """Checked files of a model.

    Attributes:
        name: the name clients see.
        query: the checkpoint that reads queries.
        document: the checkpoint that reads documents; the same object for a model with one tower.
        thresholds: calibrated cosines, or the fallbacks.
        nearness: calibrated bounds for sources of answers, or the fallbacks.
    """

    name: str
    query: Checkpoint
    document: Checkpoint
    thresholds: Thresholds
    nearness: Nearness

    @property
    def has_two_towers(self) -> bool:
        return self.query is not self.document

    @property
    def pooling(self) -> str:
        """The poolings of its checkpoints, such as ``mean`` or ``mean+max``."""
        names = dict.fromkeys("+".join(tower.pooling) for tower in (self.query, self.document))
        return " / ".join(names)

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.query.warnings + self.document.warnings))

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 that stands for every file that shapes the vectors, in hex."""
        if not self.has_two_towers:
            return self.document.content_hash
        both = self.query.content_hash + self.document.content_hash
        return hashlib.sha256(both.encode()).hexdigest()


def open_model(reference: str, *, query: str = "", document: str = "") -> Model:
    """Finds, reads and checks a model.

    Args:
        reference: see :mod:`inference.reference`; a folder with ``query_encoder/`` and
            ``document_encoder/`` in it has two towers.
        query, document: references of the towers instead, both or none.

    Raises:
        NotFound: there is no such model.
        InvalidInput: its files are missing, damaged or of a kind that cannot be served.
    """
    if query or document:
        if not (query and document):
            raise InvalidInput("Two towers need both a query model and a document model.")
        left, right = open_checkpoint(query), open_checkpoint(document)
        return _two_towers(
            f"{left.name}+{right.name}", left, right, right.thresholds, right.nearness
        )
    name, path = find_model(reference)
    if all((path / tower).is_dir() for tower in _TOWERS):
        left, right = (read_checkpoint(tower, path / tower) for tower in _TOWERS)
        return _two_towers(name, left, right, read_thresholds(path), read_nearness(path))
    checkpoint = read_checkpoint(name, path)
    return Model(name, checkpoint, checkpoint, checkpoint.thresholds, checkpoint.nearness)


def _two_towers(
    name: str,
    query: Checkpoint,
    document: Checkpoint,
    thresholds: Thresholds,
    nearness: Nearness,
) -> Model:
    """A model of two checkpoints, or of one where both hold the same files."""
    if query.content_hash == document.content_hash:
        query = document
    return Model(name, query, document, thresholds, nearness)
