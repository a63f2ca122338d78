"""What answers are made of: sources, a conversation, and whatever writes the text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from inference.corpus.base import Document, PassagePlace

Role = Literal["user", "assistant"]


@dataclass(frozen=True)
class Source:
    """A document that an answer may draw on.

    Attributes:
        number: from 1; answers cite it as ``[1]``.
        document: the document.
        passage: the part of it that is nearest to the question.
        score: what sources are ordered by.
        similarity: cosine of the question with the passage.
    """

    number: int
    document: Document
    passage: PassagePlace
    score: float
    similarity: float


@dataclass(frozen=True)
class Turn:
    """Something that was said before."""

    role: Role
    content: str


@dataclass(frozen=True)
class Request:
    """What a generator answers.

    Attributes:
        question: as it was asked.
        history: what was said before, oldest first.
        sources: at least one, best first.
    """

    question: str
    history: Sequence[Turn]
    sources: Sequence[Source]


@dataclass
class Usage:
    """Tokens that a generator read and wrote, as far as it tells."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass
class Generation:
    """An answer while it is written.

    Attributes:
        pieces: the text, piece by piece; closing it stops the work.
        usage: filled when the last piece is out.
    """

    pieces: Iterator[str]
    usage: Usage = field(default_factory=Usage)

    def __iter__(self) -> Iterator[str]:
        return self.pieces

    def close(self) -> None:
        """Stops the work."""
        close = getattr(self.pieces, "close", None)
        if close is not None:
            close()


class Generator(Protocol):
    """Writes answers from sources. Any thread may call it."""

    @property
    def name(self) -> str:
        """What clients see of it: its kind, and its model if it has one."""

    def generate(self, request: Request) -> Generation:
        """The answer to a request. It begins when its first piece is asked for.

        Raises, from there on:
            GeneratorUnavailable: what writes it cannot be reached, or broke off.
            Overloaded: it has too much to do.
            TooLarge: the question leaves no room for sources in the prompt.
        """

    def close(self) -> None:
        """Ends what it holds."""
