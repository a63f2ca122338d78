from typing import Any

import numpy as np
import pytest
import torch
from transformers.models.roberta.modeling_roberta import RobertaEmbeddings

from inference.encoders.packed_batch import PackedBatch, Size, lay_out

create_position_ids: Any = RobertaEmbeddings.create_position_ids_from_input_ids

TEXTS = [[5, 6, 7], [8], [9, 5]]


def _read(texts: list[list[int]], size: Size, padding_position: int | None = None) -> PackedBatch:
    return PackedBatch.read(torch.from_numpy(lay_out(texts, size, padding_position)), size)


def test_texts_lie_end_to_end() -> None:
    size = Size.of(TEXTS)
    batch = _read(TEXTS, size)
    assert size == Size(tokens=6, texts=3, longest=3)
    assert batch.ids.tolist() == [[5, 6, 7, 8, 9, 5]]
    assert batch.positions.tolist() == [[0, 1, 2, 0, 0, 1]]
    assert batch.starts.tolist() == [0, 3, 4, 6]
    assert batch.starts.dtype == torch.int32
    assert batch.longest == 3


def test_room_that_is_left_belongs_to_no_text() -> None:
    batch = _read(TEXTS, Size(tokens=8, texts=5, longest=128))
    assert batch.ids.tolist() == [[5, 6, 7, 8, 9, 5, 0, 0]]
    assert batch.positions.tolist() == [[0, 1, 2, 0, 0, 1, 0, 0]]
    assert batch.starts.tolist() == [0, 3, 4, 6, 6, 6]


@pytest.mark.parametrize("padding", [0, 1, 3])
def test_positions_are_those_that_roberta_makes_of_padded_texts(padding: int) -> None:
    """With the padding's own id at the start, in the middle and at the end of a text, too."""
    random = np.random.default_rng(0)
    texts = [random.integers(5, size=length).tolist() for length in (1, 9, 4, 17, 1)]
    batch = _read(texts, Size.of(texts), padding)
    expected = [create_position_ids(torch.tensor([row]), padding) for row in texts]
    assert batch.positions.tolist() == torch.cat(expected, dim=1).tolist()
