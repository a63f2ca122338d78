"""How well a model finds the answers of the sample FAQ: `python -m benchmarks.faq [MODEL]`.

The questions were written for the entries of the FAQ in other words, and nothing was tuned on
them; some are about other things altogether.
"""

import csv
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inference.calibration import area_under_roc
from inference.corpus.base import DEFAULT_MODE, MODES, Collection, Document, Mode, Query
from inference.corpus.loaders import open_documents
from inference.corpus.local import LocalCorpus
from inference.embedder import EngineEmbedder
from inference.engine import Engine
from inference.lifecycle import State
from inference.model import open_model
from inference.resource import locate

_QUESTIONS = Path(__file__).with_name("faq-questions.csv")

# Hits among which the right entry is looked for.
_DEPTH = 10


@dataclass(frozen=True)
class Question:
    """A question, and the number of the entry that answers it; None where none does."""

    text: str
    entry: int | None


@dataclass(frozen=True)
class Figures:
    """Shares of the questions whose entry came first, or among the first three, and its MRR."""

    recall_at_1: float
    recall_at_3: float
    reciprocal_rank: float


def read_questions() -> list[Question]:
    """All questions, those that no entry answers last."""
    with _QUESTIONS.open(encoding="utf-8-sig", newline="") as file:
        return [
            Question(row["question"], int(row["no"]) if row["no"] else None)
            for row in csv.DictReader(file)
        ]


def sample_documents() -> list[Document]:
    """The entries of the sample FAQ."""
    path = locate("webapp", "static") / "sample" / "faq.csv"
    with path.open("rb") as file:
        rows = list(open_documents(file, name=path.name))
    return [row for row in rows if isinstance(row, Document)]


def measure(collection: Collection, questions: Sequence[Question], mode: Mode) -> Figures:
    """How the questions that have an entry find it."""
    ranks = np.array(
        [_rank(collection, question, mode) for question in questions if question.entry is not None]
    )
    return Figures(
        recall_at_1=float(np.mean(ranks <= 1)),
        recall_at_3=float(np.mean(ranks <= 3)),
        reciprocal_rank=float(np.mean(1 / ranks)),
    )


def parting(collection: Collection, questions: Sequence[Question]) -> float:
    """Area under the ROC curve of the best cosine: questions with an entry, and those without."""
    best = [
        collection.search(Query(question.text, top_k=1, mode="vector")).hits[0].score
        for question in questions
    ]
    return area_under_roc(
        np.array(best), np.array([question.entry is not None for question in questions])
    )


def _rank(collection: Collection, question: Question, mode: Mode) -> float:
    """The place of the right entry, from 1; infinite if it is not among the first."""
    hits = collection.search(Query(question.text, top_k=_DEPTH, mode=mode)).hits
    numbers = [int(str(hit.document.metadata["no"])) for hit in hits]
    return numbers.index(question.entry) + 1 if question.entry in numbers else np.inf


def main(model: str = "ko-mini") -> None:
    """Prints a table of the modes."""
    engine = Engine(open_model(model))
    engine.start()
    while engine.state is State.LOADING:
        time.sleep(0.02)
    questions = read_questions()
    with (
        closing(engine),
        tempfile.TemporaryDirectory() as folder,
        closing(LocalCorpus(Path(folder), EngineEmbedder(engine))) as corpus,
    ):
        collection, _ = corpus.create("faq")
        collection.add(sample_documents())
        print("| mode | recall@1 | recall@3 | MRR |\n|---|---|---|---|")
        for mode in MODES:
            found = measure(collection, questions, mode)
            row = [found.recall_at_1, found.recall_at_3, found.reciprocal_rank]
            name = f"{mode} (default)" if mode == DEFAULT_MODE else mode
            print(f"| {name} | {' | '.join(f'{100 * figure:.1f}' for figure in row)} |")
        print(
            f"questions parted from those about other things: {parting(collection, questions):.3f}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
