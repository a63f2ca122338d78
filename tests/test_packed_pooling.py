import pytest
import torch

from inference.checkpoint import Pooling
from inference.encoders.head import pool
from inference.encoders.packed_batch import PackedBatch, Size, lay_out
from inference.encoders.packed_pooling import has_fixed_shape, rows_for

LENGTHS = [3, 1, 5]
WIDTH = 4
EVERY = [[mode] for mode in Pooling] + [[Pooling.CLS, Pooling.MEAN], [Pooling.MEAN, Pooling.MAX]]


def _batch(size: Size) -> PackedBatch:
    numbers = lay_out([[7] * length for length in LENGTHS], size, None)
    return PackedBatch.read(torch.from_numpy(numbers), size)


def _pool(hidden: torch.Tensor, batch: PackedBatch, pooling: list[Pooling]) -> torch.Tensor:
    rows, mask = rows_for(hidden, batch, pooling)
    return pool(rows.float(), mask, pooling)


@pytest.mark.parametrize("room", [0, 4])
@pytest.mark.parametrize("pooling", EVERY)
def test_pools_as_padded_texts_are(pooling: list[Pooling], room: int) -> None:
    torch.manual_seed(0)
    hidden = torch.randn(9 + room, WIDTH)
    # What no text owns may be anything.
    hidden[9:] = torch.nan
    expected = torch.cat(
        [
            pool(part.unsqueeze(0), torch.ones(1, len(part)), pooling)
            for part in torch.split(hidden[:9], LENGTHS)
        ]
    )
    vectors = _pool(hidden, _batch(Size(9 + room, 3, 5)), pooling)
    torch.testing.assert_close(vectors, expected)


@pytest.mark.parametrize("room", [0, 4])
@pytest.mark.parametrize("mode", [mode for mode in Pooling if has_fixed_shape([mode])])
def test_empty_texts_do_no_harm(mode: Pooling, room: int) -> None:
    hidden = torch.randn(9 + room, WIDTH)
    exact = _pool(hidden[:9], _batch(Size(9, 3, 5)), [mode])
    roomy = _pool(hidden, _batch(Size(9 + room, 6, 128)), [mode])
    assert roomy.shape == (6, WIDTH)
    torch.testing.assert_close(roomy[:3], exact)


def test_means_are_taken_in_fp32() -> None:
    hidden = torch.full((9, WIDTH), 1.0, dtype=torch.bfloat16)
    hidden[4] = 2.0**-9
    rows, mask = rows_for(hidden, _batch(Size(9, 3, 5)), [Pooling.MEAN])
    assert rows.dtype == mask.dtype == torch.float32
    assert rows[2, 0, 0].item() == pytest.approx((4 + 2.0**-9) / 5, rel=1e-6)


@pytest.mark.parametrize("pooling", EVERY)
def test_rows_of_fixed_shape_are_one_a_text(pooling: list[Pooling]) -> None:
    rows, mask = rows_for(torch.randn(9, WIDTH), _batch(Size(9, 3, 5)), pooling)
    assert rows.shape[:2] == mask.shape == (3, 1 if has_fixed_shape(pooling) else 5)
