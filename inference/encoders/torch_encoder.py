"""The encoder on torch and transformers, on CUDA or CPU."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
import transformers
from transformers import AutoModel, PreTrainedModel

from inference.checkpoint import Checkpoint, Kind
from inference.encoders.base import OutOfMemory, Side
from inference.encoders.head import Head
from inference.encoders.packed_linear import pack_linears
from inference.errors import InvalidInput, first_line
from inference.similarity import Vectors
from inference.tokenizer import Text, Token, TokenizedTexts, Tokenizer, TruncationSide

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

# Up to so many padded tokens, waking a second CPU thread for each step costs more than it saves.
_ONE_THREAD_TOKENS = 32

# Weights that sentence vectors never pass through; everything else must be in the file.
_UNUSED_WEIGHTS = ("pooler.", "embeddings.position_ids")

# Larger batches gain little and make short requests wait behind them.
_BATCH_TOKENS = {"cpu": 512, "cuda": 16_384}


class TorchEncoder:
    """A transformer in eval mode, pooled and normalised; see the Encoder contract."""

    def __init__(
        self, checkpoint: Checkpoint, *, device: str, precision: str, threads: int
    ) -> None:
        if threads:
            torch.set_num_threads(threads)
        self._device = _choose_device(device)
        self._precision = _choose_precision(precision, self._device)
        self._tokenizer = Tokenizer.load(checkpoint)
        self._prompts = checkpoint.prompts
        prompts = self._tokenizer.tokenize(list(self._prompts.values()), checkpoint.max_tokens)
        self._min_tokens = max(prompts.lengths) + 1
        self._pad_id = checkpoint.pad_id
        self._max_tokens = checkpoint.max_tokens
        self._model = _load_model(checkpoint, _DTYPES[self._precision])
        _check_vocabulary(checkpoint, self._tokenizer, self._model)
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
        return _BATCH_TOKENS[self._device.type]

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
        try:
            return self._encode(token_ids)
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise OutOfMemory from error
        except RuntimeError as error:
            # torch's CPU allocator raises nothing more precise.
            if "can't allocate memory" in str(error):
                raise OutOfMemory from error
            raise

    @torch.inference_mode()
    def _encode(self, token_ids: Sequence[Sequence[int]]) -> Vectors:
        ids, mask = pad(token_ids, self._pad_id, self._device)
        with _threads_for(ids):
            vectors: Vectors = self._head(self._hidden(ids, mask), mask).cpu().numpy()
        return vectors

    @torch.inference_mode()
    def _hidden(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
        return hidden


def pad(
    token_ids: Sequence[Sequence[int]], pad_id: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids as one tensor (n, t) with padding behind, and their mask (n, t), 0 at padding."""
    longest = max(len(row) for row in token_ids)
    ids = np.full((len(token_ids), longest), pad_id, dtype=np.int64)
    mask = np.zeros((len(token_ids), longest), dtype=np.int64)
    for row, text_ids in enumerate(token_ids):
        ids[row, : len(text_ids)] = text_ids
        mask[row, : len(text_ids)] = 1
    return torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)


@contextmanager
def _threads_for(ids: torch.Tensor) -> Iterator[None]:
    """One thread for a small batch on CPU, all of them for others."""
    threads = torch.get_num_threads()
    if ids.device.type != "cpu" or ids.numel() > _ONE_THREAD_TOKENS or threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _choose_device(device: str) -> torch.device:
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise InvalidInput(f"Device '{device}' is none of auto, cpu, cuda, cuda:N.") from error
    if chosen.type not in _BATCH_TOKENS:
        raise InvalidInput(f"Device '{device}' is none of auto, cpu, cuda, cuda:N.")
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise InvalidInput(
            f"Device '{device}' is not here: torch {torch.__version__} sees "
            f"{torch.cuda.device_count()} CUDA devices. Use cpu or auto."
        )
    return chosen


def _choose_precision(precision: str, device: torch.device) -> str:
    if precision == "auto" and device.type == "cpu":
        return "fp32"
    if precision in {"auto", "bf16"} and device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if precision not in _DTYPES:
        raise InvalidInput(f"Precision '{precision}' is none of auto, {', '.join(_DTYPES)}.")
    return precision


def _load_model(checkpoint: Checkpoint, dtype: torch.dtype) -> PreTrainedModel:
    """The transformer in eval mode, refused if its weights are not those that it needs."""
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model, loading = AutoModel.from_pretrained(
            checkpoint.transformer_path,
            dtype=dtype,
            local_files_only=True,
            output_loading_info=True,
            # Refused below, where the message can name them.
            ignore_mismatched_sizes=True,
        )
    except (UnpicklingError, EOFError) as error:
        raise InvalidInput(
            f"The weights of model '{checkpoint.name}' are damaged, or hold more than tensors: "
            "copy it again, or save it as model.safetensors."
        ) from error
    except Exception as error:  # what transformers raises has no common base
        raise InvalidInput(
            f"Model '{checkpoint.name}' cannot be loaded: {first_line(error)}"
        ) from error
    _check_complete(checkpoint, loading)
    loaded: PreTrainedModel = model.eval()
    return loaded


def _check_vocabulary(checkpoint: Checkpoint, tokenizer: Tokenizer, model: PreTrainedModel) -> None:
    """Refuses a tokenizer with ids that the model has no embedding for; CUDA would die of one."""
    rows = next(model.get_input_embeddings().parameters()).shape[0]
    if tokenizer.vocabulary_size > rows:
        raise InvalidInput(
            f"The tokenizer of model '{checkpoint.name}' has {tokenizer.vocabulary_size:,} tokens "
            f"and the model embeddings for {rows:,}: they do not belong together."
        )


def _check_complete(checkpoint: Checkpoint, loading: dict[str, Any]) -> None:
    """Refuses weights that lack or misfit what the model needs.

    transformers would fill in random numbers and only log it.
    """
    if loading["mismatched_keys"]:
        name, found, expected = min(loading["mismatched_keys"])
        raise InvalidInput(
            f"The weights of model '{checkpoint.name}' do not fit its config.json: {name} is "
            f"{_shape(found)} where {_shape(expected)} is needed."
        )
    missing = sorted(key for key in loading["missing_keys"] if not key.startswith(_UNUSED_WEIGHTS))
    if missing:
        raise InvalidInput(
            f"The weights of model '{checkpoint.name}' lack {len(missing)} tensors, "
            f"such as {missing[0]}: they belong to another architecture than config.json."
        )


def _shape(size: torch.Size) -> str:
    return " x ".join(str(length) for length in size)
