"""A transformer over packed batches: no padding is computed, and no text sees another."""

import logging
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.nn.functional import cosine_similarity
from transformers import PreTrainedModel

from inference.checkpoint import Checkpoint
from inference.encoders import cuda_graphs, packed_attention
from inference.encoders.head import Head
from inference.encoders.packed_batch import PackedBatch, Size, lay_out
from inference.encoders.packed_pooling import has_fixed_shape, rows_for

log = logging.getLogger(__name__)

TokenIds = Sequence[Sequence[int]]

# Lengths of the texts that a model is tried with, and least cosine between a text's two vectors:
# between roundings in bf16 there is more, between a text alone and in company much less.
_PROBE_LENGTHS = (3, 150, 17, 64)
_LEAST_COSINE = 0.999


class PackedTransformer:
    """A model that asks transformers' registry for its attention, and a head.

    Args:
        checkpoint: says the pooling.
        model: on its device; must have :data:`packed_attention.NAME` set as its attention.
        head: on the same device.
        capture: records graphs on that device, if it can.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        model: PreTrainedModel,
        head: Head,
        capture: cuda_graphs.Capture | None = None,
    ) -> None:
        self._model = model
        self._head = head
        self._pooling = checkpoint.pooling
        self._device = next(model.parameters()).device
        self._padding_position = _padding_position(model)
        self._graphs = None
        if capture is not None and has_fixed_shape(checkpoint.pooling):
            self._graphs = cuda_graphs.GraphRunner(self._run, capture, self._device)

    @torch.inference_mode()
    def encode(self, token_ids: TokenIds) -> torch.Tensor:
        """Unit vectors (n, d), to be taken before the next call."""
        size = Size.of(token_ids)
        graph = cuda_graphs.graph_size(size) if self._graphs else None
        numbers = torch.from_numpy(lay_out(token_ids, graph or size, self._padding_position))
        if self._device.type == "cuda":
            # The host need not wait for a copy from there.
            numbers = numbers.pin_memory()
        if self._graphs and graph:
            return self._graphs(numbers, graph)[: size.texts]
        return self._run(numbers.to(self._device, non_blocking=True), size)

    def _run(self, numbers: torch.Tensor, size: Size) -> torch.Tensor:
        batch = PackedBatch.read(numbers, size)
        hidden = self._model(
            input_ids=batch.ids,
            position_ids=batch.positions,
            cu_seq_lens_q=batch.starts,
            max_length_q=batch.longest,
        ).last_hidden_state.squeeze(0)
        vectors: torch.Tensor = self._head(*rows_for(hidden, batch, self._pooling))
        return vectors


def pack_transformer(
    checkpoint: Checkpoint,
    model: PreTrainedModel,
    head: Head,
    padded: Callable[[TokenIds], torch.Tensor],
    capture: cuda_graphs.Capture | None = None,
) -> PackedTransformer | None:
    """The model over packed batches; None, and the model as it was, if it cannot do that.

    Args:
        checkpoint, model, head, capture: as :class:`PackedTransformer` takes them.
        padded: vectors (n, d) of texts by the model as it is.
    """
    probe = _probe(model, checkpoint.max_tokens)
    plain, attention = padded(probe), model.config._attn_implementation
    for recorder in dict.fromkeys([capture, None]):
        try:
            model.set_attn_implementation(packed_attention.NAME)
            packed = PackedTransformer(checkpoint, model, head, recorder)
            # Others first, so that what is recorded of them must serve the ones compared.
            packed.encode(probe[::-1])
            _check_alike(packed.encode(probe), plain)
        except Exception as error:  # a model that knows nothing of packing may do anything
            log.info("a model cannot run packed: %s", str(error).partition("\n")[0])
        else:
            return packed
    model.set_attn_implementation(attention)
    return None


def _check_alike(vectors: torch.Tensor, plain: torch.Tensor) -> None:
    cosines = cosine_similarity(vectors, plain)
    # Not a number is not alike.
    if not bool((cosines >= _LEAST_COSINE).all()):
        raise ValueError(f"packed vectors differ from padded ones: cosines {cosines.tolist()}")


def _probe(model: PreTrainedModel, max_tokens: int) -> list[list[int]]:
    """Texts of random tokens, too unlike each other to be read together without notice."""
    vocabulary = next(model.get_input_embeddings().parameters()).shape[0]
    random = np.random.default_rng(0)
    return [
        random.integers(vocabulary, size=min(length, max_tokens)).tolist()
        for length in _PROBE_LENGTHS
    ]


def _padding_position(model: PreTrainedModel) -> int | None:
    """The position of padding, where the model has one: see :func:`packed_batch.lay_out`."""
    embeddings = getattr(model, "embeddings", None)
    position: int | None = getattr(
        getattr(embeddings, "position_embeddings", None), "padding_idx", None
    )
    return position
