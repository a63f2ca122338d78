"""What all models on torch share: device, precision, batches as tensors, weights that are whole."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
import transformers
from transformers import PreTrainedModel

from inference import batch
from inference.encoders.base import OutOfMemory
from inference.errors import InvalidInput, first_line

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

# Padded tokens of a batch; larger ones gain little and make short requests wait behind them.
# On CUDA: as many as cuda_graphs.py launches at once.
BATCH_TOKENS = {"cpu": 512, "cuda": 32_768}

# Up to so many padded tokens, waking a second CPU thread for each step costs more than it saves.
_ONE_THREAD_TOKENS = 32

# Weights that texts never pass through; everything else must be in the file.
_UNUSED_WEIGHTS = ("pooler.", "embeddings.position_ids")


def pad(
    token_ids: Sequence[Sequence[int]], pad_id: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids as one tensor (n, t) with padding behind, and their mask (n, t), 0 at padding."""
    ids, mask = batch.pad(token_ids, pad_id)
    return torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)


@contextmanager
def threads_for(ids: torch.Tensor) -> Iterator[None]:
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


def choose_device(device: str) -> torch.device:
    """The device of that name; ``auto`` is CUDA where there is one, and else the CPU.

    Raises:
        InvalidInput: there is no such device.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise InvalidInput(f"Device '{device}' is none of auto, cpu, cuda, cuda:N.") from error
    if chosen.type not in BATCH_TOKENS:
        raise InvalidInput(f"Device '{device}' is none of auto, cpu, cuda, cuda:N.")
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise InvalidInput(
            f"Device '{device}' is not here: torch {torch.__version__} sees "
            f"{torch.cuda.device_count()} CUDA devices. Use cpu or auto."
        )
    return chosen


def choose_precision(precision: str, device: torch.device) -> str:
    """The precision of that name; ``auto`` is fp32 on CPU, and bf16 or fp16 on CUDA.

    Raises:
        InvalidInput: there is no such precision.
    """
    if precision == "auto" and device.type == "cpu":
        return "fp32"
    if precision in {"auto", "bf16"} and device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if precision not in DTYPES:
        raise InvalidInput(f"Precision '{precision}' is none of auto, {', '.join(DTYPES)}.")
    return precision


def load_pretrained(auto_class: Any, name: str, path: Path, dtype: torch.dtype) -> PreTrainedModel:
    """A transformer in eval mode, refused if its weights are not those that it needs.

    Args:
        auto_class: such as ``transformers.AutoModel``.
        name: of the model, for messages.
        path: folder with ``config.json`` and the weights.
        dtype: of the loaded weights.

    Raises:
        InvalidInput: the files cannot be loaded, or belong to another architecture.
    """
    quiet_transformers()
    try:
        model, loading = auto_class.from_pretrained(
            path,
            dtype=dtype,
            local_files_only=True,
            output_loading_info=True,
            # Refused below, where the message can name them.
            ignore_mismatched_sizes=True,
        )
    except (UnpicklingError, EOFError) as error:
        raise InvalidInput(
            f"The weights of model '{name}' are damaged, or hold more than tensors: "
            "copy it again, or save it as model.safetensors."
        ) from error
    except Exception as error:  # what transformers raises has no common base
        raise InvalidInput(f"Model '{name}' cannot be loaded: {first_line(error)}") from error
    _check_complete(name, loading)
    loaded: PreTrainedModel = model.eval()
    return loaded


def quiet_transformers() -> None:
    """Keeps its warnings and bars, which are checked for here, out of the log."""
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]


@contextmanager
def out_of_memory_told() -> Iterator[None]:
    """Raises what the device's allocators raise as :class:`OutOfMemory`."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise OutOfMemory from error
    except RuntimeError as error:
        # torch's CPU allocator raises nothing more precise.
        if "can't allocate memory" in str(error):
            raise OutOfMemory from error
        raise


def check_vocabulary(name: str, vocabulary_size: int, model: PreTrainedModel) -> None:
    """Refuses a tokenizer with ids that the model has no embedding for; CUDA would die of one."""
    rows = next(model.get_input_embeddings().parameters()).shape[0]
    if vocabulary_size > rows:
        raise InvalidInput(
            f"The tokenizer of model '{name}' has {vocabulary_size:,} tokens "
            f"and the model embeddings for {rows:,}: they do not belong together."
        )


def _check_complete(name: str, loading: dict[str, Any]) -> None:
    """Refuses weights that lack or misfit what the model needs.

    transformers would fill in random numbers and only log it.
    """
    if loading["mismatched_keys"]:
        tensor, found, expected = min(loading["mismatched_keys"])
        raise InvalidInput(
            f"The weights of model '{name}' do not fit its config.json: {tensor} is "
            f"{_shape(found)} where {_shape(expected)} is needed."
        )
    missing = sorted(key for key in loading["missing_keys"] if not key.startswith(_UNUSED_WEIGHTS))
    if missing:
        raise InvalidInput(
            f"The weights of model '{name}' lack {len(missing)} tensors, "
            f"such as {missing[0]}: they belong to another architecture than config.json."
        )


def _shape(size: torch.Size) -> str:
    return " x ".join(str(length) for length in size)
