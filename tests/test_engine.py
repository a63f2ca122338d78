"""What the engine makes of vectors: with the embedded model, and with an encoder that pretends."""

from collections.abc import Iterator

import numpy as np
import pytest
from running_service import wait_until
from tiny_model import FakeEncoder, fake_ids, fake_vector

from inference import engine as engine_module
from inference.checkpoint import Kind
from inference.engine import Engine
from inference.errors import InvalidInput, ModelUnavailable, TooLarge
from inference.lifecycle import Failure, State
from inference.model import open_model
from inference.pipeline import ReadOptions
from inference.similarity import cosine_matrix, cut_dimensions, grade

# The KLUE workshop's examples, from the closest pair to the most distant.
PAIRS = [
    ("맛있는 한국 전통 음식 김치찌개", "김치찌개와 된장찌개는 한국의 대표 전통 음식입니다."),
    ("최신 기술 발전", "인공지능 기술이 빠르게 발전하고 있습니다."),
    ("색깔", "파리의 에펠탑은 프랑스의 상징입니다."),
]


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> FakeEncoder:
    encoder = FakeEncoder()
    monkeypatch.setattr(engine_module, "load_encoder", lambda *_, **__: encoder)
    return encoder


@pytest.fixture
def fake(encoder: FakeEncoder) -> Iterator[Engine]:
    """An engine around the encoder that pretends."""
    engine = Engine(open_model("ko-mini"), max_answer_values=100)
    engine.start()
    wait_until(lambda: engine.state is State.READY)
    yield engine
    engine.close()


# With the embedded model


def test_workshop_examples_fall_in_order(engine: Engine) -> None:
    scored = engine.score_pairs(PAIRS)
    scores = [pair.score for pair in scored.pairs]
    assert scores[0] > scores[1] > scores[2]
    assert [pair.index for pair in scored.pairs] == [0, 1, 2]
    assert scored.pairs[0].grade == "high"
    assert scored.pairs[2].grade == "low"


def test_every_way_to_compare_gives_the_same_scores(engine: Engine) -> None:
    queries, documents = [query for query, _ in PAIRS], [document for _, document in PAIRS]
    embedded = cosine_matrix(engine.embed(queries).vectors, engine.embed(documents).vectors)
    matrix = engine.score_matrix(queries, documents).scores
    pairs = [pair.score for pair in engine.score_pairs(PAIRS).pairs]
    ranked = {result.index: result.score for result in engine.rank(queries[0], documents).results}
    np.testing.assert_allclose(matrix, embedded, atol=1e-5)
    np.testing.assert_allclose(pairs, np.diag(embedded), atol=1e-5)
    np.testing.assert_allclose([ranked[index] for index in range(3)], embedded[0], atol=1e-5)


def test_text_is_nearest_to_itself(engine: Engine) -> None:
    documents = [document for _, document in PAIRS]
    for index, document in enumerate(documents):
        best = engine.rank(document, documents).results[0]
        assert best.index == index
        assert best.score == pytest.approx(1.0, abs=1e-5)


def test_vector_is_cut_and_made_a_unit_again(engine: Engine) -> None:
    texts = [query for query, _ in PAIRS]
    whole, cut = engine.embed(texts), engine.embed(texts, dimensions=64)
    assert (whole.vectors.shape, cut.vectors.shape) == ((3, 384), (3, 64))
    np.testing.assert_allclose(np.linalg.norm(cut.vectors, axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(cut.vectors, cut_dimensions(whole.vectors, 64), atol=1e-5)


def test_info_tells_what_is_loaded(engine: Engine) -> None:
    info = engine.info()
    assert (info.model, info.pooling, info.precision) == ("ko-mini", "mean", "fp32")
    assert (info.dimension, info.max_length, info.device) == (384, 512, "cpu")
    assert info.hash == open_model("ko-mini").content_hash
    assert info.thresholds == vars(engine.model.thresholds)
    assert info.max_batch_tokens > 0
    assert info.warnings == ()


def test_device_that_is_not_here_fails_the_engine() -> None:
    engine = Engine(open_model("ko-mini"), device="gpu")
    failures: list[Failure] = []
    engine.on_failure(failures.append)
    engine.start()
    wait_until(lambda: bool(failures))
    assert engine.state is State.FAILED
    assert failures[0].while_loading
    with pytest.raises(ModelUnavailable, match="Device 'gpu' is none of"):
        engine.info()
    with pytest.raises(ModelUnavailable, match="Device 'gpu' is none of"):
        engine.embed(["text"])
    engine.close()


# With the encoder that pretends


def test_engine_that_was_not_started_is_loading() -> None:
    engine = Engine(open_model("ko-mini"))
    assert engine.state is State.LOADING
    with pytest.raises(ModelUnavailable, match="still loading"):
        engine.score_pairs(PAIRS)


@pytest.mark.parametrize("kind", ["query", "document"])
def test_embedding_goes_through_the_tower_that_was_named(
    fake: Engine, encoder: FakeEncoder, kind: str
) -> None:
    embedded = fake.embed(["one", "two"], kind=kind)  # type: ignore[arg-type]
    assert encoder.kinds == {"one": kind, "two": kind}
    np.testing.assert_array_equal(embedded.vectors, [_vector("one"), _vector("two")])
    assert embedded.tokens == 10
    assert embedded.truncated.tolist() == [False, False]


@pytest.mark.parametrize("dimensions", [1, 8])
def test_dimensions_go_from_one_to_the_models_width(fake: Engine, dimensions: int) -> None:
    vectors = fake.embed(["text"], dimensions=dimensions).vectors
    assert vectors.shape == (1, dimensions)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-6)


@pytest.mark.parametrize("dimensions", [-1, 0, 9])
def test_other_dimensions_are_refused(fake: Engine, dimensions: int) -> None:
    with pytest.raises(InvalidInput, match=f"from 1 to 8.*it is {dimensions}") as caught:
        fake.embed(["text"], dimensions=dimensions)
    assert caught.value.item == "dimensions"


def test_embedding_names_texts_as_the_caller_does(fake: Engine) -> None:
    with pytest.raises(InvalidInput) as caught:
        fake.embed(["text", " "])
    assert caught.value.item == "texts[1]"
    with pytest.raises(InvalidInput) as caught:
        fake.embed(["text", " "], label="inputs[{}]")
    assert caught.value.item == "inputs[1]"


def test_answer_that_would_be_too_large_is_refused(fake: Engine, encoder: FakeEncoder) -> None:
    """100 numbers are allowed; a vector has 8."""
    assert fake.embed(["text"] * 12).vectors.shape == (12, 8)
    assert fake.score_matrix(["a"] * 10, ["b"] * 10).scores.shape == (10, 10)
    before = len(encoder.batches)
    with pytest.raises(TooLarge, match=r"13 x 8 numbers .* fewer texts and dimensions"):
        fake.embed(["text"] * 13)
    with pytest.raises(TooLarge, match=r"10 x 11 numbers .* fewer queries and documents"):
        fake.score_matrix(["a"] * 10, ["b"] * 11)
    assert len(encoder.batches) == before


def test_pairs_keep_their_order_over_the_border_of_a_window(fake: Engine) -> None:
    pairs = [(f"query {number}", f"document {number % 1000}") for number in range(4100)]
    scored = fake.score_pairs(pairs)
    expected = [_vector(query) @ _vector(document) for query, document in pairs]
    assert [pair.index for pair in scored.pairs] == list(range(4100))
    np.testing.assert_allclose([pair.score for pair in scored.pairs], expected, atol=1e-6)
    assert scored.tokens == sum(len(query) + len(document) + 4 for query, document in pairs)
    assert [pair.query_tokens for pair in scored.pairs[4090:]] == [12] * 10
    assert [pair.document_tokens for pair in scored.pairs[4094:4098]] == [13] * 4


def test_pair_over_the_length_is_named_by_its_place_in_the_request(fake: Engine) -> None:
    pairs = [("a", "b")] * 4096 + [("a", "b"), ("a", "x" * 70)]
    with pytest.raises(InvalidInput) as caught:
        fake.score_pairs(pairs, options=ReadOptions(truncate=False))
    assert caught.value.item == "pairs[4097].document"


def test_empty_pair_in_a_later_window_is_told_before_anything_is_read(
    fake: Engine, encoder: FakeEncoder
) -> None:
    with pytest.raises(InvalidInput) as caught:
        fake.score_pairs([("a", "b")] * 5000 + [("", "b"), ("a", "b"), (" ", "b")])
    items = [fault["item"] for fault in caught.value.details]
    assert items == ["pairs[5000].query", "pairs[5002].query"]
    assert encoder.batches == []


def test_pair_tells_lengths_and_whether_either_text_was_cut(fake: Engine) -> None:
    long = "x" * 70
    scored = fake.score_pairs([("a", "bb"), (long, "b"), ("a", long)])
    told = [(pair.query_tokens, pair.document_tokens, pair.truncated) for pair in scored.pairs]
    assert told == [(3, 4, False), (72, 3, True), (3, 72, True)]
    assert scored.tokens == 3 + 4 + 64 + 3 + 3 + 64


def test_both_texts_of_a_pair_may_be_of_one_kind(fake: Engine, encoder: FakeEncoder) -> None:
    kinds: tuple[Kind, Kind] = ("document", "document")
    labels = ("results[{}].sentence1", "results[{}].sentence2")
    fake.score_pairs([("left", "right")], kinds=kinds, labels=labels)
    assert encoder.kinds == {"left": "document", "right": "document"}
    with pytest.raises(InvalidInput) as caught:
        fake.score_pairs([("a", "b"), ("a", " ")], kinds=kinds, labels=labels)
    assert caught.value.item == "results[1].sentence2"


def test_no_pairs_give_no_scores(fake: Engine) -> None:
    scored = fake.score_pairs([])
    assert (scored.pairs, scored.tokens) == ([], 0)


def test_grades_follow_the_models_thresholds(fake: Engine) -> None:
    scored = fake.score_pairs([("same", "same"), *((f"{number}", "text") for number in range(40))])
    thresholds = fake.model.thresholds
    assert scored.pairs[0].grade == "high"
    assert [pair.grade for pair in scored.pairs] == [
        grade(float(pair.score), thresholds) for pair in scored.pairs
    ]
    assert len({pair.grade for pair in scored.pairs}) > 1


def test_documents_are_ranked_by_falling_score(fake: Engine) -> None:
    documents = [f"document {number}" for number in range(50)]
    ranking = fake.rank("query", documents)
    scores = {index: _vector("query") @ _vector(text) for index, text in enumerate(documents)}
    assert [result.index for result in ranking.results] == sorted(
        scores, key=lambda index: -scores[index]
    )
    for result in ranking.results:
        assert result.score == pytest.approx(scores[result.index], abs=1e-6)
        assert result.tokens == len(documents[result.index]) + 2
        assert result.grade == grade(float(result.score), fake.model.thresholds)
    assert (ranking.query_tokens, ranking.query_truncated) == (7, False)
    assert ranking.tokens == 7 + sum(len(text) + 2 for text in documents)


def test_documents_of_equal_score_keep_their_order(fake: Engine) -> None:
    documents = ["other", "same", "other", "same", "same"] * 7
    ranking = fake.rank("same", documents)
    indexes = [result.index for result in ranking.results]
    assert indexes == sorted(range(35), key=lambda index: documents[index] != "same")


@pytest.mark.parametrize(("k", "count"), [(None, 5), (1, 1), (4, 4), (5, 5), (100, 5)])
def test_best_k_documents_are_given(fake: Engine, k: int | None, count: int) -> None:
    documents = [f"document {number}" for number in range(5)]
    whole = [result.index for result in fake.rank("query", documents).results]
    best = [result.index for result in fake.rank("query", documents, k=k).results]
    assert best == whole[:count]


def test_ranking_tells_what_was_cut(fake: Engine) -> None:
    ranking = fake.rank("x" * 70, ["text", "y" * 70], options=ReadOptions(max_length=10))
    assert (ranking.query_tokens, ranking.query_truncated) == (72, True)
    told = {result.index: (result.tokens, result.truncated) for result in ranking.results}
    assert told == {0: (6, False), 1: (72, True)}
    assert ranking.tokens == 10 + 6 + 10


@pytest.mark.parametrize(
    ("query", "documents", "item"),
    [("", ["a"], "query"), ("a", ["b", "\t"], "documents[1]"), (" ", [" "], "query")],
)
def test_ranking_names_the_empty_text(
    fake: Engine, query: str, documents: list[str], item: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        fake.rank(query, documents)
    assert caught.value.item == item


def test_query_and_documents_go_through_their_towers(fake: Engine, encoder: FakeEncoder) -> None:
    fake.rank("query", ["document"])
    fake.score_pairs([("left", "right")])
    fake.score_matrix(["above"], ["beside"])
    assert encoder.kinds == {
        "query": "query",
        "document": "document",
        "left": "query",
        "right": "document",
        "above": "query",
        "beside": "document",
    }


def test_matrix_has_a_row_a_query_and_a_column_a_document(fake: Engine) -> None:
    queries, documents = ["one", "two"], ["three", "four", "five"]
    matrix = fake.score_matrix(queries, documents)
    expected = [[_vector(query) @ _vector(text) for text in documents] for query in queries]
    np.testing.assert_allclose(matrix.scores, expected, atol=1e-6)
    assert matrix.queries.lengths.tolist() == [5, 5]
    assert matrix.documents.lengths.tolist() == [7, 6, 6]
    assert matrix.tokens == 29


def test_timing_covers_the_parts(fake: Engine) -> None:
    timing = fake.score_pairs([("one", "two")] * 10).timing
    assert 0 < timing.tokenize < timing.total
    assert 0 < timing.inference < timing.total
    assert 0 <= timing.queue < timing.total


def test_closed_engine_answers_nothing(fake: Engine) -> None:
    fake.close()
    assert fake.state is State.STOPPING
    with pytest.raises(ModelUnavailable, match="stopping"):
        fake.embed(["text"])


def _vector(text: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    vector: np.ndarray[tuple[int], np.dtype[np.float32]] = fake_vector(fake_ids(text))
    return vector
