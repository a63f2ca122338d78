"""Texts to token ids, with the length each text had before it was cut."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from inference.errors import InvalidInput, first_line

if TYPE_CHECKING:
    from pathlib import Path

    from tokenizers import Tokenizer as FastTokenizer

    from inference.checkpoint import Checkpoint

TokenIds = tuple[int, ...]

Text = str | TokenIds
"""A text, or the ids of its tokens in the model's own vocabulary, special tokens included."""

TruncationSide = Literal["left", "right"]
"""The end of a text that is cut off where it is too long."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token of a text.

    Attributes:
        id: its number in the vocabulary.
        text: the part of the text that it stands for; a special token's own name.
        special: whether the tokenizer added it to the text.
        start, stop: first and last character (exclusive) of that part; None for a special token.
    """

    id: int
    text: str
    special: bool
    start: int | None
    stop: int | None


@dataclass(frozen=True)
class TokenizedTexts:
    """Token ids of some texts.

    Attributes:
        ids: token ids a text, special tokens included, cut at the maximum length.
        lengths: tokens each text had before it was cut, special tokens included.
    """

    ids: list[list[int]]
    lengths: list[int]

    @property
    def truncated(self) -> list[bool]:
        return [length > len(ids) for ids, length in zip(self.ids, self.lengths, strict=True)]


@dataclass(frozen=True)
class PairWindow:
    """A question and as much of a context as fits beside it.

    Attributes:
        ids: token ids of both, special tokens included.
        first: place in ``ids`` of the context's first token.
        spans: first and last character (exclusive) in the context of each of its tokens here.
    """

    ids: list[int]
    first: int
    spans: list[tuple[int, int]]


class Tokenizer:
    """A checkpoint's fast tokenizer, safe to use from many threads.

    Truncation is done here and not by the library: its truncation is a setting of the shared
    object, which threads with different maximum lengths would fight over, and it would hide how
    long the text was.
    """

    def __init__(
        self,
        fast: "FastTokenizer",
        *,
        pad_id: int,
        lowercase: bool = False,
        separator_id: int | None = None,
    ) -> None:
        fast.no_truncation()
        fast.no_padding()
        self._fast = fast
        self._pad_id = pad_id
        self._lowercase = lowercase
        self._separator_id = separator_id
        self._prefix, self._suffix = _special_tokens_around(fast)

    @classmethod
    def load(cls, checkpoint: "Checkpoint") -> "Tokenizer":
        """Reads the tokenizer files of a checkpoint.

        Raises:
            InvalidInput: they cannot be read, or give no fast tokenizer.
        """
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(
                checkpoint.transformer_path, local_files_only=True
            )
        except Exception as error:
            raise InvalidInput(
                f"The tokenizer of model '{checkpoint.name}' cannot be read: "
                f"{first_line(error)} Save it again with tokenizer.save_pretrained()."
            ) from error
        fast = getattr(tokenizer, "backend_tokenizer", None)
        if fast is None:
            raise InvalidInput(
                f"Model '{checkpoint.name}' has no fast tokenizer: save a tokenizer.json with it."
            )
        # Without its files, transformers makes one that knows special tokens only.
        if set(fast.get_vocab()) <= set(tokenizer.all_special_tokens):
            raise InvalidInput(
                f"Model '{checkpoint.name}' has no vocabulary: its tokenizer's files, such as "
                "tokenizer.json, are missing."
            )
        return cls(
            fast,
            pad_id=checkpoint.pad_id,
            lowercase=checkpoint.lowercase,
            separator_id=tokenizer.sep_token_id,
        )

    @classmethod
    def from_file(cls, file: "Path", checkpoint: "Checkpoint") -> "Tokenizer":
        """The tokenizer of a checkpoint, as :meth:`save` wrote it; transformers is not needed."""
        from tokenizers import Tokenizer as FastTokenizer

        fast = FastTokenizer.from_file(str(file))
        return cls(fast, pad_id=checkpoint.pad_id, lowercase=checkpoint.lowercase)

    def save(self, file: "Path") -> None:
        """Writes all of it to one file, but for what its checkpoint says."""
        self._fast.save(str(file))

    @property
    def separator_id(self) -> int | None:
        """The token that stands between two texts, if there is one."""
        return self._separator_id

    @cached_property
    def vocabulary_size(self) -> int:
        """One more than the highest token id."""
        return max(self._fast.get_vocab().values()) + 1

    @property
    def special_tokens(self) -> int:
        """How many special tokens are put around a text."""
        return self._prefix + self._suffix

    def tokenize(
        self, texts: Sequence[Text], max_tokens: int, truncation_side: TruncationSide = "right"
    ) -> TokenizedTexts:
        """Token ids of each text, cut to ``max_tokens`` with the special tokens kept.

        A text that gives no token at all counts as one padding token, so that its vector is
        defined. What is token ids already is only cut.
        """
        encodings = iter(
            self._fast.encode_batch_fast(
                [self._prepare(text) for text in texts if isinstance(text, str)]
            )
        )
        ids = [
            next(encodings).ids or [self._pad_id] if isinstance(text, str) else list(text)
            for text in texts
        ]
        cut = self._cut_left if truncation_side == "left" else self._cut
        return TokenizedTexts(
            ids=[row if len(row) <= max_tokens else cut(row, max_tokens) for row in ids],
            lengths=[len(row) for row in ids],
        )

    def tokens(self, text: str, *, special_tokens: bool = True) -> list[Token]:
        """The tokens of a text that is not cut, with or without its special tokens."""
        encoding = self._fast.encode(self._prepare(text), add_special_tokens=special_tokens)
        return [
            Token(number, name, True, None, None)
            if special
            else Token(number, text[start:stop], False, start, stop)
            for number, name, special, (start, stop) in zip(
                encoding.ids,
                encoding.tokens,
                encoding.special_tokens_mask,
                encoding.offsets,
                strict=True,
            )
        ]

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        """The text that token ids stand for, as near as can be; unknown ids are left out."""
        text: str = self._fast.decode(ids, skip_special_tokens=skip_special_tokens)
        return text

    def spans(self, text: str) -> list[tuple[int, int]]:
        """First and last character (exclusive) of each token of a text, special tokens left out."""
        spans: list[tuple[int, int]] = self._fast.encode(
            self._prepare(text), add_special_tokens=False
        ).offsets
        return spans

    def pair_windows(
        self, question: str, context: str, *, max_tokens: int, max_question_tokens: int, step: int
    ) -> list[PairWindow]:
        """A question beside each window of a context, as a model of pairs was trained to see them.

        Args:
            question, context: the texts; the question is cut, the context is not.
            max_tokens: most tokens of a window with its question and special tokens.
            max_question_tokens: most tokens of the question.
            step: tokens from the start of a window to the start of the next.
        """
        asked = self._fast.encode(self._prepare(question), add_special_tokens=False)
        asked.truncate(max_question_tokens)
        text = self._fast.encode(self._prepare(context), add_special_tokens=False)
        room = max_tokens - len(asked.ids) - self._fast.num_special_tokens_to_add(is_pair=True)
        # A window must hold what lies between its start and the next one's.
        room = max(1, room)
        text.truncate(room, stride=max(0, room - step))
        windows = []
        for part in (text, *text.overflowing):
            both = self._fast.post_process(asked, part)
            places = [place for place, side in enumerate(both.sequence_ids) if side == 1]
            spans = [both.offsets[place] for place in places]
            windows.append(PairWindow(both.ids, places[0] if places else 0, spans))
        return windows

    def _prepare(self, text: str) -> str:
        text = _encodable(text)
        # Only where no character changes its length, so that spans keep their meaning.
        lowered = text.lower() if self._lowercase else text
        return lowered if len(lowered) == len(text) else text

    def _cut(self, ids: list[int], max_tokens: int) -> list[int]:
        return ids[: max_tokens - self._suffix] + ids[len(ids) - self._suffix :]

    def _cut_left(self, ids: list[int], max_tokens: int) -> list[int]:
        return ids[: self._prefix] + ids[len(ids) - max_tokens + self._prefix :]


def replace_surrogates(text: str) -> str:
    """The text with each lone UTF-16 surrogate replaced by U+FFFD and each pair joined.

    JSON may carry them, UTF-8 and the tokenizer cannot.

    >>> replace_surrogates("a\\ud800b") == "a\\ufffdb"
    True
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return replace_surrogates(text)
    return text


def _special_tokens_around(fast: "FastTokenizer") -> tuple[int, int]:
    bare = fast.encode("가", add_special_tokens=False).ids
    full = fast.encode("가").ids
    for start in range(len(full) - len(bare) + 1):
        if full[start : start + len(bare)] == bare:
            return start, len(full) - len(bare) - start
    raise InvalidInput("The tokenizer changes a text's tokens when it adds its special tokens.")
