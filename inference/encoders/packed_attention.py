"""Attention over texts that lie end to end, each of which sees itself alone.

transformers lets an attention function be registered by a name, under which every model that asks
its registry for one can use it without knowing.
"""

from itertools import pairwise
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

try:
    from torch.nn.attention.varlen import varlen_attn
except ImportError:  # before torch 2.10
    varlen_attn = None  # type: ignore[assignment]

NAME = "packed"

# Arguments that say what is already known, or that bidirectional attention does not need.
_KNOWN = {"position_ids", "cu_seq_lens_k", "max_length_k", "use_cache"}


def packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    cu_seq_lens_q: torch.Tensor,
    max_length_q: int,
    scaling: float | None = None,
    dropout: float = 0.0,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """What the texts' tokens (1, t, heads, d) gather of each other.

    Args:
        module: the layer that asks.
        query, key, value: (1, heads, t, d).
        attention_mask: None, as no text has padding.
        cu_seq_lens_q: where each text begins (n + 1), int32; the last text ends at the last.
        max_length_q: most tokens that a text may have.
        scaling: of the products of query and key; None is 1 / sqrt(d).
        dropout: 0, as the model is in eval mode.
        others: what transformers passes besides.

    Raises:
        NotImplementedError: the layer wants more than full attention in both directions.
    """
    wanted = {name for name, given in others.items() if given is not None and given is not False}
    if attention_mask is not None or getattr(module, "is_causal", False):
        wanted.add("a mask")
    if refused := sorted(wanted - _KNOWN):
        raise NotImplementedError(f"attention with {', '.join(refused)}")
    states = [tensor.squeeze(0).transpose(0, 1) for tensor in (query, key, value)]
    if query.is_cuda:
        gathered = _flash(states, cu_seq_lens_q, max_length_q, scaling)
    else:
        gathered = _one_by_one(states, cu_seq_lens_q, scaling)
    return gathered.unsqueeze(0), None


def _flash(
    states: list[torch.Tensor], starts: torch.Tensor, longest: int, scaling: float | None
) -> torch.Tensor:
    """All texts in one kernel, in bf16 or fp16; query, key and value are (t, heads, d)."""
    if varlen_attn is None:
        raise NotImplementedError(f"torch {torch.__version__} has no varlen_attn")
    query, key, value = states
    gathered = varlen_attn(query, key, value, starts, starts, longest, longest, scale=scaling)
    assert isinstance(gathered, torch.Tensor)
    return gathered


def _one_by_one(
    states: list[torch.Tensor], starts: torch.Tensor, scaling: float | None
) -> torch.Tensor:
    """The same one text after the other, where there is no such kernel."""
    gathered = torch.zeros_like(states[0])
    for start, stop in pairwise(starts.tolist()):
        query, key, value = (tensor[start:stop].transpose(0, 1) for tensor in states)
        text = scaled_dot_product_attention(query, key, value, scale=scaling)
        gathered[start:stop] = text.transpose(0, 1)
    return gathered


AttentionInterface.register(NAME, packed_attention)
