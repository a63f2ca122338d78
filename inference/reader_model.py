"""The files of a reader: a folder of transformers, or a file of PyTorch Lightning beside one."""

from dataclasses import dataclass, replace
from pathlib import Path

from inference.checkpoint import Checkpoint, read_checkpoint, read_no_answer_threshold
from inference.errors import InvalidInput, NotFound
from inference.reference import embedded_models, embedded_readers, find_model

# Longer windows cost more than they tell.
_WINDOW_TOKENS = 384

# Tokens of a text that a window must have room for, separators included.
_LEAST_TEXT = 16


@dataclass(frozen=True)
class ReaderLimits:
    """How a reader reads, in tokens; the names are those of SQuAD's scripts.

    Attributes:
        max_seq_length: of a window with its question; 0 takes what the model reads, up to 384.
        max_query_length: of a question; longer ones are cut.
        max_answer_length: of an answer.
        doc_stride: from the start of a window to the start of the next.
    """

    max_seq_length: int = 0
    max_query_length: int = 64
    max_answer_length: int = 30
    doc_stride: int = 128


@dataclass(frozen=True)
class ReaderModel:
    """A reader's files, and how it reads.

    Attributes:
        checkpoint: architecture, tokenizer and weights.
        limits: checked, with ``max_seq_length`` as it is.
        lightning: a file of PyTorch Lightning whose weights take the place of the others.
        no_answer_threshold: calibrated log-odds of no answer, beyond which there is none.
    """

    checkpoint: Checkpoint
    limits: ReaderLimits
    lightning: Path | None
    no_answer_threshold: float | None

    @property
    def name(self) -> str:
        return self.lightning.stem if self.lightning else self.checkpoint.name


def open_reader(
    reference: str, *, lightning: str = "", base: str = "", limits: ReaderLimits | None = None
) -> ReaderModel:
    """Finds, reads and checks a reader.

    Args:
        reference: an embedded reader, a folder, a ``model.tar.gz`` or a hub id.
        lightning: a ``.ckpt`` of PyTorch Lightning instead.
        base: the model that it was fine-tuned from, by any of the above.
        limits: how it reads.

    Raises:
        NotFound: there is no such model.
        InvalidInput: its files are missing or damaged, or do not go with the limits.
    """
    limits = limits or ReaderLimits()
    if not lightning:
        checkpoint = read_checkpoint(*find_model(reference, embedded_readers()))
        threshold = read_no_answer_threshold(checkpoint.path)
        return ReaderModel(checkpoint, _checked(limits, checkpoint), None, threshold)
    if not base:
        raise InvalidInput(
            "A reader's checkpoint needs the model that it was fine-tuned from: give reader_base.",
            item="reader_base",
        )
    if not Path(lightning).is_file():
        raise NotFound(f"There is no file '{lightning}'.", item="reader_checkpoint")
    checkpoint = read_checkpoint(*find_model(base, [*embedded_models(), *embedded_readers()]))
    return ReaderModel(checkpoint, _checked(limits, checkpoint), Path(lightning), None)


def _checked(limits: ReaderLimits, checkpoint: Checkpoint) -> ReaderLimits:
    most = checkpoint.max_tokens
    tokens = limits.max_seq_length or min(most, _WINDOW_TOKENS)
    if tokens > most:
        raise InvalidInput(
            f"max_seq_length is {tokens}, and the reader '{checkpoint.name}' reads {most} tokens "
            "at most.",
            item="max_seq_length",
        )
    if limits.max_query_length + _LEAST_TEXT > tokens:
        raise InvalidInput(
            f"Of {tokens} tokens (max_seq_length), a question may take {limits.max_query_length} "
            f"(max_query_length), which leaves fewer than {_LEAST_TEXT} for a text: set the one "
            "higher or the other lower.",
            item="max_query_length",
        )
    return replace(limits, max_seq_length=tokens)
