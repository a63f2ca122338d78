"""The encoder on torch and transformers, on CUDA or CPU."""

from collections.abc import Sequence
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
import transformers
from transformers import AutoModel, PreTrainedModel

from inference.checkpoint import Checkpoint, Pooling
from inference.encoders.base import Kind, OutOfMemory
from inference.errors import InvalidInput, first_line
from inference.similarity import Vectors
from inference.tokenizer import TokenizedTexts, Tokenizer

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

# Weights that sentence vectors never pass through; everything else must be in the file.
_UNUSED_WEIGHTS = ("pooler.", "embeddings.position_ids")

# Larger batches gain little and make short requests wait behind them.
_BATCH_TOKENS = {"cpu": 1024, "cuda": 16_384}


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
        self._pooling = checkpoint.pooling
        self._pad_id = checkpoint.pad_id
        self._max_tokens = checkpoint.max_tokens
        self._model = _load_model(checkpoint, _DTYPES[self._precision])
        torch.nn.Module.to(self._model, self._device)

    @property
    def dim(self) -> int:
        return int(self._model.config.hidden_size)

    @property
    def max_tokens(self) -> int:
        return self._max_tokens

    @property
    def min_tokens(self) -> int:
        return self._tokenizer.special_tokens + 1

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

    def tokenize(
        self, texts: Sequence[str], kind: Kind, max_tokens: int | None = None
    ) -> TokenizedTexts:
        return self._tokenizer.tokenize(texts, max_tokens or self._max_tokens)

    def encode(self, token_ids: Sequence[Sequence[int]]) -> Vectors:
        try:
            with torch.inference_mode():
                return self._encode(token_ids)
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise OutOfMemory from error
        except RuntimeError as error:
            # torch's CPU allocator raises nothing more precise.
            if "can't allocate memory" in str(error):
                raise OutOfMemory from error
            raise

    def _encode(self, token_ids: Sequence[Sequence[int]]) -> Vectors:
        ids, mask = self._pad(token_ids)
        hidden = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
        vectors = pool(hidden.float(), mask, self._pooling)
        unit: Vectors = torch.nn.functional.normalize(vectors, dim=-1).cpu().numpy()
        return unit

    def _pad(self, token_ids: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        longest = max(len(row) for row in token_ids)
        ids = np.full((len(token_ids), longest), self._pad_id, dtype=np.int64)
        mask = np.zeros((len(token_ids), longest), dtype=np.int64)
        for row, text_ids in enumerate(token_ids):
            ids[row, : len(text_ids)] = text_ids
            mask[row, : len(text_ids)] = 1
        return torch.from_numpy(ids).to(self._device), torch.from_numpy(mask).to(self._device)


def pool(hidden: torch.Tensor, mask: torch.Tensor, pooling: Pooling) -> torch.Tensor:
    """One vector (n, d) of each text's token vectors (n, t, d), padding left out by mask (n, t).

    As sentence-transformers' Pooling module defines them.
    """
    if pooling is Pooling.CLS:
        return hidden[:, 0]
    real = mask.unsqueeze(-1)
    if pooling is Pooling.MAX:
        return hidden.masked_fill(real == 0, -torch.inf).amax(dim=1)
    return (hidden * real).sum(dim=1) / real.sum(dim=1)


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
