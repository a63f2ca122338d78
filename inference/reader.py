"""Extractive question answering: the part of a text that answers a question.

A context of any length is read in overlapping windows. All windows of all contexts share one
softmax over starts and one over ends, so that their spans can be compared; of one window alone, a
span has the score that transformers' question-answering pipeline gives it.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inference.batcher import Batcher
from inference.chunk import trim
from inference.errors import EmptyInput, InvalidInput
from inference.job import Row, Slice, Usage
from inference.lifecycle import Failure, State
from inference.reader_model import ReaderModel
from inference.result import Timing
from inference.spans import best_spans, keep_apart, without_overlaps
from inference.tokenizer import PairWindow, Tokenizer

if TYPE_CHECKING:
    from inference.torch_reader import TorchReader

# Spans of a window that are looked at for each answer wanted: most lie over better ones.
_SPANS_AN_ANSWER = 20

MAX_ANSWERS = 20

_SLICE_WINDOWS = 16
_SLICES_AHEAD = 2


@dataclass(frozen=True)
class Answer:
    """A part of a document: ``documents[document_index][start:end]``.

    Attributes:
        text: the part.
        score: probability of its start times that of its end.
        start, end: its characters.
        document_index: of the document.
    """

    text: str
    score: float
    start: int
    end: int
    document_index: int


@dataclass(frozen=True)
class Answers:
    """What a reader found.

    Attributes:
        answers: the best spans, best first, without overlaps.
        no_answer_score: probability that no document holds an answer.
        found: whether the best one is held for an answer.
        tokens: how many were read.
        timing: where the time went.
    """

    answers: list[Answer]
    no_answer_score: float
    found: bool
    tokens: int
    timing: Timing


class Reader:
    """Answers questions from texts with one model. Any thread may call it.

    The model is loaded for the first question, unless :meth:`start` was called before; questions
    wait for it.

    Args:
        model: its files.
        no_answer_threshold: log-odds of no answer against the best one beyond which there is none;
            None takes the model's, and without that the best one always counts.
        device, precision, threads: as in :func:`inference.encoders.load_encoder`.
        max_waiting_tokens, hang_timeout_s: as in :class:`inference.batcher.Batcher`.
        deadline_s: seconds within which each part of a request must have started.
    """

    def __init__(
        self,
        model: ReaderModel,
        *,
        no_answer_threshold: float | None = None,
        device: str = "auto",
        precision: str = "auto",
        threads: int = 0,
        max_waiting_tokens: int = 262_144,
        deadline_s: float = 60.0,
        hang_timeout_s: float = 120.0,
    ) -> None:
        self.model = model
        self._threshold = (
            model.no_answer_threshold if no_answer_threshold is None else no_answer_threshold
        )
        self._deadline_s = deadline_s
        self._tokenizer: Tokenizer | None = None

        def load() -> "TorchReader":
            # Imported here, because torch takes seconds and hundreds of megabytes.
            from inference.torch_reader import TorchReader

            self._tokenizer = Tokenizer.load(model.checkpoint)
            return TorchReader(
                model.checkpoint,
                model.lightning,
                self._tokenizer,
                device=device,
                precision=precision,
                threads=threads,
            )

        self._batcher: Batcher[TorchReader] = Batcher(
            load, max_waiting_tokens=max_waiting_tokens, hang_timeout_s=hang_timeout_s
        )
        self._starting = threading.Lock()
        self._is_started = False

    def start(self) -> None:
        """Starts to load the model, in a thread of its own, if nobody has; returns at once."""
        with self._starting:
            if not self._is_started:
                self._is_started = True
                self._batcher.start()

    def close(self) -> None:
        """Takes no more work, and returns when what waits is done, or after a few seconds."""
        self._batcher.close()

    def on_failure(self, callback: Callable[[Failure], None]) -> None:
        """Calls ``callback`` once the model has failed for good."""
        self._batcher.on_failure(callback)

    @property
    def state(self) -> State:
        return self._batcher.state

    def answer(self, question: str, documents: Sequence[str], *, n_best: int = 1) -> Answers:
        """The parts of the documents that answer the question best.

        Raises:
            EmptyInput: the question or a document is empty.
            InvalidInput: more answers are asked for than are given.
            ModelUnavailable: the model is not loaded by the deadline, or has failed.
            Overloaded, DeadlineExceeded: it has no time for this.
        """
        _check(question, documents, n_best)
        self.start()
        self._batcher.wait_until_loaded(self._deadline_s)
        # Where the model is not loaded, there is no tokenizer either.
        _ = self._batcher.model
        timing = Timing()
        began = time.perf_counter()
        owners, windows = self._windows(question, documents)
        timing.tokenize = 1000 * (time.perf_counter() - began)
        usage = Usage()
        logits = self._read(windows, usage)
        timing.queue = 1000 * (usage.queue_s or 0.0)
        timing.inference = 1000 * usage.model_s
        answers, no_answer_score = self._decode(documents, owners, windows, logits, n_best)
        timing.total = 1000 * (time.perf_counter() - began)
        return Answers(
            answers,
            no_answer_score,
            self._is_found(answers, no_answer_score),
            tokens=sum(len(window.ids) for window in windows),
            timing=timing,
        )

    def _windows(
        self, question: str, documents: Sequence[str]
    ) -> tuple[list[int], list[PairWindow]]:
        """The windows of all documents, and the document of each; blank ones are left out."""
        assert self._tokenizer is not None
        limits = self.model.limits
        owners: list[int] = []
        windows: list[PairWindow] = []
        for index, document in enumerate(documents):
            found = self._tokenizer.pair_windows(
                question,
                document,
                max_tokens=limits.max_seq_length,
                max_question_tokens=limits.max_query_length,
                step=limits.doc_stride,
            )
            found = [window for window in found if window.spans]
            owners += [index] * len(found)
            windows += found
        return owners, windows

    def _read(self, windows: Sequence[PairWindow], usage: Usage) -> list[Row]:
        """Logits (2, tokens) of each window; a long text keeps two slices in the queue."""
        slices = (
            Slice([window.ids for window in windows[start : start + _SLICE_WINDOWS]])
            for start in range(0, len(windows), _SLICE_WINDOWS)
        )
        with closing(
            self._batcher.run(slices, deadline_s=self._deadline_s, usage=usage, ahead=_SLICES_AHEAD)
        ) as answered:
            return [row for rows in answered for row in rows]

    def _decode(
        self,
        documents: Sequence[str],
        owners: Sequence[int],
        windows: Sequence[PairWindow],
        logits: Sequence[Row],
        n_best: int,
    ) -> tuple[list[Answer], float]:
        """The best spans of all windows, and the score of none."""
        if not windows:
            return [], 1.0
        readable = [
            rows[:, window.first : window.first + len(window.spans)]
            for window, rows in zip(windows, logits, strict=True)
        ]
        # The special token in front stands for no answer.
        nothing = np.array([rows[:, 0] for rows in logits])
        whole = np.concatenate([nothing.T, *readable], axis=1).astype(np.float64)
        normaliser = float(np.logaddexp.reduce(whole, axis=1).sum())
        found: list[Answer] = []
        for owner, window, (starts, ends) in zip(owners, windows, readable, strict=True):
            document = documents[owner]
            # Some vocabularies count the space before a word as a part of it, or as a token.
            parts = {
                span: trim(document, window.spans[span.start][0], window.spans[span.end][1])
                for span in best_spans(
                    starts,
                    ends,
                    longest=self.model.limits.max_answer_length,
                    count=_SPANS_AN_ANSWER * n_best,
                )
            }
            filled = (span for span, part in parts.items() if part.start < part.end)
            for span in without_overlaps(filled, n_best):
                start, end = parts[span].start, parts[span].end
                score = float(np.exp(span.score - normaliser))
                found.append(Answer(document[start:end], score, start, end, owner))
        found.sort(key=lambda answer: -answer.score)
        # A question that one window answers is answered, whatever the others lack.
        no_answer_score = float(np.exp(nothing.sum(axis=1).min() - normaliser))
        return keep_apart(found, n_best, _overlap), no_answer_score

    def _is_found(self, answers: Sequence[Answer], no_answer_score: float) -> bool:
        if not answers:
            return False
        if self._threshold is None:
            return True
        tiny = np.finfo(np.float64).tiny
        odds = np.log(max(no_answer_score, tiny)) - np.log(max(answers[0].score, tiny))
        return bool(odds <= self._threshold)


def _overlap(answer: Answer, other: Answer) -> bool:
    """Whether two answers share a character."""
    return (
        answer.document_index == other.document_index
        and answer.start < other.end
        and other.start < answer.end
    )


def _check(question: str, documents: Sequence[str], n_best: int) -> None:
    if not question.strip():
        raise EmptyInput("question is empty: ask something.", item="question")
    if not any(document.strip() for document in documents):
        raise EmptyInput(
            "There is no text to find an answer in: give a context, or documents.", item="context"
        )
    if not 1 <= n_best <= MAX_ANSWERS:
        raise InvalidInput(f"n_best must be from 1 to {MAX_ANSWERS}.", item="n_best")
