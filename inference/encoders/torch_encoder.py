"""The encoder on torch and transformers, on CUDA or CPU."""

from collections.abc import Sequence

import torch
from transformers import AutoModel

from inference.checkpoint import Checkpoint, Kind
from inference.encoders.base import Side
from inference.encoders.head import Head
from inference.encoders.packed_linear import pack_linears
from inference.similarity import Vectors
from inference.tokenizer import Text, Token, TokenizedTexts, Tokenizer, TruncationSide
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


class TorchEncoder:
    """A transformer in eval mode, pooled and normalised; see the Encoder contract."""

    def __init__(
        self, checkpoint: Checkpoint, *, device: str, precision: str, threads: int
    ) -> None:
        if threads:
            torch.set_num_threads(threads)
        self._device = choose_device(device)
        self._precision = choose_precision(precision, self._device)
        self._tokenizer = Tokenizer.load(checkpoint)
        self._prompts = checkpoint.prompts
        prompts = self._tokenizer.tokenize(list(self._prompts.values()), checkpoint.max_tokens)
        self._min_tokens = max(prompts.lengths) + 1
        self._pad_id = checkpoint.pad_id
        self._max_tokens = checkpoint.max_tokens
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
    def max_tokens(self) -> int:
        return self._max_tokens

    @property
    def min_tokens(self) -> int:
        return self._min_tokens

    @property
    def pad_id(self) -> int:
        return self._pad_id

    @property
    def device(self) -> str:
        return str(self._device)

    @property
    def precision(self) -> str:
        return self._precision

    @property
    def batch_tokens(self) -> int:
        return BATCH_TOKENS[self._device.type]

    def side(self, kind: Kind) -> Side:
        return Side("document", self._prompts[kind], self._max_tokens)

    def vocabulary_size(self, kind: Kind) -> int:
        return self._tokenizer.vocabulary_size

    def tokenize(
        self,
        texts: Sequence[Text],
        kind: Kind,
        max_tokens: int | None = None,
        truncation_side: TruncationSide = "right",
    ) -> TokenizedTexts:
        prompt = self._prompts[kind]
        if prompt:
            texts = [prompt + text if isinstance(text, str) else text for text in texts]
        limit = min(max_tokens or self._max_tokens, self._max_tokens)
        return self._tokenizer.tokenize(texts, limit, truncation_side)

    def tokens(self, text: str, kind: Kind, *, special_tokens: bool = True) -> list[Token]:
        return self._tokenizer.tokens(text, special_tokens=special_tokens)

    def decode(self, ids: Sequence[int], kind: Kind, *, skip_special_tokens: bool = True) -> str:
        return self._tokenizer.decode(ids, skip_special_tokens=skip_special_tokens)

    def token_spans(self, text: str, kind: Kind) -> list[tuple[int, int]]:
        return self._tokenizer.spans(text)

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
