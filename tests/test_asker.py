"""What counts as near a question, and what a conversation makes of it: exact vectors, no model."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hash_embedder import HashEmbedder
from long_generator import LongGenerator

from inference.answering.asker import MAX_TOP_K, NOTHING_NEAR, Asker, complete, near
from inference.answering.base import Turn
from inference.corpus.base import Collection, Document, EmbeddedPassage, Hit, Identity, PassagePlace
from inference.corpus.local import LocalCorpus
from inference.errors import Conflict, EmptyInput
from inference.similarity import Nearness, Vectors

NEARNESS = Nearness(floor=0.3, margin=0.2)

CARD = Document("card", "카드 분실 신고 안내")
FEE = Document("fee", "송금 수수료 안내")
ABROAD = Document("abroad", "해외 송금 수수료 안내")
WORDS = ["카드", "분실", "신고", "안내", "송금", "수수료", "해외", "날씨", "오늘", "맑음"]


class WordEmbedder:
    """Texts are near that share words."""

    identity = Identity("words", "0" * 64, len(WORDS), "fp32")

    def embed_documents(self, documents: Sequence[Document]) -> list[list[EmbeddedPassage]]:
        return [
            [EmbeddedPassage("text", 0, len(document.text), self.embed_query(document.text))]
            for document in documents
        ]

    def embed_query(self, query: str) -> Vectors:
        vector = np.array([word in query for word in WORDS], dtype=np.float32)
        unit: Vectors = vector / max(float(np.linalg.norm(vector)), 1e-6)
        return unit


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[Collection]:
    with closing(LocalCorpus(tmp_path, WordEmbedder())) as corpus:
        collection, _ = corpus.create("faq")
        collection.add([CARD, FEE, ABROAD])
        yield collection


@pytest.fixture
def generator() -> LongGenerator:
    return LongGenerator()


@pytest.fixture
def asker(generator: LongGenerator) -> Asker:
    return Asker(generator, NEARNESS)


def _hit(name: str, score: float) -> Hit:
    return Hit(Document(name, name), PassagePlace("text", 0, 1), score, score)


def _names(hits: Sequence[Hit]) -> list[str]:
    return [hit.document.id for hit in hits]


# What is near


@pytest.mark.parametrize(
    ("scores", "kept"),
    [
        ([], 0),
        ([0.29], 0),
        ([0.3], 1),
        ([0.9, 0.71, 0.69], 2),
        ([0.45, 0.31, 0.29], 2),
    ],
)
def test_hits_above_the_floor_and_near_the_best_count(scores: list[float], kept: int) -> None:
    hits = [_hit(str(score), score) for score in scores]
    assert near(hits, NEARNESS) == hits[:kept]


def test_sources_are_numbered_from_the_nearest(
    asker: Asker, generator: LongGenerator, collection: Collection
) -> None:
    asking = asker.ask(collection, "해외 송금 수수료")
    assert asking.found
    assert [(source.number, source.document) for source in asking.sources] == [
        (1, ABROAD),
        (2, FEE),
    ]
    best = asking.sources[0]
    assert best.score == best.similarity == pytest.approx(3 / np.sqrt(12), abs=1e-5)
    assert best.passage == PassagePlace("text", 0, len(ABROAD.text))
    assert next(iter(asking.generation)) == "1 "
    (request,) = generator.requests
    assert (request.question, request.sources) == ("해외 송금 수수료", asking.sources)
    assert set(asking.timing_ms) == {"embed", "search"}


def test_top_k_bounds_the_sources(asker: Asker, collection: Collection) -> None:
    history = [Turn("user", "해외")]
    for said in ([], history):
        for top_k in (1, MAX_TOP_K):
            asking = asker.ask(collection, "해외 송금 수수료", history=said, top_k=top_k)
            assert len(asking.sources) == min(top_k, 2)


def test_nothing_near_is_said_without_the_generator(
    asker: Asker, generator: LongGenerator, collection: Collection
) -> None:
    asking = asker.ask(collection, "오늘 날씨")
    assert (asking.found, asking.sources) == (False, [])
    assert "".join(asking.generation) == NOTHING_NEAR
    assert vars(asking.generation.usage) == {"prompt_tokens": 0, "completion_tokens": 0}
    assert not generator.requests


# A conversation


def test_history_completes_a_question(
    asker: Asker, generator: LongGenerator, collection: Collection
) -> None:
    assert asker.ask(collection, "그럼 수수료는요?").sources[0].document == FEE
    history = [Turn("user", "해외"), Turn("assistant", "카드 분실 신고 안내")]
    asking = asker.ask(collection, "그럼 수수료는요?", history=history)
    assert asking.sources[0].document == ABROAD
    next(iter(asking.generation))
    assert generator.requests[-1].history == history


def test_the_question_before_the_last_completes_it_too(
    asker: Asker, collection: Collection
) -> None:
    history = [
        Turn("user", "해외 송금"),
        Turn("assistant", "네"),
        Turn("user", "그렇군요"),
        Turn("assistant", "네"),
    ]
    assert asker.ask(collection, "수수료", history=history).sources[0].document == ABROAD
    # What was asked before that has been left behind.
    history += [Turn("user", "음"), Turn("user", "네")]
    assert asker.ask(collection, "수수료", history=history).sources[0].document == FEE


def test_another_matter_keeps_its_own_documents(asker: Asker, collection: Collection) -> None:
    history = [Turn("user", "해외 송금 수수료 안내")]
    asking = asker.ask(collection, "카드 분실 신고", history=history)
    assert asking.sources[0].document == CARD


def test_another_matter_that_is_not_there_is_refused_after_an_answered_question(
    asker: Asker, collection: Collection
) -> None:
    history = [Turn("user", "카드 분실")]
    assert not asker.ask(collection, "오늘 날씨 맑음", history=history).found


def test_a_document_counts_alone_or_with_what_was_asked_before() -> None:
    own = [_hit("a", 0.6), _hit("b", 0.5), _hit("c", 0.4)]
    behind = [_hit("c", 0.85), _hit("a", 0.2), _hit("new", 0.8)]
    found = complete(own, [behind])
    assert _names(found) == ["a", "c", "new", "b"]
    scores = {hit.document.id: hit.score for hit in found}
    # Where a document is in one reading alone, it is as near as the last of the other at most.
    assert scores == pytest.approx({"a": 0.6, "b": 0.5, "c": 0.58, "new": 0.56})
    assert complete(own, []) == own


# Errors


@pytest.mark.parametrize("question", ["", " \n"])
def test_a_question_has_text(asker: Asker, collection: Collection, question: str) -> None:
    with pytest.raises(EmptyInput) as caught:
        asker.ask(collection, question, history=[Turn("user", "카드")])
    assert caught.value.item == "question"


def test_an_empty_collection_cannot_be_asked(asker: Asker, tmp_path: Path) -> None:
    with closing(LocalCorpus(tmp_path / "other", WordEmbedder())) as corpus:
        collection, _ = corpus.create("empty")
        with pytest.raises(Conflict, match="empty"):
            asker.ask(collection, "카드")


def test_vectors_of_another_model_cannot_be_asked(
    asker: Asker, collection: Collection, tmp_path: Path
) -> None:
    with (
        closing(LocalCorpus(tmp_path, HashEmbedder())) as corpus,
        pytest.raises(Conflict, match="reembed"),
    ):
        asker.ask(corpus.open(collection.name), "카드")
