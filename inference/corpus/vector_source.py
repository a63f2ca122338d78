"""What an index of vectors needs of the store that holds them."""

from dataclasses import dataclass
from typing import Protocol

from inference.corpus.base import Ids
from inference.similarity import Vectors


@dataclass(frozen=True)
class Mark:
    """How far a reader has come.

    Passages get rising numbers that are never used again, and so do removals.

    Attributes:
        passage: the highest number of a passage that was read.
        removal: the highest number of a removal that was read.
    """

    passage: int = 0
    removal: int = 0


@dataclass(frozen=True)
class Changes:
    """What was written behind a mark, as of one moment.

    Attributes:
        ids: numbers of new passages (n,), rising; some may be removed again.
        vectors: theirs (n, dim).
        removed: numbers of passages that are gone.
        mark: the next one to ask from.
        more: whether ``limit`` left passages out.
    """

    ids: Ids
    vectors: Vectors
    removed: Ids
    mark: Mark
    more: bool


@dataclass(frozen=True)
class Generation:
    """A published index.

    Attributes:
        number: of its file; rising.
        space: the vectors it holds; an index of another space is worth nothing.
        mark: it holds what was written up to there.
    """

    number: int
    space: int
    mark: Mark


class VectorSource(Protocol):
    """The vectors of a collection, in one space at a time: those of one model."""

    def version(self) -> int:
        """A number that changes with every commit, of any process; cheap."""

    def serving_space(self) -> tuple[int, int] | None:
        """Number and dimension of the space that is searched; None while there are no vectors."""

    def changes(self, space: int, since: Mark, limit: int | None = None) -> Changes:
        """What was written to a space since a mark, at most ``limit`` passages."""

    def generation(self) -> Generation | None:
        """The index that was published last."""

    def publish(self, generation: Generation) -> None:
        """Makes an index, whose file is in place, the one that is used.

        Removals up to its mark are forgotten: whoever has not seen them finds this generation
        first.
        """
