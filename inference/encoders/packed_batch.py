"""Texts of a batch laid end to end, without padding, and where each of them starts."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch


class Size(NamedTuple):
    """What a packed batch has room for.

    Attributes:
        tokens: of all texts together.
        texts: how many there are.
        longest: tokens of the longest text.
    """

    tokens: int
    texts: int
    longest: int

    @classmethod
    def of(cls, token_ids: Sequence[Sequence[int]]) -> "Size":
        """The size that exactly these texts need."""
        lengths = [len(row) for row in token_ids]
        return cls(sum(lengths), len(lengths), max(lengths))

    @property
    def numbers(self) -> int:
        """Length of the array that :func:`lay_out` makes."""
        return 2 * self.tokens + self.texts + 1


@dataclass(frozen=True)
class PackedBatch:
    """Texts end to end on the model's device.

    Where the batch has room for more, what lies behind the last text belongs to no text, and the
    texts behind the last one are empty.

    Attributes:
        ids: token ids (1, t).
        positions: what the model's position embedding is asked for (1, t).
        starts: where each text begins (n + 1), int32; the last text ends at the last of them.
        longest: most tokens that a text may have.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    starts: torch.Tensor
    longest: int

    @classmethod
    def read(cls, numbers: torch.Tensor, size: Size) -> "PackedBatch":
        """The batch in an array that :func:`lay_out` made."""
        parts = [size.tokens, size.tokens, size.texts + 1]
        ids, positions, starts = torch.split(numbers, parts)
        return cls(ids.unsqueeze(0), positions.unsqueeze(0), starts.int(), size.longest)


def lay_out(
    token_ids: Sequence[Sequence[int]], size: Size, padding_position: int | None
) -> npt.NDArray[np.int64]:
    """Token ids, positions and starts in one array, so that one copy brings them to the device.

    Args:
        token_ids: of each text.
        size: room for at least these texts.
        padding_position: the position of padding in models of RoBERTa's kind, which count the
            others from the next one on; None for those that count all tokens from 0.
    """
    lengths = np.fromiter(map(len, token_ids), np.int64, len(token_ids))
    total = int(lengths.sum())
    numbers = np.zeros(size.numbers, dtype=np.int64)
    ids, positions, starts = np.split(numbers, [size.tokens, 2 * size.tokens])
    starts[1 : len(lengths) + 1] = lengths.cumsum()
    starts[len(lengths) + 1 :] = total
    ids[:total] = np.fromiter(chain.from_iterable(token_ids), np.int64, total)
    firsts = np.repeat(starts[: len(lengths)], lengths)
    if padding_position is None:
        positions[:total] = np.arange(total) - firsts
    else:
        positions[:total] = _roberta_positions(ids[:total], firsts, padding_position)
    return numbers


def _roberta_positions(
    ids: npt.NDArray[np.int64], firsts: npt.NDArray[np.int64], padding: int
) -> npt.NDArray[np.int64]:
    """Positions as RoBERTa makes them of ids alone: the padding's id, even in a text, has its own.

    Args:
        ids: of all texts (t).
        firsts: place in ``ids`` of the first token of each token's text (t).
        padding: id and position of padding.
    """
    counts = (ids != padding).astype(np.int64)
    # Tokens that count, before each place.
    before = counts.cumsum() - counts
    numbered: npt.NDArray[np.int64] = (before - before[firsts] + 1) * counts + padding
    return numbered
