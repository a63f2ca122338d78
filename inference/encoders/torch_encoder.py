"""The encoder on torch and transformers, on CUDA or CPU."""

from collections.abc import Sequence

import torch
from transformers import AutoModel

from inference.checkpoint import Checkpoint, Kind
from inference.encoders.checkpoint_encoder import CheckpointEncoder
from inference.encoders.cuda_graphs import CudaCapture
from inference.encoders.head import Head
from inference.encoders.packed_linear import pack_linears
from inference.encoders.packed_transformer import PackedTransformer, pack_transformer
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

    agreement = None

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
        self._packed = self._pack(checkpoint)
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

    @property
    def is_packed(self) -> bool:
        """Whether batches run without padding."""
        return self._packed is not None

    def encode(self, token_ids: Sequence[Sequence[int]], tower: Kind = "document") -> Vectors:
        with out_of_memory_told():
            return self._encode(token_ids)

    def _pack(self, checkpoint: Checkpoint) -> PackedTransformer | None:
        """The model without padding, where there is a kernel for that and the model can use it."""
        if self._device.type != "cuda" or self._precision == "fp32":
            return None
        capture = CudaCapture(self._device)
        return pack_transformer(checkpoint, self._model, self._head, self._padded, capture)

    def _encode(self, token_ids: Sequence[Sequence[int]]) -> Vectors:
        run = self._packed.encode if self._packed else self._padded
        vectors: Vectors = run(token_ids).cpu().numpy()
        return vectors

    @torch.inference_mode()
    def _padded(self, token_ids: Sequence[Sequence[int]]) -> torch.Tensor:
        """Unit vectors (n, d) of texts filled up to the longest of them."""
        ids, mask = pad(token_ids, self._pad_id, self._device)
        with threads_for(ids):
            vectors: torch.Tensor = self._head(self._hidden(ids, mask), mask)
        return vectors

    @torch.inference_mode()
    def _hidden(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
        return hidden
