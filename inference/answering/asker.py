"""Questions to a collection: what is near them, and an answer that draws on it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inference.answering.base import Generation, Generator, Request, Source, Turn, Usage
from inference.corpus.base import Collection, Hit, Query, SearchResult
from inference.errors import Conflict, EmptyInput
from inference.similarity import Nearness

DEFAULT_TOP_K = 5
MAX_TOP_K = 20

NOTHING_NEAR = (
    "등록된 문서에서 질문과 관련된 내용을 찾지 못했습니다. 다른 말로 다시 질문해 주시겠어요?"
)
"""What is said where no document is near the question."""

# What was asked before these has been left behind.
_TURNS_BACK = 2


@dataclass
class Asking:
    """A question that is being answered.

    Attributes:
        sources: what the answer draws on, best first; none if nothing is near.
        generation: the answer, which begins when its first piece is asked for.
        timing_ms: milliseconds spent on finding the sources: ``embed`` and ``search``.
    """

    sources: list[Source]
    generation: Generation
    timing_ms: dict[str, float]

    @property
    def found(self) -> bool:
        """Whether anything is near."""
        return bool(self.sources)


class Asker:
    """Answers questions from collections. Any thread may use it.

    Args:
        generator: writes the answers.
        nearness: which documents count as near a question.
    """

    def __init__(self, generator: Generator, nearness: Nearness) -> None:
        self.generator = generator
        self._nearness = nearness

    def ask(
        self,
        collection: Collection,
        question: str,
        *,
        history: Sequence[Turn] = (),
        top_k: int = DEFAULT_TOP_K,
    ) -> Asking:
        """Finds what is near a question, and begins to answer it.

        Args:
            collection: what is asked.
            question: the last thing the user said.
            history: what was said before, oldest first.
            top_k: most sources.

        Raises:
            EmptyInput: the question has no text.
            Conflict: the collection is empty, or its vectors are of another model.
            ModelUnavailable: the model is still loading, or has failed.
        """
        if not question.strip():
            raise EmptyInput("question is empty: ask something.", item="question")
        found = [
            collection.search(Query(text, top_k=top_k, mode="vector"))
            for text in _readings(question, history)
        ]
        if not found[0].hits and not collection.info().documents:
            raise Conflict("The collection is empty: put documents in first.", item="name")
        sources = _number(near(best(found).hits, self._nearness))
        timing_ms = {
            name: sum(result.timing_ms.get(name, 0.0) for result in found)
            for name in ("embed", "search")
        }
        if not sources:
            return Asking([], Generation(_say(NOTHING_NEAR), Usage(0, 0)), timing_ms)
        generation = self.generator.generate(Request(question, history, sources))
        return Asking(sources, generation, timing_ms)


def near(hits: Sequence[Hit], nearness: Nearness) -> list[Hit]:
    """The hits, best first, that count as near."""
    floor = max(nearness.floor, hits[0].score - nearness.margin) if hits else nearness.floor
    return [hit for hit in hits if hit.score >= floor]


def best(results: Sequence[SearchResult]) -> SearchResult:
    """The result whose first hit scores highest; of equals, the first."""
    return max(results, key=lambda result: result.hits[0].score if result.hits else -1.0)


def _readings(question: str, history: Sequence[Turn]) -> Iterator[str]:
    """What a question may mean: itself, and itself behind what the user asked before.

    "And what does it cost?" is near nothing, or near what anything costs; behind "How do I send
    money abroad?" it is near the fees of that.
    """
    yield question
    text = question
    asked = [turn.content for turn in history if turn.role == "user" and turn.content.strip()]
    for earlier in asked[: -_TURNS_BACK - 1 : -1]:
        text = f"{earlier}\n{text}"
        yield text


def _number(hits: Sequence[Hit]) -> list[Source]:
    # The score of a search by meaning is the cosine.
    return [
        Source(number, hit.document, hit.passage, hit.score, hit.score)
        for number, hit in enumerate(hits, start=1)
    ]


def _say(text: str) -> Iterator[str]:
    yield text
