"""What every encoder gives, whatever runs underneath."""

from collections.abc import Sequence
from typing import Literal, Protocol

from inference.similarity import Vectors
from inference.tokenizer import TokenizedTexts

Kind = Literal["query", "document"]
"""The tower a text goes through; a model with one tower treats both alike."""


class OutOfMemory(Exception):
    """The device could not hold the batch; a smaller one may fit."""


class Encoder(Protocol):
    """Turns texts into unit vectors.

    Pooling and normalising are the encoder's; batching, caching and cutting dimensions are not.
    ``tokenize`` may be called from any thread, ``encode`` from one thread only.
    """

    @property
    def dim(self) -> int:
        """Width of the vectors."""

    @property
    def max_tokens(self) -> int:
        """Most tokens of a text that are read, special tokens included."""

    @property
    def min_tokens(self) -> int:
        """Fewest tokens a text can be cut to: its special tokens and one more."""

    @property
    def pad_id(self) -> int:
        """Token id that fills a batch's shorter texts."""

    @property
    def device(self) -> str:
        """Where the model runs: ``cpu``, ``cuda:0`` and the like."""

    @property
    def precision(self) -> str:
        """``fp32``, ``bf16`` or ``fp16``."""

    @property
    def batch_tokens(self) -> int:
        """Padded tokens of a batch beyond which this device gains little."""

    def tokenize(
        self, texts: Sequence[str], kind: Kind, max_tokens: int | None = None
    ) -> TokenizedTexts:
        """Token ids of each text, cut at ``max_tokens`` (default: the encoder's own)."""

    def encode(self, token_ids: Sequence[Sequence[int]]) -> Vectors:
        """Unit vectors (n, dim), float32, in the order of ``token_ids``.

        Raises:
            OutOfMemory: the batch does not fit the device.
        """
