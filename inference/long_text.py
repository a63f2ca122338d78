"""Texts longer than the model reads, as passages that it reads whole."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.checkpoint import Kind
from inference.chunk import Passage, split_passages
from inference.encoders.base import Encoder
from inference.pipeline import TextGroup
from inference.result import EncodedTexts
from inference.similarity import Vectors, normalize
from inference.tokenizer import Text

# No tokenizer makes more tokens of a character than it has bytes in UTF-8.
_MAX_TOKENS_A_CHARACTER = 4


@dataclass(frozen=True)
class PassageGroup:
    """Texts of a group in passages, in the order of the texts.

    Attributes:
        group: the passages as texts of their own.
        passages: where each lies in its text; empty if all texts are whole.
        owners: index of the text each belongs to, rising.
        lengths: tokens of each text that was cut into passages, 0 for the others.
    """

    group: TextGroup
    passages: list[Passage]
    owners: npt.NDArray[np.intp]
    lengths: npt.NDArray[np.int64]

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Passages of each text."""
        return np.bincount(self.owners).astype(np.int64)

    def gather(self, encoded: EncodedTexts) -> EncodedTexts:
        """What became of the texts, from what became of their passages.

        The vector of a text is the mean of its passages', weighted by their tokens.
        """
        if not self.passages:
            return encoded
        sums = np.zeros((len(self.lengths), encoded.vectors.shape[1]), dtype=np.float32)
        np.add.at(sums, self.owners, encoded.vectors * encoded.lengths[:, None].astype(np.float32))
        lengths = self.lengths.copy()
        whole = lengths[self.owners] == 0
        lengths[self.owners[whole]] = encoded.lengths[whole]
        truncated = np.bincount(self.owners, weights=encoded.truncated) > 0
        return EncodedTexts(normalize(sums), lengths, truncated, encoded.tokens)

    def best(self, scores: Vectors) -> npt.NDArray[np.intp]:
        """Index of the best passage of each text by ``scores``; the first of equals."""
        if not self.passages:
            return self.owners
        order = np.lexsort((-scores, self.owners))
        _, first = np.unique(self.owners[order], return_index=True)
        best: npt.NDArray[np.intp] = order[first]
        return best


def whole_group(group: TextGroup) -> PassageGroup:
    """The group with each text whole; ``passages`` stays empty."""
    count = len(group.texts)
    return PassageGroup(group, [], np.arange(count, dtype=np.intp), np.zeros(count, dtype=np.int64))


def split_group(group: TextGroup, encoder: Encoder, max_tokens: int) -> PassageGroup:
    """Cuts the texts of a group that have more than ``max_tokens`` into passages."""
    specials = encoder.min_tokens - 1
    room = max(1, min(max_tokens, encoder.side(group.kind).max_tokens) - specials)
    passages: list[Passage] = []
    owners: list[int] = []
    lengths = np.zeros(len(group.texts), dtype=np.int64)
    for index, text in enumerate(group.texts):
        found, tokens = _split(text, group.kind, encoder, room)
        passages += found
        owners += [index] * len(found)
        lengths[index] = tokens + specials if len(found) > 1 else 0
    texts = [
        group.texts[owner][passage.start : passage.end]
        for owner, passage in zip(owners, passages, strict=True)
    ]
    parts = TextGroup(texts, group.kind, group.label)
    return PassageGroup(parts, passages, np.array(owners, dtype=np.intp), lengths)


def _split(text: Text, kind: Kind, encoder: Encoder, room: int) -> tuple[list[Passage], int]:
    """The passages of one text, and how many tokens it has if there are several.

    Token ids are one passage, since nothing tells where a sentence ends.
    """
    whole = [Passage(0, len(text))]
    if not isinstance(text, str) or len(text) * _MAX_TOKENS_A_CHARACTER <= room:
        return whole, 0
    spans = encoder.token_spans(text, kind)
    return (split_passages(text, spans, room) if len(spans) > room else whole), len(spans)
