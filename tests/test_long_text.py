"""Long texts in passages, from the engine down, with the embedded model."""

import numpy as np
import pytest

from inference.engine import Engine
from inference.errors import InvalidInput
from inference.pipeline import ReadOptions

CHUNK = ReadOptions(long="chunk")
SMALL = ReadOptions(max_length=32, long="chunk")
FILLER = "서울의 오늘 날씨는 맑고 따뜻합니다. " * 80
NEEDLE = "체크카드를 잃어버리면 고객센터에 분실 신고를 해야 합니다."
QUERY = "카드를 분실했을 때 어떻게 신고하나요?"


def test_best_passage_of_a_long_document_is_found_behind_the_limit(engine: Engine) -> None:
    documents = [FILLER, FILLER + NEEDLE + " " + FILLER, "오늘 점심은 김치찌개입니다."]
    cut = engine.rank(QUERY, documents)
    read = engine.rank(QUERY, documents, options=SMALL)
    best = read.results[0]
    assert best.index == 1
    assert best.passage is not None
    assert NEEDLE in documents[1][best.passage.start : best.passage.end]
    assert not best.truncated
    assert best.score > max(result.score for result in cut.results)
    assert cut.results[0].passage is None


def test_passages_are_counted_in_characters(engine: Engine) -> None:
    document = "😀" * 30 + " " + FILLER + NEEDLE
    (result,) = engine.rank(QUERY, [document], options=SMALL).results
    assert result.passage is not None
    assert document[result.passage.start : result.passage.end].endswith(NEEDLE)


def test_short_documents_are_one_whole_passage(engine: Engine) -> None:
    documents = ["가", "김치찌개 " * 9]
    plain = engine.rank("음식", documents)
    read = engine.rank("음식", documents, options=CHUNK)
    assert [(r.index, r.score, r.tokens) for r in plain.results] == [
        (r.index, r.score, r.tokens) for r in read.results
    ]
    assert {(r.index, r.passage.start, r.passage.end) for r in read.results if r.passage} == {
        (0, 0, 1),
        (1, 0, len(documents[1])),
    }


def test_embedding_of_a_long_text_is_the_weighted_mean_of_its_passages(engine: Engine) -> None:
    text = FILLER + NEEDLE
    embedded = engine.embed([text, "가"], options=CHUNK)
    assert embedded.passages.tolist() == [embedded.passages[0], 1]
    assert embedded.passages[0] > 1
    assert not embedded.truncated.any()
    assert np.allclose(np.linalg.norm(embedded.vectors, axis=1), 1, atol=1e-5)
    cut = engine.embed([text]).vectors[0]
    assert 0.5 < float(cut @ embedded.vectors[0]) < 0.9999
    assert np.allclose(embedded.vectors[1], engine.embed(["가"]).vectors[0], atol=1e-5)


def test_token_ids_stay_one_passage(engine: Engine) -> None:
    (tokens,) = engine.tokenize([FILLER])
    ids = tuple(token.id for token in tokens)
    embedded = engine.embed([ids, "가"], options=CHUNK)
    assert embedded.passages.tolist() == [1, 1]
    assert embedded.truncated.tolist() == [True, False]
    assert np.allclose(embedded.vectors[0], engine.embed([FILLER]).vectors[0], atol=1e-5)


def test_whole_length_is_told_not_the_overlapping_sum(engine: Engine) -> None:
    cut = engine.rank(QUERY, [FILLER]).results[0]
    read = engine.rank(QUERY, [FILLER], options=CHUNK).results[0]
    assert (cut.tokens, cut.truncated) == (read.tokens, True)


@pytest.mark.parametrize("max_length", [3, 8, 32])
def test_passages_follow_max_length(engine: Engine, max_length: int) -> None:
    options = ReadOptions(max_length=max_length, long="chunk")
    (result,) = engine.rank(QUERY, [NEEDLE * 3], options=options).results
    assert result.passage is not None
    assert result.passage.end - result.passage.start < len(NEEDLE * 3)


def test_empty_texts_are_named_before_any_work(engine: Engine) -> None:
    with pytest.raises(InvalidInput, match=r"documents\[1\] is empty"):
        engine.rank(QUERY, ["가", " "], options=CHUNK)
