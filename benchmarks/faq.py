"""How well a model finds the answers of the sample FAQ: `python -m benchmarks.faq [MODEL]`.

The questions were written for the entries of the FAQ in other words, and nothing was tuned on
them; some are about other things altogether.

`python -m benchmarks.faq --calibrate [MODEL]` chooses what counts as near a question, on questions
and entries of their own, and writes it to the model's ssang.json.
"""

import argparse
import csv
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from inference.answering.asker import DEFAULT_TOP_K, Asker
from inference.answering.base import Turn
from inference.answering.extractive import ExtractiveGenerator
from inference.calibration import Boundary, area_under_roc, calibrate
from inference.corpus.base import (
    DEFAULT_MODE,
    MODES,
    Collection,
    Document,
    Mode,
    Query,
    make_document,
)
from inference.corpus.loaders import open_documents
from inference.corpus.local import LocalCorpus
from inference.embedder import EngineEmbedder
from inference.engine import Engine
from inference.lifecycle import State
from inference.model import open_model
from inference.resource import locate
from inference.similarity import Nearness

_QUESTIONS = Path(__file__).with_name("faq-questions.csv")

# Hits among which the right entry is looked for.
_DEPTH = 10

_CALIBRATION = Path(__file__).with_name("faq-calibration.csv")

# Of the right entries that are not the nearest, the share that the margin keeps. A source too many
# costs less than one that is missing.
_KEPT = 0.8

_DIGITS = 3


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
    return _figures(ranks)


def parting(collection: Collection, questions: Sequence[Question]) -> float:
    """Area under the ROC curve of the best cosine: questions with an entry, and those without."""
    best = [
        collection.search(Query(question.text, top_k=1, mode="vector")).hits[0].score
        for question in questions
    ]
    return area_under_roc(
        np.array(best), np.array([question.entry is not None for question in questions])
    )


@dataclass(frozen=True)
class Case:
    """A question, perhaps after another, and the title of the entry that answers it, if any."""

    text: str
    title: str = ""
    history: str = ""


@dataclass(frozen=True)
class Answered:
    """What became of questions, in shares of them.

    Attributes:
        first: of those with an entry, whose first source it is.
        cited: of those, who have it among their sources.
        answered: of those, who have any.
        refused: of those without an entry, who are told that nothing is near.
        sources: mean number of sources of those who are not.
    """

    first: float
    cited: float
    answered: float
    refused: float
    sources: float


def read_cases() -> tuple[list[Document], list[Case]]:
    """The entries that calibrate, and the questions."""
    with _CALIBRATION.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    documents = [make_document(row["text"], title=row["title"]) for row in rows if row["text"]]
    return documents, [Case(row["question"], row["title"], row["history"]) for row in rows]


def held_out_cases() -> list[Case]:
    """The questions about the sample FAQ."""
    titles = {int(str(row.metadata["no"])): row.title for row in sample_documents()}
    return [
        Case(question.text, titles[question.entry] if question.entry is not None else "")
        for question in read_questions()
    ]


def own_questions(documents: Sequence[Document]) -> list[Case]:
    """The entries' questions as they stand."""
    return [Case(document.title, document.title) for document in documents]


def measure_answers(
    engine: Engine, documents: Sequence[Document], cases: Sequence[Case]
) -> Figures:
    """How questions find their entries' answers among the answers alone, by cosine.

    Questions without an entry, and those after another, are left out.
    """
    titles = [document.title for document in documents]
    asked = [case for case in cases if case.title and not case.history]
    questions = engine.embed([case.text for case in asked], kind="query").vectors
    answers = engine.embed([document.text for document in documents]).vectors
    scores = questions @ answers.T
    right = scores[np.arange(len(asked)), [titles.index(case.title) for case in asked]]
    return _figures(1 + (scores > right[:, None]).sum(axis=1))


def choose_nearness(
    collection: Collection, cases: Sequence[Case]
) -> tuple[Nearness, Boundary, int]:
    """What counts as near, how well its floor parts, and right entries its margin rests on.

    The floor is the cosine that best parts the questions with an entry from those without; the
    margin keeps most of the right entries above it that are not the nearest.
    """
    alone = [case for case in cases if not case.history]
    found = [
        collection.search(Query(case.text, top_k=DEFAULT_TOP_K, mode="vector")).hits
        for case in alone
    ]
    best = np.array([hits[0].score for hits in found])
    boundary = calibrate(best, np.array([bool(case.title) for case in alone]))
    gaps = [
        hits[0].score - hit.score
        for case, hits in zip(alone, found, strict=True)
        for hit in hits[1:]
        if hit.document.title == case.title and hit.score >= boundary.threshold
    ]
    margin = float(np.quantile(gaps, _KEPT, method="higher")) if gaps else 0.0
    return Nearness(boundary.threshold, margin), boundary, len(gaps)


def answer_all(collection: Collection, nearness: Nearness, cases: Sequence[Case]) -> Answered:
    """Asks the questions, each after what was asked before it."""
    asker = Asker(ExtractiveGenerator(), nearness)
    first, cited, answered, refused, counts = [], [], [], [], []
    for case in cases:
        history = [Turn("user", case.history)] if case.history else []
        sources = asker.ask(collection, case.text, history=history).sources
        titles = [source.document.title for source in sources]
        if case.title:
            first.append(titles[:1] == [case.title])
            cited.append(case.title in titles)
            answered.append(bool(titles))
        else:
            refused.append(not titles)
        counts += [len(titles)] if titles else []
    rows = (first, cited, answered, refused, counts)
    return Answered(*(float(np.mean(row)) if row else np.nan for row in rows))


def _figures(ranks: npt.NDArray[np.number]) -> Figures:
    return Figures(
        recall_at_1=float(np.mean(ranks <= 1)),
        recall_at_3=float(np.mean(ranks <= 3)),
        reciprocal_rank=float(np.mean(1 / ranks)),
    )


def _rank(collection: Collection, question: Question, mode: Mode) -> float:
    """The place of the right entry, from 1; infinite if it is not among the first."""
    hits = collection.search(Query(question.text, top_k=_DEPTH, mode=mode)).hits
    numbers = [int(str(hit.document.metadata["no"])) for hit in hits]
    return numbers.index(question.entry) + 1 if question.entry in numbers else np.inf


@contextmanager
def _loaded(model: str) -> Iterator[Engine]:
    engine = Engine(open_model(model))
    engine.start()
    while engine.state is State.LOADING:
        time.sleep(0.02)
    with closing(engine):
        yield engine


@contextmanager
def _collection(engine: Engine, documents: Sequence[Document]) -> Iterator[Collection]:
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(LocalCorpus(Path(folder), EngineEmbedder(engine))) as corpus,
    ):
        collection, _ = corpus.create("faq")
        collection.add(documents)
        yield collection


def report(model: str) -> None:
    """Prints a table of the modes, and one of the answers."""
    questions = read_questions()
    with _loaded(model) as engine, _collection(engine, sample_documents()) as collection:
        _print_head("mode")
        for mode in MODES:
            name = f"{mode} (default)" if mode == DEFAULT_MODE else mode
            _print_figures(name, measure(collection, questions, mode))
        print(
            f"questions parted from those about other things: {parting(collection, questions):.3f}"
        )
        nearness = engine.model.nearness
        print("\nquestions to answers alone\n")
        _print_found(engine)
        print(f"\nanswers (floor {nearness.floor:g}, margin {nearness.margin:g})\n")
        _print_answers({"held out": answer_all(collection, nearness, held_out_cases())})


def calibrate_answers(model: str) -> None:
    """Chooses what counts as near, and writes it to the model's ssang.json."""
    documents, cases = read_cases()
    with _loaded(model) as engine, _collection(engine, documents) as collection:
        nearness, boundary, gaps = choose_nearness(collection, cases)
        nearness = Nearness(round(nearness.floor, _DIGITS), round(nearness.margin, _DIGITS))
        print(
            f"answer_floor {nearness.floor} (balanced accuracy {boundary.balanced_accuracy:.3f}, "
            f"AUC {boundary.auc:.3f}, {boundary.positives} / {boundary.negatives} questions)\n"
            f"answer_margin {nearness.margin} (keeps {_KEPT:.0%} of {gaps} right entries behind "
            "the nearest)\n\non the questions that chose it\n"
        )
        alone = [case for case in cases if not case.history]
        after = [case for case in cases if case.history]
        _print_answers(
            {
                "questions alone": answer_all(collection, nearness, alone),
                "after another": answer_all(collection, nearness, after),
            }
        )
        _write(engine.model.document.path / "ssang.json", nearness)


def _print_found(engine: Engine) -> None:
    sample, (others, cases) = sample_documents(), read_cases()
    _print_head("questions")
    for name, documents, asked in (
        ("sample, their own", sample, own_questions(sample)),
        ("sample, in other words", sample, held_out_cases()),
        ("calibration, their own", others, own_questions(others)),
        ("calibration, in other words", others, cases),
    ):
        _print_figures(name, measure_answers(engine, documents, asked))


def _print_head(name: str) -> None:
    print(f"| {name} | recall@1 | recall@3 | MRR |\n|---|---|---|---|")


def _print_figures(name: str, found: Figures) -> None:
    row = [found.recall_at_1, found.recall_at_3, found.reciprocal_rank]
    print(f"| {name} | {' | '.join(f'{100 * figure:.1f}' for figure in row)} |")


def _print_answers(rows: dict[str, Answered]) -> None:
    columns = ["right source first", "among the sources", "answered", "refused if off topic"]
    print(f"| questions | {' | '.join(columns)} | sources |\n|---|---|---|---|---|---|")
    for name, row in rows.items():
        shares = (row.first, row.cited, row.answered, row.refused)
        cells = [f"{100 * share:.1f}" for share in shares]
        print(f"| {name} | {' | '.join(cells)} | {row.sources:.2f} |")


def _write(path: Path, nearness: Nearness) -> None:
    settings = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    settings |= {"answer_floor": nearness.floor, "answer_margin": nearness.margin}
    path.write_text(json.dumps(settings, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    print(f"\nwritten to {path}")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faq", description=__doc__)
    parser.add_argument("model", nargs="?", default="ko-mini")
    parser.add_argument("--calibrate", action="store_true", help="write answer_floor and margin")
    given = parser.parse_args()
    (calibrate_answers if given.calibrate else report)(given.model)


if __name__ == "__main__":
    main()
