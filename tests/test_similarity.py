"""Cosines, grades and ranking of unit vectors."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference import similarity
from inference.similarity import (
    Thresholds,
    Vectors,
    cosine,
    cosine_matrix,
    cut_dimensions,
    grade,
    top_k,
)


def test_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(similarity).failed == 0


def test_cosine_is_row_by_row() -> None:
    left, right = _units(7, 5, seed=1), _units(7, 5, seed=2)
    expected = [float(left[row] @ right[row]) for row in range(7)]
    np.testing.assert_allclose(cosine(left, right), expected, atol=1e-6)
    np.testing.assert_allclose(cosine(left, -left), -np.ones(7), atol=1e-6)


def test_cosine_matrix_is_every_row_with_every_row() -> None:
    left, right = _units(3, 5, seed=1), _units(4, 5, seed=2)
    scores = cosine_matrix(left, right)
    assert scores.shape == (3, 4)
    assert scores.dtype == np.float32
    for row in range(3):
        for column in range(4):
            expected = cosine(left[[row]], right[[column]])[0]
            assert scores[row, column] == pytest.approx(expected, abs=1e-6)


def test_one_row_goes_with_every_row() -> None:
    left, right = _units(1, 5, seed=1), _units(4, 5, seed=2)
    np.testing.assert_allclose(cosine(left, right), cosine_matrix(left, right)[0], atol=1e-6)
    assert cosine(left, right[:0]).shape == (0,)


@pytest.mark.parametrize("width", [3, 8, 31, 384])
def test_equal_rows_have_equal_scores_to_the_last_digit(width: int) -> None:
    """Or documents that say the same would not keep their order."""
    query, document = _units(1, width, seed=1), _units(1, width, seed=2)
    for rows in range(1, 70):
        assert len(set(cosine(query, document.repeat(rows, axis=0)).tolist())) == 1


def test_rounding_never_leads_out_of_the_range() -> None:
    vectors = _units(2000, 384, seed=3) * np.float32(1.0000002)
    for scores in (cosine(vectors, vectors), cosine(vectors, -vectors)):
        assert np.abs(scores).max() == 1.0
    assert np.abs(cosine_matrix(vectors[:50], vectors[:50])).max() == 1.0


def test_nothing_compared_with_something_is_empty() -> None:
    nothing, something = _units(0, 5, seed=1), _units(4, 5, seed=2)
    assert cosine(nothing, nothing).shape == (0,)
    assert cosine_matrix(nothing, something).shape == (0, 4)
    assert cosine_matrix(something, nothing).shape == (4, 0)


@pytest.mark.parametrize("dimensions", [1, 3, 8])
def test_cut_vectors_are_units_again_in_the_same_direction(dimensions: int) -> None:
    vectors = _units(20, 8, seed=4)
    cut = cut_dimensions(vectors, dimensions)
    assert cut.shape == (20, dimensions)
    assert cut.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(cut, axis=1), 1.0, rtol=1e-6)
    first = vectors[:, :dimensions]
    np.testing.assert_allclose(cut * np.linalg.norm(first, axis=1, keepdims=True), first, atol=1e-6)


def test_cutting_leaves_the_whole_vectors_as_they_were() -> None:
    vectors = _units(3, 8, seed=5)
    before = vectors.copy()
    cut_dimensions(vectors, 2)
    np.testing.assert_array_equal(vectors, before)


def test_vector_with_nothing_left_is_zero_and_not_nan() -> None:
    vector = np.array([[0.0, 0.0, 1.0]], dtype=np.float32)
    np.testing.assert_array_equal(cut_dimensions(vector, 2), [[0.0, 0.0]])


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (1.0, "high"),
        (0.75, "high"),
        (0.7499, "medium"),
        (0.60, "medium"),
        (0.5999, "low"),
        (-1.0, "low"),
    ],
)
def test_grade_begins_at_its_threshold(score: float, expected: str) -> None:
    assert grade(score, Thresholds()) == expected
    single = np.array([score], dtype=np.float32)
    assert grade(single[0], Thresholds()) == expected


def test_grade_follows_the_models_thresholds() -> None:
    assert grade(0.5, Thresholds(high=0.5, medium=0.4)) == "high"
    assert grade(0.3, Thresholds(high=0.5, medium=0.2)) == "medium"


def test_grade_of_equal_thresholds_has_no_medium() -> None:
    thresholds = Thresholds(high=0.5, medium=0.5)
    assert [grade(score, thresholds) for score in (0.49, 0.5)] == ["low", "high"]


_SCORES = st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 0.5, 1.0]), max_size=30)


@given(_SCORES, st.none() | st.integers(1, 40))
def test_top_k_is_a_stable_sort_by_falling_score(scores: list[float], k: int | None) -> None:
    expected = sorted(range(len(scores)), key=lambda index: (-scores[index], index))[:k]
    assert top_k(np.array(scores, dtype=np.float32), k).tolist() == expected


def _units(rows: int, width: int, *, seed: int) -> Vectors:
    vectors = np.random.default_rng(seed).standard_normal((rows, width)).astype(np.float32)
    units: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return units
