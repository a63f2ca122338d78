"""Texts that wait for the model, and which of them share its next batch."""

import time
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inference.checkpoint import Kind

Row = npt.NDArray[np.float32]
"""What a model makes of one text: a vector, or numbers for each of its tokens."""

Rows = list[Row]

# Least share of a batch that must be text: below it, a text waits for a batch of its own length.
_MIN_FILL = 0.75


@dataclass
class Usage:
    """What the jobs of one request cost, together.

    Attributes:
        queue_s: seconds from the queue to the start of the first batch with one of its texts.
        model_s: seconds that batches with its texts took.
    """

    queue_s: float | None = None
    model_s: float = 0.0


class Slice(NamedTuple):
    """Part of a request that waits as one job: token ids a text, and the tower they go through."""

    ids: Sequence[list[int]]
    tower: Kind = "document"


class Job:
    """Texts of one request that wait together, as token ids in the order they should run.

    Attributes:
        ids: token ids a text.
        tokens: of all texts together.
        deadline: ``time.monotonic()`` after which they need not start any more.
        usage: shared by the jobs of the request.
        tower: the encoder they go through.
        future: gets what the model makes of each text, or the error.
        taken: how many of the texts have gone into a batch.
    """

    def __init__(
        self, ids: Sequence[list[int]], deadline: float, usage: Usage, tower: Kind = "document"
    ) -> None:
        self.ids = ids
        self.tokens = sum(map(len, ids))
        self.deadline = deadline
        self.tower = tower
        self.usage = usage
        self.submitted = time.monotonic()
        self.future: Future[Rows] = Future()
        self.taken = 0
        self._rows: dict[int, Row] = {}

    @property
    def waiting_tokens(self) -> int:
        return sum(len(row) for row in self.ids[self.taken :])

    @property
    def waiting_texts(self) -> int:
        return len(self.ids) - self.taken

    def put(self, index: int, row: Row) -> None:
        """Stores what became of one text; with the last one the future is resolved."""
        self._rows[index] = row
        if len(self._rows) == len(self.ids):
            # The watch may fail a job that the model finishes at the same time.
            with suppress(InvalidStateError):
                self.future.set_result([self._rows[place] for place in range(len(self.ids))])

    def fail(self, error: Exception) -> None:
        with suppress(InvalidStateError):
            self.future.set_exception(error)


def fill_batch(jobs: Iterable[Job], budget: int) -> list[tuple[Job, int]]:
    """Takes the texts of the next batch: (job, index of the text in it).

    The first text of the oldest job always goes in, whatever its length; then one text of each job
    of its tower in turn, so that a caller with few texts rides along with one that has many. A text
    is left for later when the padded batch would cost more than ``budget`` tokens or be mostly
    padding.
    """
    batch: list[tuple[Job, int]] = []
    longest = tokens = 0
    candidates = deque(jobs)
    if candidates:
        tower = candidates[0].tower
        candidates = deque(job for job in candidates if job.tower == tower)
    while candidates:
        job = candidates.popleft()
        length = len(job.ids[job.taken])
        padded = max(longest, length) * (len(batch) + 1)
        if batch and (padded > budget or tokens + length < _MIN_FILL * padded):
            continue
        batch.append((job, job.taken))
        job.taken += 1
        longest = max(longest, length)
        tokens += length
        if job.taken < len(job.ids):
            candidates.append(job)
    return batch
