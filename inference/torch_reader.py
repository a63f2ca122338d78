"""The reader on torch and transformers: logits of where an answer starts and ends."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError

import torch
from transformers import AutoConfig, AutoModelForQuestionAnswering, PreTrainedModel

from inference.checkpoint import Checkpoint, Kind
from inference.encoders.packed_linear import pack_linears
from inference.errors import InvalidInput, first_line
from inference.job import Rows
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
    quiet_transformers,
    threads_for,
)

# How PyTorch Lightning's modules call the transformer inside them.
_LIGHTNING_PREFIX = "model."

# Buffers that older releases of transformers saved, and that hold nothing learned.
_IGNORED = ("position_ids",)


class TorchReader:
    """A transformer with a start and an end logit for each token, in eval mode.

    Args:
        checkpoint: its files.
        lightning: a checkpoint of PyTorch Lightning whose weights take their place.
        tokenizer: that of the checkpoint.
        device, precision, threads: as in :func:`inference.encoders.load_encoder`.

    Raises:
        InvalidInput: the files, the device or the precision cannot be used.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        lightning: Path | None,
        tokenizer: Tokenizer,
        *,
        device: str,
        precision: str,
        threads: int,
    ) -> None:
        if threads:
            torch.set_num_threads(threads)
        self._device = choose_device(device)
        precision = choose_precision(precision, self._device)
        self._pad_id = checkpoint.pad_id
        if lightning is None:
            path = checkpoint.transformer_path
            auto_class = AutoModelForQuestionAnswering
            self._model = load_pretrained(auto_class, checkpoint.name, path, DTYPES[precision])
        else:
            self._model = _load_lightning(checkpoint, lightning)
        check_vocabulary(checkpoint.name, tokenizer.vocabulary_size, self._model)
        torch.nn.Module.to(self._model, self._device, DTYPES[precision])
        # The token that parts a question from its context also parts the segments, for a model that
        # has two: those of RoBERTa's kind have one.
        has_segments = getattr(self._model.config, "type_vocab_size", 0) > 1
        self._separator = tokenizer.separator_id if has_segments else None
        if self._device.type == "cpu" and precision == "fp32":
            pack_linears(self._model, lambda: self._logits([[self._pad_id]]))

    @property
    def batch_tokens(self) -> int:
        return BATCH_TOKENS[self._device.type]

    def encode(self, token_ids: Sequence[Sequence[int]], tower: Kind = "document") -> Rows:
        """Start and end logits (2, tokens) of each text."""
        with out_of_memory_told():
            logits = self._logits(token_ids).float().cpu().numpy()
        # Copies, so that a short row does not keep the numbers of a whole batch.
        return [logits[row, :, : len(ids)].copy() for row, ids in enumerate(token_ids)]

    @torch.inference_mode()
    def _logits(self, token_ids: Sequence[Sequence[int]]) -> torch.Tensor:
        """Logits (n, 2, t), with those of padding behind."""
        ids, mask = pad(token_ids, self._pad_id, self._device)
        inputs = {"input_ids": ids, "attention_mask": mask}
        if self._separator is not None:
            parted = (ids == self._separator).long()
            # 1 behind the first separator, which itself belongs to the question.
            inputs["token_type_ids"] = ((parted.cumsum(1) - parted) > 0).long() * mask
        with threads_for(ids):
            found = self._model(**inputs)
        return torch.stack([found.start_logits, found.end_logits], dim=1)


def _load_lightning(checkpoint: Checkpoint, file: Path) -> PreTrainedModel:
    """The architecture of a checkpoint with the weights of a file of PyTorch Lightning."""
    quiet_transformers()
    config = AutoConfig.from_pretrained(checkpoint.transformer_path, local_files_only=True)
    model: PreTrainedModel = AutoModelForQuestionAnswering.from_config(config)  # type: ignore[no-untyped-call]
    weights = _lightning_weights(file)
    try:
        missing, unexpected = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        # Its first line names the class alone.
        reason = " ".join(str(error).split()[:40])
        raise InvalidInput(
            f"The weights in {file.name} have other shapes than those of '{checkpoint.name}': "
            f"{reason}",
            item="reader_base",
        ) from error
    missing = [key for key in missing if not key.endswith(_IGNORED)]
    unexpected = [key for key in unexpected if not key.endswith(_IGNORED)]
    if missing or unexpected:
        raise InvalidInput(
            f"The weights in {file.name} do not fit '{checkpoint.name}': "
            f"{_some(missing)} missing, {_some(unexpected)} unexpected. Give the base model that "
            "it was fine-tuned from.",
            item="reader_base",
        )
    loaded: PreTrainedModel = model.eval()  # type: ignore[no-untyped-call]
    return loaded


def _lightning_weights(file: Path) -> dict[str, torch.Tensor]:
    try:
        # Its hyperparameters are often a Namespace, which is harmless; nothing else is let in.
        with torch.serialization.safe_globals([Namespace]):
            state = torch.load(file, map_location="cpu", weights_only=True)["state_dict"]
        return {
            key.removeprefix(_LIGHTNING_PREFIX): weight.float() for key, weight in state.items()
        }
    except (UnpicklingError, EOFError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        raise InvalidInput(
            f"{file.name} is no checkpoint of PyTorch Lightning with tensors alone in it: "
            f"{first_line(error)}",
            item="reader_checkpoint",
        ) from error


def _some(keys: list[str]) -> str:
    return f"{len(keys)} ({keys[0]}{', ...' if len(keys) > 1 else ''})" if keys else "none"
