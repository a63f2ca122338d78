"""One thread that owns the model, and the bounded queue in front of it.

Callers hand token ids over and wait. The thread takes what waits, fills a batch up to a token
budget, runs it, answers, and repeats; requests gather while the model works, so there is no linger
timer. Padding costs as much as text, so the budget counts texts times the longest of them.

Where the model can run two batches at once, a small request overtakes a large one: a second batcher
around the same model runs it beside what it would have waited for. Smaller batches would not do in
its place: one long text alone costs a dozen times as much as a query, and cannot be divided.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np

from inference import metrics
from inference.checkpoint import Kind
from inference.encoders.base import OutOfMemory
from inference.errors import (
    DeadlineExceeded,
    ModelUnavailable,
    Overloaded,
    SsangError,
    TooLarge,
)
from inference.job import Job, Row, Rows, Slice, Usage, fill_batch
from inference.lifecycle import Failure, Lifecycle, State

log = logging.getLogger(__name__)

# After so many deaths the model's thread is not started again.
_MAX_RESTARTS = 5

_WATCH_INTERVAL_S = 1.0

_CLOSE_S = 5.0

# A request is small up to this share of a batch. What several of them wait for beside a large batch
# is a batch of their like.
_SMALL_SHARE = 1 / 4


class BatchModel(Protocol):
    """What a batcher needs of a model. One thread alone calls ``encode``, or two with express."""

    @property
    def batch_tokens(self) -> int:
        """Padded tokens of a batch beyond which this device gains little."""

    def encode(self, token_ids: Sequence[Sequence[int]], tower: Kind = "document") -> Iterable[Row]:
        """What becomes of each text, in their order.

        Raises:
            OutOfMemory: the batch does not fit the device.
        """


Model = TypeVar("Model", bound=BatchModel)


class Batcher(Generic[Model]):
    """The queue, the model's thread, and its supervision.

    Args:
        load: gives the model; called once, in the model's thread.
        max_batch_tokens: padded tokens of a batch; 0 takes the model's advice.
        max_waiting_tokens: tokens that may wait; more is refused as ``Overloaded``.
        hang_timeout_s: a batch that takes longer has hung for good.
        express: whether two threads may run the model at once, so that small requests overtake.
        name: of its thread, and in the log.
    """

    def __init__(
        self,
        load: Callable[[], Model],
        *,
        max_batch_tokens: int = 0,
        max_waiting_tokens: int = 262_144,
        hang_timeout_s: float = 120.0,
        express: Callable[[Model], bool] | None = None,
        name: str = "model",
    ) -> None:
        self._load = load
        self._max_batch_tokens = max_batch_tokens
        self._max_waiting_tokens = max_waiting_tokens
        self._hang_timeout_s = hang_timeout_s
        self._has_express = express
        self._name = name
        self._model: Model | None = None
        self._express: Batcher[Model] | None = None
        self._loading_ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._watcher: threading.Thread | None = None
        self._changed = threading.Condition()
        self._life = Lifecycle(self._changed)
        self._life.on_failure(lambda failure: self._fail_everything(failure.message))
        self._jobs: deque[Job] = deque()
        self._waiting_tokens = 0
        self._running: list[tuple[Job, int]] = []
        self._running_since = math.inf
        self._tokens_per_s = 0.0
        self._restarts = 0

    def start(self) -> None:
        """Starts the model's thread, which loads the model first, and the watch over it."""
        self._start_model_thread()
        self._watcher = threading.Thread(
            target=self._watch, name=f"{self._name}-watch", daemon=True
        )
        self._watcher.start()

    def wait_until_loaded(self, timeout_s: float) -> None:
        """Returns when the model is loaded or has failed, or after so many seconds."""
        self._loading_ended.wait(timeout_s)

    def close(self) -> None:
        """Takes no more work, and returns when what waits is done, or after a few seconds.

        A process that ends under a thread with native code in it may be aborted, so whoever has
        the time calls this first.
        """
        with self._changed:
            self._life.stop()
            self._changed.notify_all()
        for thread in (self._thread, self._watcher):
            if thread is not None:
                thread.join(timeout=_CLOSE_S)
        if self._express is not None:
            self._express.close()

    def on_failure(self, callback: Callable[[Failure], None]) -> None:
        """Calls ``callback`` when the model has failed for good; at once if it already has."""
        self._life.on_failure(callback)

    @property
    def state(self) -> State:
        return self._life.state

    @property
    def batch_tokens(self) -> int:
        """Padded tokens that a batch may hold."""
        if self._model is None:
            raise self._life.unavailable()
        return self._max_batch_tokens or self._model.batch_tokens

    @property
    def model(self) -> Model:
        """The loaded model.

        Raises:
            ModelUnavailable: it is still loading, has failed or is stopping.
        """
        if self._life.state is State.READY and self._model is not None:
            return self._model
        raise self._life.unavailable()

    def submit(
        self,
        ids: Sequence[list[int]],
        *,
        deadline: float,
        usage: Usage | None = None,
        tower: Kind = "document",
        wait_for_room: bool = False,
    ) -> Job:
        """Puts texts in the queue.

        Args:
            ids: token ids a text, in the order they should run.
            deadline: ``time.monotonic()`` by which they must have started.
            usage: counts what they cost.
            tower: the encoder they go through.
            wait_for_room: wait, until the deadline, while the queue is full, rather than be
                refused; for the later slices of a request that was admitted already.

        Raises:
            Overloaded: the queue is full.
            DeadlineExceeded: there was no room before the deadline.
            ModelUnavailable: the model cannot answer.
        """
        job = Job(ids, deadline, usage or Usage(), tower)
        batcher = self._express if self._express and self._should_overtake(job) else self
        batcher._put(job, wait_for_room=wait_for_room)
        return job

    def _should_overtake(self, job: Job) -> bool:
        """Whether the job is small, and would wait for one that is not."""
        with self._changed:
            if self._life.state is not State.READY or self._is_large(job):
                return False
            running = () if math.isinf(self._running_since) else self._running
            return any(map(self._is_large, self._jobs)) or any(
                self._is_large(other) for other, _ in running
            )

    def _is_large(self, job: Job) -> bool:
        return job.tokens > _SMALL_SHARE * self.batch_tokens

    def _put(self, job: Job, *, wait_for_room: bool) -> None:
        tokens = job.tokens
        with self._changed:
            if wait_for_room and not self._changed.wait_for(
                lambda: self._has_room(tokens) or self._life.state is not State.READY,
                timeout=max(0.0, job.deadline - time.monotonic()),
            ):
                raise _deadline_exceeded()
            if self._life.state is not State.READY:
                raise self._life.unavailable()
            if not self._has_room(tokens):
                metrics.REFUSALS.labels("waiting_tokens").inc()
                raise self._overloaded()
            self._jobs.append(job)
            self._count_waiting(len(job.ids), tokens)
            self._changed.notify_all()

    def run(
        self, slices: Iterable[Slice], *, deadline_s: float, usage: Usage, ahead: int
    ) -> Generator[Rows]:
        """What became of the slices of a request, one after the other.

        Where this is closed early, or an error ends it, what has not started is taken back.

        Args:
            slices: each about a batch; made one by one, as they come to their turn.
            deadline_s: seconds within which each must have started.
            usage: counts what they cost.
            ahead: most of them in the queue at a time.

        Raises:
            Exception: as :meth:`submit` and :meth:`wait` do. Only the first slice is Overloaded.
        """
        pending: deque[Job] = deque()
        admitted = False
        try:
            for ids, tower in slices:
                if len(pending) == ahead:
                    yield self.wait(pending[0])
                    pending.popleft()
                deadline = time.monotonic() + deadline_s
                job = self.submit(
                    ids, deadline=deadline, usage=usage, tower=tower, wait_for_room=admitted
                )
                pending.append(job)
                admitted = True
            while pending:
                yield self.wait(pending[0])
                pending.popleft()
        finally:
            for job in pending:
                self.withdraw(job)

    def wait(self, job: Job) -> Rows:
        """What became of each text of a job.

        Raises:
            DeadlineExceeded: it had not all started by its deadline; it is taken back.
            Exception: whatever went wrong with its batch.
        """
        try:
            return job.future.result(timeout=max(0.0, job.deadline - time.monotonic()))
        except TimeoutError:
            if not job.future.done() and self.withdraw(job):
                raise _deadline_exceeded() from None
        # The last of it runs: this ends with the batch, or when the watch calls it hung.
        return job.future.result()

    def withdraw(self, job: Job) -> bool:
        """Takes back what of a job has not started; whether there was anything."""
        with self._changed:
            if job in self._jobs:
                self._jobs.remove(job)
                self._count_waiting(-job.waiting_texts, -job.waiting_tokens)
                self._changed.notify_all()
                return True
        return self._express is not None and self._express.withdraw(job)

    # The model's thread

    def _start_model_thread(self) -> None:
        thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        thread.start()
        # Only now, so that the watch always sees one that lives.
        self._thread = thread

    def _run(self) -> None:
        try:
            if self._model is None and not self._load_model():
                return
            while batch := self._take_batch():
                self._run_batch(batch)
        except BaseException:
            log.exception("the model's thread died")
            self._restart()
        finally:
            self._loading_ended.set()

    def _load_model(self) -> bool:
        try:
            self._model = self._load()
        except SsangError as error:
            self._life.fail(Failure(error.message, while_loading=True))
            return False
        except Exception as error:
            log.exception("the model could not be loaded")
            reason = f"The model could not be loaded ({type(error).__name__}); see the log."
            self._life.fail(Failure(reason, while_loading=True))
            return False
        if self._has_express is not None and self._has_express(self._model):
            self._express = self._start_express(self._model)
        self._life.become_ready()
        self._loading_ended.set()
        log.info("%s ready", self._name)
        return True

    def _start_express(self, model: Model) -> "Batcher[Model]":
        express = Batcher(
            lambda: model,
            max_batch_tokens=self._max_batch_tokens,
            max_waiting_tokens=self._max_waiting_tokens,
            hang_timeout_s=self._hang_timeout_s,
            name=f"{self._name}-express",
        )
        express.on_failure(self._life.fail)
        express.start()
        # At once, since there is nothing to load.
        express.wait_until_loaded(self._hang_timeout_s)
        return express

    def _take_batch(self) -> list[tuple[Job, int]]:
        """The next batch; empty when the batcher was closed and nothing waits."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._life.state is not State.READY)
            batch = fill_batch(self._jobs, self.batch_tokens)
            self._jobs = deque(job for job in self._jobs if job.taken < len(job.ids))
            self._count_waiting(-len(batch), -sum(len(job.ids[index]) for job, index in batch))
            self._running, self._running_since = batch, time.monotonic()
            self._changed.notify_all()
        return batch

    def _run_batch(self, batch: list[tuple[Job, int]]) -> None:
        started = self._running_since
        ids = [job.ids[index] for job, index in batch]
        for job, index in batch:
            if index == 0:
                waited = started - job.submitted
                metrics.QUEUE_WAIT.observe(waited)
                job.usage.queue_s = waited if job.usage.queue_s is None else job.usage.queue_s
        try:
            rows = self._encode(ids, batch[0][0].tower)
        except Exception as error:
            self._fail_jobs((job for job, _ in batch), error)
            return
        finally:
            self._running_since = math.inf
        seconds = time.monotonic() - started
        self._observe(ids, seconds)
        for usage in {id(job.usage): job.usage for job, _ in batch}.values():
            usage.model_s += seconds
        for (job, index), row in zip(batch, rows, strict=True):
            job.put(index, row)

    def _encode(self, ids: list[list[int]], tower: Kind) -> Rows:
        assert self._model is not None
        try:
            encoded = self._model.encode(ids, tower)
            rows = list(encoded)
        except OutOfMemory:
            if len(ids) == 1:
                raise TooLarge(
                    f"A text of {len(ids[0]):,} tokens does not fit the device's memory: "
                    "send a smaller max_length."
                ) from None
            halves = ids[: len(ids) // 2], ids[len(ids) // 2 :]
            log.warning("out of memory with %d texts: trying halves", len(ids))
            return [row for half in halves for row in self._encode(half, tower)]
        # Vectors in one array are looked at all at once.
        parts = [encoded] if isinstance(encoded, np.ndarray) else rows
        if not all(np.isfinite(part).all() for part in parts):
            raise ModelUnavailable(
                "The model gave numbers that are not finite: "
                "serve it in a higher precision, such as fp32."
            )
        return rows

    def _observe(self, ids: list[list[int]], seconds: float) -> None:
        tokens = sum(len(row) for row in ids)
        metrics.observe_batch(texts=len(ids), tokens=tokens, seconds=seconds)
        rate = tokens / max(seconds, 1e-6)
        self._tokens_per_s = 0.9 * self._tokens_per_s + 0.1 * rate if self._tokens_per_s else rate

    # Supervision

    def _restart(self) -> None:
        if self._life.state is State.FAILED:
            return
        self._restarts += 1
        metrics.MODEL_RESTARTS.inc()
        if self._model is None or self._restarts > _MAX_RESTARTS:
            loading = self._model is None
            when = "while it loaded the model" if loading else "again and again"
            self._life.fail(Failure(f"The model's thread died {when}; see the log.", loading))
            return
        self._fail_everything("The model's thread died and was restarted: send the request again.")
        self._start_model_thread()

    def _watch(self) -> None:
        """Ends with the model's thread, so that no thread holds the model when the process ends."""
        interval_s = min(_WATCH_INTERVAL_S, self._hang_timeout_s / 4)
        while self._life.state is not State.FAILED and self._thread and self._thread.is_alive():
            self._thread.join(interval_s)
            if time.monotonic() - self._running_since > self._hang_timeout_s:
                message = f"The model has not answered for {self._hang_timeout_s:g} seconds."
                self._life.fail(Failure(message, while_loading=False))

    def _fail_everything(self, message: str) -> None:
        with self._changed:
            jobs = [*self._jobs, *(job for job, _ in self._running)]
            self._running, self._running_since = [], math.inf
        self._fail_jobs(jobs, ModelUnavailable(message))

    def _fail_jobs(self, jobs: Iterable[Job], error: Exception) -> None:
        for job in jobs:
            self.withdraw(job)
            job.fail(error)

    # The queue; called with the lock held

    def _has_room(self, tokens: int) -> bool:
        return not self._jobs or self._waiting_tokens + tokens <= self._max_waiting_tokens

    def _count_waiting(self, texts: int, tokens: int) -> None:
        self._waiting_tokens += tokens
        metrics.observe_waiting(texts=texts, tokens=tokens)

    def _overloaded(self) -> Overloaded:
        seconds = self._waiting_tokens / self._tokens_per_s if self._tokens_per_s else 1.0
        return Overloaded(
            f"{self._waiting_tokens:,} tokens already wait for the model: try again later.",
            retry_after_s=max(1, math.ceil(seconds)),
        )


def _deadline_exceeded() -> DeadlineExceeded:
    return DeadlineExceeded(
        "The model had no time for this within the deadline: try again later, or send less."
    )
