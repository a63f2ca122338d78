"""Texts of one request to vectors: tokenised in the caller's thread, fed to the batcher in slices.

A request of any size keeps at most two slices of about one batch each in the queue. So a large one
shares the model with small ones, and needs memory for its vectors but not for all its tokens.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Literal

import numpy as np
import numpy.typing as npt

from inference import metrics
from inference.batcher import Batcher
from inference.checkpoint import Kind
from inference.encoders.base import Encoder, Side
from inference.errors import EmptyInput, InvalidInput
from inference.job import Slice, Usage
from inference.result import EncodedTexts, Timing
from inference.similarity import Vectors, cut_dimensions
from inference.tokenizer import Text, TruncationSide
from inference.vector_cache import Reading, VectorCache, key_of

# Texts tokenised, and sorted by length, at a time.
_WINDOW_TEXTS = 2048

_MAX_FAULTS = 20


@dataclass(frozen=True)
class TextGroup:
    """Texts that play one part in a request.

    Attributes:
        texts: the texts, or token ids of them.
        kind: the tower they go through.
        label: how the caller knows a text by its number, such as ``documents[{}]``.
        first: number of the first text.
    """

    texts: Sequence[Text]
    kind: Kind
    label: str
    first: int = 0

    def item(self, index: int) -> str:
        """The text at ``index`` as the caller knows it."""
        return self.label.format(self.first + index)


@dataclass(frozen=True)
class ReadOptions:
    """How texts are read.

    Attributes:
        max_length: most tokens of a text, special tokens included; None takes the model's.
        truncate: cut longer texts; False makes them an error.
        long: read longer texts in passages of max_length (None: 128) instead.
        truncation_side: the end that is cut off.
    """

    max_length: int | None = None
    truncate: bool = True
    long: Literal["truncate", "chunk"] = "truncate"
    truncation_side: TruncationSide = "right"


@dataclass
class _Unique:
    """One distinct text, how it is read, and where it stands first, for messages.

    ``row`` is its place among the distinct texts; ``key`` is what a cache knows it by.
    """

    row: int
    text: Text
    kind: Kind
    side: Side
    item: str
    key: bytes = b""


@dataclass
class _Run:
    """What one request fills while its slices pass."""

    vectors: Vectors
    lengths: npt.NDArray[np.int64]
    read: npt.NDArray[np.int64]
    timing: Timing
    submitted: deque[list[_Unique]] = field(default_factory=deque)
    usage: Usage = field(default_factory=Usage)


class Pipeline:
    """Feeds a batcher.

    Args:
        batcher: owner of the model.
        deadline_s: seconds within which each slice must have started.
        dimensions: cuts all vectors to so many numbers; 0 keeps them whole.
        slices_ahead: slices of a request in the queue. With one, and nobody else, batches do not
            depend on timing, so that the same texts give the same vectors to the last bit.
        cache: knows vectors of texts that were read before.
    """

    def __init__(
        self,
        batcher: Batcher[Encoder],
        *,
        deadline_s: float,
        dimensions: int = 0,
        slices_ahead: int = 2,
        cache: VectorCache | None = None,
    ) -> None:
        self._batcher = batcher
        self._deadline_s = deadline_s
        self._dimensions = dimensions
        self._slices_ahead = slices_ahead
        self._cache = cache

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self._dimensions or self._batcher.model.dim

    def encode(
        self, groups: Sequence[TextGroup], options: ReadOptions, timing: Timing
    ) -> list[EncodedTexts]:
        """Encodes the texts of all groups together; a text that comes twice is read once.

        Counts of tokens are the same whether a text is read or its vector known.

        Raises:
            InvalidInput: an empty text, a text over the length that must not be cut, token ids of
                another vocabulary, or a max_length that the model does not have.
        """
        max_tokens = self.max_tokens(options)
        for group in groups:
            check_not_empty(group)
            _check_ids(group, self._batcher.model.vocabulary_size(group.kind))
        unique, positions = _distinct(groups, self._batcher.model.side)
        run = self._start_run(len(unique), timing)
        slices = (
            part
            for start in range(0, len(unique), _WINDOW_TEXTS)
            for part in self._window(
                run, unique[start : start + _WINDOW_TEXTS], start, max_tokens, options
            )
        )
        with closing(
            self._batcher.run(
                slices, deadline_s=self._deadline_s, usage=run.usage, ahead=self._slices_ahead
            )
        ) as answered:
            for rows in answered:
                self._keep(run, np.stack(rows))
        timing.queue += 1000 * (run.usage.queue_s or 0.0)
        timing.inference += 1000 * run.usage.model_s
        return _spread(groups, positions, run)

    def max_tokens(self, options: ReadOptions) -> int:
        """Most tokens of a text that the options let the model read.

        Raises:
            InvalidInput: more or fewer than it can.
        """
        encoder = self._batcher.model
        if options.max_length is None:
            return encoder.max_tokens
        if not encoder.min_tokens <= options.max_length <= encoder.max_tokens:
            raise InvalidInput(
                f"max_length must be from {encoder.min_tokens} to {encoder.max_tokens}, "
                f"what this model reads; it is {options.max_length}.",
                item="max_length",
            )
        return options.max_length

    def _start_run(self, texts: int, timing: Timing) -> _Run:
        return _Run(
            vectors=np.empty((texts, self.dim), dtype=np.float32),
            lengths=np.empty(texts, dtype=np.int64),
            read=np.empty(texts, dtype=np.int64),
            timing=timing,
        )

    def _window(
        self,
        run: _Run,
        window: list[_Unique],
        start: int,
        max_tokens: int,
        options: ReadOptions,
    ) -> Iterator[Slice]:
        """The slices of some texts, the first of which is in row ``start`` of the run."""
        unread = self._recall(run, window, max_tokens, options.truncation_side)
        ids = self._tokenize(run, unread, max_tokens, options.truncation_side)
        read = run.read[start : start + len(window)]
        cut = run.lengths[start : start + len(window)] > read
        if not options.truncate and cut.any():
            raise _over_long(window, run.lengths[start:], read, np.flatnonzero(cut))
        metrics.observe_texts(read.tolist(), cut=int(cut.sum()))
        # Neighbours of like length share a batch with little padding.
        lengths = [len(row) for row in ids]
        order = np.argsort([-length for length in lengths], kind="stable").tolist()
        for tower in dict.fromkeys(unique.side.tower for unique in unread):
            of_tower = [place for place in order if unread[place].side.tower == tower]
            for places in _slices(of_tower, lengths, self._batcher.batch_tokens):
                run.submitted.append([unread[place] for place in places])
                yield Slice([ids[place] for place in places], tower)

    def _recall(
        self, run: _Run, window: list[_Unique], max_tokens: int, side: TruncationSide
    ) -> list[_Unique]:
        """Fills the rows of the texts that are known; the others."""
        if self._cache is None:
            return window
        for unique in window:
            unique.key = key_of(unique.text, Reading(unique.side, max_tokens, side))
        unread = []
        found = self._cache.get([unique.key for unique in window])
        for unique, known in zip(window, found, strict=True):
            if known is None:
                unread.append(unique)
                continue
            run.vectors[unique.row] = np.frombuffer(known.vector, dtype=np.float32)
            run.lengths[unique.row] = known.length
            run.read[unique.row] = known.read
        return unread

    def _tokenize(
        self, run: _Run, texts: list[_Unique], max_tokens: int, side: TruncationSide
    ) -> list[list[int]]:
        began = time.perf_counter()
        ids: list[list[int]] = []
        for kind, alike in groupby(texts, key=lambda unique: unique.kind):
            group = list(alike)
            tokenized = self._batcher.model.tokenize(
                [unique.text for unique in group], kind, max_tokens, side
            )
            rows = [unique.row for unique in group]
            run.lengths[rows] = tokenized.lengths
            run.read[rows] = [len(row) for row in tokenized.ids]
            ids += tokenized.ids
        run.timing.tokenize += 1000 * (time.perf_counter() - began)
        return ids

    def _keep(self, run: _Run, vectors: Vectors) -> None:
        """Puts the vectors of the oldest slice in their rows, and in the cache."""
        if self.dim < vectors.shape[1]:
            vectors = cut_dimensions(vectors, self.dim)
        texts = run.submitted.popleft()
        rows = [unique.row for unique in texts]
        run.vectors[rows] = vectors
        if self._cache is not None:
            keys = [unique.key for unique in texts]
            self._cache.put(keys, vectors, run.lengths[rows].tolist(), run.read[rows].tolist())


def check_not_empty(group: TextGroup) -> None:
    """Refuses texts without any visible character, naming them.

    Raises:
        EmptyInput: some are empty; the first 20 are named.
    """
    empty = (
        index
        for index, text in enumerate(group.texts)
        if not (text.strip() if isinstance(text, str) else text)
    )
    items = [group.item(index) for index in islice(empty, _MAX_FAULTS)]
    if items:
        raise EmptyInput(
            f"{items[0]} is empty: every text needs at least one character that is not a space.",
            item=items[0],
            faults=[(item, "The text is empty.") for item in items],
        )


def _check_ids(group: TextGroup, vocabulary_size: int) -> None:
    for index, text in enumerate(group.texts):
        if not isinstance(text, str) and not 0 <= min(text) <= max(text) < vocabulary_size:
            item = group.item(index)
            raise InvalidInput(
                f"{item} has a token id that is not among the {vocabulary_size:,} of this model's "
                "vocabulary: take the ids from its own tokenizer, or send the text.",
                item=item,
            )


def _distinct(
    groups: Sequence[TextGroup], side_of: Callable[[Kind], Side]
) -> tuple[list[_Unique], npt.NDArray[np.intp]]:
    """The distinct texts of all groups, and for each text the row of its like."""
    rows: dict[tuple[Side, Text], int] = {}
    unique: list[_Unique] = []
    positions = np.empty(sum(len(group.texts) for group in groups), dtype=np.intp)
    position = 0
    for group in groups:
        side = side_of(group.kind)
        for index, text in enumerate(group.texts):
            row = rows.setdefault((side, text), len(unique))
            if row == len(unique):
                unique.append(_Unique(row, text, group.kind, side, group.item(index)))
            positions[position] = row
            position += 1
    return unique, positions


def _spread(
    groups: Sequence[TextGroup], positions: npt.NDArray[np.intp], run: _Run
) -> list[EncodedTexts]:
    encoded, start = [], 0
    for group in groups:
        rows = positions[start : start + len(group.texts)]
        start += len(group.texts)
        lengths, read = run.lengths[rows], run.read[rows]
        encoded.append(
            EncodedTexts(run.vectors[rows], lengths, lengths > read, tokens=int(read.sum()))
        )
    return encoded


def _slices(order: list[int], lengths: list[int], budget: int) -> Iterator[list[int]]:
    """Cuts rows, longest first, into runs of about one batch's padded cost."""
    start = 0
    while start < len(order):
        texts = max(1, budget // max(1, lengths[order[start]]))
        yield order[start : start + texts]
        start += texts


def _over_long(
    window: list[_Unique],
    lengths: npt.NDArray[np.int64],
    read: npt.NDArray[np.int64],
    rows: npt.NDArray[np.intp],
) -> InvalidInput:
    faults = [
        (window[row].item, f"The text has {lengths[row]:,} tokens.") for row in rows[:_MAX_FAULTS]
    ]
    return InvalidInput(
        f"{faults[0][0]} has {lengths[rows[0]]:,} tokens, more than the {read[rows[0]]:,} that are "
        "read: shorten it, or send truncate: true.",
        item=faults[0][0],
        faults=faults,
    )
