from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from inference.encoders.packed_attention import _flash, packed_attention

HEADS, WIDTH = 2, 8
LENGTHS = [3, 1, 5]
STARTS = torch.tensor([0, 3, 4, 9, 9], dtype=torch.int32)


def _states(tokens: int = 9) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(1, HEADS, tokens, WIDTH) for _ in range(3)]


def _gather(
    states: list[torch.Tensor],
    layer: torch.nn.Module | None = None,
    mask: torch.Tensor | None = None,
    **others: Any,
) -> torch.Tensor:
    query, key, value = states
    gathered, weights = packed_attention(
        layer or torch.nn.Module(),
        query,
        key,
        value,
        mask,
        cu_seq_lens_q=STARTS,
        max_length_q=5,
        **others,
    )
    assert weights is None
    return gathered


@pytest.mark.parametrize("scaling", [None, 0.5])
def test_each_text_sees_itself_alone(scaling: float | None) -> None:
    states = _states()
    gathered = _gather(states, scaling=scaling, use_cache=False, sliding_window=None)
    alone = [
        scaled_dot_product_attention(query, key, value, scale=scaling)
        for query, key, value in zip(
            *(torch.split(tensor, LENGTHS, dim=2) for tensor in states), strict=True
        )
    ]
    assert gathered.shape == (1, 9, HEADS, WIDTH)
    torch.testing.assert_close(gathered, torch.cat(alone, dim=2).transpose(1, 2))


def test_what_belongs_to_no_text_stays_finite() -> None:
    assert _gather(_states(12)).isfinite().all()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("sliding_window", 8),
        ("softcap", 30.0),
        ("is_causal", True),
        ("position_bias", torch.zeros(1, HEADS, 9, 9)),
    ],
)
def test_what_would_be_ignored_is_refused(name: str, wanted: Any) -> None:
    with pytest.raises(NotImplementedError, match=name):
        _gather(_states(), **{name: wanted})


class _Causal(torch.nn.Module):
    is_causal = True


@pytest.mark.parametrize(
    ("layer", "mask"), [(_Causal(), None), (torch.nn.Module(), torch.zeros(1, 1, 9, 9))]
)
def test_masks_are_refused(layer: torch.nn.Module, mask: torch.Tensor | None) -> None:
    with pytest.raises(NotImplementedError, match="a mask"):
        _gather(_states(), layer, mask)


@pytest.mark.skipif(
    not find_spec("torch.nn.attention.varlen"), reason="this torch has no varlen_attn"
)
def test_the_kernel_is_called_as_this_torch_declares_it() -> None:
    """On tensors without data: what it computes shows on CUDA only."""
    states = [torch.empty(9, HEADS, WIDTH, dtype=torch.bfloat16, device="meta") for _ in range(3)]
    assert _flash(states, STARTS.to("meta"), 5, 0.5).shape == (9, HEADS, WIDTH)
