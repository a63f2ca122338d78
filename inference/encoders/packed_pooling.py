"""What a head needs of packed token vectors for its pooling."""

from collections.abc import Callable, Sequence

import torch

from inference.checkpoint import Pooling
from inference.encoders.packed_batch import PackedBatch


def has_fixed_shape(pooling: Sequence[Pooling]) -> bool:
    """Whether the shapes that :func:`rows_for` gives follow from the batch's size alone."""
    return len(pooling) == 1 and pooling[0] in _ONE_ROW


def rows_for(
    hidden: torch.Tensor, batch: PackedBatch, pooling: Sequence[Pooling]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token vectors (n, m, h) of which a head makes the same as of all, and their mask (n, m).

    Where one vector a text says it all, m is 1; for other poolings the texts are padded.

    Args:
        hidden: token vectors of all texts (t, h).
        batch: where each text lies.
        pooling: the head's.
    """
    if not has_fixed_shape(pooling):
        return _unpack(hidden, batch)
    rows = _ONE_ROW[pooling[0]](hidden, batch.starts.long()).unsqueeze(1)
    return rows, rows.new_ones(rows.shape[:2])


def _mean(hidden: torch.Tensor, starts: torch.Tensor) -> torch.Tensor:
    # Without the check of its arguments, for which the host would wait for the device.
    return torch.segment_reduce(hidden.float(), "mean", offsets=starts, axis=0, unsafe=True)


# An empty text behind a full batch starts, and one before it ends, where there is no token.
def _first(hidden: torch.Tensor, starts: torch.Tensor) -> torch.Tensor:
    return hidden[starts[:-1].clamp(max=len(hidden) - 1)]


def _last(hidden: torch.Tensor, starts: torch.Tensor) -> torch.Tensor:
    return hidden[starts[1:] - 1]


_ONE_ROW: dict[Pooling, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    Pooling.MEAN: _mean,
    Pooling.CLS: _first,
    Pooling.LAST_TOKEN: _last,
}


def _unpack(hidden: torch.Tensor, batch: PackedBatch) -> tuple[torch.Tensor, torch.Tensor]:
    starts = batch.starts.long()
    places = torch.arange(batch.longest, device=hidden.device)
    mask = places < starts.diff().unsqueeze(1)
    # What stands at padding is any token, which the mask hides.
    rows = (starts[:-1, None] + places).clamp(max=len(hidden) - 1)
    return hidden[rows], mask.long()
