"""What the embedded model finds in the sample FAQ, by questions that were held out."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.faq import (
    Case,
    answer_all,
    held_out_cases,
    measure,
    measure_answers,
    own_questions,
    parting,
    read_cases,
    read_questions,
    sample_documents,
)
from inference.corpus.base import DEFAULT_MODE, MODES, Collection, make_document
from inference.corpus.local import LocalCorpus
from inference.embedder import EngineEmbedder
from inference.engine import Engine


@pytest.fixture(scope="module")
def sample(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    """The sample FAQ in a collection."""
    folder: Path = tmp_path_factory.mktemp("corpus")
    with closing(LocalCorpus(folder, EngineEmbedder(engine))) as corpus:
        collection, _ = corpus.create("faq")
        collection.add(sample_documents())
        yield collection


def test_the_default_mode_is_the_best_one(sample: Collection) -> None:
    questions = read_questions()
    ranks = {mode: measure(sample, questions, mode).reciprocal_rank for mode in MODES}
    assert max(ranks, key=lambda mode: ranks[mode]) == DEFAULT_MODE


def test_questions_about_other_things_score_lower(sample: Collection) -> None:
    assert parting(sample, read_questions()) > 0.9


def test_questions_about_other_things_are_told_that_nothing_is_near(
    sample: Collection, engine: Engine
) -> None:
    answered = answer_all(sample, engine.model.nearness, held_out_cases())
    assert answered.refused > 0.8
    assert 0 < answered.first <= answered.cited <= answered.answered


def test_answers_are_found_by_the_questions_of_their_entries(engine: Engine) -> None:
    sample = sample_documents()
    own = measure_answers(engine, sample, own_questions(sample))
    assert 0.5 < own.recall_at_1 < own.reciprocal_rank < own.recall_at_3
    other_words = measure_answers(engine, sample, held_out_cases())
    assert 0 < other_words.reciprocal_rank < own.reciprocal_rank


def test_an_answer_is_right_only_for_its_own_entry(engine: Engine) -> None:
    texts = [document.text for document in sample_documents()]
    same = [make_document(text, title=text) for text in texts]
    found = measure_answers(engine, same, own_questions(same))
    assert (found.recall_at_1, found.recall_at_3, found.reciprocal_rank) == (1, 1, 1)
    titles = [*texts[1:], texts[0]]
    others = [make_document(text, title=title) for text, title in zip(texts, titles, strict=True)]
    assert measure_answers(engine, others, own_questions(others)).recall_at_1 == 0
    # Neither a question that no entry answers nor one after another counts.
    beside = [Case("날씨가 어떤가요?"), Case("그럼요?", texts[0], history="어제는요?")]
    assert measure_answers(engine, same, [*own_questions(same), *beside]) == found


def test_no_held_out_question_chose_what_counts_as_near() -> None:
    documents, cases = read_cases()
    assert not {case.text for case in cases} & {question.text for question in read_questions()}
    assert not {row.title for row in documents} & {row.title for row in sample_documents()}
    assert {case.title for case in cases} == {"", *(row.title for row in documents)}
