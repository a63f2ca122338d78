"""Sources as a search gives them, for tests of what is written from them."""

from collections.abc import Sequence

from inference.answering.base import Request, Source, Turn
from inference.corpus.base import Document, PassagePlace


def source_of(
    number: int, text: str, *, title: str = "", passage: PassagePlace | None = None
) -> Source:
    """A source whose passage is its title, if it has one, and else its text."""
    place = PassagePlace("title", 0, len(title)) if title else PassagePlace("text", 0, len(text))
    document = Document(f"d{number}", text, title)
    return Source(number, document, passage or place, score=0.9, similarity=0.9)


def request_of(question: str, *sources: Source, history: Sequence[tuple[str, str]] = ()) -> Request:
    """A request with what a user and an assistant said before, in pairs."""
    turns = [
        turn
        for asked, answered in history
        for turn in (Turn("user", asked), Turn("assistant", answered))
    ]
    return Request(question, turns, sources)
