"""What every encoder gives, whatever runs underneath."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from inference.agreement import Agreement
from inference.checkpoint import Kind
from inference.similarity import Vectors
from inference.tokenizer import Text, Token, TokenizedTexts, TruncationSide


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
    ``tokenize`` may be called from any thread, ``encode`` from one thread, or on a CPU from two at
    once.
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
        """``fp32``, ``bf16``, ``fp16`` or ``int8``."""

    @property
    def agreement(self) -> Agreement | None:
        """What was measured of int8; None of other precisions."""

    @property
    def batch_tokens(self) -> int:
        """Padded tokens of a batch beyond which this device gains little."""

    def side(self, kind: Kind) -> Side:
        """How texts of ``kind`` are read."""

    def vocabulary_size(self, kind: Kind) -> int:
        """One more than the highest token id of the tower that ``kind`` goes through."""

    def tokenize(
        self,
        texts: Sequence[Text],
        kind: Kind,
        max_tokens: int | None = None,
        truncation_side: TruncationSide = "right",
    ) -> TokenizedTexts:
        """Token ids of each text behind its kind's prompt, cut at ``max_tokens`` if given.

        What is token ids already gets no prompt.
        """

    def tokens(self, text: str, kind: Kind, *, special_tokens: bool = True) -> list[Token]:
        """The tokens of a whole text, prompt left out."""

    def decode(self, ids: Sequence[int], kind: Kind, *, skip_special_tokens: bool = True) -> str:
        """The text that token ids stand for; unknown ids are left out."""

    def token_spans(self, text: str, kind: Kind) -> list[tuple[int, int]]:
        """First and last character (exclusive) of each token of a text, prompt left out."""

    def encode(self, token_ids: Sequence[Sequence[int]], tower: Kind = "document") -> Vectors:
        """Unit vectors (n, dim), float32, in the order of ``token_ids``, all of one tower.

        Raises:
            OutOfMemory: the batch does not fit the device.
        """
