"""Questions to a collection: what is near them, and an answer that draws on it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from inference.answering.base import Generation, Generator, Request, Source, Turn, Usage
from inference.corpus.base import Collection, Hit, Query
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

# Of a document's nearness, the share of the question itself; the rest is that of the question
# behind what was asked before. Chosen on the questions of benchmarks/faq-calibration.csv that come
# after another one.
_OWN_SHARE = 0.6

# Documents of each reading of a question. One that is missing in one of them is taken for no
# nearer there than the last.
_CANDIDATES = 50


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
        # Without a history, what comes behind is not looked at.
        depth = _CANDIDATES if history else top_k
        found = [
            collection.search(Query(text, top_k=depth, mode="vector"))
            for text in _readings(question, history)
        ]
        if not found[0].hits and not collection.info().documents:
            raise Conflict("The collection is empty: put documents in first.", item="name")
        own, *behind = [result.hits for result in found]
        sources = _number(near(complete(own, behind), self._nearness)[:top_k])
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


def complete(own: Sequence[Hit], behind: Sequence[Sequence[Hit]]) -> list[Hit]:
    """The documents near a question by itself or with what was asked before, nearest first.

    A document counts by the cosine of the question itself, or by the weighted mean of that and of
    the cosine of the question behind what was asked before, whichever is greater. So the answer to
    "And what does it cost?" is about the last question's matter, while a question that is about
    something else keeps its own documents, and is refused if it has none: alone, the earlier
    question in front would make the answer to that the nearest.

    Args:
        own: hits of the question itself.
        behind: those of the question behind one and more earlier ones.
    """
    best = {hit.document.id: hit for hit in own}
    alone = {hit.document.id: hit.score for hit in own}
    for hits in behind:
        for hit in hits:
            score = _OWN_SHARE * alone.get(hit.document.id, _last(own))
            score += (1 - _OWN_SHARE) * hit.score
            known = best.get(hit.document.id)
            if known is None or known.score < score:
                best[hit.document.id] = replace(hit, score=score)
    return sorted(best.values(), key=lambda hit: -hit.score)


def _last(hits: Sequence[Hit]) -> float:
    return hits[-1].score if hits else 0.0


def _readings(question: str, history: Sequence[Turn]) -> Iterator[str]:
    """A question by itself, and behind what the user asked before, from the last time on."""
    yield question
    text = question
    asked = [turn.content for turn in history if turn.role == "user" and turn.content.strip()]
    for earlier in asked[: -_TURNS_BACK - 1 : -1]:
        text = f"{earlier}\n{text}"
        yield text


def _number(hits: Sequence[Hit]) -> list[Source]:
    return [
        Source(number, hit.document, hit.passage, hit.score, hit.similarity or hit.score)
        for number, hit in enumerate(hits, start=1)
    ]


def _say(text: str) -> Iterator[str]:
    yield text
