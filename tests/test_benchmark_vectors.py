"""The vectors that indexes are compared on, and the truth about them; nothing here is timed."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import vector_data
from benchmarks.vector_search import Row
from inference.similarity import Vectors, normalize


def unit(count: int, seed: int) -> Vectors:
    random = np.random.default_rng(seed)
    return normalize(random.standard_normal((count, 384), dtype=np.float32))


def test_exact_neighbours_over_several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_data, "_STEP", 30)
    vectors, queries = unit(100, 0), unit(5, 1)
    found = vector_data.exact_neighbours(vectors, queries, 10)
    wanted = np.argsort(-(queries @ vectors.T), axis=1)[:, :10]
    np.testing.assert_array_equal(np.sort(found), np.sort(wanted))


def test_queries_are_not_indexed_and_copies_are_near_sentences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_data, "QUERIES", 10)
    embedded = unit(60, 0)
    for part in range(2):
        np.save(tmp_path / f"{part:04d}.npy", embedded[part * 30 : part * 30 + 30])
    vectors, queries, real = vector_data.make(tmp_path, 50, 200, tmp_path / "data.npy")
    assert real == 40
    np.testing.assert_array_equal(queries, embedded[:10])
    np.testing.assert_array_equal(vectors[:40], embedded[10:50])
    cosines = (vectors[40:] @ embedded[10:50].T).max(axis=1)
    np.testing.assert_allclose(cosines, 1 / np.sqrt(1.25), atol=0.05)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_row_of_the_report() -> None:
    row = Row("exact", None, 150.4, 20.0, [1.0, 3.0, 2.0], [0.5, 0.7, 0.6], 1.0)
    assert row.cells()[1:] == ["-", "150", "20", "2.00", "3.00", "0.60", "0.70", "1.0000"]
