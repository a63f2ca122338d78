"""Vectors that are known from before: found again, bounded in memory, never another text's."""

import gc
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from running_service import wait_until
from tiny_model import SENTENCES, save_bert

from inference.encoders.base import Side
from inference.lifecycle import State
from inference.similarity import Vectors
from inference.tokenizer import Text
from inference.vector_cache import Reading, ReadText, VectorCache, key_of
from webapp.application import create_engine
from webapp.settings import Settings

_READING = Reading(Side("document", "", 512), 512, "right")

# A vector of 384 numbers, and all else.
_ENTRY_BYTES = 4 * 384 + 640

_TEXTS = st.text() | st.lists(st.integers(0, 2**31)).map(tuple)


def test_what_was_put_is_found_to_the_last_bit() -> None:
    cache = VectorCache(2**20)
    vectors = _vectors(3)
    cache.put(_keys(3), vectors, [5, 600, 7], [5, 512, 7])
    found = cache.get([*_keys(3), b"other"])
    assert found == [
        ReadText(vectors[0].tobytes(), 5, 5),
        ReadText(vectors[1].tobytes(), 600, 512),
        ReadText(vectors[2].tobytes(), 7, 7),
        None,
    ]


def test_vector_that_changes_afterwards_does_not_change_the_cache() -> None:
    cache = VectorCache(2**20)
    vectors = _vectors(1)
    before = vectors.tobytes()
    cache.put(_keys(1), vectors, [5], [5])
    vectors[:] = 0
    assert cache.get(_keys(1)) == [ReadText(before, 5, 5)]


def test_texts_unused_for_longest_make_room() -> None:
    cache = VectorCache(3 * _ENTRY_BYTES)
    before = _metric("ssang_cache_evictions_total")
    for number in range(3):
        cache.put(_keys(4)[number : number + 1], _vectors(1), [number], [number])
    cache.get(_keys(1))
    cache.put(_keys(4)[3:], _vectors(1), [3], [3])
    assert [known and known.length for known in cache.get(_keys(4))] == [0, None, 2, 3]
    assert _metric("ssang_cache_evictions_total") == before + 1


@pytest.mark.parametrize("width", [64, 384, 1024])
def test_memory_stays_below_the_bound(width: int) -> None:
    """Rows of large arrays do not keep these alive."""
    bound = 2**22
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    cache = VectorCache(bound)
    for start in range(0, 20_000, 500):
        vectors = np.ones((500, width), dtype=np.float32)
        keys = [_key(f"{number}") for number in range(start, start + 500)]
        cache.put(keys, vectors, *np.full((2, 500), 1000).tolist())
    del vectors, keys
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert bound / 2 < after - before <= bound


def test_metrics_count_hits_misses_and_bytes() -> None:
    names = [("ssang_cache_lookups_total", {"outcome": "hit"})]
    names += [("ssang_cache_lookups_total", {"outcome": "miss"}), ("ssang_cache_bytes", {})]
    before = [_metric(name, **labels) for name, labels in names]
    cache = VectorCache(2**20)
    cache.put(_keys(2), _vectors(2), [1, 1], [1, 1])
    cache.put(_keys(2), _vectors(2), [1, 1], [1, 1])
    cache.get(_keys(3))
    after = [_metric(name, **labels) for name, labels in names]
    assert [new - old for new, old in zip(after, before, strict=True)] == [2, 1, 2 * _ENTRY_BYTES]


def test_bytes_never_pass_the_bound() -> None:
    before = _metric("ssang_cache_bytes")
    cache = VectorCache(10 * _ENTRY_BYTES)
    for start in range(0, 100, 7):
        keys = [_key(f"{number}") for number in range(start, start + 30)]
        cache.put(keys, _vectors(30), [1] * 30, [1] * 30)
    assert _metric("ssang_cache_bytes") - before == 10 * _ENTRY_BYTES


def test_many_threads_find_their_own() -> None:
    cache = VectorCache(50 * _ENTRY_BYTES)
    barrier = threading.Barrier(8)

    def work(seed: int) -> int:
        barrier.wait()
        hits = 0
        for turn in range(300):
            number = (seed * 31 + turn * 7) % 100
            vector = np.full((1, 384), number, dtype=np.float32)
            (known,) = cache.get([_key(f"{number}")])
            if known is not None:
                assert known == ReadText(vector.tobytes(), number, number)
                hits += 1
            cache.put([_key(f"{number}")], vector, [number], [number])
        return hits

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) > 0


@pytest.mark.parametrize(("cache_mb", "hits"), [(0, 0), (1, len(SENTENCES))])
def test_service_remembers_as_its_settings_say(tmp_path: Path, cache_mb: int, hits: int) -> None:
    model = str(save_bert(tmp_path / "model"))
    engine = create_engine(
        Settings(model=model, device="cpu", precision="fp32", cache_mb=cache_mb, deadline_s=60)
    )
    engine.start()
    wait_until(lambda: engine.state is State.READY)
    before = _metric("ssang_cache_lookups_total", outcome="hit")
    first, again = (engine.embed(SENTENCES) for _ in range(2))
    engine.close()
    assert _metric("ssang_cache_lookups_total", outcome="hit") == before + hits
    assert again.vectors.tobytes() == first.vectors.tobytes()
    assert again.tokens == first.tokens


# Keys


@given(_TEXTS, _TEXTS)
def test_other_texts_have_other_keys(text: Text, other: Text) -> None:
    assert (_key(text) == _key(other)) == (text == other)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("가", "\u1100\u1161"),
        ("a", "a "),
        ("\ud800", "\ufffd"),
        ("\ud83d\ude00", "😀"),
        ("A", (65,)),
        ("", ()),
        ("\x01\x00\x00\x00\x00\x00\x00\x00", (1,)),
        ((1, 2), (1, 2, 0)),
    ],
)
def test_texts_that_look_alike_have_other_keys(text: Text, other: Text) -> None:
    assert _key(text) != _key(other)


def test_other_readings_have_other_keys() -> None:
    readings = [
        _READING,
        _READING._replace(side=Side("query", "", 512)),
        _READING._replace(side=Side("document", "query: ", 512)),
        _READING._replace(side=Side("document", "", 256)),
        _READING._replace(max_tokens=511),
        _READING._replace(truncation_side="left"),
    ]
    keys = [key_of("text", reading) for reading in readings]
    assert all(one != other for one, other in combinations(keys, 2))


def test_prompt_and_text_do_not_run_together() -> None:
    first = _READING._replace(side=Side("document", "a", 512))
    second = _READING._replace(side=Side("document", "ab", 512))
    assert key_of("bc", first) != key_of("c", second)


def test_keys_are_of_one_size() -> None:
    assert {len(_key(text)) for text in ("", "짧은", "x" * 10_000, (1, 2, 3))} == {32}


def _key(text: Text) -> bytes:
    return key_of(text, _READING)


def _keys(count: int) -> list[bytes]:
    return [_key(f"{number}") for number in range(count)]


def _vectors(count: int) -> Vectors:
    vectors = np.random.default_rng(count).standard_normal((count, 384))
    return vectors.astype(np.float32)


def _metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0
