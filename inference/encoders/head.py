"""From token vectors to sentence vectors: pooling, dense layers, normalisation, on torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch.nn import Linear, Module

from inference.checkpoint import Checkpoint, DenseLayer, Pooling
from inference.errors import InvalidInput, first_line


class Head(Module):
    """What a checkpoint puts behind its transformer, in fp32, ending in unit vectors."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self._pooling = checkpoint.pooling
        self._layers = torch.nn.ModuleList(_Dense(layer) for layer in checkpoint.dense)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Unit vectors (n, d) of token vectors (n, t, h); ``mask`` (n, t) is 0 at padding."""
        vectors = pool(hidden.float(), mask, self._pooling)
        for layer in self._layers:
            vectors = layer(vectors)
        return torch.nn.functional.normalize(vectors, dim=-1)


class _Dense(Module):
    """A Dense module of sentence-transformers: linear, then an activation."""

    def __init__(self, layer: DenseLayer) -> None:
        super().__init__()
        weights = load_dense_weights(layer.path)
        try:
            self.linear = Linear(
                layer.in_features, layer.out_features, bias="linear.bias" in weights
            )
            self.load_state_dict(weights)
        except RuntimeError as error:
            raise InvalidInput(
                f"The weights of {layer.path} do not fit its config.json: copy the model again."
            ) from error
        self._normalize_first = layer.normalize_first
        self._activation = _activation(layer)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        if self._normalize_first:
            vectors = torch.nn.functional.normalize(vectors, dim=-1)
        activated: torch.Tensor = self._activation(self.linear(vectors))
        return activated


def pool(hidden: torch.Tensor, mask: torch.Tensor, pooling: Sequence[Pooling]) -> torch.Tensor:
    """One vector (n, d) of each text's token vectors (n, t, h), padding left out by mask (n, t).

    Several poolings are joined end to end. As sentence-transformers' Pooling module defines them;
    texts are padded on the right.
    """
    return torch.cat([_POOL[mode](hidden, mask.unsqueeze(-1).to(hidden)) for mode in pooling], -1)


def _mean(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return (hidden * mask).sum(dim=1) / mask.sum(dim=1)


def _mean_sqrt_len(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return (hidden * mask).sum(dim=1) / mask.sum(dim=1).sqrt()


def _weighted_mean(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Later tokens weigh more, by their position from 1 (SGPT, https://arxiv.org/abs/2202.08904)."""
    positions = torch.arange(1, hidden.shape[1] + 1, device=hidden.device).view(1, -1, 1)
    return _mean(hidden, mask * positions)


def _cls(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return hidden[:, 0]


def _max(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return hidden.masked_fill(mask == 0, -torch.inf).amax(dim=1)


def _last_token(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    last = mask.squeeze(-1).sum(dim=1).long() - 1
    return hidden[torch.arange(len(hidden), device=hidden.device), last]


_POOL = {
    Pooling.MEAN: _mean,
    Pooling.CLS: _cls,
    Pooling.MAX: _max,
    Pooling.MEAN_SQRT_LEN: _mean_sqrt_len,
    Pooling.WEIGHTED_MEAN: _weighted_mean,
    Pooling.LAST_TOKEN: _last_token,
}


def load_dense_weights(folder: Path) -> dict[str, torch.Tensor]:
    """The tensors of a Dense module's folder, in float32.

    Raises:
        InvalidInput: they cannot be read.
    """
    try:
        if (folder / "model.safetensors").is_file():
            weights = load_file(folder / "model.safetensors")
        else:
            weights = torch.load(folder / "pytorch_model.bin", weights_only=True)
    except Exception as error:  # what both raise has no common base
        raise InvalidInput(
            f"The weights of {folder} cannot be read: {first_line(error)}"
        ) from error
    return {name: tensor.float() for name, tensor in weights.items()}


def _activation(layer: DenseLayer) -> Any:
    """The activation by the last part of its dotted name; torch's own only."""
    found = getattr(torch.nn, layer.activation.rpartition(".")[2], None)
    if not (layer.activation.startswith("torch.") and isinstance(found, type)):
        raise InvalidInput(
            f"The activation {layer.activation} of {layer.path} cannot be used: "
            "only those of torch.nn can."
        )
    return found()
