"""What every encoder gives, whatever runs underneath."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from inference.checkpoint import Kind
from inference.similarity import Vectors
from inference.tokenizer import TokenizedTexts


class Side(NamedTuple):
    """How texts of a kind are read; texts of equal sides have equal vectors.

    Attributes:
        tower: the encoder they go through, ``document`` where there is but one.
        prompt: what is put before them.
        max_tokens: most tokens that are read, prompt and special tokens included.
    """

    tower: Kind
    prompt: str
    max_tokens: int


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
        """Fewest tokens a text can be cut to: special tokens, the longer prompt, and one more."""

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

    def side(self, kind: Kind) -> Side:
        """How texts of ``kind`` are read."""

    def tokenize(
        self, texts: Sequence[str], kind: Kind, max_tokens: int | None = None
    ) -> TokenizedTexts:
        """Token ids of each text behind its kind's prompt, cut at ``max_tokens`` if given."""

    def token_spans(self, text: str, kind: Kind) -> list[tuple[int, int]]:
        """First and last character (exclusive) of each token of a text, prompt left out."""

    def encode(self, token_ids: Sequence[Sequence[int]], tower: Kind = "document") -> Vectors:
        """Unit vectors (n, dim), float32, in the order of ``token_ids``, all of one tower.

        Raises:
            OutOfMemory: the batch does not fit the device.
        """
