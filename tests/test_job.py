"""Which waiting texts share a batch."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.errors import ModelUnavailable
from inference.job import Job, Usage, fill_batch


def test_batch_is_filled_to_the_budget_in_padded_tokens() -> None:
    job = _job(4, 4, 4, 4)
    assert _take([job], 12) == [4, 4, 4]
    assert _take([job], 12) == [4]


def test_longer_text_makes_the_shorter_ones_cost_as_much() -> None:
    """Three texts of 8 would be 24 padded tokens, though they have 22."""
    assert _take([_job(8, 7, 7)], 23) == [8, 7]
    assert _take([_job(8, 7, 7)], 24) == [8, 7, 7]
    assert _take([_job(7, 7, 8)], 23) == [7, 7]


def test_first_text_of_the_oldest_job_runs_even_over_the_budget() -> None:
    assert _take([_job(100, 3), _job(3)], 10) == [100]


def test_small_request_rides_along_with_a_big_one() -> None:
    big, small = _job(*[4] * 50), _job(4)
    batch = fill_batch([big, small], 16)
    assert [job is small for job, _ in batch] == [False, True, False, False]
    assert (big.taken, small.taken) == (3, 1)


def test_jobs_take_turns() -> None:
    first, second, third = _job(4, 4, 4), _job(4, 4), _job(4)
    batch = fill_batch([first, second, third], 24)
    assert batch == [(first, 0), (second, 0), (third, 0), (first, 1), (second, 1), (first, 2)]


def test_text_that_would_be_mostly_padding_waits() -> None:
    long, short = _job(100, 100), _job(3)
    assert _take([long, short], 1000) == [100, 100]
    assert short.taken == 0
    assert _take([short], 1000) == [3]


def test_text_waits_that_would_make_the_others_mostly_padding() -> None:
    short, long = _job(3, 3, 3), _job(100)
    assert _take([short, long], 1000) == [3, 3, 3]
    assert long.taken == 0


def test_text_a_little_shorter_rides_along() -> None:
    assert _take([_job(10), _job(5)], 1000) == [10, 5]
    assert _take([_job(10), _job(4)], 1000) == [10]


def test_text_that_does_not_fit_keeps_its_place() -> None:
    first, second = _job(8), _job(9, 4)
    assert _take([first, second], 17) == [8]
    assert second.taken == 0


def test_no_jobs_make_no_batch() -> None:
    assert fill_batch([], 100) == []


@given(
    jobs=st.lists(st.lists(st.integers(1, 60), min_size=1, max_size=8), min_size=1, max_size=8),
    budget=st.integers(1, 200),
)
def test_filling_again_and_again_takes_every_text_once(jobs: list[list[int]], budget: int) -> None:
    waiting = [_job(*lengths) for lengths in jobs]
    expected = {(id(job), index) for job in waiting for index in range(len(job.ids))}
    taken: set[tuple[int, int]] = set()
    while waiting:
        oldest = (waiting[0], waiting[0].taken)
        before = sum(job.waiting_tokens for job in waiting)
        batch = fill_batch(waiting, budget)
        lengths = [len(job.ids[index]) for job, index in batch]
        places = {(id(job), index) for job, index in batch}
        assert batch[0] == oldest
        assert len(batch) == 1 or max(lengths) * len(lengths) <= budget
        assert sum(lengths) >= 0.75 * max(lengths) * len(lengths)
        assert len(places) == len(batch)
        assert not places & taken
        assert before - sum(job.waiting_tokens for job in waiting) == sum(lengths)
        taken |= places
        waiting = [job for job in waiting if job.taken < len(job.ids)]
    assert taken == expected


@given(st.lists(st.integers(1, 9), min_size=1, max_size=9), st.integers(1, 60))
def test_texts_of_a_job_go_in_their_order(lengths: list[int], budget: int) -> None:
    job = _job(*lengths)
    order = []
    while job.taken < len(job.ids):
        order += [index for _, index in fill_batch([job], budget)]
    assert order == list(range(len(lengths)))


def test_future_is_resolved_with_the_last_vector() -> None:
    job = _job(3, 3)
    job.put(1, np.array([0, 1], dtype=np.float32))
    assert not job.future.done()
    job.put(0, np.array([1, 0], dtype=np.float32))
    np.testing.assert_array_equal(job.future.result(timeout=0), np.eye(2))


def test_late_vector_does_not_undo_a_failure() -> None:
    job = _job(3)
    job.fail(ModelUnavailable("gone"))
    job.put(0, np.ones(2, dtype=np.float32))
    with pytest.raises(ModelUnavailable, match="gone"):
        job.future.result(timeout=0)


def test_late_failure_does_not_undo_an_answer() -> None:
    job = _job(3)
    job.put(0, np.ones(2, dtype=np.float32))
    job.fail(ModelUnavailable("gone"))
    assert [row.tolist() for row in job.future.result(timeout=0)] == [[1, 1]]


def _job(*lengths: int) -> Job:
    return Job([[1] * length for length in lengths], math.inf, Usage())


def _take(jobs: Sequence[Job], budget: int) -> list[int]:
    """Lengths of the texts in the next batch."""
    return [len(job.ids[index]) for job, index in fill_batch(jobs, budget)]
