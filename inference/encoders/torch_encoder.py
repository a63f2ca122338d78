"""The encoder on torch and transformers, on CUDA or CPU."""

from collections.abc import Sequence

import torch
from transformers import AutoModel

from inference.checkpoint import Checkpoint, Kind
from inference.encoders.checkpoint_encoder import CheckpointEncoder
from inference.encoders.head import Head
from inference.encoders.packed_linear import pack_linears
from inference.similarity import Vectors
from inference.tokenizer import Tokenizer
from inference.torch_model import (
    BATCH_TOKENS,
    DTYPES,
    check_vocabulary,
    choose_device,
    choose_precision,
    load_pretrained,
    out_of_memory_told,
    pad,
    threads_for,
)


class TorchEncoder(CheckpointEncoder):
    """A transformer in eval mode, pooled and normalised; see the Encoder contract."""

    def __init__(
        self, checkpoint: Checkpoint, *, device: str, precision: str, threads: int
    ) -> None:
        super().__init__(checkpoint, Tokenizer.load(checkpoint))
        if threads:
            torch.set_num_threads(threads)
        self._device = choose_device(device)
        self._precision = choose_precision(precision, self._device)
        self._model = load_pretrained(
            AutoModel, checkpoint.name, checkpoint.transformer_path, DTYPES[self._precision]
        )
        check_vocabulary(checkpoint.name, self._tokenizer.vocabulary_size, self._model)
        torch.nn.Module.to(self._model, self._device)
        self._head = Head(checkpoint).to(self._device).eval()
        if self._device.type == "cpu" and self._precision == "fp32":
            probe = pad([[self._pad_id]], self._pad_id, self._device)
            pack_linears(self._model, lambda: self._hidden(*probe))
        self._dim = int(self._encode([[self._pad_id]]).shape[1])

    @property
    def dim(self) -> int:
        return self._dim

    @property
    def device(self) -> str:
        return str(self._device)

    @property
    def precision(self) -> str:
        return self._precision

    @property
    def batch_tokens(self) -> int:
        return BATCH_TOKENS[self._device.type]

    def encode(self, token_ids: Sequence[Sequence[int]], tower: Kind = "document") -> Vectors:
        with out_of_memory_told():
            return self._encode(token_ids)

    @torch.inference_mode()
    def _encode(self, token_ids: Sequence[Sequence[int]]) -> Vectors:
        ids, mask = pad(token_ids, self._pad_id, self._device)
        with threads_for(ids):
            vectors: Vectors = self._head(self._hidden(ids, mask), mask).cpu().numpy()
        return vectors

    @torch.inference_mode()
    def _hidden(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
        return hidden
