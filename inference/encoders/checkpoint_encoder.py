"""What encoders of one checkpoint share, whatever runs the model: how texts become token ids."""

from collections.abc import Sequence

from inference.checkpoint import Checkpoint, Kind
from inference.encoders.base import Side
from inference.tokenizer import Text, Token, TokenizedTexts, Tokenizer, TruncationSide


class CheckpointEncoder:
    """The half of the Encoder contract that needs no model: tokenizer, prompts and limits."""

    def __init__(self, checkpoint: Checkpoint, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._prompts = checkpoint.prompts
        prompts = tokenizer.tokenize(list(self._prompts.values()), checkpoint.max_tokens)
        self._min_tokens = max(prompts.lengths) + 1
        self._pad_id = checkpoint.pad_id
        self._max_tokens = checkpoint.max_tokens

    @property
    def max_tokens(self) -> int:
        return self._max_tokens

    @property
    def min_tokens(self) -> int:
        return self._min_tokens

    @property
    def pad_id(self) -> int:
        return self._pad_id

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
