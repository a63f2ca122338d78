"""Requests of any size through the batcher, around an encoder that does as told."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from prometheus_client import REGISTRY
from running_service import wait_until
from tiny_model import FakeEncoder, fake_ids, fake_vector

from inference.batcher import Batcher
from inference.encoders.base import Encoder
from inference.errors import (
    DeadlineExceeded,
    EmptyInput,
    InvalidInput,
    ModelUnavailable,
    Overloaded,
)
from inference.lifecycle import State
from inference.pipeline import Pipeline, ReadOptions, TextGroup, check_not_empty
from inference.result import EncodedTexts, Timing
from inference.similarity import Vectors
from inference.vector_cache import VectorCache


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder(batch_tokens=640)


@pytest.fixture
def batcher(encoder: FakeEncoder) -> Iterator[Batcher[Encoder]]:
    batcher: Batcher[Encoder] = Batcher(lambda: encoder, max_waiting_tokens=2000)
    batcher.start()
    wait_until(lambda: batcher.state is State.READY)
    yield batcher
    batcher.close()


@pytest.fixture
def pipeline(batcher: Batcher[Encoder]) -> Pipeline:
    return Pipeline(batcher, deadline_s=30)


def test_text_that_comes_twice_is_encoded_once(pipeline: Pipeline, encoder: FakeEncoder) -> None:
    texts = ["one", "two", "one", "three", "two", "one"]
    encoded = _encode(pipeline, texts)
    np.testing.assert_array_equal(encoded.vectors, _vectors(texts))
    assert sorted(_seen(encoder)) == sorted(fake_ids(text) for text in ("one", "two", "three"))
    assert encoded.lengths.tolist() == [5, 5, 5, 7, 5, 5]
    assert encoded.tokens == 32


def test_texts_of_two_groups_are_read_together(pipeline: Pipeline, encoder: FakeEncoder) -> None:
    queries = TextGroup(["a", "b", "a"], "query", "queries[{}]")
    documents = TextGroup(["c", "dd"], "document", "documents[{}]")
    left, right = pipeline.encode([queries, documents], ReadOptions(), Timing())
    np.testing.assert_array_equal(left.vectors, _vectors(["a", "b", "a"]))
    np.testing.assert_array_equal(right.vectors, _vectors(["c", "dd"]))
    assert (left.tokens, right.tokens) == (9, 7)
    assert encoder.kinds == {"a": "query", "b": "query", "c": "document", "dd": "document"}


def test_one_tower_reads_a_text_of_both_kinds_once(
    pipeline: Pipeline, encoder: FakeEncoder
) -> None:
    left, right = pipeline.encode(_both_kinds(["same"]), ReadOptions(), Timing())
    np.testing.assert_array_equal(left.vectors, right.vectors)
    assert len(_seen(encoder)) == 1


def test_two_towers_read_their_own_kind_in_batches_of_their_own(
    pipeline: Pipeline, encoder: FakeEncoder
) -> None:
    encoder.two_towers = True
    texts = [f"{number:02}" for number in range(40)]
    left, right = pipeline.encode(_both_kinds(texts), ReadOptions(), Timing())
    np.testing.assert_array_equal(left.vectors, right.vectors)
    read = Counter[str]()
    for tower, batch in zip(encoder.towers, encoder.batches, strict=True):
        read[tower] += len(batch)
    assert read == {"query": 40, "document": 40}


def _both_kinds(texts: list[str]) -> list[TextGroup]:
    return [TextGroup(texts, "query", "query[{}]"), TextGroup(texts, "document", "document[{}]")]


def test_a_hundred_thousand_texts_are_answered_row_by_row(
    pipeline: Pipeline, encoder: FakeEncoder
) -> None:
    waiting: list[float] = []
    idle = _waiting_tokens()
    encoder.on_batch = lambda _: waiting.append(_waiting_tokens() - idle)
    texts = [f"{number * 7919 % 100_003}" for number in range(100_000)]
    encoded = _encode(pipeline, texts)
    np.testing.assert_array_equal(encoded.vectors, _vectors(texts))
    assert len(_seen(encoder)) == 100_000
    # However large it is, it never keeps more than two slices in the queue.
    assert max(waiting) <= 2 * encoder.batch_tokens
    assert _waiting_tokens() == idle


@pytest.mark.parametrize("count", [1, 2, 2047, 2048, 2049, 4096, 4097])
def test_borders_of_windows_lose_nothing(pipeline: Pipeline, count: int) -> None:
    texts = [f"{number}" + "x" * (number * 31 % 17) for number in range(count)]
    encoded = _encode(pipeline, texts)
    np.testing.assert_array_equal(encoded.vectors, _vectors(texts))
    assert encoded.lengths.tolist() == [len(text) + 2 for text in texts]


def test_no_texts_give_no_vectors(pipeline: Pipeline, encoder: FakeEncoder) -> None:
    encoded = _encode(pipeline, [])
    assert encoded.vectors.shape == (0, encoder.dim)
    assert (encoded.lengths.tolist(), encoded.truncated.tolist(), encoded.tokens) == ([], [], 0)


def test_texts_of_like_length_share_a_batch(pipeline: Pipeline, encoder: FakeEncoder) -> None:
    _encode(pipeline, [f"{number}" + "x" * (number * 31 % 60) for number in range(2000)])
    padded = sum(len(batch) * max(map(len, batch)) for batch in encoder.batches)
    assert padded <= 1.1 * sum(map(len, _seen(encoder)))


def test_small_request_does_not_wait_for_the_whole_of_a_large_one(
    pipeline: Pipeline, encoder: FakeEncoder
) -> None:
    idle = _waiting_tokens()
    with ThreadPoolExecutor(2) as pool:
        with encoder.holding():
            large = pool.submit(_encode, pipeline, [f"{number:05}" for number in range(10_000)])
            encoder.wait_until_held()
            # A slice is 91 texts of 7 tokens: one is held, the next waits.
            wait_until(lambda: _waiting_tokens() - idle == 637)
            small = pool.submit(_encode, pipeline, ["small"])
            wait_until(lambda: _waiting_tokens() - idle == 644)
        small.result(timeout=10)
        large.result(timeout=10)
    assert len(encoder.batches) > 100
    assert fake_ids("small") in encoder.batches[1]


# Reading


def test_lengths_are_told_of_whole_texts_and_tokens_of_what_was_read(pipeline: Pipeline) -> None:
    cut = _counter("ssang_truncations_total")
    encoded = _encode(pipeline, ["x" * 100, "abc", "y" * 62, "z" * 63])
    assert encoded.lengths.tolist() == [102, 5, 64, 65]
    assert encoded.truncated.tolist() == [True, False, False, True]
    assert encoded.tokens == 64 + 5 + 64 + 64
    assert _counter("ssang_truncations_total") == cut + 2


def test_max_length_cuts_there(pipeline: Pipeline) -> None:
    encoded = _encode(pipeline, ["abcdef", "abc", "ab"], ReadOptions(max_length=5))
    assert encoded.truncated.tolist() == [True, False, False]
    np.testing.assert_array_equal(encoded.vectors, _vectors(["abc", "abc", "ab"]))
    assert encoded.tokens == 5 + 5 + 4


@pytest.mark.parametrize("max_length", [3, 64])
def test_max_length_may_be_what_the_model_reads(pipeline: Pipeline, max_length: int) -> None:
    encoded = _encode(pipeline, ["x" * 100], ReadOptions(max_length=max_length))
    assert encoded.tokens == max_length


def test_the_left_end_is_cut_on_request(pipeline: Pipeline) -> None:
    options = ReadOptions(max_length=5, truncation_side="left")
    encoded = _encode(pipeline, ["abcdef", "abc"], options)
    np.testing.assert_array_equal(encoded.vectors, _vectors(["def", "abc"]))
    assert encoded.truncated.tolist() == [True, False]


def test_token_ids_are_read_as_the_text_they_are_of(
    pipeline: Pipeline, encoder: FakeEncoder
) -> None:
    group = TextGroup([tuple(fake_ids("abc")), "ab", tuple(fake_ids("abc"))], "query", "t[{}]")
    (encoded,) = pipeline.encode([group], ReadOptions(), Timing())
    np.testing.assert_array_equal(encoded.vectors, _vectors(["abc", "ab", "abc"]))
    assert len(_seen(encoder)) == 2


@pytest.mark.parametrize(
    ("ids", "error", "sentence"),
    [
        ((), EmptyInput, r"t\[1\] is empty"),
        ((1, 0x110000, 2), InvalidInput, r"t\[1\] has a token id .* 1,114,112 of this model's"),
        ((-1, 2), InvalidInput, r"t\[1\] has a token id"),
    ],
)
def test_token_ids_that_cannot_be_read_are_named(
    pipeline: Pipeline, ids: tuple[int, ...], error: type[InvalidInput], sentence: str
) -> None:
    group = TextGroup(["text", ids], "query", "t[{}]")
    with pytest.raises(error, match=sentence) as caught:
        pipeline.encode([group], ReadOptions(), Timing())
    assert caught.value.item == "t[1]"


@pytest.mark.parametrize("max_length", [-1, 0, 2, 65, 10**9])
def test_max_length_beyond_what_the_model_reads_is_refused(
    pipeline: Pipeline, encoder: FakeEncoder, max_length: int
) -> None:
    with pytest.raises(InvalidInput, match=f"from 3 to 64.*it is {max_length}") as caught:
        _encode(pipeline, ["text"], ReadOptions(max_length=max_length))
    assert caught.value.item == "max_length"
    assert encoder.batches == []


@pytest.mark.parametrize("text", ["", " ", "\n\t\r", "\u3000\u00a0"])
def test_empty_text_is_named(pipeline: Pipeline, encoder: FakeEncoder, text: str) -> None:
    with pytest.raises(InvalidInput, match=r"texts\[2\] is empty") as caught:
        _encode(pipeline, ["a", "b", text])
    assert caught.value.item == "texts[2]"
    assert caught.value.details == [{"item": "texts[2]", "message": "The text is empty."}]
    assert encoder.batches == []


def test_first_twenty_empty_texts_are_named() -> None:
    group = TextGroup(["", "a"] * 30, "query", "pairs[{}].query", first=100)
    with pytest.raises(InvalidInput) as caught:
        check_not_empty(group)
    items = [fault["item"] for fault in caught.value.details]
    assert items == [f"pairs[{100 + 2 * number}].query" for number in range(20)]


def test_character_that_is_no_space_is_enough(pipeline: Pipeline) -> None:
    assert _encode(pipeline, ["\u200b", ".", "\x00"]).lengths.tolist() == [3, 3, 3]


def test_text_that_must_not_be_cut_is_named_with_its_tokens(
    pipeline: Pipeline, encoder: FakeEncoder
) -> None:
    texts = ["x" * 62, "y" * 63, "fine", "z" * 2000]
    with pytest.raises(InvalidInput, match=r"texts\[1\] has 65 tokens, more than the 64") as caught:
        _encode(pipeline, texts, ReadOptions(truncate=False))
    assert caught.value.item == "texts[1]"
    assert caught.value.details == [
        {"item": "texts[1]", "message": "The text has 65 tokens."},
        {"item": "texts[3]", "message": "The text has 2,002 tokens."},
    ]
    assert encoder.batches == []
    assert "xx" not in caught.value.message


def test_first_twenty_texts_over_the_length_are_named(pipeline: Pipeline) -> None:
    texts = [f"{number:04}" for number in range(50)]
    with pytest.raises(InvalidInput, match="6 tokens, more than the 5") as caught:
        _encode(pipeline, texts, ReadOptions(max_length=5, truncate=False))
    items = [fault["item"] for fault in caught.value.details]
    assert items == [f"texts[{number}]" for number in range(20)]


def test_text_over_the_length_is_named_in_a_later_window(pipeline: Pipeline) -> None:
    idle = _waiting_tokens()
    texts = [f"{number}" for number in range(5000)]
    texts[4999] = "x" * 70
    group = TextGroup(texts, "document", "documents[{}]", first=1000)
    with pytest.raises(InvalidInput, match=r"documents\[5999\] has 72 tokens"):
        pipeline.encode([group], ReadOptions(truncate=False), Timing())
    assert _waiting_tokens() == idle


def test_text_over_the_length_is_named_in_a_later_group(pipeline: Pipeline) -> None:
    groups = [
        TextGroup(["a", "b"], "query", "queries[{}]"),
        TextGroup(["a", "c", "x" * 70], "document", "documents[{}]"),
    ]
    with pytest.raises(InvalidInput, match=r"documents\[2\] has 72 tokens"):
        pipeline.encode(groups, ReadOptions(truncate=False), Timing())


def test_texts_within_the_length_pass_where_none_may_be_cut(pipeline: Pipeline) -> None:
    encoded = _encode(pipeline, ["x" * 62], ReadOptions(truncate=False))
    assert encoded.truncated.tolist() == [False]


# Texts that are known from before


@pytest.fixture
def remembering(batcher: Batcher[Encoder]) -> Pipeline:
    return Pipeline(batcher, deadline_s=30, cache=VectorCache(2**22))


def test_known_text_is_neither_tokenised_nor_read_again(
    remembering: Pipeline, encoder: FakeEncoder
) -> None:
    texts = ["x" * 100, "abc", "y" * 62, "z" * 63]
    first = _encode(remembering, texts)
    assert encoder.batches
    encoder.batches.clear()
    encoder.kinds.clear()
    again = _encode(remembering, [*texts[::-1], "abc"])
    assert (encoder.batches, encoder.kinds) == ([], {})
    order = [3, 2, 1, 0, 1]
    assert again.vectors.tobytes() == first.vectors[order].tobytes()
    assert again.lengths.tolist() == first.lengths[order].tolist() == [65, 64, 5, 102, 5]
    assert again.truncated.tolist() == [True, False, False, True, False]
    assert again.tokens == 64 + 64 + 5 + 64 + 5


def test_known_texts_stand_among_new_ones(remembering: Pipeline, encoder: FakeEncoder) -> None:
    _encode(remembering, [f"{number}" + "x" * (number * 31 % 17) for number in range(0, 5000, 3)])
    encoder.batches.clear()
    texts = [f"{number}" + "x" * (number * 31 % 17) for number in range(5000)]
    encoded = _encode(remembering, texts)
    np.testing.assert_array_equal(encoded.vectors, _vectors(texts))
    assert encoded.lengths.tolist() == [len(text) + 2 for text in texts]
    assert sorted(_seen(encoder)) == sorted(
        fake_ids(text) for number, text in enumerate(texts) if number % 3
    )


@pytest.mark.parametrize(
    "options",
    [
        ReadOptions(max_length=5),
        ReadOptions(max_length=5, truncation_side="left"),
        ReadOptions(truncation_side="left"),
    ],
)
def test_text_that_is_read_otherwise_is_not_known(
    remembering: Pipeline, pipeline: Pipeline, options: ReadOptions
) -> None:
    texts = ["abcdef", "x" * 70 + "y"]
    _encode(remembering, texts)
    found, expected = (_encode(either, texts, options) for either in (remembering, pipeline))
    np.testing.assert_array_equal(found.vectors, expected.vectors)
    assert found.lengths.tolist() == expected.lengths.tolist()
    assert found.tokens == expected.tokens


def test_towers_know_texts_of_their_own(remembering: Pipeline, encoder: FakeEncoder) -> None:
    encoder.two_towers = True
    for _ in range(2):
        remembering.encode(_both_kinds(["same", "other"]), ReadOptions(), Timing())
    assert sorted(encoder.towers) == ["document", "query"]


def test_token_ids_are_known_as_what_they_are(remembering: Pipeline, encoder: FakeEncoder) -> None:
    for _ in range(2):
        group = TextGroup(["abc", tuple(fake_ids("abc"))], "query", "t[{}]")
        (encoded,) = remembering.encode([group], ReadOptions(), Timing())
        np.testing.assert_array_equal(encoded.vectors, _vectors(["abc", "abc"]))
    assert len(_seen(encoder)) == 2


def test_known_text_that_must_not_be_cut_is_named(
    remembering: Pipeline, encoder: FakeEncoder
) -> None:
    _encode(remembering, ["y" * 63])
    encoder.batches.clear()
    for _ in range(2):
        with pytest.raises(InvalidInput, match=r"texts\[1\] has 65 tokens") as caught:
            _encode(remembering, ["new", "y" * 63, "z" * 70], ReadOptions(truncate=False))
        assert [fault["item"] for fault in caught.value.details] == ["texts[1]", "texts[2]"]
    assert encoder.batches == []


def test_known_texts_count_in_the_metrics_as_others(remembering: Pipeline) -> None:
    for _ in range(2):
        cut = _counter("ssang_truncations_total")
        lengths = _counter("te_request_input_length_sum")
        _encode(remembering, ["x" * 100, "abc"])
        assert _counter("ssang_truncations_total") == cut + 1
        assert _counter("te_request_input_length_sum") == lengths + 64 + 5


def test_vectors_are_kept_as_wide_as_they_are_served(
    batcher: Batcher[Encoder], encoder: FakeEncoder
) -> None:
    pipeline = Pipeline(batcher, deadline_s=30, dimensions=4, cache=VectorCache(2**20))
    first, again = _encode(pipeline, ["abc"]), _encode(pipeline, ["abc"])
    assert first.vectors.shape == (1, 4)
    assert again.vectors.tobytes() == first.vectors.tobytes()
    assert len(encoder.batches) == 1


def test_text_whose_batch_failed_is_not_known(remembering: Pipeline, encoder: FakeEncoder) -> None:
    def fail(_: object) -> None:
        raise ValueError("broken")

    encoder.on_batch = fail
    with pytest.raises(ValueError, match="broken"):
        _encode(remembering, ["text"])
    encoder.on_batch = lambda _: None
    np.testing.assert_array_equal(_encode(remembering, ["text"]).vectors, _vectors(["text"]))


def test_model_that_stopped_does_not_answer_from_memory(
    remembering: Pipeline, batcher: Batcher[Encoder]
) -> None:
    _encode(remembering, ["text"])
    batcher.close()
    with pytest.raises(ModelUnavailable, match="stopping"):
        _encode(remembering, ["text"])


# Load, and what goes wrong


def test_large_request_waits_for_room_for_its_later_slices(encoder: FakeEncoder) -> None:
    batcher: Batcher[Encoder] = Batcher(lambda: encoder, max_batch_tokens=60, max_waiting_tokens=70)
    batcher.start()
    wait_until(lambda: batcher.state is State.READY)
    texts = [f"{number:04}" for number in range(1000)]
    encoded = _encode(Pipeline(batcher, deadline_s=30), texts)
    np.testing.assert_array_equal(encoded.vectors, _vectors(texts))
    batcher.close()


def test_request_is_refused_when_too_much_waits(
    pipeline: Pipeline, batcher: Batcher[Encoder], encoder: FakeEncoder
) -> None:
    with encoder.holding():
        deadline = time.monotonic() + 30
        jobs = [batcher.submit([[1] * 50], deadline=deadline)]
        encoder.wait_until_held()
        jobs.append(batcher.submit([[1] * 50] * 40, deadline=deadline))
        with pytest.raises(Overloaded):
            _encode(pipeline, ["text"])
    for job in jobs:
        batcher.wait(job)


def test_failing_slice_takes_the_others_back(pipeline: Pipeline, encoder: FakeEncoder) -> None:
    idle = _waiting_tokens()
    batches = 0

    def fail_on_the_third(_: object) -> None:
        nonlocal batches
        batches += 1
        if batches == 3:
            raise ValueError("broken")

    encoder.on_batch = fail_on_the_third
    with pytest.raises(ValueError, match="broken"):
        _encode(pipeline, [f"{number:05}" for number in range(10_000)])
    assert _waiting_tokens() == idle
    _encode(pipeline, ["next"])
    # The third failed, two more may have been under way, and the last is that of the next request.
    assert len(encoder.batches) <= 6


def test_deadline_takes_the_whole_request_back(
    batcher: Batcher[Encoder], encoder: FakeEncoder
) -> None:
    idle = _waiting_tokens()
    pipeline = Pipeline(batcher, deadline_s=0.05)
    with encoder.holding():
        batcher.submit([[1, 2]], deadline=time.monotonic() + 30)
        encoder.wait_until_held()
        with pytest.raises(DeadlineExceeded):
            _encode(pipeline, [f"{number:05}" for number in range(10_000)])
        assert _waiting_tokens() == idle


def test_model_that_stopped_answers_nothing(pipeline: Pipeline, batcher: Batcher[Encoder]) -> None:
    batcher.close()
    with pytest.raises(ModelUnavailable, match="stopping"):
        _encode(pipeline, ["text"])


def test_timing_adds_up_over_calls(pipeline: Pipeline, encoder: FakeEncoder) -> None:
    timing = Timing()
    group = TextGroup(["text"], "query", "texts[{}]")
    pipeline.encode([group], ReadOptions(), timing)
    first = Timing(**vars(timing))
    pipeline.encode([group], ReadOptions(), timing)
    assert 0 < first.tokenize < timing.tokenize
    assert 0 <= first.queue <= timing.queue
    assert 0 < first.inference < timing.inference


def test_timing_is_told_in_milliseconds_with_three_digits() -> None:
    timing = Timing(tokenize=0.12345, queue=1.0, inference=12.3456, total=13.5)
    expected = {"tokenize": 0.123, "queue": 1.0, "inference": 12.346, "total": 13.5}
    assert timing.as_dict() == expected


def _encode(
    pipeline: Pipeline, texts: list[str], options: ReadOptions | None = None
) -> EncodedTexts:
    group = TextGroup(texts, "document", "texts[{}]")
    (encoded,) = pipeline.encode([group], options or ReadOptions(), Timing())
    return encoded


def _vectors(texts: list[str]) -> Vectors:
    return np.stack([fake_vector(fake_ids(text)) for text in texts])


def _seen(encoder: FakeEncoder) -> list[list[int]]:
    return [ids for batch in encoder.batches for ids in batch]


def _waiting_tokens() -> float:
    return _counter("ssang_waiting_tokens")


def _counter(name: str) -> float:
    value = REGISTRY.get_sample_value(name)
    assert value is not None
    return value
