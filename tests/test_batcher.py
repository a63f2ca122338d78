"""The model's thread, its queue and its supervision, around an encoder that does as told."""

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any

import numpy as np
import pytest
from prometheus_client import REGISTRY
from running_service import wait_until
from tiny_model import FakeEncoder, fake_ids, fake_vector

from inference.batcher import Batcher
from inference.checkpoint import Kind
from inference.encoders.base import Encoder, OutOfMemory
from inference.errors import (
    DeadlineExceeded,
    InvalidInput,
    ModelUnavailable,
    Overloaded,
    TooLarge,
)
from inference.job import Job, Usage
from inference.lifecycle import Failure, State
from inference.similarity import Vectors

Start = Callable[..., Batcher[Encoder]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts batchers, ready unless told otherwise, and closes them in the end."""
    started: list[Batcher[Encoder]] = []

    def start(
        load: Callable[[], Encoder], *, wait: bool = True, **options: Any
    ) -> Batcher[Encoder]:
        batcher = Batcher(load, **options)
        batcher.start()
        started.append(batcher)
        if wait:
            wait_until(lambda: batcher.state is not State.LOADING)
        return batcher

    yield start
    for batcher in started:
        batcher.close()


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(64) as pool:
        yield pool


# Answers


def test_answers_are_in_order_under_many_threads(
    start: Start, encoder: FakeEncoder, pool: ThreadPoolExecutor
) -> None:
    batcher = start(lambda: encoder, max_batch_tokens=100)

    def request(number: int) -> None:
        texts = [f"{number}-{part}" + "x" * (number % 7) for part in range(1 + number % 5)]
        _check_answer(batcher, _submit(batcher, *texts), *texts)

    list(pool.map(request, range(600)))
    assert sum(map(len, encoder.batches)) == sum(1 + number % 5 for number in range(600))


def test_requests_gather_while_the_model_works(start: Start, encoder: FakeEncoder) -> None:
    batcher = start(lambda: encoder)
    with encoder.holding():
        first = _submit(batcher, "one")
        encoder.wait_until_held()
        others = [_submit(batcher, text) for text in ("two", "six", "ten")]
    _check_answer(batcher, first, "one")
    for job, text in zip(others, ("two", "six", "ten"), strict=True):
        _check_answer(batcher, job, text)
    assert [len(batch) for batch in encoder.batches] == [1, 3]


@pytest.mark.parametrize(("asked", "budget"), [(0, 64), (30, 30)])
def test_batch_keeps_to_its_budget(
    start: Start, encoder: FakeEncoder, asked: int, budget: int
) -> None:
    batcher = start(lambda: encoder, max_batch_tokens=asked)
    assert batcher.batch_tokens == budget
    texts = [f"{number:03}" for number in range(40)]
    _check_answer(batcher, _submit(batcher, *texts), *texts)
    assert [len(batch) for batch in encoder.batches[:-1]] == [budget // 5] * (40 // (budget // 5))


def test_text_over_the_budget_runs_alone(start: Start, encoder: FakeEncoder) -> None:
    batcher = start(lambda: encoder, max_batch_tokens=10)
    texts = ["x" * 50, "abc", "y" * 50]
    _check_answer(batcher, _submit(batcher, *texts), *texts)
    assert [len(batch) for batch in encoder.batches] == [1, 1, 1]


@pytest.mark.parametrize("text", ["as long", "!"])
def test_single_text_does_not_wait_for_a_bulk_caller(
    start: Start, encoder: FakeEncoder, pool: ThreadPoolExecutor, text: str
) -> None:
    """The bulk caller feeds slices without end, two in the queue at any time."""
    batcher = start(lambda: encoder, max_batch_tokens=90)
    enough = Event()

    def bulk() -> None:
        pending = []
        while not enough.is_set():
            pending.append(_submit(batcher, *(["longer!"] * 10), wait_for_room=True))
            if len(pending) == 2:
                batcher.wait(pending.pop(0))

    caller = pool.submit(bulk)
    try:
        wait_until(lambda: len(encoder.batches) > 5)
        with encoder.holding():
            encoder.wait_until_held()
            single = _submit(batcher, text)
            submitted_at = len(encoder.batches)
        _check_answer(batcher, single, text)
    finally:
        enough.set()
    caller.result(timeout=10)
    answered_at = next(
        number for number, batch in enumerate(encoder.batches) if fake_ids(text) in batch
    )
    assert answered_at - submitted_at <= 3


def test_usage_tells_waiting_and_working_apart(start: Start, encoder: FakeEncoder) -> None:
    batcher = start(lambda: encoder)
    usage = Usage()
    began = time.monotonic()
    with encoder.holding():
        blocker = _submit(batcher, "first")
        encoder.wait_until_held()
        # Both run in one batch, which counts once.
        jobs = [_submit(batcher, text, usage=usage) for text in ("abc", "def")]
        encoder.on_batch = lambda _: Event().wait(0.1)
    _answer(batcher, blocker)
    for job in jobs:
        _answer(batcher, job)
    took = time.monotonic() - began
    assert usage.queue_s is not None
    assert usage.queue_s >= 0.1
    assert usage.model_s >= 0.1
    assert usage.queue_s + usage.model_s <= took


def test_metrics_count_the_work(start: Start, encoder: FakeEncoder) -> None:
    names = ["ssang_tokens_total", "ssang_batch_texts_sum", "ssang_queue_wait_seconds_count"]
    before = [_metric(name) for name in names]
    batcher = start(lambda: encoder)
    _answer(batcher, _submit(batcher, "abc", "defgh"))
    after = [_metric(name) for name in names]
    assert [new - old for new, old in zip(after, before, strict=True)] == [12, 2, 1]


# The express: small requests beside a large one

_LARGE = [f"{number:03}" for number in range(12)]


@pytest.fixture
def held(encoder: FakeEncoder) -> Iterator[Event]:
    """Batches of more than three texts run until this is set."""
    held = Event()

    def hold(token_ids: Sequence[Sequence[int]]) -> None:
        assert len(token_ids) <= 3 or held.wait(30)

    encoder.on_batch = hold
    yield held
    held.set()


@pytest.fixture
def express(start: Start, encoder: FakeEncoder) -> Batcher[Encoder]:
    return start(lambda: encoder, express=lambda _: True)


def test_small_request_overtakes_a_large_batch(
    express: Batcher[Encoder], encoder: FakeEncoder, held: Event
) -> None:
    large = _submit(express, *_LARGE)
    wait_until(lambda: len(encoder.batches) == 1)
    for text in ("one", "two"):
        _check_answer(express, _submit(express, text), text)
    assert not large.future.done()
    held.set()
    _check_answer(express, large, *_LARGE)


def test_small_request_overtakes_large_ones_that_wait(
    express: Batcher[Encoder], encoder: FakeEncoder, held: Event
) -> None:
    with encoder.holding():
        first = _submit(express, "first")
        encoder.wait_until_held()
        large = _submit(express, *_LARGE)
        small = _submit(express, "small")
    _check_answer(express, first, "first")
    _check_answer(express, small, "small")
    assert not large.future.done()


def test_large_request_does_not_overtake(
    express: Batcher[Encoder], encoder: FakeEncoder, held: Event
) -> None:
    _submit(express, *_LARGE)
    wait_until(lambda: len(encoder.batches) == 1)
    # A quarter of a batch is 16 tokens.
    larger = _submit(express, "x" * 15)
    _check_answer(express, _submit(express, "x" * 14), "x" * 14)
    assert not larger.future.done()


def test_small_requests_alone_gather_in_one_batch(
    express: Batcher[Encoder], encoder: FakeEncoder
) -> None:
    """Two threads would halve the batches and share the cores."""
    with encoder.holding():
        jobs = [_submit(express, "running")]
        encoder.wait_until_held()
        jobs += [_submit(express, text) for text in _LARGE]
    for job in jobs:
        _answer(express, job)
    assert [len(batch) for batch in encoder.batches] == [1, 12]


def test_small_requests_do_not_overtake_a_large_one_that_is_done(
    express: Batcher[Encoder], encoder: FakeEncoder
) -> None:
    _answer(express, _submit(express, *_LARGE))
    with encoder.holding():
        first = _submit(express, "one")
        encoder.wait_until_held()
        others = [_submit(express, text) for text in ("two", "six")]
    for job in (first, *others):
        _answer(express, job)
    assert [len(batch) for batch in encoder.batches] == [12, 1, 2]


def test_large_request_ends_beside_small_ones_without_end(
    express: Batcher[Encoder], encoder: FakeEncoder, pool: ThreadPoolExecutor
) -> None:
    """However many they are, each of its batches starts when the one before is done."""
    encoder.on_batch = lambda ids: time.sleep(0.001 * len(ids))
    ended = Event()

    def ask(number: int) -> int:
        answered = 0
        while not ended.is_set():
            text = f"{number}-{answered}"
            _check_answer(express, _submit(express, text), text)
            answered += 1
        return answered

    callers = [pool.submit(ask, number) for number in range(4)]
    try:
        for _ in range(20):
            _check_answer(express, _submit(express, *_LARGE), *_LARGE)
    finally:
        ended.set()
    assert all(caller.result(timeout=10) for caller in callers)
    assert sum(map(len, encoder.batches)) == 20 * 12 + sum(caller.result() for caller in callers)


def test_small_request_that_overtakes_may_be_taken_back(
    express: Batcher[Encoder], encoder: FakeEncoder
) -> None:
    before = _metric("ssang_waiting_tokens")
    with encoder.holding():
        jobs = [_submit(express, *_LARGE)]
        wait_until(lambda: len(encoder.batches) == 1)
        jobs.append(_submit(express, "beside"))
        wait_until(lambda: len(encoder.batches) == 2)
        late = _submit(express, "late", deadline_s=0.02)
        with pytest.raises(DeadlineExceeded):
            express.wait(late)
        assert not express.withdraw(jobs[1])
        assert _metric("ssang_waiting_tokens") == before
    for job in jobs:
        _answer(express, job)
    assert [fake_ids("late")] not in encoder.batches


def test_express_that_died_is_restarted(
    express: Batcher[Encoder], encoder: FakeEncoder, held: Event
) -> None:
    restarts = _metric("ssang_model_thread_restarts_total")
    large = _submit(express, *_LARGE)
    wait_until(lambda: len(encoder.batches) == 1)
    encoder.on_batch = _raise_on("die", SystemExit(1))
    with pytest.raises(ModelUnavailable, match="was restarted: send the request again"):
        _answer(express, _submit(express, "die"))
    _check_answer(express, _submit(express, "live"), "live")
    assert not large.future.done()
    held.set()
    _check_answer(express, large, *_LARGE)
    assert _metric("ssang_model_thread_restarts_total") == restarts + 1


def test_express_that_hangs_fails_the_model(start: Start, encoder: FakeEncoder) -> None:
    batcher = start(lambda: encoder, express=lambda _: True, hang_timeout_s=1.0)
    failures = _failures_of(batcher)
    go = {True: Event(), False: Event()}
    encoder.on_batch = lambda ids: go[len(ids) > 3].wait(30)
    large = _submit(batcher, *_LARGE)
    wait_until(lambda: len(encoder.batches) == 1)
    small = _submit(batcher, "small")
    wait_until(lambda: len(encoder.batches) == 2)
    go[True].set()
    _check_answer(batcher, large, *_LARGE)
    with pytest.raises(ModelUnavailable, match="has not answered"):
        _answer(batcher, small)
    wait_until(lambda: bool(failures))
    assert batcher.state is State.FAILED
    with pytest.raises(ModelUnavailable, match="has not answered"):
        _submit(batcher, "more")
    go[False].set()


def test_closing_ends_the_express_too(
    start: Start, encoder: FakeEncoder, pool: ThreadPoolExecutor
) -> None:
    before = set(threading.enumerate())
    batcher = start(lambda: encoder, express=lambda _: True)
    assert len(set(threading.enumerate()) - before) == 4
    with encoder.holding():
        large = _submit(batcher, *_LARGE)
        wait_until(lambda: len(encoder.batches) == 1)
        small = _submit(batcher, "small")
        closing = pool.submit(batcher.close)
        wait_until(lambda: batcher.state is State.STOPPING)
        with pytest.raises(ModelUnavailable, match="stopping"):
            _submit(batcher, "new")
    _check_answer(batcher, large, *_LARGE)
    _check_answer(batcher, small, "small")
    closing.result(timeout=10)
    names = {thread.name for thread in set(threading.enumerate()) - before}
    assert not {name for name in names if name.startswith("model")}


def test_express_is_only_for_a_model_that_two_threads_may_run(
    start: Start, encoder: FakeEncoder, held: Event
) -> None:
    batcher = start(lambda: encoder, express=lambda model: model is not encoder)
    large = _submit(batcher, *_LARGE)
    wait_until(lambda: len(encoder.batches) == 1)
    small = _submit(batcher, "small")
    _check_waits(small.future)
    held.set()
    _answer(batcher, large)
    _answer(batcher, small)


# The bound on waiting work


def test_over_the_bound_a_request_is_refused_at_once(start: Start, encoder: FakeEncoder) -> None:
    batcher = start(lambda: encoder, max_waiting_tokens=20)
    refused = _metric("ssang_refusals_total", reason="waiting_tokens")
    with encoder.holding():
        running = _submit(batcher, "running!")
        encoder.wait_until_held()
        waiting = [_submit(batcher, "waiting!"), _submit(batcher, "as well!")]
        with pytest.raises(Overloaded, match="20 tokens already wait") as caught:
            _submit(batcher, "!")
    assert caught.value.retry_after_s >= 1
    assert _metric("ssang_refusals_total", reason="waiting_tokens") == refused + 1
    for job in [running, *waiting]:
        _answer(batcher, job)
    _check_answer(batcher, _submit(batcher, "room again"), "room again")


def test_retry_after_is_the_time_that_the_waiting_work_takes(
    start: Start, encoder: FakeEncoder
) -> None:
    batcher = start(lambda: encoder, max_waiting_tokens=100)
    # 5 tokens take at least 0.1 s, so 100 take at least 2 s.
    encoder.on_batch = lambda _: Event().wait(0.1)
    _answer(batcher, _submit(batcher, "abc"))
    with encoder.holding():
        _submit(batcher, "def")
        encoder.wait_until_held()
        waiting = _submit(batcher, "x" * 98)
        with pytest.raises(Overloaded) as caught:
            _submit(batcher, "!")
    assert caught.value.retry_after_s >= 2
    _answer(batcher, waiting)


def test_request_over_the_bound_is_taken_when_nothing_waits(
    start: Start, encoder: FakeEncoder
) -> None:
    batcher = start(lambda: encoder, max_waiting_tokens=10)
    with encoder.holding():
        _submit(batcher, "running")
        encoder.wait_until_held()
        large = _submit(batcher, "x" * 50)
        with pytest.raises(Overloaded):
            _submit(batcher, "!")
    _check_answer(batcher, large, "x" * 50)


def test_waiting_for_room_ends_when_there_is_room(
    start: Start, encoder: FakeEncoder, pool: ThreadPoolExecutor
) -> None:
    batcher = start(lambda: encoder, max_waiting_tokens=10)
    with encoder.holding():
        _submit(batcher, "running")
        encoder.wait_until_held()
        _submit(batcher, "waiting!")
        patient = pool.submit(_submit, batcher, "patient", wait_for_room=True)
        _check_waits(patient)
    _check_answer(batcher, patient.result(timeout=10), "patient")


def test_waiting_for_room_ends_with_the_deadline(start: Start, encoder: FakeEncoder) -> None:
    batcher = start(lambda: encoder, max_waiting_tokens=10)
    with encoder.holding():
        _submit(batcher, "running")
        encoder.wait_until_held()
        _submit(batcher, "waiting!")
        with pytest.raises(DeadlineExceeded):
            _submit(batcher, "patient", wait_for_room=True, deadline_s=0.02)


def test_waiting_for_room_ends_when_the_model_stops(
    start: Start, encoder: FakeEncoder, pool: ThreadPoolExecutor
) -> None:
    batcher = start(lambda: encoder, max_waiting_tokens=10)
    with encoder.holding():
        _submit(batcher, "running")
        encoder.wait_until_held()
        _submit(batcher, "waiting!")
        patient = pool.submit(_submit, batcher, "patient", wait_for_room=True)
        _check_waits(patient)
        closing = pool.submit(batcher.close)
        with pytest.raises(ModelUnavailable, match="stopping"):
            patient.result(timeout=10)
    closing.result(timeout=10)


# Deadlines


def test_deadline_expires_in_the_queue(start: Start, encoder: FakeEncoder) -> None:
    batcher = start(lambda: encoder, max_waiting_tokens=10)
    before = _metric("ssang_waiting_tokens")
    with encoder.holding():
        running = _submit(batcher, "running")
        encoder.wait_until_held()
        late = _submit(batcher, "too late", deadline_s=0.02)
        assert _metric("ssang_waiting_tokens") == before + 10
        with pytest.raises(DeadlineExceeded, match="within the deadline"):
            batcher.wait(late)
        assert _metric("ssang_waiting_tokens") == before
        # Its room is free again.
        on_time = _submit(batcher, "on time!")
    _answer(batcher, running)
    _answer(batcher, on_time)
    assert fake_ids("too late") not in [ids for batch in encoder.batches for ids in batch]


def test_deadline_takes_back_what_of_a_job_has_not_started(
    start: Start, encoder: FakeEncoder
) -> None:
    batcher = start(lambda: encoder, max_batch_tokens=5)
    before = _metric("ssang_waiting_tokens")
    with encoder.holding():
        job = _submit(batcher, "abc", "def", "ghi", deadline_s=0.02)
        encoder.wait_until_held()
        with pytest.raises(DeadlineExceeded):
            batcher.wait(job)
    _answer(batcher, _submit(batcher, "xyz"))
    assert encoder.batches == [[fake_ids("abc")], [fake_ids("xyz")]]
    assert _metric("ssang_waiting_tokens") == before


def test_text_that_has_started_is_answered_after_its_deadline(
    start: Start, encoder: FakeEncoder, pool: ThreadPoolExecutor
) -> None:
    batcher = start(lambda: encoder)
    with encoder.holding():
        job = _submit(batcher, "abc", deadline_s=0.0)
        encoder.wait_until_held()
        answer = pool.submit(_check_answer, batcher, job, "abc")
        _check_waits(answer)
    answer.result(timeout=10)


def test_withdrawn_job_gives_its_room_back(start: Start, encoder: FakeEncoder) -> None:
    batcher = start(lambda: encoder, max_waiting_tokens=10)
    with encoder.holding():
        running = _submit(batcher, "running")
        encoder.wait_until_held()
        job = _submit(batcher, "12345678")
        assert batcher.withdraw(job)
        assert not batcher.withdraw(job)
        assert not batcher.withdraw(running)
        other = _submit(batcher, "abcdefgh")
    _check_answer(batcher, other, "abcdefgh")
    assert len(encoder.batches) == 2


# What goes wrong in a batch


def test_exception_reaches_only_the_waiters_of_its_batch(
    start: Start, encoder: FakeEncoder
) -> None:
    batcher = start(lambda: encoder, max_batch_tokens=5)
    restarts = _metric("ssang_model_thread_restarts_total")
    with encoder.holding():
        first = _submit(batcher, "one")
        encoder.wait_until_held()
        bad, good = _submit(batcher, "bad"), _submit(batcher, "two")
        encoder.on_batch = _raise_on("bad", ValueError("bad text"))
    _check_answer(batcher, first, "one")
    with pytest.raises(ValueError, match="bad text"):
        _answer(batcher, bad)
    _check_answer(batcher, good, "two")
    assert batcher.state is State.READY
    assert _metric("ssang_model_thread_restarts_total") == restarts


def test_rest_of_a_job_that_failed_is_not_run(start: Start, encoder: FakeEncoder) -> None:
    batcher = start(lambda: encoder, max_batch_tokens=5)
    before = _metric("ssang_waiting_tokens")
    encoder.on_batch = _raise_on("bad", ValueError("bad text"))
    with pytest.raises(ValueError, match="bad text"):
        _answer(batcher, _submit(batcher, "one", "bad", "two", "six"))
    _check_answer(batcher, _submit(batcher, "ten"), "ten")
    assert encoder.batches == [[fake_ids("one")], [fake_ids("bad")], [fake_ids("ten")]]
    assert _metric("ssang_waiting_tokens") == before


def test_out_of_memory_is_tried_again_in_halves(start: Start, encoder: FakeEncoder) -> None:
    batcher = start(lambda: encoder)
    encoder.on_batch = _raise_over(2)
    texts = [f"{number:03}" for number in range(7)]
    _check_answer(batcher, _submit(batcher, *texts), *texts)
    assert [len(batch) for batch in encoder.batches] == [7, 3, 1, 2, 4, 2, 2]


def test_single_text_that_does_not_fit_the_memory_is_too_large(
    start: Start, encoder: FakeEncoder
) -> None:
    batcher = start(lambda: encoder)
    encoder.on_batch = _raise_over(0)
    with pytest.raises(TooLarge, match=r"A text of 5 tokens does not fit .* smaller max_length"):
        _answer(batcher, _submit(batcher, "abc"))
    encoder.on_batch = lambda _: None
    _check_answer(batcher, _submit(batcher, "abc"), "abc")


class _Overflowing(FakeEncoder):
    """Gives one number that is none, as half precision does."""

    number = math.nan

    def encode(self, token_ids: Sequence[Sequence[int]], tower: Kind = "document") -> Vectors:
        vectors = super().encode(token_ids, tower)
        vectors[-1, 0] = self.number
        return vectors


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_vectors_that_are_no_numbers_are_not_answered(start: Start, number: float) -> None:
    encoder = _Overflowing()
    encoder.number = number
    batcher = start(lambda: encoder)
    with pytest.raises(ModelUnavailable, match=r"not finite.*fp32"):
        _answer(batcher, _submit(batcher, "abc"))


# Supervision


@pytest.mark.parametrize("killer", [SystemExit(1), KeyboardInterrupt(), GeneratorExit()])
def test_thread_that_died_is_restarted(
    start: Start, encoder: FakeEncoder, killer: BaseException
) -> None:
    batcher = start(lambda: encoder)
    restarts = _metric("ssang_model_thread_restarts_total")
    waiting_tokens = _metric("ssang_waiting_tokens")
    with encoder.holding():
        running = _submit(batcher, "running")
        encoder.wait_until_held()
        waiting = _submit(batcher, "waiting")
        encoder.on_batch = _raise_on("running", killer)
    for job in (running, waiting):
        with pytest.raises(ModelUnavailable, match="was restarted: send the request again"):
            _answer(batcher, job)
    encoder.on_batch = lambda _: None
    _check_answer(batcher, _submit(batcher, "after"), "after")
    assert batcher.state is State.READY
    assert _metric("ssang_model_thread_restarts_total") == restarts + 1
    assert _metric("ssang_waiting_tokens") == waiting_tokens


def test_thread_that_dies_too_often_is_not_restarted(start: Start, encoder: FakeEncoder) -> None:
    batcher = start(lambda: encoder)
    failures = _failures_of(batcher)
    encoder.on_batch = _raise_on("die", SystemExit(1))
    for _ in range(5):
        with pytest.raises(ModelUnavailable, match="was restarted"):
            _answer(batcher, _submit(batcher, "die"))
        _check_answer(batcher, _submit(batcher, "live"), "live")
    assert failures == []
    with pytest.raises(ModelUnavailable, match="died again and again"):
        _answer(batcher, _submit(batcher, "die"))
    wait_until(lambda: bool(failures))
    assert failures == [Failure("The model's thread died again and again; see the log.", False)]
    assert batcher.state is State.FAILED
    with pytest.raises(ModelUnavailable, match="died again and again"):
        _submit(batcher, "live")


def test_encoder_is_loaded_once_for_all_restarts(start: Start, encoder: FakeEncoder) -> None:
    loads = []

    def load() -> Encoder:
        loads.append(1)
        return encoder

    batcher = start(load)
    encoder.on_batch = _raise_on("die", SystemExit(1))
    with pytest.raises(ModelUnavailable):
        _answer(batcher, _submit(batcher, "die"))
    _answer(batcher, _submit(batcher, "live"))
    assert loads == [1]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InvalidInput("The files are wrong."), "The files are wrong."),
        (ValueError("secret"), "The model could not be loaded (ValueError); see the log."),
        (MemoryError(), "The model could not be loaded (MemoryError); see the log."),
        (SystemExit(1), "The model's thread died while it loaded the model; see the log."),
    ],
)
def test_model_that_cannot_be_loaded_has_failed(
    start: Start, error: BaseException, message: str
) -> None:
    go = Event()

    def load() -> Encoder:
        assert go.wait(10)
        raise error

    batcher = start(load, wait=False)
    failures = _failures_of(batcher)
    go.set()
    wait_until(lambda: bool(failures))
    assert failures == [Failure(message, while_loading=True)]
    assert batcher.state is State.FAILED
    with pytest.raises(ModelUnavailable) as caught:
        _submit(batcher, "text")
    assert caught.value.message == message
    with pytest.raises(ModelUnavailable):
        _ = batcher.model
    with pytest.raises(ModelUnavailable):
        _ = batcher.batch_tokens


def test_callback_that_comes_after_the_failure_is_called_at_once(start: Start) -> None:
    def load() -> Encoder:
        raise InvalidInput("The files are wrong.")

    batcher = start(load)
    wait_until(lambda: batcher.state is State.FAILED)
    assert _failures_of(batcher) == [Failure("The files are wrong.", while_loading=True)]


def test_model_that_loads_is_not_there_yet(start: Start, encoder: FakeEncoder) -> None:
    go = Event()

    def load() -> Encoder:
        assert go.wait(10)
        return encoder

    batcher = start(load, wait=False)
    assert batcher.state is State.LOADING
    with pytest.raises(ModelUnavailable, match="still loading"):
        _submit(batcher, "text")
    with pytest.raises(ModelUnavailable, match="still loading"):
        _ = batcher.model
    with pytest.raises(ModelUnavailable, match="still loading"):
        _ = batcher.batch_tokens
    go.set()
    wait_until(lambda: batcher.state is State.READY)
    assert batcher.model is encoder
    _check_answer(batcher, _submit(batcher, "text"), "text")


def test_batch_that_hangs_fails_every_waiter_and_the_model(
    start: Start, encoder: FakeEncoder, pool: ThreadPoolExecutor
) -> None:
    batcher = start(lambda: encoder, hang_timeout_s=0.2)
    failures = _failures_of(batcher)
    waiting_tokens = _metric("ssang_waiting_tokens")
    with encoder.holding():
        running = _submit(batcher, "running", deadline_s=0.0)
        encoder.wait_until_held()
        waiting = _submit(batcher, "waiting", deadline_s=60)
        answers = [pool.submit(batcher.wait, job) for job in (running, waiting)]
        for answer in answers:
            with pytest.raises(ModelUnavailable, match=r"has not answered for 0\.2 seconds"):
                answer.result(timeout=10)
        wait_until(lambda: bool(failures))
        assert batcher.state is State.FAILED
        with pytest.raises(ModelUnavailable, match="has not answered"):
            _submit(batcher, "more")
    # The thread comes back after all: too late, and without harm.
    batcher.close()
    message = "The model has not answered for 0.2 seconds."
    assert failures == [Failure(message, while_loading=False)]
    assert batcher.state is State.FAILED
    assert encoder.batches == [[fake_ids("running")]]
    assert _metric("ssang_waiting_tokens") == waiting_tokens


def test_idle_model_does_not_hang(start: Start, encoder: FakeEncoder) -> None:
    batcher = start(lambda: encoder, hang_timeout_s=0.5)
    _answer(batcher, _submit(batcher, "text"))
    idle_since = time.monotonic()
    wait_until(lambda: time.monotonic() - idle_since > 0.8)
    assert batcher.state is State.READY


def test_closing_answers_what_waits_and_refuses_what_comes(
    start: Start, encoder: FakeEncoder, pool: ThreadPoolExecutor
) -> None:
    batcher = start(lambda: encoder, max_batch_tokens=5)
    with encoder.holding():
        running = _submit(batcher, "one")
        encoder.wait_until_held()
        waiting = _submit(batcher, "two", "six", "ten")
        closing = pool.submit(batcher.close)
        wait_until(lambda: batcher.state is State.STOPPING)
        with pytest.raises(ModelUnavailable, match="stopping"):
            _submit(batcher, "new")
        with pytest.raises(ModelUnavailable, match="stopping"):
            _ = batcher.model
        _check_waits(closing)
    _check_answer(batcher, running, "one")
    _check_answer(batcher, waiting, "two", "six", "ten")
    closing.result(timeout=10)
    batcher.close()
    assert batcher.state is State.STOPPING


def test_closing_while_the_model_loads_ends_the_thread(start: Start, encoder: FakeEncoder) -> None:
    go = Event()

    def load() -> Encoder:
        assert go.wait(10)
        return encoder

    batcher = start(load, wait=False)
    with ThreadPoolExecutor(1) as closer:
        closing = closer.submit(batcher.close)
        wait_until(lambda: batcher.state is State.STOPPING)
        go.set()
        closing.result(timeout=4)
    assert batcher.state is State.STOPPING
    with pytest.raises(ModelUnavailable, match="stopping"):
        _submit(batcher, "text")


def test_batch_that_hangs_while_closing_fails_its_waiters(
    start: Start, encoder: FakeEncoder, pool: ThreadPoolExecutor
) -> None:
    batcher = start(lambda: encoder, hang_timeout_s=0.2)
    with encoder.holding():
        job = _submit(batcher, "text", deadline_s=0.0)
        encoder.wait_until_held()
        closing = pool.submit(batcher.close)
        with pytest.raises(ModelUnavailable, match="has not answered"):
            pool.submit(batcher.wait, job).result(timeout=10)
        assert batcher.state is State.FAILED
    closing.result(timeout=10)


def test_closed_batcher_leaves_no_thread(start: Start, encoder: FakeEncoder) -> None:
    """A thread that lets go of the model while the process ends would abort it."""
    before = set(threading.enumerate())
    batcher = start(lambda: encoder)
    _answer(batcher, _submit(batcher, "text"))
    assert len(set(threading.enumerate()) - before) == 2
    batcher.close()
    assert set(threading.enumerate()) <= before


def test_closing_what_never_started_does_nothing(encoder: FakeEncoder) -> None:
    Batcher(lambda: encoder).close()
    assert encoder.batches == []


def _submit(
    batcher: Batcher[Encoder],
    *texts: str,
    deadline_s: float = 30.0,
    usage: Usage | None = None,
    wait_for_room: bool = False,
) -> Job:
    return batcher.submit(
        [fake_ids(text) for text in texts],
        deadline=time.monotonic() + deadline_s,
        usage=usage,
        wait_for_room=wait_for_room,
    )


def _answer(batcher: Batcher[Encoder], job: Job) -> Vectors:
    """The answer of a job; fails where it would be waited for without end."""
    assert futures.wait([job.future], timeout=20).done, "no answer"
    return np.stack(batcher.wait(job))


def _check_answer(batcher: Batcher[Encoder], job: Job, *texts: str) -> None:
    expected = np.stack([fake_vector(fake_ids(text)) for text in texts])
    np.testing.assert_array_equal(_answer(batcher, job), expected)


def _check_waits(answer: Future[Any]) -> None:
    with pytest.raises(TimeoutError):
        answer.result(timeout=0.05)


def _raise_on(text: str, error: BaseException) -> Callable[[Sequence[Sequence[int]]], None]:
    def on_batch(token_ids: Sequence[Sequence[int]]) -> None:
        if fake_ids(text) in token_ids:
            raise error

    return on_batch


def _raise_over(texts: int) -> Callable[[Sequence[Sequence[int]]], None]:
    def on_batch(token_ids: Sequence[Sequence[int]]) -> None:
        if len(token_ids) > texts:
            raise OutOfMemory

    return on_batch


def _failures_of(batcher: Batcher[Encoder]) -> list[Failure]:
    failures: list[Failure] = []
    batcher.on_failure(failures.append)
    return failures


def _metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0
