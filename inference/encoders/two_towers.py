"""Two encoders behind one contract: queries through one, documents through the other."""

from collections.abc import Sequence

from inference.agreement import Agreement
from inference.checkpoint import Kind
from inference.encoders.base import Encoder, Side
from inference.errors import InvalidInput
from inference.similarity import Vectors
from inference.tokenizer import Text, Token, TokenizedTexts, TruncationSide


class TwoTowers:
    """A query encoder and a document encoder whose vectors share one space.

    Raises:
        InvalidInput: their vectors differ in width.
    """

    def __init__(self, query: Encoder, document: Encoder) -> None:
        if query.dim != document.dim:
            raise InvalidInput(
                f"The query encoder gives vectors of {query.dim} numbers and the document encoder "
                f"of {document.dim}: they must be equally wide to be compared."
            )
        self._towers: dict[Kind, Encoder] = {"query": query, "document": document}

    @property
    def dim(self) -> int:
        return self._towers["document"].dim

    @property
    def max_tokens(self) -> int:
        return max(tower.max_tokens for tower in self._towers.values())

    @property
    def min_tokens(self) -> int:
        return max(tower.min_tokens for tower in self._towers.values())

    @property
    def pad_id(self) -> int:
        return self._towers["document"].pad_id

    @property
    def device(self) -> str:
        return self._towers["document"].device

    @property
    def precision(self) -> str:
        return self._towers["document"].precision

    @property
    def agreement(self) -> Agreement | None:
        return self._towers["document"].agreement

    @property
    def batch_tokens(self) -> int:
        return self._towers["document"].batch_tokens

    def side(self, kind: Kind) -> Side:
        return self._towers[kind].side(kind)._replace(tower=kind)

    def vocabulary_size(self, kind: Kind) -> int:
        return self._towers[kind].vocabulary_size(kind)

    def tokenize(
        self,
        texts: Sequence[Text],
        kind: Kind,
        max_tokens: int | None = None,
        truncation_side: TruncationSide = "right",
    ) -> TokenizedTexts:
        return self._towers[kind].tokenize(texts, kind, max_tokens, truncation_side)

    def tokens(self, text: str, kind: Kind, *, special_tokens: bool = True) -> list[Token]:
        return self._towers[kind].tokens(text, kind, special_tokens=special_tokens)

    def decode(self, ids: Sequence[int], kind: Kind, *, skip_special_tokens: bool = True) -> str:
        return self._towers[kind].decode(ids, kind, skip_special_tokens=skip_special_tokens)

    def token_spans(self, text: str, kind: Kind) -> list[tuple[int, int]]:
        return self._towers[kind].token_spans(text, kind)

    def encode(self, token_ids: Sequence[Sequence[int]], tower: Kind = "document") -> Vectors:
        return self._towers[tower].encode(token_ids, tower)
