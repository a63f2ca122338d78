"""Answers from collections, as every route tells them."""

import time
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from inference import metrics
from inference.answering.asker import Asking
from inference.answering.base import Turn
from inference.corpus.base import Collection, Corpus
from inference.errors import InvalidInput, NotFound
from inference.similarity import Thresholds
from webapp.hit import hit_record
from webapp.service import Service

COLLECTION = "collection:"
"""Begins the names of models that are collections, for clients that know only models."""


def begin_answer(
    service: Service,
    collection: Collection,
    question: str,
    *,
    history: Iterable[Turn],
    top_k: int,
    notes: dict[str, Any],
) -> "Answer":
    """Finds the sources of an answer, which begins when its first text is asked for."""
    asker = service.asker
    began = time.perf_counter()
    asking = asker.ask(collection, question, history=list(history), top_k=top_k)
    thresholds = service.engine.model.thresholds
    notes.update(texts=1, found=asking.found, sources=len(asking.sources))
    return Answer(asking, asker.generator.name, thresholds, notes, began)


@dataclass
class Answer:
    """An answer while it is told.

    Attributes:
        asking: its sources and its text.
        generator: what writes it.
        thresholds: of the grades of its sources.
        notes: numbers about it, for the log.
        began: when it was asked for, by ``time.perf_counter``.
        generate_s: seconds that the text took.
    """

    asking: Asking
    generator: str
    thresholds: Thresholds
    notes: dict[str, Any]
    began: float
    generate_s: float = field(default=0.0, init=False)

    def texts(self) -> Generator[str]:
        """The text piece by piece; closing this stops the work."""
        began = time.perf_counter()
        with closing(self.asking.generation) as generation:
            for text in generation:
                if text:
                    yield text
        self.generate_s = time.perf_counter() - began

    def text(self) -> str:
        """The text as a whole."""
        outcome = "failed"
        try:
            text = "".join(self.texts())
            outcome = "complete"
        finally:
            self.observe(outcome)
        return text

    def whole(self) -> dict[str, Any]:
        """Text, sources and what it took, as clients see them."""
        return {"answer": self.text(), **self.finding, **self.expense}

    @property
    def finding(self) -> dict[str, Any]:
        """What is known before the text begins, as clients see it."""
        return {
            "found": self.asking.found,
            "sources": self.sources,
            "generator": self.generator,
        }

    @property
    def expense(self) -> dict[str, Any]:
        """What is known when the text has ended, as clients see it."""
        return {"usage": self.usage, "timing_ms": self.timing_ms}

    @property
    def sources(self) -> list[dict[str, Any]]:
        """What it draws on, as clients see it."""
        return [
            {"number": source.number, **hit_record(source, self.thresholds)}
            for source in self.asking.sources
        ]

    @property
    def usage(self) -> dict[str, int | None]:
        """Tokens that were read and written, as far as the generator tells."""
        return vars(self.asking.generation.usage)

    @property
    def timing_ms(self) -> dict[str, float]:
        """Milliseconds so far."""
        spent = {
            **self.asking.timing_ms,
            "generate": 1000 * self.generate_s,
            "total": 1000 * (time.perf_counter() - self.began),
        }
        return {name: round(value, 3) for name, value in spent.items()}

    def observe(self, outcome: str) -> None:
        """Told in the end whether it was ``complete``, ``failed``, or the ``client left``."""
        told = "nothing found" if outcome == "complete" and not self.asking.found else outcome
        metrics.ANSWERS.labels(told).inc()
        metrics.ANSWER_SECONDS.observe(time.perf_counter() - self.began)
        self.notes.update(
            generator=self.generator,
            outcome=outcome,
            generate_ms=self.timing_ms["generate"],
            **self.usage,
        )


def collection_of(corpus: Corpus, model: str) -> Collection:
    """The collection that a model's name stands for.

    Raises:
        NotFound: it stands for none.
    """
    if model.startswith(COLLECTION):
        try:
            return corpus.open(model.removeprefix(COLLECTION))
        except (InvalidInput, NotFound):
            pass
    raise NotFound(
        f"There is no such model to chat with: ask for {COLLECTION} and the name of a collection, "
        "as /v1/models lists them.",
        item="model",
    )
